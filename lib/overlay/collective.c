/*
 * One round is found by its signature (name and nodes, as one string of bytes)
 * and number. Contributions are kept as they came, packed one after the other:
 * a node adds its own to its children's and sends all of it to its parent; the
 * first node sends all of everybody's down.
 */
#include "overlay/collective.h"

#include "base/pack.h"
#include "base/scope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RADIX = 4, UP = 1, DOWN = 2, ROUNDS_MAX = 4096 };

struct round {
    struct round *next;
    char *signature;
    size_t signature_len;
    uint32_t number;

    struct pack parts; /* packed contributions */
    unsigned part_count;
    unsigned children_heard;

    /* Known once we have begun it ourselves. */
    bool begun;
    unsigned *nodes;
    unsigned count, place; /* ours among them */
    collective_done *done;
    void *ctx;
};

/* How many rounds of a signature have begun here. */
struct counter {
    struct counter *next;
    char *signature;
    size_t signature_len;
    uint32_t begun;
};

struct collectives {
    unsigned self;
    void (*send)(void *ctx, unsigned node, const void *bytes, size_t len);
    void *ctx;
    struct round *rounds;
    unsigned round_count;
    struct counter *counters;
};

/* ---- rounds ---- */

static void round_free(struct round *round)
{
    free(round->signature);
    free(round->parts.bytes);
    free(round->nodes);
    free(round);
}

static void remove_round(struct collectives *all, struct round *round)
{
    struct round **at = &all->rounds;

    while (*at != round)
        at = &(*at)->next;
    *at = round->next;
    all->round_count--;
    round_free(round);
}

static struct round *add_round(struct collectives *all, const void *signature,
                               size_t len, uint32_t number)
{
    struct round *round = calloc(1, sizeof *round);

    if (round == NULL || (round->signature = malloc(len)) == NULL) {
        free(round);
        return NULL;
    }
    memcpy(round->signature, signature, len);
    round->signature_len = len;
    round->number = number;
    round->next = all->rounds;
    all->rounds = round;
    all->round_count++;
    return round;
}

static struct round *get_round(struct collectives *all, const void *signature,
                               size_t len, uint32_t number)
{
    for (struct round *round = all->rounds; round != NULL; round = round->next)
        if (round->number == number && round->signature_len == len &&
            memcmp(round->signature, signature, len) == 0)
            return round;
    if (all->round_count == ROUNDS_MAX)
        return NULL;
    return add_round(all, signature, len, number);
}

/* The number of the round that begins now; -1 without memory. */
static long count_up(struct collectives *all, const void *signature, size_t len)
{
    struct counter *counter = all->counters;

    while (counter != NULL && (counter->signature_len != len ||
                               memcmp(counter->signature, signature, len) != 0))
        counter = counter->next;
    if (counter == NULL) {
        counter = calloc(1, sizeof *counter);
        if (counter == NULL || (counter->signature = malloc(len)) == NULL) {
            free(counter);
            return -1;
        }
        memcpy(counter->signature, signature, len);
        counter->signature_len = len;
        counter->next = all->counters;
        all->counters = counter;
    }
    return counter->begun++;
}

/* ---- parts ---- */

static void pack_part(struct pack *p, unsigned node, const void *bytes,
                      size_t len)
{
    pack_u32(p, node);
    pack_u32(p, (uint32_t)len);
    pack_bytes(p, bytes, len);
}

/* Views into what is packed. */
static int unpack_parts(const struct pack *packed, struct collective_part *ret,
                        unsigned count)
{
    struct unpack u = {.bytes = packed->bytes, .len = packed->len};

    for (unsigned i = 0; i < count; i++) {
        ret[i].node = unpack_u32(&u);
        ret[i].len = unpack_u32(&u);
        ret[i].bytes = unpack_bytes(&u, ret[i].len);
    }
    return u.failed || u.at != u.len ? -1 : 0;
}

static int by_node(const void *a, const void *b)
{
    const struct collective_part *x = a, *y = b;

    return (x->node > y->node) - (x->node < y->node);
}

/* ---- the tree ---- */

static unsigned child_count(const struct round *round)
{
    unsigned first = round->place * RADIX + 1;

    if (first >= round->count)
        return 0;
    return round->count - first < RADIX ? round->count - first : RADIX;
}

static void send_parts(struct collectives *all, const struct round *round,
                       uint32_t way, unsigned node)
{
    struct pack p = {0};

    pack_u32(&p, way);
    pack_u32(&p, round->number);
    pack_u32(&p, (uint32_t)round->signature_len);
    pack_bytes(&p, round->signature, round->signature_len);
    pack_u32(&p, round->part_count);
    pack_bytes(&p, round->parts.bytes, round->parts.len);
    if (!p.failed)
        all->send(all->ctx, node, p.bytes, p.len);
    free(p.bytes);
}

/* All is here: hand it down, and to whoever waits. */
static int finish(struct collectives *all, struct round *round,
                  struct ct_error *reterr)
{
    CT_AUTO_FREE struct collective_part *parts =
        calloc(round->part_count + 1, sizeof *parts);

    if (parts == NULL || round->parts.failed)
        return ct_fail_nomem(reterr);
    if (unpack_parts(&round->parts, parts, round->part_count) < 0 ||
        round->part_count != round->count)
        return ct_fail(reterr, EPROTO, "parts of a collective that do not fit");
    for (unsigned i = 0; i < child_count(round); i++)
        send_parts(all, round, DOWN,
                   round->nodes[round->place * RADIX + 1 + i]);
    qsort(parts, round->part_count, sizeof *parts, by_node);
    round->done(round->ctx, parts, round->part_count);
    remove_round(all, round);
    return 0;
}

static int advance(struct collectives *all, struct round *round,
                   struct ct_error *reterr)
{
    if (!round->begun || round->children_heard < child_count(round))
        return 0;
    if (round->parts.failed)
        return ct_fail_nomem(reterr);
    if (round->place == 0)
        return finish(all, round, reterr);
    send_parts(all, round, UP, round->nodes[(round->place - 1) / RADIX]);
    return 0;
}

/* ---- for users ---- */

struct collectives *collectives_create(unsigned self,
                                       void (*send)(void *ctx, unsigned node,
                                                    const void *bytes,
                                                    size_t len),
                                       void *ctx)
{
    struct collectives *all = calloc(1, sizeof *all);

    if (all != NULL) {
        all->self = self;
        all->send = send;
        all->ctx = ctx;
    }
    return all;
}

void collectives_free(struct collectives *all)
{
    struct counter *counter;

    if (all == NULL)
        return;
    while (all->rounds != NULL)
        remove_round(all, all->rounds);
    while ((counter = all->counters) != NULL) {
        all->counters = counter->next;
        free(counter->signature);
        free(counter);
    }
    free(all);
}

static void pack_signature(struct pack *p, const char *name,
                           const unsigned *nodes, unsigned count)
{
    pack_str(p, name);
    pack_bytes(p, nodes, count * sizeof *nodes);
}

static unsigned find_place(const unsigned *nodes, unsigned count, unsigned self)
{
    unsigned place = 0;

    while (place < count && nodes[place] != self)
        place++;
    return place;
}

static int join_round(struct collectives *all, struct round *round,
                      const unsigned *nodes, unsigned count, const void *bytes,
                      size_t len)
{
    round->nodes = malloc(count * sizeof *nodes);
    if (round->nodes == NULL)
        return -1;
    memcpy(round->nodes, nodes, count * sizeof *nodes);
    round->count = count;
    round->place = find_place(nodes, count, all->self);
    round->begun = true;
    pack_part(&round->parts, all->self, bytes, len);
    round->part_count++;
    return round->parts.failed ? -1 : 0;
}

int collectives_begin(struct collectives *all, const char *name,
                      const unsigned *nodes, unsigned count, const void *bytes,
                      size_t len, collective_done *done, void *ctx,
                      struct ct_error *reterr)
{
    struct pack signature = {0};
    struct round *round = NULL;
    long number = -1;

    pack_signature(&signature, name, nodes, count);
    if (!signature.failed)
        number = count_up(all, signature.bytes, signature.len);
    if (number >= 0)
        round =
            get_round(all, signature.bytes, signature.len, (uint32_t)number);
    free(signature.bytes);
    if (round == NULL || join_round(all, round, nodes, count, bytes, len) < 0)
        return ct_fail_nomem(reterr);
    round->done = done;
    round->ctx = ctx;
    return advance(all, round, reterr);
}

static int take_up(struct collectives *all, struct round *round,
                   struct unpack *u, struct ct_error *reterr)
{
    round->part_count += unpack_u32(u);
    round->children_heard++;
    pack_bytes(&round->parts, u->bytes + u->at, u->len - u->at);
    return advance(all, round, reterr);
}

static int take_down(struct collectives *all, struct round *round,
                     struct unpack *u, struct ct_error *reterr)
{
    if (!round->begun || round->place == 0)
        return ct_fail(reterr, EPROTO, "an answer to what was not asked");
    round->part_count = unpack_u32(u);
    round->parts.len = 0;
    pack_bytes(&round->parts, u->bytes + u->at, u->len - u->at);
    return finish(all, round, reterr);
}

int collectives_receive(struct collectives *all, unsigned from,
                        const void *bytes, size_t len, struct ct_error *reterr)
{
    struct unpack u = {.bytes = bytes, .len = len};
    uint32_t way = unpack_u32(&u);
    uint32_t number = unpack_u32(&u);
    size_t signature_len = unpack_u32(&u);
    const void *signature = unpack_bytes(&u, signature_len);
    struct round *round;

    (void)from;
    if (u.failed || u.len - u.at < sizeof(uint32_t) ||
        (way != UP && way != DOWN))
        return ct_fail(reterr, EPROTO, "a collective that makes no sense");
    round = get_round(all, signature, signature_len, number);
    if (round == NULL)
        return ct_fail_nomem(reterr);
    return way == UP ? take_up(all, round, &u, reterr)
                     : take_down(all, round, &u, reterr);
}
