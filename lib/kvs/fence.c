/*
 * A list of open fences. A job has one open nearly always and few at most
 * (PMI-1.2 groups), so looking for a name walks the list; who has arrived is a
 * byte a rank and a counter, so an arrival costs the same however large the
 * job.
 */
#include "kvs/fence.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum member_state { OUTSIDE, EXPECTED, ARRIVED, EXCUSED };
enum { NAMED = 4 }; /* a mark besides, while names are compared */

struct fence {
    struct fence *next;
    char *name;
    size_t name_len;
    unsigned missing; /* members that have not arrived */
    unsigned waiting; /* members that have */
    unsigned excused; /* members that nobody waits for */
    uint8_t state[];  /* [size] enum member_state */
};

struct fences {
    struct fence *open;
    unsigned size;
    unsigned gone_count;
    uint8_t gone[]; /* [size] enum absence */
};

/* Who can arrive no more. */
enum absence { PRESENT, GONE, FORGIVEN };

struct fences *fences_create(unsigned size)
{
    struct fences *set = calloc(1, sizeof *set + size);

    if (set != NULL)
        set->size = size;
    return set;
}

static void fence_free(struct fence *fence)
{
    free(fence->name);
    free(fence);
}

void fences_destroy(struct fences *set)
{
    if (set == NULL)
        return;
    while (set->open != NULL) {
        struct fence *fence = set->open;
        set->open = fence->next;
        fence_free(fence);
    }
    free(set);
}

/* Mark the members; each stands once however often it is named. */
static int expect(const struct fences *set, struct fence *fence,
                  const unsigned *members, size_t count,
                  struct ct_error *reterr)
{
    for (size_t i = 0; i < count; i++) {
        unsigned rank = members != NULL ? members[i] : (unsigned)i;

        if (rank >= set->size)
            return ct_fail(reterr, EINVAL, "rank %u is not in the job", rank);
        if (fence->state[rank] != OUTSIDE)
            continue;
        if (set->gone[rank] == FORGIVEN) {
            fence->state[rank] = EXCUSED;
            fence->excused++;
        } else {
            fence->state[rank] = EXPECTED;
            fence->missing++;
        }
    }
    return 0;
}

static struct fence *fence_new(const struct fences *set, struct ct_span name,
                               const unsigned *members, size_t count,
                               struct ct_error *reterr)
{
    struct fence *fence = calloc(1, sizeof *fence + set->size);

    if (fence == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    fence->name = ct_span_dup(name);
    fence->name_len = name.len;
    if (fence->name == NULL)
        ct_fail_nomem(reterr);
    else if (expect(set, fence, members, members != NULL ? count : set->size,
                    reterr) == 0)
        return fence;
    fence_free(fence);
    return NULL;
}

/* How many different members are named; 0 when somebody is who is none. */
static size_t count_named(const struct fences *set, struct fence *fence,
                          const unsigned *members, size_t count)
{
    size_t named = 0;
    size_t i = 0;

    for (; i < count; i++) {
        if (members[i] >= set->size || fence->state[members[i]] == OUTSIDE)
            break;
        named += (fence->state[members[i]] & NAMED) == 0;
        fence->state[members[i]] |= NAMED;
    }
    if (i < count)
        named = 0;
    while (i > 0)
        fence->state[members[--i]] &= (uint8_t)~NAMED;
    return named;
}

static bool same_members(const struct fences *set, struct fence *fence,
                         const unsigned *members, size_t count)
{
    size_t total = (size_t)fence->missing + fence->waiting + fence->excused;

    if (members == NULL)
        return total == set->size;
    return count >= total && count_named(set, fence, members, count) == total;
}

static struct fence *find(const struct fences *set, struct ct_span name,
                          const unsigned *members, size_t count)
{
    for (struct fence *fence = set->open; fence != NULL; fence = fence->next)
        if (ct_span_equal(ct_span(fence->name, fence->name_len), name) &&
            same_members(set, fence, members, count))
            return fence;
    return NULL;
}

/* Take it off the list and free it. */
static void forget(struct fences *set, struct fence *fence)
{
    struct fence **link = &set->open;

    while (*link != fence)
        link = &(*link)->next;
    *link = fence->next;
    fence_free(fence);
}

/* A member that is gone, or -1. */
static long lost_member(const struct fences *set, const struct fence *fence)
{
    for (unsigned rank = 0; set->gone_count > 0 && rank < set->size; rank++)
        if (set->gone[rank] == GONE && fence->state[rank] == EXPECTED)
            return rank;
    return -1;
}

/* The fence that is meant, opened if this is its first arrival. */
static struct fence *open_fence(struct fences *set, struct ct_span name,
                                const unsigned *members, size_t count,
                                struct ct_error *reterr)
{
    struct fence *fence = find(set, name, members, count);

    if (fence != NULL)
        return fence;
    fence = fence_new(set, name, members, count, reterr);
    if (fence == NULL)
        return NULL;
    fence->next = set->open;
    set->open = fence;
    return fence;
}

static void arrive(struct fences *set, struct fence *fence, unsigned rank,
                   enum fence_state *ret)
{
    fence->state[rank] = ARRIVED;
    fence->waiting++;
    fence->missing--;
    *ret = fence->missing == 0 ? FENCE_COMPLETE : FENCE_OPEN;
    if (fence->missing == 0)
        forget(set, fence);
}

int fences_arrive(struct fences *set, struct ct_span name,
                  const unsigned *members, size_t count, unsigned rank,
                  enum fence_state *ret, unsigned *ret_lost,
                  struct ct_error *reterr)
{
    struct fence *fence;
    uint8_t state;
    long lost;

    if (rank >= set->size)
        return ct_fail(reterr, EINVAL, "rank %u is not in the job", rank);
    fence = open_fence(set, name, members, count, reterr);
    if (fence == NULL)
        return -1;
    state = fence->state[rank];
    lost = lost_member(set, fence);
    if (state == EXPECTED && lost < 0) {
        arrive(set, fence, rank, ret);
        return 0;
    }
    /* Opened for an arrival that is none. */
    if (fence->waiting == 0)
        forget(set, fence);
    if (state == OUTSIDE)
        return ct_fail(reterr, EINVAL, "rank %u is not a member", rank);
    if (state == ARRIVED || state == EXCUSED)
        return ct_fail(reterr, EALREADY, "it waits in this fence already");
    *ret = FENCE_BROKEN;
    *ret_lost = (unsigned)lost;
    return 0;
}

unsigned fences_leave(struct fences *set, unsigned rank, unsigned *ret_waiting)
{
    unsigned waiting = 0;
    struct fence *next;

    if (rank >= set->size)
        return 0;
    set->gone_count += set->gone[rank] == PRESENT;
    set->gone[rank] = GONE;
    for (struct fence *fence = set->open; fence != NULL; fence = next) {
        next = fence->next;
        if (fence->state[rank] == OUTSIDE)
            continue;
        for (unsigned i = 0; i < set->size; i++) {
            if (fence->state[i] != ARRIVED || i == rank)
                continue;
            if (waiting++ == 0 || i < *ret_waiting)
                *ret_waiting = i;
        }
        forget(set, fence);
    }
    return waiting;
}

void fences_excuse(struct fences *set, unsigned rank)
{
    if (rank >= set->size)
        return;
    set->gone_count += set->gone[rank] == PRESENT;
    set->gone[rank] = FORGIVEN;
    for (struct fence *fence = set->open; fence != NULL; fence = fence->next)
        if (fence->state[rank] == EXPECTED) {
            fence->state[rank] = EXCUSED;
            fence->missing--;
            fence->excused++;
        }
}

char *fences_take_complete(struct fences *set, size_t *ret_len)
{
    struct fence *fence = set->open;
    char *name;

    while (fence != NULL && fence->missing > 0)
        fence = fence->next;
    if (fence == NULL)
        return NULL;
    name = fence->name;
    *ret_len = fence->name_len;
    fence->name = NULL;
    forget(set, fence);
    return name;
}

unsigned fences_waiting(const struct fences *set)
{
    unsigned waiting = 0;

    for (const struct fence *f = set->open; f != NULL; f = f->next)
        waiting += f->waiting;
    return waiting;
}
