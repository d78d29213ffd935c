/* SPDX-License-Identifier: MIT */
/* pipe.c - messages between two ends: both ways, one way, waiting, the end of file, and what is refused. */
#include "members.h"

#include <brood/pipe.h>
#include <poll.h>

static void new_pipe(brood_pipe_end ends[2])
{
    brood_test_ok(brood_pipe_new(ends, NULL));
}

static bool is_readable(int fd, int timeout)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout) == 1;
}

/* ------------------------------------------------------------------------------------------------------ messages */

START_TEST(both_ways_in_order)
{
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 100; i++) brood_test_ok(brood_pipe_send_value(ends[side], &i, 0));
        for (int i = 0; i < 100; i++) {
            int x = -1;
            brood_test_ok(brood_pipe_recv_value(ends[!side], &x, 0));
            ck_assert_int_eq(x, i);
        }
    }
    for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side]));
}
END_TEST

START_TEST(messages_of_any_size)
{
    static unsigned char bytes[300000], got[300000];
    static const size_t sizes[] = {0, 1, 7, 8, 9, 100, 4000, 16000, 17000, 65535, 65536, 300000};
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 7);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = 1;
            brood_test_ok(brood_pipe_send(ends[0], bytes, sizes[i], 0));
            brood_test_ok(brood_pipe_recv(ends[1], got, sizeof got, &size, 0));
            ck_assert_uint_eq(size, sizes[i]);
            ck_assert_mem_eq(got, bytes, size);
        }
    }
    for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side]));
}
END_TEST

START_TEST(one_too_long_stays)
{
    brood_pipe_end ends[2];
    char place[4];
    size_t size = 0;
    int x;
    new_pipe(ends);
    brood_test_ok(brood_pipe_send(ends[0], "a message", 9, 0));
    ck_assert_int_eq(brood_pipe_recv(ends[1], place, sizeof place, &size, 0), BROOD_EMSGSIZE);
    ck_assert_uint_eq(size, 9);
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, 0), BROOD_EMSGSIZE);
    ck_assert_int_eq(brood_pipe_poll(ends[1], 0), 0);
    brood_view view;
    brood_test_ok(brood_pipe_recv_view(ends[1], &view, 0));
    ck_assert_uint_eq(view.size, 9);
    ck_assert_mem_eq(view.data, "a message", 9);
    brood_test_ok(brood_view_release(&view));
}
END_TEST

START_TEST(buffers_without_a_copy)
{
    brood_pipe_end ends[2];
    brood_buffer buffer, got;
    void *data, *at;
    new_pipe(ends);
    brood_test_ok(brood_buffer_new(&buffer, 1 << 20, &data));
    memset(data, 'x', 1 << 20);
    brood_test_ok(brood_pipe_send_buffer(ends[1], buffer, 0));
    ck_assert_int_eq(brood_buffer_free(buffer), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_send_buffer(ends[1], buffer, 0), BROOD_EPERM);
    brood_test_ok(brood_pipe_recv_buffer(ends[0], &got, 0));
    ck_assert_uint_eq(got.id, buffer.id);
    at = brood_buffer_data(got, NULL);
    ck_assert_ptr_eq(at, data);
    brood_test_ok(brood_buffer_free(got));
    ck_assert_int_eq(brood_pipe_send_buffer(ends[1], buffer, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_send_buffer(ends[1], (brood_buffer){ends[0].id}, 0), BROOD_ESTALE);
}
END_TEST

START_TEST(one_way_is_one_way)
{
    brood_pipe_end ends[2];
    int x = 5;
    brood_test_ok(brood_pipe_new(ends, &(brood_pipe_options){.one_way = true}));
    ck_assert_int_eq(brood_pipe_send_value(ends[0], &x, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "this end of a pipe only receives");
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, 0), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "this end of a pipe only sends");
    ck_assert_int_eq(brood_pipe_poll(ends[1], 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_fd(ends[1]), BROOD_EINVAL);
    brood_test_ok(brood_pipe_send_value(ends[1], &x, 0));
    x = 0;
    brood_test_ok(brood_pipe_recv_value(ends[0], &x, 0));
    ck_assert_int_eq(x, 5);
    brood_test_ok(brood_pipe_close(ends[0]));
    ck_assert_int_eq(brood_pipe_send_value(ends[1], &x, 0), BROOD_ECLOSED);
    brood_test_ok(brood_pipe_close(ends[1]));
}
END_TEST

START_TEST(limits)
{
    brood_pipe_end ends[2];
    int x = 1;
    brood_test_ok(brood_pipe_new(ends, &(brood_pipe_options){.max_items = 2, .capacity = 100}));
    brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
    brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
    ck_assert_int_eq(brood_pipe_send_value(ends[0], &x, 0), BROOD_EAGAIN);
    brood_test_ok(brood_pipe_send_value(ends[1], &x, 0)); /* each way its own */
    members_late(brood_pipe_send_value(ends[0], &x, A_WHILE));
    ck_assert_int_eq(brood_pipe_new(ends, &(brood_pipe_options){.capacity = SIZE_MAX}), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_new(ends, &(brood_pipe_options){.max_items = (size_t)1 << 31}), BROOD_EINVAL);
}
END_TEST

START_TEST(bad_arguments)
{
    brood_pipe_end ends[2];
    int x = 1;
    new_pipe(ends);
    ck_assert_int_eq(brood_pipe_send(ends[0], NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_recv(ends[0], NULL, 1, NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_send_moving(ends[0], NULL, 0, NULL, 1, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_send_value(ends[0], &x, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_recv_value(ends[0], &x, -2), BROOD_EINVAL);
    ck_assert_int_eq(brood_pipe_poll(ends[0], -2), BROOD_EINVAL);
    brood_test_ok(brood_pipe_send(ends[0], NULL, 0, 0));
    brood_test_ok(brood_pipe_recv(ends[1], NULL, 0, NULL, 0));
}
END_TEST

/* -------------------------------------------------------------------------------------------------- poll and fd */

START_TEST(poll_looks_and_leaves)
{
    brood_pipe_end ends[2];
    int x = 3;
    new_pipe(ends);
    ck_assert_int_eq(brood_pipe_poll(ends[1], 0), BROOD_EAGAIN);
    members_late(brood_pipe_poll(ends[1], A_WHILE));
    brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
    for (int i = 0; i < 3; i++) brood_test_ok(brood_pipe_poll(ends[1], BROOD_FOREVER));
    brood_test_ok(brood_pipe_recv_value(ends[1], &x, 0));
    ck_assert_int_eq(brood_pipe_poll(ends[1], 0), BROOD_EAGAIN);
    brood_test_ok(brood_pipe_close(ends[0]));
    brood_test_ok(brood_pipe_poll(ends[1], BROOD_FOREVER)); /* the end of file does not wait */
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, BROOD_FOREVER), BROOD_ECLOSED);
}
END_TEST

START_TEST(descriptor_tells_of_messages_and_of_the_end)
{
    brood_pipe_end ends[2];
    int x = 3;
    new_pipe(ends);
    int fd = brood_pipe_fd(ends[1]);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(brood_pipe_fd(ends[1]), fd);
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, 0), BROOD_EAGAIN);
    ck_assert(!is_readable(fd, 0));
    brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
    ck_assert(is_readable(fd, PATIENCE));
    brood_test_ok(brood_pipe_recv_value(ends[1], &x, 0));
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, 0), BROOD_EAGAIN);
    ck_assert(!is_readable(fd, 0));
    brood_test_ok(brood_pipe_close(ends[0]));
    ck_assert(is_readable(fd, PATIENCE));
    ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, 0), BROOD_ECLOSED);
}
END_TEST

START_TEST(descriptor_of_an_end_that_has_ended)
{
    brood_pipe_end ends[2];
    new_pipe(ends);
    brood_test_ok(brood_pipe_close(ends[0]));
    int fd = brood_pipe_fd(ends[1]);
    ck_assert_int_ge(fd, 0);
    ck_assert(is_readable(fd, 0));
}
END_TEST

/* -------------------------------------------------------------------------------------------------- end of file */

START_TEST(what_was_sent_before_the_close_comes)
{
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (int i = 0; i < 3; i++) brood_test_ok(brood_pipe_send_value(ends[0], &i, 0));
    brood_test_ok(brood_pipe_close(ends[0]));
    for (int i = 0, x; i < 3; i++) {
        brood_test_ok(brood_pipe_recv_value(ends[1], &x, 0));
        ck_assert_int_eq(x, i);
    }
    int x = 0;
    for (int i = 0; i < 2; i++) ck_assert_int_eq(brood_pipe_recv_value(ends[1], &x, BROOD_FOREVER), BROOD_ECLOSED);
    ck_assert_int_eq(brood_pipe_send_value(ends[1], &x, BROOD_FOREVER), BROOD_ECLOSED);
    brood_test_ok(brood_pipe_close(ends[1]));
}
END_TEST

START_TEST(a_closed_end_is_stale)
{
    brood_pipe_end ends[2];
    int x = 0;
    new_pipe(ends);
    brood_test_ok(brood_pipe_close(ends[0]));
    ck_assert_int_eq(brood_pipe_close(ends[0]), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_send_value(ends[0], &x, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_recv_value(ends[0], &x, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_poll(ends[0], 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_fd(ends[0]), BROOD_ESTALE);
}
END_TEST

BROOD_TASK(echo, int, brood_pipe_end, end)
{
    int x;
    while (brood_pipe_recv_value(end, &x, BROOD_FOREVER) == 0) MUST(brood_pipe_send_value(end, &x, BROOD_FOREVER) == 0);
    return 0;
}

static brood_process give_to(brood_start_method method, const brood_task *task, const void *arg, brood_pipe_end *end)
{
    brood_process p;
    brood_process_options options = {.method = method, .ends = end, .end_count = 1};
    brood_test_ok(brood_process_start_task(&p, &options, task, arg));
    return p;
}

START_TEST(the_end_comes_with_the_holder_s_death)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        int x = 7;
        new_pipe(ends);
        brood_process p = give_to(members_methods[i], BROOD_TASK_OF(echo), &ends[1], &ends[1]);
        brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
        brood_test_ok(brood_pipe_recv_value(ends[0], &x, PATIENCE));
        ck_assert_int_eq(x, 7);
        int fd = brood_pipe_fd(ends[0]);
        ck_assert_int_eq(brood_pipe_recv_value(ends[0], &x, 0), BROOD_EAGAIN);
        brood_test_ok(brood_process_kill(p));
        ck_assert_int_eq(brood_pipe_recv_value(ends[0], &x, BROOD_FOREVER),
                         BROOD_ECLOSED); /* asleep, for all it knows */
        ck_assert_int_eq(brood_pipe_send_value(ends[0], &x, BROOD_FOREVER), BROOD_ECLOSED);
        ck_assert(is_readable(fd, PATIENCE));
        members_end(p, -SIGKILL);
        brood_test_ok(brood_pipe_close(ends[0]));
    }
}
END_TEST

START_TEST(a_child_reads_to_the_end)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        new_pipe(ends);
        brood_process p = give_to(members_methods[i], BROOD_TASK_OF(echo), &ends[1], &ends[1]);
        for (int k = 0, x; k < 50; k++) {
            brood_test_ok(brood_pipe_send_value(ends[0], &k, PATIENCE));
            brood_test_ok(brood_pipe_recv_value(ends[0], &x, PATIENCE));
            ck_assert_int_eq(x, k);
        }
        members_asleep(p, ends[1].id);
        brood_test_ok(brood_pipe_close(ends[0]));
        members_end(p, 0);
    }
}
END_TEST

BROOD_TASK(send_until_closed, int, brood_pipe_end, end)
{
    static const char bytes[1000];
    int error;
    while ((error = brood_pipe_send(end, bytes, sizeof bytes, BROOD_FOREVER)) == 0) continue;
    MUST(error == BROOD_ECLOSED);
    return 0;
}

START_TEST(who_waits_for_room_is_told)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        new_pipe(ends);
        brood_process p = give_to(members_methods[i], BROOD_TASK_OF(send_until_closed), &ends[1], &ends[1]);
        members_asleep(p, ends[0].id);
        brood_test_ok(brood_pipe_close(ends[0]));
        members_end(p, 0);
    }
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- borrowing */

BROOD_TASK(borrow, int, brood_pipe_end, end)
{
    int x = 0;
    MUST(brood_pipe_close(end) == BROOD_EPERM);
    MUST(brood_pipe_recv_value(end, &x, BROOD_FOREVER) == 0);
    x *= 2;
    MUST(brood_pipe_send_value(end, &x, BROOD_FOREVER) == 0);
    return 0;
}

START_TEST(a_copy_of_the_handle_is_borrowed)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_process p;
        int x = 21;
        new_pipe(ends);
        members_start(&p, members_methods[i], borrow, &ends[1]);
        brood_test_ok(brood_pipe_send_value(ends[0], &x, 0));
        brood_test_ok(brood_pipe_recv_value(ends[0], &x, PATIENCE));
        ck_assert_int_eq(x, 42);
        members_end(p, 0);
        ck_assert_int_eq(brood_pipe_poll(ends[0], 0), BROOD_EAGAIN); /* its death was no holder's */
        for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side]));
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------- of one process */

struct sleeper {
    brood_pipe_end end;
    _Atomic pid_t tid;
    int result;
};

static void *receives(void *arg)
{
    struct sleeper *s = arg;
    int x;
    atomic_store(&s->tid, (pid_t)syscall(SYS_gettid));
    s->result = brood_pipe_recv_value(s->end, &x, BROOD_FOREVER);
    return NULL;
}

START_TEST(a_thread_that_waits_at_an_end_that_is_closed)
{
    for (int side = 0; side < 2; side++) {
        brood_pipe_end ends[2];
        pthread_t thread;
        new_pipe(ends);
        struct sleeper s = {.end = ends[0]};
        ck_assert_int_eq(pthread_create(&thread, NULL, receives, &s), 0);
        members_thread_asleep(&s.tid);
        brood_test_ok(brood_pipe_close(ends[side]));
        pthread_join(thread, NULL);
        ck_assert_int_eq(s.result, side == 0 ? BROOD_ESTALE : BROOD_ECLOSED);
        brood_test_ok(brood_pipe_close(ends[!side]));
    }
}
END_TEST

static void is_stale(uint64_t id)
{
    brood_pipe_end end = {id};
    int x = 0;
    ck_assert_int_eq(brood_pipe_send_value(end, &x, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_recv_value(end, &x, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_poll(end, 0), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_fd(end), BROOD_ESTALE);
    ck_assert_int_eq(brood_pipe_close(end), BROOD_ESTALE);
}

START_TEST(forged_handles)
{
    uint64_t state = 88172645463325252u, ids[MEMBERS_TYPES];
    brood_pipe_end ends[2];
    new_pipe(ends);
    members_one_of_each(ids);
    for (int i = 0; i < MEMBERS_TYPES; i++) is_stale(ids[i]);
    for (int i = 0; i < FORGERIES; i++) is_stale(members_forged(TABLE_PIPE, i, &state));
}
END_TEST

START_TEST(nothing_is_left)
{
    size_t before, after;
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side]));
    brood_test_ok(brood_arena_usage(&before, NULL));
    for (int i = 0; i < 1000; i++) {
        static char bytes[50000];
        new_pipe(ends);
        brood_test_ok(brood_pipe_send(ends[0], bytes, sizeof bytes, 0));
        brood_test_ok(brood_pipe_send(ends[1], bytes, 10, 0));
        for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side ^ (i & 1)]));
    }
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_eq(before, after);
}
END_TEST

static Suite *pipe_suite(void)
{
    Suite *suite = suite_create("pipe");
    TCase *messages = brood_test_case(suite, "messages");
    tcase_add_test(messages, both_ways_in_order);
    tcase_add_test(messages, messages_of_any_size);
    tcase_add_test(messages, one_too_long_stays);
    tcase_add_test(messages, buffers_without_a_copy);
    tcase_add_test(messages, one_way_is_one_way);
    tcase_add_test(messages, limits);
    tcase_add_test(messages, bad_arguments);
    tcase_add_test(messages, poll_looks_and_leaves);
    tcase_add_test(messages, descriptor_tells_of_messages_and_of_the_end);
    tcase_add_test(messages, descriptor_of_an_end_that_has_ended);
    TCase *end = brood_test_case(suite, "end");
    tcase_add_test(end, what_was_sent_before_the_close_comes);
    tcase_add_test(end, a_closed_end_is_stale);
    tcase_add_test(end, the_end_comes_with_the_holder_s_death);
    tcase_add_test(end, a_child_reads_to_the_end);
    tcase_add_test(end, who_waits_for_room_is_told);
    tcase_add_test(end, a_copy_of_the_handle_is_borrowed);
    tcase_add_test(end, a_thread_that_waits_at_an_end_that_is_closed);
    tcase_add_test(end, forged_handles);
    tcase_add_test(end, nothing_is_left);
    return suite;
}

BROOD_TEST_MAIN(pipe_suite)
