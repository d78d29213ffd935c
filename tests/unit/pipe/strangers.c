/* SPDX-License-Identifier: MIT */
/* strangers.c - callers and listeners with bad intentions, loops of one's own, handles that are none. */
#include "callers.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ----------------------------------------------------------------------------------------------------- bad intentions */

static int stranger(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = strlen(address);
    memcpy(at.sun_path, address, size);
    at.sun_path[0] = 0;
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    return fd;
}

START_TEST(strangers_are_turned_away)
{
    static const struct {
        const char *says;
        size_t size;
        const char *why;
    } strangers[] = {
        {"", 0, "went"},
        {"\0\0\0", 3, "went"},
        {"\0\0\0\10abc", 7, "went"},
        {"\xff\xff\xff\xff\0\0\0\1\0\0\0\0", 12, "longer than 256"},
        {"\xff\xff\xff\xfe", 4, "something else"},
        {"\0\0\1\1", 4, "longer than 256"},
        {"GET / HTTP/1.1\r\n\r\n", 18, "longer than 256"},
        {"\0\0\0\0", 4, "its answer is none"},
        {"\0\0\0\11#WELCOME#", 13, "its answer is none"},
        {"\0\0\0\20aaaaaaaaaaaaaaaa", 20, "MD5"},
        {"\0\0\0\50{sha256}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 44, "another key"},
    };
    brood_connection c;
    open_door(NULL, NULL);
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        int fd = stranger();
        ck_assert_int_eq(write(fd, strangers[i].says, strangers[i].size), (ssize_t)strangers[i].size);
        shutdown(fd, SHUT_WR);
        ck_assert_int_eq(brood_listener_accept(door, &c, PATIENCE), BROOD_EAUTH);
        ck_assert_msg(strstr(brood_error_detail(), strangers[i].why) != NULL, "%zu: %s", i, brood_error_detail());
        ck_gets_in(NULL, 0);
        close(fd);
    }
    brood_test_ok(brood_listener_free(door));
}
END_TEST

START_TEST(the_silent_hold_up_nobody)
{
    enum { SILENT = 3, PLACES = 4 };
    int fds[2 * PLACES];
    brood_connection c;
    open_door(NULL, &(brood_connection_options){.max_handshakes = PLACES, .handshake_timeout = 1000000});
    for (int i = 0; i < SILENT; i++) fds[i] = stranger();
    ck_assert_int_eq(write(fds[0], "\0\0\0", 3), 3);
    for (int i = 0; i < 10; i++) ck_gets_in(NULL, 0);
    ck_assert_int_eq(brood_listener_accept(door, &c, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_listener_accept(door, &c, A_WHILE), BROOD_ETIMEDOUT);
    /* More than there are places: the oldest make room. */
    for (int i = SILENT; i < 2 * PLACES; i++) fds[i] = stranger();
    for (int i = 0; i < PLACES; i++) {
        ck_assert_int_eq(brood_listener_accept(door, &c, PATIENCE), BROOD_EAUTH);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "others want its place"));
    }
    ck_assert_int_eq(brood_listener_accept(door, &c, A_WHILE), BROOD_ETIMEDOUT);
    ck_gets_in(NULL, 1);
    brood_test_ok(brood_listener_free(door));
    for (int i = 0; i < 2 * PLACES; i++) close(fds[i]);
}
END_TEST

START_TEST(the_silent_have_their_time)
{
    brood_connection c;
    open_door(NULL, &(brood_connection_options){.handshake_timeout = A_WHILE});
    int fd = stranger();
    ck_assert_int_eq(brood_listener_accept(door, &c, PATIENCE), BROOD_EAUTH);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "in time"));
    ck_assert_int_eq(brood_listener_accept(door, &c, 0), BROOD_EAGAIN);
    close(fd);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

/* A copy of this process has a copy of the caller's socket, which has nothing more to do with the listener. */
START_TEST(turned_away_for_good)
{
    brood_connection c;
    int hold[2];
    open_door(NULL, &(brood_connection_options){.handshake_timeout = A_WHILE});
    struct pollfd ready = {.fd = brood_listener_fd(door), .events = POLLIN};
    int fd = stranger();
    ck_assert_int_eq(brood_listener_accept(door, &c, 0), BROOD_EAGAIN);
    ck_assert_int_eq(pipe2(hold, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) != 0);
    }
    ck_assert_int_eq(brood_listener_accept(door, &c, PATIENCE), BROOD_EAUTH);
    ck_assert_int_eq(write(fd, "late", 4), 4);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    close(hold[0]);
    close(hold[1]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    close(fd);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

/* A bare listener: what the client makes of what it says. */
static int bare_door(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address, sizeof address, "@brood-test-%d", (int)getpid());
    memcpy(at.sun_path + 1, address + 1, strlen(address) - 1);
    ck_assert_int_eq(
        bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address))), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

START_TEST(bad_listeners)
{
    static const struct {
        const char *says;
        size_t size;
        int code;
        const char *why;
    } listeners[] = {
        {"", 0, -ECONNRESET, "went"},
        {"\0\0\0\62#CHALLENGE#", 15, -ECONNRESET, "went"},
        {"\0\0\0\37#CHALLENGE#aaaaaaaaaaaaaaaaaaaa", 35, BROOD_EAUTH, "3.11"},
        {"\0\0\0\73#CHALLENGE#{sha256}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\0\11#FAILURE#", 76, BROOD_EAUTH,
         "another key"},
        {"\0\0\0\73#CHALLENGE#{sha256}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\0\11#WELCOME#\0\0\0\3abc", 83,
         BROOD_EAUTH, "its answer is none"},
        {"\xff\xff\xff\xff\0\0\0\1\0\0\0\0", 12, BROOD_EAUTH, "longer than 256"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n", 23, BROOD_EAUTH, "longer than 256"},
    };
    int fd = bare_door();
    for (size_t i = 0; i < sizeof listeners / sizeof *listeners; i++) {
        struct caller c = {.timeout = PATIENCE};
        call(&c);
        int end = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_eq(write(end, listeners[i].says, listeners[i].size), (ssize_t)listeners[i].size);
        shutdown(end, SHUT_WR);
        ck_assert_int_eq(called(&c), listeners[i].code);
        ck_assert_msg(strstr(c.detail, listeners[i].why) != NULL, "%zu: %s", i, c.detail);
        close(end);
    }
    brood_connection c;
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, A_WHILE), BROOD_ETIMEDOUT);
    ck_assert_str_eq(brood_error_detail(), "the other end does not answer");
    /* Its queue is full: a connect that does not get in. */
    int more[2];
    for (int i = 0; i < 2; i++) {
        struct caller filling = {.timeout = A_WHILE};
        call(&filling);
        more[i] = called(&filling);
        ck_assert_int_eq(more[i], BROOD_ETIMEDOUT);
    }
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, 0), BROOD_EAGAIN);
    close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ loops */

/* A loop of one's own, a thousand callers, one after the other and some at once. */
static void *call_often(void *arg)
{
    for (int i = 0; i < 50; i++) {
        brood_connection c;
        char data[4];
        size_t size;
        if (brood_connection_connect(&c, address, NULL, PATIENCE) < 0) return arg;
        if (brood_connection_recv(c, data, sizeof data, &size, PATIENCE) < 0 || size != 2) return arg;
        if (brood_connection_free(c) < 0) return arg;
    }
    return NULL;
}

START_TEST(a_loop_of_its_own)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int accepted = 0;
    open_door(NULL, NULL);
    struct pollfd ready = {.fd = brood_listener_fd(door), .events = POLLIN};
    ck_assert_int_ge(ready.fd, 0);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &accepted), 0);
    while (accepted < THREADS * 50) {
        brood_connection c;
        ck_assert_int_eq(poll(&ready, 1, PATIENCE), 1);
        int result;
        while ((result = brood_listener_accept(door, &c, 0)) == 0) {
            brood_test_ok(brood_connection_send(c, "hi", 2, 0));
            brood_test_ok(brood_connection_free(c));
            accepted++;
        }
        ck_assert_int_eq(result, BROOD_EAGAIN);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    brood_test_ok(brood_listener_free(door));
}
END_TEST

START_TEST(stale_and_wrong)
{
    brood_connection c;
    const brood_connection_options bad[] = {
        {.handshake_timeout = -1}, {.max_handshakes = -1}, {.max_handshakes = 1025}, {.backlog = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(brood_listener_new(&door, NULL, &bad[i]), BROOD_EINVAL);
    ck_assert_int_eq(brood_listener_new(NULL, NULL, NULL), BROOD_EINVAL);
    open_door(NULL, NULL);
    ck_assert_int_eq(brood_listener_accept(door, &c, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_listener_accept(door, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_listener_address(door, NULL, 10), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_connect(NULL, address, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_send((brood_connection){door.id}, "", 0, 0), BROOD_ESTALE);
    brood_test_ok(brood_listener_free(door));
    ck_assert_int_eq(brood_listener_free(door), BROOD_ESTALE);
    ck_assert_int_eq(brood_listener_accept(door, &c, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_listener_fd(door), BROOD_ESTALE);
    ck_assert_int_eq(brood_listener_address(door, address, sizeof address), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, PATIENCE), -ECONNREFUSED);
}
END_TEST

static Suite *strangers_suite(void)
{
    Suite *suite = suite_create("strangers");
    TCase *intentions = brood_test_case(suite, "intentions");
    tcase_add_test(intentions, strangers_are_turned_away);
    tcase_add_test(intentions, the_silent_hold_up_nobody);
    tcase_add_test(intentions, the_silent_have_their_time);
    tcase_add_test(intentions, turned_away_for_good);
    tcase_add_test(intentions, bad_listeners);
    TCase *loops = brood_test_case(suite, "loops");
    tcase_add_test(loops, a_loop_of_its_own);
    tcase_add_test(loops, stale_and_wrong);
    return suite;
}

BROOD_TEST_MAIN(strangers_suite)
