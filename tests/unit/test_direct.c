/*
 * Networks of many nodes in one process: what a node sends is kept for each
 * pair of nodes in its order, and delivered in an order of pairs that a seed
 * decides.
 */
#include "overlay/direct.h"
#include "wire/frame.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 12, ROUNDS = 20 };

struct message {
    unsigned from, to;
    bool last; /* "I have dropped out" */
    char *bytes;
    size_t len;
};

struct net;

struct node {
    struct net *net;
    struct directs *all;
    unsigned self;
    bool out[NODES]; /* who is known to have dropped out */
    unsigned begun, done;
    unsigned parts[ROUNDS]; /* how many were not empty */
};

struct net {
    struct node nodes[NODES];
    struct message *queue;
    size_t len, room;
};

static void post(struct net *net, struct message message)
{
    if (net->len == net->room) {
        net->room = net->room * 2 + 64;
        net->queue = realloc(net->queue, net->room * sizeof *net->queue);
        ck_assert_ptr_nonnull(net->queue);
    }
    net->queue[net->len++] = message;
}

static void send_from(void *ctx, unsigned to, const void *bytes, size_t len)
{
    struct node *node = ctx;
    char *copy = malloc(len); /* of its own, so that ASan sees its end */

    ck_assert(copy != NULL && len > 0);
    memcpy(copy, bytes, len);
    ck_assert_uint_lt(to, NODES);
    ck_assert_uint_ne(to, node->self);
    post(node->net, (struct message){node->self, to, false, copy, len});
}

static bool awaits(void *ctx, void *begun, unsigned other)
{
    const struct node *node = ctx;

    ck_assert_ptr_eq(begun, node);
    return !node->out[other];
}

static struct net *net_create(void)
{
    struct net *net = calloc(1, sizeof *net);

    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &net->nodes[i];
        const struct directs_config config = {
            .self = i, .send = send_from, .awaits = awaits, .ctx = node};

        *node = (struct node){.net = net, .self = i};
        node->all = directs_create(&config);
        ck_assert_ptr_nonnull(node->all);
    }
    return net;
}

static void net_free(struct net *net)
{
    for (size_t i = 0; i < net->len; i++)
        free(net->queue[i].bytes);
    for (unsigned i = 0; i < NODES; i++)
        directs_free(net->nodes[i].all);
    free(net->queue);
    free(net);
}

static void take(struct net *net, size_t at)
{
    struct message message = net->queue[at];
    struct node *node = &net->nodes[message.to];
    struct ct_error err = {0};

    memmove(net->queue + at, net->queue + at + 1,
            (net->len - at - 1) * sizeof *net->queue);
    net->len--;
    if (message.last) {
        node->out[message.from] = true;
        directs_review(node->all);
    } else if (directs_receive(node->all, message.from, message.bytes,
                               message.len, &err) < 0) {
        ck_abort_msg("%s", err.text);
    }
    free(message.bytes);
}

/* The first of the pair that this one is of. */
static size_t first_of_pair(const struct net *net, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (net->queue[i].from == net->queue[at].from &&
            net->queue[i].to == net->queue[at].to)
            return i;
    return at;
}

static void take_some(struct net *net, size_t count)
{
    for (; count > 0 && net->len > 0; count--)
        take(net, first_of_pair(net, (size_t)rand() % net->len));
}

static void take_all(struct net *net)
{
    while (net->len > 0)
        take_some(net, 1);
}

/* A part tells its node and its round. */
static void on_done(void *ctx, const struct collective_part *parts,
                    unsigned count)
{
    struct node *node = ctx;

    ck_assert_uint_eq(count, NODES);
    ck_assert_uint_lt(node->done, node->begun);
    for (unsigned i = 0; i < count; i++) {
        unsigned content[2];

        ck_assert_uint_eq(parts[i].node, i);
        if (parts[i].len == 0)
            continue;
        ck_assert_uint_eq(parts[i].len, sizeof content);
        memcpy(content, parts[i].bytes, sizeof content);
        ck_assert_uint_eq(content[0], i);
        ck_assert_uint_eq(content[1], node->done);
        node->parts[node->done]++;
    }
    node->done++;
}

static int begin_named(struct node *node, const char *name,
                       struct ct_error *reterr)
{
    const unsigned part[] = {node->self, node->begun};
    unsigned nodes[NODES];

    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = i;
    node->begun++;
    return directs_begin(node->all, name, nodes, NODES, part, sizeof part,
                         on_done, node, reterr);
}

static void begin(struct net *net, unsigned self)
{
    struct ct_error err = {0};

    if (begin_named(&net->nodes[self], "fence", &err) < 0)
        ck_abort_msg("%s", err.text);
}

/* All that it has said comes before that. */
static void drop_out(struct net *net, unsigned self)
{
    for (unsigned to = 0; to < NODES; to++)
        if (to != self)
            post(net, (struct message){self, to, true, NULL, 0});
}

START_TEST(all_get_all)
{
    for (unsigned seed = 0; seed < 8; seed++) {
        struct net *net = net_create();

        srand(seed);
        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < NODES; i++) {
                begin(net, (i * 5 + seed) % NODES);
                take_some(net, (size_t)rand() % NODES);
            }
        take_all(net);
        for (unsigned i = 0; i < NODES; i++) {
            ck_assert_uint_eq(net->nodes[i].done, ROUNDS);
            for (unsigned round = 0; round < ROUNDS; round++)
                ck_assert_uint_eq(net->nodes[i].parts[round], NODES);
        }
        net_free(net);
    }
}
END_TEST

/* It has taken part in so many rounds, and all others agree about that. */
START_TEST(who_drops_out_is_not_waited_for)
{
    for (unsigned seed = 0; seed < 24; seed++) {
        struct net *net = net_create();
        unsigned loser = seed % NODES, took = seed % 5;

        srand(seed);
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (unsigned i = 0; i < NODES; i++) {
                if (i == loser && round == took)
                    drop_out(net, loser);
                if (i != loser || round < took)
                    begin(net, i);
                take_some(net, (size_t)rand() % NODES);
            }
        }
        take_all(net);
        for (unsigned i = 0; i < NODES; i++) {
            if (i == loser)
                continue;
            ck_assert_uint_eq(net->nodes[i].done, ROUNDS);
            for (unsigned round = 0; round < ROUNDS; round++)
                ck_assert_uint_eq(net->nodes[i].parts[round],
                                  round < took ? NODES : NODES - 1);
        }
        net_free(net);
    }
}
END_TEST

START_TEST(one_that_stays_is_waited_for)
{
    struct net *net = net_create();

    for (unsigned i = 1; i < NODES; i++)
        begin(net, i);
    take_all(net);
    for (unsigned i = 1; i < NODES; i++)
        directs_review(net->nodes[i].all);
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_uint_eq(net->nodes[i].done, 0);
    begin(net, 0);
    ck_assert_uint_eq(net->nodes[0].done, 1);
    take_all(net);
    ck_assert_uint_eq(net->nodes[5].done, 1);
    net_free(net);
}
END_TEST

START_TEST(what_is_late_is_ignored)
{
    struct net *net = net_create();

    for (unsigned i = 1; i < NODES; i++) {
        net->nodes[i].out[0] = true;
        begin(net, i);
    }
    take_all(net);
    begin(net, 0);
    take_all(net);
    ck_assert_uint_eq(net->nodes[3].done, 1);
    ck_assert_uint_eq(net->nodes[3].parts[0], NODES - 1);
    net_free(net);
}
END_TEST

static void refused(struct node *node, unsigned from, const void *bytes,
                    size_t len, int code)
{
    struct ct_error err = {0};

    ck_assert_int_eq(directs_receive(node->all, from, bytes, len, &err), -1);
    ck_assert_int_eq(err.code, code);
    ck_assert(err.text[0] != '\0');
}

START_TEST(nonsense_is_refused)
{
    struct net *net = net_create();
    struct node *node = &net->nodes[0];
    struct message good;
    char bad[256];

    begin(net, 1);
    good = net->queue[0];
    ck_assert_uint_eq(good.to, 0);
    ck_assert_uint_lt(good.len, sizeof bad);
    memcpy(bad, good.bytes, good.len);
    for (size_t len = 0; len < 8; len++)
        refused(node, 1, bad, len, EPROTO);
    refused(node, NODES, bad, good.len, EPROTO);
    refused(node, 0, bad, good.len, EPROTO);
    memcpy(bad, (const uint32_t[]){1U << 20}, 4); /* its number */
    refused(node, 1, bad, good.len, EPROTO);
    memcpy(bad, good.bytes, good.len);
    memcpy(bad + 8, (const uint32_t[]){1U << 30}, 4); /* its nodes */
    refused(node, 1, bad, good.len, EINVAL);
    take(net, 0);
    refused(node, 1, net->queue[0].bytes, net->queue[0].len, EPROTO);
    net_free(net);
}
END_TEST

START_TEST(what_is_too_large_is_refused)
{
    struct net *net = net_create();
    struct node *node = &net->nodes[2];
    const unsigned nodes[] = {1, 2};
    struct ct_error err = {0};

    ck_assert_int_eq(directs_begin(node->all, "x", nodes, 2, "",
                                   FRAME_BODY_MAX + 1, on_done, node, &err),
                     -1);
    ck_assert_int_eq(err.code, EMSGSIZE);
    ck_assert_uint_eq(net->len, 0);
    ck_assert_int_eq(
        directs_begin(node->all, "x", nodes, 1, "", 0, on_done, node, &err),
        -1);
    ck_assert_int_eq(err.code, EINVAL);
    net_free(net);
}
END_TEST

START_TEST(too_many_are_refused)
{
    struct net *net = net_create();
    struct node *node = &net->nodes[0];
    struct ct_error err = {0};
    int rc;

    do
        rc = begin_named(node, "many", &err);
    while (rc == 0 && node->begun < 10000);
    ck_assert_int_eq(rc, -1);
    ck_assert_int_eq(err.code, EAGAIN);
    net_free(net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("direct");
    TCase *tests = tcase_create("direct");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, all_get_all);
    tcase_add_test(tests, who_drops_out_is_not_waited_for);
    tcase_add_test(tests, one_that_stays_is_waited_for);
    tcase_add_test(tests, what_is_late_is_ignored);
    tcase_add_test(tests, nonsense_is_refused);
    tcase_add_test(tests, what_is_too_large_is_refused);
    tcase_add_test(tests, too_many_are_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
