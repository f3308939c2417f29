/*
 * Where spawned ranks go. Pure: no allocation, no state.
 */
#ifndef CT_AGENT_PLACE_H
#define CT_AGENT_PLACE_H

#include "base/error.h"

#include <stdbool.h>

/* A node, and what it has to do already. */
struct place_node {
    bool open;      /* may take ranks at all */
    unsigned slots; /* ranks that it was given by whoever started the job */
    unsigned taken; /* ranks that run there, or are about to */
};

struct place_command {
    unsigned ranks;
    const bool *hosts; /* [count] where they may go; NULL: anywhere */
};

/*
 * A rank after the other goes to the first node that has a slot free, and, when
 * none has, to that with the fewest ranks for its slots, the first of several:
 * with nodes that are alike, to each in turn. nodes[0..count-1].taken grows
 * with it.
 *
 * 0 with ret_node_of[all ranks]; or -1, EXDEV: no open node for a command.
 */
int place_ranks(struct place_node *nodes, unsigned count,
                const struct place_command *commands, unsigned command_count,
                unsigned *ret_node_of, struct ct_error *reterr);

#endif
