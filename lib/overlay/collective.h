/*
 * Gathering of data from some nodes to all of them, as fences want it: up a
 * tree of these nodes to the first of them, and down again; what is large is
 * exchanged instead, so that each sends about what it receives.
 *
 * A collective is told from others by its name, its nodes and its number: the
 * n-th of that name among these nodes. So many of them can be under way (4096
 * of a process), and a node that is early does no harm.
 *
 * Every node has all of it in memory: together the parts must fit in
 * FRAME_BODY_MAX.
 */
#ifndef CT_OVERLAY_COLLECTIVE_H
#define CT_OVERLAY_COLLECTIVE_H

#include "base/error.h"
#include "overlay/overlay.h"

struct collectives;

/*
 * Parts of more bytes than this together are exchanged. That takes log2 N steps
 * more, and saves sending them several times: it pays from some 25 kB on where
 * a message takes 50 us and the network moves 10 Gbit/s, from 300 kB on where
 * it moves 100, and from 400 kB to 1 MB among agents of one machine, for which
 * only the number of messages matters.
 */
enum { COLLECTIVE_SMALL = 256 * 1024 };

/* One node's contribution. */
struct collective_part {
    unsigned node;
    const void *bytes;
    size_t len;
};

/* All of them, by node; valid until it returns. */
typedef void collective_done(void *ctx, const struct collective_part *parts,
                             unsigned count);

/* NULL without memory. `send` sends to another node. */
struct collectives *collectives_create(unsigned self,
                                       void (*send)(void *ctx, unsigned node,
                                                    const void *bytes,
                                                    size_t len),
                                       void *ctx);
void collectives_free(struct collectives *all);

/*
 * Take part: nodes[0..count-1], ascending, have us among them. done(ctx) comes
 * from here or from collectives_receive(), once; it may begin another one.
 * After an error it does not come. EINVAL: not such nodes; EMSGSIZE; EAGAIN:
 * too many are under way.
 */
int collectives_begin(struct collectives *all, const char *name,
                      const unsigned *nodes, unsigned count, const void *bytes,
                      size_t len, collective_done *done, void *ctx,
                      struct ct_error *reterr);

/*
 * What another node's `send` has sent to us, in any order. EPROTO, EINVAL: it
 * makes no sense, and has changed nothing.
 */
int collectives_receive(struct collectives *all, unsigned from,
                        const void *bytes, size_t len, struct ct_error *reterr);

#endif
