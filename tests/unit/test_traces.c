/*
 * What real MPI libraries said to their servers, frame by frame: the corpora of
 * the fuzzers hold it (tests/fuzz/extract-corpus). A file trace-NN-WORD is one
 * frame with that command, a file trace-talk-MPI all that one client said.
 */
#include "wire/msg.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct talk {
    const char *name;
    const char *commands; /* "WORD" or "WORD*TIMES" */
};

static const struct talk talks_1[] = {
    {"trace-talk-mpich-bullseye-pmi1",
     "init get_maxes get_appnum get_my_kvsname get get_my_kvsname put"
     " barrier_in put barrier_in get_universe_size finalize"},
    {"trace-talk-mpich-bookworm-pmi1",
     "init get_maxes get_appnum get_my_kvsname get barrier_in*2 get put"
     " barrier_in get get_universe_size barrier_in finalize"},
    {"trace-talk-mpich-trixie-pmi1",
     "init get_maxes get_appnum get_my_kvsname get*3 barrier_in*2 get put"
     " barrier_in get get_universe_size barrier_in finalize"},
    {"trace-talk-mpich-forky-pmi1",
     "init get_maxes get_appnum get_my_kvsname get*2 put*10 barrier_in get*20"
     " get_universe_size barrier_in finalize"},
    {NULL, NULL},
};

static const struct talk talks_2[] = {
    {"trace-talk-mpich-trixie-pmi2",
     "fullinit job-getid info-getjobattr*3 info-putnodeattr info-getjobattr"
     " finalize"},
    {"trace-talk-mpich-forky-pmi2",
     "fullinit job-getid info-getjobattr*3 finalize"},
    {NULL, NULL},
};

struct corpus {
    const char *folder;
    const struct pmi_dialect *dialect;
    const struct talk *talks;
    int files;
};

static const struct corpus corpora[] = {
    {"pmi1", &pmi_dialect_1, talks_1, 23},
    {"pmi2", &pmi_dialect_2, talks_2, 21},
};

static void path_of(const struct corpus *corpus, const char *name, char *buf,
                    size_t size)
{
    const char *srcdir = getenv("srcdir");
    int len = snprintf(buf, size, "%s/tests/fuzz/corpus/%s/%s",
                       srcdir != NULL ? srcdir : ".", corpus->folder, name);

    ck_assert(len > 0 && (size_t)len < size);
}

/* The whole file, in memory of its own size. */
static char *read_file(const struct corpus *corpus, const char *name,
                       size_t *ret_len)
{
    char path[4096];
    char *bytes;
    FILE *file;
    long len;

    path_of(corpus, name, path, sizeof path);
    file = fopen(path, "re");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    len = ftell(file);
    ck_assert_int_gt(len, 0);
    rewind(file);
    bytes = malloc((size_t)len);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, (size_t)len, file), len);
    fclose(file);
    *ret_len = (size_t)len;
    return bytes;
}

/* A client's message goes through us and comes out as it was. */
static void check_same_bytes(const struct pmi_dialect *dialect,
                             const struct pmi_msg *msg, const char *frame,
                             size_t len)
{
    static char buf[PMI_FRAME_MAX];
    struct pmi_out out = {.buf = buf, .size = sizeof buf};
    char *word = ct_span_dup(msg->command);

    dialect->begin(&out, word);
    free(word);
    for (size_t i = 0; i < msg->count; i++) {
        word = ct_span_dup(msg->pairs[i].key);
        dialect->add(&out, word, msg->pairs[i].value);
        free(word);
    }
    dialect->end(&out);
    ck_assert(!out.refused);
    ck_assert_uint_eq(out.len, len);
    ck_assert_mem_eq(buf, frame, len);
}

static void take_word(const char **list, struct ct_span *ret_word,
                      unsigned *ret_times)
{
    size_t len = strcspn(*list, " ");
    const char *star = memchr(*list, '*', len);

    *ret_times = star != NULL ? (unsigned)atoi(star + 1) : 1;
    *ret_word = ct_span(*list, star != NULL ? (size_t)(star - *list) : len);
    *list += len + ((*list)[len] == ' ');
}

/* Is it the command that comes next in the list? Then take it off. */
static bool comes_next(struct ct_span command, const char **list,
                       unsigned *taken)
{
    const char *rest = *list;
    struct ct_span word;
    unsigned times;

    take_word(&rest, &word, &times);
    if (!ct_span_equal(word, command))
        return false;
    if (++*taken == times) {
        *list = rest;
        *taken = 0;
    }
    return true;
}

/* The frame that bytes start with: whole from its last byte on, not before. */
static size_t frame_length(const struct pmi_dialect *dialect, const char *bytes,
                           size_t len)
{
    ssize_t whole = dialect->frame(bytes, len);
    unsigned early = 0;

    ck_assert_msg(whole > 0 && (size_t)whole <= len, "no frame at '%.*s'",
                  (int)(len < 40 ? len : 40), bytes);
    for (size_t i = 0; i < (size_t)whole; i++)
        early += dialect->frame(bytes, i) != 0;
    ck_assert_uint_eq(early, 0);
    return (size_t)whole;
}

static void check_file(const struct corpus *corpus, const char *name,
                       const char *commands)
{
    const struct pmi_dialect *dialect = corpus->dialect;
    static struct pmi_msg msg;
    size_t size, len;
    char *bytes = read_file(corpus, name, &size);
    unsigned taken = 0;

    for (size_t at = 0; at < size; at += len) {
        struct ct_error err = {0};
        len = frame_length(dialect, bytes + at, size - at);
        ck_assert_msg(dialect->decode(bytes + at, len, &msg, &err) == 0,
                      "%s at %zu: %s", name, at, err.text);
        ck_assert_msg(comes_next(msg.command, &commands, &taken),
                      "%s at %zu: %.*s, not %s", name, at, (int)msg.command.len,
                      msg.command.ptr, commands);
        check_same_bytes(dialect, &msg, bytes + at, len);
    }
    ck_assert_msg(*commands == '\0', "%s: no %s", name, commands);
    free(bytes);
}

static const char *commands_of(const struct corpus *corpus, const char *name)
{
    if (strncmp(name, "trace-talk-", 11) != 0)
        return name + strlen("trace-NN-");
    for (const struct talk *talk = corpus->talks; talk->name != NULL; talk++)
        if (strcmp(talk->name, name) == 0)
            return talk->commands;
    ck_abort_msg("%s is not in the table of this test", name);
    return NULL;
}

START_TEST(every_trace)
{
    const struct corpus *corpus = &corpora[_i];
    struct dirent *entry;
    char path[4096];
    DIR *folder;
    int files = 0;

    path_of(corpus, "", path, sizeof path);
    folder = opendir(path);
    ck_assert_msg(folder != NULL, "cannot open %s", path);
    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, "trace-", 6) != 0)
            continue;
        check_file(corpus, entry->d_name, commands_of(corpus, entry->d_name));
        files++;
    }
    closedir(folder);
    ck_assert_int_eq(files, corpus->files);
}
END_TEST

/* One frame of a corpus; the bytes live as long as the test. */
static void decode_file(const struct corpus *corpus, const char *name,
                        struct pmi_msg *ret)
{
    static char bytes[8192];
    size_t len;
    char *file = read_file(corpus, name, &len);

    ck_assert_uint_le(len, sizeof bytes);
    memcpy(bytes, file, len);
    free(file);
    ck_assert_int_eq(corpus->dialect->decode(bytes, len, ret, NULL), 0);
}

static void check_pair(const struct pmi_msg *msg, size_t i, const char *key,
                       const char *value)
{
    ck_assert_uint_lt(i, msg->count);
    ck_assert(ct_span_is(msg->pairs[i].key, key));
    ck_assert_msg(ct_span_is(msg->pairs[i].value, value), "%s is '%.*s'", key,
                  (int)msg->pairs[i].value.len, msg->pairs[i].value.ptr);
}

START_TEST(pairs_of_dialect_1)
{
    static struct pmi_msg msg;

    decode_file(&corpora[0], "trace-13-put", &msg);
    ck_assert_uint_eq(msg.count, 3);
    check_pair(&msg, 0, "kvsname", "kvs_31451_0_774927865_vm");
    check_pair(&msg, 1, "key", "P0-businesscard");
    check_pair(&msg, 2, "value", "description#vm$port#58069$ifname#127.0.0.1$");
    decode_file(&corpora[0], "trace-01-init", &msg);
    ck_assert_uint_eq(msg.count, 2);
    check_pair(&msg, 0, "pmi_version", "1");
    check_pair(&msg, 1, "pmi_subversion", "1");
}
END_TEST

START_TEST(pairs_of_dialect_2)
{
    static struct pmi_msg msg;
    long srcid = 0;

    decode_file(&corpora[1], "trace-15-kvs-get", &msg);
    ck_assert_uint_eq(msg.count, 3);
    check_pair(&msg, 0, "jobid", "kvs_31484_0_1859029807_vm");
    check_pair(&msg, 1, "srcid", "-1");
    check_pair(&msg, 2, "key", "-NONEXIST-KEY");
    ck_assert_int_eq(pmi_msg_number(&msg, "srcid", -1, 0, &srcid), 0);
    ck_assert_int_eq(srcid, -1);
    decode_file(&corpora[1], "trace-05-kvs-put", &msg);
    ck_assert_uint_eq(msg.count, 2);
    check_pair(&msg, 0, "key", "-allgather-1-1");
    check_pair(&msg, 1, "value", "segments=9");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("traces");
    TCase *tc = tcase_create("traces");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_loop_test(tc, every_trace, 0, 2);
    tcase_add_test(tc, pairs_of_dialect_1);
    tcase_add_test(tc, pairs_of_dialect_2);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
