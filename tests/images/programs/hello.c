/* hello [--version]: "hello RANK SIZE"; rank 0 may say whose MPI this is */
#include "common.h"

int main(int argc, char **argv)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int len;

    MPI_Init(&argc, &argv);
    printf("hello %d %d\n", my_rank(), my_size());
    if (argc > 1 && strcmp(argv[1], "--version") == 0 && my_rank() == 0) {
        MPI_Get_library_version(version, &len);
        printf("%s\n", version);
    }
    MPI_Finalize();
    return 0;
}
