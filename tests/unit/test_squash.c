#include "container/squash.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AVAILABLE = 65536, USED = 50000 };

struct patch {
    size_t at;
    int bytes;
    int64_t value;
};

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static void make(unsigned char *head)
{
    memset(head, 0, SQUASH_SUPERBLOCK_SIZE);
    memcpy(head, "hsqs", 4);
    put(head + 12, 131072, 4);
    put(head + 20, 1, 2); /* gzip */
    put(head + 22, 17, 2);
    put(head + 28, 4, 2);
    put(head + 40, USED, 8);
}

static void make_patched(unsigned char *head, const struct patch *patches)
{
    make(head);
    for (; patches->bytes > 0; patches++)
        put(head + patches->at, (uint64_t)patches->value, patches->bytes);
}

static int check(const unsigned char *head, struct squash_info *ret,
                 struct ct_error *err)
{
    memset(ret, 0xa5, sizeof *ret);
    return squash_check(head, SQUASH_SUPERBLOCK_SIZE, AVAILABLE, ret, err);
}

static bool is_untouched(const struct squash_info *info)
{
    for (size_t i = 0; i < sizeof *info; i++)
        if (((const unsigned char *)info)[i] != 0xa5)
            return false;
    return true;
}

START_TEST(a_plain_one)
{
    unsigned char head[SQUASH_SUPERBLOCK_SIZE];
    struct squash_info info;
    struct ct_error err;

    make(head);
    ck_assert(squash_is(head, sizeof head));
    ck_assert_msg(check(head, &info, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(info.size, USED);
    ck_assert_uint_eq(info.block_size, 131072);
    ck_assert_str_eq(info.compressor, "gzip");
}
END_TEST

#define NO_SQUASH ENOEXEC, "not a squashfs file system"
#define SUPER_VERSION(v)                                                             \
    ENOTSUP, "squashfs of version " v ": only 4.0 can be read; rebuild it "    \
             "with a current mksquashfs"
#define BLOCK(size) EBADMSG, "broken squashfs: block size " size
#define COMPRESSOR(id) ENOTSUP, "squashfs with an unknown compressor (" id ")"
#define SHORT(used)                                                            \
    EBADMSG, "truncated squashfs: the header says " used                       \
             " bytes, the file has 65536"

static const struct {
    struct patch patches[3];
    int code;
    const char *text;
} refusals[] = {
    {{{0, 1, 'H'}}, NO_SQUASH},
    {{{3, 1, 'h'}}, NO_SQUASH},
    {{{28, 2, 3}}, SUPER_VERSION("3.0")},
    {{{28, 2, 3}, {30, 2, 1}}, SUPER_VERSION("3.1")},
    {{{30, 2, 1}}, SUPER_VERSION("4.1")},
    {{{28, 2, 5}}, SUPER_VERSION("5.0")},
    {{{28, 2, 0xffff}, {30, 2, 0xffff}}, SUPER_VERSION("65535.65535")},
    {{{12, 4, 2048}, {22, 2, 11}}, BLOCK("2048 (2^11)")},
    {{{12, 4, 2097152}, {22, 2, 21}}, BLOCK("2097152 (2^21)")},
    {{{12, 4, 65536}}, BLOCK("65536 (2^17)")},
    {{{12, 4, 131073}}, BLOCK("131073 (2^17)")},
    {{{22, 2, 16}}, BLOCK("131072 (2^16)")},
    {{{12, 4, 1}, {22, 2, 0}}, BLOCK("1 (2^0)")},
    {{{12, 4, 1}, {22, 2, 32}}, BLOCK("1 (2^32)")},
    {{{12, 4, -1}, {22, 2, -1}}, BLOCK("4294967295 (2^65535)")},
    {{{20, 2, 0}}, COMPRESSOR("0")},
    {{{20, 2, 7}}, COMPRESSOR("7")},
    {{{20, 2, 0xffff}}, COMPRESSOR("65535")},
    {{{40, 8, 0}}, EBADMSG, "broken squashfs: 0 bytes used"},
    {{{40, 8, 95}}, EBADMSG, "broken squashfs: 95 bytes used"},
    {{{40, 8, AVAILABLE + 1}}, SHORT("65537")},
    {{{40, 8, INT64_MIN}}, SHORT("9223372036854775808")},
    {{{40, 8, -1}}, SHORT("18446744073709551615")},
};

START_TEST(refused)
{
    unsigned char head[SQUASH_SUPERBLOCK_SIZE];
    struct squash_info info;
    struct ct_error err;

    make_patched(head, refusals[_i].patches);
    ck_assert_int_eq(check(head, &info, &err), -1);
    ck_assert_str_eq(err.text, refusals[_i].text);
    ck_assert_int_eq(err.code, refusals[_i].code);
    ck_assert(is_untouched(&info));
    ck_assert_int_eq(check(head, &info, NULL), -1);
}
END_TEST

static const struct {
    struct patch patches[3];
    uint64_t size;
    uint32_t block_size;
    const char *compressor;
} good[] = {
    {{{20, 2, 2}}, USED, 131072, "lzma"},
    {{{20, 2, 3}}, USED, 131072, "lzo"},
    {{{20, 2, 4}}, USED, 131072, "xz"},
    {{{20, 2, 5}}, USED, 131072, "lz4"},
    {{{20, 2, 6}}, USED, 131072, "zstd"},
    {{{12, 4, 4096}, {22, 2, 12}}, USED, 4096, "gzip"},
    {{{12, 4, 1048576}, {22, 2, 20}}, USED, 1048576, "gzip"},
    {{{40, 8, 96}}, 96, 131072, "gzip"},
    {{{40, 8, AVAILABLE}}, AVAILABLE, 131072, "gzip"},
};

START_TEST(taken)
{
    unsigned char head[SQUASH_SUPERBLOCK_SIZE];
    struct squash_info info;
    struct ct_error err;

    make_patched(head, good[_i].patches);
    ck_assert_msg(check(head, &info, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(info.size, good[_i].size);
    ck_assert_uint_eq(info.block_size, good[_i].block_size);
    ck_assert_str_eq(info.compressor, good[_i].compressor);
}
END_TEST

START_TEST(the_file_ends_in_the_header)
{
    unsigned char head[SQUASH_SUPERBLOCK_SIZE];
    struct squash_info info;
    struct ct_error err;

    make(head);
    memset(&info, 0xa5, sizeof info);
    for (size_t len = 0; len < sizeof head; len++) {
        ck_assert(squash_is(head, len) == (len >= 4));
        ck_assert_int_eq(squash_check(head, len, len, &info, &err), -1);
        ck_assert_int_eq(err.code, len < 4 ? ENOEXEC : EBADMSG);
        ck_assert_str_eq(err.text, len < 4 ? "not a squashfs file system"
                                           : "truncated squashfs: the file "
                                             "ends in its header");
        ck_assert(is_untouched(&info));
    }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("squash");
    TCase *tc = tcase_create("squash");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60); /* of a busy machine */
    tcase_add_test(tc, a_plain_one);
    tcase_add_loop_test(tc, refused, 0, COUNT(refusals));
    tcase_add_loop_test(tc, taken, 0, COUNT(good));
    tcase_add_test(tc, the_file_ends_in_the_header);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
