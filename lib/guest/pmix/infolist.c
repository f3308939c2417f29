#include "guest/pmix/infolist.h"

#include <stdlib.h>
#include <string.h>

bool info_is_true(const pmix_info_t *info, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(info[i].key, key) == 0)
            return PMIX_INFO_TRUE(&info[i]);
    return false;
}

static pmix_info_t *next_item(struct infolist *list)
{
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 32;
        pmix_info_t *grown = realloc(list->items, room * sizeof *grown);

        if (grown == NULL) {
            list->failed = true;
            return NULL;
        }
        list->items = grown;
        list->room = room;
    }
    memset(&list->items[list->count], 0, sizeof *list->items);
    return &list->items[list->count++];
}

void infolist_add(struct infolist *list, const char *key, const void *value,
                  pmix_data_type_t type)
{
    pmix_info_t *item = next_item(list);

    if (item != NULL)
        PMIX_INFO_LOAD(item, key, value, type);
}

void infolist_u32(struct infolist *list, const char *key, uint32_t value)
{
    infolist_add(list, key, &value, PMIX_UINT32);
}

void infolist_u16(struct infolist *list, const char *key, uint16_t value)
{
    infolist_add(list, key, &value, PMIX_UINT16);
}

void infolist_rank(struct infolist *list, const char *key, pmix_rank_t value)
{
    infolist_add(list, key, &value, PMIX_PROC_RANK);
}

void infolist_string(struct infolist *list, const char *key, const char *value)
{
    infolist_add(list, key, value, PMIX_STRING);
}

void infolist_array(struct infolist *list, const char *key,
                    struct infolist *items)
{
    pmix_data_array_t array = {
        .type = PMIX_INFO,
        .size = items->count,
        .array = items->items,
    };

    if (items->failed)
        list->failed = true;
    else
        infolist_add(list, key, &array, PMIX_DATA_ARRAY);
    infolist_clear(items);
}

void infolist_clear(struct infolist *list)
{
    for (size_t i = 0; i < list->count; i++)
        PMIX_INFO_DESTRUCT(&list->items[i]);
    free(list->items);
    *list = (struct infolist){0};
}
