/* A stream of PMI-1 frames, as a client may send it. */
#include "dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_stream(&pmi_dialect_1, data, size);
    return 0;
}
