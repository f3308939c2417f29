#include "kvs/kvs.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int put(struct kvs *kvs, unsigned rank, const char *key,
               const char *value)
{
    return kvs_put(kvs, rank, ct_span_str(key), ct_span_str(value), NULL);
}

static int import(struct kvs *kvs, const char *key, const char *value)
{
    return kvs_import(kvs, ct_span_str(key), ct_span_str(value), NULL);
}

static bool has(const struct kvs *kvs, const char *key, const char *value)
{
    struct ct_span found;

    return kvs_get(kvs, ct_span_str(key), &found) == 0 &&
           ct_span_is(found, value);
}

static bool has_none(const struct kvs *kvs, const char *key)
{
    struct ct_span found = ct_span("untouched", 9);

    return kvs_get(kvs, ct_span_str(key), &found) == -1 &&
           ct_span_is(found, "untouched");
}

START_TEST(get_what_was_put)
{
    struct kvs *kvs = kvs_create(2, 100);

    ck_assert(has_none(kvs, "key"));
    ck_assert_int_eq(put(kvs, 0, "key", "value"), 0);
    ck_assert_int_eq(put(kvs, 1, "keys", "other"), 0);
    ck_assert_int_eq(put(kvs, 1, "empty", ""), 0);
    ck_assert(has(kvs, "key", "value"));
    ck_assert(has(kvs, "keys", "other"));
    ck_assert(has(kvs, "empty", ""));
    ck_assert(has_none(kvs, "ke"));
    ck_assert(has_none(kvs, ""));
    ck_assert_uint_eq(kvs_used(kvs, 0), 8);
    ck_assert_uint_eq(kvs_used(kvs, 1), 14);
    kvs_destroy(kvs);
}
END_TEST

START_TEST(bytes_of_all_kinds)
{
    struct kvs *kvs = kvs_create(1, 100);
    struct ct_span found;

    kvs_put(kvs, 0, ct_span("a\0b", 3), ct_span("\0\n\xff", 3), NULL);
    kvs_put(kvs, 0, ct_span("a\0c", 3), ct_span(NULL, 0), NULL);
    ck_assert_int_eq(kvs_get(kvs, ct_span("a\0b", 3), &found), 0);
    ck_assert(ct_span_equal(found, ct_span("\0\n\xff", 3)));
    ck_assert_int_eq(kvs_get(kvs, ct_span("a\0c", 3), &found), 0);
    ck_assert_uint_eq(found.len, 0);
    ck_assert(has_none(kvs, "a"));
    kvs_destroy(kvs);
}
END_TEST

START_TEST(the_kvs_has_copies)
{
    struct kvs *kvs = kvs_create(1, 100);
    char key[] = "key", value[] = "value";

    put(kvs, 0, key, value);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    ck_assert(has(kvs, "key", "value"));
    kvs_destroy(kvs);
}
END_TEST

START_TEST(put_replaces)
{
    struct kvs *kvs = kvs_create(1, 100);

    put(kvs, 0, "key", "first");
    ck_assert_int_eq(put(kvs, 0, "key", "the second"), 0);
    ck_assert(has(kvs, "key", "the second"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 13);
    ck_assert_int_eq(put(kvs, 0, "key", ""), 0);
    ck_assert(has(kvs, "key", ""));
    ck_assert_uint_eq(kvs_used(kvs, 0), 3);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("key")), 0);
    ck_assert(has_none(kvs, "key")); /* the first is gone as well */
    kvs_destroy(kvs);
}
END_TEST

START_TEST(a_view_may_be_put)
{
    struct kvs *kvs = kvs_create(2, 100);
    struct ct_span view;

    put(kvs, 0, "key", "value");
    kvs_get(kvs, ct_span_str("key"), &view);
    ck_assert_int_eq(kvs_put(kvs, 1, ct_span_str("key"), view, NULL), 0);
    ck_assert(has(kvs, "key", "value"));
    kvs_get(kvs, ct_span_str("key"), &view);
    ck_assert_int_eq(kvs_put(kvs, 1, view, view, NULL), 0);
    ck_assert(has(kvs, "value", "value"));
    kvs_destroy(kvs);
}
END_TEST

START_TEST(remove_gives_room_back)
{
    struct kvs *kvs = kvs_create(1, 8);

    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("key")), -1);
    put(kvs, 0, "key", "value");
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("ke")), -1);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("key")), 0);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("key")), -1);
    ck_assert(has_none(kvs, "key"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    ck_assert_int_eq(put(kvs, 0, "other", "val"), 0);
    kvs_destroy(kvs);
}
END_TEST

START_TEST(whoever_puts_last_owns)
{
    struct kvs *kvs = kvs_create(3, 10);

    put(kvs, 0, "key", "1234567");
    ck_assert_int_eq(put(kvs, 1, "key", "12"), 0);
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    ck_assert_uint_eq(kvs_used(kvs, 1), 5);
    ck_assert_int_eq(put(kvs, 0, "more", "123456"), 0);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("key")), 0);
    ck_assert_uint_eq(kvs_used(kvs, 0), 10);
    ck_assert_uint_eq(kvs_used(kvs, 1), 0);
    kvs_destroy(kvs);
}
END_TEST

static void check_over_quota(struct kvs *kvs, unsigned rank, const char *key,
                             const char *value)
{
    struct ct_error err = {0};

    ck_assert_int_eq(
        kvs_put(kvs, rank, ct_span_str(key), ct_span_str(value), &err), -1);
    ck_assert_int_eq(err.code, EDQUOT);
    ck_assert_int_eq(put(kvs, rank, key, value), -1);
}

START_TEST(the_quota_is_exact)
{
    struct kvs *kvs = kvs_create(2, 10);

    check_over_quota(kvs, 0, "key", "12345678");
    check_over_quota(kvs, 0, "a long key!", "");
    ck_assert_int_eq(put(kvs, 0, "a long key", ""), 0);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("a long key")), 0);
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    ck_assert_int_eq(put(kvs, 0, "key", "1234567"), 0);
    check_over_quota(kvs, 0, "a", "");
    ck_assert_int_eq(put(kvs, 1, "a", ""), 0);
    ck_assert_uint_eq(kvs_used(kvs, 0), 10);
    ck_assert_int_eq(put(kvs, 0, "key", "123456"), 0);
    ck_assert_int_eq(put(kvs, 0, "b", ""), 0);
    check_over_quota(kvs, 0, "key", "1234567");
    ck_assert(has(kvs, "key", "123456"));
    kvs_destroy(kvs);
}
END_TEST

/* The old value of the rank itself counts back, another rank's does not. */
START_TEST(the_quota_when_replacing)
{
    struct kvs *kvs = kvs_create(2, 10);

    put(kvs, 0, "key", "1234567");
    ck_assert_int_eq(put(kvs, 0, "key", "7654321"), 0);
    put(kvs, 1, "12345", "1234");
    check_over_quota(kvs, 1, "key", "");
    check_over_quota(kvs, 1, "key", "1234567");
    ck_assert(has(kvs, "key", "7654321"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 10);
    ck_assert_uint_eq(kvs_used(kvs, 1), 9);
    kvs_destroy(kvs);
}
END_TEST

START_TEST(lengths_that_wrap_around)
{
    struct kvs *kvs = kvs_create(1, 10);
    struct ct_error err = {0};
    struct ct_span key = ct_span("key", 3);
    struct ct_span endless = ct_span("value", SIZE_MAX - 2);

    put(kvs, 0, "a", "");
    ck_assert_int_eq(kvs_put(kvs, 0, key, endless, &err), -1);
    ck_assert_int_eq(err.code, EDQUOT);
    ck_assert_int_eq(kvs_import(kvs, key, endless, &err), -1);
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert(has_none(kvs, "key"));
    kvs_destroy(kvs);
}
END_TEST

START_TEST(who_has_no_part)
{
    struct kvs *kvs = kvs_create(2, 10);

    ck_assert_int_eq(put(kvs, 2, "key", ""), -1);
    ck_assert_int_eq(put(kvs, UINT32_MAX, "key", ""), -1);
    ck_assert_int_eq(put(kvs, 0, "", "value"), -1);
    ck_assert_int_eq(import(kvs, "", "value"), -1);
    ck_assert(has_none(kvs, "key") && has_none(kvs, ""));
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    ck_assert_uint_eq(kvs_used(kvs, 2), 0);
    ck_assert_uint_eq(kvs_used(kvs, UINT32_MAX), 0);
    kvs_destroy(kvs);
    kvs_destroy(NULL);
}
END_TEST

struct text {
    char bytes[256];
    size_t len;
};

static void show(void *ctx, struct ct_span key, struct ct_span value)
{
    struct text *text = ctx;

    ck_assert_uint_lt(text->len + key.len + value.len + 2, sizeof text->bytes);
    text->len +=
        (size_t)sprintf(text->bytes + text->len, "%.*s=%.*s;", (int)key.len,
                        key.ptr, (int)value.len, value.ptr);
}

static void check_drained(struct kvs *kvs, const char *expected)
{
    struct text text = {.len = 0};

    kvs_drain_fresh(kvs, show, &text);
    ck_assert_str_eq(text.bytes, expected);
}

START_TEST(what_is_new_is_drained_once)
{
    struct kvs *kvs = kvs_create(2, 100);

    check_drained(kvs, "");
    put(kvs, 0, "a", "1");
    put(kvs, 1, "b", "2");
    check_drained(kvs, "a=1;b=2;");
    check_drained(kvs, "");
    put(kvs, 1, "c", "3");
    put(kvs, 0, "b", "2");
    check_drained(kvs, "c=3;b=2;");
    ck_assert(has(kvs, "a", "1") && has(kvs, "b", "2") && has(kvs, "c", "3"));
    kvs_destroy(kvs);
}
END_TEST

START_TEST(what_is_new_may_be_seen_before)
{
    struct kvs *kvs = kvs_create(2, 100);

    for (int again = 0; again < 2; again++) {
        struct text text = {.len = 0};
        put(kvs, 0, "a", "1");
        put(kvs, 1, "b", "2");
        import(kvs, "c", "3");
        kvs_show_fresh(kvs, show, &text);
        ck_assert_str_eq(text.bytes, "a=1;b=2;");
        check_drained(kvs, "a=1;b=2;");
        kvs_show_fresh(kvs, show, &text);
        ck_assert_str_eq(text.bytes, "a=1;b=2;");
    }
    kvs_destroy(kvs);
}
END_TEST

START_TEST(the_last_value_is_drained)
{
    struct kvs *kvs = kvs_create(2, 100);

    put(kvs, 0, "a", "1");
    put(kvs, 0, "b", "2");
    put(kvs, 0, "c", "3");
    put(kvs, 0, "a", "4");
    put(kvs, 1, "b", "5");
    check_drained(kvs, "c=3;a=4;b=5;");
    kvs_destroy(kvs);
}
END_TEST

/* Wherever it stands in the list. */
START_TEST(what_is_removed_is_not_drained)
{
    static const char *const left[] = {"b=;c=;", "a=;c=;", "a=;b=;"};

    for (int i = 0; i < 3; i++) {
        struct kvs *kvs = kvs_create(1, 100);
        put(kvs, 0, "a", "");
        put(kvs, 0, "b", "");
        put(kvs, 0, "c", "");
        kvs_remove(kvs, ct_span(&"abc"[i], 1));
        check_drained(kvs, left[i]);
        put(kvs, 0, "d", "");
        check_drained(kvs, "d=;");
        kvs_destroy(kvs);
    }
}
END_TEST

START_TEST(refused_puts_change_nothing)
{
    struct kvs *kvs = kvs_create(2, 10);

    put(kvs, 0, "key", "old");
    check_drained(kvs, "key=old;");
    put(kvs, 0, "new", "");
    check_over_quota(kvs, 0, "key", "12345678");
    check_over_quota(kvs, 1, "key", "12345678");
    check_over_quota(kvs, 0, "other", "12345678");
    ck_assert(has(kvs, "key", "old") && has_none(kvs, "other"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 9);
    ck_assert_uint_eq(kvs_used(kvs, 1), 0);
    check_drained(kvs, "new=;");
    kvs_destroy(kvs);
}
END_TEST

START_TEST(imports_are_of_nobody)
{
    struct kvs *kvs = kvs_create(1, 5);

    ck_assert_int_eq(import(kvs, "a", "far beyond the quota"), 0);
    ck_assert_int_eq(import(kvs, "a", "a second time"), 0);
    ck_assert(has(kvs, "a", "a second time"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    check_drained(kvs, "");
    ck_assert_int_eq(put(kvs, 0, "a", "mine"), 0);
    ck_assert_uint_eq(kvs_used(kvs, 0), 5);
    check_drained(kvs, "a=mine;");
    ck_assert_int_eq(import(kvs, "b", ""), 0);
    ck_assert_int_eq(kvs_remove(kvs, ct_span_str("b")), 0);
    kvs_destroy(kvs);
}
END_TEST

START_TEST(imports_relieve_the_owner)
{
    struct kvs *kvs = kvs_create(1, 5);

    put(kvs, 0, "a", "mine");
    ck_assert_int_eq(import(kvs, "a", "theirs"), 0);
    ck_assert(has(kvs, "a", "theirs"));
    ck_assert_uint_eq(kvs_used(kvs, 0), 0);
    check_drained(kvs, "");
    ck_assert_int_eq(put(kvs, 0, "b", "mine"), 0);
    kvs_destroy(kvs);
}
END_TEST

static void import_there(void *ctx, struct ct_span key, struct ct_span value)
{
    kvs_import(ctx, key, value, NULL);
}

START_TEST(two_nodes)
{
    struct kvs *here = kvs_create(1, 100), *there = kvs_create(1, 100);

    put(here, 0, "a", "1");
    put(there, 0, "b", "2");
    kvs_drain_fresh(here, import_there, there);
    kvs_drain_fresh(there, import_there, here);
    ck_assert(has(here, "b", "2") && has(there, "a", "1"));
    check_drained(here, "");
    check_drained(there, "");
    kvs_destroy(here);
    ck_assert(has(there, "a", "1"));
    kvs_destroy(there);
}
END_TEST

enum { MANY = 20000 };

/* How many of the keys are not as they should be: every third is removed. */
static unsigned count_wrong(struct kvs *kvs)
{
    unsigned wrong = 0;
    char key[32], value[32];

    for (unsigned i = 0; i < MANY; i++) {
        sprintf(key, "key-%u", i);
        sprintf(value, "%u", i * 3);
        wrong += i % 3 == 0 ? !has_none(kvs, key) : !has(kvs, key, value);
    }
    return wrong;
}

START_TEST(many_keys)
{
    struct kvs *kvs = kvs_create(7, 1 << 20);
    char key[32], value[32];
    unsigned wrong = 0;
    size_t used = 0;

    for (unsigned i = 0; i < MANY; i++) {
        used += (size_t)sprintf(key, "key-%u", i);
        used += (size_t)sprintf(value, "%u", i * 3);
        wrong += put(kvs, i % 7, key, value) < 0;
    }
    for (unsigned rank = 0; rank < 7; rank++)
        used -= kvs_used(kvs, rank);
    ck_assert_uint_eq(used, 0);
    for (unsigned i = 0; i < MANY; i += 3) {
        sprintf(key, "key-%u", i);
        wrong += kvs_remove(kvs, ct_span_str(key)) < 0;
    }
    ck_assert_uint_eq(wrong + count_wrong(kvs), 0);
    kvs_destroy(kvs);
}
END_TEST

/* What must hold, said simply: a table of all keys there can be. */
enum { KEYS = 12, OWNERS = 3, QUOTA = 25, NOBODY = -1, NONE = -2 };

struct model {
    int owner[KEYS]; /* or NOBODY, or NONE: not there */
    unsigned len[KEYS];
    bool fresh[KEYS];
};

static unsigned model_used(const struct model *model, int owner)
{
    unsigned used = 0;

    for (int key = 0; key < KEYS; key++)
        if (model->owner[key] == owner)
            used += 1 + model->len[key];
    return used;
}

static bool model_put(struct model *model, int owner, int key, unsigned len)
{
    unsigned used = model_used(model, owner);

    if (model->owner[key] == owner)
        used -= 1 + model->len[key];
    if (owner != NOBODY && used + 1 + len > QUOTA)
        return false;
    model->owner[key] = owner;
    model->len[key] = len;
    model->fresh[key] = owner != NOBODY;
    return true;
}

static void note_fresh(void *ctx, struct ct_span key, struct ct_span value)
{
    struct model *model = ctx;
    int i = key.ptr[0] - 'a';

    ck_assert(model->fresh[i] && value.len == model->len[i]);
    model->fresh[i] = false;
}

static void check_model(struct kvs *kvs, const struct model *model)
{
    bool same = true;

    for (int key = 0; key < KEYS; key++) {
        struct ct_span found = {0};
        char word = (char)('a' + key);
        int rc = kvs_get(kvs, ct_span(&word, 1), &found);
        same &= (rc == 0) == (model->owner[key] != NONE);
        same &= rc < 0 || found.len == model->len[key];
    }
    for (unsigned rank = 0; rank < OWNERS; rank++)
        same &= kvs_used(kvs, rank) == model_used(model, (int)rank);
    ck_assert(same);
}

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 33) % limit;
}

/* One of the calls, to both; false when they say different things. */
static bool step(struct kvs *kvs, struct model *model, uint64_t *state)
{
    static const char bytes[] = "0123456789";
    int key = (int)random_below(state, KEYS);
    char word = (char)('a' + key);
    int owner = (int)random_below(state, OWNERS + 1) - 1;
    unsigned len = random_below(state, sizeof bytes);
    struct ct_span name = ct_span(&word, 1), value = ct_span(bytes, len);
    int rc;

    if (random_below(state, 4) == 0) {
        bool there = model->owner[key] != NONE;
        model->owner[key] = NONE;
        model->fresh[key] = false;
        return (kvs_remove(kvs, name) == 0) == there;
    }
    rc = owner == NOBODY ? kvs_import(kvs, name, value, NULL)
                         : kvs_put(kvs, (unsigned)owner, name, value, NULL);
    return (rc == 0) == model_put(model, owner, key, len);
}

START_TEST(random_calls)
{
    struct kvs *kvs = kvs_create(OWNERS, QUOTA);
    uint64_t state = 88172645463325252;
    struct model model = {0};
    int fresh = 0;

    for (int key = 0; key < KEYS; key++)
        model.owner[key] = NONE;
    for (int i = 0; i < 5000; i++) {
        ck_assert(step(kvs, &model, &state));
        check_model(kvs, &model);
        if (random_below(&state, 10) > 0)
            continue;
        kvs_drain_fresh(kvs, note_fresh, &model);
        for (int key = 0; key < KEYS; key++)
            fresh += model.fresh[key];
    }
    ck_assert_int_eq(fresh, 0);
    kvs_destroy(kvs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvs");
    TCase *tc = tcase_create("kvs");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, get_what_was_put);
    tcase_add_test(tc, bytes_of_all_kinds);
    tcase_add_test(tc, the_kvs_has_copies);
    tcase_add_test(tc, put_replaces);
    tcase_add_test(tc, a_view_may_be_put);
    tcase_add_test(tc, remove_gives_room_back);
    tcase_add_test(tc, whoever_puts_last_owns);
    tcase_add_test(tc, the_quota_is_exact);
    tcase_add_test(tc, the_quota_when_replacing);
    tcase_add_test(tc, lengths_that_wrap_around);
    tcase_add_test(tc, who_has_no_part);
    tcase_add_test(tc, what_is_new_is_drained_once);
    tcase_add_test(tc, what_is_new_may_be_seen_before);
    tcase_add_test(tc, the_last_value_is_drained);
    tcase_add_test(tc, what_is_removed_is_not_drained);
    tcase_add_test(tc, refused_puts_change_nothing);
    tcase_add_test(tc, imports_are_of_nobody);
    tcase_add_test(tc, imports_relieve_the_owner);
    tcase_add_test(tc, two_nodes);
    tcase_add_test(tc, many_keys);
    tcase_add_test(tc, random_calls);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
