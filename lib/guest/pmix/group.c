/*
 * Groups of processes: MPI Sessions and MPI_Comm_create_from_group. libpmix has
 * collected the members of this node; what it cannot make is a context id that
 * no other group of the jobs here has (exchange.c). The members go back with
 * the answer: clients of 5.0 and later read them.
 */
#include "guest/pmix/state.h"

#include <stdio.h>
#include <string.h>

#ifndef PMIX_GROUP_INFO /* of 4.1 */
#define PMIX_GROUP_INFO "pmix.grp.info"
#endif

/* ---- clients that cannot read the context id ---- */

/* What newer clients than 5.0 contribute begins with whose it is. */
static bool is_nameless(const pmix_info_t *info)
{
    const pmix_data_array_t *array = info->value.data.darray;

    return strcmp(info->key, PMIX_GROUP_INFO) == 0 &&
           info->value.type == PMIX_DATA_ARRAY && array != NULL &&
           array->type == PMIX_INFO && array->size > 0 &&
           strcmp(((pmix_info_t *)array->array)->key, PMIX_PROCID) != 0;
}

/* Open MPI 5.0 does contribute something, whenever it wants a context id. */
static bool is_blurred(const struct pmixsrv *server,
                       const struct request *request)
{
    for (size_t i = 0; server->blurs_contexts && i < request->ninfo; i++)
        if (is_nameless(&request->info[i]))
            return true;
    return false;
}

/* Is the process in such a group? NULL: other nodes look after theirs. */
static bool *find_mark(struct pmixsrv *server, const pmix_proc_t *proc)
{
    struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    if (job == NULL || proc->rank >= job->size ||
        pmixsrv_rank_elsewhere(job, proc->rank))
        return NULL;
    return &job->blurred[proc->rank];
}

static bool admit(struct pmixsrv *server, const pmix_proc_t *proc)
{
    bool *mark = find_mark(server, proc);

    if (mark == NULL)
        return true;
    if (*mark)
        return false;
    *mark = true;
    return true;
}

void group_leave_all(struct pmixsrv *server, const pmix_proc_t *proc)
{
    bool *mark = find_mark(server, proc);

    if (mark != NULL)
        *mark = false;
}

static void tell(struct pmixsrv *server)
{
    char text[160];

    snprintf(text, sizeof text,
             "a rank's second group is refused: Open MPI 5.0 would mix up its "
             "messages with OpenPMIx %s (MPI_Comm_create_from_group)",
             server->version);
    if (!server->told_of_contexts)
        server->config.callbacks.log(server->config.ctx, NULL, 0, true, text);
    server->told_of_contexts = true;
}

/*
 * Of two groups of one rank MPI would take the messages of one for those of the
 * other, whose context id is the same. It may be in one only.
 */
pmix_status_t group_judge(struct pmixsrv *server, const struct request *request)
{
    bool admitted = true;

    if (!is_blurred(server, request))
        return PMIX_SUCCESS;
    for (size_t i = 0; i < request->ntargets; i++)
        admitted &= admit(server, &request->targets[i]);
    if (admitted)
        return PMIX_SUCCESS;
    tell(server);
    return PMIX_ERR_NOT_SUPPORTED;
}

/* ---- the answer ---- */

void group_answer(struct request *request, pmix_status_t status, size_t context)
{
    struct infolist list = {0};
    pmix_data_array_t members = {
        .type = PMIX_PROC,
        .size = request->ntargets,
        .array = (void *)request->targets,
    };

    if (info_is_true(request->info, request->ninfo,
                     PMIX_GROUP_ASSIGN_CONTEXT_ID))
        infolist_add(&list, PMIX_GROUP_CONTEXT_ID, &context, PMIX_SIZE);
    infolist_add(&list, PMIX_GROUP_MEMBERSHIP, &members, PMIX_DATA_ARRAY);
    request_answer_info(request, status, &list);
}
