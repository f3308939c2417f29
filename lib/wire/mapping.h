/*
 * PMI_process_mapping: which node each rank is on, as text.
 *
 *   (vector,(X,Y,Z),...)   from node X on, Y nodes, Z consecutive ranks on each
 *
 * Source: MPICH src/mpl/src/mpl_rankmap.c. Old parsers want triplets only, so
 * that is all we write; we also read bare numbers "(vector,0,0,1)", "[..]xN"
 * and lists shorter than the job (they repeat from the first block with X=0).
 * Pure: no allocation, no state.
 */
#ifndef CT_WIRE_MAPPING_H
#define CT_WIRE_MAPPING_H

#include "base/error.h"
#include "base/span.h"

/*
 * Write the mapping of node_of[0..size-1] (node_of NULL: all on node 0) to buf,
 * NUL-terminated. Returns its length; or -1, ENOSPC when it does not fit or
 * EINVAL when size is 0, or size or a node is more than INT_MAX.
 *
 * A cyclic map that does not fit is written for its first round only: readers
 * repeat it.
 */
long mapping_encode(const unsigned *node_of, unsigned size, char *buf,
                    size_t bufsize, struct ct_error *reterr);

/*
 * Number the nodes of node_of[0..size-1], which are below node_count, anew by
 * their first ranks: readers take numbers without ranks for nodes. numbers:
 * room for node_count. ret[size] may be node_of itself.
 */
void mapping_renumber(const unsigned *node_of, unsigned size, unsigned *numbers,
                      unsigned node_count, unsigned *ret);

/*
 * Read a mapping into ret_node_of[0..size-1]; what it says about more ranks is
 * dropped. 0, or -1 (EINVAL) when the text is not a mapping or names no node
 * for some rank. The work is bounded by text.len + size.
 */
int mapping_decode(struct ct_span text, unsigned size, unsigned *ret_node_of,
                   struct ct_error *reterr);

#endif
