/* The process that serves an image file: what it has, and what ends it. */
#include "container/sweep.h"
#include "tests/unit/zygote.h"

#include <dirent.h>

static struct plan plan;

static void set_up(void)
{
    make_image();
    make_dir("image/empty");
    ck_assert_int_eq(symlink("marker", "image/link"), 0);
    ck_assert_int_eq(system("seq 500000 > image/large"), 0);
    ck_assert_int_eq(
        system("mksquashfs image image.sqfs -quiet -no-progress > log 2>&1"),
        0);
    plan = image_plan((struct plan_request){.image = "image.sqfs"});
}

static void tear_down(void)
{
    plan_clear(&plan);
    remove_top();
}

static void read_file(const char *path, char *ret, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    ck_assert_int_ge(fd, 0);
    len = read(fd, ret, room - 1);
    ret[len > 0 ? len : 0] = '\0';
    close(fd);
}

/* The only one among our descendants that has that name. */
static pid_t pid_of_server(void)
{
    char path[40], name[40];
    pid_t pids[64], found = 0;
    size_t count = sweep_list(pids, 64, 0);

    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pids[i]);
        read_file(path, name, sizeof name);
        if (strcmp(name, "ctrun-fuse\n") == 0) {
            ck_assert_int_eq(found, 0);
            found = pids[i];
        }
    }
    ck_assert_int_ne(found, 0);
    return found;
}

START_TEST(image_is_served)
{
    struct zygote *z = start_zygote(&plan, 1);

    check_script(z, 0,
                 "cat /marker /link; ls -A /empty; [ -e /none ] || echo none",
                 "here\nhere\nnone\n");
    end_zygote(z);
}
END_TEST

/* Many blocks, and the last one is not whole. */
START_TEST(large_files_are_whole)
{
    struct zygote *z = start_zygote(&plan, 1);

    check_script(z, 0, "seq 500000 | cmp - /large && tail -c 14 /large",
                 "499999\n500000\n");
    end_zygote(z);
}
END_TEST

START_TEST(files_cannot_be_written)
{
    struct zygote *z = start_zygote(&plan, 1);

    check_script(z, 0, "{ echo > /marker; } 2> /dev/null || echo no", "no\n");
    check_script(z, 0, "{ echo > /new; } 2> /dev/null || echo no", "no\n");
    end_zygote(z);
}
END_TEST

START_TEST(server_has_no_privilege)
{
    struct zygote *z = start_zygote(&plan, 1);
    char path[40], status[4096];

    prepare(z, 1, 0, "true");
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid_of_server());
    read_file(path, status, sizeof status);
    ck_assert_ptr_nonnull(strstr(status, "\nCapPrm:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(status, "\nCapEff:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(status, "\nCapBnd:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(status, "\nNoNewPrivs:\t1\n"));
    end_zygote(z);
}
END_TEST

/* libfuse makes pipes for itself. */
static bool is_of_server(const char *target)
{
    return strstr(target, "/fuse") != NULL ||
           strstr(target, "/image.sqfs") != NULL ||
           strncmp(target, "pipe:", 5) == 0;
}

/* Of the zygote's: its socket, its namespaces, sources of mounts. */
START_TEST(server_has_no_descriptors_of_others)
{
    struct zygote *z = start_zygote(&plan, 1);
    char path[40], target[200];
    struct dirent *entry;
    DIR *dir;

    prepare(z, 1, 0, "true");
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid_of_server());
    dir = opendir(path); /* its user may not, but root may */
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        ssize_t len =
            readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        ck_assert_msg(atoi(entry->d_name) <= 2 || is_of_server(target),
                      "%s is %s", entry->d_name, target);
    }
    if (dir != NULL)
        closedir(dir);
    end_zygote(z);
}
END_TEST

/* They have the same user, and might else take its descriptors. */
START_TEST(ranks_may_not_look_into_the_server)
{
    struct zygote *z = start_zygote(&plan, 1);
    char script[100];

    prepare(z, 1, 0, "true");
    snprintf(script, sizeof script, "readlink /proc/%d/fd/0 || echo no",
             (int)pid_of_server());
    check_script(z, 0, script, "no\n");
    end_zygote(z);
}
END_TEST

START_TEST(server_is_deaf_to_what_ends_ranks)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct zygote *z = start_zygote(&plan, 1);
    pid_t server;

    prepare(z, 1, 0, "true");
    server = pid_of_server();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(kill(server, signals[i]), 0);
    check_script(z, 0, "cat /marker", "here\n");
    end_zygote(z);
}
END_TEST

START_TEST(loss_of_the_server_is_told)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct zygote_event event;

    prepare(z, 1, 0, "true");
    kill(pid_of_server(), SIGKILL);
    event = expect(z, ZYGOTE_LOST, 0);
    ck_assert_ptr_nonnull(strstr(event.text, "serves the image"));
    end_zygote(z);
}
END_TEST

START_TEST(server_ends_with_a_killed_zygote)
{
    struct zygote *z = start_zygote(&plan, 1);
    char text[40];
    pid_t server;

    run_script(z, 0, "echo $PPID", 0, text, sizeof text);
    server = pid_of_server();
    kill((pid_t)atoi(text), SIGKILL);
    expect(z, ZYGOTE_GONE, 0);
    end_zygote(z);
    ck_assert_int_eq(kill(server, 0), -1);
}
END_TEST

/* Its tables lie at the end. */
START_TEST(broken_images_are_refused)
{
    struct zygote *z;
    struct stat st;
    int fd = open("image.sqfs", O_RDWR | O_CLOEXEC);

    ck_assert_int_eq(fstat(fd, &st), 0);
    for (off_t at = 96; at < st.st_size; at++)
        ck_assert_int_eq(pwrite(fd, "\xff", 1, at), 1);
    close(fd);
    z = start_zygote(&plan, 1);
    ask_to_prepare(z, 1, 0, "sh", "");
    expect(z, ZYGOTE_PREPARE_FAILED, 1);
    end_zygote(z);
}
END_TEST

static TCase *make_case(void)
{
    TCase *tc = tcase_create("fuse");

    tcase_set_timeout(tc, TIMEOUT);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, image_is_served);
    tcase_add_test(tc, large_files_are_whole);
    tcase_add_test(tc, files_cannot_be_written);
    tcase_add_test(tc, server_has_no_privilege);
    tcase_add_test(tc, server_has_no_descriptors_of_others);
    tcase_add_test(tc, ranks_may_not_look_into_the_server);
    tcase_add_test(tc, server_is_deaf_to_what_ends_ranks);
    tcase_add_test(tc, loss_of_the_server_is_told);
    tcase_add_test(tc, server_ends_with_a_killed_zygote);
    tcase_add_test(tc, broken_images_are_refused);
    return tc;
}

static const char *what_lacks(void)
{
    if (!try_in_child(can_contain))
        return "no user namespaces with mounts here";
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        return "no /dev/fuse here";
    if (system("mksquashfs -version > /dev/null 2>&1") != 0)
        return "no mksquashfs here";
    return NULL;
}

int main(void)
{
    Suite *suite = suite_create("fuse");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, make_case());
    if (what_lacks() != NULL) {
        printf("skipped: %s\n", what_lacks());
        srunner_free(runner);
        return 77;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
