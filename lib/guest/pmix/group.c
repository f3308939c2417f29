/*
 * Groups of processes: MPI Sessions and MPI_Comm_create_from_group. libpmix has
 * collected the members of this node; what it cannot make is a context id that
 * no other group of the jobs here has (exchange.c). The members go back with
 * the answer: clients of 5.0 and later read them.
 */
#include "guest/pmix/state.h"

#include <string.h>

static bool wants_context(const struct request *request)
{
    for (size_t i = 0; i < request->ninfo; i++)
        if (strcmp(request->info[i].key, PMIX_GROUP_ASSIGN_CONTEXT_ID) == 0)
            return PMIX_INFO_TRUE(&request->info[i]);
    return false;
}

void group_answer(struct request *request, pmix_status_t status, size_t context)
{
    struct infolist list = {0};
    pmix_data_array_t members = {
        .type = PMIX_PROC,
        .size = request->ntargets,
        .array = (void *)request->targets,
    };

    if (wants_context(request))
        infolist_add(&list, PMIX_GROUP_CONTEXT_ID, &context, PMIX_SIZE);
    infolist_add(&list, PMIX_GROUP_MEMBERSHIP, &members, PMIX_DATA_ARRAY);
    request_answer_info(request, status, &list);
}
