/*
 * A link is one TCP connection. Whoever has something to say dials all the
 * addresses of the other node at once; the first that answers our hello with
 * its own is the one, the others are closed. Frames wait for that.
 *
 * Links are used in both directions. When two nodes dial each other at the same
 * time both links stay: each node sends on the one that it knew first, so what
 * one node sends to another arrives in order.
 *
 * A ping goes over every link each second. A node that was not heard for
 * SILENCE seconds is lost, be it stopped, cut off or dead.
 */
#include "overlay/overlay.h"

#include "base/scope.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RADIX = 4, SILENCE = 8, LISTENERS = 2, NOBODY = -1 };

struct link {
    struct overlay *overlay;
    struct link *next;
    struct bufferevent *bev;
    int node;     /* NOBODY until an accepted one has said hello */
    bool dialled; /* by us */
    bool greeted; /* both have said hello */
    time_t heard; /* monotonic, seconds */
};

struct peer {
    struct link *link; /* to send on */
    struct evbuffer *pending;
    time_t dialled; /* since when we try; 0: we do not */
    bool left, lost;
};

struct overlay {
    struct overlay_config config;
    struct peer *peers;
    struct link *links;
    struct event *accepts[LISTENERS], *tick;
    time_t ticked;
    unsigned strangers;
    bool closing;
};

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* ---- the end of links and nodes ---- */

__attribute__((format(printf, 3, 4))) static void lose(struct overlay *overlay,
                                                       unsigned node,
                                                       const char *fmt, ...)
{
    struct peer *peer = &overlay->peers[node];
    char why[200];
    va_list ap;

    if (peer->lost || peer->left || overlay->closing)
        return;
    peer->lost = true;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    overlay->config.lost(overlay->config.ctx, node, why);
}

static void unlink_link(struct link *link)
{
    struct link **at = &link->overlay->links;

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    bufferevent_free(link->bev);
    free(link);
}

static struct link *find_link(const struct overlay *overlay, int node,
                              bool greeted)
{
    struct link *link = overlay->links;

    while (link != NULL && (link->node != node || link->greeted != greeted))
        link = link->next;
    return link;
}

static void describe_addresses(const struct addresses *addresses, char *ret,
                               size_t size)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t used = 0;

    ret[0] = '\0';
    for (unsigned i = 0; i < addresses->count && used < size; i++) {
        address_text(&addresses->items[i], text);
        used += (size_t)snprintf(ret + used, size - used, "%s%s",
                                 i > 0 ? ", " : "", text);
    }
}

static void fail_to_reach(struct overlay *overlay, unsigned node,
                          const char *why)
{
    char at[120];

    describe_addresses(&overlay->config.peers[node], at, sizeof at);
    overlay->peers[node].dialled = 0;
    lose(overlay, node, "cannot be reached at %s: %s", at, why);
}

static void end_link(struct link *link, const char *why)
{
    struct overlay *overlay = link->overlay;
    int node = link->node;
    bool greeted = link->greeted;
    struct peer *peer;

    unlink_link(link);
    if (node == NOBODY) {
        overlay->strangers++;
        return;
    }
    peer = &overlay->peers[node];
    if (greeted) {
        peer->link = find_link(overlay, node, true);
        if (peer->link == NULL)
            lose(overlay, (unsigned)node, "its connection has ended: %s", why);
    } else if (peer->link == NULL && find_link(overlay, node, false) == NULL) {
        fail_to_reach(overlay, (unsigned)node, why);
    }
}

/* ---- frames ---- */

static void put_frame(const struct overlay *overlay, struct evbuffer *out,
                      unsigned kind, const void *bytes, size_t len)
{
    const struct frame_head head = {
        .kind = kind, .from = overlay->config.self, .size = (uint32_t)len};
    char buf[FRAME_HEAD_SIZE];

    frame_encode(&head, overlay->config.secret, buf);
    evbuffer_add(out, buf, sizeof buf);
    evbuffer_add(out, bytes, len);
}

static void send_hello(const struct link *link, unsigned to)
{
    const uint32_t body = to;

    put_frame(link->overlay, bufferevent_get_output(link->bev), OVERLAY_HELLO,
              &body, sizeof body);
}

static void become_ready(struct link *link)
{
    struct overlay *overlay = link->overlay;
    struct peer *peer = &overlay->peers[link->node];
    struct link *other;

    link->greeted = true;
    if (peer->link != NULL)
        return;
    peer->link = link;
    peer->dialled = 0;
    evbuffer_add_buffer(bufferevent_get_output(link->bev), peer->pending);
    while ((other = find_link(overlay, link->node, false)) != NULL)
        unlink_link(other);
}

/* -1: it is not who it should be. */
static int take_hello(struct link *link, const struct frame_head *head,
                      const char *body)
{
    const struct overlay_config *config = &link->overlay->config;
    uint32_t to;

    if (head->size != sizeof to || head->from >= config->count ||
        head->from == config->self || link->greeted)
        return -1;
    memcpy(&to, body, sizeof to);
    if (to != config->self ||
        (link->dialled && head->from != (unsigned)link->node))
        return -1;
    link->node = (int)head->from;
    if (!link->dialled)
        send_hello(link, head->from);
    become_ready(link);
    return 0;
}

static int take_frame(struct link *link, const struct frame_head *head,
                      const char *body)
{
    struct overlay *overlay = link->overlay;

    if (head->kind == OVERLAY_HELLO)
        return take_hello(link, head, body);
    if (!link->greeted || head->from != (unsigned)link->node)
        return -1;
    if (head->kind == OVERLAY_BYE)
        overlay->peers[head->from].left = true;
    else if (head->kind >= OVERLAY_USER && !overlay->closing)
        overlay->config.receive(overlay->config.ctx, head->from, head->kind,
                                body, head->size);
    return 0;
}

/* 1: one frame was taken; 0: it is not whole yet; -1: it is none of ours. */
static int next_frame(struct link *link, struct evbuffer *in)
{
    struct frame_head head;
    const char *bytes;

    if (evbuffer_get_length(in) < FRAME_HEAD_SIZE)
        return 0;
    bytes = (const char *)evbuffer_pullup(in, FRAME_HEAD_SIZE);
    if (bytes == NULL ||
        frame_decode(bytes, link->overlay->config.secret, &head, NULL) < 0 ||
        (!link->greeted && head.size > sizeof(uint32_t)))
        return -1;
    if (evbuffer_get_length(in) < FRAME_HEAD_SIZE + head.size)
        return 0;
    bytes = (const char *)evbuffer_pullup(in, FRAME_HEAD_SIZE + head.size);
    if (bytes == NULL || take_frame(link, &head, bytes + FRAME_HEAD_SIZE) < 0)
        return -1;
    evbuffer_drain(in, FRAME_HEAD_SIZE + head.size);
    return 1;
}

/* ---- links ---- */

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct link *link = ctx;
    int rc;

    link->heard = now();
    do {
        rc = next_frame(link, bufferevent_get_input(bev));
    } while (rc > 0);
    if (rc < 0)
        end_link(link, "it sends what is no frame of this job");
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    struct link *link = ctx;
    int one = 1;

    if (what & BEV_EVENT_CONNECTED) {
        setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &one,
                   sizeof one);
        send_hello(link, (unsigned)link->node);
        return;
    }
    end_link(link, what & BEV_EVENT_EOF ? "closed by the other side"
                                        : strerror(EVUTIL_SOCKET_ERROR()));
}

static struct link *add_link(struct overlay *overlay, int fd, int node)
{
    struct link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return NULL;
    link->bev =
        bufferevent_socket_new(overlay->config.base, fd,
                               BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (link->bev == NULL) {
        free(link);
        return NULL;
    }
    link->overlay = overlay;
    link->node = node;
    link->dialled = node != NOBODY;
    link->heard = now();
    link->next = overlay->links;
    overlay->links = link;
    bufferevent_setcb(link->bev, on_read, NULL, on_event, link);
    bufferevent_enable(link->bev, EV_READ | EV_WRITE);
    return link;
}

static void on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct overlay *overlay = ctx;
    int one = 1,
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (add_link(overlay, fd, NOBODY) == NULL)
        close(fd);
}

/* libevent makes the socket, without CLOEXEC; ranks are not our children. */
static void dial(struct overlay *overlay, unsigned node)
{
    const struct addresses *at = &overlay->config.peers[node];
    struct peer *peer = &overlay->peers[node];
    unsigned begun = 0;

    if (peer->link != NULL || peer->dialled != 0)
        return;
    peer->dialled = now();
    for (unsigned i = 0; i < at->count; i++) {
        union address address = at->items[i];
        int fd = socket(address.any.sa_family,
                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct link *link = fd >= 0 ? add_link(overlay, fd, (int)node) : NULL;

        if (link == NULL)
            ct_close(&fd);
        else if (bufferevent_socket_connect(link->bev, &address.any,
                                            (int)address_size(&address)) < 0)
            unlink_link(link);
        else
            begun++;
    }
    if (begun == 0)
        fail_to_reach(overlay, node, "no address of it can be used");
}

/* ---- time ---- */

static struct link *find_silent(const struct overlay *overlay, time_t since)
{
    struct link *link = overlay->links;

    while (link != NULL && link->heard >= since)
        link = link->next;
    return link;
}

/* When we were stopped ourselves, what others did meanwhile was not heard. */
static void forgive(struct overlay *overlay)
{
    for (struct link *link = overlay->links; link != NULL; link = link->next)
        link->heard = now();
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct overlay *overlay = ctx;
    struct link *link;
    time_t time = now();

    (void)fd;
    (void)what;
    if (time - overlay->ticked > SILENCE / 2)
        forgive(overlay);
    overlay->ticked = time;
    while ((link = find_silent(overlay, time - SILENCE)) != NULL)
        end_link(link, "it does not answer");
    for (link = overlay->links; link != NULL; link = link->next)
        if (link->greeted)
            put_frame(overlay, bufferevent_get_output(link->bev), OVERLAY_PING,
                      "", 0);
}

/* ---- for users ---- */

void overlay_send(struct overlay *overlay, unsigned node, unsigned kind,
                  const void *bytes, size_t len)
{
    struct peer *peer = &overlay->peers[node];

    if (peer->left || peer->lost)
        return;
    if (peer->link != NULL) {
        put_frame(overlay, bufferevent_get_output(peer->link->bev), kind, bytes,
                  len);
        return;
    }
    put_frame(overlay, peer->pending, kind, bytes, len);
    dial(overlay, node);
}

bool overlay_has_left(const struct overlay *overlay, unsigned node)
{
    return overlay->peers[node].left;
}

unsigned overlay_strangers(const struct overlay *overlay)
{
    return overlay->strangers;
}

static int make_events(struct overlay *overlay)
{
    static const struct timeval second = {.tv_sec = 1};
    struct event_base *base = overlay->config.base;

    for (int i = 0; i < LISTENERS; i++) {
        int fd = overlay->config.listeners[i];

        if (fd < 0)
            continue;
        overlay->accepts[i] =
            event_new(base, fd, EV_READ | EV_PERSIST, on_accept, overlay);
        if (overlay->accepts[i] == NULL ||
            event_add(overlay->accepts[i], NULL) < 0)
            return -1;
    }
    overlay->tick = event_new(base, -1, EV_PERSIST, on_tick, overlay);
    overlay->ticked = now();
    return overlay->tick != NULL ? event_add(overlay->tick, &second) : -1;
}

static int make_peers(struct overlay *overlay)
{
    overlay->peers = calloc(overlay->config.count, sizeof *overlay->peers);
    for (unsigned i = 0; overlay->peers != NULL && i < overlay->config.count;
         i++) {
        overlay->peers[i].pending = evbuffer_new();
        if (overlay->peers[i].pending == NULL)
            return -1;
    }
    return overlay->peers != NULL ? 0 : -1;
}

struct overlay *overlay_create(const struct overlay_config *config,
                               struct ct_error *reterr)
{
    struct overlay *overlay = calloc(1, sizeof *overlay);

    if (overlay == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    overlay->config = *config;
    if (make_peers(overlay) < 0 || make_events(overlay) < 0) {
        ct_fail_nomem(reterr);
        overlay_close(overlay, 0);
        return NULL;
    }
    if (config->self > 0)
        dial(overlay, (config->self - 1) / RADIX);
    return overlay;
}

static bool has_output(const struct overlay *overlay)
{
    for (const struct link *link = overlay->links; link; link = link->next)
        if (link->greeted &&
            evbuffer_get_length(bufferevent_get_output(link->bev)) > 0)
            return true;
    return false;
}

static void say_bye(struct overlay *overlay, unsigned seconds)
{
    time_t end = now() + (time_t)seconds;

    for (unsigned node = 0; node < overlay->config.count; node++)
        if (overlay->peers[node].link != NULL)
            put_frame(overlay,
                      bufferevent_get_output(overlay->peers[node].link->bev),
                      OVERLAY_BYE, "", 0);
    overlay->closing = true;
    /* The tick wakes us at least once a second. */
    while (has_output(overlay) && now() <= end)
        if (event_base_loop(overlay->config.base, EVLOOP_ONCE) != 0)
            return;
}

void overlay_close(struct overlay *overlay, unsigned seconds)
{
    if (overlay == NULL)
        return;
    if (overlay->tick != NULL && seconds > 0)
        say_bye(overlay, seconds);
    while (overlay->links != NULL)
        unlink_link(overlay->links);
    for (int i = 0; i < LISTENERS; i++) {
        if (overlay->accepts[i] != NULL)
            event_free(overlay->accepts[i]);
        ct_close(&overlay->config.listeners[i]);
    }
    if (overlay->tick != NULL)
        event_free(overlay->tick);
    for (unsigned i = 0; overlay->peers != NULL && i < overlay->config.count;
         i++)
        if (overlay->peers[i].pending != NULL)
            evbuffer_free(overlay->peers[i].pending);
    free(overlay->peers);
    free(overlay);
}
