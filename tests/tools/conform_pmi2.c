/*
 * conform_pmi2 [TEST...]: see conform.h. Compiles with the pmi2.h of Slurm and
 * with MPICH's; what only one of them has is looked for when it runs.
 *
 *     cc conform_pmi2.c conform.c conform_life.c -I/usr/include/slurm -lpmi2
 * -lpthread -ldl
 */
#include "conform.h"

#define USE_PMI2_API
#include <pmi2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LATE_US = 100000 };

/* ---- the headers: what their infos are (ours has the first two) ---- */

#if defined(PMI2U_Info) && !defined(CONFORM_PAIRS) /* Slurm's */
typedef MPID_Info info;
#define INFO_VALUE value
#define PREPUT(infos) ((const info *[]){&(infos)[0], &(infos)[1]})
#elif defined(PMI_SUBVERSION) /* MPICH's, 4.1 and newer */
typedef PMI2_keyval_t info;
#define INFO_VALUE val
#define PREPUT(infos) (infos)
#else /* MPICH's of old, which keeps to itself what it is */
struct MPIR_Info {
    int handle, ref_count;
    struct MPIR_Info *next;
    char *key, *value;
};
typedef struct MPIR_Info info;
#define INFO_VALUE value
#define PREPUT(infos) ((const info *[]){&(infos)[0], &(infos)[1]})
#endif

/* ---- what conform.c asks ---- */

#define job self.job

static int get(const char *key, char *buf, int size)
{
    int len;

    return PMI2_KVS_Get(job, PMI2_ID_NULL, key, buf, size, &len);
}

static int mapping(char *buf, int size)
{
    int found = 0;
    int code = PMI2_Info_GetJobAttr("PMI_process_mapping", buf, size, &found);

    return code != 0 ? code : found ? 0 : PMI2_FAIL;
}

/*
 * A fence may let go before all have come; a get behind it may not (MPICH's
 * pmi2.h).
 */
static void barrier(void)
{
    char none[8];

    PMI2_KVS_Fence();
    get("conform-none", none, sizeof none);
}

/* ---- init, finalize ---- */

static int begin(void)
{
    int code = PMI2_Init(&self.spawned, &self.size, &self.rank, &self.appnum);

    if (code == 0 && PMI2_Job_GetId(job, sizeof job) != 0)
        job[0] = '\0';
    return code;
}

static void test_init(void)
{
    int code = begin();

    code_good("code", code);
    if (code != 0)
        exit(1);
    number_is("initialized", PMI2_Initialized() != 0, 1);
    check(self.size >= 1 && self.rank >= 0 && self.rank < self.size, "size",
          "%d", self.size);
    number_is("spawned", self.spawned, 0);
    /* Slurm's is -1 */
    tell("appnum", "%s",
         self.appnum == 0    ? "0"
         : self.appnum == -1 ? "-1"
                             : "another");
}

static void test_finalize(void)
{
    code_good("code", PMI2_Finalize());
}

/* Nothing of the job is known. */
static void ask_all(void)
{
    char buf[64] = "";
    int number;

    code_bad("put", PMI2_KVS_Put("k", "v"));
    code_bad("fence", PMI2_KVS_Fence());
    code_bad("get", PMI2_KVS_Get("j", PMI2_ID_NULL, "k", buf, 64, &number));
    code_bad("job-id", PMI2_Job_GetId(buf, 64));
    code_bad("get-node", PMI2_Info_GetNodeAttr("k", buf, 64, &number, 0));
    code_bad("get-job", PMI2_Info_GetJobAttr("k", buf, 64, &number));
}

static void test_before(void)
{
    char buf[64] = "";

    number_is("initialized", PMI2_Initialized() != 0, 0);
    ask_all();
    code_bad("put-node", PMI2_Info_PutNodeAttr("k", "v"));
    code_bad("publish", PMI2_Nameserv_publish("s", NULL, "p"));
    code_bad("lookup", PMI2_Nameserv_lookup("s", NULL, buf, 64));
    code_bad("unpublish", PMI2_Nameserv_unpublish("s", NULL));
    code_any("finalize", PMI2_Finalize());
}

static void test_after(void)
{
    tell("initialized", "%d", PMI2_Initialized() != 0);
    ask_all();
    code_any("finalize", PMI2_Finalize());
}

/* ---- facts ---- */

/* Whatever it is, all have the same. */
static void test_job_id(void)
{
    char id[PMI2_MAX_VALLEN] = "", other[PMI2_MAX_VALLEN] = "";

    code_good("code", PMI2_Job_GetId(id, sizeof id));
    check(id[0] != '\0', "id", "%s", id[0] != '\0' ? "some" : "none");
    if (self.rank == 0)
        PMI2_KVS_Put("conform-job", id);
    barrier();
    get("conform-job", other, sizeof other);
    check(strcmp(id, other) == 0, "same", "%s",
          strcmp(id, other) == 0 ? "yes" : "no");
}

static void test_slurms_facts(void)
{
    int (*get_rank)(int *) = optional("rank", "PMI2_Job_GetRank");
    int (*get_size)(int *) = optional("node-size", "PMI2_Info_GetSize");
    int number = -1;

    meet_neighbours();
    if (get_rank != NULL) {
        code_good("rank", get_rank(&number));
        number_is("rank", number, self.rank);
    }
    if (get_size == NULL)
        return;
    code_good("node-size", get_size(&number));
    /* Slurm's header says the node's, its library says the job's */
    check(number == self.local_count || number == self.size, "node-size", "%s",
          self.local_count == self.size ? "the job's, which is the node's"
          : number == self.size         ? "the job's"
                                        : "the node's");
}

static void test_job_attrs(void)
{
    char buf[PMI2_MAX_ATTRVALUE] = "";
    int found = -1, number = -1, len = -1;

    code_any("universe",
             PMI2_Info_GetJobAttr("universeSize", buf, sizeof buf, &found));
    check(found == 0 || atoi(buf) > 0 || buf[0] == '\0', "universe", "%s",
          found != 1              ? "not found"
          : atoi(buf) < self.size ? "found, too small"
                                  : "found");
    found = -1;
    code_any("universe-array", PMI2_Info_GetJobAttrIntArray(
                                   "universeSize", &number, 1, &len, &found));
    tell("universe-array", "%s",
         found != 1            ? "not found"
         : number == atoi(buf) ? "the same"
                               : "another");
    found = 1;
    code_any("unknown", PMI2_Info_GetJobAttr("PMI_conform_unknown", buf,
                                             sizeof buf, &found));
    tell("unknown", "found %d", found);
    found = 1;
    code_any("unknown-array",
             PMI2_Info_GetJobAttrIntArray("PMI_conform_unknown", &number, 1,
                                          &len, &found));
    tell("unknown-array", "found %d", found);
}

/* ---- get ---- */

static void get_into(const char *name, int room, int expected)
{
    char buf[64];
    int len = -9;

    memset(buf, GUARD, sizeof buf);
    code_any(name,
             PMI2_KVS_Get(job, PMI2_ID_NULL, "conform-room", buf, room, &len));
    number_is(name, len, expected);
    within_room(name, buf, (size_t)room, sizeof buf);
}

/* The length is told; of a value that does not fit, as a negative number. */
static void test_get(void)
{
    char buf[64] = "";
    int len = -1;

    if (self.rank == 0)
        PMI2_KVS_Put("conform-room", "0123456789");
    barrier();
    get_into("more-room", 20, 10);
    get_into("just-enough", 11, 10);
    get_into("too-small", 10, -10);
    get_into("one-byte", 1, -10);
    code_good("own-job",
              PMI2_KVS_Get(job, PMI2_ID_NULL, "conform-room", buf, 64, &len));
    code_good("by-rank", PMI2_KVS_Get(job, 0, "conform-room", buf, 64, &len));
    code_good("by-wrong-rank",
              PMI2_KVS_Get(job, self.size - 1, "conform-room", buf, 64, &len));
    /* Slurm and Hydra do not look at the id */
    code_any("other-job", PMI2_KVS_Get("conform.no-such-job", PMI2_ID_NULL,
                                       "conform-room", buf, 64, &len));
}

/* pmi2.h: without an id it is this job. Slurm's library cannot. */
static void test_get_null(void)
{
    char buf[64] = "";
    int len = -1;

    if (self.rank == 0)
        PMI2_KVS_Put("conform-null", "0123456789");
    barrier();
    code_good("code",
              PMI2_KVS_Get(NULL, PMI2_ID_NULL, "conform-null", buf, 64, &len));
    text_is("value", buf, "0123456789");
    number_is("length", len, 10);
}

/* Buffers that are too small for what is not got by KVS_Get. */
static void test_rooms(void)
{
    char buf[64];
    int found, numbers[4] = {-1, -1, -1, -1}, len = -1;

    memset(buf, GUARD, sizeof buf);
    code_any("job-id", PMI2_Job_GetId(buf, 2));
    within_room("job-id", buf, 2, 64);
    memset(buf, GUARD, sizeof buf);
    code_any("job-attr",
             PMI2_Info_GetJobAttr("PMI_process_mapping", buf, 5, &found));
    within_room("job-attr", buf, 5, 64);
    meet_neighbours();
    if (is_leader()) {
        PMI2_Info_PutNodeAttr("conform-room", "0123456789");
        PMI2_Info_PutNodeAttr("conform-numbers", "3,1,-4,1");
    }
    memset(buf, GUARD, sizeof buf);
    code_any("node-attr",
             PMI2_Info_GetNodeAttr("conform-room", buf, 5, &found, 1));
    within_room("node-attr", buf, 5, 64);
    barrier();
    code_any("array", PMI2_Info_GetNodeAttrIntArray("conform-numbers", numbers,
                                                    2, &len, &found));
    check(numbers[2] == -1, "array", "within its room");
    check(len <= 2, "array", "%d of 2", len);
}

/* ---- what is of a node ---- */

static void get_from(const char *name, int rank, int waitfor)
{
    char key[64], buf[64] = "", expected[64];
    int found = -1;

    snprintf(key, sizeof key, "conform-%s-%d", name, rank);
    snprintf(expected, sizeof expected, "of %d", rank);
    if (PMI2_Info_GetNodeAttr(key, buf, sizeof buf, &found, waitfor) != 0 ||
        found != 1 || strcmp(buf, expected) != 0)
        check(false, name, "of rank %d: found %d, '%s'", rank, found, buf);
}

static void put_own(const char *name)
{
    char key[64], value[64];

    snprintf(key, sizeof key, "conform-%s-%d", name, self.rank);
    snprintf(value, sizeof value, "of %d", self.rank);
    code_good(name, PMI2_Info_PutNodeAttr(key, value));
}

static void get_all(const char *name)
{
    for (int i = 0; i < self.local_count; i++)
        get_from(name, self.local_ranks[i], 1);
}

/* The leader's is late: the others wait for it. */
static void test_node_attrs(void)
{
    char buf[PMI2_MAX_ATTRVALUE + 1] = "", text[PMI2_MAX_ATTRVALUE + 1];
    int found = 1;

    meet_neighbours();
    code_good("unknown",
              PMI2_Info_GetNodeAttr("conform-nobody", buf, 64, &found, 0));
    number_is("unknown", found, 0);
    put_own("soon");
    get_all("soon");
    if (is_leader())
        usleep(LATE_US);
    put_own("late");
    get_all("late");
    text_of(text, PMI2_MAX_ATTRVALUE - 1, 5);
    if (is_leader())
        code_good("longest", PMI2_Info_PutNodeAttr("conform-longest", text));
    code_good("longest", PMI2_Info_GetNodeAttr("conform-longest", buf,
                                               sizeof buf, &found, 1));
    text_is("longest", buf, text);
}

static void test_node_arrays(void)
{
    int numbers[8] = {0}, len = -1, found = -1;

    meet_neighbours();
    if (is_leader()) {
        code_good("put", PMI2_Info_PutNodeAttr("conform-array", "3,1,-4,1,5"));
        PMI2_Info_PutNodeAttr("conform-words", "one,two");
    }
    barrier();
    code_good("get", PMI2_Info_GetNodeAttrIntArray("conform-array", numbers, 8,
                                                   &len, &found));
    number_is("found", found, 1);
    number_is("length", len, 5);
    check(numbers[0] == 3 && numbers[2] == -4 && numbers[4] == 5, "numbers",
          "%d %d %d %d %d", numbers[0], numbers[1], numbers[2], numbers[3],
          numbers[4]);
    code_good("unknown", PMI2_Info_GetNodeAttrIntArray(
                             "conform-nobody", numbers, 8, &len, &found));
    number_is("unknown", found, 0);
    code_bad("words", PMI2_Info_GetNodeAttrIntArray("conform-words", numbers, 8,
                                                    &len, &found));
}

/* As long as can be, and nothing that is easily carried. */
static void test_node_limits(void)
{
    static const char bytes[] = ";=\n\\ %";
    char key[PMI2_MAX_KEYLEN], text[PMI2_MAX_ATTRVALUE];
    char buf[PMI2_MAX_ATTRVALUE] = "";
    int found = -1;

    meet_neighbours();
    fill(key, sizeof key - 1, bytes);
    fill(text, sizeof text - 1, bytes);
    if (is_leader()) {
        usleep(LATE_US);
        code_good("put", PMI2_Info_PutNodeAttr(key, text));
    }
    code_good("get", PMI2_Info_GetNodeAttr(key, buf, sizeof buf, &found, 1));
    number_is("found", found, 1);
    text_is("get", buf, text);
    key[sizeof key - 2] = 'x';
    code_good("other", PMI2_Info_GetNodeAttr(key, buf, sizeof buf, &found, 0));
    number_is("other", found, 0);
}

/* ---- the ring ---- */

typedef int ring_function(const char *, int *, int *, char *, char *, int);

static void test_ring(void)
{
    ring_function *ring = (ring_function *)optional("ring", "PMIX_Ring");
    char mine[32], left[64] = "", right[64] = "";
    int rank = -1, ranks = -1;

    if (ring == NULL)
        return;
    snprintf(mine, sizeof mine, "of=%d", self.rank);
    code_good("code", ring(mine, &rank, &ranks, left, right, sizeof left));
    number_is("ranks", ranks, self.size);
    check(rank >= 0 && rank < self.size, "rank", "%s",
          rank == self.rank ? "as in the job" : "another");
    if (rank != self.rank) /* which is allowed */
        return;
    snprintf(mine, sizeof mine, "of=%d",
             (self.rank + self.size - 1) % self.size);
    text_is("left", left, mine);
    snprintf(mine, sizeof mine, "of=%d", (self.rank + 1) % self.size);
    text_is("right", right, mine);
}

/* ---- spawn ---- */

static int spawn(const char *kind, const char *args, char *id, int id_size,
                 int errors[3])
{
    char *path = strdup(own_path());
    const char *commands[2] = {path, path};
    const char *first[] = {"child", kind, "first", args, "two words", NULL};
    const char *second[] = {"child", kind, "second", NULL};
    const char **argvs[2] = {first, second};
    int argcs[2] = {5, 3}, procs[2] = {2, 1}, info_counts[2] = {0, 0};
    const info *infos[2] = {NULL, NULL};
    info preput[2];

    memset(preput, 0, sizeof preput);
    preput[0].key = (char *)"conform-parent";
    preput[0].INFO_VALUE = job;
    preput[1].key = (char *)"conform-word";
    preput[1].INFO_VALUE = (char *)"a=word";
    return PMI2_Job_Spawn(2, commands, argcs, argvs, procs, info_counts, infos,
                          2, PREPUT(preput), id, id_size, errors);
}

/* What the children say, they say: "child 0 spawn.word: 'a=word'". */
static void test_spawn(void)
{
    char id[PMI2_MAX_VALLEN] = "";
    int errors[3] = {-9, -9, -9};

    if (self.rank == 0) {
        code_good("code", spawn("spawn", "a=b", id, sizeof id, errors));
        check(id[0] != '\0' && strcmp(id, job) != 0, "id", "%s",
              id[0] == '\0'          ? "none"
              : strcmp(id, job) == 0 ? "the parent's"
                                     : "another");
        /* one a command (pmi2.h), or one a process as Slurm's library has it */
        check(errors[0] == 0 && errors[1] == 0, "errors", "%d %d %d", errors[0],
              errors[1], errors[2]);
    }
    barrier();
}

static int spawn_missing(void)
{
    const char *commands[] = {"/conform/no/such/program"}, *none[] = {NULL};
    const char **argvs[] = {none};
    char id[PMI2_MAX_VALLEN] = "";
    int zero = 0, one = 1, error = 0;

    return PMI2_Job_Spawn(1, commands, &zero, argvs, &one, &zero, NULL, 0, NULL,
                          id, sizeof id, &error);
}

static int connect_to(const char *id)
{
    PMI2_Connect_comm_t conn;

    memset(&conn, 0, sizeof conn);
    return PMI2_Job_Connect(id, &conn);
}

static void test_connect(void)
{
    char id[PMI2_MAX_VALLEN] = "", buf[64] = "";
    int errors[3], len;

    if (self.rank == 0 && spawn("connect", "a=b", id, sizeof id, errors) == 0) {
        code_good("connect", connect_to(id));
        code_any("get-of-theirs",
                 PMI2_KVS_Get(id, PMI2_ID_NULL, "conform-word", buf, 64, &len));
        code_good("disconnect", PMI2_Job_Disconnect(id));
    }
    barrier();
}

/* ---- NULL ---- */

static char room[64];
static int number;

CALL(put_key, PMI2_KVS_Put(NULL, "v"))
CALL(put_value, PMI2_KVS_Put("k", NULL))
CALL(get_key, PMI2_KVS_Get(job, -1, NULL, room, 64, &number))
CALL(get_value, PMI2_KVS_Get(job, -1, "conform-there", NULL, 64, &number))
CALL(get_length, PMI2_KVS_Get(job, -1, "conform-there", room, 64, NULL))
CALL(get_negative, PMI2_KVS_Get(job, -1, "conform-there", room, -1, &number))
CALL(get_zero, PMI2_KVS_Get(job, -1, "conform-there", room, 0, &number))
CALL(job_id, PMI2_Job_GetId(NULL, 64))
CALL(job_id_zero, PMI2_Job_GetId(room, 0))
CALL(put_node_name, PMI2_Info_PutNodeAttr(NULL, "v"))
CALL(put_node_value, PMI2_Info_PutNodeAttr("k", NULL))
CALL(node_name, PMI2_Info_GetNodeAttr(NULL, room, 64, &number, 0))
CALL(node_value, PMI2_Info_GetNodeAttr("conform-node", NULL, 64, &number, 0))
CALL(node_found, PMI2_Info_GetNodeAttr("conform-node", room, 64, NULL, 0))
CALL(job_name, PMI2_Info_GetJobAttr(NULL, room, 64, &number))
CALL(job_value, PMI2_Info_GetJobAttr("PMI_process_mapping", NULL, 64, &number))
CALL(job_found, PMI2_Info_GetJobAttr("PMI_process_mapping", room, 64, NULL))
CALL(array_name,
     PMI2_Info_GetNodeAttrIntArray(NULL, &number, 1, &number, &number))
CALL(array_numbers, PMI2_Info_GetNodeAttrIntArray("conform-numbers", NULL, 1,
                                                  &number, &number))
CALL(publish_name, PMI2_Nameserv_publish(NULL, NULL, "p"))
CALL(publish_port, PMI2_Nameserv_publish("s", NULL, NULL))
CALL(lookup_name, PMI2_Nameserv_lookup(NULL, NULL, room, 64))
CALL(unpublish_name, PMI2_Nameserv_unpublish(NULL, NULL))
CALL(connect_job, PMI2_Job_Connect(NULL, NULL))
CALL(disconnect_job, PMI2_Job_Disconnect(NULL))
CALL(spawn_commands, PMI2_Job_Spawn(1, NULL, NULL, NULL, NULL, NULL, NULL, 0,
                                    NULL, NULL, 0, NULL))
CALL(spawn_none, PMI2_Job_Spawn(0, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL,
                                NULL, 0, NULL))

static const struct conform_call null_calls[] = {
    {"put-key", null_put_key, true},
    {"put-value", null_put_value, true},
    {"get-key", null_get_key, true},
    {"get-value", null_get_value, true},
    {"get-length", null_get_length, false},
    {"get-negative", null_get_negative, false},
    {"get-zero", null_get_zero, false},
    {"job-id", null_job_id, true},
    {"job-id-zero", null_job_id_zero, false},
    {"put-node-name", null_put_node_name, true},
    {"put-node-value", null_put_node_value, true},
    {"node-name", null_node_name, true},
    {"node-value", null_node_value, true},
    {"node-found", null_node_found, false},
    {"job-name", null_job_name, true},
    {"job-value", null_job_value, true},
    {"job-found", null_job_found, false},
    {"array-name", null_array_name, true},
    {"array-numbers", null_array_numbers, true},
    {"publish-name", null_publish_name, true},
    {"publish-port", null_publish_port, true},
    {"lookup-name", null_lookup_name, true},
    {"unpublish-name", null_unpublish_name, true},
    {"connect-job", null_connect_job, true},
    {"disconnect-job", null_disconnect_job, true},
    {"spawn-commands", null_spawn_commands, true},
    {"spawn-none", null_spawn_none, false},
    {.name = NULL},
};

/*
 * One rank asks, since what crashes may have left half a question on the wire;
 * it ends without a word to the server.
 */
static void test_null(void)
{
    begin_well();
    if (self.rank == 0) {
        PMI2_KVS_Put("conform-there", "value");
        PMI2_Info_PutNodeAttr("conform-node", "value");
        PMI2_Info_PutNodeAttr("conform-numbers", "1,2");
    }
    PMI2_KVS_Fence();
    if (self.rank == 0)
        try_calls(null_calls);
    finalize_well();
}

/* ---- all ---- */

static void ask_abort(void)
{
    PMI2_Abort(1, "conform aborts");
}

static int publish(const char *name, const char *port)
{
    return PMI2_Nameserv_publish(name, NULL, port);
}

static int lookup(const char *name, char *buf, int size)
{
    return PMI2_Nameserv_lookup(name, NULL, buf, size);
}

static int unpublish(const char *name)
{
    return PMI2_Nameserv_unpublish(name, NULL);
}

static const struct conform_api api = {
    .last_code = "ERR_OTHER",
    .begin = begin,
    .finalize = PMI2_Finalize,
    .abort = ask_abort,
    .put = PMI2_KVS_Put,
    .fence = PMI2_KVS_Fence,
    .barrier = barrier,
    .get = get,
    .mapping = mapping,
    .port = "a port=1:2",
    .publish = publish,
    .lookup = lookup,
    .unpublish = unpublish,
    .spawn_missing = spawn_missing,
    .connect = connect_to,
    .disconnect = PMI2_Job_Disconnect,
};

static const struct conform_test tests[] = {
    {"before", BEFORE, test_before},
    {"job-id", DURING, test_job_id},
    {"slurms-facts", DURING, test_slurms_facts},
    {"values", DURING, test_values},
    {"keys", DURING, test_keys},
    {"missing", DURING, test_missing},
    {"again", DURING, test_again},
    {"many", DURING, test_many},
    {"fences", DURING, test_fences},
    {"get", DURING, test_get},
    {"rooms", DURING, test_rooms},
    {"mapping", DURING, test_mapping},
    {"job-attrs", DURING, test_job_attrs},
    {"node-attrs", DURING, test_node_attrs},
    {"node-arrays", DURING, test_node_arrays},
    {"ring", ASKED, test_ring},
    {"threads", DURING, test_threads},
    {"fork", DURING, test_fork},
    {"after", AFTER, test_after},
    {"get-null", ASKED, test_get_null},
    {"limits", ASKED, test_limits},
    {"node-limits", ASKED, test_node_limits},
    {"names", ASKED, test_names},
    {"fork-get", ASKED, test_fork_get},
    {"spawn", ASKED, test_spawn},
    {"spawn-bad", ASKED, test_spawn_bad},
    {"connect", ASKED, test_connect},
    {"reinit", ALONE, test_reinit},
    {"abort", ALONE, test_abort},
    {"fork-finalize", ALONE, test_fork_finalize},
    {"null", ALONE, test_null},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    self.api = &api;
    self.key_max = PMI2_MAX_KEYLEN;
    self.value_max = PMI2_MAX_VALLEN;
    return conform_main(argc, argv, tests, test_init, test_finalize);
}
