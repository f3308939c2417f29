/*
 * What tests with a zygote share: plans, images, ranks that are shell scripts,
 * events. Every wait ends, at the latest with Check's own timeout.
 *
 * The images are directories with empty places that the host's programs are
 * bound to: nothing has to be copied or downloaded.
 */
#ifndef CT_TEST_ZYGOTE_H
#define CT_TEST_ZYGOTE_H

#include "container/kernel.h"
#include "container/zygote.h"
#include "tests/unit/userns.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { TIMEOUT = 60 }; /* seconds a test may take */

/* ---- places ---- */

static char top[64];       /* the test's directory; the working directory */
static char image_dir[80]; /* top/image */

static inline void make_file(const char *name, mode_t mode, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static inline void make_dir(const char *name)
{
    ck_assert_int_eq(mkdir(name, 0755), 0);
}

static inline void make_top(void)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    strcpy(top, "/tmp/test_zygote.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    ck_assert_int_eq(chmod(top, 0755), 0);
    ck_assert_int_eq(chdir(top), 0);
    snprintf(image_dir, sizeof image_dir, "%s/image", top);
}

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_top(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Where the host has its programs, and the image will have them. */
static const char *const host_dirs[] = {"/usr", "/bin", "/lib", "/lib64"};

enum { HOST_DIRS = sizeof host_dirs / sizeof host_dirs[0] };

/* One of them that the image has its own of; NULL. */
static const char *own_dir;

static inline void make_image(void)
{
    make_top();
    make_dir("image");
    make_dir("image/etc");
    make_file("image/marker", 0644, "here\n");
    make_file("image/etc/passwd", 0644, "root:x:0:0:root:/root:/bin/sh\n");
    for (int i = 0; i < HOST_DIRS; i++) {
        char path[100];
        snprintf(path, sizeof path, "image%s", host_dirs[i]);
        make_dir(path);
    }
}

static inline bool can_contain(void)
{
    return enter_userns() && mount("test", "/tmp", "tmpfs", 0, NULL) == 0;
}

/* ---- plans ---- */

static char *const host_env[] = {"PATH=/usr/bin:/bin", "A=host", "B=host",
                                 NULL};

static inline struct host_facts host_facts(void)
{
    return (struct host_facts){.uid = geteuid(),
                               .gid = getegid(),
                               .user = "somebody",
                               .group = "some",
                               .cwd = "/",
                               .env = host_env};
}

static inline struct plan bare_plan(void)
{
    const struct plan_request request = {
        .env = (char *const[]){"B=plan", "C=plan", NULL}};
    struct host_facts facts = host_facts();
    struct plan plan;

    ck_assert_int_eq(plan_make_bare(&request, &facts, &plan, NULL), 0);
    return plan;
}

/* The host's programs, read-only, and what the request asks for. */
static inline struct plan image_plan(struct plan_request request)
{
    struct host_facts facts = host_facts();
    char binds[HOST_DIRS][40], *list[HOST_DIRS + 8] = {NULL};
    struct image image;
    struct plan plan;
    struct ct_error err;
    int count = 0;

    for (int i = 0; i < HOST_DIRS; i++)
        if (access(host_dirs[i], F_OK) == 0 &&
            (own_dir == NULL || strcmp(own_dir, host_dirs[i]) != 0)) {
            snprintf(binds[i], sizeof binds[i], "%s:%s:ro", host_dirs[i],
                     host_dirs[i]);
            list[count++] = binds[i];
        }
    for (int i = 0; request.binds != NULL && request.binds[i] != NULL; i++)
        list[count++] = request.binds[i];
    request.binds = list;
    if (request.image == NULL)
        request.image = image_dir;
    ck_assert_msg(image_open(request.image, &image, &err) == 0, "%s", err.text);
    ck_assert_msg(plan_make(&request, &facts, &image, &plan, &err) == 0, "%s",
                  err.text);
    return plan;
}

/* ---- the zygote ---- */

/* What the image has of PMI, as far as a test's inspect() knows. */
static const char *const pmi_paths[] = {"/opt/libpmi.so.0",
                                        "/opt/sub/libpmi2.so.0"};

static inline void inspect(const char *path, const char *library_path,
                           int rootfd, bool all_pmi, struct pack *details,
                           struct strv *pmi)
{
    for (int i = 0; i < 2; i++)
        if (all_pmi && strv_add(pmi, pmi_paths[i]) < 0)
            details->failed = true;
    pack_str(details, path);
    pack_str(details, library_path);
    pack_u32(details, faccessat(rootfd, "marker", F_OK, 0) == 0);
}

/* As zygote_config has it; NULL. */
static void (*orphaned)(unsigned ranks);

static inline struct zygote *try_zygote(const struct plan *plans, size_t count,
                                        struct ct_error *reterr)
{
    struct zygote_config config = {.plans = plans,
                                   .plan_count = count,
                                   .inspect = inspect,
                                   .orphaned = orphaned};

    sigemptyset(&config.common.mask);
    config.common.pipe.sa_handler = SIG_DFL;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &config.common.files), 0);
    return zygote_start(&config, reterr);
}

static inline struct zygote *start_zygote(const struct plan *plans,
                                          size_t count)
{
    struct ct_error err = {0};
    struct zygote *z = try_zygote(plans, count, &err);

    ck_assert_msg(z != NULL, "%s", err.text);
    return z;
}

static inline void check_childless(void)
{
    ck_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* Nothing may be left of it. */
static inline void end_zygote(struct zygote *z)
{
    zygote_destroy(z);
    check_childless();
}

static inline struct zygote_event next_event(struct zygote *z)
{
    struct pollfd wait = {.fd = zygote_fd(z)};
    struct zygote_event event;

    while (zygote_next(z, &event) == 0) {
        wait.events = POLLIN;
        if (zygote_wants_write(z))
            wait.events |= POLLOUT;
        ck_assert_int_gt(poll(&wait, 1, -1), 0);
        zygote_flush(z);
    }
    return event;
}

static inline struct zygote_event expect(struct zygote *z,
                                         enum zygote_event_kind kind,
                                         unsigned id)
{
    struct zygote_event event = next_event(z);

    ck_assert_msg(event.kind == kind && event.id == id,
                  "event %d of %u, not %d of %u: %s", (int)event.kind, event.id,
                  (int)kind, id, event.text != NULL ? event.text : "");
    return event;
}

/* ---- applications and ranks ---- */

static inline void ask_to_prepare(struct zygote *z, unsigned app, unsigned plan,
                                  const char *word, const char *script)
{
    char *argv[] = {(char *)word, "-c", (char *)script, NULL};
    const struct zygote_app request = {.app = app, .plan = plan, .argv = argv};

    ck_assert_int_eq(zygote_prepare(z, &request, NULL), 0);
}

/* `sh -c script` with the id app. */
static inline struct zygote_event prepare(struct zygote *z, unsigned app,
                                          unsigned plan, const char *script)
{
    ask_to_prepare(z, app, plan, "sh", script);
    return expect(z, ZYGOTE_PREPARED, app);
}

static inline void check_prepare_fails(struct zygote *z, unsigned plan,
                                       int code, const char *text)
{
    struct zygote_event event;

    ask_to_prepare(z, 99, plan, "sh", "true");
    event = expect(z, ZYGOTE_PREPARE_FAILED, 99);
    ck_assert_str_eq(event.text, text);
    ck_assert_int_eq(event.code, code);
}

static char *const no_env[] = {NULL};

/* A rank without stdin, or one that has what is given. */
static inline void ask_for_rank(struct zygote *z, unsigned id, unsigned app,
                                const int fds[RANK_FDS])
{
    const struct zygote_rank rank = {
        .id = id, .app = app, .env = no_env, .fds = fds};

    ck_assert_int_eq(zygote_rank(z, &rank, NULL), 0);
}

struct output {
    int read_end, write_end;
};

static inline struct output make_output(void)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    return (struct output){ends[0], ends[1]};
}

/* To the end, which comes when all that could write have ended. */
static inline void read_output(struct output *output, char *ret, size_t room)
{
    size_t used = 0;
    ssize_t n;

    close(output->write_end);
    while ((n = read(output->read_end, ret + used, room - used - 1)) > 0)
        used += (size_t)n;
    ret[used] = '\0';
    close(output->read_end);
}

static inline pid_t start_rank(struct zygote *z, unsigned id, unsigned app,
                               const struct output *output)
{
    int out = output != NULL ? output->write_end : -1;
    const int fds[RANK_FDS] = {-1, out, out, -1};

    ask_for_rank(z, id, app, fds);
    return expect(z, ZYGOTE_STARTED, id).pid;
}

/* Run a script to its end: what it printed. It must end with this status. */
static inline void run_script(struct zygote *z, unsigned plan,
                              const char *script, int status, char *ret,
                              size_t room)
{
    struct output output = make_output();

    prepare(z, 50, plan, script);
    start_rank(z, 50, 50, &output);
    read_output(&output, ret, room);
    ck_assert_msg(expect(z, ZYGOTE_EXITED, 50).status == status, "%s", ret);
}

static inline void check_script(struct zygote *z, unsigned plan,
                                const char *script, const char *expected)
{
    char text[4096];

    run_script(z, plan, script, 0, text, sizeof text);
    ck_assert_str_eq(text, expected);
}

/* ---- what is lent, and processes that the zygote has not started ---- */

struct lent {
    char *bytes; /* all others are views of it */
    size_t len;
    const char *path, *workdir, *home;
    bool workdir_required;
    const char **scratch, **env;
    int fds[ZYGOTE_LENT_FDS];
};

static inline struct lent lend(struct zygote *z, unsigned app)
{
    struct lent ret;
    struct zygote_event event;
    struct unpack u = {0};

    ck_assert_int_eq(zygote_lend(z, app, NULL), 0);
    event = expect(z, ZYGOTE_LENT, app);
    u.len = ret.len = event.details.len - event.details.at;
    u.bytes = ret.bytes = malloc(u.len);
    ck_assert_ptr_nonnull(ret.bytes);
    memcpy(ret.bytes, event.details.bytes + event.details.at, ret.len);
    ret.path = unpack_str(&u);
    ret.workdir = unpack_str(&u);
    ret.workdir_required = unpack_u32(&u) != 0;
    ret.home = unpack_str(&u);
    ret.scratch = unpack_list(&u);
    ret.env = unpack_list(&u);
    ck_assert(!u.failed);
    ck_assert_uint_eq(u.at, u.len);
    memcpy(ret.fds, event.fds, sizeof ret.fds);
    return ret;
}

static inline void give_back(struct lent *lent)
{
    free(lent->bytes);
    free(lent->scratch);
    free(lent->env);
    for (int i = 0; i < ZYGOTE_LENT_FDS; i++)
        if (lent->fds[i] >= 0)
            ck_assert_int_eq(close(lent->fds[i]), 0);
}

static inline void adopt(struct zygote *z, unsigned id, pid_t pid)
{
    int pidfd = kernel_pidfd_open(pid);

    ck_assert_int_ge(pidfd, 0);
    ck_assert_int_eq(zygote_adopt(z, id, pid, pidfd, NULL), 0);
    close(pidfd);
}

/* A child of ours: how it ended. */
static inline int end_of(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* ---- all of it ---- */

/* What main() returns: 77 where there can be no containers. */
static inline int run_contained(const char *name, TCase *tc)
{
    Suite *suite = suite_create(name);
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    if (!try_in_child(can_contain)) {
        puts("skipped: no user namespaces with mounts here");
        srunner_free(runner);
        return 77;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
