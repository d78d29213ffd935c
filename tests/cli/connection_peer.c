/* SPDX-License-Identifier: MIT */
/*
 * connection_peer.c - one end of a connection, with the library; connection_peer.py is the same in Python.
 *
 *     connection_peer listen|connect ADDRESS KEY [md5]
 *
 * Exit status: 0: all went well; 3: the other end, or this one, was refused; 1: anything else.
 */
#include <brood/connection.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 20000, REFUSED = 3 };

static const size_t sizes[] = {0, 1, 5, 16384, 16385, 70000, 3000001};

static int tell(const char *what, int error)
{
    fprintf(stderr, "connection_peer: %s: %s: %s\n", what, brood_strerror(error), brood_error_detail());
    return error == BROOD_EAUTH ? REFUSED : 1;
}

#define TRY(call)                                 \
    do {                                          \
        int tried = (call);                       \
        if (tried < 0) return tell(#call, tried); \
    } while (0)

static int echo(brood_connection c)
{
    for (;;) {
        void *message;
        size_t size;
        int error = brood_connection_recv_alloc(c, &message, &size, PATIENCE);
        if (error == BROOD_ECLOSED) return 0;
        if (error < 0) return tell("recv", error);
        bool descriptor = size == 10 && memcmp(message, "descriptor", 10) == 0;
        error = brood_connection_send(c, message, size, PATIENCE);
        free(message);
        if (error < 0) return tell("send", error);
        if (descriptor) {
            int fd;
            size_t count;
            TRY(brood_connection_recv_fds(c, &fd, 1, &count, PATIENCE));
            if (write(fd, "through", 7) != 7) return 1;
            close(fd);
        }
    }
}

static int listen_at(const char *address, const brood_connection_options *options)
{
    char where[256];
    brood_listener listener;
    brood_connection c;
    TRY(brood_listener_new(&listener, address, options));
    TRY(brood_listener_address(listener, where, sizeof where));
    puts(where);
    fflush(stdout);
    int error = brood_listener_accept(listener, &c, PATIENCE), result = 0;
    if (error < 0) result = tell("accept", error);
    if (error == 0) result = echo(c);
    if (error == 0) TRY(brood_connection_free(c));
    TRY(brood_listener_free(listener));
    return result;
}

/* The same comes back, here by parts, as it does where one has a loop of one's own. */
static int hear(brood_connection c, const char *message, size_t size, char *answer)
{
    size_t got = size + 1;
    int error;
    do {
        TRY(brood_connection_poll(c, PATIENCE));
        error = brood_connection_recv(c, answer, size, &got, 0);
    } while (error == BROOD_EAGAIN);
    if (error < 0) return tell("recv", error);
    return got != size || memcmp(answer, message, size) != 0;
}

static int ask(brood_connection c, const char *message, size_t size)
{
    int error;
    while ((error = brood_connection_send(c, message, size, 1)) == BROOD_ETIMEDOUT) continue;
    if (error < 0) return tell("send", error);
    char *answer = malloc(size + 1);
    int result = answer ? hear(c, message, size, answer) : 1;
    free(answer);
    return result;
}

static int hand_over(brood_connection c)
{
    int ends[2];
    char through[8];
    if (pipe(ends) < 0) return 1;
    TRY(brood_connection_send_fds(c, &ends[1], 1, PATIENCE));
    close(ends[1]);
    bool came = read(ends[0], through, sizeof through) == 7 && memcmp(through, "through", 7) == 0;
    close(ends[0]);
    return !came;
}

static int connect_to(const char *address, const brood_connection_options *options)
{
    brood_connection c;
    TRY(brood_connection_connect(&c, address, options, PATIENCE));
    int result = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && result == 0; i++) {
        char *message = malloc(sizes[i] + 1);
        if (!message) return 1;
        for (size_t at = 0; at < sizes[i]; at++) message[at] = (char)((at & 0xff) * 7);
        result = ask(c, message, sizes[i]);
        free(message);
    }
    if (result == 0 && (address[0] == '@' || strchr(address, '/'))) {
        result = ask(c, "descriptor", 10);
        if (result == 0) result = hand_over(c);
    }
    if (result == 0) result = ask(c, "bye", 3);
    TRY(brood_connection_free(c));
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    const brood_connection_options options = {
        .authkey = argv[3], .authkey_size = strlen(argv[3]), .allow_md5 = argc > 4 && strcmp(argv[4], "md5") == 0};
    return strcmp(argv[1], "listen") == 0 ? listen_at(argv[2], &options) : connect_to(argv[2], &options);
}
