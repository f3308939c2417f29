/*
 * Clean-up of local file descriptors and memory at the end of their scope.
 * What outlives the scope is handed on with an explicit ct_steal_*().
 */
#ifndef CT_BASE_SCOPE_H
#define CT_BASE_SCOPE_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CT_AUTO_FD __attribute__((cleanup(ct_scope_close)))
#define CT_AUTO_FREE __attribute__((cleanup(ct_scope_free)))

/* Close *fd if it is open and mark it closed; errno survives. */
static inline void ct_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
        *fd = -1;
    }
}

static inline void ct_scope_close(int *fd)
{
    ct_close(fd);
}

static inline void ct_scope_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

static inline int ct_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#define ct_steal_ptr(pp)                                                       \
    ({                                                                         \
        __typeof__(*(pp)) ct_stolen_ = *(pp);                                  \
        *(pp) = NULL;                                                          \
        ct_stolen_;                                                            \
    })

#endif
