/*
 * What conform_pmi1.c and conform_pmi2.c share: clients that ask a libpmi.so.0
 * or libpmi2.so.0 for all that pmi.h and pmi2.h promise, and tell each answer
 * in words that are the same for every library, server and job:
 *
 *     rank 2 values.blank: SUCCESS, the same
 *     rank 2 values: ok
 *
 * so that what two libraries answer can be told apart with diff. What is wrong
 * by the headers is said on standard error as well, and the program exits with
 * 1. A test that does not end is ended, with 98.
 */
#ifndef CT_CONFORM_H
#define CT_CONFORM_H

#include <stdbool.h>
#include <stddef.h>

/* The part of the library that both interfaces have. */
struct conform_api {
    const char *last_code; /* the name of 14 */
    int (*begin)(void);    /* init, and fill in self */
    int (*finalize)(void);
    void (*abort)(void);
    int (*put)(const char *key, const char *value);
    int (*fence)(void);
    void (*barrier)(void); /* nobody goes before all have come */
    int (*get)(const char *key, char *buf, int size);
    int (*mapping)(char *buf, int size);
    const char *port; /* that can be published: Slurm's PMI-1 takes no blank */
    int (*publish)(const char *name, const char *port);
    int (*lookup)(const char *name, char *buf, int size);
    int (*unpublish)(const char *name);
    int (*spawn_missing)(void);         /* a program that is not there */
    int (*connect)(const char *parent); /* NULL: there is none */
    int (*disconnect)(const char *parent);
};

enum { JOB_SIZE = 1024 };

struct conform_self {
    const struct conform_api *api;
    const char *who;    /* "rank", or "child" of a spawned job */
    char job[JOB_SIZE]; /* its name */
    int rank, size, spawned, appnum;
    int key_max, value_max; /* bytes, with NUL */
    int wrong;              /* how much has been */
    int *local_ranks;       /* those of this node, ascending */
    int local_count;
};

extern struct conform_self self;

enum conform_when {
    BEFORE, /* before init */
    DURING,
    ASKED, /* as DURING, but only if asked for by name */
    AFTER, /* after finalize */
    ALONE, /* inits and finalizes itself, if asked for by name */
};

/* The last row has no name. */
struct conform_test {
    const char *name;
    enum conform_when when;
    void (*run)(void);
};

/* ---- telling ---- */

/* A fact, whatever it is. */
__attribute__((format(printf, 2, 3))) void tell(const char *name,
                                                const char *format, ...);

/* A fact that is told and must be so. */
__attribute__((format(printf, 3, 4))) void check(bool so, const char *name,
                                                 const char *format, ...);

const char *code_name(int code); /* "SUCCESS" for 0 */

/* A code that must be 0; that must not be; of which one is as good as another.
 */
void code_good(const char *name, int code);
void code_bad(const char *name, int code);
void code_any(const char *name, int code);

/* A code that must be that. */
void code_is(const char *name, int code, int expected);

void number_is(const char *name, int number, int expected);
void text_is(const char *name, const char *text, const char *expected);

/*
 * What a call does that may crash: in a child of its own, so that the others
 * can still be asked. It must not crash; bad: nor succeed.
 */
void try_call(const char *name, int (*call)(void), bool bad);

/* ---- running ---- */

/*
 * The tests that the words name, or without words all that need not be asked
 * for: those BEFORE; init; those DURING, with a fence between them; finalize;
 * those AFTER. Returns the exit code.
 */
int conform_run(const struct conform_test *tests, char **words,
                void (*init)(void), void (*finalize)(void));

/* The same for the words of a command line, or what a child of a spawn does. */
int conform_main(int argc, char **argv, const struct conform_test *tests,
                 void (*init)(void), void (*finalize)(void));

/* A program that is no run of tests tells as that one, and ends in time. */
void conform_as(const char *who, const char *test);

/* Before a test that says whom it shares a node with: collective. */
void meet_neighbours(void);
bool is_leader(void); /* the first of its node's */

/* ---- tests of what both interfaces have ---- */

void test_values(void);
void test_keys(void);
void test_limits(void);
void test_missing(void);
void test_again(void);
void test_many(void);
void test_fences(void);
void test_threads(void);
void test_fork(void);
void test_fork_get(void);
void test_mapping(void);

void test_reinit(void);
void test_names(void);
void test_spawn_bad(void);
void test_abort(void);
void test_fork_finalize(void);

/* All put their own under that name, and get that of the next. */
void next_trip(const char *name);

/* What init and finalize must do. */
void begin_well(void);
void finalize_well(void);

/* A child of a spawn: argv is "child", what for, its own words. Returns the
   exit code. */
int conform_child(int argc, char **argv);

/* Calls with NULL where something is to be read or written. bad: no such thing
   can be asked; the others may be answered with 0. The last row has no name. */
struct conform_call {
    const char *name;
    int (*call)(void);
    bool bad;
};
void try_calls(const struct conform_call *calls);

/* Such a call. */
#define CALL(name, expression)                                                 \
    static int null_##name(void)                                               \
    {                                                                          \
        return expression;                                                     \
    }

/* What fills a buffer before a call, and must still be there from this byte to
   before that one when it has returned. */
enum { GUARD = 0x5a };
void within_room(const char *name, const char *buf, size_t from, size_t to);

/* A text of that length to be got back: one for each seed. */
const char *text_of(char *buf, size_t len, unsigned seed);

/* A text of that length, of those bytes again and again. */
const char *fill(char *to, size_t len, const char *bytes);

/* The path of this program, for what is spawned. */
const char *own_path(void);

/* A function that not every library has, or NULL: then that is told. */
void *optional(const char *name, const char *function);

#endif
