#include "host/pmi.h"

#include "base/scope.h"
#include "wire/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* NULL when the text says nothing: then we find out by ourselves. */
static unsigned *decode_map(const char *text, unsigned size)
{
    CT_AUTO_FREE unsigned *node_of = calloc(size, sizeof *node_of);

    if (node_of == NULL ||
        mapping_decode(ct_span_str(text), size, node_of, NULL) < 0)
        return NULL;
    return ct_steal_ptr(&node_of);
}

static int read_map(struct client *client, unsigned size, unsigned **ret,
                    struct ct_error *reterr)
{
    CT_AUTO_FREE char *text = malloc(PMI_FRAME_MAX);
    bool found;

    if (text == NULL)
        return ct_fail_nomem(reterr);
    if (client_attr(client, "PMI_process_mapping", text, PMI_FRAME_MAX, &found,
                    reterr) < 0)
        return -1;
    *ret = found ? decode_map(text, size) : NULL;
    return 0;
}

int host_pmi_facts(struct client *client, struct adapter_facts *ret,
                   struct ct_error *reterr)
{
    const struct client_facts *facts = client_facts(client);

    if (facts->size > ADAPTER_SIZE_MAX)
        return ct_fail(reterr, EINVAL, "a job of %u ranks is too large",
                       facts->size);
    if (read_map(client, facts->size, &ret->node_of, reterr) < 0)
        return -1;
    snprintf(ret->id, sizeof ret->id, "%s", facts->jobid);
    ret->rank = facts->rank;
    ret->size = facts->size;
    ret->appnum = facts->appnum >= 0 ? (unsigned)facts->appnum : 0;
    return 0;
}

void *host_pmi_open(const struct pmi_dialect *dialect,
                    const struct client_environ *where,
                    struct adapter_facts *ret, struct ct_error *reterr)
{
    struct client_start start = {
        .rank = where->rank,
        .size = where->size,
        .jobid = where->jobid,
        .dialled = where->address != NULL,
    };
    CT_AUTO_FD int fd = where->fd;
    struct client *client;

    if (start.dialled && (fd = client_dial(where->address, reterr)) < 0)
        return NULL;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        ct_fail_errno(reterr, "PMI_FD");
        return NULL;
    }
    client = client_open(fd, dialect, &start, reterr);
    if (client == NULL)
        return NULL;
    ct_steal_fd(&fd);
    if (host_pmi_facts(client, ret, reterr) < 0) {
        host_pmi_abort(client, 1);
        return NULL;
    }
    return client;
}

int host_pmi_put(void *adapter, const char *key, const char *value,
                 struct ct_error *reterr)
{
    return client_put(adapter, key, value, reterr);
}

int host_pmi_fence(void *adapter, struct ct_error *reterr)
{
    return client_fence(adapter, reterr);
}

/* A job has one KVS: the key says whose it is. */
int host_pmi_get(void *adapter, unsigned rank, const char *key, char *buf,
                 size_t size, bool *found, struct ct_error *reterr)
{
    (void)rank;
    return client_get(adapter, key, buf, size, found, reterr);
}

int host_pmi_close(void *adapter, struct ct_error *reterr)
{
    int rc = client_finalize(adapter, reterr);

    client_close(adapter);
    return rc;
}

void host_pmi_abort(void *adapter, int exitcode)
{
    client_abort(adapter, exitcode, NULL);
    client_close(adapter);
}
