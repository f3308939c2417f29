/*
 * Numbers and strings packed into bytes and taken out again, bounded at both
 * ends, for messages between processes of one machine. A failure sticks: pack
 * or unpack all, then look at `failed` once.
 */
#ifndef CT_BASE_PACK_H
#define CT_BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
    char *bytes; /* grows; the owner frees it */
    size_t len, room;
    bool failed; /* out of memory */
};

void pack_bytes(struct pack *p, const void *bytes, size_t len);
void pack_u32(struct pack *p, uint32_t value);
void pack_str(struct pack *p,
              const char *text); /* NULL is kept apart from "" */
void pack_list(struct pack *p, char *const *list); /* NULL-terminated */

struct unpack {
    const char *bytes;
    size_t len, at;
    bool failed; /* the bytes ended, or a string was not NUL-terminated */
};

/* A view of len bytes, or NULL. */
const void *unpack_bytes(struct unpack *u, size_t len);
uint32_t unpack_u32(struct unpack *u);
/* A NUL-terminated view; NULL when NULL was packed, or on failure. */
const char *unpack_str(struct unpack *u);

/*
 * The list that pack_list() packed: the strings are views, the array is the
 * caller's to free(). NULL on failure.
 */
const char **unpack_list(struct unpack *u);

#endif
