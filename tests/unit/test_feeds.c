/* What tools write to ranks: in order, answered when it is written. */
#include "base/scope.h"
#include "launcher/feeds.h"

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Answers in the order in which they came: 't'aken, 'n'ot. */
struct pmixsrv_push {
    char answers[16];
    size_t count;
};

static struct event_base *base;
static struct feeds *feeds;
static struct pmixsrv_push told;

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the launcher does */
    memset(&told, 0, sizeof told);
    base = event_base_new();
    feeds = feeds_create(base, 2);
    ck_assert_ptr_nonnull(feeds);
}

static void teardown(void)
{
    feeds_destroy(feeds);
    event_base_free(base);
}

static void done(struct pmixsrv_push *push, bool taken)
{
    ck_assert_uint_lt(push->count, sizeof push->answers);
    push->answers[push->count++] = taken ? 't' : 'n';
}

static void feed_bytes(unsigned rank, const void *bytes, size_t len, bool last)
{
    const struct feed feed = {bytes, len, last, done, &told};

    feeds_write(feeds, rank, &feed);
}

static void feed(unsigned rank, const char *text, bool last)
{
    feed_bytes(rank, text, strlen(text), last);
}

static void answered(const char *expected)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(told.count, strlen(expected));
    ck_assert_mem_eq(told.answers, expected, told.count);
    told.count = 0;
}

/* All that is there, and whether it ends then. */
static void reads(int fd, const char *expected, bool ends)
{
    char bytes[256];
    size_t size = 0;
    ssize_t len;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while ((len = read(fd, bytes + size, sizeof bytes - size)) > 0)
        size += (size_t)len;
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(bytes, expected, size);
    ck_assert_int_eq(len, ends ? 0 : -1);
}

START_TEST(each_rank_has_its_own)
{
    CT_AUTO_FD int zero = feeds_open(feeds, 0);
    CT_AUTO_FD int one = feeds_open(feeds, 1);

    feed(0, "first ", false);
    feed(1, "other", true);
    feed(0, "second", false);
    answered("ttt");
    reads(zero, "first second", false);
    reads(one, "other", true);
    feed(0, "", true);
    answered("t");
    reads(zero, "", true);
}
END_TEST

START_TEST(what_comes_early_waits)
{
    feed(0, "early", false);
    feed(0, " bird", true);
    answered("");
    CT_AUTO_FD int fd = feeds_open(feeds, 0);
    answered("tt");
    reads(fd, "early bird", true);
}
END_TEST

START_TEST(nothing_follows_the_last)
{
    CT_AUTO_FD int fd = feeds_open(feeds, 0);

    feed(0, "last", true);
    feed(0, "later", false);
    answered("tn");
    reads(fd, "last", true);
}
END_TEST

START_TEST(a_reader_that_has_gone_takes_nothing)
{
    int fd = feeds_open(feeds, 0);

    close(fd);
    feed(0, "one", false);
    feed(0, "two", false);
    answered("nn");
}
END_TEST

/* More than the pipe has room for is not taken before it is read. */
START_TEST(a_slow_reader_is_waited_for)
{
    enum { SIZE = 1024 * 1024 };
    CT_AUTO_FD int fd = feeds_open(feeds, 0);
    CT_AUTO_FREE char *bytes = calloc(1, SIZE);
    CT_AUTO_FREE char *got = malloc(SIZE);
    size_t size = 0;

    memset(bytes, 'x', SIZE);
    feed_bytes(0, bytes, SIZE, false);
    feed(0, "behind", true);
    answered("");
    while (size < SIZE) {
        ssize_t len = read(fd, got + size, SIZE - size);

        ck_assert_int_gt(len, 0);
        size += (size_t)len;
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    ck_assert_mem_eq(got, bytes, SIZE);
    answered("tt");
    reads(fd, "behind", true);
}
END_TEST

/* A reader that goes while much waits for it. */
START_TEST(what_waits_is_not_taken)
{
    enum { SIZE = 1024 * 1024 };
    int fd = feeds_open(feeds, 0);
    CT_AUTO_FREE char *bytes = calloc(1, SIZE);

    feed_bytes(0, bytes, SIZE, false);
    feed(0, "behind", false);
    answered("");
    close(fd);
    answered("nn");
}
END_TEST

/* Nobody is told, and nothing is lost. */
START_TEST(the_end_of_all)
{
    feed(0, "early", false);
    feed(1, "bird", true);
    feeds_destroy(feeds);
    feeds = NULL;
    answered("");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feeds");
    TCase *tc = tcase_create("feeds");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, each_rank_has_its_own);
    tcase_add_test(tc, what_comes_early_waits);
    tcase_add_test(tc, nothing_follows_the_last);
    tcase_add_test(tc, a_reader_that_has_gone_takes_nothing);
    tcase_add_test(tc, a_slow_reader_is_waited_for);
    tcase_add_test(tc, what_waits_is_not_taken);
    tcase_add_test(tc, the_end_of_all);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
