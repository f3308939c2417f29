/*
 * libdeflate, see lazy/library.h.
 */
#ifndef CT_LAZY_LIBDEFLATE_H
#define CT_LAZY_LIBDEFLATE_H

#include "lazy/library.h"

#include <libdeflate.h>

#define LAZY_LIBDEFLATE(X)                                                     \
    X(libdeflate_alloc_decompressor)                                           \
    X(libdeflate_free_decompressor)                                            \
    X(libdeflate_zlib_decompress)

struct lazy_libdeflate {
    LAZY_LIBDEFLATE(LAZY_MEMBER)
};

extern struct lazy_libdeflate lazy_libdeflate;

int lazy_libdeflate_load(struct ct_error *reterr);

#define libdeflate_alloc_decompressor                                          \
    lazy_libdeflate.libdeflate_alloc_decompressor
#define libdeflate_free_decompressor                                           \
    lazy_libdeflate.libdeflate_free_decompressor
#define libdeflate_zlib_decompress lazy_libdeflate.libdeflate_zlib_decompress

#endif
