/*
 * The machine, so that not every rank has to look at it; and which CPUs a bound
 * rank has, and what of the machine these are part of, as libpmix writes it:
 * MPIs tell by it which ranks share a cache or a socket.
 */
#include "guest/pmix/state.h"

#include <sched.h>
#include <stdlib.h>

#ifdef HAVE_HWLOC
#include "lazy/hwloc.h"

/*
 * As XML of hwloc 2, which every hwloc of guests can read; libpmix would share
 * memory, of a layout that only the same hwloc knows.
 */
void topology_add(struct infolist *ret)
{
    pmix_topology_t machine = {0}; /* libpmix's own: not to be freed */
    char *xml = NULL;
    int len;

    if (lazy_hwloc_load(NULL) < 0 ||
        PMIx_Load_topology(&machine) != PMIX_SUCCESS ||
        machine.topology == NULL ||
        hwloc_topology_export_xmlbuffer(machine.topology, &xml, &len, 0) < 0)
        return; /* then each rank looks for itself */
    infolist_string(ret, PMIX_HWLOC_XML_V2, xml);
    hwloc_free_xmlbuffer(machine.topology, xml);
}

static hwloc_bitmap_t bitmap_of(const cpu_set_t *cpus, size_t size)
{
    hwloc_bitmap_t bitmap = hwloc_bitmap_alloc();

    for (unsigned cpu = 0; bitmap != NULL && cpu < size * 8; cpu++)
        if (CPU_ISSET_S(cpu, size, cpus))
            hwloc_bitmap_set(bitmap, cpu);
    return bitmap;
}

static void add_string(struct infolist *ret, const char *key,
                       pmix_status_t (*generate)(const pmix_cpuset_t *cpuset,
                                                 char **text),
                       const pmix_cpuset_t *cpuset)
{
    char *text = NULL;

    if (generate(cpuset, &text) == PMIX_SUCCESS && text != NULL)
        infolist_string(ret, key, text);
    free(text);
}

void locality_add(struct infolist *ret, const void *cpus, size_t size)
{
    char source[] = "hwloc";
    pmix_cpuset_t cpuset = {.source = source};
    hwloc_bitmap_t bitmap;

    if (lazy_hwloc_load(NULL) < 0)
        return; /* ranks are bound by another launcher */
    bitmap = bitmap_of(cpus, size);
    cpuset.bitmap = bitmap;
    if (bitmap == NULL) {
        ret->failed = true;
        return;
    }
    add_string(ret, PMIX_CPUSET, PMIx_server_generate_cpuset_string, &cpuset);
    add_string(ret, PMIX_LOCALITY_STRING, PMIx_server_generate_locality_string,
               &cpuset);
    hwloc_bitmap_free(bitmap);
}
#else
void topology_add(struct infolist *ret)
{
    (void)ret;
}

/* Nor are ranks bound then. */
void locality_add(struct infolist *ret, const void *cpus, size_t size)
{
    (void)ret;
    (void)cpus;
    (void)size;
}
#endif
