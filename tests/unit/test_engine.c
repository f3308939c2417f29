#include "launcher/engine.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is on the machine, "srun mpirun". */
static const char *programs;
static const char *srun_kinds;

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (; words != NULL; words = strchr(words, ' ')) {
        words += strspn(words, " ");
        if (strncmp(words, word, len) == 0 &&
            (words[len] == ' ' || words[len] == '\0'))
            return true;
    }
    return false;
}

static char *find(const char *name)
{
    char *path = NULL;

    if (has_word(programs, name) && asprintf(&path, "/bin/%s", name) < 0)
        path = NULL;
    return path;
}

static char *srun_list(const char *srun, struct ct_error *reterr)
{
    char *text = NULL;

    ck_assert_str_eq(srun, "/bin/srun");
    if (srun_kinds == NULL)
        ct_fail(reterr, ENOENT, "no slurm.conf");
    else if (asprintf(&text, "MPI plugin types are...\n\tnone\n\t%s\n",
                      srun_kinds) < 0)
        text = NULL;
    return text;
}

enum { WORDS = 20 };

static const struct {
    const char *programs, *kinds;
    const char *env[4];
    const char *argv[WORDS];
    const char *expected; /* the command; "": ctrun itself; NULL: refused */
    const char *why;
} rows[] = {
    {.programs = "srun mpirun", .argv = {"-n", "4", "i", "c"}, .expected = ""},
    {.programs = "srun",
     .kinds = "pmi2 pmix",
     .argv = {"--engine=srun", "-n4", "i", "c", "-x"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 ctrun i c -x"},
    {.programs = "srun",
     .kinds = "pmix",
     .argv = {"--engine=srun", "-N", "2", "--ntasks-per-node=2", "-n4", "-l",
              "--engine-args", " --exact  -t 5", "--pmi", "-B", "/d", "-v", "i",
              "c"},
     .expected = "/bin/srun --nodes=2 --ntasks=4 --ntasks-per-node=2 "
                 "--mpi=pmix --label --exact -t 5 ctrun --pmi -B=/d -v i c"},
    {.programs = "srun",
     .kinds = "none",
     .argv = {"--engine=srun", "i", "c"},
     .why = "this Slurm has neither --mpi=pmi2 nor --mpi=pmix, so ranks could "
            "not find each other"},
    {.programs = "srun",
     .kinds = "cray_shasta pmix_v4",
     .argv = {"--engine=srun", "i", "c"},
     .expected = "/bin/srun --ntasks=1 --mpi=pmix ctrun i c"},
    {.programs = "srun",
     .argv = {"--engine=srun", "i", "c"},
     .why = "no slurm.conf"},
    /* in an allocation */
    {.programs = "srun",
     .kinds = "pmi2",
     .env = {"SLURM_JOB_ID=1", "SLURM_JOB_NUM_NODES=2"},
     .argv = {"-n", "4", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 ctrun i c"},
    {.programs = "srun",
     .kinds = "pmi2",
     .env = {"SLURM_JOB_ID=1", "SLURM_JOB_NUM_NODES=2"},
     .argv = {"--engine=local", "-n", "4", "i", "c"},
     .expected = ""},
    {.programs = "srun",
     .env = {"SLURM_JOB_ID=1", "SLURM_JOB_NUM_NODES=1"},
     .argv = {"-n", "4", "i", "c"},
     .expected = ""},
    /* a task of a step: its ctrun joins, or is alone on purpose */
    {.programs = "srun",
     .env = {"SLURM_JOB_NUM_NODES=2", "SLURM_PROCID=1",
             "SLURM_STEP_NUM_TASKS=2"},
     .argv = {"-n", "4", "i", "c"},
     .expected = ""},
    /* alone in its step, whose CPUs srun would wait for; salloc's lends them */
    {.programs = "srun",
     .kinds = "pmi2",
     .env = {"SLURM_JOB_ID=1", "SLURM_JOB_NUM_NODES=2", "SLURM_STEP_ID=0"},
     .argv = {"-n", "4", "i", "c"},
     .expected = "/bin/srun --overlap --ntasks=4 --mpi=pmi2 ctrun i c"},
    {.programs = "srun",
     .kinds = "pmi2",
     .env = {"SLURM_JOB_ID=1", "SLURM_JOB_NUM_NODES=2",
             "SLURM_STEP_ID=4294967290"},
     .argv = {"-n", "4", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 ctrun i c"},
    /* CPUs */
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "-n4", "--bind-to=core", "--cpus-per-rank=2",
              "--report-bindings", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 --cpus-per-task=2 --cpu-bind "
                 "verbose,cores ctrun i c"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "-n4", "--bind-to=numa", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 --cpu-bind ldoms ctrun i c"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "-n4", "--report-bindings", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 --cpu-bind verbose ctrun "
                 "i c"},
    {.programs = "mpirun",
     .argv = {"--engine=mpirun", "-n4", "--bind-to", "socket",
              "--report-bindings", "i", "c"},
     .expected = "/bin/mpirun -n 4 --bind-to socket --report-bindings ctrun i "
                 "c"},
    {.programs = "mpirun",
     .argv = {"--engine=mpirun", "-n4", "--report-bindings", "i", "c"},
     .expected = "/bin/mpirun -n 4 --report-bindings ctrun i c"},
    {.programs = "prun",
     .argv = {"--engine=prun", "-n4", "--bind-to=socket", "i", "c"},
     .expected = "/bin/prun -n 4 --bind-to package ctrun i c"},
    {.programs = "mpiexec.hydra",
     .argv = {"--engine=mpiexec", "-n4", "--bind-to=core", "i", "c"},
     .expected = "/bin/mpiexec.hydra -n 4 -bind-to core ctrun i c"},
    {.programs = "mpiexec.hydra",
     .argv = {"--engine=mpiexec", "-n4", "--report-bindings", "i", "c"},
     .why = "--report-bindings: mpiexec has nothing like it; ask it with "
            "--engine-args"},
    {.programs = "mpirun",
     .argv = {"--engine=mpirun", "-n4", "--bind-to=core", "--cpus-per-rank=2",
              "i", "c"},
     .why = "--cpus-per-rank: mpirun has nothing like it; ask it with "
            "--engine-args"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "-n4", "--bind-to=core", "--map-by=numa", "i",
              "c"},
     .why = "--map-by is for ranks that ctrun itself starts, with -n; here "
            "another launcher does: ask that one"},
    /* hosts */
    {.programs = "mpirun mpiexec.hydra",
     .argv = {"--hosts", "a:2,b:2", "-n", "4", "i", "c"},
     .expected = "/bin/mpiexec.hydra -n 4 -hosts a:2,b:2 ctrun i c"},
    {.programs = "mpirun",
     .argv = {"--hostfile", "f", "-n", "4", "--ntasks-per-node", "2", "i", "c"},
     .expected = "/bin/mpirun -n 4 --map-by ppr:2:node --hostfile f ctrun i c"},
    {.programs = "prterun mpirun",
     .argv = {"--engine", "mpirun", "-n", "2", "-l", "--no-container", "c"},
     .expected = "/bin/prterun -n 2 --tag-output ctrun --no-container c"},
    {.programs = "prun",
     .argv = {"--engine=prun", "-n", "4", "--ntasks-per-node=2", "-l",
              "--hosts=a,b", "--engine-args", "--dvm-uri file:u", "i", "c"},
     .expected = "/bin/prun -n 4 --map-by ppr:2:node --output=tag --host a,b "
                 "--dvm-uri file:u ctrun i c"},
    {.programs = "prun",
     .argv = {"--engine=prun", "-N", "2", "i", "c"},
     .why = "--nodes is srun's; prun takes its nodes from --hosts"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "--hosts", "a,b", "-n", "4", "i", "c"},
     .expected = "/bin/srun --ntasks=4 --mpi=pmi2 --nodelist a,b ctrun i c"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "--hosts", "a:2,b", "-n", "4", "i", "c"},
     .why = "--hosts=a:2,b: srun takes names alone; how many ranks each node "
            "gets say --ntasks-per-node"},
    /* one of several would start as many */
    {.programs = "mpiexec.hydra",
     .env = {"PMI_RANK=0", "PMI_SIZE=2"},
     .argv = {"--hosts", "a", "i", "c"},
     .why = "--hosts is for an engine, and here ctrun itself starts the "
            "ranks, on this node"},
    /* those two want somebody to be there already */
    {.programs = "srun prun",
     .argv = {"--hosts", "a", "i", "c"},
     .why = "--hosts: neither mpiexec.hydra nor mpirun is here to start ranks "
            "there"},
    /* what does not go together */
    {.programs = "srun",
     .argv = {"-N", "2", "i", "c"},
     .why = "--nodes is for "
            "an engine, and here ctrun itself starts the ranks, on this node"},
    {.programs = "mpirun",
     .argv = {"--engine=mpirun", "-N", "2", "i", "c"},
     .why = "--nodes is srun's; mpirun takes its nodes from --hosts"},
    {.programs = "",
     .argv = {"--engine=mpirun", "i", "c"},
     .why = "--engine=mpirun: mpirun.openmpi is not here"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "--hostfile", "f", "i", "c"},
     .why = "srun takes no --hostfile"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "i", "c", ":", "i", "c"},
     .why = "several apps (':') are for ranks that ctrun itself starts, with "
            "--engine=local"},
    {.programs = "srun",
     .kinds = "pmi2",
     .argv = {"--engine=srun", "--timeout=3", "i", "c"},
     .why = "--timeout is for ranks that ctrun itself starts, with -n; here "
            "another launcher does: ask that one"},
};

static void join(const struct strv *words, char *ret, size_t size)
{
    ret[0] = '\0';
    for (size_t i = 0; i < words->count; i++) {
        ck_assert_uint_lt(strlen(ret) + strlen(words->items[i]) + 2, size);
        if (i > 0)
            strcat(ret, " ");
        strcat(ret, words->items[i]);
    }
}

START_TEST(what_starts_the_ranks)
{
    const struct engine_facts facts = {
        .env = (char *const *)rows[_i].env,
        .self = "ctrun",
        .find = find,
        .srun_list = srun_list,
    };
    char *argv[WORDS + 1] = {(char *)"ctrun"}, text[1000];
    struct options options;
    struct strv command = {0};
    struct ct_error err;
    int argc = 1, rc;

    programs = rows[_i].programs;
    srun_kinds = rows[_i].kinds;
    for (; rows[_i].argv[argc - 1] != NULL; argc++)
        argv[argc] = (char *)rows[_i].argv[argc - 1];
    ck_assert_msg(options_parse(argc, argv, &options, &err) == 0, "%s",
                  err.text);
    rc = engine_command(&options, &facts, &command, &err);
    ck_assert_int_eq(rc, rows[_i].why != NULL ? -1 : 0);
    if (rc < 0)
        ck_assert_str_eq(err.text, rows[_i].why);
    else
        ck_assert_str_eq((join(&command, text, sizeof text), text),
                         rows[_i].expected);
    strv_clear(&command);
    options_clear(&options);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *tc = tcase_create("engine");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, what_starts_the_ranks, 0,
                        (int)(sizeof rows / sizeof rows[0]));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
