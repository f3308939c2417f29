/*
 * A group is a name and its nodes; their places in it make the tree. Its
 * signature, both as one string of bytes, comes with every message. Its rounds
 * are counted.
 *
 * Contributions are kept as they came, packed one after the other: a node adds
 * its own to its children's and sends all of it to its parent; the first node
 * sends all of everybody's down. A message is checked as a whole before
 * anything of it is kept: that it comes from a child or the parent, not twice,
 * and has one part of each node that it should have.
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

enum { RADIX = 4, UP = 1, DOWN = 2, ROUNDS_MAX = 4096, NOWHERE = -1 };

struct round {
    struct round *next;
    uint32_t number;

    struct pack parts; /* packed contributions */
    unsigned part_count;
    bool heard[RADIX]; /* which children */

    bool begun; /* here */
    bool sent;  /* to the parent */
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

/* ---- messages ---- */

static int pack_message(const struct group *group, const struct round *round,
                        uint32_t way, struct pack *ret, struct ct_error *reterr)
{
    pack_u32(ret, way);
    pack_u32(ret, round->number);
    pack_u32(ret, (uint32_t)group->signature_len);
    pack_bytes(ret, group->signature, group->signature_len);
    pack_u32(ret, round->part_count);
    pack_bytes(ret, round->parts.bytes, round->parts.len);
    if (ret->failed)
        return ct_fail_nomem(reterr);
    if (ret->len > FRAME_BODY_MAX)
        return ct_fail(reterr, EMSGSIZE, "a collective of %zu bytes", ret->len);
    return 0;
}

/*
 * All is here, as `message` for those below: tell them, then whoever waits, who
 * may begin another one.
 */
static void finish(struct collectives *all, struct group *group,
                   struct round *round, struct ct_span message,
                   const struct collective_part *parts)
{
    collective_done *done = round->done;
    void *ctx = round->ctx;
    char *kept = round->parts.bytes; /* parts may look at it */

    for (unsigned i = 0; i < child_count(group); i++)
        all->send(all->ctx, group->nodes[first_child(group) + i], message.ptr,
                  message.len);
    round->parts.bytes = NULL;
    remove_round(all, group, round);
    done(ctx, parts, group->count);
    free(kept);
}

static int finish_first(struct collectives *all, struct group *group,
                        struct round *round, struct ct_span message,
                        struct ct_error *reterr)
{
    CT_AUTO_FREE struct collective_part *parts =
        read_parts(group, 0, round->parts.bytes, round->parts.len,
                   round->part_count, reterr);

    if (parts == NULL)
        return -1;
    finish(all, group, round, message, parts);
    return 0;
}

static bool is_ready(const struct group *group, const struct round *round)
{
    for (unsigned i = 0; i < child_count(group); i++)
        if (!round->heard[i])
            return false;
    return round->begun;
}

/* All of it comes back. */
static void send_up(const struct collectives *all, const struct group *group,
                    struct round *round, const struct pack *message)
{
    round->sent = true;
    free(round->parts.bytes);
    round->parts = (struct pack){0};
    all->send(all->ctx, parent_node(group), message->bytes, message->len);
}

static int advance(struct collectives *all, struct group *group,
                   struct round *round, struct ct_error *reterr)
{
    struct pack message = {0};
    bool first = group->place == 0;
    int rc;

    if (!is_ready(group, round))
        return 0;
    rc = pack_message(group, round, first ? DOWN : UP, &message, reterr);
    if (rc == 0 && first)
        rc = finish_first(all, group, round,
                          ct_span(message.bytes, message.len), reterr);
    else if (rc == 0)
        send_up(all, group, round, &message);
    free(message.bytes);
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
    pack_u32(&round->parts, self);
    pack_u32(&round->parts, (uint32_t)len);
    pack_bytes(&round->parts, bytes, len);
    round->part_count++;
    return round->parts.failed ? ct_fail_nomem(reterr) : 0;
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
    uint32_t way, number;
    unsigned part_count;
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
    ret->part_count = unpack_u32(&u);
    if (u.failed || size == 0 || (ret->way != UP && ret->way != DOWN))
        return -1;
    ret->parts = ct_span(u.bytes + u.at, u.len - u.at);
    return 0;
}

static int keep_parts(struct collectives *all, struct group *group,
                      const struct message *m, unsigned child,
                      struct ct_error *reterr)
{
    struct round *round = get_round(all, group, m->number, reterr);

    if (round == NULL)
        return -1;
    pack_bytes(&round->parts, m->parts.ptr, m->parts.len);
    round->part_count += m->part_count;
    if (round->parts.failed)
        return ct_fail_nomem(reterr);
    round->heard[child] = true;
    return advance(all, group, round, reterr);
}

static int take_up(struct collectives *all, struct group *group, unsigned from,
                   const struct message *m, struct ct_error *reterr)
{
    const struct round *round = find_round(group, m->number);
    long place = find_place(group->nodes, group->count, from);
    unsigned child = (unsigned)place - first_child(group);
    struct collective_part *parts;

    if (place == NOWHERE || child >= child_count(group))
        return refuse(reterr, "not from a child");
    if (round != NULL ? round->heard[child]
                      : m->number - group->begun >= ROUNDS_MAX)
        return refuse(reterr, "not its turn");
    parts = read_parts(group, (unsigned)place, m->parts.ptr, m->parts.len,
                       m->part_count, reterr);
    free(parts);
    return parts == NULL ? -1 : keep_parts(all, group, m, child, reterr);
}

/* It is for our children as it is. */
static int take_down(struct collectives *all, struct group *group,
                     unsigned from, const struct message *m,
                     struct ct_error *reterr)
{
    struct round *round = find_round(group, m->number);
    CT_AUTO_FREE struct collective_part *parts = NULL;

    if (group->place == 0 || from != parent_node(group))
        return refuse(reterr, "not from the parent");
    if (round == NULL || !round->sent)
        return refuse(reterr, "an answer to what was not asked");
    parts =
        read_parts(group, 0, m->parts.ptr, m->parts.len, m->part_count, reterr);
    if (parts == NULL)
        return -1;
    finish(all, group, round, m->whole, parts);
    return 0;
}

/* A group that is new to us is kept only when the message is good. */
int collectives_receive(struct collectives *all, unsigned from,
                        const void *bytes, size_t len, struct ct_error *reterr)
{
    struct message m;
    struct group *group, *created = NULL;
    int rc;

    if (read_message(bytes, len, &m) < 0)
        return refuse(reterr, "no message");
    group = find_group(all, m.signature.ptr, m.signature.len);
    if (group == NULL) {
        group = created =
            group_create(all, m.signature.ptr, m.signature.len, reterr);
        if (group == NULL)
            return -1;
    }
    rc = m.way == UP ? take_up(all, group, from, &m, reterr)
                     : take_down(all, group, from, &m, reterr);
    if (created != NULL && created->rounds != NULL)
        put_first(all, created);
    else
        group_free(created);
    return rc;
}
