/*
 * Exit codes of ctrun itself; every other code is the first failing rank's own
 * (128+N when signal N ended it). The numbers are those of env(1), timeout(1)
 * and docker run, which launch commands too. Kept equal to ctrun.1 by a test.
 */
#ifndef CT_LAUNCHER_EXIT_H
#define CT_LAUNCHER_EXIT_H

#include <stdbool.h>

struct agent_failure;

enum ct_exit {
    EXIT_TIMEOUT = 124,      /* --timeout ran out */
    EXIT_CTRUN = 125,        /* ctrun failed, or a rank broke the PMI protocol,
                                or never spoke PMI though it had to */
    EXIT_NOT_RUNNABLE = 126, /* the command was found but cannot be run */
    EXIT_NOT_FOUND = 127,    /* the command was not found in the image */
    EXIT_SIGNAL = 128,       /* + the number of the signal */
};

/* What a failure makes the exit code of the job. */
int exit_code_of(const struct agent_failure *failure);

/* Is it that a rank has died, which is what --on-failure=continue is about? */
bool exit_is_loss(const struct agent_failure *failure);

#endif
