/*
 * Hosts are made up and no image is looked at: a plan is data. Each row is a
 * request on a host and the whole text of its plan.
 */
#include "container/plan.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST(...) ((char *const[]){__VA_ARGS__, NULL})
#define NONE ((char *const[]){NULL})

#define ACCOUNTS                                                               \
    "append  /etc/passwd 'ann:x:1000:100::/home/ann:/bin/sh'\n"                \
    "append  /etc/group 'users:x:100:'\n"
#define ANN(cwd, env)                                                          \
    {                                                                          \
        1000, 100, "ann", "users", "/home/ann", cwd, env                       \
    }

static const struct host_facts user = ANN("/home/ann/run", NONE);

/* Behind the default mounts, and behind the environment's head. */
static const struct row {
    const char *name;
    struct plan_request request;
    struct host_facts facts;
    const char *mounts;
    const char *workdir;
    const char *passed;
    const char *rest;
} rows[] = {
    {
        "an ordinary user",
        {.image = "/img"},
        ANN("/home/ann/run",
            LIST("HOME=/home/ann", "PATH=/host/bin", "PMI_FD=3", "A=b")),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS,
        "/home/ann/run, else $HOME, else /",
        "env     HOME=/home/ann\n"
        "env     A=b\n",
        "drop    PATH (the image's own, or a default)\n"
        "drop    PMI_FD (another launcher's PMI)\n",
    },
    {
        "root, at home",
        {.image = "/img"},
        {0, 0, "root", "root", "/root", "/root", NONE},
        "bind    /root /root rw,nosuid,nodev, if there\n"
        "append  /etc/passwd 'root:x:0:0::/root:/bin/sh'\n"
        "append  /etc/group 'root:x:0:'\n",
        "/root, else $HOME, else /",
        "",
        "",
    },
    {
        "libraries of PMI",
        {.image = "/img", .pmi_dir = "/opt/ctrun/lib"},
        {77, 78, NULL, NULL, NULL, "/", NONE},
        "append  /etc/passwd 'user:x:77:78::/:/bin/sh'\n"
        "append  /etc/group 'group:x:78:'\n"
        "libpmi  /opt/ctrun/lib, for those that the command is linked with\n",
        "/, else $HOME, else /",
        "",
        "",
    },
    {
        "all libraries of PMI",
        {.image = "/img", .pmi_dir = "/opt/ctrun/lib", .pmi_all = true},
        {77, 78, NULL, NULL, NULL, "/", NONE},
        "append  /etc/passwd 'user:x:77:78::/:/bin/sh'\n"
        "append  /etc/group 'group:x:78:'\n"
        "libpmi  /opt/ctrun/lib, for those of the image\n",
        "/, else $HOME, else /",
        "",
        "",
    },
    {
        "no name is known, no home",
        {.image = "/img"},
        {77, 78, NULL, NULL, NULL, "/work", NONE},
        "bind    /work /work rw,nosuid,nodev, if there\n"
        "append  /etc/passwd 'user:x:77:78::/:/bin/sh'\n"
        "append  /etc/group 'group:x:78:'\n",
        "/work, else $HOME, else /",
        "",
        "",
    },
    {
        "the root directory is no home",
        {.image = "/img"},
        {77, 78, NULL, NULL, "//.", "/", NONE},
        "append  /etc/passwd 'user:x:77:78:://.:/bin/sh'\n"
        "append  /etc/group 'group:x:78:'\n",
        "/, else $HOME, else /",
        "",
        "",
    },
    {
        "a working directory below /tmp is there already",
        {.image = "/img"},
        ANN("/tmp/x", NONE),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS,
        "/tmp/x, else $HOME, else /",
        "",
        "",
    },
    {
        "the image's own directories are not hidden",
        {.image = "/img"},
        ANN("/usr/share/x", NONE),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS,
        "/usr/share/x, else $HOME, else /",
        "",
        "",
    },
    {
        "/home/annex is not below /home/ann",
        {.image = "/img"},
        ANN("/home/annex", NONE),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n"
        "bind    /home/annex /home/annex rw,nosuid,nodev, if there\n" ACCOUNTS,
        "/home/annex, else $HOME, else /",
        "",
        "",
    },
    {
        "--no-home leaves the working directory",
        {.image = "/img", .no_home = true},
        ANN("/home/ann/run", NONE),
        "bind    /home/ann/run /home/ann/run rw,nosuid,nodev, if "
        "there\n" ACCOUNTS,
        "/home/ann/run, else $HOME, else /",
        "",
        "",
    },
    {
        "binds come last, as typed",
        {.image = "/img",
         .binds = LIST("/a", "/b:/c", "/d:/e:ro", "/f:/g:rw", "h:/i")},
        ANN("/home/ann", NONE),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS
        "bind    /a /a rw,nosuid,nodev\n"
        "bind    /b /c rw,nosuid,nodev\n"
        "bind    /d /e ro,nosuid,nodev\n"
        "bind    /f /g rw,nosuid,nodev\n"
        "bind    /home/ann/h /i rw,nosuid,nodev\n",
        "/home/ann, else $HOME, else /",
        "",
        "",
    },
    {
        "targets are paths in the image, sources are the host's to resolve",
        {.image = "/img",
         .binds = LIST("/a/../b", "/c:/d//../../../e/./f/"),
         .scratch = LIST("/s/../t//")},
        {1000, 100, "ann", "users", "/x/../home/ann/", "/home/ann", NONE},
        "bind    /x/../home/ann/ /home/ann rw,nosuid,nodev, if there\n"
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n"
        "append  /etc/passwd 'ann:x:1000:100::/x/../home/ann/:/bin/sh'\n"
        "append  /etc/group 'users:x:100:'\n"
        "bind    /a/../b /b rw,nosuid,nodev\n"
        "bind    /c /e/f rw,nosuid,nodev\n"
        "scratch /t tmpfs,nosuid,nodev, a rank's own\n",
        "/home/ann, else $HOME, else /",
        "",
        "",
    },
    {
        "--scratch, --writable-tmpfs, --pwd, --env",
        {.image = "img",
         .writable_tmpfs = true,
         .pwd = "/data",
         .scratch = LIST("/s", "/home/ann/t"),
         .env = LIST("A=2", "B=3")},
        ANN("/", LIST("A=1")),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS
        "scratch /s tmpfs,nosuid,nodev, a rank's own\n"
        "scratch /home/ann/t tmpfs,nosuid,nodev, a rank's own\n",
        "/data",
        "env     A=1\n",
        "env     A=2\n"
        "env     B=3\n",
    },
    {
        "--cleanenv, and an image that is not named by an absolute path",
        {.image = "../img", .cleanenv = true},
        ANN("/home/ann", LIST("LANG=C", "A=1", "PMI_RANK=0")),
        "bind    /home/ann /home/ann rw,nosuid,nodev, if there\n" ACCOUNTS,
        "/home/ann, else $HOME, else /",
        "env     LANG=C\n",
        "drop    A (--cleanenv)\n"
        "drop    PMI_RANK (another launcher's PMI)\n",
    },
};

static const char defaults[] =
    "bind    /dev /dev rw,nosuid\n"
    "bind    /proc /proc rw,nosuid,nodev\n"
    "bind    /sys /sys rw,nosuid,nodev\n"
    "bind    /tmp /tmp rw,nosuid,nodev, if there\n"
    "bind    /var/tmp /var/tmp rw,nosuid,nodev, if there\n"
    "bind    /etc/hosts /etc/hosts rw,nosuid,nodev, if there\n"
    "bind    /etc/resolv.conf /etc/resolv.conf rw,nosuid,nodev, if there\n"
    "bind    /etc/localtime /etc/localtime rw,nosuid,nodev, if there\n";

static void whole_text(const struct row *row, const char *image, char *ret,
                       size_t room)
{
    snprintf(ret, room,
             "image   directory %s\n"
             "root    %s,nosuid,nodev\n"
             "%s%s"
             "workdir %s\n"
             "%s"
             "env     PATH="
             "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
             "env     CTRUN_IMAGE=%s\n"
             "env     ... then what /.singularity.d/env/*.sh of the image set\n"
             "%s",
             image,
             row->request.writable_tmpfs ? "image under a tmpfs overlay,rw"
                                         : "image,ro",
             defaults, row->mounts, row->workdir, row->passed, image,
             row->rest);
}

static void check_text(const struct plan *plan, const char *expected)
{
    struct strv lines = {0};
    char text[8192] = "";

    ck_assert_int_eq(plan_describe(plan, &lines), 0);
    for (size_t i = 0; i < lines.count; i++) {
        strncat(text, lines.items[i], sizeof text - strlen(text) - 2);
        strcat(text, "\n");
    }
    ck_assert_str_eq(text, expected);
    strv_clear(&lines);
}

START_TEST(whole_plans)
{
    const struct row *row = &rows[_i];
    struct image image = {.kind = IMAGE_DIRECTORY, .fd = -1};
    char expected[8192];
    struct plan plan;
    struct ct_error err;

    ck_assert_msg(plan_make(&row->request, &row->facts, &image, &plan, &err) ==
                      0,
                  "%s: %s", row->name, err.text);
    whole_text(row, plan.image_path, expected, sizeof expected);
    check_text(&plan, expected);
    plan_clear(&plan);
}
END_TEST

static const struct {
    const char *typed, *cwd, *path;
} image_paths[] = {
    {"/a.sif", "/home", "/a.sif"},
    {"a.sif", "/home", "/home/a.sif"},
    {"a.sif", "/", "/a.sif"},
    {"../a", "/home/b", "/home/b/../a"},
};

START_TEST(image_paths_are_absolute)
{
    struct image image = {.kind = IMAGE_DIRECTORY, .fd = -1};
    struct plan_request request = {.image = image_paths[_i].typed};
    struct host_facts facts = ANN(image_paths[_i].cwd, NONE);
    struct plan plan;

    ck_assert_int_eq(plan_make(&request, &facts, &image, &plan, NULL), 0);
    ck_assert_str_eq(plan.image_path, image_paths[_i].path);
    plan_clear(&plan);
}
END_TEST

START_TEST(image_files_tell_where_their_file_system_is)
{
    struct image image = {.kind = IMAGE_SIF,
                          .fd = -1,
                          .offset = 40960,
                          .size = 12345,
                          .compressor = "zstd"};
    struct plan_request request = {.image = "a.sif"};
    struct strv lines = {0};
    struct plan plan;

    ck_assert_int_eq(plan_make(&request, &user, &image, &plan, NULL), 0);
    ck_assert_int_eq(plan_describe(&plan, &lines), 0);
    ck_assert_str_eq(lines.items[0], "image   sif /home/ann/run/a.sif");
    ck_assert_str_eq(lines.items[1], "squash  zstd, offset 40960, 12345 bytes");
    strv_clear(&lines);
    plan_clear(&plan);
}
END_TEST

START_TEST(only_dev_has_devices)
{
    struct image image = {.kind = IMAGE_DIRECTORY, .fd = -1};
    struct plan_request request = {.image = "/i", .binds = LIST("/dev:/dev2")};
    struct plan plan;

    ck_assert_int_eq(plan_make(&request, &user, &image, &plan, NULL), 0);
    for (size_t i = 0; i < plan.mount_count; i++)
        ck_assert(plan.mounts[i].devices ==
                  (strcmp(plan.mounts[i].target, "/dev") == 0));
    plan_clear(&plan);
}
END_TEST

static const struct {
    struct plan_request request;
    bool keeps;
} keeping_names[] = {
    {{.image = "/img", .binds = LIST("/a", "/b:/c:ro")}, true},
    {{.image = "/img", .binds = LIST("/b:/c")}, false},
    {{.image = "/img", .scratch = LIST("/s")}, false},
    {{.image = "/img", .writable_tmpfs = true}, false},
};

START_TEST(names_may_mean_the_hosts_files)
{
    const struct host_facts facts = ANN("/work", NONE);
    struct image image = {.fd = -1};
    struct plan plan;

    ck_assert_int_eq(
        plan_make(&keeping_names[_i].request, &facts, &image, &plan, NULL), 0);
    ck_assert(plan_keeps_names(&plan) == keeping_names[_i].keeps);
    plan_clear(&plan);
}
END_TEST

START_TEST(no_container)
{
    const struct plan_request request = {.image = "/none",
                                         .binds = LIST("/a"),
                                         .scratch = LIST("/s"),
                                         .env = LIST("B=2"),
                                         .pmi_dir = "/opt/ctrun/lib",
                                         .pmi_all = true,
                                         .cleanenv = false};
    const struct host_facts facts = {
        .uid = 1000,
        .gid = 100,
        .home = "/home/ann",
        .cwd = "/work",
        .env = LIST("PATH=/bin", "LD_LIBRARY_PATH=/lib", "PMIX_RANK=0")};
    struct plan plan;

    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    ck_assert_ptr_null(plan.image_path);
    check_text(&plan, "image   none\n"
                      "workdir /work, else $HOME, else /\n"
                      "env     PATH=/bin\n"
                      "env     LD_LIBRARY_PATH=/lib\n"
                      "env     B=2\n"
                      "drop    PMIX_RANK (another launcher's PMIx)\n");
    plan_clear(&plan);
}
END_TEST

START_TEST(no_container_with_pwd)
{
    const struct plan_request request = {.pwd = "/data", .cleanenv = true};
    const struct host_facts facts = {.cwd = "/work",
                                     .env = LIST("A=1", "TZ=UTC", "PATH=/bin")};
    struct plan plan;

    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    ck_assert_ptr_null(plan.home);
    check_text(&plan, "image   none\n"
                      "workdir /data\n"
                      "env     TZ=UTC\n"
                      "env     PATH=/bin\n"
                      "drop    A (--cleanenv)\n");
    plan_clear(&plan);
}
END_TEST

START_TEST(pwd_is_a_variable_too)
{
    const struct plan_request request = {.pwd = "/data"};
    const struct host_facts facts = {.cwd = "/work",
                                     .env = LIST("PWD=/work", "A=1")};
    struct plan plan;

    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    ck_assert_str_eq(strv_env_get(&plan.env, "PWD"), "/data");
    ck_assert_uint_eq(plan.env.count, 2);
    plan_clear(&plan);
}
END_TEST

START_TEST(no_working_directory)
{
    const struct plan_request request = {.pwd = NULL};
    struct host_facts facts = {.home = "/home/ann", .env = LIST("A=1")};
    struct plan plan;

    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    ck_assert_str_eq(plan.workdir, "/home/ann");
    plan_clear(&plan);
    facts.home = NULL;
    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    ck_assert_str_eq(plan.workdir, "/");
    plan_clear(&plan);
}
END_TEST

static const struct mount *last_mount(const struct plan *plan)
{
    return &plan->mounts[plan->mount_count - 1];
}

START_TEST(binds_with_colons_and_commas)
{
    const struct plan_request request = {
        .image = "/i", .binds = LIST("/a\\:b\\,c\\d\\:/e\\::/f\\:g:ro")};
    const struct host_facts facts = {.cwd = "/", .env = LIST(NULL)};
    struct image image = {.fd = -1};
    struct plan plan;

    ck_assert_int_eq(plan_make(&request, &facts, &image, &plan, NULL), 0);
    ck_assert_str_eq(last_mount(&plan)->source, "/a:b,c\\d:/e:");
    ck_assert_str_eq(last_mount(&plan)->target, "/f:g");
    ck_assert(last_mount(&plan)->readonly);
    plan_clear(&plan);
}
END_TEST

static const struct {
    const char *bind, *scratch, *message;
} refused[] = {
#define BAD(bind)                                                              \
    {                                                                          \
        bind, NULL,                                                            \
            "--bind takes SRC[:DST[:ro|rw]] with an absolute DST, not '" bind  \
            "'"                                                                \
    }
    BAD(""),
    BAD(":"),
    BAD(":/a"),
    BAD("/a:b"),
    BAD("/a:"),
    BAD("/a::ro"),
    BAD("/a:/b:"),
    BAD("/a:/b:rx"),
    BAD("/a:/b:ro:"),
    BAD("/a:/b:ro:x"),
#undef BAD
    {"/a:/", NULL, "--bind /a:/: that is where the image is"},
    {"/a:/b/../..", NULL, "--bind /a:/b/../..: that is where the image is"},
    {"/", NULL, "--bind /: that is where the image is"},
    {NULL, "s", "--scratch takes an absolute path, not 's'"},
    {NULL, "", "--scratch takes an absolute path, not ''"},
    {NULL, "/", "--scratch /: that is where the image is"},
    {NULL, "//.", "--scratch //.: that is where the image is"},
};

START_TEST(refusals_change_nothing)
{
    char *bind[] = {(char *)refused[_i].bind, NULL};
    char *scratch[] = {(char *)refused[_i].scratch, NULL};
    struct plan_request request = {
        .image = "/i", .binds = bind, .scratch = scratch};
    struct image image = {.kind = IMAGE_DIRECTORY,
                          .fd = open("/", O_PATH | O_CLOEXEC)};
    struct plan plan = {.home = "untouched"};
    struct ct_error err = {0};

    ck_assert_int_ge(image.fd, 0);
    ck_assert_int_eq(plan_make(&request, &user, &image, &plan, &err), -1);
    ck_assert_str_eq(err.text, refused[_i].message);
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert_str_eq(plan.home, "untouched");
    ck_assert_int_ge(fcntl(image.fd, F_GETFD), 0);
    close(image.fd);
}
END_TEST

START_TEST(plan_takes_the_image)
{
    int fd = open("/", O_PATH | O_CLOEXEC);
    struct image image = {.kind = IMAGE_DIRECTORY, .fd = fd};
    struct plan_request request = {.image = "/i"};
    struct plan plan;

    ck_assert_int_eq(plan_make(&request, &user, &image, &plan, NULL), 0);
    ck_assert_int_eq(image.fd, -1);
    ck_assert_int_eq(plan.image.fd, fd);
    plan_clear(&plan);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    ck_assert_int_eq(plan.image.fd, -1);
    plan_clear(&plan); /* twice is fine */
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, whole_plans, 0, COUNT(rows));
    tcase_add_loop_test(tc, image_paths_are_absolute, 0, COUNT(image_paths));
    tcase_add_test(tc, image_files_tell_where_their_file_system_is);
    tcase_add_test(tc, only_dev_has_devices);
    tcase_add_loop_test(tc, names_may_mean_the_hosts_files, 0,
                        COUNT(keeping_names));
    tcase_add_test(tc, no_container);
    tcase_add_test(tc, no_container_with_pwd);
    tcase_add_test(tc, pwd_is_a_variable_too);
    tcase_add_test(tc, no_working_directory);
    tcase_add_test(tc, binds_with_colons_and_commas);
    tcase_add_loop_test(tc, refusals_change_nothing, 0, COUNT(refused));
    tcase_add_test(tc, plan_takes_the_image);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
