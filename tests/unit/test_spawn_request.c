/*
 * What PMI_Spawn_multiple() and PMI2_Job_Spawn() are given, in the layouts of
 * MPICH and of Slurm, and what is asked of the client then.
 */
#include "client/abi/pmi2.h"
#include "client/abi/spawn.h"
#include "client/ops.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- a client that writes down what it is asked ---- */

struct scribe {
    struct client client;
    char text[4096];
};

static void write_down(struct scribe *scribe, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void write_down(struct scribe *scribe, const char *fmt, ...)
{
    size_t len = strlen(scribe->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(scribe->text + len, sizeof scribe->text - len, fmt, ap);
    va_end(ap);
}

static void write_pairs(struct scribe *scribe, const char *word,
                        const struct client_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        write_down(scribe, " %s:%s=%s", word, pairs[i].key, pairs[i].value);
}

static int on_spawn(struct client *client, const struct client_spawn *spawn,
                    char *jobid, size_t size, int *codes, size_t code_count,
                    struct ct_error *reterr)
{
    struct scribe *scribe = (struct scribe *)client;

    (void)reterr;
    for (size_t i = 0; i < spawn->count; i++) {
        const struct client_command *command = &spawn->commands[i];

        write_down(scribe, "%u x %s(", command->maxprocs, command->path);
        for (size_t k = 0; k < command->argc; k++)
            write_down(scribe, "%s%s", k > 0 ? " " : "", command->argv[k]);
        write_down(scribe, ")");
        write_pairs(scribe, "info", command->infos, command->info_count);
        write_down(scribe, ";");
    }
    write_pairs(scribe, "pre", spawn->preputs, spawn->preput_count);
    if (size > 0)
        snprintf(jobid, size, "child");
    for (size_t i = 0; i < code_count; i++)
        codes[i] = (int)i + 1;
    return 0;
}

static const struct client_ops ops = {.name = "scribe", .spawn = on_spawn};

static struct ct_error error;

static int ask(struct scribe *scribe, const struct spawn_request *request)
{
    char jobid[8];

    *scribe = (struct scribe){.client.ops = &ops};
    return spawn_request(&scribe->client, request, jobid, sizeof jobid, NULL, 0,
                         &error);
}

static void check_asked(const struct spawn_request *request,
                        const char *expected)
{
    struct scribe scribe;
    int first = dup(0), last; /* no descriptor is left open */

    close(first);
    ck_assert(spawn_is_valid(request));
    ck_assert_msg(ask(&scribe, request) == 0, "%s", error.text);
    ck_assert_str_eq(scribe.text, expected);
    last = dup(0);
    ck_assert_int_eq(last, first);
    close(last);
}

static const int one[] = {1, 1, 1};

/* One command, and what else a test wants. */
static struct spawn_request request_of(enum spawn_layout layout)
{
    static const char *const cmds[] = {"c"};

    return (struct spawn_request){
        .count = 1, .cmds = cmds, .maxprocs = one, .layout = layout};
}

/* ---- commands ---- */

START_TEST(commands_and_arguments)
{
    const char *cmds[] = {"a", "b", "c"};
    const char *first[] = {"1", "2", NULL}, *third[] = {NULL};
    const char **argvs[] = {first, NULL, third};
    const int maxprocs[] = {1, 2, 30};
    struct spawn_request request = {.count = 3,
                                    .cmds = cmds,
                                    .argvs = argvs,
                                    .maxprocs = maxprocs,
                                    .layout = (enum spawn_layout)_i};

    check_asked(&request, "1 x a(1 2);2 x b();30 x c();");
    ck_assert_uint_eq(spawn_procs(&request), 33);
    request.argvs = NULL;
    check_asked(&request, "1 x a();2 x b();30 x c();");
}
END_TEST

/* PMI-2 counts them, and need not end the list. */
START_TEST(arguments_that_are_counted)
{
    const char *words[] = {"1", "2", "3"};
    const char **argvs[] = {words};
    int argcs[] = {2};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.argvs = argvs;
    request.argcs = argcs;
    check_asked(&request, "1 x c(1 2);");
    argcs[0] = 0;
    check_asked(&request, "1 x c();");
    argvs[0] = NULL;
    argcs[0] = 3; /* of no list */
    check_asked(&request, "1 x c();");
}
END_TEST

START_TEST(answers_are_passed_on)
{
    struct spawn_request request = request_of((enum spawn_layout)_i);
    struct scribe scribe = {.client.ops = &ops};
    char jobid[8] = "";
    int codes[2] = {0};

    ck_assert_int_eq(spawn_request(&scribe.client, &request, jobid,
                                   sizeof jobid, codes, 2, &error),
                     0);
    ck_assert_str_eq(jobid, "child");
    ck_assert_int_eq(codes[0], 1);
    ck_assert_int_eq(codes[1], 2);
}
END_TEST

START_TEST(clients_that_cannot)
{
    static const struct client_ops none = {.name = "nobody"};
    struct client client = {.ops = &none};
    struct spawn_request request = request_of((enum spawn_layout)_i);

    ck_assert_int_eq(spawn_request(&client, &request, NULL, 0, NULL, 0, &error),
                     -1);
    ck_assert_int_eq(error.code, ENOTSUP);
}
END_TEST

/* ---- layouts ---- */

static const PMI2_keyval_t pairs[] = {
    {"host", "n1"}, {"wdir", "/tmp"}, {"", ""}, {"k", "a b;c=d"}};

/* Slurm fills in the words alone; what else is in it is what malloc() gave. */
static MPID_Info info_of(const char *key, const char *value, int rest)
{
    MPID_Info info;

    memset(&info, rest, sizeof info);
    info.key = (char *)key;
    info.value = (char *)value;
    return info;
}

static const int rests[] = {0, 1, 0x20, 0x61, 0x7f, 0xff};

START_TEST(pairs_as_infos)
{
    const void *infos[] = {pairs};
    int sizes[] = {1};
    struct spawn_request request = request_of((enum spawn_layout)_i);

    request.info_sizes = sizes;
    request.infos = infos;
    check_asked(&request, "1 x c() info:host=n1;");
    sizes[0] = 4;
    check_asked(&request, "1 x c() info:host=n1 info:wdir=/tmp info:= "
                          "info:k=a b;c=d;");
    sizes[0] = 0;
    check_asked(&request, "1 x c();");
    infos[0] = NULL;
    check_asked(&request, "1 x c();");
    request.infos = NULL;
    check_asked(&request, "1 x c();");
}
END_TEST

START_TEST(slurms_as_infos)
{
    const MPID_Info array[] = {info_of("host", "n1", rests[_i]),
                               info_of("wdir", "/tmp", rests[_i]),
                               info_of("k", "a b;c=d", rests[_i])};
    const void *infos[] = {array};
    int sizes[] = {1};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.info_sizes = sizes;
    request.infos = infos;
    check_asked(&request, "1 x c() info:host=n1;");
    sizes[0] = 3;
    check_asked(&request,
                "1 x c() info:host=n1 info:wdir=/tmp info:k=a b;c=d;");
}
END_TEST

/* As a list of them is linked. */
START_TEST(slurms_that_are_linked)
{
    MPID_Info array[] = {info_of("host", "n1", 0), info_of("k", "v", 0)};
    const void *infos[] = {array};
    const int sizes[] = {2};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    array[0].next = &array[1];
    request.info_sizes = sizes;
    request.infos = infos;
    check_asked(&request, "1 x c() info:host=n1 info:k=v;");
}
END_TEST

START_TEST(each_command_has_its_infos)
{
    static const char *const cmds[] = {"a", "b", "c"};
    const MPID_Info slurms[] = {info_of("host", "n1", 0)};
    const void *infos[] = {slurms, NULL, pairs};
    const int sizes[] = {1, 0, 2};
    struct spawn_request request = {.count = 3,
                                    .cmds = cmds,
                                    .maxprocs = one,
                                    .info_sizes = sizes,
                                    .infos = infos,
                                    .layout = SPAWN_GUESSED};

    check_asked(&request, "1 x a() info:host=n1;1 x b();"
                          "1 x c() info:host=n1 info:wdir=/tmp;");
}
END_TEST

START_TEST(pairs_as_preputs)
{
    struct spawn_request request = request_of((enum spawn_layout)_i);

    request.preputs = pairs;
    request.preput_size = 1;
    check_asked(&request, "1 x c(); pre:host=n1");
    request.preput_size = 4;
    check_asked(&request,
                "1 x c(); pre:host=n1 pre:wdir=/tmp pre:= pre:k=a b;c=d");
    request.preput_size = 0;
    check_asked(&request, "1 x c();");
    request.preputs = NULL;
    check_asked(&request, "1 x c();");
}
END_TEST

START_TEST(slurms_as_preputs)
{
    const MPID_Info first = info_of("host", "n1", rests[_i]),
                    second = info_of("k", "a b;c=d", rests[_i]);
    const MPID_Info *const list[] = {&first, &second};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.preputs = list;
    request.preput_size = 1;
    check_asked(&request, "1 x c(); pre:host=n1");
    request.preput_size = 2;
    check_asked(&request, "1 x c(); pre:host=n1 pre:k=a b;c=d");
}
END_TEST

/*
 * Text at an address whose bytes are letters, so that a pointer to it reads as
 * text, too.
 */
static char *lettered(const char *text)
{
    static const uintptr_t page = 0x414141414000;
    enum { LETTERS = 0x141 };
    char *place = mmap((void *)page, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                       0);

    ck_assert(place == (void *)page);
    return strcpy(place + LETTERS, text);
}

START_TEST(pointers_that_look_like_letters)
{
    const char *const host = lettered("host");
    const MPID_Info info = info_of(host, host, 0x61);
    const MPID_Info *const list[] = {&info, &info};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.preputs = list;
    request.preput_size = 2;
    check_asked(&request, "1 x c(); pre:host=host pre:host=host");
}
END_TEST

/* What lies behind a short key may be pointers to text as well. */
struct entry {
    char key[24];
    const char *value, *other;
};

START_TEST(keys_with_pointers_behind)
{
    const struct entry entries[] = {{"k", "v", "w"}, {"l", "x", "y"}};
    const PMI2_keyval_t array[] = {{entries[0].key, entries[0].value},
                                   {entries[1].key, entries[1].value}};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.preputs = array;
    request.preput_size = 1;
    check_asked(&request, "1 x c(); pre:k=v");
    request.preput_size = 2;
    check_asked(&request, "1 x c(); pre:k=v pre:l=x");
}
END_TEST

/* An array at the end of what is mapped is not read beyond. */
static void *at_the_edge(const void *bytes, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(two != MAP_FAILED);
    ck_assert_int_eq(munmap(two + page, page), 0);
    return memcpy(two + page - len, bytes, len);
}

START_TEST(nothing_is_read_beyond)
{
    const MPID_Info info = info_of("host", "n1", 0);
    const MPID_Info *list[] = {&info};
    const int sizes[] = {1};
    const PMI2_keyval_t pair = {at_the_edge("k", 2), at_the_edge("v", 2)};
    const void *infos[] = {at_the_edge(&pair, sizeof pair)};
    struct spawn_request request = request_of(SPAWN_GUESSED);

    request.info_sizes = sizes;
    request.infos = infos;
    request.preput_size = 1;
    request.preputs = infos[0];
    check_asked(&request, "1 x c() info:k=v; pre:k=v");
    infos[0] = at_the_edge(&info, sizeof info);
    request.preputs = at_the_edge(list, sizeof list);
    check_asked(&request, "1 x c() info:host=n1; pre:host=n1");
}
END_TEST

/* ---- what makes no sense ---- */

static const PMI2_keyval_t lacking[][2] = {
    {{NULL, "v"}, {"k", "v"}},
    {{"k", NULL}, {"k", "v"}},
    {{"k", "v"}, {NULL, "v"}},
    {{"k", "v"}, {"k", NULL}},
};

START_TEST(words_that_are_null)
{
    const void *infos[] = {lacking[_i]};
    const int sizes[] = {2};
    struct spawn_request request = request_of(SPAWN_PAIRS);
    struct scribe scribe;

    request.info_sizes = sizes;
    request.infos = infos;
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
    request = request_of(SPAWN_PAIRS);
    request.preput_size = 2;
    request.preputs = lacking[_i];
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
    request.layout = SPAWN_GUESSED;
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
    ck_assert_str_eq(scribe.text, "");
}
END_TEST

/* Of Slurm's, a later one. */
START_TEST(later_words_that_are_null)
{
    const MPID_Info good = info_of("k", "v", 0), bad = info_of("k", NULL, 0);
    const MPID_Info array[] = {good, bad};
    const MPID_Info *const list[] = {&good, &bad};
    const void *infos[] = {array};
    const int sizes[] = {2};
    struct spawn_request request = request_of(SPAWN_GUESSED);
    struct scribe scribe;

    request.info_sizes = sizes;
    request.infos = infos;
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
    request = request_of(SPAWN_GUESSED);
    request.preput_size = 2;
    request.preputs = list;
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
}
END_TEST

START_TEST(pointers_that_are_null)
{
    const MPID_Info good = info_of("k", "v", 0);
    const MPID_Info *const list[] = {&good, NULL};
    struct spawn_request request = request_of(SPAWN_GUESSED);
    struct scribe scribe;

    request.preput_size = 2;
    request.preputs = list;
    ck_assert_int_eq(ask(&scribe, &request), -1);
    ck_assert_int_eq(error.code, EINVAL);
    ck_assert_str_eq(scribe.text, "");
}
END_TEST

START_TEST(requests_that_are_refused)
{
    const char *cmds[] = {"c", NULL};
    const void *infos[] = {NULL, NULL};
    int maxprocs[] = {1, 1}, argcs[] = {0, 0}, sizes[] = {0, 0};
    struct spawn_request r = request_of(SPAWN_GUESSED);

#define REFUSED(change)                                                        \
    do {                                                                       \
        struct spawn_request good = r;                                         \
        ck_assert(spawn_is_valid(&r));                                         \
        change;                                                                \
        ck_assert_msg(!spawn_is_valid(&r), "%s", #change);                     \
        r = good;                                                              \
        cmds[0] = "c";                                                         \
        maxprocs[0] = 1;                                                       \
        argcs[0] = sizes[0] = 0;                                               \
    } while (0)
    r.cmds = cmds;
    r.maxprocs = maxprocs;
    r.argcs = argcs;
    r.info_sizes = sizes;
    r.infos = infos;
    REFUSED(r.count = 0);
    REFUSED(r.count = -1);
    REFUSED(r.count = 2); /* its second command is NULL */
    REFUSED(r.count = 1 << 30);
    REFUSED(r.cmds = NULL);
    REFUSED(cmds[0] = NULL);
    REFUSED(r.maxprocs = NULL);
    REFUSED(maxprocs[0] = 0);
    REFUSED(maxprocs[0] = -1);
    REFUSED(argcs[0] = -1);
    REFUSED(argcs[0] = 1 << 30);
    REFUSED(sizes[0] = -1);
    REFUSED(sizes[0] = 1 << 30);
    REFUSED(sizes[0] = 1); /* of NULL */
    REFUSED((sizes[0] = 1, r.infos = NULL));
    REFUSED(r.preput_size = -1);
    REFUSED(r.preput_size = 1); /* of NULL */
    REFUSED((r.preput_size = 1 << 30, r.preputs = pairs));
    check_asked(&r, "1 x c();");
#undef REFUSED
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, commands_and_arguments, 0, 2);
    tcase_add_test(tc, arguments_that_are_counted);
    tcase_add_loop_test(tc, answers_are_passed_on, 0, 2);
    tcase_add_loop_test(tc, clients_that_cannot, 0, 2);
    tcase_add_loop_test(tc, pairs_as_infos, 0, 2);
    tcase_add_loop_test(tc, slurms_as_infos, 0, COUNT(rests));
    tcase_add_test(tc, slurms_that_are_linked);
    tcase_add_test(tc, each_command_has_its_infos);
    tcase_add_loop_test(tc, pairs_as_preputs, 0, 2);
    tcase_add_loop_test(tc, slurms_as_preputs, 0, COUNT(rests));
    tcase_add_test(tc, pointers_that_look_like_letters);
    tcase_add_test(tc, keys_with_pointers_behind);
    tcase_add_test(tc, nothing_is_read_beyond);
    tcase_add_loop_test(tc, words_that_are_null, 0, COUNT(lacking));
    tcase_add_test(tc, later_words_that_are_null);
    tcase_add_test(tc, pointers_that_are_null);
    tcase_add_test(tc, requests_that_are_refused);
}

int main(void)
{
    Suite *suite = suite_create("spawn_request");
    TCase *tc = tcase_create("spawn_request");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    add_tests(tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
