/* ring [BYTES]: rank 0 prints "ring ok SIZE bytes BYTES shared N" */
#include "ring.h"

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    test_ring(argument(argc, argv, 1, 1024));
    MPI_Finalize();
    return 0;
}
