/* SPDX-License-Identifier: MIT */
/*
 * task.h - task functions: C functions that any member can call by name, argument and result as plain C values.
 *
 *     BROOD_TASK(to_celsius, double, double, f) { return (f - 32) * (5.0 / 9.0); }
 *
 * defines `double to_celsius(double f)`, an ordinary function, and beside it a record by which other processes find
 * it: name, sizes and a trampoline.  The form is that of the kernel's SYSCALL_DEFINE: name, result, then each
 * parameter as a type and a name.  `static` may stand in front.
 *
 *     BROOD_TASK(hello, int, void) { ... }                        no argument
 *     BROOD_TASK(area, double, double, w, double, h) { ... }      several: the argument is an area_args {w, h}
 *     BROOD_TASK(shout, brood_bytes, brood_bytes, text) { ... }   bytes of any length, both ways
 *
 * A type is any C type without pointers: it is copied as bytes.  Handles (brood_queue, brood_lock, ...) are such
 * values and may stand in structs.  A task with several parameters takes at most six.  The record is the file's own: for
 * a task that several files name, put `static BROOD_TASK(...)` into a header.
 */
#ifndef BROOD_TASK_H
#define BROOD_TASK_H

#include <brood/base.h>

/* Bytes of any length.  As an argument: good during the call.  As a result: see brood_alloc. */
typedef struct brood_bytes {
    const void *data;
    size_t size;
} brood_bytes;

#define BROOD_TASK_MAGIC 0x62726f6f64746b31ull /* "broodtk1" */

enum { BROOD_TASK_ARG_BYTES = 1, BROOD_TASK_RESULT_BYTES = 2, BROOD_TASK_RESULT_INT = 4 };

/* The record of a task function.  Made by BROOD_TASK only; its address is what is sent (as module and offset). */
typedef struct brood_task {
    uint64_t magic;
    const char *name;
    size_t arg_size;    /* bytes; 0 for none; sizeof(brood_bytes) with BROOD_TASK_ARG_BYTES */
    size_t result_size; /* likewise */
    uint32_t flags;
    uint32_t reserved;
    void (*call)(const void *arg, void *result); /* arg and result need no alignment */
} brood_task;

BROOD_BEGIN

/*
 * Inside a task: say that it can't do its work.  code: any number but 0, yours to choose; text: printf's, cut after
 * BROOD_FAIL_TEXT-1 bytes.  Both reach whoever waits for the result, which is BROOD_EFAILED there.  The task still
 * has to return; what it returns is dropped.  Outside a task nothing happens.
 */
#define BROOD_FAIL_TEXT 96
BROOD_API void brood_fail(int code, const char *format, ...) BROOD_PRINTF(2, 3);

/*
 * Inside a task: memory that lives until the call's result has been taken, for a brood_bytes result or as scratch.
 * Aligned for any type; NULL if there is none.  Freed by the library, also when the task fails.
 */
BROOD_API void *brood_alloc(size_t size);

/*
 * Inside a task: 1 if it should come to an end, because its soft deadline is over or nobody wants its result any more
 * (the future was cancelled or freed, the map has timed out); else 0.  Cheap: to be asked in its loops.  A task that
 * heeds it calls brood_fail and returns.  Outside a task 0.  Async-signal-safe.
 */
BROOD_API int brood_task_stopping(void);

BROOD_END

/* ------------------------------------------------------------------ the macro, its pieces are not for direct use */

#define BROOD__CAT(a, b) BROOD__CAT_(a, b)
#define BROOD__CAT_(a, b) a##b

/* How many of the arguments after name and result: 1 (a bare void), 2, 4, ... 12. */
#define BROOD__COUNT(...) BROOD__COUNT_(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BROOD__COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n

/* Parameter lists, struct members, and the members of *a as call arguments, for n tokens. */
#define BROOD__PARAMS_1(t) void
#define BROOD__PARAMS_2(t, n) t n
#define BROOD__PARAMS_4(t, n, ...) t n, BROOD__PARAMS_2(__VA_ARGS__)
#define BROOD__PARAMS_6(t, n, ...) t n, BROOD__PARAMS_4(__VA_ARGS__)
#define BROOD__PARAMS_8(t, n, ...) t n, BROOD__PARAMS_6(__VA_ARGS__)
#define BROOD__PARAMS_10(t, n, ...) t n, BROOD__PARAMS_8(__VA_ARGS__)
#define BROOD__PARAMS_12(t, n, ...) t n, BROOD__PARAMS_10(__VA_ARGS__)

#define BROOD__MEMBERS_2(t, n) t n;
#define BROOD__MEMBERS_4(t, n, ...) \
    t n;                            \
    BROOD__MEMBERS_2(__VA_ARGS__)
#define BROOD__MEMBERS_6(t, n, ...) \
    t n;                            \
    BROOD__MEMBERS_4(__VA_ARGS__)
#define BROOD__MEMBERS_8(t, n, ...) \
    t n;                            \
    BROOD__MEMBERS_6(__VA_ARGS__)
#define BROOD__MEMBERS_10(t, n, ...) \
    t n;                             \
    BROOD__MEMBERS_8(__VA_ARGS__)
#define BROOD__MEMBERS_12(t, n, ...) \
    t n;                             \
    BROOD__MEMBERS_10(__VA_ARGS__)

#define BROOD__PASS_2(t, n) brood__a.n
#define BROOD__PASS_4(t, n, ...) brood__a.n, BROOD__PASS_2(__VA_ARGS__)
#define BROOD__PASS_6(t, n, ...) brood__a.n, BROOD__PASS_4(__VA_ARGS__)
#define BROOD__PASS_8(t, n, ...) brood__a.n, BROOD__PASS_6(__VA_ARGS__)
#define BROOD__PASS_10(t, n, ...) brood__a.n, BROOD__PASS_8(__VA_ARGS__)
#define BROOD__PASS_12(t, n, ...) brood__a.n, BROOD__PASS_10(__VA_ARGS__)

/* The argument's type: name_args, a struct of several, the type itself for one, a char that is not sent for none. */
#define BROOD__ARGS_1(name, t) typedef char name##_args;
#define BROOD__ARGS_2(name, t, n) typedef t name##_args;
#define BROOD__ARGS_N(name, members) \
    typedef struct name##_args {     \
        members                      \
    } name##_args;
#define BROOD__ARGS_4(name, ...) BROOD__ARGS_N(name, BROOD__MEMBERS_4(__VA_ARGS__))
#define BROOD__ARGS_6(name, ...) BROOD__ARGS_N(name, BROOD__MEMBERS_6(__VA_ARGS__))
#define BROOD__ARGS_8(name, ...) BROOD__ARGS_N(name, BROOD__MEMBERS_8(__VA_ARGS__))
#define BROOD__ARGS_10(name, ...) BROOD__ARGS_N(name, BROOD__MEMBERS_10(__VA_ARGS__))
#define BROOD__ARGS_12(name, ...) BROOD__ARGS_N(name, BROOD__MEMBERS_12(__VA_ARGS__))

#define BROOD__ARG_SIZE_1(name) 0
#define BROOD__ARG_SIZE_2(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_4(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_6(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_8(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_10(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_12(name) sizeof(name##_args)

/* The argument inside the trampoline; without one nothing is read, and NULL is good. */
#define BROOD__LOAD(name) \
    name##_args brood__a; \
    __builtin_memcpy(&brood__a, brood__arg, sizeof brood__a)
#define BROOD__LOAD_1(name) (void)brood__arg
#define BROOD__LOAD_2(name) BROOD__LOAD(name)
#define BROOD__LOAD_4(name) BROOD__LOAD(name)
#define BROOD__LOAD_6(name) BROOD__LOAD(name)
#define BROOD__LOAD_8(name) BROOD__LOAD(name)
#define BROOD__LOAD_10(name) BROOD__LOAD(name)
#define BROOD__LOAD_12(name) BROOD__LOAD(name)

/* The call inside the trampoline. */
#define BROOD__CALL_1(name, t) name()
#define BROOD__CALL_2(name, t, n) name(brood__a)
#define BROOD__CALL_4(name, ...) name(BROOD__PASS_4(__VA_ARGS__))
#define BROOD__CALL_6(name, ...) name(BROOD__PASS_6(__VA_ARGS__))
#define BROOD__CALL_8(name, ...) name(BROOD__PASS_8(__VA_ARGS__))
#define BROOD__CALL_10(name, ...) name(BROOD__PASS_10(__VA_ARGS__))
#define BROOD__CALL_12(name, ...) name(BROOD__PASS_12(__VA_ARGS__))

/* A result of void: found by pasting the type's first token. */
#define BROOD__SECOND(a, b, ...) b
#define BROOD__PICK(...) BROOD__SECOND(__VA_ARGS__, )
#define BROOD__VOID_void ~, 1
#define BROOD__IS_VOID(result) BROOD__PICK(BROOD__VOID_##result, 0)
#define BROOD__RESULT_1(name, result) typedef char name##_result;
#define BROOD__RESULT_0(name, result) typedef result name##_result;
#define BROOD__RESULT_SIZE_1(name) 0
#define BROOD__RESULT_SIZE_0(name) sizeof(name##_result)
#define BROOD__STORE_1(name, call) call
#define BROOD__STORE_0(name, call) \
    name##_result brood__r = call; \
    __builtin_memcpy(brood__result, &brood__r, sizeof brood__r)

#ifdef __cplusplus
extern "C++" {
template <class T, class U> struct brood__same {
    enum { value = 0 };
};
template <class T> struct brood__same<T, T> {
    enum { value = 1 };
};
}
#define BROOD__SAME(a, b) (brood__same<a, b>::value)
#define BROOD__SECTION
#else
#define BROOD__SAME(a, b) __builtin_types_compatible_p(a, b)
#define BROOD__SECTION
#endif

#define BROOD__TASK_FLAGS(name)                                                           \
    ((BROOD__SAME(name##_args, brood_bytes) ? (unsigned)BROOD_TASK_ARG_BYTES : 0u) |      \
     (BROOD__SAME(name##_result, brood_bytes) ? (unsigned)BROOD_TASK_RESULT_BYTES : 0u) | \
     (BROOD__SAME(name##_result, int) ? (unsigned)BROOD_TASK_RESULT_INT : 0u))

#define BROOD_TASK(name, result, ...) \
    BROOD__TASK(name, result, BROOD__IS_VOID(result), BROOD__COUNT(__VA_ARGS__), __VA_ARGS__)
#define BROOD__TASK(name, result, is_void, n, ...) BROOD__TASK_(name, result, is_void, n, __VA_ARGS__)
#define BROOD__TASK_(name, result, is_void, n, ...)                                                                 \
    result name(BROOD__PARAMS_##n(__VA_ARGS__));                                                                    \
    BROOD__ARGS_##n(name, __VA_ARGS__)                                                                              \
        BROOD__RESULT_##is_void(name, result) static void name##__call(const void *brood__arg, void *brood__result) \
    {                                                                                                               \
        BROOD__LOAD_##n(name);                                                                                      \
        (void)brood__result;                                                                                        \
        BROOD__STORE_##is_void(name, BROOD__CALL_##n(name, __VA_ARGS__));                                           \
    }                                                                                                               \
    static const brood_task name##__task __attribute__((used)) = {                                                  \
        BROOD_TASK_MAGIC,                                                                                           \
        #name,                                                                                                      \
        BROOD__ARG_SIZE_##n(name),                                                                                  \
        BROOD__RESULT_SIZE_##is_void(name),                                                                         \
        BROOD__TASK_FLAGS(name),                                                                                    \
        0,                                                                                                          \
        name##__call,                                                                                               \
    };                                                                                                              \
    result name(BROOD__PARAMS_##n(__VA_ARGS__))

/* The record of a task, for the calls whose names end in _task. */
#define BROOD_TASK_OF(name) (&name##__task)

/* A pointer argument of the type the task wants, checked by the compiler; NULL passes. */
#ifdef __cplusplus
#define BROOD__IN(name, p) (static_cast<const name##_args *>(p))
#define BROOD__OUT(name, p) (static_cast<name##_result *>(p))
#else
#define BROOD__CHECK(ok, text) __extension__({ _Static_assert(ok, text); })
#define BROOD__IS_PTR(type, p) _Generic((p), type * : 1, const type * : 1, void * : 1, const void * : 1, default : 0)
#define BROOD__IN(name, p) (BROOD__CHECK(BROOD__IS_PTR(name##_args, p), "argument: wrong type for task " #name), (p))
#define BROOD__OUT(name, p)                                                                                           \
    (BROOD__CHECK(_Generic((p), name##_result * : 1, void * : 1, default : 0), "result: wrong type for task " #name), \
     (p))
#endif

#endif
