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
 *
 * A fence that collects data should give it to all nodes, but what mpirun of
 * Open MPI 5.0 collects is not found afterwards. And a get of a key that was
 * not put waits for it, be it for ever, unless told not to ask other nodes. So
 * every rank puts a mark before each fence. A get first gets the mark of that
 * rank, in whatever way it takes, and libpmix brings along all else that the
 * rank has put; then it gets the key, if it is here. That way may lead to the
 * daemon of the rank, which answers only while the rank is there. Hence a last
 * fence in close.
 */
#include "lazy/pmix.h"

#include "base/pack.h"
#include "base/scope.h"
#include "base/strv.h"
#include "host/adapter.h"
#include "wire/mapping.h"

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
    pmix_proc_t me;
    unsigned fences;
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

/* ---- the helper: libpmix ---- */

static int fail_pmix(struct ct_error *reterr, const char *what,
                     pmix_status_t rc)
{
    return ct_fail(reterr, EIO, "%s: %s", what, PMIx_Error_string(rc));
}

static void load_flag(pmix_info_t *info, const char *key)
{
    bool yes = true;

    memset(info, 0, sizeof *info);
    PMIX_INFO_LOAD(info, key, &yes, PMIX_BOOL);
}

/*
 * directive PMIX_OPTIONAL: look into what the server has given us at the start,
 * and into shared memory. PMIX_IMMEDIATE: ask the server, too, which answers
 * with what it has by now. NULL: it asks other nodes, and waits for the key.
 */
static pmix_status_t fetch(const struct helper *h, pmix_rank_t rank,
                           const char *key, const char *directive,
                           pmix_value_t **ret)
{
    pmix_proc_t proc = h->me;
    pmix_value_t *value = NULL;
    pmix_info_t info;
    pmix_status_t rc;

    proc.rank = rank;
    if (directive != NULL) {
        load_flag(&info, directive);
        rc = PMIx_Get(&proc, key, &info, 1, &value);
        PMIX_INFO_DESTRUCT(&info);
    } else {
        rc = PMIx_Get(&proc, key, NULL, 0, &value);
    }
    if (rc == PMIX_SUCCESS && value == NULL)
        return PMIX_ERR_NOT_FOUND;
    if (rc == PMIX_SUCCESS)
        *ret = value;
    return rc;
}

/* A fact that is a number; hosts differ in its type. */
static bool get_number(const struct helper *h, pmix_rank_t rank,
                       const char *key, unsigned *ret)
{
    pmix_value_t *value;
    pmix_status_t rc;
    long long number = -1;

    if (fetch(h, rank, key, PMIX_OPTIONAL, &value) != PMIX_SUCCESS)
        return false;
    PMIX_VALUE_GET_NUMBER(rc, value, number, long long);
    PMIX_VALUE_RELEASE(value);
    if (rc != PMIX_SUCCESS || number < 0 || number > UINT_MAX)
        return false;
    *ret = (unsigned)number;
    return true;
}

/* NULL when it is not text. */
static const char *text_of(const pmix_value_t *value)
{
    return value->type == PMIX_STRING ? value->data.string : NULL;
}

/* A fact that is text, to free(); NULL when the host does not tell. */
static char *get_text(const struct helper *h, pmix_rank_t rank, const char *key)
{
    pmix_value_t *value;
    char *text = NULL;

    if (fetch(h, rank, key, PMIX_OPTIONAL, &value) != PMIX_SUCCESS)
        return NULL;
    if (text_of(value) != NULL)
        text = strdup(text_of(value));
    PMIX_VALUE_RELEASE(value);
    return text;
}

/* ---- the helper: who is where ----
 *
 * Not by PMIX_NODEID: for it libpmix 4.0, 5.0 and 7.0 answer with the number of
 * our own node whatever rank they are asked about, when the host is Slurm.
 */

static bool nodes_by_map(const struct helper *h, unsigned size, unsigned *ret)
{
    char *map CT_AUTO_FREE = get_text(h, PMIX_RANK_WILDCARD, PMIX_ANL_MAP);

    return map != NULL &&
           mapping_decode(ct_span_str(map), size, ret, NULL) == 0;
}

/* Where in the list name is; it is added when it is new. -1: no memory. Ranks
   of a node mostly follow each other, so we begin at the end. */
static long number_of_name(struct strv *names, const char *name)
{
    for (size_t i = names->count; i > 0; i--)
        if (strcmp(names->items[i - 1], name) == 0)
            return (long)i - 1;
    return strv_add(names, name) < 0 ? -1 : (long)names->count - 1;
}

static bool nodes_by_name(const struct helper *h, unsigned size, unsigned *ret)
{
    struct strv names = {0};
    unsigned rank;

    for (rank = 0; rank < size; rank++) {
        char *name CT_AUTO_FREE = get_text(h, rank, PMIX_HOSTNAME);
        long number = name != NULL ? number_of_name(&names, name) : -1;

        if (number < 0)
            break;
        ret[rank] = (unsigned)number;
    }
    strv_clear(&names);
    return rank == size;
}

static bool (*const node_sources[])(const struct helper *h, unsigned size,
                                    unsigned *ret) = {
    nodes_by_map,
    nodes_by_name,
};

static int find_nodes(const struct helper *h, struct adapter_facts *facts,
                      struct ct_error *reterr)
{
    unsigned *nodes = calloc(facts->size, sizeof *nodes);

    if (nodes == NULL)
        return ct_fail_nomem(reterr);
    for (size_t i = 0; i < sizeof node_sources / sizeof node_sources[0]; i++)
        if (node_sources[i](h, facts->size, nodes)) {
            facts->node_of = nodes;
            return 0;
        }
    free(nodes);
    return 0;
}

static int find_facts(const struct helper *h, struct adapter_facts *facts,
                      struct ct_error *reterr)
{
    snprintf(facts->id, sizeof facts->id, "%s", h->me.nspace);
    facts->rank = h->me.rank;
    if (!get_number(h, PMIX_RANK_WILDCARD, PMIX_JOB_SIZE, &facts->size))
        return ct_fail(reterr, ENODATA,
                       "the PMIx host does not tell the size of job %s",
                       facts->id);
    if (facts->size > ADAPTER_SIZE_MAX || facts->rank >= facts->size)
        return ct_fail(reterr, EPROTO,
                       "the PMIx host says that we are rank %u of %u in job %s",
                       facts->rank, facts->size, facts->id);
    if (!get_number(h, h->me.rank, PMIX_APPNUM, &facts->appnum))
        facts->appnum = 0;
    return find_nodes(h, facts, reterr);
}

/* ---- the helper: requests ---- */

static int put_text(const char *key, const char *text, struct ct_error *reterr)
{
    pmix_value_t value;
    pmix_status_t rc;

    memset(&value, 0, sizeof value);
    value.type = PMIX_STRING;
    value.data.string = (char *)text; /* which PMIx_Put() copies */
    rc = PMIx_Put(PMIX_GLOBAL, key, &value);
    if (rc != PMIX_SUCCESS)
        return fail_pmix(reterr, "cannot put data to the PMIx host", rc);
    return 0;
}

static int serve_put(struct helper *h, struct unpack *u, struct pack *ret,
                     struct ct_error *reterr)
{
    const char *key = unpack_str(u);
    const char *value = unpack_str(u);

    (void)h;
    (void)ret;
    return put_text(key, value, reterr);
}

static pmix_status_t commit_and_fence(void)
{
    pmix_info_t info;
    pmix_status_t rc = PMIx_Commit();

    if (rc != PMIX_SUCCESS)
        return rc;
    load_flag(&info, PMIX_COLLECT_DATA);
    rc = PMIx_Fence(NULL, 0, &info, 1); /* NULL: the whole namespace */
    PMIX_INFO_DESTRUCT(&info);
    return rc;
}

static void mark_of(const struct helper *h, char ret[ADAPTER_KEY_SIZE])
{
    snprintf(ret, ADAPTER_KEY_SIZE, "ctrun-fence-%u", h->fences);
}

static int serve_fence(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    char mark[ADAPTER_KEY_SIZE];
    pmix_status_t rc;

    (void)u;
    (void)ret;
    h->fences++;
    mark_of(h, mark);
    if (put_text(mark, "1", reterr) < 0)
        return -1;
    rc = commit_and_fence();
    if (rc != PMIX_SUCCESS)
        return fail_pmix(reterr, "cannot exchange data through the PMIx host",
                         rc);
    return 0;
}

/* Have here what rank had put by the last fence. */
static int await_mark(const struct helper *h, uint32_t rank,
                      struct ct_error *reterr)
{
    char mark[ADAPTER_KEY_SIZE];
    pmix_value_t *value;
    pmix_status_t rc;

    mark_of(h, mark);
    rc = fetch(h, rank, mark, NULL, &value);
    if (rc != PMIX_SUCCESS)
        return fail_pmix(reterr, "the PMIx host has no data of another rank",
                         rc);
    PMIX_VALUE_RELEASE(value);
    return 0;
}

/* Its components have words of their own; ds21 of 4.0 does not translate. */
static bool means_nothing_there(pmix_status_t rc)
{
    return rc == PMIX_ERR_NOT_FOUND || rc == PMIX_ERR_PROC_ENTRY_NOT_FOUND ||
           rc == PMIX_ERR_DATA_VALUE_NOT_FOUND;
}

static int serve_get(struct helper *h, struct unpack *u, struct pack *ret,
                     struct ct_error *reterr)
{
    uint32_t rank = unpack_u32(u);
    const char *key = unpack_str(u);
    pmix_value_t *value = NULL;
    pmix_status_t rc;

    if (await_mark(h, rank, reterr) < 0)
        return -1;
    rc = fetch(h, rank, key, PMIX_IMMEDIATE, &value);
    if (rc != PMIX_SUCCESS && !means_nothing_there(rc))
        return fail_pmix(reterr, "cannot get data from the PMIx host", rc);
    pack_str(ret, value != NULL ? text_of(value) : NULL);
    if (value != NULL)
        PMIX_VALUE_RELEASE(value);
    return 0;
}

/* Nobody goes while another may want something of it. */
static pmix_status_t take_leave(const struct helper *h)
{
    pmix_status_t rc = PMIX_SUCCESS;
    pmix_status_t finalized;

    if (h->fences > 0)
        rc = PMIx_Fence(NULL, 0, NULL, 0);
    finalized = PMIx_Finalize(NULL, 0);
    return rc != PMIX_SUCCESS ? rc : finalized;
}

static int serve_close(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    pmix_status_t rc = take_leave(h);

    (void)u;
    (void)ret;
    if (rc != PMIX_SUCCESS)
        return fail_pmix(reterr, "cannot take leave of the PMIx host", rc);
    return 0;
}

static int serve_abort(struct helper *h, struct unpack *u, struct pack *ret,
                       struct ct_error *reterr)
{
    (void)h;
    (void)ret;
    (void)reterr;
    PMIx_Abort((int)unpack_u32(u), "", NULL, 0); /* NULL: the whole namespace */
    return 0;
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

static int connect_to_host(struct helper *h, struct ct_error *reterr)
{
    pmix_status_t rc;

    if (lazy_pmix_load(reterr) < 0)
        return -1;
    rc = PMIx_Init(&h->me, NULL, 0);
    if (rc != PMIX_SUCCESS)
        return fail_pmix(reterr, "cannot connect to the PMIx host", rc);
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
    int rc = connect_to_host(h, &error);

    if (rc == 0) {
        rc = find_facts(h, &facts, &error);
        if (rc < 0)
            PMIx_Finalize(NULL, 0);
    }
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

struct client {
    int fd;
    pid_t helper;
    char packet[MESSAGE_MAX]; /* the last answer */
};

/* The helper has no handler of ours for a moment, nor is it ended by a signal
   that is meant for us. */
static int fork_helper(struct client *client, char *const *env,
                       struct ct_error *reterr)
{
    int pair[2];
    pid_t self = getpid();
    sigset_t all, before;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return ct_fail_errno(reterr, "cannot make a socket pair");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    client->helper = fork();
    if (client->helper == 0) {
        close(pair[0]);
        run_helper(pair[1], self, env);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(pair[1]);
    client->fd = pair[0];
    return client->helper < 0 ? ct_fail_errno(reterr, "cannot fork") : 0;
}

/* The status of the helper that has ended or is about to; 0 when nobody can
   tell, as where SIGCHLD is ignored. */
static int reap(struct client *client)
{
    int status = 0;

    while (client->helper > 0 && waitpid(client->helper, &status, 0) < 0)
        if (errno != EINTR)
            break;
    client->helper = -1;
    return status;
}

/* client may be half-built. A helper that is still in libpmix is killed. */
static void free_client(struct client *client)
{
    ct_close(&client->fd);
    if (client->helper > 0)
        kill(client->helper, SIGKILL);
    reap(client);
    free(client);
}

static int fail_gone(struct client *client, struct ct_error *reterr)
{
    int status = reap(client);

    if (WIFSIGNALED(status))
        return ct_fail(reterr, EPIPE, "the PMIx client was ended by signal %d",
                       WTERMSIG(status));
    return ct_fail(reterr, EPIPE, "the PMIx client has ended");
}

static ssize_t receive(struct client *client, void *buf, size_t size,
                       struct ct_error *reterr)
{
    ssize_t len = receive_packet(client->fd, buf, size);

    if (len == 0 || (len < 0 && errno == ECONNRESET))
        return fail_gone(client, reterr);
    return len < 0 ? ct_fail_errno(reterr, "cannot hear the PMIx client") : len;
}

static int receive_answer(struct client *client, struct unpack *ret,
                          struct ct_error *reterr)
{
    ssize_t len =
        receive(client, client->packet, sizeof client->packet, reterr);
    uint32_t code;

    if (len < 0)
        return -1;
    *ret = (struct unpack){.bytes = client->packet, .len = (size_t)len};
    code = unpack_u32(ret);
    if (code == 0)
        return 0;
    return ct_fail(reterr, (int)code, "%s", unpack_str(ret));
}

/* Frees what was packed. *ret is good until the next request. Of EPIPE the
   answer tells the reason. */
static int ask(struct client *client, struct pack *p, struct unpack *ret,
               struct ct_error *reterr)
{
    int rc = 0;

    if (p->failed)
        rc = ct_fail_nomem(reterr);
    else if (p->len > MESSAGE_MAX)
        rc = ct_fail(reterr, E2BIG, "too much for one PMIx key");
    else if (send_packet(client->fd, p->bytes, p->len) < 0 && errno != EPIPE)
        rc = ct_fail_errno(reterr, "cannot speak to the PMIx client");
    free(p->bytes);
    return rc < 0 ? -1 : receive_answer(client, ret, reterr);
}

static int receive_nodes(struct client *client, struct adapter_facts *facts,
                         struct ct_error *reterr)
{
    unsigned *nodes = calloc(facts->size, sizeof *nodes);
    ssize_t len;

    if (nodes == NULL)
        return ct_fail_nomem(reterr);
    for (size_t at = 0; at < facts->size; at += (size_t)len / sizeof *nodes) {
        len = receive(client, &nodes[at], (facts->size - at) * sizeof *nodes,
                      reterr);
        if (len < 0) {
            free(nodes);
            return -1;
        }
    }
    facts->node_of = nodes;
    return 0;
}

static int receive_facts(struct client *client, struct adapter_facts *ret,
                         struct ct_error *reterr)
{
    struct adapter_facts facts = {0};
    struct unpack u;

    if (receive_answer(client, &u, reterr) < 0)
        return -1;
    snprintf(facts.id, sizeof facts.id, "%s", unpack_str(&u));
    facts.rank = unpack_u32(&u);
    facts.size = unpack_u32(&u);
    facts.appnum = unpack_u32(&u);
    if (unpack_u32(&u) != 0 && receive_nodes(client, &facts, reterr) < 0)
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

static void *open_client(char *const *env, struct adapter_facts *ret,
                         struct ct_error *reterr)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    client->fd = -1;
    if (fork_helper(client, env, reterr) < 0 ||
        receive_facts(client, ret, reterr) < 0) {
        free_client(client);
        return NULL;
    }
    return client;
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

static int close_client(void *adapter, struct ct_error *reterr)
{
    struct client *client = adapter;
    struct pack p = {0};
    struct unpack u;
    int rc;

    pack_u32(&p, REQUEST_CLOSE);
    rc = ask(client, &p, &u, reterr);
    free_client(client);
    return rc;
}

static void abort_client(void *adapter, int exitcode)
{
    struct client *client = adapter;
    struct pack p = {0};
    struct unpack u;

    pack_u32(&p, REQUEST_ABORT);
    pack_u32(&p, (uint32_t)exitcode);
    ask(client, &p, &u, NULL);
    free_client(client);
}

const struct host_adapter host_pmix = {
    .name = "pmix",
    .probe = probe,
    .open = open_client,
    .put = put,
    .fence = fence,
    .get = get,
    .close = close_client,
    .abort = abort_client,
};
