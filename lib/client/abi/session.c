/*
 * PMI's functions have no handle: what they work on is in here. It lasts from
 * the first init to the end of the process, since after a finalize the server
 * may be asked to begin anew over the same socket.
 *
 * One thread at a time talks to the server; the lock is not held meanwhile, for
 * an answer may take as long as the slowest rank, and neither a fork nor the
 * end of the job can wait for that.
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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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
} session = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .idle = PTHREAD_COND_INITIALIZER,
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

static void release(void)
{
    lock();
    session.busy = false;
    pthread_cond_signal(&session.idle);
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
    session.torn = session.torn || session.busy;
    session.busy = false;
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

static void print(const char *line)
{
    fprintf(stderr, "ctrun PMI: %s\n", line);
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
