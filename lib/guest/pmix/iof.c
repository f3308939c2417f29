/*
 * Input and output of ranks, for tools.
 *
 * libpmix knows which tool pulls what. Its host is told what is pulled, but not
 * by whom, and that something is pulled no longer, but not what. So here is
 * kept what any has pulled, until none pulls or none is there. What none wants
 * of what it is given libpmix keeps for who comes later, so it is told to keep
 * one message only (server.c), which is pushed out at the end.
 *
 * libpmix 4.2 queues without end for a tool that does not read. What it has
 * been given and relays have not passed on yet is owed, and where that is much
 * ranks are held back, as they are by a terminal; but not for long by a tool
 * that takes nothing at all: it is cut off. It cannot be passed over alone, as
 * what libpmix is given it queues for all that want it.
 */
#include "base/scope.h"
#include "guest/pmix/state.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    OWED_MAX = 4 * 1024 * 1024,
    OVERHEAD = 48,      /* of a message, at least */
    PATIENCE_MS = 2000, /* without a byte */
    QUIET_MS = 100,
    ANSWER_MS = 200, /* for libpmix's thread to write it */
    FLUSH_MS = 1000, /* without a byte, */
    FLUSH_MAX_MS = 3000,
};

struct pull {
    struct pull *next;
    pmix_proc_t *procs;
    size_t count;
    pmix_iof_channel_t channels;
};

/* ---- what tools want ---- */

static bool all_are_known(struct pmixsrv *server, const pmix_proc_t *procs,
                          size_t count)
{
    bool all = count > 0;

    for (size_t i = 0; all && i < count; i++) {
        const struct pmixsrv_job *job =
            pmixsrv_find_job(server, procs[i].nspace);

        all = job != NULL && (procs[i].rank == PMIX_RANK_WILDCARD ||
                              procs[i].rank < job->size);
    }
    return all;
}

/* Who pulls is not told, but that there are tools is known. */
static pmix_status_t judge_procs(struct pmixsrv *server,
                                 const pmix_proc_t *procs, size_t count)
{
    pmix_status_t rc = PMIX_SUCCESS;

    pthread_mutex_lock(&server->lock);
    if (!server->iof.has_tools)
        rc = PMIX_ERR_NOT_SUPPORTED;
    else if (!all_are_known(server, procs, count))
        rc = PMIX_ERR_NOT_FOUND;
    pthread_mutex_unlock(&server->lock);
    return rc;
}

/* Output goes on to where it went before, so there is no PMIX_IOF_REDIRECT. */
pmix_status_t iof_judge(struct pmixsrv *server, const pmix_proc_t *procs,
                        size_t count, const pmix_info_t *info, size_t ninfo,
                        pmix_iof_channel_t channels)
{
    if (!server->config.forwards)
        return PMIX_ERR_NOT_SUPPORTED;
    if (info_is_true(info, ninfo, PMIX_IOF_STOP))
        return PMIX_SUCCESS;
    if ((channels & PMIX_FWD_STDIN_CHANNEL) != 0 ||
        info_is_true(info, ninfo, PMIX_IOF_REDIRECT))
        return PMIX_ERR_NOT_SUPPORTED;
    return judge_procs(server, procs, count);
}

static void push_out_kept(void);

static void forget_pulls(struct iof *iof)
{
    struct pull *next;

    for (struct pull *pull = iof->pulls; pull != NULL; pull = next) {
        next = pull->next;
        free(pull->procs);
        free(pull);
    }
    iof->pulls = NULL;
    iof->pull_count = 0;
}

/* Nobody pulls any more. Something may have been on its way to who did. */
static void end_pulls(struct pmixsrv *server)
{
    if (server->iof.pulls == NULL)
        return;
    forget_pulls(&server->iof);
    if (!server->stopped)
        push_out_kept();
}

/* request->data has the processes. */
static void add_pull(struct iof *iof, struct request *request)
{
    struct pull *pull = calloc(1, sizeof *pull);

    if (pull == NULL)
        return;
    *pull = (struct pull){
        .next = iof->pulls,
        .procs = (pmix_proc_t *)(void *)request->data,
        .count = request->ndata,
        .channels = request->channels,
    };
    request->data = NULL;
    iof->pulls = pull;
    iof->pull_count++;
}

void iof_pull(struct pmixsrv *server, struct request *request)
{
    struct iof *iof = &server->iof;

    if (request->data != NULL)
        add_pull(iof, request);
    else if (iof->pull_count > 0 && --iof->pull_count == 0)
        end_pulls(server);
    request_free(request);
}

static bool is_pulled(const struct pull *pull, const struct pmixsrv_job *job,
                      unsigned rank, pmix_iof_channel_t channel)
{
    if ((pull->channels & channel) == 0)
        return false;
    for (size_t i = 0; i < pull->count; i++)
        if (strcmp(pull->procs[i].nspace, job->nspace) == 0 &&
            (pull->procs[i].rank == PMIX_RANK_WILDCARD ||
             pull->procs[i].rank == rank))
            return true;
    return false;
}

static bool is_wanted(const struct pmixsrv_job *job, unsigned rank,
                      pmix_iof_channel_t channel)
{
    for (const struct pull *pull = job->server->iof.pulls; pull != NULL;
         pull = pull->next)
        if (is_pulled(pull, job, rank, channel))
            return true;
    return false;
}

/* ---- output on its way ---- */

struct output {
    struct pmixsrv *server; /* NULL: nobody waits for it */
    pmix_proc_t source;
    pmix_byte_object_t object;
    char bytes[];
};

static void count_under_way(struct pmixsrv *server, int change)
{
    pthread_mutex_lock(&server->lock);
    server->iof.under_way += change;
    pthread_mutex_unlock(&server->lock);
}

/* On libpmix's thread, like the next. */
static void on_delivered(pmix_status_t status, void *ctx)
{
    struct output *output = ctx;
    struct pmixsrv *server = output->server;

    (void)status;
    free(output);
    if (server == NULL)
        return;
    count_under_way(server, -1);
    eventfd_write(server->iof.wake, 1);
}

static void on_turn(pmix_status_t status, void *ctx)
{
    struct pmixsrv *server = ctx;

    (void)status;
    pthread_mutex_lock(&server->lock);
    server->iof.had_turn = true;
    pthread_mutex_unlock(&server->lock);
    eventfd_write(server->iof.wake, 1);
}

static struct output *output_new(const void *bytes, size_t len)
{
    struct output *output = calloc(1, sizeof *output + len);

    if (output == NULL)
        return NULL;
    memcpy(output->bytes, bytes, len);
    output->object.bytes = output->bytes;
    output->object.size = len;
    return output;
}

static int deliver(struct output *output, pmix_iof_channel_t channel)
{
    if (PMIx_server_IOF_deliver(&output->source, channel, &output->object, NULL,
                                0, on_delivered, output) == PMIX_SUCCESS)
        return 0;
    free(output);
    return -1;
}

/* What libpmix has kept makes place for a byte of nobody's. */
static void push_out_kept(void)
{
    struct output *output = output_new("", 1);

    if (output == NULL)
        return;
    memcpy(output->source.nspace, "nobody", sizeof "nobody");
    deliver(output, PMIX_FWD_STDOUT_CHANNEL);
}

void pmixsrv_output(struct pmixsrv_job *job, unsigned rank, bool is_error,
                    const void *bytes, size_t len)
{
    struct pmixsrv *server = job->server;
    pmix_iof_channel_t channel =
        is_error ? PMIX_FWD_STDERR_CHANNEL : PMIX_FWD_STDOUT_CHANNEL;
    struct output *output;

    if (server->stopped || server->iof.gave_up ||
        !is_wanted(job, rank, channel))
        return;
    output = output_new(bytes, len);
    if (output == NULL)
        return;
    output->server = server;
    pmixsrv_proc(job, rank, &output->source);
    count_under_way(server, 1);
    if (deliver(output, channel) == 0)
        relays_owe(&server->relays, len + OVERHEAD);
    else
        count_under_way(server, -1);
    iof_review(server);
}

/* ---- how much is owed ---- */

/* 0: not at all */
static void set_timer(int timer, int ms)
{
    const struct itimerspec spec = {
        .it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

    timerfd_settime(timer, 0, &spec, NULL);
}

static bool has_expired(int timer)
{
    uint64_t count;

    return read(timer, &count, sizeof count) > 0;
}

static void set_full(struct pmixsrv *server, bool full)
{
    struct iof *iof = &server->iof;

    iof->full = full;
    set_timer(iof->patience, full ? PATIENCE_MS : 0);
    if (full)
        relays_watch(&server->relays);
    else
        server->config.callbacks.drained(server->config.ctx);
}

/*
 * What is owed and does not come is another tool's. But libpmix may not have
 * come to send it: it is given time, and then asked for a sign, by a request
 * that does nothing. A sign alone would tell little, because libpmix answers
 * many requests before it looks at its sockets again.
 */
static void await_turn(struct pmixsrv *server)
{
    pmix_proc_t nobody;

    memset(&nobody, 0, sizeof nobody);
    memcpy(nobody.nspace, "nobody", sizeof "nobody");
    server->iof.awaits_turn = true;
    PMIx_server_deregister_client(&nobody, on_turn, server);
}

static void review_debts(struct pmixsrv *server)
{
    struct iof *iof = &server->iof;

    if (iof->awaits_turn || iof->awaits_quiet || server->stopped ||
        !relays_want_turn(&server->relays))
        return;
    iof->awaits_quiet = true;
    iof->has_moved = false;
    set_timer(iof->quiet, QUIET_MS);
}

static void review_quiet(struct pmixsrv *server)
{
    struct iof *iof = &server->iof;

    if (!has_expired(iof->quiet))
        return;
    iof->awaits_quiet = false;
    if (!iof->has_moved && relays_want_turn(&server->relays))
        await_turn(server);
}

static void review_tools(struct pmixsrv *server)
{
    bool has_tools = server->relays.first != NULL;

    pthread_mutex_lock(&server->lock);
    server->iof.has_tools = has_tools;
    pthread_mutex_unlock(&server->lock);
    if (!has_tools)
        end_pulls(server);
}

void iof_review(struct pmixsrv *server)
{
    struct iof *iof = &server->iof;
    size_t owed = relays_owed(&server->relays);

    review_tools(server);
    if (!iof->full && owed > OWED_MAX)
        set_full(server, true);
    else if (iof->full && owed < OWED_MAX / 2)
        set_full(server, false);
    review_debts(server);
}

static bool take_turn(struct pmixsrv *server)
{
    bool had;
    int under_way;

    pthread_mutex_lock(&server->lock);
    had = server->iof.had_turn;
    under_way = server->iof.under_way;
    server->iof.had_turn = false;
    pthread_mutex_unlock(&server->lock);
    if (had)
        server->iof.awaits_turn = false;
    return had && under_way == 0;
}

static void review_patience(struct pmixsrv *server)
{
    const struct pmixsrv_config *config = &server->config;

    if (!has_expired(server->iof.patience) || !server->iof.full)
        return;
    set_timer(server->iof.patience, PATIENCE_MS);
    if (relays_cut_idle(&server->relays, OWED_MAX / 2))
        config->callbacks.log(config->ctx, NULL, 0, true,
                              "a tool that does not read is cut off\n");
}

/* Did anything go to a tool? */
static bool dispatch(struct pmixsrv *server)
{
    struct iof *iof = &server->iof;
    bool had_turn = take_turn(server); /* before we look what it has sent */
    bool moved;
    uint64_t count;

    if (read(iof->wake, &count, sizeof count) < 0)
        count = 0;
    moved = relays_pump(&server->relays);
    iof->has_moved |= moved;
    server->owes_answer &= !moved;
    if (had_turn)
        relays_server_had_turn(&server->relays);
    review_patience(server);
    review_quiet(server);
    iof_review(server);
    return moved;
}

void iof_dispatch(struct pmixsrv *server)
{
    dispatch(server);
}

bool pmixsrv_output_is_full(const struct pmixsrv *server)
{
    return server->iof.full && !server->iof.gave_up && !server->stopped;
}

/* ---- the end of it ---- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pmixsrv_output_flush(struct pmixsrv *server)
{
    struct iof *iof = &server->iof;
    int64_t end = now_ms() + FLUSH_MS, left;
    const int64_t limit = now_ms() + FLUSH_MAX_MS;
    struct pollfd wait[] = {{.fd = iof->wake, .events = POLLIN},
                            {.fd = iof->quiet, .events = POLLIN},
                            {.fd = server->relays.ready, .events = POLLIN}};

    if (server->stopped || iof->pulls == NULL)
        return;
    dispatch(server);
    while (!iof->gave_up && relays_owed(&server->relays) > 0 &&
           (left = (end < limit ? end : limit) - now_ms()) > 0) {
        poll(wait, sizeof wait / sizeof wait[0], (int)left);
        if (dispatch(server))
            end = now_ms() + FLUSH_MS;
    }
    iof->gave_up = relays_owed(&server->relays) > 0; /* once is enough */
}

void iof_flush_answer(struct pmixsrv *server)
{
    const int64_t end = now_ms() + ANSWER_MS;
    struct pollfd wait = {.fd = server->relays.ready, .events = POLLIN};
    int64_t left;

    while (server->owes_answer && (left = end - now_ms()) > 0) {
        poll(&wait, 1, (int)left);
        dispatch(server);
    }
    server->owes_answer = false;
}

int iof_open(struct iof *iof)
{
    iof->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    iof->patience = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    iof->quiet = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return iof->wake < 0 || iof->patience < 0 || iof->quiet < 0 ? -1 : 0;
}

void iof_close(struct iof *iof)
{
    forget_pulls(iof);
    ct_close(&iof->wake);
    ct_close(&iof->patience);
    ct_close(&iof->quiet);
}
