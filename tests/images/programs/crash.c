/* crash RANK [SIGNAL]: that rank dies of it, the others wait for ever */
#include "common.h"

#include <signal.h>

int main(int argc, char **argv)
{
    int number = argument(argc, argv, 2, SIGSEGV);

    MPI_Init(&argc, &argv);
    MPI_Barrier(MPI_COMM_WORLD);
    if (my_rank() == argument(argc, argv, 1, 0)) {
        signal(number, SIG_DFL); /* UCX catches what it can */
        raise(number);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
}
