/*
 * The agent's half of ranks that another launcher has started.
 *
 *   job_open()   asks the zygote for what each app's ranks need (LENT)
 *   LENT         after the last one the job is ready, and member_start() sends
 *                RUN to each member
 *   closed       the member has executed its command (the connection is not
 *                inherited), or has died
 *   FAILED       it could do neither, and stays until the user has been told:
 *                agent_refuse()
 *   ended        its pidfd tells so. Nobody but the host knows its exit status,
 *                so it is judged by what it said on its PMI connection alone
 */
#include "agent/member.h"

#include "agent/member_wire.h"
#include "agent/state.h"
#include "base/packet.h"
#include "base/scope.h"
#include "container/kernel.h"
#include "container/zygote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

/* ---- what the zygote lends ---- */

int members_borrow(struct job *job, struct ct_error *reterr)
{
    job->unlent = job->app_count;
    for (unsigned i = 0; i < job->app_count; i++)
        if (zygote_lend(job->agent->zygote, job->apps[i].number, reterr) < 0)
            return -1;
    return 0;
}

/* The bytes are sent on as they are. */
int members_lent(struct job *job, struct app *app,
                 const struct zygote_event *event, struct ct_error *reterr)
{
    const struct unpack *details = &event->details;
    size_t len = details->len - details->at;

    memcpy(app->lent_fds, event->fds, sizeof app->lent_fds);
    app->contained = event->contained;
    if (app->contained && (app->lent_fds[0] < 0 || app->lent_fds[1] < 0))
        return ct_fail(reterr, EMFILE, "no descriptors for a container");
    app->lent = malloc(len);
    if (app->lent == NULL)
        return ct_fail_nomem(reterr);
    memcpy(app->lent, details->bytes + details->at, len);
    app->lent_len = len;
    if (--job->unlent == 0)
        job->ready = true;
    return 0;
}

void app_give_back(struct app *app)
{
    for (size_t i = 0; i < ZYGOTE_LENT_FDS; i++)
        ct_close(&app->lent_fds[i]);
    free(app->lent);
    app->lent = NULL;
}

/* ---- a member's connection and its end ---- */

static void take_failure(struct proc *proc, const char *packet, size_t len)
{
    struct unpack u = {.bytes = packet, .len = len};
    uint32_t message = unpack_u32(&u);
    int code = (int)unpack_u32(&u);
    const char *text = unpack_str(&u);

    if (message == MEMBER_FAILED && !u.failed && text != NULL)
        proc_fail(proc, agent_fault_of(code), 0, "%.300s", text);
    proc->waits = true;
    if (proc->job->agent->refusing || proc->job->agent->config.continues)
        member_refuse(proc->member->fd, 0);
}

/* Either it has become its command, or `ended` follows. */
static void member_talks(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *proc = ctx;
    char packet[1024];
    ssize_t len = recv(fd, packet, sizeof packet, MSG_DONTWAIT);

    (void)what;
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len > 0)
        take_failure(proc, packet, (size_t)len);
    event_del(proc->talk);
}

static void bury(struct proc *proc)
{
    member_talks(proc->member->fd, EV_READ, proc);
    proc_ended(proc, 0);
}

static void member_ended(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *proc = ctx;

    (void)fd;
    (void)what;
    bury(proc);
    agent_settle(proc->job->agent);
}

static bool has_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    return poll(&ended, 1, 0) > 0;
}

bool members_live(const struct agent_world *world)
{
    for (unsigned i = 0; i < world->member_count; i++)
        if (!has_ended(world->members[i].pidfd))
            return true;
    return false;
}

void members_look(struct agent *agent)
{
    for (unsigned i = 0; i < agent->proc_count; i++) {
        struct proc *proc = agent->procs[i];

        if (proc->member != NULL && proc->live && !proc->failed &&
            has_ended(proc->member->pidfd))
            bury(proc);
    }
}

/*
 * Some launchers leave their ranks behind when they are killed (mpirun), since
 * ranks notice that themselves: but ours have taken leave of them.
 */
static void member_orphaned(evutil_socket_t fd, short what, void *ctx)
{
    struct proc *first = ctx;
    const struct job *job = first->job;

    (void)fd;
    (void)what;
    for (unsigned i = 0; i < job->local_count; i++) {
        struct proc *proc = &job->procs[i];

        if (proc->member->parent == first->member->parent && proc->live &&
            !has_ended(proc->member->pidfd)) {
            proc_fail(proc, AGENT_BROKEN, 0, "what has started it is gone");
            return;
        }
    }
}

/* One look-out is enough for all that it has started. */
static int watch_parent(struct proc *proc)
{
    const struct job *job = proc->job;
    pid_t parent = proc->member->parent;

    if (parent <= 1 || (proc > job->procs && proc[-1].member->parent == parent))
        return 0;
    proc->parent = kernel_pidfd_open(parent);
    if (proc->parent < 0)
        return 0; /* gone already, or not to be seen from here */
    proc->orphaned = event_new(job->agent->config.base, proc->parent, EV_READ,
                               member_orphaned, proc);
    if (proc->orphaned == NULL)
        ct_close(&proc->parent);
    return proc->orphaned != NULL ? event_add(proc->orphaned, NULL) : -1;
}

int member_watch(struct proc *proc, struct ct_error *reterr)
{
    struct agent *agent = proc->job->agent;
    const struct agent_member *member = proc->member;

    proc->pid = member->pid;
    proc->live = true;
    agent->live++;
    proc->talk = event_new(agent->config.base, member->fd, EV_READ | EV_PERSIST,
                           member_talks, proc);
    proc->ended = event_new(agent->config.base, member->pidfd, EV_READ,
                            member_ended, proc);
    if (proc->talk == NULL || proc->ended == NULL ||
        event_add(proc->talk, NULL) < 0 || event_add(proc->ended, NULL) < 0 ||
        watch_parent(proc) < 0)
        return ct_fail_nomem(reterr);
    return zygote_adopt(agent->zygote, proc->id, member->pid, member->pidfd,
                        reterr);
}

void member_kill(const struct proc *proc)
{
    if (proc->live)
        kernel_pidfd_signal(proc->member->pidfd, SIGKILL);
}

/* ---- letting it in ---- */

/* One that has died meanwhile is told of by its pidfd. */
static int send_run(const struct proc *proc, const struct pack *p, int pmi,
                    struct ct_error *reterr)
{
    const struct app *app = &proc->job->apps[proc->app];
    int fds[PACKET_FDS_MAX], fd = proc->member->fd;
    size_t count = 0;
    ssize_t room = packet_make_room(fd, reterr);

    if (room < 0)
        return -1;
    if (p->failed)
        return ct_fail_nomem(reterr);
    if (p->len > (size_t)room)
        return ct_fail(reterr, E2BIG, "too many variables");
    if (app->contained) {
        fds[count++] = app->lent_fds[0];
        fds[count++] = app->lent_fds[1];
    }
    if (pmi >= 0)
        fds[count++] = pmi;
    if (packet_send(fd, p->bytes, p->len, fds, count, MSG_DONTWAIT) < 0 &&
        errno != EPIPE && errno != ECONNRESET)
        return ct_fail_errno(reterr, "cannot speak to the rank");
    return 0;
}

int member_start(struct proc *proc, int pmi, struct strv *env,
                 struct ct_error *reterr)
{
    const struct app *app = &proc->job->apps[proc->app];
    bool continues = proc->job->agent->config.continues;
    struct pack p = {0};
    int rc;

    pack_u32(&p, MEMBER_RUN);
    pack_u32(&p, (app->contained ? MEMBER_HAS_CONTAINER : 0) |
                     (pmi >= 0 ? MEMBER_HAS_PMI : 0) |
                     (continues ? MEMBER_CONTINUES : 0));
    pack_list(&p, strv_list(env));
    pack_bytes(&p, app->lent, app->lent_len);
    rc = send_run(proc, &p, pmi, reterr);
    free(p.bytes);
    return rc;
}

void member_refuse(int fd, int exit_code)
{
    struct pack p = {0};

    pack_u32(&p, MEMBER_REFUSED);
    pack_u32(&p, (uint32_t)exit_code);
    if (!p.failed)
        packet_send(fd, p.bytes, p.len, NULL, 0, MSG_DONTWAIT);
    free(p.bytes);
}

static bool waits(const struct agent *agent, unsigned index)
{
    return index >= agent->jobs->started || agent->jobs->procs[index].waits;
}

void agent_refuse(struct agent *agent, int exit_code)
{
    const struct agent_world *world = agent->config.world;

    agent->refusing = true;
    for (unsigned i = 0; world != NULL && i < world->member_count; i++)
        if (waits(agent, i))
            member_refuse(world->members[i].fd, exit_code);
}
