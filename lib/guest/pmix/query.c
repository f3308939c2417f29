/*
 * Questions about jobs, sets and processes. libpmix itself answers what is in
 * the facts of the asking client's job; these go beyond that. A row answers
 * with one item, or not at all when the qualifiers name what does not exist.
 */
#include "guest/pmix/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
    struct pmixsrv *server;
    const pmix_proc_t *by;
    const pmix_query_t *query;
    struct infolist *ret;
};

static const pmix_value_t *qualifier(const struct question *q, const char *key)
{
    for (size_t i = 0; i < q->query->nqual; i++)
        if (strcmp(q->query->qualifiers[i].key, key) == 0)
            return &q->query->qualifiers[i].value;
    return NULL;
}

/* NULL: there are several. */
static struct pmixsrv_job *only_job(const struct pmixsrv *server)
{
    struct pmixsrv_job *only = NULL;

    for (struct pmixsrv_job *job = server->jobs; job != NULL; job = job->next) {
        if (!job->dropped && only != NULL)
            return NULL;
        if (!job->dropped)
            only = job;
    }
    return only;
}

/* The job that PMIX_NSPACE names, else the asking one's: libpmix 4.2.2 says
   that its server asks, whoever does. */
static struct pmixsrv_job *job_of(const struct question *q)
{
    const pmix_value_t *value = qualifier(q, PMIX_NSPACE);
    struct pmixsrv_job *job;

    if (value != NULL && value->type == PMIX_STRING &&
        value->data.string != NULL)
        return pmixsrv_find_job(q->server, value->data.string);
    job = pmixsrv_find_job(q->server, q->by->nspace);
    return job != NULL ? job : only_job(q->server);
}

/* ---- lists of names ---- */

struct text {
    char *chars; /* NULL: no memory */
    size_t size;
    FILE *file;
};

static void text_open(struct text *text)
{
    *text = (struct text){0};
    text->file = open_memstream(&text->chars, &text->size);
}

static void text_add(struct text *text, const char *word)
{
    if (text->file == NULL)
        return;
    fprintf(text->file, "%s%s", ftell(text->file) > 0 ? "," : "", word);
}

static void text_answer(const struct question *q, const char *key,
                        struct text *text)
{
    if (text->file == NULL || fclose(text->file) != 0)
        q->ret->failed = true;
    else
        infolist_string(q->ret, key, text->chars);
    free(text->chars);
}

/* All jobs of this ctrun. */
static void answer_namespaces(const struct question *q)
{
    struct text text;

    text_open(&text);
    for (struct pmixsrv_job *job = q->server->jobs; job != NULL;
         job = job->next)
        if (!job->dropped)
            text_add(&text, job->nspace);
    text_answer(q, PMIX_QUERY_NAMESPACES, &text);
}

static void answer_pset_names(const struct question *q)
{
    struct text text;

    text_open(&text);
    for (const struct pset *pset = q->server->psets; pset != NULL;
         pset = pset->next)
        text_add(&text, pset->name);
    text_answer(q, PMIX_QUERY_PSET_NAMES, &text);
}

/* ---- numbers ---- */

static void answer_pset_count(const struct question *q)
{
    size_t count = 0;

    for (const struct pset *pset = q->server->psets; pset != NULL;
         pset = pset->next)
        count++;
    infolist_add(q->ret, PMIX_QUERY_NUM_PSETS, &count, PMIX_SIZE);
}

static void answer_job_size(const struct question *q)
{
    const struct pmixsrv_job *job = job_of(q);

    if (job != NULL)
        infolist_u32(q->ret, PMIX_JOB_SIZE, job->size);
}

static void answer_spawn_support(const struct question *q)
{
    infolist_string(q->ret, PMIX_QUERY_SPAWN_SUPPORT, PMIX_WDIR "," PMIX_HOST);
}

/* ---- processes ---- */

static void answer_membership(const struct question *q)
{
    const pmix_value_t *name = qualifier(q, PMIX_PSET_NAME);
    const struct pset *pset =
        name != NULL && name->type == PMIX_STRING && name->data.string != NULL
            ? pset_find(q->server, name->data.string)
            : NULL;
    pmix_data_array_t array = {.type = PMIX_PROC};

    if (pset == NULL)
        return;
    array.size = pset->count;
    array.array = pset->members;
    infolist_add(q->ret, PMIX_QUERY_PSET_MEMBERSHIP, &array, PMIX_DATA_ARRAY);
}

/* The strings stay the agent's: libpmix copies them. */
static void fill_process(const struct pmixsrv_job *job, unsigned rank,
                         pmix_proc_info_t *ret)
{
    const struct pmixsrv_config *config = &job->server->config;
    struct pmixsrv_process process = {0};

    config->callbacks.describe(config->ctx, job, rank, &process);
    pmixsrv_proc(job, rank, &ret->proc);
    ret->hostname = (char *)process.host;
    ret->executable_name = (char *)process.executable;
    if (job->seen != NULL && pmixsrv_rank_elsewhere(job, rank)) {
        process.pid = job->seen[rank].pid;
        process.runs = job->seen[rank].runs;
    }
    ret->pid = process.pid;
    ret->state = process.runs       ? PMIX_PROC_STATE_RUNNING
                 : process.pid != 0 ? PMIX_PROC_STATE_TERMINATED
                                    : PMIX_PROC_STATE_PREPPED;
}

static void answer_table(const struct question *q, const char *key, bool all)
{
    const struct pmixsrv_job *job = job_of(q);
    pmix_proc_info_t *table;
    pmix_data_array_t array = {.type = PMIX_PROC_INFO};

    if (job == NULL)
        return;
    table = calloc(job->size, sizeof *table);
    if (table == NULL) {
        q->ret->failed = true;
        return;
    }
    for (unsigned rank = 0; rank < job->size; rank++)
        if (all || !pmixsrv_rank_elsewhere(job, rank))
            fill_process(job, rank, &table[array.size++]);
    array.array = table;
    infolist_add(q->ret, key, &array, PMIX_DATA_ARRAY);
    free(table);
}

static void answer_proc_table(const struct question *q)
{
    answer_table(q, PMIX_QUERY_PROC_TABLE, true);
}

static void answer_local_table(const struct question *q)
{
    answer_table(q, PMIX_QUERY_LOCAL_PROC_TABLE, false);
}

/* ---- the table ---- */

static const struct query_row {
    const char *key;
    void (*answer)(const struct question *q);
} rows[] = {
    {PMIX_QUERY_NAMESPACES, answer_namespaces},
    {PMIX_QUERY_SPAWN_SUPPORT, answer_spawn_support},
    {PMIX_QUERY_NUM_PSETS, answer_pset_count},
    {PMIX_QUERY_PSET_NAMES, answer_pset_names},
    {PMIX_QUERY_PSET_MEMBERSHIP, answer_membership},
    {PMIX_QUERY_PROC_TABLE, answer_proc_table},
    {PMIX_QUERY_LOCAL_PROC_TABLE, answer_local_table},
    {PMIX_JOB_SIZE, answer_job_size},
};

static bool answer_key(const struct question *q, const char *key)
{
    size_t before = q->ret->count;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].key, key) == 0)
            rows[i].answer(q);
    return q->ret->count > before || q->ret->failed;
}

/* The job whose whole table it asks for, or NULL. */
struct pmixsrv_job *query_table_of(struct pmixsrv *server,
                                   const struct request *request,
                                   const pmix_query_t *query)
{
    const struct question question = {server, &request->proc, query, NULL};

    for (char **key = query->keys; key != NULL && *key != NULL; key++)
        if (strcmp(*key, PMIX_QUERY_PROC_TABLE) == 0)
            return job_of(&question);
    return NULL;
}

void query_finish(struct pmixsrv *server, struct request *request)
{
    struct infolist list = {0};
    bool all = true;

    for (size_t i = 0; i < request->nqueries; i++) {
        const struct question question = {server, &request->proc,
                                          &request->queries[i], &list};
        char **key = request->queries[i].keys;

        for (; key != NULL && *key != NULL; key++)
            all = answer_key(&question, *key) && all;
    }
    request_answer_info(request,
                        all              ? PMIX_SUCCESS
                        : list.count > 0 ? PMIX_ERR_PARTIAL_SUCCESS
                                         : PMIX_ERR_NOT_FOUND,
                        &list);
}
