#include "container/shm.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "/dev/shm/";

/* Names of files that MPI libraries make in /dev/shm. */
static const char *const of_mpi[] = {
    "mpich_shm_*", "mpich_shar_tmp*",      /* MPICH */
    "ucx_shm_posix_*",                     /* UCX */
    "vader_segment.*", "sm_segment.*",     /* Open MPI */
    "osc_rdma.*", "pmix_*",                /* Open MPI, PMIx */
    "fi_shm_*", "ofi_*", "sm2_mmap_*",     /* libfabric */
    "impi-shm-*", "Intel_MPI_*",           /* Intel MPI */
    "psm*_shm.*", "psm3_shm.*",            /* PSM */
    "mv2_*", "cray-*",                     /* MVAPICH2, Cray MPICH */
    NULL,
};

void shm_start(struct shm *shm)
{
    *shm = (struct shm){0};
    clock_gettime(CLOCK_REALTIME_COARSE, &shm->since);
}

static bool has(const struct strv *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

/* Add the /dev/shm names in a process's memory map; each line ends with one. */
static void look_at_maps(const char *pid, struct strv *seen)
{
    char path[300], line[PATH_MAX + 128];
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    maps = fopen(path, "re");
    if (maps == NULL)
        return;
    while (fgets(line, sizeof line, maps) != NULL) {
        char *name = strstr(line, folder);
        if (name == NULL)
            continue;
        name += sizeof folder - 1;
        name[strcspn(name, "\n")] = '\0';
        if (!has(seen, name))
            strv_add(seen, name);
    }
    fclose(maps);
}

static void look_at_fds(const char *pid, struct strv *seen)
{
    char path[300], target[PATH_MAX];
    struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    dir = opendir(path);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target,
                                 sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strncmp(target, folder, sizeof folder - 1) == 0 &&
            !has(seen, target + sizeof folder - 1))
            strv_add(seen, target + sizeof folder - 1);
    }
    closedir(dir);
}

void shm_look(struct shm *shm, const pid_t *pids, size_t count)
{
    char pid[16];

    for (size_t i = 0; i < count; i++) {
        snprintf(pid, sizeof pid, "%d", (int)pids[i]);
        look_at_maps(pid, &shm->seen);
        look_at_fds(pid, &shm->seen);
    }
}

/* What any process that we may look at uses. */
static void look_everywhere(struct strv *used)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    if (proc == NULL)
        return;
    while ((entry = readdir(proc)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        look_at_maps(entry->d_name, used);
        look_at_fds(entry->d_name, used);
    }
    closedir(proc);
}

static bool is_of_mpi(const char *name)
{
    for (const char *const *pattern = of_mpi; *pattern != NULL; pattern++)
        if (fnmatch(*pattern, name, 0) == 0)
            return true;
    return false;
}

/* The change time, since mkstemp() and ftruncate() set it and nobody else can. */
static bool is_ours(int dir, const char *name, const struct shm *shm)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return false;
    if (st.st_ctim.tv_sec != shm->since.tv_sec)
        return st.st_ctim.tv_sec > shm->since.tv_sec;
    return st.st_ctim.tv_nsec >= shm->since.tv_nsec;
}

void shm_clean(struct shm *shm)
{
    struct strv used = {0}, left = {0};
    struct dirent *entry;
    DIR *dir = opendir(folder);

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        if ((has(&shm->seen, entry->d_name) || is_of_mpi(entry->d_name)) &&
            is_ours(dirfd(dir), entry->d_name, shm))
            strv_add(&left, entry->d_name);
    if (left.count > 0)
        look_everywhere(&used);
    for (size_t i = 0; i < left.count; i++)
        if (!has(&used, left.items[i]))
            unlinkat(dirfd(dir), left.items[i], 0);
    closedir(dir);
    strv_clear(&used);
    strv_clear(&left);
    strv_clear(&shm->seen);
}
