/*
 * The functions of libpmi.so.0 as programs call them, alone and as ranks of our
 * own server.
 */
#include "client/abi/pmi.h"
#include "tests/unit/abi.h"

static void init(void)
{
    int spawned = -1;

    ck_assert_int_eq(PMI_Init(&spawned), PMI_SUCCESS);
    ck_assert_int_eq(spawned, PMI_FALSE);
}

static void init_alone(void)
{
    be_alone();
    init();
}

static const char *name(void)
{
    static _Thread_local char text[256]; /* of many threads */

    ck_assert_int_eq(PMI_KVS_Get_my_name(text, sizeof text), PMI_SUCCESS);
    return text;
}

static int number_of(int (*asker)(int *number))
{
    int number = -77;

    ck_assert_int_eq(asker(&number), PMI_SUCCESS);
    return number;
}

/* ---- codes ---- */

/* All that need an init, with arguments that are good. */
static void check_all_refuse(void)
{
    static int (*const askers[])(int *) = {
        PMI_Get_size,   PMI_Get_rank,        PMI_Get_universe_size,
        PMI_Get_appnum, PMI_Get_clique_size,
    };
    const char *cmds[] = {"a"};
    const int one[] = {1};
    char text[1024];
    int number = 77;

    for (int i = 0; i < COUNT(askers); i++)
        ck_assert_int_eq(askers[i](&number), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Get_clique_ranks(&number, 1), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Get_id(text, sizeof text), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Get_kvs_domain_id(text, sizeof text), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_KVS_Get_my_name(text, sizeof text), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Barrier(), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Barrier_group(PMI_GROUP_SELF, 0, "t"), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_KVS_Put("k", "k", "v"), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_KVS_Commit("k"), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_KVS_Get("k", "k", text, sizeof text), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Publish_name("s", "p"), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Unpublish_name("s"), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Lookup_name("s", text), PMI_ERR_INIT);
    ck_assert_int_eq(
        PMI_Spawn_multiple(1, cmds, NULL, one, NULL, NULL, 0, NULL, &number),
        PMI_ERR_INIT);
    ck_assert_int_eq(PMI_Finalize(), PMI_ERR_INIT);
    ck_assert_int_eq(number, 77);
    ck_assert_int_eq(PMI_Initialized(&number), PMI_SUCCESS);
    ck_assert_int_eq(number, PMI_FALSE);
}

/* Buffers may be wanted before. */
static void check_maxes(void)
{
    ck_assert_int_eq(number_of(PMI_Get_id_length_max), 256);
    ck_assert_int_eq(number_of(PMI_KVS_Get_name_length_max), 256);
    ck_assert_int_eq(number_of(PMI_KVS_Get_key_length_max), 64);
    ck_assert_int_eq(number_of(PMI_KVS_Get_value_length_max), 1024);
}

START_TEST(before_init_and_after_finalize)
{
    check_all_refuse();
    check_maxes();
    init_alone();
    ck_assert_int_eq(number_of(PMI_Initialized), PMI_TRUE);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
    check_all_refuse();
    check_maxes();
}
END_TEST

static void check_nulls(void)
{
    const char *cmds[] = {"a"};
    const int one[] = {1};
    char text[64];
    int error;

    ck_assert_int_eq(PMI_Init(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Initialized(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_size(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_rank(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_universe_size(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_appnum(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_id(NULL, 9), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_kvs_domain_id(NULL, 9), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_id_length_max(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_clique_size(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Get_clique_ranks(NULL, 1), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Get_my_name(NULL, 9), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Get_name_length_max(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Get_key_length_max(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Get_value_length_max(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Put(NULL, "k", "v"), PMI_ERR_INVALID_KVS);
    ck_assert_int_eq(PMI_KVS_Put("k", NULL, "v"), PMI_ERR_INVALID_KEY);
    ck_assert_int_eq(PMI_KVS_Put("k", "k", NULL), PMI_ERR_INVALID_VAL);
    ck_assert_int_eq(PMI_KVS_Commit(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Get(NULL, "k", text, 9), PMI_ERR_INVALID_KVS);
    ck_assert_int_eq(PMI_KVS_Get("k", NULL, text, 9), PMI_ERR_INVALID_KEY);
    ck_assert_int_eq(PMI_KVS_Get("k", "k", NULL, 9), PMI_ERR_INVALID_VAL);
    ck_assert_int_eq(PMI_KVS_Get("k", "k", text, 0), PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_KVS_Get("k", "k", text, -1), PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_Publish_name(NULL, "p"), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Publish_name("s", NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Unpublish_name(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Lookup_name(NULL, text), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Lookup_name("s", NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Barrier_group(&error, 0, "t"), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Barrier_group(&error, -1, "t"), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(
        PMI_Spawn_multiple(1, NULL, NULL, one, NULL, NULL, 0, NULL, &error),
        PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(
        PMI_Spawn_multiple(1, cmds, NULL, NULL, NULL, NULL, 0, NULL, &error),
        PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(
        PMI_Spawn_multiple(1, cmds, NULL, one, NULL, NULL, 0, NULL, NULL),
        PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(
        PMI_Spawn_multiple(1, cmds, NULL, one, NULL, NULL, 1, NULL, &error),
        PMI_ERR_INVALID_ARG);
}

/* Whether or not there was an init. */
START_TEST(null_arguments)
{
    check_nulls();
    init_alone();
    check_nulls();
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
}
END_TEST

START_TEST(what_there_is_none_of)
{
    char text[64] = "x", *args[] = {"--pmi"};
    PMI_keyval_t *pairs = (void *)text;
    int count = 7, size = 7;

    ck_assert_int_eq(PMI_KVS_Create(text, 64), PMI_FAIL);
    ck_assert_int_eq(PMI_KVS_Create(NULL, 64), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Destroy("k"), PMI_FAIL);
    ck_assert_int_eq(PMI_KVS_Destroy(NULL), PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_KVS_Iter_first("k", text, 9, text, 9), PMI_FAIL);
    ck_assert_int_eq(PMI_KVS_Iter_next("k", text, 9, text, 9), PMI_FAIL);
    ck_assert_int_eq(PMI_KVS_Iter_next("k", NULL, 9, text, 9),
                     PMI_ERR_INVALID_ARG);
    ck_assert_int_eq(PMI_Parse_option(1, args, &count, &pairs, &size),
                     PMI_SUCCESS);
    ck_assert(count == 0 && pairs == NULL && size == 0);
    ck_assert_int_eq(PMI_Parse_option(0, args, &count, &pairs, &size),
                     PMI_ERR_INVALID_NUM_ARGS);
    ck_assert_int_eq(PMI_Parse_option(1, NULL, &count, &pairs, &size),
                     PMI_ERR_INVALID_ARGS);
    ck_assert_int_eq(PMI_Parse_option(1, args, NULL, &pairs, &size),
                     PMI_ERR_INVALID_NUM_PARSED);
    ck_assert_int_eq(PMI_Parse_option(1, args, &count, NULL, &size),
                     PMI_ERR_INVALID_KEYVALP);
    ck_assert_int_eq(PMI_Parse_option(1, args, &count, &pairs, NULL),
                     PMI_ERR_INVALID_SIZE);
    ck_assert_int_eq(PMI_Free_keyvals(NULL, 0), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Free_keyvals(NULL, 1), PMI_ERR_INVALID_ARG);
    size = sizeof text;
    ck_assert_int_eq(PMI_Get_options(text, &size), PMI_SUCCESS);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(size, 1);
    size = 0;
    ck_assert_int_eq(PMI_Get_options(text, &size), PMI_ERR_NOMEM);
    ck_assert_int_eq(PMI_Get_options(NULL, &size), PMI_ERR_INVALID_ARG);
}
END_TEST

/* ---- alone ---- */

START_TEST(who_we_are_alone)
{
    char text[256];
    int rank = -1;

    init_alone();
    ck_assert_int_eq(number_of(PMI_Get_size), 1);
    ck_assert_int_eq(number_of(PMI_Get_rank), 0);
    ck_assert_int_eq(number_of(PMI_Get_universe_size), 1);
    ck_assert_int_eq(number_of(PMI_Get_appnum), -1);
    ck_assert_int_eq(number_of(PMI_Get_clique_size), 1);
    ck_assert_int_eq(PMI_Get_clique_ranks(&rank, 1), PMI_SUCCESS);
    ck_assert_int_eq(rank, 0);
    ck_assert_int_eq(PMI_Get_clique_ranks(&rank, 0), PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_Get_clique_ranks(&rank, -1), PMI_ERR_INVALID_LENGTH);
    check_maxes();
    ck_assert_int_eq(PMI_Get_id(text, sizeof text), PMI_SUCCESS);
    ck_assert_str_eq(text, name());
    ck_assert_int_eq(PMI_Get_kvs_domain_id(text, sizeof text), PMI_SUCCESS);
    ck_assert_str_eq(text, name());
    ck_assert_int_eq(PMI_Get_id(text, (int)strlen(name()) + 1), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Get_id(text, (int)strlen(name())),
                     PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_Get_id(text, 0), PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_Get_id(text, -1), PMI_ERR_INVALID_LENGTH);
}
END_TEST

static void check_get(const char *key, const char *value)
{
    char text[1024];

    ck_assert_int_eq(PMI_KVS_Get(name(), key, text, sizeof text), PMI_SUCCESS);
    ck_assert_str_eq(text, value);
}

static void check_put_get(const char *key, const char *value)
{
    ck_assert_int_eq(PMI_KVS_Put(name(), key, value), PMI_SUCCESS);
    ck_assert_int_eq(PMI_KVS_Commit(name()), PMI_SUCCESS);
    check_get(key, value);
}

/* At the limits, and beyond. */
static void check_limits(void)
{
    char key[65], value[1025], small[4] = "abc";

    memset(key, 'k', 64);
    memset(value, 'v', 1024);
    key[64] = value[1024] = '\0';
    ck_assert_int_eq(PMI_KVS_Put(name(), key, "v"), PMI_ERR_INVALID_KEY_LENGTH);
    ck_assert_int_eq(PMI_KVS_Put(name(), "k", value),
                     PMI_ERR_INVALID_VAL_LENGTH);
    ck_assert_int_eq(PMI_KVS_Put(name(), "", "v"), PMI_ERR_INVALID_KEY);
    ck_assert_int_eq(PMI_KVS_Put("other", "k", "v"), PMI_ERR_INVALID_KVS);
    ck_assert_int_eq(PMI_KVS_Get("other", "k", small, 4), PMI_ERR_INVALID_KVS);
    ck_assert_int_eq(PMI_KVS_Get(name(), "none", small, 4), PMI_FAIL);
    key[63] = value[1023] = '\0';
    check_put_get(key, value);
    check_put_get("four", "1234");
    ck_assert_int_eq(PMI_KVS_Get(name(), "four", small, 4),
                     PMI_ERR_INVALID_LENGTH);
    ck_assert_int_eq(PMI_KVS_Get(name(), "four", key, 5), PMI_SUCCESS);
    check_put_get("odd", "a b;c=d\\\n%");
    check_put_get("none at=all; \\", "");
    check_put_get("%:", "%:");
}

static void check_names(void)
{
    char port[PMI_MAX_PORT_NAME] = "x";

    ck_assert_int_eq(PMI_Lookup_name("s", port), PMI_FAIL);
    ck_assert_int_eq(PMI_Unpublish_name("s"), PMI_FAIL);
    ck_assert_int_eq(PMI_Publish_name("s", "tag#0$port"), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Publish_name("s", "other"), PMI_FAIL);
    ck_assert_int_eq(PMI_Lookup_name("s", port), PMI_SUCCESS);
    ck_assert_str_eq(port, "tag#0$port");
    ck_assert_int_eq(PMI_Unpublish_name("s"), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Lookup_name("s", port), PMI_FAIL);
}

static int spawn(void)
{
    const char *cmds[] = {"a"};
    const int one[] = {1};
    int error;

    return PMI_Spawn_multiple(1, cmds, NULL, one, NULL, NULL, 0, NULL, &error);
}

static void check_groups(int rank)
{
    ck_assert_int_eq(PMI_Barrier(), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier_group(PMI_GROUP_WORLD, 0, "t"), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier_group(PMI_GROUP_NODE, 0, NULL), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier_group(PMI_GROUP_SELF, 0, NULL), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier_group(&rank, 1, "t"), PMI_SUCCESS);
}

START_TEST(all_of_it_alone)
{
    init_alone();
    check_limits();
    check_names();
    check_groups(0);
    ck_assert_int_eq(spawn(), PMI_FAIL);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
}
END_TEST

START_TEST(again_and_again)
{
    int spawned;

    init_alone();
    ck_assert_int_eq(PMI_Init(&spawned), PMI_SUCCESS); /* as ever */
    check_put_get("k", "v");
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Finalize(), PMI_ERR_INIT);
    for (int i = 0; i < 3; i++) {
        init();
        ck_assert_int_eq(number_of(PMI_Get_size), 1);
        check_put_get("l", "v");
        ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
    }
}
END_TEST

/* Each its own keys, of which none is lost. */
static void *put_and_get(void *number)
{
    char key[32], value[32], text[64];

    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d-%d", *(int *)number, i);
        snprintf(value, sizeof value, "v%d-%d", *(int *)number, i);
        ck_assert_int_eq(PMI_KVS_Put("7.0", key, value), PMI_SUCCESS);
        ck_assert_int_eq(PMI_KVS_Get("7.0", key, text, sizeof text),
                         PMI_SUCCESS);
        ck_assert_str_eq(text, value);
        ck_assert_int_eq(number_of(PMI_Initialized), PMI_TRUE);
        ck_assert_int_ge(number_of(PMI_Get_rank), 0);
    }
    return NULL;
}

static void act_abort_3(void)
{
    PMI_Abort(3, "the end");
}

static void act_abort_0(void)
{
    PMI_Abort(0, NULL);
}

START_TEST(abort_ends_us)
{
    char text[64];

    hear_child(act_abort_3, 3, text, sizeof text); /* before init, too */
    ck_assert_str_eq(text, "the end\n");
    init_alone();
    hear_child(act_abort_3, 3, text, sizeof text);
    ck_assert_str_eq(text, "the end\n");
    hear_child(act_abort_0, 1, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

static void act_init_fails(void)
{
    int spawned = 77;

    ck_assert_int_eq(PMI_Init(&spawned), PMI_FAIL);
    ck_assert_int_eq(spawned, 77);
    ck_assert_int_eq(number_of(PMI_Initialized), PMI_FALSE);
    unsetenv("SLURM_STEP_NUM_TASKS");
    ck_assert_int_eq(PMI_Init(&spawned), PMI_SUCCESS);
}

static void act_init_tells(void)
{
    init();
    ck_assert_int_eq(PMI_KVS_Get(name(), "none", (char[9]){""}, 9), PMI_FAIL);
}

START_TEST(init_tells_why_not)
{
    static const char ranked[] = "ctrun PMI, rank 3: PMI: PMI_FD is not set\n";
    char text[1024];

    be_alone();
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    hear_child(act_init_fails, 0, text, sizeof text);
    ck_assert_str_eq(text, "ctrun PMI: PMI: PMI_FD is not set\n"
                           "ctrun PMI: PMIx: PMIX_RANK is not set\n"
                           "ctrun PMI: srun has started this process, and "
                           "cannot be reached\n");
    be_alone();
    hear_child(act_init_tells, 0, text, sizeof text);
    ck_assert_str_eq(text, "");
    setenv("PMI_DEBUG", "1", 1);
    hear_child(act_init_tells, 0, text, sizeof text);
    ck_assert_str_eq(text, "ctrun PMI: PMI: PMI_FD is not set\n"
                           "ctrun PMI: PMIx: PMIX_RANK is not set\n"
                           "ctrun PMI: nobody: chosen: rank 0 of 1\n"
                           "ctrun PMI: nobody has put 'none'\n");
    be_alone();
    setenv("PMIX_RANK", "3", 1);
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    hear_child(act_init_fails, 0, text, sizeof text);
    ck_assert(strncmp(text, ranked, strlen(ranked)) == 0);
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

static void put_for_all(unsigned round)
{
    char key[32];

    snprintf(key, sizeof key, "k%u-%d", round, number_of(PMI_Get_rank));
    ck_assert_int_eq(PMI_KVS_Put(name(), key, key), PMI_SUCCESS);
    ck_assert_int_eq(PMI_KVS_Commit(name()), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier(), PMI_SUCCESS);
    for (int r = 0; r < number_of(PMI_Get_size); r++) {
        snprintf(key, sizeof key, "k%u-%d", round, r);
        check_get(key, key);
    }
}

static void a_rank(unsigned rank, unsigned size, int fd)
{
    int ranks[4], group[] = {0, 1, 2, 3};

    be_rank(rank, size, fd);
    init();
    ck_assert_int_eq(number_of(PMI_Get_rank), (int)rank);
    ck_assert_int_eq(number_of(PMI_Get_size), (int)size);
    ck_assert_str_eq(name(), "7.0");
    ck_assert_int_eq(number_of(PMI_Get_clique_size), 4);
    ck_assert_int_eq(PMI_Get_clique_ranks(ranks, 4), PMI_SUCCESS);
    ck_assert_int_eq(memcmp(ranks, group, sizeof group), 0);
    ck_assert_int_eq(PMI_Get_clique_ranks(ranks, 3), PMI_ERR_INVALID_LENGTH);
    put_for_all(0);
    put_for_all(1);
    check_groups((int)rank);
    ck_assert_int_eq(PMI_Barrier_group(group, 4, "all"), PMI_SUCCESS);
    ck_assert_int_eq(PMI_Barrier_group(group + rank / 2 * 2, 2, "half"),
                     PMI_SUCCESS);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
    ck_assert_int_eq(PMI_KVS_Put("7.0", "k", "v"), PMI_ERR_INIT);
    init(); /* over the same socket */
    put_for_all(2);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
}

START_TEST(ranks)
{
    run_ranks(4, a_rank);
}
END_TEST

/* Each number is a barrier of its own, and threads come to them in any order;
   the first thread meets all ranks. */
enum { MEETINGS = 100 };

static void *meet_again(void *number)
{
    int group[] = {0, 1}, n = *(int *)number;
    char tag[16], key[32], value[16];

    snprintf(tag, sizeof tag, "thread %d", n);
    for (int i = 0; i < MEETINGS; i++) {
        snprintf(key, sizeof key, "%d-%d-%d", n, i, number_of(PMI_Get_rank));
        ck_assert_int_eq(PMI_KVS_Put(name(), key, "v"), PMI_SUCCESS);
        if (n == 0)
            ck_assert_int_eq(PMI_Barrier(), PMI_SUCCESS);
        else
            ck_assert_int_eq(PMI_Barrier_group(group, 2, tag), PMI_SUCCESS);
        snprintf(key, sizeof key, "%d-%d-%d", n, i,
                 1 - number_of(PMI_Get_rank));
        ck_assert_int_eq(PMI_KVS_Get(name(), key, value, sizeof value),
                         PMI_SUCCESS);
    }
    return NULL;
}

static void a_rank_of_groups(unsigned rank, unsigned size, int fd)
{
    be_rank(rank, size, fd);
    init();
    in_threads(meet_again);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
}

START_TEST(threads_meet_in_any_order)
{
    run_ranks(2, a_rank_of_groups);
}
END_TEST

/* ---- while threads wait in barriers, a server that we are ---- */

static void answer(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

/* Until a line with that word has come. */
static void hear(int fd, const char *word)
{
    char text[1024];
    size_t len = 0;

    do {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);

        ck_assert_int_gt(n, 0);
        len += (size_t)n;
        text[len] = '\0';
    } while (strstr(text, word) == NULL);
}

static void begin_12(int *ret_server)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *ret_server = pair[0];
    be_rank(0, 2, pair[1]);
    answer(pair[0], "cmd=response_to_init pmi_version=1 pmi_subversion=2 rc=0\n"
                    "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024\n"
                    "cmd=appnum appnum=0\ncmd=universe_size size=2\n"
                    "cmd=my_kvsname kvsname=7.0\n");
    init();
    hear(pair[0], "get_my_kvsname\n");
}

/* What a server says once it has been asked. */
struct reply {
    int server;
    const char *question, *text;
    pthread_t thread;
};

static void *reply_later(void *data)
{
    struct reply *reply = data;

    hear(reply->server, reply->question);
    answer(reply->server, reply->text);
    return NULL;
}

static void start_reply(struct reply *reply)
{
    ck_assert_int_eq(pthread_create(&reply->thread, NULL, reply_later, reply),
                     0);
}

struct meeting {
    const char *tag;
    pthread_t thread;
    int code;
};

static void *meet_once(void *data)
{
    struct meeting *meeting = data;
    int group[] = {0, 1};

    meeting->code = PMI_Barrier_group(group, 2, meeting->tag);
    return NULL;
}

/* FNV-1a of "a" is 3826002220, made positive as MPICH does. */
static void start_meetings(int server, struct meeting meetings[2])
{
    static const char *const tags[] = {"a", "b"};
    static const char *const words[] = {"0,1:468965076\n", "0,1:418632219\n"};

    for (int i = 0; i < 2; i++) {
        meetings[i].tag = tags[i];
        meetings[i].code = 77;
        ck_assert_int_eq(
            pthread_create(&meetings[i].thread, NULL, meet_once, &meetings[i]),
            0);
        hear(server, words[i]);
    }
}

static void end_meeting(struct meeting *meeting, int code)
{
    ck_assert_int_eq(pthread_join(meeting->thread, NULL), 0);
    ck_assert_int_eq(meeting->code, code);
}

/* Their answers come in any order, and before and behind others. */
START_TEST(answers_to_barriers)
{
    struct meeting meetings[2];
    struct reply reply = {
        .question = "cmd=put",
        .text = "cmd=barrier_out rc=0 tag=418632219\ncmd=put_result rc=0\n"
                "cmd=barrier_out rc=0 tag=468965076\n"};
    int server;

    begin_12(&server);
    start_meetings(server, meetings);
    answer(server, "cmd=barrier_out rc=0 tag=418632219\n");
    end_meeting(&meetings[1], PMI_SUCCESS);
    answer(server, "cmd=barrier_out rc=-1 msg=no tag=468965076\n");
    end_meeting(&meetings[0], PMI_FAIL);
    start_meetings(server, meetings);
    reply.server = server;
    start_reply(&reply);
    ck_assert_int_eq(PMI_KVS_Put("7.0", "k", "v"), PMI_SUCCESS);
    ck_assert_int_eq(pthread_join(reply.thread, NULL), 0);
    end_meeting(&meetings[0], PMI_SUCCESS);
    end_meeting(&meetings[1], PMI_SUCCESS);
}
END_TEST

/* Nobody waits for ever: the server goes, or another thread takes leave. */
START_TEST(barriers_that_end_otherwise)
{
    struct meeting meetings[2];
    struct reply reply = {.question = "cmd=finalize\n",
                          .text = "cmd=finalize_ack rc=0\n"};
    int server;

    begin_12(&server);
    start_meetings(server, meetings);
    if (_i == 0) {
        close(server);
    } else if (_i == 1) {
        answer(server, "cmd=nonsense rc=0\n");
    } else {
        reply.server = server;
        start_reply(&reply);
        ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
        ck_assert_int_eq(pthread_join(reply.thread, NULL), 0);
    }
    end_meeting(&meetings[0], PMI_FAIL);
    end_meeting(&meetings[1], PMI_FAIL);
}
END_TEST

static void act_cannot_meet(void)
{
    ck_assert_int_eq(PMI_Barrier(), PMI_ERR_INIT);
    ck_assert_int_eq(PMI_KVS_Put("7.0", "k", "v"), PMI_ERR_INIT);
}

START_TEST(forks_have_no_barriers)
{
    struct meeting meetings[2];
    int server;

    begin_12(&server);
    start_meetings(server, meetings);
    in_child(act_cannot_meet, 0);
    answer(server, "cmd=barrier_out rc=0 tag=418632219\n"
                   "cmd=barrier_out rc=0 tag=468965076\n");
    end_meeting(&meetings[0], PMI_SUCCESS);
    end_meeting(&meetings[1], PMI_SUCCESS);
}
END_TEST

static void a_lonely_rank(unsigned rank, unsigned size, int fd)
{
    be_rank(rank, size, fd);
    init();
    check_limits();
    check_names();
    check_groups(0);
    in_threads(put_and_get);
    ck_assert_int_eq(PMI_Finalize(), PMI_SUCCESS);
}

START_TEST(limits_names_and_threads)
{
    run_ranks(1, a_lonely_rank);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pmi_abi");
    TCase *tc = tcase_create("pmi_abi");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, before_init_and_after_finalize);
    tcase_add_test(tc, null_arguments);
    tcase_add_test(tc, what_there_is_none_of);
    tcase_add_test(tc, who_we_are_alone);
    tcase_add_test(tc, all_of_it_alone);
    tcase_add_test(tc, again_and_again);
    tcase_add_test(tc, abort_ends_us);
    tcase_add_test(tc, init_tells_why_not);
    tcase_add_test(tc, ranks);
    tcase_add_test(tc, limits_names_and_threads);
    tcase_add_test(tc, threads_meet_in_any_order);
    tcase_add_test(tc, answers_to_barriers);
    tcase_add_loop_test(tc, barriers_that_end_otherwise, 0, 3);
    tcase_add_test(tc, forks_have_no_barriers);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
