/*
 * What every fuzz target begins with: libFuzzer's function, which replay.c
 * calls too, and a check that compilers do not leave out.
 */
#ifndef CT_FUZZ_TARGET_H
#define CT_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* Bytes in memory of their own, so that ASan sees their end. To be freed. */
static inline void *copy_of(const void *bytes, size_t len)
{
    void *copy = malloc(len);

    MUST(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

#endif
