/*
 * libpmi.so.0 by its own interface alone, with a server that answers wrongly:
 * each call returns, an error where there was none, and nothing crashes.
 */
#include "client/abi/pmi.h"
#include "fakepmi.h"

#include <signal.h>

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

static const struct {
    const char *command;
    int dialect;
    int (*call)(void);
    bool strict; /* else an error is not worth telling */
} calls[] = {
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

enum { CALLS = sizeof calls / sizeof *calls };

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

START_TEST(every_call_survives_every_answer)
{
    const struct fake_plan plan = {
        .dialect = calls[_i / FAKE_FAULTS].dialect,
        .command = calls[_i / FAKE_FAULTS].command,
        .fault = &fake_faults[_i % FAKE_FAULTS],
    };
    struct fake fake = fake_start(&plan);
    int code = do_init();

    if (!*fake.injected) {
        ck_assert_int_eq(code, 0);
        code = calls[_i / FAKE_FAULTS].call();
    }
    fake_judge(&fake, &plan, code, calls[_i / FAKE_FAULTS].strict);
    ask_on();
    fake_end(&fake);
}
END_TEST

/* A value longer than the caller's room stays within it. */
START_TEST(no_answer_is_longer_than_the_room)
{
    static const struct fake_fault fault = {"a value that is too long",
                                            FAKE_EITHER, fault_long_value};
    const struct fake_plan plan = {
        .dialect = 1, .command = "get", .fault = &fault};
    struct fake fake = fake_start(&plan);
    char small[16];

    memset(small, 'g', sizeof small);
    do_init();
    PMI_KVS_Get("fake.0", "k", small, 8);
    for (size_t i = 8; i < sizeof small; i++)
        ck_assert_int_eq(small[i], 'g');
    fake_end(&fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("libpmi");
    TCase *tc = tcase_create("libpmi");
    SRunner *runner = srunner_create(suite);

    signal(SIGPIPE, SIG_DFL);
    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, every_call_survives_every_answer, 0,
                        CALLS * FAKE_FAULTS);
    tcase_add_test(tc, no_answer_is_longer_than_the_room);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
