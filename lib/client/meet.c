/*
 * While a slurmstepd forks its tasks its effective uid is the user's, in all of
 * its threads. Its pmix plugin, which is one of them, may have parts of a fence
 * to pass on meanwhile, of nodes that are ready: in a ring from node to node.
 * The next node then connects to it with a credential for root only, which it
 * cannot read as somebody else; it refuses the connection, what was to go there
 * is lost, and the fence waits for ever. (Slurm 22.05.8, ordinary users, four
 * nodes: 7 of 100 steps, "Unauthorized credential for client UID=1002".)
 *
 * So nobody may enter the first fence before all nodes have forked. Asking a
 * rank of another node for a key does no harm, since who is asked connects to
 * who asks, which has tasks already. By that the first ranks of the nodes meet:
 *
 *      ask those of the nodes below ours in a tree    each has started
 *      put our own                                    so have all below us
 *      ask that of the first node                     so have all
 *
 * A rank's keys are seen as they were when it first was asked, so there is but
 * one put for each, and nothing but the first node that all can wait for.
 */
#include "client/meet.h"

#include "base/scope.h"
#include "wire/mapping.h"

#include <stdlib.h>
#include <string.h>

enum {
    BELOW = 4,           /* nodes below one */
    NODES_MAX = 1 << 20, /* no map is believed that has more */
};

static const char key[] = "pmi-here";

/* Slurm's plugin names all its jobs so. */
bool meet_is_due(const pmix_proc_t *me)
{
    static const char prefix[] = "slurm.pmix.";

    return strncmp(me->nspace, prefix, strlen(prefix)) == 0;
}

static unsigned highest(const unsigned *list, unsigned count)
{
    unsigned result = 0;

    for (unsigned i = 0; i < count; i++)
        if (list[i] > result)
            result = list[i];
    return result;
}

/* Number the nodes by their first ranks. */
static int renumber(unsigned *node_of, unsigned size)
{
    unsigned count = highest(node_of, size) + 1;
    CT_AUTO_FREE unsigned *numbers = NULL;

    if (count > NODES_MAX)
        return -1;
    numbers = calloc(count, sizeof *numbers);
    if (numbers == NULL)
        return -1;
    mapping_renumber(node_of, size, numbers, count, node_of);
    return 0;
}

/* The first rank of each node, to free(); NULL: it is not known. */
static unsigned *find_first(const char *map, unsigned size, unsigned rank,
                            unsigned *ret_count, unsigned *ret_own)
{
    CT_AUTO_FREE unsigned *node_of = calloc(size, sizeof *node_of);
    unsigned *first = calloc(size, sizeof *first);

    *ret_count = 0;
    if (node_of == NULL || first == NULL ||
        mapping_decode(ct_span_str(map), size, node_of, NULL) < 0 ||
        renumber(node_of, size) < 0) {
        free(first);
        return NULL;
    }
    for (unsigned i = 0; i < size; i++)
        if (node_of[i] == *ret_count)
            first[(*ret_count)++] = i;
    *ret_own = node_of[rank];
    return first;
}

/* Wait until it has put its key. libpmix 4.0 brings nothing, but waits. */
static void ask(const struct libpmix *lib, const pmix_proc_t *me, unsigned rank)
{
    pmix_proc_t proc = *me;
    pmix_value_t *value = NULL;

    proc.rank = rank;
    if (lib->Get(&proc, key, NULL, 0, &value) == PMIX_SUCCESS)
        free(value);
}

static void show(const struct libpmix *lib)
{
    pmix_value_t value;

    memset(&value, 0, sizeof value);
    value.type = PMIX_BOOL;
    value.data.flag = true;
    if (lib->Put(PMIX_GLOBAL, key, &value) == PMIX_SUCCESS)
        lib->Commit();
}

void meet(const struct libpmix *lib, const pmix_proc_t *me, unsigned size,
          const char *map)
{
    CT_AUTO_FREE unsigned *first = NULL;
    unsigned count, own;

    if (map == NULL)
        return;
    first = find_first(map, size, me->rank, &count, &own);
    if (first == NULL || count < 2 || first[own] != me->rank)
        return;
    for (unsigned i = 1; i <= BELOW && BELOW * own + i < count; i++)
        ask(lib, me, first[BELOW * own + i]);
    show(lib);
    if (own > 0)
        ask(lib, me, first[0]);
}
