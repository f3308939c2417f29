/*
 * The squashfs 4.0 superblock: is this a file system we can mount, and is all
 * of it there? Pure. Whether the linked squashfuse has the compressor is the
 * mount's question.
 */
#ifndef CT_CONTAINER_SQUASH_H
#define CT_CONTAINER_SQUASH_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SQUASH_SUPERBLOCK_SIZE = 96 };

struct squash_info {
    uint64_t size;          /* bytes used, <= available */
    uint32_t block_size;    /* 4 KiB .. 1 MiB, a power of two */
    const char *compressor; /* "gzip", "lzma", "lzo", "xz", "lz4", "zstd" */
};

/* Do these bytes start a (little-endian) squashfs? */
bool squash_is(const unsigned char *head, size_t len);

/*
 * Check a superblock; head holds len bytes from the start of the file system,
 * of which the file has `available` from there on. 0 and *ret; -1: ENOEXEC not
 * squashfs, ENOTSUP another version or compressor, EBADMSG broken or truncated.
 */
int squash_check(const unsigned char *head, size_t len, uint64_t available,
                 struct squash_info *ret, struct ct_error *reterr);

#endif
