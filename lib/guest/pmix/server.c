#include "base/scope.h"
#include "guest/pmix/state.h"
#include "lazy/plugins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* ---- libpmix ---- */

/*
 * libpmix reads variables that may be meant for a client, because we may have
 * been started as one: but its own parameters (PMIX_MCA_*) none may stay.
 */
static void clear_environment(void)
{
    char name[256];

    for (char **item = environ; *item != NULL;) {
        size_t len = strcspn(*item, "=");

        if (strncmp(*item, "PMIX_", 5) == 0 &&
            strncmp(*item, "PMIX_MCA_", 9) != 0 && len < sizeof name) {
            memcpy(name, *item, len);
            name[len] = '\0';
            unsetenv(name); /* the next one moves here */
        } else {
            item++;
        }
    }
}

/*
 * hash: nothing is shared through files, so each get of another rank's key is
 * a question to the server. native: munge, which libpmix would prefer, needs
 * munge in the image and its socket.
 */
static int choose_components(const struct pmixsrv *server)
{
    if (!server->config.tmpdir_is_shared &&
        setenv("PMIX_MCA_gds", "hash", 1) < 0)
        return -1;
    /* What no tool wants is kept for a later one: a message is the least. */
    return setenv("PMIX_MCA_pmix_max_iof_cache", "1", 1) < 0
               ? -1
               : setenv("PMIX_MCA_psec", "native", 0);
}

/*
 * libpmix reads the machine's topology, and with it hwloc asks every PCI device
 * and opens the libraries of GPUs, which takes from 15 ms to seconds. Nobody
 * here wants to know of devices.
 */
static const char no_devices[] =
    "-pci,-opencl,-cuda,-nvml,-rsmi,-levelzero,-gl";

static pmix_status_t init_library(pmix_info_t *info, size_t count)
{
    bool ours = getenv("HWLOC_COMPONENTS") == NULL &&
                setenv("HWLOC_COMPONENTS", no_devices, 1) == 0;
    bool hidden = ours && plugins_hide();
    pmix_status_t rc = PMIx_server_init(pmixsrv_module(), info, count);

    plugins_show(hidden);
    if (ours)
        unsetenv("HWLOC_COMPONENTS");
    return rc;
}

/* For the files that tools look for, libpmix has let others in. */
static int close_directory(const struct pmixsrv *server,
                           struct ct_error *reterr)
{
    if (chmod(server->config.tmpdir, 0700) < 0)
        return ct_fail_errno(reterr, "cannot close %s to others",
                             server->config.tmpdir);
    return 0;
}

#ifndef PMIX_IOF_LOCAL_OUTPUT /* of 4.1 */
#define PMIX_IOF_LOCAL_OUTPUT "pmix.iof.local"
#endif

/* Left to itself it prints what is meant for tools, or crashes of it. */
static int start_library(struct pmixsrv *server, struct ct_error *reterr)
{
    enum { COUNT = 4 };
    static const bool no = false;
    pmix_info_t info[COUNT];
    pmix_status_t rc;

    if (lazy_pmix_load(reterr) < 0)
        return -1;
    clear_environment();
    if (choose_components(server) < 0)
        return ct_fail_nomem(reterr);
    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], PMIX_SERVER_TMPDIR, server->config.tmpdir,
                   PMIX_STRING);
    PMIX_INFO_LOAD(&info[1], PMIX_SYSTEM_TMPDIR, server->config.tmpdir,
                   PMIX_STRING);
    PMIX_INFO_LOAD(&info[2], PMIX_SERVER_TOOL_SUPPORT, &server->config.tools,
                   PMIX_BOOL);
    PMIX_INFO_LOAD(&info[3], PMIX_IOF_LOCAL_OUTPUT, &no, PMIX_BOOL);
    pmixsrv_accept_upcalls(server);
    sieve_open(&server->sieve);
    server->sieve.no_cleanups = !server->config.cleans;
    sockets_find(&server->sockets); /* those that are none of libpmix's */
    rc = init_library(info, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        PMIX_INFO_DESTRUCT(&info[i]);
    if (rc != PMIX_SUCCESS)
        return ct_fail(reterr, EIO, "the PMIx server does not start: %s",
                       PMIx_Error_string(rc));
    server->initialized = true;
    loss_listen();
    return close_directory(server, reterr);
}

/* From "OpenPMIx 4.2.2, repo rev: ..." */
static void read_version(struct pmixsrv *server)
{
    const char *text = PMIx_Get_version();

    text += strcspn(text, "0123456789");
    snprintf(server->version, sizeof server->version, "%.*s",
             (int)strcspn(text, " ,"), text);
}

static int watch(const struct pmixsrv *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(server->ready, EPOLL_CTL_ADD, fd, &event);
}

static int open_descriptors(struct pmixsrv *server, struct ct_error *reterr)
{
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->patience =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    server->ready = epoll_create1(EPOLL_CLOEXEC);
    if (relays_open(&server->relays) < 0 || iof_open(&server->iof) < 0 ||
        server->wake < 0 || server->timer < 0 || server->patience < 0 ||
        server->ready < 0 || watch(server, server->wake) < 0 ||
        watch(server, server->timer) < 0 ||
        watch(server, server->patience) < 0 ||
        watch(server, server->relays.ready) < 0 ||
        watch(server, server->iof.wake) < 0 ||
        watch(server, server->iof.patience) < 0 ||
        watch(server, server->iof.quiet) < 0)
        return ct_fail_errno(reterr, "descriptors of the PMIx server");
    return 0;
}

struct pmixsrv *pmixsrv_create(const struct pmixsrv_config *config,
                               struct ct_error *reterr)
{
    struct pmixsrv *server = calloc(1, sizeof *server);

    if (server == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    server->config = *config;
    server->last = &server->first;
    server->next_context = 1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->holds, NULL);
    server->wake = server->timer = server->patience = -1;
    server->ready = server->relays.ready = -1;
    server->iof.wake = server->iof.patience = server->iof.quiet = -1;
    if (open_descriptors(server, reterr) < 0 ||
        start_library(server, reterr) < 0) {
        pmixsrv_destroy(server);
        return NULL;
    }
    read_version(server);
    quirks_mend(server);
    return server;
}

void pmixsrv_directory(const struct pmixsrv_job *job, int rank,
                       char ret[PMIXSRV_PATH_MAX])
{
    int len = snprintf(ret, PMIXSRV_PATH_MAX, "%s/%s",
                       job->server->config.tmpdir, job->nspace);

    if (rank >= 0)
        snprintf(ret + len, (size_t)(PMIXSRV_PATH_MAX - len), "/%d", rank);
}

static int make_directory(const struct pmixsrv_job *job, int rank,
                          struct ct_error *reterr)
{
    char path[PMIXSRV_PATH_MAX];

    if (job->elsewhere || !job->server->config.tmpdir_is_shared)
        return 0;
    pmixsrv_directory(job, rank, path);
    if (mkdir(path, 0700) < 0)
        return ct_fail_errno(reterr, "cannot make %s", path);
    return 0;
}

static int define_psets(struct pmixsrv_job *job,
                        const struct pmixsrv_facts *facts,
                        struct ct_error *reterr)
{
    for (unsigned i = 0; i < facts->pset_count; i++)
        if (pset_define(job, &facts->psets[i], reterr) < 0)
            return -1;
    return 0;
}

static bool is_here(const struct pmixsrv_job *job)
{
    for (unsigned rank = 0; rank < job->size; rank++)
        if (job->node_of[rank] == job->node)
            return true;
    return false;
}

static int copy_nodes(struct pmixsrv_job *job,
                      const struct pmixsrv_facts *facts,
                      struct ct_error *reterr)
{
    size_t size = facts->size * sizeof *job->node_of;

    if (facts->node_of == NULL || facts->node_count == 1)
        return 0;
    job->node_of = malloc(size);
    if (job->node_of == NULL)
        return ct_fail_nomem(reterr);
    memcpy(job->node_of, facts->node_of, size);
    job->elsewhere = !is_here(job);
    return 0;
}

static void job_free(struct pmixsrv_job *job)
{
    free(job->node_of);
    free(job->states);
    free(job->losses);
    free(job->blurred);
    free(job->seen);
    free(job);
}

static struct pmixsrv_job *job_new(unsigned size)
{
    struct pmixsrv_job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return NULL;
    job->states = calloc(size, sizeof *job->states);
    job->losses = calloc(size, sizeof *job->losses);
    job->blurred = calloc(size, sizeof *job->blurred);
    if (job->states != NULL && job->losses != NULL && job->blurred != NULL)
        return job;
    job_free(job);
    return NULL;
}

void hold_tell(struct pmixsrv *server, bool *flag)
{
    pthread_mutex_lock(&server->lock);
    *flag = true;
    pthread_cond_broadcast(&server->holds);
    pthread_mutex_unlock(&server->lock);
}

void hold_await(struct pmixsrv *server, const bool *flag, int seconds)
{
    struct timespec end;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += seconds;
    pthread_mutex_lock(&server->lock);
    while (!*flag && rc == 0)
        rc = pthread_cond_timedwait(&server->holds, &server->lock, &end);
    pthread_mutex_unlock(&server->lock);
}

void hold_ask(struct pmixsrv *server, pmix_op_cbfunc_t held)
{
    pmix_proc_t nobody;

    memset(&nobody, 0, sizeof nobody);
    memcpy(nobody.nspace, "nobody", sizeof "nobody");
    PMIx_server_deregister_client(&nobody, held, server);
}

/* On libpmix's thread, until there is cleaning up to do. */
static void hold(pmix_status_t status, void *ctx)
{
    struct pmixsrv *server = ctx;

    (void)status;
    hold_tell(server, &server->held);
    cleanup_await(server);
}

/* libpmix's thread may spin with a lock that this waits for. */
static void *ask_to_hold(void *ctx)
{
    hold_ask(ctx, hold);
    return NULL;
}

void pmixsrv_stop(struct pmixsrv *server)
{
    pthread_t thread;

    if (server->stopped)
        return;
    iof_flush_answer(server);
    server->stopped = true;
    if (pthread_create(&thread, NULL, ask_to_hold, server) != 0)
        return;
    pthread_detach(thread);
    hold_await(server, &server->held, 1);
}

/* What a held thread may look at stays: PMIx_server_finalize() could wait for
   ever for a client that was refused. */
void pmixsrv_destroy(struct pmixsrv *server)
{
    if (server == NULL)
        return;
    if (server->initialized) {
        pmixsrv_stop(server);
        cleanup_run(server);
        return;
    }
    pmixsrv_accept_upcalls(NULL);
    sockets_clear(&server->sockets);
    ct_close(&server->wake);
    ct_close(&server->timer);
    ct_close(&server->patience);
    ct_close(&server->ready);
    relays_close(&server->relays);
    iof_close(&server->iof);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->holds);
    free(server);
}

const char *pmixsrv_version(const struct pmixsrv *server)
{
    return server->version;
}

/* ---- what ranks ask for ---- */

int pmixsrv_fd(const struct pmixsrv *server)
{
    return server->ready;
}

void pmixsrv_dispatch(struct pmixsrv *server)
{
    struct request *request, *next;
    uint64_t count;

    if (server->stopped)
        return;
    if (read(server->wake, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    names_expire(server); /* which sets the timer anew */
    losses_expire(server);
    iof_dispatch(server);
    pthread_mutex_lock(&server->lock);
    request = server->first;
    server->first = NULL;
    server->last = &server->first;
    pthread_mutex_unlock(&server->lock);
    for (; request != NULL; request = next) {
        next = request->next;
        request->next = NULL;
        request->serve(server, request);
    }
}

/* ---- jobs ---- */

size_t pmixsrv_count(char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

struct pmixsrv_job *pmixsrv_find_job(struct pmixsrv *server, const char *nspace)
{
    for (struct pmixsrv_job *job = server->jobs; job != NULL; job = job->next)
        if (strcmp(job->nspace, nspace) == 0 && !job->dropped)
            return job;
    return NULL;
}

void pmixsrv_job_drop(struct pmixsrv_job *job)
{
    pthread_mutex_lock(&job->server->lock);
    job->dropped = true;
    pthread_mutex_unlock(&job->server->lock);
}

/*
 * All before any of them can connect: of a group that some ask for while others
 * are not registered libpmix 4.2 does not find out that all are there. The
 * user's ids are the same in the container (namespace.h).
 */
static int register_ranks(struct pmixsrv_job *job, struct ct_error *reterr)
{
    for (unsigned rank = 0; rank < job->size; rank++) {
        pmix_status_t rc;
        pmix_proc_t proc;

        if (pmixsrv_rank_elsewhere(job, rank))
            continue;
        pmixsrv_proc(job, rank, &proc);
        rc = PMIx_server_register_client(&proc, geteuid(), getegid(),
                                         &job->states[rank], NULL, NULL);
        if (rc != PMIX_SUCCESS && rc != PMIX_OPERATION_SUCCEEDED)
            return ct_fail(reterr, EIO, "PMIx_server_register_client: %s",
                           PMIx_Error_string(rc));
    }
    return 0;
}

static void insert(struct pmixsrv *server, struct pmixsrv_job *job)
{
    pthread_mutex_lock(&server->lock);
    job->next = server->jobs;
    server->jobs = job;
    pthread_mutex_unlock(&server->lock);
}

struct pmixsrv_job *pmixsrv_job_create(struct pmixsrv *server,
                                       const struct pmixsrv_facts *facts,
                                       struct ct_error *reterr)
{
    struct pmixsrv_job *job;

    if (server->stopped) { /* its thread would never answer */
        ct_fail(reterr, ECANCELED, "the PMIx server has been stopped");
        return NULL;
    }
    job = job_new(facts->size);
    if (job == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    job->server = server;
    snprintf(job->nspace, sizeof job->nspace, "%s", facts->nspace);
    job->size = facts->size;
    job->user = facts->user;
    job->node = facts->node;
    job->node_count = facts->node_of != NULL ? facts->node_count : 1;
    if (copy_nodes(job, facts, reterr) < 0 ||
        make_directory(job, -1, reterr) < 0 ||
        jobinfo_register(job, facts, reterr) < 0 ||
        define_psets(job, facts, reterr) < 0) {
        job_free(job);
        return NULL;
    }
    insert(server, job);
    if (register_ranks(job, reterr) < 0) {
        pmixsrv_job_drop(job); /* libpmix knows parts of it */
        return NULL;
    }
    return job;
}

const char *pmixsrv_job_nspace(const struct pmixsrv_job *job)
{
    return job->nspace;
}

unsigned pmixsrv_job_size(const struct pmixsrv_job *job)
{
    return job->size;
}

void *pmixsrv_job_user(const struct pmixsrv_job *job)
{
    return job->user;
}

enum pmixsrv_state pmixsrv_rank_state(const struct pmixsrv_job *job,
                                      unsigned rank)
{
    return job->states[rank];
}

/* ---- ranks ---- */

void pmixsrv_proc(const struct pmixsrv_job *job, unsigned rank,
                  pmix_proc_t *ret)
{
    memset(ret, 0, sizeof *ret);
    memcpy(ret->nspace, job->nspace, sizeof ret->nspace);
    ret->rank = rank;
}

static int add_variables(const pmix_proc_t *proc, struct strv *env,
                         struct ct_error *reterr)
{
    char **list = NULL;
    pmix_status_t rc = PMIx_server_setup_fork(proc, &list);
    int failed = 0;

    for (char **item = list; item != NULL && *item != NULL; item++) {
        if (failed == 0)
            failed = strv_add(env, *item);
        free(*item);
    }
    free(list);
    if (rc != PMIX_SUCCESS)
        return ct_fail(reterr, EIO, "PMIx_server_setup_fork: %s",
                       PMIx_Error_string(rc));
    return failed < 0 ? ct_fail_nomem(reterr) : 0;
}

int pmixsrv_prepare(struct pmixsrv_job *job, unsigned rank, struct strv *env,
                    struct ct_error *reterr)
{
    pmix_proc_t proc;

    if (make_directory(job, (int)rank, reterr) < 0)
        return -1;
    pmixsrv_proc(job, rank, &proc);
    return add_variables(&proc, env, reterr);
}
