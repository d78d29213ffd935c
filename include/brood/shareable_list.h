/* SPDX-License-Identifier: MIT */
/*
 * shareable_list.h - a list of a fixed length in shared memory, whose elements are nothing, a boolean, an integer, a
 * real number, text or bytes: Python's ShareableList.
 *
 * It lies in the arena, for members of one family, or in a named segment (shm.h), for strangers too.  The room of each
 * element is fixed when the list is made: that of what it is made of, rounded up to a multiple of 8 beyond its size, or
 * options.room if that is more.  An element may be set to one of any type that fits; numbers always do.
 *
 * A set is whole or nothing: readers see the old element or the new one, whoever dies in it.  Sets of one list take turns.
 */
#ifndef BROOD_SHAREABLE_LIST_H
#define BROOD_SHAREABLE_LIST_H

#include <brood/base.h>
#include <brood/scope.h>
#include <brood/shm.h>
#include <string.h>

typedef struct brood_shareable_list {
    uint64_t id;
} brood_shareable_list;

typedef enum brood_element_type {
    BROOD_ELEMENT_NONE = 0,
    BROOD_ELEMENT_BOOLEAN,
    BROOD_ELEMENT_INTEGER,
    BROOD_ELEMENT_REAL,
    BROOD_ELEMENT_TEXT, /* any bytes here too; what is got of it ends with a zero byte behind its size */
    BROOD_ELEMENT_BYTES,
} brood_element_type;

typedef struct brood_element {
    brood_element_type type;
    bool boolean;
    int64_t integer;
    double real;
    const void *data; /* TEXT, BYTES */
    size_t size;      /* TEXT, BYTES: bytes, without an end */
} brood_element;

typedef struct brood_shareable_list_options {
    const char *name;  /* in a segment of this name; see brood_shm_options */
    bool named;        /* in a segment of a new name, without one given */
    bool persist;      /* of a segment: see brood_shm_options */
    size_t room;       /* bytes that each element has at least */
    brood_scope scope; /* goes with this scope */
} brood_shareable_list_options;

BROOD_BEGIN

/* Elements to make a list of, to set, to look for. */
static inline brood_element brood_element_none(void)
{
    brood_element e = {BROOD_ELEMENT_NONE, false, 0, 0, NULL, 0};
    return e;
}
static inline brood_element brood_element_boolean(bool boolean)
{
    brood_element e = {BROOD_ELEMENT_BOOLEAN, boolean, 0, 0, NULL, 0};
    return e;
}
static inline brood_element brood_element_integer(int64_t integer)
{
    brood_element e = {BROOD_ELEMENT_INTEGER, false, integer, 0, NULL, 0};
    return e;
}
static inline brood_element brood_element_real(double real)
{
    brood_element e = {BROOD_ELEMENT_REAL, false, 0, real, NULL, 0};
    return e;
}
static inline brood_element brood_element_text(const char *text)
{
    brood_element e = {BROOD_ELEMENT_TEXT, false, 0, 0, text, strlen(text)};
    return e;
}
static inline brood_element brood_element_bytes(const void *data, size_t size)
{
    brood_element e = {BROOD_ELEMENT_BYTES, false, 0, 0, data, size};
    return e;
}

/*
 * Make a list of `count` elements, which are copied; options may be NULL.  In the arena it is this process's: it goes by
 * brood_shareable_list_free, or with this process, or its scope.  In a segment it goes as that does.
 * 0; BROOD_EARENA; BROOD_EINVAL: a type that is none; BROOD_EMSGSIZE: an element of 2 GiB or more; what brood_shm_create
 * answers, if it is named; BROOD_ESTALE, BROOD_ECLOSED: the scope is over; BROOD_ENOTMEMBER.
 * Thread-safe, not async-signal-safe.  A process that dies inside leaves nothing that stays.
 */
BROOD_API int brood_shareable_list_new(brood_shareable_list *list, const brood_element *elements, size_t count,
                                       const brood_shareable_list_options *options);

/*
 * A list in a segment of this name, which anybody has made.  As brood_shm_attach; BROOD_ECORRUPT: it is no list.
 * brood_shm_close of its segment gives it back.
 */
BROOD_API int brood_shareable_list_attach(brood_shareable_list *list, const char *name);

/* Free it; one in a segment is unlinked, and unmapped here.  0, BROOD_ESTALE, BROOD_ECLOSED, BROOD_ENOTMEMBER, -ENOENT. */
BROOD_API int brood_shareable_list_free(brood_shareable_list list);

/* The segment that it lies in: the same handle.  BROOD_EPERM: it lies in the arena; BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_shareable_list_shm(brood_shareable_list list, brood_shm *shm);

/* How many elements it has, always the same. */
BROOD_API int64_t brood_shareable_list_length(brood_shareable_list list);

/*
 * Copy an element out.  Text and bytes go into buffer, where element->data points then; text gets a zero byte behind it.
 * buffer may be NULL with a capacity of 0 where only numbers are.
 * 0; BROOD_EINVAL: no such index; BROOD_EMSGSIZE: it needs more than capacity, element->type and size tell; BROOD_ECORRUPT:
 * a stranger has written over the segment; BROOD_ESTALE, BROOD_ECLOSED, BROOD_ENOTMEMBER.  Thread-safe; takes no latch.
 */
BROOD_API int brood_shareable_list_get(brood_shareable_list list, size_t index, brood_element *element, void *buffer,
                                       size_t capacity);

/*
 * Set an element.  0; BROOD_EINVAL: no such index, or type; BROOD_EMSGSIZE: it is longer than the room of this element;
 * BROOD_ETIMEDOUT: another has been inside its set for two seconds (it is stopped, or the segment is spoilt);
 * BROOD_EDEADLK: in a signal handler that interrupted a set of this list; others as brood_shareable_list_get.  Thread-safe.
 */
BROOD_API int brood_shareable_list_set(brood_shareable_list list, size_t index, const brood_element *element);

/*
 * How many elements equal this one, type and value; the index of the first that does, or -ENOENT.
 * BROOD_ENOMEM, and as brood_shareable_list_get.
 */
BROOD_API int64_t brood_shareable_list_count(brood_shareable_list list, const brood_element *element);
BROOD_API int64_t brood_shareable_list_index(brood_shareable_list list, const brood_element *element);

BROOD_END

#endif
