#include "client/table.h"

#include <stdlib.h>
#include <string.h>
/* a failed allocation leaves the new entry out, and we look whether it is in */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct table_entry {
    char *key, *value;
    unsigned owner;
    UT_hash_handle hh;
};

static void entry_free(struct table_entry *entry)
{
    if (entry == NULL)
        return;
    free(entry->key);
    free(entry->value);
    free(entry);
}

static struct table_entry *find(const struct table *table, const char *key)
{
    struct table_entry *entry;

    HASH_FIND_STR(table->entries, key, entry);
    return entry;
}

static int add(struct table *table, const char *key, char *value,
               unsigned owner)
{
    struct table_entry *entry = calloc(1, sizeof *entry);

    if (entry != NULL)
        entry->key = strdup(key);
    if (entry == NULL || entry->key == NULL) {
        entry_free(entry);
        return -1;
    }
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, strlen(key), entry);
    if (find(table, key) != entry) {
        entry_free(entry);
        return -1;
    }
    entry->value = value;
    entry->owner = owner;
    return 0;
}

int table_put(struct table *table, const char *key, const char *value,
              unsigned owner)
{
    struct table_entry *entry = find(table, key);
    char *copy = strdup(value);

    if (copy == NULL)
        return -1;
    if (entry != NULL) {
        free(entry->value);
        entry->value = copy;
        entry->owner = owner;
        return 0;
    }
    if (add(table, key, copy, owner) < 0) {
        free(copy);
        return -1;
    }
    return 0;
}

const char *table_get(const struct table *table, const char *key,
                      unsigned *ret_owner)
{
    const struct table_entry *entry = find(table, key);

    if (entry == NULL)
        return NULL;
    if (ret_owner != NULL)
        *ret_owner = entry->owner;
    return entry->value;
}

int table_drop(struct table *table, const char *key)
{
    struct table_entry *entry = find(table, key);

    if (entry == NULL)
        return -1;
    HASH_DEL(table->entries, entry);
    entry_free(entry);
    return 0;
}

void table_clear(struct table *table)
{
    struct table_entry *entry, *next;

    HASH_ITER(hh, table->entries, entry, next)
    {
        HASH_DEL(table->entries, entry);
        entry_free(entry);
    }
}
