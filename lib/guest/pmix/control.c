/*
 * Job control: what may be asked for is a signal, by one of several names, or
 * that something be cleaned up, which libpmix does itself, but only for a host
 * that has this upcall.
 */
#include "guest/pmix/state.h"

#include <signal.h>
#include <string.h>

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

static pmix_status_t signal_target(struct pmixsrv *server,
                                   const pmix_proc_t *target, int signal)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, target->nspace);
    bool whole = target->rank == PMIX_RANK_WILDCARD;

    if (job == NULL || (!whole && target->rank >= job->size))
        return PMIX_ERR_NOT_FOUND;
    for (unsigned rank = 0; rank < job->size; rank++)
        if (whole || target->rank == rank)
            server->config.callbacks.signal(server->config.ctx, job, rank,
                                            signal);
    return PMIX_SUCCESS;
}

void control_kill(struct pmixsrv *server, const pmix_proc_t *targets,
                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        signal_target(server, &targets[i], SIGKILL);
}

/* Without targets the whole job of who asks is meant. */
static pmix_status_t signal_targets(struct pmixsrv *server,
                                    const struct request *request, int signal)
{
    pmix_proc_t all = request->proc;
    pmix_status_t rc = PMIX_SUCCESS;

    all.rank = PMIX_RANK_WILDCARD;
    if (request->ntargets == 0)
        return signal_target(server, &all, signal);
    for (size_t i = 0; i < request->ntargets; i++)
        if (signal_target(server, &request->targets[i], signal) != PMIX_SUCCESS)
            rc = PMIX_ERR_NOT_FOUND;
    return rc;
}

void control_request(struct pmixsrv *server, struct request *request)
{
    struct infolist nothing = {0};
    pmix_status_t rc = PMIX_SUCCESS;

    for (size_t i = 0; i < request->ninfo; i++) {
        int signal = signal_of(&request->info[i]);

        if (signal > 0 &&
            signal_targets(server, request, signal) != PMIX_SUCCESS)
            rc = PMIX_ERR_NOT_FOUND;
    }
    request_answer_info(request, rc, &nothing);
}
