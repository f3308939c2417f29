#include "launcher/job.h"

#include "base/ranklist.h"
#include "base/scope.h"
#include "launcher/libpmi.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* ---- the host ---- */

/* Copies: the C library's buffers change with the next look-up. */
struct host {
    struct host_facts facts;
    char user[64], group[64], home[PATH_MAX], cwd[PATH_MAX];
};

static void look_up_names(struct host *host)
{
    const struct passwd *user = getpwuid(host->facts.uid);
    const char *home = getenv("HOME");

    if (user != NULL) {
        snprintf(host->user, sizeof host->user, "%s", user->pw_name);
        host->facts.user = host->user;
        if (home == NULL)
            home = user->pw_dir;
    }
    if (home != NULL) {
        snprintf(host->home, sizeof host->home, "%s", home);
        host->facts.home = host->home;
    }
    const struct group *group = getgrgid(host->facts.gid);
    if (group != NULL) {
        snprintf(host->group, sizeof host->group, "%s", group->gr_name);
        host->facts.group = host->group;
    }
}

static int look_at_host(struct host *ret, struct ct_error *reterr)
{
    *ret = (struct host){0};
    ret->facts.uid = geteuid();
    ret->facts.gid = getegid();
    ret->facts.env = environ;
    if (getcwd(ret->cwd, sizeof ret->cwd) != NULL)
        ret->facts.cwd = ret->cwd;
    else if (errno != ENOENT) /* it has been removed */
        return ct_fail_errno(reterr, "cannot tell the working directory");
    look_up_names(ret);
    return 0;
}

/* ---- plans ---- */

static bool same_lists(const struct strv *a, const struct strv *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Would they run in the same container? Then its image is mounted once. */
static bool same_container(const struct app_options *a,
                           const struct app_options *b)
{
    return same_text(a->image, b->image) && same_text(a->pwd, b->pwd) &&
           a->no_home == b->no_home && a->cleanenv == b->cleanenv &&
           a->writable_tmpfs == b->writable_tmpfs && a->inject == b->inject &&
           a->no_container == b->no_container &&
           same_lists(&a->binds, &b->binds) && same_lists(&a->env, &b->env) &&
           same_lists(&a->scratch, &b->scratch);
}

static int make_plan(const struct app_options *app, const struct host *host,
                     struct plan *ret, struct ct_error *reterr)
{
    struct plan_request request = {
        .image = app->image,
        .binds = app->binds.items,
        .scratch = app->scratch.items,
        .env = app->env.items,
        .pwd = app->pwd,
        .no_home = app->no_home,
        .cleanenv = app->cleanenv,
        .writable_tmpfs = app->writable_tmpfs,
        .pmi_all = app->inject == INJECT_YES,
    };
    char libpmi[PATH_MAX];
    struct image image;

    if (app->no_container)
        return plan_make_bare(&request, &host->facts, ret, reterr);
    if (app->inject != INJECT_NO && libpmi_find(libpmi, sizeof libpmi))
        request.pmi_dir = libpmi;
    if (app->inject == INJECT_YES && request.pmi_dir == NULL)
        return ct_fail(reterr, ENOENT,
                       "--inject-pmi: ctrun's libpmi.so.0 and libpmi2.so.0 "
                       "are not installed (CTRUN_LIBDIR names another "
                       "directory)");
    if (image_open(app->image, &image, reterr) < 0)
        return -1;
    if (plan_make(&request, &host->facts, &image, ret, reterr) == 0)
        return 0;
    image_close(&image);
    return -1;
}

/* FNV-1a, with the byte that ends the text. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    while (*text++ != '\0');
    return hash;
}

static uint64_t hash_list(uint64_t hash, const struct strv *list)
{
    for (size_t i = 0; i < list->count; i++)
        hash = hash_text(hash, list->items[i]);
    return hash_text(hash, ""); /* as no item of it is */
}

/* Of all that same_container() compares. */
static uint64_t identify(const struct app_options *app)
{
    const char flags[] = {app->no_home ? 'y' : 'n', app->cleanenv ? 'y' : 'n',
                          app->writable_tmpfs ? 'y' : 'n',
                          app->no_container ? 'y' : 'n', '\0'};
    uint64_t hash = hash_text(0xcbf29ce484222325, flags);

    hash = hash_text(hash, app->image != NULL ? app->image : "");
    hash = hash_text(hash, app->pwd != NULL ? app->pwd : "");
    hash = hash_list(hash, &app->binds);
    hash = hash_list(hash, &app->env);
    return hash_list(hash, &app->scratch);
}

/* The plan of an earlier app that asks for the same, or a new one. */
static int plan_for(struct job_spec *spec, const struct options *options,
                    unsigned number, const struct host *host, unsigned *ret,
                    struct ct_error *reterr)
{
    for (unsigned i = 0; i < number; i++)
        if (same_container(&options->apps[i], &options->apps[number])) {
            *ret = spec->apps[i].plan;
            return 0;
        }
    if (make_plan(&options->apps[number], host, &spec->plans[spec->plan_count],
                  reterr) < 0)
        return -1;
    spec->plan_ids[spec->plan_count] = identify(&options->apps[number]);
    *ret = (unsigned)spec->plan_count++;
    return 0;
}

static int make_apps(struct job_spec *spec, const struct options *options,
                     struct ct_error *reterr)
{
    CT_AUTO_FREE struct host *host = malloc(sizeof *host);

    spec->plans = calloc(options->app_count, sizeof *spec->plans);
    spec->plan_ids = calloc(options->app_count, sizeof *spec->plan_ids);
    spec->apps = calloc(options->app_count, sizeof *spec->apps);
    if (host == NULL || spec->plans == NULL || spec->plan_ids == NULL ||
        spec->apps == NULL)
        return ct_fail_nomem(reterr);
    if (look_at_host(host, reterr) < 0)
        return -1;
    for (unsigned i = 0; i < options->app_count; i++) {
        struct agent_app *app = &spec->apps[i];

        if (plan_for(spec, options, i, host, &app->plan, reterr) < 0)
            return -1;
        app->ranks = options->apps[i].ranks;
        app->argv = options->apps[i].command.items;
        spec->app_count++;
        spec->size += app->ranks;
    }
    return 0;
}

/* ---- process sets ---- */

static int fill_pset(struct agent_pset *pset, struct ct_span list,
                     unsigned size)
{
    CT_AUTO_FREE bool *members = calloc(size, sizeof *members);
    unsigned first, last;

    pset->ranks = calloc(size, sizeof *pset->ranks);
    if (pset->name == NULL || pset->ranks == NULL || members == NULL)
        return -1;
    while (ranklist_next(&list, size, &first, &last) > 0)
        memset(members + first, true, last - first + 1);
    for (unsigned rank = 0; rank < size; rank++)
        if (members[rank])
            pset->ranks[pset->count++] = rank;
    return 0;
}

/* "NAME=RANKS", which options.c has checked. */
static int make_psets(struct job_spec *spec, const struct strv *texts,
                      struct ct_error *reterr)
{
    spec->psets = calloc(texts->count, sizeof *spec->psets);
    if (spec->psets == NULL && texts->count > 0)
        return ct_fail_nomem(reterr);
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i], *list = strchr(text, '=') + 1;
        struct agent_pset *pset = &spec->psets[spec->pset_count++];

        pset->name = strndup(text, (size_t)(list - 1 - text));
        if (fill_pset(pset, ct_span_str(list), spec->size) < 0)
            return ct_fail_nomem(reterr);
    }
    return 0;
}

static void free_psets(struct job_spec *spec)
{
    for (unsigned i = 0; i < spec->pset_count; i++) {
        free(spec->psets[i].name);
        free(spec->psets[i].ranks);
    }
    free(spec->psets);
}

/* ---- places ---- */

static int find_places(struct job_spec *spec, const struct options *options,
                       struct ct_error *reterr)
{
    if (options->bind.to == BIND_NONE)
        return 0;
    if (bind_places(&options->bind, spec->size, &spec->places, reterr) < 0)
        return -1;
    spec->cpus = calloc(spec->size, sizeof *spec->cpus);
    if (spec->cpus == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned r = 0; r < spec->size; r++)
        spec->cpus[r] = spec->places[r].cpus;
    return 0;
}

int job_spec_make(const struct options *options, struct job_spec *ret,
                  struct ct_error *reterr)
{
    struct job_spec spec = {0};

    if (make_apps(&spec, options, reterr) < 0 ||
        make_psets(&spec, &options->psets, reterr) < 0 ||
        find_places(&spec, options, reterr) < 0) {
        job_spec_clear(&spec);
        return -1;
    }
    *ret = spec;
    return 0;
}

void job_spec_clear(struct job_spec *spec)
{
    for (size_t i = 0; i < spec->plan_count; i++)
        plan_clear(&spec->plans[i]);
    free(spec->plans);
    free(spec->plan_ids);
    free(spec->apps);
    free_psets(spec);
    free(spec->cpus);
    if (spec->places != NULL)
        bind_places_free(spec->places, spec->size);
    *spec = (struct job_spec){0};
}

/* ---- --dry-run ---- */

/* A line feed in a value must not look like the end of the line. */
static void print_line(const char *line)
{
    for (; *line != '\0'; line++)
        if ((unsigned char)*line < ' ' || *line == 0x7f)
            printf("\\%03o", (unsigned)*line);
        else
            putchar(*line);
    putchar('\n');
}

static int print_plan(const struct plan *plan)
{
    struct strv lines = {0};
    int rc = plan_describe(plan, &lines);

    for (size_t i = 0; i < lines.count; i++)
        print_line(lines.items[i]);
    strv_clear(&lines);
    if (rc < 0)
        errno = ENOMEM;
    return rc;
}

/* As a shell would take it. */
static void print_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-+=:,./@%^";

    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

void job_print_words(char *const *words)
{
    for (char *const *word = words; *word != NULL; word++) {
        putchar(' ');
        print_word(*word);
    }
    putchar('\n');
}

static void print_command(unsigned number, const struct agent_app *app)
{
    printf("app     %u: %u rank%s of", number, app->ranks,
           app->ranks == 1 ? "" : "s");
    job_print_words(app->argv);
}

int job_spec_print(const struct job_spec *spec)
{
    for (unsigned i = 0; i < spec->app_count; i++) {
        print_command(i, &spec->apps[i]);
        if (print_plan(&spec->plans[spec->apps[i].plan]) < 0)
            return -1;
    }
    for (unsigned i = 0; i < spec->pset_count; i++)
        printf("pset    %s: %u rank%s\n", spec->psets[i].name,
               spec->psets[i].count, spec->psets[i].count == 1 ? "" : "s");
    for (unsigned r = 0; spec->places != NULL && r < spec->size; r++)
        printf("cpus    rank %u: %s\n", r, spec->places[r].text);
    return fflush(stdout) == 0 ? 0 : -1;
}
