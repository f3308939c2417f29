#include "agent/place.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 3, RANKS = 8 };

/* The nodes as they are before, and which of them each rank goes to. */
static const struct row {
    struct place_node nodes[NODES];
    unsigned ranks;
    unsigned node_of[RANKS];
} rows[] = {
    /* free slots by node, in order */
    {{{true, 2, 0}, {true, 2, 0}, {true, 2, 0}}, 4, {0, 0, 1, 1}},
    {{{true, 2, 1}, {true, 2, 2}, {true, 2, 0}}, 3, {0, 2, 2}},
    /* then in turn */
    {{{true, 2, 2}, {true, 2, 2}, {true, 2, 2}}, 5, {0, 1, 2, 0, 1}},
    {{{true, 2, 2}, {true, 2, 1}, {true, 2, 2}}, 4, {1, 0, 1, 2}},
    /* where fewer are than elsewhere first */
    {{{true, 2, 3}, {true, 2, 2}, {true, 2, 2}}, 3, {1, 2, 0}},
    /* more slots bear more */
    {{{true, 1, 1}, {true, 4, 4}, {false, 0, 0}}, 5, {1, 1, 1, 0, 1}},
    /* nodes that cannot take any are passed over */
    {{{true, 1, 1}, {false, 8, 0}, {true, 1, 1}}, 3, {0, 2, 0}},
    /* a node without slots of its own */
    {{{true, 0, 0}, {true, 1, 1}, {false, 1, 0}}, 3, {0, 0, 1}},
};

START_TEST(ranks_have_their_places)
{
    const struct row *row = &rows[_i];
    const struct place_command command = {.ranks = row->ranks};
    struct place_node nodes[NODES];
    unsigned node_of[RANKS], taken[NODES] = {0};

    memcpy(nodes, row->nodes, sizeof nodes);
    ck_assert_int_eq(place_ranks(nodes, NODES, &command, 1, node_of, NULL), 0);
    for (unsigned rank = 0; rank < row->ranks; rank++) {
        ck_assert_uint_eq(node_of[rank], row->node_of[rank]);
        taken[node_of[rank]]++;
    }
    for (unsigned node = 0; node < NODES; node++)
        ck_assert_uint_eq(nodes[node].taken,
                          row->nodes[node].taken + taken[node]);
}
END_TEST

static const struct place_node full[NODES] = {
    {true, 2, 2}, {true, 2, 2}, {true, 2, 2}};

START_TEST(commands_go_where_they_are_asked_to)
{
    const bool last[] = {false, false, true}, outer[] = {true, false, true};
    const struct place_command commands[] = {
        {.ranks = 2, .hosts = last},
        {.ranks = 1},
        {.ranks = 3, .hosts = outer},
    };
    const unsigned expected[] = {2, 2, 0, 0, 0, 2};
    struct place_node nodes[NODES];
    unsigned node_of[6];

    memcpy(nodes, full, sizeof nodes);
    ck_assert_int_eq(place_ranks(nodes, NODES, commands, 3, node_of, NULL), 0);
    ck_assert_mem_eq(node_of, expected, sizeof expected);
}
END_TEST

START_TEST(there_may_be_no_node)
{
    const bool none[NODES] = {false}, middle[] = {false, true, false};
    const struct place_command nowhere = {.ranks = 1, .hosts = none};
    const struct place_command closed = {.ranks = 1, .hosts = middle};
    struct place_node nodes[NODES];
    struct ct_error err;
    unsigned node_of[1];

    memcpy(nodes, full, sizeof nodes);
    nodes[1].open = false;
    ck_assert_int_eq(place_ranks(nodes, NODES, &nowhere, 1, node_of, &err), -1);
    ck_assert_int_eq(err.code, EXDEV);
    ck_assert_int_eq(place_ranks(nodes, NODES, &closed, 1, node_of, &err), -1);
    ck_assert_int_eq(err.code, EXDEV);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("place");
    TCase *tc = tcase_create("place");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, ranks_have_their_places, 0,
                        (int)(sizeof rows / sizeof rows[0]));
    tcase_add_test(tc, commands_go_where_they_are_asked_to);
    tcase_add_test(tc, there_may_be_no_node);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
