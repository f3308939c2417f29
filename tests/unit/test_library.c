#include "lazy/library.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The C library is there whatever else is; its path is not the one given. */
static const char libc[] = "/nowhere/libc.so.6";

struct table {
    __typeof__(strlen) *length;
    __typeof__(strcmp) *compare;
};

START_TEST(fills_the_table)
{
    static const char *const names[] = {"strlen", "strcmp"};
    struct table table = {0};
    struct ct_error error;

    ck_assert_int_eq(library_load(libc, names, 2, &table, &error), 0);
    ck_assert_uint_eq(table.length("seven"), 5);
    ck_assert_int_eq(table.compare("a", "a"), 0);
}
END_TEST

static size_t own_length(const char *text)
{
    (void)text;
    return 4711;
}

START_TEST(loads_once)
{
    static const char *const names[] = {"strlen", "strcmp"};
    struct table table = {own_length, strcmp};
    struct ct_error error;

    ck_assert_int_eq(library_load(libc, names, 2, &table, &error), 0);
    ck_assert_uint_eq(table.length("seven"), 4711);
}
END_TEST

START_TEST(no_such_function)
{
    static const char *const names[] = {"strlen", "no_such_function"};
    struct table table = {0};
    struct ct_error error;

    ck_assert_int_eq(library_load(libc, names, 2, &table, &error), -1);
    ck_assert_int_eq(error.code, ENOTSUP);
    ck_assert_ptr_nonnull(strstr(error.text, "no_such_function"));
    ck_assert(table.length == NULL && table.compare == NULL);
}
END_TEST

START_TEST(no_such_library)
{
    static const char *const names[] = {"strlen", "strcmp"};
    struct table table = {0};
    struct ct_error error;

    ck_assert_int_eq(
        library_load("/nowhere/libnone.so.0", names, 2, &table, &error), -1);
    ck_assert_int_eq(error.code, ENOTSUP);
    ck_assert_ptr_nonnull(strstr(error.text, "libnone.so.0"));
    ck_assert(table.length == NULL);
}
END_TEST

START_TEST(one_more_symbol)
{
    __typeof__(strlen) *length = library_symbol(libc, "strlen");

    ck_assert_ptr_nonnull(length);
    ck_assert_uint_eq(length("seven"), 5);
    ck_assert_ptr_null(library_symbol(libc, "no_such_function"));
    ck_assert_ptr_null(library_symbol("/nowhere/libnone.so.0", "strlen"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("library");
    TCase *tc = tcase_create("library");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, fills_the_table);
    tcase_add_test(tc, loads_once);
    tcase_add_test(tc, no_such_function);
    tcase_add_test(tc, no_such_library);
    tcase_add_test(tc, one_more_symbol);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
