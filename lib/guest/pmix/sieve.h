/* Requests that libpmix would die of: see sieve.c. */
#ifndef CT_GUEST_PMIX_SIEVE_H
#define CT_GUEST_PMIX_SIEVE_H

#include <stdbool.h>

struct sieve {
    bool no_attributes; /* which are supported nobody may ask */
    bool no_timeouts;   /* of groups, and of those who connect */
    bool no_cleanups;   /* nobody may ask for, but of /dev/shm */

    /* libpmix's own, and where its thread is. */
    void *unpack_query, *unpack_info, *group, *connect;
    bool gathers; /* the members of one of these */
};

/* Before libpmix starts, which uses it from then on. */
void sieve_open(struct sieve *sieve);

#endif
