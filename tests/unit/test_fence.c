#include "kvs/fence.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Answers of arrive() besides those of enum fence_state. */
enum { NOT_A_MEMBER = -EINVAL, TWICE = -EALREADY, UNTOUCHED = 4711 };

/* Who is in a fence, as digits; NULL: the whole job. */
static size_t members_of(const char *digits, unsigned *members)
{
    size_t count = 0;

    for (; digits != NULL && digits[count] != '\0'; count++)
        members[count] = (unsigned)(digits[count] - '0');
    return count;
}

/* The state, or the error's code below 0; BROKEN leaves who is lost. */
static int arrive_lost(struct fences *set, const char *name, const char *digits,
                       unsigned rank, unsigned *ret_lost)
{
    enum fence_state state = FENCE_OPEN;
    struct ct_error err = {0};
    unsigned members[16];
    size_t count = members_of(digits, members);
    unsigned lost = UNTOUCHED;
    int rc =
        fences_arrive(set, ct_span_str(name), digits != NULL ? members : NULL,
                      count, rank, &state, &lost, &err);

    ck_assert((lost != UNTOUCHED) == (state == FENCE_BROKEN));
    *ret_lost = lost;
    return rc == 0 ? (int)state : -err.code;
}

static int arrive(struct fences *set, const char *name, const char *digits,
                  unsigned rank)
{
    unsigned lost;

    return arrive_lost(set, name, digits, rank, &lost);
}

static int arrive_all(struct fences *set, unsigned rank)
{
    return arrive(set, "", NULL, rank);
}

START_TEST(the_whole_job)
{
    static const unsigned order[] = {2, 0, 3, 1};
    struct fences *set = fences_create(4);

    for (int again = 0; again < 3; again++) {
        for (unsigned i = 0; i < 3; i++) {
            ck_assert_int_eq(arrive_all(set, order[i]), FENCE_OPEN);
            ck_assert_uint_eq(fences_waiting(set), i + 1);
        }
        ck_assert_int_eq(arrive_all(set, order[3]), FENCE_COMPLETE);
        ck_assert_uint_eq(fences_waiting(set), 0);
    }
    fences_destroy(set);
}
END_TEST

START_TEST(a_job_of_one)
{
    struct fences *set = fences_create(1);

    for (int again = 0; again < 3; again++)
        ck_assert_int_eq(arrive_all(set, 0), FENCE_COMPLETE);
    ck_assert_int_eq(arrive_all(set, 1), NOT_A_MEMBER);
    fences_destroy(set);
    fences_destroy(NULL);
}
END_TEST

START_TEST(a_group_of_one)
{
    struct fences *set = fences_create(3);

    ck_assert_int_eq(arrive(set, "self", "1", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "self", "1", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "self", "1", 0), NOT_A_MEMBER);
    ck_assert_uint_eq(fences_waiting(set), 0);
    fences_destroy(set);
}
END_TEST

START_TEST(names_and_members_tell_fences_apart)
{
    struct fences *set = fences_create(4);

    ck_assert_int_eq(arrive(set, "a", "01", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "b", "01", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "", "01", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "a", "02", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "a", "012", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "a", NULL, 0), FENCE_OPEN);
    ck_assert_uint_eq(fences_waiting(set), 6);
    ck_assert_int_eq(arrive(set, "b", "01", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "a", "02", 2), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "a", "012", 1), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "a", "012", 2), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "a", "01", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "", "01", 1), FENCE_COMPLETE);
    ck_assert_uint_eq(fences_waiting(set), 1);
    fences_destroy(set);
}
END_TEST

START_TEST(a_name_is_all_its_bytes)
{
    struct fences *set = fences_create(2);
    enum fence_state state;
    unsigned lost;

    fences_arrive(set, ct_span("a\0b", 3), NULL, 0, 0, &state, &lost, NULL);
    ck_assert_int_eq(state, FENCE_OPEN);
    fences_arrive(set, ct_span("a\0c", 3), NULL, 0, 1, &state, &lost, NULL);
    ck_assert_int_eq(state, FENCE_OPEN);
    fences_arrive(set, ct_span("a", 1), NULL, 0, 1, &state, &lost, NULL);
    ck_assert_int_eq(state, FENCE_OPEN);
    fences_arrive(set, ct_span("a\0b", 3), NULL, 0, 1, &state, &lost, NULL);
    ck_assert_int_eq(state, FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

START_TEST(members_in_any_order)
{
    struct fences *set = fences_create(5);

    ck_assert_int_eq(arrive(set, "g", "314", 3), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "134", 4), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "431", 1), FENCE_COMPLETE);
    ck_assert_uint_eq(fences_waiting(set), 0);
    fences_destroy(set);
}
END_TEST

START_TEST(the_whole_job_by_names)
{
    struct fences *set = fences_create(3);

    ck_assert_int_eq(arrive(set, "g", NULL, 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "210", 1), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", NULL, 2), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "g", "012", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", NULL, 1), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "012", 2), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

START_TEST(members_named_twice)
{
    struct fences *set = fences_create(4);

    ck_assert_int_eq(arrive(set, "g", "0110", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "10", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "g", "01", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "11101", 1), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

/* As many words as the fence has members are not therefore all of them. */
START_TEST(fewer_members_named_twice)
{
    struct fences *set = fences_create(4);

    ck_assert_int_eq(arrive(set, "g", "012", 2), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "001", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "0101", 1), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "g", "012", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "012", 1), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

START_TEST(several_at_once)
{
    struct fences *set = fences_create(6);

    ck_assert_int_eq(arrive(set, "g", "012", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "345", 5), FENCE_OPEN);
    ck_assert_int_eq(arrive_all(set, 1), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "345", 3), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "012", 2), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "345", 4), FENCE_COMPLETE);
    ck_assert_uint_eq(fences_waiting(set), 3);
    ck_assert_int_eq(arrive(set, "g", "012", 1), FENCE_COMPLETE);
    ck_assert_uint_eq(fences_waiting(set), 1);
    fences_destroy(set);
}
END_TEST

START_TEST(arriving_twice)
{
    struct fences *set = fences_create(2);

    ck_assert_int_eq(arrive_all(set, 1), FENCE_OPEN);
    ck_assert_int_eq(arrive_all(set, 1), TWICE);
    ck_assert_int_eq(arrive_all(set, 1), TWICE);
    ck_assert_uint_eq(fences_waiting(set), 1);
    ck_assert_int_eq(arrive_all(set, 0), FENCE_COMPLETE);
    ck_assert_int_eq(arrive_all(set, 1), FENCE_OPEN);
    fences_destroy(set);
}
END_TEST

START_TEST(who_is_no_member)
{
    struct fences *set = fences_create(4);

    ck_assert_int_eq(arrive(set, "g", "01", 2), NOT_A_MEMBER);
    ck_assert_int_eq(arrive(set, "g", "", 0), NOT_A_MEMBER);
    ck_assert_int_eq(arrive(set, "g", "04", 0), NOT_A_MEMBER);
    ck_assert_int_eq(arrive(set, "g", "01", 4), NOT_A_MEMBER);
    ck_assert_int_eq(arrive_all(set, UINT32_MAX), NOT_A_MEMBER);
    ck_assert_uint_eq(fences_waiting(set), 0);
    ck_assert_int_eq(arrive(set, "g", "01", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "01", 2), NOT_A_MEMBER);
    ck_assert_int_eq(arrive(set, "g", "014", 1), NOT_A_MEMBER);
    ck_assert_uint_eq(fences_waiting(set), 1);
    ck_assert_int_eq(arrive(set, "g", "01", 1), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

static void check_leave(struct fences *set, unsigned rank, unsigned waiting,
                        unsigned lowest)
{
    unsigned first = UNTOUCHED;

    ck_assert_uint_eq(fences_leave(set, rank, &first), waiting);
    ck_assert_uint_eq(first, waiting > 0 ? lowest : UNTOUCHED);
}

START_TEST(leaving_breaks_a_fence)
{
    struct fences *set = fences_create(5);

    arrive_all(set, 4);
    arrive_all(set, 2);
    arrive_all(set, 3);
    check_leave(set, 0, 3, 2);
    ck_assert_uint_eq(fences_waiting(set), 0);
    check_leave(set, 0, 0, 0);
    fences_destroy(set);
}
END_TEST

START_TEST(leaving_when_nobody_waits)
{
    struct fences *set = fences_create(3);
    unsigned lost;

    check_leave(set, 1, 0, 0);
    check_leave(set, 3, 0, 0);
    check_leave(set, UINT32_MAX, 0, 0);
    ck_assert_int_eq(arrive_lost(set, "", NULL, 0, &lost), FENCE_BROKEN);
    ck_assert_uint_eq(lost, 1);
    ck_assert_uint_eq(fences_waiting(set), 0);
    fences_destroy(set);
}
END_TEST

START_TEST(who_waits_itself_may_leave)
{
    struct fences *set = fences_create(3);

    arrive_all(set, 0);
    check_leave(set, 0, 0, 0);
    ck_assert_uint_eq(fences_waiting(set), 0);
    ck_assert_int_eq(arrive(set, "g", "12", 2), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "12", 1), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

START_TEST(after_somebody_left)
{
    struct fences *set = fences_create(5);
    unsigned lost;

    check_leave(set, 3, 0, 0);
    check_leave(set, 1, 0, 0);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(arrive_lost(set, "", NULL, 2, &lost), FENCE_BROKEN);
        ck_assert_uint_eq(lost, 1);
        ck_assert_int_eq(arrive_lost(set, "g", "023", 0, &lost), FENCE_BROKEN);
        ck_assert_uint_eq(lost, 3);
        ck_assert_int_eq(arrive_lost(set, "g", "012", 1, &lost), FENCE_BROKEN);
        ck_assert_uint_eq(lost, 1);
        ck_assert_int_eq(arrive(set, "g", "13", 0), NOT_A_MEMBER);
        ck_assert_uint_eq(fences_waiting(set), 0);
    }
    ck_assert_int_eq(arrive(set, "g", "402", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "402", 2), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "g", "402", 4), FENCE_COMPLETE);
    fences_destroy(set);
}
END_TEST

START_TEST(leaving_breaks_its_own_fences_only)
{
    struct fences *set = fences_create(8);

    arrive(set, "a", "0123", 3);
    arrive(set, "b", "0123", 2);
    arrive(set, "e", "0123", 3);
    arrive(set, "c", "4567", 4);
    arrive(set, "c", "4567", 5);
    arrive(set, "a", "2345", 5);
    arrive(set, "d", "67", 7);
    check_leave(set, 0, 3, 2);
    ck_assert_uint_eq(fences_waiting(set), 4);
    ck_assert_int_eq(arrive(set, "d", "67", 6), FENCE_COMPLETE);
    check_leave(set, 6, 2, 4);
    ck_assert_uint_eq(fences_waiting(set), 1);
    check_leave(set, 2, 1, 5);
    ck_assert_uint_eq(fences_waiting(set), 0);
    fences_destroy(set);
}
END_TEST

enum { MANY = 10000 };

/* All arrive, `step` apart (it shares no divisor with MANY). */
static void check_many(struct fences *set, unsigned step)
{
    enum fence_state state;
    unsigned lost, early = 0;

    for (unsigned i = 0; i < MANY; i++) {
        unsigned rank = (unsigned)((uint64_t)i * step % MANY);
        state = FENCE_BROKEN;
        fences_arrive(set, ct_span("", 0), NULL, 0, rank, &state, &lost, NULL);
        early += state != FENCE_OPEN && i < MANY - 1;
    }
    ck_assert_uint_eq(early, 0);
    ck_assert_int_eq(state, FENCE_COMPLETE);
}

START_TEST(many_ranks)
{
    struct fences *set = fences_create(MANY);
    unsigned first;

    for (int again = 0; again < 20; again++) {
        check_many(set, 1);
        check_many(set, 7919);
    }
    ck_assert_int_eq(arrive_all(set, 9), FENCE_OPEN);
    ck_assert_int_eq(arrive_all(set, MANY - 1), FENCE_OPEN);
    ck_assert_uint_eq(fences_leave(set, 8, &first), 2);
    ck_assert_uint_eq(first, 9);
    fences_destroy(set);
}
END_TEST

/* Everybody is in one of two groups; each names all members, downwards. */
START_TEST(many_members)
{
    static unsigned members[2][1000];
    struct fences *set = fences_create(2000);
    unsigned complete = 0, lost;
    enum fence_state state;

    for (unsigned rank = 0; rank < 2000; rank++)
        members[rank % 2][999 - rank / 2] = rank;
    for (unsigned rank = 0; rank < 2000; rank++) {
        ck_assert_uint_eq(complete, 0);
        fences_arrive(set, ct_span("g", 1), members[rank % 2], 1000, rank,
                      &state, &lost, NULL);
        complete += state == FENCE_COMPLETE && rank < 1998;
    }
    ck_assert_int_eq(state, FENCE_COMPLETE);
    ck_assert_uint_eq(fences_waiting(set), 0);
    fences_destroy(set);
}
END_TEST

/* What must hold, said simply: one mask of ranks for each name and group. */
enum { RANKS = 4, GROUPS = 1 << RANKS, NAMES = 2 };

struct model {
    unsigned arrived[NAMES][GROUPS];
    unsigned gone;
};

static int model_arrive(struct model *model, unsigned name, unsigned group,
                        unsigned rank)
{
    unsigned *arrived = &model->arrived[name][group];

    if ((group & 1u << rank) == 0)
        return NOT_A_MEMBER;
    if ((*arrived & 1u << rank) != 0)
        return TWICE;
    if ((group & model->gone) != 0)
        return FENCE_BROKEN;
    *arrived |= 1u << rank;
    if (*arrived != group)
        return FENCE_OPEN;
    *arrived = 0;
    return FENCE_COMPLETE;
}

static unsigned model_leave(struct model *model, unsigned rank)
{
    unsigned waiting = 0;

    model->gone |= 1u << rank;
    for (unsigned name = 0; name < NAMES; name++)
        for (unsigned group = 0; group < GROUPS; group++)
            if ((group & 1u << rank) != 0) {
                unsigned left = model->arrived[name][group] & ~(1u << rank);
                waiting += (unsigned)__builtin_popcount(left);
                model->arrived[name][group] = 0;
            }
    return waiting;
}

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 33) % limit;
}

/* The group's members in some order, some of them twice. */
static void shuffle(uint64_t *state, unsigned group, char *digits)
{
    unsigned start = random_below(state, RANKS);
    size_t len = 0;

    for (unsigned i = 0; i < RANKS; i++) {
        unsigned rank = start ^ i;
        unsigned times = 1 + (random_below(state, 4) == 0);
        for (; times > 0 && (group & 1u << rank) != 0; times--)
            digits[len++] = (char)('0' + rank);
    }
    digits[len] = '\0';
}

static void random_arrival(struct fences *set, struct model *model,
                           uint64_t *state)
{
    unsigned name = random_below(state, NAMES);
    unsigned group = random_below(state, GROUPS);
    unsigned rank = random_below(state, RANKS);
    char digits[2 * RANKS + 1];
    int got;

    shuffle(state, group, digits);
    got = arrive(set, name == 0 ? "a" : "b",
                 group == GROUPS - 1 && name == 0 ? NULL : digits, rank);
    ck_assert_int_eq(got, model_arrive(model, name, group, rank));
}

START_TEST(random_arrivals)
{
    uint64_t state = 88172645463325252;

    for (int job = 0; job < 20; job++) {
        struct fences *set = fences_create(RANKS);
        struct model model = {0};
        for (int i = 0; i < 100; i++) {
            unsigned rank = random_below(&state, RANKS), first;
            random_arrival(set, &model, &state);
            if (random_below(&state, 40) == 0)
                ck_assert_uint_eq(fences_leave(set, rank, &first),
                                  model_leave(&model, rank));
        }
        fences_destroy(set);
    }
}
END_TEST

static void take_complete(struct fences *set, const char *expected)
{
    size_t len;
    char *name = fences_take_complete(set, &len);

    ck_assert((name == NULL) == (expected == NULL));
    if (name != NULL)
        ck_assert(ct_span_equal(ct_span(name, len), ct_span_str(expected)));
    free(name);
}

START_TEST(excused_while_others_wait)
{
    struct fences *set = fences_create(4);

    ck_assert_int_eq(arrive_all(set, 0), FENCE_OPEN);
    ck_assert_int_eq(arrive_all(set, 3), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "some", "031", 0), FENCE_OPEN);
    ck_assert_int_eq(arrive(set, "others", "03", 0), FENCE_OPEN);
    fences_excuse(set, 1);
    take_complete(set, NULL);
    fences_excuse(set, 2);
    take_complete(set, "");
    take_complete(set, NULL);
    ck_assert_int_eq(arrive(set, "some", "031", 3), FENCE_COMPLETE);
    ck_assert_int_eq(arrive(set, "others", "03", 3), FENCE_COMPLETE);
    fences_excuse(set, 4); /* who is nobody */
    fences_destroy(set);
}
END_TEST

START_TEST(excused_before_others_wait)
{
    struct fences *set = fences_create(4);

    fences_excuse(set, 1);
    fences_excuse(set, 1);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(arrive_all(set, 0), FENCE_OPEN);
        ck_assert_int_eq(arrive(set, "", "01", 0), FENCE_COMPLETE);
        ck_assert_int_eq(arrive_all(set, 2), FENCE_OPEN);
        ck_assert_int_eq(arrive(set, "", "0123", 3), FENCE_COMPLETE);
    }
    ck_assert_int_eq(arrive(set, "", "1", 1), TWICE); /* which cannot be */
    take_complete(set, NULL);
    fences_destroy(set);
}
END_TEST

START_TEST(excused_after_it_has_arrived)
{
    struct fences *set = fences_create(3);

    ck_assert_int_eq(arrive_all(set, 1), FENCE_OPEN);
    fences_excuse(set, 1);
    take_complete(set, NULL);
    ck_assert_int_eq(arrive_all(set, 0), FENCE_OPEN);
    ck_assert_int_eq(arrive_all(set, 2), FENCE_COMPLETE);
    ck_assert_int_eq(arrive_all(set, 0), FENCE_OPEN);
    fences_excuse(set, 2);
    take_complete(set, "");
    fences_destroy(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fence");
    TCase *tc = tcase_create("fence");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_whole_job);
    tcase_add_test(tc, a_job_of_one);
    tcase_add_test(tc, a_group_of_one);
    tcase_add_test(tc, names_and_members_tell_fences_apart);
    tcase_add_test(tc, a_name_is_all_its_bytes);
    tcase_add_test(tc, members_in_any_order);
    tcase_add_test(tc, the_whole_job_by_names);
    tcase_add_test(tc, members_named_twice);
    tcase_add_test(tc, fewer_members_named_twice);
    tcase_add_test(tc, several_at_once);
    tcase_add_test(tc, arriving_twice);
    tcase_add_test(tc, who_is_no_member);
    tcase_add_test(tc, leaving_breaks_a_fence);
    tcase_add_test(tc, leaving_when_nobody_waits);
    tcase_add_test(tc, who_waits_itself_may_leave);
    tcase_add_test(tc, after_somebody_left);
    tcase_add_test(tc, leaving_breaks_its_own_fences_only);
    tcase_add_test(tc, excused_while_others_wait);
    tcase_add_test(tc, excused_before_others_wait);
    tcase_add_test(tc, excused_after_it_has_arrived);
    tcase_add_test(tc, many_ranks);
    tcase_add_test(tc, many_members);
    tcase_add_test(tc, random_arrivals);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
