/* SPDX-License-Identifier: MIT */
/*
 * scenes_pipe.c - ends of pipes: each has one holder, a member or a message; when that has gone, whoever waits at the
 * other end is told, and when it has not, nobody is.
 *
 * Mate 0 waits for a message at the end whose peer the scene is about: it sleeps on, or has BROOD_ECLOSED.
 */
#include "arena/member.h"
#include "call/movable.h"
#include "scenes_queue.h"
#include "sync/bell.h"

#include <brood/pipe.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LONG = 200 }; /* more than a quarter of a ring */

/* -------------------------------------------------------------------------------------------------------- deeds */

/* order.id: the end; send: order.number is the message; recv: order.made what came */
static int close_it(struct order *order)
{
    return brood_pipe_close((brood_pipe_end){order->id});
}
static int send_one(struct order *order)
{
    struct message m = message_of(order->number);
    return brood_pipe_send((brood_pipe_end){order->id}, &m, sizeof m, BROOD_FOREVER);
}
static int recv_in(struct order *order, int timeout)
{
    struct message m = {0};
    size_t size = 0;
    int result = brood_pipe_recv((brood_pipe_end){order->id}, &m, sizeof m, &size, timeout);
    if (result < 0) return result;
    order->made = m.id;
    return message_good(&m, size) ? 0 : TORN;
}
static int recv_one(struct order *order)
{
    return recv_in(order, BROOD_FOREVER);
}
static int wait_one(struct order *order)
{
    return brood_pipe_poll((brood_pipe_end){order->id}, BROOD_FOREVER);
}
static int wait_readable(int fd)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 || epoll_wait(set, &event, 1, -1) < 0) return -1;
    return close(set);
}
static int listen_to(struct order *order)
{
    int fd = brood_pipe_fd((brood_pipe_end){order->id}), result = fd;
    while (result >= 0 && (result = recv_in(order, 0)) == BROOD_EAGAIN) result = wait_readable(fd);
    brood__bell_close(order->id);
    return result;
}
static int make(struct order *order)
{
    brood_pipe_end ends[2];
    int result = brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256, .one_way = order->number & 1});
    order->made = ends[1].id;
    return result;
}

/* order.id: what carries; order.number: what is moved */
static int put_moving(uint64_t carrier, uint64_t moved, size_t size)
{
    static const char bytes[LONG];
    if (HANDLE_TABLE(carrier) == TABLE_QUEUE)
        return brood_queue_put_moving((brood_queue){carrier}, bytes, size, &moved, 1, BROOD_FOREVER);
    return brood_pipe_send_moving((brood_pipe_end){carrier}, bytes, size, &moved, 1, BROOD_FOREVER);
}
static int move_short(struct order *order)
{
    return put_moving(order->id, order->number, 10);
}
static int move_long(struct order *order)
{
    return put_moving(order->id, order->number, LONG);
}
static int take_in(uint64_t carrier, int timeout)
{
    char bytes[LONG];
    size_t size = 0;
    if (HANDLE_TABLE(carrier) == TABLE_QUEUE)
        return brood_queue_get((brood_queue){carrier}, bytes, sizeof bytes, &size, timeout);
    return brood_pipe_recv((brood_pipe_end){carrier}, bytes, sizeof bytes, &size, timeout);
}
static int take_moving(struct order *order)
{
    return take_in(order->id, BROOD_FOREVER);
}
static int give_it(struct order *order)
{
    return brood_give_id(order->id, (brood_process){order->number});
}

/* ---------------------------------------------------------------------------------------------- from this process */

static uint64_t handle_of(uint32_t member)
{
    return HANDLE(TABLE_MEMBER, member, brood__member_generation(member));
}

static void new_pipe(brood_pipe_end ends[2])
{
    expect_is(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256}), 0);
}

static void belongs_to(uint32_t member, brood_pipe_end end)
{
    expect_is(brood_give_id(end.id, (brood_process){handle_of(member)}), 0);
}

static uint64_t word_of(brood_pipe_end end)
{
    return atomic_load(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(end.id))->word);
}
static bool is_held_by(brood_pipe_end end, uint32_t member)
{
    return word_of(end) == SLOT_WORD(HANDLE_GENERATION(end.id), SLOT_LIVE, member);
}

/* Its peer has a holder: mate i, who waits here, goes on to do so. */
static void sleeps_on(unsigned i)
{
    mates_settle(i + 1);
    if (!mate_busy(i)) fail("mate %u was told of an end that has not come", i);
}
static void is_told(unsigned i)
{
    expect_is(mate_result(i), BROOD_ECLOSED);
}

static void no_ends_are_left(void)
{
    expect_is(slots_in_use(TABLE_PIPE), 0);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
}

/* A carrier: order 1: a pipe, of which in and out are the ends; else a queue, of which both are. */
struct carrier {
    uint64_t in, out;
};
static struct carrier new_carrier(bool pipe, unsigned turned)
{
    if (!pipe) {
        uint64_t id = new_queue(turned).id;
        return (struct carrier){id, id};
    }
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (unsigned i = 0; i < turned; i++) {
        struct order order = {.id = ends[0].id, .number = next_message()};
        expect_is(send_one(&order), 0);
        order.id = ends[1].id;
        expect_is(recv_one(&order), 0);
    }
    return (struct carrier){ends[0].id, ends[1].id};
}
static bool has_message(struct carrier c)
{
    struct queue_shm *q = brood__slot_find(HANDLE_TABLE(c.out), c.out);
    return q && !brood__ring_all_empty(q);
}
static void free_carrier(struct carrier c)
{
    if (HANDLE_TABLE(c.in) == TABLE_QUEUE) {
        expect_is(brood_queue_free((brood_queue){c.in}), 0);
        return;
    }
    expect_is(brood_pipe_close((brood_pipe_end){c.in}), 0);
    expect_is(brood_pipe_close((brood_pipe_end){c.out}), 0);
}

/* -------------------------------------------------------------------------------------------------- new and close */

static void new_one(const struct cut *cut)
{
    if (cut->order & 2) next_claim_takes_garbage(TABLE_PIPE);
    struct victim v;
    victim_prepare(cut->order & 1);
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect_is(brood__pages_check(), 0);
    bury(v.proc.member);
    no_ends_are_left();
    next_claim_takes_garbage(TABLE_PIPE);
    brood_pipe_end ends[2];
    new_pipe(ends);
    for (int i = 0; i < 2; i++) expect_is(brood_pipe_close(ends[i]), 0);
}

/*
 * The victim closes its end, or dies with it.  order: 1: mate 0 waits in poll, else in recv; 2: mate 1 waits for room;
 * 4: mate 2 listens in epoll
 */
static void close_one(const struct cut *cut)
{
    brood_pipe_end ends[2];
    struct victim v;
    new_pipe(ends);
    victim_start(&v, NULL, close_it, ends[1].id);
    belongs_to(v.proc.member, ends[1]);
    mate_sends_to_sleep(0, cut->order & 1 ? wait_one : recv_one, ends[0].id);
    if (cut->order & 2) {
        struct message m = message_of(next_message());
        while (brood_pipe_send(ends[0], &m, sizeof m, 0) == 0) continue;
        mate(1)->post->order.number = m.id;
        mate_sends_to_sleep(1, send_one, ends[0].id);
    }
    if (cut->order & 4) mate_sends_to_sleep(2, listen_to, ends[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    if (!v.ended) bury(v.proc.member);
    if (cut->order & 1)
        expect_is(mate_result(0), 0);
    else
        is_told(0);
    if (cut->order & 2) is_told(1);
    if (cut->order & 4) is_told(2);
    if (v.ended) bury(v.proc.member);
    struct message m = {0};
    expect_is(brood_pipe_send(ends[0], &m, sizeof m, 0), BROOD_ECLOSED);
    expect_is(brood_pipe_close(ends[0]), 0);
    no_ends_are_left();
}

/* It does not die but stands still on its way to wait, while the other end is closed: it must not miss that. */
static void waiter_stalled(const struct cut *cut)
{
    brood_pipe_end ends[2];
    struct victim v;
    new_pipe(ends);
    victim_start(&v, NULL, cut->order & 1 ? listen_to : recv_one, ends[0].id);
    victim_step(&v, cut->k[0]);
    const struct queue_shm *q = brood__slot_find(TABLE_PIPE, ends[0].id);
    if (victim_has(&v, &q->put) || victim_has(&v, &q->get)) victim_run(&v);
    expect_is(brood_pipe_close(ends[1]), 0);
    expect_is(victim_finish(&v), BROOD_ECLOSED);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(brood_pipe_close(ends[0]), 0);
}

/* What was sent comes, and then the end; order: 1: mate 0 is asleep already */
static void send_and_end(const struct cut *cut)
{
    brood_pipe_end ends[2];
    struct victim v;
    uint64_t its = next_message();
    new_pipe(ends);
    victim_prepare(its);
    victim_start(&v, NULL, send_one, ends[1].id);
    belongs_to(v.proc.member, ends[1]);
    if (cut->order & 1) mate_sends_to_sleep(0, recv_one, ends[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (!(cut->order & 1)) mate_do(0, recv_one, ends[0].id);
    int result = mate_result(0);
    expect(result == 0 || (result == BROOD_ECLOSED && !v.ended));
    if (result == 0) expect_is(mate(0)->post->order.made, its);
    struct order order = {.id = ends[0].id};
    expect_is(recv_one(&order), BROOD_ECLOSED);
    expect_is(brood_pipe_close(ends[0]), 0);
    no_ends_are_left();
}

/* ------------------------------------------------------------------------------------------------- moved by messages */

/* order: 1: by a pipe; 2: taken before the dead is buried; 4: a long message */
static void move_one(const struct cut *cut)
{
    struct carrier c = new_carrier(cut->order & 1, cut->order >> 3);
    brood_pipe_end x[2];
    struct victim v;
    new_pipe(x);
    victim_prepare(x[1].id);
    victim_start(&v, NULL, cut->order & 4 ? move_long : move_short, c.in);
    belongs_to(v.proc.member, x[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    bool put = has_message(c);
    expect(put || !v.ended);
    if (put && (cut->order & 2)) {
        expect_is(take_in(c.out, 0), 0);
        expect(is_held_by(x[1], brood__self->member));
    }
    bury(v.proc.member);
    if (put) {
        sleeps_on(0);
        if (!(cut->order & 2)) expect_is(take_in(c.out, 0), 0);
        expect_is(brood_pipe_close(x[1]), 0);
    }
    is_told(0);
    expect_is(brood_pipe_close(x[0]), 0);
    free_carrier(c);
    no_ends_are_left();
}

/* order: as before */
static void take_one(const struct cut *cut)
{
    struct carrier c = new_carrier(cut->order & 1, cut->order >> 3);
    brood_pipe_end x[2];
    struct victim v;
    new_pipe(x);
    expect_is(put_moving(c.in, x[1].id, cut->order & 4 ? LONG : 10), 0);
    victim_start(&v, NULL, take_moving, c.out);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool there = has_message(c);
    expect(!there || !v.ended);
    if (v.ended) {
        expect_is(v.result, 0);
        expect(is_held_by(x[1], v.proc.member));
    }
    if (there && (cut->order & 2)) expect_is(take_in(c.out, 0), 0);
    bury(v.proc.member);
    if (there) {
        sleeps_on(0);
        if (!(cut->order & 2)) expect_is(take_in(c.out, 0), 0);
        expect_is(brood_pipe_close(x[1]), 0);
    }
    is_told(0);
    expect_is(brood_pipe_close(x[0]), 0);
    free_carrier(c);
    no_ends_are_left();
}

/*
 * A carrier goes with what is in it, and with what is in that.  order: 1: a queue is freed, else an end is closed; 2: mate
 * 2 waits at the carrier
 */
static void drop_one(const struct cut *cut)
{
    bool queue = cut->order & 1;
    brood_pipe_end c[2] = {{0}, {0}}, x[2], y[2];
    struct victim v;
    new_pipe(x);
    new_pipe(y);
    victim_start(&v, queue ? queue_make : NULL, queue ? queue_free : close_it, 0);
    uint64_t in = v.proc.post->order.made;
    if (!queue) {
        new_pipe(c);
        v.proc.post->order.id = c[1].id;
        in = c[0].id;
    }
    expect_is(put_moving(in, x[1].id, 10), 0);     /* x[1] in the carrier */
    expect_is(put_moving(x[0].id, y[1].id, 0), 0); /* y[1] in x[1] */
    if (!queue) belongs_to(v.proc.member, c[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    mate_sends_to_sleep(1, recv_one, y[0].id);
    bool waits = !queue && (cut->order & 2);
    if (waits) mate_sends_to_sleep(2, recv_one, c[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (!v.ended) bury(v.proc.member);
    for (unsigned i = 0; i < 2u + waits; i++) is_told(i);
    if (v.ended) bury(v.proc.member);
    expect_is(brood_pipe_close(x[0]), 0);
    expect_is(brood_pipe_close(y[0]), 0);
    if (!queue) expect_is(brood_pipe_close(c[0]), 0);
    no_ends_are_left();
}

/* --------------------------------------------------------------------------------------------------- given by hand */

static void give_one(const struct cut *cut)
{
    brood_pipe_end x[2];
    struct victim v;
    uint32_t other = mate(1)->member;
    new_pipe(x);
    victim_prepare(handle_of(other));
    victim_start(&v, NULL, give_it, x[1].id);
    belongs_to(v.proc.member, x[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool given = is_held_by(x[1], other);
    expect(given || !v.ended);
    bury(v.proc.member);
    if (given) {
        sleeps_on(0);
        expect(is_held_by(x[1], other));
        mate_ends(1);
    }
    is_told(0);
    expect_is(brood_pipe_close(x[0]), 0);
    no_ends_are_left();
}

/* The one dies to whom it is given, while the giver stands still.  order: 1: it is buried only after the giver went on */
static void give_to_the_dead(const struct cut *cut)
{
    brood_pipe_end x[2];
    struct victim giver, other;
    new_pipe(x);
    victim_start(&giver, NULL, give_it, x[1].id);
    victim_start(&other, NULL, close_it, x[1].id); /* which it never comes to do */
    giver.proc.post->order.number = handle_of(other.proc.member);
    belongs_to(giver.proc.member, x[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    victim_step(&giver, cut->k[0]);
    victim_kill(&other);
    if (cut->order & 1)
        bury_begin(other.proc.member);
    else
        bury(other.proc.member);
    int result = victim_finish(&giver);
    expect(result == 0 || result == BROOD_ECLOSED || result == BROOD_ESTALE);
    if (cut->order & 1) bury(other.proc.member);
    if (result == 0) {
        is_told(0);
    } else {
        sleeps_on(0);
        expect(is_held_by(x[1], giver.proc.member));
    }
    victim_kill(&giver);
    bury(giver.proc.member);
    if (result != 0) is_told(0);
    expect_is(brood_pipe_close(x[0]), 0);
    no_ends_are_left();
}

/* Both die, in either order: it is gone. */
static void give_and_die(const struct cut *cut)
{
    brood_pipe_end x[2];
    struct victim giver, other;
    new_pipe(x);
    victim_start(&giver, NULL, give_it, x[1].id);
    victim_start(&other, NULL, close_it, x[1].id);
    giver.proc.post->order.number = handle_of(other.proc.member);
    belongs_to(giver.proc.member, x[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    victim_step(&giver, cut->k[0]);
    victim_kill(&giver);
    victim_kill(&other);
    bury(cut->order & 1 ? giver.proc.member : other.proc.member);
    bury(cut->order & 1 ? other.proc.member : giver.proc.member);
    is_told(0);
    expect_is(brood_pipe_close(x[0]), 0);
    no_ends_are_left();
}

/* --------------------------------------------------------------------------------------------------------- repair */

/*
 * One dies that had an end, a pipe of its own with another's end in it, and an end that it was about to move; the
 * supervisor dies over the repair.  order: 1: and the one after it too
 */
static void repair_cut(const struct cut *cut)
{
    brood_pipe_end x[2], y[2], c[2], z[2];
    struct victim v, first, second;
    new_pipe(x);
    new_pipe(y);
    new_pipe(c);
    new_pipe(z);
    brood_queue queue = new_queue(1);
    expect_is(put_moving(c[0].id, y[1].id, 10), 0);
    victim_prepare(z[1].id);
    victim_start(&v, NULL, move_short, queue.id);
    belongs_to(v.proc.member, x[1]);
    belongs_to(v.proc.member, c[0]);
    belongs_to(v.proc.member, c[1]);
    belongs_to(v.proc.member, z[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    mate_sends_to_sleep(1, recv_one, y[0].id);
    mate_sends_to_sleep(2, listen_to, z[0].id);
    victim_step(&v, cut->order & 2 ? WHOLE_CALL : cut->k[1]);
    victim_kill(&v);
    bool moved = !queue_is_empty(queue);
    bury_begin(v.proc.member);
    victim_prepare(v.proc.member);
    victim_start(&first, NULL, supervise, 0);
    victim_step(&first, cut->k[0]);
    victim_kill(&first);
    if (cut->order & 1) {
        victim_prepare(v.proc.member);
        victim_start(&second, NULL, supervise, 0);
        victim_step(&second, cut->k[1]);
        victim_kill(&second);
        bury_again(second.proc.member);
    }
    bury_again(first.proc.member);
    bury_again(v.proc.member);
    is_told(0);
    is_told(1);
    if (moved) {
        sleeps_on(2);
        expect_is(take_in(queue.id, 0), 0);
        expect_is(brood_pipe_close(z[1]), 0);
    }
    is_told(2);
    expect_is(brood_pipe_close(x[0]), 0);
    expect_is(brood_pipe_close(y[0]), 0);
    expect_is(brood_pipe_close(z[0]), 0);
    expect_is(brood_queue_free(queue), 0);
    no_ends_are_left();
}

/* Garbage that holds a message that moves an end is taken apart by who claims it, who dies over it. */
static void garbage_reused(const struct cut *cut)
{
    brood_pipe_end c[2], x[2];
    struct victim v;
    uint32_t owner = mate(3)->member;
    new_pipe(c);
    new_pipe(x);
    expect_is(put_moving(c[0].id, x[1].id, 10), 0);
    belongs_to(owner, c[1]);
    mate_sends_to_sleep(0, recv_one, x[0].id);
    mate_sends_to_sleep(1, recv_one, c[0].id);
    proc_kill(mate(3));
    bury_begin(owner);
    uint64_t word = word_of(c[1]); /* as far as the supervisor has come */
    atomic_store(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(c[1].id))->word,
                 SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
    next_claim_takes_garbage(TABLE_PIPE);
    victim_start(&v, NULL, make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(cut->order & 1 ? v.proc.member : owner);
    bury(cut->order & 1 ? owner : v.proc.member);
    is_told(0);
    is_told(1);
    expect_is(brood_pipe_close(c[0]), 0);
    expect_is(brood_pipe_close(x[0]), 0);
    no_ends_are_left();
}

const struct scene pipe_scenes[] = {
    {"pipe/new", new_one, 0, 4},
    {"pipe/close", close_one, 0, 8},
    {"pipe/waiter-stalled", waiter_stalled, 0, 2},
    {"pipe/send-and-end", send_and_end, 0, 2},
    {"pipe/move", move_one, 0, 16},
    {"pipe/take", take_one, 0, 16},
    {"pipe/drop", drop_one, 0, 4},
    {"pipe/give", give_one, 0, 0},
    {"pipe/give-to-the-dead", give_to_the_dead, 0, 2},
    {"pipe/give-and-die", give_and_die, 0, 2},
    {"pipe/repair", repair_cut, SCENE_PAIR, 4},
    {"pipe/garbage-reused", garbage_reused, 0, 2},
    {NULL, NULL, 0, 0},
};
