/*
 * A PMI server for tests of the libraries libpmi and libpmi2, in a process of
 * its own: it answers every question well, but one, which it answers as the
 * fault says. Each test is a process, too (Check's), whose PMI_FD leads here.
 */
#ifndef CT_TEST_FAKEPMI_H
#define CT_TEST_FAKEPMI_H

#include "tests/unit/suite.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FAKE_FRAME = 70000,
    FAKE_PAYLOAD = 60000,
    FAKE_SECONDS = 10,
    FAKE_HEAD = 6,
};

/* What the call that is answered so must return. */
enum fake_outcome { FAKE_FAILS, FAKE_WORKS, FAKE_EITHER };

struct fake_fault {
    const char *name;
    enum fake_outcome outcome;
    /* What is sent instead of a good answer; false: and that is the end. */
    bool (*answer)(int fd, int dialect, const char *command, const char *good);
};

struct fake_plan {
    int dialect;         /* the one that is spoken; the other is refused */
    const char *command; /* the question whose answers are the fault's */
    const struct fake_fault *fault;
};

struct fake {
    pid_t pid;
    int fd;
    int *injected; /* shared with the server: has the fault happened? */
};

/* ---- good answers ---- */

struct fake_answer {
    int dialect;
    const char *command, *reply, *rest;
};

static const struct fake_answer fake_answers[] = {
    {1, "get_maxes", "maxes",
     "rc=0 kvsname_max=256 keylen_max=64 vallen_max=1024"},
    {1, "get_appnum", "appnum", "rc=0 appnum=0"},
    {1, "get_universe_size", "universe_size", "rc=0 size=4"},
    {1, "get_my_kvsname", "my_kvsname", "rc=0 kvsname=fake.0"},
    {1, "put", "put_result", "rc=0"},
    {1, "get", "get_result", "rc=0 value=v"},
    {1, "barrier_in", "barrier_out", "rc=0"},
    {1, "publish_name", "publish_result", "rc=0"},
    {1, "lookup_name", "lookup_result", "rc=0 port=v"},
    {1, "unpublish_name", "unpublish_result", "rc=0"},
    {1, "spawn", "spawn_result", "rc=0 errcodes=0"},
    {1, "finalize", "finalize_ack", "rc=0"},
    {2, "fullinit", "fullinit-response",
     "rc=0;pmi-version=2;pmi-subversion=0;rank=1;size=4;appnum=0;"
     "debugged=FALSE;pmiverbose=FALSE;"},
    {2, "job-getid", "job-getid-response", "rc=0;jobid=fake.0;"},
    {2, "info-getjobattr", "info-getjobattr-response",
     "rc=0;found=TRUE;value=v;"},
    {2, "info-putnodeattr", "info-putnodeattr-response", "rc=0;"},
    {2, "info-getnodeattr", "info-getnodeattr-response",
     "rc=0;found=TRUE;value=v;"},
    {2, "kvs-put", "kvs-put-response", "rc=0;"},
    {2, "kvs-get", "kvs-get-response", "rc=0;found=TRUE;value=v;"},
    {2, "kvs-fence", "kvs-fence-response", "rc=0;"},
    {2, "name-publish", "name-publish-response", "rc=0;"},
    {2, "name-lookup", "name-lookup-response",
     "rc=0;found=TRUE;value=v;port=v;"},
    {2, "name-unpublish", "name-unpublish-response", "rc=0;"},
    {2, "job-connect", "job-connect-response", "rc=0;kvscopy=FALSE;"},
    {2, "job-disconnect", "job-disconnect-response", "rc=0;"},
    {2, "ring", "ring-response", "rc=0;ring-count=1;ring-left=v;ring-right=v;"},
    {2, "spawn", "spawn-response", "rc=0;jobid=fake.1;nerrs=0;"},
    {2, "finalize", "finalize-response", "rc=0;"},
};

/* ---- bytes ---- */

/* Nobody may be there any longer. */
static inline void fake_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            _exit(0);
        bytes += n;
        len -= (size_t)n;
    }
}

static inline void fake_say(int fd, const char *text)
{
    fake_send(fd, text, strlen(text));
}

/* A frame of either dialect from what stands in it. */
static inline void fake_frame(char *frame, int dialect, const char *payload)
{
    if (dialect == 1)
        snprintf(frame, FAKE_FRAME, "%s\n", payload);
    else
        snprintf(frame, FAKE_FRAME, "%6zu%s", strlen(payload), payload);
}

static inline void fake_send_frame(int fd, int dialect, const char *payload)
{
    static char frame[FAKE_FRAME];

    fake_frame(frame, dialect, payload);
    fake_say(fd, frame);
}

static inline void fake_read(int fd, char *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, buf, len);
        if (n <= 0)
            _exit(0);
        buf += n;
        len -= (size_t)n;
    }
}

static inline void fake_read_line(int fd, char *line, size_t size)
{
    size_t len = 0;

    do {
        if (len == size - 1)
            _exit(1);
        fake_read(fd, line + len, 1);
    } while (line[len++] != '\n');
    line[len] = '\0';
}

/* ---- questions ---- */

/* "cmd=NAME..." */
static inline void fake_command(const char *question, char name[64])
{
    const char *start = strchr(question, '=');
    size_t len;

    start = start != NULL ? start + 1 : "";
    len = strcspn(start, " ;\n");
    snprintf(name, 64, "%.*s", (int)len, start);
}

static inline void fake_ask_1(int fd, char *question)
{
    char line[FAKE_FRAME];

    fake_read_line(fd, question, FAKE_FRAME);
    if (strncmp(question, "mcmd=", 5) != 0)
        return;
    do
        fake_read_line(fd, line, sizeof line);
    while (strcmp(line, "endcmd\n") != 0);
}

static inline void fake_ask_2(int fd, char *question)
{
    char head[FAKE_HEAD + 1] = "";

    fake_read(fd, head, FAKE_HEAD);
    size_t len = strtoul(head, NULL, 10);
    if (len >= FAKE_FRAME)
        _exit(1);
    fake_read(fd, question, len);
    question[len] = '\0';
}

static inline void fake_good(char *payload, size_t size, int dialect,
                             const char *command)
{
    for (size_t i = 0; i < sizeof fake_answers / sizeof *fake_answers; i++)
        if (fake_answers[i].dialect == dialect &&
            strcmp(fake_answers[i].command, command) == 0) {
            snprintf(payload, size, "cmd=%s%c%s", fake_answers[i].reply,
                     dialect == 1 ? ' ' : ';', fake_answers[i].rest);
            return;
        }
    snprintf(payload, size,
             dialect == 1 ? "cmd=%s_result rc=-1" : "cmd=%s-response;rc=1;",
             command);
}

/* The first line; true: the rest is the other dialect's. */
static inline bool fake_init(const char *line, const struct fake_plan *plan,
                             char *payload, size_t size)
{
    int version = strstr(line, "pmi_version=2") != NULL ? 2 : 1;
    bool ours = version == plan->dialect;

    snprintf(payload, size,
             "cmd=response_to_init pmi_version=%d pmi_subversion=%d rc=%d",
             plan->dialect, plan->dialect == 1 ? 1 : 0, ours ? 0 : -1);
    return ours && version == 2;
}

static inline void fake_serve(int fd, const struct fake_plan *plan,
                              int *injected)
{
    static char question[FAKE_FRAME];
    char command[64], payload[1024];
    int dialect = 1;

    for (;;) {
        int next = dialect;
        (dialect == 1 ? fake_ask_1 : fake_ask_2)(fd, question);
        fake_command(question, command);
        if (strcmp(command, "init") == 0)
            next = fake_init(question, plan, payload, sizeof payload) ? 2 : 1;
        else
            fake_good(payload, sizeof payload, dialect, command);
        bool bad = strcmp(command, plan->command) == 0;
        *injected |= bad;
        if (!bad)
            fake_send_frame(fd, dialect, payload);
        else if (!plan->fault->answer(fd, dialect, command, payload))
            _exit(0);
        dialect = next;
    }
}

/* ---- faults ---- */

static inline bool fault_closed(int fd, int dialect, const char *command,
                                const char *good)
{
    (void)fd, (void)dialect, (void)command, (void)good;
    return false;
}

static inline bool fault_half(int fd, int dialect, const char *command,
                              const char *good)
{
    char frame[2048];

    (void)command;
    fake_frame(frame, dialect, good);
    fake_send(fd, frame, strlen(frame) / 2);
    return false;
}

static inline bool fault_one_byte(int fd, int dialect, const char *command,
                                  const char *good)
{
    (void)command;
    fake_send(fd, dialect == 1 ? good : " ", 1);
    return false;
}

static inline bool fault_all_but_one(int fd, int dialect, const char *command,
                                     const char *good)
{
    char frame[2048];

    (void)command;
    fake_frame(frame, dialect, good);
    fake_send(fd, frame, strlen(frame) - 1);
    return false;
}

static inline bool fault_noise(int fd, int dialect, const char *command,
                               const char *good)
{
    char noise[512];

    (void)dialect, (void)command, (void)good;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 197 + i / 7 * 31 + 128);
    fake_send(fd, noise, sizeof noise);
    return false;
}

static inline bool fault_zeros(int fd, int dialect, const char *command,
                               const char *good)
{
    char zeros[256] = "";

    (void)dialect, (void)command, (void)good;
    fake_send(fd, zeros, sizeof zeros);
    return false;
}

static inline bool fault_http(int fd, int dialect, const char *command,
                              const char *good)
{
    (void)dialect, (void)command, (void)good;
    fake_say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    return false;
}

static inline bool fault_empty(int fd, int dialect, const char *command,
                               const char *good)
{
    (void)command, (void)good;
    fake_send_frame(fd, dialect, "");
    return false;
}

static inline bool fault_endless(int fd, int dialect, const char *command,
                                 const char *good)
{
    char blanks[1000];

    (void)command, (void)good;
    memset(blanks, 'x', sizeof blanks);
    if (dialect == 2)
        fake_say(fd, "999999");
    for (int i = 0; i < 1000; i++)
        fake_send(fd, blanks, sizeof blanks);
    return false;
}

static inline bool fault_negative(int fd, int dialect, const char *command,
                                  const char *good)
{
    (void)command;
    fake_say(fd, dialect == 1 ? "cmd=\n" : "    -5");
    fake_say(fd, good);
    return false;
}

static inline bool fault_other_command(int fd, int dialect, const char *command,
                                       const char *good)
{
    (void)command, (void)good;
    fake_send_frame(fd, dialect,
                    dialect == 1 ? "cmd=no_such_answer rc=0 value=v"
                                 : "cmd=no-such-answer;rc=0;value=v;");
    return true;
}

static inline bool fault_no_command(int fd, int dialect, const char *command,
                                    const char *good)
{
    (void)command, (void)good;
    fake_send_frame(fd, dialect,
                    dialect == 1 ? "rc=0 value=v" : "rc=0;value=v;");
    return true;
}

/* A good answer with another rc. */
static inline void fake_other_rc(int fd, int dialect, const char *good,
                                 const char *rc)
{
    char payload[2048];
    const char *at = strstr(good, "rc=0");

    if (at == NULL) /* a refusal already */
        snprintf(payload, sizeof payload, "%s", good);
    else
        snprintf(payload, sizeof payload, "%.*src=%s%s", (int)(at - good), good,
                 rc, at + strlen("rc=0"));
    fake_send_frame(fd, dialect, payload);
}

static inline bool fault_says_no(int fd, int dialect, const char *command,
                                 const char *good)
{
    (void)command;
    fake_other_rc(fd, dialect, good, dialect == 1 ? "-1" : "1");
    return true;
}

static inline bool fault_rc_no_number(int fd, int dialect, const char *command,
                                      const char *good)
{
    (void)command;
    fake_other_rc(fd, dialect, good, "zero");
    return true;
}

/* Hydra and Flux leave it out, but it may be there and be nothing. */
static inline bool fault_bare(int fd, int dialect, const char *command,
                              const char *good)
{
    char payload[1024];

    (void)command;
    snprintf(payload, sizeof payload, "%.*s%s", (int)strcspn(good, " ;"), good,
             dialect == 1 ? "" : ";");
    fake_send_frame(fd, dialect, payload);
    return true;
}

static inline bool fault_long_value(int fd, int dialect, const char *command,
                                    const char *good)
{
    static char payload[FAKE_PAYLOAD], value[20001];
    const char *at = strstr(good, "=v");

    (void)command;
    if (at == NULL)
        at = good + strlen(good) - 2;
    memset(value, 'w', sizeof value - 1);
    snprintf(payload, sizeof payload, "%.*s=%s%s", (int)(at - good), good,
             value, at + 2);
    fake_send_frame(fd, dialect, payload);
    return true;
}

static inline bool fault_byte_by_byte(int fd, int dialect, const char *command,
                                      const char *good)
{
    char frame[2048];

    (void)command;
    fake_frame(frame, dialect, good);
    for (const char *c = frame; *c != '\0'; c++) {
        fake_send(fd, c, 1);
        usleep(50);
    }
    return true;
}

static inline bool fault_twice(int fd, int dialect, const char *command,
                               const char *good)
{
    (void)command;
    fake_send_frame(fd, dialect, good);
    fake_send_frame(fd, dialect, good);
    return true;
}

static const struct fake_fault fake_faults[] = {
    {"closed", FAKE_FAILS, fault_closed},
    {"half an answer", FAKE_FAILS, fault_half},
    {"one byte", FAKE_FAILS, fault_one_byte},
    {"all but one byte", FAKE_FAILS, fault_all_but_one},
    {"noise", FAKE_FAILS, fault_noise},
    {"zeros", FAKE_FAILS, fault_zeros},
    {"HTTP", FAKE_FAILS, fault_http},
    {"empty", FAKE_FAILS, fault_empty},
    {"endless", FAKE_FAILS, fault_endless},
    {"negative", FAKE_FAILS, fault_negative},
    {"another command", FAKE_FAILS, fault_other_command},
    {"no command", FAKE_FAILS, fault_no_command},
    {"no", FAKE_FAILS, fault_says_no},
    {"rc is no number", FAKE_FAILS, fault_rc_no_number},
    {"nothing but the command", FAKE_EITHER, fault_bare},
    {"a value that is too long", FAKE_EITHER, fault_long_value},
    {"byte by byte", FAKE_WORKS, fault_byte_by_byte},
    {"twice", FAKE_EITHER, fault_twice},
};

enum { FAKE_FAULTS = sizeof fake_faults / sizeof *fake_faults };

/* ---- its life ---- */

static inline struct fake fake_start(const struct fake_plan *plan)
{
    struct fake fake;
    char number[16];
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fake.injected = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(fake.injected, MAP_FAILED);
    fake.pid = fork();
    ck_assert_int_ge(fake.pid, 0);
    if (fake.pid == 0) {
        close(pair[1]);
        alarm(FAKE_SECONDS * 2);
        fake_serve(pair[0], plan, fake.injected);
    }
    close(pair[0]);
    fake.fd = pair[1];
    snprintf(number, sizeof number, "%d", fake.fd);
    unsetenv("PMI_PORT");
    setenv("PMI_FD", number, 1);
    setenv("PMI_RANK", "1", 1);
    setenv("PMI_SIZE", "4", 1);
    setenv("PMI_JOBID", "fake.0", 1);
    alarm(FAKE_SECONDS); /* a call that hangs ends the test */
    return fake;
}

static inline void fake_end(struct fake *fake)
{
    alarm(0);
    close(fake->fd); /* whether or not the library has */
    kill(fake->pid, SIGKILL);
    waitpid(fake->pid, NULL, 0);
}

/* What the call returned in which the fault happened. */
static inline void fake_judge(const struct fake *fake,
                              const struct fake_plan *plan, int code,
                              bool strict)
{
    ck_assert_msg(*fake->injected, "PMI-%d %s was not asked", plan->dialect,
                  plan->command);
    if (plan->fault->outcome == FAKE_WORKS)
        ck_assert_msg(code == 0, "PMI-%d %s, %s: %d", plan->dialect,
                      plan->command, plan->fault->name, code);
    else if (plan->fault->outcome == FAKE_FAILS && strict)
        ck_assert_msg(code != 0, "PMI-%d %s, %s: 0", plan->dialect,
                      plan->command, plan->fault->name);
}

/* ---- the tests of a library ---- */

/* A call of the library, and the question of it that is answered wrongly. */
struct fake_call {
    const char *command;
    int dialect;
    int (*call)(void);
    bool strict; /* else an error is not worth telling */
};

struct fake_library {
    const char *name;
    const struct fake_call *calls;
    int count;
    int (*init)(void);
    void (*ask_on)(void); /* calls that return whatever has happened */
    /* how what is longer than the caller's room is got */
    const char *get_command;
    int get_dialect;
    void (*get)(char *buf, int size);
};

static const struct fake_library *fake_library; /* the one under test */

START_TEST(every_call_survives_every_answer)
{
    const struct fake_call *call = &fake_library->calls[_i / FAKE_FAULTS];
    const struct fake_plan plan = {
        .dialect = call->dialect,
        .command = call->command,
        .fault = &fake_faults[_i % FAKE_FAULTS],
    };
    struct fake fake = fake_start(&plan);
    int code = fake_library->init();

    if (!*fake.injected) {
        ck_assert_int_eq(code, 0);
        code = call->call();
    }
    fake_judge(&fake, &plan, code, call->strict);
    fake_library->ask_on();
    fake_end(&fake);
}
END_TEST

/* A value longer than the caller's room stays within it. */
START_TEST(no_answer_is_longer_than_the_room)
{
    static const struct fake_fault fault = {"a value that is too long",
                                            FAKE_EITHER, fault_long_value};
    const struct fake_plan plan = {.dialect = fake_library->get_dialect,
                                   .command = fake_library->get_command,
                                   .fault = &fault};
    struct fake fake = fake_start(&plan);
    char small[16];

    memset(small, 'g', sizeof small);
    fake_library->init();
    fake_library->get(small, 8);
    for (size_t i = 8; i < sizeof small; i++)
        ck_assert_int_eq(small[i], 'g');
    fake_end(&fake);
}
END_TEST

static inline void fake_add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, every_call_survives_every_answer, 0,
                        fake_library->count * FAKE_FAULTS);
    tcase_add_test(tc, no_answer_is_longer_than_the_room);
}

static inline int fake_main(const struct fake_library *library)
{
    fake_library = library;
    signal(SIGPIPE, SIG_DFL);
    return run_suite(library->name, fake_add_tests);
}

#endif
