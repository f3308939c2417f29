/*
 * FNV-1a, 64 bits: short names for what is known to nobody who would want two
 * of them to be the same.
 */
#ifndef CT_BASE_HASH_H
#define CT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define CT_HASH_START UINT64_C(0xcbf29ce484222325)

/* Of what has been hashed (at first CT_HASH_START) and these bytes. */
static inline uint64_t ct_hash(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
