/*
 * In the place of fuse.c where configure was told --without-squashfuse.
 */
#include "container/fuse.h"

#include <errno.h>

int fuse_mount_image(const struct image *image, const char *name, int *ret_fd,
                     pid_t *ret_pid, struct ct_error *reterr)
{
    (void)image;
    (void)ret_fd;
    (void)ret_pid;
    return ct_fail(reterr, ENOTSUP,
                   "%s: this ctrun was built without squashfuse, so it runs "
                   "images from directories alone (unsquashfs, or apptainer "
                   "build --sandbox, makes one)",
                   name);
}
