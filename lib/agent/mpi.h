/*
 * Which MPI a program would load, known by the names of libraries, read from
 * ELF files and never by running anything.
 */
#ifndef CT_AGENT_MPI_H
#define CT_AGENT_MPI_H

#include "base/pack.h"
#include "base/strv.h"

#include <stdbool.h>

enum mpi_wire {
    MPI_WIRE_NONE, /* no MPI, no PMI library */
    MPI_WIRE_PMI,  /* speaks PMI-1 or PMI-2 on an inherited descriptor */
    MPI_WIRE_PMIX, /* needs a PMIx server */
};

struct mpi_info {
    enum mpi_wire wire;
    bool linked;       /* the program needs it; else the image merely has it */
    unsigned major;    /* first number of the version, 0: not known */
    char name[80];     /* "MPICH 4.0.2" */
    char library[160]; /* where it is, in the image */
    char pmi[160];     /* where its libpmi.so.0 or libpmi2.so.0 is, or "" */
};

/*
 * Look at path in the file system under rootfd, and if it needs no MPI, at what
 * the image's ld.so.cache has; pack the result. A zygote_inspect.
 */
void mpi_inspect(const char *path, const char *library_path, int rootfd,
                 bool all_pmi, struct pack *details, struct strv *pmi);

/* What mpi_inspect() packed; all zero when the bytes make no sense. */
void mpi_unpack(struct unpack *details, struct mpi_info *ret);

/* Barrier groups: MPICH from 5 on, which uses them only when offered. */
bool mpi_speaks_pmi12(const struct mpi_info *info);

#endif
