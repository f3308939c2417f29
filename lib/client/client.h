/*
 * What a rank says to whoever has started it, blocking, one question under way
 * at a time: PMI-1 (1.1, and what answers 1.2 to it) or PMI-2 over a socket,
 * PMIx through the libpmix that is there, or nobody when it is alone.
 *
 * A client is used by one thread at a time. What PMI servers really answer:
 * lib/wire/wire.md.
 */
#ifndef CT_CLIENT_CLIENT_H
#define CT_CLIENT_CLIENT_H

#include "base/error.h"
#include "wire/msg.h"

#include <stdbool.h>
#include <stddef.h>

struct client;

/* What the launcher's environment says (client/environ.h reads it). */
struct client_start {
    unsigned rank;
    unsigned size;     /* 0: not told. PMI-2 and a dialled PMI-1 server tell */
    const char *jobid; /* PMI_JOBID, which Slurm wants back; NULL: not told */
    bool dialled;      /* fd is client_dial()'s: say first who we are */
    bool spawned;      /* PMI_SPAWNED: PMI-1's server does not say it */
    bool want_groups;  /* ask for PMI-1.2, which old servers refuse */
};

/* What the server says, and with PMI-1 the start. */
struct client_facts {
    char jobid[PMI_KVSNAME_MAX]; /* PMI-1: the name of the KVS */
    unsigned rank, size;
    int appnum, universe_size;   /* -1: not told */
    unsigned key_max, value_max; /* bytes, with NUL, that can be put */
    bool spawned;                /* by another job */
    bool groups;                 /* a barrier of some ranks is possible */
};

/* Of PMI-2's keys and values, which are one byte longer than PMI-1's. */
enum {
    CLIENT_KEY_SIZE = PMI_KEY_MAX + 1,
    CLIENT_VALUE_SIZE = PMI_VALUE_MAX + 1
};

struct client_pair {
    const char *key, *value;
};

/* One command of a spawn. */
struct client_command {
    const char *path;
    const char *const *argv; /* without the path */
    size_t argc;
    unsigned maxprocs;
    const struct client_pair *infos;
    size_t info_count;
};

struct client_spawn {
    const struct client_command *commands;
    size_t count;
    const struct client_pair *preputs; /* what the children find in their KVS */
    size_t preput_count;
};

/*
 * Begin the conversation on fd, a connected stream socket that is the client's
 * from now on. NULL, and fd still the caller's, when that fails.
 *
 * Errors, here and below: EREMOTEIO the server says no; ECONNRESET it has gone;
 * EPROTO its answer is none; an errno of the socket; ENOTSUP neither it nor we
 * can do that. After ECONNRESET, EPROTO and those of the socket every further
 * call fails (EPIPE).
 */
struct client *client_open(int fd, const struct pmi_dialect *dialect,
                           const struct client_start *start,
                           struct ct_error *reterr);

/*
 * A client of the PMIx server that the environment names, through libpmix.so.2
 * of 4.0 or newer, which is loaded when it is first asked for and stays loaded.
 * A process has one at a time. ENOENT: there is no such server; ENOTSUP: there
 * is no such library, or it lacks what we need; EREMOTEIO: they do not agree.
 */
struct client *client_open_pmix(struct ct_error *reterr);

/* Rank 0 of 1, whose server is itself. */
struct client *client_open_alone(struct ct_error *reterr);

/* Lives as long as the client. */
const struct client_facts *client_facts(const struct client *client);

/*
 * EMSGSIZE when key or value is longer than the facts allow. What the wire
 * cannot carry, or not at that length, is written in a way that client_get()
 * undoes (carry.h).
 */
int client_put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr);

/*
 * Returns when all ranks of the job have called it. What was put before is got
 * by all afterwards.
 */
int client_fence(struct client *client, struct ct_error *reterr);

/* One that does no more than wait; where the two are one, client_fence(). */
int client_barrier(struct client *client, struct ct_error *reterr);

/*
 * The same among count ranks of the job, or among those of CLIENT_GROUP. tag
 * tells barriers of the same ranks apart that are under way at once. ENOTSUP
 * unless it is PMI-1.2 or all ranks are meant.
 */
enum client_group {
    CLIENT_GROUP_WORLD,
    CLIENT_GROUP_NODE,
    CLIENT_GROUP_LIST,
};
int client_barrier_group(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct ct_error *reterr);

/* A barrier that ranks are on their way to. */
struct client_barrier {
    struct client_barrier *next; /* of those under way */
    char tag[32];
    bool over;
    int rc; /* when it is over, and error */
    struct ct_error error;
};

/*
 * The same in steps, where facts.groups is set: meanwhile other questions can
 * be asked, and other barriers be under way, each with a tag of its own. *ret
 * stays where it is until client_barrier_test() says that it is over, or fails,
 * or it is forgotten. When client_fd() can be read, each is worth a test. An
 * answer may also come with that to another question.
 */
int client_barrier_begin(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct client_barrier *ret, struct ct_error *reterr);
int client_barrier_test(struct client *client, struct client_barrier *barrier,
                        bool *ret_over, struct ct_error *reterr);
void client_barrier_forget(struct client *client,
                           struct client_barrier *barrier);
int client_fd(const struct client *client);

/* Whose KVS, and who has put it there, if that is known. */
struct client_source {
    const char *jobid; /* NULL: ours */
    int rank;          /* -1: not known */
    bool only;         /* it was that rank, or nobody */
};

/*
 * What a rank has put. buf is NUL-terminated; *ret_found false: nobody has, or
 * the server says no, which cannot be told apart. ENOSPC when it does not fit.
 * PMI-2: not before the first fence. from NULL: our job, anybody.
 */
int client_get_from(struct client *client, const struct client_source *from,
                    const char *key, char *buf, size_t size, bool *ret_found,
                    struct ct_error *reterr);
int client_get(struct client *client, const char *key, char *buf, size_t size,
               bool *ret_found, struct ct_error *reterr);

/* The same for what the server says of the job: "PMI_process_mapping". */
int client_attr(struct client *client, const char *key, char *buf, size_t size,
                bool *ret_found, struct ct_error *reterr);

/*
 * What ranks of one node tell each other without a fence. wait: until it is
 * there, which may be for ever.
 */
int client_node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr);
int client_node_get(struct client *client, const char *key, bool wait,
                    char *buf, size_t size, bool *ret_found,
                    struct ct_error *reterr);

/* Names of services, which other jobs see, too. */
int client_publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr);
int client_unpublish(struct client *client, const char *name,
                     struct ct_error *reterr);
int client_lookup(struct client *client, const char *name, char *buf,
                  size_t size, bool *ret_found, struct ct_error *reterr);

/*
 * Start a job. jobid[size] becomes its name, "" when the server does not tell;
 * codes[code_count], if the server tells, what became of each process.
 */
int client_spawn(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr);

/* Let our job and that one see each other's KVS, and end that. */
int client_connect(struct client *client, const char *jobid,
                   struct ct_error *reterr);
int client_disconnect(struct client *client, const char *jobid,
                      struct ct_error *reterr);

/* Say good-bye: the end of the connection is no fault after that. */
int client_finalize(struct client *client, struct ct_error *reterr);

/*
 * Ask for the end of the whole job. There is no answer: the server may end us,
 * too, at any moment from now on. Close afterwards, without a good-bye.
 */
int client_abort(struct client *client, int exitcode, struct ct_error *reterr);

/*
 * After client_finalize(): begin anew with the same server, which not every one
 * allows.
 */
int client_reopen(struct client *client, struct ct_error *reterr);

/* Who it speaks with, in a word: "PMI-1", "PMI-2", "PMIx", "nobody". */
const char *client_name(const struct client *client);

/* Close the socket. NULL is fine. */
void client_close(struct client *client);

/*
 * A socket connected to "host:port" (PMI_PORT), or -1. The caller closes it
 * unless client_open() takes it.
 */
int client_dial(const char *address, struct ct_error *reterr);

#endif
