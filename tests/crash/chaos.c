/* SPDX-License-Identifier: MIT */
/*
 * chaos.c - a family at work while a stranger kills its members: chaos [--seconds N] [--seed N] [--rate N]
 *
 * Four workers of a pool and four other processes ("mates") use the pool, queues, a semaphore and a lock.  A stranger,
 * which is no member, sends SIGKILL to any of them but the first member, about ten times a second; the supervisor is
 * one of them, and so is the server that every other mate is forked from.  What must hold:
 *   - each task answers once, with its result or as lost, and is run at most once; so does each item of a stream, and
 *     each task that waits for another of its own pool;
 *   - what a producer put is got once, in order, without a gap; what a dead consumer had taken is all that is lost;
 *   - a mate's own pool, of threads, goes with it;
 *   - the units of the semaphore come back; a lock's heir is told; who waits at a condition for a token gets one, for
 *     the first member gives one whenever it looks; who waits at a barrier goes on, or it breaks;
 *   - an errand is answered on the end that came with it, or that ends with the mate who had it; a token likewise;
 *   - what is added to a value is there once; an element of a list is whole, and what a dict has of a mate is what that
 *     set last; no name is left of a segment;
 *   - orders are done, or lost with the mate who had taken them: then their queue, which grows, is joined;
 *   - nothing stands still for long;
 *   - the second half ends with as many bytes of the arena and descriptors in use as the first.
 */
#include "arena/member.h"
#include "chance.h"
#include "os/os.h"
#include "pool/window.h"

#include <brood.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MATES = 4,
    WORKERS = 4,
    WINDOW = 24,
    MOST_TASKS = 1 << 22,
    STILL_MS = 20000,
    LONG_MESSAGE = 40000,
    MAP_ITEMS = 500,
    SUPERVISOR = MATES + WORKERS, /* places in the list of victims */
    SERVER,
    VICTIMS
};

/* In a buffer of the first member's: what all look at. */
struct stage {
    _Atomic uint32_t stop;       /* mates end */
    _Atomic uint64_t guarded[2]; /* equal, but while the lock is held */
    _Atomic uint64_t rounds[MATES];
    _Atomic uint64_t heirs, added;
    _Atomic uint32_t tokens; /* under the lock of the condition */
    _Atomic uint64_t waited, paired, broken;
    _Atomic uint8_t runs[MOST_TASKS]; /* how often a task was begun */
};
struct company {
    brood_pool pool;
    brood_queue reports, orders;
    brood_semaphore units;
    brood_lock lock;
    brood_buffer stage;
    brood_value added;
    brood_shareable_list list;
    brood_proxy dict, items; /* without a server */
    brood_condition given;
    brood_barrier pairs;
};

struct errand {
    uint64_t number;
    brood_pipe_end answer;
    brood_token token; /* {0}: none */
};

/* What the stranger sees: pids, 0 for none. */
struct victims {
    _Atomic int32_t pid[VICTIMS];
    _Atomic uint32_t kills, supervisors, stop;
};
static struct victims *victims;

static unsigned failures, rate = 10; /* kills a second */

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
    va_list arguments;
    if (failures++ < 20) {
        va_start(arguments, format);
        printf("  ");
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
        fflush(stdout);
    }
}

static int64_t now_ms(void)
{
    return brood__os_now() / 1000000;
}

/* ---------------------------------------------------------------------------------------------------- the members */

/* A message of a mate: the first bytes of one, and all of most. */
struct word {
    uint32_t mate, life; /* who, and which of the processes that were this mate */
    uint64_t number;     /* counted by that process; of an echo: the order */
    uint64_t echo;
};

static struct stage *stage_of(brood_buffer buffer)
{
    return brood_buffer_data(buffer, NULL);
}

BROOD_TASK(square, uint64_t, uint64_t, number, brood_buffer, stage)
{
    atomic_fetch_add(&stage_of(stage)->runs[number], (uint8_t)1);
    if (number % 7 == 0) brood__os_nap((int64_t)(number % 5) * 300 * 1000);
    return number * number;
}

BROOD_TASK(cube, uint64_t, uint64_t, number)
{
    if (number % 50 == 0) brood__os_nap(200 * 1000);
    return number * number * number;
}

/* By a task of the same pool, for which another worker has to be found. */
BROOD_TASK(cube_by, uint64_t, brood_pool, pool, uint64_t, number)
{
    uint64_t result = 0;
    int error = brood_pool_apply(pool, cube, &number, &result);
    if (error < 0) brood_fail(error, "%s", brood_error_name(error));
    return result;
}

static void use_lock(const struct company *c, struct stage *stage, uint64_t *state)
{
    int got = brood_lock_acquire(c->lock, BROOD_FOREVER);
    if (got == BROOD_EOWNERDEAD) {
        atomic_store(&stage->guarded[1], atomic_load(&stage->guarded[0]));
        atomic_fetch_add(&stage->heirs, 1u);
    } else if (got < 0 || atomic_load(&stage->guarded[0]) != atomic_load(&stage->guarded[1])) {
        _exit(90);
    }
    atomic_fetch_add(&stage->guarded[0], 1u);
    if (next_random(state) % 4 == 0) brood__os_nap(100 * 1000);
    atomic_fetch_add(&stage->guarded[1], 1u);
    if (brood_lock_release(c->lock) < 0) _exit(91);
}

static bool is_given(void *stage)
{
    struct stage *s = stage;
    return atomic_load(&s->tokens) > 0 || atomic_load(&s->stop);
}

static void use_condition(const struct company *c, struct stage *stage, uint64_t *state)
{
    unsigned depth = 1 + next_random(state) % 2;
    for (unsigned i = 0; i < depth; i++) {
        int got = brood_condition_acquire(c->given, BROOD_FOREVER);
        if (got < 0 && got != BROOD_EOWNERDEAD) _exit(101);
    }
    int got = BROOD_EOWNERDEAD;
    while (got == BROOD_EOWNERDEAD) got = brood_condition_wait_for(c->given, is_given, stage, BROOD_FOREVER);
    if (got < 0) _exit(102);
    uint32_t tokens = atomic_load(&stage->tokens);
    if (tokens > 0) atomic_store(&stage->tokens, tokens - 1);
    atomic_fetch_add(&stage->waited, 1u);
    for (unsigned i = 0; i < depth; i++)
        if (brood_condition_release(c->given) < 0) _exit(103);
}

static void use_barrier(const struct company *c, struct stage *stage)
{
    int got = brood_barrier_wait(c->pairs, 20);
    if (got >= 2 || (got < 0 && got != BROOD_ETIMEDOUT && got != BROOD_EBROKEN)) _exit(104);
    atomic_fetch_add(got < 0 ? &stage->broken : &stage->paired, 1u);
    if (got < 0 && brood_barrier_reset(c->pairs) < 0) _exit(105);
}

/* By the first member, when it looks: one more for whoever waits; at the end, all go on. */
static void give(const struct company *c, struct stage *stage)
{
    int got = brood_condition_acquire(c->given, 0);
    if (got == BROOD_EAGAIN) return;
    if (atomic_load(&stage->tokens) < 4) atomic_fetch_add(&stage->tokens, 1u);
    int told = atomic_load(&stage->stop) ? brood_condition_notify_all(c->given) : brood_condition_notify(c->given, 1);
    if ((got < 0 && got != BROOD_EOWNERDEAD) || told < 0 || brood_condition_release(c->given) < 0)
        fail("giving: %s, %s", brood_error_name(got), brood_error_name(told));
}

/* A segment under the mate's own name, which its predecessor may have left, or the supervisor may be removing. */
static void use_name(uint32_t index)
{
    char name[64];
    brood_shm shm;
    snprintf(name, sizeof name, "brood-chaos-%016llx-%u", (unsigned long long)brood__arena()->key, index);
    int error = brood_shm_create(&shm, 3000, &(brood_shm_options){.name = name}, NULL);
    if (error == -EEXIST) error = brood_shm_attach(&shm, name, NULL);
    if (error == -ENOENT || error == BROOD_EAGAIN) return;
    if (error == 0) error = brood_shm_unlink(shm);
    if (error == 0 || error == -ENOENT || error == BROOD_ESTALE) error = brood_shm_close(shm);
    if (error < 0) _exit(95);
}

/* Two keys are this mate's alone. */
static void use_dict(const struct company *c, uint32_t index, uint64_t *state)
{
    char text[41];
    const char *seen = "";
    brood_variant v;
    int key = (int)(2 * index + next_random(state) % 2);
    memset(text, (int)('a' + next_random(state) % 26), 40);
    text[10 + next_random(state) % 30] = 0;
    if (brood_dict_set(c->dict, brood_v(key), brood_v(text)) < 0 || brood_dict_get(c->dict, brood_v(key), &v) < 0)
        _exit(109);
    if (brood_variant_get_text(&v, &seen, NULL) < 0 || strcmp(seen, text) != 0) _exit(110);
    brood_variant_free(&v);
    if (next_random(state) % 4 == 0 && brood_dict_delete(c->dict, brood_v(key)) < 0) _exit(111);
    int64_t size = brood_list_size(c->items);
    int got = size < 8 ? brood_list_append(c->items, brood_v(text)) : brood_list_delete(c->items, 0);
    if (size < 0 || size > 8 + MATES || got < 0) _exit(112);
}

static void share(const struct company *c, struct stage *stage, uint32_t index, uint64_t *state)
{
    char text[41];
    brood_element e;
    brood_array scratch;
    if (brood_value_add(c->added, 1, NULL) < 0) _exit(96);
    atomic_fetch_add(&stage->added, 1u);
    memset(text, (int)('a' + next_random(state) % 26), 40);
    text[10 + next_random(state) % 30] = 0;
    e = brood_element_text(text);
    if (brood_shareable_list_set(c->list, 0, &e) < 0) _exit(97);
    if (brood_shareable_list_get(c->list, 0, &e, text, sizeof text) < 0) _exit(97);
    for (size_t i = 0; i < e.size; i++)
        if (text[i] != text[0] || e.size < 10) _exit(98);
    if (brood_array_new(&scratch, int, 2000, .lock = true) < 0 || brood_array_free(scratch) < 0) _exit(99);
    if (next_random(state) % 16 == 0) use_name(index);
    use_dict(c, index, state);
}

static void say(const struct company *c, const struct word *word, bool at_length)
{
    static char text[LONG_MESSAGE];
    memcpy(text, word, sizeof *word);
    int error = brood_queue_put(c->reports, text, at_length ? sizeof text : sizeof *word, BROOD_FOREVER);
    if (error < 0) _exit(92);
}

static int run_errand(brood_pipe_end errands)
{
    struct errand e;
    if (brood_pipe_recv_value(errands, &e, 20) < 0) return 0;
    e.number++;
    if (e.token.id) {
        int fd = brood_descriptor_redeem(e.token);
        if (fd < 0 && fd != BROOD_ELOST) return 89;
        if (fd >= 0) close(fd);
    }
    if (brood_pipe_send_value(e.answer, &e.number, BROOD_FOREVER) < 0) return 90;
    return brood_pipe_close(e.answer) < 0 ? 91 : 0;
}

/* What the server of every other mate has behind it. */
static bool warmed;
/* A pool whose workers are threads has done something; 0, or what ends a mate. */
static int begin_threads(brood_pool *pool)
{
    enum { OWN_ITEMS = 40 };
    uint64_t in[OWN_ITEMS], out[OWN_ITEMS] = {0};
    for (uint64_t i = 0; i < OWN_ITEMS; i++) in[i] = i + 1;
    if (brood_pool_new(pool, &(brood_pool_options){.workers = 2, .method = BROOD_START_THREAD}) < 0) return 109;
    if (brood_pool_map(*pool, cube, in, out, OWN_ITEMS) < 0) return 110;
    return out[OWN_ITEMS - 1] == (uint64_t)OWN_ITEMS * OWN_ITEMS * OWN_ITEMS ? 0 : 111;
}

/* A mate's own: it goes with the mate, wherever that is killed. */
static int use_threads(void)
{
    brood_pool pool;
    int code = begin_threads(&pool);
    return code ? code : brood_pool_free(pool) < 0 ? 112 : 0;
}

/* As many at once as there may be, with those of the dead: their places keep their memory, which so is there at first. */
static int fill_places(void)
{
    brood_pool pools[2 * MATES];
    int code = 0;
    for (int i = 0; i < 2 * MATES && code == 0; i++) code = begin_threads(&pools[i]);
    for (int i = 0; i < 2 * MATES && code == 0; i++) code = brood_pool_free(pools[i]);
    return code;
}

BROOD_TASK(warm_up, void)
{
    warmed = true;
}

static bool wait_for_order(const struct company *c, uint64_t *state)
{
    brood_waitable item = BROOD_WAIT_QUEUE(c->orders);
    int got = next_random(state) % 2 ? brood_wait(&item, 1, NULL, 20) : 1;
    if (got < 0 && got != BROOD_ETIMEDOUT) _exit(107);
    return got == 1;
}

BROOD_TASK(mate, int, struct company, c, uint32_t, index, uint32_t, life, brood_pipe_end, errands)
{
    struct stage *stage = stage_of(c.stage);
    uint64_t state = (uint64_t)life * 1000003 + index * 7919 + 17, number = 0;
    struct word word = {.mate = index, .life = life};
    if (warmed != (index % 2 != 0)) return 106;
    while (!atomic_load(&stage->stop)) {
        struct word order;
        switch (next_random(&state) % 9) {
        case 0: use_lock(&c, stage, &state); break;
        case 4: share(&c, stage, index, &state); break;
        case 6: use_condition(&c, stage, &state); break;
        case 7:
            if (next_random(&state) % 4 == 0) use_barrier(&c, stage);
            break;
        case 5: {
            int code = run_errand(errands);
            if (code) return code;
            break;
        }
        case 1:
            if (brood_semaphore_acquire(c.units, BROOD_FOREVER) < 0) return 93;
            if (next_random(&state) % 4 == 0) brood__os_nap(100 * 1000);
            if (brood_semaphore_release(c.units) < 0) return 94;
            break;
        case 2:
            if (wait_for_order(&c, &state) && brood_queue_get_value(c.orders, &order, 20) == 0) {
                word.number = number++;
                word.echo = order.number + 1;
                say(&c, &word, next_random(&state) % 16 == 0);
                word.echo = 0;
                if (brood_queue_task_done(c.orders) < 0) return 108;
            }
            break;
        case 8:
            if (next_random(&state) % 16 == 0) {
                int code = use_threads();
                if (code) return code;
            }
            break;
        default:
            word.number = number++;
            say(&c, &word, next_random(&state) % 16 == 0);
            break;
        }
        atomic_fetch_add(&stage->rounds[index], 1u);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- the stranger */

/* Whether the pid is still a process of this program. */
static bool is_ours(pid_t pid)
{
    char link[64], mine[512], its[512];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t a = readlink("/proc/self/exe", mine, sizeof mine), b = readlink(link, its, sizeof its);
    return a > 0 && a == b && memcmp(mine, its, (size_t)a) == 0;
}

static _Noreturn void be_stranger(uint64_t seed)
{
    uint64_t state = seed * 2654435769u + 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!atomic_load(&victims->stop)) {
        brood__os_nap((int64_t)(next_random(&state) % (2000000 / rate)) * 1000);
        uint32_t who = (uint32_t)(next_random(&state) % VICTIMS);
        pid_t pid = atomic_load(&victims->pid[who]);
        if (pid <= 1 || !is_ours(pid) || kill(pid, SIGKILL) < 0) continue;
        atomic_fetch_add(&victims->kills, 1u);
        if (who == SUPERVISOR) atomic_fetch_add(&victims->supervisors, 1u);
    }
    _exit(0);
}

static pid_t start_stranger(uint64_t seed)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) be_stranger(seed);
    if (pid < 0) exit(EXIT_FAILURE);
    return pid;
}

/* ------------------------------------------------------------------------------------------------- the first member */

/* What the first member knows of each mate and each task. */
static struct {
    brood_process process;
    bool there;
    uint32_t life;
    uint64_t heard; /* of this life: the number that comes next */
    brood_pipe_end to, answer;
    uint64_t errand; /* that is under way; 0: none */
} mates[MATES];
static struct company company;
static struct stage *stage;
static brood_future window[WINDOW];
static uint64_t numbers[WINDOW];
static bool open_tasks[WINDOW];
static uint64_t next_task, orders_put, echoes, reports_got, tasks_done, tasks_lost, deaths_of_mates;
static uint64_t maps, items_lost, next_errand, errands_done, errands_lost;
static int64_t last_progress;

static const brood_context warm = {.method = BROOD_START_FORKSERVER, .preload = BROOD_TASK_OF(warm_up)};

static void start_mate(uint32_t i)
{
    brood_pipe_end ends[2];
    if (brood_pipe_new(ends, &(brood_pipe_options){.capacity = 1024}) < 0) fail("no pipe: %s", brood_error_detail());
    mate_args args = {company, i, ++mates[i].life, ends[1]};
    mates[i].to = ends[0];
    const brood_context *context = i % 2 ? &warm : NULL;
    int error =
        brood_process_start_with(&mates[i].process, mate, &args, .ends = &ends[1], .end_count = 1, .context = context);
    mates[i].heard = 0;
    mates[i].there = error == 0;
    if (error < 0 && (brood_pipe_close(ends[0]) < 0 || brood_pipe_close(ends[1]) < 0)) fail("its ends are gone");
    if (error < 0 && !(context && error == BROOD_ESTART)) /* else one server after the other was killed */
        fail("a mate can't be started: %s (%s)", brood_error_name(error), brood_error_detail());
    atomic_store(&victims->pid[i], mates[i].there ? brood_process_pid(mates[i].process) : 0);
}

/* Every message of a producer once and in its order. */
static void hear(const struct word *word)
{
    reports_got++;
    last_progress = now_ms();
    if (word->echo) echoes++;
    if (word->mate >= MATES || word->life > mates[word->mate].life) {
        fail("a report of nobody");
        return;
    }
    if (word->life != mates[word->mate].life) return; /* of one who is dead and was counted to its end */
    if (word->number != mates[word->mate].heard)
        fail("mate %u/%u: report %llu comes where %llu should", word->mate, word->life,
             (unsigned long long)word->number, (unsigned long long)mates[word->mate].heard);
    mates[word->mate].heard = word->number + 1;
}

static void listen(void)
{
    static char text[LONG_MESSAGE];
    size_t size;
    int error;
    while ((error = brood_queue_get(company.reports, text, sizeof text, &size, 0)) == 0) {
        struct word word;
        memcpy(&word, text, sizeof word);
        hear(&word);
    }
    if (error != BROOD_EAGAIN) fail("reports: %s", brood_error_name(error));
}

static void send_errand(uint32_t i)
{
    brood_pipe_end answer[2];
    struct errand e = {.number = ++next_errand};
    if (brood_pipe_new(answer, &(brood_pipe_options){.capacity = 256, .one_way = true}) < 0) return;
    if (next_errand % 4 == 0 && brood_descriptor_deposit(&e.token, 2) < 0) e.token.id = 0;
    e.answer = answer[1];
    uint64_t moved[] = {e.answer.id, e.token.id};
    int error = brood_pipe_send_moving(mates[i].to, &e, sizeof e, moved, e.token.id ? 2 : 1, BROOD_FOREVER);
    if (error == 0) {
        mates[i].answer = answer[0];
        mates[i].errand = next_errand;
        return;
    }
    if (error != BROOD_ECLOSED) fail("an errand can't be sent: %s", brood_error_name(error));
    if (e.token.id && brood_descriptor_discard(e.token) < 0) fail("a token that was not moved is gone");
    for (int side = 0; side < 2; side++)
        if (brood_pipe_close(answer[side]) < 0) fail("an end that was not moved is gone");
}

/* Of its last errand: there is an answer, and then nobody any more at the other end; or only that, if the mate died. */
static void take_errand(uint32_t i, int timeout)
{
    uint64_t number = 0;
    if (!mates[i].errand) return;
    int error = brood_pipe_recv_value(mates[i].answer, &number, timeout);
    if (error == BROOD_EAGAIN) return;
    if (error == 0 && number != mates[i].errand + 1)
        fail("errand %llu was answered %llu", (unsigned long long)mates[i].errand, (unsigned long long)number);
    errands_done += error == 0;
    errands_lost += error == BROOD_ECLOSED;
    if (error == BROOD_ECLOSED && brood_process_is_alive(mates[i].process) == 1)
        fail("an errand is lost, and its mate lives");
    if (error == 0) error = brood_pipe_recv_value(mates[i].answer, &number, STILL_MS);
    if (error != BROOD_ECLOSED) fail("an errand comes to no end: %s", brood_error_name(error));
    if (brood_pipe_close(mates[i].answer) < 0) fail("an end is gone");
    mates[i].errand = 0;
}

static void look_after(uint32_t i, bool again)
{
    int code = 0, error;
    if (!mates[i].there) {
        if (again) start_mate(i);
        return;
    }
    take_errand(i, 0);
    error = brood_process_join(mates[i].process, 0, &code);
    if (error == BROOD_EAGAIN && again && !mates[i].errand) send_errand(i);
    if (error == BROOD_EAGAIN) return;
    take_errand(i, STILL_MS);
    if (brood_pipe_poll(mates[i].to, STILL_MS) < 0) fail("a mate's end does not come");
    if (brood_pipe_close(mates[i].to) < 0) fail("an end is gone");
    if (error < 0) fail("join: %s", brood_error_name(error));
    atomic_store(&victims->pid[i], 0);
    listen(); /* all that it put */
    mates[i].there = false;
    if (code == -SIGKILL || code == BROOD_EXIT_UNKNOWN)
        deaths_of_mates++;
    else if (code != 0)
        fail("a mate ended with %d", code);
    error = brood_process_free(mates[i].process);
    if (error < 0) fail("process_free: %s", brood_error_name(error));
    if (again) start_mate(i);
}

static void give_task(unsigned slot)
{
    if (next_task >= MOST_TASKS) return;
    square_args args = {next_task, company.stage};
    int error = brood_pool_submit(company.pool, &window[slot], square, &args);
    if (error < 0) {
        fail("submit: %s (%s)", brood_error_name(error), brood_error_detail());
        return;
    }
    numbers[slot] = next_task++;
    open_tasks[slot] = true;
}

/* true: it has answered. */
static bool take_answer(unsigned slot)
{
    uint64_t result = 0, number = numbers[slot];
    brood_outcome outcome;
    int error = brood_future_get(window[slot], &result, 0, &outcome);
    if (error == BROOD_EAGAIN) return false;
    uint8_t runs = atomic_load(&stage->runs[number]);
    if (error == 0) {
        tasks_done++;
        if (result != number * number) fail("task %llu has a wrong result", (unsigned long long)number);
        if (runs != 1) fail("task %llu is done and was run %u times", (unsigned long long)number, runs);
    } else if (error == BROOD_ELOST) {
        tasks_lost++;
        if (runs > 1) fail("task %llu is lost and was run %u times", (unsigned long long)number, runs);
    } else {
        fail("task %llu: %s (%s)", (unsigned long long)number, brood_error_name(error), brood_error_detail());
    }
    error = brood_future_free(window[slot]);
    if (error < 0) fail("future_free: %s", brood_error_name(error));
    open_tasks[slot] = false;
    last_progress = now_ms();
    return true;
}

/* A map, every other one through a window: each item once, and all that are not lost are there. */
static void run_map(void)
{
    static const struct window_size small = {.slot_bytes = 256, .slots = 3, .least = 2};
    static struct window_size usual;
    if (usual.slots == 0) usual = brood__window_size;
    brood__window_size = maps % 2 ? small : usual;
    static uint64_t in[MAP_ITEMS], out[MAP_ITEMS];
    static int codes[MAP_ITEMS];
    brood_report report;
    for (uint64_t i = 0; i < MAP_ITEMS; i++) {
        in[i] = i + maps;
        out[i] = 0;
    }
    int error = brood_pool_map_with(company.pool, cube, in, out, MAP_ITEMS, .report = &report, .codes = codes);
    size_t lost = 0;
    maps++;
    for (uint64_t i = 0; i < MAP_ITEMS; i++) {
        lost += codes[i] == BROOD_ELOST;
        if (codes[i] != 0 && codes[i] != BROOD_ELOST)
            fail("item %llu: %s", (unsigned long long)i, brood_error_name(codes[i]));
        if (codes[i] == 0 && out[i] != in[i] * in[i] * in[i])
            fail("item %llu has a wrong result", (unsigned long long)i);
    }
    if (error != (lost ? BROOD_ELOST : 0) || report.lost != lost || report.done + lost != MAP_ITEMS)
        fail("map: %s (%s); %zu done, %zu lost, %zu codes say lost", brood_error_name(error), brood_error_detail(),
             report.done, report.lost, lost);
    items_lost += lost;
    last_progress = now_ms();
}

/* Each item is answered once: with its result, as lost, or as failed because the one that it waited for is. */
static void check_item(const char *what, uint64_t item, uint64_t items, char *seen, int answer, uint64_t result,
                       uint64_t number)
{
    if (item >= items || seen[item]++) {
        fail("%s: item %llu comes twice", what, (unsigned long long)item);
    } else if (answer == BROOD_ELOST) {
        items_lost++;
    } else if (answer != 1 || result != number * number * number) {
        fail("%s: item %llu: %s (%s)", what, (unsigned long long)item, brood_error_name(answer), brood_error_detail());
    }
}

static void run_stream(bool unordered)
{
    static uint64_t in[MAP_ITEMS];
    char seen[MAP_ITEMS] = {0};
    uint64_t result = 0, n = 0;
    brood_stream stream;
    brood_outcome outcome;
    brood_crash crash;
    for (uint64_t i = 0; i < MAP_ITEMS; i++) in[i] = i + maps;
    int answer = brood_pool_imap_array_with(company.pool, &stream, cube, in, MAP_ITEMS, .unordered = unordered,
                                            .chunk = 16, .window_items = 200);
    if (answer < 0) fail("no stream: %s", brood_error_name(answer));
    while (answer >= 0 && (answer = brood_stream_next(stream, &result, BROOD_FOREVER, &outcome)) != 0) {
        if (answer < 0 && outcome.code == 0) break;
        if (!unordered && outcome.id != n) fail("a stream is out of order");
        check_item("stream", outcome.id, MAP_ITEMS, seen, answer, result, in[outcome.id % MAP_ITEMS]);
        if (answer == BROOD_ELOST && outcome.signal &&
            (brood_stream_crash(stream, &crash) < 0 || crash.id != outcome.id || crash.pid != outcome.pid))
            fail("a stream does not tell of item %llu's end", (unsigned long long)outcome.id);
        n++;
        answer = 1;
    }
    if (answer != 0 || n != MAP_ITEMS)
        fail("a stream ends after %llu: %s", (unsigned long long)n, brood_error_name(answer));
    if (brood_stream_free(stream) < 0) fail("a stream can't be freed");
    last_progress = now_ms();
}

static void run_nested(void)
{
    enum { NESTED = 12 };
    cube_by_args in[NESTED];
    char seen[NESTED] = {0};
    uint64_t result = 0, n = 0;
    brood_stream stream;
    brood_outcome outcome;
    for (uint64_t i = 0; i < NESTED; i++) in[i] = (cube_by_args){company.pool, i};
    int answer = brood_pool_imap_array_with(company.pool, &stream, cube_by, in, NESTED, .unordered = true);
    if (answer < 0) fail("no stream: %s", brood_error_name(answer));
    while (answer >= 0 && (answer = brood_stream_next(stream, &result, BROOD_FOREVER, &outcome)) != 0) {
        if (answer < 0 && outcome.code == 0) break;
        if (answer == BROOD_EFAILED && outcome.fail == BROOD_ELOST) answer = BROOD_ELOST;
        check_item("nested", outcome.id, NESTED, seen, answer, result, outcome.id);
        n++;
        answer = 1;
    }
    if (answer != 0 || n != NESTED)
        fail("a stream of waiting tasks ends after %llu: %s", (unsigned long long)n, brood_error_name(answer));
    if (brood_stream_free(stream) < 0) fail("a stream can't be freed");
    last_progress = now_ms();
}

/* The pid of the server that mates are forked from, 0 if there is none. */
static pid_t server(void)
{
    uint32_t used = brood__table_used(TABLE_MEMBER);
    for (uint32_t i = 1; i < used; i++) {
        struct member_shm *m = brood__member_at(i);
        bool lives = SLOT_STATE(atomic_load(&m->slot.word)) == SLOT_LIVE && !atomic_load(&m->gone);
        if (lives && m->role == ROLE_SERVER) return m->pid;
    }
    return 0;
}

static void turn(bool again)
{
    brood_worker workers[WORKERS];
    int n = brood_pool_workers(company.pool, workers, WORKERS);
    for (int i = 0; i < WORKERS; i++) atomic_store(&victims->pid[MATES + i], again && i < n ? workers[i].pid : 0);
    atomic_store(&victims->pid[SUPERVISOR], again ? atomic_load(&brood__arena()->supervisor.pid) : 0);
    atomic_store(&victims->pid[SERVER], again ? server() : 0);
    listen();
    for (uint32_t i = 0; i < MATES; i++) look_after(i, again);
    give(&company, stage);
    for (unsigned i = 0; i < WINDOW; i++)
        if ((!open_tasks[i] || take_answer(i)) && again) give_task(i);
    static unsigned turns;
    if (again && ++turns % 64 == 0) {
        run_map();
        if (maps % 3 == 0) run_stream(maps % 2 == 0);
        if (maps % 5 == 0) run_nested();
    }
    while (again && orders_put < next_task) {
        struct word order = {.number = orders_put};
        if (brood_queue_put_value(company.orders, &order, 0) < 0) break;
        orders_put++;
    }
}

static bool all_over(void)
{
    for (unsigned i = 0; i < WINDOW; i++)
        if (open_tasks[i]) return false;
    for (unsigned i = 0; i < MATES; i++)
        if (mates[i].there) return false;
    return true;
}

/* Turn until the time is over, or, at last, until all have answered and ended. */
static void play(int64_t ms, bool again)
{
    int64_t until = now_ms() + ms;
    last_progress = now_ms();
    while (again ? now_ms() < until : !all_over()) {
        turn(again);
        brood__os_nap(200 * 1000);
        if (now_ms() - last_progress < STILL_MS) continue;
        fail("nothing has moved for %d ms: supervisor word %llx", STILL_MS,
             (unsigned long long)atomic_load(&brood__arena()->supervisor.word));
        for (unsigned i = 0; i < WINDOW; i++)
            if (open_tasks[i])
                printf("    task %llu: %d\n", (unsigned long long)numbers[i], brood_future_done(window[i]));
        for (unsigned i = 0; i < MATES; i++)
            if (mates[i].there)
                printf("    mate %u/%u, pid %d\n", i, mates[i].life, (int)brood_process_pid(mates[i].process));
        return;
    }
}

static unsigned count_descriptors(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *directory = opendir(path);
    while (directory && readdir(directory)) n++;
    if (directory) closedir(directory);
    return n;
}

/* What is left in use, when all are out of everything: the garbage of the dead is taken apart by claims, so claim. */
struct balance {
    size_t bytes;
    unsigned mine, supervisors;
};
static struct balance balance(void)
{
    enum { MANY = 2048 };
    static brood_buffer buffers[MANY];
    struct balance b = {0, 0, 0};
    int n = 0;
    while (n < MANY && brood_buffer_new(&buffers[n], 1, NULL) == 0) n++;
    while (n > 0) brood_buffer_free(buffers[--n]);
    brood_arena_usage(&b.bytes, NULL);
    b.mine = count_descriptors(getpid());
    /* The least of a while: workers are being replaced, and those that stood in for others leave. */
    for (int i = 0; i < 30; i++) {
        unsigned now = count_descriptors(atomic_load(&brood__arena()->supervisor.pid));
        if (i == 0 || now < b.supervisors) b.supervisors = now;
        brood__os_nap((int64_t)50 * 1000 * 1000);
    }
    return b;
}

static void check_stage(void)
{
    int value = -1;
    int64_t until = now_ms() + 5000;
    struct word order;
    while ((value = brood_semaphore_value(company.units)) != 2 && now_ms() < until) brood__os_nap(1000 * 1000);
    if (value != 2) fail("the semaphore has %d units, not 2", value);
    int got = brood_lock_acquire(company.lock, 5000);
    if (got == BROOD_EOWNERDEAD)
        atomic_store(&stage->guarded[1], atomic_load(&stage->guarded[0]));
    else if (got < 0)
        fail("the lock: %s", brood_error_name(got));
    if (atomic_load(&stage->guarded[0]) != atomic_load(&stage->guarded[1])) fail("what the lock guards is half done");
    if (got == 0 || got == BROOD_EOWNERDEAD) brood_lock_release(company.lock);
    uint64_t left = 0;
    while (brood_queue_get_value(company.orders, &order, 0) == 0) {
        left++;
        if (brood_queue_task_done(company.orders) < 0) fail("an order can't be marked done");
    }
    for (int i = 0; i < 2; i++) brood_queue_get_value(company.orders, &order, 1); /* it gives back what it grew by */
    int joined = brood_queue_join(company.orders, 5000);
    int64_t lost = brood_queue_lost(company.orders);
    if (joined != (lost ? BROOD_ELOST : 0) || lost > (int64_t)deaths_of_mates)
        fail("the orders: %s, %lld lost, %llu deaths", brood_error_name(joined), (long long)lost,
             (unsigned long long)deaths_of_mates);
    int64_t added = *brood_value_data(company.added, int64_t), told = (int64_t)atomic_load(&stage->added);
    if (added < told || added > told + (int64_t)deaths_of_mates)
        fail("%lld were added, and %lld told, with %llu deaths", (long long)added, (long long)told,
             (unsigned long long)deaths_of_mates);
    atomic_store(&stage->added, (uint64_t)added);
    if (orders_put < left + echoes || orders_put - left - echoes > deaths_of_mates)
        fail("%llu orders, %llu left, %llu echoes, %llu deaths", (unsigned long long)orders_put,
             (unsigned long long)left, (unsigned long long)echoes, (unsigned long long)deaths_of_mates);
    orders_put = echoes = 0;
}

/* The family is over: nothing of it is in the folder of names. */
static void check_names(uint64_t key)
{
    char mark[32];
    snprintf(mark, sizeof mark, "%016llx", (unsigned long long)key);
    DIR *folder = opendir("/dev/shm");
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        if (strstr(entry->d_name, mark)) fail("/dev/shm/%s is left", entry->d_name);
    if (folder) closedir(folder);
}

static void half(int seconds, uint64_t seed)
{
    atomic_store(&stage->stop, 0u);
    atomic_store(&victims->stop, 0u);
    next_task = 0;
    memset(stage->runs, 0, sizeof stage->runs);
    uint64_t before = tasks_done;
    play(300, true);
    pid_t stranger = start_stranger(seed);
    play((int64_t)seconds * 1000, true);
    atomic_store(&victims->stop, 1u);
    waitpid(stranger, NULL, 0);
    atomic_store(&stage->stop, 1u);
    play(0, false);
    listen();
    /* Workers that stood in for others leave by themselves, when they have been too many for a while. */
    int64_t until = now_ms() + STILL_MS;
    while (brood_pool_workers(company.pool, NULL, 0) > WORKERS && now_ms() < until) brood__os_nap(1000 * 1000);
    if (brood_pool_workers(company.pool, NULL, 0) > WORKERS) fail("workers that nobody waits for any more stay");
    if (tasks_done - before < (uint64_t)seconds * 10)
        fail("only %llu tasks in a half", (unsigned long long)(tasks_done - before));
    if (all_over()) check_stage();
    deaths_of_mates = 0;
}

int main(int argc, char **argv)
{
    int seconds = 60, quiet = 0;
    uint64_t seed = (uint64_t)brood__os_now();
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"rate", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    BROOD_INIT(&argc, &argv);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's') seconds = atoi(optarg);
        if (c == 'r') seed = strtoull(optarg, NULL, 0);
        if (c == 'k') rate = (unsigned)atoi(optarg);
        quiet |= c == '?';
    }
    if (quiet || seconds < 2 || rate < 1 || rate > 1000) return 2;
    printf("chaos: seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    victims = mmap(NULL, sizeof *victims, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *memory;
    brood_element first_text = brood_element_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    brood_pool_options pool_options = {.workers = WORKERS};
    brood_queue_options queue_options = {.capacity = 4096, .grows_to = 1 << 16, .joinable = 1};
    if (victims == MAP_FAILED || brood_buffer_new(&company.stage, sizeof(struct stage), &memory) < 0 ||
        brood_pool_new(&company.pool, &pool_options) < 0 || brood_queue_new(&company.reports, NULL) < 0 ||
        brood_queue_new(&company.orders, &queue_options) < 0 || brood_semaphore_new(&company.units, 2, NULL) < 0 ||
        brood_lock_new(&company.lock) < 0 || brood_value_new(&company.added, int64_t, 0) < 0 ||
        brood_shareable_list_new(&company.list, &first_text, 1, NULL) < 0 ||
        brood_manager_dict(brood_family(), &company.dict) < 0 ||
        brood_manager_list(brood_family(), &company.items) < 0 || brood_condition_new(&company.given, NULL) < 0 ||
        brood_barrier_new(&company.pairs, 2, NULL) < 0) {
        printf("chaos: can't begin: %s\n", brood_error_detail());
        return 1;
    }
    memset(memory, 0, sizeof(struct stage));
    stage = memory;

    int code = fill_places();
    if (code != 0) fail("no pools of threads: %d", code);
    half(seconds / 2, seed);
    struct balance first = balance();
    half(seconds - seconds / 2, seed + 1);
    struct balance second = balance();
    if (second.bytes > first.bytes + first.bytes / 16)
        fail("%zu bytes of the arena in use after the first half, %zu after the second", first.bytes, second.bytes);
    if (second.mine > first.mine + 2)
        fail("%u descriptors after the first half, %u after the second", first.mine, second.mine);
    if (second.supervisors > first.supervisors + 4)
        fail("the supervisor has %u descriptors after the first half, %u after the second", first.supervisors,
             second.supervisors);

    printf("chaos: %u kills (%u supervisors), %llu tasks done, %llu lost, %llu maps, %llu items lost, %llu reports, "
           "%llu heirs of the lock, %llu errands done, %llu lost, %llu waits, %llu met, %llu times in vain\n",
           atomic_load(&victims->kills), atomic_load(&victims->supervisors), (unsigned long long)tasks_done,
           (unsigned long long)tasks_lost, (unsigned long long)maps, (unsigned long long)items_lost,
           (unsigned long long)reports_got, (unsigned long long)atomic_load(&stage->heirs),
           (unsigned long long)errands_done, (unsigned long long)errands_lost,
           (unsigned long long)atomic_load(&stage->waited), (unsigned long long)atomic_load(&stage->paired),
           (unsigned long long)atomic_load(&stage->broken));
    int64_t start = now_ms();
    uint64_t key = brood__arena()->key;
    int error = brood_pool_free(company.pool);
    if (error < 0) fail("pool_free: %s", brood_error_name(error));
    error = brood_fini();
    if (error < 0) fail("fini: %s", brood_error_name(error));
    check_names(key);
    if (now_ms() - start > 5000) fail("the end took %lld ms", (long long)(now_ms() - start));
    printf("chaos: %u points, %u failures\n", atomic_load(&victims->kills), failures);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
