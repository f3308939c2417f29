/*
 * Inside the PMIx server. An upcall (upcall.c) is a struct request that goes
 * from libpmix's thread to the caller's, where serve() does it and one of the
 * answer functions ends it. Until then libpmix keeps the arrays of the upcall;
 * what it does not keep is copied.
 */
#ifndef CT_GUEST_PMIX_STATE_H
#define CT_GUEST_PMIX_STATE_H

#include "base/pack.h"
#include "guest/pmix/infolist.h"
#include "guest/pmix/relay.h"
#include "guest/pmix/server.h"
#include "guest/pmix/sieve.h"
#include "guest/pmix/socket.h"
#include "lazy/pmix.h"

#include <pthread.h>

struct request {
    struct request *next;
    void (*serve)(struct pmixsrv *server, struct request *request);
    pmix_proc_t proc;          /* who asks */
    enum pmixsrv_state *state; /* of who comes or goes */
    const pmix_info_t *info;
    size_t ninfo;
    const pmix_proc_t *targets; /* job control, group */
    size_t ntargets;
    union {
        pmix_op_cbfunc_t op;
        pmix_modex_cbfunc_t modex;
        pmix_lookup_cbfunc_t lookup;
        pmix_spawn_cbfunc_t spawn;
        pmix_info_cbfunc_t info;
        pmix_tool_connection_cbfunc_t tool;
    } answer;
    void *cbdata;

    char **keys;      /* lookup, unpublish */
    int64_t deadline; /* of a lookup that waits, CLOCK_MONOTONIC in ns, or 0 */
    const pmix_app_t *apps;
    size_t napps;
    pmix_status_t status;    /* abort, event, fence: so far */
    pmix_data_range_t range; /* event */
    pmix_info_t *copied;     /* event: info, ours */
    char *text;              /* abort: the message, ours */
    char *data;              /* fence; abort: targets; ours */
    size_t ndata;
    pmix_query_t *queries;
    size_t nqueries;
    int socket;                       /* tool: its connection, or -1 */
    pmix_iof_channel_t channels;      /* pull */
    const pmix_byte_object_t *object; /* push */
};

struct published {
    struct published *next;
    pmix_proc_t owner;
    pmix_data_range_t range;
    pmix_persistence_t persistence;
    pmix_info_t info;   /* key and value */
    pmix_info_t custom; /* of PMIX_RANGE_CUSTOM: for whom */
};

struct pset {
    struct pset *next;
    char *name;
    pmix_proc_t *members;
    size_t count;
};

/* What another node has last told of a rank's process. */
struct pmixsrv_seen {
    pid_t pid;
    bool runs;
};

/* A rank that dies while others go on. */
struct loss {
    bool dead;
    bool closed; /* libpmix knows that it has gone */
    bool told;   /* the ranks of this node know that it is dead */
};

struct pmixsrv_job {
    struct pmixsrv *server;
    struct pmixsrv_job *next;
    pmix_nspace_t nspace;
    unsigned size;
    unsigned *node_of;         /* [size]; NULL: all are on this node */
    unsigned node, node_count; /* this one; of the world */
    bool elsewhere;            /* none of them is on this node */
    bool dropped;              /* nobody may find it any longer */
    void *user;
    enum pmixsrv_state *states; /* [size] */
    struct loss *losses;        /* [size] */
    bool *blurred;              /* [size] in a group whose id it cannot read */
    struct pmixsrv_seen *seen;  /* [size] of other nodes' ranks; or NULL */
};

/* Output for tools (iof.c). */
struct iof {
    struct pull *pulls;
    unsigned pull_count; /* that have not been stopped */
    bool full;           /* much is owed to a tool */
    bool gave_up;        /* what is owed at the end has not been taken */
    bool awaits_quiet;   /* nothing of what is owed has come of late, */
    bool has_moved;      /* unless this, */
    bool awaits_turn;    /* and libpmix has been asked for a sign */
    int wake;            /* eventfd, by libpmix's thread */
    int patience; /* timerfd: how long a tool may take nothing, if full */
    int quiet;    /* timerfd */

    /* Under the server's lock. */
    bool has_tools;
    bool had_turn; /* it has given it */
    int under_way; /* messages that libpmix has not looked at yet */
};

struct pmixsrv {
    struct pmixsrv_config config;
    char version[32];
    struct pmixsrv_job *jobs;
    struct pset *psets;
    struct published *published;
    struct request *waiting; /* lookups that wait for somebody to publish */
    struct relays relays;    /* of tools */
    struct iof iof;
    uint64_t next_context; /* for the next proposal */
    bool blurs_contexts;   /* clients of 5.0 read the same one for each group */
    bool told_of_contexts; /* the user knows */
    bool owes_answer;      /* a tool's request is answered and has not gone */
    bool initialized;
    bool stopped;

    struct sockets sockets; /* of tools, for libpmix's thread */
    struct sieve sieve;     /* likewise */

    /* From libpmix's thread, which also looks at jobs. */
    pthread_mutex_t lock;
    struct request *first, **last;
    int wake;     /* eventfd: there are requests */
    int timer;    /* timerfd: a lookup has waited long enough */
    int patience; /* timerfd: with a dead rank's connection */
    int ready;    /* epoll: any of them, or relays */
    bool held;
    pthread_cond_t holds; /* one of these three has become true */
    bool let_go, cleaned; /* it may do the cleaning up, and has (control.c) */
};

/* What the job (rank -1) or one of its ranks may use below the server's. */
enum { PMIXSRV_PATH_MAX = 400 };
void pmixsrv_directory(const struct pmixsrv_job *job, int rank,
                       char ret[PMIXSRV_PATH_MAX]);

/* The name of a rank. */
void pmixsrv_proc(const struct pmixsrv_job *job, unsigned rank,
                  pmix_proc_t *ret);

/* Of a NULL-terminated list, or of NULL. */
size_t pmixsrv_count(char *const *list);

/* values.c: types of libpmix as bytes */
void values_pack(struct pack *p, const void *values, size_t count,
                 pmix_data_type_t type);
/* Into values[count], which are empty. */
void values_unpack(struct unpack *u, void *values, size_t count,
                   pmix_data_type_t type);
void proc_pack(struct pack *p, const pmix_proc_t *proc);
void proc_unpack(struct unpack *u, pmix_proc_t *ret);

/* quirk.c: mend what that release of libpmix, whose server is up, has wrong */
void quirks_mend(struct pmixsrv *server);

/* server.c: to hold libpmix's thread in a callback. What is asked for runs when
   its queue comes to it; flags are held, let_go and cleaned. */
void hold_ask(struct pmixsrv *server, pmix_op_cbfunc_t held);
void hold_tell(struct pmixsrv *server, bool *flag);
void hold_await(struct pmixsrv *server, const bool *flag, int seconds);

/* upcall.c */
void pmixsrv_accept_upcalls(struct pmixsrv *server);
pmix_server_module_t *pmixsrv_module(void);
/* For libpmix's thread; NULL: this process has no server, and may be a client.
 */
struct sieve *pmixsrv_sieve(void);
void request_free(struct request *request);
/* For PMIx_server_dmodex_request(): a request that exchange_served() ends. */
void pmixsrv_on_served(pmix_status_t status, char *data, size_t size,
                       void *cbdata);
/* On libpmix's thread: loss_closed() follows on ours. */
void pmixsrv_on_closed(const pmix_proc_t *proc);
void request_answer_op(struct request *request, pmix_status_t status);
/* The list is libpmix's until it has sent it, and then freed. */
void request_answer_info(struct request *request, pmix_status_t status,
                         struct infolist *list);

/* The head of whatever waits for another node's answer, which is empty (failed)
   when none comes. */
struct pmixsrv_question {
    void (*answered)(struct pmixsrv_question *question, struct unpack *u);
};

/* home.c: as names.c, wherever names live; the first word of a question to
   another node, where that is not for names */
enum { HOME_CENSUS = 3 };
void home_publish(struct pmixsrv *server, struct request *request);
void home_lookup(struct pmixsrv *server, struct request *request);
void home_unpublish(struct pmixsrv *server, struct request *request);

/* names.c */
void names_publish(struct pmixsrv *server, struct request *request);
void names_lookup(struct pmixsrv *server, struct request *request);
/* Answer lookups that have waited for as long as they wanted. */
void names_expire(struct pmixsrv *server);
void names_unpublish(struct pmixsrv *server, struct request *request);

/* spawn.c */
void spawn_request(struct pmixsrv *server, struct request *request);

/* event.c; the first runs on libpmix's thread */
bool event_leaves_node(pmix_data_range_t range);
void event_spread(struct pmixsrv *server, struct request *request);

/* tool.c */
void tool_admit(struct pmixsrv *server, struct request *request);

/* iof.c; the first runs on libpmix's thread */
pmix_status_t iof_judge(struct pmixsrv *server, const pmix_proc_t *procs,
                        size_t count, const pmix_info_t *info, size_t ninfo,
                        pmix_iof_channel_t channels);
void iof_pull(struct pmixsrv *server, struct request *request);
int iof_open(struct iof *iof);
void iof_close(struct iof *iof);
/* Relays or what is owed may have changed. */
void iof_review(struct pmixsrv *server);
/* Move what can be moved. */
void iof_dispatch(struct pmixsrv *server);
/* Wait for what owes_answer tells of, for a moment at most. */
void iof_flush_answer(struct pmixsrv *server);

/* push.c */
void push_request(struct pmixsrv *server, struct request *request);

/* exchange.c */
/* The nodes of some processes, and a name for these. */
struct members {
    bool
        *nodes; /* [node_count], to free(); NULL where there is one node only */
    unsigned node, node_count; /* this one; of the world */
    uint64_t hash;
    bool elsewhere; /* some are of other nodes */
};
/* 0, or -1 without memory. */
int members_find(struct pmixsrv *server, const pmix_proc_t *procs, size_t count,
                 struct members *ret);
/* Their numbers, ascending, to free(); or NULL without memory. */
unsigned *members_list(const struct members *members, unsigned *ret_count);
void exchange_fence(struct pmixsrv *server, struct request *request);
void exchange_connect(struct pmixsrv *server, struct request *request);
void exchange_group(struct pmixsrv *server, struct request *request);
void exchange_modex(struct pmixsrv *server, struct request *request);
void exchange_served(struct pmixsrv *server, struct request *request);

/* loss.c */
void loss_listen(void);
void loss_closed(struct pmixsrv *server, struct request *request);
/* Do what has waited long enough. */
void losses_expire(struct pmixsrv *server);

/* group.c */
/* May it be? Else why not. */
pmix_status_t group_judge(struct pmixsrv *server,
                          const struct request *request);
/* It has ended its MPI, and may start it again. */
void group_leave_all(struct pmixsrv *server, const pmix_proc_t *proc);
void group_answer(struct request *request, pmix_status_t status,
                  size_t context);

/* locality.c */
void topology_add(struct infolist *ret);
/* cpus is a cpu_set_t of that size */
void locality_add(struct infolist *ret, const void *cpus, size_t size);

/* pset.c */
int pset_define(struct pmixsrv_job *job, const struct pmixsrv_pset *facts,
                struct ct_error *reterr);
const struct pset *pset_find(const struct pmixsrv *server, const char *name);

/* control.c; the first two run on libpmix's thread, which waits in the second
   when it is held; with the last it removes what was registered for clean-up */
bool control_is_understood(const pmix_info_t *directives, size_t count);
void cleanup_await(struct pmixsrv *server);
void cleanup_run(struct pmixsrv *server);
void control_request(struct pmixsrv *server, struct request *request);
void control_kill(struct pmixsrv *server, const pmix_proc_t *targets,
                  size_t count);

/* log.c */
void log_request(struct pmixsrv *server, struct request *request);

/* census.c: query_finish(), when what it needs of other nodes is there */
void census_begin(struct pmixsrv *server, struct request *request);
void census_serve(struct pmixsrv *server, struct unpack *u,
                  void (*done)(void *ctx, const void *bytes, size_t len),
                  void *ctx);

/* query.c */
void query_finish(struct pmixsrv *server, struct request *request);
struct pmixsrv_job *query_table_of(struct pmixsrv *server,
                                   const struct request *request,
                                   const pmix_query_t *query);

/* jobinfo.c: tell libpmix what the job is. */
int jobinfo_register(struct pmixsrv_job *job, const struct pmixsrv_facts *facts,
                     struct ct_error *reterr);

#endif
