/*
 * The topology becomes a list of slots, each with the cores of one rank:
 *
 *   every object of --map-by is a domain (without it the machine is the only
 *   one); in a domain each next --cpus-per-rank cores are a slot, and a slot
 *   never reaches over the edge of a --bind-to object;
 *   sorted by turn (the how-manieth of its domain) and then by domain, the
 *   slots are the order in which ranks get them: round robin that passes over
 *   domains that are used up.
 *
 * Cores and CPUs that this process may not use count as absent.
 */
#include "launcher/bind.h"

#include "base/scope.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_HWLOC
#include "lazy/hwloc.h"
#include "lazy/plugins.h"
#endif

/* The CPUs of this process, however many the kernel counts; CPU_FREE() it. */
static cpu_set_t *read_affinity(size_t *ret_size)
{
    enum { FIRST = 1024, LAST = 1 << 20 };

    for (int cpus = FIRST; cpus <= LAST; cpus *= 2) {
        size_t size = CPU_ALLOC_SIZE(cpus);
        cpu_set_t *set = CPU_ALLOC(cpus);

        if (set == NULL)
            return NULL;
        CPU_ZERO_S(size, set);
        if (sched_getaffinity(0, size, set) == 0) {
            *ret_size = size;
            return set;
        }
        CPU_FREE(set);
        if (errno != EINVAL)
            return NULL;
    }
    return NULL;
}

unsigned bind_cpus_available(void)
{
    size_t size;
    cpu_set_t *set = read_affinity(&size);
    int count;

    if (set == NULL)
        return 1;
    count = CPU_COUNT_S(size, set);
    CPU_FREE(set);
    return count > 0 ? (unsigned)count : 1;
}

/* "0-3,8" as in taskset(1); cut off where the room ends. */
static void list_cpus(const struct bind_place *place, char *ret, size_t room)
{
    int end = (int)place->size * 8;
    size_t used = 0;

    *ret = '\0';
    for (int cpu = 0; cpu < end && used < room; cpu++) {
        int first = cpu;
        int wrote;

        while (cpu < end && CPU_ISSET_S(cpu, place->size, place->cpus))
            cpu++;
        if (cpu == first)
            continue;
        wrote = snprintf(ret + used, room - used,
                         cpu - 1 > first ? "%s%d-%d" : "%s%d",
                         used > 0 ? "," : "", first, cpu - 1);
        used += (size_t)wrote;
    }
}

static void describe(struct bind_place *place, const char *where)
{
    char cpus[80];

    list_cpus(place, cpus, sizeof cpus);
    snprintf(place->text, sizeof place->text, "%.32s (cpus %s)", where, cpus);
}

static int copy_place(struct bind_place *ret, const struct bind_place *place)
{
    cpu_set_t *cpus = CPU_ALLOC(place->size * 8);

    if (cpus == NULL)
        return -1;
    memcpy(cpus, place->cpus, place->size);
    *ret = *place;
    ret->cpus = cpus;
    return 0;
}

void bind_places_free(struct bind_place *places, unsigned n)
{
    for (unsigned i = 0; places != NULL && i < n; i++)
        CPU_FREE(places[i].cpus);
    free(places);
}

static int place_of_process(struct bind_place *ret, struct ct_error *reterr)
{
    ret->cpus = read_affinity(&ret->size);
    if (ret->cpus == NULL)
        return ct_fail_errno(reterr, "sched_getaffinity");
    describe(ret, "not bound");
    return 0;
}

#ifdef HAVE_HWLOC

struct slot {
    unsigned domain;
    unsigned turn; /* of the slots of its domain */
    struct bind_place place;
};

struct machine {
    const struct bind_request *request;
    hwloc_topology_t topology;
    hwloc_obj_type_t core; /* PUs, where no cores are known */
    hwloc_bitmap_t allowed;
    struct slot *slots;
    unsigned count;
    unsigned room;

    /* The slot that is being filled. */
    unsigned domain;
    unsigned turn;
    unsigned filled;
    hwloc_obj_t object; /* of --bind-to; NULL for core */
    hwloc_bitmap_t cpus;
    hwloc_bitmap_t cores;   /* logical numbers */
    hwloc_bitmap_t sockets; /* likewise */
};

static const hwloc_obj_type_t domain_types[] = {
    [BIND_NONE] = HWLOC_OBJ_MACHINE,
    [BIND_CORE] = HWLOC_OBJ_MACHINE,
    [BIND_NUMA] = HWLOC_OBJ_NUMANODE,
    [BIND_SOCKET] = HWLOC_OBJ_PACKAGE,
};

static const char *const words[] = {
    [BIND_NONE] = "none",
    [BIND_CORE] = "core",
    [BIND_NUMA] = "numa",
    [BIND_SOCKET] = "socket",
};

/* hwloc has the next two in its header, for those who link it. */
static unsigned count_of(const struct machine *m, hwloc_obj_type_t type)
{
    return hwloc_get_nbobjs_by_depth(m->topology,
                                     hwloc_get_type_depth(m->topology, type));
}

/* Of the objects of a type the first, if previous is NULL, or the next. */
static hwloc_obj_t next_of(const struct machine *m, hwloc_obj_type_t type,
                           hwloc_obj_t previous)
{
    if (previous != NULL)
        return previous->next_cousin;
    return hwloc_get_obj_by_depth(m->topology,
                                  hwloc_get_type_depth(m->topology, type), 0);
}

/*
 * Only what is asked about below: reading the rest costs time. And groups: the
 * CPUs of a NUMA node that is a part of a socket are else those of the socket.
 */
static int load_topology(struct machine *m)
{
    bool hidden = plugins_hide();
    int rc = hwloc_topology_init(&m->topology);

    plugins_show(hidden);
    if (rc < 0) {
        m->topology = NULL;
        return -1;
    }
    hwloc_topology_set_all_types_filter(m->topology,
                                        HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(m->topology, HWLOC_OBJ_PACKAGE,
                                   HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(m->topology, HWLOC_OBJ_CORE,
                                   HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(m->topology, HWLOC_OBJ_GROUP,
                                   HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    return hwloc_topology_load(m->topology);
}

static int fill_allowed(struct machine *m)
{
    size_t size;
    cpu_set_t *set = read_affinity(&size);
    int rc = 0;

    if (set == NULL)
        return -1;
    for (int cpu = 0; cpu < (int)size * 8 && rc == 0; cpu++)
        if (CPU_ISSET_S(cpu, size, set))
            rc = hwloc_bitmap_set(m->allowed, (unsigned)cpu);
    CPU_FREE(set);
    return rc;
}

static int machine_open(struct machine *m, struct ct_error *reterr)
{
    m->allowed = hwloc_bitmap_alloc();
    m->cpus = hwloc_bitmap_alloc();
    m->cores = hwloc_bitmap_alloc();
    m->sockets = hwloc_bitmap_alloc();
    if (!m->allowed || !m->cpus || !m->cores || !m->sockets)
        return ct_fail_nomem(reterr);
    if (fill_allowed(m) < 0)
        return ct_fail_errno(reterr, "sched_getaffinity");
    if (load_topology(m) < 0)
        return ct_fail_errno(reterr, "hwloc cannot read the topology");
    m->core = count_of(m, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    return 0;
}

static void machine_close(struct machine *m)
{
    for (unsigned i = 0; i < m->count; i++)
        CPU_FREE(m->slots[i].place.cpus);
    free(m->slots);
    if (m->topology != NULL)
        hwloc_topology_destroy(m->topology);
    hwloc_bitmap_free(m->allowed);
    hwloc_bitmap_free(m->cpus);
    hwloc_bitmap_free(m->cores);
    hwloc_bitmap_free(m->sockets);
}

static void where_text(const struct machine *m, char *ret, size_t room)
{
    char sockets[16];
    char cores[24];

    if (m->object != NULL) {
        snprintf(ret, room, "%s %u", words[m->request->to],
                 m->object->logical_index);
        return;
    }
    hwloc_bitmap_list_snprintf(cores, sizeof cores, m->cores);
    hwloc_bitmap_list_snprintf(sockets, sizeof sockets, m->sockets);
    if (hwloc_bitmap_iszero(m->sockets))
        snprintf(ret, room, "core %s", cores);
    else
        snprintf(ret, room, "socket %s core %s", sockets, cores);
}

static int fill_place(const struct machine *m, struct bind_place *ret)
{
    int last = hwloc_bitmap_last(m->cpus);
    unsigned cpu;
    char where[64];

    ret->size = CPU_ALLOC_SIZE(last + 1);
    ret->cpus = CPU_ALLOC(last + 1);
    if (ret->cpus == NULL)
        return -1;
    CPU_ZERO_S(ret->size, ret->cpus);
    hwloc_bitmap_foreach_begin(cpu, m->cpus)
        CPU_SET_S(cpu, ret->size, ret->cpus);
    hwloc_bitmap_foreach_end();
    where_text(m, where, sizeof where);
    describe(ret, where);
    return 0;
}

static int make_room(struct machine *m)
{
    unsigned room = m->room > 0 ? m->room * 2 : 64;
    struct slot *slots;

    if (m->count < m->room)
        return 0;
    slots = realloc(m->slots, room * sizeof *slots);
    if (slots == NULL)
        return -1;
    m->slots = slots;
    m->room = room;
    return 0;
}

static void empty_slot(struct machine *m, hwloc_obj_t object)
{
    m->filled = 0;
    m->object = object;
    hwloc_bitmap_zero(m->cpus);
    hwloc_bitmap_zero(m->cores);
    hwloc_bitmap_zero(m->sockets);
}

static int finish_slot(struct machine *m)
{
    struct slot *slot;

    if (m->object != NULL &&
        hwloc_bitmap_and(m->cpus, m->object->cpuset, m->allowed) < 0)
        return -1;
    if (make_room(m) < 0)
        return -1;
    slot = &m->slots[m->count];
    slot->domain = m->domain;
    slot->turn = m->turn++;
    if (fill_place(m, &slot->place) < 0)
        return -1;
    m->count++;
    empty_slot(m, m->object);
    return 0;
}

/* The object of --bind-to that this core is in. */
static hwloc_obj_t object_of(const struct machine *m, hwloc_obj_t core)
{
    hwloc_obj_type_t type = domain_types[m->request->to];
    hwloc_obj_t object = NULL;

    do
        object = next_of(m, type, object);
    while (object && !hwloc_bitmap_intersects(object->cpuset, core->cpuset));
    return object;
}

static int add_core(struct machine *m, hwloc_obj_t core)
{
    hwloc_obj_t socket =
        hwloc_get_ancestor_obj_by_type(m->topology, HWLOC_OBJ_PACKAGE, core);
    hwloc_obj_t object = NULL;

    if (m->request->to != BIND_CORE) {
        object = object_of(m, core);
        if (object == NULL)
            return 0;
    }
    if (object != m->object)
        empty_slot(m, object);
    if (hwloc_bitmap_or(m->cpus, m->cpus, core->cpuset) < 0 ||
        hwloc_bitmap_and(m->cpus, m->cpus, m->allowed) < 0 ||
        hwloc_bitmap_set(m->cores, core->logical_index) < 0)
        return -1;
    if (socket && hwloc_bitmap_set(m->sockets, socket->logical_index) < 0)
        return -1;
    if (++m->filled == m->request->cpus_per_rank)
        return finish_slot(m);
    return 0;
}

static bool is_allowed(const struct machine *m, hwloc_obj_t object)
{
    return hwloc_bitmap_intersects(object->cpuset, m->allowed);
}

static int add_domain(struct machine *m, hwloc_obj_t domain)
{
    hwloc_obj_t core = NULL;

    m->turn = 0;
    empty_slot(m, NULL);
    while ((core = next_of(m, m->core, core)))
        if (hwloc_bitmap_intersects(core->cpuset, domain->cpuset) &&
            is_allowed(m, core) && add_core(m, core) < 0)
            return -1;
    m->domain++;
    return 0;
}

/*
 * Fast and large memory of the same cores are two NUMA nodes; the second would
 * deal the same cores out again.
 */
static bool is_repeated(const struct machine *m, hwloc_obj_t domain)
{
    hwloc_obj_t other = NULL;

    while ((other = next_of(m, domain->type, other)) != domain)
        if (hwloc_bitmap_intersects(other->cpuset, domain->cpuset))
            return true;
    return false;
}

static int add_domains(struct machine *m)
{
    hwloc_obj_type_t type = domain_types[m->request->by];
    hwloc_obj_t domain = NULL;

    while ((domain = next_of(m, type, domain)))
        if (!is_repeated(m, domain) && add_domain(m, domain) < 0)
            return -1;
    return 0;
}

static int compare_slots(const void *left, const void *right)
{
    const struct slot *a = left;
    const struct slot *b = right;

    if (a->turn != b->turn)
        return a->turn < b->turn ? -1 : 1;
    return a->domain < b->domain ? -1 : a->domain > b->domain;
}

static int check_objects(const struct machine *m, const char *option,
                         enum bind_to objects, struct ct_error *reterr)
{
    if (count_of(m, domain_types[objects]) > 0)
        return 0;
    return ct_fail(reterr, EINVAL, "%s %s: this machine shows none", option,
                   words[objects]);
}

static int check_slots(const struct machine *m, unsigned n,
                       struct ct_error *reterr)
{
    const struct bind_request *r = m->request;

    if (m->count == 0)
        return ct_fail(reterr, EINVAL,
                       "--bind-to %s --cpus-per-rank %u: there are not so many "
                       "cores together that ctrun may use",
                       words[r->to], r->cpus_per_rank);
    if (n > m->count && !r->oversubscribe)
        return ct_fail(reterr, EINVAL,
                       "--bind-to %s --cpus-per-rank %u: %u ranks, but places "
                       "for %u; --oversubscribe lets ranks share them",
                       words[r->to], r->cpus_per_rank, n, m->count);
    return 0;
}

static int find_slots(struct machine *m, unsigned n, struct ct_error *reterr)
{
    if (machine_open(m, reterr) < 0 ||
        check_objects(m, "--bind-to", m->request->to, reterr) < 0 ||
        check_objects(m, "--map-by", m->request->by, reterr) < 0)
        return -1;
    if (add_domains(m) < 0)
        return ct_fail_nomem(reterr);
    if (check_slots(m, n, reterr) < 0)
        return -1;
    qsort(m->slots, m->count, sizeof *m->slots, compare_slots);
    return 0;
}

static int deal(const struct bind_request *request, unsigned n,
                struct bind_place *ret, struct ct_error *reterr)
{
    struct machine m = {.request = request};
    int rc;

    if (lazy_hwloc_load(reterr) < 0)
        return -1;
    rc = find_slots(&m, n, reterr);

    for (unsigned i = 0; i < n && rc == 0; i++)
        if (copy_place(&ret[i], &m.slots[i % m.count].place) < 0)
            rc = ct_fail_nomem(reterr);
    machine_close(&m);
    return rc;
}

#else

static int deal(const struct bind_request *request, unsigned n,
                struct bind_place *ret, struct ct_error *reterr)
{
    (void)request;
    (void)n;
    (void)ret;
    return ct_fail(reterr, EINVAL,
                   "only --bind-to none: ctrun was built without hwloc");
}

#endif

/* All get what the process has. */
static int leave_unbound(unsigned n, struct bind_place *ret,
                         struct ct_error *reterr)
{
    if (place_of_process(&ret[0], reterr) < 0)
        return -1;
    for (unsigned i = 1; i < n; i++)
        if (copy_place(&ret[i], &ret[0]) < 0)
            return ct_fail_nomem(reterr);
    return 0;
}

int bind_places(const struct bind_request *request, unsigned n,
                struct bind_place **ret, struct ct_error *reterr)
{
    struct bind_place *places = calloc(n > 0 ? n : 1, sizeof *places);
    int rc;

    if (places == NULL)
        return ct_fail_nomem(reterr);
    if (n == 0)
        rc = 0;
    else if (request->to == BIND_NONE)
        rc = leave_unbound(n, places, reterr);
    else
        rc = deal(request, n, places, reterr);
    if (rc < 0) {
        bind_places_free(places, n);
        return -1;
    }
    *ret = places;
    return 0;
}
