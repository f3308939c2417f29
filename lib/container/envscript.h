/*
 * The environment that an image sets for itself: /.singularity.d/env/ holds
 * shell scripts that Apptainer sources before each command.
 */
#ifndef CT_CONTAINER_ENVSCRIPT_H
#define CT_CONTAINER_ENVSCRIPT_H

#include "base/error.h"
#include "base/strv.h"
#include "container/rank.h"

/*
 * Run them once, in the container the caller stands in, as a rank without
 * stdin would be run: no privilege, no descriptor of ours. env is what they
 * see, and then what they leave. They may complain on the caller's stderr. When
 * owner, a socket, is hung up, they are ended.
 */
int envscript_run(const struct rank_common *common, char *const *scratch,
                  int null, int owner, struct strv *env,
                  struct ct_error *reterr);

#endif
