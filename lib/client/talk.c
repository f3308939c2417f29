/*
 * A question is sent whole, by one call if the kernel takes it: Slurm's PMI-1
 * server takes each read for a question. An answer may come in any pieces.
 *
 * After a failure of the socket, or an answer that is none, nobody knows what
 * the next bytes belong to: the talk is broken.
 */
#include "client/talk.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PMI2_HEAD = 6 };

size_t talk_line_max(const struct talk *talk)
{
    if (talk->dialect == &pmi_dialect_2)
        return sizeof talk->out_bytes;
    /* of those with PMI_JOBID it is ctrun who speaks PMI-1.2 */
    return talk->is_slurm && !talk->groups ? TALK_LINE_MAX : TALK_LINE_LONG;
}

void talk_begin(struct client *client, const char *command)
{
    struct talk *talk = talk_of(client);

    talk->question = command;
    talk->out = (struct pmi_out){
        .buf = talk->out_bytes,
        .size = talk_line_max(talk),
    };
    talk->dialect->begin(&talk->out, command);
}

void talk_begin_block(struct client *client, const char *command)
{
    struct talk *talk = talk_of(client);

    if (talk->dialect != &pmi_dialect_1_block) {
        talk->question = command;
        talk->dialect = &pmi_dialect_1_block;
        talk->out = (struct pmi_out){
            .buf = talk->out_bytes,
            .size = sizeof talk->out_bytes,
        };
    }
    talk->dialect->begin(&talk->out, command);
}

void talk_end_block(struct client *client)
{
    struct talk *talk = talk_of(client);

    talk->dialect->end(&talk->out);
}

void talk_str(struct client *client, const char *key, const char *value)
{
    struct talk *talk = talk_of(client);

    pmi_add_str(talk->dialect, &talk->out, key, value);
}

void talk_num(struct client *client, const char *key, long value)
{
    struct talk *talk = talk_of(client);

    pmi_add_num(talk->dialect, &talk->out, key, value);
}

void talk_value_of(struct client *client, const char *key, const char *value)
{
    struct talk *talk = talk_of(client);
    const char *text = carry_encode(value, talk->wire->unsafe, talk->carried,
                                    sizeof talk->carried);

    if (text == NULL || strlen(text) >= CLIENT_VALUE_SIZE)
        talk->out.broken = true;
    else
        talk_str(client, key, text);
}

/* Room for the longest prefix that we use. */
enum { ITEM_SIZE = 32 };

static const char *item_key(char buf[ITEM_SIZE], const char *prefix,
                            size_t number)
{
    snprintf(buf, ITEM_SIZE, "%s%zu", prefix, number);
    return buf;
}

void talk_item(struct client *client, const char *prefix, size_t number,
               const char *value)
{
    char key[ITEM_SIZE];

    talk_str(client, item_key(key, prefix, number), value);
}

static void value_item(struct client *client, const char *prefix, size_t number,
                       const char *value)
{
    char key[ITEM_SIZE];

    talk_value_of(client, item_key(key, prefix, number), value);
}

static void key_item(struct client *client, const char *prefix, size_t number,
                     const char *value)
{
    struct talk *talk = talk_of(client);
    char key[ITEM_SIZE], name[CLIENT_KEY_SIZE];
    const char *text =
        carry_key(value, talk->wire->unsafe_in_key, name, sizeof name);

    if (text == NULL)
        talk->out.broken = true;
    else
        talk_str(client, item_key(key, prefix, number), text);
}

void talk_preputs(struct client *client, const char *number,
                  const char *key_prefix, const char *value_prefix,
                  const struct client_spawn *spawn)
{
    talk_num(client, number, (long)spawn->preput_count);
    for (size_t i = 0; i < spawn->preput_count; i++) {
        key_item(client, key_prefix, i, spawn->preputs[i].key);
        value_item(client, value_prefix, i, spawn->preputs[i].value);
    }
}

void talk_infos(struct client *client, const char *number,
                const char *key_prefix, const char *value_prefix,
                const struct client_command *command)
{
    talk_num(client, number, (long)command->info_count);
    for (size_t i = 0; i < command->info_count; i++) {
        talk_item(client, key_prefix, i, command->infos[i].key);
        talk_item(client, value_prefix, i, command->infos[i].value);
    }
}

/* Say of what question *reterr speaks. */
static int fail_in(const struct talk *talk, struct ct_error *reterr)
{
    return ct_fail_in(reterr, "%s %s", talk->dialect->name, talk->question);
}

static int break_off(struct talk *talk, struct ct_error *reterr)
{
    talk->broken = true;
    return fail_in(talk, reterr);
}

/* We block, also on a socket that somebody has made not to. */
static int wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return -1;
    if (errno == EINTR || poll(&poll_fd, 1, -1) >= 0 || errno == EINTR)
        return 0;
    return -1;
}

static int send_all(int fd, const char *bytes, size_t len,
                    struct ct_error *reterr)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0 && wait_for(fd, POLLOUT) < 0)
            return ct_fail_errno(reterr, "cannot send");
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* 1 if there was more; 0: ask again. */
static int receive_more(struct talk *talk, bool wait, struct ct_error *reterr)
{
    size_t room = sizeof talk->in - talk->held;
    ssize_t n =
        recv(talk->fd, talk->in + talk->held, room, wait ? 0 : MSG_DONTWAIT);

    if (n < 0 && !wait && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0 && wait_for(talk->fd, POLLIN) < 0)
        return ct_fail_errno(reterr, "cannot receive");
    if (n == 0)
        return ct_fail(reterr, ECONNRESET,
                       "the server has closed the connection");
    if (n > 0)
        talk->held += (size_t)n;
    return n > 0;
}

/* Do not wait for the end of what has begun as no answer does. */
static bool begins_well(const struct talk *talk)
{
    size_t head = talk->dialect == &pmi_dialect_2 ? PMI2_HEAD : 0;
    size_t len = talk->held > head ? talk->held - head : 0;

    return strncmp(talk->in + head, "cmd=", len < 4 ? len : 4) == 0;
}

/* Its length, when the whole of it is there; 0: not yet. */
static ssize_t find_frame(struct talk *talk, struct ct_error *reterr)
{
    ssize_t len =
        talk->held > 0 ? talk->dialect->frame(talk->in, talk->held) : 0;

    if (len < 0 || !begins_well(talk))
        return ct_fail(reterr, EPROTO, "the answer is no %s",
                       talk->dialect->name);
    return len;
}

/* Into msg: 1, or 0 when there is not all of it and we do not wait. */
static int receive(struct talk *talk, bool wait, struct ct_error *reterr)
{
    ssize_t len;

    talk->held -= talk->used;
    memmove(talk->in, talk->in + talk->used, talk->held);
    talk->used = 0;
    while ((len = find_frame(talk, reterr)) == 0) {
        int more = receive_more(talk, wait, reterr);

        if (more < 0 || (more == 0 && !wait))
            return more;
    }
    if (len < 0)
        return -1;
    talk->used = (size_t)len;
    if (talk->dialect->decode(talk->in, talk->used, &talk->msg, reterr) < 0)
        return -1;
    return 1;
}

static int fail_refused(const struct talk *talk, struct ct_error *reterr)
{
    const struct ct_span none = ct_span_str("no reason is given");
    const struct ct_span *why = pmi_msg_get(&talk->msg, "errmsg");
    const struct ct_span *rc = pmi_msg_get(&talk->msg, "rc");

    if (why == NULL)
        why = pmi_msg_get(&talk->msg, "msg");
    if (why == NULL)
        why = &none;
    ct_fail(reterr, EREMOTEIO, "the server says no: %.*s (rc=%.*s)",
            why->len < 200 ? (int)why->len : 200, why->ptr,
            rc->len < 20 ? (int)rc->len : 20, rc->ptr);
    return fail_in(talk, reterr);
}

/* Any rc but 0; one that is no number says no, too. */
static bool says_no(const struct talk *talk)
{
    long rc;

    return pmi_msg_get(&talk->msg, "rc") != NULL &&
           (pmi_msg_number(&talk->msg, "rc", LONG_MIN, LONG_MAX, &rc) < 0 ||
            rc != 0);
}

/* ---- barriers under way ---- */

void talk_add_barrier(struct client *client, struct client_barrier *barrier)
{
    struct talk *talk = talk_of(client);

    barrier->over = false;
    barrier->rc = 0;
    barrier->next = talk->barriers;
    talk->barriers = barrier;
}

void talk_barrier_forget(struct client *client, struct client_barrier *barrier)
{
    struct client_barrier **at = &talk_of(client)->barriers;

    while (*at != NULL && *at != barrier)
        at = &(*at)->next;
    if (*at != NULL)
        *at = barrier->next;
}

/* The oldest with the tag of the answer; of a refusal without one, the newest,
   which has just been asked for. NULL: it is nobody's. */
static struct client_barrier *find_barrier(const struct talk *talk)
{
    const struct ct_span *tag = pmi_msg_get(&talk->msg, "tag");
    struct client_barrier *found = NULL, *barrier;

    if (!ct_span_is(talk->msg.command, "barrier_out"))
        return NULL;
    if (tag == NULL)
        return says_no(talk) ? talk->barriers : NULL;
    for (barrier = talk->barriers; barrier != NULL; barrier = barrier->next)
        if (ct_span_is(*tag, barrier->tag))
            found = barrier;
    return found;
}

/* false: the answer is no barrier's that is under way. */
static bool settle(struct talk *talk)
{
    struct client_barrier *barrier;

    if (talk->barriers == NULL || (barrier = find_barrier(talk)) == NULL)
        return false;
    talk_barrier_forget(&talk->client, barrier);
    barrier->over = true;
    if (says_no(talk))
        barrier->rc = fail_refused(talk, &barrier->error);
    return true;
}

static int fail_unasked(struct talk *talk, struct ct_error *reterr)
{
    struct ct_span name = talk->msg.command;

    ct_fail(reterr, EPROTO, "the server answers '%.*s', which nobody asked",
            name.len < 64 ? (int)name.len : 64, name.ptr);
    return break_off(talk, reterr);
}

/* Is there another frame behind the one in msg? */
static bool holds_more(const struct talk *talk)
{
    return talk->held > talk->used &&
           talk->dialect->frame(talk->in + talk->used,
                                talk->held - talk->used) != 0;
}

/* Take in what has come, until it is over. What we hold behind its answer is
   for others, who would not find it in the socket. */
static int take_in(struct talk *talk, const struct client_barrier *barrier,
                   struct ct_error *reterr)
{
    int got;

    do {
        got = receive(talk, false, reterr);
        if (got < 0)
            return break_off(talk, reterr);
        if (got > 0 && !settle(talk))
            return fail_unasked(talk, reterr);
    } while (got > 0 && (!barrier->over || holds_more(talk)));
    return 0;
}

int talk_barrier_test(struct client *client, struct client_barrier *barrier,
                      bool *ret_over, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);

    talk->question = "barrier_in";
    if (!barrier->over && talk->broken) {
        talk_barrier_forget(client, barrier);
        ct_fail(reterr, EPIPE, "the connection to the server has broken");
        return fail_in(talk, reterr);
    }
    if (!barrier->over && take_in(talk, barrier, reterr) < 0 &&
        !barrier->over) {
        talk_barrier_forget(client, barrier);
        return -1;
    }
    *ret_over = barrier->over;
    if (barrier->over && barrier->rc < 0)
        *reterr = barrier->error;
    return barrier->over ? barrier->rc : 0;
}

int talk_fd(const struct client *client)
{
    return ((const struct talk *)client)->fd;
}

int talk_hear(struct client *client, const char *answer,
              struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    struct ct_span name;

    do {
        if (receive(talk, true, reterr) < 0)
            return break_off(talk, reterr);
    } while (settle(talk));
    name = talk->msg.command;
    if (ct_span_is(name, answer))
        return 0;
    if (says_no(talk))
        return fail_refused(talk, reterr);
    ct_fail(reterr, EPROTO, "the server answers '%.*s' instead of '%s'",
            name.len < 64 ? (int)name.len : 64, name.ptr, answer);
    return break_off(talk, reterr);
}

static int end_question(struct talk *talk, struct ct_error *reterr)
{
    if (talk->dialect == &pmi_dialect_1_block)
        talk->dialect = &pmi_dialect_1; /* for the answer */
    else
        talk->dialect->end(&talk->out);
    if (!talk->out.refused)
        return 0;
    ct_fail(reterr, EINVAL, "too long, or %s cannot carry it",
            talk->dialect->name);
    return fail_in(talk, reterr);
}

int talk_send(struct client *client, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    if (end_question(talk, reterr) < 0)
        return -1;
    if (talk->broken) {
        ct_fail(reterr, EPIPE, "the connection to the server has broken");
        return fail_in(talk, reterr);
    }
    if (send_all(talk->fd, talk->out.buf, talk->out.len, reterr) < 0)
        return break_off(talk, reterr);
    return 0;
}

int talk_ask(struct client *client, const char *answer, struct ct_error *reterr)
{
    if (talk_send(client, reterr) < 0)
        return -1;
    return talk_hear(client, answer, reterr);
}

int talk_check(struct client *client, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    return says_no(talk) ? fail_refused(talk, reterr) : 0;
}

int talk_do(struct client *client, const char *answer, struct ct_error *reterr)
{
    if (talk_ask(client, answer, reterr) < 0)
        return -1;
    return talk_check(client, reterr);
}

static int fail_lacks(struct talk *talk, const char *key,
                      struct ct_error *reterr)
{
    ct_fail(reterr, EPROTO, "the answer has no %s= of use", key);
    return break_off(talk, reterr);
}

static int fail_too_long(const struct talk *talk, size_t len,
                         struct ct_error *reterr)
{
    ct_fail(reterr, ENOSPC, "an answer of %zu bytes is too long", len);
    return fail_in(talk, reterr);
}

static int copy(const struct talk *talk, struct ct_span value, char *buf,
                size_t size, struct ct_error *reterr)
{
    if (value.len >= size)
        return fail_too_long(talk, value.len, reterr);
    memcpy(buf, value.ptr, value.len);
    buf[value.len] = '\0';
    return 0;
}

int talk_word(struct client *client, const char *key, char *buf, size_t size,
              struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    const struct ct_span *value = pmi_msg_get(&talk->msg, key);

    if (value == NULL || value->len == 0)
        return fail_lacks(talk, key, reterr);
    return copy(talk, *value, buf, size, reterr);
}

int talk_number(struct client *client, const char *key, unsigned *ret,
                struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    long number;

    if (pmi_msg_number(&talk->msg, key, 0, INT_MAX, &number) < 0)
        return fail_lacks(talk, key, reterr);
    *ret = (unsigned)number;
    return 0;
}

/* PMI-2 has the word found, TRUE or FALSE; Hydra also says 1 and 0. */
static bool says_not_found(const struct talk *talk)
{
    const struct ct_span *found = pmi_msg_get(&talk->msg, "found");

    if (found == NULL)
        return false;
    return ct_span_is(*found, "0") ||
           (found->len == 5 && strncasecmp(found->ptr, "FALSE", 5) == 0);
}

int talk_text(struct client *client, const char *key, struct ct_span *ret,
              bool *ret_found, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    const struct ct_span *text;

    /* Hydra from 4.1 on says "not found" by an rc and nothing else */
    *ret_found = !says_no(talk) && !says_not_found(talk);
    if (!*ret_found)
        return 0;
    text = pmi_msg_get(&talk->msg, key);
    if (text == NULL || text->len == 0)
        return fail_lacks(talk, key, reterr);
    *ret = *text;
    return 0;
}

int talk_decode(struct client *client, struct ct_span text,
                struct client_answer *ret, struct ct_error *reterr)
{
    if (carry_decode(text, ret->buf, ret->size) < 0)
        return fail_too_long(talk_of(client), text.len, reterr);
    return 0;
}

int talk_value(struct client *client, const char *key,
               struct client_answer *ret, struct ct_error *reterr)
{
    struct ct_span text;

    if (talk_text(client, key, &text, &ret->found, reterr) < 0)
        return -1;
    return ret->found ? talk_decode(client, text, ret, reterr) : 0;
}

int talk_get(struct client *client, const char *answer, const char *key,
             struct client_answer *ret, struct ct_error *reterr)
{
    if (talk_ask(client, answer, reterr) < 0)
        return -1;
    return talk_value(client, key, ret, reterr);
}

int talk_jobid(struct client *client, const char *question, const char *answer,
               const char *key, struct ct_error *reterr)
{
    struct client_facts *facts = &client->facts;

    talk_begin(client, question);
    if (talk_do(client, answer, reterr) < 0)
        return -1;
    return talk_word(client, key, facts->jobid, sizeof facts->jobid, reterr);
}

/* MPICH keeps the socket for another MPI session, and so do its servers. */
int talk_reopen(struct client *client, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    struct client_start start = {
        .rank = client->facts.rank,
        .size = client->facts.size,
        .jobid = talk->is_slurm ? talk->jobid : NULL,
        .spawned = client->facts.spawned,
    };

    talk->dialect = &pmi_dialect_1; /* in which every conversation begins */
    if (talk->wire->begin(client, &start, reterr) < 0)
        return ct_fail_in(reterr, "a second init");
    return 0;
}

void talk_close(struct client *client)
{
    close(talk_of(client)->fd);
    free(client);
}
