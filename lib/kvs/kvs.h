/*
 * The key-value space of one job (PMI calls it KVS): put replaces, get is O(1),
 * and what one rank may store is bounded. Publish / lookup use one too.
 */
#ifndef CT_KVS_KVS_H
#define CT_KVS_KVS_H

#include "base/error.h"
#include "base/span.h"

struct kvs;

/*
 * quota: bytes of keys and values that one of the ranks [0, ranks) may own.
 * NULL when out of memory.
 */
struct kvs *kvs_create(unsigned ranks, size_t quota);
void kvs_destroy(struct kvs *kvs);

/*
 * Store a copy under key, now owned by rank (whoever owned it before is
 * relieved of it). 0; or -1 with nothing changed: EDQUOT over quota, ENOMEM.
 */
int kvs_put(struct kvs *kvs, unsigned rank, struct ct_span key,
            struct ct_span value, struct ct_error *reterr);

/* 0 and a view that lives until the next put or remove of the key; -1: none. */
int kvs_get(const struct kvs *kvs, struct ct_span key, struct ct_span *ret);

/* 0, or -1 when there was none. */
int kvs_remove(struct kvs *kvs, struct ct_span key);

/*
 * For jobs of several nodes: kvs_drain_fresh() shows each entry put (not
 * imported) since it was last called, kvs_show_fresh() the same and leaves them
 * fresh, and kvs_import() stores what another node showed: nobody's, without
 * quota.
 */
typedef void kvs_visit(void *ctx, struct ct_span key, struct ct_span value);
void kvs_show_fresh(const struct kvs *kvs, kvs_visit *visit, void *ctx);
void kvs_drain_fresh(struct kvs *kvs, kvs_visit *visit, void *ctx);
int kvs_import(struct kvs *kvs, struct ct_span key, struct ct_span value,
               struct ct_error *reterr);

/* Bytes that rank owns. */
size_t kvs_used(const struct kvs *kvs, unsigned rank);

#endif
