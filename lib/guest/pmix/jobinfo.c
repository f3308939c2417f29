/*
 * What PMIx clients want to know of their job (PMIx standard 4.1, chapter 11
 * "Process management" and 6.1 "Reserved keys"). The maps alone would do for
 * Open MPI; what is given besides spares other clients a guess. PMIX_PROC_DATA
 * must be whole: without the local and the node rank Open MPI does not start.
 */
#include "base/scope.h"
#include "guest/pmix/state.h"
#include "wire/mapping.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- nodes ---- */

static unsigned node_of(const struct pmixsrv_facts *facts, unsigned rank)
{
    return facts->node_of != NULL ? facts->node_of[rank] : 0;
}

static unsigned our_node(const struct pmixsrv_facts *facts)
{
    return facts->node_of != NULL ? facts->node : 0;
}

static unsigned count_nodes(const struct pmixsrv_facts *facts)
{
    return facts->node_of != NULL ? facts->node_count : 1;
}

static const char *host_of(const struct pmixsrv_facts *facts, unsigned node)
{
    return facts->hosts != NULL ? facts->hosts[node] : facts->host;
}

/* "0,1,2,...": the ranks of a node. */
static char *list_ranks(const struct pmixsrv_facts *facts, unsigned node)
{
    size_t room = (size_t)facts->size * 11 + 1, used = 0;
    char *list = malloc(room);

    if (list != NULL)
        list[0] = '\0';
    for (unsigned rank = 0; list != NULL && rank < facts->size; rank++)
        if (node_of(facts, rank) == node)
            used += (size_t)snprintf(list + used, room - used, "%s%u",
                                     used > 0 ? "," : "", rank);
    return list;
}

/* All ranks, those of one node after those of another: to free(), or NULL. */
static unsigned *sort_by_node(const struct pmixsrv_facts *facts)
{
    CT_AUTO_FREE unsigned *next =
        calloc((size_t)count_nodes(facts) + 1, sizeof *next);
    unsigned *ranks = malloc(facts->size * sizeof *ranks);

    if (next == NULL || ranks == NULL) {
        free(ranks);
        return NULL;
    }
    for (unsigned rank = 0; rank < facts->size; rank++)
        next[node_of(facts, rank) + 1]++;
    for (unsigned node = 0; node < count_nodes(facts); node++)
        next[node + 1] += next[node];
    for (unsigned rank = 0; rank < facts->size; rank++)
        ranks[next[node_of(facts, rank)]++] = rank;
    return ranks;
}

/* Is it the first of its node, in ranks that are sorted by node? */
static bool starts_node(const struct pmixsrv_facts *facts,
                        const unsigned *ranks, unsigned i)
{
    return i == 0 || node_of(facts, ranks[i]) != node_of(facts, ranks[i - 1]);
}

/* "0,1;2,3": ranks are sorted by node; one without any is not told of. */
static void write_ranks(FILE *f, const struct pmixsrv_facts *facts,
                        const unsigned *ranks)
{
    for (unsigned i = 0; i < facts->size; i++) {
        if (i > 0)
            fputc(starts_node(facts, ranks, i) ? ';' : ',', f);
        fprintf(f, "%u", ranks[i]);
    }
}

/* "a,b" */
static void write_hosts(FILE *f, const struct pmixsrv_facts *facts,
                        const unsigned *ranks)
{
    for (unsigned i = 0; i < facts->size; i++)
        if (starts_node(facts, ranks, i))
            fprintf(f, "%s%s", i > 0 ? "," : "",
                    host_of(facts, node_of(facts, ranks[i])));
}

/* What is written, to free(), or NULL. */
static char *text_of(const struct pmixsrv_facts *facts, const unsigned *ranks,
                     void (*write)(FILE *f, const struct pmixsrv_facts *facts,
                                   const unsigned *ranks))
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL)
        return NULL;
    write(f, facts, ranks);
    if (fclose(f) == 0)
        return text;
    free(text);
    return NULL;
}

/* 0 without memory. */
static unsigned count_used_nodes(const struct pmixsrv_facts *facts)
{
    CT_AUTO_FREE unsigned *ranks = sort_by_node(facts);
    unsigned count = 0;

    for (unsigned i = 0; ranks != NULL && i < facts->size; i++)
        count += starts_node(facts, ranks, i);
    return count;
}

static unsigned count_local(const struct pmixsrv_facts *facts,
                            unsigned *ret_first)
{
    unsigned count = 0;

    for (unsigned rank = facts->size; rank-- > 0;)
        if (node_of(facts, rank) == our_node(facts)) {
            *ret_first = rank;
            count++;
        }
    return count;
}

/* ---- the job ---- */

static void add_sizes(struct infolist *ret, const struct pmixsrv_facts *facts)
{
    unsigned first = 0, local = count_local(facts, &first);

    infolist_string(ret, PMIX_JOBID, facts->nspace);
    infolist_u32(ret, PMIX_UNIV_SIZE, facts->universe_size);
    infolist_u32(ret, PMIX_JOB_SIZE, facts->size);
    infolist_u32(ret, PMIX_MAX_PROCS, facts->universe_size);
    infolist_u32(ret, PMIX_JOB_NUM_APPS, facts->app_count);
    infolist_u32(ret, PMIX_NUM_NODES, count_used_nodes(facts));
    infolist_u32(ret, PMIX_NODE_SIZE, local);
    infolist_u32(ret, PMIX_LOCAL_SIZE, local);
    if (local > 0)
        infolist_rank(ret, PMIX_LOCALLDR, first);
    infolist_u32(ret, PMIX_NODEID, our_node(facts));
    infolist_string(ret, PMIX_HOSTNAME, facts->host);
}

/* Who is where: what libpmix encodes only libpmix can read. */
static int add_maps(struct infolist *ret, const struct pmixsrv_facts *facts,
                    struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *order = sort_by_node(facts);
    CT_AUTO_FREE char *hosts =
        order != NULL ? text_of(facts, order, write_hosts) : NULL;
    CT_AUTO_FREE char *ranks =
        order != NULL ? text_of(facts, order, write_ranks) : NULL;
    CT_AUTO_FREE char *nodes = NULL, *procs = NULL;
    pmix_status_t rc;

    if (hosts == NULL || ranks == NULL)
        return ct_fail_nomem(reterr);
    rc = PMIx_generate_regex(hosts, &nodes);
    if (rc == PMIX_SUCCESS)
        rc = PMIx_generate_ppn(ranks, &procs);
    if (rc != PMIX_SUCCESS)
        return ct_fail(reterr, EIO, "PMIx_generate_regex: %s",
                       PMIx_Error_string(rc));
    infolist_add(ret, PMIX_NODE_MAP, nodes, PMIX_REGEX);
    infolist_add(ret, PMIX_PROC_MAP, procs, PMIX_REGEX);
    return 0;
}

/* A map that is too long is left out, as Flux does. */
static int add_anl_map(struct infolist *ret, const struct pmixsrv_facts *facts,
                       struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *map = calloc(facts->size, sizeof *map);
    CT_AUTO_FREE unsigned *numbers =
        calloc(count_nodes(facts), sizeof *numbers);
    char anl[4096];

    if (map == NULL || numbers == NULL)
        return ct_fail_nomem(reterr);
    if (facts->node_of != NULL)
        mapping_renumber(facts->node_of, facts->size, numbers,
                         count_nodes(facts), map);
    if (mapping_encode(map, facts->size, anl, sizeof anl, NULL) > 0)
        infolist_string(ret, PMIX_ANL_MAP, anl);
    return 0;
}

static int add_places(struct infolist *ret, const struct pmixsrv_facts *facts,
                      struct ct_error *reterr)
{
    CT_AUTO_FREE char *peers = list_ranks(facts, our_node(facts));

    if (peers == NULL)
        return ct_fail_nomem(reterr);
    if (peers[0] != '\0')
        infolist_string(ret, PMIX_LOCAL_PEERS, peers);
    if (add_anl_map(ret, facts, reterr) < 0)
        return -1;
    return add_maps(ret, facts, reterr);
}

static void add_workdir(struct infolist *ret, const struct pmixsrv_facts *facts,
                        unsigned app)
{
    if (facts->workdirs != NULL && facts->workdirs[app] != NULL)
        infolist_string(ret, PMIX_WDIR, facts->workdirs[app]);
}

static void add_apps(struct infolist *ret, const struct pmixsrv_facts *facts)
{
    unsigned first = 0;

    if (facts->app_count == 1)
        add_workdir(ret, facts, 0);
    for (unsigned app = 0; app < facts->app_count; app++) {
        struct infolist items = {0};

        infolist_u32(&items, PMIX_APPNUM, app);
        infolist_u32(&items, PMIX_APP_SIZE, facts->app_sizes[app]);
        infolist_rank(&items, PMIX_APPLDR, first);
        add_workdir(&items, facts, app);
        infolist_array(ret, PMIX_APP_INFO_ARRAY, &items);
        first += facts->app_sizes[app];
    }
}

static void add_rank_data(struct infolist *ret, const struct pmixsrv_job *job,
                          const struct pmixsrv_facts *facts, unsigned rank,
                          unsigned app, unsigned app_rank, unsigned local_rank)
{
    unsigned node = node_of(facts, rank);
    bool ours = node == our_node(facts);
    struct infolist items = {0};
    char procdir[PMIXSRV_PATH_MAX];

    infolist_rank(&items, PMIX_RANK, rank);
    infolist_u32(&items, PMIX_APPNUM, app);
    infolist_rank(&items, PMIX_GLOBAL_RANK, rank);
    infolist_rank(&items, PMIX_APP_RANK, app_rank);
    infolist_u16(&items, PMIX_LOCAL_RANK, (uint16_t)local_rank);
    infolist_u16(&items, PMIX_NODE_RANK, (uint16_t)local_rank);
    infolist_u32(&items, PMIX_NODEID, node);
    infolist_string(&items, PMIX_HOSTNAME, host_of(facts, node));
    infolist_u32(&items, PMIX_REINCARNATION, 0);
    if (facts->cpus != NULL && facts->cpus[rank] != NULL)
        locality_add(&items, facts->cpus[rank], facts->cpus_size);
    if (ours && job->server->config.tmpdir_is_shared) {
        pmixsrv_directory(job, (int)rank, procdir);
        infolist_string(&items, PMIX_PROCDIR, procdir);
    }
    infolist_array(ret, PMIX_PROC_DATA, &items);
}

static int add_ranks(struct infolist *ret, const struct pmixsrv_job *job,
                     const struct pmixsrv_facts *facts, struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *seen = calloc(count_nodes(facts), sizeof *seen);
    unsigned rank = 0;

    if (seen == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned app = 0; app < facts->app_count; app++)
        for (unsigned i = 0; i < facts->app_sizes[app]; i++, rank++)
            add_rank_data(ret, job, facts, rank, app, i,
                          seen[node_of(facts, rank)]++);
    return 0;
}

/* Open MPI keeps its files there; it is removed with all that is in it. */
static void add_directories(struct infolist *ret, const struct pmixsrv_job *job)
{
    const struct pmixsrv_config *config = &job->server->config;
    bool cleaned_by_us = true;
    char nsdir[PMIXSRV_PATH_MAX];

    if (job->elsewhere || !config->tmpdir_is_shared)
        return;
    pmixsrv_directory(job, -1, nsdir);
    infolist_string(ret, PMIX_TMPDIR, config->tmpdir);
    infolist_string(ret, PMIX_NSDIR, nsdir);
    infolist_add(ret, PMIX_TDIR_RMCLEAN, &cleaned_by_us, PMIX_BOOL);
}

static void add_parent(struct infolist *ret, const struct pmixsrv_facts *facts)
{
    pmix_proc_t parent;
    bool spawned = true;

    if (facts->parent == NULL)
        return;
    memset(&parent, 0, sizeof parent);
    snprintf(parent.nspace, sizeof parent.nspace, "%s", facts->parent);
    parent.rank = facts->parent_rank;
    infolist_add(ret, PMIX_SPAWNED, &spawned, PMIX_BOOL);
    infolist_add(ret, PMIX_PARENT_ID, &parent, PMIX_PROC);
}

static int collect(struct infolist *ret, const struct pmixsrv_job *job,
                   const struct pmixsrv_facts *facts, struct ct_error *reterr)
{
    add_sizes(ret, facts);
    if (add_places(ret, facts, reterr) < 0)
        return -1;
    add_apps(ret, facts);
    if (add_ranks(ret, job, facts, reterr) < 0)
        return -1;
    add_directories(ret, job);
    topology_add(ret);
    add_parent(ret, facts);
    return ret->failed ? ct_fail_nomem(reterr) : 0;
}

int jobinfo_register(struct pmixsrv_job *job, const struct pmixsrv_facts *facts,
                     struct ct_error *reterr)
{
    struct infolist all = {0};
    unsigned first, local = count_local(facts, &first);
    int rc = collect(&all, job, facts, reterr);
    pmix_status_t status = PMIX_SUCCESS;

    /* Without a callback it waits for libpmix's thread. */
    if (rc == 0)
        status = PMIx_server_register_nspace(job->nspace, (int)local, all.items,
                                             all.count, NULL, NULL);
    infolist_clear(&all);
    if (status != PMIX_SUCCESS && status != PMIX_OPERATION_SUCCEEDED)
        return ct_fail(reterr, EIO, "PMIx_server_register_nspace: %s",
                       PMIx_Error_string(status));
    return rc;
}
