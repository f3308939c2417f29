/*
 * options, job, dry run or run, exit code.
 */
#include "base/error.h"
#include "container/rank.h"
#include "launcher/engine.h"
#include "launcher/exit.h"
#include "launcher/job.h"
#include "launcher/join.h"
#include "launcher/options.h"
#include "launcher/run.h"
#include "launcher/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

/* Privilege that a caller lends us would be lent to the image's programs. */
static int refuse_privilege(struct ct_error *reterr)
{
    if (getauxval(AT_SECURE) == 0 && geteuid() == getuid() &&
        getegid() == getgid())
        return 0;
    return ct_fail(reterr, EPERM,
                   "runs neither setuid nor setgid nor with "
                   "file capabilities: it needs no privilege");
}

/* A descriptor that we open must never be one that a rank is to have. */
static int occupy_descriptors(struct ct_error *reterr)
{
    for (int fd = 0; fd <= RANK_PMI_FD; fd++) {
        int cloexec = fd > STDERR_FILENO ? O_CLOEXEC : 0;

        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | cloexec) != fd)
            return ct_fail_errno(reterr, "cannot open /dev/null");
    }
    return 0;
}

static int print_help(struct ct_error *reterr)
{
    char *text = options_help();

    if (text == NULL)
        return ct_fail_nomem(reterr);
    fputs(text, stdout);
    free(text);
    return 0;
}

static int start_own(const struct options *options, struct ct_error *reterr)
{
    struct job_spec spec;
    int rc;

    if (job_spec_make(options, &spec, reterr) < 0)
        return -1;
    rc = options->dry_run ? job_spec_print(&spec)
                          : run_job(options, &spec, reterr);
    if (rc < 0 && options->dry_run)
        ct_fail_errno(reterr, "cannot print");
    job_spec_clear(&spec);
    return rc;
}

static int print_command(const struct strv *command, struct ct_error *reterr)
{
    fputs("engine ", stdout);
    job_print_words(command->items);
    return fflush(stdout) == 0 ? 0 : ct_fail_errno(reterr, "cannot print");
}

/* To an engine, if there is one for it: returns then only from a dry run. */
static int hand_over(const struct options *options, bool *ret_handed,
                     struct ct_error *reterr)
{
    const struct engine_facts facts = engine_look(environ);
    struct strv command = {0};
    int rc = engine_command(options, &facts, &command, reterr);

    *ret_handed = rc == 0 && command.count > 0;
    if (*ret_handed) {
        if (options->dry_run)
            rc = print_command(&command, reterr);
        else {
            execv(command.items[0], command.items);
            rc = ct_fail_errno(reterr, "cannot execute %s", command.items[0]);
        }
    }
    strv_clear(&command);
    return rc;
}

/* *ret_told: what went wrong has been said. */
static int perform(const struct options *options, char **argv, bool *ret_told,
                   struct ct_error *reterr)
{
    bool handed, joined = false;
    int rc;

    if (options->help)
        return print_help(reterr);
    if (options->version) {
        puts(PACKAGE_STRING);
        return 0;
    }
    rc = hand_over(options, &handed, reterr);
    if (rc < 0)
        *ret_told = is_one_of_many();
    if (rc >= 0 && !handed)
        rc = join_job(options, argv, &joined, ret_told, reterr);
    return rc < 0 || handed || joined ? rc : start_own(options, reterr);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct ct_error err;
    bool told = false;
    int code;

    if (occupy_descriptors(&err) < 0 || refuse_privilege(&err) < 0)
        code = -1;
    else if (options_parse(argc, argv, &options, &err) < 0) {
        code = -1;
        told = is_one_of_many();
    } else
        code = perform(&options, argv, &told, &err);
    if (code < 0 && !told)
        say(0, -1, "%s", err.text);
    if (code < 0)
        code = EXIT_CTRUN;
    options_clear(&options);
    if (fflush(stdout) != 0 && code == 0) {
        say(0, -1, "cannot write to standard output: %s", strerror(errno));
        code = EXIT_CTRUN;
    }
    return code;
}
