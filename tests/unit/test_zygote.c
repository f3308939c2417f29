/*
 * The zygote as ctrun uses it. Without container where that makes no
 * difference; what a container holds is test_template.c's.
 */
#include "tests/unit/zygote.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static struct plan plan;
static bool small_sockets;

/* The linker takes this one: sockets as where net.core.wmem_default is low. */
int socketpair(int domain, int type, int protocol, int fds[2])
{
    int rc = (int)syscall(SYS_socketpair, domain, type, protocol, fds);
    int size = 20000;

    for (int i = 0; i < 2 && rc == 0 && small_sockets; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return rc;
}

static void set_up(void)
{
    make_top();
    plan = bare_plan();
}

static void tear_down(void)
{
    plan_clear(&plan);
    remove_top();
}

START_TEST(starts_and_ends)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct zygote_event event;

    ck_assert_int_ge(zygote_fd(z), 0);
    ck_assert_int_ne(fcntl(zygote_fd(z), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert(!zygote_wants_write(z));
    ck_assert_int_eq(zygote_next(z, &event), 0);
    ck_assert_int_eq(zygote_flush(z), 0);
    end_zygote(z);
    zygote_destroy(NULL);
}
END_TEST

/* ---- applications ---- */

START_TEST(prepared_commands_are_described)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct zygote_event event = prepare(z, 7, 0, "exit");

    ck_assert_str_eq(strrchr(unpack_str(&event.details), '/'), "/sh");
    ck_assert_ptr_null(unpack_str(&event.details));
    ck_assert_uint_eq(unpack_u32(&event.details), 0);
    ck_assert(!event.details.failed);
    end_zygote(z);
}
END_TEST

START_TEST(commands_that_are_not_there)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct zygote_event event;

    make_file("plain", 0644, "");
    ask_to_prepare(z, 1, 0, "no-such-command", "");
    event = expect(z, ZYGOTE_PREPARE_FAILED, 1);
    ck_assert_int_eq(event.code, ENOENT);
    ck_assert_str_eq(event.text, "no-such-command: command not found");
    ask_to_prepare(z, 2, 0, top, "");
    event = expect(z, ZYGOTE_PREPARE_FAILED, 2);
    ck_assert_int_eq(event.code, EACCES);
    end_zygote(z);
}
END_TEST

START_TEST(commands_are_looked_for_where_asked)
{
    struct zygote *z = start_zygote(&plan, 1);
    char *argv[] = {"prog", NULL};
    struct zygote_app app = {.app = 1, .argv = argv, .path = top};
    struct zygote_event event;

    make_file("prog", 0755, "#!/bin/sh\n");
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    event = expect(z, ZYGOTE_PREPARED, 1);
    ck_assert_int_eq(strncmp(unpack_str(&event.details), top, strlen(top)), 0);
    app.app = 2;
    app.path = NULL;
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    ck_assert_int_eq(expect(z, ZYGOTE_PREPARE_FAILED, 2).code, ENOENT);
    argv[0] = "./prog";
    app.app = 3;
    app.workdir = top;
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    expect(z, ZYGOTE_PREPARED, 3);
    end_zygote(z);
}
END_TEST

START_TEST(requests_that_make_no_sense)
{
    static const char text[] = "a request that makes no sense";
    const int fds[RANK_FDS] = {-1, -1, -1, -1};
    struct zygote *z = start_zygote(&plan, 1);
    struct zygote_event event;

    ask_to_prepare(z, 1, 1, "sh", ""); /* there is no plan 1 */
    ck_assert_str_eq(expect(z, ZYGOTE_PREPARE_FAILED, 1).text, text);
    ask_for_rank(z, 2, 33, fds); /* there is no app 33 */
    ck_assert_str_eq(expect(z, ZYGOTE_START_FAILED, 2).text, text);
    ask_to_prepare(z, 3, 0, "no-such-command", "");
    expect(z, ZYGOTE_PREPARE_FAILED, 3);
    ask_for_rank(z, 3, 3, fds); /* it could not be prepared */
    event = expect(z, ZYGOTE_START_FAILED, 3);
    ck_assert_str_eq(event.text, text);
    ck_assert_int_eq(event.code, EPROTO);
    check_script(z, 0, "echo alive", "alive\n");
    end_zygote(z);
}
END_TEST

START_TEST(too_much_for_one_request)
{
    enum { LARGE = 200 * 1000 };
    struct zygote *z = start_zygote(&plan, 1);
    char *word = malloc(LARGE), *argv[] = {word, NULL};
    const struct zygote_app app = {.argv = argv};
    struct ct_error err = {0};

    ck_assert_ptr_nonnull(word);
    memset(word, 'x', LARGE - 1);
    word[LARGE - 1] = '\0';
    ck_assert_int_eq(zygote_prepare(z, &app, &err), -1);
    ck_assert_int_eq(err.code, E2BIG);
    check_script(z, 0, "echo alive", "alive\n");
    free(word);
    end_zygote(z);
}
END_TEST

START_TEST(much_for_one_request)
{
    enum { LARGE = 100 * 1000 };
    struct output output;
    struct zygote *z;
    char text[LARGE + 1],
        *argv[] = {"sh", "-c", "echo ${#1}", "sh", text, NULL};
    const struct zygote_app app = {.argv = argv};

    small_sockets = true;
    z = start_zygote(&plan, 1);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    expect(z, ZYGOTE_PREPARED, 0);
    output = make_output();
    start_rank(z, 0, 0, &output);
    read_output(&output, text, sizeof text);
    ck_assert_str_eq(text, "100000\n");
    expect(z, ZYGOTE_EXITED, 0);
    end_zygote(z);
}
END_TEST

/* ---- ranks ---- */

START_TEST(ranks_run_and_end)
{
    struct zygote *z = start_zygote(&plan, 1);
    char text[100];

    check_script(z, 0, "echo out; echo err >&2", "out\nerr\n");
    run_script(z, 0, "exit 3", 3 << 8, text, sizeof text);
    run_script(z, 0, "kill -9 $$", SIGKILL, text, sizeof text);
    end_zygote(z);
}
END_TEST

/* Weakest first: the host's, --env, the launcher's. */
START_TEST(later_variables_win)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct output output = make_output();
    const int fds[RANK_FDS] = {-1, output.write_end, -1, -1};
    char *env[] = {"C=rank", "D=rank", NULL}, text[100];
    const struct zygote_rank rank = {.app = 4, .env = env, .fds = fds};

    prepare(z, 4, 0,
            "echo $A $B $C $D; tr '\\0' '\\n' < /proc/$$/environ |"
            "grep -c '^[ABCD]='");
    ck_assert_int_eq(zygote_rank(z, &rank, NULL), 0);
    expect(z, ZYGOTE_STARTED, 0);
    read_output(&output, text, sizeof text);
    expect(z, ZYGOTE_EXITED, 0);
    ck_assert_str_eq(text, "host plan rank rank\n4\n");
    end_zygote(z);
}
END_TEST

START_TEST(ranks_that_cannot_start)
{
    const int fds[RANK_FDS] = {-1, -1, -1, -1};
    struct zygote *z = start_zygote(&plan, 1);
    char *argv[] = {"./prog", NULL};
    struct zygote_app app = {.app = 1, .argv = argv, .workdir = top};
    struct zygote_event event;

    make_file("prog", 0755, "#!/no/such/interpreter\n");
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    expect(z, ZYGOTE_PREPARED, 1);
    ask_for_rank(z, 5, 1, fds);
    event = expect(z, ZYGOTE_START_FAILED, 5);
    ck_assert_int_eq(event.code, ENOENT);
    ck_assert_ptr_nonnull(strstr(event.text, "interpreter or loader"));
    end_zygote(z);
}
END_TEST

/* One that is asked for must be there, another is looked for. */
START_TEST(working_directories)
{
    const int fds[RANK_FDS] = {-1, -1, -1, -1};
    struct zygote *z = start_zygote(&plan, 1);
    char *argv[] = {"sh", NULL};
    struct zygote_app app = {
        .app = 1, .argv = argv, .workdir = "/no/such/place"};
    struct zygote_event event;

    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    expect(z, ZYGOTE_PREPARED, 1);
    ask_for_rank(z, 1, 1, fds);
    event = expect(z, ZYGOTE_START_FAILED, 1);
    ck_assert_int_eq(event.code, ECANCELED);
    check_script(z, 0, "pwd", "/\n");
    free(plan.workdir);
    plan.workdir = strdup("/no/such/place");
    end_zygote(z);
    z = start_zygote(&plan, 1);
    check_script(z, 0, "pwd", "/\n");
    end_zygote(z);
}
END_TEST

START_TEST(descriptors_are_sent)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct output out = make_output(), pmi = make_output();
    const int fds[RANK_FDS] = {-1, out.write_end, -1, pmi.write_end};
    char text[100];

    prepare(z, 1, 0, "echo out; echo pmi >&3; echo lost >&2");
    ask_for_rank(z, 1, 1, fds);
    read_output(&pmi, text, sizeof text);
    ck_assert_str_eq(text, "pmi\n");
    read_output(&out, text, sizeof text);
    ck_assert_str_eq(text, "out\n");
    expect(z, ZYGOTE_STARTED, 1);
    expect(z, ZYGOTE_EXITED, 1);
    end_zygote(z);
}
END_TEST

/* More than the socket takes at once, so that some have to wait. */
START_TEST(many_ranks)
{
    enum { RANKS = 100 };
    struct zygote *z = start_zygote(&plan, 1);
    struct output output = make_output();
    const int fds[RANK_FDS] = {-1, output.write_end, -1, -1};
    unsigned started = 0, exited = 0;
    char text[2 * RANKS + 1];

    prepare(z, 1, 0, "echo");
    for (unsigned i = 0; i < RANKS; i++)
        ask_for_rank(z, i, 1, fds);
    while (exited < RANKS) {
        struct zygote_event event = next_event(z);
        if (event.kind == ZYGOTE_STARTED)
            ck_assert_uint_eq(event.id, started++);
        else if (event.kind == ZYGOTE_EXITED)
            exited += event.status == 0;
    }
    ck_assert_uint_eq(started, RANKS);
    ck_assert(!zygote_wants_write(z));
    read_output(&output, text, sizeof text);
    ck_assert_uint_eq(strlen(text), RANKS);
    end_zygote(z);
}
END_TEST

/* ---- signals ---- */

START_TEST(signals_reach_what_a_rank_has_started)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct output output = make_output();
    char text[100];

    prepare(z, 1, 0, "sleep 1000 & echo ready; wait");
    start_rank(z, 0, 1, NULL);
    start_rank(z, 1, 1, &output);
    ck_assert_int_eq(read(output.read_end, text, 6), 6);
    ck_assert_int_eq(zygote_signal(z, 1, SIGTERM, NULL), 0);
    ck_assert_int_eq(expect(z, ZYGOTE_EXITED, 1).status, SIGTERM);
    read_output(&output, text, sizeof text); /* sleep has ended too */
    ck_assert_int_eq(zygote_signal(z, 77, SIGKILL, NULL), 0); /* nobody */
    ck_assert_int_eq(zygote_signal(z, ZYGOTE_ALL_RANKS, SIGKILL, NULL), 0);
    ck_assert_int_eq(expect(z, ZYGOTE_EXITED, 0).status, SIGKILL);
    end_zygote(z);
}
END_TEST

/* A rank of the caller's group must not take the caller with it. */
START_TEST(signals_spare_the_callers_group)
{
    const int fds[RANK_FDS] = {-1, -1, -1, -1};
    struct zygote *z = start_zygote(&plan, 1);
    const struct zygote_rank rank = {
        .id = 1, .app = 1, .env = no_env, .fds = fds, .group = getpgrp()};
    pid_t pid;

    prepare(z, 1, 0, "sleep 1000");
    ck_assert_int_eq(zygote_rank(z, &rank, NULL), 0);
    pid = expect(z, ZYGOTE_STARTED, 1).pid;
    ck_assert_int_eq(getpgid(pid), getpgrp());
    ck_assert_int_eq(zygote_signal(z, 1, SIGKILL, NULL), 0);
    ck_assert_int_eq(expect(z, ZYGOTE_EXITED, 1).status, SIGKILL);
    end_zygote(z);
}
END_TEST

/* ---- ends ---- */

/* A rank, a child that has a session of its own, and no word of their end. */
#define FAMILY "setsid sleep 1000 & sleep 1000 & echo ready; wait"

static struct output start_family(struct zygote *z)
{
    struct output output = make_output();
    char ready[6];

    prepare(z, 1, 0, FAMILY);
    start_rank(z, 1, 1, &output);
    ck_assert_int_eq(read(output.read_end, ready, 6), 6);
    return output;
}

START_TEST(nothing_outlives_the_zygotes_end)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct output output = start_family(z);
    char text[100];

    end_zygote(z);
    read_output(&output, text, sizeof text);
}
END_TEST

static pid_t pid_of_zygote(struct zygote *z)
{
    char text[40];

    run_script(z, 0, "echo $PPID", 0, text, sizeof text);
    return (pid_t)atoi(text);
}

START_TEST(nothing_outlives_a_killed_zygote)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct output output;
    struct zygote_event event;
    char text[100];

    pid_t pid = pid_of_zygote(z);
    output = start_family(z);
    kill(pid, SIGKILL);
    event = expect(z, ZYGOTE_GONE, 0);
    ck_assert_ptr_nonnull(strstr(event.text, "killed"));
    ck_assert_int_eq(zygote_next(z, &event), 0); /* told once */
    ask_to_prepare(z, 2, 0, "sh", "");           /* no error, no answer */
    zygote_signal(z, ZYGOTE_ALL_RANKS, SIGTERM, NULL);
    ck_assert_int_eq(zygote_next(z, &event), 0);
    end_zygote(z);
    read_output(&output, text, sizeof text);
}
END_TEST

/* The one who started it is killed; we are the next subreaper. */
START_TEST(nothing_outlives_the_caller)
{
    struct output output = make_output();
    char text[100];
    pid_t caller = fork();
    int status;

    if (caller == 0) {
        struct zygote *z = start_zygote(&plan, 1);
        prepare(z, 1, 0, FAMILY);
        start_rank(z, 1, 1, &output);
        pause();
    }
    ck_assert_int_eq(read(output.read_end, text, 6), 6);
    kill(caller, SIGKILL);
    ck_assert_int_eq(waitpid(caller, NULL, 0), caller);
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert_int_eq(status, 0); /* the zygote, which has cleaned up */
    check_childless();
    read_output(&output, text, sizeof text);
}
END_TEST

/* Some programs start others so; the kernel then reaps before we can look. */
START_TEST(ignored_SIGCHLD_does_not_matter)
{
    struct zygote *z;
    char text[100];

    signal(SIGCHLD, SIG_IGN);
    z = start_zygote(&plan, 1);
    run_script(z, 0, "sleep 0; exit 3", 3 << 8, text, sizeof text);
    kill(pid_of_zygote(z), SIGKILL);
    expect(z, ZYGOTE_GONE, 0);
    end_zygote(z);
}
END_TEST

/* ctrun itself takes care that they are open; then we are lucky. */
START_TEST(closed_standard_descriptors)
{
    struct output output = make_output();
    char text[100];
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct zygote *z;
        output.write_end = fcntl(output.write_end, F_DUPFD_CLOEXEC, 30);
        for (int fd = 0; fd < 4; fd++)
            close(fd);
        z = start_zygote(&plan, 1);
        ck_assert_int_le(zygote_fd(z), 3);
        prepare(z, 1, 0, "[ ! -e /proc/$$/fd/3 ] && echo fine");
        start_rank(z, 1, 1, &output);
        expect(z, ZYGOTE_EXITED, 1);
        end_zygote(z);
        _exit(0);
    }
    read_output(&output, text, sizeof text);
    ck_assert_str_eq(text, "fine\n");
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- ranks that another has started ---- */

static void check_list(const char *const *list, const char *const *expected)
{
    for (; *expected != NULL; expected++, list++) {
        ck_assert_ptr_nonnull(*list);
        ck_assert_str_eq(*list, *expected);
    }
    ck_assert_ptr_null(*list);
}

static void check_lent(const struct lent *lent, const char *workdir,
                       bool required)
{
    static const char *const none[] = {NULL}, *const env[] = {
                                                  "PATH=/usr/bin:/bin",
                                                  "A=host", "B=plan", "C=plan",
                                                  NULL};

    ck_assert_str_eq(strrchr(lent->path, '/'), "/sh");
    ck_assert_str_eq(lent->workdir, workdir);
    ck_assert(lent->workdir_required == required);
    ck_assert_ptr_null(lent->home);
    check_list(lent->scratch, none);
    check_list(lent->env, env);
    ck_assert_int_eq(lent->fds[0], -1);
    ck_assert_int_eq(lent->fds[1], -1);
}

START_TEST(without_container_facts_are_lent)
{
    char *argv[] = {"sh", NULL};
    struct zygote_app app = {.app = 2, .argv = argv, .workdir = top};
    struct zygote *z = start_zygote(&plan, 1);
    struct lent lent;

    prepare(z, 1, 0, "exit");
    ck_assert_int_eq(zygote_prepare(z, &app, NULL), 0);
    expect(z, ZYGOTE_PREPARED, 2);
    for (int i = 0; i < 2; i++) {
        lent = lend(z, 1);
        check_lent(&lent, "/", false);
        give_back(&lent);
        lent = lend(z, 2);
        check_lent(&lent, top, true);
        give_back(&lent);
    }
    end_zygote(z);
}
END_TEST

START_TEST(what_was_not_prepared_is_not_lent)
{
    struct zygote *z = start_zygote(&plan, 1);
    struct lent lent;

    ask_to_prepare(z, 3, 0, "no-such-command", "");
    expect(z, ZYGOTE_PREPARE_FAILED, 3);
    ck_assert_int_eq(zygote_lend(z, 3, NULL), 0);
    ck_assert_int_eq(zygote_lend(z, 4, NULL), 0);
    prepare(z, 5, 0, "exit");
    lent = lend(z, 5); /* and no answer came before */
    give_back(&lent);
    end_zygote(z);
}
END_TEST

/*
 * A process of ours that waits for its end; before a zygote is started, whose
 * socket it would keep open. Check catches signals for all.
 */
static pid_t start_foreign(void)
{
    pid_t pid;

    signal(SIGTERM, SIG_DFL);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    ck_assert_int_gt(pid, 0);
    return pid;
}

static bool is_running(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Theirs alone: they are in our process group. */
START_TEST(adopted_are_signalled)
{
    pid_t a = start_foreign(), b = start_foreign(), c = start_foreign();
    struct zygote *z = start_zygote(&plan, 1);

    adopt(z, 1, a);
    adopt(z, 2, b);
    adopt(z, 3, c);
    ck_assert_int_eq(zygote_signal(z, 2, SIGTERM, NULL), 0);
    ck_assert_int_eq(end_of(b), SIGTERM);
    ck_assert_int_eq(zygote_signal(z, 2, SIGTERM, NULL), 0);
    check_script(z, 0, "echo alive", "alive\n");
    ck_assert(is_running(a) && is_running(c));
    ck_assert_int_eq(zygote_signal(z, ZYGOTE_ALL_RANKS, SIGUSR1, NULL), 0);
    ck_assert_int_eq(end_of(a), SIGUSR1);
    ck_assert_int_eq(end_of(c), SIGUSR1);
    end_zygote(z);
}
END_TEST

/* Others hear of it, not the zygote's caller. */
START_TEST(ends_of_adopted_are_not_told)
{
    pid_t pid = start_foreign();
    struct zygote *z = start_zygote(&plan, 1);

    adopt(z, 1, pid);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(end_of(pid), SIGKILL);
    check_script(z, 0, "echo alive", "alive\n");
    end_zygote(z);
}
END_TEST

static int told; /* where to tell the number of orphans */

static void tell_orphans(unsigned ranks)
{
    if (write(told, &ranks, sizeof ranks) != sizeof ranks)
        _exit(1);
}

static struct output count_orphans(void)
{
    struct output output = make_output();

    told = output.write_end;
    orphaned = tell_orphans;
    return output;
}

/* Told once; or, with 0, not at all. */
static void check_told(struct output *output, unsigned expected)
{
    unsigned ranks = 0;

    close(output->write_end);
    if (expected > 0) {
        ck_assert_int_eq(read(output->read_end, &ranks, sizeof ranks),
                         sizeof ranks);
        ck_assert_uint_eq(ranks, expected);
    }
    ck_assert_int_eq(read(output->read_end, &ranks, sizeof ranks), 0);
    close(output->read_end);
}

/* It has ended, and nobody has asked how. */
static void make_zombie(pid_t pid)
{
    siginfo_t info;

    ck_assert_int_eq(kill(pid, SIGTERM), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

START_TEST(what_still_runs_is_counted_and_ended)
{
    struct output orphans = count_orphans();
    pid_t ended = start_foreign(), running = start_foreign();
    struct zygote *z = start_zygote(&plan, 1);

    prepare(z, 1, 0, "exit");
    start_rank(z, 1, 1, NULL);
    expect(z, ZYGOTE_EXITED, 1);
    prepare(z, 2, 0, "sleep 1000");
    start_rank(z, 2, 2, NULL);
    adopt(z, 3, ended);
    adopt(z, 4, running);
    make_zombie(ended);
    zygote_destroy(z);
    ck_assert_int_eq(end_of(running), SIGKILL);
    ck_assert_int_eq(end_of(ended), SIGTERM);
    check_childless();
    check_told(&orphans, 2);
}
END_TEST

START_TEST(nothing_is_said_when_nothing_runs)
{
    struct output orphans = count_orphans();
    pid_t zombie = start_foreign(), gone = start_foreign();
    struct zygote *z = start_zygote(&plan, 1);

    adopt(z, 1, zombie);
    adopt(z, 2, gone);
    make_zombie(zombie);
    ck_assert_int_eq(kill(gone, SIGTERM), 0);
    ck_assert_int_eq(end_of(gone), SIGTERM);
    check_script(z, 0, "echo alive", "alive\n");
    zygote_destroy(z);
    ck_assert_int_eq(end_of(zombie), SIGTERM);
    check_childless();
    check_told(&orphans, 0);
}
END_TEST

/* ---- an owner that goes, or is silent ---- */

enum owner { SAYS_NOTHING, SAYS_IT_ONCE, GOES_ON_SAYING_IT };

static _Noreturn void own(enum owner kind, pid_t foreign, int ready)
{
    struct zygote *z = start_zygote(&plan, 1);

    prepare(z, 1, 0, "sleep 1000");
    start_rank(z, 1, 1, NULL);
    adopt(z, 2, foreign);
    if (kind != SAYS_NOTHING)
        zygote_alive(z, NULL);
    if (write(ready, "", 1) != 1)
        _exit(1);
    if (kind == SAYS_IT_ONCE)
        raise(SIGSTOP);
    for (;;) {
        poll(NULL, 0, 500);
        if (kind == GOES_ON_SAYING_IT)
            zygote_alive(z, NULL);
    }
}

/* A process that has a zygote; it runs when this returns. */
static pid_t start_owner(enum owner kind, pid_t foreign)
{
    struct output ready = make_output();
    pid_t pid = fork();
    char byte;

    if (pid == 0)
        own(kind, foreign, ready.write_end);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(read(ready.read_end, &byte, 1), 1);
    close(ready.read_end);
    close(ready.write_end);
    return pid;
}

/* How a zygote ended whose owner has gone; there are no other children. */
static int zygotes_end(void)
{
    int status;

    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    return status;
}

START_TEST(adopted_end_with_the_zygotes_owner)
{
    struct output orphans = count_orphans();
    pid_t foreign = start_foreign(), owner = start_owner(SAYS_NOTHING, foreign);

    ck_assert(is_running(foreign));
    ck_assert_int_eq(kill(owner, SIGKILL), 0);
    ck_assert_int_eq(end_of(owner), SIGKILL);
    ck_assert_int_eq(end_of(foreign), SIGKILL);
    ck_assert_int_eq(zygotes_end(), 0);
    check_childless();
    check_told(&orphans, 2);
}
END_TEST

/* Three owners at once, since this takes longer than ZYGOTE_SILENCE. */
START_TEST(a_silent_owner_is_taken_for_gone)
{
    struct output orphans;
    struct timespec begin, end;
    pid_t foreigns[3], owners[3];

    for (int i = 0; i < 3; i++)
        foreigns[i] = start_foreign();
    owners[SAYS_NOTHING] = start_owner(SAYS_NOTHING, foreigns[SAYS_NOTHING]);
    owners[GOES_ON_SAYING_IT] =
        start_owner(GOES_ON_SAYING_IT, foreigns[GOES_ON_SAYING_IT]);
    orphans = count_orphans();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    owners[SAYS_IT_ONCE] = start_owner(SAYS_IT_ONCE, foreigns[SAYS_IT_ONCE]);
    ck_assert_int_eq(end_of(owners[SAYS_IT_ONCE]), SIGKILL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    ck_assert_int_ge(end.tv_sec - begin.tv_sec, ZYGOTE_SILENCE);
    ck_assert_int_eq(end_of(foreigns[SAYS_IT_ONCE]), SIGKILL);
    check_told(&orphans, 2);
    for (int i = SAYS_NOTHING; i <= GOES_ON_SAYING_IT; i += 2) {
        ck_assert(is_running(owners[i]) && is_running(foreigns[i]));
        ck_assert_int_eq(kill(owners[i], SIGKILL), 0);
        ck_assert_int_eq(end_of(owners[i]), SIGKILL);
        ck_assert_int_eq(end_of(foreigns[i]), SIGKILL);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(zygotes_end(), 0);
    check_childless();
}
END_TEST

static TCase *make_case(void)
{
    TCase *tc = tcase_create("zygote");

    tcase_set_timeout(tc, TIMEOUT);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, starts_and_ends);
    tcase_add_test(tc, prepared_commands_are_described);
    tcase_add_test(tc, commands_that_are_not_there);
    tcase_add_test(tc, commands_are_looked_for_where_asked);
    tcase_add_test(tc, requests_that_make_no_sense);
    tcase_add_test(tc, too_much_for_one_request);
    tcase_add_test(tc, much_for_one_request);
    tcase_add_test(tc, ranks_run_and_end);
    tcase_add_test(tc, later_variables_win);
    tcase_add_test(tc, ranks_that_cannot_start);
    tcase_add_test(tc, working_directories);
    tcase_add_test(tc, descriptors_are_sent);
    tcase_add_test(tc, many_ranks);
    tcase_add_test(tc, signals_reach_what_a_rank_has_started);
    tcase_add_test(tc, signals_spare_the_callers_group);
    tcase_add_test(tc, nothing_outlives_the_zygotes_end);
    tcase_add_test(tc, nothing_outlives_a_killed_zygote);
    tcase_add_test(tc, nothing_outlives_the_caller);
    tcase_add_test(tc, ignored_SIGCHLD_does_not_matter);
    tcase_add_test(tc, closed_standard_descriptors);
    tcase_add_test(tc, without_container_facts_are_lent);
    tcase_add_test(tc, what_was_not_prepared_is_not_lent);
    tcase_add_test(tc, adopted_are_signalled);
    tcase_add_test(tc, ends_of_adopted_are_not_told);
    tcase_add_test(tc, what_still_runs_is_counted_and_ended);
    tcase_add_test(tc, nothing_is_said_when_nothing_runs);
    tcase_add_test(tc, adopted_end_with_the_zygotes_owner);
    tcase_add_test(tc, a_silent_owner_is_taken_for_gone);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("zygote");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, make_case());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
