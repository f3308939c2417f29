#include "launcher/foreign.h"

#include <errno.h>
#include <stddef.h>

int foreign_refuse(const struct options *options, bool told,
                   struct ct_error *reterr)
{
    const struct {
        const char *name;
        bool given;
    } rows[] = {
        {"--bind-to", options->bind.to != BIND_NONE && !told},
        {"--map-by", options->bind.by != BIND_NONE},
        {"--oversubscribe", options->bind.oversubscribe},
        {"--report-bindings", options->report_bindings && !told},
        {"--label", options->label && !told},
        {"--output", options->output != NULL},
        {"--stdin",
         options->stdin_to != STDIN_RANK || options->stdin_rank != 0},
        {"--timeout", options->timeout > 0},
        {"--pset", options->psets.count > 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].given)
            return ct_fail(reterr, EINVAL,
                           "%s is for ranks that ctrun itself starts, with -n; "
                           "here another launcher does: ask that one",
                           rows[i].name);
    return 0;
}
