/*
 * --pmi, as the agent has it.
 */
#ifndef CT_LAUNCHER_PMI_H
#define CT_LAUNCHER_PMI_H

#include "agent/agent.h"
#include "launcher/options.h"

static inline enum agent_pmi agent_pmi_of(enum pmi_choice pmi)
{
    static const enum agent_pmi of[] = {
        [PMI_AUTO] = AGENT_PMI_AUTO, [PMI_1] = AGENT_PMI_1,
        [PMI_2] = AGENT_PMI_2,       [PMI_X] = AGENT_PMI_X,
        [PMI_NONE] = AGENT_PMI_NONE,
    };

    return of[pmi];
}

#endif
