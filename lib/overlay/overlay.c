/*
 * A link is one TCP connection. Whoever has something to say dials all the
 * addresses of the other node at once. Each that is accepted is answered by a
 * hello; the dialler says on one of them that it is to be used, and closes the
 * others. Frames wait for that, on both sides: what is written to a connection
 * that the dialler does not choose would be lost.
 *
 * Links are used in both directions. When two nodes dial each other at the same
 * time both links stay: each node sends on the one that it knew first, so what
 * one node sends to another arrives in order. A node that leaves says bye on
 * each, closes its side and waits for the other one to do so: a close() with
 * input unread would be a reset, which takes what was sent last with it.
 *
 * A ping goes over every link each second. A node that was not heard for
 * SILENCE seconds is lost, be it stopped, cut off or dead. Each node watches
 * its parent and its children in the tree. When the parent has left, its
 * children watch the next one up the tree that has not.
 */
#include "overlay/overlay.h"

#include "base/scope.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RADIX = 4,
    SILENCE = 8, /* seconds */
    PINGS = 8,   /* in this time */
    LISTENERS = 2,
    NOBODY = -1,
    READ_MAX = 256 * 1024, /* at once; libevent's own are small */
};

typedef int64_t msec; /* monotonic */

struct link {
    struct overlay *overlay;
    struct link *next, **at; /* of the same node, or of the unknown */
    struct bufferevent *bev;
    int node;     /* NOBODY until an accepted one has said hello */
    bool dialled; /* by us */
    bool greeted; /* may be used: the dialler has said so */
    bool left;    /* the other side has said bye on it */
    msec heard;   /* while not greeted: since when we wait */
};

struct peer {
    struct link *links;
    struct link *link; /* to send on */
    struct evbuffer *pending;
    int error;    /* an errno: why it will be lost */
    bool dialled; /* and there was no link so far */
    bool wanted;  /* when it cannot be reached, it is lost */
    bool met;     /* there was a link once */
    bool absent;  /* it was not wanted, and could not be reached */
    bool bye;     /* said on some link */
    bool left, lost;
    bool told; /* the last word, or will be when there is a link */
};

struct overlay {
    struct overlay_config config;
    struct peer *peers;
    struct link *unknown; /* accepted ones that have not said hello */
    struct event *accepts[LISTENERS], *tick, *errors;
    msec silence, created, ticked;
    unsigned strangers;
    bool watching; /* children that did not come were dialled */
    bool closing;
    struct { /* the last word */
        unsigned kind;
        char *bytes; /* NULL: not said */
        size_t len;
    } word;
};

static msec now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (msec)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static struct evbuffer *output_of(const struct link *link)
{
    return bufferevent_get_output(link->bev);
}

/* ---- links, by node ---- */

static void put_link(struct link *link, struct link **list)
{
    link->next = *list;
    link->at = list;
    if (link->next != NULL)
        link->next->at = &link->next;
    *list = link;
}

static void take_link(struct link *link)
{
    *link->at = link->next;
    if (link->next != NULL)
        link->next->at = link->at;
}

static void free_link(struct link *link)
{
    take_link(link);
    bufferevent_free(link->bev); /* no call of it comes any more */
    free(link);
}

/* The first that may be used. */
static struct link *find_greeted(struct link *link)
{
    while (link != NULL && !link->greeted)
        link = link->next;
    return link;
}

/* The first on which the other node, if it has not, may yet say something. */
static struct link *find_open(struct link *link)
{
    while (link != NULL && (link->left || (link->dialled && !link->greeted)))
        link = link->next;
    return link;
}

/* ---- the end of links and nodes ---- */

static void spread_beyond(struct overlay *overlay, unsigned node);

__attribute__((format(printf, 3, 4))) static void lose(struct overlay *overlay,
                                                       unsigned node,
                                                       const char *fmt, ...)
{
    struct peer *peer = &overlay->peers[node];
    char why[200];
    va_list ap;

    while (peer->links != NULL)
        free_link(peer->links);
    peer->link = NULL;
    peer->dialled = false;
    evbuffer_drain(peer->pending, evbuffer_get_length(peer->pending));
    if (peer->lost || peer->left)
        return;
    peer->lost = true;
    spread_beyond(overlay, node);
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    if (!overlay->closing)
        overlay->config.lost(overlay->config.ctx, node, why);
}

static void describe_addresses(const struct addresses *addresses, char *ret,
                               size_t size)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t used = 0;

    snprintf(ret, size, "no address");
    for (unsigned i = 0; i < addresses->count && used < size; i++) {
        address_text(&addresses->items[i], text);
        used += (size_t)snprintf(ret + used, size - used, "%s%s",
                                 i > 0 ? ", " : "", text);
    }
}

static void watch_up(struct overlay *overlay);

/* Who is watched in place of one that has left may have left as well. */
static void fail_to_reach(struct overlay *overlay, unsigned node,
                          const char *why)
{
    struct peer *peer = &overlay->peers[node];
    char at[120];

    if (!peer->wanted) {
        evbuffer_drain(peer->pending, evbuffer_get_length(peer->pending));
        peer->dialled = false;
        peer->absent = true;
        spread_beyond(overlay, node);
        watch_up(overlay);
        return;
    }
    describe_addresses(&overlay->config.peers[node], at, sizeof at);
    lose(overlay, node, "cannot be reached at %s: %s", at, why);
}

/* It has left when it has said so on all links: till then it may say more. */
static void check_left(struct overlay *overlay, unsigned node)
{
    struct peer *peer = &overlay->peers[node];

    if (peer->left || !peer->bye || find_open(peer->links) != NULL)
        return;
    peer->left = true;
    spread_beyond(overlay, node);
    watch_up(overlay);
}

/* After our bye the other side closes one link after the other. */
static void end_link_of(struct link *link, unsigned node, const char *why)
{
    struct overlay *overlay = link->overlay;
    struct peer *peer = &overlay->peers[node];
    bool missed = link->greeted && !link->left && !overlay->closing;
    bool used = peer->link == link;

    free_link(link);
    if (used)
        peer->link = find_greeted(peer->links);
    if (missed)
        lose(overlay, node, "its connection has ended: %s", why);
    else if (peer->dialled && peer->links == NULL)
        fail_to_reach(overlay, node, why);
    else
        check_left(overlay, node);
}

static void end_link(struct link *link, const char *why)
{
    if (link->node != NOBODY) {
        end_link_of(link, (unsigned)link->node, why);
        return;
    }
    link->overlay->strangers++;
    free_link(link);
}

/* Nothing is told from within overlay_send(), nor while we are created. */
static void fail_later(struct overlay *overlay, unsigned node, int error)
{
    overlay->peers[node].error = error;
    event_active(overlay->errors, EV_TIMEOUT, 0);
}

static void on_errors(evutil_socket_t fd, short what, void *ctx)
{
    struct overlay *overlay = ctx;

    (void)fd;
    (void)what;
    for (unsigned node = 0; node < overlay->config.count; node++) {
        struct peer *peer = &overlay->peers[node];
        int error = peer->error;

        peer->error = 0;
        if (error != 0 && peer->dialled)
            fail_to_reach(overlay, node, strerror(error));
        else if (error != 0)
            lose(overlay, node, "cannot be sent to: %s", strerror(error));
    }
}

/* ---- frames ---- */

/* -1 without memory: what is put there is broken. */
static int put_frame(const struct overlay *overlay, struct evbuffer *out,
                     unsigned kind, const void *bytes, size_t len)
{
    const struct frame_head head = {
        .kind = kind, .from = overlay->config.self, .size = (uint32_t)len};
    char buf[FRAME_HEAD_SIZE];

    frame_encode(&head, overlay->config.secret, buf);
    return evbuffer_add(out, buf, sizeof buf) < 0 ||
                   evbuffer_add(out, bytes, len) < 0
               ? -1
               : 0;
}

/* A frame of ours; the other side sees it when one is lacking. */
static void say(const struct link *link, unsigned kind)
{
    put_frame(link->overlay, output_of(link), kind, "", 0);
}

static void send_hello(const struct link *link)
{
    const uint32_t to = (uint32_t)link->node;

    put_frame(link->overlay, output_of(link), OVERLAY_HELLO, &to, sizeof to);
}

/* The others that we have dialled; of the accepted ones the dialler decides. */
static void drop_others(struct peer *peer)
{
    struct link *link = peer->links, *next;

    for (; link != NULL; link = next) {
        next = link->next;
        if (link->dialled && !link->greeted)
            free_link(link);
    }
}

static void say_bye(struct link *link);
static void say_word(const struct link *link);

static void become_usable(struct link *link)
{
    struct overlay *overlay = link->overlay;
    struct peer *peer = &overlay->peers[link->node];

    link->greeted = true;
    link->heard = now();
    peer->met = true;
    peer->dialled = peer->absent = false;
    drop_others(peer);
    if (peer->link == NULL) {
        peer->link = link;
        evbuffer_add_buffer(output_of(link), peer->pending);
        if (overlay->word.bytes != NULL)
            say_word(link);
    }
    if (overlay->closing)
        say_bye(link);
}

/* 0; -1: it is not who it should be, or not at this time. */
static int take_hello(struct link *link, const struct frame_head *head,
                      const char *body)
{
    struct overlay *overlay = link->overlay;
    const struct overlay_config *config = &overlay->config;
    struct peer *peer = &overlay->peers[head->from];
    uint32_t to;

    if (head->size != sizeof to || link->greeted)
        return -1;
    memcpy(&to, body, sizeof to);
    if (to != config->self || peer->lost || peer->bye)
        return -1;
    if (link->dialled) {
        say(link, OVERLAY_USE);
        become_usable(link);
        return 0;
    }
    link->node = (int)head->from;
    take_link(link);
    put_link(link, &peer->links);
    send_hello(link);
    return 0;
}

static int take_use(struct link *link)
{
    if (link->dialled || link->greeted)
        return -1;
    become_usable(link);
    return 0;
}

static int take_bye(struct link *link)
{
    struct peer *peer = &link->overlay->peers[link->node];

    link->left = true;
    peer->bye = true;
    check_left(link->overlay, (unsigned)link->node);
    return 0;
}

static int take_frame(struct link *link, const struct frame_head *head,
                      const char *body)
{
    struct overlay *overlay = link->overlay;
    bool known = link->node != NOBODY;

    if (head->from >= overlay->config.count ||
        head->from == overlay->config.self ||
        (known && head->from != (unsigned)link->node))
        return -1;
    if (head->kind == OVERLAY_HELLO && (!known || link->dialled))
        return take_hello(link, head, body);
    if (head->kind == OVERLAY_USE && known)
        return take_use(link);
    if (!link->greeted || link->left)
        return -1;
    if (head->kind == OVERLAY_BYE)
        return take_bye(link);
    if (head->kind >= OVERLAY_USER && !overlay->closing)
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

/* Nothing that a frame leads to frees the link; only its own end does. */
static void on_read(struct bufferevent *bev, void *ctx)
{
    struct link *link = ctx;
    int rc;

    if (link->greeted)
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
        send_hello(link);
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
    put_link(link,
             node == NOBODY ? &overlay->unknown : &overlay->peers[node].links);
    bufferevent_set_max_single_read(link->bev, READ_MAX);
    bufferevent_set_max_single_write(link->bev, READ_MAX);
    bufferevent_setcb(link->bev, on_read, NULL, on_event, link);
    bufferevent_enable(link->bev, EV_READ | EV_WRITE);
    return link;
}

/* Without descriptors the listeners would be ready for ever: rest a tick. */
static void accept_later(struct overlay *overlay)
{
    for (int i = 0; i < LISTENERS; i++)
        if (overlay->accepts[i] != NULL)
            event_del(overlay->accepts[i]);
}

static void accept_again(struct overlay *overlay)
{
    for (int i = 0; i < LISTENERS; i++)
        if (overlay->accepts[i] != NULL)
            event_add(overlay->accepts[i], NULL);
}

static void on_accept(evutil_socket_t listener, short what, void *ctx)
{
    struct overlay *overlay = ctx;
    int one = 1,
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)what;
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            accept_later(overlay);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (add_link(overlay, fd, NOBODY) == NULL)
        close(fd);
}

/* ---- dialling ---- */

static bool is_ours(const struct overlay *overlay, const union address *address)
{
    const struct addresses *ours = &overlay->config.peers[overlay->config.self];

    for (unsigned i = 0; i < ours->count; i++)
        if (address_same_host(&ours->items[i], address))
            return true;
    return false;
}

/* 0, or an errno. */
static int dial_address(struct overlay *overlay, unsigned node,
                        union address address)
{
    int fd = socket(address.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = errno;
    struct link *link;

    if (fd < 0)
        return error;
    link = add_link(overlay, fd, (int)node);
    if (link == NULL) {
        close(fd);
        return ENOMEM;
    }
    if (bufferevent_socket_connect(link->bev, &address.any,
                                   (int)address_size(&address)) == 0)
        return 0;
    error = errno;
    free_link(link);
    return error != 0 ? error : ECONNREFUSED;
}

/*
 * An address that we have too (docker0's, say) leads to ourselves, where
 * somebody else may listen. Nodes on one machine have no others.
 */
static int dial_addresses(struct overlay *overlay, unsigned node, bool ours,
                          int error)
{
    const struct addresses *at = &overlay->config.peers[node];
    bool begun = false;

    for (unsigned i = 0; i < at->count; i++) {
        int rc = 0;

        if (is_ours(overlay, &at->items[i]) != ours)
            continue;
        rc = dial_address(overlay, node, at->items[i]);
        begun |= rc == 0;
        error = rc != 0 ? rc : error;
    }
    return begun ? 0 : error;
}

static void dial(struct overlay *overlay, unsigned node)
{
    struct peer *peer = &overlay->peers[node];
    int error;

    if (peer->link != NULL || peer->dialled || peer->lost || peer->bye)
        return;
    peer->dialled = true;
    error = dial_addresses(overlay, node, false, EADDRNOTAVAIL);
    if (error != 0)
        error = dial_addresses(overlay, node, true, error);
    if (error != 0)
        fail_later(overlay, node, error);
}

/* ---- who watches whom ---- */

static unsigned parent_of(unsigned node)
{
    return (node - 1) / RADIX;
}

static bool is_neighbour(const struct overlay *overlay, unsigned node)
{
    unsigned self = overlay->config.self;

    return (self > 0 && parent_of(self) == node) ||
           (node > 0 && parent_of(node) == self);
}

/*
 * The next one up the tree. That one may leave before we have reached it, when
 * only nodes that it knew heard its bye: then it is not lost, we go on. Its own
 * neighbours would miss it.
 */
static void watch_up(struct overlay *overlay)
{
    unsigned node = overlay->config.self;

    if (overlay->closing)
        return;
    while (node > 0) {
        struct peer *peer = &overlay->peers[node = parent_of(node)];

        if (peer->left || peer->absent)
            continue;
        peer->wanted |= is_neighbour(overlay, node);
        dial(overlay, node);
        return;
    }
}

/* Children come by themselves; one that does not is lost, if it is not late. */
static void watch_down(struct overlay *overlay)
{
    unsigned first = overlay->config.self * RADIX + 1;

    overlay->watching = true;
    for (unsigned i = 0; i < RADIX && first + i < overlay->config.count; i++) {
        overlay->peers[first + i].wanted = true;
        dial(overlay, first + i);
    }
}

/* ---- the last word ---- */

/*
 * Each tells its neighbours in the tree, and whoever comes. In place of one
 * that has gone, which perhaps did not hear it, its neighbours are told.
 */
static void say_word(const struct link *link)
{
    struct overlay *overlay = link->overlay;
    unsigned node = (unsigned)link->node;

    overlay->peers[node].told = true;
    if (put_frame(overlay, output_of(link), overlay->word.kind,
                  overlay->word.bytes, overlay->word.len) < 0)
        fail_later(overlay, node, ENOMEM);
}

static void spread_to(struct overlay *overlay, unsigned node)
{
    struct peer *peer = &overlay->peers[node];

    if (node == overlay->config.self || peer->told)
        return;
    peer->told = true;
    if (peer->left || peer->absent || peer->lost)
        spread_beyond(overlay, node);
    else if (peer->link != NULL)
        say_word(peer->link);
    else
        dial(overlay, node);
}

static void spread_beyond(struct overlay *overlay, unsigned node)
{
    unsigned first = node * RADIX + 1;

    if (overlay->word.bytes == NULL)
        return;
    if (node > 0)
        spread_to(overlay, parent_of(node));
    for (unsigned i = 0; i < RADIX && first + i < overlay->config.count; i++)
        spread_to(overlay, first + i);
}

/* ---- time ---- */

/* When we were stopped ourselves, what others did meanwhile was not heard. */
static void forgive(struct overlay *overlay, msec time)
{
    for (struct link *link = overlay->unknown; link; link = link->next)
        link->heard = time;
    for (unsigned node = 0; node < overlay->config.count; node++)
        for (struct link *link = overlay->peers[node].links; link != NULL;
             link = link->next)
            link->heard = time;
}

/* The first that was not heard since then. */
static struct link *find_silent(struct link *link, msec since)
{
    while (link != NULL && link->heard >= since)
        link = link->next;
    return link;
}

static void end_silent(struct link **list, msec since)
{
    struct link *link;

    while ((link = find_silent(*list, since)) != NULL)
        end_link(link, "it does not answer");
}

static void ping(const struct overlay *overlay)
{
    for (unsigned node = 0; node < overlay->config.count; node++)
        for (const struct link *link = overlay->peers[node].links; link != NULL;
             link = link->next)
            if (link->greeted && !link->left)
                say(link, OVERLAY_PING);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct overlay *overlay = ctx;
    msec time = now();

    (void)fd;
    (void)what;
    if (time - overlay->ticked > overlay->silence / 2)
        forgive(overlay, time);
    overlay->ticked = time;
    accept_again(overlay);
    end_silent(&overlay->unknown, time - overlay->silence);
    for (unsigned node = 0; node < overlay->config.count; node++)
        end_silent(&overlay->peers[node].links, time - overlay->silence);
    if (!overlay->closing)
        ping(overlay);
    if (!overlay->watching && time - overlay->created > overlay->silence / 2)
        watch_down(overlay);
}

/* ---- for users ---- */

void overlay_tell(struct overlay *overlay, unsigned node, unsigned kind,
                  const void *bytes, size_t len)
{
    struct peer *peer = &overlay->peers[node];
    struct evbuffer *out =
        peer->link != NULL ? output_of(peer->link) : peer->pending;

    if (peer->left || peer->lost || peer->error != 0 || overlay->closing)
        return;
    if (len > FRAME_BODY_MAX)
        fail_later(overlay, node, EMSGSIZE);
    else if (put_frame(overlay, out, kind, bytes, len) < 0)
        fail_later(overlay, node, ENOMEM);
    else
        dial(overlay, node);
}

void overlay_send(struct overlay *overlay, unsigned node, unsigned kind,
                  const void *bytes, size_t len)
{
    overlay->peers[node].wanted = true;
    overlay_tell(overlay, node, kind, bytes, len);
}

void overlay_spread(struct overlay *overlay, unsigned kind, const void *bytes,
                    size_t len)
{
    if (overlay->word.bytes != NULL || overlay->closing)
        return;
    overlay->word.bytes = malloc(len + 1);
    if (overlay->word.bytes == NULL)
        return; /* others will miss us */
    memcpy(overlay->word.bytes, bytes, len);
    overlay->word.kind = kind;
    overlay->word.len = len;
    for (unsigned node = 0; node < overlay->config.count; node++)
        if (overlay->peers[node].link != NULL)
            say_word(overlay->peers[node].link);
    spread_beyond(overlay, overlay->config.self);
}

unsigned overlay_neighbour(const struct overlay *overlay)
{
    for (unsigned node = 0; node < overlay->config.count; node++) {
        const struct peer *peer = &overlay->peers[node];

        if (node != overlay->config.self && !peer->left && !peer->lost &&
            find_greeted(peer->links) != NULL)
            return node;
    }
    return overlay->config.self;
}

bool overlay_has_left(const struct overlay *overlay, unsigned node)
{
    const struct peer *peer = &overlay->peers[node];

    return peer->left || peer->absent;
}

unsigned overlay_strangers(const struct overlay *overlay)
{
    return overlay->strangers;
}

/* ---- life ---- */

static int make_events(struct overlay *overlay)
{
    struct event_base *base = overlay->config.base;
    const msec period = overlay->silence / PINGS;
    const struct timeval time = {.tv_sec = period / 1000,
                                 .tv_usec = period % 1000 * 1000};

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
    overlay->errors = event_new(base, -1, 0, on_errors, overlay);
    overlay->tick = event_new(base, -1, EV_PERSIST, on_tick, overlay);
    if (overlay->errors == NULL || overlay->tick == NULL)
        return -1;
    return event_add(overlay->tick, &time);
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
        for (int i = 0; i < LISTENERS; i++)
            ct_close(&(int){config->listeners[i]});
        ct_fail_nomem(reterr);
        return NULL;
    }
    overlay->config = *config;
    overlay->silence =
        (msec)(config->silence != 0 ? config->silence : SILENCE) * 1000;
    overlay->created = overlay->ticked = now();
    if (make_peers(overlay) < 0 || make_events(overlay) < 0) {
        ct_fail_nomem(reterr);
        overlay_close(overlay, 0);
        return NULL;
    }
    watch_up(overlay);
    return overlay;
}

/* ---- leaving ---- */

static void on_flushed(struct bufferevent *bev, void *ctx)
{
    (void)ctx;
    shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void say_bye(struct link *link)
{
    say(link, OVERLAY_BYE);
    bufferevent_setcb(link->bev, on_read, on_flushed, on_event, link);
}

/* Is there anything that we owe it, or that it has to do? */
static bool is_open(const struct overlay *overlay, unsigned node)
{
    const struct peer *peer = &overlay->peers[node];

    for (const struct link *link = peer->links; link; link = link->next)
        if (!link->dialled || link->greeted)
            return true;
    if (peer->lost || peer->left)
        return false;
    return evbuffer_get_length(peer->pending) > 0 ||
           (peer->told && peer->dialled) ||
           (!peer->met && is_neighbour(overlay, node));
}

static bool is_any_open(const struct overlay *overlay)
{
    for (unsigned node = 0; node < overlay->config.count; node++)
        if (is_open(overlay, node))
            return true;
    return false;
}

static void leave(struct overlay *overlay, unsigned seconds)
{
    msec end = now() + (msec)seconds * 1000;

    overlay->closing = true;
    watch_down(overlay);
    for (unsigned node = 0; node < overlay->config.count; node++)
        for (struct link *link = overlay->peers[node].links; link != NULL;
             link = link->next)
            if (link->greeted)
                say_bye(link);
    /* The tick wakes us. */
    while (is_any_open(overlay) && now() < end)
        if (event_base_loop(overlay->config.base, EVLOOP_ONCE) != 0)
            return;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void free_peers(struct overlay *overlay)
{
    for (unsigned i = 0; overlay->peers != NULL && i < overlay->config.count;
         i++) {
        while (overlay->peers[i].links != NULL)
            free_link(overlay->peers[i].links);
        if (overlay->peers[i].pending != NULL)
            evbuffer_free(overlay->peers[i].pending);
    }
    free(overlay->peers);
}

void overlay_close(struct overlay *overlay, unsigned seconds)
{
    if (overlay == NULL)
        return;
    if (overlay->tick != NULL && seconds > 0)
        leave(overlay, seconds);
    while (overlay->unknown != NULL)
        free_link(overlay->unknown);
    free_peers(overlay);
    for (int i = 0; i < LISTENERS; i++) {
        free_event(overlay->accepts[i]);
        ct_close(&overlay->config.listeners[i]);
    }
    free_event(overlay->tick);
    free_event(overlay->errors);
    free(overlay->word.bytes);
    free(overlay);
}
