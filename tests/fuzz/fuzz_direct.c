/*
 * What other nodes may send to one that gathers directly, and who drops out:
 * messages of nodes.h, whose first byte says from whom they are (above 127: it
 * begins a round instead; above 63: that one has dropped out).
 */
#include "overlay/direct.h"
#include "tests/fuzz/nodes.h"

#include <errno.h>

struct node {
    struct directs *all;
    unsigned self;
    bool out[NODES];
    unsigned begun, done;
};

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

    node->done++;
    MUST(node->done <= node->begun);
    check_parts(parts, count, node->out);
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

static void receive(struct node *node, const struct message *message)
{
    void *copy = copy_of(message->bytes, message->len);
    struct ct_error error = {0};

    if (directs_receive(node->all, message->what, copy, message->len, &error) <
        0) {
        MUST(error.code == EPROTO || error.code == EINVAL ||
             error.code == EAGAIN);
        check_text(&error);
    }
    free(copy);
}

static void act(struct node *node, const struct message *message)
{
    if (message->what > 127)
        begin(node);
    else if (message->what > 63)
        drop_out(node, message->what % NODES);
    else
        receive(node, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node node = {0};
    struct directs_config config = {
        .send = on_send, .awaits = is_awaited, .ctx = &node};
    struct message message;
    size_t at = 1;

    if (size == 0)
        return 0;
    config.self = node.self = data[0] % NODES;
    node.all = directs_create(&config);
    MUST(node.all != NULL);
    for (int i = data[0] / NODES % BEGUN_AT_FIRST; i > 0; i--)
        begin(&node);
    while (next_message(data, size, &at, &message))
        act(&node, &message);
    directs_free(node.all);
    return 0;
}
