/*
 * A libpmix.so.2 for tests, in which a job is what the test says it is.
 */
#ifndef CT_UNIT_FAKEPMIX_H
#define CT_UNIT_FAKEPMIX_H

#include <pmix.h>

enum { FAKE_VALUES = 200, FAKE_NAMES = 4711 /* the rank that has all names */ };

struct fake_value {
    pmix_rank_t rank;
    char key[PMIX_MAX_KEYLEN + 1];
    pmix_data_type_t type; /* or 0: a string, bytes, or a uint32_t */
    char bytes[256];
    size_t len;
    uint32_t number;
};

struct fake_pmix {
    pmix_rank_t rank;   /* who we are, in the nspace "ns" */
    const char *nspace; /* or in this */
    const char *fails;  /* "Put": a function that does not work */
    int missing;        /* so many gets more find nothing */
    char log[8192];     /* what was called */
    struct fake_value values[FAKE_VALUES];
    unsigned count;
};

/* The library's symbol for it. */
#define FAKE_PMIX_SYMBOL "fake_pmix"

#endif
