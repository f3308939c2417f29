/*
 * From a path to an open root file system.
 *
 * open_directory() and open_file() decide by what open(2) itself returned, so
 * nothing can be swapped between a look and the open. A file is told by its
 * first bytes: SIF, squashfs (maybe behind the one-line launch script of the
 * old .simg), or a row of formats[], which are the ones people do hand in and
 * which get an advice instead of "not an image".
 */
#include "container/image.h"

#include "base/pread.h"
#include "base/scope.h"
#include "container/sif.h"
#include "container/squash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    HEAD_SIZE = 2048,   /* all we look at to tell the format */
    LAUNCH_MAX = 256,   /* longest launch line we skip */
    SHOWN_PATH_MAX = 96 /* of a path in a message: the reason needs room */
};

struct file {
    int fd;
    uint64_t size;
    unsigned char head[HEAD_SIZE];
    size_t len; /* of head */
};

struct format {
    size_t offset;
    const char *magic;
    size_t len;
    const char *refusal;
};

#define MAGIC(offset, bytes) offset, bytes, sizeof bytes - 1

#define ARCHIVE_ADVICE                                                         \
    "if docker save or podman save made it, convert it with: apptainer build " \
    "new.sif docker-archive:FILE; if it holds a root file system, unpack it "  \
    "into a directory"

static const struct format formats[] = {
    {MAGIC(1080, "\x53\xef"),
     "ext3 image: rebuild it as SIF or squashfs: apptainer build new.sif FILE"},
    {MAGIC(1024, "\xe2\xe1\xf5\xe0"),
     "EROFS image: rebuild it as SIF or squashfs"},
    {MAGIC(0, "LUKS\xba\xbe"),
     "encrypted file system (LUKS): ctrun has no key; rebuild it as plain SIF "
     "or squashfs"},
    {MAGIC(0, "sqsh"),
     "big-endian squashfs of before 2009: rebuild it with a current "
     "mksquashfs"},
    {MAGIC(257, "ustar"), "tar archive: " ARCHIVE_ADVICE},
    {MAGIC(0, "\x1f\x8b"), "gzip-compressed file: " ARCHIVE_ADVICE},
    {MAGIC(0, "\x28\xb5\x2f\xfd"), "zstd-compressed file: " ARCHIVE_ADVICE},
    {MAGIC(0, "\xfd\x37zXZ"), "xz-compressed file: " ARCHIVE_ADVICE},
    {MAGIC(0, "BZh"), "bzip2-compressed file: " ARCHIVE_ADVICE},
    {MAGIC(0, "\177ELF"),
     "a program (ELF file), not an image: the image comes before the command"},
    {MAGIC(0, "version https://git-lfs"),
     "a Git LFS pointer, not the image itself: fetch it with: git lfs pull"},
    {MAGIC(0, "#!"),
     "a script, not an image: the image comes before the command"},
};

static const struct {
    int32_t fstype;
    const char *refusal;
} fstype_refusals[] = {
    {2, "SIF with an ext3 root file system: rebuild it with: apptainer build "
        "new.sif FILE"},
    {5, "SIF with an encrypted root file system (LUKS2): ctrun has no key; "
        "rebuild it without --encrypt"},
    {6, "SIF with an encrypted root file system (gocryptfs): ctrun has no key; "
        "rebuild it without --encrypt"},
};

static int find_squashfs(const struct file *file, uint64_t offset,
                         uint64_t available, struct image *ret,
                         struct ct_error *reterr)
{
    unsigned char super[SQUASH_SUPERBLOCK_SIZE];
    struct squash_info info;
    ssize_t len = ct_pread(file->fd, super, sizeof super, offset);

    if (len < 0)
        return ct_fail_errno(reterr, "cannot read");
    if (squash_check(super, (size_t)len, available, &info, reterr) < 0)
        return -1;
    ret->offset = offset;
    ret->size = info.size;
    ret->compressor = info.compressor;
    return 0;
}

static int read_table(const struct file *file, const struct sif_table *table,
                      struct sif_partition *ret, struct ct_error *reterr)
{
    size_t size = (size_t)table->total * SIF_DESCRIPTOR_SIZE;
    CT_AUTO_FREE unsigned char *slots = malloc(size);
    ssize_t len;

    if (slots == NULL)
        return ct_fail_nomem(reterr);
    len = ct_pread(file->fd, slots, size, table->offset);
    if (len < 0)
        return ct_fail_errno(reterr, "cannot read");
    return sif_find_primary(slots, (size_t)len, table, file->size, ret, reterr);
}

static int check_fstype(int32_t fstype, struct ct_error *reterr)
{
    if (fstype == 1)
        return 0;
    for (size_t i = 0; i < sizeof fstype_refusals / sizeof fstype_refusals[0];
         i++)
        if (fstype_refusals[i].fstype == fstype)
            return ct_fail(reterr, ENOTSUP, "%s", fstype_refusals[i].refusal);
    return ct_fail(reterr, ENOTSUP,
                   "SIF with a root file system of type %d (%s): ctrun runs "
                   "squashfs only; rebuild it with: apptainer build",
                   (int)fstype, sif_fstype_name(fstype));
}

static int check_arch(const char *partition, const char *header,
                      struct ct_error *reterr)
{
    const char *code = sif_arch_name(partition) != NULL ? partition : header;
    const char *name = sif_arch_name(code);
    const char *host = sif_arch_name(sif_arch_host());

    if (strcmp(code, sif_arch_host()) == 0)
        return 0;
    if (host == NULL)
        host = "of a kind that SIF has no code for";
    if (name == NULL)
        return ct_fail(reterr, ENOTSUP,
                       "built for an unknown machine (code %s), this machine "
                       "is %s",
                       code, host);
    return ct_fail(reterr, ENOTSUP, "built for %s, this machine is %s", name,
                   host);
}

static int find_sif(const struct file *file, struct image *ret,
                    struct ct_error *reterr)
{
    struct sif_table table;
    struct sif_partition part;

    if (sif_decode_header(file->head, file->len, file->size, &table, reterr) <
            0 ||
        read_table(file, &table, &part, reterr) < 0 ||
        check_fstype(part.fstype, reterr) < 0 ||
        check_arch(part.arch, table.arch, reterr) < 0)
        return -1;
    ret->kind = IMAGE_SIF;
    if (find_squashfs(file, part.offset, part.size, ret, reterr) < 0)
        return ct_fail_in(reterr, "SIF");
    return 0;
}

/* Where the line "#!... run-singularity\n" ends; 0 when there is none. */
static size_t launch_length(const struct file *file)
{
    static const char word[] = " run-singularity";
    size_t word_len = sizeof word - 1;
    const unsigned char *end;

    if (file->len < 2 || memcmp(file->head, "#!", 2) != 0)
        return 0;
    end = memchr(file->head, '\n',
                 file->len < LAUNCH_MAX ? file->len : LAUNCH_MAX);
    if (end == NULL || (size_t)(end - file->head) < word_len ||
        memcmp(end - word_len, word, word_len) != 0)
        return 0;
    return (size_t)(end - file->head) + 1;
}

static int refuse_format(const struct file *file, struct ct_error *reterr)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct format *f = &formats[i];
        if (f->offset + f->len <= file->len &&
            memcmp(file->head + f->offset, f->magic, f->len) == 0)
            return ct_fail(reterr, ENOTSUP, "%s", f->refusal);
    }
    return ct_fail(reterr, ENOEXEC,
                   "not an image: neither SIF nor squashfs nor a directory");
}

static bool is_short_sif(const struct file *file)
{
    static const char magic[] = "SIF_MAGIC";

    return file->len < SIF_HEADER_SIZE && file->len >= 32 + sizeof magic &&
           memcmp(file->head + 32, magic, sizeof magic) == 0;
}

static int recognise(const struct file *file, struct image *ret,
                     struct ct_error *reterr)
{
    size_t launch = launch_length(file);

    if (file->len == 0)
        return ct_fail(reterr, ENOEXEC, "an empty file, not an image");
    if (sif_is(file->head, file->len))
        return find_sif(file, ret, reterr);
    if (is_short_sif(file))
        return ct_fail(reterr, EBADMSG,
                       "truncated SIF: the file ends in its header");
    if (!squash_is(file->head + launch, file->len - launch))
        return refuse_format(file, reterr);
    ret->kind = IMAGE_SQUASHFS;
    return find_squashfs(file, launch, file->size - launch, ret, reterr);
}

static int check_regular(struct file *file, struct ct_error *reterr)
{
    struct stat st;

    if (fstat(file->fd, &st) < 0)
        return ct_fail_errno(reterr, "cannot stat");
    if (S_ISFIFO(st.st_mode))
        return ct_fail(reterr, ENOEXEC, "a FIFO, not an image");
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return ct_fail(reterr, ENOEXEC, "a device, not an image");
    if (!S_ISREG(st.st_mode))
        return ct_fail(reterr, ENOEXEC, "not a regular file or a directory");
    file->size = (uint64_t)st.st_size;
    return 0;
}

static int fail_open(const char *path, struct ct_error *reterr)
{
    if (errno == ENXIO)
        return ct_fail(reterr, ENOEXEC, "a socket or a device, not an image");
    if (errno == ENOENT && strstr(path, "://") != NULL)
        return ct_fail(reterr, ENOENT,
                       "ctrun does not fetch images: get it first with: "
                       "apptainer pull new.sif URI");
    return ct_fail_errno(reterr, "cannot open");
}

/* O_NONBLOCK and O_NOCTTY: a FIFO must not block, a terminal not be taken. */
static int open_file(const char *path, struct image *ret,
                     struct ct_error *reterr)
{
    CT_AUTO_FD int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct file file = {.fd = fd};
    ssize_t len;

    if (fd < 0)
        return fail_open(path, reterr);
    if (check_regular(&file, reterr) < 0)
        return -1;
    len = ct_pread(fd, file.head, sizeof file.head, 0);
    if (len < 0)
        return ct_fail_errno(reterr, "cannot read");
    file.len = (size_t)len;
    if (file.len > file.size) /* it grew since fstat() */
        file.size = file.len;
    if (recognise(&file, ret, reterr) < 0)
        return -1;
    ret->fd = ct_steal_fd(&fd);
    return 0;
}

static bool has(int dirfd, const char *name, mode_t type)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (st.st_mode & S_IFMT) == type;
}

static int check_directory(int dirfd, struct ct_error *reterr)
{
    if (faccessat(dirfd, ".", X_OK, AT_EACCESS) < 0)
        return ct_fail_errno(reterr, "cannot enter the directory");
    if (has(dirfd, "oci-layout", S_IFREG) && has(dirfd, "index.json", S_IFREG))
        return ct_fail(reterr, ENOTSUP,
                       "OCI image layout: convert it with: apptainer build "
                       "new.sif oci:DIRECTORY");
    if (has(dirfd, "config.json", S_IFREG) && has(dirfd, "rootfs", S_IFDIR))
        return ct_fail(reterr, ENOTSUP,
                       "OCI bundle: give its directory rootfs/ as the image");
    return 0;
}

static int open_image(const char *path, struct image *ret,
                      struct ct_error *reterr)
{
    CT_AUTO_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOTDIR)
        return open_file(path, ret, reterr);
    if (fd < 0)
        return fail_open(path, reterr);
    if (check_directory(fd, reterr) < 0)
        return -1;
    ret->kind = IMAGE_DIRECTORY;
    ret->fd = ct_steal_fd(&fd);
    return 0;
}

int image_open(const char *path, struct image *ret, struct ct_error *reterr)
{
    struct image image = {.fd = -1};
    size_t len = strlen(path);

    if (open_image(path, &image, reterr) == 0) {
        *ret = image;
        return 0;
    }
    if (len > SHOWN_PATH_MAX)
        return ct_fail_in(reterr, "...%s", path + len - SHOWN_PATH_MAX);
    return ct_fail_in(reterr, "%s", path);
}

void image_close(struct image *image)
{
    ct_close(&image->fd);
}

const char *image_kind_name(enum image_kind kind)
{
    static const char *const names[] = {
        [IMAGE_DIRECTORY] = "directory",
        [IMAGE_SQUASHFS] = "squashfs",
        [IMAGE_SIF] = "sif",
    };

    return names[kind];
}
