#include "base/pack.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t NO_STRING = UINT32_MAX;

void pack_bytes(struct pack *p, const void *bytes, size_t len)
{
    if (p->failed || len == 0)
        return;
    if (p->len + len > p->room) {
        size_t room = (p->len + len) * 2;
        char *grown = realloc(p->bytes, room);
        if (grown == NULL) {
            p->failed = true;
            return;
        }
        p->bytes = grown;
        p->room = room;
    }
    memcpy(p->bytes + p->len, bytes, len);
    p->len += len;
}

void pack_u32(struct pack *p, uint32_t value)
{
    pack_bytes(p, &value, sizeof value);
}

void pack_str(struct pack *p, const char *text)
{
    if (text == NULL) {
        pack_u32(p, NO_STRING);
        return;
    }
    pack_u32(p, (uint32_t)strlen(text));
    pack_bytes(p, text, strlen(text) + 1);
}

void pack_list(struct pack *p, char *const *list)
{
    uint32_t count = 0;

    while (list[count] != NULL)
        count++;
    pack_u32(p, count);
    for (uint32_t i = 0; i < count; i++)
        pack_str(p, list[i]);
}

const void *unpack_bytes(struct unpack *u, size_t len)
{
    if (u->failed || u->len - u->at < len) {
        u->failed = true;
        return NULL;
    }
    if (len == 0)
        return ""; /* of no bytes at all, u->bytes may be NULL */
    const char *bytes = u->bytes + u->at;
    u->at += len;
    return bytes;
}

uint32_t unpack_u32(struct unpack *u)
{
    const void *bytes = unpack_bytes(u, sizeof(uint32_t));
    uint32_t value = 0;

    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return value;
}

const char *unpack_str(struct unpack *u)
{
    uint32_t len = unpack_u32(u);

    if (u->failed || len == NO_STRING)
        return NULL;
    const char *text = unpack_bytes(u, (size_t)len + 1);
    if (text != NULL && text[len] != '\0') {
        u->failed = true;
        return NULL;
    }
    return text;
}

const char **unpack_list(struct unpack *u)
{
    uint32_t count = unpack_u32(u);

    /* Each string takes four bytes at least: no count can make us allocate. */
    if (u->failed || count > (u->len - u->at) / sizeof(uint32_t)) {
        u->failed = true;
        return NULL;
    }
    const char **list = calloc((size_t)count + 1, sizeof *list);
    for (uint32_t i = 0; list != NULL && i < count; i++) {
        list[i] = unpack_str(u);
        u->failed |= list[i] == NULL; /* it would end the list */
    }
    if (u->failed || list == NULL) {
        u->failed = true;
        free(list);
        return NULL;
    }
    return list;
}
