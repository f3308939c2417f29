/*
 * Decode walks the text twice, first without writing, so that a text that turns
 * out to be wrong has changed nothing. Repetitions copy ranks already placed:
 * the work is one step a byte and one a rank, whatever the numbers say.
 *
 * Encode finds blocks greedily: a run of ranks on one node, joined to the block
 * before when that ends one node lower and has as many ranks on each node.
 */
#include "wire/mapping.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char head[] = "(vector";

struct writer {
    char *buf;
    size_t size;
    size_t len;
    bool full;
};

static void put(struct writer *w, const char *text, size_t len)
{
    if (len >= w->size - w->len)
        w->full = true;
    if (w->full)
        return;
    memcpy(w->buf + w->len, text, len);
    w->len += len;
    w->buf[w->len] = '\0';
}

struct block {
    unsigned node;   /* X */
    unsigned nodes;  /* Y */
    unsigned a_node; /* Z: ranks on each */
};

static void put_block(struct writer *w, struct block b)
{
    char text[48];
    int len =
        snprintf(text, sizeof text, ",(%u,%u,%u)", b.node, b.nodes, b.a_node);

    put(w, text, (size_t)len);
}

void mapping_renumber(const unsigned *node_of, unsigned size, unsigned *numbers,
                      unsigned node_count, unsigned *ret)
{
    unsigned next = 0;

    for (unsigned node = 0; node < node_count; node++)
        numbers[node] = UINT_MAX;
    for (unsigned rank = 0; rank < size; rank++) {
        unsigned *number = &numbers[node_of[rank]];

        if (*number == UINT_MAX)
            *number = next++;
        ret[rank] = *number;
    }
}

static unsigned run_length(const unsigned *node_of, unsigned size,
                           unsigned rank)
{
    unsigned end = rank;

    while (end < size && node_of[end] == node_of[rank])
        end++;
    return end - rank;
}

static void put_blocks(struct writer *w, const unsigned *node_of, unsigned size)
{
    struct block b = {node_of[0], 0, run_length(node_of, size, 0)};

    for (unsigned rank = 0; rank < size && !w->full;) {
        unsigned node = node_of[rank];
        unsigned ranks = run_length(node_of, size, rank);
        if (node != b.node + b.nodes || ranks != b.a_node) {
            put_block(w, b);
            b = (struct block){node, 0, ranks};
        }
        b.nodes++;
        rank += ranks;
    }
    put_block(w, b);
}

static long write_map(const unsigned *node_of, unsigned size, char *buf,
                      size_t bufsize)
{
    struct writer w = {.buf = buf, .size = bufsize};

    put(&w, head, strlen(head));
    if (node_of == NULL)
        put_block(&w, (struct block){0, 1, size});
    else
        put_blocks(&w, node_of, size);
    put(&w, ")", 1);
    return w.full ? -1 : (long)w.len;
}

static bool repeats_after(const unsigned *node_of, unsigned size,
                          unsigned period)
{
    for (unsigned i = period; i < size; i++)
        if (node_of[i] != node_of[i - period])
            return false;
    return true;
}

/*
 * How many ranks one round of a cyclic map has: where a run on node 0 starts
 * again, and all goes on as before. size when the map is not cyclic, or the
 * round does not fit: each such start is a block of its own.
 */
static unsigned round_of(const unsigned *node_of, unsigned size, size_t bufsize)
{
    size_t starts = bufsize / strlen(",(0,1,1)");

    if (node_of == NULL || node_of[0] != 0)
        return size;
    for (unsigned i = 1; i < size && starts > 0; i++) {
        if (node_of[i] != 0 || node_of[i - 1] == 0)
            continue;
        if (repeats_after(node_of, size, i))
            return i;
        starts--;
    }
    return size;
}

static bool is_writable(const unsigned *node_of, unsigned size)
{
    if (size == 0 || size > INT_MAX)
        return false;
    for (unsigned i = 0; node_of != NULL && i < size; i++)
        if (node_of[i] > INT_MAX)
            return false;
    return true;
}

long mapping_encode(const unsigned *node_of, unsigned size, char *buf,
                    size_t bufsize, struct ct_error *reterr)
{
    long len;

    if (!is_writable(node_of, size))
        return ct_fail(reterr, EINVAL,
                       "process mapping: a size or a node that is no int");
    len = write_map(node_of, size, buf, bufsize);
    if (len < 0)
        len =
            write_map(node_of, round_of(node_of, size, bufsize), buf, bufsize);
    if (len < 0)
        return ct_fail(reterr, ENOSPC,
                       "process mapping: %u ranks do not fit in %zu bytes",
                       size, bufsize);
    return len;
}

struct reader {
    struct ct_span rest;
    unsigned *node_of; /* NULL: only count */
    unsigned size;
    unsigned rank;  /* ranks placed, never more than size */
    unsigned round; /* rank of the first block with X=0, or UINT_MAX */
};

static void skip(struct reader *r, size_t count)
{
    r->rest = ct_span(r->rest.ptr + count, r->rest.len - count);
}

static void skip_blanks(struct reader *r)
{
    while (r->rest.len > 0 && r->rest.ptr[0] == ' ')
        skip(r, 1);
}

/* Take the word if it comes next. */
static bool take(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    skip_blanks(r);
    if (r->rest.len < len || memcmp(r->rest.ptr, word, len) != 0)
        return false;
    skip(r, len);
    return true;
}

static bool take_number(struct reader *r, unsigned *ret)
{
    size_t len = 0;
    long value;

    skip_blanks(r);
    while (len < r->rest.len && r->rest.ptr[len] >= '0' &&
           r->rest.ptr[len] <= '9')
        len++;
    if (ct_span_number(ct_span(r->rest.ptr, len), 0, INT_MAX, &value) < 0)
        return false;
    skip(r, len);
    *ret = (unsigned)value;
    return true;
}

static unsigned room(const struct reader *r)
{
    return r->size - r->rank;
}

static void place(struct reader *r, struct block b)
{
    unsigned long long all = (unsigned long long)b.nodes * b.a_node;
    unsigned count = all < room(r) ? (unsigned)all : room(r);

    if (b.node == 0 && r->round == UINT_MAX)
        r->round = r->rank;
    for (unsigned i = 0; r->node_of != NULL && i < count; i++)
        r->node_of[r->rank + i] = b.node + i / b.a_node;
    r->rank += count;
}

/* Place `count` more ranks, each as the one `period` before it. */
static void place_again(struct reader *r, unsigned period, unsigned count)
{
    for (unsigned i = 0; r->node_of != NULL && i < count; i++)
        r->node_of[r->rank + i] = r->node_of[r->rank + i - period];
    r->rank += count;
}

static bool read_block(struct reader *r)
{
    struct block b = {.nodes = 1, .a_node = 1};

    if (!take(r, "(")) {
        if (!take_number(r, &b.node))
            return false;
    } else if (!take_number(r, &b.node) || !take(r, ",") ||
               !take_number(r, &b.nodes) || !take(r, ",") ||
               !take_number(r, &b.a_node) || !take(r, ")"))
        return false;
    place(r, b);
    return true;
}

/* What follows "[": blocks, "]x", how often they stand. */
static bool read_repeat(struct reader *r)
{
    unsigned start = r->rank;
    unsigned long long more;
    unsigned times;

    do {
        if (!read_block(r))
            return false;
    } while (take(r, ","));
    if (!take(r, "]x") || !take_number(r, &times) || times == 0)
        return false;
    more = (unsigned long long)(r->rank - start) * (times - 1);
    place_again(r, r->rank - start, more < room(r) ? (unsigned)more : room(r));
    return true;
}

static bool read_list(struct reader *r)
{
    if (!take(r, head))
        return false;
    while (take(r, ","))
        if (!(take(r, "[") ? read_repeat(r) : read_block(r)))
            return false;
    if (!take(r, ")"))
        return false;
    skip_blanks(r);
    return r->rest.len == 0;
}

static int read_map(struct ct_span text, unsigned size, unsigned *ret_node_of,
                    struct ct_error *reterr)
{
    struct reader r = {text, ret_node_of, size, 0, UINT_MAX};

    if (!read_list(&r))
        return ct_fail(reterr, EINVAL, "process mapping: wrong at byte %zu",
                       text.len - r.rest.len);
    if (room(&r) > 0 && (r.round == UINT_MAX || r.round == r.rank))
        return ct_fail(reterr, EINVAL,
                       "process mapping: no node for ranks %u to %u", r.rank,
                       size - 1);
    place_again(&r, r.rank - r.round, room(&r));
    return 0;
}

int mapping_decode(struct ct_span text, unsigned size, unsigned *ret_node_of,
                   struct ct_error *reterr)
{
    if (read_map(text, size, NULL, reterr) < 0)
        return -1;
    return read_map(text, size, ret_node_of, reterr);
}
