/*
 * pmixclient [hold|fences]: what pmiclient.c does, in PMIx: put a value, a
 * fence that collects, get everybody else's. It prints, and holds, as that
 * does.
 */
#include <pmix.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VALUE_LENGTH = 256 };

static pmix_proc_t me;
static unsigned size;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(pmix_status_t rc, const char *what)
{
    if (rc == PMIX_SUCCESS)
        return;
    fprintf(stderr, "pmixclient: rank %u: %s: %s\n", me.rank, what,
            PMIx_Error_string(rc));
    exit(1);
}

static void make_value(unsigned rank, char value[VALUE_LENGTH + 1])
{
    memset(value, 'a' + (int)(rank % 26), VALUE_LENGTH);
    value[VALUE_LENGTH] = '\0';
}

static pmix_value_t *get(pmix_rank_t rank, const char *key)
{
    pmix_proc_t proc = me;
    pmix_value_t *value;

    proc.rank = rank;
    check(PMIx_Get(&proc, key, NULL, 0, &value), key);
    return value;
}

static void init(void)
{
    pmix_value_t *value;

    check(PMIx_Init(&me, NULL, 0), "PMIx_Init");
    value = get(PMIX_RANK_WILDCARD, PMIX_JOB_SIZE);
    size = value->data.uint32;
    PMIX_VALUE_RELEASE(value);
}

static void put(void)
{
    char text[VALUE_LENGTH + 1];
    pmix_value_t value = {.type = PMIX_STRING, .data.string = text};

    make_value(me.rank, text);
    check(PMIx_Put(PMIX_GLOBAL, "card", &value), "PMIx_Put");
    check(PMIx_Commit(), "PMIx_Commit");
}

static void fence(bool collect)
{
    pmix_proc_t all = me;
    pmix_info_t info;

    all.rank = PMIX_RANK_WILDCARD;
    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    check(PMIx_Fence(&all, 1, &info, 1), "PMIx_Fence");
}

static void get_others(void)
{
    char expected[VALUE_LENGTH + 1];

    for (unsigned i = 1; i < size; i++) {
        unsigned owner = (me.rank + i) % size;
        pmix_value_t *value = get(owner, "card");

        make_value(owner, expected);
        if (value->type != PMIX_STRING ||
            strcmp(value->data.string, expected) != 0)
            check(PMIX_ERROR, "not what was put");
        PMIX_VALUE_RELEASE(value);
    }
}

/* The others wait in a fence for rank 0, which waits for its reader. */
static void hold(void)
{
    char line[16];

    if (me.rank == 0) {
        puts("held");
        fflush(stdout);
        if (fgets(line, sizeof line, stdin) == NULL)
            check(PMIX_ERROR, "nobody ends the hold");
    }
    fence(false);
}

int main(int argc, char **argv)
{
    bool holds = argc > 1 && strcmp(argv[1], "hold") == 0;
    bool fences = argc > 1 && strcmp(argv[1], "fences") == 0;
    double begin = now(), ready, done, fenced, got;

    init();
    ready = now();
    if (fences)
        fence(true);
    put();
    done = now();
    fence(true);
    fenced = now();
    if (fences)
        fence(true);
    if (holds)
        hold();
    get_others();
    got = now();
    if (holds) {
        fence(false);
        hold();
    }
    check(PMIx_Finalize(NULL, 0), "PMIx_Finalize");
    if (!holds)
        printf("rank %u %.6f %.6f %.6f %.6f %.6f %.6f\n", me.rank, begin, ready,
               done, fenced, got, now());
    return 0;
}
