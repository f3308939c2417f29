/*
 * One question and its answer, for both dialects. Private to lib/client.
 */
#ifndef CT_CLIENT_TALK_H
#define CT_CLIENT_TALK_H

#include "client/carry.h"
#include "client/ops.h"

enum {
    /* Slurm reads a PMI-1 line at once, old servers no more */
    TALK_LINE_MAX = 1024,
    TALK_LINE_LONG = 2048, /* any key with any value */
};

/* What two dialects do differently. Each answers as its function of client.h,
   or asks and leaves the answer in msg. */
struct talk_wire {
    const struct client_ops *ops;
    const struct pmi_dialect *dialect;
    int (*begin)(struct client *client, const struct client_start *start,
                 struct ct_error *reterr);
    /* bytes that a value, and a key, cannot have (carry.h) */
    const char *unsafe, *unsafe_in_key;
};

extern const struct talk_wire talk_wire_1, talk_wire_2;

struct talk {
    struct client client;
    int fd;
    const struct talk_wire *wire;
    const struct pmi_dialect *dialect; /* PMI-1's while PMI-2 begins */
    bool is_slurm;  /* or ctrun: PMI_JOBID is set, a fence of PMI-2 waits */
    bool broken;    /* who speaks next is not known any longer */
    bool groups;    /* the server speaks PMI-1.2 */
    int subversion; /* of PMI-1, that we ask for */
    struct client_barrier *barriers; /* under way, the last one first */
    unsigned cut_values;             /* put in pieces so far */
    char node_prefix[32]; /* of keys of the node, where that is PMI-1; "" before
                             it is known */
    const char *question; /* its command, for errors */
    struct pmi_out out;
    size_t held, used; /* bytes in `in`; those of the answer in msg */
    struct pmi_msg msg;
    char carried[CARRY_SIZE(CLIENT_VALUE_SIZE)]; /* a value, encoded */
    char jobid[PMI_KVSNAME_MAX];                 /* PMI_JOBID */
    char out_bytes[PMI_FRAME_MAX];
    char in[PMI_FRAME_MAX];
};

static inline struct talk *talk_of(struct client *client)
{
    return (struct talk *)client; /* its first member */
}

/* Bytes that a question may have. */
size_t talk_line_max(const struct talk *talk);

/* Begin a question; add to it; ask. command lives until the answer is there. */
void talk_begin(struct client *client, const char *command);
/* The same for one more block, whose lines talk_str() and talk_num() write. */
void talk_begin_block(struct client *client, const char *command);
void talk_end_block(struct client *client);
void talk_str(struct client *client, const char *key, const char *value);
void talk_num(struct client *client, const char *key, long value);

/* The same for a value that the wire may not be able to carry. */
void talk_value_of(struct client *client, const char *key, const char *value);

/* The same for "arg1" and its like: a key that ends in a number. */
void talk_item(struct client *client, const char *prefix, size_t number,
               const char *value);

/* The pairs of a spawn, their number before them: what the children find in
   their KVS, and what is told to the server. */
void talk_preputs(struct client *client, const char *number,
                  const char *key_prefix, const char *value_prefix,
                  const struct client_spawn *spawn);
void talk_infos(struct client *client, const char *number,
                const char *key_prefix, const char *value_prefix,
                const struct client_command *command);

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

/* What stands under key of the answer to a get, if there is something. It is
   valid until the next question. */
int talk_text(struct client *client, const char *key, struct ct_span *ret,
              bool *ret_found, struct ct_error *reterr);

/* The value that it stands for. */
int talk_decode(struct client *client, struct ct_span text,
                struct client_answer *ret, struct ct_error *reterr);

/* Both. */
int talk_value(struct client *client, const char *key,
               struct client_answer *ret, struct ct_error *reterr);

/* Ask, and the same; answer as in talk_ask(). */
int talk_get(struct client *client, const char *answer, const char *key,
             struct client_answer *ret, struct ct_error *reterr);

/* Of PMI-1.2: barrier_in has been sent for it. Its answer is told by its tag,
   and may come before that to any other question. */
void talk_add_barrier(struct client *client, struct client_barrier *barrier);
int talk_barrier_test(struct client *client, struct client_barrier *barrier,
                      bool *ret_over, struct ct_error *reterr);
void talk_barrier_forget(struct client *client, struct client_barrier *barrier);
int talk_fd(const struct client *client);

/* What both dialects do alike. The question is one for our job's id, that the
   answer has under key. */
int talk_jobid(struct client *client, const char *question, const char *answer,
               const char *key, struct ct_error *reterr);
int talk_reopen(struct client *client, struct ct_error *reterr);
void talk_close(struct client *client);

#endif
