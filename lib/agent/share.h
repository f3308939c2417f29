/*
 * A spawned job as the agent that has planned it tells the others: what to run,
 * and which node has which ranks of it.
 */
#ifndef CT_AGENT_SHARE_H
#define CT_AGENT_SHARE_H

#include "base/error.h"
#include "base/pack.h"

enum {
    SHARE_RANKS_MAX = 65536,
    SHARE_APPS_MAX = 1024,
    SHARE_BYTES_MAX = 64 * 1024 * 1024,
    SHARE_ID_MAX = 31,
};

struct share_app {
    unsigned ranks;
    char *const *argv;   /* argv[0]: what to execute */
    char *const *env;    /* variables of its own */
    const char *workdir; /* NULL: the container's */
    const char *path;    /* where to look for the command; NULL: PATH */
};

struct share {
    uint32_t number; /* of the job, the same on all nodes */
    uint32_t family; /* what its parents speak, as the agent numbers it */
    const char *id;
    const char *parent; /* id of the job that has asked for it, */
    uint32_t parent_rank;
    uint64_t plan;     /* agent_config.plan_ids: the container */
    unsigned size;     /* ranks of all apps */
    unsigned *node_of; /* [size] */
    unsigned app_count;
    struct share_app *apps;
    char *const *preput; /* of PMI-1 and PMI-2: key, value, key, value, ... */
};

/* E2BIG: more than a node would take. The bytes are the caller's also then. */
int share_pack(struct pack *p, const struct share *share,
               struct ct_error *reterr);

/*
 * What another node sent, where nodes are 0 to node_count - 1. 0 with a *ret
 * whose texts are views of the bytes, to be given to share_clear(); or -1:
 * EPROTO, ENOMEM.
 */
int share_unpack(const void *bytes, size_t len, unsigned node_count,
                 struct share *ret, struct ct_error *reterr);
void share_clear(struct share *share);

#endif
