/* SPDX-License-Identifier: MIT */
/* start.c - starting a process, by any method.  Thread-safe; not async-signal-safe. */
#include "arena/member.h"
#include "call/error.h"
#include "call/log.h"
#include "call/movable.h"
#include "process/family.h"
#include "process/program.h"
#include "process/supervisor.h"

#include <brood/pipe.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

#define MOST_PASSED 64
#define MOST_CPUS 4096

static int check(const brood_process_options *o, const brood_task *task, const void *arg)
{
    if (!task || task->magic != BROOD_TASK_MAGIC) return BROOD_ETASK;
    if (task->arg_size && !arg) return brood__fail_with(BROOD_EINVAL, "%s wants an argument", task->name);
    if (o->method == BROOD_START_THREAD)
        return brood__fail_with(BROOD_EINVAL, "a process is no thread: BROOD_START_THREAD is for pools");
    if ((unsigned)o->method > BROOD_START_FORKSERVER) return brood__fail_with(BROOD_EINVAL, "no such start method");
    if (o->descriptor_count > MOST_PASSED || (o->descriptor_count && !o->descriptors))
        return brood__fail_with(BROOD_EINVAL, "at most %d descriptors can be passed", MOST_PASSED);
    for (size_t i = 0; i < o->descriptor_count; i++) {
        if (fcntl(o->descriptors[i].from, F_GETFD) < 0)
            return brood__fail_with(BROOD_EINVAL, "descriptor %d is not open", o->descriptors[i].from);
        if (o->descriptors[i].to < 0 || o->descriptors[i].to >= 100)
            return brood__fail_with(BROOD_EINVAL, "descriptors get numbers from 0 to 99");
    }
    if (o->cpu_count > MOST_CPUS || (o->cpu_count && !o->cpus)) return brood__fail_with(BROOD_EINVAL, "bad cpus");
    if (o->start_timeout < 0) return brood__fail_with(BROOD_EINVAL, "start_timeout is negative");
    int error = brood__context_check(o->context);
    if (error < 0) return error;
    if (!o->method && o->context && o->context->method == BROOD_START_THREAD)
        return brood__fail_with(BROOD_EINVAL, "context: a process is no thread: BROOD_START_THREAD is for pools");
    if (o->end_count && !o->ends) return brood__fail_with(BROOD_EINVAL, "NULL for %zu ends of pipes", o->end_count);
    for (size_t i = 0; i < o->end_count; i++) {
        error = HANDLE_TABLE(o->ends[i].id) == TABLE_PIPE ? brood__movable_mine(o->ends[i].id) : BROOD_ESTALE;
        if (error < 0)
            return brood__fail_with(error, "the process can't be given end %zu: %s", i, brood_strerror(error));
    }
    if (o->name && strlen(o->name) > 31) return brood__fail_with(BROOD_EINVAL, "a name has at most 31 bytes");
    return 0;
}

/* What the child is to know and to do; pointers into the caller's memory. */
static int describe(const brood_process_options *o, const brood_task *task, const void *arg, const char *name,
                    char directory[4096], struct preparation *preparation, struct process_object *object)
{
    int error = brood__function_ref(task, &object->function);
    if (error < 0) return error;
    object->function_name = task->name;
    if (task->flags & BROOD_TASK_ARG_BYTES) {
        const brood_bytes *bytes = arg;
        object->arg = bytes->data;
        object->arg_size = bytes->size;
    } else {
        object->arg = arg;
        object->arg_size = task->arg_size;
    }
    object->environment = o->environment ? o->environment : environ;
    object->descriptor_count = o->descriptor_count;
    for (size_t i = 0; i < o->descriptor_count; i++) {
        object->descriptors[i] = o->descriptors[i].to;
        if (brood__prepare_doubled(object->descriptors, i))
            return brood__fail_with(BROOD_EINVAL, "two descriptors get number %d", object->descriptors[i]);
    }
    object->limits = (struct os_limits){.memory = o->memory_limit,
                                        .cpu_seconds = o->cpu_seconds,
                                        .open_files = brood__os_open_files(),
                                        .core_dump = o->core_dump,
                                        .cpu_count = o->cpu_count,
                                        .cpus = o->cpus};
    *preparation = brood__prepared;
    preparation->public.name = name;
    preparation->public.parent = getpid();
    preparation->public.log_level = (int)atomic_load_explicit(&brood__arena()->log_level, memory_order_relaxed);
    preparation->public.directory = o->directory ? o->directory : getcwd(directory, 4096) ? directory : "";
    return 0;
}

/* Wait for the report; a supervisor that dies meanwhile is replaced, and the new one finds the request waiting. */
static int await_report(int channel, brood_start_method method, int64_t deadline)
{
    for (;;) {
        int64_t turn = brood__os_deadline(500);
        if (brood__os_wait_readable(channel, turn < deadline ? turn : deadline)) {
            int code = brood__report_receive(channel, deadline);
            if (code != BROOD_ENOINIT || method == BROOD_START_SPAWN) return code;
            return brood__fail_with(BROOD_ESTART, "the process ended before it reported");
        }
        if (brood__os_now() >= deadline)
            return method == BROOD_START_SPAWN
                       ? brood__fail_with(BROOD_ENOINIT,
                                          "the program did not report in time: does its main call brood_init first?")
                       : brood__fail_with(BROOD_ETIMEDOUT, "the process did not report in time");
        int error = brood__supervisor_ensure(NULL);
        if (error < 0) return error;
    }
}

/*
 * A start that came to nothing: nobody goes on at the other end.  One that waits for our words leaves by itself, for the
 * supervisor may not know of it yet: a server forks first and tells then.
 */
static void discard(int channel, uint32_t member)
{
    char byte;
    if (brood__os_read_all(channel, &byte, 1, 0) == -EPIPE) return;
    brood__os_stream_end(channel);
    uint32_t generation = SLOT_GENERATION(atomic_load(&brood__member_at(member)->slot.word));
    struct request request = {.kind = REQUEST_DISCARD, .member = member, .object = generation};
    if (!brood__supervisor_alive() || brood__supervisor_request(&request, NULL, 0) < 0) return;
    brood__os_read_all(channel, &byte, 1, brood__os_deadline(1000));
}

static int open_channel(int ends[2])
{
    int error = brood__os_stream_pair(ends);
    return error < 0 ? brood__fail_with(error, "no channel to the process: %s", brood_strerror(error)) : 0;
}

/* Of a step between us and a process that is on its way. */
static int channel_failed(int error)
{
    if (error == -ETIMEDOUT) return brood__fail_with(BROOD_ETIMEDOUT, "the process did not report in time");
    return brood__fail_with(error, "the channel to the process failed: %s", brood_strerror(error));
}

/* The child has reported and waits: it has its ends, and then its word to go on; or we have them still. */
static int let_go(int channel, uint32_t member, const brood_process_options *o)
{
    uint64_t id = HANDLE(TABLE_MEMBER, member, brood__member_generation(member));
    size_t given = 0;
    int error = 0;
    while (error == 0 && given < o->end_count) {
        error = brood__movable_give(o->ends[given].id, id);
        if (error == BROOD_ECLOSED) { /* it has ended by now, and what would be its goes with it */
            brood__movable_drop(o->ends[given].id);
            brood__movable_clear();
            error = 0;
        }
        if (error < 0)
            brood__fail_with(error, "the process can't be given end %zu: %s", given, brood_strerror(error));
        else
            given++;
    }
    if (error == 0 && (error = brood__go_send(channel)) < 0) error = channel_failed(error);
    while (error < 0 && given > 0) brood__movable_take_back(o->ends[--given].id, id);
    return error;
}

/* What the child reads of us before it reports. */
static int send_preparation(int channel, struct hello *hello, const struct preparation *preparation,
                            const struct process_object *object, const brood_process_options *o, int64_t deadline)
{
    void *bytes;
    size_t size, n = 0;
    int passed[OS_MAX_FDS];
    int error = brood__prepare_encode(preparation, object, &bytes, &size);
    if (error < 0) return error;
    hello->size = size;
    for (int fd = 0; fd < 3; fd++)
        if (hello->stdio & 1u << fd) passed[n++] = fd;
    for (size_t i = 0; i < o->descriptor_count; i++) passed[n++] = o->descriptors[i].from;
    error = brood__hello_send(channel, hello, passed, n, bytes, deadline);
    if (error == -EPIPE) error = 0; /* its report says why */
    if (error < 0) error = channel_failed(error);
    free(bytes);
    return error;
}

/*
 * Spawn and forkserver: the supervisor forks; the child reads its preparation from us, who prepare it while that is
 * under way.
 */
static int start_elsewhere(uint32_t member, brood_start_method method, uint32_t program,
                           const struct preparation *preparation, struct process_object *object,
                           const brood_process_options *o, int64_t deadline)
{
    int ends[2];
    struct hello hello = {.magic = HELLO_MAGIC,
                          .kind = HELLO_PROCESS,
                          .member = member,
                          .generation = brood__member_generation(member),
                          .method = (uint32_t)method,
                          .stdio = brood__stdio_open(),
                          .gets = (uint32_t)o->end_count};
    int error = open_channel(ends);
    if (error < 0) return error;
    struct request request = {.kind = REQUEST_START, .member = member, .method = (uint32_t)method, .program = program};
    error = brood__supervisor_request(&request, &ends[1], 1);
    brood__os_close(&ends[1]);
    object->ignored_signals = brood__os_ignored_signals(); /* a copy of us has them */
    if (error >= 0) error = send_preparation(ends[0], &hello, preparation, object, o, deadline);
    if (error >= 0) error = await_report(ends[0], method, deadline);
    if (error >= 0 && o->end_count > 0) error = let_go(ends[0], member, o);
    if (error < 0) {
        char detail[DETAIL_SIZE];
        snprintf(detail, sizeof detail, "%s", brood_error_detail());
        discard(ends[0], member);
        brood__fail_with(error, "%s", detail);
    }
    brood__os_close(&ends[0]);
    return error < 0 ? error : 0;
}

static int tell_of(uint32_t member)
{
    return brood__supervisor_request(&(struct request){.kind = REQUEST_WATCH, .member = member}, NULL, 0);
}

/* The start failed, but its process was a member, whose end is to be seen. */
static void tell_of_left(uint32_t member, int error)
{
    char detail[DETAIL_SIZE];
    snprintf(detail, sizeof detail, "%s", brood_error_detail());
    tell_of(member);
    brood__fail_with(error, "%s", detail);
}

/*
 * In the forked child: become the member, stand as told, report, work.  It tells the supervisor of itself as soon as it
 * is a member, and goes on only then: whatever runs is watched.  Its starter's word it awaits only if that has something
 * to give it first.
 *
 * If a process dies here: of a child that was a member and told nobody, its starter tells (it sees the channel's end
 * without a report), and the starter's own death makes the supervisor look at all members.
 */
static _Noreturn void forked_child(uint32_t member, uint32_t generation, const struct preparation *preparation,
                                   const struct process_object *object, int ends[2], bool gets_ends,
                                   const struct os_mask *mask)
{
    int step = 0;
    brood__family_rejoin();
    int error = brood__os_robust_prepare();
    if (error >= 0) {
        error = brood__os_lifeline_watch(brood__self->lifeline_watch, &brood__self->lifeline_mine);
        if (error == -ENOENT) error = 0;
    }
    if (error >= 0) error = brood__os_bell_sender(&brood__self->bell_sender);
    if (error < 0) {
        brood__report_send(ends[1], BROOD_ESTART, OS_STEP_DESCRIPTORS, -error, NULL);
        brood__os_exit_now(127);
    }
    brood__os_set_name(preparation->public.name);
    struct process_object mine = *object;
    if (mine.environment == environ) mine.environment = NULL;
    error = brood__child_stand(preparation, &mine, &step);
    if (error < 0) {
        brood__report_send(ends[1], BROOD_ESTART, step, -error, NULL);
        brood__os_exit_now(127);
    }
    if (!brood__member_attach(member, generation)) brood__os_exit_now(127);
    brood__family_remember();
    brood__prepared = *preparation;
    brood__os_close(&ends[0]);
    error = tell_of(member);
    if (brood__report_send(ends[1], error, 0, 0, error < 0 ? brood_error_detail() : NULL) < 0 || error < 0)
        brood__os_exit_now(127);
    if (gets_ends && !brood__go_await(ends[1])) brood__os_exit_now(127);
    brood__os_close(&ends[1]);
    brood__os_restore_signals(mask);
    brood__child_work(preparation, object, BROOD_START_FORK);
}

void brood__flush_before_fork(void)
{
    if (!brood__os_has_threads()) {
        fflush(NULL);
        return;
    }
    fflush(stdout); /* another stream may be locked by a thread that reads from it, for as long as nothing comes */
    fflush(stderr);
}

/*
 * A start by fork that came to nothing; one whose report comes at the very deadline may have begun, and is ended all the
 * same.  If the child was a member, it may not have told of itself.
 */
static void discard_child(pid_t pid, uint32_t member, int error)
{
    brood__os_end_child(pid);
    if (SLOT_STATE(atomic_load(&brood__member_at(member)->slot.word)) == SLOT_LIVE) tell_of_left(member, error);
}

static int start_by_fork(uint32_t member, const struct preparation *preparation, const struct process_object *object,
                         const brood_process_options *o, int64_t deadline)
{
    int ends[2], hold = brood__self->lifeline_hold;
    uint32_t generation = brood__member_generation(member);
    int error = brood__supervisor_ensure(NULL);
    if (error >= 0) error = open_channel(ends);
    if (error < 0) return error;
    brood__flush_before_fork();
    struct os_mask mask;
    brood__os_block_signals(&mask); /* in the child until it is a member: a handler may be the caller's */
    pid_t pid = brood__os_fork();
    if (pid == 0) {
        brood__os_close(&hold); /* only the first member holds the lifeline */
        forked_child(member, generation, preparation, object, ends, o->end_count > 0, &mask);
    }
    brood__os_restore_signals(&mask);
    brood__os_close(&ends[1]);
    if (pid < 0) {
        error = brood__fail_with((int)pid, "fork failed: %s", brood_strerror((int)pid));
    } else {
        error = brood__report_receive(ends[0], deadline);
        if (error == BROOD_ENOINIT) error = brood__fail_with(BROOD_ESTART, "the process ended before it reported");
        if (error == 0 && o->end_count > 0) error = let_go(ends[0], member, o);
        if (error < 0) discard_child(pid, member, error);
    }
    brood__os_close(&ends[0]);
    return error;
}

#define TRIES 4

/*
 * Whether another supervisor than that of this epoch may have looked at all members before this one was a member, and so
 * knows nothing of it; one that begins later will.
 */
static bool is_unknown(uint32_t epoch)
{
    return SUPERVISOR_EPOCH(atomic_load(&brood__arena()->supervisor.word)) != epoch;
}

/* Whether the supervisor of that epoch is dead. */
static bool was_replaced(uint32_t epoch)
{
    return !brood__supervisor_alive() || is_unknown(epoch);
}

static int start(brood_process *process, const brood_process_options *o, const brood_task *task, const void *arg)
{
    static _Atomic unsigned number;
    int error = brood__enter();
    if (error == 0) error = check(o, task, arg);
    if (error < 0) return error;
    brood_start_method method = o->method;
    if (method == BROOD_START_DEFAULT && o->context) method = o->context->method;
    if (method == BROOD_START_DEFAULT) {
        method = brood_get_start_method();
        if (method == BROOD_START_FORK && brood__os_has_threads())
            return brood__fail_with(BROOD_ETHREADS, "fork in a process with threads: name the method, or use another");
    } else if (method == BROOD_START_FORK && brood__os_has_threads()) {
        static _Atomic bool said;
        if (!atomic_exchange(&said, true))
            brood__log(BROOD_LOG_WARNING, "%s is started by fork in a process with threads", task->name);
    }
    brood__reap_children();
    char name[32], directory[4096];
    if (o->name)
        snprintf(name, sizeof name, "%s", o->name);
    else
        snprintf(name, sizeof name, "%.18s-%u", task->name, atomic_fetch_add(&number, 1u) + 1);
    struct preparation preparation;
    struct process_object object = {0};
    error = describe(o, task, arg, name, directory, &preparation, &object);
    preparation.public.method = method;
    if (error < 0) return error;
    uint32_t program = 0;
    if (method != BROOD_START_FORK) error = brood__program_of(o->context, &program);
    if (error < 0) return error;
    int timeout = o->start_timeout ? o->start_timeout : o->context ? o->context->start_timeout : 0;
    int64_t deadline = brood__os_deadline(timeout ? timeout : brood__arena()->start_timeout);
    for (int tries = 1;; tries++) {
        uint32_t member = 0, epoch = 0;
        error = brood__member_claim(name, ROLE_PROCESS, method, o->daemon, &member);
        if (error < 0) return error;
        uint32_t generation = brood__member_generation(member);
        if (method == BROOD_START_FORKSERVER) brood__member_at(member)->program = program;
        error = brood__supervisor_ensure(&epoch);
        bool was_there = error == 0;
        if (was_there)
            error = method == BROOD_START_FORK
                        ? start_by_fork(member, &preparation, &object, o, deadline)
                        : start_elsewhere(member, method, program, &preparation, &object, o, deadline);
        if (error == 0 && is_unknown(epoch)) error = tell_of(member);
        if (error == 0) {
            process->id = HANDLE(TABLE_MEMBER, member, generation);
            brood__log(BROOD_LOG_INFO, "%s (pid %d) was started by %s to run %s", name,
                       (int)brood__member_at(member)->pid, brood_start_method_name(method), task->name);
            return 0;
        }
        /* The supervisor, or a server, may have taken the request with it: then it can be asked again. */
        bool nothing = brood__process_discard(member), lost = error == BROOD_ELOST;
        if (!nothing && is_unknown(epoch)) tell_of_left(member, error);
        if (tries == TRIES || !(lost || (nothing && was_there && was_replaced(epoch))))
            return lost ? brood__fail_with(BROOD_ESTART, "the server was ended, and so were those after it") : error;
    }
}

int brood_process_start_task(brood_process *process, const brood_process_options *options, const brood_task *task,
                             const void *arg)
{
    static const brood_process_options none;
    int error = start(process, options ? options : &none, task, arg);
    if (error == 0) brood__say_nothing(); /* of tries that failed */
    if (error < 0 && !brood_error_detail()[0]) brood__fail_with(error, "%s", brood_strerror(error));
    return error;
}
