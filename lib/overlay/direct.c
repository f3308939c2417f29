/*
 * A gathering is told from others by its signature (its nodes, and its name)
 * and its number among those of that signature. A part that comes before we
 * have begun opens it, and waits there.
 */
#include "overlay/direct.h"

#include "base/pack.h"
#include "base/scope.h"
#include "base/span.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { UNDER_WAY_MAX = 4096 };

struct gathering {
    struct gathering *next;
    struct series *series;
    uint32_t number;
    bool begun;
    collective_done *done;
    void *ctx;
    struct collective_part parts[]; /* bytes: ours; NULL: not here */
};

/* All of one signature. */
struct series {
    struct series *next;
    char *signature;
    size_t len;
    const unsigned *nodes; /* in the signature */
    unsigned count;
    uint32_t begun; /* how many, here */
};

struct directs {
    struct directs_config config;
    struct series *series;
    struct gathering *open, **last_open; /* of one series by number */
    unsigned open_count;
};

static int refuse(struct ct_error *reterr, const char *what)
{
    return ct_fail(reterr, EPROTO, "a part that makes no sense: %s", what);
}

/* ---- series ---- */

static bool is_ascending(const unsigned *nodes, unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        if (nodes[i - 1] >= nodes[i])
            return false;
    return count > 0;
}

/* Where the node is among them; count: it is not. */
static unsigned place_of(const struct series *series, unsigned node)
{
    unsigned low = 0, high = series->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (series->nodes[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < series->count && series->nodes[low] == node ? low
                                                             : series->count;
}

static void series_free(struct series *series)
{
    if (series != NULL)
        free(series->signature);
    free(series);
}

/* -1: it is none that has us. */
static int read_signature(struct series *series, unsigned self)
{
    struct unpack u = {.bytes = series->signature, .len = series->len};

    series->count = unpack_u32(&u);
    if (u.failed || series->count > (u.len - u.at) / sizeof *series->nodes)
        return -1;
    series->nodes = unpack_bytes(&u, series->count * sizeof *series->nodes);
    return is_ascending(series->nodes, series->count) &&
                   place_of(series, self) < series->count
               ? 0
               : -1;
}

static struct series *series_create(unsigned self, struct ct_span signature,
                                    struct ct_error *reterr)
{
    struct series *series = calloc(1, sizeof *series);

    if (series != NULL)
        series->signature = malloc(signature.len + 1);
    if (series == NULL || series->signature == NULL) {
        ct_fail_nomem(reterr);
    } else {
        memcpy(series->signature, signature.ptr, signature.len);
        series->len = signature.len;
        if (read_signature(series, self) == 0)
            return series;
        ct_fail(reterr, EINVAL, "a gathering of no nodes, or without us");
    }
    series_free(series);
    return NULL;
}

static struct series *find_series(const struct directs *all,
                                  struct ct_span signature)
{
    struct series *series = all->series;

    while (series != NULL &&
           !ct_span_equal(ct_span(series->signature, series->len), signature))
        series = series->next;
    return series;
}

static void put_series(struct directs *all, struct series *series)
{
    series->next = all->series;
    all->series = series;
}

/* ---- gatherings ---- */

static void gathering_free(struct gathering *gathering)
{
    for (unsigned i = 0; i < gathering->series->count; i++)
        free((void *)gathering->parts[i].bytes);
    free(gathering);
}

static struct gathering *find_open(const struct directs *all,
                                   const struct series *series, uint32_t number)
{
    struct gathering *open = all->open;

    while (open != NULL && (open->series != series || open->number != number))
        open = open->next;
    return open;
}

static struct gathering *get_open(struct directs *all, struct series *series,
                                  uint32_t number, struct ct_error *reterr)
{
    struct gathering *open = find_open(all, series, number);

    if (open != NULL)
        return open;
    if (all->open_count >= UNDER_WAY_MAX) {
        ct_fail(reterr, EAGAIN, "%u gatherings are under way", UNDER_WAY_MAX);
        return NULL;
    }
    open = calloc(1, sizeof *open + series->count * sizeof open->parts[0]);
    if (open == NULL) {
        ct_fail_nomem(reterr);
        return NULL;
    }
    open->series = series;
    open->number = number;
    for (unsigned i = 0; i < series->count; i++)
        open->parts[i].node = series->nodes[i];
    *all->last_open = open;
    all->last_open = &open->next;
    all->open_count++;
    return open;
}

static void take_out(struct directs *all, const struct gathering *gathering)
{
    struct gathering **at = &all->open;

    while (*at != gathering)
        at = &(*at)->next;
    *at = gathering->next;
    if (*at == NULL)
        all->last_open = at;
    all->open_count--;
}

static bool is_whole(const struct directs *all,
                     const struct gathering *gathering)
{
    const struct directs_config *config = &all->config;

    for (unsigned i = 0; i < gathering->series->count; i++)
        if (gathering->parts[i].bytes == NULL &&
            config->awaits(config->ctx, gathering->ctx,
                           gathering->parts[i].node))
            return false;
    return true;
}

/* Whoever waits may begin another one. */
static bool finish_if_whole(struct directs *all, struct gathering *gathering)
{
    if (!gathering->begun || !is_whole(all, gathering))
        return false;
    take_out(all, gathering);
    gathering->done(gathering->ctx, gathering->parts, gathering->series->count);
    gathering_free(gathering);
    return true;
}

static int keep_part(struct gathering *gathering, unsigned place,
                     struct ct_span part, struct ct_error *reterr)
{
    char *copy = malloc(part.len + 1);

    if (copy == NULL)
        return ct_fail_nomem(reterr);
    if (part.len > 0)
        memcpy(copy, part.ptr, part.len);
    gathering->parts[place].bytes = copy;
    gathering->parts[place].len = part.len;
    return 0;
}

/* ---- life ---- */

struct directs *directs_create(const struct directs_config *config)
{
    struct directs *all = calloc(1, sizeof *all);

    if (all == NULL)
        return NULL;
    all->config = *config;
    all->last_open = &all->open;
    return all;
}

void directs_free(struct directs *all)
{
    if (all == NULL)
        return;
    while (all->open != NULL) {
        struct gathering *gathering = all->open;
        all->open = gathering->next;
        gathering_free(gathering);
    }
    while (all->series != NULL) {
        struct series *series = all->series;
        all->series = series->next;
        series_free(series);
    }
    free(all);
}

/* ---- taking part ---- */

static int send_part(const struct directs *all,
                     const struct gathering *gathering, struct ct_span part,
                     struct ct_error *reterr)
{
    const struct series *series = gathering->series;
    struct pack p = {0};
    int rc = 0;

    pack_u32(&p, gathering->number);
    pack_u32(&p, (uint32_t)series->len);
    pack_bytes(&p, series->signature, series->len);
    pack_bytes(&p, part.ptr, part.len);
    if (p.failed)
        rc = ct_fail_nomem(reterr);
    else if (p.len > FRAME_BODY_MAX)
        rc = ct_fail(reterr, EMSGSIZE, "a part of %zu bytes", part.len);
    for (unsigned i = 0; rc == 0 && i < series->count; i++)
        if (series->nodes[i] != all->config.self)
            all->config.send(all->config.ctx, series->nodes[i], p.bytes, p.len);
    free(p.bytes);
    return rc;
}

static struct series *named_series(struct directs *all, const char *name,
                                   const unsigned *nodes, unsigned count,
                                   struct ct_error *reterr)
{
    struct pack p = {0};
    struct series *series = NULL;

    pack_u32(&p, count);
    pack_bytes(&p, nodes, count * sizeof *nodes);
    pack_bytes(&p, name, strlen(name));
    if (p.failed) {
        ct_fail_nomem(reterr);
    } else {
        series = find_series(all, ct_span(p.bytes, p.len));
        if (series == NULL) {
            series = series_create(all->config.self, ct_span(p.bytes, p.len),
                                   reterr);
            if (series != NULL)
                put_series(all, series);
        }
    }
    free(p.bytes);
    return series;
}

static int begin(struct directs *all, struct gathering *gathering,
                 struct ct_span part, struct ct_error *reterr)
{
    unsigned place = place_of(gathering->series, all->config.self);

    if (keep_part(gathering, place, part, reterr) == 0 &&
        send_part(all, gathering, part, reterr) == 0)
        return 0;
    take_out(all, gathering);
    gathering_free(gathering);
    return -1;
}

int directs_begin(struct directs *all, const char *name, const unsigned *nodes,
                  unsigned count, const void *bytes, size_t len,
                  collective_done *done, void *begun, struct ct_error *reterr)
{
    struct series *series;
    struct gathering *gathering;

    if (len > FRAME_BODY_MAX)
        return ct_fail(reterr, EMSGSIZE, "a part of %zu bytes", len);
    series = named_series(all, name, nodes, count, reterr);
    if (series == NULL)
        return -1;
    gathering = get_open(all, series, series->begun, reterr);
    if (gathering == NULL ||
        begin(all, gathering, ct_span(bytes, len), reterr) < 0)
        return -1;
    series->begun++;
    gathering->begun = true;
    gathering->done = done;
    gathering->ctx = begun;
    finish_if_whole(all, gathering);
    return 0;
}

/* ---- what others say ---- */

/* What comes after all is one who was no longer waited for: it is late. */
static int take_part(struct directs *all, struct series *series,
                     uint32_t number, unsigned place, struct ct_span part,
                     struct ct_error *reterr)
{
    struct gathering *gathering = find_open(all, series, number);
    int32_t ahead = (int32_t)(number - series->begun);

    if (gathering == NULL && ahead < 0)
        return 0;
    if (gathering == NULL && ahead >= UNDER_WAY_MAX)
        return refuse(reterr, "far ahead");
    if (gathering != NULL && gathering->parts[place].bytes != NULL)
        return refuse(reterr, "twice the same");
    gathering = get_open(all, series, number, reterr);
    if (gathering == NULL || keep_part(gathering, place, part, reterr) < 0)
        return -1;
    finish_if_whole(all, gathering);
    return 0;
}

struct message {
    uint32_t number;
    struct ct_span signature, part;
};

static int read_message(const void *bytes, size_t len, struct message *ret)
{
    struct unpack u = {.bytes = bytes, .len = len};
    size_t size;

    ret->number = unpack_u32(&u);
    size = unpack_u32(&u);
    ret->signature = ct_span(unpack_bytes(&u, size), size);
    if (u.failed)
        return -1;
    ret->part = ct_span(u.bytes + u.at, u.len - u.at);
    return 0;
}

/* A series that is new to us is kept only when the message is good. */
int directs_receive(struct directs *all, unsigned from, const void *bytes,
                    size_t len, struct ct_error *reterr)
{
    struct message m;
    struct series *series, *created = NULL;
    unsigned place;

    if (read_message(bytes, len, &m) < 0)
        return refuse(reterr, "no message");
    series = find_series(all, m.signature);
    if (series == NULL)
        series = created = series_create(all->config.self, m.signature, reterr);
    if (series == NULL)
        return -1;
    place = place_of(series, from);
    if (place == series->count || from == all->config.self) {
        series_free(created);
        return refuse(reterr, "not from one of its nodes");
    }
    if (created != NULL)
        put_series(all, created);
    return take_part(all, series, m.number, place, m.part, reterr);
}

/* done() may begin others, so the list is looked through anew. */
void directs_review(struct directs *all)
{
    struct gathering *gathering = all->open;

    while (gathering != NULL)
        gathering =
            finish_if_whole(all, gathering) ? all->open : gathering->next;
}
