/*
 * Lines of one rank on their way to a sink: bytes in, whole lines out, each
 * behind a label if there is one. Bytes are never changed or lost; a line of
 * more than a mebibyte goes out in pieces.
 */
#ifndef CT_LAUNCHER_LINES_H
#define CT_LAUNCHER_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;

struct lines {
    char label[32]; /* "" for none */
    struct evbuffer
        *held;   /* the beginning of a line; NULL while there is none */
    bool inside; /* its label is written already */
    bool failed; /* out of memory: bytes are missing */
};

/* Append the whole lines of what was held and of these bytes to out. */
void lines_add(struct lines *lines, const char *bytes, size_t len,
               struct evbuffer *out);

/* The stream has ended: what is held goes out too. */
void lines_end(struct lines *lines, struct evbuffer *out);

void lines_clear(struct lines *lines);

#endif
