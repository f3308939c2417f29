#include "client/talk.h"

#include <errno.h>
#include <limits.h>

static int init(struct client *client, struct ct_error *reterr)
{
    long version;

    talk_begin(client, "init");
    talk_num(client, "pmi_version", 2);
    talk_num(client, "pmi_subversion", 0);
    if (talk_do(client, "response_to_init", reterr) < 0)
        return -1;
    if (pmi_msg_number(&client->msg, "pmi_version", 2, 2, &version) < 0)
        return ct_fail(reterr, EREMOTEIO, "the server does not speak PMI-2");
    client->dialect = &pmi_dialect_2;
    return 0;
}

/* Who we are: the server's word counts for more than the environment's. */
static int read_facts(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;
    long appnum;

    if (pmi_msg_get(&client->msg, "rank") != NULL &&
        talk_number(client, "rank", &facts->rank, reterr) < 0)
        return -1;
    if ((facts->size == 0 || pmi_msg_get(&client->msg, "size") != NULL) &&
        talk_number(client, "size", &facts->size, reterr) < 0)
        return -1;
    if (facts->rank >= facts->size)
        return ct_fail(reterr, EINVAL, "there is no rank %u of %u", facts->rank,
                       facts->size);
    if (pmi_msg_number(&client->msg, "appnum", 0, INT_MAX, &appnum) == 0)
        facts->appnum = (int)appnum;
    return 0;
}

/* Slurm wants all three; Hydra the rank alone, and sets no PMI_JOBID. */
static int fullinit(struct client *client, const struct client_start *start,
                    struct ct_error *reterr)
{
    talk_begin(client, "fullinit");
    if (start->jobid != NULL)
        talk_str(client, "pmijobid", start->jobid);
    talk_num(client, "pmirank", start->rank);
    talk_str(client, "threaded", "FALSE");
    if (talk_do(client, "fullinit-response", reterr) < 0)
        return -1;
    return read_facts(client, reterr);
}

static int get_jobid(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "job-getid");
    if (talk_do(client, "job-getid-response", reterr) < 0)
        return -1;
    return talk_word(client, "jobid", facts->jobid, sizeof facts->jobid,
                     reterr);
}

static int begin(struct client *client, const struct client_start *start,
                 struct ct_error *reterr)
{
    if (init(client, reterr) < 0 || fullinit(client, start, reterr) < 0)
        return -1;
    return get_jobid(client, reterr);
}

static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    talk_begin(client, "kvs-put");
    talk_str(client, "key", key);
    talk_str(client, "value", value);
    return talk_do(client, "kvs-put-response", reterr);
}

/* Hydra ends mpiexec on a jobid other than its own. */
static int get(struct client *client, const char *key, struct ct_error *reterr)
{
    talk_begin(client, "kvs-get");
    talk_str(client, "jobid", client->facts.jobid);
    talk_num(client, "srcid", -1); /* from we do not know whom */
    talk_str(client, "key", key);
    return talk_ask(client, "kvs-get-response", reterr);
}

/*
 * Hydra answers a fence at once, and lets the gets after it wait. So we get
 * what nobody puts, as MPICH does for its barrier.
 */
static int fence(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "kvs-fence");
    if (talk_do(client, "kvs-fence-response", reterr) < 0)
        return -1;
    return get(client, "-NONEXIST-KEY", reterr);
}

static int get_attr(struct client *client, const char *key,
                    struct ct_error *reterr)
{
    talk_begin(client, "info-getjobattr");
    talk_str(client, "key", key);
    return talk_ask(client, "info-getjobattr-response", reterr);
}

static int finalize(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "finalize");
    return talk_do(client, "finalize-response", reterr);
}

/* Old servers know isworld and msg, MPICH from 4.1 on the other two. */
static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    talk_begin(client, "abort");
    talk_str(client, "isworld", "TRUE");
    talk_str(client, "msg", "abort");
    talk_num(client, "exitcode", exitcode);
    talk_str(client, "message", "abort");
    return talk_send(client, reterr);
}

const struct client_wire client_wire_2 = {
    .dialect = &pmi_dialect_2,
    .begin = begin,
    .put = put,
    .fence = fence,
    .get = get,
    .attr = get_attr,
    .finalize = finalize,
    .abort = ask_abort,
};
