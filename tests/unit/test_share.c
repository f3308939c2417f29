#include "agent/share.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 3 };

static unsigned places[] = {2, 0, 1};
static char *argv_a[] = {"./a", "two words", "", NULL};
static char *argv_b[] = {"b", NULL};
static char *env_b[] = {"X=1", "Y=", NULL};
static char *preput[] = {"PARENT_PORT", "tag#0$x=y;z", NULL};
static struct share_app apps[] = {
    {.ranks = 2, .argv = argv_a, .workdir = "/usr", .path = "/bin"},
    {.ranks = 1, .argv = argv_b, .env = env_b},
};
static const struct share example = {
    .number = 7,
    .family = 2,
    .id = "123.7",
    .parent = "123.0",
    .parent_rank = 5,
    .plan = 0x0123456789abcdef,
    .size = 3,
    .node_of = places,
    .app_count = 2,
    .apps = apps,
    .preput = preput,
};

static struct pack packed(const struct share *share)
{
    struct pack p = {0};

    ck_assert_int_eq(share_pack(&p, share, NULL), 0);
    return p;
}

static void expect_list(char *const *list, char *const *expected)
{
    size_t i = 0;

    for (; expected != NULL && expected[i] != NULL; i++)
        ck_assert_str_eq(list[i], expected[i]);
    ck_assert_ptr_null(list[i]);
}

static void expect_app(const struct share_app *app,
                       const struct share_app *expected)
{
    ck_assert_uint_eq(app->ranks, expected->ranks);
    expect_list(app->argv, expected->argv);
    expect_list(app->env, expected->env);
    ck_assert_pstr_eq(app->workdir, expected->workdir);
    ck_assert_pstr_eq(app->path, expected->path);
}

START_TEST(all_of_it_comes_back)
{
    struct pack p = packed(&example);
    struct share share;

    ck_assert_int_eq(share_unpack(p.bytes, p.len, NODES, &share, NULL), 0);
    ck_assert_uint_eq(share.number, 7);
    ck_assert_uint_eq(share.family, 2);
    ck_assert_str_eq(share.id, "123.7");
    ck_assert_str_eq(share.parent, "123.0");
    ck_assert_uint_eq(share.parent_rank, 5);
    ck_assert(share.plan == 0x0123456789abcdef);
    ck_assert_uint_eq(share.size, 3);
    ck_assert_mem_eq(share.node_of, places, sizeof places);
    ck_assert_uint_eq(share.app_count, 2);
    for (int i = 0; i < 2; i++)
        expect_app(&share.apps[i], &apps[i]);
    expect_list(share.preput, preput);
    share_clear(&share);
    free(p.bytes);
}
END_TEST

static void refuse(const void *bytes, size_t len)
{
    void *copy = malloc(len); /* of its own, so that ASan sees its end */
    struct share share;
    struct ct_error err;

    ck_assert(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes, len);
    ck_assert_int_eq(share_unpack(copy, len, NODES, &share, &err), -1);
    ck_assert_int_eq(err.code, EPROTO);
    free(copy);
}

START_TEST(no_piece_of_it_is_one)
{
    struct pack p = packed(&example);

    for (size_t len = 0; len < p.len; len++)
        refuse(p.bytes, len);
    pack_bytes(&p, "", 1);
    refuse(p.bytes, p.len);
    free(p.bytes);
}
END_TEST

/* What differs from the example in one thing, and is refused. */
static struct share bad(int number, struct share_app *app, unsigned *map)
{
    static char *none[] = {NULL}, *lone[] = {"key", NULL};
    struct share share = example;

    app[0] = apps[0];
    app[1] = apps[1];
    memcpy(map, places, sizeof places);
    share.apps = app;
    share.node_of = map;
    switch (number) {
    case 0:
        share.number = 0;
        break;
    case 1:
        share.id = "";
        break;
    case 2:
        share.id = NULL;
        break;
    case 3:
        share.id = "1;2";
        break;
    case 4:
        share.id = "12345678901234567890123456789012";
        break;
    case 5:
        share.parent = NULL;
        break;
    case 6:
        map[2] = NODES;
        break;
    case 7:
        app[0].ranks = 3;
        break;
    case 8:
        app[1].ranks = 0, app[0].ranks = 3;
        break;
    case 9:
        app[1].argv = none;
        break;
    case 10:
        share.preput = lone;
        break;
    case 11:
        share.app_count = 0;
        break;
    case 12:
        share.size = 0;
        break;
    case 13:
        share.size = 2;
        break;
    default:
        ck_abort();
    }
    return share;
}

START_TEST(what_makes_no_sense_is_refused)
{
    struct share_app app[2];
    unsigned map[3];
    struct share share = bad(_i, app, map);
    struct pack p = packed(&share);

    refuse(p.bytes, p.len);
    free(p.bytes);
}
END_TEST

/* Numbers that would have us allocate. */
START_TEST(counts_are_bounded)
{
    static unsigned many[SHARE_RANKS_MAX + 1];
    struct share_app app = {.ranks = SHARE_RANKS_MAX + 1, .argv = argv_b};
    struct share share = example;
    struct pack p;

    share.node_of = many;
    share.size = app.ranks;
    share.apps = &app;
    share.app_count = 1;
    p = packed(&share);
    refuse(p.bytes, p.len);
    free(p.bytes);
}
END_TEST

START_TEST(too_many_bytes_are_not_sent)
{
    char *text = malloc(SHARE_BYTES_MAX + 1);
    struct share share = example;
    struct share_app app = {.ranks = 3, .argv = argv_b};
    char *env[] = {text, NULL};
    struct pack p = {0};
    struct ct_error err;

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', SHARE_BYTES_MAX);
    text[SHARE_BYTES_MAX] = '\0';
    app.env = env;
    share.apps = &app;
    share.app_count = 1;
    ck_assert_int_eq(share_pack(&p, &share, &err), -1);
    ck_assert_int_eq(err.code, E2BIG);
    free(p.bytes);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("share");
    TCase *tc = tcase_create("share");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, all_of_it_comes_back);
    tcase_add_test(tc, no_piece_of_it_is_one);
    tcase_add_loop_test(tc, what_makes_no_sense_is_refused, 0, 14);
    tcase_add_test(tc, counts_are_bounded);
    tcase_add_test(tc, too_many_bytes_are_not_sent);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
