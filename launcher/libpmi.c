#include "launcher/libpmi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has(const char *dir, const char *library)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s", dir, library);

    return len > 0 && (size_t)len < sizeof path && access(path, R_OK) == 0;
}

static bool is_it(char *buf, size_t size, const char *dir, const char *below)
{
    int len = snprintf(buf, size, "%s%s", dir, below);

    return len > 0 && (size_t)len < size && buf[0] == '/' &&
           has(buf, "libpmi.so.0") && has(buf, "libpmi2.so.0");
}

/* Where the running program is. */
static bool own_directory(char *buf, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", buf, size - 1);
    char *slash;

    if (len <= 0)
        return false;
    buf[len] = '\0';
    slash = strrchr(buf, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

bool libpmi_find(char *buf, size_t size)
{
    const char *told = getenv("CTRUN_LIBDIR");
    char own[4096];

    if (told != NULL)
        return is_it(buf, size, told, "");
    return (own_directory(own, sizeof own) &&
            is_it(buf, size, own, "/.libs")) || /* libtool's */
           is_it(buf, size, CT_LIBDIR, "");
}
