#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names of files and words of clients may hold anything. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            *text = '?';
}

__attribute__((format(printf, 3, 0))) static void set_text(struct ct_error *err,
                                                           int code,
                                                           const char *fmt,
                                                           va_list ap)
{
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    make_one_line(err->text);
}

int ct_fail(struct ct_error *err, int code, const char *fmt, ...)
{
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, code, fmt, ap);
        va_end(ap);
    }
    return -1;
}

int ct_fail_errno(struct ct_error *err, const char *fmt, ...)
{
    int saved = errno;

    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        set_text(err, saved, fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s",
                 strerror(saved));
    }
    errno = saved;
    return -1;
}

int ct_fail_in(struct ct_error *err, const char *fmt, ...)
{
    if (err != NULL) {
        struct ct_error inner = *err;
        va_list ap;
        va_start(ap, fmt);
        set_text(err, inner.code, fmt, ap);
        va_end(ap);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", inner.text);
    }
    return -1;
}

int ct_fail_nomem(struct ct_error *err)
{
    return ct_fail(err, ENOMEM, "out of memory");
}
