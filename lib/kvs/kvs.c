/*
 * One hash table of entries, each one allocation: header, key, value. Entries
 * that other nodes have not seen hang on a list besides, so that a fence costs
 * what is new and not what is there.
 */
#include "kvs/kvs.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

enum { NOBODY = UINT32_MAX };

struct entry {
    UT_hash_handle hh;
    struct entry *next_fresh, *prev_fresh;
    uint32_t owner;
    uint32_t value_len;
    uint32_t key_len;
    bool fresh;
    bool lost;    /* the table had no memory for it */
    char bytes[]; /* key, value */
};

struct kvs {
    struct entry *table;
    struct entry *first_fresh, *last_fresh;
    size_t quota;
    unsigned ranks;
    size_t used[];
};

struct kvs *kvs_create(unsigned ranks, size_t quota)
{
    struct kvs *kvs = calloc(1, sizeof *kvs + ranks * sizeof kvs->used[0]);

    if (kvs == NULL)
        return NULL;
    kvs->ranks = ranks;
    kvs->quota = quota;
    return kvs;
}

void kvs_destroy(struct kvs *kvs)
{
    struct entry *entry, *next;

    if (kvs == NULL)
        return;
    HASH_ITER(hh, kvs->table, entry, next)
    {
        HASH_DEL(kvs->table, entry);
        free(entry);
    }
    free(kvs);
}

static struct ct_span value_of(const struct entry *entry)
{
    return ct_span(entry->bytes + entry->key_len, entry->value_len);
}

static size_t cost(const struct entry *entry)
{
    return (size_t)entry->key_len + entry->value_len;
}

static struct entry *find(const struct kvs *kvs, struct ct_span key)
{
    struct entry *entry;

    HASH_FIND(hh, kvs->table, key.ptr, key.len, entry);
    return entry;
}

static struct entry *entry_new(unsigned owner, struct ct_span key,
                               struct ct_span value)
{
    struct entry *entry = malloc(sizeof *entry + key.len + value.len);

    if (entry == NULL)
        return NULL;
    *entry = (struct entry){
        .owner = owner,
        .key_len = (uint32_t)key.len,
        .value_len = (uint32_t)value.len,
    };
    memcpy(entry->bytes, key.ptr, key.len);
    if (value.len > 0)
        memcpy(entry->bytes + key.len, value.ptr, value.len);
    return entry;
}

static void mark_fresh(struct kvs *kvs, struct entry *entry)
{
    entry->fresh = true;
    entry->prev_fresh = kvs->last_fresh;
    if (kvs->last_fresh != NULL)
        kvs->last_fresh->next_fresh = entry;
    else
        kvs->first_fresh = entry;
    kvs->last_fresh = entry;
}

static void unmark_fresh(struct kvs *kvs, struct entry *entry)
{
    if (!entry->fresh)
        return;
    entry->fresh = false;
    if (entry->prev_fresh != NULL)
        entry->prev_fresh->next_fresh = entry->next_fresh;
    else
        kvs->first_fresh = entry->next_fresh;
    if (entry->next_fresh != NULL)
        entry->next_fresh->prev_fresh = entry->prev_fresh;
    else
        kvs->last_fresh = entry->prev_fresh;
    entry->next_fresh = entry->prev_fresh = NULL;
}

/* Take an entry out and give its owner the room back. */
static void forget(struct kvs *kvs, struct entry *entry)
{
    unmark_fresh(kvs, entry);
    if (entry->owner != NOBODY)
        kvs->used[entry->owner] -= cost(entry);
    HASH_DEL(kvs->table, entry);
    free(entry);
}

/* The new entry goes in before the old one goes out: no failure loses it. */
static int store(struct kvs *kvs, unsigned owner, struct ct_span key,
                 struct ct_span value, struct ct_error *reterr)
{
    struct entry *old = find(kvs, key);
    struct entry *entry;

    if (key.len == 0 || key.len > UINT32_MAX || value.len > UINT32_MAX)
        return ct_fail(reterr, EINVAL, "a key or value of no sound length");
    entry = entry_new(owner, key, value);
    if (entry == NULL)
        return ct_fail_nomem(reterr);
    /* No check for a duplicate here: `old` is not found while both stand. */
    HASH_ADD_KEYPTR(hh, kvs->table, entry->bytes, key.len, entry);
    if (entry->lost) {
        free(entry);
        return ct_fail_nomem(reterr);
    }
    if (old != NULL)
        forget(kvs, old);
    if (owner != NOBODY) {
        kvs->used[owner] += cost(entry);
        mark_fresh(kvs, entry);
    }
    return 0;
}

int kvs_put(struct kvs *kvs, unsigned rank, struct ct_span key,
            struct ct_span value, struct ct_error *reterr)
{
    const struct entry *old = find(kvs, key);
    size_t used;

    if (rank >= kvs->ranks)
        return ct_fail(reterr, EINVAL, "rank %u has no part in this KVS", rank);
    used = kvs->used[rank];
    if (old != NULL && old->owner == rank)
        used -= cost(old);
    if (key.len > kvs->quota || value.len > kvs->quota - key.len ||
        used > kvs->quota - key.len - value.len)
        return ct_fail(reterr, EDQUOT,
                       "a rank may store %zu bytes of keys and values",
                       kvs->quota);
    return store(kvs, rank, key, value, reterr);
}

int kvs_get(const struct kvs *kvs, struct ct_span key, struct ct_span *ret)
{
    const struct entry *entry = find(kvs, key);

    if (entry == NULL)
        return -1;
    *ret = value_of(entry);
    return 0;
}

int kvs_remove(struct kvs *kvs, struct ct_span key)
{
    struct entry *entry = find(kvs, key);

    if (entry == NULL)
        return -1;
    forget(kvs, entry);
    return 0;
}

void kvs_show_fresh(const struct kvs *kvs, kvs_visit *visit, void *ctx)
{
    for (const struct entry *entry = kvs->first_fresh; entry != NULL;
         entry = entry->next_fresh)
        visit(ctx, ct_span(entry->bytes, entry->key_len), value_of(entry));
}

void kvs_drain_fresh(struct kvs *kvs, kvs_visit *visit, void *ctx)
{
    while (kvs->first_fresh != NULL) {
        struct entry *entry = kvs->first_fresh;

        unmark_fresh(kvs, entry);
        visit(ctx, ct_span(entry->bytes, entry->key_len), value_of(entry));
    }
}

int kvs_import(struct kvs *kvs, struct ct_span key, struct ct_span value,
               struct ct_error *reterr)
{
    return store(kvs, NOBODY, key, value, reterr);
}

size_t kvs_used(const struct kvs *kvs, unsigned rank)
{
    return rank < kvs->ranks ? kvs->used[rank] : 0;
}
