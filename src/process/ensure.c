/* SPDX-License-Identifier: MIT */
/*
 * ensure.c - having a supervisor: starting the first, and another when it died.  Any member does it, one at a time; the
 * word of supervisor_shm says who (supervisor.h).  Thread-safe; not async-signal-safe.
 */
#include "arena/member.h"
#include "call/error.h"
#include "process/family.h"
#include "process/program.h"
#include "process/supervisor.h"

#include <errno.h>
#include <signal.h>

bool brood__supervisor_alive(void)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    return SUPERVISOR_STATE(atomic_load_explicit(&s->word, memory_order_acquire)) == SUPERVISOR_RUNNING &&
           !(atomic_load_explicit(&s->life.word, memory_order_acquire) & OS_OWNER_DIED);
}

/* An error that says more than that exec failed: the caller can do something about it. */
static bool scarce(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -EAGAIN || error == -ENOMEM;
}

/*
 * Execute one and wait for its word; the office is ours to fill (STARTING, this epoch).  *killed: it ended without a
 * word, most likely by a stranger's hand, so another may do better.
 */
static int execute(uint32_t epoch, bool *killed)
{
    *killed = false;
    const int output = 1; /* it has none yet, see brood__os_run_detached */
    struct hello hello = {
        .magic = HELLO_MAGIC, .kind = HELLO_SUPERVISOR, .member = epoch, .program = brood__program_default()};
    struct program program;
    if (!brood__program_read(hello.program, &program)) return BROOD_ECORRUPT;
    hello.stdio = brood__stdio_open() & 1u << output;
    int ends[2];
    int error = brood__os_stream_pair(ends);
    if (error < 0) return brood__fail_with(error, "no channel to the supervisor: %s", brood_strerror(error));
    struct os_process process = {0};
    int pidfd = -1;
    error = brood__os_leave_standard(&ends[1]);
    if (error >= 0)
        error = process.pid = brood__os_run_detached(program.path[0] ? program.path : NULL, "brood-supervisor",
                                                     BOOTSTRAP_VARIABLE, ends[1]);
    brood__os_close(&ends[1]);
    if (error < 0) {
        brood__os_close(&ends[0]);
        return brood__fail_with(scarce(error) ? error : BROOD_EEXEC, "exec failed: the supervisor: %s",
                                brood_strerror(error));
    }
    brood__os_process_open(&process, &pidfd);
    int64_t deadline = brood__os_deadline(brood__arena()->start_timeout);
    error = brood__hello_send(ends[0], &hello, &output, hello.stdio ? 1 : 0, NULL, deadline);
    if (error >= 0 || error == -EPIPE) error = brood__report_receive(ends[0], deadline);
    brood__os_close(&ends[0]);
    *killed = error == BROOD_ENOINIT;
    if (error == BROOD_ETIMEDOUT)
        error =
            brood__fail_with(BROOD_ENOINIT, "the program did not report in time: does its main call brood_init first?");
    if (error < 0 && pidfd >= 0 && brood__os_process_signal(pidfd, SIGKILL) >= 0) /* whatever it is doing instead */
        brood__os_wait_readable(pidfd, OS_NEVER);
    brood__os_close(&pidfd);
    return error;
}

#define STARTS 4 /* that are killed, before the caller is told */

/* Whether the starter that the word names is still there. */
static bool starter_lives(uint64_t word)
{
    uint32_t starter = SUPERVISOR_STARTER(word);
    if (starter == brood__self->member) return true; /* another thread of ours */
    struct member_shm *m = brood__member_at(starter);
    struct os_process process = {m->pid, m->started};
    return brood__os_process_alive(&process);
}

int brood__supervisor_ensure(uint32_t *epoch)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    for (int starts = 0;;) {
        uint64_t word = atomic_load(&s->word);
        if (epoch) *epoch = SUPERVISOR_EPOCH(word);
        if (SUPERVISOR_STATE(word) == SUPERVISOR_RUNNING && brood__supervisor_alive()) return 0;
        if (SUPERVISOR_STATE(word) == SUPERVISOR_STARTING && starter_lives(word)) {
            brood__os_nap(200 * 1000);
            continue;
        }
        uint32_t next = SUPERVISOR_EPOCH(word) + 1;
        uint64_t starting = SUPERVISOR_WORD(next, SUPERVISOR_STARTING, brood__self->member);
        if (!atomic_compare_exchange_strong(&s->word, &word, starting)) continue;
        bool killed;
        int error = execute(next, &killed);
        if (error == 0) continue;
        /* It may have taken the office all the same, and be there, or have died in it. */
        bool took = !atomic_compare_exchange_strong(&s->word, &starting, SUPERVISOR_WORD(next, SUPERVISOR_NONE, 0));
        if ((took || killed) && ++starts < STARTS) continue;
        return took && brood__supervisor_alive() ? 0 : error;
    }
}

/* The connection is the caller's, and closed on failure. */
static int send_over(const struct request *request, const int *fds, size_t count, int *connection)
{
    pid_t peer;
    struct arena_shm *arena = brood__arena();
    int error = brood__os_connect(arena->listen_name, (size_t)arena->listen_size, connection, &peer);
    if (error >= 0) {
        int64_t deadline = brood__os_deadline(arena->start_timeout);
        error = brood__os_send(*connection, request, sizeof *request, fds, count, deadline);
        if (error < 0) brood__os_close(connection);
    }
    return error < 0 ? brood__fail_with(error, "the supervisor could not be told: %s", brood_strerror(error)) : 0;
}

static int send_patiently(const struct request *request, const int *fds, size_t count, int *connection)
{
    *connection = -1;
    for (int tries = 1;; tries++) {
        int error = brood__supervisor_ensure(NULL);
        if (error == 0) error = send_over(request, fds, count, connection);
        if (error != -EPIPE || tries == STARTS) return error; /* else it died between accepting and reading */
    }
}

int brood__supervisor_request(const struct request *request, const int *fds, size_t count)
{
    int connection;
    int error = send_patiently(request, fds, count, &connection);
    brood__os_close(&connection);
    return error;
}

/* One that dies before it has accepted is replaced, and the next one finds the request waiting.  -EPIPE: no answer. */
static int receive_answer(int connection, int *fd)
{
    int64_t deadline = brood__os_deadline(brood__arena()->start_timeout);
    for (;;) {
        struct answer answer;
        size_t room = 1;
        int ready = brood__os_wait_readable(connection, brood__os_deadline(500));
        ssize_t size = ready > 0 ? brood__os_receive(connection, &answer, sizeof answer, fd, &room, 0) : -EAGAIN;
        if (size == (ssize_t)sizeof answer) {
            if (room == 0) *fd = -1;
            return answer.code;
        }
        if (size >= 0 || size == -EPIPE || size == -ECONNRESET) return -EPIPE;
        if (size != -EAGAIN)
            return brood__fail_with((int)size, "the supervisor's answer: %s", brood_strerror((int)size));
        if (brood__os_now() >= deadline)
            return brood__fail_with(BROOD_ETIMEDOUT, "the supervisor did not answer in time");
        if (ready < 0) brood__os_nap(1000 * 1000); /* the system is out of something for a moment */
        int error = ready == 0 ? brood__supervisor_ensure(NULL) : 0;
        if (error < 0) return error;
    }
}

int brood__supervisor_ask(const struct request *request, const int *fds, size_t count, int *fd, int *connection)
{
    *fd = -1;
    for (int tries = 1;; tries++) {
        int error = send_patiently(request, fds, count, connection);
        if (error == 0) error = receive_answer(*connection, fd);
        if (error != -EPIPE) return error;
        if (tries == STARTS) return brood__fail_with(BROOD_EAGAIN, "no supervisor could answer");
        brood__os_close(connection);
        brood__os_nap(1000 * 1000); /* it may have been out of something */
    }
}

int brood__supervisor_tell(const struct request *request)
{
    uint64_t word = atomic_load(&brood__arena()->supervisor.word);
    bool ours = SUPERVISOR_STATE(word) == SUPERVISOR_STARTING && SUPERVISOR_STARTER(word) == brood__self->member;
    return ours ? 0 : brood__supervisor_request(request, NULL, 0);
}

void brood__supervisor_tick(void)
{
    struct supervisor_shm *s = &brood__arena()->supervisor;
    /* Word 0: there never was one, so nothing depends on it.  NONE later: the last start failed; try again. */
    if (brood__self->supervisor || atomic_load(&s->word) == 0) return;
    if (brood__supervisor_alive()) return;
    brood__supervisor_ensure(NULL);
    brood__say_nothing(); /* the call that waits has its own end */
}
