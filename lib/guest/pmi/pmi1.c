/*
 * The commands of PMI-1, a row each. Replies are the superset that every client
 * accepts (lib/wire/wire.md): rc always, never an empty value, never a line of
 * more than 1024 bytes to a client that did not make it so itself.
 */
#include "base/scope.h"
#include "guest/pmi/server.h"

#include <errno.h>
#include <stdio.h>

enum {
    ANY = SESSION_NEW | SESSION_READY | SESSION_FINALIZED,
    /* MPICH <= 4.0 reads lines of at most 1024 bytes. */
    ATTRIBUTE_MAX = 950,
    GROUP_MAX = 65536,
    TAG_MAX = 32, /* clients send a number */
};

static void begin(struct call *call, const char *reply, long rc)
{
    call->dialect->begin(call->out, reply);
    pmi_add_num(call->dialect, call->out, "rc", rc);
}

static void end(struct call *call)
{
    call->dialect->end(call->out);
}

static void add_str(struct call *call, const char *key, const char *value)
{
    pmi_add_str(call->dialect, call->out, key, value);
}

static void add_num(struct call *call, const char *key, long value)
{
    pmi_add_num(call->dialect, call->out, key, value);
}

/* A refusal that is an answer, not a breach: the client goes on. */
static int refuse(struct call *call, const char *reply, const char *reason)
{
    begin(call, reply, -1);
    add_str(call, "msg", reason);
    end(call);
    return 0;
}

static void start_pmi2(struct call *call)
{
    call->client->dialect = &pmi_dialect_2;
    call->client->state = SESSION_STARTED;
    call->dialect->begin(call->out, "response_to_init");
    add_num(call, "pmi_version", 2);
    add_num(call, "pmi_subversion", 0);
    add_num(call, "rc", 0);
    end(call);
}

static void start_pmi1(struct call *call, long subversion)
{
    struct ctpmi_client *client = call->client;

    /*
     * MPICH 5 sends 1.1 and uses groups only when answered 1.2, an answer that
     * other clients refuse; NVSHMEM sends 1.0.
     */
    if (subversion > 0)
        subversion =
            subversion >= 2 || client->flags & CTPMI_CLIENT_PMI12 ? 2 : 1;
    session_begin(client, &pmi_dialect_1);
    client->subversion = (uint8_t)subversion;
    call->dialect->begin(call->out, "response_to_init");
    add_num(call, "pmi_version", 1);
    add_num(call, "pmi_subversion", subversion);
    add_num(call, "rc", 0);
    end(call);
}

static int on_init(struct call *call, struct ct_error *reterr)
{
    long version, subversion;

    if (pmi_msg_number(call->msg, "pmi_version", 0, 999, &version) < 0 ||
        pmi_msg_number(call->msg, "pmi_subversion", 0, 999, &subversion) < 0)
        return ct_fail(reterr, EPROTO, "no version");
    if (version == 2)
        start_pmi2(call);
    else if (version == 1)
        start_pmi1(call, subversion);
    else
        return ct_fail(reterr, EPROTO, "version %ld is neither 1 nor 2",
                       version);
    return 0;
}

static int on_get_maxes(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "maxes", 0);
    add_num(call, "kvsname_max", PMI_KVSNAME_MAX);
    add_num(call, "keylen_max", PMI_KEY_MAX);
    add_num(call, "vallen_max", PMI_VALUE_MAX);
    end(call);
    return 0;
}

static int on_get_appnum(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "appnum", 0);
    add_num(call, "appnum", call->client->job->appnum[call->client->rank]);
    end(call);
    return 0;
}

static int on_get_universe_size(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "universe_size", 0);
    add_num(call, "size", call->client->job->universe_size);
    end(call);
    return 0;
}

static int on_get_my_kvsname(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "my_kvsname", 0);
    add_str(call, "kvsname", call->client->job->jobid);
    end(call);
    return 0;
}

/* Some clients leave the name out; another job's is wrong. */
static bool own_kvs(struct call *call)
{
    const struct ct_span *name = pmi_msg_get(call->msg, "kvsname");

    return name == NULL || name->len == 0 ||
           ct_span_is(*name, call->client->job->jobid);
}

static int on_put(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    unsigned owner = (unsigned)job_local_index(job, call->client->rank);
    struct ct_span key, value;

    if (call_text(call, "key", PMI_KEY_MAX, &key, reterr) < 0 ||
        call_text(call, "value", PMI_VALUE_MAX, &value, reterr) < 0)
        return -1;
    if (!own_kvs(call))
        return refuse(call, "put_result", "unknown_kvs");
    if (key_is_reserved(key))
        return refuse(call, "put_result", "reserved_key");
    if (kvs_put(job->kvs, owner, key, value, reterr) < 0)
        return -1;
    begin(call, "put_result", 0);
    end(call);
    return 0;
}

static int found(struct call *call, struct ct_span value)
{
    begin(call, "get_result", 0);
    call->dialect->add(call->out, "value", value);
    end(call);
    return 0;
}

static int on_get(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    struct ct_span key, value;
    char buf[32];

    if (call_text(call, "key", PMI_FRAME_MAX, &key, reterr) < 0)
        return -1;
    if (!own_kvs(call))
        return refuse(call, "get_result", "unknown_kvs");
    if (kvs_get(job->kvs, key, &value) == 0)
        return found(call, value);
    const char *fact = job_attribute(job, key, buf, sizeof buf);
    if (fact != NULL && strlen(fact) <= ATTRIBUTE_MAX)
        return found(call, ct_span_str(fact));
    return refuse(call, "get_result", "key_not_found");
}

static struct ct_span before_colon(struct ct_span text)
{
    const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;

    return ct_span(text.ptr,
                   colon != NULL ? (size_t)(colon - text.ptr) : text.len);
}

enum group_kind group_kind_of(struct ct_span group)
{
    struct ct_span who = before_colon(group);

    return who.len == 0 || ct_span_is(who, "WORLD") ? GROUP_WORLD
           : ct_span_is(who, "NODE")                ? GROUP_NODE
                                                    : GROUP_LIST;
}

/* The ranks of "3,1,2": -1 when it is no such list. */
static int read_ranks(struct ct_span list, unsigned size, unsigned *ret,
                      size_t *ret_count)
{
    size_t count = 0, start = 0;

    for (size_t i = 0; i <= list.len; i++) {
        long rank;
        if (i < list.len && list.ptr[i] != ',')
            continue;
        if (count == GROUP_MAX ||
            ct_span_number(ct_span(list.ptr + start, i - start), 0,
                           (long)size - 1, &rank) < 0)
            return -1;
        ret[count++] = (unsigned)rank;
        start = i + 1;
    }
    *ret_count = count;
    return 0;
}

unsigned *group_ranks(struct ctpmi_job *job, struct ct_span group,
                      size_t *ret_count, struct ct_error *reterr)
{
    struct ct_span who = before_colon(group);
    unsigned *ranks = calloc(who.len / 2 + 1, sizeof *ranks);

    if (ranks == NULL)
        ct_fail_nomem(reterr);
    else if (read_ranks(who, job->size, ranks, ret_count) == 0)
        return ranks;
    else
        ct_fail(reterr, EPROTO, "group is no list of ranks");
    free(ranks);
    return NULL;
}

static bool is_member(const unsigned *ranks, size_t count, unsigned rank)
{
    for (size_t i = 0; i < count; i++)
        if (ranks[i] == rank)
            return true;
    return false;
}

/* group: "3,1,2" and the tag; the whole names the fence. */
static int enter_list(struct call *call, struct ct_span group,
                      struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    size_t count;
    CT_AUTO_FREE unsigned *ranks =
        group_ranks(client->job, group, &count, reterr);

    if (ranks == NULL)
        return -1;
    if (!is_member(ranks, count, client->rank))
        return ct_fail(reterr, EPROTO, "rank %u is not of its own group",
                       client->rank);
    return fence_enter(call, group, ranks, count, reterr);
}

/*
 * group: WORLD:tag, NODE:tag or r1,r2,...:tag. The whole text names the fence,
 * and the tag goes into the answer.
 */
static int enter_group(struct call *call, struct ct_span group,
                       struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    struct ct_span who = before_colon(group);
    size_t rest = group.len - who.len; /* the colon and the tag */

    if (rest == 1 || rest > 1 + TAG_MAX)
        return ct_fail(reterr, EPROTO, "group has no sound tag");
    if (who.len == 0)
        return ct_fail(reterr, EPROTO, "group is no list of ranks");
    switch (group_kind_of(group)) {
    case GROUP_WORLD:
        return fence_enter(call, group, NULL, 0, reterr);
    case GROUP_NODE:
        return fence_enter(call, group, job->local_ranks, job->local_count,
                           reterr);
    case GROUP_LIST:
        break;
    }
    return enter_list(call, group, reterr);
}

/* WORLD:0 is how MPICH 5 says what all others say by no group at all. */
static int on_barrier_in(struct call *call, struct ct_error *reterr)
{
    const struct ct_span *group = pmi_msg_get(call->msg, "group");

    if (group == NULL || group->len == 0 || ct_span_is(*group, "WORLD") ||
        ct_span_is(*group, "WORLD:0"))
        return fence_enter(call, ct_span_str(""), NULL, 0, reterr);
    return enter_group(call, *group, reterr);
}

static int on_finalize(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "finalize_ack", 0);
    end(call);
    session_end(call->client);
    return 0;
}

static int on_publish(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_PUBLISH, "service", reterr);
}

static int on_unpublish(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_UNPUBLISH, "service", reterr);
}

static int on_lookup(struct call *call, struct ct_error *reterr)
{
    return name_ask(call, CTPMI_LOOKUP, "service", reterr);
}

/* What a client without a launcher says to the mpiexec that it starts. */
static int on_singinit(struct call *call, struct ct_error *reterr)
{
    (void)reterr;
    begin(call, "singinit_info", -1);
    add_str(call, "versionok", "no");
    add_str(call, "stdio", "no");
    add_str(call, "kvsname", "none");
    add_str(call, "msg", "singleton_init_is_not_served_start_it_with_ctrun");
    end(call);
    return 0;
}

const struct pmi_command pmi1_commands[] = {
    {"get", "get_result", SESSION_READY, on_get},
    {"put", "put_result", SESSION_READY, on_put},
    {"barrier_in", "barrier_out", SESSION_READY, on_barrier_in},
    {"init", "response_to_init", ANY, on_init},
    {"get_maxes", "maxes", SESSION_READY, on_get_maxes},
    {"get_appnum", "appnum", SESSION_READY, on_get_appnum},
    {"get_universe_size", "universe_size", SESSION_READY, on_get_universe_size},
    {"get_my_kvsname", "my_kvsname", SESSION_READY, on_get_my_kvsname},
    {"publish_name", "publish_result", SESSION_READY, on_publish},
    {"unpublish_name", "unpublish_result", SESSION_READY, on_unpublish},
    {"lookup_name", "lookup_result", SESSION_READY, on_lookup},
    {"spawn", "spawn_result", SESSION_READY, spawn_pmi1},
    {"finalize", "finalize_ack", SESSION_READY, on_finalize},
    {"abort", NULL, ANY, call_abort},
    {"singinit", "singinit_info", ANY, on_singinit},
    {.name = NULL},
};
