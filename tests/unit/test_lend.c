/*
 * Ranks that another launcher has started: processes of ours, no children of
 * the zygote, that enter the container which it lends.
 */
#include "agent/member.h"
#include "agent/member_wire.h"
#include "base/packet.h"
#include "container/environ.h"
#include "tests/unit/zygote.h"

#include <sys/socket.h>

enum { NOT_BECOME = 99 }; /* exit code where rank_become() has returned */

static struct plan plans[2];

static void set_up(void)
{
    make_image();
}

static void tear_down(void)
{
    plan_clear(&plans[0]);
    plan_clear(&plans[1]);
    remove_top();
}

static const struct plan_request plain;

/* An application, 1, that is prepared, and what is lent for it. */
static struct zygote *start(struct plan_request request, struct lent *ret)
{
    struct zygote *z;

    plans[0] = image_plan(request);
    z = start_zygote(plans, 1);
    prepare(z, 1, 0, "sleep 1000");
    *ret = lend(z, 1);
    return z;
}

static void end(struct zygote *z, struct lent *lent)
{
    give_back(lent);
    end_zygote(z);
}

/* ---- becoming a rank ---- */

static const struct rank_common contained = {.container = true};

/* `sh -c script` on our own standard streams, as agent/become.c has it. */
static struct rank_start shell(const struct lent *lent, const char *script,
                               char *argv[4])
{
    struct rank_start start = {
        .common = &contained,
        .scratch = (char *const *)lent->scratch,
        .path = lent->path,
        .argv = argv,
        .env = (char *const *)lent->env,
        .workdir = lent->workdir,
        .workdir_else = {"/"},
        .fds = {0, 1, 2, -1},
    };

    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = (char *)script;
    argv[3] = NULL;
    return start;
}

/* Its output, or else what the error was, is in *output. */
static pid_t become(const struct rank_start *start, const int fds[2],
                    const struct output *output)
{
    struct ct_error err = {0};
    pid_t pid;

    signal(SIGTERM, SIG_DFL); /* Check catches it for all */
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return pid;
    if (output != NULL && dup2(output->write_end, 1) < 0)
        _exit(1);
    rank_become(start, fds[0], fds[1], &err);
    dprintf(1, "%d %s\n", err.code, err.text);
    _exit(NOT_BECOME);
}

/* To its end, which must be exit(code). */
static void check_become(const struct rank_start *start, const int fds[2],
                         int code, const char *expected)
{
    struct output output = make_output();
    char text[4096];
    pid_t pid = become(start, fds, &output);

    read_output(&output, text, sizeof text);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(end_of(pid), code << 8);
}

static void check_in(const struct lent *lent, const char *script,
                     const char *expected)
{
    char *argv[4];
    struct rank_start start = shell(lent, script, argv);

    check_become(&start, lent->fds, 0, expected);
}

static void check(struct plan_request request, const char *script,
                  const char *expected)
{
    struct lent lent;
    struct zygote *z = start(request, &lent);

    check_in(&lent, script, expected);
    end(z, &lent);
}

/* ---- what is lent ---- */

static void check_namespace(int fd, pid_t pid, const char *name, bool same)
{
    char path[60];
    struct stat theirs, st;

    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    ck_assert_int_eq(stat(path, &theirs), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert(same ==
              (theirs.st_dev == st.st_dev && theirs.st_ino == st.st_ino));
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

START_TEST(a_container_is_two_descriptors)
{
    static char *const dirs[] = {"/s", "/t", NULL};
    struct lent lent;
    struct zygote *z = start((struct plan_request){.scratch = dirs}, &lent);
    pid_t rank = start_rank(z, 1, 1, NULL);

    check_namespace(lent.fds[0], rank, "user", true);
    check_namespace(lent.fds[0], getpid(), "user", false);
    check_namespace(lent.fds[1], rank, "mnt", false);
    check_namespace(lent.fds[1], getpid(), "mnt", false);
    ck_assert_str_eq(lent.path, "/usr/bin/sh");
    ck_assert_str_eq(lent.workdir, "/");
    ck_assert(!lent.workdir_required);
    ck_assert_ptr_null(lent.home);
    ck_assert_str_eq(lent.scratch[0], "/s");
    ck_assert_str_eq(lent.scratch[1], "/t");
    ck_assert_ptr_null(lent.scratch[2]);
    end(z, &lent);
}
END_TEST

/* Whichever of them the zygote is in at the moment. */
START_TEST(each_plan_has_its_own)
{
    struct lent inside, outside;
    struct zygote *z;

    plans[0] = image_plan(plain);
    plans[1] = bare_plan();
    z = start_zygote(plans, 2);
    prepare(z, 1, 0, "exit");
    prepare(z, 2, 1, "exit");
    for (int i = 0; i < 2; i++) {
        inside = lend(z, 1);
        outside = lend(z, 2);
        ck_assert_int_eq(outside.fds[0], -1);
        ck_assert_int_eq(outside.fds[1], -1);
        check_in(&inside, "cat /marker", "here\n");
        give_back(&inside);
        give_back(&outside);
    }
    end_zygote(z);
}
END_TEST

/* ---- inside ---- */

START_TEST(it_is_in_the_container)
{
    char expected[100];

    snprintf(expected, sizeof expected, "here\n%u %u\n", (unsigned)geteuid(),
             (unsigned)getegid());
    check(plain, "cat /marker; echo $(id -u) $(id -g)", expected);
}
END_TEST

START_TEST(it_has_the_hosts_libraries)
{
    char dir[100];

    make_dir("libs");
    make_file("libs/libpmi.so.0", 0644, "host's\n");
    make_dir("image/opt");
    make_file("image/opt/libpmi.so.0", 0644, "image's\n");
    snprintf(dir, sizeof dir, "%s/libs", top);
    check((struct plan_request){.pmi_dir = dir, .pmi_all = true},
          "cat /opt/libpmi.so.0", "host's\n");
}
END_TEST

START_TEST(it_has_no_privilege)
{
    check(plain,
          "while read name value; do case $name in\n"
          "Cap???:|NoNewPrivs:) echo $name $value;; esac; done"
          " < /proc/self/status",
          "CapInh: 0000000000000000\nCapPrm: 0000000000000000\n"
          "CapEff: 0000000000000000\nCapBnd: 0000000000000000\n"
          "CapAmb: 0000000000000000\nNoNewPrivs: 1\n");
}
END_TEST

START_TEST(it_has_its_descriptors_alone)
{
    static const char show[] = "for f in /proc/$$/fd/*; do\n"
                               "[ ! -e $f ] || echo ${f##*/}; done";
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    struct output pmi = make_output();
    char *argv[4];
    struct rank_start start = shell(&lent, show, argv);
    int open_fds[8];

    for (int i = 0; i < 8; i++)
        ck_assert_int_ge(open_fds[i] = dup(STDERR_FILENO), 0);
    check_become(&start, lent.fds, 0, "0\n1\n2\n");
    start.fds[RANK_PMI_FD] = pmi.write_end;
    check_become(&start, lent.fds, 0, "0\n1\n2\n3\n");
    for (int i = 0; i < 8; i++)
        close(open_fds[i]);
    close(pmi.read_end);
    close(pmi.write_end);
    end(z, &lent);
}
END_TEST

static int read_line(const struct output *output, char *ret, size_t room)
{
    size_t used = 0;

    while (used + 1 < room && read(output->read_end, ret + used, 1) == 1 &&
           ret[used] != '\n')
        used++;
    ret[used] = '\0';
    return (int)used;
}

/* Of itself, of a rank of the zygote's, and of another like itself. */
START_TEST(it_shares_all_but_mounts)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    pid_t rank = start_rank(z, 1, 1, NULL), pids[2];
    struct output output;
    char *argv[4], ready[10];
    struct rank_start start = shell(&lent, "echo ready; exec sleep 1000", argv);

    for (int i = 0; i < 2; i++) {
        output = make_output();
        pids[i] = become(&start, lent.fds, &output);
        ck_assert_int_eq(read_line(&output, ready, sizeof ready), 5);
        close(output.read_end);
        close(output.write_end);
    }
    for (int i = 0; i < 2; i++) {
        static const char *const shared[] = {"user", "pid", "net", "ipc"};
        char path[60];
        int ns;
        for (int k = 0; k < 4; k++) {
            snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)rank, shared[k]);
            ns = open(path, O_RDONLY | O_CLOEXEC);
            check_namespace(ns, pids[i], shared[k], true);
            close(ns);
        }
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pids[i]);
        ns = open(path, O_RDONLY | O_CLOEXEC);
        check_namespace(ns, rank, "mnt", false);
        check_namespace(ns, pids[1 - i], "mnt", false);
        close(ns);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
        ck_assert_int_eq(end_of(pids[i]), SIGKILL);
    }
    end(z, &lent);
}
END_TEST

/* As MPIs do to copy from one rank's memory to another's. */
START_TEST(it_and_the_zygotes_ranks_may_look_at_each_other)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    pid_t rank = start_rank(z, 1, 1, NULL), pid;
    struct output output = make_output();
    char script[100], *argv[4], ready[10];
    struct rank_start start = shell(&lent, "echo ready; exec sleep 1000", argv);

    snprintf(script, sizeof script, "ls /proc/%d/fd", (int)rank);
    check_in(&lent, script, "0\n1\n2\n");
    pid = become(&start, lent.fds, &output);
    ck_assert_int_eq(read_line(&output, ready, sizeof ready), 5);
    snprintf(script, sizeof script, "ls /proc/%d/fd", (int)pid);
    check_script(z, 0, script, "0\n1\n2\n");
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(end_of(pid), SIGKILL);
    close(output.read_end);
    close(output.write_end);
    end(z, &lent);
}
END_TEST

/* A mount that one has makes no difference to others. */
START_TEST(its_mounts_are_its_own)
{
    static char *const scratch[] = {"/etc", NULL};
    static const char count[] = "grep -c ' /etc .* - tmpfs' "
                                "/proc/self/mountinfo; ls -A /etc | wc -l";
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    char *argv[4], others[100];
    struct rank_start start = shell(&lent, count, argv);

    run_script(z, 0, count, 0, others, sizeof others);
    start.scratch = scratch;
    check_become(&start, lent.fds, 0, "1\n0\n");
    ck_assert_int_eq(strncmp(others, "0\n", 2), 0);
    check_in(&lent, count, others);
    check_script(z, 0, count, others);
    end(z, &lent);
}
END_TEST

START_TEST(scratch_is_its_own)
{
    static char *const dirs[] = {"/s", NULL};
    static const char use[] = "ls -A /s; echo 1 > /s/x; cat /s/x";
    struct lent lent;
    struct zygote *z = start((struct plan_request){.scratch = dirs}, &lent);

    check_in(&lent, use, "1\n");
    check_in(&lent, use, "1\n");
    check_script(z, 0, use, "1\n");
    check_in(&lent, "umask 0; stat -c '%a' /s; echo > /s/y; ls -A /s",
             "700\ny\n");
    end(z, &lent);
}
END_TEST

START_TEST(its_environment_is_the_applications)
{
    static const char *const own[] = {"A=own", "D=own", NULL};
    static char *const set[] = {"B=set", NULL};
    struct lent lent;
    struct zygote *z = start((struct plan_request){.env = set}, &lent);
    char *argv[4];
    struct rank_start start =
        shell(&lent, "echo $A $B ${C-none} $D; echo $PATH", argv);
    const char **env = environ_join((char *const *)lent.env, own);
    char expected[200];

    start.env = (char *const *)env;
    snprintf(expected, sizeof expected, "own set none own\n%s\n",
             environ_default_path);
    check_become(&start, lent.fds, 0, expected);
    free(env);
    end(z, &lent);
}
END_TEST

/* ---- it stays what it was ---- */

START_TEST(pid_and_exit_code_are_its_own)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    struct output output = make_output();
    char *argv[4], text[100], expected[100];
    struct rank_start start = shell(&lent, "echo $$ $PPID; exit 7", argv);
    pid_t pid = become(&start, lent.fds, &output);

    snprintf(expected, sizeof expected, "%d %d\n", (int)pid, (int)getpid());
    read_output(&output, text, sizeof text);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(end_of(pid), 7 << 8);
    start = shell(&lent, "kill -TERM $$", argv);
    ck_assert_int_eq(end_of(become(&start, lent.fds, NULL)), SIGTERM);
    end(z, &lent);
}
END_TEST

/* ---- working directories ---- */

START_TEST(working_directories)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    char *argv[4], expected[200];
    struct rank_start start = shell(&lent, "pwd", argv);

    check_become(&start, lent.fds, 0, "/\n");
    start.workdir = "/etc";
    check_become(&start, lent.fds, 0, "/etc\n");
    start.workdir = "/no/such/place";
    start.workdir_else[0] = "/no/such/home";
    start.workdir_else[1] = "/usr";
    check_become(&start, lent.fds, 0, "/usr\n");
    start.workdir_else[0] = start.workdir_else[1] = NULL;
    snprintf(expected, sizeof expected,
             "%d cannot enter the working directory /no/such/place: "
             "No such file or directory\n",
             ECANCELED);
    check_become(&start, lent.fds, NOT_BECOME, expected);
    end(z, &lent);
}
END_TEST

/* ---- what cannot be ---- */

/* ENOENT and EACCES are the command's, and nothing else's. */
static const struct {
    const char *path, *scratch;
    bool no_userns, no_mntns;
    int code;
    const char *text;
} failures[] = {
    {"/no/such", NULL, false, false, ENOENT,
     "cannot execute /no/such: No such file or directory"},
    {"/marker", NULL, false, false, EACCES,
     "cannot execute /marker: Permission denied"},
    {"/usr", NULL, false, false, EACCES,
     "cannot execute /usr: Permission denied"},
    {"/script", NULL, false, false, ENOENT,
     "cannot execute /script: the interpreter or loader it names is not there"},
    {"/neither", NULL, false, false, EACCES,
     "cannot execute /neither: neither a program of this machine nor a script "
     "with #!"},
    {"/usr/bin/sh", "/no/such", false, false, ECANCELED,
     "cannot mount /no/such: No such file or directory"},
    {"/usr/bin/sh", NULL, true, false, EBADF,
     "cannot enter the node's user namespace: Bad file descriptor"},
    {"/usr/bin/sh", NULL, false, true, EBADF,
     "cannot enter the container: Bad file descriptor"},
};

START_TEST(what_cannot_become_a_rank)
{
    char *argv[4], *scratch[] = {(char *)failures[_i].scratch, NULL};
    struct lent lent;
    struct zygote *z;
    struct rank_start rank;
    char expected[400];

    make_file("image/script", 0755, "#!/no/such\n");
    make_file("image/neither", 0755, "\1\2\3neither");
    z = start(plain, &lent);
    rank = shell(&lent, "exit", argv);
    rank.path = failures[_i].path;
    rank.scratch = scratch;
    const int fds[] = {failures[_i].no_userns ? -1 : lent.fds[0],
                       failures[_i].no_mntns ? -1 : lent.fds[1]};
    snprintf(expected, sizeof expected, "%d %s\n", failures[_i].code,
             failures[_i].text);
    check_become(&rank, fds, NOT_BECOME, expected);
    end(z, &lent);
}
END_TEST

/* ---- the zygote and those that it has adopted ---- */

static pid_t become_waiting(const struct lent *lent)
{
    struct output output = make_output();
    char *argv[4], ready[10];
    struct rank_start start = shell(lent, "echo ready; exec sleep 1000", argv);
    pid_t pid = become(&start, lent->fds, &output);

    ck_assert_int_eq(read_line(&output, ready, sizeof ready), 5);
    close(output.read_end);
    close(output.write_end);
    return pid;
}

START_TEST(adopted_are_signalled_and_ended)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    pid_t a = become_waiting(&lent), b = become_waiting(&lent);

    adopt(z, 1, a);
    adopt(z, 2, b);
    ck_assert_int_eq(zygote_signal(z, 1, SIGTERM, NULL), 0);
    ck_assert_int_eq(end_of(a), SIGTERM);
    ck_assert_int_eq(waitpid(b, NULL, WNOHANG), 0);
    give_back(&lent);
    zygote_destroy(z);
    ck_assert_int_eq(end_of(b), SIGKILL);
    check_childless();
}
END_TEST

/* Those that have not been adopted are nobody's but their parent's. */
START_TEST(others_are_left_alone)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    pid_t pid = become_waiting(&lent);

    ck_assert_int_eq(zygote_signal(z, ZYGOTE_ALL_RANKS, SIGTERM, NULL), 0);
    check_script(z, 0, "echo alive", "alive\n");
    give_back(&lent);
    zygote_destroy(z);
    ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(end_of(pid), SIGKILL);
    check_childless();
}
END_TEST

/* We are the subreaper of the owner's children. */
START_TEST(adopted_end_with_the_zygotes_owner)
{
    struct output output = make_output();
    pid_t pids[2];
    int status;

    plans[0] = image_plan(plain);
    pids[0] = fork();
    if (pids[0] == 0) {
        struct zygote *z = start_zygote(plans, 1);
        struct lent lent;
        prepare(z, 1, 0, "exit");
        lent = lend(z, 1);
        pids[1] = become_waiting(&lent);
        adopt(z, 1, pids[1]);
        if (write(output.write_end, &pids[1], sizeof(pid_t)) > 0)
            pause();
    }
    ck_assert_int_eq(read(output.read_end, &pids[1], sizeof(pid_t)),
                     sizeof(pid_t));
    ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    ck_assert_int_eq(end_of(pids[0]), SIGKILL);
    ck_assert_int_eq(end_of(pids[1]), SIGKILL);
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert_int_eq(status, 0);
    check_childless();
    close(output.read_end);
    close(output.write_end);
}
END_TEST

/* ---- all of it together ---- */

/* What an agent sends on is what the member takes. */
START_TEST(members_become_ranks)
{
    struct lent lent;
    struct zygote *z = start(plain, &lent);
    struct output output = make_output();
    char *argv[] = {"sh", "-c", "cat /marker; echo $A $R; ls /proc/$$/fd",
                    NULL},
         *own[] = {"R=rank", NULL}, text[100];
    struct pack p = {0};
    int pair[2];
    pid_t pid;

    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pack_u32(&p, MEMBER_RUN);
    pack_u32(&p, MEMBER_HAS_CONTAINER);
    pack_list(&p, own);
    pack_bytes(&p, lent.bytes, lent.len);
    ck_assert_int_eq(packet_send(pair[0], p.bytes, p.len, lent.fds, 2, 0),
                     (ssize_t)p.len);
    pid = fork();
    if (pid == 0) {
        struct member_end how;
        if (dup2(output.write_end, 1) == 1)
            member_become(pair[1], argv, &how, NULL);
        _exit(NOT_BECOME);
    }
    close(pair[1]);
    read_output(&output, text, sizeof text);
    ck_assert_str_eq(text, "here\nhost rank\n0\n1\n2\n");
    ck_assert_int_eq(end_of(pid), 0);
    ck_assert_int_eq(read(pair[0], text, 1), 0); /* nothing was said */
    close(pair[0]);
    free(p.bytes);
    end(z, &lent);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static TCase *make_case(void)
{
    TCase *tc = tcase_create("lend");

    tcase_set_timeout(tc, TIMEOUT);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_container_is_two_descriptors);
    tcase_add_test(tc, each_plan_has_its_own);
    tcase_add_test(tc, it_is_in_the_container);
    tcase_add_test(tc, it_has_the_hosts_libraries);
    tcase_add_test(tc, it_has_no_privilege);
    tcase_add_test(tc, it_has_its_descriptors_alone);
    tcase_add_test(tc, it_shares_all_but_mounts);
    tcase_add_test(tc, it_and_the_zygotes_ranks_may_look_at_each_other);
    tcase_add_test(tc, its_mounts_are_its_own);
    tcase_add_test(tc, scratch_is_its_own);
    tcase_add_test(tc, its_environment_is_the_applications);
    tcase_add_test(tc, pid_and_exit_code_are_its_own);
    tcase_add_test(tc, working_directories);
    tcase_add_loop_test(tc, what_cannot_become_a_rank, 0, COUNT(failures));
    tcase_add_test(tc, adopted_are_signalled_and_ended);
    tcase_add_test(tc, others_are_left_alone);
    tcase_add_test(tc, adopted_end_with_the_zygotes_owner);
    tcase_add_test(tc, members_become_ranks);
    return tc;
}

int main(void)
{
    return run_contained("lend", make_case());
}
