/*
 * Jobs as a host sees them: facts, environments, departures, clients that do
 * not read, callbacks that call back, jobs of several nodes.
 */
#include "tests/unit/server.h"

#include <stdint.h>

/* ---- facts ---- */

static const struct {
    const char *jobid;
    unsigned size;
    const char *reason;
} bad_facts[] = {
    {NULL, 1, "1 to 200 bytes"},  {"", 1, "1 to 200 bytes"},
    {"a b", 1, "'a b'"},          {"a;b", 1, "'a;b'"},
    {"a=b", 1, "'a=b'"},          {"a\n", 1, "cannot carry"},
    {"a\177", 1, "cannot carry"}, {"7.0", 0, "0 ranks"},
    {"7.0", UINT32_MAX, "ranks"},
};

START_TEST(unsound_facts_are_refused)
{
    struct host *host = host_new(1);
    struct ctpmi_facts facts = {.jobid = bad_facts[_i].jobid,
                                .size = bad_facts[_i].size};
    struct ctpmi_error err = {0};

    ck_assert_ptr_null(ctpmi_job_create(host->server, &facts, &err));
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_msg(strstr(err.text, bad_facts[_i].reason) != NULL, "%s",
                  err.text);
    ck_assert_ptr_null(ctpmi_job_create(host->server, &facts, NULL));
    host_free(host);
}
END_TEST

START_TEST(job_id_has_a_limit)
{
    struct host *host = host_new(1);
    char jobid[202];
    struct ctpmi_facts facts = {.jobid = jobid, .size = 1};

    memset(jobid, 'j', 201);
    jobid[201] = '\0';
    ck_assert_ptr_null(ctpmi_job_create(host->server, &facts, NULL));
    jobid[200] = '\0';
    ck_assert_ptr_nonnull(ctpmi_job_create(host->server, &facts, NULL));
    host_free(host);
}
END_TEST

START_TEST(facts_are_copied)
{
    char jobid[] = "9.1";
    unsigned node_of[] = {4, 4}, appnum[] = {1, 2};
    struct ctpmi_facts facts = {.jobid = jobid,
                                .size = 2,
                                .node_of = node_of,
                                .node = 4,
                                .appnum = appnum};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    memset(jobid, 'x', 3);
    memset(node_of, 0, sizeof node_of);
    memset(appnum, 0, sizeof appnum);
    init1(&host->ranks[1]);
    ask(&host->ranks[1], "cmd=get_my_kvsname",
        "cmd=my_kvsname rc=0 kvsname=9.1");
    ask(&host->ranks[1], "cmd=get_appnum", "cmd=appnum rc=0 appnum=2");
    ask(&host->ranks[1], "cmd=get key=PMI_process_mapping",
        "cmd=get_result rc=0 value=(vector,(4,1,2))");
    host_free(host);
}
END_TEST

static const unsigned all_on_0[] = {0, 0, 0, 0}, blocks[] = {0, 0, 1, 1},
                      cyclic[] = {0, 1, 0, 1}, later[] = {2, 2, 3, 3};

static const struct {
    const unsigned *node_of;
    const char *text;
} mappings[] = {
    {NULL, "(vector,(0,1,4))"},   {all_on_0, "(vector,(0,1,4))"},
    {blocks, "(vector,(0,2,2))"}, {cyclic, "(vector,(0,2,1),(0,2,1))"},
    {later, "(vector,(2,2,2))"},
};

START_TEST(mapping_tells_who_is_where)
{
    const unsigned *node_of = mappings[_i].node_of;
    struct ctpmi_facts facts = {.jobid = "7.0",
                                .size = 4,
                                .node_of = node_of,
                                .node = node_of != NULL ? node_of[0] : 0};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    char answer[128];

    init1(&host->ranks[0]);
    snprintf(answer, sizeof answer, "cmd=get_result rc=0 value=%s",
             mappings[_i].text);
    ask(&host->ranks[0], "cmd=get key=PMI_process_mapping", answer);
    host_free(host);
}
END_TEST

/* ---- ranks ---- */

static void refuse_attach(struct ctpmi_job *job, unsigned rank,
                          const char *reason)
{
    struct ctpmi_error err = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert_ptr_null(ctpmi_attach(job, rank, fd, 0, &err));
    ck_assert_str_eq(err.text, reason);
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_ptr_null(ctpmi_attach(job, rank, fd, 0, NULL));
    ck_assert_int_eq(close(fd), 0); /* still ours */
}

START_TEST(attach_takes_each_local_rank_once)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 4, .node_of = blocks, .node = 1};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    ck_assert_uint_eq(host->count, 2);
    refuse_attach(host->job, 2, "rank 2 is served already");
    refuse_attach(host->job, 0, "rank 0 is not of this node");
    refuse_attach(host->job, 4, "rank 4 is not of this node");
    host_free(host);
}
END_TEST

START_TEST(client_knows_who_it_is)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 4, .node_of = blocks, .node = 1};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    int mine;

    ck_assert_uint_eq(ctpmi_client_rank(host->ranks[1].client), 3);
    ck_assert_ptr_eq(ctpmi_client_job(host->ranks[1].client), host->job);
    ck_assert_ptr_null(ctpmi_job_user(host->job));
    ctpmi_job_set_user(host->job, &mine);
    ck_assert_ptr_eq(ctpmi_job_user(host->job), &mine);
    host_free(host);
}
END_TEST

static void expect_env(const struct ctpmi_env *env, const char *const *items)
{
    unsigned i = 0;

    for (; items[i] != NULL; i++) {
        ck_assert_uint_lt(i, env->count);
        ck_assert_str_eq(env->items[i], items[i]);
    }
    ck_assert_uint_eq(env->count, i);
}

START_TEST(environment_of_a_rank)
{
    static const char *const items[] = {
        "PMI_FD=5",          "PMI_RANK=3",        "PMI_SIZE=4", "PMI_JOBID=7.0",
        "MPI_LOCALRANKID=1", "MPI_LOCALNRANKS=2", NULL};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 4, .node_of = blocks, .node = 1};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    struct ctpmi_env env;

    ctpmi_environment(host->job, 3, 5, &env);
    expect_env(&env, items);
    host_free(host);
}
END_TEST

START_TEST(longest_job_id_fits_the_environment)
{
    struct host *host = host_new(1);
    char jobid[201];
    struct ctpmi_facts facts = {.jobid = jobid, .size = 1};
    struct ctpmi_env env;

    memset(jobid, 'j', 200);
    jobid[200] = '\0';
    ctpmi_environment(ctpmi_job_create(host->server, &facts, NULL), 0, 3, &env);
    ck_assert_uint_eq(strlen(env.items[3]), strlen("PMI_JOBID=") + 200);
    host_free(host);
}
END_TEST

START_TEST(nothing_is_destroyed_and_detached)
{
    ctpmi_destroy(NULL);
    ctpmi_detach(NULL);
}
END_TEST

/* ---- departures ---- */

static void all_enter(struct host *host, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        say(&host->ranks[i], "cmd=barrier_in\n");
}

START_TEST(departure_before_a_fence_is_told_at_once)
{
    static const char *const words[] = {"rank 0", "others", "fence", NULL};
    struct host *host = host_ready1(4);

    all_enter(host, 0, 3);
    ck_assert_uint_eq(host->faults, 0);
    ask(&host->ranks[3], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[3]);
    expect_fault(host, 3, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(departure_of_a_silent_rank_too)
{
    static const char *const words[] = {"rank 0", "fence", NULL};
    struct host *host = host_new(2);

    init1(&host->ranks[0]);
    all_enter(host, 0, 1);
    hang_up(&host->ranks[1]);
    expect_fault(host, 1, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(fence_after_a_departure_is_told_at_once)
{
    static const char *const words[] = {"rank 1", "rank 0", "fence", NULL};
    struct host *host = host_ready1(2);

    ask(&host->ranks[1], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[1]);
    ck_assert_uint_eq(host->faults, 0);
    say(&host->ranks[0], "cmd=barrier_in\n");
    expect_fault(host, 1, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

/* The host has reaped it already: the one that waits is all there is to name.
 */
START_TEST(fence_after_a_departed_rank_was_detached)
{
    static const char *const words[] = {"rank 1", "rank 0", "fence", NULL};
    struct host *host = host_ready1(2);

    ask(&host->ranks[1], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[1]);
    ctpmi_detach(host->ranks[1].client);
    say(&host->ranks[0], "cmd=barrier_in\n");
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(departure_is_told_once)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_ready1(3);

    all_enter(host, 0, 1);
    hang_up(&host->ranks[2]); /* not finalized, and rank 0 waits */
    expect_fault(host, 2, CTPMI_DEPARTED, words);
    say(&host->ranks[1], "cmd=barrier_in\n");
    ck_assert_uint_eq(host->faults, 1);
    host_free(host);
}
END_TEST

START_TEST(departure_does_not_break_a_fence_of_others)
{
    struct host *host = host_ready1(3);

    say(&host->ranks[0], "cmd=barrier_in group=0,1:5\n");
    ask(&host->ranks[2], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[2]);
    ask(&host->ranks[1], "cmd=barrier_in group=0,1:5",
        "cmd=barrier_out rc=0 tag=5");
    expect(&host->ranks[0], "cmd=barrier_out rc=0 tag=5\n");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(departure_while_it_waits_itself)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_ready1(2);

    say(&host->ranks[1], "cmd=barrier_in\n");
    hang_up(&host->ranks[1]);
    expect_fault(host, 1, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(last_words_are_heard)
{
    struct host *host = host_ready1(1);

    ck_assert_int_gt(send(host->ranks[0].fd, "cmd=finalize\n", 13, 0), 0);
    hang_up(&host->ranks[0]);
    ck_assert_uint_eq(host->faults, 0);
    ck_assert_int_eq(ctpmi_client_state(host->ranks[0].client),
                     CTPMI_FINALIZED);
    host_free(host);
}
END_TEST

/* ---- detached ranks ---- */

START_TEST(nothing_is_said_of_a_detached_rank)
{
    struct host *host = host_ready1(3);

    all_enter(host, 0, 2);
    ctpmi_detach(host->ranks[2].client);
    ctpmi_detach(host->ranks[0].client);
    ck_assert_int_eq(host->ranks[0].events, 0);
    ck_assert_int_eq(recv(host->ranks[0].fd, &(char){0}, 1, MSG_DONTWAIT), 0);
    expect(&host->ranks[1], "");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(fence_goes_on_without_one_that_arrived)
{
    struct host *host = host_ready1(2);

    all_enter(host, 0, 1);
    ctpmi_detach(host->ranks[0].client);
    say(&host->ranks[1], "cmd=barrier_in\n");
    expect(&host->ranks[1], "cmd=barrier_out rc=0\n");
    host_free(host);
}
END_TEST

START_TEST(answer_is_not_for_a_successor)
{
    struct host *host = host_ready1(2);

    all_enter(host, 0, 1);
    ctpmi_detach(host->ranks[0].client);
    struct rank *again = attach(host, host->job, 0, 0);
    say(&host->ranks[1], "cmd=barrier_in\n");
    expect(&host->ranks[1], "cmd=barrier_out rc=0\n");
    expect(again, "");
    init1(again);
    host_free(host);
}
END_TEST

START_TEST(ring_with_a_detached_rank)
{
    struct host *host = host_ready2(3);

    say2(&host->ranks[0], "cmd=ring;ring-left=a;ring-right=b;");
    ctpmi_detach(host->ranks[0].client);
    say2(&host->ranks[1], "cmd=ring;ring-left=a;ring-right=b;");
    say2(&host->ranks[2], "cmd=ring;ring-left=c;ring-right=d;");
    expect2(&host->ranks[1],
            "cmd=ring-response;rc=0;ring-count=1;ring-left=b;ring-right=c;");
    expect2(&host->ranks[2],
            "cmd=ring-response;rc=0;ring-count=2;ring-left=b;ring-right=a;");
    host_free(host);
}
END_TEST

static const char spawn_two[] =
    "mcmd=spawn\nnprocs=2\nexecname=a\ntotspawns=1\nspawnssofar=1\n"
    "preput_key_0=k\npreput_val_0=v\nendcmd\n";

START_TEST(spawn_of_a_rank_that_was_detached)
{
    struct host *host = host_ready1(1);
    struct ctpmi_facts facts = {.jobid = "7.1", .size = 2};
    struct ctpmi_env env;

    say(&host->ranks[0], spawn_two);
    ctpmi_detach(host->ranks[0].client);
    ck_assert_ptr_null(host->spawn->by);
    facts.spawn = host->spawn;
    struct ctpmi_job *child = add_job(host, &facts, 0);
    ctpmi_environment(child, 0, 3, &env);
    ck_assert_str_eq(env.items[env.count - 1], "PMI_SPAWNED=1");
    ctpmi_spawn_done(host->spawn, child, NULL);
    init1(&host->ranks[1]);
    ask(&host->ranks[1], "cmd=get key=k", "cmd=get_result rc=0 value=v");
    host_free(host);
}
END_TEST

/*
 * On several nodes each server is told what was sent along, also that of a node
 * without ranks, and no fence tells it again.
 */
START_TEST(spawned_over_several_nodes)
{
    const unsigned node_of[] = {0, 1};
    struct host *host = host_ready1(1);
    struct ctpmi_facts facts = {.jobid = "7.1", .size = 2, .node_of = node_of};
    struct ctpmi_env env;

    say(&host->ranks[0], spawn_two);
    ck_assert_str_eq(host->spawn->preput[0], "k");
    ck_assert_str_eq(host->spawn->preput[1], "v");
    ck_assert_ptr_null(host->spawn->preput[2]);
    facts.spawner = "7.0";
    facts.preput = host->spawn->preput;
    struct ctpmi_job *child = add_job(host, &facts, 0);
    ctpmi_environment(child, 0, 3, &env);
    ck_assert_str_eq(env.items[env.count - 1], "PMI_SPAWNED=1");
    facts.jobid = "7.2";
    facts.node = 2;
    struct ctpmi_job *elsewhere = ctpmi_job_create(host->server, &facts, NULL);
    ck_assert_ptr_nonnull(elsewhere);
    ctpmi_spawn_done(host->spawn, elsewhere, NULL);
    init1(&host->ranks[1]);
    ask(&host->ranks[1], "cmd=get key=k", "cmd=get_result rc=0 value=v");
    say(&host->ranks[1], "cmd=barrier_in\n");
    ck_assert_uint_eq(host->fences, 1);
    ck_assert_uint_eq(host->fence[0].len, 0);
    host_free(host);
}
END_TEST

START_TEST(preput_comes_in_pairs)
{
    const char *const lone[] = {"k", NULL};
    struct ctpmi_facts facts = {
        .jobid = "7.1", .size = 1, .spawner = "7.0", .preput = lone};
    struct host *host = host_ready1(1);
    struct ctpmi_error err;

    ck_assert_ptr_null(ctpmi_job_create(host->server, &facts, &err));
    ck_assert_int_eq(err.code, EINVAL);
    host_free(host);
}
END_TEST

START_TEST(spawn_answered_after_the_end)
{
    struct host *host = host_ready1(1);

    say(&host->ranks[0], spawn_two);
    struct ctpmi_spawn *request = host->spawn;
    host_free(host);
    ck_assert_ptr_null(request->by);
    ck_assert_str_eq(request->commands[0].argv[0], "a");
    ctpmi_spawn_done(request, NULL, NULL);
}
END_TEST

START_TEST(half_a_spawn_ends_with_its_rank)
{
    struct host *host = host_ready1(1);

    say(&host->ranks[0], "mcmd=spawn\nnprocs=2\nexecname=a\ntotspawns=2\n"
                         "spawnssofar=1\nendcmd\n");
    ctpmi_detach(host->ranks[0].client);
    ck_assert_uint_eq(host->spawns, 0);
    host_free(host);
}
END_TEST

/* ---- clients that do not read ---- */

static void small_buffers(struct rank *rank)
{
    int size = 4096;

    setsockopt(rank->server_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(rank->fd, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int));
}

/* A job of two whose rank 0 has many answers to read. */
static struct host *host_with_slow_reader(unsigned gets)
{
    struct host *host = host_ready1(2);
    struct rank *slow = &host->ranks[0];
    char line[1200];

    small_buffers(slow);
    memset(line, 'v', sizeof line);
    memcpy(line, "cmd=put key=k value=", 20);
    strcpy(line + 1000, "\n");
    say(slow, line);
    expect(slow, "cmd=put_result rc=0\n");
    for (unsigned i = 0; i < gets; i++)
        ck_assert_int_gt(send(slow->fd, "cmd=get key=k\n", 14, MSG_DONTWAIT),
                         0);
    run(host);
    return host;
}

START_TEST(slow_reader_gets_every_answer)
{
    struct host *host = host_with_slow_reader(300);
    struct rank *slow = &host->ranks[0];
    unsigned answers = 0;

    ck_assert_int_eq(slow->events, CTPMI_OUT);
    /* nobody waits for it */
    ask(&host->ranks[1], "cmd=get_appnum", "cmd=appnum rc=0 appnum=0");
    for (const char *at = heard(slow); *at != '\0'; answers++) {
        ck_assert(starts_with(at, "cmd=get_result rc=0 value=vvv"));
        at = strchr(at, '\n') + 1;
    }
    ck_assert_uint_eq(answers, 300);
    ck_assert_int_eq(slow->events, CTPMI_IN);
    ask(slow, "cmd=get_appnum", "cmd=appnum rc=0 appnum=0");
    host_free(host);
}
END_TEST

START_TEST(slow_reader_is_answered_in_order)
{
    struct host *host = host_with_slow_reader(100);
    struct rank *slow = &host->ranks[0];

    say(slow, "cmd=barrier_in\ncmd=get_appnum\n");
    say(&host->ranks[1], "cmd=barrier_in\n");
    const char *text = heard(slow);
    const char *barrier = strstr(text, "\ncmd=barrier_out rc=0\n");
    const char *appnum = strstr(text, "\ncmd=appnum rc=0 appnum=0\n");
    ck_assert(barrier != NULL && appnum != NULL);
    ck_assert_ptr_null(strstr(barrier, "get_result"));
    host_free(host);
}
END_TEST

/* It is not read from either: what it can make us hold is bounded. */
START_TEST(slow_reader_is_held_back)
{
    struct host *host = host_with_slow_reader(100);
    struct rank *slow = &host->ranks[0];
    size_t sent = 0;
    ssize_t n;

    while ((n = send(slow->fd, "cmd=get key=k\n", 14, MSG_DONTWAIT)) > 0) {
        sent += (size_t)n;
        run(host);
        ck_assert_uint_lt(sent, 8 * 1024 * 1024);
    }
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(slow_reader_that_dies_has_departed)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_with_slow_reader(300);

    say(&host->ranks[1], "cmd=barrier_in\n");
    hang_up(&host->ranks[0]);
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    ck_assert_int_eq(host->ranks[0].events, 0);
    host_free(host);
}
END_TEST

START_TEST(reader_that_dies_before_its_answer_has_departed)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_ready1(2);

    say(&host->ranks[0], "cmd=barrier_in\n");
    close(host->ranks[0].fd);
    host->ranks[0].fd = -1;
    /* the host looks at the other one first */
    ck_assert_int_gt(send(host->ranks[1].fd, "cmd=barrier_in\n", 15, 0), 0);
    ctpmi_ready(host->ranks[1].client, CTPMI_IN);
    expect(&host->ranks[1], "cmd=barrier_out rc=0\n");
    run(host);
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

/* ---- callbacks that call back ---- */

/* All that is allowed, in the worst place. */
static void call_back(struct host *host)
{
    struct ctpmi_facts facts = {.jobid = "8.0", .size = 1};
    struct ctpmi_env env;

    host->on_fault = NULL;
    struct ctpmi_job *job = add_job(host, &facts, 0);
    ctpmi_environment(job, 0, 3, &env);
    ctpmi_job_set_user(job, host);
    for (unsigned i = 0; i < host->count; i++) {
        ctpmi_client_state(host->ranks[i].client);
        ctpmi_client_protocol(host->ranks[i].client);
        ctpmi_ready(host->ranks[i].client, CTPMI_IN | CTPMI_OUT);
    }
    if (host->spawn != NULL)
        ctpmi_spawn_done(host->spawn, job, NULL);
}

START_TEST(fault_calls_back)
{
    struct host *host = host_ready1(3);

    host->on_fault = call_back;
    say(&host->ranks[0], spawn_two);
    ck_assert_int_gt(
        send(host->ranks[1].fd, "cmd=get_appnum\n", 15, MSG_DONTWAIT), 0);
    for (int i = 0; i < 4; i++)
        say(&host->ranks[2], "cmd=put\n");
    ck_assert_uint_eq(host->faults, 1);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0\n");
    expect(&host->ranks[1], "cmd=appnum rc=0 appnum=0\n");
    init1(&host->ranks[3]);
    host_free(host);
}
END_TEST

START_TEST(departure_calls_back)
{
    struct host *host = host_ready1(3);

    host->on_fault = call_back;
    say(&host->ranks[0], spawn_two);
    say(&host->ranks[0], "cmd=barrier_in\n");
    hang_up(&host->ranks[2]);
    ck_assert_uint_eq(host->faults, 1);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0\n");
    host_free(host);
}
END_TEST

static void answer_spawn(struct host *host)
{
    struct ctpmi_facts facts = {
        .jobid = "7.1", .size = 2, .spawn = host->spawn};

    ctpmi_spawn_done(host->spawn, add_job(host, &facts, 0), NULL);
}

START_TEST(spawn_is_answered_in_its_callback)
{
    struct host *host = host_ready1(1);

    host->on_spawn = answer_spawn;
    say(&host->ranks[0], "cmd=get_appnum\n");
    expect(&host->ranks[0], "cmd=appnum rc=0 appnum=0\n");
    ck_assert_int_gt(send(host->ranks[0].fd, "cmd=get_appnum\n", 15, 0), 0);
    ck_assert_int_gt(send(host->ranks[0].fd, spawn_two, strlen(spawn_two), 0),
                     0);
    ck_assert_int_gt(send(host->ranks[0].fd, "cmd=get_appnum\n", 15, 0), 0);
    run(host);
    expect(&host->ranks[0], "cmd=appnum rc=0 appnum=0\n"
                            "cmd=spawn_result rc=0 errcodes=0,0\n"
                            "cmd=appnum rc=0 appnum=0\n");
    host_free(host);
}
END_TEST

static void answer_fence(struct host *host)
{
    ctpmi_fence_done(host->fence[host->fences - 1].fence, NULL, 0);
}

static const unsigned two_nodes[] = {0, 1};

START_TEST(fence_is_answered_in_its_callback)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    host->on_fence = answer_fence;
    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=get_appnum\ncmd=barrier_in\ncmd=get_appnum\n");
    expect(&host->ranks[0], "cmd=appnum rc=0 appnum=0\n"
                            "cmd=barrier_out rc=0\n"
                            "cmd=appnum rc=0 appnum=0\n");
    host_free(host);
}
END_TEST

/* ---- several nodes ---- */

enum { NODES = 3 };

static const unsigned six_on_three[] = {0, 0, 1, 1, 2, 2};

/* A job of six ranks on three nodes, each with a server of its own. */
static void start_nodes(struct host **nodes, unsigned flags)
{
    for (unsigned n = 0; n < NODES; n++) {
        struct ctpmi_facts facts = {
            .jobid = "7.0", .size = 6, .node_of = six_on_three, .node = n};
        nodes[n] = host_start(&host_callbacks, &facts, flags);
        init1(&nodes[n]->ranks[0]);
        init1(&nodes[n]->ranks[1]);
    }
}

static void free_nodes(struct host **nodes)
{
    for (unsigned n = 0; n < NODES; n++)
        host_free(nodes[n]);
}

static struct rank *rank_of(struct host **nodes, unsigned rank)
{
    return &nodes[rank / 2]->ranks[rank % 2];
}

/* What the hosts do with their last fence: nodes[0..count-1] take part. */
static void exchange(struct host **nodes, unsigned count)
{
    static char data[TEST_TEXT_MAX];

    for (unsigned n = 0; n < count; n++) {
        size_t len = 0;
        for (unsigned other = 0; other < count; other++) {
            struct fence_call *call =
                &nodes[other]->fence[nodes[other]->fences - 1];
            if (other == n)
                continue;
            memcpy(data + len, call->data, call->len);
            len += call->len;
        }
        ctpmi_fence_done(nodes[n]->fence[nodes[n]->fences - 1].fence, data,
                         len);
        run(nodes[n]);
    }
}

static void put(struct rank *rank, const char *key, const char *value)
{
    char line[128];

    snprintf(line, sizeof line, "cmd=put key=%s value=%s", key, value);
    ask(rank, line, "cmd=put_result rc=0");
}

static void get(struct rank *rank, const char *key, const char *value)
{
    char line[128], answer[128];

    snprintf(line, sizeof line, "cmd=get key=%s", key);
    snprintf(answer, sizeof answer, "cmd=get_result rc=0 value=%s", value);
    ask(rank, line, answer);
}

START_TEST(fence_of_three_nodes)
{
    struct host *nodes[NODES];
    char key[8];

    start_nodes(nodes, 0);
    for (unsigned r = 0; r < 6; r++) {
        snprintf(key, sizeof key, "k%u", r);
        put(rank_of(nodes, r), key, key);
    }
    for (unsigned r = 0; r < 6; r++) {
        ck_assert_uint_eq(nodes[r / 2]->fences, 0);
        say(rank_of(nodes, r), "cmd=barrier_in\n");
        expect(rank_of(nodes, r), "");
    }
    for (unsigned n = 0; n < NODES; n++) {
        ck_assert_uint_eq(nodes[n]->fences, 1);
        ck_assert_ptr_eq(nodes[n]->fence[0].job, nodes[n]->job);
        ck_assert_str_eq(nodes[n]->fence[0].name, "");
        ck_assert(nodes[n]->fence[0].whole_job);
    }
    exchange(nodes, NODES);
    for (unsigned r = 0; r < 6; r++) {
        expect(rank_of(nodes, r), "cmd=barrier_out rc=0\n");
        for (unsigned of = 0; of < 6; of++) {
            snprintf(key, sizeof key, "k%u", of);
            get(rank_of(nodes, r), key, key);
        }
    }
    free_nodes(nodes);
}
END_TEST

/* Twice: the second ring's values are not the first's. */
START_TEST(ring_of_three_nodes)
{
    struct host *nodes[NODES];
    char text[128];

    start_nodes(nodes, 0);
    for (unsigned r = 0; r < 6; r++)
        init2(rank_of(nodes, r));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned r = 0; r < 6; r++) {
            snprintf(text, sizeof text,
                     "cmd=ring;ring-count=1;ring-left=%ul%u;ring-right=%ur%u;",
                     r, round, r, round);
            say2(rank_of(nodes, r), text);
            expect(rank_of(nodes, r), "");
        }
        exchange(nodes, NODES);
        for (unsigned r = 0; r < 6; r++) {
            snprintf(text, sizeof text,
                     "cmd=ring-response;rc=0;ring-count=%u;ring-left=%ur%u;"
                     "ring-right=%ul%u;",
                     r, (r + 5) % 6, round, (r + 1) % 6, round);
            expect2(rank_of(nodes, r), text);
        }
    }
    free_nodes(nodes);
}
END_TEST

static void all_barrier(struct host **nodes)
{
    for (unsigned r = 0; r < 6; r++)
        say(rank_of(nodes, r), "cmd=barrier_in\n");
    exchange(nodes, NODES);
    for (unsigned r = 0; r < 6; r++)
        heard(rank_of(nodes, r));
}

START_TEST(fence_carries_what_is_new)
{
    struct host *nodes[NODES];

    start_nodes(nodes, 0);
    put(rank_of(nodes, 0), "a", "1");
    all_barrier(nodes);
    ck_assert_uint_gt(nodes[0]->fence[0].len, 0);
    all_barrier(nodes);
    for (unsigned n = 0; n < NODES; n++)
        ck_assert_uint_eq(nodes[n]->fence[1].len, 0);
    put(rank_of(nodes, 5), "a", "2");
    all_barrier(nodes);
    ck_assert_uint_eq(nodes[0]->fence[2].len, 0);
    get(rank_of(nodes, 0), "a", "2");
    get(rank_of(nodes, 3), "a", "2");
    free_nodes(nodes);
}
END_TEST

/* A fence of some nodes must not take from the others what they lack. */
START_TEST(fence_of_two_nodes_and_then_of_all)
{
    struct host *nodes[NODES];

    start_nodes(nodes, CTPMI_CLIENT_PMI12);
    put(rank_of(nodes, 0), "a", "1");
    say(rank_of(nodes, 0), "cmd=barrier_in group=0,2:7\n");
    say(rank_of(nodes, 2), "cmd=barrier_in group=0,2:7\n");
    ck_assert_str_eq(nodes[1]->fence[0].name, "0,2:7");
    ck_assert_uint_eq(nodes[1]->fence[0].count, 2);
    ck_assert_uint_eq(nodes[1]->fence[0].members[0], 0);
    ck_assert_uint_eq(nodes[1]->fence[0].members[1], 2);
    exchange(nodes, 2);
    expect(rank_of(nodes, 0), "cmd=barrier_out rc=0 tag=7\n");
    expect(rank_of(nodes, 2), "cmd=barrier_out rc=0 tag=7\n");
    get(rank_of(nodes, 2), "a", "1");
    all_barrier(nodes);
    get(rank_of(nodes, 4), "a", "1");
    free_nodes(nodes);
}
END_TEST

/* What a fence of all has taken along is not there yet when one of some ends.
 */
START_TEST(fence_of_two_nodes_within_one_of_all)
{
    struct host *nodes[NODES];

    start_nodes(nodes, CTPMI_CLIENT_PMI12);
    put(rank_of(nodes, 0), "a", "1");
    say(rank_of(nodes, 0), "cmd=barrier_in\n");
    say(rank_of(nodes, 1), "cmd=barrier_in\n");
    ck_assert_uint_eq(nodes[0]->fences, 1);
    say(rank_of(nodes, 0), "cmd=barrier_in group=0,2:7\n");
    say(rank_of(nodes, 2), "cmd=barrier_in group=0,2:7\n");
    exchange(nodes, 2);
    expect(rank_of(nodes, 0), "cmd=barrier_out rc=0 tag=7\n");
    expect(rank_of(nodes, 2), "cmd=barrier_out rc=0 tag=7\n");
    get(rank_of(nodes, 2), "a", "1");
    free_nodes(nodes);
}
END_TEST

START_TEST(node_group_stays_on_its_node)
{
    struct host *nodes[NODES];

    start_nodes(nodes, CTPMI_CLIENT_PMI12);
    for (unsigned r = 0; r < 6; r++)
        say(rank_of(nodes, r), "cmd=barrier_in group=NODE:3\n");
    for (unsigned r = 0; r < 6; r++)
        expect(rank_of(nodes, r), "cmd=barrier_out rc=0 tag=3\n");
    for (unsigned n = 0; n < NODES; n++)
        ck_assert_uint_eq(nodes[n]->fences, 0);
    free_nodes(nodes);
}
END_TEST

START_TEST(fences_at_once_end_in_any_order)
{
    struct host *nodes[NODES];

    start_nodes(nodes, CTPMI_CLIENT_PMI12);
    say(rank_of(nodes, 0), "cmd=barrier_in group=0,2:1\n"
                           "cmd=barrier_in group=0,4:2\n");
    ck_assert_uint_eq(nodes[0]->fences, 2);
    ctpmi_fence_done(nodes[0]->fence[1].fence, NULL, 0);
    expect(rank_of(nodes, 0), "cmd=barrier_out rc=0 tag=2\n");
    ctpmi_fence_done(nodes[0]->fence[0].fence, NULL, 0);
    expect(rank_of(nodes, 0), "cmd=barrier_out rc=0 tag=1\n");
    free_nodes(nodes);
}
END_TEST

START_TEST(fence_beyond_the_node_without_a_callback_is_a_fault)
{
    static const char *const words[] = {"fence", "node", NULL};
    struct ctpmi_callbacks callbacks = {.watch = host_watch,
                                        .fault = host_fault};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes};
    struct host *host = host_start(&callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=barrier_in\n");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    host_free(host);
}
END_TEST

static const struct {
    const char *data;
    size_t len;
} broken_data[] = {
    {"\1", 1},           {"\1\0\1\0k", 5},          {"\0\0\1\0v", 5},
    {"\1\0\1\0kv\1", 7}, {"\377\377\377\377kv", 6},
};

START_TEST(broken_data_of_other_nodes_is_a_fault)
{
    static const char *const words[] = {"other nodes", NULL};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=barrier_in\n");
    ctpmi_fence_done(host->fence[0].fence, broken_data[_i].data,
                     broken_data[_i].len);
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    expect(&host->ranks[0], "");
    host_free(host);
}
END_TEST

START_TEST(departure_while_other_nodes_are_waited_for)
{
    static const char *const words[] = {"finaliz", NULL};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=barrier_in\n");
    hang_up(&host->ranks[0]);
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    ctpmi_detach(host->ranks[0].client);
    ctpmi_fence_done(host->fence[0].fence, NULL, 0);
    host_free(host);
}
END_TEST

START_TEST(fence_open_at_the_end)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=barrier_in\n");
    ck_assert_uint_eq(host->fences, 1);
    host_free(host);
}
END_TEST

/* The request is on one node, the children's ranks are on two. */
START_TEST(preput_values_reach_other_nodes)
{
    struct host *nodes[2];

    for (unsigned n = 0; n < 2; n++)
        nodes[n] = host_ready1(1);
    say(&nodes[0]->ranks[0], spawn_two);
    for (unsigned n = 0; n < 2; n++) {
        struct ctpmi_facts facts = {.jobid = "7.1",
                                    .size = 2,
                                    .node_of = two_nodes,
                                    .node = n,
                                    .spawn = n == 0 ? nodes[0]->spawn : NULL};
        struct ctpmi_job *child = add_job(nodes[n], &facts, 0);
        if (n == 0)
            ctpmi_spawn_done(nodes[0]->spawn, child, NULL);
        init1(&nodes[n]->ranks[1]);
        say(&nodes[n]->ranks[1], "cmd=barrier_in\n");
    }
    exchange(nodes, 2);
    for (unsigned n = 0; n < 2; n++) {
        expect(&nodes[n]->ranks[1], "cmd=barrier_out rc=0\n");
        get(&nodes[n]->ranks[1], "k", "v");
        host_free(nodes[n]);
    }
}
END_TEST

START_TEST(node_without_ranks)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .node_of = two_nodes, .node = 5};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    ck_assert_uint_eq(host->count, 0);
    refuse_attach(host->job, 0, "rank 0 is not of this node");
    host_free(host);
}
END_TEST

/* ---- ranks die, and the others go on ---- */

static struct host *host_that_continues(unsigned size)
{
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = size, .continues = true};

    return host_start(&host_callbacks, &facts, 0);
}

START_TEST(barrier_without_the_dead)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_that_continues(4);

    for (unsigned i = 0; i < 4; i++)
        init1(&host->ranks[i]);
    ask(&host->ranks[0], "cmd=get key=PMI_dead_processes",
        "cmd=get_result rc=-1 msg=key_not_found");
    all_enter(host, 0, 2);
    say(&host->ranks[3], "cmd=barrier_in group=3,2:5\n");
    hang_up(&host->ranks[2]);
    expect_fault(host, 2, CTPMI_DEPARTED, words);
    expect(&host->ranks[3], "cmd=barrier_out rc=0 tag=5\n");
    get(&host->ranks[3], "PMI_dead_processes", "2");
    expect(&host->ranks[0], "");
    ask(&host->ranks[3], "cmd=barrier_in", "cmd=barrier_out rc=0");
    expect(&host->ranks[0], "cmd=barrier_out rc=0\n");
    expect(&host->ranks[1], "cmd=barrier_out rc=0\n");
    all_enter(host, 0, 2); /* a later one, after which another dies */
    hang_up(&host->ranks[3]);
    expect(&host->ranks[0], "cmd=barrier_out rc=0\n");
    get(&host->ranks[0], "PMI_dead_processes", "2,3");
    host_free(host);
}
END_TEST

/* It is nobody who has died. */
START_TEST(barrier_without_one_that_has_finalized)
{
    struct host *host = host_that_continues(2);

    init1(&host->ranks[0]);
    init1(&host->ranks[1]);
    ask(&host->ranks[1], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[1]);
    ask(&host->ranks[0], "cmd=barrier_in", "cmd=barrier_out rc=0");
    ask(&host->ranks[0], "cmd=get key=PMI_dead_processes",
        "cmd=get_result rc=-1 msg=key_not_found");
    ck_assert_uint_eq(host->faults, 0);
    ctpmi_rank_lost(host->job, 1); /* its exit code was not 0 */
    get(&host->ranks[0], "PMI_dead_processes", "1");
    host_free(host);
}
END_TEST

START_TEST(fences_of_pmi2_without_the_dead)
{
    struct host *host = host_that_continues(3);

    for (unsigned i = 0; i < 3; i++)
        init2(&host->ranks[i]);
    say2(&host->ranks[0], "cmd=kvs-fence;");
    say2(&host->ranks[2], "cmd=info-getnodeattr;key=never;wait=TRUE;");
    ctpmi_rank_lost(host->job, 1); /* before its connection ends */
    expect2(&host->ranks[0], "");
    hang_up(&host->ranks[1]);
    say2(&host->ranks[0], "cmd=info-getnodeattr;key=never;wait=TRUE;");
    expect2(&host->ranks[2], "cmd=info-getnodeattr-response;rc=0;found=FALSE;");
    ask2(&host->ranks[2], "cmd=kvs-get;key=PMI_dead_processes;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=1;");
    ask2(&host->ranks[2], "cmd=info-getjobattr;key=PMI_dead_processes;",
         "cmd=info-getjobattr-response;rc=0;found=TRUE;value=1;");
    host_free(host);
}
END_TEST

/* Of other nodes the host tells, which does not wait for them either. */
START_TEST(dead_of_other_nodes)
{
    static const unsigned node_of[] = {0, 1, 0, 1};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 4, .node_of = node_of, .continues = true};
    struct host *host = host_start(&host_callbacks, &facts, 0);

    init1(&host->ranks[0]);
    init1(&host->ranks[1]);
    ctpmi_rank_lost(host->job, 3);
    ctpmi_rank_lost(host->job, 4); /* who is nobody */
    get(&host->ranks[0], "PMI_dead_processes", "3");
    say(&host->ranks[0], "cmd=barrier_in\n");
    say(&host->ranks[1], "cmd=barrier_in group=2,3,0:1\n");
    ck_assert_uint_eq(host->fences, 0);
    ctpmi_rank_lost(host->job, 0); /* has arrived in the first */
    ck_assert_uint_eq(host->fences, 1);
    ck_assert_str_eq(host->fence[0].name, "2,3,0:1");
    ck_assert_uint_eq(host->fence[0].count, 3);
    ctpmi_fence_done(host->fence[0].fence, NULL, 0);
    expect(&host->ranks[1], "cmd=barrier_out rc=0 tag=1\n");
    say(&host->ranks[1], "cmd=barrier_in\n");
    ck_assert_uint_eq(host->fences, 2);
    ctpmi_fence_done(host->fence[1].fence, NULL, 0);
    expect(&host->ranks[1], "cmd=barrier_out rc=0\n");
    host_free(host);
}
END_TEST

START_TEST(ring_without_the_dead)
{
    struct host *host = host_that_continues(3);

    for (unsigned i = 0; i < 3; i++)
        init2(&host->ranks[i]);
    say2(&host->ranks[0], "cmd=ring;count=1;left=l0;right=r0;ring-left=l0;"
                          "ring-right=r0;");
    say2(&host->ranks[2], "cmd=ring;ring-left=l2;ring-right=r2;");
    hang_up(&host->ranks[1]);
    expect2(&host->ranks[0],
            "cmd=ring-response;rc=0;ring-count=0;ring-left=r2;");
    expect2(&host->ranks[2],
            "cmd=ring-response;rc=0;ring-count=2;ring-right=l0;");
    host_free(host);
}
END_TEST

/* A list of them has a limit; it is of the lowest. */
START_TEST(many_dead)
{
    static unsigned node_of[2000];
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2000, .node_of = node_of, .continues = true};
    struct host *host;
    const char *list;

    for (unsigned rank = 1; rank < 2000; rank++) /* who have no connection */
        node_of[rank] = 1;
    host = host_start(&host_callbacks, &facts, 0);

    init1(&host->ranks[0]);
    for (unsigned rank = 1999; rank >= 1000; rank--)
        ctpmi_rank_lost(host->job, rank);
    say(&host->ranks[0], "cmd=get key=PMI_dead_processes\n");
    list = heard(&host->ranks[0]);
    ck_assert(starts_with(list, "cmd=get_result rc=0 value=1000,1001,1002,"));
    ck_assert_uint_lt(strlen(list), 1024);
    ck_assert_str_eq(list + strlen(list) - 6, ",1189\n");
    host_free(host);
}
END_TEST

/* A job that does not continue has none. */
START_TEST(nobody_dies_in_other_jobs)
{
    struct host *host = host_ready1(2);

    ctpmi_rank_lost(host->job, 1);
    ask(&host->ranks[0], "cmd=get key=PMI_dead_processes",
        "cmd=get_result rc=-1 msg=key_not_found");
    host_free(host);
}
END_TEST

/* ---- many ranks ---- */

START_TEST(sixty_ranks_get_all_of_all)
{
    struct host *host = host_ready1(60);
    char key[16];

    for (unsigned r = 0; r < 60; r++) {
        snprintf(key, sizeof key, "k%u", r);
        put(&host->ranks[r], key, key);
    }
    all_enter(host, 0, 60);
    for (unsigned r = 0; r < 60; r++) {
        expect(&host->ranks[r], "cmd=barrier_out rc=0\n");
        for (unsigned of = 0; of < 60; of++) {
            snprintf(key, sizeof key, "k%u", of);
            get(&host->ranks[r], key, key);
        }
    }
    host_free(host);
}
END_TEST

static void add_facts(TCase *tc)
{
    tcase_add_loop_test(tc, unsound_facts_are_refused, 0, COUNT(bad_facts));
    tcase_add_test(tc, job_id_has_a_limit);
    tcase_add_test(tc, facts_are_copied);
    tcase_add_loop_test(tc, mapping_tells_who_is_where, 0, COUNT(mappings));
    tcase_add_test(tc, attach_takes_each_local_rank_once);
    tcase_add_test(tc, client_knows_who_it_is);
    tcase_add_test(tc, environment_of_a_rank);
    tcase_add_test(tc, longest_job_id_fits_the_environment);
    tcase_add_test(tc, nothing_is_destroyed_and_detached);
}

static void add_departures(TCase *tc)
{
    tcase_add_test(tc, departure_before_a_fence_is_told_at_once);
    tcase_add_test(tc, departure_of_a_silent_rank_too);
    tcase_add_test(tc, fence_after_a_departure_is_told_at_once);
    tcase_add_test(tc, fence_after_a_departed_rank_was_detached);
    tcase_add_test(tc, departure_is_told_once);
    tcase_add_test(tc, departure_does_not_break_a_fence_of_others);
    tcase_add_test(tc, departure_while_it_waits_itself);
    tcase_add_test(tc, last_words_are_heard);
    tcase_add_test(tc, nothing_is_said_of_a_detached_rank);
    tcase_add_test(tc, fence_goes_on_without_one_that_arrived);
    tcase_add_test(tc, answer_is_not_for_a_successor);
    tcase_add_test(tc, ring_with_a_detached_rank);
    tcase_add_test(tc, spawn_of_a_rank_that_was_detached);
    tcase_add_test(tc, spawn_answered_after_the_end);
    tcase_add_test(tc, spawned_over_several_nodes);
    tcase_add_test(tc, preput_comes_in_pairs);
    tcase_add_test(tc, half_a_spawn_ends_with_its_rank);
}

static void add_loops(TCase *tc)
{
    tcase_add_test(tc, slow_reader_gets_every_answer);
    tcase_add_test(tc, slow_reader_is_answered_in_order);
    tcase_add_test(tc, slow_reader_is_held_back);
    tcase_add_test(tc, slow_reader_that_dies_has_departed);
    tcase_add_test(tc, reader_that_dies_before_its_answer_has_departed);
    tcase_add_test(tc, fault_calls_back);
    tcase_add_test(tc, departure_calls_back);
    tcase_add_test(tc, spawn_is_answered_in_its_callback);
    tcase_add_test(tc, fence_is_answered_in_its_callback);
    tcase_add_test(tc, sixty_ranks_get_all_of_all);
}

static void add_nodes(TCase *tc)
{
    tcase_add_test(tc, fence_of_three_nodes);
    tcase_add_test(tc, ring_of_three_nodes);
    tcase_add_test(tc, fence_carries_what_is_new);
    tcase_add_test(tc, fence_of_two_nodes_and_then_of_all);
    tcase_add_test(tc, node_group_stays_on_its_node);
    tcase_add_test(tc, fence_of_two_nodes_within_one_of_all);
    tcase_add_test(tc, fences_at_once_end_in_any_order);
    tcase_add_test(tc, fence_beyond_the_node_without_a_callback_is_a_fault);
    tcase_add_loop_test(tc, broken_data_of_other_nodes_is_a_fault, 0,
                        COUNT(broken_data));
    tcase_add_test(tc, departure_while_other_nodes_are_waited_for);
    tcase_add_test(tc, fence_open_at_the_end);
    tcase_add_test(tc, preput_values_reach_other_nodes);
    tcase_add_test(tc, node_without_ranks);
}

static void add_losses(TCase *tc)
{
    tcase_add_test(tc, barrier_without_the_dead);
    tcase_add_test(tc, barrier_without_one_that_has_finalized);
    tcase_add_test(tc, fences_of_pmi2_without_the_dead);
    tcase_add_test(tc, dead_of_other_nodes);
    tcase_add_test(tc, ring_without_the_dead);
    tcase_add_test(tc, many_dead);
    tcase_add_test(tc, nobody_dies_in_other_jobs);
}

static void add_all(TCase *tc)
{
    add_losses(tc);
    add_facts(tc);
    add_departures(tc);
    add_loops(tc);
    add_nodes(tc);
}

int main(void)
{
    return run_suite("server_job", add_all);
}
