#include "container/rundir.h"
#include "tests/unit/userns.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool hide_tmp(void)
{
    return hide_directory("/tmp");
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void choose_and_make(struct rundir *dir)
{
    struct stat st;

    ck_assert_int_eq(rundir_choose(dir, false, NULL), 0);
    ck_assert(!exists(dir->path));
    ck_assert_int_eq(rundir_make(dir, NULL), 0);
    ck_assert_int_eq(stat(dir->path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
}

START_TEST(two_names_differ)
{
    struct rundir a, b;

    ck_assert_int_eq(rundir_choose(&a, false, NULL), 0);
    ck_assert_int_eq(rundir_choose(&b, false, NULL), 0);
    ck_assert_str_ne(a.path, b.path);
}
END_TEST

START_TEST(what_is_there_is_not_ours)
{
    struct ct_error err;
    struct rundir dir;

    choose_and_make(&dir);
    ck_assert_int_eq(rundir_make(&dir, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, dir.path));
    rmdir(dir.path);
}
END_TEST

START_TEST(removes_all_in_it_and_follows_no_link)
{
    char outside[] = "/tmp/rundir-test.XXXXXX", path[200];
    struct rundir dir;
    int parent;

    ck_assert_ptr_nonnull(mkdtemp(outside));
    snprintf(path, sizeof path, "%s/kept", outside);
    close(open(path, O_CREAT | O_WRONLY, 0600));

    choose_and_make(&dir);
    parent = rundir_open_parent(&dir);
    ck_assert_int_ge(parent, 0);
    ck_assert_int_eq(chdir(dir.path), 0);
    ck_assert_int_eq(mkdir("a", 0700), 0);
    ck_assert_int_eq(mkdir("a/b", 0700), 0);
    close(open("a/b/file", O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(symlink(outside, "a/link"), 0);
    ck_assert_int_eq(mkfifo("a/pipe", 0600), 0);
    ck_assert_int_eq(chdir("/"), 0);
    rundir_remove(&dir, parent);
    ck_assert(!exists(dir.path));
    ck_assert(exists(path));

    rundir_remove(&dir, parent); /* it need not be there */
    close(parent);
    unlink(path);
    rmdir(outside);
}
END_TEST

static bool hide_shm(void)
{
    return hide_directory("/dev/shm");
}

static bool is_in(const struct rundir *dir, const char *parent)
{
    size_t len = strlen(parent);

    return strncmp(dir->path, parent, len) == 0 && dir->path[len] == '/';
}

START_TEST(lies_in_memory_if_there_is_plenty)
{
    struct rundir dir;

    if (!try_in_child(hide_shm))
        return; /* no namespaces here */
    ck_assert(hide_shm());
    ck_assert_int_eq(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "size=1g"), 0);
    ck_assert_int_eq(rundir_choose(&dir, false, NULL), 0);
    ck_assert(is_in(&dir, "/dev/shm"));
    ck_assert_int_eq(rundir_choose(&dir, true, NULL), 0);
    ck_assert(is_in(&dir, "/tmp"));
    ck_assert_int_eq(mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "size=64m"), 0);
    ck_assert_int_eq(rundir_choose(&dir, false, NULL), 0);
    ck_assert(is_in(&dir, "/tmp"));
    ck_assert_int_eq(
        mount(NULL, "/dev/shm", NULL, MS_REMOUNT, "size=1g,nr_inodes=64"), 0);
    ck_assert_int_eq(rundir_choose(&dir, false, NULL), 0);
    ck_assert(is_in(&dir, "/tmp"));
}
END_TEST

static const struct rundir in_tmp = {"/tmp/ctrun-1"};
static const struct rundir in_shm = {"/dev/shm/ctrun-1"};

static bool seen_with(const struct rundir *dir, const struct mount *mounts,
                      size_t count)
{
    const struct plan plan = {
        .image_path = (char *)"/img",
        .mounts = (struct mount *)mounts,
        .mount_count = count,
    };

    return rundir_is_seen(dir, &plan);
}

START_TEST(is_seen_where_tmp_is_the_hosts)
{
    struct mount mounts[2] = {
        {.kind = MOUNT_BIND,
         .source = (char *)"/tmp",
         .target = (char *)"/tmp"},
        {.kind = MOUNT_SCRATCH, .target = (char *)"/tmp"},
    };
    const struct plan bare = {0};

    ck_assert(rundir_is_seen(&in_tmp, &bare));
    ck_assert(!seen_with(&in_tmp, mounts, 0));
    ck_assert(seen_with(&in_tmp, mounts, 1));
    ck_assert(!seen_with(&in_shm, mounts, 1));
    ck_assert(!seen_with(&in_tmp, mounts, 2));
    mounts[0].readonly = true;
    ck_assert(!seen_with(&in_tmp, mounts, 1));
    mounts[0].readonly = false;
    mounts[0].source = (char *)"/var/tmp";
    ck_assert(!seen_with(&in_tmp, mounts, 1));
}
END_TEST

START_TEST(is_seen_where_shm_is_the_hosts)
{
    struct mount mounts[2] = {
        {.kind = MOUNT_BIND,
         .source = (char *)"/dev",
         .target = (char *)"/dev"},
        {.kind = MOUNT_SCRATCH, .target = (char *)"/dev/shm"},
    };

    ck_assert(seen_with(&in_shm, mounts, 1));
    ck_assert(!seen_with(&in_tmp, mounts, 1));
    ck_assert(!seen_with(&in_shm, mounts, 2));
    mounts[1].target = (char *)"/dev/shm2";
    ck_assert(seen_with(&in_shm, mounts, 2));
    mounts[1] = (struct mount){.kind = MOUNT_BIND,
                               .source = (char *)"/dev/shm",
                               .target = (char *)"/dev/shm"};
    ck_assert(seen_with(&in_shm, mounts, 2));
    mounts[1].source = (char *)"/var/shm";
    ck_assert(!seen_with(&in_shm, mounts, 2));
    mounts[0].source = (char *)"/";
    ck_assert(!seen_with(&in_shm, mounts, 1));
    mounts[0].source = (char *)"/devices";
    ck_assert(!seen_with(&in_shm, mounts, 1));
}
END_TEST

static void fill(const char *path)
{
    char block[4096] = "";
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    ck_assert_int_ge(fd, 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    close(fd);
}

START_TEST(says_what_a_full_tmp_means)
{
    struct ct_error err;

    if (!try_in_child(hide_tmp))
        return; /* no namespaces here */
    ck_assert(hide_tmp());
    ct_fail(&err, EIO, "it fails");
    rundir_explain(&in_tmp, &err);
    ck_assert_str_eq(err.text, "it fails");

    ck_assert_int_eq(mount(NULL, "/tmp", NULL, MS_REMOUNT, "size=65536"), 0);
    fill("/tmp/all");
    rundir_explain(&in_tmp, &err);
    ck_assert_str_eq(err.text, "/tmp has 0 KiB left: it fails");
    ck_assert_int_eq(err.code, EIO);
    rundir_explain(&in_tmp, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rundir");
    TCase *tcase = tcase_create("rundir");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, two_names_differ);
    tcase_add_test(tcase, what_is_there_is_not_ours);
    tcase_add_test(tcase, removes_all_in_it_and_follows_no_link);
    tcase_add_test(tcase, lies_in_memory_if_there_is_plenty);
    tcase_add_test(tcase, is_seen_where_tmp_is_the_hosts);
    tcase_add_test(tcase, is_seen_where_shm_is_the_hosts);
    tcase_add_test(tcase, says_what_a_full_tmp_means);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
