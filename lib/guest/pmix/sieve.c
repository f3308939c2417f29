/*
 * What libpmix would die of, taken out of what ranks and tools say to it.
 *
 * Some requests it handles without a word to its host. But it calls its own
 * functions by name, and as the program's symbols go before a library's (as in
 * door.c) those here are called in their place. They know the public types
 * alone: what is unpacked is looked at, and a key that must not be heard is
 * made one that nobody knows. A release that calls them otherwise goes on
 * without.
 */
#include "guest/pmix/state.h"

#include <string.h>

typedef pmix_status_t unpack_fn(void *types, void *buffer, void *dest,
                                int32_t *count, pmix_data_type_t type);
typedef pmix_status_t group_fn(void *peer, void *buffer);
typedef pmix_status_t connect_fn(void *peer, void *buffer, void *answer);

#define UNPACK_QUERY "pmix_bfrops_base_unpack_query"
#define UNPACK_INFO "pmix_bfrops_base_unpack_info"
#define GROUP "pmix_server_grpconstruct"
#define CONNECT "pmix_server_connect"

unpack_fn sieve_unpack_query __asm__(UNPACK_QUERY);
unpack_fn sieve_unpack_info __asm__(UNPACK_INFO);
group_fn sieve_group __asm__(GROUP);
connect_fn sieve_connect __asm__(CONNECT);

void sieve_open(struct sieve *sieve)
{
    *sieve = (struct sieve){
        .unpack_query = lazy_pmix_symbol(UNPACK_QUERY),
        .unpack_info = lazy_pmix_symbol(UNPACK_INFO),
        .group = lazy_pmix_symbol(GROUP),
        .connect = lazy_pmix_symbol(CONNECT),
    };
}

static void disguise(char *key)
{
    key[0] = '-';
}

/* ---- questions ---- */

/* It takes them for lists of functions. */
static bool has_odd_qualifier(const pmix_query_t *query)
{
    for (size_t i = 0; i < query->nqual; i++)
        if (query->qualifiers[i].value.type != PMIX_STRING ||
            query->qualifiers[i].value.data.string == NULL)
            return true;
    return query->nqual == 0;
}

static void sift_query(const struct sieve *sieve, const pmix_query_t *query)
{
    for (char **key = query->keys; key != NULL && *key != NULL; key++)
        if (strcmp(*key, PMIX_QUERY_ATTRIBUTE_SUPPORT) == 0 &&
            (sieve->no_attributes || has_odd_qualifier(query)))
            disguise(*key);
}

pmix_status_t sieve_unpack_query(void *types, void *buffer, void *dest,
                                 int32_t *count, pmix_data_type_t type)
{
    const struct sieve *sieve = pmixsrv_sieve();
    unpack_fn *theirs =
        sieve != NULL ? sieve->unpack_query : lazy_pmix_symbol(UNPACK_QUERY);
    pmix_status_t rc = theirs(types, buffer, dest, count, type);
    bool sifts = sieve != NULL && rc == PMIX_SUCCESS;

    for (int32_t i = 0; sifts && i < *count; i++)
        sift_query(sieve, (pmix_query_t *)dest + i);
    return rc;
}

/* ---- clean-up, and timeouts; only servers gather ---- */

/* libpmix removes what the host has of such names. /dev/shm is always its. */
static bool is_cleanup(const pmix_info_t *info)
{
    if (strcmp(info->key, PMIX_REGISTER_CLEANUP) != 0 &&
        strcmp(info->key, PMIX_REGISTER_CLEANUP_DIR) != 0)
        return false;
    return info->value.type != PMIX_STRING || info->value.data.string == NULL ||
           strncmp(info->value.data.string, "/dev/shm/", 9) != 0 ||
           strchr(info->value.data.string, ',') != NULL;
}

static void sift_info(const struct sieve *sieve, pmix_info_t *info)
{
    if ((sieve->gathers && strcmp(info->key, PMIX_TIMEOUT) == 0) ||
        (sieve->no_cleanups && is_cleanup(info)))
        disguise(info->key);
}

pmix_status_t sieve_unpack_info(void *types, void *buffer, void *dest,
                                int32_t *count, pmix_data_type_t type)
{
    const struct sieve *sieve = pmixsrv_sieve();
    unpack_fn *theirs =
        sieve != NULL ? sieve->unpack_info : lazy_pmix_symbol(UNPACK_INFO);
    pmix_status_t rc = theirs(types, buffer, dest, count, type);
    bool sifts = sieve != NULL && rc == PMIX_SUCCESS;

    for (int32_t i = 0; sifts && i < *count; i++)
        sift_info(sieve, (pmix_info_t *)dest + i);
    return rc;
}

pmix_status_t sieve_group(void *peer, void *buffer)
{
    struct sieve *sieve = pmixsrv_sieve();
    group_fn *theirs = sieve->group;
    pmix_status_t rc;

    sieve->gathers = sieve->no_timeouts;
    rc = theirs(peer, buffer);
    sieve->gathers = false;
    return rc;
}

pmix_status_t sieve_connect(void *peer, void *buffer, void *answer)
{
    struct sieve *sieve = pmixsrv_sieve();
    connect_fn *theirs = sieve->connect;
    pmix_status_t rc;

    sieve->gathers = sieve->no_timeouts;
    rc = theirs(peer, buffer, answer);
    sieve->gathers = false;
    return rc;
}
