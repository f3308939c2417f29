/*
 * Where this ctrun's libpmi.so.0 and libpmi2.so.0 are.
 */
#ifndef CT_LAUNCHER_LIBPMI_H
#define CT_LAUNCHER_LIBPMI_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The directory that has both: $CTRUN_LIBDIR if that is set, else where they
 * were built, if ctrun runs from there, else where they are installed. false:
 * there are none.
 */
bool libpmi_find(char *buf, size_t size);

#endif
