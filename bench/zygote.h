/* SPDX-License-Identifier: MIT */
/* zygote.h - a bare server of forks, to compare with. */
#ifndef BENCH_ZYGOTE_H
#define BENCH_ZYGOTE_H

#include <stdint.h>

/* Start one, to be asked by the descriptor that is returned, or -1; it ends when that is closed. */
int zygote_start(void);

/* Run function; the context is that descriptor. */
double zygote_fork_and_wait(void *descriptor, uint64_t n);

#endif
