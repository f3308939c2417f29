/*
 * Names that ranks publish: kept here, or where the host keeps them, so the
 * answer may come later. A client waits for it and asks nothing else meanwhile;
 * one with threads may ask for one name at a time.
 */
#include "guest/pmi/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ctpmi_name {
    struct ctpmi_client *by; /* NULL: it has gone */
    enum ctpmi_name_op op;
    char service[PMI_VALUE_MAX + 1];
    char port[PMI_VALUE_MAX + 1];
};

/* What the two dialects call the answers. */
static const char *const replies[][2] = {
    [CTPMI_PUBLISH] = {"publish_result", "name-publish-response"},
    [CTPMI_UNPUBLISH] = {"unpublish_result", "name-unpublish-response"},
    [CTPMI_LOOKUP] = {"lookup_result", "name-lookup-response"},
};

static void start(struct reply *reply, struct ctpmi_client *client,
                  enum ctpmi_name_op op, bool success)
{
    bool two = client->dialect == &pmi_dialect_2;

    reply_start(reply, client, replies[op][two]);
    pmi_add_num(client->dialect, &reply->out, "rc", success ? 0 : two ? 1 : -1);
}

static void refuse(struct ctpmi_client *client, enum ctpmi_name_op op,
                   const char *why)
{
    bool two = client->dialect == &pmi_dialect_2;
    struct reply reply;

    start(&reply, client, op, false);
    if (two)
        reply_thrid(&reply.out, client, WAIT_NAME);
    pmi_add_str(client->dialect, &reply.out, two ? "errmsg" : "msg", why);
    reply_send(&reply);
}

/*
 * Old clients and libpmi2 read "value", new ones "port". false: the dialect
 * cannot carry it.
 */
static bool add_found(struct reply *reply, struct ctpmi_client *client,
                      const char *port)
{
    const struct pmi_dialect *dialect = client->dialect;

    if (dialect == &pmi_dialect_2) {
        pmi_add_str(dialect, &reply->out, "found",
                    port != NULL ? "TRUE" : "FALSE");
        if (port != NULL)
            pmi_add_str(dialect, &reply->out, "value", port);
    }
    if (port != NULL)
        pmi_add_str(dialect, &reply->out, "port", port);
    return !reply->out.broken;
}

/* why: of what is refused; NULL: what is usual. */
static void answer(struct ctpmi_client *client, enum ctpmi_name_op op,
                   bool success, const char *port, const char *why)
{
    bool two = client->dialect == &pmi_dialect_2;
    struct reply reply;

    if (!success && !(two && op == CTPMI_LOOKUP)) {
        refuse(client, op,
               why != NULL           ? why
               : op == CTPMI_PUBLISH ? "already_published"
                                     : "not_published");
        return;
    }
    start(&reply, client, op, success);
    if (op == CTPMI_LOOKUP &&
        !add_found(&reply, client, success ? port : NULL)) {
        refuse(client, op, "the_port_cannot_be_told_in_this_protocol");
        return;
    }
    if (two)
        reply_thrid(&reply.out, client, WAIT_NAME);
    reply_send(&reply);
}

static void finish(struct ctpmi_name *name, bool success, const char *port,
                   const char *why)
{
    struct ctpmi_client *client = name->by;

    if (name->op == CTPMI_LOOKUP && port == NULL)
        success = false;

    if (client != NULL) {
        client->name = NULL;
        if (client->state != SESSION_GONE)
            answer(client, name->op, success, port, why);
    }
    free(name);
}

void ctpmi_name_done(struct ctpmi_name *name, bool success, const char *port)
{
    finish(name, success, port, NULL);
}

/* No host keeps names for us. */
static void do_here(struct ctpmi *server, struct ctpmi_name *name)
{
    struct ct_span service = ct_span_str(name->service), port;
    char copy[PMI_VALUE_MAX + 1] = "";
    bool found = kvs_get(server->names, service, &port) == 0;

    if (found && name->op == CTPMI_LOOKUP)
        memcpy(copy, port.ptr, port.len);
    if (name->op == CTPMI_PUBLISH)
        finish(name,
               !found && kvs_put(server->names, 0, service,
                                 ct_span_str(name->port), NULL) == 0,
               NULL, found ? NULL : "no_room");
    else if (name->op == CTPMI_UNPUBLISH)
        ctpmi_name_done(name, kvs_remove(server->names, service) == 0, NULL);
    else
        ctpmi_name_done(name, found, copy);
}

static void keep(char *ret, struct ct_span text)
{
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
}

int name_ask(struct call *call, enum ctpmi_name_op op, const char *key,
             struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    struct ctpmi *server = client->job->server;
    struct ct_span service, port = {"", 0};
    struct ctpmi_name *name;

    if (call_text(call, key, PMI_VALUE_MAX, &service, reterr) < 0 ||
        (op == CTPMI_PUBLISH &&
         call_text(call, "port", PMI_VALUE_MAX, &port, reterr) < 0))
        return -1;
    if (client->name != NULL)
        return ct_fail(reterr, EBUSY, "another name is still asked for");
    name = calloc(1, sizeof *name);
    if (name == NULL)
        return ct_fail_nomem(reterr);
    name->by = client;
    name->op = op;
    keep(name->service, service);
    keep(name->port, port);
    client->name = name;
    call_keep_thrid(call, WAIT_NAME);
    if (server->callbacks.name != NULL)
        server->callbacks.name(server->ctx, name, op, name->service,
                               name->port);
    else
        do_here(server, name);
    return 0;
}

void name_forget(struct ctpmi_client *client)
{
    if (client->name != NULL)
        client->name->by = NULL;
    client->name = NULL;
}
