#include "base/span.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>

enum { UNTOUCHED = 4711 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct {
    const char *text;
    long min, max, value;
} numbers[] = {
    {"0", 0, 0, 0},
    {"7", 0, 9, 7},
    {"-12", -12, -12, -12},
    {"-0", 0, 0, 0},
    {"007", 7, 7, 7},
    {"00000000000000000000000000000000000001", 0, 9, 1},
    {"2147483648", 0, LONG_MAX, 2147483648L},
    {"9223372036854775807", 0, LONG_MAX, LONG_MAX},
    {"-9223372036854775807", LONG_MIN, 0, -LONG_MAX},
    {"-9223372036854775808", LONG_MIN, 0, LONG_MIN},
};

START_TEST(sound_numbers)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct ct_span text = ct_span_str(numbers[i].text);
        long value = UNTOUCHED;
        int rc = ct_span_number(text, numbers[i].min, numbers[i].max, &value);
        ck_assert_msg(rc == 0 && value == numbers[i].value, "'%s': %d, %ld",
                      numbers[i].text, rc, value);
    }
}
END_TEST

static const struct {
    const char *text;
    long min, max;
} no_numbers[] = {
    {"", LONG_MIN, LONG_MAX},
    {"-", LONG_MIN, LONG_MAX},
    {"--1", LONG_MIN, LONG_MAX},
    {"+1", LONG_MIN, LONG_MAX},
    {" 1", LONG_MIN, LONG_MAX},
    {"1 ", LONG_MIN, LONG_MAX},
    {"1-", LONG_MIN, LONG_MAX},
    {"1.0", LONG_MIN, LONG_MAX},
    {"0x10", LONG_MIN, LONG_MAX},
    {"1/", LONG_MIN, LONG_MAX},
    {"1:", LONG_MIN, LONG_MAX},
    {"1\n", LONG_MIN, LONG_MAX},
    {"9223372036854775808", LONG_MIN, LONG_MAX},
    {"-9223372036854775809", LONG_MIN, LONG_MAX},
    {"9223372036854775810", LONG_MIN, LONG_MAX},
    {"18446744073709551617", LONG_MIN, LONG_MAX},
    {"99999999999999999999999999999999", LONG_MIN, LONG_MAX},
    {"4", 5, 9},
    {"10", 5, 9},
    {"-1", 0, LONG_MAX},
    {"1", LONG_MIN, -1},
};

START_TEST(no_sound_numbers)
{
    for (size_t i = 0; i < COUNT(no_numbers); i++) {
        struct ct_span text = ct_span_str(no_numbers[i].text);
        long value = UNTOUCHED;
        int rc =
            ct_span_number(text, no_numbers[i].min, no_numbers[i].max, &value);
        ck_assert_msg(rc == -1 && value == UNTOUCHED, "'%s': %d, %ld",
                      no_numbers[i].text, rc, value);
    }
}
END_TEST

START_TEST(a_number_ends_with_its_span)
{
    char digits[] = {'1', '2', '3'}; /* no NUL behind */
    long value;

    ck_assert_int_eq(ct_span_number(ct_span(digits, 3), 0, 999, &value), 0);
    ck_assert_int_eq(value, 123);
    ck_assert_int_eq(ct_span_number(ct_span(digits, 2), 0, 999, &value), 0);
    ck_assert_int_eq(value, 12);
    ck_assert_int_eq(ct_span_number(ct_span("1\0002", 3), 0, 999, &value), -1);
    ck_assert_int_eq(ct_span_number(ct_span(NULL, 0), 0, 999, &value), -1);
}
END_TEST

START_TEST(equal_spans)
{
    char bytes[] = {'a', 'b', '\0', 'c'};

    ck_assert(ct_span_is(ct_span("key=", 3), "key"));
    ck_assert(!ct_span_is(ct_span("key=", 4), "key"));
    ck_assert(!ct_span_is(ct_span("key=", 2), "key"));
    ck_assert(!ct_span_is(ct_span("Key=", 3), "key"));
    ck_assert(ct_span_is(ct_span(NULL, 0), ""));
    ck_assert(ct_span_equal(ct_span(NULL, 0), ct_span("x", 0)));
    ck_assert(!ct_span_equal(ct_span(bytes, 4), ct_span("ab\0d", 4)));
    ck_assert(ct_span_equal(ct_span(bytes, 4), ct_span("ab\0c", 4)));
    ck_assert(!ct_span_is(ct_span(bytes, 3), "ab"));
}
END_TEST

START_TEST(copies)
{
    char bytes[] = {'a', '\0', 'c'};
    char *copy = ct_span_dup(ct_span(bytes, sizeof bytes));

    ck_assert_ptr_nonnull(copy);
    bytes[0] = 'z';
    ck_assert_mem_eq(copy, "a\0c", 4);
    free(copy);
    copy = ct_span_dup(ct_span(NULL, 0));
    ck_assert_ptr_nonnull(copy);
    ck_assert_str_eq(copy, "");
    free(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("span");
    TCase *tc = tcase_create("span");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, sound_numbers);
    tcase_add_test(tc, no_sound_numbers);
    tcase_add_test(tc, a_number_ends_with_its_span);
    tcase_add_test(tc, equal_spans);
    tcase_add_test(tc, copies);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
