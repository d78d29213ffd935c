/* SPDX-License-Identifier: MIT */
/* zeromq.c - ZeroMQ's PUSH and PULL over sockets of the abstract namespace.  Half of the room is at either end. */
#include "crew.h"
#include "sockets.h"

#include <zmq.h>

static void *context, *push, *pull;

static void check(int result, const char *what)
{
    if (result < 0) crew_fail(what, -zmq_errno());
}

static void set(void *socket, int option, int value)
{
    check(zmq_setsockopt(socket, option, &value, sizeof value), "zmq_setsockopt");
}

static void *open_socket(int type, const struct sockets_plan *plan)
{
    void *socket = zmq_socket(context, type);
    if (!socket) crew_fail("zmq_socket", -zmq_errno());
    int half = plan->capacity > 1 ? plan->capacity / 2 : 1;
    set(socket, ZMQ_SNDHWM, half);
    set(socket, ZMQ_RCVHWM, half);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_RECONNECT_IVL, 1); /* the other end may not be there yet */
    return socket;
}

static void send_message(const void *data, size_t size)
{
    check(zmq_send(push, data, size, 0), "zmq_send");
}

static bool receive(void *data, size_t size, bool waits)
{
    int got = zmq_recv(pull, data, size, waits ? 0 : ZMQ_DONTWAIT);
    if (got < 0 && zmq_errno() == EAGAIN) return false;
    check(got, "zmq_recv");
    if ((size_t)got != size) crew_fail("zmq_recv", -EMSGSIZE);
    return true;
}

/* A greeting goes to each inbox, in turn since none is full, and all have come when all is connected. */
static void open_sockets(const struct sockets_plan *plan)
{
    char address[SOCKETS_ADDRESS_SIZE];
    context = zmq_ctx_new();
    if (!context) crew_fail("zmq_ctx_new", -zmq_errno());
    if (plan->inbox >= 0) {
        pull = open_socket(ZMQ_PULL, plan);
        sockets_address(address, sizeof address, "ipc://@", (unsigned)plan->inbox);
        check(zmq_bind(pull, address), "zmq_bind");
    }
    if (plan->count > 0) push = open_socket(ZMQ_PUSH, plan);
    for (unsigned i = 0; i < plan->count; i++) {
        sockets_address(address, sizeof address, "ipc://@", plan->first + i);
        check(zmq_connect(push, address), "zmq_connect");
    }
    for (unsigned i = 0; i < plan->count; i++) send_message("", 0);
    for (unsigned i = 0; plan->inbox >= 0 && i < plan->senders; i++) receive(address, 0, true);
    if (plan->inbox >= 0) set(pull, ZMQ_RCVTIMEO, plan->patience_ms);
}

static void close_sockets(void)
{
    if (push) zmq_close(push);
    if (pull) zmq_close(pull);
    zmq_ctx_term(context);
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

const struct stream_peer zeromq_peer = {stream, round_trip, alone};
