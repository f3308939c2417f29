/*
 * One host's PMI, behind host.c: text under keys, put before a fence and got
 * after it. Private to lib/host.
 */
#ifndef CT_HOST_ADAPTER_H
#define CT_HOST_ADAPTER_H

#include "host/host.h"

#include <stdbool.h>

enum {
    ADAPTER_KEY_SIZE = 40,      /* keys that host.c makes, with NUL */
    ADAPTER_VALUE_MAX = 600,    /* letters, digits, '-' and '_' */
    ADAPTER_SIZE_MAX = 1000000, /* ranks in a job */
};

/* What open() finds out. node_of NULL: the host does not tell. */
struct adapter_facts {
    char id[257];
    unsigned rank, size, appnum;
    unsigned *node_of; /* malloc'ed [size]; any numbers */
};

struct host_adapter {
    const char *name; /* as --host has it */

    /* Does env have what open() needs? Sends nothing. -1 with the reason. */
    int (*probe)(char *const *env, struct ct_error *reterr);

    /*
     * After probe(), when nobody has asked for us by name: is it us that the
     * host means? -1 with the reason. NULL: always.
     */
    int (*fits)(char *const *env, struct ct_error *reterr);

    /* NULL with the reason, and nothing is left open. */
    void *(*open)(char *const *env, struct adapter_facts *ret,
                  struct ct_error *reterr);

    int (*put)(void *adapter, const char *key, const char *value,
               struct ct_error *reterr);

    /* Over all ranks; what was put is got by all afterwards. At most twice. */
    int (*fence)(void *adapter, struct ct_error *reterr);

    /* What rank has put. *found false: nothing. buf is NUL-terminated. */
    int (*get)(void *adapter, unsigned rank, const char *key, char *buf,
               size_t size, bool *found, struct ct_error *reterr);

    /* Finalize, and free adapter whatever happens. */
    int (*close)(void *adapter, struct ct_error *reterr);

    /*
     * Ask for the end of the job instead, which may reach us at once, and free
     * adapter. NULL: this host ends the job of a task that fails by itself.
     */
    void (*abort)(void *adapter, int exitcode);
};

extern const struct host_adapter host_pmix, host_pmi2, host_pmi1;

#endif
