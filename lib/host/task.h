/*
 * Another launcher's task: has somebody started several of us, who might be
 * meant as ranks of one job? This only looks; host.h asks.
 */
#ifndef CT_HOST_TASK_H
#define CT_HOST_TASK_H

#include <stdbool.h>

struct host_task {
    const char *launcher; /* "Slurm" */
    unsigned rank, size;
    unsigned local;     /* the rank on its node; where nobody tells, rank */
    const char *advice; /* how it is made to speak PMI with us, or NULL */
};

/*
 * Told by the launcher's variables in env (NULL-terminated). False when there
 * are none that make sense, or when we are the only task.
 */
bool host_task_find(char *const *env, struct host_task *ret);

#endif
