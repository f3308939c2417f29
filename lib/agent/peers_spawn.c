/*
 * Spawned jobs over several nodes. The node of the rank that asks, the asker,
 * leads; each step waits for all nodes that have not left:
 *
 *   ROOM    how many ranks have you, and do you have the container?
 *   ROOMED  the answer; that node stays now until it knows what becomes of it
 *   SHARE   the job: who runs what where (share.h), also to those who run none
 *           of it but whose PMIx server must know of it
 *   SHARED  our containers and commands are ready; or why not
 *   GO      all are ready: start the ranks
 *   DROP    some are not, or you are not needed
 *
 * No rank starts before all nodes are ready, so what cannot start everywhere
 * starts nowhere, and the rank that asks is told.
 */
#include "agent/place.h"
#include "agent/share.h"
#include "agent/state.h"
#include "base/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum message {
    SPAWN_ROOM = 1, /* number, plan (two halves) */
    SPAWN_ROOMED,   /* number, has the plan, ranks */
    SPAWN_SHARE,    /* share.h */
    SPAWN_SHARED,   /* number, success, reason */
    SPAWN_GO,       /* number */
    SPAWN_DROP,     /* number */
};

/* A job that is being agreed about. */
struct spread {
    unsigned asker;
    bool shared;              /* of the asker: the second round */
    bool *awaited;            /* [nodes] */
    struct place_node *nodes; /* [nodes] */
};

/* We have told another node of our room. */
struct hold {
    struct hold *next;
    unsigned asker;
    uint32_t number;
};

/* ---- the parties ---- */

static unsigned self_of(const struct agent *agent)
{
    return agent->config.world->node;
}

static unsigned count_nodes(const struct agent *agent)
{
    return agent->config.world->node_count;
}

static struct job *find_job(struct agent *agent, uint32_t number)
{
    struct job *job = agent->jobs;

    while (job != NULL && job->number != number)
        job = job->next;
    return job;
}

/* One that is being agreed about, with that node as its asker; NULL. */
static struct job *find_spread(struct agent *agent, uint32_t number,
                               unsigned asker)
{
    struct job *job = find_job(agent, number);

    return job != NULL && job->spread != NULL && job->spread->asker == asker
               ? job
               : NULL;
}

static struct spread *spread_new(const struct agent *agent, unsigned asker)
{
    struct spread *spread = calloc(1, sizeof *spread);

    if (spread == NULL)
        return NULL;
    spread->asker = asker;
    spread->awaited = calloc(count_nodes(agent), sizeof *spread->awaited);
    spread->nodes = calloc(count_nodes(agent), sizeof *spread->nodes);
    if (spread->awaited != NULL && spread->nodes != NULL)
        return spread;
    free(spread->awaited);
    free(spread->nodes);
    free(spread);
    return NULL;
}

void peers_spawn_free(struct job *job)
{
    if (job->spread == NULL)
        return;
    free(job->spread->awaited);
    free(job->spread->nodes);
    free(job->spread);
    job->spread = NULL;
}

static void send_number(struct agent *agent, unsigned node,
                        enum message message, uint32_t number)
{
    struct pack p = {0};

    pack_u32(&p, message);
    pack_u32(&p, number);
    peers_send_spawn(agent, node, &p);
}

/* ---- what a node has ---- */

static void hold_add(struct agent *agent, unsigned asker, uint32_t number)
{
    struct hold *hold = malloc(sizeof *hold);

    if (hold == NULL)
        return; /* then we may have left when it comes to our share */
    *hold = (struct hold){agent->holds, asker, number};
    agent->holds = hold;
}

static void hold_remove(struct agent *agent, unsigned asker, uint32_t number)
{
    for (struct hold **at = &agent->holds; *at != NULL; at = &(*at)->next)
        if ((*at)->asker == asker && (*at)->number == number) {
            struct hold *hold = *at;
            *at = hold->next;
            free(hold);
            return;
        }
}

static void holds_check(struct agent *agent)
{
    for (struct hold *hold = agent->holds, *next; hold != NULL; hold = next) {
        next = hold->next;
        if (peers_has_left(agent, hold->asker))
            hold_remove(agent, hold->asker, hold->number);
    }
}

void peers_spawn_close(struct agent *agent)
{
    while (agent->holds != NULL)
        hold_remove(agent, agent->holds->asker, agent->holds->number);
}

/* Those that run, and those that will: another node may be ahead of us. */
static unsigned count_ranks(const struct agent *agent)
{
    const struct job *world = agent->jobs;
    unsigned count = agent->live;

    if (agent->proc_count == 0)
        count += world->local_count;
    for (const struct job *job = world->next; job != NULL; job = job->next)
        count += job->local_count - job->started;
    return count;
}

/* -1: what we have was asked for otherwise. */
static int find_plan(const struct agent *agent, uint64_t id)
{
    for (size_t i = 0; i < agent->config.plan_count; i++)
        if (agent->config.plan_ids[i] == id)
            return (int)i;
    return -1;
}

static uint64_t plan_id(const struct job *job)
{
    return job->agent->config.plan_ids[job->apps[0].plan];
}

static void take_room(struct agent *agent, unsigned from, struct unpack *u)
{
    uint32_t number = unpack_u32(u);
    uint64_t plan = (uint64_t)unpack_u32(u) << 32;
    struct pack p = {0};

    plan |= unpack_u32(u);
    if (u->failed)
        return;
    hold_add(agent, from, number);
    pack_u32(&p, SPAWN_ROOMED);
    pack_u32(&p, number);
    pack_u32(&p, !agent->ending && find_plan(agent, plan) >= 0);
    pack_u32(&p, count_ranks(agent));
    peers_send_spawn(agent, from, &p);
}

/* ---- the asker: who has room ---- */

static void ask_node(struct job *job, unsigned node)
{
    uint64_t plan = plan_id(job);
    struct pack p = {0};

    job->spread->awaited[node] = true;
    pack_u32(&p, SPAWN_ROOM);
    pack_u32(&p, job->number);
    pack_u32(&p, (uint32_t)(plan >> 32));
    pack_u32(&p, (uint32_t)plan);
    peers_send_spawn(job->agent, node, &p);
}

/* Our own ranks were counted without this job's. */
static void look_here(struct job *job)
{
    const struct agent *agent = job->agent;
    struct place_node *node = &job->spread->nodes[self_of(agent)];

    node->open = true;
    node->taken = count_ranks(agent);
}

static void agree(struct job *job);

int peers_spawn_begin(struct job *job, struct ct_error *reterr)
{
    const struct agent_world *world = job->agent->config.world;
    struct spread *spread = spread_new(job->agent, world->node);

    if (spread == NULL)
        return ct_fail_nomem(reterr);
    job->spread = spread;
    for (unsigned rank = 0; rank < world->size; rank++)
        spread->nodes[world->node_of[rank]].slots++;
    look_here(job);
    for (unsigned node = 0; node < world->node_count; node++)
        if (node != world->node && !peers_has_left(job->agent, node))
            ask_node(job, node);
    agree(job);
    return 0;
}

static void take_roomed(struct agent *agent, unsigned from, struct unpack *u)
{
    struct job *job = find_spread(agent, unpack_u32(u), self_of(agent));
    bool open = unpack_u32(u) != 0;
    uint32_t taken = unpack_u32(u);

    if (u->failed || job == NULL || job->spread->shared ||
        !job->spread->awaited[from])
        return;
    job->spread->awaited[from] = false;
    job->spread->nodes[from].open = open;
    job->spread->nodes[from].taken = taken;
    agree(job);
}

/* ---- the asker: who gets what ---- */

static int place(const struct job *job, unsigned *ret_node_of,
                 struct ct_error *reterr)
{
    CT_AUTO_FREE struct place_command *commands =
        calloc(job->app_count, sizeof *commands);

    if (commands == NULL)
        return ct_fail_nomem(reterr);
    for (unsigned i = 0; i < job->app_count; i++)
        commands[i] = (struct place_command){
            .ranks = job->apps[i].ranks,
            .hosts = job->wishes[i].hosts,
        };
    return place_ranks(job->spread->nodes, count_nodes(job->agent), commands,
                       job->app_count, ret_node_of, reterr);
}

/* A PMIx server must know of all jobs. */
static bool is_concerned(const struct share *share, unsigned node)
{
    if (share->family == FAMILY_PMIX)
        return true;
    for (unsigned rank = 0; rank < share->size; rank++)
        if (share->node_of[rank] == node)
            return true;
    return false;
}

static int send_shares(struct job *job, const struct share *share,
                       struct ct_error *reterr)
{
    struct agent *agent = job->agent;
    struct pack whole = {0};

    pack_u32(&whole, SPAWN_SHARE);
    if (share_pack(&whole, share, reterr) < 0) {
        free(whole.bytes);
        return -1;
    }
    for (unsigned node = 0; node < count_nodes(agent); node++) {
        struct pack p = {0};

        if (node == self_of(agent) || peers_has_left(agent, node))
            continue;
        job->spread->awaited[node] = is_concerned(share, node);
        if (!job->spread->awaited[node]) {
            send_number(agent, node, SPAWN_DROP, job->number);
            continue;
        }
        pack_bytes(&p, whole.bytes, whole.len);
        peers_send_spawn(agent, node, &p);
    }
    free(whole.bytes);
    return 0;
}

/* Ours comes last: it may be the one that fails. */
static int share_out(struct job *job, struct ct_error *reterr)
{
    CT_AUTO_FREE unsigned *node_of = calloc(job->size, sizeof *node_of);
    struct share share = {0};
    int rc = -1;

    job->spread->shared = true;
    job->spread->awaited[self_of(job->agent)] = true;
    if (node_of == NULL)
        ct_fail_nomem(reterr);
    else if (place(job, node_of, reterr) == 0)
        rc = spawn_describe(job, &share, reterr);
    share.node_of = node_of;
    share.plan = plan_id(job);
    if (rc == 0)
        rc = send_shares(job, &share, reterr);
    if (rc == 0)
        rc = spawn_share(job, &share, reterr);
    spawn_undescribe(&share);
    return rc;
}

static void go(struct job *job)
{
    struct agent *agent = job->agent;

    for (unsigned node = 0; node < count_nodes(agent); node++)
        if (node != self_of(agent) && !peers_has_left(agent, node))
            send_number(agent, node, SPAWN_GO, job->number);
    peers_spawn_free(job);
    spawn_known(job);
}

/* ---- the asker: is a round over? ---- */

/* Has a node left that has ranks of it? */
static bool has_lost(const struct job *job)
{
    for (unsigned rank = 0; job->places != NULL && rank < job->size; rank++)
        if (job->places[rank] != self_of(job->agent) &&
            peers_has_left(job->agent, job->places[rank]))
            return true;
    return false;
}

static bool is_awaited(const struct job *job)
{
    for (unsigned node = 0; node < count_nodes(job->agent); node++)
        if (job->spread->awaited[node] &&
            (node == self_of(job->agent) || !peers_has_left(job->agent, node)))
            return true;
    return false;
}

static void agree(struct job *job)
{
    struct ct_error err;

    if (is_awaited(job))
        return;
    if (job->spread->shared && has_lost(job))
        spawn_failed(job, "a node has left that was to have ranks of it");
    else if (job->spread->shared)
        go(job);
    else if (share_out(job, &err) < 0)
        spawn_failed(job, err.text);
}

/* ---- each node's part ---- */

static void send_shared(struct agent *agent, unsigned asker, uint32_t number,
                        bool success, const char *reason)
{
    struct pack p = {0};

    pack_u32(&p, SPAWN_SHARED);
    pack_u32(&p, number);
    pack_u32(&p, success);
    pack_str(&p, reason != NULL ? reason : "");
    peers_send_spawn(agent, asker, &p);
}

void peers_spawn_ready(struct job *job)
{
    struct agent *agent = job->agent;
    struct spread *spread = job->spread;

    if (spread->asker != self_of(agent)) {
        send_shared(agent, spread->asker, job->number, true, NULL);
        return;
    }
    spread->awaited[self_of(agent)] = false;
    agree(job);
}

void peers_spawn_failed(struct job *job, const char *reason)
{
    struct agent *agent = job->agent;

    if (job->spread->asker != self_of(agent))
        send_shared(agent, job->spread->asker, job->number, false, reason);
    else
        for (unsigned node = 0; node < count_nodes(agent); node++)
            if (node != self_of(agent) && !peers_has_left(agent, node))
                send_number(agent, node, SPAWN_DROP, job->number);
    peers_spawn_free(job);
}

static struct job *add_job(struct agent *agent, const struct share *share,
                           unsigned plan)
{
    CT_AUTO_FREE struct agent_app *apps =
        calloc(share->app_count, sizeof *apps);
    struct job *job;

    for (unsigned i = 0; apps != NULL && i < share->app_count; i++)
        apps[i] = (struct agent_app){
            .plan = plan,
            .ranks = share->apps[i].ranks,
            .argv = share->apps[i].argv,
        };
    job = apps != NULL ? job_add(agent, share->number, apps, share->app_count)
                       : NULL;
    if (job == NULL)
        return NULL;
    job->parents = share->family;
    job->spawner_rank = share->parent_rank;
    snprintf(job->spawner, sizeof job->spawner, "%s", share->parent);
    return job;
}

static bool has_part(const struct agent *agent, const struct share *share)
{
    for (unsigned rank = 0; rank < share->size; rank++)
        if (share->node_of[rank] == self_of(agent))
            return true;
    return false;
}

static int accept_share(struct agent *agent, unsigned asker,
                        const struct share *share, struct ct_error *reterr)
{
    int plan = find_plan(agent, share->plan);
    struct job *job;

    if (agent->ending || find_job(agent, share->number) != NULL ||
        share->family > FAMILY_PMIX || (plan < 0 && has_part(agent, share)))
        return ct_fail(reterr, EPROTO, "it does not fit to what we have");
    job = add_job(agent, share, plan >= 0 ? (unsigned)plan : 0);
    if (job == NULL)
        return ct_fail_nomem(reterr);
    job->spread = spread_new(agent, asker);
    if (job->spread == NULL) {
        spawn_drop(job);
        return ct_fail_nomem(reterr);
    }
    job->pending = true;
    if (spawn_share(job, share, reterr) < 0)
        spawn_failed(job, reterr->text);
    return 0;
}

/* Without sense in it nobody can be told: the asker, who is ours, has a bug. */
static void take_share(struct agent *agent, unsigned from, struct unpack *u)
{
    struct share share;
    struct ct_error err;

    if (share_unpack(u->bytes + u->at, u->len - u->at, count_nodes(agent),
                     &share, &err) < 0) {
        agent_fail(agent, AGENT_BROKEN, 0, "%s: from node %s: %s", agent->host,
                   peers_name_of(agent, from), err.text);
        return;
    }
    if (accept_share(agent, from, &share, &err) < 0)
        send_shared(agent, from, share.number, false, err.text);
    hold_remove(agent, from, share.number);
    share_clear(&share);
}

static void take_shared(struct agent *agent, unsigned from, struct unpack *u)
{
    struct job *job = find_spread(agent, unpack_u32(u), self_of(agent));
    bool success = unpack_u32(u) != 0;
    const char *reason = unpack_str(u);
    char text[400];

    if (u->failed || reason == NULL || job == NULL || !job->spread->shared ||
        !job->spread->awaited[from])
        return;
    job->spread->awaited[from] = false;
    if (success) {
        agree(job);
        return;
    }
    snprintf(text, sizeof text, "node %s: %s", peers_name_of(agent, from),
             reason);
    spawn_failed(job, reason[0] != '\0' ? text : NULL);
}

static void take_go(struct agent *agent, unsigned from, struct unpack *u)
{
    struct job *job = find_spread(agent, unpack_u32(u), from);

    if (job == NULL || from == self_of(agent))
        return;
    peers_spawn_free(job);
    spawn_known(job);
}

static void take_drop(struct agent *agent, unsigned from, struct unpack *u)
{
    uint32_t number = unpack_u32(u);
    struct job *job = find_spread(agent, number, from);

    hold_remove(agent, from, number);
    if (job == NULL || from == self_of(agent))
        return;
    peers_spawn_free(job);
    spawn_drop(job);
}

/* ---- all of them ---- */

static void (*const rows[])(struct agent *agent, unsigned from,
                            struct unpack *u) = {
    [SPAWN_ROOM] = take_room,   [SPAWN_ROOMED] = take_roomed,
    [SPAWN_SHARE] = take_share, [SPAWN_SHARED] = take_shared,
    [SPAWN_GO] = take_go,       [SPAWN_DROP] = take_drop,
};

void peers_spawn_receive(struct agent *agent, unsigned from, struct unpack *u)
{
    uint32_t message = unpack_u32(u);

    if (message < sizeof rows / sizeof rows[0] && rows[message] != NULL)
        rows[message](agent, from, u);
    agent_settle(agent);
}

/* A node that has given us a share and left will not say what becomes of it. */
static void check_job(struct job *job)
{
    if (job->spread->asker == self_of(job->agent)) {
        agree(job);
    } else if (peers_has_left(job->agent, job->spread->asker)) {
        peers_spawn_free(job);
        spawn_drop(job);
    }
}

void peers_spawn_check(struct agent *agent)
{
    for (struct job *job = agent->jobs; job != NULL; job = job->next)
        if (job->spread != NULL)
            check_job(job);
    holds_check(agent);
    agent_settle(agent);
}
