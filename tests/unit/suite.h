/* A program of tests: one suite, one case, its tests added by one function. */
#ifndef CT_UNIT_SUITE_H
#define CT_UNIT_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_suite(const char *name, void (*add)(TCase *tc))
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    add(tc);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
