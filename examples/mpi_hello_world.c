/*
 * mpi_hello_world [--diag]: who and where is each rank?
 *
 * With --diag rank 0 adds a table: first what all ranks have in common (or, a
 * line each, what some of them have), then a row a rank. Only --diag looks
 * beyond MPI: at the environment, /proc, /sys and /dev.
 *
 *     mpicc -std=gnu11 -D_GNU_SOURCE -O2 mpi_hello_world.c
 *
 * -DHAVE_HWLOC ... -lhwloc asks hwloc for the CPUs, which knows more systems.
 */
#include <errno.h>
#include <glob.h>
#include <mpi.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_HWLOC
#include <hwloc.h>
#endif

/* What one rank tells rank 0, as bytes: all ranks run the same program. */
struct facts {
    char library[64];
    char wiring[64];
    char image[160];
    char loaded[160];
    char devices[160];
    char settings[160];
    char node[64];
    char cpus[64];
    char memory[64];
    unsigned long user_ns, mnt_ns;
};

/* A word more, as long as there is room. */
static void add_word(char *text, size_t room, const char *word)
{
    size_t used = strlen(text);

    snprintf(text + used, room - used, "%s%s", used > 0 ? " " : "", word);
}

static void or_none(char *text, size_t room)
{
    if (text[0] == '\0')
        snprintf(text, room, "none");
}

/* The number that identifies a namespace of ours: "mnt", "user", ... */
static unsigned long namespace(const char *kind)
{
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "/proc/self/ns/%s", kind);
    return stat(path, &st) == 0 ? (unsigned long)st.st_ino : 0;
}

static void say_hello(int rank, int size)
{
    char processor[MPI_MAX_PROCESSOR_NAME];
    unsigned cpu = 0, node = 0;
    int len;

    MPI_Get_processor_name(processor, &len);
    getcpu(&cpu, &node);
    printf("Hello world! Processor %s, Rank %d of %d, CPU %d, NUMA node %d, "
           "Namespace mnt:[%lu]\n",
           processor, rank, size, (int)cpu, (int)node, namespace("mnt"));
    fflush(stdout);
}

/* "MPICH Version: 4.0.2" out of several lines; "Open MPI v5.0.7" out of one. */
static void find_library(char *ret, size_t room)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    char *rest = text;
    int len, major, minor;

    MPI_Get_library_version(text, &len);
    MPI_Get_version(&major, &minor);
    text[strcspn(text, "\n,")] = '\0';
    ret[0] = '\0';
    for (char *word; (word = strsep(&rest, " \t")) != NULL;)
        if (*word != '\0')
            add_word(ret, room, word);
    len = (int)strlen(ret);
    snprintf(ret + len, room - (size_t)len, " (MPI %d.%d)", major, minor);
}

/*
 * Before MPI_Init(), which may change the environment. An MPICH that is built
 * with one PMI alone does not need to be told which, so the variable may lack.
 */
static void find_wiring(char *ret, size_t room)
{
    const char *version = getenv("MPIR_CVAR_PMI_VERSION");
    bool pmi = getenv("PMI_FD") != NULL || getenv("PMI_PORT") != NULL;
    bool pmix = getenv("PMIX_NAMESPACE") != NULL;

    if (pmi && pmix)
        snprintf(ret, room, "PMI-1 or PMI-2, and PMIx: both are offered");
    else if (pmix)
        snprintf(ret, room, "PMIx");
    else if (!pmi)
        snprintf(ret, room, "none");
    else if (version != NULL && (*version == '1' || *version == '2'))
        snprintf(ret, room, "PMI-%c", *version);
    else
        snprintf(ret, room, "PMI-1 (PMI-2 if this MPI was built for it)");
}

static void find_image(char *ret, size_t room)
{
    static const char *const names[] = {"CTRUN_IMAGE", "APPTAINER_CONTAINER",
                                        "SINGULARITY_CONTAINER"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL) {
            snprintf(ret, room, "%s", getenv(names[i]));
            return;
        }
    snprintf(ret, room, "none");
}

/* Libraries of transports, in the order they are told. */
static const char *const transports[] = {
    "libucp",     "libuct_ib",         "libuct_rdmacm", "libuct_xpmem",
    "libuct_cma", "libfabric",         "libcxi",        "libpsm3",
    "libpsm2",    "libpsm_infinipath", "libibverbs",
};

enum { TRANSPORTS = sizeof transports / sizeof transports[0] };

/* A line of /proc/PID/maps ends with a path: "/usr/lib/libfabric.so.1". */
static void mark_transport(const char *line, bool *seen)
{
    const char *name = strrchr(line, '/');

    for (size_t i = 0; name != NULL && i < TRANSPORTS; i++) {
        size_t len = strlen(transports[i]);
        if (strncmp(name + 1, transports[i], len) == 0 && name[len + 1] == '.')
            seen[i] = true;
    }
}

/* Those that are in this process: what MPI may use, not what it does use. */
static void find_loaded(char *ret, size_t room)
{
    bool seen[TRANSPORTS] = {false};
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        mark_transport(line, seen);
    if (maps != NULL)
        fclose(maps);
    ret[0] = '\0';
    for (size_t i = 0; i < TRANSPORTS; i++)
        if (seen[i])
            add_word(ret, room, transports[i]);
    or_none(ret, room);
}

/* Hardware that can be seen from here; if MPI uses it is another question. */
static void find_devices(char *ret, size_t room)
{
    static const char *const patterns[] = {
        "/sys/class/infiniband/*", "/dev/cxi*", "/dev/hfi1_*", "/dev/xpmem"};

    ret[0] = '\0';
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glob_t found;
        if (glob(patterns[i], 0, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++)
            add_word(ret, room, strrchr(found.gl_pathv[k], '/') + 1);
        globfree(&found);
    }
    or_none(ret, room);
}

static void find_settings(char *ret, size_t room)
{
    static const char *const names[] = {"UCX_TLS", "UCX_NET_DEVICES",
                                        "FI_PROVIDER"};
    char word[160];

    ret[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL) {
            snprintf(word, sizeof word, "%s=%s", names[i], getenv(names[i]));
            add_word(ret, room, word);
        }
    or_none(ret, room);
}

#ifdef HAVE_HWLOC

static void find_cpus(char *ret, size_t room)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();

    snprintf(ret, room, "unknown");
    if (hwloc_topology_init(&topology) < 0)
        return;
    if (hwloc_topology_load(topology) == 0 &&
        hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_PROCESS) == 0)
        hwloc_bitmap_list_snprintf(ret, room, set);
    hwloc_topology_destroy(topology);
    hwloc_bitmap_free(set);
}

#else

/* "0-3,8", as in taskset(1) */
static void find_cpus(char *ret, size_t room)
{
    cpu_set_t set;
    size_t used = 0;

    snprintf(ret, room, "unknown");
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE && used < room; cpu++) {
        int first = cpu;
        while (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &set))
            cpu++;
        if (cpu > first)
            used += (size_t)snprintf(ret + used, room - used,
                                     cpu - 1 > first ? "%s%d-%d" : "%s%d",
                                     used > 0 ? "," : "", first, cpu - 1);
    }
}

#endif

struct neighbour {
    long pid;
    const long *address;
    long value;
};

static void try_to_read(const struct neighbour *next, char *ret, size_t room)
{
    long got = 0;
    struct iovec here = {&got, sizeof got};
    struct iovec there = {(void *)next->address, sizeof got};
    ssize_t n = process_vm_readv((pid_t)next->pid, &here, 1, &there, 1, 0);

    if (n < 0)
        snprintf(ret, room, "%s", strerror(errno));
    else if (n != sizeof got || got != next->value)
        snprintf(ret, room, "reads another process");
    else
        snprintf(ret, room, "yes");
}

/*
 * By names, and not by MPI_COMM_TYPE_SHARED: whom an MPI shares memory with is
 * its own choice, and MPICH 5 does with nobody as Debian builds it.
 */
static void split_by_node(int rank, MPI_Comm *ret)
{
    char mine[MPI_MAX_PROCESSOR_NAME] = "", *all;
    int len, size, first = 0;

    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Get_processor_name(mine, &len);
    all = calloc((size_t)size, sizeof mine);
    if (all == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Allgather(mine, sizeof mine, MPI_CHAR, all, sizeof mine, MPI_CHAR,
                  MPI_COMM_WORLD);
    while (strcmp(all + (size_t)first * sizeof mine, mine) != 0)
        first++;
    free(all);
    MPI_Comm_split(MPI_COMM_WORLD, first, rank, ret);
}

/* Large messages between ranks of a node are copied once where this works. */
static void find_memory(int rank, char *ret, size_t room)
{
    volatile long word = rank + 0x5eed;
    struct neighbour mine = {getpid(), (const long *)&word, word}, next;
    MPI_Comm node;
    int local, size;

    split_by_node(rank, &node);
    MPI_Comm_rank(node, &local);
    MPI_Comm_size(node, &size);
    MPI_Sendrecv(&mine, sizeof mine, MPI_BYTE, (local + size - 1) % size, 0,
                 &next, sizeof next, MPI_BYTE, (local + 1) % size, 0, node,
                 MPI_STATUS_IGNORE);
    if (size > 1)
        try_to_read(&next, ret, room);
    else
        snprintf(ret, room, "no other rank here");
    MPI_Barrier(node);
    MPI_Comm_free(&node);
}

static void find_facts(int rank, struct facts *ret)
{
    find_library(ret->library, sizeof ret->library);
    find_image(ret->image, sizeof ret->image);
    find_loaded(ret->loaded, sizeof ret->loaded);
    find_devices(ret->devices, sizeof ret->devices);
    find_settings(ret->settings, sizeof ret->settings);
    gethostname(ret->node, sizeof ret->node - 1);
    find_cpus(ret->cpus, sizeof ret->cpus);
    find_memory(rank, ret->memory, sizeof ret->memory);
    ret->user_ns = namespace("user");
    ret->mnt_ns = namespace("mnt");
}

static const struct column {
    const char *label;
    size_t offset;
} head[] = {
    {"MPI library", offsetof(struct facts, library)},
    {"Wired with", offsetof(struct facts, wiring)},
    {"Image", offsetof(struct facts, image)},
    {"Transports loaded", offsetof(struct facts, loaded)},
    {"Devices seen", offsetof(struct facts, devices)},
    {"Settings", offsetof(struct facts, settings)},
};

static const char *text_of(const struct facts *facts, const struct column *c)
{
    return (const char *)facts + c->offset;
}

/* How many of the ranks say what rank `of` says; 0 when an earlier one did. */
static int count_equal(const struct facts *all, int size, int of,
                       const struct column *c)
{
    int count = 0;

    for (int i = 0; i < size; i++) {
        if (strcmp(text_of(&all[i], c), text_of(&all[of], c)) != 0)
            continue;
        if (i < of)
            return 0;
        count++;
    }
    return count;
}

static void print_head(const struct facts *all, int size)
{
    for (const struct column *c = head; c < head + sizeof head / sizeof *head;
         c++)
        for (int rank = 0; rank < size; rank++) {
            int count = count_equal(all, size, rank, c);
            if (count == 0)
                continue;
            printf("%-18s %s", c->label, text_of(&all[rank], c));
            if (count < size)
                printf(" (rank %d, %d in all)", rank, count);
            putchar('\n');
        }
}

static void print_rows(const struct facts *all, int size)
{
    printf("%5s %-16s %-12s %-11s %-11s %s\n", "Rank", "Node", "CPUs",
           "user ns", "mnt ns", "Reads next rank's memory");
    for (int rank = 0; rank < size; rank++)
        printf("%5d %-16s %-12s %-11lu %-11lu %s\n", rank, all[rank].node,
               all[rank].cpus, all[rank].user_ns, all[rank].mnt_ns,
               all[rank].memory);
}

static void diagnose(int rank, int size, struct facts *mine)
{
    struct facts *all = NULL;

    if (rank == 0 && (all = calloc((size_t)size, sizeof *all)) == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    find_facts(rank, mine);
    MPI_Gather(mine, sizeof *mine, MPI_BYTE, all, sizeof *mine, MPI_BYTE, 0,
               MPI_COMM_WORLD);
    if (rank == 0) {
        print_head(all, size);
        print_rows(all, size);
    }
    free(all);
}

int main(int argc, char **argv)
{
    struct facts mine = {0};
    int rank, size;
    bool diag;

    find_wiring(mine.wiring, sizeof mine.wiring);
    MPI_Init(&argc, &argv);
    diag = argc > 1 && strcmp(argv[1], "--diag") == 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    say_hello(rank, size);
    if (diag)
        diagnose(rank, size, &mine);
    MPI_Finalize();
    return 0;
}
