#include "client/talk.h"

#include <errno.h>
#include <limits.h>

/* A server that we have dialled learns who we are, and says it back. */
static int introduce(struct client *client, const struct client_start *start,
                     struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "initack");
    talk_num(client, "pmiid", start->rank);
    if (talk_do(client, "initack", reterr) < 0 ||
        talk_hear(client, "set", reterr) < 0 ||
        talk_number(client, "size", &facts->size, reterr) < 0 ||
        talk_hear(client, "set", reterr) < 0 ||
        talk_number(client, "rank", &facts->rank, reterr) < 0)
        return -1;
    return talk_hear(client, "set", reterr); /* debug= */
}

static int init(struct client *client, struct ct_error *reterr)
{
    long version;

    talk_begin(client, "init");
    talk_num(client, "pmi_version", 1);
    talk_num(client, "pmi_subversion", 1);
    if (talk_do(client, "response_to_init", reterr) < 0)
        return -1;
    /* MPICH 5 answers 1.2, which adds what we do not use */
    if (pmi_msg_number(&client->msg, "pmi_version", 1, 1, &version) < 0)
        return ct_fail(reterr, EREMOTEIO, "the server does not speak PMI-1");
    return 0;
}

static int get_maxes(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "get_maxes");
    if (talk_do(client, "maxes", reterr) < 0 ||
        talk_number(client, "keylen_max", &facts->key_max, reterr) < 0)
        return -1;
    return talk_number(client, "vallen_max", &facts->value_max, reterr);
}

/* A number that one may live without. Only a lost connection is a failure. */
static int get_extra(struct client *client, const char *command,
                     const char *answer, const char *key, int *ret,
                     struct ct_error *reterr)
{
    long number;

    talk_begin(client, command);
    if (talk_do(client, answer, reterr) < 0)
        return client->broken ? -1 : 0;
    if (pmi_msg_number(&client->msg, key, 0, INT_MAX, &number) == 0)
        *ret = (int)number;
    return 0;
}

static int get_kvsname(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "get_my_kvsname");
    if (talk_do(client, "my_kvsname", reterr) < 0)
        return -1;
    return talk_word(client, "kvsname", facts->jobid, sizeof facts->jobid,
                     reterr);
}

static int begin(struct client *client, const struct client_start *start,
                 struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    if (start->dialled && introduce(client, start, reterr) < 0)
        return -1;
    if (facts->size == 0 || facts->rank >= facts->size)
        return ct_fail(reterr, EINVAL, "there is no rank %u of %u", facts->rank,
                       facts->size);
    if (init(client, reterr) < 0 || get_maxes(client, reterr) < 0 ||
        get_extra(client, "get_appnum", "appnum", "appnum", &facts->appnum,
                  reterr) < 0 ||
        get_extra(client, "get_universe_size", "universe_size", "size",
                  &facts->universe_size, reterr) < 0)
        return -1;
    return get_kvsname(client, reterr);
}

static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    talk_begin(client, "put");
    talk_str(client, "kvsname", client->facts.jobid);
    talk_str(client, "key", key);
    talk_str(client, "value", value);
    return talk_do(client, "put_result", reterr);
}

static int fence(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "barrier_in");
    return talk_do(client, "barrier_out", reterr);
}

static int get(struct client *client, const char *key, struct ct_error *reterr)
{
    talk_begin(client, "get");
    talk_str(client, "kvsname", client->facts.jobid);
    talk_str(client, "key", key);
    return talk_ask(client, "get_result", reterr);
}

static int finalize(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "finalize");
    return talk_do(client, "finalize_ack", reterr);
}

static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    talk_begin(client, "abort");
    talk_num(client, "exitcode", exitcode);
    return talk_send(client, reterr);
}

const struct client_wire client_wire_1 = {
    .dialect = &pmi_dialect_1,
    .begin = begin,
    .put = put,
    .fence = fence,
    .get = get,
    .attr = get,
    .finalize = finalize,
    .abort = ask_abort,
};
