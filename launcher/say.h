/*
 * ctrun's own words, on standard error: one line each, "ctrun: ...". The only
 * place that prints while a job runs.
 */
#ifndef CT_LAUNCHER_SAY_H
#define CT_LAUNCHER_SAY_H

#include <stdbool.h>

/*
 * level: -1 always (errors), 0 unless --quiet, 1 with -v, 2 with -vv; verbosity
 * as in struct options.
 */
void say(int verbosity, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Are we a task of another launcher's, and not its first? What goes wrong alike
 * in all of them, the first one says.
 */
bool is_one_of_many(void);

/* Likewise, what goes wrong alike in all tasks of one node. */
bool is_first_of_node(void);

#endif
