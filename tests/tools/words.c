/*
 * words: a program of libpmi2. Each rank tells its left neighbour's word:
 *
 *   0: of 2; of 3
 */
#include <pmi2.h>
#include <stdio.h>
int main(void)
{
    int spawned, size, rank, appnum, length;
    char key[32], value[64];

    if (PMI2_Init(&spawned, &size, &rank, &appnum) != PMI2_SUCCESS)
        return 1;
    snprintf(key, sizeof key, "word-%d", rank);
    snprintf(value, sizeof value, "of %d; of %d", rank, size);
    if (PMI2_KVS_Put(key, value) != PMI2_SUCCESS ||
        PMI2_KVS_Fence() != PMI2_SUCCESS)
        return 2;
    snprintf(key, sizeof key, "word-%d", (rank + size - 1) % size);
    if (PMI2_KVS_Get(NULL, PMI2_ID_NULL, key, value, sizeof value, &length) !=
        PMI2_SUCCESS)
        return 3;
    printf("%d: %s\n", rank, value);
    return PMI2_Finalize();
}
