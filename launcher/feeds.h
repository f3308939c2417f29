/*
 * Standard input of ranks that tools write (--stdin tool): a pipe for each.
 */
#ifndef CT_LAUNCHER_FEEDS_H
#define CT_LAUNCHER_FEEDS_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct feeds;
struct pmixsrv_push;

struct feed {
    const void *bytes; /* live until done() */
    size_t len;
    bool last; /* nothing follows */
    void (*done)(struct pmixsrv_push *push, bool taken);
    struct pmixsrv_push *push;
};

/* For that many ranks; NULL: out of memory. */
struct feeds *feeds_create(struct event_base *base, unsigned size);

/* What is not written yet is dropped, and nobody is told. */
void feeds_destroy(struct feeds *feeds);

/* The rank starts: the descriptor to hand to it, or -1 with errno. */
int feeds_open(struct feeds *feeds, unsigned rank);

/*
 * Behind what the rank has been fed before. Its done() comes here or later:
 * with false when nothing more can be written, because the rank reads no more
 * or the last has been fed. A rank that has not started yet will read it.
 */
void feeds_write(struct feeds *feeds, unsigned rank, const struct feed *feed);

#endif
