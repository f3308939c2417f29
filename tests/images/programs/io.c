/*
 * io MIB [LINES]: binary noise on stdout; on stderr LINES lines and at last
 * "io RANK BYTES SUM", as cksum(1) would print the bytes.
 */
#include "common.h"

#include <stdint.h>

static uint32_t crc_byte(uint32_t crc, unsigned char byte)
{
    crc ^= (uint32_t)byte << 24;
    for (int i = 0; i < 8; i++)
        crc = (crc << 1) ^ (crc & 0x80000000u ? 0x04c11db7u : 0);
    return crc;
}

static uint32_t crc_length(uint32_t crc, uint64_t len)
{
    for (; len > 0; len >>= 8)
        crc = crc_byte(crc, (unsigned char)len);
    return ~crc;
}

static void put(const unsigned char *block, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, block, len);
        if (n <= 0)
            _exit(98);
        block += n;
        len -= (size_t)n;
    }
}

int main(int argc, char **argv)
{
    unsigned char block[8191]; /* no divisor of any buffer */
    uint32_t crc = 0, seed;
    uint64_t done = 0, bytes;

    MPI_Init(&argc, &argv);
    bytes = (uint64_t)argument(argc, argv, 1, 1) << 20;
    seed = 12345u + (uint32_t)my_rank();
    while (done < bytes) {
        size_t len = sizeof block;
        if (len > bytes - done)
            len = (size_t)(bytes - done);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245u + 12345u;
            block[i] = (unsigned char)(seed >> 16);
            crc = crc_byte(crc, block[i]);
        }
        put(block, len);
        done += len;
    }
    for (int i = 0; i < argument(argc, argv, 2, 0); i++)
        fprintf(stderr, "err %d %d %.*s\n", my_rank(), i, 60,
                "------------------------------------------------------------");
    fprintf(stderr, "io %d %llu %u\n", my_rank(), (unsigned long long)bytes,
            crc_length(crc, bytes));
    MPI_Finalize();
    return 0;
}
