/* SPDX-License-Identifier: MIT */
/* manager/setup.h - what the process that makes a manager tells the one that serves it: settled numbers, no defaults. */
#ifndef BROOD_MANAGER_SETUP_H
#define BROOD_MANAGER_SETUP_H

#include <stddef.h>
#include <stdint.h>

#define MANAGER_KEY_MOST 256

struct setup {
    int32_t listener;
    uint32_t key_size;    /* so many bytes follow */
    uint64_t initializer; /* a function_ref, or 0 */
    uint64_t clients;     /* at most, strangers among them */
    uint64_t message;     /* bytes of a request at most */
    uint64_t buffered;    /* bytes that wait for a client to read them, before it is not listened to */
    uint64_t waiting;     /* requests of a client that wait, at most */
    uint64_t objects;     /* that a client has a share of, at most */
    uint64_t memory;      /* bytes kept for all, at most */
    uint64_t workers;     /* of all pools together, at most */
    int32_t method;       /* how the server was started, and its pools' workers are */
    int32_t stall_ms;     /* how long a client may leave its answers unread */
    int32_t greet_ms;     /* in which a client has to prove that it knows the key */
};

#endif
