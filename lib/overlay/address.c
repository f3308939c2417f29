#include "overlay/address.h"

#include "base/scope.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6
                                              : sizeof address->v4;
}

static in_port_t *port_of(union address *address)
{
    return address->any.sa_family == AF_INET6 ? &address->v6.sin6_port
                                              : &address->v4.sin_port;
}

static const void *bytes_of(const union address *address)
{
    return address->any.sa_family == AF_INET6
               ? (const void *)&address->v6.sin6_addr
               : (const void *)&address->v4.sin_addr;
}

bool address_same_host(const union address *a, const union address *b)
{
    size_t size = a->any.sa_family == AF_INET6 ? 16 : 4;

    return a->any.sa_family == b->any.sa_family &&
           memcmp(bytes_of(a), bytes_of(b), size) == 0;
}

void address_text(const union address *address, char ret[ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    union address copy = *address;
    bool six = address->any.sa_family == AF_INET6;

    inet_ntop(address->any.sa_family, bytes_of(address), ip, sizeof ip);
    snprintf(ret, ADDRESS_TEXT_SIZE, six ? "[%s]:%u" : "%s:%u", ip,
             (unsigned)ntohs(*port_of(&copy)));
}

/* ---- listening ---- */

static int listen_on(int family, in_port_t *ret_port)
{
    union address any = {.any = {.sa_family = (sa_family_t)family}};
    socklen_t size = address_size(&any);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;

    if (fd < 0)
        return -1;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &any.any, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, &any.any, &size) < 0) {
        close(fd);
        return -1;
    }
    *ret_port = *port_of(&any);
    return fd;
}

/* A link-local address is of use only to who knows its interface. */
static bool is_usable(const struct ifaddrs *item, const char *interface,
                      bool loopback)
{
    const union address *address = (const union address *)item->ifa_addr;

    if (address == NULL || !(item->ifa_flags & IFF_UP) ||
        (address->any.sa_family != AF_INET &&
         address->any.sa_family != AF_INET6))
        return false;
    if (address->any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_LINKLOCAL(&address->v6.sin6_addr))
        return false;
    if (interface != NULL)
        return strcmp(item->ifa_name, interface) == 0;
    return ((item->ifa_flags & IFF_LOOPBACK) != 0) == loopback;
}

static void add(struct addresses *ret, const struct sockaddr *from,
                const int fds[2], const in_port_t ports[2])
{
    bool six = from->sa_family == AF_INET6;
    union address *address = &ret->items[ret->count];

    if (fds[six] < 0 || ret->count == ADDRESSES_MAX)
        return;
    *address = (union address){.any = {.sa_family = from->sa_family}};
    memcpy(address, from, address_size(address));
    *port_of(address) = ports[six];
    ret->count++;
}

static void list(const struct ifaddrs *items, const char *interface,
                 bool loopback, const int fds[2], const in_port_t ports[2],
                 struct addresses *ret)
{
    for (; items != NULL; items = items->ifa_next)
        if (is_usable(items, interface, loopback))
            add(ret, items->ifa_addr, fds, ports);
}

int address_listen(const char *interface, int ret_fds[2], struct addresses *ret,
                   struct ct_error *reterr)
{
    struct addresses addresses = {0};
    in_port_t ports[2] = {0};
    struct ifaddrs *items;
    int fds[2];

    if (getifaddrs(&items) < 0)
        return ct_fail_errno(reterr, "cannot list the node's interfaces");
    fds[0] = listen_on(AF_INET, &ports[0]);
    fds[1] = listen_on(AF_INET6, &ports[1]);
    list(items, interface, false, fds, ports, &addresses);
    if (addresses.count == 0 && interface == NULL)
        list(items, NULL, true, fds, ports, &addresses);
    freeifaddrs(items);
    if (addresses.count > 0) {
        memcpy(ret_fds, fds, sizeof fds);
        *ret = addresses;
        return 0;
    }
    ct_close(&fds[0]);
    ct_close(&fds[1]);
    return ct_fail(reterr, ENETDOWN,
                   "no address by which other nodes could reach %s",
                   interface != NULL ? interface : "this one");
}

/* ---- cards ---- */

void address_pack(struct pack *p, const struct addresses *addresses)
{
    pack_u32(p, addresses->count);
    for (unsigned i = 0; i < addresses->count; i++) {
        union address address = addresses->items[i];
        bool six = address.any.sa_family == AF_INET6;

        pack_u32(p, six ? 6 : 4);
        pack_u32(p, *port_of(&address));
        pack_bytes(p, bytes_of(&address), six ? 16 : 4);
    }
}

static int unpack_one(struct unpack *u, union address *ret)
{
    uint32_t version = unpack_u32(u);
    uint32_t port = unpack_u32(u);
    const void *bytes = unpack_bytes(u, version == 6 ? 16 : 4);

    if (bytes == NULL || (version != 4 && version != 6) || port == 0 ||
        port > UINT16_MAX)
        return -1;
    *ret = (union address){
        .any = {.sa_family = version == 6 ? AF_INET6 : AF_INET}};
    *port_of(ret) = (in_port_t)port;
    memcpy((void *)bytes_of(ret), bytes, version == 6 ? 16 : 4);
    return 0;
}

int address_unpack(struct unpack *u, struct addresses *ret)
{
    struct addresses addresses = {.count = unpack_u32(u)};

    if (u->failed || addresses.count > ADDRESSES_MAX)
        return -1;
    for (unsigned i = 0; i < addresses.count; i++)
        if (unpack_one(u, &addresses.items[i]) < 0)
            return -1;
    *ret = addresses;
    return 0;
}
