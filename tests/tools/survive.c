/*
 * survive: rank 1 is killed; the others, who do without it from then on, talk
 * to each other and finalize. The first prints "survive ok RANKS". For MPIs
 * that cannot recover (MPICH).
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>

enum { DEAD = 1, TAG = 1 };

/* It dies when nothing is on its way any more that others need. */
static void die(int size)
{
    int from;

    for (int i = 1; i < size; i++)
        MPI_Recv(&from, 1, MPI_INT, MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    raise(SIGKILL);
}

static int talk(int rank, int size)
{
    int sum = 1, other;

    for (int i = 0; i < size; i++) {
        if (i == rank || i == DEAD)
            continue;
        MPI_Sendrecv(&rank, 1, MPI_INT, i, TAG, &other, 1, MPI_INT, i, TAG,
                     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        sum += other == i;
    }
    return sum;
}

int main(int argc, char **argv)
{
    int rank, size, living;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (rank == DEAD)
        die(size);
    MPI_Send(&rank, 1, MPI_INT, DEAD, TAG, MPI_COMM_WORLD);
    living = talk(rank, size);
    MPI_Finalize();
    if (rank == 0)
        printf("survive ok %d\n", living);
    return living == size - 1 ? 0 : 1;
}
