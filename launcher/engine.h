/*
 * What starts the ranks. Where ctrun does not itself, it turns into the command
 * that does: srun, mpirun or mpiexec, of as many ctruns as there are ranks,
 * which then join (join.h).
 */
#ifndef CT_LAUNCHER_ENGINE_H
#define CT_LAUNCHER_ENGINE_H

#include "base/error.h"
#include "base/strv.h"
#include "launcher/options.h"

#include <stdbool.h>

/* What decides, besides the options, so that tests can be anywhere. */
struct engine_facts {
    char *const *env;
    const char *self; /* how ctrun is to be called */
    /* The path of a program that the user could call, to free(), or NULL. */
    char *(*find)(const char *name);
    /* What `srun --mpi=list` prints, to free(), or NULL with what is wrong. */
    char *(*srun_list)(const char *srun, struct ct_error *reterr);
};

/*
 * The command, or nothing in *ret when the ranks are for ctrun to start. 0, or
 * -1: EINVAL with what is wrong with the options, ENOENT when what they ask for
 * is not there.
 */
int engine_command(const struct options *options,
                   const struct engine_facts *facts, struct strv *ret,
                   struct ct_error *reterr);

/* Of this machine, to be used with the above. */
struct engine_facts engine_look(char *const *env);

#endif
