/*
 * A launcher of MPI programs in one file, for authors who embed libctpmi:
 *
 *   cc -o embed_server embed_server.c $(pkg-config --cflags --libs ctpmi)
 *   ./embed_server [N] PROGRAM [ARGUMENT...]     N (4) ranks on this machine
 *
 * The host owns processes and event loop, the server speaks PMI. A host that
 * has been launched itself also keeps its own PMI* and PMIX* from its ranks.
 */
#include <ctpmi.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS_MAX = 256 };

struct launcher {
    unsigned size, running;
    int culprit; /* the rank that failed first, or -1 */
    int exitcode;
    pid_t pids[RANKS_MAX];
    struct ctpmi_client *clients[RANKS_MAX];
    struct pollfd fds[2 * RANKS_MAX]; /* connections, then processes */
};

/* The first failure ends the job; what that does to other ranks is no news. */
static void end_job(struct launcher *l, unsigned rank, const char *why)
{
    if (l->culprit >= 0)
        return;
    l->culprit = (int)rank;
    fprintf(stderr, "embed_server: rank %u: %s\n", rank, why);
    for (unsigned i = 0; i < l->size; i++)
        if (l->pids[i] > 0)
            kill(l->pids[i], SIGKILL);
}

/* Also called within ctpmi_attach(); with 0 before the descriptor is closed. */
static void on_watch(void *ctx, struct ctpmi_client *client, int fd, int events)
{
    struct launcher *l = ctx;
    unsigned rank = ctpmi_client_rank(client);

    l->clients[rank] = client;
    l->fds[rank].fd = events != 0 ? fd : -1;
    l->fds[rank].events = (short)events; /* its values are poll(2)'s */
}

static void on_abort(void *ctx, struct ctpmi_client *client, int exitcode,
                     const char *message)
{
    struct launcher *l = ctx;

    if (l->culprit < 0)
        l->exitcode = exitcode;
    end_job(l, ctpmi_client_rank(client),
            message[0] != '\0' ? message : "MPI_Abort");
}

/*
 * A rank that dies is often seen here first. Its exit code comes with the
 * process, and SIGKILL does not change it: it is on its way out.
 */
static void on_fault(void *ctx, struct ctpmi_client *client,
                     enum ctpmi_fault kind, const char *text)
{
    (void)kind;
    end_job(ctx, ctpmi_client_rank(client), text);
}

/* The rank inherits fd, and the variables tell it so. */
static void exec_rank(const struct ctpmi_job *job, unsigned rank, int fd,
                      char **argv)
{
    struct ctpmi_env env;

    ctpmi_environment(job, rank, fd, &env);
    for (unsigned i = 0; i < env.count; i++)
        putenv(env.items[i]);
    fcntl(fd, F_SETFD, 0);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

static void start_rank(struct launcher *l, struct ctpmi_job *job, unsigned rank,
                       char **argv)
{
    struct ctpmi_error err = {.text = "no socket pair"};
    struct pollfd *process = &l->fds[l->size + rank];
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        ctpmi_attach(job, rank, pair[0], 0, &err) == NULL) {
        end_job(l, rank, err.text);
        return;
    }
    l->pids[rank] = fork();
    if (l->pids[rank] == 0)
        exec_rank(job, rank, pair[1], argv);
    /* Kept open here, its end would never be seen. pair[0] is the server's. */
    close(pair[1]);
    process->events = POLLIN;
    process->fd = (int)syscall(SYS_pidfd_open, l->pids[rank], 0);
    if (process->fd >= 0)
        l->running++;
    else
        end_job(l, rank, strerror(errno));
}

static void reap_rank(struct launcher *l, unsigned rank)
{
    struct pollfd *process = &l->fds[l->size + rank];
    int status, code;

    waitpid(l->pids[rank], &status, 0);
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    close(process->fd);
    process->fd = -1;
    l->pids[rank] = 0;
    l->running--;
    if (code != 0)
        end_job(l, rank, "failed");
    if (l->culprit == (int)rank && l->exitcode == 0)
        l->exitcode = code;
}

static void serve(struct launcher *l)
{
    while (l->running > 0 && poll(l->fds, 2 * l->size, -1) > 0)
        for (unsigned i = 0; i < l->size; i++) {
            if (l->fds[i].fd >= 0 && l->fds[i].revents != 0)
                ctpmi_ready(l->clients[i], l->fds[i].revents);
            if (l->fds[l->size + i].revents != 0)
                reap_rank(l, i);
        }
}

int main(int argc, char **argv)
{
    const struct ctpmi_callbacks callbacks = {
        .watch = on_watch, .abort = on_abort, .fault = on_fault};
    struct launcher l = {.size = 4, .culprit = -1};
    char jobid[32];
    struct ctpmi_facts facts = {.jobid = jobid};

    if (argc > 2 && atoi(argv[1]) > 0)
        l.size = (unsigned)atoi(*++argv);
    if (argc < 2 || l.size > RANKS_MAX) {
        fprintf(stderr, "usage: embed_server [N] PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    for (unsigned i = 0; i < 2 * l.size; i++)
        l.fds[i].fd = -1;
    snprintf(jobid, sizeof jobid, "%ld.0", (long)getpid());
    facts.size = l.size;
    struct ctpmi *server = ctpmi_create(&callbacks, &l);
    struct ctpmi_job *job =
        server != NULL ? ctpmi_job_create(server, &facts, NULL) : NULL;
    if (job == NULL)
        return 1; /* these facts are sound: it is out of memory */
    for (unsigned rank = 0; rank < l.size && l.culprit < 0; rank++)
        start_rank(&l, job, rank, argv + 1);
    serve(&l);
    ctpmi_destroy(server);
    return l.culprit >= 0 && l.exitcode == 0 ? 1 : l.exitcode;
}
