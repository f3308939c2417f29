/*
 * One connection: bytes in, whole frames, a table row each, bytes out.
 *
 * A client asks and waits, so one recv() brings one frame and one send() takes
 * its answer. All the same a frame may come in pieces (MPICH <= 4.0 writes a
 * spawn line by line) and several may come at once; answers to what came at
 * once are sent at once. While a client does not read its answers it is not
 * read from either, so it cannot make us hold more than one batch.
 *
 * The first line of every conversation is PMI-1's `cmd=init`; it decides the
 * dialect of the rest. After finalize the next line decides anew, and so does
 * any such line later.
 */
#include "base/scope.h"
#include "guest/pmi/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

static void watch(struct ctpmi_client *client, int events)
{
    struct ctpmi *server = client->job->server;

    server->callbacks.watch(server->ctx, client, client->fd, events);
}

void session_fault(struct ctpmi_client *client, enum ctpmi_fault kind,
                   const char *fmt, ...)
{
    struct ctpmi *server = client->job->server;
    struct ct_error line; /* whose text is fit to be shown */
    char text[sizeof line.text];
    va_list ap;

    if (client->faulted)
        return;
    client->faulted = true;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ct_fail(&line, EPROTO, "%s", text);
    if (server->callbacks.fault != NULL)
        server->callbacks.fault(server->ctx, client, kind, line.text);
}

/* The client is not listened to any longer; its fd stays until detach. */
static void mute(struct ctpmi_client *client)
{
    client->state = SESSION_GONE;
    watch(client, 0);
}

static int keep(char **bytes, size_t *len, const char *more, size_t count)
{
    char *grown = realloc(*bytes, *len + count);

    if (grown == NULL)
        return -1;
    memcpy(grown + *len, more, count);
    *bytes = grown;
    *len += count;
    return 0;
}

static void drop(char **bytes, size_t *len)
{
    free(*bytes);
    *bytes = NULL;
    *len = 0;
}

/*
 * Bytes that are done with: the socket has taken them, or nobody is left to
 * read them (recv() will tell). 0: the socket is full.
 */
static size_t push(struct ctpmi_client *client, const char *buf, size_t len)
{
    ssize_t n;

    do
        n = send(client->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return (size_t)n;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? 0 : len;
}

/* What was answered earlier in this batch must arrive earlier too. */
static void send_batch_first(struct ctpmi_client *client)
{
    struct pending_batch *batch = &client->job->server->batch;
    struct pmi_out *out = batch->out;

    if (batch->client != client || out->len == 0)
        return;
    size_t len = out->len;
    out->len = 0;
    session_send(client, out->buf, len);
}

void session_send(struct ctpmi_client *client, const char *buf, size_t len)
{
    size_t sent = 0;

    if (buf != client->job->server->out)
        send_batch_first(client);
    if (len == 0 || client->state == SESSION_GONE)
        return;
    if (client->out_len == 0)
        sent = push(client, buf, len);
    if (sent == len)
        return;
    if (keep(&client->out, &client->out_len, buf + sent, len - sent) < 0) {
        session_fault(client, CTPMI_PROTOCOL, "out of memory for an answer");
        mute(client);
        return;
    }
    if (!client->watching_out) {
        client->watching_out = true;
        watch(client, CTPMI_OUT);
    }
}

static void flush_pending(struct ctpmi_client *client)
{
    size_t sent = push(client, client->out, client->out_len);

    client->out_len -= sent;
    memmove(client->out, client->out + sent, client->out_len);
    if (client->out_len > 0)
        return;
    drop(&client->out, &client->out_len);
    client->watching_out = false;
    watch(client, CTPMI_IN);
}

void reply_start(struct reply *reply, struct ctpmi_client *client,
                 const char *command)
{
    reply->client = client;
    reply->out = (struct pmi_out){.buf = reply->buf, .size = sizeof reply->buf};
    client->dialect->begin(&reply->out, command);
}

void reply_thrid(struct pmi_out *out, struct ctpmi_client *client,
                 enum wait wait)
{
    char *thrid = client->thrids[wait];

    if (thrid[0] != '\0')
        pmi_add_str(&pmi_dialect_2, out, "thrid", thrid);
    thrid[0] = '\0';
}

void reply_send(struct reply *reply)
{
    reply->client->dialect->end(&reply->out);
    session_send(reply->client, reply->buf, reply->out.len);
}

/* Send what this batch has answered so far. */
static void flush_batch(struct call *call)
{
    size_t len = call->out->len;

    call->out->len = 0;
    session_send(call->client, call->out->buf, len);
}

/* Or may yet turn out to: no PMI-2 message begins so. */
static bool is_init_line(const char *buf, size_t len)
{
    static const char start[] = "cmd=init ";

    return memcmp(buf, start, len < strlen(start) ? len : strlen(start)) == 0;
}

/*
 * The dialect of what comes next. MPICH >= 4.2 says init once a session, and
 * finalize when it exits.
 */
static const struct pmi_dialect *dialect_of(const struct ctpmi_client *client,
                                            const char *buf, size_t len)
{
    if (client->state & (SESSION_NEW | SESSION_FINALIZED) ||
        is_init_line(buf, len))
        return &pmi_dialect_1;
    return client->dialect;
}

void session_begin(struct ctpmi_client *client,
                   const struct pmi_dialect *dialect)
{
    client->dialect = dialect;
    client->state = SESSION_READY;
    client->spoke = true;
    client->finalized = false;
}

void session_end(struct ctpmi_client *client)
{
    client->state = SESSION_FINALIZED;
    client->finalized = true;
    name_forget(client);
    free(client->attr_wait);
    client->attr_wait = NULL;
}

int call_text(struct call *call, const char *key, size_t max,
              struct ct_span *ret, struct ct_error *reterr)
{
    const struct ct_span *value = pmi_msg_get(call->msg, key);

    if (value == NULL || value->len == 0)
        return ct_fail(reterr, value == NULL ? EPROTO : EINVAL, "%s is missing",
                       key);
    if (value->len > max)
        return ct_fail(reterr, EINVAL, "%s is longer than %zu bytes", key, max);
    /* No answer could carry it. */
    if (memchr(value->ptr, '\n', value->len) != NULL)
        return ct_fail(reterr, EINVAL, "%s has a line feed", key);
    *ret = *value;
    return 0;
}

/*
 * Flux's clients say error_msg, PMI-2's of old msg. PMI-1's message has blanks
 * that nobody escapes: it is the rest of the line.
 */
static struct ct_span abort_message(const struct call *call)
{
    static const char *const words[] = {"message", "msg", "error_msg", NULL};
    const struct pmi_msg *msg = call->msg;
    const struct ct_span *said = NULL;

    for (const char *const *word = words; *word != NULL && said == NULL; word++)
        said = pmi_msg_get(msg, *word);
    if (said == NULL)
        return ct_span("", 0);
    if (call->dialect == &pmi_dialect_2)
        return *said;
    const struct ct_span *last = &msg->pairs[msg->count - 1].value;
    return ct_span(said->ptr, (size_t)(last->ptr + last->len - said->ptr));
}

/* Flux's clients say exit_code, PMI-2's of old nothing. */
static int abort_code(const struct pmi_msg *msg)
{
    long code = 1;

    if (pmi_msg_number(msg, "exitcode", INT32_MIN, INT32_MAX, &code) < 0)
        pmi_msg_number(msg, "exit_code", INT32_MIN, INT32_MAX, &code);
    return (int)code;
}

int call_abort(struct call *call, struct ct_error *reterr)
{
    struct ctpmi_client *client = call->client;
    struct ctpmi *server = client->job->server;
    struct ct_span said = abort_message(call);
    int code = abort_code(call->msg);
    struct ct_error line; /* whose text is fit to be shown */

    (void)reterr;
    ct_fail(&line, ECANCELED, "%.*s", (int)said.len, said.ptr);
    if (server->callbacks.abort != NULL)
        server->callbacks.abort(server->ctx, client, code, line.text);
    else
        session_fault(client, CTPMI_PROTOCOL, "abort with code %d", code);
    return 0;
}

/* Threaded clients of old find the waiting thread by this pointer. */
const struct ct_span *call_thrid(const struct call *call)
{
    const struct ct_span *thrid = pmi_msg_get(call->msg, "thrid");

    if (call->dialect != &pmi_dialect_2 || thrid == NULL || thrid->len == 0 ||
        thrid->len >= THRID_SIZE || memchr(thrid->ptr, '\n', thrid->len))
        return NULL;
    return thrid;
}

void call_keep_thrid(struct call *call, enum wait wait)
{
    const struct ct_span *thrid = call_thrid(call);

    snprintf(call->client->thrids[wait], THRID_SIZE, "%.*s",
             thrid != NULL ? (int)thrid->len : 0,
             thrid != NULL ? thrid->ptr : "");
}

static const struct pmi_command *find_command(const struct call *call)
{
    const struct pmi_command *row =
        call->dialect == &pmi_dialect_2 ? pmi2_commands : pmi1_commands;

    while (row->name != NULL && !ct_span_is(call->msg->command, row->name))
        row++;
    return row->name != NULL ? row : NULL;
}

/* One word of either dialect: PMI-1's have no blanks, PMI-2's no semicolons. */
static void make_word(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == ';' || *c == '=')
            *c = '_';
}

static void reply_error(struct call *call, const char *reply, const char *text)
{
    bool two = call->dialect == &pmi_dialect_2;
    const struct ct_span *thrid = call_thrid(call);
    char safe[160];

    snprintf(safe, sizeof safe, "%s", text);
    make_word(safe);
    call->dialect->begin(call->out, reply);
    if (thrid != NULL)
        call->dialect->add(call->out, "thrid", *thrid);
    pmi_add_num(call->dialect, call->out, "rc", two ? 1 : -1);
    pmi_add_str(call->dialect, call->out, two ? "errmsg" : "msg", safe);
    call->dialect->end(call->out);
}

static void strike(struct call *call, const char *reply, const char *reason)
{
    struct ctpmi_client *client = call->client;
    int shown = call->msg->command.len < 40 ? (int)call->msg->command.len : 40;

    if (reply != NULL)
        reply_error(call, reply, reason);
    if (++client->strikes <= STRIKES_MAX)
        return;
    flush_batch(call);
    session_fault(client, CTPMI_PROTOCOL, "%s command '%.*s': %s",
                  call->dialect->name, shown, call->msg->command.ptr, reason);
    mute(client);
}

/* An unknown command gets an answer, not the sack: clients probe. */
static void answer_unknown(struct call *call)
{
    char reply[80];
    int shown = call->msg->command.len < 60 ? (int)call->msg->command.len : 60;

    snprintf(reply, sizeof reply,
             call->dialect == &pmi_dialect_2 ? "%.*s-response" : "%.*s_result",
             shown, call->msg->command.ptr);
    make_word(reply);
    reply_error(call, reply, "unknown command");
}

/* Nobody is left without an answer because of what another dialect has put. */
static void answer_refused(struct call *call, const char *reply)
{
    call->out->refused = false;
    reply_error(call, reply, "this dialect cannot carry the value");
}

/*
 * What an application may hand to its library, which leaves the judgement to
 * us (Slurm's libpmi2), is refused as often as it comes.
 */
static void answer_failed(struct call *call, const char *reply,
                          const struct ct_error *error)
{
    if (error->code == EINVAL)
        reply_error(call, reply, error->text);
    else
        strike(call, reply, error->text);
}

static void run_command(struct call *call)
{
    const struct pmi_command *row = find_command(call);
    struct ct_error error;

    if (row == NULL)
        answer_unknown(call);
    else if (!(row->states & call->client->state))
        strike(call, row->reply,
               call->client->state == SESSION_READY ? "initialised already"
                                                    : "not initialised");
    else if (row->handle(call, &error) < 0)
        answer_failed(call, row->reply, &error);
    else if (call->out->refused)
        answer_refused(call, row->reply);
}

static void handle_frame(struct ctpmi_client *client, struct pmi_out *out,
                         const char *frame, size_t len)
{
    struct pmi_msg *msg = &client->job->server->msg;
    const struct pmi_dialect *dialect = dialect_of(client, frame, len);
    struct call call = {
        .client = client, .msg = msg, .out = out, .dialect = dialect};
    struct ct_error error;

    if (dialect->decode(frame, len, msg, &error) < 0) {
        msg->command = ct_span_str("(unreadable)");
        msg->count = 0;
        strike(&call, "unknown", error.text);
    } else
        run_command(&call);
    /* Room for one more answer of any size, or the batch goes out now. */
    if (out->size - out->len < PMI_FRAME_MAX)
        flush_batch(&call);
}

static void save_rest(struct ctpmi_client *client, const char *buf, size_t len)
{
    drop(&client->in, &client->in_len);
    if (len > 0 && keep(&client->in, &client->in_len, buf, len) < 0) {
        session_fault(client, CTPMI_PROTOCOL, "out of memory for a command");
        mute(client);
    }
}

/* Handle every whole frame of buf; what is left is kept for later. */
static void consume(struct ctpmi_client *client, const char *buf, size_t len)
{
    struct ctpmi *server = client->job->server;
    struct pmi_out out = {.buf = server->out, .size = sizeof server->out};
    size_t done = 0;

    while (done < len && client->state != SESSION_GONE &&
           client->out_len == 0) {
        const struct pmi_dialect *dialect =
            dialect_of(client, buf + done, len - done);
        ssize_t n = dialect->frame(buf + done, len - done);

        if (n == 0)
            break;
        if (n < 0) {
            session_fault(client, CTPMI_PROTOCOL,
                          "sent bytes that are no %s message", dialect->name);
            mute(client);
            return;
        }
        server->batch = (struct pending_batch){.client = client, .out = &out};
        handle_frame(client, &out, buf + done, (size_t)n);
        done += (size_t)n;
    }
    server->batch = (struct pending_batch){0};
    session_send(client, out.buf, out.len);
    if (client->state != SESSION_GONE)
        save_rest(client, buf + done, len - done);
}

static void closed(struct ctpmi_client *client)
{
    bool clean = client->state & (SESSION_NEW | SESSION_FINALIZED);

    mute(client);
    ct_close(&client->fd);
    if (!clean)
        session_fault(client, CTPMI_DEPARTED,
                      "ended without finalizing PMI (MPI_Finalize)");
    if (client->job->lost != NULL && !clean)
        rank_note_lost(client->job, client->rank);
    client_departed(client);
}

/* Read once: level-triggered loops call again when there is more. */
static void read_some(struct ctpmi_client *client)
{
    struct ctpmi *server = client->job->server;
    size_t len = client->in_len;
    ssize_t n;

    memcpy(server->in, client->in != NULL ? client->in : "", len);
    n = recv(client->fd, server->in + len, sizeof server->in - len,
             MSG_DONTWAIT);
    if (n > 0)
        consume(client, server->in, len + (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        closed(client);
}

/* It has sent more before its answers were read. */
static void consume_kept(struct ctpmi_client *client)
{
    char *in = client->job->server->in;
    size_t len = client->in_len;

    memcpy(in, client->in, len);
    consume(client, in, len);
}

void ctpmi_ready(struct ctpmi_client *client, int events)
{
    struct ctpmi *server = client->job->server;

    if (client->state == SESSION_GONE || server->busy)
        return;
    server->busy = true;
    if (client->out_len > 0) {
        flush_pending(client);
        if (client->out_len == 0 && client->in_len > 0)
            consume_kept(client);
    } else if (events & ~CTPMI_OUT) {
        read_some(client);
    }
    server->busy = false;
}

void ctpmi_detach(struct ctpmi_client *client)
{
    if (client == NULL)
        return;
    struct ctpmi_job *job = client->job;

    if (client->fd >= 0) {
        watch(client, 0);
        ct_close(&client->fd);
    }
    job->clients[job_local_index(job, client->rank)] = NULL;
    spawn_forget(client);
    name_forget(client);
    drop(&client->in, &client->in_len);
    drop(&client->out, &client->out_len);
    free(client->attr_wait);
    free(client);
}

const char *ctpmi_client_protocol(const struct ctpmi_client *client)
{
    if (!client->spoke)
        return "none";
    if (client->dialect == &pmi_dialect_2)
        return "PMI-2";
    return client->subversion >= 2 ? "PMI-1.2" : "PMI-1.1";
}
