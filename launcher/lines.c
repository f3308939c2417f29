#include "launcher/lines.h"

#include <event2/buffer.h>
#include <string.h>

enum { HELD_MAX = 1024 * 1024 };

static void put(struct lines *lines, struct evbuffer *out, const char *bytes,
                size_t len)
{
    if (evbuffer_add(out, bytes, len) < 0)
        lines->failed = true;
}

static void put_label(struct lines *lines, struct evbuffer *out)
{
    if (!lines->inside)
        put(lines, out, lines->label, strlen(lines->label));
}

static void put_held(struct lines *lines, struct evbuffer *out)
{
    if (lines->held != NULL && evbuffer_add_buffer(out, lines->held) < 0)
        lines->failed = true;
}

static void hold(struct lines *lines, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    if (lines->held == NULL)
        lines->held = evbuffer_new();
    if (lines->held == NULL || evbuffer_add(lines->held, bytes, len) < 0)
        lines->failed = true;
}

static size_t held(const struct lines *lines)
{
    return lines->held != NULL ? evbuffer_get_length(lines->held) : 0;
}

/* Without labels all lines are one piece. */
static void put_plain(struct lines *lines, const char *bytes, size_t len,
                      struct evbuffer *out)
{
    put_held(lines, out);
    put(lines, out, bytes, len);
}

static void put_labelled(struct lines *lines, const char *bytes, size_t len,
                         struct evbuffer *out)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t line = end != NULL ? (size_t)(end - bytes) + 1 : len;

        put_label(lines, out);
        put_held(lines, out);
        put(lines, out, bytes, line);
        lines->inside = false;
        bytes += line;
        len -= line;
    }
}

void lines_add(struct lines *lines, const char *bytes, size_t len,
               struct evbuffer *out)
{
    const char *last = memrchr(bytes, '\n', len);
    size_t whole = last != NULL ? (size_t)(last - bytes) + 1 : 0;

    if (whole > 0 && lines->label[0] != '\0')
        put_labelled(lines, bytes, whole, out);
    else if (whole > 0)
        put_plain(lines, bytes, whole, out);
    hold(lines, bytes + whole, len - whole);
    if (held(lines) <= HELD_MAX)
        return;
    put_label(lines, out);
    lines->inside = true;
    put_held(lines, out);
}

void lines_end(struct lines *lines, struct evbuffer *out)
{
    if (held(lines) == 0 && !lines->inside)
        return;
    put_label(lines, out);
    put_held(lines, out);
    if (lines->label[0] != '\0')
        put(lines, out, "\n", 1);
    lines->inside = false;
}

void lines_clear(struct lines *lines)
{
    if (lines->held != NULL)
        evbuffer_free(lines->held);
    lines->held = NULL;
}
