/*
 * The one user namespace that all ranks of a node share. Siblings could not
 * read each other's memory (process_vm_readv, /proc/PID/fd, pidfd_getfd).
 */
#ifndef CT_CONTAINER_NAMESPACE_H
#define CT_CONTAINER_NAMESPACE_H

#include "base/error.h"

#include <sys/types.h>

/*
 * Move the calling, single-threaded process into a new user namespace and a
 * copy of its mount namespace. It has no ids there until namespace_map().
 */
int namespace_unshare(struct ct_error *reterr);

/*
 * Give the user namespace of pid, a child of ours, its ids, each the same
 * inside as outside: all of ours when we are privileged, else the caller's own.
 */
int namespace_map(pid_t pid, struct ct_error *reterr);

/*
 * For good: no new privileges, nothing in the bounding set, no power of uid 0.
 * The caller keeps the capabilities it has until it executes something.
 */
int namespace_lock_privileges(struct ct_error *reterr);

/* Give up every capability. Async-signal-safe; -1 with errno. */
int namespace_drop_capabilities(void);

#endif
