#include "client/environ.h"

#include "base/span.h"
#include "base/strv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

static int get_number(char *const *env, const char *name, unsigned *ret,
                      struct ct_error *reterr)
{
    const char *text = env_get(env, name);
    long number;

    if (text == NULL)
        return ct_fail(reterr, ENOENT, "%s is not set", name);
    if (ct_span_number(ct_span_str(text), 0, INT_MAX, &number) < 0)
        return ct_fail(reterr, EINVAL, "%s is '%.32s', no number", name, text);
    *ret = (unsigned)number;
    return 0;
}

/* Whoever ran between the launcher and us may have closed it. */
static int find_socket(char *const *env, int *ret, struct ct_error *reterr)
{
    int type;
    socklen_t len = sizeof type;
    unsigned fd;

    if (get_number(env, "PMI_FD", &fd, reterr) < 0)
        return -1;
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return ct_fail(reterr, EBADF, "PMI_FD is %u, which is %s", fd,
                       errno == ENOTSOCK ? "no socket" : "not open");
    *ret = (int)fd;
    return 0;
}

static int find_server(char *const *env, struct client_environ *found,
                       struct ct_error *reterr)
{
    found->fd = -1;
    found->address = NULL;
    if (env_get(env, "PMI_FD") == NULL)
        found->address = env_get(env, "PMI_PORT");
    if (found->address == NULL)
        return find_socket(env, &found->fd, reterr);
    if (env_get(env, "PMI_ID") == NULL)
        return ct_fail(reterr, ENOENT, "PMI_PORT is set, but PMI_ID is not");
    return 0;
}

static int find_rank(char *const *env, const struct client_environ *found,
                     unsigned *ret, struct ct_error *reterr)
{
    bool by_id = found->address != NULL || (env_get(env, "PMI_RANK") == NULL &&
                                            env_get(env, "PMI_ID") != NULL);

    return get_number(env, by_id ? "PMI_ID" : "PMI_RANK", ret, reterr);
}

int client_environ_read(char *const *env, struct client_environ *ret,
                        struct ct_error *reterr)
{
    struct client_environ found = {.size = 0};
    const char *spawned;

    if (find_server(env, &found, reterr) < 0 ||
        find_rank(env, &found, &found.rank, reterr) < 0)
        return -1;
    if (env_get(env, "PMI_SIZE") != NULL &&
        get_number(env, "PMI_SIZE", &found.size, reterr) < 0)
        return -1;
    found.jobid = env_get(env, "PMI_JOBID");
    spawned = env_get(env, "PMI_SPAWNED");
    found.spawned = spawned != NULL && strcmp(spawned, "0") != 0;
    *ret = found;
    return 0;
}
