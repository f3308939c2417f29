/*
 * Only a shell can source shell scripts, and the image may have no other tool
 * (env, printenv) to show what came of it. So the shell sources them and then
 * executes a second shell, which says that it is there and waits: its
 * environment, as the kernel has it, is the answer.
 */
#include "container/envscript.h"

#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { ENVIRON_MAX = 8 * 1024 * 1024 };

static const char dir[] = "/.singularity.d/env";

/* `exec`: the pid must stay. What scripts print is not the answer. */
static const char script[] =
    "{\n"
    "  for ctrun_file in /.singularity.d/env/*.sh; do\n"
    "    if [ -f \"$ctrun_file\" ]; then . \"$ctrun_file\"; fi\n"
    "  done\n"
    "} </dev/null >&2\n"
    "unset ctrun_file\n"
    "exec /bin/sh -c 'echo; read ctrun_line'\n";

/* Set by shells, not by scripts. */
static const char *const of_shells[] = {"PWD", "OLDPWD", "SHLVL", "_", NULL};

static char *read_all(int fd, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0, room = 0;

    for (;;) {
        if (len == room) {
            char *grown = room < ENVIRON_MAX
                              ? realloc(text, room = room * 2 + 65536)
                              : NULL;
            if (grown == NULL)
                break;
            text = grown;
        }
        ssize_t n = read(fd, text + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        if (n == 0) {
            *ret_len = len;
            return text;
        }
        len += (size_t)n;
    }
    free(text);
    return NULL;
}

static int read_environment(pid_t pid, struct strv *ret,
                            struct ct_error *reterr)
{
    char path[40];
    size_t len = 0;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    CT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    CT_AUTO_FREE char *text = fd >= 0 ? read_all(fd, &len) : NULL;
    if (text == NULL)
        return ct_fail_errno(reterr, "cannot read what %s has set", dir);
    for (size_t at = 0; at < len;) {
        size_t item = strnlen(text + at, len - at);
        if (at + item == len)
            break;
        if (strchr(text + at, '=') != NULL && strv_add(ret, text + at) < 0)
            return ct_fail_nomem(reterr);
        at += item + 1;
    }
    return 0;
}

static int restore_shell_names(struct strv *now, const struct strv *before)
{
    for (const char *const *name = of_shells; *name != NULL; name++) {
        const char *value = strv_env_get(before, *name);
        if (value == NULL)
            strv_env_unset(now, *name);
        else if (strv_env_setf(now, "%s=%s", *name, value) < 0)
            return -1;
    }
    return 0;
}

/*
 * It may be any program, so it is not waited for without being killed. What has
 * exited keeps its status, which is told as a shell tells it.
 */
static int end(pid_t pid)
{
    int status = 0;

    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Is there anything on fd, or its end, before owner hangs up? */
static bool wait_for(int fd, int owner)
{
    struct pollfd wait[2] = {{.fd = fd, .events = POLLIN}, {.fd = owner}};

    while (poll(wait, 2, -1) < 0 && errno == EINTR)
        ;
    return wait[1].revents == 0;
}

static pid_t start_shell(const struct rank_common *common, char *const *scratch,
                         int null, int in, int out, struct strv *env,
                         struct ct_error *reterr)
{
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
    struct rank_start start = {
        .common = common,
        .scratch = scratch,
        .path = argv[0],
        .argv = argv,
        .env = strv_list(env),
        .workdir = "/",
        .null = null,
        .fds = {in, out, STDERR_FILENO, -1},
        .group = 0,
    };

    return rank_start(&start, reterr);
}

/* What the scripts have left, from the shell that says that it is there. */
static int hear(pid_t pid, int out, int owner, struct strv *ret,
                struct ct_error *reterr)
{
    char byte;
    bool answered = wait_for(out, owner) && read(out, &byte, 1) == 1;
    int rc = answered ? read_environment(pid, ret, reterr) : -1;
    int status = end(pid);

    if (!answered)
        return ct_fail(reterr, EPROTO,
                       "the image's scripts in %s ended the shell (status %d)",
                       dir, status);
    return rc;
}

int envscript_run(const struct rank_common *common, char *const *scratch,
                  int null, int owner, struct strv *env,
                  struct ct_error *reterr)
{
    int in[2], out[2], rc;
    struct strv left = {0};
    pid_t pid;

    if (access(dir, F_OK) < 0)
        return 0;
    if (pipe2(in, O_CLOEXEC) < 0)
        return ct_fail_errno(reterr, "pipe");
    CT_AUTO_FD int in_end = in[1];
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        return ct_fail_errno(reterr, "pipe");
    }
    CT_AUTO_FD int out_end = out[0];
    pid = start_shell(common, scratch, null, in[0], out[1], env, reterr);
    close(in[0]);
    close(out[1]);
    if (pid < 0)
        return ct_fail_in(reterr, "the image has %s", dir);
    rc = hear(pid, out_end, owner, &left, reterr);
    ct_close(&in_end); /* not before: the shell reads it to stay */
    if (rc == 0 && restore_shell_names(&left, env) < 0)
        rc = ct_fail_nomem(reterr);
    if (rc < 0) {
        strv_clear(&left);
        return -1;
    }
    strv_clear(env);
    *env = left;
    return 0;
}
