/*
 * Events of ranks, beyond their node. libpmix brings an event to the ranks of
 * its own node that it is for and that want it; here it goes to the nodes that
 * its range covers, whose libpmix does the same there. Those of one rank arrive
 * in their order.
 */
#include "base/scope.h"
#include "guest/pmix/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool event_leaves_node(pmix_data_range_t range)
{
    return range != PMIX_RANGE_LOCAL && range != PMIX_RANGE_PROC_LOCAL &&
           range != PMIX_RANGE_RM;
}

/* ---- to whom ---- */

/* PMIX_EVENT_CUSTOM_RANGE is one process or several. */
static int find_custom(struct pmixsrv *server, const struct request *request,
                       struct members *ret)
{
    const pmix_value_t *value = NULL;
    const pmix_data_array_t *array;

    for (size_t i = 0; i < request->ninfo; i++)
        if (strcmp(request->info[i].key, PMIX_EVENT_CUSTOM_RANGE) == 0)
            value = &request->info[i].value;
    if (value != NULL && value->type == PMIX_PROC && value->data.proc != NULL)
        return members_find(server, value->data.proc, 1, ret);
    array = value != NULL && value->type == PMIX_DATA_ARRAY ? value->data.darray
                                                            : NULL;
    if (array != NULL && array->type == PMIX_PROC)
        return members_find(server, array->array, array->size, ret);
    return members_find(server, NULL, 0, ret);
}

static int find_receivers(struct pmixsrv *server, const struct request *request,
                          struct members *ret)
{
    pmix_proc_t whole = request->proc;
    int rc;

    if (request->range == PMIX_RANGE_CUSTOM)
        return find_custom(server, request, ret);
    whole.rank = PMIX_RANK_WILDCARD;
    rc = members_find(server, &whole, 1, ret);
    for (unsigned node = 0; rc == 0 && request->range != PMIX_RANGE_NAMESPACE &&
                            node < ret->node_count;
         node++)
        ret->nodes[node] = true;
    return rc;
}

/* ---- on its way ---- */

static void pack_event(struct pack *p, const struct request *request)
{
    pack_u32(p, (uint32_t)request->status);
    pack_u32(p, request->range);
    proc_pack(p, &request->proc);
    pack_u32(p, (uint32_t)request->ninfo);
    values_pack(p, request->info, request->ninfo, PMIX_INFO);
}

static void send_event(struct pmixsrv *server, const struct request *request,
                       const struct members *members)
{
    unsigned count;
    CT_AUTO_FREE unsigned *nodes = members_list(members, &count);
    struct pack p = {0};

    pack_event(&p, request);
    if (nodes != NULL && count > 0 && !p.failed)
        server->config.callbacks.event(server->config.ctx, nodes, count,
                                       p.bytes, p.len);
    free(p.bytes);
}

/* What libpmix itself has to tell is of this node. */
static bool is_known(struct pmixsrv *server, const pmix_proc_t *source)
{
    return pmixsrv_find_job(server, source->nspace) != NULL ||
           relays_have(&server->relays, source->nspace);
}

void event_spread(struct pmixsrv *server, struct request *request)
{
    struct members members = {.nodes = NULL};

    if (is_known(server, &request->proc) &&
        find_receivers(server, request, &members) == 0 &&
        members.nodes != NULL) {
        members.nodes[members.node] = false;
        send_event(server, request, &members);
    }
    free(members.nodes);
    request_free(request);
}

/* ---- where it arrives ---- */

static int deliver(struct unpack *u, struct request *event,
                   struct ct_error *reterr)
{
    event->status = (pmix_status_t)unpack_u32(u);
    event->range = (pmix_data_range_t)unpack_u32(u);
    proc_unpack(u, &event->proc);
    event->ninfo = unpack_u32(u);
    if (u->failed || event->ninfo > u->len) { /* each takes a byte at least */
        event->ninfo = 0;
        return ct_fail(reterr, EPROTO, "an event that makes no sense");
    }
    event->copied = calloc(event->ninfo + 1, sizeof *event->copied);
    if (event->copied == NULL)
        return ct_fail_nomem(reterr);
    values_unpack(u, event->copied, event->ninfo, PMIX_INFO);
    if (u->failed)
        return ct_fail(reterr, EPROTO, "an event that makes no sense");
    PMIx_Notify_event(event->status, &event->proc, event->range, event->copied,
                      event->ninfo, NULL, NULL);
    return 0;
}

int pmixsrv_event(struct pmixsrv *server, const void *bytes, size_t len,
                  struct ct_error *reterr)
{
    struct unpack u = {.bytes = bytes, .len = len};
    struct request *event;
    int rc;

    if (server->stopped)
        return 0;
    event = calloc(1, sizeof *event);
    if (event == NULL)
        return ct_fail_nomem(reterr);
    rc = deliver(&u, event, reterr);
    request_free(event);
    return rc;
}
