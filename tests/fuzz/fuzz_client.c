/*
 * What a PMI server may answer. The first byte says how the client begins: its
 * dialect (bit 0), whether PMI_JOBID is set (1), whether it asks for PMI-1.2
 * (2) and has dialled (3). All other bytes are answers, to a series of
 * questions that is always the same; behind them the server has gone, so that
 * nothing waits. With bit 6 they are a value that was carried (carry.h).
 */
#include "client/carry.h"
#include "client/client.h"
#include "tests/fuzz/target.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BY_PMI2 = 1,
    WITH_JOBID = 2,
    WITH_GROUPS = 4,
    DIALLED = 8,
    CARRIED = 64,
    ANSWERS_MAX = 150 * 1000, /* what a socket takes at once */
    ROOM = 100,               /* for an answer */
    CODES = 3,
};

/* ---- values that are carried ---- */

/* NULL: it does not fit. The room is its own, so that ASan sees its end. */
static char *decode(struct ct_span text, size_t size)
{
    char *buf = malloc(size);
    long len;

    MUST(buf != NULL);
    len = carry_decode(text, buf, size);
    MUST(len >= -1 && len < (long)size && len <= (long)text.len);
    if (len < 0) {
        free(buf);
        return NULL;
    }
    MUST(buf[len] == '\0');
    return buf;
}

/* Whatever the value is: a wire carries it, and it comes back. */
static void check_encoding(const char *value, const char *unsafe)
{
    size_t room = 3 * strlen(value) + 3;
    char *there = malloc(room), *back;
    const char *text;

    MUST(there != NULL);
    text = carry_encode(value, unsafe, there, room);
    MUST(text == value || text == there);
    MUST(text[0] != '\0' && text[strcspn(text, unsafe)] == '\0');
    back = decode(ct_span_str(text), strlen(value) + 1);
    MUST(back != NULL && strcmp(back, value) == 0);
    free(back);
    MUST(text == value ||
         carry_encode(value, unsafe, there, strlen(text)) == NULL);
    free(there);
}

/* What is read as a head is written so, but for zeros before numbers. */
static void check_head(struct ct_span text)
{
    struct carry_head head, again;
    struct ct_span piece;
    char buf[CARRY_HEAD_SIZE];

    if (carry_head_read(text, &head, &piece) < 0)
        return;
    MUST(head.more >= 1 && head.more <= CARRY_MORE_MAX);
    MUST(piece.ptr + piece.len == text.ptr + text.len);
    MUST(carry_head_write(&head, buf) == strlen(buf));
    MUST(carry_head_read(ct_span_str(buf), &again, &piece) == 0);
    MUST(piece.len == 0 && memcmp(&head, &again, sizeof head) == 0);
}

static void check_key(const char *key, const char *unsafe)
{
    char buf[24];
    const char *text = carry_key(key, unsafe, buf, sizeof buf);

    MUST(text != NULL && strlen(text) < sizeof buf);
    MUST(text[0] != '\0' && text[strcspn(text, unsafe)] == '\0');
}

static void check_carried(const uint8_t *data, size_t size)
{
    struct ct_span text = ct_span((const char *)data, size);
    char *small = decode(text, 8), *value = decode(text, size + 1);

    MUST(value != NULL); /* it is never longer than its text */
    MUST(small == NULL || strlen(small) <= strlen(value));
    check_encoding(value, ";\n\\");
    check_encoding(value, " \n\\=");
    check_key(value, " \n\\=");
    check_head(text);
    free(small);
    free(value);
}

/* ---- a talk ---- */

struct talk {
    struct client *client;
    struct ct_error error;
    char *buf; /* of ROOM bytes */
    int *codes;
    bool found;
};

/* What rc says; after some errors all questions fail. */
static bool went_well(struct talk *talk, int rc)
{
    struct ct_error next = {0};
    int code = talk->error.code;

    MUST(rc == 0 || rc == -1);
    if (rc == 0)
        return true;
    MUST(code != 0 && code != EAGAIN && code != EINTR);
    MUST(talk->error.text[0] != '\0' && strchr(talk->error.text, '\n') == NULL);
    if (code == ECONNRESET || code == EPROTO || code == EPIPE) {
        MUST(client_fence(talk->client, &next) == -1);
        MUST(next.code == EPIPE);
    }
    talk->error = next;
    return false;
}

/* A value, if one was found, is text that fits. */
static void check_value(struct talk *talk, int rc)
{
    if (went_well(talk, rc) && talk->found)
        MUST(memchr(talk->buf, '\0', ROOM) != NULL);
    memset(talk->buf, 'x', ROOM);
}

static void check_facts(const struct client_facts *facts)
{
    MUST(facts->rank < facts->size);
    MUST(memchr(facts->jobid, '\0', sizeof facts->jobid) != NULL);
    MUST(facts->jobid[0] != '\0');
    MUST(facts->appnum >= -1 && facts->universe_size >= -1);
    MUST(facts->value_max <= CLIENT_VALUE_SIZE);
}

static void ask_for_values(struct talk *t)
{
    struct client_source rank2 = {.rank = 2}, other = {.jobid = "8", .rank = 0};

    check_value(t, client_attr(t->client, "PMI_process_mapping", t->buf, ROOM,
                               &t->found, &t->error));
    went_well(t, client_put(t->client, "k", "v", &t->error));
    went_well(t, client_put(t->client, "k;= ", "v;= ", &t->error));
    went_well(t, client_fence(t->client, &t->error));
    check_value(t,
                client_get(t->client, "k", t->buf, ROOM, &t->found, &t->error));
    check_value(t, client_get_from(t->client, &rank2, "k", t->buf, ROOM,
                                   &t->found, &t->error));
    check_value(t, client_get_from(t->client, &other, "k", t->buf, ROOM,
                                   &t->found, &t->error));
    went_well(t, client_node_put(t->client, "k", "v", &t->error));
    check_value(t, client_node_get(t->client, "k", true, t->buf, ROOM,
                                   &t->found, &t->error));
    went_well(t, client_publish(t->client, "s", "p q", &t->error));
    check_value(
        t, client_lookup(t->client, "s", t->buf, ROOM, &t->found, &t->error));
    went_well(t, client_unpublish(t->client, "s", &t->error));
}

static void ask_for_a_job(struct talk *t)
{
    static const char *const argv[] = {"1", "2"};
    static const struct client_pair pairs[] = {{"k", "v"}, {"l", "a b"}};
    static const struct client_command commands[] = {
        {.path = "a", .maxprocs = 1, .infos = pairs, .info_count = 2},
        {.path = "b", .argv = argv, .argc = 2, .maxprocs = 2},
    };
    static const struct client_spawn spawn = {
        .commands = commands, .count = 2, .preputs = pairs, .preput_count = 2};

    if (went_well(t, client_spawn(t->client, &spawn, t->buf, ROOM, t->codes,
                                  CODES, &t->error)))
        MUST(memchr(t->buf, '\0', ROOM) != NULL);
    went_well(t, client_connect(t->client, "8", &t->error));
    went_well(t, client_disconnect(t->client, "8", &t->error));
}

static void ask_to_wait(struct talk *t)
{
    static const int ranks[] = {0, 1};

    went_well(t, client_barrier(t->client, &t->error));
    went_well(t, client_barrier_group(t->client, CLIENT_GROUP_WORLD, NULL, 0,
                                      "t", &t->error));
    went_well(t, client_barrier_group(t->client, CLIENT_GROUP_LIST, ranks, 2,
                                      "t", &t->error));
}

static void converse(struct talk *talk)
{
    check_facts(client_facts(talk->client));
    ask_for_values(talk);
    ask_for_a_job(talk);
    ask_to_wait(talk);
    went_well(talk, client_finalize(talk->client, &talk->error));
    if (went_well(talk, client_reopen(talk->client, &talk->error))) {
        check_facts(client_facts(talk->client));
        ask_for_values(talk);
    }
    went_well(talk, client_abort(talk->client, 3, &talk->error));
}

static void talk_on(int fd, unsigned how)
{
    const struct client_start start = {
        .rank = 1,
        .size = (how & BY_PMI2) != 0 ? 0 : 4,
        .jobid = (how & WITH_JOBID) != 0 ? "7.0" : NULL,
        .dialled = (how & (DIALLED | BY_PMI2)) == DIALLED,
        .want_groups = (how & WITH_GROUPS) != 0,
    };
    struct talk talk = {.buf = malloc(ROOM),
                        .codes = calloc(CODES, sizeof *talk.codes)};

    MUST(talk.buf != NULL && talk.codes != NULL);
    talk.client =
        client_open(fd, (how & BY_PMI2) != 0 ? &pmi_dialect_2 : &pmi_dialect_1,
                    &start, &talk.error);
    if (talk.client != NULL) {
        converse(&talk);
    } else {
        MUST(talk.error.code != 0 && talk.error.text[0] != '\0');
        MUST(fcntl(fd, F_GETFD) >= 0);
        close(fd);
    }
    client_close(talk.client);
    free(talk.buf);
    free(talk.codes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];

    if (size == 0 || size > ANSWERS_MAX)
        return 0;
    if ((data[0] & CARRIED) != 0) {
        check_carried(data + 1, size - 1);
        return 0;
    }
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    MUST(send(pair[0], data + 1, size - 1, MSG_DONTWAIT) ==
         (ssize_t)(size - 1));
    MUST(shutdown(pair[0], SHUT_WR) == 0);
    talk_on(pair[1], data[0]);
    close(pair[0]);
    return 0;
}
