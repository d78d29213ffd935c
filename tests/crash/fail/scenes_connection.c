/* SPDX-License-Identifier: MIT */
/* scenes_connection.c - a listener, a caller in another process, messages and descriptors between them. */
#include "os/os.h"
#include "play.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 300, PATIENCE_MS = 3000, LARGE = 300000, MOMENT_NS = 3 * 1000 * 1000 };

struct place {
    char address[64];
    bool descriptors;
};

/* What the caller says; the first that fails ends it. */
static int say_and_hear(brood_connection c, bool descriptors)
{
    static char large[LARGE];
    size_t size;
    int ends[2] = {-1, -1};
    void *memory = NULL;
    memset(large, 'l', sizeof large);
    int error = brood_connection_send(c, "hello", 5, PATIENCE_MS);
    if (error == 0) error = brood_connection_send(c, large, sizeof large, PATIENCE_MS);
    if (error == 0) error = brood_connection_recv_alloc(c, &memory, &size, PATIENCE_MS);
    if (error == 0 && (size != sizeof large || memcmp(memory, large, size) != 0)) error = 1;
    free(memory);
    if (error != 0 || !descriptors) return error;
    if (OWN(pipe2(ends, O_CLOEXEC)) < 0) return 1;
    error = brood_connection_send_fds(c, ends, 2, PATIENCE_MS);
    if (error == 0) error = brood_connection_recv(c, large, sizeof large, &size, PATIENCE_MS);
    if (error == 0 && OWN(read(ends[0], large, 1)) != 1) error = 1;
    close(ends[0]);
    close(ends[1]);
    return error;
}

BROOD_TASK(call_in, int, struct place, place)
{
    brood_connection c;
    int error = brood_connection_connect(&c, place.address, NULL, PATIENCE_MS);
    if (error < 0) return TOLD;
    error = say_and_hear(c, place.descriptors);
    if (brood_connection_free(c) < 0) return 2;
    return error < 0 ? TOLD : error;
}

static void hear_and_say(brood_connection c, bool descriptors)
{
    static char data[LARGE];
    size_t size, count = 0;
    int fds[4];
    if (!ok(KIND_STREAM, brood_connection_recv(c, data, sizeof data, &size, PATIENCE_MS))) return;
    expect(size == 5 && memcmp(data, "hello", 5) == 0);
    if (!ok(KIND_STREAM, brood_connection_recv(c, data, sizeof data, &size, PATIENCE_MS))) return;
    expect(size == LARGE && data[0] == 'l' && data[LARGE - 1] == 'l');
    if (!ok(KIND_STREAM, brood_connection_send(c, data, size, PATIENCE_MS)) || !descriptors) return;
    if (!ok(KIND_STREAM, brood_connection_recv_fds(c, fds, 4, &count, PATIENCE_MS))) return;
    expect(count == 2);
    expect(OWN(write(fds[1], "x", 1)) == 1);
    for (size_t i = 0; i < count; i++) close(fds[i]);
    ok(KIND_STREAM, brood_connection_send(c, "", 0, PATIENCE_MS));
}

/* As long as there is one that may come. */
static bool accept_one(brood_listener listener, brood_connection *c, brood_process caller)
{
    for (;;) {
        bool more = there(caller);
        int error = brood_listener_accept(listener, c, WAIT_MS);
        if (error == 0) return true;
        if (error != BROOD_ETIMEDOUT && !ok(KIND_STREAM, error)) OWN((brood__os_nap(MOMENT_NS), 0));
        if (!more) return false;
    }
}

static void play(const char *address, bool descriptors)
{
    struct place place = {.descriptors = descriptors};
    brood_listener listener;
    brood_process caller;
    brood_connection c;
    if (!ok(KIND_STREAM, brood_listener_new(&listener, address, NULL))) return;
    ok(KIND_NEVER, brood_listener_address(listener, place.address, sizeof place.address));
    if (ok(KIND_START, brood_process_start(&caller, NULL, call_in, &place))) {
        if (accept_one(listener, &c, caller)) {
            hear_and_say(c, descriptors);
            ok(KIND_NEVER, brood_connection_free(c));
        }
        end_process(caller, 0);
    }
    ok(KIND_NEVER, brood_listener_free(listener));
}

static void over_a_name(void)
{
    play(NULL, true);
}

static void over_a_port(void)
{
    play("127.0.0.1:0", false);
}

/* And one that the dead left. */
static void over_a_path(void)
{
    char path[64];
    brood_listener left;
    snprintf(path, sizeof path, "/tmp/brood-fail-%d", (int)getpid());
    play(path, true);
    expect(OWN(access(path, F_OK)) < 0 || !run_is_strict()); /* what can't be looked at is left for the next */
    pid_t child = OWN(fork());
    if (child == 0) {
        run_mark_own(true);
        _exit(brood_listener_new(&left, path, &(brood_connection_options){.unauthenticated = true}) < 0);
    }
    int status;
    OWN(waitpid(child, &status, 0));
    play(path, true);
    OWN(unlink(path)); /* it is still there if the listener could not be made */
}

const struct scene connection_scenes[] = {
    {.name = "connection", .body = over_a_name},
    {.name = "connection_port", .body = over_a_port},
    {.name = "connection_path", .body = over_a_path},
    {.name = NULL},
};
