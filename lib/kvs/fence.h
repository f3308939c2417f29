/*
 * Fences of one job: who has arrived. Several may be open at once, each named
 * by its members and a tag (PMI-1.2 "group"; the whole job is the usual one).
 *
 * A fence is OPEN from its first arrival, then COMPLETE when all members have
 * arrived, or BROKEN when one of them can arrive no more. The set forgets a
 * fence as soon as it is reported COMPLETE, so the same name starts afresh.
 */
#ifndef CT_KVS_FENCE_H
#define CT_KVS_FENCE_H

#include "base/error.h"
#include "base/span.h"

#include <stddef.h>

struct fences;

struct fences *fences_create(unsigned size);
void fences_destroy(struct fences *set);

enum fence_state { FENCE_OPEN, FENCE_COMPLETE, FENCE_BROKEN };

/*
 * rank arrives at the fence `name` of members[0..count-1] (NULL: the whole
 * job). Members may stand in any order; each must be below size.
 *
 * 0 and *ret: OPEN = it waits; COMPLETE = it was the last, answer all members;
 * BROKEN = *ret_lost is a member that left (the arrival is not kept).
 * -1: EINVAL rank is not a member or a member is out of range, EALREADY it
 * waits in that fence already, ENOMEM.
 */
int fences_arrive(struct fences *set, struct ct_span name,
                  const unsigned *members, size_t count, unsigned rank,
                  enum fence_state *ret, unsigned *ret_lost,
                  struct ct_error *reterr);

/*
 * rank can arrive no more. Returns how many ranks wait in open fences that
 * thereby break, and the lowest of them in *ret_waiting; those fences go.
 */
unsigned fences_leave(struct fences *set, unsigned rank, unsigned *ret_waiting);

/*
 * rank can arrive no more, and nobody waits for it: it is no member of any
 * fence that it has not arrived in. Fences that are COMPLETE thereby are to be
 * taken.
 */
void fences_excuse(struct fences *set, unsigned rank);

/* The name, to free(), of a fence that has become COMPLETE; NULL: of none. */
char *fences_take_complete(struct fences *set, size_t *ret_len);

/* How many ranks wait in open fences. */
unsigned fences_waiting(const struct fences *set);

#endif
