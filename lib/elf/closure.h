/*
 * The libraries that the dynamic loader would load for a program, found as
 * ld.so(8) does: DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, /etc/ld.so.cache, the
 * default directories; in the file system under root.
 */
#ifndef CT_ELF_CLOSURE_H
#define CT_ELF_CLOSURE_H

#include "base/error.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Called once for each library (by the name it was needed as and the path where
 * it was found, inside root; fd is open for reading and is closed after the
 * call). Return true to look into what it needs itself.
 */
typedef bool elf_visit(void *ctx, const char *name, const char *path, int fd);

/*
 * Walk what `path` (inside root, absolute) needs, breadth first, each library
 * once. rootfd: directory that absolute paths and symbolic links are resolved
 * in (openat2 RESOLVE_IN_ROOT). library_path: LD_LIBRARY_PATH or NULL.
 * A library that cannot be found is passed over. 0; -1 when path itself cannot
 * be read: ENOEXEC = it is not an ELF file.
 */
int elf_walk(int rootfd, const char *path, const char *library_path,
             elf_visit *visit, void *ctx, struct ct_error *reterr);

/*
 * Look `name` up in the bytes of an ld.so.cache ("glibc-ld.so.cache1.1",
 * also behind an old-format head); prefers an entry of the host's flags.
 * Pure. 0 and a view of the path; -1 when absent or the cache is broken.
 */
int ldcache_find(struct ct_span cache, const char *name, struct ct_span *ret);

/* Call visit for each (name, path) of the cache; stops when it returns false.
 */
typedef bool ldcache_visit(void *ctx, struct ct_span name, struct ct_span path);
void ldcache_each(struct ct_span cache, ldcache_visit *visit, void *ctx);

#endif
