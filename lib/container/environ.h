/*
 * Which variables of the host reach a rank. The list is data, a row a variable
 * with its reason; everything not listed passes.
 *
 * The order of the final environment, weakest first: the host's, the image's
 * (/.singularity.d/env), --env, the launcher's (PMI_*, CTRUN_*).
 */
#ifndef CT_CONTAINER_ENVIRON_H
#define CT_CONTAINER_ENVIRON_H

#include "base/strv.h"

#include <stdbool.h>

/* PATH of an image that sets none: Apptainer's default. */
extern const char environ_default_path[];

/*
 * Why a variable of the host does not pass, or NULL when it does. With cleanenv
 * only the few that a session needs pass. With container false (no image), only
 * other launchers' variables are held back, and PATH is one of a session's.
 */
const char *environ_refuses(const char *assignment, bool cleanenv,
                            bool container);

/*
 * Split env (NULL-terminated) into what passes and, as "NAME (why)", what does
 * not (ret_dropped may be NULL). 0, or -1 without memory.
 */
int environ_filter(char *const *env, bool cleanenv, bool container,
                   struct strv *ret_passed, struct strv *ret_dropped);

/*
 * base without what own, NULL-terminated as base is, sets itself, then own:
 * views in an array to free(). NULL without memory.
 */
const char **environ_join(char *const *base, const char *const *own);

/* Set each of a list over what stands in *env. 0, or -1 without memory. */
int environ_override(struct strv *env, char *const *list);

#endif
