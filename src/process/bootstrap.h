/* SPDX-License-Identifier: MIT */
/*
 * process/bootstrap.h - what a started process and its starter say to each other, before the function runs.
 *
 * The channel is a stream: the starter sends a hello with descriptors, then the preparation data and the process object
 * (prepare.h); the child answers with one report, and both close.  A channel that ends without a report means that the
 * child died, or that it is a program that never called brood_init.  A starter that has ends of pipes to give says "go"
 * when they are given, and the child awaits that: a channel that ends without it says that the starter died inside.  Any
 * other child goes on at once, for it is watched by then: by the supervisor that forked it, or, if that is another
 * one now, its starter tells that; by fork it has told the supervisor of itself before it reports (start.c).
 */
#ifndef BROOD_PROCESS_BOOTSTRAP_H
#define BROOD_PROCESS_BOOTSTRAP_H

#include "os/os.h"
#include "process/prepare.h"

#define BOOTSTRAP_VARIABLE "BROOD_BOOTSTRAP=" /* then "<pid>:<descriptor>": another process ignores it */
#define HELLO_MAGIC 0x6f6c6c6568627264ull

enum hello_kind { HELLO_SUPERVISOR, HELLO_PROCESS, HELLO_SERVER };

/*
 * Comes with the descriptors memory, listener, lifeline, those of 0, 1, 2 that stdio has bits for, and the passed ones;
 * to a server with its channel last.
 */
struct hello {
    uint64_t magic;
    uint32_t kind;
    uint32_t member;     /* the slot of the process; for a supervisor its epoch */
    uint32_t generation; /* of that slot: by the time it comes up, the slot may be another start's */
    uint32_t stdio;
    uint32_t method;
    uint32_t program; /* of a supervisor or server: what it begins as, see program.h */
    uint64_t size;    /* bytes of preparation that follow */
    uint64_t place;   /* or, if not 0, that lie here in the arena: of a supervisor, which can't wait for who reads */
    uint32_t gets;    /* of a process: how many ends it is given once it is a member; if some, it awaits the word */
    uint32_t reserved;
};
#define HELLO_FIXED_FDS 3

#define REPORT_MAGIC 0x74726f70657262ull
struct report {
    uint64_t magic;
    int32_t code;  /* 0: the function was found and runs now */
    int32_t step;  /* enum os_step, for BROOD_EEXEC and BROOD_ESTART */
    int32_t error; /* the errno of the step */
    int32_t reserved;
    char detail[200];
};

/* Send hello, descriptors and bytes; deadline for all.  0, -EPIPE (the child has gone), -ETIMEDOUT. */
int brood__hello_send(int channel, const struct hello *hello, const int *passed, size_t passed_count, const void *bytes,
                      int64_t deadline);
/*
 * Send a report; never blocks for long.  0 or -errno: then the sender has to end, so that the other side sees the end of
 * the channel.
 */
int brood__report_send(int channel, int code, int step, int error, const char *detail);
/* Receive it: its code, with this thread's detail set; BROOD_ENOINIT, BROOD_ETIMEDOUT, or -errno. */
int brood__report_receive(int channel, int64_t deadline);

/*
 * Say "go": 0, also to one that has ended by now, whose end is seen as any other; or -errno.  In the child, a member by
 * now, wait for it: false if the starter has died.
 */
int brood__go_send(int channel);
bool brood__go_await(int channel);

/* What a started process does with its channel; it never returns.  inherited: forked with the family mapped. */
_Noreturn void brood__child_run(int channel, bool inherited);
/* Run a process object in this process, which is a member by now, and exit. */
_Noreturn void brood__child_work(const struct preparation *preparation, const struct process_object *object,
                                 brood_start_method method);
/* Directory, environment, affinity, limits of a child, before its function runs.  0 or -errno and *step. */
int brood__child_stand(const struct preparation *preparation, const struct process_object *object, int *step);

/* Which of 0, 1, 2 are open, as bits. */
uint32_t brood__stdio_open(void);

/* The preparation of this process, as brood_preparation_data shows it; set once. */
extern struct preparation brood__prepared;

#endif
