/* SPDX-License-Identifier: MIT */
/* messages.c - messages over a stream: whole, in pieces, hostile, too long, larger than a socket's buffer, beyond 2 GiB. */
#include "bare_end.h"
#include "pipe/frame.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* --------------------------------------------------------------------------------------------------------- messages */

START_TEST(sends_as_python_does)
{
    make_pair(NULL);
    brood_test_ok(brood_connection_send(ours, "hello", 5, 0));
    ck_got("\0\0\0\5hello", 9);
    brood_test_ok(brood_connection_send(ours, NULL, 0, BROOD_FOREVER));
    ck_got("\0\0\0\0", 4);
    ck_assert_int_eq(brood_connection_unsent(ours), 0);
    unmake_pair();
}
END_TEST

START_TEST(receives_in_order)
{
    char data[8];
    size_t size;
    make_pair(NULL);
    ck_assert_int_eq(brood_connection_poll(ours, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_poll(ours, A_WHILE), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, A_WHILE), BROOD_ETIMEDOUT);
    GIVE("\0\0\0\3one\0\0\0\0\0\0\0\10three888");
    brood_test_ok(brood_connection_poll(ours, 0));
    brood_test_ok(brood_connection_recv(ours, data, sizeof data, &size, BROOD_FOREVER));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(data, "one", 3);
    brood_test_ok(brood_connection_recv(ours, NULL, 0, &size, 0));
    ck_assert_uint_eq(size, 0);
    brood_test_ok(brood_connection_recv(ours, data, sizeof data, &size, 0));
    ck_assert_uint_eq(size, 8);
    ck_assert_mem_eq(data, "three888", 8);
    close(raw);
    raw = -1;
    for (int i = 0; i < 3; i++) {
        brood_test_ok(brood_connection_poll(ours, BROOD_FOREVER));
        ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, BROOD_FOREVER), BROOD_ECLOSED);
    }
    ck_assert_int_eq(brood_connection_send(ours, "x", 1, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_connection_send(ours, "x", 1, 0), BROOD_ECLOSED);
    unmake_pair();
}
END_TEST

START_TEST(gives_memory)
{
    void *data;
    size_t size;
    make_pair(NULL);
    GIVE("\0\0\0\5hello\0\0\0\0");
    brood_test_ok(brood_connection_recv_alloc(ours, &data, &size, 0));
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(data, "hello", 5);
    free(data);
    brood_test_ok(brood_connection_recv_alloc(ours, &data, &size, 0));
    ck_assert_uint_eq(size, 0);
    ck_assert_ptr_nonnull(data);
    free(data);
    ck_assert_int_eq(brood_connection_recv_alloc(ours, &data, &size, 0), BROOD_EAGAIN);
    unmake_pair();
}
END_TEST

/* Each byte alone, with calls of all kinds between. */
START_TEST(a_byte_at_a_time)
{
    static const char stream[] = "\0\0\0\5hello\xff\xff\xff\xff\0\0\0\0\0\0\0\3abc\0\0\0\0\0\0\0\2xy";
    static const char *const messages[] = {"hello", "abc", "", "xy"};
    char data[16];
    size_t size, next = 0;
    make_pair(NULL);
    for (size_t i = 0; i < sizeof stream - 1; i++) {
        void *memory = NULL;
        give(stream + i, 1);
        int result = i % 3 == 0   ? brood_connection_recv_alloc(ours, &memory, &size, 0)
                     : i % 3 == 1 ? brood_connection_recv(ours, data, sizeof data, &size, 0)
                                  : brood_connection_recv(ours, data, sizeof data, &size, 1);
        if (result == BROOD_EAGAIN || result == BROOD_ETIMEDOUT) continue;
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(size, strlen(messages[next]));
        ck_assert_int_eq(memcmp(memory ? memory : data, messages[next++], size), 0);
        free(memory);
    }
    ck_assert_uint_eq(next, 4);
    unmake_pair();
}
END_TEST

START_TEST(too_long_stays)
{
    char data[16];
    void *memory;
    size_t size = 0;
    make_pair(&(brood_connection_options){.max_message = 4});
    GIVE("\0\0\0\5hello\0\0\0\6wor");
    ck_assert_int_eq(brood_connection_recv(ours, data, 4, &size, 0), BROOD_EMSGSIZE);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(brood_connection_recv_alloc(ours, &memory, &size, BROOD_FOREVER), BROOD_EMSGSIZE);
    ck_assert_uint_eq(size, 5);
    ck_assert_str_eq(brood_error_detail(), "a message of 5 bytes, where 4 are allowed");
    brood_test_ok(brood_connection_poll(ours, 0));
    brood_test_ok(brood_connection_recv(ours, data, 5, &size, 0));
    ck_assert_mem_eq(data, "hello", 5);
    /* The next, of which a part has come and been kept. */
    ck_assert_int_eq(brood_connection_recv(ours, data, 6, &size, 0), BROOD_EAGAIN);
    ck_assert_int_eq(brood_connection_recv(ours, data, 5, &size, 0), BROOD_EMSGSIZE);
    GIVE("lds");
    brood_test_ok(brood_connection_recv(ours, data, 6, &size, 0));
    ck_assert_mem_eq(data, "worlds", 6);
    unmake_pair();
}
END_TEST

/* The stream is at its end after this; the answer stays. */
static void ck_broken(const void *bytes, size_t given, bool end, int code, const char *detail)
{
    char data[16];
    void *memory;
    size_t size;
    make_pair(NULL);
    give(bytes, given);
    if (end) shutdown(raw, SHUT_WR);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, PATIENCE), code);
        if (i == 0) ck_assert_ptr_nonnull(strstr(brood_error_detail(), detail));
        ck_assert_int_eq(brood_connection_recv_alloc(ours, &memory, &size, PATIENCE), code);
    }
    brood_test_ok(brood_connection_send(ours, "still", 5, 0));
    ck_got("\0\0\0\5still", 9);
    unmake_pair();
}

START_TEST(hostile_streams)
{
    ck_broken("\xff\xff\xff\xfe", 4, false, BROOD_ECORRUPT, "negative");
    ck_broken("\x80\0\0\0", 4, false, BROOD_ECORRUPT, "negative");
    ck_broken("", 0, true, BROOD_ECLOSED, "");
    ck_broken("\0", 1, true, -ECONNRESET, "middle");
    ck_broken("\0\0\0\5", 4, true, -ECONNRESET, "middle");
    ck_broken("\0\0\0\5hell", 8, true, -ECONNRESET, "middle");
    ck_broken("\xff\xff\xff\xff\0\0\0", 7, true, -ECONNRESET, "middle");
}
END_TEST

START_TEST(four_gibibytes_promised)
{
    char data[16];
    void *memory;
    size_t size;
    make_pair(NULL);
    GIVE("\xff\xff\xff\xff\0\0\0\1\0\0\0\0");
    ck_assert_int_eq(brood_connection_recv_alloc(ours, &memory, &size, PATIENCE), BROOD_EMSGSIZE);
    ck_assert_uint_eq(size, UINT64_C(1) << 32);
    ck_assert_int_eq(brood_connection_recv(ours, data, sizeof data, &size, PATIENCE), BROOD_EMSGSIZE);
    unmake_pair();
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- large messages */

enum { LARGE = 3 << 20 };

static char *make_large(void)
{
    char *bytes = malloc(LARGE);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < LARGE; i++) bytes[i] = (char)(i * 31 >> 4);
    return bytes;
}

START_TEST(half_sent_goes_on)
{
    char *large = make_large(), *got = malloc(LARGE + 4);
    size_t have = 0;
    make_pair(NULL);
    ck_assert_int_eq(brood_connection_send(ours, large, LARGE, 0), BROOD_EAGAIN);
    int64_t missing = brood_connection_unsent(ours);
    ck_assert(missing > 0 && missing < LARGE);
    ck_assert_int_eq(brood_connection_send(ours, large, LARGE, A_WHILE), BROOD_ETIMEDOUT);
    ck_assert_int_eq(brood_connection_send(ours, "x", 1, 0), BROOD_EINVAL);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "half sent"));
    ck_assert_int_eq(brood_connection_send_fds(ours, &raw, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_detach(ours), BROOD_EAGAIN);
    for (int result = BROOD_EAGAIN; result < 0;) {
        ssize_t n = recv(raw, got + have, LARGE + 4 - have, MSG_DONTWAIT);
        ck_assert_int_gt(n, 0);
        have += (size_t)n;
        result = brood_connection_send(ours, large, LARGE, 0);
        ck_assert(result == 0 || result == BROOD_EAGAIN);
        ck_assert((brood_connection_unsent(ours) == 0) == (result == 0));
    }
    brood_test_ok(brood_connection_send(ours, "x", 1, 0));
    while (have < LARGE + 4) {
        ssize_t n = recv(raw, got + have, LARGE + 4 - have, MSG_DONTWAIT);
        ck_assert_int_gt(n, 0);
        have += (size_t)n;
    }
    ck_assert_mem_eq(got, "\0\x30\0\0", 4);
    ck_assert_int_eq(memcmp(got + 4, large, LARGE), 0);
    ck_got("\0\0\0\1x", 5);
    unmake_pair();
    free(large);
    free(got);
}
END_TEST

static void *send_slowly(void *large)
{
    uint8_t head[FRAME_HEAD_MOST];
    for (int round = 0; round < 3; round++) {
        if (write(raw, head, brood__frame_head(head, LARGE)) != 4) return NULL;
        for (size_t at = 0, n; at < LARGE; at += n) {
            n = LARGE - at < 100000 ? LARGE - at : 100000;
            if (send(raw, (char *)large + at, n, MSG_NOSIGNAL) != (ssize_t)n) return NULL;
        }
    }
    return large;
}

/* A reader that comes back all the time, with each of the three ways to wait. */
START_TEST(half_received_goes_on)
{
    char *large = make_large(), *place = malloc(LARGE);
    void *memory, *sent;
    size_t size;
    pthread_t thread;
    make_pair(NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, send_slowly, large), 0);
    int result, timeouts = 0;
    while ((result = brood_connection_recv(ours, place, LARGE, &size, timeouts % 2)) < 0) {
        ck_assert(result == (timeouts % 2 ? BROOD_ETIMEDOUT : BROOD_EAGAIN));
        timeouts++;
    }
    ck_assert_uint_eq(size, LARGE);
    ck_assert_int_eq(memcmp(place, large, LARGE), 0);
    memset(place, 0, LARGE);
    brood_test_ok(brood_connection_recv(ours, place, LARGE, &size, BROOD_FOREVER));
    ck_assert_int_eq(memcmp(place, large, LARGE), 0);
    while ((result = brood_connection_recv_alloc(ours, &memory, &size, 0)) == BROOD_EAGAIN)
        brood_connection_poll(ours, 1);
    ck_assert_int_eq(result, 0);
    ck_assert_uint_eq(size, LARGE);
    ck_assert_int_eq(memcmp(memory, large, LARGE), 0);
    ck_assert_int_eq(pthread_join(thread, &sent), 0);
    ck_assert_ptr_eq(sent, large);
    free(memory);
    unmake_pair();
    free(large);
    free(place);
}
END_TEST

static _Atomic uint64_t counted; /* bytes that came, head and all */
static void *count_all(void *arg)
{
    static char sink[1 << 20];
    (void)arg;
    for (ssize_t n; (n = recv(raw, sink, sizeof sink, 0)) > 0;) {
        if (counted == 0) ck_assert_mem_eq(sink, "\xff\xff\xff\xff\0\0\0\0\x80\0\0\5", 12);
        counted += (uint64_t)n;
    }
    return NULL;
}

/* Untouched pages of one mapping: nothing but address space. */
START_TEST(beyond_two_gibibytes)
{
    const size_t size = (UINT64_C(1) << 31) + 5;
    void *zeroes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_t thread;
    if (zeroes == MAP_FAILED) return; /* no such address space */
    make_pair(NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, count_all, NULL), 0);
    brood_test_ok(brood_connection_send(ours, zeroes, size, BROOD_FOREVER));
    brood_test_ok(brood_connection_free(ours));
    pthread_join(thread, NULL);
    ck_assert_uint_eq(counted, size + 12);
    munmap(zeroes, size);
    close(raw);
}
END_TEST

static Suite *messages_suite(void)
{
    Suite *suite = suite_create("messages");
    TCase *messages = brood_test_case(suite, "messages");
    tcase_add_test(messages, sends_as_python_does);
    tcase_add_test(messages, receives_in_order);
    tcase_add_test(messages, gives_memory);
    tcase_add_test(messages, a_byte_at_a_time);
    tcase_add_test(messages, too_long_stays);
    tcase_add_test(messages, hostile_streams);
    tcase_add_test(messages, four_gibibytes_promised);
    TCase *large = brood_test_case(suite, "large");
    tcase_add_test(large, half_sent_goes_on);
    tcase_add_test(large, half_received_goes_on);
    tcase_add_test(large, beyond_two_gibibytes);
    return suite;
}

BROOD_TEST_MAIN(messages_suite)
