/*
 * Ranks that die while others go on.
 *
 * libpmix must forget a dead client: whom a list names it waits for as long as
 * it knows him. But the fences that are under way it ends only when it finds
 * the connection closed, which it does not look at any more once it is told to
 * forget. So it is told when it has found that, of which there is an event, and
 * the others hear of the death then. A child of the dead one may hold the
 * connection, so nobody waits for that for long.
 */
#include "guest/pmix/state.h"

#include <sys/timerfd.h>
#include <unistd.h>

/* As PRRTE tells it, so that MPIs that recover (ULFM) know it. */
static void tell(const struct pmixsrv_job *job, unsigned rank)
{
    struct infolist info = {0};
    pmix_proc_t proc;

    pmixsrv_proc(job, rank, &proc);
    infolist_add(&info, PMIX_EVENT_AFFECTED_PROC, &proc, PMIX_PROC);
    if (!info.failed)
        PMIx_Notify_event(PMIX_ERR_PROC_ABORTED, &proc, PMIX_RANGE_NAMESPACE,
                          info.items, info.count, NULL, NULL);
    infolist_clear(&info);
}

static void ignore(pmix_status_t status, void *ctx)
{
    (void)status;
    (void)ctx;
}

static void forget(const struct pmixsrv_job *job, unsigned rank)
{
    pmix_proc_t proc;

    pmixsrv_proc(job, rank, &proc);
    PMIx_server_deregister_client(&proc, ignore, NULL);
}

/* Of those that had not finalized libpmix tells; others it awaits no more. */
static bool is_closed(const struct pmixsrv_job *job, unsigned rank)
{
    return job->losses[rank].closed || job->states[rank] != PMIXSRV_ACTIVE;
}

/* false: not yet */
static bool settle(struct pmixsrv_job *job, unsigned rank)
{
    struct loss *loss = &job->losses[rank];

    if (!loss->dead || loss->told || job->server->stopped)
        return true;
    if (!pmixsrv_rank_elsewhere(job, rank)) {
        if (!is_closed(job, rank))
            return false;
        forget(job, rank);
    }
    loss->told = true;
    tell(job, rank);
    return true;
}

void loss_closed(struct pmixsrv *server, struct request *request)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, request->proc.nspace);

    if (job != NULL && request->proc.rank < job->size) {
        job->losses[request->proc.rank].closed = true;
        if (job->states[request->proc.rank] == PMIXSRV_ACTIVE)
            job->states[request->proc.rank] = PMIXSRV_LOST;
        settle(job, request->proc.rank);
    }
    request_free(request);
}

static void on_closed(size_t id, pmix_status_t status,
                      const pmix_proc_t *source, pmix_info_t info[],
                      size_t ninfo, pmix_info_t results[], size_t nresults,
                      pmix_event_notification_cbfunc_fn_t done, void *ctx)
{
    (void)id;
    (void)status;
    (void)info;
    (void)ninfo;
    (void)results;
    (void)nresults;
    if (source != NULL)
        pmixsrv_on_closed(source);
    done(PMIX_EVENT_NO_ACTION_TAKEN, NULL, 0, NULL, NULL, ctx);
}

void loss_listen(void)
{
    pmix_status_t code = PMIX_ERR_LOST_CONNECTION;

    PMIx_Register_event_handler(&code, 1, NULL, 0, on_closed, NULL, NULL);
}

void pmixsrv_rank_lost(struct pmixsrv_job *job, unsigned rank)
{
    const struct itimerspec wait = {.it_value.tv_sec = 1};

    job->losses[rank].dead = true;
    if (!settle(job, rank))
        timerfd_settime(job->server->patience, 0, &wait, NULL);
}

void losses_expire(struct pmixsrv *server)
{
    uint64_t count;

    if (read(server->patience, &count, sizeof count) < 0)
        return;
    for (struct pmixsrv_job *job = server->jobs; job != NULL; job = job->next)
        for (unsigned rank = 0; rank < job->size; rank++)
            if (job->losses[rank].dead) {
                job->losses[rank].closed = true;
                settle(job, rank);
            }
}
