/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what a worker that ends by a fault leaves behind: where it was, for whoever gets the task's outcome.
 *
 * The record is a buffer that the dying worker's signal handler makes and attaches to the task it runs, or to the job
 * (pool.h): as the owner of the slot it alone writes there; of a job's several one gets the place, by swap.  What the
 * handler can't have (no memory, or the fault lies in the allocator itself) is not there.  If the worker is killed in
 * the middle of it: a record that is not attached goes with its owner's death; of one that is, frame_count counts frames
 * that are whole.  Whoever reads it takes it for hostile bytes.
 */
#ifndef BROOD_POOL_CRASH_H
#define BROOD_POOL_CRASH_H

#include "pool/pool.h"

#define CRASH_MAGIC 0x68736172636f7262ull
#define CRASH_FRAMES 64
#define CRASH_MODULES 16
#define CRASH_PATH 240

struct crash_shm {
    uint64_t magic;
    int32_t signal, code;
    uint64_t address;
    struct os_usage usage;
    uint64_t item;      /* of a map */
    uint64_t worker_id; /* handle */
    int32_t pid;
    uint32_t module_count;
    char worker[32];
    _Atomic uint32_t frame_count; /* raised after the frame is written */
    uint32_t reserved;
    struct {
        uint64_t offset; /* in the module's own addresses */
        uint32_t module; /* < module_count */
        uint32_t reserved;
    } frames[CRASH_FRAMES];
    struct {
        uint64_t bias;
        char path[CRASH_PATH]; /* "": the program */
    } modules[CRASH_MODULES];
};

/* In a worker: leave records from now on. */
void brood__crash_watch(void);
/* What this worker does now: a task, or a chunk of a job, or nothing (NULLs). */
void brood__crash_task(struct task_shm *task, uint64_t pool_id);
void brood__crash_job(struct job_shm *job, const struct chunk_shm *chunk, uint64_t pool_id);

/* The record that a buffer's handle names, checked; NULL: there is none. */
const struct crash_shm *brood__crash_at(uint64_t buffer);
/* Copy it out: signal, address, usage and frames, without names yet. */
void brood__crash_read(const struct crash_shm *record, brood_crash *crash);
/* brood_future_crash, which names frames; without that it does not take long. */
int brood__future_crash(brood_future future, brood_crash *crash, bool named);
/* Names of functions, files and lines, as far as they can be had. */
void brood__crash_name(const struct crash_shm *record, brood_crash *crash);

#endif
