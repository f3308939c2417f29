/*
 * Under another launcher: srun, mpirun or mpiexec has started one ctrun for
 * each rank. They find each other, and each becomes its rank in place.
 */
#ifndef CT_LAUNCHER_JOIN_H
#define CT_LAUNCHER_JOIN_H

#include "base/error.h"
#include "launcher/options.h"

#include <stdbool.h>

/*
 * Has another launcher started us as one of several? If so this does not return
 * but with what is to be the exit code, or -1 with the reason; *ret_told: the
 * user has been told of it. Else *ret_joined is false: all ranks are ours.
 */
int join_job(const struct options *options, char **argv, bool *ret_joined,
             bool *ret_told, struct ct_error *reterr);

#endif
