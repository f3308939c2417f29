#include "client/client.h"
#include "client/environ.h"
#include "ranks.h"

#include <arpa/inet.h>

/* ---- a server that has said all its answers beforehand ---- */

struct talk {
    int server, fd;
    struct client *client;
    struct ct_error err;
    char heard[8192];
};

static void talk_new(struct talk *talk)
{
    int pair[2];

    memset(talk, 0, sizeof *talk);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    talk->server = pair[0];
    talk->fd = pair[1];
}

static void talk_say(struct talk *talk, const void *bytes, size_t len)
{
    ck_assert_int_eq(
        send(talk->server, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT),
        (ssize_t)len);
}

static void say_line(struct talk *talk, const char *line)
{
    talk_say(talk, line, strlen(line));
}

/* head: "%6zu", or Slurm's "%-6zu" */
static void say_frame(struct talk *talk, const char *head, const char *payload)
{
    char len[16];

    ck_assert_int_eq(head[1] == '-'
                         ? snprintf(len, sizeof len, "%-6zu", strlen(payload))
                         : snprintf(len, sizeof len, "%6zu", strlen(payload)),
                     6);
    say_line(talk, len);
    say_line(talk, payload);
}

/* There will be no more answers; what is missing is an error, not a wait. */
static void hang_up_after(struct talk *talk)
{
    shutdown(talk->server, SHUT_WR);
}

static const char *talk_heard(struct talk *talk)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(talk->server, talk->heard + len,
                     sizeof talk->heard - 1 - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    talk->heard[len] = '\0';
    return talk->heard;
}

static struct client *talk_open(struct talk *talk,
                                const struct pmi_dialect *dialect,
                                const struct client_start *start)
{
    talk->client = client_open(talk->fd, dialect, start, &talk->err);
    if (talk->client != NULL)
        talk->fd = -1;
    return talk->client;
}

static void talk_end(struct talk *talk)
{
    client_close(talk->client);
    close(talk->server);
    if (talk->fd >= 0)
        close(talk->fd);
}

static void expect_error(const struct talk *talk, int code, const char *word)
{
    ck_assert_msg(talk->err.code == code, "%d: %s", talk->err.code,
                  talk->err.text);
    ck_assert_msg(strstr(talk->err.text, word) != NULL, "no '%s' in '%s'", word,
                  talk->err.text);
}

static const struct client_start rank1 = {.rank = 1, .size = 4, .jobid = "7.0"};

/* ---- how real servers spell it ---- */

struct spelling {
    const char *server;
    const char *head; /* PMI-2: of a frame */
    const char *answers[14];
    const char *jobid;
    int appnum, universe_size;
    const char *map;
};

static const struct spelling spellings[] = {
    {"Hydra 3.4",
     NULL,
     {"cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n",
      "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024\n",
      "cmd=appnum appnum=0\n", "cmd=universe_size size=-1\n",
      "cmd=my_kvsname kvsname=kvs_8345_0_6555149_vm\n",
      "cmd=get_result rc=0 msg=success value=(vector,(0,1,1))\n",
      "cmd=put_result rc=0 msg=success\n", "cmd=barrier_out\n",
      "cmd=get_result rc=0 msg=success value=v\n",
      "cmd=get_result rc=-1 msg=key_nope_not_found value=unknown\n",
      "cmd=finalize_ack\n"},
     "kvs_8345_0_6555149_vm",
     0,
     -1,
     "(vector,(0,1,1))"},
    {"Hydra 4.2",
     NULL,
     {"cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n",
      "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024\n",
      "cmd=appnum rc=0 appnum=2\n", "cmd=universe_size rc=0 size=8\n",
      "cmd=my_kvsname rc=0 kvsname=kvs_1_0_2_vm\n",
      "cmd=get_result rc=0 value=(vector,(0,2,2))\n", "cmd=put_result rc=0\n",
      "cmd=barrier_out rc=0\n", "cmd=get_result rc=0 value=v\n",
      "cmd=get_result rc=1\n", "cmd=finalize_ack rc=0\n"},
     "kvs_1_0_2_vm",
     2,
     8,
     "(vector,(0,2,2))"},
    {"Hydra 5.0",
     NULL,
     {"cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=2\n",
      "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024\n",
      "cmd=appnum rc=0 appnum=0\n", "cmd=universe_size rc=0 size=4\n",
      "cmd=my_kvsname rc=0 kvsname=kvs_1_0_2_vm\n",
      "cmd=get_result rc=0 value=(vector,(0,2,2))\n", "cmd=put_result rc=0\n",
      "cmd=barrier_out rc=0 tag=0\n", "cmd=get_result rc=0 value=v\n",
      "cmd=get_result rc=1 msg=key_not_found\n", "cmd=finalize_ack rc=0\n"},
     "kvs_1_0_2_vm",
     0,
     4,
     "(vector,(0,2,2))"},
    {"Slurm, PMI-1",
     NULL,
     {"cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n",
      "cmd=maxes rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024\n",
      "cmd=appnum rc=0 appnum=-1\n", "cmd=universe_size rc=0 size=4\n",
      "cmd=my_kvsname rc=0 kvsname=190.0\n",
      "cmd=get_result rc=0 value=(vector,(0,4,1))\n", "cmd=put_result rc=0\n",
      "cmd=barrier_out rc=0\n", "cmd=get_result rc=0 value=v\n",
      "cmd=get_result rc=1\n", "cmd=finalize_ack rc=0\n"},
     "190.0",
     -1,
     4,
     "(vector,(0,4,1))"},
    {"Flux",
     NULL,
     {"cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n",
      "cmd=maxes rc=0 kvsname_max=64 keylen_max=64 vallen_max=1024\n",
      "cmd=appnum rc=0 appnum=0\n", "cmd=universe_size rc=0 size=4\n",
      "cmd=my_kvsname rc=0 kvsname=f2M4\n", "cmd=get_result rc=4\n",
      "cmd=put_result rc=0\n", "cmd=barrier_out rc=0\n",
      "cmd=get_result rc=0 value=v\n", "cmd=get_result rc=4\n",
      "cmd=finalize_ack rc=0\n"},
     "f2M4",
     0,
     4,
     NULL},
    {"one that tells no extras",
     NULL,
     {"cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n",
      "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024 \n",
      "cmd=get_appnum_result rc=-1 msg=unknown_command\n",
      "cmd=universe_size rc=1\n", "cmd=my_kvsname kvsname=k\n",
      "cmd=get_result rc=-1\n", "cmd=put_result rc=0\n", "cmd=barrier_out\n",
      "cmd=get_result value=v rc=0\n", "cmd=get_result rc=-1\n",
      "cmd=finalize_ack\n"},
     "k",
     -1,
     -1,
     NULL},
    {"Slurm, PMI-2",
     "%-6zu",
     {"cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n",
      "cmd=fullinit-response;rc=0;pmi-version=2;pmi-subversion=0;rank=1;size=4;"
      "appnum=-1;debugged=FALSE;pmiverbose=FALSE;",
      "cmd=job-getid-response;rc=0;jobid=190.0;",
      "cmd=info-getjobattr-response;rc=0;found=TRUE;value=(vector,(0,4,1));",
      "cmd=kvs-put-response;rc=0;", "cmd=kvs-fence-response;rc=0;",
      "cmd=kvs-get-response;rc=0;found=TRUE;value=v;",
      "cmd=kvs-get-response;rc=0;found=FALSE;", "cmd=finalize-response;rc=0;"},
     "190.0",
     -1,
     -1,
     "(vector,(0,4,1))"},
    {"Hydra 4.0, PMI-2",
     "%6zu",
     {"cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n",
      "cmd=fullinit-response;pmi-version=2;pmi-subversion=0;rank=1;size=4;"
      "appnum=0;debugged=FALSE;pmiverbose=FALSE;rc=0;",
      "cmd=job-getid-response;jobid=kvs_1_0_2_vm;rc=0;",
      "cmd=info-getjobattr-response;found=TRUE;value=(vector,(0,1,1));rc=0;",
      "cmd=kvs-put-response;rc=0;", "cmd=kvs-fence-response;rc=0;",
      "cmd=kvs-get-response;found=FALSE;rc=0;",
      "cmd=kvs-get-response;found=TRUE;value=v;rc=0;",
      "cmd=kvs-get-response;found=FALSE;rc=0;", "cmd=finalize-response;rc=0;"},
     "kvs_1_0_2_vm",
     0,
     -1,
     "(vector,(0,1,1))"},
    {"Hydra 4.2, PMI-2",
     "%6zu",
     {"cmd=response_to_init rc=0 pmi_version=2 pmi_subversion=0\n",
      "cmd=fullinit-response;rc=0;rank=1;size=4;appnum=0;pmiverbose=0;",
      "cmd=job-getid-response;rc=0;jobid=kvs_1_0_2_vm;",
      "cmd=info-getjobattr-response;rc=1;errmsg=key_not_found;",
      "cmd=kvs-put-response;rc=0;", "cmd=kvs-fence-response;rc=0;",
      "cmd=kvs-get-response;rc=1;errmsg=key_not_found;",
      "cmd=kvs-get-response;rc=0;found=1;value=v;",
      "cmd=kvs-get-response;rc=0;found=0;", "cmd=finalize-response;rc=0;"},
     "kvs_1_0_2_vm",
     0,
     -1,
     NULL},
    {"one that leaves rank and size out",
     "%6zu",
     {"cmd=response_to_init rc=0 pmi_version=2 pmi_subversion=0\n",
      "cmd=fullinit-response;rc=0;appnum= 3 ;",
      "cmd=job-getid-response;rc=0;jobid=j;",
      "cmd=info-getjobattr-response;rc=0;found=false;",
      "cmd=kvs-put-response;rc= 0;", "cmd=kvs-fence-response;",
      "cmd=kvs-get-response;rc=0;found=false;",
      "cmd=kvs-get-response;rc=0;found=true;value=v;",
      "cmd=kvs-get-response;rc=0;found=False;", "cmd=finalize-response;"},
     "j",
     3,
     -1,
     NULL},
};

static void say_all(struct talk *talk, const struct spelling *as)
{
    for (size_t i = 0; as->answers[i] != NULL; i++)
        if (i == 0 || as->head == NULL)
            say_line(talk, as->answers[i]);
        else
            say_frame(talk, as->head, as->answers[i]);
    hang_up_after(talk);
}

/* Slurm sets PMI_JOBID. */
static struct client_start start_of(const struct spelling *as)
{
    struct client_start start = rank1;

    if (strncmp(as->server, "Slurm", 5) != 0)
        start.jobid = NULL;
    return start;
}

static const struct pmi_dialect *dialect_of(const struct spelling *as)
{
    return as->head == NULL ? &pmi_dialect_1 : &pmi_dialect_2;
}

static void converse(struct talk *talk, const struct spelling *as)
{
    struct client *client = talk->client;
    char buf[64] = "";
    bool found;

    ck_assert_int_eq(client_attr(client, "PMI_process_mapping", buf, sizeof buf,
                                 &found, &talk->err),
                     0);
    ck_assert_int_eq(found, as->map != NULL);
    if (found)
        ck_assert_str_eq(buf, as->map);
    ck_assert_int_eq(client_put(client, "k", "v", &talk->err), 0);
    ck_assert_int_eq(client_fence(client, &talk->err), 0);
    ck_assert_int_eq(
        client_get(client, "k", buf, sizeof buf, &found, &talk->err), 0);
    ck_assert(found);
    ck_assert_str_eq(buf, "v");
    ck_assert_int_eq(
        client_get(client, "nope", buf, sizeof buf, &found, &talk->err), 0);
    ck_assert(!found);
    ck_assert_int_eq(client_finalize(client, &talk->err), 0);
}

START_TEST(every_server_is_understood)
{
    const struct spelling *as = &spellings[_i];
    const struct client_start start = start_of(as);
    const struct client_facts *facts;
    struct talk talk;

    talk_new(&talk);
    say_all(&talk, as);
    ck_assert_msg(talk_open(&talk, dialect_of(as), &start) != NULL, "%s: %s",
                  as->server, talk.err.text);
    facts = client_facts(talk.client);
    ck_assert_str_eq(facts->jobid, as->jobid);
    ck_assert_uint_eq(facts->rank, 1);
    ck_assert_uint_eq(facts->size, 4);
    ck_assert_int_eq(facts->appnum, as->appnum);
    ck_assert_int_eq(facts->universe_size, as->universe_size);
    ck_assert_uint_eq(facts->value_max,
                      start.jobid == NULL || as->head == NULL ? 1024 : 1025);
    converse(&talk, as);
    talk_end(&talk);
}
END_TEST

/* Hydra's fence is none before a get. */
START_TEST(a_fence_of_hydra_waits)
{
    struct client_start start = start_of(&spellings[7]);
    struct talk talk;

    talk_new(&talk);
    say_all(&talk, &spellings[7]);
    ck_assert(talk_open(&talk, &pmi_dialect_2, &start) != NULL);
    converse(&talk, &spellings[7]);
    ck_assert_ptr_nonnull(strstr(
        talk_heard(&talk),
        "    14cmd=kvs-fence;"
        "    58cmd=kvs-get;jobid=kvs_1_0_2_vm;srcid=-1;key=-NONEXIST-KEY;"));
    talk_end(&talk);
}
END_TEST

/* What we say, so that Slurm's parsers like it. */
START_TEST(questions_are_plain)
{
    struct talk talk;

    talk_new(&talk);
    say_all(&talk, &spellings[3]);
    ck_assert(talk_open(&talk, &pmi_dialect_1, &rank1) != NULL);
    converse(&talk, &spellings[3]);
    ck_assert_str_eq(talk_heard(&talk),
                     "cmd=init pmi_version=1 pmi_subversion=1\n"
                     "cmd=get_maxes\n"
                     "cmd=get_appnum\n"
                     "cmd=get_universe_size\n"
                     "cmd=get_my_kvsname\n"
                     "cmd=get kvsname=190.0 key=PMI_process_mapping\n"
                     "cmd=put kvsname=190.0 key=k value=v\n"
                     "cmd=barrier_in\n"
                     "cmd=get kvsname=190.0 key=k\n"
                     "cmd=get kvsname=190.0 key=nope\n"
                     "cmd=finalize\n");
    talk_end(&talk);
}
END_TEST

START_TEST(questions_are_plain_2)
{
    struct talk talk;

    talk_new(&talk);
    say_all(&talk, &spellings[6]);
    ck_assert(talk_open(&talk, &pmi_dialect_2, &rank1) != NULL);
    converse(&talk, &spellings[6]);
    ck_assert_str_eq(talk_heard(&talk),
                     "cmd=init pmi_version=2 pmi_subversion=0\n"
                     "    51cmd=fullinit;pmijobid=7.0;pmirank=1;threaded=FALSE;"
                     "    14cmd=job-getid;"
                     "    44cmd=info-getjobattr;key=PMI_process_mapping;"
                     "    26cmd=kvs-put;key=k;value=v;"
                     "    14cmd=kvs-fence;"
                     "    39cmd=kvs-get;jobid=190.0;srcid=-1;key=k;"
                     "    42cmd=kvs-get;jobid=190.0;srcid=-1;key=nope;"
                     "    13cmd=finalize;");
    talk_end(&talk);
}
END_TEST

/* ---- answers that are none ---- */

static const struct {
    const struct pmi_dialect *dialect;
    const char *answers;
    int code;
    const char *word;
} bad_openings[] = {
    /* nobody there */
    {&pmi_dialect_1, "", ECONNRESET, "closed"},
    {&pmi_dialect_2, "", ECONNRESET, "closed"},
    {&pmi_dialect_1, "cmd=response_to_in", ECONNRESET, "PMI-1 init"},
    /* something else is there */
    {&pmi_dialect_1, "SSH-2.0-x\r\n", EPROTO, "no PMI-1"},
    {&pmi_dialect_1, "x", EPROTO, "no PMI-1"},
    {&pmi_dialect_1, "\n", EPROTO, "no PMI-1"},
    {&pmi_dialect_1, "cmd=\n", EPROTO, "init"},
    {&pmi_dialect_1, "cmd=finalize_ack\n", EPROTO, "finalize_ack"},
    {&pmi_dialect_2, "    10cmd=init;1", EPROTO, "no PMI-1"},
    /* the version is none */
    {&pmi_dialect_1, "cmd=response_to_init rc=-1 msg=go_away\n", EREMOTEIO,
     "go_away (rc=-1)"},
    {&pmi_dialect_1, "cmd=response_to_init rc=what\n", EREMOTEIO, "rc=what"},
    {&pmi_dialect_1, "cmd=response_to_init rc=0\n", EREMOTEIO, "PMI-1"},
    {&pmi_dialect_1, "cmd=response_to_init pmi_version=2 rc=0\n", EREMOTEIO,
     "PMI-1"},
    {&pmi_dialect_2, "cmd=response_to_init pmi_version=1 rc=0\n", EREMOTEIO,
     "PMI-2"},
    /* facts that cannot be */
    {&pmi_dialect_1,
     "cmd=response_to_init pmi_version=1 rc=0\ncmd=maxes vallen_max=9\n",
     EPROTO, "keylen_max"},
    {&pmi_dialect_1,
     "cmd=response_to_init pmi_version=1 rc=0\n"
     "cmd=maxes keylen_max=-5 vallen_max=9\n",
     EPROTO, "keylen_max"},
    {&pmi_dialect_1,
     "cmd=response_to_init pmi_version=1 rc=0\n"
     "cmd=maxes keylen_max=64 vallen_max=99999999999\n",
     EPROTO, "vallen_max"},
    {&pmi_dialect_1,
     "cmd=response_to_init pmi_version=1 rc=0\n"
     "cmd=maxes keylen_max=64 vallen_max=64\n"
     "cmd=appnum rc=1\ncmd=universe_size rc=1\ncmd=my_kvsname kvsname=\n",
     EPROTO, "kvsname"},
#define INIT2 "cmd=response_to_init pmi_version=2 rc=0\n"
    {&pmi_dialect_2, INIT2 "cmd=fu", EPROTO, "no PMI-2"},
    {&pmi_dialect_2, INIT2 "  -10 cmd=x", EPROTO, "no PMI-2"},
    {&pmi_dialect_2, INIT2 "999999cmd=x", EPROTO, "no PMI-2"},
    {&pmi_dialect_2, INIT2 "     0", EPROTO, "no PMI-2"},
    {&pmi_dialect_2, INIT2 "  6000rubbish", EPROTO, "no PMI-2"},
    {&pmi_dialect_2, INIT2 "  6000cmd=fullinit-re", ECONNRESET, "closed"},
    {&pmi_dialect_2, INIT2 "    29cmd=fullinit-response;rc=14;x", EREMOTEIO,
     "rc=14"},
    {&pmi_dialect_2, INIT2 "    41cmd=fullinit-response;rc=0;rank=4;size=4;",
     EINVAL, "rank 4 of 4"},
    {&pmi_dialect_2, INIT2 "    33cmd=fullinit-response;rc=0;rank=x;", EPROTO,
     "rank="},
};

START_TEST(bad_opening)
{
    struct talk talk;

    talk_new(&talk);
    say_line(&talk, bad_openings[_i].answers);
    hang_up_after(&talk);
    ck_assert_ptr_null(talk_open(&talk, bad_openings[_i].dialect, &rank1));
    expect_error(&talk, bad_openings[_i].code, bad_openings[_i].word);
    talk_end(&talk);
}
END_TEST

/* Up to where a test begins; the server's end is still open. */
static void open1(struct talk *talk)
{
    talk_new(talk);
    for (int i = 0; i < 5; i++)
        say_line(talk, spellings[0].answers[i]);
    ck_assert(talk_open(talk, &pmi_dialect_1, &rank1) != NULL);
}

static void open2(struct talk *talk)
{
    talk_new(talk);
    say_line(talk, spellings[6].answers[0]);
    say_frame(talk, "%-6zu", spellings[6].answers[1]);
    say_frame(talk, "%-6zu", spellings[6].answers[2]);
    ck_assert(talk_open(talk, &pmi_dialect_2, &rank1) != NULL);
}

/* There is no answer to wait for. */
START_TEST(abort_is_said)
{
    struct talk talk;

    open1(&talk);
    talk_heard(&talk);
    ck_assert_int_eq(client_abort(talk.client, 5, &talk.err), 0);
    ck_assert_str_eq(talk_heard(&talk), "cmd=abort exitcode=5\n");
    talk_end(&talk);

    open2(&talk);
    talk_heard(&talk);
    ck_assert_int_eq(client_abort(talk.client, 5, &talk.err), 0);
    ck_assert_str_eq(
        talk_heard(&talk),
        "    58cmd=abort;isworld=TRUE;msg=abort;exitcode=5;message=abort;");
    talk_end(&talk);
}
END_TEST

START_TEST(a_no_is_no_end)
{
    struct talk talk;

    open1(&talk);
    say_line(&talk, "cmd=put_result rc=1 msg=kvs_full\n"
                    "cmd=put_result rc=0\n");
    ck_assert_int_eq(client_put(talk.client, "k", "v", &talk.err), -1);
    expect_error(&talk, EREMOTEIO, "PMI-1 put: the server says no: kvs_full");
    ck_assert_int_eq(client_put(talk.client, "k", "v", &talk.err), 0);
    talk_end(&talk);

    open2(&talk);
    say_frame(&talk, "%6zu", "cmd=kvs-fence-response;rc=3;errmsg=a node died;");
    ck_assert_int_eq(client_fence(talk.client, &talk.err), -1);
    expect_error(&talk, EREMOTEIO,
                 "kvs-fence: the server says no: a node died");
    talk_end(&talk);
}
END_TEST

START_TEST(an_end_is_an_end)
{
    struct talk talk;

    open1(&talk);
    say_line(&talk, "cmd=barrier_o");
    hang_up_after(&talk);
    ck_assert_int_eq(client_fence(talk.client, &talk.err), -1);
    expect_error(&talk, ECONNRESET, "barrier_in");
    ck_assert_int_eq(client_finalize(talk.client, &talk.err), -1);
    expect_error(&talk, EPIPE, "finalize");
    talk_end(&talk);
}
END_TEST

/* No SIGPIPE either. */
START_TEST(nobody_listens)
{
    struct talk talk;

    open2(&talk);
    close(talk.server);
    ck_assert_int_eq(client_put(talk.client, "k", "v", &talk.err), -1);
    expect_error(&talk, EPIPE, "kvs-put: cannot send");
    talk_end(&talk);
}
END_TEST

START_TEST(endless_answer)
{
    static char line[PMI_FRAME_MAX];
    struct talk talk;

    memset(line, 'x', sizeof line);
    memcpy(line, "cmd=", 4);
    open1(&talk);
    talk_say(&talk, line, sizeof line); /* and nothing more: it is enough */
    ck_assert_int_eq(client_fence(talk.client, &talk.err), -1);
    expect_error(&talk, EPROTO, "no PMI-1");
    talk_end(&talk);
}
END_TEST

START_TEST(answer_with_nul)
{
    static const char answer[] = "cmd=barrier_out\0 rc=0\n";
    struct talk talk;

    open1(&talk);
    talk_say(&talk, answer, sizeof answer - 1);
    ck_assert_int_eq(client_fence(talk.client, &talk.err), -1);
    expect_error(&talk, EPROTO, "NUL");
    talk_end(&talk);
}
END_TEST

START_TEST(value_that_is_too_long)
{
    struct talk talk;
    bool found = false;
    char buf[4] = "";

    open1(&talk);
    say_line(&talk, "cmd=get_result rc=0 value=1234\n"
                    "cmd=get_result rc=0\n");
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), -1);
    expect_error(&talk, ENOSPC, "too long");
    ck_assert(!found);
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), -1);
    expect_error(&talk, EPROTO, "value=");
    talk_end(&talk);
}
END_TEST

/* Such things are not sent. */
START_TEST(unsendable)
{
    char key[65], value[1025];
    struct talk talk;

    memset(key, 'k', 64);
    memset(value, 'v', 1024);
    key[64] = value[1024] = '\0';
    open1(&talk);
    talk_heard(&talk);
    ck_assert_int_eq(client_put(talk.client, key, "v", &talk.err), -1);
    expect_error(&talk, EMSGSIZE, "key");
    ck_assert_int_eq(client_put(talk.client, "k", value, &talk.err), -1);
    expect_error(&talk, EMSGSIZE, "value");
    value[1023] = '\0'; /* within the limit, but not in a line */
    ck_assert_int_eq(client_publish(talk.client, "k", value, &talk.err), -1);
    expect_error(&talk, EINVAL, "publish_name: too long");
    ck_assert_str_eq(talk_heard(&talk), "");
    say_line(&talk, "cmd=put_result rc=0\n");
    ck_assert_int_eq(client_put(talk.client, "k", "v", &talk.err), 0);
    talk_end(&talk);
}
END_TEST

/* What PMI-1 cannot carry is put, and got back. */
START_TEST(unwieldy_values)
{
    char buf[64];
    struct talk talk;
    bool found;

    open1(&talk);
    talk_heard(&talk);
    say_line(&talk, "cmd=put_result rc=0\ncmd=put_result rc=0\n"
                    "cmd=get_result rc=0 value=%:a%20b%0a%25\n"
                    "cmd=get_result rc=0 value=%:\n");
    ck_assert_int_eq(client_put(talk.client, "k", "a b\n%", &talk.err), 0);
    ck_assert_int_eq(client_put(talk.client, "k", "", &talk.err), 0);
    ck_assert_ptr_nonnull(
        strstr(talk_heard(&talk), " key=k value=%:a%20b%0a%25\n"));
    ck_assert_ptr_nonnull(strstr(talk.heard, " key=k value=%:\n"));
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), 0);
    ck_assert_str_eq(buf, "a b\n%");
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), 0);
    ck_assert_str_eq(buf, "");
    talk_end(&talk);
}
END_TEST

START_TEST(no_size)
{
    struct client_start start = {.rank = 0};
    struct talk talk;

    talk_new(&talk);
    ck_assert_ptr_null(talk_open(&talk, &pmi_dialect_1, &start));
    expect_error(&talk, EINVAL, "rank 0 of 0");
    ck_assert_str_eq(talk_heard(&talk), "");
    talk_end(&talk);
}
END_TEST

/* ---- what else can be asked ---- */

/* ctrun, which has PMI_JOBID and speaks PMI-1.2; an old Hydra; PMI-2. */
enum kind { CTRUN_12, HYDRA_11, SLURM_11, SLURM_2, KINDS };

static void open_as(struct talk *talk, enum kind kind)
{
    struct client_start start = rank1;

    if (kind == SLURM_2) {
        open2(talk);
        talk_heard(talk);
        return;
    }
    start.want_groups = kind == CTRUN_12;
    if (kind == HYDRA_11)
        start.jobid = NULL;
    talk_new(talk);
    say_line(talk, kind == CTRUN_12 ? "cmd=response_to_init pmi_version=1 "
                                      "pmi_subversion=2 rc=0\n"
                                    : spellings[0].answers[0]);
    for (int i = 1; i < 5; i++)
        say_line(talk, spellings[0].answers[i]);
    ck_assert(talk_open(talk, &pmi_dialect_1, &start) != NULL);
    ck_assert(starts_with(talk_heard(talk),
                          kind == CTRUN_12
                              ? "cmd=init pmi_version=1 pmi_subversion=2\n"
                              : "cmd=init pmi_version=1 pmi_subversion=1\n"));
}

#define ASKED(talk, call, said)                                                \
    do {                                                                       \
        ck_assert_msg((call) == 0, "%s", (talk)->err.text);                    \
        ck_assert_str_eq(talk_heard(talk), said);                              \
    } while (0)

/* Refused before anything was said, and no harm done. */
#define REFUSED(talk, call, number)                                            \
    do {                                                                       \
        ck_assert_int_eq(call, -1);                                            \
        ck_assert_msg((talk)->err.code == (number), "%s", (talk)->err.text);   \
        ck_assert_str_eq(talk_heard(talk), "");                                \
    } while (0)

static const char *const some_args[] = {"x", "y"};
static const struct client_pair some_pairs[] = {{"host", "n1"}, {"k", "v"}};
static const struct client_command some_commands[] = {
    {.path = "/bin/a", .maxprocs = 1, .infos = some_pairs, .info_count = 2},
    {.path = "b", .argv = some_args, .argc = 2, .maxprocs = 3},
};
static const struct client_spawn some_spawn = {
    .commands = some_commands,
    .count = 2,
    .preputs = some_pairs,
    .preput_count = 1,
};

START_TEST(spawn_in_blocks)
{
    char jobid[8] = "x";
    int codes[4] = {9, 9, 9, 9};
    struct talk talk;

    open_as(&talk, HYDRA_11);
    say_line(&talk, "cmd=spawn_result rc=0 errcodes=0,-1,x\n"
                    "cmd=barrier_out\n");
    ASKED(&talk,
          client_spawn(talk.client, &some_spawn, jobid, sizeof jobid, codes, 4,
                       &talk.err),
          "mcmd=spawn\nnprocs=1\nexecname=/bin/a\ntotspawns=2\nspawnssofar=1\n"
          "argcnt=0\npreput_num=1\npreput_key_0=host\npreput_val_0=n1\n"
          "info_num=2\ninfo_key_0=host\ninfo_val_0=n1\n"
          "info_key_1=k\ninfo_val_1=v\nendcmd\n"
          "mcmd=spawn\nnprocs=3\nexecname=b\ntotspawns=2\nspawnssofar=2\n"
          "arg1=x\narg2=y\nargcnt=2\n"
          "preput_num=1\npreput_key_0=host\npreput_val_0=n1\n"
          "info_num=0\nendcmd\n");
    ck_assert_str_eq(jobid, "");
    ck_assert(codes[0] == 0 && codes[1] == -1 && codes[2] == 9);
    ck_assert_int_eq(codes[3], 9);
    /* what comes next is a line again */
    ASKED(&talk, client_fence(talk.client, &talk.err), "cmd=barrier_in\n");
    talk_end(&talk);
}
END_TEST

/* An argument with blanks is; a preput's value is not, for it is got in a line.
 */
START_TEST(spawn_with_blanks)
{
    const char *const args[] = {"x y", "=", "a;b"};
    const struct client_pair preput = {"k =", "v w"};
    const struct client_command command = {
        .path = "my prog", .argv = args, .argc = 3, .maxprocs = 1};
    const struct client_spawn spawn = {.commands = &command,
                                       .count = 1,
                                       .preputs = &preput,
                                       .preput_count = 1};
    struct talk talk;

    open_as(&talk, HYDRA_11);
    say_line(&talk, "cmd=spawn_result rc=0\n");
    ASKED(&talk, client_spawn(talk.client, &spawn, NULL, 0, NULL, 0, &talk.err),
          "mcmd=spawn\nnprocs=1\nexecname=my prog\ntotspawns=1\n"
          "spawnssofar=1\narg1=x y\narg2==\narg3=a;b\nargcnt=3\npreput_num=1\n"
          "preput_key_0=%:k%20%3d\npreput_val_0=%:v%20w\ninfo_num=0\n"
          "endcmd\n");
    talk_end(&talk);
}
END_TEST

START_TEST(spawn_in_a_frame)
{
    char jobid[4];
    struct talk talk;

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%6zu", "cmd=spawn-response;rc=0;jobid=8.1;nerrs=0;");
    say_frame(&talk, "%6zu", "cmd=spawn-response;rc=0;");
    say_frame(&talk, "%6zu", "cmd=spawn-response;rc=0;jobid=8.11;");
    say_frame(&talk, "%6zu", "cmd=spawn-response;rc=1;errmsg=no more nodes;");
    ASKED(&talk,
          client_spawn(talk.client, &some_spawn, jobid, sizeof jobid, NULL, 0,
                       &talk.err),
          "   207cmd=spawn;ncmds=2;preputcount=1;ppkey0=host;ppval0=n1;"
          "subcmd=/bin/a;maxprocs=1;argc=0;infokeycount=2;infokey0=host;"
          "infoval0=n1;infokey1=k;infoval1=v;"
          "subcmd=b;maxprocs=3;argc=2;argv0=x;argv1=y;infokeycount=0;");
    ck_assert_str_eq(jobid, "8.1");
    ck_assert_int_eq(client_spawn(talk.client, &some_spawn, jobid, sizeof jobid,
                                  NULL, 0, &talk.err),
                     0);
    ck_assert_str_eq(jobid, "");
    ck_assert_int_eq(client_spawn(talk.client, &some_spawn, jobid, sizeof jobid,
                                  NULL, 0, &talk.err),
                     -1);
    expect_error(&talk, ENOSPC, "spawn");
    ck_assert_int_eq(client_spawn(talk.client, &some_spawn, jobid, sizeof jobid,
                                  NULL, 0, &talk.err),
                     -1);
    expect_error(&talk, EREMOTEIO, "no more nodes");
    talk_end(&talk);
}
END_TEST

/* No block of several is sent when one of them cannot be. */
START_TEST(spawn_that_cannot_be_said)
{
    struct client_command commands[] = {some_commands[0], some_commands[1]};
    const char *const args[] = {"a\nb"};
    struct client_spawn spawn = some_spawn;
    struct talk talk;
    char jobid[8];

    open_as(&talk, (enum kind)_i);
    spawn.commands = commands;
    for (int i = 0; i < 2; i++) {
        commands[i].argv = args;
        commands[i].argc = 1;
        REFUSED(&talk,
                client_spawn(talk.client, &spawn, jobid, sizeof jobid, NULL, 0,
                             &talk.err),
                EINVAL);
        commands[i] = some_commands[i];
    }
    hang_up_after(&talk);
    ck_assert_int_eq(client_fence(talk.client, &talk.err), -1);
    expect_error(&talk, ECONNRESET, _i == SLURM_2 ? "kvs-fence" : "barrier_in");
    talk_end(&talk);
}
END_TEST

START_TEST(attributes_of_the_node)
{
    struct talk talk;
    bool found;
    char buf[16];

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%6zu", "cmd=info-putnodeattr-response;rc=0;");
    say_frame(&talk, "%6zu",
              "cmd=info-getnodeattr-response;rc=0;found=TRUE;value=%:a%3bb;");
    say_frame(&talk, "%6zu", "cmd=info-getnodeattr-response;rc=0;found=FALSE;");
    ASKED(&talk, client_node_put(talk.client, "k", "a;b", &talk.err),
          "    41cmd=info-putnodeattr;key=k;value=%:a%3bb;");
    ASKED(&talk,
          client_node_get(talk.client, "k", true, buf, sizeof buf, &found,
                          &talk.err),
          "    37cmd=info-getnodeattr;key=k;wait=TRUE;");
    ck_assert(found);
    ck_assert_str_eq(buf, "a;b");
    ASKED(&talk,
          client_node_get(talk.client, "l", false, buf, sizeof buf, &found,
                          &talk.err),
          "    38cmd=info-getnodeattr;key=l;wait=FALSE;");
    ck_assert(!found);
    talk_end(&talk);

    open_as(&talk, HYDRA_11); /* which has none: they are keys */
    say_line(&talk, "cmd=get_result rc=0 value=(vector,(3,2,2))\n"
                    "cmd=put_result rc=0\n"
                    "cmd=get_result rc=1\n"
                    "cmd=get_result rc=0 value=%:a%20b\n"
                    "cmd=get_result rc=1\n");
    ASKED(&talk, client_node_put(talk.client, "k", "a b", &talk.err),
          "cmd=get kvsname=kvs_8345_0_6555149_vm key=PMI_process_mapping\n"
          "cmd=put kvsname=kvs_8345_0_6555149_vm key=local::3::k "
          "value=%:a%20b\n");
    ASKED(&talk,
          client_node_get(talk.client, "k", true, buf, sizeof buf, &found,
                          &talk.err),
          "cmd=get kvsname=kvs_8345_0_6555149_vm key=local::3::k\n"
          "cmd=get kvsname=kvs_8345_0_6555149_vm key=local::3::k\n");
    ck_assert(found);
    ck_assert_str_eq(buf, "a b");
    ASKED(&talk,
          client_node_get(talk.client, "l", false, buf, sizeof buf, &found,
                          &talk.err),
          "cmd=get kvsname=kvs_8345_0_6555149_vm key=local::3::l\n");
    ck_assert(!found);
    talk_end(&talk);
}
END_TEST

#define KVS "kvsname=kvs_8345_0_6555149_vm"
#define GET(key) "cmd=get " KVS " key=" key "\n"

static const struct {
    const char *map, *prefix;
} nodes_of_rank1[] = {
    {"rc=0 value=(vector,(0,2,2))", "local::0::"},
    {"rc=0 value=(vector,(0,4,1))", "local::1::"},
    {"rc=1", "local::"},
    {"rc=0 value=nonsense", "local::"},
    {"rc=0 value=(vector,(0,1,1))", "local::0::"}, /* of all, to us */
    {"rc=0 value=(vector,(5,1,1))", "local::"},
};

static const char *joined(char buf[128], const char *before, int i,
                          const char *behind)
{
    snprintf(buf, 128, "%s%s%s", before, nodes_of_rank1[i].prefix, behind);
    return buf;
}

/* PMI-1 has keys for them; which node we are on is asked for once. */
START_TEST(attributes_of_the_node_1)
{
    char text[128], buf[16], answer[128];
    struct talk talk;
    bool found;

    open_as(&talk, HYDRA_11);
    snprintf(answer, sizeof answer, "cmd=get_result %s\n",
             nodes_of_rank1[_i].map);
    say_line(&talk, answer);
    say_line(&talk, "cmd=put_result rc=0\n"
                    "cmd=get_result rc=1\n"
                    "cmd=get_result rc=1\ncmd=get_result rc=1\n"
                    "cmd=get_result rc=0 value=v\n");
    ASKED(&talk, client_node_put(talk.client, "k", "v", &talk.err),
          joined(text, GET("PMI_process_mapping") "cmd=put " KVS " key=", _i,
                 "k value=v\n"));
    ASKED(&talk,
          client_node_get(talk.client, "l", false, buf, sizeof buf, &found,
                          &talk.err),
          joined(text, "cmd=get " KVS " key=", _i, "l\n"));
    ck_assert(!found);
    ck_assert_int_eq(client_node_get(talk.client, "l", true, buf, sizeof buf,
                                     &found, &talk.err),
                     0);
    ck_assert(found);
    ck_assert_str_eq(buf, "v");
    talk_end(&talk);
}
END_TEST

/* A node's name takes some of a key's length: a longer key becomes a number. */
START_TEST(long_attributes_of_the_node_1)
{
    size_t room = PMI_KEY_MAX - 1 - strlen("local::0::");
    char key[PMI_KEY_MAX] = "", buf[16];
    struct talk talk;
    bool found;

    memset(key, 'k', room);
    open_as(&talk, HYDRA_11);
    say_line(&talk, "cmd=get_result rc=0 value=(vector,(0,4,4))\n"
                    "cmd=put_result rc=0\ncmd=put_result rc=0\n"
                    "cmd=get_result rc=0 value=v\n");
    ck_assert_int_eq(client_node_put(talk.client, key, "v", &talk.err), 0);
    ck_assert_ptr_nonnull(strstr(talk_heard(&talk), key));
    key[room] = 'k';
    ASKED(&talk, client_node_put(talk.client, key, "v", &talk.err),
          "cmd=put " KVS " key=local::0::%#fb7616266ff308f7 value=v\n");
    ASKED(&talk,
          client_node_get(talk.client, key, true, buf, sizeof buf, &found,
                          &talk.err),
          GET("local::0::%#fb7616266ff308f7"));
    ck_assert_str_eq(buf, "v");
    talk_end(&talk);
}
END_TEST

START_TEST(names_of_services)
{
    struct talk talk;
    bool found;
    char buf[16];

    open_as(&talk, HYDRA_11);
    say_line(&talk, "cmd=publish_result rc=0\n"
                    "cmd=publish_result rc=0\n"
                    "cmd=lookup_result rc=0 port=%:p%20q\n"
                    "cmd=lookup_result rc=1 port=\n"
                    "cmd=unpublish_result rc=0\n"
                    "cmd=unpublish_result rc=1 msg=not_there\n");
    ASKED(&talk, client_publish(talk.client, "s", "p q", &talk.err),
          "cmd=publish_name service=s port=%:p%20q\n");
    ASKED(&talk, client_publish(talk.client, "s t", "p", &talk.err),
          "cmd=publish_name service=%:s%20t port=p\n");
    ASKED(&talk,
          client_lookup(talk.client, "s", buf, sizeof buf, &found, &talk.err),
          "cmd=lookup_name service=s\n");
    ck_assert(found);
    ck_assert_str_eq(buf, "p q");
    ASKED(&talk,
          client_lookup(talk.client, "t", buf, sizeof buf, &found, &talk.err),
          "cmd=lookup_name service=t\n");
    ck_assert(!found);
    ASKED(&talk, client_unpublish(talk.client, "s", &talk.err),
          "cmd=unpublish_name service=s\n");
    ck_assert_int_eq(client_unpublish(talk.client, "s", &talk.err), -1);
    expect_error(&talk, EREMOTEIO, "not_there");
    talk_end(&talk);
}
END_TEST

/* Hydra says port, Slurm value. */
START_TEST(names_of_services_2)
{
    struct talk talk;
    bool found;
    char buf[16];

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%6zu", "cmd=name-publish-response;rc=0;");
    say_frame(&talk, "%6zu", "cmd=name-lookup-response;rc=0;value=p q;");
    say_frame(&talk, "%6zu", "cmd=name-lookup-response;rc=0;port=p q;");
    say_frame(&talk, "%6zu", "cmd=name-lookup-response;rc=1;");
    say_frame(&talk, "%6zu", "cmd=name-unpublish-response;rc=0;");
    ASKED(&talk, client_publish(talk.client, "s", "p q", &talk.err),
          "    48cmd=name-publish;name=s;port=p q;infokeycount=0;");
    for (int i = 0; i < 2; i++) {
        ASKED(
            &talk,
            client_lookup(talk.client, "s", buf, sizeof buf, &found, &talk.err),
            "    38cmd=name-lookup;name=s;infokeycount=0;");
        ck_assert(found);
        ck_assert_str_eq(buf, "p q");
    }
    ck_assert_int_eq(
        client_lookup(talk.client, "s", buf, sizeof buf, &found, &talk.err), 0);
    ck_assert(!found);
    talk_heard(&talk);
    ASKED(&talk, client_unpublish(talk.client, "s", &talk.err),
          "    41cmd=name-unpublish;name=s;infokeycount=0;");
    talk_end(&talk);
}
END_TEST

static int group_barrier(struct talk *talk, enum client_group kind,
                         size_t count)
{
    static const int ranks[2000] = {0, 2, 1000000};

    return client_barrier_group(talk->client, kind, ranks, count, "tag",
                                &talk->err);
}

#define MEETS(talk, kind, count, said)                                         \
    do {                                                                       \
        say_line(talk, "cmd=barrier_out rc=0 tag=tag\n");                      \
        ASKED(talk, group_barrier(talk, kind, count), said);                   \
    } while (0)

START_TEST(barriers_of_groups)
{
    struct talk talk;

    open_as(&talk, CTRUN_12);
    ck_assert(client_facts(talk.client)->groups);
    MEETS(&talk, CLIENT_GROUP_WORLD, 0, "cmd=barrier_in group=WORLD:tag\n");
    MEETS(&talk, CLIENT_GROUP_NODE, 0, "cmd=barrier_in group=NODE:tag\n");
    MEETS(&talk, CLIENT_GROUP_LIST, 1, "cmd=barrier_in group=0:tag\n");
    MEETS(&talk, CLIENT_GROUP_LIST, 3,
          "cmd=barrier_in group=0,2,1000000:tag\n");
    REFUSED(&talk, group_barrier(&talk, CLIENT_GROUP_LIST, 2000), EMSGSIZE);
    REFUSED(&talk, group_barrier(&talk, CLIENT_GROUP_LIST, 1010), EINVAL);
    say_line(&talk, "cmd=barrier_out rc=0 tag=0\n");
    ASKED(&talk, client_fence(talk.client, &talk.err), "cmd=barrier_in\n");
    talk_end(&talk);
}
END_TEST

/* All ranks can wait for each other anywhere. */
START_TEST(barriers_without_groups)
{
    struct talk talk;

    open_as(&talk, (enum kind)_i);
    ck_assert(!client_facts(talk.client)->groups);
    REFUSED(&talk, group_barrier(&talk, CLIENT_GROUP_LIST, 2), ENOTSUP);
    REFUSED(&talk, group_barrier(&talk, CLIENT_GROUP_NODE, 0), ENOTSUP);
    if (_i == SLURM_2) {
        say_frame(&talk, "%6zu", "cmd=kvs-fence-response;rc=0;");
        ASKED(&talk, group_barrier(&talk, CLIENT_GROUP_WORLD, 0),
              "    14cmd=kvs-fence;");
    } else {
        say_line(&talk, "cmd=barrier_out\n");
        ASKED(&talk, group_barrier(&talk, CLIENT_GROUP_WORLD, 0),
              "cmd=barrier_in\n");
    }
    talk_end(&talk);
}
END_TEST

/* A server that was not asked for 1.2 may still answer so. */
START_TEST(groups_are_told_by_the_server)
{
    struct talk talk;

    talk_new(&talk);
    for (int i = 0; i < 5; i++)
        say_line(&talk, spellings[2].answers[i]);
    ck_assert(talk_open(&talk, &pmi_dialect_1, &rank1) != NULL);
    talk_heard(&talk);
    say_line(&talk, "cmd=barrier_out rc=0 tag=tag\n");
    ASKED(&talk, group_barrier(&talk, CLIENT_GROUP_NODE, 0),
          "cmd=barrier_in group=NODE:tag\n");
    talk_end(&talk);
}
END_TEST

START_TEST(connected_jobs)
{
    struct client_source from = {.jobid = "8.0", .rank = 3};
    struct talk talk;
    bool found;
    char buf[16];

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%6zu", "cmd=job-connect-response;rc=0;kvscopy=FALSE;");
    say_frame(&talk, "%6zu", "cmd=kvs-get-response;rc=0;found=TRUE;value=v;");
    say_frame(&talk, "%6zu", "cmd=job-disconnect-response;rc=0;");
    ASKED(&talk, client_connect(talk.client, "8.0", &talk.err),
          "    26cmd=job-connect;jobid=8.0;");
    ASKED(&talk,
          client_get_from(talk.client, &from, "k", buf, sizeof buf, &found,
                          &talk.err),
          "    36cmd=kvs-get;jobid=8.0;srcid=3;key=k;");
    ASKED(&talk, client_disconnect(talk.client, "8.0", &talk.err),
          "    29cmd=job-disconnect;jobid=8.0;");
    talk_end(&talk);

    open_as(&talk, HYDRA_11);
    REFUSED(&talk, client_connect(talk.client, "8.0", &talk.err), ENOTSUP);
    REFUSED(&talk, client_disconnect(talk.client, "8.0", &talk.err), ENOTSUP);
    say_line(&talk, "cmd=get_result rc=0 value=v\n");
    ASKED(&talk,
          client_get_from(talk.client, &from, "k", buf, sizeof buf, &found,
                          &talk.err),
          "cmd=get kvsname=8.0 key=k\n");
    talk_end(&talk);
}
END_TEST

/* ---- an init after a finalize ---- */

START_TEST(begun_anew)
{
    struct talk talk;

    open_as(&talk, (enum kind)_i);
    say_line(&talk, "cmd=finalize_ack\n");
    ASKED(&talk, client_finalize(talk.client, &talk.err), "cmd=finalize\n");
    for (int i = 0; i < 5; i++)
        say_line(&talk, spellings[1].answers[i]); /* which are others now */
    ck_assert_int_eq(client_reopen(talk.client, &talk.err), 0);
    ck_assert(starts_with(talk_heard(&talk),
                          _i == CTRUN_12
                              ? "cmd=init pmi_version=1 pmi_subversion=2\n"
                              : "cmd=init pmi_version=1 pmi_subversion=1\n"));
    ck_assert_str_eq(client_facts(talk.client)->jobid, "kvs_1_0_2_vm");
    ck_assert_uint_eq(client_facts(talk.client)->rank, 1);
    ck_assert_uint_eq(client_facts(talk.client)->size, 4);
    ck_assert_int_eq(client_facts(talk.client)->universe_size, 8);
    REFUSED(&talk, group_barrier(&talk, CLIENT_GROUP_NODE, 0), ENOTSUP);
    say_line(&talk, "cmd=put_result rc=0\n");
    ASKED(&talk, client_put(talk.client, "k", "v", &talk.err),
          "cmd=put kvsname=kvs_1_0_2_vm key=k value=v\n");
    talk_end(&talk);
}
END_TEST

/* It begins in PMI-1's words, with the same PMI_JOBID. */
START_TEST(begun_anew_2)
{
    struct talk talk;

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%-6zu", "cmd=finalize-response;rc=0;");
    ASKED(&talk, client_finalize(talk.client, &talk.err),
          "    13cmd=finalize;");
    say_line(&talk, spellings[6].answers[0]);
    say_frame(&talk, "%-6zu", spellings[6].answers[1]);
    say_frame(&talk, "%-6zu", spellings[6].answers[2]);
    ASKED(&talk, client_reopen(talk.client, &talk.err),
          "cmd=init pmi_version=2 pmi_subversion=0\n"
          "    51cmd=fullinit;pmijobid=7.0;pmirank=1;threaded=FALSE;"
          "    14cmd=job-getid;");
    talk_end(&talk);
}
END_TEST

/* A server that does not allow it. */
START_TEST(not_begun_anew)
{
    struct talk talk;

    open_as(&talk, SLURM_2);
    say_frame(&talk, "%-6zu", "cmd=finalize-response;rc=0;");
    ck_assert_int_eq(client_finalize(talk.client, &talk.err), 0);
    hang_up_after(&talk);
    ck_assert_int_eq(client_reopen(talk.client, &talk.err), -1);
    expect_error(&talk, ECONNRESET, "PMI-1 init");
    ck_assert_int_eq(client_reopen(talk.client, &talk.err), -1);
    expect_error(&talk, EPIPE, "broken");
    talk_end(&talk);
}
END_TEST

/* ---- how long a question may be ---- */

/* What is put, and what a server of PMI-1 then has. */
struct kept {
    int count;
    struct {
        char key[PMI_KEY_MAX], text[PMI_VALUE_MAX];
    } pairs[16];
};

static void keep(struct talk *talk, struct kept *ret)
{
    char *line = (char *)(uintptr_t)talk_heard(talk), *end;

    for (ret->count = 0; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        ck_assert_int_le(end + 1 - line, 1024);
        ck_assert_int_lt(ret->count, COUNT(ret->pairs));
        ck_assert_int_eq(sscanf(line, "cmd=put " KVS " key=%63s value=%1023s",
                                ret->pairs[ret->count].key,
                                ret->pairs[ret->count].text),
                         2);
        ret->count++;
    }
}

static void put_pieces(struct talk *talk, const char *key, const char *value,
                       struct kept *ret)
{
    for (int i = 0; i < COUNT(ret->pairs); i++)
        say_line(talk, "cmd=put_result rc=0\n");
    ck_assert_msg(client_put(talk->client, key, value, &talk->err) == 0, "%s",
                  talk->err.text);
    keep(talk, ret);
    ck_assert_int_ge(ret->count, 1);
}

/* The first was put last, and is got first. */
static void say_pieces(struct talk *talk, const struct kept *kept, int count)
{
    char line[2048];

    for (int i = kept->count - 1; i >= kept->count - count; i--) {
        snprintf(line, sizeof line, "cmd=get_result rc=0 value=%s\n",
                 kept->pairs[i].text);
        say_line(talk, line);
    }
}

/* Slurm takes 1024 bytes, of which one is the line's end or its own. */
START_TEST(lines_for_slurm)
{
    static const char rest[] = "cmd=put kvsname=kvs_8345_0_6555149_vm key=k "
                               "value=\n";
    char value[PMI_VALUE_MAX] = "";
    struct kept kept;
    struct talk talk;

    memset(value, 'v', 1024 - strlen(rest));
    open_as(&talk, SLURM_11);
    put_pieces(&talk, "k", value, &kept);
    ck_assert_int_eq(kept.count, 1);
    talk_end(&talk);

    strcat(value, "v");
    open_as(&talk, SLURM_11);
    put_pieces(&talk, "k", value, &kept);
    ck_assert_int_eq(kept.count, 2);
    talk_end(&talk);
}
END_TEST

static const char *const fills[] = {"v", " ", "%", "\\", "a \n\\"};

/* The longest value, whatever is in it, under the longest key. */
START_TEST(values_in_pieces)
{
    char key[PMI_KEY_MAX] = "", value[PMI_VALUE_MAX] = "", buf[PMI_VALUE_MAX];
    struct kept kept;
    struct talk talk;
    bool found;

    for (size_t i = 0; i < sizeof value - 1; i++)
        value[i] = fills[_i][i % strlen(fills[_i])];
    memset(key, ' ', sizeof key - 1);
    open_as(&talk, SLURM_11);
    put_pieces(&talk, key, value, &kept);
    ck_assert_int_ge(kept.count, 2);
    talk_end(&talk);

    open_as(&talk, SLURM_11);
    say_pieces(&talk, &kept, kept.count);
    ck_assert_msg(
        client_get(talk.client, key, buf, sizeof buf, &found, &talk.err) == 0,
        "%s", talk.err.text);
    ck_assert(found);
    ck_assert_str_eq(buf, value);
    /* in the order of the asking */
    for (int i = 0; i < kept.count; i++)
        ck_assert_ptr_nonnull(
            strstr(i == 0 ? talk_heard(&talk) : talk.heard, kept.pairs[i].key));
    talk_end(&talk);
}
END_TEST

/* One of them is not there, or does not end. */
START_TEST(pieces_that_are_lacking)
{
    char value[PMI_VALUE_MAX] = "", buf[PMI_VALUE_MAX];
    struct kept kept;
    struct talk talk;
    bool found;

    memset(value, ' ', sizeof value - 1);
    open_as(&talk, SLURM_11);
    put_pieces(&talk, "k", value, &kept);
    ck_assert_int_ge(kept.count, 3);
    talk_end(&talk);

    open_as(&talk, SLURM_11);
    say_pieces(&talk, &kept, kept.count - 1);
    say_line(&talk, "cmd=get_result rc=1\ncmd=barrier_out rc=0\n");
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), -1);
    expect_error(&talk, EPROTO, "is not there");
    ck_assert_int_eq(client_fence(talk.client, &talk.err), 0);
    for (int i = 0; i < 5; i++)
        say_pieces(&talk, &kept, 1);
    ck_assert_int_eq(
        client_get(talk.client, "k", buf, sizeof buf, &found, &talk.err), -1);
    expect_error(&talk, EPROTO, "too long");
    talk_end(&talk);
}
END_TEST

START_TEST(lines_for_others)
{
    char key[PMI_KEY_MAX], value[PMI_VALUE_MAX];
    struct talk talk;

    open_as(&talk, (enum kind)_i);
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value);
    key[sizeof key - 1] = value[sizeof value - 1] = '\0';
    say_line(&talk, "cmd=put_result rc=0\n");
    ck_assert_int_eq(client_put(talk.client, key, value, &talk.err), 0);
    ck_assert_ptr_nonnull(strstr(talk_heard(&talk), value));
    talk_end(&talk);
}
END_TEST

/* PMI-2 has no such limit, at Slurm neither. */
START_TEST(frames_are_long)
{
    char value[PMI_VALUE_MAX];
    struct talk talk;

    open_as(&talk, SLURM_2);
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    say_frame(&talk, "%6zu", "cmd=kvs-put-response;rc=0;");
    ck_assert_int_eq(client_put(talk.client, "k", value, &talk.err), 0);
    ck_assert(starts_with(talk_heard(&talk), "  1048cmd=kvs-put;key=k;value="));
    talk_end(&talk);
}
END_TEST

/* ---- nobody ---- */

START_TEST(alone)
{
    struct ct_error err = {0};
    struct client *client = client_open_alone(&err);
    const struct client_source other = {.jobid = "8.0", .rank = 0};
    char buf[8];
    bool found = true;

    ck_assert_ptr_nonnull(client);
    ck_assert_str_eq(client_name(client), "nobody");
    ck_assert_int_eq(client_get(client, "k", buf, sizeof buf, &found, &err), 0);
    ck_assert(!found);
    ck_assert_int_eq(client_put(client, "k", "12345678", &err), 0);
    ck_assert_int_eq(client_get(client, "k", buf, sizeof buf, &found, &err),
                     -1);
    ck_assert_int_eq(err.code, ENOSPC);
    ck_assert_int_eq(
        client_get_from(client, &other, "k", buf, sizeof buf, &found, &err),
        -1);
    ck_assert_int_eq(err.code, EREMOTEIO);
    ck_assert_int_eq(
        client_node_get(client, "never", true, buf, sizeof buf, &found, &err),
        -1);
    ck_assert_int_eq(err.code, EDEADLK);
    ck_assert_int_eq(
        client_node_get(client, "never", false, buf, sizeof buf, &found, &err),
        0);
    ck_assert(!found);
    ck_assert_int_eq(
        client_spawn(client, &some_spawn, buf, sizeof buf, NULL, 0, &err), -1);
    ck_assert_int_eq(err.code, ENOTSUP);
    ck_assert_int_eq(client_connect(client, "8.0", &err), -1);
    ck_assert_int_eq(err.code, ENOTSUP);
    ck_assert_int_eq(client_finalize(client, &err), 0);
    ck_assert_int_eq(client_reopen(client, &err), 0);
    client_close(client);
    client_close(NULL);
}
END_TEST

/* ---- pieces ---- */

/* In another process: say all, a byte at a time. */
static pid_t dribble(struct talk *talk, const struct spelling *as)
{
    struct talk all;
    pid_t pid = fork();
    char byte;

    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    talk_new(&all);
    say_all(&all, as);
    while (read(all.fd, &byte, 1) == 1)
        if (send(talk->server, &byte, 1, MSG_NOSIGNAL) != 1)
            _exit(1);
    _exit(0);
}

START_TEST(answers_in_pieces)
{
    const struct spelling *as = &spellings[_i];
    const struct client_start start = start_of(as);
    struct talk talk;
    pid_t pid;

    talk_new(&talk);
    fcntl(talk.fd, F_SETFL, O_NONBLOCK); /* and nobody minds */
    pid = dribble(&talk, as);
    ck_assert_msg(talk_open(&talk, dialect_of(as), &start) != NULL, "%s",
                  talk.err.text);
    converse(&talk, as);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    talk_end(&talk);
}
END_TEST

static void nothing(int sig)
{
    (void)sig;
}

/* Signals that interrupt, all the time. */
START_TEST(interrupted)
{
    struct sigaction action = {.sa_handler = nothing};
    struct talk talk;
    pid_t parent = getpid(), pid;

    sigaction(SIGUSR1, &action, NULL);
    open1(&talk);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 50; i++) {
            kill(parent, SIGUSR1);
            usleep(1000);
        }
        say_line(&talk, "cmd=barrier_out\n");
        _exit(0);
    }
    ck_assert_int_eq(client_fence(talk.client, &talk.err), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    talk_end(&talk);
}
END_TEST

/* ---- a server that is dialled ---- */

static int listen_somewhere(char *address, size_t size)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
    snprintf(address, size, "127.0.0.1:%u", ntohs(here.sin_port));
    return fd;
}

START_TEST(dialled)
{
    const struct client_start start = {.rank = 2, .dialled = true};
    const struct client_facts *facts;
    struct talk talk = {.client = NULL};
    char address[64];
    int listener = listen_somewhere(address, sizeof address);

    talk.fd = client_dial(address, &talk.err);
    ck_assert_int_ge(talk.fd, 0);
    talk.server = accept(listener, NULL, NULL);
    say_line(&talk, "cmd=initack\ncmd=set size=9\ncmd=set rank=2\n"
                    "cmd=set debug=0\n");
    for (int i = 0; i < 5; i++)
        say_line(&talk, spellings[0].answers[i]);
    ck_assert(talk_open(&talk, &pmi_dialect_1, &start) != NULL);
    facts = client_facts(talk.client);
    ck_assert_uint_eq(facts->rank, 2);
    ck_assert_uint_eq(facts->size, 9);
    ck_assert(starts_with(talk_heard(&talk), "cmd=initack pmiid=2\ncmd=init "));
    talk_end(&talk);
    close(listener);
}
END_TEST

START_TEST(dialled_wrongly)
{
    static const char *const addresses[] = {"",   ":",  "x",
                                            "x:", ":1", "127.0.0.1:x"};
    struct talk talk = {.client = NULL};
    char address[64];
    int listener = listen_somewhere(address, sizeof address);

    for (int i = 0; i < COUNT(addresses); i++)
        ck_assert_int_eq(client_dial(addresses[i], &talk.err), -1);
    close(listener);
    ck_assert_int_eq(client_dial(address, &talk.err), -1);
    expect_error(&talk, ECONNREFUSED, address);
}
END_TEST

/* ---- the environment ---- */

static const struct {
    const char *env[6];
    int code; /* 0: good */
    const char *word;
} environs[] = {
    {{"PMI_RANK=1", NULL}, ENOENT, "PMI_FD is not set"},
    {{"PMI_FD=", "PMI_RANK=1", NULL}, EINVAL, "PMI_FD is ''"},
    {{"PMI_FD=-1", "PMI_RANK=1", NULL}, EINVAL, "no number"},
    {{"PMI_FD=4000", "PMI_RANK=1", NULL}, EBADF, "not open"},
    {{"PMI_FD=201", "PMI_RANK=1", NULL}, EBADF, "no socket"},
    {{"PMI_FD=200", NULL}, ENOENT, "PMI_RANK is not set"},
    {{"PMI_FD=200", "PMI_RANK=x", NULL}, EINVAL, "PMI_RANK is 'x'"},
    {{"PMI_FD=200", "PMI_RANK=1", "PMI_SIZE=", NULL}, EINVAL, "PMI_SIZE"},
    {{"PMI_FD=200", "PMI_RANK=1", "PMI_ID=2", NULL}, 0, "1 of 0 at fd"},
    {{"PMI_FD=200", "PMI_ID=2", "PMI_SIZE=3", NULL}, 0, "2 of 3 at fd"},
    {{"PMI_FD=200", "PMI_ID=2", "PMI_PORT=h:1", NULL}, 0, "2 of 0 at fd"},
    {{"PMI_PORT=h:1", NULL}, ENOENT, "PMI_PORT is set, but PMI_ID is not"},
    {{"PMI_PORT=h:1", "PMI_ID=2", "PMI_RANK=1", NULL}, 0, "2 of 0 at h:1"},
};

START_TEST(environment)
{
    char *const *env = (char *const *)environs[_i].env;
    struct client_environ found;
    struct talk talk;
    char text[64];

    talk_new(&talk);
    ck_assert_int_eq(dup2(talk.fd, 200), 200);
    ck_assert_int_eq(dup2(open("/dev/null", O_RDONLY), 201), 201);
    if (client_environ_read(env, &found, &talk.err) < 0) {
        expect_error(&talk, environs[_i].code, environs[_i].word);
    } else {
        ck_assert_int_eq(environs[_i].code, 0);
        snprintf(text, sizeof text, "%u of %u at %s", found.rank, found.size,
                 found.fd == 200 ? "fd" : found.address);
        ck_assert_str_eq(text, environs[_i].word);
    }
    talk_end(&talk);
}
END_TEST

/* ---- with our own server ---- */

static void talk_as_rank(const struct pmi_dialect *dialect, unsigned rank,
                         unsigned size, int fd)
{
    struct client_start start = {.rank = rank, .size = size};
    struct ct_error err = {0};
    struct client *client = client_open(fd, dialect, &start, &err);
    char key[16], value[64];
    bool found;

    ck_assert_msg(client != NULL, "%s", err.text);
    ck_assert_str_eq(client_facts(client)->jobid, "7.0");
    ck_assert_uint_eq(client_facts(client)->size, size);
    for (unsigned round = 0; round < 3; round++) {
        snprintf(key, sizeof key, "k%u-%u", round, rank);
        ck_assert_int_eq(client_put(client, key, key, &err), 0);
        ck_assert_int_eq(client_fence(client, &err), 0);
        for (unsigned r = 0; r < size; r++) {
            snprintf(key, sizeof key, "k%u-%u", round, r);
            ck_assert_int_eq(
                client_get(client, key, value, sizeof value, &found, &err), 0);
            ck_assert(found);
            ck_assert_str_eq(value, key);
        }
    }
    ck_assert_int_eq(client_attr(client, "PMI_process_mapping", value,
                                 sizeof value, &found, &err),
                     0);
    ck_assert(found);
    ck_assert(starts_with(value, "(vector,(0,1,"));
    ck_assert_int_eq(client_finalize(client, &err), 0);
    client_close(client);
}

/* Ranks of one job may speak different dialects. */
static void any_rank(unsigned rank, unsigned size, int fd)
{
    talk_as_rank(rank % 2 == 0 ? &pmi_dialect_1 : &pmi_dialect_2, rank, size,
                 fd);
}

START_TEST(real_conversation)
{
    struct host *host = host_new(5);

    ranks_run(host, any_rank);
    ck_assert_uint_eq(host->faults, 0);
    for (unsigned i = 0; i < host->count; i++)
        ck_assert_int_eq(ctpmi_client_state(host->ranks[i].client),
                         CTPMI_FINALIZED);
    host_free(host);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, every_server_is_understood, 0, COUNT(spellings));
    tcase_add_test(tc, questions_are_plain);
    tcase_add_test(tc, questions_are_plain_2);
    tcase_add_loop_test(tc, bad_opening, 0, COUNT(bad_openings));
    tcase_add_test(tc, abort_is_said);
    tcase_add_test(tc, a_no_is_no_end);
    tcase_add_test(tc, an_end_is_an_end);
    tcase_add_test(tc, nobody_listens);
    tcase_add_test(tc, endless_answer);
    tcase_add_test(tc, answer_with_nul);
    tcase_add_test(tc, value_that_is_too_long);
    tcase_add_test(tc, unsendable);
    tcase_add_test(tc, unwieldy_values);
    tcase_add_test(tc, a_fence_of_hydra_waits);
    tcase_add_test(tc, spawn_in_blocks);
    tcase_add_test(tc, spawn_with_blanks);
    tcase_add_test(tc, spawn_in_a_frame);
    tcase_add_loop_test(tc, spawn_that_cannot_be_said, 0, KINDS);
    tcase_add_test(tc, attributes_of_the_node);
    tcase_add_loop_test(tc, attributes_of_the_node_1, 0, COUNT(nodes_of_rank1));
    tcase_add_test(tc, long_attributes_of_the_node_1);
    tcase_add_test(tc, names_of_services);
    tcase_add_test(tc, names_of_services_2);
    tcase_add_test(tc, barriers_of_groups);
    tcase_add_loop_test(tc, barriers_without_groups, HYDRA_11, KINDS);
    tcase_add_test(tc, groups_are_told_by_the_server);
    tcase_add_test(tc, connected_jobs);
    tcase_add_loop_test(tc, begun_anew, 0, SLURM_2);
    tcase_add_test(tc, begun_anew_2);
    tcase_add_test(tc, not_begun_anew);
    tcase_add_test(tc, lines_for_slurm);
    tcase_add_loop_test(tc, values_in_pieces, 0, COUNT(fills));
    tcase_add_test(tc, pieces_that_are_lacking);
    tcase_add_loop_test(tc, lines_for_others, 0, SLURM_11);
    tcase_add_test(tc, frames_are_long);
    tcase_add_test(tc, alone);
    tcase_add_test(tc, no_size);
    tcase_add_loop_test(tc, answers_in_pieces, 0, COUNT(spellings));
    tcase_add_test(tc, interrupted);
    tcase_add_test(tc, dialled);
    tcase_add_test(tc, dialled_wrongly);
    tcase_add_loop_test(tc, environment, 0, COUNT(environs));
    tcase_add_test(tc, real_conversation);
}

int main(void)
{
    return run_suite("client", add_tests);
}
