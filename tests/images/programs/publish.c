/*
 * publish: rank 0 publishes a name, the last rank looks it up; once it is
 * unpublished nobody finds it. Rank 0 prints "publish ok".
 */
#include "publish.h"

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    test_publish();
    MPI_Finalize();
    return 0;
}
