/*
 * The job as asked for: what each app runs in (plans), and where (CPUs). Made
 * from the options and the host before anything is started.
 */
#ifndef CT_LAUNCHER_JOB_H
#define CT_LAUNCHER_JOB_H

#include "agent/agent.h"
#include "base/error.h"
#include "container/plan.h"
#include "launcher/bind.h"
#include "launcher/options.h"

struct job_spec {
    struct plan *plans; /* apps that ask for the same share one */
    size_t plan_count;
    uint64_t *plan_ids; /* [plan_count] of what was asked for, on any node */
    struct agent_app *apps;
    unsigned app_count;
    unsigned size; /* ranks of all apps */
    struct agent_pset *psets;
    unsigned pset_count;
    struct bind_place *places; /* [size], or NULL: not bound */
    const void **cpus;         /* [size], or NULL: of the places */
};

/*
 * Open the images, make the plans, find the places. 0 with a caller-owned *ret
 * (job_spec_clear) that points into options; -1 with the reason.
 */
int job_spec_make(const struct options *options, struct job_spec *ret,
                  struct ct_error *reterr);
void job_spec_clear(struct job_spec *spec);

/* --dry-run: the job as text on standard output. 0, or -1 with errno. */
int job_spec_print(const struct job_spec *spec);

/* The rest of a line: " WORD" for each, as a shell would read it again. */
void job_print_words(char *const *words);

#endif
