/* SPDX-License-Identifier: MIT */
/*
 * main.c - model [--short] [SCENE...]: explores the scenes whose name begins so (or all), one line each, and last
 * "model: N states, F failures".
 */
#include "machine.h"
#include "pool/series.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOST_STATES 4000000u

static uint32_t members[MODEL_MOST];

uint32_t model_member(int p)
{
    return members[p];
}
int model_me(void)
{
    return running;
}
bool model_alive(int p)
{
    return machine.process[p].status < DYING;
}
bool model_finished(int p)
{
    return machine.process[p].status == DONE;
}
void model_point(void)
{
    coroutine_park(READY, __builtin_return_address(0));
}
void model_failed(const char *condition, int line)
{
    failure = condition;
    failure_line = line;
    if (running >= 0) coroutine_park(DONE, NULL);
}

int model_next_death(void)
{
    for (;;) {
        for (int p = 0; p < MODEL_MOST; p++) {
            if (machine.process[p].status != DEAD || machine.process[p].told) continue;
            machine.process[p].told = 1;
            return p;
        }
        coroutine_park(IDLE, NULL);
    }
}
void model_watch(bool on)
{
    machine.process[running].watches = on;
    machine.process[running].poked = 0;
}
void model_wait_for_change(void)
{
    coroutine_park(CHANGING, __builtin_return_address(0));
}

void model_found(void)
{
    if (brood__os_robust_prepare() < 0 || brood__arena_create(4 * 1024 * 1024) < 0 || brood__member_found() < 0) {
        fprintf(stderr, "model: no arena\n");
        return;
    }
    for (int p = 0; p < MODEL_MOST; p++) {
        if (brood__member_claim("model", ROLE_PROCESS, BROOD_START_FORK, false, &members[p]) == 0)
            brood__slot_publish(TABLE_MEMBER, members[p]);
    }
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(name, argv[i], strlen(argv[i])) == 0) return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    static const struct scene *const areas[] = {model_lock_scenes,   model_semaphore_scenes, model_event_scenes,
                                                model_queue_scenes,  model_task_scenes,      model_shared_scenes,
                                                model_pipe_scenes,   model_joinable_scenes,  model_condition_scenes,
                                                model_barrier_scenes};
    bool short_form = argc > 1 && strcmp(argv[1], "--short") == 0, first = true;
    if (short_form) argc--, argv++;
    uint64_t states = 0;
    unsigned failures = 0;
    brood__series_block = 1; /* what a thread has beside the arena is no part of a state */
    model_found();
    for (size_t a = 0; a < sizeof areas / sizeof *areas; a++) {
        for (const struct scene *s = areas[a]; s->name; s++) {
            fflush(stdout);
            if (!is_wanted(s->name, argc, argv) || (short_form && !s->in_short)) continue;
            struct timespec from, to;
            bool failed;
            clock_gettime(CLOCK_MONOTONIC, &from);
            uint64_t n = model_explore(s, MOST_STATES, &failed);
            clock_gettime(CLOCK_MONOTONIC, &to);
            double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
            printf("%-40s %10llu states %6.1f s%s\n", s->name, (unsigned long long)n, seconds,
                   failed ? "  FAILED" : "");
            fflush(stdout);
            states += n;
            failures += failed;
            first = false;
        }
    }
    printf("model: %llu states, %u failures\n", (unsigned long long)states, failures);
    return failures || first;
}
