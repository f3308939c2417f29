/*
 * The one client of a process, which libpmi's and libpmi2's functions have no
 * handle for, and the lock around it.
 *
 *      client = session_enter();
 *      if (client == NULL)
 *          return PMI_ERR_INIT;
 *      return session_leave(client_put(client, key, value, &error), &error);
 */
#ifndef CT_CLIENT_ABI_SESSION_H
#define CT_CLIENT_ABI_SESSION_H

#include "client/abi/choose.h"

/*
 * Begin, or begin anew; when it has begun already, nothing. 0, or a code of
 * pmi.h, and a line on stderr which says why. *ret is entered then.
 */
int session_begin(enum choose_first first, struct client **ret);

/* End. 0 or a code of pmi.h. */
int session_end(void);

bool session_has_begun(void);

/*
 * Enter; NULL, and not entered: it has not begun, or this is a fork that cannot
 * go on with it.
 */
struct client *session_enter(void);

/* Leave: the code of pmi.h for rc (0, or -1 and error). */
int session_leave(int rc, const struct ct_error *error);

/*
 * Print text and end the job, and us with it, though another thread may wait
 * for an answer.
 */
void session_abort(int exitcode, const char *text) __attribute__((noreturn));

/*
 * Leave when the barrier, which has been begun, is over; meanwhile other
 * threads may enter. Returns as session_leave().
 */
int session_wait(struct client_barrier *barrier);

/* What is known of the job, also while a thread waits for an answer. 0 or a
   code of pmi.h. */
int session_facts(struct client_facts *ret);

/* A number that is new, and the same in all ranks that ask as often. Entered.
 */
unsigned session_round(void);

/*
 * The ranks on our node, ascending, to free(); and how many they are. Not to be
 * called when entered. 0 or a code of pmi.h.
 */
int session_clique(int **ret, size_t *ret_count);
int session_clique_size(int *ret);

#endif
