/*
 * Inside the agent: what agent.c (the zygote's events, ends), job.c (from apps
 * to ranks that run), spawn.c (MPI_Comm_spawn) and pmix.c (ranks that speak
 * PMIx) share.
 */
#ifndef CT_AGENT_STATE_H
#define CT_AGENT_STATE_H

#include "agent/agent.h"
#include "agent/mpi.h"
#include "base/pack.h"
#include "base/strv.h"
#include "container/shm.h"
#include "container/zygote.h"
#include "ctpmi.h"
#include "guest/pmix/server.h"
#include "overlay/overlay.h"

#include <event2/event.h>
#include <stdint.h>

struct job;
struct proc;

/* What all ranks of a job speak: two families make no world. */
enum family { FAMILY_NONE, FAMILY_PMI, FAMILY_PMIX };

struct spawn_command {
    unsigned ranks;
    char *const *argv;
    const char *const *info; /* NULL-terminated: key, value, ... */
    char *const *env;        /* or NULL */
};

/* MPI_Comm_spawn, of either server; strings live until it is answered. */
struct spawn {
    struct proc *by;
    struct ctpmi_spawn *pmi; /* one of these two */
    struct pmixsrv_spawn *pmix;
    unsigned count;
    struct spawn_command commands[];
};

/* One rank; its id for the zygote is its place in agent.procs. */
struct proc {
    struct job *job;
    unsigned rank;
    unsigned app; /* within the job */
    unsigned id;
    pid_t pid;
    bool live;                   /* sent to the zygote, and has not ended */
    bool failed;                 /* the user has been told */
    struct ctpmi_client *client; /* NULL without PMI */
    struct event *pmi;           /* its socket */
    struct event *departed;      /* has closed it, and has not ended yet */
    char *why;                   /* what it did by closing it */
    const struct agent_member *member; /* started by another launcher; NULL */
    struct event *talk, *ended;        /* of a member */
    struct event *orphaned; /* of the first that somebody has started */
    int parent;             /* the pidfd for it */
};

struct app {
    unsigned number; /* the zygote's name for it */
    unsigned plan;
    unsigned ranks;
    const char *name; /* argv[0], the owner's */
    struct mpi_info mpi;
    struct strv env; /* of a spawned one: what its parent hands to it */
    char *lent;      /* what members need, as the zygote has packed it */
    size_t lent_len;
    bool contained;
    int lent_fds[ZYGOTE_LENT_FDS];
    bool prepared;
};

struct job {
    struct agent *agent;
    struct job *next;
    unsigned number; /* 0, or which spawned one */
    char id[32];
    const struct agent_world *world; /* NULL: all ranks are ours */
    unsigned size;
    unsigned local_count; /* ranks on this node */
    struct app *apps;
    unsigned app_count;
    unsigned unprepared, unlent;
    struct spawn *request; /* not answered yet */
    struct strv names;     /* of a spawned job's apps */
    enum family family;
    enum family parents; /* of a spawned job */
    struct ctpmi_job *pmi;
    struct pmixsrv_job *pmix;
    struct proc *procs; /* [local_count], by rank */
    bool *unheard;      /* [nodes] that do not know of this spawned job; NULL */
    unsigned started;   /* ranks handed to the zygote, or let in */
    bool ready;         /* may be started */
};

struct agent {
    struct agent_config config;
    char host[64];
    struct zygote *zygote;
    struct event *zygote_in, *zygote_out;
    struct event *kill_timer;
    struct ctpmi *server;
    struct peers *peers;  /* of a world of several nodes */
    struct pmixsrv *pmix; /* once a job needs it */
    struct event *pmix_in;
    uint64_t pmix_secret; /* part of each nspace */
    struct rundir rundir;
    struct job *jobs, **last_job;
    unsigned job_count, app_count;
    struct proc **procs;
    unsigned proc_count;
    unsigned live;
    bool ending; /* nothing is started any more */
    bool idle;
    bool zygote_gone; /* so cleaning up is ours */
    struct shm shm;
};

/* agent.c */
__attribute__((format(printf, 4, 5))) void agent_fail(struct agent *agent,
                                                      enum agent_fault fault,
                                                      int code, const char *fmt,
                                                      ...);
__attribute__((format(printf, 3, 4))) void agent_note(struct agent *agent,
                                                      int level,
                                                      const char *fmt, ...);
/* The same about a rank: "rank 3 on HOST: ...", once. */
__attribute__((format(printf, 4, 5))) void proc_fail(struct proc *proc,
                                                     enum agent_fault fault,
                                                     int code, const char *fmt,
                                                     ...);
/* Tell the user, if so, that nothing runs. */
void agent_settle(struct agent *agent);
/* Take in what the zygote has told until now. */
void agent_hear(struct agent *agent);
/* What an errno value of starting a command tells. */
enum agent_fault agent_fault_of(int code);
/* A rank has ended, with a status as from waitpid() (0 when not known). */
void proc_ended(struct proc *proc, int status);
/* After a message to the zygote: wait for room when it has none. */
void agent_pump(struct agent *agent);

/* job.c */
struct job *job_add(struct agent *agent, const struct agent_app *apps,
                    unsigned count);
void job_free(struct job *job);
struct app *job_find_app(struct agent *agent, unsigned number,
                         struct job **ret_job);
/* Ask for each app's container. workdirs and paths: [app_count] or NULL. */
int job_prepare(struct job *job, char *const *const *argvs,
                const char *const *workdirs, const char *const *paths,
                struct ct_error *reterr);
/* All apps are prepared: make the world, and let its ranks start. */
int job_open(struct job *job, struct ct_error *reterr);
/* Start the next rank; 0 or -1 with the reason. */
int job_start_next(struct job *job, struct ct_error *reterr);
/* The rank's process on this node, which must be there. */
struct proc *job_proc(const struct job *job, unsigned rank);
struct agent_rank agent_rank_of(const struct proc *proc);
/* Read what a rank has still said before it ended. */
void proc_drain(struct proc *proc);

/* member.c */
/* Ask the zygote for what the job's members need; its answer; the end of it. */
int members_borrow(struct job *job, struct ct_error *reterr);
int members_lent(struct job *job, struct app *app,
                 const struct zygote_event *event, struct ct_error *reterr);
void app_give_back(struct app *app);
/* Watch a member, which counts as a live rank from now on. */
int member_watch(struct proc *proc, struct ct_error *reterr);
/* SIGKILL, when there is no zygote any more that could. */
void member_kill(const struct proc *proc);
/* Let it in. pmi: its PMI socket or -1; stays the caller's. */
int member_start(struct proc *proc, int pmi, struct strv *env,
                 struct ct_error *reterr);

/* peers.c */
int peers_open(struct agent *agent, struct ct_error *reterr);
void peers_close(struct agent *agent);
/* The first job is open: do what came too early for it. */
void peers_opened(struct agent *agent);
void peers_end(struct agent *agent, enum agent_fault fault, int code);
/* Callbacks of the two servers; ctx is the agent. */
void peers_pmi_fence(void *ctx, struct ctpmi_job *job,
                     struct ctpmi_fence *fence, const char *name,
                     const unsigned *members, size_t count, const void *data,
                     size_t len);
void peers_pmix_fence(void *ctx, struct pmixsrv_fence *fence, const char *name,
                      const unsigned *nodes, unsigned count, const void *data,
                      size_t len);
void peers_modex(void *ctx, struct pmixsrv_modex *modex, const char *nspace,
                 unsigned rank, unsigned node);
/* Let other nodes know of a spawned job; spawn_known() follows. */
void peers_announce(struct job *job);
void peers_hear(struct agent *agent);
void peers_name(void *ctx, struct ctpmi_name *name, enum ctpmi_name_op op,
                const char *service, const char *port);
void peers_ask(void *ctx, struct pmixsrv_question *pmix, unsigned node,
               const void *bytes, size_t len);

/* Somebody has died, or his node has left: look who still waits for him. */
void peers_review(struct agent *agent);
enum peers_kind {
    PEERS_COLLECTIVE = OVERLAY_USER,
    PEERS_END,    /* fault, code, node: what ends the job, and where */
    PEERS_MODEX,  /* number, nspace, rank: PMIx data that it has committed */
    PEERS_DATA,   /* number, status, data: the answer */
    PEERS_ASK,    /* number, bytes for pmixsrv_visit() */
    PEERS_ANSWER, /* number, bytes for pmixsrv_answered() */
    PEERS_NAME,   /* number, operation, service, port */
    PEERS_NAMED,  /* number, success, port: the answer */
    PEERS_JOB,    /* number, nspace, size: what a rank has spawned */
    PEERS_HEARD,  /* number: the answer */
    PEERS_DIRECT, /* bytes for directs_receive() */
    PEERS_EVENT,  /* bytes for pmixsrv_event() */
    PEERS_LOST,   /* nspace, rank: one that has died */
    PEERS_SIGNAL, /* nspace, rank, signal: to send it */
};
/* To a node that may have left. */
void peers_tell(struct agent *agent, unsigned node, enum peers_kind kind,
                const struct pack *p);

/* peers_events.c: the last is a callback of the PMIx server. All do nothing
   where there is one node only. */
void events_send_lost(struct agent *agent, const struct pmixsrv_job *job,
                      unsigned rank);
void events_send_signal(struct agent *agent, const struct pmixsrv_job *job,
                        unsigned rank, int signal);
void events_spread(void *ctx, const unsigned *nodes, unsigned count,
                   const void *bytes, size_t len);
/* What another node's have sent. */
void events_take(struct agent *agent, unsigned from, struct unpack *u);
void events_take_lost(struct agent *agent, unsigned from, struct unpack *u);
void events_take_signal(struct agent *agent, unsigned from, struct unpack *u);

/* pmix.c */
void pmix_signal_here(struct agent *agent, struct pmixsrv_job *job,
                      unsigned rank, int signal);
int pmix_open(struct job *job, struct ct_error *reterr);
int pmix_environment(const struct proc *proc, struct strv *env,
                     struct ct_error *reterr);
/* Do what ranks have asked for before they ended. */
void pmix_drain(struct agent *agent);
/* The rank has died; with config.continues the others are told. */
void pmix_tell_lost(const struct proc *proc);
/* Ranks are about to be ended. */
void pmix_stop(struct agent *agent);
void pmix_close(struct agent *agent);

/* spawn.c */
int spawn_requested(void *ctx, struct ctpmi_spawn *request);
struct spawn *spawn_new(struct proc *by, unsigned count);
/* 0: spawn is the agent's; -1: it has been freed, and is not answered. */
int spawn_begin(struct agent *agent, struct spawn *spawn);
void spawn_open(struct job *job);
/* All nodes know of it: its parent is answered, and its ranks may start. */
void spawn_known(struct job *job);
/* reason NULL: nobody needs to know. Does nothing for a job not spawned. */
void spawn_failed(struct job *job, const char *reason);

#endif
