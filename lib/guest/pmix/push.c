/*
 * Input for ranks, from tools (PMIx_IOF_push). It is answered when all of it
 * has been written; of a tool with much that is not no more is read meanwhile.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>

enum { OVERHEAD = 256 }; /* of a request, so that empty ones count, too */

struct pmixsrv_push {
    struct pmixsrv *server;
    struct request *request;
    unsigned waiting; /* ranks that have not taken it yet */
    bool failed;
};

/* Without bytes, or with the word for it, it is the last. */
static bool is_last(const struct request *request)
{
    return request->object == NULL || request->object->size == 0 ||
           info_is_true(request->info, request->ninfo, PMIX_IOF_COMPLETE);
}

static size_t size_of(const struct request *request)
{
    return request->object != NULL ? request->object->size : 0;
}

/* ---- to whom ---- */

static bool takes(const struct pmixsrv_job *job, unsigned rank)
{
    const struct pmixsrv_config *config = &job->server->config;

    return config->callbacks.takes_input(config->ctx, job, rank);
}

static bool is_meant(const pmix_proc_t *target, unsigned rank)
{
    return target->rank == PMIX_RANK_WILDCARD || target->rank == rank;
}

/* Of a whole job those are meant that take input. */
static pmix_status_t judge_target(struct pmixsrv *server,
                                  const pmix_proc_t *target)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, target->nspace);

    if (job == NULL ||
        (target->rank != PMIX_RANK_WILDCARD && target->rank >= job->size))
        return PMIX_ERR_NOT_FOUND;
    for (unsigned rank = 0; rank < job->size; rank++)
        if (is_meant(target, rank) && takes(job, rank))
            return PMIX_SUCCESS;
    return PMIX_ERR_NOT_SUPPORTED;
}

static pmix_status_t judge(struct pmixsrv *server,
                           const struct request *request)
{
    pmix_status_t rc =
        request->ntargets > 0 ? PMIX_SUCCESS : PMIX_ERR_BAD_PARAM;

    for (size_t i = 0; rc == PMIX_SUCCESS && i < request->ntargets; i++)
        rc = judge_target(server, &request->targets[i]);
    return rc;
}

/* ---- on its way ---- */

static void feed_target(struct pmixsrv_push *push, const pmix_proc_t *target)
{
    struct pmixsrv *server = push->server;
    const struct request *request = push->request;
    struct pmixsrv_job *job = pmixsrv_find_job(server, target->nspace);

    for (unsigned rank = 0; rank < job->size; rank++) {
        if (!is_meant(target, rank) || !takes(job, rank))
            continue;
        push->waiting++;
        server->config.callbacks.feed(
            server->config.ctx, job, rank,
            size_of(request) > 0 ? request->object->bytes : "",
            size_of(request), is_last(request), push);
    }
}

void pmixsrv_fed(struct pmixsrv_push *push, bool taken)
{
    struct request *request = push->request;

    push->failed |= !taken;
    if (--push->waiting > 0)
        return;
    relays_discharge(&push->server->relays, request->proc.nspace,
                     size_of(request) + OVERHEAD);
    request_answer_op(request, push->failed ? PMIX_ERR_UNREACH : PMIX_SUCCESS);
    free(push);
}

void push_request(struct pmixsrv *server, struct request *request)
{
    struct pmixsrv_push *push;
    pmix_status_t rc = judge(server, request);

    if (rc == PMIX_SUCCESS &&
        relays_charge(&server->relays, request->proc.nspace,
                      size_of(request) + OVERHEAD) < 0)
        rc = PMIX_ERR_NOT_SUPPORTED; /* a rank */
    if (rc != PMIX_SUCCESS) {
        request_answer_op(request, rc);
        return;
    }
    push = calloc(1, sizeof *push);
    if (push == NULL) {
        request_answer_op(request, PMIX_ERR_NOMEM);
        return;
    }
    *push = (struct pmixsrv_push){server, request, .waiting = 1};
    for (size_t i = 0; i < request->ntargets; i++)
        feed_target(push, &request->targets[i]);
    pmixsrv_fed(push, true);
}
