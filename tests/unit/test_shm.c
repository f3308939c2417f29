/*
 * Each test has a /dev/shm of its own, where the machine allows that: what is
 * taken away here must not be another program's.
 */
#include "container/namespace.h"
#include "container/shm.h"
#include "tests/unit/userns.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct shm shm;

static bool own_shm(void)
{
    return hide_directory("/dev/shm");
}

static void set_up(void)
{
    ck_assert(own_shm());
    ck_assert_int_eq(chdir("/dev/shm"), 0);
    shm_start(&shm);
}

static void make(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    close(fd);
}

static bool exists(const char *name)
{
    return faccessat(AT_FDCWD, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void map_and_close(int fd)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        _exit(1);
    close(fd);
}

/* A process that has the file open, or mapped and not open. */
static pid_t hold(const char *name, bool mapped)
{
    pid_t parent = getpid(), pid;
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int fd = open(name, O_RDWR | O_CLOEXEC);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || fd < 0)
            _exit(1);
        if (mapped)
            map_and_close(fd);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(what_ranks_had_goes)
{
    pid_t pids[2];

    make("job_mapped");
    make("job_opened");
    make("job_other");
    pids[0] = hold("job_mapped", true);
    pids[1] = hold("job_opened", false);
    shm_look(&shm, pids, 2);
    end(pids[0]);
    end(pids[1]);
    shm_look(&shm, pids, 2); /* nobody there any more */
    shm_clean(&shm);
    ck_assert(!exists("job_mapped"));
    ck_assert(!exists("job_opened"));
    ck_assert(exists("job_other"));
    ck_assert_uint_eq(shm.seen.count, 0);
}
END_TEST

/* One for each row. */
static const char *const of_mpi[] = {
    "mpich_shm_x",  "mpich_shar_tmpx", "ucx_shm_posix_1", "vader_segment.h",
    "sm_segment.h", "osc_rdma.h",      "pmix_x",          "fi_shm_x",
    "ofi_x",        "sm2_mmap_x",      "impi-shm-x",      "Intel_MPI_x",
    "psm2_shm.1",   "psm3_shm.1",      "mv2_x",           "cray-x",
};

START_TEST(what_an_mpi_made_goes)
{
    make(of_mpi[_i]);
    shm_clean(&shm);
    ck_assert_msg(!exists(of_mpi[_i]), "%s is there", of_mpi[_i]);
}
END_TEST

static const char *const of_others[] = {
    "x",      "mpich",    "xmpich_shm_x", "sem.mpich_shm_x",
    "cray_x", "psm_shm2", "MPICH_SHM_X",
};

START_TEST(what_others_made_stays)
{
    make(of_others[_i]);
    shm_clean(&shm);
    ck_assert_msg(exists(of_others[_i]), "%s is gone", of_others[_i]);
}
END_TEST

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec
                                  : a->tv_nsec > b->tv_nsec;
}

/* Until the clock that shm_start() reads has passed the file by. */
static void await_after(const char *name)
{
    struct timespec now;
    struct stat st;

    ck_assert_int_eq(stat(name, &st), 0);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (!is_later(&now, &st.st_ctim));
}

START_TEST(what_is_older_stays)
{
    pid_t pid;

    make("mpich_shm_old");
    await_after("mpich_shm_old");
    shm_start(&shm);
    make("mpich_shm_new");
    pid = hold("mpich_shm_old", true);
    shm_look(&shm, &pid, 1);
    end(pid);
    shm_clean(&shm);
    ck_assert(exists("mpich_shm_old"));
    ck_assert(!exists("mpich_shm_new"));
}
END_TEST

START_TEST(what_is_used_stays)
{
    pid_t mapped, opened;

    make("mpich_shm_mapped");
    make("mpich_shm_opened");
    mapped = hold("mpich_shm_mapped", true);
    opened = hold("mpich_shm_opened", false);
    shm_clean(&shm);
    ck_assert(exists("mpich_shm_mapped"));
    ck_assert(exists("mpich_shm_opened"));
    end(mapped);
    shm_clean(&shm);
    ck_assert(!exists("mpich_shm_mapped"));
    ck_assert(exists("mpich_shm_opened"));
    end(opened);
}
END_TEST

/* shm_clean() as a zygote does it: in a user namespace below its user's. */
static int clean_in_user_namespace(void)
{
    int ready[2], go[2], status;
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(ready) | pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        if (namespace_unshare(NULL) < 0 || write(ready[1], "", 1) != 1 ||
            read(go[0], &byte, 1) != 1)
            _exit(1);
        shm_clean(&shm);
        _exit(0);
    }
    ck_assert_int_eq(close(ready[1]) | close(go[0]), 0);
    if (read(ready[0], &byte, 1) == 1) {
        ck_assert_int_eq(namespace_map(pid, NULL), 0);
        ck_assert_int_eq(write(go[1], "", 1), 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* Whose processes the cleaner may not look at. */
START_TEST(what_another_job_uses_stays)
{
    pid_t mapped, opened;

    make("mpich_shm_mapped");
    make("mpich_shm_opened");
    make("mpich_shm_left");
    mapped = hold("mpich_shm_mapped", true);
    opened = hold("mpich_shm_opened", false);
    if (clean_in_user_namespace() != 0) {
        puts("what_another_job_uses_stays: no user namespace here");
        return;
    }
    ck_assert(exists("mpich_shm_mapped"));
    ck_assert(exists("mpich_shm_opened"));
    ck_assert(!exists("mpich_shm_left"));
    end(mapped);
    end(opened);
}
END_TEST

START_TEST(what_is_no_file_stays)
{
    make("target");
    ck_assert_int_eq(symlink("target", "mpich_shm_link"), 0);
    ck_assert_int_eq(mkdir("mpich_shm_dir", 0700), 0);
    ck_assert_int_eq(mkfifo("mpich_shm_fifo", 0600), 0);
    shm_clean(&shm);
    ck_assert(exists("target"));
    ck_assert(exists("mpich_shm_link"));
    ck_assert(exists("mpich_shm_dir"));
    ck_assert(exists("mpich_shm_fifo"));
}
END_TEST

START_TEST(what_is_another_users_stays)
{
    make("mpich_shm_other");
    if (chown("mpich_shm_other", 1, 1) < 0) {
        puts("what_is_another_users_stays: only root can make one");
        return;
    }
    shm_clean(&shm);
    ck_assert(exists("mpich_shm_other"));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("shm");
    TCase *tc = tcase_create("shm");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!try_in_child(own_shm)) {
        puts("skipped: no mount namespace with its own /dev/shm here");
        srunner_free(runner);
        return 77;
    }
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, what_ranks_had_goes);
    tcase_add_loop_test(tc, what_an_mpi_made_goes, 0, COUNT(of_mpi));
    tcase_add_loop_test(tc, what_others_made_stays, 0, COUNT(of_others));
    tcase_add_test(tc, what_is_older_stays);
    tcase_add_test(tc, what_is_used_stays);
    tcase_add_test(tc, what_another_job_uses_stays);
    tcase_add_test(tc, what_is_no_file_stays);
    tcase_add_test(tc, what_is_another_users_stays);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
