/*
 * Packets with descriptors between processes of one machine, on a socket of
 * type SOCK_SEQPACKET.
 */
#ifndef CT_BASE_PACKET_H
#define CT_BASE_PACKET_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

enum {
    PACKET_MAX = 160 * 1024, /* below the kernel's limit for one packet */
    PACKET_FDS_MAX = 4,
};

/*
 * Make room for large packets. What fits is returned; the site's limit may be
 * below PACKET_MAX. -1 with the reason.
 */
ssize_t packet_make_room(int fd, struct ct_error *reterr);

/*
 * The process at the other end of a Unix socket, which must be of our own user:
 * EPERM.
 */
int packet_peer(int fd, pid_t *ret, struct ct_error *reterr);

/*
 * Send one with up to PACKET_FDS_MAX descriptors; flags as for sendmsg(2). -1
 * with errno.
 */
ssize_t packet_send(int fd, const void *bytes, size_t len, const int *fds,
                    size_t fd_count, int flags);

/*
 * Receive one of up to size bytes. fds[PACKET_FDS_MAX] become the caller's
 * (CLOEXEC), -1 where there is none. 0: the other end is closed; -1 with errno.
 */
ssize_t packet_receive(int fd, void *buf, size_t size, int *fds, int flags);

#endif
