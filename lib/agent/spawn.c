/*
 * MPI_Comm_spawn: a request of a PMI server becomes a job of its own, in
 * containers of the image of the rank that asks. It is answered when each
 * command is known to be there; the children then start like other ranks.
 *
 * Info keys that we have an answer to are rows of a table; the MPI standard
 * lets us pass over all others.
 */
#include "agent/state.h"
#include "base/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is asked for one command. */
struct command {
    const char *workdir;
    const char *path; /* where to look for it */
};

struct info_row {
    const char *key;
    int (*take)(struct agent *agent, struct command *command, const char *value,
                struct ct_error *reterr);
};

static int take_workdir(struct agent *agent, struct command *command,
                        const char *value, struct ct_error *reterr)
{
    (void)agent;
    if (value[0] != '/')
        return ct_fail(reterr, EINVAL, "wdir '%.100s' is not absolute", value);
    command->workdir = value;
    return 0;
}

static int take_path(struct agent *agent, struct command *command,
                     const char *value, struct ct_error *reterr)
{
    (void)agent;
    (void)reterr;
    command->path = value;
    return 0;
}

static int take_host(struct agent *agent, struct command *command,
                     const char *value, struct ct_error *reterr)
{
    (void)command;
    if (strcmp(value, agent->host) == 0 || strcmp(value, "localhost") == 0)
        return 0;
    return ct_fail(reterr, ENOTSUP, "host '%.100s' is not of this job (%s is)",
                   value, agent->host);
}

static int take_unserved(struct agent *agent, struct command *command,
                         const char *value, struct ct_error *reterr)
{
    (void)agent;
    (void)command;
    return ct_fail(reterr, ENOTSUP, "info '%.100s' is not served", value);
}

static const struct info_row info_rows[] = {
    {"wdir", take_workdir},  {"path", take_path},
    {"host", take_host},     {"hosts", take_host},
    {"file", take_unserved}, {"hostfile", take_unserved},
    {"soft", take_unserved},
};

static int take_info(struct agent *agent, struct command *command,
                     const char *const *info, struct ct_error *reterr)
{
    for (; info[0] != NULL; info += 2)
        for (size_t i = 0; i < sizeof info_rows / sizeof info_rows[0]; i++)
            if (strcmp(info[0], info_rows[i].key) == 0 &&
                info_rows[i].take(agent, command, info[1], reterr) < 0)
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

/* Children run where the rank that asks does. */
static struct job *add_job(struct agent *agent, struct spawn *spawn)
{
    const struct job *parent = spawn->by->job;
    struct agent_app *apps = calloc(spawn->count, sizeof *apps);
    struct job *job;

    for (unsigned i = 0; apps != NULL && i < spawn->count; i++)
        apps[i] = (struct agent_app){
            .plan = parent->apps[spawn->by->app].plan,
            .ranks = spawn->commands[i].ranks,
            .argv = spawn->commands[i].argv,
        };
    job = apps != NULL ? job_add(agent, apps, spawn->count) : NULL;
    free(apps);
    if (job != NULL) {
        job->request = spawn;
        job->parents = parent->family;
    }
    return job;
}

/* The request's strings go with its answer; children start after that. */
static int keep_strings(struct job *job)
{
    for (unsigned i = 0; i < job->app_count; i++) {
        char *const *env = job->request->commands[i].env;

        if (strv_add(&job->names, job->apps[i].name) < 0)
            return -1;
        for (; env != NULL && *env != NULL; env++)
            if (strv_add(&job->apps[i].env, *env) < 0)
                return -1;
    }
    for (unsigned i = 0; i < job->app_count; i++)
        job->apps[i].name = job->names.items[i];
    return 0;
}

static int ask(struct job *job, struct ct_error *reterr)
{
    const struct spawn *request = job->request;
    unsigned count = request->count;
    CT_AUTO_FREE char *const **argvs = calloc(count, sizeof *argvs);
    CT_AUTO_FREE const char **workdirs = calloc(count, sizeof *workdirs);
    CT_AUTO_FREE const char **paths = calloc(count, sizeof *paths);

    if (argvs == NULL || workdirs == NULL || paths == NULL ||
        keep_strings(job) < 0)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < count; i++) {
        struct command command = {0};

        if (take_info(job->agent, &command, request->commands[i].info, reterr) <
            0)
            return -1;
        argvs[i] = request->commands[i].argv;
        workdirs[i] = command.workdir;
        paths[i] = command.path;
    }
    return job_prepare(job, argvs, workdirs, paths, reterr);
}

int spawn_begin(struct agent *agent, struct spawn *spawn)
{
    struct job *job = agent->ending ? NULL : add_job(agent, spawn);
    struct ct_error err;

    if (job == NULL) {
        free(spawn);
        return -1;
    }
    if (ask(job, &err) < 0)
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

static void answer(struct job *job, bool success)
{
    struct spawn *request = job->request;

    job->request = NULL;
    if (request->pmi != NULL)
        ctpmi_spawn_done(request->pmi, success ? job->pmi : NULL, NULL);
    else
        pmixsrv_spawn_done(request->pmix, success ? job->pmix : NULL);
    free(request);
}

void spawn_open(struct job *job)
{
    struct ct_error err;

    if (job->request == NULL)
        return;
    if (job_open(job, &err) < 0) {
        spawn_failed(job, err.text);
        return;
    }
    if (job->agent->peers != NULL && job->pmix != NULL)
        peers_announce(job);
    else
        spawn_known(job);
}

void spawn_known(struct job *job)
{
    answer(job, true);
    agent_note(job->agent, 1, "job %s: %u ranks of %s, spawned", job->id,
               job->size, job->apps[0].name);
}

/* The rank is told by MPI, which has one code for all reasons: say it too. */
void spawn_failed(struct job *job, const char *reason)
{
    if (job->request == NULL)
        return;
    job->ready = true; /* it has no ranks to start */
    if (reason != NULL)
        agent_note(job->agent, 0, "MPI_Comm_spawn of %s: %s", job->apps[0].name,
                   reason);
    job->started = job->local_count;
    answer(job, false);
}
