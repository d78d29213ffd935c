/* SPDX-License-Identifier: MIT */
/* Who is killed in the middle of a map: the caller, all of its family, the template.  Nothing is left, nobody hangs. */
#include "arena/member.h"
#include "common.h"
#include "pool/pool.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

BROOD_TASK(never_ends, int, int, x)
{
    volatile int turning = 1;
    while (turning) poll(NULL, 0, 1000);
    return x;
}

/* A family of its own, in the middle of a map; it says so by a byte. */
static void be_family(int method, int ready)
{
    brood_pool pool;
    int in[4] = {0, 1, 2, 3}, out[4];
    brood_map map;
    if (brood_init(NULL, NULL) < 0) _exit(1);
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = methods[method]}) < 0) _exit(2);
    if (brood_pool_map_async(pool, &map, never_ends, in, out, 4) < 0) _exit(3);
    while (brood_pool_workers(pool, NULL, 0) < 2) poll(NULL, 0, 1);
    if (write(ready, "r", 1) != 1) _exit(4);
    brood_map_wait(map, BROOD_FOREVER, NULL);
    _exit(5);
}

static pid_t start_family(int method)
{
    int ends[2];
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        be_family(method, ends[1]);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* Orphans become ours: when there is no child left, nothing of the family is.  The test's limit is the bound. */
static void wait_for_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
    ck_assert_int_eq(errno, ECHILD);
}

START_TEST(the_caller_is_killed)
{
    ck_assert_int_eq(kill(start_family(_i), SIGKILL), 0);
    wait_for_all();
}
END_TEST

/* Calls visit for each process whose parent is `parent`, and theirs first. */
static int each_child(pid_t parent, int (*visit)(pid_t, const char *), int depth)
{
    DIR *proc = opendir("/proc");
    int n = 0;
    for (struct dirent *e; proc && (e = readdir(proc));) {
        char path[300], line[512], state;
        int its_parent;
        if (atoi(e->d_name) <= 0) continue;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        line[fread(line, 1, sizeof line - 1, f)] = 0;
        fclose(f);
        char *open = strchr(line, '('), *end = strrchr(line, ')');
        if (!open || !end || sscanf(end + 1, " %c %d", &state, &its_parent) != 2 || its_parent != (int)parent) continue;
        *end = 0;
        if (depth < 6) n += each_child(atoi(e->d_name), visit, depth + 1);
        n += visit(atoi(e->d_name), open + 1);
    }
    if (proc) closedir(proc);
    return n;
}

static int kill_it(pid_t pid, const char *name)
{
    (void)name;
    return kill(pid, SIGKILL) == 0;
}

START_TEST(all_are_killed)
{
    start_family(_i);
    ck_assert_int_ge(each_child(getpid(), kill_it, 0), 2); /* workers may be gone with the caller already */
    wait_for_all();
}
END_TEST

static int kill_template(pid_t pid, const char *name)
{
    return strcmp(name, "brood-template") == 0 && kill(pid, SIGKILL) == 0;
}

START_TEST(the_template_is_killed)
{
    brood_pool pool = new_pool(0, 2);
    int in[4] = {0, 1, 2, 3}, out[4];
    brood_map map;
    brood_test_ok(brood_pool_map_async(pool, &map, never_ends, in, out, 4));
    ck_assert_int_ge(each_child(getpid(), kill_template, 0), 1);
    ck_assert_int_eq(brood_map_wait(map, BROOD_FOREVER, NULL), BROOD_ELOST);
    ck_assert_str_eq(brood_error_detail(), "the pool's template was ended");
    ck_assert_int_eq(brood_pool_map(pool, never_ends, in, out, 4), BROOD_ELOST);
    brood_test_ok(brood_pool_free(pool));
}
END_TEST

/* A member that makes a pool, says which, and waits for ever. */
BROOD_TASK(makes_a_pool, int, int, method, brood_queue, told)
{
    brood_pool pool;
    brood_event never;
    if (brood_event_new(&never) < 0) return 1;
    if (brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = methods[method]}) < 0) return 2;
    while (brood_pool_workers(pool, NULL, 0) < 2) poll(NULL, 0, 1);
    if (brood_queue_put(told, &pool, sizeof pool, BROOD_FOREVER) < 0) return 3;
    return brood_event_wait(never, BROOD_FOREVER);
}

/*
 * A pool whose maker has been killed is garbage.  Who looks for a place for another has it in its hands for an instant,
 * finds workers, and puts it back: the supervisor, which came by in that instant, comes again.
 */
START_TEST(a_pool_in_ones_hands_is_looked_at_later)
{
    brood_queue told;
    brood_pool pool;
    brood_process maker;
    brood_test_ok(brood_queue_new(&told, NULL));
    brood_test_ok(brood_process_start(&maker, NULL, makes_a_pool, &(makes_a_pool_args){_i, told}));
    brood_test_ok(brood_queue_get(told, &pool, sizeof pool, NULL, 15000));
    struct pool_shm *p = (struct pool_shm *)(void *)brood__slot_at(TABLE_POOL, HANDLE_INDEX(pool.id));
    uint64_t in_hands = SLOT_WORD(HANDLE_GENERATION(pool.id), SLOT_FREEING, brood__self->member);
    atomic_store(&p->slot.word, in_hands);
    brood_test_ok(brood_process_kill(maker));
    brood_test_ok(brood_process_join(maker, BROOD_FOREVER, NULL));
    /* It has come by, if it were not to come again. */
    struct member_shm *m = brood__member_at(HANDLE_INDEX(maker.id));
    for (int i = 0; i < 100 && !atomic_load(&m->repaired); i++) poll(NULL, 0, 1);
    atomic_store(&p->slot.word, SLOT_WORD(HANDLE_GENERATION(pool.id), SLOT_GARBAGE, 0));
    for (uint32_t i = 0; i < p->workers; i++)
        while (atomic_load(&brood__pool_seat(p, i)->member)) poll(NULL, 0, 1);
    while (!atomic_load(&m->repaired)) poll(NULL, 0, 1);
    brood_test_ok(brood_process_free(maker));
    brood_test_ok(brood_queue_free(told));
}
END_TEST

/* However they come and go, so many at a time need the memory of so many. */
START_TEST(a_new_pool_has_the_memory_of_one_that_is_no_more)
{
    enum { AT_A_TIME = 4, ROUNDS = 40 };
    brood_pool pools[AT_A_TIME];
    size_t before = 0, after;
    for (int i = 0; i < AT_A_TIME; i++) pools[i] = new_pool(_i, 1);
    brood_test_ok(brood_arena_usage(&before, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        int first = round % AT_A_TIME, second = (round + 1 + round % 3) % AT_A_TIME;
        brood_test_ok(brood_pool_free(pools[first]));
        brood_test_ok(brood_pool_free(pools[second]));
        pools[first] = new_pool(_i, 1);
        pools[second] = new_pool(_i, 1);
    }
    brood_test_ok(brood_arena_usage(&after, NULL));
    ck_assert_uint_le(after, before);
    for (int i = 0; i < AT_A_TIME; i++) brood_test_ok(brood_pool_free(pools[i]));
}
END_TEST

static Suite *ends_suite(void)
{
    Suite *suite = suite_create("ends");
    TCase *each = brood_test_case(suite, "under each start method");
    tcase_add_loop_test(each, the_caller_is_killed, 0, 3);
    tcase_add_loop_test(each, all_are_killed, 0, 3);
    tcase_add_loop_test(each, a_pool_in_ones_hands_is_looked_at_later, 0, METHODS);
    tcase_add_loop_test(each, a_new_pool_has_the_memory_of_one_that_is_no_more, 0, METHODS);
    TCase *fork_only = brood_test_case(suite, "fork");
    tcase_add_test(fork_only, the_template_is_killed);
    return suite;
}

BROOD_TEST_MAIN(ends_suite)
