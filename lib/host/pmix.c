/*
 * A host that speaks PMIx: Slurm's pmix plugins, PRRTE, mpirun of Open MPI.
 *
 * libpmix is not for a process that has other plans. PMIx_Init() starts threads
 * and opens descriptors, PMIx_Finalize() leaves some of them and global state
 * behind, and a process that has been a client cannot become a server. We must
 * have one thread afterwards, to enter a user namespace, and may become the
 * server of our own guests. So libpmix lives in a child, the helper:
 *
 *      we                          the helper
 *      open    fork ------------>  PMIx_Init, PMIx_Get of facts
 *              <------ answer, nodes
 *      put     ------- request ->  PMIx_Put
 *              <------ answer      ...
 *      close   ------- request ->  PMIx_Fence, PMIx_Finalize
 *              <------ answer      _exit
 *      waitpid
 *
 * It has our environment, credentials and process group: to the host it is us.
 * Requests and answers are one packet each, strictly in turn, so we just wait
 * for the answer. Such a wait may be as long as other ranks take. It ends when
 * the helper does, since its end of the socket closes; and the helper ends with
 * us, killed by the kernel while libpmix has it, or on seeing our end close.
 */
#include "base/pack.h"
#include "base/scope.h"
#include "host/pmi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
    MESSAGE_MAX = 4096,      /* a request or an answer, but for the nodes */
    NODES_PER_PACKET = 4096, /* below any site's limit for one packet */
    HELPER_FD = 3,           /* the helper's end of the socket */
    NR_CLOSE_RANGE = 436,    /* glibc 2.31 does not name it */
};

enum request {
    REQUEST_PUT,   /* key, value */
    REQUEST_FENCE, /* nothing */
    REQUEST_GET,   /* rank, key; answered with the value or NULL */
    REQUEST_CLOSE, /* nothing */
    REQUEST_ABORT, /* exit code */
};

/* ---- the helper: packets ---- */

struct helper {
    int fd;
    struct client *client;
    char packet[MESSAGE_MAX]; /* the last request */
};

static ssize_t receive_packet(int fd, void *buf, size_t size)
{
    ssize_t len;

    do
        len = recv(fd, buf, size, 0);
    while (len < 0 && errno == EINTR);
    return len;
}

static int send_packet(int fd, const void *bytes, size_t len)
{
    ssize_t sent;

    do
        sent = send(fd, bytes, len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* 0 and what is packed, or the error. -1 when nobody is there to take it. */
static int answer(const struct helper *h, const struct pack *result,
                  const struct ct_error *error)
{
    struct pack p = {0};
    int rc = -1;

    pack_u32(&p, (uint32_t)error->code);
    if (error->code != 0)
        pack_str(&p, error->text);
    else
        pack_bytes(&p, result->bytes, result->len);
    if (!p.failed && !result->failed)
        rc = send_packet(h->fd, p.bytes, p.len);
    free(p.bytes);
    return rc;
}

/* ---- the helper: requests ---- */

static int serve_put(struct helper *h, struct unpack *u, struct pack *ret,
                     struct ct_error *reterr)
{
    const char *key = unpack_str(u);
    const char *value = unpack_str(u);

    (void)ret;
    return client_put(h->client, key, value, reterr);
}

static int serve_fence(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    (void)u;
    (void)ret;
    return client_fence(h->client, reterr);
}

static int serve_get(struct helper *h, struct unpack *u, struct pack *ret,
                     struct ct_error *reterr)
{
    struct client_source from = {.rank = (int)unpack_u32(u), .only = true};
    const char *key = unpack_str(u);
    char value[CLIENT_VALUE_SIZE];
    bool found;

    if (client_get_from(h->client, &from, key, value, sizeof value, &found,
                        reterr) < 0)
        return -1;
    pack_str(ret, found ? value : NULL);
    return 0;
}

static int serve_close(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    (void)u;
    (void)ret;
    return client_finalize(h->client, reterr);
}

static int serve_abort(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    (void)ret;
    return client_abort(h->client, (int)unpack_u32(u), reterr);
}

static int (*const services[])(struct helper *h, struct unpack *u,
                               struct pack *ret, struct ct_error *reterr) = {
    [REQUEST_PUT] = serve_put,     [REQUEST_FENCE] = serve_fence,
    [REQUEST_GET] = serve_get,     [REQUEST_CLOSE] = serve_close,
    [REQUEST_ABORT] = serve_abort,
};

/* One request. false: it was the last. */
static bool serve(struct helper *h)
{
    ssize_t len = receive_packet(h->fd, h->packet, sizeof h->packet);
    struct ct_error error = {0};
    struct pack result = {0};
    struct unpack u;
    uint32_t request;
    int rc;

    if (len <= 0) /* our parent has gone */
        return false;
    u = (struct unpack){.bytes = h->packet, .len = (size_t)len};
    request = unpack_u32(&u);
    services[request](h, &u, &result, &error);
    rc = answer(h, &result, &error);
    free(result.bytes);
    return rc == 0 && request != REQUEST_CLOSE && request != REQUEST_ABORT;
}

/* ---- the helper: from the fork to the first answer ---- */

/*
 * Nothing of ours is held open, and stdin and stdout are not the helper's.
 * stderr stays: libpmix explains there what the status does not say.
 */
static int keep_descriptors(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0)
        return -1;
    if (fd != HELPER_FD && dup2(fd, HELPER_FD) < 0)
        return -1;
    syscall(NR_CLOSE_RANGE, HELPER_FD + 1, UINT_MAX, 0);
    return 0;
}

static void pack_facts(struct pack *p, const struct adapter_facts *facts)
{
    pack_str(p, facts->id);
    pack_u32(p, facts->rank);
    pack_u32(p, facts->size);
    pack_u32(p, facts->appnum);
    pack_u32(p, facts->node_of != NULL);
}

static int answer_nodes(const struct helper *h,
                        const struct adapter_facts *facts)
{
    unsigned count;

    for (unsigned rank = 0; rank < facts->size; rank += count) {
        count = facts->size - rank;
        if (count > NODES_PER_PACKET)
            count = NODES_PER_PACKET;
        if (send_packet(h->fd, &facts->node_of[rank],
                        count * sizeof facts->node_of[rank]) < 0)
            return -1;
    }
    return 0;
}

static int answer_facts(const struct helper *h,
                        const struct adapter_facts *facts)
{
    struct ct_error none = {0};
    struct pack p = {0};
    int rc;

    pack_facts(&p, facts);
    rc = answer(h, &p, &none);
    free(p.bytes);
    if (rc == 0 && facts->node_of != NULL)
        rc = answer_nodes(h, facts);
    return rc;
}

/* -1 when there is nothing to serve. */
static int start_helper(struct helper *h)
{
    struct adapter_facts facts = {0};
    struct ct_error error = {0};
    struct pack nothing = {0};
    int rc;

    h->client = client_open_pmix(&error);
    rc = h->client != NULL ? host_pmi_facts(h->client, &facts, &error) : -1;
    if (rc == 0)
        rc = answer_facts(h, &facts);
    else
        answer(h, &nothing, &error);
    free(facts.node_of);
    return rc;
}

/* All signals are blocked here: whoever signals our process group means us. */
static _Noreturn void run_helper(int fd, pid_t parent, char *const *env)
{
    struct helper h = {.fd = HELPER_FD};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
        keep_descriptors(fd) < 0)
        _exit(1);
    environ = (char **)env;
    if (start_helper(&h) == 0)
        while (serve(&h))
            ;
    _exit(0);
}

/* ---- our side ---- */

struct proxy {
    int fd;
    pid_t helper;
    char packet[MESSAGE_MAX]; /* the last answer */
};

/* The helper has no handler of ours for a moment, nor is it ended by a signal
   that is meant for us. */
static int fork_helper(struct proxy *proxy, char *const *env,
                       struct ct_error *reterr)
{
    int pair[2];
    pid_t self = getpid();
    sigset_t all, before;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return ct_fail_errno(reterr, "cannot make a socket pair");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    proxy->helper = fork();
    if (proxy->helper == 0) {
        close(pair[0]);
        run_helper(pair[1], self, env);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    proxy->fd = pair[0];
    return proxy->helper < 0 ? ct_fail_errno(reterr, "cannot fork") : 0;
}

/* The status of the helper that has ended or is about to; 0 when nobody can
   tell, as where SIGCHLD is ignored. */
static int reap(struct proxy *proxy)
{
    int status = 0;

    while (proxy->helper > 0 && waitpid(proxy->helper, &status, 0) < 0)
        if (errno != EINTR)
            break;
    proxy->helper = -1;
    return status;
}

/* proxy may be half-built. A helper that is still in libpmix is killed. */
static void free_proxy(struct proxy *proxy)
{
    ct_close(&proxy->fd);
    if (proxy->helper > 0)
        kill(proxy->helper, SIGKILL);
    reap(proxy);
    free(proxy);
}

static int fail_gone(struct proxy *proxy, struct ct_error *reterr)
{
    int status = reap(proxy);

    if (WIFSIGNALED(status))
        return ct_fail(reterr, EPIPE, "the PMIx client was ended by signal %d",
                       WTERMSIG(status));
    return ct_fail(reterr, EPIPE, "the PMIx client has ended");
}

static ssize_t receive(struct proxy *proxy, void *buf, size_t size,
                       struct ct_error *reterr)
{
    ssize_t len = receive_packet(proxy->fd, buf, size);

    if (len == 0 || (len < 0 && errno == ECONNRESET))
        return fail_gone(proxy, reterr);
    return len < 0 ? ct_fail_errno(reterr, "cannot hear the PMIx client") : len;
}

static int receive_answer(struct proxy *proxy, struct unpack *ret,
                          struct ct_error *reterr)
{
    ssize_t len = receive(proxy, proxy->packet, sizeof proxy->packet, reterr);
    uint32_t code;

    if (len < 0)
        return -1;
    *ret = (struct unpack){.bytes = proxy->packet, .len = (size_t)len};
    code = unpack_u32(ret);
    if (code == 0)
        return 0;
    return ct_fail(reterr, (int)code, "%s", unpack_str(ret));
}

/* Frees what was packed. *ret is good until the next request. Of EPIPE the
   answer tells the reason. */
static int ask(struct proxy *proxy, struct pack *p, struct unpack *ret,
               struct ct_error *reterr)
{
    int rc = 0;

    if (p->failed)
        rc = ct_fail_nomem(reterr);
    else if (p->len > MESSAGE_MAX)
        rc = ct_fail(reterr, E2BIG, "too much for one PMIx key");
    else if (send_packet(proxy->fd, p->bytes, p->len) < 0 && errno != EPIPE)
        rc = ct_fail_errno(reterr, "cannot speak to the PMIx client");
    free(p->bytes);
    return rc < 0 ? -1 : receive_answer(proxy, ret, reterr);
}

static int receive_nodes(struct proxy *proxy, struct adapter_facts *facts,
                         struct ct_error *reterr)
{
    unsigned *nodes = calloc(facts->size, sizeof *nodes);
    ssize_t len;

    if (nodes == NULL)
        return ct_fail_nomem(reterr);
    for (size_t at = 0; at < facts->size; at += (size_t)len / sizeof *nodes) {
        len = receive(proxy, &nodes[at], (facts->size - at) * sizeof *nodes,
                      reterr);
        if (len < 0) {
            free(nodes);
            return -1;
        }
    }
    facts->node_of = nodes;
    return 0;
}

static int receive_facts(struct proxy *proxy, struct adapter_facts *ret,
                         struct ct_error *reterr)
{
    struct adapter_facts facts = {0};
    struct unpack u;

    if (receive_answer(proxy, &u, reterr) < 0)
        return -1;
    snprintf(facts.id, sizeof facts.id, "%s", unpack_str(&u));
    facts.rank = unpack_u32(&u);
    facts.size = unpack_u32(&u);
    facts.appnum = unpack_u32(&u);
    if (unpack_u32(&u) != 0 && receive_nodes(proxy, &facts, reterr) < 0)
        return -1;
    *ret = facts;
    return 0;
}

/* ---- the adapter ---- */

/* Is a variable of that name set, or one with some of the characters behind? */
static bool has_variable(char *const *env, const char *name, const char *behind)
{
    size_t len = strlen(name);

    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 &&
            (*env)[len + strspn(*env + len, behind)] == '=')
            return true;
    return false;
}

/* The address stands in several variables, each for clients as new as its
   number is. */
static int probe(char *const *env, struct ct_error *reterr)
{
    if (!has_variable(env, "PMIX_NAMESPACE", ""))
        return ct_fail(reterr, ENOENT, "PMIX_NAMESPACE is not set");
    if (!has_variable(env, "PMIX_RANK", ""))
        return ct_fail(reterr, ENOENT, "PMIX_RANK is not set");
    if (!has_variable(env, "PMIX_SERVER_URI", "0123456789"))
        return ct_fail(reterr, ENOENT, "PMIX_SERVER_URI is not set");
    return 0;
}

static void *open_proxy(char *const *env, struct adapter_facts *ret,
                        struct ct_error *reterr)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    proxy->fd = -1;
    if (fork_helper(proxy, env, reterr) < 0 ||
        receive_facts(proxy, ret, reterr) < 0) {
        free_proxy(proxy);
        return NULL;
    }
    return proxy;
}

static int put(void *adapter, const char *key, const char *value,
               struct ct_error *reterr)
{
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, REQUEST_PUT);
    pack_str(&p, key);
    pack_str(&p, value);
    return ask(adapter, &p, &u, reterr);
}

static int fence(void *adapter, struct ct_error *reterr)
{
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, REQUEST_FENCE);
    return ask(adapter, &p, &u, reterr);
}

static int get(void *adapter, unsigned rank, const char *key, char *buf,
               size_t size, bool *found, struct ct_error *reterr)
{
    struct pack p = {0};
    struct unpack u;
    const char *value;

    pack_u32(&p, REQUEST_GET);
    pack_u32(&p, rank);
    pack_str(&p, key);
    if (ask(adapter, &p, &u, reterr) < 0)
        return -1;
    value = unpack_str(&u);
    if (value != NULL && strlen(value) >= size)
        return ct_fail(reterr, EMSGSIZE,
                       "the value of %s of rank %u is too long", key, rank);
    if (value != NULL)
        memcpy(buf, value, strlen(value) + 1);
    *found = value != NULL;
    return 0;
}

static int close_proxy(void *adapter, struct ct_error *reterr)
{
    struct proxy *proxy = adapter;
    struct pack p = {0};
    struct unpack u;
    int rc;

    pack_u32(&p, REQUEST_CLOSE);
    rc = ask(proxy, &p, &u, reterr);
    free_proxy(proxy);
    return rc;
}

static void abort_proxy(void *adapter, int exitcode)
{
    struct proxy *proxy = adapter;
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, REQUEST_ABORT);
    pack_u32(&p, (uint32_t)exitcode);
    ask(proxy, &p, &u, NULL);
    free_proxy(proxy);
}

const struct host_adapter host_pmix = {
    .name = "pmix",
    .probe = probe,
    .open = open_proxy,
    .put = put,
    .fence = fence,
    .get = get,
    .close = close_proxy,
    .abort = abort_proxy,
};
