/*
 * PMI-1 as clients really speak it: every command, quirk and limit.
 * What it has in common with PMI-2 is in test_server_wires.c.
 */
#include "tests/unit/server.h"

/* ---- negotiation ---- */

static const struct {
    const char *init;
    unsigned flags;
    const char *answer;
    const char *protocol;
} inits[] = {
    {"cmd=init pmi_version=1 pmi_subversion=1", 0,
     "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0", "PMI-1.1"},
    /* NVSHMEM */
    {"cmd=init pmi_version=1 pmi_subversion=0", 0,
     "cmd=response_to_init pmi_version=1 pmi_subversion=0 rc=0", "PMI-1.1"},
    /* MPICH 5 says 1.1 all the same; nobody else may hear 1.2 */
    {"cmd=init pmi_version=1 pmi_subversion=1", CTPMI_CLIENT_PMI12,
     "cmd=response_to_init pmi_version=1 pmi_subversion=2 rc=0", "PMI-1.2"},
    {"cmd=init pmi_version=1 pmi_subversion=0", CTPMI_CLIENT_PMI12,
     "cmd=response_to_init pmi_version=1 pmi_subversion=0 rc=0", "PMI-1.1"},
    {"cmd=init pmi_version=1 pmi_subversion=2", 0,
     "cmd=response_to_init pmi_version=1 pmi_subversion=2 rc=0", "PMI-1.2"},
    {"cmd=init  pmi_subversion=1  pmi_version=1  unknown=x bare", 0,
     "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0", "PMI-1.1"},
};

START_TEST(init_agrees_on_a_version)
{
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 1};
    struct host *host = host_start(&host_callbacks, &facts, inits[_i].flags);
    struct rank *rank = &host->ranks[0];

    ck_assert_str_eq(ctpmi_client_protocol(rank->client), "none");
    ask(rank, inits[_i].init, inits[_i].answer);
    ck_assert_str_eq(ctpmi_client_protocol(rank->client), inits[_i].protocol);
    ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_ACTIVE);
    host_free(host);
}
END_TEST

static const struct {
    const char *line;
    const char *answer;
} bad_starts[] = {
    {"cmd=init pmi_version=3 pmi_subversion=0",
     "cmd=response_to_init rc=-1 msg=version_3_is_neither_1_nor_2"},
    {"cmd=init", "cmd=response_to_init rc=-1 msg=no_version"},
    {"cmd=init pmi_version=one pmi_subversion=1",
     "cmd=response_to_init rc=-1 msg=no_version"},
    {"cmd=get_maxes", "cmd=maxes rc=-1 msg=not_initialised"},
    {"cmd=barrier_in", "cmd=barrier_out rc=-1 msg=not_initialised"},
    {"cmd=finalize", "cmd=finalize_ack rc=-1 msg=not_initialised"},
    {"cmd=initack pmiid=0", "cmd=initack_result rc=-1 msg=unknown_command"},
};

START_TEST(bad_start_is_answered_and_may_be_mended)
{
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    ask(rank, bad_starts[_i].line, bad_starts[_i].answer);
    ck_assert_uint_eq(host->faults, 0);
    ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_SILENT);
    init1(rank);
    host_free(host);
}
END_TEST

/* ---- framing ---- */

START_TEST(lines_come_byte_by_byte)
{
    static const char line[] = "cmd=init pmi_version=1 pmi_subversion=1\n";
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    for (size_t i = 0; i + 1 < sizeof line; i++) {
        expect(rank, "");
        send_all(rank, line + i, 1);
    }
    expect(rank, "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n");
    host_free(host);
}
END_TEST

START_TEST(lines_come_all_at_once)
{
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    say(rank, "cmd=init pmi_version=1 pmi_subversion=1\n"
              "cmd=get_maxes\ncmd=put kvsname=7.0 key=a value=1\n"
              "cmd=barrier_in\ncmd=get kvsname=7.0 key=a\ncmd=get_app");
    expect(rank, "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n"
                 "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 "
                 "vallen_max=1024\n"
                 "cmd=put_result rc=0\n"
                 "cmd=barrier_out rc=0\n"
                 "cmd=get_result rc=0 value=1\n");
    say(rank, "num\n");
    expect(rank, "cmd=appnum rc=0 appnum=0\n");
    host_free(host);
}
END_TEST

START_TEST(unreadable_lines_are_answered_then_punished)
{
    static const char *const words[] = {"PMI-1", "unreadable", NULL};
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    /* what a launcher inside the container says on a descriptor not its own */
    say(rank, "error: no such host\n\nPMI?\n");
    ck_assert_uint_eq(host->faults, 0);
    ck_assert(starts_with(heard(rank), "cmd=unknown rc=-1 msg="));
    say(rank, "again\n");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    ck_assert_int_eq(rank->events, 0);
    host_free(host);
}
END_TEST

START_TEST(endless_line_is_a_fault)
{
    static const char *const words[] = {"PMI-1", NULL};
    struct host *host = host_ready1(1);
    char *line = malloc(70000);

    memset(line, 'x', 70000);
    memcpy(line, "cmd=", 4);
    send_all(&host->ranks[0], line, 65535);
    ck_assert_uint_eq(host->faults, 0);
    send_all(&host->ranks[0], line, 1000);
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    free(line);
    host_free(host);
}
END_TEST

START_TEST(nul_byte_is_answered)
{
    struct host *host = host_ready1(1);

    send_all(&host->ranks[0], "cmd=get\0maxes\n", 14);
    ck_assert(starts_with(heard(&host->ranks[0]), "cmd=unknown rc=-1 msg="));
    host_free(host);
}
END_TEST

/* ---- facts of the job ---- */

START_TEST(facts_are_answered)
{
    static const unsigned appnums[] = {0, 3};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 2, .universe_size = 12, .appnum = appnums};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    struct rank *rank = &host->ranks[1];

    init1(rank);
    ask(rank, "cmd=get_maxes",
        "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024");
    ask(rank, "cmd=get_appnum", "cmd=appnum rc=0 appnum=3");
    ask(rank, "cmd=get_universe_size", "cmd=universe_size rc=0 size=12");
    ask(rank, "cmd=get_my_kvsname", "cmd=my_kvsname rc=0 kvsname=7.0");
    ask(rank, "cmd=get kvsname=7.0 key=universeSize",
        "cmd=get_result rc=0 value=12");
    ask(rank, "cmd=get kvsname=7.0 key=PMI_process_mapping",
        "cmd=get_result rc=0 value=(vector,(0,1,2))");
    host_free(host);
}
END_TEST

START_TEST(universe_is_the_job_by_default)
{
    struct host *host = host_ready1(3);

    ask(&host->ranks[2], "cmd=get_universe_size",
        "cmd=universe_size rc=0 size=3");
    ask(&host->ranks[2], "cmd=get_appnum", "cmd=appnum rc=0 appnum=0");
    host_free(host);
}
END_TEST

/* MPICH >= 4 probes these in every start; it must be quick and cost nothing. */
static const char *const probes[] = {
    "PMI_hwloc_xmlfile",
    "PMI_mpi_memory_alloc_kinds",
    "PMI_dead_processes",
    "-NONEXIST-KEY",
    "a-key-that-is-longer-than-any-key-that-can-have-been-put-here-by-anyone",
};

START_TEST(unknown_keys_are_not_found)
{
    struct host *host = host_ready1(1);
    char line[128];

    snprintf(line, sizeof line, "cmd=get kvsname=7.0 key=%s", probes[_i]);
    for (int i = 0; i < 10; i++)
        ask(&host->ranks[0], line, "cmd=get_result rc=-1 msg=key_not_found");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- put and get ---- */

static const char *const odd_keys[] = {
    "-allgather-1-0-seg-1/9",
    "P0-businesscard",
    "-bcast-1-",
    "a/b.c:d#e",
    "cmd",
    "value",
    "~!@$%^&*()[]{}|<>?,'\"`+_",
};

START_TEST(keys_of_any_kind)
{
    struct host *host = host_ready1(1);
    char line[128];

    snprintf(line, sizeof line, "cmd=put kvsname=7.0 key=%s value=a=b=c;d",
             odd_keys[_i]);
    ask(&host->ranks[0], line, "cmd=put_result rc=0");
    snprintf(line, sizeof line, "cmd=get kvsname=7.0 key=%s", odd_keys[_i]);
    ask(&host->ranks[0], line, "cmd=get_result rc=0 value=a=b=c;d");
    host_free(host);
}
END_TEST

START_TEST(kvs_name_may_lack_but_not_be_another)
{
    struct host *host = host_ready1(1);
    struct rank *rank = &host->ranks[0];

    ask(rank, "cmd=put key=k value=1", "cmd=put_result rc=0");
    ask(rank, "cmd=get key=k", "cmd=get_result rc=0 value=1");
    ask(rank, "cmd=get kvsname= key=k", "cmd=get_result rc=0 value=1");
    ask(rank, "cmd=put kvsname=8.0 key=k value=2",
        "cmd=put_result rc=-1 msg=unknown_kvs");
    ask(rank, "cmd=get kvsname=8.0 key=k",
        "cmd=get_result rc=-1 msg=unknown_kvs");
    host_free(host);
}
END_TEST

START_TEST(rank_has_a_quota)
{
    struct host *host = host_ready1(2);
    char line[1200], letters[1001] = "";
    unsigned puts = 0;

    memset(letters, 'v', 1000);
    do {
        snprintf(line, sizeof line, "cmd=put key=%u value=%s\n", puts++,
                 letters);
        say(&host->ranks[0], line);
    } while (strcmp(heard(&host->ranks[0]), "cmd=put_result rc=0\n") == 0);
    ck_assert_uint_gt(puts, 16 * 1024);
    ck_assert_uint_lt(puts, 18 * 1024);
    ck_assert(starts_with(host->ranks[0].text, "cmd=put_result rc=-1 msg="));
    /* others have theirs, and what is there stays */
    ask(&host->ranks[1], "cmd=put key=k value=v", "cmd=put_result rc=0");
    ask(&host->ranks[0], "cmd=get key=k", "cmd=get_result rc=0 value=v");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- lines of at most 1024 bytes, for MPICH <= 4.0 ---- */

static const char *const questions[] = {
    "cmd=get_maxes",
    "cmd=get_appnum",
    "cmd=get_universe_size",
    "cmd=get_my_kvsname",
    "cmd=put key=a value=b",
    "cmd=get key=none",
    "cmd=get key=PMI_process_mapping",
    "cmd=publish_name service=a port=b",
    "cmd=lookup_name service=none",
    "cmd=unpublish_name service=a",
    "cmd=barrier_in group=NODE:4",
    "cmd=singinit pmi_version=1 pmi_subversion=1 stdio=yes authtype=none",
    "cmd=a-command-with-a-name-of-more-bytes-than-a-reply-has-room-for-or-so",
    "cmd=put",
    "cmd=finalize",
};

/* The longest job id, and each rank on a node of its own: the longest map. */
static struct host *long_worded_job(unsigned size)
{
    char jobid[201] = "";
    unsigned *node_of = calloc(size, sizeof *node_of);
    struct ctpmi_facts facts = {
        .jobid = jobid, .size = size, .node_of = node_of, .node = 9999};

    memset(jobid, 'j', 200);
    for (unsigned i = 0; i < size; i++)
        node_of[i] = 9999 - 2 * i;
    struct host *host = host_start(&host_callbacks, &facts, 0);
    free(node_of);
    init1(&host->ranks[0]);
    return host;
}

START_TEST(answers_fit_a_line_and_have_no_empty_value)
{
    struct host *host = long_worded_job(84);

    say(&host->ranks[0], questions[_i]);
    say(&host->ranks[0], "\n");
    const char *answer = heard(&host->ranks[0]);
    ck_assert_str_ne(answer, "");
    ck_assert_uint_le(strlen(answer), 1024);
    ck_assert_ptr_null(strstr(answer, "= "));
    ck_assert_ptr_null(strstr(answer, "=\n"));
    ck_assert_ptr_nonnull(strstr(answer, "rc="));
    host_free(host);
}
END_TEST

START_TEST(mapping_has_room_for_a_line)
{
    struct host *host = long_worded_job(84);

    say(&host->ranks[0], "cmd=get key=PMI_process_mapping\n");
    ck_assert_uint_gt(strlen(heard(&host->ranks[0])), 900);
    host_free(host);
}
END_TEST

START_TEST(mapping_that_does_not_fit_is_not_there)
{
    struct host *host = long_worded_job(300);

    ask(&host->ranks[0], "cmd=get key=PMI_process_mapping",
        "cmd=get_result rc=-1 msg=key_not_found");
    host_free(host);
}
END_TEST

/* ---- barriers ---- */

static void all_say(struct host *host, unsigned count, const char *line)
{
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            expect(&host->ranks[i - 1], "");
        say(&host->ranks[i], line);
    }
}

static void all_hear(struct host *host, unsigned count, const char *line)
{
    for (unsigned i = 0; i < count; i++)
        expect(&host->ranks[i], line);
}

START_TEST(barrier_waits_for_all)
{
    struct host *host = host_ready1(3);

    for (int i = 0; i < 3; i++) {
        all_say(host, 3, "cmd=barrier_in\n");
        all_hear(host, 3, "cmd=barrier_out rc=0\n");
    }
    host_free(host);
}
END_TEST

/* MVAPICH2's PMI_Ibarrier: the answer is read later, other commands go on. */
START_TEST(server_answers_a_rank_that_waits)
{
    struct host *host = host_ready1(2);

    say(&host->ranks[0], "cmd=barrier_in\n");
    ask(&host->ranks[0], "cmd=put key=k value=v", "cmd=put_result rc=0");
    ask(&host->ranks[0], "cmd=get key=k", "cmd=get_result rc=0 value=v");
    say(&host->ranks[1], "cmd=barrier_in\n");
    all_hear(host, 2, "cmd=barrier_out rc=0\n");
    host_free(host);
}
END_TEST

START_TEST(barrier_twice_is_refused)
{
    struct host *host = host_ready1(2);

    say(&host->ranks[0], "cmd=barrier_in\n");
    ask(&host->ranks[0], "cmd=barrier_in",
        "cmd=barrier_out rc=-1 msg=it_waits_in_this_fence_already");
    say(&host->ranks[1], "cmd=barrier_in\n");
    all_hear(host, 2, "cmd=barrier_out rc=0\n");
    host_free(host);
}
END_TEST

/* ---- PMI-1.2: groups ---- */

static struct host *host_ready12(unsigned size)
{
    struct ctpmi_facts facts = {.jobid = "7.0", .size = size};
    struct host *host = host_start(&host_callbacks, &facts, CTPMI_CLIENT_PMI12);

    for (unsigned i = 0; i < size; i++)
        init1(&host->ranks[i]);
    return host;
}

START_TEST(plain_barrier_has_tag_0)
{
    struct host *host = host_ready12(2);

    all_say(host, 2, "cmd=barrier_in\n");
    all_hear(host, 2, "cmd=barrier_out rc=0 tag=0\n");
    host_free(host);
}
END_TEST

START_TEST(group_world)
{
    struct host *host = host_ready12(3);

    all_say(host, 3, "cmd=barrier_in group=WORLD:77\n");
    all_hear(host, 3, "cmd=barrier_out rc=0 tag=77\n");
    host_free(host);
}
END_TEST

START_TEST(group_node)
{
    static const unsigned node_of[] = {0, 1, 0, 1};
    struct ctpmi_facts facts = {
        .jobid = "7.0", .size = 4, .node_of = node_of, .node = 1};
    struct host *host = host_start(&host_callbacks, &facts, CTPMI_CLIENT_PMI12);

    init1(&host->ranks[0]);
    init1(&host->ranks[1]);
    all_say(host, 2, "cmd=barrier_in group=NODE:5\n");
    all_hear(host, 2, "cmd=barrier_out rc=0 tag=5\n");
    ck_assert_uint_eq(host->fences, 0);
    host_free(host);
}
END_TEST

START_TEST(group_list)
{
    struct host *host = host_ready12(4);

    say(&host->ranks[3], "cmd=barrier_in group=1,3:9\n");
    expect(&host->ranks[3], "");
    say(&host->ranks[1], "cmd=barrier_in group=1,3:9\n");
    expect(&host->ranks[1], "cmd=barrier_out rc=0 tag=9\n");
    expect(&host->ranks[3], "cmd=barrier_out rc=0 tag=9\n");
    expect(&host->ranks[0], "");
    host_free(host);
}
END_TEST

/* Hydra dies of it. */
START_TEST(group_list_of_one_rank)
{
    struct host *host = host_ready12(2);

    ask(&host->ranks[1], "cmd=barrier_in group=1:4",
        "cmd=barrier_out rc=0 tag=4");
    host_free(host);
}
END_TEST

/* Threads of MPICH 5: answers come in any order, the tag tells them apart. */
START_TEST(groups_at_once)
{
    struct host *host = host_ready12(3);
    struct rank *ranks = host->ranks;

    say(&ranks[0], "cmd=barrier_in group=0,1:1\ncmd=barrier_in group=0,1:2\n"
                   "cmd=barrier_in group=WORLD:1\ncmd=barrier_in\n");
    expect(&ranks[0], "");
    say(&ranks[1],
        "cmd=barrier_in group=WORLD:1\ncmd=barrier_in group=0,1:2\n");
    expect(&ranks[0], "cmd=barrier_out rc=0 tag=2\n");
    expect(&ranks[1], "cmd=barrier_out rc=0 tag=2\n");
    say(&ranks[2], "cmd=barrier_in group=WORLD:1\n");
    expect(&ranks[2], "cmd=barrier_out rc=0 tag=1\n");
    expect(&ranks[0], "cmd=barrier_out rc=0 tag=1\n");
    expect(&ranks[1], "cmd=barrier_out rc=0 tag=1\n");
    say(&ranks[1], "cmd=barrier_in group=0,1:1\n");
    expect(&ranks[0], "cmd=barrier_out rc=0 tag=1\n");
    expect(&ranks[1], "cmd=barrier_out rc=0 tag=1\n");
    host_free(host);
}
END_TEST

/* MPICH 5 says WORLD:0 where others say nothing: one job may have both. */
START_TEST(world_0_is_the_plain_barrier)
{
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 1 + 2};
    struct host *host = host_new(1);
    struct ctpmi_job *job;

    facts.jobid = "8.0";
    job = ctpmi_job_create(host->server, &facts, NULL);
    attach(host, job, 0, CTPMI_CLIENT_PMI12);
    attach(host, job, 1, 0);
    attach(host, job, 2, 0);
    init1(&host->ranks[1]);
    init1(&host->ranks[2]);
    init2(&host->ranks[3]);
    say(&host->ranks[1], "cmd=barrier_in group=WORLD:0\n");
    say(&host->ranks[2], "cmd=barrier_in\n");
    say2(&host->ranks[3], "cmd=kvs-fence;");
    expect(&host->ranks[1], "cmd=barrier_out rc=0 tag=0\n");
    expect(&host->ranks[2], "cmd=barrier_out rc=0\n");
    expect2(&host->ranks[3], "cmd=kvs-fence-response;rc=0;");
    host_free(host);
}
END_TEST

static const struct {
    const char *group;
    const char *reason;
} bad_groups[] = {
    {"1,2:3", "rank_0_is_not_of_its_own_group"},
    {"0,7:3", "group_is_no_list_of_ranks"},
    {"0,-1:3", "group_is_no_list_of_ranks"},
    {"0,:3", "group_is_no_list_of_ranks"},
    {",0:3", "group_is_no_list_of_ranks"},
    {"0,x:3", "group_is_no_list_of_ranks"},
    {":3", "group_is_no_list_of_ranks"},
    {"LOCAL:3", "group_is_no_list_of_ranks"},
    {"WORLD:", "group_has_no_sound_tag"},
    {"0:", "group_has_no_sound_tag"},
    {"WORLD:a-tag-of-more-bytes-than-any-client-has-ever-sent-or-will-send",
     "group_has_no_sound_tag"},
};

START_TEST(bad_groups_are_refused)
{
    struct host *host = host_ready12(3);
    char line[128], answer[128];

    snprintf(line, sizeof line, "cmd=barrier_in group=%s",
             bad_groups[_i].group);
    snprintf(answer, sizeof answer, "cmd=barrier_out rc=-1 msg=%s",
             bad_groups[_i].reason);
    ask(&host->ranks[0], line, answer);
    /* nothing is left of it */
    all_say(host, 3, "cmd=barrier_in\n");
    all_hear(host, 3, "cmd=barrier_out rc=0 tag=0\n");
    host_free(host);
}
END_TEST

START_TEST(group_without_tag)
{
    struct host *host = host_ready12(2);

    all_say(host, 2, "cmd=barrier_in group=WORLD\n");
    all_hear(host, 2, "cmd=barrier_out rc=0 tag=0\n");
    all_say(host, 2, "cmd=barrier_in group=0,1\n");
    all_hear(host, 2, "cmd=barrier_out rc=0 tag=0\n");
    host_free(host);
}
END_TEST

START_TEST(rank_waits_in_so_many_fences_at_once)
{
    static const char *const words[] = {"barrier_in", "fences", NULL};
    struct host *host = host_ready12(2);
    char line[64];

    for (int i = 1; i <= 256; i++) {
        snprintf(line, sizeof line, "cmd=barrier_in group=0,1:%d\n", i);
        say(&host->ranks[0], line);
    }
    expect(&host->ranks[0], "");
    ask(&host->ranks[0], "cmd=barrier_in group=0,1:257",
        "cmd=barrier_out rc=-1 msg=it_waits_in_256_fences_already");
    /* those that end make room */
    say(&host->ranks[1], "cmd=barrier_in group=0,1:1\n");
    expect(&host->ranks[0], "cmd=barrier_out rc=0 tag=1\n");
    say(&host->ranks[0], "cmd=barrier_in group=0,1:257\n");
    expect(&host->ranks[0], "");
    for (int i = 0; i < 3; i++)
        say(&host->ranks[0], "cmd=barrier_in group=0,1:258\n");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    host_free(host);
}
END_TEST

/* ---- names ---- */

START_TEST(names_are_those_of_all_jobs)
{
    struct ctpmi_facts facts = {.jobid = "8.0", .size = 1};
    struct host *host = host_ready1(1);

    add_job(host, &facts, 0);
    init1(&host->ranks[1]);
    ask(&host->ranks[0], "cmd=publish_name service=s port=p",
        "cmd=publish_result rc=0");
    ask(&host->ranks[1], "cmd=lookup_name service=s",
        "cmd=lookup_result rc=0 port=p");
    /* the KVS is not */
    ask(&host->ranks[0], "cmd=put key=k value=v", "cmd=put_result rc=0");
    ask(&host->ranks[1], "cmd=get key=k",
        "cmd=get_result rc=-1 msg=key_not_found");
    host_free(host);
}
END_TEST

/* ---- names that the host keeps ---- */

/* A port that no client of ours can have published. */
START_TEST(ports_that_are_too_long_cannot_be_told)
{
    struct host *host = host_with_names(1);
    char *port = malloc(10000);

    memset(port, 'p', 9999);
    port[9999] = '\0';
    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=lookup_name service=s\n");
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "s", ""), true, port);
    expect(&host->ranks[0], "cmd=lookup_result rc=-1 "
                            "msg=the_port_cannot_be_told_in_this_protocol\n");
    free(port);
    host_free(host);
}
END_TEST

START_TEST(names_have_the_length_of_values)
{
    struct host *host = host_with_names(1);
    char line[4096], service[1025], port[1025];

    memset(service, 's', 1024);
    memset(port, 'p', 1024);
    service[1024] = port[1024] = '\0';
    init1(&host->ranks[0]);
    snprintf(line, sizeof line, "cmd=publish_name service=%s port=%s\n",
             service, port);
    say(&host->ranks[0], line);
    ctpmi_name_done(expect_name(host, CTPMI_PUBLISH, service, port), true,
                    NULL);
    expect(&host->ranks[0], "cmd=publish_result rc=0\n");
    snprintf(line, sizeof line, "cmd=lookup_name service=%sx", service);
    ask(&host->ranks[0], line,
        "cmd=lookup_result rc=-1 msg=service_is_longer_than_1024_bytes");
    ck_assert_uint_eq(host->names, 1);
    host_free(host);
}
END_TEST

START_TEST(ranks_ask_for_names_at_the_same_time)
{
    struct host *host = host_with_names(2);

    for (unsigned i = 0; i < 2; i++)
        init1(&host->ranks[i]);
    say(&host->ranks[0], "cmd=lookup_name service=s\n");
    say(&host->ranks[1], "cmd=lookup_name service=s\n");
    ck_assert_uint_eq(host->names, 2);
    ctpmi_name_done(host->name[1].name, true, "second");
    expect(&host->ranks[0], "");
    expect(&host->ranks[1], "cmd=lookup_result rc=0 port=second\n");
    ctpmi_name_done(host->name[0].name, true, "first");
    expect(&host->ranks[0], "cmd=lookup_result rc=0 port=first\n");
    expect(&host->ranks[1], "");
    host_free(host);
}
END_TEST

/* They are not put to the host. */
START_TEST(names_that_lack_something)
{
    struct host *host = host_with_names(1);
    struct rank *rank = &host->ranks[0];

    init1(rank);
    ask(rank, "cmd=publish_name service=s",
        "cmd=publish_result rc=-1 msg=port_is_missing");
    ask(rank, "cmd=publish_name service= port=p",
        "cmd=publish_result rc=-1 msg=service_is_missing");
    ask(rank, "cmd=lookup_name name=s",
        "cmd=lookup_result rc=-1 msg=service_is_missing");
    ck_assert_uint_eq(host->names, 0);
    host_free(host);
}
END_TEST

START_TEST(name_of_a_rank_that_was_detached)
{
    struct host *host = host_with_names(1);
    struct rank *again;

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=lookup_name service=s\n");
    ctpmi_detach(host->ranks[0].client);
    again = attach(host, host->job, 0, 0);
    init1(again);
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "s", ""), true, "p");
    expect(again, ""); /* it is not its answer */
    say(again, "cmd=lookup_name service=t\n");
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "t", ""), true, "q");
    expect(again, "cmd=lookup_result rc=0 port=q\n");
    host_free(host);
}
END_TEST

START_TEST(name_of_a_rank_that_has_departed)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_with_names(2);
    struct ctpmi_name *name;

    init1(&host->ranks[0]);
    init1(&host->ranks[1]);
    say(&host->ranks[0], "cmd=publish_name service=s port=p\n");
    hang_up(&host->ranks[0]);
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    name = expect_name(host, CTPMI_PUBLISH, "s", "p");
    ctpmi_name_done(name, true, NULL);
    say(&host->ranks[1], "cmd=lookup_name service=s\n");
    hang_up(&host->ranks[1]);
    name = expect_name(host, CTPMI_LOOKUP, "s", "");
    ctpmi_detach(host->ranks[1].client);
    ctpmi_name_done(name, true, "p");
    host_free(host);
}
END_TEST

START_TEST(name_answered_after_the_end)
{
    struct host *host = host_with_names(1);
    const char *service;
    struct ctpmi_name *name;

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=lookup_name service=s\n");
    name = expect_name(host, CTPMI_LOOKUP, "s", "");
    service = host->name[0].service;
    host_free(host);
    ck_assert_str_eq(service, "s");
    ctpmi_name_done(name, true, "p");
}
END_TEST

/* ---- spawn ---- */

static struct ctpmi_job *spawn_child(struct host *host, const char *jobid,
                                     unsigned size)
{
    struct ctpmi_facts facts = {
        .jobid = jobid, .size = size, .spawn = host->spawn};

    return add_job(host, &facts, 0);
}

/* MPICH <= 4.0: arguments before their count, preput values in every block. */
static const char old_spawn[] =
    "mcmd=spawn\nnprocs=2\nexecname=./a b\ntotspawns=2\nspawnssofar=1\n"
    "arg1=two  words \narg2=k=v;x\narg3=\nargcnt=3\npreput_num=1\n"
    "preput_key_0=PARENT_ROOT_PORT_NAME\npreput_val_0=tag#0$port 7\n"
    "info_num=1\ninfo_key_0=wdir\ninfo_val_0=/a b\nendcmd\n"
    "mcmd=spawn\nnprocs=1\nexecname=b\ntotspawns=2\nspawnssofar=2\n"
    "argcnt=0\npreput_num=1\n"
    "preput_key_0=PARENT_ROOT_PORT_NAME\npreput_val_0=tag#0$port 7\n"
    "info_num=0\nendcmd\n";

/* MPICH >= 4.1: the count first, preput values in the first block only. */
static const char new_spawn[] =
    "mcmd=spawn\nnprocs=2\nexecname=./a b\ntotspawns=2\nspawnssofar=1\n"
    "argcnt=3\narg1=two  words \narg2=k=v;x\narg3=\npreput_num=1\n"
    "preput_key_0=PARENT_ROOT_PORT_NAME\npreput_val_0=tag#0$port 7\n"
    "info_num=1\ninfo_key_0=wdir\ninfo_val_0=/a b\nendcmd\n"
    "mcmd=spawn\nnprocs=1\nexecname=b\ntotspawns=2\nspawnssofar=2\n"
    "argcnt=0\ninfo_num=0\nendcmd\n";

static const char *const spawns[] = {old_spawn, new_spawn};

START_TEST(spawn_is_put_to_the_host)
{
    static const int codes[] = {0, 3, -7};
    struct host *host = host_ready1(2);

    say(&host->ranks[1], spawns[_i]);
    ck_assert_uint_eq(host->spawns, 1);
    ck_assert_ptr_eq(host->spawn->by, host->ranks[1].client);
    expect_two_commands(host->spawn);
    expect(&host->ranks[1], "");
    ctpmi_spawn_done(host->spawn, spawn_child(host, "7.1", 3), codes);
    expect(&host->ranks[1], "cmd=spawn_result rc=0 errcodes=0,3,-7\n");
    host_free(host);
}
END_TEST

START_TEST(spawn_in_pieces)
{
    struct host *host = host_ready1(1);

    for (const char *c = spawns[_i]; *c != '\0'; c++)
        send_all(&host->ranks[0], c, 1);
    ck_assert_uint_eq(host->spawns, 1);
    expect_two_commands(host->spawn);
    ctpmi_spawn_done(host->spawn, spawn_child(host, "7.1", 3), NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0,0\n");
    host_free(host);
}
END_TEST

START_TEST(child_has_the_preput_values)
{
    struct host *host = host_ready1(1);
    struct ctpmi_env env;
    bool spawned = false;

    say(&host->ranks[0], spawns[_i]);
    struct ctpmi_job *child = spawn_child(host, "7.1", 3);
    ctpmi_spawn_done(host->spawn, child, NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0,0\n");
    init1(&host->ranks[1]);
    ask(&host->ranks[1], "cmd=get_my_kvsname",
        "cmd=my_kvsname rc=0 kvsname=7.1");
    /* PMI-1 cannot carry the blank: told so, not left waiting */
    say(&host->ranks[1], "cmd=get kvsname=7.1 key=PARENT_ROOT_PORT_NAME\n");
    ck_assert(starts_with(heard(&host->ranks[1]), "cmd=get_result rc=-1 msg="));
    ctpmi_environment(child, 2, 5, &env);
    for (unsigned i = 0; i < env.count; i++)
        spawned = spawned || strcmp(env.items[i], "PMI_SPAWNED=1") == 0;
    ck_assert(spawned);
    host_free(host);
}
END_TEST

static const char one_spawn[] =
    "mcmd=spawn\nnprocs=2\nexecname=a\ntotspawns=1\nspawnssofar=1\nargcnt=0\n"
    "preput_num=1\npreput_key_0=PARENT_ROOT_PORT_NAME\npreput_val_0=tag#0\n"
    "info_num=0\nendcmd\n";

START_TEST(child_reads_its_parents_port)
{
    struct host *host = host_ready1(1);

    say(&host->ranks[0], one_spawn);
    ctpmi_spawn_done(host->spawn, spawn_child(host, "7.1", 2), NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0\n");
    for (int i = 1; i <= 2; i++) {
        init1(&host->ranks[i]);
        ask(&host->ranks[i], "cmd=get kvsname=7.1 key=PARENT_ROOT_PORT_NAME",
            "cmd=get_result rc=0 value=tag#0");
    }
    ask(&host->ranks[0], "cmd=get key=PARENT_ROOT_PORT_NAME",
        "cmd=get_result rc=-1 msg=key_not_found");
    host_free(host);
}
END_TEST

START_TEST(host_refuses_a_spawn)
{
    struct host *host = host_ready1(1);

    host->spawn_answer = -1;
    say(&host->ranks[0], one_spawn);
    expect(&host->ranks[0], "cmd=spawn_result rc=-1 errcodes=1,1\n");
    host->spawn_answer = 0;
    say(&host->ranks[0], one_spawn);
    ctpmi_spawn_done(host->spawn, NULL, NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=-1 errcodes=1,1\n");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(host_without_spawn_refuses)
{
    struct ctpmi_callbacks callbacks = {.watch = host_watch};
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 1};
    struct host *host = host_start(&callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], one_spawn);
    expect(&host->ranks[0], "cmd=spawn_result rc=-1 errcodes=1,1\n");
    host_free(host);
}
END_TEST

START_TEST(spawn_has_a_limit_of_bytes)
{
    struct host *host = host_ready1(1);
    char *block = malloc(64 * 1024);
    int len = 0;

    for (int i = 1; i <= 1024 && host->faults == 0; i++) {
        len = sprintf(block,
                      "mcmd=spawn\nexecname=a\nnprocs=1\ntotspawns=1024\n"
                      "spawnssofar=%d\narg1=",
                      i);
        memset(block + len, 'x', 60000);
        strcpy(block + len + 60000, "\nendcmd\n");
        say(&host->ranks[0], block);
    }
    expect(&host->ranks[0],
           "cmd=spawn_result rc=-1 msg=spawn_of_more_than_16777216_bytes\n");
    ck_assert_uint_eq(host->spawns, 0);
    free(block);
    host_free(host);
}
END_TEST

/* One a process; MPICH <= 4.0 reads 1024 bytes and takes none for all well. */
START_TEST(error_codes_fit_a_line)
{
    struct host *host = host_ready1(1);

    say(&host->ranks[0],
        "mcmd=spawn\nexecname=a\nnprocs=480\ntotspawns=1\nspawnssofar=1\n"
        "endcmd\n");
    ctpmi_spawn_done(host->spawn, host->job, NULL);
    const char *answer = heard(&host->ranks[0]);
    ck_assert(starts_with(answer, "cmd=spawn_result rc=0 errcodes=0,0,0,"));
    ck_assert_uint_eq(strlen(answer),
                      strlen("cmd=spawn_result rc=0 errcodes=") + 2 * 480);
    say(&host->ranks[0],
        "mcmd=spawn\nexecname=a\nnprocs=60000\ntotspawns=1\nspawnssofar=1\n"
        "endcmd\n");
    ctpmi_spawn_done(host->spawn, host->job, NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=0\n");
    host_free(host);
}
END_TEST

START_TEST(error_codes_that_no_line_can_carry)
{
    struct host *host = host_ready1(1);
    int *codes = malloc(60000 * sizeof *codes);

    for (int i = 0; i < 60000; i++)
        codes[i] = -1000000;
    say(&host->ranks[0],
        "mcmd=spawn\nexecname=a\nnprocs=60000\ntotspawns=1\nspawnssofar=1\n"
        "endcmd\n");
    ctpmi_spawn_done(host->spawn, host->job, codes);
    expect(&host->ranks[0], "cmd=spawn_result rc=-1\n");
    free(codes);
    host_free(host);
}
END_TEST

START_TEST(second_spawn_waits_its_turn)
{
    struct host *host = host_ready1(1);

    say(&host->ranks[0], one_spawn);
    say(&host->ranks[0], one_spawn);
    expect(&host->ranks[0],
           "cmd=spawn_result rc=-1 msg=a_spawn_is_under_way_already\n");
    ctpmi_spawn_done(host->spawn, host->job, NULL);
    expect(&host->ranks[0], "cmd=spawn_result rc=0 errcodes=0,0\n");
    host_free(host);
}
END_TEST

/* ---- abort ---- */

START_TEST(abort_before_init)
{
    struct host *host = host_new(1);

    say(&host->ranks[0], "cmd=abort exitcode=9\n");
    ck_assert_uint_eq(host->aborts, 1);
    ck_assert_int_eq(host->abort[0].code, 9);
    host_free(host);
}
END_TEST

START_TEST(abort_without_a_callback_is_a_fault)
{
    static const char *const words[] = {"abort", "5", NULL};
    struct ctpmi_callbacks callbacks = {.watch = host_watch,
                                        .fault = host_fault};
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 1};
    struct host *host = host_start(&callbacks, &facts, 0);

    init1(&host->ranks[0]);
    say(&host->ranks[0], "cmd=abort exitcode=5\n");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    host_free(host);
}
END_TEST

/* ---- the end, and another beginning ---- */

START_TEST(finalize_and_begin_again)
{
    struct host *host = host_ready1(1);
    struct rank *rank = &host->ranks[0];

    for (int i = 0; i < 3; i++) {
        ask(rank, "cmd=finalize", "cmd=finalize_ack rc=0");
        ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_FINALIZED);
        ask(rank, "cmd=get_maxes", "cmd=maxes rc=-1 msg=not_initialised");
        init1(rank);
        ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_ACTIVE);
        ask(rank, "cmd=put key=k value=v", "cmd=put_result rc=0");
    }
    host_free(host);
}
END_TEST

/* MPICH <= 4.0 closes after finalize, others when they exit. */
START_TEST(leave_after_finalize)
{
    struct host *host = host_ready1(2);

    ask(&host->ranks[0], "cmd=finalize", "cmd=finalize_ack rc=0");
    hang_up(&host->ranks[0]);
    ck_assert_uint_eq(host->faults, 0);
    ck_assert_int_eq(host->ranks[0].events, 0);
    ck_assert_int_eq(ctpmi_client_state(host->ranks[0].client),
                     CTPMI_FINALIZED);
    host_free(host);
}
END_TEST

START_TEST(leave_without_a_word)
{
    struct host *host = host_new(1);

    say(&host->ranks[0], "cmd=ini");
    hang_up(&host->ranks[0]);
    ck_assert_uint_eq(host->faults, 0);
    ck_assert_int_eq(ctpmi_client_state(host->ranks[0].client), CTPMI_SILENT);
    host_free(host);
}
END_TEST

START_TEST(leave_without_finalize)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_ready1(2);

    hang_up(&host->ranks[1]);
    expect_fault(host, 1, CTPMI_DEPARTED, words);
    ck_assert_int_eq(ctpmi_client_state(host->ranks[1].client), CTPMI_ACTIVE);
    host_free(host);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(singleton_init_is_refused)
{
    struct host *host = host_new(1);

    ask(&host->ranks[0],
        "cmd=singinit pmi_version=1 pmi_subversion=1 stdio=yes",
        "cmd=singinit_info rc=-1 versionok=no stdio=no kvsname=none "
        "msg=singleton_init_is_not_served_start_it_with_ctrun");
    host_free(host);
}
END_TEST

START_TEST(fault_is_one_clean_line)
{
    static const char *const words[] = {"spawn of '?[31m?x'", NULL};
    struct host *host = host_ready1(1);

    for (int i = 0; i < 4; i++)
        say(&host->ranks[0], "mcmd=spawn\nexecname=a\nnprocs=\033[31m\177x\n"
                             "totspawns=1\nspawnssofar=1\nendcmd\n");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    host_free(host);
}
END_TEST

/* ---- values that the other dialect has put ---- */

START_TEST(value_with_a_blank_cannot_be_told)
{
    struct host *host = host_new(2);

    init1(&host->ranks[0]);
    init2(&host->ranks[1]);
    ask2(&host->ranks[1], "cmd=kvs-put;key=k;value=two words;",
         "cmd=kvs-put-response;rc=0;");
    ask2(&host->ranks[1], "cmd=name-publish;name=s;port=a b;",
         "cmd=name-publish-response;rc=0;");
    say(&host->ranks[0], "cmd=get key=k\n");
    ck_assert(starts_with(heard(&host->ranks[0]), "cmd=get_result rc=-1 msg="));
    say(&host->ranks[0], "cmd=lookup_name service=s\n");
    ck_assert(
        starts_with(heard(&host->ranks[0]), "cmd=lookup_result rc=-1 msg="));
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

static void add_talk(TCase *tc)
{
    tcase_add_loop_test(tc, init_agrees_on_a_version, 0, COUNT(inits));
    tcase_add_loop_test(tc, bad_start_is_answered_and_may_be_mended, 0,
                        COUNT(bad_starts));
    tcase_add_test(tc, lines_come_byte_by_byte);
    tcase_add_test(tc, lines_come_all_at_once);
    tcase_add_test(tc, unreadable_lines_are_answered_then_punished);
    tcase_add_test(tc, endless_line_is_a_fault);
    tcase_add_test(tc, nul_byte_is_answered);
    tcase_add_test(tc, facts_are_answered);
    tcase_add_test(tc, universe_is_the_job_by_default);
    tcase_add_loop_test(tc, unknown_keys_are_not_found, 0, COUNT(probes));
    tcase_add_loop_test(tc, keys_of_any_kind, 0, COUNT(odd_keys));
    tcase_add_test(tc, kvs_name_may_lack_but_not_be_another);
    tcase_add_test(tc, rank_has_a_quota);
    tcase_add_loop_test(tc, answers_fit_a_line_and_have_no_empty_value, 0,
                        COUNT(questions));
    tcase_add_test(tc, mapping_has_room_for_a_line);
    tcase_add_test(tc, mapping_that_does_not_fit_is_not_there);
    tcase_add_test(tc, value_with_a_blank_cannot_be_told);
}

static void add_barriers(TCase *tc)
{
    tcase_add_test(tc, barrier_waits_for_all);
    tcase_add_test(tc, server_answers_a_rank_that_waits);
    tcase_add_test(tc, barrier_twice_is_refused);
    tcase_add_test(tc, plain_barrier_has_tag_0);
    tcase_add_test(tc, group_world);
    tcase_add_test(tc, group_node);
    tcase_add_test(tc, group_list);
    tcase_add_test(tc, group_list_of_one_rank);
    tcase_add_test(tc, groups_at_once);
    tcase_add_test(tc, world_0_is_the_plain_barrier);
    tcase_add_loop_test(tc, bad_groups_are_refused, 0, COUNT(bad_groups));
    tcase_add_test(tc, group_without_tag);
    tcase_add_test(tc, rank_waits_in_so_many_fences_at_once);
}

static void add_spawn(TCase *tc)
{
    tcase_add_loop_test(tc, spawn_is_put_to_the_host, 0, COUNT(spawns));
    tcase_add_loop_test(tc, spawn_in_pieces, 0, COUNT(spawns));
    tcase_add_loop_test(tc, child_has_the_preput_values, 0, COUNT(spawns));
    tcase_add_test(tc, child_reads_its_parents_port);
    tcase_add_test(tc, host_refuses_a_spawn);
    tcase_add_test(tc, host_without_spawn_refuses);
    tcase_add_test(tc, spawn_has_a_limit_of_bytes);
    tcase_add_test(tc, error_codes_fit_a_line);
    tcase_add_test(tc, error_codes_that_no_line_can_carry);
    tcase_add_test(tc, second_spawn_waits_its_turn);
}

static void add_names(TCase *tc)
{
    tcase_add_test(tc, names_are_those_of_all_jobs);
    tcase_add_test(tc, ports_that_are_too_long_cannot_be_told);
    tcase_add_test(tc, names_have_the_length_of_values);
    tcase_add_test(tc, ranks_ask_for_names_at_the_same_time);
    tcase_add_test(tc, names_that_lack_something);
    tcase_add_test(tc, name_of_a_rank_that_was_detached);
    tcase_add_test(tc, name_of_a_rank_that_has_departed);
    tcase_add_test(tc, name_answered_after_the_end);
}

static void add_ends(TCase *tc)
{
    tcase_add_test(tc, abort_before_init);
    tcase_add_test(tc, abort_without_a_callback_is_a_fault);
    tcase_add_test(tc, finalize_and_begin_again);
    tcase_add_test(tc, leave_after_finalize);
    tcase_add_test(tc, leave_without_a_word);
    tcase_add_test(tc, leave_without_finalize);
    tcase_add_test(tc, singleton_init_is_refused);
    tcase_add_test(tc, fault_is_one_clean_line);
}

static void add_all(TCase *tc)
{
    add_talk(tc);
    add_barriers(tc);
    add_names(tc);
    add_spawn(tc);
    add_ends(tc);
}

int main(void)
{
    return run_suite("server_pmi1", add_all);
}
