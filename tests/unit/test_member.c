/*
 * The member's half, to which we are the agent: packets made by hand, whose
 * ranks have no container (those with one are in test_lend.c).
 */
#include "agent/member.h"
#include "agent/member_wire.h"
#include "base/pack.h"
#include "base/packet.h"
#include "container/rank.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int agent, member; /* the ends of the connection */

static void set_up(void)
{
    int pair[2];

    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    agent = pair[0];
    member = pair[1];
}

static void tear_down(void)
{
    close(agent);
    close(member);
}

/* ---- the agent's words ---- */

struct grant {
    uint32_t has;
    char *const *own;
    const char *path, *workdir;
    uint32_t workdir_required;
    const char *home;
    char *const *scratch, *const *env;
};

static char *const none[] = {NULL};

static struct grant shell(void)
{
    return (struct grant){.own = none,
                          .path = "/bin/sh",
                          .workdir = "/",
                          .scratch = none,
                          .env = none};
}

static struct pack pack_run(const struct grant *grant)
{
    struct pack p = {0};

    pack_u32(&p, MEMBER_RUN);
    pack_u32(&p, grant->has);
    pack_list(&p, grant->own);
    pack_str(&p, grant->path);
    pack_str(&p, grant->workdir);
    pack_u32(&p, grant->workdir_required);
    pack_str(&p, grant->home);
    pack_list(&p, grant->scratch);
    pack_list(&p, grant->env);
    return p;
}

static void send_bytes(const void *bytes, size_t len, const int *fds,
                       size_t fd_count)
{
    ck_assert_int_eq(packet_send(agent, bytes, len, fds, fd_count, 0),
                     (ssize_t)len);
}

static void send_run(const struct grant *grant, const int *fds, size_t fd_count)
{
    struct pack p = pack_run(grant);

    send_bytes(p.bytes, p.len, fds, fd_count);
    free(p.bytes);
}

/* ---- the member ---- */

struct result {
    int rc;
    struct member_end end;
    struct ct_error err;
};

struct process {
    pid_t pid;
    int out, result; /* to be read */
};

/* A process that is the member of what has been sent. */
static struct process start_member(const char *script)
{
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    struct result result = {.err = {.code = 0}};
    int out[2], back[2];
    pid_t pid;

    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(back, O_CLOEXEC), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int high = fcntl(back[1], F_DUPFD_CLOEXEC, 20);
        close(agent);
        if (dup2(out[1], STDOUT_FILENO) < 0)
            _exit(99);
        result.rc = member_become(member, argv, &result.end, &result.err);
        if (write(high, &result, sizeof result) != sizeof result)
            _exit(99);
        _exit(result.end.exit_code);
    }
    close(out[1]);
    close(back[1]);
    return (struct process){pid, out[0], back[0]};
}

static void check_end(const struct process *process, int code)
{
    int status;

    ck_assert_int_eq(waitpid(process->pid, &status, 0), process->pid);
    ck_assert_int_eq(status, code << 8);
    close(process->out);
    close(process->result);
}

/* It prints this and ends so, and nothing is said to the agent. */
static void check_run(const char *script, const char *expected, int code)
{
    struct process process = start_member(script);
    char text[1000];
    struct result result;
    int fds[PACKET_FDS_MAX];
    size_t used = 0;
    ssize_t n;

    while ((n = read(process.out, text + used, sizeof text - used - 1)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(read(process.result, &result, sizeof result), 0);
    check_end(&process, code);
    ck_assert_int_eq(
        packet_receive(agent, text, sizeof text, fds, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

/* What it tells the agent: FAILED, for this reason. */
static void check_told(int code, const char *reason)
{
    char packet[1000];
    int fds[PACKET_FDS_MAX];
    ssize_t len = packet_receive(agent, packet, sizeof packet, fds, 0);
    struct unpack u = {.bytes = packet, .len = (size_t)len};

    ck_assert_int_gt(len, 0);
    ck_assert_uint_eq(unpack_u32(&u), MEMBER_FAILED);
    ck_assert_int_eq((int)unpack_u32(&u), code);
    ck_assert_str_eq(unpack_str(&u), reason);
    ck_assert(!u.failed);
    ck_assert_uint_eq(u.at, u.len);
    ck_assert_int_eq(fds[0], -1);
}

static struct result end_of(const struct process *process, int exit_code)
{
    struct result result = {.rc = 0};
    char byte;

    ck_assert_int_eq(read(process->result, &result, sizeof result),
                     sizeof result);
    ck_assert_int_eq(read(process->out, &byte, 1), 0);
    check_end(process, exit_code);
    ck_assert_int_eq(result.rc, -1);
    ck_assert_int_eq(result.end.exit_code, exit_code);
    return result;
}

static struct result failed_member(int exit_code)
{
    const struct process process = start_member("echo it runs");

    return end_of(&process, exit_code);
}

/* It stays until it is let go, SIGTERM or not. */
static void check_failure(int exit_code, int code, const char *text)
{
    const struct process process = start_member("echo it runs");
    struct result result;

    check_told(code, text);
    ck_assert_int_eq(kill(process.pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(process.pid, NULL, WNOHANG), 0);
    member_refuse(agent, 0);
    result = end_of(&process, exit_code);
    ck_assert_str_eq(result.err.text, text);
    ck_assert_int_eq(result.err.code, code);
    ck_assert(result.end.told);
}

/* ---- it becomes the rank ---- */

START_TEST(it_executes_what_it_was_started_with)
{
    struct grant grant = shell();

    send_run(&grant, NULL, 0);
    check_run("echo \"$0\"; pwd; exit 5", "sh\n/\n", 5);
}
END_TEST

START_TEST(variables_of_its_own_win)
{
    char *own[] = {"B=own", "C=own", NULL}, *env[] = {"A=app", "B=app", NULL};
    struct grant grant = shell();

    setenv("D", "host", 1);
    grant.own = own;
    grant.env = env;
    send_run(&grant, NULL, 0);
    check_run("echo $A $B $C ${D-none}", "app own own none\n", 0);
}
END_TEST

static const struct {
    const char *workdir;
    uint32_t required;
    const char *home, *where;
} places[] = {
    {"/usr", 1, NULL, "/usr\n"},       {"/usr", 0, "/tmp", "/usr\n"},
    {"/no/such", 0, "/tmp", "/tmp\n"}, {"/no/such", 0, "/no/home", "/\n"},
    {"/no/such", 0, NULL, "/\n"},
};

START_TEST(working_directories)
{
    struct grant grant = shell();

    grant.workdir = places[_i].workdir;
    grant.workdir_required = places[_i].required;
    grant.home = places[_i].home;
    send_run(&grant, NULL, 0);
    check_run("pwd", places[_i].where, 0);
}
END_TEST

START_TEST(it_has_its_pmi_connection)
{
    struct grant grant = shell();
    char text[10] = "";
    int pmi[2];

    ck_assert_int_eq(pipe2(pmi, O_CLOEXEC), 0);
    grant.has = MEMBER_HAS_PMI;
    send_run(&grant, &pmi[1], 1);
    check_run("echo pmi >&3", "", 0);
    ck_assert_int_eq(read(pmi[0], text, sizeof text - 1), 4);
    ck_assert_str_eq(text, "pmi\n");
    close(pmi[0]);
    close(pmi[1]);
}
END_TEST

START_TEST(without_pmi_there_is_no_connection)
{
    struct grant grant = shell();

    send_run(&grant, NULL, 0);
    check_run("[ -e /proc/$$/fd/3 ] || echo none", "none\n", 0);
}
END_TEST

/* The agent learns so that it runs. */
START_TEST(the_connection_ends_with_the_command)
{
    struct grant grant = shell();
    struct process process;
    char byte;

    send_run(&grant, NULL, 0);
    process = start_member("exec sleep 1000");
    close(member);
    member = -1;
    ck_assert_int_eq(recv(agent, &byte, 1, 0), 0);
    ck_assert_int_eq(kill(process.pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(process.pid, NULL, 0), process.pid);
    close(process.out);
    close(process.result);
}
END_TEST

/* ---- it does not ---- */

START_TEST(commands_that_cannot_be_executed)
{
    struct grant grant = shell();

    grant.path = "/no/such";
    send_run(&grant, NULL, 0);
    check_failure(127, ENOENT,
                  "cannot execute /no/such: No such file or directory");
    grant.path = "/";
    send_run(&grant, NULL, 0);
    check_failure(126, EACCES, "cannot execute /: Permission denied");
}
END_TEST

/* It is not the command that is not there. */
START_TEST(working_directory_that_is_required)
{
    struct grant grant = shell();

    grant.workdir = "/no/such";
    grant.workdir_required = 1;
    grant.home = "/";
    send_run(&grant, NULL, 0);
    check_failure(125, ECANCELED,
                  "cannot enter the working directory /no/such: "
                  "No such file or directory");
}
END_TEST

START_TEST(containers_that_are_none)
{
    struct grant grant = shell();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[] = {null, null};

    grant.has = MEMBER_HAS_CONTAINER;
    send_run(&grant, fds, 2);
    check_failure(125, EINVAL,
                  "cannot enter the node's user namespace: Invalid argument");
    close(null);
}
END_TEST

START_TEST(refusals)
{
    static const int codes[] = {1, 125, 126, 127, 255};
    struct result result;
    int fds[PACKET_FDS_MAX];
    char byte;

    for (int i = 0; i < 5; i++) {
        member_refuse(agent, codes[i]);
        result = failed_member(codes[i]);
        ck_assert(result.end.told);
        ck_assert_int_eq(result.err.code, ECANCELED);
        ck_assert_str_eq(result.err.text, "the node's agent has refused");
        ck_assert_int_eq(packet_receive(agent, &byte, 1, fds, MSG_DONTWAIT),
                         -1);
    }
}
END_TEST

START_TEST(refusals_do_not_wait_for_a_member)
{
    close(member);
    member = -1;
    member_refuse(agent, 1); /* nor does a signal end us */
}
END_TEST

/* Whatever part of a grant comes, nothing is executed. */
START_TEST(grants_that_were_cut_off)
{
    char *env[] = {"A=1", NULL};
    struct grant grant = shell();
    struct pack p;

    grant.env = env;
    p = pack_run(&grant);
    for (size_t len = sizeof(uint32_t); len < p.len; len++) {
        send_bytes(p.bytes, len, NULL, 0);
        check_failure(125, EPROTO, "the agent's answer makes no sense");
    }
    free(p.bytes);
}
END_TEST

static const char *const garbage[] = {"x", "abcd", "\1\0\0\0\377\377\377\377",
                                      "GET / HTTP/1.0\r\n\r\n"};

START_TEST(what_makes_no_sense)
{
    send_bytes(garbage[_i], strlen(garbage[_i]), NULL, 0);
    check_failure(125, EPROTO, "the agent's answer makes no sense");
}
END_TEST

START_TEST(a_grant_without_a_command)
{
    struct grant grant = shell();

    grant.path = NULL;
    send_run(&grant, NULL, 0);
    check_failure(125, EPROTO, "the agent's answer makes no sense");
}
END_TEST

START_TEST(an_agent_that_has_gone)
{
    struct result result;

    close(agent);
    agent = -1;
    result = failed_member(125);
    ck_assert(!result.end.told);
    ck_assert_int_eq(result.err.code, EPIPE);
    ck_assert_str_eq(result.err.text, "the node's agent has gone");
}
END_TEST

/* Then the member says it itself. */
START_TEST(an_agent_that_cannot_be_told)
{
    struct grant grant = shell();
    struct result result;

    grant.path = "/no/such";
    send_run(&grant, NULL, 0);
    close(agent);
    agent = -1;
    result = failed_member(127);
    ck_assert(!result.end.told);
    ck_assert_int_eq(result.err.code, ENOENT);
    ck_assert_str_eq(result.err.text,
                     "cannot execute /no/such: No such file or directory");
}
END_TEST

START_TEST(a_connection_that_is_none)
{
    char *argv[] = {"sh", NULL};
    struct member_end end = {.told = true};
    struct ct_error err = {0};

    ck_assert_int_eq(member_become(-1, argv, &end, &err), -1);
    ck_assert_int_eq(end.exit_code, 125);
    ck_assert(!end.told);
    ck_assert_int_eq(err.code, EPIPE);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("member");
    TCase *tc = tcase_create("member");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, it_executes_what_it_was_started_with);
    tcase_add_test(tc, variables_of_its_own_win);
    tcase_add_loop_test(tc, working_directories, 0, COUNT(places));
    tcase_add_test(tc, it_has_its_pmi_connection);
    tcase_add_test(tc, without_pmi_there_is_no_connection);
    tcase_add_test(tc, the_connection_ends_with_the_command);
    tcase_add_test(tc, commands_that_cannot_be_executed);
    tcase_add_test(tc, working_directory_that_is_required);
    tcase_add_test(tc, containers_that_are_none);
    tcase_add_test(tc, refusals);
    tcase_add_test(tc, refusals_do_not_wait_for_a_member);
    tcase_add_test(tc, grants_that_were_cut_off);
    tcase_add_loop_test(tc, what_makes_no_sense, 0, COUNT(garbage));
    tcase_add_test(tc, a_grant_without_a_command);
    tcase_add_test(tc, an_agent_that_has_gone);
    tcase_add_test(tc, an_agent_that_cannot_be_told);
    tcase_add_test(tc, a_connection_that_is_none);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
