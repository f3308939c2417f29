#include "agent/mpi.h"

#include "base/pread.h"
#include "base/scope.h"
#include "base/span.h"
#include "container/kernel.h"
#include "container/plan.h"
#include "elf/closure.h"
#include "elf/elf.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * The first row that fits counts, so an MPI stands before the client libraries
 * of PMI that it may load. `soname` is the start of a library's name.
 */
struct mpi_row {
    const char *soname;
    const char *name;
    enum mpi_wire wire;
    const char *version; /* exported char array with the version, or NULL */
};

static const struct mpi_row rows[] = {
    /* Debian and the MPICH ABI; MVAPICH and Intel share the second name */
    {"libmpich.so.", "MPICH", MPI_WIRE_PMI, "MPII_Version_string"},
    {"libmpi.so.12", "MPICH", MPI_WIRE_PMI, "MPII_Version_string"},
    {"libmpi_gnu_", "Cray MPICH", MPI_WIRE_PMI, "MPII_Version_string"},
    {"libmpi_cray.so.", "Cray MPICH", MPI_WIRE_PMI, "MPII_Version_string"},
    {"libmpi_intel.so.", "Cray MPICH", MPI_WIRE_PMI, "MPII_Version_string"},
    /* 1.x and 2.x; 3 to 6 */
    {"libmpi.so.20", "Open MPI", MPI_WIRE_PMIX, NULL},
    {"libmpi.so.40", "Open MPI", MPI_WIRE_PMIX, NULL},
    {"libmpi_abi.so.", "MPI (standard ABI)", MPI_WIRE_PMI,
     "MPII_Version_string"},
    /* programs without MPI: SHMEM, GASNet, ... */
    {"libpmi2.so.", "libpmi2", MPI_WIRE_PMI, NULL},
    {"libpmi.so.", "libpmi", MPI_WIRE_PMI, NULL},
    {"libpmix.so.", "PMIx", MPI_WIRE_PMIX, NULL},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct mpi_row *find_row(struct ct_span name)
{
    for (const struct mpi_row *row = rows; row < rows + ROWS; row++)
        if (name.len >= strlen(row->soname) &&
            memcmp(name.ptr, row->soname, strlen(row->soname)) == 0)
            return row;
    return NULL;
}

struct search {
    int rootfd;
    const struct mpi_row *row;
    struct mpi_info info;
    bool settled;     /* the cache cannot outdo it */
    bool cached_pmi;  /* those of the cache count, too */
    struct strv *pmi; /* where they are */
};

/* One that is left out for want of memory stays the image's. */
static void note_pmi(struct search *search, struct ct_span name,
                     struct ct_span path)
{
    CT_AUTO_FREE char *text = NULL;

    for (size_t i = 0; i < PLAN_PMI_LIBRARIES; i++)
        if (ct_span_is(name, plan_pmi_libraries[i]))
            text = ct_span_dup(path);
    if (text != NULL)
        strv_add(search->pmi, text);
}

/* Does row stand before the one found so far? */
static bool better(const struct search *search, const struct mpi_row *row)
{
    return row != NULL && (search->row == NULL || row < search->row);
}

/*
 * From 4.1 on the string may be hidden, as in Debian's builds; 5.0 has the
 * functions of the MPI-5 ABI.
 */
static void read_mpich_version(int fd, const char *symbol, char *ret,
                               size_t size)
{
    if (elf_read_string_symbol(fd, symbol, ret, size, NULL) < 0 &&
        elf_has_function(fd, "MPI_Abi_get_version"))
        snprintf(ret, size, "5.x");
}

static void read_version(int fd, const struct mpi_row *row,
                         struct mpi_info *info)
{
    char version[40] = "";

    if (row->version != NULL)
        read_mpich_version(fd, row->version, version, sizeof version);
    snprintf(info->name, sizeof info->name, "%s%s%s", row->name,
             version[0] != '\0' ? " " : "", version);
    if (sscanf(version, "%u.", &info->major) != 1)
        info->major = 0;
}

static void found(struct search *search, const struct mpi_row *row,
                  const char *path, int fd)
{
    search->row = row;
    search->info = (struct mpi_info){.wire = row->wire};
    read_version(fd, row, &search->info);
    snprintf(search->info.library, sizeof search->info.library, "%s", path);
}

static bool visit_needed(void *ctx, const char *name, const char *path, int fd)
{
    struct search *search = ctx;
    const struct mpi_row *row = find_row(ct_span_str(name));

    note_pmi(search, ct_span_str(name), ct_span_str(path));
    if (better(search, row)) {
        found(search, row, path, fd);
        search->info.linked = search->settled = true;
    }
    return true;
}

/* An image may have a pipe or a device there: never wait for it. */
static int open_file(int rootfd, const char *path, struct stat *st)
{
    CT_AUTO_FD int fd =
        kernel_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
        return -1;
    return ct_steal_fd(&fd);
}

/* The cache may be older than the image's last changes: is it there? */
static void try_file(struct search *search, const struct mpi_row *row,
                     const char *path)
{
    struct stat st;
    CT_AUTO_FD int fd = open_file(search->rootfd, path, &st);

    if (fd >= 0)
        found(search, row, path, fd);
}

static bool visit_cached(void *ctx, struct ct_span name, struct ct_span path)
{
    struct search *search = ctx;
    const struct mpi_row *row = find_row(name);
    char text[sizeof search->info.library];

    if (search->cached_pmi)
        note_pmi(search, name, path);
    if (!search->settled && better(search, row)) {
        snprintf(text, sizeof text, "%.*s", (int)path.len, path.ptr);
        try_file(search, row, text);
    }
    return true;
}

/* A directory settles it that has an MPI itself, not what that may load. */
static bool settles(const struct mpi_row *row)
{
    return row != NULL && strncmp(row->soname, "libmpi", 6) == 0;
}

static void visit_directory(struct search *search, struct ct_span dir, DIR *all)
{
    char path[sizeof search->info.library];
    const struct dirent *entry;

    while ((entry = readdir(all)) != NULL) {
        const struct mpi_row *row = find_row(ct_span_str(entry->d_name));

        if (better(search, row) &&
            (size_t)snprintf(path, sizeof path, "%.*s/%s", (int)dir.len,
                             dir.ptr, entry->d_name) < sizeof path)
            try_file(search, row, path);
    }
}

static DIR *open_directory(int rootfd, struct ct_span name)
{
    CT_AUTO_FREE char *path = ct_span_dup(name);
    CT_AUTO_FD int fd =
        path != NULL ? kernel_open_in_root(rootfd, path, O_RDONLY | O_DIRECTORY)
                     : -1;
    DIR *all = fd >= 0 ? fdopendir(fd) : NULL;

    if (all != NULL)
        ct_steal_fd(&fd);
    return all;
}

/*
 * An image whose MPI is at a place of its own often names that place in
 * LD_LIBRARY_PATH alone; the first directory that has one counts, as for ld.so.
 */
static void search_path(int rootfd, const char *library_path,
                        struct search *search)
{
    struct ct_span rest = ct_span_str(library_path != NULL ? library_path : "");

    while (rest.len > 0 && !search->settled) {
        struct ct_span dir = ct_span_cut(&rest, ':');
        DIR *all = dir.len > 0 && dir.ptr[0] == '/'
                       ? open_directory(rootfd, dir)
                       : NULL;

        if (all == NULL)
            continue;
        visit_directory(search, dir, all);
        closedir(all);
        search->settled = settles(search->row);
    }
}

/* What the image has, for a script or a program that loads its MPI later. */
static void search_cache(int rootfd, struct search *search)
{
    enum { CACHE_MAX = 8 * 1024 * 1024 };
    struct stat st;
    CT_AUTO_FD int fd = open_file(rootfd, "/etc/ld.so.cache", &st);

    if (fd < 0 || st.st_size <= 0 || st.st_size > CACHE_MAX)
        return;
    CT_AUTO_FREE char *bytes = malloc((size_t)st.st_size);
    ssize_t len =
        bytes != NULL ? ct_pread(fd, bytes, (size_t)st.st_size, 0) : -1;
    if (len > 0)
        ldcache_each(ct_span(bytes, (size_t)len), visit_cached, search);
}

void mpi_inspect(const char *path, const char *library_path, int rootfd,
                 bool all_pmi, struct pack *details, struct strv *pmi)
{
    struct search search = {
        .rootfd = rootfd, .cached_pmi = all_pmi, .pmi = pmi};

    /* A script is no error: it has no needs of its own. */
    elf_walk(rootfd, path, library_path, visit_needed, &search, NULL);
    if (search.row == NULL)
        search_path(rootfd, library_path, &search);
    if (!search.settled || all_pmi)
        search_cache(rootfd, &search);
    pack_u32(details, search.info.wire);
    pack_u32(details, search.info.linked);
    pack_u32(details, search.info.major);
    pack_str(details, search.info.name);
    pack_str(details, search.info.library);
    pack_str(details, pmi->count > 0 ? pmi->items[0] : "");
}

void mpi_unpack(struct unpack *details, struct mpi_info *ret)
{
    const char *name, *library, *pmi;

    ret->wire = (enum mpi_wire)unpack_u32(details);
    ret->linked = unpack_u32(details) != 0;
    ret->major = unpack_u32(details);
    name = unpack_str(details);
    library = unpack_str(details);
    pmi = unpack_str(details);
    if (details->failed || name == NULL || library == NULL || pmi == NULL) {
        *ret = (struct mpi_info){0};
        return;
    }
    snprintf(ret->name, sizeof ret->name, "%s", name);
    snprintf(ret->library, sizeof ret->library, "%s", library);
    snprintf(ret->pmi, sizeof ret->pmi, "%s", pmi);
}

bool mpi_speaks_pmi12(const struct mpi_info *info)
{
    return info->major >= 5 && strncmp(info->name, "MPICH ", 6) == 0;
}
