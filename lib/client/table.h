/*
 * Words by key: what a process has put, or has learnt of others.
 */
#ifndef CT_CLIENT_TABLE_H
#define CT_CLIENT_TABLE_H

struct table_entry;

struct table {
    struct table_entry *entries; /* NULL: empty */
};

/*
 * Put a copy in the place of what stood under key. owner is told by
 * table_get(), unless that has NULL for it. 0, or -1 when out of memory.
 */
int table_put(struct table *table, const char *key, const char *value,
              unsigned owner);

/* Valid until the key is put or dropped; NULL: there is none. */
const char *table_get(const struct table *table, const char *key,
                      unsigned *ret_owner);

/* 0, or -1: there is none. */
int table_drop(struct table *table, const char *key);

void table_clear(struct table *table);

#endif
