/*
 * spawn OUT COUNT COMMAND [ARG...]
 *
 * Start COUNT copies of a command and wait for them all: with 64 of `true`
 * what the kernel alone takes, with one of a launcher its stopwatch. When all
 * ended well OUT (opened first: it may be a FIFO) gets the seconds from the
 * first start to the last end. The exit code is that of a copy that failed, or
 * 0.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int start(int count, char **argv)
{
    for (int i = 0; i < count; i++) {
        pid_t pid;
        int error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
        if (error != 0) {
            fprintf(stderr, "spawn: %s: %s\n", argv[0], strerror(error));
            return error == ENOENT ? 127 : 126;
        }
    }
    return 0;
}

static int wait_all(void)
{
    int status, code = 0;

    while (wait(&status) > 0)
        if (status != 0)
            code = WIFEXITED(status) ? WEXITSTATUS(status)
                                     : 128 + WTERMSIG(status);
    return code;
}

int main(int argc, char **argv)
{
    int count = argc > 3 ? atoi(argv[2]) : 0;
    FILE *out = count > 0 ? fopen(argv[1], "we") : NULL;
    int code, waited;
    double begin;

    if (out == NULL) {
        fprintf(stderr, "usage: spawn OUT COUNT COMMAND [ARG...]\n");
        return 125;
    }
    begin = now();
    code = start(count, argv + 3);
    waited = wait_all();
    if (code == 0)
        code = waited;
    if (code == 0)
        fprintf(out, "%.6f\n", now() - begin);
    return fclose(out) == 0 ? code : 125;
}
