/* SPDX-License-Identifier: MIT */
/*
 * manager.h - objects in a server process, used by members of the family, and by others and other machines that know the
 * key, through proxies.
 *
 *     brood_manager m;
 *     brood_proxy results;
 *     brood_manager_new(&m, NULL);
 *     brood_manager_dict(m, &results);
 *     brood_dict_set(results, brood_v("answer"), brood_v(42));
 *
 * A proxy is plain bytes that mean the same in every member of the family: it may stand in structs, arrays and messages,
 * and in values that objects of the same manager keep.  Copying it is borrowing.  An object lives while it is held: by the
 * process that made it, until brood_proxy_free or its end; by who said brood_proxy_hold; and by the objects that have it
 * in a value.  A value that is taken out of one (get of a queue, pop) brings holds of what it names to who takes it.
 *
 * Members of one family need no server for what they use most: dicts, namespaces, lists, arrays, values and queues of the
 * family's own lie in its arena, and the same calls use them, without a system call where nobody waits.  Which it is, is
 * chosen by how the object is made:
 *
 *     brood_manager_dict(brood_family(), &results);
 *
 * Of these: an object belongs to who made it and is freed with it, or with brood_proxy_free by any member; brood_proxy_hold
 * gives it to the family, so that it lives until it is freed.  What its values name is not held by it, and no object of a
 * server may be among them.  A call is whole or has not been, wherever its process dies (brood_dict_update: each pair
 * is).  BROOD_EARENA: the arena is full, nothing has changed.  BROOD_EDEADLK: in a signal handler that interrupted a call
 * on the same object.  BROOD_ECLOSED: its owner died.  BROOD_ECORRUPT: somebody has written over it.  A queue is a
 * brood_queue that grows, brood_queue q = {proxy.object}, with a value as brood_variant_encode has it in each message; so
 * any queue of such messages may be used through a proxy, and brood_queue_fd and brood_wait with this one.  An item is in
 * the queue or got, whoever dies; join answers BROOD_ELOST where brood_queue_join does, until the method `lost` is asked
 * how many.  What follows of connections and servers is not about them.
 *
 * A process uses one connection for each manager, for all of its threads; a call that waits holds no other up.  What it
 * has through it goes back when the process dies, by whatever death: locks (the next one is told, BROOD_EOWNERDEAD), units
 * of semaphores, holds; its waiting calls are dropped; an item of a queue that it was being handed comes back to the
 * front; a barrier that it waited at is broken; a notification that it had not returned with goes to the next.
 *
 * All calls: 0, or a code, with what the server says in brood_error_detail.  BROOD_ESTALE: the object, or the manager,
 * is not there any more.  BROOD_ELOST: the server has ended, or has dropped this connection: what this process had there
 * is lost; every call says so until brood_manager_disconnect.  BROOD_EAUTH: the server has another key.  BROOD_EINVAL: a
 * method, argument or timeout that can't be.  BROOD_ENOMEM: here or there, also a limit of the server's.  BROOD_EMSGSIZE:
 * longer than the server takes.  BROOD_ENOTMEMBER.  Or an errno of the connection.  Thread-safe; not async-signal-safe.
 * Timeouts in ms: how long the call may wait for what it waits for; 0 tries (BROOD_EAGAIN), else BROOD_ETIMEDOUT.
 * Variants that are given by value are taken, also on failure; a result is the caller's to free, and nil on failure.
 */
#ifndef BROOD_MANAGER_H
#define BROOD_MANAGER_H

#include <brood/base.h>
#include <brood/task.h>
#include <brood/variant.h>

typedef struct brood_manager {
    uint64_t id;
} brood_manager;

typedef struct brood_manager_options {
    const char *address;       /* "/path", "@name" (abstract), "host:port", as brood_listener_new has them; default an
                                     abstract name that nobody else has */
    const void *authkey;       /* default the family's */
    size_t authkey_size;       /* at most 256 bytes */
    brood_start_method method; /* how the server's process is started */
    const brood_task *initializer; /* BROOD_TASK_OF a task without argument, run there first: brood_manager_register */
    size_t max_clients;            /* connections at once; default 10000 */
    size_t max_message;            /* bytes of a request; default 16 MiB */
    size_t max_unread;  /* bytes of answers that a client leaves unread before it is not listened to; also of one
                                     answer at most; default 64 MiB */
    size_t max_waiting; /* calls of a client that wait; default 1024 */
    size_t max_objects; /* that a client has something of; default 65536 */
    size_t max_workers; /* processes of all its pools together; default 1024 */
    size_t max_memory;  /* bytes that the server keeps for all; default half of what machine and cgroup allow */
    int stall_timeout;  /* ms after which a client that reads nothing is dropped; default 30000 */
} brood_manager_options;

/*
 * A type of one's own.  Its functions run in the server, one at a time: they must not wait.  args is a list, looked at
 * only; *result is nil, to be filled, the library's to free.  They answer 0 or a code; brood_fail says why (BROOD_EFAILED
 * for the caller, with the text), brood_alloc gives memory for the call.
 */
typedef struct brood_manager_method {
    const char *name;
    int (*call)(void *state, const brood_variant *args, brood_variant *result);
} brood_manager_method;
typedef struct brood_manager_type {
    const char *name;
    int (*create)(void **state, const brood_variant *args); /* NULL: state is NULL */
    void (*destroy)(void *state);                           /* NULL: nothing to do */
    const brood_manager_method *methods;
    size_t method_count;
} brood_manager_type;

/* What a server has at a moment, as it counts itself; back to what it was when clients have gone. */
typedef struct brood_manager_stats {
    uint64_t clients;  /* connections */
    uint64_t objects;  /* alive */
    uint64_t shares;   /* pairs of a client and an object that it has something of */
    uint64_t waiting;  /* calls that wait */
    uint64_t bytes;    /* kept: objects, values, what is buffered, connections */
    uint64_t requests; /* that came, ever */
    uint64_t ended;    /* connections that ended, ever */
} brood_manager_stats;

/* Stands for a manager where an object is made without one, in the arena. */
static inline brood_manager brood_family(void)
{
    brood_manager family = {1};
    return family;
}

BROOD_BEGIN

/*
 * Start a manager: a server process, a daemon of this one, ended with it.  options may be NULL.
 * 0; BROOD_EINVAL; -EADDRINUSE and other errnos of the address; the codes of brood_process_start; BROOD_EARENA.
 * If this process dies inside or after, the server ends.
 */
BROOD_API int brood_manager_new(brood_manager *manager, const brood_manager_options *options);

/*
 * Use the manager of another family or machine, at its address, with its key.  Connects at once, timeout in ms for that.
 * 0; BROOD_EAUTH; -ECONNREFUSED and other errnos; BROOD_ETIMEDOUT.  All members of this family may use the handle; each
 * connects by itself.
 */
BROOD_API int brood_manager_connect(brood_manager *manager, const char *address, const void *authkey,
                                    size_t authkey_size, int timeout);

/* End the server, if this process made it, else only forget it.  0, BROOD_ESTALE, BROOD_EPERM: another process made it. */
BROOD_API int brood_manager_free(brood_manager manager);

/* Where it listens, as text that brood_manager_connect takes; cut to capacity.  0, BROOD_ESTALE. */
BROOD_API int brood_manager_address(brood_manager manager, char *text, size_t capacity);

/* End this process's connection: what it had there is given back.  The next call connects anew. */
BROOD_API int brood_manager_disconnect(brood_manager manager);

BROOD_API int brood_manager_get_stats(brood_manager manager, brood_manager_stats *stats);

/* In the initializer: have a type of one's own; *type and what it names have to stay.  0, BROOD_EINVAL, BROOD_ENOMEM. */
BROOD_API int brood_manager_register(const brood_manager_type *type);

/* ------------------------------------------------------------------------------------------------------- proxies */

/* Make an object of any type; args: a list of what its type takes, or nil.  This process holds it. */
BROOD_API int brood_proxy_new(brood_proxy *proxy, brood_manager manager, const char *type, brood_variant args);
/*
 * Call any method; args: a list, as brood_variant_list("key", 1), or nil.  result may be NULL.
 * The built-in types have these methods (? may be left out); for most of them there is a function below:
 *     dict, Namespace    get(key, default?) set(key, value) delete(key) has(key) size pop(key, default?) popitem
 *                        setdefault(key, value) keys values items copy update(map) clear
 *     list               get(index) set(index, item) append(item) extend(list) insert(index, item) delete(index)
 *                        pop(index?) remove(item) index(item) count(item) clear size slice(from?, to?) copy sort reverse
 *     Array              get(index) set(index, item) size slice(from?, to?)
 *     Value              get set(item)
 *     Queue              put(item) get size qsize empty full; JoinableQueue besides: task_done join, and without a server
 *                        lost
 *     Lock, RLock        acquire release locked; Semaphore, BoundedSemaphore: acquire release value
 *     Condition          acquire release wait notify(n?) notify_all
 *     Event              set clear is_set wait
 *     Barrier            wait reset abort parties n_waiting broken
 *     Pool               apply(function, args) map(function, items) starmap(function, lists of args), of each an _async;
 *                        imap(function, items) imap_unordered(function, items) close terminate join
 *     AsyncResult        get wait ready successful; IMapIterator: next
 */
BROOD_API int brood_proxy_call(brood_proxy proxy, const char *method, brood_variant args, brood_variant *result,
                               int timeout);
/*
 * One hold more of this process; one less.  BROOD_EPERM: it holds it not.
 * Of the family's own: hold gives it to the family, free ends it, whoever has it.
 */
BROOD_API int brood_proxy_hold(brood_proxy proxy);
BROOD_API int brood_proxy_free(brood_proxy proxy);

/* The built-in types, by their names in Python. */
BROOD_API int brood_manager_dict(brood_manager manager, brood_proxy *dict);
BROOD_API int brood_manager_list(brood_manager manager, brood_proxy *list);
BROOD_API int brood_manager_namespace(brood_manager manager, brood_proxy *names);
/* max_items 0: any number. */
BROOD_API int brood_manager_queue(brood_manager manager, brood_proxy *queue, size_t max_items);
BROOD_API int brood_manager_joinable_queue(brood_manager manager, brood_proxy *queue, size_t max_items);
BROOD_API int brood_manager_lock(brood_manager manager, brood_proxy *lock);
BROOD_API int brood_manager_rlock(brood_manager manager, brood_proxy *lock);
BROOD_API int brood_manager_semaphore(brood_manager manager, brood_proxy *semaphore, unsigned units);
BROOD_API int brood_manager_bounded_semaphore(brood_manager manager, brood_proxy *semaphore, unsigned units);
/* lock: a lock or rlock of this manager, or NULL for an rlock of its own. */
BROOD_API int brood_manager_condition(brood_manager manager, brood_proxy *condition, const brood_proxy *lock);
BROOD_API int brood_manager_event(brood_manager manager, brood_proxy *event);
BROOD_API int brood_manager_barrier(brood_manager manager, brood_proxy *barrier, unsigned parties);
BROOD_API int brood_manager_value(brood_manager manager, brood_proxy *value, brood_variant initial);
/* An array of the length of the list `initial`, for ever. */
BROOD_API int brood_manager_array(brood_manager manager, brood_proxy *array, brood_variant initial);

/* ---------------------------------------------------------------------------------------------- dicts, namespaces */

/*
 * BROOD_EMISSING: the key is not there.  value may be NULL in pop.  set adds the key, or replaces what it had:
 * brood_dict_set(d, brood_v("answer"), brood_v(42)).  A map that get answers is a copy: change it by brood_variant_put,
 * and set it again, or keep a dict in the dict (brood_v(its proxy)), which is changed where it is.
 */
BROOD_API int brood_dict_get(brood_proxy dict, brood_variant key, brood_variant *value);
BROOD_API int brood_dict_set(brood_proxy dict, brood_variant key, brood_variant value);
BROOD_API int brood_dict_delete(brood_proxy dict, brood_variant key);
BROOD_API int brood_dict_pop(brood_proxy dict, brood_variant key, brood_variant *value);
/* 1: it is there, 0: not. */
BROOD_API int brood_dict_has(brood_proxy dict, brood_variant key);
/* How many keys; or a code. */
BROOD_API int64_t brood_dict_size(brood_proxy dict);
/* Lists, in the order in which the keys came: of keys, of values, of [key, value]; a copy of all as a map. */
BROOD_API int brood_dict_keys(brood_proxy dict, brood_variant *keys);
BROOD_API int brood_dict_values(brood_proxy dict, brood_variant *values);
BROOD_API int brood_dict_items(brood_proxy dict, brood_variant *items);
BROOD_API int brood_dict_copy(brood_proxy dict, brood_variant *map);
/* Set all pairs of a map. */
BROOD_API int brood_dict_update(brood_proxy dict, brood_variant map);
BROOD_API int brood_dict_clear(brood_proxy dict);

/* --------------------------------------------------------------------------------------------------- lists, arrays */

/* An index below 0 counts from the end.  BROOD_EMISSING: it is out of range, or the list is empty. */
BROOD_API int brood_list_append(brood_proxy list, brood_variant item);
BROOD_API int brood_list_get(brood_proxy list, int64_t index, brood_variant *item);
BROOD_API int brood_list_set(brood_proxy list, int64_t index, brood_variant item);
BROOD_API int brood_list_insert(brood_proxy list, int64_t index, brood_variant item);
BROOD_API int brood_list_delete(brood_proxy list, int64_t index);
BROOD_API int brood_list_pop(brood_proxy list, int64_t index, brood_variant *item);
BROOD_API int brood_list_extend(brood_proxy list, brood_variant items);
/* The items from, to, `to` not among them; INT64_MAX: to the end. */
BROOD_API int brood_list_slice(brood_proxy list, int64_t from, int64_t to, brood_variant *items);
BROOD_API int64_t brood_list_size(brood_proxy list);

/* ----------------------------------------------------------------------------------- the others, each by what it has */

/* Locks, recursive locks, semaphores, the lock of a condition.  BROOD_EOWNERDEAD: acquired, its last holder died. */
BROOD_API int brood_proxy_acquire(brood_proxy proxy, int timeout);
BROOD_API int brood_proxy_release(brood_proxy proxy);
/*
 * Wait for an event, a notification (holding the lock: BROOD_EPERM; with timeout 0 BROOD_EAGAIN at once), a barrier's
 * others.  Of a barrier the answer is this one's number, from 0 to parties - 1; BROOD_EBROKEN.
 */
BROOD_API int brood_proxy_wait(brood_proxy proxy, int timeout);
/* Conditions: wake n of the waiters; SIZE_MAX: all. */
BROOD_API int brood_proxy_notify(brood_proxy condition, size_t n);
/* Events. */
BROOD_API int brood_proxy_set(brood_proxy event);
BROOD_API int brood_proxy_clear(brood_proxy event);
BROOD_API int brood_proxy_is_set(brood_proxy event);
/* Queues.  An item that was got is this process's; one that dies before the call returns has not got it. */
BROOD_API int brood_proxy_put(brood_proxy queue, brood_variant item, int timeout);
BROOD_API int brood_proxy_get(brood_proxy queue, brood_variant *item, int timeout);
BROOD_API int64_t brood_proxy_size(brood_proxy queue);
BROOD_API int brood_proxy_task_done(brood_proxy queue);
BROOD_API int brood_proxy_join(brood_proxy queue, int timeout);
/* Values. */
BROOD_API int brood_proxy_load(brood_proxy value, brood_variant *content);
BROOD_API int brood_proxy_store(brood_proxy value, brood_variant content);

/* ---------------------------------------------------------------------------------------------------------------- pools */

/*
 * A function over variants, for the workers of a manager's pool:
 *
 *     BROOD_VARIANT_TASK(area, args, result)
 *     {
 *         double w, h;
 *         if (brood_variant_get_float(brood_variant_at(args, 0), &w) < 0) return BROOD_EINVAL;
 *         if (brood_variant_get_float(brood_variant_at(args, 1), &h) < 0) return BROOD_EINVAL;
 *         *result = brood_v(w * h);
 *         return 0;
 *     }
 *
 * defines `int area(const brood_variant *args, brood_variant *result)`, an ordinary function, and beside it the record by
 * which others name it; `static` may stand in front.  args is a list, looked at only; *result is nil, to be filled, the
 * library's to free.  What it answers other than 0 is as brood_fail with that code and brood_error_detail; brood_fail,
 * brood_task_stopping and brood_task_seed are as in any task.  Objects that args name can be used, through the worker's own
 * connection, and be named in the result.
 */
#define BROOD_VARIANT_TASK(name, args, result)                                                             \
    int name(const brood_variant *args, brood_variant *result);                                            \
    __attribute__((unused)) static void name##__call(const void *brood__arg, void *brood__result)          \
    {                                                                                                      \
        brood__variant_task(name, brood__arg, brood__result);                                              \
    }                                                                                                      \
    static const brood_task name##__task __attribute__((used)) = {                                         \
        BROOD_TASK_MAGIC,                                                                                  \
        #name,                                                                                             \
        sizeof(brood_bytes),                                                                               \
        sizeof(brood_bytes),                                                                               \
        (unsigned)BROOD_TASK_ARG_BYTES | (unsigned)BROOD_TASK_RESULT_BYTES | (unsigned)BROOD_TASK_VARIANT, \
        0,                                                                                                 \
        name##__call,                                                                                      \
    };                                                                                                     \
    int name(const brood_variant *args, brood_variant *result)
BROOD_API void brood__variant_task(int (*function)(const brood_variant *args, brood_variant *result), const void *arg,
                                   void *result);

/*
 * In the initializer: let managers of other families name this one's task, as its name; the family's own members need
 * not ask.  Whoever knows the key may call what is registered, and any BROOD_VARIANT_TASK of the program if it knows
 * where it lies; so let them take nothing on trust.  0, BROOD_ETASK, BROOD_EINVAL: the name is taken, BROOD_ENOMEM.
 */
BROOD_API int brood_manager_register_task(const brood_task *task);

/*
 * A pool of worker processes (0: brood_cpu_count), started by the server, as it was itself.  brood_proxy_new with the
 * type "Pool" takes workers and max_tasks_per_child.  It ends when it is not held any more and all is done that was
 * asked of it.  BROOD_ENOMEM: max_workers.
 */
BROOD_API int brood_manager_pool(brood_manager manager, brood_proxy *pool, unsigned workers);

/*
 * Run task(args), or task(item) for each item of a list, or task(item, item, ...) for each list of a list (starmap), in
 * the pool, and wait; timeout in ms for all of it.  The results of a map are a list in the order of the items; if some
 * fail, the first of these is what is told, after all have ended.
 * 0; BROOD_EFAILED: brood_fail, with its text; BROOD_ELOST: the worker died in it, and brood_error_detail has the task,
 * the worker, what ended it and the address of the fault; BROOD_ETIMEDOUT: what has not begun never will, and what runs
 * runs for nobody; timeout 0 is BROOD_EAGAIN, nothing is begun; BROOD_ECANCELED, BROOD_ECLOSED: the pool was terminated,
 * closed; BROOD_ETASK, BROOD_EMODULE: no such function there; and the errors of workers that can't start.
 * args may be nil.  Others are served meanwhile, and clients' jobs in one pool take turns.
 */
#define brood_proxy_apply(pool, task, args, result, timeout) \
    brood_proxy_apply_task(pool, BROOD_TASK_OF(task), args, result, timeout)
#define brood_proxy_map(pool, task, items, results, timeout) \
    brood_proxy_map_task(pool, BROOD_TASK_OF(task), items, results, timeout)
#define brood_proxy_starmap(pool, task, items, results, timeout) \
    brood_proxy_starmap_task(pool, BROOD_TASK_OF(task), items, results, timeout)
BROOD_API int brood_proxy_apply_task(brood_proxy pool, const brood_task *task, brood_variant args,
                                     brood_variant *result, int timeout);
BROOD_API int brood_proxy_map_task(brood_proxy pool, const brood_task *task, brood_variant items,
                                   brood_variant *results, int timeout);
BROOD_API int brood_proxy_starmap_task(brood_proxy pool, const brood_task *task, brood_variant items,
                                       brood_variant *results, int timeout);

/*
 * The same without the wait: *answer is an object that this process holds, of which any may ask brood_proxy_get (as
 * above, more than once), brood_proxy_wait, brood_proxy_ready, brood_proxy_successful.  When nobody holds it any more,
 * what has not begun never will.
 */
#define brood_proxy_apply_async(pool, answer, task, args) \
    brood_proxy_apply_async_task(pool, answer, BROOD_TASK_OF(task), args)
#define brood_proxy_map_async(pool, answer, task, items) \
    brood_proxy_map_async_task(pool, answer, BROOD_TASK_OF(task), items)
#define brood_proxy_starmap_async(pool, answer, task, items) \
    brood_proxy_starmap_async_task(pool, answer, BROOD_TASK_OF(task), items)
BROOD_API int brood_proxy_apply_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task,
                                           brood_variant args);
BROOD_API int brood_proxy_map_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task,
                                         brood_variant items);
BROOD_API int brood_proxy_starmap_async_task(brood_proxy pool, brood_proxy *answer, const brood_task *task,
                                             brood_variant items);
/* 1: all has ended, 0: not yet.  1: and each with a result, 0: not so, BROOD_EINVAL: it has not ended. */
BROOD_API int brood_proxy_ready(brood_proxy answer);
BROOD_API int brood_proxy_successful(brood_proxy answer);

/*
 * Results one by one, each as soon as it is there: in the order of the items, or in which they come.  At most 256 are
 * made ahead of who takes them.  next: 1, and *result is the next one; 0: there are no more; what became of an item, as
 * above, and the next call goes on behind it; BROOD_EAGAIN, BROOD_ETIMEDOUT: not yet.
 */
#define brood_proxy_imap(pool, iterator, task, items) brood_proxy_imap_task(pool, iterator, BROOD_TASK_OF(task), items)
#define brood_proxy_imap_unordered(pool, iterator, task, items) \
    brood_proxy_imap_unordered_task(pool, iterator, BROOD_TASK_OF(task), items)
BROOD_API int brood_proxy_imap_task(brood_proxy pool, brood_proxy *iterator, const brood_task *task,
                                    brood_variant items);
BROOD_API int brood_proxy_imap_unordered_task(brood_proxy pool, brood_proxy *iterator, const brood_task *task,
                                              brood_variant items);
BROOD_API int brood_proxy_next(brood_proxy iterator, brood_variant *result, int timeout);

/*
 * No more work is taken (BROOD_ECLOSED), what was is finished; or what is open is BROOD_ECANCELED, and the workers are
 * killed.  Then brood_proxy_join waits until they have left (before: BROOD_EINVAL).
 */
BROOD_API int brood_proxy_close(brood_proxy pool);
BROOD_API int brood_proxy_terminate(brood_proxy pool);

BROOD_END

#endif
