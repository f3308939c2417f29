/*
 * Each test is a process of its own (Check forks), hence a subreaper without
 * children when it begins.
 */
#include "container/sweep.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void set_up(void)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

/* Everything that a test starts dies with the test if that fails. */
static pid_t fork_tied(void)
{
    pid_t parent = getpid(), pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0 &&
        (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(1);
    if (pid == 0)
        signal(SIGTERM, SIG_DFL); /* Check has a handler */
    return pid;
}

/* Or, should a test fail and leave this behind, not quite. */
static _Noreturn void sleep_forever(void)
{
    signal(SIGALRM, SIG_DFL); /* Check has a handler */
    alarm(60);
    for (;;)
        pause();
}

static pid_t start_child(void)
{
    pid_t pid = fork_tied();

    if (pid == 0)
        sleep_forever();
    return pid;
}

/* A child with a child of its own, whose pid it tells. */
static pid_t start_family(pid_t *ret_grandchild, bool child_exits)
{
    int tell[2];
    pid_t pid;

    ck_assert_int_eq(pipe(tell), 0);
    pid = fork_tied();
    if (pid == 0) {
        signal(SIGTERM, SIG_IGN); /* for the grandchild */
        pid_t grandchild = fork();
        if (grandchild == 0) {
            setsid();
            sleep_forever();
        }
        signal(SIGTERM, SIG_DFL);
        if (write(tell[1], &grandchild, sizeof grandchild) < 0 || child_exits)
            _exit(0);
        sleep_forever();
    }
    close(tell[1]);
    ck_assert_int_eq(read(tell[0], ret_grandchild, sizeof *ret_grandchild),
                     sizeof *ret_grandchild);
    close(tell[0]);
    return pid;
}

static bool lives(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void check_childless(void)
{
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

START_TEST(nothing_to_do)
{
    sweep(0);
    check_childless();
}
END_TEST

START_TEST(children_are_killed_and_reaped)
{
    pid_t pids[5];

    for (int i = 0; i < 5; i++)
        pids[i] = start_child();
    kill(pids[1], SIGSTOP);
    kill(pids[2], SIGKILL);
    sweep(0);
    check_childless();
    for (int i = 0; i < 5; i++)
        ck_assert(!lives(pids[i]));
}
END_TEST

/* More than are read at a time. */
START_TEST(many_children)
{
    for (int i = 0; i < 1100; i++)
        start_child();
    sweep(0);
    check_childless();
}
END_TEST

START_TEST(grandchildren_too)
{
    pid_t of_living, of_dead;

    start_family(&of_living, false);
    start_family(&of_dead, true);
    sweep(0);
    check_childless();
    ck_assert(!lives(of_living));
    ck_assert(!lives(of_dead));
}
END_TEST

static const char *const odd_names[] = {") S 1 1 (", "a b) Z 0 0", "\n1"};

START_TEST(odd_names_do_not_hide)
{
    int ready[2];
    pid_t listed;
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    if (fork_tied() == 0) {
        prctl(PR_SET_NAME, odd_names[_i]);
        if (write(ready[1], "", 1) == 1)
            sleep_forever();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_uint_eq(sweep_list(&listed, 1, 0), 1);
    sweep(0);
    check_childless();
}
END_TEST

/* One that says good-bye: it must have been asked, not killed. */
static pid_t start_polite(int tell)
{
    sigset_t term;
    pid_t pid;
    int signal;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    pid = fork_tied();
    if (pid == 0) {
        alarm(60);
        if (sigwait(&term, &signal) == 0 && write(tell, "x", 1) == 1)
            _exit(0);
        _exit(1);
    }
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    return pid;
}

START_TEST(asking_lets_them_finish)
{
    int tell[2];
    char text[4];
    pid_t spare = start_child();

    ck_assert_int_eq(pipe(tell), 0);
    start_polite(tell[1]);
    start_polite(tell[1]);
    sweep_ask(&spare, 1, 10000);
    ck_assert_int_eq(read(tell[0], text, sizeof text), 2);
    ck_assert(lives(spare));
    sweep(0);
    check_childless();
}
END_TEST

/* The grandchild that becomes ours ignores SIGTERM. */
START_TEST(asking_has_an_end)
{
    pid_t grandchild;

    start_family(&grandchild, false);
    sweep_ask(NULL, 0, 100);
    ck_assert(lives(grandchild));
    sweep(0);
    check_childless();
}
END_TEST

START_TEST(nobody_to_ask)
{
    sweep_ask(NULL, 0, 1000 * 1000);
    check_childless();
}
END_TEST

START_TEST(spare_survives_with_its_children)
{
    pid_t of_spare, of_other;
    pid_t spare = start_family(&of_spare, false);
    pid_t other = start_family(&of_other, false);

    sweep(spare);
    ck_assert(!lives(other));
    ck_assert(!lives(of_other));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0);
    ck_assert(lives(spare));
    ck_assert(lives(of_spare));
    sweep(0);
    check_childless();
    ck_assert(!lives(of_spare));
}
END_TEST

START_TEST(spare_may_have_ended)
{
    pid_t spare = fork_tied();
    siginfo_t info;

    if (spare == 0)
        _exit(0);
    ck_assert_int_eq(waitid(P_PID, (id_t)spare, &info, WEXITED | WNOWAIT), 0);
    start_child();
    start_child();
    sweep(spare);
    ck_assert_int_eq(waitpid(-1, NULL, 0), spare);
    check_childless();
}
END_TEST

/*
 * The parent of a dead process that is traced is told last, when the tracer has
 * been told; this one never listens.
 */
START_TEST(tracers_do_not_hold_the_dead_back)
{
    pid_t traced = start_child();
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    if (fork_tied() == 0) {
        byte = ptrace(PTRACE_SEIZE, traced, NULL, NULL) == 0;
        if (write(ready[1], &byte, 1) == 1)
            sleep_forever();
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    if (!byte)
        puts("tracers_do_not_hold_the_dead_back: may not trace here");
    sweep(0);
    check_childless();
}
END_TEST

static bool is_in(pid_t pid, const pid_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == pid)
            return true;
    return false;
}

START_TEST(list_has_all_but_the_spare_ones)
{
    pid_t list[16], of_spare, of_other;
    pid_t spare = start_family(&of_spare, false);
    pid_t other = start_family(&of_other, false);
    size_t count = sweep_list(list, 16, spare);

    ck_assert_uint_eq(count, 3);
    ck_assert(is_in(other, list, count));
    ck_assert(is_in(of_other, list, count));
    ck_assert(is_in(spare, list, count));
    ck_assert_uint_eq(sweep_list(list, 16, 0), 4);
    ck_assert(is_in(of_spare, list, 4));
    sweep(0);
    ck_assert_uint_eq(sweep_list(list, 16, 0), 0);
}
END_TEST

START_TEST(list_is_bounded)
{
    pid_t list[4] = {-1, -1, -1, -1}, grandchild;

    for (int i = 0; i < 3; i++)
        start_family(&grandchild, false);
    ck_assert_uint_eq(sweep_list(list, 2, 0), 2);
    ck_assert_int_eq(list[2], -1);
    ck_assert_uint_eq(sweep_list(list, 4, 0), 4);
    ck_assert_uint_eq(sweep_list(list, 0, 0), 0);
    sweep(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tc = tcase_create("sweep");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, nothing_to_do);
    tcase_add_test(tc, children_are_killed_and_reaped);
    tcase_add_test(tc, many_children);
    tcase_add_test(tc, grandchildren_too);
    tcase_add_loop_test(tc, odd_names_do_not_hide, 0, 3);
    tcase_add_test(tc, asking_lets_them_finish);
    tcase_add_test(tc, asking_has_an_end);
    tcase_add_test(tc, nobody_to_ask);
    tcase_add_test(tc, spare_survives_with_its_children);
    tcase_add_test(tc, spare_may_have_ended);
    tcase_add_test(tc, tracers_do_not_hold_the_dead_back);
    tcase_add_test(tc, list_has_all_but_the_spare_ones);
    tcase_add_test(tc, list_is_bounded);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
