/* What an image's scripts in /.singularity.d/env leave, and what they may do.
 */
#include "tests/unit/zygote.h"

#define FOLDER "image/.singularity.d/env"

static struct plan plan;

static void set_up(void)
{
    make_image();
    make_dir("image/.singularity.d");
    make_dir(FOLDER);
}

static void tear_down(void)
{
    plan_clear(&plan);
    remove_top();
}

static void make_plan(void)
{
    plan = image_plan(
        (struct plan_request){.env = (char *const[]){"SET=option", NULL}});
}

/* A rank's script and what it prints, which begins with no blank line. */
static void check(const char *script, const char *expected)
{
    struct zygote *z;

    make_plan();
    z = start_zygote(&plan, 1);
    check_script(z, 0, script, expected);
    end_zygote(z);
}

START_TEST(scripts_run_in_order)
{
    make_file(FOLDER "/20-b.sh", 0644, "B=\"$B,second\"\n");
    make_file(FOLDER "/10-a.sh", 0644,
              "export A=\"image of $A\" B=first SET=image\n"
              "NOT_EXPORTED=1\n");
    make_file(FOLDER "/90.txt", 0644, "export A=no-script\n");
    check("echo \"$A;$B;$SET;${NOT_EXPORTED-unset}\"",
          "image of host;first,second;option;unset\n");
}
END_TEST

START_TEST(any_value_survives)
{
    make_file(FOLDER "/a.sh", 0644,
              "export A=\"$(printf 'two\\nlines=')\" EMPTY= UNSET=1\n"
              "unset B UNSET\n");
    check("echo \"$A|${EMPTY-unset}|${UNSET-unset}|${B-unset}\"",
          "two\nlines=||unset|unset\n");
}
END_TEST

START_TEST(what_shells_set_is_not_the_images)
{
    make_file(FOLDER "/a.sh", 0644, "cd /etc\n");
    check("tr '\\0' '\\n' < /proc/$$/environ | grep -cE '^(_|SHLVL|OLDPWD)='; "
          "pwd",
          "0\n/\n");
}
END_TEST

START_TEST(what_scripts_print_is_not_the_answer)
{
    int log = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
    close(log);
    make_file(FOLDER "/a.sh", 0644,
              "echo; echo A=stdout; exec 5>&1; export A=image\n");
    check("echo $A", "image\n");
}
END_TEST

START_TEST(no_scripts)
{
    check("echo $A", "host\n");
}
END_TEST

/* No script, no descriptor, no privilege that a rank had not either. */
START_TEST(scripts_are_as_powerless_as_ranks)
{
    make_file(FOLDER "/a.sh", 0644,
              "export STATUS=$(grep -E '^(CapEff|NoNewPrivs):' "
              "/proc/self/status | tr '\\t\\n' '  ')\n"
              "export FDS=; for f in 3 4 5 6 7 8 9; do\n"
              "[ ! -e /proc/$$/fd/$f ] || FDS=\"$FDS $f\"; done\n");
    check("echo \"$STATUS$FDS\"", "CapEff: 0000000000000000 NoNewPrivs: 1 \n");
}
END_TEST

/* A shell that says no word: it has ended, or it never says one. */
static void check_refusal(const char *text)
{
    struct zygote *z;

    make_plan();
    z = start_zygote(&plan, 1);
    check_prepare_fails(z, 0, EPROTO, text);
    end_zygote(z);
}

START_TEST(scripts_that_fail)
{
    make_file(FOLDER "/a.sh", 0644, "exit 3\n");
    check_refusal("the image's scripts in /.singularity.d/env ended the shell "
                  "(status 3)");
}
END_TEST

START_TEST(scripts_that_exit)
{
    make_file(FOLDER "/a.sh", 0644, "exit 0\n");
    check_refusal("the image's scripts in /.singularity.d/env ended the shell "
                  "(status 0)");
}
END_TEST

START_TEST(scripts_that_are_killed)
{
    make_file(FOLDER "/a.sh", 0644, "kill -9 $$\n");
    check_refusal("the image's scripts in /.singularity.d/env ended the shell "
                  "(status 137)");
}
END_TEST

START_TEST(no_shell)
{
    struct zygote *z;

    own_dir = "/bin";
    make_plan();
    z = start_zygote(&plan, 1);
    check_prepare_fails(z, 0, ECANCELED,
                        "the image has /.singularity.d/env: cannot execute "
                        "/bin/sh: No such file or directory");
    end_zygote(z);
}
END_TEST

START_TEST(scripts_that_never_end_do_so_with_the_caller)
{
    char script[200];
    struct zygote *z;
    int began;

    ck_assert_int_eq(mkfifo("began", 0600), 0);
    snprintf(script, sizeof script, "echo > %s/began\nsleep 1000\n", top);
    make_file(FOLDER "/a.sh", 0644, script);
    make_plan();
    z = start_zygote(&plan, 1);
    ask_to_prepare(z, 1, 0, "sh", "");
    began = open("began", O_RDONLY); /* comes back when the script opens it */
    ck_assert_int_ge(began, 0);
    close(began);
    end_zygote(z);
}
END_TEST

/*
 * The image's shell is the image's program: here one that answers, or closes
 * its stdout, and then stays.
 */
static void use_own_shell(const char *text)
{
    make_file("image/bin/sh", 0755, text);
    own_dir = "/bin";
    make_plan();
}

START_TEST(shells_that_answer_and_stay)
{
    struct zygote *z;

    use_own_shell("#!/usr/bin/sh\necho\nexec sleep 1000\n");
    z = start_zygote(&plan, 1);
    ask_to_prepare(z, 1, 0, "/usr/bin/sh", "");
    expect(z, ZYGOTE_PREPARED, 1);
    end_zygote(z);
}
END_TEST

START_TEST(shells_that_hang_up_and_stay)
{
    struct zygote *z;

    use_own_shell("#!/usr/bin/sh\nexec >&-\nexec sleep 1000\n");
    z = start_zygote(&plan, 1);
    check_prepare_fails(z, 0, EPROTO,
                        "the image's scripts in /.singularity.d/env ended the "
                        "shell (status 137)");
    end_zygote(z);
}
END_TEST

static TCase *make_case(void)
{
    TCase *tc = tcase_create("envscript");

    tcase_set_timeout(tc, TIMEOUT);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, scripts_run_in_order);
    tcase_add_test(tc, any_value_survives);
    tcase_add_test(tc, what_shells_set_is_not_the_images);
    tcase_add_test(tc, what_scripts_print_is_not_the_answer);
    tcase_add_test(tc, no_scripts);
    tcase_add_test(tc, scripts_are_as_powerless_as_ranks);
    tcase_add_test(tc, scripts_that_fail);
    tcase_add_test(tc, scripts_that_exit);
    tcase_add_test(tc, scripts_that_are_killed);
    tcase_add_test(tc, no_shell);
    tcase_add_test(tc, scripts_that_never_end_do_so_with_the_caller);
    if (access("/usr/bin/sh", X_OK) == 0) {
        tcase_add_test(tc, shells_that_answer_and_stay);
        tcase_add_test(tc, shells_that_hang_up_and_stay);
    }
    return tc;
}

int main(void)
{
    return run_contained("envscript", make_case());
}
