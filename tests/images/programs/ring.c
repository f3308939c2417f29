/* ring [BYTES]: rank 0 prints "ring ok SIZE bytes BYTES shared N" */
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

static void allreduce(void)
{
    long size = my_size(), mine = my_rank() + 1, sum = 0;

    MPI_Allreduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    CHECK(sum == size * (size + 1) / 2);
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

int main(int argc, char **argv)
{
    int bytes, together;

    MPI_Init(&argc, &argv);
    bytes = argument(argc, argv, 1, 1024);
    ring(bytes);
    allreduce();
    together = shared();
    if (my_rank() == 0)
        printf("ring ok %d bytes %d shared %d\n", my_size(), bytes, together);
    MPI_Finalize();
    return 0;
}
