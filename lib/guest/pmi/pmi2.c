/*
 * The commands of PMI-2, a row each. Every reply has what all clients together
 * want: booleans as TRUE and FALSE, all three keys of fullinit, a looked-up
 * name as both `value` (libpmi2, MPICH <= 4.0) and `port` (MPICH >= 4.1).
 */
#include "guest/pmi/server.h"

#include <errno.h>

static void begin(struct call *call, const char *reply, long rc)
{
    const struct ct_span *thrid = call_thrid(call);

    call->dialect->begin(call->out, reply);
    if (thrid != NULL)
        call->dialect->add(call->out, "thrid", *thrid);
    pmi_add_num(call->dialect, call->out, "rc", rc);
}

static void end(struct call *call)
{
    call->dialect->end(call->out);
}

static int ack(struct call *call, const char *reply)
{
    begin(call, reply, 0);
    end(call);
    return 0;
}

/* A refusal that is an answer, not a breach: the client goes on. */
static int refuse(struct call *call, const char *reply, const char *reason)
{
    begin(call, reply, 1);
    pmi_add_str(call->dialect, call->out, "errmsg", reason);
    end(call);
    return 0;
}

static unsigned owner(const struct call *call)
{
    return (unsigned)job_local_index(call->client->job, call->client->rank);
}

/* The answer to a `get` of any kind. */
static int answer_value(struct call *call, const char *reply,
                        const struct ct_span *value)
{
    begin(call, reply, 0);
    pmi_add_str(call->dialect, call->out, "found", value ? "TRUE" : "FALSE");
    if (value != NULL)
        call->dialect->add(call->out, "value", *value);
    end(call);
    return 0;
}

static int on_fullinit(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    struct ctpmi_job *job = client->job;
    long rank;

    if (pmi_msg_number(call->msg, "pmirank", 0, INT32_MAX, &rank) == 0 &&
        rank != (long)client->rank)
        return ct_fail(reterr, EPROTO, "pmirank is %ld, this is rank %u", rank,
                       client->rank);
    session_begin(client, &pmi_dialect_2);
    begin(call, "fullinit-response", 0);
    pmi_add_num(call->dialect, call->out, "pmi-version", 2);
    pmi_add_num(call->dialect, call->out, "pmi-subversion", 0);
    pmi_add_num(call->dialect, call->out, "rank", client->rank);
    pmi_add_num(call->dialect, call->out, "size", job->size);
    pmi_add_num(call->dialect, call->out, "appnum", job->appnum[client->rank]);
    pmi_add_str(call->dialect, call->out, "debugged", "FALSE");
    pmi_add_str(call->dialect, call->out, "pmiverbose", "FALSE");
    if (job->spawner != NULL)
        pmi_add_str(call->dialect, call->out, "spawner-jobid", job->spawner);
    end(call);
    return 0;
}

static int on_job_getid(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "job-getid-response", 0);
    pmi_add_str(call->dialect, call->out, "jobid", call->client->job->jobid);
    end(call);
    return 0;
}

static int on_putnodeattr(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    struct ct_span key, value;

    if (call_text(call, "key", PMI_KEY_MAX, &key, reterr) < 0 ||
        call_text(call, "value", PMI_VALUE_MAX, &value, reterr) < 0 ||
        kvs_put(job->attrs, owner(call), key, value, reterr) < 0)
        return -1;
    ack(call, "info-putnodeattr-response");
    attr_announce(job, key, value);
    return 0;
}

static int on_getnodeattr(struct call *call, struct ct_error *reterr)
{
    const struct ct_span *wait = pmi_msg_get(call->msg, "wait");
    struct ct_span key, value;

    if (call_text(call, "key", PMI_KEY_MAX, &key, reterr) < 0)
        return -1;
    if (kvs_get(call->client->job->attrs, key, &value) == 0)
        return answer_value(call, "info-getnodeattr-response", &value);
    if (wait == NULL || !ct_span_is(*wait, "TRUE"))
        return answer_value(call, "info-getnodeattr-response", NULL);
    return attr_await(call, key, reterr);
}

static int on_getjobattr(struct call *call, struct ct_error *reterr)
{
    struct ct_span key, value;
    char buf[32];

    if (call_text(call, "key", PMI_FRAME_MAX, &key, reterr) < 0)
        return -1;
    const char *fact = job_attribute(call->client->job, key, buf, sizeof buf);
    if (fact == NULL)
        return answer_value(call, "info-getjobattr-response", NULL);
    value = ct_span_str(fact);
    return answer_value(call, "info-getjobattr-response", &value);
}

static int on_kvs_put(struct call *call, struct ct_error *reterr)
{
    struct kvs *kvs = call->client->job->kvs;
    struct ct_span key, value;

    if (call_text(call, "key", PMI_KEY_MAX, &key, reterr) < 0 ||
        call_text(call, "value", PMI_VALUE_MAX, &value, reterr) < 0)
        return -1;
    if (key_is_reserved(key))
        return refuse(call, "kvs-put-response", "reserved_key");
    if (kvs_put(kvs, owner(call), key, value, reterr) < 0)
        return -1;
    return ack(call, "kvs-put-response");
}

/* jobid may be absent (NVSHMEM); srcid is a hint that we do not need. */
static int on_kvs_get(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    const struct ct_span *jobid = pmi_msg_get(call->msg, "jobid");
    struct ct_span key, value;

    if (call_text(call, "key", PMI_FRAME_MAX, &key, reterr) < 0)
        return -1;
    if (jobid != NULL && jobid->len > 0 && !ct_span_is(*jobid, job->jobid))
        return answer_value(call, "kvs-get-response", NULL);
    if (kvs_get(job->kvs, key, &value) == 0)
        return answer_value(call, "kvs-get-response", &value);
    /* MPICH asks so for it, and Hydra has it in either place */
    if (job->dead == NULL || !ct_span_is(key, "PMI_dead_processes"))
        return answer_value(call, "kvs-get-response", NULL);
    value = ct_span_str(job->dead);
    return answer_value(call, "kvs-get-response", &value);
}

static int on_kvs_fence(struct call *call, struct ct_error *reterr)
{
    return fence_enter(call, ct_span_str(""), NULL, 0, reterr);
}

static int on_ring(struct call *call, struct ct_error *reterr)
{
    struct ct_span left, right;

    if (call_text(call, "ring-left", PMI_VALUE_MAX, &left, reterr) < 0 ||
        call_text(call, "ring-right", PMI_VALUE_MAX, &right, reterr) < 0)
        return -1;
    return ring_enter(call, left, right, reterr);
}

static int on_publish(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_PUBLISH, "name", reterr);
}

static int on_unpublish(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_UNPUBLISH, "name", reterr);
}

static int on_lookup(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_LOOKUP, "name", reterr);
}

/*
 * Slurm leaves these two unanswered, and its clients hang. MPICH <= 4.0 and
 * libpmi2 want kvscopy, and know FALSE alone.
 */
static int on_connect(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "job-connect-response", 0);
    pmi_add_str(call->dialect, call->out, "kvscopy", "FALSE");
    end(call);
    return 0;
}

static int on_disconnect(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    return ack(call, "job-disconnect-response");
}

static int on_finalize(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    ack(call, "finalize-response");
    session_end(call->client);
    return 0;
}

const struct pmi_command pmi2_commands[] = {
    {"kvs-get", "kvs-get-response", SESSION_READY, on_kvs_get},
    {"kvs-put", "kvs-put-response", SESSION_READY, on_kvs_put},
    {"kvs-fence", "kvs-fence-response", SESSION_READY, on_kvs_fence},
    {"info-getnodeattr", "info-getnodeattr-response", SESSION_READY,
     on_getnodeattr},
    {"info-putnodeattr", "info-putnodeattr-response", SESSION_READY,
     on_putnodeattr},
    {"info-getjobattr", "info-getjobattr-response", SESSION_READY,
     on_getjobattr},
    {"fullinit", "fullinit-response", SESSION_STARTED, on_fullinit},
    {"job-getid", "job-getid-response", SESSION_READY, on_job_getid},
    {"job-connect", "job-connect-response", SESSION_READY, on_connect},
    {"job-disconnect", "job-disconnect-response", SESSION_READY, on_disconnect},
    {"name-publish", "name-publish-response", SESSION_READY, on_publish},
    {"name-unpublish", "name-unpublish-response", SESSION_READY, on_unpublish},
    {"name-lookup", "name-lookup-response", SESSION_READY, on_lookup},
    {"spawn", "spawn-response", SESSION_READY, spawn_pmi2},
    {"ring", "ring-response", SESSION_READY, on_ring},
    {"finalize", "finalize-response", SESSION_READY | SESSION_STARTED,
     on_finalize},
    {"abort", NULL, SESSION_READY | SESSION_STARTED, call_abort},
    {.name = NULL},
};
