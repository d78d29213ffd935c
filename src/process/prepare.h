/* SPDX-License-Identifier: MIT */
/*
 * process/prepare.h - what goes down the bootstrap channel: the preparation data and the process object.
 *
 * Two CBOR maps with text keys (RFC 8949, deterministic encoding; written and read with libcbor), each behind its length
 * as a 32-bit number in the machine's byte order.  They are read strictly: a missing, unknown, doubled, misplaced or
 * mistyped key, a number out of its range, a zero byte in a string, any other encoding of the same, a length beyond
 * PREPARE_MOST and trailing bytes are BROOD_ECORRUPT with a detail.  What is accepted encodes to the same bytes again.
 */
#ifndef BROOD_PROCESS_PREPARE_H
#define BROOD_PROCESS_PREPARE_H

#include "call/module.h"
#include "os/os.h"

#include <brood/process.h>

#define PREPARE_MOST (1u << 30)
#define PREPARE_DESCRIPTORS 64
#define PREPARE_CPUS 4096

enum { PREPARATION_KEYS = 8, OBJECT_KEYS = 12 };

/*
 * The preparation data: authkey (bytes), directory, original_directory, name (text), start_method, log_level (integer),
 * argv (array of text), parent (pid).  As read by the child it is what brood_preparation_data shows.  A string that is
 * NULL arrives as an empty one.
 */
struct preparation {
    brood_preparation public; /* strings and arrays: see owner functions */
};

/* The process object: what to run, and how to stand when it runs. */
struct process_object {
    function_ref function;
    const char *function_name; /* for messages only; NULL arrives as an empty one */
    const void *arg;           /* as read: aligned for any type; NULL if arg_size is 0 */
    size_t arg_size;
    char *const *environment;    /* NULL: leave it as it is */
    size_t descriptor_count;     /* the numbers the passed descriptors get, in the order they were sent; distinct */
    int descriptors[OS_MAX_FDS]; /* at most PREPARE_DESCRIPTORS of them */
    uint64_t ignored_signals;    /* that the starter ignores: see brood__os_ignored_signals */
    struct os_limits limits;     /* cpus as cpu_count ints, at most PREPARE_CPUS */
    bool worker;                 /* a pool's worker: function is its initializer, or 0 */
};

/*
 * Both, framed, in one piece of memory (malloc'ed, the caller's).  0, BROOD_ENOMEM, BROOD_EINVAL (too long, or a value
 * that would not be accepted; the detail says which).  Thread-safe.
 */
int brood__prepare_encode(const struct preparation *preparation, const struct process_object *object, void **bytes,
                          size_t *size);

/*
 * Read both back from bytes.  Everything in *preparation and *object belongs to *memory (opaque), which
 * brood__prepare_free frees; bytes are not needed any more.  On failure nothing is left, and *memory is NULL.
 * 0, BROOD_ECORRUPT, BROOD_ENOMEM.  Thread-safe.
 */
int brood__prepare_decode(const void *bytes, size_t size, struct preparation *preparation,
                          struct process_object *object, void **memory);
void brood__prepare_free(void *memory);

/* Whether numbers[at] stands among those before it. */
static inline bool brood__prepare_doubled(const int *numbers, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (numbers[i] == numbers[at]) return true;
    }
    return false;
}

#endif
