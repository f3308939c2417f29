#include "container/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUND = 1024 };

struct process {
    pid_t pid, parent;
};

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

/* false: there are no more. */
static bool next_process(DIR *proc, struct process *ret)
{
    struct dirent *entry;

    while ((entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        *ret = (struct process){(pid_t)atoi(entry->d_name),
                                parent_of(entry->d_name)};
        return true;
    }
    return false;
}

/* All there are, to free(), or as many as there is memory for. */
static struct process *list_processes(size_t *ret_count)
{
    DIR *proc = opendir("/proc");
    struct process *list = NULL, process;
    size_t count = 0, room = 0;

    while (proc != NULL && next_process(proc, &process)) {
        if (count == room) {
            struct process *grown =
                realloc(list, (room = room * 2 + 512) * sizeof *list);
            if (grown == NULL)
                break;
            list = grown;
        }
        list[count++] = process;
    }
    if (proc != NULL)
        closedir(proc);
    *ret_count = count;
    return list;
}

static size_t find_children(pid_t *ret, size_t max)
{
    pid_t parent = getpid();
    size_t all_count, count = 0;
    struct process *all = list_processes(&all_count);

    for (size_t i = 0; i < all_count && count < max; i++)
        if (all[i].parent == parent)
            ret[count++] = all[i].pid;
    free(all);
    return count;
}

/* As much of a file as there is room for, as text. */
static int read_text(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t len = 0;

    if (fd < 0)
        return -1;
    while (used < size - 1 && (len = read(fd, ret + used, size - 1 - used)) > 0)
        used += (size_t)len;
    close(fd);
    ret[used] = '\0';
    return len < 0 ? -1 : 0;
}

/*
 * The kernel has a list, if it was built with it, of what a thread has begun or
 * adopted; else each process of the node is asked for its parent. Every pid in
 * the list has a space behind it, so one that has been cut has not.
 */
static size_t children(pid_t *ret, size_t max)
{
    char text[ROUND * 8], *at = text, *end;
    size_t count = 0;

    if (read_text("/proc/thread-self/children", text, sizeof text) < 0)
        return find_children(ret, max);
    while (count < max) {
        long pid = strtol(at, &end, 10);
        if (end == at || *end != ' ')
            break;
        ret[count++] = (pid_t)pid;
        at = end;
    }
    return count;
}

/* /proc is read once: a kill waits for this, and a node may be full. */
size_t sweep_list(pid_t *ret, size_t max, pid_t spare)
{
    pid_t parent = getpid();
    size_t all_count, count = 0, done = 0;
    struct process *all = list_processes(&all_count);

    for (;;) {
        for (size_t i = 0; i < all_count && count < max; i++)
            if (all[i].parent == parent)
                ret[count++] = all[i].pid;
        while (done < count && ret[done] == spare)
            done++;
        if (done == count)
            break;
        parent = ret[done++];
    }
    free(all);
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

static bool is_among(pid_t pid, const pid_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

static size_t list_others(pid_t *ret, const pid_t *spared, size_t spared_count)
{
    size_t count = children(ret, ROUND), kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!is_among(ret[i], spared, spared_count))
            ret[kept++] = ret[i];
    return kept;
}

static long milliseconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The pids among these that have not ended; those that have are reaped. */
static size_t reap_some(pid_t *pids, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (waitpid(pids[i], NULL, WNOHANG) == 0)
            pids[kept++] = pids[i];
    return kept;
}

/* SIGCHLD is blocked, so that none is missed between a look and the wait. */
static void await_children(pid_t *pids, size_t count, long until)
{
    sigset_t child;
    long left;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while ((count = reap_some(pids, count)) > 0 &&
           (left = until - milliseconds()) > 0) {
        struct timespec wait = {left / 1000, left % 1000 * 1000000};
        sigtimedwait(&child, NULL, &wait);
    }
}

/*
 * What a child leaves when it ends becomes ours, and is asked in its turn. Only
 * who has been asked is waited for.
 */
void sweep_ask(const pid_t *spared, size_t spared_count, unsigned grace)
{
    pid_t pids[ROUND];
    long until = milliseconds() + grace;
    sigset_t child, before;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    do {
        size_t count = list_others(pids, spared, spared_count), asked = 0;

        for (size_t i = 0; i < count; i++)
            if (kill(pids[i], SIGTERM) == 0)
                pids[asked++] = pids[i];
        if (asked == 0)
            break;
        await_children(pids, asked, until);
    } while (milliseconds() < until);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/*
 * Children of what dies become ours, so this ends when there are none. A child
 * is not reaped by anybody else, so its pid is nobody else's. All are killed
 * before one is waited for, which another may trace; one that has become
 * another user's cannot be killed, and is not waited for.
 */
void sweep(pid_t spare)
{
    pid_t pids[ROUND];

    while (have_children(spare)) {
        size_t count = children(pids, ROUND), killed = 0;
        for (size_t i = 0; i < count; i++)
            if (pids[i] != spare && kill(pids[i], SIGKILL) == 0)
                pids[killed++] = pids[i];
        for (size_t i = 0; i < killed; i++)
            waitpid(pids[i], NULL, 0);
        if (killed == 0)
            return;
    }
}
