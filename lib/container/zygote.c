#include "container/zygote.h"

#include "base/packet.h"
#include "base/scope.h"
#include "container/namespace.h"
#include "container/sweep.h"
#include "container/zygote_wire.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A message the socket had no room for, with descriptors of its own. */
struct waiting {
    struct waiting *next;
    size_t len;
    int fds[RANK_FDS];
    size_t fd_count;
    char bytes[];
};

struct zygote {
    pid_t pid;
    int fd;
    ssize_t room; /* for one packet */
    bool gone;
    struct waiting *first, **last;
    char *packet; /* PACKET_MAX, for receiving */
    char text[400];
};

static void free_waiting(struct waiting *w)
{
    for (size_t i = 0; i < w->fd_count; i++)
        close(w->fds[i]);
    free(w);
}

int zygote_flush(struct zygote *z)
{
    while (z->first != NULL) {
        struct waiting *w = z->first;
        if (packet_send(z->fd, w->bytes, w->len, w->fds, w->fd_count,
                        MSG_DONTWAIT) < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        z->first = w->next;
        if (z->first == NULL)
            z->last = &z->first;
        free_waiting(w);
    }
    return 0;
}

/* The caller's descriptors may be closed before ours are sent. */
static int enqueue(struct zygote *z, const struct pack *p, const int *fds,
                   size_t fd_count, struct ct_error *reterr)
{
    struct waiting *w = malloc(sizeof *w + p->len);

    if (w == NULL)
        return ct_fail_nomem(reterr);
    *w = (struct waiting){.len = p->len};
    memcpy(w->bytes, p->bytes, p->len);
    for (size_t i = 0; i < fd_count; i++) {
        w->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (w->fds[i] < 0) {
            ct_fail_errno(reterr, "dup");
            free_waiting(w);
            return -1;
        }
        w->fd_count++;
    }
    *z->last = w;
    z->last = &w->next;
    return 0;
}

/* Sends and frees what was packed. */
static int deliver(struct zygote *z, struct pack *p, const int *fds,
                   size_t fd_count, struct ct_error *reterr)
{
    int rc = 0;

    if (p->failed)
        rc = ct_fail_nomem(reterr);
    else if (p->len > (size_t)z->room)
        rc = ct_fail(reterr, E2BIG, "too many arguments or variables");
    else if (z->first != NULL || packet_send(z->fd, p->bytes, p->len, fds,
                                             fd_count, MSG_DONTWAIT) < 0)
        /* Gone is told by zygote_next(), not by every request. */
        rc = enqueue(z, p, fds, fd_count, reterr);
    free(p->bytes);
    return rc;
}

int zygote_prepare(struct zygote *z, const struct zygote_app *app,
                   struct ct_error *reterr)
{
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_MSG_PREPARE);
    pack_u32(&p, app->app);
    pack_u32(&p, app->plan);
    pack_str(&p, app->workdir);
    pack_str(&p, app->path);
    pack_list(&p, app->argv);
    return deliver(z, &p, NULL, 0, reterr);
}

int zygote_rank(struct zygote *z, const struct zygote_rank *rank,
                struct ct_error *reterr)
{
    struct pack p = {0};
    int fds[RANK_FDS];
    size_t count = 0;
    uint32_t mask = 0;

    for (unsigned i = 0; i < RANK_FDS; i++) {
        if (rank->fds[i] < 0)
            continue;
        mask |= 1U << i;
        fds[count++] = rank->fds[i];
    }
    pack_u32(&p, ZYGOTE_MSG_RANK);
    pack_u32(&p, rank->id);
    pack_u32(&p, rank->app);
    pack_u32(&p, (uint32_t)rank->group);
    pack_u32(&p, mask);
    pack_u32(&p, rank->cpus != NULL ? (uint32_t)rank->cpus_size : 0);
    if (rank->cpus != NULL)
        pack_bytes(&p, rank->cpus, rank->cpus_size);
    pack_list(&p, rank->env);
    return deliver(z, &p, fds, count, reterr);
}

int zygote_signal(struct zygote *z, unsigned id, int signal,
                  struct ct_error *reterr)
{
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_MSG_SIGNAL);
    pack_u32(&p, id);
    pack_u32(&p, (uint32_t)signal);
    return deliver(z, &p, NULL, 0, reterr);
}

int zygote_lend(struct zygote *z, unsigned app, struct ct_error *reterr)
{
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_MSG_LEND);
    pack_u32(&p, app);
    return deliver(z, &p, NULL, 0, reterr);
}

int zygote_adopt(struct zygote *z, unsigned id, pid_t pid, int pidfd,
                 struct ct_error *reterr)
{
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_MSG_ADOPT);
    pack_u32(&p, id);
    pack_u32(&p, (uint32_t)pid);
    return deliver(z, &p, &pidfd, 1, reterr);
}

int zygote_alive(struct zygote *z, struct ct_error *reterr)
{
    struct pack p = {0};

    pack_u32(&p, ZYGOTE_MSG_ALIVE);
    return deliver(z, &p, NULL, 0, reterr);
}

int zygote_fd(const struct zygote *z)
{
    return z->fd;
}

bool zygote_wants_write(const struct zygote *z)
{
    return z->first != NULL;
}

/* The text outlives the packet, which the next receive overwrites. */
static void keep_text(struct zygote *z, struct unpack *u,
                      struct zygote_event *ev)
{
    const char *text = unpack_str(u);

    z->text[0] = '\0';
    if (text != NULL)
        strncat(z->text, text, sizeof z->text - 1);
    ev->text = z->text;
}

static void decode_event(struct zygote *z, size_t len, const int *fds,
                         struct zygote_event *ev)
{
    struct unpack u = {.bytes = z->packet, .len = len};

    *ev = (struct zygote_event){.kind = unpack_u32(&u)};
    memcpy(ev->fds, fds, sizeof ev->fds);
    ev->id = unpack_u32(&u);
    switch (ev->kind) {
    case ZYGOTE_STARTED:
        ev->pid = (pid_t)unpack_u32(&u);
        break;
    case ZYGOTE_EXITED:
        ev->status = (int)unpack_u32(&u);
        break;
    case ZYGOTE_LENT:
        ev->contained = unpack_u32(&u) != 0;
        ev->details = u;
        break;
    case ZYGOTE_PREPARED:
        ev->details = u;
        break;
    default:
        ev->code = (int)unpack_u32(&u);
        keep_text(z, &u, ev);
    }
}

int zygote_next(struct zygote *z, struct zygote_event *ret)
{
    int fds[PACKET_FDS_MAX];
    ssize_t len =
        packet_receive(z->fd, z->packet, PACKET_MAX, fds, MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (z->gone)
        return 0;
    if (len > 0) {
        decode_event(z, (size_t)len, fds, ret);
        return 1;
    }
    z->gone = true;
    *ret = (struct zygote_event){.kind = ZYGOTE_GONE,
                                 .text = "the process that holds the "
                                         "containers has been killed"};
    return 1;
}

static bool any_container(const struct zygote_config *config)
{
    for (size_t i = 0; i < config->plan_count; i++)
        if (config->plans[i].image_path != NULL)
            return true;
    return false;
}

/* The zygote cannot give itself more than one id, so its parent does. */
static int hand_shake(struct zygote *z, bool container, struct ct_error *reterr)
{
    struct pollfd wait = {.fd = z->fd, .events = POLLIN};
    struct zygote_event ev;

    do {
        while (poll(&wait, 1, -1) < 0 && errno == EINTR)
            ;
    } while (zygote_next(z, &ev) == 0);
    if (ev.kind == ZYGOTE_GONE)
        return ct_fail(reterr, ECHILD, "%s", ev.text);
    if (ev.code != 0)
        return ct_fail(reterr, ev.code, "%s", ev.text);
    if (!container)
        return 0;
    if (namespace_map(z->pid, reterr) < 0)
        return -1;
    if (packet_send(z->fd, "", 1, NULL, 0, MSG_DONTWAIT) != 1)
        return ct_fail_errno(reterr, "cannot speak to the zygote");
    return 0;
}

static int fork_zygote(struct zygote *z, const struct zygote_config *config,
                       struct ct_error *reterr)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return ct_fail_errno(reterr, "socketpair");
    z->fd = pair[0];
    z->pid = fork();
    if (z->pid == 0) {
        close(pair[0]);
        zygote_main(config, pair[1]);
    }
    close(pair[1]);
    return z->pid < 0 ? ct_fail_errno(reterr, "fork") : 0;
}

struct zygote *zygote_start(const struct zygote_config *config,
                            struct ct_error *reterr)
{
    struct zygote_config own = *config;
    struct zygote *z = calloc(1, sizeof *z);

    if (z == NULL || (z->packet = malloc(PACKET_MAX)) == NULL) {
        free(z);
        ct_fail_nomem(reterr);
        return NULL;
    }
    z->fd = -1;
    z->pid = -1;
    z->last = &z->first;
    own.common.container = any_container(config);
    if (fork_zygote(z, &own, reterr) < 0 ||
        (z->room = packet_make_room(z->fd, reterr)) < 0 ||
        hand_shake(z, own.common.container, reterr) < 0) {
        zygote_destroy(z);
        return NULL;
    }
    return z;
}

/* Did it end as it should? Nobody can tell where SIGCHLD is ignored. */
static bool reap(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return status == 0;
}

void zygote_wake(const struct zygote *z)
{
    if (z->pid > 0)
        kill(z->pid, SIGCONT);
}

/*
 * A zygote that lives sees its socket close and cleans up. One that was killed
 * has left us its children, since we are a subreaper too.
 */
void zygote_destroy(struct zygote *z)
{
    if (z == NULL)
        return;
    ct_close(&z->fd);
    zygote_wake(z);
    if (z->pid > 0 && !reap(z->pid))
        sweep(0);
    while (z->first != NULL) {
        struct waiting *w = z->first;
        z->first = w->next;
        free_waiting(w);
    }
    free(z->packet);
    free(z);
}
