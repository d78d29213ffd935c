/* SPDX-License-Identifier: MIT */
/*
 * scenes_process.c - processes started, joined and given back: whoever dies in between leaves no child that goes on, no
 * slot, and no joiner asleep.
 *
 * The child of a victim is this process's to reap when the victim has died.
 */
#include "arena/member.h"
#include "process/family.h"
#include "process/repair.h"
#include "process/supervisor.h"
#include "scene.h"

#include <brood/pipe.h>
#include <brood/process.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t *rests; /* in shared memory: set by a child that goes on */

BROOD_TASK(rest, int)
{
    if (rests) *rests = 1;
    for (;;) pause();
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int short_environment(struct order *order)
{
    (void)order;
    brood__family_remember();
    return clearenv();
}
static int start_by_fork(struct order *order)
{
    brood_process process = {0};
    brood_pipe_end end = {order->id};
    brood_process_options options = {
        .name = "rest", .method = BROOD_START_FORK, .directory = "/", .ends = &end, .end_count = order->id != 0};
    rests = &order->number;
    int result = brood_process_start_task(&process, &options, BROOD_TASK_OF(rest), NULL);
    order->made = process.id;
    return result;
}
static int join_it(struct order *order)
{
    int code = 0, result = brood_process_join((brood_process){order->id}, BROOD_FOREVER, &code);
    return result < 0 ? result : code;
}
static int free_it(struct order *order)
{
    return brood_process_free((brood_process){order->id});
}
static int ask(struct order *order)
{
    brood_process process = {order->id};
    char name[32];
    int result = brood_process_is_alive(process);
    if (result >= 0) result += 10 * (brood_process_exit_code(process) == BROOD_EXIT_RUNNING);
    if (result >= 0 && brood_process_name(process, name, sizeof name) < 0) result = NO_RESULT;
    if (brood_process_active_children(&process, 1) < 0) result = NO_RESULT;
    return result;
}

/* ---------------------------------------------------------------------------------------------------------- start */

static uint64_t handle_of(uint32_t member)
{
    return HANDLE(TABLE_MEMBER, member, brood__member_generation(member));
}

/* The member that this one was starting, if there is one: 0 else. */
static uint32_t child_of(uint32_t parent)
{
    uint32_t used = atomic_load(&brood__arena()->tables[TABLE_MEMBER].used);
    for (uint32_t i = 1; i < used; i++) {
        uint64_t word = atomic_load(&brood__slot_at(TABLE_MEMBER, i)->word);
        if (SLOT_STATE(word) == SLOT_LIVE && SLOT_OWNER(word) == parent && i != parent) return i;
    }
    return 0;
}

/* All that the victim forked, by itself within a while; false if not, or as soon as *goes_on says that one won't. */
static bool children_end(const volatile uint64_t *goes_on)
{
    int64_t start = now_ms();
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | __WNOTHREAD);
        if (pid < 0) return true; /* only those of ours that we know are left, or none */
        if (pid == 0 && ((goes_on && *goes_on) || now_ms() - start > 2000)) return false;
        if (pid == 0) brood__os_nap(200 * 1000);
    }
}

/* Order 1: an end of a pipe is given along, and whoever goes on has it. */
static void start_one(const struct cut *cut)
{
    brood_pipe_end ends[2] = {{0}, {0}};
    requests(REQUEST_WATCH); /* of a child that told of itself, and then found its starter dead */
    unsigned before = slots_in_use(TABLE_MEMBER);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct victim v;
    if (cut->order) expect_is(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256}), 0);
    victim_start(&v, short_environment, start_by_fork, ends[1].id);
    uint32_t parent = v.proc.member;
    if (cut->order) expect_is(brood_give_id(ends[1].id, (brood_process){handle_of(parent)}), 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    uint32_t child = child_of(parent);
    pid_t pid = child ? brood__member_at(child)->pid : 0;
    unsigned watches = requests(REQUEST_WATCH);
    if (v.ended) { /* it has told of itself before its starter got to know */
        expect_is(v.result, 0);
        expect(child != 0 && watches == 1);
        expect_is(brood_process_is_alive((brood_process){v.proc.post->order.made}), 1);
        if (pid > 0) kill(pid, SIGKILL);
    }
    /* One that could report rests for ever, and is watched; any other ends because nobody is there to be told. */
    if (!children_end(&v.proc.post->order.number)) {
        uint32_t late = child ? child : child_of(parent);
        watches += requests(REQUEST_WATCH);
        expect(late != 0 && watches > 0);
        expect(!cut->order ||
               SLOT_OWNER(atomic_load(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(ends[1].id))->word)) == late);
        if (late) kill(brood__member_at(late)->pid, SIGKILL);
        expect(children_end(NULL));
    }
    if (!child) child = child_of(parent);
    bury(parent);
    if (child && SLOT_STATE(atomic_load(&brood__slot_at(TABLE_MEMBER, child)->word)) == SLOT_LIVE) bury(child);
    if (cut->order) expect_is(brood_pipe_close(ends[0]), 0);
    expect_is(slots_in_use(TABLE_PIPE), 0);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/*
 * A mate is the supervisor that is asked for a start and the child that it forks, until order.number says that there
 * is no more to come.  order.made: CHILD_RAN when it went on, CHILD_LEFT when it had to leave; 0: no child.
 */
enum { CHILD_RAN = 1, CHILD_LEFT };

static int be_asked(struct order *order)
{
    int connection = -1, channel = -1, fds[OS_MAX_FDS];
    pid_t peer;
    while (brood__os_accept(brood__self->listener, &connection, &peer) < 0) {
        if (*(volatile uint64_t *)&order->number) return 0;
        brood__os_nap(20 * 1000);
    }
    int64_t deadline = brood__os_deadline(2000);
    struct request request = {0};
    size_t count = 1;
    if (brood__os_receive(connection, &request, sizeof request, &channel, &count, deadline) != sizeof request)
        count = 0;
    close(connection);
    if (count == 0 || request.kind != REQUEST_START) return count == 0 ? 0 : NO_RESULT;
    struct hello hello = {0};
    char bytes[8192];
    count = OS_MAX_FDS;
    bool well = brood__os_receive(channel, &hello, sizeof hello, fds, &count, deadline) == sizeof hello;
    for (size_t i = 0; well && i < count; i++) close(fds[i]);
    well = well && hello.size <= sizeof bytes && brood__os_read_all(channel, bytes, (size_t)hello.size, deadline) >= 0;
    struct self was = *brood__self;
    well = well && brood__member_attach(hello.member, hello.generation);
    *brood__self = was;
    if (well) {
        brood__report_send(channel, 0, 0, 0, NULL);
        order->made = !hello.gets || brood__go_await(channel) ? CHILD_RAN : CHILD_LEFT;
    }
    close(channel);
    return 0;
}

static int start_elsewhere(struct order *order)
{
    brood_process process = {0};
    brood_process_options options = {.name = "rest", .method = BROOD_START_FORKSERVER, .directory = "/"};
    int result = brood_process_start_task(&process, &options, BROOD_TASK_OF(rest), NULL);
    order->made = process.id;
    return result;
}

static void start_asked(const struct cut *cut)
{
    mate(0)->post->order.number = 0;
    unsigned before = slots_in_use(TABLE_MEMBER);
    mate_do(0, be_asked, 0);
    struct victim v;
    victim_start(&v, short_environment, start_elsewhere, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    *(volatile uint64_t *)&mate(0)->post->order.number = 1;
    expect_is(mate_result(0), 0);
    uint64_t made = mate(0)->post->order.made;
    if (v.ended) expect(v.result == 0 && made == CHILD_RAN);
    requests(REQUEST_START);
    uint32_t child = child_of(v.proc.member);
    expect((child != 0) == (made != 0));
    bury(v.proc.member);
    if (child) bury(child);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/*
 * The same with an end of a pipe, order.id: it is the child's once the starter is through, and until then it goes with
 * the starter; mate 1 waits at the other end.
 */
static int start_with_end(struct order *order)
{
    brood_process process = {0};
    brood_pipe_end end = {order->id};
    brood_process_options options = {
        .name = "rest", .method = BROOD_START_FORKSERVER, .directory = "/", .ends = &end, .end_count = 1};
    int result = brood_process_start_task(&process, &options, BROOD_TASK_OF(rest), NULL);
    order->made = process.id;
    return result;
}
static int receive(struct order *order)
{
    char byte;
    return brood_pipe_recv((brood_pipe_end){order->id}, &byte, 1, NULL, BROOD_FOREVER);
}

static void start_given(const struct cut *cut)
{
    brood_pipe_end ends[2] = {{0}, {0}};
    mate(0)->post->order.number = 0;
    mate(1);
    unsigned before = slots_in_use(TABLE_MEMBER);
    expect_is(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 256}), 0);
    mate_do(0, be_asked, 0);
    struct victim v;
    victim_start(&v, short_environment, start_with_end, ends[1].id);
    uint32_t parent = v.proc.member;
    expect_is(
        brood_give_id(ends[1].id, (brood_process){HANDLE(TABLE_MEMBER, parent, brood__member_generation(parent))}), 0);
    mate_sends_to_sleep(1, receive, ends[0].id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    *(volatile uint64_t *)&mate(0)->post->order.number = 1;
    expect_is(mate_result(0), 0);
    uint64_t made = mate(0)->post->order.made;
    if (v.ended) expect(v.result == 0 && made == CHILD_RAN);
    requests(REQUEST_START);
    uint32_t child = child_of(parent);
    bury(cut->order & 1 && child ? child : parent);
    if (made == CHILD_RAN && !(cut->order & 1)) { /* it lives, with its end */
        mates_settle(2);
        expect(mate_busy(1));
        uint64_t word = atomic_load(&brood__slot_at(TABLE_PIPE, HANDLE_INDEX(ends[1].id))->word);
        expect(SLOT_STATE(word) == SLOT_LIVE && SLOT_OWNER(word) == child);
    }
    if (child) bury(cut->order & 1 ? parent : child);
    expect_is(mate_result(1), BROOD_ECLOSED);
    expect_is(brood_pipe_close(ends[0]), 0);
    expect_is(slots_in_use(TABLE_PIPE), 0);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/* ---------------------------------------------------------------------------------------------------- join and free */

/* It dies asleep or on its way there, or (order: 1) when its join is over; another joins too; 2: that one first. */
static void join_one(const struct cut *cut)
{
    mate(3);
    uint32_t dead = mate(3)->member;
    uint64_t id = handle_of(dead);
    struct victim v;
    if (cut->order & 2) mate_sends_to_sleep(0, join_it, id);
    victim_start(&v, NULL, join_it, id);
    if (cut->order & 1) victim_falls_asleep(&v);
    if (!(cut->order & 2)) mate_sends_to_sleep(0, join_it, id);
    if (cut->order & 1) {
        proc_kill(mate(3));
        bury_begin(dead);
        victim_wakes(&v, true);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, -SIGKILL);
    if (!(cut->order & 1)) {
        proc_kill(mate(3));
        bury_begin(dead);
    }
    expect_is(mate_result(0), -SIGKILL);
    bury(v.proc.member);
    bury(dead);
}

/* The supervisor that tells joiners dies over it, and so does the joiner that it woke, or the kernel for it. */
static int tell(struct order *order)
{
    bury_begin((uint32_t)order->number);
    return 0;
}
static void join_chain(const struct cut *cut)
{
    mate(3);
    uint32_t dead = mate(3)->member;
    uint64_t id = handle_of(dead);
    struct victim supervisor, joiner;
    victim_prepare(dead);
    victim_start(&supervisor, NULL, tell, 0);
    victim_start(&joiner, NULL, join_it, id);
    victim_falls_asleep(&joiner);
    for (unsigned i = 0; i < 2; i++) mate_sends_to_sleep(i, join_it, id);
    proc_kill(mate(3));
    victim_step(&supervisor, cut->k[0]);
    victim_kill(&supervisor);
    if (cut->order & 1) bury_again(supervisor.proc.member);
    victim_wakes(&joiner, false);
    victim_step(&joiner, cut->k[1]);
    victim_kill(&joiner);
    /* Its own death calls one, who finds the process gone, and calls the other. */
    if (brood__member_dead(dead))
        for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), -SIGKILL);
    if (!(cut->order & 1)) bury_again(supervisor.proc.member);
    bury_again(joiner.proc.member);
    bury_begin(dead); /* the next supervisor finds it gone */
    for (unsigned i = 0; i < 2; i++) expect_is(mate_result(i), -SIGKILL);
    bury(dead);
}

/* A process that has ended is given back; order: 1: the supervisor is through with it before */
static void free_one(const struct cut *cut)
{
    mate(3);
    uint32_t dead = mate(3)->member;
    uint64_t id = handle_of(dead);
    unsigned before = slots_in_use(TABLE_MEMBER) - 1;
    proc_kill(mate(3));
    bury_begin(dead);
    struct victim v;
    victim_start(&v, NULL, free_it, id);
    if (cut->order & 1) {
        while (!brood__repair_member(dead)) continue;
        atomic_store(&brood__member_at(dead)->repaired, 1);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 0);
    struct order order = {.id = id};
    int again = free_it(&order);
    expect(again == 0 || again == BROOD_ESTALE);
    expect(!v.ended || again == BROOD_ESTALE);
    if (!(cut->order & 1) || brood__member_find(id)) bury(dead);
    bury(v.proc.member);
    expect_is(brood_process_is_alive((brood_process){id}), BROOD_ESTALE);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

/* It does not die but stands still in it, while another gives the same back: one of them has done it. */
static void free_twice(const struct cut *cut)
{
    mate(3);
    uint32_t dead = mate(3)->member;
    uint64_t id = handle_of(dead);
    struct order order = {.id = id};
    unsigned before = slots_in_use(TABLE_MEMBER) - 1;
    proc_kill(mate(3));
    bury_begin(dead);
    struct victim v;
    victim_start(&v, NULL, free_it, id);
    victim_step(&v, cut->k[0]);
    int ours = free_it(&order), its = victim_finish(&v);
    expect((ours == 0) != (its == 0));
    expect(ours == 0 || ours == BROOD_ESTALE);
    expect(its == 0 || its == BROOD_ESTALE);
    victim_kill(&v);
    bury(v.proc.member);
    bury(dead);
    expect_is(slots_in_use(TABLE_MEMBER), before);
}

static void look(const struct cut *cut)
{
    mate(3);
    struct victim v;
    victim_start(&v, NULL, ask, handle_of(mate(3)->member));
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.result, 11);
    bury(v.proc.member);
}

const struct scene process_scenes[] = {
    {"process/start", start_one, SCENE_FORKS, 2},
    {"process/start-asked", start_asked, 0, 0},
    {"process/start-given", start_given, 0, 2},
    {"process/join", join_one, 0, 4},
    {"process/join-chain", join_chain, SCENE_PAIR, 2},
    {"process/free", free_one, 0, 2},
    {"process/free-twice", free_twice, 0, 0},
    {"process/look", look, 0, 0},
    {NULL, NULL, 0, 0},
};
