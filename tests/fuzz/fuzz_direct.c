/*
 * What other nodes may send to one that gathers directly, and who drops out.
 * The first byte says which of the nodes 0 to 5 it is, and how many rounds it
 * has begun; then come messages: from whom (a byte; above 127: it begins a
 * round instead; above 63: that one has dropped out), their length (two,
 * little-endian), themselves.
 */
#include "overlay/direct.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES = 6, BEGUN_MAX = 64 };

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

static const unsigned nodes[NODES] = {0, 1, 2, 3, 4, 5};

struct node {
    struct directs *all;
    unsigned self;
    bool out[NODES];
    unsigned begun, done;
};

static void ignore(void *ctx, unsigned to, const void *bytes, size_t len)
{
    (void)ctx;
    (void)to;
    (void)bytes;
    (void)len;
}

static bool is_awaited(void *ctx, void *begun, unsigned node)
{
    const struct node *ours = ctx;

    MUST(begun == ours && node < NODES && node != ours->self);
    return !ours->out[node];
}

/* What we send the others take, once, whatever we were told. */
static void on_send(void *ctx, unsigned to, const void *bytes, size_t len)
{
    const struct node *node = ctx;
    const struct directs_config config = {.self = to, .send = ignore};
    struct directs *other = directs_create(&config);
    struct ct_error error = {0};

    MUST(to < NODES && to != node->self && other != NULL);
    MUST(directs_receive(other, node->self, bytes, len, &error) == 0);
    MUST(directs_receive(other, node->self, bytes, len, &error) == -1);
    MUST(error.code == EPROTO);
    directs_free(other);
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

        MUST(parts[i].node == i && (bytes != NULL || node->out[i]));
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
    MUST(directs_begin(node->all, "x", nodes, NODES, "part", node->begun % 5,
                       on_done, node, NULL) == 0);
}

static void drop_out(struct node *node, unsigned other)
{
    if (other == node->self)
        return;
    node->out[other] = true;
    directs_review(node->all);
}

static void receive(struct node *node, unsigned from, const uint8_t *bytes,
                    size_t len)
{
    uint8_t *copy = malloc(len); /* of its own, so that ASan sees its end */
    struct ct_error error = {0};

    MUST(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes, len);
    if (directs_receive(node->all, from, copy, len, &error) < 0) {
        MUST(error.code == EPROTO || error.code == EINVAL ||
             error.code == EAGAIN);
        MUST(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    }
    free(copy);
}

static void act(struct node *node, unsigned what, const uint8_t *bytes,
                size_t len)
{
    if (what > 127)
        begin(node);
    else if (what > 63)
        drop_out(node, what % NODES);
    else
        receive(node, what, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node node = {0};
    struct directs_config config = {
        .send = on_send, .awaits = is_awaited, .ctx = &node};
    size_t at = 1, len;

    if (size == 0)
        return 0;
    config.self = node.self = data[0] % NODES;
    node.all = directs_create(&config);
    MUST(node.all != NULL);
    for (int i = data[0] / NODES % 4; i > 0; i--)
        begin(&node);
    while (size - at >= 3) {
        len = data[at + 1] | (size_t)data[at + 2] << 8;
        len = len < size - at - 3 ? len : size - at - 3;
        act(&node, data[at], data + at + 3, len);
        at += 3 + len;
    }
    directs_free(node.all);
    return 0;
}
