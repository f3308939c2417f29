#include "base/span.h"

#include <limits.h>
#include <stdlib.h>

int ct_span_number(struct ct_span span, long min, long max, long *ret)
{
    bool negative = span.len > 0 && span.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    long value = 0; /* below zero, where there is room for one more */

    if (i == span.len)
        return -1;
    for (; i < span.len; i++) {
        char c = span.ptr[i];
        if (c < '0' || c > '9' || value < (LONG_MIN + (c - '0')) / 10)
            return -1;
        value = value * 10 - (c - '0');
    }
    if (!negative && value == LONG_MIN)
        return -1;
    if (!negative)
        value = -value;
    if (value < min || value > max)
        return -1;
    *ret = value;
    return 0;
}

char *ct_span_dup(struct ct_span span)
{
    char *copy = malloc(span.len + 1);

    if (copy == NULL)
        return NULL;
    if (span.len > 0)
        memcpy(copy, span.ptr, span.len);
    copy[span.len] = '\0';
    return copy;
}
