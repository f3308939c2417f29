/*
 * The functions of libpmix that we use, found when we run. Private to
 * lib/client.
 */
#ifndef CT_CLIENT_LIBPMIX_H
#define CT_CLIENT_LIBPMIX_H

#include "base/error.h"

#include <pmix.h>

/* All of them are in 4.0, and as they are there in 7.0. */
#define LIBPMIX_FUNCTIONS(X)                                                   \
    X(Init)                                                                    \
    X(Finalize)                                                                \
    X(Abort)                                                                   \
    X(Error_string)                                                            \
    X(Put)                                                                     \
    X(Commit)                                                                  \
    X(Fence)                                                                   \
    X(Get)                                                                     \
    X(Publish)                                                                 \
    X(Lookup)                                                                  \
    X(Unpublish)                                                               \
    X(Spawn)

struct libpmix {
#define LIBPMIX_MEMBER(name) __typeof__(PMIx_##name) *name;
    LIBPMIX_FUNCTIONS(LIBPMIX_MEMBER)
#undef LIBPMIX_MEMBER
};

/*
 * Load it: the one that is loaded already; else that of the machine on which we
 * were built, if this one has it, too; else what ld.so finds as libpmix.so.2.
 * It is never unloaded, for its threads and handlers would not survive that.
 * ENOTSUP: there is none, or it lacks a function.
 */
int libpmix_load(struct libpmix *ret, struct ct_error *reterr);

#endif
