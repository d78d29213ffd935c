/* SPDX-License-Identifier: MIT */
/*
 * launch.c - starting processes as the supervisor: for members that ask by REQUEST_START, whose channel comes with it, and
 * for areas, whose report comes here.
 */
#include "process/office.h"

#include "arena/member.h"
#include "call/error.h"
#include "process/family.h"
#include "process/program.h"
#include "process/server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t own_program; /* of which this process is, see program.h */

static _Noreturn void become_program(int channel, uint32_t index)
{
    extern char **environ;
    struct program program;
    char value[32], name[] = BOOTSTRAP_VARIABLE;
    name[sizeof name - 2] = 0; /* without the '=' */
    snprintf(value, sizeof value, "%d:%d", (int)getpid(), channel);
    setenv(name, value, 1); /* the rest of it is for the loader; its own comes by the channel */
    int error = brood__os_set_inheritable(channel, true);
    if (error >= 0 && !brood__program_read(index, &program)) error = -ENOENT;
    char *path = error >= 0 && program.path[0] ? program.path : NULL;
    char *argv[] = {path ? path : (char *)"brood", NULL};
    if (error >= 0) error = brood__os_exec(path, argv, environ);
    brood__report_send(channel, BROOD_EEXEC, OS_STEP_EXEC, -error, NULL);
    brood__os_exit_now(127);
}

/* In the fork of the supervisor: nothing of it stays but the family; the channel says what to be. */
static _Noreturn void started_child(int channel, brood_start_method method, uint32_t program)
{
    int keep[] = {0, 1, 2, channel, brood__self->memory, brood__self->listener, brood__self->lifeline_watch};
    brood__os_close_all_but(keep, sizeof keep / sizeof *keep);
    if (method == BROOD_START_SPAWN) become_program(channel, program);
    brood__child_run(channel, true);
}

/* Fork; the channel's end is the child's.  0 or -errno. */
static int launch(uint32_t member, brood_start_method method, uint32_t program, int channel)
{
    if (method == BROOD_START_FORKSERVER && program != own_program && program != 0)
        return brood__server_launch(program, member, channel);
    if (!brood__spares_keep()) return -EMFILE; /* it could not be watched */
    if (method != BROOD_START_SPAWN) brood__module_recognize();
    pid_t pid = brood__os_fork();
    if (pid == 0) {
        brood__family_rejoin();
        started_child(channel, method, program);
    }
    if (pid < 0) return (int)pid;
    struct os_process process = {pid, 0};
    int error = brood__supervisor_watch_pid(member, &process);
    if (error < 0) { /* nobody would reap it */
        brood__os_end_child(pid);
        if (member < brood__watched_count) brood__watched[member].wanted = 0;
    }
    return error;
}

void brood__launch_asked(const struct request *request, int *fds, size_t count)
{
    if (count != 1 || request->member == 0 || request->member >= brood__member_count()) return;
    int error = launch(request->member, (brood_start_method)request->method, (uint32_t)request->program, fds[0]);
    int step = brood__is_scarce(error) ? OS_STEP_DESCRIPTORS : OS_STEP_FORK;
    if (error < 0) brood__report_send(fds[0], BROOD_ESTART, step, -error, NULL);
}

/* The caller gave up waiting for the report of this start. */
void brood__launch_discard(const struct request *request)
{
    uint32_t index = request->member;
    if (index >= brood__watched_count || brood__watched[index].pidfd < 0) return;
    if (brood__watched[index].generation == (uint32_t)request->object) brood__supervisor_kill(index);
}

/* ------------------------------------------------------------------------------------------------------ for areas */

void brood__launch_tell(uint32_t member, int code)
{
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->started) (*area)->started(member, code, code < 0 ? brood_error_detail() : "");
}

/* Of a start that was given up. */
void brood__launch_forget(struct watched *w)
{
    if (w->report >= 0) brood__os_poller_remove(brood__office_poller, w->report);
    brood__os_close(&w->report);
}

/* Send the hello, launch, and wait for the report. */
static int begin(struct hello *hello, const int *passed, size_t n, uint32_t program)
{
    uint32_t member = hello->member;
    int ends[2];
    if (!brood__watch_room(member)) return -ENOMEM;
    hello->magic = HELLO_MAGIC;
    hello->generation = brood__member_generation(member);
    int error = brood__os_stream_pair(ends);
    if (error < 0) return error;
    error = brood__hello_send(ends[0], hello, passed, n, NULL, 0); /* it fits, or it is an error: we don't wait */
    if (error >= 0) error = launch(member, (brood_start_method)hello->method, program, ends[1]);
    brood__os_close(&ends[1]);
    if (error >= 0) {
        error = brood__os_poller_add(brood__office_poller, ends[0], TAG(TAG_REPORT, member));
        if (error < 0) brood__supervisor_kill(member); /* it is watched, and nobody wants it */
    }
    if (error < 0) {
        brood__os_close(&ends[0]);
        return error;
    }
    brood__launch_forget(&brood__watched[member]);
    brood__watched[member].report = ends[0];
    return 0;
}

int brood__supervisor_start(uint32_t member, brood_start_method method, uint32_t program, const int stdio_fds[3],
                            const void *bytes, size_t size)
{
    struct hello hello = {.kind = HELLO_PROCESS, .member = member, .method = (uint32_t)method, .size = size};
    hello.place = brood__offset(bytes);
    int passed[3];
    size_t n = 0;
    for (int fd = 0; fd < 3; fd++) {
        if (stdio_fds[fd] < 0) continue;
        hello.stdio |= 1u << fd;
        passed[n++] = stdio_fds[fd];
    }
    return begin(&hello, passed, n, program);
}

int brood__supervisor_start_server(uint32_t member, uint32_t program, int channel)
{
    struct hello hello = {.kind = HELLO_SERVER, .member = member, .method = BROOD_START_SPAWN, .program = program};
    int passed[4];
    size_t n = 0;
    hello.stdio = brood__stdio_open();
    for (int fd = 0; fd < 3; fd++)
        if (hello.stdio & 1u << fd) passed[n++] = fd;
    passed[n++] = channel;
    return begin(&hello, passed, n, program);
}

void brood__launch_report(uint32_t member)
{
    struct watched *w = &brood__watched[member];
    int code = brood__report_receive(w->report, 0);
    if (code == BROOD_ETIMEDOUT) return;
    brood__os_poller_remove(brood__office_poller, w->report);
    brood__os_close(&w->report);
    bool there = w->pidfd >= 0; /* asked now: an area that is told may make the table move */
    if (code == BROOD_ENOINIT && there)
        w->unreported = true;
    else
        brood__launch_tell(member, code);
    struct member_shm *m = brood__member_at(member);
    uint64_t word = atomic_load(&m->slot.word);
    bool ours = SLOT_STATE(word) == SLOT_INIT && SLOT_OWNER(word) == OWNER_SUPERVISOR;
    if (code < 0 && !there && ours) brood__member_abandon(member); /* no process ever had it */
}

/* --------------------------------------------------------------------------------------------- coming into office */

/* A preload is not for it: with one, it is of none of the programs that forks are asked of. */
static uint32_t program_without_preload(uint32_t index)
{
    struct program program;
    if (!brood__program_read(index, &program) || !program.preload) return index;
    return program.path[0] ? UINT32_MAX : 0;
}

void brood__launch_begin(uint32_t program)
{
    own_program = program_without_preload(program);
}

/*
 * What every child would have the loader look up anew, to read its preparation, is looked up here once; a fork has it
 * then.  What comes of it is nothing.
 */
void brood__launch_rehearse(void)
{
    static char *nobody[] = {NULL};
    static char text[300]; /* numbers and lengths of each size that is encoded in its own way */
    memset(text, '.', sizeof text - 1);
    const struct preparation preparation = {.public = {.argv = nobody,
                                                       .name = text + sizeof text - 100,
                                                       .parent = INT_MAX,
                                                       .directory = text,
                                                       .method = BROOD_START_SPAWN}};
    const struct process_object object = {
        .limits = {.memory = UINT64_MAX, .cpu_seconds = UINT16_MAX, .open_files = UINT8_MAX}};
    struct preparation read;
    struct process_object also;
    void *bytes = NULL, *memory = NULL;
    size_t size;
    if (brood__prepare_encode(&preparation, &object, &bytes, &size) == 0 &&
        brood__prepare_decode(bytes, size, &read, &also, &memory) == 0)
        brood__prepare_free(memory);
    free(bytes);
    brood__say_nothing();
}

/*
 * What the supervisor before us had under way with slots: of starts, the child, if it is there, finds its slot taken and
 * exits; of the last step of a repair, the slot that is done with.
 */
void brood__launch_abandon_all(void)
{
    for (uint32_t i = 1; i < brood__member_count(); i++) {
        struct member_shm *m = brood__member_at(i);
        uint64_t word = atomic_load(&m->slot.word);
        bool begun = SLOT_STATE(word) == SLOT_INIT || SLOT_STATE(word) == SLOT_FREEING;
        if (begun && SLOT_OWNER(word) == OWNER_SUPERVISOR)
            atomic_compare_exchange_strong(&m->slot.word, &word, SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, 0));
        brood__member_collect(i);
    }
}
