/* sleep [recv]: "ready RANK PID", then wait for ever, in pause() or MPI */
#include "common.h"

int main(int argc, char **argv)
{
    int nothing;

    MPI_Init(&argc, &argv);
    printf("ready %d %ld\n", my_rank(), (long)getpid());
    fflush(stdout);
    if (argc > 1)
        MPI_Recv(&nothing, 1, MPI_INT, my_rank(), 99, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    for (;;)
        pause();
}
