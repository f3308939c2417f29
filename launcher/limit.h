/*
 * Descriptors: ranks, and other nodes, take some of ctrun's each.
 */
#ifndef CT_LAUNCHER_LIMIT_H
#define CT_LAUNCHER_LIMIT_H

#include "base/error.h"

#include <sys/resource.h>

/* Have all that we may; ret_before is what ranks are to have. */
int limit_raise(struct rlimit *ret_before, struct ct_error *reterr);

#endif
