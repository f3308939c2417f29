/*
 * exitearly CODE RANK: that rank leaves without MPI_Finalize(), before a
 * barrier that the others enter.
 */
#include "common.h"

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    if (my_rank() == argument(argc, argv, 2, 0))
        _exit(argument(argc, argv, 1, 0));
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
}
