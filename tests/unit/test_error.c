#include "base/error.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A text of one letter, longer than an error can hold. */
static const char *long_text(void)
{
    static char text[1000];

    memset(text, 'x', sizeof text - 1);
    return text;
}

static void check_is_cut(const struct ct_error *err)
{
    ck_assert_uint_eq(strlen(err->text), sizeof err->text - 1);
    ck_assert_uint_eq(strspn(err->text, "x"), sizeof err->text - 1);
}

START_TEST(fail_fills_code_and_text)
{
    struct ct_error err;

    ck_assert_int_eq(ct_fail(&err, EPROTO, "rank %d said '%s'", 3, "no"), -1);
    ck_assert_int_eq(err.code, EPROTO);
    ck_assert_str_eq(err.text, "rank 3 said 'no'");
}
END_TEST

START_TEST(a_later_error_replaces_an_earlier_one)
{
    struct ct_error err;

    ct_fail(&err, EPROTO, "a long text that was there before");
    ct_fail(&err, EINVAL, "short");
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_str_eq(err.text, "short");
}
END_TEST

START_TEST(errno_is_appended_and_survives)
{
    struct ct_error err;

    errno = ENOENT;
    ck_assert_int_eq(ct_fail_errno(&err, "cannot open %s", "/a"), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(err.code, ENOENT);
    ck_assert_str_eq(err.text, "cannot open /a: No such file or directory");
}
END_TEST

START_TEST(the_outer_text_goes_before_the_inner)
{
    struct ct_error err;

    ct_fail(&err, EIO, "bad block");
    ck_assert_int_eq(ct_fail_in(&err, "image %s", "a.sif"), -1);
    ck_assert_int_eq(ct_fail_in(&err, "rank %d", 7), -1);
    ck_assert_int_eq(err.code, EIO);
    ck_assert_str_eq(err.text, "rank 7: image a.sif: bad block");
}
END_TEST

START_TEST(no_memory)
{
    struct ct_error err;

    ck_assert_int_eq(ct_fail_nomem(&err), -1);
    ck_assert_int_eq(err.code, ENOMEM);
    ck_assert_str_eq(err.text, "out of memory");
}
END_TEST

START_TEST(nobody_wants_the_text)
{
    errno = EBADF;
    ck_assert_int_eq(ct_fail(NULL, EIO, "%s", "text"), -1);
    ck_assert_int_eq(ct_fail_errno(NULL, "%s", "text"), -1);
    ck_assert_int_eq(ct_fail_in(NULL, "%s", "text"), -1);
    ck_assert_int_eq(ct_fail_nomem(NULL), -1);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    struct ct_error err;

    ct_fail(&err, EIO, "%s", long_text());
    check_is_cut(&err);
    errno = ENOENT;
    ct_fail_errno(&err, "%s", long_text());
    check_is_cut(&err);
    ck_assert_int_eq(err.code, ENOENT);
    ct_fail(&err, EIO, "inner");
    ct_fail_in(&err, "%s", long_text());
    check_is_cut(&err);
    ck_assert_int_eq(err.code, EIO);
}
END_TEST

START_TEST(a_prefix_cuts_a_full_text)
{
    struct ct_error err;

    ct_fail(&err, EIO, "%s", long_text());
    ct_fail_in(&err, "here");
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    ck_assert_uint_eq(strspn(err.text + 6, "x"), sizeof err.text - 7);
    err.text[6] = '\0';
    ck_assert_str_eq(err.text, "here: ");
}
END_TEST

/* File names and what clients say end up in errors. */
START_TEST(a_text_is_one_line)
{
    struct ct_error err;

    ct_fail(&err, EINVAL, "no '%s'", "a\nb\rc\x1b[1m\x7f d\t");
    ck_assert_str_eq(err.text, "no 'a?b?c?[1m? d?'");
    errno = ENOENT;
    ct_fail_errno(&err, "no \"%s\"", "\n");
    ck_assert_str_eq(err.text, "no \"?\": No such file or directory");
    ct_fail_in(&err, "%s", "\n");
    ck_assert_str_eq(err.text, "?: no \"?\": No such file or directory");
}
END_TEST

START_TEST(other_alphabets_stay)
{
    struct ct_error err;

    ct_fail(&err, EINVAL, "no '%s'", "/tmp/\xc3\xa4\xe2\x82\xac");
    ck_assert_str_eq(err.text, "no '/tmp/\xc3\xa4\xe2\x82\xac'");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tc = tcase_create("error");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, fail_fills_code_and_text);
    tcase_add_test(tc, a_later_error_replaces_an_earlier_one);
    tcase_add_test(tc, errno_is_appended_and_survives);
    tcase_add_test(tc, the_outer_text_goes_before_the_inner);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, nobody_wants_the_text);
    tcase_add_test(tc, long_texts_are_cut);
    tcase_add_test(tc, a_prefix_cuts_a_full_text);
    tcase_add_test(tc, a_text_is_one_line);
    tcase_add_test(tc, other_alphabets_stay);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
