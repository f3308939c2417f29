/*
 * What a container holds, seen from within: the image is a directory, ranks are
 * shell scripts that look around.
 */
#include "container/template.h"
#include "tests/unit/zygote.h"

#include <linux/capability.h>
#include <sys/syscall.h>

static struct plan plans[2];

static void set_up(void)
{
    own_dir = NULL;
    make_image();
}

static void tear_down(void)
{
    plan_clear(&plans[0]);
    plan_clear(&plans[1]);
    remove_top();
}

static struct zygote *start(struct plan_request request)
{
    plans[0] = image_plan(request);
    return start_zygote(plans, 1);
}

/* A script in a container like that, to its end. */
static void check(struct plan_request request, const char *script,
                  const char *expected)
{
    struct zygote *z = start(request);

    check_script(z, 0, script, expected);
    end_zygote(z);
}

static const struct plan_request plain;

/* ---- namespaces, privileges, descriptors ---- */

static void read_link(pid_t pid, const char *name, char *ret, size_t room)
{
    char path[60];
    ssize_t len;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    len = readlink(path, ret, room - 1);
    ck_assert_int_gt(len, 0);
    ret[len] = '\0';
}

START_TEST(ranks_share_all_but_mounts)
{
    struct zygote *z = start(plain);
    char ours[60], first[60], second[60];
    pid_t a, b;

    prepare(z, 1, 0, "sleep 1000");
    a = start_rank(z, 1, 1, NULL);
    b = start_rank(z, 2, 1, NULL);
    read_link(getpid(), "pid", ours, sizeof ours);
    read_link(a, "pid", first, sizeof first);
    ck_assert_str_eq(first, ours);
    read_link(getpid(), "user", ours, sizeof ours);
    read_link(a, "user", first, sizeof first);
    read_link(b, "user", second, sizeof second);
    ck_assert_str_ne(first, ours);
    ck_assert_str_eq(first, second);
    read_link(getpid(), "mnt", ours, sizeof ours);
    read_link(a, "mnt", first, sizeof first);
    read_link(b, "mnt", second, sizeof second);
    ck_assert_str_ne(first, ours);
    ck_assert_str_ne(first, second);
    end_zygote(z);
}
END_TEST

START_TEST(ranks_have_no_privilege)
{
    check(plain,
          "while read name value; do case $name in\n"
          "Cap???:|NoNewPrivs:) echo $name $value;; esac; done"
          " < /proc/self/status",
          "CapInh: 0000000000000000\nCapPrm: 0000000000000000\n"
          "CapEff: 0000000000000000\nCapBnd: 0000000000000000\n"
          "CapAmb: 0000000000000000\nNoNewPrivs: 1\n");
}
END_TEST

START_TEST(ids_are_the_callers)
{
    char expected[60];

    snprintf(expected, sizeof expected, "%u %u\n", (unsigned)geteuid(),
             (unsigned)getegid());
    check(plain, "echo $(id -u) $(id -g)", expected);
}
END_TEST

static const unsigned lost_capabilities[] = {CAP_SETUID, CAP_SETGID};

static void lose_capability(unsigned number)
{
    struct __user_cap_header_struct head = {.version =
                                                _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    ck_assert_int_eq((int)syscall(SYS_capget, &head, data), 0);
    data[0].effective &= ~(1U << number);
    data[0].permitted &= ~(1U << number);
    ck_assert_int_eq((int)syscall(SYS_capset, &head, data), 0);
}

/* As in containers of others: what cannot be mapped whole is mapped in part. */
START_TEST(root_may_lack_power_over_ids)
{
    lose_capability(lost_capabilities[_i]);
    check(plain, "cat /marker", "here\n");
}
END_TEST

START_TEST(ranks_have_their_descriptors_alone)
{
    int open_fds[8];

    for (int i = 0; i < 8; i++)
        ck_assert_int_ge(open_fds[i] = dup(STDERR_FILENO), 0);
    check(plain,
          "for f in /proc/$$/fd/*; do\n"
          "[ ! -e $f ] || echo ${f##*/}; done",
          "0\n1\n2\n");
    for (int i = 0; i < 8; i++)
        close(open_fds[i]);
}
END_TEST

/* ---- the root ---- */

START_TEST(image_is_the_root)
{
    struct zygote *z = start(plain);
    struct zygote_event event = prepare(z, 1, 0, "exit");
    char text[1000];

    ck_assert_str_eq(unpack_str(&event.details), "/usr/bin/sh");
    ck_assert_ptr_null(unpack_str(&event.details));
    ck_assert_uint_eq(unpack_u32(&event.details), 1); /* saw the marker */
    check_script(z, 0, "cat /marker /../../marker; readlink /proc/self/root",
                 "here\nhere\n/\n");
    run_script(z, 0, "grep -c ' /[^ ]*/image/' /proc/self/mountinfo", 1 << 8,
               text, sizeof text);
    end_zygote(z);
}
END_TEST

START_TEST(image_cannot_be_changed)
{
    struct stat st;

    check(plain,
          "for f in /x /marker /etc/x; do { echo > $f; } 2> /dev/null ||\n"
          "echo no $f; done",
          "no /x\nno /marker\nno /etc/x\n");
    ck_assert_int_eq(stat("image/x", &st), -1);
    ck_assert_int_eq(stat("image/marker", &st), 0);
    ck_assert_int_eq(st.st_size, 5);
}
END_TEST

/* It is then the root itself, without an overlay. */
START_TEST(image_that_lacks_no_target)
{
    static const char *const dirs[] = {"dev", "proc", "sys",
                                       "tmp", "var",  "var/tmp"};
    static const char *const files[] = {"hosts", "resolv.conf", "localtime",
                                        "group"};
    char path[60];

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "image/%s", dirs[i]);
        make_dir(path);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "image/etc/%s", files[i]);
        make_file(path, 0644, "");
    }
    check(plain,
          "grep -c '^overlay ' /proc/self/mounts\n"
          "cat /marker; { echo > /x; } 2> /dev/null || echo read-only",
          "0\nhere\nread-only\n");
    ck_assert_int_eq(access("image/x", F_OK), -1);
}
END_TEST

START_TEST(writable_tmpfs_is_written_instead)
{
    struct zygote *z = start((struct plan_request){.writable_tmpfs = true});
    char text[100];

    run_script(z, 0, "{ echo new > /x; } 2>&1", 0, text, sizeof text);
    check_script(z, 0, "echo longer than before > /marker; cat /x /marker",
                 "new\nlonger than before\n");
    end_zygote(z);
    ck_assert_int_eq(access("image/x", F_OK), -1);
}
END_TEST

/* ---- what is mounted where ---- */

START_TEST(missing_targets_are_made_for_the_container_alone)
{
    char bind[100], *binds[] = {bind, "/etc/hosts:/a/b/hosts", NULL};

    make_dir("data");
    make_file("data/file", 0644, "data\n");
    snprintf(bind, sizeof bind, "%s/data:/new/place", top);
    check((struct plan_request){.binds = binds},
          "cat /new/place/file; [ -f /a/b/hosts ] && echo file; cat /marker\n"
          "echo more >> /new/place/file",
          "data\nfile\nhere\n");
    ck_assert_int_eq(access("image/new", F_OK), -1);
    ck_assert_int_eq(access("image/a", F_OK), -1);
    ck_assert_int_eq(access("image/proc", F_OK), -1);
}
END_TEST

START_TEST(flags_of_mounts)
{
    char bind[100], *binds[] = {bind, NULL};

    make_dir("data");
    snprintf(bind, sizeof bind, "%s/data:/data:ro", top);
    check((struct plan_request){.binds = binds},
          "{ echo > /data/x; } 2> /dev/null || echo read-only\n"
          "while read a b c d mount flags rest; do case $mount in\n"
          "/data|/proc|/dev|/) echo $mount $flags;; esac;\n"
          "done < /proc/self/mountinfo | sed 's/,relatime//' | sort -u |\n"
          "grep -v 'nosuid'; echo all nosuid",
          "read-only\nall nosuid\n");
}
END_TEST

/* In the image, a link that leads out of it and one that leads nowhere. */
START_TEST(links_of_the_image_stay_inside)
{
    char bind[3][100], *binds[] = {bind[0], bind[1], bind[2], NULL};

    make_dir("data");
    make_dir("outside");
    make_file("data/file", 0644, "data\n");
    ck_assert_int_eq(symlink("../../outside", "image/up"), 0);
    ck_assert_int_eq(symlink(top, "image/absolute"), 0);
    ck_assert_int_eq(symlink("/nowhere", "image/dangling"), 0);
    snprintf(bind[0], sizeof bind[0], "%s/data:/up/x", top);
    snprintf(bind[1], sizeof bind[1], "%s/data:/absolute.x/y", top);
    snprintf(bind[2], sizeof bind[2], "%s/data:/dangling/z", top);
    check((struct plan_request){.binds = binds},
          "cat /up/x/file /absolute.x/y/file /dangling/z/file",
          "data\ndata\ndata\n");
    ck_assert_int_eq(rmdir("outside"), 0); /* nothing was made there */
}
END_TEST

/* What lacks is made in the image: not beside it, which is the host. */
START_TEST(targets_above_the_root_are_inside)
{
    char away[] = "/var/tmp/test_template.XXXXXX";
    char bind[100], *binds[] = {bind, NULL}, made[60];
    struct zygote *z;

    ck_assert_ptr_nonnull(mkdtemp(away));
    snprintf(made, sizeof made, "%s/made", away);
    snprintf(bind, sizeof bind, "/etc:/none/../../../../..%s", made);
    z = start((struct plan_request){.binds = binds});
    ask_to_prepare(z, 1, 0, "sh", "");
    ck_assert_int_eq(expect(z, ZYGOTE_PREPARE_FAILED, 1).code, ECANCELED);
    end_zygote(z);
    ck_assert_int_eq(access(made, F_OK), -1);
    ck_assert_int_eq(rmdir(away), 0);
}
END_TEST

START_TEST(sources_that_are_not_there)
{
    char *binds[] = {"/no/such/source:/x", NULL};
    struct zygote *z = start((struct plan_request){.binds = binds});

    check_prepare_fails(z, 0, ECANCELED,
                        "cannot bind /no/such/source: "
                        "No such file or directory");
    end_zygote(z);
}
END_TEST

START_TEST(what_is_optional_may_lack)
{
    struct mount *m;
    struct zygote *z;

    plans[0] = image_plan(plain);
    m = &plans[0].mounts[4]; /* /var/tmp */
    ck_assert(m->optional);
    free(m->source);
    m->source = strdup("/no/such/source");
    z = start_zygote(plans, 1);
    check_script(z, 0, "[ -e /var/tmp ] || echo none; cat /marker",
                 "none\nhere\n");
    end_zygote(z);
}
END_TEST

/* Mounts in the order of the plan: one may lie in another. */
START_TEST(later_mounts_lie_in_earlier_ones)
{
    char bind[2][100], *binds[] = {bind[0], bind[1], NULL};

    make_dir("outer");
    make_dir("outer/inner");
    make_dir("other");
    make_file("other/file", 0644, "other\n");
    snprintf(bind[0], sizeof bind[0], "%s/outer:/o", top);
    snprintf(bind[1], sizeof bind[1], "%s/other:/o/inner", top);
    check((struct plan_request){.binds = binds}, "cat /o/inner/file",
          "other\n");
}
END_TEST

START_TEST(scratch_is_each_ranks_own)
{
    static char *const dirs[] = {"/s", NULL};
    struct zygote *z = start((struct plan_request){.scratch = dirs});

    check_script(z, 0, "ls -A /s; echo 1 > /s/x; cat /s/x", "1\n");
    check_script(z, 0, "ls -A /s; echo 2 > /s/x; cat /s/x", "2\n");
    end_zygote(z);
}
END_TEST

/* The host mounts nothing in us, and we nothing on the host. */
START_TEST(accounts_are_known)
{
    char expected[200];
    unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();

    if (uid == 0)
        snprintf(expected, sizeof expected,
                 "root:x:0:0:root:/root:/bin/sh\nsome:x:%u:\n", gid);
    else
        snprintf(expected, sizeof expected,
                 "root:x:0:0:root:/root:/bin/sh\n"
                 "somebody:x:%u:%u::/:/bin/sh\nsome:x:%u:\n",
                 uid, gid, gid);
    check(plain, "cat /etc/passwd /etc/group", expected);
    ck_assert_int_eq(access("image/etc/group", F_OK), -1);
}
END_TEST

START_TEST(image_that_was_replaced)
{
    char text[200];
    struct zygote *z;

    plans[0] = image_plan(plain);
    ck_assert_int_eq(rename("image", "moved"), 0);
    make_dir("image");
    z = start_zygote(plans, 1);
    snprintf(text, sizeof text, "the image %s has been replaced", image_dir);
    check_prepare_fails(z, 0, ESTALE, text);
    end_zygote(z);
}
END_TEST

/* ---- several plans ---- */

/* A file cannot be mounted on a directory: it fails when all else is done. */
START_TEST(a_broken_plan_does_not_touch_others)
{
    char bind[100], *binds[] = {bind, NULL}, script[100];
    struct zygote *z;

    snprintf(bind, sizeof bind, "%s/image/marker:/etc", top);
    plans[0] = image_plan((struct plan_request){.binds = binds});
    plans[1] = bare_plan();
    z = start_zygote(plans, 2);
    ask_to_prepare(z, 1, 0, "sh", "");
    ck_assert_int_eq(expect(z, ZYGOTE_PREPARE_FAILED, 1).code, ENOTDIR);
    snprintf(script, sizeof script, "cat %s/image/marker", top);
    check_script(z, 1, script, "here\n");
    end_zygote(z);
}
END_TEST

START_TEST(plans_side_by_side)
{
    struct zygote *z;

    plans[0] = image_plan(plain);
    plans[1] = bare_plan();
    z = start_zygote(plans, 2);
    check_script(z, 1, "[ -e /marker ] || echo host", "host\n");
    check_script(z, 0, "cat /marker", "here\n");
    check_script(z, 1, "[ -e /marker ] || echo host", "host\n");
    check_script(z, 0, "cat /marker", "here\n");
    end_zygote(z);
}
END_TEST

/* ---- afterwards ---- */

START_TEST(nothing_outlives_a_killed_zygote)
{
    struct zygote *z = start(plain);
    struct output output = make_output();
    char text[100];
    pid_t rank;

    prepare(z, 1, 0, "setsid sleep 1000 & echo $PPID; wait");
    rank = start_rank(z, 1, 1, &output);
    ck_assert_int_gt(read(output.read_end, text, sizeof text - 1), 0);
    kill((pid_t)atoi(text), SIGKILL);
    expect(z, ZYGOTE_GONE, 0);
    end_zygote(z);
    ck_assert_int_eq(kill(rank, 0), -1);
    read_output(&output, text, sizeof text);
}
END_TEST

/* ---- libraries of the host in the place of the image's ---- */

static struct plan_request with_libraries(void)
{
    static char dir[100];

    make_dir("libs");
    make_file("libs/libpmi.so.0", 0644, "host's\n");
    make_file("libs/libpmi2.so.0", 0644, "host's 2\n");
    make_dir("image/opt");
    make_dir("image/opt/sub");
    make_file("image/opt/libpmi.so.0", 0644, "image's\n");
    make_file("image/opt/sub/libpmi2.so.0", 0644, "image's 2\n");
    snprintf(dir, sizeof dir, "%s/libs", top);
    return (struct plan_request){.pmi_dir = dir, .pmi_all = true};
}

#define SHOW "cat /opt/libpmi.so.0 /opt/sub/libpmi2.so.0"

/* In the container alone, and nobody can write there. */
START_TEST(libraries_are_covered)
{
    char text[20];
    int fd;

    check(with_libraries(),
          SHOW "; (echo x > /opt/libpmi.so.0) 2> /dev/null || echo no",
          "host's\nhost's 2\nno\n");
    fd = open("image/opt/libpmi.so.0", O_RDONLY);
    ck_assert_int_eq(read(fd, text, sizeof text), 8);
    ck_assert_int_eq(memcmp(text, "image's\n", 8), 0);
    close(fd);
}
END_TEST

START_TEST(libraries_are_covered_in_a_layer_too)
{
    struct plan_request request = with_libraries();

    request.writable_tmpfs = true;
    check(request, SHOW, "host's\nhost's 2\n");
}
END_TEST

START_TEST(libraries_that_are_not_to_be_covered)
{
    struct plan_request request = with_libraries();

    if (_i == 0)
        request.pmi_dir = NULL;
    else
        request.pmi_all = false; /* and the command needs none */
    check(request, SHOW, "image's\nimage's 2\n");
}
END_TEST

/* An old ld.so.cache may name what is there no longer. */
START_TEST(libraries_that_are_not_there)
{
    struct plan_request request = with_libraries();

    ck_assert_int_eq(unlink("image/opt/libpmi.so.0"), 0);
    check(request, "cat /opt/sub/libpmi2.so.0; ls /opt", "host's 2\nsub\n");
}
END_TEST

/* The file is covered that the image means, by all of its names. */
START_TEST(libraries_behind_links)
{
    struct plan_request request = with_libraries();

    ck_assert_int_eq(rename("image/opt/libpmi.so.0", "image/opt/real"), 0);
    ck_assert_int_eq(symlink("/opt/real", "image/opt/libpmi.so.0"), 0);
    check(request, SHOW " /opt/real", "host's\nhost's 2\nhost's\n");
}
END_TEST

START_TEST(libraries_that_the_host_lacks)
{
    struct plan_request request = with_libraries();
    struct zygote_event event;
    struct zygote *z;

    ck_assert_int_eq(unlink("libs/libpmi2.so.0"), 0);
    z = start(request);
    ask_to_prepare(z, 1, 0, "sh", "true");
    event = expect(z, ZYGOTE_PREPARE_FAILED, 1);
    ck_assert_int_ne(event.code, ENOENT); /* that would be the command's */
    ck_assert_ptr_nonnull(strstr(event.text, "/libpmi2.so.0"));
    end_zygote(z);
}
END_TEST

/* Commands of one container, and one of another; the zygote is not lost. */
START_TEST(libraries_are_covered_once)
{
    struct plan_request request = with_libraries();
    struct zygote *z;

    plans[0] = image_plan(request);
    request.pmi_dir = NULL;
    plans[1] = image_plan(request);
    z = start_zygote(plans, 2);
    prepare(z, 1, 0, "true");
    prepare(z, 2, 1, "true");
    prepare(z, 3, 0, "true");
    check_script(z, 0, SHOW "; grep -c ' /opt/libpmi.so.0 ' /proc/$$/mountinfo",
                 "host's\nhost's 2\n1\n");
    check_script(z, 1, SHOW, "image's\nimage's 2\n");
    end_zygote(z);
}
END_TEST

static TCase *make_case(void)
{
    TCase *tc = tcase_create("template");

    tcase_set_timeout(tc, TIMEOUT);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, ranks_share_all_but_mounts);
    tcase_add_test(tc, ranks_have_no_privilege);
    tcase_add_test(tc, ids_are_the_callers);
    tcase_add_loop_test(tc, root_may_lack_power_over_ids, 0, 2);
    tcase_add_test(tc, ranks_have_their_descriptors_alone);
    tcase_add_test(tc, image_is_the_root);
    tcase_add_test(tc, image_cannot_be_changed);
    tcase_add_test(tc, image_that_lacks_no_target);
    tcase_add_test(tc, writable_tmpfs_is_written_instead);
    tcase_add_test(tc, missing_targets_are_made_for_the_container_alone);
    tcase_add_test(tc, flags_of_mounts);
    tcase_add_test(tc, links_of_the_image_stay_inside);
    tcase_add_test(tc, targets_above_the_root_are_inside);
    tcase_add_test(tc, sources_that_are_not_there);
    tcase_add_test(tc, what_is_optional_may_lack);
    tcase_add_test(tc, later_mounts_lie_in_earlier_ones);
    tcase_add_test(tc, scratch_is_each_ranks_own);
    tcase_add_test(tc, accounts_are_known);
    tcase_add_test(tc, image_that_was_replaced);
    tcase_add_test(tc, a_broken_plan_does_not_touch_others);
    tcase_add_test(tc, plans_side_by_side);
    tcase_add_test(tc, nothing_outlives_a_killed_zygote);
    tcase_add_test(tc, libraries_are_covered);
    tcase_add_test(tc, libraries_are_covered_in_a_layer_too);
    tcase_add_loop_test(tc, libraries_that_are_not_to_be_covered, 0, 2);
    tcase_add_test(tc, libraries_that_are_not_there);
    tcase_add_test(tc, libraries_behind_links);
    tcase_add_test(tc, libraries_that_the_host_lacks);
    tcase_add_test(tc, libraries_are_covered_once);
    return tc;
}

int main(void)
{
    return run_contained("template", make_case());
}
