/*
 * Ranks that another launcher has started: members of the host's job. Each is a
 * ctrun that has a connection to the agent of its node (SOCK_SEQPACKET), waits
 * there for what it needs, and then turns into the rank in place: pid, CPUs,
 * cgroup, standard streams and exit code stay the host's.
 *
 * This is the member's half; the agent's is agent.h.
 */
#ifndef CT_AGENT_MEMBER_H
#define CT_AGENT_MEMBER_H

#include "base/error.h"

#include <stdbool.h>

struct member_end {
    int exit_code; /* to end with */
    bool told;     /* the agent has said why, or will */
};

/*
 * Wait on fd for the agent, then execute argv as the rank. Returns only when
 * that fails: -1 with the reason, and with what to do about it in *ret.
 */
int member_become(int fd, char *const *argv, struct member_end *ret,
                  struct ct_error *reterr);

/* For the agent's side, as long as there is no struct agent: end with this. */
void member_refuse(int fd, int exit_code);

#endif
