/*
 * What tests of libpmi's and libpmi2's functions share: a process that nobody
 * has started, one that is a rank of ours, and forks that end as expected.
 *
 * The libraries keep what they know for the life of a process: each test is one
 * (Check forks), and so is each rank.
 */
#ifndef CT_UNIT_ABI_H
#define CT_UNIT_ABI_H

#include "ranks.h"

#include <pthread.h>

/* Nobody has started us. */
static inline void be_alone(void)
{
    static const char *const variables[] = {
        "PMI_FD",
        "PMI_PORT",
        "PMI_ID",
        "PMI_RANK",
        "PMI_SIZE",
        "PMI_JOBID",
        "PMI_SPAWNED",
        "PMI_DEBUG",
        "PMI2_DEBUG",
        "PMIX_NAMESPACE",
        "PMIX_RANK",
        "CTRUN_PMI_REQUIRE",
        "CTRUN_RANK",
        "PALS_SIZE",
        "SLURM_STEP_NUM_TASKS",
        "FLUX_JOB_SIZE",
        "MV2_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_SIZE",
    };

    for (int i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
}

static inline void set_number(const char *name, int number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    setenv(name, text, 1);
}

/* As ctrun starts us. */
static inline void be_rank(unsigned rank, unsigned size, int fd)
{
    be_alone();
    set_number("PMI_FD", fd);
    set_number("PMI_RANK", (int)rank);
    set_number("PMI_SIZE", (int)size);
    set_number("CTRUN_RANK", (int)rank);
    setenv("PMI_JOBID", "7.0", 1);
}

/* What another process does, and how it must end. */
static inline void in_child(void (*act)(void), int code)
{
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        act();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code,
                  "ended with %#x, not exit code %d", (unsigned)status, code);
}

/* The same, and what it wrote to stderr. */
static inline void hear_child(void (*act)(void), int code, char *buf,
                              size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    ssize_t len;

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    in_child(act, code);
    ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    len = read(ends[0], buf, size - 1);
    buf[len > 0 ? len : 0] = '\0';
    close(ends[0]);
}

enum { THREADS = 8 };

/* All at once, each with its number. */
static inline void in_threads(void *(*act)(void *number))
{
    pthread_t threads[THREADS];
    int numbers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, act, &numbers[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

#endif
