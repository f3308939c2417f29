/*
 * A pump with one block: it is read when no reader has anything left of the one
 * before. Input that an event loop cannot wait for (a file, /dev/zero) is read
 * at that moment, other input when there is some. A terminal is not read while
 * another group has it; nothing tells us when we get it (a shell sends SIGCONT
 * to what was stopped alone), so that is looked at now and then.
 */
#include "launcher/input.h"

#include "base/scope.h"
#include "launcher/sink.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct reader {
    struct reader *next;
    struct input *input;
    int fd;
    struct evbuffer *left;
    struct event *writable;
};

struct input {
    struct event_base *base;
    struct event *readable; /* of stdin; a timer of no time when unpollable */
    struct event *look;     /* a timer: is the terminal ours now? */
    struct reader *readers;
    unsigned missing; /* readers that are still to come */
    bool ended;
    char block[65536];
};

static void reader_free(struct reader *reader)
{
    if (reader->writable != NULL)
        event_free(reader->writable);
    if (reader->left != NULL)
        evbuffer_free(reader->left);
    ct_close(&reader->fd);
    free(reader);
}

static void reader_remove(struct reader *reader)
{
    struct reader **link = &reader->input->readers;

    while (*link != reader)
        link = &(*link)->next;
    *link = reader->next;
    reader_free(reader);
}

/* May we read, or would that stop us (SIGTTIN)? */
static bool in_foreground(void)
{
    pid_t group = tcgetpgrp(STDIN_FILENO);

    return group < 0 || group == getpgrp();
}

static void look_later(struct input *input)
{
    static const struct timeval soon = {.tv_usec = 250 * 1000};

    event_add(input->look, &soon);
}

static void read_more(struct input *input)
{
    static const struct timeval at_once = {0};

    if (input->missing > 0 || input->readers == NULL)
        return;
    if (!in_foreground()) {
        look_later(input);
        return;
    }
    for (struct reader *r = input->readers; r != NULL; r = r->next)
        if (evbuffer_get_length(r->left) > 0)
            return;
    event_add(input->readable, sink_can_poll(STDIN_FILENO) ? NULL : &at_once);
}

static void close_readers(struct input *input)
{
    input->ended = true;
    while (input->readers != NULL)
        reader_remove(input->readers);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct input *input = ctx;
    ssize_t len;

    (void)fd;
    (void)what;
    if (!in_foreground()) {
        look_later(input);
        return;
    }
    len = read(STDIN_FILENO, input->block, sizeof input->block);
    if (len < 0 && (errno == EINTR || errno == EAGAIN)) {
        read_more(input);
        return;
    }
    if (len <= 0) {
        close_readers(input);
        return;
    }
    for (struct reader *r = input->readers; r != NULL; r = r->next)
        if (evbuffer_add(r->left, input->block, (size_t)len) == 0)
            event_add(r->writable, NULL);
}

/* A reader that is gone is no error: it wants no more. */
static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
    struct reader *reader = ctx;
    struct input *input = reader->input;
    int n = evbuffer_write(reader->left, fd);

    (void)what;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        reader_remove(reader);
    else if (evbuffer_get_length(reader->left) > 0)
        event_add(reader->writable, NULL);
    read_more(input);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
    struct input *input = ctx;

    (void)fd;
    (void)what;
    input_resume(input);
}

struct input *input_create(struct event_base *base, unsigned readers)
{
    struct input *input = calloc(1, sizeof *input);

    if (input == NULL)
        return NULL;
    input->base = base;
    input->missing = readers;
    input->readable =
        event_new(base, sink_can_poll(STDIN_FILENO) ? STDIN_FILENO : -1,
                  EV_READ, on_readable, input);
    input->look = event_new(base, -1, 0, on_look, input);
    if (input->readable != NULL && input->look != NULL)
        return input;
    input_destroy(input);
    return NULL;
}

void input_destroy(struct input *input)
{
    if (input == NULL)
        return;
    close_readers(input);
    if (input->readable != NULL)
        event_free(input->readable);
    if (input->look != NULL)
        event_free(input->look);
    free(input);
}

static struct reader *reader_new(struct input *input, int fd)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return NULL;
    reader->input = input;
    reader->fd = -1;
    reader->left = evbuffer_new();
    reader->writable =
        event_new(input->base, fd, EV_WRITE, on_writable, reader);
    if (reader->left == NULL || reader->writable == NULL) {
        reader_free(reader);
        errno = ENOMEM;
        return NULL;
    }
    reader->fd = fd;
    reader->next = input->readers;
    input->readers = reader;
    return reader;
}

int input_open(struct input *input)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    /* Our end alone: the rank's is a plain pipe. */
    if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0 ||
        reader_new(input, ends[1]) == NULL) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    if (input->missing > 0)
        input->missing--;
    read_more(input);
    return ends[0];
}

void input_resume(struct input *input)
{
    if (!input->ended)
        read_more(input);
}
