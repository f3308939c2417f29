/*
 * Where an agent can be reached: its sockets, and the addresses of its node as
 * the cards of the host's exchange carry them.
 */
#ifndef CT_OVERLAY_ADDRESS_H
#define CT_OVERLAY_ADDRESS_H

#include "base/error.h"
#include "base/pack.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 32 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct addresses {
    unsigned count;
    union address items[ADDRESSES_MAX];
};

/*
 * Listen, on a port of the kernel's choice, for IPv4 and, where there is, for
 * IPv6: ret_fds[2], -1 for what there is not. *ret: every usable address of the
 * node; interface not NULL: of the one of that name. Loopback only where there
 * is nothing else.
 */
int address_listen(const char *interface, int ret_fds[2], struct addresses *ret,
                   struct ct_error *reterr);

socklen_t address_size(const union address *address);
/* The ports may differ. */
bool address_same_host(const union address *a, const union address *b);

void address_pack(struct pack *p, const struct addresses *addresses);
/* Bounded; -1 for what makes no sense. */
int address_unpack(struct unpack *u, struct addresses *ret);

/* "10.0.0.1:4711", "[fe80::1]:4711" */
enum { ADDRESS_TEXT_SIZE = 64 };
void address_text(const union address *address, char ret[ADDRESS_TEXT_SIZE]);

#endif
