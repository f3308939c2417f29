#include "container/sif.h"

#include "container/le.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Byte offsets in the global header. */
enum {
    HEADER_MAGIC = 32,
    HEADER_VERSION = 42,
    HEADER_ARCH = 45,
    HEADER_TOTAL = 88,
    HEADER_TABLE = 96,
};

/* Byte offsets in a descriptor; those from 201 are a partition's. */
enum {
    SLOT_TYPE = 0,
    SLOT_USED = 4,
    SLOT_OFFSET = 17,
    SLOT_SIZE = 25,
    SLOT_FSTYPE = 201,
    SLOT_PARTTYPE = 205,
    SLOT_ARCH = 209,
};

enum { TYPE_PARTITION = 0x4004, TYPE_OCI_INDEX = 0x400a };
enum { PART_PRIMARY = 2 };

static const char magic[10] = "SIF_MAGIC";

static const struct {
    const char *code;
    const char *name;
} archs[] = {
    {"01", "386"},     {"02", "amd64"},    {"03", "arm"},   {"04", "arm64"},
    {"05", "ppc64"},   {"06", "ppc64le"},  {"07", "mips"},  {"08", "mipsle"},
    {"09", "mips64"},  {"10", "mips64le"}, {"11", "s390x"}, {"12", "riscv64"},
    {"13", "loong64"},
};

static const char *const fstypes[] = {
    "unknown",
    "squashfs",
    "ext3",
    "archive",
    "raw",
    "encrypted squashfs",
    "gocryptfs squashfs",
};

bool sif_is(const unsigned char *head, size_t len)
{
    return len >= SIF_HEADER_SIZE &&
           memcmp(head + HEADER_MAGIC, magic, sizeof magic) == 0;
}

/* The bytes may end up in a message: nothing but digits gets through. */
static void copy_arch(const unsigned char *from, char *to)
{
    for (int i = 0; i < 2; i++)
        to[i] = from[i] >= '0' && from[i] <= '9' ? (char)from[i] : '?';
    to[2] = '\0';
}

static bool fits(uint64_t offset, uint64_t size, uint64_t filesize)
{
    return offset <= filesize && size <= filesize - offset;
}

static int fail_truncated(const char *what, uint64_t offset, uint64_t size,
                          uint64_t filesize, struct ct_error *reterr)
{
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return ct_fail(reterr, EBADMSG,
                       "broken SIF: the %s has a negative offset or size",
                       what);
    return ct_fail(reterr, EBADMSG,
                   "truncated SIF: the %s ends at byte %" PRIu64
                   ", the file has %" PRIu64,
                   what, offset + size, filesize);
}

int sif_decode_header(const unsigned char *head, size_t len, uint64_t filesize,
                      struct sif_table *ret, struct ct_error *reterr)
{
    struct sif_table table;
    uint64_t total;

    if (!sif_is(head, len))
        return ct_fail(reterr, ENOEXEC, "not a SIF file");
    if (memcmp(head + HEADER_VERSION, "01", 3) != 0)
        return ct_fail(reterr, ENOTSUP, "SIF of an unknown version (not 01)");
    copy_arch(head + HEADER_ARCH, table.arch);
    total = le64_at(head + HEADER_TOTAL);
    if (total < 1 || total > SIF_DESCRIPTORS_MAX)
        return ct_fail(reterr, EBADMSG,
                       "broken SIF: %" PRId64
                       " descriptors, 1 to %d are allowed",
                       (int64_t)total, SIF_DESCRIPTORS_MAX);
    table.total = (uint32_t)total;
    table.offset = le64_at(head + HEADER_TABLE);
    if (!fits(table.offset, total * SIF_DESCRIPTOR_SIZE, filesize))
        return fail_truncated("descriptor table", table.offset,
                              total * SIF_DESCRIPTOR_SIZE, filesize, reterr);
    *ret = table;
    return 0;
}

static bool is_used(const unsigned char *slot, uint32_t type)
{
    return slot[SLOT_USED] == 1 && le32_at(slot + SLOT_TYPE) == type;
}

static bool is_primary(const unsigned char *slot)
{
    return is_used(slot, TYPE_PARTITION) &&
           le32_at(slot + SLOT_PARTTYPE) == PART_PRIMARY;
}

static int fail_no_primary(bool oci, struct ct_error *reterr)
{
    /* Apptainer cannot read an OCI-SIF either: the way out is the source. */
    if (oci)
        return ct_fail(reterr, ENOTSUP,
                       "OCI-SIF: ctrun runs plain SIF only; fetch it again "
                       "with: apptainer pull new.sif docker://... (or "
                       "singularity pull --no-oci)");
    return ct_fail(reterr, ENOTSUP,
                   "SIF without a root file system: no primary partition");
}

static void decode_partition(const unsigned char *slot,
                             struct sif_partition *ret)
{
    ret->offset = le64_at(slot + SLOT_OFFSET);
    ret->size = le64_at(slot + SLOT_SIZE);
    ret->fstype = (int32_t)le32_at(slot + SLOT_FSTYPE);
    copy_arch(slot + SLOT_ARCH, ret->arch);
}

int sif_find_primary(const unsigned char *slots, size_t len,
                     const struct sif_table *table, uint64_t filesize,
                     struct sif_partition *ret, struct ct_error *reterr)
{
    const unsigned char *primary = NULL;
    struct sif_partition partition;
    bool oci = false;

    if (len / SIF_DESCRIPTOR_SIZE < table->total)
        return ct_fail(reterr, EBADMSG,
                       "truncated SIF: the file ends in its descriptor table");
    for (uint32_t i = 0; i < table->total; i++) {
        const unsigned char *slot = slots + (size_t)i * SIF_DESCRIPTOR_SIZE;
        oci |= is_used(slot, TYPE_OCI_INDEX);
        if (!is_primary(slot))
            continue;
        if (primary != NULL)
            return ct_fail(reterr, EBADMSG,
                           "broken SIF: more than one primary partition");
        primary = slot;
    }
    if (primary == NULL)
        return fail_no_primary(oci, reterr);
    decode_partition(primary, &partition);
    if (!fits(partition.offset, partition.size, filesize))
        return fail_truncated("root file system", partition.offset,
                              partition.size, filesize, reterr);
    *ret = partition;
    return 0;
}

const char *sif_arch_name(const char *code)
{
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (strcmp(archs[i].code, code) == 0)
            return archs[i].name;
    return NULL;
}

const char *sif_arch_host(void)
{
#if defined(__x86_64__)
    return "02";
#elif defined(__i386__)
    return "01";
#elif defined(__aarch64__)
    return "04";
#elif defined(__arm__)
    return "03";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return "06";
#elif defined(__powerpc64__)
    return "05";
#elif defined(__s390x__)
    return "11";
#elif defined(__riscv) && __riscv_xlen == 64
    return "12";
#elif defined(__loongarch64)
    return "13";
#else
    return "00";
#endif
}

const char *sif_fstype_name(int32_t fstype)
{
    if (fstype < 0 || (size_t)fstype >= sizeof fstypes / sizeof fstypes[0])
        return fstypes[0];
    return fstypes[fstype];
}
