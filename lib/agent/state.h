/*
 * Inside the agent: what agent.c (the zygote's events, ends), job.c (from apps
 * to ranks that run), spawn.c (MPI_Comm_spawn), peers_spawn.c (the same over
 * several nodes), peers.c (agents of other nodes) and pmix.c (ranks that speak
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

struct hold;
struct job;
struct proc;
struct share;
struct spread;

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

/* What the info of a command asks for; strings are the request's. */
struct wish {
    const char *workdir;
    const char *path; /* where to look for it */
    bool *hosts;      /* [nodes] where it may run; NULL: anywhere */
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
    struct event *unclear; /* has ended, perhaps with its last word unread */
    const struct agent_member *member; /* started by another launcher; NULL */
    bool waits;                        /* it could not execute */
    struct event *talk, *ended;        /* of a member */
    struct event *orphaned; /* of the first that somebody has started */
    int parent;             /* the pidfd for it */
};

struct app {
    unsigned number; /* the zygote's name for it */
    unsigned plan;
    unsigned ranks;
    const char *name; /* argv[0], the owner's */
    char *workdir;    /* of a spawned one that has its own */
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
    const struct agent_world *world; /* NULL: has no members */
    const unsigned *node_of; /* [size]; NULL: all ranks are on this node */
    unsigned *places;        /* of a spawned job: node_of, ours to free */
    unsigned size;
    unsigned local_count; /* ranks on this node */
    struct app *apps;
    unsigned app_count;
    unsigned unprepared, unlent;
    struct spawn *request; /* not answered yet; NULL: another node's */
    struct wish *wishes;   /* [app_count], with request */
    struct spread *spread; /* while nodes agree about it (peers_spawn.c) */
    bool pending;          /* spawned, and may still fail or start */
    struct strv names;     /* of a spawned job's apps */
    struct strv preput;    /* of a spawned job on several nodes */
    enum family family;
    enum family parents; /* of a spawned job */
    char spawner[32];    /* id of its parents' job, and which of them asked */
    unsigned spawner_rank;
    struct ctpmi_job *pmi;
    struct pmixsrv_job *pmix;
    bool *dead;         /* [size] of those that may die and others go on */
    struct proc *procs; /* [local_count], by rank */
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
    struct hold *holds;   /* nodes that may give us ranks (peers_spawn.c) */
    struct pmixsrv *pmix; /* once a job needs it */
    struct event *pmix_in;
    uint64_t pmix_secret; /* part of each nspace */
    struct rundir rundir;
    struct job *jobs, **last_job;
    unsigned job_count, app_count;
    struct proc **procs;
    unsigned proc_count;
    unsigned live;
    unsigned unclear; /* of these, who have ended */
    bool ending;      /* nothing is started any more */
    bool refusing;    /* members that wait are told to end */
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

/* Judge ranks of which more is known now, and settle. */
void agent_clear_up(struct agent *agent);
/* Take in what the zygote has told until now. */
void agent_hear(struct agent *agent);
/* What an errno value of starting a command tells. */
enum agent_fault agent_fault_of(int code);
/* A rank has ended, with a status as from waitpid() (0 when not known). */
void proc_ended(struct proc *proc, int status);
/* After a message to the zygote: wait for room when it has none. */
void agent_pump(struct agent *agent);

/* job.c */
/* A number for a job of this node's making, which no other node uses. */
unsigned job_number(struct agent *agent);
struct job *job_add(struct agent *agent, unsigned number,
                    const struct agent_app *apps, unsigned count);
/* Which node each rank of a spawned job is on (NULL: all on this one). */
int job_place(struct job *job, const unsigned *node_of);
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
/* The rank's process; NULL when it is not of this node. */
struct proc *job_proc(const struct job *job, unsigned rank);
struct agent_rank agent_rank_of(const struct proc *proc);
/* The rank, of whichever node, has died, and the others go on. */
void job_lose(struct job *job, unsigned rank);
/* Read what a rank has still said before it ended. */
void proc_drain(struct proc *proc);

/* member.c */
/* Ask the zygote for what the job's members need; its answer; the end of it. */
int members_borrow(struct job *job, struct ct_error *reterr);
int members_lent(struct job *job, struct app *app,
                 const struct zygote_event *event, struct ct_error *reterr);
void app_give_back(struct app *app);
/* Has one not ended, whether we have heard of that or not, or let it in? */
bool members_live(const struct agent_world *world);
/* Judge those that have ended, of which we have not heard yet: not from within
   a server of ours. */
void members_look(struct agent *agent);
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
/* Some node, or this one, has told that the job ends. */
bool peers_know_end(const struct agent *agent);
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
const char *peers_name_of(const struct agent *agent, unsigned node);
bool peers_has_left(const struct agent *agent, unsigned node);
/* For peers_spawn_receive() of that node. Frees the bytes. */
void peers_send_spawn(struct agent *agent, unsigned node, struct pack *p);
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
    PEERS_SPAWN,  /* bytes for peers_spawn_receive() */
    PEERS_DIRECT, /* bytes for directs_receive() */
    PEERS_EVENT,  /* bytes for pmixsrv_event() */
    PEERS_LOST,   /* number of the job, rank: one that has died */
    PEERS_SIGNAL, /* nspace, rank, signal: to send it */
    PEERS_SAY,    /* text for the user */
};
/* To a node that may have left. */
void peers_tell(struct agent *agent, unsigned node, enum peers_kind kind,
                const struct pack *p);

/* peers_events.c: the last is a callback of the PMIx server. All do nothing
   where there is one node only. */
void events_send_lost(const struct job *job, unsigned rank);
void events_send_signal(struct agent *agent, const struct pmixsrv_job *job,
                        unsigned rank, int signal);
void events_spread(void *ctx, const unsigned *nodes, unsigned count,
                   const void *bytes, size_t len);
/* What another node's have sent. */
void events_take(struct agent *agent, unsigned from, struct unpack *u);
void events_take_lost(struct agent *agent, unsigned from, struct unpack *u);
void events_take_signal(struct agent *agent, unsigned from, struct unpack *u);

/* peers_spawn.c */
/* Have the nodes agree about a spawned job: spawn_share(), then spawn_known()
   or spawn_failed() follow, now or later. */
int peers_spawn_begin(struct job *job, struct ct_error *reterr);
/* Our part of it can start. */
void peers_spawn_ready(struct job *job);
/* It will not start: tell those who wait for it. */
void peers_spawn_failed(struct job *job, const char *reason);
void peers_spawn_receive(struct agent *agent, unsigned from, struct unpack *u);
/* Nodes may have left since. */
void peers_spawn_check(struct agent *agent);
void peers_spawn_free(struct job *job);
void peers_spawn_close(struct agent *agent);

/* pmix.c */
void pmix_signal_here(struct agent *agent, struct pmixsrv_job *job,
                      unsigned rank, int signal);
/* One rank that does not see the directory is enough. */
bool pmix_rundir_is_shared(const struct agent *agent);
int pmix_open(struct job *job, struct ct_error *reterr);
int pmix_environment(const struct proc *proc, struct strv *env,
                     struct ct_error *reterr);
/* Do what ranks have asked for before they ended. */
void pmix_drain(struct agent *agent);
/* Ranks are about to be ended. */
void pmix_stop(struct agent *agent);
void pmix_close(struct agent *agent);

/* spawn.c */
int spawn_requested(void *ctx, struct ctpmi_spawn *request);
struct spawn *spawn_new(struct proc *by, unsigned count);
/* 0: spawn is the agent's; -1: it has been freed, and is not answered. */
int spawn_begin(struct agent *agent, struct spawn *spawn);
/* The request as all nodes are told of it: views, to spawn_undescribe(). */
int spawn_describe(const struct job *job, struct share *ret,
                   struct ct_error *reterr);
void spawn_undescribe(struct share *share);
/* Prepare what this node has of it; spawn_open() or spawn_failed() follows. */
int spawn_share(struct job *job, const struct share *share,
                struct ct_error *reterr);
void spawn_open(struct job *job);
/* All nodes are ready: its parent is answered, and its ranks may start. */
void spawn_known(struct job *job);
/* reason NULL: nobody needs to know. Does nothing for a job that is not
   pending. */
void spawn_failed(struct job *job, const char *reason);
/* No rank of it will start. */
void spawn_drop(struct job *job);
void spawn_release(struct job *job);

#endif
