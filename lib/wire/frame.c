#include "wire/frame.h"

#include <errno.h>
#include <string.h>

static const uint32_t mark = 0x63740001; /* the last digits are the version */

void frame_encode(const struct frame_head *head,
                  const uint8_t secret[FRAME_SECRET_SIZE],
                  char ret[FRAME_HEAD_SIZE])
{
    const uint32_t words[] = {mark, head->kind, head->from, head->size};

    memcpy(ret, words, sizeof words);
    memcpy(ret + sizeof words, secret, FRAME_SECRET_SIZE);
}

/* How long it takes tells nothing of where they differ. */
static int differ(const char *a, const uint8_t *b)
{
    unsigned difference = 0;

    for (size_t i = 0; i < FRAME_SECRET_SIZE; i++)
        difference |= (unsigned)(uint8_t)a[i] ^ b[i];
    return difference != 0;
}

int frame_decode(const char bytes[FRAME_HEAD_SIZE],
                 const uint8_t secret[FRAME_SECRET_SIZE],
                 struct frame_head *ret, struct ct_error *reterr)
{
    uint32_t words[4];

    memcpy(words, bytes, sizeof words);
    if (words[0] != mark)
        return ct_fail(reterr, EPROTO, "no frame of this version of ctrun");
    if (differ(bytes + sizeof words, secret))
        return ct_fail(reterr, EACCES, "not the job's secret");
    if (words[3] > FRAME_BODY_MAX)
        return ct_fail(reterr, EPROTO, "a frame of %u bytes", words[3]);
    *ret = (struct frame_head){
        .kind = words[1], .from = words[2], .size = words[3]};
    return 0;
}
