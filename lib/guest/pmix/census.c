/*
 * Processes of other nodes, of which these alone know: before a table of
 * processes is answered, the nodes of its job are asked for theirs. One that
 * does not answer has left, and then nothing of its is known.
 */
#include "base/pack.h"
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

/* A query that waits for nodes. */
struct census {
    struct pmixsrv *server;
    struct request *request;
    unsigned waiting;
};

struct census_question {
    struct pmixsrv_question base;
    struct census *census;
    struct pmixsrv_job *job;
    unsigned node;
};

/* ---- the answer ---- */

static void finish_one(struct census *census)
{
    if (--census->waiting > 0)
        return;
    query_finish(census->server, census->request);
    free(census);
}

static void take_process(const struct census_question *question,
                         struct unpack *u)
{
    struct pmixsrv_job *job = question->job;
    unsigned rank = unpack_u32(u);
    uint32_t pid = unpack_u32(u), runs = unpack_u32(u);

    if (u->failed || rank >= job->size || pid > INT32_MAX ||
        job->node_of[rank] != question->node)
        return;
    job->seen[rank] = (struct pmixsrv_seen){(pid_t)pid, runs != 0};
}

static void on_answer(struct pmixsrv_question *base, struct unpack *u)
{
    struct census_question *question = (struct census_question *)base;
    uint32_t count = unpack_u32(u);

    for (uint32_t i = 0; i < count && !u->failed; i++)
        take_process(question, u);
    finish_one(question->census);
    free(question);
}

/* ---- the question ---- */

static bool has_ranks(const struct pmixsrv_job *job, unsigned node)
{
    for (unsigned rank = 0; rank < job->size; rank++)
        if (job->node_of[rank] == node)
            return true;
    return false;
}

static void ask_node(struct census *census, struct pmixsrv_job *job,
                     unsigned node)
{
    const struct pmixsrv_config *config = &census->server->config;
    struct census_question *question = calloc(1, sizeof *question);
    struct pack p = {0};

    pack_u32(&p, HOME_CENSUS);
    pack_str(&p, job->nspace);
    if (question != NULL && !p.failed) {
        *question = (struct census_question){{on_answer}, census, job, node};
        census->waiting++;
        config->callbacks.ask(config->ctx, &question->base, node, p.bytes,
                              p.len);
    } else {
        free(question);
    }
    free(p.bytes);
}

static void ask_all(struct census *census, struct pmixsrv_job *job)
{
    if (job->node_of == NULL)
        return;
    if (job->seen == NULL)
        job->seen = calloc(job->size, sizeof *job->seen);
    if (job->seen == NULL)
        return;
    for (unsigned node = 0; node < job->node_count; node++)
        if (node != job->node && has_ranks(job, node))
            ask_node(census, job, node);
}

void census_begin(struct pmixsrv *server, struct request *request)
{
    struct census *census = calloc(1, sizeof *census);

    if (census == NULL) {
        query_finish(server, request);
        return;
    }
    *census = (struct census){server, request, .waiting = 1};
    for (size_t i = 0; i < request->nqueries; i++) {
        struct pmixsrv_job *job =
            query_table_of(server, request, &request->queries[i]);

        if (job != NULL)
            ask_all(census, job);
    }
    finish_one(census);
}

/* ---- where it arrives ---- */

static void pack_process(struct pack *p, const struct pmixsrv_job *job,
                         unsigned rank)
{
    const struct pmixsrv_config *config = &job->server->config;
    struct pmixsrv_process process = {0};

    config->callbacks.describe(config->ctx, job, rank, &process);
    pack_u32(p, rank);
    pack_u32(p, (uint32_t)process.pid);
    pack_u32(p, process.runs);
}

static unsigned count_here(const struct pmixsrv_job *job)
{
    unsigned count = 0;

    for (unsigned rank = 0; rank < job->size; rank++)
        count += !pmixsrv_rank_elsewhere(job, rank);
    return count;
}

void census_serve(struct pmixsrv *server, struct unpack *u,
                  void (*done)(void *ctx, const void *bytes, size_t len),
                  void *ctx)
{
    const char *nspace = unpack_str(u);
    const struct pmixsrv_job *job =
        nspace != NULL ? pmixsrv_find_job(server, nspace) : NULL;
    struct pack p = {0};

    if (job != NULL)
        pack_u32(&p, count_here(job));
    for (unsigned rank = 0; job != NULL && rank < job->size; rank++)
        if (!pmixsrv_rank_elsewhere(job, rank))
            pack_process(&p, job, rank);
    done(ctx, p.bytes, p.failed ? 0 : p.len);
    free(p.bytes);
}
