/*
 * Published names. A lookup with PMIX_WAIT that does not find all of its keys
 * waits; each publish looks through those that wait, and so does the timer when
 * the first of them has waited for as long as it wanted (PMIX_TIMEOUT).
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

/* What a request says about itself, among its keys and values. */
struct directives {
    pmix_data_range_t range;
    pmix_persistence_t persistence;
    const pmix_info_t *custom; /* members of PMIX_RANGE_CUSTOM */
    bool wait;
    bool bad;        /* something is not of its type */
    int64_t timeout; /* seconds; 0: for ever */
};

/* A count of seconds, of whichever type; -1: it is none. */
static int64_t seconds_of(const pmix_value_t *value)
{
    switch (value->type) {
    case PMIX_INT:
        return value->data.integer;
    case PMIX_INT32:
        return value->data.int32;
    case PMIX_UINT:
        return value->data.uint;
    case PMIX_UINT32:
        return value->data.uint32;
    case PMIX_INT64:
        return value->data.int64;
    case PMIX_UINT64:
        return value->data.uint64 > INT32_MAX ? INT32_MAX
                                              : (int64_t)value->data.uint64;
    case PMIX_SIZE:
        return value->data.size > INT32_MAX ? INT32_MAX
                                            : (int64_t)value->data.size;
    case PMIX_TIME:
        return value->data.time;
    case PMIX_TIMEVAL:
        return value->data.tv.tv_sec + (value->data.tv.tv_usec > 0);
    default:
        return -1;
    }
}

static void take_range(struct directives *ret, const pmix_info_t *info)
{
    ret->bad |= info->value.type != PMIX_DATA_RANGE;
    if (info->value.type == PMIX_DATA_RANGE)
        ret->range = info->value.data.range;
}

static void take_persistence(struct directives *ret, const pmix_info_t *info)
{
    ret->bad |= info->value.type != PMIX_PERSIST;
    if (info->value.type == PMIX_PERSIST)
        ret->persistence = info->value.data.persist;
}

static void take_timeout(struct directives *ret, const pmix_info_t *info)
{
    int64_t seconds = seconds_of(&info->value);

    ret->bad |= seconds < 0;
    ret->timeout = seconds < 0 ? 0 : seconds > INT32_MAX ? INT32_MAX : seconds;
}

static bool take_directive(struct directives *ret, const pmix_info_t *info)
{
    if (strcmp(info->key, PMIX_RANGE) == 0)
        take_range(ret, info);
    else if (strcmp(info->key, PMIX_PERSISTENCE) == 0)
        take_persistence(ret, info);
    else if (strcmp(info->key, PMIX_EVENT_CUSTOM_RANGE) == 0)
        ret->custom = info;
    else if (strcmp(info->key, PMIX_WAIT) == 0)
        ret->wait = true;
    else if (strcmp(info->key, PMIX_TIMEOUT) == 0)
        take_timeout(ret, info);
    else
        /* who asks is known already */
        return strcmp(info->key, PMIX_USERID) == 0 ||
               strcmp(info->key, PMIX_GRPID) == 0;
    return true;
}

static struct directives read_directives(const struct request *request)
{
    struct directives found = {
        .range = PMIX_RANGE_SESSION,
        .persistence = PMIX_PERSIST_APP,
    };

    for (size_t i = 0; i < request->ninfo; i++)
        take_directive(&found, &request->info[i]);
    return found;
}

/* ---- who sees it, and for how long ---- */

/* Of a rank of another node only its death is known. */
static bool has_gone(const struct pmixsrv_job *job, unsigned rank)
{
    return job->losses[rank].closed || job->losses[rank].dead ||
           job->states[rank] == PMIXSRV_FINALIZED;
}

static bool all_have_gone(const struct pmixsrv_job *job)
{
    for (unsigned rank = 0; rank < job->size; rank++)
        if (!has_gone(job, rank))
            return false;
    return true;
}

/* A tool's names stay. */
static bool is_over(struct pmixsrv *server, const struct published *item)
{
    const struct pmixsrv_job *job =
        pmixsrv_find_job(server, item->owner.nspace);

    if (job == NULL || item->owner.rank >= job->size)
        return false;
    return item->persistence == PMIX_PERSIST_PROC
               ? has_gone(job, item->owner.rank)
               : item->persistence == PMIX_PERSIST_APP && all_have_gone(job);
}

static bool is_same(const pmix_proc_t *a, const pmix_proc_t *b)
{
    return strcmp(a->nspace, b->nspace) == 0 && a->rank == b->rank;
}

static bool share_node(struct pmixsrv *server, const pmix_proc_t *a,
                       const pmix_proc_t *b)
{
    const struct pmixsrv_job *ours = pmixsrv_find_job(server, a->nspace);
    const struct pmixsrv_job *other = pmixsrv_find_job(server, b->nspace);

    if (ours == NULL || other == NULL || a->rank >= ours->size ||
        b->rank >= other->size)
        return false;
    return pmixsrv_rank_node(ours, a->rank) ==
           pmixsrv_rank_node(other, b->rank);
}

static const pmix_proc_t *members_of(const pmix_value_t *value,
                                     size_t *ret_count)
{
    if (value->type == PMIX_PROC) {
        *ret_count = 1;
        return value->data.proc;
    }
    if (value->type != PMIX_DATA_ARRAY || value->data.darray == NULL ||
        value->data.darray->type != PMIX_PROC)
        return NULL;
    *ret_count = value->data.darray->size;
    return value->data.darray->array;
}

static bool is_member(const pmix_value_t *value, const pmix_proc_t *proc)
{
    size_t count = 0;
    const pmix_proc_t *members = members_of(value, &count);

    for (size_t i = 0; members != NULL && i < count; i++)
        if (is_same(&members[i], proc) ||
            (members[i].rank == PMIX_RANK_WILDCARD &&
             strcmp(members[i].nspace, proc->nspace) == 0))
            return true;
    return false;
}

static bool is_visible(struct pmixsrv *server, const struct published *item,
                       const pmix_proc_t *proc)
{
    if (is_over(server, item))
        return false;
    switch (item->range) {
    case PMIX_RANGE_RM:
        return false;
    case PMIX_RANGE_LOCAL:
        return share_node(server, &item->owner, proc);
    case PMIX_RANGE_NAMESPACE:
        return strcmp(item->owner.nspace, proc->nspace) == 0;
    case PMIX_RANGE_CUSTOM:
        return is_member(&item->custom.value, proc);
    case PMIX_RANGE_PROC_LOCAL:
        return is_same(&item->owner, proc);
    default:
        return true;
    }
}

static struct published **find(struct pmixsrv *server, const char *key,
                               const pmix_proc_t *proc)
{
    struct published **at = &server->published;

    while (*at != NULL && (strcmp((*at)->info.key, key) != 0 ||
                           !is_visible(server, *at, proc)))
        at = &(*at)->next;
    return *at != NULL ? at : NULL;
}

static void remove_at(struct published **at)
{
    struct published *item = *at;

    *at = item->next;
    PMIX_INFO_DESTRUCT(&item->info);
    PMIX_INFO_DESTRUCT(&item->custom);
    free(item);
}

/* ---- lookup ---- */

/* Fill what is found; the values stay ours. */
static size_t gather(struct pmixsrv *server, const struct request *request,
                     pmix_pdata_t *ret)
{
    size_t count = 0;

    for (char *const *key = request->keys; key != NULL && *key != NULL; key++) {
        struct published **at = find(server, *key, &request->proc);

        if (at == NULL)
            continue;
        ret[count].proc = (*at)->owner;
        memcpy(ret[count].key, (*at)->info.key, sizeof ret[count].key);
        ret[count].value = (*at)->info.value;
        count++;
    }
    return count;
}

/* Take out what may be read once; the values live until the answer is made. */
static struct published *take_read_once(struct pmixsrv *server,
                                        const struct request *request)
{
    struct published *taken = NULL;

    for (char *const *key = request->keys; key != NULL && *key != NULL; key++) {
        struct published **at = find(server, *key, &request->proc), *item;

        if (at == NULL || (*at)->persistence != PMIX_PERSIST_FIRST_READ)
            continue;
        item = *at;
        *at = item->next;
        item->next = taken;
        taken = item;
    }
    return taken;
}

/* false: it has to wait. libpmix copies what it is given before it returns. */
static bool answer_lookup(struct pmixsrv *server, struct request *request)
{
    size_t wanted = pmixsrv_count(request->keys), found;
    pmix_pdata_t *data = calloc(wanted + 1, sizeof *data);
    struct published *taken;
    pmix_status_t status;

    if (data == NULL) {
        request->answer.lookup(PMIX_ERR_NOMEM, NULL, 0, request->cbdata);
        request_free(request);
        return true;
    }
    found = gather(server, request, data);
    if (found < wanted && read_directives(request).wait) {
        free(data);
        return false;
    }
    status = found == wanted ? PMIX_SUCCESS
             : found > 0     ? PMIX_ERR_PARTIAL_SUCCESS
                             : PMIX_ERR_NOT_FOUND;
    taken = take_read_once(server, request);
    request->answer.lookup(status, data, found, request->cbdata);
    while (taken != NULL)
        remove_at(&taken);
    free(data);
    request_free(request);
    return true;
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t deadline_of(const struct request *request)
{
    int64_t timeout = read_directives(request).timeout;

    return timeout > 0 ? now() + timeout * 1000000000 : 0;
}

/* At the first deadline, or never. */
static void set_timer(const struct pmixsrv *server)
{
    int64_t first = 0;

    for (const struct request *r = server->waiting; r != NULL; r = r->next)
        if (r->deadline != 0 && (first == 0 || r->deadline < first))
            first = r->deadline;
    timerfd_settime(
        server->timer, TFD_TIMER_ABSTIME,
        &(struct itimerspec){.it_value = {.tv_sec = first / 1000000000,
                                          .tv_nsec = first % 1000000000}},
        NULL);
}

static void wait_for_publish(struct pmixsrv *server, struct request *request)
{
    struct request **end = &server->waiting;

    while (*end != NULL)
        end = &(*end)->next;
    *end = request;
}

void names_lookup(struct pmixsrv *server, struct request *request)
{
    if (answer_lookup(server, request))
        return;
    request->deadline = deadline_of(request);
    wait_for_publish(server, request);
    set_timer(server);
}

static bool answer_late(struct pmixsrv *server, struct request *request)
{
    (void)server;
    if (request->deadline == 0 || request->deadline > now())
        return false;
    request->answer.lookup(PMIX_ERR_TIMEOUT, NULL, 0, request->cbdata);
    request_free(request);
    return true;
}

/* answer() is tried on each that waits. */
static void try_waiting(struct pmixsrv *server,
                        bool (*answer)(struct pmixsrv *server,
                                       struct request *request))
{
    struct request *waiting = server->waiting, *next;

    server->waiting = NULL;
    for (; waiting != NULL; waiting = next) {
        next = waiting->next;
        waiting->next = NULL;
        if (!answer(server, waiting))
            wait_for_publish(server, waiting);
    }
    set_timer(server);
}

void names_expire(struct pmixsrv *server)
{
    if (server->waiting != NULL)
        try_waiting(server, answer_late);
}

/* ---- publish ---- */

static pmix_status_t publish_one(struct pmixsrv *server,
                                 const struct request *request,
                                 const struct directives *directives,
                                 const pmix_info_t *info)
{
    struct published *item = calloc(1, sizeof *item);

    if (item == NULL)
        return PMIX_ERR_NOMEM;
    item->owner = request->proc;
    item->range = directives->range;
    item->persistence = directives->persistence;
    PMIX_INFO_XFER(&item->info, info);
    if (directives->custom != NULL)
        PMIX_INFO_XFER(&item->custom, directives->custom);
    item->next = server->published;
    server->published = item;
    return PMIX_SUCCESS;
}

/* The i-th key is given before it, too. */
static bool is_repeated(const struct request *request, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(request->info[i].key, request->info[j].key) == 0)
            return true;
    return false;
}

static pmix_status_t judge_publish(struct pmixsrv *server,
                                   const struct request *request,
                                   const struct directives *directives)
{
    struct directives ignored = {0};
    size_t count;

    if (directives->bad ||
        (directives->range == PMIX_RANGE_CUSTOM &&
         (directives->custom == NULL ||
          members_of(&directives->custom->value, &count) == NULL)))
        return PMIX_ERR_BAD_PARAM;
    for (size_t i = 0; i < request->ninfo; i++)
        if (!take_directive(&ignored, &request->info[i]) &&
            (is_repeated(request, i) ||
             find(server, request->info[i].key, &request->proc) != NULL))
            return PMIX_ERR_DUPLICATE_KEY;
    return PMIX_SUCCESS;
}

void names_publish(struct pmixsrv *server, struct request *request)
{
    struct directives directives = read_directives(request), ignored = {0};
    pmix_status_t status = judge_publish(server, request, &directives);

    for (size_t i = 0; i < request->ninfo && status == PMIX_SUCCESS; i++)
        if (!take_directive(&ignored, &request->info[i]))
            status =
                publish_one(server, request, &directives, &request->info[i]);
    request_answer_op(request, status);
    if (server->waiting != NULL)
        try_waiting(server, answer_lookup);
}

static bool is_named(const struct published *item, char *const *keys)
{
    for (; keys != NULL && *keys != NULL; keys++)
        if (strcmp(item->info.key, *keys) == 0)
            return true;
    return keys == NULL; /* all of its own */
}

/* Each takes back what it published itself. */
void names_unpublish(struct pmixsrv *server, struct request *request)
{
    bool found = false;

    for (struct published **at = &server->published; *at != NULL;)
        if (is_same(&(*at)->owner, &request->proc) &&
            is_named(*at, request->keys)) {
            remove_at(at);
            found = true;
        } else {
            at = &(*at)->next;
        }
    request_answer_op(request, found ? PMIX_SUCCESS : PMIX_ERR_NOT_FOUND);
}
