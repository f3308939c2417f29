/*
 * MPICH and Slurm call the same PMI2_Job_Spawn() with different structures:
 *
 *      MPICH   infos[i] -> {key, value} {key, value} ...
 *              preputs  -> {key, value} {key, value} ...
 *      Slurm   infos[i] -> {ints, next, key, value} {ints, next, key, value}
 * ... preputs  -> pointer, pointer ..., each to {ints, next, key, value}
 *
 * Nothing in the call says which. But where one has a pointer to text the other
 * has small numbers, or text where a pointer should be; so we look whether what
 * would be a key and a value can be read, and has an end. Who can tell without
 * a fault is the kernel: it refuses to write what is not there.
 */
#include "client/abi/spawn.h"

#include "base/scope.h"
#include "client/abi/pmi2.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORDS_MAX = 1 << 20, TEXT_MAX = 1 << 16 };

static bool is_count(int count)
{
    return count >= 0 && count <= WORDS_MAX;
}

static bool is_command_valid(const struct spawn_request *request, int i)
{
    if (request->cmds[i] == NULL || request->maxprocs[i] < 1)
        return false;
    if (request->argcs != NULL && !is_count(request->argcs[i]))
        return false;
    if (request->info_sizes == NULL || request->info_sizes[i] == 0)
        return true;
    return is_count(request->info_sizes[i]) && request->infos != NULL &&
           request->infos[i] != NULL;
}

bool spawn_is_valid(const struct spawn_request *request)
{
    if (request->count < 1 || !is_count(request->count) ||
        request->cmds == NULL || request->maxprocs == NULL ||
        !is_count(request->preput_size) ||
        (request->preput_size > 0 && request->preputs == NULL))
        return false;
    for (int i = 0; i < request->count; i++)
        if (!is_command_valid(request, i))
            return false;
    return true;
}

size_t spawn_procs(const struct spawn_request *request)
{
    size_t sum = 0;

    for (int i = 0; i < request->count; i++)
        sum += (size_t)request->maxprocs[i];
    return sum;
}

/* ---- what lies where ---- */

/* Two ends of a pipe: what can be written to it can be read in memory. */
struct probe {
    int in, out;
};

/*
 * Copy what is there. By the kernel alone: with a sanitizer, to read beyond an
 * object or to have write() do so is the end.
 */
static bool fetch(const struct probe *probe, const void *address, void *into,
                  size_t len)
{
    if (syscall(SYS_write, probe->in, address, len) != (long)len)
        return false;
    return read(probe->out, into, len) == (ssize_t)len;
}

/*
 * Whether it has an end; *ret_plain: it is a word that one can read, and ends
 * before Slurm's pointer to a key would lie. Those may look like letters.
 */
static bool is_text(const struct probe *probe, const char *text,
                    bool *ret_plain)
{
    bool plain = true;
    char c;

    for (size_t i = 0; i < TEXT_MAX; i++) {
        if (!fetch(probe, text + i, &c, 1))
            return false;
        if (c == '\0') {
            *ret_plain = plain && i > 0 && i < offsetof(MPID_Info, key);
            return true;
        }
        plain = plain && c >= ' ' && c <= '~';
    }
    return false;
}

static bool is_pair(const struct probe *probe, const void *address,
                    bool *ret_plain)
{
    PMI2_keyval_t pair;
    bool unused;

    return fetch(probe, address, &pair, sizeof pair) &&
           is_text(probe, pair.key, ret_plain) &&
           is_text(probe, pair.val, &unused);
}

static bool is_info(const struct probe *probe, const void *address)
{
    MPID_Info info;
    bool unused;

    return fetch(probe, address, &info, sizeof info) &&
           is_text(probe, info.key, &unused) &&
           is_text(probe, info.value, &unused);
}

/* A pair first: a second one would be read for a key and a value of Slurm's. */
static bool are_infos(const struct probe *probe, const void *array)
{
    bool unused;

    return !is_pair(probe, array, &unused) && is_info(probe, array);
}

/*
 * A pair whose key one can read is one: no number that a structure begins with
 * looks like that, but behind a short key there may be pointers to text.
 */
static bool are_pointers(const struct probe *probe, const void *array)
{
    const void *first;
    bool plain = false;

    if (is_pair(probe, array, &plain) && plain)
        return false;
    return fetch(probe, array, &first, sizeof first) && is_info(probe, first);
}

static int open_probe(struct probe *ret, struct ct_error *reterr)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return ct_fail_errno(reterr, "cannot make a pipe");
    *ret = (struct probe){.in = ends[1], .out = ends[0]};
    return 0;
}

static void close_probe(const struct probe *probe)
{
    close(probe->in);
    close(probe->out);
}

/* ---- reading it ---- */

static void take_pairs(struct client_pair *to, const PMI2_keyval_t *from,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (struct client_pair){from[i].key, from[i].val};
}

static void take_infos(struct client_pair *to, const MPID_Info *from,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (struct client_pair){from[i].key, from[i].value};
}

static void take_pointers(struct client_pair *to, const MPID_Info *const *from,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (from[i] != NULL)
            take_infos(&to[i], from[i], 1);
}

/* A request that is being read: commands, and room for all pairs. */
struct reading {
    const struct spawn_request *request;
    const struct probe *probe; /* NULL: the layout is known */
    struct client_command *commands;
    struct client_pair *pairs;
    size_t used; /* pairs */
};

static const struct client_pair *read_infos(struct reading *r, int i)
{
    const void *array = r->request->infos[i];
    size_t count = (size_t)r->request->info_sizes[i];
    struct client_pair *to = r->pairs + r->used;

    if (r->probe != NULL && are_infos(r->probe, array))
        take_infos(to, array, count);
    else
        take_pairs(to, array, count);
    r->used += count;
    return to;
}

static const struct client_pair *read_preputs(struct reading *r)
{
    const void *array = r->request->preputs;
    size_t count = (size_t)r->request->preput_size;
    struct client_pair *to = r->pairs + r->used;

    if (count == 0)
        return NULL;
    if (r->probe != NULL && are_pointers(r->probe, array))
        take_pointers(to, array, count);
    else
        take_pairs(to, array, count);
    r->used += count;
    return to;
}

static size_t count_words(const char *const *list)
{
    size_t count = 0;

    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static void read_command(struct reading *r, int i)
{
    const struct spawn_request *request = r->request;
    struct client_command *command = &r->commands[i];

    command->path = request->cmds[i];
    command->maxprocs = (unsigned)request->maxprocs[i];
    command->argv = request->argvs != NULL ? request->argvs[i] : NULL;
    if (command->argv != NULL)
        command->argc = request->argcs != NULL ? (size_t)request->argcs[i]
                                               : count_words(command->argv);
    if (request->info_sizes != NULL && request->info_sizes[i] > 0) {
        command->infos = read_infos(r, i);
        command->info_count = (size_t)request->info_sizes[i];
    }
}

static bool is_whole(const struct client_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].key == NULL || pairs[i].value == NULL)
            return false;
    return true;
}

static int read_request(struct reading *r, struct client_spawn *ret,
                        struct ct_error *reterr)
{
    const struct spawn_request *request = r->request;

    for (int i = 0; i < request->count; i++)
        read_command(r, i);
    *ret = (struct client_spawn){
        .commands = r->commands,
        .count = (size_t)request->count,
        .preputs = read_preputs(r),
        .preput_count = (size_t)request->preput_size,
    };
    if (!is_whole(r->pairs, r->used))
        return ct_fail(reterr, EINVAL, "a key or a value is NULL");
    return 0;
}

static size_t count_pairs(const struct spawn_request *request)
{
    size_t count = (size_t)request->preput_size;

    for (int i = 0; i < request->count; i++)
        if (request->info_sizes != NULL)
            count += (size_t)request->info_sizes[i];
    return count;
}

static int ask(struct client *client, const struct spawn_request *request,
               const struct probe *probe, char *jobid, size_t size, int *codes,
               size_t code_count, struct ct_error *reterr)
{
    CT_AUTO_FREE struct client_command *commands =
        calloc((size_t)request->count, sizeof *commands);
    CT_AUTO_FREE struct client_pair *pairs =
        calloc(count_pairs(request) + 1, sizeof *pairs);
    struct reading reading = {
        .request = request,
        .probe = probe,
        .commands = commands,
        .pairs = pairs,
    };
    struct client_spawn spawn;

    if (commands == NULL || pairs == NULL)
        return ct_fail_nomem(reterr);
    if (read_request(&reading, &spawn, reterr) < 0)
        return -1;
    return client_spawn(client, &spawn, jobid, size, codes, code_count, reterr);
}

int spawn_request(struct client *client, const struct spawn_request *request,
                  char *jobid, size_t size, int *codes, size_t code_count,
                  struct ct_error *reterr)
{
    struct probe probe = {.in = -1, .out = -1};
    int rc;

    if (request->layout == SPAWN_PAIRS)
        return ask(client, request, NULL, jobid, size, codes, code_count,
                   reterr);
    if (open_probe(&probe, reterr) < 0)
        return -1;
    rc = ask(client, request, &probe, jobid, size, codes, code_count, reterr);
    close_probe(&probe);
    return rc;
}
