#include "wire/mapping.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANKS = 4096, TEXT = 64 * 1024, UNTOUCHED = UINT_MAX };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The nodes of the ranks as digits: "0011" is two ranks on each of two nodes.
 */
static unsigned digits_to_map(const char *digits, unsigned *map)
{
    unsigned size = 0;

    for (; digits[size] != '\0'; size++)
        map[size] = (unsigned)(digits[size] - '0');
    return size;
}

static const char *map_to_digits(const unsigned *map, unsigned size)
{
    static char digits[64];

    ck_assert_uint_lt(size, sizeof digits);
    for (unsigned i = 0; i < size; i++)
        digits[i] = (char)('0' + map[i]);
    digits[size] = '\0';
    return digits;
}

static const struct {
    const char *digits;
    const char *text;
} known[] = {
    {"0", "(vector,(0,1,1))"},
    {"5", "(vector,(5,1,1))"},
    {"0000", "(vector,(0,1,4))"},
    {"0123", "(vector,(0,4,1))"},
    {"00112233", "(vector,(0,4,2))"},
    {"3210", "(vector,(3,1,1),(2,1,1),(1,1,1),(0,1,1))"},
    {"0001112", "(vector,(0,2,3),(2,1,1))"},
    {"01230123", "(vector,(0,4,1),(0,4,1))"},
    {"0011201", "(vector,(0,2,2),(2,1,1),(0,2,1))"},
    {"10", "(vector,(1,1,1),(0,1,1))"},
    {"010", "(vector,(0,2,1),(0,1,1))"},
};

START_TEST(known_maps)
{
    char text[256];
    unsigned map[16];

    for (size_t i = 0; i < COUNT(known); i++) {
        unsigned size = digits_to_map(known[i].digits, map);
        long len = mapping_encode(map, size, text, sizeof text, NULL);
        ck_assert_str_eq(text, known[i].text);
        ck_assert_int_eq(len, strlen(text));
    }
}
END_TEST

START_TEST(all_on_one_node)
{
    char text[64];

    mapping_encode(NULL, 7, text, sizeof text, NULL);
    ck_assert_str_eq(text, "(vector,(0,1,7))");
    mapping_encode(NULL, INT_MAX, text, sizeof text, NULL);
    ck_assert_str_eq(text, "(vector,(0,1,2147483647))");
}
END_TEST

START_TEST(largest_nodes)
{
    const unsigned map[] = {INT_MAX - 1, INT_MAX, INT_MAX};
    const unsigned wrong[] = {0, INT_MAX + 1u};
    struct ct_error err = {0};
    char text[64];

    mapping_encode(map, 3, text, sizeof text, NULL);
    ck_assert_str_eq(text, "(vector,(2147483646,1,1),(2147483647,1,2))");
    ck_assert_int_eq(mapping_encode(wrong, 2, text, sizeof text, &err), -1);
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_int_eq(mapping_encode(map, 0, text, sizeof text, &err), -1);
    ck_assert_int_eq(err.code, EINVAL);
    err.code = 0;
    ck_assert_int_eq(
        mapping_encode(NULL, INT_MAX + 1u, text, sizeof text, &err), -1);
    ck_assert_int_eq(err.code, EINVAL);
}
END_TEST

/* Encode into this room alone, for ASan; the text or NULL. */
static char *encode_into(const unsigned *map, unsigned size, size_t room)
{
    char *text = malloc(room + (room == 0));
    struct ct_error err = {0};
    long len;

    ck_assert_ptr_nonnull(text);
    len = mapping_encode(map, size, text, room, &err);
    if (len >= 0 ? (size_t)len == strlen(text) : err.code == ENOSPC) {
        if (len >= 0)
            return text;
        free(text);
        return NULL;
    }
    ck_abort_msg("a length of %ld, an error of %d", len, err.code);
    return NULL;
}

static void check_room(const char *digits, const char *text)
{
    unsigned map[64];
    unsigned size = digits_to_map(digits, map);

    for (size_t room = 0; room < 100; room++) {
        char *got = encode_into(map, size, room);
        ck_assert_msg((got != NULL) == (room > strlen(text)), "%zu bytes",
                      room);
        if (got != NULL && room < strlen(text) + 8)
            ck_assert_str_eq(got, text);
        free(got);
    }
}

/* In little room, the first round of a cyclic map is as good as all. */
START_TEST(maps_in_little_room)
{
    check_room("0000", "(vector,(0,1,4))");
    check_room("3210", "(vector,(3,1,1),(2,1,1),(1,1,1),(0,1,1))");
    check_room("012012012012012012012", "(vector,(0,3,1))");
    check_room("01201201201201201", "(vector,(0,3,1))");
    check_room("00110011001100110", "(vector,(0,2,2))");
    check_room("0210210210210210210", "(vector,(0,1,1),(2,1,1),(1,1,1))");
    check_room("0101201012010120101201012", "(vector,(0,2,1),(0,3,1))");
}
END_TEST

START_TEST(maps_that_are_not_cyclic)
{
    unsigned map[64];

    ck_assert_ptr_null(encode_into(NULL, 7, 16));
    ck_assert_ptr_null(
        encode_into(map, digits_to_map("1212121212121212", map), 40));
    ck_assert_ptr_null(
        encode_into(map, digits_to_map("01010101010101011", map), 40));
    ck_assert_ptr_null(
        encode_into(map, digits_to_map("00101010101010101", map), 40));
}
END_TEST

static const struct {
    const char *text;
    const char *digits;
} readable[] = {
    {"(vector,(0,1,1))", "0000"},
    {"(vector,(0,2,2))", "0011"},
    {"(vector,(0,2,2))", "00"},
    {"(vector,(0,2,2))", "00110011001"},
    {"(vector,(0,4,1),(0,1,8))", "012300000000"},
    {"(vector,(7,1,1),(2,2,1),(0,1,1))", "7230"},
    {"(vector,(1,3,1),(0,2,2))", "12300110011"},
    {"(vector,(3,1,2),(0,1,1),(5,1,1))", "3305050"},
    {"(vector,(1,1,2),(0,2,1),(0,1,3))", "11010000100"},
    {"(vector,0,0,1)", "00100"},
    {"(vector,3,0,(4,2,1),1)", "304510"},
    {"(vector,[(0,2,1)]x3,2)", "0101012"},
    {"(vector,[0,(1,2,1)]x2)", "0120120"},
    {"(vector,[5]x1,[6,7]x2)", "56767"},
    {"(vector,5,[6,7]x2,9)", "567679"},
    {"(vector,[0]x2147483647)", "00000000"},
    {"(vector,[(0,0,0)]x2147483647,[(3,2,0)]x2147483647,4)", "44"},
    {"(vector,(0,0,5),(1,1,1))", "111"},
    {"(vector,(2,5,0),(0,1,1))", "000"},
    {"(vector,(0,2147483647,1))", "01234567"},
    {"(vector,(0,2147483647,2147483647))", "0000"},
    {"(vector,(1,1,2147483647),(9,9,9))", "1111"},
    {"(vector,[(0,2147483647,2147483647)]x2147483647)", "0000"},
    {"(vector,[1,2,(3,1,2147483647)]x2147483647)", "123333"},
    {"   (vector ,  ( 0 , 2,1 ) , [ 0 , 1 ]x 2 )  ", "010101"},
    {"(vector,(00000000000000000000,0002,01))", "0101"},
};

START_TEST(texts_to_read)
{
    unsigned map[65];

    for (size_t i = 0; i < COUNT(readable); i++) {
        struct ct_span text = ct_span_str(readable[i].text);
        unsigned size = (unsigned)strlen(readable[i].digits);
        struct ct_error err = {0};
        map[size] = UNTOUCHED;
        ck_assert_msg(mapping_decode(text, size, map, &err) == 0, "'%s': %s",
                      readable[i].text, err.text);
        ck_assert_str_eq(map_to_digits(map, size), readable[i].digits);
        ck_assert_uint_eq(map[size], UNTOUCHED);
    }
}
END_TEST

static const char *const unreadable[] = {
    "",
    "vector",
    "(vector",
    "(vector)",
    "(vector,)",
    "(vector,(0,1,1)",
    "(vector,(0,1,1)))",
    "(vector,(0,1,1)) x",
    "(vector,(0,1,1));",
    "(vector,(0,1,1)\n)",
    "(vectors,(0,1,1))",
    "(Vector,(0,1,1))",
    "(vector(0,1,1))",
    "(vector,,(0,1,1))",
    "(vector,(0,1,1),)",
    "(vector,(0,1))",
    "(vector,(0,1,1,1))",
    "(vector,(0,1,))",
    "(vector,(0,1,1),(0,1,)",
    "(vector,0,[)",
    "(vector,0,[(0,1,1)",
    "(vector,())",
    "(vector,(,1,1))",
    "(vector,(-1,1,1))",
    "(vector,(0,-1,1))",
    "(vector,(0,1,-1))",
    "(vector,(+0,1,1))",
    "(vector,(0x0,1,1))",
    "(vector,(0,1,1.0))",
    "(vector,(0 0,1,1))",
    "(vector,(2147483648,1,1))",
    "(vector,(0,2147483648,1))",
    "(vector,(0,1,2147483648))",
    "(vector,(0,1,99999999999999999999999999))",
    "(vector,[0]x2147483648)",
    "(vector,[0])",
    "(vector,[0]x)",
    "(vector,[0]x0)",
    "(vector,[0]x-1)",
    "(vector,[0] x2)",
    "(vector,[]x2)",
    "(vector,[0,]x2)",
    "(vector,[0x2)",
    "(vector,[[0]x2]x2)",
    "(vector,0]x2)",
    "(vector,(0,0,1))",
    "(vector,(0,1,0))",
    "(vector,(0,0,0))",
    "(vector,(1,1,1))",
    "(vector,(1,3,1))",
    "(vector,[1,2]x2)",
    "(vector,(1,2,1),(0,0,0))",
};

START_TEST(texts_that_say_nothing)
{
    unsigned map[5], fresh[5];

    memset(fresh, 0xff, sizeof fresh);
    for (size_t i = 0; i < COUNT(unreadable); i++) {
        struct ct_span text = ct_span_str(unreadable[i]);
        struct ct_error err = {0};
        memset(map, 0xff, sizeof map);
        ck_assert_msg(mapping_decode(text, 5, map, &err) == -1, "took '%s'",
                      unreadable[i]);
        ck_assert_int_eq(err.code, EINVAL);
        ck_assert_mem_eq(map, fresh, sizeof map);
        ck_assert_int_eq(mapping_decode(text, 5, map, NULL), -1);
    }
}
END_TEST

/* Every byte of a good text counts; a text ends with its span. */
START_TEST(texts_that_end_early)
{
    static const char text[] = "(vector,[(0,2,1)]x2,(3,1,4),5)";
    unsigned map[8];

    for (size_t len = 0; len < strlen(text); len++) {
        char *part = malloc(len + (len == 0));
        ck_assert_ptr_nonnull(part);
        memcpy(part, text, len);
        ck_assert_int_eq(mapping_decode(ct_span(part, len), 8, map, NULL), -1);
        free(part);
    }
    ck_assert_int_eq(mapping_decode(ct_span_str(text), 8, map, NULL), 0);
    ck_assert_int_eq(mapping_decode(ct_span(NULL, 0), 8, map, NULL), -1);
}
END_TEST

static int decode_nothing(const char *text)
{
    unsigned map = UNTOUCHED;
    int rc = mapping_decode(ct_span_str(text), 0, &map, NULL);

    ck_assert_uint_eq(map, UNTOUCHED);
    return rc;
}

START_TEST(no_ranks_at_all)
{
    ck_assert_int_eq(decode_nothing("(vector,3)"), 0);
    ck_assert_int_eq(decode_nothing("(vector)"), 0);
    ck_assert_int_eq(decode_nothing("(vector,"), -1);
    ck_assert_int_eq(decode_nothing("(matrix,3)"), -1);
}
END_TEST

START_TEST(errors_say_where)
{
    struct ct_error err;
    unsigned map[5];

    mapping_decode(ct_span_str("(vector,(0,1,x))"), 5, map, &err);
    ck_assert_str_eq(err.text, "process mapping: wrong at byte 13");
    mapping_decode(ct_span_str("(vector,(1,3,1))"), 5, map, &err);
    ck_assert_str_eq(err.text, "process mapping: no node for ranks 3 to 4");
}
END_TEST

/* Many blocks of huge claims: still one step a byte and one a rank. */
START_TEST(hostile_texts_take_no_time)
{
    static const char block[] = ",[(0,2147483647,2147483647),"
                                "(0,0,2147483647)]x2147483647";
    static char text[TEXT];
    static unsigned map[RANKS];
    size_t len = (size_t)sprintf(text, "(vector,[(0,0,9)]x2147483647");

    while (len + sizeof block + 1 < sizeof text)
        len += (size_t)sprintf(text + len, "%s", block);
    text[len++] = ')';
    map[RANKS - 1] = UNTOUCHED;
    ck_assert_int_eq(mapping_decode(ct_span(text, len), RANKS, map, NULL), 0);
    ck_assert_uint_eq(map[RANKS - 1], 0);
}
END_TEST

/* ",(X,Y,Z)" and not a byte else; what is behind it, or NULL. */
static const char *read_triplet(const char *at, unsigned *ret)
{
    static const char before[] = ",(,,";

    if (at == NULL || *at++ != before[0])
        return NULL;
    for (int i = 0; i < 3; i++) {
        char *end;
        if (*at++ != before[i + 1] || !isdigit((unsigned char)*at))
            return NULL;
        ret[i] = (unsigned)strtoul(at, &end, 10);
        at = end;
    }
    return *at == ')' ? at + 1 : NULL;
}

/*
 * A reader of its own, as strict as that of an old client: triplets alone, no
 * blank, the list again from the first block of node 0 on.
 */
static bool read_strictly(const char *text, unsigned size, unsigned *map)
{
    const char *again = NULL, *at = text + strlen("(vector");
    unsigned rank = 0, b[3];

    if (strncmp(text, "(vector,(", 9) != 0)
        return false;
    while (rank < size) {
        const char *block = strcmp(at, ")") == 0 ? again : at;
        at = read_triplet(block, b);
        if (at == NULL || b[1] * b[2] == 0)
            return false;
        if (again == NULL && b[0] == 0)
            again = block;
        for (unsigned i = 0; i < b[1] * b[2] && rank < size; i++)
            map[rank++] = b[0] + i / b[2];
    }
    return true;
}

/* And the place behind the map was left alone. */
static bool is_same(const unsigned *map, unsigned size, const unsigned *again)
{
    return memcmp(map, again, size * sizeof *map) == 0 &&
           again[size] == UNTOUCHED;
}

/* Both readers find the map in the text. */
static bool says(const char *text, const unsigned *map, unsigned size)
{
    static unsigned again[RANKS + 1];

    again[size] = UNTOUCHED;
    if (!read_strictly(text, size, again) || !is_same(map, size, again))
        return false;
    memset(again, 0, size * sizeof *again);
    return mapping_decode(ct_span_str(text), size, again, NULL) == 0 &&
           is_same(map, size, again);
}

static void check_round_trip(const unsigned *map, unsigned size, size_t room)
{
    char *text = encode_into(map, size, room);

    if (text == NULL)
        ck_assert_uint_lt(room, TEXT);
    else
        ck_assert_msg(says(text, map, size), "'%.200s'", text);
    free(text);
}

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 33) % limit;
}

/* Runs on random nodes; half of the maps go round. */
static unsigned random_map(uint64_t *state, unsigned *map)
{
    unsigned size = 1 + random_below(state, 64);
    unsigned nodes = 1 + random_below(state, 6);
    unsigned longest = 1 + random_below(state, 4);
    unsigned period =
        random_below(state, 2) == 0 ? size : 1 + random_below(state, size);

    for (unsigned i = 0; i < size;) {
        unsigned run = 1 + random_below(state, longest);
        unsigned node = random_below(state, nodes);
        for (; run > 0 && i < size; run--, i++)
            map[i] = i < period ? node : map[i - period];
    }
    return size;
}

START_TEST(random_maps)
{
    uint64_t state = 88172645463325252;
    unsigned map[64];

    for (int i = 0; i < 2000; i++) {
        unsigned size = random_map(&state, map);
        check_round_trip(map, size, TEXT);
        check_round_trip(map, size, 20 + random_below(&state, 60));
    }
}
END_TEST

START_TEST(all_small_maps)
{
    for (unsigned size = 1; size <= 6; size++) {
        unsigned map[6] = {0};
        unsigned i;
        do {
            check_round_trip(map, size, TEXT);
            check_round_trip(map, size, 24);
            for (i = 0; i < size && ++map[i] == 3; i++)
                map[i] = 0;
        } while (i < size);
    }
}
END_TEST

START_TEST(large_maps)
{
    static unsigned map[RANKS];

    for (unsigned i = 0; i < RANKS; i++)
        map[i] = i / 64;
    check_round_trip(map, RANKS, 32);
    for (unsigned i = 0; i < RANKS; i++)
        map[i] = i % 64;
    check_round_trip(map, RANKS, 32);
    for (unsigned i = 0; i < RANKS; i++)
        map[i] = i * 2654435761u >> 12 & INT_MAX;
    check_round_trip(map, RANKS, 2 * TEXT);
}
END_TEST

/* Cyclic nearly to the end: no quadratic search for a round. */
START_TEST(nearly_cyclic_maps)
{
    static unsigned map[65536];
    struct ct_error err = {0};
    char text[1024];

    for (unsigned i = 0; i < COUNT(map); i++)
        map[i] = i % 2;
    ck_assert_int_gt(mapping_encode(map, COUNT(map), text, sizeof text, &err),
                     0);
    ck_assert_str_eq(text, "(vector,(0,2,1))");
    map[COUNT(map) - 1] = 2;
    ck_assert_int_eq(mapping_encode(map, COUNT(map), text, sizeof text, &err),
                     -1);
    ck_assert_int_eq(err.code, ENOSPC);
}
END_TEST

/* Nodes that have no rank are not counted. */
START_TEST(nodes_are_numbered_by_their_first_rank)
{
    const unsigned map[] = {5, 2, 5, 9, 2}, dense[] = {0, 1, 0, 2, 1};
    unsigned numbers[10], ret[5];

    mapping_renumber(map, 5, numbers, 10, ret);
    ck_assert_mem_eq(ret, dense, sizeof dense);
    ck_assert_uint_eq(numbers[9], 2);
    ck_assert_uint_ge(numbers[0], 3); /* none of theirs */
    mapping_renumber(dense, 5, numbers, 3, ret);
    ck_assert_mem_eq(ret, dense, sizeof dense);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mapping");
    TCase *tc = tcase_create("mapping");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, known_maps);
    tcase_add_test(tc, all_on_one_node);
    tcase_add_test(tc, largest_nodes);
    tcase_add_test(tc, maps_in_little_room);
    tcase_add_test(tc, maps_that_are_not_cyclic);
    tcase_add_test(tc, texts_to_read);
    tcase_add_test(tc, texts_that_say_nothing);
    tcase_add_test(tc, texts_that_end_early);
    tcase_add_test(tc, no_ranks_at_all);
    tcase_add_test(tc, errors_say_where);
    tcase_add_test(tc, hostile_texts_take_no_time);
    tcase_add_test(tc, random_maps);
    tcase_add_test(tc, all_small_maps);
    tcase_add_test(tc, large_maps);
    tcase_add_test(tc, nearly_cyclic_maps);
    tcase_add_test(tc, nodes_are_numbered_by_their_first_rank);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
