/*
 * The zygote: one process a node, forked before ctrun's own work begins, that
 * stands in the containers' namespaces and is the parent of every rank and of
 * the process that serves the image.
 *
 * ctrun asks for things and hears of them on one socket; when that closes, by
 * whatever end of ctrun, the zygote ends all that it started, cleans up and
 * goes. If the zygote dies, its children die with it (PR_SET_PDEATHSIG).
 *
 * This half is ctrun's: nothing here waits, but zygote_start() for as long as
 * the zygote takes to come up.
 */
#ifndef CT_CONTAINER_ZYGOTE_H
#define CT_CONTAINER_ZYGOTE_H

#include "base/error.h"
#include "base/pack.h"
#include "container/plan.h"
#include "container/rank.h"
#include "container/rundir.h"

struct zygote;

/*
 * Called in the zygote for each command that is prepared, in its container:
 * describe the program for zygote_event.details, and add the paths of the
 * client libraries of PMI that it needs (all_pmi: that the image has) to *pmi,
 * for which there are others in the plan; what is not there does no harm. rootfd
 * is "/".
 */
typedef void zygote_inspect(const char *path, const char *library_path,
                            int rootfd, bool all_pmi, struct pack *details,
                            struct strv *pmi);

struct zygote_config {
    /* Live as long as the zygote's start; their images are no descriptors of
       0 to RANK_PMI_FD, which are the ranks'. */
    const struct plan *plans;
    size_t plan_count;
    struct rank_common common; /* `container` is found from the plans */
    zygote_inspect *inspect;
    /* Called in the zygote when ctrun is gone and ranks have to be ended; or
       NULL. */
    void (*orphaned)(unsigned ranks);
    struct rundir rundir; /* is removed at the end */
};

/* Start it. NULL with the reason: no user namespace, no memory, ... */
struct zygote *zygote_start(const struct zygote_config *config,
                            struct ct_error *reterr);

/* Close the socket, end the zygote however it is, reap it, sweep; NULL is fine.
 */
void zygote_destroy(struct zygote *zygote);

/* The socket, to wait on: for reading always, for writing when it says so. */
int zygote_fd(const struct zygote *zygote);
bool zygote_wants_write(const struct zygote *zygote);

/* Send what is waiting. -1: the zygote is gone. */
int zygote_flush(struct zygote *zygote);

/* An application: what ranks will execute. app is the caller's number for it.
 */
struct zygote_app {
    unsigned app;
    unsigned plan;
    char *const *argv;
    const char *workdir; /* overrides the plan's; NULL */
    const char *path;    /* overrides PATH for finding the command; NULL */
};

/* Make the container if need be, find the command, look into it: PREPARED. */
int zygote_prepare(struct zygote *zygote, const struct zygote_app *app,
                   struct ct_error *reterr);

struct zygote_rank {
    unsigned id; /* the caller's number for it */
    unsigned app;
    char *const *env; /* the rank's own variables, over all others */
    const int *fds;   /* [RANK_FDS], -1: none; sent, not closed */
    const void *cpus; /* cpu_set_t, or NULL */
    size_t cpus_size;
    pid_t group; /* process group to join; 0: one of its own */
};

/* STARTED or START_FAILED follows. */
int zygote_rank(struct zygote *zygote, const struct zygote_rank *rank,
                struct ct_error *reterr);

/*
 * For ranks that another launcher has started. LENT brings all that such a
 * process needs to become a rank of the app: two descriptors, its user
 * namespace and its container (none without a container), and as details path,
 * workdir, whether that is required, home, list of scratch directories,
 * environment.
 */
int zygote_lend(struct zygote *zygote, unsigned app, struct ct_error *reterr);

/* It is one of the ranks from now on: is signalled, and ended at the end. */
int zygote_adopt(struct zygote *zygote, unsigned id, pid_t pid, int pidfd,
                 struct ct_error *reterr);

/*
 * A caller that has said this must say it again within ZYGOTE_SILENCE seconds,
 * or it is taken for gone: others may be waiting for the ranks of one that is
 * stopped.
 */
enum { ZYGOTE_SILENCE = 8 };
int zygote_alive(struct zygote *zygote, struct ct_error *reterr);

/* One that somebody has stopped would end nobody. */
void zygote_wake(const struct zygote *zygote);

enum { ZYGOTE_ALL_RANKS = 0xffffffff };

/* Signal a rank's own process group, or a rank that has none, or all. */
int zygote_signal(struct zygote *zygote, unsigned id, int signal,
                  struct ct_error *reterr);

enum { ZYGOTE_LENT_FDS = 2 };

enum zygote_event_kind {
    ZYGOTE_PREPARED,       /* id: app; details */
    ZYGOTE_PREPARE_FAILED, /* id: app; code, text; ENOENT, EACCES: command */
    ZYGOTE_STARTED,        /* id, pid */
    ZYGOTE_START_FAILED,   /* id, code, text; ENOENT, EACCES: command */
    ZYGOTE_EXITED,         /* id, status as from waitpid() */
    ZYGOTE_LENT,           /* id: app; details, fds */
    ZYGOTE_LOST,           /* text: the image's server is gone */
    ZYGOTE_GONE,           /* the zygote itself */
};

struct zygote_event {
    enum zygote_event_kind kind;
    unsigned id;
    pid_t pid;
    int status;
    int code;         /* errno value */
    const char *text; /* until the next call */
    struct unpack details;
    bool contained;           /* of LENT: it has a container */
    int fds[ZYGOTE_LENT_FDS]; /* of LENT, to be closed; -1: none */
};

/* The next event: 1, or 0 when there is none at the moment. */
int zygote_next(struct zygote *zygote, struct zygote_event *ret);

#endif
