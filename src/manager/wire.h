/* SPDX-License-Identifier: MIT */
/*
 * manager/wire.h - what a client of a manager and its server say to each other.
 *
 * After the challenge (pipe/auth.h) each frame (pipe/frame.h) holds one array in deterministic CBOR, and nothing else:
 *
 *   request  [serial, object, method, thread, timeout, arguments]   arguments: an array of values
 *   answer   [serial, code, handed, value]                          code < 0: value is a text that says more, or nil
 *   taken    [serial]                                               after an answer that is `handed`: it has come whole
 *
 * serial, object and thread are unsigned, method is a text, timeout in ms as everywhere (-1: for ever), code 0 or
 * negative.  Object 0 is the server itself.  Answers come in any order; a request that waits holds nobody else up.
 * "taken" is not answered: what is handed over (an item of a queue) goes back where it was unless it comes.
 * Thread-safe; no state.
 */
#ifndef BROOD_MANAGER_WIRE_H
#define BROOD_MANAGER_WIRE_H

#include "manager/value.h"

#define WIRE_METHOD_MOST 64

struct wire_request {
    uint64_t serial, object, thread;
    int timeout;
    bool taken;          /* only serial is there */
    struct slice method; /* text */
    struct slice args;   /* the items of the array, one behind the other */
    uint64_t argc;
    size_t handles; /* how many there are in the arguments */
};

/* 0, or BROOD_ECORRUPT with a detail.  What it finds lies in bytes. */
int brood__wire_request_read(struct wire_request *r, const void *bytes, size_t size);
/* args is a list, or nil for none.  0, or the code of an invalid variant; w has its own error. */
int brood__wire_request_write(struct item_writer *w, uint64_t serial, uint64_t object, const char *method,
                              uint64_t thread, int timeout, const brood_variant *args);
void brood__wire_taken_write(struct item_writer *w, uint64_t serial);

struct wire_answer {
    uint64_t serial;
    int code;
    bool handed;
    struct slice value; /* one value, whole and deterministic */
};
int brood__wire_answer_read(struct wire_answer *a, const void *bytes, size_t size);
/* What stands before the value; its size, at most WIRE_ANSWER_HEAD. */
#define WIRE_ANSWER_HEAD 20
size_t brood__wire_answer_head(unsigned char head[WIRE_ANSWER_HEAD], uint64_t serial, int code, bool handed);

#endif
