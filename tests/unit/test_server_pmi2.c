/*
 * PMI-2 as clients really speak it: every command, quirk and limit.
 * What it has in common with PMI-1 is in test_server_wires.c.
 */
#include "tests/unit/server.h"

static const char init_line[] = "cmd=init pmi_version=2 pmi_subversion=0";
static const char init_answer[] =
    "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0";

/* ---- negotiation ---- */

/* libpmi2 and MPICH <= 4.0; with PMI_ID; MPICH >= 4.1; no rank at all */
static const char *const fullinits[] = {
    "cmd=fullinit;pmijobid=7.0;pmirank=1;threaded=FALSE;",
    "cmd=fullinit;pmijobid=7.0;pmirank=1;threaded=TRUE;srcid=1;",
    "cmd=fullinit;pmirank=1;",
    "cmd=fullinit;pmirank=;",
    "cmd=fullinit;",
};

START_TEST(fullinit_is_what_all_clients_want)
{
    static const unsigned appnums[] = {0, 3};
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 2, .appnum = appnums};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    struct rank *rank = &host->ranks[1];

    ask(rank, init_line, init_answer);
    ck_assert_str_eq(ctpmi_client_protocol(rank->client), "none");
    ask2(rank, fullinits[_i],
         "cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=1;"
         "size=2;appnum=3;debugged=FALSE;pmiverbose=FALSE;");
    ck_assert_str_eq(ctpmi_client_protocol(rank->client), "PMI-2");
    ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_ACTIVE);
    host_free(host);
}
END_TEST

START_TEST(another_ranks_number_is_refused)
{
    struct host *host = host_new(2);
    struct rank *rank = &host->ranks[0];

    ask(rank, init_line, init_answer);
    ask2(rank, "cmd=fullinit;pmirank=1;",
         "cmd=fullinit-response;rc=1;errmsg=pmirank_is_1,_this_is_rank_0;");
    ask2(rank, "cmd=kvs-fence;",
         "cmd=kvs-fence-response;rc=1;errmsg=not_initialised;");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* After init fullinit is wanted again, however init has come. */
START_TEST(second_init_comes_byte_by_byte)
{
    struct host *host = host_ready2(1);
    struct rank *rank = &host->ranks[0];

    for (const char *c = init_line; *c != '\0'; c++)
        send_all(rank, c, 1);
    ask(rank, "", init_answer);
    ask2(rank, "cmd=kvs-get;key=k;",
         "cmd=kvs-get-response;rc=1;errmsg=not_initialised;");
    ask2(rank, "cmd=fullinit;pmirank=0;",
         "cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=0;"
         "size=1;appnum=0;debugged=FALSE;pmiverbose=FALSE;");
    host_free(host);
}
END_TEST

START_TEST(dialect_of_the_first_line_is_pmi1)
{
    struct host *host = host_new(1);

    say2(&host->ranks[0], "cmd=fullinit;pmirank=0;");
    say(&host->ranks[0], "\n");
    ck_assert(starts_with(heard(&host->ranks[0]), "cmd=unknown rc=-1 msg="));
    init2(&host->ranks[0]);
    host_free(host);
}
END_TEST

/* ---- framing ---- */

START_TEST(messages_come_byte_by_byte)
{
    static const char text[] = "    51cmd=fullinit;pmijobid=7.0;pmirank=0;"
                               "threaded=FALSE;";
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    ask(rank, init_line, init_answer);
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        expect(rank, "");
        send_all(rank, text + i, 1);
    }
    ck_assert(starts_with(heard2(rank), "cmd=fullinit-response;rc=0;"));
    host_free(host);
}
END_TEST

START_TEST(messages_come_all_at_once)
{
    struct host *host = host_new(1);
    struct rank *rank = &host->ranks[0];

    say(rank, "cmd=init pmi_version=2 pmi_subversion=0\n"
              "    23cmd=fullinit;pmirank=0;"
              "    14cmd=job-getid;"
              "    32cmd=kvs-put;key=a;value=one two;"
              "    14cmd=kvs-fence;"
              "    13cmd=finalize;"
              "cmd=init pmi_version=1 pmi_subversion=1\n"
              "cmd=get_appnum\n");
    expect(rank, "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n"
                 "   113cmd=fullinit-response;rc=0;pmi-version=2;"
                 "pmi-subversion=0;rank=0;size=1;appnum=0;debugged=FALSE;"
                 "pmiverbose=FALSE;"
                 "    38cmd=job-getid-response;rc=0;jobid=7.0;"
                 "    26cmd=kvs-put-response;rc=0;"
                 "    28cmd=kvs-fence-response;rc=0;"
                 "    27cmd=finalize-response;rc=0;"
                 "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n"
                 "cmd=appnum rc=0 appnum=0\n");
    host_free(host);
}
END_TEST

/* Clients pad on the left, Slurm's plugin on the right. */
static const char *const heads[] = {"    14", "14    ", "000014", " 14   "};

START_TEST(head_is_padded_anyhow)
{
    struct host *host = host_ready2(1);

    say(&host->ranks[0], heads[_i]);
    say(&host->ranks[0], "cmd=job-getid;");
    expect2(&host->ranks[0], "cmd=job-getid-response;rc=0;jobid=7.0;");
    host_free(host);
}
END_TEST

/* The last ';', unknown keys and bare words are as they please. */
static const char *const tolerated[] = {
    "cmd=job-getid",
    "cmd=job-getid;unknown=x;",
    "cmd=job-getid;bare;empty=;=;",
};

START_TEST(messages_may_have_more_and_less)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], tolerated[_i],
         "cmd=job-getid-response;rc=0;jobid=7.0;");
    host_free(host);
}
END_TEST

static const char *const bad_heads[] = {"cmd=jo", "-00014", "     0",
                                        " 99999", "      ", "1 4   "};

START_TEST(head_that_is_no_length_is_a_fault)
{
    static const char *const words[] = {"PMI-2", NULL};
    struct host *host = host_ready2(1);

    say(&host->ranks[0], bad_heads[_i]);
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    ck_assert_int_eq(host->ranks[0].events, 0);
    host_free(host);
}
END_TEST

START_TEST(unreadable_messages_are_answered)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], "key=a;cmd=kvs-get;",
         "cmd=unknown;rc=1;errmsg=PMI-2:_no_cmd__at_the_start;");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- the job ---- */

START_TEST(job_id_is_told)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], "cmd=job-getid;",
         "cmd=job-getid-response;rc=0;jobid=7.0;");
    host_free(host);
}
END_TEST

static const struct {
    const char *key;
    const char *found;
} attributes[] = {
    {"PMI_process_mapping", "found=TRUE;value=(vector,(0,1,2));"},
    {"universeSize", "found=TRUE;value=9;"},
    {"PMI_hwloc_xmlfile", "found=FALSE;"},
    {"mpi_reserved_ports", "found=FALSE;"},
    {"PMI_netinfo_of_task", "found=FALSE;"},
    /* Slurm "finds" what sorts behind its own keys */
    {"universesize", "found=FALSE;"},
    {"zzz", "found=FALSE;"},
};

START_TEST(job_attributes)
{
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 2, .universe_size = 9};
    struct host *host = host_start(&host_callbacks, &facts, 0);
    char question[128], answer[128];

    init2(&host->ranks[0]);
    snprintf(question, sizeof question, "cmd=info-getjobattr;key=%s;",
             attributes[_i].key);
    snprintf(answer, sizeof answer, "cmd=info-getjobattr-response;rc=0;%s",
             attributes[_i].found);
    ask2(&host->ranks[0], question, answer);
    host_free(host);
}
END_TEST

/* Slurm never answers; old clients want kvscopy, and FALSE. */
START_TEST(connect_and_disconnect_are_answered)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], "cmd=job-connect;jobid=8.0;",
         "cmd=job-connect-response;rc=0;kvscopy=FALSE;");
    ask2(&host->ranks[0], "cmd=job-disconnect;jobid=8.0;",
         "cmd=job-disconnect-response;rc=0;");
    host_free(host);
}
END_TEST

/* ---- put, get, fence ---- */

START_TEST(put_fence_get)
{
    struct host *host = host_ready2(2);
    struct rank *ranks = host->ranks;

    ask2(&ranks[0], "cmd=kvs-put;key=bc-0;value=a b=c;",
         "cmd=kvs-put-response;rc=0;");
    say2(&ranks[0], "cmd=kvs-fence;");
    expect2(&ranks[0], "");
    say2(&ranks[1], "cmd=kvs-fence;");
    expect2(&ranks[0], "cmd=kvs-fence-response;rc=0;");
    expect2(&ranks[1], "cmd=kvs-fence-response;rc=0;");
    ask2(&ranks[1], "cmd=kvs-get;jobid=7.0;srcid=0;key=bc-0;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=a b=c;");
    /* NVSHMEM has no jobid; a wrong srcid is but a hint */
    ask2(&ranks[1], "cmd=kvs-get;srcid=-1;key=bc-0;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=a b=c;");
    ask2(&ranks[1], "cmd=kvs-get;jobid=;srcid=5;key=bc-0;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=a b=c;");
    host_free(host);
}
END_TEST

START_TEST(get_of_what_is_not_there)
{
    struct host *host = host_ready2(1);

    /* how MPICH makes a barrier of a fence */
    ask2(&host->ranks[0], "cmd=kvs-fence;", "cmd=kvs-fence-response;rc=0;");
    ask2(&host->ranks[0], "cmd=kvs-get;jobid=7.0;srcid=-1;key=-NONEXIST-KEY;",
         "cmd=kvs-get-response;rc=0;found=FALSE;");
    ask2(&host->ranks[0], "cmd=kvs-put;key=k;value=v;",
         "cmd=kvs-put-response;rc=0;");
    ask2(&host->ranks[0], "cmd=kvs-get;jobid=8.0;key=k;",
         "cmd=kvs-get-response;rc=0;found=FALSE;");
    host_free(host);
}
END_TEST

/* Old clients write ";" as ";;" and read it so; what came in goes out. */
START_TEST(escapes_are_left_to_the_clients)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], "cmd=kvs-put;key=k;value=a;;b;;;",
         "cmd=kvs-put-response;rc=0;");
    ask2(&host->ranks[0], "cmd=kvs-get;key=k;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=a;;b;;;");
    host_free(host);
}
END_TEST

static const struct {
    const char *question;
    const char *answer;
} refusals[] = {
    {"cmd=kvs-get;key=;", "cmd=kvs-get-response;rc=1;errmsg=key_is_missing;"},
    {"cmd=kvs-put;key=k;value=a\nb;",
     "cmd=kvs-put-response;rc=1;errmsg=value_has_a_line_feed;"},
    {"cmd=info-putnodeattr;key=k\n;value=v;",
     "cmd=info-putnodeattr-response;rc=1;errmsg=key_has_a_line_feed;"},
    {"cmd=name-publish;name=s;port=;",
     "cmd=name-publish-response;rc=1;errmsg=port_is_missing;"},
};

/* However often: the library leaves what is sound to the server. */
START_TEST(what_cannot_be_put_is_refused)
{
    struct host *host = host_ready2(1);

    for (int i = 0; i < 10; i++)
        ask2(&host->ranks[0], refusals[_i].question, refusals[_i].answer);
    ask2(&host->ranks[0], "cmd=kvs-put;key=k;value=v;",
         "cmd=kvs-put-response;rc=0;");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- thread ids ---- */

static const char *const threaded[][2] = {
    {"cmd=job-getid;thrid=0x7f00;",
     "cmd=job-getid-response;thrid=0x7f00;rc=0;jobid=7.0;"},
    {"cmd=kvs-put;thrid=0x7f00;key=k;value=v;",
     "cmd=kvs-put-response;thrid=0x7f00;rc=0;"},
    {"cmd=kvs-get;thrid=0x7f00;key=none;",
     "cmd=kvs-get-response;thrid=0x7f00;rc=0;found=FALSE;"},
    {"cmd=kvs-fence;thrid=0x7f00;",
     "cmd=kvs-fence-response;thrid=0x7f00;rc=0;"},
    {"cmd=info-getjobattr;thrid=0x7f00;key=none;",
     "cmd=info-getjobattr-response;thrid=0x7f00;rc=0;found=FALSE;"},
    {"cmd=ring;thrid=0x7f00;ring-count=1;ring-left=a;ring-right=a;",
     "cmd=ring-response;thrid=0x7f00;rc=0;ring-count=0;ring-left=a;ring-right="
     "a;"},
    {"cmd=kvs-put;thrid=0x7f00;key=k;",
     "cmd=kvs-put-response;thrid=0x7f00;rc=1;errmsg=value_is_missing;"},
    {"cmd=no-such;thrid=0x7f00;",
     "cmd=no-such-response;thrid=0x7f00;rc=1;errmsg=unknown_command;"},
    {"cmd=finalize;thrid=0x7f00;", "cmd=finalize-response;thrid=0x7f00;rc=0;"},
    /* an answer that cannot carry it is better than none */
    {"cmd=job-getid;thrid=a\nb;", "cmd=job-getid-response;rc=0;jobid=7.0;"},
    {"cmd=job-getid;thrid=;", "cmd=job-getid-response;rc=0;jobid=7.0;"},
};

START_TEST(thread_id_is_echoed)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], threaded[_i][0], threaded[_i][1]);
    host_free(host);
}
END_TEST

/* Threads of one rank wait for different things. */
START_TEST(thread_ids_are_not_mixed_up)
{
    struct host *host = host_ready2(2);
    struct rank *ranks = host->ranks;

    say2(&ranks[0], "cmd=kvs-fence;thrid=0xf;");
    say2(&ranks[0], "cmd=info-getnodeattr;thrid=0xa;key=k;wait=TRUE;");
    say2(&ranks[0], "cmd=spawn;thrid=0xc;subcmd=a;maxprocs=1;");
    say2(&ranks[0], "cmd=ring;thrid=0xb;ring-left=l;ring-right=r;");
    expect2(&ranks[0], "");
    say2(&ranks[1], "cmd=kvs-fence;");
    expect2(&ranks[0], "cmd=kvs-fence-response;thrid=0xf;rc=0;");
    ctpmi_spawn_done(host->spawn, host->job, NULL);
    expect2(&ranks[0], "cmd=spawn-response;thrid=0xc;rc=0;jobid=7.0;nerrs=0;");
    say2(&ranks[1], "cmd=info-putnodeattr;key=k;value=v;");
    expect2(&ranks[0], "cmd=info-getnodeattr-response;thrid=0xa;rc=0;"
                       "found=TRUE;value=v;");
    say2(&ranks[1], "cmd=ring;ring-left=L;ring-right=R;");
    expect2(&ranks[0], "cmd=ring-response;thrid=0xb;rc=0;ring-count=0;ring-"
                       "left=R;ring-right=L;");
    host_free(host);
}
END_TEST

/* ---- node attributes ---- */

START_TEST(node_attribute_is_waited_for)
{
    struct host *host = host_ready2(3);
    struct rank *ranks = host->ranks;

    ask2(&ranks[0], "cmd=info-getnodeattr;key=shm;wait=FALSE;",
         "cmd=info-getnodeattr-response;rc=0;found=FALSE;");
    ask2(&ranks[0], "cmd=info-getnodeattr;key=shm;",
         "cmd=info-getnodeattr-response;rc=0;found=FALSE;");
    say2(&ranks[0], "cmd=info-getnodeattr;key=shm;wait=TRUE;");
    say2(&ranks[1], "cmd=info-getnodeattr;key=other;wait=TRUE;");
    expect2(&ranks[0], "");
    ask2(&ranks[2], "cmd=info-putnodeattr;key=shm;value=/dev/shm/x;",
         "cmd=info-putnodeattr-response;rc=0;");
    expect2(&ranks[0], "cmd=info-getnodeattr-response;rc=0;found=TRUE;"
                       "value=/dev/shm/x;");
    expect2(&ranks[1], "");
    ask2(&ranks[0], "cmd=info-getnodeattr;key=shm;wait=TRUE;",
         "cmd=info-getnodeattr-response;rc=0;found=TRUE;value=/dev/shm/x;");
    ask2(&ranks[2], "cmd=info-putnodeattr;key=other;value=1;",
         "cmd=info-putnodeattr-response;rc=0;");
    expect2(&ranks[1],
            "cmd=info-getnodeattr-response;rc=0;found=TRUE;value=1;");
    host_free(host);
}
END_TEST

START_TEST(node_attributes_are_no_keys_of_the_job)
{
    struct host *host = host_ready2(1);

    ask2(&host->ranks[0], "cmd=info-putnodeattr;key=k;value=v;",
         "cmd=info-putnodeattr-response;rc=0;");
    ask2(&host->ranks[0], "cmd=kvs-get;key=k;",
         "cmd=kvs-get-response;rc=0;found=FALSE;");
    host_free(host);
}
END_TEST

START_TEST(second_wait_is_refused_and_the_first_goes_on)
{
    struct host *host = host_ready2(2);

    say2(&host->ranks[0], "cmd=info-getnodeattr;thrid=0x1;key=a;wait=TRUE;");
    ask2(&host->ranks[0], "cmd=info-getnodeattr;thrid=0x2;key=b;wait=TRUE;",
         "cmd=info-getnodeattr-response;thrid=0x2;rc=1;"
         "errmsg=it_waits_for_an_attribute_already;");
    say2(&host->ranks[1], "cmd=info-putnodeattr;key=a;value=v;");
    expect2(&host->ranks[0], "cmd=info-getnodeattr-response;thrid=0x1;rc=0;"
                             "found=TRUE;value=v;");
    host_free(host);
}
END_TEST

START_TEST(rank_may_put_what_another_thread_of_it_waits_for)
{
    struct host *host = host_ready2(1);

    say2(&host->ranks[0], "cmd=info-getnodeattr;thrid=0x1;key=a;wait=TRUE;");
    say2(&host->ranks[0], "cmd=info-putnodeattr;thrid=0x2;key=a;value=v;");
    expect2(&host->ranks[0], "cmd=info-putnodeattr-response;thrid=0x2;rc=0;"
                             "cmd=info-getnodeattr-response;thrid=0x1;rc=0;"
                             "found=TRUE;value=v;");
    host_free(host);
}
END_TEST

/* The last one who could have put it is gone: said at once. */
START_TEST(hopeless_wait_is_a_fault)
{
    static const char *const words[] = {"rank 0", "'k'", NULL};
    struct host *host = host_ready2(2);

    say2(&host->ranks[0], "cmd=info-getnodeattr;key=k;wait=TRUE;");
    ask2(&host->ranks[1], "cmd=finalize;", "cmd=finalize-response;rc=0;");
    hang_up(&host->ranks[1]);
    expect_fault(host, 1, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(wait_for_those_who_left_is_a_fault)
{
    static const char *const words[] = {"'k'", "no rank is left", NULL};
    struct host *host = host_ready2(2);

    ask2(&host->ranks[1], "cmd=finalize;", "cmd=finalize-response;rc=0;");
    hang_up(&host->ranks[1]);
    ctpmi_detach(host->ranks[1].client);
    ck_assert_uint_eq(host->faults, 0);
    say2(&host->ranks[0], "cmd=info-getnodeattr;key=k;wait=TRUE;");
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

START_TEST(rank_to_come_is_a_hope)
{
    struct ctpmi_facts facts = {.jobid = "8.0", .size = 2};
    struct host *host = host_new(1);
    struct ctpmi_job *job = ctpmi_job_create(host->server, &facts, NULL);
    struct rank *first = attach(host, job, 0, 0);

    init2(first);
    say2(first, "cmd=info-getnodeattr;key=k;wait=TRUE;");
    ck_assert_uint_eq(host->faults, 0);
    struct rank *second = attach(host, job, 1, 0);
    init2(second);
    say2(second, "cmd=info-putnodeattr;key=k;value=v;");
    expect2(first, "cmd=info-getnodeattr-response;rc=0;found=TRUE;value=v;");
    host_free(host);
}
END_TEST

START_TEST(other_threads_are_a_hope)
{
    struct host *host = host_ready2(2);

    say2(&host->ranks[0], "cmd=info-getnodeattr;thrid=0x1;key=k;wait=TRUE;");
    ask2(&host->ranks[1], "cmd=finalize;", "cmd=finalize-response;rc=0;");
    hang_up(&host->ranks[1]);
    ck_assert_uint_eq(host->faults, 0);
    say2(&host->ranks[0], "cmd=info-putnodeattr;thrid=0x2;key=k;value=v;");
    expect2(&host->ranks[0], "cmd=info-putnodeattr-response;thrid=0x2;rc=0;"
                             "cmd=info-getnodeattr-response;thrid=0x1;rc=0;"
                             "found=TRUE;value=v;");
    host_free(host);
}
END_TEST

START_TEST(wait_with_hope_is_none)
{
    struct host *host = host_ready2(3);

    say2(&host->ranks[0], "cmd=info-getnodeattr;key=k;wait=TRUE;");
    ask2(&host->ranks[1], "cmd=finalize;", "cmd=finalize-response;rc=0;");
    hang_up(&host->ranks[1]);
    ck_assert_uint_eq(host->faults, 0);
    say2(&host->ranks[2], "cmd=info-putnodeattr;key=k;value=v;");
    expect2(&host->ranks[0],
            "cmd=info-getnodeattr-response;rc=0;found=TRUE;value=v;");
    host_free(host);
}
END_TEST

/* ---- ring ---- */

START_TEST(ring_gives_neighbours)
{
    struct host *host = host_ready2(3);
    struct rank *ranks = host->ranks;

    for (int round = 0; round < 2; round++) {
        say2(&ranks[2], "cmd=ring;ring-count=1;ring-left=l2;ring-right=r2;");
        say2(&ranks[0], "cmd=ring;ring-count=1;ring-left=l0;ring-right=r0;");
        expect2(&ranks[0], "");
        say2(&ranks[1], "cmd=ring;ring-count=1;ring-left=l1;ring-right=r1;");
        expect2(
            &ranks[0],
            "cmd=ring-response;rc=0;ring-count=0;ring-left=r2;ring-right=l1;");
        expect2(
            &ranks[1],
            "cmd=ring-response;rc=0;ring-count=1;ring-left=r0;ring-right=l2;");
        expect2(
            &ranks[2],
            "cmd=ring-response;rc=0;ring-count=2;ring-left=r1;ring-right=l0;");
    }
    host_free(host);
}
END_TEST

START_TEST(second_ring_is_refused_and_the_first_goes_on)
{
    struct host *host = host_ready2(2);

    say2(&host->ranks[0], "cmd=ring;ring-left=a;ring-right=b;");
    ask2(&host->ranks[0], "cmd=ring;ring-left=c;ring-right=d;",
         "cmd=ring-response;rc=1;errmsg=it_waits_in_this_fence_already;");
    say2(&host->ranks[1], "cmd=ring;ring-left=e;ring-right=f;");
    expect2(&host->ranks[0],
            "cmd=ring-response;rc=0;ring-count=0;ring-left=f;ring-right=e;");
    expect2(&host->ranks[1],
            "cmd=ring-response;rc=0;ring-count=1;ring-left=b;ring-right=a;");
    host_free(host);
}
END_TEST

/* The host of this test has no way to other nodes. */
START_TEST(ring_beyond_this_node_is_a_fault)
{
    static const char *const words[] = {"beyond this node", NULL};
    static const unsigned node_of[] = {0, 1};
    struct ctpmi_callbacks callbacks = host_callbacks;
    struct ctpmi_facts facts = {.jobid = "7.0", .size = 2, .node_of = node_of};

    callbacks.fence = NULL;
    struct host *host = host_start(&callbacks, &facts, 0);
    init2(&host->ranks[0]);
    say2(&host->ranks[0], "cmd=ring;ring-count=1;ring-left=a;ring-right=a;");
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    host_free(host);
}
END_TEST

/* ---- names ---- */

START_TEST(name_of_a_pmi1_rank_is_found)
{
    struct host *host = host_new(2);

    init1(&host->ranks[0]);
    init2(&host->ranks[1]);
    ask(&host->ranks[0], "cmd=publish_name service=s port=p",
        "cmd=publish_result rc=0");
    ask2(&host->ranks[1], "cmd=name-lookup;name=s;",
         "cmd=name-lookup-response;rc=0;found=TRUE;value=p;port=p;");
    /* a single ';' would end the value */
    ask(&host->ranks[0], "cmd=publish_name service=t port=a;b",
        "cmd=publish_result rc=0");
    say2(&host->ranks[1], "cmd=name-lookup;name=t;");
    ck_assert(starts_with(heard2(&host->ranks[1]),
                          "cmd=name-lookup-response;rc=1;errmsg="));
    host_free(host);
}
END_TEST

/* The id of a question without one is not that of the question before. */
START_TEST(thread_ids_of_names_are_not_mixed_up)
{
    struct host *host = host_with_names(1);
    struct rank *rank = &host->ranks[0];

    init2(rank);
    say2(rank, "cmd=name-lookup;thrid=0xa;name=s;");
    ask2(rank, "cmd=name-lookup;thrid=0xb;name=t;",
         "cmd=name-lookup-response;thrid=0xb;rc=1;"
         "errmsg=another_name_is_still_asked_for;");
    say2(rank, "cmd=kvs-fence;thrid=0xf;");
    expect2(rank, "cmd=kvs-fence-response;thrid=0xf;rc=0;");
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "s", ""), true, "p");
    expect2(rank, "cmd=name-lookup-response;rc=0;found=TRUE;value=p;port=p;"
                  "thrid=0xa;");
    say2(rank, "cmd=name-lookup;name=t;");
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "t", ""), true, "q");
    expect2(rank, "cmd=name-lookup-response;rc=0;found=TRUE;value=q;port=q;");
    ck_assert_uint_eq(host->names, 2);
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(names_of_ranks_that_have_gone)
{
    struct host *host = host_with_names(3);
    struct ctpmi_name *name;

    for (unsigned i = 0; i < 3; i++) {
        init2(&host->ranks[i]);
        say2(&host->ranks[i], "cmd=name-lookup;thrid=0xa;name=s;");
    }
    hang_up(&host->ranks[0]);
    ctpmi_name_done(host->name[0].name, true, "p");
    ctpmi_detach(host->ranks[1].client);
    ctpmi_name_done(host->name[1].name, false, NULL);
    name = expect_name(host, CTPMI_LOOKUP, "s", "");
    host_free(host);
    ctpmi_name_done(name, true, "p");
}
END_TEST

/* ---- spawn ---- */

/* As MPICH <= 4.0 and libpmi2 write it: ';' in a value is ";;". */
static const char two_commands[] =
    "cmd=spawn;thrid=0x12;ncmds=2;preputcount=2;ppkey0=PARENT_ROOT_PORT_NAME;"
    "ppval0=tag#0;;x y;ppkey1=k;ppval1=v;subcmd=./a b;maxprocs=2;argc=3;"
    "argv0=two  words ;argv1=k=v;;x;argv2=;infokeycount=1;infokey0=wdir;"
    "infoval0=/a b;subcmd=b;maxprocs=1;argc=0;infokeycount=0;";

START_TEST(spawn_is_put_to_the_host)
{
    struct host *host = host_ready2(1);
    struct ctpmi_facts facts = {.jobid = "7.1", .size = 3};

    say2(&host->ranks[0], two_commands);
    expect2(&host->ranks[0], "");
    ck_assert_uint_eq(host->spawns, 1);
    expect_two_commands(host->spawn);
    facts.spawn = host->spawn;
    ctpmi_spawn_done(host->spawn, add_job(host, &facts, 0), NULL);
    expect2(&host->ranks[0],
            "cmd=spawn-response;thrid=0x12;rc=0;jobid=7.1;nerrs=0;");
    /* the child is told who spawned it, and its reader undoes the escape */
    ask(&host->ranks[2], init_line, init_answer);
    ask2(&host->ranks[2], "cmd=fullinit;pmirank=1;",
         "cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=1;"
         "size=3;appnum=0;debugged=FALSE;pmiverbose=FALSE;"
         "spawner-jobid=7.0;");
    ask2(&host->ranks[2], "cmd=kvs-get;jobid=7.1;key=PARENT_ROOT_PORT_NAME;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=tag#0;;x y;");
    ask2(&host->ranks[2], "cmd=kvs-get;key=k;",
         "cmd=kvs-get-response;rc=0;found=TRUE;value=v;");
    host_free(host);
}
END_TEST

START_TEST(refused_spawn_is_answered)
{
    struct host *host = host_ready2(1);

    host->spawn_answer = -1;
    ask2(&host->ranks[0], two_commands,
         "cmd=spawn-response;thrid=0x12;rc=1;errmsg=spawn_failed;nerrs=0;");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(spawn_of_too_many_commands)
{
    struct host *host = host_ready2(1);
    char *text = malloc(40000);
    size_t len = (size_t)sprintf(text, "cmd=spawn;");

    for (int i = 0; i < 1025; i++)
        len += (size_t)sprintf(text + len, "subcmd=a;maxprocs=1;");
    ask2(&host->ranks[0], text,
         "cmd=spawn-response;rc=1;errmsg=spawn_of_too_many_commands;");
    free(text);
    host_free(host);
}
END_TEST

/* ---- the end ---- */

START_TEST(finalize_before_fullinit)
{
    struct host *host = host_new(1);

    ask(&host->ranks[0], init_line, init_answer);
    ask2(&host->ranks[0], "cmd=finalize;", "cmd=finalize-response;rc=0;");
    hang_up(&host->ranks[0]);
    ck_assert_uint_eq(host->faults, 0);
    ck_assert_int_eq(ctpmi_client_state(host->ranks[0].client), CTPMI_SILENT);
    host_free(host);
}
END_TEST

START_TEST(leave_between_init_and_fullinit)
{
    static const char *const words[] = {"finaliz", NULL};
    struct host *host = host_new(1);

    ask(&host->ranks[0], init_line, init_answer);
    hang_up(&host->ranks[0]);
    expect_fault(host, 0, CTPMI_DEPARTED, words);
    host_free(host);
}
END_TEST

static void add_talk(TCase *tc)
{
    tcase_add_loop_test(tc, fullinit_is_what_all_clients_want, 0,
                        COUNT(fullinits));
    tcase_add_test(tc, another_ranks_number_is_refused);
    tcase_add_test(tc, second_init_comes_byte_by_byte);
    tcase_add_test(tc, dialect_of_the_first_line_is_pmi1);
    tcase_add_test(tc, messages_come_byte_by_byte);
    tcase_add_test(tc, messages_come_all_at_once);
    tcase_add_loop_test(tc, head_is_padded_anyhow, 0, COUNT(heads));
    tcase_add_loop_test(tc, messages_may_have_more_and_less, 0,
                        COUNT(tolerated));
    tcase_add_loop_test(tc, head_that_is_no_length_is_a_fault, 0,
                        COUNT(bad_heads));
    tcase_add_test(tc, unreadable_messages_are_answered);
    tcase_add_test(tc, job_id_is_told);
    tcase_add_loop_test(tc, job_attributes, 0, COUNT(attributes));
    tcase_add_test(tc, connect_and_disconnect_are_answered);
    tcase_add_test(tc, put_fence_get);
    tcase_add_test(tc, get_of_what_is_not_there);
    tcase_add_test(tc, escapes_are_left_to_the_clients);
    tcase_add_loop_test(tc, what_cannot_be_put_is_refused, 0, COUNT(refusals));
    tcase_add_loop_test(tc, thread_id_is_echoed, 0, COUNT(threaded));
    tcase_add_test(tc, thread_ids_are_not_mixed_up);
}

static void add_waits(TCase *tc)
{
    tcase_add_test(tc, node_attribute_is_waited_for);
    tcase_add_test(tc, node_attributes_are_no_keys_of_the_job);
    tcase_add_test(tc, second_wait_is_refused_and_the_first_goes_on);
    tcase_add_test(tc, rank_may_put_what_another_thread_of_it_waits_for);
    tcase_add_test(tc, hopeless_wait_is_a_fault);
    tcase_add_test(tc, wait_for_those_who_left_is_a_fault);
    tcase_add_test(tc, rank_to_come_is_a_hope);
    tcase_add_test(tc, other_threads_are_a_hope);
    tcase_add_test(tc, wait_with_hope_is_none);
    tcase_add_test(tc, ring_gives_neighbours);
    tcase_add_test(tc, second_ring_is_refused_and_the_first_goes_on);
    tcase_add_test(tc, ring_beyond_this_node_is_a_fault);
}

static void add_rest(TCase *tc)
{
    tcase_add_test(tc, name_of_a_pmi1_rank_is_found);
    tcase_add_test(tc, thread_ids_of_names_are_not_mixed_up);
    tcase_add_test(tc, names_of_ranks_that_have_gone);
    tcase_add_test(tc, spawn_is_put_to_the_host);
    tcase_add_test(tc, refused_spawn_is_answered);
    tcase_add_test(tc, spawn_of_too_many_commands);
    tcase_add_test(tc, finalize_before_fullinit);
    tcase_add_test(tc, leave_between_init_and_fullinit);
}

static void add_all(TCase *tc)
{
    add_talk(tc);
    add_waits(tc);
    add_rest(tc);
}

int main(void)
{
    return run_suite("server_pmi2", add_all);
}
