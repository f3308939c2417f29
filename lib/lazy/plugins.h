/*
 * Whoever uses hwloc first, by name or through libpmix, has it load its
 * plugins, which are for devices and for XML of others: with them come X11,
 * OpenCL, libxml2, ICU and libstdc++. All that is asked of hwloc here it knows
 * without.
 */
#ifndef CT_LAZY_PLUGINS_H
#define CT_LAZY_PLUGINS_H

#include <stdbool.h>

/*
 * Have it look for them where there are none, by a variable; false if there is
 * no memory, or if the user has said where to look.
 */
bool plugins_hide(void);

/* Take the variable away, if hidden: it is not for ranks. */
void plugins_show(bool hidden);

#endif
