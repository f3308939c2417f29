#include "wire/frame.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t secret[FRAME_SECRET_SIZE] = "0123456789abcde";

static const struct frame_head untouched = {4711, 4712, 4713};

/* The error's code, or 0; a copy of its own, so that ASan sees its end. */
static int decode(const char *bytes, const uint8_t *with,
                  struct frame_head *ret)
{
    char *copy = malloc(FRAME_HEAD_SIZE);
    struct ct_error err = {0};
    int rc;

    memcpy(copy, bytes, FRAME_HEAD_SIZE);
    *ret = untouched;
    rc = frame_decode(copy, with, ret, &err);
    free(copy);
    ck_assert_int_eq(rc, err.code == 0 ? 0 : -1);
    ck_assert((rc < 0) == (memcmp(ret, &untouched, sizeof untouched) == 0));
    ck_assert((rc < 0) == (err.text[0] != '\0'));
    return err.code;
}

static void encode(uint32_t kind, uint32_t from, uint32_t size,
                   char ret[FRAME_HEAD_SIZE])
{
    const struct frame_head head = {.kind = kind, .from = from, .size = size};

    frame_encode(&head, secret, ret);
}

START_TEST(round_trips)
{
    static const struct frame_head heads[] = {
        {0, 0, 0},
        {1, 2, 3},
        {UINT32_MAX, UINT32_MAX, FRAME_BODY_MAX},
        {16, 4095, 1 << 20},
    };
    char bytes[FRAME_HEAD_SIZE];
    struct frame_head got;

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        frame_encode(&heads[i], secret, bytes);
        ck_assert_int_eq(decode(bytes, secret, &got), 0);
        ck_assert_uint_eq(got.kind, heads[i].kind);
        ck_assert_uint_eq(got.from, heads[i].from);
        ck_assert_uint_eq(got.size, heads[i].size);
    }
}
END_TEST

START_TEST(any_bit_of_the_mark_and_the_secret_counts)
{
    char bytes[FRAME_HEAD_SIZE];
    struct frame_head got;

    for (unsigned bit = 0; bit < FRAME_HEAD_SIZE * 8; bit++) {
        encode(1, 2, 3, bytes);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        if (bit < 32)
            ck_assert_int_eq(decode(bytes, secret, &got), EPROTO);
        else if (bit >= 128)
            ck_assert_int_eq(decode(bytes, secret, &got), EACCES);
    }
}
END_TEST

START_TEST(another_secret)
{
    uint8_t other[FRAME_SECRET_SIZE] = {0};
    char bytes[FRAME_HEAD_SIZE];
    struct frame_head got;

    encode(1, 2, 3, bytes);
    ck_assert_int_eq(decode(bytes, other, &got), EACCES);
    memcpy(other, secret, sizeof other);
    ck_assert_int_eq(decode(bytes, other, &got), 0);
}
END_TEST

START_TEST(too_large)
{
    static const uint32_t sizes[] = {FRAME_BODY_MAX + 1U, INT32_MAX,
                                     INT32_MAX + 1U, UINT32_MAX};
    char bytes[FRAME_HEAD_SIZE];
    struct frame_head got;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        encode(1, 2, sizes[i], bytes);
        ck_assert_int_eq(decode(bytes, secret, &got), EPROTO);
    }
    ck_assert_int_eq(frame_decode(bytes, secret, &got, NULL), -1);
}
END_TEST

/* Who lacks the rest has zeros there: no part of a frame passes for one. */
START_TEST(every_truncation)
{
    char whole[FRAME_HEAD_SIZE];
    struct frame_head got;

    encode(1, 2, 3, whole);
    for (size_t len = 0; len < FRAME_HEAD_SIZE - 1; len++) {
        char bytes[FRAME_HEAD_SIZE] = {0};

        memcpy(bytes, whole, len);
        ck_assert_int_eq(decode(bytes, secret, &got),
                         len < sizeof(uint32_t) ? EPROTO : EACCES);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tc = tcase_create("frame");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, round_trips);
    tcase_add_test(tc, any_bit_of_the_mark_and_the_secret_counts);
    tcase_add_test(tc, another_secret);
    tcase_add_test(tc, too_large);
    tcase_add_test(tc, every_truncation);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
