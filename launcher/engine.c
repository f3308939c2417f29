#include "launcher/engine.h"

#include "base/scope.h"
#include "base/span.h"
#include "container/rank.h"
#include "host/task.h"
#include "launcher/foreign.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- the engines ---- */

/* How it is told which CPUs ranks may use. NULL: it cannot. */
struct binding {
    const char *option;
    const char *units[BIND_SOCKET + 1];
    const char *cpus;    /* cores for each rank */
    const char *report;  /* an option of its own, */
    const char *verbose; /* or a word before the unit */
};

static const struct binding of_srun = {.option = "--cpu-bind",
                                       .units = {[BIND_CORE] = "cores",
                                                 [BIND_NUMA] = "ldoms",
                                                 [BIND_SOCKET] = "sockets"},
                                       .cpus = "--cpus-per-task",
                                       .verbose = "verbose"};
static const struct binding of_mpirun = {
    .option = "--bind-to",
    .units =
        {[BIND_CORE] = "core", [BIND_NUMA] = "numa", [BIND_SOCKET] = "socket"},
    .report = "--report-bindings"};
static const struct binding of_prun = {
    .option = "--bind-to",
    .units = {
        [BIND_CORE] = "core", [BIND_NUMA] = "numa", [BIND_SOCKET] = "package"}};
static const struct binding of_hydra = {
    .option = "-bind-to",
    .units = {
        [BIND_CORE] = "core", [BIND_NUMA] = "numa", [BIND_SOCKET] = "socket"}};

struct engine {
    const char *name; /* as --engine has it */
    const char *programs[4];
    const char *label; /* how it is told to begin lines with the rank */
    const char *hosts, *hostfile;
    /* Ranks for each node: an option, and what is around the number. NULL: it
       is srun, which counts nodes itself. */
    const char *each, *before, *after;
    const struct binding *binding;
    bool by_name; /* wants an allocation or daemons to be there already */
};

static int add_number(struct strv *ret, const char *option, unsigned number)
{
    return number > 0 ? strv_addf(ret, "%s=%u", option, number) : 0;
}

/* Of the words that `srun --mpi=list` prints, "pmix_v4" is pmix too. */
static bool names(const char *text, const char *kind)
{
    size_t len = strlen(kind);

    for (text += strspn(text, " \t\n"); *text != '\0';
         text += strspn(text, " \t\n")) {
        size_t word = strcspn(text, " \t\n,");

        if (strncmp(text, kind, len) == 0 && (word == len || text[len] == '_'))
            return true;
        text += word + (text[word] == ',');
    }
    return false;
}

/*
 * For the one exchange that we want of it pmi2 is the better: its start costs
 * half of pmix's, and its fence has always waited for all.
 */
static const char *choose_kind(const char *list)
{
    return names(list, "pmi2") ? "pmi2" : names(list, "pmix") ? "pmix" : NULL;
}

static int add_mpi(const struct engine_facts *facts, const char *program,
                   struct strv *ret, struct ct_error *reterr)
{
    CT_AUTO_FREE char *list = facts->srun_list(program, reterr);
    const char *kind;

    if (list == NULL)
        return -1;
    kind = choose_kind(list);
    if (kind != NULL)
        return strv_addf(ret, "--mpi=%s", kind) < 0 ? ct_fail_nomem(reterr) : 0;
    return ct_fail(reterr, ENOENT,
                   "this Slurm has neither --mpi=pmi2 nor --mpi=pmix, so ranks "
                   "could not find each other");
}

/*
 * In a step (srun --pty bash) a new one would wait for ever for the CPUs that
 * this one has. A batch script's step and salloc's lend them: these have no
 * number, or one above all others.
 */
static bool is_in_step(char *const *env)
{
    const char *step = env_get(env, "SLURM_STEP_ID");
    long number;

    return step != NULL &&
           ct_span_number(ct_span_str(step), 0, INT_MAX, &number) == 0;
}

static int add_srun(const struct options *options,
                    const struct engine_facts *facts, const char *program,
                    struct strv *ret, struct ct_error *reterr)
{
    if (is_in_step(facts->env) && strv_add(ret, "--overlap") < 0)
        return ct_fail_nomem(reterr);
    if (add_number(ret, "--nodes", options->nodes) < 0 ||
        strv_addf(ret, "--ntasks=%u", options->apps[0].ranks) < 0 ||
        add_number(ret, "--ntasks-per-node", options->ranks_per_node) < 0)
        return ct_fail_nomem(reterr);
    return add_mpi(facts, program, ret, reterr);
}

static int add_ranks(const struct engine *engine, const struct options *options,
                     struct strv *ret, struct ct_error *reterr)
{
    unsigned each = options->ranks_per_node;

    if (options->nodes > 0)
        return ct_fail(reterr, EINVAL,
                       "--nodes is srun's; %s takes its nodes from --hosts",
                       engine->name);
    if (strv_add(ret, "-n") < 0 ||
        strv_addf(ret, "%u", options->apps[0].ranks) < 0 ||
        (each > 0 &&
         (strv_add(ret, engine->each) < 0 ||
          strv_addf(ret, "%s%u%s", engine->before, each, engine->after) < 0)))
        return ct_fail_nomem(reterr);
    return 0;
}

/* In the order in which they are looked for when there are --hosts. */
static const struct engine engines[] = {
    {"mpiexec",
     {"mpiexec.hydra"},
     "-l",
     "-hosts",
     "-f",
     "-ppn",
     "",
     "",
     &of_hydra,
     false},
    {"mpirun",
     {"mpirun.openmpi", "prterun", "mpirun"},
     "--tag-output",
     "--host",
     "--hostfile",
     "--map-by",
     "ppr:",
     ":node",
     &of_mpirun,
     false},
    {"prun",
     {"prun"},
     "--output=tag",
     "--host",
     "--hostfile",
     "--map-by",
     "ppr:",
     ":node",
     &of_prun,
     true},
    {"srun",
     {"srun"},
     "--label",
     "--nodelist",
     NULL,
     NULL,
     NULL,
     NULL,
     &of_srun,
     true},
};

enum { ENGINES = sizeof engines / sizeof engines[0] };

/* ---- the choice ---- */

static char *find_program(const struct engine *engine,
                          const struct engine_facts *facts)
{
    char *path = NULL;

    for (size_t i = 0; i < 4 && engine->programs[i] != NULL && path == NULL;
         i++)
        path = facts->find(engine->programs[i]);
    return path;
}

/*
 * An allocation of several nodes. On a single one ctrun starts the ranks
 * itself, which is quicker and can do more with their output.
 */
static bool is_allocation(char *const *env)
{
    const char *nodes = env_get(env, "SLURM_JOB_NUM_NODES");
    long count;

    return env_get(env, "SLURM_JOB_ID") != NULL && nodes != NULL &&
           ct_span_number(ct_span_str(nodes), 2, INT_MAX, &count) == 0;
}

static bool has_hosts(const struct options *options)
{
    return options->hosts != NULL || options->hostfile != NULL;
}

static const struct engine *find_engine(const char *name)
{
    const struct engine *engine = engines;

    while (engine < engines + ENGINES && strcmp(engine->name, name) != 0)
        engine++;
    return engine < engines + ENGINES ? engine : NULL;
}

static const struct engine *first_there(const struct engine_facts *facts)
{
    for (const struct engine *engine = engines; engine < engines + ENGINES;
         engine++) {
        CT_AUTO_FREE char *path = find_program(engine, facts);

        if (path != NULL && !engine->by_name)
            return engine;
    }
    return NULL;
}

/* 0 with NULL: ctrun itself. */
static int choose(const struct options *options,
                  const struct engine_facts *facts, const struct engine **ret,
                  struct ct_error *reterr)
{
    struct host_task task;
    bool is_task = host_task_find(facts->env, &task);

    *ret = NULL;
    if (options->engine != NULL) {
        *ret = find_engine(options->engine);
    } else if (has_hosts(options) && !is_task) {
        *ret = first_there(facts);
        if (*ret == NULL)
            return ct_fail(reterr, ENOENT,
                           "--hosts: neither mpiexec.hydra nor mpirun is here "
                           "to start ranks there");
    } else if (options->apps[0].ranks_given && !is_task &&
               is_allocation(facts->env)) {
        *ret = find_engine("srun");
    }
    return 0;
}

/* ---- the command ---- */

static int add_places(const struct engine *engine,
                      const struct options *options, struct strv *ret,
                      struct ct_error *reterr)
{
    if (options->hostfile != NULL && engine->hostfile == NULL)
        return ct_fail(reterr, EINVAL, "%s takes no --hostfile", engine->name);
    if (options->hosts != NULL && engine->hostfile == NULL &&
        strchr(options->hosts, ':') != NULL)
        return ct_fail(reterr, EINVAL,
                       "--hosts=%.200s: %s takes names alone; how many ranks "
                       "each node gets say --ntasks-per-node",
                       options->hosts, engine->name);
    if ((options->label && strv_add(ret, engine->label) < 0) ||
        (options->hosts != NULL && (strv_add(ret, engine->hosts) < 0 ||
                                    strv_add(ret, options->hosts) < 0)) ||
        (options->hostfile != NULL && (strv_add(ret, engine->hostfile) < 0 ||
                                       strv_add(ret, options->hostfile) < 0)))
        return ct_fail_nomem(reterr);
    return 0;
}

static int cannot(const struct engine *engine, const char *option,
                  struct ct_error *reterr)
{
    return ct_fail(reterr, EINVAL,
                   "%s: %s has nothing like it; ask it with --engine-args",
                   option, engine->name);
}

/* "verbose,cores" */
static int add_units(const struct binding *binding, const char *unit,
                     const char *verbose, struct strv *ret)
{
    if (unit == NULL && verbose == NULL)
        return 0;
    if (strv_add(ret, binding->option) < 0)
        return -1;
    return strv_addf(ret, "%s%s%s", verbose != NULL ? verbose : "",
                     unit != NULL && verbose != NULL ? "," : "",
                     unit != NULL ? unit : "");
}

static int add_binding(const struct engine *engine,
                       const struct options *options, struct strv *ret,
                       struct ct_error *reterr)
{
    const struct bind_request *bind = &options->bind;
    const struct binding *binding = engine->binding;
    const char *report = options->report_bindings ? binding->report : NULL;
    const char *verbose = options->report_bindings ? binding->verbose : NULL;

    if (options->report_bindings && report == NULL && verbose == NULL)
        return cannot(engine, "--report-bindings", reterr);
    if (bind->cpus_per_rank > 1 && binding->cpus == NULL)
        return cannot(engine, "--cpus-per-rank", reterr);
    if ((bind->cpus_per_rank > 1 &&
         add_number(ret, binding->cpus, bind->cpus_per_rank) < 0) ||
        add_units(binding, binding->units[bind->to], verbose, ret) < 0 ||
        (report != NULL && strv_add(ret, report) < 0))
        return ct_fail_nomem(reterr);
    return 0;
}

/* Words are cut at blanks; who needs more calls the engine himself. */
static int add_words(struct strv *ret, const char *words)
{
    while (words != NULL && *(words += strspn(words, " ")) != '\0') {
        size_t len = strcspn(words, " ");
        CT_AUTO_FREE char *word = ct_span_dup(ct_span(words, len));

        if (word == NULL || strv_add(ret, word) < 0)
            return -1;
        words += len;
    }
    return 0;
}

static int add_self(const struct options *options,
                    const struct engine_facts *facts, struct strv *ret)
{
    const struct app_options *app = &options->apps[0];

    if (add_words(ret, options->engine_args) < 0 ||
        strv_add(ret, facts->self) < 0 ||
        strv_add_all(ret, options->inner.items) < 0 ||
        (app->image != NULL && strv_add(ret, app->image) < 0))
        return -1;
    return strv_add_all(ret, app->command.items);
}

static int build(const struct engine *engine, const struct options *options,
                 const struct engine_facts *facts, struct strv *ret,
                 struct ct_error *reterr)
{
    CT_AUTO_FREE char *path = find_program(engine, facts);

    if (path == NULL)
        return ct_fail(reterr, ENOENT, "--engine=%s: %s is not here",
                       engine->name, engine->programs[0]);
    if (options->app_count > 1)
        return ct_fail(reterr, EINVAL,
                       "several apps (':') are for ranks that ctrun itself "
                       "starts, with --engine=local");
    if (foreign_refuse(options, true, reterr) < 0)
        return -1;
    if (strv_add(ret, path) < 0)
        return ct_fail_nomem(reterr);
    if ((engine->each != NULL
             ? add_ranks(engine, options, ret, reterr)
             : add_srun(options, facts, path, ret, reterr)) < 0 ||
        add_places(engine, options, ret, reterr) < 0 ||
        add_binding(engine, options, ret, reterr) < 0)
        return -1;
    return add_self(options, facts, ret) < 0 ? ct_fail_nomem(reterr) : 0;
}

/* What only an engine could do. */
static int check_local(const struct options *options, struct ct_error *reterr)
{
    const char *name = options->nodes > 0             ? "--nodes"
                       : options->ranks_per_node > 0  ? "--ntasks-per-node"
                       : options->engine_args != NULL ? "--engine-args"
                       : has_hosts(options)           ? "--hosts"
                                                      : NULL;

    if (name == NULL)
        return 0;
    return ct_fail(reterr, EINVAL,
                   "%s is for an engine, and here ctrun itself starts the "
                   "ranks, on this node",
                   name);
}

int engine_command(const struct options *options,
                   const struct engine_facts *facts, struct strv *ret,
                   struct ct_error *reterr)
{
    const struct engine *engine;

    if (choose(options, facts, &engine, reterr) < 0)
        return -1;
    if (engine == NULL)
        return check_local(options, reterr);
    if (build(engine, options, facts, ret, reterr) < 0) {
        strv_clear(ret);
        return -1;
    }
    return 0;
}

/* ---- this machine ---- */

static char *find_in_path(const char *name)
{
    return rank_find_command(name, getenv("PATH"), "/", NULL);
}

/* Where a program says why it ends; lines end in NUL then. */
static const char *last_line(char *text)
{
    const char *last = text;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save))
        last = line;
    return last;
}

static char *srun_list(const char *srun, struct ct_error *reterr)
{
    char command[PATH_MAX + 40];
    CT_AUTO_FREE char *text = calloc(1, 4096);
    size_t len;
    FILE *list;
    int status;

    if (text == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    snprintf(command, sizeof command, "'%s' --mpi=list 2>&1", srun);
    list = popen(command, "re");
    if (list == NULL) {
        ct_fail_errno(reterr, "cannot start %s", srun);
        return NULL;
    }
    len = fread(text, 1, 4095, list);
    text[len] = '\0';
    status = pclose(list);
    if (status == 0 || choose_kind(text) != NULL)
        return ct_steal_ptr(&text);
    ct_fail(reterr, ENOENT, "%s does not work here: %s", srun, last_line(text));
    return NULL;
}

struct engine_facts engine_look(char *const *env)
{
    static char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    self[len > 0 ? len : 0] = '\0';
    return (struct engine_facts){
        .env = env,
        .self = len > 0 ? self : "ctrun",
        .find = find_in_path,
        .srun_list = srun_list,
    };
}
