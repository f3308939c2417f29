/*
 * A group is a name and its nodes; their places in it make the tree. Its
 * signature, both as one string of bytes, comes with every message. Its rounds
 * are counted.
 *
 * Contributions are kept as they came, packed one after the other: a node adds
 * its own to its children's and sends all of it to its parent (UP); the first
 * node sends all of everybody's down (DOWN).
 *
 * So the first node sends everything as often as it has children, and a tree
 * deeper than that makes everybody wait for it at each level. What is larger
 * than COLLECTIVE_SMALL all together goes another way, and the messages
 * themselves say so, for no node knows what others give. A node that has more
 * than that from itself and below tells its parent how much it is (SIZE), no
 * more. The first node hears of everything before it answers: DOWN when it has
 * all, or else EXCHANGE, down the same tree. That is the one place where it is
 * decided, and by then all have begun. Small data goes as it would without
 * this.
 *
 * The exchange is Bruck's all-gather. The places are a ring. In step s each
 * place passes on, to the one 2^s before it, its own part and those after it
 * that it holds (PASS): 2^s parts, or in the last step as many as the other
 * lacks, so that after ceil(log2 N) steps, for any N, all have all, and each
 * has received every part once. A PASS comes from another node than EXCHANGE
 * does, so it may be early, by its step or by all of the exchange; but not
 * before we have told our parent that we and all below us have begun. Whoever
 * is done has received all that is for it and has sent all that others wait
 * for: it may leave. Of a node that dies meanwhile the overlay tells; here
 * nothing comes any more.
 *
 * A message is checked as a whole before anything of it is kept: that it comes
 * from whom it should, not twice, and has one part of each node that it should
 * have.
 */
#include "overlay/collective.h"

#include "base/pack.h"
#include "base/scope.h"
#include "base/span.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RADIX = 4, ROUNDS_MAX = 4096, NOWHERE = -1 };
enum { PART_HEAD = 2 * sizeof(uint32_t) };
enum way { UP = 1, DOWN, SIZE, EXCHANGE, PASS };

/* What was passed to us and is not its turn yet. */
struct pass {
    struct pass *next;
    unsigned step;
    size_t len;
    char parts[];
};

struct round {
    struct round *next;
    uint32_t number;

    struct pack own; /* our contribution, packed */
    /* Those from below; in an exchange ours, and those after us in the ring. */
    struct pack parts;
    unsigned part_count;
    size_t size;       /* of ours and all below, the heads not counted */
    bool heard[RADIX]; /* which children */

    bool begun;      /* here */
    bool sent;       /* to the parent; of the first: EXCHANGE */
    bool exchanging; /* we have passed on our share of `step` */
    unsigned step;
    struct pass *early;
    size_t held; /* as size, of ours and what was passed to us */

    collective_done *done;
    void *ctx;
};

struct group {
    struct group *next;
    char *signature; /* count, nodes, name */
    size_t signature_len;
    const unsigned *nodes; /* in the signature */
    unsigned count, place; /* ours among them */
    uint32_t begun;        /* rounds, here */
    struct round *rounds;
};

struct collectives {
    unsigned self;
    void (*send)(void *ctx, unsigned node, const void *bytes, size_t len);
    void *ctx;
    struct group *groups; /* the one used last comes first */
    unsigned round_count;
};

static int refuse(struct ct_error *reterr, const char *what)
{
    return ct_fail(reterr, EPROTO, "a collective that makes no sense: %s",
                   what);
}

/* ---- the tree ---- */

/* The place of a node among nodes, or NOWHERE. */
static long find_place(const unsigned *nodes, unsigned count, unsigned node)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (nodes[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && nodes[low] == node ? (long)low : NOWHERE;
}

static unsigned first_child(const struct group *group)
{
    return group->place * RADIX + 1;
}

static unsigned child_count(const struct group *group)
{
    unsigned first = first_child(group);

    if (first >= group->count)
        return 0;
    return group->count - first < RADIX ? group->count - first : RADIX;
}

static bool is_below(unsigned place, unsigned top)
{
    while (place > top)
        place = (place - 1) / RADIX;
    return place == top;
}

/* How many are at `top` and below. */
static unsigned subtree_size(unsigned top, unsigned count)
{
    unsigned size = 0;

    for (size_t first = top, wide = 1; first < count;
         first = first * RADIX + 1, wide *= RADIX)
        size += count - first < wide ? count - (unsigned)first : (unsigned)wide;
    return size;
}

static unsigned parent_node(const struct group *group)
{
    return group->nodes[(group->place - 1) / RADIX];
}

/* ---- the ring ---- */

static unsigned step_count(unsigned count)
{
    unsigned steps = 0;

    while (count > 1U << steps)
        steps++;
    return steps;
}

/* How many parts are passed on in a step. */
static unsigned step_width(unsigned count, unsigned step)
{
    unsigned held = 1U << step;

    return count - held < held ? count - held : held;
}

/* The place that passes on to us. */
static unsigned step_source(const struct group *group, unsigned step)
{
    return (group->place + (1U << step)) % group->count;
}

static unsigned step_target(const struct group *group, unsigned step)
{
    return (group->place + group->count - (1U << step)) % group->count;
}

/* ---- groups ---- */

static int pack_signature(struct pack *p, const char *name,
                          const unsigned *nodes, unsigned count)
{
    pack_u32(p, count);
    pack_bytes(p, nodes, count * sizeof *nodes);
    pack_bytes(p, name, strlen(name));
    return p->failed ? -1 : 0;
}

static bool is_ascending(const unsigned *nodes, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (nodes[i - 1] >= nodes[i])
            return false;
    return count > 0;
}

/* The group's view of its own signature. -1: it is none that has us. */
static int read_signature(struct group *group, unsigned self)
{
    struct unpack u = {.bytes = group->signature, .len = group->signature_len};
    long place;

    group->count = unpack_u32(&u);
    if (u.failed || group->count > (u.len - u.at) / sizeof *group->nodes)
        return -1;
    group->nodes = unpack_bytes(&u, group->count * sizeof *group->nodes);
    if (!is_ascending(group->nodes, group->count))
        return -1;
    place = find_place(group->nodes, group->count, self);
    group->place = (unsigned)place;
    return place == NOWHERE ? -1 : 0;
}

static void group_free(struct group *group)
{
    if (group != NULL)
        free(group->signature);
    free(group);
}

static struct group *group_create(const struct collectives *all,
                                  const void *signature, size_t len,
                                  struct ct_error *reterr)
{
    struct group *group = calloc(1, sizeof *group);

    if (group == NULL || (group->signature = malloc(len)) == NULL) {
        group_free(group);
        ct_fail_nomem(reterr);
        return NULL;
    }
    memcpy(group->signature, signature, len);
    group->signature_len = len;
    if (read_signature(group, all->self) < 0) {
        group_free(group);
        ct_fail(reterr, EINVAL, "a collective of no nodes, or without us");
        return NULL;
    }
    return group;
}

static void put_first(struct collectives *all, struct group *group)
{
    group->next = all->groups;
    all->groups = group;
}

static struct group *find_group(struct collectives *all, const void *signature,
                                size_t len)
{
    struct group **at = &all->groups, *group;

    while (*at != NULL && ((*at)->signature_len != len ||
                           memcmp((*at)->signature, signature, len) != 0))
        at = &(*at)->next;
    group = *at;
    if (group != NULL) {
        *at = group->next;
        put_first(all, group);
    }
    return group;
}

/* ---- rounds ---- */

static struct round *find_round(const struct group *group, uint32_t number)
{
    struct round *round = group->rounds;

    while (round != NULL && round->number != number)
        round = round->next;
    return round;
}

static struct round *add_round(struct collectives *all, struct group *group,
                               uint32_t number)
{
    struct round *round = calloc(1, sizeof *round);

    if (round == NULL)
        return NULL;
    round->number = number;
    round->next = group->rounds;
    group->rounds = round;
    all->round_count++;
    return round;
}

static void remove_round(struct collectives *all, struct group *group,
                         struct round *round)
{
    struct round **at = &group->rounds;

    while (*at != round)
        at = &(*at)->next;
    *at = round->next;
    all->round_count--;
    while (round->early != NULL) {
        struct pass *pass = round->early;

        round->early = pass->next;
        free(pass);
    }
    free(round->own.bytes);
    free(round->parts.bytes);
    free(round);
}

static struct round *get_round(struct collectives *all, struct group *group,
                               uint32_t number, struct ct_error *reterr)
{
    struct round *round = find_round(group, number);

    if (round != NULL)
        return round;
    if (all->round_count >= ROUNDS_MAX) {
        ct_fail(reterr, EAGAIN, "%u collectives are under way", ROUNDS_MAX);
        return NULL;
    }
    round = add_round(all, group, number);
    if (round == NULL)
        ct_fail_nomem(reterr);
    return round;
}

/* ---- parts ---- */

/*
 * What is packed in len bytes, by place; places without a part keep bytes NULL.
 * -1: not parts of nodes of the group, or two of one.
 */
static int unpack_parts(const struct group *group, const void *bytes,
                        size_t len, unsigned count, struct collective_part *ret)
{
    struct unpack u = {.bytes = bytes, .len = len};

    for (unsigned i = 0; i < count && !u.failed; i++) {
        unsigned node = unpack_u32(&u);
        size_t size = unpack_u32(&u);
        const void *part = unpack_bytes(&u, size);
        long place = find_place(group->nodes, group->count, node);

        if (part == NULL || place == NOWHERE || ret[place].bytes != NULL)
            return -1;
        ret[place] = (struct collective_part){node, part, size};
    }
    return u.failed || u.at != u.len ? -1 : 0;
}

static bool all_are_below(const struct group *group,
                          const struct collective_part *parts, unsigned top)
{
    for (unsigned place = 0; place < group->count; place++)
        if (parts[place].bytes != NULL && !is_below(place, top))
            return false;
    return true;
}

/* Exactly the parts of `top` and of all below it: to free(); or NULL. */
static struct collective_part *read_parts(const struct group *group,
                                          unsigned top, const void *bytes,
                                          size_t len, unsigned count,
                                          struct ct_error *reterr)
{
    struct collective_part *parts = calloc(group->count, sizeof *parts);

    if (parts == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    if (count != subtree_size(top, group->count) ||
        unpack_parts(group, bytes, len, count, parts) < 0 ||
        !all_are_below(group, parts, top)) {
        free(parts);
        refuse(reterr, "its parts do not fit");
        return NULL;
    }
    return parts;
}

/* The first `count` of packed parts that are known to be whole. */
static size_t prefix_len(const struct pack *parts, unsigned count)
{
    struct unpack u = {.bytes = parts->bytes, .len = parts->len};

    for (unsigned i = 0; i < count; i++) {
        unpack_u32(&u);
        unpack_bytes(&u, unpack_u32(&u));
    }
    return u.at;
}

/* Exactly the parts of so many places from `first` on, in this order? */
static bool are_in_ring(const struct group *group, struct ct_span parts,
                        unsigned first, unsigned width)
{
    struct unpack u = {.bytes = parts.ptr, .len = parts.len};

    for (unsigned i = 0; i < width; i++) {
        unsigned node = unpack_u32(&u);

        unpack_bytes(&u, unpack_u32(&u));
        if (u.failed || node != group->nodes[(first + i) % group->count])
            return false;
    }
    return u.at == u.len;
}

static bool is_large(const struct round *round)
{
    return round->size > COLLECTIVE_SMALL;
}

/* 0; or -1: all together they are too many. */
static int add_size(struct round *round, size_t size, struct ct_error *reterr)
{
    if (size > FRAME_BODY_MAX - round->size)
        return ct_fail(reterr, EMSGSIZE, "a collective of more than %d bytes",
                       FRAME_BODY_MAX);
    round->size += size;
    if (is_large(round)) { /* these would not be sent */
        free(round->parts.bytes);
        round->parts = (struct pack){0};
    }
    return 0;
}

/* ---- messages ---- */

/* `word`: of UP and DOWN the number of parts, of SIZE it, of PASS the step. */
static int pack_message(const struct group *group, const struct round *round,
                        enum way way, size_t word, struct ct_span parts,
                        struct pack *ret, struct ct_error *reterr)
{
    pack_u32(ret, way);
    pack_u32(ret, round->number);
    pack_u32(ret, (uint32_t)group->signature_len);
    pack_bytes(ret, group->signature, group->signature_len);
    pack_u32(ret, (uint32_t)word);
    if (way == UP || way == DOWN)
        pack_bytes(ret, round->own.bytes, round->own.len);
    pack_bytes(ret, parts.ptr, parts.len);
    if (ret->failed)
        return ct_fail_nomem(reterr);
    if (ret->len > FRAME_BODY_MAX)
        return ct_fail(reterr, EMSGSIZE, "a collective of %zu bytes", ret->len);
    return 0;
}

static void send_down(const struct collectives *all, const struct group *group,
                      struct ct_span message)
{
    for (unsigned i = 0; i < child_count(group); i++)
        all->send(all->ctx, group->nodes[first_child(group) + i], message.ptr,
                  message.len);
}

/* All is here: tell whoever waits, who may begin another one. */
static void finish(struct collectives *all, struct group *group,
                   struct round *round, const struct collective_part *parts)
{
    collective_done *done = round->done;
    void *ctx = round->ctx;
    char *kept = round->parts.bytes; /* parts may look at it */

    round->parts.bytes = NULL;
    remove_round(all, group, round);
    done(ctx, parts, group->count);
    free(kept);
}

/* ---- the exchange ---- */

static int pass_on(const struct collectives *all, const struct group *group,
                   const struct round *round, struct ct_error *reterr)
{
    unsigned width = step_width(group->count, round->step);
    struct ct_span parts =
        ct_span(round->parts.bytes, prefix_len(&round->parts, width));
    struct pack message = {0};
    int rc =
        pack_message(group, round, PASS, round->step, parts, &message, reterr);

    if (rc == 0)
        all->send(all->ctx, group->nodes[step_target(group, round->step)],
                  message.bytes, message.len);
    free(message.bytes);
    return rc;
}

/* What was passed to us in the step that we are in leads to the next. */
static int add_passed(const struct collectives *all, const struct group *group,
                      struct round *round, struct ct_span parts,
                      struct ct_error *reterr)
{
    pack_bytes(&round->parts, parts.ptr, parts.len);
    if (round->parts.failed)
        return ct_fail_nomem(reterr);
    round->step++;
    return round->step < step_count(group->count)
               ? pass_on(all, group, round, reterr)
               : 0;
}

/* Where it is, or the end of them. */
static struct pass **find_early(struct round *round, unsigned step)
{
    struct pass **at = &round->early;

    while (*at != NULL && (*at)->step != step)
        at = &(*at)->next;
    return at;
}

static int keep_early(struct round *round, unsigned step, struct ct_span parts,
                      struct ct_error *reterr)
{
    struct pass *pass = malloc(sizeof *pass + parts.len);

    if (pass == NULL)
        return ct_fail_nomem(reterr);
    *pass = (struct pass){round->early, step, parts.len};
    memcpy(pass->parts, parts.ptr, parts.len);
    round->early = pass;
    return 0;
}

static int add_early(const struct collectives *all, const struct group *group,
                     struct round *round, struct ct_error *reterr)
{
    struct pass **at = find_early(round, round->step), *pass = *at;
    int rc;

    *at = pass->next;
    rc = add_passed(all, group, round, ct_span(pass->parts, pass->len), reterr);
    free(pass);
    return rc;
}

static int finish_exchange(struct collectives *all, struct group *group,
                           struct round *round, struct ct_error *reterr)
{
    CT_AUTO_FREE struct collective_part *parts = read_parts(
        group, 0, round->parts.bytes, round->parts.len, group->count, reterr);

    if (parts == NULL)
        return -1;
    finish(all, group, round, parts);
    return 0;
}

static int catch_up(struct collectives *all, struct group *group,
                    struct round *round, struct ct_error *reterr)
{
    while (*find_early(round, round->step) != NULL)
        if (add_early(all, group, round, reterr) < 0)
            return -1;
    return round->step < step_count(group->count)
               ? 0
               : finish_exchange(all, group, round, reterr);
}

/* There are others: one node alone has nothing to exchange. */
static int begin_exchange(struct collectives *all, struct group *group,
                          struct round *round, struct ct_span message,
                          struct ct_error *reterr)
{
    send_down(all, group, message);
    free(round->parts.bytes);
    round->parts = round->own;
    round->own = (struct pack){0};
    round->sent = round->exchanging = true;
    if (pass_on(all, group, round, reterr) < 0)
        return -1;
    return catch_up(all, group, round, reterr);
}

/* ---- up the tree, and the answer ---- */

static bool is_ready(const struct group *group, const struct round *round)
{
    for (unsigned i = 0; i < child_count(group); i++)
        if (!round->heard[i])
            return false;
    return round->begun;
}

/* If it is not to be exchanged, all of it comes back. */
static void send_up(const struct collectives *all, const struct group *group,
                    struct round *round, struct ct_span message)
{
    round->sent = true;
    free(round->parts.bytes);
    round->parts = (struct pack){0};
    all->send(all->ctx, parent_node(group), message.ptr, message.len);
}

static int finish_first(struct collectives *all, struct group *group,
                        struct round *round, struct ct_span message,
                        struct ct_error *reterr)
{
    size_t len = round->own.len + round->parts.len;
    CT_AUTO_FREE struct collective_part *parts =
        read_parts(group, 0, message.ptr + (message.len - len), len,
                   round->part_count, reterr);

    if (parts == NULL)
        return -1;
    send_down(all, group, message);
    finish(all, group, round, parts);
    return 0;
}

static enum way way_on(const struct group *group, const struct round *round)
{
    if (group->place > 0)
        return is_large(round) ? SIZE : UP;
    return is_large(round) && group->count > 1 ? EXCHANGE : DOWN;
}

static size_t word_of(const struct round *round, enum way way)
{
    if (way == EXCHANGE)
        return 0;
    return way == SIZE ? round->size : round->part_count;
}

static int advance(struct collectives *all, struct group *group,
                   struct round *round, struct ct_error *reterr)
{
    enum way way = way_on(group, round);
    struct pack p = {0};
    struct ct_span message;
    int rc;

    if (!is_ready(group, round))
        return 0;
    rc =
        pack_message(group, round, way, word_of(round, way),
                     ct_span(round->parts.bytes, round->parts.len), &p, reterr);
    message = ct_span(p.bytes, p.len);
    if (rc == 0 && way == DOWN)
        rc = finish_first(all, group, round, message, reterr);
    else if (rc == 0 && way == EXCHANGE)
        rc = begin_exchange(all, group, round, message, reterr);
    else if (rc == 0)
        send_up(all, group, round, message);
    free(p.bytes);
    return rc;
}

/* ---- life ---- */

struct collectives *collectives_create(unsigned self,
                                       void (*send)(void *ctx, unsigned node,
                                                    const void *bytes,
                                                    size_t len),
                                       void *ctx)
{
    struct collectives *all = calloc(1, sizeof *all);

    if (all != NULL)
        *all = (struct collectives){.self = self, .send = send, .ctx = ctx};
    return all;
}

void collectives_free(struct collectives *all)
{
    struct group *group;

    if (all == NULL)
        return;
    while ((group = all->groups) != NULL) {
        while (group->rounds != NULL)
            remove_round(all, group, group->rounds);
        all->groups = group->next;
        group_free(group);
    }
    free(all);
}

/* ---- taking part ---- */

static struct group *get_group(struct collectives *all, const char *name,
                               const unsigned *nodes, unsigned count,
                               struct ct_error *reterr)
{
    struct pack signature = {0};
    struct group *group = NULL;

    if (pack_signature(&signature, name, nodes, count) < 0) {
        ct_fail_nomem(reterr);
    } else {
        group = find_group(all, signature.bytes, signature.len);
        if (group == NULL) {
            group = group_create(all, signature.bytes, signature.len, reterr);
            if (group != NULL)
                put_first(all, group);
        }
    }
    free(signature.bytes);
    return group;
}

static int add_own_part(struct round *round, unsigned self, const void *bytes,
                        size_t len, struct ct_error *reterr)
{
    pack_u32(&round->own, self);
    pack_u32(&round->own, (uint32_t)len);
    pack_bytes(&round->own, bytes, len);
    if (round->own.failed)
        return ct_fail_nomem(reterr);
    round->part_count++;
    round->held = len;
    return add_size(round, len, reterr);
}

int collectives_begin(struct collectives *all, const char *name,
                      const unsigned *nodes, unsigned count, const void *bytes,
                      size_t len, collective_done *done, void *ctx,
                      struct ct_error *reterr)
{
    struct group *group;
    struct round *round;

    if (len > FRAME_BODY_MAX)
        return ct_fail(reterr, EMSGSIZE, "a part of %zu bytes", len);
    group = get_group(all, name, nodes, count, reterr);
    if (group == NULL)
        return -1;
    round = get_round(all, group, group->begun, reterr);
    if (round == NULL)
        return -1;
    group->begun++;
    round->begun = true;
    round->done = done;
    round->ctx = ctx;
    if (add_own_part(round, all->self, bytes, len, reterr) == 0 &&
        advance(all, group, round, reterr) == 0)
        return 0;
    remove_round(all, group, round);
    return -1;
}

/* ---- what others say ---- */

struct message {
    struct ct_span whole, signature, parts;
    uint32_t way, number, word;
};

static int read_message(const void *bytes, size_t len, struct message *ret)
{
    struct unpack u = {.bytes = bytes, .len = len};
    size_t size;

    ret->whole = ct_span(bytes, len);
    ret->way = unpack_u32(&u);
    ret->number = unpack_u32(&u);
    size = unpack_u32(&u);
    ret->signature = ct_span(unpack_bytes(&u, size), size);
    ret->word = unpack_u32(&u);
    if (u.failed || size == 0)
        return -1;
    ret->parts = ct_span(u.bytes + u.at, u.len - u.at);
    return 0;
}

/*
 * The size of what a child tells us, or -1. Whoever has more than a little says
 * only how much.
 */
static int read_size(const struct group *group, unsigned child,
                     const struct message *m, size_t *ret,
                     struct ct_error *reterr)
{
    unsigned place = first_child(group) + child;
    struct collective_part *parts;

    if (m->way == SIZE) {
        *ret = m->word;
        return m->parts.len == 0 && m->word > COLLECTIVE_SMALL &&
                       m->word <= FRAME_BODY_MAX
                   ? 0
                   : refuse(reterr, "a size that may not be");
    }
    parts =
        read_parts(group, place, m->parts.ptr, m->parts.len, m->word, reterr);
    free(parts);
    if (parts == NULL)
        return -1;
    *ret = m->parts.len - (size_t)m->word * PART_HEAD;
    return *ret <= COLLECTIVE_SMALL ? 0 : refuse(reterr, "its parts are large");
}

static int keep_parts(struct collectives *all, struct group *group,
                      const struct message *m, unsigned child, size_t size,
                      struct ct_error *reterr)
{
    struct round *round = get_round(all, group, m->number, reterr);

    if (round == NULL || add_size(round, size, reterr) < 0)
        return -1;
    if (!is_large(round))
        pack_bytes(&round->parts, m->parts.ptr, m->parts.len);
    if (round->parts.failed)
        return ct_fail_nomem(reterr);
    round->part_count += m->way == UP ? m->word : 0;
    round->heard[child] = true;
    return advance(all, group, round, reterr);
}

static int take_up(struct collectives *all, struct group *group, unsigned from,
                   const struct message *m, struct ct_error *reterr)
{
    const struct round *round = find_round(group, m->number);
    long place = find_place(group->nodes, group->count, from);
    unsigned child = (unsigned)place - first_child(group);
    size_t size;

    if (place == NOWHERE || child >= child_count(group))
        return refuse(reterr, "not from a child");
    if (round != NULL ? round->heard[child]
                      : m->number - group->begun >= ROUNDS_MAX)
        return refuse(reterr, "not its turn");
    if (read_size(group, child, m, &size, reterr) < 0)
        return -1;
    return keep_parts(all, group, m, child, size, reterr);
}

/* The round that the parent may answer, or NULL. */
static struct round *find_asked(struct group *group, unsigned from,
                                const struct message *m,
                                struct ct_error *reterr)
{
    struct round *round = find_round(group, m->number);

    if (group->place == 0 || from != parent_node(group)) {
        refuse(reterr, "not from the parent");
        return NULL;
    }
    if (round == NULL || !round->sent || round->exchanging) {
        refuse(reterr, "an answer to what was not asked");
        return NULL;
    }
    return round;
}

/* It is for our children as it is. */
static int take_down(struct collectives *all, struct group *group,
                     unsigned from, const struct message *m,
                     struct ct_error *reterr)
{
    struct round *round = find_asked(group, from, m, reterr);
    CT_AUTO_FREE struct collective_part *parts = NULL;

    if (round == NULL)
        return -1;
    parts = read_parts(group, 0, m->parts.ptr, m->parts.len, m->word, reterr);
    if (parts == NULL)
        return -1;
    send_down(all, group, m->whole);
    finish(all, group, round, parts);
    return 0;
}

/* So is this. */
static int take_exchange(struct collectives *all, struct group *group,
                         unsigned from, const struct message *m,
                         struct ct_error *reterr)
{
    struct round *round = find_asked(group, from, m, reterr);

    if (round == NULL)
        return -1;
    if (m->word != 0 || m->parts.len != 0)
        return refuse(reterr, "an exchange that says more");
    return begin_exchange(all, group, round, m->whole, reterr);
}

static int check_passed(const struct group *group, unsigned from,
                        const struct message *m, struct ct_error *reterr)
{
    unsigned step = m->word, source;

    if (step >= step_count(group->count))
        return refuse(reterr, "a step too many");
    source = step_source(group, step);
    if (group->nodes[source] != from)
        return refuse(reterr, "not from whom it should be");
    if (!are_in_ring(group, m->parts, source, step_width(group->count, step)))
        return refuse(reterr, "its parts do not fit");
    return 0;
}

static int keep_passed(struct collectives *all, struct group *group,
                       struct round *round, const struct message *m,
                       struct ct_error *reterr)
{
    if (!round->exchanging || m->word != round->step)
        return keep_early(round, m->word, m->parts, reterr);
    if (add_passed(all, group, round, m->parts, reterr) < 0)
        return -1;
    return catch_up(all, group, round, reterr);
}

static int take_pass(struct collectives *all, struct group *group,
                     unsigned from, const struct message *m,
                     struct ct_error *reterr)
{
    struct round *round = find_round(group, m->number);
    size_t size;

    if (check_passed(group, from, m, reterr) < 0)
        return -1;
    if (round == NULL || !round->sent || m->word < round->step ||
        *find_early(round, m->word) != NULL)
        return refuse(reterr, "not its turn");
    size = m->parts.len - (size_t)step_width(group->count, m->word) * PART_HEAD;
    if (size > FRAME_BODY_MAX - round->held)
        return refuse(reterr, "more than there may be");
    round->held += size;
    return keep_passed(all, group, round, m, reterr);
}

typedef int take(struct collectives *all, struct group *group, unsigned from,
                 const struct message *m, struct ct_error *reterr);

static take *const takes[] = {
    [UP] = take_up,     [DOWN] = take_down,
    [SIZE] = take_up,   [EXCHANGE] = take_exchange,
    [PASS] = take_pass,
};

/* A group that is new to us is kept only when the message is good. */
int collectives_receive(struct collectives *all, unsigned from,
                        const void *bytes, size_t len, struct ct_error *reterr)
{
    struct message m;
    struct group *group, *created = NULL;
    int rc;

    if (read_message(bytes, len, &m) < 0)
        return refuse(reterr, "no message");
    if (m.way >= sizeof takes / sizeof *takes || takes[m.way] == NULL)
        return refuse(reterr, "no way");
    group = find_group(all, m.signature.ptr, m.signature.len);
    if (group == NULL) {
        group = created =
            group_create(all, m.signature.ptr, m.signature.len, reterr);
        if (group == NULL)
            return -1;
    }
    rc = takes[m.way](all, group, from, &m, reterr);
    if (created != NULL && created->rounds != NULL)
        put_first(all, created);
    else
        group_free(created);
    return rc;
}
