/* SPDX-License-Identifier: MIT */
/*
 * scenes_value.c - queues of values in the arena, through proxies: whoever dies over an item has put it whole or not, has
 * got it or left it, and who sleeps over the queue is woken.  What all queues owe is in scenes_queue.c and the like.
 */
#include "manager/collection.h"
#include "queue/ring.h"
#include "scene.h"

#include <brood/queue.h>
#include <string.h>

enum { LEAST = 256, LONGEST = 100, FULL = 3 }; /* so long a value travels in a buffer, in a ring of the least bytes */

static brood_proxy proxy_of(uint64_t object)
{
    return (brood_proxy){FAMILY_MANAGER, object};
}

/* An item tells its number, and all of it is of that number. */
static brood_variant item_of(int64_t number, bool is_long)
{
    static char text[LONGEST];
    memset(text, 'a' + (int)(number % 26), is_long ? LONGEST : 20);
    return brood_variant_list(number, brood_variant_text_of(text, is_long ? LONGEST : 20));
}

/* The number of an item; 0: it is none. */
static int64_t number_of(brood_variant *v)
{
    int64_t number = 0;
    const char *text = "";
    size_t size = 0;
    const brood_variant *first = brood_variant_at(v, 0), *second = brood_variant_at(v, 1);
    if (!first || !second || brood_variant_get_int(first, &number) < 0) number = 0;
    if (number && brood_variant_get_text(second, &text, &size) < 0) number = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != 'a' + number % 26) number = 0;
    brood_variant_free(v);
    return number;
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int put_short(struct order *order)
{
    return brood_proxy_put(proxy_of(order->id), item_of((int64_t)order->number, false), BROOD_FOREVER);
}
static int put_long(struct order *order)
{
    return brood_proxy_put(proxy_of(order->id), item_of((int64_t)order->number, true), BROOD_FOREVER);
}
static int get_one(struct order *order)
{
    brood_variant v;
    int result = brood_proxy_get(proxy_of(order->id), &v, BROOD_FOREVER);
    if (result == 0) order->made = (uint64_t)number_of(&v);
    return result;
}
static int finish_one(struct order *order)
{
    return brood_proxy_task_done(proxy_of(order->id));
}
static int make(struct order *order)
{
    brood_proxy p = {0};
    int result = brood_manager_joinable_queue(brood_family(), &p, FULL);
    order->made = p.object;
    return result;
}
static int hold(struct order *order)
{
    return brood_proxy_hold(proxy_of(order->made));
}

/* ---------------------------------------------------------------------------------------------- from this process */

/* A ring that stays small, or one that grows. */
static brood_proxy fresh(bool grows, unsigned joinable, size_t most, int items, bool are_long)
{
    brood_proxy p = {0};
    brood_queue q = {0};
    if (grows) {
        expect_is(brood_manager_queue(brood_family(), &p, most), 0);
    } else {
        brood_queue_options options = {.capacity = LEAST, .max_items = most, .joinable = joinable};
        expect_is(brood_queue_new(&q, &options), 0);
        p = proxy_of(q.id);
    }
    for (int i = 1; i <= items && !failing(); i++) expect_is(brood_proxy_put(p, item_of(i, are_long), 0), 0);
    return p;
}

/* What is in it, one after the other; 0 when it is empty. */
static int64_t next_of(brood_proxy p)
{
    brood_variant v;
    int result = brood_proxy_get(p, &v, 0);
    expect(result == 0 || result == BROOD_EAGAIN);
    return result == 0 ? number_of(&v) : 0;
}

/* So many short items fill the ring of a new one. */
static int64_t until_it_grows(void)
{
    static int64_t n;
    brood_proxy p = fresh(true, 0, 0, 0, false);
    const struct queue_shm *q = (const struct queue_shm *)(void *)brood__slot_at(TABLE_QUEUE, HANDLE_INDEX(p.object));
    uint64_t capacity = q->capacity;
    for (int64_t i = 1; n == 0 && !failing(); i++) {
        expect_is(brood_proxy_put(p, item_of(i, false), 0), 0);
        if (q->capacity != capacity) n = i - 1;
    }
    expect_is(brood_proxy_free(p), 0);
    return n;
}

static void is_empty_and_works(brood_proxy p)
{
    expect_is(next_of(p), 0);
    for (int i = 0; i < 2; i++) {
        expect_is(brood_proxy_put(p, item_of(80 + i, i), 0), 0);
        expect_is(brood_proxy_size(p), 1);
        expect_is(next_of(p), 80 + i);
    }
    expect_is(brood_proxy_free(p), 0);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    expect_is(slots_in_use(TABLE_QUEUE), 0);
    expect_is(brood__pages_check(), 0);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

/* order: 1: one sleeps in a get; 2: the queue has one already, or grows for it (of short items) */
static void put_one(const struct cut *cut, bool is_long)
{
    bool sleeper = cut->order & 1, first = cut->order & 2;
    brood_proxy p = fresh(first && !is_long, 0, 0, 0, false);
    int64_t items = 0;
    if (first && !sleeper)
        for (int64_t most = is_long ? 1 : until_it_grows(); items < most && !failing(); items++)
            expect_is(brood_proxy_put(p, item_of(items + 1, false), 0), 0);
    if (sleeper) mate_sends_to_sleep(0, get_one, p.object);
    struct victim v;
    victim_prepare(70);
    victim_start(&v, NULL, is_long ? put_long : put_short, p.object);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bool was_put = false;
    if (sleeper) {
        bury(v.proc.member);
        mates_settle(1);
        was_put = !mate_busy(0);
        if (!was_put) expect_is(brood_proxy_put(p, item_of(71, false), 0), 0);
        expect_is(mate_result(0), 0);
        expect_is(mate(0)->post->order.made, was_put ? 70 : 71);
    } else {
        for (int64_t i = 1; i <= items && !failing(); i++) expect_is(next_of(p), i);
        int64_t last = next_of(p);
        was_put = last == 70;
        expect(last == 70 || last == 0);
        bury(v.proc.member);
    }
    expect(was_put || !v.ended);
    is_empty_and_works(p);
}
static void put_a_short(const struct cut *cut)
{
    put_one(cut, false);
}
static void put_a_long(const struct cut *cut)
{
    put_one(cut, true);
}

/* order: 1: the queue is full, and one sleeps who wants to put */
static void get_first(const struct cut *cut, bool are_long)
{
    bool sleeper = cut->order & 1;
    brood_proxy p = fresh(false, 0, FULL, sleeper ? FULL : 2, are_long);
    int64_t last = sleeper ? FULL : 2;
    if (sleeper) {
        mate(0)->post->order.number = FULL + 1;
        mate_sends_to_sleep(0, put_short, p.object);
    }
    struct victim v;
    victim_start(&v, NULL, get_one, p.object);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    int64_t first = next_of(p);
    expect((first == 1 && !v.ended) || first == 2);
    if (sleeper) {
        expect_is(mate_result(0), 0);
        last++;
    }
    for (int64_t i = first + 1; i <= last && !failing(); i++) expect_is(next_of(p), i);
    is_empty_and_works(p);
}
static void get_a_short(const struct cut *cut)
{
    get_first(cut, false);
}
static void get_a_long(const struct cut *cut)
{
    get_first(cut, true);
}

/* What it had got is lost with it, or was not got; what it has said to be done is done. */
static void get_to_do(const struct cut *cut)
{
    bool done = cut->order & 1;
    brood_proxy p = fresh(false, 1, 0, 2, cut->order & 2);
    struct victim v;
    victim_start(&v, done ? get_one : NULL, done ? finish_one : get_one, p.object);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    int64_t first = next_of(p);
    int left = first == 1 ? 2 : 1;
    expect(first == 2 || (first == 1 && !v.ended && !done));
    if (first == 1) expect_is(next_of(p), 2);
    for (int i = 0; i < left; i++) expect_is(brood_proxy_task_done(p), 0);
    int result = brood_proxy_join(p, 0);
    if (done)
        expect(result == 0 || (result == BROOD_ELOST && !v.ended));
    else
        expect_is(result, first == 1 ? 0 : BROOD_ELOST);
    expect_is(brood_proxy_call(p, "lost", brood_variant_nil(), NULL, 0), 0);
    expect_is(brood_proxy_join(p, 0), 0);
    is_empty_and_works(p);
}

/* order: 1: it is held for the family by who made it */
static void new_one(const struct cut *cut)
{
    struct victim v;
    victim_start(&v, cut->order ? make : NULL, cut->order ? hold : make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    if (!cut->order) return;
    brood_proxy p = proxy_of(v.proc.post->order.made);
    int64_t size = brood_proxy_size(p);
    expect(size == 0 || (!v.ended && size == BROOD_ECLOSED));
    if (size == 0) is_empty_and_works(p);
}

const struct scene value_scenes[] = {
    {"values/new", new_one, 0, 2},
    {"values/put", put_a_short, 0, 3},
    {"values/put-long", put_a_long, 0, 3},
    {"values/get", get_a_short, 0, 2},
    {"values/get-long", get_a_long, 0, 2},
    {"values/get-to-do", get_to_do, 0, 3},
    {NULL, NULL, 0, 0},
};
