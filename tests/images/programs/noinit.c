/* noinit [CODE]: linked against MPI, never calls it */
#include "common.h"

int main(int argc, char **argv)
{
    if (argc > 100) /* never; keeps the library needed */
        MPI_Init(&argc, &argv);
    printf("noinit\n");
    return argument(argc, argv, 1, 0);
}
