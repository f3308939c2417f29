#include "container/skeleton.h"

#include "base/pread.h"
#include "base/scope.h"
#include "container/kernel.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { APPEND_FILE_MAX = 4 * 1024 * 1024 };

static int too_long(void)
{
    errno = ENAMETOOLONG;
    return -1;
}

/*
 * The place in the image that fd is, as a path from its root. The kernel says
 * it as a path of the stage: .../image/place.
 */
static int place_of(int image, int fd, char *buf, size_t size)
{
    char link[40], root[PATH_MAX], full[PATH_MAX];
    ssize_t root_len, len;

    snprintf(link, sizeof link, "/proc/self/fd/%d", image);
    root_len = readlink(link, root, sizeof root);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    len = readlink(link, full, sizeof full - 1);
    if (root_len < 0 || len < root_len || memcmp(root, full, (size_t)root_len))
        return -1;
    full[len] = '\0';
    return snprintf(buf, size, "%s", full + root_len) < (int)size ? 0
                                                                  : too_long();
}

/* Make skel's copy of a directory of the image, with its permissions. */
static int copy_directory(int image, const char *place)
{
    char path[PATH_MAX];
    struct stat st;
    CT_AUTO_FD int fd =
        kernel_open_in_root(image, *place ? place : "/", O_PATH);

    if (snprintf(path, sizeof path, "skel%s", place) >= (int)sizeof path)
        return too_long();
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -1;
    if (fd >= 0 && fstat(fd, &st) == 0)
        return chmod(path, st.st_mode & 0777);
    return 0;
}

static int copy_parents(int image, const char *place)
{
    char path[PATH_MAX];

    if (copy_directory(image, "") < 0)
        return -1;
    for (const char *end = place; end != NULL && *end != '\0';) {
        end = strchr(end + 1, '/');
        size_t len = end != NULL ? (size_t)(end - place) : strlen(place);
        if (len >= sizeof path)
            return too_long();
        memcpy(path, place, len);
        path[len] = '\0';
        if (copy_directory(image, path) < 0)
            return -1;
    }
    return 0;
}

/* The longest leading part of target that the image has; its length. */
static size_t existing_part(int image, const char *target, int *ret_fd)
{
    char part[PATH_MAX];
    size_t len = strlen(target);

    if (len >= sizeof part) {
        too_long();
        return 0;
    }
    memcpy(part, target, len + 1);
    for (;;) {
        int fd = kernel_open_in_root(image, len > 0 ? part : "/", O_PATH);
        if (fd >= 0 || len == 0) {
            *ret_fd = fd;
            return len;
        }
        while (len > 0 && part[len - 1] != '/')
            len--;
        while (len > 0 && part[len - 1] == '/')
            len--;
        part[len] = '\0';
    }
}

/* Make what is behind the part that exists: directories, the last as wanted. */
static int make_rest(const char *place, const char *rest, bool directory)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "skel%s%s", place, rest) >=
        (int)sizeof path)
        return too_long();
    for (char *at = path + 4 + strlen(place); *at != '\0';) {
        char *end = at + 1 + strcspn(at + 1, "/");
        bool last = end[strspn(end, "/")] == '\0';
        char kept = *end;
        *end = '\0';
        if (!last || directory) {
            if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -1;
        } else {
            CT_AUTO_FD int fd =
                open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            if (fd < 0)
                return -1;
        }
        *end = kept;
        at = last ? end + strlen(end) : end;
    }
    return 0;
}

int skeleton_add(int image, const char *target, bool directory,
                 struct ct_error *reterr)
{
    char place[PATH_MAX];
    CT_AUTO_FD int fd = -1;
    size_t len = existing_part(image, target, &fd);

    if (fd >= 0 && target[len] == '\0')
        return 0;
    if (fd < 0 || place_of(image, fd, place, sizeof place) < 0 ||
        copy_parents(image, place) < 0 ||
        make_rest(place, target + len, directory) < 0)
        return ct_fail_errno(reterr, "cannot make %.200s for the image",
                             target);
    return 1;
}

/* The image's file, NUL-terminated, to free(); empty when it has none. */
static char *read_image_file(int image, const char *path)
{
    struct stat st;
    char *text;
    CT_AUTO_FD int fd = kernel_open_in_root(image, path, O_RDONLY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_size > APPEND_FILE_MAX)
        return calloc(1, 1);
    text = malloc((size_t)st.st_size + 1);
    if (text != NULL) {
        ssize_t got = ct_pread(fd, text, (size_t)st.st_size, 0);
        text[got > 0 ? got : 0] = '\0';
    }
    return text;
}

/*
 * Is there a line whose fields from the first ':' on start like key? The
 * password field may be anything, so only the id after it counts.
 */
static bool has_entry(const char *text, const char *key)
{
    const char *id = strrchr(key, ':');
    size_t len;

    while (id > key && id[-1] != ':')
        id--;
    len = strlen(id);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *name_end = memchr(
            line, ':', end != NULL ? (size_t)(end - line) : strlen(line));
        const char *at = name_end != NULL ? strchr(name_end + 1, ':') : NULL;
        if (at != NULL && (end == NULL || at < end) &&
            strncmp(at + 1, id, len) == 0)
            return true;
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static int write_file(const char *path, const char *text, const char *line)
{
    size_t len = strlen(text);
    const char *gap = len > 0 && text[len - 1] != '\n' ? "\n" : "";
    FILE *file = fopen(path, "we");
    int rc;

    if (file == NULL)
        return -1;
    rc = fprintf(file, "%s%s%s\n", text, gap, line);
    return fclose(file) == 0 && rc >= 0 ? 0 : -1;
}

int skeleton_append(int image, const struct mount *m, unsigned number,
                    int *ret_tree, struct ct_error *reterr)
{
    char path[40];
    CT_AUTO_FREE char *text = read_image_file(image, m->target);

    *ret_tree = -1;
    if (text == NULL)
        return ct_fail_nomem(reterr);
    if (has_entry(text, m->key))
        return 0;
    snprintf(path, sizeof path, "files/%u", number);
    if (write_file(path, text, m->source) < 0)
        return ct_fail_errno(reterr, "cannot write %.200s for the image",
                             m->target);
    *ret_tree = kernel_clone_tree(AT_FDCWD, path);
    if (*ret_tree < 0 ||
        kernel_mount_setattr(*ret_tree,
                             KERNEL_ATTR_RDONLY | KERNEL_ATTR_NOSUID |
                                 KERNEL_ATTR_NODEV,
                             0) < 0) {
        ct_close(ret_tree);
        return ct_fail_errno(reterr, "cannot bind %.200s", m->target);
    }
    return 0;
}
