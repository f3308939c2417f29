/*
 * Bytes between tools and the server, both ways, until the server closes its
 * end: libpmix 4.2 crashes when what it greets a tool with cannot be sent, so
 * it greets us instead, and we hand on what it says. That the tool has gone it
 * learns when it reads.
 */
#ifndef CT_GUEST_PMIX_RELAY_H
#define CT_GUEST_PMIX_RELAY_H

struct relay;

struct relays {
    int ready; /* to wait on for reading, when relays_open() was called */
    struct relay *first;
};

/* -1 with errno */
int relays_open(struct relays *relays);
void relays_close(struct relays *relays);

/*
 * Put a connection of ours in the place of the one at fd, which goes on at
 * another descriptor, and relay between the two. -1: fd is as it was.
 */
int relays_insert(struct relays *relays, int fd);

/* Move what can be moved. */
void relays_pump(struct relays *relays);

#endif
