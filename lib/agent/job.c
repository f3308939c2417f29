/*
 * A job: its apps, then its world, then its ranks.
 */
#include "agent/state.h"
#include "base/scope.h"
#include "wire/mapping.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- apps ---- */

static bool job_is_here(const struct job *job, unsigned rank)
{
    return job->node_of == NULL ||
           job->node_of[rank] == job->agent->config.world->node;
}

static void fill_apps(struct job *job, const struct agent_app *apps)
{
    for (unsigned i = 0; i < job->app_count; i++) {
        struct app *app = &job->apps[i];

        app->number = job->agent->app_count++;
        app->plan = apps[i].plan;
        app->ranks = apps[i].ranks;
        app->name = apps[i].argv[0];
        for (size_t k = 0; k < ZYGOTE_LENT_FDS; k++)
            app->lent_fds[k] = -1;
        job->size += apps[i].ranks;
    }
    if (job->world != NULL)
        job->size = job->world->size;
}

static int add_room(struct job *job, unsigned local_count)
{
    job->procs = calloc(local_count + 1, sizeof *job->procs);
    if (job->procs == NULL)
        return -1;
    job->local_count = local_count;
    return 0;
}

int job_place(struct job *job, const unsigned *node_of)
{
    unsigned count = 0;

    if (node_of == NULL)
        return add_room(job, job->size);
    job->places = calloc(job->size, sizeof *job->places);
    if (job->places == NULL)
        return -1;
    memcpy(job->places, node_of, job->size * sizeof *node_of);
    job->node_of = job->places;
    for (unsigned rank = 0; rank < job->size; rank++)
        count += job_is_here(job, rank);
    return add_room(job, count);
}

static int place_first(struct job *job)
{
    if (job->world == NULL)
        return add_room(job, job->size);
    job->node_of = job->world->node_of;
    return add_room(job, job->world->member_count);
}

/* The id of a joined job has its last number changed: it is the same on all
   nodes, and nobody else's. */
static void name_job(struct job *job)
{
    const struct agent_world *world = job->agent->config.world;
    int stem = world != NULL ? (int)strcspn(world->jobid, ".") : 0;

    if (job->world != NULL)
        snprintf(job->id, sizeof job->id, "%s", world->jobid);
    else if (world != NULL)
        snprintf(job->id, sizeof job->id, "%.*s.%u", stem, world->jobid,
                 job->number);
    else
        snprintf(job->id, sizeof job->id, "%d.%u", (int)getpid(), job->number);
}

unsigned job_number(struct agent *agent)
{
    const struct agent_world *world = agent->config.world;

    if (world == NULL)
        return ++agent->job_count;
    return agent->job_count++ * world->node_count + world->node + 1;
}

struct job *job_add(struct agent *agent, unsigned number,
                    const struct agent_app *apps, unsigned count)
{
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return NULL;
    job->agent = agent;
    job->number = number;
    if (number == 0)
        job->world = agent->config.world;
    name_job(job);
    job->apps = calloc(count, sizeof *job->apps);
    if (job->apps != NULL) {
        job->app_count = job->unprepared = count;
        fill_apps(job, apps);
    }
    if (job->apps == NULL || (number == 0 && place_first(job) < 0)) {
        job_free(job);
        return NULL;
    }
    *agent->last_job = job;
    agent->last_job = &job->next;
    return job;
}

static void proc_free(struct proc *proc)
{
    if (proc->pmi != NULL)
        event_free(proc->pmi);
    if (proc->departed != NULL)
        event_free(proc->departed);
    if (proc->unclear != NULL)
        event_free(proc->unclear);
    if (proc->talk != NULL)
        event_free(proc->talk);
    if (proc->ended != NULL)
        event_free(proc->ended);
    if (proc->orphaned != NULL) {
        event_free(proc->orphaned);
        ct_close(&proc->parent);
    }
    free(proc->why);
}

void job_free(struct job *job)
{
    for (unsigned i = 0; job->procs != NULL && i < job->local_count; i++)
        proc_free(&job->procs[i]);
    free(job->procs);
    for (unsigned i = 0; job->apps != NULL && i < job->app_count; i++) {
        strv_clear(&job->apps[i].env);
        free(job->apps[i].workdir);
        app_give_back(&job->apps[i]);
    }
    free(job->apps);
    spawn_release(job);
    peers_spawn_free(job);
    strv_clear(&job->names);
    strv_clear(&job->preput);
    free(job->places);
    free(job->dead);
    free(job);
}

struct app *job_find_app(struct agent *agent, unsigned number,
                         struct job **ret_job)
{
    for (struct job *job = agent->jobs; job != NULL; job = job->next)
        for (unsigned i = 0; i < job->app_count; i++)
            if (job->apps[i].number == number) {
                *ret_job = job;
                return &job->apps[i];
            }
    return NULL;
}

int job_prepare(struct job *job, char *const *const *argvs,
                const char *const *workdirs, const char *const *paths,
                struct ct_error *reterr)
{
    for (unsigned i = 0; i < job->app_count; i++) {
        struct zygote_app app = {
            .app = job->apps[i].number,
            .plan = job->apps[i].plan,
            .argv = argvs[i],
            .workdir = workdirs != NULL ? workdirs[i] : NULL,
            .path = paths != NULL ? paths[i] : NULL,
        };

        if (app.workdir != NULL &&
            (job->apps[i].workdir = strdup(app.workdir)) == NULL)
            return ct_fail_nomem(reterr);
        if (zygote_prepare(job->agent->zygote, &app, reterr) < 0)
            return -1;
    }
    agent_pump(job->agent);
    return 0;
}

/* ---- the world ---- */

static enum family family_of_wire(enum mpi_wire wire)
{
    return wire == MPI_WIRE_PMIX  ? FAMILY_PMIX
           : wire == MPI_WIRE_PMI ? FAMILY_PMI
                                  : FAMILY_NONE;
}

/* The first app that is linked with an MPI tells, else what an image has. */
static enum family family_of_apps(const struct job *job)
{
    enum family found = FAMILY_NONE;

    for (unsigned i = 0; i < job->app_count; i++) {
        enum family family = family_of_wire(job->apps[i].mpi.wire);

        if (family != FAMILY_NONE && job->apps[i].mpi.linked)
            return family;
        if (found == FAMILY_NONE)
            found = family;
    }
    return found != FAMILY_NONE ? found : FAMILY_PMI;
}

/* A spawned job speaks what its parent does; else --pmi, else the apps, tell.
 */
static enum family choose_family(const struct job *job)
{
    static const enum family asked[] = {
        [AGENT_PMI_1] = FAMILY_PMI,
        [AGENT_PMI_2] = FAMILY_PMI,
        [AGENT_PMI_X] = FAMILY_PMIX,
        [AGENT_PMI_NONE] = FAMILY_NONE,
    };
    enum agent_pmi pmi = job->agent->config.pmi;

    if (job->number > 0)
        return job->parents;
    return pmi == AGENT_PMI_AUTO ? family_of_apps(job) : asked[pmi];
}

/*
 * One that can only end in as many worlds as ranks is not started at all. An
 * MPICH may have been built for PMIx, so --pmi=pmix is believed.
 */
static int check_family(const struct job *job, const struct app *app,
                        struct ct_error *reterr)
{
    const struct agent_config *config = &job->agent->config;
    enum family own = family_of_wire(app->mpi.wire);

    if (job->family == FAMILY_NONE || !app->mpi.linked || own == job->family ||
        (own == FAMILY_PMI && config->pmi == AGENT_PMI_X) ||
        (job->size == 1 && job->number == 0 && !config->pmi_required))
        return 0;
    return ct_fail(reterr, ENOTSUP,
                   "'%s' is linked with %s (%s), which speaks %s, and this job "
                   "speaks %s: each rank would be a world of its own "
                   "(--pmi=none starts it so)",
                   app->name, app->mpi.name, app->mpi.library,
                   own == FAMILY_PMIX ? "PMIx" : "PMI-1 or PMI-2",
                   own == FAMILY_PMIX ? "PMI-1 or PMI-2" : "PMIx");
}

/*
 * One rank, of which another launcher has started several: they are meant to be
 * one job, and would be as many.
 */
static int check_outer(const struct job *job, struct ct_error *reterr)
{
    const struct agent_config *config = &job->agent->config;
    const struct host_task *outer = &config->outer;

    if (outer->size < 2 || job->size > 1 || job->number > 0 ||
        job->family == FAMILY_NONE ||
        !(job->apps[0].mpi.linked || config->pmi_required))
        return 0;
    return ct_fail(reterr, EXDEV,
                   "%s has started this as one of %u tasks, and '%s' would be "
                   "%u worlds of one rank: there is no PMI by which the tasks "
                   "could find each other (-vv tells more); say %s, or let one "
                   "ctrun start all, with -n %u (--pmi=none starts it alone)",
                   outer->launcher, outer->size, job->apps[0].name, outer->size,
                   outer->advice != NULL ? outer->advice : "so to the launcher",
                   outer->size);
}

static int check_tools(const struct job *job, struct ct_error *reterr)
{
    if (!job->agent->config.tools || job->number > 0 ||
        job->family == FAMILY_PMIX)
        return 0;
    return ct_fail(reterr, ENOTSUP,
                   "--tools: a tool attaches to the PMIx server, and '%s' "
                   "needs none; say --pmi=pmix if it does",
                   job->apps[0].name);
}

static unsigned *app_numbers(const struct job *job)
{
    unsigned *appnum = calloc(job->size, sizeof *appnum);
    unsigned rank = 0;

    if (job->world != NULL) /* its host alone would know; one program to us */
        return appnum;
    for (unsigned i = 0; appnum != NULL && i < job->app_count; i++)
        for (unsigned k = 0; k < job->apps[i].ranks; k++)
            appnum[rank++] = i;
    return appnum;
}

/* node_of of the nodes that have ranks, numbered anew; to free(). */
static unsigned *renumber_nodes(const struct job *job, unsigned *ret_node)
{
    const struct agent_world *world = job->agent->config.world;
    CT_AUTO_FREE unsigned *numbers = calloc(world->node_count, sizeof *numbers);
    unsigned *map = calloc(job->size, sizeof *map);

    if (numbers == NULL || map == NULL) {
        free(map);
        return NULL;
    }
    mapping_renumber(job->node_of, job->size, numbers, world->node_count, map);
    *ret_node = numbers[world->node]; /* no rank's, when it has none */
    return map;
}

static int open_pmi(struct job *job, const unsigned *appnum,
                    struct ct_error *reterr)
{
    struct agent *agent = job->agent;
    struct ctpmi_facts facts = {
        .jobid = job->id,
        .size = job->size,
        .universe_size = agent->config.universe_size,
        .appnum = appnum,
        .continues = agent->config.continues,
        .spawn = job->places == NULL && job->request != NULL ? job->request->pmi
                                                             : NULL,
    };
    CT_AUTO_FREE unsigned *map = NULL;
    struct ctpmi_error err;

    if (job->node_of != NULL) {
        map = renumber_nodes(job, &facts.node);
        if (map == NULL)
            return ct_fail_nomem(reterr);
        facts.node_of = map;
    }
    if (job->places != NULL) {
        facts.spawner = job->spawner;
        facts.preput = (const char *const *)strv_list(&job->preput);
    }
    job->pmi = ctpmi_job_create(agent->server, &facts, &err);
    if (job->pmi == NULL)
        return ct_fail(reterr, err.code, "%s", err.text);
    ctpmi_job_set_user(job->pmi, job);
    return 0;
}

static int add_procs(struct job *job, const unsigned *appnum)
{
    struct agent *agent = job->agent;
    struct proc **grown =
        realloc(agent->procs,
                (agent->proc_count + job->local_count + 1) * sizeof *grown);

    if (grown == NULL)
        return -1;
    agent->procs = grown;
    for (unsigned i = 0, rank = 0; i < job->local_count; i++, rank++) {
        struct proc *proc = &job->procs[i];
        const struct agent_member *member =
            job->world != NULL ? &job->world->members[i] : NULL;

        while (member == NULL && !job_is_here(job, rank))
            rank++;
        proc->job = job;
        proc->member = member;
        proc->rank = member != NULL ? member->rank : rank;
        proc->app = member != NULL ? member->app : appnum[rank];
        proc->id = agent->proc_count;
        grown[agent->proc_count++] = proc;
    }
    return 0;
}

static int watch_members(struct job *job, struct ct_error *reterr)
{
    for (unsigned i = 0; i < job->local_count; i++)
        if (member_watch(&job->procs[i], reterr) < 0)
            return -1;
    return members_borrow(job, reterr);
}

int job_open(struct job *job, struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *appnum = app_numbers(job);

    job->family = choose_family(job);
    for (unsigned i = 0; i < job->app_count; i++)
        if (check_family(job, &job->apps[i], reterr) < 0)
            return -1;
    if (check_outer(job, reterr) < 0 || check_tools(job, reterr) < 0)
        return -1;
    if (job->agent->config.continues)
        job->dead = calloc(job->size, sizeof *job->dead);
    if (appnum == NULL || (job->agent->config.continues && job->dead == NULL))
        return ct_fail_nomem(reterr);
    if (job->family == FAMILY_PMI && open_pmi(job, appnum, reterr) < 0)
        return -1;
    if (job->family == FAMILY_PMIX && pmix_open(job, reterr) < 0)
        return -1;
    if (add_procs(job, appnum) < 0)
        return ct_fail_nomem(reterr);
    if (job->world != NULL && watch_members(job, reterr) < 0)
        return -1;
    if (job->world == NULL)
        job->ready = job->spread == NULL; /* else other nodes must be, too */
    peers_opened(job->agent);
    return 0;
}

struct proc *job_proc(const struct job *job, unsigned rank)
{
    unsigned low = 0, high = job->local_count;

    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;

        if (job->procs[middle].rank <= rank)
            low = middle;
        else
            high = middle;
    }
    return low < job->local_count && job->procs[low].rank == rank
               ? &job->procs[low]
               : NULL;
}

/* ---- ranks ---- */

/* What tells MPICH which wire to speak; it may be built with several. */
static const char *version_variable(enum agent_pmi pmi)
{
    return pmi == AGENT_PMI_1   ? "MPIR_CVAR_PMI_VERSION=1"
           : pmi == AGENT_PMI_2 ? "MPIR_CVAR_PMI_VERSION=2"
                                : NULL;
}

static int pmi_environment(const struct proc *proc, struct strv *env)
{
    const char *version = version_variable(proc->job->agent->config.pmi);
    struct ctpmi_env pmi;

    ctpmi_environment(proc->job->pmi, proc->rank, RANK_PMI_FD, &pmi);
    for (unsigned i = 0; i < pmi.count; i++)
        if (strv_add(env, pmi.items[i]) < 0)
            return -1;
    return version != NULL ? strv_add(env, version) : 0;
}

static int own_environment(const struct proc *proc, struct strv *env)
{
    const struct job *job = proc->job;

    if (strv_addf(env, "CTRUN_RANK=%u", proc->rank) < 0 ||
        strv_addf(env, "CTRUN_SIZE=%u", job->size) < 0 ||
        strv_addf(env, "CTRUN_LOCAL_RANK=%u", (unsigned)(proc - job->procs)) <
            0 ||
        strv_addf(env, "CTRUN_LOCAL_SIZE=%u", job->local_count) < 0)
        return -1;
    return strv_addf(env, "CTRUN_JOBID=%s", job->id);
}

static int environment(const struct proc *proc, struct strv *env,
                       struct ct_error *reterr)
{
    enum family family = proc->job->family;

    if ((proc->member != NULL && strv_add_all(env, proc->member->env) < 0) ||
        own_environment(proc, env) < 0 ||
        (family == FAMILY_PMI && pmi_environment(proc, env) < 0))
        return ct_fail_nomem(reterr);
    return family == FAMILY_PMIX ? pmix_environment(proc, env, reterr) : 0;
}

static int connect_pmi(struct proc *proc, int *ret_fd, struct ct_error *reterr)
{
    const struct mpi_info *mpi = &proc->job->apps[proc->app].mpi;
    unsigned flags = mpi_speaks_pmi12(mpi) ? CTPMI_CLIENT_PMI12 : 0;
    struct ctpmi_error err;
    int pair[2];

    *ret_fd = -1;
    if (proc->job->pmi == NULL)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return ct_fail_errno(reterr, "a PMI socket");
    proc->client =
        ctpmi_attach(proc->job->pmi, proc->rank, pair[0], flags, &err);
    if (proc->client == NULL) {
        close(pair[0]);
        close(pair[1]);
        return ct_fail(reterr, err.code, "%s", err.text);
    }
    *ret_fd = pair[1];
    return 0;
}

struct agent_rank agent_rank_of(const struct proc *proc)
{
    return (struct agent_rank){
        .job = proc->job->number,
        .rank = proc->rank,
        .size = proc->job->size,
        .app = proc->app,
        .pid = proc->pid,
    };
}

static int open_stdio(struct proc *proc, struct agent_stdio *ret,
                      struct ct_error *reterr)
{
    const struct agent_config *config = &proc->job->agent->config;
    const struct agent_rank rank = agent_rank_of(proc);

    return config->callbacks.stdio(config->ctx, &rank, ret, reterr);
}

/* Binding is for the ranks that were asked for, not for spawned ones. */
static const void *cpus_of(const struct proc *proc)
{
    const struct agent_config *config = &proc->job->agent->config;

    return config->cpus != NULL && proc->job->number == 0
               ? config->cpus[proc->rank]
               : NULL;
}

static int send_rank(struct proc *proc, const struct agent_stdio *stdio,
                     int pmi, struct strv *env, struct ct_error *reterr)
{
    struct agent *agent = proc->job->agent;
    const int fds[RANK_FDS] = {stdio->fds[0], stdio->fds[1], stdio->fds[2],
                               pmi};
    const struct zygote_rank rank = {
        .env = strv_list(env),
        .id = proc->id,
        .app = proc->job->apps[proc->app].number,
        .fds = fds,
        .cpus = cpus_of(proc),
        .cpus_size = agent->config.cpus_size,
        .group = stdio->group,
    };

    return zygote_rank(agent->zygote, &rank, reterr);
}

static int start_own(struct proc *proc, int pmi, struct strv *env,
                     struct ct_error *reterr)
{
    struct agent_stdio stdio = {.fds = {-1, -1, -1}};
    int rc = open_stdio(proc, &stdio, reterr);

    if (rc == 0)
        rc = send_rank(proc, &stdio, pmi, env, reterr);
    for (int i = 0; i < 3; i++)
        if (stdio.fds[i] > 2)
            ct_close(&stdio.fds[i]);
    if (rc < 0)
        return -1;
    proc->live = true;
    proc->job->agent->live++;
    return 0;
}

int job_start_next(struct job *job, struct ct_error *reterr)
{
    struct proc *proc = &job->procs[job->started];
    struct strv env = {0};
    int pmi = -1, rc;

    rc = connect_pmi(proc, &pmi, reterr);
    if (rc == 0)
        rc = environment(proc, &env, reterr);
    if (rc == 0)
        rc = proc->member != NULL ? member_start(proc, pmi, &env, reterr)
                                  : start_own(proc, pmi, &env, reterr);
    ct_close(&pmi);
    strv_clear(&env);
    if (rc == 0)
        job->started++;
    return rc;
}

void job_lose(struct job *job, unsigned rank)
{
    if (job->dead == NULL || rank >= job->size)
        return;
    job->dead[rank] = true;
    if (job->pmix != NULL)
        pmixsrv_rank_lost(job->pmix, rank);
    if (job->pmi != NULL)
        ctpmi_rank_lost(job->pmi, rank);
    peers_review(job->agent);
}

/* One call brings all that it wrote, the next one the end of it. */
void proc_drain(struct proc *proc)
{
    for (int i = 0; i < 2 && proc->pmi != NULL; i++)
        ctpmi_ready(proc->client, CTPMI_IN);
}
