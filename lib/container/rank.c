/*
 * vfork(): the child borrows our memory until it executes, which costs nothing
 * however large we are, and lets it leave word of what failed. It must not
 * change anything of ours but that.
 */
#include "container/rank.h"

#include "container/environ.h"
#include "container/kernel.h"
#include "container/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What the child leaves behind when it cannot execute. */
struct word {
    const char *step;
    const char *about;
    int error;
};

static int fail(volatile struct word *word, const char *step, const char *about)
{
    word->step = step;
    word->about = about;
    word->error = errno;
    return -1;
}

static int own_mounts(char *const *scratch, volatile struct word *word)
{
    if (unshare(CLONE_NEWNS) < 0)
        return fail(word, "make", "a mount namespace");
    for (; scratch != NULL && *scratch != NULL; scratch++)
        if (mount("scratch", *scratch, "tmpfs", MS_NOSUID | MS_NODEV,
                  "mode=0700") < 0)
            return fail(word, "mount", *scratch);
    return 0;
}

static int enter_workdir(const struct rank_start *start,
                         volatile struct word *word)
{
    if (start->workdir == NULL || chdir(start->workdir) == 0)
        return 0;
    for (size_t i = 0; i < 2; i++)
        if (start->workdir_else[i] != NULL &&
            chdir(start->workdir_else[i]) == 0)
            return 0;
    return fail(word, "enter the working directory", start->workdir);
}

/* Descriptors 0 to 3 and no other. */
static int place_fds(const struct rank_start *start, volatile struct word *word)
{
    for (int fd = 0; fd < RANK_FDS; fd++) {
        int from = start->fds[fd];
        if (from < 0 && fd == RANK_PMI_FD) {
            close(fd);
            continue;
        }
        /* dup2() onto itself would leave it to be closed by exec */
        if (from == fd ? fcntl(fd, F_SETFD, 0) < 0
                       : dup2(from >= 0 ? from : start->null, fd) < 0)
            return fail(word, "place", "a descriptor");
    }
    if (start->common->container && kernel_close_from(RANK_FDS) < 0)
        return fail(word, "close", "descriptors");
    return 0;
}

/* A caught or ignored signal of ours must not be the application's. */
static int restore_signals(const struct rank_common *common,
                           volatile struct word *word)
{
    if (sigaction(SIGPIPE, &common->pipe, NULL) < 0 ||
        sigprocmask(SIG_SETMASK, &common->mask, NULL) < 0)
        return fail(word, "restore", "signals");
    return 0;
}

/* After capset(), which would clear it. */
static int die_with_parent(pid_t parent, volatile struct word *word)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return fail(word, "set", "PR_SET_PDEATHSIG");
    if (getppid() != parent)
        _exit(127);
    return 0;
}

static int become_child(const struct rank_start *start, pid_t parent,
                        volatile struct word *word)
{
    if (setpgid(0, start->group) < 0)
        return fail(word, "join", "a process group");
    if (start->common->container && own_mounts(start->scratch, word) < 0)
        return -1;
    if (enter_workdir(start, word) < 0 || place_fds(start, word) < 0)
        return -1;
    if (start->cpus != NULL &&
        sched_setaffinity(0, start->cpus_size, start->cpus) < 0)
        return fail(word, "bind to", "its CPUs");
    if (setrlimit(RLIMIT_NOFILE, &start->common->files) < 0)
        return fail(word, "set", "RLIMIT_NOFILE");
    if (start->common->container && namespace_drop_capabilities() < 0)
        return fail(word, "drop", "capabilities");
    if (die_with_parent(parent, word) < 0)
        return -1;
    return restore_signals(start->common, word);
}

static void execute(const struct rank_start *start, volatile struct word *word)
{
    execve(start->path, start->argv, start->env);
    fail(word, "execute", start->path);
}

int rank_not_the_command(struct ct_error *err)
{
    if (err != NULL && (err->code == ENOENT || err->code == EACCES))
        err->code = ECANCELED;
    return -1;
}

/* Of all that execve() says, what tells of the file. */
static bool is_of_file(int error)
{
    return error == ETXTBSY || error == ELOOP || error == EISDIR ||
           error == ELIBBAD || error == EINVAL || error == EPERM;
}

static int explain_execute(const struct rank_start *start, int error,
                           struct ct_error *reterr)
{
    struct stat st;

    if (error == ENOENT && stat(start->path, &st) == 0)
        return ct_fail(reterr, ENOENT,
                       "cannot execute %.200s: the interpreter or loader it "
                       "names is not there",
                       start->path);
    if (error == ENOEXEC)
        return ct_fail(reterr, EACCES,
                       "cannot execute %.200s: neither a program of this "
                       "machine nor a script with #!",
                       start->path);
    return ct_fail(reterr, is_of_file(error) ? EACCES : error,
                   "cannot execute %.200s: %s", start->path, strerror(error));
}

static int explain(const struct rank_start *start,
                   const volatile struct word *word, struct ct_error *reterr)
{
    if (word->about == start->path)
        return explain_execute(start, word->error, reterr);
    ct_fail(reterr, word->error, "cannot %s %.200s: %s", word->step,
            word->about, strerror(word->error));
    return rank_not_the_command(reterr);
}

pid_t rank_start(const struct rank_start *start, struct ct_error *reterr)
{
    /* Written by the child, which shares our memory: keep it in memory. */
    volatile struct word word = {NULL, NULL, 0};
    pid_t parent = getpid(), pid = vfork();

    if (pid == 0) {
        if (become_child(start, parent, &word) == 0)
            execute(start, &word);
        _exit(127);
    }
    if (pid < 0)
        return ct_fail_errno(reterr, "cannot start a process");
    if (word.step == NULL)
        return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return explain(start, &word, reterr);
}

static int enter(int userns, int mntns, struct ct_error *reterr)
{
    if (setns(userns, CLONE_NEWUSER) < 0)
        return ct_fail_errno(reterr, "cannot enter the node's user namespace");
    if (setns(mntns, CLONE_NEWNS) < 0)
        return ct_fail_errno(reterr, "cannot enter the container");
    return namespace_lock_privileges(reterr);
}

int rank_become(const struct rank_start *start, int userns, int mntns,
                struct ct_error *reterr)
{
    volatile struct word word = {NULL, NULL, 0};
    bool container = start->common->container;

    if (container && enter(userns, mntns, reterr) < 0)
        return rank_not_the_command(reterr);
    if ((!container || own_mounts(start->scratch, &word) == 0) &&
        enter_workdir(start, &word) == 0 && place_fds(start, &word) == 0 &&
        (!container || namespace_drop_capabilities() == 0 ||
         fail(&word, "drop", "capabilities") == 0))
        execute(start, &word);
    return explain(start, &word, reterr);
}

/* 0 executable, else why not. */
static int runnable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return errno == ENOTDIR ? ENOENT : errno;
    if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
        return EACCES;
    return 0;
}

static char *try_in(const char *dir, size_t dir_len, const char *name,
                    const char *workdir, int *ret_error)
{
    char *path = NULL;
    bool relative = dir_len == 0 || dir[0] != '/';

    if (asprintf(&path, "%s%s%.*s%s%s", relative ? workdir : "",
                 relative ? "/" : "", (int)dir_len, dir, dir_len > 0 ? "/" : "",
                 name) < 0) {
        *ret_error = ENOMEM;
        return NULL;
    }
    *ret_error = runnable(path);
    if (*ret_error == 0)
        return path;
    free(path);
    return NULL;
}

char *rank_find_command(const char *name, const char *path, const char *workdir,
                        struct ct_error *reterr)
{
    int error = ENOENT, seen = ENOENT;
    char *found = NULL;

    if (name[0] == '/') {
        seen = runnable(name);
        found = seen == 0 ? strdup(name) : NULL;
    } else if (strchr(name, '/') != NULL) {
        found = try_in("", 0, name, workdir, &seen);
    } else {
        if (path == NULL)
            path = environ_default_path;
        for (const char *dir = path; dir != NULL && found == NULL;) {
            size_t len = strcspn(dir, ":");
            found = try_in(dir, len, name, workdir, &error);
            if (error != ENOENT)
                seen = error;
            dir = dir[len] == ':' ? dir + len + 1 : NULL;
        }
    }
    if (found == NULL)
        ct_fail(reterr,
                seen == 0       ? ENOMEM
                : seen == ELOOP ? EACCES
                                : seen,
                "%.200s: %s", name,
                seen == ENOENT   ? "command not found"
                : seen == EACCES ? "not executable"
                                 : strerror(seen));
    return found;
}
