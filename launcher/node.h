/*
 * The agent of a node whose ranks another launcher has started.
 */
#ifndef CT_LAUNCHER_NODE_H
#define CT_LAUNCHER_NODE_H

#include "launcher/options.h"
#include "overlay/address.h"

#include <stdint.h>
#include <sys/types.h>

/* Of a member to its agent: rank, parent, which of standard output (1) and
   error (2) come with it, directory, argv, environment. */
enum { NODE_HELLO = 0x68656c6c };

struct node_config {
    const struct options *options; /* of the member that starts the agent */
    const char *jobid;
    unsigned size;
    const unsigned *node_of; /* [size] */
    unsigned node, node_count;
    const char *const *hosts;      /* [node_count] */
    const struct addresses *peers; /* [node_count] where agents listen */
    const uint8_t *secret;         /* [FRAME_SECRET_SIZE] */
    int overlay[2];                /* where ours does */
    int listener;                  /* members connect here */
    int first; /* the connection of the member that starts the agent */
};

/*
 * Let the node's members come, be their agent, end with the last one. Runs in a
 * process of its own; returns its exit code.
 */
int node_main(const struct node_config *config);

#endif
