/* SPDX-License-Identifier: MIT */
/* handshake.c - see handshake.h. */
#include "pipe/handshake.h"

#include "call/error.h"
#include "os/os.h"

static int gone(int code)
{
    if (code == -ECONNRESET || code == -EPIPE)
        return brood__fail_with(-ECONNRESET, "the other end went before it had proved itself");
    return brood__fail_with(code, "the handshake failed: %s", brood_strerror(code));
}

static int send_frame(int fd, const struct auth_frame *frame)
{
    uint8_t head[FRAME_HEAD_MOST];
    if (frame->size == 0) return 0;
    size_t head_size = brood__frame_head(head, frame->size);
    ssize_t sent = brood__os_stream_send(fd, head, head_size, frame->bytes, frame->size);
    if (sent == -EAGAIN || (sent >= 0 && (size_t)sent < head_size + frame->size))
        return brood__fail_with(BROOD_EAUTH, "the other end does not read");
    return sent < 0 ? gone((int)sent) : 0;
}

int brood__handshake_begin(struct handshake *h, int fd, enum auth_role role)
{
    struct auth_frame out;
    h->fd = fd;
    brood__frame_reader_init(&h->in, AUTH_MOST);
    int error = brood__auth_begin(&h->auth, role, &out);
    return error < 0 ? gone(error) : send_frame(fd, &out);
}

/* What has come of a frame: 1 when it is whole, 0 when there is no more now. */
static int receive(struct handshake *h)
{
    for (;;) {
        void *place;
        size_t most;
        int result = brood__frame_reader_place(&h->in, &place, &most);
        if (result < 0) return gone(result);
        ssize_t got = brood__os_stream_receive(h->fd, place, most);
        if (got == -EAGAIN) return 0;
        if (got <= 0) return gone(got == 0 ? -ECONNRESET : (int)got);
        result = brood__frame_reader_added(&h->in, (size_t)got);
        if (result < 0)
            return brood__fail_with(BROOD_EAUTH, "the other end sends something else than a handshake%s",
                                    result == BROOD_EMSGSIZE ? ": a message longer than 256 bytes" : "");
        if (result > 0) return 1;
    }
}

int brood__handshake_step(struct handshake *h, const struct auth_key *key)
{
    for (;;) {
        struct auth_frame out;
        size_t size;
        int result = receive(h);
        if (result <= 0) return result;
        const void *frame = brood__frame_reader_message(&h->in, &size);
        result = brood__auth_take(&h->auth, key, frame, size, &out);
        brood__frame_reader_next(&h->in);
        if (result < 0) {
            /* A refusal is a courtesy; what is said of it stays. */
            uint8_t head[FRAME_HEAD_MOST];
            if (out.size > 0)
                brood__os_stream_send(h->fd, head, brood__frame_head(head, out.size), out.bytes, out.size);
            return result;
        }
        int error = send_frame(h->fd, &out);
        if (error < 0) return error;
        if (result > 0) return 1;
    }
}

void brood__handshake_end(struct handshake *h)
{
    brood__frame_reader_free(&h->in);
}
