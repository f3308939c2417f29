/*
 * recover: rank 1 kills itself; the others notice, revoke, agree and shrink
 * (ULFM), and go on as a smaller world. One prints "recover ok SIZE".
 */
#include "common.h"

#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif
#include <signal.h>

#if defined(OMPI_HAVE_MPI_EXT_FTMPI) && OMPI_HAVE_MPI_EXT_FTMPI
/* The first is what Open MPI 6 has for a process that was killed. */
static int means_loss(int class)
{
#ifdef MPI_ERR_PROC_ABORTED
    if (class == MPI_ERR_PROC_ABORTED)
        return 1;
#endif
    return class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_REVOKED;
}

int main(int argc, char **argv)
{
    MPI_Comm left;
    int rank, size, code, class, fine, one = 1, sum = 0;

    MPI_Init(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    rank = my_rank();
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1)
        raise(SIGKILL);
    do
        code = MPI_Barrier(MPI_COMM_WORLD);
    while (code == MPI_SUCCESS);
    MPI_Error_class(code, &class);
    CHECK(means_loss(class));
    MPIX_Comm_revoke(MPI_COMM_WORLD);
    CHECK(MPIX_Comm_shrink(MPI_COMM_WORLD, &left) == MPI_SUCCESS);
    fine = 1;
    CHECK(MPIX_Comm_agree(left, &fine) == MPI_SUCCESS && fine == 1);
    CHECK(MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, left) == MPI_SUCCESS);
    MPI_Comm_size(left, &size);
    CHECK(sum == size && size == my_size() - 1);
    MPI_Comm_rank(left, &rank);
    if (rank == 0)
        printf("recover ok %d\n", size);
    MPI_Comm_free(&left);
    MPI_Finalize();
    return 0;
}
#else
int main(void)
{
    puts("recover: this MPI cannot");
    return 77;
}
#endif
