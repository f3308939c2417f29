#include "client/client.h"

#include "base/scope.h"
#include "client/talk.h"

#include <errno.h>
#include <stdlib.h>

struct client *client_open(int fd, const struct pmi_dialect *dialect,
                           const struct client_start *start,
                           struct ct_error *reterr)
{
    /* not cleared: most of it is buffers */
    CT_AUTO_FREE struct client *client = malloc(sizeof *client);

    if (client == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    client->fd = fd;
    client->wire = dialect == &pmi_dialect_1 ? &client_wire_1 : &client_wire_2;
    client->dialect = &pmi_dialect_1;
    client->broken = false;
    client->held = client->used = 0;
    client->facts = (struct client_facts){
        .rank = start->rank,
        .size = start->size,
        .appnum = -1,
        .universe_size = -1,
        .key_max = PMI_KEY_MAX,
        .value_max = PMI_VALUE_MAX,
    };
    if (client->wire->begin(client, start, reterr) < 0)
        return NULL;
    return ct_steal_ptr(&client);
}

const struct client_facts *client_facts(const struct client *client)
{
    return &client->facts;
}

int client_put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    const struct client_facts *facts = &client->facts;

    if (strlen(key) >= facts->key_max)
        return ct_fail(reterr, EMSGSIZE, "the key '%.64s' is too long", key);
    if (strlen(value) >= facts->value_max)
        return ct_fail(reterr, EMSGSIZE, "the value of '%.64s' is too long",
                       key);
    return client->wire->put(client, key, value, reterr);
}

int client_fence(struct client *client, struct ct_error *reterr)
{
    return client->wire->fence(client, reterr);
}

int client_get(struct client *client, const char *key, char *buf, size_t size,
               bool *ret_found, struct ct_error *reterr)
{
    if (client->wire->get(client, key, reterr) < 0)
        return -1;
    return talk_value(client, buf, size, ret_found, reterr);
}

int client_attr(struct client *client, const char *key, char *buf, size_t size,
                bool *ret_found, struct ct_error *reterr)
{
    if (client->wire->attr(client, key, reterr) < 0)
        return -1;
    return talk_value(client, buf, size, ret_found, reterr);
}

int client_finalize(struct client *client, struct ct_error *reterr)
{
    return client->wire->finalize(client, reterr);
}

int client_abort(struct client *client, int exitcode, struct ct_error *reterr)
{
    return client->wire->abort(client, exitcode, reterr);
}

void client_close(struct client *client)
{
    if (client == NULL)
        return;
    close(client->fd);
    free(client);
}
