/*
 * What is wrong with single releases of libpmix, and can be put right from
 * outside once the server is up: a row each.
 */
#include "guest/pmix/state.h"

#include <string.h>

/*
 * Debian 11's (4.0.0rc3) tells its host of events through a framework of its
 * own, prm, that it never opens: so none leaves the node. The first of prm's
 * pointers is what is called, and after all would call the host's upcall.
 */
static void tell_of_events(struct pmixsrv *server)
{
    void *closed = lazy_pmix_symbol("pmix_prm_base_notify");
    pmix_server_notify_event_fn_t *notify = lazy_pmix_symbol("pmix_prm");

    (void)server;
    if (notify != NULL && closed != NULL && *(void **)notify == closed)
        *notify = pmixsrv_module()->notify_event;
}

/*
 * Asked for the attributes that are supported (pattrs --host), 4.2.2 crashes,
 * as it gives its reply the wrong context.
 */
static void hear_no_attributes(struct pmixsrv *server)
{
    server->sieve.no_attributes = true;
}

/* A group or a connect whose time is over crashes 4.2.2, or has its thread spin
   for ever. */
static void hear_no_timeouts(struct pmixsrv *server)
{
    server->sieve.no_timeouts = true;
}

/*
 * Of 7.0 a group's members get a flag, and then the context id. Clients of 5.0
 * read the id where the flag is: each group has 1 (PMIx_Group_construct).
 */
static void part_groups(struct pmixsrv *server)
{
    server->blurs_contexts = true;
}

static const struct {
    const char *release; /* how its version begins */
    void (*mend)(struct pmixsrv *server);
} quirks[] = {
    {"4.0.0", tell_of_events},
    {"4.2.2", hear_no_attributes},
    {"4.", hear_no_timeouts},
    {"7.", part_groups},
};

void quirks_mend(struct pmixsrv *server)
{
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if (strncmp(server->version, quirks[i].release,
                    strlen(quirks[i].release)) == 0)
            quirks[i].mend(server);
}
