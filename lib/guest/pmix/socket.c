#include "guest/pmix/socket.h"

#include "base/scope.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- which one ---- */

/* The kernel counts the end of a stream as a byte; a greeting has many. */
static bool has_been_read(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int left;

    memset(&info, 0, sizeof info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           ioctl(fd, SIOCINQ, &left) == 0 &&
           info.tcpi_bytes_received > (uint64_t)left + 1;
}

static bool is_greeted(int fd, ino_t *ret_inode)
{
    struct stat st;
    int flags;

    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    flags = fcntl(fd, F_GETFL);
    *ret_inode = st.st_ino;
    return flags >= 0 && (flags & O_NONBLOCK) == 0 && has_been_read(fd);
}

static bool is_known(const struct sockets *sockets, ino_t inode)
{
    for (size_t i = 0; i < sockets->count; i++)
        if (sockets->known[i] == inode)
            return true;
    return false;
}

static int add(struct sockets *sockets, ino_t inode)
{
    ino_t *grown =
        realloc(sockets->known, (sockets->count + 1) * sizeof *sockets->known);

    if (grown == NULL)
        return -1;
    sockets->known = grown;
    grown[sockets->count++] = inode;
    return 0;
}

struct search {
    struct sockets *sockets;
    int fresh; /* one that was not known */
    unsigned fresh_count;
};

static int look_at(struct search *search, int fd)
{
    ino_t inode;

    if (!is_greeted(fd, &inode) || is_known(search->sockets, inode))
        return 0;
    search->fresh = fd;
    search->fresh_count++;
    return add(search->sockets, inode);
}

static int look_at_all(struct search *search)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            rc = look_at(search, atoi(entry->d_name));
    closedir(dir);
    return rc;
}

int sockets_find(struct sockets *sockets)
{
    struct search search = {.sockets = sockets, .fresh = -1};

    if (look_at_all(&search) < 0)
        return -1;
    return search.fresh_count == 1 ? search.fresh : -1;
}

void sockets_clear(struct sockets *sockets)
{
    free(sockets->known);
    *sockets = (struct sockets){0};
}

/* ---- whose it is ---- */

enum { ESTABLISHED = 1 };

static int get_ends(int fd, struct sockaddr_in *ret_own,
                    struct sockaddr_in *ret_peer)
{
    socklen_t size = sizeof *ret_own;

    memset(ret_own, 0, sizeof *ret_own);
    memset(ret_peer, 0, sizeof *ret_peer);
    if (getsockname(fd, (struct sockaddr *)ret_own, &size) < 0)
        return -1;
    size = sizeof *ret_peer;
    if (getpeername(fd, (struct sockaddr *)ret_peer, &size) < 0)
        return -1;
    return ret_own->sin_family == AF_INET && ret_peer->sin_family == AF_INET
               ? 0
               : -1;
}

/* What inet_diag says of a socket; false: it does not know it. */
static bool read_diag(const void *answer, size_t len, uid_t *ret)
{
    const struct nlmsghdr *header = answer;
    const struct inet_diag_msg *found = NLMSG_DATA(header);

    if (len < NLMSG_LENGTH(sizeof *found) ||
        header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        found->idiag_state != ESTABLISHED || found->idiag_inode == 0)
        return false;
    *ret = found->idiag_uid;
    return true;
}

/* The kernel answers before send() returns. */
static bool ask_diag(const struct sockaddr_in *local,
                     const struct sockaddr_in *remote, uid_t *ret)
{
    CT_AUTO_FD int fd =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 what;
    } question = {
        .header = {.nlmsg_len = sizeof question,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .what = {.sdiag_family = AF_INET,
                 .sdiag_protocol = IPPROTO_TCP,
                 .id = {.idiag_sport = local->sin_port,
                        .idiag_dport = remote->sin_port,
                        .idiag_src = {local->sin_addr.s_addr},
                        .idiag_dst = {remote->sin_addr.s_addr},
                        .idiag_cookie = {INET_DIAG_NOCOOKIE,
                                         INET_DIAG_NOCOOKIE}}},
    };
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } answer;
    ssize_t len;

    if (fd < 0 || send(fd, &question, sizeof question, 0) < 0)
        return false;
    len = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    return len >= 0 && read_diag(&answer, (size_t)len, ret);
}

/* A line of /proc/net/tcp: addresses are as they are in memory. A socket that
   its process has closed is nobody's, which looks like root's. */
static bool is_line_of(const char *line, const struct sockaddr_in *local,
                       const struct sockaddr_in *remote, uid_t *ret)
{
    unsigned addresses[2], ports[2], state, owner;

    if (sscanf(line, " %*u: %8x:%4x %8x:%4x %2x %*x:%*x %*x:%*x %*x %u",
               &addresses[0], &ports[0], &addresses[1], &ports[1], &state,
               &owner) != 6 ||
        addresses[0] != local->sin_addr.s_addr ||
        ports[0] != ntohs(local->sin_port) ||
        addresses[1] != remote->sin_addr.s_addr ||
        ports[1] != ntohs(remote->sin_port) || state != ESTABLISHED)
        return false;
    *ret = owner;
    return true;
}

/* All that there are: for kernels without inet_diag. */
static bool search_all(const struct sockaddr_in *local,
                       const struct sockaddr_in *remote, uid_t *ret)
{
    FILE *f = fopen("/proc/net/tcp", "re");
    char line[256];
    bool found = false;

    if (f == NULL)
        return false;
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = is_line_of(line, local, remote, ret);
    fclose(f);
    return found;
}

int socket_peer(int fd, uid_t *ret)
{
    struct sockaddr_in own, peer;

    if (get_ends(fd, &own, &peer) < 0 ||
        (!ask_diag(&peer, &own, ret) && !search_all(&peer, &own, ret)))
        return -1;
    return 0;
}
