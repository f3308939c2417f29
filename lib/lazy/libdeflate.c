#include "lazy/libdeflate.h"

static const char *const names[] = {LAZY_LIBDEFLATE(LAZY_NAME)};

struct lazy_libdeflate lazy_libdeflate;

int lazy_libdeflate_load(struct ct_error *reterr)
{
    return library_load(LIBDEFLATE_LIBRARY, names, sizeof names / sizeof *names,
                        &lazy_libdeflate, reterr);
}
