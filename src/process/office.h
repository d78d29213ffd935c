/* SPDX-License-Identifier: MIT */
/*
 * process/office.h - what the files of the supervisor share: supervisor.c lives, hears requests and has few descriptors to
 * spare; watch.c has the members and what is done when one ends; launch.c starts processes.  All of it is the one thread's
 * of one process, and nothing of it in the arena.
 */
#ifndef BROOD_PROCESS_OFFICE_H
#define BROOD_PROCESS_OFFICE_H

#include "process/supervisor.h"

#include <errno.h>

enum tag_kind { TAG_LISTENER, TAG_MEMBER, TAG_STRAY, TAG_REQUEST, TAG_REPORT, TAG_AREA };
#define TAG(kind, value) ((uint64_t)(kind) << 56 | (uint64_t)(uint32_t)(value))

/* What the supervisor knows of a member, by index; grown as needed. */
struct watched {
    int pidfd;
    uint32_t generation;
    bool doomed;     /* it could not be killed, and is to be */
    pid_t wanted;    /* a process that could not be watched yet, of a slot that may not have it yet; or 0 */
    bool ended;      /* its process has gone, the repairs are not complete */
    bool again;      /* ... and are to be tried in this turn */
    bool unreported; /* its channel ended without a report: how its process ends says whether that counts */
    int report;      /* channel of a start made for an area, or -1 */
};
extern struct watched *brood__watched;
extern uint32_t brood__watched_count;

static inline uint32_t brood__member_count(void)
{
    return brood__table_used(TABLE_MEMBER);
}

/* ---------------------------------------------------------------------------------------------------- supervisor.c */

extern int brood__office_poller;
/* Everything that was put off is tried again in a few milliseconds. */
void brood__retry_soon(void);
/* All requests that are there; one of them may come to a death, whose requests are then among the rest. */
void brood__office_hear(void);
/* The first member has gone, or asks for it: the supervisor kills all, and exits when they are gone. */
void brood__office_end(void);
/* Take back the descriptors that are kept for hard times, whether all are there (again); give them up to what comes now. */
bool brood__spares_keep(void);
void brood__spares_drop(void);
static inline bool brood__is_scarce(int error)
{
    return error == -EMFILE || error == -ENFILE;
}

/* --------------------------------------------------------------------------------------------------------- watch.c */

extern uint32_t brood__watch_deaths; /* so many members have ended */
/* Whether there is room to know of this member. */
bool brood__watch_room(uint32_t index);
/* The process behind a watched slot, or of a start that was given up, has ended. */
void brood__watch_ended(uint32_t index);
void brood__watch_stray_ended(int pidfd);
/* Repairs whose wait is over; all that could not be done yet. */
void brood__watch_retry_asked(void);
void brood__watch_retry_all(void);
/* Watch all members; those too for which there was no descriptor. */
void brood__watch_all(void);
void brood__watch_wanted(void);
/* All but the first member; whether there were some. */
bool brood__watch_kill_all(void);

/* -------------------------------------------------------------------------------------------------------- launch.c */

/* Into office, as this program; what is under way there by the one before is given up; see rehearse. */
void brood__launch_begin(uint32_t program);
void brood__launch_abandon_all(void);
void brood__launch_rehearse(void);
/* REQUEST_START and REQUEST_DISCARD. */
void brood__launch_asked(const struct request *request, int *fds, size_t count);
void brood__launch_discard(const struct request *request);
/* The channel of a start made for an area is readable; tell the areas what came of it; of a start that is given up. */
void brood__launch_report(uint32_t member);
void brood__launch_tell(uint32_t member, int code);
void brood__launch_forget(struct watched *w);

#endif
