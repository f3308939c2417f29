/*
 * First the members come, each with a hello; who has come with the same words
 * and from the same directory is of the same app. When all are there the agent
 * is made as for a local job, but its ranks are let in instead of started.
 *
 * Signals are the members' own matter, and the host's: the agent ends when no
 * member lives. It keeps the standard output and error of the member that has
 * started it, for what it has to say and for what its ranks spawn.
 */
#include "launcher/node.h"

#include "agent/agent.h"
#include "agent/member.h"
#include "base/pack.h"
#include "base/packet.h"
#include "base/scope.h"
#include "container/environ.h"
#include "container/kernel.h"
#include "launcher/exit.h"
#include "launcher/foreign.h"
#include "launcher/job.h"
#include "launcher/limit.h"
#include "launcher/logs.h"
#include "launcher/pmi.h"
#include "launcher/say.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

extern char **environ;

/* Members with the same words, from the same directory. */
struct crowd {
    char *cwd;
    struct strv argv;
    struct options options;
    unsigned ranks;
};

struct guest {
    unsigned rank, crowd;
    int fd, pidfd;
    pid_t pid, parent;
    bool known; /* has said hello */
    struct strv env;
};

struct node {
    const struct node_config *config;
    struct guest *guests; /* those with a connection */
    unsigned guest_count, known_count, local_count;
    struct crowd *crowds;
    unsigned crowd_count;
    struct event_base *base;
    struct agent *agent;
    struct event *later;         /* ends the job */
    struct agent_failure untold; /* every node may have found it: no text if
                                    there is none */
    struct logs *logs;
    struct rank_common common;
    bool decided;
    int code;
    char packet[PACKET_MAX];
};

/* ---- who comes ---- */

static struct guest *add_guest(struct node *node, int fd)
{
    struct guest *guest = &node->guests[node->guest_count];
    pid_t pid;

    if (node->guest_count == node->local_count ||
        packet_peer(fd, &pid, NULL) < 0)
        return NULL;
    *guest = (struct guest){.fd = fd, .pid = pid};
    /* Its number cannot be another's yet: it waits for us. */
    guest->pidfd = kernel_pidfd_open(pid);
    if (guest->pidfd < 0)
        return NULL;
    node->guest_count++;
    return guest;
}

static void let_connect(struct node *node)
{
    int fd = accept4(node->config->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0 && add_guest(node, fd) == NULL)
        close(fd);
}

static bool same_words(const struct strv *a, const char **b)
{
    size_t i = 0;

    while (i < a->count && b[i] != NULL && strcmp(a->items[i], b[i]) == 0)
        i++;
    return i == a->count && b[i] == NULL;
}

static int parse_crowd(struct crowd *crowd, struct ct_error *reterr)
{
    struct app_options *app;

    if (options_parse((int)crowd->argv.count, crowd->argv.items,
                      &crowd->options, reterr) < 0 ||
        foreign_refuse(&crowd->options, false, reterr) < 0)
        return -1;
    app = &crowd->options.apps[0];
    if (app->pwd == NULL)
        app->pwd = crowd->cwd;
    return 0;
}

static int find_crowd(struct node *node, const char *cwd, const char **argv,
                      unsigned *ret, struct ct_error *reterr)
{
    struct crowd *crowd = node->crowds;

    for (*ret = 0; *ret < node->crowd_count; ++*ret, crowd++)
        if (strcmp(crowd->cwd, cwd) == 0 && same_words(&crowd->argv, argv))
            return 0;
    *crowd = (struct crowd){.cwd = strdup(cwd)};
    node->crowd_count++;
    if (crowd->cwd == NULL || strv_add_all(&crowd->argv, (char **)argv) < 0)
        return ct_fail_nomem(reterr);
    return parse_crowd(crowd, reterr);
}

/* Variables of its own: a wrapper may have given each rank another GPU. */
static int keep_variables(struct guest *guest, const char **env, bool cleanenv,
                          bool container)
{
    for (; *env != NULL; env++) {
        bool ours = false;

        for (char **item = environ; *item != NULL && !ours; item++)
            ours = strcmp(*item, *env) == 0;
        if (!ours && environ_refuses(*env, cleanenv, container) == NULL &&
            strv_add(&guest->env, *env) < 0)
            return -1;
    }
    return 0;
}

static bool is_expected(const struct node *node, unsigned rank)
{
    const struct node_config *config = node->config;

    if (rank >= config->size || config->node_of[rank] != config->node)
        return false;
    for (unsigned i = 0; i < node->guest_count; i++)
        if (node->guests[i].known && node->guests[i].rank == rank)
            return false;
    return true;
}

/* fds: what has come, which are taken. */
static int lend_output(struct node *node, const struct guest *guest,
                       uint32_t which, int *fds)
{
    int output[2] = {-1, -1};
    int *next = fds;

    for (int i = 0; i < 2; i++)
        if (which & 1U << i)
            output[i] = ct_steal_fd(next++);
    return logs_add(node->logs, guest->rank, guest->pidfd, output);
}

static int take_hello(struct node *node, struct guest *guest, size_t len,
                      int *fds, struct ct_error *reterr)
{
    struct unpack u = {.bytes = node->packet, .len = len};
    uint32_t message = unpack_u32(&u);
    const struct app_options *app;

    guest->rank = unpack_u32(&u);
    guest->parent = (pid_t)unpack_u32(&u);
    uint32_t which = unpack_u32(&u);
    const char *cwd = unpack_str(&u);
    CT_AUTO_FREE const char **argv = unpack_list(&u);
    CT_AUTO_FREE const char **env = unpack_list(&u);
    if (u.failed || message != NODE_HELLO || cwd == NULL || argv == NULL ||
        env == NULL || !is_expected(node, guest->rank))
        return ct_fail(reterr, EPROTO, "a rank came that is not of this node");
    if (find_crowd(node, cwd, argv, &guest->crowd, reterr) < 0)
        return -1;
    app = &node->crowds[guest->crowd].options.apps[0];
    if (keep_variables(guest, env, app->cleanenv, !app->no_container) < 0)
        return ct_fail_nomem(reterr);
    if (lend_output(node, guest, which, fds) < 0)
        return ct_fail_nomem(reterr);
    node->crowds[guest->crowd].ranks++;
    guest->known = true;
    node->known_count++;
    return 0;
}

/* A member that goes is one that will never come. */
static int hear(struct node *node, struct guest *guest, struct ct_error *reterr)
{
    int fds[PACKET_FDS_MAX], rc;
    ssize_t len = packet_receive(guest->fd, node->packet, sizeof node->packet,
                                 fds, MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (len <= 0 || guest->known)
        rc = ct_fail(reterr, ECANCELED,
                     "a rank has ended before all of its node were there");
    else
        rc = take_hello(node, guest, (size_t)len, fds, reterr);
    for (int i = 0; i < PACKET_FDS_MAX; i++)
        ct_close(&fds[i]);
    return rc;
}

static int await_one(struct node *node, struct pollfd *wait,
                     struct ct_error *reterr)
{
    wait[0] = (struct pollfd){.fd = node->config->listener, .events = POLLIN};
    for (unsigned i = 0; i < node->guest_count; i++)
        wait[i + 1] =
            (struct pollfd){.fd = node->guests[i].fd, .events = POLLIN};
    if (poll(wait, node->guest_count + 1, -1) < 0)
        return errno == EINTR ? 0 : ct_fail_errno(reterr, "poll");
    for (unsigned i = node->guest_count; i > 0; i--)
        if (wait[i].revents != 0 &&
            hear(node, &node->guests[i - 1], reterr) < 0)
            return -1;
    if (wait[0].revents != 0)
        let_connect(node);
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct guest *x = a, *y = b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

static int await_all(struct node *node, struct ct_error *reterr)
{
    CT_AUTO_FREE struct pollfd *wait =
        calloc(node->local_count + 1, sizeof *wait);

    if (wait == NULL)
        return ct_fail_nomem(reterr);
    while (node->known_count < node->local_count)
        if (await_one(node, wait, reterr) < 0)
            return -1;
    qsort(node->guests, node->guest_count, sizeof *node->guests, by_rank);
    return 0;
}

/* ---- what the agent tells ---- */

static void end_now(evutil_socket_t fd, short what, void *ctx)
{
    struct node *node = ctx;

    (void)fd;
    (void)what;
    agent_end(node->agent, SIGTERM);
}

/*
 * A PMIx client that aborts exits with the code that is to be the job's. Most
 * hosts end the others then, and report that code and not our signal: they are
 * given the time to. One of PMI-1 or PMI-2 waits to be ended, or goes on
 * (MPICH 4.1: MPI_Abort() returns).
 */
static void end_job(struct node *node, enum agent_fault fault)
{
    const struct timeval wait = {.tv_sec = fault == AGENT_EXITING ? 1 : 0};

    node->later = event_new(node->base, -1, 0, end_now, node);
    if (node->later == NULL || event_add(node->later, &wait) < 0)
        agent_end(node->agent, SIGTERM);
}

static void say_here_or_there(struct node *node, const char *text)
{
    if (!agent_say_elsewhere(node->agent, text))
        say(node->config->options->verbosity, -1, "%s", text);
}

/* Ranks that wait for what is said may end now, and the host may end us. */
static void end_with(struct node *node, const struct agent_failure *failure)
{
    agent_refuse(node->agent, node->code);
    end_job(node, failure->fault);
}

static void tell(struct node *node, const struct agent_failure *failure)
{
    if (failure->elsewhere)
        say(node->config->options->verbosity, 1, "%s", failure->text);
    else
        say_here_or_there(node, failure->text);
    end_with(node, failure);
}

/* Here: other nodes may have left meanwhile. */
static void tell_untold(evutil_socket_t fd, short what, void *ctx)
{
    struct node *node = ctx;

    (void)fd;
    (void)what;
    say(node->config->options->verbosity, node->untold.elsewhere ? 1 : -1, "%s",
        node->untold.text);
    end_with(node, &node->untold);
    node->untold.text[0] = '\0';
}

/*
 * What is wrong with the command or the image is found on all nodes at once,
 * but is to be said once. Its ranks wait, so there is time to hear whether a
 * lower node says it; and if none does, it is said here.
 */
static bool may_be_found_by_all(const struct node *node,
                                const struct agent_failure *failure)
{
    return node->config->node > 0 && !failure->elsewhere &&
           (failure->fault == AGENT_NOT_FOUND ||
            failure->fault == AGENT_NOT_RUNNABLE ||
            (failure->fault == AGENT_BROKEN &&
             !agent_is_complete(node->agent)));
}

static int hold_back(struct node *node, const struct agent_failure *failure)
{
    static const struct timeval wait = {.tv_usec = 200000};

    if (event_base_once(node->base, -1, EV_TIMEOUT, tell_untold, node, &wait) <
        0)
        return -1;
    node->untold = *failure;
    return 0;
}

static void tell_loss(struct node *node, const struct agent_failure *failure)
{
    char text[sizeof failure->text + 32];

    snprintf(text, sizeof text, "%s; the others go on", failure->text);
    say_here_or_there(node, text);
}

static void on_failed(void *ctx, const struct agent_failure *failure)
{
    struct node *node = ctx;

    if (node->decided) {
        if (failure->elsewhere)
            node->untold.elsewhere = true;
        return;
    }
    if (node->config->options->continues && exit_is_loss(failure)) {
        tell_loss(node, failure);
        return;
    }
    node->decided = true;
    node->code = exit_code_of(failure);
    if (!may_be_found_by_all(node, failure) || hold_back(node, failure) < 0)
        tell(node, failure);
    agent_tell_end(node->agent, failure);
}

static void on_idle(void *ctx)
{
    struct node *node = ctx;

    if (node->untold.text[0] != '\0')
        tell_untold(-1, 0, node);
    event_base_loopbreak(node->base);
}

static void on_note(void *ctx, int level, const char *text)
{
    struct node *node = ctx;

    say(node->config->options->verbosity, level, "%s", text);
}

static void on_log(void *ctx, const struct agent_rank *rank, bool is_error,
                   const char *text)
{
    struct node *node = ctx;

    /* What a rank spawns writes where the agent does. */
    logs_write(node->logs, rank->job == 0 ? rank->rank : ~0U, is_error, text);
}

/* Of what ranks spawn. */
static int on_stdio(void *ctx, const struct agent_rank *rank,
                    struct agent_stdio *ret, struct ct_error *reterr)
{
    (void)ctx;
    (void)rank;
    (void)reterr;
    *ret = (struct agent_stdio){.fds = {-1, STDOUT_FILENO, STDERR_FILENO}};
    return 0;
}

/* In the zygote, when the agent was killed. */
static void on_orphaned(unsigned ranks)
{
    char host[64] = "this node";

    gethostname(host, sizeof host - 1);
    say(0, -1, "the agent on %s is gone or stopped: its %u rank%s ended", host,
        ranks, ranks == 1 ? " is" : "s are");
}

/* ---- the job ---- */

/* One app for each crowd, under the options of the first rank of the node. */
static int merge_options(struct node *node, struct options *ret,
                         struct ct_error *reterr)
{
    *ret = *node->config->options;
    ret->app_count = node->crowd_count;
    ret->apps = calloc(node->crowd_count, sizeof *ret->apps);
    if (ret->apps == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < node->crowd_count; i++) {
        ret->apps[i] = node->crowds[i].options.apps[0];
        ret->apps[i].ranks = node->crowds[i].ranks;
    }
    return 0;
}

static struct agent_member *list_members(const struct node *node)
{
    struct agent_member *members = calloc(node->guest_count, sizeof *members);

    for (unsigned i = 0; members != NULL && i < node->guest_count; i++) {
        struct guest *guest = &node->guests[i];

        members[i] = (struct agent_member){
            .rank = guest->rank,
            .app = guest->crowd,
            .fd = guest->fd,
            .pid = guest->pid,
            .pidfd = guest->pidfd,
            .parent = guest->parent,
            .env = guest->env.items,
        };
    }
    return members;
}

static int serve(struct node *node, const struct options *options,
                 const struct job_spec *spec, const struct agent_world *world,
                 struct ct_error *reterr)
{
    const struct agent_config config = {
        .base = node->base,
        .plans = spec->plans,
        .plan_count = spec->plan_count,
        .plan_ids = spec->plan_ids,
        .apps = spec->apps,
        .app_count = spec->app_count,
        .world = world,
        .orphaned = on_orphaned,
        .universe_size = world->size,
        .pmi = agent_pmi_of(options->pmi),
        .tools = options->tools,
        .pmi_required = options->pmi_required,
        .continues = options->continues,
        .kill_grace = options->kill_grace,
        .common = node->common,
        .callbacks = {.stdio = on_stdio,
                      .failed = on_failed,
                      .log = on_log,
                      .note = on_note,
                      .idle = on_idle},
        .ctx = node,
    };

    node->agent = agent_create(&config, reterr);
    if (node->agent == NULL || agent_start(node->agent, reterr) < 0)
        return -1;
    event_base_dispatch(node->base);
    return node->code;
}

static int serve_members(struct node *node, struct ct_error *reterr)
{
    CT_AUTO_FREE struct agent_member *members = list_members(node);
    const struct agent_world world = {
        .jobid = node->config->jobid,
        .size = node->config->size,
        .node = node->config->node,
        .node_count = node->config->node_count,
        .node_of = node->config->node_of,
        .hosts = node->config->hosts,
        .peers = node->config->peers,
        .secret = node->config->secret,
        .listeners = {node->config->overlay[0], node->config->overlay[1]},
        .members = members,
        .member_count = node->guest_count,
    };
    struct options options;
    struct job_spec spec;
    int rc;

    if (members == NULL)
        return ct_fail_nomem(reterr);
    if (merge_options(node, &options, reterr) < 0 ||
        job_spec_make(&options, &spec, reterr) < 0)
        return -1;
    rc = serve(node, &options, &spec, &world, reterr);
    agent_destroy(node->agent);
    logs_destroy(node->logs);
    job_spec_clear(&spec);
    free(options.apps);
    return rc;
}

/* ---- life ---- */

static unsigned count_local(const struct node_config *config)
{
    unsigned count = 0;

    for (unsigned rank = 0; rank < config->size; rank++)
        count += config->node_of[rank] == config->node;
    return count;
}

/* What is meant for the ranks reaches them without us. */
static void ignore_signals(struct rank_common *ret)
{
    static const int signals[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT,
                                  SIGTSTP, SIGUSR1, SIGUSR2};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&set, signals[i]);
    sigaction(SIGPIPE, &ignore, &ret->pipe);
    sigprocmask(SIG_BLOCK, &set, &ret->mask);
}

static int come_up(struct node *node, struct ct_error *reterr)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return ct_fail_errno(reterr, "cannot open /dev/null");
    close(null);
    prctl(PR_SET_NAME, "ctrun-agent");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ignore_signals(&node->common);
    if (limit_raise(&node->common.files, reterr) < 0)
        return -1;
    node->local_count = count_local(node->config);
    node->guests = calloc(node->local_count, sizeof *node->guests);
    node->crowds = calloc(node->local_count, sizeof *node->crowds);
    node->base = event_base_new();
    if (node->guests == NULL || node->crowds == NULL || node->base == NULL)
        return ct_fail_nomem(reterr);
    node->logs = logs_create(node->base);
    if (node->logs == NULL)
        return ct_fail_nomem(reterr);
    if (add_guest(node, node->config->first) == NULL)
        return ct_fail_errno(reterr, "cannot watch the first rank");
    return 0;
}

/* Before there is an agent to do it. */
static void refuse_all(const struct node *node)
{
    for (unsigned i = 0; i < node->guest_count; i++)
        member_refuse(node->guests[i].fd, EXIT_CTRUN);
}

int node_main(const struct node_config *config)
{
    struct node *node = calloc(1, sizeof *node);
    struct ct_error err;
    int code = -1;

    if (node == NULL)
        return EXIT_CTRUN;
    node->config = config;
    if (come_up(node, &err) == 0 && await_all(node, &err) == 0)
        code = serve_members(node, &err);
    if (code < 0) {
        say(0, -1, "%s", err.text);
        refuse_all(node);
        code = EXIT_CTRUN;
    }
    return code;
}
