#include "container/shm.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "/dev/shm/";

/* Names of files that MPI libraries make in /dev/shm. */
static const char *const of_mpi[] = {
    /* MPICH */
    "mpich_shm_*",
    "mpich_shar_tmp*",
    /* UCX */
    "ucx_shm_posix_*",
    /* Open MPI, PMIx */
    "vader_segment.*",
    "sm_segment.*",
    "osc_rdma.*",
    "pmix_*",
    /* libfabric */
    "fi_shm_*",
    "ofi_*",
    "sm2_mmap_*",
    /* Intel MPI */
    "impi-shm-*",
    "Intel_MPI_*",
    /* PSM */
    "psm*_shm.*",
    "psm3_shm.*",
    /* MVAPICH2, Cray MPICH */
    "mv2_*",
    "cray-*",
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
        ssize_t len =
            readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
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

static bool is_of_mpi(const char *name)
{
    for (const char *const *pattern = of_mpi; *pattern != NULL; pattern++)
        if (fnmatch(*pattern, name, 0) == 0)
            return true;
    return false;
}

/* The change time: mkstemp() and ftruncate() set it, and nobody can choose. */
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

/*
 * A lease for writing is to be had of a file that nobody has open or mapped, in
 * whatever namespace: those of other user namespaces we may not look at. The
 * kernel tells who waits for a lease with a signal, SIGIO if we choose no
 * other. Before Linux 5.3 a file of a tmpfs is never free, and stays.
 */
static void remove_unused(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
        unlinkat(dir, name, 0);
    close(fd);
}

void shm_clean(struct shm *shm)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if ((has(&shm->seen, entry->d_name) || is_of_mpi(entry->d_name)) &&
            is_ours(dirfd(dir), entry->d_name, shm))
            remove_unused(dirfd(dir), entry->d_name);
    if (dir != NULL)
        closedir(dir);
    strv_clear(&shm->seen);
}
