/*
 * What a read-only image lacks so that the plan's mounts have something to be
 * mounted on: directories and empty files in "skel", the layer that template.c
 * lays over the image, and files of its own in "files". Paths are relative to
 * the stage, which is the working directory.
 */
#ifndef CT_CONTAINER_SKELETON_H
#define CT_CONTAINER_SKELETON_H

#include "base/error.h"
#include "container/plan.h"

#include <stdbool.h>

/*
 * See to it that target exists in the image or in skel, where a link that leads
 * nowhere is hidden by what it should have led to. 1 when skel had to be used,
 * 0 when not, -1.
 */
int skeleton_add(int image, const char *target, bool directory,
                 struct ct_error *reterr);

/*
 * Carry out a MOUNT_APPEND: 0 and a detached mount of the image's file with the
 * line, or -1 in *ret_tree when the image's file has such a line already.
 */
int skeleton_append(int image, const struct mount *m, unsigned number,
                    int *ret_tree, struct ct_error *reterr);

#endif
