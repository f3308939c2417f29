/*
 * libpmi2.so.0 by its own interface alone, with a server that answers wrongly:
 * each call returns, an error where there was none, and nothing crashes.
 */
#include "client/abi/pmi2.h"
#include "fakepmi.h"

static char room[64];
static int number, flag, size, rank, appnum, spawned;

static int do_init(void)
{
    return PMI2_Init(&spawned, &size, &rank, &appnum);
}

static int do_job_id(void)
{
    return PMI2_Job_GetId(room, sizeof room);
}

static int do_put(void)
{
    return PMI2_KVS_Put("k", "v");
}

static int do_fence(void)
{
    return PMI2_KVS_Fence();
}

static int do_get(void)
{
    return PMI2_KVS_Get("fake.0", PMI2_ID_NULL, "k", room, sizeof room,
                        &number);
}

static int do_put_node(void)
{
    return PMI2_Info_PutNodeAttr("k", "v");
}

/* A server that says no may mean that there is none. */
static int found(int code)
{
    return code != 0 ? code : flag ? 0 : PMI2_FAIL;
}

static int do_get_node(void)
{
    return found(PMI2_Info_GetNodeAttr("k", room, sizeof room, &flag, 1));
}

static int do_get_job(void)
{
    return found(PMI2_Info_GetJobAttr("k", room, sizeof room, &flag));
}

static int do_publish(void)
{
    return PMI2_Nameserv_publish("s", NULL, "p");
}

static int do_lookup(void)
{
    return PMI2_Nameserv_lookup("s", NULL, room, sizeof room);
}

static int do_unpublish(void)
{
    return PMI2_Nameserv_unpublish("s", NULL);
}

static int do_connect(void)
{
    PMI2_Connect_comm_t conn;

    memset(&conn, 0, sizeof conn);
    return PMI2_Job_Connect("fake.1", &conn);
}

static int do_disconnect(void)
{
    return PMI2_Job_Disconnect("fake.1");
}

static int do_ring(void)
{
    char left[64], right[64];

    return PMIX_Ring("v", &rank, &size, left, right, sizeof left);
}

static int do_spawn(void)
{
    const char *commands[] = {"a"}, *none[] = {NULL};
    const char **argvs[] = {none};
    int zero = 0, one = 1, error = 0;

    return PMI2_Job_Spawn(1, commands, &zero, argvs, &one, &zero, NULL, 0, NULL,
                          room, sizeof room, &error);
}

static int do_finalize(void)
{
    return PMI2_Finalize();
}

static const struct fake_call calls[] = {
    {"init", 2, do_init, true},
    {"fullinit", 2, do_init, true},
    {"job-getid", 2, do_job_id, true},
    {"kvs-put", 2, do_put, true},
    {"kvs-fence", 2, do_fence, true},
    {"kvs-get", 2, do_get, true},
    {"info-putnodeattr", 2, do_put_node, true},
    {"info-getnodeattr", 2, do_get_node, true},
    {"info-getjobattr", 2, do_get_job, true},
    {"name-publish", 2, do_publish, true},
    {"name-lookup", 2, do_lookup, true},
    {"name-unpublish", 2, do_unpublish, true},
    {"job-connect", 2, do_connect, true},
    {"job-disconnect", 2, do_disconnect, true},
    /* which is done with these */
    {"kvs-put", 2, do_ring, true},
    {"kvs-fence", 2, do_ring, true},
    {"kvs-get", 2, do_ring, true},
    {"spawn", 2, do_spawn, true},
    {"finalize", 2, do_finalize, false},
    /* a launcher that speaks PMI-1 alone */
    {"init", 1, do_init, false},
    {"get_my_kvsname", 1, do_init, true},
    {"put", 1, do_put, true},
    {"barrier_in", 1, do_fence, true},
    {"get", 1, do_get, true},
    {"publish_name", 1, do_publish, true},
    {"lookup_name", 1, do_lookup, true},
    {"unpublish_name", 1, do_unpublish, true},
    {"spawn", 1, do_spawn, true},
    {"finalize", 1, do_finalize, false},
};

/* Whatever has happened: these return. */
static void ask_on(void)
{
    do_put();
    do_fence();
    do_get();
    do_get_job();
    do_lookup();
    do_finalize();
    do_put();
}

static void get_into(char *buf, int length)
{
    PMI2_KVS_Get("fake.0", PMI2_ID_NULL, "k", buf, length, &number);
}

int main(void)
{
    static const struct fake_library library = {
        .name = "libpmi2",
        .calls = calls,
        .count = sizeof calls / sizeof *calls,
        .init = do_init,
        .ask_on = ask_on,
        .get_command = "kvs-get",
        .get_dialect = 2,
        .get = get_into,
    };

    return fake_main(&library);
}
