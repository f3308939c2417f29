/*
 * The zygote's own life: come up in the new user namespace, then a loop over
 * two descriptors, ctrun's socket and a signalfd for children that ended. It is
 * single-threaded, and while it makes a container or starts a rank it does
 * nothing else; ctrun goes on meanwhile.
 */
#include "base/packet.h"
#include "base/scope.h"
#include "container/environ.h"
#include "container/envscript.h"
#include "container/kernel.h"
#include "container/namespace.h"
#include "container/shm.h"
#include "container/sweep.h"
#include "container/template.h"
#include "container/zygote_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* What is made of a plan once, when the first command needs it. */
struct place {
    bool ready;
    struct template template;
    struct strv scratch; /* where each rank has a tmpfs of its own */
    struct strv covered; /* libraries that the host's stand in the place of */
    struct strv env;
};

struct app {
    struct app *next;
    unsigned number;
    unsigned plan;
    char *path;
    char *workdir;
    bool workdir_required;
    struct strv argv;
};

/* A rank: our child, or one that another launcher has started. */
struct child {
    unsigned id;
    pid_t pid; /* 0: has ended */
    bool own_group;
    int pidfd; /* of one that is no child of ours, else -1 */
};

struct host {
    const struct zygote_config *config;
    int control, signals, null, base_ns, user_ns;
    int rundir_parent;
    struct place *places; /* [plan_count] */
    int inside; /* the plan whose mount namespace we are in, or below */
    struct app *apps;
    struct child *children;
    size_t child_count;
    pid_t owner;   /* ctrun */
    time_t heard;  /* when ctrun was last alive; 0: it does not say */
    bool abnormal; /* something failed or was killed: look for what it left */
    struct shm shm;
    char packet[PACKET_MAX];
};

/* Instead of a plan's number. */
enum { INSIDE_HOST = -1, INSIDE_UNKNOWN = -2 };

static bool contained(const struct host *h, unsigned plan)
{
    return h->config->plans[plan].image_path != NULL;
}

/* ---- answers ---- */

/* ctrun reads always; if it is gone, the loop sees that. */
static void send_and_free(struct host *h, struct pack *p)
{
    if (!p->failed)
        while (send(h->control, p->bytes, p->len, MSG_NOSIGNAL) < 0 &&
               errno == EINTR)
            ;
    free(p->bytes);
}

static void tell(struct host *h, enum zygote_event_kind kind, unsigned id,
                 unsigned value)
{
    struct pack p = {0};

    pack_u32(&p, kind);
    pack_u32(&p, id);
    pack_u32(&p, value);
    send_and_free(h, &p);
}

static void tell_error(struct host *h, enum zygote_event_kind kind, unsigned id,
                       const struct ct_error *err)
{
    struct pack p = {0};

    pack_u32(&p, kind);
    pack_u32(&p, id);
    pack_u32(&p, (uint32_t)err->code);
    pack_str(&p, err->text);
    send_and_free(h, &p);
}

/* ---- containers ---- */

static int enter(struct host *h, unsigned plan, struct ct_error *reterr)
{
    int wanted = contained(h, plan) ? (int)plan : INSIDE_HOST;
    int ns = wanted >= 0 ? h->places[plan].template.mntns : h->base_ns;

    if (h->inside == wanted)
        return 0;
    if (setns(ns, CLONE_NEWNS) < 0)
        return ct_fail_errno(reterr, "cannot enter a mount namespace");
    h->inside = wanted;
    return 0;
}

static int list_scratch(const struct plan *plan, struct strv *ret,
                        struct ct_error *reterr)
{
    for (size_t i = 0; i < plan->mount_count; i++)
        if (plan->mounts[i].kind == MOUNT_SCRATCH &&
            strv_add(ret, plan->mounts[i].target) < 0)
            return ct_fail_nomem(reterr);
    return 0;
}

/*
 * A mount namespace that shows the host and may cease to: if there is no other
 * plan, nobody goes back to the one that we have. To copy it takes time, and to
 * let it go at the end takes the kernel a grace period.
 */
static int enter_spare_namespace(struct host *h, struct ct_error *reterr)
{
    if (h->config->plan_count == 1)
        return 0;
    if (h->inside != INSIDE_HOST && setns(h->base_ns, CLONE_NEWNS) < 0)
        return ct_fail_errno(reterr, "cannot enter a mount namespace");
    if (unshare(CLONE_NEWNS) < 0)
        return ct_fail_errno(reterr, "cannot make a mount namespace");
    return 0;
}

static int make_container(struct host *h, unsigned plan,
                          struct ct_error *reterr)
{
    struct place *place = &h->places[plan];

    if (enter_spare_namespace(h, reterr) < 0)
        return -1;
    h->inside = INSIDE_UNKNOWN;
    if (template_build(&h->config->plans[plan], &place->template, reterr) < 0)
        return -1;
    h->inside = (int)plan;
    return list_scratch(&h->config->plans[plan], &place->scratch, reterr);
}

static int make_environment(struct host *h, unsigned number,
                            struct ct_error *reterr)
{
    const struct plan *plan = &h->config->plans[number];
    struct place *place = &h->places[number];
    struct strv *env = &place->env;

    if (strv_add_all(env, plan->env.items) < 0)
        return ct_fail_nomem(reterr);
    if (contained(h, number) &&
        envscript_run(&h->config->common, strv_list(&place->scratch), h->null,
                      h->control, env, reterr) < 0)
        return -1;
    if (environ_override(env, plan->env_set.items) < 0)
        return ct_fail_nomem(reterr);
    return 0;
}

static int make_place(struct host *h, unsigned plan, struct ct_error *reterr)
{
    struct place *place = &h->places[plan];

    if (place->ready)
        return enter(h, plan, reterr);
    if (contained(h, plan) ? make_container(h, plan, reterr) < 0
                           : enter(h, plan, reterr) < 0)
        return -1;
    if (make_environment(h, plan, reterr) < 0)
        return -1;
    place->ready = true;
    return 0;
}

/* ---- applications ---- */

static struct app *find_app(struct host *h, unsigned number)
{
    struct app *app = h->apps;

    while (app != NULL && app->number != number)
        app = app->next;
    return app;
}

static const char *or_home(const char *dir, const struct plan *plan)
{
    if (access(dir, X_OK) == 0 || plan->home == NULL)
        return dir;
    return plan->home;
}

static int fill_app(struct host *h, struct app *app, const char *workdir,
                    const char *path, struct ct_error *reterr)
{
    const struct plan *plan = &h->config->plans[app->plan];
    const struct strv *env = &h->places[app->plan].env;
    const char *dir = workdir != NULL ? workdir : plan->workdir;

    app->workdir_required = workdir != NULL || plan->workdir_required;
    if (!app->workdir_required)
        dir = or_home(dir, plan);
    app->workdir = strdup(dir);
    if (app->workdir == NULL)
        return ct_fail_nomem(reterr);
    if (path == NULL)
        path = strv_env_get(env, "PATH");
    app->path = rank_find_command(app->argv.items[0], path, dir, reterr);
    return app->path != NULL ? 0 : -1;
}

/* An image's ld.so.cache may name what is there no longer. */
static bool is_missing(const char *path)
{
    return access(path, F_OK) < 0 && errno == ENOENT;
}

/* Once for each of them, though several commands may need it. */
static int cover_library(struct place *place, const char *target,
                         struct ct_error *reterr)
{
    for (size_t i = 0; i < place->covered.count; i++)
        if (strcmp(place->covered.items[i], target) == 0)
            return 0;
    if (template_cover(&place->template, target, reterr) < 0)
        return rank_not_the_command(reterr);
    return strv_add(&place->covered, target) < 0 ? ct_fail_nomem(reterr) : 0;
}

static int cover_libraries(struct host *h, unsigned plan,
                           const struct strv *paths, struct ct_error *reterr)
{
    if (!contained(h, plan) || h->config->plans[plan].pmi_dir == NULL)
        return 0;
    for (size_t i = 0; i < paths->count; i++)
        if (!is_missing(paths->items[i]) &&
            cover_library(&h->places[plan], paths->items[i], reterr) < 0)
            return -1;
    return 0;
}

/* Look into it, and tell what was seen. */
static int describe(struct host *h, const struct app *app,
                    struct ct_error *reterr)
{
    struct pack p = {0};
    struct strv pmi = {0};
    CT_AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc;

    pack_u32(&p, ZYGOTE_PREPARED);
    pack_u32(&p, app->number);
    h->config->inspect(
        app->path, strv_env_get(&h->places[app->plan].env, "LD_LIBRARY_PATH"),
        root, h->config->plans[app->plan].pmi_all, &p, &pmi);
    rc = cover_libraries(h, app->plan, &pmi, reterr);
    strv_clear(&pmi);
    if (rc < 0)
        free(p.bytes);
    else
        send_and_free(h, &p);
    return rc;
}

static int prepare(struct host *h, struct unpack *u, unsigned number,
                   struct ct_error *reterr)
{
    unsigned plan = unpack_u32(u);
    const char *workdir = unpack_str(u);
    const char *path = unpack_str(u);
    CT_AUTO_FREE const char **argv = unpack_list(u);
    struct app *app;

    if (u->failed || argv == NULL || argv[0] == NULL ||
        plan >= h->config->plan_count)
        return ct_fail(reterr, EPROTO, "a request that makes no sense");
    app = calloc(1, sizeof *app);
    if (app == NULL)
        return ct_fail_nomem(reterr);
    app->number = number;
    app->plan = plan;
    app->next = h->apps;
    h->apps = app;
    if (strv_add_all(&app->argv, (char *const *)argv) < 0)
        return ct_fail_nomem(reterr);
    if (make_place(h, plan, reterr) < 0)
        return rank_not_the_command(reterr);
    if (fill_app(h, app, workdir, path, reterr) < 0)
        return -1;
    return describe(h, app, reterr);
}

static void handle_prepare(struct host *h, struct unpack *u, const int *fds)
{
    unsigned number = unpack_u32(u);
    struct ct_error err;

    (void)fds;
    if (prepare(h, u, number, &err) < 0)
        tell_error(h, ZYGOTE_PREPARE_FAILED, number, &err);
}

/* ---- ranks ---- */

static int remember(struct host *h, struct child child)
{
    struct child *grown =
        realloc(h->children, (h->child_count + 1) * sizeof *grown);

    if (grown == NULL)
        return -1;
    h->children = grown;
    grown[h->child_count++] = child;
    return 0;
}

static int start_rank(struct host *h, const struct app *app, unsigned id,
                      struct rank_start *start, const char *const *own,
                      struct ct_error *reterr)
{
    struct place *place = &h->places[app->plan];
    CT_AUTO_FREE const char **env = environ_join(strv_list(&place->env), own);
    pid_t pid;

    if (env == NULL)
        return ct_fail_nomem(reterr);
    if (enter(h, app->plan, reterr) < 0)
        return -1;
    start->common = &h->config->common;
    start->scratch = strv_list(&place->scratch);
    start->path = app->path;
    start->argv = app->argv.items;
    start->env = (char *const *)env;
    start->workdir = app->workdir;
    if (!app->workdir_required) {
        start->workdir_else[0] = h->config->plans[app->plan].home;
        start->workdir_else[1] = "/";
    }
    pid = rank_start(start, reterr);
    if (pid < 0)
        return -1;
    if (remember(h, (struct child){id, pid, start->group == 0, -1}) < 0) {
        kill(pid, SIGKILL);
        return ct_fail_nomem(reterr);
    }
    tell(h, ZYGOTE_STARTED, id, (unsigned)pid);
    return 0;
}

static void spread_fds(uint32_t mask, const int *fds, int *ret)
{
    for (unsigned i = 0; i < RANK_FDS; i++)
        ret[i] = (mask & (1U << i)) != 0 ? *fds++ : -1;
}

static void handle_rank(struct host *h, struct unpack *u, const int *fds)
{
    unsigned id = unpack_u32(u);
    const struct app *app = find_app(h, unpack_u32(u));
    struct rank_start start = {.null = h->null};
    struct ct_error err;

    start.group = (pid_t)unpack_u32(u);
    spread_fds(unpack_u32(u), fds, start.fds);
    start.cpus_size = unpack_u32(u);
    if (start.cpus_size > 0)
        start.cpus = unpack_bytes(u, start.cpus_size);
    CT_AUTO_FREE const char **own = unpack_list(u);
    if (u->failed || own == NULL || app == NULL || app->path == NULL)
        ct_fail(&err, EPROTO, "a request that makes no sense");
    else if (start_rank(h, app, id, &start, own, &err) == 0)
        return;
    tell_error(h, ZYGOTE_START_FAILED, id, &err);
}

static void signal_child(const struct child *child, int number)
{
    if (child->pid <= 0)
        return;
    if (child->pidfd >= 0)
        kernel_pidfd_signal(child->pidfd, number);
    else if (child->own_group)
        kill(-child->pid, number);
    else
        kill(child->pid, number);
}

static bool runs(const struct child *child)
{
    struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};

    return child->pid > 0 && (child->pidfd < 0 || poll(&ended, 1, 0) == 0);
}

static size_t list_adopted(const struct host *h, pid_t *pids, size_t room)
{
    size_t count = 0;

    for (size_t i = 0; i < h->child_count && count < room; i++)
        if (h->children[i].pidfd >= 0 && runs(&h->children[i]))
            pids[count++] = h->children[i].pid;
    return count;
}

/* What has /dev/shm mapped must be seen while it lives. */
static void look_at_shm(struct host *h)
{
    enum { ROOM = 4096 };
    pid_t pids[ROOM];

    if (!h->abnormal) {
        size_t count = list_adopted(h, pids, ROOM);
        count += sweep_list(pids + count, ROOM - count, 0);
        shm_look(&h->shm, pids, count);
    }
    h->abnormal = true;
}

static void handle_signal(struct host *h, struct unpack *u, const int *fds)
{
    unsigned id = unpack_u32(u);
    int number = (int)unpack_u32(u);

    (void)fds;
    if (number == SIGTERM || number == SIGKILL)
        look_at_shm(h);
    for (size_t i = 0; i < h->child_count; i++)
        if (id == ZYGOTE_ALL_RANKS || h->children[i].id == id)
            signal_child(&h->children[i], number);
}

/* ---- ranks that another launcher has started ---- */

static int send_lent(struct host *h, const struct pack *p, const int *fds,
                     size_t count, struct ct_error *reterr)
{
    ssize_t room = packet_make_room(h->control, reterr);
    ssize_t sent;

    if (room < 0)
        return -1;
    if (p->failed)
        return ct_fail_nomem(reterr);
    if (p->len > (size_t)room)
        return ct_fail(reterr, E2BIG, "too many variables");
    do {
        sent = packet_send(h->control, p->bytes, p->len, fds, count, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? ct_fail_errno(reterr, "cannot lend a container") : 0;
}

static void lend(struct host *h, const struct app *app)
{
    struct ct_error err;
    struct place *place = &h->places[app->plan];
    const int fds[] = {h->user_ns, place->template.mntns};
    const char *home = h->config->plans[app->plan].home;
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_LENT);
    pack_u32(&p, app->number);
    pack_u32(&p, contained(h, app->plan));
    pack_str(&p, app->path);
    pack_str(&p, app->workdir);
    pack_u32(&p, app->workdir_required);
    pack_str(&p, home);
    pack_list(&p, strv_list(&place->scratch));
    pack_list(&p, strv_list(&place->env));
    if (send_lent(h, &p, fds, contained(h, app->plan) ? ZYGOTE_LENT_FDS : 0,
                  &err) < 0)
        tell_error(h, ZYGOTE_PREPARE_FAILED, app->number, &err);
    free(p.bytes);
}

static void handle_lend(struct host *h, struct unpack *u, const int *fds)
{
    const struct app *app = find_app(h, unpack_u32(u));

    (void)fds;
    if (app != NULL && app->path != NULL)
        lend(h, app);
}

static void handle_adopt(struct host *h, struct unpack *u, const int *fds)
{
    struct child child = {.id = unpack_u32(u), .pid = (pid_t)unpack_u32(u)};

    child.pidfd = fds[0] >= 0 ? fcntl(fds[0], F_DUPFD_CLOEXEC, 10) : -1;
    if (child.pidfd >= 0)
        remember(h, child);
}

/* ---- is ctrun alive? ---- */

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void handle_alive(struct host *h, struct unpack *u, const int *fds)
{
    (void)u;
    (void)fds;
    h->heard = now();
}

/*
 * Looked at once a second; who looks less often has been stopped itself, and so
 * perhaps has ctrun.
 */
static bool is_silent(struct host *h, time_t *looked)
{
    time_t time = now();

    if (time - *looked > ZYGOTE_SILENCE / 2 && h->heard != 0)
        h->heard = time;
    *looked = time;
    return h->heard != 0 && time - h->heard > ZYGOTE_SILENCE;
}

/* ---- the loop ---- */

static bool is_fuse(const struct host *h, pid_t pid)
{
    for (size_t i = 0; i < h->config->plan_count; i++)
        if (h->places[i].template.fuse_pid == pid)
            return true;
    return false;
}

static void lost_image(struct host *h)
{
    struct ct_error err;

    ct_fail(&err, EIO,
            "the process that serves the image has ended; the image "
            "cannot be read any more");
    tell_error(h, ZYGOTE_LOST, 0, &err);
}

static void reaped(struct host *h, pid_t pid, int status)
{
    if (is_fuse(h, pid)) {
        lost_image(h);
        return;
    }
    for (size_t i = 0; i < h->child_count; i++) {
        struct child *child = &h->children[i];
        if (child->pid != pid || child->pidfd >= 0)
            continue;
        child->pid = 0;
        /* The look takes time; no answer to this is read before it is done. */
        tell(h, ZYGOTE_EXITED, child->id, (unsigned)status);
        if (status != 0)
            look_at_shm(h);
        return;
    }
}

static void reap(struct host *h)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(h->signals, &info, sizeof info) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        reaped(h, pid, status);
}

static const struct handler {
    uint32_t message;
    void (*handle)(struct host *h, struct unpack *u, const int *fds);
} handlers[] = {
    {ZYGOTE_MSG_PREPARE, handle_prepare}, {ZYGOTE_MSG_RANK, handle_rank},
    {ZYGOTE_MSG_SIGNAL, handle_signal},   {ZYGOTE_MSG_LEND, handle_lend},
    {ZYGOTE_MSG_ADOPT, handle_adopt},     {ZYGOTE_MSG_ALIVE, handle_alive},
};

static void handle(struct host *h, size_t len, const int *fds)
{
    struct unpack u = {.bytes = h->packet, .len = len};
    uint32_t message = unpack_u32(&u);

    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (handlers[i].message == message)
            handlers[i].handle(h, &u, fds);
}

/* One packet. false: ctrun has closed its end. */
static bool receive(struct host *h)
{
    int fds[PACKET_FDS_MAX];
    ssize_t len =
        packet_receive(h->control, h->packet, sizeof h->packet, fds, 0);

    if (len < 0)
        return errno == EINTR || errno == EAGAIN;
    if (len == 0)
        return false;
    handle(h, (size_t)len, fds);
    for (size_t i = 0; i < PACKET_FDS_MAX; i++)
        ct_close(&fds[i]);
    return true;
}

static void serve(struct host *h)
{
    struct pollfd wait[2] = {{.fd = h->control, .events = POLLIN},
                             {.fd = h->signals, .events = POLLIN}};
    time_t looked = now();

    for (;;) {
        if (poll(wait, 2, h->heard != 0 ? 1000 : -1) < 0 && errno != EINTR)
            return;
        if (is_silent(h, &looked)) {
            if (getppid() == h->owner)
                kill(h->owner, SIGKILL); /* it would keep the terminal */
            return;
        }
        if (wait[1].revents != 0)
            reap(h);
        if (wait[0].revents != 0 && !receive(h))
            return;
    }
}

/* Members are nobody's children here, and /dev/shm is theirs until then. */
static void await_members(const struct host *h)
{
    enum { PATIENCE = 5000 }; /* ms, for one that the kernel holds */

    for (size_t i = 0; i < h->child_count; i++) {
        struct pollfd ended = {.fd = h->children[i].pidfd, .events = POLLIN};

        if (ended.fd >= 0)
            poll(&ended, 1, PATIENCE);
    }
}

/*
 * What ranks have left behind may have files to remove, as the daemon that a
 * single Open MPI program starts has.
 */
static void ask_leftovers(const struct host *h)
{
    enum { GRACE = 1000 }; /* ms */
    size_t count = h->config->plan_count;
    CT_AUTO_FREE pid_t *servers = calloc(count + 1, sizeof *servers);

    if (servers == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        servers[i] = h->places[i].template.fuse_pid;
    sweep_ask(servers, count, GRACE);
}

/* ctrun is gone or has done its job: ranks first, their image last. */
static _Noreturn void finish(struct host *h)
{
    unsigned running = 0;

    for (size_t i = 0; i < h->child_count; i++)
        running += runs(&h->children[i]);
    if (running > 0)
        look_at_shm(h);
    if (running > 0 && h->config->orphaned != NULL)
        h->config->orphaned(running);
    for (size_t i = 0; i < h->child_count; i++)
        signal_child(&h->children[i], SIGKILL);
    await_members(h);
    if (running == 0)
        ask_leftovers(h);
    for (size_t i = 0; i < h->config->plan_count; i++)
        sweep(h->places[i].template.fuse_pid);
    if (h->abnormal)
        shm_clean(&h->shm);
    rundir_remove(&h->config->rundir, h->rundir_parent);
    sweep(0);
    _exit(0);
}

/* ---- coming up ---- */

/* Descriptors 0 to 3 are the ranks'; ours begin behind them. */
static int arrange_fds(struct host *h, struct ct_error *reterr)
{
    int control = fcntl(h->control, F_DUPFD_CLOEXEC, 10);

    if (control < 0)
        return ct_fail_errno(reterr, "cannot arrange descriptors");
    close(h->control);
    h->control = control;
    h->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (h->null < 0)
        return ct_fail_errno(reterr, "cannot open /dev/null");
    int null = fcntl(h->null, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup3(null, RANK_PMI_FD, O_CLOEXEC) < 0)
        return ct_fail_errno(reterr, "cannot arrange descriptors");
    h->null = null;
    return 0;
}

/* Whoever started us may ignore SIGCHLD: then there were no exit codes. */
static int watch_children(struct host *h, struct ct_error *reterr)
{
    sigset_t all, child;

    signal(SIGCHLD, SIG_DFL);
    sigfillset(&all);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return ct_fail_errno(reterr, "sigprocmask");
    h->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return h->signals >= 0 ? 0 : ct_fail_errno(reterr, "signalfd");
}

static int come_up(struct host *h, struct ct_error *reterr)
{
    const struct zygote_config *config = h->config;

    if (arrange_fds(h, reterr) < 0 || watch_children(h, reterr) < 0)
        return -1;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || setpgid(0, 0) < 0)
        return ct_fail_errno(reterr, "cannot become a subreaper");
    prctl(PR_SET_NAME, "ctrun-zygote");
    h->inside = INSIDE_HOST;
    h->places = calloc(config->plan_count + 1, sizeof *h->places);
    if (h->places == NULL)
        return ct_fail_nomem(reterr);
    shm_start(&h->shm);
    h->rundir_parent = rundir_open_parent(&config->rundir);
    if (!config->common.container)
        return 0;
    if (namespace_unshare(reterr) < 0)
        return -1;
    h->base_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    h->user_ns = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    return h->base_ns >= 0 && h->user_ns >= 0
               ? 0
               : ct_fail_errno(reterr, "/proc/self/ns");
}

/* "Failed" with no error tells that we are up; ctrun then maps our ids. */
static int gain_ids(struct host *h)
{
    struct ct_error err = {0};
    char byte;

    tell_error(h, ZYGOTE_PREPARE_FAILED, 0, &err);
    if (!h->config->common.container)
        return 0;
    if (recv(h->control, &byte, 1, 0) != 1)
        return -1;
    return namespace_lock_privileges(&err);
}

void zygote_main(const struct zygote_config *config, int control)
{
    struct host *h = calloc(1, sizeof *h);
    struct ct_error err;

    if (h == NULL)
        _exit(1);
    h->config = config;
    h->base_ns = h->user_ns = -1;
    h->control = control;
    h->owner = getppid();
    if (come_up(h, &err) < 0) {
        tell_error(h, ZYGOTE_PREPARE_FAILED, 0, &err);
        _exit(1);
    }
    if (gain_ids(h) < 0)
        _exit(1);
    serve(h);
    finish(h);
}
