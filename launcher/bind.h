/*
 * Where ranks may run: CPU sets from hwloc. The topology is read only when one
 * of these is called.
 */
#ifndef CT_LAUNCHER_BIND_H
#define CT_LAUNCHER_BIND_H

#include "base/error.h"

#include <sched.h>
#include <stdbool.h>

enum bind_to { BIND_NONE, BIND_CORE, BIND_NUMA, BIND_SOCKET };

struct bind_request {
    enum bind_to to;
    enum bind_to by;        /* --map-by: BIND_NONE = pack in order of cores */
    unsigned cpus_per_rank; /* cores for a rank when to == BIND_CORE; >= 1 */
    bool oversubscribe;     /* more ranks than places may share them */
};

struct bind_place {
    cpu_set_t *cpus; /* CPU_ALLOC'ed */
    size_t size;     /* bytes, for sched_setaffinity() and CPU_*_S() */
    char text[128];  /* for --report-bindings: "socket 0 core 0-1 (cpus 0-3)" */
};

/*
 * A place for each of n ranks out of what this process may use. 0 and a
 * caller-owned array (bind_places_free); -1: EINVAL when there are fewer
 * places than ranks and oversubscribe is off (the text names both numbers and
 * the option), or the machine has no such objects.
 */
int bind_places(const struct bind_request *request, unsigned n,
                struct bind_place **ret, struct ct_error *reterr);
void bind_places_free(struct bind_place *places, unsigned n);

/* CPUs (hardware threads) this process may use; no topology is read. */
unsigned bind_cpus_available(void);

#endif
