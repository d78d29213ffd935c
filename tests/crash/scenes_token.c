/* SPDX-License-Identifier: MIT */
/*
 * scenes_token.c - descriptors deposited and redeemed: whoever dies over it, the keeper (mate 0, in the supervisor's
 * place) has none left in the end, and a token can be redeemed as long as it is there.
 */
#include "arena/member.h"
#include "pipe/token.h"
#include "scene.h"

#include <brood/token.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------------------------------- deeds */

static int deposit(struct order *order)
{
    brood_token token = {0};
    int result = brood_descriptor_deposit(&token, (int)order->number);
    order->made = token.id;
    return result;
}
static int redeem(struct order *order)
{
    int fd = brood_descriptor_redeem((brood_token){order->id});
    if (fd >= 0) close(fd);
    return fd < 0 ? fd : 0;
}
static int discard(struct order *order)
{
    return brood_descriptor_discard((brood_token){order->made});
}

/* As the supervisor, until order.number says that there is no more to come. */
static void serve_one(int connection)
{
    struct request request = {0};
    int fds[OS_MAX_FDS];
    size_t count = OS_MAX_FDS;
    int64_t deadline = brood__os_deadline(5000);
    if (brood__os_receive(connection, &request, sizeof request, fds, &count, deadline) != (ssize_t)sizeof request)
        return;
    brood__token_serve(&request, fds, count, connection);
    for (size_t i = 0; i < count; i++) brood__os_close(&fds[i]);
    count = 0;
    if (request.kind != REQUEST_REDEEM) return;
    while (brood__os_receive(connection, &request, sizeof request, NULL, NULL, deadline) > 0) continue; /* its end */
    brood__token_look();
}
static int keep(struct order *order)
{
    int connection;
    pid_t peer;
    for (;;) {
        if (brood__os_accept(brood__self->listener, &connection, &peer) >= 0) {
            serve_one(connection);
            close(connection);
        } else if (*(volatile uint64_t *)&order->number) {
            return 0;
        } else {
            brood__os_nap(20 * 1000);
        }
    }
}
static int look(struct order *order)
{
    (void)order;
    brood__token_look();
    return 0;
}

/* ---------------------------------------------------------------------------------------------- from this process */

static void keeper_begins(void)
{
    mate(0)->post->order.number = 0;
    mate_do(0, keep, 0);
}
static void keeper_ends(void)
{
    *(volatile uint64_t *)&mate(0)->post->order.number = 1;
    expect_is(mate_result(0), 0);
}

/* All copies of the other end of this pipe are closed, the keeper's too: at the latest when it has looked after a death. */
static void is_closed(int fd, bool looks)
{
    char byte;
    if (looks) {
        mate_do(0, look, 0);
        expect_is(mate_result(0), 0);
    }
    struct pollfd p = {.fd = fd};
    expect_is(poll(&p, 1, 1000), 1);
    expect_is(read(fd, &byte, 1), 0);
    close(fd);
    expect_is(slots_in_use(TABLE_TOKEN), 0);
}

static void new_pipe(int ends[2])
{
    mate(0); /* before, so that it does not have them too */
    expect_is(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void deposit_cut(const struct cut *cut)
{
    int ends[2];
    struct victim v;
    new_pipe(ends);
    keeper_begins();
    victim_prepare((uint64_t)ends[1]);
    victim_start(&v, NULL, deposit, 0);
    close(ends[1]);
    victim_step(&v, cut->k[0]);
    bool ended = v.ended;
    if (ended) {
        expect_is(v.result, 0);
        struct order order = {.id = v.proc.post->order.made};
        if (cut->order & 1) expect_is(redeem(&order), 0);
    }
    victim_kill(&v);
    keeper_ends();
    bury(v.proc.member);
    if (ended) expect(brood_descriptor_redeem((brood_token){v.proc.post->order.made}) < 0);
    is_closed(ends[0], true);
}

/* order: 1: the harness redeems what is left, else the token's holder, which we are, discards it */
static void redeem_cut(const struct cut *cut)
{
    int ends[2];
    struct victim v;
    new_pipe(ends);
    keeper_begins();
    struct order order = {.number = (uint64_t)ends[1]};
    expect_is(deposit(&order), 0);
    victim_start(&v, NULL, redeem, order.made);
    close(ends[1]);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bury(v.proc.member);
    bool there = brood__movable_find(order.made) != NULL;
    expect(!there || !v.ended);
    order.id = order.made;
    if (there) expect_is(cut->order & 1 ? redeem(&order) : discard(&order), 0);
    keeper_ends();
    is_closed(ends[0], !v.ended);
}

/* It does not die but stands still in it, while we redeem the same: one of us has it. */
static void redeem_two(const struct cut *cut)
{
    int ends[2];
    struct victim v;
    new_pipe(ends);
    keeper_begins();
    struct order order = {.number = (uint64_t)ends[1]};
    expect_is(deposit(&order), 0);
    victim_start(&v, NULL, redeem, order.made);
    close(ends[1]);
    victim_step(&v, cut->k[0]);
    order.id = order.made;
    int ours = redeem(&order), its = victim_finish(&v);
    expect((ours == 0) != (its == 0));
    victim_kill(&v);
    keeper_ends();
    bury(v.proc.member);
    is_closed(ends[0], false);
}

static void discard_cut(const struct cut *cut)
{
    int ends[2];
    struct victim v;
    new_pipe(ends);
    keeper_begins();
    victim_prepare((uint64_t)ends[1]);
    victim_start(&v, deposit, discard, 0);
    close(ends[1]);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    keeper_ends();
    bury(v.proc.member);
    is_closed(ends[0], !v.ended);
}

const struct scene token_scenes[] = {
    {"token/deposit", deposit_cut, 0, 2},
    {"token/redeem", redeem_cut, 0, 2},
    {"token/redeem-two", redeem_two, 0, 0},
    {"token/discard", discard_cut, 0, 0},
    {NULL, NULL, 0, 0},
};
