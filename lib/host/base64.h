/*
 * Bytes as text that every PMI carries: base64url without padding (RFC 4648,
 * section 5), letters, digits, '-' and '_'. Pure.
 */
#ifndef CT_HOST_BASE64_H
#define CT_HOST_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Characters that len bytes become, without NUL. */
#define BASE64_LENGTH(len) (((len)*4 + 2) / 3)

/* Write BASE64_LENGTH(len) characters and a NUL. */
void base64_encode(const void *bytes, size_t len, char *ret);

/*
 * Take len characters back: how many bytes, at most size; or -1 when they are
 * not what base64_encode() writes, or more than size.
 */
ssize_t base64_decode(const char *text, size_t len, void *ret, size_t size);

#endif
