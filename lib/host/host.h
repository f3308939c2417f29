/*
 * The host: another launcher that has started us as one of several tasks. It is
 * asked once, before the application is executed, who we are, who is where, and
 * to carry a small blob from some tasks to all; then it is let go.
 *
 * Everything here blocks for as long as other tasks take. Whoever has started
 * us ends us when one of them fails, if need be after its host_give_up().
 */
#ifndef CT_HOST_HOST_H
#define CT_HOST_HOST_H

#include "base/error.h"
#include "base/strv.h"

#include <stdbool.h>
#include <stddef.h>

enum { HOST_BLOB_MAX = 8192 };

struct host_adapter;
struct host_conn;

/* What the host says of the job. Lives as long as the connection. */
struct host_job {
    char id[257]; /* the host's name for it, for people */
    unsigned rank, size;
    unsigned appnum;     /* MPI_APPNUM; 0 when the host does not tell */
    unsigned *node_of;   /* [size]: real hosts, numbered from 0 */
    unsigned node_count; /* those that have a rank */
};

/*
 * The first adapter, in a fixed order (pmix, pmi2, pmi1), that env
 * (NULL-terminated) has what it needs of; or the one that name says. NULL when
 * there is none. *refused gets "NAME: why not" for each one passed over.
 */
const struct host_adapter *host_choose(char *const *env, const char *name,
                                       struct strv *refused);

/* Does env name a way to the host that somebody has closed? *ret: which. */
bool host_is_closed(char *const *env, struct ct_error *ret);
const char *host_adapter_name(const struct host_adapter *adapter);

/*
 * Speak to the host. With a host that does not tell the node map this is a
 * collective call, as host_exchange() is. NULL with the reason.
 */
struct host_conn *host_open(const struct host_adapter *adapter,
                            char *const *env, struct ct_error *reterr);
const struct host_job *host_job(const struct host_conn *conn);

/*
 * Every task calls this, once; those with something to say give a blob of up to
 * HOST_BLOB_MAX bytes, the others len 0. When it returns all have called it.
 */
int host_exchange(struct host_conn *conn, const void *blob, size_t len,
                  struct ct_error *reterr);

/* What a rank gave: malloc'ed for *ret; *ret_len 0 and NULL when nothing. */
int host_blob(struct host_conn *conn, unsigned rank, void **ret,
              size_t *ret_len, struct ct_error *reterr);

/*
 * Take leave as a program of the host's does at its end, so that it does not
 * hold our end against us. The connection is gone, also on failure. NULL is
 * fine.
 */
int host_close(struct host_conn *conn, struct ct_error *reterr);

/*
 * The other way out: we fail, with this exit code, and the others must not wait
 * for us. Not every host sees that by itself: Slurm's pmi2 would let them wait
 * for ever, and Hydra after host_close(). The host may kill us at once, so the
 * reason has to be told before. The connection is gone. NULL is fine.
 * host_open() does this when it fails.
 */
void host_give_up(struct host_conn *conn, int exitcode);

#endif
