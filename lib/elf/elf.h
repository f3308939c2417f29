/*
 * What an ELF file needs and provides, read with libelf, never by running
 * anything. The caller hands in open files: how a name becomes a file inside an
 * image is its business (elf/closure.h has the loader's search order).
 */
#ifndef CT_ELF_ELF_H
#define CT_ELF_ELF_H

#include "base/error.h"
#include "base/strv.h"

#include <stdbool.h>
#include <stddef.h>

struct elf_info {
    int machine;        /* e_machine */
    int elfclass;       /* ELFCLASS32 / ELFCLASS64 */
    char *interpreter;  /* PT_INTERP or NULL */
    char *soname;       /* DT_SONAME or NULL */
    char *rpath;        /* DT_RPATH or NULL */
    char *runpath;      /* DT_RUNPATH or NULL */
    struct strv needed; /* DT_NEEDED, in order */
};

/* 0 and a caller-owned *ret; -1: ENOEXEC not ELF or broken, EIO. */
int elf_read(int fd, struct elf_info *ret, struct ct_error *reterr);
void elf_info_clear(struct elf_info *info);

/*
 * Copy the NUL-terminated bytes that the exported data symbol `name` labels
 * (a const char array) to buf. 0; -1: no such symbol, not data, no room.
 */
int elf_read_string_symbol(int fd, const char *name, char *buf, size_t size,
                           struct ct_error *reterr);

/* Does it export this function? No, too, when it cannot be read. */
bool elf_has_function(int fd, const char *name);

#endif
