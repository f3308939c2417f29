/* What the test programs share. Each is a main() of its own. */
#ifndef CT_TEST_COMMON_H
#define CT_TEST_COMMON_H

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* End the job with a line; every check of these programs goes this way. */
#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            MPI_Abort(MPI_COMM_WORLD, 99);                                     \
        }                                                                      \
    } while (0)

static inline int argument(int argc, char **argv, int i, int otherwise)
{
    return i < argc ? atoi(argv[i]) : otherwise;
}

static inline int my_rank(void)
{
    int rank;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

static inline int my_size(void)
{
    int size;

    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

/* Parents (high 0) and children in one: everybody counts everybody. */
static inline void meet(MPI_Comm between, int high, int expected)
{
    MPI_Comm all;
    int one = 1, sum = 0;

    MPI_Intercomm_merge(between, high, &all);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, all);
    CHECK(sum == expected);
    MPI_Comm_free(&all);
}

#endif
