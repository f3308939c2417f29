/*
 * A question is sent whole, by one call if the kernel takes it: Slurm's PMI-1
 * server takes each read for a question. An answer may come in any pieces.
 *
 * After a failure of the socket, or an answer that is none, nobody knows what
 * the next bytes belong to: the client is broken.
 */
#include "client/talk.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PMI2_HEAD = 6 };

void talk_begin(struct client *client, const char *command)
{
    bool lines = client->dialect == &pmi_dialect_1;

    client->question = command;
    client->out = (struct pmi_out){
        .buf = client->out_bytes,
        .size = lines ? TALK_LINE_MAX : TALK_QUESTION_MAX,
    };
    client->dialect->begin(&client->out, command);
}

void talk_str(struct client *client, const char *key, const char *value)
{
    pmi_add_str(client->dialect, &client->out, key, value);
}

void talk_num(struct client *client, const char *key, long value)
{
    pmi_add_num(client->dialect, &client->out, key, value);
}

/* Say of what question *reterr speaks. */
static int fail_in(const struct client *client, struct ct_error *reterr)
{
    return ct_fail_in(reterr, "%s %s", client->dialect->name, client->question);
}

static int break_off(struct client *client, struct ct_error *reterr)
{
    client->broken = true;
    return fail_in(client, reterr);
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

static int receive_more(struct client *client, struct ct_error *reterr)
{
    size_t room = sizeof client->in - client->held;
    ssize_t n = read(client->fd, client->in + client->held, room);

    if (n < 0 && wait_for(client->fd, POLLIN) < 0)
        return ct_fail_errno(reterr, "cannot receive");
    if (n == 0)
        return ct_fail(reterr, ECONNRESET,
                       "the server has closed the connection");
    if (n > 0)
        client->held += (size_t)n;
    return 0;
}

/* Do not wait for the end of what has begun as no answer does. */
static bool begins_well(const struct client *client)
{
    size_t head = client->dialect == &pmi_dialect_2 ? PMI2_HEAD : 0;
    size_t len = client->held > head ? client->held - head : 0;

    return strncmp(client->in + head, "cmd=", len < 4 ? len : 4) == 0;
}

/* Its length, when the whole of it is there; 0: not yet. */
static ssize_t find_frame(struct client *client, struct ct_error *reterr)
{
    ssize_t len =
        client->held > 0 ? client->dialect->frame(client->in, client->held) : 0;

    if (len < 0 || !begins_well(client))
        return ct_fail(reterr, EPROTO, "the answer is no %s",
                       client->dialect->name);
    return len;
}

static int receive(struct client *client, struct ct_error *reterr)
{
    ssize_t len;

    client->held -= client->used;
    memmove(client->in, client->in + client->used, client->held);
    client->used = 0;
    while ((len = find_frame(client, reterr)) == 0)
        if (receive_more(client, reterr) < 0)
            return -1;
    if (len < 0)
        return -1;
    client->used = (size_t)len;
    return client->dialect->decode(client->in, client->used, &client->msg,
                                   reterr);
}

static int fail_refused(const struct client *client, struct ct_error *reterr)
{
    const struct ct_span none = ct_span_str("no reason is given");
    const struct ct_span *why = pmi_msg_get(&client->msg, "errmsg");
    const struct ct_span *rc = pmi_msg_get(&client->msg, "rc");

    if (why == NULL)
        why = pmi_msg_get(&client->msg, "msg");
    if (why == NULL)
        why = &none;
    ct_fail(reterr, EREMOTEIO, "the server says no: %.*s (rc=%.*s)",
            why->len < 200 ? (int)why->len : 200, why->ptr,
            rc->len < 20 ? (int)rc->len : 20, rc->ptr);
    return fail_in(client, reterr);
}

/* Any rc but 0; one that is no number says no, too. */
static bool says_no(const struct client *client)
{
    long rc;

    return pmi_msg_get(&client->msg, "rc") != NULL &&
           (pmi_msg_number(&client->msg, "rc", LONG_MIN, LONG_MAX, &rc) < 0 ||
            rc != 0);
}

int talk_hear(struct client *client, const char *answer,
              struct ct_error *reterr)
{
    struct ct_span name;

    if (receive(client, reterr) < 0)
        return break_off(client, reterr);
    name = client->msg.command;
    if (ct_span_is(name, answer))
        return 0;
    if (says_no(client))
        return fail_refused(client, reterr);
    ct_fail(reterr, EPROTO, "the server answers '%.*s' instead of '%s'",
            name.len < 64 ? (int)name.len : 64, name.ptr, answer);
    return break_off(client, reterr);
}

static int end_question(struct client *client, struct ct_error *reterr)
{
    client->dialect->end(&client->out);
    if (!client->out.refused)
        return 0;
    ct_fail(reterr, EINVAL, "too long, or %s cannot carry it",
            client->dialect->name);
    return fail_in(client, reterr);
}

int talk_send(struct client *client, struct ct_error *reterr)
{
    if (end_question(client, reterr) < 0)
        return -1;
    if (client->broken) {
        ct_fail(reterr, EPIPE, "the connection to the server has broken");
        return fail_in(client, reterr);
    }
    if (send_all(client->fd, client->out.buf, client->out.len, reterr) < 0)
        return break_off(client, reterr);
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
    return says_no(client) ? fail_refused(client, reterr) : 0;
}

int talk_do(struct client *client, const char *answer, struct ct_error *reterr)
{
    if (talk_ask(client, answer, reterr) < 0)
        return -1;
    return talk_check(client, reterr);
}

static int fail_lacks(struct client *client, const char *key,
                      struct ct_error *reterr)
{
    ct_fail(reterr, EPROTO, "the answer has no %s= of use", key);
    return break_off(client, reterr);
}

static int copy(const struct client *client, struct ct_span value, char *buf,
                size_t size, struct ct_error *reterr)
{
    if (value.len >= size) {
        ct_fail(reterr, ENOSPC, "an answer of %zu bytes is too long",
                value.len);
        return fail_in(client, reterr);
    }
    memcpy(buf, value.ptr, value.len);
    buf[value.len] = '\0';
    return 0;
}

int talk_word(struct client *client, const char *key, char *buf, size_t size,
              struct ct_error *reterr)
{
    const struct ct_span *value = pmi_msg_get(&client->msg, key);

    if (value == NULL || value->len == 0)
        return fail_lacks(client, key, reterr);
    return copy(client, *value, buf, size, reterr);
}

int talk_number(struct client *client, const char *key, unsigned *ret,
                struct ct_error *reterr)
{
    long number;

    if (pmi_msg_number(&client->msg, key, 0, INT_MAX, &number) < 0)
        return fail_lacks(client, key, reterr);
    *ret = (unsigned)number;
    return 0;
}

/* PMI-2 has the word found, TRUE or FALSE; Hydra also says 1 and 0. */
static bool says_not_found(const struct client *client)
{
    const struct ct_span *found = pmi_msg_get(&client->msg, "found");

    if (found == NULL)
        return false;
    return ct_span_is(*found, "0") ||
           (found->len == 5 && strncasecmp(found->ptr, "FALSE", 5) == 0);
}

int talk_value(struct client *client, char *buf, size_t size, bool *ret_found,
               struct ct_error *reterr)
{
    /* Hydra from 4.1 on says "not found" by an rc and nothing else */
    bool found = !says_no(client) && !says_not_found(client);

    if (found && talk_word(client, "value", buf, size, reterr) < 0)
        return -1;
    *ret_found = found;
    return 0;
}
