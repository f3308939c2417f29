/*
 * What libpmix calls its host for. Everything here runs on libpmix's thread and
 * does no more than to hand a request over; but for those upcalls that have the
 * same answer always.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * libpmix gives its host no pointer back, and is itself one a process: this is
 * the only variable. It is set before libpmix starts, and stays.
 */
static struct pmixsrv *the_server;

void pmixsrv_accept_upcalls(struct pmixsrv *server)
{
    the_server = server;
}

struct sieve *pmixsrv_sieve(void)
{
    return the_server != NULL ? &the_server->sieve : NULL;
}

void request_free(struct request *request)
{
    for (size_t i = 0; request->copied != NULL && i < request->ninfo; i++)
        PMIX_INFO_DESTRUCT(&request->copied[i]);
    free(request->copied);
    free(request->text);
    free(request->data);
    free(request);
}

void request_answer_op(struct request *request, pmix_status_t status)
{
    if (request->answer.op != NULL)
        request->answer.op(status, request->cbdata);
    request_free(request);
}

static void release_list(void *ctx)
{
    infolist_clear(ctx);
    free(ctx);
}

void request_answer_info(struct request *request, pmix_status_t status,
                         struct infolist *list)
{
    struct infolist *kept = malloc(sizeof *kept);

    if (kept == NULL || list->failed) {
        infolist_clear(list);
        free(kept);
        request->answer.info(PMIX_ERR_NOMEM, NULL, 0, request->cbdata, NULL,
                             NULL);
    } else {
        *kept = *list;
        request->answer.info(status, kept->items, kept->count, request->cbdata,
                             release_list, kept);
    }
    request_free(request);
}

typedef void serve_fn(struct pmixsrv *server, struct request *request);

static struct request *request_new(serve_fn *serve, const pmix_proc_t *proc,
                                   const pmix_info_t *info, size_t ninfo,
                                   void *cbdata)
{
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return NULL;
    request->serve = serve;
    if (proc != NULL)
        request->proc = *proc;
    request->info = info;
    request->ninfo = ninfo;
    request->cbdata = cbdata;
    return request;
}

/* request may be NULL: there was no memory for it. */
static pmix_status_t hand_over(struct request *request)
{
    struct pmixsrv *server = the_server;

    if (request == NULL)
        return PMIX_ERR_NOMEM;
    pthread_mutex_lock(&server->lock);
    *server->last = request;
    server->last = &request->next;
    pthread_mutex_unlock(&server->lock);
    eventfd_write(server->wake, 1); /* fails only where it is woken anyway */
    return PMIX_SUCCESS;
}

static pmix_status_t hand_over_op(struct request *request,
                                  pmix_op_cbfunc_t answer)
{
    if (request != NULL)
        request->answer.op = answer;
    return hand_over(request);
}

/* Of some processes, with a list for an answer. */
static pmix_status_t hand_over_targets(struct request *request,
                                       const pmix_proc_t *targets,
                                       size_t ntargets,
                                       pmix_info_cbfunc_t answer)
{
    if (request != NULL) {
        request->targets = targets;
        request->ntargets = ntargets;
        request->answer.info = answer;
    }
    return hand_over(request);
}

/* ---- clients come and go ---- */

/* server_object: what PMIx_server_register_client() was given. */
static void set_state(struct request *request, enum pmixsrv_state state)
{
    *request->state = state;
    request_answer_op(request, PMIX_SUCCESS);
}

static void serve_connected(struct pmixsrv *server, struct request *request)
{
    (void)server;
    set_state(request, PMIXSRV_ACTIVE);
}

static void serve_finalized(struct pmixsrv *server, struct request *request)
{
    group_leave_all(server, &request->proc);
    set_state(request, PMIXSRV_FINALIZED);
}

static pmix_status_t of_client(serve_fn *serve, const pmix_proc_t *proc,
                               enum pmixsrv_state *state,
                               pmix_op_cbfunc_t answer, void *cbdata)
{
    struct request *request;

    if (state == NULL)
        return PMIX_OPERATION_SUCCEEDED; /* a tool */
    request = request_new(serve, proc, NULL, 0, cbdata);
    if (request != NULL)
        request->state = state;
    return hand_over_op(request, answer);
}

static pmix_status_t on_connected(const pmix_proc_t *proc, void *client,
                                  pmix_op_cbfunc_t answer, void *cbdata)
{
    return of_client(serve_connected, proc, client, answer, cbdata);
}

static pmix_status_t on_finalized(const pmix_proc_t *proc, void *client,
                                  pmix_op_cbfunc_t answer, void *cbdata)
{
    return of_client(serve_finalized, proc, client, answer, cbdata);
}

/* info lives until it is answered. Which connection it is, only this thread can
   tell: it greets one at a time. */
static void on_tool(pmix_info_t *info, size_t ninfo,
                    pmix_tool_connection_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(tool_admit, NULL, info, ninfo, cbdata);

    if (request != NULL) {
        request->answer.tool = answer;
        request->socket = sockets_find(&the_server->sockets);
    }
    hand_over(request);
}

static bool is_of_some(const struct pmixsrv *server,
                       const struct request *request)
{
    for (size_t i = 0; i < request->ntargets; i++)
        if (request->targets[i].rank == PMIX_RANK_WILDCARD)
            return false;
    return server->config.continues && request->ntargets > 0;
}

static void serve_abort(struct pmixsrv *server, struct request *request)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, request->proc.nspace);

    if (is_of_some(server, request))
        control_kill(server, request->targets, request->ntargets);
    else if (job != NULL && request->proc.rank < job->size)
        server->config.callbacks.abort(
            server->config.ctx, job, request->proc.rank, request->status,
            request->text != NULL ? request->text : "");
    request_answer_op(request, PMIX_SUCCESS);
}

static void copy_targets(struct request *request, const pmix_proc_t *procs,
                         size_t count)
{
    pmix_proc_t *copy = calloc(count + 1, sizeof *copy);

    if (copy == NULL)
        return; /* then all are meant */
    if (count > 0)
        memcpy(copy, procs, count * sizeof *copy);
    request->data = (char *)copy;
    request->targets = copy;
    request->ntargets = count;
}

/* libpmix keeps neither message nor procs. */
static pmix_status_t on_abort(const pmix_proc_t *proc, void *client, int status,
                              const char message[], pmix_proc_t procs[],
                              size_t nprocs, pmix_op_cbfunc_t answer,
                              void *cbdata)
{
    struct request *request = request_new(serve_abort, proc, NULL, 0, cbdata);

    (void)client;
    if (request != NULL) {
        request->status = status;
        request->text = message != NULL ? strdup(message) : NULL;
        copy_targets(request, procs, nprocs);
    }
    return hand_over_op(request, answer);
}

void pmixsrv_on_closed(const pmix_proc_t *proc)
{
    hand_over(request_new(loss_closed, proc, NULL, 0, NULL));
}

/* ---- data ---- */

/* What has become of it among this node's: a member may have died. 4.0 does not
   say, and connect and groups of none do. */
static pmix_status_t local_status(const pmix_info_t info[], size_t ninfo)
{
#ifdef PMIX_LOCAL_COLLECTIVE_STATUS
    for (size_t i = 0; i < ninfo; i++)
        if (strcmp(info[i].key, PMIX_LOCAL_COLLECTIVE_STATUS) == 0 &&
            info[i].value.type == PMIX_STATUS &&
            info[i].value.data.status != PMIX_SUCCESS)
            return PMIX_ERR_PARTIAL_SUCCESS;
#else
    (void)info;
    (void)ninfo;
#endif
    return PMIX_SUCCESS;
}

static pmix_status_t on_fence(const pmix_proc_t procs[], size_t nprocs,
                              const pmix_info_t info[], size_t ninfo,
                              char *data, size_t ndata,
                              pmix_modex_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(exchange_fence, NULL, info, ninfo, cbdata);

    if (request == NULL)
        return PMIX_ERR_NOMEM;
    request->status = local_status(info, ninfo);
    request->targets = procs;
    request->ntargets = nprocs;
    request->data = data; /* from here on it is ours */
    request->ndata = ndata;
    request->answer.modex = answer;
    return hand_over(request);
}

static pmix_status_t on_direct_modex(const pmix_proc_t *proc,
                                     const pmix_info_t info[], size_t ninfo,
                                     pmix_modex_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(exchange_modex, proc, info, ninfo, cbdata);

    if (request != NULL)
        request->answer.modex = answer;
    return hand_over(request);
}

/* data is libpmix's, and gone when this returns. */
void pmixsrv_on_served(pmix_status_t status, char *data, size_t size,
                       void *cbdata)
{
    struct request *request =
        request_new(exchange_served, NULL, NULL, 0, cbdata);

    if (request == NULL)
        return;
    request->status = status;
    request->data = size > 0 ? malloc(size) : NULL;
    if (request->data != NULL) {
        memcpy(request->data, data, size);
        request->ndata = size;
    } else if (size > 0) {
        request->status = PMIX_ERR_NOMEM;
    }
    hand_over(request);
}

static pmix_status_t on_publish(const pmix_proc_t *proc,
                                const pmix_info_t info[], size_t ninfo,
                                pmix_op_cbfunc_t answer, void *cbdata)
{
    return hand_over_op(request_new(home_publish, proc, info, ninfo, cbdata),
                        answer);
}

static pmix_status_t on_lookup(const pmix_proc_t *proc, char **keys,
                               const pmix_info_t info[], size_t ninfo,
                               pmix_lookup_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(home_lookup, proc, info, ninfo, cbdata);

    if (request != NULL) {
        request->keys = keys;
        request->answer.lookup = answer;
    }
    return hand_over(request);
}

static pmix_status_t on_unpublish(const pmix_proc_t *proc, char **keys,
                                  const pmix_info_t info[], size_t ninfo,
                                  pmix_op_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(home_unpublish, proc, info, ninfo, cbdata);

    if (request != NULL)
        request->keys = keys;
    return hand_over_op(request, answer);
}

/* ---- jobs and groups of processes ---- */

static pmix_status_t on_spawn(const pmix_proc_t *proc, const pmix_info_t info[],
                              size_t ninfo, const pmix_app_t apps[],
                              size_t napps, pmix_spawn_cbfunc_t answer,
                              void *cbdata)
{
    struct request *request =
        request_new(spawn_request, proc, info, ninfo, cbdata);

    if (request != NULL) {
        request->apps = apps;
        request->napps = napps;
        request->answer.spawn = answer;
    }
    return hand_over(request);
}

/* All that are of this node have come. */
static pmix_status_t on_connect(const pmix_proc_t procs[], size_t nprocs,
                                const pmix_info_t info[], size_t ninfo,
                                pmix_op_cbfunc_t answer, void *cbdata)
{
    struct request *request =
        request_new(exchange_connect, NULL, info, ninfo, cbdata);

    if (request != NULL) {
        request->status = local_status(info, ninfo);
        request->targets = procs;
        request->ntargets = nprocs;
    }
    return hand_over_op(request, answer);
}

static pmix_status_t on_group(pmix_group_operation_t op, char *name,
                              const pmix_proc_t procs[], size_t nprocs,
                              const pmix_info_t directives[], size_t ndirs,
                              pmix_info_cbfunc_t answer, void *cbdata)
{
    struct request *request;

    (void)name;
    if (op != PMIX_GROUP_CONSTRUCT)
        return PMIX_OPERATION_SUCCEEDED; /* 5.0 answers it, whatever we do */
    request = request_new(exchange_group, NULL, directives, ndirs, cbdata);
    if (request != NULL)
        request->status = local_status(directives, ndirs);
    return hand_over_targets(request, procs, nprocs, answer);
}

/* ---- events ---- */

/* Every event is brought to every rank of this node that wants it. */
static pmix_status_t on_register_events(pmix_status_t *codes, size_t ncodes,
                                        const pmix_info_t info[], size_t ninfo,
                                        pmix_op_cbfunc_t answer, void *cbdata)
{
    (void)codes;
    (void)ncodes;
    (void)info;
    (void)ninfo;
    (void)answer;
    (void)cbdata;
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t on_deregister_events(pmix_status_t *codes, size_t ncodes,
                                          pmix_op_cbfunc_t answer, void *cbdata)
{
    return on_register_events(codes, ncodes, NULL, 0, answer, cbdata);
}

static int copy_info(struct request *request, const pmix_info_t *info,
                     size_t ninfo)
{
    request->copied = calloc(ninfo + 1, sizeof *request->copied);
    if (request->copied == NULL)
        return -1;
    for (size_t i = 0; i < ninfo; i++)
        PMIX_INFO_XFER(&request->copied[i], &info[i]);
    request->info = request->copied;
    request->ninfo = ninfo;
    return 0;
}

/*
 * Those of this node libpmix tells itself. It is not answered: what 4.2 keeps
 * for that (pmix_prm_base_notify) is freed before the answer can come, whose
 * lock then is anything. So all is copied.
 */
static pmix_status_t on_notify_event(pmix_status_t code,
                                     const pmix_proc_t *source,
                                     pmix_data_range_t range,
                                     pmix_info_t info[], size_t ninfo,
                                     pmix_op_cbfunc_t answer, void *cbdata)
{
    struct request *request;

    (void)answer;
    (void)cbdata;
    if (source == NULL || !event_leaves_node(range))
        return PMIX_OPERATION_SUCCEEDED;
    request = request_new(event_spread, source, NULL, 0, NULL);
    if (request == NULL)
        return PMIX_ERR_NOMEM;
    request->status = code;
    request->range = range;
    if (copy_info(request, info, ninfo) < 0) {
        request_free(request);
        return PMIX_ERR_NOMEM;
    }
    hand_over(request);
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t on_query(pmix_proc_t *proc, pmix_query_t *queries,
                              size_t nqueries, pmix_info_cbfunc_t answer,
                              void *cbdata)
{
    struct request *request = request_new(census_begin, proc, NULL, 0, cbdata);

    if (request != NULL) {
        request->queries = queries;
        request->nqueries = nqueries;
        request->answer.info = answer;
    }
    return hand_over(request);
}

static pmix_status_t on_job_control(const pmix_proc_t *proc,
                                    const pmix_proc_t targets[],
                                    size_t ntargets,
                                    const pmix_info_t directives[],
                                    size_t ndirs, pmix_info_cbfunc_t answer,
                                    void *cbdata)
{
    if (!control_is_understood(directives, ndirs))
        return PMIX_ERR_NOT_SUPPORTED;
    return hand_over_targets(
        request_new(control_request, proc, directives, ndirs, cbdata), targets,
        ntargets, answer);
}

/*
 * It is answered here and now: libpmix 4.2 frees what it keeps for an answer
 * that comes later.
 */
static pmix_status_t on_pull(const pmix_proc_t procs[], size_t nprocs,
                             const pmix_info_t directives[], size_t ndirs,
                             pmix_iof_channel_t channels,
                             pmix_op_cbfunc_t answer, void *cbdata)
{
    pmix_status_t rc =
        iof_judge(the_server, procs, nprocs, directives, ndirs, channels);
    struct request *request;

    (void)answer;
    (void)cbdata;
    if (rc != PMIX_SUCCESS)
        return rc;
    request = request_new(iof_pull, NULL, NULL, 0, NULL);
    if (request == NULL)
        return PMIX_ERR_NOMEM;
    request->channels = channels;
    if (nprocs > 0) {
        request->data = malloc(nprocs * sizeof *procs);
        if (request->data == NULL) {
            request_free(request);
            return PMIX_ERR_NOMEM;
        }
        memcpy(request->data, procs, nprocs * sizeof *procs);
        request->ndata = nprocs;
    }
    hand_over(request);
    return PMIX_OPERATION_SUCCEEDED;
}

static pmix_status_t on_push(const pmix_proc_t *source,
                             const pmix_proc_t targets[], size_t ntargets,
                             const pmix_info_t directives[], size_t ndirs,
                             const pmix_byte_object_t *object,
                             pmix_op_cbfunc_t answer, void *cbdata)
{
    struct request *request;

    if (!the_server->config.forwards)
        return PMIX_ERR_NOT_SUPPORTED;
    request = request_new(push_request, source, directives, ndirs, cbdata);
    if (request != NULL) {
        request->targets = targets;
        request->ntargets = ntargets;
        request->object = object;
    }
    return hand_over_op(request, answer);
}

static void on_log(const pmix_proc_t *proc, const pmix_info_t data[],
                   size_t ndata, const pmix_info_t directives[], size_t ndirs,
                   pmix_op_cbfunc_t answer, void *cbdata)
{
    (void)directives;
    (void)ndirs;
    if (hand_over_op(request_new(log_request, proc, data, ndata, cbdata),
                     answer) != PMIX_SUCCESS &&
        answer != NULL)
        answer(PMIX_ERR_NOMEM, cbdata);
}

/*
 * Not const, because libpmix takes no pointer to const. An upcall that is left
 * out is answered with PMIX_ERR_NOT_SUPPORTED, which clients know to handle;
 * but without tool_connected libpmix lets strangers in (tool.c).
 */
pmix_server_module_t *pmixsrv_module(void)
{
    static const pmix_server_module_t module = {
        .client_connected = on_connected,
        .client_finalized = on_finalized,
        .abort = on_abort,
        .fence_nb = on_fence,
        .direct_modex = on_direct_modex,
        .publish = on_publish,
        .lookup = on_lookup,
        .unpublish = on_unpublish,
        .spawn = on_spawn,
        .connect = on_connect,
        .disconnect = on_connect,
        .register_events = on_register_events,
        .deregister_events = on_deregister_events,
        .notify_event = on_notify_event,
        .query = on_query,
        .tool_connected = on_tool,
        .log = on_log,
        .iof_pull = on_pull,
        .push_stdin = on_push,
        .job_control = on_job_control,
        .group = on_group,
    };

    return (pmix_server_module_t *)&module;
}
