/*
 * Groups of processes: MPI Sessions and MPI_Comm_create_from_group. libpmix has
 * collected the members of this node; what it cannot make is a context id that
 * no other group of the jobs here has (exchange.c). The members go back with
 * the answer: clients of 5.0 and later read them.
 */
#include "guest/pmix/state.h"

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
