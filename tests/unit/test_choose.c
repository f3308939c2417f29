/*
 * Environments, the servers that they name, and whom libpmi talks to then.
 */
#include "client/abi/choose.h"
#include "ranks.h"

#include <arpa/inet.h>
#include <sys/mman.h>

/* ---- what was told ---- */

static char told[4096];

static void tell(const char *line)
{
    size_t len = strlen(told);

    ck_assert_ptr_null(strchr(line, '\n'));
    snprintf(told + len, sizeof told - len, "%s\n", line);
}

/* ---- servers ---- */

#define NO "cmd=response_to_init rc=-1 msg=go_away\n"
#define FACTS1                                                                 \
    "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024\n"                \
    "cmd=appnum rc=0 appnum=0\ncmd=universe_size rc=0 size=4\n"                \
    "cmd=my_kvsname rc=0 kvsname=7.0\n"
#define YES12                                                                  \
    "cmd=response_to_init pmi_version=1 pmi_subversion=2 rc=0\n" FACTS1
#define YES1 "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n" FACTS1
#define YES2                                                                   \
    "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n"               \
    "    50cmd=fullinit-response;rc=0;rank=1;size=4;appnum=0;"                 \
    "    38cmd=job-getid-response;rc=0;jobid=7.0;"

#define ASK12 "cmd=init pmi_version=1 pmi_subversion=2\n"
#define ASK1 "cmd=init pmi_version=1 pmi_subversion=1\n"
#define ASK2 "cmd=init pmi_version=2 pmi_subversion=0\n"

enum { SOCKET = 200, NO_SOCKET = 201, TURNS = 4 };

/* A server in another process, and what it has heard. */
struct server {
    pid_t pid;
    char *heard; /* shared with it */
};

enum { HEARD_MAX = 4096 };

static size_t hear(int fd, char *heard, size_t len)
{
    ssize_t n = read(fd, heard + len, HEARD_MAX - 1 - len);

    return n > 0 ? len + (size_t)n : 0;
}

/* To each question that begins a talk the next answer; none after the last. */
static void serve(int fd, const char *const *answers, char *heard)
{
    size_t len = 0, seen = 0;

    while (*answers != NULL && (len = hear(fd, heard, len)) > 0) {
        const char *init = strstr(heard + seen, "cmd=init");

        if (init == NULL)
            continue;
        seen = (size_t)(init - heard) + 1;
        if (send(fd, *answers, strlen(*answers), MSG_NOSIGNAL) < 0)
            _exit(1);
        answers++;
    }
    shutdown(fd, SHUT_WR);
    while ((len = hear(fd, heard, len)) > 0)
        continue;
    _exit(0);
}

static struct server start(int fd, const char *const *answers)
{
    struct server server = {
        .heard = mmap(NULL, HEARD_MAX, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0),
    };

    ck_assert(server.heard != MAP_FAILED);
    server.pid = fork();
    ck_assert_int_ge(server.pid, 0);
    if (server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(SOCKET);
        serve(fd, answers, server.heard);
    }
    return server;
}

static struct server serve_by_socket(const char *const *answers)
{
    struct server server;
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(dup2(pair[1], SOCKET), SOCKET);
    ck_assert_int_eq(dup2(open("/dev/null", O_RDONLY), NO_SOCKET), NO_SOCKET);
    close(pair[1]);
    server = start(pair[0], answers);
    close(pair[0]);
    return server;
}

/* When all have let go of the socket. */
static void end_server(const struct server *server, const char *asked)
{
    int status;

    ck_assert_int_eq(waitpid(server->pid, &status, 0), server->pid);
    ck_assert_int_eq(status, 0);
    if (asked == NULL)
        ck_assert_str_eq(server->heard, "");
    else
        ck_assert_msg(starts_with(server->heard, asked), "%s", server->heard);
}

/* ---- where no server is ---- */

/* Who is talked to; NULL: nobody, and that is wrong. What is told. */
static void check(const char *name, const char *words, struct client *client,
                  const struct ct_error *error)
{
    if (name == NULL) {
        ck_assert_ptr_null(client);
        ck_assert_int_eq(error->code, ENOTCONN);
        tell(error->text); /* the last word */
    } else {
        ck_assert_msg(client != NULL, "%s%s", told, error->text);
        ck_assert_str_eq(client_name(client), name);
    }
    ck_assert_msg(strstr(told, words) != NULL, "no '%s' in '%s'", words, told);
}

static const struct {
    const char *env[4], *name, *told;
} unserved[] = {
    /* nobody has started us */
    {{NULL}, "nobody", "PMI: PMI_FD is not set\n"},
    {{NULL}, "nobody", "PMIx: PMIX_RANK is not set\n"},
    {{NULL}, "nobody", "nobody: chosen: rank 0 of 1\n"},
    {{"PMI_RANK=0"}, "nobody", "chosen"},
    {{"PMI_SIZE=1"}, "nobody", "chosen"},
    {{"PMI_SIZE=1", "PMI_FD=4000"}, "nobody", "4000, which is not open\n"},
    {{"PMI_SIZE=x"}, "nobody", "chosen"},
    {{"SLURM_STEP_NUM_TASKS=1"}, "nobody", "chosen"},
    {{"SLURM_STEP_NUM_TASKS="}, "nobody", "chosen"},
    {{"SLURM_NTASKS=4"}, "nobody", "chosen"}, /* of a batch script */
    {{"CTRUN_PMI_REQUIRE=0"}, "nobody", "chosen"},
    /* somebody has, who offers nothing */
    {{"SLURM_STEP_NUM_TASKS=4"}, NULL, "srun has started"},
    {{"OMPI_COMM_WORLD_SIZE=2"}, NULL, "mpirun has started"},
    {{"FLUX_JOB_SIZE=2"}, NULL, "flux has started"},
    {{"PALS_SIZE=2"}, NULL, "PALS has started"},
    {{"MV2_COMM_WORLD_SIZE=2"}, NULL, "mpirun_rsh has started"},
    {{"PMI_SIZE=4", "PMI_RANK=1"}, NULL, "a PMI launcher has started"},
    {{"PMI_SIZE=1", "OMPI_COMM_WORLD_SIZE=2"}, NULL, "mpirun has started"},
    {{"PMIX_NAMESPACE=x"}, NULL, "PMIX_NAMESPACE has started"},
    {{"CTRUN_PMI_REQUIRE=1"}, NULL, "CTRUN_PMI_REQUIRE is set"},
    {{"CTRUN_PMI_REQUIRE=1", "PMI_SIZE=1"}, NULL, "PMI_REQUIRE is set"},
    /* who names what is not there */
    {{"PMI_FD=4000", "PMI_RANK=1"},
     NULL,
     "PMI: PMI_FD is 4000, which is not open\n"},
    {{"PMI_FD=201", "PMI_RANK=1"},
     NULL,
     "PMI: PMI_FD is 201, which is no socket\n"},
    {{"PMI_FD=x", "PMI_RANK=1"}, NULL, "PMI: PMI_FD is 'x', no number\n"},
    {{"PMI_FD=x", "PMI_RANK=1"}, NULL, "PMI_FD has started"},
    {{"PMI_PORT=127.0.0.1:1"}, NULL, "PMI_PORT has started"},
    {{"PMI_PORT=nonsense", "PMI_ID=0"},
     NULL,
     "PMI: 'nonsense' is not HOST:PORT\n"},
};

/* By both libraries; on success nothing is told that nobody wants to hear. */
START_TEST(without_server)
{
    char *const *env = (char *const *)unserved[_i / 2].env;
    enum choose_first first = (enum choose_first)(_i % 2);
    struct ct_error error = {0};
    struct client *client;

    ck_assert_int_eq(dup2(open("/dev/null", O_RDONLY), NO_SOCKET), NO_SOCKET);
    client = choose_client(first, env, true, tell, &error);
    check(unserved[_i / 2].name, unserved[_i / 2].told, client, &error);
    client_close(client);
    told[0] = '\0';
    client = choose_client(first, env, false, tell, &error);
    ck_assert_int_eq(told[0] == '\0', client != NULL);
    client_close(client);
}
END_TEST

/* ---- where one is ---- */

#define HYDRA "PMI_FD=200", "PMI_RANK=1", "PMI_SIZE=4"
#define SLURM HYDRA, "PMI_JOBID=7.0"
#define CTRUN SLURM, "CTRUN_RANK=1"

static const struct {
    enum choose_first first;
    const char *env[6], *answers[TURNS];
    const char *asked; /* begins what the server hears */
    const char *name, *told;
} served[] = {
    {CHOOSE_PMI1, {CTRUN}, {YES12}, ASK12, "PMI-1", "PMI-1.2: chosen\n"},
    {CHOOSE_PMI2, {CTRUN}, {YES2}, ASK2, "PMI-2", "PMI-2: chosen\n"},
    {CHOOSE_PMI1,
     {CTRUN},
     {NO, YES2},
     ASK12 ASK2,
     "PMI-2",
     "go_away (rc=-1)\nPMI-2: chosen\n"},
    {CHOOSE_PMI1,
     {CTRUN},
     {NO, NO, YES1},
     ASK12 ASK2 ASK1,
     "PMI-1",
     "PMI-1: chosen\n"},
    /* which does not survive to be asked for 1.2 */
    {CHOOSE_PMI1, {SLURM}, {YES2}, ASK2, "PMI-2", "PMI-2: chosen\n"},
    {CHOOSE_PMI1, {SLURM}, {NO, YES1}, ASK2 ASK1, "PMI-1", "PMI-1: chosen\n"},
    {CHOOSE_PMI2, {SLURM}, {YES2}, ASK2, "PMI-2", "PMI-2: chosen\n"},
    {CHOOSE_PMI2, {SLURM}, {NO, YES1}, ASK2 ASK1, "PMI-1", "PMI-1: chosen\n"},
    {CHOOSE_PMI1, {HYDRA}, {YES1}, ASK1, "PMI-1", "PMI-1: chosen\n"},
    {CHOOSE_PMI1, {HYDRA}, {NO, YES2}, ASK1 ASK2, "PMI-2", "PMI-2: chosen\n"},
    {CHOOSE_PMI2, {HYDRA}, {NO, YES1}, ASK2 ASK1, "PMI-1", "PMI-1: chosen\n"},
    /* another version than was asked for is none */
    {CHOOSE_PMI2,
     {HYDRA},
     {"cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n", YES1},
     ASK2 ASK1,
     "PMI-1",
     "PMI-2: the server does not speak PMI-2\nPMI-1: chosen\n"},
    /* of two servers the socket is the one */
    {CHOOSE_PMI2,
     {HYDRA, "PMI_PORT=127.0.0.1:1", "PMI_ID=1"},
     {YES2},
     ASK2,
     "PMI-2",
     "PMI-2: chosen\n"},
    /* nothing will do */
    {CHOOSE_PMI2, {HYDRA}, {NO, NO}, ASK2 ASK1, NULL, "launcher has started"},
    {CHOOSE_PMI2, {HYDRA}, {NULL}, ASK2 ASK1, NULL, "PMI-2: PMI-1 init: "},
    {CHOOSE_PMI2, {HYDRA}, {"what\n", NO}, ASK2 ASK1, NULL, "no PMI-1\n"},
    {CHOOSE_PMI2,
     {"PMI_FD=200", "PMI_RANK=1"},
     {NO, NO},
     ASK2,
     NULL,
     "PMI_FD has started"},
    {CHOOSE_PMI2, {"PMI_FD=200"}, {NULL}, NULL, NULL, "PMI_RANK is not set\n"},
    {CHOOSE_PMI1,
     {"PMI_FD=200", "PMI_RANK=4", "PMI_SIZE=4"},
     {NO},
     ASK2,
     NULL,
     "PMI-1: there is no rank 4 of 4\n"},
    /* but alone one is anyway */
    {CHOOSE_PMI2,
     {"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=1"},
     {NO, NO},
     ASK2 ASK1,
     "nobody",
     "nobody: chosen: rank 0 of 1\n"},
    {CHOOSE_PMI2,
     {"PMI_FD=200", "PMI_RANK=0", "PMI_SIZE=1", "CTRUN_PMI_REQUIRE=1"},
     {NO, NO},
     ASK2 ASK1,
     NULL,
     "CTRUN_PMI_REQUIRE is set"},
};

/* A client closes its socket; without one it is still the caller's. */
START_TEST(with_server)
{
    struct server server = serve_by_socket(served[_i].answers);
    struct ct_error error = {0};
    struct client *client = choose_client(
        served[_i].first, (char *const *)served[_i].env, true, tell, &error);
    bool by_wire = client != NULL && strcmp(client_name(client), "nobody") != 0;

    check(served[_i].name, served[_i].told, client, &error);
    client_close(client);
    ck_assert_int_eq(fcntl(SOCKET, F_GETFD) >= 0, !by_wire);
    close(SOCKET);
    end_server(&server, served[_i].asked);
}
END_TEST

/* Facts come from the server, or the environment. */
START_TEST(what_is_known)
{
    const char *const answers[] = {_i == CHOOSE_PMI1 ? YES1 : YES2, NULL};
    char *const env[] = {HYDRA, "PMI_SPAWNED=1", NULL};
    struct server server = serve_by_socket(answers);
    struct client *client =
        choose_client((enum choose_first)_i, env, false, tell, NULL);
    const struct client_facts *facts;

    ck_assert_ptr_nonnull(client);
    facts = client_facts(client);
    ck_assert_uint_eq(facts->rank, 1);
    ck_assert_uint_eq(facts->size, 4);
    ck_assert_str_eq(facts->jobid, "7.0");
    ck_assert(facts->spawned);
    client_close(client);
    end_server(&server, _i == CHOOSE_PMI1 ? ASK1 : ASK2);
}
END_TEST

/* ---- servers that are dialled ---- */

static int listen_somewhere(char *variable, size_t size)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
    snprintf(variable, size, "PMI_PORT=127.0.0.1:%u", ntohs(here.sin_port));
    return fd;
}

static struct server serve_by_port(int listener, const char *const *answers)
{
    struct server server = {.heard = NULL};

    server.pid = fork();
    ck_assert_int_ge(server.pid, 0);
    if (server.pid == 0) {
        char heard[HEARD_MAX] = "";
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(accept(listener, NULL, NULL), answers, heard);
    }
    return server;
}

static int lowest_free(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

#define INTRODUCED                                                             \
    "cmd=initack\ncmd=set size=9\ncmd=set rank=2\ncmd=set debug=0\n"

/* The answers to "initack" and to "init". */
static const struct {
    enum choose_first first;
    const char *answers[TURNS], *name, *told;
} dialled[] = {
    {CHOOSE_PMI1, {INTRODUCED, YES1}, "PMI-1", "PMI-1: chosen\n"},
    {CHOOSE_PMI2,
     {INTRODUCED, YES1},
     "PMI-1",
     "PMI-2: not by PMI_PORT\nPMI-1: chosen\n"},
    {CHOOSE_PMI1, {INTRODUCED, NO}, NULL, "go_away (rc=-1)\n"},
    {CHOOSE_PMI2, {NULL}, NULL, "PMI_PORT has started"},
    {CHOOSE_PMI2, {"cmd=initack rc=1\n"}, NULL, "PMI_PORT has started"},
};

/* A connection that leads nowhere is closed. */
START_TEST(by_port)
{
    char variable[64];
    char *const env[] = {variable, "PMI_ID=2", NULL};
    int listener = listen_somewhere(variable, sizeof variable);
    struct server server = serve_by_port(listener, dialled[_i].answers);
    int free_fd = lowest_free(), status;
    struct ct_error error = {0};
    struct client *client =
        choose_client(dialled[_i].first, env, true, tell, &error);

    check(dialled[_i].name, dialled[_i].told, client, &error);
    if (client != NULL) {
        ck_assert_uint_eq(client_facts(client)->rank, 2);
        ck_assert_uint_eq(client_facts(client)->size, 9);
    }
    client_close(client);
    ck_assert_int_eq(lowest_free(), free_fd);
    ck_assert_int_eq(waitpid(server.pid, &status, 0), server.pid);
    ck_assert_int_eq(status, 0);
    close(listener);
}
END_TEST

START_TEST(a_port_where_nobody_listens)
{
    char variable[64];
    char *const env[] = {variable, "PMI_ID=2", NULL};
    struct ct_error error = {0};

    close(listen_somewhere(variable, sizeof variable));
    check(NULL, "PMI: cannot connect to 127.0.0.1:",
          choose_client((enum choose_first)_i, env, true, tell, &error),
          &error);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, without_server, 0, 2 * COUNT(unserved));
    tcase_add_loop_test(tc, with_server, 0, COUNT(served));
    tcase_add_loop_test(tc, what_is_known, 0, 2);
    tcase_add_loop_test(tc, by_port, 0, COUNT(dialled));
    tcase_add_loop_test(tc, a_port_where_nobody_listens, 0, 2);
}

int main(void)
{
    unsetenv("PMIX_RANK"); /* libpmix reads the process's own */
    return run_suite("choose", add_tests);
}
