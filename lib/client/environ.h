/*
 * Where the PMI server is and who we are, as the launcher's variables say.
 */
#ifndef CT_CLIENT_ENVIRON_H
#define CT_CLIENT_ENVIRON_H

#include "base/error.h"

#include <stdbool.h>

/* Strings are env's. */
struct client_environ {
    int fd;              /* PMI_FD, a socket; -1: dial the address */
    const char *address; /* PMI_PORT, or NULL */
    unsigned rank;       /* PMI_RANK or PMI_ID */
    unsigned size;       /* PMI_SIZE; 0: not told */
    const char *jobid;   /* PMI_JOBID, or NULL */
    bool spawned;        /* PMI_SPAWNED */
};

/*
 * 0; or -1 and why not, in few words: ENOENT there is no PMI_FD (nor PMI_PORT
 * with PMI_ID) or no rank, EINVAL a variable has no sense, EBADF PMI_FD is no
 * open socket.
 */
int client_environ_read(char *const *env, struct client_environ *ret,
                        struct ct_error *reterr);

#endif
