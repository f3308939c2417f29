#include "wire/msg.h"

#include "wire/dialect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct ct_span *pmi_msg_get(const struct pmi_msg *msg, const char *key)
{
    struct ct_span wanted = ct_span_str(key);

    for (size_t i = 0; i < msg->count; i++)
        if (ct_span_equal(msg->pairs[i].key, wanted))
            return &msg->pairs[i].value;
    return NULL;
}

static struct ct_span trim(struct ct_span span)
{
    while (span.len > 0 && span.ptr[0] == ' ')
        span = ct_span(span.ptr + 1, span.len - 1);
    while (span.len > 0 && span.ptr[span.len - 1] == ' ')
        span.len--;
    return span;
}

int pmi_msg_number(const struct pmi_msg *msg, const char *key, long min,
                   long max, long *ret)
{
    const struct ct_span *value = pmi_msg_get(msg, key);

    if (value == NULL)
        return -1;
    return ct_span_number(trim(*value), min, max, ret);
}

int pmi_frame_check(const struct pmi_dialect *dialect, const char *frame,
                    size_t len, struct ct_error *reterr)
{
    ssize_t whole = dialect->frame(frame, len);

    if (whole <= 0 || (size_t)whole != len)
        return ct_fail(reterr, EPROTO, "%s: not one whole frame",
                       dialect->name);
    if (memchr(frame, '\0', len) != NULL)
        return ct_fail(reterr, EPROTO, "%s: a NUL byte in the message",
                       dialect->name);
    return 0;
}

static struct pmi_pair split(struct ct_span token)
{
    const char *equals = memchr(token.ptr, '=', token.len);
    size_t key = equals != NULL ? (size_t)(equals - token.ptr) : token.len;
    size_t value = equals != NULL ? key + 1 : key;

    return (struct pmi_pair){
        .key = ct_span(token.ptr, key),
        .value = ct_span(token.ptr + value, token.len - value),
    };
}

int pmi_msg_fill(const char *dialect_name, struct ct_span text,
                 pmi_next_token *next, const char *lead, struct pmi_msg *ret,
                 struct ct_error *reterr)
{
    struct pmi_pair first = split(next(&text));
    struct ct_span token;

    if (!ct_span_is(first.key, lead) || first.value.len == 0)
        return ct_fail(reterr, EPROTO, "%s: no %s= at the start", dialect_name,
                       lead);
    ret->command = first.value;
    ret->count = 0;
    while ((token = next(&text)).len > 0) {
        if (ret->count == PMI_PAIRS_MAX)
            return ct_fail(reterr, EPROTO, "%s: more than %d pairs",
                           dialect_name, PMI_PAIRS_MAX);
        ret->pairs[ret->count++] = split(token);
    }
    return 0;
}

void pmi_out_begin(struct pmi_out *out)
{
    out->start = out->len;
    out->broken = false;
}

void pmi_out_put(struct pmi_out *out, struct ct_span bytes)
{
    if (bytes.len > out->size - out->len)
        out->broken = true;
    if (out->broken || bytes.len == 0)
        return;
    memcpy(out->buf + out->len, bytes.ptr, bytes.len);
    out->len += bytes.len;
}

void pmi_out_end(struct pmi_out *out)
{
    if (out->len - out->start > PMI_FRAME_MAX)
        out->broken = true;
    if (out->broken) {
        out->len = out->start;
        out->refused = true;
    }
}

void pmi_out_key(struct pmi_out *out, const char *key)
{
    if (key[0] == '\0' || key[strcspn(key, " =;\n")] != '\0')
        out->broken = true;
    pmi_out_put(out, ct_span_str(key));
}

void pmi_out_value(struct pmi_out *out, struct ct_span value)
{
    /* "k=" is a parse error in MPICH 4.1 and later */
    if (value.len == 0 || memchr(value.ptr, '\n', value.len) != NULL ||
        memchr(value.ptr, '\0', value.len) != NULL)
        out->broken = true;
    pmi_out_put(out, value);
}

void pmi_add_str(const struct pmi_dialect *dialect, struct pmi_out *out,
                 const char *key, const char *value)
{
    dialect->add(out, key, ct_span_str(value));
}

void pmi_add_num(const struct pmi_dialect *dialect, struct pmi_out *out,
                 const char *key, long value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld", value);

    dialect->add(out, key, ct_span(text, (size_t)len));
}
