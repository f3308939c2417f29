/*
 * A stream of frames as another node may send it, read as the overlay does. The
 * secret is sixteen times 'S', which no fuzzer would guess.
 */
#include "tests/fuzz/target.h"
#include "wire/frame.h"

#include <errno.h>

static const uint8_t secret[FRAME_SECRET_SIZE] = {
    'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S',
    'S', 'S', 'S', 'S', 'S', 'S', 'S', 'S',
};

static void check_head(const char bytes[FRAME_HEAD_SIZE],
                       const struct frame_head *head)
{
    uint8_t other[FRAME_SECRET_SIZE];
    char again[FRAME_HEAD_SIZE];
    struct frame_head unused;

    MUST(head->size <= FRAME_BODY_MAX);
    frame_encode(head, secret, again);
    MUST(memcmp(bytes, again, sizeof again) == 0);
    memcpy(other, secret, sizeof other);
    other[head->from % FRAME_SECRET_SIZE] ^= 1;
    MUST(frame_decode(bytes, other, &unused, NULL) == -1);
}

/* The bytes that the frame at the beginning takes; 0: it is none, or cut. */
static size_t next_frame(const uint8_t *data, size_t size)
{
    struct frame_head head = {4711, 4712, 4713};
    struct ct_error error = {0};
    char *bytes; /* of its own, so that ASan sees its end */
    int rc;

    if (size < FRAME_HEAD_SIZE)
        return 0;
    bytes = malloc(FRAME_HEAD_SIZE);
    MUST(bytes != NULL);
    memcpy(bytes, data, FRAME_HEAD_SIZE);
    rc = frame_decode(bytes, secret, &head, &error);
    if (rc < 0) {
        MUST(error.code == EPROTO || error.code == EACCES);
        MUST(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
        MUST(head.kind == 4711 && head.from == 4712 && head.size == 4713);
    } else {
        check_head(bytes, &head);
    }
    free(bytes);
    return rc < 0 || size - FRAME_HEAD_SIZE < head.size
               ? 0
               : FRAME_HEAD_SIZE + head.size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len;

    for (size_t at = 0; (len = next_frame(data + at, size - at)) > 0; at += len)
        MUST(len <= size - at);
    return 0;
}
