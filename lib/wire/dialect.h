/*
 * What the two dialects share, under pmi1.c and pmi2.c. Private to lib/wire.
 */
#ifndef CT_WIRE_DIALECT_H
#define CT_WIRE_DIALECT_H

#include "wire/msg.h"

/* Cut the next token off *rest. Length 0: there is none left. */
typedef struct ct_span pmi_next_token(struct ct_span *rest);

/*
 * 0 when the bytes are exactly one frame of the dialect and hold no NUL, else
 * -1 (EPROTO).
 */
int pmi_frame_check(const struct pmi_dialect *dialect, const char *frame,
                    size_t len, struct ct_error *reterr);

/*
 * Split text at its tokens into *ret. The first one must be lead=WORD. 0, or
 * -1 (EPROTO) and *ret is of no use.
 */
int pmi_msg_fill(const char *dialect_name, struct ct_span text,
                 pmi_next_token *next, const char *lead, struct pmi_msg *ret,
                 struct ct_error *reterr);

/* Open a reply at the end of the buffer, append to it, close or undo it. */
void pmi_out_begin(struct pmi_out *out);
void pmi_out_put(struct pmi_out *out, struct ct_span bytes);
void pmi_out_end(struct pmi_out *out);

/* What neither dialect can carry breaks the reply. */
void pmi_out_key(struct pmi_out *out, const char *key);
void pmi_out_value(struct pmi_out *out, struct ct_span value);

#endif
