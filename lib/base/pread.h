/*
 * Read from a place in a file, as much of len as the file has.
 */
#ifndef CT_BASE_PREAD_H
#define CT_BASE_PREAD_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * How many bytes were read: less than len only at the end of the file. -1 with
 * errno.
 */
static inline ssize_t ct_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n =
            pread(fd, (char *)buf + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

#endif
