/*
 * Ranks that speak PMIx: the server starts when the first job needs it.
 */
#include "agent/state.h"
#include "base/scope.h"
#include "container/environ.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- what the server asks ---- */

static struct proc *proc_of(struct pmixsrv_job *job, unsigned rank)
{
    struct job *ours = pmixsrv_job_user(job);

    return job_proc(ours, rank);
}

static void pmix_abort(void *ctx, struct pmixsrv_job *job, unsigned rank,
                       int exitcode, const char *message)
{
    (void)ctx;
    proc_fail(proc_of(job, rank), AGENT_EXITING, exitcode, "MPI_Abort(%d)%s%s",
              exitcode, message[0] != '\0' ? ": " : "", message);
}

static void take_commands(struct spawn *spawn,
                          const struct pmixsrv_spawn *request)
{
    for (unsigned i = 0; i < request->count; i++)
        spawn->commands[i] = (struct spawn_command){
            .ranks = request->commands[i].maxprocs,
            .argv = request->commands[i].argv,
            .info = (const char *const *)request->commands[i].info,
            .env = request->commands[i].env,
        };
}

static int pmix_spawn(void *ctx, struct pmixsrv_spawn *request)
{
    struct agent *agent = ctx;
    struct spawn *spawn =
        spawn_new(proc_of(request->job, request->rank), request->count);

    if (spawn == NULL)
        return -1;
    spawn->pmix = request;
    take_commands(spawn, request);
    return spawn_begin(agent, spawn);
}

void pmix_signal_here(struct agent *agent, struct pmixsrv_job *job,
                      unsigned rank, int signal)
{
    const struct proc *proc = proc_of(job, rank);

    if (proc != NULL && proc->live)
        zygote_signal(agent->zygote, proc->id, signal, NULL);
    agent_pump(agent);
}

static void pmix_signal(void *ctx, struct pmixsrv_job *job, unsigned rank,
                        int signal)
{
    struct agent *agent = ctx;

    if (pmixsrv_rank_elsewhere(job, rank))
        events_send_signal(agent, job, rank, signal);
    else
        pmix_signal_here(agent, job, rank, signal);
}

static void note_line(struct agent *agent, const char *text)
{
    agent_note(agent, 0, "%.*s", (int)strcspn(text, "\n"), text);
}

static void pmix_log(void *ctx, struct pmixsrv_job *job, unsigned rank,
                     bool is_error, const char *text)
{
    struct agent *agent = ctx;
    struct agent_rank who;

    if (job == NULL) {
        note_line(agent, text);
        return;
    }
    who = agent_rank_of(proc_of(job, rank));
    agent->config.callbacks.log(agent->config.ctx, &who, is_error, text);
}

/* ---- input and output, for tools ---- */

static void pmix_drained(void *ctx)
{
    const struct agent *agent = ctx;

    agent->config.callbacks.drained(agent->config.ctx);
}

static bool pmix_takes_input(void *ctx, const struct pmixsrv_job *job,
                             unsigned rank)
{
    const struct agent *agent = ctx;
    const struct agent_rank who =
        agent_rank_of(job_proc(pmixsrv_job_user(job), rank));

    return agent->config.callbacks.takes_input(agent->config.ctx, &who);
}

static void pmix_feed(void *ctx, struct pmixsrv_job *job, unsigned rank,
                      const void *bytes, size_t len, bool last,
                      struct pmixsrv_push *push)
{
    const struct agent *agent = ctx;
    const struct agent_rank who = agent_rank_of(proc_of(job, rank));

    agent->config.callbacks.feed(agent->config.ctx, &who, bytes, len, last,
                                 pmixsrv_fed, push);
}

static struct pmixsrv_job *find_job(const struct agent *agent, unsigned number)
{
    const struct job *job = agent->jobs;

    while (job != NULL && job->number != number)
        job = job->next;
    return job != NULL ? job->pmix : NULL;
}

void agent_output(struct agent *agent, const struct agent_rank *rank,
                  bool is_error, const void *bytes, size_t len)
{
    struct pmixsrv_job *job =
        agent->config.tools ? find_job(agent, rank->job) : NULL;

    if (job != NULL)
        pmixsrv_output(job, rank->rank, is_error, bytes, len);
}

bool agent_output_is_full(const struct agent *agent)
{
    return agent->pmix != NULL && pmixsrv_output_is_full(agent->pmix);
}

void agent_output_flush(struct agent *agent)
{
    if (agent->pmix != NULL)
        pmixsrv_output_flush(agent->pmix);
}

/* ---- what there is ---- */

/* Of a joined world only the host knows. */
static unsigned app_of(const struct job *job, unsigned rank)
{
    unsigned app = 0;

    while (app + 1 < job->app_count && job->world == NULL &&
           rank >= job->apps[app].ranks)
        rank -= job->apps[app++].ranks;
    return app;
}

static void pmix_describe(void *ctx, const struct pmixsrv_job *job,
                          unsigned rank, struct pmixsrv_process *ret)
{
    const struct agent *agent = ctx;
    const struct job *ours = pmixsrv_job_user(job);
    const struct proc *proc;

    if (pmixsrv_rank_elsewhere(job, rank)) { /* where alone more is known */
        *ret = (struct pmixsrv_process){
            .host = peers_name_of(agent, pmixsrv_rank_node(job, rank)),
            .executable = ours->apps[app_of(ours, rank)].name,
            .runs = true,
        };
        return;
    }
    proc = job_proc(ours, rank);
    *ret = (struct pmixsrv_process){
        .host = agent->host,
        .executable = ours->apps[proc->app].name,
        .pid = proc->pid,
        .runs = proc->live && proc->pid != 0,
    };
}

/* A rank that has died comes before those that complain about it. */
static void pmix_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct agent *agent = ctx;

    (void)fd;
    (void)what;
    agent_hear(agent);
    pmixsrv_dispatch(agent->pmix);
    agent_clear_up(agent);
}

/* ---- the server ---- */

bool pmix_rundir_is_shared(const struct agent *agent)
{
    for (size_t i = 0; i < agent->config.plan_count; i++)
        if (!rundir_is_seen(&agent->rundir, &agent->config.plans[i]))
            return false;
    return true;
}

static bool names_are_the_hosts(const struct agent *agent)
{
    for (size_t i = 0; i < agent->config.plan_count; i++)
        if (!plan_keeps_names(&agent->config.plans[i]))
            return false;
    return true;
}

/* An nspace is the same on all nodes. */
static int choose_secret(struct agent *agent, struct ct_error *reterr)
{
    const struct agent_world *world = agent->config.world;

    if (world != NULL)
        memcpy(&agent->pmix_secret, world->secret, sizeof agent->pmix_secret);
    else if (getrandom(&agent->pmix_secret, sizeof agent->pmix_secret, 0) !=
             sizeof agent->pmix_secret)
        return ct_fail_errno(reterr, "getrandom");
    return 0;
}

static int start_server(struct agent *agent, struct ct_error *reterr)
{
    const struct pmixsrv_config config = {
        .tmpdir = agent->rundir.path,
        .tmpdir_is_shared = pmix_rundir_is_shared(agent),
        .tools = agent->config.tools,
        .forwards = agent->config.tools && agent->config.callbacks.feed != NULL,
        .cleans = names_are_the_hosts(agent),
        .continues = agent->config.continues,
        .callbacks = {.abort = pmix_abort,
                      .spawn = pmix_spawn,
                      .signal = pmix_signal,
                      .log = pmix_log,
                      .describe = pmix_describe,
                      .fence = peers_pmix_fence,
                      .modex = peers_modex,
                      .ask = peers_ask,
                      .event = events_spread,
                      .drained = pmix_drained,
                      .takes_input = pmix_takes_input,
                      .feed = pmix_feed},
        .ctx = agent,
    };

    if (choose_secret(agent, reterr) < 0)
        return -1;
    if (rundir_make(&agent->rundir, reterr) < 0)
        return -1;
    agent->pmix = pmixsrv_create(&config, reterr);
    if (agent->pmix == NULL)
        return -1;
    agent->pmix_in = event_new(agent->config.base, pmixsrv_fd(agent->pmix),
                               EV_READ | EV_PERSIST, pmix_readable, agent);
    if (agent->pmix_in == NULL || event_add(agent->pmix_in, NULL) < 0)
        return ct_fail_nomem(reterr);
    agent_note(agent, 1, "PMIx server: OpenPMIx %s, %s",
               pmixsrv_version(agent->pmix),
               config.tmpdir_is_shared ? config.tmpdir
                                       : "without files (--scratch /tmp)");
    return 0;
}

/*
 * The server listens on a TCP port of the loopback, and believes the uid that a
 * client says it has. So a client must also know what only ranks are told.
 */
static void make_nspace(const struct agent *agent, const char *id, char *ret,
                        size_t room)
{
    snprintf(ret, room, "%s.%016" PRIx64, id, agent->pmix_secret);
}

/* ---- apps ---- */

struct sizes {
    unsigned *items; /* ranks of each app */
    unsigned count;
};

/* A world of members is one app: which ranks run what, only the host knows. */
static int list_apps(const struct job *job, struct sizes *ret)
{
    bool one = job->world != NULL;

    ret->count = one ? 1 : job->app_count;
    ret->items = calloc(ret->count, sizeof *ret->items);
    if (ret->items == NULL)
        return -1;
    for (unsigned i = 0; i < ret->count; i++)
        ret->items[i] = one ? job->size : job->apps[i].ranks;
    return 0;
}

/*
 * Where the ranks of each app are to start: list, which has room for all. Those
 * of members are one app to PMIx, and may differ.
 */
static void list_workdirs(const struct job *job, const char **list)
{
    const struct agent_config *config = &job->agent->config;

    if (job->world != NULL && job->app_count > 1)
        return;
    for (unsigned i = 0; i < job->app_count; i++) {
        const struct app *app = &job->apps[i];

        list[i] = app->workdir != NULL ? app->workdir
                                       : config->plans[app->plan].workdir;
        if (list[i] != NULL && list[i][0] != '/')
            list[i] = NULL;
    }
}

/* ---- process sets ---- */

/* Each app is one: "ctrun://app/0", of spawned jobs "ctrun://spawn/1/app/0". */
static int name_app(const struct job *job, unsigned app, struct strv *names)
{
    if (job->number == 0)
        return strv_addf(names, "ctrun://app/%u", app);
    return strv_addf(names, "ctrun://spawn/%u/app/%u", job->number, app);
}

struct psets {
    struct pmixsrv_pset *items; /* apps, then those of --pset */
    unsigned count;
    struct strv names; /* of apps */
    unsigned *ranks;   /* [size], all of them */
};

static int add_apps(const struct job *job, const struct sizes *apps,
                    struct psets *psets)
{
    const unsigned *next = psets->ranks;

    for (unsigned i = 0; i < apps->count; i++) {
        if (name_app(job, i, &psets->names) < 0)
            return -1;
        psets->items[psets->count++] = (struct pmixsrv_pset){
            .name = psets->names.items[i],
            .ranks = next,
            .count = apps->items[i],
        };
        next += apps->items[i];
    }
    return 0;
}

static int make_psets(const struct job *job, const struct sizes *apps,
                      struct psets *psets)
{
    const struct agent_config *config = &job->agent->config;
    unsigned given = job->number == 0 ? config->pset_count : 0;

    psets->items = calloc(apps->count + given, sizeof *psets->items);
    psets->ranks = calloc(job->size, sizeof *psets->ranks);
    if (psets->items == NULL || psets->ranks == NULL)
        return -1;
    for (unsigned rank = 0; rank < job->size; rank++)
        psets->ranks[rank] = rank;
    if (add_apps(job, apps, psets) < 0)
        return -1;
    for (unsigned i = 0; i < given; i++)
        psets->items[psets->count++] = (struct pmixsrv_pset){
            .name = config->psets[i].name,
            .ranks = config->psets[i].ranks,
            .count = config->psets[i].count,
        };
    return 0;
}

static void free_psets(struct psets *psets)
{
    free(psets->items);
    free(psets->ranks);
    strv_clear(&psets->names);
}

/* ---- which CPUs ranks may use ---- */

struct cpus {
    const void **items; /* [ranks of the job]; NULL: not bound, or not known */
    cpu_set_t *sets;    /* of our ranks that another launcher has started */
};

/* As their launcher has bound them. One that may use all is not bound. */
static void look_at_members(const struct agent_world *world, struct cpus *ret)
{
    long all = sysconf(_SC_NPROCESSORS_ONLN);

    for (unsigned i = 0; i < world->member_count; i++) {
        const struct agent_member *member = &world->members[i];
        cpu_set_t *set = &ret->sets[i];

        if (sched_getaffinity(member->pid, sizeof *set, set) == 0 &&
            CPU_COUNT(set) < all)
            ret->items[member->rank] = set;
    }
}

/* Nothing of spawned ranks: they are not bound. */
static int list_cpus(const struct job *job, struct cpus *ret)
{
    const struct agent_config *config = &job->agent->config;
    unsigned members = job->world != NULL ? job->world->member_count : 0;

    ret->items = calloc(job->size, sizeof *ret->items);
    ret->sets = calloc(members + 1, sizeof *ret->sets);
    if (ret->items == NULL || ret->sets == NULL)
        return -1;
    if (job->number > 0)
        return 0;
    for (unsigned rank = 0; config->cpus != NULL && rank < job->size; rank++)
        ret->items[rank] = config->cpus[rank];
    if (job->world != NULL)
        look_at_members(job->world, ret);
    return 0;
}

static void free_cpus(struct cpus *cpus)
{
    free(cpus->items);
    free(cpus->sets);
}

/* ---- jobs ---- */

static int make_job(struct job *job, const struct sizes *apps,
                    const struct psets *psets, const struct cpus *cpus,
                    struct ct_error *reterr)
{
    struct agent *agent = job->agent;
    const struct agent_world *world = agent->config.world;
    bool spread = job->node_of != NULL;
    char nspace[64], parent[64];
    CT_AUTO_FREE const char **workdirs =
        calloc(job->app_count, sizeof *workdirs);
    const struct pmixsrv_facts facts = {
        .nspace = nspace,
        .host = agent->host,
        .size = job->size,
        .node_of = job->node_of,
        .node = world != NULL ? world->node : 0,
        .node_count = spread ? world->node_count : 1,
        .hosts = spread ? world->hosts : NULL,
        .universe_size = agent->config.universe_size > job->size
                             ? agent->config.universe_size
                             : job->size,
        .app_sizes = apps->items,
        .app_count = apps->count,
        .workdirs = workdirs,
        .cpus = cpus->items,
        .cpus_size =
            job->world != NULL ? sizeof *cpus->sets : agent->config.cpus_size,
        .psets = psets->items,
        .pset_count = psets->count,
        .parent = job->number > 0 ? parent : NULL,
        .parent_rank = job->spawner_rank,
        .user = job,
    };

    if (workdirs == NULL)
        return ct_fail_nomem(reterr);
    list_workdirs(job, workdirs);
    make_nspace(agent, job->id, nspace, sizeof nspace);
    make_nspace(agent, job->spawner, parent, sizeof parent);
    job->pmix = pmixsrv_job_create(agent->pmix, &facts, reterr);
    return job->pmix != NULL ? 0 : -1;
}

/* Nodes differ in what they have room for. */
static int fail_open(const struct agent *agent, struct ct_error *reterr)
{
    rundir_explain(&agent->rundir, reterr);
    return ct_fail_in(reterr, "%s", agent->host);
}

int pmix_open(struct job *job, struct ct_error *reterr)
{
    struct agent *agent = job->agent;
    struct sizes apps;
    struct psets psets = {0};
    struct cpus cpus = {0};
    int rc;

    if (agent->pmix == NULL && start_server(agent, reterr) < 0)
        return fail_open(agent, reterr);
    if (list_apps(job, &apps) < 0 || make_psets(job, &apps, &psets) < 0 ||
        list_cpus(job, &cpus) < 0)
        rc = ct_fail_nomem(reterr);
    else
        rc = make_job(job, &apps, &psets, &cpus, reterr);
    free_cpus(&cpus);
    free_psets(&psets);
    free(apps.items);
    return rc < 0 ? fail_open(agent, reterr) : 0;
}

void pmix_drain(struct agent *agent)
{
    if (agent->pmix != NULL)
        pmixsrv_dispatch(agent->pmix);
}

/* Nothing is read from its descriptor any more: it could stay ready. */
void pmix_stop(struct agent *agent)
{
    if (agent->pmix_in != NULL)
        event_del(agent->pmix_in);
    if (agent->pmix != NULL)
        pmixsrv_stop(agent->pmix);
}

/* The zygote removes the directory, unless it was killed. */
void pmix_close(struct agent *agent)
{
    int parent;

    if (agent->pmix_in != NULL)
        event_free(agent->pmix_in);
    if (agent->pmix == NULL)
        return;
    pmixsrv_destroy(agent->pmix);
    parent = rundir_open_parent(&agent->rundir);
    rundir_remove(&agent->rundir, parent);
    ct_close(&parent);
}

/* ---- ranks ---- */

static const struct quirk {
    const char *variable;
    bool continues; /* only where ranks go on when one has died */
    const char *why;
} quirks[] = {
    {"OMPI_MCA_schizo=^orte", false,
     "Open MPI 4.1: component orte takes every process that has no daemon of "
     "Open MPI's own for a singleton, whatever PMIx says"},
    {"OMPI_MCA_mpi_ft_enable=1", true,
     "Open MPI 5: recovery (ULFM) is built in and off unless mpirun is given "
     "--with-ft, which sets this"},
    {"OMPI_MCA_coll_han_priority=0", true,
     "Open MPI 5.0: its collectives of several nodes (han) go on in "
     "communicators of their own, which nobody revokes, and hang"},
};

static int add_quirks(const struct agent *agent, struct strv *env)
{
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if ((agent->config.continues || !quirks[i].continues) &&
            strv_add(env, quirks[i].variable) < 0)
            return -1;
    return 0;
}

/* Open MPI's own word to its children, who meet their parents there. */
static bool is_port(const char *variable)
{
    return strncmp(variable, "OMPI_PARENT_PORT=", 17) == 0;
}

/* What a parent hands to its children, but for what is ours to say. */
static int add_parents(const struct proc *proc, struct strv *env)
{
    const struct strv *given = &proc->job->apps[proc->app].env;

    for (size_t i = 0; i < given->count; i++)
        if ((is_port(given->items[i]) ||
             environ_refuses(given->items[i], false, true) == NULL) &&
            strv_add(env, given->items[i]) < 0)
            return -1;
    return 0;
}

int pmix_environment(const struct proc *proc, struct strv *env,
                     struct ct_error *reterr)
{
    if (add_parents(proc, env) < 0 || add_quirks(proc->job->agent, env) < 0)
        return ct_fail_nomem(reterr);
    return pmixsrv_prepare(proc->job->pmix, proc->rank, env, reterr);
}
