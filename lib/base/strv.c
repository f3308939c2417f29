#include "base/strv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strv_clear(struct strv *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct strv){0};
}

static int add_owned(struct strv *v, char *item)
{
    if (item == NULL)
        return -1;
    if (v->count + 2 > v->room) {
        size_t room = v->room > 0 ? v->room * 2 : 16;
        char **items = realloc(v->items, room * sizeof *items);
        if (items == NULL) {
            free(item);
            return -1;
        }
        v->items = items;
        v->room = room;
    }
    v->items[v->count++] = item;
    v->items[v->count] = NULL;
    return 0;
}

int strv_add(struct strv *v, const char *item)
{
    return add_owned(v, strdup(item));
}

int strv_add_all(struct strv *v, char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (strv_add(v, *list) < 0)
            return -1;
    return 0;
}

int strv_addf(struct strv *v, const char *fmt, ...)
{
    char *item = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&item, fmt, ap) < 0)
        item = NULL;
    va_end(ap);
    return add_owned(v, item);
}

char **strv_list(struct strv *v)
{
    static char *const empty[] = {NULL};

    return v->items != NULL ? v->items : (char **)empty;
}

static size_t name_length(const char *assignment)
{
    return strcspn(assignment, "=");
}

static char **find(const struct strv *v, const char *name, size_t len)
{
    for (size_t i = 0; i < v->count; i++)
        if (strncmp(v->items[i], name, len) == 0 && v->items[i][len] == '=')
            return &v->items[i];
    return NULL;
}

static int env_set_owned(struct strv *v, char *assignment)
{
    char **slot;

    if (assignment == NULL)
        return -1;
    slot = find(v, assignment, name_length(assignment));
    if (slot == NULL)
        return add_owned(v, assignment);
    free(*slot);
    *slot = assignment;
    return 0;
}

int strv_env_set(struct strv *v, const char *assignment)
{
    return env_set_owned(v, strdup(assignment));
}

int strv_env_setf(struct strv *v, const char *fmt, ...)
{
    char *assignment = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&assignment, fmt, ap) < 0)
        assignment = NULL;
    va_end(ap);
    return env_set_owned(v, assignment);
}

const char *strv_env_get(const struct strv *v, const char *name)
{
    return v->items != NULL ? env_get(v->items, name) : NULL;
}

const char *env_get(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

void strv_env_unset(struct strv *v, const char *name)
{
    char **slot = find(v, name, strlen(name));

    if (slot == NULL)
        return;
    free(*slot);
    memmove(slot, slot + 1,
            (size_t)(v->items + v->count - slot) * sizeof *slot);
    v->count--;
}
