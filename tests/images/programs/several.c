/*
 * several NAME...: hello, ring (1 MiB), publish and spawn (2 children) in one
 * job, each as the program that is called so, with its lines.
 */
#include "publish.h"
#include "ring.h"
#include "spawn.h"

enum { BYTES = 1 << 20, CHILDREN = 2 };

static void test(char *self, const char *name)
{
    if (strcmp(name, "hello") == 0)
        printf("hello %d %d\n", my_rank(), my_size());
    else if (strcmp(name, "ring") == 0)
        test_ring(BYTES);
    else if (strcmp(name, "publish") == 0)
        test_publish();
    else if (strcmp(name, "spawn") == 0)
        test_spawn(self, CHILDREN, 0);
    else
        CHECK(!"a known name");
    fflush(stdout); /* should the next one hang */
}

int main(int argc, char **argv)
{
    MPI_Comm parent;

    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL)
        return spawned_child(argc, argv, parent);
    for (int i = 1; i < argc; i++)
        test(argv[0], argv[i]);
    MPI_Finalize();
    return 0;
}
