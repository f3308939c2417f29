#include "launcher/exit.h"

#include "agent/agent.h"

int exit_code_of(const struct agent_failure *failure)
{
    int code = failure->code & 0xff;

    switch (failure->fault) {
    case AGENT_EXITED:
        return code;
    case AGENT_KILLED:
        return EXIT_SIGNAL + code;
    case AGENT_ABORTED:
    case AGENT_EXITING:
        return code != 0 ? code : 1;
    case AGENT_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case AGENT_NOT_RUNNABLE:
        return EXIT_NOT_RUNNABLE;
    default:
        return EXIT_CTRUN;
    }
}

bool exit_is_loss(const struct agent_failure *failure)
{
    return failure->fault == AGENT_EXITED || failure->fault == AGENT_KILLED ||
           failure->fault == AGENT_VANISHED;
}
