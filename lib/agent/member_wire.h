/*
 * What agent and member say to each other: one packet a message, made with
 * base/pack.h, its first number one of these.
 */
#ifndef CT_AGENT_MEMBER_WIRE_H
#define CT_AGENT_MEMBER_WIRE_H

enum member_message {
    /* To the member: which descriptors follow (bits), the rank's own variables,
       then what the zygote lends (container/zygote.h). */
    MEMBER_RUN = 1,
    /* To the member: exit code. */
    MEMBER_REFUSED,
    /* To the agent: error code, text; the member ends. */
    MEMBER_FAILED,
};

enum {
    MEMBER_HAS_CONTAINER = 1 << 0, /* user namespace, mount namespace */
    MEMBER_HAS_PMI = 1 << 1,
    MEMBER_CONTINUES = 1 << 2, /* no descriptor: others of the job may die */
};

#endif
