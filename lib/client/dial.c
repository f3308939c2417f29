#include "base/scope.h"
#include "client/client.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* The last ':' parts them: the host may be an IPv6 address. */
static int split(const char *address, char *host, size_t size,
                 const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : 0;

    if (len == 0 || len >= size || colon[1] == '\0')
        return -1;
    memcpy(host, address, len);
    host[len] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int connect_to(const struct addrinfo *where)
{
    CT_AUTO_FD int fd =
        socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC,
               where->ai_protocol);

    if (fd < 0 || connect(fd, where->ai_addr, where->ai_addrlen) < 0)
        return -1;
    return ct_steal_fd(&fd);
}

static int connect_any(const struct addrinfo *list)
{
    int fd = -1;

    for (; list != NULL && fd < 0; list = list->ai_next)
        fd = connect_to(list);
    return fd;
}

int client_dial(const char *address, struct ct_error *reterr)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    const char *port;
    char host[256];
    int fd, rc;

    if (split(address, host, sizeof host, &port) < 0)
        return ct_fail(reterr, EINVAL, "'%s' is not HOST:PORT", address);
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return ct_fail(reterr, EHOSTUNREACH, "%s: %s", address,
                       gai_strerror(rc));
    fd = connect_any(list);
    if (fd < 0)
        ct_fail_errno(reterr, "cannot connect to %s", address);
    freeaddrinfo(list);
    return fd;
}
