#include "base/pack.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct unpack reader(const struct pack *p)
{
    return (struct unpack){.bytes = p->bytes, .len = p->len};
}

static void check_at_end(const struct unpack *u)
{
    ck_assert(!u->failed);
    ck_assert_uint_eq(u->at, u->len);
}

START_TEST(all_kinds_come_back)
{
    char *list[] = {"a", "", "long enough", NULL};
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, 0);
    pack_str(&p, "text");
    pack_bytes(&p, "\0\1\2", 3);
    pack_list(&p, list);
    pack_u32(&p, UINT32_MAX);
    ck_assert(!p.failed && p.len <= p.room);
    u = reader(&p);
    ck_assert_uint_eq(unpack_u32(&u), 0);
    ck_assert_str_eq(unpack_str(&u), "text");
    ck_assert_mem_eq(unpack_bytes(&u, 3), "\0\1\2", 3);
    const char **again = unpack_list(&u);
    ck_assert_ptr_nonnull(again);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(again[i], list[i]);
    ck_assert_ptr_null(again[3]);
    ck_assert_uint_eq(unpack_u32(&u), UINT32_MAX);
    check_at_end(&u);
    free(again);
    free(p.bytes);
}
END_TEST

START_TEST(null_is_not_empty)
{
    struct pack p = {0};
    struct unpack u;

    pack_str(&p, NULL);
    pack_str(&p, "");
    u = reader(&p);
    ck_assert_ptr_null(unpack_str(&u));
    ck_assert(!u.failed);
    ck_assert_str_eq(unpack_str(&u), "");
    check_at_end(&u);
    free(p.bytes);
}
END_TEST

START_TEST(empty_lists)
{
    char *list[] = {NULL};
    struct pack p = {0};
    struct unpack u;

    pack_list(&p, list);
    u = reader(&p);
    const char **again = unpack_list(&u);
    ck_assert_ptr_nonnull(again);
    ck_assert_ptr_null(again[0]);
    check_at_end(&u);
    free(again);
    free(p.bytes);
}
END_TEST

START_TEST(it_grows)
{
    struct pack p = {0};
    struct unpack u;
    unsigned wrong = 0;

    for (uint32_t i = 0; i < 10000; i++)
        pack_u32(&p, i * 2654435761u);
    ck_assert_uint_eq(p.len, 40000);
    u = reader(&p);
    for (uint32_t i = 0; i < 10000; i++)
        wrong += unpack_u32(&u) != i * 2654435761u;
    ck_assert_uint_eq(wrong, 0);
    check_at_end(&u);
    free(p.bytes);
}
END_TEST

START_TEST(nothing_costs_nothing)
{
    struct pack p = {0};
    struct unpack u = {0};

    pack_bytes(&p, NULL, 0);
    ck_assert_ptr_null(p.bytes);
    ck_assert(!p.failed);
    ck_assert_ptr_nonnull(unpack_bytes(&u, 0));
    ck_assert(!u.failed);
}
END_TEST

/* A number, a string and a list. */
static void unpack_message(struct unpack *u)
{
    unpack_u32(u);
    unpack_str(u);
    free(unpack_list(u));
}

START_TEST(what_ends_early_fails)
{
    char *list[] = {"one", "two", NULL};
    struct pack p = {0};

    pack_u32(&p, 1);
    pack_str(&p, "text");
    pack_list(&p, list);
    for (size_t len = 0; len <= p.len; len++) {
        char *part = malloc(len); /* of its own: ASan sees its end */
        if (len > 0)
            memcpy(part, p.bytes, len);
        struct unpack u = {.bytes = part, .len = len};
        unpack_message(&u);
        ck_assert_msg(u.failed == (len < p.len), "%zu of %zu", len, p.len);
        ck_assert_uint_le(u.at, len);
        free(part);
    }
    free(p.bytes);
}
END_TEST

START_TEST(a_failure_sticks)
{
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, 7);
    pack_u32(&p, 8);
    u = reader(&p);
    ck_assert_ptr_null(unpack_bytes(&u, p.len + 1));
    ck_assert(u.failed);
    ck_assert_uint_eq(unpack_u32(&u), 0);
    ck_assert_ptr_null(unpack_bytes(&u, 1));
    ck_assert_ptr_null(unpack_str(&u));
    ck_assert_ptr_null(unpack_list(&u));
    ck_assert_uint_eq(u.at, 0);
    free(p.bytes);
}
END_TEST

START_TEST(a_failed_pack_takes_no_more)
{
    struct pack p = {.failed = true};

    pack_u32(&p, 7);
    pack_str(&p, "text");
    ck_assert_ptr_null(p.bytes);
    ck_assert_uint_eq(p.len, 0);
}
END_TEST

static void check_refused(const char *bytes, size_t len, bool list)
{
    char *copy = malloc(len);
    memcpy(copy, bytes, len);
    struct unpack u = {.bytes = copy, .len = len};

    if (list)
        ck_assert_ptr_null(unpack_list(&u));
    else
        ck_assert_ptr_null(unpack_str(&u));
    ck_assert(u.failed);
    free(copy);
}

START_TEST(hostile_strings)
{
    struct pack p = {0};

    pack_u32(&p, 3);
    pack_bytes(&p, "abcd", 4); /* no NUL where it should be */
    check_refused(p.bytes, p.len, false);
    p.len = 0;
    pack_u32(&p, UINT32_MAX - 1);
    pack_bytes(&p, "abc", 4);
    check_refused(p.bytes, p.len, false);
    free(p.bytes);
}
END_TEST

START_TEST(hostile_lists)
{
    struct pack p = {0};

    pack_u32(&p, UINT32_MAX);
    pack_str(&p, "a");
    check_refused(p.bytes, p.len, true);
    p.len = 0;
    pack_u32(&p, 2); /* two are told, one is there */
    pack_str(&p, "abcd");
    check_refused(p.bytes, p.len, true);
    p.len = 0;
    pack_u32(&p, 2); /* a string that is none would end the list early */
    pack_str(&p, NULL);
    pack_str(&p, "a");
    check_refused(p.bytes, p.len, true);
    free(p.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    TCase *tc = tcase_create("pack");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, all_kinds_come_back);
    tcase_add_test(tc, null_is_not_empty);
    tcase_add_test(tc, empty_lists);
    tcase_add_test(tc, it_grows);
    tcase_add_test(tc, nothing_costs_nothing);
    tcase_add_test(tc, what_ends_early_fails);
    tcase_add_test(tc, a_failure_sticks);
    tcase_add_test(tc, a_failed_pack_takes_no_more);
    tcase_add_test(tc, hostile_strings);
    tcase_add_test(tc, hostile_lists);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
