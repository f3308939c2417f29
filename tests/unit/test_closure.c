/*
 * Libraries are made here, with as much in them as the walk reads, in small
 * trees that the walk takes for the root of an image.
 */
#include "base/scope.h"
#include "elf/closure.h"

#include <check.h>
#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All trees; made before and removed after all tests, whatever they do. */
static char top[PATH_MAX];

static void make_top(void)
{
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/closure-XXXXXX",
             folder != NULL ? folder : "/tmp");
    if (mkdtemp(path) == NULL || realpath(path, top) == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *place)
{
    (void)st, (void)type, (void)place;
    return remove(path);
}

static void remove_top(void)
{
    nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A root, and what the walk found in it: "NAME PATH\n" for each library. */
struct tree {
    char root[PATH_MAX];
    int fd;
    const char *leaf; /* a name whose needs the visitor does not want */
    char found[4096];
    size_t found_len;
    unsigned visits;
};

static void tree_open(struct tree *tree, const char *name)
{
    int len = snprintf(tree->root, sizeof tree->root, "%s/%s", top, name);

    ck_assert(len > 0 && (size_t)len < sizeof tree->root);
    ck_assert_int_eq(mkdir(tree->root, 0755), 0);
    tree->fd = open(tree->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(tree->fd, 0);
    tree->leaf = NULL;
}

static void tree_close(struct tree *tree)
{
    close(tree->fd);
}

/* Where path lies outside of the root; the folders above it are made. */
static const char *outside(const struct tree *tree, const char *path)
{
    static char full[2 * PATH_MAX];
    int len = snprintf(full, sizeof full, "%s%s", tree->root, path);

    ck_assert(len > 0 && (size_t)len < sizeof full);
    for (char *s = full + strlen(tree->root) + 1; *s != '\0'; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        mkdir(full, 0755);
        *s = '/';
    }
    return full;
}

static void add_bytes(const struct tree *tree, const char *path,
                      const void *bytes, size_t len)
{
    CT_AUTO_FD int fd = open(outside(tree, path),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    ck_assert_msg(fd >= 0, "cannot make %s", path);
    ck_assert_int_eq(write(fd, bytes, len), len);
}

static void add_link(const struct tree *tree, const char *path,
                     const char *target)
{
    ck_assert_int_eq(symlink(target, outside(tree, path)), 0);
}

/* What a library says of itself. */
struct lib {
    const char *needed[8];
    const char *soname, *rpath, *runpath, *interpreter;
    int machine; /* 0: EM_X86_64 */
};

static const struct lib plain = {.soname = NULL};

struct file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Dyn dynamic[16];
    char interpreter[64];
    char strings[2048];
    size_t strings_len; /* these two are not written */
    size_t count;       /* dynamic entries */
};

static void set_header(struct file *file, int machine)
{
    Elf64_Ehdr *header = &file->header;

    memcpy(header->e_ident, ELFMAG, SELFMAG);
    header->e_ident[EI_CLASS] = ELFCLASS64;
    header->e_ident[EI_DATA] =
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
    header->e_ident[EI_VERSION] = EV_CURRENT;
    header->e_type = ET_DYN;
    header->e_machine = (Elf64_Half)(machine != 0 ? machine : EM_X86_64);
    header->e_version = EV_CURRENT;
    header->e_phoff = offsetof(struct file, segments);
    header->e_ehsize = sizeof file->header;
    header->e_phentsize = sizeof file->segments[0];
    header->e_phnum = 3;
}

static void set_segment(Elf64_Phdr *segment, Elf64_Word type, size_t offset,
                        size_t size)
{
    segment->p_type = type;
    segment->p_offset = segment->p_vaddr = segment->p_paddr = offset;
    segment->p_filesz = segment->p_memsz = size;
    segment->p_align = 1;
}

static void set_number(struct file *file, Elf64_Sxword tag, size_t value)
{
    ck_assert_uint_lt(file->count, 15);
    file->dynamic[file->count].d_tag = tag;
    file->dynamic[file->count++].d_un.d_val = value;
}

static void set_string(struct file *file, Elf64_Sxword tag, const char *text)
{
    if (text == NULL)
        return;
    ck_assert_uint_lt(file->strings_len + strlen(text) + 1,
                      sizeof file->strings);
    set_number(file, tag, file->strings_len);
    strcpy(file->strings + file->strings_len, text);
    file->strings_len += strlen(text) + 1;
}

static void add_lib(const struct tree *tree, const char *path, struct lib lib)
{
    struct file file = {.strings_len = 1};

    set_header(&file, lib.machine);
    set_segment(&file.segments[0], PT_LOAD, 0,
                offsetof(struct file, strings_len));
    set_segment(&file.segments[1], PT_DYNAMIC, offsetof(struct file, dynamic),
                sizeof file.dynamic);
    if (lib.interpreter != NULL) {
        strcpy(file.interpreter, lib.interpreter);
        set_segment(&file.segments[2], PT_INTERP,
                    offsetof(struct file, interpreter),
                    strlen(lib.interpreter) + 1);
    }
    for (size_t i = 0; i < 8; i++)
        set_string(&file, DT_NEEDED, lib.needed[i]);
    set_string(&file, DT_SONAME, lib.soname);
    set_string(&file, DT_RPATH, lib.rpath);
    set_string(&file, DT_RUNPATH, lib.runpath);
    set_number(&file, DT_STRTAB, offsetof(struct file, strings));
    set_number(&file, DT_STRSZ, sizeof file.strings);
    add_bytes(tree, path, &file, offsetof(struct file, strings_len));
}

static bool is_inside(const struct tree *tree, int fd)
{
    size_t len = strlen(tree->root);
    char link[64], path[2 * PATH_MAX] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 &&
           strncmp(path, tree->root, len) == 0 && path[len] == '/';
}

static bool visit(void *ctx, const char *name, const char *path, int fd)
{
    struct tree *tree = ctx;
    size_t room = sizeof tree->found - tree->found_len;
    char magic[SELFMAG];
    int len =
        snprintf(tree->found + tree->found_len, room, "%s %s\n", name, path);

    if (len > 0 && (size_t)len < room)
        tree->found_len += (size_t)len;
    tree->found[tree->found_len] = '\0';
    tree->visits++;
    ck_assert(is_inside(tree, fd));
    ck_assert_int_eq(read(fd, magic, sizeof magic), SELFMAG);
    ck_assert_mem_eq(magic, ELFMAG, SELFMAG);
    return tree->leaf == NULL || strcmp(name, tree->leaf) != 0;
}

static void walk(struct tree *tree, const char *path, const char *library_path)
{
    struct ct_error err = {0};

    tree->found[0] = '\0';
    tree->found_len = 0;
    tree->visits = 0;
    ck_assert_msg(elf_walk(tree->fd, path, library_path, visit, tree, &err) ==
                      0,
                  "%s", err.text);
}

static void check_walk(struct tree *tree, const char *path,
                       const char *library_path, const char *expected)
{
    walk(tree, path, library_path);
    ck_assert_str_eq(tree->found, expected);
}

#define NEEDS(...) .needed = {__VA_ARGS__}

START_TEST(breadth_first_and_once)
{
    struct tree tree;

    tree_open(&tree, "breadth");
    add_lib(&tree, "/bin/app", (struct lib){NEEDS("liba.so", "libb.so")});
    add_lib(&tree, "/lib/liba.so", (struct lib){NEEDS("libc1.so", "libb.so")});
    add_lib(&tree, "/lib/libb.so",
            (struct lib){NEEDS("libd.so", "liba.so", "libb.so")});
    add_lib(&tree, "/lib/libc1.so", (struct lib){NEEDS("libd.so", "libe.so")});
    add_lib(&tree, "/lib/libd.so", (struct lib){NEEDS("libe.so")});
    add_lib(&tree, "/lib/libe.so", (struct lib){NEEDS("liba.so")});
    check_walk(&tree, "/bin/app", NULL,
               "liba.so /lib/liba.so\n"
               "libb.so /lib/libb.so\n"
               "libc1.so /lib/libc1.so\n"
               "libd.so /lib/libd.so\n"
               "libe.so /lib/libe.so\n");
    check_walk(&tree, "/lib/libd.so", NULL,
               "libe.so /lib/libe.so\n"
               "liba.so /lib/liba.so\n"
               "libc1.so /lib/libc1.so\n"
               "libb.so /lib/libb.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(the_c_library_is_passed_over)
{
    struct tree tree;

    tree_open(&tree, "c-library");
    add_lib(&tree, "/app",
            (struct lib){NEEDS("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2",
                               "libpthread.so.0", "libc.musl-x86_64.so.1",
                               "libcc.so.6")});
    add_lib(&tree, "/lib/libc.so.6", (struct lib){NEEDS("libx.so")});
    add_lib(&tree, "/lib/libm.so.6", plain);
    add_lib(&tree, "/lib/libcc.so.6", plain);
    check_walk(&tree, "/app", NULL, "libcc.so.6 /lib/libcc.so.6\n");
    tree_close(&tree);
}
END_TEST

START_TEST(what_is_missing_is_passed_over)
{
    struct tree tree;

    tree_open(&tree, "missing");
    add_lib(&tree, "/app", (struct lib){NEEDS("libx.so", "", "libb.so")});
    add_lib(&tree, "/lib/libb.so", (struct lib){NEEDS("liby.so")});
    check_walk(&tree, "/app", NULL, "libb.so /lib/libb.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(a_static_program)
{
    struct tree tree;

    tree_open(&tree, "static");
    add_lib(&tree, "/app", plain);
    check_walk(&tree, "/app", NULL, "");
    tree_close(&tree);
}
END_TEST

/* liba.so is in each of the folders; found one by one, as they go. */
static void check_order(struct tree *tree, const char *program,
                        const char *library_path, const char *const *folders)
{
    char path[256], expected[256];

    for (size_t i = 0; folders[i] != NULL; i++) {
        snprintf(path, sizeof path, "%s/liba.so", folders[i]);
        add_lib(tree, path, plain);
    }
    for (size_t i = 0; folders[i] != NULL; i++) {
        snprintf(expected, sizeof expected, "liba.so %s/liba.so\n", folders[i]);
        check_walk(tree, program, library_path, expected);
        snprintf(path, sizeof path, "%s/liba.so", folders[i]);
        ck_assert_int_eq(unlink(outside(tree, path)), 0);
    }
    check_walk(tree, program, library_path, "");
}

/* An ld.so.cache: entries whose flags, key and value are given. */
struct cache_entry {
    uint32_t flags;
    const char *key, *value;
    uint64_t hwcap;
};

enum { NEW_HEAD = 48, NEW_ENTRY = 24 };

struct cache {
    char bytes[8192];
    size_t head; /* where the new head starts */
    size_t len;
};

static void put_32(struct cache *cache, size_t at, uint32_t value)
{
    memcpy(cache->bytes + cache->head + at, &value, sizeof value);
}

static uint32_t put_text(struct cache *cache, const char *text)
{
    size_t at = cache->len - cache->head;

    ck_assert_uint_lt(cache->len + strlen(text) + 1, sizeof cache->bytes);
    strcpy(cache->bytes + cache->len, text);
    cache->len += strlen(text) + 1;
    return (uint32_t)at;
}

/* old: entries of the old format before, or -1 for no old head. */
static void cache_make(struct cache *cache, int old,
                       const struct cache_entry *entries, uint32_t count)
{
    *cache = (struct cache){.len = 0};
    if (old >= 0) {
        uint32_t old_count = (uint32_t)old;
        strcpy(cache->bytes, "ld.so-1.7.0");
        memcpy(cache->bytes + 12, &old_count, sizeof old_count);
        cache->head = (16 + 12 * (size_t)old + 7) / 8 * 8;
    }
    memcpy(cache->bytes + cache->head, "glibc-ld.so.cache1.1", 20);
    put_32(cache, 20, count);
    cache->len = cache->head + NEW_HEAD + count * NEW_ENTRY;
    for (uint32_t i = 0; i < count; i++) {
        size_t at = NEW_HEAD + i * NEW_ENTRY;
        put_32(cache, at, entries[i].flags);
        put_32(cache, at + 4, put_text(cache, entries[i].key));
        put_32(cache, at + 8, put_text(cache, entries[i].value));
        memcpy(cache->bytes + cache->head + at + 16, &entries[i].hwcap, 8);
    }
}

static void add_cache(const struct tree *tree, const char *key,
                      const char *value)
{
    struct cache_entry entry = {0x0303, key, value, 0};
    struct cache cache;

    cache_make(&cache, -1, &entry, 1);
    add_bytes(tree, "/etc/ld.so.cache", cache.bytes, cache.len);
}

START_TEST(the_order_of_the_loader)
{
    static const char *const with_rpath[] = {"/rpath", "/env1",  "/env2",
                                             "/cache", "/lib64", NULL};
    static const char *const with_runpath[] = {
        "/env1", "/env2", "/run1", "/run2", "/cache", "/usr/lib", NULL};
    struct tree tree;

    tree_open(&tree, "order");
    add_cache(&tree, "liba.so", "/cache/liba.so");
    add_lib(&tree, "/rpath-app",
            (struct lib){NEEDS("liba.so"), .rpath = "/none:/rpath"});
    check_order(&tree, "/rpath-app", "/env1:/none:/env2", with_rpath);
    add_lib(&tree, "/runpath-app",
            (struct lib){NEEDS("liba.so"), .runpath = "/run1:/run2"});
    check_order(&tree, "/runpath-app", "/env1;/env2", with_runpath);
    tree_close(&tree);
}
END_TEST

START_TEST(default_folders)
{
    static const char *const glibc[] = {"/lib/x86_64-linux-gnu",
                                        "/usr/lib/x86_64-linux-gnu",
                                        "/lib64",
                                        "/usr/lib64",
                                        "/lib",
                                        "/usr/lib",
                                        NULL};
    static const char *const musl[] = {"/lib", "/usr/local/lib", "/usr/lib",
                                       NULL};
    struct tree tree;

    tree_open(&tree, "default");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so")});
    check_order(&tree, "/app", NULL, glibc);
    add_cache(&tree, "liba.so", "/cache/liba.so"); /* musl does not look */
    add_lib(&tree, "/cache/liba.so", plain);
    add_lib(&tree, "/app",
            (struct lib){NEEDS("liba.so"),
                         .interpreter = "/lib/ld-musl-x86_64.so.1"});
    check_order(&tree, "/app", "", musl);
    tree_close(&tree);
}
END_TEST

START_TEST(folders_of_other_machines)
{
    static const int machines[] = {EM_AARCH64, EM_SPARCV9};
    static const char *const paths[] = {"/lib/aarch64-linux-gnu/liba.so",
                                        "/usr/lib/liba.so"};
    struct tree tree;
    char expected[64];

    tree_open(&tree, "machines");
    for (int i = 0; i < 2; i++) {
        struct lib lib = {.machine = machines[i]};
        add_lib(&tree, "/lib/x86_64-linux-gnu/liba.so", lib);
        add_lib(&tree, paths[i], lib);
        lib.needed[0] = "liba.so";
        add_lib(&tree, "/app", lib);
        snprintf(expected, sizeof expected, "liba.so %s\n", paths[i]);
        check_walk(&tree, "/app", NULL, expected);
    }
    tree_close(&tree);
}
END_TEST

/* DT_RUNPATH is for an object's own needs, DT_RPATH for all below as well. */
START_TEST(rpath_is_inherited_runpath_is_not)
{
    struct tree tree;

    tree_open(&tree, "inherited");
    add_lib(&tree, "/x/liba.so", (struct lib){NEEDS("libb.so")});
    add_lib(&tree, "/x/libb.so", plain);
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so"), .rpath = "/x"});
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\nlibb.so /x/libb.so\n");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so"), .runpath = "/x"});
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(runpath_switches_rpath_off)
{
    struct tree tree;

    tree_open(&tree, "switch");
    add_lib(&tree, "/x/liba.so", (struct lib){NEEDS("libb.so")});
    add_lib(&tree, "/x/libb.so", plain);
    add_lib(&tree, "/app",
            (struct lib){NEEDS("liba.so"), .rpath = "/x", .runpath = "/y"});
    check_walk(&tree, "/app", NULL, "");
    /* in an object on the way it takes away those of all above */
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so"), .rpath = "/x"});
    add_lib(&tree, "/x/liba.so",
            (struct lib){NEEDS("libb.so"), .runpath = "/y"});
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\n");
    /* and above, its own only */
    add_lib(&tree, "/app",
            (struct lib){NEEDS("liba.so"), .rpath = "/x", .runpath = "/x"});
    add_lib(&tree, "/x/liba.so", (struct lib){NEEDS("libb.so")});
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\n");
    tree_close(&tree);
}
END_TEST

/* A DT_RUNPATH, and where it leads to; the program is /opt/bin/app. */
static const struct {
    const char *runpath;
    const char *path; /* or NULL */
} tokens[] = {
    {"$ORIGIN", "/opt/bin/liba.so"},
    {"${ORIGIN}", "/opt/bin/liba.so"},
    {"$ORIGIN/../lib", "/opt/bin/../lib/liba.so"},
    {"/opt/$LIB", "/opt/lib/x86_64-linux-gnu/liba.so"},
    {"/opt/${LIB}/", "/opt/lib/x86_64-linux-gnu//liba.so"},
    {"/opt/$LIB/more", "/opt/lib64/more/liba.so"},
    {"/opt/$PLATFORM", "/opt/x86_64/liba.so"},
    {"/opt/${PLATFORM}$PLATFORM", "/opt/x86_64x86_64/liba.so"},
    {"/opt/$NOTHING", "/opt/$NOTHING/liba.so"},
    {"/opt/$", "/opt/$/liba.so"},
    {"/opt/${ORIGIN", "/opt/${ORIGIN/liba.so"},
    {"/opt/$$LIBS", "/opt/$$LIBS/liba.so"},
    {"::/none::$ORIGIN:", "/opt/bin/liba.so"},
    {"$ORIGINAL", NULL},
    {"$ORIGIN$ORIGIN", "/opt/bin/opt/bin/liba.so"},
    {"opt/bin", NULL},
    {".", NULL},
    {":", NULL},
    {"", NULL},
    {"$LIB", NULL},
};

START_TEST(tokens_in_paths)
{
    struct tree tree;
    char expected[256];

    tree_open(&tree, "tokens");
    add_lib(&tree, "/opt/binAL/liba.so", plain);
    add_lib(&tree, "/liba.so", plain); /* an empty path leads nowhere */
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        if (tokens[i].path != NULL)
            add_lib(&tree, tokens[i].path, plain);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        add_lib(&tree, "/opt/bin/app",
                (struct lib){NEEDS("liba.so"), .runpath = tokens[i].runpath});
        walk(&tree, "/opt/bin/app", NULL);
        snprintf(expected, sizeof expected, "liba.so %s\n", tokens[i].path);
        ck_assert_msg(
            strcmp(tree.found, tokens[i].path != NULL ? expected : "") == 0,
            "'%s' leads to '%s'", tokens[i].runpath, tree.found);
    }
    tree_close(&tree);
}
END_TEST

/* What may stand behind "$ORIGIN", and what makes another name of it. */
START_TEST(names_of_tokens)
{
    static const char behind[] = "-.@[`{~^AZaz09_";
    const char *others = strchr(behind, 'A');
    struct tree tree;

    tree_open(&tree, "names");
    for (const char *c = behind; *c != '\0'; c++) {
        char runpath[] = "$ORIGIN?", path[] = "/bin?/liba.so";
        runpath[7] = path[4] = *c;
        add_lib(&tree, path, plain);
        add_lib(&tree, "/bin/app",
                (struct lib){NEEDS("liba.so"), .runpath = runpath});
        walk(&tree, "/bin/app", NULL);
        ck_assert_msg((tree.visits == 1) == (c < others), "'%s'", runpath);
    }
    tree_close(&tree);
}
END_TEST

/* Paths that just fit PATH_MAX, and those that do not: none is there. */
START_TEST(long_paths)
{
    static const char program[] =
        "/a-folder-with-a-name-of-41-letters-in-all/app";
    struct tree tree;
    char runpath[1024] = "";

    tree_open(&tree, "long");
    for (int i = 0; i < 97; i++) /* 97 * 42 is 4074 */
        strcat(runpath, "$ORIGIN");
    for (int i = 0; i < 40; i++) {
        add_lib(&tree, program,
                (struct lib){NEEDS("liba.so"), .runpath = runpath});
        check_walk(&tree, program, NULL, "");
        strcat(runpath, ".");
    }
    for (int i = 0; i < 40; i++)
        strcat(runpath, "$ORIGIN");
    add_lib(&tree, program, (struct lib){NEEDS("liba.so"), .runpath = runpath});
    check_walk(&tree, program, NULL, "");
    tree_close(&tree);
}
END_TEST

/* The program's is where it really lies, a library's where it was found. */
START_TEST(origins)
{
    struct tree tree;

    tree_open(&tree, "origins");
    add_lib(&tree, "/opt/app/bin/app",
            (struct lib){NEEDS("liba.so"), .runpath = "$ORIGIN/../lib"});
    add_link(&tree, "/bin/app", "/opt/app/bin/app");
    add_lib(&tree, "/real/liba.so",
            (struct lib){NEEDS("libb.so"), .runpath = "$ORIGIN/x"});
    add_link(&tree, "/opt/app/lib/liba.so", "../../../real/liba.so");
    add_lib(&tree, "/opt/app/lib/x/libb.so", plain);
    add_lib(&tree, "/real/x/libb.so", plain);
    check_walk(&tree, "/bin/app", NULL,
               "liba.so /opt/app/bin/../lib/liba.so\n"
               "libb.so /opt/app/bin/../lib/x/libb.so\n");
    check_walk(&tree, "/bin/app", "$ORIGIN/../lib/x:/real",
               "liba.so /real/liba.so\n"
               "libb.so /opt/app/bin/../lib/x/libb.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(a_program_in_the_root_folder)
{
    struct tree tree;

    tree_open(&tree, "rootfolder");
    add_lib(&tree, "/app",
            (struct lib){NEEDS("liba.so"), .runpath = "$ORIGIN/x"});
    add_lib(&tree, "/x/liba.so", plain);
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(needs_that_are_paths)
{
    struct tree tree;

    tree_open(&tree, "paths");
    add_lib(&tree, "/bin/app",
            (struct lib){NEEDS("/opt/liba.so", "$ORIGIN/libb.so", "bin/libb.so",
                               "./libb.so", "/none/libx.so"),
                         .rpath = "/opt:/bin"});
    add_lib(&tree, "/opt/liba.so", plain);
    add_lib(&tree, "/bin/libb.so", plain);
    check_walk(&tree, "/bin/app", "/opt:/bin",
               "/opt/liba.so /opt/liba.so\n"
               "$ORIGIN/libb.so /bin/libb.so\n");
    tree_close(&tree);
}
END_TEST

/* The same file by two names, and another that has the name already. */
START_TEST(each_library_once)
{
    struct tree tree;

    tree_open(&tree, "once");
    add_lib(&tree, "/app",
            (struct lib){NEEDS("liba.so", "liba.so.1", "libb.so", "libself.so",
                               "libother.so")});
    add_lib(&tree, "/lib/liba.so.1.2", (struct lib){.soname = "libb.so"});
    add_link(&tree, "/lib/liba.so", "liba.so.1.2");
    add_link(&tree, "/lib/liba.so.1", "liba.so");
    add_lib(&tree, "/lib/libb.so", plain);
    add_link(&tree, "/lib/libself.so", "/app");
    add_lib(&tree, "/lib/libother.so", (struct lib){NEEDS("liba.so.1.2")});
    check_walk(&tree, "/app", NULL,
               "liba.so /lib/liba.so\nlibother.so /lib/libother.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(the_visitor_may_not_want_more)
{
    struct tree tree;

    tree_open(&tree, "leaf");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so", "libb.so")});
    add_lib(&tree, "/lib/liba.so", (struct lib){NEEDS("libx.so", "liby.so")});
    add_lib(&tree, "/lib/libb.so", (struct lib){NEEDS("liby.so", "liba.so")});
    add_lib(&tree, "/lib/libx.so", plain);
    add_lib(&tree, "/lib/liby.so", plain);
    tree.leaf = "liba.so";
    check_walk(&tree, "/app", NULL,
               "liba.so /lib/liba.so\n"
               "libb.so /lib/libb.so\n"
               "liby.so /lib/liby.so\n");
    tree_close(&tree);
}
END_TEST

/* As the loader does, search on behind what cannot be loaded. */
START_TEST(files_of_the_wrong_kind)
{
    struct tree tree;
    struct file file = {.count = 0};

    tree_open(&tree, "kinds");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so")});
    add_lib(&tree, "/1/liba.so", (struct lib){.machine = EM_AARCH64});
    add_bytes(&tree, "/2/liba.so", "INPUT(libb.so)\n", 15);
    add_bytes(&tree, "/3/liba.so", "", 0);
    outside(&tree, "/4/liba.so/"); /* a folder */
    ck_assert_int_eq(mkfifo(outside(&tree, "/5/liba.so"), 0644), 0);
    add_link(&tree, "/6/liba.so", "liba.so");
    set_header(&file, EM_X86_64);
    add_bytes(&tree, "/8/liba.so", &file, sizeof file.header);
    add_lib(&tree, "/9/liba.so", plain);
    check_walk(&tree, "/app", "/1:/2:/3:/4:/5:/6:/8:/9",
               "liba.so /9/liba.so\n");
    tree_close(&tree);
}
END_TEST

START_TEST(links_stay_in_the_root)
{
    struct tree tree, other;
    char target[2 * PATH_MAX];

    tree_open(&other, "evil");
    add_lib(&other, "/liba.so", plain);
    tree_open(&tree, "links");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so")});
    snprintf(target, sizeof target, "%s/liba.so", other.root);
    add_link(&tree, "/1/liba.so", target);
    add_link(&tree, "/2/liba.so", "../../evil/liba.so");
    add_link(&tree, "/3/liba.so", "/../../evil/liba.so");
    add_link(&tree, "/4", other.root);
    add_link(&tree, "/5", "../evil");
    check_walk(&tree, "/app",
               "/1:/2:/3:/4:/5:/../evil:/1/../../evil:/1/../../../evil", "");
    check_walk(&tree, "/app", other.root, "");
    ck_assert_int_eq(elf_walk(tree.fd, "/1/liba.so", NULL, visit, &tree, NULL),
                     -1);
    ck_assert_int_eq(
        elf_walk(tree.fd, "/../evil/liba.so", NULL, visit, &tree, NULL), -1);
    /* the same links, to what is inside */
    add_lib(&tree, "/evil/liba.so", plain);
    check_walk(&tree, "/app", "/2", "liba.so /2/liba.so\n");
    check_walk(&tree, "/app", "/3", "liba.so /3/liba.so\n");
    check_walk(&tree, "/app", "/5", "liba.so /5/liba.so\n");
    check_walk(&tree, "/app", "/../evil", "liba.so /../evil/liba.so\n");
    tree_close(&tree);
    tree_close(&other);
}
END_TEST

START_TEST(a_cache_out_of_the_root)
{
    struct tree tree, other;
    char target[2 * PATH_MAX];

    tree_open(&other, "evil-cache");
    add_cache(&other, "liba.so", "/cache/liba.so");
    tree_open(&tree, "cache-link");
    snprintf(target, sizeof target, "%s/etc/ld.so.cache", other.root);
    add_link(&tree, "/etc/ld.so.cache", target);
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so")});
    add_lib(&tree, "/cache/liba.so", plain);
    check_walk(&tree, "/app", NULL, "");
    tree_close(&tree);
    tree_close(&other);
}
END_TEST

START_TEST(caches_that_help_not)
{
    struct tree tree;

    tree_open(&tree, "bad-cache");
    add_lib(&tree, "/app", (struct lib){NEEDS("liba.so")});
    add_lib(&tree, "/lib/liba.so", plain);
    add_cache(&tree, "liba.so", "/none/liba.so");
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    add_cache(&tree, "liba.so", "lib/liba.so");
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    add_cache(&tree, "liba.so", "/x/liba.so");
    add_lib(&tree, "/x/liba.so", plain);
    check_walk(&tree, "/app", NULL, "liba.so /x/liba.so\n");
    ck_assert_int_eq(truncate(outside(&tree, "/etc/ld.so.cache"), 9 << 20), 0);
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    add_bytes(&tree, "/etc/ld.so.cache", "glibc-ld.so.cache1.1", 20);
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    add_bytes(&tree, "/etc/ld.so.cache", "", 0);
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    ck_assert_int_eq(unlink(outside(&tree, "/etc/ld.so.cache")), 0);
    ck_assert_int_eq(mkfifo(outside(&tree, "/etc/ld.so.cache"), 0644), 0);
    check_walk(&tree, "/app", NULL, "liba.so /lib/liba.so\n");
    tree_close(&tree);
}
END_TEST

static void check_no_program(struct tree *tree, const char *path, int code)
{
    struct ct_error err = {0};

    ck_assert_int_eq(elf_walk(tree->fd, path, NULL, visit, tree, &err), -1);
    ck_assert_msg(err.code == code, "%s: %s", path, err.text);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_int_eq(elf_walk(tree->fd, path, NULL, visit, tree, NULL), -1);
}

START_TEST(programs_that_are_none)
{
    struct tree tree;

    tree_open(&tree, "none");
    add_bytes(&tree, "/script", "#!/bin/sh\n", 10);
    add_bytes(&tree, "/empty", "", 0);
    add_bytes(&tree, "/broken", ELFMAG "\2\1\1", 7);
    add_link(&tree, "/loop", "loop");
    ck_assert_int_eq(mkfifo(outside(&tree, "/fifo"), 0644), 0);
    check_no_program(&tree, "/script", ENOEXEC);
    check_no_program(&tree, "/empty", ENOEXEC);
    check_no_program(&tree, "/broken", ENOEXEC);
    check_no_program(&tree, "/fifo", ENOEXEC);
    check_no_program(&tree, "/", ENOEXEC);
    check_no_program(&tree, "/none", ENOENT);
    check_no_program(&tree, "/script/none", ENOTDIR);
    check_no_program(&tree, "/loop", ELOOP);
    tree_close(&tree);
}
END_TEST

/* A chain longer than the walk follows: it ends, and that is all. */
START_TEST(endless_chains_end)
{
    struct tree tree;
    char path[64], name[64];

    tree_open(&tree, "chain");
    add_lib(&tree, "/app", (struct lib){NEEDS("lib0.so"), .rpath = "/x"});
    for (int i = 0; i < 520; i++) {
        snprintf(path, sizeof path, "/x/lib%d.so", i);
        snprintf(name, sizeof name, "lib%d.so", i + 1);
        add_lib(&tree, path, (struct lib){NEEDS(name)});
    }
    walk(&tree, "/app", NULL);
    ck_assert_uint_eq(tree.visits, 511);
    tree_close(&tree);
}
END_TEST

static const char *const c_library[] = {
    "libc.so.", "libm.so.",    "libpthread.so.", "libdl.so.",  "librt.so.",
    "ld-linux", "libutil.so.", "ld64.so.",       "libc.musl-", "ld-musl-",
};

/* The program that this test is, as the loader has loaded it. */
struct loaded {
    unsigned count;   /* libraries that the loader has */
    unsigned visited; /* that the walk has, and the loader too */
    unsigned strange; /* that the walk has alone */
    int fd;           /* being looked for */
    bool found;
};

static int count_loaded(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct loaded *loaded = ctx;
    const char *slash = strrchr(info->dlpi_name, '/');
    struct stat st;

    (void)size;
    if (slash == NULL || stat(info->dlpi_name, &st) < 0)
        return 0; /* the program, the kernel's */
    for (size_t i = 0; i < sizeof c_library / sizeof c_library[0]; i++)
        if (strncmp(slash + 1, c_library[i], strlen(c_library[i])) == 0)
            return 0;
    loaded->count++;
    return 0;
}

static int find_loaded(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct loaded *loaded = ctx;
    struct stat a, b;

    (void)size;
    loaded->found |= fstat(loaded->fd, &a) == 0 &&
                     stat(info->dlpi_name, &b) == 0 && a.st_dev == b.st_dev &&
                     a.st_ino == b.st_ino;
    return 0;
}

static bool visit_loaded(void *ctx, const char *name, const char *path, int fd)
{
    struct loaded *loaded = ctx;

    (void)name, (void)path;
    loaded->fd = fd;
    loaded->found = false;
    dl_iterate_phdr(find_loaded, loaded);
    loaded->visited += loaded->found;
    loaded->strange += !loaded->found;
    return true;
}

START_TEST(the_program_itself)
{
    CT_AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *self = realpath("/proc/self/exe", NULL);
    struct loaded loaded = {0};
    struct ct_error err = {0};

    ck_assert_ptr_nonnull(self);
    ck_assert_msg(elf_walk(root, self, getenv("LD_LIBRARY_PATH"), visit_loaded,
                           &loaded, &err) == 0,
                  "%s", err.text);
    dl_iterate_phdr(count_loaded, &loaded);
    ck_assert_uint_eq(loaded.strange, 0);
    if (getenv("LD_PRELOAD") == NULL) /* nobody needs what it names */
        ck_assert_uint_eq(loaded.visited, loaded.count);
    free(self);
}
END_TEST

/* The path, from bytes of their own so that ASan sees their ends, or NULL. */
static const char *find_in(const char *bytes, size_t len, const char *name)
{
    static char path[8192];
    char *copy = malloc(len + (len == 0));
    struct ct_span found = {0};
    int rc;

    if (copy == NULL)
        return NULL;
    memcpy(copy, bytes, len);
    rc = ldcache_find(ct_span(copy, len), name, &found);
    if (rc == 0 && (found.ptr < copy || found.ptr + found.len > copy + len ||
                    found.len >= sizeof path))
        ck_abort_msg("a path that is not in the cache");
    if (rc == 0)
        snprintf(path, sizeof path, "%.*s", (int)found.len, found.ptr);
    free(copy);
    return rc == 0 ? path : NULL;
}

static const char *find(const struct cache *cache, const char *name)
{
    return find_in(cache->bytes, cache->len, name);
}

#if defined(__x86_64__)
enum { HOST_FLAGS = 0x0303 };
#elif defined(__aarch64__)
enum { HOST_FLAGS = 0x0a03 };
#else
enum { HOST_FLAGS = 0x0003 }; /* no preference is tested */
#endif

static const struct cache_entry some[] = {
    {HOST_FLAGS, "libc1.so", "/lib/libc1.so", 0},
    {HOST_FLAGS, "liba.so", "/hwcap/liba.so", UINT64_C(1) << 62},
    {0x0803, "liba.so", "/x32/liba.so", 0},
    {0x0003, "liba.so", "/i386/liba.so", 0},
    {HOST_FLAGS, "liba.so", "/lib/liba.so", 0},
    {HOST_FLAGS, "liba.so", "/usr/lib/liba.so", 0},
    {0x0803, "libb.so", "/x32/libb.so", 0},
    {HOST_FLAGS, "libh.so", "/hwcap/libh.so", 1},
    {HOST_FLAGS, "", "/empty", 0},
};

enum { SOME = sizeof some / sizeof some[0] };

START_TEST(names_in_a_cache)
{
    struct cache cache;

    for (int old = -1; old < 6; old++) {
        cache_make(&cache, old, some, SOME);
        ck_assert_str_eq(find(&cache, "libc1.so"), "/lib/libc1.so");
        if (HOST_FLAGS != 0x0003)
            ck_assert_str_eq(find(&cache, "liba.so"), "/lib/liba.so");
        ck_assert_str_eq(find(&cache, "libb.so"), "/x32/libb.so");
        ck_assert_ptr_null(find(&cache, "libh.so"));
        ck_assert_ptr_null(find(&cache, "liba"));
        ck_assert_ptr_null(find(&cache, "liba.so.1"));
        ck_assert_ptr_null(find(&cache, "/lib/liba.so"));
    }
    cache_make(&cache, -1, some, 0);
    ck_assert_ptr_null(find(&cache, "liba.so"));
}
END_TEST

START_TEST(caches_that_end_early)
{
    struct cache cache;
    unsigned wrong = 0;

    for (int old = -1; old < 2; old++) {
        cache_make(&cache, old, some, SOME);
        for (size_t len = 0; len < cache.len; len++) {
            const char *path = find_in(cache.bytes, len, "libc1.so");
            wrong += path != NULL && strcmp(path, "/lib/libc1.so") != 0;
            wrong += path != NULL && len < cache.head + NEW_HEAD;
            find_in(cache.bytes, len, "");
        }
        ck_assert_uint_eq(wrong, 0);
    }
}
END_TEST

START_TEST(caches_with_a_wrong_byte)
{
    static const char bytes[] = {'\0', '\1', '\x7f', '\x80', '\xff'};
    struct cache cache;
    unsigned found = 0;

    for (int old = -1; old < 2; old++) {
        cache_make(&cache, old, some, SOME);
        for (size_t i = 0; i < cache.len * sizeof bytes; i++) {
            char *place = cache.bytes + i / sizeof bytes;
            char was = *place;
            *place = bytes[i % sizeof bytes];
            found += find(&cache, "libc1.so") != NULL;
            *place = was;
        }
    }
    ck_assert_uint_gt(found, 0);
}
END_TEST

/* A number of the head or of the first entry, and its lie. */
static const struct {
    size_t at;
    uint32_t value;
    bool found;
} cache_lies[] = {
    {20, SOME + 1000, false},
    {20, UINT32_MAX, false},
    {20, UINT32_MAX / NEW_ENTRY + 1, false},
    {20, 1, true},
    {20, 0, false},
    {28, 1, false}, /* the byte order: none that is known */
    {NEW_HEAD + 4, UINT32_MAX, false},
    {NEW_HEAD + 8, UINT32_MAX, false},
    {NEW_HEAD + 16, 1, false},
    {NEW_HEAD + 20, 1, false},
    {NEW_HEAD + 12, UINT32_MAX, true}, /* osversion */
};

START_TEST(caches_that_lie)
{
    struct cache cache;

    for (size_t i = 0; i < sizeof cache_lies / sizeof cache_lies[0]; i++) {
        cache_make(&cache, 1, some, SOME);
        put_32(&cache, cache_lies[i].at, cache_lies[i].value);
        ck_assert_msg((find(&cache, "libc1.so") != NULL) == cache_lies[i].found,
                      "lie %zu", i);
    }
    cache_make(&cache, 1, some, SOME);
    memset(cache.bytes + 12, 0xff, 4); /* old entries */
    ck_assert_ptr_null(find(&cache, "libc1.so"));
    for (int old = -1; old < 2; old++) {
        cache_make(&cache, old, some, SOME);
        cache.bytes[cache.head + 19] = '2'; /* the version */
        ck_assert_ptr_null(find(&cache, "libc1.so"));
    }
}
END_TEST

static bool count_entry(void *ctx, struct ct_span name, struct ct_span path)
{
    (void)name, (void)path;
    ++*(unsigned *)ctx;
    return true;
}

START_TEST(a_cache_ends_with_its_count)
{
    struct cache cache;
    unsigned count = 0;

    cache_make(&cache, -1, some, SOME);
    put_32(&cache, 20, 3);
    ldcache_each(ct_span(cache.bytes, cache.len), count_entry, &count);
    ck_assert_uint_eq(count, 2); /* one has hwcap bits */
    ck_assert_str_eq(find(&cache, "liba.so"), "/x32/liba.so");
    ck_assert_ptr_null(find(&cache, "libb.so"));
}
END_TEST

START_TEST(the_byte_order_of_a_cache)
{
    bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    struct cache cache;

    cache_make(&cache, -1, some, SOME);
    cache.bytes[28] = little ? 2 : 3;
    ck_assert_ptr_nonnull(find(&cache, "libc1.so"));
    cache.bytes[28] = little ? 3 : 2;
    ck_assert_ptr_null(find(&cache, "libc1.so"));
}
END_TEST

START_TEST(strings_of_a_cache)
{
    struct cache_entry last = {HOST_FLAGS, "liba.so", "/lib/liba.so", 0};
    struct cache cache;

    cache_make(&cache, -1, &last, 1);
    cache.len--; /* the NUL of the last */
    ck_assert_ptr_null(find(&cache, "liba.so"));
    cache.len++;
    put_32(&cache, NEW_HEAD + 8, (uint32_t)cache.len - 1);
    ck_assert_str_eq(find(&cache, "liba.so"), "");
    put_32(&cache, NEW_HEAD + 8, (uint32_t)cache.len);
    ck_assert_ptr_null(find(&cache, "liba.so"));
}
END_TEST

START_TEST(long_strings_of_a_cache)
{
    char path[4097];
    struct cache_entry entry = {HOST_FLAGS, "liba.so", path, 0};
    struct cache cache;

    memset(path, 'x', 4096);
    path[4096] = '\0';
    cache_make(&cache, -1, &entry, 1);
    ck_assert_ptr_null(find(&cache, "liba.so"));
    path[4095] = '\0';
    cache_make(&cache, -1, &entry, 1);
    ck_assert_str_eq(find(&cache, "liba.so"), path);
}
END_TEST

static bool list_entry(void *ctx, struct ct_span name, struct ct_span path)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%.*s %.*s\n", (int)name.len, name.ptr,
            (int)path.len, path.ptr);
    return !ct_span_is(name, "libb.so");
}

START_TEST(each_entry_of_a_cache)
{
    struct cache cache;
    char text[1024] = "";

    cache_make(&cache, 3, some, SOME);
    ldcache_each(ct_span(cache.bytes, cache.len), list_entry, text);
    ck_assert_str_eq(text, "libc1.so /lib/libc1.so\n"
                           "liba.so /x32/liba.so\n"
                           "liba.so /i386/liba.so\n"
                           "liba.so /lib/liba.so\n"
                           "liba.so /usr/lib/liba.so\n"
                           "libb.so /x32/libb.so\n");
    text[0] = '\0';
    ldcache_each(ct_span(cache.bytes, cache.len / 4), list_entry, text);
    ldcache_each(ct_span(NULL, 0), list_entry, text);
    ck_assert_str_eq(text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("closure");
    TCase *tc = tcase_create("closure");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, make_top, remove_top);
    tcase_add_test(tc, breadth_first_and_once);
    tcase_add_test(tc, the_c_library_is_passed_over);
    tcase_add_test(tc, what_is_missing_is_passed_over);
    tcase_add_test(tc, a_static_program);
    tcase_add_test(tc, the_order_of_the_loader);
    tcase_add_test(tc, default_folders);
    tcase_add_test(tc, folders_of_other_machines);
    tcase_add_test(tc, rpath_is_inherited_runpath_is_not);
    tcase_add_test(tc, runpath_switches_rpath_off);
    tcase_add_test(tc, tokens_in_paths);
    tcase_add_test(tc, names_of_tokens);
    tcase_add_test(tc, long_paths);
    tcase_add_test(tc, origins);
    tcase_add_test(tc, a_program_in_the_root_folder);
    tcase_add_test(tc, needs_that_are_paths);
    tcase_add_test(tc, each_library_once);
    tcase_add_test(tc, the_visitor_may_not_want_more);
    tcase_add_test(tc, files_of_the_wrong_kind);
    tcase_add_test(tc, links_stay_in_the_root);
    tcase_add_test(tc, a_cache_out_of_the_root);
    tcase_add_test(tc, caches_that_help_not);
    tcase_add_test(tc, programs_that_are_none);
    tcase_add_test(tc, endless_chains_end);
    tcase_add_test(tc, the_program_itself);
    tcase_add_test(tc, names_in_a_cache);
    tcase_add_test(tc, caches_that_end_early);
    tcase_add_test(tc, caches_with_a_wrong_byte);
    tcase_add_test(tc, caches_that_lie);
    tcase_add_test(tc, a_cache_ends_with_its_count);
    tcase_add_test(tc, the_byte_order_of_a_cache);
    tcase_add_test(tc, strings_of_a_cache);
    tcase_add_test(tc, long_strings_of_a_cache);
    tcase_add_test(tc, each_entry_of_a_cache);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
