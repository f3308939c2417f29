/*
 * The client with a libpmix of ours (fakepmix.h), which is loaded before and is
 * what dlopen() finds by its name then. We are rank 1 of 4.
 */
#include "base/pack.h"
#include "client/abi/pmi2.h"
#include "client/client.h"
#include "tests/unit/abi.h"
#include "tests/unit/fakepmix.h"

#include <dlfcn.h>

static struct fake_pmix *fake;
static struct client *client;
static struct ct_error error;
static char text[64];
static bool found;

/* ---- the job ---- */

static struct fake_value *has(pmix_rank_t rank, const char *key,
                              pmix_data_type_t type)
{
    struct fake_value *value = &fake->values[fake->count++];

    ck_assert_uint_lt(fake->count, FAKE_VALUES);
    value->rank = rank;
    value->type = type;
    snprintf(value->key, sizeof value->key, "%s", key);
    return value;
}

static void has_number(pmix_rank_t rank, const char *key, uint32_t number)
{
    has(rank, key, PMIX_UINT32)->number = number;
}

static void has_text(pmix_rank_t rank, const char *key, const char *string)
{
    struct fake_value *value = has(rank, key, PMIX_STRING);

    value->len = strlen(string) + 1;
    ck_assert_uint_le(value->len, sizeof value->bytes);
    memcpy(value->bytes, string, value->len);
}

static void has_bytes(pmix_rank_t rank, const char *key, const void *bytes,
                      size_t len)
{
    struct fake_value *value = has(rank, key, PMIX_BYTE_OBJECT);

    ck_assert_uint_le(len, sizeof value->bytes);
    value->len = len;
    memcpy(value->bytes, bytes, len);
}

/* What a rank has put before a fence: "key", "value", ..., NULL. */
static void has_put(pmix_rank_t rank, const char *fence,
                    const char *const *words)
{
    struct pack p = {0};

    for (; *words != NULL; words++)
        pack_str(&p, *words);
    pack_u32(&p, 0);
    ck_assert(!p.failed);
    has_bytes(rank, fence, p.bytes, p.len);
    free(p.bytes);
}

#define PUT(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING ((const char *const[]){NULL})

static void job_of_four(void)
{
    fake->rank = 1;
    has_number(PMIX_RANK_WILDCARD, PMIX_JOB_SIZE, 4);
}

static const char *called(void)
{
    static char log[sizeof fake->log];

    strcpy(log, fake->log);
    fake->log[0] = '\0';
    return log;
}

static void open_client(void)
{
    client = client_open_pmix(&error);
    ck_assert_msg(client != NULL, "%s", error.text);
    ck_assert_str_eq(called(), "init;");
}

static void set_up(void)
{
    setenv("PMIX_RANK", "1", 1);
    unsetenv("PMI_SPAWNED");
    job_of_four();
}

static void tear_down(void)
{
    client_close(client);
}

static int get(const char *key)
{
    return client_get(client, key, text, sizeof text, &found, &error);
}

static void check_get(const char *key, const char *value)
{
    ck_assert_msg(get(key) == 0, "%s", error.text);
    ck_assert(found);
    ck_assert_str_eq(text, value);
}

static void fence(void)
{
    ck_assert_msg(client_fence(client, &error) == 0, "%s", error.text);
    called();
}

/* ---- facts ---- */

START_TEST(facts_that_are_told)
{
    has_number(1, PMIX_APPNUM, 2);
    has_number(PMIX_RANK_WILDCARD, PMIX_UNIV_SIZE, 8);
    setenv("PMI_SPAWNED", "1", 1);
    open_client();
    ck_assert_str_eq(client_name(client), "PMIx");
    ck_assert_uint_eq(client_facts(client)->rank, 1);
    ck_assert_uint_eq(client_facts(client)->size, 4);
    ck_assert_int_eq(client_facts(client)->appnum, 2);
    ck_assert_int_eq(client_facts(client)->universe_size, 8);
    ck_assert_str_eq(client_facts(client)->jobid, "ns");
    ck_assert(client_facts(client)->spawned);
}
END_TEST

START_TEST(facts_that_are_not_told)
{
    open_client();
    ck_assert_int_eq(client_facts(client)->appnum, -1);
    ck_assert_int_eq(client_facts(client)->universe_size, -1);
    ck_assert(!client_facts(client)->spawned);
}
END_TEST

static void check_no_client(int code, const char *word)
{
    ck_assert_ptr_null(client_open_pmix(&error));
    ck_assert_int_eq(error.code, code);
    ck_assert_msg(strstr(error.text, word) != NULL, "%s", error.text);
}

START_TEST(no_client)
{
    unsetenv("PMIX_RANK");
    check_no_client(ENOENT, "PMIX_RANK");
    ck_assert_str_eq(called(), "");
    setenv("PMIX_RANK", "1", 1);
    fake->fails = "Init";
    check_no_client(EREMOTEIO, "PMIx_Init: it does not work");
    fake->fails = NULL;
    fake->rank = 4; /* of 4 */
    called();
    check_no_client(EREMOTEIO, "size of job ns");
    ck_assert_str_eq(called(), "init;finalize;");
    fake->count = 0;
    check_no_client(EREMOTEIO, "size of job ns");
}
END_TEST

/* ---- the KVS ---- */

START_TEST(ours_is_seen_at_once)
{
    open_client();
    ck_assert_int_eq(client_put(client, "k", "v", &error), 0);
    check_get("k", "v");
    ck_assert_int_eq(client_put(client, "k", "w", &error), 0);
    check_get("k", "w");
    ck_assert_str_eq(called(), "");
    ck_assert_int_eq(client_fence(client, &error), 0);
    ck_assert_str_eq(called(), "put global pmi-1;commit;fence collecting;");
    check_get("k", "w");
    ck_assert_str_eq(called(), "");
}
END_TEST

/* Of each rank once for each fence, and no more than has to be. */
START_TEST(others_are_asked_in_turn)
{
    open_client();
    has_put(0, "pmi-1", NOTHING);
    has_put(2, "pmi-1", PUT("a", "1", "b", "2"));
    has_put(3, "pmi-1", PUT("c", "3"));
    fence();
    check_get("b", "2");
    ck_assert_str_eq(called(), "get pmi-1 of 0;get pmi-1 of 2;");
    check_get("a", "1");
    ck_assert_str_eq(called(), "");
    ck_assert_int_eq(get("none"), 0);
    ck_assert(!found);
    ck_assert_str_eq(called(), "get pmi-1 of 3;");
    check_get("c", "3");
    ck_assert_int_eq(get("none"), 0);
    ck_assert_str_eq(called(), "");
}
END_TEST

START_TEST(who_has_put_it_may_be_known)
{
    const struct client_source from = {.rank = 3}, beyond = {.rank = 4};

    open_client();
    has_put(3, "pmi-1", PUT("c", "3"));
    fence();
    ck_assert_int_eq(
        client_get_from(client, &from, "c", text, sizeof text, &found, &error),
        0);
    ck_assert(found);
    ck_assert_str_eq(text, "3");
    ck_assert_str_eq(called(), "get pmi-1 of 3;");
    ck_assert_int_eq(client_get_from(client, &beyond, "c", text, sizeof text,
                                     &found, &error),
                     0);
    ck_assert(found);
}
END_TEST

/* A rank that has not put it is the only one that is asked. */
START_TEST(who_has_put_it_may_be_sure)
{
    const struct client_source from = {.rank = 3, .only = true};

    open_client();
    has_put(0, "pmi-1", PUT("c", "0"));
    has_put(3, "pmi-1", PUT("d", "3"));
    fence();
    ck_assert_int_eq(
        client_get_from(client, &from, "c", text, sizeof text, &found, &error),
        0);
    ck_assert(!found);
    ck_assert_str_eq(called(), "get pmi-1 of 3;");
    ck_assert_int_eq(
        client_get_from(client, &from, "d", text, sizeof text, &found, &error),
        0);
    ck_assert(found);
}
END_TEST

/* What was put anew is got anew. */
START_TEST(later_fences)
{
    open_client();
    has_put(0, "pmi-1", PUT("a", "old"));
    fence();
    check_get("a", "old");
    has_put(0, "pmi-2", PUT("a", "new"));
    fence();
    has_put(0, "pmi-3", PUT("x", "y"));
    fence();
    called();
    check_get("a", "new");
    ck_assert_str_eq(called(), "get pmi-2 of 0;get pmi-3 of 0;");
    check_get("x", "y");
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
} garbled[] = {
#define BYTES(literal)                                                         \
    {                                                                          \
        literal, sizeof literal - 1                                            \
    }
    BYTES("\xff\xff\xff\xff\xff"),
    BYTES("\2\0\0\0k\0\0"),
    BYTES("\2\0\0\0k\0\377\377\377\177v"),
    BYTES("\1\0\0\0kvvvv"),                 /* without its end */
    BYTES("\1\0\0\0k\0\377\377\377\377\0"), /* of no value */
};

/* ---- what comes before the first fence ---- */

#define FENCE "put global pmi-1;commit;fence collecting;"
#define HERE "put global pmi-here;commit;"

static const char *first_fence(pmix_rank_t rank, unsigned size, const char *map)
{
    fake->rank = rank;
    fake->values[0].number = size;
    fake->nspace = "slurm.pmix.7.0";
    if (map != NULL)
        has_text(PMIX_RANK_WILDCARD, PMIX_ANL_MAP, map);
    open_client();
    ck_assert_msg(client_fence(client, &error) == 0, "%s", error.text);
    return called();
}

START_TEST(first_node_waits_for_others)
{
    ck_assert_str_eq(first_fence(0, 4, "(vector,(0,2,2))"),
                     "get pmi-here of 2;" HERE FENCE);
}
END_TEST

START_TEST(others_wait_for_first_node)
{
    ck_assert_str_eq(first_fence(2, 4, "(vector,(0,2,2))"),
                     HERE "get pmi-here of 0;" FENCE);
}
END_TEST

START_TEST(nodes_meet_in_a_tree)
{
    ck_assert_str_eq(first_fence(1, 7, "(vector,(9,7,1))"),
                     "get pmi-here of 5;get pmi-here of 6;" HERE
                     "get pmi-here of 0;" FENCE);
}
END_TEST

START_TEST(nodes_in_any_order)
{
    ck_assert_str_eq(first_fence(0, 4, "(vector,(3,1,1),(1,1,2),(3,1,1))"),
                     "get pmi-here of 1;" HERE FENCE);
}
END_TEST

START_TEST(one_of_a_node_meets)
{
    ck_assert_str_eq(first_fence(1, 4, "(vector,(0,2,2))"), FENCE);
}
END_TEST

START_TEST(one_node_meets_nobody)
{
    ck_assert_str_eq(first_fence(0, 4, "(vector,(0,1,4))"), FENCE);
}
END_TEST

START_TEST(who_knows_no_map_meets_nobody)
{
    ck_assert_str_eq(first_fence(0, 4, NULL), FENCE);
}
END_TEST

START_TEST(a_map_may_be_garbled)
{
    ck_assert_str_eq(first_fence(0, 4, "(vector,(2147483000,2,2))"), FENCE);
}
END_TEST

START_TEST(they_meet_once)
{
    first_fence(0, 4, "(vector,(0,2,2))");
    ck_assert_msg(client_fence(client, &error) == 0, "%s", error.text);
    ck_assert_str_eq(called(), "put global pmi-2;commit;fence collecting;");
}
END_TEST

START_TEST(what_fails_then_fails_in_the_fence)
{
    fake->rank = 0;
    fake->nspace = "slurm.pmix.7.0";
    has_text(PMIX_RANK_WILDCARD, PMIX_ANL_MAP, "(vector,(0,2,2))");
    open_client();
    fake->fails = "Put";
    ck_assert_int_eq(client_fence(client, &error), -1);
    ck_assert_str_eq(error.text, "PMIx_Put: it does not work");
}
END_TEST

START_TEST(what_others_put_may_be_garbled)
{
    open_client();
    has_bytes(0, "pmi-1", garbled[_i].bytes, garbled[_i].len);
    fence();
    ck_assert_int_eq(get("k"), -1);
    ck_assert_int_eq(error.code, EPROTO);
    ck_assert_ptr_nonnull(strstr(error.text, "rank 0"));
}
END_TEST

START_TEST(what_others_put_may_be_no_data)
{
    open_client();
    has_text(0, "pmi-1", "text");
    fence();
    ck_assert_int_eq(get("k"), -1);
    ck_assert_int_eq(error.code, EPROTO);
}
END_TEST

START_TEST(what_does_not_work)
{
    static const char *const functions[] = {"Put", "Commit", "Fence"};

    open_client();
    for (int i = 0; i < COUNT(functions); i++) {
        fake->fails = functions[i];
        ck_assert_int_eq(client_fence(client, &error), -1);
        ck_assert_int_eq(error.code, EREMOTEIO);
    }
    fake->fails = NULL;
    fence();
    fake->fails = "Get";
    ck_assert_int_eq(get("k"), -1);
    ck_assert_int_eq(error.code, EREMOTEIO);
}
END_TEST

START_TEST(values_that_do_not_fit)
{
    const struct client_source other = {.jobid = "other", .rank = -1};

    open_client();
    ck_assert_int_eq(client_put(client, "k", "12345678", &error), 0);
    ck_assert_int_eq(client_get(client, "k", text, 8, &found, &error), -1);
    ck_assert_int_eq(error.code, ENOSPC);
    ck_assert_int_eq(client_get(client, "k", text, 9, &found, &error), 0);
    ck_assert_int_eq(
        client_get_from(client, &other, "k", text, 9, &found, &error), -1);
    ck_assert_int_eq(error.code, ENOTSUP);
}
END_TEST

/* ---- who is where ---- */

static void check_map(const char *map)
{
    ck_assert_int_eq(client_attr(client, "PMI_process_mapping", text,
                                 sizeof text, &found, &error),
                     0);
    ck_assert_int_eq(found, map != NULL);
    if (map != NULL)
        ck_assert_str_eq(text, map);
}

START_TEST(maps)
{
    open_client();
    check_map(NULL);
    has_text(0, PMIX_HOSTNAME, "a");
    has_text(1, PMIX_HOSTNAME, "a");
    has_text(2, PMIX_HOSTNAME, "b");
    check_map(NULL); /* one is not told */
    has_text(3, PMIX_HOSTNAME, "b");
    check_map("(vector,(0,2,2))");
    ck_assert_int_eq(
        client_attr(client, "PMI_process_mapping", text, 9, &found, &error), 0);
    ck_assert(!found); /* one that does not fit */
    has_text(PMIX_RANK_WILDCARD, PMIX_ANL_MAP, "(vector,(0,1,4))");
    check_map("(vector,(0,1,4))");
    ck_assert_int_eq(
        client_attr(client, "other", text, sizeof text, &found, &error), 0);
    ck_assert(!found);
}
END_TEST

START_TEST(attributes_of_the_node)
{
    open_client();
    ck_assert_int_eq(
        client_node_get(client, "a", false, text, sizeof text, &found, &error),
        -1);
    ck_assert_int_eq(error.code, ENOTSUP); /* peers are not told */
    has_text(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS, "1,3");
    called();
    ck_assert_int_eq(client_node_put(client, "a", "b;c", &error), 0);
    ck_assert_str_eq(called(), "put local pmi-node-a;commit;");
    has_text(0, "pmi-node-b", "of another node");
    has_text(3, "pmi-node-c", "d");
    ck_assert_int_eq(
        client_node_get(client, "a", true, text, sizeof text, &found, &error),
        0);
    ck_assert(found);
    ck_assert_str_eq(text, "b;c");
    ck_assert_int_eq(
        client_node_get(client, "b", false, text, sizeof text, &found, &error),
        0);
    ck_assert(!found);
    ck_assert_int_eq(
        client_node_get(client, "c", false, text, 2, &found, &error), 0);
    ck_assert_str_eq(text, "d");
    ck_assert_int_eq(
        client_node_get(client, "c", false, text, 1, &found, &error), -1);
    ck_assert_int_eq(error.code, ENOSPC);
}
END_TEST

/* It is asked for until it is there. */
START_TEST(attributes_that_come_later)
{
    open_client();
    has_text(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS, "3");
    has_text(3, "pmi-node-c", "d");
    fake->missing = 3;
    ck_assert_int_eq(
        client_node_get(client, "c", true, text, sizeof text, &found, &error),
        0);
    ck_assert(found);
    ck_assert_str_eq(called(), "get pmi-node-c of 3;get pmi-node-c of 3;"
                               "get pmi-node-c of 3;get pmi-node-c of 3;");
}
END_TEST

/* ---- names ---- */

START_TEST(names)
{
    open_client();
    ck_assert_int_eq(
        client_lookup(client, "s", text, sizeof text, &found, &error), 0);
    ck_assert(!found);
    ck_assert_int_eq(client_publish(client, "s", "a port", &error), 0);
    ck_assert_int_eq(client_publish(client, "s", "other", &error), -1);
    ck_assert_int_eq(error.code, EREMOTEIO);
    ck_assert_int_eq(
        client_lookup(client, "s", text, sizeof text, &found, &error), 0);
    ck_assert(found);
    ck_assert_str_eq(text, "a port");
    ck_assert_int_eq(client_lookup(client, "s", text, 3, &found, &error), -1);
    ck_assert_int_eq(error.code, ENOSPC);
    ck_assert_int_eq(client_unpublish(client, "s", &error), 0);
    ck_assert_int_eq(client_unpublish(client, "s", &error), -1);
    fake->fails = "Lookup";
    ck_assert_int_eq(
        client_lookup(client, "s", text, sizeof text, &found, &error), -1);
    ck_assert_int_eq(error.code, EREMOTEIO);
}
END_TEST

/* ---- starting others ---- */

START_TEST(spawned_jobs)
{
    static const char *const argv[] = {"x", "y z"};
    static const struct client_pair infos[] = {
        {"host", "n1"}, {"wdir", "/tmp"}, {"unknown", "u"}};
    static const struct client_pair preputs[] = {{"k", "v=w"}, {"l", ""}};
    static const struct client_command commands[] = {
        {.path = "a", .maxprocs = 1, .infos = infos, .info_count = 3},
        {.path = "b", .argv = argv, .argc = 2, .maxprocs = 3},
    };
    const struct client_spawn spawn = {.commands = commands,
                                       .count = 2,
                                       .preputs = preputs,
                                       .preput_count = 2};

    open_client();
    ck_assert_int_eq(
        client_spawn(client, &spawn, text, sizeof text, NULL, 0, &error), 0);
    ck_assert_str_eq(text, "child");
    ck_assert_str_eq(called(),
                     "spawn 1 a in /tmp: a env: PMI_SPAWNED=1 "
                     "CTRUN_PMI_PREPUT_k=v=w CTRUN_PMI_PREPUT_l= pmix.host=n1;"
                     "spawn 3 b in ?: b x y z env: PMI_SPAWNED=1 "
                     "CTRUN_PMI_PREPUT_k=v=w CTRUN_PMI_PREPUT_l=;");
    ck_assert_int_eq(client_spawn(client, &spawn, NULL, 0, NULL, 0, &error), 0);
    fake->fails = "Spawn";
    ck_assert_int_eq(
        client_spawn(client, &spawn, text, sizeof text, NULL, 0, &error), -1);
    ck_assert_int_eq(error.code, EREMOTEIO);
}
END_TEST

/* As the children find them. */
START_TEST(preputs)
{
    setenv("CTRUN_PMI_PREPUT_k", "v=w", 1);
    setenv("CTRUN_PMI_PREPUT_a-b", "", 1);
    open_client();
    check_get("k", "v=w");
    check_get("a-b", "");
}
END_TEST

/* ---- the end ---- */

/* Nobody goes while another may want what it has put. */
START_TEST(ends)
{
    open_client();
    ck_assert_int_eq(client_finalize(client, &error), 0);
    ck_assert_str_eq(called(), "finalize;");
    ck_assert_int_eq(client_reopen(client, &error), 0);
    ck_assert_int_eq(client_put(client, "k", "v", &error), 0);
    fence();
    ck_assert_int_eq(client_finalize(client, &error), 0);
    ck_assert_str_eq(called(), "fence;finalize;");
    ck_assert_int_eq(client_reopen(client, &error), 0);
    ck_assert_int_eq(client_fence(client, &error), 0);
    ck_assert_str_eq(called(),
                     "init;put global pmi-2;commit;fence collecting;");
    check_get("k", "v");
    ck_assert_int_eq(client_abort(client, 7, &error), 0);
    ck_assert_str_eq(called(), "abort 7;");
    fake->fails = "Fence";
    ck_assert_int_eq(client_finalize(client, &error), -1);
    ck_assert_str_eq(called(), "fence;finalize;"); /* nevertheless */
}
END_TEST

/* libpmix 4 knows no more of the job after another init. */
START_TEST(the_map_outlives_a_finalize)
{
    has_text(PMIX_RANK_WILDCARD, PMIX_ANL_MAP, "(vector,(0,1,4))");
    open_client();
    ck_assert_int_eq(client_finalize(client, &error), 0);
    fake->count = 0;
    ck_assert_int_eq(client_reopen(client, &error), 0);
    check_map("(vector,(0,1,4))");
}
END_TEST

/* Whoever is not back may still be lost to a fence. */
START_TEST(peers_are_waited_for_after_a_reopen)
{
    has_text(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS, "1,3");
    has_text(3, "pmi-again-1", "");
    open_client();
    ck_assert_int_eq(client_finalize(client, &error), 0);
    ck_assert_int_eq(client_reopen(client, &error), 0);
    called();
    fake->missing = 2;
    ck_assert_int_eq(client_fence(client, &error), 0);
    ck_assert_str_eq(called(), "put local pmi-again-1;commit;"
                               "get pmi-again-1 of 1;get pmi-again-1 of 1;"
                               "get pmi-again-1 of 1;get pmi-again-1 of 3;"
                               "put global pmi-1;commit;fence collecting;");
    ck_assert_int_eq(client_fence(client, &error), 0);
    ck_assert_str_eq(called(), "put global pmi-2;commit;fence collecting;");
}
END_TEST

START_TEST(what_was_put_before_a_reopen_may_be_lost)
{
    open_client();
    fence();
    ck_assert_int_eq(client_finalize(client, &error), 0);
    ck_assert_int_eq(client_reopen(client, &error), 0);
    ck_assert_msg(get("k") == 0, "%s", error.text);
    ck_assert(!found);
}
END_TEST

/* ---- under libpmi2 ---- */

static void init(void)
{
    int n;

    ck_assert_int_eq(PMI2_Init(&n, &n, &n, &n), PMI2_SUCCESS);
}

/* There are no threads of libpmix's in it. */
static void act_cannot_go_on(void)
{
    int n;

    ck_assert_int_eq(PMI2_KVS_Put("k", "w"), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Finalize(), PMI2_ERR_INIT);
    ck_assert_int_eq(PMI2_Init(&n, &n, &n, &n), PMI2_FAIL);
    ck_assert_str_eq(called(), "");
}

static void act_abort(void)
{
    PMI2_Abort(1, "the end");
}

START_TEST(forks_cannot_go_on)
{
    int len;

    be_alone();
    setenv("PMIX_RANK", "1", 1);
    init();
    ck_assert_str_eq(called(), "init;");
    in_child(act_cannot_go_on, 0);
    in_child(act_abort, 1);
    ck_assert_int_eq(PMI2_KVS_Put("k", "v"), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_KVS_Fence(), PMI2_SUCCESS);
    ck_assert_int_eq(PMI2_KVS_Get(NULL, 1, "k", text, 8, &len), PMI2_SUCCESS);
    ck_assert_str_eq(text, "v");
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
    init();
    ck_assert_int_eq(PMI2_Finalize(), PMI2_SUCCESS);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, facts_that_are_told);
    tcase_add_test(tc, facts_that_are_not_told);
    tcase_add_test(tc, no_client);
    tcase_add_test(tc, ours_is_seen_at_once);
    tcase_add_test(tc, others_are_asked_in_turn);
    tcase_add_test(tc, who_has_put_it_may_be_known);
    tcase_add_test(tc, who_has_put_it_may_be_sure);
    tcase_add_test(tc, later_fences);
    tcase_add_test(tc, first_node_waits_for_others);
    tcase_add_test(tc, others_wait_for_first_node);
    tcase_add_test(tc, nodes_meet_in_a_tree);
    tcase_add_test(tc, nodes_in_any_order);
    tcase_add_test(tc, one_of_a_node_meets);
    tcase_add_test(tc, one_node_meets_nobody);
    tcase_add_test(tc, who_knows_no_map_meets_nobody);
    tcase_add_test(tc, a_map_may_be_garbled);
    tcase_add_test(tc, they_meet_once);
    tcase_add_test(tc, what_fails_then_fails_in_the_fence);
    tcase_add_loop_test(tc, what_others_put_may_be_garbled, 0, COUNT(garbled));
    tcase_add_test(tc, what_others_put_may_be_no_data);
    tcase_add_test(tc, what_does_not_work);
    tcase_add_test(tc, values_that_do_not_fit);
    tcase_add_test(tc, maps);
    tcase_add_test(tc, attributes_of_the_node);
    tcase_add_test(tc, attributes_that_come_later);
    tcase_add_test(tc, names);
    tcase_add_test(tc, spawned_jobs);
    tcase_add_test(tc, preputs);
    tcase_add_test(tc, ends);
    tcase_add_test(tc, the_map_outlives_a_finalize);
    tcase_add_test(tc, peers_are_waited_for_after_a_reopen);
    tcase_add_test(tc, what_was_put_before_a_reopen_may_be_lost);
    tcase_add_test(tc, forks_cannot_go_on);
}

/* false: it was not made, or is not what its name leads to. */
static bool load(void)
{
    const char *builddir = getenv("builddir");
    char path[4096];
    void *ours;

    snprintf(path, sizeof path, "%s/tests/unit/.libs/libpmix.so.2",
             builddir != NULL ? builddir : ".");
    ours = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    fake = ours != NULL ? dlsym(ours, FAKE_PMIX_SYMBOL) : NULL;
    return fake != NULL && dlopen("libpmix.so.2", RTLD_NOW) == ours;
}

int main(void)
{
    Suite *suite = suite_create("client_pmix");
    TCase *tc = tcase_create("client_pmix");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    add_tests(tc);
    if (!load()) {
        puts("no libpmix of ours to be loaded");
        srunner_free(runner);
        return EXIT_FAILURE;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
