/* SPDX-License-Identifier: MIT */
/*
 * task.h - task functions: C functions that any member can call by name, argument and result as plain C values.
 *
 *     BROOD_TASK(to_celsius, double, double, f) { return (f - 32) * (5.0 / 9.0); }
 *
 * defines `double to_celsius(double f)`, an ordinary function, and beside it a record by which other processes find
 * it: name, sizes and a trampoline.  The form is that of the kernel's SYSCALL_DEFINE: name, result, then each
 * parameter as a type and a name.  `static` may stand in front.  The record is the file's own.
 *
 *     BROOD_TASK(hello, int, void) { ... }                        no argument; BROOD_TASK(hello, int) is the same
 *     BROOD_TASK(area, double, double, w, double, h) { ... }      several: the argument is an area_args {w, h}
 *     BROOD_TASK(shout, brood_bytes, brood_bytes, text) { ... }   bytes of any length, both ways
 *
 * A type is any C type without pointers: it is copied as bytes.  Handles (brood_queue, brood_lock, ...) are such
 * values and may stand in structs.  A task with several parameters takes at most six, and none of them is brood_bytes.
 * A pointer as parameter or result, and a parameter without its name, don't compile.
 *
 * For a task that several files name, its header says
 *
 *     BROOD_TASK_DECLARE(to_celsius, double, double, f);
 *
 * and one file defines it as the ordinary function it is, which the compiler checks:
 *
 *     double to_celsius(double f) { return (f - 32) * (5.0 / 9.0); }
 */
#ifndef BROOD_TASK_H
#define BROOD_TASK_H

#include <brood/base.h>
#include <brood/commas.h>

/* Bytes of any length.  As an argument: good during the call.  As a result: see brood_alloc. */
typedef struct brood_bytes {
    const void *data;
    size_t size;
} brood_bytes;

#define BROOD_TASK_MAGIC 0x62726f6f64746b31ull /* "broodtk1" */

enum { BROOD_TASK_ARG_BYTES = 1, BROOD_TASK_RESULT_BYTES = 2, BROOD_TASK_RESULT_INT = 4, BROOD_TASK_VARIANT = 8 };

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

/*
 * Inside a task of a pool: a number for this call alone, from which to seed a generator of random numbers.  It depends
 * on the pool's option `seed`, on which of the pool's submits, maps and streams this is, counted from its making, and on
 * the item's place in that; so it is the same in each run of the program that calls the pool in the same order, whichever
 * worker runs the task, and however often.  0 anywhere else.  Async-signal-safe.
 */
BROOD_API uint64_t brood_task_seed(void);

BROOD_END

/* ------------------------------------------------------------------ the macro, its pieces are not for direct use */

/*
 * How many arguments there are after name and result: 1 (a bare void), 2, 4, ... 12; what can't be: ODD (a type without
 * a name), MANY.
 */
#define BROOD__COUNT(...)                                                                                           \
    BROOD__COUNT_(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, 12, ODD, 10, ODD, 8, ODD, 6, ODD, 4, \
                  ODD, 2, 1, 0)
#define BROOD__COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, count, ...) count

/* What the compiler says of a task that can't be one. */
#ifdef __cplusplus
#define BROOD__ASSERT(ok, text) static_assert(ok, text)
#else
#define BROOD__ASSERT(ok, text) _Static_assert(ok, text)
#endif
#define BROOD__CHECK_VALUE(name, type, what) \
    BROOD__ASSERT(BROOD__IS_VALUE(type),     \
                  "task " #name ": a pointer as " what ", which means nothing in another process")
#define BROOD__CHECK_PART(name, type)            \
    BROOD__CHECK_VALUE(name, type, "parameter"); \
    BROOD__ASSERT(!BROOD__SAME(type, brood_bytes), "task " #name ": brood_bytes can only be its one parameter");
#define BROOD__CHECK_1(name, t)      \
    BROOD__ASSERT(BROOD__IS_VOID(t), \
                  "task " #name      \
                  ": each parameter is a type and a name with a comma between; or void, if there is none");
#define BROOD__CHECK_2(name, t, n) BROOD__CHECK_VALUE(name, t, "parameter");
#define BROOD__CHECK_PART_2(name, t, n) BROOD__CHECK_PART(name, t)
#define BROOD__CHECK_4(name, t, n, ...) BROOD__CHECK_PART(name, t) BROOD__CHECK_PART_2(name, __VA_ARGS__)
#define BROOD__CHECK_6(name, t, n, ...) BROOD__CHECK_PART(name, t) BROOD__CHECK_4(name, __VA_ARGS__)
#define BROOD__CHECK_8(name, t, n, ...) BROOD__CHECK_PART(name, t) BROOD__CHECK_6(name, __VA_ARGS__)
#define BROOD__CHECK_10(name, t, n, ...) BROOD__CHECK_PART(name, t) BROOD__CHECK_8(name, __VA_ARGS__)
#define BROOD__CHECK_12(name, t, n, ...) BROOD__CHECK_PART(name, t) BROOD__CHECK_10(name, __VA_ARGS__)
#define BROOD__CHECK_ODD(name, ...) \
    BROOD__ASSERT(0, "task " #name ": each parameter is a type and a name with a comma between");
#define BROOD__CHECK_MANY(name, ...) BROOD__ASSERT(0, "task " #name ": more than six parameters");
#define BROOD__CHECK_RESULT_1(name, result)  \
    BROOD__ASSERT(BROOD__SAME(result, void), \
                  "task " #name ": a pointer as result, which means nothing in another process");
#define BROOD__CHECK_RESULT_0(name, result) BROOD__CHECK_VALUE(name, result, "result");

/* Parameter lists, struct members, and the members of *a as call arguments, for n tokens. */
#define BROOD__PARAMS_1(t) void
#define BROOD__PARAMS_ODD(...) void
#define BROOD__PARAMS_MANY(...) void
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
#define BROOD__ARGS_ODD(name, ...) typedef char name##_args;
#define BROOD__ARGS_MANY(name, ...) typedef char name##_args;
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
#define BROOD__ARG_SIZE_ODD(name) 0
#define BROOD__ARG_SIZE_MANY(name) 0
#define BROOD__ARG_SIZE_2(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_4(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_6(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_8(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_10(name) sizeof(name##_args)
#define BROOD__ARG_SIZE_12(name) sizeof(name##_args)

#define BROOD__WANTS_1 0
#define BROOD__WANTS_ODD 0
#define BROOD__WANTS_MANY 0
#define BROOD__WANTS_2 1
#define BROOD__WANTS_4 1
#define BROOD__WANTS_6 1
#define BROOD__WANTS_8 1
#define BROOD__WANTS_10 1
#define BROOD__WANTS_12 1

/* The argument inside the trampoline; without one nothing is read, and NULL is good. */
#define BROOD__LOAD(name) \
    name##_args brood__a; \
    __builtin_memcpy(&brood__a, brood__arg, sizeof brood__a)
#define BROOD__LOAD_1(name) (void)brood__arg
#define BROOD__LOAD_ODD(name) (void)brood__arg
#define BROOD__LOAD_MANY(name) (void)brood__arg
#define BROOD__LOAD_2(name) BROOD__LOAD(name)
#define BROOD__LOAD_4(name) BROOD__LOAD(name)
#define BROOD__LOAD_6(name) BROOD__LOAD(name)
#define BROOD__LOAD_8(name) BROOD__LOAD(name)
#define BROOD__LOAD_10(name) BROOD__LOAD(name)
#define BROOD__LOAD_12(name) BROOD__LOAD(name)

/* The call inside the trampoline. */
#define BROOD__CALL_1(name, t) name()
#define BROOD__CALL_ODD(name, ...) name()
#define BROOD__CALL_MANY(name, ...) name()
#define BROOD__CALL_2(name, t, n) name(brood__a)
#define BROOD__CALL_4(name, ...) name(BROOD__PASS_4(__VA_ARGS__))
#define BROOD__CALL_6(name, ...) name(BROOD__PASS_6(__VA_ARGS__))
#define BROOD__CALL_8(name, ...) name(BROOD__PASS_8(__VA_ARGS__))
#define BROOD__CALL_10(name, ...) name(BROOD__PASS_10(__VA_ARGS__))
#define BROOD__CALL_12(name, ...) name(BROOD__PASS_12(__VA_ARGS__))

/* A result of void: found by pasting the type's first token.  Likewise no parameter: void, or nothing at all. */
#define BROOD__SECOND(a, b, ...) b
#define BROOD__PICK(...) BROOD__SECOND(__VA_ARGS__, )
#define BROOD__VOID_void ~, 1, ~
#define BROOD__VOID_ ~, 1, ~
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
template <class T> struct brood__is_value {
    enum { value = 1 };
};
template <class T> struct brood__is_value<T *> {
    enum { value = 0 };
};
template <class T> const T *brood__address(const T &value)
{
    return &value;
}
}
#define BROOD__SAME(a, b) (brood__same<a, b>::value)
#define BROOD__IS_VALUE(type) (brood__is_value<type>::value)
#else
#define BROOD__SAME(a, b) __builtin_types_compatible_p(a, b)
#define BROOD__IS_VALUE(type) (__builtin_classify_type(*(__typeof__(type) *)0) != __builtin_classify_type((char *)0))
#endif

#define BROOD__TASK_FLAGS(name)                                                           \
    ((BROOD__SAME(name##_args, brood_bytes) ? (unsigned)BROOD_TASK_ARG_BYTES : 0u) |      \
     (BROOD__SAME(name##_result, brood_bytes) ? (unsigned)BROOD_TASK_RESULT_BYTES : 0u) | \
     (BROOD__SAME(name##_result, int) ? (unsigned)BROOD_TASK_RESULT_INT : 0u))

#define BROOD_TASK(name, result, ...) \
    BROOD__TASK(name, result, BROOD__IS_VOID(result), BROOD__COUNT(__VA_ARGS__), __VA_ARGS__)
#define BROOD__TASK(name, result, is_void, n, ...) BROOD__TASK_(name, result, is_void, n, __VA_ARGS__)
#define BROOD__TASK_(name, result, is_void, n, ...)                 \
    BROOD__TASK_PARTS(name, result, is_void, n, used, __VA_ARGS__); \
    result name(BROOD__PARAMS_##n(__VA_ARGS__))

/* The same without the function itself, which is another file's; what is not used leaves no trace. */
#define BROOD_TASK_DECLARE(name, result, ...) \
    BROOD__DECLARE(name, result, BROOD__IS_VOID(result), BROOD__COUNT(__VA_ARGS__), __VA_ARGS__)
#define BROOD__DECLARE(name, result, is_void, n, ...) BROOD__TASK_PARTS(name, result, is_void, n, unused, __VA_ARGS__)

/*
 * The enumerator is for who writes both BROOD_TASK_DECLARE and BROOD_TASK: it is what the compiler complains of first.
 */
#define BROOD__TASK_PARTS(name, result, is_void, n, usage, ...)                                                        \
    result name(BROOD__PARAMS_##n(__VA_ARGS__));                                                                       \
    enum {                                                                                                             \
        name##__is_declared_already_so_define_it_as_an_ordinary_function,                                              \
        name##__wants_argument = BROOD__WANTS_##n                                                                      \
    };                                                                                                                 \
    BROOD__CHECK_##n(name, __VA_ARGS__) BROOD__CHECK_RESULT_##is_void(name, result) BROOD__ARGS_##n(name, __VA_ARGS__) \
        BROOD__RESULT_##is_void(name, result)                                                                          \
            __attribute__((unused)) static void name##__call(const void *brood__arg, void *brood__result)              \
    {                                                                                                                  \
        BROOD__LOAD_##n(name);                                                                                         \
        (void)brood__result;                                                                                           \
        BROOD__STORE_##is_void(name, BROOD__CALL_##n(name, __VA_ARGS__));                                              \
    }                                                                                                                  \
    static const brood_task name##__task __attribute__((usage)) = {                                                    \
        BROOD_TASK_MAGIC,                                                                                              \
        #name,                                                                                                         \
        BROOD__ARG_SIZE_##n(name),                                                                                     \
        BROOD__RESULT_SIZE_##is_void(name),                                                                            \
        BROOD__TASK_FLAGS(name),                                                                                       \
        0,                                                                                                             \
        name##__call,                                                                                                  \
    }

/* The record of a task, for the calls whose names end in _task. */
#define BROOD_TASK_OF(name) (&name##__task)

/*
 * What is behind the macros that take a task by name: pointers of the types that the task wants, checked by the
 * compiler; NULL passes.  They take commas; BROOD__NO_IN is the argument of a task that wants none.
 */
#ifdef __cplusplus
#define BROOD__IN(name, ...) (static_cast<const name##_args *>(__VA_ARGS__))
#define BROOD__OUT(name, ...) (static_cast<name##_result *>(__VA_ARGS__))
#define BROOD__ONLY_IF(ok, text, ...) (__VA_ARGS__)
#define BROOD__NO_IN(name) (static_cast<const name##_args *>(NULL))
#define BROOD__OPTIONS(type, ...) (brood__address(type{__VA_ARGS__}))
#else
#define BROOD__ONLY_IF(ok, text, ...) (__extension__({ _Static_assert(ok, text); }), (__VA_ARGS__))
#define BROOD__POINTS_TO(type, ...) \
    _Generic((__VA_ARGS__), type * : 1, const type * : 1, void * : 1, const void * : 1, default : 0)
#define BROOD__IN(name, ...) \
    BROOD__ONLY_IF(BROOD__POINTS_TO(name##_args, __VA_ARGS__), "argument: wrong type for task " #name, __VA_ARGS__)
#define BROOD__OUT(name, ...)                                                             \
    BROOD__ONLY_IF(_Generic((__VA_ARGS__), name##_result * : 1, void * : 1, default : 0), \
                   "result: wrong type for task " #name, __VA_ARGS__)
#define BROOD__NO_IN(name) BROOD__ONLY_IF(!name##__wants_argument, "argument: missing for task " #name, NULL)
#define BROOD__OPTIONS(type, ...) (&(type){__VA_ARGS__})
#endif

#endif
