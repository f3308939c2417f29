/*
 * A frame of the overlay: what agents of different nodes send each other over
 * TCP. A head of fixed size, then as many bytes as it says.
 *
 * Pure: no allocation, no state. Numbers are in the order of the machine, which
 * is the same on all nodes of a job; where it is not, the mark does not fit and
 * the peer is refused as any stranger.
 */
#ifndef CT_WIRE_FRAME_H
#define CT_WIRE_FRAME_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_SECRET_SIZE = 16,
    FRAME_HEAD_SIZE = 16 + FRAME_SECRET_SIZE,
    FRAME_BODY_MAX = 1 << 30,
};

struct frame_head {
    uint32_t kind;
    uint32_t from; /* the sending node */
    uint32_t size; /* bytes that follow */
};

void frame_encode(const struct frame_head *head,
                  const uint8_t secret[FRAME_SECRET_SIZE],
                  char ret[FRAME_HEAD_SIZE]);

/*
 * 0; or -1: EPROTO no frame, or a larger one than FRAME_BODY_MAX; EACCES the
 * secret is another one.
 */
int frame_decode(const char bytes[FRAME_HEAD_SIZE],
                 const uint8_t secret[FRAME_SECRET_SIZE],
                 struct frame_head *ret, struct ct_error *reterr);

#endif
