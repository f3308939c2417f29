/*
 * MPI_Comm_spawn: a request of a PMI server becomes a job of its own, in
 * containers of the image of the rank that asks. It is answered when each
 * command is known to be there; the children then start like other ranks.
 * Where there are several nodes peers_spawn.c lies between.
 *
 * Info keys that we have an answer to are rows of a table; the MPI standard
 * lets us pass over all others.
 */
#include "agent/share.h"
#include "agent/state.h"
#include "base/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct info_row {
    const char *key;
    int (*take)(struct agent *agent, struct wish *wish, const char *value,
                struct ct_error *reterr);
};

static int take_workdir(struct agent *agent, struct wish *wish,
                        const char *value, struct ct_error *reterr)
{
    (void)agent;
    if (value[0] != '/')
        return ct_fail(reterr, EINVAL, "wdir '%.100s' is not absolute", value);
    wish->workdir = value;
    return 0;
}

static int take_path(struct agent *agent, struct wish *wish, const char *value,
                     struct ct_error *reterr)
{
    (void)agent;
    (void)reterr;
    wish->path = value;
    return 0;
}

/* A name of either kind is meant for a node of the other: "n1", "n1.example".
 */
static bool is_host(const char *host, const char *name, size_t len)
{
    size_t own = strlen(host), common = own < len ? own : len;

    if (strncasecmp(host, name, common) != 0)
        return false;
    return own == len || (own < len ? name[common] : host[common]) == '.';
}

/* -1: none of this job. */
static int find_node(const struct agent *agent, const char *name, size_t len)
{
    const struct agent_world *world = agent->config.world;

    if (is_host("localhost", name, len) || is_host(agent->host, name, len))
        return world != NULL ? (int)world->node : 0;
    for (unsigned node = 0; world != NULL && node < world->node_count; node++)
        if (is_host(world->hosts[node], name, len))
            return (int)node;
    return -1;
}

/* One name, or several with commas between them. */
static int take_host(struct agent *agent, struct wish *wish, const char *value,
                     struct ct_error *reterr)
{
    const struct agent_world *world = agent->config.world;
    bool *hosts = calloc(world != NULL ? world->node_count : 1, sizeof *hosts);

    if (hosts == NULL)
        return ct_fail_nomem(reterr);
    free(wish->hosts);
    wish->hosts = hosts;
    for (const char *name = value; name != NULL;) {
        size_t len = strcspn(name, ",");
        int node = find_node(agent, name, len);

        if (node < 0)
            return ct_fail(reterr, ENOTSUP,
                           "host '%.*s' is not of this job (%s is)",
                           (int)(len < 100 ? len : 100), name, agent->host);
        hosts[node] = true;
        name = name[len] == ',' ? name + len + 1 : NULL;
    }
    return 0;
}

static int take_unserved(struct agent *agent, struct wish *wish,
                         const char *value, struct ct_error *reterr)
{
    (void)agent;
    (void)wish;
    return ct_fail(reterr, ENOTSUP, "info '%.100s' is not served", value);
}

static const struct info_row info_rows[] = {
    {"wdir", take_workdir},  {"path", take_path},
    {"host", take_host},     {"hosts", take_host},
    {"file", take_unserved}, {"hostfile", take_unserved},
    {"soft", take_unserved},
};

static int take_info(struct agent *agent, struct wish *wish,
                     const char *const *info, struct ct_error *reterr)
{
    for (; info[0] != NULL; info += 2)
        for (size_t i = 0; i < sizeof info_rows / sizeof info_rows[0]; i++)
            if (strcmp(info[0], info_rows[i].key) == 0 &&
                info_rows[i].take(agent, wish, info[1], reterr) < 0)
                return -1;
    return 0;
}

struct spawn *spawn_new(struct proc *by, unsigned count)
{
    struct spawn *spawn =
        calloc(1, sizeof *spawn + count * sizeof spawn->commands[0]);

    if (spawn != NULL) {
        spawn->by = by;
        spawn->count = count;
    }
    return spawn;
}

static int take_wishes(struct job *job, struct ct_error *reterr)
{
    job->wishes = calloc(job->app_count, sizeof *job->wishes);
    if (job->wishes == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < job->app_count; i++)
        if (take_info(job->agent, &job->wishes[i],
                      job->request->commands[i].info, reterr) < 0)
            return -1;
    return 0;
}

static struct job *add_job(struct agent *agent, struct spawn *spawn)
{
    const struct job *parent = spawn->by->job;
    CT_AUTO_FREE struct agent_app *apps = calloc(spawn->count, sizeof *apps);
    struct job *job;

    for (unsigned i = 0; apps != NULL && i < spawn->count; i++)
        apps[i] = (struct agent_app){
            .plan = parent->apps[spawn->by->app].plan,
            .ranks = spawn->commands[i].ranks,
            .argv = spawn->commands[i].argv,
        };
    job = apps != NULL ? job_add(agent, job_number(agent), apps, spawn->count)
                       : NULL;
    if (job != NULL) {
        job->request = spawn;
        job->pending = true;
        job->parents = parent->family;
        job->spawner_rank = spawn->by->rank;
        memcpy(job->spawner, parent->id, sizeof job->spawner);
    }
    return job;
}

int spawn_describe(const struct job *job, struct share *ret,
                   struct ct_error *reterr)
{
    const struct spawn *request = job->request;

    *ret = (struct share){
        .number = job->number,
        .family = job->parents,
        .id = job->id,
        .parent = job->spawner,
        .parent_rank = job->spawner_rank,
        .size = job->size,
        .app_count = job->app_count,
        .apps = calloc(job->app_count, sizeof *ret->apps),
        .preput =
            request->pmi != NULL ? (char *const *)request->pmi->preput : NULL,
    };
    for (unsigned i = 0; ret->apps != NULL && i < job->app_count; i++)
        ret->apps[i] = (struct share_app){
            .ranks = request->commands[i].ranks,
            .argv = request->commands[i].argv,
            .env = request->commands[i].env,
            .workdir = job->wishes[i].workdir,
            .path = job->wishes[i].path,
        };
    return ret->apps != NULL ? 0 : ct_fail_nomem(reterr);
}

void spawn_undescribe(struct share *share)
{
    free(share->apps);
}

/* A request's strings go with its answer; children start after that. */
static int keep_strings(struct job *job, const struct share *share)
{
    for (unsigned i = 0; i < job->app_count; i++)
        if (strv_add(&job->names, share->apps[i].argv[0]) < 0 ||
            (share->apps[i].env != NULL &&
             strv_add_all(&job->apps[i].env, share->apps[i].env) < 0))
            return -1;
    for (unsigned i = 0; i < job->app_count; i++)
        job->apps[i].name = job->names.items[i];
    if (share->node_of == NULL || share->preput == NULL)
        return 0;
    return strv_add_all(&job->preput, share->preput);
}

static int prepare(struct job *job, const struct share *share,
                   struct ct_error *reterr)
{
    unsigned count = share->app_count;
    CT_AUTO_FREE char *const **argvs = calloc(count, sizeof *argvs);
    CT_AUTO_FREE const char **workdirs = calloc(count, sizeof *workdirs);
    CT_AUTO_FREE const char **paths = calloc(count, sizeof *paths);

    if (argvs == NULL || workdirs == NULL || paths == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < count; i++) {
        argvs[i] = share->apps[i].argv;
        workdirs[i] = share->apps[i].workdir;
        paths[i] = share->apps[i].path;
    }
    return job_prepare(job, argvs, workdirs, paths, reterr);
}

int spawn_share(struct job *job, const struct share *share,
                struct ct_error *reterr)
{
    if (job_place(job, share->node_of) < 0 || keep_strings(job, share) < 0)
        return ct_fail_nomem(reterr);
    if (job->local_count > 0)
        return prepare(job, share, reterr);
    spawn_open(job);
    return 0;
}

/* Without other nodes. */
static int begin_here(struct job *job, struct ct_error *reterr)
{
    struct share share;
    int rc = spawn_describe(job, &share, reterr);

    if (rc == 0)
        rc = spawn_share(job, &share, reterr);
    spawn_undescribe(&share);
    return rc;
}

int spawn_begin(struct agent *agent, struct spawn *spawn)
{
    struct job *job = agent->ending ? NULL : add_job(agent, spawn);
    struct ct_error err;

    if (job == NULL) {
        free(spawn);
        return -1;
    }
    if (take_wishes(job, &err) < 0 ||
        (agent->peers != NULL ? peers_spawn_begin(job, &err)
                              : begin_here(job, &err)) < 0)
        spawn_failed(job, err.text);
    return 0;
}

/* From the server for PMI-1 and PMI-2. */
int spawn_requested(void *ctx, struct ctpmi_spawn *request)
{
    struct job *parent = ctpmi_job_user(ctpmi_client_job(request->by));
    struct spawn *spawn = spawn_new(
        job_proc(parent, ctpmi_client_rank(request->by)), request->count);

    if (spawn == NULL)
        return -1;
    spawn->pmi = request;
    for (unsigned i = 0; i < request->count; i++)
        spawn->commands[i] = (struct spawn_command){
            .ranks = request->commands[i].maxprocs,
            .argv = (char *const *)request->commands[i].argv,
            .info = request->commands[i].info,
        };
    return spawn_begin(ctx, spawn);
}

void spawn_release(struct job *job)
{
    for (unsigned i = 0; job->wishes != NULL && i < job->app_count; i++)
        free(job->wishes[i].hosts);
    free(job->wishes);
    free(job->request);
    job->wishes = NULL;
    job->request = NULL;
}

static void answer(struct job *job, bool success)
{
    const struct spawn *request = job->request;

    if (request == NULL)
        return;
    if (request->pmi != NULL)
        ctpmi_spawn_done(request->pmi, success ? job->pmi : NULL, NULL);
    else
        pmixsrv_spawn_done(request->pmix, success ? job->pmix : NULL);
    spawn_release(job);
}

void spawn_open(struct job *job)
{
    struct ct_error err;

    if (!job->pending)
        return;
    if (job_open(job, &err) < 0)
        spawn_failed(job, err.text);
    else if (job->spread != NULL)
        peers_spawn_ready(job);
    else
        spawn_known(job);
}

void spawn_known(struct job *job)
{
    job->pending = false;
    job->ready = true;
    if (job->request != NULL)
        agent_note(job->agent, 1, "job %s: %u ranks of %s, spawned", job->id,
                   job->size, job->apps[0].name);
    answer(job, true);
    agent_pump(job->agent);
}

void spawn_drop(struct job *job)
{
    job->pending = false;
    job->ready = true; /* it has no ranks to start */
    job->started = job->local_count;
    if (job->pmix != NULL)
        pmixsrv_job_drop(job->pmix);
}

/*
 * The rank is told by MPI, which has one code for all reasons: say it too, but
 * where it is because of an end of which the user has been told.
 */
void spawn_failed(struct job *job, const char *reason)
{
    if (!job->pending)
        return;
    spawn_drop(job);
    if (reason != NULL && job->request != NULL && !job->agent->ending &&
        !peers_know_end(job->agent))
        agent_note(job->agent, 0, "MPI_Comm_spawn of %s: %s", job->apps[0].name,
                   reason);
    if (job->spread != NULL)
        peers_spawn_failed(job, reason);
    answer(job, false);
}
