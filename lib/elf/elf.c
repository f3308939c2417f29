/*
 * As the loader does it, the dynamic section is found through the program
 * headers, so a file without section headers is read too. libelf gives the
 * structures in host order whatever the file's class and byte order; addresses
 * and lengths in them are the file's own claims, so each is bounded here.
 */
#include "elf/elf.h"

#include "base/pread.h"

#include <errno.h>
#include <gelf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a sane file stays far below; more is refused or cut. */
enum {
    SEGMENTS_MAX = 1024,
    DYNAMIC_MAX = 4096,   /* entries */
    STRING_MAX = 8192,    /* bytes of one string */
    SECTION_MAX = 1 << 28 /* bytes of .dynsym or .dynstr */
};

/* No string starts behind it, so that an off_t holds where it ends. */
static const uint64_t place_max = INT64_MAX - STRING_MAX;

#define AUTO_ELF __attribute__((cleanup(scope_end)))

/* Bytes of the file that an address range of the program is loaded from. */
struct extent {
    uint64_t offset;
    uint64_t size;
};

struct strings {
    int fd;
    struct extent table; /* DT_STRTAB, DT_STRSZ */
};

static void scope_end(Elf **elf)
{
    if (*elf != NULL)
        elf_end(*elf);
}

static int fail_broken(struct ct_error *reterr, const char *what)
{
    return ct_fail(reterr, ENOEXEC, "broken ELF file: %s", what);
}

static int check_magic(int fd, struct ct_error *reterr)
{
    char magic[SELFMAG];
    struct stat st;
    ssize_t len;

    if (fstat(fd, &st) < 0)
        return ct_fail_errno(reterr, "cannot stat");
    if (!S_ISREG(st.st_mode))
        return ct_fail(reterr, ENOEXEC, "not a regular file");
    len = ct_pread(fd, magic, sizeof magic, 0);
    if (len < 0)
        return ct_fail(reterr, EIO, "cannot read: %s", strerror(errno));
    if (len != SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0)
        return ct_fail(reterr, ENOEXEC, "not an ELF file");
    return 0;
}

/* Not ELF_C_READ_MMAP: an image that shrinks meanwhile would be a SIGBUS. */
static Elf *begin(int fd, struct ct_error *reterr)
{
    Elf *elf;

    if (check_magic(fd, reterr) < 0)
        return NULL;
    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ, NULL);
    if (elf != NULL && elf_kind(elf) == ELF_K_ELF)
        return elf;
    if (elf != NULL)
        elf_end(elf);
    fail_broken(reterr, "bad header");
    return NULL;
}

static size_t segment_count(Elf *elf)
{
    size_t count;

    if (elf_getphdrnum(elf, &count) < 0)
        return 0;
    return count < SEGMENTS_MAX ? count : SEGMENTS_MAX;
}

static int find_segment(Elf *elf, GElf_Word type, struct extent *ret)
{
    size_t count = segment_count(elf);
    GElf_Phdr ph;

    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &ph) != NULL && ph.p_type == type) {
            *ret = (struct extent){ph.p_offset, ph.p_filesz};
            return 0;
        }
    return -1;
}

static int locate(Elf *elf, uint64_t address, struct extent *ret)
{
    size_t count = segment_count(elf);
    GElf_Phdr ph;

    for (size_t i = 0; i < count; i++) {
        if (gelf_getphdr(elf, (int)i, &ph) == NULL || ph.p_type != PT_LOAD)
            continue;
        if (address < ph.p_vaddr || address - ph.p_vaddr >= ph.p_filesz)
            continue;
        uint64_t skip = address - ph.p_vaddr;
        if (ph.p_offset > INT64_MAX || skip > INT64_MAX - ph.p_offset)
            continue;
        *ret = (struct extent){ph.p_offset + skip, ph.p_filesz - skip};
        return 0;
    }
    return -1;
}

/* A NUL-terminated string at `at` within the extent, to free(). */
static int read_string(int fd, struct extent from, uint64_t at, char **ret,
                       struct ct_error *reterr)
{
    char buf[STRING_MAX];
    size_t room;
    ssize_t len;

    if (at >= from.size || from.offset > place_max ||
        at > place_max - from.offset)
        return fail_broken(reterr, "a string lies outside its table");
    room = from.size - at < sizeof buf ? (size_t)(from.size - at) : sizeof buf;
    len = ct_pread(fd, buf, room, from.offset + at);
    if (len < 0)
        return ct_fail(reterr, EIO, "cannot read: %s", strerror(errno));
    if (memchr(buf, '\0', (size_t)len) == NULL)
        return fail_broken(reterr, "a string does not end");
    *ret = strdup(buf);
    return *ret != NULL ? 0 : ct_fail_nomem(reterr);
}

static int read_interpreter(Elf *elf, int fd, struct elf_info *info,
                            struct ct_error *reterr)
{
    struct extent segment;

    if (find_segment(elf, PT_INTERP, &segment) < 0)
        return 0;
    return read_string(fd, segment, 0, &info->interpreter, reterr);
}

/* The entries before DT_NULL. */
static Elf_Data *read_dynamic(Elf *elf, struct extent segment,
                              size_t *ret_count)
{
    size_t entry = gelf_fsize(elf, ELF_T_DYN, 1, EV_CURRENT);
    size_t count = DYNAMIC_MAX;
    size_t used = 0;
    Elf_Data *data;
    GElf_Dyn dyn;

    if (entry == 0 || segment.offset > INT64_MAX)
        return NULL;
    if (segment.size / entry < count)
        count = segment.size / entry;
    data = elf_getdata_rawchunk(elf, (int64_t)segment.offset, count * entry,
                                ELF_T_DYN);
    if (data == NULL)
        return NULL;
    while (used < count && gelf_getdyn(data, (int)used, &dyn) != NULL &&
           dyn.d_tag != DT_NULL)
        used++;
    *ret_count = used;
    return data;
}

static int find_strings(Elf *elf, Elf_Data *data, size_t count,
                        struct extent *ret)
{
    uint64_t address = 0;
    uint64_t size = 0;
    GElf_Dyn dyn;

    for (size_t i = 0; i < count; i++) {
        gelf_getdyn(data, (int)i, &dyn);
        if (dyn.d_tag == DT_STRTAB)
            address = dyn.d_un.d_ptr;
        else if (dyn.d_tag == DT_STRSZ)
            size = dyn.d_un.d_val;
    }
    if (address == 0 || locate(elf, address, ret) < 0)
        return -1;
    if (size < ret->size)
        ret->size = size;
    return 0;
}

static char **field_of(struct elf_info *info, GElf_Sxword tag)
{
    switch (tag) {
    case DT_SONAME:
        return &info->soname;
    case DT_RPATH:
        return &info->rpath;
    case DT_RUNPATH:
        return &info->runpath;
    default:
        return NULL;
    }
}

static int take_entry(const struct strings *strings, const GElf_Dyn *dyn,
                      struct elf_info *info, struct ct_error *reterr)
{
    char **field = field_of(info, dyn->d_tag);
    char *text;
    int rc = 0;

    if (field == NULL && dyn->d_tag != DT_NEEDED)
        return 0;
    if (read_string(strings->fd, strings->table, dyn->d_un.d_val, &text,
                    reterr) < 0)
        return -1;
    if (field != NULL) {
        free(*field); /* given twice: the loader too takes the last */
        *field = text;
        return 0;
    }
    if (strv_add(&info->needed, text) < 0)
        rc = ct_fail_nomem(reterr);
    free(text);
    return rc;
}

static int take_dynamic(Elf *elf, int fd, struct elf_info *info,
                        struct ct_error *reterr)
{
    struct strings strings = {.fd = fd};
    struct extent segment;
    size_t count;
    Elf_Data *data;
    GElf_Dyn dyn;

    if (find_segment(elf, PT_DYNAMIC, &segment) < 0)
        return 0; /* a static program */
    data = read_dynamic(elf, segment, &count);
    if (data == NULL)
        return fail_broken(reterr, "no dynamic section where it should be");
    if (find_strings(elf, data, count, &strings.table) < 0)
        return fail_broken(reterr, "no dynamic string table");
    for (size_t i = 0; i < count; i++) {
        gelf_getdyn(data, (int)i, &dyn);
        if (take_entry(&strings, &dyn, info, reterr) < 0)
            return -1;
    }
    return 0;
}

/* libelf counts those that are in the file, however many there should be. */
static bool has_all_segments(Elf *elf, const GElf_Ehdr *header)
{
    GElf_Phdr ph;
    size_t count;

    if (elf_getphdrnum(elf, &count) < 0)
        return false;
    if (header->e_phnum != PN_XNUM && count < header->e_phnum)
        return false;
    return count == 0 || gelf_getphdr(elf, 0, &ph) != NULL;
}

int elf_read(int fd, struct elf_info *ret, struct ct_error *reterr)
{
    AUTO_ELF Elf *elf = begin(fd, reterr);
    struct elf_info info = {0};
    GElf_Ehdr header;

    if (elf == NULL)
        return -1;
    if (gelf_getehdr(elf, &header) == NULL)
        return fail_broken(reterr, "bad header");
    if (!has_all_segments(elf, &header))
        return fail_broken(reterr, "it ends within its program headers");
    info.machine = header.e_machine;
    info.elfclass = gelf_getclass(elf);
    if (read_interpreter(elf, fd, &info, reterr) < 0 ||
        take_dynamic(elf, fd, &info, reterr) < 0) {
        elf_info_clear(&info);
        return -1;
    }
    *ret = info;
    return 0;
}

void elf_info_clear(struct elf_info *info)
{
    free(info->interpreter);
    free(info->soname);
    free(info->rpath);
    free(info->runpath);
    strv_clear(&info->needed);
    *info = (struct elf_info){0};
}

static bool is_sane_section(Elf_Scn *scn, GElf_Word type, GElf_Shdr *ret)
{
    return scn != NULL && gelf_getshdr(scn, ret) != NULL &&
           ret->sh_type == type && ret->sh_size <= SECTION_MAX;
}

static Elf_Data *dynamic_symbols(Elf *elf, GElf_Shdr *ret)
{
    Elf_Scn *scn = NULL;
    GElf_Shdr names;

    while ((scn = elf_nextscn(elf, scn)) != NULL)
        if (is_sane_section(scn, SHT_DYNSYM, ret) &&
            is_sane_section(elf_getscn(elf, ret->sh_link), SHT_STRTAB, &names))
            return elf_getdata(scn, NULL);
    return NULL;
}

static bool is_exported(const GElf_Sym *sym, int type)
{
    return sym->st_shndx != SHN_UNDEF && GELF_ST_TYPE(sym->st_info) == type &&
           GELF_ST_BIND(sym->st_info) != STB_LOCAL;
}

/* type: STT_OBJECT, STT_FUNC */
static int find_symbol(Elf *elf, const char *name, int type, GElf_Sym *ret)
{
    GElf_Shdr header;
    Elf_Data *data = dynamic_symbols(elf, &header);

    for (int i = 0; data != NULL && gelf_getsym(data, i, ret) != NULL; i++) {
        if (!is_exported(ret, type))
            continue;
        const char *found = elf_strptr(elf, header.sh_link, ret->st_name);
        if (found != NULL && strcmp(found, name) == 0)
            return 0;
    }
    return -1;
}

int elf_read_string_symbol(int fd, const char *name, char *buf, size_t size,
                           struct ct_error *reterr)
{
    AUTO_ELF Elf *elf = begin(fd, reterr);
    struct extent bytes;
    GElf_Sym sym;
    char *text;
    int rc = 0;

    if (elf == NULL)
        return -1;
    if (find_symbol(elf, name, STT_OBJECT, &sym) < 0)
        return ct_fail(reterr, ENOENT, "no data symbol %s", name);
    if (locate(elf, sym.st_value, &bytes) < 0)
        return fail_broken(reterr, "a symbol lies outside the file");
    if (sym.st_size < bytes.size)
        bytes.size = sym.st_size;
    if (read_string(fd, bytes, 0, &text, reterr) < 0)
        return -1;
    if (strlen(text) < size)
        strcpy(buf, text);
    else
        rc = ct_fail(reterr, ENOSPC, "the text of %s is too long", name);
    free(text);
    return rc;
}

bool elf_has_function(int fd, const char *name)
{
    AUTO_ELF Elf *elf = begin(fd, NULL);
    GElf_Sym sym;

    return elf != NULL && find_symbol(elf, name, STT_FUNC, &sym) == 0;
}
