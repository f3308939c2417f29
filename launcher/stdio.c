#include "launcher/stdio.h"

#include "base/scope.h"
#include "launcher/feeds.h"
#include "launcher/input.h"
#include "launcher/lines.h"
#include "launcher/sink.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A pipe from a rank. */
struct stream {
    struct stream *next;
    struct stdio *stdio;
    int fd;
    struct event *readable;
    struct agent_rank rank;
    bool is_error;
    struct sink *sink;
    struct lines lines;
};

/* --output: ranks whose pattern makes the same name share the file. */
struct file {
    struct file *next;
    char *path;
    struct sink *sink;
};

struct stdio {
    struct stdio_config config;
    bool direct;
    bool terminal;
    struct input *input;
    struct feeds *feeds; /* --stdin tool */
    struct sink *out, *err;
    struct file *files;
    struct stream *streams;
    char block[65536];
};

/* ---- sinks ---- */

/* Those that were held back go on; each sees for itself if its sink is full. */
void stdio_drained(struct stdio *stdio)
{
    for (struct stream *s = stdio->streams; s != NULL; s = s->next)
        event_add(s->readable, NULL);
}

static void on_drained(void *ctx)
{
    stdio_drained(ctx);
}

static void on_broken(void *ctx, const char *name, int error)
{
    struct stdio *stdio = ctx;

    stdio->config.broken(stdio->config.ctx, name, error);
}

static struct sink *new_sink(struct stdio *stdio, int fd, const char *name)
{
    static const struct sink_callbacks callbacks = {on_drained, on_broken};

    return sink_create(stdio->config.base, fd, fd > STDERR_FILENO, name,
                       &callbacks, stdio);
}

/* %r rank, %h host, %j job, %% */
static char *expand(const struct stdio *stdio, const struct agent_rank *rank)
{
    const char *pattern = stdio->config.options->output;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL)
        return NULL;
    for (const char *s = pattern; *s != '\0'; s++) {
        if (*s != '%') {
            fputc(*s, f);
            continue;
        }
        s++;
        if (*s == 'r' && rank->job > 0)
            fprintf(f, "%u.%u", rank->job, rank->rank);
        else if (*s == 'r')
            fprintf(f, "%u", rank->rank);
        else
            fputs(*s == 'h'   ? stdio->config.host
                  : *s == 'j' ? stdio->config.jobid
                              : "%",
                  f);
    }
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

static struct file *open_file(struct stdio *stdio, const char *path,
                              struct ct_error *reterr)
{
    struct file *file;
    CT_AUTO_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0) {
        ct_fail_errno(reterr, "--output: cannot open %.200s", path);
        return NULL;
    }
    file = calloc(1, sizeof *file);
    if (file != NULL)
        file->path = strdup(path);
    if (file != NULL && file->path != NULL)
        file->sink = new_sink(stdio, fd, path);
    if (file == NULL || file->sink == NULL) {
        if (file != NULL)
            free(file->path);
        free(file);
        ct_fail_nomem(reterr);
        return NULL;
    }
    ct_steal_fd(&fd);
    file->next = stdio->files;
    stdio->files = file;
    return file;
}

static struct sink *file_of(struct stdio *stdio, const struct agent_rank *rank,
                            struct ct_error *reterr)
{
    CT_AUTO_FREE char *path = expand(stdio, rank);
    struct file *file = stdio->files;

    if (path == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    while (file != NULL && strcmp(file->path, path) != 0)
        file = file->next;
    if (file == NULL)
        file = open_file(stdio, path, reterr);
    return file != NULL ? file->sink : NULL;
}

/* ---- streams ---- */

static void stream_free(struct stream *stream)
{
    event_free(stream->readable);
    lines_clear(&stream->lines);
    ct_close(&stream->fd);
    free(stream);
}

static void stream_remove(struct stream *stream)
{
    struct stream **link = &stream->stdio->streams;

    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    stream_free(stream);
}

enum read_result { READ_BLOCK, READ_NOTHING, READ_END };

static enum read_result read_block(struct stream *stream)
{
    struct stdio *stdio = stream->stdio;
    struct evbuffer *out = sink_buffer(stream->sink);
    ssize_t len = read(stream->fd, stdio->block, sizeof stdio->block);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return READ_NOTHING;
    if (len <= 0)
        return READ_END;
    stdio->config.copy(stdio->config.ctx, &stream->rank, stream->is_error,
                       stdio->block, (size_t)len);
    lines_add(&stream->lines, stdio->block, (size_t)len, out);
    sink_write(stream->sink);
    return READ_BLOCK;
}

static void stream_end(struct stream *stream)
{
    lines_end(&stream->lines, sink_buffer(stream->sink));
    sink_write(stream->sink);
    stream_remove(stream);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct stream *stream = ctx;

    (void)fd;
    (void)what;
    if (sink_is_full(stream->sink) ||
        stream->stdio->config.copies_are_full(stream->stdio->config.ctx)) {
        event_del(stream->readable); /* until stdio_drained() */
        return;
    }
    if (read_block(stream) == READ_END)
        stream_end(stream);
}

/* As srun has it: "07: " where there are ten ranks or more. */
static void make_label(const struct stdio *stdio, const struct agent_rank *rank,
                       char *buf, size_t size)
{
    int width = snprintf(NULL, 0, "%u", stdio->config.size - 1);

    buf[0] = '\0';
    if (!stdio->config.options->label)
        return;
    if (rank->job > 0)
        snprintf(buf, size, "%u.%u: ", rank->job, rank->rank);
    else
        snprintf(buf, size, "%0*u: ", width, rank->rank);
}

/* The other end of the pipe, for the rank; -1 with errno. */
static int add_stream(struct stdio *stdio, const struct agent_rank *rank,
                      bool is_error, struct sink *sink)
{
    struct stream *stream = calloc(1, sizeof *stream);
    int ends[2];

    if (stream == NULL)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(stream);
        return -1;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* our end alone */
    stream->stdio = stdio;
    stream->fd = ends[0];
    stream->rank = *rank;
    stream->is_error = is_error;
    stream->sink = sink;
    make_label(stdio, rank, stream->lines.label, sizeof stream->lines.label);
    stream->readable = event_new(stdio->config.base, ends[0],
                                 EV_READ | EV_PERSIST, on_readable, stream);
    if (stream->readable == NULL || event_add(stream->readable, NULL) < 0) {
        close(ends[0]);
        close(ends[1]);
        free(stream);
        errno = ENOMEM;
        return -1;
    }
    stream->next = stdio->streams;
    stdio->streams = stream;
    return ends[1];
}

/* ---- ranks ---- */

static int open_output(struct stdio *stdio, const struct agent_rank *rank,
                       struct agent_stdio *ret, struct ct_error *reterr)
{
    struct sink *out = stdio->out, *err = stdio->err;

    if (stdio->config.options->output != NULL) {
        out = err = file_of(stdio, rank, reterr);
        if (out == NULL)
            return -1;
    }
    ret->fds[1] = add_stream(stdio, rank, false, out);
    if (ret->fds[1] >= 0)
        ret->fds[2] = add_stream(stdio, rank, true, err);
    if (ret->fds[1] < 0 || ret->fds[2] < 0)
        return ct_fail_errno(reterr, "cannot make pipes for its output");
    return 0;
}

/* Does this rank read our stdin? */
static bool is_reader(const struct stdio *stdio, const struct agent_rank *rank)
{
    const struct options *options = stdio->config.options;

    return rank->job == 0 && (options->stdin_to == STDIN_ALL ||
                              (options->stdin_to == STDIN_RANK &&
                               options->stdin_rank == rank->rank));
}

static int open_input(struct stdio *stdio, const struct agent_rank *rank,
                      struct agent_stdio *ret, struct ct_error *reterr)
{
    if (stdio_takes_input(stdio, rank)) {
        ret->fds[0] = feeds_open(stdio->feeds, rank->rank);
    } else if (!is_reader(stdio, rank)) {
        return 0;
    } else if (stdio->input == NULL) {
        ret->fds[0] = STDIN_FILENO;
        return 0;
    } else {
        ret->fds[0] = input_open(stdio->input);
    }
    return ret->fds[0] >= 0
               ? 0
               : ct_fail_errno(reterr, "cannot make a pipe for its input");
}

static void open_direct(const struct stdio *stdio, struct agent_stdio *ret)
{
    bool reads = stdio->config.options->stdin_to != STDIN_NONE;

    ret->fds[0] = reads ? STDIN_FILENO : -1;
    ret->fds[1] = STDOUT_FILENO;
    ret->fds[2] = STDERR_FILENO;
    ret->group = stdio->terminal ? getpgrp() : 0;
}

int stdio_open(struct stdio *stdio, const struct agent_rank *rank,
               struct agent_stdio *ret, struct ct_error *reterr)
{
    if (stdio->direct && rank->job == 0) {
        open_direct(stdio, ret);
        return 0;
    }
    if (open_output(stdio, rank, ret, reterr) < 0)
        return -1;
    return open_input(stdio, rank, ret, reterr);
}

/* Children of ranks read nothing. */
bool stdio_takes_input(const struct stdio *stdio, const struct agent_rank *rank)
{
    return stdio->feeds != NULL && rank->job == 0;
}

void stdio_feed(struct stdio *stdio, const struct agent_rank *rank,
                const struct feed *feed)
{
    feeds_write(stdio->feeds, rank->rank, feed);
}

void stdio_log(struct stdio *stdio, const struct agent_rank *rank,
               bool is_error, const char *text)
{
    struct sink *sink = is_error ? stdio->err : stdio->out;
    struct lines lines = {0};
    struct ct_error err;

    if (stdio->config.options->output != NULL)
        sink = file_of(stdio, rank, &err);
    if (sink == NULL)
        return;
    make_label(stdio, rank, lines.label, sizeof lines.label);
    lines_add(&lines, text, strlen(text), sink_buffer(sink));
    lines_end(&lines, sink_buffer(sink));
    lines_clear(&lines);
    sink_write(sink);
}

bool stdio_shares_terminal(const struct stdio *stdio)
{
    return stdio->direct && stdio->terminal;
}

void stdio_resume(struct stdio *stdio)
{
    if (stdio->input != NULL)
        input_resume(stdio->input);
}

void stdio_catch_up(struct stdio *stdio)
{
    for (struct stream *s = stdio->streams; s != NULL; s = s->next)
        while (!sink_is_full(s->sink) && read_block(s) == READ_BLOCK)
            ;
}

void stdio_finish(struct stdio *stdio)
{
    while (stdio->streams != NULL) {
        while (read_block(stdio->streams) == READ_BLOCK)
            ;
        stream_end(stdio->streams);
    }
}

bool stdio_is_idle(const struct stdio *stdio)
{
    for (const struct file *f = stdio->files; f != NULL; f = f->next)
        if (!sink_is_idle(f->sink))
            return false;
    return stdio->streams == NULL && sink_is_idle(stdio->out) &&
           sink_is_idle(stdio->err);
}

/* A rank in a process group of its own may not read the terminal itself. */
static int make_input(struct stdio *stdio)
{
    const struct options *options = stdio->config.options;
    bool all = options->stdin_to == STDIN_ALL;

    if (options->stdin_to == STDIN_TOOL) {
        stdio->feeds = feeds_create(stdio->config.base, stdio->config.size);
        return stdio->feeds != NULL ? 0 : -1;
    }
    if (stdio->direct || options->stdin_to == STDIN_NONE ||
        (!all && !isatty(STDIN_FILENO)))
        return 0;
    stdio->input =
        input_create(stdio->config.base, all ? stdio->config.size : 1);
    return stdio->input != NULL ? 0 : -1;
}

struct stdio *stdio_create(const struct stdio_config *config)
{
    struct stdio *stdio = calloc(1, sizeof *stdio);

    if (stdio == NULL)
        return NULL;
    stdio->config = *config;
    stdio->direct = config->size == 1 && !config->options->label &&
                    !config->options->tools && config->options->output == NULL;
    stdio->terminal =
        isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
    stdio->out = new_sink(stdio, STDOUT_FILENO, "standard output");
    stdio->err = new_sink(stdio, STDERR_FILENO, "standard error");
    if (stdio->out != NULL && stdio->err != NULL && make_input(stdio) == 0)
        return stdio;
    stdio_destroy(stdio);
    return NULL;
}

void stdio_destroy(struct stdio *stdio)
{
    if (stdio == NULL)
        return;
    while (stdio->streams != NULL)
        stream_remove(stdio->streams);
    while (stdio->files != NULL) {
        struct file *file = stdio->files;
        stdio->files = file->next;
        sink_destroy(file->sink);
        free(file->path);
        free(file);
    }
    input_destroy(stdio->input);
    feeds_destroy(stdio->feeds);
    sink_destroy(stdio->out);
    sink_destroy(stdio->err);
    free(stdio);
}
