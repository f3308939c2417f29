/*
 * Tools: who connects without being a rank that was told to. libpmix asks for
 * no proof of the user that one says it is of, and if its host has no upcall
 * for them lets in each that brings a name. Here one is let in that bears the
 * name of a rank, as a rank's own tools do: whoever knows it was told so.
 *
 * To refuse is not to answer. Told that a tool is refused, libpmix 4.2 takes it
 * off a list that it is not on yet, and crashes.
 */
#include "guest/pmix/state.h"

#include <stdio.h>
#include <string.h>

/* libpmix adds the name after what the tool itself has to tell. */
static bool find_name(const struct request *request, pmix_proc_t *ret)
{
    bool has_nspace = false, has_rank = false;

    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < request->ninfo; i++) {
        const pmix_info_t *info = &request->info[i];

        if (strcmp(info->key, PMIX_NSPACE) == 0 &&
            info->value.type == PMIX_STRING &&
            info->value.data.string != NULL) {
            snprintf(ret->nspace, sizeof ret->nspace, "%s",
                     info->value.data.string);
            has_nspace = true;
        } else if (strcmp(info->key, PMIX_RANK) == 0 &&
                   info->value.type == PMIX_PROC_RANK) {
            ret->rank = info->value.data.rank;
            has_rank = true;
        }
    }
    return has_nspace && has_rank;
}

static bool is_rank(struct pmixsrv *server, const pmix_proc_t *proc)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    return job != NULL && proc->rank < job->size;
}

void tool_admit(struct pmixsrv *server, struct request *request)
{
    pmix_proc_t name;

    if (find_name(request, &name) && is_rank(server, &name))
        request->answer.tool(PMIX_SUCCESS, &name, request->cbdata);
    request_free(request);
}
