#include "host/task.h"

#include <check.h>
#include <stdlib.h>

static const struct {
    const char *env[8];
    const char *launcher; /* NULL: none */
    unsigned rank, size, local;
} tasks[] = {
    {{"HOME=/", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANK=3", "PMI_SIZE=4", NULL}, "a launcher with PMI", 3, 4, 3},
    {{"PMI_SIZE=4", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANK=4", "PMI_SIZE=4", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANK=0", "PMI_SIZE=1", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANK=x", "PMI_SIZE=4", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANK=", "PMI_SIZE=4", NULL}, NULL, 0, 0, 0},
    {{"PMI_RANKS=1", "PMI_SIZE=4", NULL}, NULL, 0, 0, 0},
    {{"SLURM_PROCID=1", "SLURM_STEP_NUM_TASKS=2", NULL}, "Slurm", 1, 2, 1},
    {{"SLURM_PROCID=5", "SLURM_STEP_NUM_TASKS=8", "SLURM_LOCALID=0", NULL},
     "Slurm",
     5,
     8,
     0},
    /* a batch script */
    {{"SLURM_PROCID=0", "SLURM_NTASKS=64", NULL}, NULL, 0, 0, 0},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=3", "SLURM_PROCID=0",
      "SLURM_STEP_NUM_TASKS=2", NULL},
     "Open MPI",
     1,
     3,
     1},
    {{"FLUX_TASK_RANK=1", "FLUX_JOB_SIZE=8", NULL}, "Flux", 1, 8, 1},
    {{"CTRUN_RANK=0", "CTRUN_SIZE=2", "PMI_RANK=0", "PMI_SIZE=2", NULL},
     "ctrun",
     0,
     2,
     0},
};

START_TEST(who_started_us)
{
    struct host_task task = {0};
    bool found = host_task_find((char *const *)tasks[_i].env, &task);

    ck_assert_int_eq(found, tasks[_i].launcher != NULL);
    if (!found)
        return;
    ck_assert_str_eq(task.launcher, tasks[_i].launcher);
    ck_assert_uint_eq(task.rank, tasks[_i].rank);
    ck_assert_uint_eq(task.size, tasks[_i].size);
    ck_assert_uint_eq(task.local, tasks[_i].local);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task");
    TCase *tc = tcase_create("task");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, who_started_us, 0,
                        (int)(sizeof tasks / sizeof tasks[0]));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
