/*
 * hwloc, see lazy/library.h. What its header defines inline calls functions as
 * if they were linked, and must not be used.
 */
#ifndef CT_LAZY_HWLOC_H
#define CT_LAZY_HWLOC_H

#include "lazy/library.h"

#include <hwloc.h>

#define LAZY_HWLOC(X)                                                          \
    X(hwloc_bitmap_alloc)                                                      \
    X(hwloc_bitmap_and)                                                        \
    X(hwloc_bitmap_first)                                                      \
    X(hwloc_bitmap_free)                                                       \
    X(hwloc_bitmap_intersects)                                                 \
    X(hwloc_bitmap_iszero)                                                     \
    X(hwloc_bitmap_last)                                                       \
    X(hwloc_bitmap_list_snprintf)                                              \
    X(hwloc_bitmap_next)                                                       \
    X(hwloc_bitmap_or)                                                         \
    X(hwloc_bitmap_set)                                                        \
    X(hwloc_bitmap_weight)                                                     \
    X(hwloc_bitmap_zero)                                                       \
    X(hwloc_free_xmlbuffer)                                                    \
    X(hwloc_get_nbobjs_by_depth)                                               \
    X(hwloc_get_obj_by_depth)                                                  \
    X(hwloc_get_type_depth)                                                    \
    X(hwloc_topology_destroy)                                                  \
    X(hwloc_topology_export_xmlbuffer)                                         \
    X(hwloc_topology_init)                                                     \
    X(hwloc_topology_load)                                                     \
    X(hwloc_topology_set_all_types_filter)                                     \
    X(hwloc_topology_set_type_filter)

struct lazy_hwloc {
    LAZY_HWLOC(LAZY_MEMBER)
};

extern struct lazy_hwloc lazy_hwloc;

int lazy_hwloc_load(struct ct_error *reterr);

#define hwloc_bitmap_alloc lazy_hwloc.hwloc_bitmap_alloc
#define hwloc_bitmap_and lazy_hwloc.hwloc_bitmap_and
#define hwloc_bitmap_first lazy_hwloc.hwloc_bitmap_first
#define hwloc_bitmap_free lazy_hwloc.hwloc_bitmap_free
#define hwloc_bitmap_intersects lazy_hwloc.hwloc_bitmap_intersects
#define hwloc_bitmap_iszero lazy_hwloc.hwloc_bitmap_iszero
#define hwloc_bitmap_last lazy_hwloc.hwloc_bitmap_last
#define hwloc_bitmap_list_snprintf lazy_hwloc.hwloc_bitmap_list_snprintf
#define hwloc_bitmap_next lazy_hwloc.hwloc_bitmap_next
#define hwloc_bitmap_or lazy_hwloc.hwloc_bitmap_or
#define hwloc_bitmap_set lazy_hwloc.hwloc_bitmap_set
#define hwloc_bitmap_weight lazy_hwloc.hwloc_bitmap_weight
#define hwloc_bitmap_zero lazy_hwloc.hwloc_bitmap_zero
#define hwloc_free_xmlbuffer lazy_hwloc.hwloc_free_xmlbuffer
#define hwloc_get_nbobjs_by_depth lazy_hwloc.hwloc_get_nbobjs_by_depth
#define hwloc_get_obj_by_depth lazy_hwloc.hwloc_get_obj_by_depth
#define hwloc_get_type_depth lazy_hwloc.hwloc_get_type_depth
#define hwloc_topology_destroy lazy_hwloc.hwloc_topology_destroy
#define hwloc_topology_export_xmlbuffer                                        \
    lazy_hwloc.hwloc_topology_export_xmlbuffer
#define hwloc_topology_init lazy_hwloc.hwloc_topology_init
#define hwloc_topology_load lazy_hwloc.hwloc_topology_load
#define hwloc_topology_set_all_types_filter                                    \
    lazy_hwloc.hwloc_topology_set_all_types_filter
#define hwloc_topology_set_type_filter lazy_hwloc.hwloc_topology_set_type_filter

#endif
