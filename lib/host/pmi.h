/*
 * What the adapters of PMI-1 and PMI-2 have in common. Private to lib/host.
 */
#ifndef CT_HOST_PMI_H
#define CT_HOST_PMI_H

#include "client/client.h"
#include "client/environ.h"
#include "host/adapter.h"
#include "wire/msg.h"

/* What a client of any kind tells of its job. */
int host_pmi_facts(struct client *client, struct adapter_facts *ret,
                   struct ct_error *reterr);

/* The adapter's open(), once the environment is read. */
void *host_pmi_open(const struct pmi_dialect *dialect,
                    const struct client_environ *where,
                    struct adapter_facts *ret, struct ct_error *reterr);

/* The rest of an adapter, as it is. */
int host_pmi_put(void *adapter, const char *key, const char *value,
                 struct ct_error *reterr);
int host_pmi_fence(void *adapter, struct ct_error *reterr);
int host_pmi_get(void *adapter, unsigned rank, const char *key, char *buf,
                 size_t size, bool *found, struct ct_error *reterr);
int host_pmi_close(void *adapter, struct ct_error *reterr);
void host_pmi_abort(void *adapter, int exitcode);

#endif
