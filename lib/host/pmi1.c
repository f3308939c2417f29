/*
 * PMI-1: MPICH's Hydra, Flux, and Slurm's pmi2 plugin when it is asked to.
 */
#include "host/pmi.h"

#include <errno.h>

static int find(char *const *env, struct client_environ *ret,
                struct ct_error *reterr)
{
    if (client_environ_read(env, ret, reterr) < 0)
        return -1;
    if (ret->address == NULL && ret->size == 0)
        return ct_fail(reterr, ENOENT, "PMI_SIZE is not set");
    return 0;
}

static int probe(char *const *env, struct ct_error *reterr)
{
    struct client_environ where;

    return find(env, &where, reterr);
}

static void *start(char *const *env, struct adapter_facts *ret,
                   struct ct_error *reterr)
{
    struct client_environ where;

    if (find(env, &where, reterr) < 0)
        return NULL;
    return host_pmi_open(&pmi_dialect_1, &where, ret, reterr);
}

const struct host_adapter host_pmi1 = {
    .name = "pmi1",
    .probe = probe,
    .open = start,
    .put = host_pmi_put,
    .fence = host_pmi_fence,
    .get = host_pmi_get,
    .close = host_pmi_close,
    .abort = host_pmi_abort,
};
