/* SPDX-License-Identifier: MIT */
/*
 * listener.c - who is let in, by which address, and what is left of a path; callers are here threads, members under every
 * start method, and bare sockets with bad intentions.
 */
#include "members.h"

#include <brood/connection.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static brood_listener door;
static char address[256];

static void open_door(const char *at, const brood_connection_options *options)
{
    int error = brood_listener_new(&door, at, options);
    if (error < 0) ck_abort_msg("%s: %s", brood_strerror(error), brood_error_detail());
    brood_test_ok(brood_listener_address(door, address, sizeof address));
}

struct caller {
    const char *address;
    brood_connection_options options;
    int timeout;
    pthread_t thread;
    brood_connection connection;
    int result;
    char detail[256];
};

static void *call_thread(void *arg)
{
    struct caller *c = arg;
    c->result = brood_connection_connect(&c->connection, c->address, &c->options, c->timeout ? c->timeout : PATIENCE);
    snprintf(c->detail, sizeof c->detail, "%s", brood_error_detail());
    return NULL;
}

static void call(struct caller *c)
{
    if (!c->address) c->address = address;
    ck_assert_int_eq(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

static int called(struct caller *c)
{
    pthread_join(c->thread, NULL);
    return c->result;
}

/* Both ends talk. */
static void ck_talk(brood_connection a, brood_connection b)
{
    char data[8];
    size_t size;
    brood_test_ok(brood_connection_send(a, "ping", 4, PATIENCE));
    brood_test_ok(brood_connection_recv(b, data, sizeof data, &size, PATIENCE));
    ck_assert(size == 4 && memcmp(data, "ping", 4) == 0);
    brood_test_ok(brood_connection_send(b, "pong!", 5, PATIENCE));
    brood_test_ok(brood_connection_recv(a, data, sizeof data, &size, PATIENCE));
    ck_assert(size == 5 && memcmp(data, "pong!", 5) == 0);
}

/* A caller with the right key gets in, after `refused` others were turned away. */
static void ck_gets_in(const brood_connection_options *options, int refused)
{
    struct caller c = {.options = options ? *options : (brood_connection_options){.authkey = NULL}};
    brood_connection accepted;
    int result;
    call(&c);
    while ((result = brood_listener_accept(door, &accepted, PATIENCE)) == BROOD_EAUTH && refused > 0) refused--;
    if (result < 0) ck_abort_msg("accept: %s: %s", brood_strerror(result), brood_error_detail());
    ck_assert_int_eq(called(&c), 0);
    ck_talk(accepted, c.connection);
    brood_test_ok(brood_connection_free(accepted));
    brood_test_ok(brood_connection_free(c.connection));
}

/* ------------------------------------------------------------------------------------------------------- addresses */

START_TEST(addresses_that_mean_nothing)
{
    static const char *const wrong[] = {
        "",        "name",    "host:", "host:x", "host:65536", "host:-1",     "::1:80", "[::1]", "[]:80",
        "[::1:80", "[::1]80", "unix:", "@",      "host:0x10",  "host:100000", "::1",    ":"};
    static const char *const wrong_to_connect[] = {":80", "host:0", "127.0.0.1:00"};
    brood_connection c;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(brood_connection_connect(&c, wrong[i], NULL, 0), BROOD_EINVAL);
        ck_assert_int_eq(brood_listener_new(&door, wrong[i], NULL), BROOD_EINVAL);
        ck_assert_str_ne(brood_error_detail(), "");
    }
    for (size_t i = 0; i < sizeof wrong_to_connect / sizeof *wrong_to_connect; i++)
        ck_assert_int_eq(brood_connection_connect(&c, wrong_to_connect[i], NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_connect(&c, NULL, NULL, 0), BROOD_EINVAL);
    char path[200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -ENAMETOOLONG);
    path[0] = '@';
    ck_assert_int_eq(brood_connection_connect(&c, path, NULL, 0), -ENAMETOOLONG);
    ck_assert_int_eq(brood_connection_connect(&c, "no-such-host.invalid:1", NULL, 0) < 0, 1);
    ck_assert_int_eq(brood_listener_new(&door, "/no/such/directory/socket", NULL), -ENOENT);
    ck_assert_int_eq(brood_connection_connect(&c, "/no/such/directory/socket", NULL, 0), -ENOENT);
    ck_assert_int_eq(brood_connection_connect(&c, "@brood-nobody-listens-here", NULL, PATIENCE), -ECONNREFUSED);
}
END_TEST

static void ck_address(const char *at, const char *begins)
{
    open_door(at, NULL);
    ck_assert_msg(strncmp(address, begins, strlen(begins)) == 0, "%s", address);
    char same[256];
    ck_assert_int_eq(brood_listener_address(door, same, strlen(address)), BROOD_EMSGSIZE);
    brood_test_ok(brood_listener_address(door, same, strlen(address) + 1));
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
}

START_TEST(all_kinds_of_addresses)
{
    char directory[] = "/tmp/brood-test-XXXXXX";
    ck_address(NULL, "@brood-");
    ck_address("@brood-test-listener", "@brood-test-listener");
    ck_address("127.0.0.1:0", "127.0.0.1:");
    ck_address("localhost:0", "");
    if (access("/proc/net/if_inet6", R_OK) == 0) ck_address("[::1]:0", "[::1]:");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    ck_address("unix:socket", "unix:socket");
    ck_address("./socket", "./socket");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing is left there */
}
END_TEST

START_TEST(all_addresses_of_this_machine)
{
    char port[16];
    open_door(":0", NULL);
    snprintf(port, sizeof port, "%s", strrchr(address, ':'));
    snprintf(address, sizeof address, "127.0.0.1%s", port);
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
    brood_connection c;
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, PATIENCE), -ECONNREFUSED);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ paths */

static char path[64];

static void make_path(void)
{
    char directory[] = "/tmp/brood-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
}

static void remove_path(void)
{
    ck_assert_int_ne(access(path, F_OK), 0);
    *strrchr(path, '/') = 0;
    ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(a_path_is_removed_by_its_maker_alone)
{
    make_path();
    open_door(path, NULL);
    pid_t child = fork();
    if (child == 0) _exit(brood_listener_free(door) == 0 && access(path, F_OK) == 0 ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
    /* One that is another's by now stays. */
    open_door(path, NULL);
    ck_assert_int_eq(unlink(path), 0);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    brood_test_ok(brood_listener_free(door));
    ck_assert_int_eq(unlink(path), 0);
    remove_path();
}
END_TEST

START_TEST(a_dead_path_is_replaced)
{
    brood_listener second;
    make_path();
    pid_t child = fork();
    if (child == 0)
        _exit(brood_listener_new(&door, path, &(brood_connection_options){.authkey = "k", .authkey_size = 1}) != 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(access(path, F_OK), 0); /* what the dead left */
    open_door(path, NULL);
    ck_gets_in(NULL, 0);
    ck_assert_int_eq(brood_listener_new(&second, path, NULL), -EADDRINUSE);
    ck_gets_in(NULL, 1); /* the probe was a caller that said nothing */
    brood_test_ok(brood_listener_free(door));
    remove_path();
}
END_TEST

START_TEST(a_file_is_no_socket)
{
    make_path();
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -EADDRINUSE);
    ck_assert_int_eq(close(file), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/nowhere/at/all", path), 0);
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -EADDRINUSE);
    ck_assert_int_eq(unlink(path), 0);
    remove_path();
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- keys */

START_TEST(the_right_key_and_a_wrong_one)
{
    const brood_connection_options right = {.authkey = "secret", .authkey_size = 6};
    struct caller wrong = {.options = {.authkey = "Secret", .authkey_size = 6}};
    brood_connection accepted;
    open_door(NULL, &right);
    for (int i = 0; i < 3; i++) {
        call(&wrong);
        ck_assert_int_eq(brood_listener_accept(door, &accepted, PATIENCE), BROOD_EAUTH);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "another key"));
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "pid "));
        ck_assert_int_eq(called(&wrong), BROOD_EAUTH);
        ck_assert_ptr_nonnull(strstr(wrong.detail, "refuses our answer"));
        ck_gets_in(&right, 0);
    }
    /* The family's key is another one. */
    wrong = (struct caller){.address = address};
    call(&wrong);
    ck_assert_int_eq(brood_listener_accept(door, &accepted, PATIENCE), BROOD_EAUTH);
    ck_assert_int_eq(called(&wrong), BROOD_EAUTH);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

START_TEST(keys_of_all_sizes)
{
    static char key[1025];
    brood_connection c;
    for (size_t size = 1; size <= 1024; size *= 4) {
        open_door(NULL, &(brood_connection_options){.authkey = key, .authkey_size = size});
        ck_gets_in(&(brood_connection_options){.authkey = key, .authkey_size = size}, 0);
        brood_test_ok(brood_listener_free(door));
    }
    const brood_connection_options bad[] = {
        {.authkey = key},
        {.authkey = key, .authkey_size = 1025},
        {.authkey_size = 5},
        {.authkey = key, .authkey_size = 5, .unauthenticated = true},
        {.allow_md5 = true, .unauthenticated = true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(brood_listener_new(&door, NULL, &bad[i]), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_connect(&c, "@x", &bad[i], 0), BROOD_EINVAL);
    }
}
END_TEST

START_TEST(without_a_key_or_a_family)
{
    const brood_connection_options anybody = {.unauthenticated = true}, key = {.authkey = "k", .authkey_size = 1};
    brood_connection c;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_listener_new(&door, NULL, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_connection_connect(&c, "@x", NULL, 0), BROOD_ENOTMEMBER);
    open_door(NULL, &anybody);
    ck_gets_in(&anybody, 0);
    brood_test_ok(brood_listener_free(door));
    open_door(NULL, &key);
    ck_gets_in(&key, 0);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

struct place {
    char address[256];
};

BROOD_TASK(echo, int, struct place, place)
{
    char data[64];
    size_t size;
    brood_connection c;
    MUST(brood_connection_connect(&c, place.address, NULL, PATIENCE) == 0);
    while (brood_connection_recv(c, data, sizeof data, &size, PATIENCE) == 0)
        MUST(brood_connection_send(c, data, size, PATIENCE) == 0);
    MUST(brood_connection_free(c) == 0);
    return 0;
}

/* The family's key needs no words under any start method; a member that dies is the end of its stream. */
START_TEST(members_share_a_key)
{
    char data[64];
    size_t size;
    brood_connection c[2];
    brood_process p[2];
    struct place place;
    open_door(NULL, NULL);
    memcpy(place.address, address, sizeof place.address);
    for (int m = 0; m < MEMBERS_METHODS; m++) {
        for (int i = 0; i < 2; i++) {
            members_start(&p[i], members_methods[m], echo, &place);
            brood_test_ok(brood_listener_accept(door, &c[i], PATIENCE));
            brood_test_ok(brood_connection_send(c[i], "hello", 5, PATIENCE));
            brood_test_ok(brood_connection_recv(c[i], data, sizeof data, &size, PATIENCE));
            ck_assert(size == 5 && memcmp(data, "hello", 5) == 0);
        }
        members_kill(p[0]);
        ck_assert_int_eq(brood_connection_recv(c[0], data, sizeof data, &size, PATIENCE), BROOD_ECLOSED);
        for (int i = 0; i < 2; i++) brood_test_ok(brood_connection_free(c[i]));
        members_end(p[1], 0);
    }
    brood_test_ok(brood_listener_free(door));
}
END_TEST

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
    int turned_away = 0, result;
    while ((result = brood_listener_accept(door, &c, A_WHILE)) == BROOD_EAUTH) turned_away++;
    ck_assert_int_eq(result, BROOD_ETIMEDOUT);
    ck_assert_int_eq(turned_away, PLACES);
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

static Suite *listener_suite(void)
{
    Suite *suite = suite_create("listener");
    TCase *addresses = brood_test_case(suite, "addresses");
    tcase_add_test(addresses, addresses_that_mean_nothing);
    tcase_add_test(addresses, all_kinds_of_addresses);
    tcase_add_test(addresses, all_addresses_of_this_machine);
    TCase *paths = brood_test_case(suite, "paths");
    tcase_add_test(paths, a_path_is_removed_by_its_maker_alone);
    tcase_add_test(paths, a_dead_path_is_replaced);
    tcase_add_test(paths, a_file_is_no_socket);
    TCase *keys = brood_test_case(suite, "keys");
    tcase_add_test(keys, the_right_key_and_a_wrong_one);
    tcase_add_test(keys, keys_of_all_sizes);
    tcase_add_test(keys, without_a_key_or_a_family);
    tcase_add_test(keys, members_share_a_key);
    TCase *intentions = brood_test_case(suite, "intentions");
    tcase_add_test(intentions, strangers_are_turned_away);
    tcase_add_test(intentions, the_silent_hold_up_nobody);
    tcase_add_test(intentions, the_silent_have_their_time);
    tcase_add_test(intentions, bad_listeners);
    TCase *loops = brood_test_case(suite, "loops");
    tcase_add_test(loops, a_loop_of_its_own);
    tcase_add_test(loops, stale_and_wrong);
    return suite;
}

BROOD_TEST_MAIN(listener_suite)
