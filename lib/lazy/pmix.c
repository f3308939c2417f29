#include "lazy/pmix.h"

static const char *const names[] = {LAZY_PMIX(LAZY_NAME)};

struct lazy_pmix lazy_pmix;

int lazy_pmix_load(struct ct_error *reterr)
{
    return library_load(PMIX_LIBRARY, names, sizeof names / sizeof *names,
                        &lazy_pmix, reterr);
}

void *lazy_pmix_symbol(const char *name)
{
    return library_symbol(PMIX_LIBRARY, name);
}
