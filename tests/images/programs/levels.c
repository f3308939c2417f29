/*
 * levels: ranks spawn two children, who spawn two grandchildren; each meets the
 * next. The oldest rank 0 prints "levels ok SIZE".
 */
#include "common.h"

static void spawn(char *self, const char *level)
{
    char *args[] = {(char *)level, NULL};
    MPI_Comm between;

    MPI_Comm_spawn(self, args, 2, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &between,
                   MPI_ERRCODES_IGNORE);
    meet(between, 0, my_size() + 2);
    MPI_Comm_disconnect(&between);
}

int main(int argc, char **argv)
{
    MPI_Comm parent;
    int level = argument(argc, argv, 1, 0), parents;

    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    CHECK((parent != MPI_COMM_NULL) == (level > 0));
    if (level < 2)
        spawn(argv[0], level == 0 ? "1" : "2");
    if (level > 0) {
        MPI_Comm_remote_size(parent, &parents);
        meet(parent, 1, parents + my_size());
        MPI_Comm_disconnect(&parent);
    }
    if (level == 0 && my_rank() == 0)
        printf("levels ok %d\n", my_size());
    MPI_Finalize();
    return 0;
}
