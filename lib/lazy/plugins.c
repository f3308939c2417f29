#include "lazy/plugins.h"

#include <stdlib.h>

static const char variable[] = "HWLOC_PLUGINS_PATH";

bool plugins_hide(void)
{
    return getenv(variable) == NULL && setenv(variable, "/dev/null", 1) == 0;
}

void plugins_show(bool hidden)
{
    if (hidden)
        unsetenv(variable);
}
