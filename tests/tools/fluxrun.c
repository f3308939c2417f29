/*
 * fluxrun [-n RANKS] [-N NODES] [-o ENTER] [-m] COMMAND [ARG...]
 *
 * What `flux run` is for its tasks, for tests where there is no Flux: PMI-1 as
 * the simple server of flux-core's job shell speaks it (RFC 13; its source says
 * what it does where the RFC leaves it open), and Flux's own variables.
 *
 *   -n  tasks, in blocks on the nodes (default 4)
 *   -N  nodes (default 1)
 *   -o  a program that runs a task on its node: ENTER NODE COMMAND [ARG...],
 *       NODE from 0 (default: all nodes are this one)
 *   -m  without PMI_process_mapping, as an older Flux, or one with a map that
 *       is longer than a value may be
 *
 * What is its own: 1.1 is the only version; a key that is not there is rc=4;
 * names of the KVS do not matter; there are no names and no spawn (rc=-1); an
 * unknown command ends the job; the connection ends with finalize. Tasks of
 * other nodes see what is put after the next barrier, those of its own at once.
 *
 * The exit code is the largest of the tasks', or that of an abort, which ends
 * them all.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS_MAX = 64, KEY_MAX = 64, VALUE_MAX = 1024, LINE_MAX = 4096 };

struct entry {
    struct entry *next;
    unsigned node; /* of who put it */
    bool exchanged;
    char key[KEY_MAX + 1], value[VALUE_MAX + 1];
};

struct task {
    pid_t pid;
    unsigned rank, node;
    size_t length; /* of what has been read of a line */
    char line[LINE_MAX];
};

struct shell {
    unsigned ranks, nodes;
    const char *enter;
    bool mapped;
    struct entry *kvs;
    unsigned in_barrier;
    struct task tasks[RANKS_MAX];
    struct pollfd fds[RANKS_MAX];
};

static void die(const char *what)
{
    fprintf(stderr, "fluxrun: %s\n", what);
    exit(1);
}

static void end_job(struct shell *shell, int code, const char *why)
{
    fprintf(stderr, "fluxrun: %s\n", why);
    for (unsigned i = 0; i < shell->ranks; i++)
        kill(shell->tasks[i].pid, SIGKILL);
    exit(code);
}

/* ---- PMI-1 ---- */

static void say(struct shell *shell, unsigned rank, const char *text)
{
    /* who has gone, needs no answer */
    send(shell->fds[rank].fd, text, strlen(text), MSG_NOSIGNAL);
}

/* A word of a line by its name, "" where there is none. */
static void word(const char *line, const char *name, char *ret, size_t size)
{
    size_t length = strlen(name);

    ret[0] = '\0';
    for (const char *at = line; *at != '\0'; at += strspn(at, " ")) {
        size_t end = strcspn(at, " ");

        if (strncmp(at, name, length) == 0 && at[length] == '=')
            snprintf(ret, size, "%.*s", (int)(end - length - 1),
                     at + length + 1);
        at += end;
    }
}

static void add(struct shell *shell, unsigned node, const char *key,
                const char *value)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (entry == NULL)
        die("no memory");
    snprintf(entry->key, sizeof entry->key, "%s", key);
    snprintf(entry->value, sizeof entry->value, "%s", value);
    entry->node = node;
    entry->next = shell->kvs;
    shell->kvs = entry;
}

static void do_init(struct shell *shell, struct task *task)
{
    char version[8], subversion[8];

    word(task->line, "pmi_version", version, sizeof version);
    word(task->line, "pmi_subversion", subversion, sizeof subversion);
    say(shell, task->rank,
        strcmp(version, "1") == 0 && strcmp(subversion, "1") == 0
            ? "cmd=response_to_init rc=0 pmi_version=1 pmi_subversion=1\n"
            : "cmd=response_to_init rc=-1\n");
}

static void do_maxes(struct shell *shell, struct task *task)
{
    say(shell, task->rank,
        "cmd=maxes rc=0 kvsname_max=64 keylen_max=64 vallen_max=1024\n");
}

static void do_appnum(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=appnum rc=0 appnum=0\n");
}

static void do_universe(struct shell *shell, struct task *task)
{
    char line[64];

    snprintf(line, sizeof line, "cmd=universe_size rc=0 size=%u\n",
             shell->ranks);
    say(shell, task->rank, line);
}

static void do_kvsname(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=my_kvsname rc=0 kvsname=f2M4x\n");
}

static void do_put(struct shell *shell, struct task *task)
{
    char key[LINE_MAX], value[LINE_MAX];

    word(task->line, "key", key, sizeof key);
    word(task->line, "value", value, sizeof value);
    if (strlen(key) >= KEY_MAX || strlen(value) >= VALUE_MAX) {
        say(shell, task->rank, "cmd=put_result rc=-1\n");
        return;
    }
    add(shell, task->node, key, value);
    say(shell, task->rank, "cmd=put_result rc=0\n");
}

static void do_get(struct shell *shell, struct task *task)
{
    char key[LINE_MAX], line[LINE_MAX];

    word(task->line, "key", key, sizeof key);
    for (struct entry *e = shell->kvs; e != NULL; e = e->next)
        if (strcmp(e->key, key) == 0 &&
            (e->exchanged || e->node == task->node)) {
            snprintf(line, sizeof line, "cmd=get_result rc=0 value=%s\n",
                     e->value);
            say(shell, task->rank, line);
            return;
        }
    say(shell, task->rank, "cmd=get_result rc=4\n");
}

static void do_barrier(struct shell *shell, struct task *task)
{
    (void)task;
    if (++shell->in_barrier < shell->ranks)
        return;
    shell->in_barrier = 0;
    for (struct entry *e = shell->kvs; e != NULL; e = e->next)
        e->exchanged = strncmp(e->key, "local::", 7) != 0;
    for (unsigned i = 0; i < shell->ranks; i++)
        say(shell, i, "cmd=barrier_out rc=0\n");
}

static void do_publish(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=publish_result rc=-1\n");
}

static void do_unpublish(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=unpublish_result rc=-1\n");
}

static void do_lookup(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=lookup_result rc=-1\n");
}

static void do_abort(struct shell *shell, struct task *task)
{
    char code[16], why[64];

    word(task->line, "exitcode", code, sizeof code);
    snprintf(why, sizeof why, "task %u aborts", task->rank);
    end_job(shell, atoi(code), why);
}

static void leave(struct shell *shell, unsigned rank)
{
    close(shell->fds[rank].fd);
    shell->fds[rank].fd = -1;
}

static void do_finalize(struct shell *shell, struct task *task)
{
    say(shell, task->rank, "cmd=finalize_ack rc=0\n");
    leave(shell, task->rank);
}

static const struct command {
    const char *name;
    void (*handle)(struct shell *shell, struct task *task);
} commands[] = {
    {"init", do_init},
    {"get_maxes", do_maxes},
    {"get_appnum", do_appnum},
    {"get_universe_size", do_universe},
    {"get_my_kvsname", do_kvsname},
    {"put", do_put},
    {"get", do_get},
    {"barrier_in", do_barrier},
    {"publish_name", do_publish},
    {"unpublish_name", do_unpublish},
    {"lookup_name", do_lookup},
    {"abort", do_abort},
    {"finalize", do_finalize},
};

static void answer(struct shell *shell, struct task *task)
{
    char name[32], why[64];

    word(task->line, "cmd", name, sizeof name);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].handle(shell, task);
            return;
        }
    snprintf(why, sizeof why, "task %u: no command '%s'", task->rank, name);
    end_job(shell, 1, why);
}

static void read_line(struct shell *shell, struct task *task)
{
    char *end;
    ssize_t n = read(shell->fds[task->rank].fd, task->line + task->length,
                     sizeof task->line - task->length - 1);

    if (n <= 0) {
        leave(shell, task->rank);
        return;
    }
    task->length += (size_t)n;
    task->line[task->length] = '\0';
    end = strchr(task->line, '\n');
    if (end == NULL && task->length < sizeof task->line - 1)
        return;
    if (end == NULL || end[1] != '\0')
        end_job(shell, 1, "not one line at a time");
    *end = '\0';
    task->length = 0;
    answer(shell, task);
}

/* ---- tasks ---- */

static void set_number(const char *name, unsigned value)
{
    char text[16];

    snprintf(text, sizeof text, "%u", value);
    setenv(name, text, 1);
}

static void set_environment(const struct shell *shell, const struct task *task,
                            int fd)
{
    unsigned block = shell->ranks / shell->nodes;

    set_number("PMI_FD", (unsigned)fd);
    set_number("PMI_RANK", task->rank);
    set_number("PMI_SIZE", shell->ranks);
    set_number("FLUX_TASK_RANK", task->rank);
    set_number("FLUX_TASK_LOCAL_ID", task->rank % block);
    set_number("FLUX_JOB_SIZE", shell->ranks);
    set_number("FLUX_JOB_NNODES", shell->nodes);
    setenv("FLUX_JOB_ID", "f2M4x", 1);
    setenv("FLUX_URI", "local:///run/flux/local", 1);
    setenv("FLUX_KVS_NAMESPACE", "job-76118", 1);
}

static void run_task(const struct shell *shell, const struct task *task, int fd,
                     char **argv)
{
    char node[16];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_environment(shell, task, fd);
    if (shell->enter != NULL) {
        snprintf(node, sizeof node, "%u", task->node);
        argv[-2] = (char *)shell->enter;
        argv[-1] = node;
        argv -= 2;
    }
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

static void start_task(struct shell *shell, unsigned rank, char **argv)
{
    struct task *task = &shell->tasks[rank];
    int pair[2];

    task->rank = rank;
    task->node = rank / (shell->ranks / shell->nodes);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        die("no socket pair");
    shell->fds[rank] = (struct pollfd){.fd = pair[0], .events = POLLIN};
    task->pid = fork();
    if (task->pid < 0)
        die("no process");
    if (task->pid == 0) {
        for (unsigned i = 0; i <= rank; i++)
            close(shell->fds[i].fd);
        run_task(shell, task, pair[1], argv);
    }
    close(pair[1]);
}

static void serve(struct shell *shell)
{
    unsigned open;

    do {
        open = 0;
        if (poll(shell->fds, shell->ranks, -1) < 0 && errno != EINTR)
            die("poll fails");
        for (unsigned i = 0; i < shell->ranks; i++) {
            if (shell->fds[i].fd >= 0 && shell->fds[i].revents != 0)
                read_line(shell, &shell->tasks[i]);
            open += shell->fds[i].fd >= 0;
        }
    } while (open > 0);
}

static int reap(const struct shell *shell)
{
    int worst = 0;

    for (unsigned i = 0; i < shell->ranks; i++) {
        int status, code;

        if (waitpid(shell->tasks[i].pid, &status, 0) < 0)
            die("a task is lost");
        code =
            WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        worst = code > worst ? code : worst;
    }
    return worst;
}

static void preput(struct shell *shell)
{
    char map[64];

    snprintf(map, sizeof map, "(vector,(0,%u,%u))", shell->nodes,
             shell->ranks / shell->nodes);
    add(shell, 0, "flux.instance-level", "0");
    shell->kvs->exchanged = true;
    if (!shell->mapped)
        return;
    add(shell, 0, "PMI_process_mapping", map);
    shell->kvs->exchanged = true;
}

static unsigned number(const char *text)
{
    int value = atoi(text);

    if (value < 1 || value > RANKS_MAX)
        die("how many?");
    return (unsigned)value;
}

int main(int argc, char **argv)
{
    static struct shell shell = {.ranks = 4, .nodes = 1, .mapped = true};
    int option;

    while ((option = getopt(argc, argv, "+n:N:o:m")) != -1)
        switch (option) {
        case 'n':
            shell.ranks = number(optarg);
            break;
        case 'N':
            shell.nodes = number(optarg);
            break;
        case 'o':
            shell.enter = optarg;
            break;
        case 'm':
            shell.mapped = false;
            break;
        default:
            return 2;
        }
    if (optind == argc || shell.ranks % shell.nodes != 0 ||
        (shell.enter != NULL && optind < 3))
        die("usage: fluxrun [-n RANKS] [-N NODES] [-o ENTER] [-m] COMMAND...");
    preput(&shell);
    for (unsigned rank = 0; rank < shell.ranks; rank++)
        start_task(&shell, rank, argv + optind);
    serve(&shell);
    return reap(&shell);
}
