#include "host/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz"
                             "0123456789-_";

void base64_encode(const void *bytes, size_t len, char *ret)
{
    const unsigned char *from = bytes;
    unsigned bits = 0;
    uint32_t held = 0;

    for (size_t i = 0; i < len; i++) {
        held = held << 8 | from[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *ret++ = digits[held >> (bits - 6) & 63];
    }
    if (bits > 0)
        *ret++ = digits[held << (6 - bits) & 63];
    *ret = '\0';
}

static int digit_value(char c)
{
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

ssize_t base64_decode(const char *text, size_t len, void *ret, size_t size)
{
    unsigned char *to = ret;
    unsigned bits = 0;
    uint32_t held = 0;

    if (len % 4 == 1 || len * 3 / 4 > size)
        return -1;
    for (size_t i = 0; i < len; i++) {
        int value = digit_value(text[i]);

        if (value < 0)
            return -1;
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8)
            *to++ = (unsigned char)(held >> (bits -= 8));
    }
    /* bits that are left over say nothing */
    return (held & ((1U << bits) - 1)) == 0 ? (ssize_t)(len * 3 / 4) : -1;
}
