/*
 * Who has started us, and by what we can talk to it.
 */
#ifndef CT_CLIENT_ABI_CHOOSE_H
#define CT_CLIENT_ABI_CHOOSE_H

#include "client/client.h"

/* Which wire of PMI a caller's functions are closest to. */
enum choose_first {
    CHOOSE_PMI1,
    CHOOSE_PMI2,
};

/*
 * A client for what env says. Alone if nobody has started us; an error if
 * somebody has and cannot be reached, or if CTRUN_PMI_REQUIRE is set. tell
 * hears what was tried, a line each, after an error and when verbose.
 */
struct client *choose_client(enum choose_first first, char *const *env,
                             bool verbose, void (*tell)(const char *line),
                             struct ct_error *reterr);

#endif
