/* SPDX-License-Identifier: MIT */
/*
 * connection.c - calls in any order on a connection, whose other end says anything in any pieces: each answer is what the
 * rule says for the bytes that have come, and forged handles are codes.
 *
 * The input is a list of steps: a byte for the kind, one for a number; bytes to be given follow theirs.
 */
#include "fuzz.h"

#include <brood/connection.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void require(bool truth)
{
    if (!truth) abort();
}

enum { LIMIT = 100, STREAM_MOST = 1 << 14 };

static brood_connection ours;
static int raw;

/* What has come, as far as a rule of a few lines says what it means. */
static uint8_t stream[STREAM_MOST];
static size_t at, end;
static bool ended;   /* nothing more will come */
static bool touched; /* a part of a message has been taken out of the socket */
static int broken;   /* the answer for good */

static void make(void)
{
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    require(brood_connection_from_fd(&ours, ends[0], &(brood_connection_options){.max_message = LIMIT}) == 0);
    raw = ends[1];
    at = end = 0;
    ended = touched = false;
    broken = 0;
}

static int more_or(int otherwise)
{
    touched |= at < end;
    return ended ? (broken = otherwise) : BROOD_EAGAIN;
}

/* The answer to a receive with room for so much; *size is the message's, which lies *head behind `at`. */
static int by_rule(uint64_t room, size_t *head, uint64_t *size)
{
    *head = 4;
    if (broken) return broken;
    if (end - at < 4) return more_or(at == end ? BROOD_ECLOSED : -ECONNRESET);
    *size =
        (uint64_t)stream[at] << 24 | (uint64_t)stream[at + 1] << 16 | (uint64_t)stream[at + 2] << 8 | stream[at + 3];
    if (*size == 0xffffffff) {
        *head = 12;
        if (end - at < 12) return more_or(-ECONNRESET);
        *size = 0;
        for (size_t i = 4; i < 12; i++) *size = *size << 8 | stream[at + i];
    } else if (*size > 0x7fffffff) {
        touched = true;
        return broken = BROOD_ECORRUPT;
    }
    if (*size > room) {
        touched = true;
        return BROOD_EMSGSIZE;
    }
    return end - at - *head < *size ? more_or(-ECONNRESET) : 0;
}

static void receive(bool alloc, size_t room, int timeout)
{
    size_t head, size = 0;
    uint64_t expected = 0;
    void *memory = NULL;
    char *place = malloc(room ? room : 1); /* of its very size: what is written beyond is seen */
    require(place != NULL);
    int wanted = by_rule(alloc ? LIMIT : room, &head, &expected);
    if (wanted == BROOD_EAGAIN && timeout) wanted = BROOD_ETIMEDOUT;
    int result = alloc ? brood_connection_recv_alloc(ours, &memory, &size, timeout)
                       : brood_connection_recv(ours, place, room, &size, timeout);
    require(result == wanted);
    if (result == BROOD_EMSGSIZE) require(size == expected);
    if (result == 0) {
        require(size == expected && memcmp(alloc ? memory : place, stream + at + head, size) == 0);
        at += head + size;
        touched = false;
    }
    free(memory);
    free(place);
}

static void receive_fds(void)
{
    int fd;
    size_t count;
    int wanted = broken     ? broken
                 : touched  ? BROOD_EINVAL
                 : at < end ? BROOD_ECORRUPT
                 : ended    ? BROOD_ECLOSED
                            : BROOD_EAGAIN;
    require(brood_connection_recv_fds(ours, &fd, 1, &count, 0) == wanted && count == 0);
    if (wanted == BROOD_ECORRUPT && !broken) at++; /* one that is broken takes nothing more */
    if (wanted == BROOD_ECORRUPT || wanted == BROOD_ECLOSED) broken = wanted;
}

static void send_one(size_t size)
{
    uint8_t sent[256], got[300];
    memset(sent, (int)size, sizeof sent);
    require(brood_connection_send(ours, sent, size, 0) == 0 && brood_connection_unsent(ours) == 0);
    require(recv(raw, got, sizeof got, MSG_DONTWAIT) == (ssize_t)size + 4);
    require(got[0] == 0 && got[3] == size && memcmp(got + 4, sent, size) == 0);
}

static void detach(void)
{
    int fd = brood_connection_detach(ours);
    require((fd == BROOD_EAGAIN) == touched && (touched || fd >= 0));
    if (fd < 0) return;
    require(brood_connection_fd(ours) == BROOD_ESTALE);
    require(brood_connection_from_fd(&ours, fd, &(brood_connection_options){.max_message = LIMIT}) == 0);
    require(brood_connection_fd(ours) == fd);
    broken = 0; /* it begins anew where the stream is */
}

static void forge(uint64_t id)
{
    char data[8];
    void *memory;
    size_t size;
    int fd = 0;
    brood_connection forged = {id};
    brood_listener listener = {id};
    if (id == ours.id) return;
    require(brood_connection_send(forged, "x", 1, 0) == BROOD_ESTALE);
    require(brood_connection_unsent(forged) == BROOD_ESTALE);
    require(brood_connection_recv(forged, data, sizeof data, &size, 0) == BROOD_ESTALE);
    require(brood_connection_recv_alloc(forged, &memory, &size, 0) == BROOD_ESTALE);
    require(brood_connection_poll(forged, 0) == BROOD_ESTALE);
    require(brood_connection_fd(forged) == BROOD_ESTALE);
    require(brood_connection_peer(forged, data, sizeof data) == BROOD_ESTALE);
    require(brood_connection_send_fds(forged, &fd, 1, 0) == BROOD_ESTALE);
    require(brood_connection_recv_fds(forged, &fd, 1, &size, 0) == BROOD_ESTALE);
    require(brood_connection_detach(forged) == BROOD_ESTALE);
    require(brood_connection_free(forged) == BROOD_ESTALE);
    require(brood_listener_accept(listener, &forged, 0) == BROOD_ESTALE);
    require(brood_listener_address(listener, data, sizeof data) == BROOD_ESTALE);
    require(brood_listener_fd(listener) == BROOD_ESTALE);
    require(brood_listener_free(listener) == BROOD_ESTALE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t *last = bytes + size;
    make();
    for (int steps = 0; last - bytes >= 2 && steps < 200; steps++) {
        uint8_t kind = bytes[0], number = bytes[1];
        bytes += 2;
        switch (kind % 9) {
        case 0: {
            size_t n = number < last - bytes ? number : (size_t)(last - bytes);
            if (ended || n > STREAM_MOST - end) break;
            require(n == 0 || write(raw, bytes, n) == (ssize_t)n);
            memcpy(stream + end, bytes, n);
            end += n;
            bytes += n;
            break;
        }
        case 1: receive(false, number, 0); break;
        case 2: receive(true, 0, 0); break;
        case 3: receive(number & 1, number, 1); break;
        case 4: {
            /* What is left in the socket is not known where a part was taken; then only the answer's kind is. */
            int result = brood_connection_poll(ours, 0);
            require(result == 0 || (result == BROOD_EAGAIN && !ended));
            if (!touched && !broken) require((result == 0) == (at < end || ended));
            break;
        }
        case 5: send_one(number); break;
        case 6: detach(); break;
        case 7: forge(ours.id ^ UINT64_C(1) << number % 64 ^ (number > 128 ? UINT64_C(3) << 56 : 0)); break;
        case 8:
            if (number < 8) {
                shutdown(raw, SHUT_WR);
                ended = true;
            } else if (number < 64) {
                receive_fds();
            }
            break;
        }
    }
    require(brood_connection_free(ours) == 0);
    forge(ours.id + 1);
    close(raw);
    return 0;
}
