#include "lazy/library.h"

#include <dlfcn.h>
#include <errno.h>
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
OLDEST(dlerror);
#endif

/* Some components that libpmix loads rely on finding it in the global scope. */
enum { FLAGS = RTLD_LAZY | RTLD_GLOBAL };

/* One that is loaded already may belong to objects that we are handed. */
static void *open_library(const char *path)
{
    const char *soname = strrchr(path, '/') + 1;
    void *library = dlopen(soname, FLAGS | RTLD_NOLOAD);

    if (library == NULL)
        library = dlopen(path, FLAGS);
    return library != NULL ? library : dlopen(soname, FLAGS);
}

static int find_functions(void *library, const char *const *names, size_t count,
                          void **ret, struct ct_error *reterr)
{
    for (size_t i = 0; i < count; i++) {
        ret[i] = dlsym(library, names[i]);
        if (ret[i] == NULL)
            return ct_fail(reterr, ENOTSUP,
                           "not the library that ctrun was built with: %s",
                           dlerror());
    }
    return 0;
}

void *library_symbol(const char *path, const char *name)
{
    void *library = open_library(path);

    return library != NULL ? dlsym(library, name) : NULL;
}

int library_load(const char *path, const char *const *names, size_t count,
                 void *ret, struct ct_error *reterr)
{
    void *functions[LIBRARY_FUNCTIONS_MAX];
    void *library;

    memcpy(functions, ret, sizeof *functions);
    if (functions[0] != NULL)
        return 0;
    library = open_library(path);
    if (library == NULL)
        return ct_fail(reterr, ENOTSUP, "cannot load a library: %s", dlerror());
    if (find_functions(library, names, count, functions, reterr) < 0)
        return -1;
    memcpy(ret, functions, count * sizeof *functions);
    return 0;
}
