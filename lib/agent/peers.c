/*
 * The agents of a job's other nodes: fences beyond this node, direct modex, and
 * the end of the job, of which each that hears of it tells its neighbours.
 */
#include "agent/state.h"
#include "base/hash.h"
#include "base/scope.h"
#include "overlay/collective.h"
#include "overlay/direct.h"
#include "overlay/overlay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HOME = 0 }; /* the node where names live */

/* A question to another node: of one of the three. */
struct question {
    struct question *next;
    uint32_t number;
    struct pmixsrv_modex *modex;
    struct pmixsrv_question *pmix;
    struct ctpmi_name *name;
    unsigned node; /* that it was put to */
};

/* A message for the PMIx server that has come before there is one. */
struct early {
    struct early *next;
    unsigned from, kind;
    size_t len;
    char bytes[];
};

struct peers {
    struct agent *agent;
    struct overlay *overlay;
    struct collectives *collectives;
    struct directs *directs; /* in place of these, if ranks may die */
    struct question *questions;
    struct early *early, **last_early;
    size_t early_size;
    uint32_t asked;
    struct strv names; /* of HOME: "SERVICE=port" */
    struct event *tick;
    bool opened; /* there is a PMIx server, or will be none */
    bool ended;  /* all know that the job ends */
};

static const char *name_of(const struct agent *agent, unsigned node)
{
    return agent->config.world->hosts[node];
}

/* ---- the end of the job ---- */

void peers_end(struct agent *agent, enum agent_fault fault, int code)
{
    struct peers *peers = agent->peers;
    struct pack p = {0};

    if (peers == NULL || peers->ended)
        return;
    peers->ended = true;
    pack_u32(&p, fault);
    pack_u32(&p, (uint32_t)code);
    pack_u32(&p, agent->config.world->node);
    if (!p.failed)
        overlay_spread(peers->overlay, PEERS_END, p.bytes, p.len);
    free(p.bytes);
}

bool peers_know_end(const struct agent *agent)
{
    return agent->peers != NULL && agent->peers->ended;
}

/*
 * The node where it has happened has said so; of several, the lowest. What has
 * ended a rank here may be the reason: with Open MPI those to whom it was
 * connected abort.
 */
static void take_end(struct peers *peers, unsigned from, struct unpack *u)
{
    struct agent_failure failure = {.fault = (enum agent_fault)unpack_u32(u)};
    struct agent *agent = peers->agent;
    unsigned node;

    (void)from;
    failure.code = (int)unpack_u32(u);
    failure.elsewhere = true;
    node = unpack_u32(u);
    if (u->failed || node >= agent->config.world->node_count ||
        (peers->ended && node >= agent->config.world->node))
        return;
    if (!peers->ended)
        overlay_spread(peers->overlay, PEERS_END, u->bytes, u->len);
    peers->ended = true;
    snprintf(failure.text, sizeof failure.text, "node %s ends the job",
             name_of(agent, node));
    members_look(agent);
    agent->config.callbacks.failed(agent->config.ctx, &failure);
}

static void on_lost(void *ctx, unsigned node, const char *why)
{
    struct peers *peers = ctx;
    struct agent *agent = peers->agent;

    if (!peers->ended && !agent->ending)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: node %s is lost: %s",
                   agent->host, name_of(agent, node), why);
}

/* ---- what the user is told ---- */

bool agent_say_elsewhere(struct agent *agent, const char *text)
{
    struct peers *peers = agent->peers;
    struct pack p = {0};
    unsigned node;
    bool taken;

    if (peers == NULL || members_live(agent->config.world))
        return false;
    node = overlay_neighbour(peers->overlay);
    if (node == agent->config.world->node)
        return false;
    pack_str(&p, text);
    taken = !p.failed;
    peers_tell(agent, node, PEERS_SAY, &p);
    free(p.bytes);
    return taken;
}

static void take_say(struct peers *peers, unsigned from, struct unpack *u)
{
    const char *text = unpack_str(u);

    (void)from;
    if (!u->failed && text != NULL)
        agent_note(peers->agent, -1, "%s", text);
}

/* ---- fences ---- */

/* One that waits for other nodes. */
struct wait {
    struct peers *peers;
    struct ctpmi_fence *pmi; /* one of these two */
    struct pmixsrv_fence *pmix;
    const struct job *job; /* of pmi, and who is in it */
    unsigned *members;     /* NULL: all ranks */
    size_t count;
};

static void wait_free(struct wait *wait)
{
    if (wait != NULL)
        free(wait->members);
    free(wait);
}

static size_t sum_of(const struct collective_part *parts, unsigned count,
                     unsigned without)
{
    size_t sum = 0;

    for (unsigned i = 0; i < count; i++)
        sum += parts[i].node != without ? parts[i].len : 0;
    return sum;
}

/* One part after the other. NULL without memory. */
static char *join_parts(const struct collective_part *parts, unsigned count,
                        unsigned without, size_t *ret_len)
{
    char *bytes = malloc(sum_of(parts, count, without) + 1);

    *ret_len = 0;
    for (unsigned i = 0; bytes != NULL && i < count; i++) {
        if (parts[i].node == without || parts[i].len == 0)
            continue;
        memcpy(bytes + *ret_len, parts[i].bytes, parts[i].len);
        *ret_len += parts[i].len;
    }
    return bytes;
}

/* PMI has this node's data already, and PMIx wants all. */
static void fence_done(void *ctx, const struct collective_part *parts,
                       unsigned count)
{
    struct wait *wait = ctx;
    struct agent *agent = wait->peers->agent;
    unsigned without = wait->pmi != NULL ? agent->config.world->node : ~0U;
    size_t len;
    char *bytes = join_parts(parts, count, without, &len);

    if (bytes == NULL)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: out of memory", agent->host);
    else if (wait->pmi != NULL)
        ctpmi_fence_done(wait->pmi, bytes, len);
    else
        pmixsrv_fence_done(wait->pmix, bytes, len);
    if (wait->pmi != NULL)
        free(bytes); /* the other has taken it */
    wait_free(wait);
}

/* Which nodes members (NULL: all ranks) are on: ascending, to free(). */
static unsigned *nodes_of(const struct job *job, const unsigned *members,
                          size_t count, unsigned *ret_count)
{
    const struct agent_world *world = job->agent->config.world;
    CT_AUTO_FREE bool *is_member = calloc(world->node_count, sizeof *is_member);
    unsigned *nodes = calloc(world->node_count, sizeof *nodes);

    *ret_count = 0;
    if (is_member == NULL || nodes == NULL) {
        free(nodes);
        return NULL;
    }
    for (size_t i = 0; i < (members != NULL ? count : job->size); i++)
        is_member[job->node_of[members != NULL ? members[i] : i]] = true;
    for (unsigned node = 0; node < world->node_count; node++)
        if (is_member[node])
            nodes[(*ret_count)++] = node;
    return nodes;
}

/* 0, or -1 without memory. */
static int copy_members(struct wait *wait, const struct job *job,
                        const unsigned *members, size_t count)
{
    wait->job = job;
    if (members == NULL)
        return 0;
    wait->members = calloc(count + 1, sizeof *members);
    if (wait->members == NULL)
        return -1;
    memcpy(wait->members, members, count * sizeof *members);
    wait->count = count;
    return 0;
}

/* Has the node members of it that live? */
static bool has_living(const struct wait *wait, unsigned node)
{
    const struct job *job = wait->job;
    size_t count = wait->members != NULL ? wait->count : job->size;

    for (size_t i = 0; i < count; i++) {
        unsigned rank = wait->members != NULL ? wait->members[i] : (unsigned)i;

        if (job->node_of[rank] == node && !job->dead[rank])
            return true;
    }
    return false;
}

/* Members of the same nodes may be others: a hash tells them apart. */
static void name_fence(const struct job *job, const char *name,
                       const unsigned *members, size_t count, char *ret,
                       size_t size)
{
    uint64_t hash = ct_hash(CT_HASH_START, members,
                            members != NULL ? count * sizeof *members : 0);

    snprintf(ret, size, "pmi/%u/%016" PRIx64 "/%.200s", job->number, hash,
             name);
}

static void begin_fence(struct agent *agent, const struct wait *what,
                        const char *name, const unsigned *nodes, unsigned count,
                        const void *data, size_t len)
{
    struct peers *peers = agent->peers;
    struct wait *wait = malloc(sizeof *wait);
    struct ct_error err;
    int rc;

    if (wait == NULL || nodes == NULL) {
        rc = ct_fail_nomem(&err);
    } else {
        *wait = *what;
        wait->peers = peers;
        rc = peers->directs != NULL
                 ? directs_begin(peers->directs, name, nodes, count, data, len,
                                 fence_done, wait, &err)
                 : collectives_begin(peers->collectives, name, nodes, count,
                                     data, len, fence_done, wait, &err);
    }
    if (rc < 0)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: a fence: %s", agent->host,
                   err.text);
}

void peers_pmi_fence(void *ctx, struct ctpmi_job *job,
                     struct ctpmi_fence *fence, const char *name,
                     const unsigned *members, size_t count, const void *data,
                     size_t len)
{
    struct wait wait = {.pmi = fence};
    const struct job *ours = ctpmi_job_user(job);
    unsigned node_count;
    CT_AUTO_FREE unsigned *nodes = nodes_of(ours, members, count, &node_count);
    char text[256];

    name_fence(ours, name, members, count, text, sizeof text);
    if (nodes == NULL || copy_members(&wait, ours, members, count) < 0)
        agent_fail(ctx, AGENT_BROKEN, 0, "%s: out of memory",
                   ours->agent->host);
    else
        begin_fence(ctx, &wait, text, nodes, node_count, data, len);
}

void peers_pmix_fence(void *ctx, struct pmixsrv_fence *fence, const char *name,
                      const unsigned *nodes, unsigned count, const void *data,
                      size_t len)
{
    const struct wait wait = {.pmix = fence};

    begin_fence(ctx, &wait, name, nodes, count, data, len);
}

static void send_collective(void *ctx, unsigned node, const void *bytes,
                            size_t len)
{
    struct peers *peers = ctx;

    overlay_send(peers->overlay, node, PEERS_COLLECTIVE, bytes, len);
}

static void take_collective(struct peers *peers, unsigned from,
                            struct unpack *u)
{
    struct agent *agent = peers->agent;
    struct ct_error err;

    if (collectives_receive(peers->collectives, from, u->bytes, u->len, &err) <
        0)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: from node %s: %s", agent->host,
                   name_of(agent, from), err.text);
}

static void send_direct(void *ctx, unsigned node, const void *bytes, size_t len)
{
    struct peers *peers = ctx;

    overlay_tell(peers->overlay, node, PEERS_DIRECT, bytes, len);
}

/* One that has left has said before whom it leaves dead. */
static bool awaits_part(void *ctx, void *begun, unsigned node)
{
    const struct peers *peers = ctx;
    const struct wait *wait = begun;

    return !overlay_has_left(peers->overlay, node) &&
           (wait->pmix != NULL ? pmixsrv_fence_awaits(wait->pmix, node)
                               : has_living(wait, node));
}

static void take_direct(struct peers *peers, unsigned from, struct unpack *u)
{
    struct agent *agent = peers->agent;
    struct ct_error err;
    int rc;

    if (peers->directs == NULL)
        rc = ct_fail(&err, EPROTO,
                     "it was told --on-failure=continue, and this node was "
                     "not");
    else
        rc = directs_receive(peers->directs, from, u->bytes, u->len, &err);
    if (rc < 0)
        agent_fail(agent, AGENT_BROKEN, 0, "%s: from node %s: %s", agent->host,
                   name_of(agent, from), err.text);
}

/* ---- questions and answers ---- */

/* NULL: the node has left, or there is no memory. */
static struct question *add_question(struct peers *peers, unsigned node)
{
    struct question *question = overlay_has_left(peers->overlay, node)
                                    ? NULL
                                    : calloc(1, sizeof *question);

    if (question == NULL)
        return NULL;
    question->node = node;
    question->number = peers->asked++;
    question->next = peers->questions;
    peers->questions = question;
    return question;
}

/* The question of this number, which is the caller's to free; NULL. */
static struct question *take_question(struct peers *peers, uint32_t number)
{
    struct question **at = &peers->questions, *question;

    while (*at != NULL && (*at)->number != number)
        at = &(*at)->next;
    question = *at;
    if (question != NULL)
        *at = question->next;
    return question;
}

/* One that cannot be reached has left, and end_questions() sees that. */
void peers_tell(struct agent *agent, unsigned node, enum peers_kind kind,
                const struct pack *p)
{
    if (!p->failed)
        overlay_tell(agent->peers->overlay, node, kind, p->bytes, p->len);
}

static void send_and_free(struct peers *peers, unsigned node,
                          enum peers_kind kind, struct pack *p)
{
    peers_tell(peers->agent, node, kind, p);
    free(p->bytes);
}

/* Who has asked, while libpmix looks for the answer. */
struct asker {
    struct peers *peers;
    unsigned node;
    uint32_t number;
};

static struct asker *add_asker(struct peers *peers, unsigned from,
                               struct unpack *u)
{
    struct asker *asker = malloc(sizeof *asker);

    if (asker != NULL)
        *asker = (struct asker){
            .peers = peers, .node = from, .number = unpack_u32(u)};
    return asker;
}

/* ---- direct modex ---- */

void peers_modex(void *ctx, struct pmixsrv_modex *modex, const char *nspace,
                 unsigned rank, unsigned node)
{
    struct agent *agent = ctx;
    struct peers *peers = agent->peers;
    struct question *question = add_question(peers, node);
    struct pack p = {0};

    if (question == NULL) {
        pmixsrv_modex_done(modex, PMIXSRV_MODEX_FAILED, NULL, 0);
        return;
    }
    question->modex = modex;
    pack_u32(&p, question->number);
    pack_str(&p, nspace);
    pack_u32(&p, rank);
    send_and_free(peers, node, PEERS_MODEX, &p);
}

static void send_data(void *ctx, int status, const void *data, size_t len)
{
    struct asker *asker = ctx;
    struct pack p = {0};

    pack_u32(&p, asker->number);
    pack_u32(&p, (uint32_t)status);
    pack_bytes(&p, data, len);
    send_and_free(asker->peers, asker->node, PEERS_DATA, &p);
    free(asker);
}

static void take_modex(struct peers *peers, unsigned from, struct unpack *u)
{
    struct agent *agent = peers->agent;
    struct asker *asker = add_asker(peers, from, u);
    const char *nspace = unpack_str(u);
    uint32_t rank = unpack_u32(u);

    if (asker == NULL)
        return;
    if (u->failed || nspace == NULL)
        send_data(asker, PMIXSRV_MODEX_FAILED, NULL, 0);
    else
        pmixsrv_modex_serve(agent->pmix, nspace, rank, send_data, asker);
}

static void take_data(struct peers *peers, unsigned from, struct unpack *u)
{
    struct question *question = take_question(peers, unpack_u32(u));
    int status = (int)unpack_u32(u);

    (void)from;
    if (question != NULL && question->modex != NULL)
        pmixsrv_modex_done(question->modex,
                           u->failed ? PMIXSRV_MODEX_FAILED : status,
                           u->bytes + u->at, u->len - u->at);
    free(question);
}

/* ---- what else another node's PMIx server knows ---- */

void peers_ask(void *ctx, struct pmixsrv_question *pmix, unsigned node,
               const void *bytes, size_t len)
{
    struct agent *agent = ctx;
    struct peers *peers = agent->peers;
    struct question *question = add_question(peers, node);
    struct pack p = {0};

    if (question == NULL) {
        pmixsrv_answered(pmix, NULL, 0);
        return;
    }
    question->pmix = pmix;
    pack_u32(&p, question->number);
    pack_bytes(&p, bytes, len);
    send_and_free(peers, node, PEERS_ASK, &p);
}

static void send_answer(void *ctx, const void *bytes, size_t len)
{
    struct asker *asker = ctx;
    struct pack p = {0};

    pack_u32(&p, asker->number);
    pack_bytes(&p, bytes, len);
    send_and_free(asker->peers, asker->node, PEERS_ANSWER, &p);
    free(asker);
}

static void take_ask(struct peers *peers, unsigned from, struct unpack *u)
{
    struct agent *agent = peers->agent;
    struct asker *asker = add_asker(peers, from, u);

    if (asker == NULL)
        return;
    if (u->failed)
        send_answer(asker, NULL, 0);
    else
        pmixsrv_visit(agent->pmix, u->bytes + u->at, u->len - u->at,
                      send_answer, asker);
}

static void take_answer(struct peers *peers, unsigned from, struct unpack *u)
{
    struct question *question = take_question(peers, unpack_u32(u));

    (void)from;
    if (question != NULL && question->pmix != NULL)
        pmixsrv_answered(question->pmix, u->bytes + u->at, u->len - u->at);
    free(question);
}

/* ---- names of PMI-1 and PMI-2 ---- */

/* "=" ends a name in the list, and no name has a control byte. */
static char *name_in_list(const char *service)
{
    char *name = strdup(service);

    for (char *c = name; c != NULL && (c = strchr(c, '=')) != NULL;)
        *c = '\1';
    return name;
}

/* *ret_port: what is found, until the next change. */
static bool do_name(struct peers *peers, enum ctpmi_name_op op,
                    const char *service, const char *port,
                    const char **ret_port)
{
    CT_AUTO_FREE char *name = name_in_list(service);

    if (name == NULL)
        return false;
    *ret_port = strv_env_get(&peers->names, name);
    if (op == CTPMI_PUBLISH)
        return *ret_port == NULL &&
               strv_addf(&peers->names, "%s=%s", name, port) == 0;
    if (op == CTPMI_UNPUBLISH && *ret_port != NULL)
        strv_env_unset(&peers->names, name);
    return *ret_port != NULL;
}

void peers_name(void *ctx, struct ctpmi_name *name, enum ctpmi_name_op op,
                const char *service, const char *port)
{
    struct agent *agent = ctx;
    struct peers *peers = agent->peers;
    struct question *question;
    struct pack p = {0};
    const char *found;

    if (agent->config.world->node == HOME) {
        bool success = do_name(peers, op, service, port, &found);
        ctpmi_name_done(name, success, found);
        return;
    }
    question = add_question(peers, HOME);
    if (question == NULL) {
        ctpmi_name_done(name, false, NULL);
        return;
    }
    question->name = name;
    pack_u32(&p, question->number);
    pack_u32(&p, op);
    pack_str(&p, service);
    pack_str(&p, port);
    send_and_free(peers, HOME, PEERS_NAME, &p);
}

static void take_name(struct peers *peers, unsigned from, struct unpack *u)
{
    uint32_t number = unpack_u32(u), op = unpack_u32(u);
    const char *service = unpack_str(u), *port = unpack_str(u), *found = NULL;
    struct pack p = {0};
    bool success = service != NULL && port != NULL &&
                   do_name(peers, op, service, port, &found);

    pack_u32(&p, number);
    pack_u32(&p, success);
    pack_str(&p, success && op == CTPMI_LOOKUP ? found : "");
    send_and_free(peers, from, PEERS_NAMED, &p);
}

static void take_named(struct peers *peers, unsigned from, struct unpack *u)
{
    struct question *question = take_question(peers, unpack_u32(u));
    bool success = unpack_u32(u) != 0;
    const char *port = unpack_str(u);

    (void)from;
    if (question != NULL && question->name != NULL)
        ctpmi_name_done(question->name, success && port != NULL, port);
    free(question);
}

/* ---- questions that nobody will answer ---- */

static void end_question(struct question *question)
{
    if (question->modex != NULL)
        pmixsrv_modex_done(question->modex, PMIXSRV_MODEX_FAILED, NULL, 0);
    else if (question->pmix != NULL)
        pmixsrv_answered(question->pmix, NULL, 0);
    else if (question->name != NULL)
        ctpmi_name_done(question->name, false, NULL);
    free(question);
}

/* What is asked while one ends is put first, and to one that is there. */
static void end_questions(struct peers *peers)
{
    struct question **at = &peers->questions;

    while (*at != NULL) {
        struct question *question = *at;

        if (!overlay_has_left(peers->overlay, question->node)) {
            at = &question->next;
            continue;
        }
        *at = question->next;
        end_question(question);
        at = &peers->questions;
    }
}

void peers_review(struct agent *agent)
{
    struct peers *peers = agent->peers;

    if (peers == NULL)
        return;
    end_questions(peers);
    if (peers->directs != NULL)
        directs_review(peers->directs);
}

/* ---- what spawned jobs need ---- */

const char *peers_name_of(const struct agent *agent, unsigned node)
{
    return name_of(agent, node);
}

bool peers_has_left(const struct agent *agent, unsigned node)
{
    return overlay_has_left(agent->peers->overlay, node);
}

void peers_send_spawn(struct agent *agent, unsigned node, struct pack *p)
{
    send_and_free(agent->peers, node, PEERS_SPAWN, p);
}

static void take_spawn(struct peers *peers, unsigned from, struct unpack *u)
{
    peers_spawn_receive(peers->agent, from, u);
}

/* ---- life ---- */

static void take_event(struct peers *peers, unsigned from, struct unpack *u)
{
    events_take(peers->agent, from, u);
}

static void take_lost(struct peers *peers, unsigned from, struct unpack *u)
{
    events_take_lost(peers->agent, from, u);
}

static void take_signal(struct peers *peers, unsigned from, struct unpack *u)
{
    events_take_signal(peers->agent, from, u);
}

/* What comes early is kept until this node is ready for it. */
enum when { AT_ONCE, WITH_WORLD, WITH_PMIX };

static const struct row {
    unsigned kind;
    void (*take)(struct peers *peers, unsigned from, struct unpack *u);
    enum when when; /* our part of the world is open; and has a PMIx server */
} rows[] = {
    {PEERS_COLLECTIVE, take_collective, AT_ONCE},
    {PEERS_END, take_end, AT_ONCE},
    {PEERS_MODEX, take_modex, WITH_PMIX},
    {PEERS_DATA, take_data, AT_ONCE},
    {PEERS_ASK, take_ask, WITH_PMIX},
    {PEERS_ANSWER, take_answer, AT_ONCE},
    {PEERS_NAME, take_name, AT_ONCE},
    {PEERS_NAMED, take_named, AT_ONCE},
    {PEERS_SPAWN, take_spawn, WITH_WORLD},
    {PEERS_DIRECT, take_direct, AT_ONCE},
    {PEERS_EVENT, take_event, WITH_PMIX},
    {PEERS_LOST, take_lost, WITH_WORLD},
    {PEERS_SIGNAL, take_signal, WITH_PMIX},
    {PEERS_SAY, take_say, AT_ONCE},
};

static void keep_early(struct peers *peers, unsigned from, unsigned kind,
                       const struct unpack *u)
{
    enum { EARLY_MAX = 64 * 1024 * 1024 };
    struct agent *agent = peers->agent;
    struct early *early = peers->early_size + u->len <= EARLY_MAX
                              ? malloc(sizeof *early + u->len)
                              : NULL;

    if (early == NULL) {
        agent_fail(agent, AGENT_BROKEN, 0,
                   "%s: node %s says more than can be kept before this node "
                   "is ready",
                   agent->host, name_of(agent, from));
        return;
    }
    *early = (struct early){.from = from, .kind = kind, .len = u->len};
    memcpy(early->bytes, u->bytes, u->len);
    peers->early_size += u->len;
    *peers->last_early = early;
    peers->last_early = &early->next;
}

static void take(struct peers *peers, unsigned from, unsigned kind,
                 struct unpack *u)
{
    const struct agent *agent = peers->agent;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];

        if (row->kind != kind)
            continue;
        if (row->when != AT_ONCE && !peers->opened)
            keep_early(peers, from, kind, u);
        else if (row->when != WITH_PMIX || agent->pmix != NULL)
            row->take(peers, from, u);
    }
}

static void on_message(void *ctx, unsigned from, unsigned kind,
                       const void *bytes, size_t len)
{
    struct unpack u = {.bytes = bytes, .len = len};

    take(ctx, from, kind, &u);
}

static struct early *next_early(struct peers *peers)
{
    struct early *early = peers->early;

    if (early == NULL)
        return NULL;
    peers->early = early->next;
    if (peers->early == NULL)
        peers->last_early = &peers->early;
    return early;
}

void peers_opened(struct agent *agent)
{
    struct peers *peers = agent->peers;
    struct early *early;

    if (peers == NULL || peers->opened)
        return;
    peers->opened = true;
    while ((early = next_early(peers)) != NULL) {
        struct unpack u = {.bytes = early->bytes, .len = early->len};

        take(peers, early->from, early->kind, &u);
        free(early);
    }
}

/* One that is stopped is missed by others, and its ranks must not stay. */
static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct peers *peers = ctx;

    (void)fd;
    (void)what;
    zygote_alive(peers->agent->zygote, NULL);
    peers_spawn_check(peers->agent);
    peers_review(peers->agent);
}

static int begin_to_tick(struct peers *peers)
{
    static const struct timeval second = {.tv_sec = 1};

    peers->tick =
        event_new(peers->agent->config.base, -1, EV_PERSIST, on_tick, peers);
    zygote_alive(peers->agent->zygote, NULL);
    return peers->tick != NULL ? event_add(peers->tick, &second) : -1;
}

static int make_collectives(struct peers *peers)
{
    const struct agent_config *config = &peers->agent->config;
    const struct directs_config directs = {
        .self = config->world->node,
        .send = send_direct,
        .awaits = awaits_part,
        .ctx = peers,
    };

    peers->collectives =
        collectives_create(config->world->node, send_collective, peers);
    if (config->continues)
        peers->directs = directs_create(&directs);
    return peers->collectives != NULL &&
                   (!config->continues || peers->directs != NULL)
               ? 0
               : -1;
}

int peers_open(struct agent *agent, struct ct_error *reterr)
{
    const struct agent_world *world = agent->config.world;
    struct overlay_config config = {
        .base = agent->config.base,
        .self = world->node,
        .count = world->node_count,
        .peers = world->peers,
        .listeners = {world->listeners[0], world->listeners[1]},
        .receive = on_message,
        .lost = on_lost,
    };
    struct peers *peers = calloc(1, sizeof *peers);

    if (peers == NULL)
        return ct_fail_nomem(reterr);
    agent->peers = peers;
    peers->agent = agent;
    memcpy(config.secret, world->secret, sizeof config.secret);
    config.ctx = peers;
    peers->last_early = &peers->early;
    if (make_collectives(peers) < 0 || begin_to_tick(peers) < 0)
        return ct_fail_nomem(reterr);
    peers->overlay = overlay_create(&config, reterr);
    return peers->overlay != NULL ? 0 : -1;
}

static void tell_strangers(const struct peers *peers)
{
    unsigned count =
        peers->overlay != NULL ? overlay_strangers(peers->overlay) : 0;

    if (count > 0)
        agent_note(peers->agent, 1,
                   "%s: %u connection%s of strangers %s closed",
                   peers->agent->host, count, count == 1 ? "" : "s",
                   count == 1 ? "was" : "were");
}

/* A job that has failed must be told of to the end. */
void peers_close(struct agent *agent)
{
    enum { FAREWELL = 5 }; /* seconds */
    struct peers *peers = agent->peers;
    struct early *early;

    if (peers == NULL)
        return;
    tell_strangers(peers);
    if (peers->tick != NULL) /* the zygote is gone already */
        event_free(peers->tick);
    overlay_close(peers->overlay, FAREWELL);
    collectives_free(peers->collectives);
    directs_free(peers->directs);
    strv_clear(&peers->names);
    while ((early = next_early(peers)) != NULL)
        free(early);
    while (peers->questions != NULL) {
        struct question *question = peers->questions;
        peers->questions = question->next;
        free(question);
    }
    free(peers);
    agent->peers = NULL;
}
