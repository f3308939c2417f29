#include "container/rundir.h"

#include "base/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/*
 * In memory if there is plenty, which ranks want too: libpmix makes files there
 * that are shared, written to all the time, and of use for as long as the job.
 */
static const char memory[] = "/dev/shm", disk[] = "/tmp";

static bool has_plenty(const char *path)
{
    enum { PLENTY_MIB = 256, PLENTY_FILES = 1024 };
    struct statfs fs;

    if (statfs(path, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
        access(path, W_OK | X_OK) < 0)
        return false;
    return (fs.f_blocks == 0 ||
            fs.f_bavail >= (PLENTY_MIB << 20) / (uint64_t)fs.f_bsize) &&
           (fs.f_files == 0 || fs.f_ffree >= PLENTY_FILES);
}

int rundir_choose(struct rundir *ret, bool in_tmp, struct ct_error *reterr)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return ct_fail_errno(reterr, "getrandom");
    snprintf(ret->path, sizeof ret->path, "%s/ctrun-%016" PRIx64,
             !in_tmp && has_plenty(memory) ? memory : disk, number);
    return 0;
}

int rundir_make(const struct rundir *dir, struct ct_error *reterr)
{
    if (mkdir(dir->path, 0700) < 0)
        return ct_fail_errno(reterr, "cannot make %s", dir->path);
    return 0;
}

static const char *parent_of(const struct rundir *dir)
{
    size_t len = strlen(memory);

    return strncmp(dir->path, memory, len) == 0 && dir->path[len] == '/'
               ? memory
               : disk;
}

/* A file system without blocks has no bounds: a tmpfs of size=0. */
static bool is_short_of_room(const struct statvfs *fs, uintmax_t *ret_kib)
{
    enum { ENOUGH_KIB = 16 * 1024 };

    *ret_kib = (uintmax_t)fs->f_bavail * fs->f_frsize / 1024;
    return fs->f_blocks > 0 && *ret_kib < ENOUGH_KIB;
}

void rundir_explain(const struct rundir *dir, struct ct_error *reterr)
{
    const char *parent = parent_of(dir);
    struct statvfs fs;
    uintmax_t kib;

    if (statvfs(parent, &fs) == 0 && is_short_of_room(&fs, &kib))
        ct_fail_in(reterr, "%s has %ju KiB left", parent, kib);
}

/* What of a path is below a directory, or NULL. */
static const char *below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (strncmp(path, dir, len) != 0 || (path[len] != '\0' && path[len] != '/'))
        return NULL;
    return path + len;
}

static bool shows(const struct mount *mount, const char *path, const char *rest)
{
    const char *same;

    if (mount->kind != MOUNT_BIND || mount->readonly)
        return false;
    same = below(path, mount->source);
    return same != NULL && strcmp(same, rest) == 0;
}

bool rundir_is_seen(const struct rundir *dir, const struct plan *plan)
{
    const char *parent = parent_of(dir);
    bool seen = plan->image_path == NULL;

    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct mount *mount = &plan->mounts[i];
        const char *rest = below(parent, mount->target);

        if (rest != NULL)
            seen = shows(mount, parent, rest);
    }
    return seen;
}

int rundir_open_parent(const struct rundir *dir)
{
    return open(parent_of(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void remove_tree(int parent, const char *name, int depth);

static void remove_entries(int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;

    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_tree(dirfd(dir), entry->d_name, depth + 1);
    closedir(dir);
}

/* Ranks write there, too: follow no link, and no chain without end. */
static void remove_tree(int parent, const char *name, int depth)
{
    enum { DEPTH_MAX = 64 };
    int fd;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT || depth > DEPTH_MAX)
        return;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        remove_entries(fd, depth);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void rundir_remove(const struct rundir *dir, int parent)
{
    if (parent >= 0 && dir->path[0] != '\0')
        remove_tree(parent, strrchr(dir->path, '/') + 1, 0);
}
