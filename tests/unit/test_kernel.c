#include "container/kernel.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char top[] = "/tmp/test_kernel.XXXXXX";
static int root;

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* root/{etc,run}, root/etc/link -> ../run/file, and a way out of root. */
static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("root", 0755), 0);
    ck_assert_int_eq(mkdir("root/etc", 0755), 0);
    ck_assert_int_eq(mkdir("root/run", 0755), 0);
    make_file("root/run/file");
    make_file("outside");
    ck_assert_int_eq(symlink("../run/file", "root/etc/link"), 0);
    ck_assert_int_eq(symlink("../../../run/file", "root/etc/far"), 0);
    ck_assert_int_eq(symlink("/run/file", "root/etc/absolute"), 0);
    ck_assert_int_eq(symlink("/proc/self/root", "root/etc/magic"), 0);
    root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(root, 0);
}

static void tear_down(void)
{
    static const char *const paths[] = {
        "root/etc/link", "root/etc/far",  "root/etc/absolute", "root/etc/magic",
        "root/etc",      "root/run/file", "root/run",          "root",
        "outside",       "renamed",
    };

    close(root);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        remove(paths[i]);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(top), 0);
}

static int error_of(int dirfd, const char *path)
{
    int fd = kernel_open_in_root(dirfd, path, O_PATH);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

START_TEST(paths_stay_in_root)
{
    if (error_of(root, "/") == ENOSYS)
        return; /* Linux before 5.6 */
    ck_assert_int_eq(error_of(root, "/etc/link"), 0);
    ck_assert_int_eq(error_of(root, "/etc/far"), 0);
    ck_assert_int_eq(error_of(root, "/etc/absolute"), 0);
    ck_assert_int_eq(error_of(root, "/../../run/file"), 0);
    ck_assert_int_eq(error_of(root, "/../outside"), ENOENT);
    ck_assert_int_eq(error_of(root, "/etc/magic"), ENOENT); /* no /proc here */
}
END_TEST

START_TEST(magic_links_are_refused)
{
    int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = error_of(host, "/proc/self/root/etc");

    close(host);
    if (error != ENOSYS && access("/proc/self/root", F_OK) == 0)
        ck_assert_int_eq(error, ELOOP);
}
END_TEST

static pid_t start_renaming(void)
{
    pid_t pid = fork();

    while (pid == 0) {
        rename("outside", "renamed");
        rename("renamed", "outside");
    }
    return pid;
}

/* Any rename on the machine may make the kernel give up on a "..": ask again.
 */
START_TEST(renames_elsewhere_do_not_matter)
{
    enum { TRIES = 20000 };
    pid_t renamer;
    int failed = 0;

    if (error_of(root, "/") == ENOSYS)
        return;
    renamer = start_renaming();
    ck_assert_int_gt(renamer, 0);
    for (int i = 0; i < TRIES; i++)
        failed += error_of(root, "/etc/link") != 0;
    kill(renamer, SIGKILL);
    waitpid(renamer, NULL, 0);
    ck_assert_int_eq(failed, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel");
    TCase *tc = tcase_create("kernel");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, paths_stay_in_root);
    tcase_add_test(tc, magic_links_are_refused);
    tcase_add_test(tc, renames_elsewhere_do_not_matter);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
