/*
 * libpmix does not tell its host on which connection a tool has come. Here that
 * is found out, and whose it is: what the kernel says, not what the tool says.
 */
#ifndef CT_GUEST_PMIX_SOCKET_H
#define CT_GUEST_PMIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Connections that were found before, by inode, whether they are still there or
 * not: one that another thread moves to another descriptor a search may miss.
 * All zero at first.
 */
struct sockets {
    ino_t *known;
    size_t count;
};

/*
 * While libpmix greets a peer its socket is blocking, and the greeting has been
 * read from it; once greeted it is not blocking. Of such sockets of this
 * process the one that is not known yet, and all of them are known from now on.
 * -1: there is none or more than one, or no memory. A caller that has had no
 * peer yet makes known what others have opened.
 */
int sockets_find(struct sockets *sockets);
void sockets_clear(struct sockets *sockets);

/*
 * Whose process has made the socket that is the other end of this TCP
 * connection (IPv4)? -1: it is of another host, is closed, or the kernel does
 * not tell.
 */
int socket_peer(int fd, uid_t *ret);

#endif
