#include "base/strv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The items, each behind a '|'. */
static const char *joined(const struct strv *v)
{
    static char text[512];

    text[0] = '\0';
    for (size_t i = 0; i < v->count; i++) {
        ck_assert_uint_lt(strlen(text) + strlen(v->items[i]), 500);
        strcat(strcat(text, "|"), v->items[i]);
    }
    if (v->items != NULL)
        ck_assert_ptr_null(v->items[v->count]);
    return text;
}

static void check_empty(const struct strv *v)
{
    ck_assert_ptr_null(v->items);
    ck_assert_uint_eq(v->count, 0);
    ck_assert_uint_eq(v->room, 0);
}

START_TEST(items_are_copies_in_order)
{
    struct strv v = {0};
    char word[] = "b";

    ck_assert_int_eq(strv_add(&v, "a"), 0);
    ck_assert_int_eq(strv_add(&v, word), 0);
    ck_assert_int_eq(strv_add(&v, ""), 0);
    word[0] = 'z';
    ck_assert_int_eq(strv_addf(&v, "%s-%d", word, 3), 0);
    ck_assert_str_eq(joined(&v), "|a|b||z-3");
    strv_clear(&v);
    check_empty(&v);
    strv_clear(&v);
}
END_TEST

START_TEST(many_items)
{
    struct strv v = {0};
    int wrong = 0;

    for (int i = 0; i < 1000; i++) {
        wrong += strv_addf(&v, "%d", i) < 0;
        wrong += v.count != (size_t)i + 1 || v.items[v.count] != NULL;
    }
    for (int i = 0; i < 1000; i++)
        wrong += atoi(v.items[i]) != i;
    ck_assert_int_eq(wrong, 0);
    strv_clear(&v);
}
END_TEST

START_TEST(whole_lists)
{
    char *list[] = {"a", "b", NULL};
    char *nothing[] = {NULL};
    struct strv v = {0};

    ck_assert_int_eq(strv_add_all(&v, NULL), 0);
    ck_assert_int_eq(strv_add_all(&v, nothing), 0);
    check_empty(&v);
    ck_assert_int_eq(strv_add_all(&v, list), 0);
    ck_assert_int_eq(strv_add_all(&v, list), 0);
    ck_assert_str_eq(joined(&v), "|a|b|a|b");
    ck_assert_ptr_ne(v.items[0], list[0]);
    strv_clear(&v);
}
END_TEST

START_TEST(a_list_to_execute)
{
    struct strv v = {0};

    ck_assert_ptr_nonnull(strv_list(&v));
    ck_assert_ptr_null(strv_list(&v)[0]);
    strv_add(&v, "a");
    ck_assert_ptr_eq(strv_list(&v), v.items);
    strv_clear(&v);
    ck_assert_ptr_null(strv_list(&v)[0]);
}
END_TEST

START_TEST(an_item_of_its_own)
{
    struct strv v = {0};

    strv_add(&v, "first");
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(strv_add(&v, v.items[0]), 0);
    ck_assert_str_eq(v.items[40], "first");
    strv_clear(&v);
}
END_TEST

static void fill(struct strv *v)
{
    *v = (struct strv){0};
    strv_env_set(v, "A=1");
    strv_env_set(v, "AB=2");
    strv_env_set(v, "C=");
    strv_env_set(v, "D=x=y");
}

START_TEST(variables_are_found_by_whole_names)
{
    struct strv v;

    fill(&v);
    ck_assert_str_eq(strv_env_get(&v, "A"), "1");
    ck_assert_str_eq(strv_env_get(&v, "AB"), "2");
    ck_assert_str_eq(strv_env_get(&v, "C"), "");
    ck_assert_str_eq(strv_env_get(&v, "D"), "x=y");
    ck_assert_ptr_null(strv_env_get(&v, "B"));
    ck_assert_ptr_null(strv_env_get(&v, "ABC"));
    ck_assert_ptr_null(strv_env_get(&v, "a"));
    strv_clear(&v);
    ck_assert_ptr_null(strv_env_get(&v, "A"));
}
END_TEST

START_TEST(a_variable_stands_once)
{
    struct strv v;

    fill(&v);
    ck_assert_int_eq(strv_env_set(&v, "A=3"), 0);
    ck_assert_int_eq(strv_env_setf(&v, "%s=%d", "D", 4), 0);
    ck_assert_int_eq(strv_env_setf(&v, "E=%s", "5"), 0);
    ck_assert_str_eq(joined(&v), "|A=3|AB=2|C=|D=4|E=5");
    ck_assert_int_eq(strv_env_setf(&v, "E=%s6", strv_env_get(&v, "E")), 0);
    ck_assert_int_eq(strv_env_set(&v, v.items[0]), 0);
    ck_assert_str_eq(joined(&v), "|A=3|AB=2|C=|D=4|E=56");
    strv_clear(&v);
}
END_TEST

static const struct {
    const char *name;
    const char *left;
} removals[] = {
    {"A", "|AB=2|C=|D=x=y"},
    {"AB", "|A=1|C=|D=x=y"},
    {"D", "|A=1|AB=2|C="},
    {"B", "|A=1|AB=2|C=|D=x=y"},
};

START_TEST(variables_go)
{
    struct strv v;

    for (size_t i = 0; i < sizeof removals / sizeof removals[0]; i++) {
        fill(&v);
        strv_env_unset(&v, removals[i].name);
        ck_assert_str_eq(joined(&v), removals[i].left);
        strv_clear(&v);
    }
}
END_TEST

START_TEST(all_variables_go)
{
    struct strv v;

    fill(&v);
    strv_env_unset(&v, "C");
    strv_env_unset(&v, "A");
    strv_env_unset(&v, "D");
    strv_env_unset(&v, "AB");
    strv_env_unset(&v, "AB");
    ck_assert_str_eq(joined(&v), "");
    strv_env_set(&v, "A=9");
    ck_assert_str_eq(joined(&v), "|A=9");
    strv_clear(&v);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strv");
    TCase *tc = tcase_create("strv");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, items_are_copies_in_order);
    tcase_add_test(tc, many_items);
    tcase_add_test(tc, whole_lists);
    tcase_add_test(tc, a_list_to_execute);
    tcase_add_test(tc, an_item_of_its_own);
    tcase_add_test(tc, variables_are_found_by_whole_names);
    tcase_add_test(tc, a_variable_stands_once);
    tcase_add_test(tc, variables_go);
    tcase_add_test(tc, all_variables_go);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
