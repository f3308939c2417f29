/*
 * What other nodes may send to one that takes part in collectives: messages of
 * nodes.h, whose first byte says from whom they are (above 127: it begins a
 * round instead).
 */
#include "tests/fuzz/nodes.h"

#include <errno.h>

enum { RADIX = 4, STEPS = 3 };
enum { UP = 1, DOWN, SIZE, EXCHANGE, PASS };

struct node {
    struct collectives *all;
    unsigned self;
    unsigned begun, done;
};

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

    node->done++;
    MUST(node->done <= node->begun);
    check_parts(parts, count, NULL);
}

static void begin(struct node *node)
{
    if (node->begun == BEGUN_MAX)
        return;
    node->begun++;
    MUST(collectives_begin(node->all, "x", nodes, NODES, "part",
                           node->begun % 5, on_done, node, NULL) == 0);
}

static void receive(struct node *node, const struct message *message)
{
    void *copy = copy_of(message->bytes, message->len);
    struct ct_error error = {0};

    if (collectives_receive(node->all, message->what, copy, message->len,
                            &error) < 0) {
        MUST(error.code == EPROTO || error.code == EINVAL ||
             error.code == EAGAIN || error.code == EMSGSIZE);
        check_text(&error);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node node = {0};
    struct message message;
    size_t at = 1;

    if (size == 0)
        return 0;
    node.self = data[0] % NODES;
    node.all = collectives_create(node.self, on_send, &node);
    MUST(node.all != NULL);
    for (int i = data[0] / NODES % BEGUN_AT_FIRST; i > 0; i--)
        begin(&node);
    while (next_message(data, size, &at, &message))
        if (message.what > 127)
            begin(&node);
        else
            receive(&node, &message);
    collectives_free(node.all);
    return 0;
}
