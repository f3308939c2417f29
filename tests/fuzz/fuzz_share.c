/*
 * What another node may send as a spawned job. The first byte says how many
 * nodes there are. What is taken must come back the same from its own bytes.
 */
#include "agent/share.h"
#include "tests/fuzz/target.h"

#include <errno.h>

static void check(const struct share *share, unsigned nodes)
{
    unsigned ranks = 0;
    size_t preput = 0;

    MUST(share->number > 0 && share->size > 0);
    MUST(strlen(share->id) <= SHARE_ID_MAX && share->id[0] != '\0');
    MUST(strlen(share->parent) <= SHARE_ID_MAX && share->parent[0] != '\0');
    for (unsigned rank = 0; rank < share->size; rank++)
        MUST(share->node_of[rank] < nodes);
    for (unsigned i = 0; i < share->app_count; i++) {
        MUST(share->apps[i].ranks > 0 && share->apps[i].argv[0] != NULL);
        ranks += share->apps[i].ranks;
    }
    MUST(ranks == share->size);
    while (share->preput[preput] != NULL)
        preput++;
    MUST(preput % 2 == 0);
}

/* Packed, unpacked and packed again: the same bytes. */
static void check_return(const struct share *share, unsigned nodes)
{
    struct pack once = {0}, twice = {0};
    struct share again;

    MUST(share_pack(&once, share, NULL) == 0);
    MUST(share_unpack(once.bytes, once.len, nodes, &again, NULL) == 0);
    check(&again, nodes);
    MUST(share_pack(&twice, &again, NULL) == 0);
    MUST(once.len == twice.len &&
         memcmp(once.bytes, twice.bytes, once.len) == 0);
    share_clear(&again);
    free(once.bytes);
    free(twice.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned nodes = size > 0 ? data[0] : 0;
    size_t len = size > 0 ? size - 1 : 0;
    uint8_t *copy = copy_of(len > 0 ? data + 1 : NULL, len);
    struct share share;
    struct ct_error error = {0};

    if (share_unpack(copy, len, nodes, &share, &error) == 0) {
        check(&share, nodes);
        check_return(&share, nodes);
        share_clear(&share);
    } else {
        MUST(error.code == EPROTO && strchr(error.text, '\n') == NULL);
    }
    free(copy);
    return 0;
}
