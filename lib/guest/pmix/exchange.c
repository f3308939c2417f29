/*
 * What concerns ranks of other nodes: fences, connecting, groups, and data that
 * a rank there has committed. One job alone, the world, has ranks elsewhere;
 * what ranks spawn runs on their own node.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

/* An upcall that waits for other nodes. */
struct pmixsrv_fence {
    struct pmixsrv *server;
    struct request *request;
    void (*answer)(struct pmixsrv_fence *fence, void *data, size_t len);
    unsigned first_node; /* of those that take part */
};

struct pmixsrv_modex {
    struct request *request;
};

/* ---- who takes part ---- */

/* Ranks of the world, and where they are. */
struct members {
    struct pmixsrv_job *world; /* NULL: none of it takes part */
    unsigned *ranks;           /* ascending; NULL: all */
    size_t count;
    bool elsewhere; /* some are of other nodes */
    unsigned first_node;
};

static int by_number(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static struct pmixsrv_job *find_world(struct pmixsrv *server,
                                      const pmix_proc_t *proc)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    return job != NULL && job->node_of != NULL ? job : NULL;
}

static void look_at_nodes(struct members *members)
{
    const struct pmixsrv_job *world = members->world;
    size_t count = members->ranks != NULL ? members->count : world->size;

    members->first_node = ~0U;
    for (size_t i = 0; i < count; i++) {
        unsigned rank = members->ranks != NULL ? members->ranks[i] : i;
        unsigned node = world->node_of[rank];

        members->elsewhere |= node != world->node;
        if (node < members->first_node)
            members->first_node = node;
    }
}

/* 0 with what members_clear() frees, or -1 without memory. */
static int find_members(struct pmixsrv *server, const struct request *request,
                        struct members *ret)
{
    bool all = false;

    *ret = (struct members){
        .ranks = calloc(request->ntargets + 1, sizeof *ret->ranks)};
    if (ret->ranks == NULL)
        return -1;
    for (size_t i = 0; i < request->ntargets; i++) {
        const pmix_proc_t *proc = &request->targets[i];
        struct pmixsrv_job *world = find_world(server, proc);

        if (world == NULL)
            continue;
        ret->world = world;
        if (proc->rank < world->size)
            ret->ranks[ret->count++] = proc->rank;
        else
            all = true;
    }
    qsort(ret->ranks, ret->count, sizeof *ret->ranks, by_number);
    if (all) {
        free(ret->ranks);
        ret->ranks = NULL;
    }
    if (ret->world != NULL)
        look_at_nodes(ret);
    return 0;
}

/*
 * Do it with other nodes, if any takes part: 1 when answer() follows, 0 when
 * this node is alone in it, -1 without memory.
 */
static int ask_others(struct pmixsrv *server, struct request *request,
                      const char *name, const void *data, size_t len,
                      void (*answer)(struct pmixsrv_fence *fence, void *data,
                                     size_t len))
{
    struct pmixsrv_fence *fence;
    struct members members;

    if (find_members(server, request, &members) < 0)
        return -1;
    fence = members.elsewhere ? malloc(sizeof *fence) : NULL;
    if (fence != NULL) {
        *fence = (struct pmixsrv_fence){.server = server,
                                        .request = request,
                                        .answer = answer,
                                        .first_node = members.first_node};
        server->config.callbacks.fence(server->config.ctx, fence, name,
                                       members.ranks, members.count, data, len);
    }
    free(members.ranks);
    if (!members.elsewhere)
        return 0;
    return fence != NULL ? 1 : -1;
}

void pmixsrv_fence_done(struct pmixsrv_fence *fence, void *data, size_t len)
{
    fence->answer(fence, data, len);
    free(fence);
}

/* ---- fences ---- */

static void answer_fence(struct request *request, void *data, size_t len)
{
    request->answer.modex(PMIX_SUCCESS, data, len, request->cbdata, free, data);
    request_free(request);
}

static void fence_answered(struct pmixsrv_fence *fence, void *data, size_t len)
{
    answer_fence(fence->request, data, len);
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
    answer_fence(request, data, request->ndata);
}

static void connect_answered(struct pmixsrv_fence *fence, void *data,
                             size_t len)
{
    (void)len;
    free(data);
    request_answer_op(fence->request, PMIX_SUCCESS);
}

void exchange_connect(struct pmixsrv *server, struct request *request)
{
    int rc = ask_others(server, request, "connect", NULL, 0, connect_answered);

    if (rc <= 0)
        request_answer_op(request, rc < 0 ? PMIX_ERR_NOMEM : PMIX_SUCCESS);
}

/* ---- groups ---- */

/*
 * A context id must be the job's only one. Each node proposes the next that it
 * has not seen, and the largest is taken, so groups that share a node differ;
 * those that share none differ by the first of their nodes.
 */
static void group_answered(struct pmixsrv_fence *fence, void *data, size_t len)
{
    struct pmixsrv *server = fence->server;
    const struct pmixsrv_job *world =
        find_world(server, &fence->request->targets[0]);
    uint64_t largest = server->next_context, proposal;

    for (size_t at = 0; at + sizeof proposal <= len; at += sizeof proposal) {
        memcpy(&proposal, (char *)data + at, sizeof proposal);
        if (proposal > largest)
            largest = proposal;
    }
    free(data);
    server->next_context = largest + 1;
    if (world != NULL)
        largest = largest * world->node_count + fence->first_node;
    group_answer(fence->request, largest);
}

void exchange_group(struct pmixsrv *server, struct request *request)
{
    const uint64_t proposal = server->next_context;
    int rc = ask_others(server, request, "group", &proposal, sizeof proposal,
                        group_answered);

    if (rc == 0)
        server->next_context++;
    if (rc <= 0)
        group_answer(request, proposal);
}

/* ---- direct modex ---- */

void exchange_modex(struct pmixsrv *server, struct request *request)
{
    const struct pmixsrv_job *world = find_world(server, &request->proc);
    struct pmixsrv_modex *modex = malloc(sizeof *modex);

    if (modex == NULL || world == NULL || request->proc.rank >= world->size ||
        world->node_of[request->proc.rank] == world->node) {
        free(modex);
        request->answer.modex(PMIX_ERR_NOT_FOUND, NULL, 0, request->cbdata,
                              NULL, NULL);
        request_free(request);
        return;
    }
    modex->request = request;
    server->config.callbacks.modex(server->config.ctx, modex,
                                   request->proc.rank);
}

void pmixsrv_modex_done(struct pmixsrv_modex *modex, int status,
                        const void *data, size_t len)
{
    struct request *request = modex->request;
    char *copy = status == 0 ? malloc(len + 1) : NULL;

    if (copy != NULL) {
        memcpy(copy, data, len);
        answer_fence(request, copy, len);
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

void pmixsrv_modex_serve(struct pmixsrv_job *job, unsigned rank,
                         void (*done)(void *ctx, int status, const void *data,
                                      size_t len),
                         void *ctx)
{
    struct served *served = malloc(sizeof *served);
    pmix_status_t rc = PMIX_ERR_NOMEM;
    pmix_proc_t proc;

    if (served != NULL && !job->server->stopped) {
        *served = (struct served){.done = done, .ctx = ctx};
        pmixsrv_proc(job, rank, &proc);
        rc = PMIx_server_dmodex_request(&proc, pmixsrv_on_served, served);
    }
    if (rc == PMIX_SUCCESS)
        return;
    free(served);
    done(ctx, PMIXSRV_MODEX_FAILED, NULL, 0);
}
