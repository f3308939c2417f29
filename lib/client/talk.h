/*
 * One question and its answer, for both dialects. Private to lib/client.
 */
#ifndef CT_CLIENT_TALK_H
#define CT_CLIENT_TALK_H

#include "client/client.h"

enum {
    /* Slurm reads a PMI-1 line at once, old clients and servers no more */
    TALK_LINE_MAX = 1024,
    TALK_QUESTION_MAX = 2048,
};

/* What is special of a dialect. Each answers as its function of client.h. */
struct client_wire {
    const struct pmi_dialect *dialect;
    int (*begin)(struct client *client, const struct client_start *start,
                 struct ct_error *reterr);
    int (*put)(struct client *client, const char *key, const char *value,
               struct ct_error *reterr);
    int (*fence)(struct client *client, struct ct_error *reterr);

    /* Ask; talk_value() reads the answer. */
    int (*get)(struct client *client, const char *key, struct ct_error *reterr);
    int (*attr)(struct client *client, const char *key,
                struct ct_error *reterr);

    int (*finalize)(struct client *client, struct ct_error *reterr);
    int (*abort)(struct client *client, int exitcode, struct ct_error *reterr);
};

extern const struct client_wire client_wire_1, client_wire_2;

struct client {
    int fd;
    const struct client_wire *wire;
    const struct pmi_dialect *dialect; /* PMI-1's while PMI-2 begins */
    struct client_facts facts;
    bool broken;          /* who speaks next is not known any longer */
    const char *question; /* its command, for errors */
    struct pmi_out out;
    size_t held, used; /* bytes in `in`; those of the answer in msg */
    struct pmi_msg msg;
    char out_bytes[TALK_QUESTION_MAX];
    char in[PMI_FRAME_MAX];
};

/* Begin a question; add to it; ask. command lives until the answer is there. */
void talk_begin(struct client *client, const char *command);
void talk_str(struct client *client, const char *key, const char *value);
void talk_num(struct client *client, const char *key, long value);

/* Send the question. */
int talk_send(struct client *client, struct ct_error *reterr);

/*
 * Send the question and wait for the answer of that name, whatever its rc is.
 * An answer of another name is EREMOTEIO if it has an rc that says no.
 */
int talk_ask(struct client *client, const char *answer,
             struct ct_error *reterr);

/* Wait for one more answer of that name. */
int talk_hear(struct client *client, const char *answer,
              struct ct_error *reterr);

/* 0 if the answer says yes: rc is 0, or is left out as Hydra and Flux do. */
int talk_check(struct client *client, struct ct_error *reterr);

/* talk_ask() and talk_check(). */
int talk_do(struct client *client, const char *answer, struct ct_error *reterr);

/* A word or a number (0 to INT_MAX) that the answer must have. */
int talk_word(struct client *client, const char *key, char *buf, size_t size,
              struct ct_error *reterr);
int talk_number(struct client *client, const char *key, unsigned *ret,
                struct ct_error *reterr);

/* value= of the answer to a get, if there is one. */
int talk_value(struct client *client, char *buf, size_t size, bool *ret_found,
               struct ct_error *reterr);

#endif
