/*
 * Standard input, read by ctrun for ranks that cannot have it themselves: a
 * terminal's for one rank, any input for all. The slowest of those that read
 * sets the pace.
 */
#ifndef CT_LAUNCHER_INPUT_H
#define CT_LAUNCHER_INPUT_H

struct event_base;
struct input;

/* Nothing is read before so many readers are there. NULL: out of memory. */
struct input *input_create(struct event_base *base, unsigned readers);
void input_destroy(struct input *input);

/* One more reader: the descriptor to hand to it, or -1 with errno. */
int input_open(struct input *input);

/* We have been continued: we may be in the foreground again. */
void input_resume(struct input *input);

#endif
