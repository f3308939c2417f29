/*
 * What PMI-1 and PMI-2 have in common, asked in the words of either: each test
 * runs once for each wire, or for each row that names its wire. What one wire
 * alone has is in test_server_pmi1.c and test_server_pmi2.c.
 */
#include "tests/unit/server.h"

/* ---- the words of the wires ---- */

enum wire_id { PMI1, PMI2, WIRES };

enum command {
    PUT,
    GET,
    FENCE,
    PUBLISH,
    UNPUBLISH,
    LOOKUP,
    FACT, /* any that is answered at once */
    SPAWN,
    FINALIZE,
    COMMANDS
};

/* \1 and \2 stand for what is told: key and value, name and port, a reason. */
struct words {
    const char *question;
    const char *done;
    const char *refused;
    const char *none; /* nothing of that name is there */
};

static size_t frame1(char *to, const char *message)
{
    return (size_t)sprintf(to, "%s", message);
}

static size_t frame2(char *to, const char *message)
{
    return (size_t)sprintf(to, "%6u%s", (unsigned)strlen(message), message);
}

static const struct words words1[COMMANDS] = {
    [PUT] = {"cmd=put key=\1 value=\2\n", "cmd=put_result rc=0\n",
             "cmd=put_result rc=-1 msg=\1\n", NULL},
    [GET] = {"cmd=get key=\1\n", "cmd=get_result rc=0 value=\1\n", NULL,
             "cmd=get_result rc=-1 msg=key_not_found\n"},
    [FENCE] = {"cmd=barrier_in\n", "cmd=barrier_out rc=0\n", NULL, NULL},
    [PUBLISH] = {"cmd=publish_name service=\1 port=\2\n",
                 "cmd=publish_result rc=0\n",
                 "cmd=publish_result rc=-1 msg=\1\n", NULL},
    [UNPUBLISH] = {"cmd=unpublish_name service=\1\n",
                   "cmd=unpublish_result rc=0\n",
                   "cmd=unpublish_result rc=-1 msg=\1\n", NULL},
    [LOOKUP] = {"cmd=lookup_name service=\1\n",
                "cmd=lookup_result rc=0 port=\1\n",
                "cmd=lookup_result rc=-1 msg=\1\n",
                "cmd=lookup_result rc=-1 msg=not_published\n"},
    [FACT] = {"cmd=get_appnum\n", "cmd=appnum rc=0 appnum=0\n", NULL, NULL},
    [SPAWN] = {"mcmd=spawn\nexecname=a\nnprocs=2\ntotspawns=1\n"
               "spawnssofar=1\npreput_key_0=k\npreput_val_0=v\nendcmd\n",
               NULL, "cmd=spawn_result rc=-1 msg=\1\n", NULL},
    [FINALIZE] = {"cmd=finalize\n", "cmd=finalize_ack rc=0\n", NULL, NULL},
};

static const struct words words2[COMMANDS] = {
    [PUT] = {"cmd=kvs-put;key=\1;value=\2;", "cmd=kvs-put-response;rc=0;",
             "cmd=kvs-put-response;rc=1;errmsg=\1;", NULL},
    [GET] = {"cmd=kvs-get;key=\1;",
             "cmd=kvs-get-response;rc=0;found=TRUE;value=\1;", NULL,
             "cmd=kvs-get-response;rc=0;found=FALSE;"},
    [FENCE] = {"cmd=kvs-fence;", "cmd=kvs-fence-response;rc=0;", NULL, NULL},
    [PUBLISH] = {"cmd=name-publish;name=\1;port=\2;infokeycount=0;",
                 "cmd=name-publish-response;rc=0;",
                 "cmd=name-publish-response;rc=1;errmsg=\1;", NULL},
    [UNPUBLISH] = {"cmd=name-unpublish;name=\1;",
                   "cmd=name-unpublish-response;rc=0;",
                   "cmd=name-unpublish-response;rc=1;errmsg=\1;", NULL},
    /* libpmi2 and MPICH <= 4.0 read value, MPICH >= 4.1 port */
    [LOOKUP] = {"cmd=name-lookup;name=\1;",
                "cmd=name-lookup-response;rc=0;found=TRUE;value=\1;port=\1;",
                "cmd=name-lookup-response;rc=1;errmsg=\1;",
                "cmd=name-lookup-response;rc=1;found=FALSE;"},
    [FACT] = {"cmd=job-getid;thrid=0x1;",
              "cmd=job-getid-response;thrid=0x1;rc=0;jobid=7.0;", NULL, NULL},
    [SPAWN] = {"cmd=spawn;ppkey0=k;ppval0=v;subcmd=a;maxprocs=2;", NULL,
               "cmd=spawn-response;rc=1;errmsg=\1;", NULL},
    [FINALIZE] = {"cmd=finalize;", "cmd=finalize-response;rc=0;", NULL, NULL},
};

static const struct wire {
    const char *name;     /* in faults */
    const char *protocol; /* as ctpmi_client_protocol() tells it */
    const char *port;     /* as its clients publish them */
    void (*init)(struct rank *rank);
    void (*say)(struct rank *rank, const char *message);
    void (*expect)(struct rank *rank, const char *messages);
    size_t (*frame)(char *to, const char *message);
    const struct words *words; /* a command each */
} wires[WIRES] = {
    [PMI1] =
        {
            .name = "PMI-1",
            .protocol = "PMI-1.1",
            .port = "tag#0$host#a$",
            .init = init1,
            .say = say,
            .expect = expect,
            .frame = frame1,
            .words = words1,
        },
    [PMI2] =
        {
            .name = "PMI-2",
            .protocol = "PMI-2",
            .port = "p q",
            .init = init2,
            .say = say2,
            .expect = expect2,
            .frame = frame2,
            .words = words2,
        },
};

static void fill(char *to, const char *words, const char *first,
                 const char *second)
{
    for (; *words != '\0'; words++)
        if (*words == '\1' || *words == '\2')
            to += sprintf(to, "%s", *words == '\1' ? first : second);
        else
            *to++ = *words;
    *to = '\0';
}

static void tell(const struct wire *wire, struct rank *rank,
                 enum command command, const char *first, const char *second)
{
    char text[4096];

    fill(text, wire->words[command].question, first, second);
    wire->say(rank, text);
}

static void hear(const struct wire *wire, struct rank *rank, const char *words,
                 const char *told)
{
    char text[4096];

    fill(text, words, told, NULL);
    wire->expect(rank, text);
}

static void done(const struct wire *wire, struct rank *rank,
                 enum command command, const char *found)
{
    hear(wire, rank, wire->words[command].done, found);
}

static void refused(const struct wire *wire, struct rank *rank,
                    enum command command, const char *reason)
{
    hear(wire, rank, wire->words[command].refused, reason);
}

static void put(const struct wire *wire, struct rank *rank, const char *key,
                const char *value)
{
    tell(wire, rank, PUT, key, value);
    done(wire, rank, PUT, NULL);
}

/* found: NULL when nothing may be. */
static void look(const struct wire *wire, struct rank *rank,
                 enum command command, const char *name, const char *found)
{
    tell(wire, rank, command, name, NULL);
    if (found != NULL)
        done(wire, rank, command, found);
    else
        wire->expect(rank, wire->words[command].none);
}

static void unpublish(const struct wire *wire, struct rank *rank,
                      const char *service)
{
    tell(wire, rank, UNPUBLISH, service, NULL);
}

static void finalize(const struct wire *wire, struct rank *rank)
{
    tell(wire, rank, FINALIZE, NULL, NULL);
    done(wire, rank, FINALIZE, NULL);
}

static const struct wire *other(const struct wire *wire)
{
    return &wires[wire == &wires[PMI1] ? PMI2 : PMI1];
}

static struct host *host_ready(const struct wire *wire, unsigned size)
{
    struct host *host = host_new(size);

    for (unsigned i = 0; i < size; i++)
        wire->init(&host->ranks[i]);
    return host;
}

/* ---- init, finalize ---- */

/* MPICH >= 4.2 says init once a session, and finalize when it exits. */
START_TEST(second_init_without_finalize)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_ready(wire, 1);
    struct rank *rank = &host->ranks[0];

    put(wire, rank, "k", "v");
    wire->init(rank);
    look(wire, rank, GET, "k", "v");
    other(wire)->init(rank);
    look(other(wire), rank, GET, "k", "v");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(begin_again_on_the_other_wire)
{
    const struct wire *wire = &wires[_i], *next = other(wire);
    struct host *host = host_ready(wire, 1);
    struct rank *rank = &host->ranks[0];

    put(wire, rank, "k", "v");
    finalize(wire, rank);
    ck_assert_int_eq(ctpmi_client_state(rank->client), CTPMI_FINALIZED);
    next->init(rank);
    ck_assert_str_eq(ctpmi_client_protocol(rank->client), next->protocol);
    look(next, rank, GET, "k", "v");
    tell(next, rank, FENCE, NULL, NULL);
    done(next, rank, FENCE, NULL);
    finalize(next, rank);
    wire->init(rank);
    ck_assert_str_eq(ctpmi_client_protocol(rank->client), wire->protocol);
    host_free(host);
}
END_TEST

/* ---- put and get ---- */

START_TEST(put_replaces)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_ready(wire, 2);

    put(wire, &host->ranks[0], "k", "old");
    put(wire, &host->ranks[1], "k", "new");
    look(wire, &host->ranks[0], GET, "k", "new");
    host_free(host);
}
END_TEST

START_TEST(keys_of_the_server_cannot_be_put)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_new(2);

    init1(&host->ranks[0]);
    wire->init(&host->ranks[1]);
    tell(wire, &host->ranks[1], PUT, "PMI_process_mapping", "x");
    refused(wire, &host->ranks[1], PUT, "reserved_key");
    look(&wires[PMI1], &host->ranks[0], GET, "PMI_process_mapping",
         "(vector,(0,1,2))");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(longest_key_and_value_are_taken)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_ready(wire, 1);
    char key[65] = "", value[1025] = "";

    memset(key, 'a', 64);
    memset(value, 'a', 1024);
    put(wire, &host->ranks[0], key, value);
    look(wire, &host->ranks[0], GET, key, value);
    host_free(host);
}
END_TEST

static const struct {
    unsigned key, value;
    const char *reason;
} bad_lengths[] = {
    {65, 1, "key_is_longer_than_64_bytes"},
    {1, 1025, "value_is_longer_than_1024_bytes"},
    {0, 1, "key_is_missing"},
    /* "k=" is an error to MPICH >= 4.1: what is empty never comes in */
    {1, 0, "value_is_missing"},
};

/* However often: the library leaves what is sound to the server. */
START_TEST(lengths_are_limited)
{
    const struct wire *wire = &wires[_i % WIRES];
    struct host *host = host_ready(wire, 1);
    struct rank *rank = &host->ranks[0];
    char key[128] = "", value[2048] = "";

    memset(key, 'a', bad_lengths[_i / WIRES].key);
    memset(value, 'a', bad_lengths[_i / WIRES].value);
    for (int i = 0; i < 10; i++) {
        tell(wire, rank, PUT, key, value);
        refused(wire, rank, PUT, bad_lengths[_i / WIRES].reason);
    }
    look(wire, rank, GET, "a", NULL);
    put(wire, rank, "k", "v");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- names ---- */

START_TEST(names_are_published)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_ready(wire, 2);
    struct rank *ranks = host->ranks;

    look(wire, &ranks[1], LOOKUP, "s", NULL);
    tell(wire, &ranks[0], PUBLISH, "s", wire->port);
    done(wire, &ranks[0], PUBLISH, NULL);
    tell(wire, &ranks[1], PUBLISH, "s", "other");
    refused(wire, &ranks[1], PUBLISH, "already_published");
    look(wire, &ranks[1], LOOKUP, "s", wire->port);
    unpublish(wire, &ranks[1], "s");
    done(wire, &ranks[1], UNPUBLISH, NULL);
    unpublish(wire, &ranks[0], "s");
    refused(wire, &ranks[0], UNPUBLISH, "not_published");
    look(wire, &ranks[0], LOOKUP, "s", NULL);
    look(wire, &ranks[1], LOOKUP, "s", NULL);
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

/* ---- names that the host keeps ---- */

static const char no_port1[] =
    "cmd=lookup_result rc=-1 msg=the_port_cannot_be_told_in_this_protocol\n";
static const char no_port2[] = "cmd=name-lookup-response;rc=1;errmsg="
                               "the_port_cannot_be_told_in_this_protocol;";

/* The answers are those of names_are_published, and PMI-2's thread ids. */
static const struct name {
    enum wire_id wire;
    const char *question;
    enum ctpmi_name_op op;
    const char *service, *port; /* that the host is given */
    bool success;
    const char *found; /* that it gives */
    const char *answer;
} names[] = {
    {PMI1, "cmd=publish_name service=s port=tag#0$host#a$\n", CTPMI_PUBLISH,
     "s", "tag#0$host#a$", true, NULL, "cmd=publish_result rc=0\n"},
    {PMI1, "cmd=publish_name port=p=q service=a;b\n", CTPMI_PUBLISH, "a;b",
     "p=q", false, NULL, "cmd=publish_result rc=-1 msg=already_published\n"},
    {PMI1, "cmd=unpublish_name service=s port=p\n", CTPMI_UNPUBLISH, "s", "",
     true, NULL, "cmd=unpublish_result rc=0\n"},
    {PMI1, "cmd=unpublish_name service=s\n", CTPMI_UNPUBLISH, "s", "", false,
     "p", "cmd=unpublish_result rc=-1 msg=not_published\n"},
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", true,
     "tag#0$host#a$", "cmd=lookup_result rc=0 port=tag#0$host#a$\n"},
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", false, NULL,
     "cmd=lookup_result rc=-1 msg=not_published\n"},
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", false, "p",
     "cmd=lookup_result rc=-1 msg=not_published\n"},
    /* what PMI-2 and hosts may have, and PMI-1 cannot carry */
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", true, "a b",
     no_port1},
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", true, "a\nb",
     no_port1},
    {PMI1, "cmd=lookup_name service=s\n", CTPMI_LOOKUP, "s", "", true, "",
     no_port1},
    {PMI2, "cmd=name-publish;name=s;port=p q;infokeycount=0;", CTPMI_PUBLISH,
     "s", "p q", true, NULL, "cmd=name-publish-response;rc=0;"},
    {PMI2, "cmd=name-publish;name=a b;port=p=q;infokeycount=0;", CTPMI_PUBLISH,
     "a b", "p=q", false, NULL,
     "cmd=name-publish-response;rc=1;errmsg=already_published;"},
    {PMI2, "cmd=name-unpublish;name=s;", CTPMI_UNPUBLISH, "s", "", true, NULL,
     "cmd=name-unpublish-response;rc=0;"},
    {PMI2, "cmd=name-unpublish;name=s;", CTPMI_UNPUBLISH, "s", "", false, "p",
     "cmd=name-unpublish-response;rc=1;errmsg=not_published;"},
    {PMI2, "cmd=name-lookup;name=s;", CTPMI_LOOKUP, "s", "", true, "p q",
     "cmd=name-lookup-response;rc=0;found=TRUE;value=p q;port=p q;"},
    {PMI2, "cmd=name-lookup;name=s;", CTPMI_LOOKUP, "s", "", false, NULL,
     "cmd=name-lookup-response;rc=1;found=FALSE;"},
    {PMI2, "cmd=name-lookup;name=s;", CTPMI_LOOKUP, "s", "", false, "p",
     "cmd=name-lookup-response;rc=1;found=FALSE;"},
    {PMI2, "cmd=name-lookup;name=s;", CTPMI_LOOKUP, "s", "", true, "a;b",
     no_port2},
    {PMI2, "cmd=name-lookup;name=s;", CTPMI_LOOKUP, "s", "", true, "a\nb",
     no_port2},
    /* MPICH's threads wait for their own answer */
    {PMI2, "cmd=name-publish;thrid=0x7f00;name=s;port=p;", CTPMI_PUBLISH, "s",
     "p", true, NULL, "cmd=name-publish-response;rc=0;thrid=0x7f00;"},
    {PMI2, "cmd=name-publish;thrid=0x7f00;name=s;port=p;", CTPMI_PUBLISH, "s",
     "p", false, NULL,
     "cmd=name-publish-response;rc=1;thrid=0x7f00;errmsg=already_published;"},
    {PMI2, "cmd=name-unpublish;thrid=0x7f00;name=s;", CTPMI_UNPUBLISH, "s", "",
     true, NULL, "cmd=name-unpublish-response;rc=0;thrid=0x7f00;"},
    {PMI2, "cmd=name-unpublish;thrid=0x7f00;name=s;", CTPMI_UNPUBLISH, "s", "",
     false, NULL,
     "cmd=name-unpublish-response;rc=1;thrid=0x7f00;errmsg=not_published;"},
    {PMI2, "cmd=name-lookup;thrid=0x7f00;name=s;", CTPMI_LOOKUP, "s", "", true,
     "p",
     "cmd=name-lookup-response;rc=0;found=TRUE;value=p;port=p;thrid=0x7f00;"},
    {PMI2, "cmd=name-lookup;thrid=0x7f00;name=s;", CTPMI_LOOKUP, "s", "", false,
     NULL, "cmd=name-lookup-response;rc=1;found=FALSE;thrid=0x7f00;"},
    {PMI2, "cmd=name-lookup;thrid=0x7f00;name=s;", CTPMI_LOOKUP, "s", "", true,
     "a;b",
     "cmd=name-lookup-response;rc=1;thrid=0x7f00;errmsg="
     "the_port_cannot_be_told_in_this_protocol;"},
};

static struct host *host_of_names(const struct wire *wire)
{
    struct host *host = host_with_names(1);

    wire->init(&host->ranks[0]);
    return host;
}

START_TEST(names_are_put_to_the_host)
{
    const struct name *row = &names[_i];
    const struct wire *wire = &wires[row->wire];
    struct host *host = host_of_names(wire);
    struct rank *rank = &host->ranks[0];

    for (unsigned i = 0; i < 3; i++) {
        wire->say(rank, row->question);
        ck_assert_uint_eq(host->names, i + 1);
        /* others are answered, this one is not yet */
        tell(wire, rank, FACT, NULL, NULL);
        done(wire, rank, FACT, NULL);
        ctpmi_name_done(expect_name(host, row->op, row->service, row->port),
                        row->success, row->found);
        wire->expect(rank, row->answer);
    }
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

static const struct name *at_once;

static void answer_name(struct host *host)
{
    ctpmi_name_done(
        expect_name(host, at_once->op, at_once->service, at_once->port),
        at_once->success, at_once->found);
}

/* In the order of the questions, though they have come at once. */
START_TEST(names_are_answered_in_the_callback)
{
    const struct name *row = &names[_i];
    const struct wire *wire = &wires[row->wire];
    const struct words *fact = &wire->words[FACT];
    const char *const questions[] = {fact->question, row->question,
                                     row->question, fact->question,
                                     row->question};
    struct host *host = host_of_names(wire);
    char text[1024];
    size_t len = 0;

    at_once = row;
    host->on_name = answer_name;
    for (int i = 0; i < COUNT(questions); i++)
        len += wire->frame(text + len, questions[i]);
    ck_assert_int_gt(send(host->ranks[0].fd, text, len, 0), 0);
    run(host);
    snprintf(text, sizeof text, "%s%s%s%s%s", fact->done, row->answer,
             row->answer, fact->done, row->answer);
    wire->expect(&host->ranks[0], text);
    ck_assert_uint_eq(host->names, 3);
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

static const char still_asked[] = "another_name_is_still_asked_for";

START_TEST(second_name_waits_its_turn)
{
    const struct wire *wire = &wires[_i];
    struct host *host = host_of_names(wire);
    struct rank *rank = &host->ranks[0];

    tell(wire, rank, PUBLISH, "s", "p");
    tell(wire, rank, LOOKUP, "t", NULL);
    refused(wire, rank, LOOKUP, still_asked);
    unpublish(wire, rank, "t");
    refused(wire, rank, UNPUBLISH, still_asked);
    ck_assert_uint_eq(host->names, 1);
    ctpmi_name_done(expect_name(host, CTPMI_PUBLISH, "s", "p"), true, NULL);
    done(wire, rank, PUBLISH, NULL);
    tell(wire, rank, LOOKUP, "t", NULL);
    ctpmi_name_done(expect_name(host, CTPMI_LOOKUP, "t", ""), true, "q");
    done(wire, rank, LOOKUP, "q");
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

START_TEST(name_of_one_that_was_muted)
{
    const struct wire *wire = &wires[_i];
    const char *const words[] = {wire->name, "lookup", "another name", NULL};
    struct host *host = host_of_names(wire);
    struct rank *rank = &host->ranks[0];

    tell(wire, rank, PUBLISH, "s", "p");
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(host->faults, 0);
        tell(wire, rank, LOOKUP, "t", NULL);
        refused(wire, rank, LOOKUP, still_asked);
    }
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    ctpmi_name_done(expect_name(host, CTPMI_PUBLISH, "s", "p"), true, NULL);
    wire->expect(rank, "");
    host_free(host);
}
END_TEST

/* ---- spawn ---- */

static const struct {
    enum wire_id wire;
    const char *question;
    const char *reason;
} bad_spawns[] = {
    {PMI1, "mcmd=spawn\nexecname=a\nnprocs=1\nendcmd\n",
     "spawn_blocks_out_of_order"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=1\ntotspawns=2\nspawnssofar=2\nendcmd\n",
     "spawn_blocks_out_of_order"},
    {PMI1, "mcmd=spawn\nnprocs=1\ntotspawns=1\nspawnssofar=1\nendcmd\n",
     "spawn_without_execname_or_nprocs"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=0\ntotspawns=1\nspawnssofar=1\nendcmd\n",
     "spawn_of_'0'_processes"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=99999999\ntotspawns=1\nspawnssofar=1\n"
     "endcmd\n",
     "spawn_of_'99999999'_processes"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=1\ntotspawns=1\nspawnssofar=1\n"
     "info_key_0=k\nendcmd\n",
     "spawn_with_a_key_without_a_value"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=1\ntotspawns=1\nspawnssofar=1\n"
     "info_val_0=v\ninfo_key_0=k\nendcmd\n",
     "spawn_with_a_value_without_a_key"},
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=1\ntotspawns=1\nspawnssofar=1\n"
     "preput_key_0=k\npreput_key_1=k\nendcmd\n",
     "spawn_with_a_key_without_a_value"},
    /* one question, one answer, though the first of its blocks is the bad one
     */
    {PMI1,
     "mcmd=spawn\nexecname=a\nnprocs=x\ntotspawns=3\nspawnssofar=1\nendcmd\n"
     "mcmd=spawn\nexecname=b\nnprocs=1\ntotspawns=3\nspawnssofar=2\nendcmd\n"
     "mcmd=spawn\nexecname=c\nnprocs=1\ntotspawns=3\nspawnssofar=3\nendcmd\n",
     "spawn_of_'x'_processes"},
    {PMI2, "cmd=spawn;ncmds=1;subcmd=a;", "spawn_without_maxprocs"},
    {PMI2, "cmd=spawn;subcmd=;maxprocs=1;", "spawn_without_a_command"},
    {PMI2, "cmd=spawn;subcmd=a;maxprocs=0;", "spawn_of_'0'_processes"},
    {PMI2, "cmd=spawn;subcmd=a;maxprocs=65536;subcmd=b;maxprocs=1;",
     "spawn_of_'1'_processes"},
    {PMI2, "cmd=spawn;subcmd=a;maxprocs=1;infokey0=k;",
     "spawn_with_a_key_without_a_value"},
    {PMI2, "cmd=spawn;subcmd=a;maxprocs=1;infoval0=k;",
     "spawn_with_a_value_without_a_key"},
    {PMI2, "cmd=spawn;ppkey0=k;subcmd=a;maxprocs=1;",
     "spawn_with_a_key_without_a_value"},
    {PMI2, "cmd=spawn;subcmd=a;maxprocs=1;maxprocs=2;",
     "spawn_with_maxprocs_given_twice"},
};

START_TEST(bad_spawns_are_refused)
{
    const struct wire *wire = &wires[bad_spawns[_i].wire];
    struct host *host = host_ready(wire, 1);
    struct rank *rank = &host->ranks[0];

    wire->say(rank, bad_spawns[_i].question);
    refused(wire, rank, SPAWN, bad_spawns[_i].reason);
    ck_assert_uint_eq(host->spawns, 0);
    /* and a good one may follow */
    tell(wire, rank, SPAWN, NULL, NULL);
    ck_assert_uint_eq(host->spawns, 1);
    ctpmi_spawn_done(host->spawn, NULL, NULL);
    host_free(host);
}
END_TEST

/* ---- abort ---- */

static const struct {
    enum wire_id wire;
    const char *message;
    int code;
    const char *text;
} aborts[] = {
    {PMI1, "cmd=abort exitcode=5\n", 5, ""},
    {PMI1, "cmd=abort exitcode=-1 message=stub\n", -1, "stub"},
    {PMI1,
     "cmd=abort exitcode=1 message=application called MPI_Abort(5) - process "
     "0\n",
     1, "application called MPI_Abort(5) - process 0"},
    /* Flux's old words */
    {PMI1, "cmd=abort exit_code=7 error_msg=bad\n", 7, "bad"},
    {PMI1, "cmd=abort\n", 1, ""},
    {PMI1, "cmd=abort exitcode=x message=a\tb\033[31m\n", 1, "a?b?[31m"},
    {PMI2, "cmd=abort;isworld=TRUE;msg=all is lost;", 1, "all is lost"},
    {PMI2, "cmd=abort;isworld=FALSE;msg=x;", 1, "x"},
    {PMI2, "cmd=abort;exitcode=6;message=a b;", 6, "a b"},
    {PMI2, "cmd=abort;exitcode=255;", 255, ""},
    {PMI2, "cmd=abort;msg=a\nb;", 1, "a?b"},
    {PMI2, "cmd=abort;", 1, ""},
};

START_TEST(abort_is_told_and_not_answered)
{
    const struct wire *wire = &wires[aborts[_i].wire];
    struct host *host = host_ready(wire, 2);

    wire->say(&host->ranks[1], aborts[_i].message);
    ck_assert_uint_eq(host->aborts, 1);
    ck_assert_uint_eq(host->abort[0].rank, 1);
    ck_assert_int_eq(host->abort[0].code, aborts[_i].code);
    ck_assert_str_eq(host->abort[0].text, aborts[_i].text);
    expect(&host->ranks[1], "");
    host_free(host);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    enum wire_id wire;
    const char *question;
    const char *answer;
} unknown[] = {
    {PMI1, "cmd=getbyidx kvsname=7.0 idx=0\n",
     "cmd=getbyidx_result rc=-1 msg=unknown_command\n"},
    {PMI1, "cmd=create_kvs\n",
     "cmd=create_kvs_result rc=-1 msg=unknown_command\n"},
    {PMI1, "cmd=get_\n", "cmd=get__result rc=-1 msg=unknown_command\n"},
    {PMI1, "cmd=ge\n", "cmd=ge_result rc=-1 msg=unknown_command\n"},
    {PMI1, "cmd=a\tb;c=d\n", "cmd=a_b_c_d_result rc=-1 msg=unknown_command\n"},
    {PMI2, "cmd=no-such;", "cmd=no-such-response;rc=1;errmsg=unknown_command;"},
    {PMI2, "cmd=kvs-ge;", "cmd=kvs-ge-response;rc=1;errmsg=unknown_command;"},
    {PMI2, "cmd=a;;b\nc;", "cmd=a__b_c-response;rc=1;errmsg=unknown_command;"},
    {PMI2,
     "cmd=123456789-123456789-123456789-123456789-123456789-123456789;;tail;",
     "cmd=123456789-123456789-123456789-123456789-123456789-123456789_"
     "-response;rc=1;errmsg=unknown_command;"},
};

/* Clients probe: an answer, never the sack. */
START_TEST(unknown_command_is_answered)
{
    const struct wire *wire = &wires[unknown[_i].wire];
    struct host *host = host_ready(wire, 1);

    for (int i = 0; i < 20; i++) {
        wire->say(&host->ranks[0], unknown[_i].question);
        wire->expect(&host->ranks[0], unknown[_i].answer);
    }
    ck_assert_uint_eq(host->faults, 0);
    host_free(host);
}
END_TEST

static const struct breach {
    enum wire_id wire;
    const char *question;
    const char *answer;
    const char *command, *why; /* that the fault tells */
} breaches[] = {
    {PMI1, "cmd=put key=k\n", "cmd=put_result rc=-1 msg=value_is_missing\n",
     "put", "value is missing"},
    {PMI2, "cmd=kvs-put;key=k;",
     "cmd=kvs-put-response;rc=1;errmsg=value_is_missing;", "kvs-put",
     "value is missing"},
    {PMI2, "cmd=kvs-put;value=v;",
     "cmd=kvs-put-response;rc=1;errmsg=key_is_missing;", "kvs-put",
     "key is missing"},
    {PMI2, "cmd=kvs-get;", "cmd=kvs-get-response;rc=1;errmsg=key_is_missing;",
     "kvs-get", "key is missing"},
    {PMI2, "cmd=info-getnodeattr;wait=TRUE;",
     "cmd=info-getnodeattr-response;rc=1;errmsg=key_is_missing;",
     "info-getnodeattr", "key is missing"},
    {PMI2, "cmd=info-getjobattr;",
     "cmd=info-getjobattr-response;rc=1;errmsg=key_is_missing;",
     "info-getjobattr", "key is missing"},
    {PMI2, "cmd=name-publish;name=s;",
     "cmd=name-publish-response;rc=1;errmsg=port_is_missing;", "name-publish",
     "port is missing"},
    {PMI2, "cmd=name-lookup;",
     "cmd=name-lookup-response;rc=1;errmsg=name_is_missing;", "name-lookup",
     "name is missing"},
    {PMI2, "cmd=ring;ring-count=1;ring-left=a;",
     "cmd=ring-response;rc=1;errmsg=ring-right_is_missing;", "ring",
     "ring-right is missing"},
    {PMI2, "cmd=fullinit;pmirank=0;",
     "cmd=fullinit-response;rc=1;errmsg=initialised_already;", "fullinit",
     "initialised already"},
    {PMI2, "cmd=spawn;ncmds=1;",
     "cmd=spawn-response;rc=1;"
     "errmsg=spawn_without_a_command;",
     "spawn", "spawn without a command"},
};

START_TEST(breach_is_answered_then_a_fault)
{
    const struct breach *row = &breaches[_i];
    const struct wire *wire = &wires[row->wire];
    const char *const words[] = {wire->name, row->command, row->why, NULL};
    struct host *host = host_ready(wire, 1);
    struct rank *rank = &host->ranks[0];

    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(host->faults, 0);
        wire->say(rank, row->question);
        wire->expect(rank, row->answer);
    }
    expect_fault(host, 0, CTPMI_PROTOCOL, words);
    ck_assert_int_eq(rank->events, 0);
    hang_up(rank);
    ck_assert_uint_eq(host->faults, 1);
    host_free(host);
}
END_TEST

static void add_all(TCase *tc)
{
    tcase_add_loop_test(tc, second_init_without_finalize, 0, WIRES);
    tcase_add_loop_test(tc, begin_again_on_the_other_wire, 0, WIRES);
    tcase_add_loop_test(tc, put_replaces, 0, WIRES);
    tcase_add_loop_test(tc, keys_of_the_server_cannot_be_put, 0, WIRES);
    tcase_add_loop_test(tc, longest_key_and_value_are_taken, 0, WIRES);
    tcase_add_loop_test(tc, lengths_are_limited, 0, WIRES * COUNT(bad_lengths));
    tcase_add_loop_test(tc, names_are_published, 0, WIRES);
    tcase_add_loop_test(tc, names_are_put_to_the_host, 0, COUNT(names));
    tcase_add_loop_test(tc, names_are_answered_in_the_callback, 0,
                        COUNT(names));
    tcase_add_loop_test(tc, second_name_waits_its_turn, 0, WIRES);
    tcase_add_loop_test(tc, name_of_one_that_was_muted, 0, WIRES);
    tcase_add_loop_test(tc, bad_spawns_are_refused, 0, COUNT(bad_spawns));
    tcase_add_loop_test(tc, abort_is_told_and_not_answered, 0, COUNT(aborts));
    tcase_add_loop_test(tc, unknown_command_is_answered, 0, COUNT(unknown));
    tcase_add_loop_test(tc, breach_is_answered_then_a_fault, 0,
                        COUNT(breaches));
}

int main(void)
{
    return run_suite("server_wires", add_all);
}
