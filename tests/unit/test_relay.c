/* Bytes between two connections, whatever the two do. */
#include "base/scope.h"
#include "guest/pmix/relay.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* tool - relay - server, the last two by relays_insert() */
struct line {
    struct relays relays;
    int tool, server;
};

static void line_add(struct relays *relays, const char *name, struct line *ret)
{
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ret->tool = pair[0];
    ret->server = pair[1];
    ck_assert_int_eq(relays_insert(relays, ret->server, name), 0);
}

static void line_open(struct line *ret)
{
    ck_assert_int_eq(relays_open(&ret->relays), 0);
    line_add(&ret->relays, "tool", ret);
}

static void line_close(struct line *line)
{
    relays_close(&line->relays);
    ct_close(&line->tool);
    ct_close(&line->server);
}

static bool is_ready(const struct line *line)
{
    struct pollfd p = {.fd = line->relays.ready, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void sends(int to, const void *bytes, size_t len)
{
    ck_assert_int_eq(send(to, bytes, len, MSG_NOSIGNAL), len);
}

static void receives(int at, const void *bytes, size_t len)
{
    char got[256];

    ck_assert_int_eq(recv(at, got, sizeof got, MSG_DONTWAIT), len);
    ck_assert_mem_eq(got, bytes, len);
}

/* As libpmix says it, with so many bytes to follow. */
struct header {
    uint32_t from, tag;
    union {
        uint32_t length;
        size_t space;
    };
};

struct message {
    struct header header;
    char text[64];
};

static size_t message_of(const char *text, struct message *ret)
{
    size_t len = strlen(text);

    memset(ret, 0, sizeof *ret);
    ret->header.length = htonl((uint32_t)len);
    memcpy(ret->text, text, len);
    return sizeof ret->header + len;
}

static void says(const char *what, int to)
{
    struct message message;
    size_t len = message_of(what, &message);

    sends(to, &message, len);
}

static void hears(int at, const char *what)
{
    struct message message;
    size_t len = message_of(what, &message);

    receives(at, &message, len);
}

static void hears_nothing(int at)
{
    char byte;

    ck_assert_int_lt(recv(at, &byte, 1, MSG_DONTWAIT), 0);
    ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(moves_both_ways)
{
    struct line line;

    line_open(&line);
    says("question", line.tool);
    ck_assert(is_ready(&line));
    relays_pump(&line.relays);
    hears(line.server, "question");
    says("answer", line.server);
    ck_assert(is_ready(&line));
    relays_pump(&line.relays);
    hears(line.tool, "answer");
    relays_pump(&line.relays);
    ck_assert(!is_ready(&line));
    line_close(&line);
}
END_TEST

/* What libpmix has read of a part of a header it forgets. */
START_TEST(headers_are_whole)
{
    struct line line;
    struct message message;
    const char *bytes = (const char *)&message;
    size_t len = message_of("question", &message);

    line_open(&line);
    for (size_t part = 1; part < len; part++) {
        sends(line.tool, bytes, part);
        relays_pump(&line.relays);
        if (part < sizeof message.header)
            hears_nothing(line.server);
        else
            receives(line.server, bytes, part);
        sends(line.tool, bytes + part, len - part);
        relays_pump(&line.relays);
        if (part < sizeof message.header)
            hears(line.server, "question");
        else
            receives(line.server, bytes + part, len - part);
    }
    line_close(&line);
}
END_TEST

START_TEST(headers_are_whole_at_the_end_of_room)
{
    struct line line;
    char much[16384 - sizeof(struct header) - 1] = {0};
    struct header header = {.length = htonl(sizeof much)};

    line_open(&line);
    sends(line.tool, &header, sizeof header);
    sends(line.tool, much, sizeof much);
    says("next", line.tool);
    relays_pump(&line.relays);
    ck_assert_int_eq(recv(line.server, much, sizeof header, 0), sizeof header);
    ck_assert_int_eq(recv(line.server, much, sizeof much, 0), sizeof much);
    hears(line.server, "next");
    line_close(&line);
}
END_TEST

/* What the server greets with is none. */
START_TEST(messages_follow_the_greeting)
{
    struct line line;
    struct message message;
    const char *bytes = (const char *)&message;
    size_t len = message_of("answer", &message);

    line_open(&line);
    sends(line.server, "ok", 2);
    relays_pump(&line.relays);
    receives(line.tool, "ok", 2);
    says("question", line.tool);
    relays_pump(&line.relays);
    sends(line.server, bytes, 2);
    relays_pump(&line.relays);
    hears_nothing(line.tool);
    sends(line.server, bytes + 2, len - 2);
    relays_pump(&line.relays);
    hears(line.tool, "answer");
    line_close(&line);
}
END_TEST

START_TEST(part_of_a_header_may_be_the_end)
{
    struct line line;

    line_open(&line);
    says("question", line.tool);
    relays_pump(&line.relays);
    hears(line.server, "question");
    sends(line.tool, "par", 3);
    ct_close(&line.tool);
    relays_pump(&line.relays);
    receives(line.server, "par", 3);
    ct_close(&line.server);
    relays_pump(&line.relays);
    ck_assert_ptr_null(line.relays.first);
    line_close(&line);
}
END_TEST

static void ended(int at)
{
    char byte;

    ck_assert_int_eq(recv(at, &byte, 1, MSG_DONTWAIT), 0);
}

/* It goes on at once. */
START_TEST(keeps_what_was_said_before)
{
    struct line line;
    int pair[2];

    ck_assert_int_eq(relays_open(&line.relays), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    line.tool = pair[0];
    line.server = pair[1];
    says("early", line.tool);
    ck_assert_int_eq(relays_insert(&line.relays, line.server, "tool"), 0);
    ck_assert(is_ready(&line));
    relays_pump(&line.relays);
    hears(line.server, "early");
    line_close(&line);
}
END_TEST

/* What crashes libpmix: what it sends must always go. */
START_TEST(server_can_send_when_the_tool_has_gone)
{
    struct line line;

    line_open(&line);
    says("late", line.tool);
    ct_close(&line.tool);
    relays_pump(&line.relays);
    says("one", line.server);
    relays_pump(&line.relays);
    says("two", line.server);
    relays_pump(&line.relays);
    hears(line.server, "late");
    ended(line.server);
    ck_assert_ptr_nonnull(line.relays.first);
    ct_close(&line.server);
    relays_pump(&line.relays);
    ck_assert_ptr_null(line.relays.first);
    line_close(&line);
}
END_TEST

START_TEST(last_words_arrive)
{
    struct line line;

    line_open(&line);
    says("last", line.server);
    ct_close(&line.server);
    relays_pump(&line.relays);
    hears(line.tool, "last");
    ended(line.tool);
    ck_assert_ptr_null(line.relays.first);
    line_close(&line);
}
END_TEST

static size_t send_all(int fd, char byte)
{
    char bytes[4096];
    size_t sent = 0;
    ssize_t len;

    memset(bytes, byte, sizeof bytes);
    while ((len = send(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        sent += (size_t)len;
    ck_assert_int_eq(errno, EAGAIN);
    return sent;
}

static size_t receive_all(int fd, char byte)
{
    char bytes[4096], expected[4096];
    size_t got = 0;
    ssize_t len;

    memset(expected, byte, sizeof expected);
    while ((len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        ck_assert_mem_eq(bytes, expected, (size_t)len);
        got += (size_t)len;
    }
    return got;
}

START_TEST(slow_reader_gets_all)
{
    struct line line;
    size_t sent = 0, got = 0;

    line_open(&line);
    for (int i = 0; i < 5; i++) {
        sent += send_all(line.server, 'x');
        relays_pump(&line.relays);
    }
    while (got < sent) {
        got += receive_all(line.tool, 'x');
        ck_assert(got == sent || is_ready(&line));
        relays_pump(&line.relays);
    }
    ck_assert_uint_eq(got, sent);
    line_close(&line);
}
END_TEST

/* The other way it waits, without being ready all the time. */
START_TEST(reader_that_does_not_read_costs_nothing)
{
    struct line line;

    line_open(&line);
    send_all(line.server, 'x');
    relays_pump(&line.relays);
    send_all(line.server, 'x');
    ct_close(&line.server);
    relays_pump(&line.relays);
    relays_pump(&line.relays);
    ck_assert(!is_ready(&line));
    ck_assert_ptr_nonnull(line.relays.first);
    line_close(&line);
}
END_TEST

/* A message that is sent is paid for, also when the tool is slow. */
START_TEST(what_passes_is_paid)
{
    struct line line;

    line_open(&line);
    relays_owe(&line.relays, 6);
    ck_assert_uint_eq(relays_owed(&line.relays), 6);
    ck_assert(relays_want_turn(&line.relays));
    sends(line.server, "answer", 6);
    ck_assert(relays_pump(&line.relays));
    ck_assert_uint_eq(relays_owed(&line.relays), 0);
    ck_assert(!relays_want_turn(&line.relays));
    ck_assert(!relays_pump(&line.relays));
    line_close(&line);
}
END_TEST

/* What was for another tool: the server had its chances to send it. */
START_TEST(what_never_comes_is_not_owed)
{
    struct line line;

    line_open(&line);
    relays_owe(&line.relays, 6);
    relays_server_had_turn(&line.relays);
    ck_assert_uint_eq(relays_owed(&line.relays), 6);
    sends(line.server, "part", 4);
    relays_pump(&line.relays);
    relays_server_had_turn(&line.relays);
    ck_assert_uint_eq(relays_owed(&line.relays), 2);
    relays_server_had_turn(&line.relays);
    ck_assert_uint_eq(relays_owed(&line.relays), 0);
    line_close(&line);
}
END_TEST

/* Of one that does not read nothing is forgotten. */
START_TEST(reader_that_does_not_read_is_owed)
{
    struct line line;
    size_t sent;

    line_open(&line);
    sent = send_all(line.server, 'x');
    relays_owe(&line.relays, 10 * sent);
    relays_pump(&line.relays);
    send_all(line.server, 'x');
    relays_pump(&line.relays);
    for (int i = 0; i < 5; i++)
        relays_server_had_turn(&line.relays);
    ck_assert_uint_gt(relays_owed(&line.relays), 7 * sent);
    ck_assert(!relays_want_turn(&line.relays));
    line_close(&line);
}
END_TEST

/* As much for one that reads, and one that does not. */
START_TEST(idle_ones_are_cut)
{
    struct line line, other;
    char byte;
    size_t sent;

    line_open(&line);
    line_add(&line.relays, "other", &other);
    sent = send_all(line.server, 'x');
    send_all(other.server, 'x');
    relays_owe(&line.relays, 4 * sent);
    relays_pump(&line.relays);
    relays_watch(&line.relays);
    receive_all(other.tool, 'x');
    relays_pump(&line.relays);
    ck_assert(!relays_cut_idle(&line.relays, 4 * sent));
    send_all(other.server, 'x');
    relays_pump(&line.relays);
    ck_assert(relays_cut_idle(&line.relays, sent));
    ck_assert_int_ne(recv(other.tool, &byte, 1, MSG_DONTWAIT), 0);
    receive_all(line.tool, 'x');
    ended(line.tool);
    ended(line.server);
    ct_close(&line.server);
    relays_pump(&line.relays);
    ck_assert(!relays_have(&line.relays, "tool"));
    ck_assert(relays_have(&line.relays, "other"));
    line_close(&line);
    ct_close(&other.tool);
    ct_close(&other.server);
}
END_TEST

START_TEST(much_to_do_holds_the_tool)
{
    struct line line;
    enum { MUCH = 1024 * 1024 };

    line_open(&line);
    ck_assert_int_eq(relays_charge(&line.relays, "stranger", MUCH), -1);
    ck_assert_int_eq(relays_charge(&line.relays, "tool", MUCH), 0);
    says("more", line.tool);
    relays_pump(&line.relays);
    hears_nothing(line.server);
    relays_discharge(&line.relays, "tool", MUCH);
    hears(line.server, "more");
    relays_discharge(&line.relays, "stranger", MUCH);
    line_close(&line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay");
    TCase *tc = tcase_create("relay");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tc, moves_both_ways);
    tcase_add_test(tc, headers_are_whole);
    tcase_add_test(tc, headers_are_whole_at_the_end_of_room);
    tcase_add_test(tc, messages_follow_the_greeting);
    tcase_add_test(tc, part_of_a_header_may_be_the_end);
    tcase_add_test(tc, keeps_what_was_said_before);
    tcase_add_test(tc, server_can_send_when_the_tool_has_gone);
    tcase_add_test(tc, last_words_arrive);
    tcase_add_test(tc, slow_reader_gets_all);
    tcase_add_test(tc, reader_that_does_not_read_costs_nothing);
    tcase_add_test(tc, what_passes_is_paid);
    tcase_add_test(tc, what_never_comes_is_not_owed);
    tcase_add_test(tc, reader_that_does_not_read_is_owed);
    tcase_add_test(tc, idle_ones_are_cut);
    tcase_add_test(tc, much_to_do_holds_the_tool);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
