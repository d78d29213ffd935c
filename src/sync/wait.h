/* SPDX-License-Identifier: MIT */
/*
 * wait.h - the one place that sleeps, and the monitor that most objects are built on.
 *
 * The rule for all of Brood: whoever owes a wake-up on a word either holds that word as a latch or has announced it to
 * the kernel (os/os.h); its death then pays the debt.  Whoever sleeps keeps the word announced until it has taken
 * what it was woken for or looked once more in vain.
 */
#ifndef BROOD_SYNC_WAIT_H
#define BROOD_SYNC_WAIT_H

#include "arena/arena.h"

/*
 * Sleep while *word == expected: 0: look again (woken, the value differs, a signal, or the slow tick), -ETIMEDOUT: the
 * deadline has passed.  waits_for: the handle that the process table shows for us meanwhile.
 * Behind the deadline there is a slow tick of about a second, which asks brood__on_tick to see whether the supervisor
 * is alive; in normal life it never finds other work.
 */
int brood__sleep(os_word *word, uint32_t expected, int64_t deadline, uint64_t waits_for);
/* Likewise while *also == its, too, at the moment of falling asleep (os/os.h). */
int brood__sleep_both(os_word *word, uint32_t expected, os_word *also, uint32_t its, int64_t deadline,
                      uint64_t waits_for);
/*
 * Sleep until a descriptor of the poller is readable: how many tags were written; 0: look again, or the deadline has
 * passed (ask the clock); or -errno.  The slow tick is behind it too.
 */
int brood__sleep_poller(int poller, uint64_t *tags, int capacity, int64_t deadline);
extern void (*brood__on_tick)(void);
extern int64_t brood__tick_ns;        /* its length; tests that no sleep may need it make it endless */
extern _Atomic uint64_t brood__ticks; /* how often a tick ended a sleep of this process; for tests */

/*
 * A call that asks without waiting, and whose answer only the supervisor can bring, looks after it as a tick does:
 * who only asks would else never learn that it is dead.  Not in calls that are async-signal-safe.
 */
static inline void brood__look_up(void)
{
    if (brood__on_tick) brood__on_tick();
}

/* What "not now" is called at the end of a wait with this timeout. */
static inline int brood__not_now(int timeout)
{
    return timeout == 0 ? BROOD_EAGAIN : BROOD_ETIMEDOUT;
}

/*
 * A monitor: a latch (latch.h) and those who sleep on its word until the state that it guards suits them.
 *
 *   flags[MONITOR_ASLEEP]  someone may be asleep on the word
 *   flags[MONITOR_BATON]   a wake-up was given and the woken has not been here since: if it died on its way while
 *                          another held the latch, the kernel woke nobody; so whoever leaves with the baton set, while
 *                          the state would suit a sleeper, wakes one more, else clears it
 *   flags[MONITOR_WAKER]   the thread that gave the last wake-up; 0 once somebody has gone to sleep since
 *
 * All are guarded by the latch; an heir sets the first two, which costs a needless system call at most.  If a process
 * dies inside, the kernel frees the latch and wakes one sleeper, who is the heir or finds one.
 *
 * A wake-up is given after the release, the word still announced: were the latch still held when the woken one dies,
 * the kernel would wake nobody for it, and its holder could be the last to come by.  Who was only about to sleep finds
 * the word changed, and looks again.
 */
enum { MONITOR_ASLEEP, MONITOR_BATON, MONITOR_WAKER, MONITOR_FLAGS };

/* MONITOR_ASLEEP for those who look or mark without regard to the latch; what orders the look is their own affair. */
static inline os_word *brood__monitor_asleep(struct latch_shm *latch)
{
    return (os_word *)(void *)&latch->flags[MONITOR_ASLEEP];
}

/* As the heir of a dead holder: anybody may be asleep, and any wake-up may have been lost. */
static inline void brood__monitor_inherit(struct latch_shm *latch)
{
    atomic_store_explicit(brood__monitor_asleep(latch), 1u, memory_order_relaxed);
    latch->flags[MONITOR_BATON] = 1;
    latch->flags[MONITOR_WAKER] = 0;
}

/* Enter; *announced is for leave.  0; 1: as the heir of a dead holder: repair the state; BROOD_EDEADLK: a signal handler
   that interrupted this very thread inside. */
int brood__monitor_enter(struct latch_shm *latch, void **announced);
/* Leave and wake `wake` sleepers, whom the caller's change made fit to go on; ready: the state suits at least one. */
void brood__monitor_leave(struct latch_shm *latch, void *announced, int wake, bool ready);
/* Leave and sleep; the word stays announced.  The caller enters again, whatever the answer.  As brood__sleep. */
int brood__monitor_sleep(struct latch_shm *latch, int64_t deadline, uint64_t waits_for);
/*
 * Likewise while *also == its, too, at the moment of falling asleep: for a state that may suit one who is only about to
 * sleep, and then let another go to sleep, who makes the word what it was.
 */
int brood__monitor_sleep_both(struct latch_shm *latch, os_word *also, uint32_t its, int64_t deadline,
                              uint64_t waits_for);
/*
 * Wake all, without the latch: after a death, or when the object goes.  false: the latch was held, so one who has
 * looked already may go to sleep after this: ring again in a while.
 */
bool brood__monitor_ring(struct latch_shm *latch);

#endif
