/*
 * A host that speaks PMIx, through the libpmix.so.2 that is found when we run:
 * the image's own, whatever release it is. Only functions and types are used
 * that are the same from 4.0 to 7.0.
 *
 * PMI has one KVS, in which a key is looked up whoever has put it; PMIx wants
 * to know the rank, and what is got once may be answered from a cache for ever.
 * So a rank packs what it has put since the last fence into one value, whose
 * key is the number of the fence:
 *
 *      put a=1, put b=2        pending: a=1 b=2
 *      fence                   PMIx_Put "pmi-1" = {a=1 b=2}, PMIx_Fence
 *      get a                   PMIx_Get "pmi-1" of rank 0, 1, ... until one has
 *                              a; all they have goes to a table
 *
 * It does so also when there is nothing: who gets it need never be told that it
 * is not there, which some hosts do not do before the job ends. Some deliver it
 * in the fence, others ask the rank's node at the get; therefore nobody leaves
 * before all do (finalize).
 */
#include "base/pack.h"
#include "base/scope.h"
#include "base/strv.h"
#include "client/libpmix.h"
#include "client/meet.h"
#include "client/ops.h"
#include "client/table.h"
#include "wire/mapping.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Preputs, which PMIx has not, as spawned processes find them. */
#define PREPUT_PREFIX "CTRUN_PMI_PREPUT_"

extern char **environ;

struct pmix {
    struct client client;
    struct libpmix lib;
    pmix_proc_t me;
    unsigned fences;
    unsigned *pulled;    /* of each rank: up to which fence we have it */
    struct table values; /* what we have of all */
    struct pack pending; /* what we have put since the last fence */
    bool fenced;         /* others may still want what we have put */
    char *map, *peers;   /* as they were told before a finalize */
    unsigned reopened;   /* how often */
    unsigned old_fences; /* those before that */
    bool again;          /* and no fence since */
};

static struct pmix *pmix_of(struct client *client)
{
    return (struct pmix *)client; /* its first member */
}

static int fail_pmix(const struct pmix *pmix, struct ct_error *reterr,
                     const char *what, pmix_status_t rc)
{
    return ct_fail(reterr, EREMOTEIO, "%s: %s", what,
                   pmix->lib.Error_string(rc));
}

/* ---- values ---- */

/* Loaders and destructors are functions in one release and macros in another.
 */
static void info_flag(pmix_info_t *info, const char *key)
{
    memset(info, 0, sizeof *info);
    snprintf(info->key, sizeof info->key, "%s", key);
    info->value.type = PMIX_BOOL;
    info->value.data.flag = true;
}

static void info_text(pmix_info_t *info, const char *key, const char *text)
{
    memset(info, 0, sizeof *info);
    snprintf(info->key, sizeof info->key, "%s", key);
    info->value.type = PMIX_STRING;
    info->value.data.string = (char *)text; /* the library copies */
}

static void value_free(pmix_value_t *value)
{
    if (value == NULL)
        return;
    if (value->type == PMIX_STRING)
        free(value->data.string);
    if (value->type == PMIX_BYTE_OBJECT)
        free(value->data.bo.bytes);
    free(value);
}

/*
 * directive PMIX_OPTIONAL: look into what we have been given. PMIX_IMMEDIATE:
 * ask the server for what it has by now. NULL: wait for it. NULL if it is not
 * there, else to value_free().
 */
static pmix_value_t *fetch(const struct pmix *pmix, pmix_rank_t rank,
                           const char *key, const char *directive,
                           pmix_status_t *ret_rc)
{
    pmix_proc_t proc = pmix->me;
    pmix_value_t *value = NULL;
    pmix_info_t info;

    proc.rank = rank;
    if (directive != NULL)
        info_flag(&info, directive);
    *ret_rc = pmix->lib.Get(&proc, key, directive != NULL ? &info : NULL,
                            directive != NULL ? 1 : 0, &value);
    return *ret_rc == PMIX_SUCCESS ? value : NULL;
}

static bool read_number(const pmix_value_t *value, unsigned *ret)
{
    switch (value->type) {
    case PMIX_UINT32:
        *ret = value->data.uint32;
        return true;
    case PMIX_INT:
    case PMIX_INT32:
        *ret = (unsigned)value->data.integer;
        return value->data.integer >= 0;
    case PMIX_UINT:
        *ret = value->data.uint;
        return true;
    case PMIX_UINT16:
        *ret = value->data.uint16;
        return true;
    case PMIX_UINT64:
    case PMIX_SIZE:
        *ret = (unsigned)value->data.uint64;
        return value->data.uint64 <= UINT_MAX;
    default:
        return false;
    }
}

static bool get_number(const struct pmix *pmix, pmix_rank_t rank,
                       const char *key, unsigned *ret)
{
    pmix_status_t rc;
    pmix_value_t *value = fetch(pmix, rank, key, PMIX_OPTIONAL, &rc);
    bool found = value != NULL && read_number(value, ret);

    value_free(value);
    return found;
}

/* To free(); NULL: the host does not tell. */
static char *get_text(const struct pmix *pmix, pmix_rank_t rank,
                      const char *key)
{
    pmix_status_t rc;
    pmix_value_t *value = fetch(pmix, rank, key, PMIX_OPTIONAL, &rc);
    char *text = NULL;

    if (value != NULL && value->type == PMIX_STRING)
        text = ct_steal_ptr(&value->data.string);
    value_free(value);
    return text;
}

/* ---- attributes of the node ---- */

static void node_key(const char *key, char ret[PMIX_MAX_KEYLEN + 1])
{
    snprintf(ret, PMIX_MAX_KEYLEN + 1, "pmi-node-%s", key);
}

/* Under a name of PMIx's, to be seen at once. */
static int put_local(const struct pmix *pmix, const char *name,
                     const char *value, struct ct_error *reterr)
{
    pmix_value_t text;
    pmix_status_t rc;

    memset(&text, 0, sizeof text);
    text.type = PMIX_STRING;
    text.data.string = (char *)value; /* which is copied */
    rc = pmix->lib.Put(PMIX_LOCAL, name, &text);
    if (rc == PMIX_SUCCESS)
        rc = pmix->lib.Commit();
    return rc == PMIX_SUCCESS ? 0 : fail_pmix(pmix, reterr, "PMIx_Put", rc);
}

static int node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr)
{
    char name[PMIX_MAX_KEYLEN + 1];

    node_key(key, name);
    return put_local(pmix_of(client), name, value, reterr);
}

/* The ranks of our node, "1,3"; to free(). NULL: the host does not tell. */
static char *get_peers(const struct pmix *pmix)
{
    if (pmix->peers != NULL)
        return strdup(pmix->peers);
    return get_text(pmix, PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS);
}

/* Whichever rank of the node has put it. */
static int look_at(const struct pmix *pmix, const char *peers, const char *key,
                   struct client_answer *ret, struct ct_error *reterr)
{
    struct ct_span list = ct_span_str(peers);
    long rank;

    ret->found = false;
    while (!ret->found &&
           ct_span_number(ct_span_cut(&list, ','), 0, INT_MAX, &rank) == 0) {
        pmix_status_t rc;
        pmix_value_t *value =
            fetch(pmix, (pmix_rank_t)rank, key, PMIX_IMMEDIATE, &rc);
        int result = 0;

        if (value != NULL && value->type == PMIX_STRING)
            result = client_answer_set(ret, value->data.string,
                                       strlen(value->data.string), reterr);
        value_free(value);
        if (result < 0)
            return -1;
    }
    return 0;
}

static int node_look(struct client *client, const char *key,
                     struct client_answer *ret, struct ct_error *reterr)
{
    const struct pmix *pmix = pmix_of(client);
    CT_AUTO_FREE char *peers = get_peers(pmix);
    char name[PMIX_MAX_KEYLEN + 1];

    if (peers == NULL)
        return ct_fail(reterr, ENOTSUP,
                       "the PMIx host does not tell who is on this node");
    node_key(key, name);
    return look_at(pmix, peers, name, ret, reterr);
}

/*
 * PMIx can wait for a key of a rank, and nobody says which rank will put it. So
 * we ask again; the host ends us when somebody who should put it dies.
 */
static int node_get(struct client *client, const char *key, bool wait,
                    struct client_answer *ret, struct ct_error *reterr)
{
    return wait ? client_look_again(client, node_look, key, -1, ret, reterr)
                : node_look(client, key, ret, reterr);
}

/* ---- what ranks put ---- */

/* Ours is seen by us at once. */
static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    size_t before = pmix->pending.len;

    pack_str(&pmix->pending, key);
    pack_str(&pmix->pending, value);
    if (!pmix->pending.failed &&
        table_put(&pmix->values, key, value, client->facts.rank) == 0)
        return 0;
    pmix->pending.len = before;
    pmix->pending.failed = false;
    return ct_fail_nomem(reterr);
}

static void key_of(unsigned fence, char ret[32])
{
    snprintf(ret, 32, "pmi-%u", fence);
}

static pmix_status_t put_pending(struct pmix *pmix, const char *key)
{
    pmix_value_t value;
    pmix_status_t rc;

    pack_u32(&pmix->pending, 0); /* libpmix does not like nothing */
    if (pmix->pending.failed)
        return PMIX_ERR_NOMEM;
    memset(&value, 0, sizeof value);
    value.type = PMIX_BYTE_OBJECT;
    value.data.bo.bytes = pmix->pending.bytes; /* which is copied */
    value.data.bo.size = pmix->pending.len;
    rc = pmix->lib.Put(PMIX_GLOBAL, key, &value);
    pmix->pending.len = 0;
    return rc == PMIX_SUCCESS ? pmix->lib.Commit() : rc;
}

/*
 * libpmix's server takes the end of a connection for that of its rank, though
 * the rank has said good-bye: a fence that others of the node are in by then is
 * over without it. So after an init that is not the first nobody enters a fence
 * before all of the node are back. The nodes wait for each other as ever.
 */
static int look_for_peers(struct client *client, const char *key,
                          struct client_answer *ret, struct ct_error *reterr)
{
    const struct pmix *pmix = pmix_of(client);
    struct ct_span list = ct_span_str(pmix->peers);
    long rank;

    (void)reterr;
    ret->found = true;
    while (ret->found &&
           ct_span_number(ct_span_cut(&list, ','), 0, INT_MAX, &rank) == 0) {
        pmix_status_t rc;

        value_free(fetch(pmix, (pmix_rank_t)rank, key, PMIX_IMMEDIATE, &rc));
        ret->found = rc == PMIX_SUCCESS;
    }
    return 0;
}

static int await_peers(struct pmix *pmix, struct ct_error *reterr)
{
    struct client_answer answer = {.found = false};
    char key[32];

    if (pmix->peers == NULL)
        return 0;
    snprintf(key, sizeof key, "pmi-again-%u", pmix->reopened);
    if (put_local(pmix, key, "", reterr) < 0)
        return -1;
    return client_look_again(&pmix->client, look_for_peers, key, -1, &answer,
                             reterr);
}

static void meet_others(const struct pmix *pmix)
{
    CT_AUTO_FREE char *map = NULL;

    if (!meet_is_due(&pmix->me))
        return;
    map = get_text(pmix, PMIX_RANK_WILDCARD, PMIX_ANL_MAP);
    meet(&pmix->lib, &pmix->me, pmix->client.facts.size, map);
}

static int fence(struct client *client, struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_info_t info;
    pmix_status_t rc;
    char key[32];

    if (pmix->fences == 0)
        meet_others(pmix);
    if (pmix->again && await_peers(pmix, reterr) < 0)
        return -1;
    pmix->again = false;
    key_of(pmix->fences + 1, key);
    rc = put_pending(pmix, key);
    if (rc != PMIX_SUCCESS)
        return fail_pmix(pmix, reterr, "PMIx_Put", rc);
    info_flag(&info, PMIX_COLLECT_DATA);
    rc = pmix->lib.Fence(NULL, 0, &info, 1); /* NULL: the whole namespace */
    if (rc != PMIX_SUCCESS)
        return fail_pmix(pmix, reterr, "PMIx_Fence", rc);
    pmix->fences++;
    pmix->fenced = true;
    return 0;
}

static int take_pairs(struct pmix *pmix, unsigned rank,
                      const pmix_byte_object_t *bytes, struct ct_error *reterr)
{
    struct unpack u = {.bytes = bytes->bytes, .len = bytes->size};

    while (u.at + sizeof(uint32_t) < u.len) {
        const char *key = unpack_str(&u);
        const char *value = unpack_str(&u);

        if (key == NULL || value == NULL)
            return ct_fail(reterr, EPROTO, "what rank %u has put is garbled",
                           rank);
        if (table_put(&pmix->values, key, value, rank) < 0)
            return ct_fail_nomem(reterr);
    }
    return 0;
}

/* Get what rank has put before that fence. Of one before the last init it may
   be lost: libpmix 4 forgets what it has got, and servers what is theirs. */
static int pull_fence(struct pmix *pmix, unsigned rank, unsigned number,
                      struct ct_error *reterr)
{
    pmix_value_t *value;
    pmix_status_t rc;
    char key[32];
    bool old = number <= pmix->old_fences;
    int result;

    key_of(number, key);
    value = fetch(pmix, rank, key, old ? PMIX_IMMEDIATE : NULL, &rc);
    if (value == NULL && old)
        return 0;
    if (value == NULL)
        return fail_pmix(pmix, reterr, "PMIx_Get", rc);
    if (value->type == PMIX_BYTE_OBJECT)
        result = take_pairs(pmix, rank, &value->data.bo, reterr);
    else
        result =
            ct_fail(reterr, EPROTO, "what rank %u has put is no data", rank);
    value_free(value);
    return result;
}

static int pull(struct pmix *pmix, unsigned rank, struct ct_error *reterr)
{
    if (rank == pmix->client.facts.rank)
        return 0; /* it is in the table */
    while (pmix->pulled[rank] < pmix->fences) {
        if (pull_fence(pmix, rank, pmix->pulled[rank] + 1, reterr) < 0)
            return -1;
        pmix->pulled[rank]++;
    }
    return 0;
}

/* After pull() of whoever has put it, NULL: we do not have it yet. */
static int look(struct pmix *pmix, const char *key, const char **ret,
                struct ct_error *reterr)
{
    unsigned owner;

    *ret = table_get(&pmix->values, key, &owner);
    if (*ret == NULL)
        return 0;
    if (pull(pmix, owner, reterr) < 0)
        return -1;
    *ret = table_get(&pmix->values, key, NULL);
    return 0;
}

static int search(struct pmix *pmix, const struct client_source *from,
                  const char *key, const char **ret, struct ct_error *reterr)
{
    unsigned size = pmix->client.facts.size;
    bool known = from->rank >= 0 && (unsigned)from->rank < size;

    if (known && pull(pmix, (unsigned)from->rank, reterr) < 0)
        return -1;
    if (look(pmix, key, ret, reterr) < 0)
        return -1;
    if (known && from->only)
        return 0;
    for (unsigned rank = 0; rank < size && *ret == NULL; rank++) {
        if (pull(pmix, rank, reterr) < 0)
            return -1;
        *ret = table_get(&pmix->values, key, NULL);
    }
    return 0;
}

static int get(struct client *client, const struct client_source *from,
               const char *key, struct client_answer *ret,
               struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    const char *value;

    if (from->jobid != NULL && strcmp(from->jobid, pmix->me.nspace) != 0)
        return ct_fail(reterr, ENOTSUP, "the KVS of job %s cannot be seen",
                       from->jobid);
    if (search(pmix, from, key, &value, reterr) < 0)
        return -1;
    ret->found = false;
    if (value == NULL)
        return 0;
    return client_answer_set(ret, value, strlen(value), reterr);
}

/* ---- who is where ---- */

/* Where in the list name is; it is added when it is new. -1: no memory. Ranks
   of a node mostly follow each other, so we begin at the end. */
static long number_of_name(struct strv *names, const char *name)
{
    for (size_t i = names->count; i > 0; i--)
        if (strcmp(names->items[i - 1], name) == 0)
            return (long)i - 1;
    return strv_add(names, name) < 0 ? -1 : (long)names->count - 1;
}

/*
 * Not by PMIX_NODEID: for it libpmix 4.0, 5.0 and 7.0 answer with the number of
 * our own node whatever rank they are asked about, when the host is Slurm.
 */
static bool nodes_by_name(const struct pmix *pmix, unsigned *ret)
{
    unsigned size = pmix->client.facts.size;
    struct strv names = {0};
    unsigned rank;

    for (rank = 0; rank < size; rank++) {
        CT_AUTO_FREE char *name = get_text(pmix, rank, PMIX_HOSTNAME);
        long number = name != NULL ? number_of_name(&names, name) : -1;

        if (number < 0)
            break;
        ret[rank] = (unsigned)number;
    }
    strv_clear(&names);
    return rank == size;
}

static int write_map(const struct pmix *pmix, struct client_answer *ret,
                     struct ct_error *reterr)
{
    unsigned size = pmix->client.facts.size;
    CT_AUTO_FREE unsigned *node_of = calloc(size, sizeof *node_of);

    if (node_of == NULL)
        return ct_fail_nomem(reterr);
    /* one that does not fit is as good as none */
    ret->found = nodes_by_name(pmix, node_of) &&
                 mapping_encode(node_of, size, ret->buf, ret->size, NULL) >= 0;
    return 0;
}

static int attr(struct client *client, const char *key,
                struct client_answer *ret, struct ct_error *reterr)
{
    const struct pmix *pmix = pmix_of(client);
    CT_AUTO_FREE char *map = NULL;

    ret->found = false;
    if (strcmp(key, "PMI_process_mapping") != 0)
        return 0;
    if (pmix->map != NULL)
        return client_answer_set(ret, pmix->map, strlen(pmix->map), reterr);
    map = get_text(pmix, PMIX_RANK_WILDCARD, PMIX_ANL_MAP);
    if (map != NULL)
        return client_answer_set(ret, map, strlen(map), reterr);
    return write_map(pmix, ret, reterr);
}

/* ---- names ---- */

static int publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_info_t info;
    pmix_status_t rc;

    info_text(&info, name, port);
    rc = pmix->lib.Publish(&info, 1);
    return rc == PMIX_SUCCESS ? 0 : fail_pmix(pmix, reterr, "PMIx_Publish", rc);
}

static int unpublish(struct client *client, const char *name,
                     struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    char *names[] = {(char *)name, NULL};
    pmix_status_t rc = pmix->lib.Unpublish(names, NULL, 0);

    return rc == PMIX_SUCCESS ? 0
                              : fail_pmix(pmix, reterr, "PMIx_Unpublish", rc);
}

static int lookup(struct client *client, const char *name,
                  struct client_answer *ret, struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_pdata_t data;
    pmix_status_t rc;
    int result;

    memset(&data, 0, sizeof data);
    snprintf(data.key, sizeof data.key, "%s", name);
    rc = pmix->lib.Lookup(&data, 1, NULL, 0);
    ret->found = rc == PMIX_SUCCESS && data.value.type == PMIX_STRING;
    if (rc != PMIX_SUCCESS && rc != PMIX_ERR_NOT_FOUND)
        return fail_pmix(pmix, reterr, "PMIx_Lookup", rc);
    if (!ret->found)
        return 0;
    result = client_answer_set(ret, data.value.data.string,
                               strlen(data.value.data.string), reterr);
    free(data.value.data.string);
    return result;
}

/* ---- starting others ---- */

/* What is the host's business; it knows no other. */
static const struct {
    const char *info, *attribute;
} app_infos[] = {
    {"host", PMIX_HOST},
    {"hosts", PMIX_HOST},
    {"hostfile", PMIX_HOSTFILE},
};

static const char *attribute_of(const char *info)
{
    for (size_t i = 0; i < sizeof app_infos / sizeof app_infos[0]; i++)
        if (strcmp(app_infos[i].info, info) == 0)
            return app_infos[i].attribute;
    return NULL;
}

/* An app of ours: what it points to is in here, or the request's. */
struct app {
    pmix_app_t app; /* as libpmix wants it */
    struct strv argv;
    pmix_info_t infos[16];
};

static int fill_infos(struct app *app, const struct client_command *command,
                      struct ct_error *reterr)
{
    for (size_t i = 0; i < command->info_count; i++) {
        const struct client_pair *pair = &command->infos[i];
        const char *attribute = attribute_of(pair->key);

        if (strcmp(pair->key, "wdir") == 0)
            app->app.cwd = (char *)pair->value;
        if (attribute == NULL)
            continue;
        if (app->app.ninfo == sizeof app->infos / sizeof app->infos[0])
            return ct_fail(reterr, E2BIG, "too many words on where to start");
        info_text(&app->infos[app->app.ninfo++], attribute, pair->value);
    }
    /* of an array of none libpmix 4.2 looks for the end, beyond it */
    app->app.info = app->app.ninfo > 0 ? app->infos : NULL;
    return 0;
}

static int fill_app(struct app *app, const struct client_command *command,
                    struct strv *env, struct ct_error *reterr)
{
    int rc = strv_add(&app->argv, command->path);

    for (size_t i = 0; i < command->argc && rc == 0; i++)
        rc = strv_add(&app->argv, command->argv[i]);
    if (rc < 0)
        return ct_fail_nomem(reterr);
    app->app.cmd = (char *)command->path;
    app->app.argv = strv_list(&app->argv);
    app->app.env = strv_list(env);
    app->app.maxprocs = (int)command->maxprocs;
    return fill_infos(app, command, reterr);
}

static int preput_environment(const struct client_spawn *spawn,
                              struct strv *ret, struct ct_error *reterr)
{
    int rc = strv_add(ret, "PMI_SPAWNED=1");

    for (size_t i = 0; i < spawn->preput_count && rc == 0; i++)
        rc = strv_addf(ret, PREPUT_PREFIX "%s=%s", spawn->preputs[i].key,
                       spawn->preputs[i].value);
    return rc < 0 ? ct_fail_nomem(reterr) : 0;
}

/* libpmix keeps nothing of what it gets here. */
static int start(struct pmix *pmix, struct app *apps, size_t count,
                 pmix_nspace_t ret, struct ct_error *reterr)
{
    CT_AUTO_FREE pmix_app_t *list = calloc(count, sizeof *list);
    pmix_status_t rc;

    if (list == NULL)
        return ct_fail_nomem(reterr);
    for (size_t i = 0; i < count; i++)
        list[i] = apps[i].app;
    rc = pmix->lib.Spawn(NULL, 0, list, count, ret);
    return rc == PMIX_SUCCESS ? 0 : fail_pmix(pmix, reterr, "PMIx_Spawn", rc);
}

static int spawn_apps(struct pmix *pmix, const struct client_spawn *spawn,
                      struct app *apps, pmix_nspace_t ret,
                      struct ct_error *reterr)
{
    struct strv env = {0};
    int rc = preput_environment(spawn, &env, reterr);

    for (size_t i = 0; i < spawn->count && rc == 0; i++)
        rc = fill_app(&apps[i], &spawn->commands[i], &env, reterr);
    if (rc == 0)
        rc = start(pmix, apps, spawn->count, ret, reterr);
    for (size_t i = 0; i < spawn->count; i++)
        strv_clear(&apps[i].argv);
    strv_clear(&env);
    return rc;
}

static int spawn(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr)
{
    CT_AUTO_FREE struct app *apps = calloc(spawn->count, sizeof *apps);
    pmix_nspace_t nspace = "";

    (void)codes;
    (void)code_count;
    if (apps == NULL)
        return ct_fail_nomem(reterr);
    if (spawn_apps(pmix_of(client), spawn, apps, nspace, reterr) < 0)
        return -1;
    snprintf(jobid, size, "%s", nspace);
    return 0;
}

static int take_preput(struct pmix *pmix, const char *assignment,
                       struct ct_error *reterr)
{
    const char *key = assignment + strlen(PREPUT_PREFIX);
    const char *equals = strchr(key, '=');
    CT_AUTO_FREE char *name = NULL;

    if (equals == NULL)
        return 0;
    name = ct_span_dup(ct_span(key, (size_t)(equals - key)));
    if (name == NULL ||
        table_put(&pmix->values, name, equals + 1, pmix->client.facts.rank) < 0)
        return ct_fail_nomem(reterr);
    return 0;
}

static int take_preputs(struct pmix *pmix, struct ct_error *reterr)
{
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, PREPUT_PREFIX, strlen(PREPUT_PREFIX)) == 0 &&
            take_preput(pmix, *entry, reterr) < 0)
            return -1;
    return 0;
}

/* ---- beginning and end ---- */

static int find_facts(struct pmix *pmix, struct ct_error *reterr)
{
    struct client_facts *facts = &pmix->client.facts;
    unsigned number;

    facts->rank = pmix->me.rank;
    if (!get_number(pmix, PMIX_RANK_WILDCARD, PMIX_JOB_SIZE, &facts->size) ||
        facts->rank >= facts->size)
        return ct_fail(reterr, EREMOTEIO,
                       "the PMIx host does not tell the size of job %s",
                       pmix->me.nspace);
    if (get_number(pmix, facts->rank, PMIX_APPNUM, &number))
        facts->appnum = (int)number;
    if (get_number(pmix, PMIX_RANK_WILDCARD, PMIX_UNIV_SIZE, &number))
        facts->universe_size = (int)number;
    facts->spawned = env_get(environ, "PMI_SPAWNED") != NULL;
    snprintf(facts->jobid, sizeof facts->jobid, "%.*s", PMI_KVSNAME_MAX - 1,
             pmix->me.nspace);
    return 0;
}

/* What libpmix 4 has no more after another init. To free(), or NULL. */
static char *get_map(struct client *client)
{
    CT_AUTO_FREE char *map = malloc(PMI_FRAME_MAX);
    struct client_answer answer = {.buf = map, .size = PMI_FRAME_MAX};

    if (map == NULL || attr(client, "PMI_process_mapping", &answer, NULL) < 0 ||
        !answer.found)
        return NULL;
    return strdup(map);
}

static void keep_facts(struct pmix *pmix)
{
    if (pmix->reopened > 0)
        return;
    pmix->map = get_map(&pmix->client);
    pmix->peers = get_peers(pmix);
}

/* Nobody goes while another may want something of it. */
static int finalize(struct client *client, struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_status_t rc = PMIX_SUCCESS, finalized;

    if (pmix->fenced)
        rc = pmix->lib.Fence(NULL, 0, NULL, 0);
    pmix->fenced = false;
    keep_facts(pmix);
    finalized = pmix->lib.Finalize(NULL, 0);
    if (rc == PMIX_SUCCESS)
        rc = finalized;
    return rc == PMIX_SUCCESS ? 0
                              : fail_pmix(pmix, reterr, "PMIx_Finalize", rc);
}

/* Fences are counted on: an old number would find what was put under it. */
static int reopen(struct client *client, struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_status_t rc = pmix->lib.Init(&pmix->me, NULL, 0);

    if (rc != PMIX_SUCCESS)
        return fail_pmix(pmix, reterr, "PMIx_Init", rc);
    pmix->reopened++;
    pmix->old_fences = pmix->fences;
    pmix->again = true;
    return 0;
}

static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    struct pmix *pmix = pmix_of(client);
    pmix_status_t rc = pmix->lib.Abort(exitcode, "", NULL, 0);

    return rc == PMIX_SUCCESS ? 0 : fail_pmix(pmix, reterr, "PMIx_Abort", rc);
}

static void close_pmix(struct client *client)
{
    struct pmix *pmix = pmix_of(client);

    table_clear(&pmix->values);
    free(pmix->pending.bytes);
    free(pmix->pulled);
    free(pmix->map);
    free(pmix->peers);
    free(pmix);
}

static const struct client_ops ops = {
    .name = "PMIx",
    .put = put,
    .fence = fence,
    .get = get,
    .attr = attr,
    .node_put = node_put,
    .node_get = node_get,
    .publish = publish,
    .unpublish = unpublish,
    .lookup = lookup,
    .spawn = spawn,
    .finalize = finalize,
    .reopen = reopen,
    .abort = ask_abort,
    .close = close_pmix,
};

static int prepare(struct pmix *pmix, struct ct_error *reterr)
{
    if (find_facts(pmix, reterr) < 0)
        return -1;
    pmix->pulled = calloc(pmix->client.facts.size, sizeof *pmix->pulled);
    if (pmix->pulled == NULL)
        return ct_fail_nomem(reterr);
    return take_preputs(pmix, reterr);
}

static int begin(struct pmix *pmix, struct ct_error *reterr)
{
    pmix_status_t rc = pmix->lib.Init(&pmix->me, NULL, 0);

    if (rc != PMIX_SUCCESS)
        return fail_pmix(pmix, reterr, "PMIx_Init", rc);
    if (prepare(pmix, reterr) == 0)
        return 0;
    pmix->lib.Finalize(NULL, 0);
    return -1;
}

struct client *client_open_pmix(struct ct_error *reterr)
{
    struct pmix *pmix;

    if (env_get(environ, "PMIX_RANK") == NULL) {
        ct_fail(reterr, ENOENT, "PMIX_RANK is not set");
        return NULL;
    }
    pmix = calloc(1, sizeof *pmix);
    if (pmix == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    pmix->client.ops = &ops;
    pmix->client.facts.appnum = pmix->client.facts.universe_size = -1;
    pmix->client.facts.key_max = CLIENT_KEY_SIZE;
    pmix->client.facts.value_max = CLIENT_VALUE_SIZE;
    if (libpmix_load(&pmix->lib, reterr) < 0 || begin(pmix, reterr) < 0) {
        close_pmix(&pmix->client);
        return NULL;
    }
    return &pmix->client;
}
