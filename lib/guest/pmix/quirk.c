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
static void tell_of_events(void)
{
    void *closed = lazy_pmix_symbol("pmix_prm_base_notify");
    pmix_server_notify_event_fn_t *notify = lazy_pmix_symbol("pmix_prm");

    if (notify != NULL && closed != NULL && *(void **)notify == closed)
        *notify = pmixsrv_module()->notify_event;
}

static const struct {
    const char *release; /* how its version begins */
    void (*mend)(void);
} quirks[] = {
    {"4.0.0", tell_of_events},
};

void quirks_mend(const char *version)
{
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if (strncmp(version, quirks[i].release, strlen(quirks[i].release)) == 0)
            quirks[i].mend();
}
