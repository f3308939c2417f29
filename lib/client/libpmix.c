#include "client/libpmix.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * glibc 2.34 gave these to libc under a new version; libpmi goes into images
 * with an older one, where libdl has them under the first, which both know.
 */
#if defined(__GLIBC__) && defined(__x86_64__)
#define OLDEST(name) __asm__(".symver " #name "," #name "@GLIBC_2.2.5")
#elif defined(__GLIBC__) && defined(__aarch64__)
#define OLDEST(name) __asm__(".symver " #name "," #name "@GLIBC_2.17")
#endif
#ifdef OLDEST
OLDEST(dlopen);
OLDEST(dlsym);
OLDEST(dlclose);
OLDEST(dlerror);
#endif

/* Where its address belongs, and its name. */
static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define ROW(name) {"PMIx_" #name, offsetof(struct libpmix, name)},
    LIBPMIX_FUNCTIONS(ROW)
#undef ROW
};

enum { COUNT = sizeof functions / sizeof functions[0] };

static int find_all(void *handle, struct libpmix *ret, struct ct_error *reterr)
{
    for (size_t i = 0; i < COUNT; i++) {
        void *found = dlsym(handle, functions[i].name);

        if (found == NULL)
            return ct_fail(reterr, ELIBACC, "libpmix.so.2 has no %s",
                           functions[i].name);
        memcpy((char *)ret + functions[i].offset, &found, sizeof found);
    }
    return 0;
}

/* Its components look for libpmix's symbols among all. */
int libpmix_load(struct libpmix *ret, struct ct_error *reterr)
{
    void *handle = dlopen("libpmix.so.2", RTLD_NOW | RTLD_GLOBAL);

    if (handle == NULL)
        return ct_fail(reterr, ELIBACC, "%s", dlerror());
    if (find_all(handle, ret, reterr) == 0)
        return 0;
    dlclose(handle);
    return -1;
}
