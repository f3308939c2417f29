/* Packets and their descriptors, and that none of those is ever left open. */
#include "base/packet.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int site_limit; /* of a socket's buffer; 0: as it is here */

/* The linker takes this one. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    int size = site_limit;

    if (level == SOL_SOCKET && name == SO_SNDBUF && site_limit > 0 &&
        *(const int *)value > site_limit)
        value = &size;
    return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

static int near, far; /* the ends of the connection */
static int open_at_first;

static int count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void set_up(void)
{
    int pair[2];

    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    near = pair[0];
    far = pair[1];
    open_at_first = count_open();
}

static void tear_down(void)
{
    close(near);
    close(far);
}

static void check_none_left(void)
{
    ck_assert_int_eq(count_open(), open_at_first);
}

static void check_none(const int fds[PACKET_FDS_MAX], int first)
{
    for (int i = first; i < PACKET_FDS_MAX; i++)
        ck_assert_int_eq(fds[i], -1);
}

/* As many pipes as there is to send. */
struct pipes {
    int read_ends[8], write_ends[8];
    int count;
};

static struct pipes make_pipes(int count)
{
    struct pipes pipes = {.count = count};
    int ends[2];

    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(pipe(ends), 0); /* without CLOEXEC */
        pipes.read_ends[i] = ends[0];
        pipes.write_ends[i] = ends[1];
    }
    return pipes;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(close(fds[i]), 0);
}

/* Received are write ends, in order; closes them and all others. */
static void check_received(const struct pipes *pipes, const int *fds, int count)
{
    char byte;

    close_all(pipes->write_ends, pipes->count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(write(fds[i], &"01234567"[i], 1), 1);
        ck_assert_int_eq(read(pipes->read_ends[i], &byte, 1), 1);
        ck_assert_int_eq(byte, '0' + i);
    }
    close_all(fds, count);
    /* nobody else has them */
    for (int i = 0; i < pipes->count; i++)
        ck_assert_int_eq(read(pipes->read_ends[i], &byte, 1), 0);
    close_all(pipes->read_ends, pipes->count);
    check_none_left();
}

START_TEST(descriptors_travel)
{
    struct pipes pipes = make_pipes(_i);
    int fds[PACKET_FDS_MAX];
    char text[20];

    ck_assert_int_eq(
        packet_send(near, "hello", 5, pipes.write_ends, (size_t)_i, 0), 5);
    memset(fds, 0, sizeof fds);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 5);
    ck_assert_mem_eq(text, "hello", 5);
    check_none(fds, _i);
    check_received(&pipes, fds, _i);
}
END_TEST

START_TEST(more_are_not_sent)
{
    struct pipes pipes = make_pipes(PACKET_FDS_MAX + 1);
    int fds[PACKET_FDS_MAX];
    char text[20];

    errno = 0;
    ck_assert_int_eq(
        packet_send(near, "hello", 5, pipes.write_ends, PACKET_FDS_MAX + 1, 0),
        -1);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, MSG_DONTWAIT),
                     -1);
    ck_assert_int_eq(errno, EAGAIN);
    check_none(fds, 0);
    check_received(&pipes, NULL, 0);
}
END_TEST

/* Another program's packet may bring more than we take. */
START_TEST(more_are_not_received)
{
    enum { MANY = 8 };
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(MANY * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = "hello", .iov_len = 5};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    struct pipes pipes = make_pipes(MANY);
    int fds[PACKET_FDS_MAX];
    char text[20];

    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(MANY * sizeof(int));
    memcpy(CMSG_DATA(&control.head), pipes.write_ends, MANY * sizeof(int));
    ck_assert_int_eq(sendmsg(near, &msg, 0), 5);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 5);
    check_received(&pipes, fds, PACKET_FDS_MAX);
}
END_TEST

/* The receiver has room for so many of three only. */
START_TEST(what_the_limit_does_not_let_in_is_not_there)
{
    struct pipes pipes = make_pipes(3);
    struct rlimit limit, low;
    int fds[PACKET_FDS_MAX], last = dup(near);
    char text[20];

    ck_assert_int_eq(close(last), 0);
    ck_assert_int_eq(packet_send(near, "hello", 5, pipes.write_ends, 3, 0), 5);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)(last + _i);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 5);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    check_none(fds, _i);
    check_received(&pipes, fds, _i);
}
END_TEST

START_TEST(packets_are_kept_apart)
{
    struct pipes pipes = make_pipes(1);
    int fds[PACKET_FDS_MAX];
    char text[20];

    ck_assert_int_eq(packet_send(near, "one", 3, NULL, 0, 0), 3);
    ck_assert_int_eq(packet_send(near, "second", 6, pipes.write_ends, 1, 0), 6);
    ck_assert_int_eq(packet_send(near, "third", 5, NULL, 0, 0), 5);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 3);
    check_none(fds, 0);
    /* what does not fit is cut off, and its descriptors come all the same */
    ck_assert_int_eq(packet_receive(far, text, 3, fds, 0), 3);
    ck_assert_mem_eq(text, "sec", 3);
    check_none(fds, 1);
    check_received(&pipes, fds, 1);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 5);
    ck_assert_mem_eq(text, "third", 5);
    check_none(fds, 0);
}
END_TEST

START_TEST(peer_that_has_gone)
{
    struct pipes pipes = make_pipes(2);
    int fds[PACKET_FDS_MAX];
    char text[20];

    ck_assert_int_eq(packet_send(near, "last", 4, pipes.write_ends, 2, 0), 4);
    close(near);
    near = -1;
    /* no signal */
    errno = 0;
    ck_assert_int_eq(packet_send(far, "x", 1, pipes.write_ends, 2, 0), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 4);
    open_at_first--; /* near */
    check_received(&pipes, fds, 2);
    memset(fds, 0, sizeof fds);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, 0), 0);
    check_none(fds, 0);
}
END_TEST

START_TEST(nothing_has_come)
{
    int fds[PACKET_FDS_MAX] = {0};
    char text[20];

    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, MSG_DONTWAIT),
                     -1);
    ck_assert_int_eq(errno, EAGAIN);
    check_none(fds, 0);
    memset(fds, 0, sizeof fds);
    ck_assert_int_eq(packet_receive(-1, text, sizeof text, fds, 0), -1);
    ck_assert_int_eq(errno, EBADF);
    check_none(fds, 0);
}
END_TEST

START_TEST(descriptors_that_are_none)
{
    const int bad[] = {near, -1};
    int fds[PACKET_FDS_MAX];
    char text[20];

    errno = 0;
    ck_assert_int_eq(packet_send(near, "x", 1, bad, 2, 0), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(packet_receive(far, text, sizeof text, fds, MSG_DONTWAIT),
                     -1);
    check_none_left();
}
END_TEST

/* Their descriptors are kept for the receiver meanwhile. */
START_TEST(full_sockets_do_not_block)
{
    char bytes[1000] = {0};
    int sent = 0, fds[PACKET_FDS_MAX];

    while (packet_send(near, bytes, sizeof bytes, &near, 1, MSG_DONTWAIT) > 0)
        sent++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_gt(sent, 0);
    for (; sent > 0; sent--) {
        ck_assert_int_eq(packet_receive(far, bytes, sizeof bytes, fds, 0),
                         sizeof bytes);
        ck_assert_int_eq(close(fds[0]), 0);
    }
    check_none_left();
}
END_TEST

static const struct {
    int limit;
    ssize_t room;
} sites[] = {
    {0, PACKET_MAX},
    {PACKET_MAX / 2 + 16, PACKET_MAX}, /* just enough */
    {PACKET_MAX / 2, PACKET_MAX - 32},
    {20000, 40000 - 32},
};

/* What is said to fit does, and where the site is mean nothing more. */
START_TEST(room_for_large_packets)
{
    char *bytes = calloc(1, PACKET_MAX), *copy = malloc(PACKET_MAX);
    int fds[PACKET_FDS_MAX];
    ssize_t room;

    ck_assert(bytes != NULL && copy != NULL);
    site_limit = sites[_i].limit;
    room = packet_make_room(near, NULL);
    ck_assert_int_eq(room, sites[_i].room);
    memset(bytes, 'x', PACKET_MAX);
    ck_assert_int_eq(
        packet_send(near, bytes, (size_t)room, &far, 1, MSG_DONTWAIT), room);
    ck_assert_int_eq(packet_receive(far, copy, PACKET_MAX, fds, 0), room);
    ck_assert_mem_eq(copy, bytes, (size_t)room);
    ck_assert_int_eq(close(fds[0]), 0);
    if (room < PACKET_MAX) {
        ck_assert_int_eq(
            packet_send(near, bytes, (size_t)room + 1, NULL, 0, MSG_DONTWAIT),
            -1);
        ck_assert_int_eq(errno, EMSGSIZE);
    }
    free(bytes);
    free(copy);
}
END_TEST

START_TEST(room_in_what_is_no_socket)
{
    struct ct_error err = {0};

    ck_assert_int_eq(packet_make_room(-1, &err), -1);
    ck_assert_int_eq(err.code, EBADF);
    ck_assert_str_eq(err.text, "SO_SNDBUF: Bad file descriptor");
    ck_assert_int_eq(packet_make_room(-1, NULL), -1);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("packet");
    TCase *tc = tcase_create("packet");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, descriptors_travel, 0, PACKET_FDS_MAX + 1);
    tcase_add_test(tc, more_are_not_sent);
    tcase_add_test(tc, more_are_not_received);
    tcase_add_loop_test(tc, what_the_limit_does_not_let_in_is_not_there, 0, 3);
    tcase_add_test(tc, packets_are_kept_apart);
    tcase_add_test(tc, peer_that_has_gone);
    tcase_add_test(tc, nothing_has_come);
    tcase_add_test(tc, descriptors_that_are_none);
    tcase_add_test(tc, full_sockets_do_not_block);
    tcase_add_loop_test(tc, room_for_large_packets, 0, COUNT(sites));
    tcase_add_test(tc, room_in_what_is_no_socket);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
