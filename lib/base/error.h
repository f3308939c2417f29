/*
 * The one error type of the tree. A function that can fail returns 0 or -1
 * (or NULL) and fills the error its caller owns; nothing under lib/ prints or
 * exits. A NULL error is allowed everywhere and means "I do not want the text".
 */
#ifndef CT_BASE_ERROR_H
#define CT_BASE_ERROR_H

struct ct_error {
    int code;       /* an errno value: the kind of failure, never 0 */
    char text[320]; /* one line, NUL-terminated; '?' for control bytes */
};

/* Fill *err and return -1, so that a caller can write `return ct_fail(...)`. */
int ct_fail(struct ct_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": strerror(errno)" appended; code becomes errno. */
int ct_fail_errno(struct ct_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "what: " before the text that *err already has; returns -1. */
int ct_fail_in(struct ct_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ct_fail(err, ENOMEM, ...) with one wording for the whole tree. */
int ct_fail_nomem(struct ct_error *err);

#endif
