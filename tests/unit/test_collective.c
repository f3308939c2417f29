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
    size_t sent;         /* bytes */
    bool gone;
};

struct net {
    unsigned count;
    struct node nodes[ALL];
    struct message *queue;
    size_t len, room, sent;
    unsigned depth;  /* hops of the longest chain of messages */
    bool may_vanish; /* nodes that are gone may be sent to */
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
    ck_assert(net->may_vanish || !net->nodes[to].gone);
    node->sent += len;
    if (net->nodes[to].gone)
        return;
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
    size_t size;         /* of the parts, or about so */
    const size_t *sizes; /* or by node */
};

struct end {
    const struct plan *plan;
    struct node *node; /* leaves when it is done, unless NULL */
    unsigned done;
};

/* What a node gives: its length and content tell its node and the plan. */
static size_t part_of(const struct plan *plan, unsigned node, char *ret)
{
    size_t len = plan->sizes != NULL ? plan->sizes[node]
                 : plan->size > 0    ? plan->size - (node + plan->salt) % 3
                                     : 0;

    for (size_t i = 0; i < len && ret != NULL; i++)
        ret[i] = (char)(node * 7 + plan->salt * 31 + i);
    return len;
}

static void on_done(void *ctx, const struct collective_part *parts,
                    unsigned count)
{
    struct end *end = ctx;
    const struct plan *plan = end->plan;
    bool good = true;

    end->done++;
    if (end->node != NULL)
        end->node->gone = true;
    ck_assert_uint_eq(count, plan->count);
    for (unsigned i = 0; i < count; i++) {
        size_t len = part_of(plan, plan->nodes[i], NULL);
        char *expected = malloc(len + 1);

        part_of(plan, plan->nodes[i], expected);
        good &= parts[i].node == plan->nodes[i] && parts[i].len == len &&
                parts[i].bytes != NULL &&
                (len == 0 || memcmp(parts[i].bytes, expected, len) == 0);
        free(expected);
    }
    ck_assert(good); /* each assertion is a write() */
}

static void begin(struct net *net, const struct plan *plan, unsigned self,
                  struct end *end)
{
    struct ct_error err = {0};
    size_t len = part_of(plan, self, NULL);
    char *bytes = malloc(len);

    part_of(plan, self, bytes);
    *end = (struct end){.plan = plan, .node = end->node};
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
        const struct plan plan = {"all", nodes, count, count, 40, NULL};
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
    const struct plan plan = {"", nodes, 30, 0, 0, NULL};
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
    const struct plan plan = {"large", nodes, 22, 0, 1 << 20, NULL};
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
        const struct plan plan = {"deep", nodes, rows[i].count, 0, 8, NULL};
        struct net *net = net_create(rows[i].count);

        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent, 2 * (rows[i].count - 1));
        ck_assert_uint_le(net->depth, 2 * rows[i].levels);
        net_free(net);
    }
}
END_TEST

/* ---- what is exchanged ---- */

static unsigned step_count(unsigned count)
{
    unsigned steps = 0;

    while ((1U << steps) < count)
        steps++;
    return steps;
}

static unsigned level_count(unsigned count)
{
    unsigned levels = 0;

    for (unsigned last = count - 1; last > 0; last = (last - 1) / 4)
        levels++;
    return levels;
}

static size_t exchange_messages(unsigned count)
{
    return 2 * (count - 1) + (size_t)count * step_count(count);
}

static size_t random_size(unsigned count)
{
    static const unsigned limits[] = {1, 100, 100, 5000, 5000, 64 << 10};
    unsigned of = count > 20 ? 24 : 7, which = (unsigned)rand() % of;

    return (size_t)rand() % (which == 6 ? 1 << 20 : limits[which % 6]);
}

static void run_uneven(unsigned count)
{
    static unsigned nodes[NODES];
    static struct end ends[NODES];
    static size_t sizes[NODES];
    const struct plan plan = {"uneven", nodes, count, count, 0, sizes};
    struct net *net = net_create(count);

    srand(count);
    first_nodes(nodes, count);
    for (unsigned i = 0; i < count; i++)
        sizes[i] = random_size(count);
    sizes[(unsigned)rand() % count] = 0;
    sizes[(unsigned)rand() % count] = 1 << 20;
    run_mixed(net, &plan, ends);
    ck_assert_uint_eq(net->sent, count > 1 ? exchange_messages(count) : 0);
    ck_assert_uint_le(net->depth, 2 * level_count(count) + step_count(count));
    net_free(net);
}

START_TEST(uneven_parts)
{
    for (unsigned count = 1; count <= 17; count++)
        run_uneven(count);
    run_uneven(33);
    run_uneven(64);
}
END_TEST

/* One node has it all, all of COLLECTIVE_SMALL or one byte more. */
START_TEST(the_limit)
{
    static unsigned nodes[30];
    static struct end ends[30];
    static size_t sizes[30];
    const struct plan plan = {"limit", nodes, 30, 0, 0, sizes};
    struct net *net = net_create(30);

    srand(1);
    first_nodes(nodes, 30);
    for (unsigned node = 0; node < 30; node++) {
        size_t before = net->sent;

        memset(sizes, 0, sizeof sizes);
        sizes[(node + 7) % 30] = 100;
        sizes[node] = COLLECTIVE_SMALL - 100;
        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent - before, 2 * (30 - 1));
        sizes[node]++;
        before = net->sent;
        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent - before, exchange_messages(30));
    }
    net_free(net);
}
END_TEST

static size_t most_sent(const struct net *net)
{
    size_t most = 0;

    for (unsigned i = 0; i < net->count; i++)
        most = net->nodes[i].sent > most ? net->nodes[i].sent : most;
    return most;
}

/*
 * The tree's first node would send four times all of it. What went up the tree
 * before it was found to be too much is little.
 */
START_TEST(nobody_sends_more_than_it_gets)
{
    static unsigned nodes[64];
    static struct end ends[64];

    srand(1);
    first_nodes(nodes, 64);
    for (unsigned count = 7; count <= 64; count += 19) {
        const struct plan plan = {"even", nodes, count, 0, 40000, NULL};
        struct net *net = net_create(count);
        size_t signature = sizeof(unsigned) * (count + 1) + strlen("even");
        size_t heads = (step_count(count) + 5) * (signature + 16) + 8 * count;

        run_mixed(net, &plan, ends);
        ck_assert_uint_le(most_sent(net),
                          (count - 1) * plan.size + COLLECTIVE_SMALL + heads);
        net_free(net);
    }
}
END_TEST

/* Whoever is done may leave: no message finds it gone, and all get done. */
START_TEST(they_leave_when_done)
{
    static unsigned nodes[17];
    struct end ends[17];

    first_nodes(nodes, 17);
    for (unsigned seed = 1; seed <= 50; seed++) {
        const unsigned count = 2 + seed % 16;
        const struct plan plan = {
            "leave", nodes, count, 0, COLLECTIVE_SMALL / count + 3, NULL};
        struct net *net = net_create(count);

        srand(seed);
        for (unsigned i = 0; i < count; i++)
            ends[i].node = &net->nodes[i];
        run_mixed(net, &plan, ends);
        ck_assert_uint_eq(net->sent, exchange_messages(count));
        net_free(net);
    }
}
END_TEST

/* What it has sent may have left it or not; what others send is lost. */
static void kill_node(struct net *net, unsigned victim)
{
    net->nodes[victim].gone = true;
    for (size_t i = net->len; i-- > 0;)
        if (net->queue[i].to == victim ||
            (net->queue[i].from == victim && rand() % 2 == 0))
            free(take(net, i).bytes);
}

/* False: all was over before. */
static bool run_with_death(unsigned count, unsigned victim, size_t when)
{
    static unsigned nodes[17];
    struct end ends[17] = {0};
    const struct plan plan = {
        "die", nodes, count, 0, COLLECTIVE_SMALL / count + 3, NULL};
    struct net *net = net_create(count);
    bool died = false;

    srand(1);
    net->may_vanish = true;
    first_nodes(nodes, count);
    for (unsigned i = 0; i < count; i++)
        begin(net, &plan, i, &ends[i]);
    for (; net->len > 0; when--) {
        if (when == 0) {
            kill_node(net, victim);
            died = true;
        }
        if (net->len > 0)
            deliver(net, (size_t)rand() % net->len);
    }
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_le(ends[i].done, 1);
    if (!died)
        check_done(ends, count, 1);
    net_free(net);
    return died;
}

/* It is for the overlay to tell; what is done is right, the rest is silent. */
START_TEST(a_node_dies_at_each_message)
{
    static const unsigned counts[] = {2, 3, 6};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (unsigned victim = 0; victim < counts[i]; victim++) {
            size_t when = 0;

            while (run_with_death(counts[i], victim, when))
                when++;
            ck_assert_uint_eq(when, exchange_messages(counts[i]));
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
        struct plan plan = {"some", nodes, random_subset(60, nodes),
                            round,  20,    NULL};
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
            plans[i] = (struct plan){names[i], nodes[i], 0, i, 30, NULL};
            plans[i].size = i % 6 == 0 ? COLLECTIVE_SMALL / 10 : 30;
            plans[i].count = random_subset(MIXED, nodes[i]);
        }
        run_at_once(net, plans, ends);
        for (unsigned i = 0; i < PLANS * ROUNDS; i++)
            check_done(ends[i], plans[i / ROUNDS].count, 1);
        net_free(net);
    }
}
END_TEST

static void run_rounds(size_t size)
{
    static unsigned nodes[21];
    static struct end ends[8][21];
    struct plan plans[8];
    struct net *net = net_create(21);

    srand(1);
    first_nodes(nodes, 21);
    for (unsigned round = 0; round < 8; round++)
        plans[round] = (struct plan){"r", nodes, 21, round, size, NULL};
    for (unsigned node = 21; node-- > 0;)
        for (unsigned round = 0; round < 8; round++)
            begin(net, &plans[round], node, &ends[round][node]);
    deliver_all(net);
    for (unsigned round = 0; round < 8; round++)
        check_done(ends[round], 21, 1);
    net_free(net);
}

/* Parts of different rounds of one name are kept apart. */
START_TEST(rounds_of_one_name)
{
    run_rounds(9);
    run_rounds(COLLECTIVE_SMALL / 20);
}
END_TEST

static void run_first_last(size_t size)
{
    static unsigned nodes[85];
    static struct end ends[85];
    const struct plan plan = {"early", nodes, 85, 0, size, NULL};
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

/* The first node, and all others inside of the tree, come last. */
START_TEST(messages_before_begin)
{
    run_first_last(33);
    run_first_last(COLLECTIVE_SMALL / 80);
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
    const struct plan plan = {"chain", nodes, count, 0, 0, NULL};
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
enum { UP = 1, DOWN, SIZE, EXCHANGE, PASS, SIX = 6 };
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

/* Large enough for six of them to be exchanged. */
static const char large[COLLECTIVE_SMALL / 5];

static void begin_six(struct net *net, unsigned self, size_t len,
                      collective_done *done)
{
    ck_assert_int_eq(collectives_begin(net->nodes[self].all, "x", six, SIX,
                                       len == 1 ? "?" : large, len, done, NULL,
                                       NULL),
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
    ck_assert(refuses(root, 2, message_of(6, 0, 1, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(UINT32_MAX, 0, 0, NULL, 0)));
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

static void check_bad_sizes(struct net *net)
{
    struct node *root = &net->nodes[0], *inner = &net->nodes[1];
    const unsigned good = COLLECTIVE_SMALL + 1;

    ck_assert(refuses(root, 5, message_of(SIZE, 0, good, NULL, 0)));
    ck_assert(refuses(root, 0, message_of(SIZE, 0, good, NULL, 0)));
    ck_assert(refuses(inner, 0, message_of(SIZE, 0, good, NULL, 0)));
    ck_assert(refuses(root, 2, message_of(SIZE, 5000, good, NULL, 0)));
    ck_assert(refuses(root, 2, message_of(SIZE, 0, good, PARTS({2, 1}))));
    ck_assert(refuses(root, 2, message_of(SIZE, 0, good - 1, NULL, 0)));
    ck_assert(
        refuses(root, 2, message_of(SIZE, 0, FRAME_BODY_MAX + 1U, NULL, 0)));
    ck_assert(refuses(root, 2, message_of(SIZE, 0, UINT32_MAX, NULL, 0)));
}

static void check_bad_exchange(struct net *net)
{
    struct node *root = &net->nodes[0], *inner = &net->nodes[1],
                *leaf = &net->nodes[5];

    ck_assert(refuses(root, 1, message_of(EXCHANGE, 0, 0, NULL, 0)));
    ck_assert(refuses(inner, 5, message_of(EXCHANGE, 0, 0, NULL, 0)));
    ck_assert(refuses(inner, 0, message_of(EXCHANGE, 1, 0, NULL, 0)));
    ck_assert(refuses(leaf, 0, message_of(EXCHANGE, 0, 0, NULL, 0)));
    ck_assert(refuses(leaf, 1, message_of(EXCHANGE, 0, 1, NULL, 0)));
    ck_assert(refuses(leaf, 1, message_of(EXCHANGE, 0, 0, PARTS({1, 1}))));
}

/* To node 2 come 3, then 4 and 5, then 0 and 1. */
static void check_bad_passes(struct net *net)
{
    struct node *node = &net->nodes[2];

    /* not from whom it should be, no such step or round */
    ck_assert(refuses(node, 4, message_of(PASS, 0, 0, PARTS({3, 1}))));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 1, PARTS({4, 1}, {5, 1}))));
    ck_assert(refuses(node, 2, message_of(PASS, 0, 0, PARTS({3, 1}))));
    ck_assert(refuses(node, 77, message_of(PASS, 0, 0, PARTS({3, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, 3, PARTS({3, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, 33, PARTS({3, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, UINT32_MAX, NULL, 0)));
    ck_assert(refuses(node, 3, message_of(PASS, 1, 0, PARTS({3, 1}))));
    /* parts that are not those */
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, NULL, 0)));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, PARTS({4, 1}))));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, PARTS({3, 0}))));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, PARTS({3, 2}))));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, PARTS({3, UINT32_MAX}))));
    ck_assert(refuses(node, 3, message_of(PASS, 0, 0, PARTS({3, 1}, {4, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, 1, PARTS({4, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, 1, PARTS({5, 1}, {4, 1}))));
    ck_assert(refuses(node, 4, message_of(PASS, 0, 1, PARTS({4, 1}, {4, 1}))));
    ck_assert(
        refuses(node, 0,
                message_of(PASS, 0, 2, PARTS({0, 1}, {1, 1}, {2, 1}, {3, 1}))));
}

static void check_bad_large(struct net *net)
{
    check_bad_sizes(net);
    check_bad_exchange(net);
    check_bad_passes(net);
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
        check_bad_large(net);
        if (self == 5)
            check_bad_down(net);
    }
    deliver_all(net);
    ck_assert_uint_eq(done, SIX);
    net_free(net);
}
END_TEST

static void check_large(void *ctx, const struct collective_part *parts,
                        unsigned count)
{
    unsigned *done = ctx;

    ck_assert_uint_eq(count, SIX);
    for (unsigned i = 0; i < count; i++)
        ck_assert(parts[i].node == i && parts[i].len == sizeof large &&
                  memcmp(parts[i].bytes, large, sizeof large) == 0);
    if (done != NULL)
        ++*done;
}

/* At each point of an exchange. */
START_TEST(contradicting_exchanges)
{
    struct net *net = net_create(SIX);
    unsigned done = 0;

    srand(1);
    for (unsigned self = 0; self < SIX; self++)
        ck_assert_int_eq(collectives_begin(net->nodes[self].all, "x", six, SIX,
                                           large, sizeof large, check_large,
                                           &done, NULL),
                         0);
    while (net->len > 0) {
        check_bad_large(net);
        deliver(net, (size_t)rand() % net->len);
    }
    check_bad_large(net);
    ck_assert_uint_eq(done, SIX);
    net_free(net);
}
END_TEST

/* Nothing that is passed is taken before we have told our parent of us. */
START_TEST(passes_before_begin)
{
    struct net *net = net_create(SIX);
    struct node *node = &net->nodes[2];
    struct pack p = message_of(PASS, 0, 0, PARTS({3, 1}));

    ck_assert(is_refused(node, 3, p.bytes, p.len));
    begin_six(net, 2, 1, unexpected);
    ck_assert(!is_refused(node, 3, p.bytes, p.len)); /* early */
    ck_assert(is_refused(node, 3, p.bytes, p.len));
    free(p.bytes);
    p = message_of(PASS, 0, 0, PARTS({2, 1}));
    begin_six(net, 1, 1, unexpected); /* has one below it */
    ck_assert(is_refused(&net->nodes[1], 2, p.bytes, p.len));
    free(p.bytes);
    net_free(net);
}
END_TEST

static int code_of(struct node *node, unsigned from, struct pack p)
{
    int code = receive_code(node, from, p.bytes, p.len);

    free(p.bytes);
    return code;
}

START_TEST(more_than_a_frame)
{
    struct net *net = net_create(SIX);
    struct node *root = &net->nodes[0];

    begin_six(net, 0, 1, unexpected);
    ck_assert_int_eq(
        code_of(root, 2, message_of(SIZE, 0, FRAME_BODY_MAX - 1, NULL, 0)), 0);
    ck_assert_int_eq(code_of(root, 3, message_of(UP, 0, 1, PARTS({3, 1}))),
                     EMSGSIZE);
    ck_assert_int_eq(
        code_of(root, 4, message_of(SIZE, 0, FRAME_BODY_MAX, NULL, 0)),
        EMSGSIZE);
    net_free(net);
}
END_TEST

/* Whoever has more than that must not send it up. */
START_TEST(large_parts_from_below)
{
    static const char part[COLLECTIVE_SMALL + 1];

    for (unsigned more = 0; more <= 1; more++) {
        struct net *net = net_create(SIX);
        struct pack p = message_of(UP, 0, 1, NULL, 0);

        pack_u32(&p, 2);
        pack_u32(&p, COLLECTIVE_SMALL + more);
        pack_bytes(&p, part, COLLECTIVE_SMALL + more);
        ck_assert_int_eq(refuses(&net->nodes[0], 2, p), more);
        net_free(net);
    }
}
END_TEST

static void run_twice(size_t len, collective_done *done)
{
    struct net *net = net_create(SIX);

    srand(1);
    for (int again = 0; again < 3; again++) {
        for (unsigned self = 0; self < SIX; self++)
            begin_six(net, self, len, done);
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

/* Whatever comes twice is refused the second time, also when all is over. */
START_TEST(duplicates)
{
    run_twice(1, count_done);
    run_twice(sizeof large, check_large);
}
END_TEST

static void run_truncated(size_t part, collective_done *done)
{
    struct net *net = net_create(SIX);

    srand(1);
    for (unsigned self = 0; self < SIX; self++)
        begin_six(net, self, part, done);
    while (net->len > 0) {
        size_t at = (size_t)rand() % net->len;
        const struct message *m = &net->queue[at];

        for (size_t len = 0; len < m->len; len += len < 200 ? 1 : 1001)
            ck_assert(is_refused(&net->nodes[m->to], m->from, m->bytes, len));
        deliver(net, at);
    }
    net_free(net);
}

START_TEST(every_truncation)
{
    run_truncated(1, count_done);
    run_truncated(sizeof large, check_large);
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
        bytes[(size_t)rand() % (m->len < 100 ? m->len : 100)] =
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

static void run_with_garbage(unsigned seed, size_t len)
{
    struct net *net = net_create(SIX);

    srand(seed);
    for (unsigned self = 0; self < SIX; self++)
        if (rand() % 8 > 0)
            begin_six(net, self, len, ignore);
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
        run_with_garbage(seed, seed % 3 == 0 ? sizeof large : 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collective");
    TCase *tc = tcase_create("collective");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60); /* with sanitizers, on a busy machine */
    tcase_add_test(tc, all_sizes);
    tcase_add_test(tc, no_part_has_bytes);
    tcase_add_test(tc, parts_of_1_mib);
    tcase_add_test(tc, the_depth_is_logarithmic);
    tcase_add_test(tc, uneven_parts);
    tcase_add_test(tc, the_limit);
    tcase_add_test(tc, nobody_sends_more_than_it_gets);
    tcase_add_test(tc, they_leave_when_done);
    tcase_add_test(tc, a_node_dies_at_each_message);
    tcase_add_test(tc, subsets);
    tcase_add_test(tc, many_at_once);
    tcase_add_test(tc, rounds_of_one_name);
    tcase_add_test(tc, messages_before_begin);
    tcase_add_test(tc, one_begins_the_next);
    tcase_add_test(tc, begins_that_make_no_sense);
    tcase_add_test(tc, too_many_rounds);
    tcase_add_test(tc, contradicting_messages);
    tcase_add_test(tc, contradicting_exchanges);
    tcase_add_test(tc, passes_before_begin);
    tcase_add_test(tc, more_than_a_frame);
    tcase_add_test(tc, large_parts_from_below);
    tcase_add_test(tc, duplicates);
    tcase_add_test(tc, every_truncation);
    tcase_add_test(tc, signatures_that_make_no_sense);
    tcase_add_test(tc, garbage);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
