/*
 * A read-only view of bytes that somebody else owns: not NUL-terminated, valid
 * as long as the owner says.
 */
#ifndef CT_BASE_SPAN_H
#define CT_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct ct_span {
    const char *ptr;
    size_t len;
};

static inline struct ct_span ct_span(const char *ptr, size_t len)
{
    return (struct ct_span){.ptr = ptr, .len = len};
}

static inline struct ct_span ct_span_str(const char *str)
{
    return ct_span(str, strlen(str));
}

static inline bool ct_span_equal(struct ct_span a, struct ct_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool ct_span_is(struct ct_span span, const char *word)
{
    return ct_span_equal(span, ct_span_str(word));
}

/* The bytes before the first stop, or all; *rest goes on behind it. */
static inline struct ct_span ct_span_cut(struct ct_span *rest, char stop)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, stop, rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    size_t used = end != NULL ? len + 1 : len;
    struct ct_span token = ct_span(rest->ptr, len);

    *rest = ct_span(rest->ptr + used, rest->len - used);
    return token;
}

/*
 * The decimal number that the whole span is ("-12", "7"; no blanks, no plus),
 * within [min, max]. Returns 0, or -1 and leaves *ret alone.
 */
int ct_span_number(struct ct_span span, long min, long max, long *ret);

/* A NUL-terminated copy to free(); NULL when out of memory. */
char *ct_span_dup(struct ct_span span);

#endif
