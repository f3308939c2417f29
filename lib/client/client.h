/*
 * The other end of a PMI server: what a rank says. PMI-1 (1.1, and what answers
 * 1.2 to it) and PMI-2, blocking, one question under way at a time.
 *
 * One allocation at client_open(), none afterwards. A client is used by one
 * thread at a time. What servers really answer: lib/wire/wire.md.
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
};

/* What the server says, and with PMI-1 the start. */
struct client_facts {
    char jobid[PMI_KVSNAME_MAX]; /* PMI-1: the name of the KVS */
    unsigned rank, size;
    int appnum, universe_size;   /* -1: not told */
    unsigned key_max, value_max; /* bytes, with NUL */
};

/*
 * Begin the conversation on fd, a connected stream socket that is the client's
 * from now on. NULL, and fd still the caller's, when that fails.
 *
 * Errors, here and below: EREMOTEIO the server says no; ECONNRESET it has gone;
 * EPROTO its answer is none; an errno of the socket. After the last three every
 * further call fails (EPIPE).
 */
struct client *client_open(int fd, const struct pmi_dialect *dialect,
                           const struct client_start *start,
                           struct ct_error *reterr);

/* Lives as long as the client. */
const struct client_facts *client_facts(const struct client *client);

/*
 * EMSGSIZE when key or value is longer than the facts allow or the question
 * than servers read; EINVAL when the dialect cannot carry it (wire/msg.h).
 */
int client_put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr);

/*
 * Returns when all ranks of the job have called it. What was put before is got
 * by all afterwards.
 */
int client_fence(struct client *client, struct ct_error *reterr);

/*
 * What a rank has put; the text of the wire, as it came. buf is NUL-terminated;
 * *ret_found false: nobody has, or the server says no, which cannot be told
 * apart. ENOSPC when it does not fit. PMI-2: not before the first fence.
 */
int client_get(struct client *client, const char *key, char *buf, size_t size,
               bool *ret_found, struct ct_error *reterr);

/* The same for what the server says of the job: "PMI_process_mapping". */
int client_attr(struct client *client, const char *key, char *buf, size_t size,
                bool *ret_found, struct ct_error *reterr);

/* Say good-bye: the end of the connection is no fault after that. */
int client_finalize(struct client *client, struct ct_error *reterr);

/*
 * Ask for the end of the whole job. There is no answer: the server may end us,
 * too, at any moment from now on. Close afterwards, without a good-bye.
 */
int client_abort(struct client *client, int exitcode, struct ct_error *reterr);

/* Close the socket. NULL is fine. */
void client_close(struct client *client);

/*
 * A socket connected to "host:port" (PMI_PORT), or -1. The caller closes it
 * unless client_open() takes it.
 */
int client_dial(const char *address, struct ct_error *reterr);

#endif
