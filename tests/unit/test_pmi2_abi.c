/*
 * The functions of libpmi2.so.0 as programs call them, alone and as ranks of
 * our own server; and what threads and forks may do, which is the same in
 * libpmi.
 */
#include "client/abi/pmi2.h"
#include "tests/unit/abi.h"

static void init(void)
{
    int spawned = -1, size = 0, rank = -1, appnum = 77;

    ck_assert_int_eq(PMI2_Init(&spawned, &size, &rank, &appnum), PMI2_SUCCESS);
    ck_assert_int_eq(spawned, 0);
    ck_assert_int_ge(rank, 0);
    ck_assert_int_lt(rank, size);
    ck_assert_int_ne(appnum, 77);
}

static void init_alone(void)
{
    be_alone();
    init();
}

/* ---- codes ---- */

static void check_all_refuse(void)
{
    const char *cmds[] = {"a"};
    const int one[] = {1};
    char text[64], other[64];
    int a = 77, b = 77, found = 77;

    ck_assert_int_eq(PMI2_Initialized(), 0);
    ck_assert_int_eq(PMI2_Job_GetId(text, 64), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Job_GetRank(&a), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetSize(&a), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Job_Connect("j", NULL), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Job_Disconnect("j"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, NULL, NULL, 0,
                                    NULL, text, 64, &b),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_KVS_Put("k", "v"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, PMI2_ID_NULL, "k", text, 64, &a),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr("k", "v"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetNodeAttr("k", text, 64, &found, 0),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetNodeAttr("k", text, 64, &found, 1),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetJobAttr("k", text, 64, &found),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetNodeAttrIntArray("k", &a, 1, &b, &found),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("localRanks", &a, 1, &b, &found),
        PMI2_ERR_INIT);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("localRanksCount", &a, 1, &b, &found),
        PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Info_GetJobAttrIntArray("k", &a, 1, &b, &found),
                     PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Nameserv_publish("s", NULL, "p"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Nameserv_lookup("s", NULL, text, 64), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Nameserv_unpublish("s", NULL), PMI2_ERR_INIT);
    ck_assert_int_eq(PMIX_Ring("v", &a, &b, text, other, 64), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_ERR_INIT);
    ck_assert_int_eq(a, 77);
}

START_TEST(before_init_and_after_finalize)
{
    check_all_refuse();
    init_alone();
    ck_assert_int_eq(PMI2_Initialized(), 1);
    ck_assert_int_eq(PMI2_Set_threaded(1), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    check_all_refuse();
}
END_TEST

#define INVALID(call) ck_assert_int_eq(call, PMI2_ERR_INVALID_ARG)

static void check_nulls_of_values(void)
{
    char text[64], t[64];
    int n, f;

    INVALID(PMI2_KVS_Put(NULL, "v"));
    INVALID(PMI2_KVS_Put("k", NULL));
    INVALID(PMI2_KVS_Get(NULL, -1, NULL, text, 64, &n));
    INVALID(PMI2_KVS_Get(NULL, -1, "k", NULL, 64, &n));
    INVALID(PMI2_KVS_Get(NULL, -1, "k", text, 64, NULL));
    INVALID(PMI2_KVS_Get(NULL, -1, "k", text, 0, &n));
    INVALID(PMI2_KVS_Get(NULL, -1, "k", text, -1, &n));
    INVALID(PMI2_Info_PutNodeAttr(NULL, "v"));
    INVALID(PMI2_Info_PutNodeAttr("k", NULL));
    INVALID(PMI2_Info_GetNodeAttr(NULL, text, 64, &f, 0));
    INVALID(PMI2_Info_GetNodeAttr("k", NULL, 64, &f, 0));
    INVALID(PMI2_Info_GetNodeAttr("k", text, 64, NULL, 0));
    INVALID(PMI2_Info_GetNodeAttr("k", text, 0, &f, 0));
    INVALID(PMI2_Info_GetJobAttr(NULL, text, 64, &f));
    INVALID(PMI2_Info_GetJobAttr("k", NULL, 64, &f));
    INVALID(PMI2_Info_GetJobAttr("k", text, 64, NULL));
    INVALID(PMI2_Info_GetJobAttr("k", text, 0, &f));
    INVALID(PMI2_Info_GetNodeAttrIntArray(NULL, &n, 1, &n, &f));
    INVALID(PMI2_Info_GetNodeAttrIntArray("k", NULL, 1, &n, &f));
    INVALID(PMI2_Info_GetNodeAttrIntArray("k", &n, 0, &n, &f));
    INVALID(PMI2_Info_GetNodeAttrIntArray("k", &n, 1, NULL, &f));
    INVALID(PMI2_Info_GetNodeAttrIntArray("k", &n, 1, &n, NULL));
    INVALID(PMI2_Info_GetJobAttrIntArray(NULL, &n, 1, &n, &f));
    INVALID(PMI2_Info_GetJobAttrIntArray("k", NULL, 1, &n, &f));
    INVALID(PMI2_Info_GetJobAttrIntArray("k", &n, 0, &n, &f));
    INVALID(PMI2_Info_GetJobAttrIntArray("k", &n, 1, NULL, &f));
    INVALID(PMI2_Info_GetJobAttrIntArray("k", &n, 1, &n, NULL));
    INVALID(PMI2_Info_GetSize(NULL));
    INVALID(PMIX_Ring(NULL, &n, &n, text, t, 64));
    INVALID(PMIX_Ring("v", NULL, &n, text, t, 64));
    INVALID(PMIX_Ring("v", &n, NULL, text, t, 64));
    INVALID(PMIX_Ring("v", &n, &n, NULL, t, 64));
    INVALID(PMIX_Ring("v", &n, &n, text, NULL, 64));
    INVALID(PMIX_Ring("v", &n, &n, text, t, 0));
}

static void check_nulls_of_jobs(void)
{
    const char *cmds[] = {"a"};
    const int one[] = {1};
    char text[64];
    int n;

    INVALID(PMI2_Init(NULL, &n, &n, &n));
    INVALID(PMI2_Init(&n, NULL, &n, &n));
    INVALID(PMI2_Init(&n, &n, NULL, &n));
    INVALID(PMI2_Init(&n, &n, &n, NULL));
    INVALID(PMI2_Job_GetId(NULL, 64));
    INVALID(PMI2_Job_GetRank(NULL));
    INVALID(PMI2_Job_Connect(NULL, NULL));
    INVALID(PMI2_Job_Disconnect(NULL));
    INVALID(PMI2_Job_Spawn(0, cmds, NULL, NULL, one, NULL, NULL, 0, NULL, text,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, NULL, NULL, NULL, one, NULL, NULL, 0, NULL, text,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, cmds, NULL, NULL, NULL, NULL, NULL, 0, NULL, text,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, one, NULL, 0, NULL, text,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, NULL, NULL, 1, NULL, text,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, NULL, NULL, 0, NULL, NULL,
                           64, NULL));
    INVALID(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, NULL, NULL, 0, NULL, text,
                           0, NULL));
    INVALID(PMI2_Nameserv_publish(NULL, NULL, "p"));
    INVALID(PMI2_Nameserv_publish("s", NULL, NULL));
    INVALID(PMI2_Nameserv_unpublish(NULL, NULL));
    INVALID(PMI2_Nameserv_lookup(NULL, NULL, text, 64));
    INVALID(PMI2_Nameserv_lookup("s", NULL, NULL, 64));
    INVALID(PMI2_Nameserv_lookup("s", NULL, text, 0));
}

START_TEST(null_arguments)
{
    check_nulls_of_values();
    check_nulls_of_jobs();
    init_alone();
    check_nulls_of_values();
    check_nulls_of_jobs();
}
END_TEST

/* ---- alone, and as the one rank of a job ---- */

static void check_put_get(const char *key, const char *value)
{
    char text[PMI2_MAX_VALLEN + 1];
    int len = 0;

    ck_assert_int_eq(PMI2_KVS_Put(key, value), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_SUCCESS);
    ck_assert_int_eq(
        PMI2_KVS_Get(NULL, PMI2_ID_NULL, key, text, sizeof text, &len),
        PMI2_SUCCESS);
    ck_assert_str_eq(text, value);
    ck_assert_int_eq(len, (int)strlen(value));
}

static void check_limits(void)
{
    char key[66], value[1026], small[4];
    int len = 0;

    memset(key, 'k', 65);
    memset(value, 'v', 1025);
    key[65] = value[1025] = '\0';
    ck_assert_int_eq(PMI2_KVS_Put(key, "v"), PMI2_ERR_INVALID_KEY_LENGTH);
    ck_assert_int_eq(PMI2_KVS_Put("k", value), PMI2_ERR_INVALID_VAL_LENGTH);
    ck_assert_int_eq(PMI2_KVS_Put("", "v"), PMI2_ERR_INVALID_KEY);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr(key, "v"),
                     PMI2_ERR_INVALID_KEY_LENGTH);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr("k", value),
                     PMI2_ERR_INVALID_VAL_LENGTH);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr("", "v"), PMI2_ERR_INVALID_KEY);
    key[64] = value[1024] = '\0';
    check_put_get(key, value);
    check_put_get("odd", "a b;c=d\\\n%");
    check_put_get("none at=all; \\", "");
    check_put_get("%:", "%:");
    /* as much as fits, and its length */
    check_put_get("four", "1234");
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "four", small, 4, &len),
                     PMI2_SUCCESS);
    ck_assert_str_eq(small, "123");
    ck_assert_int_eq(len, -4);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "four", key, 5, &len), PMI2_SUCCESS);
    ck_assert_int_eq(len, 4);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "none", key, 5, &len),
                     PMI2_ERR_OTHER);
    ck_assert_int_eq(PMI2_Job_GetId(key, sizeof key), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Job_GetId(value, (int)strlen(key)),
                     PMI2_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI2_KVS_Get(key, 0, "four", value, 5, &len),
                     PMI2_SUCCESS);
}

static void check_attributes(void)
{
    char text[PMI2_MAX_ATTRVALUE];
    int numbers[3] = {0}, count = 7, found = 7;

    ck_assert_int_eq(PMI2_Info_GetNodeAttr("a", text, 64, &found, 0),
                     PMI2_SUCCESS);
    ck_assert_int_eq(found, 0);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr("a", "1,-2,3,4"), PMI2_SUCCESS);
    for (int wait = 0; wait < 2; wait++) {
        ck_assert_int_eq(PMI2_Info_GetNodeAttr("a", text, 64, &found, wait),
                         PMI2_SUCCESS);
        ck_assert_int_eq(found, 1);
        ck_assert_str_eq(text, "1,-2,3,4");
    }
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("a", numbers, 3, &count, &found),
        PMI2_SUCCESS);
    ck_assert(found == 1 && count == 3);
    ck_assert(numbers[0] == 1 && numbers[1] == -2 && numbers[2] == 3);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("none", numbers, 3, &count, &found),
        PMI2_SUCCESS);
    ck_assert_int_eq(found, 0);
    ck_assert_int_eq(PMI2_Info_PutNodeAttr("b", "1,x"), PMI2_SUCCESS);
    ck_assert_int_ne(
        PMI2_Info_GetNodeAttrIntArray("b", numbers, 3, &count, &found),
        PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Info_GetNodeAttr("a", text, 8, &found, 0),
                     PMI2_ERR_INVALID_LENGTH);
}

static void check_job(void)
{
    char text[PMI2_MAX_ATTRVALUE];
    int numbers[3] = {0}, count = 7, found = 7;

    ck_assert_int_eq(
        PMI2_Info_GetJobAttr("PMI_process_mapping", text, sizeof text, &found),
        PMI2_SUCCESS);
    ck_assert_int_eq(found, 1);
    ck_assert_str_eq(text, "(vector,(0,1,1))");
    ck_assert_int_eq(PMI2_Info_GetJobAttr("none", text, sizeof text, &found),
                     PMI2_SUCCESS);
    ck_assert_int_eq(found, 0);
    ck_assert_int_eq(PMI2_Info_GetJobAttrIntArray("universeSize", numbers, 3,
                                                  &count, &found),
                     PMI2_SUCCESS);
    ck_assert_int_eq(found, 1);
    ck_assert(count == 1 && numbers[0] == 1);
    ck_assert_int_eq(PMI2_Info_GetSize(numbers), PMI2_SUCCESS);
    ck_assert_int_eq(numbers[0], 1);
    ck_assert_int_eq(PMI2_Info_GetNodeAttrIntArray("localRanksCount", numbers,
                                                   3, &count, &found),
                     PMI2_SUCCESS);
    ck_assert(found == 1 && count == 1 && numbers[0] == 1);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("localRanks", numbers, 3, &count, &found),
        PMI2_SUCCESS);
    ck_assert(found == 1 && count == 1 && numbers[0] == 0);
}

static void check_names(void)
{
    char port[64];

    ck_assert_int_eq(PMI2_Nameserv_lookup("s", NULL, port, 64), PMI2_ERR_OTHER);
    ck_assert_int_ne(PMI2_Nameserv_unpublish("s", NULL), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Nameserv_publish("s", NULL, "tag#0$port"),
                     PMI2_SUCCESS);
    ck_assert_int_ne(PMI2_Nameserv_publish("s", NULL, "x"), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Nameserv_lookup("s", NULL, port, 64), PMI2_SUCCESS);
    ck_assert_str_eq(port, "tag#0$port");
    ck_assert_int_eq(PMI2_Nameserv_lookup("s", NULL, port, 10),
                     PMI2_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI2_Nameserv_unpublish("s", NULL), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Nameserv_lookup("s", NULL, port, 64), PMI2_ERR_OTHER);
}

/* In a ring of one both neighbours are oneself; no old value is found. */
static void check_ring(void)
{
    char left[64], right[64], value[16];
    int rank = -1, size = -1;

    for (int i = 0; i < 3; i++) {
        snprintf(value, sizeof value, "value %d", i);
        ck_assert_int_eq(PMIX_Ring(value, &rank, &size, left, right, 64),
                         PMI2_SUCCESS);
        ck_assert(rank == 0 && size == 1);
        ck_assert_str_eq(left, value);
        ck_assert_str_eq(right, value);
    }
}

static void check_everything(void)
{
    check_limits();
    check_attributes();
    check_job();
    check_names();
    check_ring();
}

START_TEST(all_of_it_alone)
{
    const char *cmds[] = {"a"};
    const int one[] = {1};
    char jobid[64];

    init_alone();
    check_everything();
    /* what would never end */
    ck_assert_int_eq(PMI2_Info_GetNodeAttr("never", jobid, 64, &(int){0}, 1),
                     PMI2_FAIL);
    ck_assert_int_eq(PMI2_Job_Spawn(1, cmds, NULL, NULL, one, NULL, NULL, 0,
                                    NULL, jobid, 64, NULL),
                     PMI2_FAIL);
    ck_assert_int_eq(PMI2_Job_Connect("j", NULL), PMI2_FAIL);
    ck_assert_int_eq(PMI2_Job_Disconnect("j"), PMI2_FAIL);
    ck_assert_int_ne(PMI2_KVS_Get("j", 0, "k", jobid, 64, &(int){0}),
                     PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}
END_TEST

START_TEST(again_and_again)
{
    init_alone();
    init(); /* as ever */
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_ERR_INIT);
    for (int i = 0; i < 3; i++) {
        init();
        check_ring();
        check_put_get("k", "v");
        ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    }
}
END_TEST

static void act_abort(void)
{
    PMI2_Abort(0, "the end");
}

START_TEST(abort_ends_us)
{
    char text[64];

    init_alone();
    hear_child(act_abort, 1, text, sizeof text);
    ck_assert_str_eq(text, "the end\n");
}
END_TEST

/* ---- as ranks ---- */

static void run_ranks(unsigned size, rank_main *code)
{
    struct host *host = host_new(size);

    ranks_run(host, code);
    ck_assert_uint_eq(host->faults, 0);
    for (unsigned i = 0; i < host->count; i++)
        ck_assert_int_eq(ctpmi_client_state(host->ranks[i].client),
                         CTPMI_FINALIZED);
    host_free(host);
}

static void put_for_all(unsigned round, int rank, int size)
{
    char key[32], text[64];
    int len;

    snprintf(key, sizeof key, "k%u-%d", round, rank);
    ck_assert_int_eq(PMI2_KVS_Put(key, key), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_SUCCESS);
    for (int r = 0; r < size; r++) {
        snprintf(key, sizeof key, "k%u-%d", round, r);
        ck_assert_int_eq(PMI2_KVS_Get("7.0", r, key, text, 64, &len),
                         PMI2_SUCCESS);
        ck_assert_str_eq(text, key);
    }
}

static void check_ring_of(int rank, int size)
{
    char value[32], left[32], right[32], expected[32];
    int ring_rank, ring_size;

    for (int i = 0; i < 2; i++) {
        snprintf(value, sizeof value, "%d of %d", rank, i);
        ck_assert_int_eq(
            PMIX_Ring(value, &ring_rank, &ring_size, left, right, 32),
            PMI2_SUCCESS);
        ck_assert(ring_rank == rank && ring_size == size);
        snprintf(expected, sizeof expected, "%d of %d",
                 (rank + size - 1) % size, i);
        ck_assert_str_eq(left, expected);
        snprintf(expected, sizeof expected, "%d of %d", (rank + 1) % size, i);
        ck_assert_str_eq(right, expected);
    }
}

/* Rank 0 tells the others of its node, who wait for it. */
static void check_waiting(int rank)
{
    char text[16];
    int found = 0;

    if (rank == 0)
        ck_assert_int_eq(PMI2_Info_PutNodeAttr("w", "here"), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Info_GetNodeAttr("w", text, 16, &found, 1),
                     PMI2_SUCCESS);
    ck_assert_int_eq(found, 1);
    ck_assert_str_eq(text, "here");
}

static void a_rank(unsigned rank, unsigned size, int fd)
{
    int numbers[8], count = 0, found = 0;

    be_rank(rank, size, fd);
    init();
    ck_assert_int_eq(PMI2_Job_GetRank(&count), PMI2_SUCCESS);
    ck_assert_int_eq(count, (int)rank);
    put_for_all(0, (int)rank, (int)size);
    check_ring_of((int)rank, (int)size);
    check_waiting((int)rank);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("localRanks", numbers, 8, &count, &found),
        PMI2_SUCCESS);
    ck_assert(found && count == (int)size &&
              numbers[size - 1] == (int)size - 1);
    ck_assert_int_eq(
        PMI2_Info_GetNodeAttrIntArray("localRanks", numbers, 2, &count, &found),
        PMI2_SUCCESS);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    init(); /* over the same socket */
    put_for_all(1, (int)rank, (int)size);
    check_ring_of((int)rank, (int)size);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}

START_TEST(ranks)
{
    run_ranks(4, a_rank);
}
END_TEST

static void a_lonely_rank(unsigned rank, unsigned size, int fd)
{
    be_rank(rank, size, fd);
    init();
    check_everything();
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}

START_TEST(the_one_rank)
{
    run_ranks(1, a_lonely_rank);
}
END_TEST

/* ---- threads ---- */

/* Each its own keys, of which none is lost. */
static void *put_and_get(void *number)
{
    char key[32], value[32], text[64];
    int rank, found;

    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d-%d", *(int *)number, i);
        snprintf(value, sizeof value, "v%d-%d", *(int *)number, i);
        ck_assert_int_eq(PMI2_Info_PutNodeAttr(key, value), PMI2_SUCCESS);
        ck_assert_int_eq(PMI2_Info_GetNodeAttr(key, text, 64, &found, 0),
                         PMI2_SUCCESS);
        ck_assert(found);
        ck_assert_str_eq(text, value);
        ck_assert_int_eq(PMI2_Initialized(), 1);
        ck_assert_int_eq(PMI2_Job_GetRank(&rank), PMI2_SUCCESS);
    }
    return NULL;
}

static void a_rank_of_threads(unsigned rank, unsigned size, int fd)
{
    be_rank(rank, size, fd);
    init();
    in_threads(put_and_get);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}

START_TEST(threads_talk_in_turn)
{
    run_ranks(1, a_rank_of_threads);
}
END_TEST

START_TEST(threads_alone)
{
    init_alone();
    in_threads(put_and_get);
}
END_TEST

static void *begin(void *number)
{
    (void)number;
    init();
    return NULL;
}

START_TEST(threads_may_all_begin)
{
    be_alone();
    in_threads(begin);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_ERR_INIT);
}
END_TEST

/* ---- forks ---- */

/* In the parent's place; it says no good-bye. */
static void act_talk(void)
{
    check_put_get("child", "was here");
}

static void a_rank_that_forks(unsigned rank, unsigned size, int fd)
{
    char text[16];
    int len;

    be_rank(rank, size, fd);
    init();
    in_child(act_talk, 0);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "child", text, 16, &len),
                     PMI2_SUCCESS);
    ck_assert_str_eq(text, "was here");
    check_put_get("parent", "too");
    in_child(act_talk, 0);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}

START_TEST(a_fork_may_talk)
{
    run_ranks(1, a_rank_that_forks);
}
END_TEST

static void act_go_on_alone(void)
{
    char text[16];
    int len;

    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "k", text, 16, &len), PMI2_SUCCESS);
    ck_assert_str_eq(text, "v");
    check_put_get("k", "other");
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    init();
}

START_TEST(a_fork_alone_has_a_copy)
{
    char text[16];
    int len;

    init_alone();
    check_put_get("k", "v");
    in_child(act_go_on_alone, 0);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 0, "k", text, 16, &len), PMI2_SUCCESS);
    ck_assert_str_eq(text, "v");
}
END_TEST

/* ---- while a thread waits for an answer ---- */

/* A server that we are: its end, and what it says when all is well. */
struct waiter {
    int server;
    pthread_t thread;
    int code; /* of the thread's fence */
};

static void say_all(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

static void *wait_in_fence(void *waiter)
{
    ((struct waiter *)waiter)->code = PMI2_KVS_Fence();
    return NULL;
}

/* Until all that is under way has been said. */
static void await_word(int fd, const char *word)
{
    char text[1024];
    ssize_t len = 0, n;

    do {
        n = recv(fd, text + len, sizeof text - 1 - (size_t)len, 0);
        ck_assert_int_gt(n, 0);
        len += n;
        text[len] = '\0';
    } while (strstr(text, word) == NULL);
}

static int pair[2];

static void make_pair(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void start_waiting(struct waiter *waiter)
{
    waiter->server = pair[0];
    waiter->code = 77;
    be_rank(0, 2, pair[1]);
    say_all(pair[0],
            "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n"
            "    50cmd=fullinit-response;rc=0;rank=0;size=2;appnum=0;"
            "    38cmd=job-getid-response;rc=0;jobid=7.0;");
    init();
    ck_assert_int_eq(
        pthread_create(&waiter->thread, NULL, wait_in_fence, waiter), 0);
    await_word(pair[0], "cmd=kvs-fence;");
}

static void end_waiting(struct waiter *waiter)
{
    say_all(waiter->server, "    28cmd=kvs-fence-response;rc=0;");
    ck_assert_int_eq(pthread_join(waiter->thread, NULL), 0);
    ck_assert_int_eq(waiter->code, PMI2_SUCCESS);
}

START_TEST(others_may_ask_for_what_is_known)
{
    struct waiter waiter;
    char id[16] = "";
    int rank = 7;

    make_pair();
    start_waiting(&waiter);
    ck_assert_int_eq(PMI2_Initialized(), 1);
    ck_assert_int_eq(PMI2_Job_GetId(id, sizeof id), PMI2_SUCCESS);
    ck_assert_str_eq(id, "7.0");
    ck_assert_int_eq(PMI2_Job_GetRank(&rank), PMI2_SUCCESS);
    ck_assert_int_eq(rank, 0);
    end_waiting(&waiter);
}
END_TEST

/* The answer that is under way is not the fork's. */
static void act_cannot_talk(void)
{
    int n;

    ck_assert_int_eq(PMI2_KVS_Put("k", "v"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Init(&n, &n, &n, &n), PMI2_FAIL);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_ERR_INIT);
}

START_TEST(forks_do_not_wait)
{
    struct waiter waiter;

    make_pair();
    start_waiting(&waiter);
    in_child(act_cannot_talk, 0);
    in_child(act_abort, 1);
    end_waiting(&waiter);
    say_all(waiter.server, "    26cmd=kvs-put-response;rc=0;");
    ck_assert_int_eq(PMI2_KVS_Put("k", "v"), PMI2_SUCCESS);
}
END_TEST

static void act_wait_and_abort(void)
{
    struct waiter waiter;

    start_waiting(&waiter);
    PMI2_Abort(1, "the end");
}

/* The server hears of it, too. */
START_TEST(abort_does_not_wait)
{
    char text[64];

    make_pair();
    hear_child(act_wait_and_abort, 1, text, sizeof text);
    ck_assert_str_eq(text, "the end\n");
    await_word(pair[0], "cmd=abort;");
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, before_init_and_after_finalize);
    tcase_add_test(tc, null_arguments);
    tcase_add_test(tc, all_of_it_alone);
    tcase_add_test(tc, again_and_again);
    tcase_add_test(tc, abort_ends_us);
    tcase_add_test(tc, ranks);
    tcase_add_test(tc, the_one_rank);
    tcase_add_test(tc, threads_talk_in_turn);
    tcase_add_test(tc, threads_alone);
    tcase_add_test(tc, threads_may_all_begin);
    tcase_add_test(tc, a_fork_may_talk);
    tcase_add_test(tc, a_fork_alone_has_a_copy);
    tcase_add_test(tc, others_may_ask_for_what_is_known);
    tcase_add_test(tc, forks_do_not_wait);
    tcase_add_test(tc, abort_does_not_wait);
}

int main(void)
{
    return run_suite("pmi2_abi", add_tests);
}
