/*
 * pmi2calls
 *
 * What one call of a libpmi2 costs: each rank puts COUNT values of 100 bytes,
 * then all fence, then each gets the COUNT values of its neighbour; ROUNDS
 * times. Rank 0 prints microseconds, medians of the rounds, a call:
 *
 *   PUT FENCE GET EMPTY
 *
 * FENCE carries what was put, EMPTY nothing. Both are those of the rank that
 * came last: the others wait for it.
 *
 * Compiles with any pmi2.h; the library is whose the loader finds.
 */
#include <pmi2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COUNT = 100, ROUNDS = 25, VALUE_LENGTH = 100 };

static void must(int code, const char *what)
{
    if (code == PMI2_SUCCESS)
        return;
    fprintf(stderr, "pmi2calls: %s: %d\n", what, code);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void key_of(char *key, size_t size, int round, int rank, int i)
{
    snprintf(key, size, "k-%d-%d-%d", round, rank, i);
}

static void put_all(int round, int rank)
{
    char key[64], value[VALUE_LENGTH + 1];

    memset(value, 'v', VALUE_LENGTH);
    value[VALUE_LENGTH] = '\0';
    for (int i = 0; i < COUNT; i++) {
        key_of(key, sizeof key, round, rank, i);
        must(PMI2_KVS_Put(key, value), "put");
    }
}

static void get_all(int round, int rank)
{
    char key[64], value[PMI2_MAX_VALLEN];
    int len;

    for (int i = 0; i < COUNT; i++) {
        key_of(key, sizeof key, round, rank, i);
        must(PMI2_KVS_Get(NULL, rank, key, value, sizeof value, &len), "get");
        if (len != VALUE_LENGTH)
            must(PMI2_FAIL, "length");
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *times)
{
    qsort(times, ROUNDS, sizeof *times, compare);
    return times[ROUNDS / 2];
}

/* What the fences of a rank took, for rank 0. */
static void tell(const double *times, const char *name, int rank)
{
    char key[64], text[PMI2_MAX_VALLEN] = "";
    size_t len = 0;

    for (int i = 0; i < ROUNDS; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%.2f,", times[i]);
    snprintf(key, sizeof key, "%s-%d", name, rank);
    must(PMI2_KVS_Put(key, text), "put");
}

static double last_of(double *times, const char *name, int size)
{
    char key[64], text[PMI2_MAX_VALLEN];
    int len;

    for (int rank = 0; rank < size; rank++) {
        char *at = text;

        snprintf(key, sizeof key, "%s-%d", name, rank);
        must(PMI2_KVS_Get(NULL, rank, key, text, sizeof text, &len), "get");
        for (int i = 0; i < ROUNDS; i++, at++) {
            double took = strtod(at, &at);
            if (took < times[i])
                times[i] = took;
        }
    }
    return median(times);
}

int main(void)
{
    double put[ROUNDS], fence[ROUNDS], get[ROUNDS], empty[ROUNDS], begin;
    int spawned, size, rank, appnum;

    must(PMI2_Init(&spawned, &size, &rank, &appnum), "init");
    for (int round = 0; round < ROUNDS; round++) {
        must(PMI2_KVS_Fence(), "fence"); /* all begin together */
        begin = now();
        put_all(round, rank);
        put[round] = (now() - begin) / COUNT;
        begin = now();
        must(PMI2_KVS_Fence(), "fence");
        fence[round] = now() - begin;
        begin = now();
        get_all(round, (rank + 1) % size);
        get[round] = (now() - begin) / COUNT;
        must(PMI2_KVS_Fence(), "fence");
        begin = now();
        must(PMI2_KVS_Fence(), "fence");
        empty[round] = now() - begin;
    }
    tell(fence, "fences", rank);
    tell(empty, "empty", rank);
    must(PMI2_KVS_Fence(), "fence");
    if (rank == 0)
        printf("%.2f %.2f %.2f %.2f\n", median(put),
               last_of(fence, "fences", size), median(get),
               last_of(empty, "empty", size));
    must(PMI2_Finalize(), "finalize");
    return 0;
}
