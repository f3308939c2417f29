/*
 * Ranks that are processes: each speaks on its own end, while we are the
 * server that they speak to.
 */
#ifndef CT_UNIT_RANKS_H
#define CT_UNIT_RANKS_H

#include "server.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A rank's own code. An assertion that fails ends it with a status of 1. */
typedef void rank_main(unsigned rank, unsigned size, int fd);

static inline pid_t rank_start(struct host *host, rank_main *code, unsigned i)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned k = 0; k < host->count; k++) {
        close(host->ranks[k].server_fd);
        if (k != i)
            close(host->ranks[k].fd);
    }
    code(i, host->count, host->ranks[i].fd);
    _exit(0);
}

/* Wait until something is to be done, but not for ever. */
static inline void ranks_wait(struct host *host)
{
    struct pollfd fds[TEST_RANKS_MAX];

    host_wait(host, fds);
    ck_assert_int_ge(poll(fds, host->count, 20), 0);
    run(host);
}

static inline unsigned ranks_reap(void)
{
    unsigned count = 0;
    int status;

    while (waitpid(-1, &status, WNOHANG) > 0) {
        ck_assert_int_eq(status, 0);
        count++;
    }
    return count;
}

/* Run code as every rank of the host's job, to a good end. */
static inline void ranks_run(struct host *host, rank_main *code)
{
    unsigned ended = 0;

    for (unsigned i = 0; i < host->count; i++)
        rank_start(host, code, i);
    for (unsigned i = 0; i < host->count; i++) {
        close(host->ranks[i].fd);
        host->ranks[i].fd = -1;
    }
    while (ended < host->count) {
        ranks_wait(host);
        ended += ranks_reap();
    }
    run(host);
}

#endif
