/* SPDX-License-Identifier: MIT */
/*
 * stream.h - a task over an input that need not be there as a whole, nor ever be: Python's imap and imap_unordered.
 *
 *     int next_line(void *file, void *argument) { ... }             an item of the input: 1; its end: 0
 *
 *     brood_pool_imap(pool, &stream, parse, next_line, file);
 *     while ((answer = brood_stream_next(stream, &record, BROOD_FOREVER, &outcome)) != 0) {
 *         if (answer > 0) use(&record);
 *         else if (outcome.code) tell(&outcome);                    that item alone; the stream goes on
 *         else break;
 *     }
 *     brood_stream_free(stream);
 *
 * The input is asked only as far ahead as the window allows, and only inside brood_stream_next and brood_stream_feed of
 * the process that made the stream: there is no thread behind it.  Each item that the input gave is answered once, in
 * its place: with its result, or with what became of it.  If this process dies, what is queued never runs, and what runs
 * is told to stop; another process can't use the stream.
 *
 * A stream is for one thread at a time, and its input must not call it (BROOD_EINVAL).  Different streams are
 * independent.  Nothing here is async-signal-safe.
 */
#ifndef BROOD_STREAM_H
#define BROOD_STREAM_H

#include <brood/pool.h>

typedef struct brood_stream {
    uint64_t id;
} brood_stream;

/*
 * The input: writes the next argument of the task to *argument and answers 1; 0: there is no more, and it is not asked
 * again; BROOD_EAGAIN: there is none now; another negative code: it has failed, which is the stream's last answer
 * behind all that it gave before.  A brood_bytes may point to memory of the input's own until it is called again or
 * the stream is freed.  argument is of no use for a task without one.
 */
typedef int brood_input_fn(void *context, void *argument);

/* Wishes for a stream; zero means default. */
typedef struct brood_stream_options {
    bool unordered;      /* results as they come, not in the order of the input */
    size_t window_items; /* items that are submitted and not given out, at most; default 1024, or 16 chunks if those are
                            more */
    size_t window_bytes; /* of their arguments, and of their results if those have one size: when there are as many no
                            more is asked for, so the last item may go beyond; default 16 MiB */
    unsigned chunk; /* items that go to a worker together, at most 65536; default 1.  One that is not full goes too,
                            when the input has no more.  With more than 1 no deadline and no retries, and no
                            brood_bytes: those are of one call */
    brood_submit_options submit; /* for each item: deadlines, retries, priority; no callback */
} brood_stream_options;

BROOD_BEGIN

/*
 * Make a stream of a pool's answers, owned by this process.  Nothing is asked of the input yet.
 * 0: *stream is the caller's until brood_stream_free; context has to stay until then, or the input's end.
 * BROOD_EINVAL, BROOD_ETASK, BROOD_ENOMEM, BROOD_ESTALE, BROOD_ENOTMEMBER; BROOD_ECLOSED: the pool takes no more; and the
 * errors of workers that can't start.
 */
#define brood_pool_imap(pool, stream, task, input, context) \
    brood_pool_imap_task(pool, stream, BROOD_TASK_OF(task), input, context, NULL)
#define brood_pool_imap_unordered(pool, stream, task, input, context) \
    brood_pool_imap_with(pool, stream, task, input, context, .unordered = true)
#define brood_pool_imap_with(pool, stream, task, input, context, ...)       \
    brood_pool_imap_task(pool, stream, BROOD_TASK_OF(task), input, context, \
                         BROOD__OPTIONS(brood_stream_options, __VA_ARGS__))
BROOD_API int brood_pool_imap_task(brood_pool pool, brood_stream *stream, const brood_task *task, brood_input_fn *input,
                                   void *context, const brood_stream_options *options);

/*
 * As brood_pool_imap, from an array of n arguments, which has to stay until the stream has ended or is freed.  Besides,
 * for a literal as array: in the form _with it needs parentheses around it if it has commas.
 */
#define brood_pool_imap_array(pool, stream, task, ...)                                                         \
    brood_pool_imap_array_task(pool, stream, BROOD_TASK_OF(task), BROOD__IN(task, BROOD__BEFORE(__VA_ARGS__)), \
                               BROOD__LAST(__VA_ARGS__), NULL)
#define brood_pool_imap_array_with(pool, stream, task, in, n, ...)                          \
    brood_pool_imap_array_task(pool, stream, BROOD_TASK_OF(task), BROOD__IN(task, in), (n), \
                               BROOD__OPTIONS(brood_stream_options, __VA_ARGS__))
BROOD_API int brood_pool_imap_array_task(brood_pool pool, brood_stream *stream, const brood_task *task, const void *in,
                                         size_t n, const brood_stream_options *options);

/*
 * The next answer; timeout in ms, for the wait alone: the input takes the time that it takes.
 * 1: an item is done, and *result (of the type of the task's result, or NULL) is its result; a brood_bytes is good
 * until the next call with this stream.  0: all has been given out.
 * Negative, with outcome->code not 0: what became of one item, as brood_future_get; the next call goes on behind it.
 * Negative, with outcome->code 0: nothing has been given out: BROOD_EAGAIN (timeout 0), BROOD_ETIMEDOUT: not yet;
 * BROOD_EAGAIN also when nothing is open and either the input has none now or the pool has max_pending tasks open of
 * others; BROOD_EARENA likewise: no memory; BROOD_ECLOSED, BROOD_ESTALE: the pool takes no more, so the input is not
 * asked any more: told once, behind all that was taken from it; a code of the input, likewise; BROOD_EINVAL: *result has not
 * the size of the task's result; BROOD_ENOMEM, BROOD_EDEADLK, BROOD_ENOTMEMBER, and the errors of workers that can't start.
 * outcome may be NULL, who needs not tell these apart.  outcome->id is the item's place in the input, from 0 on.
 * The function behind it takes the size, which a void * does not tell.
 */
#define brood_stream_next(...)                                                                                   \
    BROOD__STREAM_NEXT((BROOD__BEFORE(BROOD__BEFORE(BROOD__BEFORE(__VA_ARGS__)))), /* the stream, with commas */ \
                       BROOD__LAST(BROOD__BEFORE(BROOD__BEFORE(__VA_ARGS__))),                                   \
                       BROOD__LAST(BROOD__BEFORE(__VA_ARGS__)), BROOD__LAST(__VA_ARGS__))
BROOD_API int brood_stream_next_exactly(brood_stream stream, void *result, size_t size, int timeout,
                                        brood_outcome *outcome);
BROOD_API int brood_stream_next_bytes(brood_stream stream, brood_bytes *result, int timeout, brood_outcome *outcome);

/*
 * What is known of the end of the worker in the item that the last brood_stream_next said was lost, as
 * brood_future_crash, with the item's place in the input as crash->id: to be asked before the next brood_stream_next.
 * 0; BROOD_EINVAL: no worker ended in it, or the last answer was another; BROOD_ESTALE: the stream, or the pool, was
 * freed; BROOD_ENOTMEMBER.
 */
BROOD_API int brood_stream_crash(brood_stream stream, brood_crash *crash);

/*
 * Ask the input and submit, as far as the window allows, without waiting for anything else: so that workers have
 * something to do before the first brood_stream_next.  How many items were submitted; or, if none was for that reason,
 * a code as of brood_stream_next that says so.
 */
BROOD_API int brood_stream_feed(brood_stream stream);

/* The pool's descriptor (brood_pool_fd): readable when there may be an answer; brood_stream_next with timeout 0 then. */
BROOD_API int brood_stream_fd(brood_stream stream);

/* Give it back: what is queued never runs, what runs goes on for nobody.  0, BROOD_ESTALE, BROOD_EINVAL, BROOD_ENOTMEMBER. */
BROOD_API int brood_stream_free(brood_stream stream);

BROOD_END

/* ------------------------------------------------------------------- pieces of the macros, not for direct use */

static inline int brood__stream_next_bytes(brood_stream stream, void *result, size_t size, int timeout,
                                           brood_outcome *outcome)
{
    (void)size;
    return brood_stream_next_bytes(stream, (brood_bytes *)result, timeout, outcome);
}
#ifdef __cplusplus
extern "C++" {
template <class T> int brood__stream_next(brood_stream stream, T *result, int timeout, brood_outcome *outcome)
{
    return brood_stream_next_exactly(stream, result, sizeof *result, timeout, outcome);
}
template <> inline int brood__stream_next(brood_stream stream, brood_bytes *result, int timeout, brood_outcome *outcome)
{
    return brood_stream_next_bytes(stream, result, timeout, outcome);
}
inline int brood__stream_next(brood_stream stream, decltype(nullptr), int timeout, brood_outcome *outcome)
{
    return brood_stream_next_exactly(stream, NULL, 0, timeout, outcome);
}
}
#define BROOD__STREAM_NEXT(stream, result, timeout, outcome) brood__stream_next(stream, result, timeout, outcome)
#else
#define BROOD__STREAM_NEXT(stream, result, timeout, outcome) \
    BROOD__STREAM_GETTER(result)(stream, BROOD__FUTURE_PLACE(result), timeout, outcome)
#define BROOD__STREAM_GETTER(p) \
    _Generic((p), brood_bytes * : brood__stream_next_bytes, default : brood_stream_next_exactly)
#endif

#endif
