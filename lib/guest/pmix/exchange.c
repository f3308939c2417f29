/*
 * What concerns ranks of other nodes: fences, connecting, groups, and data that
 * a rank there has committed. The world is on several nodes, as may be what a
 * rank spawns; all nodes know who is where.
 */
#include "base/hash.h"
#include "base/scope.h"
#include "base/span.h"
#include "guest/pmix/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An upcall that waits for other nodes. */
struct pmixsrv_fence {
    struct pmixsrv *server;
    struct request *request;
    /* data is its own from then on */
    void (*answer)(struct pmixsrv_fence *fence, pmix_status_t status,
                   void *data, size_t len);
    uint64_t dead; /* members that had died when it began */
    bool *awaited; /* [node_count] nodes that had others, then */
    unsigned node_count;
};

struct pmixsrv_modex {
    struct request *request;
};

/* ---- who takes part ---- */

/* Any job that tells how many nodes there are, and which is ours. */
static struct pmixsrv_job *find_world(const struct pmixsrv *server)
{
    struct pmixsrv_job *job = server->jobs;

    while (job != NULL && job->node_of == NULL)
        job = job->next;
    return job;
}

static void add_node(struct members *members, unsigned node, unsigned ours)
{
    members->nodes[node] = true;
    members->elsewhere |= node != ours;
}

static void add_process(struct pmixsrv *server, const pmix_proc_t *proc,
                        struct members *members)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    if (job == NULL || job->node_of == NULL)
        return;
    if (proc->rank < job->size)
        add_node(members, job->node_of[proc->rank], job->node);
    else
        for (unsigned rank = 0; rank < job->size; rank++)
            add_node(members, job->node_of[rank], job->node);
}

/* In whatever order they are named: the sum of hashes. */
static uint64_t hash_of(const pmix_proc_t *proc)
{
    uint64_t hash = ct_hash(CT_HASH_START, proc->nspace, strlen(proc->nspace));

    return ct_hash(hash, &proc->rank, sizeof proc->rank);
}

int members_find(struct pmixsrv *server, const pmix_proc_t *procs, size_t count,
                 struct members *ret)
{
    const struct pmixsrv_job *world = find_world(server);

    *ret = (struct members){.nodes = NULL};
    if (world == NULL)
        return 0;
    ret->node = world->node;
    ret->node_count = world->node_count;
    ret->nodes = calloc(world->node_count, sizeof *ret->nodes);
    if (ret->nodes == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        add_process(server, &procs[i], ret);
        ret->hash += hash_of(&procs[i]);
    }
    return 0;
}

unsigned *members_list(const struct members *members, unsigned *ret_count)
{
    unsigned *nodes = calloc(members->node_count, sizeof *nodes);

    *ret_count = 0;
    for (unsigned node = 0; nodes != NULL && node < members->node_count; node++)
        if (members->nodes[node])
            nodes[(*ret_count)++] = node;
    return nodes;
}

/* ---- those that have died ---- */

/* Has the job a rank on this node that lives, and that proc means? */
static bool has_living(const struct pmixsrv_job *job, const pmix_proc_t *proc,
                       unsigned node)
{
    bool whole = proc->rank >= job->size; /* PMIX_RANK_WILDCARD */

    for (unsigned rank = whole ? 0 : proc->rank; rank < job->size; rank++) {
        if (!job->losses[rank].dead && pmixsrv_rank_node(job, rank) == node)
            return true;
        if (!whole)
            return false;
    }
    return false;
}

bool pmixsrv_fence_awaits(const struct pmixsrv_fence *fence, unsigned node)
{
    const struct request *request = fence->request;

    for (size_t i = 0; i < request->ntargets; i++) {
        const pmix_proc_t *proc = &request->targets[i];
        const struct pmixsrv_job *job =
            pmixsrv_find_job(fence->server, proc->nspace);

        if (job != NULL && has_living(job, proc, node))
            return true;
    }
    return false;
}

static uint64_t hash_of_dead(const struct pmixsrv_job *job,
                             const pmix_proc_t *proc)
{
    bool whole = proc->rank >= job->size;
    pmix_proc_t dead = *proc;
    uint64_t hash = 0;

    for (unsigned rank = whole ? 0 : proc->rank; rank < job->size; rank++) {
        dead.rank = rank;
        if (job->losses[rank].dead)
            hash += hash_of(&dead);
        if (!whole)
            break;
    }
    return hash;
}

/* Of whom nothing is expected any more, as far as this node knows. */
static int note_dead(struct pmixsrv_fence *fence, unsigned node_count)
{
    const struct request *request = fence->request;

    fence->awaited = calloc(node_count, sizeof *fence->awaited);
    if (fence->awaited == NULL)
        return -1;
    fence->node_count = node_count;
    for (unsigned node = 0; node < node_count; node++)
        fence->awaited[node] = pmixsrv_fence_awaits(fence, node);
    for (size_t i = 0; i < request->ntargets; i++) {
        const pmix_proc_t *proc = &request->targets[i];
        const struct pmixsrv_job *job =
            pmixsrv_find_job(fence->server, proc->nspace);

        if (job != NULL)
            fence->dead += hash_of_dead(job, proc);
    }
    return 0;
}

/* ---- what nodes tell each other ---- */

/*
 * Each part says besides its data what has become of it on its node, and who of
 * its members was known there to be dead. All nodes have the same parts, so
 * they come to the same end of it: those who have died before are nobody's
 * loss, if all nodes knew that when they began; any other has died in it.
 */
struct part {
    unsigned node;
    pmix_status_t status;
    uint64_t dead;
    struct ct_span data;
};

static void pack_part(struct pack *p, const struct pmixsrv_fence *fence,
                      const void *data, size_t len)
{
    pack_u32(p, find_world(fence->server)->node);
    pack_u32(p, (uint32_t)fence->request->status);
    pack_bytes(p, &fence->dead, sizeof fence->dead);
    pack_u32(p, (uint32_t)len);
    pack_bytes(p, data, len);
}

/* false: there is none, or it makes no sense. */
static bool next_part(struct unpack *u, const struct pmixsrv_fence *fence,
                      struct part *ret)
{
    const void *dead;
    size_t len;

    if (u->at == u->len)
        return false;
    ret->node = unpack_u32(u);
    ret->status = (pmix_status_t)unpack_u32(u);
    dead = unpack_bytes(u, sizeof ret->dead);
    len = unpack_u32(u);
    ret->data = ct_span(unpack_bytes(u, len), len);
    u->failed |= ret->node >= fence->node_count;
    if (u->failed)
        return false;
    memcpy(&ret->dead, dead, sizeof ret->dead);
    return true;
}

/* The parts' data, one after another, in place of the parts; its length. */
static size_t take_parts(struct pmixsrv_fence *fence, char *parts, size_t len,
                         pmix_status_t *ret_status)
{
    struct unpack u = {.bytes = parts, .len = len};
    bool whole = true;
    size_t sum = 0;
    struct part part;

    while (next_part(&u, fence, &part)) {
        fence->awaited[part.node] = false;
        whole &= part.status == PMIX_SUCCESS && part.dead == fence->dead;
        memmove(parts + sum, part.data.ptr, part.data.len);
        sum += part.data.len;
    }
    for (unsigned node = 0; node < fence->node_count; node++)
        whole &= !fence->awaited[node];
    *ret_status = whole && !u.failed ? PMIX_SUCCESS : PMIX_ERR_PARTIAL_SUCCESS;
    return sum;
}

static int begin(struct pmixsrv_fence *fence, const struct members *members,
                 const char *name, const void *data, size_t len)
{
    struct pmixsrv *server = fence->server;
    unsigned count;
    CT_AUTO_FREE unsigned *nodes = members_list(members, &count);
    struct pack p = {0};
    char text[64];

    if (nodes == NULL || note_dead(fence, members->node_count) < 0)
        return -1;
    pack_part(&p, fence, data, len);
    snprintf(text, sizeof text, "%s/%016" PRIx64, name, members->hash);
    if (!p.failed)
        server->config.callbacks.fence(server->config.ctx, fence, text, nodes,
                                       count, p.bytes, p.len);
    free(p.bytes);
    return p.failed ? -1 : 0;
}

static void fence_free(struct pmixsrv_fence *fence)
{
    free(fence->awaited);
    free(fence);
}

/*
 * Do it with other nodes, if any takes part: 1 when answer() follows, 0 when
 * this node is alone in it, -1 without memory.
 */
static int ask_others(struct pmixsrv *server, struct request *request,
                      const char *name, const void *data, size_t len,
                      void (*answer)(struct pmixsrv_fence *fence,
                                     pmix_status_t status, void *data,
                                     size_t len))
{
    struct members members;
    struct pmixsrv_fence *fence = NULL;
    int rc =
        members_find(server, request->targets, request->ntargets, &members);

    if (rc == 0 && members.elsewhere) {
        fence = malloc(sizeof *fence);
        rc = fence != NULL ? 1 : -1;
    }
    if (fence != NULL) {
        *fence = (struct pmixsrv_fence){
            .server = server, .request = request, .answer = answer};
        if (begin(fence, &members, name, data, len) < 0) {
            fence_free(fence);
            rc = -1;
        }
    }
    free(members.nodes);
    return rc;
}

void pmixsrv_fence_done(struct pmixsrv_fence *fence, void *parts, size_t len)
{
    pmix_status_t status;

    len = take_parts(fence, parts, len, &status);
    fence->answer(fence, status, parts, len);
    fence_free(fence);
}

/* ---- fences ---- */

static void answer_fence(struct request *request, pmix_status_t status,
                         void *data, size_t len)
{
    request->answer.modex(status, data, len, request->cbdata, free, data);
    request_free(request);
}

static void fence_answered(struct pmixsrv_fence *fence, pmix_status_t status,
                           void *data, size_t len)
{
    answer_fence(fence->request, status, data, len);
}

void exchange_fence(struct pmixsrv *server, struct request *request)
{
    int rc = ask_others(server, request, "fence", request->data, request->ndata,
                        fence_answered);
    char *data = request->data;

    if (rc > 0)
        return;
    if (rc < 0) {
        request->answer.modex(PMIX_ERR_NOMEM, NULL, 0, request->cbdata, NULL,
                              NULL);
        request_free(request);
        return;
    }
    request->data = NULL; /* all of this node's data is all there is */
    answer_fence(request, request->status, data, request->ndata);
}

static void connect_answered(struct pmixsrv_fence *fence, pmix_status_t status,
                             void *data, size_t len)
{
    (void)len;
    free(data);
    request_answer_op(fence->request, status);
}

void exchange_connect(struct pmixsrv *server, struct request *request)
{
    int rc = ask_others(server, request, "connect", NULL, 0, connect_answered);

    if (rc <= 0)
        request_answer_op(request, rc < 0 ? PMIX_ERR_NOMEM : request->status);
}

/* ---- groups ---- */

/*
 * A context id must be the job's only one. Each node proposes one that neither
 * it nor another node has proposed before, for whatever group, and the largest
 * is taken: of two groups at once no node can choose otherwise than the others.
 */
static uint64_t propose_context(struct pmixsrv *server)
{
    const struct pmixsrv_job *world = find_world(server);
    uint64_t number = server->next_context++;

    return world != NULL ? number * world->node_count + world->node : number;
}

static void group_answered(struct pmixsrv_fence *fence, pmix_status_t status,
                           void *data, size_t len)
{
    uint64_t largest = 0, proposal;

    for (size_t at = 0; at + sizeof proposal <= len; at += sizeof proposal) {
        memcpy(&proposal, (char *)data + at, sizeof proposal);
        if (proposal > largest)
            largest = proposal;
    }
    free(data);
    group_answer(fence->request, status, largest);
}

void exchange_group(struct pmixsrv *server, struct request *request)
{
    const uint64_t proposal = propose_context(server);
    int rc;

    if (request->status == PMIX_SUCCESS)
        request->status = group_judge(server, request);
    rc = ask_others(server, request, "group", &proposal, sizeof proposal,
                    group_answered);
    if (rc <= 0)
        group_answer(request, rc < 0 ? PMIX_ERR_NOMEM : request->status,
                     proposal);
}

/* ---- direct modex ---- */

unsigned pmixsrv_rank_node(const struct pmixsrv_job *job, unsigned rank)
{
    return job->node_of != NULL ? job->node_of[rank] : job->node;
}

bool pmixsrv_rank_elsewhere(const struct pmixsrv_job *job, unsigned rank)
{
    return job->elsewhere || pmixsrv_rank_node(job, rank) != job->node;
}

/* The other node that the process is of; -1: of none. */
static long other_node(struct pmixsrv *server, const pmix_proc_t *proc)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    if (job == NULL || proc->rank >= job->size ||
        !pmixsrv_rank_elsewhere(job, proc->rank))
        return -1;
    return pmixsrv_rank_node(job, proc->rank);
}

void exchange_modex(struct pmixsrv *server, struct request *request)
{
    long node = other_node(server, &request->proc);
    struct pmixsrv_modex *modex = node >= 0 ? malloc(sizeof *modex) : NULL;

    if (modex == NULL) {
        request->answer.modex(PMIX_ERR_NOT_FOUND, NULL, 0, request->cbdata,
                              NULL, NULL);
        request_free(request);
        return;
    }
    modex->request = request;
    server->config.callbacks.modex(server->config.ctx, modex,
                                   request->proc.nspace, request->proc.rank,
                                   (unsigned)node);
}

void pmixsrv_modex_done(struct pmixsrv_modex *modex, int status,
                        const void *data, size_t len)
{
    struct request *request = modex->request;
    char *copy = status == 0 ? malloc(len + 1) : NULL;

    if (copy != NULL) {
        memcpy(copy, data, len);
        answer_fence(request, PMIX_SUCCESS, copy, len);
    } else {
        request->answer.modex(PMIX_ERR_NOT_FOUND, NULL, 0, request->cbdata,
                              NULL, NULL);
        request_free(request);
    }
    free(modex);
}

/* A question of another node's, while libpmix waits for the rank. */
struct served {
    void (*done)(void *ctx, int status, const void *data, size_t len);
    void *ctx;
};

void exchange_served(struct pmixsrv *server, struct request *request)
{
    struct served *served = request->cbdata;

    (void)server;
    served->done(served->ctx,
                 request->status == PMIX_SUCCESS ? 0 : PMIXSRV_MODEX_FAILED,
                 request->data, request->ndata);
    free(served);
    request_free(request);
}

void pmixsrv_modex_serve(struct pmixsrv *server, const char *nspace,
                         unsigned rank,
                         void (*done)(void *ctx, int status, const void *data,
                                      size_t len),
                         void *ctx)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, nspace);
    struct served *served = malloc(sizeof *served);
    pmix_status_t rc = PMIX_ERR_NOMEM;
    pmix_proc_t proc;

    if (served != NULL && job != NULL && rank < job->size && !server->stopped) {
        *served = (struct served){.done = done, .ctx = ctx};
        pmixsrv_proc(job, rank, &proc);
        rc = PMIx_server_dmodex_request(&proc, pmixsrv_on_served, served);
    }
    if (rc == PMIX_SUCCESS)
        return;
    free(served);
    done(ctx, PMIXSRV_MODEX_FAILED, NULL, 0);
}
