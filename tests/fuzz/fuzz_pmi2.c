/* A stream of PMI-2 frames, as a client may send it. */
#include "dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_stream(&pmi_dialect_2, data, size);
    return 0;
}
