/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - what the kernel does: futexes, in the order of going to sleep; the death of a thread, each word of its robust
 * list in two steps (the mark, the wake-up); late stores.  Also the clock, which stands still.
 */
#include "machine.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define HERE __builtin_return_address(0)

/* ------------------------------------------------------------------------------------------------ late stores */

static void make_visible(const struct late_store *s)
{
    memcpy((void *)s->address, &s->value, s->size); /* NOLINT: little-endian, as Brood is */
}

void flush(int p, uint32_t which)
{
    struct process *it = &machine.process[p];
    make_visible(&it->late[which]);
    it->lates--;
    memmove(&it->late[which], &it->late[which + 1], (it->lates - which) * sizeof it->late[0]);
    memset(&it->late[it->lates], 0, sizeof it->late[0]);
}

/* Not before an earlier one to the same place; one that releases, not before any earlier one. */
bool may_flush(int p, uint32_t which)
{
    const struct process *it = &machine.process[p];
    if (it->late[which].order >= __ATOMIC_RELEASE) return which == 0;
    for (uint32_t i = 0; i < which; i++)
        if (it->late[i].address / 8 == it->late[which].address / 8) return false;
    return true;
}

void drain(int p)
{
    while (machine.process[p].lates) flush(p, 0);
}

/* ------------------------------------------------------------------------------------------------ futexes */

void kernel_end_sleep(int p, int result)
{
    struct process *it = &machine.process[p];
    for (int q = 0; q < MODEL_MOST; q++)
        if (machine.process[q].ticket > it->ticket) machine.process[q].ticket--;
    it->ticket = 0;
    it->timed = 0;
    it->status = READY;
    it->woken = 1;
    it->result = result;
}

static int wake(os_word *word, int n)
{
    int woken = 0;
    for (; woken < n; woken++) {
        int first = -1;
        for (int q = 0; q < MODEL_MOST; q++) {
            const struct process *it = &machine.process[q];
            if (it->status != SLEEPING || it->word != word) continue;
            if (first < 0 || it->ticket < machine.process[first].ticket) first = q;
        }
        if (first < 0) break;
        kernel_end_sleep(first, 0);
    }
    return woken;
}

int brood__os_futex_wait_both(os_word *word, uint32_t expected, os_word *also, uint32_t its, int64_t deadline)
{
    struct process *me = &machine.process[running];
    memory_note((void *)word, sizeof *word, false, running);
    memory_note((void *)also, sizeof *also, false, running);
    coroutine_park(READY, HERE);
    drain(running);
    if (*(volatile uint32_t *)word != expected || *(volatile uint32_t *)also != its) return 0;
    uint32_t last = 0;
    for (int q = 0; q < MODEL_MOST; q++)
        if (machine.process[q].ticket > last) last = machine.process[q].ticket;
    me->ticket = last + 1;
    me->word = word;
    me->timed = deadline < 1000000000; /* later ones are the slow tick's, which never comes here */
    coroutine_park(SLEEPING, HERE);
    me->word = NULL;
    int result = me->result;
    me->result = 0;
    return result;
}

int brood__os_futex_wait(os_word *word, uint32_t expected, int64_t deadline)
{
    return brood__os_futex_wait_both(word, expected, word, expected, deadline);
}

int brood__os_futex_wake(os_word *word, int n)
{
    if (running < 0) return 0;
    memory_note((void *)word, sizeof *word, false, running);
    if (memory_shared((void *)word)) coroutine_park(READY, HERE);
    drain(running);
    return wake(word, n);
}

int brood__os_futex_clear_and_wake(os_word *word)
{
    if (running < 0) {
        *word = 0;
        return 0;
    }
    memory_note((void *)word, sizeof *word, true, running);
    if (memory_shared((void *)word)) coroutine_park(READY, HERE);
    drain(running);
    *(volatile uint32_t *)word = 0;
    return wake(word, INT_MAX);
}

/* ------------------------------------------------------------------------------------------------ death */

static os_word *word_of(struct os_robust_node *node)
{
    return (os_word *)(void *)((char *)node - OS_ROBUST_NODE);
}

/* The words in the order in which the kernel looks at them: those listed, but for the one that is announced; that. */
void kernel_kill(int p)
{
    struct process *it = &machine.process[p];
    drain(p);
    if (it->status == SLEEPING) kernel_end_sleep(p, 0);
    struct os_robust_node *head = it->robust.head, *announced = *it->robust.pending;
    it->to_look = it->looked = it->marked = 0;
    for (struct os_robust_node *node = head->next; node != head && it->to_look < MOST_LISTED - 1; node = node->next)
        if (node != announced) it->listed[it->to_look++] = word_of(node);
    it->listed[it->to_look] = announced ? word_of(announced) : NULL;
    it->word = NULL;
    it->at = NULL;
    it->status = DYING;
}

void kernel_step(int p)
{
    struct process *it = &machine.process[p];
    os_word *word = it->listed[it->looked];
    bool announced = it->looked == it->to_look;
    if (it->marked) {
        wake(word, 1);
        it->marked = 0;
    } else if (word) {
        memory_note((void *)word, sizeof *word, true, p);
        uint32_t value = *(volatile uint32_t *)word, owner = value & OS_TID_MASK;
        if (announced && owner == 0) wake(word, 1);
        if (owner == it->robust.tid) {
            *(volatile uint32_t *)word = (value & OS_WAITERS) | OS_OWNER_DIED;
            if (value & OS_WAITERS) {
                it->marked = 1;
                return;
            }
        }
    }
    if (it->looked++ == it->to_look) it->status = DEAD;
}

/* ------------------------------------------------------------------------------------------------ latches */

unsigned brood__spin_before_sleep = 0;

void brood__relax(unsigned n)
{
    (void)n;
}

uint32_t brood__latch_acquire_slow(os_word *word)
{
    uint32_t tid = brood__os_robust.tid;
    for (;;) {
        uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
        if ((seen & OS_TID_MASK) == tid) return LATCH_MINE;
        if (running >= 0) { /* the search goes on with us when the word is free */
            machine.process[running].word = word;
            coroutine_park(SPINNING, HERE);
            machine.process[running].word = NULL;
            seen = *(volatile uint32_t *)word;
        }
        if ((seen & OS_TID_MASK) != 0) continue;
        memory_note((void *)word, sizeof *word, true, running);
        drain(running);
        *(volatile uint32_t *)word = tid | OS_WAITERS;
        return seen;
    }
}

/* ------------------------------------------------------------------------------------------------ the clock */

int64_t brood__os_now(void)
{
    return 0;
}
int64_t brood__os_deadline(int ms)
{
    return ms < 0 ? OS_NEVER : (int64_t)ms * 1000000;
}
int brood__os_remaining(int64_t deadline)
{
    return deadline == OS_NEVER ? -1 : (int)(deadline / 1000000);
}
int brood__os_random(void *bytes, size_t size)
{
    memset(bytes, 7, size);
    return 0;
}
void brood__os_yield(void)
{
    if (running < 0) return;
    machine.process[running].watches = 1; /* from now on, for good: only one who tries again and again naps */
    coroutine_park(CHANGING, HERE);
}
void brood__os_nap(int64_t ns)
{
    (void)ns;
    brood__os_yield();
}
unsigned brood__os_cpu_count(void)
{
    return 2;
}
