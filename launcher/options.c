/*
 * The words of the command line are cut at ":" into segments, one an app. In a
 * segment each option word finds its row of the table by one of the row's
 * names; the row says whether a value belongs to it and which function keeps
 * the value. What is left is IMAGE COMMAND [ARG...]. Last come the checks that
 * need to see the whole.
 */
#include "launcher/options.h"

#include "base/ranklist.h"
#include "base/span.h"
#include "container/plan.h"
#include "launcher/exit.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = 65536, SECONDS_MAX = 1000 * 1000 * 1000 };

/* Whose option it is; GLOBAL ones stand in the first segment only. */
enum scope { GLOBAL, APP };

struct parser {
    struct options *options;
    struct app_options *app;
    const char *name; /* of the option at work, as the table has it */
    char **next;      /* words of the segment that were not read yet */
    char **end;
    struct ct_error *err;
    bool dashes; /* "--" stands right before the command */
};

struct option_row {
    const char *names[4];
    const char *argument; /* its name in the help; NULL: takes no value */
    bool optional;        /* the value is given as --name=VALUE or not at all */
    enum scope scope;
    bool engine; /* is about who starts the ranks, not about a rank */
    const char *help;
    int (*set)(struct parser *p, const struct option_row *row,
               const char *value);
    size_t field; /* in struct options or app_options, for the generic ones */
};

struct choice {
    const char *word;
    int value;
};

/* --map-by takes all of these but the first. */
static const struct choice places[] = {
    {"none", BIND_NONE},
    {"core", BIND_CORE},
    {"numa", BIND_NUMA},
    {"socket", BIND_SOCKET},
    {0},
};

static const struct choice pmi_families[] = {
    {"auto", PMI_AUTO}, {"pmi1", PMI_1},    {"pmi2", PMI_2},
    {"pmix", PMI_X},    {"none", PMI_NONE}, {0},
};

static int takes(struct parser *p, const char *what, const char *value)
{
    return ct_fail(p->err, EINVAL, "%s takes %s, not '%s'", p->name, what,
                   value);
}

static void *field_of(struct parser *p, const struct option_row *row)
{
    char *base = row->scope == APP ? (char *)p->app : (char *)p->options;

    return base + row->field;
}

static int set_flag(struct parser *p, const struct option_row *row,
                    const char *value)
{
    (void)value;
    *(bool *)field_of(p, row) = true;
    return 0;
}

static int set_count(struct parser *p, const struct option_row *row,
                     const char *value)
{
    long count;

    if (ct_span_number(ct_span_str(value), 1, RANKS_MAX, &count) < 0)
        return takes(p, "a number from 1 to 65536", value);
    *(unsigned *)field_of(p, row) = (unsigned)count;
    return 0;
}

static int set_seconds(struct parser *p, const struct option_row *row,
                       const char *value)
{
    /* strtod() would also take "inf", "0x1p4" and blanks. */
    bool plain = value[strspn(value, "0123456789.")] == '\0';
    char *end;
    double seconds = strtod(value, &end);

    if (!plain || end == value || *end != '\0' || seconds > SECONDS_MAX)
        return takes(p, "seconds, such as 30 or 0.5", value);
    *(double *)field_of(p, row) = seconds;
    return 0;
}

static int choose(const struct choice *choices, const char *value, int *ret)
{
    for (; choices->word != NULL; choices++)
        if (strcmp(choices->word, value) == 0) {
            *ret = choices->value;
            return 0;
        }
    return -1;
}

static int set_bind_to(struct parser *p, const struct option_row *row,
                       const char *value)
{
    int to;

    if (choose(places, value, &to) < 0)
        return takes(p, row->argument, value);
    p->options->bind.to = (enum bind_to)to;
    return 0;
}

static int set_map_by(struct parser *p, const struct option_row *row,
                      const char *value)
{
    int by;

    if (choose(places + 1, value, &by) < 0)
        return takes(p, row->argument, value);
    p->options->bind.by = (enum bind_to)by;
    return 0;
}

static int set_pmi(struct parser *p, const struct option_row *row,
                   const char *value)
{
    int pmi = PMI_AUTO;

    if (value != NULL && choose(pmi_families, value, &pmi) < 0)
        return takes(p, row->argument, value);
    p->options->pmi = (enum pmi_choice)pmi;
    p->options->pmi_required = pmi != PMI_NONE;
    return 0;
}

static int set_inject(struct parser *p, const struct option_row *row,
                      const char *value)
{
    static const struct choice choices[] = {
        {"auto", INJECT_AUTO},
        {"yes", INJECT_YES},
        {"no", INJECT_NO},
        {0},
    };
    int inject = INJECT_YES;

    if (value != NULL && choose(choices, value, &inject) < 0)
        return takes(p, row->argument, value);
    p->app->inject = (enum inject_choice)inject;
    return 0;
}

static int set_stdin(struct parser *p, const struct option_row *row,
                     const char *value)
{
    static const struct choice others[] = {
        {"all", STDIN_ALL},
        {"none", STDIN_NONE},
        {"tool", STDIN_TOOL},
        {0},
    };
    int to = STDIN_RANK;
    long rank = 0;

    if (ct_span_number(ct_span_str(value), 0, RANKS_MAX - 1, &rank) < 0 &&
        choose(others, value, &to) < 0)
        return takes(p, row->argument, value);
    p->options->stdin_to = (enum stdin_to)to;
    p->options->stdin_rank = (unsigned)rank;
    return 0;
}

static int set_host(struct parser *p, const struct option_row *row,
                    const char *value)
{
    static const struct choice hosts[] = {
        {"pmix", 0}, {"pmi2", 0}, {"pmi1", 0}, {"local", 0}, {0},
    };
    int known;

    if (choose(hosts, value, &known) < 0)
        return takes(p, row->argument, value);
    p->options->host = value;
    return 0;
}

static int set_word(struct parser *p, const struct option_row *row,
                    const char *value)
{
    if (*value == '\0')
        return takes(p, row->argument, value);
    *(const char **)field_of(p, row) = value;
    return 0;
}

static int set_engine(struct parser *p, const struct option_row *row,
                      const char *value)
{
    static const struct choice engines[] = {
        {"local", 0},   {"srun", 0}, {"mpirun", 0},
        {"mpiexec", 0}, {"prun", 0}, {0},
    };
    int known;

    if (choose(engines, value, &known) < 0)
        return takes(p, row->argument, value);
    p->options->engine = value;
    return 0;
}

static int set_output(struct parser *p, const struct option_row *row,
                      const char *value)
{
    (void)row;
    if (*value == '\0')
        return takes(p, "a file name", value);
    for (const char *s = strchr(value, '%'); s; s = strchr(s + 2, '%'))
        if (s[1] == '\0' || strchr("rhj%", s[1]) == NULL)
            return takes(p, "a file name with %r, %h, %j or %%", value);
    p->options->output = value;
    return 0;
}

static const struct choice failures[] = {
    {"end", false},
    {"continue", true},
    {0},
};

static int set_on_failure(struct parser *p, const struct option_row *row,
                          const char *value)
{
    int continues;

    if (choose(failures, value, &continues) < 0)
        return takes(p, row->argument, value);
    p->options->continues = continues;
    return 0;
}

static bool has_pset(const struct options *options, const char *name,
                     size_t len)
{
    for (size_t i = 0; i < options->psets.count; i++)
        if (strncmp(options->psets.items[i], name, len + 1) == 0)
            return true;
    return false;
}

/* Names stand in lists with commas; those of MPI and of our own are taken. */
static int set_pset(struct parser *p, const struct option_row *row,
                    const char *value)
{
    size_t len = strcspn(value, "=");

    if (len == 0 || memchr(value, ',', len) != NULL || value[len] != '=' ||
        strncmp(value, "mpi:", 4) == 0 || strncmp(value, "ctrun:", 6) == 0 ||
        ranklist_count(ct_span_str(value + len + 1), RANKS_MAX) < 0)
        return takes(p, "NAME=RANKS, such as left=0-3,8", value);
    (void)row;
    if (has_pset(p->options, value, len))
        return ct_fail(p->err, EINVAL, "%s %s: this name is taken already",
                       p->name, value);
    if (strv_add(&p->options->psets, value) < 0)
        return ct_fail_nomem(p->err);
    return 0;
}

static int set_verbose(struct parser *p, const struct option_row *row,
                       const char *value)
{
    (void)row;
    (void)value;
    if (p->options->verbosity < 0)
        p->options->verbosity = 0;
    p->options->verbosity++;
    return 0;
}

static int set_quiet(struct parser *p, const struct option_row *row,
                     const char *value)
{
    (void)row;
    (void)value;
    p->options->verbosity = -1;
    return 0;
}

/* Is it "src", "src:dst", "src:dst:ro" or "src:dst:rw", dst absolute? */
static bool is_bind(const char *bind)
{
    const char *dst = bind + plan_bind_part(bind, ':');
    const char *mode;

    if (*dst == '\0')
        return *bind == '/';
    mode = dst + 1 + plan_bind_part(dst + 1, ':');
    return dst > bind && dst[1] == '/' &&
           (*mode == '\0' || strcmp(mode, ":ro") == 0 ||
            strcmp(mode, ":rw") == 0);
}

static int add_bind(struct parser *p, const char *bind, size_t len)
{
    char *copy = ct_span_dup(ct_span(bind, len));
    int rc = 0;

    if (copy == NULL)
        return ct_fail_nomem(p->err);
    if (!is_bind(copy))
        rc = takes(p, "SRC[:DST[:ro|rw]] with absolute paths", copy);
    else if (strv_add(&p->app->binds, copy) < 0)
        rc = ct_fail_nomem(p->err);
    free(copy);
    return rc;
}

static int set_bind(struct parser *p, const struct option_row *row,
                    const char *value)
{
    (void)row;
    for (;;) {
        size_t len = plan_bind_part(value, ',');

        if (add_bind(p, value, len) < 0)
            return -1;
        if (value[len] == '\0')
            return 0;
        value += len + 1;
    }
}

static int set_env(struct parser *p, const struct option_row *row,
                   const char *value)
{
    if (*value == '=' || strchr(value, '=') == NULL)
        return takes(p, row->argument, value);
    if (strv_env_set(&p->app->env, value) < 0)
        return ct_fail_nomem(p->err);
    return 0;
}

static int set_scratch(struct parser *p, const struct option_row *row,
                       const char *value)
{
    (void)row;
    if (*value != '/')
        return takes(p, "an absolute path", value);
    if (strv_add(&p->app->scratch, value) < 0)
        return ct_fail_nomem(p->err);
    return 0;
}

static int set_pwd(struct parser *p, const struct option_row *row,
                   const char *value)
{
    (void)row;
    if (*value != '/')
        return takes(p, "an absolute path", value);
    p->app->pwd = value;
    return 0;
}

#define JOB_FIELD(name) offsetof(struct options, name)
#define APP_FIELD(name) offsetof(struct app_options, name)

/* In the order of the help. */
static const struct option_row table[] = {
    {
        .names = {"--pmi"},
        .argument = "auto|pmi1|pmi2|pmix|none",
        .optional = true,
        .help = "the ranks must speak PMI (this kind of it)",
        .set = set_pmi,
    },
    {
        .names = {"--host"},
        .argument = "pmix|pmi2|pmi1|local",
        .help = "how the launcher that started ctrun is asked",
        .set = set_host,
    },
    {
        .names = {"--engine"},
        .argument = "local|srun|mpirun|mpiexec|prun",
        .engine = true,
        .help = "what starts the ranks (default: ctrun)",
        .set = set_engine,
    },
    {
        .names = {"--engine-args"},
        .argument = "WORDS",
        .engine = true,
        .help = "more options for it",
        .set = set_word,
        .field = JOB_FIELD(engine_args),
    },
    {
        .names = {"--hosts"},
        .argument = "NAME[:N][,...]",
        .engine = true,
        .help = "nodes, by mpiexec or mpirun",
        .set = set_word,
        .field = JOB_FIELD(hosts),
    },
    {
        .names = {"--hostfile"},
        .argument = "FILE",
        .engine = true,
        .help = "a file that lists them",
        .set = set_word,
        .field = JOB_FIELD(hostfile),
    },
    {
        .names = {"-N", "--nodes"},
        .argument = "N",
        .engine = true,
        .help = "number of nodes, by srun",
        .set = set_count,
        .field = JOB_FIELD(nodes),
    },
    {
        .names = {"--ntasks-per-node"},
        .argument = "N",
        .engine = true,
        .help = "ranks on each node",
        .set = set_count,
        .field = JOB_FIELD(ranks_per_node),
    },
    {
        .names = {"--overlay-if"},
        .argument = "NAME",
        .help = "network between nodes (default: all of them)",
        .set = set_word,
        .field = JOB_FIELD(overlay_if),
    },
    {
        .names = {"--pset"},
        .argument = "NAME=RANKS",
        .help = "a process set that MPI Sessions can use",
        .set = set_pset,
    },
    {
        .names = {"--tools"},
        .help = "let PMIx tools of yours attach",
        .set = set_flag,
        .field = JOB_FIELD(tools),
    },
    {
        .names = {"--bind-to"},
        .engine = true,
        .argument = "none|core|numa|socket",
        .help = "CPUs that a rank may use (default none)",
        .set = set_bind_to,
    },
    {
        .names = {"--map-by"},
        .engine = true,
        .argument = "core|numa|socket",
        .help = "deal ranks out over these (default core)",
        .set = set_map_by,
    },
    {
        .names = {"--cpus-per-rank"},
        .engine = true,
        .argument = "N",
        .help = "cores for each rank (default 1)",
        .set = set_count,
        .field = JOB_FIELD(bind.cpus_per_rank),
    },
    {
        .names = {"--oversubscribe"},
        .help = "bound ranks may share CPUs",
        .set = set_flag,
        .field = JOB_FIELD(bind.oversubscribe),
    },
    {
        .names = {"--report-bindings"},
        .engine = true,
        .help = "print where each rank may run",
        .set = set_flag,
        .field = JOB_FIELD(report_bindings),
    },
    {
        .names = {"-l", "--label", "--tag-output"},
        .engine = true,
        .help = "begin each line of output with its rank",
        .set = set_flag,
        .field = JOB_FIELD(label),
    },
    {
        .names = {"--output"},
        .argument = "PATTERN",
        .help = "output to files; %r rank, %h host, %j job",
        .set = set_output,
    },
    {
        .names = {"--stdin"},
        .argument = "RANK|all|none|tool",
        .help = "who reads standard input (default 0)",
        .set = set_stdin,
    },
    {
        .names = {"--timeout"},
        .argument = "SECONDS",
        .help = "end the job after so long (default 0: never)",
        .set = set_seconds,
        .field = JOB_FIELD(timeout),
    },
    {
        .names = {"--on-failure"},
        .argument = "end|continue",
        .help = "whether others outlive a rank (default end)",
        .set = set_on_failure,
    },
    {
        .names = {"--kill-grace"},
        .argument = "SECONDS",
        .help = "from SIGTERM to SIGKILL (default 2)",
        .set = set_seconds,
        .field = JOB_FIELD(kill_grace),
    },
    {
        .names = {"--dry-run"},
        .engine = true,
        .help = "print what would be done, start nothing",
        .set = set_flag,
        .field = JOB_FIELD(dry_run),
    },
    {
        .names = {"-v", "--verbose"},
        .help = "say what is done; -vv more",
        .set = set_verbose,
    },
    {
        .names = {"-q", "--quiet"},
        .help = "no messages but fatal errors",
        .set = set_quiet,
    },
    {
        .names = {"-h", "--help"},
        .help = "print this and exit",
        .set = set_flag,
        .field = JOB_FIELD(help),
    },
    {
        .names = {"--version"},
        .help = "print the version and exit",
        .set = set_flag,
        .field = JOB_FIELD(version),
    },
    {
        .names = {"-n", "-np", "--np", "--ntasks"},
        .argument = "N",
        .engine = true,
        .scope = APP,
        .help = "number of ranks (default 1)",
        .set = set_count,
        .field = APP_FIELD(ranks),
    },
    {
        .names = {"-B", "--bind"},
        .argument = "SRC[:DST[:ro|rw]][,...]",
        .scope = APP,
        .help = "show SRC of the host as DST in the container",
        .set = set_bind,
    },
    {
        .names = {"--no-home"},
        .scope = APP,
        .help = "do not bind $HOME",
        .set = set_flag,
        .field = APP_FIELD(no_home),
    },
    {
        .names = {"--scratch"},
        .argument = "DIR",
        .scope = APP,
        .help = "an empty tmpfs at DIR, one for each rank",
        .set = set_scratch,
    },
    {
        .names = {"--writable-tmpfs"},
        .scope = APP,
        .help = "writes to the image go to memory, then are lost",
        .set = set_flag,
        .field = APP_FIELD(writable_tmpfs),
    },
    {
        .names = {"--inject-pmi"},
        .argument = "auto|yes|no",
        .optional = true,
        .scope = APP,
        .help = "ctrun's libpmi in the place of the image's",
        .set = set_inject,
    },
    {
        .names = {"--pwd"},
        .argument = "DIR",
        .scope = APP,
        .help = "working directory (default: the current one)",
        .set = set_pwd,
    },
    {
        .names = {"--env"},
        .argument = "NAME=VALUE",
        .scope = APP,
        .help = "set an environment variable",
        .set = set_env,
    },
    {
        .names = {"-e", "--cleanenv"},
        .scope = APP,
        .help = "do not pass the host's environment on",
        .set = set_flag,
        .field = APP_FIELD(cleanenv),
    },
    {
        .names = {"--no-container"},
        .scope = APP,
        .help = "run COMMAND on the host; there is no IMAGE",
        .set = set_flag,
        .field = APP_FIELD(no_container),
    },
};

enum { ROWS = sizeof table / sizeof table[0], NAMES = 4 };

/* The row with a name of exactly these bytes; *ret_name is that name. */
static const struct option_row *find_row(struct ct_span word,
                                         const char **ret_name)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < NAMES && table[i].names[j] != NULL; j++)
            if (ct_span_is(word, table[i].names[j])) {
                *ret_name = table[i].names[j];
                return &table[i];
            }
    return NULL;
}

static int unknown(struct parser *p, const char *word)
{
    return ct_fail(p->err, EINVAL, "unknown option '%s'; try 'ctrun --help'",
                   word);
}

/* What each rank's own ctrun has to know, if an engine starts them. */
static int keep_inner(struct parser *p, const struct option_row *row,
                      const char *value)
{
    if (row->engine)
        return 0;
    return strv_addf(&p->options->inner, value != NULL ? "%s=%s" : "%s",
                     p->name, value);
}

/* value: what was given in the same word, or NULL. */
static int apply(struct parser *p, const struct option_row *row,
                 const char *value)
{
    if (row->scope == GLOBAL && p->app != p->options->apps)
        return ct_fail(p->err, EINVAL,
                       "%s is for the whole job: give it before the first ':'",
                       p->name);
    if (row->argument == NULL && value != NULL)
        return ct_fail(p->err, EINVAL, "%s takes no value", p->name);
    if (row->argument != NULL && value == NULL && !row->optional) {
        if (p->next == p->end)
            return ct_fail(p->err, EINVAL, "%s takes %s, but nothing follows",
                           p->name, row->argument);
        value = *p->next++;
    }
    if (keep_inner(p, row, value) < 0)
        return ct_fail_nomem(p->err);
    return row->set(p, row, value);
}

/* "-np4": the name has two letters, which may be one's and its value's too. */
static const struct option_row *find_pair(struct parser *p, const char *word)
{
    if (strlen(word) < 4)
        return NULL;
    return find_row(ct_span(word, 3), &p->name);
}

/* "-env" is mpiexec's word, and not "-e -n v". */
static bool is_value_of(const struct option_row *row, const char *value)
{
    return row->set != set_count || (*value >= '0' && *value <= '9');
}

/* "-lv", "-n4": letters without a value, then perhaps one with its value. */
static int parse_letters(struct parser *p, const char *word)
{
    for (const char *s = word + 1; *s != '\0'; s++) {
        char name[] = {'-', *s, '\0'};
        const struct option_row *row = find_row(ct_span_str(name), &p->name);
        bool last = s[1] == '\0';

        if (row == NULL ||
            (row->argument != NULL && !last && !is_value_of(row, s + 1)))
            return unknown(p, word);
        if (row->argument != NULL)
            return apply(p, row, last ? NULL : s + 1);
        if (apply(p, row, NULL) < 0)
            return -1;
    }
    return 0;
}

static int parse_option(struct parser *p, const char *word)
{
    size_t len = strcspn(word, "=");
    const struct option_row *row = find_row(ct_span(word, len), &p->name);

    if (row != NULL)
        return apply(p, row, word[len] == '=' ? word + len + 1 : NULL);
    row = word[1] != '-' ? find_pair(p, word) : NULL;
    if (row != NULL)
        return apply(p, row, word + 3);
    if (word[1] != '-')
        return parse_letters(p, word);
    return unknown(p, word);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static bool is_over(const struct parser *p)
{
    return p->options->help || p->options->version;
}

static int parse_options(struct parser *p)
{
    while (p->next < p->end && is_option(*p->next) && !is_over(p)) {
        const char *word = *p->next++;

        if (strcmp(word, "--") == 0) {
            p->dashes = p->app->no_container;
            break;
        }
        if (parse_option(p, word) < 0)
            return -1;
    }
    return 0;
}

static int take_image(struct parser *p)
{
    if (p->app->no_container)
        return 0;
    if (p->next == p->end)
        return ct_fail(p->err, EINVAL,
                       "no image and no command; try 'ctrun --help'");
    p->app->image = *p->next++;
    if (*p->app->image == '\0')
        return ct_fail(p->err, EINVAL, "the name of the image is empty");
    /* As ch-run has it: IMAGE -- COMMAND. */
    if (p->next < p->end && strcmp(*p->next, "--") == 0) {
        p->next++;
        p->dashes = true;
    }
    return 0;
}

static int take_command(struct parser *p)
{
    if (p->next == p->end && p->app->image != NULL)
        return ct_fail(p->err, EINVAL, "no command for the image '%s'",
                       p->app->image);
    if (p->next == p->end)
        return ct_fail(p->err, EINVAL, "no command; try 'ctrun --help'");
    if (is_option(*p->next) && !p->dashes)
        return ct_fail(p->err, EINVAL,
                       "'%s' stands where the command should: options of "
                       "ctrun go before the image",
                       *p->next);
    if (**p->next == '\0')
        return ct_fail(p->err, EINVAL, "the name of the command is empty");
    while (p->next < p->end)
        if (strv_add(&p->app->command, *p->next++) < 0)
            return ct_fail_nomem(p->err);
    return 0;
}

/* Without a container there is nothing that these could change. */
static int check_container(struct parser *p)
{
    const struct app_options *app = p->app;
    const char *name = app->binds.count > 0        ? "--bind"
                       : app->scratch.count > 0    ? "--scratch"
                       : app->writable_tmpfs       ? "--writable-tmpfs"
                       : app->no_home              ? "--no-home"
                       : app->inject == INJECT_YES ? "--inject-pmi"
                                                   : NULL;

    if (!app->no_container || name == NULL)
        return 0;
    return ct_fail(p->err, EINVAL, "%s does nothing with --no-container", name);
}

static int parse_segment(struct parser *p)
{
    if (parse_options(p) < 0)
        return -1;
    if (is_over(p))
        return 0;
    if (take_image(p) < 0 || take_command(p) < 0 || check_container(p) < 0)
        return -1;
    p->app->ranks_given = p->app->ranks > 0;
    if (!p->app->ranks_given)
        p->app->ranks = 1;
    return 0;
}

static char **find_colon(char **words, char **end)
{
    while (words < end && strcmp(*words, ":") != 0)
        words++;
    return words;
}

static int add_app(struct options *options, struct ct_error *reterr)
{
    size_t size = (options->app_count + 1) * sizeof *options->apps;
    struct app_options *apps = realloc(options->apps, size);

    if (apps == NULL)
        return ct_fail_nomem(reterr);
    options->apps = apps;
    apps[options->app_count++] = (struct app_options){0};
    return 0;
}

static int parse_segments(struct options *options, char **words, char **end,
                          struct ct_error *reterr)
{
    for (;; words++) {
        char **colon = find_colon(words, end);
        struct parser p = {options, NULL, NULL, words, colon, reterr, false};

        if (add_app(options, reterr) < 0)
            return -1;
        p.app = &options->apps[options->app_count - 1];
        if (parse_segment(&p) < 0)
            return p.app == options->apps
                       ? -1
                       : ct_fail_in(reterr, "app %u", options->app_count);
        words = colon;
        if (words == end || is_over(&p))
            return 0;
    }
}

static unsigned long count_ranks(const struct options *options)
{
    unsigned long ranks = 0;

    for (unsigned i = 0; i < options->app_count; i++)
        ranks += options->apps[i].ranks;
    return ranks;
}

static int check_ranks(const struct options *options, struct ct_error *reterr)
{
    unsigned long ranks = count_ranks(options);

    if (ranks > RANKS_MAX)
        return ct_fail(reterr, EINVAL, "%lu ranks in sum; %d is the most",
                       ranks, RANKS_MAX);
    if (options->stdin_to == STDIN_RANK && options->stdin_rank >= ranks)
        return ct_fail(reterr, EINVAL,
                       "--stdin %u: the last of %lu ranks is %lu",
                       options->stdin_rank, ranks, ranks - 1);
    if (options->stdin_to == STDIN_TOOL && !options->tools)
        return ct_fail(reterr, EINVAL,
                       "--stdin tool: without --tools there is none");
    return 0;
}

static int check_psets(const struct options *options, struct ct_error *reterr)
{
    unsigned ranks = (unsigned)count_ranks(options); /* check_ranks() first */

    for (size_t i = 0; i < options->psets.count; i++) {
        const char *pset = options->psets.items[i];

        if (ranklist_count(ct_span_str(strchr(pset, '=') + 1), ranks) < 0)
            return ct_fail(reterr, EINVAL,
                           "--pset %s: the last of %u ranks is %u", pset, ranks,
                           ranks - 1);
    }
    return 0;
}

static int check_binding(const struct options *options, struct ct_error *reterr)
{
    const struct bind_request *bind = &options->bind;
    const char *name = bind->by != BIND_NONE      ? "--map-by"
                       : bind->cpus_per_rank != 1 ? "--cpus-per-rank"
                                                  : NULL;

    if (bind->to != BIND_NONE || name == NULL)
        return 0;
    return ct_fail(reterr, EINVAL,
                   "%s does nothing without --bind-to core, numa or socket",
                   name);
}

int options_parse(int argc, char **argv, struct options *ret,
                  struct ct_error *reterr)
{
    struct options options = {
        .bind = {.cpus_per_rank = 1},
        .kill_grace = 2,
    };
    char **first = argv + (argc > 0);

    if (parse_segments(&options, first, argv + argc, reterr) < 0)
        goto fail;
    if (!options.help && !options.version &&
        (check_ranks(&options, reterr) < 0 ||
         check_psets(&options, reterr) < 0 ||
         check_binding(&options, reterr) < 0))
        goto fail;
    *ret = options;
    return 0;
fail:
    options_clear(&options);
    return -1;
}

void options_clear(struct options *options)
{
    for (unsigned i = 0; i < options->app_count; i++) {
        struct app_options *app = &options->apps[i];

        strv_clear(&app->command);
        strv_clear(&app->binds);
        strv_clear(&app->env);
        strv_clear(&app->scratch);
    }
    free(options->apps);
    strv_clear(&options->psets);
    strv_clear(&options->inner);
    *options = (struct options){0};
}

/* "  -l, --label" up to the column of the texts, or a line of its own. */
static void help_names(FILE *f, const struct option_row *row)
{
    enum { COLUMN = 32 };
    int used = fprintf(f, " ");

    for (size_t i = 0; i < NAMES && row->names[i] != NULL; i++)
        used += fprintf(f, "%s%s", i > 0 ? ", " : " ", row->names[i]);
    if (row->argument != NULL)
        used += fprintf(f, row->optional ? "[=%s]" : " %s", row->argument);
    if (used + 2 > COLUMN) {
        fprintf(f, "\n");
        used = 0;
    }
    fprintf(f, "%*s", COLUMN - used, "");
}

static void help_scope(FILE *f, enum scope scope)
{
    for (size_t i = 0; i < ROWS; i++)
        if (table[i].scope == scope) {
            help_names(f, &table[i]);
            fprintf(f, "%s\n", table[i].help);
        }
}

char *options_help(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (f == NULL)
        return NULL;
    fprintf(f, "Usage: ctrun [options] IMAGE COMMAND [ARG...]"
               " [ : [options] IMAGE COMMAND ... ]\n"
               "Run an MPI program with one container for each rank.\n"
               "IMAGE is a SIF or squashfs file, or a directory.\n"
               "\nOptions of an app, before each IMAGE:\n");
    help_scope(f, APP);
    fprintf(f, "\nOptions of the job, before the first IMAGE:\n");
    help_scope(f, GLOBAL);
    fprintf(f,
            "\nExit status: that of the first rank that failed (%d+N: ended by"
            " signal N);\n%d --timeout ran out, %d ctrun failed or a rank"
            " broke PMI, %d the command\ncannot be run, %d it was not found."
            "  The manual is ctrun(1).\n",
            EXIT_SIGNAL, EXIT_TIMEOUT, EXIT_CTRUN, EXIT_NOT_RUNNABLE,
            EXIT_NOT_FOUND);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
