#include "base/scope.h"
#include "overlay/address.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static const char *const loopbacks[] = {"127.0.0.1", "::1"};

static union address address_of(const char *ip, unsigned port)
{
    union address ret = {.any = {.sa_family = AF_INET}};

    if (strchr(ip, ':') == NULL) {
        ck_assert_int_eq(inet_pton(AF_INET, ip, &ret.v4.sin_addr), 1);
        ret.v4.sin_port = htons((in_port_t)port);
        return ret;
    }
    ret = (union address){.any = {.sa_family = AF_INET6}};
    ck_assert_int_eq(inet_pton(AF_INET6, ip, &ret.v6.sin6_addr), 1);
    ret.v6.sin6_port = htons((in_port_t)port);
    return ret;
}

static unsigned port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port
                                                    : address->v4.sin_port);
}

/* ---- listening ---- */

static void listen_at(const char *interface, int fds[2], struct addresses *ret)
{
    struct ct_error err = {0};

    if (address_listen(interface, fds, ret, &err) < 0)
        ck_abort_msg("%s", err.text);
    ck_assert(ret->count > 0 && ret->count <= ADDRESSES_MAX);
}

static void close_both(int fds[2])
{
    ct_close(&fds[0]);
    ct_close(&fds[1]);
}

static void check_connects(const union address *address)
{
    CT_AUTO_FD int fd =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, &address->any, address_size(address)), 0);
}

START_TEST(every_address_is_reached)
{
    struct addresses got;
    int fds[2];

    listen_at(NULL, fds, &got);
    for (unsigned i = 0; i < got.count; i++)
        check_connects(&got.items[i]);
    close_both(fds);
}
END_TEST

START_TEST(the_loopback_by_name)
{
    struct addresses got;
    bool seen[2] = {false};
    int fds[2];

    listen_at("lo", fds, &got);
    for (unsigned i = 0; i < got.count; i++) {
        unsigned port = port_of(&got.items[i]);

        ck_assert_uint_ne(port, 0);
        for (int six = 0; six < 2; six++) {
            union address lo = address_of(loopbacks[six], port);
            seen[six] |= address_same_host(&got.items[i], &lo);
        }
        check_connects(&got.items[i]);
    }
    ck_assert(seen[0]);
    ck_assert(fds[1] >= 0 || !seen[1]);
    close_both(fds);
}
END_TEST

/* All that getifaddrs() has for it, but for link-local ones. */
static unsigned count_of(const struct ifaddrs *items, const char *interface)
{
    unsigned count = 0;

    for (; items != NULL; items = items->ifa_next)
        if (strcmp(items->ifa_name, interface) == 0 &&
            items->ifa_addr != NULL && items->ifa_flags & IFF_UP &&
            (items->ifa_addr->sa_family == AF_INET ||
             (items->ifa_addr->sa_family == AF_INET6 &&
              !IN6_IS_ADDR_LINKLOCAL(
                  &((const struct sockaddr_in6 *)(const void *)items->ifa_addr)
                       ->sin6_addr))))
            count++;
    return count;
}

START_TEST(a_named_interface)
{
    struct addresses got;
    struct ifaddrs *items;
    int fds[2];

    ck_assert_int_eq(getifaddrs(&items), 0);
    for (const struct ifaddrs *item = items; item; item = item->ifa_next) {
        unsigned count = count_of(items, item->ifa_name);

        if (count == 0 || count > ADDRESSES_MAX)
            continue;
        listen_at(item->ifa_name, fds, &got);
        ck_assert_uint_le(got.count, count);
        close_both(fds);
    }
    freeifaddrs(items);
}
END_TEST

static void check_refused(const char *interface)
{
    struct addresses got = {.count = 4711};
    int fds[2] = {-4711, -4711};
    struct ct_error err = {0};
    int before = dup(0);
    int after;

    ck_assert_int_eq(address_listen(interface, fds, &got, &err), -1);
    ck_assert_int_eq(err.code, ENETDOWN);
    ck_assert_ptr_nonnull(
        strstr(err.text, interface != NULL ? interface : "this one"));
    ck_assert(fds[0] == -4711 && fds[1] == -4711 && got.count == 4711);
    close(before);
    after = dup(0);
    ck_assert_int_eq(before, after); /* no descriptor is left */
    close(after);
}

START_TEST(an_unknown_interface)
{
    check_refused("none0");
    check_refused("");
    check_refused("l");
    check_refused("10.0.0.0/8");
}
END_TEST

static void set_loopback(short up)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = up};
    CT_AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
}

/* A network namespace of our own has the loopback alone, first not even up. */
START_TEST(a_node_without_a_network)
{
    struct addresses got;
    int fds[2];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        printf("a_node_without_a_network: skipped, no user namespaces\n");
        return;
    }
    check_refused(NULL);
    check_refused("lo");
    set_loopback(IFF_UP);
    listen_at(NULL, fds, &got);
    for (unsigned i = 0; i < got.count; i++)
        check_connects(&got.items[i]);
    close_both(fds);
}
END_TEST

/* ---- text ---- */

static void check_text(const char *ip, unsigned port, const char *expected)
{
    union address address = address_of(ip, port);
    char text[ADDRESS_TEXT_SIZE];

    address_text(&address, text);
    ck_assert_str_eq(text, expected);
}

START_TEST(texts)
{
    check_text("10.0.0.1", 4711, "10.0.0.1:4711");
    check_text("255.255.255.255", 65535, "255.255.255.255:65535");
    check_text("fd00::1", 80, "[fd00::1]:80");
    check_text("1111:2222:3333:4444:5555:6666:7777:8888", 65535,
               "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}
END_TEST

START_TEST(the_same_host)
{
    const union address a = address_of("10.0.0.1", 1),
                        b = address_of("10.0.0.1", 2),
                        c = address_of("10.0.0.2", 1),
                        d = address_of("fd00::1", 1),
                        e = address_of("fd00::1", 2),
                        f = address_of("fd00::2", 1);

    ck_assert(address_same_host(&a, &b) && address_same_host(&d, &e));
    ck_assert(!address_same_host(&a, &c) && !address_same_host(&d, &f));
    ck_assert(!address_same_host(&a, &d) && !address_same_host(&d, &a));
}
END_TEST

/* ---- cards ---- */

static struct addresses some(unsigned count)
{
    struct addresses ret = {.count = count};

    for (unsigned i = 0; i < count; i++)
        ret.items[i] = address_of(i % 2 == 0 ? "10.1.2.3" : "fd00::9", i + 1);
    return ret;
}

/* A copy of its own, so that ASan sees its end. */
static int unpack(const char *bytes, size_t len, struct addresses *ret)
{
    char *copy = malloc(len);
    struct unpack u = {.bytes = copy, .len = len};
    int rc;

    memset(ret, 0xa5, sizeof *ret);
    if (len > 0)
        memcpy(copy, bytes, len);
    rc = address_unpack(&u, ret);
    ck_assert(rc == 0 || ret->count == 0xa5a5a5a5);
    ck_assert(rc < 0 || ret->count <= ADDRESSES_MAX);
    free(copy);
    return rc;
}

START_TEST(cards_come_back)
{
    static const unsigned counts[] = {0, 1, 2, ADDRESSES_MAX};
    struct addresses got;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const struct addresses sent = some(counts[i]);
        struct pack p = {0};

        address_pack(&p, &sent);
        ck_assert_int_eq(unpack(p.bytes, p.len, &got), 0);
        ck_assert_uint_eq(got.count, sent.count);
        ck_assert_mem_eq(got.items, sent.items, counts[i] * sizeof *got.items);
        free(p.bytes);
    }
}
END_TEST

START_TEST(every_truncation)
{
    const struct addresses sent = some(5);
    struct addresses got;
    struct pack p = {0};

    address_pack(&p, &sent);
    for (size_t len = 0; len < p.len; len++)
        ck_assert_int_eq(unpack(p.bytes, len, &got), -1);
    free(p.bytes);
}
END_TEST

static int unpack_words(uint32_t count, uint32_t version, uint32_t port)
{
    struct addresses got;
    struct pack p = {0};
    int rc;

    pack_u32(&p, count);
    for (unsigned i = 0; i < ADDRESSES_MAX + 1; i++) {
        pack_u32(&p, version);
        pack_u32(&p, port);
        pack_bytes(&p, "0123456789abcdef", version == 4 ? 4 : 16);
    }
    rc = unpack(p.bytes, p.len, &got);
    free(p.bytes);
    return rc;
}

START_TEST(what_makes_no_sense)
{
    ck_assert_int_eq(unpack_words(ADDRESSES_MAX, 4, 1), 0);
    ck_assert_int_eq(unpack_words(ADDRESSES_MAX, 6, 65535), 0);
    ck_assert_int_eq(unpack_words(ADDRESSES_MAX + 1, 4, 1), -1);
    ck_assert_int_eq(unpack_words(UINT32_MAX, 4, 1), -1);
    ck_assert_int_eq(unpack_words(1, 5, 1), -1);
    ck_assert_int_eq(unpack_words(1, 0, 1), -1);
    ck_assert_int_eq(unpack_words(1, 4, 0), -1);
    ck_assert_int_eq(unpack_words(1, 4, 65536), -1);
}
END_TEST

START_TEST(garbage)
{
    struct addresses got;
    char bytes[200];

    srand(1);
    for (int i = 0; i < 10000; i++) {
        size_t len = (size_t)rand() % sizeof bytes;

        for (size_t k = 0; k < len; k++)
            bytes[k] = (char)(rand() % 4 == 0 ? rand() : rand() % 7);
        unpack(bytes, len, &got);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    TCase *tc = tcase_create("address");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, every_address_is_reached);
    tcase_add_test(tc, the_loopback_by_name);
    tcase_add_test(tc, a_named_interface);
    tcase_add_test(tc, an_unknown_interface);
    tcase_add_test(tc, a_node_without_a_network);
    tcase_add_test(tc, texts);
    tcase_add_test(tc, the_same_host);
    tcase_add_test(tc, cards_come_back);
    tcase_add_test(tc, every_truncation);
    tcase_add_test(tc, what_makes_no_sense);
    tcase_add_test(tc, garbage);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
