#include "base/scope.h"
#include "client/pieces.h"
#include "wire/mapping.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* A server that we have dialled learns who we are, and says it back. */
static int introduce(struct client *client, const struct client_start *start,
                     struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "initack");
    talk_num(client, "pmiid", start->rank);
    if (talk_do(client, "initack", reterr) < 0 ||
        talk_hear(client, "set", reterr) < 0 ||
        talk_number(client, "size", &facts->size, reterr) < 0 ||
        talk_hear(client, "set", reterr) < 0 ||
        talk_number(client, "rank", &facts->rank, reterr) < 0)
        return -1;
    return talk_hear(client, "set", reterr); /* debug= */
}

/* MPICH 5 answers 1.2 to 1.1, which adds the barriers of groups. */
static int init(struct client *client, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    long version;

    talk_begin(client, "init");
    talk_num(client, "pmi_version", 1);
    talk_num(client, "pmi_subversion", talk->subversion);
    if (talk_do(client, "response_to_init", reterr) < 0)
        return -1;
    if (pmi_msg_number(&talk->msg, "pmi_version", 1, 1, &version) < 0)
        return ct_fail(reterr, EREMOTEIO, "the server does not speak PMI-1");
    talk->groups = client->facts.groups =
        pmi_msg_number(&talk->msg, "pmi_subversion", 2, INT_MAX, &version) == 0;
    return 0;
}

static int get_maxes(struct client *client, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, "get_maxes");
    if (talk_do(client, "maxes", reterr) < 0 ||
        talk_number(client, "keylen_max", &facts->key_max, reterr) < 0 ||
        talk_number(client, "vallen_max", &facts->value_max, reterr) < 0)
        return -1;
    /* more than we have room for */
    if (facts->value_max > CLIENT_VALUE_SIZE)
        facts->value_max = CLIENT_VALUE_SIZE;
    return 0;
}

/* A number that one may live without. Only a lost connection is a failure. */
static int get_extra(struct client *client, const char *command,
                     const char *answer, const char *key, int *ret,
                     struct ct_error *reterr)
{
    long number;

    talk_begin(client, command);
    if (talk_do(client, answer, reterr) < 0)
        return talk_of(client)->broken ? -1 : 0;
    if (pmi_msg_number(&talk_of(client)->msg, key, 0, INT_MAX, &number) == 0)
        *ret = (int)number;
    return 0;
}

static int begin(struct client *client, const struct client_start *start,
                 struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    facts->spawned = start->spawned;
    if (start->dialled && introduce(client, start, reterr) < 0)
        return -1;
    if (facts->size == 0 || facts->rank >= facts->size)
        return ct_fail(reterr, EINVAL, "there is no rank %u of %u", facts->rank,
                       facts->size);
    if (init(client, reterr) < 0 || get_maxes(client, reterr) < 0 ||
        get_extra(client, "get_appnum", "appnum", "appnum", &facts->appnum,
                  reterr) < 0 ||
        get_extra(client, "get_universe_size", "universe_size", "size",
                  &facts->universe_size, reterr) < 0)
        return -1;
    return talk_jobid(client, "get_my_kvsname", "my_kvsname", "kvsname",
                      reterr);
}

static int put_text(struct client *client, const char *key, const char *text,
                    struct ct_error *reterr)
{
    talk_begin(client, "put");
    talk_str(client, "kvsname", client->facts.jobid);
    talk_str(client, "key", key);
    talk_str(client, "value", text);
    return talk_do(client, "put_result", reterr);
}

static int ask_text(struct client *client, const struct client_source *from,
                    const char *key, struct ct_error *reterr)
{
    talk_begin(client, "get");
    talk_str(client, "kvsname",
             from->jobid != NULL ? from->jobid : client->facts.jobid);
    talk_str(client, "key", key);
    return talk_ask(client, "get_result", reterr);
}

static const struct pieces kvs = {.put = put_text, .ask = ask_text};

static int put(struct client *client, const char *key, const char *value,
               struct ct_error *reterr)
{
    return pieces_put(client, &kvs, key, value, reterr);
}

static int fence(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "barrier_in");
    return talk_do(client, "barrier_out", reterr);
}

/* "WORLD:tag", "NODE:tag" or "0,4,7:tag". false: it is longer than a line. */
static bool write_group(char *buf, size_t size, enum client_group kind,
                        const int *ranks, size_t count, const char *tag)
{
    int len = 0;

    if (kind != CLIENT_GROUP_LIST)
        len = snprintf(buf, size, "%s",
                       kind == CLIENT_GROUP_NODE ? "NODE" : "WORLD");
    for (size_t i = 0; kind == CLIENT_GROUP_LIST && i < count; i++) {
        len += snprintf(buf + len, size - (size_t)len, "%s%d", i > 0 ? "," : "",
                        ranks[i]);
        if ((size_t)len >= size)
            return false;
    }
    len += snprintf(buf + len, size - (size_t)len, ":%s", tag);
    return (size_t)len < size;
}

static int barrier_begin(struct client *client, enum client_group kind,
                         const int *ranks, size_t count, const char *tag,
                         struct client_barrier *ret, struct ct_error *reterr)
{
    char group[TALK_LINE_LONG];

    if (strlen(tag) >= sizeof ret->tag ||
        !write_group(group, sizeof group, kind, ranks, count, tag))
        return ct_fail(reterr, EMSGSIZE, "a group of %zu ranks is too large",
                       count);
    talk_begin(client, "barrier_in");
    talk_str(client, "group", group);
    if (talk_send(client, reterr) < 0)
        return -1;
    snprintf(ret->tag, sizeof ret->tag, "%s", tag);
    talk_add_barrier(client, ret);
    return 0;
}

static int get(struct client *client, const struct client_source *from,
               const char *key, struct client_answer *ret,
               struct ct_error *reterr)
{
    return pieces_get(client, &kvs, from, key, ret, reterr);
}

static int attr(struct client *client, const char *key,
                struct client_answer *ret, struct ct_error *reterr)
{
    return get(client, &client_anybody, key, ret, reterr);
}

/* ---- attributes of the node ----
 *
 * PMI-1 has none. What is put is seen by all ranks of the node at once, so they
 * are keys of the KVS with the node's number in it; Flux, which has no numbers
 * for us, does not exchange keys that begin with "local::". Nothing tells when
 * one is put, so who waits asks again, and not for ever: Hydra shows to others
 * what is put only after a barrier (it speaks PMI-2, but not over PMI_PORT).
 */

/* Of ours; -1: the server does not tell. */
static int find_node(struct client *client, long *ret, struct ct_error *reterr)
{
    const struct client_facts *facts = &client->facts;
    CT_AUTO_FREE char *map = malloc(PMI_FRAME_MAX);
    CT_AUTO_FREE unsigned *node_of = calloc(facts->size, sizeof *node_of);
    struct client_answer answer = {.buf = map, .size = PMI_FRAME_MAX};

    if (map == NULL || node_of == NULL)
        return ct_fail_nomem(reterr);
    if (attr(client, "PMI_process_mapping", &answer, reterr) < 0)
        return -1;
    *ret = -1;
    if (answer.found &&
        mapping_decode(ct_span_str(map), facts->size, node_of, NULL) == 0)
        *ret = (long)node_of[facts->rank];
    return 0;
}

/* Their place: that of all keys, with our node's number before each. */
static int find_place(struct client *client, struct pieces *ret,
                      struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    char *prefix = talk->node_prefix;
    long node;

    if (prefix[0] == '\0') {
        if (find_node(client, &node, reterr) < 0)
            return -1;
        if (node < 0)
            snprintf(prefix, sizeof talk->node_prefix, "local::");
        else
            snprintf(prefix, sizeof talk->node_prefix, "local::%ld::", node);
    }
    *ret = (struct pieces){.put = put_text, .ask = ask_text, .prefix = prefix};
    return 0;
}

static int node_put(struct client *client, const char *key, const char *value,
                    struct ct_error *reterr)
{
    struct pieces node;

    if (find_place(client, &node, reterr) < 0)
        return -1;
    return pieces_put(client, &node, key, value, reterr);
}

static int node_look(struct client *client, const char *key,
                     struct client_answer *ret, struct ct_error *reterr)
{
    struct pieces node;

    if (find_place(client, &node, reterr) < 0)
        return -1;
    return pieces_get(client, &node, &client_anybody, key, ret, reterr);
}

static int node_get(struct client *client, const char *key, bool wait,
                    struct client_answer *ret, struct ct_error *reterr)
{
    enum { PATIENCE = 32 * 1000 };

    return wait ? client_look_again(client, node_look, key, PATIENCE, ret,
                                    reterr)
                : node_look(client, key, ret, reterr);
}

/* ---- names ---- */

static int publish(struct client *client, const char *name, const char *port,
                   struct ct_error *reterr)
{
    talk_begin(client, "publish_name");
    talk_value_of(client, "service", name);
    talk_value_of(client, "port", port);
    return talk_do(client, "publish_result", reterr);
}

static int unpublish(struct client *client, const char *name,
                     struct ct_error *reterr)
{
    talk_begin(client, "unpublish_name");
    talk_value_of(client, "service", name);
    return talk_do(client, "unpublish_result", reterr);
}

static int lookup(struct client *client, const char *name,
                  struct client_answer *ret, struct ct_error *reterr)
{
    talk_begin(client, "lookup_name");
    talk_value_of(client, "service", name);
    return talk_get(client, "lookup_result", "port", ret, reterr);
}

/* Old servers take the preputs of the last block, new ones of the first. */
static void add_command(struct client *client, const struct client_spawn *spawn,
                        size_t i)
{
    const struct client_command *command = &spawn->commands[i];

    talk_begin_block(client, "spawn");
    talk_num(client, "nprocs", (long)command->maxprocs);
    talk_str(client, "execname", command->path);
    talk_num(client, "totspawns", (long)spawn->count);
    talk_num(client, "spawnssofar", (long)i + 1);
    for (size_t j = 0; j < command->argc; j++)
        talk_item(client, "arg", j + 1, command->argv[j]);
    talk_num(client, "argcnt", (long)command->argc);
    talk_preputs(client, "preput_num", "preput_key_", "preput_val_", spawn);
    talk_infos(client, "info_num", "info_key_", "info_val_", command);
    talk_end_block(client);
}

static void read_codes(struct ct_span list, int *codes, size_t count)
{
    long code;

    for (size_t i = 0; i < count && list.len > 0; i++)
        if (ct_span_number(ct_span_cut(&list, ','), INT_MIN, INT_MAX, &code) ==
            0)
            codes[i] = (int)code;
}

static int spawn(struct client *client, const struct client_spawn *spawn,
                 char *jobid, size_t size, int *codes, size_t code_count,
                 struct ct_error *reterr)
{
    const struct ct_span *list;

    for (size_t i = 0; i < spawn->count; i++)
        add_command(client, spawn, i);
    if (talk_do(client, "spawn_result", reterr) < 0)
        return -1;
    list = pmi_msg_get(&talk_of(client)->msg, "errcodes");
    if (list != NULL)
        read_codes(*list, codes, code_count);
    if (size > 0)
        jobid[0] = '\0';
    return 0;
}

static int finalize(struct client *client, struct ct_error *reterr)
{
    talk_begin(client, "finalize");
    return talk_do(client, "finalize_ack", reterr);
}

static int ask_abort(struct client *client, int exitcode,
                     struct ct_error *reterr)
{
    talk_begin(client, "abort");
    talk_num(client, "exitcode", exitcode);
    return talk_send(client, reterr);
}

static const struct client_ops ops = {
    .name = "PMI-1",
    .put = put,
    .fence = fence,
    .barrier_begin = barrier_begin,
    .barrier_test = talk_barrier_test,
    .barrier_forget = talk_barrier_forget,
    .fd = talk_fd,
    .get = get,
    .attr = attr,
    .node_put = node_put,
    .node_get = node_get,
    .publish = publish,
    .unpublish = unpublish,
    .lookup = lookup,
    .spawn = spawn,
    .finalize = finalize,
    .reopen = talk_reopen,
    .abort = ask_abort,
    .close = talk_close,
};

const struct talk_wire talk_wire_1 = {
    .ops = &ops,
    .dialect = &pmi_dialect_1,
    .begin = begin,
    /* MPICH from 4.1 on reads '\' as an escape; Hydra cuts keys at '=' */
    .unsafe = " \n\\",
    .unsafe_in_key = " \n\\=",
};
