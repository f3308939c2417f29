/*
 * One PMI message, in either dialect: a command word and key=value pairs.
 *
 * Bytes in, struct out. Nothing here reads, allocates, looks at a clock or
 * keeps state. Spans point into the caller's frame and live as long as it does.
 *
 * The two dialects differ in framing and separators alone:
 *   PMI-1  "cmd=get kvsname=k key=a\n", and "mcmd=spawn\n ... endcmd\n", whose
 *          lines are one pair each, value to the end of the line;
 *   PMI-2  six ASCII bytes of decimal length, then "cmd=kvs-get;key=a;".
 * Source: MPICH src/pmi/maint/pmi-1.1.txt, pmi-1.2.txt and PMI 2 (wire); what
 * clients really send: lib/wire/wire.md.
 */
#ifndef CT_WIRE_MSG_H
#define CT_WIRE_MSG_H

#include "base/error.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Limits we announce and hold; the reasons stand in lib/wire/wire.md. */
enum {
    PMI_KVSNAME_MAX = 256, /* with NUL, as Hydra and Slurm announce */
    PMI_KEY_MAX = 64,
    PMI_VALUE_MAX = 1024, /* MPICH and MVAPICH2 crash on a larger maximum */
    PMI_FRAME_MAX = 64 * 1024, /* one frame, either dialect */
    PMI_PAIRS_MAX = 4096,
};

struct pmi_pair {
    struct ct_span key;
    struct ct_span value; /* len 0 when the token had no '=' or nothing after;
                             PMI-2: with every ";;" as it came */
};

struct pmi_msg {
    struct ct_span command; /* value of the leading cmd= or mcmd= pair */
    size_t count;           /* pairs after the command */
    struct pmi_pair pairs[PMI_PAIRS_MAX];
};

/* Value of the first pair with exactly this key, or NULL. */
const struct ct_span *pmi_msg_get(const struct pmi_msg *msg, const char *key);

/*
 * That value as a whole decimal number (blanks around it are allowed) within
 * [min, max]. 0; or -1 when it is absent or is no such number.
 */
int pmi_msg_number(const struct pmi_msg *msg, const char *key, long min,
                   long max, long *ret);

/*
 * Replies are appended to a caller-owned buffer. A reply that does not fit, is
 * longer than PMI_FRAME_MAX, or has a key or a value the dialect cannot carry,
 * is taken back whole at its end and `refused` is set; earlier replies stay.
 *
 * Neither dialect carries an empty value, '\n' or NUL; PMI-1 no blank in a
 * value; PMI-2 no single ';' (";;" passes as it is).
 */
struct pmi_out {
    char *buf;
    size_t size;
    size_t len;   /* bytes of whole replies (and of the one under way) */
    size_t start; /* where the reply under way starts */
    bool refused; /* sticky until the caller clears it */
    bool broken;  /* the reply under way will be taken back */
};

struct pmi_dialect {
    const char *name; /* "PMI-1", "PMI-2" */

    /*
     * Length of the whole frame that buf starts with, 0 when more bytes are
     * needed, -1 when no further byte can make it a frame (a length that is no
     * number or more than PMI_FRAME_MAX, a line longer than that).
     */
    ssize_t (*frame)(const char *buf, size_t len);

    /*
     * Take one frame apart. 0, or -1 (EPROTO: not one whole frame, no leading
     * cmd=WORD, too many pairs, a NUL byte) and *ret holds nothing of use.
     * Tokens without '=' and unknown keys are no error.
     */
    int (*decode)(const char *frame, size_t len, struct pmi_msg *ret,
                  struct ct_error *reterr);

    void (*begin)(struct pmi_out *out, const char *command);
    void (*add)(struct pmi_out *out, const char *key, struct ct_span value);
    void (*end)(struct pmi_out *out);
};

extern const struct pmi_dialect pmi_dialect_1;
extern const struct pmi_dialect pmi_dialect_2;

/* PMI-1, writing a block; what it carries differs: a value may have blanks. */
extern const struct pmi_dialect pmi_dialect_1_block;

/* `add` for a NUL-terminated word and for a number. */
void pmi_add_str(const struct pmi_dialect *dialect, struct pmi_out *out,
                 const char *key, const char *value);
void pmi_add_num(const struct pmi_dialect *dialect, struct pmi_out *out,
                 const char *key, long value);

#endif
