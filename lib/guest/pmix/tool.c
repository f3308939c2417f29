/*
 * Tools: who connects without being a rank that was told to. libpmix asks for
 * no proof of the user that one says it is of, and if its host has no upcall
 * for them lets in each that brings a name.
 *
 * Here one is let in that bears the name of a rank, as a rank's own tools do:
 * whoever knows it was told so. If the user wants tools, one without a name
 * is let in, too, when the kernel says that it is the user's; it gets a name
 * that nobody can guess, because whoever knows that is its client to libpmix.
 *
 * To refuse is to end the connection, and not to answer. Told that a tool is
 * refused, libpmix 4.2 takes it off a list that it is not on yet, and crashes.
 * Without an answer it does nothing with the descriptor any more, so that is
 * closed here.
 */
#include "guest/pmix/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* libpmix adds the name after what the tool itself has to tell. */
static bool find_name(const struct request *request, pmix_proc_t *ret)
{
    bool has_name = false;

    memset(ret, 0, sizeof *ret);
    ret->rank = PMIX_RANK_INVALID;
    for (size_t i = 0; i < request->ninfo; i++) {
        const pmix_info_t *info = &request->info[i];

        if (strcmp(info->key, PMIX_NSPACE) == 0 &&
            info->value.type == PMIX_STRING &&
            info->value.data.string != NULL) {
            snprintf(ret->nspace, sizeof ret->nspace, "%s",
                     info->value.data.string);
            has_name = true;
        } else if (strcmp(info->key, PMIX_RANK) == 0 &&
                   info->value.type == PMIX_PROC_RANK) {
            ret->rank = info->value.data.rank;
            has_name = true;
        }
    }
    return has_name;
}

static bool is_rank(struct pmixsrv *server, const pmix_proc_t *proc)
{
    const struct pmixsrv_job *job = pmixsrv_find_job(server, proc->nspace);

    return job != NULL && proc->rank < job->size;
}

/* libpmix compares what the tool says here with what it says later. */
static bool says_it_is_ours(const struct request *request)
{
    bool ours = false;

    for (size_t i = 0; i < request->ninfo; i++) {
        const pmix_info_t *info = &request->info[i];

        if (strcmp(info->key, PMIX_USERID) == 0)
            ours = info->value.type == PMIX_UINT32 &&
                   info->value.data.uint32 == geteuid();
    }
    return ours;
}

static bool is_from_us(int socket)
{
    uid_t uid;

    return socket >= 0 && socket_peer(socket, &uid) == 0 && uid == geteuid();
}

static int make_name(pmix_proc_t *ret)
{
    uint64_t secret;

    memset(ret, 0, sizeof *ret);
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
        return -1;
    snprintf(ret->nspace, sizeof ret->nspace, "%d.tool.%016" PRIx64,
             (int)getpid(), secret);
    return 0;
}

static bool may_attach(struct pmixsrv *server, const struct request *request,
                       pmix_proc_t *ret_name)
{
    if (find_name(request, ret_name))
        return is_rank(server, ret_name);
    return server->config.tools && says_it_is_ours(request) &&
           is_from_us(request->socket) && make_name(ret_name) == 0 &&
           relays_insert(&server->relays, request->socket, ret_name->nspace) ==
               0;
}

void tool_admit(struct pmixsrv *server, struct request *request)
{
    pmix_proc_t name;

    if (may_attach(server, request, &name)) {
        iof_review(server);
        request->answer.tool(PMIX_SUCCESS, &name, request->cbdata);
    } else if (request->socket >= 0) {
        shutdown(request->socket, SHUT_RDWR);
        close(request->socket);
    }
    request_free(request);
}
