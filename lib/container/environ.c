#include "container/environ.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char environ_default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct row {
    const char *name; /* a trailing '*' stands for any rest */
    const char *why;
};

/* These would tell a guest that another launcher, or another rank, is meant. */
static const struct row launchers[] = {
    {"PMI_*", "another launcher's PMI"},
    {"PMI2_*", "another launcher's PMI"},
    {"PMIX_*", "another launcher's PMIx"},
    {"PRTE_*", "another launcher's: PRRTE"},
    {"PRRTE_*", "another launcher's: PRRTE"},
    {"HYDI_*", "another launcher's: Hydra"},
    {"HYDRA_*", "another launcher's: Hydra"},
    {"MPI_LOCALRANKID", "another launcher's: Hydra"},
    {"MPI_LOCALNRANKS", "another launcher's: Hydra"},
    {"MPIR_CVAR_CH3_INTERFACE_HOSTNAME", "another launcher's: Hydra"},
    {"OMPI_COMM_WORLD_*", "another launcher's: Open MPI"},
    {"OMPI_UNIVERSE_SIZE", "another launcher's: Open MPI"},
    {"OMPI_APP_CTX_NUM_PROCS", "another launcher's: Open MPI"},
    {"OMPI_FIRST_RANKS", "another launcher's: Open MPI"},
    {"OMPI_FILE_LOCATION", "another launcher's: Open MPI"},
    {"OMPI_COMMAND", "another launcher's: Open MPI"},
    {"OMPI_ARGV", "another launcher's: Open MPI"},
    {"OMPI_NUM_APP_CTX", "another launcher's: Open MPI"},
    {"OMPI_PARENT_PORT", "another job's: its parents are no parents here"},
    {"OMPI_MCA_initial_wdir", "another launcher's: Open MPI"},
    {"OMPI_MCA_mpi_oversubscribe", "another launcher's: Open MPI"},
    {"OMPI_MCA_shmem_RUNTIME_QUERY_hint", "another launcher's: Open MPI"},
    {"OMPI_MCA_pmix", "another launcher's: Open MPI"},
    {"OMPI_MCA_ess*", "another launcher's: Open MPI"},
    {"OMPI_MCA_orte_*", "another launcher's: Open MPI"},
    {"OMPI_MCA_mca_base_component_path", "another launcher's: PRRTE leaks it"},
    {"MV2_COMM_WORLD_*", "another launcher's: MVAPICH2"},
    {"FLUX_TASK_*", "another launcher's: Flux"},
    {"FLUX_JOB_ID", "another launcher's: Flux, whose PMI Open MPI 4.1.0 seeks"},
    {"FLUX_PMI_LIBRARY_PATH", "another launcher's: Flux"},
    {"PALS_*", "another launcher's: PALS"},
    {"SLURM_PROCID", "another launcher's: Slurm, one task's"},
    {"SLURM_LOCALID", "another launcher's: Slurm, one task's"},
    {"SLURM_NODEID", "another launcher's: Slurm, one task's"},
    {"SLURM_TASK_PID", "another launcher's: Slurm, one task's"},
    {"SLURM_GTIDS", "another launcher's: Slurm, one task's"},
    {"SLURM_MPI_TYPE", "another launcher's: Slurm"},
    {"SLURM_PMI*", "another launcher's: Slurm"},
    {"CTRUN_RANK", "another ctrun's"},
    {"CTRUN_SIZE", "another ctrun's"},
    {"CTRUN_LOCAL_*", "another ctrun's"},
    {"CTRUN_JOBID", "another ctrun's"},
    {"CTRUN_IMAGE", "another ctrun's"},
    {.name = NULL},
};

/* These name files of the host. */
static const struct row host_files[] = {
    {"PATH", "the image's own, or a default"},
    {"LD_LIBRARY_PATH", "libraries of the host"},
    {"LD_PRELOAD", "libraries of the host"},
    {"LD_AUDIT", "libraries of the host"},
    {.name = NULL},
};

static const char *const session_names[] = {
    "HOME", "USER", "LOGNAME", "TERM", "LANG", "TZ", NULL,
};

static bool matches(const char *pattern, const char *assignment)
{
    size_t len = strlen(pattern);

    if (pattern[len - 1] == '*')
        return strncmp(pattern, assignment, len - 1) == 0;
    return strncmp(pattern, assignment, len) == 0 && assignment[len] == '=';
}

static const char *find(const struct row *rows, const char *assignment)
{
    for (; rows->name != NULL; rows++)
        if (matches(rows->name, assignment))
            return rows->why;
    return NULL;
}

/* PATH too, where it is not an image's. */
static bool of_session(const char *assignment, bool container)
{
    if (!container && matches("PATH", assignment))
        return true;
    for (const char *const *name = session_names; *name != NULL; name++)
        if (matches(*name, assignment))
            return true;
    return false;
}

const char *environ_refuses(const char *assignment, bool cleanenv,
                            bool container)
{
    const char *why = find(launchers, assignment);

    if (why == NULL && container)
        why = find(host_files, assignment);
    if (why == NULL && cleanenv && !of_session(assignment, container))
        why = "--cleanenv";
    return why;
}

int environ_filter(char *const *env, bool cleanenv, bool container,
                   struct strv *ret_passed, struct strv *ret_dropped)
{
    for (; *env != NULL; env++) {
        const char *why = environ_refuses(*env, cleanenv, container);
        if (why == NULL) {
            if (strv_add(ret_passed, *env) < 0)
                return -1;
        } else if (ret_dropped != NULL &&
                   strv_addf(ret_dropped, "%.*s (%s)", (int)strcspn(*env, "="),
                             *env, why) < 0)
            return -1;
    }
    return 0;
}

int environ_override(struct strv *env, char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (strv_env_set(env, *list) < 0)
            return -1;
    return 0;
}

static bool same_name(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");

    return strncmp(a, b, len) == 0 && b[len] == '=';
}

static bool overridden(const char *item, const char *const *own)
{
    for (; *own != NULL; own++)
        if (same_name(*own, item))
            return true;
    return false;
}

static size_t count_of(const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;
    return count;
}

const char **environ_join(char *const *base, const char *const *own)
{
    size_t count = 0, own_count = count_of(own);
    const char **env = malloc(
        (count_of((const char *const *)base) + own_count + 1) * sizeof *env);

    if (env == NULL)
        return NULL;
    for (; *base != NULL; base++)
        if (!overridden(*base, own))
            env[count++] = *base;
    memcpy(env + count, own, (own_count + 1) * sizeof *env);
    return env;
}
