#include "host/task.h"

#include "base/span.h"
#include "base/strv.h"

#include <limits.h>
#include <stddef.h>

/* The innermost first: mpirun in a Slurm job has started us by Slurm. */
static const struct row {
    const char *launcher;
    const char *rank, *size, *local;
    const char *advice;
} rows[] = {
    {"ctrun", "CTRUN_RANK", "CTRUN_SIZE", "CTRUN_LOCAL_RANK", NULL},
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", NULL},
    {"MVAPICH2", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE",
     "MV2_COMM_WORLD_LOCAL_RANK", NULL},
    {"a launcher with PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", NULL},
    {"Flux", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", "FLUX_TASK_LOCAL_ID", NULL},
    /* not SLURM_NTASKS: a batch script is one task, whatever it may start */
    {"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
     "srun --mpi=pmix or --mpi=pmi2"},
};

static bool find_number(char *const *env, const char *name, unsigned *ret)
{
    const char *text = env_get(env, name);
    long number;

    if (text == NULL ||
        ct_span_number(ct_span_str(text), 0, INT_MAX, &number) < 0)
        return false;
    *ret = (unsigned)number;
    return true;
}

bool host_task_find(char *const *env, struct host_task *ret)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct host_task task = {.launcher = rows[i].launcher,
                                 .advice = rows[i].advice};

        if (find_number(env, rows[i].rank, &task.rank) &&
            find_number(env, rows[i].size, &task.size) && task.size > 1 &&
            task.rank < task.size) {
            if (!find_number(env, rows[i].local, &task.local))
                task.local = task.rank;
            *ret = task;
            return true;
        }
    }
    return false;
}
