/* SPDX-License-Identifier: MIT */
/*
 * peer.h - peers that are programs of their own: in Python, in C++, or a fresh copy of this one.
 *
 * The harness writes a line "QUESTION N" to its standard input, and it answers with a line: the seconds that N took.
 * It ends at end-of-file.  A program that is not there is skipped with one word.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
    const char *program;      /* a path; NULL: the machine's Python; "": this program itself */
    const char *arguments[3]; /* a name without slash that ends in .py is looked up among the peers */
    bool fresh;               /* started anew for each of the N, which are then 1 each */
    bool missing;
    pid_t pid;
    int fd;
};

struct peer_question {
    struct peer *peer;
    const char *text;
};

/* The run function of such a peer; its context is a struct peer_question. */
double peer_ask(void *question, uint64_t n);

/* For a list of systems: peer p is asked text. */
#define PEER(p, text)                 \
    peer_ask, &(struct peer_question) \
    {                                 \
        &(p), text                    \
    }

/* Let it end. */
void peer_close(struct peer *peer);

#endif
