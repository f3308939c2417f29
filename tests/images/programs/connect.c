/*
 * connect: two jobs that were spawned apart from each other meet by a name that
 * one of them publishes. Rank 0 of the parents prints "connect ok SIZE".
 */
#include "common.h"

static MPI_Comm spawn(char *self, const char *role)
{
    char *args[] = {(char *)role, NULL};
    MPI_Comm between;

    MPI_Comm_spawn(self, args, 2, MPI_INFO_NULL, 0, MPI_COMM_WORLD, &between,
                   MPI_ERRCODES_IGNORE);
    return between;
}

static void server(MPI_Comm parent, MPI_Comm *peer)
{
    char port[MPI_MAX_PORT_NAME] = "";

    if (my_rank() == 0) {
        MPI_Open_port(MPI_INFO_NULL, port);
        MPI_Publish_name("ctrun-connect", MPI_INFO_NULL, port);
        MPI_Send("", 0, MPI_CHAR, 0, 0, parent); /* it may be looked up */
    }
    MPI_Comm_accept(port, MPI_INFO_NULL, 0, MPI_COMM_WORLD, peer);
    if (my_rank() == 0) {
        MPI_Unpublish_name("ctrun-connect", MPI_INFO_NULL, port);
        MPI_Close_port(port);
    }
}

static void client(MPI_Comm *peer)
{
    char port[MPI_MAX_PORT_NAME] = "";

    if (my_rank() == 0)
        MPI_Lookup_name("ctrun-connect", MPI_INFO_NULL, port);
    MPI_Comm_connect(port, MPI_INFO_NULL, 0, MPI_COMM_WORLD, peer);
}

/* Each job tells the other's rank 0 something. */
static void talk(MPI_Comm peer, int role)
{
    int mine = 100 + role, other = 0;

    if (my_rank() == 0)
        MPI_Sendrecv(&mine, 1, MPI_INT, 0, 1, &other, 1, MPI_INT, 0, 1, peer,
                     MPI_STATUS_IGNORE);
    CHECK(my_rank() != 0 || other == 100 + 1 - role);
}

static void child(int is_client, MPI_Comm parent)
{
    MPI_Comm peer;

    if (is_client)
        client(&peer);
    else
        server(parent, &peer);
    talk(peer, is_client);
    MPI_Comm_disconnect(&peer);
    MPI_Comm_disconnect(&parent);
}

static void parents(char *self)
{
    MPI_Comm first = spawn(self, "0"), second;

    if (my_rank() == 0)
        MPI_Recv(NULL, 0, MPI_CHAR, 0, 0, first, MPI_STATUS_IGNORE);
    MPI_Barrier(MPI_COMM_WORLD);
    second = spawn(self, "1");
    MPI_Comm_disconnect(&first);
    MPI_Comm_disconnect(&second);
    if (my_rank() == 0)
        printf("connect ok %d\n", my_size());
}

int main(int argc, char **argv)
{
    MPI_Comm parent;

    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL)
        child(argument(argc, argv, 1, 0), parent);
    else
        parents(argv[0]);
    MPI_Finalize();
    return 0;
}
