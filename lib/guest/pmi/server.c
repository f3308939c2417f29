/*
 * Servers and jobs: their facts, their tables, who is local.
 *
 * A job keeps one slot a *local* rank. Fences count local indices, so that a
 * job spread over nodes needs no more here than its local part; what crosses
 * nodes goes through the fence callback (collective.c).
 */
#include "guest/pmi/server.h"

#include "base/scope.h"
#include "wire/mapping.h"

#include <errno.h>
#include <stdio.h>

enum {
    JOBID_MAX = 200,
    /* A whole PMI-1 line must stay below 1024 bytes for MPICH <= 4.0. */
    MAPPING_MAX = 950,
};

static int export_error(struct ctpmi_error *err, const struct ct_error *inner)
{
    if (err != NULL) {
        err->code = inner->code;
        snprintf(err->text, sizeof err->text, "%s", inner->text);
    }
    return -1;
}

struct ctpmi *ctpmi_create(const struct ctpmi_callbacks *callbacks, void *ctx)
{
    struct ctpmi *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    server->callbacks = *callbacks;
    server->ctx = ctx;
    server->names = kvs_create(1, RANK_QUOTA);
    if (server->names == NULL) {
        free(server);
        return NULL;
    }
    return server;
}

static void job_destroy(struct ctpmi_job *job)
{
    for (unsigned i = 0; job->clients != NULL && i < job->local_count; i++)
        ctpmi_detach(job->clients[i]);
    fence_free_all(job);
    fences_destroy(job->fences);
    kvs_destroy(job->attrs);
    kvs_destroy(job->kvs);
    free(job->clients);
    free(job->local_ranks);
    free(job->appnum);
    free(job->node_of);
    free(job->mapping);
    free(job->lost);
    free(job->dead);
    free(job->spawner);
    free(job->jobid);
    free(job);
}

void ctpmi_destroy(struct ctpmi *server)
{
    if (server == NULL)
        return;
    while (server->jobs != NULL) {
        struct ctpmi_job *job = server->jobs;
        server->jobs = job->next;
        job_destroy(job);
    }
    kvs_destroy(server->names);
    free(server);
}

static int check_facts(const struct ctpmi_facts *facts, struct ct_error *reterr)
{
    size_t len = facts->jobid != NULL ? strlen(facts->jobid) : 0;

    if (len == 0 || len > JOBID_MAX)
        return ct_fail(reterr, EINVAL, "a job id has 1 to %d bytes", JOBID_MAX);
    for (size_t i = 0; i < len; i++)
        if (facts->jobid[i] <= ' ' || facts->jobid[i] > '~' ||
            facts->jobid[i] == ';' || facts->jobid[i] == '=')
            return ct_fail(reterr, EINVAL,
                           "job id '%s' has a byte that PMI cannot carry",
                           facts->jobid);
    if (facts->size == 0 || facts->size > INT32_MAX)
        return ct_fail(reterr, EINVAL, "a job of %u ranks", facts->size);
    return 0;
}

/* A copy of list[0..count-1], or count times the value when there is none. */
static unsigned *copy_or_fill(const unsigned *list, unsigned value,
                              unsigned count)
{
    unsigned *copy = calloc(count, sizeof *copy);

    for (unsigned i = 0; copy != NULL && i < count; i++)
        copy[i] = list != NULL ? list[i] : value;
    return copy;
}

static int find_local_ranks(struct ctpmi_job *job)
{
    unsigned count = 0;

    for (unsigned r = 0; r < job->size; r++)
        count += job->node_of[r] == job->node;
    job->local_ranks = calloc(count + 1, sizeof *job->local_ranks);
    job->clients = calloc(count + 1, sizeof(struct ctpmi_client *));
    if (job->local_ranks == NULL || job->clients == NULL)
        return -1;
    for (unsigned r = 0; r < job->size; r++)
        if (job->node_of[r] == job->node)
            job->local_ranks[job->local_count++] = r;
    return 0;
}

static int copy_facts(struct ctpmi_job *job, const struct ctpmi_facts *facts)
{
    job->size = facts->size;
    job->universe_size =
        facts->universe_size > 0 ? facts->universe_size : facts->size;
    job->node = facts->node;
    job->jobid = strdup(facts->jobid);
    job->node_of = copy_or_fill(facts->node_of, facts->node, facts->size);
    job->appnum = copy_or_fill(facts->appnum, 0, facts->size);
    if (facts->continues)
        job->lost = calloc(facts->size, sizeof *job->lost);
    if (job->jobid == NULL || job->node_of == NULL || job->appnum == NULL ||
        (facts->continues && job->lost == NULL) || find_local_ranks(job) < 0)
        return -1;
    if (facts->spawn == NULL && facts->spawner == NULL)
        return 0;
    job->spawner = strdup(facts->spawn != NULL ? spawn_parent(facts->spawn)
                                               : facts->spawner);
    return job->spawner != NULL ? 0 : -1;
}

static int make_tables(struct ctpmi_job *job)
{
    char text[MAPPING_MAX + 1];

    /* One owner more than ranks: the job itself, of preput values. */
    job->kvs = kvs_create(job->local_count + 1, RANK_QUOTA);
    job->attrs = kvs_create(job->local_count + 1, RANK_QUOTA);
    job->fences = fences_create(job->local_count > 0 ? job->local_count : 1);
    if (job->kvs == NULL || job->attrs == NULL || job->fences == NULL)
        return -1;
    /* Too irregular a map: no key, and MPICH compares host names instead. */
    if (mapping_encode(job->node_of, job->size, text, sizeof text, NULL) < 0)
        return 0;
    job->mapping = strdup(text);
    return job->mapping != NULL ? 0 : -1;
}

static int import_preput(struct ctpmi_job *job, const char *const *preput,
                         struct ct_error *reterr)
{
    for (; preput != NULL && preput[0] != NULL; preput += 2)
        if (preput[1] == NULL)
            return ct_fail(reterr, EINVAL, "a preput key without a value");
        else if (kvs_import(job->kvs, ct_span_str(preput[0]),
                            ct_span_str(preput[1]), reterr) < 0)
            return -1;
    return 0;
}

struct ctpmi_job *ctpmi_job_create(struct ctpmi *server,
                                   const struct ctpmi_facts *facts,
                                   struct ctpmi_error *err)
{
    struct ct_error error;
    struct ctpmi_job *job = NULL;

    if (check_facts(facts, &error) < 0)
        goto fail;
    job = calloc(1, sizeof *job);
    if (job == NULL) {
        ct_fail_nomem(&error);
        goto fail;
    }
    job->server = server;
    if (copy_facts(job, facts) < 0 || make_tables(job) < 0) {
        ct_fail_nomem(&error);
        goto fail;
    }
    if (facts->spawn != NULL && spawn_preput(facts->spawn, job, &error) < 0)
        goto fail;
    if (import_preput(job, facts->preput, &error) < 0)
        goto fail;
    job->next = server->jobs;
    server->jobs = job;
    return job;
fail:
    if (job != NULL)
        job_destroy(job);
    export_error(err, &error);
    return NULL;
}

/* All ranks are here, or local_ranks ascends: a binary search. */
int job_local_index(const struct ctpmi_job *job, unsigned rank)
{
    unsigned low = 0, high = job->local_count;

    if (job->local_count == job->size)
        return rank < job->size ? (int)rank : -1;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (job->local_ranks[mid] < rank)
            low = mid + 1;
        else
            high = mid;
    }
    return low < job->local_count && job->local_ranks[low] == rank ? (int)low
                                                                   : -1;
}

const char *job_attribute(const struct ctpmi_job *job, struct ct_span key,
                          char *buf, size_t size)
{
    if (ct_span_is(key, "PMI_process_mapping"))
        return job->mapping;
    if (ct_span_is(key, "PMI_dead_processes"))
        return job->dead;
    if (ct_span_is(key, "universeSize")) {
        snprintf(buf, size, "%u", job->universe_size);
        return buf;
    }
    return NULL;
}

/* "1,3": as many as one value of any dialect can carry, the lowest. */
static char *list_dead(const struct ctpmi_job *job)
{
    char text[MAPPING_MAX + 1];
    size_t len = 0;

    for (unsigned rank = 0; rank < job->size; rank++) {
        char number[16];
        int more =
            snprintf(number, sizeof number, "%s%u", len > 0 ? "," : "", rank);

        if (!job->lost[rank])
            continue;
        if (len + (size_t)more > MAPPING_MAX)
            break;
        memcpy(text + len, number, (size_t)more);
        len += (size_t)more;
    }
    return ct_span_dup(ct_span(text, len));
}

void rank_note_lost(struct ctpmi_job *job, unsigned rank)
{
    char *dead;

    job->lost[rank] = true;
    dead = list_dead(job);
    if (dead == NULL) /* without memory the old one stays */
        return;
    free(job->dead);
    job->dead = dead;
}

void ctpmi_rank_lost(struct ctpmi_job *job, unsigned rank)
{
    int index;

    if (job->lost == NULL || rank >= job->size)
        return;
    rank_note_lost(job, rank);
    index = job_local_index(job, rank);
    if (index >= 0)
        rank_excuse(job, (unsigned)index);
}

bool key_is_reserved(struct ct_span key)
{
    return key.len >= 4 && memcmp(key.ptr, "PMI_", 4) == 0;
}

struct ctpmi_client *ctpmi_attach(struct ctpmi_job *job, unsigned rank, int fd,
                                  unsigned flags, struct ctpmi_error *err)
{
    struct ct_error error;
    int index = rank < job->size ? job_local_index(job, rank) : -1;
    struct ctpmi_client *client;

    if (index < 0 || job->clients[index] != NULL) {
        ct_fail(&error, EINVAL, "rank %u is %s", rank,
                index < 0 ? "not of this node" : "served already");
        goto fail;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        ct_fail_nomem(&error);
        goto fail;
    }
    client->job = job;
    client->rank = rank;
    client->fd = fd;
    client->flags = (uint8_t)flags;
    client->state = SESSION_NEW;
    job->clients[index] = client;
    job->attached++;
    job->server->callbacks.watch(job->server->ctx, client, fd, CTPMI_IN);
    return client;
fail:
    export_error(err, &error);
    return NULL;
}

static void env_add(struct ctpmi_env *env, const char *name, const char *value)
{
    snprintf(env->items[env->count], sizeof env->items[0], "%s=%s", name,
             value);
    env->count++;
}

static void env_add_num(struct ctpmi_env *env, const char *name, unsigned value)
{
    char text[16];

    snprintf(text, sizeof text, "%u", value);
    env_add(env, name, text);
}

void ctpmi_environment(const struct ctpmi_job *job, unsigned rank, int fd,
                       struct ctpmi_env *ret)
{
    int index = job_local_index(job, rank);

    ret->count = 0;
    env_add_num(ret, "PMI_FD", (unsigned)fd);
    env_add_num(ret, "PMI_RANK", rank);
    env_add_num(ret, "PMI_SIZE", job->size);
    /* Slurm's name; libpmi2 and Open MPI's s2 look for it. */
    env_add(ret, "PMI_JOBID", job->jobid);
    env_add_num(ret, "MPI_LOCALRANKID", index >= 0 ? (unsigned)index : 0);
    env_add_num(ret, "MPI_LOCALNRANKS", job->local_count);
    if (job->spawner != NULL)
        env_add(ret, "PMI_SPAWNED", "1");
}

enum ctpmi_state ctpmi_client_state(const struct ctpmi_client *client)
{
    if (!client->spoke)
        return CTPMI_SILENT;
    return client->finalized ? CTPMI_FINALIZED : CTPMI_ACTIVE;
}

unsigned ctpmi_client_rank(const struct ctpmi_client *client)
{
    return client->rank;
}

struct ctpmi_job *ctpmi_client_job(const struct ctpmi_client *client)
{
    return client->job;
}

void ctpmi_job_set_user(struct ctpmi_job *job, void *user)
{
    job->user = user;
}

void *ctpmi_job_user(const struct ctpmi_job *job)
{
    return job->user;
}
