/*
 * Values that a wire cannot carry, as text that it can: "%:" and the value with
 * %XX for what is in the way. What reads it back is the same library in other
 * ranks; a client of another make sees the text as it is. Other values are left
 * alone, unless they begin with one of our marks ("%:", "%+", "%#") themselves.
 *
 * Pure: no allocation, no state.
 */
#ifndef CT_CLIENT_CARRY_H
#define CT_CLIENT_CARRY_H

#include "base/span.h"

/* Of the text for a value of len bytes, with NUL. */
#define CARRY_SIZE(len) (3 * (len) + 3)

/*
 * unsafe: the bytes that the wire cannot carry; nor does any carry an empty
 * value. Returns value itself, or buf with the text for it, NUL-terminated;
 * NULL when that is longer than size.
 */
const char *carry_encode(const char *value, const char *unsafe, char *buf,
                         size_t size);

/*
 * The same for a key, which nobody needs to read back: where the text for it is
 * longer than size, "%#" and a number of 64 bits that is made of the key takes
 * its place (PMI has keys of 64 bytes; by chance two of a million such keys get
 * the same one in one of 40 million jobs). NULL: size is too small even for it.
 */
const char *carry_key(const char *key, const char *unsafe, char *buf,
                      size_t size);

/*
 * Text that is longer than a value may be goes under several keys: "%+" with a
 * number for it and how many more pieces there are, and a first piece:
 *
 *      k            %+2-7-2:%:%3b%3b...
 *      %+2-7-1      %3b%3b...
 *      %+2-7-2      ...
 */
struct carry_head {
    unsigned rank, number; /* of the rank that has put it, from 0 on */
    unsigned more;         /* pieces that follow */
};

enum {
    CARRY_MORE_MAX = 99,
    CARRY_HEAD_SIZE = sizeof "%+4294967295-4294967295-99:",
};

/* The length of what is written. */
size_t carry_head_write(const struct carry_head *head,
                        char buf[CARRY_HEAD_SIZE]);

/* 0, and *ret_piece is the first piece; -1: text is not the first of several.
 */
int carry_head_read(struct ct_span text, struct carry_head *ret,
                    struct ct_span *ret_piece);

/* The key of piece i, from 1 on. */
void carry_piece_key(const struct carry_head *head, unsigned i,
                     char buf[CARRY_HEAD_SIZE]);

/*
 * The value that text stands for, NUL-terminated, into buf[size]: its length,
 * or -1 when it does not fit. Text that no encoder has written is itself.
 */
long carry_decode(struct ct_span text, char *buf, size_t size);

#endif
