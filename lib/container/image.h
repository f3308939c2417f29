/*
 * What is this image? Recognised by its bytes, never by its name, and refused
 * with one line that says what it is and what to do.
 *
 * SIF layout: Sylabs sif (pkg/sif), all integers little-endian, packed. What we
 * read is bounded here; no reader further down opens the file again by path.
 */
#ifndef CT_CONTAINER_IMAGE_H
#define CT_CONTAINER_IMAGE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum image_kind { IMAGE_DIRECTORY, IMAGE_SQUASHFS, IMAGE_SIF };

struct image {
    enum image_kind kind;
    int fd;          /* open for reading (O_PATH for a directory), CLOEXEC */
    uint64_t offset; /* of the squashfs file system in the file */
    uint64_t size;   /* of the file system, in bytes; 0 for a directory */
    const char *compressor; /* "gzip", "zstd", ...; NULL for a directory */
};

/*
 * Open path and find its root file system. 0 with a caller-owned *ret
 * (image_close), or -1 with the reason.
 */
int image_open(const char *path, struct image *ret, struct ct_error *reterr);
void image_close(struct image *image);

/* "sif", "squashfs", "directory" */
const char *image_kind_name(enum image_kind kind);

#endif
