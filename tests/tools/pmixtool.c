/*
 * pmixtool URI [NAME [WORD...]]: a PMIx tool that attaches to the server at
 * URI, under this name if it is not empty, and does what the words say, with
 * all jobs:
 *
 *     list              print the processes; so it does without a word
 *     kill              list them, then kill them
 *     signal=NUMBER     send them a signal
 *     pull[=RANK]       print what they write: "out" or "err", the rank, a line
 *     lines=COUNT       wait for so many lines of that
 *     redirect          the same, and nobody else is to get it
 *     stop              pull no longer
 *     push=RANK         let the rank read our stdin, to its end; -1: all
 *     part=RANK         the same, but for the end
 *     burst=RANK        the same as push, but the answers are waited for at the
 *                       end alone
 *     say=TEXT          print it
 *     sleep=SECONDS
 *     wait              until the server goes
 *     stuck             read no more, and wait to be killed
 *
 * 1: it was not let in; 2: something else failed, and what is printed.
 */
#include <pmix_tool.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool server_has_gone;

/* "NOT-FOUND": so 4 says it, and 5 "PMIX_ERR_NOT_FOUND". */
static int fails(const char *what, pmix_status_t rc)
{
    static const char prefix[] = "PMIX_ERR_";
    const char *error = PMIx_Error_string(rc);

    if (rc == PMIX_SUCCESS || rc == PMIX_OPERATION_SUCCEEDED)
        return 0;
    if (strncmp(error, prefix, sizeof prefix - 1) == 0)
        error += sizeof prefix - 1;
    printf("%s: ", what);
    for (; *error != '\0'; error++)
        putchar(*error == '_' ? '-' : *error);
    putchar('\n');
    return -1;
}

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

static int list_processes(const char *nspace, const char *value)
{
    pmix_value_t *answer = ask(PMIX_QUERY_PROC_TABLE, nspace);
    const pmix_proc_info_t *table;

    (void)value;
    if (answer == NULL || answer->type != PMIX_DATA_ARRAY)
        return -1;
    table = answer->data.darray->array;
    for (size_t i = 0; i < answer->data.darray->size; i++)
        printf("%u %d %s %s\n", table[i].proc.rank, (int)table[i].pid,
               table[i].hostname, table[i].executable_name);
    return 0;
}

/* ---- job control ---- */

static int control(const char *nspace, pmix_info_t *what)
{
    pmix_proc_t all;
    pmix_info_t *answer;
    size_t count;

    PMIX_LOAD_PROCID(&all, nspace, PMIX_RANK_WILDCARD);
    return fails("control",
                 PMIx_Job_control(&all, 1, what, 1, &answer, &count));
}

static int kill_job(const char *nspace, const char *value)
{
    pmix_info_t kill;

    (void)value;
    if (list_processes(nspace, NULL) < 0)
        return -1;
    memset(&kill, 0, sizeof kill);
    PMIX_INFO_LOAD(&kill, PMIX_JOB_CTRL_KILL, NULL, PMIX_BOOL);
    return control(nspace, &kill);
}

static int send_signal(const char *nspace, const char *value)
{
    int number = atoi(value);
    pmix_info_t signal;

    memset(&signal, 0, sizeof signal);
    PMIX_INFO_LOAD(&signal, PMIX_JOB_CTRL_SIGNAL, &number, PMIX_INT);
    return control(nspace, &signal);
}

/* ---- output ---- */

static size_t handler;
static int line_count;
static bool is_stuck;

static void on_output(size_t id, pmix_iof_channel_t channel,
                      pmix_proc_t *source, pmix_byte_object_t *bytes,
                      pmix_info_t info[], size_t ninfo)
{
    const char *name = channel == PMIX_FWD_STDOUT_CHANNEL ? "out" : "err";
    char *line = bytes->bytes, *end = bytes->bytes + bytes->size, *next;

    (void)id;
    (void)info;
    (void)ninfo;
    pthread_mutex_lock(&lock);
    for (; line < end; line = next, line_count++) {
        next = memchr(line, '\n', (size_t)(end - line));
        next = next != NULL ? next + 1 : end;
        printf("%s %u %.*s", name, source->rank, (int)(next - line), line);
        if (next[-1] != '\n')
            printf("\\\n");
    }
    fflush(stdout);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    while (is_stuck)
        pause();
}

static void on_registered(pmix_status_t status, size_t id, void *ctx)
{
    pmix_status_t *ret = ctx;

    pthread_mutex_lock(&lock);
    handler = id;
    *ret = status;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Of who is answered later. */
enum { PENDING = 1 };

static pmix_status_t await_answer(const pmix_status_t *status)
{
    pmix_status_t rc;

    pthread_mutex_lock(&lock);
    while (*status == PENDING)
        pthread_cond_wait(&changed, &lock);
    rc = *status;
    pthread_mutex_unlock(&lock);
    return rc;
}

static int pull_with(const char *nspace, const char *value, pmix_info_t *info,
                     size_t ninfo)
{
    pmix_status_t status = PENDING, rc;
    pmix_proc_t who;

    PMIX_LOAD_PROCID(&who, nspace,
                     value[0] != '\0' ? (pmix_rank_t)atoi(value)
                                      : PMIX_RANK_WILDCARD);
    rc = PMIx_IOF_pull(&who, 1, info, ninfo,
                       PMIX_FWD_STDOUT_CHANNEL | PMIX_FWD_STDERR_CHANNEL |
                           PMIX_FWD_STDDIAG_CHANNEL,
                       on_output, on_registered, &status);
    return fails("pull", rc == PMIX_SUCCESS ? await_answer(&status) : rc);
}

static int pull(const char *nspace, const char *value)
{
    return pull_with(nspace, value, NULL, 0);
}

static int redirect(const char *nspace, const char *value)
{
    pmix_info_t info;

    memset(&info, 0, sizeof info);
    PMIX_INFO_LOAD(&info, PMIX_IOF_REDIRECT, NULL, PMIX_BOOL);
    return pull_with(nspace, value, &info, 1);
}

static int await_lines(const char *nspace, const char *value)
{
    (void)nspace;
    pthread_mutex_lock(&lock);
    while (line_count < atoi(value))
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return 0;
}

/* libpmix 4.2.2 answers whatever was in its memory. */
static int stop(const char *nspace, const char *value)
{
    (void)nspace;
    (void)value;
    PMIx_IOF_deregister(handler, NULL, 0, NULL, NULL);
    return 0;
}

/* ---- input ---- */

static void on_pushed(pmix_status_t status, void *ctx)
{
    on_registered(status, handler, ctx);
}

/* PMIx_IOF_push() of 4.2 that is to wait itself frees what it did not make. */
static pmix_status_t push_object(const char *nspace, const char *value,
                                 char *bytes, size_t len, pmix_op_cbfunc_t done,
                                 void *ctx)
{
    pmix_byte_object_t object = {.bytes = bytes, .size = len};
    pmix_proc_t who;

    PMIX_LOAD_PROCID(&who, nspace,
                     value[0] != '-' ? (pmix_rank_t)atoi(value)
                                     : PMIX_RANK_WILDCARD);
    return PMIx_IOF_push(&who, 1, &object, NULL, 0, done, ctx);
}

static int push_bytes(const char *nspace, const char *value, char *bytes,
                      size_t len)
{
    pmix_status_t status = PENDING, rc;

    rc = push_object(nspace, value, bytes, len, on_pushed, &status);
    return fails("push", rc == PMIX_SUCCESS ? await_answer(&status) : rc);
}

static int push_part(const char *nspace, const char *value)
{
    char bytes[8192];
    ssize_t len;

    while ((len = read(STDIN_FILENO, bytes, sizeof bytes)) > 0)
        if (push_bytes(nspace, value, bytes, (size_t)len) < 0)
            return -1;
    return len < 0 ? -1 : 0;
}

static int push(const char *nspace, const char *value)
{
    if (push_part(nspace, value) < 0)
        return -1;
    return push_bytes(nspace, value, NULL, 0);
}

static int unanswered;
static pmix_status_t worst;

static void on_burst(pmix_status_t status, void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    unanswered--;
    if (status != PMIX_SUCCESS && status != PMIX_OPERATION_SUCCEEDED)
        worst = status;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int burst_bytes(const char *nspace, const char *value, char *bytes,
                       size_t len)
{
    pthread_mutex_lock(&lock);
    unanswered++;
    pthread_mutex_unlock(&lock);
    return fails("push",
                 push_object(nspace, value, bytes, len, on_burst, NULL));
}

/* From 1 to 128. */
static size_t next_size(unsigned *seed)
{
    return (size_t)rand_r(seed) % 128 + 1;
}

static int burst(const char *nspace, const char *value)
{
    char bytes[128];
    unsigned seed = 1;
    ssize_t len;

    while ((len = read(STDIN_FILENO, bytes, next_size(&seed))) > 0)
        if (burst_bytes(nspace, value, bytes, (size_t)len) < 0)
            return -1;
    if (len < 0 || burst_bytes(nspace, value, NULL, 0) < 0)
        return -1;
    pthread_mutex_lock(&lock);
    while (unanswered > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return fails("push", worst);
}

/* ---- waiting ---- */

static void on_event(size_t id, pmix_status_t status, const pmix_proc_t *source,
                     pmix_info_t info[], size_t ninfo, pmix_info_t results[],
                     size_t nresults, pmix_event_notification_cbfunc_fn_t done,
                     void *ctx)
{
    (void)id;
    (void)source;
    (void)info;
    (void)ninfo;
    (void)results;
    (void)nresults;
    pthread_mutex_lock(&lock);
    server_has_gone |= status == PMIX_ERR_LOST_CONNECTION;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (done != NULL)
        done(PMIX_EVENT_ACTION_COMPLETE, NULL, 0, NULL, NULL, ctx);
}

static int await_end(const char *nspace, const char *value)
{
    (void)nspace;
    (void)value;
    pthread_mutex_lock(&lock);
    while (!server_has_gone)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    fflush(stdout);
    _exit(0); /* there is nothing to take leave of */
}

static int say(const char *nspace, const char *value)
{
    (void)nspace;
    puts(value);
    fflush(stdout);
    return 0;
}

static int rest(const char *nspace, const char *value)
{
    (void)nspace;
    usleep((useconds_t)(atof(value) * 1e6));
    return 0;
}

static int be_stuck(const char *nspace, const char *value)
{
    (void)nspace;
    (void)value;
    is_stuck = true;
    for (;;)
        pause();
}

/* ---- words ---- */

static const struct row {
    const char *word;
    int (*act)(const char *nspace, const char *value);
} rows[] = {
    {"list", list_processes}, {"kill", kill_job},  {"signal", send_signal},
    {"pull", pull},           {"stop", stop},      {"redirect", redirect},
    {"push", push},           {"part", push_part}, {"say", say},
    {"sleep", rest},          {"wait", await_end}, {"stuck", be_stuck},
    {"lines", await_lines},   {"burst", burst},
};

static int act(const char *nspace, const char *word)
{
    size_t len = strcspn(word, "=");
    const char *value = word[len] == '=' ? word + len + 1 : "";

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].word) == len &&
            strncmp(rows[i].word, word, len) == 0)
            return rows[i].act(nspace, value);
    printf("what is %s?\n", word);
    return -1;
}

static int act_all(const char *nspace, char **words, int count)
{
    if (count == 0)
        return list_processes(nspace, NULL);
    for (int i = 0; i < count; i++)
        if (act(nspace, words[i]) < 0)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 2 && argv[2][0] != '\0' ? argv[2] : NULL;
    pmix_value_t *jobs;
    char *rest_of = NULL;
    int rc = 0;

    if (argc < 2 || attach(argv[1], name) < 0)
        return 1;
    PMIx_Register_event_handler(NULL, 0, NULL, 0, on_event, NULL, NULL);
    jobs = ask(PMIX_QUERY_NAMESPACES, NULL);
    if (jobs == NULL || jobs->type != PMIX_STRING)
        return 2;
    for (char *job = strtok_r(jobs->data.string, ",", &rest_of);
         job != NULL && rc == 0; job = strtok_r(NULL, ",", &rest_of))
        if (act_all(job, argv + 3, argc > 3 ? argc - 3 : 0) < 0)
            rc = 2;
    fflush(stdout);
    PMIx_tool_finalize();
    return rc;
}
