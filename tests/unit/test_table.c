#include "client/table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(an_empty_one)
{
    struct table table = {NULL};
    unsigned owner = 7;

    ck_assert_ptr_null(table_get(&table, "k", &owner));
    ck_assert_ptr_null(table_get(&table, "", NULL));
    ck_assert_uint_eq(owner, 7);
    ck_assert_int_eq(table_drop(&table, "k"), -1);
    table_clear(&table);
    ck_assert_ptr_null(table.entries);
}
END_TEST

/* Neither key nor value need live on. */
START_TEST(copies_are_kept)
{
    struct table table = {NULL};
    char key[] = "key", value[] = "value";
    unsigned owner = 0;

    ck_assert_int_eq(table_put(&table, key, value, 3), 0);
    key[0] = value[0] = 'X';
    ck_assert_str_eq(table_get(&table, "key", &owner), "value");
    ck_assert_uint_eq(owner, 3);
    ck_assert_ptr_null(table_get(&table, "Xey", NULL));
    table_clear(&table);
}
END_TEST

START_TEST(the_last_put_counts)
{
    struct table table = {NULL};
    unsigned owner = 0;

    ck_assert_int_eq(table_put(&table, "k", "first", 1), 0);
    ck_assert_int_eq(table_put(&table, "k", "second, and longer", 2), 0);
    ck_assert_str_eq(table_get(&table, "k", &owner), "second, and longer");
    ck_assert_uint_eq(owner, 2);
    ck_assert_int_eq(table_put(&table, "k", "", 0), 0);
    ck_assert_str_eq(table_get(&table, "k", &owner), "");
    ck_assert_uint_eq(owner, 0);
    /* there is only one of it */
    ck_assert_int_eq(table_drop(&table, "k"), 0);
    ck_assert_ptr_null(table_get(&table, "k", NULL));
    ck_assert_int_eq(table_drop(&table, "k"), -1);
    table_clear(&table);
}
END_TEST

/* What it is told is in it already. */
START_TEST(a_value_put_again)
{
    struct table table = {NULL};

    ck_assert_int_eq(table_put(&table, "k", "v", 1), 0);
    ck_assert_int_eq(table_put(&table, "k", table_get(&table, "k", NULL), 2),
                     0);
    ck_assert_str_eq(table_get(&table, "k", NULL), "v");
    ck_assert_int_eq(table_put(&table, "l", table_get(&table, "k", NULL), 2),
                     0);
    ck_assert_str_eq(table_get(&table, "l", NULL), "v");
    table_clear(&table);
}
END_TEST

enum { MANY = 5000 };

static const char *numbered(char buf[32], const char *word, int i)
{
    snprintf(buf, 32, "%s%d", word, i);
    return buf;
}

static void put_many(struct table *table)
{
    char key[32], value[32];

    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(table_put(table, numbered(key, "k", i),
                                   numbered(value, "v", i), (unsigned)i),
                         0);
}

START_TEST(many)
{
    struct table table = {NULL};
    char key[32], value[32];
    unsigned owner;

    put_many(&table);
    for (int i = 0; i < MANY; i += 2)
        ck_assert_int_eq(table_drop(&table, numbered(key, "k", i)), 0);
    for (int i = 0; i < MANY; i++) {
        const char *found = table_get(&table, numbered(key, "k", i), &owner);
        if (i % 2 == 0) {
            ck_assert_ptr_null(found);
        } else {
            ck_assert_str_eq(found, numbered(value, "v", i));
            ck_assert_uint_eq(owner, (unsigned)i);
        }
    }
    table_clear(&table);
}
END_TEST

START_TEST(cleared_it_can_be_used_again)
{
    struct table table = {NULL};

    put_many(&table);
    table_clear(&table);
    ck_assert_ptr_null(table_get(&table, "k1", NULL));
    ck_assert_int_eq(table_put(&table, "k1", "new", 0), 0);
    ck_assert_str_eq(table_get(&table, "k1", NULL), "new");
    table_clear(&table);
}
END_TEST

START_TEST(two_of_them)
{
    struct table one = {NULL}, other = {NULL};

    ck_assert_int_eq(table_put(&one, "k", "1", 0), 0);
    ck_assert_int_eq(table_put(&other, "k", "2", 0), 0);
    ck_assert_str_eq(table_get(&one, "k", NULL), "1");
    table_clear(&one);
    ck_assert_str_eq(table_get(&other, "k", NULL), "2");
    table_clear(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tc = tcase_create("table");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, an_empty_one);
    tcase_add_test(tc, copies_are_kept);
    tcase_add_test(tc, the_last_put_counts);
    tcase_add_test(tc, a_value_put_again);
    tcase_add_test(tc, many);
    tcase_add_test(tc, cleared_it_can_be_used_again);
    tcase_add_test(tc, two_of_them);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
