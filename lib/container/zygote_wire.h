/*
 * What ctrun and the zygote say to each other: one packet a message, made with
 * base/pack.h, its first number one of these. Descriptors travel with START.
 */
#ifndef CT_CONTAINER_ZYGOTE_WIRE_H
#define CT_CONTAINER_ZYGOTE_WIRE_H

#include "container/zygote.h"

enum {
    ZYGOTE_MSG_PREPARE = 100, /* app, plan, workdir, path, argv */
    ZYGOTE_MSG_RANK,          /* id, app, group, fd mask, cpus, env */
    ZYGOTE_MSG_SIGNAL,        /* id, signal */
    ZYGOTE_MSG_LEND,          /* app */
    ZYGOTE_MSG_ADOPT,         /* id, pid; its pidfd */
    ZYGOTE_MSG_ALIVE,         /* nothing */
    /* answers: enum zygote_event_kind, and what it names */
};

/* Everything that the process does after it is forked. */
_Noreturn void zygote_main(const struct zygote_config *config, int control);

#endif
