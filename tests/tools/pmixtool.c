/*
 * pmixtool URI [NAME [kill]]: a PMIx tool that attaches to the server at URI,
 * under this name if it is not empty, and prints the processes of all jobs,
 * then kills them if told so. 1: it was not let in; 2: something else failed.
 */
#include <pmix_tool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int attach(const char *uri, const char *name)
{
    pmix_info_t info[3];
    pmix_rank_t rank = 0;
    pmix_proc_t me;
    size_t count = 1;
    pmix_status_t rc;

    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], PMIX_SERVER_URI, uri, PMIX_STRING);
    if (name != NULL) {
        PMIX_INFO_LOAD(&info[1], PMIX_TOOL_NSPACE, name, PMIX_STRING);
        PMIX_INFO_LOAD(&info[2], PMIX_TOOL_RANK, &rank, PMIX_PROC_RANK);
        count = 3;
    }
    rc = PMIx_tool_init(&me, info, count);
    if (rc != PMIX_SUCCESS)
        printf("not let in: %s\n", PMIx_Error_string(rc));
    return rc == PMIX_SUCCESS ? 0 : -1;
}

/* The answer to one question, of this job; or NULL. */
static pmix_value_t *ask(const char *key, const char *nspace)
{
    pmix_query_t *query;
    pmix_info_t *answer = NULL;
    size_t count = 0;
    pmix_status_t rc;

    PMIX_QUERY_CREATE(query, 1);
    PMIX_ARGV_APPEND(rc, query->keys, key);
    if (nspace != NULL) {
        PMIX_QUERY_QUALIFIERS_CREATE(query, 1);
        PMIX_INFO_LOAD(&query->qualifiers[0], PMIX_NSPACE, nspace, PMIX_STRING);
    }
    if (rc == PMIX_SUCCESS)
        rc = PMIx_Query_info(query, 1, &answer, &count);
    if (rc != PMIX_SUCCESS || count != 1) {
        printf("%s: %s, %zu answers\n", key, PMIx_Error_string(rc), count);
        return NULL;
    }
    return &answer->value;
}

static int list_processes(const char *nspace)
{
    pmix_value_t *value = ask(PMIX_QUERY_PROC_TABLE, nspace);
    const pmix_proc_info_t *table;

    if (value == NULL || value->type != PMIX_DATA_ARRAY)
        return -1;
    table = value->data.darray->array;
    for (size_t i = 0; i < value->data.darray->size; i++)
        printf("%u %d %s %s\n", table[i].proc.rank, (int)table[i].pid,
               table[i].hostname, table[i].executable_name);
    return 0;
}

static int kill_job(const char *nspace)
{
    pmix_proc_t all;
    pmix_info_t kill, *answer;
    size_t count;

    memset(&kill, 0, sizeof kill);
    PMIX_LOAD_PROCID(&all, nspace, PMIX_RANK_WILDCARD);
    PMIX_INFO_LOAD(&kill, PMIX_JOB_CTRL_KILL, NULL, PMIX_BOOL);
    return PMIx_Job_control(&all, 1, &kill, 1, &answer, &count) == PMIX_SUCCESS
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    const char *name = argc > 2 && argv[2][0] != '\0' ? argv[2] : NULL;
    pmix_value_t *jobs;
    int rc = 0;

    if (argc < 2 || attach(argv[1], name) < 0)
        return 1;
    jobs = ask(PMIX_QUERY_NAMESPACES, NULL);
    if (jobs == NULL || jobs->type != PMIX_STRING)
        return 2;
    for (char *job = strtok(jobs->data.string, ","); job != NULL && rc == 0;
         job = strtok(NULL, ","))
        if (list_processes(job) < 0 || (argc > 3 && kill_job(job) < 0))
            rc = 2;
    fflush(stdout);
    PMIx_tool_finalize();
    return rc;
}
