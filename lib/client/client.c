#include "client/client.h"

#include "base/scope.h"
#include "client/ops.h"
#include "client/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const struct talk_wire *wire_of(const struct pmi_dialect *dialect)
{
    return dialect == &pmi_dialect_1 ? &talk_wire_1 : &talk_wire_2;
}

static const struct client_facts facts_before = {
    .appnum = -1,
    .universe_size = -1,
    .key_max = CLIENT_KEY_SIZE,
    .value_max = CLIENT_VALUE_SIZE,
};

struct client *client_open(int fd, const struct pmi_dialect *dialect,
                           const struct client_start *start,
                           struct ct_error *reterr)
{
    /* not cleared: most of it is buffers */
    CT_AUTO_FREE struct talk *talk = malloc(sizeof *talk);

    if (talk == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    talk->fd = fd;
    talk->wire = wire_of(dialect);
    talk->dialect = &pmi_dialect_1;
    talk->is_slurm = start->jobid != NULL;
    talk->broken = talk->groups = false;
    talk->barriers = NULL;
    talk->cut_values = 0;
    talk->node_prefix[0] = '\0';
    talk->subversion = start->want_groups ? 2 : 1;
    talk->held = talk->used = 0;
    snprintf(talk->jobid, sizeof talk->jobid, "%s",
             start->jobid != NULL ? start->jobid : "");
    talk->client.ops = talk->wire->ops;
    talk->client.facts = facts_before;
    talk->client.facts.rank = start->rank;
    talk->client.facts.size = start->size;
    if (talk->wire->begin(&talk->client, start, reterr) < 0)
        return NULL;
    return &ct_steal_ptr(&talk)->client;
}

const struct client_facts *client_facts(const struct client *client)
{
    return &client->facts;
}

const char *client_name(const struct client *client)
{
    return client->ops->name;
}

const struct client_source client_anybody = {.rank = -1};

static int fail_cannot(const struct client *client, const char *what,
                       struct ct_error *reterr)
{
    return ct_fail(reterr, ENOTSUP, "%s with %s is not possible", what,
                   client->ops->name);
}

static int check_key(const struct client *client, const char *key,
                     struct ct_error *reterr)
{
    if (strlen(key) >= client->facts.key_max)
        return ct_fail(reterr, EMSGSIZE, "the key '%.64s' is too long", key);
    return 0;
}

static int check_pair(const struct client *client, const char *key,
                      const char *value, struct ct_error *reterr)
{
    if (check_key(client, key, reterr) < 0)
        return -1;
    if (strlen(value) >= client->facts.value_max)
        return ct_fail(reterr, EMSGSIZE, "the value of '%.64s' is too long",
                       key);
    return 0;
}

int client_put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    if (check_pair(client, key, value, reterr) < 0)
        return -1;
    return client->ops->put(client, key, value, reterr);
}

int client_fence(struct client *client, struct ct_error *reterr)
{
    return client->ops->fence(client, reterr);
}

int client_barrier(struct client *client, struct ct_error *reterr)
{
    if (client->ops->barrier == NULL)
        return client->ops->fence(client, reterr);
    return client->ops->barrier(client, reterr);
}

int client_barrier_begin(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct client_barrier *ret, struct ct_error *reterr)
{
    if (!client->facts.groups || client->ops->barrier_begin == NULL)
        return fail_cannot(client, "a barrier of some ranks", reterr);
    return client->ops->barrier_begin(client, kind, ranks, count, tag, ret,
                                      reterr);
}

int client_barrier_test(struct client *client, struct client_barrier *barrier,
                        bool *ret_over, struct ct_error *reterr)
{
    return client->ops->barrier_test(client, barrier, ret_over, reterr);
}

void client_barrier_forget(struct client *client,
                           struct client_barrier *barrier)
{
    client->ops->barrier_forget(client, barrier);
}

int client_fd(const struct client *client)
{
    return client->ops->fd(client);
}

static int await_barrier(struct client *client, struct client_barrier *barrier,
                         struct ct_error *reterr)
{
    struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};
    bool over = false;

    while (!over) {
        if (poll(&fd, 1, -1) < 0 && errno != EINTR) {
            client_barrier_forget(client, barrier);
            return ct_fail_errno(reterr, "cannot wait");
        }
        if (client_barrier_test(client, barrier, &over, reterr) < 0)
            return -1;
    }
    return 0;
}

int client_barrier_group(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct ct_error *reterr)
{
    struct client_barrier barrier;

    if (client->facts.size == 1)
        return 0;
    if (!client->facts.groups && kind == CLIENT_GROUP_WORLD)
        return client_barrier(client, reterr);
    if (client_barrier_begin(client, kind, ranks, count, tag, &barrier,
                             reterr) < 0)
        return -1;
    return await_barrier(client, &barrier, reterr);
}

int client_get_from(struct client *client, const struct client_source *from,
                    const char *key, char *buf, size_t size, bool *ret_found,
                    struct ct_error *reterr)
{
    struct client_answer answer = {.buf = buf, .size = size};

    if (client->ops->get(client, from != NULL ? from : &client_anybody, key,
                         &answer, reterr) < 0)
        return -1;
    *ret_found = answer.found;
    return 0;
}

int client_get(struct client *client, const char *key, char *buf, size_t size,
               bool *ret_found, struct ct_error *reterr)
{
    return client_get_from(client, NULL, key, buf, size, ret_found, reterr);
}

int client_attr(struct client *client, const char *key, char *buf, size_t size,
                bool *ret_found, struct ct_error *reterr)
{
    struct client_answer answer = {.buf = buf, .size = size};

    if (client->ops->attr(client, key, &answer, reterr) < 0)
        return -1;
    *ret_found = answer.found;
    return 0;
}

int client_node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr)
{
    if (client->ops->node_put == NULL)
        return fail_cannot(client, "an attribute of the node", reterr);
    if (check_pair(client, key, value, reterr) < 0)
        return -1;
    return client->ops->node_put(client, key, value, reterr);
}

int client_node_get(struct client *client, const char *key, bool wait,
                    char *buf, size_t size, bool *ret_found,
                    struct ct_error *reterr)
{
    struct client_answer answer = {.buf = buf, .size = size};

    if (client->ops->node_get == NULL)
        return fail_cannot(client, "an attribute of the node", reterr);
    if (client->ops->node_get(client, key, wait, &answer, reterr) < 0)
        return -1;
    *ret_found = answer.found;
    return 0;
}

int client_publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr)
{
    if (client->ops->publish == NULL)
        return fail_cannot(client, "to publish a name", reterr);
    return client->ops->publish(client, name, port, reterr);
}

int client_unpublish(struct client *client, const char *name,
                     struct ct_error *reterr)
{
    if (client->ops->unpublish == NULL)
        return fail_cannot(client, "to take a name back", reterr);
    return client->ops->unpublish(client, name, reterr);
}

int client_lookup(struct client *client, const char *name, char *buf,
                  size_t size, bool *ret_found, struct ct_error *reterr)
{
    struct client_answer answer = {.buf = buf, .size = size};

    if (client->ops->lookup == NULL)
        return fail_cannot(client, "to look up a name", reterr);
    if (client->ops->lookup(client, name, &answer, reterr) < 0)
        return -1;
    *ret_found = answer.found;
    return 0;
}

int client_spawn(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr)
{
    if (client->ops->spawn == NULL)
        return fail_cannot(client, "to start processes", reterr);
    return client->ops->spawn(client, spawn, jobid, size, codes, code_count,
                              reterr);
}

int client_connect(struct client *client, const char *jobid,
                   struct ct_error *reterr)
{
    if (client->ops->connect == NULL)
        return fail_cannot(client, "to connect to a job", reterr);
    return client->ops->connect(client, jobid, reterr);
}

int client_disconnect(struct client *client, const char *jobid,
                      struct ct_error *reterr)
{
    if (client->ops->disconnect == NULL)
        return fail_cannot(client, "to disconnect from a job", reterr);
    return client->ops->disconnect(client, jobid, reterr);
}

int client_finalize(struct client *client, struct ct_error *reterr)
{
    return client->ops->finalize(client, reterr);
}

int client_reopen(struct client *client, struct ct_error *reterr)
{
    if (client->ops->reopen == NULL)
        return fail_cannot(client, "to begin anew", reterr);
    return client->ops->reopen(client, reterr);
}

int client_abort(struct client *client, int exitcode, struct ct_error *reterr)
{
    return client->ops->abort(client, exitcode, reterr);
}

void client_close(struct client *client)
{
    if (client != NULL)
        client->ops->close(client);
}

int client_answer_set(struct client_answer *ret, const char *text, size_t len,
                      struct ct_error *reterr)
{
    if (len >= ret->size)
        return ct_fail(reterr, ENOSPC, "an answer of %zu bytes is too long",
                       len);
    memcpy(ret->buf, text, len);
    ret->buf[len] = '\0';
    ret->found = true;
    return 0;
}

int client_look_again(struct client *client, client_look *look, const char *key,
                      int patience, struct client_answer *ret,
                      struct ct_error *reterr)
{
    enum { PAUSE_MAX = 64 }; /* ms */
    int pause = 1, paused = 0;

    while (look(client, key, ret, reterr) == 0) {
        if (ret->found)
            return 0;
        if (patience >= 0 && paused >= patience)
            return ct_fail(reterr, ETIMEDOUT, "nobody has put '%.64s'", key);
        poll(NULL, 0, pause);
        paused += patience >= 0 ? pause : 0;
        pause = pause < PAUSE_MAX ? pause * 2 : pause;
    }
    return -1;
}
