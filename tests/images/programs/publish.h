/* Names: rank 0 publishes one, the last rank looks it up. */
#ifndef CT_TEST_PUBLISH_H
#define CT_TEST_PUBLISH_H

#include "common.h"

static const char service[] = "ctrun-service";

static void test_publish(void)
{
    char port[MPI_MAX_PORT_NAME] = "", found[MPI_MAX_PORT_NAME] = "";
    int rank, last, rc;

    rank = my_rank();
    last = my_size() - 1;
    /* MPI_Open_port() is no part of this: MPICH 4.0 to 4.2 over UCX lack it. */
    if (rank == 0)
        snprintf(port, sizeof port, "port#%ld$of-rank-0:1,2", (long)getpid());
    MPI_Bcast(port, sizeof port, MPI_CHAR, 0, MPI_COMM_WORLD);
    if (rank == 0)
        CHECK(MPI_Publish_name(service, MPI_INFO_NULL, port) == MPI_SUCCESS);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == last) {
        CHECK(MPI_Lookup_name(service, MPI_INFO_NULL, found) == MPI_SUCCESS);
        CHECK(strcmp(found, port) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        CHECK(MPI_Unpublish_name(service, MPI_INFO_NULL, port) == MPI_SUCCESS);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    rc = MPI_Lookup_name(service, MPI_INFO_NULL, found);
    CHECK(rc != MPI_SUCCESS);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        printf("publish ok\n");
}

#endif
