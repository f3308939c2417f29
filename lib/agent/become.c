/*
 * The member's half: wait, enter, execute.
 */
#include "agent/member.h"
#include "agent/member_wire.h"
#include "base/pack.h"
#include "base/packet.h"
#include "base/scope.h"
#include "container/environ.h"
#include "container/rank.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { EXIT_BROKEN = 125, EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

/* What a RUN packet brings: views into it. */
struct grant {
    bool contained, continues;
    int userns, mntns, pmi;
    const char *path, *workdir, *home;
    bool workdir_required;
    const char **own, **scratch, **env;
};

static int take_grant(struct unpack *u, const int *fds, struct grant *ret)
{
    uint32_t has = unpack_u32(u);

    ret->contained = (has & MEMBER_HAS_CONTAINER) != 0;
    ret->continues = (has & MEMBER_CONTINUES) != 0;
    ret->userns = ret->contained ? *fds++ : -1;
    ret->mntns = ret->contained ? *fds++ : -1;
    ret->pmi = (has & MEMBER_HAS_PMI) != 0 ? *fds : -1;
    if ((ret->contained && (ret->userns < 0 || ret->mntns < 0)) ||
        ((has & MEMBER_HAS_PMI) != 0 && ret->pmi < 0))
        return -1; /* lost on the way: RLIMIT_NOFILE */
    ret->own = unpack_list(u);
    ret->path = unpack_str(u);
    ret->workdir = unpack_str(u);
    ret->workdir_required = unpack_u32(u) != 0;
    ret->home = unpack_str(u);
    ret->scratch = unpack_list(u);
    ret->env = unpack_list(u);
    return u->failed || ret->own == NULL || ret->scratch == NULL ||
                   ret->env == NULL || ret->path == NULL
               ? -1
               : 0;
}

static int become(const struct grant *grant, char *const *argv,
                  struct ct_error *reterr)
{
    const struct rank_common common = {.container = grant->contained};
    CT_AUTO_FREE const char **env =
        environ_join((char *const *)grant->env, grant->own);
    struct rank_start start = {
        .common = &common,
        .path = grant->path,
        .argv = argv,
        .env = (char *const *)env,
        .workdir = grant->workdir,
        .scratch = (char *const *)grant->scratch,
        .fds = {0, 1, 2, grant->pmi},
    };

    if (env == NULL)
        return ct_fail_nomem(reterr);
    if (grant->continues)
        signal(SIGPIPE, SIG_IGN);
    if (!grant->workdir_required) {
        start.workdir_else[0] = grant->home;
        start.workdir_else[1] = "/";
    }
    return rank_become(&start, grant->userns, grant->mntns, reterr);
}

static int run(struct unpack *u, const int *fds, char *const *argv,
               struct ct_error *reterr)
{
    struct grant grant = {0};
    int rc;

    if (take_grant(u, fds, &grant) < 0)
        rc = ct_fail(reterr, EPROTO, "the agent's answer makes no sense");
    else
        rc = become(&grant, argv, reterr);
    free(grant.own);
    free(grant.scratch);
    free(grant.env);
    return rc;
}

/*
 * The agent says it to the user, once for all that fail alike. With the last of
 * its ranks the host may end it: they stay until it has said so.
 */
static void report(int fd, const struct ct_error *err, struct member_end *end)
{
    struct pack p = {0};

    pack_u32(&p, MEMBER_FAILED);
    pack_u32(&p, (uint32_t)err->code);
    pack_str(&p, err->text);
    end->told = !p.failed && packet_send(fd, p.bytes, p.len, NULL, 0, 0) >= 0;
    end->exit_code = err->code == ENOENT   ? EXIT_NOT_FOUND
                     : err->code == EACCES ? EXIT_NOT_RUNNABLE
                                           : EXIT_BROKEN;
    free(p.bytes);
}

/*
 * An agent that ends with something of ours unread resets the connection, and
 * Linux tells of that once, before what the agent has said.
 */
static ssize_t listen_to(int fd, char *packet, int *fds)
{
    bool reset = false;
    ssize_t len;

    for (;;) {
        len = packet_receive(fd, packet, PACKET_MAX, fds, 0);
        if (len >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
            return len;
        reset = reset || errno == ECONNRESET;
    }
}

/* The agent's SIGTERM for all must not hide how we end. */
static void block_sigterm(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int obey(int fd, char *packet, size_t len, char *const *argv, int *fds,
                struct member_end *end, struct ct_error *reterr)
{
    struct unpack u = {.bytes = packet, .len = len};
    uint32_t message = unpack_u32(&u);

    if (message == MEMBER_REFUSED) {
        int code = (int)unpack_u32(&u);

        end->exit_code = u.failed || code == 0 ? EXIT_BROKEN : code;
        end->told = true;
        return ct_fail(reterr, ECANCELED, "the node's agent has refused");
    }
    if (message == MEMBER_RUN)
        run(&u, fds, argv, reterr);
    else
        ct_fail(reterr, EPROTO, "the agent's answer makes no sense");
    block_sigterm();
    report(fd, reterr, end);
    if (end->told)
        listen_to(fd, packet, fds);
    return -1;
}

int member_become(int fd, char *const *argv, struct member_end *ret,
                  struct ct_error *reterr)
{
    CT_AUTO_FREE char *packet = malloc(PACKET_MAX);
    int fds[PACKET_FDS_MAX];
    ssize_t len;

    *ret = (struct member_end){.exit_code = EXIT_BROKEN};
    if (packet == NULL)
        return ct_fail_nomem(reterr);
    len = listen_to(fd, packet, fds);
    if (len <= 0)
        return ct_fail(reterr, EPIPE, "the node's agent has gone");
    return obey(fd, packet, (size_t)len, argv, fds, ret, reterr);
}
