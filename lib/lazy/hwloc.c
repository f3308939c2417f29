#include "lazy/hwloc.h"

static const char *const names[] = {LAZY_HWLOC(LAZY_NAME)};

struct lazy_hwloc lazy_hwloc;

int lazy_hwloc_load(struct ct_error *reterr)
{
    return library_load(HWLOC_LIBRARY, names, sizeof names / sizeof *names,
                        &lazy_hwloc, reterr);
}
