#include "guest/pmix/relay.h"

#include "base/scope.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    ROOM = 16 * 1024,
    CHARGE_MAX = 256 * 1024,
    TURNS = 2, /* one may have been under way when the last bytes came */
    LENGTH_AT = 8,
    HEADER = LENGTH_AT + sizeof(size_t), /* of a message: pmix_ptl_hdr_t */
};

/* What was read from a side and goes to the other one. */
struct stream {
    char bytes[ROOM];
    size_t first, end;
    bool framed; /* these are messages; else of the greeting */
    size_t left; /* of the message that has begun to go */
    bool over;   /* nothing more comes */
    bool told;   /* the other side knows that */
    bool lost;   /* the other side takes nothing more */
};

enum { TOOL, SERVER };

struct relay {
    struct relay *next;
    char *name;
    int fds[2];
    struct stream from[2]; /* fds[i], to the other */
    size_t charge;         /* what the tool has said and is not done */
    size_t owed;           /* to the tool, at most */
    bool took;             /* the tool has taken something of late */
    unsigned turns;        /* that the server has let pass since */
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
    free(relay->name);
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

/*
 * ---- messages ----
 *
 * libpmix (4.2.2, and newer) forgets what it has read of a header whose rest is
 * not there yet (pmix_ptl_base_recv_handler), and takes what follows for
 * another one. So to either end each message goes by itself, its header at
 * once. To a stream of TCP, too: after MSG_EOR the kernel begins a new segment,
 * with room for more than a header; and none waits for the other end to
 * acknowledge the last (TCP_NODELAY).
 */

static size_t length_of(const char *header)
{
    uint32_t length;

    memcpy(&length, header + LENGTH_AT, sizeof length);
    return HEADER + (size_t)ntohl(length);
}

/* How many bytes of the stream may go now. */
static size_t ripe(const struct stream *stream)
{
    size_t have = stream->end - stream->first;
    size_t left = stream->left;

    if (!stream->framed || stream->over)
        return have;
    if (left == 0 && have < HEADER)
        return 0;
    if (left == 0)
        left = length_of(stream->bytes + stream->first);
    return have < left ? have : left;
}

/* So many of them have gone. */
static void pass(struct stream *stream, size_t len)
{
    if (stream->framed && !stream->over && len > 0) {
        if (stream->left == 0)
            stream->left = length_of(stream->bytes + stream->first);
        stream->left -= len;
    }
    stream->first += len;
}

/* ---- bytes ---- */

/* Behind what is left of a header. Was there anything? */
static bool fill(struct stream *stream, int fd)
{
    size_t kept = stream->end - stream->first;
    ssize_t len;

    memmove(stream->bytes, stream->bytes + stream->first, kept);
    len = recv(fd, stream->bytes + kept, ROOM - kept, MSG_DONTWAIT);
    stream->first = 0;
    stream->end = kept + (len > 0 ? (size_t)len : 0);
    if (len == 0 || (len < 0 && errno != EAGAIN))
        stream->over = true;
    return len > 0;
}

static bool has_bytes(const struct stream *stream)
{
    return stream->first < stream->end;
}

/* Nothing more of it is heard, nor is it told anything more. */
static void cut(struct relay *relay)
{
    struct stream *stream = &relay->from[TOOL];

    shutdown(relay->fds[TOOL], SHUT_RDWR);
    stream->first = stream->end;
    stream->over = true;
}

/* How many went, perhaps to nowhere. */
static size_t drain(struct stream *stream, int fd)
{
    size_t left = ripe(stream);
    ssize_t len = 0;

    if (!stream->lost) {
        len = send(fd, stream->bytes + stream->first, left,
                   MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
        stream->lost = len < 0 && errno != EAGAIN;
    }
    if (!stream->lost)
        left = len > 0 ? (size_t)len : 0;
    pass(stream, left);
    return left;
}

static bool may_fill(const struct relay *relay, int side)
{
    return ripe(&relay->from[side]) == 0 && !relay->from[side].over &&
           (side == SERVER || relay->charge <= CHARGE_MAX);
}

/* A tool says something when it has been greeted; what it is told from then on
   are messages. */
static bool take_tool(struct relay *relay)
{
    if (!fill(&relay->from[TOOL], relay->fds[TOOL]))
        return false;
    relay->from[SERVER].framed = true;
    return true;
}

static bool take(struct relay *relay, int side)
{
    return side == TOOL ? take_tool(relay)
                        : fill(&relay->from[SERVER], relay->fds[SERVER]);
}

/* How many bytes went. A part of a header stays, so it reads until there is no
   more, or the edge would be lost. */
static size_t move(struct relay *relay, int side)
{
    struct stream *stream = &relay->from[side];
    size_t moved = 0, len;
    bool took;

    do {
        took = may_fill(relay, side) && take(relay, side);
        len = ripe(stream) > 0 ? drain(stream, relay->fds[!side]) : 0;
        moved += len;
    } while (took || len > 0);
    if (stream->over && !has_bytes(stream) && !stream->told) {
        shutdown(relay->fds[!side], SHUT_WR);
        stream->told = true;
    }
    return moved;
}

/* Whatever the server says pays for what it owes. */
static bool pay(struct relay *relay, size_t len)
{
    relay->owed -= len < relay->owed ? len : relay->owed;
    if (len == 0)
        return false;
    relay->turns = 0;
    relay->took = true;
    return true;
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

bool relays_pump(struct relays *relays)
{
    bool told = false;

    take_edges(relays);
    for (struct relay **next = &relays->first; *next != NULL;) {
        struct relay *relay = *next;

        move(relay, TOOL);
        told |= pay(relay, move(relay, SERVER));
        if (is_over(relay)) {
            *next = relay->next;
            relay_free(relay);
        } else {
            next = &relay->next;
        }
    }
    return told;
}

/* ---- what is still to be done ---- */

static struct relay *find(const struct relays *relays, const char *name)
{
    struct relay *relay = relays->first;

    while (relay != NULL && strcmp(relay->name, name) != 0)
        relay = relay->next;
    return relay;
}

bool relays_have(const struct relays *relays, const char *name)
{
    return find(relays, name) != NULL;
}

int relays_charge(struct relays *relays, const char *name, size_t len)
{
    struct relay *relay = find(relays, name);

    if (relay == NULL)
        return -1;
    relay->charge += len;
    return 0;
}

/* It may have gone meanwhile. What it has said has lost its edge. */
void relays_discharge(struct relays *relays, const char *name, size_t len)
{
    struct relay *relay = find(relays, name);

    if (relay == NULL)
        return;
    relay->charge -= len;
    move(relay, TOOL);
}

/* By the tool, which does not read. */
static bool is_held_up(const struct relay *relay)
{
    return ripe(&relay->from[SERVER]) > 0;
}

void relays_owe(struct relays *relays, size_t len)
{
    for (struct relay *relay = relays->first; relay != NULL;
         relay = relay->next) {
        if (relay->from[SERVER].lost)
            continue;
        relay->owed += len;
        relay->turns = 0;
    }
}

void relays_server_had_turn(struct relays *relays)
{
    for (struct relay *relay = relays->first; relay != NULL;
         relay = relay->next)
        if (!is_held_up(relay) && ++relay->turns >= TURNS)
            relay->owed = 0;
}

size_t relays_owed(const struct relays *relays)
{
    size_t most = 0;

    for (const struct relay *relay = relays->first; relay != NULL;
         relay = relay->next)
        if (relay->owed > most)
            most = relay->owed;
    return most;
}

void relays_watch(struct relays *relays)
{
    for (struct relay *relay = relays->first; relay != NULL;
         relay = relay->next)
        relay->took = false;
}

static void cut_off(struct relay *relay)
{
    cut(relay);
    relay->from[SERVER].lost = true;
    relay->owed = 0;
    move(relay, TOOL);
    move(relay, SERVER);
}

bool relays_cut_idle(struct relays *relays, size_t owed)
{
    bool any = false;

    for (struct relay *relay = relays->first; relay != NULL;
         relay = relay->next)
        if (!relay->took && relay->owed > owed) {
            cut_off(relay);
            any = true;
        }
    relays_watch(relays);
    return any;
}

bool relays_want_turn(const struct relays *relays)
{
    for (const struct relay *relay = relays->first; relay != NULL;
         relay = relay->next)
        if (relay->owed > 0 && !is_held_up(relay))
            return true;
    return false;
}

/* ---- between ---- */

static struct relay *relay_new(int fd, const char *name, int *ret_end)
{
    struct relay *relay = calloc(1, sizeof *relay);
    int pair[2];

    if (relay == NULL)
        return NULL;
    relay->name = strdup(name);
    relay->fds[TOOL] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    /* fails where it is no TCP */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    relay->fds[SERVER] = -1;
    if (relay->name == NULL || relay->fds[TOOL] < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        relay_free(relay);
        return NULL;
    }
    relay->fds[SERVER] = pair[0];
    *ret_end = pair[1];
    return relay;
}

int relays_insert(struct relays *relays, int fd, const char *name)
{
    CT_AUTO_FD int end = -1;
    struct relay *relay = relay_new(fd, name, &end);

    if (relay == NULL)
        return -1;
    relay->from[TOOL].framed = true;
    if (watch(relays, relay) < 0 || dup3(end, fd, O_CLOEXEC) < 0) {
        relay_free(relay);
        return -1;
    }
    relay->next = relays->first;
    relays->first = relay;
    return 0;
}
