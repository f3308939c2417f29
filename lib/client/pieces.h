/*
 * Pairs of any bytes over a wire that cannot carry all of them, and with
 * values that may become longer by that than a server takes. Private to
 * lib/client; how they look on the wire: carry.h.
 */
#ifndef CT_CLIENT_PIECES_H
#define CT_CLIENT_PIECES_H

#include "client/talk.h"

/* A place where a server keeps pairs. */
struct pieces {
    /* Key and text are as the wire has them. ask leaves an answer in the talk.
     */
    int (*put)(struct client *client, const char *key, const char *text,
               struct ct_error *reterr);
    int (*ask)(struct client *client, const struct client_source *from,
               const char *key, struct ct_error *reterr);
    const char *prefix; /* of keys on the wire; NULL: none */
};

/* Put a value of at most PMI_VALUE_MAX bytes. EMSGSIZE: a line of this server
   has no room even for a piece. */
int pieces_put(struct client *client, const struct pieces *at, const char *key,
               const char *value, struct ct_error *reterr);

/* Get it back. EPROTO, and the talk goes on: not all of it is there. */
int pieces_get(struct client *client, const struct pieces *at,
               const struct client_source *from, const char *key,
               struct client_answer *ret, struct ct_error *reterr);

#endif
