#include "client/carry.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

static const char mark[] = "%:", number_mark[] = "%#", head_mark[] = "%+";
static const char digits[] = "0123456789abcdef";

enum { MARK_LEN = sizeof mark - 1, HEX_LEN = 3 /* %XX */ };

static bool has_mark(struct ct_span text, const char *which)
{
    return text.len >= MARK_LEN && memcmp(text.ptr, which, MARK_LEN) == 0;
}

static bool is_plain(const char *value, const char *unsafe)
{
    return value[0] != '\0' && value[strcspn(value, unsafe)] == '\0' &&
           (value[0] != '%' || value[1] == '\0' ||
            strchr(":#+", value[1]) == NULL);
}

const char *carry_encode(const char *value, const char *unsafe, char *buf,
                         size_t size)
{
    size_t len = MARK_LEN;

    if (is_plain(value, unsafe))
        return value;
    if (size <= MARK_LEN)
        return NULL;
    memcpy(buf, mark, MARK_LEN);
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        bool hex = c == '%' || strchr(unsafe, c) != NULL;

        if (len + (hex ? HEX_LEN : 1) >= size)
            return NULL;
        if (hex) {
            buf[len++] = '%';
            buf[len++] = digits[c >> 4];
            buf[len++] = digits[c & 15];
        } else {
            buf[len++] = (char)c;
        }
    }
    buf[len] = '\0';
    return buf;
}

/* FNV-1a */
static uint64_t number_of(const char *key)
{
    uint64_t number = 14695981039346656037u;

    for (; *key != '\0'; key++)
        number = (number ^ (unsigned char)*key) * 1099511628211u;
    return number;
}

const char *carry_key(const char *key, const char *unsafe, char *buf,
                      size_t size)
{
    const char *text = carry_encode(key, unsafe, buf, size);
    int len;

    if (text != NULL && strlen(text) < size)
        return text;
    len = snprintf(buf, size, "%s%016llx", number_mark,
                   (unsigned long long)number_of(key));
    return (size_t)len < size ? buf : NULL;
}

size_t carry_head_write(const struct carry_head *head,
                        char buf[CARRY_HEAD_SIZE])
{
    return (size_t)snprintf(buf, CARRY_HEAD_SIZE, "%s%u-%u-%u:", head_mark,
                            head->rank, head->number, head->more);
}

void carry_piece_key(const struct carry_head *head, unsigned i,
                     char buf[CARRY_HEAD_SIZE])
{
    snprintf(buf, CARRY_HEAD_SIZE, "%s%u-%u-%u", head_mark, head->rank,
             head->number, i);
}

static int cut_number(struct ct_span *text, char end, long max, unsigned *ret)
{
    long number;

    if (ct_span_number(ct_span_cut(text, end), 0, max, &number) < 0)
        return -1;
    *ret = (unsigned)number;
    return 0;
}

int carry_head_read(struct ct_span text, struct carry_head *ret,
                    struct ct_span *ret_piece)
{
    struct carry_head head;

    if (!has_mark(text, head_mark) || memchr(text.ptr, ':', text.len) == NULL)
        return -1;
    text = ct_span(text.ptr + MARK_LEN, text.len - MARK_LEN);
    if (cut_number(&text, '-', INT_MAX, &head.rank) < 0 ||
        cut_number(&text, '-', INT_MAX, &head.number) < 0 ||
        cut_number(&text, ':', CARRY_MORE_MAX, &head.more) < 0 ||
        head.more == 0)
        return -1;
    *ret = head;
    *ret_piece = text;
    return 0;
}

static int digit(char c)
{
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* The byte that text begins with, and what it takes; -1: it is malformed. */
static int next_byte(struct ct_span text, size_t *ret_len)
{
    int high, low;

    *ret_len = 1;
    if (text.ptr[0] != '%')
        return (unsigned char)text.ptr[0];
    if (text.len < HEX_LEN)
        return -1;
    high = digit(text.ptr[1]);
    low = digit(text.ptr[2]);
    *ret_len = HEX_LEN;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

/* Its length; -1: it does not fit; -2: no encoder has written it. */
static long undo(struct ct_span text, char *buf, size_t size)
{
    size_t len = 0, used;

    for (size_t at = MARK_LEN; at < text.len; at += used) {
        int c = next_byte(ct_span(text.ptr + at, text.len - at), &used);

        if (c < 0)
            return -2;
        if (len + 1 >= size)
            return -1;
        buf[len++] = (char)c;
    }
    if (len >= size)
        return -1;
    buf[len] = '\0';
    return (long)len;
}

long carry_decode(struct ct_span text, char *buf, size_t size)
{
    long len = has_mark(text, mark) ? undo(text, buf, size) : -2;

    if (len >= -1)
        return len;
    if (text.len >= size)
        return -1;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    return (long)text.len;
}
