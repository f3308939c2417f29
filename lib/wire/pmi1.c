/*
 * PMI-1: a frame is a line of words; one that starts with "mcmd=" is a block of
 * lines, one pair each, that ends with the line "endcmd". A spawn of several
 * commands is several such blocks.
 */
#include "wire/dialect.h"

#include <string.h>

#define BLOCK_START "mcmd="
#define BLOCK_LAST "endcmd\n"

static bool is_block(const char *buf, size_t len)
{
    size_t start = strlen(BLOCK_START);

    return len >= start && memcmp(buf, BLOCK_START, start) == 0;
}

/* The last byte of the frame, or NULL when it is not there yet. */
static const char *frame_last(const char *buf, size_t len)
{
    static const char mark[] = "\n" BLOCK_LAST;
    const char *found;

    if (!is_block(buf, len))
        return memchr(buf, '\n', len);
    found = memmem(buf, len, mark, strlen(mark));
    return found != NULL ? found + strlen(mark) - 1 : NULL;
}

static ssize_t frame(const char *buf, size_t len)
{
    size_t seen = len < PMI_FRAME_MAX ? len : PMI_FRAME_MAX;
    const char *last = seen > 0 ? frame_last(buf, seen) : NULL;

    if (last != NULL)
        return last - buf + 1;
    return len < PMI_FRAME_MAX ? 0 : -1;
}

/* Empty tokens are skipped: several blanks are as good as one. */
static struct ct_span next(struct ct_span *rest, char stop)
{
    struct ct_span token = ct_span_cut(rest, stop);

    while (token.len == 0 && rest->len > 0)
        token = ct_span_cut(rest, stop);
    return token;
}

static struct ct_span next_word(struct ct_span *rest)
{
    return next(rest, ' ');
}

static struct ct_span next_line(struct ct_span *rest)
{
    return next(rest, '\n');
}

static int decode(const char *bytes, size_t len, struct pmi_msg *ret,
                  struct ct_error *reterr)
{
    const char *name = pmi_dialect_1.name;

    if (pmi_frame_check(&pmi_dialect_1, bytes, len, reterr) < 0)
        return -1;
    if (is_block(bytes, len))
        return pmi_msg_fill(name, ct_span(bytes, len - strlen(BLOCK_LAST)),
                            next_line, "mcmd", ret, reterr);
    return pmi_msg_fill(name, ct_span(bytes, len - 1), next_word, "cmd", ret,
                        reterr);
}

static void put_value(struct pmi_out *out, struct ct_span value)
{
    if (value.len > 0 && memchr(value.ptr, ' ', value.len) != NULL)
        out->broken = true;
    pmi_out_value(out, value);
}

static void begin(struct pmi_out *out, const char *command)
{
    pmi_out_begin(out);
    pmi_out_put(out, ct_span_str("cmd="));
    put_value(out, ct_span_str(command));
}

static void add(struct pmi_out *out, const char *key, struct ct_span value)
{
    pmi_out_put(out, ct_span_str(" "));
    pmi_out_key(out, key);
    pmi_out_put(out, ct_span_str("="));
    put_value(out, value);
}

static void end(struct pmi_out *out)
{
    pmi_out_put(out, ct_span_str("\n"));
    pmi_out_end(out);
}

const struct pmi_dialect pmi_dialect_1 = {
    .name = "PMI-1",
    .frame = frame,
    .decode = decode,
    .begin = begin,
    .add = add,
    .end = end,
};

static void begin_block(struct pmi_out *out, const char *command)
{
    pmi_out_begin(out);
    pmi_out_put(out, ct_span_str(BLOCK_START));
    put_value(out, ct_span_str(command));
    pmi_out_put(out, ct_span_str("\n"));
}

static void add_line(struct pmi_out *out, const char *key, struct ct_span value)
{
    pmi_out_key(out, key);
    pmi_out_put(out, ct_span_str("="));
    pmi_out_value(out, value);
    pmi_out_put(out, ct_span_str("\n"));
}

static void end_block(struct pmi_out *out)
{
    pmi_out_put(out, ct_span_str(BLOCK_LAST));
    pmi_out_end(out);
}

const struct pmi_dialect pmi_dialect_1_block = {
    .name = "PMI-1",
    .frame = frame,
    .decode = decode,
    .begin = begin_block,
    .add = add_line,
    .end = end_block,
};
