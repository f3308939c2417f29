/*
 * /dev/shm is the host's, and an MPI that is killed leaves its files there.
 * What a job left is taken away: never what another process uses, never another
 * user's, never what is older than the job.
 */
#ifndef CT_CONTAINER_SHM_H
#define CT_CONTAINER_SHM_H

#include "base/strv.h"

#include <sys/types.h>
#include <time.h>

struct shm {
    struct timespec since; /* when the job began */
    struct strv seen;      /* names that ranks had mapped */
};

/* Begin. */
void shm_start(struct shm *shm);

/* Remember what these processes have mapped of /dev/shm; before killing them.
 */
void shm_look(struct shm *shm, const pid_t *pids, size_t count);

/*
 * After they are gone: remove what they had mapped and what looks like an
 * MPI's, if it was made since and no process has it mapped or open.
 */
void shm_clean(struct shm *shm);

#endif
