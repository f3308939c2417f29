/*
 * The agent of a node: it joins the containers (zygote) with the ranks' PMI
 * server (libctpmi) and starts, watches, signals and ends ranks. It tells its
 * user what happens and decides nothing about the job's fate.
 *
 * Everything happens in the user's event loop; nothing here waits but
 * agent_create() and agent_destroy(), each for as long as the zygote takes.
 */
#ifndef CT_AGENT_AGENT_H
#define CT_AGENT_AGENT_H

#include "base/error.h"
#include "container/plan.h"
#include "container/rank.h"
#include "host/task.h"
#include "overlay/address.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agent;
struct event_base;
struct pmixsrv_push;

enum agent_pmi {
    AGENT_PMI_AUTO,
    AGENT_PMI_1,
    AGENT_PMI_2,
    AGENT_PMI_X, /* PMIx */
    AGENT_PMI_NONE,
};

/* One program of the job: its ranks follow those of the app before it. */
struct agent_app {
    unsigned plan; /* index into the config's plans */
    unsigned ranks;
    char *const *argv;
};

/* Some ranks of the job under a name (MPI-4, PMIx: process set). */
struct agent_pset {
    char *name;
    unsigned *ranks; /* ascending */
    unsigned count;
};

/* A rank, as callbacks are told of it. */
struct agent_rank {
    unsigned job; /* 0, or the number of a spawned job */
    unsigned rank;
    unsigned size; /* of its job */
    unsigned app;
    pid_t pid; /* 0 until it runs */
};

/* A rank that another launcher has started (member.h). */
struct agent_member {
    unsigned rank;
    unsigned app;
    int fd; /* its connection, on which it waits */
    pid_t pid;
    int pidfd;
    pid_t parent;     /* who has started it, and is missed by nobody else */
    char *const *env; /* variables that it has and others have not; NULL */
};

/* A job of which another launcher has started all ranks. */
struct agent_world {
    const char *jobid; /* "N.M"; the same on all nodes */
    unsigned size;
    unsigned node; /* ours */
    unsigned node_count;
    const unsigned *node_of;            /* [size] */
    const char *const *hosts;           /* [node_count] names of the nodes */
    const struct addresses *peers;      /* [node_count] where agents listen */
    int listeners[2];                   /* ours; the agent's from now on */
    const uint8_t *secret;              /* [FRAME_SECRET_SIZE] */
    const struct agent_member *members; /* this node's, by rank */
    unsigned member_count;
};

struct agent_stdio {
    int fds[3];  /* -1: /dev/null. The agent closes those above 2 */
    pid_t group; /* process group to join; 0: one of its own */
};

enum agent_fault {
    AGENT_EXITED,       /* a rank ended with exit code `code`, which is not 0 */
    AGENT_KILLED,       /* a rank was ended by signal `code` */
    AGENT_ABORTED,      /* a rank asked PMI to end the job with `code` */
    AGENT_EXITING,      /* likewise, and is about to exit with it */
    AGENT_VANISHED,     /* a rank of another launcher ended without having
                           finalized: how, only that one knows */
    AGENT_ALONE,        /* one of several tasks that would all be alone */
    AGENT_NOT_FOUND,    /* a command is not in its image */
    AGENT_NOT_RUNNABLE, /* or cannot be executed */
    AGENT_BROKEN,       /* the rest: container, protocol, a silent rank, ... */
};

struct agent_failure {
    enum agent_fault fault;
    int code;
    bool elsewhere; /* on another node, whose agent says it to the user */
    char text[560]; /* one line: which rank, where, what, why */
};

struct agent_callbacks {
    /* Where a rank that is about to start reads and writes. */
    int (*stdio)(void *ctx, const struct agent_rank *rank,
                 struct agent_stdio *ret, struct ct_error *reterr);

    /* Something went wrong; ranks may go on. Told for each rank once at most,
       and of other nodes once, or also of a lower one when we have told ours.
     */
    void (*failed)(void *ctx, const struct agent_failure *failure);

    /* What a rank says beside its own output; any number of lines. */
    void (*log)(void *ctx, const struct agent_rank *rank, bool is_error,
                const char *text);

    /*
     * The next three let PMIx tools have the input and output of ranks, where
     * that passes through the caller; else they are NULL. There is room for
     * output again after agent_output_is_full().
     */
    void (*drained)(void *ctx);

    /* Has the rank an input that tools write to? */
    bool (*takes_input)(void *ctx, const struct agent_rank *rank);

    /* Write this to it, and if it is the last close it. The bytes live until
       done(push, all of it is written), now or later. */
    void (*feed)(void *ctx, const struct agent_rank *rank, const void *bytes,
                 size_t len, bool last,
                 void (*done)(struct pmixsrv_push *push, bool taken),
                 struct pmixsrv_push *push);

    /* For those who want to know (level 1) or to know all (2), or for all (-1).
     */
    void (*note)(void *ctx, int level, const char *text);

    /* Nothing runs, and nothing is about to. */
    void (*idle)(void *ctx);
};

struct agent_config {
    struct event_base *base;
    const struct plan *plans; /* plans and apps live as long as the agent */
    size_t plan_count;
    const uint64_t *plan_ids; /* [plan_count] the same on all nodes for what was
                                 asked for alike; NULL without other nodes */
    const struct agent_app *apps;
    unsigned app_count;
    const struct agent_pset *psets; /* these, too, live as long */
    unsigned pset_count;
    unsigned universe_size; /* MPI_UNIVERSE_SIZE; at least the ranks' number */
    enum agent_pmi pmi;
    bool tools;        /* PMIx tools of the user may attach to the job */
    bool pmi_required; /* a rank that ends without a word of PMI has failed */
    const struct agent_world
        *world; /* lives as long; NULL: all ranks are ours */
    void (*orphaned)(unsigned ranks); /* as zygote_config has it */
    struct host_task outer; /* of a launcher that started us; size 0: none */
    /* Ranks may go on when one has failed: tell them of it, and let them not
       die (SIGPIPE) of what they write to it. */
    bool continues;
    double kill_grace; /* seconds from SIGTERM to SIGKILL */
    struct rank_common common;
    /* CPUs of each rank of the job, cpu_set_t of cpus_size bytes; or NULL */
    const void *const *cpus;
    size_t cpus_size;
    struct agent_callbacks callbacks;
    void *ctx;
};

/*
 * Fork the zygote. Call it early: the less the caller has by then, the cheaper.
 * NULL with the reason.
 */
struct agent *agent_create(const struct agent_config *config,
                           struct ct_error *reterr);

/* Make the containers, then start the ranks, or let them in; from here on
 * callbacks come. */
int agent_start(struct agent *agent, struct ct_error *reterr);

/* "PID.0": the job's id, and the name of its KVS. */
const char *agent_jobid(const struct agent *agent);

/* Signal every rank that runs. */
void agent_signal(struct agent *agent, int signal);

/* What a rank has written: a copy for tools that want it. */
void agent_output(struct agent *agent, const struct agent_rank *rank,
                  bool is_error, const void *bytes, size_t len);

/* So much is on its way to tools that ranks should be held back, until
   callbacks.drained(). */
bool agent_output_is_full(const struct agent *agent);

/* Let tools get what is on its way. Waits for a second at most. */
void agent_output_flush(struct agent *agent);

/* Has every rank of the job been told to start? */
bool agent_is_complete(const struct agent *agent);

/* Start no more; this signal (SIGTERM) to all, and SIGKILL after the grace. */
void agent_end(struct agent *agent, int signal);

/* Start no more; SIGKILL to all. */
void agent_kill(struct agent *agent);

/*
 * What is said when the last of this node's members has ended the host may drop
 * (Slurm does, 3 of 80 times). true: another node has been asked to say it, by
 * callbacks.note with level -1.
 */
bool agent_say_elsewhere(struct agent *agent, const char *text);

/* Let the agents of other nodes know that the job ends, and of what. */
void agent_tell_end(struct agent *agent, const struct agent_failure *failure);

/*
 * Tell the world's members that wait to end: those that were not let in yet
 * with this code, those that could not execute with their own. These wait until
 * it is called once, so that the host leaves the agent the time to say why.
 */
void agent_refuse(struct agent *agent, int exit_code);

/* End whatever is left. NULL is fine. */
void agent_destroy(struct agent *agent);

#endif
