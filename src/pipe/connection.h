/* SPDX-License-Identifier: MIT */
/* pipe/connection.h - what the files of this folder share about connections; see include/brood/connection.h. */
#ifndef BROOD_PIPE_CONNECTION_H
#define BROOD_PIPE_CONNECTION_H

#include "pipe/auth.h"
#include "pipe/frame.h"

#include <brood/connection.h>
#include <pthread.h>
#include <stdatomic.h>

#define KEY_MOST 1024

/* This process's own.  It is pinned while a call uses it (local.h). */
struct connection {
    int fd;
    bool local; /* both ends on this machine, so descriptors can be sent */
    size_t max_message;

    pthread_mutex_t sending; /* guards what follows */
    int out_error;           /* what no message will follow; 0: nothing */
    uint8_t head[FRAME_HEAD_MOST];
    size_t head_size;
    uint64_t out_size;            /* of the message that is half sent */
    _Atomic uint64_t out_missing; /* bytes of it that have not gone, with its head; 0: none is */

    pthread_mutex_t receiving; /* guards what follows */
    int in_error;
    struct frame_reader in;
};

/* The key that options mean, in the caller's or the family's memory.  key->size 0: none.  BROOD_EINVAL, BROOD_ENOTMEMBER. */
int brood__connection_key(struct auth_key *key, const brood_connection_options *options);
/* The handle of a new connection over fd, which is its own on success.  BROOD_ENOMEM. */
int brood__connection_make(brood_connection *connection, int fd, const brood_connection_options *options);

/* Every call begins with it: nothing is said yet.  BROOD_EINVAL for a negative timeout that is not BROOD_FOREVER. */
int brood__connection_enter(int timeout);
/* Pinned, or NULL: BROOD_ESTALE. */
struct connection *brood__connection_pin(brood_connection connection);
void brood__connection_unpin(brood_connection connection);

/* The end of a timeout; 0 for one of 0, which tries. */
int64_t brood__connection_deadline(int timeout);
/* Take one of the two mutexes, until the deadline.  0, BROOD_EAGAIN, BROOD_ETIMEDOUT. */
int brood__connection_lock(pthread_mutex_t *mutex, int timeout, int64_t deadline);

#endif
