/*
 * What PMI_Spawn_multiple() and PMI2_Job_Spawn() are given, and its reading.
 */
#ifndef CT_CLIENT_ABI_SPAWN_H
#define CT_CLIENT_ABI_SPAWN_H

#include "client/client.h"

/* How pairs lie in memory. */
enum spawn_layout {
    SPAWN_PAIRS,   /* struct { char *key, *value; }, an array of them */
    SPAWN_GUESSED, /* so, or MPID_Info: an array; of pointers, for preputs */
};

struct spawn_request {
    int count;
    const char *const *cmds;
    const char **const *argvs; /* each, or all, may be NULL */
    const int *argcs;          /* NULL: lists end with a NULL */
    const int *maxprocs;
    const int *info_sizes;    /* NULL: there are none */
    const void *const *infos; /* an array for each command */
    int preput_size;
    const void *preputs;
    enum spawn_layout layout;
};

/* Pointers and counts make sense. */
bool spawn_is_valid(const struct spawn_request *request);

/* The sum of maxprocs. */
size_t spawn_procs(const struct spawn_request *request);

/* client_spawn() for it. */
int spawn_request(struct client *client, const struct spawn_request *request,
                  char *jobid, size_t size, int *codes, size_t code_count,
                  struct ct_error *reterr);

#endif
