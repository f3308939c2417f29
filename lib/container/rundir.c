#include "container/rundir.h"

#include "base/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char parent_path[] = "/tmp";

int rundir_choose(struct rundir *ret, struct ct_error *reterr)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return ct_fail_errno(reterr, "getrandom");
    snprintf(ret->path, sizeof ret->path, "%s/ctrun-%016" PRIx64, parent_path,
             number);
    return 0;
}

int rundir_make(const struct rundir *dir, struct ct_error *reterr)
{
    if (mkdir(dir->path, 0700) < 0)
        return ct_fail_errno(reterr, "cannot make %s", dir->path);
    return 0;
}

/* A file system without blocks has no bounds: a tmpfs of size=0. */
static bool is_short_of_room(const struct statvfs *fs, uintmax_t *ret_kib)
{
    enum { ENOUGH_KIB = 16 * 1024 };

    *ret_kib = (uintmax_t)fs->f_bavail * fs->f_frsize / 1024;
    return fs->f_blocks > 0 && *ret_kib < ENOUGH_KIB;
}

void rundir_explain(struct ct_error *reterr)
{
    struct statvfs fs;
    uintmax_t kib;

    if (statvfs(parent_path, &fs) == 0 && is_short_of_room(&fs, &kib))
        ct_fail_in(reterr, "%s has %ju KiB left", parent_path, kib);
}

bool rundir_is_seen(const struct plan *plan)
{
    bool seen = plan->image_path == NULL;

    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct mount *mount = &plan->mounts[i];

        if (strcmp(mount->target, parent_path) == 0)
            seen = mount->kind == MOUNT_BIND && !mount->readonly &&
                   strcmp(mount->source, parent_path) == 0;
    }
    return seen;
}

int rundir_open_parent(void)
{
    return open(parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
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
