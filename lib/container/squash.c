#include "container/squash.h"

#include "container/le.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    SUPER_BLOCK_SIZE = 12,
    SUPER_COMPRESSOR = 20,
    SUPER_BLOCK_LOG = 22,
    SUPER_MAJOR = 28,
    SUPER_MINOR = 30,
    SUPER_BYTES_USED = 40,
};

enum { BLOCK_LOG_MIN = 12, BLOCK_LOG_MAX = 20 };

static const char *const compressors[] = {
    NULL, "gzip", "lzma", "lzo", "xz", "lz4", "zstd",
};

bool squash_is(const unsigned char *head, size_t len)
{
    return len >= 4 && memcmp(head, "hsqs", 4) == 0;
}

static const char *compressor_name(unsigned id)
{
    return id < sizeof compressors / sizeof compressors[0] ? compressors[id]
                                                           : NULL;
}

static int check_version(const unsigned char *head, struct ct_error *reterr)
{
    unsigned major = le16_at(head + SUPER_MAJOR);
    unsigned minor = le16_at(head + SUPER_MINOR);

    if (major == 4 && minor == 0)
        return 0;
    return ct_fail(reterr, ENOTSUP,
                   "squashfs of version %u.%u: only 4.0 can be read; rebuild "
                   "it with a current mksquashfs",
                   major, minor);
}

static int check_block(const unsigned char *head, struct ct_error *reterr)
{
    unsigned log = le16_at(head + SUPER_BLOCK_LOG);
    uint32_t size = le32_at(head + SUPER_BLOCK_SIZE);

    if (log >= BLOCK_LOG_MIN && log <= BLOCK_LOG_MAX && size == 1u << log)
        return 0;
    return ct_fail(reterr, EBADMSG,
                   "broken squashfs: block size %" PRIu32 " (2^%u)", size, log);
}

static int check_size(uint64_t size, uint64_t available,
                      struct ct_error *reterr)
{
    if (size < SQUASH_SUPERBLOCK_SIZE)
        return ct_fail(reterr, EBADMSG,
                       "broken squashfs: %" PRIu64 " bytes used", size);
    if (size > available)
        return ct_fail(reterr, EBADMSG,
                       "truncated squashfs: the header says %" PRIu64
                       " bytes, the file has %" PRIu64,
                       size, available);
    return 0;
}

int squash_check(const unsigned char *head, size_t len, uint64_t available,
                 struct squash_info *ret, struct ct_error *reterr)
{
    const char *compressor;
    uint64_t size;

    if (!squash_is(head, len))
        return ct_fail(reterr, ENOEXEC, "not a squashfs file system");
    if (len < SQUASH_SUPERBLOCK_SIZE)
        return ct_fail(reterr, EBADMSG,
                       "truncated squashfs: the file ends in its header");
    if (check_version(head, reterr) < 0 || check_block(head, reterr) < 0)
        return -1;
    compressor = compressor_name(le16_at(head + SUPER_COMPRESSOR));
    if (compressor == NULL)
        return ct_fail(reterr, ENOTSUP,
                       "squashfs with an unknown compressor (%u)",
                       le16_at(head + SUPER_COMPRESSOR));
    size = le64_at(head + SUPER_BYTES_USED);
    if (check_size(size, available, reterr) < 0)
        return -1;
    ret->size = size;
    ret->block_size = le32_at(head + SUPER_BLOCK_SIZE);
    ret->compressor = compressor;
    return 0;
}
