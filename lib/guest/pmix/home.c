/*
 * Names that ranks publish live on one node, their home, the first of the
 * world. Other nodes send there what their ranks ask, as bytes; the home makes
 * a request of it as if a rank of its own had asked, and sends the answer back.
 */
#include "base/pack.h"
#include "base/scope.h"
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

enum { HOME = 0 };

enum operation { PUBLISH, LOOKUP, UNPUBLISH, OPERATIONS = HOME_CENSUS };

static void (*const operations[])(struct pmixsrv *server,
                                  struct request *request) = {
    [PUBLISH] = names_publish,
    [LOOKUP] = names_lookup,
    [UNPUBLISH] = names_unpublish,
};

/* ---- asking ---- */

/* An upcall that waits for the home. */
struct home_question {
    struct pmixsrv_question base;
    struct request *request;
    enum operation operation;
};

static bool is_away(const struct pmixsrv *server)
{
    const struct pmixsrv_job *job = server->jobs;

    while (job != NULL && job->node_of == NULL)
        job = job->next;
    return job != NULL && job->node != HOME;
}

static void pack_question(struct pack *p, const struct request *request,
                          enum operation operation)
{
    static char *const none[] = {NULL};

    pack_u32(p, operation);
    proc_pack(p, &request->proc);
    pack_u32(p, (uint32_t)request->ninfo);
    values_pack(p, request->info, request->ninfo, PMIX_INFO);
    pack_u32(p, request->keys != NULL);
    pack_list(p, request->keys != NULL ? request->keys : none);
}

static void fail(struct request *request, enum operation operation)
{
    if (operation != LOOKUP) {
        request_answer_op(request, PMIX_ERR_NOT_FOUND);
        return;
    }
    request->answer.lookup(PMIX_ERR_NOT_FOUND, NULL, 0, request->cbdata);
    request_free(request);
}

static void take_answer(struct pmixsrv_question *base, struct unpack *u);

static void ask(struct pmixsrv *server, struct request *request,
                enum operation operation)
{
    struct home_question *question = malloc(sizeof *question);
    struct pack p = {0};

    pack_question(&p, request, operation);
    if (question == NULL || p.failed) {
        free(question);
        fail(request, operation);
    } else {
        *question = (struct home_question){{take_answer}, request, operation};
        server->config.callbacks.ask(server->config.ctx, &question->base, HOME,
                                     p.bytes, p.len);
    }
    free(p.bytes);
}

static void serve(struct pmixsrv *server, struct request *request,
                  enum operation operation)
{
    if (is_away(server))
        ask(server, request, operation);
    else
        operations[operation](server, request);
}

void home_publish(struct pmixsrv *server, struct request *request)
{
    serve(server, request, PUBLISH);
}

void home_lookup(struct pmixsrv *server, struct request *request)
{
    serve(server, request, LOOKUP);
}

void home_unpublish(struct pmixsrv *server, struct request *request)
{
    serve(server, request, UNPUBLISH);
}

/* ---- the answer ---- */

static void take_found(struct request *request, pmix_status_t status,
                       struct unpack *u)
{
    size_t wanted = pmixsrv_count(request->keys), count = unpack_u32(u);
    pmix_pdata_t *data = calloc(wanted + 1, sizeof *data);

    if (data == NULL || count > wanted)
        count = 0;
    for (size_t i = 0; i < count && !u->failed; i++) {
        const char *key;

        proc_unpack(u, &data[i].proc);
        key = unpack_str(u);
        if (key != NULL && strlen(key) < sizeof data[i].key)
            strcpy(data[i].key, key);
        values_unpack(u, &data[i].value, 1, PMIX_VALUE);
    }
    request->answer.lookup(u->failed ? PMIX_ERR_NOT_FOUND : status, data,
                           u->failed ? 0 : count, request->cbdata);
    for (size_t i = 0; i < count; i++)
        PMIX_VALUE_DESTRUCT(&data[i].value);
    free(data);
    request_free(request);
}

static void take_answer(struct pmixsrv_question *base, struct unpack *u)
{
    struct home_question *question = (struct home_question *)base;
    pmix_status_t status = (pmix_status_t)unpack_u32(u);

    if (u->failed)
        fail(question->request, question->operation);
    else if (question->operation == LOOKUP)
        take_found(question->request, status, u);
    else
        request_answer_op(question->request, status);
    free(question);
}

void pmixsrv_answered(struct pmixsrv_question *question, const void *bytes,
                      size_t len)
{
    struct unpack u = {.bytes = bytes, .len = len};

    question->answered(question, &u);
}

/* ---- at home ---- */

/* A request made of another node's question: it owns what it points to. */
struct visit {
    void (*done)(void *ctx, const void *bytes, size_t len);
    void *ctx;
    pmix_info_t *info;
    size_t ninfo;
    struct strv keys;
};

static void visit_free(struct visit *visit)
{
    for (size_t i = 0; i < visit->ninfo; i++)
        PMIX_INFO_DESTRUCT(&visit->info[i]);
    free(visit->info);
    strv_clear(&visit->keys);
    free(visit);
}

static void send_back(struct visit *visit, struct pack *p)
{
    visit->done(visit->ctx, p->bytes, p->failed ? 0 : p->len);
    free(p->bytes);
    visit_free(visit);
}

static void op_done(pmix_status_t status, void *cbdata)
{
    struct pack p = {0};

    pack_u32(&p, (uint32_t)status);
    send_back(cbdata, &p);
}

static void lookup_done(pmix_status_t status, pmix_pdata_t data[], size_t count,
                        void *cbdata)
{
    struct pack p = {0};

    pack_u32(&p, (uint32_t)status);
    pack_u32(&p, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        proc_pack(&p, &data[i].proc);
        pack_str(&p, data[i].key);
        values_pack(&p, &data[i].value, 1, PMIX_VALUE);
    }
    send_back(cbdata, &p);
}

static int read_question(struct unpack *u, struct request *request,
                         struct visit *visit)
{
    size_t ninfo, len = u->len;

    proc_unpack(u, &request->proc);
    ninfo = unpack_u32(u);
    if (u->failed || ninfo > len) /* each takes a byte at least */
        return -1;
    visit->info = calloc(ninfo + 1, sizeof *visit->info);
    if (visit->info == NULL)
        return -1;
    visit->ninfo = ninfo;
    values_unpack(u, visit->info, ninfo, PMIX_INFO);
    bool has_keys = unpack_u32(u) != 0;
    CT_AUTO_FREE const char **keys = unpack_list(u);
    if (u->failed || keys == NULL ||
        strv_add_all(&visit->keys, (char *const *)keys) < 0)
        return -1;
    request->info = visit->info;
    request->ninfo = ninfo;
    request->keys = has_keys ? strv_list(&visit->keys) : NULL;
    return 0;
}

static void visit_home(struct pmixsrv *server, uint32_t operation,
                       struct unpack *u,
                       void (*done)(void *ctx, const void *bytes, size_t len),
                       void *ctx)
{
    struct request *request = calloc(1, sizeof *request);
    struct visit *visit = calloc(1, sizeof *visit);

    if (request == NULL || visit == NULL || operation >= OPERATIONS ||
        server->stopped || read_question(u, request, visit) < 0) {
        free(request);
        if (visit != NULL)
            visit_free(visit);
        done(ctx, NULL, 0);
        return;
    }
    visit->done = done;
    visit->ctx = ctx;
    request->cbdata = visit;
    if (operation == LOOKUP)
        request->answer.lookup = lookup_done;
    else
        request->answer.op = op_done;
    operations[operation](server, request);
}

void pmixsrv_visit(struct pmixsrv *server, const void *bytes, size_t len,
                   void (*done)(void *ctx, const void *bytes, size_t len),
                   void *ctx)
{
    struct unpack u = {.bytes = bytes, .len = len};
    uint32_t operation = unpack_u32(&u);

    if (operation == HOME_CENSUS && !server->stopped)
        census_serve(server, &u, done, ctx);
    else
        visit_home(server, operation, &u, done, ctx);
}
