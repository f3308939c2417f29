/*
 * Where output goes: stdout, stderr or a file, written in whole pieces and
 * never waited for. What the reader has no room for yet is kept here.
 */
#ifndef CT_LAUNCHER_SINK_H
#define CT_LAUNCHER_SINK_H

#include <stdbool.h>

struct sink;
struct evbuffer;
struct event_base;

struct sink_callbacks {
    /* There is room again after sink_is_full(). */
    void (*drained)(void *ctx);
    /* Nothing can be written any more: an errno value, EPIPE for no reader. */
    void (*broken)(void *ctx, const char *name, int error);
};

/*
 * fd stays the caller's unless owned; name, which is copied, is for messages.
 * NULL when out of memory.
 */
struct sink *sink_create(struct event_base *base, int fd, bool owned,
                         const char *name,
                         const struct sink_callbacks *callbacks, void *ctx);
void sink_destroy(struct sink *sink);

/* The buffer to append to; call sink_write() afterwards. */
struct evbuffer *sink_buffer(struct sink *sink);
void sink_write(struct sink *sink);

/* So much waits that its writers should be held back. */
bool sink_is_full(const struct sink *sink);

/* All is written, or never will be. */
bool sink_is_idle(const struct sink *sink);

/* Can an event loop wait for fd (pipe, terminal, socket), or is it always
 * ready? */
bool sink_can_poll(int fd);

#endif
