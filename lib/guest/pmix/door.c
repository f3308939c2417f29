/*
 * libpmix hears who connects on its one thread, and until they have said who
 * they are it hears nobody else: a connection that says nothing stops the job,
 * whosever it is (up to 5.0, for as long as it lasts; the parameters for
 * handshakes are the client's). Who can connect is anybody on the host.
 *
 * So others never get that far. libpmix takes connections by accept(), and as
 * the program's symbols go before those of libc, that is ours: it closes those
 * of other users. Whose a connection is, the kernel tells; what it cannot tell
 * is let in, since libpmix asks for secrets (tool.c).
 */
#include "guest/pmix/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* libc's, for all who use ctrun's process; ctrun itself calls accept4(). */
int door_accept(int listener, struct sockaddr *address,
                socklen_t *size) __asm__("accept");

static bool is_others(int fd)
{
    uid_t uid;

    return socket_peer(fd, &uid) == 0 && uid != geteuid();
}

int door_accept(int listener, struct sockaddr *address, socklen_t *size)
{
    int fd = accept4(listener, address, size, 0);

    if (fd < 0 || !is_others(fd))
        return fd;
    close(fd);
    errno = EAGAIN; /* as if nobody had come */
    return -1;
}
