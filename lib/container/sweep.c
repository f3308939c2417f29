#include "container/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND = 1024 };

/* The parent of a process, from /proc/PID/stat; 0 when it is gone. */
static pid_t parent_of(const char *pid)
{
    char path[300], stat[512];
    ssize_t len;
    const char *end;
    int fd;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    len = read(fd, stat, sizeof stat - 1);
    close(fd);
    stat[len > 0 ? len : 0] = '\0';
    /* The name, in parentheses, may hold anything, also parentheses. */
    end = strrchr(stat, ')');
    return end != NULL && strlen(end) > 4 ? (pid_t)atoi(end + 4) : 0;
}

static size_t children_of(pid_t parent, pid_t *ret, size_t max)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    if (proc == NULL)
        return 0;
    while (count < max && (entry = readdir(proc)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            parent_of(entry->d_name) == parent)
            ret[count++] = (pid_t)atoi(entry->d_name);
    closedir(proc);
    return count;
}

size_t sweep_list(pid_t *ret, size_t max, pid_t spare)
{
    size_t count = children_of(getpid(), ret, max);

    for (size_t i = 0; i < count; i++)
        if (ret[i] != spare)
            count += children_of(ret[i], ret + count, max - count);
    return count;
}

/* Has the caller a child besides spare? Those that have ended are reaped. */
static int have_children(pid_t spare)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return 0;
        if (info.si_pid == 0 || info.si_pid == spare)
            return 1;
        waitpid(info.si_pid, NULL, 0);
    }
}

/*
 * Children of what dies become ours, so this ends when there are none. A child
 * is not reaped by anybody else, so its pid is nobody else's.
 */
void sweep(pid_t spare)
{
    pid_t pids[ROUND];

    while (have_children(spare)) {
        size_t count = children_of(getpid(), pids, ROUND), killed = 0;
        for (size_t i = 0; i < count; i++) {
            if (pids[i] == spare)
                continue;
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
            killed++;
        }
        if (killed == 0)
            return;
    }
}
