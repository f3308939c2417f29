#include "client/carry.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* As the wires have them: PMI-1, a key of it, PMI-2, a key of it. */
static const char *const unsafes[] = {" \n\\", " \n\\=", ";\n\\", ";\n\\="};

/* There and back; encoded it holds nothing unsafe, and is not empty. */
static void check_round_trip(const char *value, const char *unsafe)
{
    char there[4096], back[2048];
    const char *text = carry_encode(value, unsafe, there, sizeof there);

    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(strlen(text), 0);
    ck_assert_uint_eq(strcspn(text, unsafe), strlen(text));
    ck_assert_int_eq(carry_decode(ct_span_str(text), back, sizeof back),
                     (long)strlen(value));
    ck_assert_str_eq(back, value);
}

START_TEST(every_byte_comes_back)
{
    char value[8], all[256];

    for (int c = 1; c < 256; c++) {
        all[c - 1] = (char)c;
        snprintf(value, sizeof value, "%c", c);
        check_round_trip(value, unsafes[_i]);
        snprintf(value, sizeof value, "%c%c", c, c);
        check_round_trip(value, unsafes[_i]);
        snprintf(value, sizeof value, "%%:%c", c);
        check_round_trip(value, unsafes[_i]);
        snprintf(value, sizeof value, " ;%c%%", c);
        check_round_trip(value, unsafes[_i]);
    }
    all[255] = '\0';
    check_round_trip(all, unsafes[_i]);
    check_round_trip("", unsafes[_i]);
}
END_TEST

START_TEST(what_can_be_carried_is_itself)
{
    static const char *const values[] = {
        "v", "%", "100%", ":%:", "%a", "%20", "\x7f", "\xff\x80;"};
    char buf[1];

    for (int i = 0; i < COUNT(values); i++)
        ck_assert_ptr_eq(carry_encode(values[i], " \n", buf, sizeof buf),
                         values[i]);
}
END_TEST

static const struct {
    const char *value, *text;
} spellings[] = {
    {"", "%:"},
    {"a b", "%:a%20b"},
    {"%:", "%:%25:"},
    {"\n", "%:%0a"},
    {"%:x", "%:%25:x"},
    {"\\", "%:%5c"},
    {"100% ", "%:100%25%20"},
};

/* Other versions of us must read it, too. */
START_TEST(how_it_is_spelled)
{
    char buf[64];
    const char *text =
        carry_encode(spellings[_i].value, " \n\\", buf, sizeof buf);

    ck_assert_ptr_eq(text, buf);
    ck_assert_str_eq(text, spellings[_i].text);
}
END_TEST

/* The room needed and one byte less, for each. */
START_TEST(limits_of_encoding)
{
    const char *text = spellings[_i].text;
    size_t need = strlen(text) + 1;
    char *buf = malloc(need); /* of its own, so that ASan sees its end */

    ck_assert_ptr_nonnull(buf);
    ck_assert_ptr_eq(carry_encode(spellings[_i].value, " \n\\", buf, need),
                     buf);
    ck_assert_str_eq(buf, text);
    for (size_t size = 0; size < need; size++)
        ck_assert_ptr_null(
            carry_encode(spellings[_i].value, " \n\\", buf, size));
    free(buf);
}
END_TEST

START_TEST(limits_of_decoding)
{
    const char *value = spellings[_i].value;
    size_t need = strlen(value) + 1;
    char *buf = malloc(need);

    ck_assert_ptr_nonnull(buf);
    ck_assert_int_eq(carry_decode(ct_span_str(spellings[_i].text), buf, need),
                     (long)need - 1);
    ck_assert_str_eq(buf, value);
    for (size_t size = 0; size < need; size++)
        ck_assert_int_eq(
            carry_decode(ct_span_str(spellings[_i].text), buf, size), -1);
    free(buf);
}
END_TEST

static const char *const malformed[] = {
    "",       "%",      "plain", "x%:%20", "%:%",   "%:%2",
    "%:a%2",  "%:%2A",  "%:%2g", "%:%00",  "%:%-1", "%:% 1",
    "%:%x20", "%:%20%", "%:%%",  " %:",    "%;%20",
};

START_TEST(what_nobody_encoded_is_itself)
{
    const char *text = malformed[_i];
    size_t need = strlen(text) + 1;
    char *buf = malloc(need);

    ck_assert_ptr_nonnull(buf);
    ck_assert_int_eq(carry_decode(ct_span_str(text), buf, need),
                     (long)need - 1);
    ck_assert_str_eq(buf, text);
    ck_assert_int_eq(carry_decode(ct_span_str(text), buf, need - 1), -1);
    free(buf);
}
END_TEST

static const struct {
    const char *key, *text;
} keys[] = {
    {"key", "key"},
    {"a=b", "%:a%3db"},
    {"%#1", "%:%25#1"},
    {"%+1", "%:%25+1"},
    {"%", "%"},
    {"1234567890123456789", "1234567890123456789"},
    {"12345678901234567890", "%#11065064a8286cbd"},
    {"=======", "%#d4f43c6a53728132"},
    {"======-", "%#d4f44c6a53729c62"},
};

/* In 20 bytes; other versions of us must find it. */
START_TEST(keys_of_any_length)
{
    char buf[20];
    const char *text = carry_key(keys[_i].key, " \n\\=", buf, sizeof buf);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, keys[_i].text);
    ck_assert_ptr_null(carry_key("=======", "=", buf, 18));
}
END_TEST

static const char *const no_heads[] = {
    "",          "%+",         "%+1-2-3",   "%+1-2-0:x", "%+1-2-100:x",
    "%+1-2:x",   "%+a-2-3:x",  "%+1--3:x",  "%+-1-2-3:", "%:1-2-3:x",
    "x%+1-2-3:", "%+1-2-3-4:", "%+1-2-03x",
};

START_TEST(heads_of_pieces)
{
    const struct carry_head head = {.rank = 4294967294, .more = 99};
    char buf[CARRY_HEAD_SIZE];
    struct carry_head read = {0};
    struct ct_span piece;

    ck_assert_uint_eq(carry_head_write(&head, buf), strlen(buf));
    ck_assert_str_eq(buf, "%+4294967294-0-99:");
    carry_piece_key(&head, 3, buf);
    ck_assert_str_eq(buf, "%+4294967294-0-3");
    ck_assert_int_eq(
        carry_head_read(ct_span_str("%+7-2147483647-1:a:b"), &read, &piece), 0);
    ck_assert(read.rank == 7 && read.number == 2147483647 && read.more == 1);
    ck_assert(ct_span_is(piece, "a:b"));
    for (int i = 0; i < COUNT(no_heads); i++)
        ck_assert_int_eq(
            carry_head_read(ct_span_str(no_heads[i]), &read, &piece), -1);
}
END_TEST

/* Bytes behind the text are none of ours. */
START_TEST(text_ends_where_it_ends)
{
    char buf[16];

    ck_assert_int_eq(carry_decode(ct_span("%:a%20b", 5), buf, sizeof buf), 5);
    ck_assert_str_eq(buf, "%:a%2");
    ck_assert_int_eq(carry_decode(ct_span("%:a%20b", 6), buf, sizeof buf), 2);
    ck_assert_str_eq(buf, "a ");
    ck_assert_int_eq(carry_decode(ct_span("%:", 1), buf, sizeof buf), 1);
    ck_assert_str_eq(buf, "%");
}
END_TEST

static TCase *make_case(void)
{
    TCase *tc = tcase_create("carry");

    tcase_add_loop_test(tc, every_byte_comes_back, 0, COUNT(unsafes));
    tcase_add_test(tc, what_can_be_carried_is_itself);
    tcase_add_loop_test(tc, how_it_is_spelled, 0, COUNT(spellings));
    tcase_add_loop_test(tc, limits_of_encoding, 0, COUNT(spellings));
    tcase_add_loop_test(tc, limits_of_decoding, 0, COUNT(spellings));
    tcase_add_loop_test(tc, what_nobody_encoded_is_itself, 0, COUNT(malformed));
    tcase_add_loop_test(tc, keys_of_any_length, 0, COUNT(keys));
    tcase_add_test(tc, heads_of_pieces);
    tcase_add_test(tc, text_ends_where_it_ends);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("carry");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, make_case());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
