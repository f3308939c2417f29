/*
 * Programs and libraries that have the names, needs and symbols of real ones,
 * and nothing else, made by $CC in the root of an image that never was.
 */
#include "agent/mpi.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/test_mpi.XXXXXX";
static int root;

/* ---- making them ---- */

static bool shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static bool shell(const char *fmt, ...)
{
    char command[1000];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    return system(command) == 0;
}

#define STRING(text)                                                           \
    "extern const char MPII_Version_string[];"                                 \
    "const char MPII_Version_string[] = \\\"" text "\\\";"

/* Source and needs; both empty: a copy of the first, which is so too. */
static const struct {
    const char *path, *source, *needs;
} libraries[] = {
    {"usr/lib/libother.so.1", "", ""},
    {"usr/lib/libmpich.so.12", STRING("4.0.2"), ""},
    {"usr/lib/libmpi.so.12", "void MPI_Abi_get_version(void) {}", ""},
    {"opt/old/libmpi.so.12", "", ""},
    {"opt/odd/libmpi.so.12", STRING("unreleased"), ""},
    {"usr/lib/libmpi_gnu_123.so.12", STRING("9.0"), ""},
    {"usr/lib/libmpi.so.20", "", ""},
    {"usr/lib/libmpi.so.40", "", ""},
    {"usr/lib/libmpi_abi.so.0", STRING("5.0.2"), ""},
    {"usr/lib/libpmi.so.0", "", ""},
    {"usr/lib/libpmi2.so.0", "", ""},
    {"usr/lib/libpmix.so.2", "", ""},
    {"usr/lib/libwrap.so.1", "", "-l:libmpich.so.12"},
    {"usr/lib/libslurmpi.so.1", "", "-l:libpmi2.so.0"},
};

enum { LIBRARIES = sizeof libraries / sizeof libraries[0] };

static bool make_library(int i)
{
    const char *source = libraries[i].source, *needs = libraries[i].needs;

    if (i > 0 && source[0] == '\0' && needs[0] == '\0')
        return shell("cp root/%s root/%s", libraries[0].path,
                     libraries[i].path);
    return shell("echo \"%s\" | $CC -shared -nostdlib -Wl,--no-as-needed"
                 " -o root/%s -x c - -x none -Lroot/usr/lib %s 2> log",
                 source, libraries[i].path, needs);
}

static bool make_object(void)
{
    return shell("echo 'void _start(void) {}' | $CC -c -o start.o -x c -"
                 " 2> log");
}

static bool make_program(const char *name, const char *needs)
{
    return shell("$CC -nostdlib -Wl,--no-as-needed,--allow-shlib-undefined"
                 " -o root/bin/%s start.o -Lroot/usr/lib %s 2> log",
                 name, needs);
}

static bool make_tree(void)
{
    bool made;

    setenv("CC", "cc", 0);
    if (mkdtemp(top) == NULL || chdir(top) < 0)
        return false;
    made = shell("mkdir -p root/bin root/etc root/usr/lib root/opt/old"
                 " root/opt/odd");
    made = made && make_object();
    for (int i = 0; i < LIBRARIES && made; i++)
        made = make_library(i);
    root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return made && root >= 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(void)
{
    if (chdir("/") == 0)
        nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- looking at them ---- */

static struct mpi_info inspect(int rootfd, const char *path,
                               const char *library_path)
{
    struct pack packed = {0};
    struct strv pmi = {0};
    struct unpack details;
    struct mpi_info info;

    memset(&info, 0xff, sizeof info);
    mpi_inspect(path, library_path, rootfd, false, &packed, &pmi);
    strv_clear(&pmi);
    ck_assert(!packed.failed);
    details = (struct unpack){.bytes = packed.bytes, .len = packed.len};
    mpi_unpack(&details, &info);
    ck_assert(!details.failed);
    ck_assert_uint_eq(details.at, details.len);
    free(packed.bytes);
    return info;
}

/* The libraries of PMI that path needs, or (all) that the image has, too. */
static void check_pmi(const char *path, bool all, const char *const *expected)
{
    struct pack packed = {0};
    struct strv pmi = {0};
    struct unpack details;
    struct mpi_info info;
    size_t i;

    mpi_inspect(path, NULL, root, all, &packed, &pmi);
    for (i = 0; expected[i] != NULL; i++) {
        ck_assert_msg(i < pmi.count, "no %s", expected[i]);
        ck_assert_str_eq(pmi.items[i], expected[i]);
    }
    ck_assert_uint_eq(pmi.count, i);
    details = (struct unpack){.bytes = packed.bytes, .len = packed.len};
    mpi_unpack(&details, &info);
    ck_assert_str_eq(info.pmi, i > 0 ? expected[0] : "");
    free(packed.bytes);
    strv_clear(&pmi);
}

static void check_info(const struct mpi_info *info, enum mpi_wire wire,
                       const char *name, unsigned major, const char *library)
{
    ck_assert_str_eq(info->name, name);
    ck_assert_int_eq(info->wire, wire);
    ck_assert_uint_eq(info->major, major);
    ck_assert_str_eq(info->library, library);
}

static const struct linked {
    const char *needs, *library_path;
    enum mpi_wire wire;
    const char *name;
    unsigned major;
    const char *library;
} programs[] = {
    {"-l:libmpich.so.12", NULL, MPI_WIRE_PMI, "MPICH 4.0.2", 4,
     "/usr/lib/libmpich.so.12"},
    {"-l:libmpi.so.12", NULL, MPI_WIRE_PMI, "MPICH 5.x", 5,
     "/usr/lib/libmpi.so.12"},
    {"-l:libmpi.so.12", "/none:/opt/old", MPI_WIRE_PMI, "MPICH", 0,
     "/opt/old/libmpi.so.12"},
    {"-l:libmpi.so.12", "/opt/odd:/opt/old", MPI_WIRE_PMI, "MPICH unreleased",
     0, "/opt/odd/libmpi.so.12"},
    {"-l:libmpi_gnu_123.so.12", NULL, MPI_WIRE_PMI, "Cray MPICH 9.0", 9,
     "/usr/lib/libmpi_gnu_123.so.12"},
    {"-l:libmpi.so.20", NULL, MPI_WIRE_PMIX, "Open MPI", 0,
     "/usr/lib/libmpi.so.20"},
    {"-l:libmpi.so.40", NULL, MPI_WIRE_PMIX, "Open MPI", 0,
     "/usr/lib/libmpi.so.40"},
    {"-l:libmpi_abi.so.0", NULL, MPI_WIRE_PMI, "MPI (standard ABI) 5.0.2", 5,
     "/usr/lib/libmpi_abi.so.0"},
    /* no MPI */
    {"-l:libpmi.so.0", NULL, MPI_WIRE_PMI, "libpmi", 0, "/usr/lib/libpmi.so.0"},
    {"-l:libpmi2.so.0", NULL, MPI_WIRE_PMI, "libpmi2", 0,
     "/usr/lib/libpmi2.so.0"},
    {"-l:libpmix.so.2", NULL, MPI_WIRE_PMIX, "PMIx", 0,
     "/usr/lib/libpmix.so.2"},
    /* the MPI counts, wherever it stands */
    {"-l:libpmix.so.2 -l:libother.so.1 -l:libwrap.so.1", NULL, MPI_WIRE_PMI,
     "MPICH 4.0.2", 4, "/usr/lib/libmpich.so.12"},
    {"-l:libpmi2.so.0 -l:libmpi.so.40", NULL, MPI_WIRE_PMIX, "Open MPI", 0,
     "/usr/lib/libmpi.so.40"},
};

START_TEST(linked_programs)
{
    const struct linked *row = &programs[_i];
    struct mpi_info info;
    char name[20], path[40];

    snprintf(name, sizeof name, "linked%d", _i);
    snprintf(path, sizeof path, "/bin/%s", name);
    ck_assert(make_program(name, row->needs));
    info = inspect(root, path, row->library_path);
    check_info(&info, row->wire, row->name, row->major, row->library);
    ck_assert(info.linked);
}
END_TEST

static void check_nothing(const char *path)
{
    struct mpi_info info = inspect(root, path, NULL);

    check_info(&info, MPI_WIRE_NONE, "", 0, "");
    ck_assert(!info.linked);
}

START_TEST(programs_without_mpi)
{
    ck_assert(make_program("other", "-l:libother.so.1"));
    check_nothing("/bin/other");
    check_nothing("/bin/none");
    check_nothing("/bin");
}
END_TEST

/* ---- what the image merely has ---- */

static void put_32(char *at, unsigned value)
{
    memcpy(at, &value, sizeof value);
}

/* An ld.so.cache, of head, entries and strings, that lists one library. */
static void write_cache(const char *file, const char *name, const char *library)
{
    enum { HEAD = 48, ENTRY = 24 };
    char bytes[1000] = "glibc-ld.so.cache1.1", *entry = bytes + HEAD;
    size_t key = HEAD + ENTRY, value = key + strlen(name) + 1;
    size_t end = value + strlen(library) + 1;
    FILE *cache = fopen(file, "we");

    ck_assert_uint_le(end, sizeof bytes);
    put_32(bytes + 20, 1);
    put_32(bytes + 24, (unsigned)(end - key));
    put_32(entry, 3);
    put_32(entry + 4, (unsigned)key);
    put_32(entry + 8, (unsigned)value);
    strcpy(bytes + key, name);
    strcpy(bytes + value, library);
    ck_assert_uint_eq(fwrite(bytes, 1, end, cache), end);
    fclose(cache);
}

static void write_script(void)
{
    ck_assert(shell("echo '#!/bin/sh' > root/bin/script"));
}

START_TEST(scripts_of_an_image_that_has_an_mpi)
{
    struct mpi_info info;

    write_script();
    write_cache("root/etc/ld.so.cache", "libmpich.so.12",
                "/usr/lib/libmpich.so.12");
    info = inspect(root, "/bin/script", NULL);
    check_info(&info, MPI_WIRE_PMI, "MPICH 4.0.2", 4,
               "/usr/lib/libmpich.so.12");
    ck_assert(!info.linked);
    /* what a program needs itself counts for more */
    ck_assert(make_program("open", "-l:libmpi.so.40"));
    info = inspect(root, "/bin/open", NULL);
    check_info(&info, MPI_WIRE_PMIX, "Open MPI", 0, "/usr/lib/libmpi.so.40");
    ck_assert(info.linked);
}
END_TEST

/* Also the cache must not outdo an MPI that LD_LIBRARY_PATH leads to. */
START_TEST(scripts_of_an_image_that_says_where_its_mpi_is)
{
    struct mpi_info info;

    write_script();
    ck_assert(shell("mkdir -p root/opt/ompi root/opt/pmix;"
                    "cp root/usr/lib/libmpi.so.40 root/opt/ompi;"
                    "cp root/usr/lib/libpmix.so.2 root/opt/pmix;"
                    "rm -f root/etc/ld.so.cache"));
    info = inspect(root, "/bin/script", ":/none:/opt/ompi:/usr/lib");
    check_info(&info, MPI_WIRE_PMIX, "Open MPI", 0, "/opt/ompi/libmpi.so.40");
    ck_assert(!info.linked);
    write_cache("root/etc/ld.so.cache", "libmpich.so.12",
                "/usr/lib/libmpich.so.12");
    info = inspect(root, "/bin/script", "/opt/ompi");
    check_info(&info, MPI_WIRE_PMIX, "Open MPI", 0, "/opt/ompi/libmpi.so.40");
    info = inspect(root, "/bin/script", "/opt/pmix");
    check_info(&info, MPI_WIRE_PMI, "MPICH 4.0.2", 4,
               "/usr/lib/libmpich.so.12");
    ck_assert(shell("rm -r root/opt/ompi root/opt/pmix root/etc/ld.so.cache"));
}
END_TEST

START_TEST(listed_and_not_there)
{
    write_script();
    write_cache("root/etc/ld.so.cache", "libmpich.so.12", "/none/libmpich.so");
    check_nothing("/bin/script");
}
END_TEST

/* Links of the image mean places in the image. */
START_TEST(links_stay_in_the_image)
{
    struct mpi_info info;

    write_script();
    write_cache("root/etc/cache", "libmpich.so.12", "/lib/libmpich.so.12");
    ck_assert(shell("ln -sf /etc/cache root/etc/ld.so.cache;"
                    "ln -s /usr/lib root/lib"));
    info = inspect(root, "/bin/script", NULL);
    check_info(&info, MPI_WIRE_PMI, "MPICH 4.0.2", 4, "/lib/libmpich.so.12");
    ck_assert(shell("ln -sf ../../outside root/etc/ld.so.cache; rm root/lib"));
    write_cache("outside", "libmpich.so.12", "/lib/libmpich.so.12");
    check_nothing("/bin/script");
}
END_TEST

/* ---- libraries of PMI ---- */

#define PMI "/usr/lib/libpmi.so.0"
#define PMI2 "/usr/lib/libpmi2.so.0"

static const struct {
    const char *needs, *found[3], *with_cache[4];
} needing_pmi[] = {
    {"-l:libother.so.1", {NULL}, {"/opt/libpmi2.so.0"}},
    {"-l:libmpi.so.40 -l:libpmix.so.2", {NULL}, {"/opt/libpmi2.so.0"}},
    {"-l:libpmi.so.0", {PMI}, {PMI, "/opt/libpmi2.so.0"}},
    {"-l:libpmi2.so.0 -l:libpmi.so.0",
     {PMI2, PMI},
     {PMI2, PMI, "/opt/libpmi2.so.0"}},
    /* through another, with an MPI or without */
    {"-l:libslurmpi.so.1", {PMI2}, {PMI2, "/opt/libpmi2.so.0"}},
    {"-l:libmpich.so.12 -l:libslurmpi.so.1",
     {PMI2},
     {PMI2, "/opt/libpmi2.so.0"}},
};

START_TEST(libraries_of_pmi)
{
    char name[20], path[40];

    snprintf(name, sizeof name, "pmi%d", _i);
    snprintf(path, sizeof path, "/bin/%s", name);
    ck_assert(make_program(name, needing_pmi[_i].needs));
    ck_assert(shell("rm -f root/etc/ld.so.cache"));
    check_pmi(path, false, needing_pmi[_i].found);
    check_pmi(path, true, needing_pmi[_i].found);
    write_cache("root/etc/ld.so.cache", "libpmi2.so.0", "/opt/libpmi2.so.0");
    check_pmi(path, false, needing_pmi[_i].found);
    check_pmi(path, true, needing_pmi[_i].with_cache);
    ck_assert(shell("rm -f root/etc/ld.so.cache"));
}
END_TEST

/* Whatever the cache has, no other name will do. */
START_TEST(names_that_are_like_those_of_pmi)
{
    static const char *const names[] = {"libpmi.so", "libpmi.so.1",
                                        "libpmi2.so.0.1", "libpmix.so.2",
                                        "xlibpmi.so.0"};
    static const char *const none[] = {NULL};

    write_script();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_cache("root/etc/ld.so.cache", names[i], "/usr/lib/x");
        check_pmi("/bin/script", true, none);
    }
    ck_assert(shell("rm -f root/etc/ld.so.cache"));
}
END_TEST

/* All of the cache, but what the program is linked with is its MPI. */
START_TEST(the_cache_does_not_outdo_the_program)
{
    struct pack packed = {0};
    struct strv pmi = {0};
    struct unpack details;
    struct mpi_info info;

    ck_assert(make_program("open", "-l:libmpi.so.40"));
    write_cache("root/etc/ld.so.cache", "libmpich.so.12",
                "/usr/lib/libmpich.so.12");
    mpi_inspect("/bin/open", NULL, root, true, &packed, &pmi);
    details = (struct unpack){.bytes = packed.bytes, .len = packed.len};
    mpi_unpack(&details, &info);
    check_info(&info, MPI_WIRE_PMIX, "Open MPI", 0, "/usr/lib/libmpi.so.40");
    ck_assert(info.linked);
    ck_assert_uint_eq(pmi.count, 0);
    free(packed.bytes);
    ck_assert(shell("rm -f root/etc/ld.so.cache"));
}
END_TEST

static const char *const odd_caches[] = {
    "true",
    "mkdir root/etc/ld.so.cache",
    "mkfifo root/etc/ld.so.cache",
    "ln -s ld.so.cache root/etc/ld.so.cache",
    "printf glibc-ld.so.cache1.1 > root/etc/ld.so.cache",
    ": > root/etc/ld.so.cache",
    "truncate -s 9000000 root/etc/ld.so.cache",
};

START_TEST(caches_that_are_none)
{
    write_script();
    ck_assert(shell("rm -rf root/etc/ld.so.cache; %s", odd_caches[_i]));
    check_nothing("/bin/script");
    ck_assert(shell("rm -rf root/etc/ld.so.cache"));
}
END_TEST

/* ---- the host's own ---- */

START_TEST(real_mpich)
{
    int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct mpi_info info;
    char path[60];

    if (!shell("echo '#include <mpi.h>\nint main(void) {"
               "return MPI_Init(0, 0); }' |"
               "mpicc.mpich -o real -x c - 2> log")) {
        puts("real_mpich: no mpicc.mpich here");
        close(host);
        return;
    }
    snprintf(path, sizeof path, "%s/real", top);
    info = inspect(host, path, NULL);
    ck_assert_int_eq(info.wire, MPI_WIRE_PMI);
    ck_assert(info.linked);
    ck_assert_int_eq(strncmp(info.name, "MPICH", 5), 0);
    ck_assert_ptr_nonnull(strstr(info.library, "/libmpi"));
    ck_assert_int_eq(access(info.library, R_OK), 0);
    if (info.major > 0)
        ck_assert_uint_ge(info.major, 3);
    close(host);
}
END_TEST

/* ---- what was packed ---- */

START_TEST(bytes_that_make_no_sense)
{
    static const struct mpi_info zero;
    struct pack good = {0};
    struct strv pmi = {0};

    mpi_inspect("/bin/none", NULL, root, false, &good, &pmi);
    strv_clear(&pmi);
    for (size_t len = 0; len < good.len; len++) {
        struct unpack details = {.bytes = good.bytes, .len = len};
        struct mpi_info info;
        memset(&info, 0xff, sizeof info);
        mpi_unpack(&details, &info);
        ck_assert_int_eq(memcmp(&info, &zero, sizeof info), 0);
    }
    free(good.bytes);
}
END_TEST

START_TEST(long_texts_are_cut_off)
{
    struct pack packed = {0};
    struct unpack details;
    struct mpi_info info;
    char text[500];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pack_u32(&packed, MPI_WIRE_PMI);
    pack_u32(&packed, 1);
    pack_u32(&packed, 4);
    pack_str(&packed, text);
    pack_str(&packed, text);
    pack_str(&packed, text);
    details = (struct unpack){.bytes = packed.bytes, .len = packed.len};
    mpi_unpack(&details, &info);
    ck_assert_uint_eq(strlen(info.name), sizeof info.name - 1);
    ck_assert_uint_eq(strlen(info.library), sizeof info.library - 1);
    ck_assert_uint_eq(strlen(info.pmi), sizeof info.pmi - 1);
    free(packed.bytes);
}
END_TEST

static const struct {
    struct mpi_info info;
    bool speaks;
} speakers[] = {
    {{.name = "MPICH 5.0.2", .major = 5}, true},
    {{.name = "MPICH 5.x", .major = 5}, true},
    {{.name = "MPICH 6.1", .major = 6}, true},
    {{.name = "MPICH 4.3.0", .major = 4}, false},
    {{.name = "MPICH", .major = 0}, false},
    {{.name = "Cray MPICH 9.0", .major = 9}, false},
    {{.name = "Open MPI", .major = 5}, false},
    {{.name = "", .major = 0}, false},
};

START_TEST(groups_are_for_mpich_5)
{
    ck_assert(mpi_speaks_pmi12(&speakers[_i].info) == speakers[_i].speaks);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static TCase *make_case(void)
{
    TCase *tc = tcase_create("mpi");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, linked_programs, 0, COUNT(programs));
    tcase_add_test(tc, programs_without_mpi);
    tcase_add_test(tc, scripts_of_an_image_that_has_an_mpi);
    tcase_add_test(tc, scripts_of_an_image_that_says_where_its_mpi_is);
    tcase_add_test(tc, listed_and_not_there);
    tcase_add_test(tc, links_stay_in_the_image);
    tcase_add_loop_test(tc, libraries_of_pmi, 0, COUNT(needing_pmi));
    tcase_add_test(tc, names_that_are_like_those_of_pmi);
    tcase_add_test(tc, the_cache_does_not_outdo_the_program);
    tcase_add_loop_test(tc, caches_that_are_none, 0, COUNT(odd_caches));
    tcase_add_test(tc, real_mpich);
    tcase_add_test(tc, bytes_that_make_no_sense);
    tcase_add_test(tc, long_texts_are_cut_off);
    tcase_add_loop_test(tc, groups_are_for_mpich_5, 0, COUNT(speakers));
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("mpi");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, make_case());
    if (!make_tree()) {
        puts("skipped: $CC makes no shared libraries here");
        remove_tree();
        srunner_free(runner);
        return 77;
    }
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_tree();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
