/*
 * PMI-2: Slurm's pmi2 plugin. Hydra speaks it too, but means PMI-1.
 */
#include "host/pmi.h"

#include <errno.h>
#include <string.h>

static int find(char *const *env, struct client_environ *ret,
                struct ct_error *reterr)
{
    if (client_environ_read(env, ret, reterr) < 0)
        return -1;
    if (ret->fd < 0)
        return ct_fail(reterr, ENOENT, "PMI_FD is not set");
    return 0;
}

static int probe(char *const *env, struct ct_error *reterr)
{
    struct client_environ where;

    return find(env, &where, reterr);
}

/*
 * Hydra's ranks in a Slurm job have Slurm's variables as well, since its
 * proxies are tasks of srun; but MPI_LOCALRANKID is of Hydra alone.
 */
static bool is_slurm(char *const *env)
{
    const char *type = env_get(env, "SLURM_MPI_TYPE");

    if (env_get(env, "MPI_LOCALRANKID") != NULL)
        return false;
    if (type != NULL)
        return strcmp(type, "pmi2") == 0;
    return env_get(env, "PMI_JOBID") != NULL &&
           env_get(env, "SLURM_STEP_ID") != NULL;
}

static int fits(char *const *env, struct ct_error *reterr)
{
    if (!is_slurm(env))
        return ct_fail(reterr, ENOENT, "not under srun --mpi=pmi2");
    return 0;
}

static void *start(char *const *env, struct adapter_facts *ret,
                   struct ct_error *reterr)
{
    struct client_environ where;

    if (find(env, &where, reterr) < 0)
        return NULL;
    return host_pmi_open(&pmi_dialect_2, &where, ret, reterr);
}

const struct host_adapter host_pmi2 = {
    .name = "pmi2",
    .probe = probe,
    .fits = fits,
    .open = start,
    .put = host_pmi_put,
    .fence = host_pmi_fence,
    .get = host_pmi_get,
    .close = host_pmi_close,
    .abort = host_pmi_abort,
};
