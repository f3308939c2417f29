/*
 * What needs no container; the rest is test_lend.c's and test_template.c's. The
 * ranks are /bin/sh, whose output is read through pipes; descriptors for them
 * are moved above RANK_PMI_FD, as they must be.
 */
#include "container/rank.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/test_rank.XXXXXX";

static void make_file(const char *name, mode_t mode, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* bin: prog, plain, self, dir, link, nowhere, loop; other: prog, plain; all in
 * top */
static void make_tree(void)
{
    umask(022);
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chdir(top), 0);
    ck_assert_int_eq(mkdir("bin", 0755), 0);
    ck_assert_int_eq(mkdir("bin/dir", 0755), 0);
    ck_assert_int_eq(mkdir("other", 0755), 0);
    make_file("bin/prog", 0755, "#!/bin/sh\necho \"$0\" \"$@\"\n");
    make_file("bin/plain", 0644, "");
    make_file("bin/self", 0755, "#!bin/self\n");
    make_file("other/prog", 0755, "#!/no/such/interpreter\n");
    make_file("other/plain", 0755, "\1\2\3neither");
    ck_assert_int_eq(symlink("prog", "bin/link"), 0);
    ck_assert_int_eq(symlink("none", "bin/nowhere"), 0);
    ck_assert_int_eq(symlink("loop", "bin/loop"), 0);
}

static void remove_tree(void)
{
    static const char *const names[] = {
        "bin/prog",    "bin/plain", "bin/self",    "bin/dir",
        "bin/link",    "bin/loop",  "bin/nowhere", "other/prog",
        "other/plain", "bin",       "other",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(remove(names[i]), 0);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(top), 0);
}

/* ---- rank_find_command ---- */

/* '@' stands for the tree; workdir is the tree. */
static const struct find {
    const char *name, *path;
    const char *found; /* NULL: an error */
    int code;
    const char *text;
} finds[] = {
    {"@/bin/prog", NULL, "@/bin/prog", 0, NULL},
    {"@/bin/link", "", "@/bin/link", 0, NULL},
    {"bin/prog", "@/other", "@/bin/prog", 0, NULL},
    {"./bin/prog", NULL, "@/./bin/prog", 0, NULL},
    {"prog", "@/bin", "@/bin/prog", 0, NULL},
    {"prog", "@/none:@/bin/prog:@/bin:@/other", "@/bin/prog", 0, NULL},
    {"prog", "@/other:@/bin", "@/other/prog", 0, NULL},
    {"plain", "@/bin:@/other", "@/other/plain", 0, NULL},
    {"prog", "none:bin", "@/bin/prog", 0, NULL},
    {"env", NULL, "/usr/bin/env", 0, NULL},
    {"bin/../bin/prog", NULL, "@/bin/../bin/prog", 0, NULL},
    {"@/none", NULL, NULL, ENOENT, "@/none: command not found"},
    {"@/bin/prog/x", NULL, NULL, ENOENT, "@/bin/prog/x: command not found"},
    {"@/bin/nowhere", NULL, NULL, ENOENT, "@/bin/nowhere: command not found"},
    {"@/bin/plain", NULL, NULL, EACCES, "@/bin/plain: not executable"},
    {"@/bin", NULL, NULL, EACCES, "@/bin: not executable"},
    {"@/bin/loop", NULL, NULL, EACCES,
     "@/bin/loop: Too many levels of symbolic links"},
    {"./prog", "@/bin", NULL, ENOENT, "./prog: command not found"},
    {"prog", NULL, NULL, ENOENT, "prog: command not found"},
    {"prog", "", NULL, ENOENT, "prog: command not found"},
    {"prog", "@/none:@", NULL, ENOENT, "prog: command not found"},
    {"none", "@/bin:@/other", NULL, ENOENT, "none: command not found"},
    {"plain", "@/bin", NULL, EACCES, "plain: not executable"},
    {"plain", "@/bin:@/none", NULL, EACCES, "plain: not executable"},
    {"dir", "@/bin", NULL, EACCES, "dir: not executable"},
};

static const char *in_tree(const char *text, char *buf, size_t room)
{
    size_t used = 0;

    if (text == NULL)
        return NULL;
    for (; *text != '\0' && used + 1 < room; text++)
        if (*text == '@')
            used += (size_t)snprintf(buf + used, room - used, "%s", top);
        else
            buf[used++] = *text;
    buf[used] = '\0';
    return buf;
}

START_TEST(finding_commands)
{
    const struct find *row = &finds[_i];
    char name[200], path[400], expected[200];
    struct ct_error err = {0};
    char *found =
        rank_find_command(in_tree(row->name, name, sizeof name),
                          in_tree(row->path, path, sizeof path), top, &err);

    if (row->found != NULL) {
        ck_assert_msg(found != NULL, "%s: %s", name, err.text);
        ck_assert_str_eq(found, in_tree(row->found, expected, sizeof expected));
    } else {
        ck_assert_msg(found == NULL, "%s: found %s", name, found);
        ck_assert_str_eq(err.text,
                         in_tree(row->text, expected, sizeof expected));
        ck_assert_int_eq(err.code, row->code);
    }
    free(found);
}
END_TEST

START_TEST(finding_in_the_working_directory)
{
    char workdir[100], expected[100];
    char *found;

    in_tree("@/bin", workdir, sizeof workdir);
    in_tree("@/bin/prog", expected, sizeof expected);
    found = rank_find_command("prog", "/none::/none", workdir, NULL);
    ck_assert_str_eq(found, expected);
    free(found);
    found = rank_find_command("prog", "/none:", workdir, NULL);
    ck_assert_str_eq(found, expected);
    free(found);
}
END_TEST

START_TEST(errors_that_are_not_the_commands)
{
    struct ct_error err = {.code = ENOENT};

    ck_assert_int_eq(rank_not_the_command(&err), -1);
    ck_assert_int_eq(err.code, ECANCELED);
    err.code = EACCES;
    rank_not_the_command(&err);
    ck_assert_int_eq(err.code, ECANCELED);
    err.code = ENOMEM;
    rank_not_the_command(&err);
    ck_assert_int_eq(err.code, ENOMEM);
    ck_assert_int_eq(rank_not_the_command(NULL), -1);
}
END_TEST

/* ---- rank_start ---- */

static int null;
static struct rank_common common;

static int moved(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 20);

    ck_assert_int_ge(high, 20);
    close(fd);
    return high;
}

static void make_pipe(int ret[2])
{
    ck_assert_int_eq(pipe(ret), 0);
    ret[0] = moved(ret[0]);
    ret[1] = moved(ret[1]);
}

static void make_common(void)
{
    make_tree();
    null = moved(open("/dev/null", O_RDWR | O_CLOEXEC));
    memset(&common, 0, sizeof common);
    sigemptyset(&common.mask);
    common.pipe.sa_handler = SIG_DFL;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &common.files), 0);
}

static char *const no_env[] = {NULL};

/* sh -c script, with nothing but /dev/null. */
static struct rank_start shell(char *script, char *argv[4])
{
    struct rank_start start = {.common = &common,
                               .path = "/bin/sh",
                               .argv = argv,
                               .env = no_env,
                               .fds = {-1, -1, -1, -1},
                               .null = null};
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    argv[3] = NULL;
    return start;
}

static void check_childless(void)
{
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void read_all(int fd, char *ret, size_t room)
{
    size_t used = 0;
    ssize_t n;

    while ((n = read(fd, ret + used, room - used - 1)) > 0)
        used += (size_t)n;
    ret[used] = '\0';
    close(fd);
}

static int run(const struct rank_start *start)
{
    struct ct_error err = {0};
    pid_t pid = rank_start(start, &err);
    int status;

    ck_assert_msg(pid > 0, "%s", err.text);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    check_childless();
    return status;
}

/* What the rank prints; it must end with 0. */
static void check_output(struct rank_start *start, const char *expected)
{
    int out[2];
    char text[4096];

    make_pipe(out);
    start->fds[1] = out[1];
    ck_assert_int_eq(run(start), 0);
    close(out[1]);
    start->fds[1] = -1;
    read_all(out[0], text, sizeof text);
    ck_assert_str_eq(text, expected);
}

/* It must not start, and nothing may be left of it. */
static void check_failure(const struct rank_start *start, int code,
                          const char *text)
{
    struct ct_error err = {0};
    char expected[200];

    ck_assert_int_eq(rank_start(start, &err), -1);
    ck_assert_str_eq(err.text, in_tree(text, expected, sizeof expected));
    ck_assert_int_eq(err.code, code);
    check_childless();
}

static const struct {
    char *script;
    int status; /* as waitpid() has it */
} ends[] = {
    {"exit 0", 0},           {"exit 1", 1 << 8},         {"exit 255", 255 << 8},
    {"kill -9 $$", SIGKILL}, {"kill -TERM $$", SIGTERM},
};

START_TEST(ends_are_the_ranks_own)
{
    char *argv[4];
    struct rank_start start = shell(ends[_i].script, argv);

    ck_assert_int_eq(run(&start), ends[_i].status);
}
END_TEST

START_TEST(arguments_and_environment)
{
    char *argv[4], *env[] = {"A=1 2", "B=", NULL};
    char *prog[] = {"name", "a b", "", NULL};
    struct rank_start start = shell("echo \"$A,${B-none},${C-none}\"", argv);
    char expected[100];

    start.env = env;
    check_output(&start, "1 2,,none\n");
    start.argv = prog;
    start.path = "bin/prog";
    check_output(&start, in_tree("bin/prog a b \n", expected, sizeof expected));
}
END_TEST

START_TEST(working_directories)
{
    char *argv[4], there[100], expected[100];
    struct rank_start start = shell("pwd -P", argv);

    in_tree("@/bin", there, sizeof there);
    in_tree("@/bin\n", expected, sizeof expected);
    start.workdir = there;
    start.workdir_else[0] = "/";
    check_output(&start, expected);
    start.workdir = "/no/such/place";
    start.workdir_else[0] = there;
    start.workdir_else[1] = "/";
    check_output(&start, expected);
    start.workdir_else[0] = "/no/such/home";
    check_output(&start, "/\n");
    start.workdir_else[0] = NULL;
    check_output(&start, "/\n");
    start.workdir_else[1] = NULL;
    check_failure(&start, ECANCELED,
                  "cannot enter the working directory /no/such/place: "
                  "No such file or directory");
    start.workdir = NULL;
    check_output(&start, in_tree("@\n", expected, sizeof expected));
}
END_TEST

static const struct {
    char *path;
    int code;
    const char *text;
} unstartable[] = {
    {"/no/such", ENOENT, "cannot execute /no/such: No such file or directory"},
    {"bin/plain", EACCES, "cannot execute bin/plain: Permission denied"},
    {"bin/dir", EACCES, "cannot execute bin/dir: Permission denied"},
    {"other/prog", ENOENT,
     "cannot execute other/prog: the interpreter or loader it names is not "
     "there"},
    {"bin/self", EACCES,
     "cannot execute bin/self: Too many levels of symbolic links"},
    {"other/plain", EACCES,
     "cannot execute other/plain: neither a program of this machine nor a "
     "script with #!"},
};

START_TEST(what_cannot_be_executed)
{
    char *argv[4];
    struct rank_start start = shell("", argv);

    start.path = unstartable[_i].path;
    check_failure(&start, unstartable[_i].code, unstartable[_i].text);
}
END_TEST

START_TEST(what_is_open_for_writing)
{
    char *argv[4];
    struct rank_start start = shell("", argv);
    int fd = open("bin/prog", O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    start.path = "bin/prog";
    check_failure(&start, EACCES, "cannot execute bin/prog: Text file busy");
    close(fd);
}
END_TEST

#define SHOW_FDS "for f in 0 1 2 3; do [ ! -e /proc/$$/fd/$f ] || echo $f; done"

START_TEST(without_descriptors)
{
    char *argv[4];
    struct rank_start start = shell(SHOW_FDS, argv);

    check_output(&start, "0\n1\n2\n");
    start = shell("readlink /proc/$$/fd/0 /proc/$$/fd/2", argv);
    check_output(&start, "/dev/null\n/dev/null\n");
}
END_TEST

/* Given so that one is in the other's place if they are not copied first. */
START_TEST(descriptors_have_their_places)
{
    char *argv[4], text[100];
    struct rank_start start =
        shell("cat; cat <&3; echo out; echo err >&2; " SHOW_FDS, argv);
    int in[2], pmi[2], err[2];

    make_pipe(in);
    make_pipe(pmi);
    make_pipe(err);
    ck_assert_int_eq(write(in[1], "in\n", 3), 3);
    ck_assert_int_eq(write(pmi[1], "pmi\n", 4), 4);
    ck_assert_int_eq(close(in[1]) | close(pmi[1]), 0);
    start.fds[0] = in[0];
    start.fds[2] = err[1];
    start.fds[3] = pmi[0];
    check_output(&start, "in\npmi\nout\n0\n1\n2\n3\n");
    close(err[1]);
    read_all(err[0], text, sizeof text);
    ck_assert_str_eq(text, "err\n");
    ck_assert_int_ge(fcntl(in[0], F_GETFD), 0); /* still ours */
}
END_TEST

/* A rank that waits for its stdin to end. */
static pid_t start_waiting(pid_t group, int in)
{
    char *argv[4];
    struct rank_start start = shell("read line", argv);

    start.fds[0] = in;
    start.group = group;
    return rank_start(&start, NULL);
}

START_TEST(process_groups)
{
    pid_t leader, member;
    int in[2];

    make_pipe(in);
    leader = start_waiting(0, in[0]);
    member = start_waiting(leader, in[0]);
    ck_assert_int_eq(getpgid(leader), leader);
    ck_assert_int_eq(getpgid(member), leader);
    close(in[1]);
    ck_assert_int_eq(waitpid(leader, NULL, 0), leader);
    ck_assert_int_eq(waitpid(member, NULL, 0), member);
}
END_TEST

START_TEST(a_group_that_is_not_there)
{
    char *argv[4];
    struct rank_start start = shell("exit 0", argv);

    start.group = start_waiting(0, null); /* which ends at once */
    ck_assert_int_eq(waitpid(start.group, NULL, 0), start.group);
    check_failure(&start, EPERM,
                  "cannot join a process group: Operation not permitted");
}
END_TEST

START_TEST(signals_are_as_the_caller_found_them)
{
    char *argv[4];
    struct rank_start start =
        shell("kill -PIPE $$; kill -USR1 $$; echo neither", argv);
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(run(&start), SIGPIPE);
    common.pipe.sa_handler = SIG_IGN;
    ck_assert_int_eq(run(&start), SIGUSR1);
    sigaddset(&common.mask, SIGUSR1);
    check_output(&start, "neither\n");
    ck_assert(signal(SIGPIPE, SIG_DFL) == SIG_IGN); /* ours is as it was */
}
END_TEST

START_TEST(limits_are_as_the_caller_found_them)
{
    char *argv[4];
    struct rank_start start = shell("ulimit -n", argv);

    common.files.rlim_cur = 64;
    check_output(&start, "64\n");
    common.files.rlim_cur = common.files.rlim_max;
    common.files.rlim_cur++;
    check_failure(&start, EINVAL, "cannot set RLIMIT_NOFILE: Invalid argument");
}
END_TEST

static int last_cpu(const cpu_set_t *set)
{
    int cpu = CPU_SETSIZE - 1;

    while (cpu > 0 && !CPU_ISSET(cpu, set))
        cpu--;
    return cpu;
}

START_TEST(cpus)
{
    char *argv[4], expected[16];
    struct rank_start start = shell("while read name list; do\n"
                                    "[ $name != Cpus_allowed_list: ] ||\n"
                                    "echo $list; done < /proc/self/status",
                                    argv);
    cpu_set_t set;
    int cpu;

    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cpu = last_cpu(&set);
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    start.cpus = &set;
    start.cpus_size = sizeof set;
    snprintf(expected, sizeof expected, "%d\n", cpu);
    check_output(&start, expected);
    CPU_ZERO(&set);
    check_failure(&start, EINVAL, "cannot bind to its CPUs: Invalid argument");
}
END_TEST

/* The parent of a rank dies, we as the next subreaper see the rank's end. */
START_TEST(ranks_end_with_their_parent)
{
    int tell[2], in[2], status;
    pid_t parent, rank;

    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    ck_assert_int_eq(pipe(tell), 0);
    make_pipe(in);
    parent = fork();
    if (parent == 0) {
        rank = start_waiting(0, in[0]);
        if (write(tell[1], &rank, sizeof rank) == sizeof rank)
            pause();
    }
    ck_assert_int_eq(read(tell[0], &rank, sizeof rank), sizeof rank);
    ck_assert_int_gt(rank, 0);
    kill(parent, SIGKILL);
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    ck_assert_int_eq(waitpid(rank, &status, 0), rank);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

/* ---- rank_become, without a container ---- */

enum { NOT_BECOME = 99 }; /* exit code where it has returned */

/* In a child of ours, whose stdout output is; how that ended. */
static int become(const struct rank_start *start, int out)
{
    struct ct_error err = {0};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (dup2(out, STDOUT_FILENO) < 0)
            _exit(1);
        rank_become(start, -1, -1, &err);
        dprintf(STDOUT_FILENO, "%d %s\n", err.code, err.text);
        _exit(NOT_BECOME);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* As a member of another's job: standard streams as they are. */
static void check_become(struct rank_start *start, int code,
                         const char *expected)
{
    char text[4096];
    int out[2];

    for (int fd = 0; fd < RANK_PMI_FD; fd++)
        start->fds[fd] = fd;
    make_pipe(out);
    ck_assert_int_eq(become(start, out[1]), code << 8);
    close(out[1]);
    read_all(out[0], text, sizeof text);
    ck_assert_str_eq(text, expected);
}

START_TEST(becoming_sets_the_environment)
{
    char *argv[4], *env[] = {"A=1 2", "B=", NULL};
    struct rank_start start = shell("echo \"$A,${B-none},${C-none}\"", argv);

    setenv("C", "ours", 1);
    start.env = env;
    check_become(&start, 0, "1 2,,none\n");
}
END_TEST

START_TEST(becoming_enters_a_working_directory)
{
    char *argv[4], there[100], expected[200];
    struct rank_start start = shell("pwd -P", argv);

    in_tree("@/bin", there, sizeof there);
    in_tree("@/bin\n", expected, sizeof expected);
    start.workdir = there;
    start.workdir_else[0] = "/";
    check_become(&start, 0, expected);
    start.workdir = "/no/such/place";
    start.workdir_else[0] = there;
    check_become(&start, 0, expected);
    start.workdir_else[0] = NULL;
    start.workdir_else[1] = "/";
    check_become(&start, 0, "/\n");
    start.workdir_else[1] = NULL;
    snprintf(expected, sizeof expected,
             "%d cannot enter the working directory /no/such/place: "
             "No such file or directory\n",
             ECANCELED);
    check_become(&start, NOT_BECOME, expected);
    start.workdir = NULL;
    check_become(&start, 0, in_tree("@\n", expected, sizeof expected));
}
END_TEST

START_TEST(what_cannot_become_a_rank)
{
    char *argv[4], expected[200];
    struct rank_start start = shell("", argv);

    start.path = unstartable[_i].path;
    snprintf(expected, sizeof expected, "%d %s\n", unstartable[_i].code,
             unstartable[_i].text);
    check_become(&start, NOT_BECOME, expected);
}
END_TEST

static const char *const namespaces[] = {"user", "mnt", "pid", "net"};

/* Namespaces, capabilities, process group: they are what they were. */
START_TEST(becoming_keeps_all)
{
    char *argv[4], expected[1000], link[60], path[60];
    struct rank_start start =
        shell("cd /proc/self/ns; readlink user mnt pid net\n"
              "while read name value rest; do case $name in\n"
              "Cap???:|NoNewPrivs:|NSpgid:) echo $name $value;; esac\n"
              "done < /proc/$$/status",
              argv);
    size_t used = 0;
    char line[200], word[40], value[40];
    FILE *status = fopen("/proc/self/status", "re");

    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", namespaces[i]);
        ssize_t len = readlink(path, link, sizeof link - 1);
        ck_assert_int_gt(len, 0);
        used += (size_t)snprintf(expected + used, sizeof expected - used,
                                 "%.*s\n", (int)len, link);
    }
    ck_assert_ptr_nonnull(status);
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "%39s %39s", word, value) == 2 &&
            (strncmp(word, "Cap", 3) == 0 || strcmp(word, "NSpgid:") == 0 ||
             strcmp(word, "NoNewPrivs:") == 0))
            used += (size_t)snprintf(expected + used, sizeof expected - used,
                                     "%s %s\n", word, value);
    fclose(status);
    check_become(&start, 0, expected);
}
END_TEST

/* What the host's launcher has set is its business; so are the pid and end. */
START_TEST(becoming_keeps_limits_and_signals)
{
    char *argv[4];
    struct rank_start start = shell("ulimit -n; kill -USR1 $$; kill -PIPE $$;"
                                    "echo neither",
                                    argv);
    struct rlimit low = common.files;
    sigset_t usr1;

    low.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    signal(SIGPIPE, SIG_IGN);
    check_become(&start, 0, "64\nneither\n");
}
END_TEST

START_TEST(becoming_keeps_the_pid_and_the_end)
{
    char *argv[4], text[40], expected[40];
    struct rank_start start = shell("echo $$; kill -KILL $$", argv);
    int out[2];
    pid_t pid;

    make_pipe(out);
    start.fds[1] = out[1];
    pid = fork();
    if (pid == 0) {
        rank_become(&start, -1, -1, NULL);
        _exit(NOT_BECOME);
    }
    close(out[1]);
    read_all(out[0], text, sizeof text);
    snprintf(expected, sizeof expected, "%d\n", (int)pid);
    ck_assert_str_eq(text, expected);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, SIGKILL);
}
END_TEST

/* One that the host left open beside ours stays open, those of ours do not. */
START_TEST(becoming_keeps_others_descriptors)
{
    char *argv[4];
    struct rank_start start = shell("for f in 3 30 31; do\n"
                                    "[ ! -e /proc/$$/fd/$f ] || echo $f; done",
                                    argv);
    int pmi[2];

    ck_assert_int_eq(dup2(STDERR_FILENO, 30), 30);
    ck_assert_int_eq(dup3(STDERR_FILENO, 31, O_CLOEXEC), 31);
    check_become(&start, 0, "30\n");
    make_pipe(pmi);
    start.fds[RANK_PMI_FD] = pmi[1];
    argv[2] = "echo pmi >&3; ls /proc/$$/fd | grep -c ^3$";
    check_become(&start, 0, "1\n");
    char text[10] = "";
    ck_assert_int_eq(read(pmi[0], text, sizeof text - 1), 4);
    ck_assert_str_eq(text, "pmi\n");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static TCase *finding(void)
{
    TCase *tc = tcase_create("find");

    tcase_add_checked_fixture(tc, make_tree, remove_tree);
    tcase_add_loop_test(tc, finding_commands, 0, COUNT(finds));
    tcase_add_test(tc, finding_in_the_working_directory);
    tcase_add_test(tc, errors_that_are_not_the_commands);
    return tc;
}

static TCase *starting(void)
{
    TCase *tc = tcase_create("start");

    tcase_add_checked_fixture(tc, make_common, remove_tree);
    tcase_add_loop_test(tc, ends_are_the_ranks_own, 0, COUNT(ends));
    tcase_add_test(tc, arguments_and_environment);
    tcase_add_test(tc, working_directories);
    tcase_add_loop_test(tc, what_cannot_be_executed, 0, COUNT(unstartable));
    tcase_add_test(tc, what_is_open_for_writing);
    tcase_add_test(tc, without_descriptors);
    tcase_add_test(tc, descriptors_have_their_places);
    tcase_add_test(tc, process_groups);
    tcase_add_test(tc, a_group_that_is_not_there);
    tcase_add_test(tc, signals_are_as_the_caller_found_them);
    tcase_add_test(tc, limits_are_as_the_caller_found_them);
    tcase_add_test(tc, cpus);
    tcase_add_test(tc, ranks_end_with_their_parent);
    return tc;
}

static TCase *becoming(void)
{
    TCase *tc = tcase_create("become");

    tcase_add_checked_fixture(tc, make_common, remove_tree);
    tcase_add_test(tc, becoming_sets_the_environment);
    tcase_add_test(tc, becoming_enters_a_working_directory);
    tcase_add_loop_test(tc, what_cannot_become_a_rank, 0, COUNT(unstartable));
    tcase_add_test(tc, becoming_keeps_all);
    tcase_add_test(tc, becoming_keeps_limits_and_signals);
    tcase_add_test(tc, becoming_keeps_the_pid_and_the_end);
    tcase_add_test(tc, becoming_keeps_others_descriptors);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("rank");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, finding());
    suite_add_tcase(suite, starting());
    suite_add_tcase(suite, becoming());
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
