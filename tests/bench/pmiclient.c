/*
 * pmiclient 1|2 [hold|fences]
 *
 * The wire-up of an MPI library, without the library: in PMI-1 or PMI-2, over
 * PMI_FD, put a value, fence, get everybody else's. Each rank prints when (in
 * seconds of the machine's monotonic clock)
 *
 *   rank RANK BEGIN READY PUT FENCED GOT END
 *
 * it began, was initialized, had put, left the fence, had the last value, and
 * was finalized. With `hold`, rank 0 instead prints "held" and reads a line
 * from standard input, after the fence and again when all have got all: a time
 * to look at the server, whose every client waits. With `fences` there is one
 * more before the put, and one behind the fence: so that nobody is late, nor
 * takes the time of those that are still in the fence for something else.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_LENGTH = 256, NAME_SIZE = 256, FRAME_SIZE = 65536, HEAD = 6 };

struct wire {
    int fd;
    unsigned rank, size;
    char kvs[NAME_SIZE];
    char frame[FRAME_SIZE]; /* the last answer, NUL-terminated */
};

struct dialect {
    const char *name;
    void (*init)(struct wire *wire);
    void (*put)(struct wire *wire, const char *key, const char *value);
    void (*fence)(struct wire *wire);
    const char *(*get)(struct wire *wire, unsigned owner, const char *key);
    void (*finalize)(struct wire *wire);
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noreturn, format(printf, 2, 3))) static void die(
    const struct wire *wire, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "pmiclient: rank %u: %s\n", wire->rank, text);
    exit(1);
}

/* ---- bytes ---- */

static void write_all(struct wire *wire, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(wire->fd, bytes, len);
        if (n < 0 && errno != EINTR)
            die(wire, "write: %s", strerror(errno));
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

/* One read behind the `have` bytes of the answer. */
static size_t read_more(struct wire *wire, size_t have)
{
    ssize_t n;

    if (have >= sizeof wire->frame - 1)
        die(wire, "an answer is too long");
    do
        n = read(wire->fd, wire->frame + have, sizeof wire->frame - 1 - have);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        die(wire, "read: %s", strerror(errno));
    if (n == 0)
        die(wire, "the server closed the connection");
    return have + (size_t)n;
}

/* Where the value of a key begins in the last answer, and its length. */
static char *find(struct wire *wire, const char *key, size_t *ret_len)
{
    static const char separators[] = " ;\n";
    size_t len = strlen(key);
    char *token = wire->frame;

    while (*token != '\0') {
        size_t n = strcspn(token, separators);
        if (n > len && memcmp(token, key, len) == 0 && token[len] == '=') {
            *ret_len = n - len - 1;
            return token + len + 1;
        }
        token += n + strspn(token + n, separators);
    }
    return NULL;
}

/* The same, cut out of the answer, which is of no more use. */
static const char *take(struct wire *wire, const char *key)
{
    size_t len;
    char *value = find(wire, key, &len);

    if (value != NULL)
        value[len] = '\0';
    return value;
}

/* The last answer is that command, and no refusal. */
static void expect(struct wire *wire, const char *command)
{
    size_t len;
    const char *value = find(wire, "cmd", &len);

    if (value == NULL || strlen(command) != len ||
        memcmp(value, command, len) != 0)
        die(wire, "not %s: %.200s", command, wire->frame);
    value = find(wire, "rc", &len);
    if (value != NULL && strtol(value, NULL, 10) != 0)
        die(wire, "refused: %.200s", wire->frame);
}

/* ---- PMI-1, and the first line of PMI-2: lines ---- */

__attribute__((format(printf, 3, 4))) static void ask_line(struct wire *wire,
                                                           const char *answer,
                                                           const char *format,
                                                           ...)
{
    char line[1024];
    size_t have = 0;
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    write_all(wire, line, (size_t)len);
    do
        have = read_more(wire, have);
    while (wire->frame[have - 1] != '\n');
    wire->frame[have] = '\0';
    expect(wire, answer);
}

static void keep_kvs(struct wire *wire, const char *name)
{
    if (name == NULL || strlen(name) >= sizeof wire->kvs)
        die(wire, "no name of the job");
    strcpy(wire->kvs, name);
}

static void init_1(struct wire *wire)
{
    ask_line(wire, "response_to_init",
             "cmd=init pmi_version=1 pmi_subversion=1\n");
    ask_line(wire, "maxes", "cmd=get_maxes\n");
    ask_line(wire, "my_kvsname", "cmd=get_my_kvsname\n");
    keep_kvs(wire, take(wire, "kvsname"));
}

static void put_1(struct wire *wire, const char *key, const char *value)
{
    ask_line(wire, "put_result", "cmd=put kvsname=%s key=%s value=%s\n",
             wire->kvs, key, value);
}

static void fence_1(struct wire *wire)
{
    ask_line(wire, "barrier_out", "cmd=barrier_in\n");
}

static const char *get_1(struct wire *wire, unsigned owner, const char *key)
{
    (void)owner;
    ask_line(wire, "get_result", "cmd=get kvsname=%s key=%s\n", wire->kvs, key);
    return take(wire, "value");
}

static void finalize_1(struct wire *wire)
{
    ask_line(wire, "finalize_ack", "cmd=finalize\n");
}

/* ---- PMI-2: frames ---- */

/* Six bytes of decimal, with blanks on the left (clients) or right (Slurm). */
static size_t payload_length(struct wire *wire)
{
    char head[HEAD + 1], *end;
    long len;

    memcpy(head, wire->frame, HEAD);
    head[HEAD] = '\0';
    len = strtol(head, &end, 10);
    end += strspn(end, " ");
    if (end == head || *end != '\0' || len <= 0)
        die(wire, "\"%s\" is no length", head);
    return (size_t)len;
}

/* The payload alone, as lines are, is what is left. */
static void read_frame(struct wire *wire)
{
    size_t have = 0, len;

    while (have < HEAD)
        have = read_more(wire, have);
    len = payload_length(wire);
    while (have < HEAD + len)
        have = read_more(wire, have);
    if (have > HEAD + len)
        die(wire, "bytes behind an answer");
    memmove(wire->frame, wire->frame + HEAD, len);
    wire->frame[len] = '\0';
}

__attribute__((format(printf, 3, 4))) static void ask_frame(struct wire *wire,
                                                            const char *answer,
                                                            const char *format,
                                                            ...)
{
    char frame[1024];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(frame + HEAD, sizeof frame - HEAD, format, args);
    va_end(args);
    char first = frame[HEAD];
    snprintf(frame, HEAD + 1, "%6d", len);
    frame[HEAD] = first;
    write_all(wire, frame, (size_t)len + HEAD);
    read_frame(wire);
    expect(wire, answer);
}

/* Slurm wants its job id back. */
static void init_2(struct wire *wire)
{
    const char *jobid = getenv("PMI_JOBID");

    ask_line(wire, "response_to_init",
             "cmd=init pmi_version=2 pmi_subversion=0\n");
    ask_frame(wire, "fullinit-response",
              "cmd=fullinit;pmijobid=%s;pmirank=%u;threaded=FALSE;",
              jobid != NULL ? jobid : "0", wire->rank);
    ask_frame(wire, "job-getid-response", "cmd=job-getid;");
    keep_kvs(wire, take(wire, "jobid"));
}

static void put_2(struct wire *wire, const char *key, const char *value)
{
    ask_frame(wire, "kvs-put-response", "cmd=kvs-put;key=%s;value=%s;", key,
              value);
}

static void fence_2(struct wire *wire)
{
    ask_frame(wire, "kvs-fence-response", "cmd=kvs-fence;");
}

static const char *get_2(struct wire *wire, unsigned owner, const char *key)
{
    ask_frame(wire, "kvs-get-response", "cmd=kvs-get;jobid=%s;srcid=%u;key=%s;",
              wire->kvs, owner, key);
    return take(wire, "value");
}

static void finalize_2(struct wire *wire)
{
    ask_frame(wire, "finalize-response", "cmd=finalize;");
}

static const struct dialect dialects[] = {
    {"1", init_1, put_1, fence_1, get_1, finalize_1},
    {"2", init_2, put_2, fence_2, get_2, finalize_2},
};

enum { DIALECTS = sizeof dialects / sizeof dialects[0] };

/* ---- the exchange ---- */

static void make_value(unsigned rank, char value[VALUE_LENGTH + 1])
{
    int len = snprintf(value, VALUE_LENGTH + 1, "card-of-%u-", rank);

    memset(value + len, 'x', (size_t)(VALUE_LENGTH - len));
    value[VALUE_LENGTH] = '\0';
}

static void put_mine(const struct dialect *dialect, struct wire *wire)
{
    char key[32], value[VALUE_LENGTH + 1];

    snprintf(key, sizeof key, "card-%u", wire->rank);
    make_value(wire->rank, value);
    dialect->put(wire, key, value);
}

static void get_others(const struct dialect *dialect, struct wire *wire)
{
    char key[32], value[VALUE_LENGTH + 1];

    for (unsigned i = 1; i < wire->size; i++) {
        unsigned owner = (wire->rank + i) % wire->size;
        snprintf(key, sizeof key, "card-%u", owner);
        make_value(owner, value);
        const char *got = dialect->get(wire, owner, key);
        if (got == NULL || strcmp(got, value) != 0)
            die(wire, "%s is not what rank %u has put", key, owner);
    }
}

/* The others wait in a fence for rank 0, which waits for its reader. */
static void hold(const struct dialect *dialect, struct wire *wire)
{
    char line[16];

    if (wire->rank == 0) {
        puts("held");
        fflush(stdout);
        if (fgets(line, sizeof line, stdin) == NULL)
            die(wire, "nobody ends the hold");
    }
    dialect->fence(wire);
}

enum mode { PLAIN, HOLD, FENCES, MODES };

static const char *const mode_names[MODES] = {
    [PLAIN] = "", [HOLD] = "hold", [FENCES] = "fences"};

static void run(const struct dialect *dialect, struct wire *wire,
                enum mode mode)
{
    double begin, ready, put, fenced, got;

    begin = now();
    dialect->init(wire);
    ready = now();
    if (mode == FENCES)
        dialect->fence(wire);
    put_mine(dialect, wire);
    put = now();
    dialect->fence(wire);
    fenced = now();
    if (mode == FENCES)
        dialect->fence(wire);
    if (mode == HOLD)
        hold(dialect, wire);
    get_others(dialect, wire);
    got = now();
    if (mode == HOLD) {
        dialect->fence(wire);
        hold(dialect, wire);
    }
    dialect->finalize(wire);
    if (mode != HOLD)
        printf("rank %u %.6f %.6f %.6f %.6f %.6f %.6f\n", wire->rank, begin,
               ready, put, fenced, got, now());
}

static long number_in_environment(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long value = text != NULL ? strtol(text, &end, 10) : -1;

    if (text == NULL || end == text || *end != '\0' || value < 0) {
        fprintf(stderr, "pmiclient: %s is not set to a number\n", name);
        exit(1);
    }
    return value;
}

static const struct dialect *dialect_named(const char *name)
{
    for (int i = 0; i < DIALECTS; i++)
        if (strcmp(dialects[i].name, name) == 0)
            return &dialects[i];
    return NULL;
}

static enum mode mode_named(const char *name)
{
    enum mode mode = PLAIN;

    while (mode < MODES && strcmp(mode_names[mode], name) != 0)
        mode++;
    return mode;
}

int main(int argc, char **argv)
{
    static struct wire wire;
    const struct dialect *dialect = argc > 1 ? dialect_named(argv[1]) : NULL;
    enum mode mode = mode_named(argc > 2 ? argv[2] : "");

    if (dialect == NULL || argc > 3 || mode == MODES) {
        fprintf(stderr, "usage: pmiclient 1|2 [hold|fences]\n");
        return 2;
    }
    wire.fd = (int)number_in_environment("PMI_FD");
    wire.rank = (unsigned)number_in_environment("PMI_RANK");
    wire.size = (unsigned)number_in_environment("PMI_SIZE");
    run(dialect, &wire, mode);
    return 0;
}
