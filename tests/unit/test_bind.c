/*
 * Machines are made up: hwloc reads them from HWLOC_SYNTHETIC, and the CPUs
 * that this process may use are what our own sched_getaffinity() says, which
 * the linker takes instead of the C library's.
 */
#include "launcher/bind.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUS_MAX = 4096 };

static struct {
    unsigned first, end, step; /* the CPUs that may be used */
    size_t kernel_size;        /* bytes of the kernel's own set */
    int error;
} may;

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    if (may.error != 0 || size < may.kernel_size) {
        errno = may.error != 0 ? may.error : EINVAL;
        return -1;
    }
    CPU_ZERO_S(size, set);
    for (unsigned cpu = may.first; cpu < may.end; cpu += may.step)
        CPU_SET_S(cpu, size, set);
    return 0;
}

static void use(unsigned first, unsigned end, unsigned step)
{
    may.first = first;
    may.end = end;
    may.step = step;
    may.kernel_size = 128;
    may.error = 0;
}

static void all_texts(const struct bind_place *places, unsigned n, char *ret,
                      size_t room)
{
    size_t used = 0;

    *ret = '\0';
    for (unsigned i = 0; i < n && used < room; i++)
        used += (size_t)snprintf(ret + used, room - used, "%s%s",
                                 i > 0 ? "; " : "", places[i].text);
}

static void check_places(const struct bind_request *request, unsigned n,
                         const char *expected)
{
    struct bind_place *places;
    struct ct_error err;
    char text[4096];

    ck_assert_msg(bind_places(request, n, &places, &err) == 0, "%s", err.text);
    all_texts(places, n, text, sizeof text);
    ck_assert_str_eq(text, expected);
    bind_places_free(places, n);
}

static void check_refusal(const struct bind_request *request, unsigned n,
                          const char *expected)
{
    struct bind_place *places = (void *)&may;
    struct ct_error err = {0};

    ck_assert_int_eq(bind_places(request, n, &places, &err), -1);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_ptr_eq(places, &may);
}

START_TEST(not_bound)
{
    const struct bind_request request = {.to = BIND_NONE};
    struct bind_place *places;

    use(0, 8, 1);
    check_places(&request, 2, "not bound (cpus 0-7); not bound (cpus 0-7)");
    use(3, 12, 4);
    check_places(&request, 1, "not bound (cpus 3,7,11)");
    ck_assert_int_eq(bind_places(&request, 0, &places, NULL), 0);
    ck_assert_ptr_nonnull(places);
    bind_places_free(places, 0);
    bind_places_free(NULL, 3);
}
END_TEST

START_TEST(more_cpus_than_the_usual_set_holds)
{
    const struct bind_request request = {.to = BIND_NONE};
    struct bind_place *places;

    use(2998, 3000, 1);
    may.kernel_size = 512;
    ck_assert_uint_eq(bind_cpus_available(), 2);
    ck_assert_int_eq(bind_places(&request, 2, &places, NULL), 0);
    ck_assert_uint_ge(places[1].size, 512);
    ck_assert(CPU_ISSET_S(2999, places[1].size, places[1].cpus));
    ck_assert_int_eq(CPU_COUNT_S(places[1].size, places[1].cpus), 2);
    ck_assert_str_eq(places[1].text, "not bound (cpus 2998-2999)");
    bind_places_free(places, 2);
}
END_TEST

START_TEST(long_lists_are_cut_off)
{
    const struct bind_request request = {.to = BIND_NONE};
    struct bind_place *places;

    use(0, 1000, 2);
    ck_assert_int_eq(bind_places(&request, 1, &places, NULL), 0);
    ck_assert_int_eq(strncmp(places->text, "not bound (cpus 0,2,4,", 22), 0);
    ck_assert_uint_lt(strlen(places->text), sizeof places->text);
    ck_assert_int_eq(CPU_COUNT_S(places->size, places->cpus), 500);
    bind_places_free(places, 1);
}
END_TEST

START_TEST(a_kernel_that_does_not_tell)
{
    const struct bind_request request = {.to = BIND_NONE};
    struct bind_place *places;
    struct ct_error err = {0};

    use(0, 4, 1);
    may.error = ENOSYS;
    ck_assert_uint_eq(bind_cpus_available(), 1);
    ck_assert_int_eq(bind_places(&request, 2, &places, &err), -1);
    ck_assert_int_eq(err.code, ENOSYS);
    may.error = 0;
    may.kernel_size = CPUS_MAX * 1024;
    ck_assert_uint_eq(bind_cpus_available(), 1);
}
END_TEST

START_TEST(available)
{
    use(0, 8, 1);
    ck_assert_uint_eq(bind_cpus_available(), 8);
    use(0, 8, 3);
    ck_assert_uint_eq(bind_cpus_available(), 3);
    use(0, 0, 1);
    ck_assert_uint_eq(bind_cpus_available(), 1);
}
END_TEST

#ifdef HAVE_HWLOC

/* Two sockets, each two NUMA nodes of four cores with two CPUs. */
static const char usual[] = "pack:2 numa:2 core:4 pu:2";

static const struct deal {
    const char *machine;
    struct bind_request request;
    unsigned n;
    const char *places; /* NULL: refused */
    const char *refusal;
} deals[] = {
    {usual,
     {BIND_CORE, BIND_NONE, 1, false},
     3,
     "socket 0 core 0 (cpus 0-1); socket 0 core 1 (cpus 2-3); "
     "socket 0 core 2 (cpus 4-5)",
     NULL},
    {usual,
     {BIND_CORE, BIND_SOCKET, 1, false},
     4,
     "socket 0 core 0 (cpus 0-1); socket 1 core 8 (cpus 16-17); "
     "socket 0 core 1 (cpus 2-3); socket 1 core 9 (cpus 18-19)",
     NULL},
    {usual,
     {BIND_CORE, BIND_NUMA, 1, false},
     5,
     "socket 0 core 0 (cpus 0-1); socket 0 core 4 (cpus 8-9); "
     "socket 1 core 8 (cpus 16-17); socket 1 core 12 (cpus 24-25); "
     "socket 0 core 1 (cpus 2-3)",
     NULL},
    {usual,
     {BIND_CORE, BIND_CORE, 1, false},
     2,
     "socket 0 core 0 (cpus 0-1); socket 0 core 1 (cpus 2-3)",
     NULL},
    {usual,
     {BIND_CORE, BIND_NONE, 3, false},
     4,
     "socket 0 core 0-2 (cpus 0-5); socket 0 core 3-5 (cpus 6-11); "
     "socket 0-1 core 6-8 (cpus 12-17); socket 1 core 9-11 (cpus 18-23)",
     NULL},
    {usual,
     {BIND_CORE, BIND_NUMA, 3, false},
     4,
     "socket 0 core 0-2 (cpus 0-5); socket 0 core 4-6 (cpus 8-13); "
     "socket 1 core 8-10 (cpus 16-21); socket 1 core 12-14 (cpus 24-29)",
     NULL},
    {usual,
     {BIND_CORE, BIND_SOCKET, 16, true},
     1,
     NULL,
     "--bind-to core --cpus-per-rank 16: there are not so many cores together "
     "that ctrun may use"},
    {usual,
     {BIND_CORE, BIND_NONE, 16, false},
     1,
     "socket 0-1 core 0-15 (cpus 0-31)",
     NULL},
    {usual,
     {BIND_CORE, BIND_NONE, 1, false},
     17,
     NULL,
     "--bind-to core --cpus-per-rank 1: 17 ranks, but places for 16; "
     "--oversubscribe lets ranks share them"},
    {usual,
     {BIND_CORE, BIND_NONE, 8, true},
     3,
     "socket 0 core 0-7 (cpus 0-15); socket 1 core 8-15 (cpus 16-31); "
     "socket 0 core 0-7 (cpus 0-15)",
     NULL},
    {usual,
     {BIND_NUMA, BIND_NONE, 1, false},
     5,
     "numa 0 (cpus 0-7); numa 0 (cpus 0-7); numa 0 (cpus 0-7); "
     "numa 0 (cpus 0-7); numa 1 (cpus 8-15)",
     NULL},
    {usual,
     {BIND_NUMA, BIND_NUMA, 1, false},
     5,
     "numa 0 (cpus 0-7); numa 1 (cpus 8-15); numa 2 (cpus 16-23); "
     "numa 3 (cpus 24-31); numa 0 (cpus 0-7)",
     NULL},
    {usual,
     {BIND_NUMA, BIND_SOCKET, 3, false},
     4,
     "numa 0 (cpus 0-7); numa 2 (cpus 16-23); numa 1 (cpus 8-15); "
     "numa 3 (cpus 24-31)",
     NULL},
    {usual,
     {BIND_NUMA, BIND_NONE, 3, false},
     5,
     NULL,
     "--bind-to numa --cpus-per-rank 3: 5 ranks, but places for 4; "
     "--oversubscribe lets ranks share them"},
    {usual,
     {BIND_NUMA, BIND_NONE, 5, true},
     1,
     NULL,
     "--bind-to numa --cpus-per-rank 5: there are not so many cores together "
     "that ctrun may use"},
    {usual,
     {BIND_SOCKET, BIND_SOCKET, 4, false},
     4,
     "socket 0 (cpus 0-15); socket 1 (cpus 16-31); socket 0 (cpus 0-15); "
     "socket 1 (cpus 16-31)",
     NULL},
    {usual,
     {BIND_SOCKET, BIND_NONE, 4, false},
     3,
     "socket 0 (cpus 0-15); socket 0 (cpus 0-15); socket 1 (cpus 16-31)",
     NULL},
    /* the second memory of each socket deals no core out again */
    {"pack:2 [numa] [numa] core:2 pu:1",
     {BIND_CORE, BIND_NUMA, 1, false},
     4,
     "socket 0 core 0 (cpus 0); socket 1 core 2 (cpus 2); "
     "socket 0 core 1 (cpus 1); socket 1 core 3 (cpus 3)",
     NULL},
    /* a machine that shows no cores and no sockets */
    {"pu:4",
     {BIND_CORE, BIND_NONE, 2, false},
     2,
     "core 0-1 (cpus 0-1); core 2-3 (cpus 2-3)",
     NULL},
    {"pu:4",
     {BIND_SOCKET, BIND_NONE, 1, false},
     1,
     NULL,
     "--bind-to socket: this machine shows none"},
    {"pu:4",
     {BIND_CORE, BIND_SOCKET, 1, false},
     1,
     NULL,
     "--map-by socket: this machine shows none"},
};

START_TEST(whole_machines)
{
    const struct deal *row = &deals[_i];

    setenv("HWLOC_SYNTHETIC", row->machine, 1);
    use(0, 32, 1);
    if (row->places != NULL)
        check_places(&row->request, row->n, row->places);
    else
        check_refusal(&row->request, row->n, row->refusal);
}
END_TEST

/* What this process may not use is not there. */
static const struct part {
    unsigned first, end, step;
    struct bind_request request;
    unsigned n;
    const char *places;
} parts[] = {
    {3,
     8,
     1,
     {BIND_CORE, BIND_NONE, 1, false},
     3,
     "socket 0 core 1 (cpus 3); socket 0 core 2 (cpus 4-5); "
     "socket 0 core 3 (cpus 6-7)"},
    {1,
     32,
     8,
     {BIND_CORE, BIND_SOCKET, 1, false},
     4,
     "socket 0 core 0 (cpus 1); socket 1 core 8 (cpus 17); "
     "socket 0 core 4 (cpus 9); socket 1 core 12 (cpus 25)"},
    {1,
     32,
     8,
     {BIND_CORE, BIND_NONE, 2, false},
     2,
     "socket 0 core 0,4 (cpus 1,9); socket 1 core 8,12 (cpus 17,25)"},
    {6,
     18,
     1,
     {BIND_NUMA, BIND_NUMA, 1, false},
     4,
     "numa 0 (cpus 6-7); numa 1 (cpus 8-15); numa 2 (cpus 16-17); "
     "numa 1 (cpus 8-15)"},
    {12,
     20,
     1,
     {BIND_SOCKET, BIND_SOCKET, 2, false},
     2,
     "socket 0 (cpus 12-15); socket 1 (cpus 16-19)"},
    {16,
     32,
     1,
     {BIND_CORE, BIND_SOCKET, 8, false},
     1,
     "socket 1 core 8-15 (cpus 16-31)"},
};

START_TEST(parts_of_a_machine)
{
    const struct part *row = &parts[_i];

    setenv("HWLOC_SYNTHETIC", usual, 1);
    use(row->first, row->end, row->step);
    check_places(&row->request, row->n, row->places);
}
END_TEST

START_TEST(no_part_of_the_machine)
{
    const struct bind_request request = {BIND_CORE, BIND_NONE, 1, true};

    setenv("HWLOC_SYNTHETIC", usual, 1);
    use(100, 110, 1);
    check_refusal(&request, 1,
                  "--bind-to core --cpus-per-rank 1: there are not so many "
                  "cores together that ctrun may use");
}
END_TEST

START_TEST(sets_are_what_the_texts_say)
{
    const struct bind_request request = {BIND_CORE, BIND_NONE, 2, false};
    struct bind_place *places;

    setenv("HWLOC_SYNTHETIC", usual, 1);
    use(1, 32, 1);
    ck_assert_int_eq(bind_places(&request, 8, &places, NULL), 0);
    ck_assert_str_eq(places[0].text, "socket 0 core 0-1 (cpus 1-3)");
    ck_assert_int_eq(CPU_COUNT_S(places[0].size, places[0].cpus), 3);
    for (int cpu = 1; cpu < 4; cpu++)
        ck_assert(CPU_ISSET_S(cpu, places[0].size, places[0].cpus));
    ck_assert_int_eq(CPU_COUNT_S(places[7].size, places[7].cpus), 4);
    for (int cpu = 28; cpu < 32; cpu++)
        ck_assert(CPU_ISSET_S(cpu, places[7].size, places[7].cpus));
    bind_places_free(places, 8);
}
END_TEST

START_TEST(large_machines)
{
    const struct bind_request request = {BIND_CORE, BIND_NONE, 1, false};
    struct bind_place *places;

    setenv("HWLOC_SYNTHETIC", "pack:2 core:600 pu:1", 1);
    use(0, 1200, 1);
    may.kernel_size = 256;
    ck_assert_int_eq(bind_places(&request, 1200, &places, NULL), 0);
    ck_assert_str_eq(places[1199].text, "socket 1 core 1199 (cpus 1199)");
    ck_assert(CPU_ISSET_S(1199, places[1199].size, places[1199].cpus));
    for (unsigned i = 0; i < 1200; i++) /* one size is told to the ranks */
        ck_assert_int_eq(CPU_COUNT_S(places[i].size, places[i].cpus), 1);
    bind_places_free(places, 1200);
}
END_TEST

#else

START_TEST(without_hwloc)
{
    const struct bind_request request = {BIND_CORE, BIND_NONE, 1, false};

    use(0, 4, 1);
    check_refusal(&request, 1,
                  "only --bind-to none: ctrun was built without hwloc");
}
END_TEST

#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void add_tests_of_topologies(TCase *tc)
{
#ifdef HAVE_HWLOC
    tcase_add_loop_test(tc, whole_machines, 0, COUNT(deals));
    tcase_add_loop_test(tc, parts_of_a_machine, 0, COUNT(parts));
    tcase_add_test(tc, no_part_of_the_machine);
    tcase_add_test(tc, sets_are_what_the_texts_say);
    tcase_add_test(tc, large_machines);
#else
    tcase_add_test(tc, without_hwloc);
#endif
}

int main(void)
{
    Suite *suite = suite_create("bind");
    TCase *tc = tcase_create("bind");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, not_bound);
    tcase_add_test(tc, more_cpus_than_the_usual_set_holds);
    tcase_add_test(tc, long_lists_are_cut_off);
    tcase_add_test(tc, a_kernel_that_does_not_tell);
    tcase_add_test(tc, available);
    add_tests_of_topologies(tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
