/*
 * PMI-2: six bytes of decimal length, then pairs that end with ';'.
 *
 * Old clients write a ';' inside a value as ";;", new ones do not know this. We
 * keep the pair of bytes as it came and send it back so: the reader is of the
 * writer's kind. A run of n ';' therefore is n / 2 such pairs and, if n is odd,
 * the end of the token.
 */
#include "wire/dialect.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 6 };

/*
 * The payload's length, 0 while the head is not complete, -1 when it is no
 * length. Clients pad on the left, Slurm's plugin on the right.
 */
static ssize_t head_length(const char *buf, size_t len)
{
    size_t count = len < HEAD ? len : HEAD;
    size_t i = 0;
    ssize_t value = 0;

    while (i < count && buf[i] == ' ')
        i++;
    for (; i < count && buf[i] >= '0' && buf[i] <= '9'; i++)
        value = value * 10 + (buf[i] - '0');
    while (i < count && buf[i] == ' ')
        i++;
    if (i < count || value > PMI_FRAME_MAX - HEAD)
        return -1;
    if (count < HEAD)
        return 0;
    return value > 0 ? value : -1;
}

static ssize_t frame(const char *buf, size_t len)
{
    ssize_t payload = head_length(buf, len);

    if (payload <= 0)
        return payload;
    return len >= (size_t)payload + HEAD ? payload + HEAD : 0;
}

/* Bytes up to the single ';' that ends the token, or to the end. */
static size_t token_length(struct ct_span text)
{
    size_t i = 0;

    while (i < text.len) {
        const char *stop = memchr(text.ptr + i, ';', text.len - i);

        if (stop == NULL)
            return text.len;
        i = (size_t)(stop - text.ptr);
        if (i + 1 == text.len || stop[1] != ';')
            break;
        i += 2;
    }
    return i;
}

static struct ct_span next_token(struct ct_span *rest)
{
    size_t len = token_length(*rest);
    size_t used = len < rest->len ? len + 1 : len;
    struct ct_span token = ct_span(rest->ptr, len);

    *rest = ct_span(rest->ptr + used, rest->len - used);
    return token;
}

static int decode(const char *bytes, size_t len, struct pmi_msg *ret,
                  struct ct_error *reterr)
{
    if (pmi_frame_check(&pmi_dialect_2, bytes, len, reterr) < 0)
        return -1;
    return pmi_msg_fill(pmi_dialect_2.name, ct_span(bytes + HEAD, len - HEAD),
                        next_token, "cmd", ret, reterr);
}

static void put_value(struct pmi_out *out, struct ct_span value)
{
    if (token_length(value) != value.len)
        out->broken = true;
    pmi_out_value(out, value);
    pmi_out_put(out, ct_span_str(";"));
}

static void begin(struct pmi_out *out, const char *command)
{
    pmi_out_begin(out);
    pmi_out_put(out, ct_span_str("      cmd="));
    put_value(out, ct_span_str(command));
}

static void add(struct pmi_out *out, const char *key, struct ct_span value)
{
    pmi_out_key(out, key);
    pmi_out_put(out, ct_span_str("="));
    put_value(out, value);
}

static void end(struct pmi_out *out)
{
    char head[16];

    if (!out->broken) {
        unsigned payload = (unsigned)(out->len - out->start - HEAD);
        snprintf(head, sizeof head, "%6u", payload);
        memcpy(out->buf + out->start, head, HEAD);
    }
    pmi_out_end(out);
}

const struct pmi_dialect pmi_dialect_2 = {
    .name = "PMI-2",
    .frame = frame,
    .decode = decode,
    .begin = begin,
    .add = add,
    .end = end,
};
