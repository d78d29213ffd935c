/* SPDX-License-Identifier: MIT */
/* scenes.c - all tables of scenes. */
#include "scene.h"

const struct scene *const scenes[] = {
    process_scenes, /* the longest first */
    arena_scenes,      lock_scenes,
    rlock_scenes,      condition_scenes,
    barrier_scenes,    semaphore_scenes,
    event_scenes,      queue_scenes,
    queue_pair_scenes, queue_life_scenes,
    buffer_scenes,     pipe_scenes,
    token_scenes,      bell_scenes,
    stalled_scenes,    pool_scenes,
    pool_life_scenes,  repair_scenes,
    map_scenes,        fate_scenes,
    stream_scenes,     shared_scenes,
    name_scenes,       grow_scenes,
    collection_scenes, joinable_scenes,
    priority_scenes,   wait_scenes,
    program_scenes,    manager_scenes,
    value_scenes,      spare_scenes,
    thread_scenes,     NULL,
};
