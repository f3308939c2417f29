/*
 * What makes a client of one kind or another. Private to lib/client.
 *
 * Each function answers as its namesake in client.h. What is NULL there is not
 * (ENOTSUP). Arguments have been looked at: keys and values are as long as the
 * facts allow.
 */
#ifndef CT_CLIENT_OPS_H
#define CT_CLIENT_OPS_H

#include "client/client.h"

/* Where a value goes. */
struct client_answer {
    char *buf;
    size_t size;
    bool found;
};

struct client_ops {
    const char *name;
    int (*put)(struct client *client, const char *key, const char *value,
               struct ct_error *reterr);
    int (*fence)(struct client *client, struct ct_error *reterr);
    int (*barrier)(struct client *client, struct ct_error *reterr);
    int (*barrier_begin)(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct client_barrier *ret, struct ct_error *reterr);
    int (*barrier_test)(struct client *client, struct client_barrier *barrier,
                        bool *ret_over, struct ct_error *reterr);
    void (*barrier_forget)(struct client *client,
                           struct client_barrier *barrier);
    int (*fd)(const struct client *client);
    int (*get)(struct client *client, const struct client_source *from,
               const char *key, struct client_answer *ret,
               struct ct_error *reterr);
    int (*attr)(struct client *client, const char *key,
                struct client_answer *ret, struct ct_error *reterr);
    int (*node_put)(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr);
    int (*node_get)(struct client *client, const char *key, bool wait,
                    struct client_answer *ret, struct ct_error *reterr);
    int (*publish)(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr);
    int (*unpublish)(struct client *client, const char *name,
                     struct ct_error *reterr);
    int (*lookup)(struct client *client, const char *name,
                  struct client_answer *ret, struct ct_error *reterr);
    int (*spawn)(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr);
    int (*connect)(struct client *client, const char *jobid,
                   struct ct_error *reterr);
    int (*disconnect)(struct client *client, const char *jobid,
                      struct ct_error *reterr);
    int (*finalize)(struct client *client, struct ct_error *reterr);
    int (*reopen)(struct client *client, struct ct_error *reterr);
    int (*abort)(struct client *client, int exitcode, struct ct_error *reterr);
    void (*close)(struct client *client);
};

struct client {
    const struct client_ops *ops;
    struct client_facts facts;
};

/* Our job, and whoever has put it. */
extern const struct client_source client_anybody;

/* A look for what may not be there yet. */
typedef int client_look(struct client *client, const char *key,
                        struct client_answer *ret, struct ct_error *reterr);

/*
 * Look again and again until it is there, soon at first, then each 64 ms.
 * ETIMEDOUT after patience ms of pauses; -1: never.
 */
int client_look_again(struct client *client, client_look *look, const char *key,
                      int patience, struct client_answer *ret,
                      struct ct_error *reterr);

/* Copy text into *ret. ENOSPC when it does not fit. */
int client_answer_set(struct client_answer *ret, const char *text, size_t len,
                      struct ct_error *reterr);

#endif
