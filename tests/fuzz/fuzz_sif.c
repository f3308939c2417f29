/*
 * The input is the size that the file is said to have (8 bytes, little-endian)
 * and its first bytes; they are read as image_open() reads an image, and as a
 * squashfs.
 */
#include "container/le.h"
#include "container/sif.h"
#include "container/squash.h"
#include "tests/fuzz/target.h"

#include <ctype.h>
#include <errno.h>

enum { HEAD_MAX = 2048 };

struct file {
    const uint8_t *bytes;
    size_t len;    /* of what is at hand */
    uint64_t size; /* what it is said to have */
};

/* A copy of its own, so that ASan sees its end; cut where the bytes end. */
static uint8_t *read_at(const struct file *file, uint64_t offset, size_t *len)
{
    size_t rest = offset < file->len ? file->len - (size_t)offset : 0;

    if (*len > rest)
        *len = rest;
    return copy_of(*len > 0 ? file->bytes + offset : NULL, *len);
}

static void check_error(const struct ct_error *error)
{
    MUST(error->code == ENOEXEC || error->code == ENOTSUP ||
         error->code == EBADMSG);
    MUST(error->text[0] != '\0');
    for (const char *c = error->text; *c != '\0'; c++)
        MUST(isprint((unsigned char)*c));
}

static void check_untouched(const void *ret, size_t size)
{
    for (size_t i = 0; i < size; i++)
        MUST(((const uint8_t *)ret)[i] == 0xa5);
}

static void check_inside(uint64_t offset, uint64_t size, uint64_t filesize)
{
    MUST(offset <= filesize && size <= filesize - offset);
}

static void check_arch(const char *arch)
{
    const char *name = sif_arch_name(arch);

    MUST(strlen(arch) == 2 && strspn(arch, "0123456789?") == 2);
    MUST(name == NULL || name[0] != '\0');
}

/* --- squashfs */

static void check_info(const uint8_t *head, size_t len, uint64_t available,
                       const struct squash_info *info)
{
    struct squash_info less;

    MUST(info->size >= SQUASH_SUPERBLOCK_SIZE && info->size <= available);
    MUST(info->block_size >= 4096 && info->block_size <= 1024 * 1024);
    MUST((info->block_size & (info->block_size - 1)) == 0);
    MUST(info->compressor != NULL && info->compressor[0] != '\0');
    MUST(squash_check(head, len, info->size, &less, NULL) == 0);
    MUST(squash_check(head, len, info->size - 1, &less, NULL) == -1);
}

static void check_squash(const struct file *file, uint64_t offset,
                         uint64_t available)
{
    size_t len = SQUASH_SUPERBLOCK_SIZE;
    uint8_t *head = read_at(file, offset, &len);
    struct ct_error error = {0};
    struct squash_info info;

    memset(&info, 0xa5, sizeof info);
    if (squash_check(head, len, available, &info, &error) < 0) {
        check_error(&error);
        MUST(squash_is(head, len) == (error.code != ENOEXEC));
        check_untouched(&info, sizeof info);
    } else {
        check_info(head, len, available, &info);
    }
    free(head);
}

/* --- SIF */

static void check_partition(const struct file *file, const uint8_t *slots,
                            size_t len, const struct sif_table *table,
                            const struct sif_partition *part)
{
    struct sif_partition less;
    uint64_t end = part->offset + part->size;

    check_inside(part->offset, part->size, file->size);
    check_arch(part->arch);
    MUST(sif_fstype_name(part->fstype)[0] != '\0');
    MUST(sif_find_primary(slots, len, table, end, &less, NULL) == 0);
    MUST(end == 0 ||
         sif_find_primary(slots, len, table, end - 1, &less, NULL) == -1);
    check_squash(file, part->offset, part->size);
}

static void check_table(const struct file *file, const struct sif_table *table)
{
    size_t len = (size_t)table->total * SIF_DESCRIPTOR_SIZE;
    struct ct_error error = {0};
    struct sif_partition part;
    uint8_t *slots;

    MUST(table->total >= 1 && table->total <= SIF_DESCRIPTORS_MAX);
    check_inside(table->offset, len, file->size);
    check_arch(table->arch);
    slots = read_at(file, table->offset, &len);
    memset(&part, 0xa5, sizeof part);
    if (sif_find_primary(slots, len, table, file->size, &part, &error) < 0) {
        check_error(&error);
        check_untouched(&part, sizeof part);
    } else {
        check_partition(file, slots, len, table, &part);
    }
    free(slots);
}

static void check_sif(const struct file *file)
{
    size_t len = HEAD_MAX;
    uint8_t *head = read_at(file, 0, &len);
    struct ct_error error = {0};
    struct sif_table table;

    memset(&table, 0xa5, sizeof table);
    if (sif_decode_header(head, len, file->size, &table, &error) < 0) {
        check_error(&error);
        MUST(sif_is(head, len) == (error.code != ENOEXEC));
        check_untouched(&table, sizeof table);
    } else {
        check_table(file, &table);
    }
    free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file file;

    if (size < 8)
        return 0;
    file = (struct file){
        .bytes = data + 8, .len = size - 8, .size = le64_at(data)};
    check_sif(&file);
    check_squash(&file, 0, file.size);
    return 0;
}
