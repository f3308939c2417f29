/*
 * Every row of the table is tried here by its own text, so that a row that is
 * lost, or that begins to catch its neighbours, is seen.
 */
#include "container/environ.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Another launcher's: never passed, whatever the mode. */
static const struct held {
    const char *item;
    const char *why;
} held[] = {
    {"PMI_FD=3", "another launcher's PMI"},
    {"PMI_RANK=0", "another launcher's PMI"},
    {"PMI_SPAWNED=1", "another launcher's PMI"},
    {"PMI2_DEBUG=1", "another launcher's PMI"},
    {"PMIX_NAMESPACE=x", "another launcher's PMIx"},
    {"PMIX_SERVER_URI41=x", "another launcher's PMIx"},
    {"PRTE_LAUNCHED=1", "another launcher's: PRRTE"},
    {"PRRTE_X=1", "another launcher's: PRRTE"},
    {"HYDI_CONTROL_FD=4", "another launcher's: Hydra"},
    {"HYDRA_X=1", "another launcher's: Hydra"},
    {"MPI_LOCALRANKID=0", "another launcher's: Hydra"},
    {"MPI_LOCALNRANKS=2", "another launcher's: Hydra"},
    {"MPIR_CVAR_CH3_INTERFACE_HOSTNAME=h", "another launcher's: Hydra"},
    {"OMPI_COMM_WORLD_RANK=0", "another launcher's: Open MPI"},
    {"OMPI_UNIVERSE_SIZE=4", "another launcher's: Open MPI"},
    {"OMPI_APP_CTX_NUM_PROCS=4", "another launcher's: Open MPI"},
    {"OMPI_FIRST_RANKS=0", "another launcher's: Open MPI"},
    {"OMPI_FILE_LOCATION=/x", "another launcher's: Open MPI"},
    {"OMPI_PARENT_PORT=5.0.1:1",
     "another job's: its parents are no parents here"},
    {"OMPI_MCA_ess=env", "another launcher's: Open MPI"},
    {"OMPI_MCA_ess_base_jobid=1", "another launcher's: Open MPI"},
    {"OMPI_MCA_orte_hnp_uri=x", "another launcher's: Open MPI"},
    {"OMPI_MCA_mca_base_component_path=x",
     "another launcher's: PRRTE leaks it"},
    {"MV2_COMM_WORLD_RANK=0", "another launcher's: MVAPICH2"},
    {"FLUX_TASK_RANK=0", "another launcher's: Flux"},
    {"FLUX_JOB_ID=f1",
     "another launcher's: Flux, whose PMI Open MPI 4.1.0 seeks"},
    {"FLUX_PMI_LIBRARY_PATH=/l", "another launcher's: Flux"},
    {"PALS_RANKID=0", "another launcher's: PALS"},
    {"SLURM_PROCID=0", "another launcher's: Slurm, one task's"},
    {"SLURM_LOCALID=0", "another launcher's: Slurm, one task's"},
    {"SLURM_NODEID=0", "another launcher's: Slurm, one task's"},
    {"SLURM_TASK_PID=1", "another launcher's: Slurm, one task's"},
    {"SLURM_GTIDS=0,1", "another launcher's: Slurm, one task's"},
    {"SLURM_MPI_TYPE=pmix", "another launcher's: Slurm"},
    {"SLURM_PMI2_SRUN_PORT=1", "another launcher's: Slurm"},
    {"SLURM_PMIXP_X=1", "another launcher's: Slurm"},
    {"CTRUN_RANK=0", "another ctrun's"},
    {"CTRUN_SIZE=4", "another ctrun's"},
    {"CTRUN_LOCAL_RANK=0", "another ctrun's"},
    {"CTRUN_LOCAL_SIZE=4", "another ctrun's"},
    {"CTRUN_JOBID=1.0", "another ctrun's"},
    {"CTRUN_IMAGE=/i", "another ctrun's"},
};

START_TEST(launchers_are_held_back)
{
    const struct held *row = &held[_i];

    for (int mode = 0; mode < 4; mode++) {
        const char *why = environ_refuses(row->item, mode & 1, mode & 2);
        ck_assert_msg(why != NULL, "%s passes", row->item);
        ck_assert_str_eq(why, row->why);
    }
}
END_TEST

/* Of the host's files: held back from images alone. */
static const struct held host_files[] = {
    {"PATH=/bin", "the image's own, or a default"},
    {"LD_LIBRARY_PATH=/lib", "libraries of the host"},
    {"LD_PRELOAD=x.so", "libraries of the host"},
    {"LD_AUDIT=x.so", "libraries of the host"},
};

START_TEST(host_files_are_held_back_from_images)
{
    const struct held *row = &host_files[_i];

    ck_assert_str_eq(environ_refuses(row->item, false, true), row->why);
    ck_assert_str_eq(environ_refuses(row->item, true, true), row->why);
    ck_assert_ptr_null(environ_refuses(row->item, false, false));
}
END_TEST

/* Neighbours of rows, settings that are the user's, and odd strings. */
static const char *const passing[] = {
    "PMI=1",
    "PMI2=1",
    "PMIX=1",
    "XPMI_FD=3",
    "MPI_LOCALRANKID2=0",
    "MPI_LOCALRANKI=0",
    "MPIR_CVAR_DEBUG=1",
    "MPICH_X=1",
    "OMPI_MCA_btl=tcp,self",
    "OMPI_UNIVERSE_SIZES=1",
    "OMPI_MCA_orte=1",
    "MV2_DEBUG=1",
    "SLURM_JOB_ID=1",
    "SLURM_PROCIDS=1",
    "SLURM_NTASKS=4",
    "FLUX_URI=x",
    "CTRUN_X=1",
    "CTRUN_RANKS=1",
    "UCX_TLS=tcp",
    "FI_PROVIDER=tcp",
    "OMP_NUM_THREADS=2",
    "PATHS=/x",
    "MANPATH=/x",
    "LD_BIND_NOW=1",
    "path=/x",
    "A=PMI_FD=3",
    "A=",
    "=x",
    "A",
    "",
};

START_TEST(others_pass)
{
    ck_assert_ptr_null(environ_refuses(passing[_i], false, true));
    ck_assert_ptr_null(environ_refuses(passing[_i], false, false));
    ck_assert_str_eq(environ_refuses(passing[_i], true, true), "--cleanenv");
    ck_assert_str_eq(environ_refuses(passing[_i], true, false), "--cleanenv");
}
END_TEST

static const char *const session[] = {
    "HOME=/h", "USER=u", "LOGNAME=u", "TERM=x", "LANG=C", "TZ=UTC",
};

START_TEST(sessions_pass_cleanenv)
{
    for (int mode = 0; mode < 4; mode++)
        ck_assert_ptr_null(environ_refuses(session[_i], mode & 1, mode & 2));
}
END_TEST

static void check_list(const struct strv *list, char *const *expected)
{
    size_t count = 0;

    for (; expected[count] != NULL; count++) {
        ck_assert_uint_lt(count, list->count);
        ck_assert_str_eq(list->items[count], expected[count]);
    }
    ck_assert_uint_eq(list->count, count);
}

START_TEST(filter_keeps_the_order)
{
    char *env[] = {"B=1",     "PATH=/bin", "A=2=3", "PMI_FD=3",
                   "HOME=/h", "PMI_BARE",  "C=",    NULL};
    char *passed[] = {"B=1", "A=2=3", "HOME=/h", "C=", NULL};
    char *dropped[] = {"PATH (the image's own, or a default)",
                       "PMI_FD (another launcher's PMI)",
                       "PMI_BARE (another launcher's PMI)", NULL};
    struct strv in = {0}, out = {0};

    ck_assert_int_eq(environ_filter(env, false, true, &in, &out), 0);
    check_list(&in, passed);
    check_list(&out, dropped);
    strv_clear(&in);
    strv_clear(&out);
}
END_TEST

START_TEST(filter_with_cleanenv_and_no_list_of_the_dropped)
{
    char *env[] = {"A=1", "TZ=UTC", "PATH=/bin", "USER=u", NULL};
    char *passed[] = {"TZ=UTC", "PATH=/bin", "USER=u", NULL};
    struct strv in = {0};

    ck_assert_int_eq(environ_filter(env, true, false, &in, NULL), 0);
    check_list(&in, passed);
    strv_clear(&in);
}
END_TEST

START_TEST(overrides_replace_in_place)
{
    char *env[] = {"A=1", "B=1", NULL};
    char *set[] = {"C=3", "A=2", "C=4", "AB=5", NULL};
    char *expected[] = {"A=2", "B=1", "C=4", "AB=5", NULL};
    struct strv list = {0};

    ck_assert_int_eq(strv_add_all(&list, env), 0);
    ck_assert_int_eq(environ_override(&list, NULL), 0);
    check_list(&list, env);
    ck_assert_int_eq(environ_override(&list, set), 0);
    check_list(&list, expected);
    strv_clear(&list);
}
END_TEST

/* ---- environ_join ---- */

static const struct join {
    char *base[6];
    const char *own[4];
    const char *expected[8];
} joins[] = {
    {{"A=1", "B=1", "C=1"}, {"B=2", "D=2"}, {"A=1", "C=1", "B=2", "D=2"}},
    {{"A=1"}, {"A=2"}, {"A=2"}},
    {{"A=1", "A=2", "B="}, {"A="}, {"B=", "A="}},
    {{NULL}, {NULL}, {NULL}},
    {{NULL}, {"A=1", "B=1"}, {"A=1", "B=1"}},
    {{"A=1", "B=1"}, {NULL}, {"A=1", "B=1"}},
    /* names that begin like others */
    {{"A=1", "AB=1", "ABC=1"}, {"AB=2"}, {"A=1", "ABC=1", "AB=2"}},
    {{"A=1", "AB=1", "ABC=1"}, {"A=2", "ABC=2"}, {"AB=1", "A=2", "ABC=2"}},
    {{"AB", "A", "A_=1"}, {"A=2"}, {"AB", "A", "A_=1", "A=2"}},
    /* and values that look like names */
    {{"A=B=1", "C=A=1"}, {"B=2"}, {"A=B=1", "C=A=1", "B=2"}},
};

START_TEST(later_lists_win)
{
    const struct join *row = &joins[_i];
    const char **env = environ_join(row->base, row->own);
    size_t count = 0;

    ck_assert_ptr_nonnull(env);
    for (; row->expected[count] != NULL; count++) {
        ck_assert_ptr_nonnull(env[count]);
        ck_assert_str_eq(env[count], row->expected[count]);
    }
    ck_assert_ptr_null(env[count]);
    free(env);
}
END_TEST

START_TEST(joined_are_views)
{
    char *base[] = {"A=1", NULL};
    const char *own[] = {"B=1", NULL}, **env = environ_join(base, own);

    ck_assert_ptr_eq(env[0], base[0]);
    ck_assert_ptr_eq(env[1], own[0]);
    free(env);
}
END_TEST

START_TEST(default_path_is_what_images_expect)
{
    ck_assert_str_eq(
        environ_default_path,
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("environ");
    TCase *tc = tcase_create("environ");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, launchers_are_held_back, 0, COUNT(held));
    tcase_add_loop_test(tc, host_files_are_held_back_from_images, 0,
                        COUNT(host_files));
    tcase_add_loop_test(tc, others_pass, 0, COUNT(passing));
    tcase_add_loop_test(tc, sessions_pass_cleanenv, 0, COUNT(session));
    tcase_add_test(tc, filter_keeps_the_order);
    tcase_add_test(tc, filter_with_cleanenv_and_no_list_of_the_dropped);
    tcase_add_test(tc, overrides_replace_in_place);
    tcase_add_loop_test(tc, later_lists_win, 0, COUNT(joins));
    tcase_add_test(tc, joined_are_views);
    tcase_add_test(tc, default_path_is_what_images_expect);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
