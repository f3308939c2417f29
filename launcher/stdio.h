/*
 * What ranks read and write.
 *
 * A job of one rank has ctrun's own stdin, stdout and stderr, be they a
 * terminal or not. Otherwise output comes through pipes and goes on in whole
 * lines, and input is for the rank that --stdin names. With --tools all goes
 * through pipes, of which tools get copies.
 */
#ifndef CT_LAUNCHER_STDIO_H
#define CT_LAUNCHER_STDIO_H

#include "agent/agent.h"
#include "base/error.h"
#include "launcher/options.h"

struct event_base;
struct feed;
struct stdio;

struct stdio_config {
    struct event_base *base;
    const struct options *options;
    unsigned size; /* ranks of the job */
    const char *host, *jobid;
    /* Output cannot be written: error is EPIPE when its reader has gone. */
    void (*broken)(void *ctx, const char *name, int error);
    /* A copy of what a rank has written, for whoever wants it; so much of it is
       on its way that ranks should wait, until stdio_drained(). */
    void (*copy)(void *ctx, const struct agent_rank *rank, bool is_error,
                 const void *bytes, size_t len);
    bool (*copies_are_full)(void *ctx);
    void *ctx;
};

/* NULL when out of memory. The config's strings live as long. */
struct stdio *stdio_create(const struct stdio_config *config);
void stdio_destroy(struct stdio *stdio);

/* Descriptors for one rank; see struct agent_stdio. */
int stdio_open(struct stdio *stdio, const struct agent_rank *rank,
               struct agent_stdio *ret, struct ct_error *reterr);

/* Text that a rank has its server print, where its own output goes. */
void stdio_log(struct stdio *stdio, const struct agent_rank *rank,
               bool is_error, const char *text);

/* Does the only rank share the terminal's signals with us? */
bool stdio_shares_terminal(const struct stdio *stdio);

/* Pass on what ranks have written, as far as there is room, without waiting. */
void stdio_catch_up(struct stdio *stdio);

/* Has the rank an input that tools write to (--stdin tool)? Write to it; see
   feeds_write(). */
bool stdio_takes_input(const struct stdio *stdio,
                       const struct agent_rank *rank);
void stdio_feed(struct stdio *stdio, const struct agent_rank *rank,
                const struct feed *feed);

void stdio_drained(struct stdio *stdio);

/* We have been continued. */
void stdio_resume(struct stdio *stdio);

/* No rank lives: read what they have left, without waiting. */
void stdio_finish(struct stdio *stdio);

/* All that was read is written. */
bool stdio_is_idle(const struct stdio *stdio);

#endif
