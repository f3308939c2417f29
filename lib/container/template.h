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
    int mntns;      /* the mount namespace; CLOEXEC */
    pid_t fuse_pid; /* who serves the image, or 0 */
};

/*
 * Make the caller's mount namespace, which shows the host, a template. The
 * caller is single-threaded and owns its user namespace (namespace.h). 0 with a
 * caller-owned *ret; -1 with the reason, the mount namespace half-made.
 */
int template_build(const struct plan *plan, struct template *ret,
                   struct ct_error *reterr);

/*
 * Show a file of the host in the place of one that the template has, for all
 * who come into it afterwards; hostns is the mount namespace of the former.
 * The caller is in the template's, and stays there. ENOENT: it has no such
 * file.
 */
int template_cover(const struct template *template, int hostns,
                   const char *source, const char *target,
                   struct ct_error *reterr);

#endif
