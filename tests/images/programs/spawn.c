/*
 * spawn [CHILDREN [multiple]]: start children of this same program in /usr
 * with arguments, then meet them. Rank 0 prints "spawn ok PARENTS CHILDREN".
 */
#include "spawn.h"

int main(int argc, char **argv)
{
    MPI_Comm parent;

    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL)
        return spawned_child(argc, argv, parent);
    test_spawn(argv[0], argument(argc, argv, 1, 2), argc > 2);
    MPI_Finalize();
    return 0;
}
