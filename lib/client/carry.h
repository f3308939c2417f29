/*
 * Values that a wire cannot carry, as text that it can: "%:" and the value with
 * %XX for what is in the way. What reads it back is the same library in other
 * ranks; a client of another make sees the text as it is. Other values are left
 * alone, unless they begin with "%:" themselves.
 *
 * Pure: no allocation, no state.
 */
#ifndef CT_CLIENT_CARRY_H
#define CT_CLIENT_CARRY_H

#include "base/span.h"

/*
 * unsafe: the bytes that the wire cannot carry; nor does any carry an empty
 * value. Returns value itself, or buf with the text for it, NUL-terminated;
 * NULL when that is longer than size.
 */
const char *carry_encode(const char *value, const char *unsafe, char *buf,
                         size_t size);

/*
 * The value that text stands for, NUL-terminated, into buf[size]: its length,
 * or -1 when it does not fit. Text that no encoder has written is itself.
 */
long carry_decode(struct ct_span text, char *buf, size_t size);

#endif
