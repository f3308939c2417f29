/*
 * Two rounds at most over an adapter's put, fence and get. First, only with a
 * host that does not tell the node map: each rank puts what its machine is
 * known by, under ctrun-at-RANK, and all read all. Then the exchange: who has a
 * blob puts it as text in segments, ctrun-RANK = COUNT-TEXT, ctrun-RANK-1 =
 * TEXT, ..., since a host's values are short and not for any byte.
 */
#include "host/host.h"

#include "base/pread.h"
#include "base/scope.h"
#include "base/span.h"
#include "client/environ.h"
#include "host/adapter.h"
#include "host/base64.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

enum {
    COUNT_ROOM = 4, /* "NNN-" before the first segment */
    SEGMENT = ADAPTER_VALUE_MAX - COUNT_ROOM,
    TEXT_MAX = BASE64_LENGTH(HOST_BLOB_MAX),
    SEGMENTS_MAX = (TEXT_MAX + SEGMENT - 1) / SEGMENT,
    BOOT_ID_LENGTH = 36,
    PLACE_MAX = 160, /* what a machine is known by */
};

struct host_conn {
    const struct host_adapter *adapter;
    void *state; /* the adapter's; NULL: not open */
    struct host_job job;
};

static const struct host_adapter *const adapters[] = {&host_pmix, &host_pmi2,
                                                      &host_pmi1};
enum { ADAPTERS = sizeof adapters / sizeof adapters[0] };

/* ---- which one ---- */

static int check(const struct host_adapter *adapter, char *const *env,
                 bool by_name, struct ct_error *reterr)
{
    if (adapter->probe(env, reterr) < 0)
        return -1;
    if (by_name || adapter->fits == NULL)
        return 0;
    return adapter->fits(env, reterr);
}

const struct host_adapter *host_choose(char *const *env, const char *name,
                                       struct strv *refused)
{
    bool known = false;

    for (size_t i = 0; i < ADAPTERS; i++) {
        const struct host_adapter *adapter = adapters[i];
        struct ct_error err;

        if (name != NULL && strcmp(name, adapter->name) != 0)
            continue;
        known = true;
        if (check(adapter, env, name != NULL, &err) == 0)
            return adapter;
        strv_addf(refused, "%s: %s", adapter->name, err.text);
    }
    if (!known)
        strv_addf(refused, "%s: there is no such host", name);
    return NULL;
}

bool host_is_closed(char *const *env, struct ct_error *ret)
{
    struct client_environ where;

    return client_environ_read(env, &where, ret) < 0 && ret->code == EBADF;
}

const char *host_adapter_name(const struct host_adapter *adapter)
{
    return adapter->name;
}

/* ---- where every rank is ---- */

/* "" when there is none, as in some sandboxes. */
static void read_boot_id(char *buf, size_t size)
{
    CT_AUTO_FD int fd =
        open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && ct_pread(fd, buf, size, 0) < 0)
        buf[0] = '\0';
}

/*
 * What this machine is known by, as text. Not its name alone: several may have
 * the same. A network namespace counts as a machine, since its addresses are
 * its own.
 */
static void find_place(char *ret)
{
    char boot[BOOT_ID_LENGTH + 1] = "", known[PLACE_MAX + 1];
    struct utsname name = {.nodename = ""};
    struct stat net = {.st_ino = 0};

    read_boot_id(boot, BOOT_ID_LENGTH);
    uname(&name);
    stat("/proc/self/ns/net", &net);
    snprintf(known, sizeof known, "%s %ju %.64s", boot, (uintmax_t)net.st_ino,
             name.nodename);
    base64_encode(known, strlen(known), ret);
}

static int put_place(struct host_conn *conn, struct ct_error *reterr)
{
    char key[ADAPTER_KEY_SIZE], place[BASE64_LENGTH(PLACE_MAX) + 1];

    find_place(place);
    snprintf(key, sizeof key, "ctrun-at-%u", conn->job.rank);
    return conn->adapter->put(conn->state, key, place, reterr);
}

static int get_place(struct host_conn *conn, unsigned rank, char *buf,
                     size_t size, struct ct_error *reterr)
{
    char key[ADAPTER_KEY_SIZE];
    bool found;

    snprintf(key, sizeof key, "ctrun-at-%u", rank);
    if (conn->adapter->get(conn->state, rank, key, buf, size, &found, reterr) <
        0)
        return -1;
    if (!found)
        return ct_fail(reterr, ENOENT, "rank %u does not say where it is",
                       rank);
    return 0;
}

/* The number of place among those seen, of which it is one from now on. */
static int number_place(struct strv *seen, const char *place, unsigned *last)
{
    if (*last < seen->count && strcmp(seen->items[*last], place) == 0)
        return 0;
    for (*last = 0; *last < seen->count; (*last)++)
        if (strcmp(seen->items[*last], place) == 0)
            return 0;
    return strv_add(seen, place);
}

static int read_places(struct host_conn *conn, struct strv *seen,
                       unsigned *node_of, struct ct_error *reterr)
{
    char place[ADAPTER_VALUE_MAX + 1];
    unsigned node = 0;

    for (unsigned rank = 0; rank < conn->job.size; rank++) {
        if (get_place(conn, rank, place, sizeof place, reterr) < 0)
            return -1;
        if (number_place(seen, place, &node) < 0)
            return ct_fail_nomem(reterr);
        node_of[rank] = node;
    }
    return 0;
}

static int discover(struct host_conn *conn, struct ct_error *reterr)
{
    struct strv seen = {0};
    int rc;

    conn->job.node_of = calloc(conn->job.size, sizeof *conn->job.node_of);
    if (conn->job.node_of == NULL)
        return ct_fail_nomem(reterr);
    if (put_place(conn, reterr) < 0 ||
        conn->adapter->fence(conn->state, reterr) < 0)
        return -1;
    rc = read_places(conn, &seen, conn->job.node_of, reterr);
    conn->job.node_count = (unsigned)seen.count;
    strv_clear(&seen);
    return rc;
}

struct place {
    unsigned node, rank;
};

static int by_node_and_rank(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Number the nodes anew, in the order in which the ranks name them. */
static int renumber(struct host_job *job, struct ct_error *reterr)
{
    CT_AUTO_FREE struct place *places = calloc(job->size, sizeof *places);

    if (places == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < job->size; i++)
        places[i] = (struct place){.node = job->node_of[i], .rank = i};
    qsort(places, job->size, sizeof *places, by_node_and_rank);
    /* first the lowest rank of the same node, then its number */
    for (unsigned i = 0, first = 0; i < job->size; i++) {
        if (places[i].node != places[first].node)
            first = i;
        job->node_of[places[i].rank] = places[first].rank;
    }
    job->node_count = 0;
    for (unsigned i = 0; i < job->size; i++)
        job->node_of[i] = job->node_of[i] == i ? job->node_count++
                                               : job->node_of[job->node_of[i]];
    return 0;
}

/* ---- the connection ---- */

static int take_facts(struct host_conn *conn, struct adapter_facts *facts,
                      struct ct_error *reterr)
{
    struct host_job *job = &conn->job;

    memcpy(job->id, facts->id, sizeof job->id);
    job->id[sizeof job->id - 1] = '\0';
    job->rank = facts->rank;
    job->size = facts->size;
    job->appnum = facts->appnum;
    job->node_of = ct_steal_ptr(&facts->node_of);
    if (job->size < 1 || job->size > ADAPTER_SIZE_MAX || job->rank >= job->size)
        return ct_fail(reterr, EINVAL, "the host says: rank %u of %u",
                       job->rank, job->size);
    return job->node_of != NULL ? renumber(job, reterr)
                                : discover(conn, reterr);
}

/* Where the host's map is not to be believed: variables that all ranks have. */
static const struct {
    const struct host_adapter *adapter;
    const char *name, *value, *why;
} false_maps[] = {
    {&host_pmi2, "SLURM_DISTRIBUTION", "arbitrary",
     "Slurm 22.05's pmi2 puts each rank of srun -m arbitrary on a node of its "
     "own"},
};

static bool is_false_map(const struct host_adapter *adapter, char *const *env)
{
    for (size_t i = 0; i < sizeof false_maps / sizeof false_maps[0]; i++) {
        const char *value = env_get(env, false_maps[i].name);

        if (adapter == false_maps[i].adapter && value != NULL &&
            strcmp(value, false_maps[i].value) == 0)
            return true;
    }
    return false;
}

static int start(struct host_conn *conn, char *const *env,
                 struct ct_error *reterr)
{
    struct adapter_facts facts = {.size = 0};

    conn->state = conn->adapter->open(env, &facts, reterr);
    if (conn->state == NULL)
        return -1;
    if (is_false_map(conn->adapter, env)) {
        free(facts.node_of);
        facts.node_of = NULL;
    }
    return take_facts(conn, &facts, reterr);
}

struct host_conn *host_open(const struct host_adapter *adapter,
                            char *const *env, struct ct_error *reterr)
{
    struct host_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    conn->adapter = adapter;
    if (start(conn, env, reterr) == 0)
        return conn;
    ct_fail_in(reterr, "%s", adapter->name);
    host_give_up(conn, 1);
    return NULL;
}

const struct host_job *host_job(const struct host_conn *conn)
{
    return &conn->job;
}

static void free_conn(struct host_conn *conn)
{
    free(conn->job.node_of);
    free(conn);
}

int host_close(struct host_conn *conn, struct ct_error *reterr)
{
    int rc;

    if (conn == NULL)
        return 0;
    rc = conn->adapter->close(conn->state, reterr);
    free_conn(conn);
    return rc;
}

void host_give_up(struct host_conn *conn, int exitcode)
{
    if (conn == NULL)
        return;
    if (conn->state != NULL && conn->adapter->abort != NULL)
        conn->adapter->abort(conn->state, exitcode);
    else if (conn->state != NULL)
        conn->adapter->close(conn->state, NULL);
    free_conn(conn);
}

/* ---- the exchange ---- */

static void segment_key(unsigned rank, size_t i, char *ret)
{
    if (i == 0)
        snprintf(ret, ADAPTER_KEY_SIZE, "ctrun-%u", rank);
    else
        snprintf(ret, ADAPTER_KEY_SIZE, "ctrun-%u-%zu", rank, i);
}

static int put_text(struct host_conn *conn, const char *text,
                    struct ct_error *reterr)
{
    size_t count = (strlen(text) + SEGMENT - 1) / SEGMENT;

    for (size_t i = 0; i < count; i++) {
        char key[ADAPTER_KEY_SIZE], value[ADAPTER_VALUE_MAX + 1];
        int len = i == 0 ? snprintf(value, sizeof value, "%zu-", count) : 0;

        snprintf(value + len, sizeof value - (size_t)len, "%.*s", SEGMENT,
                 text + i * SEGMENT);
        segment_key(conn->job.rank, i, key);
        if (conn->adapter->put(conn->state, key, value, reterr) < 0)
            return -1;
    }
    return 0;
}

static int put_blob(struct host_conn *conn, const void *blob, size_t len,
                    struct ct_error *reterr)
{
    char text[TEXT_MAX + 1];

    if (len > HOST_BLOB_MAX)
        return ct_fail(reterr, EMSGSIZE, "%zu bytes are more than %d", len,
                       HOST_BLOB_MAX);
    base64_encode(blob, len, text);
    return put_text(conn, text, reterr);
}

int host_exchange(struct host_conn *conn, const void *blob, size_t len,
                  struct ct_error *reterr)
{
    if (put_blob(conn, blob, len, reterr) < 0)
        return -1;
    return conn->adapter->fence(conn->state, reterr);
}

static int get_segment(struct host_conn *conn, unsigned rank, size_t i,
                       char *ret, bool *ret_found, struct ct_error *reterr)
{
    char key[ADAPTER_KEY_SIZE];

    segment_key(rank, i, key);
    return conn->adapter->get(conn->state, rank, key, ret,
                              ADAPTER_VALUE_MAX + 1, ret_found, reterr);
}

static int fail_garbled(unsigned rank, struct ct_error *reterr)
{
    return ct_fail(reterr, EPROTO, "what rank %u has put is garbled", rank);
}

/* Take COUNT- off the first segment. */
static int cut_count(char *value, long *ret)
{
    char *dash = strchr(value, '-');

    if (dash == NULL || ct_span_number(ct_span(value, (size_t)(dash - value)),
                                       1, SEGMENTS_MAX, ret) < 0)
        return -1;
    memmove(value, dash + 1, strlen(dash + 1) + 1);
    return 0;
}

/* All of a rank's text; "" when it has put nothing. */
static int get_text(struct host_conn *conn, unsigned rank, char *text,
                    struct ct_error *reterr)
{
    char value[ADAPTER_VALUE_MAX + 1];
    size_t len = 0;
    long count = 1;
    bool found;

    text[0] = '\0';
    for (long i = 0; i < count; i++) {
        if (get_segment(conn, rank, (size_t)i, value, &found, reterr) < 0)
            return -1;
        if (i == 0 && !found)
            return 0;
        if (!found || (i == 0 && cut_count(value, &count) < 0) ||
            len + strlen(value) > TEXT_MAX)
            return fail_garbled(rank, reterr);
        len = (size_t)(stpcpy(text + len, value) - text);
    }
    return len > 0 ? 0 : fail_garbled(rank, reterr);
}

int host_blob(struct host_conn *conn, unsigned rank, void **ret,
              size_t *ret_len, struct ct_error *reterr)
{
    CT_AUTO_FREE void *blob = NULL;
    char text[TEXT_MAX + 1];
    ssize_t len = 0;

    if (rank >= conn->job.size)
        return ct_fail(reterr, EINVAL, "there is no rank %u", rank);
    if (get_text(conn, rank, text, reterr) < 0)
        return -1;
    if (text[0] != '\0') {
        blob = malloc(HOST_BLOB_MAX);
        if (blob == NULL)
            return ct_fail_nomem(reterr);
        len = base64_decode(text, strlen(text), blob, HOST_BLOB_MAX);
        if (len < 0)
            return fail_garbled(rank, reterr);
    }
    *ret = ct_steal_ptr(&blob);
    *ret_len = (size_t)len;
    return 0;
}
