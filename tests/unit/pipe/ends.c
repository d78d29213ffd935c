/* SPDX-License-Identifier: MIT */
/* ends.c - who holds an end: given at a start, given by hand, moved by messages; and what follows for the other end. */
#include "members.h"

#include <brood/pipe.h>
#include <brood/pool.h>

static void new_pipe(brood_pipe_end ends[2])
{
    brood_test_ok(brood_pipe_new(ends, NULL));
}

/* Nobody holds the other end any more, or will not in a moment: a death is being repaired. */
static void comes_to_its_end(brood_pipe_end end)
{
    int x;
    ck_assert_int_eq(brood_pipe_recv_value(end, &x, PATIENCE), BROOD_ECLOSED);
}
static void goes_on(brood_pipe_end end)
{
    ck_assert_int_eq(brood_pipe_poll(end, 0), BROOD_EAGAIN);
}

/* ----------------------------------------------------------------------------------------------------- at a start */

BROOD_TASK(is_holder, int, brood_pipe_end, end)
{
    int x = 1;
    MUST(brood_pipe_send_value(end, &x, BROOD_FOREVER) == 0);
    MUST(brood_pipe_close(end) == 0);
    return 0;
}

START_TEST(given_to_a_process)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_process p;
        int x = 0;
        new_pipe(ends);
        brood_process_options options = {.method = members_methods[i], .ends = &ends[1], .end_count = 1};
        brood_test_ok(brood_process_start(&p, &options, is_holder, &ends[1]));
        int error = brood_pipe_close(ends[1]);
        ck_assert(error == BROOD_EPERM || error == BROOD_ESTALE);
        brood_test_ok(brood_pipe_recv_value(ends[0], &x, PATIENCE));
        comes_to_its_end(ends[0]);
        members_end(p, 0);
    }
}
END_TEST

START_TEST(kept_when_the_start_fails)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_process p;
        new_pipe(ends);
        brood_process_options options = {
            .method = members_methods[i], .ends = &ends[1], .end_count = 1, .directory = "/nowhere"};
        ck_assert_int_lt(brood_process_start(&p, &options, is_holder, &ends[1]), 0);
        goes_on(ends[0]);
        brood_test_ok(brood_pipe_close(ends[1]));
        comes_to_its_end(ends[0]);
    }
}
END_TEST

START_TEST(only_what_is_held_can_be_given)
{
    brood_pipe_end ends[2], twice[2];
    brood_process p;
    new_pipe(ends);
    brood_process_options options = {.ends = twice, .end_count = 2};
    twice[0] = twice[1] = ends[1];
    ck_assert_int_eq(brood_process_start(&p, &options, is_holder, &ends[1]), BROOD_EPERM);
    goes_on(ends[0]); /* the first of them came back */
    brood_test_ok(brood_pipe_close(ends[1]));
    ck_assert_int_eq(brood_process_start(&p, &options, is_holder, &ends[1]), BROOD_ESTALE);
    options.ends = NULL;
    ck_assert_int_eq(brood_process_start(&p, &options, is_holder, &ends[1]), BROOD_EINVAL);
    twice[0].id = members_shared(8).id;
    options = (brood_process_options){.ends = twice, .end_count = 1};
    ck_assert_int_eq(brood_process_start(&p, &options, is_holder, &ends[1]), BROOD_ESTALE);
}
END_TEST

BROOD_TASK(wait_and_hold, int, brood_event, event)
{
    return brood_event_wait(event, BROOD_FOREVER) == 0 ? 0 : 1;
}

START_TEST(a_child_that_never_touches_its_end_holds_it)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_process p;
        brood_event event;
        new_pipe(ends);
        brood_test_ok(brood_event_new(&event));
        brood_process_options options = {.method = members_methods[i], .ends = ends, .end_count = 1};
        brood_test_ok(brood_process_start(&p, &options, wait_and_hold, &event));
        ck_assert_int_eq(brood_pipe_close(ends[0]), BROOD_EPERM);
        goes_on(ends[1]);
        brood_test_ok(brood_event_set(event));
        comes_to_its_end(ends[1]);
        members_end(p, 0);
    }
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- by hand */

START_TEST(given_to_a_member)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_process p;
        brood_event event;
        brood_buffer buffer = members_shared(100);
        new_pipe(ends);
        brood_test_ok(brood_event_new(&event));
        members_start(&p, members_methods[i], wait_and_hold, &event);
        brood_test_ok(brood_give(ends[0], p));
        brood_test_ok(brood_give(buffer, p));
        ck_assert_int_eq(brood_give(ends[0], p), BROOD_EPERM);
        ck_assert_int_eq(brood_buffer_free(buffer), BROOD_EPERM);
        goes_on(ends[1]);
        uint32_t index = HANDLE_INDEX(p.id);
        brood_test_ok(brood_event_set(event));
        comes_to_its_end(ends[1]);
        brood_test_ok(brood_process_join(p, PATIENCE, NULL));
        members_repaired(index);
        ck_assert_int_eq(brood_buffer_free(buffer), BROOD_ESTALE);
        ck_assert_int_eq(brood_give(ends[1], p), BROOD_ECLOSED);
        brood_test_ok(brood_process_free(p));
        ck_assert_int_eq(brood_give(ends[1], p), BROOD_ESTALE);
        brood_test_ok(brood_give(ends[1], brood_process_current()));
        brood_test_ok(brood_pipe_close(ends[1]));
        ck_assert_int_eq(brood_give(event, brood_process_current()), BROOD_ESTALE); /* no such thing can be moved */
    }
}
END_TEST

/* ----------------------------------------------------------------------------------------------------- in messages */

struct order {
    int number;
    brood_pipe_end answer;
};

BROOD_TASK(answer_order, int, brood_pipe_end, from)
{
    struct order order;
    MUST(brood_pipe_recv_value(from, &order, BROOD_FOREVER) == 0);
    order.number *= 2;
    MUST(brood_pipe_send_value(order.answer, &order.number, BROOD_FOREVER) == 0);
    MUST(brood_pipe_close(order.answer) == 0); /* it is this process's */
    return 0;
}

START_TEST(moved_by_a_message)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end to[2], answers[2];
        brood_process p;
        int x = 0;
        new_pipe(to);
        new_pipe(answers);
        brood_process_options options = {.method = members_methods[i], .ends = &to[1], .end_count = 1};
        brood_test_ok(brood_process_start(&p, &options, answer_order, &to[1]));
        struct order order = {21, answers[1]};
        brood_test_ok(brood_pipe_send_moving(to[0], &order, sizeof order, &order.answer.id, 1, BROOD_FOREVER));
        brood_test_ok(brood_pipe_recv_value(answers[0], &x, PATIENCE));
        ck_assert_int_eq(x, 42);
        comes_to_its_end(answers[0]);
        members_end(p, 0);
    }
}
END_TEST

START_TEST(an_end_in_a_message_is_the_message_s)
{
    brood_pipe_end carrier[2], ends[2];
    int x = 5;
    new_pipe(carrier);
    new_pipe(ends);
    brood_test_ok(brood_pipe_send_moving(carrier[0], &x, sizeof x, &ends[1].id, 1, 0));
    ck_assert_int_eq(brood_pipe_close(ends[1]), BROOD_EPERM);
    ck_assert_int_eq(brood_pipe_send_moving(carrier[0], &x, sizeof x, &ends[1].id, 1, 0), BROOD_EPERM);
    ck_assert_int_eq(brood_give(ends[1], brood_process_current()), BROOD_EPERM);
    goes_on(ends[0]);
    brood_test_ok(brood_pipe_send_value(ends[0], &x, 0)); /* who gets the end gets that */
    x = 0;
    brood_test_ok(brood_pipe_recv_value(carrier[1], &x, 0));
    ck_assert_int_eq(x, 5);
    brood_test_ok(brood_pipe_recv_value(ends[1], &x, 0));
    brood_test_ok(brood_pipe_close(ends[1]));
    comes_to_its_end(ends[0]);
}
END_TEST

START_TEST(what_a_dropped_message_moves_is_dropped)
{
    for (int by = 0; by < 2; by++) {
        brood_pipe_end carrier[2], ends[2];
        brood_queue queue;
        new_pipe(carrier);
        new_pipe(ends);
        brood_test_ok(brood_queue_new(&queue, NULL));
        if (by == 0) {
            brood_test_ok(brood_pipe_send_moving(carrier[0], NULL, 0, &ends[1].id, 1, 0));
            brood_test_ok(brood_pipe_close(carrier[0]));
            goes_on(ends[0]); /* the message is there still */
            brood_test_ok(brood_pipe_close(carrier[1]));
        } else {
            brood_test_ok(brood_queue_put_moving(queue, NULL, 0, &ends[1].id, 1, 0));
            goes_on(ends[0]);
            brood_test_ok(brood_queue_free(queue));
        }
        comes_to_its_end(ends[0]);
        ck_assert_int_eq(brood_pipe_close(ends[1]), BROOD_ESTALE);
    }
}
END_TEST

BROOD_TASK(own_and_wait, int, brood_pipe_end, to, brood_pipe_end, end, brood_event, event)
{
    /* `to` is a pipe both of whose ends are this process's: what is moved into it dies with it. */
    MUST(brood_pipe_send_moving(to, NULL, 0, &end.id, 1, 0) == 0);
    MUST(brood_event_set(event) == 0);
    for (;;) pause();
}

START_TEST(a_carrier_s_death_ends_what_is_in_it)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end carrier[2], ends[2], given[3];
        brood_process p;
        brood_event event;
        new_pipe(carrier);
        new_pipe(ends);
        brood_test_ok(brood_event_new(&event));
        given[0] = carrier[0];
        given[1] = carrier[1];
        given[2] = ends[1];
        brood_process_options options = {.method = members_methods[i], .ends = given, .end_count = 3};
        brood_test_ok(
            brood_process_start(&p, &options, own_and_wait, (&(own_and_wait_args){carrier[0], ends[1], event})));
        brood_test_ok(brood_event_wait(event, PATIENCE));
        goes_on(ends[0]);
        brood_test_ok(brood_process_kill(p));
        comes_to_its_end(ends[0]);
        members_end(p, -SIGKILL);
    }
}
END_TEST

START_TEST(several_things_in_one_message)
{
    static char data[100000];
    struct parcel {
        brood_pipe_end ends[6];
        brood_buffer buffer;
    } parcel, got;
    for (int size = 0; size < 2; size++) { /* in the ring, and in a buffer */
        brood_queue queue;
        brood_pipe_end others[6];
        uint64_t ids[7];
        brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.capacity = 256}));
        for (int i = 0; i < 6; i++) {
            brood_pipe_end ends[2];
            new_pipe(ends);
            others[i] = ends[0];
            parcel.ends[i] = ends[1];
            ids[i] = ends[1].id;
        }
        parcel.buffer = members_shared(10);
        ids[6] = parcel.buffer.id;
        for (int turn = 0; turn < 5; turn++) { /* through the ring's end */
            memcpy(data, &parcel, sizeof parcel);
            brood_test_ok(brood_queue_put_moving(queue, data, size ? sizeof data : sizeof parcel, ids, 7, 0));
            ck_assert_int_eq(brood_buffer_free(parcel.buffer), BROOD_ESTALE);
            brood_view view;
            brood_test_ok(brood_queue_get_view(queue, &view, 0));
            ck_assert_uint_eq(view.size, size ? sizeof data : sizeof parcel);
            memcpy(&got, view.data, sizeof got);
            ck_assert_mem_eq(&got, &parcel, sizeof got);
            brood_test_ok(brood_view_release(&view));
        }
        brood_test_ok(brood_buffer_free(got.buffer));
        for (int i = 0; i < 6; i++) {
            brood_test_ok(brood_pipe_close(got.ends[i]));
            comes_to_its_end(others[i]);
        }
        brood_test_ok(brood_queue_free(queue));
    }
}
END_TEST

/* What is in the messages of a queue that grows stays theirs, wherever they lie. */
START_TEST(through_a_queue_that_grows)
{
    enum { ENDS = 300 };
    static brood_pipe_end mine[ENDS], moved[ENDS];
    static char bytes[500];
    brood_queue queue;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.capacity = 4096, .grows_to = 1 << 20}));
    for (int turn = 0; turn < 7; turn++) { /* not at the ring's start */
        brood_test_ok(brood_queue_put(queue, bytes, sizeof bytes, 0));
        brood_test_ok(brood_queue_get(queue, bytes, sizeof bytes, NULL, 0));
    }
    for (int i = 0; i < ENDS; i++) {
        brood_pipe_end ends[2];
        brood_test_ok(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256}));
        mine[i] = ends[0];
        moved[i] = ends[1];
        memcpy(bytes, &i, sizeof i);
        brood_test_ok(brood_queue_put_moving(queue, bytes, sizeof i + (size_t)i, &ends[1].id, 1, 0));
    }
    for (int i = 0; i < ENDS; i++) {
        int number = -1;
        size_t size = 0;
        goes_on(mine[i]);
        brood_test_ok(brood_queue_get(queue, bytes, sizeof bytes, &size, 0));
        memcpy(&number, bytes, sizeof number);
        ck_assert_int_eq(number, i);
        ck_assert_uint_eq(size, sizeof i + (size_t)i);
        brood_test_ok(brood_pipe_close(moved[i]));
        comes_to_its_end(mine[i]);
    }
}
END_TEST

START_TEST(a_put_that_fails_moves_nothing)
{
    brood_queue queue;
    brood_pipe_end ends[2], more[2];
    int x = 0;
    brood_test_ok(brood_queue_new(&queue, &(brood_queue_options){.max_items = 1}));
    new_pipe(ends);
    new_pipe(more);
    brood_test_ok(brood_queue_put_value(queue, &x, 0));
    uint64_t ids[] = {ends[0].id, more[0].id, more[1].id, more[1].id};
    ck_assert_int_eq(brood_queue_put_moving(queue, &x, sizeof x, ids, 2, 0), BROOD_EAGAIN);
    members_late(brood_queue_put_moving(queue, &x, sizeof x, ids, 2, A_WHILE));
    ck_assert_int_eq(brood_queue_put_moving(queue, &x, sizeof x, ids, 4, 0), BROOD_EPERM); /* twice the same */
    ck_assert_int_eq(brood_queue_put_moving(queue, &x, sizeof x, ids, 9, 0), BROOD_EINVAL);
    brood_test_ok(brood_pipe_close(more[1]));
    ck_assert_int_eq(brood_queue_put_moving(queue, &x, sizeof x, ids, 3, 0), BROOD_ESTALE);
    ids[2] = queue.id;
    ck_assert_int_eq(brood_queue_put_moving(queue, &x, sizeof x, ids, 3, 0), BROOD_ESTALE); /* that can't be moved */
    goes_on(ends[1]);
    brood_test_ok(brood_pipe_close(ends[0]));
    brood_test_ok(brood_pipe_close(more[0]));
    comes_to_its_end(ends[1]);
}
END_TEST

/* Of these nobody could ever get hold again. */
START_TEST(no_end_goes_into_itself)
{
    brood_pipe_end a[2], b[2];
    new_pipe(a);
    new_pipe(b);
    ck_assert_int_eq(brood_pipe_send_moving(a[0], NULL, 0, &a[1].id, 1, 0), BROOD_EDEADLK);
    brood_test_ok(brood_pipe_send_moving(a[0], NULL, 0, &b[1].id, 1, 0)); /* b[1] in a[1] */
    ck_assert_int_eq(brood_pipe_send_moving(b[0], NULL, 0, &a[1].id, 1, 0), BROOD_EDEADLK);
    brood_test_ok(brood_pipe_send_moving(b[0], NULL, 0, &a[0].id, 1, 0)); /* that is no circle: a[1] is ours */
    brood_test_ok(brood_pipe_recv(a[1], NULL, 0, NULL, 0));
    brood_test_ok(brood_pipe_recv(b[1], NULL, 0, NULL, 0));
    for (int i = 0; i < 2; i++) brood_test_ok(brood_pipe_close(a[i]));
    for (int i = 0; i < 2; i++) brood_test_ok(brood_pipe_close(b[i]));
}
END_TEST

/* Two threads of one process would each move the same ends, wherever: one of them does. */
enum { ROUNDS = 2000 };
struct mover {
    brood_queue queue;
    brood_pipe_end (*ends)[2];
    _Atomic int *turn;
    int moved[ROUNDS];
};

static void *move_all(void *arg)
{
    struct mover *m = arg;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(m->turn, 1);
        while (atomic_load(m->turn) < 2 * i + 2) continue; /* both are at it now */
        m->moved[i] = brood_queue_put_moving(m->queue, &i, sizeof i, &m->ends[i % 8][1].id, 1, BROOD_FOREVER);
        if (m->moved[i] == 0 && brood_queue_get_value(m->queue, &(int){0}, BROOD_FOREVER) < 0) m->moved[i] = 1;
    }
    return NULL;
}

START_TEST(of_two_threads_one_moves_it)
{
    static struct mover movers[2];
    brood_pipe_end some[8][2];
    _Atomic int turn = 0;
    pthread_t threads[2];
    for (int i = 0; i < 8; i++) new_pipe(some[i]);
    for (int t = 0; t < 2; t++) {
        movers[t] = (struct mover){.ends = some, .turn = &turn};
        brood_test_ok(brood_queue_new(&movers[t].queue, NULL));
        ck_assert_int_eq(pthread_create(&threads[t], NULL, move_all, &movers[t]), 0);
    }
    for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
    for (int i = 0; i < ROUNDS; i++)
        for (int t = 0; t < 2; t++) {
            ck_assert(movers[t].moved[i] == 0 || movers[t].moved[i] == BROOD_EPERM);
            ck_assert(movers[t].moved[i] == 0 || movers[!t].moved[i] == 0);
        }
    for (int i = 0; i < 8; i++) {
        brood_test_ok(brood_pipe_close(some[i][1]));
        comes_to_its_end(some[i][0]);
    }
}
END_TEST

enum { CHAIN = 2000 };

/* Each in a message to the one before; who closes the first ends them all, on no deeper a stack. */
START_TEST(a_long_chain_is_dropped)
{
    static brood_pipe_end mine[CHAIN], inside[CHAIN];
    for (int i = 0; i < CHAIN; i++) {
        brood_pipe_end ends[2];
        brood_test_ok(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256}));
        mine[i] = ends[0];
        inside[i] = ends[1];
        if (i == 0) continue;
        if (i < 900)
            brood_test_ok(brood_pipe_send_moving(mine[i - 1], NULL, 0, &inside[i].id, 1, 0));
        else
            brood_test_ok(brood_pipe_close(inside[i]));
    }
    brood_test_ok(brood_pipe_close(inside[0]));
    for (int i = 0; i < CHAIN; i++) comes_to_its_end(mine[i]);
}
END_TEST

BROOD_TASK(begin_chain, int, brood_pipe_end, end)
{
    (void)end;
    return 0;
}

/* The same by a death. */
START_TEST(a_chain_dies_with_its_holder)
{
    enum { LENGTH = 50 };
    brood_pipe_end mine[LENGTH], inside[LENGTH];
    brood_process p;
    for (int i = LENGTH - 1; i >= 0; i--) {
        brood_pipe_end ends[2];
        new_pipe(ends);
        mine[i] = ends[0];
        inside[i] = ends[1];
        if (i < LENGTH - 1) brood_test_ok(brood_pipe_send_moving(mine[i], NULL, 0, &inside[i + 1].id, 1, 0));
    }
    brood_process_options options = {.ends = &inside[0], .end_count = 1};
    brood_test_ok(brood_process_start(&p, &options, begin_chain, &inside[0]));
    /* all that there was is gone, and the message at each end comes first no more */
    for (int i = 0; i < LENGTH; i++) comes_to_its_end(mine[i]);
    members_end(p, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- in pools */

BROOD_TASK(to_celsius, int, brood_pipe_end, end)
{
    double f, c;
    MUST(brood_pipe_recv_value(end, &f, BROOD_FOREVER) == 0);
    c = (f - 32) * (5.0 / 9.0);
    MUST(brood_pipe_send_value(end, &c, BROOD_FOREVER) == 0);
    return 0;
}

START_TEST(workers_borrow_an_end)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_pipe_end ends[2];
        brood_pool pool;
        brood_future future[4];
        double sum = 0, c;
        new_pipe(ends);
        brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = members_methods[i]}));
        for (int k = 0; k < 4; k++) {
            brood_test_ok(brood_pipe_send_value(ends[0], &(double){110 + 10 * k}, 0));
            brood_test_ok(brood_pool_submit(pool, &future[k], to_celsius, &ends[1]));
        }
        for (int k = 0; k < 4; k++) {
            brood_test_ok(brood_pipe_recv_value(ends[0], &c, PATIENCE));
            sum += c;
        }
        ck_assert(sum > 206.6 && sum < 206.7);
        for (int k = 0; k < 4; k++) brood_test_ok(brood_future_free(future[k]));
        brood_test_ok(brood_pool_free(pool));
        goes_on(ends[0]);
        for (int side = 0; side < 2; side++) brood_test_ok(brood_pipe_close(ends[side]));
    }
}
END_TEST

static Suite *ends_suite(void)
{
    Suite *suite = suite_create("ends");
    TCase *given = brood_test_case(suite, "given");
    tcase_add_test(given, given_to_a_process);
    tcase_add_test(given, kept_when_the_start_fails);
    tcase_add_test(given, only_what_is_held_can_be_given);
    tcase_add_test(given, a_child_that_never_touches_its_end_holds_it);
    tcase_add_test(given, given_to_a_member);
    TCase *moved = brood_test_case(suite, "moved");
    tcase_add_test(moved, moved_by_a_message);
    tcase_add_test(moved, an_end_in_a_message_is_the_message_s);
    tcase_add_test(moved, what_a_dropped_message_moves_is_dropped);
    tcase_add_test(moved, a_carrier_s_death_ends_what_is_in_it);
    tcase_add_test(moved, several_things_in_one_message);
    tcase_add_test(moved, through_a_queue_that_grows);
    tcase_add_test(moved, a_put_that_fails_moves_nothing);
    tcase_add_test(moved, no_end_goes_into_itself);
    tcase_add_test(moved, of_two_threads_one_moves_it);
    tcase_add_test(moved, a_long_chain_is_dropped);
    tcase_add_test(moved, a_chain_dies_with_its_holder);
    TCase *pools = brood_test_case(suite, "pools");
    tcase_add_test(pools, workers_borrow_an_end);
    return suite;
}

BROOD_TEST_MAIN(ends_suite)
