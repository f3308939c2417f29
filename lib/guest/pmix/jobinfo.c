/*
 * What PMIx clients want to know of their job (PMIx standard 4.1, chapter 11
 * "Process management" and 6.1 "Reserved keys"). The maps alone would do for
 * Open MPI; what is given besides spares other clients a guess. PMIX_PROC_DATA
 * must be whole: without the local and the node rank Open MPI does not start.
 */
#include "base/scope.h"
#include "guest/pmix/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0,1,2,...": all ranks are local ones. */
static char *list_ranks(unsigned size)
{
    size_t room = (size_t)size * 11 + 1, used = 0;
    char *list = malloc(room);

    for (unsigned rank = 0; list != NULL && rank < size; rank++)
        used += (size_t)snprintf(list + used, room - used, "%s%u",
                                 rank > 0 ? "," : "", rank);
    return list;
}

/* ---- the job ---- */

static void add_sizes(struct infolist *ret, const struct pmixsrv_facts *facts)
{
    infolist_string(ret, PMIX_JOBID, facts->nspace);
    infolist_u32(ret, PMIX_UNIV_SIZE, facts->universe_size);
    infolist_u32(ret, PMIX_JOB_SIZE, facts->size);
    infolist_u32(ret, PMIX_MAX_PROCS, facts->universe_size);
    infolist_u32(ret, PMIX_JOB_NUM_APPS, facts->app_count);
    infolist_u32(ret, PMIX_NUM_NODES, 1);
    infolist_u32(ret, PMIX_NODE_SIZE, facts->size);
    infolist_u32(ret, PMIX_LOCAL_SIZE, facts->size);
    infolist_rank(ret, PMIX_LOCALLDR, 0);
    infolist_u32(ret, PMIX_NODEID, 0);
    infolist_string(ret, PMIX_HOSTNAME, facts->host);
}

/* Who is where: what libpmix encodes only libpmix can read. */
static int add_maps(struct infolist *ret, const struct pmixsrv_facts *facts,
                    const char *ranks, struct ct_error *reterr)
{
    char *nodes = NULL, *procs = NULL, anl[48];
    pmix_status_t rc = PMIx_generate_regex(facts->host, &nodes);

    if (rc == PMIX_SUCCESS)
        rc = PMIx_generate_ppn(ranks, &procs);
    if (rc == PMIX_SUCCESS) {
        infolist_add(ret, PMIX_NODE_MAP, nodes, PMIX_REGEX);
        infolist_add(ret, PMIX_PROC_MAP, procs, PMIX_REGEX);
    }
    free(nodes);
    free(procs);
    if (rc != PMIX_SUCCESS)
        return ct_fail(reterr, EIO, "PMIx_generate_regex: %s",
                       PMIx_Error_string(rc));
    infolist_string(ret, PMIX_LOCAL_PEERS, ranks);
    snprintf(anl, sizeof anl, "(vector,(0,1,%u))", facts->size);
    infolist_string(ret, PMIX_ANL_MAP, anl);
    return 0;
}

static void add_apps(struct infolist *ret, const struct pmixsrv_facts *facts)
{
    unsigned first = 0;

    for (unsigned app = 0; app < facts->app_count; app++) {
        struct infolist items = {0};

        infolist_u32(&items, PMIX_APPNUM, app);
        infolist_u32(&items, PMIX_APP_SIZE, facts->app_sizes[app]);
        infolist_rank(&items, PMIX_APPLDR, first);
        infolist_array(ret, PMIX_APP_INFO_ARRAY, &items);
        first += facts->app_sizes[app];
    }
}

static void add_rank_data(struct infolist *ret, const struct pmixsrv_job *job,
                          const struct pmixsrv_facts *facts, unsigned rank,
                          unsigned app, unsigned app_rank)
{
    struct infolist items = {0};
    char procdir[PMIXSRV_PATH_MAX];

    infolist_rank(&items, PMIX_RANK, rank);
    infolist_u32(&items, PMIX_APPNUM, app);
    infolist_rank(&items, PMIX_GLOBAL_RANK, rank);
    infolist_rank(&items, PMIX_APP_RANK, app_rank);
    infolist_u16(&items, PMIX_LOCAL_RANK, (uint16_t)rank);
    infolist_u16(&items, PMIX_NODE_RANK, (uint16_t)rank);
    infolist_u32(&items, PMIX_NODEID, 0);
    infolist_string(&items, PMIX_HOSTNAME, facts->host);
    infolist_u32(&items, PMIX_REINCARNATION, 0);
    if (facts->cpus != NULL)
        locality_add(&items, facts->cpus[rank], facts->cpus_size);
    if (job->server->config.tmpdir_is_shared) {
        pmixsrv_directory(job, (int)rank, procdir);
        infolist_string(&items, PMIX_PROCDIR, procdir);
    }
    infolist_array(ret, PMIX_PROC_DATA, &items);
}

static void add_ranks(struct infolist *ret, const struct pmixsrv_job *job,
                      const struct pmixsrv_facts *facts)
{
    unsigned rank = 0;

    for (unsigned app = 0; app < facts->app_count; app++)
        for (unsigned i = 0; i < facts->app_sizes[app]; i++)
            add_rank_data(ret, job, facts, rank++, app, i);
}

/* Open MPI keeps its files there; it is removed with all that is in it. */
static void add_directories(struct infolist *ret, const struct pmixsrv_job *job)
{
    const struct pmixsrv_config *config = &job->server->config;
    bool cleaned_by_us = true;
    char nsdir[PMIXSRV_PATH_MAX];

    if (!config->tmpdir_is_shared)
        return;
    pmixsrv_directory(job, -1, nsdir);
    infolist_string(ret, PMIX_TMPDIR, config->tmpdir);
    infolist_string(ret, PMIX_NSDIR, nsdir);
    infolist_add(ret, PMIX_TDIR_RMCLEAN, &cleaned_by_us, PMIX_BOOL);
}

static void add_parent(struct infolist *ret, const struct pmixsrv_spawn *spawn)
{
    pmix_proc_t parent;
    bool spawned = true;

    if (spawn == NULL)
        return;
    pmixsrv_proc(spawn->job, spawn->rank, &parent);
    infolist_add(ret, PMIX_SPAWNED, &spawned, PMIX_BOOL);
    infolist_add(ret, PMIX_PARENT_ID, &parent, PMIX_PROC);
}

static int collect(struct infolist *ret, const struct pmixsrv_job *job,
                   const struct pmixsrv_facts *facts, struct ct_error *reterr)
{
    CT_AUTO_FREE char *ranks = list_ranks(facts->size);

    if (ranks == NULL)
        return ct_fail_nomem(reterr);
    add_sizes(ret, facts);
    if (add_maps(ret, facts, ranks, reterr) < 0)
        return -1;
    add_apps(ret, facts);
    add_ranks(ret, job, facts);
    add_directories(ret, job);
    topology_add(ret);
    add_parent(ret, facts->spawn);
    return ret->failed ? ct_fail_nomem(reterr) : 0;
}

int jobinfo_register(struct pmixsrv_job *job, const struct pmixsrv_facts *facts,
                     struct ct_error *reterr)
{
    struct infolist all = {0};
    int rc = collect(&all, job, facts, reterr);
    pmix_status_t status = PMIX_SUCCESS;

    /* Without a callback it waits for libpmix's thread. */
    if (rc == 0)
        status = PMIx_server_register_nspace(job->nspace, (int)job->size,
                                             all.items, all.count, NULL, NULL);
    infolist_clear(&all);
    if (status != PMIX_SUCCESS && status != PMIX_OPERATION_SUCCEEDED)
        return ct_fail(reterr, EIO, "PMIx_server_register_nspace: %s",
                       PMIx_Error_string(status));
    return rc;
}
