/* SPDX-License-Identifier: MIT */
/*
 * child.c - what a started process does before its function, and with its result.  It runs in the child's one thread.
 */
#include "arena/member.h"
#include "call/call.h"
#include "call/error.h"
#include "call/log.h"
#include "process/bootstrap.h"
#include "process/family.h"
#include "process/server.h"
#include "sync/wait.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void give_up(int channel, int code, int step, int error)
{
    if (!step && code > BROOD_ENOTMEMBER) /* an errno: of this process, not of who asked for it */
        code = brood__fail_with(BROOD_ESTART, "the process could not begin: %s", brood_strerror(code));
    brood__report_send(channel, code, step, error, step ? NULL : brood_error_detail());
    brood__os_exit_now(127);
}

/* Nobody reads it: setenv replaces the list, and those who look for leaks at the end would take it for one. */
static char **volatile environment_list;

/* The strings stay where they are; the list is this process's own to change, and never freed. */
static int take_environment(char *const *strings)
{
    size_t count = 0;
    while (strings[count]) count++;
    char **own = malloc((count + 1) * sizeof *own);
    if (!own) return -ENOMEM;
    memcpy(own, strings, (count + 1) * sizeof *own);
    environment_list = own;
    environ = own;
    return 0;
}

int brood__child_stand(const struct preparation *preparation, const struct process_object *object, int *step)
{
    *step = OS_STEP_ENVIRONMENT;
    int error = object->environment ? take_environment(object->environment) : 0;
    if (error < 0) return error;
    *step = OS_STEP_DIRECTORY;
    const char *directory = preparation->public.directory;
    if (directory && directory[0] && chdir(directory) < 0) return -errno;
    return brood__os_apply_limits(&object->limits, step);
}

/* Standard descriptors and the passed ones get their numbers. */
static int place(const struct hello *hello, int *fds, size_t count, const struct process_object *object)
{
    int from[OS_MAX_FDS], to[OS_MAX_FDS];
    size_t n = 0, standard = 0;
    for (int fd = 0; fd < 3; fd++) {
        if (!(hello->stdio & 1u << fd)) {
            close(fd); /* closed in the parent, closed here */
            continue;
        }
        if (standard >= count) return -EINVAL;
        from[n] = fds[standard++];
        to[n++] = fd;
    }
    if (count - standard != object->descriptor_count) return -EINVAL;
    for (size_t i = 0; i < object->descriptor_count; i++) {
        from[n] = fds[standard + i];
        to[n++] = object->descriptors[i];
    }
    return brood__os_place_descriptors(from, to, n);
}

static int move_up(int *fd, int least)
{
    if (*fd >= least) return 0;
    int moved = brood__os_duplicate(*fd, least);
    if (moved < 0) return moved;
    brood__os_close(fd);
    *fd = moved;
    return 0;
}

/* All that there are go out of the way of any number that a passed descriptor is to get. */
static int settle_own_descriptors(int *channel, int *fds, size_t count, const struct process_object *object)
{
    struct self *self = brood__self;
    int least = 3;
    for (size_t i = 0; i < object->descriptor_count; i++)
        if (object->descriptors[i] >= least) least = object->descriptors[i] + 1;
    int error = move_up(channel, least);
    if (error >= 0) error = move_up(&self->memory, least);
    if (error >= 0) error = move_up(&self->listener, least);
    if (error >= 0) error = move_up(&self->lifeline_watch, least);
    for (size_t i = 0; i < count && error >= 0; i++) error = move_up(&fds[i], least);
    return error;
}

/* Join the family with the descriptors of the hello, unless it was inherited with the memory. */
static int join(const struct hello *hello, int *fds, bool inherited)
{
    if (inherited) {
        for (int i = 0; i < HELLO_FIXED_FDS; i++) brood__os_close(&fds[i]);
    } else {
        int error = brood__arena_attach(fds[0]);
        if (error < 0) return error == -ENOSYS ? BROOD_EUNSUPPORTED : error;
        brood__self->listener = fds[1];
        brood__self->lifeline_watch = fds[2];
    }
    (void)hello;
    return brood__os_robust_prepare() < 0 ? BROOD_EUNSUPPORTED : 0;
}

/* The preparation, into memory that nobody else can change. */
static int fetch(int channel, const struct hello *hello, void *bytes, int64_t deadline)
{
    if (!hello->place) return brood__os_read_all(channel, bytes, (size_t)hello->size, deadline);
    if (hello->place >= brood__arena()->size || !brood__in_arena(brood__at(hello->place), (size_t)hello->size))
        return BROOD_ECORRUPT;
    memcpy(bytes, brood__at(hello->place), (size_t)hello->size);
    return 0;
}

/*
 * What main wrote before brood_init it wrote in the first member too.  Its standard output led nowhere meanwhile
 * (os.h), and what is still in buffers is dropped.
 */
static void forget_output(void)
{
    __fpurge(stdout);
    __fpurge(stderr);
}

/* Buffering was chosen for where standard output led to before. */
static void settle_output(void)
{
    if (__fbufsize(stdout) > 1 && isatty(1)) setvbuf(stdout, NULL, _IOLBF, 0);
}

/* The last descriptor is its channel. */
static _Noreturn void become_server(const struct hello *hello, int fds[], size_t count, int channel)
{
    static const struct process_object nothing;
    int *passed = fds + HELLO_FIXED_FDS;
    size_t n = count - HELLO_FIXED_FDS;
    int error = n > 0 ? settle_own_descriptors(&channel, passed, n, &nothing) : -EINVAL;
    if (error >= 0) error = place(hello, passed, n - 1, &nothing);
    if (error >= 0) settle_output();
    if (error >= 0) error = brood__os_lifeline_watch(brood__self->lifeline_watch, &brood__self->lifeline_mine);
    if (error >= 0 || error == -ENOENT) error = brood__os_bell_sender(&brood__self->bell_sender);
    if (error < 0) give_up(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, -error);
    if (!brood__member_attach(hello->member, hello->generation)) brood__os_exit_now(127);
    brood__family_remember();
    brood__on_tick = brood__supervisor_tick;
    brood__server_run(hello->program, channel, passed[n - 1]);
}

_Noreturn void brood__child_run(int channel, bool inherited)
{
    struct hello hello;
    int fds[OS_MAX_FDS];
    size_t count = OS_MAX_FDS;
    int64_t deadline = brood__os_deadline(60000);
    if (!inherited) forget_output();
    brood__os_set_inheritable(channel, false);
    brood__os_fill_standard();
    ssize_t size = brood__os_receive(channel, &hello, sizeof hello, fds, &count, deadline);
    if (size == -EMFILE || size == -ENFILE) give_up(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, (int)-size);
    if (size < 0) {
        brood__fail_with(BROOD_ESTART, "the bootstrap channel could not be read: %s", brood_strerror((int)size));
        give_up(channel, BROOD_ESTART, 0, 0);
    }
    if (size != sizeof hello || hello.magic != HELLO_MAGIC || count < HELLO_FIXED_FDS) {
        brood__fail_with(BROOD_ECORRUPT, "the bootstrap channel brought no hello of this version of Brood");
        give_up(channel, BROOD_ECORRUPT, 0, 0);
    }
    if (hello.kind == HELLO_SUPERVISOR) brood__supervisor_run(&hello, fds, count, channel);

    int error = join(&hello, fds, inherited), step = 0;
    if (error < 0) give_up(channel, error, 0, 0);
    if (hello.kind == HELLO_SERVER) become_server(&hello, fds, count, channel);
    if (hello.size > PREPARE_MOST) give_up(channel, BROOD_ECORRUPT, 0, 0);
    void *bytes = malloc(hello.size ? (size_t)hello.size : 1), *memory;
    struct preparation preparation;
    struct process_object object;
    error = bytes ? fetch(channel, &hello, bytes, deadline) : BROOD_ENOMEM;
    if (error >= 0) error = brood__prepare_decode(bytes, (size_t)hello.size, &preparation, &object, &memory);
    if (error < 0) give_up(channel, error, 0, 0);
    free(bytes);

    error = settle_own_descriptors(&channel, fds + HELLO_FIXED_FDS, count - HELLO_FIXED_FDS, &object);
    if (error >= 0) error = place(&hello, fds + HELLO_FIXED_FDS, count - HELLO_FIXED_FDS, &object);
    if (error < 0) give_up(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, -error);
    settle_output();
    error = brood__os_lifeline_watch(brood__self->lifeline_watch, &brood__self->lifeline_mine);
    if (error >= 0 || error == -ENOENT) error = brood__os_bell_sender(&brood__self->bell_sender);
    if (error < 0) give_up(channel, BROOD_ESTART, OS_STEP_DESCRIPTORS, -error);
    brood__os_set_name(preparation.public.name);
    error = brood__child_stand(&preparation, &object, &step);
    if (error < 0) give_up(channel, BROOD_ESTART, step, -error);
    const brood_task *task;
    if (object.function) error = brood__function_find(object.function, &task);
    if (error < 0) give_up(channel, error, 0, 0);
    /* From here on it is a member; if its starter died meanwhile, nobody wants it. */
    if (!brood__member_attach(hello.member, hello.generation)) brood__os_exit_now(127);
    brood__family_remember();
    brood__on_tick = brood__supervisor_tick;
    brood__prepared = preparation;
    if (brood__report_send(channel, 0, 0, 0, NULL) < 0) brood__os_exit_now(127);
    if (hello.gets && !brood__go_await(channel)) brood__os_exit_now(127);
    brood__os_close(&channel);
    brood__child_work(&preparation, &object, (brood_start_method)hello.method);
}

/* A pool's worker: the area above that has work for it takes over. */
static int work_for_area(const brood_task *initializer, const struct process_object *object)
{
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->work) return (*area)->work(initializer, object->arg, object->arg_size);
    return 127;
}

/* A pool's workers leave the keys and the end of a terminal to their program. */
#define FOR_THE_PROGRAM (OS_SIGNAL_BIT(SIGINT) | OS_SIGNAL_BIT(SIGQUIT) | OS_SIGNAL_BIT(SIGHUP))

#define SMALL_RESULT 256 /* bytes */

_Noreturn void brood__child_work(const struct preparation *preparation, const struct process_object *object,
                                 brood_start_method method)
{
    int code = 0;
    const brood_task *task = NULL;
    (void)preparation;
    /* What came for this process since its fork comes now.  A copy of its starter has the starter's signals again. */
    if (object->worker || method != BROOD_START_FORK)
        brood__os_begin_signals(object->ignored_signals | (object->worker ? FOR_THE_PROGRAM : 0));
    if (object->function && brood__function_find(object->function, &task) < 0) task = NULL;
    if (object->worker) {
        code = work_for_area(task, object);
    } else if (task) {
        struct call call;
        brood__call_begin(&call);
        /* A small one lies here: memory of the heap would be five more pages that a fork has to copy. */
        _Alignas(max_align_t) char small[SMALL_RESULT] = {0};
        void *result = task->result_size <= sizeof small ? small : calloc(1, task->result_size);
        brood_bytes bytes = {object->arg, object->arg_size};
        if (result) task->call(task->flags & BROOD_TASK_ARG_BYTES ? (const void *)&bytes : object->arg, result);
        if (!result) {
            brood__log(BROOD_LOG_ERROR, "%s: no memory for its result, of %zu bytes", task->name, task->result_size);
            code = 1;
        } else if (call.fail) {
            brood__log(BROOD_LOG_ERROR, "%s: %s (%d)", task->name, call.text, call.fail);
            code = 1;
        } else if (task->flags & BROOD_TASK_RESULT_INT) {
            int value;
            memcpy(&value, result, sizeof value);
            code = value & 0xff;
        }
        if (result != small) free(result);
        brood__call_end(&call);
    }
    brood__log(BROOD_LOG_DEBUG, "goes, with exit code %d", code);
    fflush(NULL);
    brood__member_ended(brood__self->member, ENDED_SAID, code); /* exit handlers may have another end in store */
    if (method == BROOD_START_FORK) brood__os_exit_now(code);   /* the parent's exit handlers are not this process's */
    exit(code);
}
