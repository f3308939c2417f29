/*
 * A directory of the job's own, for sockets and files that ranks see, too: it
 * lies in /dev/shm, or in /tmp if there is little room in memory. Both are the
 * host's in a container, unless --scratch hides them. Its name is known from
 * the start, so that the zygote can remove it however ctrun ends; it is made
 * only when something needs it.
 */
#ifndef CT_CONTAINER_RUNDIR_H
#define CT_CONTAINER_RUNDIR_H

#include "base/error.h"
#include "container/plan.h"

struct rundir {
    char path[48];
};

/* Choose a name that nobody can guess. in_tmp: nowhere but in /tmp. */
int rundir_choose(struct rundir *ret, bool in_tmp, struct ct_error *reterr);

/* Make it, for its owner alone; a directory that is there is not ours. */
int rundir_make(const struct rundir *dir, struct ct_error *reterr);

/*
 * What writes there has failed with *reterr, perhaps for want of room: when
 * less is left than libpmix wants at its start, 8 MiB and some, put "/tmp has N
 * KiB left: " (or /dev/shm) before the text.
 */
void rundir_explain(const struct rundir *dir, struct ct_error *reterr);

/* Would a rank of this plan see it? */
bool rundir_is_seen(const struct rundir *dir, const struct plan *plan);

/*
 * Remove it with all that is in it. parent is the host's directory it lies in:
 * the caller may stand in another mount namespace. It need not be there.
 */
int rundir_open_parent(const struct rundir *dir);
void rundir_remove(const struct rundir *dir, int parent);

#endif
