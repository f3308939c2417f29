/*
 * PMIx_Spawn: apps become commands. Of the keys of PMIx those that MPI_Info
 * has, too, get MPI's names, so that whoever starts them has one table.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

enum { PROCS_MAX = 65536 }; /* of one request, as with PMI */

/* The request of libpmix beside what the agent sees of it. */
struct spawn {
    struct pmixsrv_spawn public; /* first: the agent hands it back */
    struct request *request;
};

struct key_row {
    const char *pmix;
    const char *mpi;
};

static const struct key_row keys[] = {
    {PMIX_WDIR, "wdir"},
    {PMIX_HOST, "host"},
    {PMIX_HOSTFILE, "hostfile"},
    {PMIX_ADD_HOST, "host"},
    {PMIX_ADD_HOSTFILE, "hostfile"},
};

static const char *mpi_name(const char *key)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].pmix, key) == 0)
            return keys[i].mpi;
    return NULL;
}

/*
 * Whoever says that it must be heeded hears no rather than nothing. The flag
 * itself: the macro of libpmix 5 is a function, and no other of these is used.
 */
static bool is_understood(const pmix_info_t *info, size_t ninfo)
{
    for (size_t i = 0; i < ninfo; i++)
        if ((info[i].flags & PMIX_INFO_REQD) != 0 &&
            mpi_name(info[i].key) == NULL)
            return false;
    return true;
}

static void add_info(char **list, size_t *count, const pmix_info_t *info,
                     size_t ninfo)
{
    for (size_t i = 0; i < ninfo; i++) {
        const char *name = mpi_name(info[i].key);

        if (name == NULL || info[i].value.type != PMIX_STRING ||
            info[i].value.data.string == NULL)
            continue;
        list[(*count)++] = (char *)name;
        list[(*count)++] = info[i].value.data.string;
    }
}

/* The app's own working directory comes first: a later one wins. */
static char **make_info(const struct request *request, const pmix_app_t *app)
{
    size_t room = 2 * (app->ninfo + request->ninfo + 1) + 1, count = 0;
    char **list = calloc(room, sizeof *list);

    if (list == NULL)
        return NULL;
    if (app->cwd != NULL && app->cwd[0] == '/') {
        list[count++] = (char *)"wdir";
        list[count++] = app->cwd;
    }
    add_info(list, &count, request->info, request->ninfo);
    add_info(list, &count, app->info, app->ninfo);
    return list;
}

/* Some clients give argv without its first element, the command. */
static char **make_argv(const pmix_app_t *app)
{
    size_t count = pmixsrv_count(app->argv);
    char **list = calloc(count + 2, sizeof *list);

    if (list == NULL)
        return NULL;
    list[0] = app->cmd;
    for (size_t i = 1; i < count; i++)
        list[i] = app->argv[i];
    return list;
}

static void spawn_free(struct spawn *spawn)
{
    for (unsigned i = 0; i < spawn->public.count; i++) {
        free((void *)spawn->public.commands[i].argv);
        free((void *)spawn->public.commands[i].info);
    }
    free(spawn->public.commands);
    free(spawn);
}

static int fill_command(struct pmixsrv_command *command,
                        const struct request *request, const pmix_app_t *app)
{
    command->maxprocs = app->maxprocs > 0 ? (unsigned)app->maxprocs : 0;
    command->env = app->env;
    command->argv = make_argv(app);
    command->info = make_info(request, app);
    if (command->argv == NULL || command->info == NULL || app->cmd == NULL ||
        command->maxprocs == 0 || command->maxprocs > PROCS_MAX)
        return -1;
    return is_understood(app->info, app->ninfo) ? 0 : -1;
}

static int fill(struct spawn *spawn, const struct request *request)
{
    unsigned procs = 0;

    if (request->napps == 0 || !is_understood(request->info, request->ninfo))
        return -1;
    spawn->public.commands =
        calloc(request->napps, sizeof *spawn->public.commands);
    if (spawn->public.commands == NULL)
        return -1;
    for (size_t i = 0; i < request->napps; i++) {
        struct pmixsrv_command *command = &spawn->public.commands[i];

        spawn->public.count++;
        if (fill_command(command, request, &request->apps[i]) < 0)
            return -1;
        procs += command->maxprocs;
        if (procs > PROCS_MAX)
            return -1;
    }
    return 0;
}

static struct spawn *spawn_new(struct pmixsrv *server, struct request *request)
{
    struct spawn *spawn = calloc(1, sizeof *spawn);

    if (spawn == NULL)
        return NULL;
    spawn->request = request;
    spawn->public.job = pmixsrv_find_job(server, request->proc.nspace);
    spawn->public.rank = request->proc.rank;
    if (spawn->public.job == NULL ||
        spawn->public.rank >= spawn->public.job->size ||
        fill(spawn, request) < 0) {
        spawn_free(spawn);
        return NULL;
    }
    return spawn;
}

static void refuse(struct request *request)
{
    request->answer.spawn(PMIX_ERR_JOB_FAILED_TO_LAUNCH, NULL, request->cbdata);
    request_free(request);
}

void spawn_request(struct pmixsrv *server, struct request *request)
{
    struct spawn *spawn = spawn_new(server, request);

    if (spawn == NULL) {
        refuse(request);
        return;
    }
    if (server->config.callbacks.spawn(server->config.ctx, &spawn->public) <
        0) {
        spawn_free(spawn);
        refuse(request);
    }
}

static void answer(struct request *request, const struct pmixsrv_job *child)
{
    pmix_nspace_t nspace;

    if (child == NULL) {
        refuse(request);
        return;
    }
    memcpy(nspace, child->nspace, sizeof nspace);
    request->answer.spawn(PMIX_SUCCESS, nspace, request->cbdata);
    request_free(request);
}

void pmixsrv_spawn_done(struct pmixsrv_spawn *request,
                        const struct pmixsrv_job *child)
{
    struct spawn *spawn = (struct spawn *)request;

    if (request->job->server->stopped)
        request_free(spawn->request);
    else
        answer(spawn->request, child);
    spawn_free(spawn);
}
