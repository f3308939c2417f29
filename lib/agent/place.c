#include "agent/place.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static bool is_free(const struct place_node *node)
{
    return node->taken < node->slots;
}

/* Would a rank more make a heavier load here than there? */
static bool is_fuller(const struct place_node *here,
                      const struct place_node *there)
{
    uint64_t slots = here->slots > 0 ? here->slots : 1;
    uint64_t others = there->slots > 0 ? there->slots : 1;

    return ((uint64_t)here->taken + 1) * others >
           ((uint64_t)there->taken + 1) * slots;
}

/* NULL: there is no node for it. */
static struct place_node *choose(struct place_node *nodes, unsigned count,
                                 const bool *hosts)
{
    struct place_node *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (!nodes[i].open || (hosts != NULL && !hosts[i]))
            continue;
        if (is_free(&nodes[i]))
            return &nodes[i];
        if (best == NULL || is_fuller(best, &nodes[i]))
            best = &nodes[i];
    }
    return best;
}

int place_ranks(struct place_node *nodes, unsigned count,
                const struct place_command *commands, unsigned command_count,
                unsigned *ret_node_of, struct ct_error *reterr)
{
    for (unsigned i = 0; i < command_count; i++)
        for (unsigned k = 0; k < commands[i].ranks; k++) {
            struct place_node *node = choose(nodes, count, commands[i].hosts);

            if (node == NULL)
                return ct_fail(reterr, EXDEV,
                               "no node that is asked for has the container "
                               "of the rank that asks");
            node->taken++;
            *ret_node_of++ = (unsigned)(node - nodes);
        }
    return 0;
}
