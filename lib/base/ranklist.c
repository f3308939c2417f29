#include "base/ranklist.h"

static const char *find(struct ct_span span, char c)
{
    return span.len > 0 ? memchr(span.ptr, c, span.len) : NULL;
}

static int parse_range(struct ct_span word, unsigned size, unsigned *first,
                       unsigned *last)
{
    const char *dash = find(word, '-');
    size_t len = dash != NULL ? (size_t)(dash - word.ptr) : word.len;
    long from, to;

    if (ct_span_number(ct_span(word.ptr, len), 0, (long)size - 1, &from) < 0)
        return -1;
    to = from;
    if (dash != NULL && ct_span_number(ct_span(dash + 1, word.len - len - 1),
                                       from, (long)size - 1, &to) < 0)
        return -1;
    *first = (unsigned)from;
    *last = (unsigned)to;
    return 1;
}

/* The end is a span without a pointer: "" and "1," are no lists. */
int ranklist_next(struct ct_span *rest, unsigned size, unsigned *first,
                  unsigned *last)
{
    struct ct_span word = *rest;
    const char *comma;

    if (word.ptr == NULL)
        return 0;
    comma = find(word, ',');
    *rest = ct_span(NULL, 0);
    if (comma != NULL) {
        size_t len = (size_t)(comma - word.ptr);

        *rest = ct_span(comma + 1, word.len - len - 1);
        word.len = len;
    }
    return parse_range(word, size, first, last);
}

long ranklist_count(struct ct_span list, unsigned size)
{
    unsigned first, last;
    long count = 0;
    int rc;

    while ((rc = ranklist_next(&list, size, &first, &last)) > 0)
        count += (long)(last - first) + 1;
    return rc == 0 ? count : -1;
}
