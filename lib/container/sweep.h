/*
 * End what is left of a job: every descendant of the calling process. It must
 * be a child subreaper (PR_SET_CHILD_SUBREAPER), so that no descendant escapes
 * to init.
 */
#ifndef CT_CONTAINER_SWEEP_H
#define CT_CONTAINER_SWEEP_H

#include <stddef.h>
#include <sys/types.h>

/*
 * SIGTERM to each child but these, and to what becomes one; wait for them to
 * end, at most grace ms. Returns at once when there is none.
 */
void sweep_ask(const pid_t *spared, size_t spared_count, unsigned grace);

/* SIGKILL each and reap it, children of children too, but for `spare` (or 0).
 */
void sweep(pid_t spare);

/* All descendants of the calling process but `spare`'s, at most max of them. */
size_t sweep_list(pid_t *ret, size_t max, pid_t spare);

#endif
