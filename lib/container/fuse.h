/*
 * The image's squashfs, mounted without privilege: a child process answers the
 * kernel's FUSE requests from the already open image. The only user of
 * squashfuse and libfuse.
 */
#ifndef CT_CONTAINER_FUSE_H
#define CT_CONTAINER_FUSE_H

#include "base/error.h"
#include "container/image.h"

#include <sys/types.h>

/*
 * Make a detached, read-only mount of the image in the caller's user namespace
 * (CAP_SYS_ADMIN there). name is shown in the mount table. 0, *ret_fd is the
 * mount and *ret_pid the serving child, which dies with the calling process;
 * the mount answers its first request when the child is ready, or fails with
 * ENOTCONN if that died. -1: ENOTSUP FUSE cannot be had here (the text says
 * what to do), EBADMSG the file system is broken.
 */
int fuse_mount_image(const struct image *image, const char *name, int *ret_fd,
                     pid_t *ret_pid, struct ct_error *reterr);

#endif
