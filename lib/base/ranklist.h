/*
 * Lists of ranks as users write them: "0-3,7". Bytes in, numbers out.
 */
#ifndef CT_BASE_RANKLIST_H
#define CT_BASE_RANKLIST_H

#include "base/span.h"

/*
 * Cut the next range off the front of *rest: 1 with *first <= *last < size; 0
 * at the end; -1 when the text is no such list, or names a rank beyond size.
 * Start with the whole text; an empty one is no list.
 */
int ranklist_next(struct ct_span *rest, unsigned size, unsigned *first,
                  unsigned *last);

/* How many ranks the whole list has, or -1 when it is none. */
long ranklist_count(struct ct_span list, unsigned size);

#endif
