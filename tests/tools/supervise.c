/*
 * supervise REPORT SECONDS COMMAND [ARG...]
 *
 * Run a command that must end in time and leave no process behind. Whatever it
 * starts, in whatever session and under whatever user, becomes a child of this
 * program when its parent dies (PR_SET_CHILD_SUBREAPER), so nothing can hide
 * and other jobs of the machine do not matter. What is left some seconds after
 * the command's end is written down and killed. REPORT gets lines:
 *
 *   pid N           of the command, at once
 *   hung            it was still there after SECONDS, and was killed
 *   seconds T       how long it ran
 *   left PID NAME   a process that outlived it
 *
 * The exit code is the command's own, 128+N for signal N. SIGTERM, SIGINT or
 * SIGHUP to this program is the deadline.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_SECONDS = 5 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(125);
}

/* What wakes us: a child's change, or somebody who wants all this to end. */
static void wake_set(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGCHLD);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
}

/*
 * Sleep until a child changes, at the latest until the deadline. False when we
 * are told to end: then there is no more time.
 */
static bool await_child(double deadline)
{
    double left = deadline - now();
    struct timespec t = {.tv_sec = (time_t)left};
    sigset_t set;
    int signal;

    if (left <= 0)
        return true;
    t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
    wake_set(&set);
    signal = sigtimedwait(&set, NULL, &t);
    return signal < 0 || signal == SIGCHLD;
}

static pid_t start(char **argv, const sigset_t *mask)
{
    pid_t pid = fork();

    if (pid < 0)
        die("supervise: fork");
    if (pid > 0)
        return pid;
    setpgid(0, 0);
    signal(SIGINT, SIG_DFL); /* which a shell ignores for its "&" */
    signal(SIGQUIT, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    fprintf(stderr, "supervise: %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/*
 * Reap whoever ends until `until` (0: everybody) did. True and its status, or
 * false at the deadline.
 */
static bool reap(pid_t until, double deadline, int *ret_status)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid < 0)
            return until == 0;
        if (pid > 0 && pid == until) {
            *ret_status = status;
            return true;
        }
        if (pid == 0 && now() >= deadline)
            return false;
        if (pid == 0 && !await_child(deadline))
            return false;
    }
}

static void name_of(int pid, char *buf, size_t size)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    f = fopen(path, "re");
    if (f == NULL || fgets(buf, (int)size, f) == NULL)
        snprintf(buf, size, "?\n");
    buf[strcspn(buf, "\n")] = '\0';
    if (f != NULL)
        fclose(f);
}

/* Kill our children; their own become ours for the next round. */
static void kill_children(FILE *report)
{
    char path[64], name[64];
    FILE *f;
    int pid;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    f = fopen(path, "re");
    if (f == NULL)
        die("supervise: children");
    while (fscanf(f, "%d", &pid) == 1) {
        name_of(pid, name, sizeof name);
        fprintf(report, "left %d %s\n", pid, name);
        kill(pid, SIGKILL);
    }
    fclose(f);
}

static void clean_up(FILE *report)
{
    int ignored;

    for (double wait = GRACE_SECONDS; !reap(0, now() + wait, &ignored);
         wait = 0.1)
        kill_children(report);
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int supervise(FILE *report, double seconds, char **argv,
                     const sigset_t *mask)
{
    double begin = now();
    pid_t pid = start(argv, mask);
    int status = 0;

    fprintf(report, "pid %d\n", (int)pid);
    fflush(report);
    if (!reap(pid, begin + seconds, &status)) {
        fprintf(report, "hung\n");
        kill(pid, SIGKILL);
        reap(pid, now() + GRACE_SECONDS, &status);
    }
    fprintf(report, "seconds %.3f\n", now() - begin);
    fflush(report);
    clean_up(report);
    return code_of(status);
}

int main(int argc, char **argv)
{
    sigset_t set, old;
    FILE *report;
    int code;

    if (argc < 4) {
        fprintf(stderr, "usage: supervise REPORT SECONDS COMMAND [ARG...]\n");
        return 125;
    }
    report = fopen(argv[1], "we");
    if (report == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        die("supervise");
    wake_set(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    code = supervise(report, atof(argv[2]), argv + 3, &old);
    if (fclose(report) != 0)
        die("supervise: report");
    return code;
}
