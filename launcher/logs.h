/*
 * What ranks say beside their own output (PMIx_Log), where another launcher has
 * started them: it goes where their own output goes, which that one labels,
 * collects or lets pass. Ranks lend their standard output and error for it.
 */
#ifndef CT_LAUNCHER_LOGS_H
#define CT_LAUNCHER_LOGS_H

#include <stdbool.h>

struct logs;
struct event_base;

/* NULL without memory. */
struct logs *logs_create(struct event_base *base);

/*
 * A rank's standard output and error, which become ours (-1: it has none),
 * until its process has ended: the launcher may wait for that. -1 without
 * memory.
 */
int logs_add(struct logs *logs, unsigned rank, int pidfd, const int fds[2]);

/* When the rank has lent nothing, or has ended, to our own. Never waits. */
void logs_write(struct logs *logs, unsigned rank, bool is_error,
                const char *text);

/* Write what waits for its reader, for some seconds at most. NULL is fine. */
void logs_destroy(struct logs *logs);

#endif
