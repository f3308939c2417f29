#include "lazy/squashfuse.h"

static const char *const names[] = {LAZY_SQUASHFUSE(LAZY_NAME)};

struct lazy_squashfuse lazy_squashfuse;

int lazy_squashfuse_load(struct ct_error *reterr)
{
    return library_load(SQUASHFUSE_LIBRARY, names, sizeof names / sizeof *names,
                        &lazy_squashfuse, reterr);
}
