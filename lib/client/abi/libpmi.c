/*
 * The functions of libpmi.so.0. Each looks at its arguments, and lets the
 * client of the session answer.
 */
#include "base/scope.h"
#include "client/abi/pmi.h"
#include "client/abi/session.h"
#include "client/abi/spawn.h"

#include <stdint.h>
#include <stdio.h>

/* What all need before they ask. */
#define ENTER(client)                                                          \
    struct ct_error error;                                                     \
    struct client *client = session_enter();                                   \
                                                                               \
    if (client == NULL)                                                        \
    return PMI_ERR_INIT

int PMI_Init(int *spawned)
{
    struct client *client;
    int rc;

    if (spawned == NULL)
        return PMI_ERR_INVALID_ARG;
    rc = session_begin(CHOOSE_PMI1, &client);
    if (rc != PMI_SUCCESS)
        return rc;
    *spawned = client_facts(client)->spawned ? PMI_TRUE : PMI_FALSE;
    return session_leave(0, NULL);
}

int PMI_Initialized(PMI_BOOL *initialized)
{
    if (initialized == NULL)
        return PMI_ERR_INVALID_ARG;
    *initialized = session_has_begun() ? PMI_TRUE : PMI_FALSE;
    return PMI_SUCCESS;
}

int PMI_Finalize(void)
{
    return session_end();
}

int PMI_Abort(int exit_code, const char error_msg[])
{
    session_abort(exit_code, error_msg);
}

/* ---- who we are ---- */

/* One of the facts, as a number. */
static int get_fact(int *ret, int (*pick)(const struct client_facts *facts))
{
    struct client_facts facts;
    int rc;

    if (ret == NULL)
        return PMI_ERR_INVALID_ARG;
    rc = session_facts(&facts);
    if (rc == PMI_SUCCESS)
        *ret = pick(&facts);
    return rc;
}

static int pick_size(const struct client_facts *facts)
{
    return (int)facts->size;
}

static int pick_rank(const struct client_facts *facts)
{
    return (int)facts->rank;
}

/* Where nobody tells, or more ranks than slots, it is what there is. */
static int pick_universe(const struct client_facts *facts)
{
    return facts->universe_size > (int)facts->size ? facts->universe_size
                                                   : (int)facts->size;
}

static int pick_appnum(const struct client_facts *facts)
{
    return facts->appnum;
}

static int pick_name_max(const struct client_facts *facts)
{
    (void)facts;
    return PMI_KVSNAME_MAX;
}

/* Not PMI-2's, which are longer by a byte: callers count on PMI-1's. */
static int pick_key_max(const struct client_facts *facts)
{
    return facts->key_max < PMI_KEY_MAX ? (int)facts->key_max : PMI_KEY_MAX;
}

static int pick_value_max(const struct client_facts *facts)
{
    return facts->value_max < PMI_VALUE_MAX ? (int)facts->value_max
                                            : PMI_VALUE_MAX;
}

int PMI_Get_size(int *size)
{
    return get_fact(size, pick_size);
}

int PMI_Get_rank(int *rank)
{
    return get_fact(rank, pick_rank);
}

int PMI_Get_universe_size(int *size)
{
    return get_fact(size, pick_universe);
}

int PMI_Get_appnum(int *appnum)
{
    return get_fact(appnum, pick_appnum);
}

/* MPICH's ch3 asks before PMI_Init(), for buffers. */
static int get_max(int *ret, int (*pick)(const struct client_facts *facts),
                   int otherwise)
{
    int rc = get_fact(ret, pick);

    if (rc != PMI_ERR_INIT)
        return rc;
    *ret = otherwise;
    return PMI_SUCCESS;
}

int PMI_Get_id_length_max(int *length)
{
    return get_max(length, pick_name_max, PMI_KVSNAME_MAX);
}

int PMI_KVS_Get_name_length_max(int *length)
{
    return get_max(length, pick_name_max, PMI_KVSNAME_MAX);
}

int PMI_KVS_Get_key_length_max(int *length)
{
    return get_max(length, pick_key_max, PMI_KEY_MAX);
}

int PMI_KVS_Get_value_length_max(int *length)
{
    return get_max(length, pick_value_max, PMI_VALUE_MAX);
}

int PMI_KVS_Get_my_name(char kvsname[], int length)
{
    struct client_facts facts;
    int rc, len;

    if (kvsname == NULL)
        return PMI_ERR_INVALID_ARG;
    rc = session_facts(&facts);
    if (rc != PMI_SUCCESS)
        return rc;
    len = snprintf(kvsname, length > 0 ? (size_t)length : 0, "%s", facts.jobid);
    return len < length ? PMI_SUCCESS : PMI_ERR_INVALID_LENGTH;
}

int PMI_Get_id(char id_str[], int length)
{
    return PMI_KVS_Get_my_name(id_str, length);
}

int PMI_Get_kvs_domain_id(char id_str[], int length)
{
    return PMI_KVS_Get_my_name(id_str, length);
}

/* ---- who is on our node ---- */

int PMI_Get_clique_size(int *size)
{
    return size != NULL ? session_clique_size(size) : PMI_ERR_INVALID_ARG;
}

int PMI_Get_clique_ranks(int ranks[], int length)
{
    CT_AUTO_FREE int *found = NULL;
    size_t count;
    int rc;

    if (ranks == NULL)
        return PMI_ERR_INVALID_ARG;
    rc = session_clique(&found, &count);
    if (rc != PMI_SUCCESS)
        return rc;
    if (length < 0 || (size_t)length < count)
        return PMI_ERR_INVALID_LENGTH;
    memcpy(ranks, found, count * sizeof *ranks);
    return PMI_SUCCESS;
}

/* ---- together ---- */

/* Entered. Threads in barriers hold up no others, where the server lets them.
 */
static int meet(struct client *client, enum client_group kind, const int *ranks,
                size_t count, const char *tag)
{
    const struct client_facts *facts = client_facts(client);
    struct client_barrier barrier;
    struct ct_error error;

    if (!facts->groups || facts->size == 1)
        return session_leave(
            client_barrier_group(client, kind, ranks, count, tag, &error),
            &error);
    if (client_barrier_begin(client, kind, ranks, count, tag, &barrier,
                             &error) < 0)
        return session_leave(-1, &error);
    return session_wait(&barrier);
}

int PMI_Barrier(void)
{
    ENTER(client);
    if (!client_facts(client)->groups)
        return session_leave(client_fence(client, &error), &error);
    return meet(client, CLIENT_GROUP_WORLD, NULL, 0, "0");
}

/* As MPICH 5 makes it of any text, so that its ranks and ours may meet. */
static void write_tag(char buf[16], const char *stringtag)
{
    uint32_t number = stringtag != NULL ? 2166136261u : 0; /* FNV-1a */

    for (; stringtag != NULL && *stringtag != '\0'; stringtag++)
        number = (number ^ (unsigned char)*stringtag) * 16777619u;
    if (number > INT32_MAX)
        number = -number;
    snprintf(buf, 16, "%u", number);
}

/* Outside, constants stand for pointers that are none. */
static enum client_group kind_of(const int *group)
{
    if (group == PMI_GROUP_WORLD)
        return CLIENT_GROUP_WORLD;
    return group == PMI_GROUP_NODE ? CLIENT_GROUP_NODE : CLIENT_GROUP_LIST;
}

static bool is_self(const struct client *client, enum client_group kind,
                    const int *group, int count)
{
    return kind == CLIENT_GROUP_LIST && count == 1 &&
           group[0] == (int)client_facts(client)->rank;
}

int PMI_Barrier_group(const int *group, int count, const char *stringtag)
{
    enum client_group kind = kind_of(group);
    struct client *client;
    char tag[16];

    if (kind == CLIENT_GROUP_LIST && group != PMI_GROUP_SELF && count <= 0)
        return PMI_ERR_INVALID_ARG;
    client = session_enter();
    if (client == NULL)
        return PMI_ERR_INIT;
    if (group == PMI_GROUP_SELF && !client_facts(client)->groups) {
        /* by this MPICH 5 asks if there are any, and else does without */
        session_leave(0, NULL);
        return PMI_FAIL;
    }
    if (group == PMI_GROUP_SELF || is_self(client, kind, group, count))
        return session_leave(0, NULL);
    write_tag(tag, stringtag);
    return meet(client, kind, group, count > 0 ? (size_t)count : 0, tag);
}

/* ---- the KVS ---- */

/* PMI_SUCCESS; or why the server need not be asked. */
static int check_pair(const struct client *client, const char *key,
                      const char *value)
{
    const struct client_facts *facts = client_facts(client);

    if (key[0] == '\0')
        return PMI_ERR_INVALID_KEY;
    if (strlen(key) >= (size_t)pick_key_max(facts))
        return PMI_ERR_INVALID_KEY_LENGTH;
    if (strlen(value) >= (size_t)pick_value_max(facts))
        return PMI_ERR_INVALID_VAL_LENGTH;
    return PMI_SUCCESS;
}

static bool is_ours(const struct client *client, const char *kvsname)
{
    return strcmp(client_facts(client)->jobid, kvsname) == 0;
}

int PMI_KVS_Put(const char kvsname[], const char key[], const char value[])
{
    int rc;

    if (kvsname == NULL)
        return PMI_ERR_INVALID_KVS;
    if (key == NULL)
        return PMI_ERR_INVALID_KEY;
    if (value == NULL)
        return PMI_ERR_INVALID_VAL;
    ENTER(client);
    rc = is_ours(client, kvsname) ? check_pair(client, key, value)
                                  : PMI_ERR_INVALID_KVS;
    if (rc != PMI_SUCCESS) {
        session_leave(0, NULL);
        return rc;
    }
    return session_leave(client_put(client, key, value, &error), &error);
}

/* What is put goes to the server at once. */
int PMI_KVS_Commit(const char kvsname[])
{
    if (kvsname == NULL)
        return PMI_ERR_INVALID_ARG;
    ENTER(client);
    (void)error;
    (void)client;
    return session_leave(0, NULL);
}

/* A key to PMI-1's callers, and an attribute of the job wherever we ask by
   something else. */
static bool is_attribute(const char *key)
{
    return strcmp(key, "PMI_process_mapping") == 0;
}

static int get_value(struct client *client, const char *key, char *value,
                     int length, struct ct_error *reterr)
{
    size_t size = (size_t)length;
    bool found;

    if (client_get(client, key, value, size, &found, reterr) < 0)
        return -1;
    if (!found && is_attribute(key) &&
        client_attr(client, key, value, size, &found, reterr) < 0)
        return -1;
    return found ? 0 : ct_fail(reterr, ENOENT, "nobody has put '%.64s'", key);
}

int PMI_KVS_Get(const char kvsname[], const char key[], char value[],
                int length)
{
    if (kvsname == NULL)
        return PMI_ERR_INVALID_KVS;
    if (key == NULL)
        return PMI_ERR_INVALID_KEY;
    if (value == NULL)
        return PMI_ERR_INVALID_VAL;
    if (length <= 0)
        return PMI_ERR_INVALID_LENGTH;
    ENTER(client);
    if (!is_ours(client, kvsname)) {
        session_leave(0, NULL);
        return PMI_ERR_INVALID_KVS;
    }
    return session_leave(get_value(client, key, value, length, &error), &error);
}

int PMI_KVS_Create(char kvsname[], int length)
{
    (void)length;
    return kvsname == NULL ? PMI_ERR_INVALID_ARG : PMI_FAIL;
}

int PMI_KVS_Destroy(const char kvsname[])
{
    return kvsname == NULL ? PMI_ERR_INVALID_ARG : PMI_FAIL;
}

int PMI_KVS_Iter_first(const char kvsname[], char key[], int key_len,
                       char val[], int val_len)
{
    (void)key_len;
    (void)val_len;
    return kvsname == NULL || key == NULL || val == NULL ? PMI_ERR_INVALID_ARG
                                                         : PMI_FAIL;
}

int PMI_KVS_Iter_next(const char kvsname[], char key[], int key_len, char val[],
                      int val_len)
{
    return PMI_KVS_Iter_first(kvsname, key, key_len, val, val_len);
}

/* ---- names ---- */

int PMI_Publish_name(const char service_name[], const char port[])
{
    if (service_name == NULL || port == NULL)
        return PMI_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_publish(client, service_name, port, &error),
                         &error);
}

int PMI_Unpublish_name(const char service_name[])
{
    if (service_name == NULL)
        return PMI_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_unpublish(client, service_name, &error),
                         &error);
}

static int look_up(struct client *client, const char *name, char *port,
                   struct ct_error *reterr)
{
    bool found;

    if (client_lookup(client, name, port, PMI_MAX_PORT_NAME, &found, reterr) <
        0)
        return -1;
    return found ? 0
                 : ct_fail(reterr, ENOENT, "'%.64s' is not published", name);
}

int PMI_Lookup_name(const char service_name[], char port[])
{
    if (service_name == NULL || port == NULL)
        return PMI_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(look_up(client, service_name, port, &error), &error);
}

/* ---- starting others ---- */

int PMI_Spawn_multiple(int count, const char *cmds[], const char **argvs[],
                       const int maxprocs[], const int info_keyval_sizesp[],
                       const PMI_keyval_t *info_keyval_vectors[],
                       int preput_keyval_size,
                       const PMI_keyval_t preput_keyval_vector[], int errors[])
{
    struct spawn_request request = {
        .count = count,
        .cmds = cmds,
        .argvs = argvs,
        .maxprocs = maxprocs,
        .info_sizes = info_keyval_sizesp,
        .infos = (const void *)info_keyval_vectors,
        .preput_size = preput_keyval_size,
        .preputs = preput_keyval_vector,
        .layout = SPAWN_PAIRS,
    };

    if (!spawn_is_valid(&request) || errors == NULL)
        return PMI_ERR_INVALID_ARG;
    ENTER(client);
    for (size_t i = 0, n = spawn_procs(&request); i < n; i++)
        errors[i] = PMI_SUCCESS;
    return session_leave(spawn_request(client, &request, NULL, 0, errors,
                                       spawn_procs(&request), &error),
                         &error);
}

/* ---- arguments of PMI's own, of which there are none ---- */

int PMI_Parse_option(int num_args, char *args[], int *num_parsed,
                     PMI_keyval_t **keyvalp, int *size)
{
    if (num_args < 1)
        return PMI_ERR_INVALID_NUM_ARGS;
    if (args == NULL)
        return PMI_ERR_INVALID_ARGS;
    if (num_parsed == NULL)
        return PMI_ERR_INVALID_NUM_PARSED;
    if (keyvalp == NULL)
        return PMI_ERR_INVALID_KEYVALP;
    if (size == NULL)
        return PMI_ERR_INVALID_SIZE;
    *num_parsed = 0;
    *keyvalp = NULL;
    *size = 0;
    return PMI_SUCCESS;
}

int PMI_Args_to_keyval(int *argcp, char *((*argvp)[]), PMI_keyval_t **keyvalp,
                       int *size)
{
    if (argcp == NULL || argvp == NULL || keyvalp == NULL || size == NULL)
        return PMI_ERR_INVALID_ARG;
    *keyvalp = NULL;
    *size = 0;
    return PMI_SUCCESS;
}

int PMI_Free_keyvals(PMI_keyval_t keyvalp[], int size)
{
    return size < 0 || (keyvalp == NULL && size > 0) ? PMI_ERR_INVALID_ARG
                                                     : PMI_SUCCESS;
}

int PMI_Get_options(char *str, int *length)
{
    if (str == NULL || length == NULL)
        return PMI_ERR_INVALID_ARG;
    if (*length < 1) {
        *length = 1;
        return PMI_ERR_NOMEM;
    }
    str[0] = '\0';
    *length = 1;
    return PMI_SUCCESS;
}
