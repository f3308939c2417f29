/*
 * What other nodes may send to one that takes part in collectives. The first
 * byte says which of the nodes 0 to 5 it is, and how many rounds it has begun;
 * then come messages: from whom (a byte; above 127: it begins a round instead),
 * their length (two, little-endian), themselves.
 */
#include "overlay/collective.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 6, RADIX = 4, STEPS = 3, BEGUN_MAX = 64 };
enum { UP = 1, DOWN, SIZE, EXCHANGE, PASS };

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

static const unsigned nodes[NODES] = {0, 1, 2, 3, 4, 5};

struct node {
    struct collectives *all;
    unsigned self;
    unsigned begun, done;
};

static void ignore(void *ctx, unsigned to, const void *bytes, size_t len)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    (void)len;
}

static void done_early(void *ctx, const struct collective_part *parts,
                       unsigned count)
{
    (void)ctx;
    (void)parts;
    (void)count;
    MUST(!"it cannot be done");
}

/* What we hand up or pass on is taken, once, whatever we were told. */
static void check_taken(unsigned from, unsigned to, bool begun,
                        const void *bytes, size_t len)
{
    struct collectives *all = collectives_create(to, ignore, NULL);
    struct ct_error error = {0};

    MUST(all != NULL);
    for (unsigned i = 0; begun && i < BEGUN_MAX; i++)
        MUST(collectives_begin(all, "x", nodes, NODES, "", 0, done_early, NULL,
                               NULL) == 0);
    MUST(collectives_receive(all, from, bytes, len, &error) == 0);
    MUST(collectives_receive(all, from, bytes, len, &error) == -1);
    MUST(error.code == EPROTO);
    collectives_free(all);
}

static uint32_t word_at(const char *bytes, size_t len, size_t at)
{
    uint32_t word;

    MUST(len >= at + sizeof word);
    memcpy(&word, bytes + at, sizeof word);
    return word;
}

/* Those without any below them have told their parent when they begin. */
static void check_passed(unsigned from, unsigned to, const char *bytes,
                         size_t len)
{
    unsigned step = word_at(bytes, len, 12 + word_at(bytes, len, 8));

    MUST(step < STEPS && to == (from + NODES - (1U << step)) % NODES);
    if (to > 1)
        check_taken(from, to, true, bytes, len);
}

static void on_send(void *ctx, unsigned to, const void *bytes, size_t len)
{
    const struct node *node = ctx;
    unsigned way = word_at(bytes, len, 0);

    MUST(to < NODES && to != node->self);
    if (way == PASS) {
        check_passed(node->self, to, bytes, len);
    } else if (way == UP || way == SIZE) {
        MUST(to == (node->self - 1) / RADIX);
        check_taken(node->self, to, false, bytes, len);
    } else {
        MUST(way == DOWN || way == EXCHANGE);
        MUST((to - 1) / RADIX == node->self);
    }
}

static void on_done(void *ctx, const struct collective_part *parts,
                    unsigned count)
{
    struct node *node = ctx;
    unsigned char sum = 0;

    node->done++;
    MUST(node->done <= node->begun);
    MUST(count == NODES);
    for (unsigned i = 0; i < count; i++) {
        const unsigned char *bytes = parts[i].bytes;

        MUST(parts[i].node == i && bytes != NULL);
        for (size_t k = 0; k < parts[i].len; k++)
            sum = (unsigned char)(sum + bytes[k]); /* ASan sees each */
    }
    (void)sum;
}

static void begin(struct node *node)
{
    if (node->begun == BEGUN_MAX)
        return;
    node->begun++;
    MUST(collectives_begin(node->all, "x", nodes, NODES, "part",
                           node->begun % 5, on_done, node, NULL) == 0);
}

static void receive(struct node *node, unsigned from, const uint8_t *bytes,
                    size_t len)
{
    uint8_t *copy = malloc(len); /* of its own, so that ASan sees its end */
    struct ct_error error = {0};

    MUST(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes, len);
    if (collectives_receive(node->all, from, copy, len, &error) < 0) {
        MUST(error.code == EPROTO || error.code == EINVAL ||
             error.code == EAGAIN || error.code == EMSGSIZE);
        MUST(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node node = {0};
    size_t at = 1, len;

    if (size == 0)
        return 0;
    node.self = data[0] % NODES;
    node.all = collectives_create(node.self, on_send, &node);
    MUST(node.all != NULL);
    for (int i = data[0] / NODES % 4; i > 0; i--)
        begin(&node);
    while (size - at >= 3) {
        len = data[at + 1] | (size_t)data[at + 2] << 8;
        len = len < size - at - 3 ? len : size - at - 3;
        if (data[at] > 127)
            begin(&node);
        else
            receive(&node, data[at], data + at + 3, len);
        at += 3 + len;
    }
    collectives_free(node.all);
    return 0;
}
