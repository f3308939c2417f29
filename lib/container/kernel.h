/*
 * System calls that glibc 2.31 has no wrapper for, and their constants. All
 * return -1 with errno. The newest of them, mount_setattr(), sets the floor:
 * Linux 5.12.
 */
#ifndef CT_CONTAINER_KERNEL_H
#define CT_CONTAINER_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One number on every architecture: they came after the tables were unified. */
enum {
    KERNEL_NR_PIDFD_SEND_SIGNAL = 424,
    KERNEL_NR_OPEN_TREE = 428,
    KERNEL_NR_MOVE_MOUNT = 429,
    KERNEL_NR_FSOPEN = 430,
    KERNEL_NR_FSCONFIG = 431,
    KERNEL_NR_FSMOUNT = 432,
    KERNEL_NR_PIDFD_OPEN = 434,
    KERNEL_NR_CLOSE_RANGE = 436,
    KERNEL_NR_OPENAT2 = 437,
    KERNEL_NR_MOUNT_SETATTR = 442,
};

/* include/uapi/linux/mount.h, openat2.h, fcntl.h */
enum {
    KERNEL_OPEN_TREE_CLONE = 1,
    KERNEL_AT_RECURSIVE = 0x8000,
    KERNEL_MOVE_F_EMPTY = 0x04, /* MOVE_MOUNT_F_EMPTY_PATH */
    KERNEL_MOVE_T_EMPTY = 0x40, /* MOVE_MOUNT_T_EMPTY_PATH */
    KERNEL_FSOPEN_CLOEXEC = 1,
    KERNEL_FSMOUNT_CLOEXEC = 1,
    KERNEL_SET_FLAG = 0,
    KERNEL_SET_STRING = 1,
    KERNEL_CMD_CREATE = 6,
    KERNEL_ATTR_RDONLY = 0x01,
    KERNEL_ATTR_NOSUID = 0x02,
    KERNEL_ATTR_NODEV = 0x04,
    KERNEL_RESOLVE_NO_MAGICLINKS = 0x02,
    KERNEL_RESOLVE_IN_ROOT = 0x10,
};

struct kernel_open_how {
    uint64_t flags, mode, resolve;
};

struct kernel_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

/* The tree at path (relative to dirfd), cloned with all below it. */
static inline int kernel_clone_tree(int dirfd, const char *path)
{
    return (int)syscall(KERNEL_NR_OPEN_TREE, dirfd, path,
                        KERNEL_OPEN_TREE_CLONE | KERNEL_AT_RECURSIVE |
                            AT_EMPTY_PATH | O_CLOEXEC);
}

/* Attach the detached mount treefd on what targetfd is. */
static inline int kernel_attach(int treefd, int targetfd)
{
    return (int)syscall(KERNEL_NR_MOVE_MOUNT, treefd, "", targetfd, "",
                        KERNEL_MOVE_F_EMPTY | KERNEL_MOVE_T_EMPTY);
}

/* Attributes and propagation (0: as it is) of a whole tree. */
static inline int kernel_mount_setattr(int treefd, uint64_t attr_set,
                                       uint64_t propagation)
{
    struct kernel_mount_attr attr = {.attr_set = attr_set,
                                     .propagation = propagation};

    return (int)syscall(KERNEL_NR_MOUNT_SETATTR, treefd, "",
                        AT_EMPTY_PATH | KERNEL_AT_RECURSIVE, &attr,
                        sizeof attr);
}

static inline int kernel_fsopen(const char *type)
{
    return (int)syscall(KERNEL_NR_FSOPEN, type, KERNEL_FSOPEN_CLOEXEC);
}

/* value NULL: a flag. */
static inline int kernel_fsconfig_set(int fsfd, const char *key,
                                      const char *value)
{
    return (int)syscall(KERNEL_NR_FSCONFIG, fsfd,
                        value != NULL ? KERNEL_SET_STRING : KERNEL_SET_FLAG,
                        key, value, 0);
}

/* Make the file system; the mount that is returned is detached. */
static inline int kernel_fsmount(int fsfd, unsigned attributes)
{
    if (syscall(KERNEL_NR_FSCONFIG, fsfd, KERNEL_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return (int)syscall(KERNEL_NR_FSMOUNT, fsfd, KERNEL_FSMOUNT_CLOEXEC,
                        attributes);
}

/*
 * Open path with dirfd as its "/": symbolic links and ".." stay inside, links
 * that are no links of the file system (/proc/PID/root) are refused. A ".." is
 * not sure, EAGAIN, when somebody renames or mounts anything meanwhile.
 */
static inline int kernel_open_in_root(int dirfd, const char *path, int flags)
{
    struct kernel_open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = KERNEL_RESOLVE_IN_ROOT | KERNEL_RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    for (int tries = 0; tries < 100; tries++) {
        fd = syscall(KERNEL_NR_OPENAT2, dirfd, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return (int)fd;
}

/* A process that is no child of ours; readable once it has ended. CLOEXEC. */
static inline int kernel_pidfd_open(pid_t pid)
{
    return (int)syscall(KERNEL_NR_PIDFD_OPEN, pid, 0);
}

static inline int kernel_pidfd_signal(int pidfd, int signal)
{
    return (int)syscall(KERNEL_NR_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0);
}

/* Linux 5.9; what is closed stays closed where the kernel is older. */
static inline int kernel_close_from(unsigned first)
{
    return (int)syscall(KERNEL_NR_CLOSE_RANGE, first, ~0U, 0U);
}

#endif
