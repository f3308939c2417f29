/*
 * The command line: one table of options (options.c), from which parsing,
 * --help and the check against man page and completion are made.
 *
 *   ctrun [options] IMAGE COMMAND [ARG...] [ : [options] IMAGE COMMAND ... ]
 *
 * Options stop at the first word that is none (the image), as with srun and
 * env. Options of a job (GLOBAL) may stand in the first segment only; those of
 * an app (APP) hold for their own segment; a later segment starts from the
 * defaults, not from the segment before it. "--opt=value", "--opt value", "-n4"
 * and "-n 4" are the same. With --no-container there is no IMAGE word.
 */
#ifndef CT_LAUNCHER_OPTIONS_H
#define CT_LAUNCHER_OPTIONS_H

#include "base/error.h"
#include "base/strv.h"
#include "launcher/bind.h"

#include <stdbool.h>

enum inject_choice { INJECT_AUTO, INJECT_YES, INJECT_NO };
enum pmi_choice { PMI_AUTO, PMI_1, PMI_2, PMI_X, PMI_NONE };

/* One segment between " : ". */
struct app_options {
    unsigned ranks; /* -n, -np, --ntasks; default 1 */
    bool ranks_given;
    const char *image;   /* as typed; NULL with --no-container */
    struct strv command; /* COMMAND and its arguments */
    struct strv binds;   /* --bind src[:dst[:ro|rw]] each; comma lists split */
    struct strv env;     /* --env NAME=value each */
    struct strv scratch; /* --scratch DIR each: a tmpfs of the rank's own */
    const char *pwd;     /* --pwd DIR, or NULL */
    bool no_home;        /* --no-home */
    bool cleanenv;       /* -e, --cleanenv */
    bool writable_tmpfs; /* --writable-tmpfs */
    bool no_container;   /* --no-container */
    enum inject_choice inject; /* --inject-pmi[=auto|yes|no] */
};

enum stdin_to { STDIN_RANK, STDIN_ALL, STDIN_NONE, STDIN_TOOL };

struct options {
    struct app_options *apps;
    unsigned app_count;

    enum pmi_choice pmi; /* --pmi[=auto|pmi1|pmi2|pmix|none]; default auto */
    bool pmi_required;   /* --pmi was given (and is not none) */
    bool tools;          /* --tools */
    struct strv psets;   /* --pset NAME=RANKS each */
    struct bind_request bind; /* --bind-to, --map-by, --cpus-per-rank,
                                 --oversubscribe */
    bool report_bindings;     /* --report-bindings */
    bool label;               /* -l, --label, --tag-output */
    const char *output;       /* --output PATTERN, or NULL */
    enum stdin_to stdin_to;   /* --stdin RANK|all|none|tool; default rank 0 */
    unsigned stdin_rank;
    double timeout;     /* --timeout SECONDS; 0 = none */
    double kill_grace;  /* --kill-grace SECONDS; default 2 */
    bool continues;     /* --on-failure=continue */
    int verbosity;      /* -v adds one (may repeat), -q makes it -1 */
    const char *host;   /* --host pmix|pmi2|pmi1|local, or NULL: look */
    const char *engine; /* --engine local|srun|mpirun|mpiexec; NULL: look */
    const char *engine_args;        /* --engine-args WORDS, or NULL */
    const char *hosts, *hostfile;   /* --hosts LIST, --hostfile FILE */
    unsigned nodes, ranks_per_node; /* --nodes, --ntasks-per-node; 0 */
    struct strv inner;              /* options that are not an engine's */
    const char *overlay_if;         /* --overlay-if NAME, or NULL: all */
    bool dry_run; /* --dry-run: print the plan, start nothing */

    bool help;    /* -h, --help: nothing else was checked */
    bool version; /* --version: likewise */
};

/*
 * Parse argv. 0 with a caller-owned *ret (options_clear) whose strings may
 * point into argv; -1: EINVAL with a text that names the option and what it
 * takes. Checks of the whole are made here too (an image and a command in each
 * segment, -n from 1 to 65536 in sum, --bind-to none with --cpus-per-rank ...).
 */
int options_parse(int argc, char **argv, struct options *ret,
                  struct ct_error *reterr);
void options_clear(struct options *options);

/* The text of --help, made from the table, to free(); NULL without memory. */
char *options_help(void);

#endif
