/* SPDX-License-Identifier: MIT */
/*
 * value.c - values and arrays: reading, writing and adding in place.  Each call visits the object, so that its bytes are
 * not another's before it ends.  Thread-safe; load, store and add are async-signal-safe.
 */
#include "arena/visit.h"
#include "shared/shared.h"

#include <string.h>

int brood_value_make(brood_value *value, size_t size, brood_kind kind, const brood_value_options *options)
{
    static const brood_value_options none;
    if (!options) options = &none;
    struct shared_plan plan = {.what = SHARED_VALUE,
                               .size = size,
                               .count = 1,
                               .kind = kind,
                               .initial = options->initial,
                               .lock = options->lock,
                               .scope = options->scope.id};
    return brood__shared_make(&value->id, &plan, NULL, NULL);
}

int brood_array_make(brood_array *array, size_t size, brood_kind kind, const brood_array_options *options)
{
    static const brood_array_options none;
    if (!options) options = &none;
    struct shared_plan plan = {.what = SHARED_ARRAY,
                               .size = size,
                               .count = options->count,
                               .kind = kind,
                               .initial = options->initial,
                               .lock = options->lock,
                               .scope = options->scope.id};
    return brood__shared_make(&array->id, &plan, NULL, NULL);
}

int brood_value_free(brood_value value)
{
    return brood__shared_free(SHARED_VALUE, value.id);
}
int brood_array_free(brood_array array)
{
    return brood__shared_free(SHARED_ARRAY, array.id);
}

static int wrong_size(const struct shared_shm *s, size_t size)
{
    return brood__fail_numbers(BROOD_EINVAL, "the elements are of %lld bytes, not %lld", (long long)s->size,
                               (long long)size);
}

static void *bytes_of(enum shared_what what, uint64_t id, size_t size)
{
    struct shared_shm *s;
    unsigned cell;
    void *bytes = NULL;
    if (brood__shared_visit(what, id, &s, &cell) < 0) return NULL;
    if (s->size == size)
        bytes = brood__shared_bytes(s);
    else
        wrong_size(s, size);
    brood__visit_end(cell);
    return bytes;
}

void *brood_value_at(brood_value value, size_t size)
{
    return bytes_of(SHARED_VALUE, value.id, size);
}
void *brood_array_at(brood_array array, size_t size)
{
    return bytes_of(SHARED_ARRAY, array.id, size);
}

int64_t brood_array_count(brood_array array)
{
    struct shared_shm *s;
    unsigned cell;
    int error = brood__shared_visit(SHARED_ARRAY, array.id, &s, &cell);
    if (error < 0) return error;
    int64_t count = (int64_t)s->count;
    brood__visit_end(cell);
    return count;
}

/* ----------------------------------------------------------------------------------------------------- one element */

/* Visit the object, and find the element: 0, or an error, and then there is nothing to end. */
static int find(enum shared_what what, uint64_t id, size_t index, struct shared_shm **s, void **element, unsigned *cell)
{
    int error = brood__shared_visit(what, id, s, cell);
    if (error < 0) return error;
    if (index < (*s)->count) {
        *element = (char *)brood__shared_bytes(*s) + index * (*s)->size;
        return 0;
    }
    error = brood__fail_numbers(BROOD_EINVAL, "index %lld of %lld elements", (long long)index, (long long)(*s)->count);
    brood__visit_end(*cell);
    return error;
}

/* One access where there is one of this size; sequentially consistent, so that elements can tell of one another. */
static void copy_out(const void *element, void *x, size_t size)
{
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1: one = __atomic_load_n((const uint8_t *)element, __ATOMIC_SEQ_CST), memcpy(x, &one, 1); break;
    case 2: two = __atomic_load_n((const uint16_t *)element, __ATOMIC_SEQ_CST), memcpy(x, &two, 2); break;
    case 4: four = __atomic_load_n((const uint32_t *)element, __ATOMIC_SEQ_CST), memcpy(x, &four, 4); break;
    case 8: eight = __atomic_load_n((const uint64_t *)element, __ATOMIC_SEQ_CST), memcpy(x, &eight, 8); break;
    default: memcpy(x, element, size);
    }
}

static void copy_in(void *element, const void *x, size_t size)
{
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1: memcpy(&one, x, 1), __atomic_store_n((uint8_t *)element, one, __ATOMIC_SEQ_CST); break;
    case 2: memcpy(&two, x, 2), __atomic_store_n((uint16_t *)element, two, __ATOMIC_SEQ_CST); break;
    case 4: memcpy(&four, x, 4), __atomic_store_n((uint32_t *)element, four, __ATOMIC_SEQ_CST); break;
    case 8: memcpy(&eight, x, 8), __atomic_store_n((uint64_t *)element, eight, __ATOMIC_SEQ_CST); break;
    default: memcpy(element, x, size);
    }
}

static int load(enum shared_what what, uint64_t id, size_t index, void *x, size_t size)
{
    struct shared_shm *s;
    void *element;
    unsigned cell;
    int error = find(what, id, index, &s, &element, &cell);
    if (error < 0) return error;
    if (s->size == size)
        copy_out(element, x, size);
    else
        error = wrong_size(s, size);
    brood__visit_end(cell);
    return error;
}

static int store(enum shared_what what, uint64_t id, size_t index, const void *x, size_t size)
{
    struct shared_shm *s;
    void *element;
    unsigned cell;
    int error = find(what, id, index, &s, &element, &cell);
    if (error < 0) return error;
    if (s->size == size)
        copy_in(element, x, size);
    else
        error = wrong_size(s, size);
    brood__visit_end(cell);
    return error;
}

int brood_value_load(brood_value value, void *x, size_t size)
{
    return load(SHARED_VALUE, value.id, 0, x, size);
}
int brood_value_store(brood_value value, const void *x, size_t size)
{
    return store(SHARED_VALUE, value.id, 0, x, size);
}
int brood_array_load(brood_array array, size_t index, void *x, size_t size)
{
    return load(SHARED_ARRAY, array.id, index, x, size);
}
int brood_array_store(brood_array array, size_t index, const void *x, size_t size)
{
    return store(SHARED_ARRAY, array.id, index, x, size);
}

/* ---------------------------------------------------------------------------------------------------------- adding */

static bool add_integer(void *element, const struct shared_shm *s, int64_t n, int64_t *now)
{
    bool has_sign = s->kind == BROOD_KIND_SIGNED;
    if (!has_sign && s->kind != BROOD_KIND_UNSIGNED) return false;
    switch (s->size) {
    case 1: {
        uint8_t sum = __atomic_add_fetch((uint8_t *)element, (uint8_t)n, __ATOMIC_SEQ_CST);
        *now = has_sign ? (int64_t)(int8_t)sum : (int64_t)sum;
        return true;
    }
    case 2: {
        uint16_t sum = __atomic_add_fetch((uint16_t *)element, (uint16_t)n, __ATOMIC_SEQ_CST);
        *now = has_sign ? (int64_t)(int16_t)sum : (int64_t)sum;
        return true;
    }
    case 4: {
        uint32_t sum = __atomic_add_fetch((uint32_t *)element, (uint32_t)n, __ATOMIC_SEQ_CST);
        *now = has_sign ? (int64_t)(int32_t)sum : (int64_t)sum;
        return true;
    }
    case 8: *now = (int64_t)__atomic_add_fetch((uint64_t *)element, (uint64_t)n, __ATOMIC_SEQ_CST); return true;
    default: return false;
    }
}

static bool add_real(void *element, const struct shared_shm *s, double n, double *now)
{
    if (s->kind != BROOD_KIND_REAL) return false;
    if (s->size == sizeof(double)) {
        uint64_t seen = __atomic_load_n((uint64_t *)element, __ATOMIC_SEQ_CST), next;
        do {
            memcpy(now, &seen, sizeof *now);
            *now += n;
            memcpy(&next, now, sizeof next);
        } while (
            !__atomic_compare_exchange_n((uint64_t *)element, &seen, next, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
        return true;
    }
    if (s->size != sizeof(float)) return false;
    uint32_t seen = __atomic_load_n((uint32_t *)element, __ATOMIC_SEQ_CST), next;
    float sum;
    do {
        memcpy(&sum, &seen, sizeof sum);
        sum = (float)(sum + n);
        memcpy(&next, &sum, sizeof next);
    } while (!__atomic_compare_exchange_n((uint32_t *)element, &seen, next, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    *now = sum;
    return true;
}

static int add(enum shared_what what, uint64_t id, size_t index, int64_t n, int64_t *now)
{
    struct shared_shm *s;
    void *element;
    unsigned cell;
    int64_t sum;
    int error = find(what, id, index, &s, &element, &cell);
    if (error < 0) return error;
    if (!add_integer(element, s, n, &sum))
        error = brood__fail_numbers(BROOD_EINVAL, "the elements are no integers", 0, 0);
    else if (now)
        *now = sum;
    brood__visit_end(cell);
    return error;
}

static int add_to_real(enum shared_what what, uint64_t id, size_t index, double n, double *now)
{
    struct shared_shm *s;
    void *element;
    unsigned cell;
    double sum;
    int error = find(what, id, index, &s, &element, &cell);
    if (error < 0) return error;
    if (!add_real(element, s, n, &sum))
        error = brood__fail_numbers(BROOD_EINVAL, "the elements are neither float nor double", 0, 0);
    else if (now)
        *now = sum;
    brood__visit_end(cell);
    return error;
}

int brood_value_add(brood_value value, int64_t n, int64_t *now)
{
    return add(SHARED_VALUE, value.id, 0, n, now);
}
int brood_array_add(brood_array array, size_t index, int64_t n, int64_t *now)
{
    return add(SHARED_ARRAY, array.id, index, n, now);
}
int brood_value_add_real(brood_value value, double n, double *now)
{
    return add_to_real(SHARED_VALUE, value.id, 0, n, now);
}
int brood_array_add_real(brood_array array, size_t index, double n, double *now)
{
    return add_to_real(SHARED_ARRAY, array.id, index, n, now);
}

/* -------------------------------------------------------------------------------------------------------- the lock */

static int lock_of(enum shared_what what, uint64_t id, brood_lock *lock)
{
    struct shared_shm *s;
    unsigned cell;
    int error = brood__shared_visit(what, id, &s, &cell);
    if (error < 0) return error;
    lock->id = atomic_load_explicit(&s->lock, memory_order_relaxed);
    if (lock->id == 0) error = brood__fail_numbers(BROOD_EPERM, "it was made without a lock", 0, 0);
    brood__visit_end(cell);
    return error;
}

int brood_value_lock(brood_value value, brood_lock *lock)
{
    return lock_of(SHARED_VALUE, value.id, lock);
}
int brood_array_lock(brood_array array, brood_lock *lock)
{
    return lock_of(SHARED_ARRAY, array.id, lock);
}

int brood_value_acquire(brood_value value, int timeout)
{
    brood_lock lock;
    int error = brood_value_lock(value, &lock);
    return error < 0 ? error : brood_lock_acquire(lock, timeout);
}
int brood_value_release(brood_value value)
{
    brood_lock lock;
    int error = brood_value_lock(value, &lock);
    return error < 0 ? error : brood_lock_release(lock);
}
int brood_array_acquire(brood_array array, int timeout)
{
    brood_lock lock;
    int error = brood_array_lock(array, &lock);
    return error < 0 ? error : brood_lock_acquire(lock, timeout);
}
int brood_array_release(brood_array array)
{
    brood_lock lock;
    int error = brood_array_lock(array, &lock);
    return error < 0 ? error : brood_lock_release(lock);
}
