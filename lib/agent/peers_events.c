/*
 * Single words between several nodes, which nobody answers: ranks that have
 * died, and of PMIx servers events, signals for ranks.
 */
#include "agent/state.h"

#include <stdlib.h>

static const char *name_of(const struct agent *agent, unsigned node)
{
    return agent->config.world->hosts[node];
}

/* ---- what ours have to say ---- */

void events_spread(void *ctx, const unsigned *nodes, unsigned count,
                   const void *bytes, size_t len)
{
    struct agent *agent = ctx;
    struct pack p = {0};

    pack_bytes(&p, bytes, len);
    for (unsigned i = 0; i < count; i++)
        peers_tell(agent, nodes[i], PEERS_EVENT, &p);
    free(p.bytes);
}

static void pack_rank(struct pack *p, const struct pmixsrv_job *job,
                      unsigned rank)
{
    pack_str(p, pmixsrv_job_nspace(job));
    pack_u32(p, rank);
}

void events_send_lost(const struct job *job, unsigned rank)
{
    struct agent *agent = job->agent;
    const struct agent_world *world = agent->config.world;
    struct pack p = {0};

    if (agent->peers == NULL)
        return;
    pack_u32(&p, job->number);
    pack_u32(&p, rank);
    for (unsigned node = 0; node < world->node_count; node++)
        if (node != world->node)
            peers_tell(agent, node, PEERS_LOST, &p);
    free(p.bytes);
}

void events_send_signal(struct agent *agent, const struct pmixsrv_job *job,
                        unsigned rank, int signal)
{
    struct pack p = {0};

    if (agent->peers == NULL)
        return;
    pack_rank(&p, job, rank);
    pack_u32(&p, (uint32_t)signal);
    peers_tell(agent, pmixsrv_rank_node(job, rank), PEERS_SIGNAL, &p);
    free(p.bytes);
}

/* ---- what others say ---- */

void events_take(struct agent *agent, unsigned from, struct unpack *u)
{
    struct ct_error err;

    if (pmixsrv_event(agent->pmix, u->bytes, u->len, &err) < 0)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: from node %s: %s", agent->host,
                   name_of(agent, from), err.text);
}

/* The job, or NULL; *ret_rank is one of it. */
static struct pmixsrv_job *take_rank(struct agent *agent, struct unpack *u,
                                     unsigned *ret_rank)
{
    const char *nspace = unpack_str(u);
    struct pmixsrv_job *job;

    *ret_rank = unpack_u32(u);
    if (u->failed || nspace == NULL)
        return NULL;
    job = pmixsrv_find_job(agent->pmix, nspace);
    return job != NULL && *ret_rank < pmixsrv_job_size(job) ? job : NULL;
}

/* Each node tells of its own. */
void events_take_lost(struct agent *agent, unsigned from, struct unpack *u)
{
    uint32_t number = unpack_u32(u), rank = unpack_u32(u);
    struct job *job = agent->jobs;

    while (job != NULL && job->number != number)
        job = job->next;
    if (!u->failed && job != NULL && agent->config.continues &&
        rank < job->size && job->node_of != NULL && job->node_of[rank] == from)
        job_lose(job, rank);
}

void events_take_signal(struct agent *agent, unsigned from, struct unpack *u)
{
    unsigned rank;
    struct pmixsrv_job *job = take_rank(agent, u, &rank);
    int signal = (int)unpack_u32(u);

    (void)from;
    if (job != NULL && !u->failed && !pmixsrv_rank_elsewhere(job, rank))
        pmix_signal_here(agent, job, rank, signal);
}
