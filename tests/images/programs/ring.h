/* Large messages around, and as large a sum, of all ranks. */
#ifndef CT_TEST_RING_H
#define CT_TEST_RING_H

#include "common.h"

static unsigned char stamp(int rank, int i)
{
    return (unsigned char)(rank * 31 + i * 7 + (i >> 8));
}

/* Each gives its block to the right and must get the one of its left. */
static void ring(int bytes)
{
    int rank = my_rank(), size = my_size();
    int right = (rank + 1) % size, left = (rank + size - 1) % size;
    unsigned char *out = malloc((size_t)bytes + 1);
    unsigned char *in = malloc((size_t)bytes + 1);

    CHECK(out != NULL && in != NULL);
    for (int i = 0; i < bytes; i++)
        out[i] = stamp(rank, i);
    MPI_Sendrecv(out, bytes, MPI_BYTE, right, 1, in, bytes, MPI_BYTE, left, 1,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int i = 0; i < bytes; i++)
        CHECK(in[i] == stamp(left, i));
    free(out);
    free(in);
}

/* Sums of BYTES and at least one number, in which every rank counts. */
static void allreduce(int bytes)
{
    int size = my_size(), count = bytes / (int)sizeof(int) + 1;
    int *mine = malloc((size_t)count * sizeof *mine);
    int *sums = malloc((size_t)count * sizeof *sums);

    CHECK(mine != NULL && sums != NULL);
    for (int i = 0; i < count; i++)
        mine[i] = i % 1000 + my_rank();
    MPI_Allreduce(mine, sums, count, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < count; i++)
        CHECK(sums[i] == size * (i % 1000) + size * (size - 1) / 2);
    free(mine);
    free(sums);
}

static int shared(void)
{
    MPI_Comm node;
    int size;

    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
                        &node);
    MPI_Comm_size(node, &size);
    MPI_Comm_free(&node);
    return size;
}

static void test_ring(int bytes)
{
    int together;

    ring(bytes);
    allreduce(bytes);
    together = shared();
    if (my_rank() == 0)
        printf("ring ok %d bytes %d shared %d\n", my_size(), bytes, together);
}

#endif
