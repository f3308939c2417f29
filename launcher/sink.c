/*
 * The descriptor may be shared with other programs (a terminal, a pipe of the
 * shell), so it is not made non-blocking: poll() tells that a pipe has room for
 * PIPE_BUF bytes, and no more are written before it is asked again.
 */
#include "launcher/sink.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { FULL = 1024 * 1024 };

struct sink {
    int fd;
    bool owned;
    bool polled; /* else every write() works at once */
    bool broken;
    bool was_full;
    char *name;
    struct evbuffer *waiting;
    struct event *writable;
    struct sink_callbacks callbacks;
    void *ctx;
};

bool sink_can_poll(int fd)
{
    struct epoll_event event = {.events = EPOLLOUT};
    int set = epoll_create1(EPOLL_CLOEXEC);
    bool can = set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;

    if (set >= 0)
        close(set);
    return can;
}

static void break_sink(struct sink *sink, int error)
{
    sink->broken = true;
    evbuffer_drain(sink->waiting, evbuffer_get_length(sink->waiting));
    sink->callbacks.broken(sink->ctx, sink->name, error);
}

static bool has_room(const struct sink *sink)
{
    struct pollfd wait = {.fd = sink->fd, .events = POLLOUT};

    return !sink->polled || (poll(&wait, 1, 0) > 0);
}

static void write_waiting(struct sink *sink)
{
    while (evbuffer_get_length(sink->waiting) > 0 && has_room(sink)) {
        int n = evbuffer_write_atmost(sink->waiting, sink->fd,
                                      sink->polled ? PIPE_BUF : FULL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            break_sink(sink, errno);
            return;
        }
    }
}

void sink_write(struct sink *sink)
{
    if (sink->broken) {
        evbuffer_drain(sink->waiting, evbuffer_get_length(sink->waiting));
        return;
    }
    write_waiting(sink);
    if (evbuffer_get_length(sink->waiting) > 0)
        event_add(sink->writable, NULL);
    sink->was_full = sink->was_full || sink_is_full(sink);
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
    struct sink *sink = ctx;

    (void)fd;
    (void)what;
    sink_write(sink);
    if (sink->was_full && !sink_is_full(sink)) {
        sink->was_full = false;
        sink->callbacks.drained(sink->ctx);
    }
}

struct sink *sink_create(struct event_base *base, int fd, bool owned,
                         const char *name,
                         const struct sink_callbacks *callbacks, void *ctx)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (sink == NULL)
        return NULL;
    sink->fd = fd;
    sink->owned = owned;
    sink->polled = sink_can_poll(fd);
    sink->callbacks = *callbacks;
    sink->ctx = ctx;
    sink->name = strdup(name);
    sink->waiting = evbuffer_new();
    sink->writable = event_new(base, fd, EV_WRITE, on_writable, sink);
    if (sink->name != NULL && sink->waiting != NULL && sink->writable != NULL)
        return sink;
    sink->owned = false;
    sink_destroy(sink);
    return NULL;
}

void sink_destroy(struct sink *sink)
{
    if (sink == NULL)
        return;
    if (sink->writable != NULL)
        event_free(sink->writable);
    if (sink->waiting != NULL)
        evbuffer_free(sink->waiting);
    if (sink->owned)
        close(sink->fd);
    free(sink->name);
    free(sink);
}

struct evbuffer *sink_buffer(struct sink *sink)
{
    return sink->waiting;
}

bool sink_is_full(const struct sink *sink)
{
    return evbuffer_get_length(sink->waiting) >= FULL;
}

bool sink_is_idle(const struct sink *sink)
{
    return evbuffer_get_length(sink->waiting) == 0;
}
