/* reinit: two MPI sessions, one after the other; "reinit ok SIZE" */
#include "common.h"

#if MPI_VERSION >= 4 || defined(OPEN_MPI) && OMPI_MAJOR_VERSION >= 5
static int one_session(const char *name, int *ret_rank)
{
    MPI_Session session;
    MPI_Group group;
    MPI_Comm comm;
    int size, one = 1, sum = 0;

    MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &session);
    MPI_Group_from_session_pset(session, "mpi://WORLD", &group);
    MPI_Comm_create_from_group(group, name, MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL,
                               &comm);
    MPI_Comm_rank(comm, ret_rank);
    MPI_Comm_size(comm, &size);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, comm);
    if (sum != size)
        exit(99);
    MPI_Comm_free(&comm);
    MPI_Group_free(&group);
    MPI_Session_finalize(&session);
    return size;
}

int main(void)
{
    int rank, first = one_session("first", &rank);

    if (one_session("second", &rank) != first)
        return 98;
    if (rank == 0)
        printf("reinit ok %d\n", first);
    return 0;
}
#else
int main(void)
{
    puts("reinit: this MPI has no sessions");
    return 77;
}
#endif
