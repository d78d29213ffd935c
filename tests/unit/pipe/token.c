/* SPDX-License-Identifier: MIT */
/* token.c - descriptors deposited and redeemed: once, by anyone; and closed when nobody can any more. */
#include "members.h"
#include "process/supervisor.h"

#include <brood/pipe.h>
#include <brood/token.h>
#include <poll.h>
#include <sys/resource.h>

/* Both ends of a pipe(2); the second is deposited and closed here, so the first tells when all copies are gone. */
static int deposit_one(brood_token *token)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    brood_test_ok(brood_descriptor_deposit(token, ends[1]));
    close(ends[1]);
    return ends[0];
}

/* Its copies go soon, or now: a read finds the end of file. */
static void is_closed_soon(int fd)
{
    char byte;
    struct pollfd p = {.fd = fd};
    ck_assert_int_eq(poll(&p, 1, PATIENCE), 1);
    ck_assert_int_eq(read(fd, &byte, 1), 0);
    close(fd);
}
static void is_open(int fd)
{
    char byte;
    ck_assert_int_eq(read(fd, &byte, 1), -1);
    ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(redeemed_once)
{
    brood_token token;
    int fd = deposit_one(&token), got;
    is_open(fd);
    got = brood_descriptor_redeem(token);
    ck_assert_int_ge(got, 0);
    ck_assert(fcntl(got, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ESTALE);
    ck_assert_int_eq(brood_descriptor_discard(token), BROOD_ESTALE);
    char byte = 0;
    ck_assert_int_eq(write(got, "x", 1), 1);
    ck_assert_int_eq(read(fd, &byte, 1), 1);
    close(got);
    is_closed_soon(fd); /* the supervisor has kept none */
}
END_TEST

BROOD_TASK(redeem_and_write, int, brood_token, token)
{
    int fd = brood_descriptor_redeem(token);
    MUST(fd >= 0);
    MUST(write(fd, "y", 1) == 1);
    return 0;
}

START_TEST(by_another_process)
{
    for (int i = 0; i < MEMBERS_METHODS; i++) {
        brood_token token;
        brood_process p;
        int fd = deposit_one(&token);
        char byte = 0;
        members_start(&p, members_methods[i], redeem_and_write, &token);
        members_end(p, 0);
        ck_assert_int_eq(read(fd, &byte, 1), 1);
        ck_assert_int_eq(byte, 'y');
        is_closed_soon(fd);
    }
}
END_TEST

START_TEST(discarded)
{
    brood_token token;
    int fd = deposit_one(&token);
    brood_test_ok(brood_descriptor_discard(token));
    is_closed_soon(fd);
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ESTALE);
    ck_assert_int_eq(brood_descriptor_deposit(&token, -1), -EBADF);
    ck_assert_int_eq(brood_descriptor_deposit(&token, 1000), -EBADF);
}
END_TEST

BROOD_TASK(deposit_and_end, int, int, fd, brood_queue, queue, bool, moves)
{
    brood_token token;
    MUST(brood_descriptor_deposit(&token, fd) == 0);
    close(fd);
    if (moves) MUST(brood_queue_put_moving(queue, &token, sizeof token, &token.id, 1, 0) == 0);
    if (!moves) MUST(brood_queue_put_value(queue, &token, 0) == 0);
    return 0;
}

/* Closed with its holder; one that moved with a message is that one's, and then the receiver's. */
START_TEST(the_depositor_ends)
{
    for (int moves = 0; moves < 2; moves++) {
        for (int i = 0; i < MEMBERS_METHODS; i++) {
            int ends[2], got;
            brood_queue queue;
            brood_process p;
            brood_token token;
            ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
            brood_test_ok(brood_queue_new(&queue, NULL));
            brood_descriptor passed = {ends[1], ends[1]};
            brood_process_options options = {
                .method = members_methods[i], .descriptors = &passed, .descriptor_count = 1};
            brood_test_ok(
                brood_process_start(&p, &options, deposit_and_end, (&(deposit_and_end_args){ends[1], queue, moves})));
            close(ends[1]);
            uint32_t index = HANDLE_INDEX(p.id);
            brood_test_ok(brood_process_join(p, PATIENCE, &got));
            ck_assert_int_eq(got, 0);
            members_repaired(index);
            brood_test_ok(brood_process_free(p));
            if (moves) is_open(ends[0]);
            brood_test_ok(brood_queue_get_value(queue, &token, 0));
            got = brood_descriptor_redeem(token);
            if (moves) {
                ck_assert_int_ge(got, 0);
                close(got);
            } else {
                ck_assert(got == BROOD_ECLOSED || got == BROOD_ESTALE);
            }
            is_closed_soon(ends[0]);
            brood_test_ok(brood_queue_free(queue));
        }
    }
}
END_TEST

START_TEST(in_a_message)
{
    brood_token token;
    brood_pipe_end ends[2];
    int fd = deposit_one(&token);
    brood_test_ok(brood_pipe_new(ends, NULL));
    brood_test_ok(brood_pipe_send_moving(ends[0], NULL, 0, &token.id, 1, 0));
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_EPERM);
    ck_assert_int_eq(brood_descriptor_discard(token), BROOD_EPERM);
    is_open(fd);
    brood_test_ok(brood_pipe_close(ends[1])); /* and with it the message */
    is_closed_soon(fd);
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ESTALE);
}
END_TEST

START_TEST(the_supervisor_is_killed)
{
    brood_token token, other;
    int fd = deposit_one(&token);
    ck_assert_int_eq(kill(atomic_load(&brood__arena()->supervisor.pid), SIGKILL), 0);
    is_closed_soon(fd);
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ELOST);
    ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ESTALE);
    fd = deposit_one(&other); /* with the next one */
    int got = brood_descriptor_redeem(other);
    ck_assert_int_ge(got, 0);
    close(got);
    is_closed_soon(fd);
}
END_TEST

START_TEST(no_room_here)
{
    brood_token token;
    int fd = deposit_one(&token), got;
    struct rlimit before, few;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)dup(fd) + 1; /* room for the connection only: its number was the lowest that is free */
    close((int)few.rlim_cur - 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    got = brood_descriptor_redeem(token);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(got, BROOD_EMFILE);
    is_open(fd);
    got = brood_descriptor_redeem(token);
    ck_assert_int_ge(got, 0);
    close(got);
    is_closed_soon(fd);
}
END_TEST

/* A family of its own, whose supervisor has few descriptors. */
START_TEST(no_room_there)
{
    enum { MOST = 40 };
    brood_token tokens[MOST];
    struct rlimit few = {MOST, MOST};
    int fd = -1, n = 0, error = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < MOST && (error = brood_descriptor_deposit(&tokens[n], 2)) == 0) n++;
    ck_assert_int_eq(error, BROOD_EMFILE);
    ck_assert_int_eq(n, MOST / 2);
    ck_assert_str_ne(brood_error_detail(), "");
    fd = brood_descriptor_redeem(tokens[0]);
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (int tries = 0; tries < PATIENCE && (error = brood_descriptor_deposit(&tokens[0], 2)) == BROOD_EMFILE; tries++)
        usleep(1000); /* until it has seen that the other is gone */
    ck_assert_int_eq(error, 0);
}
END_TEST

START_TEST(forged_tokens)
{
    uint64_t state = 88172645463325252u, ids[MEMBERS_TYPES];
    brood_token token;
    int fd = deposit_one(&token);
    members_one_of_each(ids);
    for (int i = 0; i < MEMBERS_TYPES; i++) {
        ck_assert_int_eq(brood_descriptor_redeem((brood_token){ids[i]}), BROOD_ESTALE);
        ck_assert_int_eq(brood_descriptor_discard((brood_token){ids[i]}), BROOD_ESTALE);
    }
    for (int i = 0; i < FORGERIES; i++) {
        token.id = members_forged(TABLE_TOKEN, i, &state);
        ck_assert_int_eq(brood_descriptor_redeem(token), BROOD_ESTALE);
        ck_assert_int_eq(brood_descriptor_discard(token), BROOD_ESTALE);
    }
    close(fd);
}
END_TEST

/* What no member sends: the supervisor goes on. */
START_TEST(forged_requests)
{
    brood_token token;
    int fd = deposit_one(&token);
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t id = i % 2 ? HANDLE(i, i, i) : token.id ^ (uint64_t)1 << i % 64;
        struct request request = {.kind = i % 3 ? REQUEST_REDEEM : REQUEST_DEPOSIT, .object = id};
        int connection = -1, got = -1, code = brood__supervisor_ask(&request, &fd, i % 5 == 0, &got, &connection);
        ck_assert_int_lt(code, 0);
        ck_assert_int_eq(got, -1);
        brood__os_close(&connection);
    }
    int got = brood_descriptor_redeem(token);
    ck_assert_int_ge(got, 0);
    close(got);
    is_closed_soon(fd);
}
END_TEST

static Suite *token_suite(void)
{
    Suite *suite = suite_create("token");
    TCase *token = brood_test_case(suite, "token");
    tcase_add_test(token, redeemed_once);
    tcase_add_test(token, by_another_process);
    tcase_add_test(token, discarded);
    tcase_add_test(token, the_depositor_ends);
    tcase_add_test(token, in_a_message);
    tcase_add_test(token, the_supervisor_is_killed);
    tcase_add_test(token, no_room_here);
    tcase_add_test(token, no_room_there);
    tcase_add_test(token, forged_tokens);
    tcase_add_test(token, forged_requests);
    return suite;
}

BROOD_TEST_MAIN(token_suite)
