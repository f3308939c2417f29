#include "agent/share.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char *const nothing[] = {NULL};

/* ---- packing ---- */

static void pack_app(struct pack *p, const struct share_app *app)
{
    pack_u32(p, app->ranks);
    pack_list(p, app->argv);
    pack_list(p, app->env != NULL ? app->env : nothing);
    pack_str(p, app->workdir);
    pack_str(p, app->path);
}

int share_pack(struct pack *p, const struct share *share,
               struct ct_error *reterr)
{
    pack_u32(p, share->number);
    pack_u32(p, share->family);
    pack_str(p, share->id);
    pack_str(p, share->parent);
    pack_u32(p, share->parent_rank);
    pack_u32(p, (uint32_t)(share->plan >> 32));
    pack_u32(p, (uint32_t)share->plan);
    pack_u32(p, share->size);
    for (unsigned rank = 0; rank < share->size; rank++)
        pack_u32(p, share->node_of[rank]);
    pack_u32(p, share->app_count);
    for (unsigned i = 0; i < share->app_count; i++)
        pack_app(p, &share->apps[i]);
    pack_list(p, share->preput != NULL ? share->preput : nothing);
    if (p->failed)
        return ct_fail_nomem(reterr);
    if (p->len > SHARE_BYTES_MAX)
        return ct_fail(reterr, E2BIG, "a spawn of more than %d bytes",
                       SHARE_BYTES_MAX);
    return 0;
}

/* ---- unpacking ---- */

static bool is_id(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;

    return len > 0 && len <= SHARE_ID_MAX && strspn(text, "0123456789.") == len;
}

static size_t count_of(char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;
    return count;
}

static void unpack_head(struct unpack *u, struct share *ret)
{
    ret->number = unpack_u32(u);
    ret->family = unpack_u32(u);
    ret->id = unpack_str(u);
    ret->parent = unpack_str(u);
    ret->parent_rank = unpack_u32(u);
    ret->plan = (uint64_t)unpack_u32(u) << 32;
    ret->plan |= unpack_u32(u);
    ret->size = unpack_u32(u);
    if (!is_id(ret->id) || !is_id(ret->parent) || ret->number == 0 ||
        ret->size == 0 || ret->size > SHARE_RANKS_MAX)
        u->failed = true;
}

/* -1 without memory. */
static int unpack_nodes(struct unpack *u, unsigned node_count,
                        struct share *ret)
{
    if (u->failed || (u->len - u->at) / sizeof(uint32_t) < ret->size) {
        u->failed = true;
        return 0;
    }
    ret->node_of = calloc(ret->size, sizeof *ret->node_of);
    if (ret->node_of == NULL)
        return -1;
    for (unsigned rank = 0; rank < ret->size; rank++) {
        ret->node_of[rank] = unpack_u32(u);
        if (ret->node_of[rank] >= node_count)
            u->failed = true;
    }
    return 0;
}

static void unpack_app(struct unpack *u, struct share_app *ret)
{
    ret->ranks = unpack_u32(u);
    ret->argv = (char *const *)unpack_list(u);
    ret->env = (char *const *)unpack_list(u);
    ret->workdir = unpack_str(u);
    ret->path = unpack_str(u);
    if (ret->argv == NULL || ret->argv[0] == NULL || ret->env == NULL ||
        ret->ranks == 0 || ret->ranks > SHARE_RANKS_MAX)
        u->failed = true;
}

static int unpack_apps(struct unpack *u, struct share *ret)
{
    unsigned count = unpack_u32(u), ranks = 0;

    if (u->failed || count == 0 || count > SHARE_APPS_MAX) {
        u->failed = true;
        return 0;
    }
    ret->apps = calloc(count, sizeof *ret->apps);
    if (ret->apps == NULL)
        return -1;
    while (ret->app_count < count && !u->failed) {
        unpack_app(u, &ret->apps[ret->app_count]);
        ranks += ret->apps[ret->app_count++].ranks;
    }
    if (ranks != ret->size)
        u->failed = true;
    return 0;
}

static void unpack_preput(struct unpack *u, struct share *ret)
{
    ret->preput = (char *const *)unpack_list(u);
    if (ret->preput == NULL || count_of(ret->preput) % 2 == 1 ||
        u->at != u->len)
        u->failed = true;
}

int share_unpack(const void *bytes, size_t len, unsigned node_count,
                 struct share *ret, struct ct_error *reterr)
{
    struct unpack u = {.bytes = bytes, .len = len};
    struct share share = {0};
    int rc;

    unpack_head(&u, &share);
    rc = unpack_nodes(&u, node_count, &share);
    if (rc == 0 && !u.failed)
        rc = unpack_apps(&u, &share);
    if (rc == 0 && !u.failed)
        unpack_preput(&u, &share);
    if (rc == 0 && !u.failed) {
        *ret = share;
        return 0;
    }
    share_clear(&share);
    if (rc < 0)
        return ct_fail_nomem(reterr);
    return ct_fail(reterr, EPROTO, "a spawn that makes no sense");
}

void share_clear(struct share *share)
{
    for (unsigned i = 0; i < share->app_count; i++) {
        free((void *)share->apps[i].argv);
        free((void *)share->apps[i].env);
    }
    free(share->apps);
    free(share->node_of);
    free((void *)share->preput);
    *share = (struct share){0};
}
