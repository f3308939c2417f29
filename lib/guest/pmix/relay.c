#include "guest/pmix/relay.h"

#include "base/scope.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum { ROOM = 16 * 1024 };

/* What was read from a side and goes to the other one. */
struct stream {
    char bytes[ROOM];
    size_t first, end;
    bool over; /* nothing more comes */
    bool told; /* the other side knows that */
    bool lost; /* the other side takes nothing more */
};

enum { TOOL, SERVER };

struct relay {
    struct relay *next;
    int fds[2];
    struct stream from[2]; /* fds[i], to the other */
};

int relays_open(struct relays *relays)
{
    relays->first = NULL;
    relays->ready = epoll_create1(EPOLL_CLOEXEC);
    return relays->ready < 0 ? -1 : 0;
}

static void relay_free(struct relay *relay)
{
    ct_close(&relay->fds[TOOL]);
    ct_close(&relay->fds[SERVER]);
    free(relay);
}

void relays_close(struct relays *relays)
{
    struct relay *next;

    for (struct relay *relay = relays->first; relay != NULL; relay = next) {
        next = relay->next;
        relay_free(relay);
    }
    relays->first = NULL;
    ct_close(&relays->ready);
}

/* ---- bytes ---- */

static void fill(struct stream *stream, int fd)
{
    ssize_t len = recv(fd, stream->bytes, ROOM, MSG_DONTWAIT);

    stream->first = 0;
    stream->end = len > 0 ? (size_t)len : 0;
    if (len == 0 || (len < 0 && errno != EAGAIN))
        stream->over = true;
}

static bool has_bytes(const struct stream *stream)
{
    return stream->first < stream->end;
}

/* Did any go? Perhaps to nowhere. */
static bool drain(struct stream *stream, int fd)
{
    ssize_t len = 0;

    if (!stream->lost) {
        len = send(fd, stream->bytes + stream->first,
                   stream->end - stream->first, MSG_DONTWAIT | MSG_NOSIGNAL);
        stream->lost = len < 0 && errno != EAGAIN;
    }
    if (stream->lost)
        stream->first = stream->end;
    else if (len > 0)
        stream->first += (size_t)len;
    return stream->lost || len > 0;
}

static void move(struct relay *relay, int side)
{
    struct stream *stream = &relay->from[side];

    do {
        if (!has_bytes(stream) && !stream->over)
            fill(stream, relay->fds[side]);
    } while (has_bytes(stream) && drain(stream, relay->fds[!side]));
    if (stream->over && !has_bytes(stream) && !stream->told) {
        shutdown(relay->fds[!side], SHUT_WR);
        stream->told = true;
    }
}

/* The server may go on talking to a tool that has gone. */
static bool is_over(const struct relay *relay)
{
    return relay->from[SERVER].told;
}

/* ---- waiting ---- */

/* By edges: a side that has hung up would be ready for ever. */
static int watch(const struct relays *relays, const struct relay *relay)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};

    for (int side = 0; side < 2; side++)
        if (epoll_ctl(relays->ready, EPOLL_CTL_ADD, relay->fds[side], &event) <
            0)
            return -1;
    return 0;
}

/* There are few: all are looked at. */
static void take_edges(const struct relays *relays)
{
    struct epoll_event events[16];

    while (epoll_wait(relays->ready, events, sizeof events / sizeof events[0],
                      0) > 0)
        ;
}

void relays_pump(struct relays *relays)
{
    take_edges(relays);
    for (struct relay **next = &relays->first; *next != NULL;) {
        struct relay *relay = *next;

        move(relay, TOOL);
        move(relay, SERVER);
        if (is_over(relay)) {
            *next = relay->next;
            relay_free(relay);
        } else {
            next = &relay->next;
        }
    }
}

/* ---- between ---- */

static struct relay *relay_new(int fd, int *ret_end)
{
    struct relay *relay = calloc(1, sizeof *relay);
    int pair[2];

    if (relay == NULL)
        return NULL;
    relay->fds[TOOL] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    relay->fds[SERVER] = -1;
    if (relay->fds[TOOL] < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        relay_free(relay);
        return NULL;
    }
    relay->fds[SERVER] = pair[0];
    *ret_end = pair[1];
    return relay;
}

int relays_insert(struct relays *relays, int fd)
{
    CT_AUTO_FD int end = -1;
    struct relay *relay = relay_new(fd, &end);

    if (relay == NULL)
        return -1;
    if (watch(relays, relay) < 0 || dup3(end, fd, O_CLOEXEC) < 0) {
        relay_free(relay);
        return -1;
    }
    relay->next = relays->first;
    relays->first = relay;
    return 0;
}
