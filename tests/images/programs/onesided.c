/*
 * onesided: every rank puts its number into everybody's window, and fetches a
 * counter. Rank 0 prints "onesided ok SIZE".
 */
#include "common.h"

static void put_everywhere(void)
{
    int size = my_size(), rank = my_rank(), *seen;
    MPI_Win win;

    MPI_Win_allocate((MPI_Aint)(size * (int)sizeof *seen), sizeof *seen,
                     MPI_INFO_NULL, MPI_COMM_WORLD, &seen, &win);
    memset(seen, 0xff, (size_t)size * sizeof *seen);
    MPI_Win_fence(0, win);
    for (int i = 0; i < size; i++)
        MPI_Put(&rank, 1, MPI_INT, i, rank, 1, MPI_INT, win);
    MPI_Win_fence(0, win);
    for (int i = 0; i < size; i++)
        CHECK(seen[i] == i);
    MPI_Win_free(&win);
}

static void count_at_zero(void)
{
    int one = 1, before = -1, sum = 0, *counter;
    MPI_Win win;

    MPI_Win_allocate(sizeof *counter, sizeof *counter, MPI_INFO_NULL,
                     MPI_COMM_WORLD, &counter, &win);
    *counter = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, win);
    MPI_Fetch_and_op(&one, &before, MPI_INT, 0, 0, MPI_SUM, win);
    MPI_Win_unlock(0, win);
    MPI_Allreduce(&before, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CHECK(sum == my_size() * (my_size() - 1) / 2);
    MPI_Win_free(&win);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    put_everywhere();
    count_at_zero();
    if (my_rank() == 0)
        printf("onesided ok %d\n", my_size());
    MPI_Finalize();
    return 0;
}
