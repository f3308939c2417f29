#include "launcher/limit.h"

int limit_raise(struct rlimit *ret_before, struct ct_error *reterr)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, ret_before) < 0)
        return ct_fail_errno(reterr, "getrlimit");
    limit = *ret_before;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}
