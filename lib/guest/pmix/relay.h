/*
 * Messages between tools and the server, both ways, until the server closes its
 * end: libpmix 4.2 crashes when what it greets a tool with cannot be sent, so
 * it greets us instead, and we hand on what it says. That the tool has gone it
 * learns when it reads.
 */
#ifndef CT_GUEST_PMIX_RELAY_H
#define CT_GUEST_PMIX_RELAY_H

#include <stdbool.h>
#include <stddef.h>

struct relay;

struct relays {
    int ready; /* to wait on for reading, when relays_open() was called */
    struct relay *first;
};

/* -1 with errno */
int relays_open(struct relays *relays);
void relays_close(struct relays *relays);

/*
 * Put a connection of ours in the place of the one at fd, a tool's of that
 * name, which goes on at another descriptor, and relay between the two. -1: fd
 * is as it was.
 */
int relays_insert(struct relays *relays, int fd, const char *name);

/* Move what can be moved. Did any go to a tool? */
bool relays_pump(struct relays *relays);

/* Is there a tool of that name? */
bool relays_have(const struct relays *relays, const char *name);

/* ---- what tools say ---- */

/* Of the tool's bytes so many are still to be dealt with. Where that is much no
   more is read of it. -1: there is no such tool. */
int relays_charge(struct relays *relays, const char *name, size_t len);
void relays_discharge(struct relays *relays, const char *name, size_t len);

/* ---- what tools are told ---- */

/*
 * The server has been given so many bytes, for some tool or other: each is
 * taken to be owed them. What passes pays, and the rest was for others: of that
 * the server's word is proof that it had its turn since, and has sent nothing.
 */
void relays_owe(struct relays *relays, size_t len);
void relays_server_had_turn(struct relays *relays);

/* What the one that lacks most is owed. */
size_t relays_owed(const struct relays *relays);

/*
 * Since relays_watch(), or since this was asked before: those that are owed
 * more than that and have taken nothing are cut off. Were there any? What has
 * been sent to them they still get.
 */
void relays_watch(struct relays *relays);
bool relays_cut_idle(struct relays *relays, size_t owed);

/* Is any owed something that is not held up by the tool itself? */
bool relays_want_turn(const struct relays *relays);

#endif
