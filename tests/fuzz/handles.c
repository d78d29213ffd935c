/* SPDX-License-Identifier: MIT */
/*
 * handles.c - handles that nobody made, or that were another's, given to every public function: the answer is a code.
 *
 * The input is a list of calls: a byte for the function, one for the kind of handle, eight for its value.  One object of
 * each type is there, and the calls may use and free it, so that what is forged is often nearly right.  Timeouts are 0
 * or 1 ms, so nothing waits.  Handles of values, arrays, lists, segments and scopes are in shared.c.
 */
#include "arena/member.h"
#include "fuzz.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>

static BROOD_TASK(same, int, int, x)
{
    return x;
}

static bool is_odd(void *byte)
{
    return ++*(uint8_t *)byte & 1;
}
static int next_one(void *context, void *argument)
{
    (void)context;
    *(int *)argument = 1;
    return 1;
}

static void require(bool truth)
{
    if (!truth) abort();
}

enum { LOCK, SEMAPHORE, EVENT, QUEUE, BUFFER, PROCESS, POOL, RLOCK, CONDITION, BARRIER, THREADS, TYPES };
static const enum table tables[TYPES] = {TABLE_LOCK,      TABLE_SEMAPHORE, TABLE_EVENT, TABLE_QUEUE,
                                         TABLE_BUFFER,    TABLE_MEMBER,    TABLE_POOL,  TABLE_RLOCK,
                                         TABLE_CONDITION, TABLE_BARRIER,   TABLE_POOL};
static uint64_t ids[TYPES];
static brood_future future;
static brood_stream lasting;

/* Of the pools that all calls can count on. */
static bool lasts(uint64_t id)
{
    return id == ids[POOL] || id == ids[THREADS];
}

/* First of all: in a process that Brood started this call does not return. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 64 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    return 0;
}

/* What was freed is made again. */
static void have_all(void)
{
    size_t n;
    if (!brood__slot_find(TABLE_LOCK, ids[LOCK])) require(brood_lock_new((brood_lock *)&ids[LOCK]) == 0);
    if (!brood__slot_find(TABLE_SEMAPHORE, ids[SEMAPHORE]))
        require(brood_semaphore_new((brood_semaphore *)&ids[SEMAPHORE], 3, NULL) == 0);
    if (!brood__slot_find(TABLE_EVENT, ids[EVENT])) require(brood_event_new((brood_event *)&ids[EVENT]) == 0);
    if (!brood__slot_find(TABLE_RLOCK, ids[RLOCK])) require(brood_rlock_new((brood_rlock *)&ids[RLOCK]) == 0);
    if (!brood__slot_find(TABLE_CONDITION, ids[CONDITION]))
        require(brood_condition_new((brood_condition *)&ids[CONDITION], NULL) == 0);
    if (!brood__slot_find(TABLE_BARRIER, ids[BARRIER]))
        require(brood_barrier_new((brood_barrier *)&ids[BARRIER], 2, NULL) == 0);
    if (!brood__slot_find(TABLE_QUEUE, ids[QUEUE])) {
        static unsigned turn; /* of each kind in turn */
        brood_queue_options options = {.capacity = 1024, .priorities = turn & 1 ? 3 : 0, .joinable = turn & 2};
        if (turn++ & 4) options.grows_to = 1 << 16;
        require(brood_queue_new((brood_queue *)&ids[QUEUE], &options) == 0);
    }
    if (!brood_buffer_data((brood_buffer){ids[BUFFER]}, &n))
        require(brood_buffer_new((brood_buffer *)&ids[BUFFER], 100, NULL) == 0);
    if (!ids[PROCESS]) ids[PROCESS] = brood_process_current().id;
    if (!ids[POOL]) {
        require(brood_pool_new((brood_pool *)&ids[POOL], &(brood_pool_options){.workers = 1, .max_pending = 8}) == 0);
        require(brood_pool_submit((brood_pool){ids[POOL]}, &future, same, &(int){1}) == 0);
        require(brood_pool_imap((brood_pool){ids[POOL]}, &lasting, same, next_one, NULL) == 0);
        brood_pool_options threads = {.workers = 1, .max_pending = 8, .method = BROOD_START_THREAD};
        require(brood_pool_new((brood_pool *)&ids[THREADS], &threads) == 0);
    }
}

static uint64_t handle(uint8_t kind, uint64_t value)
{
    uint64_t live = ids[kind / 8 % TYPES];
    switch (kind % 8) {
    case 0: return value;
    case 1: return live;
    case 2: return live ^ (value & 0xff) << 8 * (value >> 8 & 7);
    case 3: return HANDLE(tables[value % TYPES], value >> 8 & 15, value >> 16 & 3);
    case 4: return HANDLE(tables[value % TYPES], 0xffffff - (value >> 8 & 0xff), value >> 16 & 3);
    case 5: return live - 1 - (value & 3);
    case 6: return (live & ~UINT64_C(0xffffffff)) | (uint32_t)value;
    default: return HANDLE(tables[value % TYPES], HANDLE_INDEX(live), HANDLE_GENERATION(live));
    }
}

/* Nothing of this type has this handle: so the answer is no success.  What was freed by its owner's death is no matter. */
static void wants(enum table table, uint64_t id, int64_t result)
{
    if (!brood__slot_find(table, id)) require(result < 0);
    if (result < 0) require(brood_error_name((int)result)[0] != 0);
}

/* Any bytes as something to wait for: it is refused, or ready, or not. */
static brood_waitable handle_item(uint64_t id, uint8_t more)
{
    brood_waitable item = BROOD_WAIT_FUTURE(future);
    item.kind = (brood_waitable_kind)(more % 10);
    item.id = id;
    item.fd = more & 16 ? -1 : 900 + more;
    if (more & 32) item.serial ^= more;
    return item;
}
static bool is_no_kind(const brood_waitable *item)
{
    return item->kind < BROOD_WAITABLE_FD || item->kind > BROOD_WAITABLE_POOL;
}
static void wait_for(brood_waitable item, int timeout)
{
    bool ready = false;
    int answer = brood_wait(&item, 1, &ready, timeout);
    if (is_no_kind(&item)) require(answer == BROOD_EINVAL);
    require(answer == 1 ? ready : answer < 0 && !ready);
}
static void wait_in_set(brood_waitable item, int timeout)
{
    brood_waitset *set;
    uint64_t tag = 0;
    if (brood_waitset_new(&set) < 0) return;
    int error = brood_waitset_add(set, item, 9);
    if (is_no_kind(&item)) require(error == BROOD_EINVAL);
    int answer = brood_waitset_wait(set, &tag, 1, timeout);
    require(answer == 1 ? error == 0 && tag == 9 : answer < 0);
    require((brood_waitset_remove(set, item) == 0) == (error == 0));
    require(brood_waitset_free(set) == 0);
}

enum { FUNCTIONS = 102 };

/* Of all streams one alone is there. */
static void stream_call(brood_stream stream, int result)
{
    if (stream.id != lasting.id) require(result == BROOD_ESTALE);
}

static void call(unsigned function, uint64_t id, uint8_t more)
{
    static char data[4096];
    size_t size = sizeof data, sizes[4];
    int timeout = more & 1, x = 1, y = 0;
    brood_lock lock = {id};
    brood_semaphore semaphore = {id};
    brood_event event = {id};
    brood_queue queue = {id};
    brood_buffer buffer = {id};
    brood_process process = {id};
    brood_pool pool = {id};
    brood_rlock rlock = {id};
    brood_condition condition = {id}, made;
    brood_barrier barrier = {id};
    brood_bytes bytes[2] = {{data, more}, {data, 1}}, result;
    brood_view view;
    brood_outcome outcome;
    brood_report report;
    brood_map map = {more & 2 ? id : ids[POOL], (uint64_t)more << 32 | (id & 0xff)};
    brood_future forged = {more & 2 ? id : ids[POOL], more & 4 ? id : future.serial ^ more};
    brood_deadlock_member members[2];
    brood_worker workers[4];
    brood_crash crash;
    brood_stream stream = {more & 2 ? id : lasting.id ^ (more & 4 ? 0 : id & 0xff)};
    bool lives; /* this object was there before the call */
#define CALL(table, expression)                      \
    do {                                             \
        lives = brood__slot_find(table, id) != NULL; \
        int64_t answer = (expression);               \
        if (!lives) wants(table, id, answer);        \
    } while (0)
    switch (function) {
    case 0: CALL(TABLE_LOCK, brood_lock_acquire(lock, timeout)); break;
    case 1: CALL(TABLE_LOCK, brood_lock_acquire_checked(lock, timeout)); break;
    case 2: CALL(TABLE_LOCK, brood_lock_release(lock)); break;
    case 3: CALL(TABLE_LOCK, brood_lock_holder(lock)); break;
    case 4: CALL(TABLE_LOCK, brood_lock_free(lock)); break;
    case 5: require(brood_deadlock_find(members, 2) == 0); break;
    case 6: CALL(TABLE_SEMAPHORE, brood_semaphore_acquire(semaphore, timeout)); break;
    case 7: CALL(TABLE_SEMAPHORE, brood_semaphore_release(semaphore)); break;
    case 8: CALL(TABLE_SEMAPHORE, brood_semaphore_value(semaphore)); break;
    case 9: CALL(TABLE_SEMAPHORE, brood_semaphore_free(semaphore)); break;
    case 10: CALL(TABLE_EVENT, brood_event_set(event)); break;
    case 11: CALL(TABLE_EVENT, brood_event_clear(event)); break;
    case 12: CALL(TABLE_EVENT, brood_event_is_set(event)); break;
    case 13: CALL(TABLE_EVENT, brood_event_wait(event, timeout)); break;
    case 14: CALL(TABLE_EVENT, brood_event_free(event)); break;
    case 15: CALL(TABLE_BUFFER, brood_buffer_data(buffer, &size) ? 0 : -1); break;
    case 16: CALL(TABLE_BUFFER, brood_buffer_free(buffer)); break;
    case 17: CALL(TABLE_QUEUE, brood_queue_put(queue, data, more, timeout)); break;
    case 18: CALL(TABLE_QUEUE, brood_queue_put(queue, data, sizeof data, timeout)); break;
    case 19: CALL(TABLE_QUEUE, brood_queue_get(queue, data, more * 16u, &size, timeout)); break;
    case 20: CALL(TABLE_QUEUE, brood_queue_get_exactly(queue, data, more, timeout)); break;
    case 21: CALL(TABLE_QUEUE, brood_queue_put_buffer(queue, (brood_buffer){ids[BUFFER]}, timeout)); break;
    case 22: CALL(TABLE_BUFFER, brood_queue_put_buffer((brood_queue){ids[QUEUE]}, buffer, timeout)); break;
    case 23:
        CALL(TABLE_QUEUE, brood_queue_get_buffer(queue, &buffer, timeout));
        if (buffer.id != id) brood_buffer_free(buffer);
        break;
    case 24:
        memset(&view, 0, sizeof view);
        CALL(TABLE_QUEUE, brood_queue_get_view(queue, &view, timeout));
        brood_view_release(&view);
        break;
    case 25:
        view = (brood_view){data, size, {id, more}};
        CALL(TABLE_BUFFER, brood_view_release(&view));
        break;
    case 26: CALL(TABLE_QUEUE, brood_queue_put_batch(queue, bytes, 2, timeout)); break;
    case 27: CALL(TABLE_QUEUE, brood_queue_get_batch(queue, data, sizeof data, sizes, 4, timeout)); break;
    case 28: CALL(TABLE_QUEUE, brood_queue_close(queue)); break;
    case 29: CALL(TABLE_QUEUE, brood_queue_free(queue)); break;
    case 30: CALL(TABLE_QUEUE, brood_queue_size(queue)); break;
    case 31: CALL(TABLE_QUEUE, brood_queue_empty(queue)); break;
    case 32: CALL(TABLE_QUEUE, brood_queue_full(queue)); break;
    case 33: CALL(TABLE_QUEUE, brood_queue_fd(queue)); break;
    case 34: CALL(TABLE_MEMBER, brood_process_join(process, timeout, &x)); break;
    case 35:
        if (!brood__member_find(id)) wants(TABLE_MEMBER, id, brood_process_terminate(process));
        break;
    case 36:
        if (!brood__member_find(id)) wants(TABLE_MEMBER, id, brood_process_kill(process));
        if (!brood__member_find(id)) wants(TABLE_MEMBER, id, brood_process_signal(process, more % 70));
        break;
    case 37: x = brood_process_exit_code(process); break; /* which may be below 0 */
    case 38: CALL(TABLE_MEMBER, brood_process_is_alive(process)); break;
    case 39: CALL(TABLE_MEMBER, brood_process_pid(process)); break;
    case 40: CALL(TABLE_MEMBER, brood_process_name(process, data, more)); break;
    case 41: CALL(TABLE_MEMBER, brood_process_is_daemon(process)); break;
    case 42: CALL(TABLE_MEMBER, brood_process_sentinel(process)); break;
    case 43:
        if (id != ids[PROCESS]) CALL(TABLE_MEMBER, brood_process_free(process));
        break;
    case 44: CALL(TABLE_POOL, brood_pool_map(pool, same, &x, &y, 1)); break;
    case 45: CALL(TABLE_POOL, brood_pool_map_with(pool, same, &x, &y, 1, .timeout = 1, .report = &report)); break;
    case 46:
        map = (brood_map){0};
        CALL(TABLE_POOL, brood_pool_map_async(pool, &map, same, &x, &y, 1));
        if (map.pool) require(brood_map_wait(map, BROOD_FOREVER, &report) == 0);
        break;
    case 47: require(brood_map_wait(map, timeout, &report) < 0); break;
    case 48:
        forged = (brood_future){0};
        CALL(TABLE_POOL, brood_pool_submit(pool, &forged, same, &x));
        if (forged.pool) require(brood_future_free(forged) == 0);
        break;
    case 49: brood_future_get(forged, &y, timeout, &outcome); break;
    case 50: brood_future_bytes(forged, &result, timeout, &outcome); break;
    case 51: brood_future_done(forged); break;
    case 52:
        if (forged.pool != future.pool || forged.serial != future.serial) require(brood_future_free(forged) < 0);
        break;
    case 53: CALL(TABLE_POOL, brood_pool_apply(pool, same, &x, &y)); break;
    case 54:
        if (!lasts(id)) wants(TABLE_POOL, id, brood_pool_close(pool));
        break;
    case 55:
        if (!lasts(id)) wants(TABLE_POOL, id, brood_pool_terminate(pool));
        break;
    case 56: CALL(TABLE_POOL, brood_pool_join(pool, timeout)); break;
    case 57:
        if (!lasts(id)) wants(TABLE_POOL, id, brood_pool_free(pool));
        break;
    case 58: CALL(TABLE_POOL, brood_pool_workers(pool, workers, 4)); break;
    case 59: CALL(TABLE_POOL, brood_pool_fd(pool)); break;
    case 60:
        if (forged.pool != future.pool || forged.serial != future.serial)
            require(brood_future_cancel(forged, timeout) < 0);
        break;
    case 61: CALL(TABLE_RLOCK, brood_rlock_acquire(rlock, timeout)); break;
    case 62: CALL(TABLE_RLOCK, brood_rlock_acquire_checked(rlock, timeout)); break;
    case 63: CALL(TABLE_RLOCK, brood_rlock_release(rlock)); break;
    case 64: CALL(TABLE_RLOCK, brood_rlock_depth(rlock)); break;
    case 65: CALL(TABLE_RLOCK, brood_rlock_holder(rlock)); break;
    case 66: CALL(TABLE_RLOCK, brood_rlock_free(rlock)); break;
    case 67: CALL(TABLE_CONDITION, brood_condition_acquire(condition, timeout)); break;
    case 68: CALL(TABLE_CONDITION, brood_condition_release(condition)); break;
    case 69: CALL(TABLE_CONDITION, brood_condition_wait(condition, timeout)); break;
    case 70: CALL(TABLE_CONDITION, brood_condition_wait_for(condition, is_odd, &more, timeout)); break;
    case 71: CALL(TABLE_CONDITION, brood_condition_notify(condition, more)); break;
    case 72: CALL(TABLE_CONDITION, brood_condition_notify_all(condition)); break;
    case 73: CALL(TABLE_CONDITION, brood_condition_free(condition)); break;
    case 74:
        made = (brood_condition){0};
        CALL(TABLE_LOCK, brood_condition_new(&made, &(brood_condition_options){.lock = {id ? id : 1}}));
        if (made.id) require(brood_condition_free(made) == 0);
        break;
    case 75:
        made = (brood_condition){0};
        CALL(TABLE_RLOCK, brood_condition_new(&made, &(brood_condition_options){.rlock = {id ? id : 1}}));
        if (made.id) require(brood_condition_free(made) == 0);
        break;
    case 76: CALL(TABLE_BARRIER, brood_barrier_wait(barrier, timeout)); break;
    case 77: CALL(TABLE_BARRIER, brood_barrier_abort(barrier)); break;
    case 78: CALL(TABLE_BARRIER, brood_barrier_reset(barrier)); break;
    case 79: CALL(TABLE_BARRIER, brood_barrier_parties(barrier)); break;
    case 80: CALL(TABLE_BARRIER, brood_barrier_waiting(barrier)); break;
    case 81: CALL(TABLE_BARRIER, brood_barrier_broken(barrier)); break;
    case 82: CALL(TABLE_BARRIER, brood_barrier_free(barrier)); break;
    case 83: CALL(TABLE_CONDITION, brood_condition_wait(condition, timeout)); break;
    case 84: CALL(TABLE_CONDITION, brood_condition_acquire(condition, timeout)); break;
    case 85: require(brood_map_progress(map, &size) < 0); break; /* none is ever begun */
    case 86: require(brood_map_cancel(map) < 0); break;
    case 87:
        if (brood_future_done(forged) < 0) require(brood_future_state(forged) < 0);
        break;
    case 88: CALL(TABLE_POOL, brood_pool_dispatch(pool, timeout)); break;
    case 89:
        stream.id = 0;
        CALL(TABLE_POOL, brood_pool_imap_array(pool, &stream, same, &x, 1));
        if (stream.id == 0) break;
        brood_stream_feed(stream);
        require(brood_stream_free(stream) == 0);
        break;
    case 90: stream_call(stream, brood_stream_next(stream, &y, timeout, &outcome)); break;
    case 91: stream_call(stream, brood_stream_next_bytes(stream, &result, timeout, &outcome)); break;
    case 92: stream_call(stream, brood_stream_feed(stream)); break;
    case 93: stream_call(stream, brood_stream_fd(stream)); break;
    case 94: stream_call(stream, stream.id == lasting.id ? 0 : brood_stream_free(stream)); break;
    case 95: wait_for(handle_item(id, more), timeout); break;
    case 96: wait_in_set(handle_item(id, more), timeout); break;
    case 97: CALL(TABLE_QUEUE, brood_queue_put_priority(queue, data, more, more % 4u, timeout)); break;
    case 98: CALL(TABLE_QUEUE, brood_queue_task_done(queue)); break;
    case 99: CALL(TABLE_QUEUE, brood_queue_join(queue, timeout)); break;
    case 100: CALL(TABLE_QUEUE, brood_queue_lost(queue)); break;
    case 101: stream_call(stream, brood_stream_crash(stream, &crash)); break;
    default: abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!brood_is_member()) LLVMFuzzerInitialize(NULL, NULL);
    for (size_t calls = 0; size >= 10 && calls < 64; calls++, bytes += 10, size -= 10) {
        uint64_t value;
        have_all();
        memcpy(&value, bytes + 2, sizeof value);
        call(bytes[0] % FUNCTIONS, handle(bytes[1], value), (uint8_t)(value >> 56));
    }
    return 0;
}
