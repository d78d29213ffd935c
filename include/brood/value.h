/* SPDX-License-Identifier: MIT */
/*
 * value.h - one value, or an array of them, in shared memory: with a lock or without.
 *
 *     brood_value hits;
 *     brood_value_new(&hits, int, 0);                  Python's RawValue and Value; with .lock = true it has a lock
 *     brood_value_add(hits, 1, NULL);                  by any member, at once, without a lock
 *
 *     brood_array a;
 *     brood_array_new(&a, double, 1000, .lock = true); zeroes
 *     double *x = brood_array_data(a, double);         read and written in place
 *
 * A handle is plain bytes that mean the same in every member.  The maker owns what it made: it goes by ..._free, by any
 * member, or when the maker dies; one made through a scope goes with that.  Each call that copies looks at bytes that
 * are not given to another object before it returns.  A pointer from ..._data is borrowed: it is good until the object
 * goes.  Beyond that it still leads to memory of the family, which may be another object's by then: no fault, but no
 * protection either.
 *
 * Elements of 1, 2, 4 or 8 bytes are read and written by one atomic access, sequentially consistent, and whole.  Larger
 * ones are copied: whole only under a lock, the object's own or another, that all who write and read it take.
 */
#ifndef BROOD_VALUE_H
#define BROOD_VALUE_H

#include <brood/lock.h>
#include <brood/queue.h>
#include <brood/scope.h>

typedef struct brood_value {
    uint64_t id;
} brood_value;

typedef struct brood_array {
    uint64_t id;
} brood_array;

/* What can be added to an element; found out by the macros. */
typedef enum brood_kind {
    BROOD_KIND_BYTES = 0, /* nothing: a struct, a bool */
    BROOD_KIND_SIGNED,
    BROOD_KIND_UNSIGNED,
    BROOD_KIND_REAL, /* float or double */
} brood_kind;

typedef struct brood_value_options {
    const void *initial; /* size bytes; NULL: zeroes.  The macro sets it */
    bool lock;           /* with a lock of its own: brood_value_acquire */
    brood_scope scope;   /* goes with this scope; zero: with the maker */
} brood_value_options;

typedef struct brood_array_options {
    size_t count;        /* elements; 0 is allowed.  The macro sets it */
    bool lock;           /* with a lock of its own: brood_array_acquire */
    const void *initial; /* count elements to begin with; NULL: zeroes */
    brood_scope scope;   /* goes with this scope; zero: with the maker */
} brood_array_options;

BROOD_BEGIN

/*
 * Make a value of a C type without pointers, or an array of them:
 *
 *     brood_value_new(&v, type, initial)            brood_value_new(&v, type, initial, .lock = true)
 *     brood_array_new(&a, type, count)              brood_array_new(&a, type, count, .lock = true, .initial = array)
 *
 * Options are those of the structs above.  Nothing but the element's size is checked on both sides.
 * 0; BROOD_EARENA: no room, also for a size beyond the arena's limit; BROOD_EINVAL: a size of 0; BROOD_ESTALE,
 * BROOD_ECLOSED: the scope is over; BROOD_ENOTMEMBER.
 * Thread-safe, not async-signal-safe.  A process that dies inside leaves nothing.
 */
#define brood_value_new(value, type, ...) \
    BROOD__CAT(BROOD__VALUE_NEW_, BROOD__AMOUNT(__VA_ARGS__))(value, type, __VA_ARGS__)
#define brood_array_new(array, type, ...) \
    brood_array_make(array, sizeof(type), BROOD__KIND(type), BROOD__OPTIONS(brood_array_options, .count = __VA_ARGS__))
BROOD_API int brood_value_make(brood_value *value, size_t size, brood_kind kind, const brood_value_options *options);
BROOD_API int brood_array_make(brood_array *array, size_t size, brood_kind kind, const brood_array_options *options);

/*
 * Free it and its lock, by any member; who sleeps for the lock gets BROOD_ESTALE.  0, BROOD_ESTALE (also when it is
 * freed already), BROOD_ECLOSED: its owner died or its scope ended, BROOD_ENOTMEMBER.  Thread-safe.
 */
BROOD_API int brood_value_free(brood_value value);
BROOD_API int brood_array_free(brood_array array);

/*
 * The bytes in this process: int *x = brood_value_data(v, int).  NULL for a handle that is stale, or whose elements are
 * of another size; brood_error_detail tells the sizes then.  8-byte aligned; arrays of more than 64 bytes 64-byte.
 */
#define brood_value_data(value, type) ((type *)brood_value_at(value, sizeof(type)))
#define brood_array_data(array, type) ((type *)brood_array_at(array, sizeof(type)))
BROOD_API void *brood_value_at(brood_value value, size_t size);
BROOD_API void *brood_array_at(brood_array array, size_t size);

/* How many elements; BROOD_ESTALE, BROOD_ECLOSED, BROOD_ENOTMEMBER. */
BROOD_API int64_t brood_array_count(brood_array array);

/*
 * Copy out, copy in: x points to an element's type.  0; BROOD_EINVAL: of another size, or index is not below the count;
 * BROOD_ESTALE, BROOD_ECLOSED, BROOD_ENOTMEMBER.  Thread-safe, async-signal-safe.
 * A process that dies inside a set has set an element of 1, 2, 4 or 8 bytes or has not; of a larger one any part.
 */
#define brood_value_get(value, ...) brood_value_load(value, BROOD__VALUE(__VA_ARGS__))
#define brood_value_set(value, ...) brood_value_store(value, BROOD__VALUE(__VA_ARGS__))
#define brood_array_get(array, index, ...) brood_array_load(array, index, BROOD__VALUE(__VA_ARGS__))
#define brood_array_set(array, index, ...) brood_array_store(array, index, BROOD__VALUE(__VA_ARGS__))
BROOD_API int brood_value_load(brood_value value, void *x, size_t size);
BROOD_API int brood_value_store(brood_value value, const void *x, size_t size);
BROOD_API int brood_array_load(brood_array array, size_t index, void *x, size_t size);
BROOD_API int brood_array_store(brood_array array, size_t index, const void *x, size_t size);

/*
 * Add n at once: what any number of members add at the same time is all there.  *now, if not NULL, gets the sum; one
 * beyond the type's range wraps around.  brood_..._add is for integers of up to 8 bytes, brood_..._add_real for float
 * and double.  0; BROOD_EINVAL: it is of another kind, or index is not below the count; as brood_value_get.
 */
BROOD_API int brood_value_add(brood_value value, int64_t n, int64_t *now);
BROOD_API int brood_value_add_real(brood_value value, double n, double *now);
BROOD_API int brood_array_add(brood_array array, size_t index, int64_t n, int64_t *now);
BROOD_API int brood_array_add_real(brood_array array, size_t index, double n, double *now);

/*
 * The lock of one made with .lock: acquire and release it as brood_lock_acquire and brood_lock_release do, with their
 * answers (BROOD_EOWNERDEAD: it is held now, and the last holder died with it: what it protects may be half done), or
 * get its handle.  It is not taken by the calls above.  BROOD_EPERM: there is none, or release: nobody holds it.
 */
BROOD_API int brood_value_acquire(brood_value value, int timeout);
BROOD_API int brood_value_release(brood_value value);
BROOD_API int brood_value_lock(brood_value value, brood_lock *lock);
BROOD_API int brood_array_acquire(brood_array array, int timeout);
BROOD_API int brood_array_release(brood_array array);
BROOD_API int brood_array_lock(brood_array array, brood_lock *lock);

BROOD_END

/* For the macros above. */
#define BROOD__VALUE_NEW_ONE(value, type, first)             \
    brood_value_make(value, sizeof(type), BROOD__KIND(type), \
                     BROOD__OPTIONS(brood_value_options, .initial = BROOD__INITIAL(type, first)))
#define BROOD__VALUE_NEW_MORE(value, type, first, ...)       \
    brood_value_make(value, sizeof(type), BROOD__KIND(type), \
                     BROOD__OPTIONS(brood_value_options, .initial = BROOD__INITIAL(type, first), __VA_ARGS__))
#ifdef __cplusplus
#define BROOD__KIND(type) brood__kind(static_cast<type *>(0))
extern "C++" {
template <typename T> inline brood_kind brood__kind(T *)
{
    return BROOD_KIND_BYTES;
}
#define BROOD__KIND_OF(type, which)       \
    inline brood_kind brood__kind(type *) \
    {                                     \
        return which;                     \
    }
BROOD__KIND_OF(char, char(-1) < 0 ? BROOD_KIND_SIGNED : BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(signed char, BROOD_KIND_SIGNED)
BROOD__KIND_OF(short, BROOD_KIND_SIGNED)
BROOD__KIND_OF(int, BROOD_KIND_SIGNED)
BROOD__KIND_OF(long, BROOD_KIND_SIGNED)
BROOD__KIND_OF(long long, BROOD_KIND_SIGNED)
BROOD__KIND_OF(unsigned char, BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(unsigned short, BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(unsigned, BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(unsigned long, BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(unsigned long long, BROOD_KIND_UNSIGNED)
BROOD__KIND_OF(float, BROOD_KIND_REAL)
BROOD__KIND_OF(double, BROOD_KIND_REAL)
#undef BROOD__KIND_OF
}
#define BROOD__INITIAL(type, first) brood__address(type(first))
#else
#define BROOD__INITIAL(type, first) ((const type[1]){first})
#define BROOD__KIND(type)                                                          \
    _Generic(*(type *)0, char                                                      \
             : (char)-1 < 0 ? BROOD_KIND_SIGNED : BROOD_KIND_UNSIGNED, signed char \
             : BROOD_KIND_SIGNED, short                                            \
             : BROOD_KIND_SIGNED, int                                              \
             : BROOD_KIND_SIGNED, long                                             \
             : BROOD_KIND_SIGNED, long long                                        \
             : BROOD_KIND_SIGNED, unsigned char                                    \
             : BROOD_KIND_UNSIGNED, unsigned short                                 \
             : BROOD_KIND_UNSIGNED, unsigned                                       \
             : BROOD_KIND_UNSIGNED, unsigned long                                  \
             : BROOD_KIND_UNSIGNED, unsigned long long                             \
             : BROOD_KIND_UNSIGNED, float                                          \
             : BROOD_KIND_REAL, double                                             \
             : BROOD_KIND_REAL, default                                            \
             : BROOD_KIND_BYTES)
#endif

#endif
