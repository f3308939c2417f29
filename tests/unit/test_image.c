#include "container/image.h"
#include "container/sif.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The SIF that tests begin with: header, two slots, a squashfs of zeros. */
enum { SLOT = SIF_HEADER_SIZE + SIF_DESCRIPTOR_SIZE };
enum { MAGIC_END = 42, TABLE_END = SLOT + SIF_DESCRIPTOR_SIZE };
enum { PART = 4096, PART_SIZE = 4096, FILE_SIZE = PART + PART_SIZE };

enum { NOBODY = 65534 };

static const char launch[] = "#!/usr/bin/env run-singularity\n";

static char dir[] = "/tmp/test_image.XXXXXX";
static char file[64];

/* What the last test left, even if it failed. */
static void clean(void)
{
    static const char *const names[] = {"file/config.json",
                                        "file/index.json",
                                        "file/oci-layout",
                                        "file/rootfs",
                                        "file",
                                        "link"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
}

/* --- bytes */

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static void put_squashfs(unsigned char *to, uint64_t size)
{
    memcpy(to, "hsqs", 4);
    put(to + 12, 131072, 4);
    put(to + 20, 6, 2); /* zstd */
    put(to + 22, 17, 2);
    put(to + 28, 4, 2);
    put(to + 40, size, 8);
}

static void put_slot(unsigned char *to, unsigned type, uint64_t offset,
                     uint64_t size)
{
    put(to, type, 4);
    put(to + 4, 1, 1); /* used */
    put(to + 17, offset, 8);
    put(to + 25, size, 8);
}

static void put_sif(unsigned char *to)
{
    memset(to, 0, FILE_SIZE);
    memcpy(to, launch, sizeof launch - 1);
    memcpy(to + 32, "SIF_MAGIC\00001", 13);
    memcpy(to + 45, sif_arch_host(), 3);
    put(to + 88, 2, 8);
    put(to + 96, SIF_HEADER_SIZE, 8);
    put_slot(to + SIF_HEADER_SIZE, 0x4001, PART - 10, 10);
    put_slot(to + SLOT, 0x4004, PART, PART_SIZE);
    put(to + SLOT + 201, 1, 4); /* squashfs */
    put(to + SLOT + 205, 2, 4); /* primary system */
    memcpy(to + SLOT + 209, sif_arch_host(), 3);
    put_squashfs(to + PART, PART_SIZE);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* --- what must hold for each image, each refusal */

static int lowest_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static void open_good(const char *path, struct image *ret)
{
    struct ct_error err = {0};

    ck_assert_msg(image_open(path, ret, &err) == 0, "%s", err.text);
    ck_assert_int_ge(ret->fd, 0);
    ck_assert_int_eq(fcntl(ret->fd, F_GETFD), FD_CLOEXEC);
}

static void check_squashfs(const struct image *image, enum image_kind kind,
                           uint64_t offset, uint64_t size)
{
    char magic[4];

    ck_assert_int_eq(image->kind, kind);
    ck_assert_uint_eq(image->offset, offset);
    ck_assert_uint_eq(image->size, size);
    ck_assert_str_eq(image->compressor, "zstd");
    ck_assert_int_eq(
        pread(image->fd, magic, sizeof magic, (off_t)image->offset), 4);
    ck_assert_int_eq(memcmp(magic, "hsqs", 4), 0);
}

/* The text after "PATH: " is from the caller's table, word for word. */
static void check_refused(const char *path, int code, const char *text)
{
    struct image image;
    struct ct_error err = {0};
    int fd = lowest_fd();

    memset(&image, 0xa5, sizeof image);
    ck_assert_msg(image_open(path, &image, &err) == -1, "taken: %s", text);
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
    ck_assert_int_eq(strncmp(err.text + strlen(path), ": ", 2), 0);
    ck_assert_str_eq(err.text + strlen(path) + 2, text);
    ck_assert_int_eq(err.code, code);
    ck_assert_int_eq(lowest_fd(), fd);
    for (size_t i = 0; i < sizeof image; i++)
        ck_assert_uint_eq(((unsigned char *)&image)[i], 0xa5);
    ck_assert_int_eq(image_open(path, &image, NULL), -1);
}

/* --- directories */

static void make_directory(const char *name, const char *inside)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", file, name);
    if (inside == NULL)
        ck_assert_int_eq(mkdir(path, 0755), 0);
    else
        write_file(path, inside, strlen(inside));
}

START_TEST(a_directory)
{
    struct image image;

    ck_assert_int_eq(mkdir(file, 0755), 0);
    open_good(file, &image);
    ck_assert_int_eq(image.kind, IMAGE_DIRECTORY);
    ck_assert_uint_eq(image.offset, 0);
    ck_assert_uint_eq(image.size, 0);
    ck_assert_ptr_null(image.compressor);
    ck_assert_int_eq(faccessat(image.fd, ".", X_OK, 0), 0);
    image_close(&image);
    ck_assert_int_eq(image.fd, -1);
    image_close(&image);
}
END_TEST

START_TEST(a_directory_with_half_of_a_mark)
{
    struct image image;

    ck_assert_int_eq(mkdir(file, 0755), 0);
    make_directory("index.json", "{}");
    make_directory("config.json", "{}");
    make_directory("rootfs", "not a directory");
    open_good(file, &image);
    image_close(&image);
}
END_TEST

START_TEST(an_oci_layout)
{
    ck_assert_int_eq(mkdir(file, 0755), 0);
    make_directory("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    make_directory("index.json", "{}");
    check_refused(file, ENOTSUP,
                  "OCI image layout: convert it with: apptainer build new.sif "
                  "oci:DIRECTORY");
}
END_TEST

START_TEST(an_oci_bundle)
{
    ck_assert_int_eq(mkdir(file, 0755), 0);
    make_directory("config.json", "{}");
    make_directory("rootfs", NULL);
    check_refused(file, ENOTSUP,
                  "OCI bundle: give its directory rootfs/ as the image");
}
END_TEST

/* --- squashfs */

static const struct {
    size_t launch; /* bytes before it */
    uint64_t used;
    size_t behind; /* bytes after it */
} squashes[] = {
    {0, 4096, 0},
    {0, 96, 0},
    {0, 4096, 12345},
    {sizeof launch - 1, 4096, 0},
    {sizeof launch - 1, 3000, 1},
};

START_TEST(a_squashfs)
{
    static unsigned char bytes[32768];
    size_t start = squashes[_i].launch;
    struct image image;

    memcpy(bytes, launch, start);
    put_squashfs(bytes + start, squashes[_i].used);
    write_file(file, bytes, start + squashes[_i].used + squashes[_i].behind);
    open_good(file, &image);
    check_squashfs(&image, IMAGE_SQUASHFS, start, squashes[_i].used);
    image_close(&image);
}
END_TEST

START_TEST(a_symbolic_link)
{
    unsigned char bytes[4096] = {0};
    struct image image;
    char link[64];

    put_squashfs(bytes, sizeof bytes);
    write_file(file, bytes, sizeof bytes);
    snprintf(link, sizeof link, "%s/link", dir);
    ck_assert_int_eq(symlink("file", link), 0);
    open_good(link, &image);
    check_squashfs(&image, IMAGE_SQUASHFS, 0, sizeof bytes);
    image_close(&image);
}
END_TEST

START_TEST(a_truncated_squashfs)
{
    unsigned char bytes[4096] = {0};

    put_squashfs(bytes, sizeof bytes);
    write_file(file, bytes, sizeof bytes - 1);
    check_refused(file, EBADMSG,
                  "truncated squashfs: the header says 4096 bytes, the file "
                  "has 4095");
    write_file(file, bytes, 95);
    check_refused(file, EBADMSG,
                  "truncated squashfs: the file ends in its header");
}
END_TEST

START_TEST(a_squashfs_cut_behind_a_launch_line)
{
    unsigned char bytes[8192] = {0};
    size_t start = sizeof launch - 1;

    memcpy(bytes, launch, start);
    put_squashfs(bytes + start, 4096);
    write_file(file, bytes, start + 4095);
    check_refused(file, EBADMSG,
                  "truncated squashfs: the header says 4096 bytes, the file "
                  "has 4095");
}
END_TEST

/* --- SIF */

START_TEST(a_sif)
{
    unsigned char bytes[FILE_SIZE];
    struct image image;

    put_sif(bytes);
    write_file(file, bytes, sizeof bytes);
    open_good(file, &image);
    check_squashfs(&image, IMAGE_SIF, PART, PART_SIZE);
    image_close(&image);
}
END_TEST

struct patch {
    size_t at;
    int bytes;
    int64_t value;
};

static void write_sif(const struct patch *patches, size_t count)
{
    unsigned char bytes[FILE_SIZE];

    put_sif(bytes);
    for (size_t i = 0; i < count; i++)
        put(bytes + patches[i].at, (uint64_t)patches[i].value,
            patches[i].bytes);
    write_file(file, bytes, sizeof bytes);
}

static const struct {
    struct patch patches[2];
    int code;
    const char *text;
} bad_sifs[] = {
    {{{42, 2, '0' | '2' << 8}}, ENOTSUP, "SIF of an unknown version (not 01)"},
    {{{88, 8, 0}}, EBADMSG, "broken SIF: 0 descriptors, 1 to 4096 are allowed"},
    {{{96, 8, FILE_SIZE}},
     EBADMSG,
     "truncated SIF: the descriptor table ends at byte 9362, the file has "
     "8192"},
    {{{SLOT + 205, 4, 1}},
     ENOTSUP,
     "SIF without a root file system: no primary partition"},
    {{{SIF_HEADER_SIZE, 4, 0x4004}, {SIF_HEADER_SIZE + 205, 4, 2}},
     EBADMSG,
     "broken SIF: more than one primary partition"},
    {{{SIF_HEADER_SIZE, 4, 0x400b}, {SLOT, 4, 0x400a}},
     ENOTSUP,
     "OCI-SIF: ctrun runs plain SIF only; fetch it again with: apptainer pull "
     "new.sif docker://... (or singularity pull --no-oci)"},
    {{{SLOT + 25, 8, PART_SIZE + 1}},
     EBADMSG,
     "truncated SIF: the root file system ends at byte 8193, the file has "
     "8192"},
    {{{SLOT + 17, 8, -1}},
     EBADMSG,
     "broken SIF: the root file system has a negative offset or size"},
    {{{SLOT + 201, 4, 2}},
     ENOTSUP,
     "SIF with an ext3 root file system: rebuild it with: apptainer build "
     "new.sif FILE"},
    {{{SLOT + 201, 4, 5}},
     ENOTSUP,
     "SIF with an encrypted root file system (LUKS2): ctrun has no key; "
     "rebuild it without --encrypt"},
    {{{SLOT + 201, 4, 6}},
     ENOTSUP,
     "SIF with an encrypted root file system (gocryptfs): ctrun has no key; "
     "rebuild it without --encrypt"},
    {{{SLOT + 201, 4, 3}},
     ENOTSUP,
     "SIF with a root file system of type 3 (archive): ctrun runs squashfs "
     "only; rebuild it with: apptainer build"},
    {{{SLOT + 201, 4, 4}},
     ENOTSUP,
     "SIF with a root file system of type 4 (raw): ctrun runs squashfs only; "
     "rebuild it with: apptainer build"},
    {{{SLOT + 201, 4, -1}},
     ENOTSUP,
     "SIF with a root file system of type -1 (unknown): ctrun runs squashfs "
     "only; rebuild it with: apptainer build"},
    {{{PART, 4, 0}}, ENOEXEC, "SIF: not a squashfs file system"},
    {{{SLOT + 25, 8, 0}},
     EBADMSG,
     "SIF: truncated squashfs: the header says 4096 bytes, the file has 0"},
    {{{SLOT + 25, 8, PART_SIZE - 1}},
     EBADMSG,
     "SIF: truncated squashfs: the header says 4096 bytes, the file has 4095"},
    {{{SLOT + 17, 8, FILE_SIZE - 50}, {SLOT + 25, 8, 50}},
     ENOEXEC,
     "SIF: not a squashfs file system"},
    {{{PART + 20, 2, 9}},
     ENOTSUP,
     "SIF: squashfs with an unknown compressor (9)"},
    {{{PART + 28, 2, 3}},
     ENOTSUP,
     "SIF: squashfs of version 3.0: only 4.0 can be read; rebuild it with a "
     "current mksquashfs"},
};

START_TEST(a_bad_sif)
{
    write_sif(bad_sifs[_i].patches, 2);
    check_refused(file, bad_sifs[_i].code, bad_sifs[_i].text);
}
END_TEST

/* The partition's own code decides; the header's, when that is unknown. */
static const struct {
    const char *header;
    const char *partition;
    const char *refusal; /* NULL: taken */
} archs[] = {
    {NULL, NULL, NULL},
    {NULL, "00", NULL},
    {"00", NULL, NULL},
    {"10", NULL, NULL},
    {NULL, "10", "built for mips64le"},
    {"10", "00", "built for mips64le"},
    {"10", "??", "built for mips64le"},
    {"00", "00", "built for an unknown machine (code 00)"},
    {"99", "14", "built for an unknown machine (code 99)"},
};

static struct patch patch_arch(size_t at, const char *code)
{
    if (code == NULL)
        code = sif_arch_host();
    return (struct patch){at, 2, code[0] | code[1] << 8};
}

START_TEST(a_sif_for_some_machine)
{
    const struct patch patches[] = {
        patch_arch(45, archs[_i].header),
        patch_arch(SLOT + 209, archs[_i].partition),
    };
    char text[128];
    struct image image;

    write_sif(patches, 2);
    if (archs[_i].refusal == NULL) {
        open_good(file, &image);
        image_close(&image);
        return;
    }
    snprintf(text, sizeof text, "%s, this machine is %s", archs[_i].refusal,
             sif_arch_name(sif_arch_host()));
    check_refused(file, ENOTSUP, text);
}
END_TEST

START_TEST(a_truncated_sif)
{
    unsigned char bytes[FILE_SIZE];

    put_sif(bytes);
    write_file(file, bytes, SIF_HEADER_SIZE - 1);
    check_refused(file, EBADMSG, "truncated SIF: the file ends in its header");
    write_file(file, bytes, TABLE_END - 1);
    check_refused(file, EBADMSG,
                  "truncated SIF: the descriptor table ends at byte 1298, the "
                  "file has 1297");
    write_file(file, bytes, PART - 1);
    check_refused(file, EBADMSG,
                  "truncated SIF: the root file system ends at byte 8192, the "
                  "file has 4095");
}
END_TEST

START_TEST(a_sif_that_gets_shorter)
{
    struct image image;
    struct ct_error err;

    write_sif(NULL, 0);
    for (off_t len = FILE_SIZE - 1; len >= 0; len -= len > 1500 ? 97 : 1) {
        ck_assert_int_eq(truncate(file, len), 0);
        ck_assert_int_eq(image_open(file, &image, &err), -1);
        ck_assert_msg((strstr(err.text, ": truncated SIF: ") != NULL) ==
                          (len >= MAGIC_END),
                      "%d bytes: %s", (int)len, err.text);
    }
}
END_TEST

/* --- what is no image */

#define BYTES(at, text) at, text, sizeof text - 1
#define ARCHIVE(kind)                                                          \
    ENOTSUP, kind ": if docker save or podman save made it, convert it with: " \
                  "apptainer build new.sif docker-archive:FILE; if it holds "  \
                  "a root file system, unpack it into a directory"
#define SCRIPT                                                                 \
    ENOTSUP, "a script, not an image: the image comes before the command"
#define NO_IMAGE                                                               \
    ENOEXEC, "not an image: neither SIF nor squashfs nor a directory"

static const struct {
    size_t size; /* of the file, zeros but for these bytes */
    size_t at;
    const char *bytes;
    size_t len;
    int code;
    const char *text;
} no_images[] = {
    {0, BYTES(0, ""), ENOEXEC, "an empty file, not an image"},
    {1, BYTES(0, ""), NO_IMAGE},
    {9000, BYTES(0, ""), NO_IMAGE},
    {12, BYTES(0, "hello world\n"), NO_IMAGE},
    {3, BYTES(0, "hsq"), NO_IMAGE},
    {41, BYTES(32, "SIF_MAGIC"), NO_IMAGE},
    {9000, BYTES(32, "SIF_MAGICS"), NO_IMAGE},
    {9000, BYTES(1080, "\x53\xef"), ENOTSUP,
     "ext3 image: rebuild it as SIF or squashfs: apptainer build new.sif "
     "FILE"},
    {1082, BYTES(1080, "\x53\xef"), ENOTSUP,
     "ext3 image: rebuild it as SIF or squashfs: apptainer build new.sif "
     "FILE"},
    {1081, BYTES(1080, "\x53"), NO_IMAGE},
    {9000, BYTES(1024, "\xe2\xe1\xf5\xe0"), ENOTSUP,
     "EROFS image: rebuild it as SIF or squashfs"},
    {9000, BYTES(0, "LUKS\xba\xbe"), ENOTSUP,
     "encrypted file system (LUKS): ctrun has no key; rebuild it as plain SIF "
     "or squashfs"},
    {9000, BYTES(0, "sqsh"), ENOTSUP,
     "big-endian squashfs of before 2009: rebuild it with a current "
     "mksquashfs"},
    {9000,
     BYTES(257, "ustar\0"
                "00"),
     ARCHIVE("tar archive")},
    {9000, BYTES(257, "ustar  "), ARCHIVE("tar archive")},
    {9000, BYTES(0, "\x1f\x8b\x08"), ARCHIVE("gzip-compressed file")},
    {9000, BYTES(0, "\x28\xb5\x2f\xfd"), ARCHIVE("zstd-compressed file")},
    {9000, BYTES(0, "\xfd\x37zXZ"), ARCHIVE("xz-compressed file")},
    {9000, BYTES(0, "BZh9"), ARCHIVE("bzip2-compressed file")},
    {9000, BYTES(0, "\177ELF\2\1\1"), ENOTSUP,
     "a program (ELF file), not an image: the image comes before the command"},
    {130, BYTES(0, "version https://git-lfs.github.com/spec/v1\n"), ENOTSUP,
     "a Git LFS pointer, not the image itself: fetch it with: git lfs pull"},
    {18, BYTES(0, "#!/bin/sh\nexit 0\n\n"), SCRIPT},
    {2, BYTES(0, "#!"), SCRIPT},
    {31, BYTES(0, "#!/usr/bin/env run-singularity\n"), SCRIPT},
    {30, BYTES(0, "#!/usr/bin/env run-singularity"), SCRIPT},
    {9000, BYTES(0, "#!/usr/bin/env run-singularity2\nhsqs"), SCRIPT},
    {9000, BYTES(0, "#!run-singularity\nhsqs"), SCRIPT},
    {9000, BYTES(0, "#! \nhsqs"), SCRIPT},
};

START_TEST(no_image)
{
    unsigned char bytes[9000] = {0};

    memcpy(bytes + no_images[_i].at, no_images[_i].bytes, no_images[_i].len);
    write_file(file, bytes, no_images[_i].size);
    check_refused(file, no_images[_i].code, no_images[_i].text);
}
END_TEST

static void write_launch_line(size_t len)
{
    static const char last[] = " run-singularity\n";
    unsigned char bytes[8192] = {0};

    memset(bytes, ' ', len);
    memcpy(bytes, "#!", 2);
    memcpy(bytes + len + 1 - sizeof last, last, sizeof last - 1);
    put_squashfs(bytes + len, 4096);
    write_file(file, bytes, sizeof bytes);
}

START_TEST(the_longest_launch_line)
{
    struct image image;

    write_launch_line(256);
    open_good(file, &image);
    check_squashfs(&image, IMAGE_SQUASHFS, 256, 4096);
    image_close(&image);
    write_launch_line(257);
    check_refused(file, SCRIPT);
}
END_TEST

START_TEST(a_fifo_does_not_block)
{
    ck_assert_int_eq(mkfifo(file, 0644), 0);
    check_refused(file, ENOEXEC, "a FIFO, not an image");
}
END_TEST

START_TEST(a_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, file);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_refused(file, ENOEXEC, "a socket or a device, not an image");
    close(fd);
}
END_TEST

START_TEST(a_device)
{
    check_refused("/dev/zero", ENOEXEC, "a device, not an image");
    check_refused("/dev/null", ENOEXEC, "a device, not an image");
}
END_TEST

/* --- what cannot be opened */

START_TEST(nothing_there)
{
    char path[128];

    check_refused(file, ENOENT, "cannot open: No such file or directory");
    check_refused("", ENOENT, "cannot open: No such file or directory");
    write_file(file, "hello", 5);
    snprintf(path, sizeof path, "%s/below", file);
    check_refused(path, ENOTDIR, "cannot open: Not a directory");
}
END_TEST

START_TEST(a_link_to_itself)
{
    ck_assert_int_eq(symlink("file", file), 0);
    check_refused(file, ELOOP,
                  "cannot open: Too many levels of symbolic links");
}
END_TEST

START_TEST(a_uri)
{
    static const char text[] = "ctrun does not fetch images: get it first "
                               "with: apptainer pull new.sif URI";

    check_refused("docker://debian:12", ENOENT, text);
    check_refused("oras://example.org/x:latest", ENOENT, text);
}
END_TEST

/* Root may read all: be nobody for a while. */
static bool give_up_root(void)
{
    return geteuid() != 0 || seteuid(NOBODY) == 0;
}

static void take_back_root(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
}

START_TEST(a_file_that_may_not_be_read)
{
    write_file(file, "hello", 5);
    ck_assert_int_eq(chmod(file, 0), 0);
    if (give_up_root())
        check_refused(file, EACCES, "cannot open: Permission denied");
    take_back_root();
}
END_TEST

START_TEST(a_directory_that_may_not_be_entered)
{
    ck_assert_int_eq(mkdir(file, 0), 0);
    if (give_up_root())
        check_refused(file, EACCES,
                      "cannot enter the directory: Permission denied");
    take_back_root();
}
END_TEST

/* Of a long path the end is shown, and the whole reason. */
START_TEST(a_long_path)
{
    static const char last[] = "unpack it into a directory";
    struct image image;
    struct ct_error err;
    char path[512];
    size_t len = (size_t)snprintf(path, sizeof path, "%s", dir);

    write_file(file, "\x28\xb5\x2f\xfd", 4);
    while (len < 400)
        len += (size_t)snprintf(path + len, sizeof path - len, "/.");
    len += (size_t)snprintf(path + len, sizeof path - len, "/file");
    ck_assert_int_eq(image_open(path, &image, &err), -1);
    ck_assert_int_eq(strncmp(err.text, "...", 3), 0);
    ck_assert_int_eq(strncmp(err.text + 3, path + len - 96, 96), 0);
    ck_assert_int_eq(strncmp(err.text + 99, ": zstd-compressed", 17), 0);
    ck_assert_str_eq(err.text + strlen(err.text) - strlen(last), last);
}
END_TEST

START_TEST(kind_names)
{
    ck_assert_str_eq(image_kind_name(IMAGE_DIRECTORY), "directory");
    ck_assert_str_eq(image_kind_name(IMAGE_SQUASHFS), "squashfs");
    ck_assert_str_eq(image_kind_name(IMAGE_SIF), "sif");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void add_images(TCase *tc)
{
    tcase_add_test(tc, a_directory);
    tcase_add_test(tc, a_directory_with_half_of_a_mark);
    tcase_add_loop_test(tc, a_squashfs, 0, COUNT(squashes));
    tcase_add_test(tc, a_symbolic_link);
    tcase_add_test(tc, a_sif);
    tcase_add_loop_test(tc, a_sif_for_some_machine, 0, COUNT(archs));
    tcase_add_test(tc, kind_names);
}

static void add_refusals(TCase *tc)
{
    tcase_add_test(tc, an_oci_layout);
    tcase_add_test(tc, an_oci_bundle);
    tcase_add_test(tc, a_truncated_squashfs);
    tcase_add_test(tc, a_squashfs_cut_behind_a_launch_line);
    tcase_add_loop_test(tc, a_bad_sif, 0, COUNT(bad_sifs));
    tcase_add_test(tc, a_truncated_sif);
    tcase_add_test(tc, a_sif_that_gets_shorter);
    tcase_add_loop_test(tc, no_image, 0, COUNT(no_images));
    tcase_add_test(tc, the_longest_launch_line);
    tcase_add_test(tc, a_fifo_does_not_block);
    tcase_add_test(tc, a_socket);
    tcase_add_test(tc, a_device);
    tcase_add_test(tc, nothing_there);
    tcase_add_test(tc, a_link_to_itself);
    tcase_add_test(tc, a_uri);
    tcase_add_test(tc, a_file_that_may_not_be_read);
    tcase_add_test(tc, a_directory_that_may_not_be_entered);
    tcase_add_test(tc, a_long_path);
}

int main(void)
{
    Suite *suite = suite_create("image");
    TCase *tc = tcase_create("image");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (mkdtemp(dir) == NULL || chmod(dir, 0755) < 0)
        return EXIT_FAILURE;
    snprintf(file, sizeof file, "%s/file", dir);
    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60); /* of a busy machine */
    tcase_add_checked_fixture(tc, clean, NULL);
    add_images(tc);
    add_refusals(tc);
    srunner_run_all(runner, CK_ENV);
    clean();
    rmdir(dir);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
