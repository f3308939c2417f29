/*
 * ld.so.cache as glibc writes it (elf/cache.c, dl-cache.h), in the machine's
 * own byte order:
 *
 * - perhaps an old head, "ld.so-1.7.0", pad, u32 n, and n entries of 12 bytes;
 * - the new head, 48 bytes: "glibc-ld.so.cache" "1.1", u32 n, u32 strings,
 *   u8 endian, pad[3], u32 extensions, pad[12];
 * - n entries: i32 flags, u32 key, u32 value, u32 osversion, u64 hwcap.
 *
 * key and value are offsets of NUL-terminated strings from the new head.
 * An entry with hwcap bits is meant for some processors only: passed over, as
 * the plain variant of a library stands there as well.
 */
#include "elf/closure.h"

#include <stdint.h>
#include <string.h>

enum { OLD_HEAD = 16, OLD_ENTRY = 12, OLD_COUNT = 12 };
enum { NEW_HEAD = 48, NEW_ENTRY = 24, NEW_COUNT = 20, NEW_ENDIAN = 28 };
enum { ENTRY_FLAGS = 0, ENTRY_KEY = 4, ENTRY_VALUE = 8, ENTRY_HWCAP = 16 };
enum { STRING_MAX = 4096 };

/* Of the endian byte: 0 in caches before glibc 2.33, which did not say. */
enum { ENDIAN_UNSET = 0, ENDIAN_LITTLE = 2, ENDIAN_BIG = 3 };

static const char old_magic[] = "ld.so-1.7.0";
static const char new_magic[] = "glibc-ld.so.cache1.1";

struct table {
    struct ct_span bytes; /* from the new head on */
    uint32_t count;
};

static uint32_t u32_at(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t u64_at(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* FLAG_ELF_LIBC6 and the machine's ABI, as ldconfig marks its libraries. */
static uint32_t host_flags(void)
{
#if defined(__x86_64__)
    return 0x0303;
#elif defined(__aarch64__)
    return 0x0a03;
#elif defined(__powerpc64__)
    return 0x0503;
#elif defined(__s390x__)
    return 0x0403;
#elif defined(__riscv_float_abi_double)
    return 0x1003;
#else
    return 0x0003;
#endif
}

static bool starts_with(struct ct_span bytes, const char *word)
{
    size_t len = strlen(word);

    return bytes.len >= len && memcmp(bytes.ptr, word, len) == 0;
}

static struct ct_span skip(struct ct_span bytes, size_t n)
{
    return ct_span(bytes.ptr + n, bytes.len - n);
}

static bool skip_old(struct ct_span *bytes)
{
    uint64_t end;

    if (!starts_with(*bytes, old_magic))
        return true;
    if (bytes->len < OLD_HEAD)
        return false;
    end = OLD_HEAD + (uint64_t)u32_at(bytes->ptr + OLD_COUNT) * OLD_ENTRY;
    end = (end + 7) & ~(uint64_t)7; /* the new head holds 64-bit integers */
    if (end > bytes->len)
        return false;
    *bytes = skip(*bytes, (size_t)end);
    return true;
}

static bool is_our_order(unsigned char endian)
{
    int ours =
        __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ENDIAN_LITTLE : ENDIAN_BIG;

    return (endian & 3) == ENDIAN_UNSET || (endian & 3) == ours;
}

static bool open_table(struct ct_span bytes, struct table *ret)
{
    if (!skip_old(&bytes) || !starts_with(bytes, new_magic) ||
        bytes.len < NEW_HEAD ||
        !is_our_order((unsigned char)bytes.ptr[NEW_ENDIAN]))
        return false;
    ret->bytes = bytes;
    ret->count = u32_at(bytes.ptr + NEW_COUNT);
    return ret->count <= (bytes.len - NEW_HEAD) / NEW_ENTRY;
}

static const char *entry_at(const struct table *table, uint32_t i)
{
    return table->bytes.ptr + NEW_HEAD + (size_t)i * NEW_ENTRY;
}

static bool string_at(const struct table *table, uint32_t offset,
                      struct ct_span *ret)
{
    struct ct_span rest;
    const char *end;

    if (offset >= table->bytes.len)
        return false;
    rest = skip(table->bytes, offset);
    if (rest.len > STRING_MAX)
        rest.len = STRING_MAX;
    end = memchr(rest.ptr, '\0', rest.len);
    if (end == NULL)
        return false;
    *ret = ct_span(rest.ptr, (size_t)(end - rest.ptr));
    return true;
}

static bool is_plain(const char *entry)
{
    return u64_at(entry + ENTRY_HWCAP) == 0;
}

/* Not by string_at(): a lookup passes all entries, and each may be long. */
static bool is_named(const struct table *table, const char *entry,
                     struct ct_span name)
{
    uint32_t offset = u32_at(entry + ENTRY_KEY);
    struct ct_span rest;

    if (offset >= table->bytes.len)
        return false;
    rest = skip(table->bytes, offset);
    return name.len < rest.len && rest.ptr[name.len] == '\0' &&
           memcmp(rest.ptr, name.ptr, name.len) == 0;
}

static bool read_entry(const struct table *table, uint32_t i,
                       struct ct_span *ret_name, struct ct_span *ret_path)
{
    const char *entry = entry_at(table, i);

    return is_plain(entry) &&
           string_at(table, u32_at(entry + ENTRY_KEY), ret_name) &&
           string_at(table, u32_at(entry + ENTRY_VALUE), ret_path);
}

int ldcache_find(struct ct_span cache, const char *name, struct ct_span *ret)
{
    struct ct_span wanted = ct_span_str(name), path, other;
    struct table table;
    bool found = false;

    if (!open_table(cache, &table))
        return -1;
    for (uint32_t i = 0; i < table.count; i++) {
        const char *entry = entry_at(&table, i);
        if (!is_plain(entry) || !is_named(&table, entry, wanted) ||
            !string_at(&table, u32_at(entry + ENTRY_VALUE), &path))
            continue;
        if (u32_at(entry + ENTRY_FLAGS) == host_flags()) {
            *ret = path;
            return 0;
        }
        if (!found)
            other = path;
        found = true;
    }
    if (!found)
        return -1;
    *ret = other;
    return 0;
}

void ldcache_each(struct ct_span cache, ldcache_visit *visit, void *ctx)
{
    struct ct_span name, path;
    struct table table;

    if (!open_table(cache, &table))
        return;
    for (uint32_t i = 0; i < table.count; i++)
        if (read_entry(&table, i, &name, &path) && !visit(ctx, name, path))
            return;
}
