/* Children of this same program, who look at what they were given. */
#ifndef CT_TEST_SPAWN_H
#define CT_TEST_SPAWN_H

#include "common.h"

static char *child_args[] = {"child", "two words", "a=b;c", NULL};

static int spawned_child(int argc, char **argv, MPI_Comm parent)
{
    char cwd[256];
    int parents;

    CHECK(argc == 4);
    for (int i = 0; i < 3; i++)
        CHECK(strcmp(argv[i + 1], child_args[i]) == 0);
    CHECK(getcwd(cwd, sizeof cwd) != NULL && strcmp(cwd, "/usr") == 0);
    MPI_Comm_remote_size(parent, &parents);
    meet(parent, 1, parents + my_size());
    MPI_Comm_disconnect(&parent);
    MPI_Finalize();
    return 0;
}

static MPI_Info where(void)
{
    MPI_Info info;

    MPI_Info_create(&info);
    MPI_Info_set(info, "wdir", "/usr");
    return info;
}

static MPI_Comm spawn_one(char *self, int children)
{
    MPI_Info info = where();
    MPI_Comm between;
    int codes[64];

    MPI_Comm_spawn(self, child_args, children, info, 0, MPI_COMM_WORLD,
                   &between, codes);
    for (int i = 0; i < children; i++)
        CHECK(codes[i] == MPI_SUCCESS);
    MPI_Info_free(&info);
    return between;
}

/* One of the first command, the rest of the second. */
static MPI_Comm spawn_two(char *self, int children)
{
    MPI_Info infos[] = {where(), where()};
    char *commands[] = {self, self}, **args[] = {child_args, child_args};
    int counts[] = {1, children - 1};
    MPI_Comm between;

    MPI_Comm_spawn_multiple(2, commands, args, counts, infos, 0, MPI_COMM_WORLD,
                            &between, MPI_ERRCODES_IGNORE);
    MPI_Info_free(&infos[0]);
    MPI_Info_free(&infos[1]);
    return between;
}

static void test_spawn(char *self, int children, int twice)
{
    MPI_Comm between;
    int started;

    CHECK(children >= 2 && children <= 64);
    between = twice ? spawn_two(self, children) : spawn_one(self, children);
    MPI_Comm_remote_size(between, &started);
    CHECK(started == children);
    meet(between, 0, my_size() + children);
    MPI_Comm_disconnect(&between);
    if (my_rank() == 0)
        printf("spawn ok %d %d\n", my_size(), children);
}

#endif
