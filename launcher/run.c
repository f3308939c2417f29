/*
 * One event loop: the agent's ranks, their output, our signals, a timer.
 *
 * The first thing that goes wrong decides the exit code and is said; it ends
 * the job, and what fails because of that is not news. Signals arrive through a
 * signalfd, which tells those that a terminal sends to all of its foreground
 * from those that are meant for ctrun alone.
 *
 * When no rank lives the agent is taken down first, which ends whatever ranks
 * have left behind; after that their pipes can be read to the end.
 */
#include "launcher/run.h"

#include "agent/agent.h"
#include "base/scope.h"
#include "launcher/exit.h"
#include "launcher/feeds.h"
#include "launcher/limit.h"
#include "launcher/pmi.h"
#include "launcher/say.h"
#include "launcher/stdio.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

extern char **environ;

struct run {
    const struct options *options;
    const struct job_spec *spec;
    struct event_base *base;
    struct agent *agent; /* NULL when it has been taken down */
    struct stdio *stdio;
    int signal_fd;
    struct event *signals, *timeout;
    bool decided; /* the exit code is */
    int code;
    int lost_code; /* of the first rank without which the others went on */
    int asked;     /* signal that somebody ended the job with, or 0 */
    bool interrupted;
    bool abandoned; /* nobody waits for what is left of the output */
    char host[64];
};

/* ---- tools ---- */

static void on_copies_drained(void *ctx)
{
    struct run *run = ctx;

    stdio_drained(run->stdio);
}

static bool on_takes_input(void *ctx, const struct agent_rank *rank)
{
    const struct run *run = ctx;

    return stdio_takes_input(run->stdio, rank);
}

static void on_feed(void *ctx, const struct agent_rank *rank, const void *bytes,
                    size_t len, bool last,
                    void (*done)(struct pmixsrv_push *push, bool taken),
                    struct pmixsrv_push *push)
{
    struct run *run = ctx;
    const struct feed feed = {bytes, len, last, done, push};

    stdio_feed(run->stdio, rank, &feed);
}

static void on_copy(void *ctx, const struct agent_rank *rank, bool is_error,
                    const void *bytes, size_t len)
{
    const struct run *run = ctx;

    if (run->agent != NULL)
        agent_output(run->agent, rank, is_error, bytes, len);
}

static bool copies_are_full(void *ctx)
{
    const struct run *run = ctx;

    return run->agent != NULL && agent_output_is_full(run->agent);
}

/* What ranks have written until now, for the user and for tools. */
static void catch_up(struct run *run)
{
    stdio_catch_up(run->stdio);
    agent_output_flush(run->agent);
}

/* ---- the outcome ---- */

static void decide(struct run *run, int code)
{
    if (run->decided)
        return;
    run->decided = true;
    run->code = code;
}

/*
 * What a single rank does is its caller's to know, as with env(1); and what
 * somebody asked for is no news.
 */
static bool is_worth_saying(const struct run *run,
                            const struct agent_failure *failure)
{
    bool alone = run->spec->size == 1;

    if (failure->fault == AGENT_ALONE) /* all tasks are, and one tells */
        return !is_one_of_many();
    if (failure->fault == AGENT_EXITED)
        return !alone;
    if (failure->fault == AGENT_KILLED)
        return failure->code != run->asked &&
               !(alone && failure->code == SIGPIPE);
    return true;
}

/* One that has died, and nobody wanted it to. */
static bool goes_on(const struct run *run, const struct agent_failure *failure)
{
    return run->options->continues && run->asked == 0 && exit_is_loss(failure);
}

static void lose_rank(struct run *run, const struct agent_failure *failure)
{
    if (run->lost_code == 0)
        run->lost_code = exit_code_of(failure);
    stdio_catch_up(run->stdio);
    say(run->options->verbosity, -1, "%s; the others go on", failure->text);
}

static void on_failed(void *ctx, const struct agent_failure *failure)
{
    struct run *run = ctx;

    if (run->decided)
        return;
    if (goes_on(run, failure)) {
        lose_rank(run, failure);
        return;
    }
    decide(run, exit_code_of(failure));
    catch_up(run); /* what ranks say of it comes first */
    if (is_worth_saying(run, failure))
        say(run->options->verbosity, -1, "%s", failure->text);
    agent_end(run->agent, SIGTERM);
}

static void on_idle(void *ctx)
{
    struct run *run = ctx;

    event_base_loopbreak(run->base);
}

static void on_note(void *ctx, int level, const char *text)
{
    struct run *run = ctx;

    say(run->options->verbosity, level, "%s", text);
}

static void on_log(void *ctx, const struct agent_rank *rank, bool is_error,
                   const char *text)
{
    struct run *run = ctx;

    stdio_log(run->stdio, rank, is_error, text);
}

static int on_stdio(void *ctx, const struct agent_rank *rank,
                    struct agent_stdio *ret, struct ct_error *reterr)
{
    struct run *run = ctx;

    return stdio_open(run->stdio, rank, ret, reterr);
}

/* A reader that goes away ends us as it ends any program: without a word. */
static void on_broken_output(void *ctx, const char *name, int error)
{
    struct run *run = ctx;

    if (error != EPIPE && !run->decided)
        say(run->options->verbosity, -1, "cannot write to %s: %s", name,
            strerror(error));
    decide(run, error == EPIPE ? EXIT_SIGNAL + SIGPIPE : EXIT_CTRUN);
    if (run->agent != NULL)
        agent_end(run->agent, SIGTERM);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
    struct run *run = ctx;

    (void)fd;
    (void)what;
    if (run->decided || run->agent == NULL)
        return;
    decide(run, EXIT_TIMEOUT);
    say(run->options->verbosity, -1,
        "the time that --timeout gave, %g s, is over: the job is ended",
        run->options->timeout);
    agent_end(run->agent, SIGTERM);
}

/* ---- signals ---- */

/* Did the terminal send it to the rank too? */
static bool rank_has_it(const struct run *run,
                        const struct signalfd_siginfo *info)
{
    return stdio_shares_terminal(run->stdio) && info->ssi_code == SI_KERNEL;
}

/* A job that is not whole yet cannot go on without the ranks that lack. */
static bool end_incomplete(struct run *run, int signal)
{
    run->asked = signal;
    if (agent_is_complete(run->agent))
        return false;
    decide(run, EXIT_SIGNAL + signal);
    agent_end(run->agent, signal);
    return true;
}

static void terminate(struct run *run, const struct signalfd_siginfo *info)
{
    int signal = (int)info->ssi_signo;

    if (!end_incomplete(run, signal))
        agent_end(run->agent, signal);
}

/* Ranks are asked by SIGTERM: UCX takes SIGHUP for a debugger's wish. */
static void hang_up(struct run *run, const struct signalfd_siginfo *info)
{
    run->asked = SIGTERM;
    decide(run, EXIT_SIGNAL + (int)info->ssi_signo);
    agent_end(run->agent, SIGTERM);
}

/*
 * Once asks, twice kills. A single rank at the terminal has been asked already
 * and may go on: a shell does.
 */
static void interrupt(struct run *run, const struct signalfd_siginfo *info)
{
    int signal = (int)info->ssi_signo;

    if (rank_has_it(run, info) && agent_is_complete(run->agent)) {
        run->asked = signal;
        return;
    }
    if (run->interrupted) {
        agent_kill(run->agent);
        return;
    }
    run->interrupted = true;
    say(run->options->verbosity, 0,
        "interrupted: the ranks have been asked to end, once more kills them");
    if (!end_incomplete(run, signal))
        agent_signal(run->agent, signal);
}

static void forward(struct run *run, const struct signalfd_siginfo *info)
{
    if (!rank_has_it(run, info))
        agent_signal(run->agent, (int)info->ssi_signo);
}

static void stop(struct run *run, const struct signalfd_siginfo *info)
{
    forward(run, info);
    raise(SIGSTOP);
}

static void resume(struct run *run, const struct signalfd_siginfo *info)
{
    forward(run, info);
    stdio_resume(run->stdio);
}

static const struct signal_row {
    int signal;
    void (*handle)(struct run *run, const struct signalfd_siginfo *info);
} signal_rows[] = {
    {SIGINT, interrupt},  {SIGTERM, terminate}, {SIGHUP, hang_up},
    {SIGQUIT, terminate}, {SIGTSTP, stop},      {SIGCONT, resume},
    {SIGUSR1, forward},   {SIGUSR2, forward},
};

enum { SIGNAL_ROWS = sizeof signal_rows / sizeof signal_rows[0] };

static void handle_signal(struct run *run, const struct signalfd_siginfo *info)
{
    for (const struct signal_row *row = signal_rows;
         row < signal_rows + SIGNAL_ROWS; row++)
        if (row->signal == (int)info->ssi_signo)
            row->handle(run, info);
}

/* No rank is left: what can still be ended is our wait for a slow reader. */
static void handle_late_signal(struct run *run,
                               const struct signalfd_siginfo *info)
{
    int signal = (int)info->ssi_signo;

    if (signal != SIGINT && signal != SIGTERM && signal != SIGHUP &&
        signal != SIGQUIT)
        return;
    decide(run, EXIT_SIGNAL + signal);
    run->abandoned = true;
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    struct run *run = ctx;
    struct signalfd_siginfo info;

    (void)what;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (run->agent != NULL)
            handle_signal(run, &info);
        else
            handle_late_signal(run, &info);
}

/* ret: what ranks are to have. */
static int take_signals(struct run *run, struct rank_common *ret,
                        struct ct_error *reterr)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction current;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < SIGNAL_ROWS; i++) {
        /* nohup(1) and shells ignore some on purpose: so do we, and ranks. */
        if (sigaction(signal_rows[i].signal, NULL, &current) == 0 &&
            current.sa_handler != SIG_IGN)
            sigaddset(&set, signal_rows[i].signal);
    }
    if (sigaction(SIGPIPE, &ignore, &ret->pipe) < 0 ||
        sigprocmask(SIG_BLOCK, &set, &ret->mask) < 0)
        return ct_fail_errno(reterr, "cannot set signals");
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0 ? 0 : ct_fail_errno(reterr, "signalfd");
}

/* ---- the parts ---- */

static unsigned universe(unsigned size)
{
    unsigned cpus = bind_cpus_available();

    return size > cpus ? size : cpus;
}

static int make_agent(struct run *run, const struct rank_common *common,
                      struct ct_error *reterr)
{
    struct agent_config config = {
        .base = run->base,
        .plans = run->spec->plans,
        .plan_count = run->spec->plan_count,
        .apps = run->spec->apps,
        .app_count = run->spec->app_count,
        .psets = run->spec->psets,
        .pset_count = run->spec->pset_count,
        .universe_size = universe(run->spec->size),
        .pmi = agent_pmi_of(run->options->pmi),
        .tools = run->options->tools,
        .pmi_required = run->options->pmi_required,
        .continues = run->options->continues,
        .kill_grace = run->options->kill_grace,
        .common = *common,
        .cpus = run->spec->cpus,
        .cpus_size = run->spec->places != NULL ? run->spec->places[0].size : 0,
        .callbacks = {.stdio = on_stdio,
                      .failed = on_failed,
                      .log = on_log,
                      .drained = on_copies_drained,
                      .takes_input = on_takes_input,
                      .feed = on_feed,
                      .note = on_note,
                      .idle = on_idle},
        .ctx = run,
    };

    host_task_find(environ, &config.outer);
    run->agent = agent_create(&config, reterr);
    return run->agent != NULL ? 0 : -1;
}

static int make_stdio(struct run *run, struct ct_error *reterr)
{
    const struct stdio_config config = {
        .base = run->base,
        .options = run->options,
        .size = run->spec->size,
        .host = run->host,
        .jobid = agent_jobid(run->agent),
        .broken = on_broken_output,
        .copy = on_copy,
        .copies_are_full = copies_are_full,
        .ctx = run,
    };

    if (gethostname(run->host, sizeof run->host - 1) < 0)
        strcpy(run->host, "localhost");
    run->stdio = stdio_create(&config);
    return run->stdio != NULL ? 0 : ct_fail_nomem(reterr);
}

static int make_events(struct run *run, struct ct_error *reterr)
{
    double seconds = run->options->timeout;
    struct timeval wait = {.tv_sec = (time_t)seconds};

    wait.tv_usec = (suseconds_t)((seconds - (double)wait.tv_sec) * 1e6);
    run->signals = event_new(run->base, run->signal_fd, EV_READ | EV_PERSIST,
                             on_signal, run);
    run->timeout = event_new(run->base, -1, 0, on_timeout, run);
    if (run->signals == NULL || run->timeout == NULL ||
        event_add(run->signals, NULL) < 0 ||
        (seconds > 0 && event_add(run->timeout, &wait) < 0))
        return ct_fail_nomem(reterr);
    return 0;
}

static int begin(struct run *run, struct ct_error *reterr)
{
    struct rank_common common = {0};

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (take_signals(run, &common, reterr) < 0 ||
        limit_raise(&common.files, reterr) < 0)
        return -1;
    run->base = event_base_new();
    if (run->base == NULL)
        return ct_fail_nomem(reterr);
    if (make_agent(run, &common, reterr) < 0 || make_stdio(run, reterr) < 0 ||
        make_events(run, reterr) < 0)
        return -1;
    return agent_start(run->agent, reterr);
}

static void finish(struct run *run)
{
    catch_up(run);
    agent_destroy(run->agent);
    run->agent = NULL;
    stdio_finish(run->stdio);
    while (!stdio_is_idle(run->stdio) && !run->abandoned)
        if (event_base_loop(run->base, EVLOOP_ONCE) != 0)
            return;
}

static void tear_down(struct run *run)
{
    agent_destroy(run->agent);
    stdio_destroy(run->stdio);
    if (run->signals != NULL)
        event_free(run->signals);
    if (run->timeout != NULL)
        event_free(run->timeout);
    if (run->base != NULL)
        event_base_free(run->base);
    ct_close(&run->signal_fd);
}

static void report_bindings(const struct run *run)
{
    for (unsigned r = 0; r < run->spec->size; r++)
        say(run->options->verbosity, -1, "rank %u: %s", r,
            run->spec->places != NULL ? run->spec->places[r].text
                                      : "not bound");
}

int run_job(const struct options *options, const struct job_spec *spec,
            struct ct_error *reterr)
{
    struct run run = {.options = options, .spec = spec, .signal_fd = -1};
    int rc = begin(&run, reterr);

    if (rc == 0) {
        if (options->report_bindings)
            report_bindings(&run);
        event_base_dispatch(run.base);
        finish(&run);
        rc = run.decided ? run.code : run.lost_code;
    }
    tear_down(&run);
    return rc;
}
