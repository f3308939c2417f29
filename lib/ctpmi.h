/*
 * libctpmi: a PMI-1 (1.0 to 1.2) and PMI-2 server as a library.
 *
 * A launcher, or any process that starts the ranks of an MPI job, hosts it: it
 * states the facts of a job, hands over one connected stream socket a rank, and
 * calls ctpmi_ready() when its own event loop says that a socket is ready.
 * What the server cannot do itself (start processes, end the job, talk to other
 * nodes) it asks for through callbacks. It never blocks, prints, forks, touches
 * signals or starts a thread. One server and all that belongs to it may be used
 * by one thread at a time. See ctpmi(3) and examples/embed_server.c.
 */
#ifndef CTPMI_H
#define CTPMI_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ctpmi;        /* a server: jobs, and the names they publish */
struct ctpmi_job;    /* one job: a world of ranks with one KVS */
struct ctpmi_client; /* one rank's connection */
struct ctpmi_fence;  /* a fence that waits for other nodes */
struct ctpmi_name;   /* what a rank asks about a published name */

struct ctpmi_error {
    int code;       /* an errno value */
    char text[320]; /* one line */
};

/* What a job is. All is copied. */
struct ctpmi_facts {
    /*
     * Job id and name of the KVS: printable, without blank, ';' and '=', at
     * most 200 bytes. "N.M" with numbers suits every client known (Open MPI 4
     * reads it as a number). Unique on the host while the job runs.
     */
    const char *jobid;
    unsigned size;           /* ranks in the job */
    unsigned universe_size;  /* MPI_UNIVERSE_SIZE; 0 = size */
    const unsigned *node_of; /* [size] node of a rank; NULL = all on `node` */
    unsigned node;           /* this node's number */
    const unsigned *appnum;  /* [size] MPI_APPNUM of each rank; NULL = all 0 */
    /*
     * The request that this job answers, or NULL. Its preput values go into the
     * new KVS, and from there to other nodes with the job's first fence.
     */
    struct ctpmi_spawn *spawn;
    /*
     * The same for a job of several nodes, of which each server is told: id of
     * the job that has asked for it, and NULL-terminated key, value, key,
     * value, ... for the new KVS, which are nobody's news. NULL: none.
     */
    const char *spawner;
    const char *const *preput;
    /*
     * Ranks may die, and the others go on: nobody waits in a fence for one
     * whose connection has ended, or of which ctpmi_rank_lost() has told.
     */
    bool continues;
};

/* One command of a spawn request; strings live until ctpmi_spawn_done(). */
struct ctpmi_command {
    unsigned maxprocs;
    const char *const *argv; /* NULL-terminated, argv[0] = what to execute */
    const char *const *info; /* NULL-terminated: key, value, key, value, ... */
};

struct ctpmi_spawn {
    struct ctpmi_client *by; /* NULL once that client has been detached */
    unsigned count;
    const struct ctpmi_command *commands;
    const char *const *preput; /* NULL-terminated: key, value, ... */
};

enum ctpmi_name_op { CTPMI_PUBLISH, CTPMI_UNPUBLISH, CTPMI_LOOKUP };

enum ctpmi_fault {
    CTPMI_PROTOCOL, /* the rank broke the protocol after it was told so, or asks
                       for what this server or its host cannot do */
    CTPMI_DEPARTED, /* its connection ended without finalize, or while others
                       wait for it; or it waits for one that has ended. They
                       would wait for ever, or in a job that continues do not
                       wait any more */
};

/* Bits for `events`, the values of poll(2)'s. */
enum { CTPMI_IN = 0x001, CTPMI_OUT = 0x004 };

/*
 * What the server asks of its host. All but watch may be NULL. A callback may
 * call any function of this file but ctpmi_destroy() and ctpmi_detach();
 * ctpmi_ready() does nothing there.
 */
struct ctpmi_callbacks {
    /* Wait for these events on fd (0: no longer), then call ctpmi_ready(). */
    void (*watch)(void *ctx, struct ctpmi_client *client, int fd, int events);

    /* The rank asks to end its job; message is one line. NULL: as a fault. */
    void (*abort)(void *ctx, struct ctpmi_client *client, int exitcode,
                  const char *message);

    /*
     * End the job: text, one line, names the command and the reason. Told once
     * a client.
     */
    void (*fault)(void *ctx, struct ctpmi_client *client, enum ctpmi_fault kind,
                  const char *text);

    /*
     * Start these commands as a new job. 0: ctpmi_spawn_done() follows (now or
     * later); -1: no. NULL: spawn is refused.
     */
    int (*spawn)(void *ctx, struct ctpmi_spawn *request);

    /*
     * All members of a fence on this node have arrived and some are elsewhere:
     * exchange data with the other nodes that members[0..count-1] (NULL: all
     * ranks) are on, then ctpmi_fence_done() on each. name tells concurrent
     * fences of the same members apart. name, members and data live until the
     * callback returns. NULL: a fence beyond this node is a fault.
     */
    void (*fence)(void *ctx, struct ctpmi_job *job, struct ctpmi_fence *fence,
                  const char *name, const unsigned *members, size_t count,
                  const void *data, size_t len);

    /*
     * Names that ranks publish are kept by the host, for all of its nodes:
     * ctpmi_name_done() follows, now or later. port is that to be published.
     * Both live until then. NULL: this server keeps them, for its own ranks.
     */
    void (*name)(void *ctx, struct ctpmi_name *name, enum ctpmi_name_op op,
                 const char *service, const char *port);
};

/* NULL when out of memory. ctx is handed to every callback. */
struct ctpmi *ctpmi_create(const struct ctpmi_callbacks *callbacks, void *ctx);

/*
 * Close every connection and forget all but spawn requests and names that wait
 * for their ctpmi_spawn_done() and ctpmi_name_done(). NULL is allowed.
 */
void ctpmi_destroy(struct ctpmi *server);

/* NULL with *err when the facts are not sound. Lives until ctpmi_destroy(). */
struct ctpmi_job *ctpmi_job_create(struct ctpmi *server,
                                   const struct ctpmi_facts *facts,
                                   struct ctpmi_error *err);

enum {
    /*
     * This client understands PMI-1.2 (barrier groups): MPICH 5 or newer. Tell
     * only what is known: a 1.2 answer breaks other clients, 1.1 breaks none.
     */
    CTPMI_CLIENT_PMI12 = 1 << 0,
};

/*
 * Serve rank on fd, a connected stream socket that is the server's from now on.
 * NULL with *err, and fd still the caller's, when the rank is not of this node
 * or is served already. watch is called before this returns.
 */
struct ctpmi_client *ctpmi_attach(struct ctpmi_job *job, unsigned rank, int fd,
                                  unsigned flags, struct ctpmi_error *err);

/*
 * Give the connection up: nothing more is answered, and nothing is said if
 * others wait for the rank. For a rank that has ended, or was killed on
 * purpose. NULL is allowed.
 */
void ctpmi_detach(struct ctpmi_client *client);

/*
 * fd is ready (events as from watch; POLLHUP and POLLERR count as CTPMI_IN).
 * Reads once: the loop must be level-triggered.
 */
void ctpmi_ready(struct ctpmi_client *client, int events);

/*
 * In a job that continues: this rank, of whichever node, has died. Ranks find
 * it in the key PMI_dead_processes ("1,3"), where it may stand already.
 */
void ctpmi_rank_lost(struct ctpmi_job *job, unsigned rank);

/* The variables a rank needs to find its server, "NAME=value" each. */
struct ctpmi_env {
    char items[8][256];
    unsigned count;
};
void ctpmi_environment(const struct ctpmi_job *job, unsigned rank, int fd,
                       struct ctpmi_env *ret);

enum ctpmi_state { CTPMI_SILENT, CTPMI_ACTIVE, CTPMI_FINALIZED };

/* Has the rank spoken PMI, and did it finalize? */
enum ctpmi_state ctpmi_client_state(const struct ctpmi_client *client);
unsigned ctpmi_client_rank(const struct ctpmi_client *client);
struct ctpmi_job *ctpmi_client_job(const struct ctpmi_client *client);

/* "PMI-1.1", "PMI-1.2", "PMI-2", or "none" while it is silent. */
const char *ctpmi_client_protocol(const struct ctpmi_client *client);

/*
 * Answer a spawn request: errcodes[total processes] (NULL: all 0), and child is
 * NULL when it failed. The request is gone afterwards. Every request that the
 * callback took needs this, also when `by` is NULL by now.
 */
void ctpmi_spawn_done(struct ctpmi_spawn *request, struct ctpmi_job *child,
                      const int *errcodes);

/* The other nodes' data, one after another, as their callbacks got it. */
void ctpmi_fence_done(struct ctpmi_fence *fence, const void *data, size_t len);

/* port: what a lookup has found. Every name that was asked for needs this. */
void ctpmi_name_done(struct ctpmi_name *name, bool success, const char *port);

/* For the host's own use: one pointer a job. */
void ctpmi_job_set_user(struct ctpmi_job *job, void *user);
void *ctpmi_job_user(const struct ctpmi_job *job);

#ifdef __cplusplus
}
#endif
#endif
