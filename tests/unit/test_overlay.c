/*
 * Several nodes in one process and one event loop, over the loopback. Where
 * nothing may happen, half a second without anything is taken for it.
 */
#include "base/scope.h"
#include "overlay/overlay.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { NODES = 32, KIND = OVERLAY_USER, WORD = KIND + 9, MIB = 1 << 20 };

static const char last_word[] = "the end";

static const uint8_t secret[FRAME_SECRET_SIZE] = "0123456789abcde";

struct net;

struct node {
    struct net *net;
    struct overlay *overlay;
    unsigned self;
    unsigned received[NODES]; /* messages of each, in order */
    unsigned lost[NODES];
    char why[200]; /* of the last one that was lost */
    size_t bytes;
    unsigned words;   /* last words heard */
    unsigned answers; /* to send back for each message */
    unsigned forward; /* who is sent another one when a node is lost */
};

struct net {
    struct event_base *base;
    unsigned count;
    struct addresses peers[NODES];
    int listeners[NODES];
    struct node nodes[NODES];
    bool spreads; /* who misses a node says the last word */
};

/* ---- time ---- */

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void turn(struct net *net)
{
    const struct timeval tick = {.tv_usec = 5000};

    event_base_loopexit(net->base, &tick);
    event_base_dispatch(net->base);
}

static void run_for(struct net *net, double seconds)
{
    for (double end = seconds_now() + seconds; seconds_now() < end;)
        turn(net);
}

#define RUN_UNTIL(net, condition)                                              \
    do {                                                                       \
        double end_ = seconds_now() + 20;                                      \
        while (!(condition) && seconds_now() < end_)                           \
            turn(net);                                                         \
        ck_assert(condition);                                                  \
    } while (0)

/* ---- a network ---- */

static union address loopback(unsigned port)
{
    return (union address){.v4 = {.sin_family = AF_INET,
                                  .sin_port = htons((in_port_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
}

static int make_listener(union address *ret)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof ret->v4;

    *ret = loopback(0);
    ck_assert_int_eq(bind(fd, &ret->any, size), 0);
    ck_assert_int_eq(listen(fd, 100), 0);
    ck_assert_int_eq(getsockname(fd, &ret->any, &size), 0);
    return fd;
}

/* A message is its number among those from the node, and bytes that fit. */
static void send_one(struct node *node, unsigned to, uint32_t number,
                     size_t len)
{
    char *bytes = malloc(len);

    ck_assert(bytes != NULL && len >= sizeof number);
    memset(bytes, (int)(number % 251), len);
    memcpy(bytes, &number, sizeof number);
    overlay_send(node->overlay, to, KIND + number % 3, bytes, len);
    free(bytes);
}

static void on_receive(void *ctx, unsigned from, unsigned kind,
                       const void *bytes, size_t len)
{
    const unsigned char *body = bytes;
    struct node *node = ctx;
    uint32_t number;
    bool good = true;

    ck_assert_uint_lt(from, node->net->count);
    if (kind == WORD) {
        ck_assert(len == sizeof last_word &&
                  memcmp(bytes, last_word, len) == 0);
        node->words++;
        overlay_spread(node->overlay, WORD, bytes, len);
        return;
    }
    ck_assert_uint_ge(len, sizeof number);
    memcpy(&number, bytes, sizeof number);
    ck_assert_uint_eq(number, node->received[from]);
    ck_assert_uint_eq(kind, KIND + number % 3);
    for (size_t i = sizeof number; i < len; i++)
        good &= body[i] == number % 251; /* an assertion is a write() */
    ck_assert(good);
    node->received[from]++;
    node->bytes += len;
    if (node->answers > 0) {
        node->answers--;
        send_one(node, from, number, len);
    }
}

static void spread_word(struct net *net, unsigned from)
{
    net->nodes[from].words++;
    overlay_spread(net->nodes[from].overlay, WORD, last_word, sizeof last_word);
}

static void on_lost(void *ctx, unsigned lost, const char *why)
{
    struct node *node = ctx;

    ck_assert_uint_lt(lost, node->net->count);
    ck_assert(why[0] != '\0' && strchr(why, '\n') == NULL);
    node->lost[lost]++;
    snprintf(node->why, sizeof node->why, "%s", why);
    if (node->forward != node->self)
        send_one(node, node->forward, 0, 4);
    if (node->net->spreads)
        spread_word(node->net, node->self);
}

static struct net *net_create(unsigned count)
{
    struct net *net = calloc(1, sizeof *net);

    signal(SIGPIPE, SIG_IGN);
    net->count = count;
    net->base = event_base_new();
    ck_assert_ptr_nonnull(net->base);
    for (unsigned i = 0; i < count; i++) {
        net->nodes[i] = (struct node){.net = net, .self = i, .forward = i};
        net->peers[i].count = 1;
        net->listeners[i] = make_listener(&net->peers[i].items[0]);
    }
    return net;
}

static struct overlay_config config_of(struct net *net, unsigned self)
{
    struct overlay_config config = {
        .base = net->base,
        .self = self,
        .count = net->count,
        .peers = net->peers,
        .listeners = {net->listeners[self], -1},
        .receive = on_receive,
        .lost = on_lost,
        .ctx = &net->nodes[self],
    };

    memcpy(config.secret, secret, sizeof secret);
    net->listeners[self] = -1;
    return config;
}

static void start_silent(struct net *net, unsigned self, unsigned silence)
{
    struct overlay_config config = config_of(net, self);
    struct ct_error err = {0};

    config.silence = silence;
    net->nodes[self].overlay = overlay_create(&config, &err);
    if (net->nodes[self].overlay == NULL)
        ck_abort_msg("%s", err.text);
}

static void start(struct net *net, unsigned self)
{
    start_silent(net, self, 0);
}

static struct net *net_start(unsigned count)
{
    struct net *net = net_create(count);

    for (unsigned i = 0; i < count; i++)
        start(net, i);
    return net;
}

/* Without a word, as if it was killed. */
static void drop(struct net *net, unsigned node)
{
    overlay_close(net->nodes[node].overlay, 0);
    net->nodes[node].overlay = NULL;
}

/* With one; the others' events go on meanwhile. */
static void leave(struct net *net, unsigned node)
{
    overlay_close(net->nodes[node].overlay, 5);
    net->nodes[node].overlay = NULL;
}

static void net_free(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        drop(net, i);
        ct_close(&net->listeners[i]);
    }
    /* libevent frees what has a callback put off (BEV_OPT_DEFER_CALLBACKS)
       after that, or never */
    event_base_loop(net->base, EVLOOP_NONBLOCK);
    event_base_free(net->base);
    free(net);
}

static unsigned sum_lost(const struct net *net)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < net->count; i++)
        for (unsigned k = 0; k < net->count; k++)
            sum += net->nodes[i].lost[k];
    return sum;
}

static unsigned lost(const struct net *net, unsigned by, unsigned node)
{
    return net->nodes[by].lost[node];
}

/* Anything said since: whatever waits to go wrong goes wrong in this time. */
static void check_peace(struct net *net, unsigned expected)
{
    run_for(net, 0.5);
    ck_assert_uint_eq(sum_lost(net), expected);
}

static void exchange(struct net *net, unsigned a, unsigned b)
{
    struct node *from = &net->nodes[a], *to = &net->nodes[b];
    unsigned had = to->received[a];

    send_one(from, b, had, 100);
    RUN_UNTIL(net, to->received[a] == had + 1);
}

/* ---- messages ---- */

START_TEST(alone)
{
    struct net *net = net_start(1);

    check_peace(net, 0);
    leave(net, 0);
    net_free(net);
    overlay_close(NULL, 5);
}
END_TEST

START_TEST(messages_in_order)
{
    struct net *net = net_start(2);

    for (uint32_t i = 0; i < 1000; i++)
        send_one(&net->nodes[0], 1, i, 4 + i % 3000);
    RUN_UNTIL(net, net->nodes[1].received[0] == 1000);
    net->nodes[0].answers = 1000;
    for (uint32_t i = 0; i < 1000; i++)
        send_one(&net->nodes[1], 0, i, 4 + i % 3000);
    for (uint32_t i = 1000; i < 1200; i++)
        send_one(&net->nodes[0], 1, i, 4);
    net->nodes[0].answers = 0;
    RUN_UNTIL(net, net->nodes[0].received[1] == 1000 &&
                       net->nodes[1].received[0] == 1200);
    check_peace(net, 0);
    net_free(net);
}
END_TEST

START_TEST(answers_from_within_receive)
{
    struct net *net = net_start(3);

    net->nodes[2].answers = 100;
    for (uint32_t i = 0; i < 100; i++)
        send_one(&net->nodes[1], 2, i, 50000);
    RUN_UNTIL(net, net->nodes[1].received[2] == 100);
    net_free(net);
}
END_TEST

/* Nodes 1 and 2 have no link at first, and both make one. */
START_TEST(both_dial_at_once)
{
    struct net *net = net_start(9);

    for (uint32_t i = 0; i < 50; i++)
        for (unsigned a = 0; a < 9; a++)
            for (unsigned b = 0; b < 9; b++)
                if (a != b)
                    send_one(&net->nodes[a], b, i, 4 + i * 100);
    for (unsigned a = 0; a < 9; a++)
        for (unsigned b = 0; b < 9; b++)
            RUN_UNTIL(net, a == b || net->nodes[a].received[b] == 50);
    for (unsigned a = 0; a < 9; a++)
        exchange(net, a, (a + 1) % 9);
    check_peace(net, 0);
    for (unsigned a = 0; a < 9; a++)
        leave(net, a);
    ck_assert_uint_eq(sum_lost(net), 0);
    net_free(net);
}
END_TEST

START_TEST(large_messages)
{
    struct net *net = net_start(3);

    for (uint32_t i = 0; i < 4; i++) {
        send_one(&net->nodes[1], 2, i, 8 * MIB + i);
        send_one(&net->nodes[2], 1, i, 8 * MIB + i);
        send_one(&net->nodes[0], 1, i, MIB);
    }
    RUN_UNTIL(net, net->nodes[1].received[2] == 4 &&
                       net->nodes[2].received[1] == 4 &&
                       net->nodes[1].received[0] == 4);
    check_peace(net, 0);
    net_free(net);
}
END_TEST

START_TEST(too_large_a_message)
{
    struct net *net = net_start(2);
    static char byte;

    exchange(net, 0, 1);
    overlay_send(net->nodes[0].overlay, 1, KIND, &byte,
                 (size_t)FRAME_BODY_MAX + 1);
    ck_assert_uint_eq(lost(net, 0, 1), 0); /* not from within */
    RUN_UNTIL(net, lost(net, 0, 1) == 1);
    ck_assert_ptr_nonnull(strstr(net->nodes[0].why, strerror(EMSGSIZE)));
    net_free(net);
}
END_TEST

/* ---- those that go ---- */

START_TEST(one_that_dies_is_lost_once)
{
    struct net *net = net_start(3);

    exchange(net, 0, 1);
    exchange(net, 1, 2);
    drop(net, 1);
    RUN_UNTIL(net, lost(net, 0, 1) == 1 && lost(net, 2, 1) == 1);
    ck_assert_ptr_nonnull(strstr(net->nodes[0].why, "closed"));
    send_one(&net->nodes[0], 1, 1, 4);
    check_peace(net, 2);
    ck_assert(!overlay_has_left(net->nodes[0].overlay, 1));
    exchange(net, 0, 2);
    net_free(net);
}
END_TEST

START_TEST(one_that_says_bye_is_not)
{
    struct net *net = net_start(3);

    exchange(net, 0, 1);
    exchange(net, 1, 2);
    leave(net, 1);
    RUN_UNTIL(net, overlay_has_left(net->nodes[0].overlay, 1) &&
                       overlay_has_left(net->nodes[2].overlay, 1));
    send_one(&net->nodes[0], 1, 1, 4);
    check_peace(net, 0);
    exchange(net, 0, 2);
    net_free(net);
}
END_TEST

/* No word of it has come to those that have no link to it. */
START_TEST(one_that_cannot_be_told_has_left)
{
    struct net *net = net_start(6);

    run_for(net, 0.05);
    leave(net, 5);
    overlay_tell(net->nodes[4].overlay, 5, KIND, "word", 4);
    RUN_UNTIL(net, overlay_has_left(net->nodes[4].overlay, 5));
    overlay_tell(net->nodes[4].overlay, 5, KIND, "word", 4);
    check_peace(net, 0);
    exchange(net, 4, 3);
    net_free(net);
}
END_TEST

static unsigned count_without_word(const struct net *net)
{
    unsigned count = 0;

    for (unsigned i = 0; i < net->count; i++)
        count += net->nodes[i].overlay != NULL && net->nodes[i].words == 0;
    return count;
}

START_TEST(the_last_word_reaches_all)
{
    for (unsigned from = 0; from < 21; from += 4)
        for (int settled = 0; settled < 2; settled++) {
            struct net *net = net_start(21);

            if (settled)
                run_for(net, 0.1);
            spread_word(net, from);
            RUN_UNTIL(net, count_without_word(net) == 0);
            check_peace(net, 0);
            net_free(net);
        }
}
END_TEST

START_TEST(neighbours)
{
    struct net *net = net_start(3);

    ck_assert_uint_eq(overlay_neighbour(net->nodes[0].overlay), 0);
    run_for(net, 0.1);
    ck_assert_uint_eq(overlay_neighbour(net->nodes[0].overlay), 1);
    ck_assert_uint_eq(overlay_neighbour(net->nodes[2].overlay), 0);
    leave(net, 1);
    RUN_UNTIL(net, overlay_has_left(net->nodes[0].overlay, 1));
    ck_assert_uint_eq(overlay_neighbour(net->nodes[0].overlay), 2);
    leave(net, 2);
    RUN_UNTIL(net, overlay_has_left(net->nodes[0].overlay, 2));
    ck_assert_uint_eq(overlay_neighbour(net->nodes[0].overlay), 0);
    net_free(net);
}
END_TEST

static unsigned pick(const struct net *net)
{
    unsigned node = (unsigned)rand() % net->count;

    while (net->nodes[node].overlay == NULL)
        node = (node + 1) % net->count;
    return node;
}

/* Whoever has left may have been the only way to others. */
START_TEST(the_last_word_passes_those_that_have_left)
{
    for (unsigned seed = 0; seed < 60; seed++) {
        struct net *net = net_start(21);

        srand(seed);
        run_for(net, seed % 3 == 0 ? 0.1 : 0.01);
        for (unsigned left = seed % 18; left > 0; left--) {
            leave(net, pick(net));
            if (seed % 2 == 0)
                turn(net);
        }
        spread_word(net, pick(net));
        if (seed % 4 == 1)
            leave(net, pick(net));
        RUN_UNTIL(net, count_without_word(net) == 0);
        ck_assert_uint_eq(sum_lost(net), 0);
        net_free(net);
    }
}
END_TEST

/* Who says it leaves at once. Those who have heard nobody miss somebody. */
START_TEST(the_last_word_passes_the_dead)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        struct net *net = net_start(21);
        unsigned from;

        srand(seed);
        run_for(net, 0.1);
        net->spreads = true;
        drop(net, pick(net));
        if (seed % 2 == 0)
            drop(net, pick(net));
        from = pick(net);
        spread_word(net, from);
        leave(net, from);
        RUN_UNTIL(net, count_without_word(net) == 0);
        net_free(net);
    }
}
END_TEST

START_TEST(all_leave_in_any_order)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        struct net *net = net_start(21);

        srand(seed);
        if (seed % 2 == 0)
            run_for(net, 0.02);
        for (unsigned left = 21; left > 0; left--) {
            unsigned node = (unsigned)rand() % 21;

            while (net->nodes[node].overlay == NULL)
                node = (node + 1) % 21;
            leave(net, node);
        }
        ck_assert_uint_eq(sum_lost(net), 0);
        net_free(net);
    }
}
END_TEST

START_TEST(what_is_pending_is_sent)
{
    struct net *net = net_start(6);

    /* 4 and 5 have no link: it is made while we leave */
    for (uint32_t i = 0; i < 20; i++)
        send_one(&net->nodes[4], 5, i, MIB);
    leave(net, 4);
    RUN_UNTIL(net, net->nodes[5].received[4] == 20);
    RUN_UNTIL(net, overlay_has_left(net->nodes[5].overlay, 4));
    check_peace(net, 0);
    net_free(net);
}
END_TEST

/* With our ping unread in its socket: a reset would take its last words. */
START_TEST(last_words_are_heard)
{
    for (int i = 0; i < 20; i++) {
        struct net *net = net_start(2);

        exchange(net, 0, 1);
        for (uint32_t k = 1; k < 50; k++)
            send_one(&net->nodes[0], 1, k, 100000);
        send_one(&net->nodes[1], 0, 0, 4 * MIB);
        leave(net, 1);
        RUN_UNTIL(net, overlay_has_left(net->nodes[0].overlay, 1));
        ck_assert_uint_eq(net->nodes[0].received[1], 1);
        ck_assert_uint_eq(sum_lost(net), 0);
        net_free(net);
    }
}
END_TEST

/* A child comes after its parent has wanted to leave. */
static void start_later(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    start(ctx, 1);
}

START_TEST(a_late_child_is_told)
{
    const struct timeval later = {.tv_usec = 300000};
    struct net *net = net_create(2);

    start(net, 0);
    event_base_once(net->base, -1, EV_TIMEOUT, start_later, net, &later);
    leave(net, 0);
    RUN_UNTIL(net, overlay_has_left(net->nodes[1].overlay, 0));
    check_peace(net, 0);
    net_free(net);
}
END_TEST

START_TEST(one_that_does_not_listen_ends_the_wait)
{
    struct net *net = net_start(2);
    double begun = seconds_now();

    drop(net, 1);
    leave(net, 0);
    ck_assert(seconds_now() - begun < 2);
    net_free(net);
}
END_TEST

/* ---- the tree ---- */

/* Node 1's children are 5 to 8, and 0 is the next one up. */
START_TEST(orphans_are_watched_by_the_next)
{
    struct net *net = net_start(9);

    run_for(net, 0.2);
    leave(net, 1);
    run_for(net, 0.2);
    drop(net, 6);
    RUN_UNTIL(net, lost(net, 0, 6) == 1);
    drop(net, 0);
    RUN_UNTIL(net, lost(net, 5, 0) == 1 && lost(net, 8, 0) == 1);
    net_free(net);
}
END_TEST

/* The next one up has left before it knew that it would be needed. */
START_TEST(the_next_may_have_left_as_well)
{
    struct net *net = net_start(22);

    run_for(net, 0.2);
    leave(net, 0);
    run_for(net, 0.1);
    leave(net, 1); /* of 21's: 5, 1, 0 */
    run_for(net, 0.1);
    leave(net, 5);
    check_peace(net, 0);
    exchange(net, 21, 2);
    net_free(net);
}
END_TEST

START_TEST(a_child_that_never_comes_is_lost)
{
    struct net *net = net_create(2);

    ct_close(&net->listeners[1]);
    start_silent(net, 0, 1);
    RUN_UNTIL(net, lost(net, 0, 1) == 1);
    ck_assert_ptr_nonnull(strstr(net->nodes[0].why, "cannot be reached"));
    net_free(net);
}
END_TEST

/* ---- addresses ---- */

START_TEST(nobody_listens)
{
    struct net *net = net_create(2);
    char at[ADDRESS_TEXT_SIZE];

    ct_close(&net->listeners[0]);
    start(net, 1);
    ck_assert_uint_eq(lost(net, 1, 0), 0);
    RUN_UNTIL(net, lost(net, 1, 0) == 1);
    address_text(&net->peers[0].items[0], at);
    ck_assert_ptr_nonnull(strstr(net->nodes[1].why, at));
    ck_assert_ptr_nonnull(strstr(net->nodes[1].why, strerror(ECONNREFUSED)));
    check_peace(net, 1);
    net_free(net);
}
END_TEST

/* Told later, not while it is created or sends. */
START_TEST(no_address_at_all)
{
    struct net *net = net_create(3);

    net->peers[0].count = 0;
    net->peers[2].items[0].any.sa_family = 77;
    start(net, 1);
    send_one(&net->nodes[1], 2, 0, 4);
    send_one(&net->nodes[1], 2, 1, 4);
    ck_assert_uint_eq(sum_lost(net), 0);
    RUN_UNTIL(net, lost(net, 1, 0) == 1 && lost(net, 1, 2) == 1);
    check_peace(net, 2);
    net_free(net);
}
END_TEST

/* lost() may send, to one that cannot be reached either. */
START_TEST(sends_from_within_lost)
{
    struct net *net = net_create(5);

    ct_close(&net->listeners[0]);
    net->peers[2].count = 0;
    start(net, 1);
    net->nodes[1].forward = 2;
    RUN_UNTIL(net, lost(net, 1, 0) == 1 && lost(net, 1, 2) == 1);
    check_peace(net, 2);
    net_free(net);
}
END_TEST

static void add_address(struct addresses *at, union address address)
{
    at->items[at->count++] = address;
}

/* The second is dead; all others lead to the node, the first wins. */
static struct net *mixed_net(int *ret_dead)
{
    struct net *net = net_create(6);
    union address dead;

    *ret_dead = make_listener(&dead);
    ct_close(ret_dead);
    for (unsigned i = 0; i < net->count; i++) {
        const union address live = net->peers[i].items[0];

        net->peers[i].items[0] = dead;
        add_address(&net->peers[i], live);
        add_address(&net->peers[i], dead);
        for (int k = 0; k < 5; k++)
            add_address(&net->peers[i], live);
    }
    return net;
}

START_TEST(dead_and_live_addresses)
{
    for (unsigned seed = 0; seed < 10; seed++) {
        int dead;
        struct net *net = mixed_net(&dead);

        for (unsigned i = 0; i < net->count; i++)
            start(net, i);
        for (uint32_t i = 0; i < 30; i++)
            for (unsigned a = 0; a < 6; a++)
                for (unsigned b = 0; b < 6; b++)
                    if (a != b)
                        send_one(&net->nodes[a], b, i, 4 + i * 50);
        for (unsigned a = 0; a < 6; a++)
            for (unsigned b = 0; b < 6; b++)
                RUN_UNTIL(net, a == b || net->nodes[a].received[b] == 30);
        ck_assert_uint_eq(sum_lost(net), 0);
        for (unsigned i = 0; i < net->count; i++)
            ck_assert_uint_eq(overlay_strangers(net->nodes[i].overlay), 0);
        net_free(net);
    }
}
END_TEST

/* The accepting side talks at once, while the dialler chooses. */
START_TEST(nothing_goes_to_an_address_not_chosen)
{
    for (int again = 0; again < 30; again++) {
        int dead;
        struct net *net = mixed_net(&dead);

        start(net, 0);
        start(net, 1);
        for (uint32_t i = 0; i < 200; i++) {
            send_one(&net->nodes[0], 1, i, 4);
            if (i % 20 == 0)
                event_base_loop(net->base, EVLOOP_NONBLOCK);
        }
        RUN_UNTIL(net, net->nodes[1].received[0] == 200);
        ck_assert_uint_eq(sum_lost(net), 0);
        net_free(net);
    }
}
END_TEST

/*
 * 127.0.0.1 is "ours": what listens there is not asked when the other node has
 * another address, and it must not see the secret.
 */
START_TEST(our_own_address_is_not_dialled)
{
    struct net *net = net_create(2);
    union address trap;
    int trapped = make_listener(&trap);

    net->peers[0].items[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    ct_close(&net->listeners[0]);
    add_address(&net->peers[0], trap);
    start(net, 1);
    RUN_UNTIL(net, lost(net, 1, 0) == 1);
    ck_assert_int_eq(accept(trapped, NULL, NULL), -1);
    ck_assert_int_eq(errno, EAGAIN);
    close(trapped);
    net_free(net);
}
END_TEST

/* ---- strangers ---- */

static int dial_node(const struct net *net, unsigned node)
{
    const union address *at = &net->peers[node].items[0];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, &at->any, address_size(at)), 0);
    return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void say_frame(int fd, unsigned kind, unsigned from, const uint8_t *with,
                      const void *body, size_t len)
{
    const struct frame_head head = {kind, from, (uint32_t)len};
    char bytes[FRAME_HEAD_SIZE];

    frame_encode(&head, with, bytes);
    say(fd, bytes, sizeof bytes);
    if (len > 0)
        say(fd, body, len);
}

static void say_hello(int fd, unsigned from, uint32_t to)
{
    say_frame(fd, OVERLAY_HELLO, from, secret, &to, sizeof to);
}

static void say_garbage(int fd)
{
    say(fd, "GET / HTTP/1.1\r\nHost: some.where.else\r\n\r\n", 42);
}

static void say_another_secret(int fd)
{
    static const uint8_t other[FRAME_SECRET_SIZE] = "0123456789abcdE";
    const uint32_t to = 0;

    say_frame(fd, OVERLAY_HELLO, 1, other, &to, sizeof to);
}

static void say_half_a_frame(int fd)
{
    say(fd, "\1\0\164\143", 4);
    shutdown(fd, SHUT_WR);
}

static void say_nothing(int fd)
{
    shutdown(fd, SHUT_WR);
}

static void say_hello_for_another(int fd)
{
    say_hello(fd, 1, 2);
}

static void say_hello_as_itself(int fd)
{
    say_hello(fd, 0, 0);
}

static void say_hello_of_nobody(int fd)
{
    say_hello(fd, 4711, 0);
}

static void say_a_message_first(int fd)
{
    say_frame(fd, KIND, 1, secret, "1234", 4);
}

static void say_use_first(int fd)
{
    say_frame(fd, OVERLAY_USE, 1, secret, "", 0);
}

static void say_a_large_hello(int fd)
{
    const struct frame_head head = {OVERLAY_HELLO, 1, FRAME_BODY_MAX};
    char bytes[FRAME_HEAD_SIZE];

    frame_encode(&head, secret, bytes);
    say(fd, bytes, sizeof bytes);
}

static void say_an_empty_hello(int fd)
{
    say_frame(fd, OVERLAY_HELLO, 1, secret, "", 0);
}

static void (*const strangers[])(int fd) = {
    say_garbage,           say_another_secret,  say_half_a_frame,
    say_nothing,           say_hello_as_itself, say_hello_of_nobody,
    say_hello_for_another, say_a_message_first, say_use_first,
    say_a_large_hello,     say_an_empty_hello,
};

/* It is closed: nothing more can be read. A hello alone must not be answered.
 */
static void check_closed(struct net *net, int fd)
{
    char byte;
    ssize_t n;

    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    RUN_UNTIL(net, (n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
    ck_assert_int_le(n, 0);
    close(fd);
}

START_TEST(strangers_do_no_harm)
{
    const unsigned count = sizeof strangers / sizeof strangers[0];
    struct net *net = net_start(3);

    exchange(net, 0, 1);
    for (unsigned i = 0; i < count; i++) {
        int fd = dial_node(net, 0);

        strangers[i](fd);
        check_closed(net, fd);
        RUN_UNTIL(net, overlay_strangers(net->nodes[0].overlay) == i + 1);
        exchange(net, 0, 1);
    }
    check_peace(net, 0);
    net_free(net);
}
END_TEST

/* One that keeps still, and one that gives a byte now and then. */
START_TEST(silent_strangers_are_dropped)
{
    struct net *net = net_create(1);
    double begun = seconds_now();
    int still, slow;

    start_silent(net, 0, 1);
    still = dial_node(net, 0);
    slow = dial_node(net, 0);
    say(slow, "\1", 1);
    while (overlay_strangers(net->nodes[0].overlay) < 2) {
        ck_assert(seconds_now() - begun < 10);
        run_for(net, 0.3);
        send(slow, "\0", 1, MSG_NOSIGNAL);
        ck_assert(seconds_now() - begun < 10);
        if (overlay_strangers(net->nodes[0].overlay) == 0)
            ck_assert(seconds_now() - begun < 2.5);
    }
    close(still);
    close(slow);
    net_free(net);
}
END_TEST

/* The node's own link ends when it sends what is no frame. */
START_TEST(a_node_that_sends_garbage_is_lost)
{
    struct net *net = net_create(2);
    const uint32_t to = 0;
    int fd;

    ct_close(&net->listeners[1]);
    start(net, 0);
    fd = dial_node(net, 0);
    say_hello(fd, 1, to);
    say_frame(fd, OVERLAY_USE, 1, secret, "", 0);
    say_frame(fd, KIND, 1, secret, &to, sizeof to);
    RUN_UNTIL(net, net->nodes[0].received[1] == 1);
    say_frame(fd, KIND, 2, secret, &to, sizeof to); /* another's name */
    RUN_UNTIL(net, lost(net, 0, 1) == 1);
    ck_assert_ptr_nonnull(strstr(net->nodes[0].why, "no frame of this job"));
    close(fd);
    fd = dial_node(net, 0); /* what is lost does not come back */
    say_hello(fd, 1, to);
    check_closed(net, fd);
    check_peace(net, 1);
    ck_assert_uint_eq(overlay_strangers(net->nodes[0].overlay), 1);
    net_free(net);
}
END_TEST

START_TEST(a_frame_cut_in_pieces)
{
    char bytes[FRAME_HEAD_SIZE + 5000] = {0};
    const struct frame_head head = {KIND, 1, 5000};
    struct net *net = net_create(2);
    int fd;

    ct_close(&net->listeners[1]);
    start(net, 0);
    fd = dial_node(net, 0);
    say_hello(fd, 1, 0);
    say_frame(fd, OVERLAY_USE, 1, secret, "", 0);
    frame_encode(&head, secret, bytes);
    for (size_t at = 0; at < sizeof bytes; at += at < 100 ? 1 : 1233) {
        size_t len = at < 100 ? 1 : 1233;

        say(fd, bytes + at, at + len > sizeof bytes ? sizeof bytes - at : len);
        event_base_loop(net->base, EVLOOP_NONBLOCK);
    }
    RUN_UNTIL(net, net->nodes[0].received[1] == 1);
    close(fd);
    RUN_UNTIL(net, lost(net, 0, 1) == 1);
    net_free(net);
}
END_TEST

/* ---- silence ---- */

START_TEST(one_that_never_answers_is_lost)
{
    struct net *net = net_create(2);
    double begun = seconds_now();

    start_silent(net, 1, 1); /* 0 has a listener, and nobody accepts */
    RUN_UNTIL(net, lost(net, 1, 0) == 1);
    ck_assert(seconds_now() - begun > 0.9 && seconds_now() - begun < 3);
    ck_assert_ptr_nonnull(strstr(net->nodes[1].why, "does not answer"));
    net_free(net);
}
END_TEST

START_TEST(one_that_falls_silent_is_lost)
{
    struct net *net = net_create(2);
    double begun;
    int fd;

    ct_close(&net->listeners[1]);
    start_silent(net, 0, 1);
    fd = dial_node(net, 0);
    say_hello(fd, 1, 0);
    say_frame(fd, OVERLAY_USE, 1, secret, "", 0);
    run_for(net, 0.2);
    begun = seconds_now();
    RUN_UNTIL(net, lost(net, 0, 1) == 1);
    ck_assert(seconds_now() - begun < 3);
    ck_assert_ptr_nonnull(strstr(net->nodes[0].why, "does not answer"));
    close(fd);
    net_free(net);
}
END_TEST

START_TEST(those_with_nothing_to_say_are_not)
{
    struct net *net = net_create(6);

    for (unsigned i = 0; i < 6; i++)
        start_silent(net, i, 1);
    exchange(net, 4, 5);
    run_for(net, 2.5);
    ck_assert_uint_eq(sum_lost(net), 0);
    net_free(net);
}
END_TEST

/* We were stopped for longer than the others' silence may last. */
START_TEST(who_was_stopped_forgives)
{
    struct net *net = net_create(2);

    for (unsigned i = 0; i < 2; i++)
        start_silent(net, i, 1);
    exchange(net, 0, 1);
    for (int i = 0; i < 2; i++) {
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 300000000}, NULL);
        run_for(net, 0.3);
    }
    ck_assert_uint_eq(sum_lost(net), 0);
    exchange(net, 0, 1);
    net_free(net);
}
END_TEST

/* A node that takes nothing any more does not keep us from leaving. */
START_TEST(leaving_has_an_end)
{
    struct net *net = net_create(2);
    double begun;
    int fd;

    ct_close(&net->listeners[1]);
    start(net, 0);
    fd = dial_node(net, 0);
    say_hello(fd, 1, 0);
    say_frame(fd, OVERLAY_USE, 1, secret, "", 0);
    run_for(net, 0.2);
    send_one(&net->nodes[0], 1, 0, 64 * MIB);
    begun = seconds_now();
    overlay_close(net->nodes[0].overlay, 1);
    net->nodes[0].overlay = NULL;
    ck_assert(seconds_now() - begun < 3.5);
    close(fd);
    net_free(net);
}
END_TEST

/* ---- descriptors ---- */

static double cpu_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Who cannot be accepted waits; the loop does not spin, and goes on later. */
START_TEST(no_descriptors_are_left)
{
    struct net *net = net_create(2);
    struct rlimit limit;
    double begun;
    int next;

    start(net, 0);
    start(net, 1); /* its socket is made, and dials already */
    getrlimit(RLIMIT_NOFILE, &limit);
    next = dup(0);
    close(next);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE,
                               &(struct rlimit){(rlim_t)next, limit.rlim_max}),
                     0);
    begun = cpu_seconds();
    run_for(net, 0.7);
    ck_assert(cpu_seconds() - begun < 0.35);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    exchange(net, 1, 0);
    check_peace(net, 0);
    net_free(net);
}
END_TEST

/* The listeners are the overlay's, and it leaves no descriptor. */
START_TEST(nothing_is_left)
{
    int before = dup(0), after;
    struct net *net = net_start(9);

    run_for(net, 0.1);
    exchange(net, 7, 8);
    net_free(net);
    after = dup(0);
    ck_assert_int_eq(after, before + 1);
    close(before);
    close(after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("overlay");
    TCase *tc = tcase_create("overlay"), *word = tcase_create("word");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, word);
    tcase_set_timeout(word, 60);
    tcase_add_test(tc, alone);
    tcase_add_test(tc, messages_in_order);
    tcase_add_test(tc, answers_from_within_receive);
    tcase_add_test(tc, both_dial_at_once);
    tcase_add_test(tc, large_messages);
    tcase_add_test(tc, too_large_a_message);
    tcase_add_test(tc, one_that_dies_is_lost_once);
    tcase_add_test(tc, one_that_says_bye_is_not);
    tcase_add_test(tc, one_that_cannot_be_told_has_left);
    tcase_add_test(word, neighbours);
    tcase_add_test(word, the_last_word_reaches_all);
    tcase_add_test(word, the_last_word_passes_those_that_have_left);
    tcase_add_test(word, the_last_word_passes_the_dead);
    tcase_add_test(tc, all_leave_in_any_order);
    tcase_add_test(tc, what_is_pending_is_sent);
    tcase_add_test(tc, last_words_are_heard);
    tcase_add_test(tc, a_late_child_is_told);
    tcase_add_test(tc, one_that_does_not_listen_ends_the_wait);
    tcase_add_test(tc, orphans_are_watched_by_the_next);
    tcase_add_test(tc, the_next_may_have_left_as_well);
    tcase_add_test(tc, a_child_that_never_comes_is_lost);
    tcase_add_test(tc, nobody_listens);
    tcase_add_test(tc, no_address_at_all);
    tcase_add_test(tc, sends_from_within_lost);
    tcase_add_test(tc, dead_and_live_addresses);
    tcase_add_test(tc, nothing_goes_to_an_address_not_chosen);
    tcase_add_test(tc, our_own_address_is_not_dialled);
    tcase_add_test(tc, strangers_do_no_harm);
    tcase_add_test(tc, silent_strangers_are_dropped);
    tcase_add_test(tc, a_node_that_sends_garbage_is_lost);
    tcase_add_test(tc, a_frame_cut_in_pieces);
    tcase_add_test(tc, one_that_never_answers_is_lost);
    tcase_add_test(tc, one_that_falls_silent_is_lost);
    tcase_add_test(tc, those_with_nothing_to_say_are_not);
    tcase_add_test(tc, who_was_stopped_forgives);
    tcase_add_test(tc, leaving_has_an_end);
    tcase_add_test(tc, no_descriptors_are_left);
    tcase_add_test(tc, nothing_is_left);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
