#include "client/pieces.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static int init(struct client *client, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    long version;

    talk_begin(client, "init");
    talk_num(client, "pmi_version", 2);
    talk_num(client, "pmi_subversion", 0);
    if (talk_do(client, "response_to_init", reterr) < 0)
        return -1;
    if (pmi_msg_number(&talk->msg, "pmi_version", 2, 2, &version) < 0)
        return ct_fail(reterr, EREMOTEIO, "the server does not speak PMI-2");
    talk->dialect = &pmi_dialect_2;
    return 0;
}

/* Who we are: the server's word counts for more than the environment's. */
static int read_facts(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;
    const struct pmi_msg *msg = &talk_of(client)->msg;
    long appnum;

    if (pmi_msg_get(msg, "rank") != NULL &&
        talk_number(client, "rank", &facts->rank, reterr) < 0)
        return -1;
    if ((facts->size == 0 || pmi_msg_get(msg, "size") != NULL) &&
        talk_number(client, "size", &facts->size, reterr) < 0)
        return -1;
    if (facts->rank >= facts->size)
        return ct_fail(reterr, EINVAL, "there is no rank %u of %u", facts->rank,
                       facts->size);
    if (pmi_msg_number(msg, "appnum", 0, INT_MAX, &appnum) == 0)
        facts->appnum = (int)appnum;
    /* Hydra from 4.1 on does not say it */
    if (pmi_msg_get(msg, "spawner-jobid") != NULL)
        facts->spawned = true;
    return 0;
}

/* Slurm wants all three; Hydra the rank alone, and sets no PMI_JOBID. */
static int fullinit(struct client *client, const struct client_start *start,
                    struct ct_error *reterr)
{
    talk_begin(client, "fullinit");
    if (start->jobid != NULL)
        talk_str(client, "pmijobid", start->jobid);
    talk_num(client, "pmirank", start->rank);
    talk_str(client, "threaded", "FALSE");
    if (talk_do(client, "fullinit-response", reterr) < 0)
        return -1;
    return read_facts(client, reterr);
}

static int begin(struct client *client, const struct client_start *start,
                 struct ct_error *reterr)
{
    client->facts.spawned = start->spawned;
    if (!talk_of(client)->is_slurm) { /* Hydra cuts them */
        client->facts.key_max = PMI_KEY_MAX;
        client->facts.value_max = PMI_VALUE_MAX;
    }
    if (init(client, reterr) < 0 || fullinit(client, start, reterr) < 0)
        return -1;
    return talk_jobid(client, "job-getid", "job-getid-response", "jobid",
                      reterr);
}

static int put_text(struct client *client, const char *key, const char *text,
                    struct ct_error *reterr)
{
    talk_begin(client, "kvs-put");
    talk_str(client, "key", key);
    talk_str(client, "value", text);
    return talk_do(client, "kvs-put-response", reterr);
}

/* Hydra ends mpiexec on a jobid other than its own. */
static int ask_text(struct client *client, const struct client_source *from,
                    const char *key, struct ct_error *reterr)
{
    talk_begin(client, "kvs-get");
    talk_str(client, "jobid",
             from->jobid != NULL ? from->jobid : client->facts.jobid);
    talk_num(client, "srcid", from->rank);
    talk_str(client, "key", key);
    return talk_ask(client, "kvs-get-response", reterr);
}

static const struct pieces kvs = {.put = put_text, .ask = ask_text};

static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    return pieces_put(client, &kvs, key, value, reterr);
}

static int get(struct client *client, const struct client_source *from,
               const char *key, struct client_answer *ret,
               struct ct_error *reterr)
{
    return pieces_get(client, &kvs, from, key, ret, reterr);
}

/*
 * Hydra answers a fence at once, and lets the gets after it wait. So we get
 * what nobody puts, as MPICH does for its barrier.
 */
static int await_all(struct client *client, struct ct_error *reterr)
{
    char none[1];
    struct client_answer answer = {.buf = none, .size = sizeof none};

    return get(client, &client_anybody, "-NONEXIST-KEY", &answer, reterr);
}

static int fence(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "kvs-fence");
    if (talk_do(client, "kvs-fence-response", reterr) < 0)
        return -1;
    return talk_of(client)->is_slurm ? 0 : await_all(client, reterr);
}

static int ask_job_text(struct client *client, const struct client_source *from,
                        const char *key, struct ct_error *reterr)
{
    (void)from;
    talk_begin(client, "info-getjobattr");
    talk_str(client, "key", key);
    return talk_ask(client, "info-getjobattr-response", reterr);
}

static int attr(struct client *client, const char *key,
                struct client_answer *ret, struct ct_error *reterr)
{
    static const struct pieces job = {.ask = ask_job_text};

    return pieces_get(client, &job, &client_anybody, key, ret, reterr);
}

/* ---- attributes of the node ---- */

static int put_node_text(struct client *client, const char *key,
                         const char *text, struct ct_error *reterr)
{
    talk_begin(client, "info-putnodeattr");
    talk_str(client, "key", key);
    talk_str(client, "value", text);
    return talk_do(client, "info-putnodeattr-response", reterr);
}

static int ask_node(struct client *client, const char *key, const char *wait,
                    struct ct_error *reterr)
{
    talk_begin(client, "info-getnodeattr");
    talk_str(client, "key", key);
    talk_str(client, "wait", wait);
    return talk_ask(client, "info-getnodeattr-response", reterr);
}

static int ask_node_text(struct client *client,
                         const struct client_source *from, const char *key,
                         struct ct_error *reterr)
{
    (void)from;
    return ask_node(client, key, "FALSE", reterr);
}

static int await_node_text(struct client *client,
                           const struct client_source *from, const char *key,
                           struct ct_error *reterr)
{
    (void)from;
    return ask_node(client, key, "TRUE", reterr);
}

static int node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr)
{
    static const struct pieces node = {.put = put_node_text};

    return pieces_put(client, &node, key, value, reterr);
}

static int node_get(struct client *client, const char *key, bool wait,
                    struct client_answer *ret, struct ct_error *reterr)
{
    static const struct pieces node = {.ask = ask_node_text};
    static const struct pieces node_later = {.ask = await_node_text};

    return pieces_get(client, wait ? &node_later : &node, &client_anybody, key,
                      ret, reterr);
}

static int publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr)
{
    talk_begin(client, "name-publish");
    talk_value_of(client, "name", name);
    talk_value_of(client, "port", port);
    talk_num(client, "infokeycount", 0);
    return talk_do(client, "name-publish-response", reterr);
}

static int unpublish(struct client *client, const char *name,
                     struct ct_error *reterr)
{
    talk_begin(client, "name-unpublish");
    talk_value_of(client, "name", name);
    talk_num(client, "infokeycount", 0);
    return talk_do(client, "name-unpublish-response", reterr);
}

/* Hydra calls it port, Slurm value. */
static int lookup(struct client *client, const char *name,
                  struct client_answer *ret, struct ct_error *reterr)
{
    const struct pmi_msg *msg = &talk_of(client)->msg;

    talk_begin(client, "name-lookup");
    talk_value_of(client, "name", name);
    talk_num(client, "infokeycount", 0);
    if (talk_ask(client, "name-lookup-response", reterr) < 0)
        return -1;
    return talk_value(client,
                      pmi_msg_get(msg, "port") != NULL ? "port" : "value", ret,
                      reterr);
}

static void add_command(struct client *client,
                        const struct client_command *command)
{
    talk_str(client, "subcmd", command->path);
    talk_num(client, "maxprocs", (long)command->maxprocs);
    talk_num(client, "argc", (long)command->argc);
    for (size_t i = 0; i < command->argc; i++)
        talk_item(client, "argv", i, command->argv[i]);
    talk_infos(client, "infokeycount", "infokey", "infoval", command);
}

/* Slurm takes the pairs in this order only; Hydra tells no jobid. */
static int spawn(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr)
{
    (void)codes;
    (void)code_count;
    talk_begin(client, "spawn");
    talk_num(client, "ncmds", (long)spawn->count);
    talk_preputs(client, "preputcount", "ppkey", "ppval", spawn);
    for (size_t i = 0; i < spawn->count; i++)
        add_command(client, &spawn->commands[i]);
    if (talk_do(client, "spawn-response", reterr) < 0)
        return -1;
    if (size > 0)
        jobid[0] = '\0';
    if (size == 0 || pmi_msg_get(&talk_of(client)->msg, "jobid") == NULL)
        return 0;
    return talk_word(client, "jobid", jobid, size, reterr);
}

static int connect_job(struct client *client, const char *jobid,
                       struct ct_error *reterr)
{
    talk_begin(client, "job-connect");
    talk_str(client, "jobid", jobid);
    return talk_do(client, "job-connect-response", reterr);
}

static int disconnect_job(struct client *client, const char *jobid,
                          struct ct_error *reterr)
{
    talk_begin(client, "job-disconnect");
    talk_str(client, "jobid", jobid);
    return talk_do(client, "job-disconnect-response", reterr);
}

static int finalize(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "finalize");
    return talk_do(client, "finalize-response", reterr);
}

/* Old servers know isworld and msg, MPICH from 4.1 on the other two. */
static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    talk_begin(client, "abort");
    talk_str(client, "isworld", "TRUE");
    talk_str(client, "msg", "abort");
    talk_num(client, "exitcode", exitcode);
    talk_str(client, "message", "abort");
    return talk_send(client, reterr);
}

static const struct client_ops ops = {
    .name = "PMI-2",
    .put = put,
    .fence = fence,
    .get = get,
    .attr = attr,
    .node_put = node_put,
    .node_get = node_get,
    .publish = publish,
    .unpublish = unpublish,
    .lookup = lookup,
    .spawn = spawn,
    .connect = connect_job,
    .disconnect = disconnect_job,
    .finalize = finalize,
    .reopen = talk_reopen,
    .abort = ask_abort,
    .close = talk_close,
};

const struct talk_wire talk_wire_2 = {
    .ops = &ops,
    .dialect = &pmi_dialect_2,
    .begin = begin,
    /* MPICH from 4.1 on reads '\' as an escape; Hydra cuts keys at '=' */
    .unsafe = ";\n\\",
    .unsafe_in_key = ";\n\\=",
};
