/*
 * Libraries that only some jobs need are not linked: loading them takes a
 * quarter of a small job's time. Each has a header and a source of this layer.
 * The header includes the library's own and lists the functions that we call;
 * macros of their names make each call one through a table of pointers, so that
 * callers read as if the library were linked. lazy_NAME_load() fills the table
 * and must have been called first, by a process whose root is the host's: in a
 * container it would load what the image has there. Of a function that the list
 * lacks the linker says that it is undefined.
 */
#ifndef CT_LAZY_LIBRARY_H
#define CT_LAZY_LIBRARY_H

#include "base/error.h"

#include <stddef.h>

/* For lists of functions: a member of the table, and a name. */
#define LAZY_MEMBER(function) __typeof__(function) *function;
#define LAZY_NAME(function) #function,

enum { LIBRARY_FUNCTIONS_MAX = 64 };

/*
 * Load the library at path, or, if there is none, the one that ld.so finds
 * under the last part of the path. ret: count pointers, to the functions of
 * these names; when they have been filled before nothing is done. Fails with
 * ENOTSUP.
 */
int library_load(const char *path, const char *const *names, size_t count,
                 void *ret, struct ct_error *reterr);

/* One more of a library that has been loaded; NULL when it has no such. */
void *library_symbol(const char *path, const char *name);

#endif
