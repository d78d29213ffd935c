/* SPDX-License-Identifier: MIT */
/* nng.c - nng's push0 and pull0 over sockets of the abstract namespace.  The room is at the sender's end. */
#include "crew.h"
#include "harness.h"
#include "sockets.h"

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <unistd.h>

#define MOST_BUFFERED 8192 /* messages; nng's own limit */

static nng_socket push, pull;
static bool pushes, pulls;

static void check(int error, const char *what)
{
    if (error == 0) return;
    bench_complain(what, nng_strerror(error));
    _exit(3);
}

/* The other end may not be there yet. */
static void dial(const char *address)
{
    int error = NNG_ECONNREFUSED;
    for (unsigned waited = 0; error == NNG_ECONNREFUSED && waited < CREW_PATIENCE_MS; waited++) {
        if (waited > 0) usleep(1000);
        error = nng_dial(push, address, NULL, 0);
    }
    check(error, "nng_dial");
}

static void open_sockets(const struct sockets_plan *plan)
{
    char address[SOCKETS_ADDRESS_SIZE];
    pulls = plan->inbox >= 0;
    if (pulls) {
        check(nng_pull0_open(&pull), "nng_pull0_open");
        check(nng_socket_set_ms(pull, NNG_OPT_RECVTIMEO, plan->patience_ms), "nng receive timeout");
        sockets_address(address, sizeof address, "abstract://", (unsigned)plan->inbox);
        check(nng_listen(pull, address, NULL, 0), "nng_listen");
    }
    pushes = plan->count > 0;
    if (pushes) {
        int capacity = plan->capacity < MOST_BUFFERED ? plan->capacity : MOST_BUFFERED;
        check(nng_push0_open(&push), "nng_push0_open");
        check(nng_socket_set_int(push, NNG_OPT_SENDBUF, capacity), "nng send buffer");
    }
    for (unsigned i = 0; i < plan->count; i++) {
        sockets_address(address, sizeof address, "abstract://", plan->first + i);
        dial(address);
    }
}

static void send_message(const void *data, size_t size)
{
    check(nng_send(push, (void *)data, size, 0), "nng_send");
}

static bool receive(void *data, size_t size, bool waits)
{
    size_t got = size;
    int error = nng_recv(pull, data, &got, waits ? 0 : NNG_FLAG_NONBLOCK);
    if (error == NNG_EAGAIN || error == NNG_ETIMEDOUT) return false;
    check(error, "nng_recv");
    if (got != size) check(NNG_EMSGSIZE, "nng_recv");
    return true;
}

static void close_sockets(void)
{
    if (pushes) nng_close(push);
    if (pulls) nng_close(pull);
}

static const struct sockets_library library = {open_sockets, send_message, receive, close_sockets};

static double stream(void *shape, uint64_t n)
{
    return sockets_stream(&library, shape, n);
}

static double round_trip(void *shape, uint64_t n)
{
    return sockets_round_trip(&library, shape, n);
}

static double alone(void *shape, uint64_t n)
{
    return sockets_alone(&library, shape, n);
}

const struct stream_peer nng_peer = {stream, round_trip, alone};
