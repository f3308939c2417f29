/*
 * Inside libctpmi: what server.c (jobs), session.c (one connection), pmi1.c and
 * pmi2.c (the commands), collective.c (fences, rings, node attributes) and
 * spawn.c share. Users see ctpmi.h alone.
 */
#ifndef CT_GUEST_PMI_SERVER_H
#define CT_GUEST_PMI_SERVER_H

#include "base/error.h"
#include "ctpmi.h"
#include "kvs/fence.h"
#include "kvs/kvs.h"
#include "wire/msg.h"

#include <stdint.h>

enum {
    RANK_QUOTA = 16 * 1024 * 1024, /* bytes of keys and values of one rank */
    STRIKES_MAX = 3,  /* protocol errors that are answered, not punished */
    FENCES_MAX = 256, /* that one rank waits in, a thread each */
    THRID_SIZE = 32,  /* a pointer, printed */
    SCRATCH_SIZE = 4 * PMI_FRAME_MAX,
};

/* Where a connection is in its conversation; bits, for command tables. */
enum session_state {
    SESSION_NEW = 1 << 0,       /* not one byte yet */
    SESSION_STARTED = 1 << 1,   /* PMI-2: init done, fullinit to come */
    SESSION_READY = 1 << 2,     /* initialised */
    SESSION_FINALIZED = 1 << 3, /* may initialise again (MPI Sessions) */
    SESSION_GONE = 1 << 4,      /* the connection is closed */
};

/* What an answer may wait for. */
enum wait {
    WAIT_FENCE,
    WAIT_RING,
    WAIT_ATTR,
    WAIT_SPAWN,
    WAIT_NAME,
    WAIT_KINDS
};

struct spawn_build;

struct ctpmi_client {
    struct ctpmi_job *job;
    unsigned rank;
    int fd;
    uint8_t flags;      /* CTPMI_CLIENT_* */
    uint8_t state;      /* enum session_state */
    uint8_t subversion; /* what we answered to PMI-1's init */
    uint8_t strikes;
    bool spoke;     /* it has initialised at least once */
    bool finalized; /* and finalized since */
    bool faulted;   /* the host has been told */
    bool watching_out;
    const struct pmi_dialect *dialect; /* NULL until the first line */

    char *in; /* bytes of an incomplete frame */
    size_t in_len;
    char *out; /* answers the socket had no room for */
    size_t out_len;

    unsigned waiting; /* fences it has arrived in and not been let out of */
    char thrids[WAIT_KINDS][THRID_SIZE]; /* PMI-2: to be echoed; or "" */
    char *attr_wait;                     /* PMI-2: node attribute */
    struct spawn_build *spawn; /* PMI-1: blocks so far; else under way */
    struct ctpmi_name *name;   /* asked for, and not answered */
};

struct ctpmi_job {
    struct ctpmi *server;
    struct ctpmi_job *next;
    void *user;
    char *jobid;
    char *spawner; /* job id of the parent, or NULL */
    char *mapping; /* PMI_process_mapping, or NULL when it is too long */
    bool *lost;    /* [size] has died; NULL: the job does not continue then */
    char *dead;    /* PMI_dead_processes, or NULL: nobody is */
    unsigned size;
    unsigned universe_size;
    unsigned node;
    unsigned *node_of;
    unsigned *appnum;
    unsigned local_count;
    unsigned attached;             /* ranks ever attached */
    unsigned *local_ranks;         /* [local_count], ascending */
    struct ctpmi_client **clients; /* [local_count] */
    struct kvs *kvs;
    struct kvs *attrs;          /* node attributes */
    struct fences *fences;      /* of local ranks, by local index */
    struct ctpmi_fence *remote; /* fences that wait for other nodes */
};

/* Answers to the client whose bytes are being handled, not yet sent. */
struct pending_batch {
    struct ctpmi_client *client;
    struct pmi_out *out;
};

struct ctpmi {
    struct ctpmi_callbacks callbacks;
    void *ctx;
    struct ctpmi_job *jobs;
    struct kvs *names; /* published */
    bool busy;         /* in, out, msg and batch are in use */
    struct pending_batch batch;
    struct pmi_msg msg;
    char in[SCRATCH_SIZE];
    char out[SCRATCH_SIZE];
};

/* One command under way. */
struct call {
    struct ctpmi_client *client;
    const struct pmi_msg *msg;
    struct pmi_out *out;
    const struct pmi_dialect *dialect;
};

/*
 * A row of a command table. handle() answers into call->out, or arranges for a
 * later answer; -1 with *reterr when the client broke the protocol (answered
 * with `reply` and the reason, and counted).
 */
struct pmi_command {
    const char *name;
    const char *reply; /* NULL: never answered */
    unsigned states;
    int (*handle)(struct call *call, struct ct_error *reterr);
};

extern const struct pmi_command pmi1_commands[];
extern const struct pmi_command pmi2_commands[];

/* server.c */
int job_local_index(const struct ctpmi_job *job, unsigned rank);
/* Attributes of the job itself that clients read as keys. NULL: none such. */
const char *job_attribute(const struct ctpmi_job *job, struct ct_span key,
                          char *buf, size_t size);

bool key_is_reserved(struct ct_span key);
/* In a job that continues: name it in PMI_dead_processes. */
void rank_note_lost(struct ctpmi_job *job, unsigned rank);

/* pmi1.c */
/* Who is in a fence of that name; "" is the world. */
enum group_kind { GROUP_WORLD, GROUP_NODE, GROUP_LIST };
enum group_kind group_kind_of(struct ct_span group);
/* Of a list, to free(); NULL with the reason. */
unsigned *group_ranks(struct ctpmi_job *job, struct ct_span group,
                      size_t *ret_count, struct ct_error *reterr);

/* session.c: answer outside of a call, at once or as the socket allows. */
void session_send(struct ctpmi_client *client, const char *buf, size_t len);
void session_fault(struct ctpmi_client *client, enum ctpmi_fault kind,
                   const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Begin, and end, a conversation in a dialect. */
void session_begin(struct ctpmi_client *client,
                   const struct pmi_dialect *dialect);
void session_end(struct ctpmi_client *client);

/*
 * The value of a key that must be there (EPROTO, a breach) and have 1 to max
 * bytes without a line feed (EINVAL, a refusal).
 */
int call_text(struct call *call, const char *key, size_t max,
              struct ct_span *ret, struct ct_error *reterr);
/* PMI-2: the thread id to be echoed, or NULL; keep it for a delayed answer. */
const struct ct_span *call_thrid(const struct call *call);
void call_keep_thrid(struct call *call, enum wait wait);
/* `abort`, in the words of either dialect. */
int call_abort(struct call *call, struct ct_error *reterr);

/* An answer of its own: begin with reply_start(), end with reply_send(). */
struct reply {
    struct ctpmi_client *client;
    struct pmi_out out;
    char buf[4096];
};
void reply_start(struct reply *reply, struct ctpmi_client *client,
                 const char *command);
/* PMI-2: add the thread id kept of the question, and forget it. */
void reply_thrid(struct pmi_out *out, struct ctpmi_client *client,
                 enum wait wait);
void reply_send(struct reply *reply);

/* collective.c */
/* members NULL: all; the job's local_ranks: all on this node. */
int fence_enter(struct call *call, struct ct_span name, const unsigned *members,
                size_t count, struct ct_error *reterr);
int ring_enter(struct call *call, struct ct_span left, struct ct_span right,
               struct ct_error *reterr);
int attr_await(struct call *call, struct ct_span key, struct ct_error *reterr);
void attr_announce(struct ctpmi_job *job, struct ct_span key,
                   struct ct_span value);
void client_departed(struct ctpmi_client *client);
/* In a job that continues: nobody waits for this local rank any more. */
void rank_excuse(struct ctpmi_job *job, unsigned index);
void fence_free_all(struct ctpmi_job *job);

/* names.c */
/* key: what the dialect calls the name of a name. */
int name_ask(struct call *call, enum ctpmi_name_op op, const char *key,
             struct ct_error *reterr);
void name_forget(struct ctpmi_client *client);

/* spawn.c */
int spawn_pmi1(struct call *call, struct ct_error *reterr);
int spawn_pmi2(struct call *call, struct ct_error *reterr);
void spawn_free(struct spawn_build *build);
/* Id of the job that asks. */
const char *spawn_parent(const struct ctpmi_spawn *request);
/* Put the request's preput values into the new job. */
int spawn_preput(struct ctpmi_spawn *request, struct ctpmi_job *job,
                 struct ct_error *reterr);
void spawn_forget(struct ctpmi_client *client);

#endif
