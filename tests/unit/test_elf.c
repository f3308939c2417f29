/*
 * Mostly on files made here, of each class and byte order, where any number can
 * be a lie; and on the program that this test is.
 */
#include "base/scope.h"
#include "elf/elf.h"

#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where things lie in a made file, and what it is loaded from. */
enum {
    INTERP_AT = 0x180,
    TEXT_AT = 0x1c0,
    STRINGS_AT = 0x200,
    DYNAMIC_AT = 0x300,
    SYMBOLS_AT = 0x400,
    SECTIONS_AT = 0x500,
    FILE_SIZE = 0x600,
    ADDRESS = 0x10000
};

struct segment {
    uint32_t type;
    uint64_t offset, address, size;
};

struct entry {
    int64_t tag;
    uint64_t value;
};

struct symbol {
    uint64_t name; /* place in the strings */
    int type, bind, section;
    uint64_t address, size;
};

struct spec {
    bool is_32, is_big;
    struct segment segments[4];
    struct entry dynamic[16];
    struct symbol symbols[6];
    uint64_t symbols_size; /* of the section */
};

static const char strings[0x100] =
    "\0libone.so\0libtwo.so.2\0libself.so\0/rpath\0$ORIGIN/run\0second\0"
    "version\0local\0function\0missing\0open\0outside\0long";

static const char text[0x40] = "Made 1.2\n\0behind";

/* The place of a word in the strings. */
static uint64_t at(const char *word)
{
    const char *found = memmem(strings, sizeof strings, word, strlen(word) + 1);

    ck_assert_ptr_nonnull(found);
    return (uint64_t)(found - strings);
}

static struct spec good_spec(void)
{
    return (struct spec){
        .segments =
            {
                {PT_LOAD, 0, ADDRESS, FILE_SIZE},
                {PT_INTERP, INTERP_AT, ADDRESS + INTERP_AT, 0x40},
                {PT_DYNAMIC, DYNAMIC_AT, ADDRESS + DYNAMIC_AT, 0x100},
            },
        .dynamic =
            {
                {DT_NEEDED, at("libone.so")},
                {DT_SONAME, at("libself.so")},
                {DT_NEEDED, at("libtwo.so.2")},
                {DT_RPATH, at("/rpath")},
                {DT_RUNPATH, at("$ORIGIN/run")},
                {DT_STRTAB, ADDRESS + STRINGS_AT},
                {DT_STRSZ, sizeof strings},
                {DT_NULL, 0},
                {DT_NEEDED, at("libone.so")}, /* behind the end */
            },
        .symbols_size = sizeof(Elf64_Sym) * 6,
    };
}

/* Bytes written one number after the other. */
struct pen {
    const struct spec *spec;
    unsigned char *at;
};

static void number(struct pen *pen, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++) {
        size_t place = pen->spec->is_big ? size - 1 - i : i;
        pen->at[place] = (unsigned char)(value >> (8 * i));
    }
    pen->at += size;
}

/* As wide as an address. */
static void word(struct pen *pen, uint64_t value)
{
    number(pen, pen->spec->is_32 ? 4 : 8, value);
}

static void write_header(struct pen pen)
{
    bool is_32 = pen.spec->is_32;

    memcpy(pen.at, ELFMAG, SELFMAG);
    pen.at[EI_CLASS] = is_32 ? ELFCLASS32 : ELFCLASS64;
    pen.at[EI_DATA] = pen.spec->is_big ? ELFDATA2MSB : ELFDATA2LSB;
    pen.at[EI_VERSION] = EV_CURRENT;
    pen.at += EI_NIDENT;
    number(&pen, 2, ET_DYN);
    number(&pen, 2, EM_S390);
    number(&pen, 4, EV_CURRENT);
    word(&pen, 0);
    word(&pen, is_32 ? 52 : 64); /* program headers follow */
    word(&pen, SECTIONS_AT);
    number(&pen, 4, 0);
    number(&pen, 2, is_32 ? 52 : 64);
    number(&pen, 2, is_32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr));
    number(&pen, 2, 4);
    number(&pen, 2, is_32 ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr));
    number(&pen, 2, 3);
    number(&pen, 2, 0);
}

static void write_segments(struct pen pen)
{
    for (int i = 0; i < 4; i++) {
        const struct segment *s = &pen.spec->segments[i];
        number(&pen, 4, s->type);
        if (!pen.spec->is_32)
            number(&pen, 4, PF_R);
        word(&pen, s->offset);
        word(&pen, s->address);
        word(&pen, s->address);
        word(&pen, s->size);
        word(&pen, s->size);
        if (pen.spec->is_32)
            number(&pen, 4, PF_R);
        word(&pen, 1);
    }
}

static void write_dynamic(struct pen pen)
{
    for (int i = 0; i < 16; i++) {
        word(&pen, (uint64_t)pen.spec->dynamic[i].tag);
        word(&pen, pen.spec->dynamic[i].value);
    }
}

static void write_symbols(struct pen pen)
{
    for (int i = 0; i < 6; i++) {
        const struct symbol *s = &pen.spec->symbols[i];
        number(&pen, 4, s->name);
        if (pen.spec->is_32) {
            word(&pen, s->address);
            word(&pen, s->size);
        }
        number(&pen, 1, (uint64_t)ELF64_ST_INFO(s->bind, s->type));
        number(&pen, 1, 0);
        number(&pen, 2, (uint64_t)s->section);
        if (!pen.spec->is_32) {
            word(&pen, s->address);
            word(&pen, s->size);
        }
    }
}

static void write_section(struct pen *pen, uint32_t type, uint64_t offset,
                          uint64_t size, uint32_t link)
{
    bool is_32 = pen->spec->is_32;

    number(pen, 4, 0);
    number(pen, 4, type);
    word(pen, 0);
    word(pen, offset);
    word(pen, offset);
    word(pen, size);
    number(pen, 4, link);
    number(pen, 4, 0);
    word(pen, 1);
    word(pen, is_32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym));
}

static void write_sections(struct pen pen)
{
    write_section(&pen, SHT_NULL, 0, 0, 0);
    write_section(&pen, SHT_STRTAB, STRINGS_AT, sizeof strings, 0);
    write_section(&pen, SHT_DYNSYM, SYMBOLS_AT, pen.spec->symbols_size, 1);
}

static void write_file(const struct spec *spec, unsigned char *file)
{
    memset(file, 0, FILE_SIZE);
    strcpy((char *)file + INTERP_AT, "/lib/ld.so");
    memcpy(file + TEXT_AT, text, sizeof text);
    memcpy(file + STRINGS_AT, strings, sizeof strings);
    write_header((struct pen){spec, file});
    write_segments((struct pen){spec, file + (spec->is_32 ? 52 : 64)});
    write_dynamic((struct pen){spec, file + DYNAMIC_AT});
    write_symbols((struct pen){spec, file + SYMBOLS_AT});
    write_sections((struct pen){spec, file + SECTIONS_AT});
}

/* An open file with these bytes, nowhere in the file system. */
static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), len);
    return fd;
}

static int file_of_spec(const struct spec *spec)
{
    unsigned char file[FILE_SIZE];

    write_file(spec, file);
    return file_of(file, sizeof file);
}

static void check_good(const struct elf_info *info)
{
    ck_assert_int_eq(info->machine, EM_S390);
    ck_assert_str_eq(info->interpreter, "/lib/ld.so");
    ck_assert_str_eq(info->soname, "libself.so");
    ck_assert_str_eq(info->rpath, "/rpath");
    ck_assert_str_eq(info->runpath, "$ORIGIN/run");
    ck_assert_uint_eq(info->needed.count, 2);
    ck_assert_str_eq(info->needed.items[0], "libone.so");
    ck_assert_str_eq(info->needed.items[1], "libtwo.so.2");
}

START_TEST(all_classes_and_byte_orders)
{
    for (int i = 0; i < 4; i++) {
        struct spec spec = good_spec();
        struct elf_info info;
        struct ct_error err = {0};
        spec.is_32 = i / 2;
        spec.is_big = i % 2;
        CT_AUTO_FD int fd = file_of_spec(&spec);
        ck_assert_msg(elf_read(fd, &info, &err) == 0, "%d: %s", i, err.text);
        check_good(&info);
        ck_assert_int_eq(info.elfclass, spec.is_32 ? ELFCLASS32 : ELFCLASS64);
        elf_info_clear(&info);
        ck_assert_ptr_null(info.needed.items);
        elf_info_clear(&info);
    }
}
END_TEST

START_TEST(a_program_that_needs_nothing)
{
    struct spec spec = good_spec();
    struct elf_info info;

    spec.segments[1].type = spec.segments[2].type = PT_NULL;
    CT_AUTO_FD int fd = file_of_spec(&spec);
    ck_assert_int_eq(elf_read(fd, &info, NULL), 0);
    ck_assert_int_eq(info.machine, EM_S390);
    ck_assert_ptr_null(info.interpreter);
    ck_assert_ptr_null(info.soname);
    ck_assert_ptr_null(info.rpath);
    ck_assert_ptr_null(info.runpath);
    ck_assert_uint_eq(info.needed.count, 0);
    elf_info_clear(&info);
}
END_TEST

START_TEST(an_object_file)
{
    struct spec spec = good_spec();
    unsigned char file[FILE_SIZE];
    struct elf_info info;

    write_file(&spec, file);
    memset(file + offsetof(Elf64_Ehdr, e_phnum), 0, 2);
    CT_AUTO_FD int fd = file_of(file, sizeof file);
    ck_assert_int_eq(elf_read(fd, &info, NULL), 0);
    ck_assert_int_eq(info.machine, EM_S390);
    ck_assert_uint_eq(info.needed.count, 0);
    elf_info_clear(&info);
}
END_TEST

/* Segments that do not hold the strings, and one that does. */
static const struct segment around[][2] = {
    {{PT_LOAD, 0x40, ADDRESS - 0x1000, 0x10}, {PT_LOAD, 0, ADDRESS, FILE_SIZE}},
    {{PT_LOAD, 0x40, ADDRESS + 0x1000, 0x10}, {PT_LOAD, 0, ADDRESS, FILE_SIZE}},
    {{PT_NOTE, 0x40, ADDRESS, FILE_SIZE}, {PT_LOAD, 0, ADDRESS, FILE_SIZE}},
    {{PT_LOAD, 0x40, ADDRESS + STRINGS_AT - 0x10, 0x10},
     {PT_LOAD, STRINGS_AT, ADDRESS + STRINGS_AT, sizeof strings}},
    {{PT_LOAD, 0x40, ADDRESS + STRINGS_AT + 1, 0x10},
     {PT_LOAD, STRINGS_AT, ADDRESS + STRINGS_AT, sizeof strings}},
};

START_TEST(the_segment_of_the_strings)
{
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        struct spec spec = good_spec();
        struct elf_info info;
        struct ct_error err = {0};
        spec.segments[0] = around[i][0];
        spec.segments[3] = around[i][1];
        CT_AUTO_FD int fd = file_of_spec(&spec);
        ck_assert_msg(elf_read(fd, &info, &err) == 0, "%zu: %s", i, err.text);
        check_good(&info);
        elf_info_clear(&info);
    }
}
END_TEST

/* As the loader: of a tag that stands once, the last is taken. */
START_TEST(the_last_of_two)
{
    struct spec spec = good_spec();
    struct elf_info info;

    spec.dynamic[7] = (struct entry){DT_SONAME, at("second")};
    spec.dynamic[8] = (struct entry){DT_NULL, 0};
    CT_AUTO_FD int fd = file_of_spec(&spec);
    ck_assert_int_eq(elf_read(fd, &info, NULL), 0);
    ck_assert_str_eq(info.soname, "second");
    elf_info_clear(&info);
}
END_TEST

START_TEST(dynamic_entries_without_an_end)
{
    struct spec spec = good_spec();
    struct elf_info info;

    for (int i = 7; i < 16; i++)
        spec.dynamic[i] = (struct entry){DT_NEEDED, at("libone.so")};
    CT_AUTO_FD int fd = file_of_spec(&spec);
    ck_assert_int_eq(elf_read(fd, &info, NULL), 0);
    ck_assert_uint_eq(info.needed.count, 2 + 9);
    elf_info_clear(&info);
}
END_TEST

/* A failure is ENOEXEC, one line of text, and no change. */
static void check_refused(int fd)
{
    struct elf_info info = {.machine = 4711};
    struct ct_error err = {0};

    ck_assert_int_eq(elf_read(fd, &info, &err), -1);
    ck_assert_msg(err.code == ENOEXEC, "%d: %s", err.code, err.text);
    ck_assert_int_eq(info.machine, 4711);
    ck_assert_ptr_null(info.needed.items);
    ck_assert_int_eq(elf_read(fd, &info, NULL), -1);
}

static void check_refused_bytes(const char *bytes, size_t len)
{
    CT_AUTO_FD int fd = file_of(bytes, len);

    check_refused(fd);
}

START_TEST(no_elf_files)
{
    check_refused_bytes("", 0);
    check_refused_bytes("#!/bin/sh\n", 10);
    check_refused_bytes(ELFMAG, 3);
    check_refused_bytes(ELFMAG, 4);
    check_refused_bytes(ELFMAG "\2\1\1", 7);
    check_refused_bytes("!<arch>\n", 8);
}
END_TEST

START_TEST(no_files_at_all)
{
    CT_AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CT_AUTO_FD int folder = open("/", O_RDONLY | O_CLOEXEC);
    struct elf_info info;
    struct ct_error err = {0};
    int ends[2];

    check_refused(null);
    check_refused(folder);
    ck_assert_int_eq(pipe(ends), 0);
    check_refused(ends[0]); /* and does not wait for it */
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(elf_read(-1, &info, &err), -1);
    ck_assert_int_eq(err.code, EBADF);
}
END_TEST

/* One lie each, in a segment or in an entry of the dynamic section. */
static const struct {
    int segment; /* or -1 */
    struct segment segment_lie;
    int entry; /* or -1 */
    struct entry entry_lie;
} lies[] = {
    /* the interpreter */
    {1, {PT_INTERP, INTERP_AT, 0, 0}, -1, {0, 0}},
    {1, {PT_INTERP, INTERP_AT, 0, 10}, -1, {0, 0}},
    {1, {PT_INTERP, FILE_SIZE, 0, 10}, -1, {0, 0}},
    {1, {PT_INTERP, INT64_MAX, 0, 10}, -1, {0, 0}},
    {1, {PT_INTERP, INT64_MAX - 9, 0, 10}, -1, {0, 0}},
    {1, {PT_INTERP, (uint64_t)INT64_MAX + 1, 0, 10}, -1, {0, 0}},
    {1, {PT_INTERP, UINT64_MAX, 0, UINT64_MAX}, -1, {0, 0}},
    /* the dynamic section */
    {2, {PT_DYNAMIC, FILE_SIZE, 0, 0x100}, -1, {0, 0}},
    {2, {PT_DYNAMIC, FILE_SIZE - 0x80, 0, 0x100}, -1, {0, 0}},
    {2, {PT_DYNAMIC, INT64_MAX, 0, 0x100}, -1, {0, 0}},
    {2, {PT_DYNAMIC, UINT64_MAX, 0, 0x100}, -1, {0, 0}},
    {2, {PT_DYNAMIC, DYNAMIC_AT, 0, UINT64_MAX}, -1, {0, 0}},
    {2, {PT_DYNAMIC, DYNAMIC_AT, 0, 0}, -1, {0, 0}},
    /* the string table */
    {-1, {0}, 5, {DT_DEBUG, 0}},
    {-1, {0}, 5, {DT_STRTAB, 0}},
    {-1, {0}, 5, {DT_STRTAB, ADDRESS - 1}},
    {-1, {0}, 5, {DT_STRTAB, ADDRESS + FILE_SIZE}},
    {-1, {0}, 5, {DT_STRTAB, UINT64_MAX}},
    {-1, {0}, 6, {DT_DEBUG, 0}},
    {-1, {0}, 6, {DT_STRSZ, 0}},
    {-1, {0}, 6, {DT_STRSZ, 5}},
    {-1, {0}, 6, {DT_STRSZ, 52}}, /* the NUL of the last is behind it */
    {0, {PT_LOAD, 0, ADDRESS, STRINGS_AT + 52}, 6, {DT_STRSZ, 0x1000}},
    {0, {PT_LOAD, 0, ADDRESS, STRINGS_AT}, -1, {0, 0}},
    {0, {PT_NOTE, 0, ADDRESS, FILE_SIZE}, -1, {0, 0}},
    {0, {PT_LOAD, FILE_SIZE, ADDRESS, FILE_SIZE}, -1, {0, 0}},
    {0, {PT_LOAD, INT64_MAX, ADDRESS, FILE_SIZE}, -1, {0, 0}},
    {0, {PT_LOAD, UINT64_MAX, ADDRESS, FILE_SIZE}, -1, {0, 0}},
    {0, {PT_LOAD, UINT64_MAX - STRINGS_AT + 1, ADDRESS, FILE_SIZE}, -1, {0, 0}},
    /* the strings */
    {-1, {0}, 0, {DT_NEEDED, 0x100}},
    {-1, {0}, 0, {DT_NEEDED, INT64_MAX}},
    {-1, {0}, 0, {DT_NEEDED, UINT64_MAX}},
    {-1, {0}, 1, {DT_SONAME, 0x100}},
    {-1, {0}, 3, {DT_RPATH, 0x100}},
    {-1, {0}, 4, {DT_RUNPATH, 0x100}},
};

START_TEST(files_that_lie)
{
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct spec spec = good_spec();
        if (lies[i].segment >= 0)
            spec.segments[lies[i].segment] = lies[i].segment_lie;
        if (lies[i].entry >= 0)
            spec.dynamic[lies[i].entry] = lies[i].entry_lie;
        CT_AUTO_FD int fd = file_of_spec(&spec);
        struct elf_info info;
        ck_assert_msg(elf_read(fd, &info, NULL) == -1, "lie %zu was taken", i);
        check_refused(fd);
    }
}
END_TEST

/* A string before its table, named by going round all 64 bits. */
START_TEST(a_string_before_its_table)
{
    struct spec spec = good_spec();

    spec.segments[0].offset = STRINGS_AT;
    spec.segments[0].size = UINT64_MAX;
    spec.dynamic[5].value = ADDRESS;
    spec.dynamic[6].value = UINT64_MAX;
    spec.dynamic[0].value = (uint64_t)INTERP_AT - STRINGS_AT;
    CT_AUTO_FD int fd = file_of_spec(&spec);
    check_refused(fd);
}
END_TEST

/* In a file whose string table goes to its end. */
static void check_long(size_t len, bool taken)
{
    unsigned char *file = malloc(FILE_SIZE + len + 1);
    struct spec spec = good_spec();
    struct elf_info info;

    ck_assert_ptr_nonnull(file);
    spec.segments[0].size = FILE_SIZE + len + 1;
    spec.dynamic[6].value = FILE_SIZE + len + 1 - STRINGS_AT;
    spec.dynamic[0].value = FILE_SIZE - STRINGS_AT;
    write_file(&spec, file);
    memset(file + FILE_SIZE, 'x', len);
    file[FILE_SIZE + len] = '\0';
    CT_AUTO_FD int fd = file_of(file, FILE_SIZE + len + 1);
    ck_assert_int_eq(elf_read(fd, &info, NULL), taken ? 0 : -1);
    if (taken) {
        ck_assert_uint_eq(strlen(info.needed.items[0]), len);
        elf_info_clear(&info);
    }
    ck_assert_int_eq(ftruncate(fd, (off_t)(FILE_SIZE + len)), 0);
    check_refused(fd);
    free(file);
}

START_TEST(long_strings)
{
    check_long(1, true);
    check_long(4096, true);
    check_long(8191, true);
    check_long(8192, false);
}
END_TEST

static bool is_same(const struct strv *a, const struct strv *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->count == b->count;
}

/* Is it refused as it should be, or read? Then *ret_read. */
static bool is_sound(int fd, bool *ret_read, struct elf_info *ret)
{
    struct ct_error err = {0};
    int rc = elf_read(fd, ret, &err);

    *ret_read = rc == 0;
    return rc == 0 || (rc == -1 && err.code == ENOEXEC && err.text[0] != '\0');
}

START_TEST(made_files_that_end_early)
{
    for (int i = 0; i < 4; i++) {
        struct spec spec = good_spec();
        unsigned wrong = 0;
        spec.is_32 = i / 2;
        spec.is_big = i % 2;
        CT_AUTO_FD int fd = file_of_spec(&spec);
        for (int len = FILE_SIZE; len >= 0; len--) {
            struct elf_info info = {0};
            bool read = false;
            wrong += ftruncate(fd, len) < 0;
            wrong += !is_sound(fd, &read, &info);
            wrong += read && info.needed.count != 2;
            wrong += read && len < STRINGS_AT;
            elf_info_clear(&info);
        }
        ck_assert_uint_eq(wrong, 0);
    }
}
END_TEST

START_TEST(made_files_with_a_wrong_byte)
{
    static const unsigned char bytes[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned char file[FILE_SIZE];
    struct spec spec = good_spec();
    unsigned wrong = 0, taken = 0;

    write_file(&spec, file);
    CT_AUTO_FD int fd = file_of(file, sizeof file);
    for (size_t i = 0; i < sizeof file * sizeof bytes; i++) {
        off_t place = (off_t)(i / sizeof bytes);
        struct elf_info info = {0};
        bool read = false;
        wrong += pwrite(fd, &bytes[i % sizeof bytes], 1, place) != 1;
        wrong += !is_sound(fd, &read, &info);
        taken += read;
        elf_info_clear(&info);
        wrong += pwrite(fd, &file[place], 1, place) != 1;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(taken, sizeof file);
    ck_assert_uint_lt(taken, sizeof file * sizeof bytes);
}
END_TEST

/* The last part of a path. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Takes a needed name off when that library is loaded. */
static int take_loaded(struct dl_phdr_info *loaded, size_t size, void *ctx)
{
    struct strv *needed = ctx;

    (void)size;
    for (size_t i = 0; i < needed->count; i++)
        if (strcmp(needed->items[i], last_part(loaded->dlpi_name)) == 0) {
            free(needed->items[i]);
            needed->items[i] = needed->items[--needed->count];
        }
    return 0;
}

START_TEST(the_program_itself)
{
    CT_AUTO_FD int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct elf_info info;
    ElfW(Ehdr) header;
    struct stat st;

    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), sizeof header);
    ck_assert_int_eq(elf_read(fd, &info, NULL), 0);
    ck_assert_int_eq(info.machine, header.e_machine);
    ck_assert_int_eq(info.elfclass, header.e_ident[EI_CLASS]);
    ck_assert_ptr_nonnull(info.interpreter);
    ck_assert_int_eq(stat(info.interpreter, &st), 0);
    ck_assert_ptr_null(info.soname);
    ck_assert_uint_gt(info.needed.count, 0);
    dl_iterate_phdr(take_loaded, &info.needed);
    ck_assert_msg(info.needed.count == 0, "%s is not loaded",
                  info.needed.items[0]);
    elf_info_clear(&info);
}
END_TEST

static int copy_of_program(off_t *ret_size)
{
    CT_AUTO_FD int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("test", MFD_CLOEXEC);
    char buf[1 << 16];
    ssize_t len;

    ck_assert(exe >= 0 && fd >= 0);
    *ret_size = 0;
    while ((len = read(exe, buf, sizeof buf)) > 0) {
        ck_assert_int_eq(write(fd, buf, (size_t)len), len);
        *ret_size += len;
    }
    return fd;
}

/* All that is still there is read as it was, or the file is refused. */
START_TEST(the_program_when_it_ends_early)
{
    struct elf_info whole, info;
    off_t size;
    CT_AUTO_FD int fd = copy_of_program(&size);
    unsigned wrong = 0, refused = 0;

    ck_assert_int_eq(elf_read(fd, &whole, NULL), 0);
    for (int i = 499; i >= 0; i--) {
        bool read = false;
        info = (struct elf_info){0};
        wrong += ftruncate(fd, size * i / 500) < 0;
        wrong += !is_sound(fd, &read, &info);
        wrong += read && !is_same(&info.needed, &whole.needed);
        refused += !read;
        elf_info_clear(&info);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(refused, 0);
    elf_info_clear(&whole);
}
END_TEST

static struct spec spec_with_symbols(void)
{
    const struct symbol symbols[] = {
        {0, 0, 0, 0, 0, 0},
        {at("local"), STT_OBJECT, STB_LOCAL, 1, ADDRESS + TEXT_AT, 10},
        {at("function"), STT_FUNC, STB_GLOBAL, 1, ADDRESS + TEXT_AT, 10},
        {at("missing"), STT_OBJECT, STB_GLOBAL, SHN_UNDEF, 0, 0},
        {UINT32_MAX, STT_OBJECT, STB_GLOBAL, 1, ADDRESS + TEXT_AT, 10},
        {at("version"), STT_OBJECT, STB_GLOBAL, 1, ADDRESS + TEXT_AT, 10},
    };
    struct spec spec = good_spec();

    memcpy(spec.symbols, symbols, sizeof symbols);
    return spec;
}

/* The text of the symbol "version", or the error's code below 0. */
static int read_version(const struct spec *spec, char *buf, size_t size)
{
    CT_AUTO_FD int fd = file_of_spec(spec);
    struct ct_error err = {0};

    if (elf_read_string_symbol(fd, "version", buf, size, &err) == 0)
        return 0;
    ck_assert_int_gt(err.code, 0);
    return -err.code;
}

START_TEST(a_symbol_of_each_class_and_byte_order)
{
    for (int i = 0; i < 4; i++) {
        struct spec spec = spec_with_symbols();
        char buf[64] = "";
        spec.is_32 = i / 2;
        spec.is_big = i % 2;
        spec.symbols_size =
            6 * (spec.is_32 ? sizeof(Elf32_Sym) : sizeof(Elf64_Sym));
        ck_assert_int_eq(read_version(&spec, buf, sizeof buf), 0);
        ck_assert_str_eq(buf, "Made 1.2\n");
    }
}
END_TEST

START_TEST(symbols_that_are_none)
{
    static const char *const names[] = {"local",  "function", "missing",  "",
                                        "versio", "versions", "libone.so"};
    struct spec spec = spec_with_symbols();
    CT_AUTO_FD int fd = file_of_spec(&spec);
    struct ct_error err = {0};
    char buf[64] = "old";

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_msg(
            elf_read_string_symbol(fd, names[i], buf, sizeof buf, &err) == -1,
            "'%s' was read", names[i]);
        ck_assert_int_eq(err.code, ENOENT);
    }
    ck_assert_str_eq(buf, "old");
}
END_TEST

START_TEST(room_for_the_text)
{
    struct spec spec = spec_with_symbols();
    char *buf = malloc(10);

    ck_assert_ptr_nonnull(buf);
    ck_assert_int_eq(read_version(&spec, buf, 10), 0);
    ck_assert_str_eq(buf, "Made 1.2\n");
    strcpy(buf, "old");
    ck_assert_int_eq(read_version(&spec, buf, 9), -ENOSPC);
    ck_assert_int_eq(read_version(&spec, buf, 0), -ENOSPC);
    ck_assert_str_eq(buf, "old");
    free(buf);
}
END_TEST

/* Where the symbol is said to be, and the answer. */
static const struct {
    uint64_t address, size;
    int code;
} places[] = {
    {ADDRESS + TEXT_AT, 9, -ENOEXEC}, /* the NUL is behind it */
    {ADDRESS + TEXT_AT, 0, -ENOEXEC},
    {ADDRESS + TEXT_AT, UINT64_MAX, 0},
    {ADDRESS + FILE_SIZE, 10, -ENOEXEC},
    {ADDRESS - 1, 10, -ENOEXEC},
    {0, 10, -ENOEXEC},
    {UINT64_MAX, 10, -ENOEXEC},
};

START_TEST(symbols_that_lie)
{
    char buf[64];

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct spec spec = spec_with_symbols();
        spec.symbols[5].address = places[i].address;
        spec.symbols[5].size = places[i].size;
        int code = read_version(&spec, buf, sizeof buf);
        ck_assert_msg(code == places[i].code, "%zu: %d", i, code);
    }
}
END_TEST

START_TEST(tables_that_lie)
{
    static const uint64_t sizes[] = {0, sizeof(Elf64_Sym) * 5, 0x10000,
                                     1u << 31, UINT64_MAX};
    char buf[64];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct spec spec = spec_with_symbols();
        spec.symbols_size = sizes[i];
        ck_assert_int_eq(read_version(&spec, buf, sizeof buf), -ENOENT);
    }
}
END_TEST

START_TEST(functions)
{
    struct spec spec = spec_with_symbols();
    CT_AUTO_FD int fd = file_of_spec(&spec);
    CT_AUTO_FD int script = file_of("#!/bin/sh\n", 10);

    ck_assert(elf_has_function(fd, "function"));
    ck_assert(!elf_has_function(fd, "functio"));
    ck_assert(!elf_has_function(fd, "functions"));
    ck_assert(!elf_has_function(fd, "version")); /* that is data */
    ck_assert(!elf_has_function(fd, "local"));
    ck_assert(!elf_has_function(script, "function"));
    ck_assert(!elf_has_function(-1, "function"));
    spec.symbols[2].bind = STB_LOCAL;
    CT_AUTO_FD int local = file_of_spec(&spec);
    ck_assert(!elf_has_function(local, "function"));
    spec.symbols[2].bind = STB_WEAK;
    CT_AUTO_FD int weak = file_of_spec(&spec);
    ck_assert(elf_has_function(weak, "function"));
    spec.symbols[2].section = SHN_UNDEF;
    CT_AUTO_FD int needed = file_of_spec(&spec);
    ck_assert(!elf_has_function(needed, "function"));
}
END_TEST

START_TEST(symbols_of_no_elf_file)
{
    CT_AUTO_FD int fd = file_of("#!/bin/sh\n", 10);
    struct ct_error err = {0};
    char buf[64];

    ck_assert_int_eq(elf_read_string_symbol(fd, "a", buf, sizeof buf, &err),
                     -1);
    ck_assert_int_eq(err.code, ENOEXEC);
}
END_TEST

START_TEST(symbols_with_a_wrong_byte)
{
    static const unsigned char bytes[] = {0, 0x7f, 0xff};
    unsigned char file[FILE_SIZE];
    struct spec spec = spec_with_symbols();
    unsigned read = 0, refused = 0;

    write_file(&spec, file);
    CT_AUTO_FD int fd = file_of(file, sizeof file);
    for (size_t i = 0; i < sizeof file * sizeof bytes; i++) {
        off_t place = (off_t)(i / sizeof bytes);
        struct ct_error err = {0};
        char buf[16];
        if (pwrite(fd, &bytes[i % sizeof bytes], 1, place) != 1)
            continue;
        if (elf_read_string_symbol(fd, "version", buf, sizeof buf, &err) == 0)
            read += strlen(buf) < sizeof buf;
        else
            refused +=
                err.code == ENOEXEC || err.code == ENOENT || err.code == ENOSPC;
        if (pwrite(fd, &file[place], 1, place) != 1)
            break;
    }
    ck_assert_uint_eq(read + refused, sizeof file * sizeof bytes);
    ck_assert_uint_gt(refused, 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elf");
    TCase *tc = tcase_create("elf");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, all_classes_and_byte_orders);
    tcase_add_test(tc, a_program_that_needs_nothing);
    tcase_add_test(tc, an_object_file);
    tcase_add_test(tc, the_segment_of_the_strings);
    tcase_add_test(tc, the_last_of_two);
    tcase_add_test(tc, dynamic_entries_without_an_end);
    tcase_add_test(tc, no_elf_files);
    tcase_add_test(tc, no_files_at_all);
    tcase_add_test(tc, files_that_lie);
    tcase_add_test(tc, a_string_before_its_table);
    tcase_add_test(tc, long_strings);
    tcase_add_test(tc, made_files_that_end_early);
    tcase_add_test(tc, made_files_with_a_wrong_byte);
    tcase_add_test(tc, the_program_itself);
    tcase_add_test(tc, the_program_when_it_ends_early);
    tcase_add_test(tc, a_symbol_of_each_class_and_byte_order);
    tcase_add_test(tc, symbols_that_are_none);
    tcase_add_test(tc, room_for_the_text);
    tcase_add_test(tc, symbols_that_lie);
    tcase_add_test(tc, tables_that_lie);
    tcase_add_test(tc, functions);
    tcase_add_test(tc, symbols_of_no_elf_file);
    tcase_add_test(tc, symbols_with_a_wrong_byte);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
