#include "launcher/logs.h"

#include "base/scope.h"
#include "launcher/sink.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <string.h>

enum { STREAMS = 2, PATIENCE = 5 /* seconds */ };

struct lent {
    struct lent *next;
    unsigned rank;
    bool over; /* its process has ended */
    struct sink *sinks[STREAMS];
    struct event *ended;
};

struct logs {
    struct event_base *base;
    struct sink *own[STREAMS];
    struct lent *lents;
};

/* ---- sinks ---- */

static void on_drained(void *ctx)
{
    (void)ctx; /* nobody is held back */
}

static void on_broken(void *ctx, const char *name, int error)
{
    (void)ctx; /* there is nobody else to tell */
    (void)name;
    (void)error;
}

static struct sink *new_sink(struct logs *logs, int fd, bool owned)
{
    static const struct sink_callbacks callbacks = {.drained = on_drained,
                                                    .broken = on_broken};

    return sink_create(logs->base, fd, owned, "what a rank logs", &callbacks,
                       logs);
}

/* Not while something waits in it: then it is closed at the end. */
static void close_idle(struct lent *lent)
{
    for (int i = 0; i < STREAMS; i++)
        if (lent->sinks[i] != NULL && sink_is_idle(lent->sinks[i])) {
            sink_destroy(lent->sinks[i]);
            lent->sinks[i] = NULL;
        }
}

static void on_ended(evutil_socket_t fd, short what, void *ctx)
{
    struct lent *lent = ctx;

    (void)fd;
    (void)what;
    lent->over = true;
    close_idle(lent);
}

static void free_lent(struct lent *lent)
{
    for (int i = 0; i < STREAMS; i++)
        sink_destroy(lent->sinks[i]);
    if (lent->ended != NULL)
        event_free(lent->ended);
    free(lent);
}

/* ---- what ranks lend ---- */

static int watch(struct logs *logs, struct lent *lent, int pidfd)
{
    lent->ended = event_new(logs->base, pidfd, EV_READ, on_ended, lent);
    return lent->ended != NULL ? event_add(lent->ended, NULL) : -1;
}

int logs_add(struct logs *logs, unsigned rank, int pidfd, const int fds[2])
{
    struct lent *lent = calloc(1, sizeof *lent);
    bool failed = lent == NULL;

    for (int i = 0; i < STREAMS; i++) {
        int fd = fds[i];

        if (fd < 0)
            continue;
        if (!failed)
            lent->sinks[i] = new_sink(logs, fd, true);
        if (failed || lent->sinks[i] == NULL) {
            ct_close(&fd);
            failed = true;
        }
    }
    if (failed || watch(logs, lent, pidfd) < 0) {
        if (lent != NULL)
            free_lent(lent);
        return -1;
    }
    lent->rank = rank;
    lent->next = logs->lents;
    logs->lents = lent;
    return 0;
}

static struct lent *find_lent(const struct logs *logs, unsigned rank)
{
    struct lent *lent = logs->lents;

    while (lent != NULL && lent->rank != rank)
        lent = lent->next;
    return lent;
}

static struct sink *sink_of(const struct logs *logs, unsigned rank, int stream)
{
    const struct lent *lent = find_lent(logs, rank);

    return lent != NULL && !lent->over && lent->sinks[stream] != NULL
               ? lent->sinks[stream]
               : logs->own[stream];
}

void logs_write(struct logs *logs, unsigned rank, bool is_error,
                const char *text)
{
    struct sink *sink = sink_of(logs, rank, is_error);

    if (sink_is_full(sink))
        return; /* nobody reads */
    evbuffer_add(sink_buffer(sink), text, strlen(text));
    sink_write(sink);
}

/* ---- life ---- */

struct logs *logs_create(struct event_base *base)
{
    struct logs *logs = calloc(1, sizeof *logs);

    if (logs == NULL)
        return NULL;
    logs->base = base;
    logs->own[0] = new_sink(logs, STDOUT_FILENO, false);
    logs->own[1] = new_sink(logs, STDERR_FILENO, false);
    if (logs->own[0] != NULL && logs->own[1] != NULL)
        return logs;
    logs_destroy(logs);
    return NULL;
}

static bool is_idle(const struct logs *logs)
{
    for (int i = 0; i < STREAMS; i++) {
        if (logs->own[i] != NULL && !sink_is_idle(logs->own[i]))
            return false;
        for (const struct lent *lent = logs->lents; lent; lent = lent->next)
            if (lent->sinks[i] != NULL && !sink_is_idle(lent->sinks[i]))
                return false;
    }
    return true;
}

static void give_up(evutil_socket_t fd, short what, void *ctx)
{
    bool *over = ctx;

    (void)fd;
    (void)what;
    *over = true;
}

static void finish(struct logs *logs)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    bool over = false;
    struct event *timer = event_new(logs->base, -1, 0, give_up, &over);

    if (timer != NULL && event_add(timer, &patience) == 0)
        while (!over && !is_idle(logs) &&
               event_base_loop(logs->base, EVLOOP_ONCE) == 0)
            ;
    if (timer != NULL)
        event_free(timer);
}

void logs_destroy(struct logs *logs)
{
    if (logs == NULL)
        return;
    if (!is_idle(logs))
        finish(logs);
    while (logs->lents != NULL) {
        struct lent *lent = logs->lents;
        logs->lents = lent->next;
        free_lent(lent);
    }
    for (int i = 0; i < STREAMS; i++)
        sink_destroy(logs->own[i]);
    free(logs);
}
