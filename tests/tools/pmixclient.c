/*
 * pmixclient WHAT...: a PMIx client without MPI, for what MPIs do not reach.
 * Rank 0 prints "WHAT ok" for each; a rank that finds something wrong says so
 * and aborts the job with 99.
 */
#include <errno.h>
#include <fcntl.h>
#include <pmix.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PMIX_INTERNAL_ERR_BASE
#define PMIX_INTERNAL_ERR_BASE (-1330) /* 4.0's header forgets it */
#endif

static pmix_proc_t me;
static uint32_t size;

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "pmixclient.c:%d: rank %u: not so: %s\n",          \
                    __LINE__, me.rank, #what);                                 \
            PMIx_Abort(99, "a check failed", NULL, 0);                         \
            exit(99);                                                          \
        }                                                                      \
    } while (0)

/* PMIX_RANK_WILDCARD asks for a fact of the job. */
static pmix_value_t *get(pmix_rank_t rank, const char *key)
{
    pmix_value_t *value = NULL;
    pmix_proc_t proc = me;

    proc.rank = rank;
    if (PMIx_Get(&proc, key, NULL, 0, &value) != PMIX_SUCCESS)
        return NULL;
    return value;
}

static pmix_value_t *get_of_app(uint32_t app, const char *key)
{
    const bool yes = true;
    pmix_value_t *value = NULL;
    pmix_proc_t proc = me;
    pmix_info_t info[2];

    memset(info, 0, sizeof info);
    proc.rank = PMIX_RANK_WILDCARD;
    PMIX_INFO_LOAD(&info[0], PMIX_APP_INFO, &yes, PMIX_BOOL);
    PMIX_INFO_LOAD(&info[1], PMIX_APPNUM, &app, PMIX_UINT32);
    if (PMIx_Get(&proc, key, info, 2, &value) != PMIX_SUCCESS)
        return NULL;
    return value;
}

static void fence_among(const pmix_proc_t *procs, size_t count, bool collect)
{
    pmix_info_t info;

    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    CHECK(PMIx_Fence(procs, count, &info, 1) == PMIX_SUCCESS);
    PMIX_INFO_DESTRUCT(&info);
}

static pmix_proc_t everybody(void)
{
    pmix_proc_t all = me;

    all.rank = PMIX_RANK_WILDCARD;
    return all;
}

/* All ranks one by one, for what takes no wildcard; to free(). */
static pmix_proc_t *each_rank(void)
{
    pmix_proc_t *procs = calloc(size, sizeof *procs);

    for (uint32_t rank = 0; rank < size; rank++) {
        procs[rank] = me;
        procs[rank].rank = rank;
    }
    return procs;
}

static void fence(bool collect)
{
    pmix_proc_t all = everybody();

    fence_among(&all, 1, collect);
}

static void put_string(const char *key, const char *text)
{
    pmix_value_t value = {.type = PMIX_STRING};

    value.data.string = (char *)text;
    CHECK(PMIx_Put(PMIX_GLOBAL, key, &value) == PMIX_SUCCESS);
    CHECK(PMIx_Commit() == PMIX_SUCCESS);
}

/* ---- what can be asked for ---- */

/* A rank's own lies in its job's, and that in the session's. */
static void check_directories(void)
{
    static const char *const keys[] = {PMIX_TMPDIR, PMIX_NSDIR, PMIX_PROCDIR};
    pmix_value_t *value;
    const char *outer = "";

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        value = get(i == 2 ? me.rank : PMIX_RANK_WILDCARD, keys[i]);
        CHECK(value != NULL && value->type == PMIX_STRING);
        CHECK(strncmp(value->data.string, outer, strlen(outer)) == 0);
        CHECK(access(value->data.string, W_OK) == 0);
        outer = value->data.string;
    }
}

static void facts(void)
{
    pmix_value_t *value;

    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_UNIV_SIZE)) != NULL);
    CHECK(value->data.uint32 >= size);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_LOCAL_SIZE)) != NULL);
    CHECK(value->data.uint32 == size);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_NUM_NODES)) != NULL);
    CHECK(value->data.uint32 == 1);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS)) != NULL);
    CHECK(strncmp(value->data.string, "0", 1) == 0);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_ANL_MAP)) != NULL);
    CHECK(strncmp(value->data.string, "(vector,(0,1,", 13) == 0);
    for (uint32_t rank = 0; rank < size; rank++) {
        CHECK((value = get(rank, PMIX_LOCAL_RANK)) != NULL);
        CHECK(value->type == PMIX_UINT16 && value->data.uint16 == rank);
        CHECK((value = get(rank, PMIX_APPNUM)) != NULL);
        CHECK(value->data.uint32 == 0);
    }
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_HWLOC_XML_V2)) != NULL);
    CHECK(strstr(value->data.string, "<topology") != NULL);
    check_directories();
}

/* ctrun -n 1 ... : -n 2 ... */
static void apps(void)
{
    static const uint32_t app_of[] = {0, 1, 1};
    pmix_value_t *value;

    CHECK(size == 3);
    for (uint32_t rank = 0; rank < size; rank++) {
        CHECK((value = get(rank, PMIX_APPNUM)) != NULL);
        CHECK(value->data.uint32 == app_of[rank]);
        CHECK((value = get(rank, PMIX_APP_RANK)) != NULL);
        CHECK(value->data.rank == (rank == 2 ? 1 : 0));
    }
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_JOB_NUM_APPS)) != NULL);
    CHECK(value->data.uint32 == 2);
    for (uint32_t app = 0; app < 2; app++) {
        CHECK((value = get_of_app(app, PMIX_APP_SIZE)) != NULL);
        CHECK(value->data.uint32 == app + 1);
        CHECK((value = get_of_app(app, PMIX_APPLDR)) != NULL);
        CHECK(value->data.rank == app);
    }
}

/* All start where they are. */
static void workdir(void)
{
    char here[4096];
    pmix_value_t *value = get(PMIX_RANK_WILDCARD, PMIX_WDIR);

    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK(value != NULL && value->type == PMIX_STRING);
    CHECK(strcmp(value->data.string, here) == 0);
}

/* With --bind-to core. */
static void bound(void)
{
    pmix_value_t *value;

    for (uint32_t rank = 0; rank < size; rank++) {
        CHECK((value = get(rank, PMIX_CPUSET)) != NULL);
        CHECK(strncmp(value->data.string, "hwloc:", 6) == 0);
        CHECK((value = get(rank, PMIX_LOCALITY_STRING)) != NULL);
        CHECK(strstr(value->data.string, "CR") != NULL);
    }
}

static void exchange(bool collect, const char *prefix)
{
    char key[64], text[64];

    snprintf(key, sizeof key, "%s%u", prefix, me.rank);
    snprintf(text, sizeof text, "of rank %u; a=b", me.rank);
    put_string(key, text);
    fence(collect);
    for (uint32_t rank = 0; rank < size; rank++) {
        pmix_value_t *value;

        snprintf(key, sizeof key, "%s%u", prefix, rank);
        snprintf(text, sizeof text, "of rank %u; a=b", rank);
        CHECK((value = get(rank, key)) != NULL);
        CHECK(value->type == PMIX_STRING &&
              strcmp(value->data.string, text) == 0);
        PMIX_VALUE_RELEASE(value);
    }
    fence(false);
}

static void modex(void)
{
    exchange(true, "collected");
    exchange(false, "asked-for");
}

/* Even and odd ranks at once, then everybody. */
static void subsets(void)
{
    pmix_proc_t *procs = calloc(size, sizeof *procs);
    size_t count = 0;

    for (uint32_t rank = me.rank % 2; rank < size; rank += 2) {
        procs[count] = me;
        procs[count++].rank = rank;
    }
    for (int i = 0; i < 3; i++)
        fence_among(procs, count, i % 2 == 0);
    free(procs);
    fence(false);
}

static volatile int fenced;

static void on_fenced(pmix_status_t status, void *ctx)
{
    (void)ctx;
    CHECK(status == PMIX_SUCCESS);
    fenced++; /* libpmix's thread alone */
}

/* Each pair has a fence, all at once. */
static void pairs(void)
{
    pmix_proc_t(*of)[2] = calloc(size, sizeof *of);

    for (uint32_t i = 0; i < size; i++) {
        uint32_t other = me.rank % 2 == 0 ? i : size - 1 - i;

        if (other == me.rank)
            continue;
        of[other][0] = of[other][1] = me;
        of[other][0].rank = other < me.rank ? other : me.rank;
        of[other][1].rank = other < me.rank ? me.rank : other;
        CHECK(PMIx_Fence_nb(of[other], 2, NULL, 0, on_fenced, NULL) ==
              PMIX_SUCCESS);
    }
    while (fenced < (int)size - 1)
        usleep(1000);
    fence(false);
    free(of);
}

/* Rank 0 comes too late to the first. */
static void fence_timeout(void)
{
    const pmix_proc_t all = everybody();
    const int seconds = 1;
    pmix_info_t info;

    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, PMIX_TIMEOUT, &seconds, PMIX_INT);
    if (me.rank != 0)
        CHECK(PMIx_Fence(&all, 1, &info, 1) == PMIX_ERR_TIMEOUT);
    else
        sleep(3);
    fence(true);
    exchange(true, "after");
}

static pmix_status_t publish(const char *key, const char *text,
                             pmix_data_range_t range)
{
    pmix_persistence_t persistence = PMIX_PERSIST_SESSION;
    pmix_info_t info[3];
    pmix_status_t rc;

    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], key, text, PMIX_STRING);
    PMIX_INFO_LOAD(&info[1], PMIX_RANGE, &range, PMIX_DATA_RANGE);
    PMIX_INFO_LOAD(&info[2], PMIX_PERSISTENCE, &persistence, PMIX_PERSIST);
    rc = PMIx_Publish(info, 3);
    PMIX_INFO_DESTRUCT(&info[0]);
    return rc;
}

/* wait: until it is there */
static pmix_status_t lookup(const char *key, bool wait, const char *expected)
{
    int all = 0;
    pmix_info_t info;
    pmix_pdata_t data;
    pmix_status_t rc;

    memset(&info, 0, sizeof info);
    memset(&data, 0, sizeof data);
    snprintf(data.key, sizeof data.key, "%s", key);
    PMIX_INFO_LOAD(&info, PMIX_WAIT, &all, PMIX_INT);
    rc = PMIx_Lookup(&data, 1, wait ? &info : NULL, wait ? 1 : 0);
    if (rc == PMIX_SUCCESS)
        CHECK(data.value.type == PMIX_STRING &&
              strcmp(data.value.data.string, expected) == 0);
    return rc;
}

static void names(void)
{
    char *keys[] = {(char *)"name", NULL};

    CHECK(lookup("nobody's", false, "") == PMIX_ERR_NOT_FOUND);
    fence(false);
    if (me.rank == 0) { /* the others wait for it, most of them, already */
        usleep(50000);
        CHECK(publish("name", "value", PMIX_RANGE_SESSION) == PMIX_SUCCESS);
        CHECK(publish("name", "value", PMIX_RANGE_SESSION) ==
              PMIX_ERR_DUPLICATE_KEY);
        CHECK(publish("mine", "x", PMIX_RANGE_PROC_LOCAL) == PMIX_SUCCESS);
        CHECK(lookup("mine", false, "x") == PMIX_SUCCESS);
    } else {
        CHECK(lookup("name", true, "value") == PMIX_SUCCESS);
        CHECK(PMIx_Unpublish(keys, NULL, 0) != PMIX_SUCCESS);
    }
    fence(false);
    if (me.rank != 0)
        CHECK(lookup("mine", false, "x") == PMIX_ERR_NOT_FOUND);
    fence(false);
    if (me.rank == 0)
        CHECK(PMIx_Unpublish(keys, NULL, 0) == PMIX_SUCCESS);
    fence(false);
    CHECK(lookup("name", false, "") == PMIX_ERR_NOT_FOUND);
}

static pmix_status_t publish_with(const char *key, const char *directive,
                                  const void *value, pmix_data_type_t type)
{
    pmix_info_t info[2];

    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], key, "x", PMIX_STRING);
    PMIX_INFO_LOAD(&info[1], directive, value, type);
    return PMIx_Publish(info, 2);
}

static pmix_status_t publish_for(const char *key, pmix_rank_t rank)
{
    pmix_data_range_t range = PMIX_RANGE_CUSTOM;
    pmix_proc_t reader = me;
    pmix_info_t info[3];

    reader.rank = rank;
    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], key, "x", PMIX_STRING);
    PMIX_INFO_LOAD(&info[1], PMIX_RANGE, &range, PMIX_DATA_RANGE);
    PMIX_INFO_LOAD(&info[2], PMIX_EVENT_CUSTOM_RANGE, &reader, PMIX_PROC);
    return PMIx_Publish(info, 3);
}

/* Who sees a name, and names that are refused. */
static void name_ranges(void)
{
    pmix_rank_t last = size - 1;

    if (me.rank == 0) {
        CHECK(publish_for("last's", last) == PMIX_SUCCESS);
        CHECK(publish("rm's", "x", PMIX_RANGE_RM) == PMIX_SUCCESS);
        CHECK(publish("node's", "x", PMIX_RANGE_LOCAL) == PMIX_SUCCESS);
        CHECK(publish("job's", "x", PMIX_RANGE_NAMESPACE) == PMIX_SUCCESS);
        CHECK(publish("no one's", "x", PMIX_RANGE_CUSTOM) ==
              PMIX_ERR_BAD_PARAM);
        CHECK(publish_with("a", PMIX_RANGE, "text", PMIX_STRING) ==
              PMIX_ERR_BAD_PARAM);
        CHECK(publish_with("a", PMIX_PERSISTENCE, "text", PMIX_STRING) ==
              PMIX_ERR_BAD_PARAM);
        CHECK(publish_with("a", "a", "y", PMIX_STRING) ==
              PMIX_ERR_DUPLICATE_KEY);
    }
    fence(false);
    CHECK(lookup("last's", false, "x") ==
          (me.rank == last ? PMIX_SUCCESS : PMIX_ERR_NOT_FOUND));
    CHECK(lookup(PMIX_EVENT_CUSTOM_RANGE, false, "") == PMIX_ERR_NOT_FOUND);
    CHECK(lookup("rm's", false, "") == PMIX_ERR_NOT_FOUND);
    CHECK(lookup("node's", false, "x") == PMIX_SUCCESS);
    CHECK(lookup("job's", false, "x") == PMIX_SUCCESS);
    CHECK(lookup("a", false, "") == PMIX_ERR_NOT_FOUND);
    fence(false);
}

/* A rank's name goes with it, its job's stays. */
static void name_of_gone(void)
{
    pmix_persistence_t proc = PMIX_PERSIST_PROC, app = PMIX_PERSIST_APP;

    if (size > 1 && me.rank == size - 1) {
        CHECK(publish_with("rank's", PMIX_PERSISTENCE, &proc, PMIX_PERSIST) ==
              PMIX_SUCCESS);
        CHECK(publish_with("app's", PMIX_PERSISTENCE, &app, PMIX_PERSIST) ==
              PMIX_SUCCESS);
    }
    fence(false);
    if (size == 1 || me.rank == size - 1)
        return;
    while (lookup("rank's", false, "x") != PMIX_ERR_NOT_FOUND)
        usleep(1000);
    CHECK(lookup("app's", false, "x") == PMIX_SUCCESS);
}

/* A second is enough to wait for what nobody publishes. */
static void timeouts(void)
{
    int all = 0, seconds = 1;
    uint32_t unsigned_seconds = 1;
    pmix_info_t info[2];
    pmix_pdata_t data;

    memset(info, 0, sizeof info);
    memset(&data, 0, sizeof data);
    snprintf(data.key, sizeof data.key, "nobody's");
    PMIX_INFO_LOAD(&info[0], PMIX_WAIT, &all, PMIX_INT);
    PMIX_INFO_LOAD(&info[1], PMIX_TIMEOUT, &seconds, PMIX_INT);
    CHECK(PMIx_Lookup(&data, 1, info, 2) == PMIX_ERR_TIMEOUT);
    PMIX_INFO_LOAD(&info[1], PMIX_TIMEOUT, &unsigned_seconds, PMIX_UINT32);
    CHECK(PMIx_Lookup(&data, 1, info, 2) == PMIX_ERR_TIMEOUT);
    fence(false);
}

static void groups(void)
{
    pmix_proc_t *procs = each_rank();
    pmix_info_t wanted, *results = NULL;
    bool yes = true;
    size_t nresults = 0, last = 0;

    memset(&wanted, 0, sizeof wanted);
    PMIX_INFO_LOAD(&wanted, PMIX_GROUP_ASSIGN_CONTEXT_ID, &yes, PMIX_BOOL);
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "first" : "second";
        size_t context = 0;

        CHECK(PMIx_Group_construct(name, procs, size, &wanted, 1, &results,
                                   &nresults) == PMIX_SUCCESS);
        for (size_t k = 0; k < nresults; k++)
            if (strcmp(results[k].key, PMIX_GROUP_CONTEXT_ID) == 0)
                context = results[k].value.data.size;
        CHECK(context != 0 && context != last);
        last = context;
        CHECK(PMIx_Group_destruct(name, NULL, 0) == PMIX_SUCCESS);
    }
    free(procs);
}

/* Context ids differ for all groups of the job, and not among members. */
enum { ROUNDS = 8, GROUPS = 1 + 2 * ROUNDS };

/* Everybody, then by turns every second rank and each half of them. */
static bool together(int group, uint32_t a, uint32_t b)
{
    if (group == 0)
        return true;
    return group % 2 == 1 ? a % 2 == b % 2 : (a < size / 2) == (b < size / 2);
}

static const char *group_name(int group)
{
    static char name[64];
    uint32_t least = 0;

    while (!together(group, me.rank, least))
        least++;
    snprintf(name, sizeof name, "group %d of rank %u", group, least);
    return name;
}

static unsigned long context_of(int group)
{
    pmix_proc_t *procs = calloc(size, sizeof *procs);
    pmix_info_t wanted, *results = NULL;
    bool yes = true;
    size_t count = 0, nresults = 0, context = 0;

    for (uint32_t rank = 0; rank < size; rank++)
        if (together(group, me.rank, rank)) {
            procs[count] = me;
            procs[count++].rank = rank;
        }
    memset(&wanted, 0, sizeof wanted);
    PMIX_INFO_LOAD(&wanted, PMIX_GROUP_ASSIGN_CONTEXT_ID, &yes, PMIX_BOOL);
    CHECK(PMIx_Group_construct(group_name(group), procs, count, &wanted, 1,
                               &results, &nresults) == PMIX_SUCCESS);
    for (size_t k = 0; k < nresults; k++)
        if (strcmp(results[k].key, PMIX_GROUP_CONTEXT_ID) == 0)
            context = results[k].value.data.size;
    CHECK(context != 0);
    free(procs);
    return context;
}

static void get_contexts(uint32_t rank, unsigned long *contexts)
{
    pmix_value_t *value = get(rank, "contexts");
    const char *text = value != NULL ? value->data.string : "";

    for (int group = 0; group < GROUPS; group++)
        contexts[group] = strtoul(text, (char **)&text, 10);
}

static void compare(uint32_t a, uint32_t b)
{
    unsigned long of_a[GROUPS], of_b[GROUPS];

    get_contexts(a, of_a);
    get_contexts(b, of_b);
    for (int i = 0; i < GROUPS; i++)
        for (int j = 0; j < GROUPS; j++)
            CHECK((of_a[i] == of_b[j]) == (i == j && together(i, a, b)));
}

static void contexts(void)
{
    char text[GROUPS * 24] = "";

    for (int group = 0; group < GROUPS; group++)
        snprintf(text + strlen(text), 24, "%lu ", context_of(group));
    put_string("contexts", text);
    fence(true);
    for (uint32_t a = 0; a < size; a++)
        for (uint32_t b = 0; b < size; b++)
            compare(a, b);
    for (int group = 0; group < GROUPS; group++)
        CHECK(PMIx_Group_destruct(group_name(group), NULL, 0) == PMIX_SUCCESS);
}

static void connected(void)
{
    pmix_proc_t all = everybody();

    CHECK(PMIx_Connect(&all, 1, NULL, 0) == PMIX_SUCCESS);
    CHECK(PMIx_Disconnect(&all, 1, NULL, 0) == PMIX_SUCCESS);
}

/* ---- events ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static int registered, deregistered, heard, lost;
static size_t handler; /* that was registered last */

static void on_event(size_t id, pmix_status_t status, const pmix_proc_t *source,
                     pmix_info_t info[], size_t ninfo, pmix_info_t results[],
                     size_t nresults, pmix_event_notification_cbfunc_fn_t done,
                     void *ctx)
{
    (void)id;
    (void)status;
    (void)info;
    (void)ninfo;
    (void)results;
    (void)nresults;
    pthread_mutex_lock(&lock);
    if (source->rank == 0)
        heard++;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
    done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, ctx);
}

/* For who waits for it: wait_for(). */
static void count_up(int *count)
{
    pthread_mutex_lock(&lock);
    ++*count;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static void on_registered(pmix_status_t status, size_t id, void *ctx)
{
    (void)ctx;
    CHECK(status >= 0);
    pthread_mutex_lock(&lock);
    handler = id;
    registered++;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

static void wait_for(const int *count)
{
    pthread_mutex_lock(&lock);
    while (*count == 0)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

static void events(void)
{
    pmix_status_t code = PMIX_EXTERNAL_ERR_BASE - 7;

    PMIx_Register_event_handler(&code, 1, NULL, 0, on_event, on_registered,
                                NULL);
    wait_for(&registered);
    fence(false);
    if (me.rank == 0)
        CHECK(PMIx_Notify_event(code, &me, PMIX_RANGE_NAMESPACE, NULL, 0, NULL,
                                NULL) >= PMIX_OPERATION_SUCCEEDED);
    else
        wait_for(&heard);
    fence(false);
}

static void on_deregistered(pmix_status_t status, void *ctx)
{
    (void)ctx;
    CHECK(status == PMIX_SUCCESS);
    count_up(&deregistered);
}

/* Of two events that follow one another, the first is not heard any more. */
static void deafness(void)
{
    pmix_status_t codes[] = {PMIX_EXTERNAL_ERR_BASE - 8,
                             PMIX_EXTERNAL_ERR_BASE - 9};

    registered = heard = 0;
    PMIx_Register_event_handler(&codes[0], 1, NULL, 0, on_event, on_registered,
                                NULL);
    wait_for(&registered);
    PMIx_Deregister_event_handler(handler, on_deregistered, NULL);
    wait_for(&deregistered);
    registered = 0;
    PMIx_Register_event_handler(&codes[1], 1, NULL, 0, on_event, on_registered,
                                NULL);
    wait_for(&registered);
    fence(false);
    for (int i = 0; i < 2 && me.rank == 0; i++)
        CHECK(PMIx_Notify_event(codes[i], &me, PMIX_RANGE_NAMESPACE, NULL, 0,
                                NULL, NULL) >= PMIX_OPERATION_SUCCEEDED);
    if (me.rank != 0)
        wait_for(&heard);
    fence(false);
    CHECK(me.rank == 0 || heard == 1);
}

/* ---- who hears what ---- */

/* The last one is heard by all, after those before it. */
enum { NSPACE, SESSION, GLOBAL, ONE, SOME, HERE, LAST, CASES };

static const pmix_data_range_t ranges_of[CASES] = {
    [NSPACE] = PMIX_RANGE_NAMESPACE, [SESSION] = PMIX_RANGE_SESSION,
    [GLOBAL] = PMIX_RANGE_GLOBAL,    [ONE] = PMIX_RANGE_CUSTOM,
    [SOME] = PMIX_RANGE_CUSTOM,      [HERE] = PMIX_RANGE_LOCAL,
    [LAST] = PMIX_RANGE_GLOBAL,
};

static int heard_of[CASES];

static pmix_status_t code_of(int which)
{
    return PMIX_EXTERNAL_ERR_BASE - 10 - which;
}

/* What comes with it must have come whole. */
static bool has_text(const pmix_info_t *info, size_t ninfo)
{
    for (size_t i = 0; i < ninfo; i++)
        if (strcmp(info[i].key, "test.text") == 0)
            return info[i].value.type == PMIX_STRING &&
                   strcmp(info[i].value.data.string, "a=b; c") == 0;
    return false;
}

static void on_range(size_t id, pmix_status_t status, const pmix_proc_t *source,
                     pmix_info_t info[], size_t ninfo, pmix_info_t results[],
                     size_t nresults, pmix_event_notification_cbfunc_fn_t done,
                     void *ctx)
{
    int which = code_of(0) - status;

    (void)id;
    (void)results;
    (void)nresults;
    pthread_mutex_lock(&lock);
    CHECK(source->rank == 0 && strcmp(source->nspace, me.nspace) == 0);
    CHECK(which >= 0 && which < CASES && has_text(info, ninfo));
    heard_of[which]++;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
    done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, ctx);
}

/* To the last rank, or to the odd ones. */
static void notify(int which)
{
    pmix_proc_t *procs = each_rank(), *odd = each_rank();
    pmix_data_array_t some = {.type = PMIX_PROC, .array = odd};
    pmix_info_t info[2];

    for (uint32_t rank = 1; rank < size; rank += 2)
        odd[some.size++].rank = rank;
    memset(info, 0, sizeof info);
    PMIX_INFO_LOAD(&info[0], "test.text", "a=b; c", PMIX_STRING);
    if (which == ONE)
        PMIX_INFO_LOAD(&info[1], PMIX_EVENT_CUSTOM_RANGE, &procs[size - 1],
                       PMIX_PROC);
    else if (which == SOME)
        PMIX_INFO_LOAD(&info[1], PMIX_EVENT_CUSTOM_RANGE, &some,
                       PMIX_DATA_ARRAY);
    CHECK(PMIx_Notify_event(code_of(which), &me, ranges_of[which], info,
                            which == ONE || which == SOME ? 2 : 1, NULL,
                            NULL) >= PMIX_OPERATION_SUCCEEDED);
    free(procs);
    free(odd);
}

static bool is_beside_first(void)
{
    const pmix_value_t *value = get(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS);

    CHECK(value != NULL);
    return strtol(value->data.string, NULL, 10) == 0;
}

static void check_heard(void)
{
    wait_for(&heard_of[LAST]);
    for (int which = NSPACE; which <= GLOBAL; which++)
        CHECK(heard_of[which] == 1);
    CHECK(heard_of[ONE] == (me.rank == size - 1));
    CHECK(heard_of[SOME] == (me.rank % 2 == 1));
    CHECK(heard_of[HERE] == is_beside_first());
}

static void ranges(void)
{
    pmix_status_t codes[CASES];

    for (int which = 0; which < CASES; which++)
        codes[which] = code_of(which);
    PMIx_Register_event_handler(codes, CASES, NULL, 0, on_range, on_registered,
                                NULL);
    wait_for(&registered);
    fence(false);
    for (int which = 0; which < CASES && me.rank == 0 && size > 1; which++)
        notify(which);
    if (me.rank != 0)
        check_heard();
    fence(false);
}

/* Where names live, and rank 0, all soon leave, and are asked meanwhile. */
static void forsaken(void)
{
    fence(false);
    if (is_beside_first())
        return;
    CHECK(get(0, "never put") == NULL);
    CHECK(lookup("nobody's", true, "") == PMIX_ERR_NOT_FOUND);
}

static void forsaken_name(void)
{
    fence(false);
    if (!is_beside_first())
        CHECK(lookup("nobody's", true, "") == PMIX_ERR_NOT_FOUND);
    else
        usleep(200000);
}

/* Of one key, perhaps with one qualifier; the value stays. */
static const pmix_value_t *ask(const char *key, const char *name,
                               const char *text)
{
    pmix_query_t *query = calloc(1, sizeof *query);
    pmix_info_t *results = NULL;
    size_t nresults = 0;

    query->keys = calloc(2, sizeof *query->keys);
    query->keys[0] = strdup(key);
    if (name != NULL) {
        query->qualifiers = calloc(1, sizeof *query->qualifiers);
        query->nqual = 1;
        PMIX_INFO_LOAD(&query->qualifiers[0], name, text, PMIX_STRING);
    }
    if (PMIx_Query_info(query, 1, &results, &nresults) != PMIX_SUCCESS)
        return NULL;
    for (size_t i = 0; i < nresults; i++)
        if (strcmp(results[i].key, key) == 0)
            return &results[i].value;
    return NULL;
}

/* ---- a group by invitation ---- */

static int invited, joined;

static void on_joined(pmix_status_t status, pmix_info_t info[], size_t ninfo,
                      void *ctx, pmix_release_cbfunc_t release,
                      void *release_ctx)
{
    (void)info;
    (void)ninfo;
    (void)ctx;
    CHECK(status == PMIX_SUCCESS);
    count_up(&joined);
    if (release != NULL)
        release(release_ctx);
}

static void on_invited(size_t id, pmix_status_t status,
                       const pmix_proc_t *source, pmix_info_t info[],
                       size_t ninfo, pmix_info_t results[], size_t nresults,
                       pmix_event_notification_cbfunc_fn_t done, void *ctx)
{
    (void)id;
    (void)status;
    (void)results;
    (void)nresults;
    for (size_t i = 0; i < ninfo; i++)
        if (strcmp(info[i].key, PMIX_GROUP_ID) == 0)
            invited += strcmp(info[i].value.data.string, "guests") == 0;
    CHECK(invited == 1);
    CHECK(PMIx_Group_join_nb("guests", source, PMIX_GROUP_ACCEPT, NULL, 0,
                             on_joined, NULL) == PMIX_SUCCESS);
    done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, ctx);
}

static void invite(void)
{
    pmix_status_t code = PMIX_GROUP_INVITED;
    pmix_proc_t *procs = each_rank();
    pmix_info_t *results = NULL;
    size_t nresults = 0;

    if (me.rank != 0) {
        PMIx_Register_event_handler(&code, 1, NULL, 0, on_invited,
                                    on_registered, NULL);
        wait_for(&registered);
    }
    fence(false);
    if (me.rank == 0)
        CHECK(PMIx_Group_invite("guests", procs, size, NULL, 0, &results,
                                &nresults) == PMIX_SUCCESS);
    else
        wait_for(&joined);
    fence(false);
    free(procs);
}

static void queries(void)
{
    const pmix_value_t *value = ask(PMIX_QUERY_NAMESPACES, NULL, NULL);
    const pmix_proc_info_t *table;

    CHECK(value != NULL && value->type == PMIX_STRING);
    CHECK(strstr(value->data.string, me.nspace) != NULL);
    CHECK((value = ask(PMIX_QUERY_SPAWN_SUPPORT, NULL, NULL)) != NULL);
    value = ask(PMIX_JOB_SIZE, PMIX_NSPACE, me.nspace);
    CHECK(value != NULL && value->type == PMIX_UINT32);
    CHECK(value->data.uint32 == size);
    for (int i = 0; i < 2; i++) {
        value =
            ask(i == 0 ? PMIX_QUERY_PROC_TABLE : PMIX_QUERY_LOCAL_PROC_TABLE,
                PMIX_NSPACE, me.nspace);
        CHECK(value != NULL && value->type == PMIX_DATA_ARRAY);
        CHECK(value->data.darray->size == size);
        table = value->data.darray->array;
        CHECK(table[me.rank].proc.rank == me.rank);
        CHECK(table[me.rank].pid == getpid());
        CHECK(table[me.rank].state == PMIX_PROC_STATE_RUNNING);
        CHECK(strstr(table[me.rank].executable_name, "pmixclient") != NULL);
    }
    CHECK(ask(PMIX_QUERY_PSET_MEMBERSHIP, PMIX_PSET_NAME, "no such") == NULL);
    CHECK((value = ask(PMIX_QUERY_PROC_TABLE, NULL, NULL)) != NULL);
    CHECK(value->data.darray->size == size);
}

/* No matter what is answered: libpmix 4.2.2 died of it. */
static void attributes(void)
{
    static const char *const levels[] = {PMIX_SERVER_ATTRIBUTES,
                                         PMIX_HOST_ATTRIBUTES};
    char *keys[] = {(char *)PMIX_QUERY_ATTRIBUTE_SUPPORT, NULL};
    pmix_info_t qualifier, *results;
    pmix_query_t query = {.keys = keys, .qualifiers = &qualifier, .nqual = 1};
    const bool yes = true;
    size_t count;

    for (int i = 0; i < 2; i++) {
        memset(&qualifier, 0, sizeof qualifier);
        PMIX_INFO_LOAD(&qualifier, levels[i], "all", PMIX_STRING);
        PMIx_Query_info(&query, 1, &results, &count);
        PMIX_INFO_LOAD(&qualifier, levels[i], &yes, PMIX_BOOL);
        PMIx_Query_info(&query, 1, &results, &count);
    }
    fence(false);
}

/* --pset first=0 has been given. */
static void psets(void)
{
    const pmix_value_t *value = ask(PMIX_QUERY_NUM_PSETS, NULL, NULL);
    const pmix_proc_t *members;

    CHECK(value != NULL && value->type == PMIX_SIZE && value->data.size == 2);
    CHECK((value = ask(PMIX_QUERY_PSET_NAMES, NULL, NULL)) != NULL);
    CHECK(strcmp(value->data.string, "first,ctrun://app/0") == 0 ||
          strcmp(value->data.string, "ctrun://app/0,first") == 0);
    value = ask(PMIX_QUERY_PSET_MEMBERSHIP, PMIX_PSET_NAME, "ctrun://app/0");
    CHECK(value != NULL && value->data.darray->size == size);
    value = ask(PMIX_QUERY_PSET_MEMBERSHIP, PMIX_PSET_NAME, "first");
    CHECK(value != NULL && value->data.darray->size == 1);
    members = value->data.darray->array;
    CHECK(members[0].rank == 0 && strcmp(members[0].nspace, me.nspace) == 0);
}

static void log_texts(void)
{
    pmix_info_t data[2];

    memset(data, 0, sizeof data);
    PMIX_INFO_LOAD(&data[0], PMIX_LOG_STDOUT, "logged text\n", PMIX_STRING);
    PMIX_INFO_LOAD(&data[1], PMIX_LOG_STDERR, "logged error", PMIX_STRING);
    CHECK(PMIx_Log(data, 2, NULL, 0) == PMIX_SUCCESS);
    fence(false);
}

/* As Open MPI 5 says what is wrong: all ranks the same. Some seconds later they
   are still there. */
static void log_same(void)
{
    const bool yes = true;
    pmix_info_t text, directives[3];

    memset(&text, 0, sizeof text);
    memset(directives, 0, sizeof directives);
    PMIX_INFO_LOAD(&text, PMIX_LOG_STDERR, "the same\n", PMIX_STRING);
    PMIX_INFO_LOAD(&directives[0], PMIX_LOG_AGG, &yes, PMIX_BOOL);
    PMIX_INFO_LOAD(&directives[1], PMIX_LOG_KEY, "help.txt", PMIX_STRING);
    PMIX_INFO_LOAD(&directives[2], PMIX_LOG_VAL, "topic", PMIX_STRING);
    CHECK(PMIx_Log(&text, 1, directives, 3) == PMIX_SUCCESS);
    sleep(7);
    fence(false);
}

static volatile sig_atomic_t signalled;

static void on_signal(int signal)
{
    signalled = signal;
}

static pmix_status_t control(pmix_rank_t rank, const char *key,
                             const void *value, pmix_data_type_t type)
{
    pmix_proc_t target = me;
    pmix_info_t info, *results = NULL;
    size_t nresults = 0;

    target.rank = rank;
    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, key, value, type);
    return PMIx_Job_control(&target, 1, &info, 1, &results, &nresults);
}

static void signals(void)
{
    const int number = SIGUSR1;

    signal(SIGUSR1, on_signal);
    fence(false);
    if (me.rank == 0) {
        CHECK(control(size, PMIX_JOB_CTRL_SIGNAL, &number, PMIX_INT) ==
              PMIX_ERR_NOT_FOUND);
        CHECK(control(size - 1, PMIX_JOB_CTRL_SIGNAL, &number, PMIX_INT) ==
              PMIX_SUCCESS);
    }
    while (me.rank == size - 1 && !signalled)
        usleep(1000);
    fence(false);
    CHECK((me.rank == size - 1) == (signalled == SIGUSR1));
    signalled = 0;
}

/* What state a process is in, of /proc/PID/stat. */
static char state_of(long pid)
{
    char path[64], text[256] = "";
    const char *end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    file = fopen(path, "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    end = strrchr(text, ')');
    CHECK(end != NULL);
    return end[2];
}

/* The last rank is stopped, goes on, and is asked to end. */
static void pauses(void)
{
    const bool yes = true;
    char pid[32];
    pmix_value_t *value;

    if (size == 1)
        return;
    signal(SIGTERM, on_signal);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    put_string("pid", pid);
    fence(true);
    if (me.rank == 0) {
        CHECK((value = get(size - 1, "pid")) != NULL);
        CHECK(control(size - 1, PMIX_JOB_CTRL_PAUSE, &yes, PMIX_BOOL) ==
              PMIX_SUCCESS);
        while (state_of(strtol(value->data.string, NULL, 10)) != 'T')
            usleep(1000);
        CHECK(control(size - 1, PMIX_JOB_CTRL_RESUME, &yes, PMIX_BOOL) ==
              PMIX_SUCCESS);
        CHECK(control(size - 1, PMIX_JOB_CTRL_TERMINATE, &yes, PMIX_BOOL) ==
              PMIX_SUCCESS);
    }
    while (me.rank == size - 1 && !signalled)
        usleep(1000);
    fence(false);
    CHECK((me.rank == size - 1) == (signalled == SIGTERM));
    signalled = 0;
}

/* $CLEAN_FILE is to be removed with rank 0, or with the job. */
static void clean_with(pmix_rank_t rank)
{
    const char *file = getenv("CLEAN_FILE");

    CHECK(file != NULL);
    if (me.rank == 0)
        CHECK(control(rank, PMIX_REGISTER_CLEANUP, file, PMIX_STRING) ==
              PMIX_SUCCESS);
    fence(false);
}

static void clean_rank(void)
{
    clean_with(0);
}

static void clean_job(void)
{
    clean_with(PMIX_RANK_WILDCARD);
}

/* Of the job, and of what it has spawned, wherever that is. */
static void check_tables(void)
{
    const pmix_value_t *value = ask(PMIX_QUERY_NAMESPACES, NULL, NULL);
    char *names, *rest, *name;
    int count = 0;

    CHECK(value != NULL);
    names = strdup(value->data.string);
    for (name = strtok_r(names, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest), count++)
        CHECK(ask(PMIX_QUERY_PROC_TABLE, PMIX_NSPACE, name) != NULL);
    CHECK(count == 2);
    free(names);
}

/* What makes no job. */
static void check_refusals(char *self)
{
    char *argv[] = {self, (char *)"child", NULL};
    pmix_app_t app = {.cmd = self, .argv = argv, .maxprocs = 70000};
    pmix_nspace_t child;
    pmix_info_t info;

    CHECK(PMIx_Spawn(NULL, 0, NULL, 0, child) != PMIX_SUCCESS);
    CHECK(PMIx_Spawn(NULL, 0, &app, 1, child) != PMIX_SUCCESS);
    app.maxprocs = 1;
    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, "test.unknown", "x", PMIX_STRING);
    PMIX_INFO_REQUIRED(&info);
    CHECK(PMIx_Spawn(&info, 1, &app, 1, child) != PMIX_SUCCESS);
}

/* A child has this variable, and its parent in its facts. */
static void spawn(void)
{
    pmix_app_t app;
    pmix_nspace_t child;
    char self[512], *argv[] = {self, (char *)"child", NULL};
    char *env[] = {(char *)"OF_PARENT=yes", NULL};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    CHECK(len > 0);
    self[len] = '\0';
    if (me.rank == 0) {
        memset(&app, 0, sizeof app);
        app.cmd = self;
        app.argv = argv;
        app.env = env;
        app.maxprocs = 2;
        CHECK(PMIx_Spawn(NULL, 0, &app, 1, child) == PMIX_SUCCESS);
        CHECK(strcmp(child, me.nspace) != 0);
        CHECK(lookup("child-is-here", true, "yes") == PMIX_SUCCESS);
        app.cmd = argv[0] = (char *)"/no/such/program";
        CHECK(PMIx_Spawn(NULL, 0, &app, 1, child) != PMIX_SUCCESS);
        check_refusals(self);
    }
    fence(false);
    check_tables();
    fence(false);
}

static void child(void)
{
    const char *text = getenv("OF_PARENT");
    pmix_value_t *value = get(me.rank, PMIX_PARENT_ID);

    CHECK(size == 2 && text != NULL && strcmp(text, "yes") == 0);
    if (value == NULL)
        value = get(PMIX_RANK_WILDCARD, PMIX_PARENT_ID);
    CHECK(value != NULL && value->data.proc->rank == 0);
    fence(false);
    if (me.rank == 0)
        CHECK(publish("child-is-here", "yes", PMIX_RANGE_SESSION) ==
              PMIX_SUCCESS);
}

/* $WHERE: names of nodes, for PMIX_HOST; $COUNT children. */
static void spawn_there(void)
{
    const char *where = getenv("WHERE"), *count = getenv("COUNT");
    pmix_app_t app;
    pmix_nspace_t child;
    pmix_info_t info;
    char self[512], *argv[] = {self, (char *)"child-there", NULL};
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    pmix_status_t rc;

    CHECK(len > 0 && count != NULL);
    self[len] = '\0';
    if (me.rank == 0) {
        memset(&app, 0, sizeof app);
        app.cmd = self;
        app.argv = argv;
        app.maxprocs = atoi(count);
        if (where != NULL)
            PMIX_INFO_LOAD(&info, PMIX_HOST, where, PMIX_STRING);
        rc = PMIx_Spawn(&info, where != NULL ? 1 : 0, &app, 1, child);
        printf("spawned: %s\n", PMIx_Error_string(rc));
        if (rc == PMIX_SUCCESS)
            CHECK(lookup("children-are-here", true, "yes") == PMIX_SUCCESS);
    }
    fence(false);
}

static bool is_peer(const char *list, uint32_t rank)
{
    char *end;

    for (; *list != '\0'; list = *end == ',' ? end + 1 : end)
        if (strtoul(list, &end, 10) == rank)
            return true;
    return false;
}

/*
 * Of libpmix 4.2 with shared memory (gds ds21) a client that asks after the
 * other has committed, and before they had a fence, is told now and then that
 * there is nothing; in each second job of 8 ranks under mpirun 4.1.4, too.
 */
static pmix_value_t *get_of_neighbour(uint32_t rank, const char *key)
{
    pmix_value_t *value;
    int tries = 0;

    while ((value = get(rank, key)) == NULL && tries++ < 100)
        usleep(1000);
    return value;
}

/* What is told of who is where agrees with what each says itself. */
static void check_places(const char *peers)
{
    char own[256], key[64];
    uint32_t local = 0;
    pmix_value_t *value;

    gethostname(own, sizeof own);
    for (uint32_t rank = 0; rank < size; rank++) {
        bool here = is_peer(peers, rank);

        CHECK((value = get(rank, PMIX_HOSTNAME)) != NULL);
        CHECK((strcmp(value->data.string, own) == 0) == here);
        CHECK((value = get(rank, PMIX_LOCAL_RANK)) != NULL);
        CHECK(!here || value->data.uint16 == local++);
        snprintf(key, sizeof key, "node-of-%u", rank);
        value = here ? get_of_neighbour(rank, key) : get(rank, key);
        CHECK(value != NULL);
        CHECK((strcmp(value->data.string, own) == 0) == here);
    }
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_LOCAL_SIZE)) != NULL);
    CHECK(value->data.uint32 == local);
}

/* Puts its node's name, which all others get: at once, or after a fence. */
static void child_there(void)
{
    char own[256], key[64];
    pmix_value_t *value;

    gethostname(own, sizeof own);
    snprintf(key, sizeof key, "node-of-%u", me.rank);
    put_string(key, own);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_LOCAL_PEERS)) != NULL);
    check_places(value->data.string);
    fence(true);
    check_places(value->data.string);
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_NUM_NODES)) != NULL);
    printf("child %u/%u of %u nodes on %s\n", me.rank, size, value->data.uint32,
           own);
    fflush(stdout);
    fence(false);
    if (me.rank == 0)
        CHECK(publish("children-are-here", "yes", PMIX_RANGE_SESSION) ==
              PMIX_SUCCESS);
}

static pmix_status_t group_for(int seconds)
{
    pmix_proc_t *procs = each_rank();
    pmix_info_t limit, *results = NULL;
    size_t nresults = 0;
    pmix_status_t rc;

    memset(&limit, 0, sizeof limit);
    PMIX_INFO_LOAD(&limit, PMIX_TIMEOUT, &seconds, PMIX_INT);
    rc = PMIx_Group_construct("late", procs, size, &limit, 1, &results,
                              &nresults);
    free(procs);
    return rc;
}

/* Libraries differ in what is over then. */
static void group_timeout(void)
{
    pmix_status_t rc;

    if (me.rank == 1)
        usleep(1500000); /* the others have had enough by then */
    rc = group_for(1);
    CHECK(rc == PMIX_SUCCESS || rc == PMIX_ERR_TIMEOUT);
    fence(false);
}

/* With a limit, which rank 1 lets pass. */
static void connect_timeout(void)
{
    pmix_proc_t all = everybody();
    pmix_info_t limit;
    int seconds = 1;

    memset(&limit, 0, sizeof limit);
    PMIX_INFO_LOAD(&limit, PMIX_TIMEOUT, &seconds, PMIX_INT);
    if (me.rank != 1)
        PMIx_Connect(&all, 1, &limit, 1);
    pause();
}

static void leave(void)
{
    if (me.rank == 1)
        PMIx_Abort(7, "on purpose", NULL, 0);
    fence(false);
}

/* The others must not be left waiting for it. */
static void die(void)
{
    pmix_proc_t all = everybody();

    if (me.rank == 1)
        raise(SIGKILL);
    PMIx_Fence(&all, 1, NULL, 0);
    pause();
}

/* Neither end while rank 1 lacks. */
static void die_in_group(void)
{
    pmix_proc_t *procs = each_rank();
    pmix_info_t *results = NULL;
    size_t nresults = 0;

    fence(false);
    if (me.rank == 1)
        raise(SIGKILL);
    PMIx_Group_construct("whole", procs, size, NULL, 0, &results, &nresults);
    free(procs);
    pause();
}

/* Once the others have waited long enough for it. */
static void die_after_group(void)
{
    pmix_proc_t *procs = each_rank();
    pmix_info_t wanted, *results = NULL;
    size_t nresults = 0;
    int seconds = 1;

    memset(&wanted, 0, sizeof wanted);
    PMIX_INFO_LOAD(&wanted, PMIX_TIMEOUT, &seconds, PMIX_INT);
    fence(false);
    if (me.rank == 1) {
        usleep(1500000);
        raise(SIGKILL);
    }
    PMIx_Group_construct("late", procs, size, &wanted, 1, &results, &nresults);
    free(procs);
    pause();
}

static void die_in_spawn(void)
{
    pmix_app_t app;
    pmix_nspace_t child;
    char *argv[] = {(char *)"sleep", (char *)"1000", NULL};

    fence(false);
    if (me.rank == 1)
        raise(SIGKILL);
    if (me.rank == 0) {
        memset(&app, 0, sizeof app);
        app.cmd = argv[0];
        app.argv = argv;
        app.maxprocs = 4;
        PMIx_Spawn(NULL, 0, &app, 1, child);
    }
    pause();
}

static void on_lost(size_t id, pmix_status_t status, const pmix_proc_t *source,
                    pmix_info_t info[], size_t ninfo, pmix_info_t results[],
                    size_t nresults, pmix_event_notification_cbfunc_fn_t done,
                    void *ctx)
{
    (void)id;
    (void)status;
    (void)source;
    (void)results;
    (void)nresults;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ninfo; i++)
        lost += strcmp(info[i].key, PMIX_EVENT_AFFECTED_PROC) == 0;
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
    done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, ctx);
}

static void await_loss(void)
{
    pmix_status_t code = PMIX_ERR_PROC_ABORTED;

    PMIx_Register_event_handler(&code, 1, NULL, 0, on_lost, on_registered,
                                NULL);
    wait_for(&registered);
    fence(false);
}

/* count ranks die: 1, and those after it. */
static bool dies(uint32_t rank, uint32_t count)
{
    return rank > 0 && rank <= count;
}

static void fence_without(uint32_t dead)
{
    pmix_proc_t *others = calloc(size, sizeof *others);
    size_t count = 0;

    for (uint32_t rank = 0; rank < size; rank++)
        if (!dies(rank, dead)) {
            others[count] = me;
            others[count++].rank = rank;
        }
    fence_among(others, count, true);
    free(others);
}

/* Rank 1 is killed; the others are told, and go on. */
static void lose(void)
{
    const bool yes = true;

    await_loss();
    if (me.rank == 0)
        CHECK(control(1, PMIX_JOB_CTRL_KILL, &yes, PMIX_BOOL) == PMIX_SUCCESS);
    if (me.rank == 1)
        pause();
    wait_for(&lost);
    fence_without(1);
}

/* The same, by PMIx_Abort. */
static void abort_one(void)
{
    pmix_proc_t one = me;

    await_loss();
    one.rank = 1;
    if (me.rank == 0)
        CHECK(PMIx_Abort(5, "one", &one, 1) == PMIX_SUCCESS);
    if (me.rank == 1)
        pause();
    wait_for(&lost);
    fence_without(1);
}

/* What the others share while rank 1 dies, and afterwards. */
static void go_on(void)
{
    const pmix_proc_t all = everybody();
    char text[32];
    pmix_value_t *value;

    await_loss();
    if (me.rank == 1) {
        usleep(100000); /* the others are in the fence by then, most of them */
        raise(SIGKILL);
    }
    snprintf(text, sizeof text, "of rank %u", me.rank);
    put_string("kept", text);
    PMIx_Fence(&all, 1, NULL, 0); /* in which rank 1 lacks, or lacked */
    wait_for(&lost);
    for (int i = 0; i < 3; i++)
        fence(i % 2 == 0);
    fence_without(1);
    for (uint32_t rank = 0; rank < size; rank++) {
        if (rank == 1)
            continue;
        snprintf(text, sizeof text, "of rank %u", rank);
        CHECK((value = get(rank, "kept")) != NULL);
        CHECK(strcmp(value->data.string, text) == 0);
    }
}

static void *die_soon(void *ctx)
{
    (void)ctx;
    usleep((useconds_t)getpid() * 7919 % 60000);
    kill(getpid(), SIGKILL);
    return NULL;
}

static void await_losses(int count)
{
    pthread_mutex_lock(&lock);
    while (lost < count)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

/* Ranks die anywhere between two fences or in one. */
static void die_in_storm(uint32_t count)
{
    const pmix_proc_t all = everybody();
    bool dying = dies(me.rank, count);
    pthread_t thread;

    await_loss();
    if (dying)
        CHECK(pthread_create(&thread, NULL, die_soon, NULL) == 0);
    for (int i = 0; i < 200 || dying; i++)
        PMIx_Fence(&all, 1, NULL, 0);
    await_losses((int)count);
    fence_without(count);
}

static void storm(void)
{
    die_in_storm(1);
}

/* All but the first and the last. */
static void storm_of_all(void)
{
    die_in_storm(size - 2);
}

/* ---- what those hear who wait for one that dies ---- */

static pmix_status_t fence_status(const pmix_proc_t *procs, size_t count)
{
    const bool yes = true;
    pmix_info_t info;
    pmix_status_t rc;

    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
    rc = PMIx_Fence(procs, count, &info, 1);
    PMIX_INFO_DESTRUCT(&info);
    return rc;
}

static pmix_status_t connect_status(const pmix_proc_t *procs, size_t count)
{
    return PMIx_Connect(procs, count, NULL, 0);
}

static pmix_status_t group_status(const pmix_proc_t *procs, size_t count)
{
    pmix_info_t *results = NULL;
    size_t nresults = 0;

    return PMIx_Group_construct("torn", procs, count, NULL, 0, &results,
                                &nresults);
}

/* As libpmix 4.2 calls them; later ones have other names. */
static const char *name_of_status(pmix_status_t status)
{
    return status == PMIX_SUCCESS               ? "SUCCESS"
           : status == PMIX_ERR_PARTIAL_SUCCESS ? "PARTIAL SUCCESS"
                                                : PMIx_Error_string(status);
}

/*
 * Rank 1 dies while the others wait, or before; who: everybody (a wildcard),
 * each one, or ranks 0, 1 and the last.
 */
static void hear(pmix_status_t (*op)(const pmix_proc_t *procs, size_t count),
                 const char *who, bool later)
{
    const pmix_proc_t all = everybody();
    pmix_proc_t *procs = each_rank();
    size_t count = size;
    pmix_status_t rc;

    await_loss();
    if (me.rank == 1) {
        usleep(later ? 0 : 300000); /* the others wait by then */
        raise(SIGKILL);
    }
    if (later)
        wait_for(&lost);
    if (strcmp(who, "some") == 0) {
        procs[2] = procs[size - 1];
        count = 3;
    }
    if (strcmp(who, "some") != 0 || me.rank == 0 || me.rank == size - 1) {
        rc = strcmp(who, "all") == 0 ? op(&all, 1) : op(procs, count);
        printf("rank %u: %s\n", me.rank, name_of_status(rc));
        fflush(stdout);
    }
    wait_for(&lost);
    free(procs);
    fence_without(1);
}

static void hear_fence(void)
{
    hear(fence_status, "all", false);
}

static void hear_fence_each(void)
{
    hear(fence_status, "each", false);
}

static void hear_fence_some(void)
{
    hear(fence_status, "some", false);
}

static void hear_fence_later(void)
{
    hear(fence_status, "all", true);
}

static void hear_fence_each_later(void)
{
    hear(fence_status, "each", true);
}

static void hear_fence_some_later(void)
{
    hear(fence_status, "some", true);
}

static void hear_connect(void)
{
    hear(connect_status, "each", false);
}

static void hear_connect_later(void)
{
    hear(connect_status, "each", true);
}

/* What rank 1 has put is there, and what it has not will never be. */
static void hear_get(bool later)
{
    pmix_value_t *value = NULL;

    await_loss();
    if (me.rank == 1)
        put_string("left", "behind");
    fence(true); /* a node whose ranks are dead has left */
    if (me.rank == 1) {
        usleep(later ? 0 : 300000);
        raise(SIGKILL);
    }
    if (later)
        wait_for(&lost);
    CHECK(get(1, "never put") == NULL);
    wait_for(&lost);
    CHECK((value = get(1, "left")) != NULL);
    CHECK(strcmp(value->data.string, "behind") == 0);
    printf("rank %u: SUCCESS\n", me.rank);
    fflush(stdout);
    fence_without(1);
}

static void hear_get_now(void)
{
    hear_get(false);
}

static void hear_get_later(void)
{
    hear_get(true);
}

static void hear_group(void)
{
    hear(group_status, "each", false);
}

static void hear_group_later(void)
{
    hear(group_status, "each", true);
}

/* Until somebody opens ./go, which is a FIFO. */
static void hold(void)
{
    int fd;

    printf("%ld holds\n", (long)getpid());
    fflush(stdout);
    fd = open("go", O_RDONLY);
    CHECK(fd >= 0);
    close(fd);
}

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    {"facts", facts},
    {"apps", apps},
    {"modex", modex},
    {"subsets", subsets},
    {"pairs", pairs},
    {"fence-timeout", fence_timeout},
    {"names", names},
    {"groups", groups},
    {"contexts", contexts},
    {"connect", connected},
    {"connect-timeout", connect_timeout},
    {"group-timeout", group_timeout},
    {"events", events},
    {"deafness", deafness},
    {"ranges", ranges},
    {"queries", queries},
    {"attributes", attributes},
    {"psets", psets},
    {"log", log_texts},
    {"log-same", log_same},
    {"signals", signals},
    {"pauses", pauses},
    {"clean-rank", clean_rank},
    {"clean-job", clean_job},
    {"spawn", spawn},
    {"child", child},
    {"spawn-there", spawn_there},
    {"child-there", child_there},
    {"abort", leave},
    {"die", die},
    {"bound", bound},
    {"workdir", workdir},
    {"timeouts", timeouts},
    {"name-ranges", name_ranges},
    {"name-of-gone", name_of_gone},
    {"invite", invite},
    {"forsaken", forsaken},
    {"forsaken-name", forsaken_name},
    {"lose", lose},
    {"abort-one", abort_one},
    {"go-on", go_on},
    {"storm", storm},
    {"storm-of-all", storm_of_all},
    {"hear-fence", hear_fence},
    {"hear-fence-each", hear_fence_each},
    {"hear-fence-some", hear_fence_some},
    {"hear-fence-later", hear_fence_later},
    {"hear-fence-each-later", hear_fence_each_later},
    {"hear-fence-some-later", hear_fence_some_later},
    {"hear-connect", hear_connect},
    {"hear-connect-later", hear_connect_later},
    {"hear-get", hear_get_now},
    {"hear-get-later", hear_get_later},
    {"hear-group", hear_group},
    {"hear-group-later", hear_group_later},
    {"die-in-group", die_in_group},
    {"die-after-group", die_after_group},
    {"die-in-spawn", die_in_spawn},
    {"hold", hold},
};

static void run(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0) {
            table[i].run();
            if (me.rank == 0 && strncmp(name, "child", 5) != 0)
                printf("%s ok\n", name);
            return;
        }
    fprintf(stderr, "pmixclient: no %s\n", name);
    PMIx_Abort(98, "unknown", NULL, 0);
}

int main(int argc, char **argv)
{
    pmix_value_t *value;
    pmix_status_t rc = PMIx_Init(&me, NULL, 0);

    if (rc != PMIX_SUCCESS) {
        fprintf(stderr, "pmixclient: PMIx_Init: %s\n", PMIx_Error_string(rc));
        return 97;
    }
    CHECK((value = get(PMIX_RANK_WILDCARD, PMIX_JOB_SIZE)) != NULL);
    size = value->data.uint32;
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    fflush(stdout);
    PMIx_Finalize(NULL, 0);
    return 0;
}
