/*
 * A node of six that others send to: what fuzz_collective.c and fuzz_direct.c
 * have in common. Behind the first byte, which says which node it is and how
 * many rounds it has begun, come messages: one byte, their length (two,
 * little-endian), themselves.
 */
#ifndef CT_FUZZ_NODES_H
#define CT_FUZZ_NODES_H

#include "overlay/collective.h"
#include "tests/fuzz/target.h"

#include <stdbool.h>

enum { NODES = 6, BEGUN_MAX = 64, BEGUN_AT_FIRST = 4 };

static const unsigned nodes[NODES] = {0, 1, 2, 3, 4, 5};

struct message {
    unsigned what; /* its first byte */
    const uint8_t *bytes;
    size_t len;
};

/* false: there are no more. What is cut ends where the input does. */
static inline bool next_message(const uint8_t *data, size_t size, size_t *at,
                                struct message *ret)
{
    size_t rest = size - *at;

    if (rest < 3)
        return false;
    ret->what = data[*at];
    ret->bytes = data + *at + 3;
    ret->len = data[*at + 1] | (size_t)data[*at + 2] << 8;
    if (ret->len > rest - 3)
        ret->len = rest - 3;
    *at += 3 + ret->len;
    return true;
}

/* What is sent by a node that only shows what it takes. */
static inline void ignore(void *ctx, unsigned to, const void *bytes, size_t len)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    (void)len;
}

/* One of each node, and each byte is there: ASan sees it. */
static inline void check_parts(const struct collective_part *parts,
                               unsigned count, const bool *may_lack)
{
    unsigned char sum = 0;

    MUST(count == NODES);
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *bytes = parts[i].bytes;

        MUST(parts[i].node == i);
        MUST(bytes != NULL || (may_lack != NULL && may_lack[i]));
        for (size_t k = 0; k < parts[i].len; k++)
            sum = (unsigned char)(sum + bytes[k]);
    }
    (void)sum;
}

static inline void check_text(const struct ct_error *error)
{
    MUST(error->text[0] != '\0' && strchr(error->text, '\n') == NULL);
}

#endif
