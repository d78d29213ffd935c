/* SPDX-License-Identifier: MIT */
/*
 * process/supervisor.h - asking the supervisor, and being it.
 *
 * supervisor_shm.word is epoch:32 | state:8 | starter:16.  Who writes: compare-and-swap by anyone.
 *   NONE      there is none
 *   STARTING  starter is executing one
 *   RUNNING   there is one, if its life word (a latch that it holds for all its life) has no OS_OWNER_DIED
 * If a process dies here: a starter that died is seen by its process's absence, and the next one starts anew under the
 * next epoch; a supervisor of an older epoch that comes up late finds the word changed and exits.
 */
#ifndef BROOD_PROCESS_SUPERVISOR_H
#define BROOD_PROCESS_SUPERVISOR_H

#include "arena/arena.h"
#include "process/bootstrap.h"

enum supervisor_state { SUPERVISOR_NONE, SUPERVISOR_STARTING, SUPERVISOR_RUNNING };
#define SUPERVISOR_WORD(epoch, state, starter) ((uint64_t)(epoch) << 32 | (uint64_t)(state) << 16 | (uint64_t)(starter))
#define SUPERVISOR_EPOCH(word) ((uint32_t)((word) >> 32))
#define SUPERVISOR_STATE(word) ((enum supervisor_state)((word) >> 16 & 0xff))
#define SUPERVISOR_STARTER(word) ((uint32_t)((word)&0xffff))

/*
 * Requests: one message each over a connection of its own; no answer but by what it brings about, DEPOSIT and REDEEM
 * excepted, whose connection brings one back.
 */
enum request_kind {
    REQUEST_START,
    REQUEST_DISCARD,
    REQUEST_WATCH,
    REQUEST_POOL,
    REQUEST_END,
    REQUEST_DEPOSIT,
    REQUEST_REDEEM,
    REQUEST_TOKENS,
    REQUEST_LOOK
};
#define POOL_IS_NEW 1
#define POOL_KEEPS_STDERR 2
struct request {
    uint32_t kind;
    uint32_t member;  /* START, DISCARD, WATCH; POOL_KEEPS_STDERR: the worker */
    uint32_t method;  /* START; POOL: POOL_IS_NEW when its owner announces it, POOL_KEEPS_STDERR from a worker */
    uint32_t stdio;   /* POOL: which of 0, 1, 2 come along; POOL_KEEPS_STDERR: the worker's generation */
    uint64_t object;  /* POOL, DEPOSIT, REDEEM: its handle; DISCARD: the generation of the member */
    uint64_t program; /* START: see program.h */
};
struct answer {
    int32_t code; /* 0: of REDEEM, the descriptor comes with it */
    uint32_t reserved;
};

/* Whether a supervisor is there now. */
bool brood__supervisor_alive(void);
/* See to it that there is one; *epoch may be NULL.  0, or why it could not be started (with detail). */
int brood__supervisor_ensure(uint32_t *epoch);
/* Send a request with descriptors; ensures a supervisor. */
int brood__supervisor_request(const struct request *request, const int *fds, size_t count);
/*
 * Send one that is answered: its code, or why there is none; it may be received more than once.  *fd: the descriptor that
 * came, or -1.  *connection, to be closed by the caller when it has done what follows from the answer, or -1.
 */
int brood__supervisor_ask(const struct request *request, const int *fds, size_t count, int *fd, int *connection);
/*
 * Send one that only asks it to look, as a new one does anyway; also from a signal handler, which may have interrupted
 * the start of one.
 */
int brood__supervisor_tell(const struct request *request);
/* Run as one; channel brings the hello.  Never returns. */
_Noreturn void brood__supervisor_run(const struct hello *hello, int fds[], size_t count, int channel);

/* ------------------------------------------------------------------------ for areas above, while being a supervisor */

/*
 * Start a process by fork of the supervisor or by spawn: the member's slot is claimed; bytes is its preparation, in the
 * arena.
 * Its report comes to area->started.  0 or an errno.
 */
int brood__supervisor_start(uint32_t member, brood_start_method method, uint32_t program, const int stdio_fds[3],
                            const void *bytes, size_t size);
/* Start the server of a program, which gets the channel: as above, its report comes once it has run its preload. */
int brood__supervisor_start_server(uint32_t member, uint32_t program, int channel);
/* Watch a member that another process forked: one that is LIVE; one that will be (0, or why it is not watched yet). */
void brood__supervisor_watch(uint32_t member);
int brood__supervisor_watch_pid(uint32_t member, const struct os_process *process);
/* Wait for a descriptor on behalf of an area: area->readable(fd) is called. */
int brood__supervisor_poll(int fd, uint64_t argument);
void brood__supervisor_unpoll(int fd);
/* What the repair after this death waited for has come: try again in this turn, instead of in a few milliseconds. */
void brood__supervisor_retry(uint32_t member, uint32_t generation);
/* A signal, and SIGKILL, to a watched member. */
void brood__supervisor_signal(uint32_t member, int signal);
void brood__supervisor_kill(uint32_t member);

/*
 * What an area adds to the supervisor.  Each function may be called again for the same death, and may be interrupted by
 * the supervisor's own.  NULL where an area has nothing to do.
 */
struct area {
    bool (*repair)(uint32_t dead); /* undo what the dead held; false: not all could be had now, ask again soon */
    void (*ring_all)(void);        /* wake whoever sleeps: by a new supervisor, for what the last one may have owed */
    void (*ended)(uint32_t dead);  /* after all repairs */
    void (*started)(uint32_t member, int code, const char *detail);         /* a report of brood__supervisor_start */
    void (*request)(const struct request *request, int *fds, size_t count); /* REQUEST_POOL; takes the fds */
    void (*serve)(const struct request *request, int *fds, size_t count, int connection); /* of tokens; as request */
    void (*look)(void); /* the connection has ended over which something was redeemed */
    void (*readable)(int fd, uint64_t argument);
    int (*work)(const brood_task *initializer, const void *arg, size_t arg_size); /* in a worker: its life */
    int64_t (*manage)(void); /* after each turn: what is due; returns when it wants the next at the latest */
    void (*begin)(void);     /* a supervisor has come into its office */
    void (*leave)(void);     /* in brood_fini, of any member: what this process has of it */
    void (*over)(void);      /* all other members are gone: by the supervisor, and by the first process in brood_fini */
};
extern const struct area *const brood__areas[]; /* NULL at the end; in src/brood.c */

#endif
