/*
 * What is sent to other nodes. Values are packed by libpmix, which is the same
 * on all nodes or able to read its other versions.
 */
#include "guest/pmix/state.h"

#include <stdlib.h>
#include <string.h>

void values_pack(struct pack *p, const void *values, size_t count,
                 pmix_data_type_t type)
{
    pmix_data_buffer_t buffer;

    PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
    if (count > 0 && PMIx_Data_pack(NULL, &buffer, (void *)values,
                                    (int32_t)count, type) != PMIX_SUCCESS)
        p->failed = true;
    pack_u32(p, (uint32_t)buffer.bytes_used);
    pack_bytes(p, buffer.base_ptr, buffer.bytes_used);
    PMIX_DATA_BUFFER_DESTRUCT(&buffer);
}

void values_unpack(struct unpack *u, void *values, size_t count,
                   pmix_data_type_t type)
{
    size_t len = unpack_u32(u);
    const void *bytes = unpack_bytes(u, len);
    int32_t taken = (int32_t)count;
    pmix_data_buffer_t buffer;

    if (u->failed || count == 0)
        return;
    PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
    buffer.base_ptr = malloc(len + 1);
    if (buffer.base_ptr != NULL) {
        memcpy(buffer.base_ptr, bytes, len);
        buffer.unpack_ptr = buffer.base_ptr;
        buffer.pack_ptr = buffer.base_ptr + len;
        buffer.bytes_allocated = len + 1;
        buffer.bytes_used = len;
        if (PMIx_Data_unpack(NULL, &buffer, values, &taken, type) !=
                PMIX_SUCCESS ||
            taken != (int32_t)count)
            u->failed = true;
    }
    PMIX_DATA_BUFFER_DESTRUCT(&buffer);
}

void proc_pack(struct pack *p, const pmix_proc_t *proc)
{
    pack_str(p, proc->nspace);
    pack_u32(p, proc->rank);
}

void proc_unpack(struct unpack *u, pmix_proc_t *ret)
{
    const char *nspace = unpack_str(u);

    memset(ret, 0, sizeof *ret);
    if (nspace != NULL && strlen(nspace) < sizeof ret->nspace)
        strcpy(ret->nspace, nspace);
    else
        u->failed = true;
    ret->rank = unpack_u32(u);
}
