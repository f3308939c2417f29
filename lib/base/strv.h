/*
 * A growing, NULL-terminated vector of strings that it owns: argument lists and
 * environments. Start from {0}; strv_clear() returns it to that.
 */
#ifndef CT_BASE_STRV_H
#define CT_BASE_STRV_H

#include <stddef.h>

struct strv {
    char **items; /* NULL while empty, else NULL-terminated */
    size_t count;
    size_t room;
};

void strv_clear(struct strv *v);

/* Append a copy. 0, or -1 when out of memory (the vector is unchanged). */
int strv_add(struct strv *v, const char *item);

/* Append a copy of each of a NULL-terminated list; list may be NULL. */
int strv_add_all(struct strv *v, char *const *list);

/* Append a formatted string. */
int strv_addf(struct strv *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* For execve(): items, or an empty list; never NULL. */
char **strv_list(struct strv *v);

/*
 * Environments: entries are "NAME=value", a name stands once.
 * strv_env_set() replaces or appends; strv_env_get() finds the value or NULL;
 * strv_env_unset() removes. name need not be NUL-terminated for the first.
 */
int strv_env_set(struct strv *v, const char *assignment);
int strv_env_setf(struct strv *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *strv_env_get(const struct strv *v, const char *name);
void strv_env_unset(struct strv *v, const char *name);

/* The value of name in a NULL-terminated environment, or NULL. */
const char *env_get(char *const *env, const char *name);

#endif
