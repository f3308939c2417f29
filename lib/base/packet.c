#include "base/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr head;
    char space[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

/*
 * A packet must fit into the socket's buffer, whose usual size is the site's
 * choice. Linux counts twice what is asked for, and wants 32 bytes of it.
 */
ssize_t packet_make_room(int fd, struct ct_error *reterr)
{
    int size = PACKET_MAX;
    socklen_t len = sizeof size;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
        return ct_fail_errno(reterr, "SO_SNDBUF");
    size -= 32;
    return size < PACKET_MAX ? size : PACKET_MAX;
}

int packet_peer(int fd, pid_t *ret, struct ct_error *reterr)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return ct_fail_errno(reterr, "SO_PEERCRED");
    if (peer.uid != geteuid())
        return ct_fail(reterr, EPERM, "the other end is user %u's",
                       (unsigned)peer.uid);
    *ret = peer.pid;
    return 0;
}

ssize_t packet_send(int fd, const void *bytes, size_t len, const int *fds,
                    size_t fd_count, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd_count > PACKET_FDS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
    }
    return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

static void take_fds(struct msghdr *msg, int *fds)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(msg);

    for (int i = 0; i < PACKET_FDS_MAX; i++)
        fds[i] = -1;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
}

ssize_t packet_receive(int fd, void *buf, size_t size, int *fds, int flags)
{
    union control control;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t len = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);

    if (len < 0)
        msg.msg_controllen = 0;
    take_fds(&msg, fds);
    return len;
}
