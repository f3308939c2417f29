/*
 * Process sets: libpmix is told of them, because it sends events about them and
 * builds groups from their names; questions about them are answered from here
 * (query.c), because not every libpmix does.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

static void pset_free(struct pset *pset)
{
    free(pset->name);
    free(pset->members);
    free(pset);
}

static struct pset *pset_new(const struct pmixsrv_job *job,
                             const struct pmixsrv_pset *facts)
{
    struct pset *pset = calloc(1, sizeof *pset);

    if (pset == NULL)
        return NULL;
    pset->name = strdup(facts->name);
    pset->members = calloc(facts->count, sizeof *pset->members);
    pset->count = facts->count;
    if (pset->name == NULL || pset->members == NULL) {
        pset_free(pset);
        return NULL;
    }
    for (unsigned i = 0; i < facts->count; i++)
        pmixsrv_proc(job, facts->ranks[i], &pset->members[i]);
    return pset;
}

/* 4.2 returns what happens to be on its stack, so that is not looked at. */
int pset_define(struct pmixsrv_job *job, const struct pmixsrv_pset *facts,
                struct ct_error *reterr)
{
    struct pset *pset = pset_new(job, facts);

    if (pset == NULL)
        return ct_fail_nomem(reterr);
    PMIx_server_define_process_set(pset->members, pset->count, pset->name);
    pset->next = job->server->psets;
    job->server->psets = pset;
    return 0;
}

const struct pset *pset_find(const struct pmixsrv *server, const char *name)
{
    for (const struct pset *pset = server->psets; pset != NULL;
         pset = pset->next)
        if (strcmp(pset->name, name) == 0)
            return pset;
    return NULL;
}
