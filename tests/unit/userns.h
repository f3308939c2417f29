/* A mount namespace of a test's own, with privilege or in a user namespace. */
#ifndef CT_TEST_USERNS_H
#define CT_TEST_USERNS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool write_map(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;

    if (fd >= 0)
        close(fd);
    return written;
}

/* A user namespace and a mount namespace, ids mapped as ctrun's users' are. */
static inline bool enter_userns(void)
{
    unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
    char line[40];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        !write_map("/proc/self/setgroups", "deny"))
        return false;
    snprintf(line, sizeof line, "%u %u 1\n", uid, uid);
    if (!write_map("/proc/self/uid_map", line))
        return false;
    snprintf(line, sizeof line, "%u %u 1\n", gid, gid);
    return write_map("/proc/self/gid_map", line);
}

/* An empty tmpfs over a directory, which no other process sees. */
static inline bool hide_directory(const char *path)
{
    return (unshare(CLONE_NEWNS) == 0 || enter_userns()) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("test", path, "tmpfs", 0, "mode=1777") == 0;
}

static inline bool try_in_child(bool (*attempt)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(attempt() ? 0 : 1);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

#endif
