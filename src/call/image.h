/* SPDX-License-Identifier: MIT */
/*
 * call/image.h - the programs and libraries loaded in this process, as far as task functions need to know them.
 *
 * A record is believed if all of it lies in memory that its module maps read-only (constants, and what was relocated
 * and then protected), and its pointers lead back into that module: so neither a forged reference nor data that only
 * looks like a record leads to a call.
 */
#ifndef BROOD_CALL_IMAGE_H
#define BROOD_CALL_IMAGE_H

#include "call/module.h"

#include <limits.h>

#define IMAGE_RANGES 12

struct range {
    uintptr_t low, high;
};
struct ranges {
    unsigned count;
    struct range at[IMAGE_RANGES];
};

struct image {
    uintptr_t base;   /* load address */
    struct range all; /* from its first segment to the end of its last: no other module lies in between */
    struct ranges constant;
    struct ranges code;
    uint32_t build_id_size; /* 0: it has none */
    unsigned char build_id[BUILD_ID_MOST];
};

/* What a search answers; large. */
struct image_found {
    struct image image;
    char name[PATH_MAX]; /* as the loader has it: empty for the program, perhaps relative */
};

/* The module around an address; the one with a build-id; false: none.  Thread-safe. */
bool brood__image_around(uintptr_t address, struct image_found *found);
bool brood__image_with(const unsigned char *build_id, uint32_t size, struct image_found *found);

/*
 * Keep it loaded to the end of the process, so that what is remembered of it stays true; false: it has been unloaded
 * since it was found, or the loader can't.
 */
bool brood__image_keep(const struct image_found *found);

/* Where it was loaded from: absolute, good in any working directory.  0, BROOD_EMODULE with a detail. */
int brood__image_path(const struct image_found *found, char *path, size_t capacity);

/* Load the library at path; keep it if its build-id is this one.  0, BROOD_EMODULE with a detail. */
int brood__image_load(const char *path, const unsigned char *build_id, uint32_t size, struct image_found *found);

static inline bool brood__range_holds(const struct range *range, uintptr_t address, size_t size)
{
    return address >= range->low && address < range->high && size <= range->high - address;
}

static inline bool brood__ranges_hold(const struct ranges *ranges, uintptr_t address, size_t size)
{
    for (unsigned i = 0; i < ranges->count; i++) {
        if (brood__range_holds(&ranges->at[i], address, size)) return true;
    }
    return false;
}

/*
 * Whether a task's record lies at this address, which may be any.  Not for the address sanitizer: what is read may be
 * the space between two constants.
 */
__attribute__((no_sanitize_address)) static inline bool brood__image_has_task(const struct image *image,
                                                                              uintptr_t address)
{
    const brood_task *task = (const brood_task *)address;
    return address % _Alignof(brood_task) == 0 && brood__ranges_hold(&image->constant, address, sizeof *task) &&
           task->magic == BROOD_TASK_MAGIC && task->reserved == 0 &&
           brood__ranges_hold(&image->constant, (uintptr_t)task->name, 1) &&
           brood__ranges_hold(&image->code, (uintptr_t)task->call, 1);
}

#endif
