/*
 * conform_pmi1 [TEST...]: see conform.h. Compiles with the pmi.h of Slurm and
 * with MPICH's; what only some libraries have is looked for when it runs.
 *
 *     cc conform_pmi1.c conform.c conform_life.c -I/usr/include/slurm -lpmi
 * -lpthread -ldl
 */
#include "conform.h"

#include <pmi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 1024, KVS_ERROR = 14, MEETINGS = 20 };

/* What is missing in MPICH's header, and asked for by programs all the same. */
#ifndef PMI_ERR_INVALID_KVS
int PMI_Get_id(char id[], int length);
int PMI_Get_kvs_domain_id(char id[], int length);
int PMI_Get_id_length_max(int *length);
int PMI_Get_clique_size(int *size);
int PMI_Get_clique_ranks(int ranks[], int length);
int PMI_KVS_Create(char name[], int length);
int PMI_KVS_Destroy(const char name[]);
int PMI_KVS_Iter_first(const char name[], char key[], int key_length,
                       char value[], int value_length);
int PMI_KVS_Iter_next(const char name[], char key[], int key_length,
                      char value[], int value_length);
int PMI_Parse_option(int count, char *args[], int *parsed,
                     PMI_keyval_t **keyvals, int *size);
int PMI_Args_to_keyval(int *argc, char *((*argv)[]), PMI_keyval_t **keyvals,
                       int *size);
int PMI_Free_keyvals(PMI_keyval_t keyvals[], int size);
int PMI_Get_options(char *text, int *length);
#endif

/* ---- what conform.c asks ---- */

/* The name of the job is that of its KVS. */
#define kvs self.job

static int put(const char *key, const char *value)
{
    return PMI_KVS_Put(kvs, key, value);
}

static int fence(void)
{
    int code = PMI_KVS_Commit(kvs);

    return code != 0 ? code : PMI_Barrier();
}

static int get(const char *key, char *buf, int size)
{
    return PMI_KVS_Get(kvs, key, buf, size);
}

static int mapping(char *buf, int size)
{
    return PMI_KVS_Get(kvs, "PMI_process_mapping", buf, size);
}

/* ---- init, finalize ---- */

static int begin(void)
{
    int code = PMI_Init(&self.spawned);

    if (code != 0)
        return code;
    PMI_Get_appnum(&self.appnum);
    PMI_Get_rank(&self.rank);
    PMI_Get_size(&self.size);
    PMI_KVS_Get_key_length_max(&self.key_max);
    PMI_KVS_Get_value_length_max(&self.value_max);
    return PMI_KVS_Get_my_name(kvs, sizeof kvs);
}

static void fact(const char *name, int (*ask)(int *), int expected)
{
    int value = -9;

    code_good(name, ask(&value));
    number_is(name, value, expected);
}

static void test_init(void)
{
    int code = begin(), initialized = -1, number = -9;

    code_good("code", code);
    if (code != 0)
        exit(1);
    code_good("initialized", PMI_Initialized(&initialized));
    number_is("initialized", initialized, 1);
    check(self.size >= 1 && self.rank >= 0 && self.rank < self.size, "size",
          "%d", self.size);
    number_is("spawned", self.spawned, 0);
    fact("rank-again", PMI_Get_rank, self.rank);
    fact("size-again", PMI_Get_size, self.size);
    code_any("appnum", PMI_Get_appnum(&number));
    /* Slurm's is the number of the step */
    tell("appnum", "%s", number == 0 ? "0" : "another");
    number = -1;
    code_any("universe", PMI_Get_universe_size(&number));
    check(number >= self.size || number == -1, "universe", "%s",
          number == -1          ? "not told"
          : number >= self.size ? "told"
                                : "small");
}

static void test_finalize(void)
{
    code_good("code", PMI_Finalize());
}

/* Nothing of the job is known. */
static void ask_all(void)
{
    char buf[64] = "";

    code_bad("put", PMI_KVS_Put("k", "k", "v"));
    code_bad("commit", PMI_KVS_Commit("k"));
    code_bad("barrier", PMI_Barrier());
    code_bad("get", PMI_KVS_Get("k", "k", buf, sizeof buf));
    code_bad("name", PMI_KVS_Get_my_name(buf, sizeof buf));
    code_bad("publish", PMI_Publish_name("s", "p"));
    code_bad("unpublish", PMI_Unpublish_name("s"));
}

static void tell_all(void)
{
    char buf[64] = "";
    int number = -9;

    code_any("rank", PMI_Get_rank(&number));
    code_any("size", PMI_Get_size(&number));
    code_any("universe", PMI_Get_universe_size(&number));
    code_any("appnum", PMI_Get_appnum(&number));
    code_any("id", PMI_Get_id(buf, sizeof buf));
    code_any("clique-size", PMI_Get_clique_size(&number));
    code_any("finalize", PMI_Finalize());
}

/* At any time: MPICH's ch3 asks before PMI_Init(). */
static void ask_maxes(void)
{
    int number = -9;

    code_good("name-max", PMI_KVS_Get_name_length_max(&number));
    check(number >= 16, "name-max", "sound");
    code_good("key-max", PMI_KVS_Get_key_length_max(&number));
    check(number >= 32, "key-max", "sound");
    code_good("value-max", PMI_KVS_Get_value_length_max(&number));
    check(number >= 64, "value-max", "sound");
}

static void test_before(void)
{
    int initialized = -1;

    code_good("initialized", PMI_Initialized(&initialized));
    number_is("initialized", initialized, 0);
    ask_all();
    ask_maxes();
    tell_all();
}

static void test_after(void)
{
    int initialized = -1;

    code_good("initialized", PMI_Initialized(&initialized));
    tell("initialized", "%d", initialized);
    ask_all();
    ask_maxes();
    tell_all();
}

/* ---- facts ---- */

static void same_everywhere(const char *name, const char *mine)
{
    char key[64], buf[NAME_SIZE] = "";

    snprintf(key, sizeof key, "conform-%s", name);
    if (self.rank == 0)
        put(key, mine);
    fence();
    get(key, buf, sizeof buf);
    check(mine[0] != '\0' && strcmp(buf, mine) == 0, name, "%s",
          mine[0] == '\0'          ? "none"
          : strcmp(buf, mine) == 0 ? "the same everywhere"
                                   : "not the same everywhere");
}

static void named(const char *name, int (*ask)(char *, int), int length)
{
    char buf[NAME_SIZE] = "";

    code_good(name, ask(buf, length < NAME_SIZE ? length : NAME_SIZE));
    same_everywhere(name, buf);
    memset(buf, GUARD, sizeof buf);
    code_bad(name, ask(buf, 1));
    within_room(name, buf, 1, 2);
}

static void test_ids(void)
{
    int id_max = 0, name_max = 0;

    code_good("id-max", PMI_Get_id_length_max(&id_max));
    tell("id-max", "%d", id_max);
    code_good("name-max", PMI_KVS_Get_name_length_max(&name_max));
    tell("name-max", "%d", name_max);
    tell("key-max", "%d", self.key_max);
    tell("value-max", "%d", self.value_max);
    check(self.key_max >= 32 && self.value_max >= 64, "maxes", "sound");
    named("id", PMI_Get_id, id_max);
    named("domain", PMI_Get_kvs_domain_id, id_max);
    named("kvs", PMI_KVS_Get_my_name, name_max);
}

static void test_clique(void)
{
    int size = -1, ranks[256], same = 0;

    meet_neighbours();
    code_good("size", PMI_Get_clique_size(&size));
    check(size == self.local_count, "size", "%s",
          size == self.local_count ? "as it is" : "another");
    if (size < 1 || size >= 256)
        return;
    for (int i = 0; i <= size; i++)
        ranks[i] = -9;
    code_good("ranks", PMI_Get_clique_ranks(ranks, size));
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            same += ranks[i] == self.local_ranks[j];
    check(same == size, "ranks", "%s", same == size ? "as they are" : "others");
    number_is("room", ranks[size], -9);
    code_bad("too-few", PMI_Get_clique_ranks(ranks, size - 1));
}

/* ---- the key-value space ---- */

static void get_into(const char *name, int length, bool fits)
{
    char buf[64];

    memset(buf, GUARD, sizeof buf);
    int code = PMI_KVS_Get(kvs, "conform-room", buf, length);
    check(fits ? code == 0 && strcmp(buf, "0123456789") == 0 : code != 0, name,
          "%s", code_name(code));
    within_room(name, buf, (size_t)length, (size_t)length + 1);
}

static void test_get(void)
{
    char buf[64];

    if (self.rank == 0)
        put("conform-room", "0123456789");
    fence();
    get_into("more-room", 20, true);
    get_into("just-enough", 11, true);
    get_into("too-small", 10, false);
    get_into("one-byte", 1, false);
    code_bad("other-kvs",
             PMI_KVS_Get("conform.no-such", "conform-room", buf, sizeof buf));
    code_bad("put-other-kvs", PMI_KVS_Put("conform.no-such", "k", "v"));
}

/* Either it is not offered, or it leads to all that was put. */
static void test_iterate(void)
{
    char key[NAME_SIZE] = "", value[NAME_SIZE * 64] = "";
    int seen = 0, count = 0, code;

    put("conform-iterate", "value");
    fence();
    code = PMI_KVS_Iter_first(kvs, key, sizeof key, value, sizeof value);
    code_any("first", code);
    if (code != 0)
        return;
    for (; code == 0 && key[0] != '\0' && count < 1000000; count++) {
        seen +=
            strcmp(key, "conform-iterate") == 0 && strcmp(value, "value") == 0;
        code = PMI_KVS_Iter_next(kvs, key, sizeof key, value, sizeof value);
    }
    code_any("last", code);
    check(seen > 0, "seen", "%s", seen > 0 ? "yes" : "no");
}

static void test_create(void)
{
    char name[NAME_SIZE] = "";
    int code = PMI_KVS_Create(name, sizeof name);

    code_any("create", code);
    if (code == 0) {
        check(name[0] != '\0', "name", "%s", name[0] != '\0' ? "some" : "none");
        code_any("destroy", PMI_KVS_Destroy(name));
    }
    code_bad("destroy-other", PMI_KVS_Destroy("conform.no-such"));
}

/* ---- command lines ---- */

static void test_options(void)
{
    char text[8192] = "",
         *args[] = {(char *)"-conform-no-option", (char *)"word", NULL};
    char *more[] = {(char *)"conform", (char *)"-n", (char *)"word", NULL};
    char *(*argv)[] = (char *(*)[]) & more;
    int length = sizeof text, parsed = -9, size = -9, argc = 3, code;
    PMI_keyval_t *keyvals = NULL;

    code = PMI_Get_options(text, &length);
    code_any("get", code);
    check(strlen(text) < sizeof text, "get", "a text");
    length = 1;
    code_any("get-too-small", PMI_Get_options(text, &length));
    code = PMI_Parse_option(2, args, &parsed, &keyvals, &size);
    code_any("parse", code);
    check(code != 0 || parsed == 0, "parse", "%s",
          code != 0     ? "none"
          : parsed == 0 ? "nothing of ours"
                        : "a stranger");
    if (code == 0 && keyvals != NULL)
        code_good("parse-free", PMI_Free_keyvals(keyvals, size));
    keyvals = NULL;
    size = 0;
    code = PMI_Args_to_keyval(&argc, argv, &keyvals, &size);
    code_any("args", code);
    check(argc <= 3, "args", "no more than before");
    if (code == 0 && keyvals != NULL)
        code_good("args-free", PMI_Free_keyvals(keyvals, size));
}

/* ---- groups, of PMI 1.2 ---- */

typedef int group_function(const int *, int, const char *);

#define GROUP_WORLD ((const int *)0)
#define GROUP_SELF ((const int *)1)
#define GROUP_NODE ((const int *)2)

/* What the others have put can be got after a barrier with them. */
static void group_meets(const char *name, group_function *barrier,
                        const int *group, int count, const char *tag, int peer)
{
    char key[64], buf[64] = "";

    snprintf(key, sizeof key, "group-%s-%d", name, self.rank);
    put(key, "value");
    PMI_KVS_Commit(kvs);
    code_good(name, barrier(group, count, tag));
    snprintf(key, sizeof key, "group-%s-%d", name, peer);
    code_good(name, get(key, buf, sizeof buf));
}

/* A server of 1.1 has none: then the barrier of SELF says so, by its code. */
static void test_groups(void)
{
    group_function *barrier =
        (group_function *)optional("barrier", "PMI_Barrier_group");
    int pair[2] = {0, self.size - 1}, code;

    if (barrier == NULL)
        return;
    meet_neighbours();
    code = barrier(GROUP_SELF, 0, NULL);
    code_any("self", code);
    if (code != 0)
        return;
    group_meets("world", barrier, GROUP_WORLD, 0, NULL,
                (self.rank + 1) % self.size);
    group_meets("node", barrier, GROUP_NODE, 0, "7", self.local_ranks[0]);
    if (self.rank == pair[0] || self.rank == pair[1])
        group_meets("pair", barrier, pair, self.size > 1 ? 2 : 1, "9",
                    self.rank == pair[0] ? pair[1] : pair[0]);
    group_meets("alone", barrier, &self.rank, 1, "11", self.rank);
}

struct meeting {
    pthread_t thread;
    group_function *barrier;
    int number, good;
};

/* Each number is a barrier of its own, to which threads come in any order. */
static void *meets_again(void *data)
{
    struct meeting *meeting = data;
    int pair[2] = {0, self.size - 1};
    int peer = self.rank == pair[0] ? pair[1] : pair[0];
    char key[64], buf[64], tag[16];

    snprintf(tag, sizeof tag, "%d", meeting->number);
    for (int i = 0; i < MEETINGS; i++) {
        snprintf(key, sizeof key, "meet-%d-%d-%d", meeting->number, i,
                 self.rank);
        put(key, "value");
        meeting->barrier(pair, self.size > 1 ? 2 : 1, tag);
        snprintf(key, sizeof key, "meet-%d-%d-%d", meeting->number, i, peer);
        meeting->good += get(key, buf, sizeof buf) == 0;
    }
    return NULL;
}

/* While all meet in the barrier without a group. */
static void test_group_threads(void)
{
    struct meeting meetings[4];
    group_function *barrier =
        (group_function *)optional("barrier", "PMI_Barrier_group");
    bool in_pair = self.rank == 0 || self.rank == self.size - 1;
    int good = 0, fenced = 0;

    if (barrier == NULL || barrier(GROUP_SELF, 0, NULL) != 0)
        return;
    for (int i = 0; i < 4 && in_pair; i++) {
        meetings[i] = (struct meeting){.barrier = barrier, .number = i};
        pthread_create(&meetings[i].thread, NULL, meets_again, &meetings[i]);
    }
    for (int i = 0; i < MEETINGS; i++)
        fenced += fence() == 0;
    for (int i = 0; i < 4 && in_pair; i++) {
        pthread_join(meetings[i].thread, NULL);
        good += meetings[i].good;
    }
    number_is("fences", fenced, MEETINGS);
    if (in_pair)
        number_is("groups", good, 4 * MEETINGS);
}

/* ---- spawn ---- */

static int spawn(const char *kind, const char *args, int errors[3])
{
    char *path = strdup(own_path());
    const char *commands[2] = {path, path};
    const char *first[] = {"child", kind, "first", args, "two words", NULL};
    const char *second[] = {"child", kind, "second", NULL};
    const char **argvs[2] = {first, second};
    int procs[2] = {2, 1}, info_counts[2] = {0, 0};
    const PMI_keyval_t *infos[2] = {NULL, NULL};
    PMI_keyval_t preput[2] = {{(char *)"conform-parent", kvs},
                              {(char *)"conform-word", (char *)"a=word"}};

    return PMI_Spawn_multiple(2, commands, argvs, procs, info_counts, infos, 2,
                              preput, errors);
}

static void test_spawn(void)
{
    int errors[3] = {-9, -9, -9};

    if (self.rank == 0) {
        code_good("code", spawn("spawn", "a=b", errors));
        check(errors[0] == 0 && errors[1] == 0 && errors[2] == 0, "errors",
              "%d %d %d", errors[0], errors[1], errors[2]);
    }
    fence();
}

static int spawn_missing(void)
{
    const char *commands[] = {"/conform/no/such/program"}, *none[] = {NULL};
    const char **argvs[] = {none};
    int zero = 0, one = 1, error = 0;

    return PMI_Spawn_multiple(1, commands, argvs, &one, &zero, NULL, 0, NULL,
                              &error);
}

/* ---- NULL ---- */

static char room[64];
static int number;

CALL(initialized, PMI_Initialized(NULL))
CALL(rank, PMI_Get_rank(NULL))
CALL(size, PMI_Get_size(NULL))
CALL(universe, PMI_Get_universe_size(NULL))
CALL(appnum, PMI_Get_appnum(NULL))
CALL(clique_size, PMI_Get_clique_size(NULL))
CALL(clique_ranks, PMI_Get_clique_ranks(NULL, 4))
CALL(id, PMI_Get_id(NULL, 64))
CALL(id_zero, PMI_Get_id(room, 0))
CALL(id_max, PMI_Get_id_length_max(NULL))
CALL(domain, PMI_Get_kvs_domain_id(NULL, 64))
CALL(name, PMI_KVS_Get_my_name(NULL, 64))
CALL(name_zero, PMI_KVS_Get_my_name(room, 0))
CALL(name_max, PMI_KVS_Get_name_length_max(NULL))
CALL(key_max, PMI_KVS_Get_key_length_max(NULL))
CALL(value_max, PMI_KVS_Get_value_length_max(NULL))
CALL(create, PMI_KVS_Create(NULL, 64))
CALL(destroy, PMI_KVS_Destroy(NULL))
CALL(put_kvs, PMI_KVS_Put(NULL, "k", "v"))
CALL(put_key, PMI_KVS_Put(kvs, NULL, "v"))
CALL(put_value, PMI_KVS_Put(kvs, "k", NULL))
CALL(commit, PMI_KVS_Commit(NULL))
CALL(get_kvs, PMI_KVS_Get(NULL, "conform-there", room, 64))
CALL(get_key, PMI_KVS_Get(kvs, NULL, room, 64))
CALL(get_value, PMI_KVS_Get(kvs, "conform-there", NULL, 64))
CALL(get_zero, PMI_KVS_Get(kvs, "conform-there", room, 0))
CALL(get_negative, PMI_KVS_Get(kvs, "conform-there", room, -1))
CALL(iterate_kvs, PMI_KVS_Iter_first(NULL, room, 64, room, 64))
CALL(iterate_key, PMI_KVS_Iter_first(kvs, NULL, 64, room, 64))
CALL(publish_name, PMI_Publish_name(NULL, "p"))
CALL(publish_port, PMI_Publish_name("s", NULL))
CALL(lookup_name, PMI_Lookup_name(NULL, room))
CALL(lookup_port, PMI_Lookup_name("s", NULL))
CALL(unpublish, PMI_Unpublish_name(NULL))
CALL(spawn_commands,
     PMI_Spawn_multiple(1, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL))
CALL(spawn_none,
     PMI_Spawn_multiple(0, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL))
CALL(options, PMI_Get_options(NULL, &number))
CALL(options_length, PMI_Get_options(room, NULL))
CALL(parse, PMI_Parse_option(1, NULL, NULL, NULL, NULL))
CALL(args, PMI_Args_to_keyval(NULL, NULL, NULL, NULL))
CALL(free_keyvals, PMI_Free_keyvals(NULL, 1))
CALL(free_none, PMI_Free_keyvals(NULL, 0))

static const struct conform_call null_calls[] = {
    {"initialized", null_initialized, true},
    {"rank", null_rank, true},
    {"size", null_size, true},
    {"universe", null_universe, true},
    {"appnum", null_appnum, true},
    {"clique-size", null_clique_size, true},
    {"clique-ranks", null_clique_ranks, true},
    {"id", null_id, true},
    {"id-zero", null_id_zero, true},
    {"id-max", null_id_max, true},
    {"domain", null_domain, true},
    {"name", null_name, true},
    {"name-zero", null_name_zero, true},
    {"name-max", null_name_max, true},
    {"key-max", null_key_max, true},
    {"value-max", null_value_max, true},
    {"create", null_create, true},
    {"destroy", null_destroy, true},
    {"put-kvs", null_put_kvs, true},
    {"put-key", null_put_key, true},
    {"put-value", null_put_value, true},
    {"commit", null_commit, true},
    {"get-kvs", null_get_kvs, true},
    {"get-key", null_get_key, true},
    {"get-value", null_get_value, true},
    {"get-zero", null_get_zero, true},
    {"get-negative", null_get_negative, true},
    {"iterate-kvs", null_iterate_kvs, true},
    {"iterate-key", null_iterate_key, true},
    {"publish-name", null_publish_name, true},
    {"publish-port", null_publish_port, true},
    {"lookup-name", null_lookup_name, true},
    {"lookup-port", null_lookup_port, true},
    {"unpublish", null_unpublish, true},
    {"spawn-commands", null_spawn_commands, true},
    {"spawn-none", null_spawn_none, false},
    {"options", null_options, true},
    {"options-length", null_options_length, true},
    {"parse", null_parse, true},
    {"args", null_args, true},
    {"free-keyvals", null_free_keyvals, false},
    {"free-none", null_free_none, false},
    {.name = NULL},
};

/* One rank asks, since what crashes may leave half a question on the wire. */
static void test_null(void)
{
    begin_well();
    if (self.rank == 0)
        put("conform-there", "value");
    fence();
    if (self.rank == 0)
        try_calls(null_calls);
    finalize_well();
}

/* ---- all ---- */

static void ask_abort(void)
{
    PMI_Abort(7, "conform aborts");
}

static void barrier(void)
{
    fence();
}

static int lookup(const char *name, char *buf, int size)
{
    (void)size; /* PMI has no word for it */
    return PMI_Lookup_name(name, buf);
}

static const struct conform_api api = {
    .last_code = "ERR_INVALID_KVS",
    .begin = begin,
    .finalize = PMI_Finalize,
    .abort = ask_abort,
    .put = put,
    .fence = fence,
    .barrier = barrier,
    .get = get,
    .mapping = mapping,
    .port = "port=1:2",
    .publish = PMI_Publish_name,
    .lookup = lookup,
    .unpublish = PMI_Unpublish_name,
    .spawn_missing = spawn_missing,
};

static const struct conform_test tests[] = {
    {"before", BEFORE, test_before},
    {"ids", DURING, test_ids},
    {"iterate", DURING, test_iterate}, /* keys of `keys` would end it */
    {"values", DURING, test_values},
    {"keys", DURING, test_keys},
    {"missing", DURING, test_missing},
    {"again", DURING, test_again},
    {"many", DURING, test_many},
    {"fences", DURING, test_fences},
    {"get", DURING, test_get},
    {"create", DURING, test_create},
    {"mapping", DURING, test_mapping},
    {"clique", DURING, test_clique},
    {"options", DURING, test_options},
    {"groups", DURING, test_groups},
    {"threads", DURING, test_threads},
    {"fork", DURING, test_fork},
    {"after", AFTER, test_after},
    {"limits", ASKED, test_limits},
    {"group-threads", ASKED, test_group_threads},
    {"names", ASKED, test_names},
    {"fork-get", ASKED, test_fork_get},
    {"spawn", ASKED, test_spawn},
    {"spawn-bad", ASKED, test_spawn_bad},
    {"reinit", ALONE, test_reinit},
    {"abort", ALONE, test_abort},
    {"fork-finalize", ALONE, test_fork_finalize},
    {"null", ALONE, test_null},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    self.api = &api;
    return conform_main(argc, argv, tests, test_init, test_finalize);
}
