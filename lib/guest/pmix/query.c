/*
 * Questions about jobs. libpmix itself answers what is in the job's facts;
 * these are about more than one job.
 */
#include "guest/pmix/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "NSPACE,NSPACE": all jobs of this ctrun */
static void answer_namespaces(struct pmixsrv *server, struct infolist *list)
{
    char text[4096] = "";
    size_t used = 0;

    for (struct pmixsrv_job *job = server->jobs;
         job != NULL && used < sizeof text; job = job->next)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 used > 0 ? "," : "", job->nspace);
    infolist_string(list, PMIX_QUERY_NAMESPACES, text);
}

static void answer_spawn_support(struct pmixsrv *server, struct infolist *list)
{
    (void)server;
    infolist_string(list, PMIX_QUERY_SPAWN_SUPPORT, PMIX_WDIR "," PMIX_HOST);
}

static void answer_num_psets(struct pmixsrv *server, struct infolist *list)
{
    (void)server;
    infolist_u32(list, PMIX_QUERY_NUM_PSETS, 0);
}

static const struct query_row {
    const char *key;
    void (*answer)(struct pmixsrv *server, struct infolist *list);
} rows[] = {
    {PMIX_QUERY_NAMESPACES, answer_namespaces},
    {PMIX_QUERY_SPAWN_SUPPORT, answer_spawn_support},
    {PMIX_QUERY_NUM_PSETS, answer_num_psets},
};

static bool answer_key(struct pmixsrv *server, const char *key,
                       struct infolist *list)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].key, key) == 0) {
            rows[i].answer(server, list);
            return true;
        }
    return false;
}

void query_answer(struct pmixsrv *server, struct request *request)
{
    struct infolist list = {0};
    bool all = true;

    for (size_t i = 0; i < request->nqueries; i++)
        for (char **key = request->queries[i].keys; key != NULL && *key != NULL;
             key++)
            all = answer_key(server, *key, &list) && all;
    request_answer_info(request,
                        all              ? PMIX_SUCCESS
                        : list.count > 0 ? PMIX_ERR_PARTIAL_SUCCESS
                                         : PMIX_ERR_NOT_FOUND,
                        &list);
}
