/*
 * The template: a mount namespace that holds what a plan says and nothing else.
 * It is made once a node; every rank starts from a copy of it.
 */
#ifndef CT_CONTAINER_TEMPLATE_H
#define CT_CONTAINER_TEMPLATE_H

#include "base/error.h"
#include "container/plan.h"

#include <sys/types.h>

struct template
{
    int mntns;                         /* the mount namespace; CLOEXEC */
    pid_t fuse_pid;                    /* who serves the image, or 0 */
    int libraries[PLAN_PMI_LIBRARIES]; /* of the host, as detached trees; -1 */
};

/*
 * Make the caller's mount namespace, which shows the host, a template. The
 * caller is single-threaded and owns its user namespace (namespace.h). 0 with a
 * caller-owned *ret; -1 with the reason, the mount namespace half-made.
 */
int template_build(const struct plan *plan, struct template *ret,
                   struct ct_error *reterr);

/*
 * Show the host's libpmi.so.0 or libpmi2.so.0, by the name in target's last
 * part, in the place of what the template has there, for all who come into it
 * afterwards. The caller is in it.
 */
int template_cover(struct template *template, const char *target,
                   struct ct_error *reterr);

#endif
