/* The bytes of an ld.so.cache, which an image brings along. */
#include "elf/closure.h"
#include "tests/fuzz/target.h"

enum { LOOKED_UP_MAX = 16 }; /* each is a walk through the whole cache */

struct walk {
    struct ct_span cache;
    size_t seen;
    size_t stop_at;
};

/* What a lookup gave, and whether the walk meets it. */
struct pair {
    struct ct_span name;
    struct ct_span path;
    bool met;
};

/* In the cache, and a C string there. */
static void check_string(struct ct_span cache, struct ct_span string)
{
    size_t at = (size_t)(string.ptr - cache.ptr);

    MUST(string.ptr >= cache.ptr && at < cache.len);
    MUST(string.len < cache.len - at);
    MUST(memchr(string.ptr, '\0', string.len + 1) == string.ptr + string.len);
}

static bool meet(void *ctx, struct ct_span name, struct ct_span path)
{
    struct pair *pair = ctx;

    pair->met =
        ct_span_equal(name, pair->name) && ct_span_equal(path, pair->path);
    return !pair->met;
}

static bool is_found(struct ct_span cache, const char *name)
{
    static const char nothing[] = "";
    struct pair pair = {.name = ct_span_str(name), .path = ct_span(nothing, 0)};

    if (ldcache_find(cache, name, &pair.path) < 0) {
        MUST(pair.path.ptr == nothing && pair.path.len == 0);
        return false;
    }
    check_string(cache, pair.path);
    ldcache_each(cache, meet, &pair);
    MUST(pair.met);
    return true;
}

static bool visit(void *ctx, struct ct_span name, struct ct_span path)
{
    struct walk *walk = ctx;

    check_string(walk->cache, name);
    check_string(walk->cache, path);
    if (walk->seen < LOOKED_UP_MAX)
        MUST(is_found(walk->cache, name.ptr));
    return ++walk->seen != walk->stop_at;
}

static size_t count(struct ct_span cache, size_t stop_at)
{
    struct walk walk = {.cache = cache, .stop_at = stop_at};

    ldcache_each(cache, visit, &walk);
    return walk.seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ct_span cache = ct_span((const char *)data, size);
    size_t all = count(cache, 0);

    MUST(count(cache, 1) == (all > 0));
    MUST(all > 0 || !is_found(cache, "libc.so.6"));
    is_found(cache, "libc.so.6");
    is_found(cache, "");
    return 0;
}
