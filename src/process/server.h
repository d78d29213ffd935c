/* SPDX-License-Identifier: MIT */
/*
 * process/server.h - servers: processes that run a preload once, and then fork on request.
 *
 * The supervisor is the fork server of what needs none, and takes no code of the program's.  So for each program that
 * has a preload, or is another than the supervisor's, it keeps a process that is started by spawn when it is first
 * needed; each start is handed on to that, with the end of the bootstrap channel that the child is to have.  The server
 * forks, says so, and writes into the process table how its children ended.
 *
 *   event                         what the supervisor does
 *   a start is wanted             keeps it as a wish; starts the server if there is none
 *   the server reports            hands on all wishes
 *   its preload failed            each wish is answered with code and text; the next one starts another server
 *   FORKED                        watches the child; the wish is done with
 *   the server was killed         wishes that it had been handed, whose child is not there, are answered BROOD_ELOST,
 *                                 and who made them asks again; for the others another server is started
 *   ... before it had reported    another, after a pause; after four in a row the wishes are answered BROOD_ESTART
 *
 * A wish is known to the supervisor alone: whoever made it sees the end of the channel when the supervisor dies.  The
 * server leaves then too, and the next supervisor starts another.
 */
#ifndef BROOD_PROCESS_SERVER_H
#define BROOD_PROCESS_SERVER_H

#include "process/supervisor.h"

/* One message each (SOCK_SEQPACKET). */
enum server_kind {
    SERVER_FORK,  /* to it, with the child's end of a bootstrap channel: fork a process for this member's slot */
    SERVER_FORKED /* from it: value is the pid, or -errno */
};
struct server_message {
    uint32_t kind;
    uint32_t member;
    uint32_t generation;
    int32_t value;
};

extern const struct area brood__server_area;

/* In the supervisor: have a server fork a process for the slot.  0 or -errno; the channel stays the caller's. */
int brood__server_launch(uint32_t program, uint32_t member, int channel);

/* The life of a server, a member by now: it says on `report` how its preload went. */
_Noreturn void brood__server_run(uint32_t program, int report, int channel);

#endif
