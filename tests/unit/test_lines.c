/* Output in whole lines, with and without labels. */
#include "launcher/lines.h"

#include <check.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

static struct evbuffer *out;

static void setup(void)
{
    out = evbuffer_new();
    ck_assert_ptr_nonnull(out);
}

static void teardown(void)
{
    evbuffer_free(out);
}

/* What came out so far, and no more. */
static void came(const char *expected)
{
    size_t len = evbuffer_get_length(out);

    ck_assert_uint_eq(len, strlen(expected));
    ck_assert(len == 0 || memcmp(evbuffer_pullup(out, -1), expected, len) == 0);
    evbuffer_drain(out, len);
}

static void add(struct lines *lines, const char *text)
{
    lines_add(lines, text, strlen(text), out);
}

START_TEST(pieces_are_joined)
{
    struct lines lines = {0};

    add(&lines, "one ");
    came("");
    add(&lines, "line\nand a");
    came("one line\n");
    add(&lines, "nother\n");
    came("and another\n");
    lines_end(&lines, out);
    came("");
    lines_clear(&lines);
}
END_TEST

START_TEST(the_end_may_lack_a_newline)
{
    struct lines lines = {0};

    add(&lines, "a\nb");
    lines_end(&lines, out);
    came("a\nb");
    lines_clear(&lines);
}
END_TEST

START_TEST(each_line_has_a_label)
{
    struct lines lines = {.label = "07: "};

    add(&lines, "a\nb\nc");
    came("07: a\n07: b\n");
    add(&lines, "d\n\n");
    came("07: cd\n07: \n");
    add(&lines, "end");
    lines_end(&lines, out);
    came("07: end\n");
    lines_clear(&lines);
}
END_TEST

START_TEST(bytes_are_bytes)
{
    struct lines lines = {0};
    const char bytes[] = "a\0b\n\0c";

    lines_add(&lines, bytes, 6, out);
    ck_assert_uint_eq(evbuffer_get_length(out), 4);
    ck_assert_mem_eq(evbuffer_pullup(out, -1), "a\0b\n", 4);
    lines_end(&lines, out);
    ck_assert_mem_eq(evbuffer_pullup(out, -1), bytes, 6);
    lines_clear(&lines);
}
END_TEST

/* A line without an end must not fill the memory; its label comes once. */
START_TEST(a_long_line_goes_in_pieces)
{
    struct lines lines = {.label = "1: "};
    size_t len = 0, piece = 65536;
    char *block = malloc(piece);

    ck_assert_ptr_nonnull(block);
    memset(block, 'x', piece);
    for (int i = 0; i < 40; i++) {
        lines_add(&lines, block, piece, out);
        len += piece;
    }
    ck_assert_uint_ge(evbuffer_get_length(out), 1024 * 1024);
    lines_add(&lines, "\n", 1, out);
    ck_assert_uint_eq(evbuffer_get_length(out), strlen("1: ") + len + 1);
    ck_assert_mem_eq(evbuffer_pullup(out, 4), "1: x", 4);
    ck_assert_int_eq(evbuffer_search(out, "1: ", 3, NULL).pos, 0);
    evbuffer_drain(out, evbuffer_get_length(out));
    add(&lines, "next\n");
    came("1: next\n");
    free(block);
    lines_clear(&lines);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lines");
    TCase *tcase = tcase_create("lines");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, pieces_are_joined);
    tcase_add_test(tcase, the_end_may_lack_a_newline);
    tcase_add_test(tcase, each_line_has_a_label);
    tcase_add_test(tcase, bytes_are_bytes);
    tcase_add_test(tcase, a_long_line_goes_in_pieces);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
