/*
 * What must hold for a dialect, whatever the bytes: shared by the PMI fuzzers.
 */
#ifndef CT_FUZZ_DIALECT_H
#define CT_FUZZ_DIALECT_H

#include "tests/fuzz/target.h"
#include "wire/msg.h"

#include <ctype.h>

static void check_inside(struct ct_span span, const char *frame, size_t len)
{
    MUST(span.ptr >= frame && span.ptr <= frame + len);
    MUST(span.len <= (size_t)(frame + len - span.ptr));
}

static void check_spans(const struct pmi_msg *msg, const char *frame,
                        size_t len)
{
    MUST(msg->command.len > 0);
    MUST(msg->count <= PMI_PAIRS_MAX);
    check_inside(msg->command, frame, len);
    for (size_t i = 0; i < msg->count; i++) {
        check_inside(msg->pairs[i].key, frame, len);
        check_inside(msg->pairs[i].value, frame, len);
    }
}

/* The span as a string; a frame that decodes has no NUL. */
static char *word(struct ct_span span)
{
    char *copy = ct_span_dup(span);

    MUST(copy != NULL);
    MUST(strlen(copy) == span.len);
    return copy;
}

static void encode(const struct pmi_dialect *dialect, const struct pmi_msg *msg,
                   struct pmi_out *out)
{
    char *command = word(msg->command);

    dialect->begin(out, command);
    free(command);
    for (size_t i = 0; i < msg->count; i++) {
        char *key = word(msg->pairs[i].key);
        dialect->add(out, key, msg->pairs[i].value);
        free(key);
    }
    dialect->end(out);
}

static bool is_plain(struct ct_span span)
{
    for (size_t i = 0; i < span.len; i++)
        if (!isalnum((unsigned char)span.ptr[i]))
            return false;
    return span.len > 0;
}

/* Letters and digits only: no dialect has a reason to refuse. */
static bool is_plain_msg(const struct pmi_msg *msg)
{
    for (size_t i = 0; i < msg->count; i++)
        if (!is_plain(msg->pairs[i].key) || !is_plain(msg->pairs[i].value))
            return false;
    return is_plain(msg->command);
}

static void check_equal(const struct pmi_msg *a, const struct pmi_msg *b)
{
    MUST(ct_span_equal(a->command, b->command));
    MUST(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        MUST(ct_span_equal(a->pairs[i].key, b->pairs[i].key));
        MUST(ct_span_equal(a->pairs[i].value, b->pairs[i].value));
    }
}

/* What was encoded decodes to the same, encodes to the same, needs its room. */
static void check_round_trip(const struct pmi_dialect *dialect,
                             const struct pmi_msg *msg)
{
    static char first[PMI_FRAME_MAX + 16], second[PMI_FRAME_MAX + 16];
    static struct pmi_msg again;
    struct pmi_out out = {.buf = first, .size = sizeof first};
    struct pmi_out copy = {.buf = second, .size = sizeof second};
    struct ct_error error;

    encode(dialect, msg, &out);
    MUST(out.refused == (out.len == 0));
    MUST(!out.refused || !is_plain_msg(msg));
    if (out.refused)
        return;
    MUST(dialect->frame(first, out.len) == (ssize_t)out.len);
    MUST(dialect->decode(first, out.len, &again, &error) == 0);
    check_equal(msg, &again);
    encode(dialect, &again, &copy);
    MUST(copy.len == out.len && memcmp(first, second, out.len) == 0);

    copy = (struct pmi_out){.buf = second, .size = out.len - 1};
    encode(dialect, &again, &copy);
    MUST(copy.refused && copy.len == 0);
}

static void check_frame(const struct pmi_dialect *dialect, const char *bytes,
                        size_t len)
{
    static struct pmi_msg msg;
    struct ct_error error = {0};
    char *frame = malloc(len); /* of its own, so that ASan sees its ends */

    MUST(frame != NULL);
    memcpy(frame, bytes, len);
    MUST(dialect->frame(frame, len) == (ssize_t)len);
    MUST(dialect->frame(frame, len - 1) == 0);
    if (dialect->decode(frame, len, &msg, &error) < 0) {
        MUST(error.code != 0);
        MUST(strlen(error.text) > 0 && strchr(error.text, '\n') == NULL);
    } else {
        check_spans(&msg, frame, len);
        check_round_trip(dialect, &msg);
    }
    free(frame);
}

static void check_stream(const struct pmi_dialect *dialect, const uint8_t *data,
                         size_t size)
{
    const char *bytes = (const char *)data;
    ssize_t len;

    for (size_t at = 0; at < size; at += (size_t)len) {
        len = dialect->frame(bytes + at, size - at);
        MUST(len >= -1 && len <= (ssize_t)(size - at) && len <= PMI_FRAME_MAX);
        if (len <= 0)
            break;
        check_frame(dialect, bytes + at, (size_t)len);
    }
}

#endif
