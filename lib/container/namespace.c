#include "container/namespace.h"

#include "base/scope.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int namespace_unshare(struct ct_error *reterr)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0)
        return 0;
    return ct_fail(reterr, errno,
                   "cannot make a user namespace: %s (look at the sysctls "
                   "user.max_user_namespaces, kernel.unprivileged_userns_clone "
                   "and kernel.apparmor_restrict_unprivileged_userns, or use "
                   "--no-container)",
                   strerror(errno));
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];
    size_t len = strlen(text);

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    CT_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return write(fd, text, len) == (ssize_t)len ? 0 : -1;
}

/*
 * Our own map's ranges, each onto itself: in a namespace that maps only a part,
 * no more than that part can be handed on.
 */
static int own_ranges(const char *name, char *buf, size_t size)
{
    char path[64];
    unsigned inside, outside, count;
    size_t len = 0;

    snprintf(path, sizeof path, "/proc/self/%s", name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    buf[0] = '\0';
    while (len + 40 < size &&
           fscanf(file, "%u %u %u", &inside, &outside, &count) == 3)
        len += (size_t)snprintf(buf + len, size - len, "%u %u %u\n", inside,
                                inside, count);
    fclose(file);
    return len > 0 ? 0 : -1;
}

static int map_all(pid_t pid, const char *name)
{
    char ranges[4000];

    if (own_ranges(name, ranges, sizeof ranges) < 0)
        return -1;
    return write_proc(pid, name, ranges);
}

static int map_one(pid_t pid, const char *name, unsigned id)
{
    char line[40];

    snprintf(line, sizeof line, "%u %u 1\n", id, id);
    return write_proc(pid, name, line);
}

static int map_users(pid_t pid)
{
    if (geteuid() == 0 && map_all(pid, "uid_map") == 0)
        return 0;
    return map_one(pid, "uid_map", (unsigned)geteuid());
}

/* One group alone may be mapped only where groups cannot be given up. */
static int map_groups(pid_t pid)
{
    if (geteuid() == 0 && map_all(pid, "gid_map") == 0)
        return 0;
    if (write_proc(pid, "setgroups", "deny") < 0)
        return -1;
    return map_one(pid, "gid_map", (unsigned)getegid());
}

/* Root may have power over users and none over groups, or the reverse. */
int namespace_map(pid_t pid, struct ct_error *reterr)
{
    if (map_users(pid) == 0 && map_groups(pid) == 0)
        return 0;
    /* Linux lets nobody map uid 0 without CAP_SETFCAP, not even to itself. */
    if (errno == EPERM && geteuid() == 0)
        return ct_fail(reterr, EPERM,
                       "cannot map ids into the user namespace: root needs "
                       "CAP_SETUID, CAP_SETGID and CAP_SETFCAP for that, "
                       "another user none (--no-container works)");
    return ct_fail_errno(reterr, "cannot map ids into the user namespace");
}

int namespace_lock_privileges(struct ct_error *reterr)
{
    const unsigned long bits =
        SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
        SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
        SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return ct_fail_errno(reterr, "cannot drop capability %lu", cap);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return ct_fail_errno(reterr, "cannot lock privileges");
    return 0;
}

int namespace_drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};

    return (int)syscall(SYS_capset, &head, none);
}
