/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - what the compiler calls, for -fsanitize=thread, before each plain access and instead of each atomic one.
 *
 * Weak scenes: a store that is not part of a read-modify-write waits among the late stores of its process until a fence, a
 * futex call, or a step of its own makes it visible (kernel.c); loads take the process's own latest value.
 */
#include "machine.h"

#include <string.h>

#define HERE __builtin_return_address(0)

struct machine machine;
int running = -1;
const struct scene *scene;
const char *failure;
int failure_line;

static bool is_private(const void *address)
{
    char *low, *high;
    coroutine_bounds(running, &low, &high);
    return (const char *)address >= high - 64 * 1024 && (const char *)address < high;
}

static bool is_thread_local(const void *address)
{
    return (const char *)address >= (const char *)&brood__os_robust &&
           (const char *)address < (const char *)(&brood__os_robust + 1);
}

static void plain(const void *address, size_t size, bool write, const void *at)
{
    if (running < 0 || is_private(address) || is_thread_local(address)) return;
    memory_note(address, size, write, running);
    if (!write || !(scene->mortal & 1u << running) || machine.deaths == 0 || scene->woken_die ||
        !memory_shared(address))
        return;
    uint64_t offset = (uint64_t)((const char *)address - (const char *)brood__arena());
    if (offset < brood__arena()->size) coroutine_park(PLAIN, at);
}

/* Before an atomic access. */
static void step(volatile void *address, size_t size, bool write, const void *at)
{
    if (running < 0 || is_private((const void *)address)) return;
    memory_note((const void *)address, size, write, running);
    if (memory_shared((const void *)address)) coroutine_park(READY, at);
}

static uint64_t load(volatile void *address, size_t size, int order, const void *at)
{
    uint64_t value = 0;
    step(address, size, false, at);
    if (running >= 0) {
        struct process *me = &machine.process[running];
        for (uint32_t i = me->lates; order == __ATOMIC_SEQ_CST && i-- > 0;) {
            if (me->late[i].order != __ATOMIC_SEQ_CST) continue;
            for (uint32_t k = 0; k <= i; k++) flush(running, 0);
            break;
        }
        for (uint32_t i = me->lates; i-- > 0;) {
            if (me->late[i].address / 8 != (uintptr_t)address / 8) continue;
            if (me->late[i].address == (uintptr_t)address && me->late[i].size == size) return me->late[i].value;
            drain(running);
            break;
        }
    }
    memcpy(&value, (const void *)(uintptr_t)address, size);
    return value;
}

static void store(volatile void *address, uint64_t value, size_t size, int order, const void *at)
{
    step(address, size, true, at);
    if (running >= 0 && scene->weak && memory_shared((const void *)address)) {
        struct process *me = &machine.process[running];
        if (me->lates == MOST_STORES) flush(running, 0);
        me->late[me->lates++] = (struct late_store){(uintptr_t)address, value, (uint32_t)size, order};
        return;
    }
    memcpy((void *)(uintptr_t)address, &value, size);
}

/* Before a read-modify-write, which is one step: what of ours has to be visible before it. */
static void change(volatile void *address, size_t size, int order, const void *at)
{
    step(address, size, true, at);
    if (running < 0) return;
    struct process *me = &machine.process[running];
    bool ours = order >= __ATOMIC_RELEASE;
    for (uint32_t i = 0; i < me->lates; i++) ours |= me->late[i].address / 8 == (uintptr_t)address / 8;
    if (ours) drain(running);
}

#define ATOMICS(bits, type)                                                                                            \
    type __tsan_atomic##bits##_load(const volatile type *a, int order);                                                \
    type __tsan_atomic##bits##_load(const volatile type *a, int order)                                                 \
    {                                                                                                                  \
        return (type)load((volatile void *)(uintptr_t)a, sizeof *a, order, HERE);                                      \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile type *a, type value, int order);                                         \
    void __tsan_atomic##bits##_store(volatile type *a, type value, int order)                                          \
    {                                                                                                                  \
        store(a, value, sizeof *a, order, HERE);                                                                       \
    }                                                                                                                  \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *a, type *expected, type to, int order, int fail); \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *a, type *expected, type to, int order, int fail)  \
    {                                                                                                                  \
        (void)fail;                                                                                                    \
        change(a, sizeof *a, order, HERE);                                                                             \
        type seen = *a;                                                                                                \
        if (seen == *expected) {                                                                                       \
            *a = to;                                                                                                   \
            return 1;                                                                                                  \
        }                                                                                                              \
        *expected = seen;                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *a, type *expected, type to, int order, int fail);   \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *a, type *expected, type to, int order, int fail)    \
    {                                                                                                                  \
        (void)fail;                                                                                                    \
        change(a, sizeof *a, order, HERE);                                                                             \
        type seen = *a;                                                                                                \
        if (seen == *expected) {                                                                                       \
            *a = to;                                                                                                   \
            return 1;                                                                                                  \
        }                                                                                                              \
        *expected = seen;                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *a, type expected, type to, int order, int fail);    \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *a, type expected, type to, int order, int fail)     \
    {                                                                                                                  \
        __tsan_atomic##bits##_compare_exchange_strong(a, &expected, to, order, fail);                                  \
        return expected;                                                                                               \
    }                                                                                                                  \
    FETCH(bits, type, exchange, value)                                                                                 \
    FETCH(bits, type, fetch_add, (type)(before + value))                                                               \
    FETCH(bits, type, fetch_sub, (type)(before - value))                                                               \
    FETCH(bits, type, fetch_and, (type)(before & value))                                                               \
    FETCH(bits, type, fetch_or, (type)(before | value))

#define FETCH(bits, type, name, after)                                          \
    type __tsan_atomic##bits##_##name(volatile type *a, type value, int order); \
    type __tsan_atomic##bits##_##name(volatile type *a, type value, int order)  \
    {                                                                           \
        change(a, sizeof *a, order, HERE);                                      \
        type before = *a;                                                       \
        *a = after;                                                             \
        return before;                                                          \
    }

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    if (running >= 0 && order == __ATOMIC_SEQ_CST) drain(running);
}
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

#define PLAINS(name, size)                      \
    void __tsan_read##name(void *a);            \
    void __tsan_read##name(void *a)             \
    {                                           \
        plain(a, size, false, HERE);            \
    }                                           \
    void __tsan_write##name(void *a);           \
    void __tsan_write##name(void *a)            \
    {                                           \
        plain(a, size, true, HERE);             \
    }                                           \
    void __tsan_unaligned_read##name(void *a);  \
    void __tsan_unaligned_read##name(void *a)   \
    {                                           \
        plain(a, size, false, HERE);            \
    }                                           \
    void __tsan_unaligned_write##name(void *a); \
    void __tsan_unaligned_write##name(void *a)  \
    {                                           \
        plain(a, size, true, HERE);             \
    }                                           \
    void __tsan_read_write##name(void *a);      \
    void __tsan_read_write##name(void *a)       \
    {                                           \
        plain(a, size, true, HERE);             \
    }
PLAINS(1, 1)
PLAINS(2, 2)
PLAINS(4, 4)
PLAINS(8, 8)
PLAINS(16, 16)

void __tsan_read_range(void *a, unsigned long size);
void __tsan_read_range(void *a, unsigned long size)
{
    plain(a, size, false, HERE);
}
void __tsan_write_range(void *a, unsigned long size);
void __tsan_write_range(void *a, unsigned long size)
{
    plain(a, size, true, HERE);
}
void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
    (void)caller;
}
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

/* The C library's are not compiled so; the linker sends their calls here (--wrap). */
void *__real_memcpy(void *to, const void *from, size_t size);
void *__real_memmove(void *to, const void *from, size_t size);
void *__wrap_memmove(void *to, const void *from, size_t size);
void *__real_memset(void *to, int byte, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memset(void *to, int byte, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    plain(from, size, false, HERE);
    plain(to, size, true, HERE);
    return __real_memcpy(to, from, size);
}
void *__wrap_memmove(void *to, const void *from, size_t size)
{
    plain(from, size, false, HERE);
    plain(to, size, true, HERE);
    return __real_memmove(to, from, size);
}
void *__wrap_memset(void *to, int byte, size_t size)
{
    plain(to, size, true, HERE);
    return __real_memset(to, byte, size);
}
