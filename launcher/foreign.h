/*
 * Options that are about ranks which ctrun itself starts.
 */
#ifndef CT_LAUNCHER_FOREIGN_H
#define CT_LAUNCHER_FOREIGN_H

#include "base/error.h"
#include "launcher/options.h"

#include <stdbool.h>

/*
 * Another launcher starts the ranks: refuse what is its matter, but for what an
 * engine can be told (told: we write its command). -1, EINVAL.
 */
int foreign_refuse(const struct options *options, bool told,
                   struct ct_error *reterr);

#endif
