#include "launcher/options.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A command line cut at blanks; the words live as long as the struct. */
struct line {
    char text[256];
    char *argv[32];
    int argc;
    struct options options;
    struct ct_error err;
};

static int parse(struct line *line, const char *text)
{
    memset(line, 0, sizeof *line);
    ck_assert_uint_lt(strlen(text), sizeof line->text);
    strcpy(line->text, text);
    line->argv[line->argc++] = "ctrun";
    for (char *s = strtok(line->text, " "); s; s = strtok(NULL, " "))
        line->argv[line->argc++] = s;
    return options_parse(line->argc, line->argv, &line->options, &line->err);
}

static void good(struct line *line, const char *text)
{
    ck_assert_msg(parse(line, text) == 0, "'%s': %s", text, line->err.text);
}

static void bad(const char *text, const char *message)
{
    struct line line;

    ck_assert_msg(parse(&line, text) == -1, "'%s' was taken", text);
    ck_assert_str_eq(line.err.text, message);
    ck_assert_int_eq(line.err.code, EINVAL);
    ck_assert_ptr_null(line.options.apps);
}

START_TEST(defaults)
{
    struct line line;
    struct options *o = &line.options;

    good(&line, "img.sif ./app -n 3 --label");
    ck_assert_uint_eq(o->app_count, 1);
    ck_assert_uint_eq(o->apps[0].ranks, 1);
    ck_assert_str_eq(o->apps[0].image, "img.sif");
    ck_assert_uint_eq(o->apps[0].command.count, 4);
    ck_assert_str_eq(o->apps[0].command.items[3], "--label");
    ck_assert(!o->label && !o->pmi_required && !o->dry_run && !o->help);
    ck_assert_int_eq(o->pmi, PMI_AUTO);
    ck_assert_int_eq(o->bind.to, BIND_NONE);
    ck_assert_int_eq(o->bind.by, BIND_NONE);
    ck_assert_uint_eq(o->bind.cpus_per_rank, 1);
    ck_assert_int_eq(o->stdin_to, STDIN_RANK);
    ck_assert_uint_eq(o->stdin_rank, 0);
    ck_assert_double_eq(o->timeout, 0);
    ck_assert_double_eq(o->kill_grace, 2);
    ck_assert_int_eq(o->verbosity, 0);
    options_clear(o);
    ck_assert_ptr_null(o->apps);
}
END_TEST

static const char *const four_ranks[] = {
    "-n 4 i c",    "-n4 i c",    "-np 4 i c",      "-np=4 i c",
    "--np 4 i c",  "--np=4 i c", "--ntasks 4 i c", "--ntasks=4 i c",
    "-np4 i c",    "-ln4 i c",   "-n 4 -- i c",    "-n 3 -n 4 i c",
    "-n 4 i -- c",
};

START_TEST(ways_to_give_a_number)
{
    struct line line;

    good(&line, four_ranks[_i]);
    ck_assert_uint_eq(line.options.apps[0].ranks, 4);
    ck_assert_str_eq(line.options.apps[0].image, "i");
    ck_assert_uint_eq(line.options.apps[0].command.count, 1);
    ck_assert_str_eq(line.options.apps[0].command.items[0], "c");
    options_clear(&line.options);
}
END_TEST

START_TEST(commands_with_a_dash)
{
    static const char *const lines[] = {"i -- -c", "--no-container -- -c"};

    for (size_t i = 0; i < 2; i++) {
        struct line line;

        good(&line, lines[i]);
        ck_assert_str_eq(line.options.apps[0].command.items[0], "-c");
        options_clear(&line.options);
    }
}
END_TEST

START_TEST(options_of_the_job)
{
    struct line line;
    struct options *o = &line.options;

    good(&line, "--bind-to core --map-by=numa --cpus-per-rank 3 --oversubscribe"
                " --report-bindings -l --output out-%r.%h.%j%% --stdin 2"
                " --timeout 1.5 --kill-grace 0 --dry-run -vv -n 3 --tools"
                " --pset a=0-1,2 --pset b=2 --on-failure continue i c");
    ck_assert_uint_eq(o->psets.count, 2);
    ck_assert_str_eq(o->psets.items[0], "a=0-1,2");
    ck_assert(o->continues && o->tools);
    ck_assert_int_eq(o->bind.to, BIND_CORE);
    ck_assert_int_eq(o->bind.by, BIND_NUMA);
    ck_assert_uint_eq(o->bind.cpus_per_rank, 3);
    ck_assert(o->bind.oversubscribe && o->report_bindings && o->label);
    ck_assert_str_eq(o->output, "out-%r.%h.%j%%");
    ck_assert_int_eq(o->stdin_to, STDIN_RANK);
    ck_assert_uint_eq(o->stdin_rank, 2);
    ck_assert_double_eq(o->timeout, 1.5);
    ck_assert_double_eq(o->kill_grace, 0);
    ck_assert(o->dry_run);
    ck_assert_int_eq(o->verbosity, 2);
    options_clear(o);
}
END_TEST

START_TEST(quiet_and_verbose)
{
    struct line line;

    good(&line, "-v -q i c");
    ck_assert_int_eq(line.options.verbosity, -1);
    options_clear(&line.options);
    good(&line, "-q --verbose i c");
    ck_assert_int_eq(line.options.verbosity, 1);
    options_clear(&line.options);
}
END_TEST

static const struct {
    const char *text;
    enum pmi_choice pmi;
    bool required;
} pmi_lines[] = {
    {"--pmi i c", PMI_AUTO, true},       {"--pmi=auto i c", PMI_AUTO, true},
    {"--pmi=pmi1 i c", PMI_1, true},     {"--pmi=pmi2 i c", PMI_2, true},
    {"--pmi=none i c", PMI_NONE, false},
};

START_TEST(pmi_has_an_optional_value)
{
    struct line line;

    good(&line, pmi_lines[_i].text);
    ck_assert_int_eq(line.options.pmi, pmi_lines[_i].pmi);
    ck_assert(line.options.pmi_required == pmi_lines[_i].required);
    ck_assert_str_eq(line.options.apps[0].image, "i");
    options_clear(&line.options);
}
END_TEST

static const struct {
    const char *text;
    enum inject_choice inject;
} inject_lines[] = {
    {"i c", INJECT_AUTO},
    {"--inject-pmi i c", INJECT_YES},
    {"--inject-pmi=yes i c", INJECT_YES},
    {"--inject-pmi=no i c", INJECT_NO},
    {"--inject-pmi=auto i c", INJECT_AUTO},
    {"--inject-pmi --inject-pmi=no i c", INJECT_NO},
    {"i c --inject-pmi", INJECT_AUTO}, /* the command's */
    {"--inject-pmi=no --no-container c", INJECT_NO},
};

START_TEST(libraries_of_pmi)
{
    struct line line;

    good(&line, inject_lines[_i].text);
    ck_assert_int_eq(line.options.apps[0].inject, inject_lines[_i].inject);
    ck_assert(!line.options.pmi_required);
    options_clear(&line.options);
    good(&line, "--inject-pmi=no i c : i c");
    ck_assert_int_eq(line.options.apps[0].inject, INJECT_NO);
    ck_assert_int_eq(line.options.apps[1].inject, INJECT_AUTO);
    options_clear(&line.options);
}
END_TEST

START_TEST(stdin_words)
{
    struct line line;

    good(&line, "--stdin all i c");
    ck_assert_int_eq(line.options.stdin_to, STDIN_ALL);
    options_clear(&line.options);
    good(&line, "--stdin=none i c");
    ck_assert_int_eq(line.options.stdin_to, STDIN_NONE);
    options_clear(&line.options);
    good(&line, "--tools --stdin tool i c");
    ck_assert_int_eq(line.options.stdin_to, STDIN_TOOL);
    options_clear(&line.options);
}
END_TEST

START_TEST(options_of_an_app)
{
    struct line line;
    struct app_options *app;

    good(&line,
         "-B /a,/b:/c:ro --bind rel:/d:rw -B /e\\,f\\:g --env A=1 --env B=x,y=z"
         " --env A=2 --scratch /s --scratch=/t --pwd /w --no-home -e"
         " --writable-tmpfs i c");
    app = &line.options.apps[0];
    ck_assert_uint_eq(app->binds.count, 4);
    ck_assert_str_eq(app->binds.items[0], "/a");
    ck_assert_str_eq(app->binds.items[1], "/b:/c:ro");
    ck_assert_str_eq(app->binds.items[2], "rel:/d:rw");
    ck_assert_str_eq(app->binds.items[3], "/e\\,f\\:g");
    ck_assert_uint_eq(app->env.count, 2);
    ck_assert_str_eq(app->env.items[0], "A=2");
    ck_assert_str_eq(app->env.items[1], "B=x,y=z");
    ck_assert_uint_eq(app->scratch.count, 2);
    ck_assert_str_eq(app->scratch.items[1], "/t");
    ck_assert_str_eq(app->pwd, "/w");
    ck_assert(app->no_home && app->cleanenv && app->writable_tmpfs);
    ck_assert(!app->no_container);
    options_clear(&line.options);
}
END_TEST

START_TEST(segments_start_from_defaults)
{
    struct line line;
    struct app_options *apps;

    good(&line, "-l -n 2 --no-home i1 a x : -n 3 i2 b : --no-container c -y");
    ck_assert_uint_eq(line.options.app_count, 3);
    apps = line.options.apps;
    ck_assert_uint_eq(apps[0].ranks, 2);
    ck_assert_uint_eq(apps[1].ranks, 3);
    ck_assert_uint_eq(apps[2].ranks, 1);
    ck_assert(apps[0].no_home && !apps[1].no_home);
    ck_assert_str_eq(apps[0].command.items[1], "x");
    ck_assert_uint_eq(apps[0].command.count, 2);
    ck_assert_str_eq(apps[1].image, "i2");
    ck_assert(apps[2].no_container);
    ck_assert_ptr_null(apps[2].image);
    ck_assert_str_eq(apps[2].command.items[0], "c");
    ck_assert_str_eq(apps[2].command.items[1], "-y");
    options_clear(&line.options);
}
END_TEST

START_TEST(help_and_version_check_nothing_else)
{
    struct line line;

    good(&line, "--help --no-such");
    ck_assert(line.options.help);
    options_clear(&line.options);
    good(&line, "-n 2 --version");
    ck_assert(line.options.version);
    options_clear(&line.options);
    good(&line, "-h : x");
    ck_assert(line.options.help);
    options_clear(&line.options);
}
END_TEST

static const struct {
    const char *text;
    const char *message;
} bad_lines[] = {
    {"", "no image and no command; try 'ctrun --help'"},
    {"-n 2", "no image and no command; try 'ctrun --help'"},
    {"img", "no command for the image 'img'"},
    {"img --", "no command for the image 'img'"},
    {"--no-container", "no command; try 'ctrun --help'"},
    {"img -n 4 c", "'-n' stands where the command should: options of ctrun go "
                   "before the image"},
    {"-- img -n c", "'-n' stands where the command should: options of ctrun go "
                    "before the image"},
    {"--foo i c", "unknown option '--foo'; try 'ctrun --help'"},
    {"--foo=3 i c", "unknown option '--foo=3'; try 'ctrun --help'"},
    {"--labe i c", "unknown option '--labe'; try 'ctrun --help'"},
    {"-x i c", "unknown option '-x'; try 'ctrun --help'"},
    {"-lx i c", "unknown option '-lx'; try 'ctrun --help'"},
    {"-env A b i c", "unknown option '-env'; try 'ctrun --help'"},
    {"-nx i c", "unknown option '-nx'; try 'ctrun --help'"},
    {"-np4x i c", "-np takes a number from 1 to 65536, not '4x'"},
    {"-n x i c", "-n takes a number from 1 to 65536, not 'x'"},
    {"-n 0 i c", "-n takes a number from 1 to 65536, not '0'"},
    {"-n 65537 i c", "-n takes a number from 1 to 65536, not '65537'"},
    {"-n -1 i c", "-n takes a number from 1 to 65536, not '-1'"},
    {"-np 4x i c", "-np takes a number from 1 to 65536, not '4x'"},
    {"--ntasks= i c", "--ntasks takes a number from 1 to 65536, not ''"},
    {"-n", "-n takes N, but nothing follows"},
    {"--stdin : i c", "--stdin takes RANK|all|none|tool, but nothing follows"},
    {"-n 65536 i c : i c", "65537 ranks in sum; 65536 is the most"},
    {"--label=yes i c", "--label takes no value"},
    {"--pmi=pmi3 i c", "--pmi takes auto|pmi1|pmi2|pmix|none, not 'pmi3'"},
    {"--pmi= i c", "--pmi takes auto|pmi1|pmi2|pmix|none, not ''"},
    {"--bind-to cpu i c", "--bind-to takes none|core|numa|socket, not 'cpu'"},
    {"--bind-to core --map-by none i c",
     "--map-by takes core|numa|socket, not 'none'"},
    {"--map-by numa i c",
     "--map-by does nothing without --bind-to core, numa or socket"},
    {"--cpus-per-rank 2 i c",
     "--cpus-per-rank does nothing without --bind-to core, numa or socket"},
    {"--output a%x i c",
     "--output takes a file name with %r, %h, %j or %%, not 'a%x'"},
    {"--output a%%% i c",
     "--output takes a file name with %r, %h, %j or %%, not 'a%%%'"},
    {"--output= i c", "--output takes a file name, not ''"},
    {"--stdin two i c", "--stdin takes RANK|all|none|tool, not 'two'"},
    {"--stdin tool i c", "--stdin tool: without --tools there is none"},
    {"-n 4 --stdin 4 i c", "--stdin 4: the last of 4 ranks is 3"},
    {"--timeout inf i c", "--timeout takes seconds, such as 30 or 0.5, not "
                          "'inf'"},
    {"--timeout 1.2.3 i c", "--timeout takes seconds, such as 30 or 0.5, not "
                            "'1.2.3'"},
    {"--timeout . i c", "--timeout takes seconds, such as 30 or 0.5, not '.'"},
    {"--timeout -1 i c", "--timeout takes seconds, such as 30 or 0.5, not "
                         "'-1'"},
    {"--kill-grace= i c", "--kill-grace takes seconds, such as 30 or 0.5, not "
                          "''"},
    {"--pset a i c", "--pset takes NAME=RANKS, such as left=0-3,8, not 'a'"},
    {"--pset =0 i c", "--pset takes NAME=RANKS, such as left=0-3,8, not '=0'"},
    {"--pset a= i c", "--pset takes NAME=RANKS, such as left=0-3,8, not 'a='"},
    {"--pset a,b=0 i c",
     "--pset takes NAME=RANKS, such as left=0-3,8, not 'a,b=0'"},
    {"--pset mpi://X=0 i c",
     "--pset takes NAME=RANKS, such as left=0-3,8, not 'mpi://X=0'"},
    {"--pset ctrun://app/0=0 i c",
     "--pset takes NAME=RANKS, such as left=0-3,8, not 'ctrun://app/0=0'"},
    {"--pset a=0 --pset ab=0 --pset a=1 i c",
     "--pset a=1: this name is taken already"},
    {"--pset a=2-1 i c",
     "--pset takes NAME=RANKS, such as left=0-3,8, not 'a=2-1'"},
    {"--pset a=0-2 -n 2 i c", "--pset a=0-2: the last of 2 ranks is 1"},
    {"--on-failure no i c", "--on-failure takes end|continue, not 'no'"},
    {"--bind /a\\:/b:c i c", "--bind takes SRC[:DST[:ro|rw]] with absolute "
                             "paths, not '/a\\:/b:c'"},
    {"--bind rel i c", "--bind takes SRC[:DST[:ro|rw]] with absolute paths, "
                       "not 'rel'"},
    {"--bind /a,,/b i c", "--bind takes SRC[:DST[:ro|rw]] with absolute paths, "
                          "not ''"},
    {"-B /a:/b:rx i c", "-B takes SRC[:DST[:ro|rw]] with absolute paths, not "
                        "'/a:/b:rx'"},
    {"-B :/b i c", "-B takes SRC[:DST[:ro|rw]] with absolute paths, not ':/b'"},
    {"--env A i c", "--env takes NAME=VALUE, not 'A'"},
    {"--env =b i c", "--env takes NAME=VALUE, not '=b'"},
    {"--scratch s i c", "--scratch takes an absolute path, not 's'"},
    {"--pwd w i c", "--pwd takes an absolute path, not 'w'"},
    {"--no-container -B /a c", "--bind does nothing with --no-container"},
    {"--no-container --scratch /a c",
     "--scratch does nothing with --no-container"},
    {"--no-home --no-container c",
     "--no-home does nothing with --no-container"},
    {"--writable-tmpfs --no-container c",
     "--writable-tmpfs does nothing with --no-container"},
    {"--inject-pmi --no-container c",
     "--inject-pmi does nothing with --no-container"},
    {"--inject-pmi=maybe i c", "--inject-pmi takes auto|yes|no, not 'maybe'"},
    {"--inject-pmi= i c", "--inject-pmi takes auto|yes|no, not ''"},
    {"i c :", "app 2: no image and no command; try 'ctrun --help'"},
    {": i c", "no image and no command; try 'ctrun --help'"},
    {"i c : -n 2 -l i c", "app 2: -l is for the whole job: give it before the "
                          "first ':'"},
};

START_TEST(refusals)
{
    bad(bad_lines[_i].text, bad_lines[_i].message);
}
END_TEST

START_TEST(failure_leaves_the_result_alone)
{
    char *argv[] = {"ctrun", "-n", "x", NULL};
    struct options options = {.verbosity = 42};

    ck_assert_int_eq(options_parse(3, argv, &options, NULL), -1);
    ck_assert_int_eq(options.verbosity, 42);
}
END_TEST

START_TEST(no_argv_at_all)
{
    char *argv[] = {NULL};
    struct options options;

    ck_assert_int_eq(options_parse(0, argv, &options, NULL), -1);
}
END_TEST

/* Lines of the help; a new option belongs here too. */
static const char *const names[] = {
    "  -n, -np, --np, --ntasks N ",
    "  --pmi[=auto|pmi1|pmi2|pmix|none]\n",
    "  --pset NAME=RANKS ",
    "  --tools ",
    "  --bind-to none|core|numa|socket\n",
    "  --map-by core|numa|socket",
    "  --report-bindings ",
    "  --cpus-per-rank N ",
    "  --oversubscribe ",
    "  -l, --label, --tag-output ",
    "  --output PATTERN ",
    "  --stdin RANK|all|none|tool ",
    "  --timeout SECONDS ",
    "  --on-failure end|continue ",
    "  --kill-grace SECONDS ",
    "  --dry-run ",
    "  -v, --verbose ",
    "  -q, --quiet ",
    "  -h, --help ",
    "  --version ",
    "  -B, --bind SRC[:DST[:ro|rw]][,...]\n",
    "  --no-home ",
    "  --scratch DIR ",
    "  --writable-tmpfs ",
    "  --inject-pmi[=auto|yes|no] ",
    "  --pwd DIR ",
    "  --env NAME=VALUE ",
    "  -e, --cleanenv ",
    "  --no-container ",
};

START_TEST(help_names_every_option)
{
    char *help = options_help();

    ck_assert_ptr_nonnull(help);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(strstr(help, names[i]) != NULL, "no '%s'", names[i]);
    free(help);
}
END_TEST

START_TEST(help_fits_a_terminal)
{
    char *help = options_help();

    ck_assert_ptr_nonnull(help);
    for (const char *s = help; *s != '\0'; s += strcspn(s, "\n") + 1)
        ck_assert_uint_le(strcspn(s, "\n"), 80);
    free(help);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, defaults);
    tcase_add_loop_test(tc, ways_to_give_a_number, 0, COUNT(four_ranks));
    tcase_add_test(tc, commands_with_a_dash);
    tcase_add_test(tc, options_of_the_job);
    tcase_add_test(tc, quiet_and_verbose);
    tcase_add_loop_test(tc, pmi_has_an_optional_value, 0, COUNT(pmi_lines));
    tcase_add_loop_test(tc, libraries_of_pmi, 0, COUNT(inject_lines));
    tcase_add_test(tc, stdin_words);
    tcase_add_test(tc, options_of_an_app);
    tcase_add_test(tc, segments_start_from_defaults);
    tcase_add_test(tc, help_and_version_check_nothing_else);
    tcase_add_loop_test(tc, refusals, 0, COUNT(bad_lines));
    tcase_add_test(tc, failure_leaves_the_result_alone);
    tcase_add_test(tc, no_argv_at_all);
    tcase_add_test(tc, help_names_every_option);
    tcase_add_test(tc, help_fits_a_terminal);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
