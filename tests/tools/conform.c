#include "conform.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 8192,
    SHOWN_MAX = 60, /* of a longer text its length and sum are told */
    MANY = 100,
    ROUNDS = 20,
    THREADS = 4,
};

struct conform_self self = {
    .who = "rank", .rank = -1, .spawned = -1, .appnum = -9};
static const char *test_name = "";

/* ---- telling ---- */

/* One write(), so that lines of several ranks do not mix. */
static void put_line(int fd, const char *middle, const char *name,
                     const char *format, va_list args)
{
    char line[1024];
    int len = snprintf(line, sizeof line, "%s%s %d %s%s%s: ", middle, self.who,
                       self.rank, test_name, *name != '\0' ? "." : "", name);

    vsnprintf(line + len, sizeof line - (size_t)len - 1, format, args);
    strcat(line, "\n");
    if (write(fd, line, strlen(line)) < 0)
        _exit(97);
}

void tell(const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_line(STDOUT_FILENO, "", name, format, args);
    va_end(args);
}

void check(bool so, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_line(STDOUT_FILENO, "", name, format, args);
    va_end(args);
    if (so)
        return;
    self.wrong++;
    va_start(args, format);
    put_line(STDERR_FILENO, "conform: wrong: ", name, format, args);
    va_end(args);
}

const char *code_name(int code)
{
    static const char *const names[] = {
        "SUCCESS",
        "ERR_INIT",
        "ERR_NOMEM",
        "ERR_INVALID_ARG",
        "ERR_INVALID_KEY",
        "ERR_INVALID_KEY_LENGTH",
        "ERR_INVALID_VAL",
        "ERR_INVALID_VAL_LENGTH",
        "ERR_INVALID_LENGTH",
        "ERR_INVALID_NUM_ARGS",
        "ERR_INVALID_ARGS",
        "ERR_INVALID_NUM_PARSED",
        "ERR_INVALID_KEYVALP",
        "ERR_INVALID_SIZE",
    };
    enum { LAST = sizeof names / sizeof *names };
    static char other[32];

    if (code >= 0 && code < LAST)
        return names[code];
    if (code == LAST)
        return self.api->last_code;
    if (code == -1)
        return "FAIL";
    snprintf(other, sizeof other, "%d", code);
    return other;
}

void code_good(const char *name, int code)
{
    check(code == 0, name, "%s", code_name(code));
}

void code_bad(const char *name, int code)
{
    check(code != 0, name, "%s", code_name(code));
}

void code_any(const char *name, int code)
{
    tell(name, "%s", code_name(code));
}

void code_is(const char *name, int code, int expected)
{
    check(code == expected, name, "%s", code_name(code));
}

void within_room(const char *name, const char *buf, size_t from, size_t to)
{
    while (from < to && buf[from] == GUARD)
        from++;
    check(from >= to, name, "%s",
          from >= to ? "within its room" : "beyond its room");
}

void number_is(const char *name, int number, int expected)
{
    check(number == expected, name, "%d", number);
}

static uint32_t sum_of(const char *text)
{
    uint32_t sum = 2166136261u;

    for (; *text != '\0'; text++)
        sum = (sum ^ (unsigned char)*text) * 16777619u;
    return sum;
}

void text_is(const char *name, const char *text, const char *expected)
{
    if (strlen(text) > SHOWN_MAX)
        check(strcmp(text, expected) == 0, name, "%zu bytes, sum %08x",
              strlen(text), (unsigned)sum_of(text));
    else
        check(strcmp(text, expected) == 0, name, "'%s'", text);
}

const char *text_of(char *buf, size_t len, unsigned seed)
{
    static const char digits[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

    for (size_t i = 0; i < len; i++)
        buf[i] = digits[(i * 7 + seed + i / 64) % (sizeof digits - 1)];
    buf[len] = '\0';
    return buf;
}

/* ---- calls that may crash ---- */

void try_call(const char *name, int (*call)(void), bool bad)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(5);
        _exit(call() & 0xff);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        check(false, name, "no child: %s", strerror(errno));
        return;
    }
    if (WIFSIGNALED(status)) {
        check(false, name, "%s",
              WTERMSIG(status) == SIGALRM ? "hangs" : "crashes");
        return;
    }
    int code = (signed char)WEXITSTATUS(status);
    check(!bad || code != 0, name, "%s", code_name(code));
}

void *optional(const char *name, const char *function)
{
    void *symbol = dlsym(RTLD_DEFAULT, function);

    if (symbol == NULL)
        tell(name, "absent");
    return symbol;
}

const char *own_path(void)
{
    static char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);

    path[len > 0 ? len : 0] = '\0';
    return path;
}

/* ---- running ---- */

static void hangs(int signal_number)
{
    char line[200];
    int len = snprintf(line, sizeof line, "%s %d %s: hangs\n", self.who,
                       self.rank, test_name);

    (void)signal_number;
    if (write(STDOUT_FILENO, line, (size_t)len) < 0)
        _exit(97);
    _exit(98);
}

/* CONFORM_SECONDS: what a test may take. */
static unsigned patience(void)
{
    const char *seconds = getenv("CONFORM_SECONDS");
    int number = seconds != NULL ? atoi(seconds) : 0;

    return number > 0 ? (unsigned)number : 30;
}

static bool wanted(const struct conform_test *test, char **words)
{
    if (*words == NULL)
        return test->when != ALONE && test->when != ASKED;
    for (; *words != NULL; words++)
        if (strcmp(*words, test->name) == 0)
            return true;
    return false;
}

static void run_test(const struct conform_test *test)
{
    int before = self.wrong;

    test_name = test->name;
    alarm(patience());
    test->run();
    alarm(0);
    tell("", "%s", self.wrong == before ? "ok" : "wrong");
}

static void run_all(const struct conform_test *tests, char **words,
                    enum conform_when when)
{
    for (; tests->name != NULL; tests++)
        if (tests->when == when && wanted(tests, words))
            run_test(tests);
}

static void run_during(const struct conform_test *tests, char **words)
{
    for (; tests->name != NULL; tests++) {
        if ((tests->when != DURING && tests->when != ASKED) ||
            !wanted(tests, words))
            continue;
        run_test(tests);
        self.api->fence();
    }
}

/* Those that need init and finalize. */
static bool needs_init(const struct conform_test *tests, char **words)
{
    for (; tests->name != NULL; tests++)
        if (tests->when != BEFORE && tests->when != ALONE &&
            wanted(tests, words))
            return true;
    return false;
}

static void run_between(const struct conform_test *tests, char **words,
                        void (*init)(void), void (*finalize)(void))
{
    struct conform_test begin = {"init", DURING, init},
                        end = {"finalize", DURING, finalize};

    run_test(&begin);
    run_during(tests, words);
    run_test(&end);
}

static bool is_known(const struct conform_test *tests, const char *word)
{
    for (; tests->name != NULL; tests++)
        if (strcmp(tests->name, word) == 0)
            return true;
    return false;
}

void conform_as(const char *who, const char *test)
{
    self.who = who;
    test_name = test;
    alarm(patience());
}

int conform_run(const struct conform_test *tests, char **words,
                void (*init)(void), void (*finalize)(void))
{
    struct sigaction action = {.sa_handler = hangs};

    for (char **word = words; *word != NULL; word++)
        if (!is_known(tests, *word)) {
            fprintf(stderr, "conform: no test '%s'\n", *word);
            return 2;
        }
    sigaction(SIGALRM, &action, NULL);
    run_all(tests, words, ALONE);
    run_all(tests, words, BEFORE);
    if (needs_init(tests, words))
        run_between(tests, words, init, finalize);
    run_all(tests, words, AFTER);
    return self.wrong > 0;
}

int conform_main(int argc, char **argv, const struct conform_test *tests,
                 void (*init)(void), void (*finalize)(void))
{
    if (argc > 3 && strcmp(argv[1], "child") == 0)
        return conform_child(argc, argv);
    return conform_run(tests, argv + 1, init, finalize);
}

/* ---- neighbours ---- */

static void host_key(char *key, size_t size, int rank)
{
    snprintf(key, size, "conform-host-%d", rank);
}

void meet_neighbours(void)
{
    char host[64] = "", other[64], key[32];

    if (self.local_ranks != NULL)
        return;
    self.local_ranks = calloc((size_t)self.size, sizeof *self.local_ranks);
    gethostname(host, sizeof host - 1);
    host_key(key, sizeof key, self.rank);
    self.api->put(key, host);
    self.api->fence();
    for (int rank = 0; rank < self.size; rank++) {
        host_key(key, sizeof key, rank);
        if (self.api->get(key, other, sizeof other) == 0 &&
            strcmp(host, other) == 0)
            self.local_ranks[self.local_count++] = rank;
    }
}

bool is_leader(void)
{
    return self.local_count > 0 && self.local_ranks[0] == self.rank;
}

/* ---- values ---- */

static char buf[TEXT_SIZE], expected[TEXT_SIZE];

static void key_of(char *key, size_t size, const char *name, int rank)
{
    snprintf(key, size, "c-%s-%d", name, rank);
}

/* What rank has put under that name, if it is what is expected. */
static bool got(const char *name, int rank, const char *value)
{
    char key[64];

    key_of(key, sizeof key, name, rank);
    memset(buf, 'x', sizeof buf);
    return self.api->get(key, buf, (int)sizeof buf) == 0 &&
           memchr(buf, '\0', sizeof buf) != NULL && strcmp(buf, value) == 0;
}

/* Everybody puts it, and everybody gets everybody's. */
static void round_trip(const char *name, const char *value, bool must)
{
    char key[64];
    int code, good = 0;

    key_of(key, sizeof key, name, self.rank);
    code = self.api->put(key, value);
    self.api->fence();
    if (code != 0) {
        check(!must, name, "put %s", code_name(code));
        return;
    }
    for (int rank = 0; rank < self.size; rank++)
        good += got(name, rank, value);
    check(good == self.size, name, "%s",
          good == self.size ? "SUCCESS, the same"
          : good == 0       ? "SUCCESS, and not the same"
                            : "SUCCESS, the same of some ranks");
}

static const struct {
    const char *name, *value;
    bool must;
} values[] = {
    {"plain", "value", true},
    {"digit", "0", true},
    {"equals", "a=b==c=", true},
    {"marks", "!\"#$%&'()*+,-./:<>?@[]^_`{|}~", true},
    {"like-pairs", "cmd=finalize", true},
    {"backslash", "a\\b\\", false},
    /* what a wire may not carry must be refused, or come back as it was */
    {"blank", "a b  c", false},
    {"blank-around", " a ", false},
    {"semicolon", "a;b;;c;", false},
    {"semicolon-alone", ";", false},
    {"like-command", "v;cmd=finalize;rc=1", false},
    {"newline", "a\nb", false},
    {"bytes", "\303\244\377\001\177", false},
    {"empty", "", false},
};

void test_values(void)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        round_trip(values[i].name, values[i].value, values[i].must);
    round_trip("longest", text_of(expected, (size_t)self.value_max - 1, 1),
               true);
    round_trip("one-more", text_of(expected, (size_t)self.value_max, 2), false);
    round_trip("too-long", text_of(expected, (size_t)self.value_max + 1000, 3),
               false);
}

/* ---- keys ---- */

static void key_trip(const char *name, const char *key, bool must)
{
    int code = 0;

    if (self.rank == 0)
        code = self.api->put(key, "value");
    self.api->fence();
    memset(buf, 0, sizeof buf);
    int got_code = self.api->get(key, buf, (int)sizeof buf);
    bool same = got_code == 0 && strcmp(buf, "value") == 0;
    if (self.rank == 0)
        check(same || (!must && code != 0), name, "put %s, get %s%s",
              code_name(code), code_name(got_code),
              got_code != 0 || same ? "" : ", and another value");
    else
        check(same || !must, name, "get %s", code_name(got_code));
    self.api->fence();
}

void test_keys(void)
{
    char key[TEXT_SIZE];

    key_trip("short", "k", true);
    key_trip("marks", "a/b-c.d_e[f]+g", true);
    key_trip("longest", text_of(key, (size_t)self.key_max - 1, 1), true);
    key_trip("one-more", text_of(key, (size_t)self.key_max, 2), false);
    key_trip("too-long", text_of(key, (size_t)self.key_max + 100, 3), false);
    key_trip("blank", "a b", false);
    key_trip("equals", "a=b", false);
    key_trip("semicolon", "a;b", false);
    key_trip("empty", "", false);
}

/* ---- as long as can be, and nothing that is easily carried ---- */

static const struct {
    const char *name, *bytes;
} fills[] = {
    {"all-letters", "v"},    {"all-blanks", " "},
    {"all-semicolons", ";"}, {"all-equals", "="},
    {"all-newlines", "\n"},  {"all-backslashes", "\\"},
    {"all-percents", "%"},   {"all-marks", "%:"},
    {"all-high", "\377"},    {"all-mixed", "a;=\n\\ %"},
};

const char *fill(char *to, size_t len, const char *bytes)
{
    for (size_t i = 0; i < len; i++)
        to[i] = bytes[i % strlen(bytes)];
    to[len] = '\0';
    return to;
}

/* Keys that differ in their last byte alone. */
static void long_keys(const char *bytes)
{
    char one[TEXT_SIZE], two[TEXT_SIZE];
    size_t len = (size_t)self.key_max - 1;

    fill(one, len, bytes);
    fill(two, len, bytes);
    one[len - 1] = '1';
    two[len - 1] = '2';
    if (self.rank == 0) {
        code_good("key", self.api->put(one, "of one"));
        code_good("key", self.api->put(two, "of two"));
    }
    self.api->fence();
    code_good("key", self.api->get(one, buf, (int)sizeof buf));
    text_is("key", buf, "of one");
    code_good("key", self.api->get(two, buf, (int)sizeof buf));
    text_is("key", buf, "of two");
}

static void long_pair(const char *bytes)
{
    char key[TEXT_SIZE];

    fill(key, (size_t)self.key_max - 1, bytes);
    key[self.key_max - 2] = '3';
    fill(expected, (size_t)self.value_max - 1, bytes);
    if (self.rank == self.size - 1)
        code_good("pair", self.api->put(key, expected));
    self.api->fence();
    code_good("pair", self.api->get(key, buf, (int)sizeof buf));
    text_is("pair", buf, expected);
    self.api->fence();
}

void test_limits(void)
{
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        fill(expected, (size_t)self.value_max - 1, fills[i].bytes);
        round_trip(fills[i].name, expected, true);
        long_keys(fills[i].bytes);
        long_pair(fills[i].bytes);
    }
}

void test_missing(void)
{
    strcpy(buf, "as before");
    code_bad("get", self.api->get("conform-nobody-has-put", buf, 100));
    code_bad("again", self.api->get("conform-nobody-has-put", buf, 100));
    /* and the connection is as it was */
    round_trip("then", "value", true);
}

/* ---- the same key twice ---- */

static const char *which(const char *name, const char *first,
                         const char *second)
{
    bool is_first = got(name, 0, first), is_second = got(name, 0, second);

    return is_first ? "first" : is_second ? "second" : "neither";
}

/* pmi2.h leaves it open which one is got, pmi.h forbids it. */
static void put_twice(const char *name, bool fence_between)
{
    char key[64];
    int code = 0;

    key_of(key, sizeof key, name, 0);
    if (self.rank == 0)
        code_good(name, self.api->put(key, "first"));
    if (fence_between)
        self.api->fence();
    if (self.rank == 0)
        code = self.api->put(key, "second");
    self.api->fence();
    const char *answer = which(name, "first", "second");
    check(strcmp(answer, "neither") != 0, name, "%s", answer);
    if (self.rank == 0)
        code_any(name, code);
}

void test_again(void)
{
    put_twice("one-fence", false);
    put_twice("two-fences", true);
}

/* ---- many ---- */

static int put_many(int from, int step)
{
    char key[64], value[64];
    int good = 0;

    for (int i = from; i < MANY; i += step) {
        snprintf(key, sizeof key, "%s-%d-%d", test_name, self.rank, i);
        snprintf(value, sizeof value, "%d_of_%d", i, self.rank);
        good += self.api->put(key, value) == 0;
    }
    return good;
}

static int get_many(int from, int step)
{
    char key[64], value[64], mine[64];
    int good = 0;

    for (int rank = 0; rank < self.size; rank++)
        for (int i = from; i < MANY; i += step) {
            snprintf(key, sizeof key, "%s-%d-%d", test_name, rank, i);
            snprintf(value, sizeof value, "%d_of_%d", i, rank);
            good += self.api->get(key, mine, sizeof mine) == 0 &&
                    strcmp(mine, value) == 0;
        }
    return good;
}

static void all_of(const char *name, int good, int of)
{
    check(good == of, name, "%s", good == of ? "all" : "not all");
}

void test_many(void)
{
    all_of("put", put_many(0, 1), MANY);
    code_good("fence", self.api->fence());
    all_of("get", get_many(0, 1), MANY * self.size);
}

void test_fences(void)
{
    char key[64], value[64];
    int fenced = 0, seen = 0;

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(key, sizeof key, "round-%d-%d", i, self.rank);
        snprintf(value, sizeof value, "%d", i * self.size + self.rank);
        self.api->put(key, value);
        fenced += self.api->fence() == 0;
        int next = (self.rank + 1) % self.size;
        snprintf(key, sizeof key, "round-%d-%d", i, next);
        snprintf(value, sizeof value, "%d", i * self.size + next);
        seen += self.api->get(key, buf, 64) == 0 && strcmp(buf, value) == 0;
    }
    all_of("fence", fenced, ROUNDS);
    all_of("next-rank", seen, ROUNDS);
}

/* ---- threads ---- */

struct thread {
    pthread_t id;
    int number, good;
};

static void *thread_puts(void *data)
{
    struct thread *thread = data;

    thread->good = put_many(thread->number, THREADS);
    return NULL;
}

static void *thread_gets(void *data)
{
    struct thread *thread = data;

    thread->good = get_many(thread->number, THREADS);
    return NULL;
}

static int in_threads(void *(*run)(void *))
{
    struct thread threads[THREADS];
    int good = 0;

    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.number = i};
        pthread_create(&threads[i].id, NULL, run, &threads[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        good += threads[i].good;
    }
    return good;
}

void test_threads(void)
{
    all_of("put", in_threads(thread_puts), MANY);
    code_good("fence", self.api->fence());
    all_of("get", in_threads(thread_gets), MANY * self.size);
}

/* ---- children of fork() ---- */

static int child_ends(void (*run)(void))
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        run();
        exit(0);
    }
    waitpid(pid, &status, 0);
    return status;
}

/* By exit(), so that what the library does at the end is done. */
static void does_nothing(void)
{
}

static void runs_a_program(void)
{
    execlp("true", "true", (char *)NULL);
    _exit(1);
}

static void gets(void)
{
    if (!got("forked", self.rank, "value"))
        _exit(1);
}

static void after_child(const char *name, void (*run)(void))
{
    char key[64];

    number_is(name, child_ends(run), 0);
    key_of(key, sizeof key, name, self.rank);
    code_good(name, self.api->put(key, "value"));
    code_good(name, self.api->fence());
    check(got(name, (self.rank + 1) % self.size, "value"), name,
          "the parent goes on");
}

void test_fork(void)
{
    after_child("nothing", does_nothing);
    after_child("exec", runs_a_program);
}

/* A child that calls, while its parent waits. */
void test_fork_get(void)
{
    char key[64];

    key_of(key, sizeof key, "forked", self.rank);
    self.api->put(key, "value");
    self.api->fence();
    after_child("get", gets);
}

/* ---- the process mapping ---- */

/* The node of a rank by "(vector,(X,Y,Z),...)", or -1. */
static int node_by(const char *map, int rank)
{
    int node, count, each, used;

    for (int pass = 0; rank >= 0; pass++) {
        const char *block = map + strlen("(vector");
        while (sscanf(block, ",(%d,%d,%d)%n", &node, &count, &each, &used) ==
               3) {
            if (count < 1 || each < 1)
                return -1;
            if (rank < count * each)
                return node + rank / each;
            rank -= count * each;
            block += used;
        }
        if (strcmp(block, ")") != 0 || pass > 1000)
            return -1;
    }
    return -1;
}

static bool map_is_right(const char *map)
{
    int mine, next = 0;

    if (strncmp(map, "(vector,", 8) != 0)
        return false;
    mine = node_by(map, self.rank);
    for (int rank = 0; rank < self.size; rank++) {
        bool near = next < self.local_count && self.local_ranks[next] == rank;
        if (mine < 0 || near != (node_by(map, rank) == mine))
            return false;
        next += near;
    }
    return true;
}

void test_mapping(void)
{
    meet_neighbours();
    memset(buf, 0, sizeof buf);
    code_good("code", self.api->mapping(buf, self.value_max));
    check(map_is_right(buf), "hosts", "%s",
          map_is_right(buf) ? "as they are" : buf);
}
