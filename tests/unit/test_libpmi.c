/*
 * libpmi.so.0 by its own interface alone, with a server that answers wrongly:
 * each call returns, an error where there was none, and nothing crashes.
 */
#include "client/abi/pmi.h"
#include "fakepmi.h"

static char room[1024];
static int number;

static int do_init(void)
{
    int spawned;

    return PMI_Init(&spawned);
}

static int do_name(void)
{
    return PMI_KVS_Get_my_name(room, 256);
}

static int do_max(void)
{
    return PMI_KVS_Get_value_length_max(&number);
}

static int do_appnum(void)
{
    return PMI_Get_appnum(&number);
}

static int do_universe(void)
{
    return PMI_Get_universe_size(&number);
}

static int do_put(void)
{
    int code = PMI_KVS_Put("fake.0", "k", "v");

    return code != 0 ? code : PMI_KVS_Commit("fake.0");
}

static int do_barrier(void)
{
    return PMI_Barrier();
}

static int do_get(void)
{
    return PMI_KVS_Get("fake.0", "k", room, 64);
}

static int do_clique(void)
{
    return PMI_Get_clique_size(&number);
}

static int do_publish(void)
{
    return PMI_Publish_name("s", "p");
}

static int do_lookup(void)
{
    return PMI_Lookup_name("s", room);
}

static int do_unpublish(void)
{
    return PMI_Unpublish_name("s");
}

static int do_spawn(void)
{
    const char *commands[] = {"a"}, *none[] = {NULL};
    const char **argvs[] = {none};
    int zero = 0, one = 1, error = 0;

    return PMI_Spawn_multiple(1, commands, argvs, &one, &zero, NULL, 0, NULL,
                              &error);
}

static int do_finalize(void)
{
    return PMI_Finalize();
}

static const struct fake_call calls[] = {
    {"init", 1, do_init, true},
    {"get_maxes", 1, do_max, true},
    {"get_my_kvsname", 1, do_name, true},
    {"get_appnum", 1, do_appnum, false},
    {"get_universe_size", 1, do_universe, false},
    {"put", 1, do_put, true},
    {"barrier_in", 1, do_barrier, true},
    {"get", 1, do_get, true},
    {"get", 1, do_clique, false},
    {"publish_name", 1, do_publish, true},
    {"lookup_name", 1, do_lookup, true},
    {"unpublish_name", 1, do_unpublish, true},
    {"spawn", 1, do_spawn, true},
    {"finalize", 1, do_finalize, false},
    /* a launcher that speaks PMI-2 alone */
    {"init", 2, do_init, false},
    {"fullinit", 2, do_init, true},
    {"kvs-put", 2, do_put, true},
    {"kvs-fence", 2, do_barrier, true},
    {"kvs-get", 2, do_get, true},
    {"name-publish", 2, do_publish, true},
    {"name-lookup", 2, do_lookup, true},
    {"name-unpublish", 2, do_unpublish, true},
    {"spawn", 2, do_spawn, true},
    {"finalize", 2, do_finalize, false},
};

/* Whatever has happened: these return. */
static void ask_on(void)
{
    do_put();
    do_barrier();
    do_get();
    do_clique();
    do_lookup();
    do_finalize();
    do_put();
}

static void get_into(char *buf, int length)
{
    PMI_KVS_Get("fake.0", "k", buf, length);
}

int main(void)
{
    static const struct fake_library library = {
        .name = "libpmi",
        .calls = calls,
        .count = sizeof calls / sizeof *calls,
        .init = do_init,
        .ask_on = ask_on,
        .get_command = "get",
        .get_dialect = 1,
        .get = get_into,
    };

    return fake_main(&library);
}
