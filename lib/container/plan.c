/*
 * The default mounts are Apptainer's, so that what runs under `apptainer exec`
 * finds here what it found there. Their order matters: a later mount may lie
 * inside an earlier one.
 */
#include "container/plan.h"

#include "base/scope.h"
#include "container/environ.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct default_mount {
    const char *path;
    bool devices;
    bool optional;
};

const char *const plan_pmi_libraries[PLAN_PMI_LIBRARIES] = {
    "libpmi.so.0",
    "libpmi2.so.0",
};

static const struct default_mount defaults[] = {
    {"/dev", true, false},
    {"/proc", false, false},
    {"/sys", false, false},
    {"/tmp", false, true},
    {"/var/tmp", false, true},
    {"/etc/hosts", false, true},
    {"/etc/resolv.conf", false, true},
    {"/etc/localtime", false, true},
    {.path = NULL},
};

/*
 * A working directory here is the image's own business: to bind it would hide
 * the image's programs.
 */
static const char *const system_dirs[] = {
    "/",        "/bin",   "/boot", "/etc",  "/lib", "/lib64",
    "/libexec", "/opt",   "/run",  "/sbin", "/usr", "/var",
    "/mnt",     "/media", "/home", "/root", "/srv", NULL,
};

/*
 * An absolute path without "." and "..", to free(). As the target of a mount
 * "/a/../b" is "/b" whatever "/a" is: what has to be made there must be made in
 * the image.
 */
static char *clean(const char *path)
{
    char *made = malloc(strlen(path) + 2);
    size_t len = 0, part;

    if (made == NULL)
        return NULL;
    for (; *path != '\0'; path += part) {
        path += strspn(path, "/");
        part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (len > 0 && made[--len] != '/')
                ;
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            made[len++] = '/';
            memcpy(made + len, path, part);
            len += part;
        }
    }
    if (len == 0)
        made[len++] = '/';
    made[len] = '\0';
    return made;
}

static bool is_root(const char *path)
{
    return strcmp(path, "/") == 0;
}

static struct mount *add(struct plan *plan, enum mount_kind kind,
                         const char *source, const char *target)
{
    struct mount *grown =
        realloc(plan->mounts, (plan->mount_count + 1) * sizeof *plan->mounts);

    if (grown == NULL)
        return NULL;
    plan->mounts = grown;
    struct mount *m = &grown[plan->mount_count];
    *m = (struct mount){.kind = kind};
    m->source = source != NULL ? strdup(source) : NULL;
    m->target = clean(target);
    plan->mount_count++;
    if ((source != NULL && m->source == NULL) || m->target == NULL)
        return NULL;
    return m;
}

static int add_defaults(struct plan *plan)
{
    for (const struct default_mount *d = defaults; d->path != NULL; d++) {
        struct mount *m = add(plan, MOUNT_BIND, d->path, d->path);
        if (m == NULL)
            return -1;
        m->devices = d->devices;
        m->optional = d->optional;
    }
    return 0;
}

/* Is path dir itself or below it? */
static bool below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

/* Does a mount of the same directory show path already? */
static bool covered(const struct plan *plan, const char *path)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct mount *m = &plan->mounts[i];
        if (m->kind == MOUNT_BIND && strcmp(m->source, m->target) == 0 &&
            below(path, m->target))
            return true;
    }
    return false;
}

static int add_optional(struct plan *plan, const char *path)
{
    struct mount *m = add(plan, MOUNT_BIND, path, path);

    if (m == NULL)
        return -1;
    m->optional = true;
    return 0;
}

static bool is_system_dir(const char *path)
{
    for (const char *const *dir = system_dirs; *dir != NULL; dir++)
        if (strcmp(path, *dir) == 0)
            return true;
    return below(path, "/usr") || below(path, "/etc");
}

static int add_home(struct plan *plan, const char *home)
{
    CT_AUTO_FREE char *target = clean(home);

    if (target == NULL)
        return -1;
    if (is_root(target) || covered(plan, target))
        return 0;
    return add_optional(plan, home);
}

static int add_home_and_cwd(struct plan *plan, const struct plan_request *req,
                            const struct host_facts *facts)
{
    const char *home = facts->home;

    if (home != NULL && home[0] == '/' && !req->no_home &&
        add_home(plan, home) < 0)
        return -1;
    if (facts->cwd != NULL && !is_system_dir(facts->cwd) &&
        !covered(plan, facts->cwd))
        return add_optional(plan, facts->cwd);
    return 0;
}

static int add_account(struct plan *plan, const char *target, const char *key,
                       const char *line)
{
    struct mount *m = add(plan, MOUNT_APPEND, line, target);

    if (m == NULL)
        return -1;
    m->optional = true;
    m->key = strdup(key);
    return m->key != NULL ? 0 : -1;
}

/* The user's name and group must be known inside: getpwuid(), whoami. */
static int add_accounts(struct plan *plan, const struct host_facts *facts)
{
    const char *home = facts->home != NULL ? facts->home : "/";
    char line[512], key[32];

    snprintf(key, sizeof key, ":x:%u:", (unsigned)facts->uid);
    snprintf(line, sizeof line, "%s:x:%u:%u::%s:/bin/sh",
             facts->user != NULL ? facts->user : "user", (unsigned)facts->uid,
             (unsigned)facts->gid, home);
    if (add_account(plan, "/etc/passwd", key, line) < 0)
        return -1;
    snprintf(key, sizeof key, ":x:%u:", (unsigned)facts->gid);
    snprintf(line, sizeof line,
             "%s:x:%u:", facts->group != NULL ? facts->group : "group",
             (unsigned)facts->gid);
    return add_account(plan, "/etc/group", key, line);
}

/* path made absolute, to free(); as it is, if there is no cwd. */
static char *absolute(const char *path, const char *cwd)
{
    char *made = NULL;

    if (path[0] == '/' || cwd == NULL)
        return strdup(path);
    if (asprintf(&made, "%s/%s", strcmp(cwd, "/") != 0 ? cwd : "", path) < 0)
        return NULL;
    return made;
}

static int refuse_root(const char *option, const char *text,
                       struct ct_error *reterr)
{
    return ct_fail(reterr, EINVAL, "%s %s: that is where the image is", option,
                   text);
}

size_t plan_bind_part(const char *text, char stop)
{
    size_t len = 0;

    while (text[len] != '\0' && text[len] != stop)
        len +=
            text[len] == '\\' && (text[len + 1] == ':' || text[len + 1] == ',')
                ? 2
                : 1;
    return len;
}

/* "\:" and "\," in place to ":" and ","; any other backslash is itself. */
static void unescape(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++)
        if (text[0] != '\\' || (text[1] != ':' && text[1] != ','))
            *to++ = *text;
    *to = '\0';
}

/* The next part, NULL behind the last. */
static char *take_part(char **rest)
{
    char *part = *rest;
    size_t len;

    if (part == NULL)
        return NULL;
    len = plan_bind_part(part, ':');
    *rest = part[len] != '\0' ? part + len + 1 : NULL;
    part[len] = '\0';
    unescape(part);
    return part;
}

static int add_bind(struct plan *plan, const char *text, const char *cwd,
                    struct ct_error *reterr)
{
    CT_AUTO_FREE char *copy = strdup(text);
    char *rest = copy;
    const char *source, *target, *mode;

    if (copy == NULL)
        return ct_fail_nomem(reterr);
    source = take_part(&rest);
    target = take_part(&rest);
    mode = take_part(&rest);
    if (*source == '\0' || rest != NULL || (target && target[0] != '/') ||
        (mode && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0))
        return ct_fail(reterr, EINVAL,
                       "--bind takes SRC[:DST[:ro|rw]] with an "
                       "absolute DST, not '%s'",
                       text);
    if (*source != '/' && cwd == NULL)
        return ct_fail(reterr, ENOENT,
                       "--bind %s: the working directory is gone", text);
    CT_AUTO_FREE char *from = absolute(source, cwd);
    struct mount *m = from != NULL
                          ? add(plan, MOUNT_BIND, from, target ? target : from)
                          : NULL;
    if (m == NULL)
        return ct_fail_nomem(reterr);
    m->readonly = mode != NULL && strcmp(mode, "ro") == 0;
    return is_root(m->target) ? refuse_root("--bind", text, reterr) : 0;
}

static int add_scratch(struct plan *plan, const char *dir,
                       struct ct_error *reterr)
{
    const struct mount *m;

    if (dir[0] != '/')
        return ct_fail(reterr, EINVAL,
                       "--scratch takes an absolute path, not '%s'", dir);
    m = add(plan, MOUNT_SCRATCH, NULL, dir);
    if (m == NULL)
        return ct_fail_nomem(reterr);
    return is_root(m->target) ? refuse_root("--scratch", dir, reterr) : 0;
}

static int add_requested(struct plan *plan, const struct plan_request *req,
                         const char *cwd, struct ct_error *reterr)
{
    for (char *const *bind = req->binds; bind != NULL && *bind != NULL; bind++)
        if (add_bind(plan, *bind, cwd, reterr) < 0)
            return -1;
    for (char *const *dir = req->scratch; dir != NULL && *dir != NULL; dir++)
        if (add_scratch(plan, *dir, reterr) < 0)
            return -1;
    return 0;
}

/* What the shell says of its own directory is not so in another. */
static int correct_pwd(struct plan *plan, const struct plan_request *req)
{
    if (req->pwd == NULL || strv_env_get(&plan->env, "PWD") == NULL)
        return 0;
    return strv_env_setf(&plan->env, "PWD=%s", req->pwd);
}

static int plan_environment(struct plan *plan, const struct plan_request *req,
                            const struct host_facts *facts)
{
    if (environ_filter(facts->env, req->cleanenv, true, &plan->env,
                       &plan->dropped) < 0 ||
        correct_pwd(plan, req) < 0 ||
        strv_env_setf(&plan->env, "PATH=%s", environ_default_path) < 0 ||
        strv_env_setf(&plan->env, "CTRUN_IMAGE=%s", plan->image_path) < 0)
        return -1;
    return strv_add_all(&plan->env_set, req->env);
}

static int plan_workdir(struct plan *plan, const struct plan_request *req,
                        const struct host_facts *facts)
{
    const char *elsewhere = facts->home != NULL ? facts->home : "/";

    plan->workdir = strdup(req->pwd != NULL     ? req->pwd
                           : facts->cwd != NULL ? facts->cwd
                                                : elsewhere);
    plan->workdir_required = req->pwd != NULL;
    if (facts->home != NULL) {
        plan->home = strdup(facts->home);
        if (plan->home == NULL)
            return -1;
    }
    return plan->workdir != NULL ? 0 : -1;
}

static int fill(struct plan *plan, const struct plan_request *req,
                const struct host_facts *facts, struct ct_error *reterr)
{
    plan->image_path = absolute(req->image, facts->cwd);
    plan->writable_tmpfs = req->writable_tmpfs;
    plan->pmi_all = req->pmi_all;
    if (req->pmi_dir != NULL && (plan->pmi_dir = strdup(req->pmi_dir)) == NULL)
        return ct_fail_nomem(reterr);
    if (plan->image_path == NULL || add_defaults(plan) < 0 ||
        add_home_and_cwd(plan, req, facts) < 0 ||
        add_accounts(plan, facts) < 0 ||
        plan_environment(plan, req, facts) < 0 ||
        plan_workdir(plan, req, facts) < 0)
        return ct_fail_nomem(reterr);
    return add_requested(plan, req, facts->cwd, reterr);
}

int plan_make(const struct plan_request *request,
              const struct host_facts *facts, struct image *image,
              struct plan *ret, struct ct_error *reterr)
{
    struct plan plan = {.image = {.fd = -1}};

    if (fill(&plan, request, facts, reterr) < 0) {
        plan_clear(&plan);
        return -1;
    }
    plan.image = *image;
    image->fd = -1;
    *ret = plan;
    return 0;
}

int plan_make_bare(const struct plan_request *request,
                   const struct host_facts *facts, struct plan *ret,
                   struct ct_error *reterr)
{
    struct plan plan = {.image = {.fd = -1}};

    if (environ_filter(facts->env, request->cleanenv, false, &plan.env,
                       &plan.dropped) < 0 ||
        correct_pwd(&plan, request) < 0 ||
        strv_add_all(&plan.env_set, request->env) < 0 ||
        plan_workdir(&plan, request, facts) < 0) {
        plan_clear(&plan);
        return ct_fail_nomem(reterr);
    }
    *ret = plan;
    return 0;
}

bool plan_keeps_names(const struct plan *plan)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        const struct mount *m = &plan->mounts[i];

        if (m->kind == MOUNT_SCRATCH ||
            (m->kind == MOUNT_BIND && !m->readonly &&
             strcmp(m->source, m->target) != 0))
            return false;
    }
    return !plan->writable_tmpfs;
}

void plan_clear(struct plan *plan)
{
    for (size_t i = 0; i < plan->mount_count; i++) {
        free(plan->mounts[i].source);
        free(plan->mounts[i].key);
        free(plan->mounts[i].target);
    }
    free(plan->mounts);
    free(plan->image_path);
    free(plan->pmi_dir);
    free(plan->workdir);
    free(plan->home);
    strv_clear(&plan->env);
    strv_clear(&plan->dropped);
    strv_clear(&plan->env_set);
    image_close(&plan->image);
    *plan = (struct plan){.image = {.fd = -1}};
}

static int describe_image(const struct plan *plan, struct strv *ret)
{
    const struct image *image = &plan->image;

    if (plan->image_path == NULL)
        return strv_add(ret, "image   none");

    const char *root = plan->writable_tmpfs
                           ? "root    image under a tmpfs overlay,"
                             "rw,nosuid,nodev"
                           : "root    image,ro,nosuid,nodev";

    if (strv_addf(ret, "image   %s %s", image_kind_name(image->kind),
                  plan->image_path) < 0)
        return -1;
    if (image->kind != IMAGE_DIRECTORY &&
        strv_addf(ret, "squash  %s, offset %llu, %llu bytes", image->compressor,
                  (unsigned long long)image->offset,
                  (unsigned long long)image->size) < 0)
        return -1;
    return strv_add(ret, root);
}

static int describe_mount(const struct mount *m, struct strv *ret)
{
    if (m->kind == MOUNT_APPEND)
        return strv_addf(ret, "append  %s '%s'", m->target, m->source);
    if (m->kind == MOUNT_SCRATCH)
        return strv_addf(ret, "scratch %s tmpfs,nosuid,nodev, a rank's own",
                         m->target);
    return strv_addf(ret, "bind    %s %s %s,nosuid%s%s", m->source, m->target,
                     m->readonly ? "ro" : "rw", m->devices ? "" : ",nodev",
                     m->optional ? ", if there" : "");
}

static int describe_pmi(const struct plan *plan, struct strv *ret)
{
    if (plan->pmi_dir == NULL)
        return 0;
    return strv_addf(ret, "libpmi  %s, for those %s", plan->pmi_dir,
                     plan->pmi_all ? "of the image"
                                   : "that the command is linked with");
}

static int describe_list(const char *word, const struct strv *list,
                         struct strv *ret)
{
    for (size_t i = 0; i < list->count; i++)
        if (strv_addf(ret, "%-7s %s", word, list->items[i]) < 0)
            return -1;
    return 0;
}

int plan_describe(const struct plan *plan, struct strv *ret)
{
    if (describe_image(plan, ret) < 0)
        return -1;
    for (size_t i = 0; i < plan->mount_count; i++)
        if (describe_mount(&plan->mounts[i], ret) < 0)
            return -1;
    if (describe_pmi(plan, ret) < 0 ||
        strv_addf(ret, "workdir %s%s", plan->workdir,
                  plan->workdir_required ? "" : ", else $HOME, else /") < 0 ||
        describe_list("env", &plan->env, ret) < 0 ||
        (plan->image_path != NULL &&
         strv_add(ret, "env     ... then what /.singularity.d/env/*.sh of the "
                       "image set") < 0) ||
        describe_list("env", &plan->env_set, ret) < 0)
        return -1;
    return describe_list("drop", &plan->dropped, ret);
}
