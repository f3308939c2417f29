/*
 * Networks of many nodes in one process: what a node sends is kept in a list,
 * and is delivered in an order that a seed decides.
 */
#include "overlay/collective.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 200, ALL = 1365 };

struct message {
    unsigned from, to, hops;
    char *bytes;
    size_t len;
};

struct net;

struct node {
    struct net *net;
    struct collectives *all;
    unsigned self, hops; /* of the message that it is handling */
};

struct net {
    unsigned count;
    struct node nodes[ALL];
    struct message *queue;
    size_t len, room, sent;
    unsigned depth; /* hops of the longest chain of messages */
};

static char *copy_of(const void *bytes, size_t len)
{
    char *copy = malloc(len); /* of its own, so that ASan sees its end */

    ck_assert(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static void send_from(void *ctx, unsigned to, const void *bytes, size_t len)
{
    struct node *node = ctx;
    struct net *net = node->net;

    ck_assert_uint_lt(to, net->count);
    ck_assert_uint_ne(to, node->self);
    if (net->len == net->room) {
        net->room = net->room * 2 + 64;
        net->queue = realloc(net->queue, net->room * sizeof *net->queue);
        ck_assert_ptr_nonnull(net->queue);
    }
    net->queue[net->len++] = (struct message){node->self, to, node->hops + 1,
                                              copy_of(bytes, len), len};
    net->sent++;
}

static struct net *net_create(unsigned count)
{
    struct net *net = calloc(1, sizeof *net);

    net->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct node *node = &net->nodes[i];

        *node = (struct node){.net = net, .self = i};
        node->all = collectives_create(i, send_from, node);
        ck_assert_ptr_nonnull(node->all);
    }
    return net;
}

static void net_free(struct net *net)
{
    for (size_t i = 0; i < net->len; i++)
        free(net->queue[i].bytes);
    for (unsigned i = 0; i < net->count; i++)
        collectives_free(net->nodes[i].all);
    free(net->queue);
    free(net);
}

static struct message take(struct net *net, size_t at)
{
    struct message message = net->queue[at];

    net->queue[at] = net->queue[--net->len];
    return message;
}

static void deliver(struct net *net, size_t at)
{
    struct message message = take(net, at);
    struct node *node = &net->nodes[message.to];
    struct ct_error err = {0};

    node->hops = message.hops;
    if (message.hops > net->depth)
        net->depth = message.hops;
    if (collectives_receive(node->all, message.from, message.bytes, message.len,
                            &err) < 0)
        ck_abort_msg("%s", err.text);
    free(message.bytes);
}

static void deliver_all(struct net *net)
{
    while (net->len > 0)
        deliver(net, (size_t)rand() % net->len);
}

/* ---- collectives of a network ---- */

/* One collective as the test knows it, and one node's end of it. */
struct plan {
    const char *name;
    const unsigned *nodes;
    unsigned count;
    unsigned salt;
    size_t size; /* of the parts, or about so */
};

struct end {
    const struct plan *plan;
    unsigned done;
};

/* What a node gives: its length and content tell its node and the plan. */
static size_t part_of(const struct plan *plan, unsigned node, char *ret)
{
    size_t len = plan->size > 0 ? plan->size - (node + plan->salt) % 3 : 0;

    for (size_t i = 0; i < len && ret != NULL; i++)
        ret[i] = (char)(node * 7 + plan->salt * 31 + i);
    return len;
}

static void on_done(void *ctx, const struct collective_part *parts,
                    unsigned count)
{
    struct end *end = ctx;
    const struct plan *plan = end->plan;
    char *expected = malloc(plan->size + 1);
    bool good = true;

    end->done++;
    ck_assert_uint_eq(count, plan->count);
    for (unsigned i = 0; i < count; i++) {
        size_t len = part_of(plan, plan->nodes[i], expected);

        good &= parts[i].node == plan->nodes[i] && parts[i].len == len &&
                parts[i].bytes != NULL &&
                (len == 0 || memcmp(parts[i].bytes, expected, len) == 0);
    }
    ck_assert(good); /* each assertion is a write() */
    free(expected);
}

static void begin(struct net *net, const struct plan *plan, unsigned self,
                  struct end *end)
{
    struct ct_error err = {0};
    size_t len = part_of(plan, self, NULL);
    char *bytes = malloc(len);

    part_of(plan, self, bytes);
    *end = (struct end){.plan = plan};
    net->nodes[self].hops = 0;
    if (collectives_begin(net->nodes[self].all, plan->name, plan->nodes,
                          plan->count, bytes, len, on_done, end, &err) < 0)
        ck_abort_msg("%s", err.text);
    free(bytes);
}

static void shuffle(unsigned *items, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)rand() % i, kept = items[i - 1];

        items[i - 1] = items[other];
        items[other] = kept;
    }
}

static void first_nodes(unsigned *ret, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        ret[i] = i;
}

static void check_done(const struct end *ends, unsigned count, unsigned times)
{
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(ends[i].done, times);
}

/* Begins and deliveries in a random order. */
static void run_mixed(struct net *net, const struct plan *plan,
                      struct end *ends)
{
    unsigned *order = malloc(plan->count * sizeof *order);

    first_nodes(order, plan->count);
    shuffle(order, plan->count);
    for (unsigned i = 0; i < plan->count; i++) {
        begin(net, plan, plan->nodes[order[i]], &ends[order[i]]);
        while (net->len > 0 && rand() % 3 > 0)
            deliver(net, (size_t)rand() % net->len);
    }
    deliver_all(net);
    check_done(ends, plan->count, 1);
    free(order);
}

START_TEST(all_sizes)
{
    static unsigned nodes[NODES];
    static struct end ends[NODES];

    first_nodes(nodes, NODES);
    for (unsigned count = 1; count <= NODES; count++) {
        const struct plan plan = {"all", nodes, count, count, 40};
        struct net *net = net_create(count);

        srand(count);
        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent, 2 * (count - 1));
        net_free(net);
    }
}
END_TEST

START_TEST(no_part_has_bytes)
{
    static unsigned nodes[30];
    static struct end ends[30];
    const struct plan plan = {"", nodes, 30, 0, 0};
    struct net *net = net_create(30);

    srand(1);
    first_nodes(nodes, 30);
    for (int again = 0; again < 5; again++)
        run_mixed(net, &plan, ends);
    net_free(net);
}
END_TEST

START_TEST(parts_of_1_mib)
{
    static unsigned nodes[22];
    static struct end ends[22];
    const struct plan plan = {"large", nodes, 22, 0, 1 << 20};
    struct net *net = net_create(22);

    srand(1);
    first_nodes(nodes, 22);
    run_mixed(net, &plan, ends);
    net_free(net);
}
END_TEST

/* Up and down again: no more than twice the tree's levels. */
START_TEST(the_depth_is_logarithmic)
{
    static const struct {
        unsigned count, levels;
    } rows[] = {{1, 0},  {2, 1},  {5, 1},   {6, 2},  {21, 2},
                {22, 3}, {85, 3}, {200, 4}, {ALL, 5}};
    static unsigned nodes[ALL];
    static struct end ends[ALL];

    srand(1);
    first_nodes(nodes, ALL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct plan plan = {"deep", nodes, rows[i].count, 0, 8};
        struct net *net = net_create(rows[i].count);

        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent, 2 * (rows[i].count - 1));
        ck_assert_uint_le(net->depth, 2 * rows[i].levels);
        net_free(net);
    }
}
END_TEST

static unsigned random_subset(unsigned of, unsigned *ret)
{
    unsigned count = 0, one_in = 1 + (unsigned)rand() % 5;

    for (unsigned node = 0; node < of; node++)
        if ((unsigned)rand() % one_in == 0)
            ret[count++] = node;
    if (count == 0)
        ret[count++] = (unsigned)rand() % of;
    return count;
}

START_TEST(subsets)
{
    static unsigned nodes[60];
    static struct end ends[60];
    struct net *net = net_create(60);

    srand(1);
    for (unsigned round = 0; round < 300; round++) {
        struct plan plan = {"some", nodes, random_subset(60, nodes), round, 20};
        size_t before = net->sent;

        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent - before, 2 * (plan.count - 1));
    }
    net_free(net);
}
END_TEST

/*
 * Each node goes through all rounds of all plans as fast as it likes, not
 * waiting for the one before: some are early by all of them.
 */
enum { PLANS = 12, ROUNDS = 6, MIXED = 25 };

static void run_at_once(struct net *net, const struct plan *plans,
                        struct end (*ends)[MIXED])
{
    static unsigned order[PLANS * MIXED];
    unsigned begun[PLANS][MIXED] = {{0}};

    first_nodes(order, PLANS * MIXED);
    shuffle(order, PLANS * MIXED);
    for (unsigned left = PLANS * MIXED; left > 0;) {
        unsigned at =
            (unsigned)rand() % (rand() % 4 > 0 ? (left + 3) / 4 : left);
        unsigned plan = order[at] / MIXED, place = order[at] % MIXED;
        unsigned round = begun[plan][place];

        if (round == ROUNDS || place >= plans[plan].count) {
            order[at] = order[--left];
            continue;
        }
        begun[plan][place]++;
        begin(net, &plans[plan], plans[plan].nodes[place],
              &ends[plan * ROUNDS + round][place]);
        if (net->len > 0 && rand() % 3 == 0)
            deliver(net, (size_t)rand() % net->len);
    }
    deliver_all(net);
}

START_TEST(many_at_once)
{
    static unsigned nodes[PLANS][MIXED];
    static char names[PLANS][8];
    static struct end ends[PLANS * ROUNDS][MIXED];
    struct plan plans[PLANS];

    for (unsigned seed = 1; seed <= 20; seed++) {
        struct net *net = net_create(MIXED);

        srand(seed);
        for (unsigned i = 0; i < PLANS; i++) {
            snprintf(names[i], sizeof names[i], "%u", i);
            plans[i] = (struct plan){names[i], nodes[i], 0, i, 30};
            plans[i].count = random_subset(MIXED, nodes[i]);
        }
        run_at_once(net, plans, ends);
        for (unsigned i = 0; i < PLANS * ROUNDS; i++)
            check_done(ends[i], plans[i / ROUNDS].count, 1);
        net_free(net);
    }
}
END_TEST

/* Parts of different rounds of one name are kept apart. */
START_TEST(rounds_of_one_name)
{
    static unsigned nodes[21];
    static struct end ends[8][21];
    struct plan plans[8];
    struct net *net = net_create(21);

    srand(1);
    first_nodes(nodes, 21);
    for (unsigned round = 0; round < 8; round++)
        plans[round] = (struct plan){"r", nodes, 21, round, 9};
    for (unsigned node = 21; node-- > 0;)
        for (unsigned round = 0; round < 8; round++)
            begin(net, &plans[round], node, &ends[round][node]);
    deliver_all(net);
    for (unsigned round = 0; round < 8; round++)
        check_done(ends[round], 21, 1);
    net_free(net);
}
END_TEST

/* The first node, and all others inside of the tree, come last. */
START_TEST(messages_before_begin)
{
    static unsigned nodes[85];
    static struct end ends[85];
    const struct plan plan = {"early", nodes, 85, 0, 33};
    struct net *net = net_create(85);

    srand(1);
    first_nodes(nodes, 85);
    for (unsigned node = 85; node-- > 0;) {
        begin(net, &plan, node, &ends[node]);
        deliver_all(net);
        ck_assert_uint_eq(ends[84].done, node == 0 ? 1 : 0);
    }
    check_done(ends, 85, 1);
    net_free(net);
}
END_TEST

/* ---- begin from done ---- */

struct chain {
    struct net *net;
    const struct plan *plan;
    unsigned self, left;
};

static void next_in_chain(void *ctx, const struct collective_part *parts,
                          unsigned count)
{
    struct chain *chain = ctx;

    ck_assert_uint_eq(count, chain->plan->count);
    ck_assert_str_eq(parts[chain->self].bytes, "part");
    if (chain->left == 0 || --chain->left == 0)
        return;
    ck_assert_int_eq(collectives_begin(chain->net->nodes[chain->self].all,
                                       chain->plan->name, chain->plan->nodes,
                                       chain->plan->count, "part", 5,
                                       next_in_chain, chain, NULL),
                     0);
    /* what was handed to us is still there */
    ck_assert_str_eq(parts[chain->self].bytes, "part");
}

static void run_chains(unsigned count)
{
    static unsigned nodes[22];
    struct chain chains[22];
    const struct plan plan = {"chain", nodes, count, 0, 0};
    struct net *net = net_create(count);

    first_nodes(nodes, count);
    for (unsigned i = 0; i < count; i++) {
        chains[i] = (struct chain){net, &plan, i, 20};
        ck_assert_int_eq(collectives_begin(net->nodes[i].all, plan.name, nodes,
                                           count, "part", 5, next_in_chain,
                                           &chains[i], NULL),
                         0);
    }
    deliver_all(net);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(chains[i].left, 0);
    net_free(net);
}

START_TEST(one_begins_the_next)
{
    srand(1);
    run_chains(1);
    run_chains(2);
    run_chains(22);
}
END_TEST

/* ---- what must be refused ---- */

static int begin_code(struct node *node, const unsigned *nodes, unsigned count,
                      size_t len)
{
    struct ct_error err = {0};
    static char part[8];
    static struct end unused;

    ck_assert_int_eq(collectives_begin(node->all, "bad", nodes, count, part,
                                       len, on_done, &unused, &err),
                     err.code == 0 ? 0 : -1);
    return err.code;
}

START_TEST(begins_that_make_no_sense)
{
    static const unsigned without[] = {0, 2}, falling[] = {2, 1},
                          twice[] = {1, 1}, good[] = {0, 1, 2};
    struct net *net = net_create(3);

    ck_assert_int_eq(begin_code(&net->nodes[1], without, 2, 1), EINVAL);
    ck_assert_int_eq(begin_code(&net->nodes[1], falling, 2, 1), EINVAL);
    ck_assert_int_eq(begin_code(&net->nodes[1], twice, 2, 1), EINVAL);
    ck_assert_int_eq(begin_code(&net->nodes[1], good, 0, 1), EINVAL);
    ck_assert_int_eq(
        begin_code(&net->nodes[1], good, 3, (size_t)FRAME_BODY_MAX + 1),
        EMSGSIZE);
    ck_assert_uint_eq(net->sent, 0);
    net_free(net);
}
END_TEST

static void unexpected(void *ctx, const struct collective_part *parts,
                       unsigned count)
{
    (void)ctx;
    (void)parts;
    (void)count;
    ck_abort_msg("it cannot be done");
}

START_TEST(too_many_rounds)
{
    static const unsigned nodes[] = {0, 1};
    struct net *net = net_create(2);
    struct ct_error err = {0};
    unsigned begun = 0;

    while (begun <= 4096 &&
           collectives_begin(net->nodes[0].all, "many", nodes, 2, "", 0,
                             unexpected, NULL, &err) == 0)
        begun++;
    ck_assert_uint_eq(begun, 4096);
    ck_assert_int_eq(err.code, EAGAIN);
    net_free(net);
}
END_TEST

static int receive_code(struct node *node, unsigned from, const void *bytes,
                        size_t len)
{
    char *copy = copy_of(bytes, len);
    struct ct_error err = {0};
    int rc = collectives_receive(node->all, from, copy, len, &err);

    free(copy);
    ck_assert_int_eq(rc, err.code == 0 ? 0 : -1);
    ck_assert(rc == 0 || err.text[0] != '\0');
    return err.code;
}

static bool is_refused(struct node *node, unsigned from, const void *bytes,
                       size_t len)
{
    int code = receive_code(node, from, bytes, len);

    return code == EPROTO || code == EINVAL;
}

/* A message of a collective "x" of nodes 0 to 5: 0 has 1 to 4, and 1 has 5. */
enum { UP = 1, DOWN = 2, SIX = 6 };
static const unsigned six[SIX] = {0, 1, 2, 3, 4, 5};

struct part {
    unsigned node, len; /* the length as it is told; there is one byte */
};

static struct pack message_of(unsigned way, unsigned number, unsigned told,
                              const struct part *parts, unsigned count)
{
    struct pack p = {0};

    pack_u32(&p, way);
    pack_u32(&p, number);
    pack_u32(&p, sizeof(uint32_t) + sizeof six + 1);
    pack_u32(&p, SIX);
    pack_bytes(&p, six, sizeof six);
    pack_bytes(&p, "x", 1);
    pack_u32(&p, told);
    for (unsigned i = 0; i < count; i++) {
        pack_u32(&p, parts[i].node);
        pack_u32(&p, parts[i].len);
        pack_bytes(&p, "?", 1);
    }
    ck_assert(!p.failed);
    return p;
}

static bool refuses(struct node *node, unsigned from, struct pack p)
{
    bool refused = is_refused(node, from, p.bytes, p.len);

    free(p.bytes);
    return refused;
}

#define PARTS(...)                                                             \
    ((const struct part[]){__VA_ARGS__}),                                      \
        (sizeof((const struct part[]){__VA_ARGS__}) / sizeof(struct part))

static void begin_six(struct net *net, unsigned self, collective_done *done)
{
    ck_assert_int_eq(collectives_begin(net->nodes[self].all, "x", six, SIX, "?",
                                       1, done, NULL, NULL),
                     0);
}

static const struct part whole[] = {{0, 1}, {1, 1}, {2, 1},
                                    {3, 1}, {4, 1}, {5, 1}};

static void check_bad_up(struct net *net)
{
    struct node *root = &net->nodes[0], *inner = &net->nodes[1];

    /* of whom it may not be */
    ck_assert(refuses(root, 5, message_of(UP, 0, 1, PARTS({5, 1}))));
    ck_assert(refuses(root, 0, message_of(UP, 0, 1, PARTS({0, 1}))));
    ck_assert(refuses(root, 77, message_of(UP, 0, 1, PARTS({77, 1}))));
    ck_assert(refuses(inner, 0, message_of(UP, 0, 1, PARTS({0, 1}))));
    /* what the sender cannot have */
    ck_assert(refuses(root, 2, message_of(UP, 0, 1, PARTS({3, 1}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 0, NULL, 0)));
    ck_assert(refuses(root, 2, message_of(UP, 0, 2, PARTS({2, 1}, {2, 1}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 2, PARTS({2, 1}, {3, 1}))));
    ck_assert(refuses(root, 1, message_of(UP, 0, 1, PARTS({1, 1}))));
    ck_assert(refuses(root, 1, message_of(UP, 0, 2, PARTS({1, 1}, {1, 1}))));
    ck_assert(refuses(root, 1, message_of(UP, 0, 2, PARTS({1, 1}, {77, 1}))));
    /* counts and lengths that are not so */
    ck_assert(refuses(root, 2, message_of(UP, 0, 1, PARTS({2, 0}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 1, PARTS({2, 2}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 1, PARTS({2, UINT32_MAX}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, UINT32_MAX, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 2, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(UP, 0, 0, PARTS({2, 1}))));
    /* far from its turn, and no way */
    ck_assert(refuses(root, 2, message_of(UP, 4097, 1, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(UP, UINT32_MAX, 1, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(0, 0, 1, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(3, 0, 1, PARTS({2, 1}))));
}

static void check_bad_down(struct net *net)
{
    struct node *root = &net->nodes[0], *inner = &net->nodes[1],
                *leaf = &net->nodes[5];

    ck_assert(refuses(root, 1, message_of(DOWN, 0, SIX, whole, SIX)));
    ck_assert(refuses(inner, 0, message_of(DOWN, 0, SIX, whole, SIX)));
    ck_assert(refuses(leaf, 0, message_of(DOWN, 0, SIX, whole, SIX)));
    ck_assert(refuses(leaf, 1, message_of(DOWN, 1, SIX, whole, SIX)));
    ck_assert(refuses(leaf, 1, message_of(DOWN, 0, 5, whole, 5)));
    ck_assert(refuses(leaf, 1, message_of(DOWN, 0, SIX, whole, 5)));
    ck_assert(refuses(leaf, 1, message_of(DOWN, 0, 5, whole, SIX)));
    ck_assert(refuses(
        leaf, 1,
        message_of(DOWN, 0, SIX,
                   PARTS({0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {4, 1}))));
    ck_assert(refuses(
        leaf, 1,
        message_of(DOWN, 0, SIX,
                   PARTS({0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {6, 1}))));
}

static void count_done(void *ctx, const struct collective_part *parts,
                       unsigned count)
{
    unsigned *done = ctx;

    ck_assert_uint_eq(count, SIX);
    for (unsigned i = 0; i < count; i++)
        ck_assert(parts[i].node == i && parts[i].len == 1 &&
                  memcmp(parts[i].bytes, "?", 1) == 0);
    if (done != NULL)
        ++*done;
}

/* Bad ones harm none: before the first begins, then at all times. */
START_TEST(contradicting_messages)
{
    struct net *net = net_create(SIX);
    unsigned done = 0;

    srand(1);
    check_bad_up(net);
    check_bad_down(net);
    for (unsigned self = SIX; self-- > 0;) {
        ck_assert_int_eq(collectives_begin(net->nodes[self].all, "x", six, SIX,
                                           "?", 1, count_done, &done, NULL),
                         0);
        check_bad_up(net);
        if (self == 5)
            check_bad_down(net);
    }
    deliver_all(net);
    ck_assert_uint_eq(done, SIX);
    net_free(net);
}
END_TEST

/* Whatever comes twice is refused the second time, also when all is over. */
START_TEST(duplicates)
{
    struct net *net = net_create(SIX);

    srand(1);
    for (int again = 0; again < 3; again++) {
        for (unsigned self = 0; self < SIX; self++)
            begin_six(net, self, count_done);
        while (net->len > 0) {
            size_t at = (size_t)rand() % net->len;
            struct message twice = net->queue[at];

            twice.bytes = copy_of(twice.bytes, twice.len);
            deliver(net, at);
            ck_assert(is_refused(&net->nodes[twice.to], twice.from, twice.bytes,
                                 twice.len));
            free(twice.bytes);
        }
    }
    net_free(net);
}
END_TEST

START_TEST(every_truncation)
{
    struct net *net = net_create(SIX);

    srand(1);
    for (unsigned self = 0; self < SIX; self++)
        begin_six(net, self, count_done);
    while (net->len > 0) {
        size_t at = (size_t)rand() % net->len;
        const struct message *m = &net->queue[at];

        for (size_t len = 0; len < m->len; len++)
            ck_assert(is_refused(&net->nodes[m->to], m->from, m->bytes, len));
        deliver(net, at);
    }
    net_free(net);
}
END_TEST

static struct pack signature_of(unsigned told, const unsigned *nodes,
                                unsigned count)
{
    struct pack p = {0};

    pack_u32(&p, UP);
    pack_u32(&p, 0);
    pack_u32(&p, (uint32_t)(sizeof(uint32_t) + count * sizeof *nodes));
    pack_u32(&p, told);
    pack_bytes(&p, nodes, count * sizeof *nodes);
    pack_u32(&p, 1);
    pack_u32(&p, 1);
    pack_u32(&p, 0);
    return p;
}

START_TEST(signatures_that_make_no_sense)
{
    static const unsigned good[] = {0, 1}, falling[] = {1, 0}, twice[] = {0, 0},
                          without[] = {1, 2};
    struct net *net = net_create(3);
    struct node *node = &net->nodes[0];

    ck_assert(refuses(node, 1, signature_of(0, good, 2)));
    ck_assert(refuses(node, 1, signature_of(3, good, 2)));
    ck_assert(refuses(node, 1, signature_of(UINT32_MAX, good, 2)));
    ck_assert(refuses(node, 1, signature_of(0x40000002, good, 2)));
    ck_assert(refuses(node, 1, signature_of(2, falling, 2)));
    ck_assert(refuses(node, 1, signature_of(2, twice, 2)));
    ck_assert(refuses(node, 1, signature_of(2, without, 2)));
    ck_assert(refuses(node, 1, signature_of(0, NULL, 0)));
    ck_assert(!refuses(node, 1, signature_of(2, good, 2)));
    net_free(net);
}
END_TEST

/* Good messages with a few bytes changed, at good times. */
static void check_mutated(struct net *net, const struct message *m)
{
    char *bytes = copy_of(m->bytes, m->len);

    for (int i = rand() % 3; i >= 0; i--)
        bytes[(size_t)rand() % m->len] =
            (char)(rand() % 2 ? rand() : rand() % 8);
    receive_code(&net->nodes[m->to], m->from, bytes, m->len);
    free(bytes);
}

static void ignore(void *ctx, const struct collective_part *parts,
                   unsigned count)
{
    (void)ctx;
    (void)parts;
    ck_assert_uint_eq(count, SIX);
}

static void run_with_garbage(unsigned seed)
{
    struct net *net = net_create(SIX);

    srand(seed);
    for (unsigned self = 0; self < SIX; self++)
        if (rand() % 8 > 0)
            begin_six(net, self, ignore);
    while (net->len > 0) {
        struct message message = take(net, (size_t)rand() % net->len);

        if (rand() % 2 == 0)
            check_mutated(net, &message);
        receive_code(&net->nodes[message.to], message.from, message.bytes,
                     message.len);
        free(message.bytes);
    }
    net_free(net);
}

START_TEST(garbage)
{
    for (unsigned seed = 0; seed < 3000; seed++)
        run_with_garbage(seed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collective");
    TCase *tc = tcase_create("collective");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, all_sizes);
    tcase_add_test(tc, no_part_has_bytes);
    tcase_add_test(tc, parts_of_1_mib);
    tcase_add_test(tc, the_depth_is_logarithmic);
    tcase_add_test(tc, subsets);
    tcase_add_test(tc, many_at_once);
    tcase_add_test(tc, rounds_of_one_name);
    tcase_add_test(tc, messages_before_begin);
    tcase_add_test(tc, one_begins_the_next);
    tcase_add_test(tc, begins_that_make_no_sense);
    tcase_add_test(tc, too_many_rounds);
    tcase_add_test(tc, contradicting_messages);
    tcase_add_test(tc, duplicates);
    tcase_add_test(tc, every_truncation);
    tcase_add_test(tc, signatures_that_make_no_sense);
    tcase_add_test(tc, garbage);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
