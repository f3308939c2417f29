/*
 * Spawn requests: gathered from either dialect into one struct ctpmi_spawn, put
 * to the host, answered when the host says so.
 *
 * PMI-1 sends one mcmd block a command and waits after the last; MPICH <= 4.0
 * repeats the preput values in each block, >= 4.1 sends them in the first only.
 * PMI-2 sends one message in which order tells what belongs to which command.
 */
#include "base/scope.h"
#include "base/strv.h"
#include "guest/pmi/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COMMANDS_MAX = 1024,
    PROCS_MAX = 65536,
    BYTES_MAX = 16 * 1024 * 1024, /* of the words of one request */
    WORD_COST = 32,               /* and what each of them takes besides */
    ERRCODES_MAX = 960,           /* bytes; MPICH <= 4.0 reads lines of 1024 */
};

struct spawn_command {
    unsigned maxprocs;
    struct strv argv;
    struct strv info; /* key, value, key, value, ... */
};

struct spawn_build {
    struct ctpmi_spawn request; /* what the host sees; first member */
    struct spawn_command *commands;
    struct ctpmi_command *views;
    unsigned count;
    unsigned procs;
    struct strv preput; /* key, value, ... */
    size_t bytes;
    bool escaped;          /* ';' is written ";;" */
    bool under_way;        /* the host has it */
    struct ct_error error; /* PMI-1: of a block before the last, if code != 0 */
    const char *parent;    /* id of the job that asks */
};

void spawn_free(struct spawn_build *build)
{
    if (build == NULL)
        return;
    for (unsigned i = 0; i < build->count; i++) {
        strv_clear(&build->commands[i].argv);
        strv_clear(&build->commands[i].info);
    }
    free(build->commands);
    free(build->views);
    strv_clear(&build->preput);
    free(build);
}

void spawn_forget(struct ctpmi_client *client)
{
    struct spawn_build *build = client->spawn;

    client->spawn = NULL;
    if (build != NULL && build->under_way)
        build->request.by = NULL; /* ctpmi_spawn_done() frees it */
    else
        spawn_free(build);
}

static struct spawn_command *add_command(struct spawn_build *build)
{
    struct spawn_command *grown =
        realloc(build->commands, (build->count + 1) * sizeof *build->commands);

    if (grown == NULL)
        return NULL;
    build->commands = grown;
    grown[build->count] = (struct spawn_command){0};
    return &grown[build->count++];
}

static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        *to++ = *from;
        if (from[0] == ';' && from[1] == ';')
            from++;
    }
    *to = '\0';
}

/* Preput values stay as they came: their reader is of the writer's kind. */
static int add_text(struct spawn_build *build, struct strv *list,
                    struct ct_span text, struct ct_error *reterr)
{
    CT_AUTO_FREE char *copy = ct_span_dup(text);

    if (copy == NULL)
        return ct_fail_nomem(reterr);
    build->bytes += text.len + WORD_COST;
    if (build->bytes > BYTES_MAX)
        return ct_fail(reterr, E2BIG, "spawn of more than %d bytes", BYTES_MAX);
    if (build->escaped && list != &build->preput)
        unescape(copy);
    return strv_add(list, copy) == 0 ? 0 : ct_fail_nomem(reterr);
}

/* "arg12" with prefix "arg": a numbered key. */
static bool numbered(struct ct_span key, const char *prefix)
{
    size_t len = strlen(prefix);
    long number;

    return key.len > len && memcmp(key.ptr, prefix, len) == 0 &&
           ct_span_number(ct_span(key.ptr + len, key.len - len), 0, INT32_MAX,
                          &number) == 0;
}

/* Numbered keys of both dialects, the list each goes to, and as what. */
static const struct row {
    const char *prefix;
    enum { ARGV, INFO, PREPUT } list;
    enum { WORD, KEY, VALUE } part;
} rows[] = {
    {"arg", ARGV, WORD},
    {"argv", ARGV, WORD},
    {"info_key_", INFO, KEY},
    {"info_val_", INFO, VALUE},
    {"infokey", INFO, KEY},
    {"infoval", INFO, VALUE},
    {"preput_key_", PREPUT, KEY},
    {"preput_val_", PREPUT, VALUE},
    {"ppkey", PREPUT, KEY},
    {"ppval", PREPUT, VALUE},
    {.prefix = NULL},
};

static const struct row *find_row(struct ct_span key)
{
    const struct row *row = rows;

    while (row->prefix != NULL && !numbered(key, row->prefix))
        row++;
    return row->prefix != NULL ? row : NULL;
}

static struct strv *list_of(struct spawn_build *build,
                            struct spawn_command *command,
                            const struct row *row)
{
    if (row->list == PREPUT)
        return &build->preput;
    if (command == NULL)
        return NULL;
    return row->list == ARGV ? &command->argv : &command->info;
}

static int lone_key(struct ct_error *reterr)
{
    return ct_fail(reterr, EPROTO, "spawn with a key without a value");
}

static int add_pair(struct spawn_build *build, struct spawn_command *command,
                    const struct pmi_pair *pair, struct ct_error *reterr)
{
    const struct row *row = find_row(pair->key);
    struct strv *list = row != NULL ? list_of(build, command, row) : NULL;

    if (list == NULL)
        return 0;
    if (row->part == KEY && list->count % 2 == 1)
        return lone_key(reterr);
    if (row->part == VALUE && list->count % 2 == 0)
        return ct_fail(reterr, EPROTO, "spawn with a value without a key");
    return add_text(build, list, pair->value, reterr);
}

/* Hosts read the lists two by two. */
static int check_pairs(const struct spawn_build *build, struct ct_error *reterr)
{
    bool lone = build->preput.count % 2 == 1;

    for (unsigned i = 0; i < build->count; i++)
        lone = lone || build->commands[i].info.count % 2 == 1;
    return lone ? lone_key(reterr) : 0;
}

static int set_maxprocs(struct spawn_build *build,
                        struct spawn_command *command, struct ct_span text,
                        struct ct_error *reterr)
{
    long n;

    if (command->maxprocs != 0)
        return ct_fail(reterr, EPROTO, "spawn with maxprocs given twice");
    if (ct_span_number(text, 1, PROCS_MAX, &n) < 0 ||
        build->procs + (unsigned)n > PROCS_MAX)
        return ct_fail(reterr, EPROTO, "spawn of '%.*s' processes",
                       (int)(text.len < 20 ? text.len : 20), text.ptr);
    command->maxprocs = (unsigned)n;
    build->procs += (unsigned)n;
    return 0;
}

static int make_views(struct spawn_build *build)
{
    build->views = calloc(build->count, sizeof *build->views);
    if (build->views == NULL)
        return -1;
    for (unsigned i = 0; i < build->count; i++)
        build->views[i] = (struct ctpmi_command){
            .maxprocs = build->commands[i].maxprocs,
            .argv = (const char *const *)strv_list(&build->commands[i].argv),
            .info = (const char *const *)strv_list(&build->commands[i].info),
        };
    build->request.commands = build->views;
    build->request.count = build->count;
    build->request.preput = (const char *const *)strv_list(&build->preput);
    return 0;
}

/* "0,0,1": one code a process, as MPICH's client asserts. */
static char *errcode_list(const struct spawn_build *build, bool ok,
                          const int *errcodes)
{
    char *text = malloc((size_t)build->procs * 12 + 1);
    size_t len = 0;

    for (unsigned i = 0; text != NULL && i < build->procs; i++)
        len += (size_t)sprintf(text + len, "%s%d", i > 0 ? "," : "",
                               errcodes != NULL ? errcodes[i] : !ok);
    return text;
}

static void write_pmi1(struct pmi_out *out, bool ok, const char *errcodes)
{
    const struct pmi_dialect *dialect = &pmi_dialect_1;

    dialect->begin(out, "spawn_result");
    pmi_add_num(dialect, out, "rc", ok ? 0 : -1);
    if (errcodes != NULL)
        pmi_add_str(dialect, out, "errcodes", errcodes);
    dialect->end(out);
}

/* A list too long for a line may lack when it says no more than rc does. */
static void answer_pmi1(struct pmi_out *out, bool ok, const char *errcodes)
{
    bool wanted = strlen(errcodes) <= ERRCODES_MAX ||
                  (ok && strpbrk(errcodes, "123456789") != NULL);

    write_pmi1(out, ok, wanted ? errcodes : NULL);
    if (out->refused)
        write_pmi1(out, false, NULL);
}

static void answer_pmi2(struct ctpmi_client *client, struct pmi_out *out,
                        const struct ctpmi_job *child)
{
    const struct pmi_dialect *dialect = &pmi_dialect_2;

    dialect->begin(out, "spawn-response");
    reply_thrid(out, client, WAIT_SPAWN);
    pmi_add_num(dialect, out, "rc", child != NULL ? 0 : 1);
    if (child != NULL)
        pmi_add_str(dialect, out, "jobid", child->jobid);
    else
        pmi_add_str(dialect, out, "errmsg", "spawn_failed");
    pmi_add_num(dialect, out, "nerrs", 0);
    dialect->end(out);
}

static void answer(struct spawn_build *build, struct ctpmi_job *child,
                   const int *errcodes)
{
    struct ctpmi_client *client = build->request.by;
    char *list = errcode_list(build, child != NULL, errcodes);
    size_t size = 1024 + (list != NULL ? strlen(list) : 0);
    struct pmi_out out = {.buf = malloc(size), .size = size};

    if (list == NULL || out.buf == NULL)
        session_fault(client, CTPMI_PROTOCOL, "out of memory for an answer");
    else if (client->dialect == &pmi_dialect_2)
        answer_pmi2(client, &out, child);
    else
        answer_pmi1(&out, child != NULL, list);
    session_send(client, out.buf, out.len);
    free(out.buf);
    free(list);
}

void ctpmi_spawn_done(struct ctpmi_spawn *request, struct ctpmi_job *child,
                      const int *errcodes)
{
    struct spawn_build *build = (struct spawn_build *)request;

    if (request->by != NULL) {
        request->by->spawn = NULL;
        answer(build, child, errcodes);
    }
    spawn_free(build);
}

/* The request is whole: the host takes it, or it is answered with no. */
static int submit(struct ctpmi_client *client, struct ct_error *reterr)
{
    struct ctpmi *server = client->job->server;
    struct spawn_build *build = client->spawn;

    if (check_pairs(build, reterr) < 0)
        return -1;
    if (make_views(build) < 0)
        return ct_fail_nomem(reterr);
    build->request.by = client;
    build->under_way = true;
    if (server->callbacks.spawn == NULL ||
        server->callbacks.spawn(server->ctx, &build->request) < 0)
        ctpmi_spawn_done(&build->request, NULL, NULL);
    return 0;
}

static int read_block(struct spawn_build *build, const struct pmi_msg *msg,
                      unsigned number, struct ct_error *reterr)
{
    if (number != build->count + 1)
        return ct_fail(reterr, EPROTO, "spawn blocks out of order");
    const struct ct_span *name = pmi_msg_get(msg, "execname");
    const struct ct_span *procs = pmi_msg_get(msg, "nprocs");
    struct spawn_command *command = add_command(build);

    if (command == NULL)
        return ct_fail_nomem(reterr);
    if (name == NULL || name->len == 0 || procs == NULL)
        return ct_fail(reterr, EPROTO, "spawn without execname or nprocs");
    if (add_text(build, &command->argv, *name, reterr) < 0 ||
        set_maxprocs(build, command, *procs, reterr) < 0)
        return -1;
    for (size_t i = 0; i < msg->count; i++)
        if (add_pair(build, command, &msg->pairs[i], reterr) < 0)
            return -1;
    return 0;
}

static int start_build(struct ctpmi_client *client, struct ct_error *reterr)
{
    if (client->spawn != NULL && client->spawn->under_way)
        return ct_fail(reterr, EPROTO, "a spawn is under way already");
    if (client->spawn == NULL)
        client->spawn = calloc(1, sizeof *client->spawn);
    if (client->spawn == NULL)
        return ct_fail_nomem(reterr);
    client->spawn->parent = client->job->jobid;
    return 0;
}

static int fail_build(struct ctpmi_client *client)
{
    spawn_free(client->spawn);
    client->spawn = NULL;
    return -1;
}

/* However many blocks, one answer: to the last, and for the first bad one. */
int spawn_pmi1(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    long total, sofar;

    if (start_build(client, reterr) < 0)
        return -1;
    if (pmi_msg_number(call->msg, "totspawns", 1, COMMANDS_MAX, &total) < 0 ||
        pmi_msg_number(call->msg, "spawnssofar", 1, total, &sofar) < 0) {
        ct_fail(reterr, EPROTO, "spawn blocks out of order");
        return fail_build(client);
    }
    struct ct_error *error = &client->spawn->error;
    if (error->code == 0)
        read_block(client->spawn, call->msg, (unsigned)sofar, error);
    if (sofar < total)
        return 0;
    if (error->code != 0) {
        *reterr = *error;
        return fail_build(client);
    }
    return submit(client, reterr) < 0 ? fail_build(client) : 0;
}

static int read_pmi2_pair(struct spawn_build *build,
                          const struct pmi_pair *pair, struct ct_error *reterr)
{
    struct spawn_command *command =
        build->count > 0 ? &build->commands[build->count - 1] : NULL;

    if (ct_span_is(pair->key, "subcmd")) {
        if (build->count == COMMANDS_MAX)
            return ct_fail(reterr, EPROTO, "spawn of too many commands");
        if (pair->value.len == 0)
            return ct_fail(reterr, EPROTO, "spawn without a command");
        command = add_command(build);
        if (command == NULL)
            return ct_fail_nomem(reterr);
        return add_text(build, &command->argv, pair->value, reterr);
    }
    if (ct_span_is(pair->key, "maxprocs") && command != NULL)
        return set_maxprocs(build, command, pair->value, reterr);
    return add_pair(build, command, pair, reterr);
}

static int read_pmi2(struct spawn_build *build, const struct pmi_msg *msg,
                     struct ct_error *reterr)
{
    for (size_t i = 0; i < msg->count; i++)
        if (read_pmi2_pair(build, &msg->pairs[i], reterr) < 0)
            return -1;
    if (build->count == 0)
        return ct_fail(reterr, EPROTO, "spawn without a command");
    for (unsigned i = 0; i < build->count; i++)
        if (build->commands[i].maxprocs == 0)
            return ct_fail(reterr, EPROTO, "spawn without maxprocs");
    return 0;
}

int spawn_pmi2(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;

    if (start_build(client, reterr) < 0)
        return -1;
    client->spawn->escaped = true;
    if (read_pmi2(client->spawn, call->msg, reterr) < 0)
        return fail_build(client);
    call_keep_thrid(call, WAIT_SPAWN);
    return submit(client, reterr) < 0 ? fail_build(client) : 0;
}

const char *spawn_parent(const struct ctpmi_spawn *request)
{
    return ((const struct spawn_build *)request)->parent;
}

/* Put, not imported: the first fence takes them to the job's other nodes. */
int spawn_preput(struct ctpmi_spawn *request, struct ctpmi_job *job,
                 struct ct_error *reterr)
{
    const struct strv *list = &((struct spawn_build *)request)->preput;

    for (size_t i = 0; i < list->count; i += 2)
        if (kvs_put(job->kvs, job->local_count, ct_span_str(list->items[i]),
                    ct_span_str(list->items[i + 1]), reterr) < 0)
            return -1;
    return 0;
}
