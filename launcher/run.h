/*
 * Run a job to its end.
 */
#ifndef CT_LAUNCHER_RUN_H
#define CT_LAUNCHER_RUN_H

#include "base/error.h"
#include "launcher/job.h"
#include "launcher/options.h"

/*
 * The exit code of ctrun (launcher/exit.h), after everything that belongs to
 * the job has ended; what went wrong in the job has been said. -1 with the
 * reason when it could not even begin.
 */
int run_job(const struct options *options, const struct job_spec *spec,
            struct ct_error *reterr);

#endif
