#include "launcher/feeds.h"

#include "base/scope.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct meal {
    struct meal *next;
    struct feed feed;
    size_t written;
};

struct reader {
    int fd;    /* -1: not open */
    bool over; /* was open, and takes no more */
    struct event *writable;
    struct meal *first, **last;
};

struct feeds {
    struct event_base *base;
    unsigned size;
    struct reader *readers; /* [size] */
};

/* ---- what waits ---- */

static void take_off(struct reader *reader, bool taken)
{
    struct meal *meal = reader->first;
    struct feed feed = meal->feed;

    reader->first = meal->next;
    if (reader->first == NULL)
        reader->last = &reader->first;
    free(meal);
    feed.done(feed.push, taken);
}

static void reader_close(struct reader *reader)
{
    reader->over = true;
    if (reader->writable != NULL)
        event_free(reader->writable);
    reader->writable = NULL;
    ct_close(&reader->fd);
}

static void reader_end(struct reader *reader)
{
    reader_close(reader);
    while (reader->first != NULL)
        take_off(reader, false);
}

/* ---- writing ---- */

enum progress { WRITTEN, BLOCKED, BROKEN };

static enum progress write_some(const struct reader *reader, struct meal *meal)
{
    const char *bytes = meal->feed.bytes;
    ssize_t len;

    while (meal->written < meal->feed.len) {
        len = write(reader->fd, bytes + meal->written,
                    meal->feed.len - meal->written);
        if (len < 0 && errno == EAGAIN)
            return BLOCKED;
        if (len < 0 && errno != EINTR)
            return BROKEN;
        if (len > 0)
            meal->written += (size_t)len;
    }
    return WRITTEN;
}

static void serve(struct reader *reader)
{
    while (reader->first != NULL && reader->fd >= 0) {
        bool last = reader->first->feed.last;
        enum progress progress = write_some(reader, reader->first);

        if (progress == BLOCKED) {
            event_add(reader->writable, NULL);
            return;
        }
        if (progress == WRITTEN)
            take_off(reader, true);
        if (progress == BROKEN || last)
            reader_end(reader);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    serve(ctx);
}

void feeds_write(struct feeds *feeds, unsigned rank, const struct feed *feed)
{
    struct reader *reader = &feeds->readers[rank];
    struct meal *meal = reader->over ? NULL : calloc(1, sizeof *reader->first);

    if (meal == NULL) {
        feed->done(feed->push, false);
        return;
    }
    meal->feed = *feed;
    *reader->last = meal;
    reader->last = &meal->next;
    serve(reader);
}

/* ---- life ---- */

int feeds_open(struct feeds *feeds, unsigned rank)
{
    struct reader *reader = &feeds->readers[rank];
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    reader->writable =
        event_new(feeds->base, ends[1], EV_WRITE, on_writable, reader);
    /* Our end alone: the rank's is a plain pipe. */
    if (reader->writable == NULL || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    reader->fd = ends[1];
    serve(reader);
    return ends[0];
}

struct feeds *feeds_create(struct event_base *base, unsigned size)
{
    struct feeds *feeds = calloc(1, sizeof *feeds);

    if (feeds == NULL)
        return NULL;
    feeds->base = base;
    feeds->size = size;
    feeds->readers = calloc(size, sizeof *feeds->readers);
    if (feeds->readers == NULL) {
        free(feeds);
        return NULL;
    }
    for (unsigned rank = 0; rank < size; rank++) {
        feeds->readers[rank].fd = -1;
        feeds->readers[rank].last = &feeds->readers[rank].first;
    }
    return feeds;
}

void feeds_destroy(struct feeds *feeds)
{
    if (feeds == NULL)
        return;
    for (unsigned rank = 0; rank < feeds->size; rank++) {
        struct meal *next;

        reader_close(&feeds->readers[rank]);
        for (struct meal *meal = feeds->readers[rank].first; meal != NULL;
             meal = next) {
            next = meal->next;
            free(meal);
        }
    }
    free(feeds->readers);
    free(feeds);
}
