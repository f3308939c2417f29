/*
 * PMI's functions have no handle: what they work on is in here. It lasts from
 * the first init to the end of the process, since after a finalize the server
 * may be asked to begin anew over the same socket.
 *
 * One thread at a time talks to the server; the lock is not held meanwhile, for
 * an answer may take as long as the slowest rank, and neither a fork nor the
 * end of the job can wait for that.
 *
 * Threads that wait in barriers of PMI-1.2 do not hold up others, nor each
 * other: while ours waits for that of another rank, that one may wait for one
 * of ours to come to another barrier. Of those that wait one watches the
 * socket, and wakes the others when there is something to be read. A thread
 * that talks may read their answers, too; it rings the watcher's bell when it
 * is done.
 *
 * A fork has the socket, too, and may go on in its parent's place, as daemons
 * do, unless a thread that it does not have was talking. It has no threads of
 * libpmix either, so PMIx ends with a fork.
 */
#include "client/abi/session.h"

#include "base/scope.h"
#include "base/strv.h"
#include "client/abi/pmi.h"
#include "wire/mapping.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

extern char **environ;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool busy;             /* a thread has it, from enter to leave */
    struct client *client; /* once there was an init */
    bool begun;
    bool prepared; /* for forks */
    bool torn;     /* by a fork in the middle of a talk */
    bool debug;    /* PMI_DEBUG */
    pid_t pid;     /* who has opened the client */
    unsigned rounds;
    unsigned waiting; /* threads in barriers */
    bool watching;    /* one of them watches the socket */
    unsigned turns;   /* how often it has ended to */
    pthread_cond_t turned;
    int bell; /* -1: nobody has waited yet */
} session = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .idle = PTHREAD_COND_INITIALIZER,
    .turned = PTHREAD_COND_INITIALIZER,
    .bell = -1,
};

static void lock(void)
{
    pthread_mutex_lock(&session.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&session.lock);
}

static void take(void)
{
    lock();
    while (session.busy)
        pthread_cond_wait(&session.idle, &session.lock);
    session.busy = true;
    unlock();
}

/* Locked. A bell that cannot be rung has been rung already. */
static void give_back(void)
{
    session.busy = false;
    pthread_cond_signal(&session.idle);
    if (session.watching)
        eventfd_write(session.bell, 1);
}

static void release(void)
{
    lock();
    give_back();
    unlock();
}

static void set_begun(bool begun)
{
    lock();
    session.begun = begun;
    unlock();
}

/* Its other threads are gone, and who waited among them. */
static void after_fork(void)
{
    session.torn = session.torn || session.busy || session.waiting > 0;
    session.busy = session.watching = false;
    session.idle = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    unlock();
}

/* Taken. Its threads are our parent's, or what was under way is. */
static bool is_lost(void)
{
    if (session.torn)
        return true;
    return session.client != NULL &&
           strcmp(client_name(session.client), "PMIx") == 0 &&
           session.pid != getpid(); /* which is a call of the kernel */
}

/* By the environment: lines are printed before the server has said a rank. */
static void print(const char *line)
{
    const char *rank = env_get(environ, "PMI_RANK");

    if (rank == NULL)
        rank = env_get(environ, "PMIX_RANK");
    if (rank == NULL)
        fprintf(stderr, "ctrun PMI: %s\n", line);
    else
        fprintf(stderr, "ctrun PMI, rank %.20s: %s\n", rank, line);
}

static bool is_debugging(void)
{
    const char *debug = env_get(environ, "PMI_DEBUG");

    if (debug == NULL)
        debug = env_get(environ, "PMI2_DEBUG");
    return debug != NULL && strcmp(debug, "0") != 0;
}

static int open_client(enum choose_first first, struct ct_error *reterr)
{
    if (is_lost())
        return ct_fail(reterr, ENOTCONN,
                       "the parent of this process talks to the server");
    if (session.begun)
        return 0;
    if (session.client != NULL)
        return client_reopen(session.client, reterr);
    session.client =
        choose_client(first, environ, session.debug, print, reterr);
    session.pid = getpid();
    return session.client != NULL ? 0 : -1;
}

int session_begin(enum choose_first first, struct client **ret)
{
    struct ct_error error;

    take();
    if (!session.prepared)
        pthread_atfork(lock, unlock, after_fork);
    session.prepared = true;
    session.debug = is_debugging();
    if (open_client(first, &error) < 0) {
        print(error.text);
        release();
        return PMI_FAIL;
    }
    set_begun(true);
    *ret = session.client;
    return PMI_SUCCESS;
}

int session_end(void)
{
    struct client *client = session_enter();
    struct ct_error error;

    if (client == NULL)
        return PMI_ERR_INIT;
    set_begun(false);
    return session_leave(client_finalize(client, &error), &error);
}

bool session_has_begun(void)
{
    bool begun;

    lock();
    begun = session.begun;
    unlock();
    return begun;
}

struct client *session_enter(void)
{
    take();
    if (session.begun && !is_lost())
        return session.client;
    release();
    return NULL;
}

unsigned session_round(void)
{
    return session.rounds++;
}

static int code_of(int error)
{
    switch (error) {
    case ENOMEM:
        return PMI_ERR_NOMEM;
    case EINVAL:
        return PMI_ERR_INVALID_ARG;
    case ENOSPC:
        return PMI_ERR_INVALID_LENGTH;
    default:
        return PMI_FAIL;
    }
}

int session_leave(int rc, const struct ct_error *error)
{
    bool debug = session.debug;

    release();
    if (rc == 0)
        return PMI_SUCCESS;
    if (debug)
        print(error->text);
    return code_of(error->code);
}

int session_facts(struct client_facts *ret)
{
    bool known;

    lock();
    known = session.begun && !is_lost();
    if (known)
        *ret = *client_facts(session.client);
    unlock();
    return known ? PMI_SUCCESS : PMI_ERR_INIT;
}

/* ---- barriers ---- */

/* Locked, and locked again when there is something in the socket, or may have
   been. */
static void watch(void)
{
    struct pollfd fds[] = {
        {.fd = client_fd(session.client), .events = POLLIN},
        {.fd = session.bell, .events = POLLIN},
    };
    eventfd_t rung;

    session.watching = true;
    unlock();
    poll(fds, 2, -1);
    lock();
    eventfd_read(session.bell, &rung);
    session.watching = false;
    session.turns++;
    pthread_cond_broadcast(&session.turned);
}

/* Taken: let others take it until there may be news. */
static void step_aside(void)
{
    unsigned turn;

    lock();
    give_back();
    turn = session.turns;
    if (!session.watching)
        watch();
    while (turn == session.turns)
        pthread_cond_wait(&session.turned, &session.lock);
    unlock();
    take();
}

static int await(struct client_barrier *barrier, struct ct_error *reterr)
{
    bool over = false;

    while (!over) {
        step_aside();
        if (!session.begun)
            return ct_fail(reterr, ENOTCONN, "PMI_Finalize() has been called");
        if (client_barrier_test(session.client, barrier, &over, reterr) < 0)
            return -1;
    }
    return 0;
}

int session_wait(struct client_barrier *barrier)
{
    struct ct_error error;
    int rc;

    if (session.bell < 0)
        session.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (session.bell < 0) {
        rc = ct_fail_errno(&error, "cannot wait");
    } else {
        session.waiting++;
        rc = await(barrier, &error);
        session.waiting--;
    }
    if (rc < 0)
        client_barrier_forget(session.client, barrier);
    return session_leave(rc, &error);
}

/*
 * Take it, but not at any price: whoever has it for longer than a second waits
 * for an answer, and we can speak in between.
 */
static void take_soon(void)
{
    struct timespec now, end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec++;
    now = end;
    lock();
    while (session.busy && now.tv_sec <= end.tv_sec) {
        pthread_cond_timedwait(&session.idle, &session.lock, &end);
        clock_gettime(CLOCK_REALTIME, &now);
    }
    session.busy = true;
    unlock();
}

void session_abort(int exitcode, const char *text)
{
    if (text != NULL && text[0] != '\0')
        fprintf(stderr, "%s\n", text);
    take_soon();
    if (session.begun && !is_lost())
        client_abort(session.client, exitcode, NULL);
    release();
    exit(exitcode != 0 ? exitcode : 1);
}

/* NULL: the server does not tell, or no memory. */
static unsigned *find_nodes(struct client *client)
{
    unsigned size = client_facts(client)->size;
    CT_AUTO_FREE char *map = malloc(PMI_FRAME_MAX);
    CT_AUTO_FREE unsigned *node_of = calloc(size, sizeof *node_of);
    bool found;

    if (map == NULL || node_of == NULL ||
        client_attr(client, "PMI_process_mapping", map, PMI_FRAME_MAX, &found,
                    NULL) < 0 ||
        !found || mapping_decode(ct_span_str(map), size, node_of, NULL) < 0)
        return NULL;
    return ct_steal_ptr(&node_of);
}

/* NULL: no memory. */
static int *find_clique(struct client *client, size_t *ret_count)
{
    const struct client_facts *facts = client_facts(client);
    CT_AUTO_FREE unsigned *node_of = find_nodes(client);
    int *ranks = calloc(facts->size, sizeof *ranks);
    size_t count = 0;

    if (ranks == NULL)
        return NULL;
    for (unsigned rank = 0; rank < facts->size; rank++)
        if (rank == facts->rank ||
            (node_of != NULL && node_of[rank] == node_of[facts->rank]))
            ranks[count++] = (int)rank;
    *ret_count = count;
    return ranks;
}

int session_clique(int **ret, size_t *ret_count)
{
    struct client *client = session_enter();

    if (client == NULL)
        return PMI_ERR_INIT;
    *ret = find_clique(client, ret_count);
    session_leave(0, NULL);
    return *ret != NULL ? PMI_SUCCESS : PMI_ERR_NOMEM;
}

int session_clique_size(int *ret)
{
    CT_AUTO_FREE int *ranks = NULL;
    size_t count;
    int rc = session_clique(&ranks, &count);

    if (rc == PMI_SUCCESS)
        *ret = (int)count;
    return rc;
}
