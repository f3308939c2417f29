#include "tests/unit/fakepmix.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct fake_pmix fake_pmix;
struct fake_pmix fake_pmix;

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
    size_t len = strlen(fake_pmix.log);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(fake_pmix.log + len, sizeof fake_pmix.log - len, fmt, ap);
    va_end(ap);
}

static pmix_status_t status_of(const char *function)
{
    if (fake_pmix.fails != NULL && strcmp(fake_pmix.fails, function) == 0)
        return PMIX_ERROR;
    return PMIX_SUCCESS;
}

static struct fake_value *find(pmix_rank_t rank, const char *key)
{
    for (unsigned i = 0; i < fake_pmix.count; i++)
        if (fake_pmix.values[i].rank == rank &&
            strcmp(fake_pmix.values[i].key, key) == 0)
            return &fake_pmix.values[i];
    return NULL;
}

static struct fake_value *make(pmix_rank_t rank, const char *key)
{
    struct fake_value *value = find(rank, key);

    if (value == NULL)
        value = &fake_pmix.values[fake_pmix.count++];
    value->rank = rank;
    snprintf(value->key, sizeof value->key, "%s", key);
    return value;
}

static void keep(struct fake_value *to, const pmix_value_t *from)
{
    const char *bytes =
        from->type == PMIX_STRING ? from->data.string : from->data.bo.bytes;

    to->type = from->type;
    if (from->type == PMIX_BOOL)
        return;
    to->len =
        from->type == PMIX_STRING ? strlen(bytes) + 1 : from->data.bo.size;
    if (to->len > sizeof to->bytes)
        abort();
    memcpy(to->bytes, bytes, to->len);
}

/* Each in memory of its own, which the caller frees. */
static void give(const struct fake_value *from, pmix_value_t *to)
{
    memset(to, 0, sizeof *to);
    to->type = from->type;
    if (from->type == PMIX_STRING || from->type == PMIX_BYTE_OBJECT) {
        char *bytes = malloc(from->len);
        memcpy(bytes, from->bytes, from->len);
        to->data.bo.size = from->type == PMIX_STRING ? 0 : from->len;
        if (from->type == PMIX_STRING)
            to->data.string = bytes;
        else
            to->data.bo.bytes = bytes;
    } else {
        to->data.uint32 = from->number;
    }
}

pmix_status_t PMIx_Init(pmix_proc_t *proc, pmix_info_t *info, size_t ninfo)
{
    (void)info;
    (void)ninfo;
    say("init;");
    memset(proc, 0, sizeof *proc);
    strcpy(proc->nspace, fake_pmix.nspace != NULL ? fake_pmix.nspace : "ns");
    proc->rank = fake_pmix.rank;
    return status_of("Init");
}

pmix_status_t PMIx_Finalize(const pmix_info_t *info, size_t ninfo)
{
    (void)info;
    (void)ninfo;
    say("finalize;");
    return status_of("Finalize");
}

pmix_status_t PMIx_Abort(int status, const char *text, pmix_proc_t *procs,
                         size_t nprocs)
{
    (void)text;
    (void)procs;
    (void)nprocs;
    say("abort %d;", status);
    return status_of("Abort");
}

const char *PMIx_Error_string(pmix_status_t status)
{
    return status == PMIX_SUCCESS ? "none" : "it does not work";
}

pmix_status_t PMIx_Put(pmix_scope_t scope, const char *key, pmix_value_t *value)
{
    say("put %s %s;", scope == PMIX_LOCAL ? "local" : "global", key);
    if (status_of("Put") == PMIX_SUCCESS)
        keep(make(fake_pmix.rank, key), value);
    return status_of("Put");
}

pmix_status_t PMIx_Commit(void)
{
    say("commit;");
    return status_of("Commit");
}

pmix_status_t PMIx_Fence(const pmix_proc_t *procs, size_t nprocs,
                         const pmix_info_t *info, size_t ninfo)
{
    say("fence%s%s;", procs == NULL && nprocs == 0 ? "" : " of some",
        ninfo == 1 && strcmp(info->key, PMIX_COLLECT_DATA) == 0 ? " collecting"
                                                                : "");
    return status_of("Fence");
}

static bool is_of_job(const char *key)
{
    return strncmp(key, "pmix.", 5) == 0;
}

static bool is_missing(const char *key)
{
    return !is_of_job(key) && fake_pmix.missing-- > 0;
}

/* Questions about the job are not worth telling. */
pmix_status_t PMIx_Get(const pmix_proc_t *proc, const char *key,
                       const pmix_info_t *info, size_t ninfo,
                       pmix_value_t **ret)
{
    const struct fake_value *found = find(proc->rank, key);

    (void)info;
    (void)ninfo;
    if (!is_of_job(key))
        say("get %s of %d;", key, (int)proc->rank);
    if (status_of("Get") != PMIX_SUCCESS)
        return PMIX_ERROR;
    if (found == NULL || is_missing(key))
        return PMIX_ERR_NOT_FOUND;
    *ret = malloc(sizeof **ret);
    give(found, *ret);
    return PMIX_SUCCESS;
}

pmix_status_t PMIx_Publish(const pmix_info_t *info, size_t ninfo)
{
    (void)ninfo;
    if (find(FAKE_NAMES, info->key) != NULL)
        return PMIX_ERR_DUPLICATE_KEY;
    keep(make(FAKE_NAMES, info->key), &info->value);
    return PMIX_SUCCESS;
}

pmix_status_t PMIx_Lookup(pmix_pdata_t *data, size_t ndata,
                          const pmix_info_t *info, size_t ninfo)
{
    const struct fake_value *found = find(FAKE_NAMES, data->key);

    (void)ndata;
    (void)info;
    (void)ninfo;
    if (status_of("Lookup") != PMIX_SUCCESS)
        return PMIX_ERROR;
    if (found == NULL)
        return PMIX_ERR_NOT_FOUND;
    give(found, &data->value);
    return PMIX_SUCCESS;
}

pmix_status_t PMIx_Unpublish(char **keys, const pmix_info_t *info, size_t ninfo)
{
    struct fake_value *found = find(FAKE_NAMES, keys[0]);

    (void)info;
    (void)ninfo;
    if (found == NULL)
        return PMIX_ERR_NOT_FOUND;
    found->key[0] = '\0';
    return PMIX_SUCCESS;
}

static void say_list(char **list)
{
    for (; list != NULL && *list != NULL; list++)
        say(" %s", *list);
}

pmix_status_t PMIx_Spawn(const pmix_info_t job_info[], size_t ninfo,
                         const pmix_app_t apps[], size_t napps,
                         pmix_nspace_t nspace)
{
    (void)job_info;
    (void)ninfo;
    for (size_t i = 0; i < napps; i++) {
        say("spawn %d %s in %s:", apps[i].maxprocs, apps[i].cmd,
            apps[i].cwd != NULL ? apps[i].cwd : "?");
        say_list(apps[i].argv);
        say(" env:");
        say_list(apps[i].env);
        for (size_t k = 0; k < apps[i].ninfo; k++)
            say(" %s=%s", apps[i].info[k].key,
                apps[i].info[k].value.data.string);
        say(";");
    }
    strcpy(nspace, "child");
    return status_of("Spawn");
}
