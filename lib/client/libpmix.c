#include "client/libpmix.h"

#include "lazy/library.h"

/* In the order of the structure, which library_load() fills. */
#define LIBPMIX_NAME(name) "PMIx_" #name,
static const char *const names[] = {LIBPMIX_FUNCTIONS(LIBPMIX_NAME)};

int libpmix_load(struct libpmix *ret, struct ct_error *reterr)
{
    return library_load(PMIX_LIBRARY, names, sizeof names / sizeof *names, ret,
                        reterr);
}
