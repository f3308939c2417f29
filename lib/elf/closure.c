/*
 * Breadth first over DT_NEEDED, as the loader maps: objects[] is the queue and
 * the result at once, objects[0] is the program.
 *
 *   name -> skipped (C library family), or already seen (needed name, DT_SONAME
 *   or the same inode) -> find_library() tries each directory in ld.so's order
 *   until a file of the program's class and machine opens -> visit.
 *
 * What an image can make us do is bounded: objects, names, and the number of
 * files opened. Beyond a bound, libraries count as not found.
 */
#include "elf/closure.h"

#include "base/pread.h"
#include "base/scope.h"
#include "elf/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    OBJECTS_MAX = 512,
    NAMES_MAX = 2048,
    OPENS_MAX = 1 << 16,
    CACHE_MAX = 8 << 20,
    AGAIN_MAX = 32 /* openat2 says EAGAIN while somebody renames */
};

struct object {
    char *path; /* inside root, where it was found */
    struct elf_info info;
    const struct object *needer; /* NULL: the program */
    dev_t dev;
    ino_t ino;
};

/* What the loader of a machine has built in. */
struct platform {
    int machine;
    int elfclass;
    const char *name;      /* $PLATFORM */
    const char *multiarch; /* lib/MULTIARCH, Debian's directories */
};

static const struct platform platforms[] = {
    {EM_X86_64, ELFCLASS64, "x86_64", "lib/x86_64-linux-gnu"},
    {EM_AARCH64, ELFCLASS64, "aarch64", "lib/aarch64-linux-gnu"},
    {EM_PPC64, ELFCLASS64, "ppc64le", "lib/powerpc64le-linux-gnu"},
    {EM_S390, ELFCLASS64, "s390x", "lib/s390x-linux-gnu"},
    {EM_RISCV, ELFCLASS64, "riscv64", "lib/riscv64-linux-gnu"},
    {EM_386, ELFCLASS32, "i686", "lib/i386-linux-gnu"},
    {EM_ARM, ELFCLASS32, "armv7l", "lib/arm-linux-gnueabihf"},
};

static const struct platform unknown_platform = {0, 0, "", "lib64"};

/* Every program needs these, they need nothing, and no MPI hides there. */
static const char *const c_library[] = {
    "libc.so.",   "libm.so.",    "libpthread.so.", "libdl.so.",
    "librt.so.",  "libutil.so.", "ld-linux",       "ld64.so.",
    "linux-vdso", "libc.musl-",  "ld-musl-",
};

struct walk {
    int rootfd;
    const char *library_path;
    char *cache;
    size_t cache_len;
    const struct platform *platform;
    bool musl;
    elf_visit *visit;
    void *ctx;
    struct object objects[OBJECTS_MAX];
    size_t count;
    struct strv names;
    int opens_left;
};

static int open_in_root(int rootfd, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;

    for (int i = 0; i < AGAIN_MAX; i++) {
        fd = syscall(__NR_openat2, rootfd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return (int)fd;
}

/* A missing or broken cache is no error: the default directories follow. */
static void load_cache(struct walk *w)
{
    CT_AUTO_FD int fd = open_in_root(w->rootfd, "/etc/ld.so.cache");
    struct stat st;
    ssize_t len;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_size <= 0 || st.st_size > CACHE_MAX)
        return;
    w->cache = malloc((size_t)st.st_size);
    if (w->cache == NULL)
        return;
    len = ct_pread(fd, w->cache, (size_t)st.st_size, 0);
    w->cache_len = len > 0 ? (size_t)len : 0;
}

static void object_clear(struct object *object)
{
    free(object->path);
    elf_info_clear(&object->info);
}

static void walk_destroy(struct walk *w)
{
    for (size_t i = 0; i < w->count; i++)
        object_clear(&w->objects[i]);
    strv_clear(&w->names);
    free(w->cache);
    free(w);
}

static bool starts_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static bool is_c_library(const char *name)
{
    for (size_t i = 0; i < sizeof c_library / sizeof c_library[0]; i++)
        if (starts_with(name, c_library[i]))
            return true;
    return false;
}

static bool is_seen(const struct walk *w, const char *name)
{
    for (size_t i = 0; i < w->names.count; i++)
        if (strcmp(w->names.items[i], name) == 0)
            return true;
    return false;
}

static bool is_loaded(const struct walk *w, const struct stat *st)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->objects[i].dev == st->st_dev && w->objects[i].ino == st->st_ino)
            return true;
    return false;
}

static bool is_right_kind(const struct walk *w, const struct elf_info *info)
{
    const struct elf_info *program = &w->objects[0].info;

    return info->machine == program->machine &&
           info->elfclass == program->elfclass;
}

/* Like the loader, pass over a file of another machine and search on. */
static int try_path(struct walk *w, const char *path, struct object *ret)
{
    CT_AUTO_FD int fd = -1;
    struct object found = {0};
    struct stat st;

    if (w->opens_left <= 0)
        return -1;
    w->opens_left--;
    fd = open_in_root(w->rootfd, path);
    if (fd < 0 || fstat(fd, &st) < 0 || elf_read(fd, &found.info, NULL) < 0)
        return -1;
    found.path = strdup(path);
    if (found.path == NULL || !is_right_kind(w, &found.info)) {
        object_clear(&found);
        return -1;
    }
    found.dev = st.st_dev;
    found.ino = st.st_ino;
    *ret = found;
    return ct_steal_fd(&fd);
}

struct token {
    const char *name;
    struct ct_span value;
};

static struct ct_span directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return ct_span(path, slash != NULL ? (size_t)(slash - path) : 0);
}

static bool is_of_name(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '_';
}

/* Length of "$NAME" or "${NAME}" at the front of text; 0: something else. */
static size_t token_length(struct ct_span text, const char *name)
{
    size_t len = strlen(name);

    if (text.len > len && memcmp(text.ptr + 1, name, len) == 0) {
        bool goes_on = text.len > len + 1 && is_of_name(text.ptr[len + 1]);
        return goes_on ? 0 : len + 1;
    }
    if (text.len > len + 2 && text.ptr[1] == '{' && text.ptr[len + 2] == '}' &&
        memcmp(text.ptr + 2, name, len) == 0)
        return len + 3;
    return 0;
}

/* What stands at the front of *text, expanded; moves *text behind it. */
static struct ct_span next_piece(struct ct_span *text,
                                 const struct token *tokens)
{
    struct ct_span piece = ct_span(text->ptr, 1);
    size_t used = 1;

    for (; text->ptr[0] == '$' && tokens->name != NULL; tokens++) {
        size_t len = token_length(*text, tokens->name);
        if (len == 0)
            continue;
        piece = tokens->value;
        used = len;
        break;
    }
    *text = ct_span(text->ptr + used, text->len - used);
    return piece;
}

static int expand(struct ct_span text, const struct token *tokens, char *buf,
                  size_t size)
{
    size_t len = 0;

    while (text.len > 0) {
        struct ct_span piece = next_piece(&text, tokens);
        if (piece.len >= size - len)
            return -1;
        memcpy(buf + len, piece.ptr, piece.len);
        len += piece.len;
    }
    buf[len] = '\0';
    return 0;
}

/* text, maybe with tokens, and "/name" when name is not NULL. */
static int try_expanded(struct walk *w, const struct object *owner,
                        struct ct_span text, const char *lib, const char *name,
                        struct object *ret)
{
    const struct token tokens[] = {
        {"ORIGIN", directory_of(owner->path)},
        {"LIB", ct_span_str(lib)},
        {"PLATFORM", ct_span_str(w->platform->name)},
        {NULL, {0}},
    };
    char dir[PATH_MAX];
    char path[PATH_MAX];
    int len;

    if (expand(text, tokens, dir, sizeof dir) < 0)
        return -1;
    len = snprintf(path, sizeof path, "%s%s%s", dir, name != NULL ? "/" : "",
                   name != NULL ? name : "");
    /* Relative to the working directory of a rank: not known here. */
    if (path[0] != '/' || len < 0 || (size_t)len >= sizeof path)
        return -1;
    return try_path(w, path, ret);
}

/* $LIB is a choice of whoever built the image's loader: try the usual ones. */
static int try_directory(struct walk *w, const struct object *owner,
                         struct ct_span dir, const char *name,
                         struct object *ret)
{
    const char *const libs[] = {w->platform->multiarch, "lib64", "lib"};
    bool choice = memmem(dir.ptr, dir.len, "LIB", 3) != NULL;
    int fd = -1;

    for (int i = 0; i < (choice ? 3 : 1) && fd < 0; i++)
        fd = try_expanded(w, owner, dir, libs[i], name, ret);
    return fd;
}

static int try_list(struct walk *w, const struct object *owner,
                    const char *list, const char *separators, const char *name,
                    struct object *ret)
{
    int fd = -1;

    while (list != NULL && *list != '\0' && fd < 0) {
        size_t len = strcspn(list, separators);
        if (len > 0)
            fd = try_directory(w, owner, ct_span(list, len), name, ret);
        list += len + (list[len] != '\0');
    }
    return fd;
}

/* DT_RPATH counts for all below the object, DT_RUNPATH switches it off. */
static int try_rpaths(struct walk *w, const struct object *needer,
                      const char *name, struct object *ret)
{
    int fd = -1;

    if (needer->info.runpath != NULL)
        return -1;
    for (; needer != NULL && fd < 0; needer = needer->needer)
        if (needer->info.runpath == NULL)
            fd = try_list(w, needer, needer->info.rpath, ":", name, ret);
    return fd;
}

static int try_cache(struct walk *w, const char *name, struct object *ret)
{
    char path[PATH_MAX];
    struct ct_span hit;

    if (w->musl || w->cache == NULL ||
        ldcache_find(ct_span(w->cache, w->cache_len), name, &hit) < 0 ||
        hit.len == 0 || hit.ptr[0] != '/' || hit.len >= sizeof path)
        return -1;
    memcpy(path, hit.ptr, hit.len);
    path[hit.len] = '\0';
    return try_path(w, path, ret);
}

/* Below "/" and "/usr", for one $LIB after the other. */
static int try_defaults(struct walk *w, const char *name, struct object *ret)
{
    static const char musl[] = "/lib:/usr/local/lib:/usr/lib";
    const char *const libs[] = {w->platform->multiarch, "lib64", "lib"};
    const struct object *program = &w->objects[0];
    int fd = -1;

    if (w->musl)
        return try_list(w, program, musl, ":", name, ret);
    for (int i = 0; i < 3 && fd < 0; i++) {
        fd = try_expanded(w, program, ct_span_str("/$LIB"), libs[i], name, ret);
        if (fd < 0)
            fd = try_expanded(w, program, ct_span_str("/usr/$LIB"), libs[i],
                              name, ret);
    }
    return fd;
}

static int find_library(struct walk *w, const struct object *needer,
                        const char *name, struct object *ret)
{
    int fd;

    if (strchr(name, '/') != NULL)
        return try_directory(w, needer, ct_span_str(name), NULL, ret);
    fd = try_rpaths(w, needer, name, ret);
    if (fd < 0)
        fd = try_list(w, &w->objects[0], w->library_path, ":;", name, ret);
    if (fd < 0)
        fd = try_list(w, needer, needer->info.runpath, ":", name, ret);
    if (fd < 0)
        fd = try_cache(w, name, ret);
    if (fd < 0)
        fd = try_defaults(w, name, ret);
    return fd;
}

/*
 * Keep a found library, for its needs if the visitor wants them, else only for
 * its identity.
 */
static int keep(struct walk *w, struct object *found, bool wanted)
{
    if (found->info.soname != NULL && strv_add(&w->names, found->info.soname))
        return -1;
    if (!wanted)
        strv_clear(&found->info.needed);
    w->objects[w->count++] = *found;
    return 0;
}

static int take_library(struct walk *w, const struct object *needer,
                        const char *name)
{
    struct object found = {0};
    CT_AUTO_FD int fd = -1;
    struct stat st;
    bool wanted;

    if (is_c_library(name) || is_seen(w, name) || w->count == OBJECTS_MAX ||
        w->names.count >= NAMES_MAX)
        return 0;
    if (strv_add(&w->names, name) < 0)
        return -1;
    fd = find_library(w, needer, name, &found);
    if (fd < 0)
        return 0;
    found.needer = needer;
    if (fstat(fd, &st) == 0 && is_loaded(w, &st)) {
        object_clear(&found);
        return 0;
    }
    wanted = w->visit(w->ctx, name, found.path, fd);
    if (keep(w, &found, wanted) == 0)
        return 0;
    object_clear(&found);
    return -1;
}

static int take_needs(struct walk *w, const struct object *object)
{
    for (size_t i = 0; i < object->info.needed.count; i++)
        if (take_library(w, object, object->info.needed.items[i]) < 0)
            return -1;
    return 0;
}

/*
 * $ORIGIN of the program is where it really lies, after symbolic links: ask the
 * kernel, and take the root's own path off the front.
 */
static char *real_path(int rootfd, int fd, const char *path)
{
    char link[64], root[PATH_MAX], file[PATH_MAX];
    ssize_t root_len, file_len;

    snprintf(link, sizeof link, "/proc/self/fd/%d", rootfd);
    root_len = readlink(link, root, sizeof root);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    file_len = readlink(link, file, sizeof file - 1);
    if (root_len == 1)
        root_len = 0; /* "/" */
    if (root_len < 0 || file_len <= root_len || file[root_len] != '/' ||
        memcmp(file, root, (size_t)root_len) != 0)
        return strdup(path);
    file[file_len] = '\0';
    return strdup(file + root_len);
}

static const struct platform *find_platform(const struct elf_info *info)
{
    for (size_t i = 0; i < sizeof platforms / sizeof platforms[0]; i++)
        if (platforms[i].machine == info->machine &&
            platforms[i].elfclass == info->elfclass)
            return &platforms[i];
    return &unknown_platform;
}

static int open_program(struct walk *w, const char *path,
                        struct ct_error *reterr)
{
    CT_AUTO_FD int fd = open_in_root(w->rootfd, path);
    struct object *program = &w->objects[0];
    struct stat st;

    if (fd < 0)
        return ct_fail_errno(reterr, "cannot open %.200s", path);
    if (elf_read(fd, &program->info, reterr) < 0)
        return ct_fail_in(reterr, "%.200s", path);
    w->count = 1;
    if (fstat(fd, &st) < 0)
        return ct_fail_errno(reterr, "cannot stat %.200s", path);
    program->dev = st.st_dev;
    program->ino = st.st_ino;
    program->path = real_path(w->rootfd, fd, path);
    if (program->path == NULL)
        return ct_fail_nomem(reterr);
    w->platform = find_platform(&program->info);
    w->musl = program->info.interpreter != NULL &&
              strstr(program->info.interpreter, "/ld-musl-") != NULL;
    return 0;
}

int elf_walk(int rootfd, const char *path, const char *library_path,
             elf_visit *visit, void *ctx, struct ct_error *reterr)
{
    struct walk *w = calloc(1, sizeof *w);
    int rc;

    if (w == NULL)
        return ct_fail_nomem(reterr);
    w->rootfd = rootfd;
    w->library_path = library_path;
    w->visit = visit;
    w->ctx = ctx;
    w->opens_left = OPENS_MAX;
    rc = open_program(w, path, reterr);
    if (rc == 0)
        load_cache(w);
    for (size_t i = 0; rc == 0 && i < w->count; i++)
        if (take_needs(w, &w->objects[i]) < 0)
            rc = ct_fail_nomem(reterr);
    walk_destroy(w);
    return rc;
}
