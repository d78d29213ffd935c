/* SPDX-License-Identifier: MIT */
/*
 * scene.h - what is played: one call, the company in which it is made, and what must be true afterwards.
 *
 * A scene's function plays it once, for one cut: it sets the stage, starts a victim at a marked call, steps it to the
 * cut, kills it and checks.  The stage is left as it was found, for the next cut.  To add a scene, write its function
 *
 *     static void acquire_free(const struct cut *cut)
 *     {
 *         brood_lock lock = new_lock();
 *         struct victim v;
 *         victim_start(&v, NULL, acquire, lock.id);
 *         victim_step(&v, cut->k[0]);
 *         victim_kill(&v);
 *         ... what must be so before anybody repairs anything ...
 *         bury(v.proc.member);
 *         ... what must be so afterwards ...
 *     }
 *
 * and its row in the table at the end of the file; a new file's table goes into scenes.c.
 */
#ifndef CRASH_SCENE_H
#define CRASH_SCENE_H

#include "family.h"
#include "tracer.h"

#include <limits.h>

/* Where the victims' calls are cut off: after so many instructions, or at their end if they end before. */
#define WHOLE_CALL UINT_MAX
struct cut {
    unsigned k[2];
    unsigned order; /* which variant of the scene: below its `variants` */
};

enum {
    SCENE_PAIR = 1,   /* two victims: cut->k[1] counts too */
    SCENE_FRESH = 2,  /* a new family for each point */
    SCENE_SPIN = 4,   /* waits spin a little before they sleep; else they sleep at once */
    SCENE_THREAD = 8, /* the victims' main threads are gone, and others of their threads make the calls */
    SCENE_FORKS = 16, /* the call forks, and breakpoints would be inherited: all by steps, and fewer cuts for that */
};

struct scene {
    const char *name;
    void (*play)(const struct cut *cut);
    unsigned flags;
    unsigned variants; /* 0: one */
};

/* All scenes; a NULL name at the end of each table, a NULL at the end of all. */
extern const struct scene *const scenes[];
extern const struct scene lock_scenes[], rlock_scenes[], condition_scenes[], barrier_scenes[], semaphore_scenes[],
    queue_scenes[], queue_pair_scenes[], queue_life_scenes[], buffer_scenes[], pipe_scenes[], token_scenes[],
    event_scenes[], arena_scenes[], bell_scenes[], stalled_scenes[], pool_scenes[], pool_life_scenes[], repair_scenes[],
    process_scenes[], map_scenes[], fate_scenes[], stream_scenes[], shared_scenes[], name_scenes[], grow_scenes[],
    joinable_scenes[], priority_scenes[], wait_scenes[], program_scenes[], collection_scenes[], manager_scenes[],
    value_scenes[], spare_scenes[], thread_scenes[];

/* Something is not as it must be: counts against this point, once. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool failing(void); /* whether it has, at this point */

#define expect(condition) ((condition) ? (void)0 : fail("%s, line %d: not so: %s", __func__, __LINE__, #condition))
#define expect_is(have, want) expect_is_((long long)(have), (long long)(want), #have, __func__, __LINE__)
void expect_is_(long long have, long long want, const char *what, const char *function, int line);

#endif
