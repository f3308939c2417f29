/*
 * Gathering of data as in collective.h, where nodes may drop out. Each node
 * sends its part to each of the others itself, so what a node has told one, it
 * has told all; one that drops out has told either all or nobody, and those who
 * wait for it go on without its part. The price is a connection between each
 * two nodes.
 */
#ifndef CT_OVERLAY_DIRECT_H
#define CT_OVERLAY_DIRECT_H

#include "overlay/collective.h"

struct directs;

struct directs_config {
    unsigned self;
    void (*send)(void *ctx, unsigned node, const void *bytes, size_t len);
    /* Is the node, which has not sent its part of what was begun with `begun`,
       one that will? */
    bool (*awaits)(void *ctx, void *begun, unsigned node);
    void *ctx;
};

/* NULL without memory. */
struct directs *directs_create(const struct directs_config *config);
void directs_free(struct directs *all);

/* As collectives_begin(). done() comes from any of these three; of nodes that
   have dropped out it gets a part of no bytes. */
int directs_begin(struct directs *all, const char *name, const unsigned *nodes,
                  unsigned count, const void *bytes, size_t len,
                  collective_done *done, void *begun, struct ct_error *reterr);
int directs_receive(struct directs *all, unsigned from, const void *bytes,
                    size_t len, struct ct_error *reterr);

/* A node has dropped out of something: look whom `awaits` still names. */
void directs_review(struct directs *all);

#endif
