/*
 * End what is left of a job: every descendant of the calling process. It must
 * be a child subreaper (PR_SET_CHILD_SUBREAPER), so that no descendant escapes
 * to init.
 */
#ifndef CT_CONTAINER_SWEEP_H
#define CT_CONTAINER_SWEEP_H

#include <stddef.h>
#include <sys/types.h>

/* SIGKILL each and reap it, children of children too, but for `spare` (or 0).
 */
void sweep(pid_t spare);

/* All descendants of the calling process but `spare`'s, at most max of them. */
size_t sweep_list(pid_t *ret, size_t max, pid_t spare);

#endif
