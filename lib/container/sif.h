/*
 * The SIF header and descriptor table: bytes in, struct out. Pure.
 */
#ifndef CT_CONTAINER_SIF_H
#define CT_CONTAINER_SIF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIF_HEADER_SIZE = 128,
    SIF_DESCRIPTOR_SIZE = 585,
    SIF_DESCRIPTORS_MAX = 4096, /* ours; Apptainer writes 48 */
};

struct sif_table {
    char arch[3];    /* of the global header, NUL-terminated: "02" */
    uint64_t offset; /* of the descriptor table */
    uint32_t total;  /* slots in it, 1 .. SIF_DESCRIPTORS_MAX */
};

struct sif_partition {
    uint64_t offset;
    uint64_t size;
    int32_t fstype; /* 1 squashfs, 2 ext3, 3 .. 6: see sif_fstype_name() */
    char arch[3];
};

/* Do these bytes (at least SIF_HEADER_SIZE) start a SIF file? */
bool sif_is(const unsigned char *head, size_t len);

/*
 * Check the global header against the file's size and find the table. -1 with
 * a text when the version is unknown or the table lies outside the file.
 */
int sif_decode_header(const unsigned char *head, size_t len, uint64_t filesize,
                      struct sif_table *ret, struct ct_error *reterr);

/*
 * Find the one primary system partition in a table of table->total slots read
 * from table->offset (len = total * SIF_DESCRIPTOR_SIZE). -1: none (an OCI-SIF
 * is named as such), more than one, or one that lies outside the file.
 */
int sif_find_primary(const unsigned char *slots, size_t len,
                     const struct sif_table *table, uint64_t filesize,
                     struct sif_partition *ret, struct ct_error *reterr);

/* "amd64" for "02"; NULL when unknown. The code of the machine we run on. */
const char *sif_arch_name(const char *code);
const char *sif_arch_host(void);

/* "ext3", "encrypted squashfs", ...; "unknown" else. */
const char *sif_fstype_name(int32_t fstype);

#endif
