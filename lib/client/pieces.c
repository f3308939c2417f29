#include "client/pieces.h"

#include "client/carry.h"

#include <errno.h>
#include <stdio.h>

/* What a put needs besides the job's name, key and value, on any wire. */
static const char put_line[] = "cmd=put kvsname= key= value=\n";

/* The key on the wire. */
static int write_key(struct client *client, const struct pieces *at,
                     const char *key, char ret[CLIENT_KEY_SIZE],
                     struct ct_error *reterr)
{
    const char *prefix = at->prefix != NULL ? at->prefix : "";
    size_t used = strlen(prefix), size = client->facts.key_max;
    const char *text = NULL;

    if (size > CLIENT_KEY_SIZE)
        size = CLIENT_KEY_SIZE;
    if (used < size)
        text = carry_key(key, talk_of(client)->wire->unsafe_in_key, ret + used,
                         size - used);
    if (text == NULL)
        return ct_fail(reterr, EMSGSIZE, "the key '%.64s' is too long", key);
    memmove(ret + used, text, strlen(text) + 1);
    memcpy(ret, prefix, used);
    return 0;
}

/* The longest value that can be put under a key of key_len bytes. */
static size_t room_for(struct client *client, size_t key_len)
{
    size_t most = client->facts.value_max - 1;
    size_t line = talk_line_max(talk_of(client));
    size_t rest = strlen(put_line) + strlen(client->facts.jobid) + key_len;
    size_t room = line > rest ? line - rest : 0;

    return room < most ? room : most;
}

static int put_piece(struct client *client, const struct pieces *at,
                     const struct carry_head *head, unsigned i,
                     struct ct_span piece, struct ct_error *reterr)
{
    char key[CARRY_HEAD_SIZE], name[CLIENT_KEY_SIZE], text[CLIENT_VALUE_SIZE];

    carry_piece_key(head, i, key);
    if (write_key(client, at, key, name, reterr) < 0)
        return -1;
    memcpy(text, piece.ptr, piece.len);
    text[piece.len] = '\0';
    return at->put(client, name, text, reterr);
}

static int put_first(struct client *client, const struct pieces *at,
                     const struct carry_head *head, const char *name,
                     struct ct_span piece, struct ct_error *reterr)
{
    char text[CARRY_HEAD_SIZE + CLIENT_VALUE_SIZE];
    size_t len = carry_head_write(head, text);

    memcpy(text + len, piece.ptr, piece.len);
    text[len + piece.len] = '\0';
    return at->put(client, name, text, reterr);
}

/* The first is put last: who finds it finds the others. */
static int put_all(struct client *client, const struct pieces *at,
                   const char *name, struct ct_span text,
                   struct ct_error *reterr)
{
    size_t room = room_for(client, CLIENT_KEY_SIZE - 1), each;
    struct carry_head head = {.rank = client->facts.rank};

    if (room <= CARRY_HEAD_SIZE)
        return ct_fail(reterr, EMSGSIZE, "a value of %zu bytes is too long",
                       text.len);
    each = room - CARRY_HEAD_SIZE;
    if (text.len > each * (CARRY_MORE_MAX + 1))
        return ct_fail(reterr, EMSGSIZE, "a value of %zu bytes is too long",
                       text.len);
    head.more = (unsigned)((text.len - 1) / each);
    head.number = talk_of(client)->cut_values++;
    for (unsigned i = head.more; i > 0; i--) {
        struct ct_span rest = ct_span(text.ptr + i * each, text.len - i * each);

        rest.len = rest.len < each ? rest.len : each;
        if (put_piece(client, at, &head, i, rest, reterr) < 0)
            return -1;
    }
    return put_first(client, at, &head, name, ct_span(text.ptr, each), reterr);
}

int pieces_put(struct client *client, const struct pieces *at, const char *key,
               const char *value, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    char name[CLIENT_KEY_SIZE];
    const char *text;

    if (write_key(client, at, key, name, reterr) < 0)
        return -1;
    text = carry_encode(value, talk->wire->unsafe, talk->carried,
                        sizeof talk->carried);
    if (text == NULL)
        return ct_fail(reterr, EMSGSIZE, "the value of '%.64s' is too long",
                       key);
    if (strlen(text) <= room_for(client, strlen(name)))
        return at->put(client, name, text, reterr);
    return put_all(client, at, name, ct_span_str(text), reterr);
}

/* Behind the len bytes of talk->carried. */
static int add_piece(struct talk *talk, struct ct_span piece, size_t *len,
                     struct ct_error *reterr)
{
    if (piece.len > sizeof talk->carried - *len)
        return ct_fail(reterr, EPROTO, "a value in pieces is too long");
    memcpy(talk->carried + *len, piece.ptr, piece.len);
    *len += piece.len;
    return 0;
}

static int get_piece(struct client *client, const struct pieces *at,
                     const struct client_source *from,
                     const struct carry_head *head, unsigned i, size_t *len,
                     struct ct_error *reterr)
{
    char key[CARRY_HEAD_SIZE], name[CLIENT_KEY_SIZE];
    struct ct_span piece;
    bool found;

    carry_piece_key(head, i, key);
    if (write_key(client, at, key, name, reterr) < 0 ||
        at->ask(client, from, name, reterr) < 0 ||
        talk_text(client, "value", &piece, &found, reterr) < 0)
        return -1;
    if (!found)
        return ct_fail(reterr, EPROTO, "piece %u of a value is not there", i);
    return add_piece(talk_of(client), piece, len, reterr);
}

static int get_all(struct client *client, const struct pieces *at,
                   const struct client_source *from,
                   const struct carry_head *head, struct ct_span first,
                   struct client_answer *ret, struct ct_error *reterr)
{
    struct talk *talk = talk_of(client);
    size_t len = 0;

    if (add_piece(talk, first, &len, reterr) < 0)
        return -1;
    for (unsigned i = 1; i <= head->more; i++)
        if (get_piece(client, at, from, head, i, &len, reterr) < 0)
            return -1;
    return talk_decode(client, ct_span(talk->carried, len), ret, reterr);
}

int pieces_get(struct client *client, const struct pieces *at,
               const struct client_source *from, const char *key,
               struct client_answer *ret, struct ct_error *reterr)
{
    char name[CLIENT_KEY_SIZE];
    struct carry_head head;
    struct ct_span text, first;

    if (write_key(client, at, key, name, reterr) < 0 ||
        at->ask(client, from, name, reterr) < 0 ||
        talk_text(client, "value", &text, &ret->found, reterr) < 0)
        return -1;
    if (!ret->found)
        return 0;
    if (carry_head_read(text, &head, &first) == 0)
        return get_all(client, at, from, &head, first, ret, reterr);
    return talk_decode(client, text, ret, reterr);
}
