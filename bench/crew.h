/* SPDX-License-Identifier: MIT */
/*
 * crew.h - processes that start together, and how long the last of them took.
 *
 * Each runs role(context, index, n) for an index from 0 on; context is the caller's memory as it was at the start.
 * Processes are pinned, one to a processor, when there are processors enough for all; else the scheduler has them.
 * What the roles return is added up, and must come to 0: let who sends add and who receives subtract.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdint.h>

#define CREW_MAX 16
#define CREW_PATIENCE_MS 60000

typedef uint64_t (*crew_role)(void *context, unsigned index, uint64_t n);

/* Seconds from the common start to the end of the last; negative, with a word on stderr, when one failed or hangs. */
double crew_by_fork(unsigned count, crew_role role, void *context, uint64_t n);
double crew_by_brood(unsigned count, crew_role role, void *context, uint64_t n);

/* In a role: it can't be done.  Says so and ends the process. */
_Noreturn void crew_fail(const char *what, int error);

/*
 * In a role whose system can't cross a fork: what it did until now was preparation, and the clock starts when every
 * member has said so.  Either all members of a crew do, or none.
 */
void crew_begin(void);

/* In a role that only waiting tells that nothing more will come: it is done, as of now, unless it says so again. */
void crew_end(void);

/* Memory that the caller shares with the crews that it starts afterwards; zeroed. */
void *crew_memory(unsigned long size);

#endif
