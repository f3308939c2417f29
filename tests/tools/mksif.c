/*
 * mksif [OPTION...] OUT.sif IN.sqfs
 *
 * Put a squashfs into a SIF as Apptainer does: 48 descriptor slots, a
 * definition file, labels, and the primary partition at a multiple of 4096.
 * Equal input makes equal output (no time, no UUID). Options (see options[])
 * make the odd images of tests. OUT is there whole or not at all.
 */
#include "container/sif.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 48, TABLE = 4096, TABLE_SIZE = SLOTS * SIF_DESCRIPTOR_SIZE };
enum { DATA = TABLE + TABLE_SIZE, ALIGNMENT = 4096, OBJECTS_MAX = 4 };
enum { NAME_SIZE = 128 };

enum {
    TYPE_DEFFILE = 0x4001,
    TYPE_PARTITION = 0x4004,
    TYPE_JSON = 0x4006,
    TYPE_OCI_INDEX = 0x400a,
    TYPE_OCI_BLOB = 0x400b,
};

#define GROUP_1 UINT32_C(0xf0000001)
#define NO_TIME INT64_C(-62135596800) /* the zero of Go's time.Time */

static const char launch[] = "#!/usr/bin/env run-singularity\n";
static const char deffile[] = "bootstrap: localimage\nfrom: mksif\n";
static const char labels[] = "{\"org.label-schema.schema-version\":\"1.0\"}";
static const char oci_index[] = "{\"schemaVersion\":2,\"manifests\":[]}";
static const char digest[] = "sha256:0000000000000000000000000000000000000000"
                             "000000000000000000000000";

#if defined(__x86_64__)
#define HOST_ARCH "02"
#elif defined(__i386__)
#define HOST_ARCH "01"
#elif defined(__aarch64__)
#define HOST_ARCH "04"
#elif defined(__arm__)
#define HOST_ARCH "03"
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_ARCH "06"
#elif defined(__powerpc64__)
#define HOST_ARCH "05"
#elif defined(__s390x__)
#define HOST_ARCH "11"
#elif defined(__riscv)
#define HOST_ARCH "12"
#elif defined(__loongarch64)
#define HOST_ARCH "13"
#else
#define HOST_ARCH "00"
#endif

struct object {
    uint32_t type;
    const char *name;
    const char *text; /* NULL: all of IN */
    uint64_t offset;
    uint64_t size;
    uint64_t padded; /* size and the gap before it */
};

struct plan {
    const char *arch;
    const char *version;
    int fstype;
    int parttype;
    int no_primary;
    int two_primaries;
    int oci;
    struct object objects[OBJECTS_MAX];
    size_t count;
    uint64_t end; /* of the file */
};

enum kind { FLAG, NUMBER, TWO_BYTES };

static const struct option_row {
    const char *name;
    enum kind kind;
    size_t field;
    const char *help;
} options[] = {
    {"--arch", TWO_BYTES, offsetof(struct plan, arch), " CODE (01 .. 13)"},
    {"--version", TWO_BYTES, offsetof(struct plan, version), " NN (01)"},
    {"--fstype", NUMBER, offsetof(struct plan, fstype), " N (1)"},
    {"--parttype", NUMBER, offsetof(struct plan, parttype), " N (2)"},
    {"--no-primary", FLAG, offsetof(struct plan, no_primary), ""},
    {"--two-primaries", FLAG, offsetof(struct plan, two_primaries), ""},
    {"--oci", FLAG, offsetof(struct plan, oci), ""},
};

static int complain(const char *path, const char *reason)
{
    fprintf(stderr, "mksif: %s: %s\n", path, reason);
    return -1;
}

/* --- what is in it */

static void add_object(struct plan *plan, uint32_t type, const char *name,
                       const char *text)
{
    plan->objects[plan->count++] =
        (struct object){.type = type, .name = name, .text = text};
}

static void list_objects(struct plan *plan)
{
    if (plan->oci) {
        add_object(plan, TYPE_OCI_BLOB, "", NULL);
        add_object(plan, TYPE_OCI_INDEX, "", oci_index);
        return;
    }
    add_object(plan, TYPE_DEFFILE, "", deffile);
    add_object(plan, TYPE_JSON, "labels", labels);
    if (!plan->no_primary)
        add_object(plan, TYPE_PARTITION, "rootfs.squashfs", NULL);
    if (plan->two_primaries)
        add_object(plan, TYPE_PARTITION, "rootfs.squashfs", NULL);
}

static uint64_t align(uint64_t offset, uint64_t to)
{
    return (offset + to - 1) / to * to;
}

/* Give each its place, and find where the file ends. */
static void place_objects(struct plan *plan, uint64_t in_size)
{
    uint64_t end = DATA;

    for (size_t i = 0; i < plan->count; i++) {
        struct object *o = &plan->objects[i];
        o->size = o->text != NULL ? strlen(o->text) : in_size;
        o->offset = o->type == TYPE_PARTITION ? align(end, ALIGNMENT) : end;
        o->padded = o->offset + o->size - end;
        end = o->offset + o->size;
    }
    plan->end = end;
}

/* --- its headers */

static unsigned char *put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *to++ = (unsigned char)(value >> 8 * i);
    return to;
}

static unsigned char *put_text(unsigned char *to, const char *text, size_t size)
{
    memset(to, 0, size);
    memcpy(to, text, strnlen(text, size));
    return to + size;
}

static void put_header(unsigned char *to, const struct plan *plan)
{
    to = put_text(to, launch, 32);
    to = put_text(to, "SIF_MAGIC", 10);
    to = put_text(to, plan->version, 3);
    to = put_text(to, plan->arch, 3);
    to = put_text(to, "", 16); /* UUID */
    to = put(to, (uint64_t)NO_TIME, 8);
    to = put(to, (uint64_t)NO_TIME, 8);
    to = put(to, SLOTS - plan->count, 8);
    to = put(to, SLOTS, 8);
    to = put(to, TABLE, 8);
    to = put(to, TABLE_SIZE, 8);
    to = put(to, DATA, 8);
    put(to, plan->end - DATA, 8);
}

static void put_extra(unsigned char *to, const struct plan *plan, uint32_t type)
{
    if (type == TYPE_OCI_BLOB)
        put_text(to, digest, sizeof digest);
    if (type != TYPE_PARTITION)
        return;
    to = put(to, (uint32_t)plan->fstype, 4);
    to = put(to, (uint32_t)plan->parttype, 4);
    put_text(to, plan->arch, 3);
}

static void put_slot(unsigned char *to, const struct plan *plan,
                     const struct object *object, unsigned id)
{
    to = put(to, object->type, 4);
    to = put(to, 1, 1); /* used */
    to = put(to, id, 4);
    to = put(to, GROUP_1, 4);
    to = put(to, 0, 4); /* linked to nothing */
    to = put(to, object->offset, 8);
    to = put(to, object->size, 8);
    to = put(to, object->padded, 8);
    to = put(to, (uint64_t)NO_TIME, 8);
    to = put(to, (uint64_t)NO_TIME, 8);
    to = put(to, 0, 8); /* uid */
    to = put(to, 0, 8); /* gid */
    to = put_text(to, object->name, NAME_SIZE);
    put_extra(to, plan, object->type);
}

/* --- writing */

static int write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)data + done, size - done,
                           (off_t)(offset + done));
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static int copy_at(int fd, int in, size_t size, uint64_t offset)
{
    off_t from = 0;

    if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
        return -1;
    while ((size_t)from < size) {
        ssize_t n = sendfile(fd, in, &from, size - (size_t)from);
        if (n == 0)
            errno = EIO; /* it became shorter */
        if (n <= 0)
            return -1;
    }
    return 0;
}

static int write_headers(int fd, const struct plan *plan)
{
    static unsigned char head[DATA];

    put_header(head, plan);
    for (size_t i = 0; i < plan->count; i++)
        put_slot(head + TABLE + i * SIF_DESCRIPTOR_SIZE, plan,
                 &plan->objects[i], (unsigned)i + 1);
    return write_at(fd, head, sizeof head, 0);
}

static int write_object(int fd, const struct object *object, int in)
{
    if (object->text != NULL)
        return write_at(fd, object->text, object->size, object->offset);
    return copy_at(fd, in, object->size, object->offset);
}

static int write_sif(int fd, const struct plan *plan, int in)
{
    if (write_headers(fd, plan) < 0)
        return -1;
    for (size_t i = 0; i < plan->count; i++)
        if (write_object(fd, &plan->objects[i], in) < 0)
            return -1;
    return 0;
}

/* --- files */

static int open_input(const char *path, struct stat *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, ret) < 0)
        return complain(path, strerror(errno));
    if (!S_ISREG(ret->st_mode))
        return complain(path, "not a regular file");
    return fd;
}

static void hold_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGXFSZ);
    sigprocmask(how, &set, NULL);
}

/* As open(2) would have made it, and executable as a SIF is. */
static int set_mode(int fd)
{
    mode_t mask = umask(0);

    umask(mask);
    return fchmod(fd, 0777 & ~mask);
}

static int write_file(const char *path, char *temporary,
                      const struct plan *plan, int in)
{
    int fd = mkostemp(temporary, O_CLOEXEC), status;

    if (fd < 0)
        return -1;
    status = set_mode(fd) < 0 ? -1 : write_sif(fd, plan, in);
    if (close(fd) < 0 || status < 0 || rename(temporary, path) < 0) {
        int saved = errno;
        unlink(temporary);
        errno = saved;
        return -1;
    }
    return 0;
}

static int make_sif(struct plan *plan, const char *out, const char *in)
{
    struct stat st;
    char *temporary;
    int status, fd = open_input(in, &st);

    if (fd < 0)
        return -1;
    if (asprintf(&temporary, "%s.XXXXXX", out) < 0)
        return complain(out, "out of memory");
    list_objects(plan);
    place_objects(plan, (uint64_t)st.st_size);
    hold_signals(SIG_BLOCK); /* or the temporary file might stay */
    status = write_file(out, temporary, plan, fd);
    if (status < 0)
        complain(out, strerror(errno));
    hold_signals(SIG_UNBLOCK);
    free(temporary);
    close(fd);
    return status;
}

/* --- command line */

static int usage(void)
{
    fputs("usage: mksif [OPTION...] OUT.sif IN.sqfs\n", stderr);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        fprintf(stderr, "    %s%s\n", options[i].name, options[i].help);
    return -1;
}

static const struct option_row *find_option(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

static int set_number(const char *value, int *ret)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(value, &end, 0);
    if (end == value || *end != '\0' || errno != 0 || number < INT32_MIN ||
        number > INT32_MAX)
        return -1;
    *ret = (int)number;
    return 0;
}

static int set_option(struct plan *plan, const struct option_row *row,
                      const char *value)
{
    char *field = (char *)plan + row->field;

    if (row->kind == NUMBER)
        return set_number(value, (int *)field);
    if (strlen(value) != 2)
        return -1;
    *(const char **)field = value;
    return 0;
}

/* The index of the first word that is no option; -1 after a complaint. */
static int parse(int argc, char **argv, struct plan *plan)
{
    int i;

    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        const struct option_row *row = find_option(argv[i]);
        if (row == NULL)
            return usage();
        if (row->kind == FLAG) {
            *(int *)((char *)plan + row->field) = 1;
            continue;
        }
        if (++i == argc || set_option(plan, row, argv[i]) < 0)
            return usage();
    }
    return argc - i == 2 ? i : usage();
}

int main(int argc, char **argv)
{
    struct plan plan = {
        .arch = HOST_ARCH, .version = "01", .fstype = 1, .parttype = 2};
    int first = parse(argc, argv, &plan);

    if (first < 0)
        return 2;
    return make_sif(&plan, argv[first], argv[first + 1]) < 0;
}
