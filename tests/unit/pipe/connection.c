/* SPDX-License-Identifier: MIT */
/* connection.c - descriptors over a connection, its handle, and threads that share it. */
#include "bare_end.h"
#include "pipe/frame.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------- descriptors */

START_TEST(descriptors_go_along)
{
    int ends[2], got[3] = {-1, -1, -1};
    char byte;
    size_t count, size;
    brood_connection theirs;
    make_pair(NULL);
    brood_test_ok(brood_connection_from_fd(&theirs, raw, NULL));
    raw = -1;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(brood_connection_recv_fds(theirs, got, 3, &count, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_recv_fds(theirs, got, 3, &count, A_WHILE), BROOD_ETIMEDOUT);
    brood_test_ok(brood_connection_send(ours, "m", 1, 0));
    brood_test_ok(brood_connection_send_fds(ours, ends, 2, 0));
    brood_test_ok(brood_connection_send_fds(ours, ends, 2, 0));
    brood_test_ok(brood_connection_send(ours, "n", 1, 0));
    brood_test_ok(brood_connection_recv(theirs, &byte, 1, &size, 0));
    brood_test_ok(brood_connection_recv_fds(theirs, got, 3, &count, BROOD_FOREVER));
    ck_assert_uint_eq(count, 2);
    ck_assert(got[0] != ends[0] && (fcntl(got[0], F_GETFD) & FD_CLOEXEC));
    ck_assert_int_eq(write(got[1], "x", 1), 1);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    close(got[0]);
    close(got[1]);
    ck_assert_int_eq(brood_connection_recv_fds(theirs, got, 1, &count, 0), BROOD_EMSGSIZE); /* and both are closed */
    ck_assert_uint_eq(count, 0);
    brood_test_ok(brood_connection_recv(theirs, &byte, 1, &size, 0));
    ck_assert_int_eq(byte, 'n');
    close(ends[0]);
    close(ends[1]);
    brood_test_ok(brood_connection_free(theirs));
    ck_assert_int_eq(brood_connection_send_fds(ours, ends, 1, 0), -EBADF);
    ck_assert_int_eq(brood_connection_send_fds(ours, (int[]){0}, 1, 0), BROOD_ECLOSED);
    unmake_pair();
}
END_TEST

/* Descriptors that nobody asked for are closed, and a message that nobody takes for one is refused. */
START_TEST(descriptors_at_the_wrong_time)
{
    int fd;
    char data[8];
    size_t size, count;
    brood_connection theirs;
    make_pair(NULL);
    brood_test_ok(brood_connection_from_fd(&theirs, raw, NULL));
    raw = -1;
    brood_test_ok(brood_connection_send_fds(ours, (int[]){1, 2}, 2, 0));
    ck_assert_int_eq(brood_connection_recv(theirs, data, sizeof data, &size, 0), BROOD_EAGAIN); /* one byte of a head */
    ck_assert_int_eq(brood_connection_recv_fds(theirs, &fd, 1, &count, 0), BROOD_EINVAL);
    brood_test_ok(brood_connection_send(theirs, "m", 1, 0));
    ck_assert_int_eq(brood_connection_recv_fds(ours, &fd, 1, &count, 0), BROOD_ECORRUPT);
    ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, 0), BROOD_ECORRUPT);
    brood_test_ok(brood_connection_free(theirs));
    unmake_pair();
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- handles */

static void ck_stale(brood_connection c)
{
    char data[8];
    void *memory;
    size_t size;
    int fd = 0;
    ck_assert_int_eq(brood_connection_send(c, "x", 1, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_unsent(c), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_recv(c, data, sizeof data, &size, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_recv_alloc(c, &memory, &size, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_poll(c, BROOD_FOREVER), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_fd(c), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_send_fds(c, &fd, 1, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_recv_fds(c, &fd, 1, &size, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_peer(c, data, sizeof data), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_detach(c), BROOD_ESTALE);
    ck_assert_int_eq(brood_connection_free(c), BROOD_ESTALE);
}

START_TEST(stale_and_forged)
{
    make_pair(NULL);
    brood_connection before = ours;
    ck_stale((brood_connection){0});
    ck_stale((brood_connection){UINT64_MAX});
    for (int bit = 0; bit < 64; bit++) ck_stale((brood_connection){ours.id ^ UINT64_C(1) << bit});
    unmake_pair();
    for (int i = 0; i < 1000; i++) {
        ck_stale(before);
        make_pair(NULL);
        ck_assert_uint_ne(before.id, ours.id);
        unmake_pair();
    }
}
END_TEST

START_TEST(wrong_arguments)
{
    char data[8];
    void *memory;
    size_t size;
    int fd = 1, ends[2];
    make_pair(NULL);
    for (int bad = 0; bad < 2; bad++) {
        int timeout = bad ? INT32_MIN : -2;
        ck_assert_int_eq(brood_connection_send(ours, "x", 1, timeout), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_recv(ours, data, 1, &size, timeout), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_recv_alloc(ours, &memory, &size, timeout), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_poll(ours, timeout), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_send_fds(ours, &fd, 1, timeout), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_recv_fds(ours, &fd, 1, &size, timeout), BROOD_EINVAL);
    }
    ck_assert_int_eq(brood_connection_send(ours, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv(ours, NULL, 1, &size, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv(ours, data, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv_alloc(ours, NULL, &size, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv_alloc(ours, &memory, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_send_fds(ours, &fd, 0, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_send_fds(ours, &fd, 65, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_send_fds(ours, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv_fds(ours, NULL, 1, &size, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv_fds(ours, &fd, 0, &size, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_recv_fds(ours, &fd, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_peer(ours, NULL, 1), BROOD_EINVAL);
    unmake_pair();

    ck_assert_int_eq(brood_connection_from_fd(NULL, 0, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_from_fd(&ours, -1, NULL), -EBADF);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_eq(brood_connection_from_fd(&ours, ends[0], NULL), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ck_assert_int_eq(brood_connection_from_fd(&ours, ends[0], NULL), -EPROTOTYPE);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(detached_and_back)
{
    char data[8], who[64];
    size_t size;
    make_pair(NULL);
    brood_connection before = ours;
    brood_test_ok(brood_connection_peer(ours, who, sizeof who));
    ck_assert_int_eq(strncmp(who, "pid ", 4), 0);
    GIVE("\0\0\0\2ab\0\0\0\2c");
    brood_test_ok(brood_connection_recv(ours, data, sizeof data, &size, 0));
    int fd = brood_connection_detach(ours);
    ck_assert_int_ge(fd, 0);
    ck_stale(before);
    brood_test_ok(brood_connection_from_fd(&ours, fd, NULL));
    ck_assert_int_eq(brood_connection_fd(ours), fd);
    ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_detach(ours), BROOD_EAGAIN);
    GIVE("d");
    brood_test_ok(brood_connection_recv(ours, data, sizeof data, &size, 0));
    ck_assert_mem_eq(data, "cd", 2);
    unmake_pair();
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- threads */

static _Atomic int begun;
static void *receive_late(void *result)
{
    char data[8];
    size_t size;
    begun++;
    *(int *)result = brood_connection_recv(ours, data, sizeof data, &size, BROOD_FOREVER);
    return NULL;
}

START_TEST(freed_while_another_receives)
{
    int results[2] = {1, 1};
    char data[8];
    size_t size;
    pthread_t threads[2];
    make_pair(NULL);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, receive_late, &results[i]), 0);
    while (begun < 2) sched_yield();
    int late = brood_connection_recv(ours, data, sizeof data, &size, A_WHILE);
    ck_assert_int_eq(late, BROOD_ETIMEDOUT);
    brood_test_ok(brood_connection_free(ours));
    ck_stale(ours);
    GIVE("\0\0\0\1x");
    shutdown(raw, SHUT_WR);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    ck_assert((results[0] == 0) + (results[1] == 0) <= 1);
    for (int i = 0; i < 2; i++) ck_assert(results[i] == 0 || results[i] == BROOD_ECLOSED || results[i] == BROOD_ESTALE);
    close(raw);
}
END_TEST

static void *send_many(void *arg)
{
    char message[64];
    for (int i = 0; i < 500; i++) {
        memset(message, (int)(intptr_t)arg, sizeof message);
        if (brood_connection_send(ours, message, (size_t)(intptr_t)arg, BROOD_FOREVER) < 0) return arg;
    }
    return NULL;
}

START_TEST(messages_of_threads_stay_whole)
{
    pthread_t threads[4];
    struct frame_reader reader;
    int got = 0;
    make_pair(NULL);
    brood__frame_reader_init(&reader, 64);
    for (intptr_t i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, (void *)(i + 1)), 0);
    while (got < 2000) {
        char bytes[1000];
        size_t used, size;
        ssize_t n = recv(raw, bytes, sizeof bytes, 0);
        ck_assert_int_gt(n, 0);
        for (size_t at = 0; at < (size_t)n; at += used) {
            if (brood__frame_reader_feed(&reader, bytes + at, (size_t)n - at, &used) <= 0) continue;
            const char *message = brood__frame_reader_message(&reader, &size);
            for (size_t i = 0; i < size; i++) ck_assert_uint_eq((unsigned char)message[i], size);
            brood__frame_reader_next(&reader);
            got++;
        }
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    brood__frame_reader_free(&reader);
    unmake_pair();
}
END_TEST

static Suite *connection_suite(void)
{
    Suite *suite = suite_create("connection");
    TCase *descriptors = brood_test_case(suite, "descriptors");
    tcase_add_test(descriptors, descriptors_go_along);
    tcase_add_test(descriptors, descriptors_at_the_wrong_time);
    TCase *handles = brood_test_case(suite, "handles");
    tcase_add_test(handles, stale_and_forged);
    tcase_add_test(handles, wrong_arguments);
    tcase_add_test(handles, detached_and_back);
    TCase *threads = brood_test_case(suite, "threads");
    tcase_add_test(threads, freed_while_another_receives);
    tcase_add_test(threads, messages_of_threads_stay_whole);
    return suite;
}

BROOD_TEST_MAIN(connection_suite)
