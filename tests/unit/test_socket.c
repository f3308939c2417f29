/* Which connection is being greeted, and whose is its other end? */
#include "base/scope.h"
#include "guest/pmix/socket.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct connection {
    int here, there;
};

/* ret->here was accepted. */
static void connection_open(struct connection *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    CT_AUTO_FD int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size),
                     0);
    ret->there = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(ret->there, (struct sockaddr *)&address, size), 0);
    ret->here = accept(listener, NULL, NULL);
    ck_assert_int_ge(ret->here, 0);
}

static void connection_close(struct connection *connection)
{
    ct_close(&connection->here);
    ct_close(&connection->there);
}

static void greet(const struct connection *connection, size_t sent, size_t got)
{
    char bytes[8] = {0};

    ck_assert_int_eq(send(connection->there, bytes, sent, 0), sent);
    if (got > 0)
        ck_assert_int_eq(recv(connection->here, bytes, got, MSG_WAITALL), got);
}

static void connection_greeted(struct connection *ret)
{
    connection_open(ret);
    greet(ret, 8, 8);
}

START_TEST(finds_what_was_read_from)
{
    struct sockets sockets = {0};
    struct connection old, silent, unread, read;

    connection_greeted(&old);
    ck_assert_int_eq(sockets_find(&sockets), old.here);
    connection_open(&silent);
    connection_open(&unread);
    greet(&unread, 8, 0);
    ct_close(&unread.there);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    connection_open(&read);
    greet(&read, 8, 4);
    ck_assert_int_eq(sockets_find(&sockets), read.here);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    sockets_clear(&sockets);
    connection_close(&old);
    connection_close(&silent);
    connection_close(&unread);
    connection_close(&read);
}
END_TEST

START_TEST(of_two_finds_none)
{
    struct sockets sockets = {0};
    struct connection a, b;

    connection_open(&a);
    connection_open(&b);
    greet(&a, 8, 8);
    greet(&b, 8, 8);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    sockets_clear(&sockets);
    connection_close(&a);
    connection_close(&b);
}
END_TEST

START_TEST(passes_over_greeted_ones)
{
    struct sockets sockets = {0};
    struct connection greeted;

    connection_greeted(&greeted);
    ck_assert_int_eq(fcntl(greeted.here, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    sockets_clear(&sockets);
    connection_close(&greeted);
}
END_TEST

/* One that is moved to another number meanwhile is missed in a search. */
START_TEST(keeps_those_that_it_has_missed)
{
    struct sockets sockets = {0};
    struct connection missed, next;

    connection_greeted(&missed);
    ck_assert_int_eq(sockets_find(&sockets), missed.here);
    ck_assert_int_eq(fcntl(missed.here, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(sockets_find(&sockets), -1);
    ck_assert_int_eq(fcntl(missed.here, F_SETFL, 0), 0);
    connection_greeted(&next);
    ck_assert_int_eq(sockets_find(&sockets), next.here);
    sockets_clear(&sockets);
    connection_close(&missed);
    connection_close(&next);
}
END_TEST

START_TEST(takes_a_number_again_for_another)
{
    struct sockets sockets = {0};
    struct connection first, second;

    connection_greeted(&first);
    ck_assert_int_eq(sockets_find(&sockets), first.here);
    connection_greeted(&second);
    ck_assert_int_eq(dup2(second.here, first.here), first.here);
    ct_close(&second.here);
    ck_assert_int_eq(sockets_find(&sockets), first.here);
    sockets_clear(&sockets);
    connection_close(&first);
    connection_close(&second);
}
END_TEST

static bool is_of(int fd, uid_t uid)
{
    uid_t owner;

    return socket_peer(fd, &owner) == 0 && owner == uid;
}

START_TEST(tells_the_user)
{
    struct connection connection;

    connection_open(&connection);
    ck_assert(is_of(connection.here, geteuid()));
    ck_assert(!is_of(connection.here, geteuid() + 1));
    connection_close(&connection);
}
END_TEST

START_TEST(tells_another_user)
{
    struct connection connection;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(seteuid(65533), 0);
    connection_open(&connection);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert(!is_of(connection.here, 0));
    ck_assert(is_of(connection.here, 65533));
    connection_close(&connection);
}
END_TEST

/* A closed one is root's in the kernel's table. */
START_TEST(nobody_owns_what_is_closed)
{
    struct connection connection;

    connection_open(&connection);
    ct_close(&connection.there);
    ck_assert(!is_of(connection.here, geteuid()));
    ck_assert(!is_of(connection.here, 0));
    connection_close(&connection);
}
END_TEST

START_TEST(other_descriptors_are_nobodys)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert(!is_of(pair[0], geteuid()));
    ck_assert(!is_of(STDIN_FILENO, geteuid()));
    ck_assert(!is_of(-1, geteuid()));
    ct_close(&pair[0]);
    ct_close(&pair[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("socket");
    TCase *tc = tcase_create("socket");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, finds_what_was_read_from);
    tcase_add_test(tc, of_two_finds_none);
    tcase_add_test(tc, passes_over_greeted_ones);
    tcase_add_test(tc, keeps_those_that_it_has_missed);
    tcase_add_test(tc, takes_a_number_again_for_another);
    tcase_add_test(tc, tells_the_user);
    tcase_add_test(tc, tells_another_user);
    tcase_add_test(tc, nobody_owns_what_is_closed);
    tcase_add_test(tc, other_descriptors_are_nobodys);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
