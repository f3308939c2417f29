/*
 * An array of pmix_info_t that grows.
 */
#ifndef CT_GUEST_PMIX_INFOLIST_H
#define CT_GUEST_PMIX_INFOLIST_H

#include "lazy/pmix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct infolist {
    pmix_info_t *items;
    size_t count, room;
    bool failed; /* there was no memory for one of them */
};

/* Is there one of that key, and is the first of them true? */
bool info_is_true(const pmix_info_t *info, size_t count, const char *key);

/* value is copied, as PMIX_INFO_LOAD() does. */
void infolist_add(struct infolist *list, const char *key, const void *value,
                  pmix_data_type_t type);
void infolist_u32(struct infolist *list, const char *key, uint32_t value);
void infolist_u16(struct infolist *list, const char *key, uint16_t value);
void infolist_rank(struct infolist *list, const char *key, pmix_rank_t value);
void infolist_string(struct infolist *list, const char *key, const char *value);

/* A list as one item of another; it is empty afterwards. */
void infolist_array(struct infolist *list, const char *key,
                    struct infolist *items);

void infolist_clear(struct infolist *list);

#endif
