/*
 * widow child|parent [CHILDREN]: children are spawned and merged with their
 * parents into one communicator; then the second child, or the second parent,
 * is killed; those left shrink the communicator (ULFM), and count themselves.
 * The first of them prints "widow ok LEFT".
 */
#include <mpi.h>
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "widow.c:%d: not so: %s\n", __LINE__, #what);      \
            MPI_Abort(MPI_COMM_WORLD, 99);                                     \
        }                                                                      \
    } while (0)

static void go_on(MPI_Comm all)
{
    MPI_Comm left;
    int before, after, rank, one = 1, sum = 0, code;

    do
        code = MPI_Barrier(all);
    while (code == MPI_SUCCESS);
    MPIX_Comm_revoke(all);
    CHECK(MPIX_Comm_shrink(all, &left) == MPI_SUCCESS);
    CHECK(MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, left) == MPI_SUCCESS);
    MPI_Comm_size(all, &before);
    MPI_Comm_size(left, &after);
    MPI_Comm_rank(left, &rank);
    CHECK(sum == after && after == before - 1);
    if (rank == 0)
        printf("widow ok %d\n", after);
    fflush(stdout);
    MPI_Comm_free(&left);
}

int main(int argc, char **argv)
{
    char *arguments[] = {argc > 1 ? argv[1] : NULL, NULL};
    MPI_Comm parent, between, all;
    int rank, is_child;

    MPI_Init(&argc, &argv);
    CHECK(argc > 1);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_get_parent(&parent);
    is_child = parent != MPI_COMM_NULL;
    if (is_child)
        between = parent;
    else
        MPI_Comm_spawn(argv[0], arguments, argc > 2 ? atoi(argv[2]) : 2,
                       MPI_INFO_NULL, 0, MPI_COMM_WORLD, &between,
                       MPI_ERRCODES_IGNORE);
    MPI_Intercomm_merge(between, is_child, &all);
    MPI_Comm_set_errhandler(all, MPI_ERRORS_RETURN);
    MPI_Barrier(all); /* in which some may hear of the death already */
    if (rank == 1 && is_child == (strcmp(argv[1], "child") == 0))
        raise(SIGKILL);
    go_on(all);
    MPI_Comm_free(&all); /* nobody can disconnect from the dead */
    MPI_Comm_free(&between);
    MPI_Finalize();
    return 0;
}
