/*
 * Nobody has started us: a job of one rank, whose server is a table.
 */
#include "base/scope.h"
#include "client/ops.h"
#include "client/table.h"

#include <errno.h>
#include <stdio.h>

struct alone {
    struct client client;
    struct table kvs, node, names;
};

static struct alone *alone_of(struct client *client)
{
    return (struct alone *)client; /* its first member */
}

static int put_into(struct table *table, const char *key, const char *value,
                    struct ct_error *reterr)
{
    return table_put(table, key, value, 0) < 0 ? ct_fail_nomem(reterr) : 0;
}

static int get_from(const struct table *table, const char *key,
                    struct client_answer *ret, struct ct_error *reterr)
{
    const char *value = table_get(table, key, NULL);

    ret->found = false;
    if (value == NULL)
        return 0;
    return client_answer_set(ret, value, strlen(value), reterr);
}

static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    return put_into(&alone_of(client)->kvs, key, value, reterr);
}

/* All ranks are there. */
static int fence(struct client *client, struct ct_error *reterr)
{
    (void)client;
    (void)reterr;
    return 0;
}

static int get(struct client *client, const struct client_source *from,
               const char *key, struct client_answer *ret,
               struct ct_error *reterr)
{
    if (from->jobid != NULL && strcmp(from->jobid, client->facts.jobid) != 0)
        return ct_fail(reterr, EREMOTEIO, "there is no job %s", from->jobid);
    return get_from(&alone_of(client)->kvs, key, ret, reterr);
}

static int attr(struct client *client, const char *key,
                struct client_answer *ret, struct ct_error *reterr)
{
    static const char map[] = "(vector,(0,1,1))";

    (void)client;
    ret->found = false;
    if (strcmp(key, "PMI_process_mapping") != 0)
        return 0;
    return client_answer_set(ret, map, strlen(map), reterr);
}

static int node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr)
{
    return put_into(&alone_of(client)->node, key, value, reterr);
}

/* Who would put it while we wait? */
static int node_get(struct client *client, const char *key, bool wait,
                    struct client_answer *ret, struct ct_error *reterr)
{
    if (get_from(&alone_of(client)->node, key, ret, reterr) < 0)
        return -1;
    if (!ret->found && wait)
        return ct_fail(reterr, EDEADLK, "nobody will ever put '%.64s'", key);
    return 0;
}

static int publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr)
{
    struct table *names = &alone_of(client)->names;

    if (table_get(names, name, NULL) != NULL)
        return ct_fail(reterr, EEXIST, "'%.64s' is published already", name);
    return put_into(names, name, port, reterr);
}

static int unpublish(struct client *client, const char *name,
                     struct ct_error *reterr)
{
    if (table_drop(&alone_of(client)->names, name) < 0)
        return ct_fail(reterr, ENOENT, "'%.64s' is not published", name);
    return 0;
}

static int lookup(struct client *client, const char *name,
                  struct client_answer *ret, struct ct_error *reterr)
{
    return get_from(&alone_of(client)->names, name, ret, reterr);
}

static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    (void)client;
    (void)exitcode;
    (void)reterr;
    return 0;
}

static void close_alone(struct client *client)
{
    struct alone *alone = alone_of(client);

    table_clear(&alone->kvs);
    table_clear(&alone->node);
    table_clear(&alone->names);
    free(alone);
}

static const struct client_ops ops = {
    .name = "nobody",
    .put = put,
    .fence = fence,
    .get = get,
    .attr = attr,
    .node_put = node_put,
    .node_get = node_get,
    .publish = publish,
    .unpublish = unpublish,
    .lookup = lookup,
    .finalize = fence,
    .reopen = fence,
    .abort = ask_abort,
    .close = close_alone,
};

struct client *client_open_alone(struct ct_error *reterr)
{
    struct alone *alone = calloc(1, sizeof *alone);

    if (alone == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    alone->client.ops = &ops;
    alone->client.facts = (struct client_facts){
        .size = 1,
        .groups = true,
        .appnum = -1,
        .universe_size = 1,
        .key_max = CLIENT_KEY_SIZE,
        .value_max = CLIENT_VALUE_SIZE,
    };
    snprintf(alone->client.facts.jobid, sizeof alone->client.facts.jobid,
             "singleton-%ld", (long)getpid());
    return &alone->client;
}
