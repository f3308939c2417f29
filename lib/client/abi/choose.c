/*
 * The environment names at most one server of PMI, by PMI_FD or PMI_PORT, and
 * one of PMIx. PMI is tried first: it costs a message or two, while libpmix
 * starts threads; and where there are both, a PMI socket has been made for this
 * very process.
 *
 * Which wire: Slurm and ctrun speak both, and say PMI_JOBID. PMI-1.2 is ctrun's
 * alone of these, and has barriers of groups; Slurm 22.05.8 refuses it, and
 * then crashes. Of Slurm's two PMI-2 is the one without its limit of 1024 bytes
 * a line. A server that says no to one version can be asked for the next over
 * the same socket.
 */
#include "client/abi/choose.h"

#include "base/scope.h"
#include "base/strv.h"
#include "client/environ.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

struct wire {
    const char *name;
    const struct pmi_dialect *dialect;
    bool groups;    /* PMI-1.2 */
    bool by_socket; /* not of a server that we dial */
};

static const struct wire pmi1 = {"PMI-1", &pmi_dialect_1, false, false};
static const struct wire pmi12 = {"PMI-1.2", &pmi_dialect_1, true, true};
static const struct wire pmi2 = {"PMI-2", &pmi_dialect_2, false, true};

/* What the environment tells of the server. */
enum server { OTHERS, SLURMS, CTRUNS, SERVERS };

/* By whose functions are called. */
static const struct wire *const orders[2][SERVERS][4] = {
    [CHOOSE_PMI1] = {{&pmi1, &pmi2}, {&pmi2, &pmi1}, {&pmi12, &pmi2, &pmi1}},
    [CHOOSE_PMI2] = {{&pmi2, &pmi1}, {&pmi2, &pmi1}, {&pmi2, &pmi1}},
};

/* Variables by which launchers say that there are several of us. */
static const struct {
    const char *variable, *launcher;
} launchers[] = {
    {"PMI_SIZE", "a PMI launcher"},
    {"SLURM_STEP_NUM_TASKS", "srun"},
    {"OMPI_COMM_WORLD_SIZE", "mpirun"},
    {"FLUX_JOB_SIZE", "flux"},
    {"PALS_SIZE", "PALS"},
    {"MV2_COMM_WORLD_SIZE", "mpirun_rsh"},
};

/* Variables that name a server: whoever sets them wants it used. */
static const char *const servers[] = {"PMI_FD", "PMI_PORT", "PMIX_NAMESPACE"};

struct choice {
    char *const *env;
    struct strv lines; /* what was tried, and why not */
};

/* A line that is lost for want of memory is no reason to fail. */
static void say(struct choice *choice, const char *who, const char *what)
{
    strv_addf(&choice->lines, "%s: %s", who, what);
}

static void refuse(struct choice *choice, const char *who,
                   const struct ct_error *why)
{
    say(choice, who, why->text);
}

static struct client *try_wire(const struct wire *wire, int fd,
                               const struct client_environ *where,
                               struct ct_error *reterr)
{
    struct client_start start = {
        .rank = where->rank,
        .size = where->size,
        .jobid = where->jobid,
        .dialled = where->address != NULL,
        .spawned = where->spawned,
        .want_groups = wire->groups,
    };

    if (wire->by_socket && start.dialled) {
        ct_fail(reterr, ENOTSUP, "not by PMI_PORT");
        return NULL;
    }
    return client_open(fd, wire->dialect, &start, reterr);
}

static enum server server_of(const struct choice *choice,
                             const struct client_environ *where)
{
    if (where->jobid == NULL)
        return OTHERS;
    return env_get(choice->env, "CTRUN_RANK") != NULL ? CTRUNS : SLURMS;
}

static struct client *try_wires(struct choice *choice, enum choose_first first,
                                int fd, const struct client_environ *where)
{
    const struct wire *const *wire = orders[first][server_of(choice, where)];
    struct client *client = NULL;
    struct ct_error error;

    for (; *wire != NULL && client == NULL; wire++) {
        client = try_wire(*wire, fd, where, &error);
        if (client == NULL)
            refuse(choice, (*wire)->name, &error);
        else
            say(choice, (*wire)->name, "chosen");
    }
    return client;
}

static struct client *by_pmi(struct choice *choice, enum choose_first first)
{
    struct client_environ where;
    struct client *client = NULL;
    struct ct_error error;
    int fd = -1;

    if (client_environ_read(choice->env, &where, &error) < 0) {
        refuse(choice, "PMI", &error);
        return NULL;
    }
    fd = where.address != NULL ? client_dial(where.address, &error) : where.fd;
    if (fd < 0)
        refuse(choice, "PMI", &error);
    else
        client = try_wires(choice, first, fd, &where);
    if (client == NULL && where.address != NULL)
        ct_close(&fd);
    return client;
}

static struct client *by_pmix(struct choice *choice)
{
    struct ct_error error;
    struct client *client = client_open_pmix(&error);

    if (client == NULL)
        refuse(choice, "PMIx", &error);
    else
        say(choice, "PMIx", "chosen");
    return client;
}

static bool is_many(const char *text)
{
    long number;

    return text != NULL &&
           ct_span_number(ct_span_str(text), 2, INT32_MAX, &number) == 0;
}

/* Who wants us to be one of many; NULL: nobody. */
static const char *find_launcher(char *const *env)
{
    const char *size = env_get(env, "PMI_SIZE");

    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++)
        if (is_many(env_get(env, launchers[i].variable)))
            return launchers[i].launcher;
    if (size != NULL && strcmp(size, "1") == 0)
        return NULL;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++)
        if (env_get(env, servers[i]) != NULL)
            return servers[i];
    return NULL;
}

static struct client *alone(struct choice *choice, struct ct_error *reterr)
{
    const char *require = env_get(choice->env, "CTRUN_PMI_REQUIRE");
    const char *launcher = find_launcher(choice->env);

    if (launcher != NULL) {
        ct_fail(reterr, ENOTCONN,
                "%s has started this process, and cannot be reached", launcher);
        return NULL;
    }
    if (require != NULL && strcmp(require, "0") != 0) {
        ct_fail(reterr, ENOTCONN,
                "CTRUN_PMI_REQUIRE is set, and there is no launcher");
        return NULL;
    }
    say(choice, "nobody", "chosen: rank 0 of 1");
    return client_open_alone(reterr);
}

static struct client *choose(struct choice *choice, enum choose_first first,
                             struct ct_error *reterr)
{
    struct client *client = by_pmi(choice, first);

    if (client == NULL)
        client = by_pmix(choice);
    if (client == NULL)
        client = alone(choice, reterr);
    return client;
}

struct client *choose_client(enum choose_first first, char *const *env,
                             bool verbose, void (*tell)(const char *line),
                             struct ct_error *reterr)
{
    struct choice choice = {.env = env};
    struct client *client = choose(&choice, first, reterr);

    for (size_t i = 0; i < choice.lines.count; i++)
        if (verbose || client == NULL)
            tell(choice.lines.items[i]);
    strv_clear(&choice.lines);
    return client;
}
