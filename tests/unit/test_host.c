#include "host/adapter.h"
#include "host/base64.h"
#include "host/host.h"
#include "ranks.h"

/* ---- base64 ---- */

START_TEST(base64_there_and_back)
{
    unsigned char bytes[300], back[300];
    char text[BASE64_LENGTH(300) + 1];
    size_t len = (size_t)_i;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 37 + len);
    base64_encode(bytes, len, text);
    ck_assert_uint_eq(strlen(text), BASE64_LENGTH(len));
    ck_assert_uint_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789-_"),
                      strlen(text));
    ck_assert_int_eq(base64_decode(text, strlen(text), back, len),
                     (ssize_t)len);
    ck_assert_mem_eq(back, bytes, len);
    if (len > 0)
        ck_assert_int_eq(base64_decode(text, strlen(text), back, len - 1), -1);
}
END_TEST

static const struct {
    const char *text;
    const char *bytes; /* NULL: refused */
} base64_texts[] = {
    {"", ""},
    {"Zm9vYmFy", "foobar"},
    {"Zm9vYmE", "fooba"},
    {"-_-_", "\xfb\xff\xbf"},
    {"Z", NULL},
    {"Zm9vY", NULL},
    {"Zm9=", NULL},
    {"Zm+v", NULL},
    {"Zm v", NULL},
    {"Zh", NULL}, /* bits beyond the byte */
};

START_TEST(base64_text)
{
    const char *text = base64_texts[_i].text, *want = base64_texts[_i].bytes;
    char bytes[16];
    ssize_t len = base64_decode(text, strlen(text), bytes, sizeof bytes);

    ck_assert_int_eq(len, want != NULL ? (ssize_t)strlen(want) : -1);
    if (want != NULL)
        ck_assert_mem_eq(bytes, want, strlen(want));
}
END_TEST

/* ---- which host ---- */

enum { SOCKET_FD = 200, NO_FD = 201 };

static const struct {
    const char *env[8];
    const char *name, *chosen;
    const char *refused[3];
} choices[] = {
    {{"HOME=/", NULL},
     NULL,
     NULL,
     {"pmix: PMIX_NAMESPACE is not set", "pmi2: PMI_FD is not set",
      "pmi1: PMI_FD is not set"}},
    /* Hydra */
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "MPI_LOCALRANKID=0", NULL},
     NULL,
     "pmi1",
     {"pmix: ", "pmi2: not under srun --mpi=pmi2"}},
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", NULL}, "pmi2", "pmi2", {NULL}},
    {{"PMI_PORT=h:1", "PMI_ID=0", NULL},
     NULL,
     "pmi1",
     {"pmix: ", "pmi2: PMI_FD is not set"}},
    /* Slurm */
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "PMI_JOBID=1.0",
      "SLURM_STEP_ID=0", "SLURM_MPI_TYPE=pmi2", NULL},
     NULL,
     "pmi2",
     {"pmix: "}},
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "PMI_JOBID=1.0",
      "SLURM_STEP_ID=0", NULL},
     NULL,
     "pmi2",
     {"pmix: "}},
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "PMI_JOBID=1.0",
      "SLURM_STEP_ID=0", NULL},
     "pmi1",
     "pmi1",
     {NULL}},
    /* Hydra within Slurm */
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "PMI_JOBID=1.0",
      "SLURM_STEP_ID=0", "SLURM_MPI_TYPE=pmi2", "MPI_LOCALRANKID=0", NULL},
     NULL,
     "pmi1",
     {"pmix: ", "pmi2: not under"}},
    {{"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=2", "SLURM_STEP_ID=0",
      "SLURM_MPI_TYPE=none", NULL},
     NULL,
     "pmi1",
     {"pmix: ", "pmi2: not under"}},
    /* what has been lost on the way */
    {{"PMI_FD=201", "PMI_RANK=0", "PMI_SIZE=2", NULL},
     "pmi2",
     NULL,
     {"pmi2: PMI_FD is 201, which is not open"}},
    {{"PMI_FD=200", "PMI_SIZE=2", NULL},
     "pmi1",
     NULL,
     {"pmi1: PMI_RANK is not set"}},
    {{"PMI_FD=200", "PMI_RANK=0", NULL},
     "pmi1",
     NULL,
     {"pmi1: PMI_SIZE is not set"}},
    {{"PMI_FD=200", "PMI_RANK=0", NULL}, "pmi2", "pmi2", {NULL}},
    {{"PMI_FD=200", NULL}, "pmi3", NULL, {"pmi3: there is no such host"}},
};

START_TEST(choice)
{
    const struct host_adapter *chosen;
    struct strv refused = {0};
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(dup2(pair[0], SOCKET_FD), SOCKET_FD);
    close(NO_FD);
    chosen =
        host_choose((char *const *)choices[_i].env, choices[_i].name, &refused);
    ck_assert_int_eq(chosen != NULL, choices[_i].chosen != NULL);
    if (chosen != NULL)
        ck_assert_str_eq(host_adapter_name(chosen), choices[_i].chosen);
    for (size_t i = 0; i < refused.count; i++) {
        ck_assert_uint_lt(i, 3);
        ck_assert_ptr_nonnull(choices[_i].refused[i]);
        ck_assert_msg(starts_with(refused.items[i], choices[_i].refused[i]),
                      "%s", refused.items[i]);
    }
    ck_assert(refused.count == 3 || choices[_i].refused[refused.count] == NULL);
    strv_clear(&refused);
}
END_TEST

/* ---- an adapter of lies: rank 1, and what the others put is in a table ----
 */

struct fake {
    struct adapter_facts facts;
    const char *table[16][2]; /* key, value */
    unsigned fences, closed;
    int aborted;     /* exit code */
    struct strv put; /* as an environment */
};

/* Hosts are asked by env alone, so it is there that the fake one stands. */
static void *fake_open(char *const *env, struct adapter_facts *ret,
                       struct ct_error *reterr)
{
    struct fake *fake = NULL;

    sscanf(env[0], "FAKE=%p", (void **)&fake);
    if (fake->facts.size == 77) {
        ct_fail(reterr, EIO, "it does not open");
        return NULL;
    }
    *ret = fake->facts;
    return fake;
}

static int fake_put(void *adapter, const char *key, const char *value,
                    struct ct_error *reterr)
{
    struct fake *fake = adapter;

    (void)reterr;
    ck_assert_uint_lt(strlen(key), ADAPTER_KEY_SIZE);
    ck_assert_uint_le(strlen(value), ADAPTER_VALUE_MAX);
    ck_assert_uint_gt(strlen(value), 0);
    ck_assert_ptr_null(strv_env_get(&fake->put, key));
    return strv_env_setf(&fake->put, "%s=%s", key, value);
}

static int fake_fence(void *adapter, struct ct_error *reterr)
{
    struct fake *fake = adapter;

    (void)reterr;
    fake->fences++;
    return 0;
}

static int fake_get(void *adapter, unsigned rank, const char *key, char *buf,
                    size_t size, bool *found, struct ct_error *reterr)
{
    struct fake *fake = adapter;
    const char *value = strv_env_get(&fake->put, key);

    (void)reterr;
    ck_assert_uint_lt(rank, fake->facts.size);
    for (int i = 0; value == NULL && fake->table[i][0] != NULL; i++)
        if (strcmp(fake->table[i][0], key) == 0)
            value = fake->table[i][1];
    *found = value != NULL;
    if (value != NULL)
        ck_assert_uint_lt((size_t)snprintf(buf, size, "%s", value), size);
    return 0;
}

static int fake_close(void *adapter, struct ct_error *reterr)
{
    struct fake *fake = adapter;

    fake->closed++;
    strv_clear(&fake->put);
    return fake->facts.appnum == 99 ? ct_fail(reterr, EIO, "no leave") : 0;
}

static void fake_abort(void *adapter, int exitcode)
{
    struct fake *fake = adapter;

    fake->aborted = exitcode;
    strv_clear(&fake->put);
}

static const struct host_adapter fake_host = {
    .name = "fake",
    .open = fake_open,
    .put = fake_put,
    .fence = fake_fence,
    .get = fake_get,
    .close = fake_close,
    .abort = fake_abort,
};

static struct host_conn *fake_start(struct fake *fake, struct ct_error *err)
{
    char text[40];
    char *env[] = {text, NULL};

    snprintf(text, sizeof text, "FAKE=%p", (void *)fake);
    return host_open(&fake_host, env, err);
}

static unsigned *nodes(unsigned count, const unsigned *list)
{
    unsigned *copy = calloc(count, sizeof *copy);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, list, count * sizeof *copy);
    return copy;
}

static const struct {
    unsigned size;
    unsigned told[8], want[8], count;
} maps[] = {
    {1, {0}, {0}, 1},
    {2, {4000000000U, 4000000000U}, {0, 0}, 1},
    {6, {5, 5, 2, 2, 9, 9}, {0, 0, 1, 1, 2, 2}, 3},
    {6, {1, 0, 1, 0, 1, 0}, {0, 1, 0, 1, 0, 1}, 2},
    {8, {7, 6, 5, 4, 3, 2, 1, 0}, {0, 1, 2, 3, 4, 5, 6, 7}, 8},
    {8, {3, 1, 3, 0, 1, 3, 0, 2}, {0, 1, 0, 2, 1, 0, 2, 3}, 4},
};

START_TEST(nodes_are_renumbered)
{
    struct fake fake = {.facts = {.id = "j.1",
                                  .size = maps[_i].size,
                                  .rank = maps[_i].size - 1,
                                  .appnum = 3}};
    struct ct_error err;
    struct host_conn *conn;

    fake.facts.node_of = nodes(maps[_i].size, maps[_i].told);
    conn = fake_start(&fake, &err);
    ck_assert_ptr_nonnull(conn);
    ck_assert_str_eq(host_job(conn)->id, "j.1");
    ck_assert_uint_eq(host_job(conn)->rank, maps[_i].size - 1);
    ck_assert_uint_eq(host_job(conn)->appnum, 3);
    ck_assert_uint_eq(host_job(conn)->node_count, maps[_i].count);
    ck_assert_mem_eq(host_job(conn)->node_of, maps[_i].want,
                     maps[_i].size * sizeof(unsigned));
    ck_assert_uint_eq(fake.fences, 0);
    ck_assert_int_eq(host_close(conn, &err), 0);
    ck_assert_uint_eq(fake.closed, 1);
}
END_TEST

START_TEST(impossible_facts)
{
    static const unsigned rank_size[][2] = {
        {0, 0}, {1, 1}, {7, 3}, {0, 1000001}};
    struct fake fake = {
        .facts = {.rank = rank_size[_i][0], .size = rank_size[_i][1]}};
    struct ct_error err = {0};

    ck_assert_ptr_null(fake_start(&fake, &err));
    ck_assert_int_eq(err.code, EINVAL);
    ck_assert(starts_with(err.text, "fake: the host says: rank "));
    ck_assert_uint_eq(fake.closed, 0);
    ck_assert_int_eq(fake.aborted, 1);
}
END_TEST

START_TEST(no_open_and_no_leave)
{
    struct fake fake = {.facts = {.size = 77}};
    struct ct_error err = {0};
    struct host_conn *conn;

    ck_assert_ptr_null(fake_start(&fake, &err));
    ck_assert_str_eq(err.text, "fake: it does not open");
    ck_assert_uint_eq(fake.closed, 0);

    fake.facts.size = 1;
    fake.facts.appnum = 99;
    conn = fake_start(&fake, &err);
    ck_assert_ptr_nonnull(conn);
    ck_assert_int_eq(host_close(conn, &err), -1);
    ck_assert_str_eq(err.text, "no leave");
    ck_assert_int_eq(host_close(NULL, &err), 0);
}
END_TEST

START_TEST(abort_is_no_leave)
{
    struct fake fake = {.facts = {.size = 1}};
    struct ct_error err = {0};
    struct host_conn *conn = fake_start(&fake, &err);

    ck_assert_ptr_nonnull(conn);
    host_give_up(conn, 3);
    ck_assert_uint_eq(fake.closed, 0);
    ck_assert_int_eq(fake.aborted, 3);
    host_give_up(NULL, 1);
}
END_TEST

START_TEST(places_are_compared)
{
    struct fake fake = {.facts = {.rank = 1, .size = 5},
                        .table = {{"ctrun-at-0", "x"},
                                  {"ctrun-at-2", "x"},
                                  {"ctrun-at-3", "y"},
                                  {"ctrun-at-4", "x"}}};
    static const unsigned want[] = {0, 1, 0, 2, 0};
    struct ct_error err = {0};
    struct host_conn *conn = fake_start(&fake, &err);

    ck_assert_msg(conn != NULL, "%s", err.text);
    ck_assert_uint_eq(fake.fences, 1);
    ck_assert_uint_eq(host_job(conn)->node_count, 3);
    ck_assert_mem_eq(host_job(conn)->node_of, want, sizeof want);
    ck_assert_int_eq(host_exchange(conn, "", 0, &err), 0);
    ck_assert_uint_eq(fake.fences, 2);
    host_close(conn, NULL);

    fake.table[2][0] = "elsewhere";
    ck_assert_ptr_null(fake_start(&fake, &err));
    ck_assert_str_eq(err.text, "fake: rank 3 does not say where it is");
}
END_TEST

static const struct {
    const char *table[3][2];
    const char *blob; /* NULL: refused */
} blobs[] = {
    {{{NULL, NULL}}, ""},
    {{{"ctrun-0", "1-Zm9vYmFy"}}, "foobar"},
    {{{"ctrun-0", "2-Zm9v"}, {"ctrun-0-1", "YmFy"}}, "foobar"},
    {{{"ctrun-0", "2-Zm9v"}}, NULL},
    {{{"ctrun-0", "Zm9v"}}, NULL},
    {{{"ctrun-0", "0-Zm9v"}}, NULL},
    {{{"ctrun-0", "20-Zm9v"}}, NULL},
    {{{"ctrun-0", "-Zm9v"}}, NULL},
    {{{"ctrun-0", "1-"}}, NULL},
    {{{"ctrun-0", "1-Zm9vY"}}, NULL},
    {{{"ctrun-0", "1-Zm9v Y"}}, NULL},
};

START_TEST(blob_of_another)
{
    static const unsigned one[2] = {0, 0};
    struct fake fake = {.facts = {.rank = 1, .size = 2}};
    struct ct_error err = {0};
    struct host_conn *conn;
    void *blob = &fake;
    size_t len = 12345;

    memcpy(fake.table, blobs[_i].table, sizeof blobs[_i].table);
    fake.facts.node_of = nodes(2, one);
    conn = fake_start(&fake, &err);
    ck_assert_ptr_nonnull(conn);
    if (blobs[_i].blob == NULL) {
        ck_assert_int_eq(host_blob(conn, 0, &blob, &len, &err), -1);
        ck_assert_str_eq(err.text, "what rank 0 has put is garbled");
        ck_assert(blob == &fake && len == 12345);
    } else {
        ck_assert_int_eq(host_blob(conn, 0, &blob, &len, &err), 0);
        ck_assert_uint_eq(len, strlen(blobs[_i].blob));
        if (len == 0)
            ck_assert_ptr_null(blob);
        else
            ck_assert_mem_eq(blob, blobs[_i].blob, len);
        free(blob);
    }
    ck_assert_int_eq(host_blob(conn, 2, &blob, &len, &err), -1);
    host_close(conn, NULL);
}
END_TEST

static void fill(unsigned char *blob, size_t len, unsigned rank)
{
    for (size_t i = 0; i < len; i++)
        blob[i] = (unsigned char)(i * 131 + i / 256 + rank);
}

static void expect_blob(struct host_conn *conn, unsigned rank, size_t len)
{
    unsigned char want[HOST_BLOB_MAX];
    struct ct_error err = {0};
    void *blob;
    size_t got;

    fill(want, len, rank);
    ck_assert_msg(host_blob(conn, rank, &blob, &got, &err) == 0, "%s",
                  err.text);
    ck_assert_uint_eq(got, len);
    if (len == 0)
        ck_assert_ptr_null(blob);
    else
        ck_assert_mem_eq(blob, want, len);
    free(blob);
}

static const size_t blob_sizes[] = {0,   1,    2,    446,  447,          448,
                                    600, 1000, 4096, 8191, HOST_BLOB_MAX};

START_TEST(own_blob_comes_back)
{
    static const unsigned one[2] = {0, 0};
    struct fake fake = {.facts = {.rank = 1, .size = 2}};
    unsigned char blob[HOST_BLOB_MAX + 1];
    struct ct_error err = {0};
    struct host_conn *conn;

    fake.facts.node_of = nodes(2, one);
    conn = fake_start(&fake, &err);
    ck_assert_ptr_nonnull(conn);
    fill(blob, blob_sizes[_i], 1);
    ck_assert_int_eq(host_exchange(conn, blob, HOST_BLOB_MAX + 1, &err), -1);
    ck_assert_int_eq(err.code, EMSGSIZE);
    ck_assert_uint_eq(fake.fences, 0);
    ck_assert_int_eq(host_exchange(conn, blob, blob_sizes[_i], &err), 0);
    expect_blob(conn, 1, blob_sizes[_i]);
    expect_blob(conn, 0, 0);
    host_close(conn, NULL);
}
END_TEST

/* ---- with our own server, by the real adapters ---- */

static size_t size_of(unsigned rank)
{
    static const size_t sizes[] = {0, 1, 600, HOST_BLOB_MAX};

    return sizes[rank % 4];
}

/* Returns when it has left. want: the node of each rank. */
static void exchange(const struct host_adapter *adapter, unsigned rank,
                     unsigned size, int fd, unsigned nodes_wanted)
{
    struct strv env = {0};
    unsigned char blob[HOST_BLOB_MAX];
    struct ct_error err = {0};
    struct host_conn *conn;

    strv_env_setf(&env, "PMI_FD=%d", fd);
    strv_env_setf(&env, "PMI_RANK=%u", rank);
    strv_env_setf(&env, "PMI_SIZE=%u", size);
    conn = host_open(adapter, strv_list(&env), &err);
    ck_assert_msg(conn != NULL, "%s", err.text);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_uint_eq(host_job(conn)->rank, rank);
    ck_assert_uint_eq(host_job(conn)->size, size);
    ck_assert_str_eq(host_job(conn)->id, "7.0");
    ck_assert_uint_eq(host_job(conn)->node_count, nodes_wanted);
    ck_assert_uint_eq(host_job(conn)->node_of[size - 1], 0);
    fill(blob, size_of(rank), rank);
    ck_assert_msg(host_exchange(conn, blob, size_of(rank), &err) == 0, "%s",
                  err.text);
    for (unsigned r = 0; r < size; r++)
        expect_blob(conn, r, size_of(r));
    ck_assert_msg(host_close(conn, &err) == 0, "%s", err.text);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    strv_clear(&env);
}

static void rank_of_pmi1(unsigned rank, unsigned size, int fd)
{
    exchange(&host_pmi1, rank, size, fd, 1);
}

static void rank_of_pmi2(unsigned rank, unsigned size, int fd)
{
    exchange(&host_pmi2, rank, size, fd, 1);
}

/* A host that does not tell the node map. */
static void *blind(const struct host_adapter *adapter, char *const *env,
                   struct adapter_facts *ret, struct ct_error *reterr)
{
    void *state = adapter->open(env, ret, reterr);

    if (state != NULL) {
        free(ret->node_of);
        ret->node_of = NULL;
    }
    return state;
}

static void *blind_1(char *const *env, struct adapter_facts *ret,
                     struct ct_error *reterr)
{
    return blind(&host_pmi1, env, ret, reterr);
}

static void *blind_2(char *const *env, struct adapter_facts *ret,
                     struct ct_error *reterr)
{
    return blind(&host_pmi2, env, ret, reterr);
}

static void rank_of_blind(unsigned rank, unsigned size, int fd)
{
    struct host_adapter adapter = rank % 2 == 0 ? host_pmi1 : host_pmi2;

    adapter.open = rank % 2 == 0 ? blind_1 : blind_2;
    exchange(&adapter, rank, size, fd, 1);
}

static rank_main *const mains[] = {rank_of_pmi1, rank_of_pmi2, rank_of_blind};

START_TEST(real_exchange)
{
    struct host *host = host_new(_i < COUNT(mains) ? 6 : 1);

    ranks_run(host, mains[_i % COUNT(mains)]);
    ck_assert_uint_eq(host->faults, 0);
    for (unsigned i = 0; i < host->count; i++)
        ck_assert_int_eq(ctpmi_client_state(host->ranks[i].client),
                         CTPMI_FINALIZED);
    host_free(host);
}
END_TEST

/* Rank 1 gives up; the server's host would now end those that wait. */
static void give_up(const struct host_adapter *adapter, unsigned rank,
                    unsigned size, int fd)
{
    struct strv env = {0};
    struct ct_error err = {0};
    struct host_conn *conn;

    strv_env_setf(&env, "PMI_FD=%d", fd);
    strv_env_setf(&env, "PMI_RANK=%u", rank);
    strv_env_setf(&env, "PMI_SIZE=%u", size);
    conn = host_open(adapter, strv_list(&env), &err);
    ck_assert_msg(conn != NULL, "%s", err.text);
    if (rank == 1)
        host_give_up(conn, 3);
    else
        host_close(conn, &err);
    strv_clear(&env);
}

static void give_up_1(unsigned rank, unsigned size, int fd)
{
    give_up(&host_pmi1, rank, size, fd);
}

static void give_up_2(unsigned rank, unsigned size, int fd)
{
    give_up(&host_pmi2, rank, size, fd);
}

START_TEST(real_abort)
{
    struct host *host = host_new(2);

    ranks_run(host, _i == 0 ? give_up_1 : give_up_2);
    ck_assert_uint_eq(host->aborts, 1);
    ck_assert_uint_eq(host->abort[0].rank, 1);
    ck_assert_int_eq(host->abort[0].code, 3);
    host_free(host);
}
END_TEST

/* It must not be left open for who comes after us. */
START_TEST(failure_closes_the_socket)
{
    const struct host_adapter *adapter = _i == 0 ? &host_pmi1 : &host_pmi2;
    struct strv env = {0};
    struct ct_error err = {0};
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(send(pair[0], "rubbish\n", 8, 0), 8);
    strv_env_setf(&env, "PMI_FD=%d", pair[1]);
    strv_env_setf(&env, "PMI_RANK=0");
    strv_env_setf(&env, "PMI_SIZE=1");
    ck_assert_ptr_null(host_open(adapter, strv_list(&env), &err));
    ck_assert_int_eq(err.code, EPROTO);
    ck_assert(starts_with(err.text, adapter->name));
    ck_assert_int_eq(fcntl(pair[1], F_GETFD), -1);
    strv_clear(&env);
    close(pair[0]);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, base64_there_and_back, 0, 20);
    tcase_add_loop_test(tc, base64_there_and_back, 298, 301);
    tcase_add_loop_test(tc, base64_text, 0, COUNT(base64_texts));
    tcase_add_loop_test(tc, choice, 0, COUNT(choices));
    tcase_add_loop_test(tc, nodes_are_renumbered, 0, COUNT(maps));
    tcase_add_loop_test(tc, impossible_facts, 0, 4);
    tcase_add_test(tc, no_open_and_no_leave);
    tcase_add_test(tc, abort_is_no_leave);
    tcase_add_test(tc, places_are_compared);
    tcase_add_loop_test(tc, blob_of_another, 0, COUNT(blobs));
    tcase_add_loop_test(tc, own_blob_comes_back, 0, COUNT(blob_sizes));
    tcase_add_loop_test(tc, real_exchange, 0, 2 * COUNT(mains));
    tcase_add_loop_test(tc, real_abort, 0, 2);
    tcase_add_loop_test(tc, failure_closes_the_socket, 0, 2);
}

int main(void)
{
    return run_suite("host", add_tests);
}
