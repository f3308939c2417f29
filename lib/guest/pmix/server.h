/*
 * A PMIx server, through libpmix (4.0 or newer), for the ranks of this node.
 *
 * libpmix has a thread of its own, on which it calls for what its host must
 * do. Here that becomes one descriptor to wait on: pmixsrv_dispatch() does what
 * has been asked for, on the caller's thread, and answers when there is an
 * answer. libpmix is one server a process, so there is one struct pmixsrv.
 *
 * It knows no processes: it makes the variables that a rank needs, and tells
 * through callbacks what ranks ask for.
 */
#ifndef CT_GUEST_PMIX_SERVER_H
#define CT_GUEST_PMIX_SERVER_H

#include "base/error.h"
#include "base/strv.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pmixsrv;
struct pmixsrv_job;
struct pmixsrv_fence;    /* waits for other nodes */
struct pmixsrv_modex;    /* what a rank of another node has committed */
struct pmixsrv_question; /* anything else that another node knows */
struct pmixsrv_push;     /* input of ranks, from a tool */

/* One command of a spawn request. */
struct pmixsrv_command {
    unsigned maxprocs;
    char *const *argv; /* argv[0]: what to execute */
    char *const *env;  /* variables for its ranks, or NULL */
    char *const *info; /* NULL-terminated: key, value, key, value, ... with the
                          names of the MPI standard (wdir, host, ...) */
};

/* Lives until pmixsrv_spawn_done(). */
struct pmixsrv_spawn {
    struct pmixsrv_job *job; /* who asks */
    unsigned rank;
    unsigned count;
    struct pmixsrv_command *commands;
};

/* What is known of a rank's process; the strings live as long as its job. */
struct pmixsrv_process {
    const char *host;
    const char *executable;
    pid_t pid; /* 0: not started yet */
    bool runs;
};

struct pmixsrv_callbacks {
    /* The rank asks to end its job. message is one line. */
    void (*abort)(void *ctx, struct pmixsrv_job *job, unsigned rank,
                  int exitcode, const char *message);

    /* Start these as a new job. 0: pmixsrv_spawn_done() follows, now or later;
       -1: no. */
    int (*spawn)(void *ctx, struct pmixsrv_spawn *request);

    /* Send the rank this signal, if it runs. */
    void (*signal)(void *ctx, struct pmixsrv_job *job, unsigned rank,
                   int signal);

    /* Text, of any number of lines, for the user's stderr or stdout. job is
       NULL when libpmix itself says it. */
    void (*log)(void *ctx, struct pmixsrv_job *job, unsigned rank,
                bool is_error, const char *text);

    void (*describe)(void *ctx, const struct pmixsrv_job *job, unsigned rank,
                     struct pmixsrv_process *ret);

    /*
     * All of this node have arrived, and others are on nodes[0..count-1], us
     * among them: exchange data, then pmixsrv_fence_done(). name tells fences
     * of the same nodes apart. All live until this returns.
     */
    void (*fence)(void *ctx, struct pmixsrv_fence *fence, const char *name,
                  const unsigned *nodes, unsigned count, const void *data,
                  size_t len);

    /* What has the rank, of that node, committed? pmixsrv_modex_done(). */
    void (*modex)(void *ctx, struct pmixsrv_modex *modex, const char *nspace,
                  unsigned rank, unsigned node);

    /* Have these bytes, which live until this returns, answered by
       pmixsrv_visit() on that node; then pmixsrv_answered(). */
    void (*ask)(void *ctx, struct pmixsrv_question *question, unsigned node,
                const void *bytes, size_t len);

    /* Have these bytes given to pmixsrv_event() on nodes[0..count-1], of which
       we are none. All live until this returns. */
    void (*event)(void *ctx, const unsigned *nodes, unsigned count,
                  const void *bytes, size_t len);

    /* The rest are for config.forwards. There is room again after
       pmixsrv_output_is_full(). */
    void (*drained)(void *ctx);

    /* Has the rank an input that tools write to? */
    bool (*takes_input)(void *ctx, const struct pmixsrv_job *job,
                        unsigned rank);

    /* Write this to it, and if it is the last close it. The bytes live until
       pmixsrv_fed(), which follows, now or later. */
    void (*feed)(void *ctx, struct pmixsrv_job *job, unsigned rank,
                 const void *bytes, size_t len, bool last,
                 struct pmixsrv_push *push);
};

struct pmixsrv_config {
    /* An existing directory of the user's alone, for libpmix's files. */
    const char *tmpdir;
    /* Do ranks see tmpdir at the same path? Else nothing goes through files. */
    bool tmpdir_is_shared;
    /* Tools of the user may attach. tmpdir has the files with which they find
       the server. */
    bool tools;
    /* Tools may have the input and output of ranks. */
    bool forwards;
    /* Ranks find the host's files under the host's names, so what they register
       for clean-up can be removed. Else only in /dev/shm it is. */
    bool cleans;
    /* Ranks may die while others go on: who aborts some ends just these. */
    bool continues;
    struct pmixsrv_callbacks callbacks;
    void *ctx;
};

/* NULL with the reason. Takes some 20 ms; changes PMIX_* of this process. */
struct pmixsrv *pmixsrv_create(const struct pmixsrv_config *config,
                               struct ct_error *reterr);

/*
 * The end of it, as pmixsrv_stop(), when all ranks have ended: what they have
 * registered for clean-up is removed. There is no second server in a process.
 * NULL is fine.
 */
void pmixsrv_destroy(struct pmixsrv *server);

/*
 * Before ranks are killed: nothing is asked or answered any more. (libpmix 4.2
 * completes a fence twice when several of its ranks go at once, which ends in a
 * crash or a hang of its thread, so that thread is held.) Waits for it for a
 * second at most. What is left of libpmix ends with the process.
 */
void pmixsrv_stop(struct pmixsrv *server);

/* To wait on for reading. */
int pmixsrv_fd(const struct pmixsrv *server);
void pmixsrv_dispatch(struct pmixsrv *server);

/* "4.2.2": of the library that is loaded. */
const char *pmixsrv_version(const struct pmixsrv *server);

struct pmixsrv_pset {
    const char *name; /* no other on this server */
    const unsigned *ranks;
    unsigned count;
};

struct pmixsrv_facts {
    const char *nspace; /* unique on the host; at most 200 bytes */
    const char *host;   /* this node's name */
    unsigned size;
    const unsigned *node_of; /* [size]; NULL: all on this node */
    unsigned node;           /* this node's number */
    unsigned node_count;
    const char *const *hosts; /* [node_count]; NULL: this one's alone */
    unsigned universe_size;
    const unsigned *app_sizes; /* ranks of each app, in their order */
    unsigned app_count;
    const char *const *workdirs; /* of each app; NULL: not known; or NULL */
    /* CPUs of each rank, cpu_set_t of cpus_size bytes; NULL: not bound */
    const void *const *cpus;
    size_t cpus_size;
    const struct pmixsrv_pset *psets;
    unsigned pset_count;
    const char *parent; /* nspace and rank of who has spawned it; NULL */
    unsigned parent_rank;
    void *user;
};

/* On several nodes each server is told of each job, also where none of its
   ranks are. */
struct pmixsrv_job *pmixsrv_job_create(struct pmixsrv *server,
                                       const struct pmixsrv_facts *facts,
                                       struct ct_error *reterr);

/* It will have no ranks: nobody is told of it any longer. */
void pmixsrv_job_drop(struct pmixsrv_job *job);

const char *pmixsrv_job_nspace(const struct pmixsrv_job *job);
void *pmixsrv_job_user(const struct pmixsrv_job *job);

/* A rank of this node is about to start: add the variables that it needs. */
int pmixsrv_prepare(struct pmixsrv_job *job, unsigned rank, struct strv *env,
                    struct ct_error *reterr);

/*
 * What a rank's process has done: finalized means no client is left, lost that
 * its connection has ended without.
 */
enum pmixsrv_state {
    PMIXSRV_SILENT,
    PMIXSRV_ACTIVE,
    PMIXSRV_FINALIZED,
    PMIXSRV_LOST,
};
enum pmixsrv_state pmixsrv_rank_state(const struct pmixsrv_job *job,
                                      unsigned rank);

/* Which node the rank is of, and is that another one than this server's? */
unsigned pmixsrv_rank_node(const struct pmixsrv_job *job, unsigned rank);
bool pmixsrv_rank_elsewhere(const struct pmixsrv_job *job, unsigned rank);

/* The rank, of whichever node, has died and the others go on: those of this
   node are sent an event (PMIX_ERR_PROC_ABORTED). */
void pmixsrv_rank_lost(struct pmixsrv_job *job, unsigned rank);

/* What a rank of another node tells (callbacks.event). -1: it makes no sense.
 */
int pmixsrv_event(struct pmixsrv *server, const void *bytes, size_t len,
                  struct ct_error *reterr);

/* NULL when it is none of ours. */
struct pmixsrv_job *pmixsrv_find_job(struct pmixsrv *server,
                                     const char *nspace);
unsigned pmixsrv_job_size(const struct pmixsrv_job *job);

/* Has the node members of the fence that have not died? */
bool pmixsrv_fence_awaits(const struct pmixsrv_fence *fence, unsigned node);

/* What all nodes that have said anything have said, one after another, this
   one's too; malloc'ed, is taken. */
void pmixsrv_fence_done(struct pmixsrv_fence *fence, void *parts, size_t len);

/* status: PMIXSRV_MODEX_FAILED, or what pmixsrv_modex_serve() told. */
enum { PMIXSRV_MODEX_FAILED = 1 };
void pmixsrv_modex_done(struct pmixsrv_modex *modex, int status,
                        const void *data, size_t len);

/* len 0: there is no answer. */
void pmixsrv_answered(struct pmixsrv_question *question, const void *bytes,
                      size_t len);
/* A question from another node. done() comes here or later, once. */
void pmixsrv_visit(struct pmixsrv *server, const void *bytes, size_t len,
                   void (*done)(void *ctx, const void *bytes, size_t len),
                   void *ctx);

/*
 * What has a rank of this node committed? done() is told, here or later, when
 * it has committed something.
 */
void pmixsrv_modex_serve(struct pmixsrv *server, const char *nspace,
                         unsigned rank,
                         void (*done)(void *ctx, int status, const void *data,
                                      size_t len),
                         void *ctx);

/* What a rank has written: a copy for tools that want it. */
void pmixsrv_output(struct pmixsrv_job *job, unsigned rank, bool is_error,
                    const void *bytes, size_t len);

/* So much is on its way to tools that ranks should wait, until
   callbacks.drained(): for as long as the tool takes some of it. */
bool pmixsrv_output_is_full(const struct pmixsrv *server);

/* Have tools get what is on its way. Waits for a second at most. */
void pmixsrv_output_flush(struct pmixsrv *server);

/* Answer to callbacks.feed(); taken: the rank's input has all of it. */
void pmixsrv_fed(struct pmixsrv_push *push, bool taken);

/* Answer a spawn request; child is NULL when it failed. */
void pmixsrv_spawn_done(struct pmixsrv_spawn *request,
                        const struct pmixsrv_job *child);

#endif
