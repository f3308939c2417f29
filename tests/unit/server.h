/*
 * A PMI server in a test's own hands. Ranks are socket pairs whose far ends we
 * speak on; all that the server asks of its host is recorded. run() is the
 * host's event loop: it serves until nothing is ready any more, so that a test
 * is a list of what one side says and the other hears.
 */
#ifndef CT_UNIT_SERVER_H
#define CT_UNIT_SERVER_H

#include "ctpmi.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

enum {
    TEST_RANKS_MAX = 64,
    TEST_EVENTS_MAX = 64,
    TEST_TURNS_MAX = 100000, /* a loop that never comes to rest is a bug */
    TEST_TEXT_MAX = 512 * 1024,
};

/* One rank: the server's end of the connection, and ours. */
struct rank {
    struct host *host;
    struct ctpmi_client *client;
    int server_fd;
    int fd;
    int events; /* what the server waits for */
    char *text; /* what was heard last */
};

struct abort_call {
    unsigned rank;
    int code;
    char text[512];
};

struct fault_call {
    unsigned rank;
    enum ctpmi_fault kind;
    char text[512];
};

struct fence_call {
    struct ctpmi_job *job;
    struct ctpmi_fence *fence;
    char name[128];
    unsigned members[16];
    bool whole_job; /* members were NULL */
    size_t count;
    char *data;
    size_t len;
};

struct name_call {
    struct ctpmi_name *name;
    enum ctpmi_name_op op;
    const char *service, *port; /* as long as they live */
};

struct host {
    struct ctpmi *server;
    struct ctpmi_job *job;
    unsigned count; /* ranks ever attached */
    struct rank ranks[TEST_RANKS_MAX];
    unsigned aborts, faults, spawns, fences, names;
    struct abort_call abort[TEST_EVENTS_MAX];
    struct fault_call fault[TEST_EVENTS_MAX];
    struct fence_call fence[TEST_EVENTS_MAX];
    struct name_call name[TEST_EVENTS_MAX];
    struct ctpmi_spawn *spawn; /* the last request */
    int spawn_answer;          /* what the spawn callback returns */
    /* more that a test wants done in a callback */
    void (*on_fault)(struct host *host);
    void (*on_spawn)(struct host *host);
    void (*on_fence)(struct host *host);
    void (*on_name)(struct host *host);
};

/* ---- what the server asks ---- */

static inline void host_watch(void *ctx, struct ctpmi_client *client, int fd,
                              int events)
{
    struct host *host = ctx;

    for (unsigned i = 0; i < host->count; i++)
        if (host->ranks[i].server_fd == fd) {
            host->ranks[i].events = events;
            host->ranks[i].client = client;
            if (events == 0) /* it may be closed, and its number taken */
                host->ranks[i].server_fd = -1;
        }
}

static inline void host_abort(void *ctx, struct ctpmi_client *client, int code,
                              const char *message)
{
    struct host *host = ctx;
    struct abort_call *call = &host->abort[host->aborts++];

    ck_assert_uint_le(host->aborts, TEST_EVENTS_MAX);
    call->rank = ctpmi_client_rank(client);
    call->code = code;
    snprintf(call->text, sizeof call->text, "%s", message);
}

static inline void host_fault(void *ctx, struct ctpmi_client *client,
                              enum ctpmi_fault kind, const char *text)
{
    struct host *host = ctx;
    struct fault_call *call = &host->fault[host->faults++];

    ck_assert_uint_le(host->faults, TEST_EVENTS_MAX);
    call->rank = ctpmi_client_rank(client);
    call->kind = kind;
    snprintf(call->text, sizeof call->text, "%s", text);
    if (host->on_fault != NULL)
        host->on_fault(host);
}

static inline int host_spawn(void *ctx, struct ctpmi_spawn *request)
{
    struct host *host = ctx;

    host->spawns++;
    host->spawn = request;
    if (host->on_spawn != NULL)
        host->on_spawn(host);
    return host->spawn_answer;
}

static inline void host_fence(void *ctx, struct ctpmi_job *job,
                              struct ctpmi_fence *fence, const char *name,
                              const unsigned *members, size_t count,
                              const void *data, size_t len)
{
    struct host *host = ctx;
    struct fence_call *call = &host->fence[host->fences++];

    ck_assert_uint_le(host->fences, TEST_EVENTS_MAX);
    ck_assert_uint_le(count, COUNT(call->members));
    *call = (struct fence_call){
        .job = job, .fence = fence, .count = count, .len = len};
    snprintf(call->name, sizeof call->name, "%s", name);
    call->whole_job = members == NULL;
    for (size_t i = 0; members != NULL && i < count; i++)
        call->members[i] = members[i];
    call->data = malloc(len + 1);
    ck_assert_ptr_nonnull(call->data);
    if (len > 0)
        memcpy(call->data, data, len);
    if (host->on_fence != NULL)
        host->on_fence(host);
}

static inline void host_name(void *ctx, struct ctpmi_name *name,
                             enum ctpmi_name_op op, const char *service,
                             const char *port)
{
    struct host *host = ctx;
    struct name_call *call = &host->name[host->names++];

    ck_assert_uint_le(host->names, TEST_EVENTS_MAX);
    *call = (struct name_call){name, op, service, port};
    if (host->on_name != NULL)
        host->on_name(host);
}

/* Names are the server's own. */
static const struct ctpmi_callbacks host_callbacks = {
    .watch = host_watch,
    .abort = host_abort,
    .fault = host_fault,
    .spawn = host_spawn,
    .fence = host_fence,
};

/* ---- the host's loop ---- */

static inline int host_wait(struct host *host, struct pollfd *fds)
{
    for (unsigned i = 0; i < host->count; i++)
        fds[i] = (struct pollfd){
            .fd = host->ranks[i].events != 0 ? host->ranks[i].server_fd : -1,
            .events = (short)host->ranks[i].events,
        };
    return poll(fds, host->count, 0);
}

static inline void run(struct host *host)
{
    struct pollfd fds[TEST_RANKS_MAX];
    unsigned turns = 0;

    while (host_wait(host, fds) > 0) {
        ck_assert_msg(turns++ < TEST_TURNS_MAX, "the loop never rests");
        for (unsigned i = 0; i < host->count; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0)
                ctpmi_ready(host->ranks[i].client, fds[i].revents);
    }
}

/* ---- jobs and ranks ---- */

/* Attach rank to any job of the host; the new one is the last of its ranks. */
static inline struct rank *attach(struct host *host, struct ctpmi_job *job,
                                  unsigned number, unsigned flags)
{
    struct rank *rank = &host->ranks[host->count++];
    struct ctpmi_error err = {0};
    int pair[2];

    ck_assert_uint_le(host->count, TEST_RANKS_MAX);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                     0);
    *rank = (struct rank){.host = host, .server_fd = pair[0], .fd = pair[1]};
    rank->client = ctpmi_attach(job, number, pair[0], flags, &err);
    ck_assert_msg(rank->client != NULL, "attach: %s", err.text);
    ck_assert_int_eq(rank->events, CTPMI_IN);
    return rank;
}

/* A job of facts, and its ranks on this node attached in order. */
static inline struct ctpmi_job *add_job(struct host *host,
                                        const struct ctpmi_facts *facts,
                                        unsigned flags)
{
    struct ctpmi_error err = {0};
    struct ctpmi_job *job = ctpmi_job_create(host->server, facts, &err);

    ck_assert_msg(job != NULL, "job: %s", err.text);
    for (unsigned r = 0; r < facts->size; r++)
        if (facts->node_of == NULL || facts->node_of[r] == facts->node)
            attach(host, job, r, flags);
    return job;
}

static inline struct host *host_start(const struct ctpmi_callbacks *callbacks,
                                      const struct ctpmi_facts *facts,
                                      unsigned flags)
{
    struct host *host = calloc(1, sizeof *host);

    ck_assert_ptr_nonnull(host);
    host->server = ctpmi_create(callbacks, host);
    ck_assert_ptr_nonnull(host->server);
    host->job = add_job(host, facts, flags);
    return host;
}

/* The usual job: "7.0", all on one node. */
static inline struct host *host_new(unsigned size)
{
    struct ctpmi_facts facts = {.jobid = "7.0", .size = size};

    return host_start(&host_callbacks, &facts, 0);
}

/* The same, and names are kept by the host. */
static inline struct host *host_with_names(unsigned size)
{
    struct ctpmi_callbacks callbacks = host_callbacks;
    struct ctpmi_facts facts = {.jobid = "7.0", .size = size};

    callbacks.name = host_name;
    return host_start(&callbacks, &facts, 0);
}

static inline void hang_up(struct rank *rank)
{
    if (rank->fd >= 0)
        close(rank->fd);
    rank->fd = -1;
    run(rank->host);
}

/* Every request must have been answered. */
static inline void host_free(struct host *host)
{
    ctpmi_destroy(host->server);
    for (unsigned i = 0; i < host->count; i++) {
        if (host->ranks[i].fd >= 0)
            close(host->ranks[i].fd);
        free(host->ranks[i].text);
    }
    for (unsigned i = 0; i < host->fences; i++)
        free(host->fence[i].data);
    free(host);
}

/* ---- talk ---- */

static inline void send_all(struct rank *rank, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(rank->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        ck_assert_msg(n > 0 || errno == EAGAIN, "send: %s", strerror(errno));
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        run(rank->host);
    }
}

static inline void say(struct rank *rank, const char *text)
{
    send_all(rank, text, strlen(text));
}

/* All that has come; "" when there is nothing. Lives until the next call. */
static inline const char *heard(struct rank *rank)
{
    size_t len = 0;
    ssize_t n;

    if (rank->text == NULL)
        rank->text = malloc(TEST_TEXT_MAX);
    ck_assert_ptr_nonnull(rank->text);
    while ((n = recv(rank->fd, rank->text + len, TEST_TEXT_MAX - 1 - len,
                     MSG_DONTWAIT)) > 0) {
        len += (size_t)n;
        run(rank->host);
    }
    rank->text[len] = '\0';
    return rank->text;
}

static inline void expect(struct rank *rank, const char *answer)
{
    ck_assert_str_eq(heard(rank), answer);
}

/* PMI-1: a line each way, without its end. */
static inline void ask(struct rank *rank, const char *question,
                       const char *answer)
{
    char line[4096];

    say(rank, question);
    say(rank, "\n");
    snprintf(line, sizeof line, "%s\n", answer);
    expect(rank, line);
}

/* PMI-2: a message without its head. */
static inline void say2(struct rank *rank, const char *payload)
{
    char head[8];

    snprintf(head, sizeof head, "%6u", (unsigned)strlen(payload));
    say(rank, head);
    say(rank, payload);
}

/* All messages that have come, their heads checked and taken off. */
static inline const char *heard2(struct rank *rank)
{
    const char *from = heard(rank);
    char *to = rank->text;

    while (*from != '\0') {
        char *end;
        size_t len = strtoul(from, &end, 10);

        ck_assert_msg(end == from + 6 && strlen(end) >= len, "'%s'", from);
        memmove(to, end, len);
        to += len;
        from = end + len;
    }
    *to = '\0';
    return rank->text;
}

static inline void expect2(struct rank *rank, const char *answer)
{
    ck_assert_str_eq(heard2(rank), answer);
}

static inline void ask2(struct rank *rank, const char *question,
                        const char *answer)
{
    say2(rank, question);
    expect2(rank, answer);
}

static inline bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* ---- conversations up to where a test begins ---- */

static inline void init1(struct rank *rank)
{
    say(rank, "cmd=init pmi_version=1 pmi_subversion=1\n");
    ck_assert(starts_with(heard(rank), "cmd=response_to_init pmi_version=1 "));
}

static inline void init2(struct rank *rank)
{
    char payload[64];

    ask(rank, "cmd=init pmi_version=2 pmi_subversion=0",
        "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0");
    snprintf(payload, sizeof payload, "cmd=fullinit;pmirank=%u;",
             ctpmi_client_rank(rank->client));
    say2(rank, payload);
    ck_assert(starts_with(heard2(rank), "cmd=fullinit-response;rc=0;"));
}

static inline struct host *host_ready1(unsigned size)
{
    struct host *host = host_new(size);

    for (unsigned i = 0; i < size; i++)
        init1(&host->ranks[i]);
    return host;
}

static inline struct host *host_ready2(unsigned size)
{
    struct host *host = host_new(size);

    for (unsigned i = 0; i < size; i++)
        init2(&host->ranks[i]);
    return host;
}

/* The last name that the host was asked for, and its strings still live. */
static inline struct ctpmi_name *expect_name(struct host *host,
                                             enum ctpmi_name_op op,
                                             const char *service,
                                             const char *port)
{
    const struct name_call *call = &host->name[host->names - 1];

    ck_assert_uint_gt(host->names, 0);
    ck_assert_int_eq(call->op, op);
    ck_assert_str_eq(call->service, service);
    ck_assert_str_eq(call->port, port);
    return call->name;
}

/* One fault, of this rank, that names all these words. */
static inline void expect_fault(struct host *host, unsigned rank,
                                enum ctpmi_fault kind, const char *const *words)
{
    ck_assert_uint_eq(host->faults, 1);
    ck_assert_uint_eq(host->fault[0].rank, rank);
    ck_assert_int_eq(host->fault[0].kind, kind);
    for (; *words != NULL; words++)
        ck_assert_msg(strstr(host->fault[0].text, *words) != NULL,
                      "no '%s' in '%s'", *words, host->fault[0].text);
}

static inline void expect_list(const char *const *list,
                               const char *const *expected)
{
    size_t i = 0;

    for (; expected[i] != NULL; i++)
        ck_assert_str_eq(list[i], expected[i]);
    ck_assert_ptr_null(list[i]);
}

/* What a rank spawns in tests of either wire: "./a b" twice, and "b". */
static inline void expect_two_commands(const struct ctpmi_spawn *spawn)
{
    static const char *const argv_a[] = {"./a b", "two  words ", "k=v;x", "",
                                         NULL};
    static const char *const info_a[] = {"wdir", "/a b", NULL};
    static const char *const argv_b[] = {"b", NULL};
    static const char *const none[] = {NULL};

    ck_assert_uint_eq(spawn->count, 2);
    ck_assert_uint_eq(spawn->commands[0].maxprocs, 2);
    expect_list(spawn->commands[0].argv, argv_a);
    expect_list(spawn->commands[0].info, info_a);
    ck_assert_uint_eq(spawn->commands[1].maxprocs, 1);
    expect_list(spawn->commands[1].argv, argv_b);
    expect_list(spawn->commands[1].info, none);
}

#endif
