/*
 * From another launcher's task to a rank of its job:
 *
 *   host_open()      who we are, who is where
 *   the card         the lowest rank of each node opens a socket and puts its
 *                    name into the host's exchange; or else what is wrong with
 *                    what the user has asked for
 *   host_exchange()  when it is over every card can be read, and all sockets
 *                    that cards name are open: nobody has to wait for a file.
 *                    What is wrong on many nodes the first of them tells
 *   host_close()     the host has done its part
 *   the agent        is forked by the lowest rank: of a process with one thread
 *                    and no trace of the host's PMI
 *   hello            each rank says who it is, and becomes what it is told
 *
 * The socket is an abstract one with a random name: there is nothing to be left
 * behind and no name that two jobs could share. Whose it is both ends check.
 */
#include "launcher/join.h"

#include "agent/member.h"
#include "base/pack.h"
#include "base/packet.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/task.h"
#include "launcher/exit.h"
#include "launcher/foreign.h"
#include "launcher/job.h"
#include "launcher/node.h"
#include "launcher/say.h"
#include "overlay/address.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

extern char **environ;

enum { CARD_VERSION = 4, NAME_SIZE = 40, JOBID_SIZE = 24, HOST_SIZE = 65 };

/* What the lowest rank of a node lets all know. */
struct card {
    char socket[NAME_SIZE];
    char host[HOST_SIZE];
    struct addresses addresses; /* none where there is one node only */
    /* Rank 0's are the job's. */
    char jobid[JOBID_SIZE];
    uint8_t secret[FRAME_SECRET_SIZE];
    struct ct_error fault; /* why there will be no agent; or no text */
};

struct join {
    const struct options *options;
    char **argv;
    struct host_conn *conn;
    unsigned rank, size;
    unsigned *node_of; /* [size] */
    unsigned node_count;
    unsigned leader;     /* the lowest rank of our node */
    struct card card;    /* of our node */
    struct card *others; /* of the leader: [node_count], all nodes' */
    int listener;        /* of the leader: for the ranks of its node, */
    int overlay[2];      /* and for other agents */
    int agent;           /* our connection to it */
};

static bool leads(const struct join *join)
{
    return join->leader == join->rank;
}

/* ---- cards ---- */

static int make_card(struct card *ret, struct ct_error *reterr)
{
    struct {
        uint64_t name;
        uint32_t job;
    } random;

    if (getrandom(&random, sizeof random, 0) != sizeof random ||
        getrandom(ret->secret, sizeof ret->secret, 0) != sizeof ret->secret)
        return ct_fail_errno(reterr, "getrandom");
    if (gethostname(ret->host, sizeof ret->host - 1) < 0)
        strcpy(ret->host, "localhost");
    snprintf(ret->socket, sizeof ret->socket, "ctrun-%016" PRIx64, random.name);
    /* Open MPI 4 reads it as a number, and some clients that as an int. */
    snprintf(ret->jobid, sizeof ret->jobid, "%" PRIu32 ".0",
             random.job & 0x7fffffff);
    return 0;
}

static int put_card(struct join *join, struct ct_error *reterr)
{
    struct pack p = {0};
    int rc;

    if (leads(join)) {
        pack_u32(&p, CARD_VERSION);
        pack_str(&p, join->card.socket);
        pack_str(&p, join->card.host);
        pack_str(&p, join->card.jobid);
        pack_bytes(&p, join->card.secret, sizeof join->card.secret);
        pack_str(&p, join->card.fault.text);
        address_pack(&p, &join->card.addresses);
    }
    rc = p.failed ? ct_fail_nomem(reterr)
                  : host_exchange(join->conn, p.bytes, p.len, reterr);
    free(p.bytes);
    return rc;
}

static int read_text(struct unpack *u, char *ret, size_t size)
{
    const char *text = unpack_str(u);

    if (text == NULL || strlen(text) >= size)
        return -1;
    strcpy(ret, text);
    return 0;
}

static int read_card(struct unpack *u, struct card *ret)
{
    const void *secret;

    if (unpack_u32(u) != CARD_VERSION ||
        read_text(u, ret->socket, sizeof ret->socket) < 0 ||
        read_text(u, ret->host, sizeof ret->host) < 0 ||
        read_text(u, ret->jobid, sizeof ret->jobid) < 0 ||
        (secret = unpack_bytes(u, sizeof ret->secret)) == NULL)
        return -1;
    memcpy(ret->secret, secret, sizeof ret->secret);
    if (read_text(u, ret->fault.text, sizeof ret->fault.text) < 0)
        return -1;
    return address_unpack(u, &ret->addresses);
}

static int get_card(const struct join *join, unsigned rank, struct card *ret,
                    struct ct_error *reterr)
{
    CT_AUTO_FREE void *blob = NULL;
    struct unpack u = {0};

    if (host_blob(join->conn, rank, &blob, &u.len, reterr) < 0)
        return -1;
    u.bytes = blob;
    if (u.len > 0 && read_card(&u, ret) == 0)
        return 0;
    return ct_fail(reterr, EPROTO,
                   "rank %u has not said how to reach its node's agent: not "
                   "every task is this version of ctrun",
                   rank);
}

/* ---- sockets ---- */

static socklen_t make_address(const char *name, struct sockaddr_un *ret)
{
    size_t len = strlen(name);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path + 1, name, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

static int open_listener(struct join *join, struct ct_error *reterr)
{
    struct sockaddr_un address;
    socklen_t len = make_address(join->card.socket, &address);

    join->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (join->listener < 0 ||
        bind(join->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(join->listener, 4096) < 0)
        return ct_fail_errno(reterr, "a socket for the ranks of this node");
    return 0;
}

static int connect_agent(struct join *join, bool *ret_told,
                         struct ct_error *reterr)
{
    struct sockaddr_un address;
    socklen_t len = make_address(join->card.socket, &address);
    pid_t pid;

    join->agent = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (join->agent < 0 ||
        connect(join->agent, (struct sockaddr *)&address, len) < 0) {
        /* It has ended, with a word why. */
        *ret_told = errno == ECONNREFUSED;
        return ct_fail_errno(reterr, "cannot reach the node's agent");
    }
    return packet_peer(join->agent, &pid, reterr) < 0
               ? ct_fail_in(reterr, "the node's agent")
               : 0;
}

/* ---- the agent ---- */

static _Noreturn void be_agent(const struct join *join, int first)
{
    const char **hosts = calloc(join->node_count, sizeof *hosts);
    struct addresses *peers = calloc(join->node_count, sizeof *peers);
    const struct node_config config = {
        .options = join->options,
        .jobid = join->others[0].jobid,
        .secret = join->others[0].secret,
        .hosts = hosts,
        .peers = peers,
        .overlay = {join->overlay[0], join->overlay[1]},
        .size = join->size,
        .node_of = join->node_of,
        .node = join->node_of[join->rank],
        .node_count = join->node_count,
        .listener = join->listener,
        .first = first,
    };

    for (unsigned node = 0;
         hosts != NULL && peers != NULL && node < join->node_count; node++) {
        hosts[node] = join->others[node].host;
        peers[node] = join->others[node].addresses;
    }
    if (hosts == NULL || peers == NULL)
        _exit(EXIT_CTRUN);
    setsid();
    _exit(fork() == 0 ? node_main(&config) : 0);
}

/*
 * The application must not find a child that it has not started, so the agent
 * is forked twice.
 */
static int start_agent(struct join *join, struct ct_error *reterr)
{
    int pair[2], status;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return ct_fail_errno(reterr, "a socket pair");
    pid = fork();
    if (pid == 0) {
        close(pair[0]);
        be_agent(join, pair[1]);
    }
    close(pair[1]);
    join->agent = pair[0];
    ct_close(&join->listener);
    ct_close(&join->overlay[0]);
    ct_close(&join->overlay[1]);
    if (pid < 0)
        return ct_fail_errno(reterr, "cannot start the node's agent");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

/* ---- the member ---- */

/* What is open of standard output and error; ret_which tells, by bits. */
static size_t list_output(int ret[2], uint32_t *ret_which)
{
    size_t count = 0;

    *ret_which = 0;
    for (int i = 0; i < 2; i++)
        if (fcntl(STDOUT_FILENO + i, F_GETFD) >= 0) {
            *ret_which |= 1U << i;
            ret[count++] = STDOUT_FILENO + i;
        }
    return count;
}

static int send_hello(const struct join *join, struct ct_error *reterr)
{
    int fds[2];
    uint32_t which;
    size_t count = list_output(fds, &which);
    CT_AUTO_FREE char *here = getcwd(NULL, 0);
    const char *cwd = here == NULL && errno == ENOENT ? "/" : here;
    struct pack p = {0};
    ssize_t room = packet_make_room(join->agent, reterr);
    int rc = 0;

    if (room < 0)
        return -1;
    if (cwd == NULL)
        return ct_fail_errno(reterr, "cannot tell the working directory");
    pack_u32(&p, NODE_HELLO);
    pack_u32(&p, join->rank);
    pack_u32(&p, (uint32_t)getppid());
    pack_u32(&p, which);
    pack_str(&p, cwd);
    pack_list(&p, join->argv);
    pack_list(&p, environ);
    if (p.failed)
        rc = ct_fail_nomem(reterr);
    else if (p.len > (size_t)room)
        rc = ct_fail(reterr, E2BIG, "too many arguments or variables");
    else if (packet_send(join->agent, p.bytes, p.len, fds, count, 0) < 0)
        rc = ct_fail_errno(reterr, "cannot speak to the node's agent");
    free(p.bytes);
    return rc;
}

static int become(const struct join *join, bool *ret_told,
                  struct ct_error *reterr)
{
    const struct app_options *app = &join->options->apps[0];
    struct member_end end;

    if (send_hello(join, reterr) < 0) {
        /* It has ended, with a word why. */
        *ret_told = reterr->code == EPIPE || reterr->code == ECONNRESET;
        return -1;
    }
    member_become(join->agent, app->command.items, &end, reterr);
    *ret_told = end.told || !leads(join);
    return *ret_told ? end.exit_code : -1;
}

/* ---- all of it ---- */

static int take_facts(struct join *join, struct ct_error *reterr)
{
    const struct host_job *job = host_job(join->conn);

    join->rank = job->rank;
    join->size = job->size;
    join->node_count = job->node_count;
    join->node_of = calloc(job->size, sizeof *join->node_of);
    if (join->node_of == NULL)
        return ct_fail_nomem(reterr);
    memcpy(join->node_of, job->node_of, job->size * sizeof *join->node_of);
    while (join->node_of[join->leader] != join->node_of[join->rank])
        join->leader++;
    return 0;
}

static int open_sockets(struct join *join, struct ct_error *reterr)
{
    if (open_listener(join, reterr) < 0)
        return -1;
    return join->node_count == 1
               ? 0
               : address_listen(join->options->overlay_if, join->overlay,
                                &join->card.addresses, reterr);
}

/* What is wrong with it need not be found by an agent. */
static int look_ahead(const struct options *options, struct ct_error *reterr)
{
    struct job_spec spec;

    if (foreign_refuse(options, false, reterr) < 0 ||
        job_spec_make(options, &spec, reterr) < 0)
        return -1;
    job_spec_clear(&spec);
    return 0;
}

static int make_ready(struct join *join, struct ct_error *reterr)
{
    struct ct_error fault;

    if (make_card(&join->card, reterr) < 0)
        return -1;
    if (look_ahead(join->options, &fault) < 0 || open_sockets(join, &fault) < 0)
        join->card.fault = fault;
    return 0;
}

/* The lowest ranks of all nodes, in the order of the nodes. */
static int get_cards(struct join *join, struct ct_error *reterr)
{
    unsigned node = 0;

    join->others = calloc(join->node_count, sizeof *join->others);
    if (join->others == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned rank = 0; rank < join->size; rank++)
        if (join->node_of[rank] == node &&
            get_card(join, rank, &join->others[node++], reterr) < 0)
            return -1;
    return 0;
}

/* All that needs the host. */
static int meet(struct join *join, struct ct_error *reterr)
{
    if (leads(join) && make_ready(join, reterr) < 0)
        return -1;
    if (put_card(join, reterr) < 0)
        return -1;
    return leads(join) ? get_cards(join, reterr)
                       : get_card(join, join->leader, &join->card, reterr);
}

/* Said here, because the host may end us for giving up. */
static int give_up(const struct join *join, bool *ret_told,
                   const struct ct_error *err)
{
    say(0, -1, "%s", err->text);
    *ret_told = true;
    host_give_up(join->conn, EXIT_CTRUN);
    return -1;
}

static bool has_fault(const struct card *card)
{
    return card->fault.text[0] != '\0';
}

/* The first node with a fault, or node_count. */
static unsigned find_fault(const struct join *join)
{
    unsigned node = 0;

    while (node < join->node_count && !has_fault(&join->others[node]))
        node++;
    return node;
}

static bool is_everywhere(const struct join *join, const struct ct_error *fault)
{
    for (unsigned node = 0; node < join->node_count; node++)
        if (strcmp(join->others[node].fault.text, fault->text) != 0)
            return false;
    return true;
}

/* All nodes know all faults: the first that has one tells the user. */
static void tell_fault(const struct join *join, unsigned node)
{
    const struct card *card = &join->others[node];

    if (join->node_of[join->rank] != node)
        return;
    if (is_everywhere(join, &card->fault))
        say(0, -1, "%s", card->fault.text);
    else
        say(0, -1, "%s: %s", card->host, card->fault.text);
}

/* Of our node's alone, those who do not lead. */
static bool is_faulty(const struct join *join)
{
    unsigned node;

    if (!leads(join))
        return has_fault(&join->card);
    node = find_fault(join);
    if (node == join->node_count)
        return false;
    tell_fault(join, node);
    return true;
}

static int meet_and_part(struct join *join, bool *ret_told,
                         struct ct_error *reterr)
{
    if (meet(join, reterr) < 0)
        return give_up(join, ret_told, reterr);
    *ret_told = is_faulty(join);
    if (host_close(join->conn, reterr) < 0)
        return -1;
    return *ret_told ? ct_fail(reterr, ECANCELED, "a node has a fault") : 0;
}

static int join_world(struct join *join, bool *ret_told,
                      struct ct_error *reterr)
{
    int rc = meet_and_part(join, ret_told, reterr);

    if (rc == 0)
        rc = leads(join) ? start_agent(join, reterr)
                         : connect_agent(join, ret_told, reterr);
    if (rc == 0)
        rc = become(join, ret_told, reterr);
    return rc;
}

static void tell_refused(const struct options *options,
                         const struct strv *refused)
{
    for (size_t i = 0; i < refused->count; i++)
        say(options->verbosity, is_one_of_many() ? 2 : 1, "host %s",
            refused->items[i]);
}

/* Why the others cannot be found, once. */
static void tell_closed(const struct options *options)
{
    struct host_task task;
    struct ct_error err;

    if (host_task_find(environ, &task) && task.rank == 0 &&
        host_is_closed(environ, &err))
        say(options->verbosity, 0, "%s", err.text);
}

/* Without what was asked for by name each task would be a world of its own. */
static int fail_named(const struct strv *refused, struct ct_error *reterr)
{
    if (refused->count == 0)
        return ct_fail_nomem(reterr);
    return ct_fail(reterr, ENOENT, "--host=%s", refused->items[0]);
}

/* 0 with NULL: there is none, and all ranks are ours. */
static int look_for_host(const struct options *options,
                         const struct host_adapter **ret,
                         struct ct_error *reterr)
{
    struct strv refused = {0};
    int rc = 0;

    *ret = NULL;
    if (options->app_count > 1 || options->apps[0].ranks_given)
        return 0;
    *ret = host_choose(environ, options->host, &refused);
    if (*ret == NULL && options->host != NULL)
        rc = fail_named(&refused, reterr);
    else
        tell_refused(options, &refused);
    if (*ret == NULL && rc == 0)
        tell_closed(options);
    strv_clear(&refused);
    return rc;
}

static int join_host(struct join *join, const struct host_adapter *adapter,
                     bool *ret_joined, bool *ret_told, struct ct_error *reterr)
{
    join->conn = host_open(adapter, environ, reterr);
    if (join->conn == NULL) {
        *ret_told = reterr->code == ENOTSUP && !is_first_of_node();
        return -1;
    }
    if (take_facts(join, reterr) < 0) {
        host_give_up(join->conn, EXIT_CTRUN);
        return -1;
    }
    if (join->size == 1) {
        *ret_joined = false;
        return host_close(join->conn, reterr);
    }
    say(join->options->verbosity, join->rank > 0 ? 2 : 1,
        "rank %u of %u, by %s", join->rank, join->size,
        host_adapter_name(adapter));
    return join_world(join, ret_told, reterr);
}

/*
 * Nobody is asked: a launcher may hold it against tasks that only look. The
 * first task's part is printed as if it were alone.
 */
static int print_join(const struct options *options,
                      const struct host_adapter *adapter, bool *ret_joined,
                      struct ct_error *reterr)
{
    *ret_joined = is_one_of_many();
    if (foreign_refuse(options, false, reterr) < 0)
        return -1;
    if (*ret_joined)
        return 0;
    printf("host    %s: each task would join those that were started with it\n",
           host_adapter_name(adapter));
    return 0;
}

int join_job(const struct options *options, char **argv, bool *ret_joined,
             bool *ret_told, struct ct_error *reterr)
{
    struct join join = {
        .options = options,
        .argv = argv,
        .listener = -1,
        .overlay = {-1, -1},
        .agent = -1,
    };
    const struct host_adapter *adapter = NULL;
    int rc;

    *ret_joined = *ret_told = false;
    if ((options->host == NULL || strcmp(options->host, "local") != 0) &&
        look_for_host(options, &adapter, reterr) < 0) {
        *ret_told = is_one_of_many();
        return -1;
    }
    if (adapter == NULL)
        return 0;
    *ret_joined = true;
    if (options->dry_run) {
        *ret_told = is_one_of_many();
        return print_join(options, adapter, ret_joined, reterr);
    }
    rc = join_host(&join, adapter, ret_joined, ret_told, reterr);
    free(join.node_of);
    free(join.others);
    ct_close(&join.listener);
    ct_close(&join.agent);
    return rc;
}
