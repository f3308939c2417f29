/*
 * agents N [ROUNDS [BYTES [NETNS]]]
 *
 * The overlay of N nodes without their ranks: N processes on this machine, each
 * an agent's share of it, gather ROUNDS times (default 50) BYTES (default 100)
 * of each. Prints "N MEDIAN SENT": the median time of a gathering at the first
 * node, in milliseconds, one following the other at once; and the bytes that
 * one gathering made the node send that sent most. With NETNS each is in a
 * network of its own, /run/netns/NETNS0 and so on, and uses its eth0.
 */
#include "overlay/collective.h"
#include "overlay/overlay.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KIND = OVERLAY_USER, NODES_MAX = 4096 };

/* Seen by all processes. */
struct shared {
    pthread_barrier_t barrier;
    struct addresses peers[NODES_MAX];
    size_t sent[NODES_MAX];
    double median;
};

struct plan {
    unsigned count, rounds;
    size_t bytes;
    const char *netns;
};

struct node {
    struct shared *shared;
    struct event_base *base;
    struct overlay *overlay;
    struct collectives *collectives;
    unsigned *nodes;
    char *part;
    size_t part_len;
    unsigned self, count;
    size_t sent;
    bool done;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "agents: %s\n", what);
    exit(1);
}

static void on_receive(void *ctx, unsigned from, unsigned kind,
                       const void *bytes, size_t len)
{
    struct node *node = ctx;
    struct ct_error err;

    (void)kind;
    if (collectives_receive(node->collectives, from, bytes, len, &err) < 0)
        die(err.text);
}

static void on_lost(void *ctx, unsigned node, const char *why)
{
    (void)ctx;
    (void)node;
    die(why);
}

static void on_send(void *ctx, unsigned to, const void *bytes, size_t len)
{
    struct node *node = ctx;

    node->sent += FRAME_HEAD_SIZE + len;
    overlay_send(node->overlay, to, KIND, bytes, len);
}

static void on_done(void *ctx, const struct collective_part *parts,
                    unsigned count)
{
    struct node *node = ctx;

    (void)parts;
    if (count != node->count)
        die("parts are missing");
    node->done = true;
    event_base_loopbreak(node->base);
}

static double gather(struct node *node)
{
    struct ct_error err;
    double begin = now();

    node->done = false;
    if (collectives_begin(node->collectives, "bench", node->nodes, node->count,
                          node->part, node->part_len, on_done, node, &err) < 0)
        die(err.text);
    while (!node->done)
        event_base_dispatch(node->base);
    return now() - begin;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void open_node(struct node *node, int listeners[2])
{
    struct overlay_config config = {
        .base = event_base_new(),
        .self = node->self,
        .count = node->count,
        .peers = node->shared->peers,
        .listeners = {listeners[0], listeners[1]},
        .receive = on_receive,
        .lost = on_lost,
        .ctx = node,
    };
    struct ct_error err;

    node->base = config.base;
    node->collectives = collectives_create(node->self, on_send, node);
    node->nodes = calloc(node->count, sizeof *node->nodes);
    node->part = calloc(1, node->part_len + 1);
    if (node->base == NULL || node->collectives == NULL ||
        node->nodes == NULL || node->part == NULL)
        die("out of memory");
    for (unsigned i = 0; i < node->count; i++)
        node->nodes[i] = i;
    node->overlay = overlay_create(&config, &err);
    if (node->overlay == NULL)
        die(err.text);
}

static double median(double *times, unsigned count)
{
    qsort(times, count, sizeof *times, by_time);
    return times[count / 2];
}

/* The interface to use. */
static const char *enter_network(const char *netns, unsigned self)
{
    char path[256];
    int fd;

    if (netns == NULL)
        return "lo";
    snprintf(path, sizeof path, "/run/netns/%s%u", netns, self);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        die("cannot enter a network");
    close(fd);
    return "eth0";
}

static _Noreturn void be_node(struct shared *shared, unsigned self,
                              const struct plan *plan)
{
    struct node node = {.shared = shared,
                        .self = self,
                        .count = plan->count,
                        .part_len = plan->bytes};
    double *times = calloc(plan->rounds, sizeof *times);
    int listeners[2];
    struct ct_error err;

    if (times == NULL ||
        address_listen(enter_network(plan->netns, self), listeners,
                       &shared->peers[self], &err) < 0)
        die("cannot listen");
    pthread_barrier_wait(&shared->barrier);
    open_node(&node, listeners);
    gather(&node); /* connects all */
    for (unsigned i = 0; i < plan->rounds; i++)
        times[i] = gather(&node);
    shared->sent[self] = node.sent / (plan->rounds + 1);
    if (self == 0)
        shared->median = median(times, plan->rounds);
    overlay_close(node.overlay, 5);
    _exit(0);
}

static struct shared *share(unsigned count)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attr;

    if (shared == MAP_FAILED)
        die("out of memory");
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attr, count);
    return shared;
}

static void report(const struct shared *shared, unsigned count)
{
    size_t most = 0;

    for (unsigned i = 0; i < count; i++)
        most = shared->sent[i] > most ? shared->sent[i] : most;
    printf("%u %.3f %zu\n", count, shared->median, most);
}

int main(int argc, char **argv)
{
    const struct plan plan = {
        .count = argc > 1 ? (unsigned)atoi(argv[1]) : 0,
        .rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 50,
        .bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 100,
        .netns = argc > 4 ? argv[4] : NULL,
    };
    struct shared *shared;
    int status, failed = 0;

    if (plan.count < 1 || plan.count > NODES_MAX || plan.rounds < 1)
        die("usage: agents N [ROUNDS [BYTES [NETNS]]]");
    shared = share(plan.count);
    for (unsigned i = 0; i < plan.count; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            be_node(shared, i, &plan);
        }
    while (wait(&status) > 0)
        if (status != 0 && failed++ == 0)
            kill(0, SIGTERM); /* the others wait for it */
    if (failed == 0)
        report(shared, plan.count);
    return failed;
}
