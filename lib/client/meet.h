/*
 * What has to come before the first fence under Slurm. Private to lib/client.
 */
#ifndef CT_CLIENT_MEET_H
#define CT_CLIENT_MEET_H

#include "client/libpmix.h"

#include <stdbool.h>

/* Is the host one whose fences hang otherwise? */
bool meet_is_due(const pmix_proc_t *me);

/*
 * Return when all nodes of the job have started their tasks; each rank calls
 * it, of which the first of a node does it for all. map: where the ranks are,
 * as PMI_process_mapping; NULL when nobody tells. What fails here fails in the
 * fence, too, and is told there.
 */
void meet(const struct libpmix *lib, const pmix_proc_t *me, unsigned size,
          const char *map);

#endif
