/*
 * sessions [NAME...]: the process sets that a session sees, and a communicator
 * of each NAME that this rank is in; NAME may also be "even", every second rank
 * of the world. Rank 0 prints the names, sorted, and "NAME SIZE" for each
 * communicator.
 */
#include "common.h"

#if MPI_VERSION >= 4 || defined(OPEN_MPI) && OMPI_MAJOR_VERSION >= 5
static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void print_names(MPI_Session session)
{
    char names[16][MPI_MAX_PSET_NAME_LEN];
    int count, len;

    MPI_Session_get_num_psets(session, MPI_INFO_NULL, &count);
    CHECK(count <= 16);
    for (int i = 0; i < count; i++) {
        len = MPI_MAX_PSET_NAME_LEN;
        MPI_Session_get_nth_pset(session, MPI_INFO_NULL, i, &len, names[i]);
    }
    qsort(names, (size_t)count, sizeof names[0], compare);
    for (int i = 0; i < count; i++)
        if (strncmp(names[i], "mpix:", 5) != 0) /* Open MPI's own */
            printf("%s\n", names[i]);
}

static MPI_Group group_of(MPI_Session session, const char *name)
{
    MPI_Group world, group;
    int range[1][3] = {{0, 0, 2}};

    if (strcmp(name, "even") != 0) {
        MPI_Group_from_session_pset(session, name, &group);
        return group;
    }
    MPI_Group_from_session_pset(session, "mpi://WORLD", &world);
    MPI_Group_size(world, &range[0][1]);
    range[0][1]--;
    MPI_Group_range_incl(world, 1, range, &group);
    MPI_Group_free(&world);
    return group;
}

static void use(MPI_Session session, const char *name)
{
    MPI_Group group = group_of(session, name);
    MPI_Comm comm;
    int size, rank, one = 1, sum = 0;

    MPI_Group_rank(group, &rank);
    if (rank != MPI_UNDEFINED) {
        MPI_Comm_create_from_group(group, name, MPI_INFO_NULL,
                                   MPI_ERRORS_ARE_FATAL, &comm);
        MPI_Comm_size(comm, &size);
        MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, comm);
        CHECK(sum == size);
        if (rank == 0)
            printf("%s %d\n", name, size);
        MPI_Comm_free(&comm);
    }
    MPI_Group_free(&group);
}

static int world_rank(MPI_Session session)
{
    MPI_Group world;
    int rank;

    MPI_Group_from_session_pset(session, "mpi://WORLD", &world);
    MPI_Group_rank(world, &rank);
    MPI_Group_free(&world);
    return rank;
}

int main(int argc, char **argv)
{
    MPI_Session session;

    MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &session);
    if (world_rank(session) == 0)
        print_names(session);
    for (int i = 1; i < argc; i++)
        use(session, argv[i]);
    MPI_Session_finalize(&session);
    return 0;
}
#else
int main(void)
{
    puts("sessions: this MPI has none");
    return 77;
}
#endif
