/*
 * The input is read twice: as the text of a mapping, and as a map, one byte a
 * rank, that must survive its way through the text.
 */
#include "tests/fuzz/target.h"
#include "wire/mapping.h"

#include <errno.h>
#include <limits.h>

enum { RANKS = 4096, UNTOUCHED = UINT_MAX };

static void check_map(const unsigned *map, unsigned size, size_t room)
{
    static unsigned again[RANKS];
    struct ct_error error;
    char *text = malloc(room); /* of its own, so that ASan sees its end */
    long len;

    MUST(text != NULL);
    len = mapping_encode(map, size, text, room, &error);
    if (len >= 0) {
        MUST((size_t)len < room && strlen(text) == (size_t)len);
        MUST(mapping_decode(ct_span(text, (size_t)len), size, again, &error) ==
             0);
        MUST(memcmp(map, again, size * sizeof *map) == 0);
    } else {
        MUST(room < 64 * 1024 || error.code == EINVAL);
    }
    free(text);
}

static void check_text(struct ct_span text, unsigned size)
{
    static unsigned map[RANKS + 1], shorter[RANKS + 1];
    struct ct_error error = {0};

    for (unsigned i = 0; i <= RANKS; i++)
        map[i] = UNTOUCHED;
    if (mapping_decode(text, size, map, &error) < 0) {
        MUST(error.code == EINVAL && strchr(error.text, '\n') == NULL);
        for (unsigned i = 0; i <= RANKS; i++)
            MUST(map[i] == UNTOUCHED);
        return;
    }
    MUST(map[size] == UNTOUCHED);
    MUST(mapping_decode(text, size / 2, shorter, &error) == 0);
    MUST(memcmp(map, shorter, size / 2 * sizeof *map) == 0);
    check_map(map, size, 200 * 1024);
    check_map(map, size, 100);
}

static void check_bytes(const uint8_t *data, unsigned size)
{
    static unsigned map[RANKS];

    for (unsigned i = 0; i < size; i++)
        map[i] = data[i] % 8;
    check_map(map, size, 64 * 1024);
    check_map(map, size, 1 + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ct_span text = ct_span((const char *)data, size);

    check_text(text, 1);
    check_text(text, 12);
    check_text(text, RANKS);
    if (size > 0)
        check_bytes(data, size < RANKS ? (unsigned)size : RANKS);
    return 0;
}
