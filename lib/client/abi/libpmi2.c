/*
 * The functions of libpmi2.so.0. Each looks at its arguments, and lets the
 * client of the session answer.
 */
#include "base/scope.h"
#include "client/abi/pmi2.h"
#include "client/abi/session.h"
#include "client/abi/spawn.h"

#include <stdint.h>
#include <stdio.h>

enum { NUMBER_SIZE = 16 };

/* What all need before they ask. */
#define ENTER(client)                                                          \
    struct ct_error error;                                                     \
    struct client *client = session_enter();                                   \
                                                                               \
    if (client == NULL)                                                        \
    return PMI2_ERR_INIT

int PMI2_Init(int *spawned, int *size, int *rank, int *appnum)
{
    const struct client_facts *facts;
    struct client *client;
    int rc;

    if (spawned == NULL || size == NULL || rank == NULL || appnum == NULL)
        return PMI2_ERR_INVALID_ARG;
    rc = session_begin(CHOOSE_PMI2, &client);
    if (rc != PMI2_SUCCESS)
        return rc;
    facts = client_facts(client);
    *spawned = facts->spawned;
    *size = (int)facts->size;
    *rank = (int)facts->rank;
    *appnum = facts->appnum;
    return session_leave(0, NULL);
}

int PMI2_Finalize(void)
{
    return session_end();
}

int PMI2_Initialized(void)
{
    return session_has_begun();
}

int PMI2_Set_threaded(int is_threaded)
{
    (void)is_threaded;
    return PMI2_SUCCESS;
}

int PMI2_Abort(int flag, const char msg[])
{
    (void)flag;
    session_abort(1, msg);
}

/* ---- jobs ---- */

static int copy(char *to, int size, const char *from)
{
    int len = snprintf(to, size > 0 ? (size_t)size : 0, "%s", from);

    return len < size ? PMI2_SUCCESS : PMI2_ERR_INVALID_LENGTH;
}

int PMI2_Job_GetId(char jobid[], int jobid_size)
{
    struct client_facts facts;
    int rc;

    if (jobid == NULL)
        return PMI2_ERR_INVALID_ARG;
    rc = session_facts(&facts);
    return rc == PMI2_SUCCESS ? copy(jobid, jobid_size, facts.jobid) : rc;
}

int PMI2_Job_GetRank(int *rank)
{
    struct client_facts facts;
    int rc;

    if (rank == NULL)
        return PMI2_ERR_INVALID_ARG;
    rc = session_facts(&facts);
    if (rc == PMI2_SUCCESS)
        *rank = (int)facts.rank;
    return rc;
}

int PMI2_Job_Connect(const char jobid[], PMI2_Connect_comm_t *conn)
{
    (void)conn;
    if (jobid == NULL)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_connect(client, jobid, &error), &error);
}

int PMI2_Job_Disconnect(const char jobid[])
{
    if (jobid == NULL)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_disconnect(client, jobid, &error), &error);
}

int PMI2_Job_Spawn(int count, const char *cmds[], int argcs[],
                   const char **argvs[], const int maxprocs[],
                   const int info_keyval_sizes[],
                   const void *info_keyval_vectors, int preput_keyval_size,
                   const void *preput_keyval_vector, char jobId[],
                   int jobIdSize, int errors[])
{
    struct spawn_request request = {
        .count = count,
        .cmds = cmds,
        .argvs = argvs,
        .argcs = argcs,
        .maxprocs = maxprocs,
        .info_sizes = info_keyval_sizes,
        .infos = info_keyval_vectors,
        .preput_size = preput_keyval_size,
        .preputs = preput_keyval_vector,
        .layout = SPAWN_GUESSED,
    };

    if (!spawn_is_valid(&request) || jobId == NULL || jobIdSize < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    for (int i = 0; errors != NULL && i < count; i++)
        errors[i] = PMI2_SUCCESS;
    return session_leave(
        spawn_request(client, &request, jobId, (size_t)jobIdSize, errors,
                      errors != NULL ? (size_t)count : 0, &error),
        &error);
}

/* ---- the KVS ---- */

/* PMI2_SUCCESS; or why the server need not be asked. */
static int check_pair(const struct client *client, const char *key,
                      const char *value)
{
    const struct client_facts *facts = client_facts(client);

    if (key[0] == '\0')
        return PMI2_ERR_INVALID_KEY;
    if (strlen(key) >= facts->key_max)
        return PMI2_ERR_INVALID_KEY_LENGTH;
    if (strlen(value) >= facts->value_max)
        return PMI2_ERR_INVALID_VAL_LENGTH;
    return PMI2_SUCCESS;
}

typedef int put_function(struct client *client, const char *key,
                         const char *value, struct ct_error *reterr);

static int put_pair(put_function *put, const char *key, const char *value)
{
    int rc;

    if (key == NULL || value == NULL)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    rc = check_pair(client, key, value);
    if (rc == PMI2_SUCCESS)
        return session_leave(put(client, key, value, &error), &error);
    session_leave(0, NULL);
    return rc;
}

int PMI2_KVS_Put(const char key[], const char value[])
{
    return put_pair(client_put, key, value);
}

int PMI2_KVS_Fence(void)
{
    ENTER(client);
    return session_leave(client_fence(client, &error), &error);
}

/* As much as fits, and how long it is. */
static void give(const char *text, char *value, int maxvalue, int *vallen)
{
    int len = snprintf(value, (size_t)maxvalue, "%s", text);

    *vallen = len < maxvalue ? len : -len;
}

int PMI2_KVS_Get(const char *jobid, int src_pmi_id, const char key[],
                 char value[], int maxvalue, int *vallen)
{
    struct client_source from = {.jobid = jobid, .rank = src_pmi_id};
    char text[CLIENT_VALUE_SIZE];
    bool found = false;
    int rc;

    if (key == NULL || value == NULL || vallen == NULL || maxvalue < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    rc = session_leave(
        client_get_from(client, &from, key, text, sizeof text, &found, &error),
        &error);
    if (rc != PMI2_SUCCESS)
        return rc;
    if (!found)
        return PMI2_ERR_OTHER;
    give(text, value, maxvalue, vallen);
    return PMI2_SUCCESS;
}

/* ---- attributes ---- */

int PMI2_Info_PutNodeAttr(const char name[], const char value[])
{
    return put_pair(client_node_put, name, value);
}

int PMI2_Info_GetNodeAttr(const char name[], char value[], int valuelen,
                          int *found, int waitfor)
{
    bool is_there = false;
    int rc;

    if (name == NULL || value == NULL || found == NULL || valuelen < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    rc = session_leave(client_node_get(client, name, waitfor != 0, value,
                                       (size_t)valuelen, &is_there, &error),
                       &error);
    *found = is_there;
    return rc;
}

/* Of the job's; what is said of it in numbers elsewhere is said here, too. */
static int job_attr(struct client *client, const char *name, char *value,
                    size_t size, bool *ret_found, struct ct_error *reterr)
{
    int universe = client_facts(client)->universe_size;

    if (client_attr(client, name, value, size, ret_found, reterr) < 0)
        return -1;
    if (*ret_found || universe < 0 || strcmp(name, "universeSize") != 0)
        return 0;
    if ((size_t)snprintf(value, size, "%d", universe) >= size)
        return ct_fail(reterr, ENOSPC, "a number does not fit");
    *ret_found = true;
    return 0;
}

int PMI2_Info_GetJobAttr(const char name[], char value[], int valuelen,
                         int *found)
{
    bool is_there = false;
    int rc;

    if (name == NULL || value == NULL || found == NULL || valuelen < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    rc = session_leave(
        job_attr(client, name, value, (size_t)valuelen, &is_there, &error),
        &error);
    *found = is_there;
    return rc;
}

/* "1,2,3": as many as fit. -1: it is something else. */
static int parse_numbers(const char *text, int array[], int arraylen)
{
    struct ct_span rest = ct_span_str(text);
    int count = 0;

    while (rest.len > 0 && count < arraylen) {
        long number;

        if (ct_span_number(ct_span_cut(&rest, ','), INT32_MIN, INT32_MAX,
                           &number) < 0)
            return -1;
        array[count++] = (int)number;
    }
    return count;
}

static int give_numbers(const char *text, int array[], int arraylen,
                        int *outlen, int *found)
{
    int count = parse_numbers(text, array, arraylen);

    *found = count >= 0;
    *outlen = count >= 0 ? count : 0;
    return count >= 0 ? PMI2_SUCCESS : PMI2_FAIL;
}

int PMI2_Info_GetJobAttrIntArray(const char name[], int array[], int arraylen,
                                 int *outlen, int *found)
{
    char text[PMI2_MAX_ATTRVALUE + 1];
    int rc;

    if (array == NULL || outlen == NULL || arraylen < 1)
        return PMI2_ERR_INVALID_ARG;
    rc = PMI2_Info_GetJobAttr(name, text, sizeof text, found);
    if (rc != PMI2_SUCCESS || !*found)
        return rc;
    return give_numbers(text, array, arraylen, outlen, found);
}

/* Ranks of this node, as PMI-2 has them predefined. */
static int give_local_ranks(int array[], int arraylen, int *outlen)
{
    CT_AUTO_FREE int *ranks = NULL;
    size_t count;
    int rc = session_clique(&ranks, &count);

    if (rc != PMI2_SUCCESS)
        return rc;
    if (count > (size_t)arraylen)
        count = (size_t)arraylen;
    memcpy(array, ranks, count * sizeof *array);
    *outlen = (int)count;
    return PMI2_SUCCESS;
}

int PMI2_Info_GetNodeAttrIntArray(const char name[], int array[], int arraylen,
                                  int *outlen, int *found)
{
    char text[PMI2_MAX_ATTRVALUE + 1];
    int rc;

    if (name == NULL || array == NULL || outlen == NULL || found == NULL ||
        arraylen < 1)
        return PMI2_ERR_INVALID_ARG;
    *found = 1;
    *outlen = 1;
    if (strcmp(name, "localRanksCount") == 0)
        return PMI2_Info_GetSize(array);
    if (strcmp(name, "localRanks") == 0)
        return give_local_ranks(array, arraylen, outlen);
    rc = PMI2_Info_GetNodeAttr(name, text, sizeof text, found, 0);
    if (rc != PMI2_SUCCESS || !*found)
        return rc;
    return give_numbers(text, array, arraylen, outlen, found);
}

int PMI2_Info_GetSize(int *size)
{
    return size != NULL ? session_clique_size(size) : PMI2_ERR_INVALID_ARG;
}

/* ---- names ---- */

int PMI2_Nameserv_publish(const char service_name[], const void *info_ptr,
                          const char port[])
{
    (void)info_ptr;
    if (service_name == NULL || port == NULL)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_publish(client, service_name, port, &error),
                         &error);
}

int PMI2_Nameserv_lookup(const char service_name[], const void *info_ptr,
                         char port[], int portLen)
{
    bool found = false;
    int rc;

    (void)info_ptr;
    if (service_name == NULL || port == NULL || portLen < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    rc = session_leave(client_lookup(client, service_name, port,
                                     (size_t)portLen, &found, &error),
                       &error);
    return rc == PMI2_SUCCESS && !found ? PMI2_ERR_OTHER : rc;
}

int PMI2_Nameserv_unpublish(const char service_name[], const void *info_ptr)
{
    (void)info_ptr;
    if (service_name == NULL)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    return session_leave(client_unpublish(client, service_name, &error),
                         &error);
}

/* ---- the ring, made of a fence ---- */

static void ring_key(char buf[PMI2_MAX_KEYLEN], unsigned round, unsigned rank)
{
    snprintf(buf, PMI2_MAX_KEYLEN, "-ring-%u-%u", round, rank);
}

static int ring_get(struct client *client, unsigned round, unsigned rank,
                    char *buf, int size, struct ct_error *reterr)
{
    struct client_source from = {.rank = (int)rank};
    char key[PMI2_MAX_KEYLEN];
    bool found;

    ring_key(key, round, rank);
    if (client_get_from(client, &from, key, buf, (size_t)size, &found, reterr) <
        0)
        return -1;
    return found ? 0
                 : ct_fail(reterr, EPROTO, "rank %u is not in the ring", rank);
}

static int ring(struct client *client, unsigned round, const char *value,
                char *left, char *right, int size, struct ct_error *reterr)
{
    unsigned n = client_facts(client)->size;
    unsigned rank = client_facts(client)->rank;
    char key[PMI2_MAX_KEYLEN];

    ring_key(key, round, rank);
    if (client_put(client, key, value, reterr) < 0 ||
        client_fence(client, reterr) < 0 ||
        ring_get(client, round, (rank + n - 1) % n, left, size, reterr) < 0)
        return -1;
    return ring_get(client, round, (rank + 1) % n, right, size, reterr);
}

int PMIX_Ring(const char value[], int *rank, int *ranks, char left[],
              char right[], int maxvalue)
{
    if (value == NULL || rank == NULL || ranks == NULL || left == NULL ||
        right == NULL || maxvalue < 1)
        return PMI2_ERR_INVALID_ARG;
    ENTER(client);
    *rank = (int)client_facts(client)->rank;
    *ranks = (int)client_facts(client)->size;
    return session_leave(
        ring(client, session_round(), value, left, right, maxvalue, &error),
        &error);
}
