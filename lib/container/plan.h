/*
 * What a container is made of, as data: mounts, environment, working directory.
 * Made from the options and the facts of the host, without privilege and
 * without touching anything; namespace.c and zygote.c carry it out, --dry-run
 * prints it, and most tests compare that text.
 */
#ifndef CT_CONTAINER_PLAN_H
#define CT_CONTAINER_PLAN_H

#include "base/error.h"
#include "base/strv.h"
#include "container/image.h"

#include <stdbool.h>
#include <sys/types.h>

enum mount_kind {
    MOUNT_BIND,    /* source of the host, with all below it */
    MOUNT_APPEND,  /* the image's file with a line added, when it lacks `key` */
    MOUNT_SCRATCH, /* a tmpfs of each rank's own */
};

struct mount {
    enum mount_kind kind;
    char *source; /* BIND: a path on the host; APPEND: the line */
    char *key;    /* APPEND: skip when the image's file has such an entry */
    char *target; /* absolute, in the container, without "." and ".." */
    bool readonly;
    bool devices;  /* device files work (/dev alone) */
    bool optional; /* passed over when source or target cannot be had */
};

struct plan {
    char *image_path; /* absolute; NULL: no container, the host as it is */
    struct image image;
    struct mount *mounts;
    size_t mount_count;
    bool writable_tmpfs;
    char *pmi_dir;       /* whose libpmi*.so.0 take the place of the image's */
    bool pmi_all;        /* of all that it has, not of the command's alone */
    struct strv env;     /* what the host passes on, and defaults */
    struct strv dropped; /* "NAME (why)": what it does not */
    struct strv env_set; /* --env: over the image's own */
    char *workdir;       /* where to start, or NULL */
    bool workdir_required;
    char *home; /* second choice for the working directory, or NULL */
};

/*
 * How far a part of a bind goes: to the first `stop` without a backslash before
 * it, or to the end.
 */
size_t plan_bind_part(const char *text, char stop);

/* The libraries of pmi_dir, by their sonames. */
enum { PLAN_PMI_LIBRARIES = 2 };
extern const char *const plan_pmi_libraries[PLAN_PMI_LIBRARIES];

struct plan_request {
    const char *image;    /* as typed */
    char *const *binds;   /* NULL-terminated src[:dst[:ro|rw]], "\\:" and "\\,"
                             in names for ":" and "," */
    char *const *scratch; /* NULL-terminated */
    char *const *env;     /* NULL-terminated NAME=value */
    const char *pwd;      /* --pwd or NULL */
    bool no_home, cleanenv, writable_tmpfs;
    const char *pmi_dir; /* or NULL: leave the image's alone */
    bool pmi_all;
};

/* The host, so that tests can be any host. Strings are the caller's. */
struct host_facts {
    uid_t uid;
    gid_t gid;
    const char *user, *group; /* names, or NULL */
    const char *home;         /* or NULL */
    const char *cwd;          /* or NULL: it has been removed */
    char *const *env;
};

/*
 * Make the plan for an image that image_open() has opened; the image is the
 * plan's on success. 0 with a caller-owned *ret, or -1 (EINVAL: which option).
 */
int plan_make(const struct plan_request *request,
              const struct host_facts *facts, struct image *image,
              struct plan *ret, struct ct_error *reterr);

/*
 * The plan for no container: image, binds and scratch of the request are not
 * looked at. 0, or -1 without memory.
 */
int plan_make_bare(const struct plan_request *request,
                   const struct host_facts *facts, struct plan *ret,
                   struct ct_error *reterr);
void plan_clear(struct plan *plan);

/*
 * Is what ranks may write under a name what the host has under it? Not with
 * --scratch, --writable-tmpfs, or a bind to another place.
 */
bool plan_keeps_names(const struct plan *plan);

/* The plan as lines of text, for people and tests. 0, or -1 without memory. */
int plan_describe(const struct plan *plan, struct strv *ret);

#endif
