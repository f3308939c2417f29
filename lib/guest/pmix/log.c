/*
 * PMIx_Log: text for the user, from a rank, beside its own output.
 */
#include "guest/pmix/state.h"

#include <string.h>

static const struct channel_row {
    const char *key;
    bool is_error;
} rows[] = {
    {PMIX_LOG_STDERR, true},
    {PMIX_LOG_STDOUT, false},
};

/*
 * Text that ranks mark as the same (PMIX_LOG_AGG) libpmix 4.2 and newer hands
 * on once, and some seconds later says how many more have sent it, as the
 * server.
 */
static bool log_item(struct pmixsrv *server, struct pmixsrv_job *job,
                     unsigned rank, const pmix_info_t *info)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].key, info->key) == 0 &&
            info->value.type == PMIX_STRING &&
            info->value.data.string != NULL) {
            server->config.callbacks.log(server->config.ctx, job, rank,
                                         rows[i].is_error,
                                         info->value.data.string);
            return true;
        }
    return false;
}

/* It has a terminal of its own. */
static bool is_tool(const struct pmixsrv *server, const struct request *request)
{
    return relays_have(&server->relays, request->proc.nspace);
}

void log_request(struct pmixsrv *server, struct request *request)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, request->proc.nspace);
    size_t done = 0;

    if (job != NULL && request->proc.rank >= job->size)
        job = NULL;
    for (size_t i = 0; i < request->ninfo && !is_tool(server, request); i++)
        done += log_item(server, job, request->proc.rank, &request->info[i]);
    request_answer_op(request, done == request->ninfo ? PMIX_SUCCESS
                               : done > 0             ? PMIX_ERR_PARTIAL_SUCCESS
                                                      : PMIX_ERR_NOT_SUPPORTED);
}
