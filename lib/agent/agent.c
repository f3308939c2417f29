/*
 * From asking to ending:
 *
 *   agent_start()    asks the zygote for each app's container
 *   PREPARED         what MPI the app has is known; after the last one the job
 *                    is opened: a PMI job, a socket and descriptors for each
 *                    rank, which the zygote starts one after the other
 *   EXITED           the rank's last words are read from its socket, then it is
 *                    judged by its status and by what it said
 *   idle             no rank lives and none is to come
 *
 * A rank's end and the end of its socket come in any order, and only together
 * do they tell what happened: a rank that lets go of PMI is given two seconds
 * to end before that counts as a fault of its own.
 */
#include "agent/state.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct timeval departed_grace = {.tv_sec = 2};
static const struct timeval unclear_grace = {.tv_sec = 5};

/* ---- what the user is told ---- */

__attribute__((format(printf, 5, 0))) static void tell_failure(
    struct agent *agent, enum agent_fault fault, int code, const char *head,
    const char *fmt, va_list ap)
{
    struct agent_failure failure = {.fault = fault, .code = code};
    size_t len =
        (size_t)snprintf(failure.text, sizeof failure.text, "%s", head);

    vsnprintf(failure.text + len, sizeof failure.text - len, fmt, ap);
    agent->config.callbacks.failed(agent->config.ctx, &failure);
}

void agent_fail(struct agent *agent, enum agent_fault fault, int code,
                const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    tell_failure(agent, fault, code, "", fmt, ap);
    va_end(ap);
}

void proc_fail(struct proc *proc, enum agent_fault fault, int code,
               const char *fmt, ...)
{
    struct agent *agent = proc->job->agent;
    char head[160], job[40] = "";
    va_list ap;

    if (proc->failed)
        return;
    proc->failed = true;
    if (proc->job->number > 0)
        snprintf(job, sizeof job, " of spawned job %u", proc->job->number);
    snprintf(head, sizeof head, "rank %u%s on %s: ", proc->rank, job,
             agent->host);
    va_start(ap, fmt);
    tell_failure(agent, fault, code, head, fmt, ap);
    va_end(ap);
}

void agent_note(struct agent *agent, int level, const char *fmt, ...)
{
    char text[560];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    agent->config.callbacks.note(agent->config.ctx, level, text);
}

static bool job_is_started(const struct job *job)
{
    return job->ready && job->started == job->local_count;
}

void agent_settle(struct agent *agent)
{
    if (agent->idle || agent->live > 0)
        return;
    if (!agent->ending && agent->holds != NULL)
        return;
    for (struct job *job = agent->jobs; job != NULL; job = job->next)
        if (!agent->ending && !job_is_started(job))
            return;
    agent->idle = true;
    agent->config.callbacks.idle(agent->config.ctx);
}

/* ---- a rank's end ---- */

/* What is known of the MPI of a rank that never spoke. */
static const char *whose_mpi(const struct proc *proc, char *buf, size_t size)
{
    const struct mpi_info *mpi = &proc->job->apps[proc->app].mpi;

    if (mpi->wire == MPI_WIRE_NONE)
        return "neither the command nor the image has an MPI known to ctrun";
    snprintf(buf, size, "%s %s (%s)",
             mpi->linked ? "the command is linked with" : "the image has",
             mpi->name, mpi->library);
    return buf;
}

static bool proc_is_silent(const struct proc *proc)
{
    if (proc->job->pmix != NULL)
        return pmixsrv_rank_state(proc->job->pmix, proc->rank) ==
               PMIXSRV_SILENT;
    return proc->client == NULL ||
           ctpmi_client_state(proc->client) == CTPMI_SILENT;
}

static const char *proc_protocol(const struct proc *proc)
{
    if (proc->job->pmix != NULL)
        return proc_is_silent(proc) ? "none" : "PMIx";
    return proc->client != NULL ? ctpmi_client_protocol(proc->client) : "none";
}

/*
 * A program that is linked with an MPI is expected to use it, unless there is
 * only one rank, whose world is right without.
 */
static bool is_expected_to_speak(const struct proc *proc)
{
    const struct job *job = proc->job;

    return job->agent->config.pmi_required || job->number > 0 ||
           (job->size > 1 && job->apps[proc->app].mpi.linked);
}

/* Of a command that is no ELF file it is not known which MPI it starts. */
static const char *other_wire(const struct proc *proc)
{
    if (proc->job->apps[proc->app].mpi.linked)
        return "";
    return proc->job->family == FAMILY_PMIX
               ? "if it starts a program of MPICH's kin, say --pmi=pmi1, and "
               : "if it starts a program of Open MPI, say --pmi=pmix, and ";
}

static void judge_silent(struct proc *proc)
{
    char mpi[300];

    proc_fail(proc, AGENT_BROKEN, 0,
              "'%s' ended without a word of PMI, so it was no part of the "
              "job's world: %s; %sif it is not to use MPI, say --pmi=none",
              proc->job->apps[proc->app].name, whose_mpi(proc, mpi, sizeof mpi),
              other_wire(proc));
}

/* --pmi=pmi1, --pmi=pmi2 */
static void judge_protocol(struct proc *proc)
{
    enum agent_pmi pmi = proc->job->agent->config.pmi;
    const char *spoken = proc_protocol(proc);
    const char *wanted = pmi == AGENT_PMI_1   ? "PMI-1"
                         : pmi == AGENT_PMI_2 ? "PMI-2"
                                              : "";

    if (strncmp(spoken, wanted, strlen(wanted)) != 0)
        proc_fail(proc, AGENT_BROKEN, 0, "speaks %s where --pmi asks for %s",
                  spoken, wanted);
}

static bool is_pmix(const struct proc *proc, enum pmixsrv_state state)
{
    return proc->job->pmix != NULL &&
           pmixsrv_rank_state(proc->job->pmix, proc->rank) == state;
}

static void judge_success(struct proc *proc)
{
    bool speaks = proc->job->family != FAMILY_NONE;
    bool silent = speaks && proc_is_silent(proc);
    enum agent_fault loss =
        proc->member != NULL ? AGENT_VANISHED : AGENT_BROKEN;

    if (silent && is_expected_to_speak(proc))
        judge_silent(proc);
    else if (proc->why != NULL)
        proc_fail(proc, loss, 0, "%s", proc->why);
    else if (is_pmix(proc, PMIXSRV_ACTIVE) || is_pmix(proc, PMIXSRV_LOST))
        proc_fail(proc, loss, 0, "ended without MPI_Finalize");
    else if (speaks && !silent)
        judge_protocol(proc);
}

static void judge(struct proc *proc, int status)
{
    if (WIFSIGNALED(status))
        proc_fail(proc, AGENT_KILLED, WTERMSIG(status),
                  "ended by signal %d (%s)%s", WTERMSIG(status),
                  strsignal(WTERMSIG(status)),
                  WCOREDUMP(status) ? ", core dumped" : "");
    else if (WEXITSTATUS(status) != 0)
        proc_fail(proc, AGENT_EXITED, WEXITSTATUS(status),
                  "exited with code %d", WEXITSTATUS(status));
    else
        judge_success(proc);
}

/*
 * To others first: what the others of this node do without it they may hear of
 * only then.
 */
static void tell_lost(const struct proc *proc)
{
    struct job *job = proc->job;

    if (job->dead == NULL || job->dead[proc->rank] || job->agent->ending)
        return;
    events_send_lost(job, proc->rank);
    job_lose(job, proc->rank);
}

static void forget_unclear(struct proc *proc)
{
    if (proc->unclear == NULL)
        return;
    event_free(proc->unclear);
    proc->unclear = NULL;
    proc->job->agent->unclear--;
}

static void forget_live(struct proc *proc)
{
    if (!proc->live)
        return;
    proc->live = false;
    proc->job->agent->live--;
    if (proc->departed != NULL)
        event_del(proc->departed);
    forget_unclear(proc);
}

static struct proc *find_proc(struct agent *agent, unsigned id)
{
    return id < agent->proc_count ? agent->procs[id] : NULL;
}

/* ---- what the zygote tells ---- */

enum agent_fault agent_fault_of(int code)
{
    return code == ENOENT   ? AGENT_NOT_FOUND
           : code == EACCES ? AGENT_NOT_RUNNABLE
                            : AGENT_BROKEN;
}

static void note_mpi(struct agent *agent, const struct app *app)
{
    const struct mpi_info *mpi = &app->mpi;
    const struct plan *plan = &agent->config.plans[app->plan];

    if (mpi->pmi[0] != '\0' && plan->pmi_dir != NULL)
        agent_note(agent, 1, "%s: %s is ctrun's own, from %s", app->name,
                   mpi->pmi, plan->pmi_dir);

    if (mpi->wire == MPI_WIRE_NONE)
        agent_note(agent, 1, "%s: no MPI is known of it", app->name);
    else
        agent_note(agent, 1, "%s: %s %s (%s)", app->name,
                   mpi->linked ? "is linked with" : "its image has", mpi->name,
                   mpi->library);
}

static void on_prepared(struct agent *agent, struct zygote_event *ev)
{
    struct job *job;
    struct app *app = job_find_app(agent, ev->id, &job);
    struct ct_error err;

    if (app == NULL || app->prepared)
        return;
    app->prepared = true;
    mpi_unpack(&ev->details, &app->mpi);
    note_mpi(agent, app);
    if (--job->unprepared > 0)
        return;
    if (agent->ending) /* its server may have been stopped */
        spawn_failed(job, NULL);
    else if (job->number > 0)
        spawn_open(job);
    else if (job_open(job, &err) < 0)
        agent_fail(agent, err.code == EXDEV ? AGENT_ALONE : AGENT_BROKEN, 0,
                   "%s", err.text);
}

static void on_prepare_failed(struct agent *agent, struct zygote_event *ev)
{
    struct job *job;
    struct app *app = job_find_app(agent, ev->id, &job);

    if (app == NULL)
        return;
    if (job->number > 0)
        spawn_failed(job, ev->text);
    else
        agent_fail(agent, agent_fault_of(ev->code), 0, "%s", ev->text);
}

static void on_started(struct agent *agent, struct zygote_event *ev)
{
    struct proc *proc = find_proc(agent, ev->id);

    if (proc == NULL)
        return;
    proc->pid = ev->pid;
    agent_note(agent, 2, "rank %u of job %s runs as process %d", proc->rank,
               proc->job->id, (int)proc->pid);
}

static void on_start_failed(struct agent *agent, struct zygote_event *ev)
{
    struct proc *proc = find_proc(agent, ev->id);

    if (proc == NULL)
        return;
    forget_live(proc);
    proc_fail(proc, agent_fault_of(ev->code), 0, "%s", ev->text);
}

static void bury(struct proc *proc, int status)
{
    struct agent *agent = proc->job->agent;

    forget_unclear(proc);
    judge(proc, status);
    forget_live(proc);
    if (proc->failed)
        tell_lost(proc);
    agent_note(agent, 2, "rank %u of job %s has ended; it spoke %s", proc->rank,
               proc->job->id, proc_protocol(proc));
}

static void unclear_for_long(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *proc = ctx;

    (void)fd;
    (void)what;
    bury(proc, 0);
    agent_settle(proc->job->agent);
}

/*
 * A client that finalizes waits for the server's answer, but not for ever: with
 * a server that is busy it ends before we have read that. What libpmix's thread
 * reads next tells which, unless a child of the rank holds the connection.
 */
static int await_last_word(struct proc *proc)
{
    struct agent *agent = proc->job->agent;

    proc->unclear =
        event_new(agent->config.base, -1, 0, unclear_for_long, proc);
    if (proc->unclear == NULL)
        return -1;
    agent->unclear++;
    return event_add(proc->unclear, &unclear_grace);
}

void agent_clear_up(struct agent *agent)
{
    for (unsigned i = 0; agent->unclear > 0 && i < agent->proc_count; i++) {
        struct proc *proc = agent->procs[i];

        if (proc->unclear != NULL &&
            (agent->ending || !is_pmix(proc, PMIXSRV_ACTIVE)))
            bury(proc, 0);
    }
    agent_settle(agent);
}

/*
 * Of members only the host knows with what they have ended, and it ends the
 * rest soon when it was a crash. Where others go on they must hear of a death
 * soon, for their fences to end.
 */
static bool may_have_finalized(const struct proc *proc, int status)
{
    const struct agent *agent = proc->job->agent;

    return status == 0 && proc->member == NULL &&
           is_pmix(proc, PMIXSRV_ACTIVE) && !agent->ending &&
           !agent->config.continues;
}

void proc_ended(struct proc *proc, int status)
{
    struct agent *agent = proc->job->agent;

    if (!proc->live || proc->unclear != NULL)
        return;
    proc_drain(proc);
    pmix_drain(agent);
    if (!may_have_finalized(proc, status) || await_last_word(proc) < 0)
        bury(proc, status);
}

static void on_exited(struct agent *agent, struct zygote_event *ev)
{
    struct proc *proc = find_proc(agent, ev->id);

    if (proc != NULL)
        proc_ended(proc, ev->status);
}

static void on_lent(struct agent *agent, struct zygote_event *ev)
{
    struct job *job;
    struct app *app = job_find_app(agent, ev->id, &job);
    struct ct_error err;

    if (app != NULL && members_lent(job, app, ev, &err) < 0)
        agent_fail(agent, AGENT_BROKEN, 0, "%s", err.text);
}

static void on_lost(struct agent *agent, struct zygote_event *ev)
{
    agent_fail(agent, AGENT_BROKEN, 0, "%s: %s", agent->host, ev->text);
}

/* Our ranks have died with their parent; members had none to die with. */
static void on_gone(struct agent *agent, struct zygote_event *ev)
{
    event_del(agent->zygote_in);
    event_del(agent->zygote_out);
    agent->ending = agent->zygote_gone = true;
    pmix_stop(agent);
    for (unsigned i = 0; i < agent->proc_count; i++)
        if (agent->procs[i]->member != NULL)
            member_kill(agent->procs[i]);
        else
            forget_live(agent->procs[i]);
    agent_fail(agent, AGENT_BROKEN, 0, "%s: %s", agent->host, ev->text);
    agent_clear_up(agent);
}

static void (*const handlers[])(struct agent *, struct zygote_event *) = {
    [ZYGOTE_PREPARED] = on_prepared,
    [ZYGOTE_PREPARE_FAILED] = on_prepare_failed,
    [ZYGOTE_STARTED] = on_started,
    [ZYGOTE_START_FAILED] = on_start_failed,
    [ZYGOTE_EXITED] = on_exited,
    [ZYGOTE_LENT] = on_lent,
    [ZYGOTE_LOST] = on_lost,
    [ZYGOTE_GONE] = on_gone,
};

void agent_hear(struct agent *agent)
{
    struct zygote_event ev;

    while (zygote_next(agent->zygote, &ev) > 0)
        if (ev.kind < sizeof handlers / sizeof handlers[0])
            handlers[ev.kind](agent, &ev);
    agent_pump(agent);
    agent_settle(agent);
}

static void zygote_readable(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    agent_hear(ctx);
}

static void zygote_writable(evutil_socket_t fd, short what, void *ctx)
{
    struct agent *agent = ctx;

    (void)fd;
    (void)what;
    zygote_flush(agent->zygote);
    agent_pump(agent);
}

/* Start one rank after the other, as long as the zygote's socket takes them. */
void agent_pump(struct agent *agent)
{
    struct ct_error err;

    for (struct job *job = agent->jobs; job != NULL; job = job->next)
        while (!agent->ending && job->ready &&
               job->started < job->local_count &&
               !zygote_wants_write(agent->zygote))
            if (job_start_next(job, &err) < 0) {
                agent_fail(agent, AGENT_BROKEN, 0, "cannot start rank %u: %s",
                           job->started, err.text);
                return;
            }
    if (zygote_wants_write(agent->zygote))
        event_add(agent->zygote_out, NULL);
}

/* ---- what the PMI server asks ---- */

static struct proc *proc_of(struct ctpmi_client *client)
{
    struct job *job = ctpmi_job_user(ctpmi_client_job(client));

    return job_proc(job, ctpmi_client_rank(client));
}

static void pmi_ready(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *proc = ctx;

    (void)fd;
    ctpmi_ready(proc->client, (what & EV_READ ? CTPMI_IN : 0) |
                                  (what & EV_WRITE ? CTPMI_OUT : 0));
}

static void pmi_watch(void *ctx, struct ctpmi_client *client, int fd,
                      int events)
{
    struct agent *agent = ctx;
    struct proc *proc = proc_of(client);
    short what = (short)(EV_PERSIST | (events & CTPMI_IN ? EV_READ : 0) |
                         (events & CTPMI_OUT ? EV_WRITE : 0));

    if (proc->pmi != NULL)
        event_free(proc->pmi);
    proc->pmi = NULL;
    if (events == 0)
        return;
    proc->pmi = event_new(agent->config.base, fd, what, pmi_ready, proc);
    if (proc->pmi == NULL || event_add(proc->pmi, NULL) < 0)
        proc_fail(proc, AGENT_BROKEN, 0, "its PMI socket cannot be watched");
}

static void pmi_abort(void *ctx, struct ctpmi_client *client, int exitcode,
                      const char *message)
{
    (void)ctx;
    proc_fail(proc_of(client), AGENT_ABORTED, exitcode, "MPI_Abort(%d)%s%s",
              exitcode, message[0] != '\0' ? ": " : "", message);
}

static void departed_for_long(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *proc = ctx;

    (void)fd;
    (void)what;
    proc_fail(proc, AGENT_BROKEN, 0, "%s", proc->why);
}

/* Its exit code, if it comes, tells more than that it is gone. */
static void await_exit(struct proc *proc, const char *text)
{
    if (proc->why != NULL)
        return;
    proc->why = strdup(text);
    proc->departed = event_new(proc->job->agent->config.base, -1, 0,
                               departed_for_long, proc);
    if (proc->why == NULL || proc->departed == NULL ||
        event_add(proc->departed, &departed_grace) < 0)
        proc_fail(proc, AGENT_BROKEN, 0, "%s", text);
}

static void pmi_fault(void *ctx, struct ctpmi_client *client,
                      enum ctpmi_fault kind, const char *text)
{
    struct proc *proc = proc_of(client);

    (void)ctx;
    if (kind == CTPMI_DEPARTED && proc->live) {
        await_exit(proc, text);
        tell_lost(proc);
    } else {
        proc_fail(proc, AGENT_BROKEN, 0, "%s", text);
    }
}

/* ---- life ---- */

static void kill_now(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    agent_signal(ctx, SIGKILL);
}

void agent_signal(struct agent *agent, int signal)
{
    zygote_signal(agent->zygote, ZYGOTE_ALL_RANKS, signal, NULL);
    if (zygote_wants_write(agent->zygote))
        event_add(agent->zygote_out, NULL);
}

void agent_tell_end(struct agent *agent, const struct agent_failure *failure)
{
    peers_end(agent, failure->fault, failure->code);
}

bool agent_is_complete(const struct agent *agent)
{
    return job_is_started(agent->jobs);
}

void agent_end(struct agent *agent, int signal)
{
    double grace = agent->config.kill_grace;
    struct timeval wait = {.tv_sec = (time_t)grace};

    if (agent->ending)
        return;
    agent->ending = true;
    pmix_stop(agent);
    zygote_wake(agent->zygote);
    wait.tv_usec = (suseconds_t)((grace - (double)wait.tv_sec) * 1e6);
    agent_signal(agent, signal);
    agent_signal(agent, SIGCONT); /* one that is stopped would not hear it */
    event_add(agent->kill_timer, &wait);
    agent_clear_up(agent);
}

void agent_kill(struct agent *agent)
{
    agent->ending = true;
    pmix_stop(agent);
    zygote_wake(agent->zygote);
    agent_signal(agent, SIGKILL);
    agent_clear_up(agent);
}

const char *agent_jobid(const struct agent *agent)
{
    return agent->jobs->id;
}

static int make_events(struct agent *agent)
{
    struct event_base *base = agent->config.base;
    int fd = zygote_fd(agent->zygote);

    agent->zygote_in =
        event_new(base, fd, EV_READ | EV_PERSIST, zygote_readable, agent);
    agent->zygote_out = event_new(base, fd, EV_WRITE, zygote_writable, agent);
    agent->kill_timer = event_new(base, -1, 0, kill_now, agent);
    if (agent->zygote_in == NULL || agent->zygote_out == NULL ||
        agent->kill_timer == NULL)
        return -1;
    return event_add(agent->zygote_in, NULL);
}

static int make_server(struct agent *agent)
{
    const struct ctpmi_callbacks callbacks = {
        .watch = pmi_watch,
        .abort = pmi_abort,
        .fault = pmi_fault,
        .spawn = spawn_requested,
        .fence = agent->peers != NULL ? peers_pmi_fence : NULL,
        .name = agent->peers != NULL ? peers_name : NULL,
    };

    if (agent->config.pmi == AGENT_PMI_NONE)
        return 0;
    agent->server = ctpmi_create(&callbacks, agent);
    return agent->server != NULL ? 0 : -1;
}

static int make_zygote(struct agent *agent, struct ct_error *reterr)
{
    const struct agent_config *config = &agent->config;
    const struct zygote_config zygote = {
        .plans = config->plans,
        .plan_count = config->plan_count,
        .common = config->common,
        .inspect = mpi_inspect,
        .orphaned = config->orphaned,
        .rundir = agent->rundir,
    };

    agent->zygote = zygote_start(&zygote, reterr);
    return agent->zygote != NULL ? 0 : -1;
}

/* Tools look for us in /tmp, and a rank may have a /dev/shm of its own. */
static int choose_rundir(struct agent *agent, struct ct_error *reterr)
{
    struct rundir *dir = &agent->rundir;

    if (rundir_choose(dir, agent->config.tools, reterr) < 0)
        return -1;
    return pmix_rundir_is_shared(agent) ? 0 : rundir_choose(dir, true, reterr);
}

struct agent *agent_create(const struct agent_config *config,
                           struct ct_error *reterr)
{
    struct agent *agent = calloc(1, sizeof *agent);

    if (agent == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    agent->config = *config;
    if (config->continues)
        agent->config.common.pipe.sa_handler = SIG_IGN;
    agent->last_job = &agent->jobs;
    shm_start(&agent->shm);
    if (gethostname(agent->host, sizeof agent->host - 1) < 0)
        strcpy(agent->host, "localhost");
    if (choose_rundir(agent, reterr) < 0 || make_zygote(agent, reterr) < 0)
        goto fail;
    if (config->world != NULL && config->world->node_count > 1 &&
        peers_open(agent, reterr) < 0)
        goto fail;
    if (make_events(agent) < 0 || make_server(agent) < 0 ||
        job_add(agent, 0, config->apps, config->app_count) == NULL) {
        ct_fail_nomem(reterr);
        goto fail;
    }
    return agent;
fail:
    agent_destroy(agent);
    return NULL;
}

int agent_start(struct agent *agent, struct ct_error *reterr)
{
    const struct agent_config *config = &agent->config;
    char *const **argvs = calloc(config->app_count, sizeof *argvs);
    int rc;

    if (argvs == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < config->app_count; i++)
        argvs[i] = config->apps[i].argv;
    rc = job_prepare(agent->jobs, argvs, NULL, NULL, reterr);
    free(argvs);
    return rc;
}

static void free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

/* The zygote first: no rank may live when its socket is closed. */
void agent_destroy(struct agent *agent)
{
    if (agent == NULL)
        return;
    free_event(agent->zygote_in);
    free_event(agent->zygote_out);
    free_event(agent->kill_timer);
    zygote_destroy(agent->zygote);
    if (agent->zygote_gone)
        shm_clean(&agent->shm);
    agent->ending = true;
    for (unsigned i = 0; i < agent->proc_count; i++)
        agent->procs[i]->failed = true; /* nothing is told any more */
    ctpmi_destroy(agent->server);
    pmix_close(agent);
    peers_close(agent);
    peers_spawn_close(agent);
    while (agent->jobs != NULL) {
        struct job *job = agent->jobs;
        agent->jobs = job->next;
        job_free(job);
    }
    free(agent->procs);
    free(agent);
}
