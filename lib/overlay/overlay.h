/*
 * The overlay: the agents' own network. TCP through libevent, one connection
 * between two nodes, made when one of them has something to say; those along a
 * tree are made at once and kept, so that every node is missed by some other
 * within seconds.
 *
 * Everything happens in the user's event loop; nothing waits. The process must
 * ignore SIGPIPE.
 */
#ifndef CT_OVERLAY_OVERLAY_H
#define CT_OVERLAY_OVERLAY_H

#include "base/error.h"
#include "overlay/address.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct overlay;
struct event_base;

/* Kinds of the overlay's own; the user's begin with the last. */
enum overlay_kind {
    OVERLAY_HELLO = 1,
    OVERLAY_PING,
    OVERLAY_BYE,
    OVERLAY_USE,
    OVERLAY_USER = 16,
};

struct overlay_config {
    struct event_base *base;
    unsigned self, count;          /* nodes are 0 to count - 1 */
    const struct addresses *peers; /* [count]; live as long */
    uint8_t secret[FRAME_SECRET_SIZE];
    int listeners[2]; /* the overlay's from now on; -1 */
    unsigned silence; /* seconds without a word, then one is lost; 0: 8 */

    /*
     * Both come from the event loop alone, and must not close the overlay.
     * A message of the user's kinds. bytes live until this returns.
     */
    void (*receive)(void *ctx, unsigned from, unsigned kind, const void *bytes,
                    size_t len);
    /* The node has not said bye and is gone: why, one line. Once for each. */
    void (*lost)(void *ctx, unsigned node, const char *why);
    void *ctx;
};

/* NULL without memory, or sockets. */
struct overlay *overlay_create(const struct overlay_config *config,
                               struct ct_error *reterr);

/*
 * To another node, in order. What cannot be sent, as what is larger than
 * FRAME_BODY_MAX, is told by lost(), not before this has returned.
 */
void overlay_send(struct overlay *overlay, unsigned node, unsigned kind,
                  const void *bytes, size_t len);

/*
 * Likewise, but a node that cannot be reached has left, as far as we are
 * concerned: if that is not so, its neighbours in the tree miss it.
 */
void overlay_tell(struct overlay *overlay, unsigned node, unsigned kind,
                  const void *bytes, size_t len);

/*
 * The last word, to all nodes, along the tree: whoever receives it must spread
 * it, too, as it is. What has been spread before stays the last. FRAME_BODY_MAX
 * is not looked at.
 */
void overlay_spread(struct overlay *overlay, unsigned kind, const void *bytes,
                    size_t len);

/* The lowest other node that we are connected to now; or our own. */
unsigned overlay_neighbour(const struct overlay *overlay);

/* Has the node said bye, or was it found to have left? */
bool overlay_has_left(const struct overlay *overlay, unsigned node);

/* Connections of strangers that were closed. */
unsigned overlay_strangers(const struct overlay *overlay);

/*
 * Say bye and send what is left, for as long as others take it, at most this
 * many seconds; then it is gone. Neighbours in the tree that were never heard
 * of are waited for as well, or they would miss us. 0: not a word. NULL is
 * fine.
 */
void overlay_close(struct overlay *overlay, unsigned seconds);

#endif
