/*
 * Job control: what may be asked for is a signal, by one of several names, or
 * that something be cleaned up, which libpmix does itself, but only for a host
 * that has this upcall.
 *
 * What is to be cleaned up it does not tell its host. It removes a rank's files
 * when it misses or forgets the rank, and those of a job when it forgets the
 * job. Of a job that fails its thread is held before that (pmixsrv_stop()), so
 * that it does not see several connections close at once, which it would as
 * soon as it looks at its descriptors again. So when all ranks have ended it is
 * given the work, with another hold behind it, and only then let go: it does
 * what lies in its queue before it looks at any descriptor.
 */
#include "guest/pmix/state.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static int signal_of_flag(const pmix_info_t *info, int signal)
{
    return PMIX_INFO_TRUE(info) ? signal : 0;
}

static int signal_of_number(const pmix_info_t *info, int signal)
{
    (void)signal;
    return info->value.type == PMIX_INT && info->value.data.integer <= SIGRTMAX
               ? info->value.data.integer
               : -1;
}

static int no_signal(const pmix_info_t *info, int signal)
{
    (void)info;
    (void)signal;
    return 0;
}

/* get() tells the signal, 0: none, -1: not understood. */
static const struct directive_row {
    const char *key;
    int (*get)(const pmix_info_t *info, int signal);
    int signal;
} rows[] = {
    {PMIX_JOB_CTRL_KILL, signal_of_flag, SIGKILL},
    {PMIX_JOB_CTRL_TERMINATE, signal_of_flag, SIGTERM},
    {PMIX_JOB_CTRL_PAUSE, signal_of_flag, SIGSTOP},
    {PMIX_JOB_CTRL_RESUME, signal_of_flag, SIGCONT},
    {PMIX_JOB_CTRL_SIGNAL, signal_of_number, 0},
    {PMIX_JOB_CTRL_ID, no_signal, 0},
    {PMIX_REGISTER_CLEANUP, no_signal, 0},
    {PMIX_REGISTER_CLEANUP_DIR, no_signal, 0},
    {PMIX_CLEANUP_RECURSIVE, no_signal, 0},
    {PMIX_CLEANUP_EMPTY, no_signal, 0},
    {PMIX_CLEANUP_IGNORE, no_signal, 0},
    {PMIX_CLEANUP_LEAVE_TOPDIR, no_signal, 0},
};

static int signal_of(const pmix_info_t *info)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].key, info->key) == 0)
            return rows[i].get(info, rows[i].signal);
    return -1;
}

bool control_is_understood(const pmix_info_t *directives, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (signal_of(&directives[i]) < 0)
            return false;
    return true;
}

/* NULL: there is no such rank. */
static struct pmixsrv_job *find_target(struct pmixsrv *server,
                                       const pmix_proc_t *target)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, target->nspace);

    return job != NULL && (target->rank == PMIX_RANK_WILDCARD ||
                           target->rank < job->size)
               ? job
               : NULL;
}

static void signal_target(struct pmixsrv *server, const pmix_proc_t *target,
                          int signal)
{
    struct pmixsrv_job *job = find_target(server, target);

    for (unsigned rank = 0; job != NULL && rank < job->size; rank++)
        if (target->rank == PMIX_RANK_WILDCARD || target->rank == rank)
            server->config.callbacks.signal(server->config.ctx, job, rank,
                                            signal);
}

void control_kill(struct pmixsrv *server, const pmix_proc_t *targets,
                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        signal_target(server, &targets[i], SIGKILL);
}

/* What is to be done, of which no part is libpmix's. */
struct order {
    int *signals;
    size_t signal_count;
    pmix_proc_t *targets;
    size_t target_count;
};

/* Without targets the whole job of who asks is meant. */
static pmix_status_t take_order(const struct request *request,
                                struct order *ret)
{
    *ret = (struct order){
        .signals = calloc(request->ninfo + 1, sizeof *ret->signals),
        .targets = calloc(request->ntargets + 1, sizeof *ret->targets),
        .target_count = request->ntargets,
    };
    if (ret->signals == NULL || ret->targets == NULL)
        return PMIX_ERR_NOMEM;
    for (size_t i = 0; i < request->ninfo; i++) {
        int signal = signal_of(&request->info[i]);

        if (signal > 0)
            ret->signals[ret->signal_count++] = signal;
    }
    if (request->ntargets > 0)
        memcpy(ret->targets, request->targets,
               request->ntargets * sizeof *ret->targets);
    else {
        ret->targets[0] = request->proc;
        ret->targets[0].rank = PMIX_RANK_WILDCARD;
        ret->target_count = 1;
    }
    return PMIX_SUCCESS;
}

static pmix_status_t check_order(struct pmixsrv *server,
                                 const struct order *order)
{
    for (size_t i = 0; order->signal_count > 0 && i < order->target_count; i++)
        if (find_target(server, &order->targets[i]) == NULL)
            return PMIX_ERR_NOT_FOUND;
    return PMIX_SUCCESS;
}

static void carry_out(struct pmixsrv *server, const struct order *order)
{
    for (size_t i = 0; i < order->signal_count; i++)
        for (size_t k = 0; k < order->target_count; k++)
            signal_target(server, &order->targets[k], order->signals[i]);
}

/* The answer first: with those who are killed all of us may end. */
void control_request(struct pmixsrv *server, struct request *request)
{
    struct infolist nothing = {0};
    struct order order;
    pmix_status_t rc = take_order(request, &order);

    if (rc == PMIX_SUCCESS)
        rc = check_order(server, &order);
    server->owes_answer = relays_have(&server->relays, request->proc.nspace);
    request_answer_info(request, rc, &nothing);
    carry_out(server, &order); /* without memory there are no signals in it */
    free(order.signals);
    free(order.targets);
}

/* ---- clean-up ---- */

static void ignore(pmix_status_t status, void *ctx)
{
    (void)status;
    (void)ctx;
}

static void forget(const struct pmixsrv_job *job)
{
    pmix_proc_t proc;

    for (unsigned rank = 0; rank < job->size; rank++) {
        pmixsrv_proc(job, rank, &proc);
        if (!pmixsrv_rank_elsewhere(job, rank))
            PMIx_server_deregister_client(&proc, ignore, NULL);
    }
    PMIx_server_deregister_nspace(job->nspace, ignore, NULL);
}

/* On libpmix's thread, for ever. */
static void hold_again(pmix_status_t status, void *ctx)
{
    struct pmixsrv *server = ctx;

    (void)status;
    hold_tell(server, &server->cleaned);
    for (;;)
        pause();
}

void cleanup_await(struct pmixsrv *server)
{
    pthread_mutex_lock(&server->lock);
    while (!server->let_go)
        pthread_cond_wait(&server->holds, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

static bool is_held(struct pmixsrv *server)
{
    bool held;

    pthread_mutex_lock(&server->lock);
    held = server->held && !server->let_go;
    pthread_mutex_unlock(&server->lock);
    return held;
}

void cleanup_run(struct pmixsrv *server)
{
    if (!is_held(server))
        return;
    for (const struct pmixsrv_job *job = server->jobs; job != NULL;
         job = job->next)
        if (!job->elsewhere)
            forget(job);
    hold_ask(server, hold_again);
    hold_tell(server, &server->let_go);
    hold_await(server, &server->cleaned, 5);
}
