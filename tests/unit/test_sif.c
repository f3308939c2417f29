#include "container/sif.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Slots of the image that every test begins with; the rest are zero. */
enum { DEFFILE, LABELS, PRIMARY, UNUSED, SLOTS };
enum { HEAD = -1 }; /* instead of a slot: the global header */

enum { FILE_SIZE = 65536, TABLE = 4096, TABLE_SIZE = SLOTS * 585 };
enum { PART = 32768, PART_SIZE = 4096 };

struct sif {
    unsigned char head[SIF_HEADER_SIZE];
    unsigned char slots[SLOTS][SIF_DESCRIPTOR_SIZE];
    struct sif_table table;
    struct sif_partition part;
    struct ct_error err;
};

/* Some bytes of a header or slot, as a little-endian number. */
struct patch {
    int slot;
    size_t at;
    int bytes;
    int64_t value;
};

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static void apply(struct sif *sif, struct patch patch)
{
    unsigned char *to = patch.slot == HEAD ? sif->head : sif->slots[patch.slot];

    put(to + patch.at, (uint64_t)patch.value, patch.bytes);
}

static void make_slot(unsigned char *slot, unsigned type, uint64_t offset,
                      uint64_t size)
{
    put(slot, type, 4);
    put(slot + 4, 1, 1); /* used */
    put(slot + 17, offset, 8);
    put(slot + 25, size, 8);
}

static void make(struct sif *sif)
{
    unsigned char *primary = sif->slots[PRIMARY];

    memset(sif, 0, sizeof *sif);
    memcpy(sif->head + 32, "SIF_MAGIC\00001\00002", 15);
    put(sif->head + 88, SLOTS, 8);
    put(sif->head + 96, TABLE, 8);
    make_slot(sif->slots[DEFFILE], 0x4001, 30000, 30);
    make_slot(sif->slots[LABELS], 0x4006, 30030, 50);
    make_slot(primary, 0x4004, PART, PART_SIZE);
    put(primary + 201, 1, 4); /* squashfs */
    put(primary + 205, 2, 4); /* primary system */
    memcpy(primary + 209, "02", 3);
    memset(&sif->table, 0xa5, sizeof sif->table);
    memset(&sif->part, 0xa5, sizeof sif->part);
}

static int decode(struct sif *sif)
{
    return sif_decode_header(sif->head, sizeof sif->head, FILE_SIZE,
                             &sif->table, &sif->err);
}

static int find(struct sif *sif)
{
    return sif_find_primary(sif->slots[0], sizeof sif->slots, &sif->table,
                            FILE_SIZE, &sif->part, &sif->err);
}

static int read_sif(struct sif *sif)
{
    return decode(sif) < 0 ? -1 : find(sif);
}

static int read_without_error(struct sif *sif)
{
    if (sif_decode_header(sif->head, sizeof sif->head, FILE_SIZE, &sif->table,
                          NULL) < 0)
        return -1;
    return sif_find_primary(sif->slots[0], sizeof sif->slots, &sif->table,
                            FILE_SIZE, &sif->part, NULL);
}

static bool is_untouched(const void *ret, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)ret)[i] != 0xa5)
            return false;
    return true;
}

START_TEST(a_plain_image)
{
    struct sif sif;

    make(&sif);
    ck_assert(sif_is(sif.head, sizeof sif.head));
    ck_assert_msg(read_sif(&sif) == 0, "%s", sif.err.text);
    ck_assert_str_eq(sif.table.arch, "02");
    ck_assert_uint_eq(sif.table.offset, TABLE);
    ck_assert_uint_eq(sif.table.total, SLOTS);
    ck_assert_uint_eq(sif.part.offset, PART);
    ck_assert_uint_eq(sif.part.size, PART_SIZE);
    ck_assert_int_eq(sif.part.fstype, 1);
    ck_assert_str_eq(sif.part.arch, "02");
}
END_TEST

#define NOT_SIF ENOEXEC, "not a SIF file"
#define NO_VERSION ENOTSUP, "SIF of an unknown version (not 01)"
#define NO_ROOT ENOTSUP, "SIF without a root file system: no primary partition"
#define TOTAL(n) EBADMSG, "broken SIF: " n " descriptors, 1 to 4096 are allowed"
#define NEGATIVE(what)                                                         \
    EBADMSG, "broken SIF: the " what " has a negative offset or size"
#define OUTSIDE(what, end)                                                     \
    EBADMSG,                                                                   \
        "truncated SIF: the " what " ends at byte " end ", the file has 65536"

static const struct {
    struct patch patch;
    int code;
    const char *text;
} refusals[] = {
    {{HEAD, 32, 1, 's'}, NOT_SIF},
    {{HEAD, 41, 1, 'S'}, NOT_SIF},
    {{HEAD, 42, 2, '0' | '2' << 8}, NO_VERSION},
    {{HEAD, 42, 2, '1' | '1' << 8}, NO_VERSION},
    {{HEAD, 42, 2, 0}, NO_VERSION},
    {{HEAD, 44, 1, '0'}, NO_VERSION},

    {{HEAD, 88, 8, 0}, TOTAL("0")},
    {{HEAD, 88, 8, -1}, TOTAL("-1")},
    {{HEAD, 88, 8, 4097}, TOTAL("4097")},
    {{HEAD, 88, 8, INT64_C(1) << 32 | 4}, TOTAL("4294967300")},
    {{HEAD, 88, 8, INT64_MAX}, TOTAL("9223372036854775807")},
    {{HEAD, 88, 8, INT64_MIN}, TOTAL("-9223372036854775808")},

    {{HEAD, 88, 8, 4096}, OUTSIDE("descriptor table", "2400256")},
    {{HEAD, 96, 8, FILE_SIZE - TABLE_SIZE + 1},
     OUTSIDE("descriptor table", "65537")},
    {{HEAD, 96, 8, FILE_SIZE}, OUTSIDE("descriptor table", "67876")},
    {{HEAD, 96, 8, INT64_MAX - TABLE_SIZE},
     OUTSIDE("descriptor table", "9223372036854775807")},
    {{HEAD, 96, 8, INT64_MAX - TABLE_SIZE + 1}, NEGATIVE("descriptor table")},
    {{HEAD, 96, 8, INT64_MAX}, NEGATIVE("descriptor table")},
    {{HEAD, 96, 8, INT64_MIN}, NEGATIVE("descriptor table")},
    {{HEAD, 96, 8, -1}, NEGATIVE("descriptor table")},
    {{HEAD, 96, 8, -TABLE_SIZE}, NEGATIVE("descriptor table")},

    {{PRIMARY, 0, 4, 0x4005}, NO_ROOT},
    {{PRIMARY, 0, 4, 0x14004}, NO_ROOT},
    {{PRIMARY, 4, 1, 0}, NO_ROOT},
    {{PRIMARY, 4, 1, 2}, NO_ROOT},
    {{PRIMARY, 205, 4, 0}, NO_ROOT},
    {{PRIMARY, 205, 4, 1}, NO_ROOT},
    {{PRIMARY, 205, 4, 3}, NO_ROOT},
    {{PRIMARY, 205, 4, 4}, NO_ROOT},
    {{PRIMARY, 205, 4, -1}, NO_ROOT},
    {{HEAD, 88, 8, PRIMARY}, NO_ROOT},

    {{PRIMARY, 17, 8, FILE_SIZE - PART_SIZE + 1},
     OUTSIDE("root file system", "65537")},
    {{PRIMARY, 17, 8, FILE_SIZE + 1}, OUTSIDE("root file system", "69633")},
    {{PRIMARY, 17, 8, INT64_MAX - PART_SIZE},
     OUTSIDE("root file system", "9223372036854775807")},
    {{PRIMARY, 17, 8, INT64_MAX}, NEGATIVE("root file system")},
    {{PRIMARY, 17, 8, INT64_MIN}, NEGATIVE("root file system")},
    {{PRIMARY, 17, 8, -1}, NEGATIVE("root file system")},
    {{PRIMARY, 17, 8, -PART_SIZE}, NEGATIVE("root file system")},
    {{PRIMARY, 25, 8, FILE_SIZE - PART + 1},
     OUTSIDE("root file system", "65537")},
    {{PRIMARY, 25, 8, INT64_MAX}, NEGATIVE("root file system")},
    {{PRIMARY, 25, 8, INT64_MIN}, NEGATIVE("root file system")},
    {{PRIMARY, 25, 8, -1}, NEGATIVE("root file system")},
    {{PRIMARY, 25, 8, -PART}, NEGATIVE("root file system")},
};

START_TEST(refused)
{
    struct sif sif;

    make(&sif);
    apply(&sif, refusals[_i].patch);
    ck_assert_int_eq(read_sif(&sif), -1);
    ck_assert_str_eq(sif.err.text, refusals[_i].text);
    ck_assert_int_eq(sif.err.code, refusals[_i].code);
    ck_assert(is_untouched(&sif.part, sizeof sif.part));
    ck_assert_int_eq(read_without_error(&sif), -1);
}
END_TEST

static const struct patch harmless[] = {
    {HEAD, 0, 4, 0},   /* the launch script */
    {HEAD, 80, 8, -1}, /* free slots: nobody needs the number */
    {HEAD, 96, 8, FILE_SIZE - TABLE_SIZE},
    {HEAD, 96, 8, 0},
    {HEAD, 104, 8, -1}, /* the table's size follows from its slots */
    {HEAD, 112, 8, -1},
    {HEAD, 120, 8, -1},
    {HEAD, 88, 8, PRIMARY + 1},
    {LABELS, 17, 8, -1}, /* what we do not read may be anywhere */
    {LABELS, 25, 8, INT64_MAX},
    {LABELS, 0, 4, 0x400a}, /* an OCI index, but a root file system too */
    {UNUSED, 0, 4, 0x4004},
    {PRIMARY, 17, 8, FILE_SIZE - PART_SIZE},
    {PRIMARY, 17, 8, 0},
    {PRIMARY, 25, 8, FILE_SIZE - PART},
    {PRIMARY, 25, 8, 0},
    {PRIMARY, 33, 8, -1}, /* size with padding */
};

START_TEST(taken)
{
    struct sif sif;

    make(&sif);
    apply(&sif, harmless[_i]);
    ck_assert_msg(read_sif(&sif) == 0, "%s", sif.err.text);
    ck_assert_uint_eq(sif.part.fstype, 1);
}
END_TEST

START_TEST(one_primary_among_partitions)
{
    struct sif sif;

    make(&sif);
    memcpy(sif.slots[LABELS], sif.slots[PRIMARY], SIF_DESCRIPTOR_SIZE);
    apply(&sif, (struct patch){LABELS, 205, 4, 3}); /* data */
    apply(&sif, (struct patch){LABELS, 17, 8, 0});
    memcpy(sif.slots[UNUSED], sif.slots[PRIMARY], SIF_DESCRIPTOR_SIZE);
    apply(&sif, (struct patch){UNUSED, 205, 4, 4}); /* overlay */
    apply(&sif, (struct patch){UNUSED, 17, 8, 0});
    ck_assert_msg(read_sif(&sif) == 0, "%s", sif.err.text);
    ck_assert_uint_eq(sif.part.offset, PART);
}
END_TEST

START_TEST(a_primary_alone_and_empty_at_the_end)
{
    struct sif sif;

    make(&sif);
    memcpy(sif.slots[0], sif.slots[PRIMARY], SIF_DESCRIPTOR_SIZE);
    apply(&sif, (struct patch){HEAD, 88, 8, 1});
    apply(&sif, (struct patch){0, 17, 8, FILE_SIZE});
    apply(&sif, (struct patch){0, 25, 8, 0});
    ck_assert_msg(read_sif(&sif) == 0, "%s", sif.err.text);
    ck_assert_uint_eq(sif.table.total, 1);
    ck_assert_uint_eq(sif.part.offset, FILE_SIZE);
    ck_assert_uint_eq(sif.part.size, 0);
}
END_TEST

START_TEST(two_primaries)
{
    struct sif sif;

    make(&sif);
    memcpy(sif.slots[UNUSED], sif.slots[PRIMARY], SIF_DESCRIPTOR_SIZE);
    ck_assert_int_eq(read_sif(&sif), -1);
    ck_assert_int_eq(sif.err.code, EBADMSG);
    ck_assert_str_eq(sif.err.text,
                     "broken SIF: more than one primary partition");
    ck_assert(is_untouched(&sif.part, sizeof sif.part));
    apply(&sif, (struct patch){UNUSED, 4, 1, 0});
    ck_assert_int_eq(read_sif(&sif), 0);
}
END_TEST

START_TEST(oci_sif)
{
    struct sif sif;

    make(&sif);
    apply(&sif, (struct patch){PRIMARY, 0, 4, 0x400b}); /* OCI blob */
    apply(&sif, (struct patch){LABELS, 0, 4, 0x400a});  /* OCI root index */
    ck_assert_int_eq(read_sif(&sif), -1);
    ck_assert_int_eq(sif.err.code, ENOTSUP);
    ck_assert_ptr_nonnull(strstr(sif.err.text, "OCI-SIF"));
    ck_assert_ptr_nonnull(strstr(sif.err.text, "apptainer pull"));
    apply(&sif, (struct patch){LABELS, 4, 1, 0});
    ck_assert_int_eq(read_sif(&sif), -1);
    ck_assert_ptr_null(strstr(sif.err.text, "OCI-SIF"));
}
END_TEST

START_TEST(the_file_ends_in_the_table)
{
    struct sif sif;

    make(&sif);
    ck_assert_int_eq(decode(&sif), 0);
    for (size_t len = 0; len < sizeof sif.slots; len += 45) {
        ck_assert_int_eq(sif_find_primary(sif.slots[0], len, &sif.table,
                                          FILE_SIZE, &sif.part, &sif.err),
                         -1);
        ck_assert_int_eq(sif.err.code, EBADMSG);
        ck_assert_str_eq(
            sif.err.text,
            "truncated SIF: the file ends in its descriptor table");
    }
}
END_TEST

START_TEST(the_file_ends_in_the_header)
{
    struct sif sif;

    make(&sif);
    for (size_t len = 0; len < sizeof sif.head; len++) {
        ck_assert(!sif_is(sif.head, len));
        ck_assert_int_eq(
            sif_decode_header(sif.head, len, FILE_SIZE, &sif.table, &sif.err),
            -1);
        ck_assert_int_eq(sif.err.code, ENOEXEC);
        ck_assert(is_untouched(&sif.table, sizeof sif.table));
    }
}
END_TEST

START_TEST(a_table_of_the_largest_size)
{
    enum { SIZE = SIF_DESCRIPTORS_MAX * SIF_DESCRIPTOR_SIZE };
    unsigned char *slots = calloc(1, SIZE);
    struct sif sif;

    make(&sif);
    ck_assert_ptr_nonnull(slots);
    memcpy(slots + SIZE - SIF_DESCRIPTOR_SIZE, sif.slots[PRIMARY],
           SIF_DESCRIPTOR_SIZE);
    put(sif.head + 88, SIF_DESCRIPTORS_MAX, 8);
    ck_assert_int_eq(sif_decode_header(sif.head, sizeof sif.head, TABLE + SIZE,
                                       &sif.table, &sif.err),
                     0);
    ck_assert_int_eq(sif_find_primary(slots, SIZE, &sif.table, TABLE + SIZE,
                                      &sif.part, &sif.err),
                     0);
    ck_assert_uint_eq(sif.part.offset, PART);
    free(slots);
}
END_TEST

static const struct {
    const char *bytes;
    const char *arch;
} arch_bytes[] = {
    {"04", "04"}, {"99", "99"},       {"\n%", "??"},
    {"", "??"},   {"\xff\x1b", "??"}, {"1", "1?"},
};

START_TEST(arch_of_digits_only)
{
    struct sif sif;

    make(&sif);
    strncpy((char *)sif.head + 45, arch_bytes[_i].bytes, 3);
    strncpy((char *)sif.slots[PRIMARY] + 209, arch_bytes[_i].bytes, 3);
    ck_assert_int_eq(read_sif(&sif), 0);
    ck_assert_str_eq(sif.table.arch, arch_bytes[_i].arch);
    ck_assert_str_eq(sif.part.arch, arch_bytes[_i].arch);
}
END_TEST

static const struct {
    const char *code;
    const char *name;
} archs[] = {
    {"01", "386"},     {"02", "amd64"},    {"03", "arm"},   {"04", "arm64"},
    {"05", "ppc64"},   {"06", "ppc64le"},  {"07", "mips"},  {"08", "mipsle"},
    {"09", "mips64"},  {"10", "mips64le"}, {"11", "s390x"}, {"12", "riscv64"},
    {"13", "loong64"}, {"00", NULL},       {"14", NULL},    {"99", NULL},
    {"??", NULL},      {"2", NULL},        {"", NULL},      {"020", NULL},
};

START_TEST(arch_names)
{
    if (archs[_i].name == NULL)
        ck_assert_ptr_null(sif_arch_name(archs[_i].code));
    else
        ck_assert_str_eq(sif_arch_name(archs[_i].code), archs[_i].name);
}
END_TEST

START_TEST(arch_of_the_host)
{
    ck_assert_uint_eq(strlen(sif_arch_host()), 2);
#if defined(__x86_64__)
    ck_assert_str_eq(sif_arch_name(sif_arch_host()), "amd64");
#elif defined(__aarch64__)
    ck_assert_str_eq(sif_arch_name(sif_arch_host()), "arm64");
#endif
}
END_TEST

static const struct {
    int32_t fstype;
    const char *name;
} fstypes[] = {
    {0, "unknown"},
    {1, "squashfs"},
    {2, "ext3"},
    {3, "archive"},
    {4, "raw"},
    {5, "encrypted squashfs"},
    {6, "gocryptfs squashfs"},
    {7, "unknown"},
    {-1, "unknown"},
    {INT32_MAX, "unknown"},
    {INT32_MIN, "unknown"},
};

START_TEST(fstype_names)
{
    struct sif sif;

    ck_assert_str_eq(sif_fstype_name(fstypes[_i].fstype), fstypes[_i].name);
    make(&sif);
    apply(&sif, (struct patch){PRIMARY, 201, 4, fstypes[_i].fstype});
    ck_assert_int_eq(read_sif(&sif), 0);
    ck_assert_int_eq(sif.part.fstype, fstypes[_i].fstype);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    Suite *suite = suite_create("sif");
    TCase *tc = tcase_create("sif");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60); /* of a busy machine */
    tcase_add_test(tc, a_plain_image);
    tcase_add_loop_test(tc, refused, 0, COUNT(refusals));
    tcase_add_loop_test(tc, taken, 0, COUNT(harmless));
    tcase_add_test(tc, one_primary_among_partitions);
    tcase_add_test(tc, a_primary_alone_and_empty_at_the_end);
    tcase_add_test(tc, two_primaries);
    tcase_add_test(tc, oci_sif);
    tcase_add_test(tc, the_file_ends_in_the_table);
    tcase_add_test(tc, the_file_ends_in_the_header);
    tcase_add_test(tc, a_table_of_the_largest_size);
    tcase_add_loop_test(tc, arch_of_digits_only, 0, COUNT(arch_bytes));
    tcase_add_loop_test(tc, arch_names, 0, COUNT(archs));
    tcase_add_test(tc, arch_of_the_host);
    tcase_add_loop_test(tc, fstype_names, 0, COUNT(fstypes));
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
