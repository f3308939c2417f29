/* abort CODE RANK: that rank calls MPI_Abort(), the others wait for ever */
#include "common.h"

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Barrier(MPI_COMM_WORLD);
    if (my_rank() == argument(argc, argv, 2, 0))
        MPI_Abort(MPI_COMM_WORLD, argument(argc, argv, 1, 1));
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
}
