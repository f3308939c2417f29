#include "wire/msg.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static const struct pmi_dialect *const dialects[] = {
    &pmi_dialect_1,
    &pmi_dialect_2,
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A copy of its own, so that ASan sees its ends. */
static char *exactly(const char *bytes, size_t len)
{
    char *copy = malloc(len + (len == 0));

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static ssize_t frame(const struct pmi_dialect *dialect, const char *bytes,
                     size_t len)
{
    char *copy = exactly(bytes, len);
    ssize_t whole = dialect->frame(copy, len);

    free(copy);
    return whole;
}

/* Of all that a frame may start with, only the whole is one. */
static void check_pieces(const struct pmi_dialect *dialect, const char *bytes)
{
    size_t len = strlen(bytes);

    for (size_t i = 0; i < len; i++)
        ck_assert_msg(frame(dialect, bytes, i) == 0, "'%.*s'", (int)i, bytes);
    ck_assert_int_eq(frame(dialect, bytes, len), len);
}

START_TEST(frames_come_in_pieces)
{
    check_pieces(&pmi_dialect_1, "cmd=get_maxes\n");
    check_pieces(&pmi_dialect_1, "\n");
    check_pieces(&pmi_dialect_1, "mcmd\n");
    check_pieces(&pmi_dialect_1, "mcmd=spawn\nendcmd\n");
    check_pieces(&pmi_dialect_1, "mcmd=spawn\narg1=endcmd\nendcmd \nendcmd\n");
    check_pieces(&pmi_dialect_1, "mcmd=spawn\n\nendcm\nendcmd\n");
    check_pieces(&pmi_dialect_2, "    14cmd=kvs-fence;");
    check_pieces(&pmi_dialect_2, "13    cmd=finalize;");
    check_pieces(&pmi_dialect_2, "000001;");
    check_pieces(&pmi_dialect_2, " 09   a\nb\ncd\n\n;");
}
END_TEST

START_TEST(frames_come_together)
{
    static const char one[] = "cmd=a\ncmd=bc\n";
    static const char block[] = "mcmd=a\nendcmd\nmcmd=b\nendcmd\n";
    static const char two[] = "     6cmd=a;7     cmd=bc;";

    ck_assert_int_eq(frame(&pmi_dialect_1, one, strlen(one)), 6);
    ck_assert_int_eq(frame(&pmi_dialect_1, one + 6, strlen(one) - 6), 7);
    ck_assert_int_eq(frame(&pmi_dialect_1, block, strlen(block)), 14);
    ck_assert_int_eq(frame(&pmi_dialect_2, two, strlen(two)), 12);
    ck_assert_int_eq(frame(&pmi_dialect_2, two + 12, strlen(two) - 12), 13);
}
END_TEST

/* What stands there as six bytes, and the whole frame's length, 0 or -1. */
static const struct {
    const char *head;
    ssize_t len;
} heads[] = {
    {"     1", 7},      {"1     ", 7},     {"  1   ", 7},   {"000001", 7},
    {"     0", -1},     {"      ", -1},    {"000000", -1},  {"    -1", -1},
    {"    +1", -1},     {"  1 1 ", -1},    {"1    1", -1},  {"0x0001", -1},
    {"cmd=in", -1},     {"\t    1", -1},   {"    1\n", -1}, {"    1;", -1},
    {" 65530", 0},      {" 65531", -1},    {"065530", 0},   {"999999", -1},
    {"65531 ", -1},     {"65530 ", 0},     {"1", 0},        {"     ", 0},
    {"99999", -1},      {"65531", -1},     {"65530", 0},    {"6553", 0},
    {"c", -1},          {"1 2", -1},       {"", 0},         {"-", -1},
    {"\xff    1", -1},  {"   1\xb2 ", -1}, {"1/    ", -1},  {"1:    ", -1},
    {"     1;cmd=", 7},
};

START_TEST(heads_of_dialect_2)
{
    char text[32];

    for (size_t i = 0; i < COUNT(heads); i++) {
        size_t len = strlen(heads[i].head);
        strcpy(text, heads[i].head);
        if (heads[i].len > 0)
            strcat(text, ";"), len++;
        ck_assert_msg(frame(&pmi_dialect_2, text, len) == heads[i].len,
                      "'%s': not %zd", heads[i].head, heads[i].len);
    }
    ck_assert_int_eq(frame(&pmi_dialect_2, "     \0001;", 7), -1);
}
END_TEST

/* "a" again and again, but for what stands at both ends. */
static char *filled(size_t len, const char *start, const char *last)
{
    char *text = malloc(len + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'a', len);
    text[len] = '\0';
    memcpy(text, start, strlen(start));
    memcpy(text + len - strlen(last), last, strlen(last));
    return text;
}

static void check_longest(const char *start, const char *last)
{
    char *text = filled(PMI_FRAME_MAX, start, last);
    char *longer = filled(PMI_FRAME_MAX + 1, start, last);
    static struct pmi_msg msg;

    ck_assert_int_eq(frame(&pmi_dialect_1, text, PMI_FRAME_MAX - 1), 0);
    ck_assert_int_eq(frame(&pmi_dialect_1, text, PMI_FRAME_MAX), PMI_FRAME_MAX);
    ck_assert_int_eq(frame(&pmi_dialect_1, longer, PMI_FRAME_MAX - 1), 0);
    ck_assert_int_eq(frame(&pmi_dialect_1, longer, PMI_FRAME_MAX), -1);
    ck_assert_int_eq(frame(&pmi_dialect_1, longer, PMI_FRAME_MAX + 1), -1);
    ck_assert_int_eq(pmi_dialect_1.decode(text, PMI_FRAME_MAX, &msg, NULL), 0);
    ck_assert_int_eq(
        pmi_dialect_1.decode(longer, PMI_FRAME_MAX + 1, &msg, NULL), -1);
    free(text);
    free(longer);
}

START_TEST(longest_frames)
{
    static struct pmi_msg msg;
    char *text = filled(PMI_FRAME_MAX, " 65530cmd=", ";");

    check_longest("cmd=", "\n");
    check_longest("mcmd=", "\nendcmd\n");
    ck_assert_int_eq(frame(&pmi_dialect_2, text, PMI_FRAME_MAX - 1), 0);
    ck_assert_int_eq(frame(&pmi_dialect_2, text, PMI_FRAME_MAX), PMI_FRAME_MAX);
    ck_assert_int_eq(pmi_dialect_2.decode(text, PMI_FRAME_MAX, &msg, NULL), 0);
    ck_assert_uint_eq(msg.command.len, PMI_FRAME_MAX - 6 - 5);
    free(text);
}
END_TEST

/* The message as text: command, then each pair as <key|value>. */
static const char *shown(const struct pmi_msg *msg)
{
    static char text[1024];
    size_t len = (size_t)snprintf(text, sizeof text, "%.*s",
                                  (int)msg->command.len, msg->command.ptr);

    for (size_t i = 0; i < msg->count && len < sizeof text; i++) {
        struct ct_span key = msg->pairs[i].key, value = msg->pairs[i].value;
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "<%.*s|%.*s>",
                             (int)key.len, key.ptr, (int)value.len, value.ptr);
    }
    ck_assert_uint_lt(len, sizeof text);
    return text;
}

/* A PMI-2 frame of the payload. */
static size_t with_head(const char *payload, char *buf, size_t size)
{
    int len = snprintf(buf, size, "%6zu%s", strlen(payload), payload);

    ck_assert(len > 0 && (size_t)len < size);
    return (size_t)len;
}

static void check_shown(const struct pmi_dialect *dialect, const char *bytes,
                        size_t len, const char *expected)
{
    static struct pmi_msg msg;
    struct ct_error err = {0};
    char *copy = exactly(bytes, len);
    int rc = dialect->decode(copy, len, &msg, &err);

    ck_assert_msg(rc == 0, "'%s': %s", bytes, err.text);
    ck_assert_str_eq(shown(&msg), expected);
    free(copy);
}

static const struct {
    const char *bytes;
    const char *message;
} words[] = {
    {"cmd=init pmi_version=1 pmi_subversion=1\n",
     "init<pmi_version|1><pmi_subversion|1>"},
    {"cmd=get_maxes\n", "get_maxes"},
    {"  cmd=get   kvsname=k  key=a  \n", "get<kvsname|k><key|a>"},
    {"cmd=get key=a=b= key==c\n", "get<key|a=b=><key|=c>"},
    {"cmd=get bare empty= =nameless =\n", "get<bare|><empty|><|nameless><|>"},
    {"cmd=get key=a\\b;c;;d\te\r\n", "get<key|a\\b;c;;d\te\r>"},
    {"cmd=get key=\xc3\xa4\xff\n", "get<key|\xc3\xa4\xff>"},
    {"cmd=barrier_in group=1,2,3:tag\n", "barrier_in<group|1,2,3:tag>"},
    {"cmd=mcmd=x\n", "mcmd=x"},
    {"mcmd=spawn\nnprocs=2\nexecname=./a b\narg1=x = y;;\nendcmd\n",
     "spawn<nprocs|2><execname|./a b><arg1|x = y;;>"},
    {"mcmd=spawn\n\n\nbare\n key =  v \nend=\n=x\nendcmd\n",
     "spawn<bare|>< key |  v ><end|><|x>"},
    {"mcmd=spawn key=a\nendcmd\n", "spawn key=a"},
    {"mcmd=spawn\narg1=endcmd\nendcmd\n", "spawn<arg1|endcmd>"},
    {"mcmd=spawn\nendcmd\n", "spawn"},
};

START_TEST(decode_dialect_1)
{
    for (size_t i = 0; i < COUNT(words); i++)
        check_shown(&pmi_dialect_1, words[i].bytes, strlen(words[i].bytes),
                    words[i].message);
}
END_TEST

static const struct {
    const char *payload;
    const char *message;
} pairs[] = {
    {"cmd=fullinit;pmirank=1;", "fullinit<pmirank|1>"},
    {"cmd=kvs-fence;", "kvs-fence"},
    {"cmd=kvs-fence", "kvs-fence"},
    {"cmd=kvs-get;key=a", "kvs-get<key|a>"},
    {"cmd=kvs-get;bare;empty=;=nameless;=;",
     "kvs-get<bare|><empty|><|nameless><|>"},
    {"cmd=kvs-put;key=a b ; value = \n=;", "kvs-put<key|a b >< value | \n=>"},
    {"cmd=kvs-put;key=a;;b;value=c;;;;d;", "kvs-put<key|a;;b><value|c;;;;d>"},
    {"cmd=kvs-put;value=a;;;key=b;", "kvs-put<value|a;;><key|b>"},
    {"cmd=kvs-put;value=;;;key=b;", "kvs-put<value|;;><key|b>"},
    {"cmd=kvs-put;value=a;;", "kvs-put<value|a;;>"},
    {"cmd=a;;b;", "a;;b"},
    {"cmd=kvs-put;value=\xff\\;", "kvs-put<value|\xff\\>"},
};

START_TEST(decode_dialect_2)
{
    char bytes[256];

    for (size_t i = 0; i < COUNT(pairs); i++) {
        size_t len = with_head(pairs[i].payload, bytes, sizeof bytes);
        check_shown(&pmi_dialect_2, bytes, len, pairs[i].message);
    }
    check_shown(&pmi_dialect_2, "6     cmd=a;", 12, "a");
}
END_TEST

static void check_refused(const struct pmi_dialect *dialect, const char *bytes,
                          size_t len)
{
    static struct pmi_msg msg;
    struct ct_error err = {0};
    char *copy = exactly(bytes, len);

    ck_assert_msg(dialect->decode(copy, len, &msg, &err) == -1, "%s took '%s'",
                  dialect->name, bytes);
    ck_assert_int_eq(err.code, EPROTO);
    ck_assert_int_eq(strncmp(err.text, dialect->name, 5), 0);
    ck_assert_int_eq(dialect->decode(copy, len, &msg, NULL), -1);
    free(copy);
}

static const char *const bad_lines[] = {
    "",
    "\n",
    "   \n",
    "init\n",
    "cmd\n",
    "cmd=\n",
    "cmd= init\n",
    "Cmd=init\n",
    "cmds=init\n",
    "key=a cmd=init\n",
    "cmd=init",
    "cmd=init\ncmd=init\n",
    "cmd=init\n ",
    "mcmd=\nendcmd\n",
    "mcmd=spawn\n",
    "mcmd=spawn\nendcmd",
    "mcmd=spawn\nendcmd\n\n",
    " mcmd=spawn\n",
};

static const char *const bad_payloads[] = {
    ";",      "cmd;",       "cmd=;",   ";cmd=init;", " cmd=init;",
    "key=a;", "cmd;=init;", "cmds=a;", "cm",         ";;cmd=a;",
};

START_TEST(broken_messages)
{
    char bytes[64];
    size_t len;

    for (size_t i = 0; i < COUNT(bad_lines); i++)
        check_refused(&pmi_dialect_1, bad_lines[i], strlen(bad_lines[i]));
    check_refused(&pmi_dialect_1, "cmd=a\0b\n", 8);
    check_refused(&pmi_dialect_1, "mcmd=a\nb=\0\nendcmd\n", 18);
    for (size_t i = 0; i < COUNT(bad_payloads); i++) {
        len = with_head(bad_payloads[i], bytes, sizeof bytes);
        check_refused(&pmi_dialect_2, bytes, len);
    }
    check_refused(&pmi_dialect_2, "     6cmd=a", 11);
    check_refused(&pmi_dialect_2, "     6cmd=a;;", 13);
    check_refused(&pmi_dialect_2, "     0", 6);
    check_refused(&pmi_dialect_2, "     7cmd=a\0;", 13);
    check_refused(&pmi_dialect_2, "cmd=init\n", 9);
    check_refused(&pmi_dialect_2, "", 0);
}
END_TEST

/* A message of `count` pairs "aN=N", its length. */
static size_t with_pairs(const char *start, char separator, const char *last,
                         int count, char *buf)
{
    size_t len = (size_t)sprintf(buf, "%s%c", start, separator);

    for (int i = 0; i < count; i++)
        len += (size_t)sprintf(buf + len, "a%d=%d%c", i, i, separator);
    return len + (size_t)sprintf(buf + len, "%s", last);
}

static void check_count(const struct pmi_dialect *dialect, const char *bytes,
                        size_t len, int count)
{
    static struct pmi_msg msg;
    long value = -1;
    char key[16];

    if (count > PMI_PAIRS_MAX) {
        check_refused(dialect, bytes, len);
        return;
    }
    ck_assert_int_eq(dialect->decode(bytes, len, &msg, NULL), 0);
    ck_assert_int_eq(msg.count, count);
    snprintf(key, sizeof key, "a%d", count - 1);
    ck_assert_int_eq(pmi_msg_number(&msg, key, 0, count, &value), 0);
    ck_assert_int_eq(value, count - 1);
}

START_TEST(many_pairs)
{
    static char bytes[PMI_FRAME_MAX + 6];
    size_t len;

    for (int n = PMI_PAIRS_MAX; n <= PMI_PAIRS_MAX + 1; n++) {
        len = with_pairs("cmd=a", ' ', "\n", n, bytes);
        check_count(&pmi_dialect_1, bytes, len, n);
        len = with_pairs("mcmd=a", '\n', "endcmd\n", n, bytes);
        check_count(&pmi_dialect_1, bytes, len, n);
        len = with_pairs("      cmd=a", ';', "", n, bytes);
        sprintf(bytes, "%6zu", len - 6);
        bytes[6] = 'c';
        check_count(&pmi_dialect_2, bytes, len, n);
    }
}
END_TEST

static void decode_line(const char *line, struct pmi_msg *msg)
{
    ck_assert_int_eq(pmi_dialect_1.decode(line, strlen(line), msg, NULL), 0);
}

START_TEST(pairs_by_key)
{
    static struct pmi_msg msg;

    decode_line("cmd=get key=first keys=other key=second bare ke=x\n", &msg);
    ck_assert(ct_span_is(*pmi_msg_get(&msg, "key"), "first"));
    ck_assert(ct_span_is(*pmi_msg_get(&msg, "keys"), "other"));
    ck_assert(ct_span_is(*pmi_msg_get(&msg, "bare"), ""));
    ck_assert_ptr_null(pmi_msg_get(&msg, "k"));
    ck_assert_ptr_null(pmi_msg_get(&msg, "cmd"));
    ck_assert_ptr_null(pmi_msg_get(&msg, ""));
    decode_line("cmd=get\n", &msg);
    ck_assert_ptr_null(pmi_msg_get(&msg, "key"));
}
END_TEST

START_TEST(numbers_by_key)
{
    static const char block[] = "mcmd=a\nn=  12 \nm=1 2\nb=  \nendcmd\n";
    static struct pmi_msg msg;
    long value = 4711;

    decode_line("cmd=x n=7 m=-3 e= bare h=0x1 p=+1 l=99999999999999999999\n",
                &msg);
    for (const char *key = "ehplz"; *key != '\0'; key++)
        ck_assert_int_eq(pmi_msg_number(&msg, (char[]){*key, '\0'}, LONG_MIN,
                                        LONG_MAX, &value),
                         -1);
    ck_assert_int_eq(pmi_msg_number(&msg, "bare", 0, 9, &value), -1);
    ck_assert_int_eq(pmi_msg_number(&msg, "n", 8, 9, &value), -1);
    ck_assert_int_eq(pmi_msg_number(&msg, "n", 0, 6, &value), -1);
    ck_assert_int_eq(value, 4711);
    ck_assert_int_eq(pmi_msg_number(&msg, "n", 7, 7, &value), 0);
    ck_assert_int_eq(value, 7);
    ck_assert_int_eq(pmi_msg_number(&msg, "m", -3, 0, &value), 0);
    ck_assert_int_eq(value, -3);
    decode_line(block, &msg);
    ck_assert_int_eq(pmi_msg_number(&msg, "m", 0, 99, &value), -1);
    ck_assert_int_eq(pmi_msg_number(&msg, "b", 0, 99, &value), -1);
    ck_assert_int_eq(pmi_msg_number(&msg, "n", 0, 99, &value), 0);
    ck_assert_int_eq(value, 12);
}
END_TEST

START_TEST(a_blank_number_ends_with_its_frame)
{
    static struct pmi_msg msg;
    char *copy = exactly("    10cmd=a;n=  ", 16);
    long value;

    ck_assert_int_eq(pmi_dialect_2.decode(copy, 16, &msg, NULL), 0);
    ck_assert_int_eq(pmi_msg_number(&msg, "n", 0, 99, &value), -1);
    free(copy);
}
END_TEST

/* One reply with one pair more than rc=0; NULL: that alone. */
static void reply(const struct pmi_dialect *dialect, struct pmi_out *out,
                  const char *key, const char *value)
{
    dialect->begin(out, "get_result");
    pmi_add_num(dialect, out, "rc", 0);
    if (key != NULL)
        pmi_add_str(dialect, out, key, value);
    dialect->end(out);
}

static void check_out(const struct pmi_out *out, const char *expected)
{
    ck_assert_uint_eq(out->len, strlen(expected));
    ck_assert_mem_eq(out->buf, expected, out->len);
}

START_TEST(replies_of_dialect_1)
{
    char buf[256];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};

    reply(&pmi_dialect_1, &out, NULL, NULL);
    reply(&pmi_dialect_1, &out, "value", "a=b;c;;\\\t\r\xff");
    check_out(&out, "cmd=get_result rc=0\n"
                    "cmd=get_result rc=0 value=a=b;c;;\\\t\r\xff\n");
    ck_assert(!out.refused);
}
END_TEST

START_TEST(replies_of_dialect_2)
{
    char buf[256];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};

    reply(&pmi_dialect_2, &out, NULL, NULL);
    reply(&pmi_dialect_2, &out, "value", " a=b;;c;;;;\\\t\r ");
    check_out(&out, "    20cmd=get_result;rc=0;"
                    "    42cmd=get_result;rc=0;value= a=b;;c;;;;\\\t\r ;");
    ck_assert(!out.refused);
}
END_TEST

START_TEST(numbers_in_replies)
{
    char buf[256];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};

    pmi_dialect_1.begin(&out, "a");
    pmi_add_num(&pmi_dialect_1, &out, "least", LONG_MIN);
    pmi_add_num(&pmi_dialect_1, &out, "most", LONG_MAX);
    pmi_dialect_1.end(&out);
    check_out(&out, "cmd=a least=-9223372036854775808"
                    " most=9223372036854775807\n");
}
END_TEST

static const struct {
    const char *key;
    const char *value;
    bool by_1, by_2; /* refused */
} refusals[] = {
    {"value", "", true, true},      {"value", "a\nb", true, true},
    {"value", "\n", true, true},    {"value", "a b", true, false},
    {"value", " ", true, false},    {"value", "a;b", false, true},
    {"value", ";", false, true},    {"value", "a;;b", false, false},
    {"value", "a;;;", false, true}, {"value", "=", false, false},
    {"", "a", true, true},          {"a b", "a", true, true},
    {"a=b", "a", true, true},       {"a;b", "a", true, true},
    {"a;;b", "a", true, true},      {"a\nb", "a", true, true},
    {"a\tb", "a", false, false},
};

static void check_taken_back(const struct pmi_dialect *dialect, const char *key,
                             const char *value, bool refused)
{
    char buf[256];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};
    size_t before;

    reply(dialect, &out, NULL, NULL);
    before = out.len;
    reply(dialect, &out, key, value);
    ck_assert_msg(out.refused == refused, "%s, '%s' = '%s'", dialect->name, key,
                  value);
    ck_assert((out.len == before) == refused);
    out.len = before;
    reply(dialect, &out, NULL, NULL);
    ck_assert_uint_eq(out.len, 2 * before);
    ck_assert_mem_eq(buf, buf + before, before);
    ck_assert(out.refused == refused); /* until the caller clears it */
}

START_TEST(refused_replies_are_taken_back)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        check_taken_back(&pmi_dialect_1, refusals[i].key, refusals[i].value,
                         refusals[i].by_1);
        check_taken_back(&pmi_dialect_2, refusals[i].key, refusals[i].value,
                         refusals[i].by_2);
    }
}
END_TEST

START_TEST(refused_commands_and_bytes)
{
    static const char *const commands[] = {"", "a\n", "a b", "a;b"};
    char buf[64];

    for (size_t i = 0; i < 8; i++) {
        const struct pmi_dialect *dialect = dialects[i % 2];
        const char *command = commands[i / 2];
        struct pmi_out out = {.buf = buf, .size = sizeof buf};
        bool fits = strcmp(command, i % 2 == 0 ? "a;b" : "a b") == 0;
        dialect->begin(&out, command);
        dialect->end(&out);
        ck_assert_msg(out.refused != fits, "%s, '%s'", dialect->name, command);
        ck_assert((out.len > 0) == fits);
        out.refused = false;
        dialect->begin(&out, "a");
        dialect->add(&out, "k", ct_span("a\0b", 3));
        dialect->add(&out, "good", ct_span("a", 1));
        dialect->end(&out);
        ck_assert(out.refused);
    }
}
END_TEST

/* Into less room than it takes, nothing goes; behind the room, never. */
static void check_room(const struct pmi_dialect *dialect, size_t size,
                       size_t needed)
{
    char *buf = malloc(size + (size == 0));
    struct pmi_out out = {.buf = buf, .size = size};

    ck_assert_ptr_nonnull(buf);
    reply(dialect, &out, "value", "text");
    ck_assert(out.refused == (size < needed));
    ck_assert_uint_eq(out.len, size < needed ? 0 : needed);
    free(buf);
}

START_TEST(replies_need_room)
{
    char buf[256];

    for (size_t d = 0; d < 2; d++) {
        struct pmi_out out = {.buf = buf, .size = sizeof buf};
        reply(dialects[d], &out, "value", "text");
        ck_assert(!out.refused);
        for (size_t size = 0; size < out.len + 2; size++)
            check_room(dialects[d], size, out.len);
    }
}
END_TEST

START_TEST(a_full_buffer_keeps_what_it_has)
{
    for (size_t d = 0; d < 2; d++) {
        char *buf = malloc(59); /* three are 60 bytes, or 78 */
        struct pmi_out out = {.buf = buf, .size = 59};
        ck_assert_ptr_nonnull(buf);
        reply(dialects[d], &out, NULL, NULL);
        reply(dialects[d], &out, NULL, NULL);
        size_t two = out.len;
        reply(dialects[d], &out, NULL, NULL);
        ck_assert(out.refused);
        ck_assert_uint_eq(out.len, two);
        ck_assert_int_eq(dialects[d]->frame(buf, two), two / 2);
        ck_assert_mem_eq(buf, buf + two / 2, two / 2);
        free(buf);
    }
}
END_TEST

/* A reply whose frame is of this length, behind another, in room for more. */
static void check_long_reply(const struct pmi_dialect *dialect, size_t len)
{
    static char buf[2 * PMI_FRAME_MAX];
    static struct pmi_msg msg;
    struct pmi_out out = {.buf = buf, .size = sizeof buf};
    size_t rest =
        strlen(dialect == &pmi_dialect_1 ? "cmd=a v=\n" : "012345cmd=a;v=;");
    char *value = filled(len - rest, "", "");
    size_t before;

    reply(dialect, &out, NULL, NULL);
    before = out.len;
    dialect->begin(&out, "a");
    pmi_add_str(dialect, &out, "v", value);
    dialect->end(&out);
    ck_assert(out.refused == (len > PMI_FRAME_MAX));
    ck_assert_uint_eq(out.len, before + (out.refused ? 0 : len));
    if (!out.refused)
        ck_assert_int_eq(dialect->decode(buf + before, len, &msg, NULL), 0);
    free(value);
}

START_TEST(longest_replies)
{
    for (size_t d = 0; d < 2; d++)
        for (size_t len = PMI_FRAME_MAX - 1; len < PMI_FRAME_MAX + 3; len++)
            check_long_reply(dialects[d], len);
}
END_TEST

START_TEST(a_reply_longer_than_its_head_can_say)
{
    static char buf[1100000];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};
    char *value = filled(1050000, "", "");

    pmi_dialect_2.begin(&out, "a");
    pmi_add_str(&pmi_dialect_2, &out, "v", value);
    pmi_dialect_2.end(&out);
    ck_assert(out.refused);
    ck_assert_uint_eq(out.len, 0);
    free(value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("msg");
    TCase *tc = tcase_create("msg");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, frames_come_in_pieces);
    tcase_add_test(tc, frames_come_together);
    tcase_add_test(tc, heads_of_dialect_2);
    tcase_add_test(tc, longest_frames);
    tcase_add_test(tc, decode_dialect_1);
    tcase_add_test(tc, decode_dialect_2);
    tcase_add_test(tc, broken_messages);
    tcase_add_test(tc, many_pairs);
    tcase_add_test(tc, pairs_by_key);
    tcase_add_test(tc, numbers_by_key);
    tcase_add_test(tc, a_blank_number_ends_with_its_frame);
    tcase_add_test(tc, replies_of_dialect_1);
    tcase_add_test(tc, replies_of_dialect_2);
    tcase_add_test(tc, numbers_in_replies);
    tcase_add_test(tc, refused_replies_are_taken_back);
    tcase_add_test(tc, refused_commands_and_bytes);
    tcase_add_test(tc, replies_need_room);
    tcase_add_test(tc, a_full_buffer_keeps_what_it_has);
    tcase_add_test(tc, longest_replies);
    tcase_add_test(tc, a_reply_longer_than_its_head_can_say);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
