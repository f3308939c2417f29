/*
 * A launcher of MPI programs in one file, for authors who embed libctpmi:
 *
 *   cc -o embed_server embed_server.c $(pkg-config --cflags --libs ctpmi)
 *   ./embed_server PROGRAM [ARGUMENT...]         four ranks on this machine
 *
 * The host owns processes and event loop, the server speaks PMI. A host that
 * has been launched itself also keeps its own PMI* and PMIX* from its ranks.
 */
#include <ctpmi.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS = 4 };

struct launcher {
    int exitcode; /* of the job, once a rank has failed */
    pid_t pids[RANKS];
    struct ctpmi_client *clients[RANKS];
    struct pollfd fds[RANKS];
};

/* The first failure ends the job; what that does to other ranks is no news. */
static void end_job(struct launcher *l, int exitcode, const char *why)
{
    if (l->exitcode != 0)
        return;
    l->exitcode = exitcode != 0 ? exitcode : 1;
    fprintf(stderr, "embed_server: %s\n", why);
    for (unsigned i = 0; i < RANKS; i++)
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
    (void)client;
    end_job(ctx, exitcode, message[0] != '\0' ? message : "MPI_Abort");
}

static void on_fault(void *ctx, struct ctpmi_client *client,
                     enum ctpmi_fault kind, const char *text)
{
    (void)client, (void)kind;
    end_job(ctx, 1, text);
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
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        ctpmi_attach(job, rank, pair[0], 0, &err) == NULL) {
        end_job(l, 1, err.text);
        return;
    }
    l->pids[rank] = fork();
    if (l->pids[rank] == 0)
        exec_rank(job, rank, pair[1], argv);
    /* Kept open here, its end would never be seen. pair[0] is the server's. */
    close(pair[1]);
}

/* Until all connections have ended, as those of dead ranks do. */
static void serve(struct launcher *l)
{
    for (bool open = true; open && poll(l->fds, RANKS, -1) > 0;) {
        open = false;
        for (unsigned i = 0; i < RANKS; i++) {
            if (l->fds[i].fd >= 0 && l->fds[i].revents != 0)
                ctpmi_ready(l->clients[i], l->fds[i].revents);
            open |= l->fds[i].fd >= 0;
        }
    }
}

static void reap(struct launcher *l)
{
    for (unsigned i = 0; i < RANKS; i++) {
        int status;

        if (l->pids[i] <= 0 || waitpid(l->pids[i], &status, 0) < 0)
            continue; /* never started */
        l->pids[i] = 0;
        if (WIFSIGNALED(status))
            end_job(l, 128 + WTERMSIG(status), "a rank was killed");
        else if (WEXITSTATUS(status) != 0)
            end_job(l, WEXITSTATUS(status), "a rank has failed");
    }
}

int main(int argc, char **argv)
{
    const struct ctpmi_callbacks callbacks = {
        .watch = on_watch, .abort = on_abort, .fault = on_fault};
    struct launcher l = {0};
    char jobid[32];
    struct ctpmi_facts facts = {.jobid = jobid, .size = RANKS};
    struct ctpmi *server = ctpmi_create(&callbacks, &l);

    for (unsigned i = 0; i < RANKS; i++)
        l.fds[i].fd = -1;
    snprintf(jobid, sizeof jobid, "%ld.0", (long)getpid());
    struct ctpmi_job *job =
        server != NULL ? ctpmi_job_create(server, &facts, NULL) : NULL;
    if (job == NULL || argc < 2)
        return 2; /* these facts are sound: it is out of memory */
    for (unsigned rank = 0; rank < RANKS && l.exitcode == 0; rank++)
        start_rank(&l, job, rank, argv + 1);
    serve(&l);
    reap(&l);
    ctpmi_destroy(server);
    return l.exitcode;
}
