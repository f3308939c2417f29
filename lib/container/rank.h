/*
 * From the zygote to the application: what happens between fork and exec of one
 * rank.
 */
#ifndef CT_CONTAINER_RANK_H
#define CT_CONTAINER_RANK_H

#include "base/error.h"

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { RANK_PMI_FD = 3, RANK_FDS = 4 };

/* What all ranks have in common. */
struct rank_common {
    bool container;        /* a mount namespace of its own, no capabilities */
    sigset_t mask;         /* signal mask that the application gets */
    struct sigaction pipe; /* and what it does about SIGPIPE */
    struct rlimit files;   /* and its RLIMIT_NOFILE */
};

struct rank_start {
    const struct rank_common *common;
    char *const *scratch; /* NULL-terminated: where it has a tmpfs of its own */
    const char *path;     /* what to execute */
    char *const *argv;
    char *const *env;
    const char *workdir;         /* NULL: where the caller is */
    const char *workdir_else[2]; /* tried in turn when the first is not there */
    int fds[RANK_FDS]; /* stdin, stdout, stderr, PMI; -1: /dev/null, or none */
    int null;          /* an open /dev/null */
    pid_t group;       /* process group to join; 0: one of its own */
    const void *cpus;  /* cpu_set_t of cpus_size bytes, or NULL */
    size_t cpus_size;
};

/*
 * Start it as a child of the calling, single-threaded process, with whose end
 * it ends. All descriptors given are above RANK_PMI_FD. The pid; or -1: ENOENT
 * and EACCES tell of the command, and *reterr says at which step.
 */
pid_t rank_start(const struct rank_start *start, struct ct_error *reterr);

/*
 * Make the calling, single-threaded process a rank instead: somebody else has
 * started it, and its group, CPUs, limits and signals stay as they are. userns
 * and mntns are the zygote's (-1: it has no container). Returns only with -1;
 * codes as of rank_start().
 */
int rank_become(const struct rank_start *start, int userns, int mntns,
                struct ct_error *reterr);

/*
 * What a shell would execute for `name` with this PATH (NULL: a default): an
 * absolute path to free(). NULL: ENOENT not found, EACCES found and not
 * executable.
 */
char *rank_find_command(const char *name, const char *path, const char *workdir,
                        struct ct_error *reterr);

/* ENOENT and EACCES that are not of the command become ECANCELED. -1. */
int rank_not_the_command(struct ct_error *err);

#endif
