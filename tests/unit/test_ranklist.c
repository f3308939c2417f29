#include "base/ranklist.h"

#include <check.h>
#include <stdlib.h>

enum { SIZE = 10 };

static const struct {
    const char *text;
    long count; /* -1: no list */
} lists[] = {
    {"0", 1},
    {"9", 1},
    {"0-9", 10},
    {"3-3", 1},
    {"0-3,7", 5},
    {"7,0-1", 3},
    {"1,1", 2},
    {"", -1},
    {",", -1},
    {"1,", -1},
    {",1", -1},
    {"10", -1},
    {"0-10", -1},
    {"3-2", -1},
    {"-3", -1},
    {"3-", -1},
    {"-", -1},
    {"0--1", -1},
    {"1 2", -1},
    {" 1", -1},
    {"+1", -1},
    {"a", -1},
    {"0x1", -1},
    {"1-2-3", -1},
    {"99999999999999999999", -1},
    {"0-99999999999999999999", -1},
};

START_TEST(counts)
{
    ck_assert_int_eq(ranklist_count(ct_span_str(lists[_i].text), SIZE),
                     lists[_i].count);
}
END_TEST

/* The span ends in the middle of a number, and nothing behind it is read. */
START_TEST(stays_in_its_span)
{
    ck_assert_int_eq(ranklist_count(ct_span("1-23", 3), SIZE), 2);
    ck_assert_int_eq(ranklist_count(ct_span("1-2", 2), SIZE), -1);
    ck_assert_int_eq(ranklist_count(ct_span("12", 0), SIZE), -1);
}
END_TEST

START_TEST(ranges_in_their_order)
{
    struct ct_span list = ct_span_str("7,0-3");
    unsigned first, last;

    ck_assert_int_eq(ranklist_next(&list, SIZE, &first, &last), 1);
    ck_assert_uint_eq(first, 7);
    ck_assert_uint_eq(last, 7);
    ck_assert_int_eq(ranklist_next(&list, SIZE, &first, &last), 1);
    ck_assert_uint_eq(first, 0);
    ck_assert_uint_eq(last, 3);
    ck_assert_int_eq(ranklist_next(&list, SIZE, &first, &last), 0);
    ck_assert_int_eq(ranklist_next(&list, SIZE, &first, &last), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ranklist");
    TCase *tc = tcase_create("ranklist");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, counts, 0, (int)(sizeof lists / sizeof lists[0]));
    tcase_add_test(tc, stays_in_its_span);
    tcase_add_test(tc, ranges_in_their_order);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
