/*
 * What several ranks do together: fences, rings, and waiting for a node
 * attribute. Nobody blocks here: a rank that must wait has no answer yet, and
 * gets it when the last one arrives, or the host is told that it never will.
 *
 * A fence whose members are all on this node is answered at once. One that has
 * members elsewhere collects what the local ranks have put since the last such
 * fence, hands it to the host and is answered by ctpmi_fence_done().
 */
#include "base/scope.h"
#include "guest/pmi/server.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char RING[] = "ring"; /* no PMI-1 group is named so */

struct ctpmi_fence {
    struct ctpmi_fence *next;
    struct ctpmi_job *job;
    char *name;
    unsigned *members; /* NULL: all ranks */
    size_t count;
    char *sent; /* of all: what it has taken along, sent_len bytes */
    size_t sent_len;
};

/* PMI-1.2's answer carries what follows the colon of the group. */
static void add_tag(struct reply *reply, struct ct_span name)
{
    const char *colon = name.len ? memchr(name.ptr, ':', name.len) : NULL;

    if (colon != NULL)
        pmi_dialect_1.add(
            &reply->out, "tag",
            ct_span(colon + 1, (size_t)(name.ptr + name.len - colon - 1)));
    else if (reply->client->subversion >= 2)
        pmi_add_num(&pmi_dialect_1, &reply->out, "tag", 0);
}

/* Who has not arrived follows one that had, and was detached. */
static void release(struct ctpmi_client *client, struct ct_span name)
{
    bool two = client->dialect == &pmi_dialect_2;
    struct reply reply;

    if (client->waiting == 0)
        return;
    client->waiting--;
    reply_start(&reply, client, two ? "kvs-fence-response" : "barrier_out");
    if (two)
        reply_thrid(&reply.out, client, WAIT_FENCE);
    pmi_add_num(client->dialect, &reply.out, "rc", 0);
    if (!two)
        add_tag(&reply, name);
    reply_send(&reply);
}

static void release_all(struct ctpmi_job *job, struct ct_span name,
                        const unsigned *members, size_t count)
{
    if (members == NULL) {
        members = job->local_ranks;
        count = job->local_count;
    }
    for (size_t i = 0; i < count; i++) {
        int index = job_local_index(job, members[i]);
        if (index >= 0 && job->clients[index] != NULL)
            release(job->clients[index], name);
    }
}

/* What a rank shows its neighbour on that side; no client can put such a key.
 */
static struct ct_span ring_key(char buf[PMI_KEY_MAX], const char *side,
                               unsigned rank)
{
    snprintf(buf, PMI_KEY_MAX, "PMI_ring-%s-%u", side, rank);
    return ct_span_str(buf);
}

static void ring_add(struct reply *reply, const char *as, const char *side,
                     unsigned rank)
{
    char key[PMI_KEY_MAX];
    struct ct_span value;

    if (kvs_get(reply->client->job->kvs, ring_key(key, side, rank), &value) ==
        0)
        pmi_dialect_2.add(&reply->out, as, value);
}

static void ring_answer(struct ctpmi_client *client)
{
    unsigned n = client->job->size;
    struct reply reply;

    client->waiting--;
    reply_start(&reply, client, "ring-response");
    reply_thrid(&reply.out, client, WAIT_RING);
    pmi_add_num(&pmi_dialect_2, &reply.out, "rc", 0);
    pmi_add_num(&pmi_dialect_2, &reply.out, "ring-count", client->rank);
    ring_add(&reply, "ring-left", "right", (client->rank + n - 1) % n);
    ring_add(&reply, "ring-right", "left", (client->rank + 1) % n);
    reply_send(&reply);
}

static void ring_close(struct ctpmi_job *job)
{
    for (unsigned i = 0; i < job->local_count; i++)
        if (job->clients[i] != NULL && job->clients[i]->waiting > 0)
            ring_answer(job->clients[i]);
}

/* Key and value of every entry, each behind its length, for the other nodes. */
struct export
{
    char *buf;
    size_t len, room;
    bool failed;
};

static void export_bytes(struct export *out, const void *bytes, size_t len)
{
    if (out->len + len > out->room) {
        size_t room = (out->len + len) * 2;
        char *grown = realloc(out->buf, room);
        if (grown == NULL) {
            out->failed = true;
            return;
        }
        out->buf = grown;
        out->room = room;
    }
    memcpy(out->buf + out->len, bytes, len);
    out->len += len;
}

static void export_entry(void *ctx, struct ct_span key, struct ct_span value)
{
    uint16_t lengths[2] = {htole16((uint16_t)key.len),
                           htole16((uint16_t)value.len)};

    export_bytes(ctx, lengths, sizeof lengths);
    export_bytes(ctx, key.ptr, key.len);
    export_bytes(ctx, value.ptr, value.len);
}

static int import_entry(struct kvs *kvs, const char **data, size_t *len)
{
    uint16_t lengths[2];

    if (*len < sizeof lengths)
        return -1;
    memcpy(lengths, *data, sizeof lengths);
    size_t key = le16toh(lengths[0]), value = le16toh(lengths[1]);
    size_t whole = sizeof lengths + key + value;
    if (*len < whole || key == 0)
        return -1;
    const char *at = *data + sizeof lengths;
    *data += whole;
    *len -= whole;
    return kvs_import(kvs, ct_span(at, key), ct_span(at + key, value), NULL);
}

static int import_all(struct kvs *kvs, const char *data, size_t len)
{
    while (len > 0)
        if (import_entry(kvs, &data, &len) < 0)
            return -1;
    return 0;
}

static void fence_free(struct ctpmi_fence *fence)
{
    if (fence == NULL)
        return;
    free(fence->name);
    free(fence->members);
    free(fence->sent);
    free(fence);
}

void fence_free_all(struct ctpmi_job *job)
{
    while (job->remote != NULL) {
        struct ctpmi_fence *fence = job->remote;
        job->remote = fence->next;
        fence_free(fence);
    }
}

static struct ctpmi_fence *fence_new(struct ctpmi_job *job, struct ct_span name,
                                     const unsigned *members, size_t count)
{
    struct ctpmi_fence *fence = calloc(1, sizeof *fence);

    if (fence == NULL)
        return NULL;
    fence->job = job;
    fence->count = count;
    fence->name = ct_span_dup(name);
    if (members != NULL) {
        fence->members = calloc(count, sizeof *members);
        if (fence->members != NULL)
            memcpy(fence->members, members, count * sizeof *members);
    }
    if (fence->name == NULL || (members != NULL && fence->members == NULL)) {
        fence_free(fence);
        return NULL;
    }
    fence->next = job->remote;
    job->remote = fence;
    return fence;
}

/* What fences of all have taken along and not brought yet, the oldest first: a
   fence of some may be over before them. */
static void export_sent(const struct ctpmi_fence *fence, struct export *out)
{
    if (fence == NULL)
        return;
    export_sent(fence->next, out);
    if (fence->sent_len > 0)
        export_bytes(out, fence->sent, fence->sent_len);
}

static void keep_sent(struct ctpmi_fence *fence, struct export *out)
{
    if (out->failed || out->len == 0)
        return;
    fence->sent = malloc(out->len);
    if (fence->sent == NULL) {
        out->failed = true;
        return;
    }
    memcpy(fence->sent, out->buf, out->len);
    fence->sent_len = out->len;
}

/*
 * The local part is complete: ask the host to exchange with the other nodes.
 * What a fence of some shows them is still new to all others.
 */
static int exchange(struct ctpmi_job *job, struct ct_span name,
                    const unsigned *members, size_t count,
                    struct ct_error *reterr)
{
    struct ctpmi *server = job->server;
    struct export out = {0};

    if (server->callbacks.fence == NULL)
        return ct_fail(reterr, ENOTSUP,
                       "a fence beyond this node, of which the host does none");
    struct ctpmi_fence *fence = fence_new(job, name, members, count);
    if (fence == NULL)
        return ct_fail_nomem(reterr);
    if (members == NULL) {
        kvs_drain_fresh(job->kvs, export_entry, &out);
        keep_sent(fence, &out);
    } else {
        export_sent(job->remote, &out);
        kvs_show_fresh(job->kvs, export_entry, &out);
    }
    if (!out.failed)
        server->callbacks.fence(server->ctx, job, fence, fence->name, members,
                                count, out.buf, out.len);
    free(out.buf);
    return out.failed ? ct_fail_nomem(reterr) : 0;
}

/* One that waits in this fence, or NULL. */
static struct ctpmi_client *any_waiter(const struct ctpmi_job *job,
                                       const struct ctpmi_fence *fence)
{
    const unsigned *members =
        fence->members != NULL ? fence->members : job->local_ranks;
    size_t count = fence->members != NULL ? fence->count : job->local_count;

    for (size_t i = 0; i < count; i++) {
        int index = job_local_index(job, members[i]);
        if (index >= 0 && job->clients[index] != NULL)
            return job->clients[index];
    }
    return NULL;
}

static void fence_unlink(struct ctpmi_fence *fence)
{
    struct ctpmi_fence **link = &fence->job->remote;

    while (*link != fence)
        link = &(*link)->next;
    *link = fence->next;
}

void ctpmi_fence_done(struct ctpmi_fence *fence, const void *data, size_t len)
{
    struct ctpmi_job *job = fence->job;
    int rc = import_all(job->kvs, data, len);
    struct ctpmi_client *waiter = any_waiter(job, fence);

    fence_unlink(fence);
    if (rc == 0 && strcmp(fence->name, RING) == 0)
        ring_close(job);
    else if (rc == 0)
        release_all(job, ct_span_str(fence->name), fence->members,
                    fence->count);
    else if (waiter != NULL)
        session_fault(waiter, CTPMI_PROTOCOL,
                      "what other nodes put into the fence cannot be read");
    fence_free(fence);
}

static void report_lost(struct ctpmi_client *client, unsigned lost_index)
{
    struct ctpmi_job *job = client->job;
    struct ctpmi_client *lost = job->clients[lost_index];

    session_fault(lost != NULL ? lost : client, CTPMI_DEPARTED,
                  "rank %u ended, and rank %u waits for it in a fence",
                  job->local_ranks[lost_index], client->rank);
}

/* Members on this node, by local index, in ret[count]; how many. */
static size_t local_members(const struct ctpmi_job *job,
                            const unsigned *members, size_t count,
                            unsigned *ret)
{
    size_t local = 0;

    for (size_t i = 0; i < count; i++) {
        int index = job_local_index(job, members[i]);
        if (index >= 0)
            ret[local++] = (unsigned)index;
    }
    return local;
}

/* 1: this arrival was the last on the node; 0: it waits; -1: a breach. */
static int arrive(struct call *call, enum wait wait, struct ct_span name,
                  const unsigned *indices, size_t count,
                  struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    struct ctpmi_job *job = client->job;
    unsigned self = (unsigned)job_local_index(job, client->rank);
    enum fence_state state;
    unsigned lost;

    if (client->waiting == FENCES_MAX)
        return ct_fail(reterr, EBUSY, "it waits in %d fences already",
                       FENCES_MAX);
    if (fences_arrive(job->fences, name, indices, count, self, &state, &lost,
                      reterr) < 0)
        return -1;
    if (state == FENCE_BROKEN) {
        report_lost(client, lost);
        return 0;
    }
    client->waiting++;
    call_keep_thrid(call, wait);
    return state == FENCE_COMPLETE;
}

/* All of this node have arrived, who are `local` of the members. */
static int close_local(struct ctpmi_job *job, struct ct_span name,
                       const unsigned *members, size_t count, size_t local,
                       struct ct_error *reterr)
{
    size_t whole = members != NULL ? count : job->size;

    if (local < whole)
        return exchange(job, name, members, count, reterr);
    release_all(job, name, members, count);
    return 0;
}

int fence_enter(struct call *call, struct ct_span name, const unsigned *members,
                size_t count, struct ct_error *reterr)
{
    struct ctpmi_job *job = call->client->job;
    size_t local = job->local_count;
    unsigned *indices = NULL;

    if (members != NULL && members != job->local_ranks) {
        indices = calloc(count + 1, sizeof *indices);
        if (indices == NULL)
            return ct_fail_nomem(reterr);
        local = local_members(job, members, count, indices);
    }
    int rc = arrive(call, WAIT_FENCE, name, indices, local, reterr);
    free(indices);
    if (rc <= 0)
        return rc;
    if (close_local(job, name, members, count, local, reterr) < 0) {
        /* The others have arrived, and would wait for ever. */
        session_fault(call->client, CTPMI_PROTOCOL, "%s", reterr->text);
        return -1;
    }
    return 0;
}

static int ring_put(struct ctpmi_client *client, const char *side,
                    struct ct_span value, struct ct_error *reterr)
{
    unsigned owner = (unsigned)job_local_index(client->job, client->rank);
    char key[PMI_KEY_MAX];

    return kvs_put(client->job->kvs, owner, ring_key(key, side, client->rank),
                   value, reterr);
}

/* All of this node have put theirs. */
static int ring_pass(struct ctpmi_job *job, struct ct_error *reterr)
{
    if (job->local_count < job->size)
        return exchange(job, ct_span_str(RING), NULL, 0, reterr);
    ring_close(job);
    return 0;
}

/*
 * Slurm's PMIX_Ring: each rank gets its neighbours' values and its place. It is
 * a fence of all behind a put of each.
 */
int ring_enter(struct call *call, struct ct_span left, struct ct_span right,
               struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    struct ctpmi_job *job = client->job;
    int rc = arrive(call, WAIT_RING, ct_span_str(RING), NULL, job->local_count,
                    reterr);

    if (rc < 0)
        return -1;
    if (ring_put(client, "left", left, reterr) < 0 ||
        ring_put(client, "right", right, reterr) < 0 ||
        (rc == 1 && ring_pass(job, reterr) < 0)) {
        /* The others have arrived, and would wait for ever. */
        session_fault(client, CTPMI_PROTOCOL, "%s", reterr->text);
        return -1;
    }
    return 0;
}

/* value: NULL when there is none. */
static void attr_answer(struct ctpmi_client *client,
                        const struct ct_span *value)
{
    struct reply reply;

    free(client->attr_wait);
    client->attr_wait = NULL;
    reply_start(&reply, client, "info-getnodeattr-response");
    reply_thrid(&reply.out, client, WAIT_ATTR);
    pmi_add_num(&pmi_dialect_2, &reply.out, "rc", 0);
    pmi_add_str(&pmi_dialect_2, &reply.out, "found",
                value != NULL ? "TRUE" : "FALSE");
    if (value != NULL)
        pmi_dialect_2.add(&reply.out, "value", *value);
    reply_send(&reply);
}

void attr_announce(struct ctpmi_job *job, struct ct_span key,
                   struct ct_span value)
{
    for (unsigned i = 0; i < job->local_count; i++) {
        struct ctpmi_client *client = job->clients[i];

        if (client != NULL && client->attr_wait != NULL &&
            ct_span_is(key, client->attr_wait))
            attr_answer(client, &value);
    }
}

/* In a job that continues, nobody puts what these wait for. */
static void attr_give_up(struct ctpmi_job *job)
{
    for (unsigned i = 0; i < job->local_count; i++) {
        struct ctpmi_client *client = job->clients[i];

        if (client != NULL && client->attr_wait != NULL)
            attr_answer(client, NULL);
    }
}

/*
 * A rank that waits for an attribute nobody is left to put, or NULL. There is
 * hope in ranks to come, and in other threads of those that wait.
 */
static struct ctpmi_client *hopeless_waiter(struct ctpmi_job *job)
{
    struct ctpmi_client *waiter = NULL;

    if (job->attached < job->local_count)
        return NULL;
    for (unsigned i = 0; i < job->local_count; i++) {
        struct ctpmi_client *client = job->clients[i];
        if (client == NULL || client->state == SESSION_GONE)
            continue;
        if (client->attr_wait == NULL || client->thrids[WAIT_ATTR][0] != '\0')
            return NULL;
        waiter = client;
    }
    return waiter;
}

int attr_await(struct call *call, struct ct_span key, struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;

    if (client->attr_wait != NULL)
        return ct_fail(reterr, EBUSY, "it waits for an attribute already");
    client->attr_wait = ct_span_dup(key);
    if (client->attr_wait == NULL)
        return ct_fail_nomem(reterr);
    call_keep_thrid(call, WAIT_ATTR);
    if (hopeless_waiter(client->job) == NULL)
        return 0;
    if (client->job->lost != NULL)
        attr_give_up(client->job);
    else
        session_fault(client, CTPMI_DEPARTED,
                      "waits for node attribute '%s', and no rank is left to "
                      "put it",
                      client->attr_wait);
    return 0;
}

/* Whom the fence of that name is of, its name alone tells. */
static int close_named(struct ctpmi_job *job, struct ct_span name,
                       struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *members = NULL, *indices = NULL;
    size_t count;

    if (ct_span_is(name, RING))
        return ring_pass(job, reterr);
    switch (group_kind_of(name)) {
    case GROUP_WORLD:
        return close_local(job, name, NULL, 0, job->local_count, reterr);
    case GROUP_NODE:
        return close_local(job, name, job->local_ranks, job->local_count,
                           job->local_count, reterr);
    case GROUP_LIST:
        break;
    }
    members = group_ranks(job, name, &count, reterr);
    if (members == NULL)
        return -1;
    indices = calloc(count + 1, sizeof *indices);
    if (indices == NULL)
        return ct_fail_nomem(reterr);
    return close_local(job, name, members, count,
                       local_members(job, members, count, indices), reterr);
}

/* The others wait, and must not for ever. */
static void fail_any(struct ctpmi_job *job, const char *why)
{
    for (unsigned i = 0; i < job->local_count; i++)
        if (job->clients[i] != NULL)
            session_fault(job->clients[i], CTPMI_PROTOCOL, "%s", why);
}

void rank_excuse(struct ctpmi_job *job, unsigned index)
{
    struct ct_error error;
    size_t len;
    char *name;

    fences_excuse(job->fences, index);
    while ((name = fences_take_complete(job->fences, &len)) != NULL) {
        if (close_named(job, ct_span(name, len), &error) < 0)
            fail_any(job, error.text);
        free(name);
    }
    if (hopeless_waiter(job) != NULL)
        attr_give_up(job);
}

static void break_fences(struct ctpmi_client *client)
{
    struct ctpmi_job *job = client->job;
    unsigned index = (unsigned)job_local_index(job, client->rank);
    unsigned first;
    unsigned waiting = fences_leave(job->fences, index, &first);
    struct ctpmi_client *waiter = hopeless_waiter(job);

    if (waiting > 0)
        session_fault(client, CTPMI_DEPARTED,
                      "ended, and rank %u%s waits for it in a fence",
                      job->local_ranks[first],
                      waiting > 1 ? " (and others)" : "");
    if (waiter != NULL)
        session_fault(client, CTPMI_DEPARTED,
                      "ended, and rank %u waits for node attribute '%s'",
                      waiter->rank, waiter->attr_wait);
}

void client_departed(struct ctpmi_client *client)
{
    struct ctpmi_job *job = client->job;

    if (job->lost != NULL)
        rank_excuse(job, (unsigned)job_local_index(job, client->rank));
    else
        break_fences(client);
}
