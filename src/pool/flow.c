/* SPDX-License-Identifier: MIT */
/*
 * flow.c - how a stream flows: items from the input into tasks, as far as the window allows; their answers out of it, in
 * order or as they come.  Each item taken is given out once, whatever becomes of its task, its pool and its memory.
 */
#include "call/error.h"
#include "call/seed.h"
#include "pool/answers.h"
#include "pool/stream.h"
#include "pool/task.h"
#include "sync/bell.h"

#include <stdlib.h>
#include <string.h>

static struct entry *entry_at(struct stream *s, size_t place)
{
    return &s->ring[(s->head + place) & (s->room - 1)];
}

/* Room for one more entry; false: no memory. */
static bool make_room(struct stream *s)
{
    if (s->count < s->room) return true;
    size_t room = s->room ? 2 * s->room : 16;
    struct entry *ring = malloc(room * sizeof *ring);
    if (!ring) return false;
    for (size_t i = 0; i < s->count; i++) ring[i] = *entry_at(s, i);
    free(s->ring);
    s->ring = ring;
    s->room = room;
    s->head = 0;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------ feeding */

/* The pool takes no more: the input is not asked again, and the last answer says why. */
static void refuse(struct stream *s, int code)
{
    if (!s->ended) s->last = code;
    s->ended = true;
}

/* false: not now; `stuck` says why. */
static bool send_entry(struct stream *s, struct entry *e)
{
    uint64_t seed = seed_after(s->seed, e->first);
    struct submission submission = {.task = s->task,
                                    .arg = e->args,
                                    .options = &s->wishes.submit,
                                    .items = s->wishes.chunk > 1 ? e->items : 0,
                                    .seed = seed ? seed : 1};
    int error = brood__task_submit(s->pool, &e->future, &submission);
    s->stuck = error == BROOD_EAGAIN || error == BROOD_EARENA ? error : 0;
    if (s->stuck) return false;
    e->state = error < 0 ? ENTRY_REFUSED : ENTRY_SENT;
    if (error < 0) refuse(s, error);
    if (s->spare)
        free(e->args);
    else
        s->spare = e->args;
    e->args = NULL;
    return true;
}

static int ask(struct stream *s, void *argument)
{
    if (s->input) return s->input(s->context, argument);
    if (s->left == 0) return 0;
    s->left--;
    if (s->task->arg_size == 0) return 1;
    memcpy(argument, s->array, s->task->arg_size);
    s->array += s->task->arg_size;
    return 1;
}

static size_t bytes_of(const struct stream *s, const void *argument)
{
    size_t bytes = s->task->flags & BROOD_TASK_RESULT_BYTES ? 0 : s->task->result_size;
    return bytes + (s->task->flags & BROOD_TASK_ARG_BYTES ? ((const brood_bytes *)argument)->size : s->task->arg_size);
}

static bool window_is_full(const struct stream *s)
{
    return s->open_items >= s->wishes.window_items || s->open_bytes >= s->wishes.window_bytes;
}

/*
 * Whether the next entry can go.  Chunks wait until there is room for a whole one, as large as the window lets any be:
 * else, once it has been full, each would be of the one item for which there is room again.
 */
static bool is_room(const struct stream *s)
{
    size_t most = s->wishes.chunk, bytes = s->task->arg_size + s->task->result_size;
    if (most == 1 || s->open_items == 0) return !window_is_full(s);
    if (most > s->wishes.window_items) most = s->wishes.window_items;
    if (bytes && most > s->wishes.window_bytes / bytes) most = s->wishes.window_bytes / bytes;
    return s->open_items + most <= s->wishes.window_items && s->open_bytes + most * bytes <= s->wishes.window_bytes;
}

/* The next items, as many as go together: an entry that is UNSENT; false: there are none. */
static bool take(struct stream *s)
{
    if (!s->spare) s->spare = calloc(s->wishes.chunk, s->task->arg_size + 1);
    if (!s->spare || !make_room(s)) {
        s->stuck = BROOD_ENOMEM;
        return false;
    }
    struct entry e = {.state = ENTRY_UNSENT, .first = s->taken, .args = s->spare};
    while (e.items < s->wishes.chunk && !window_is_full(s)) {
        char *argument = (char *)s->spare + e.items * s->task->arg_size;
        int answer = ask(s, argument);
        s->dry = answer == BROOD_EAGAIN;
        if (s->dry) break;
        if (answer <= 0) {
            s->ended = true;
            s->last = answer;
            break;
        }
        e.bytes = bytes_of(s, argument);
        e.items++;
        s->taken++;
        s->open_items++;
        s->open_bytes += e.bytes;
    }
    if (e.items == 0) return false;
    s->spare = NULL;
    *entry_at(s, s->count++) = e;
    return true;
}

void brood__flow_feed(struct stream *s)
{
    s->stuck = 0;
    for (size_t i = 0; i < s->count; i++)
        if (entry_at(s, i)->state == ENTRY_UNSENT && !send_entry(s, entry_at(s, i))) return;
    s->dry = false;
    while (!s->ended && !s->dry && is_room(s) && take(s))
        if (!send_entry(s, entry_at(s, s->count - 1))) return;
}

/* ---------------------------------------------------------------------------------------------------------- giving out */

/* What the caller looked at last is not needed any more. */
static void take_back(struct stream *s)
{
    if (s->lent.pool) brood__task_free(s->lent);
    s->lent.pool = 0;
    s->has_lost = false;
}

/* The pool has gone, and all answers with it. */
static void refuse_all(struct stream *s, int code)
{
    refuse(s, code);
    for (size_t i = 0; i < s->count; i++) {
        struct entry *e = entry_at(s, i);
        if (e->state == ENTRY_SENT && e->rest) free(e->rest);
        if (e->state == ENTRY_SENT) e->rest = NULL;
        e->state = ENTRY_REFUSED;
        free(e->args);
        e->args = NULL;
    }
}

/*
 * Its answer is there: how many of its items are decided by it.  One that was cancelled speaks for all behind it too;
 * else those behind the one that ended it have to be sent anew, and their arguments are saved, for the slot goes.
 */
static int settle(struct stream *s, struct entry *e)
{
    brood_outcome outcome = {0};
    brood_bytes bytes;
    int code = brood__task_get(e->future, &bytes, 0, &outcome);
    if (code < 0 && outcome.code == 0) return code;
    e->ends = e->items;
    e->ran = 0;
    if (s->wishes.chunk > 1) {
        e->arguments = brood__task_items(e->future, &e->ran);
        if (!e->arguments) return BROOD_ESTALE;
        if (e->ran > e->items) e->ran = e->items;
        e->attempt = outcome.attempt;
        e->pid = outcome.pid;
        uint32_t ends = e->ran + (code < 0);
        if (ends < e->items && outcome.reason < BROOD_REASON_CANCELLED) {
            e->rest = malloc((e->items - ends) * s->task->arg_size + 1);
            if (!e->rest) return BROOD_ENOMEM;
            memcpy(e->rest, e->arguments + ends * s->task->arg_size, (e->items - ends) * s->task->arg_size);
            e->ends = ends;
        }
    }
    e->settled = true;
    return 0;
}

/* All items of its answer have been given out: the entry goes, or is of the rest from now on. */
static void finish(struct stream *s, size_t place, bool lent)
{
    struct entry *e = entry_at(s, place);
    if (e->state == ENTRY_SENT && !lent) brood__task_free(e->future);
    s->current = 0;
    if (e->rest) {
        *e = (struct entry){.state = ENTRY_UNSENT,
                            .first = e->first + e->ends,
                            .items = e->items - e->ends,
                            .args = e->rest,
                            .bytes = e->bytes};
        send_entry(s, e);
        return;
    }
    *e = *entry_at(s, 0); /* if it is not the first: nobody minds the order then */
    s->head = (s->head + 1) & (s->room - 1);
    s->count--;
}

static int copy_out(const brood_bytes *from, void *result, size_t size, brood_bytes *bytes)
{
    if (bytes) *bytes = *from;
    if (!result) return 0;
    if (from->size != size)
        return brood__fail_with(BROOD_EINVAL, "the result has %zu bytes, and the place for it %zu", from->size, size);
    if (size) memcpy(result, from->data, size);
    return 0;
}

/* The next item of an entry that has an answer. */
static int give(struct stream *s, size_t place, void *result, size_t size, brood_bytes *bytes, brood_outcome *outcome)
{
    struct entry *e = entry_at(s, place);
    brood_bytes from = {NULL, s->task->result_size};
    int code = BROOD_ECANCELED, error = 0;
    if (e->state == ENTRY_REFUSED) {
        e->ends = e->items;
        *outcome = (brood_outcome){.code = code, .reason = BROOD_REASON_CANCELLED};
    } else if (e->given < e->ran) {
        code = 0;
        outcome->attempt = e->attempt;
        outcome->pid = e->pid;
        from.data = e->arguments + e->items * s->task->arg_size + e->given * s->task->result_size;
    } else {
        code = brood__task_get(e->future, &from, 0, outcome);
    }
    if (code == 0) error = copy_out(&from, result, size, bytes);
    if (error < 0) {
        *outcome = (brood_outcome){0};
        return error;
    }
    outcome->id = e->first + e->given;
    e->given++;
    brood__bell_more(s->pool.id);
    s->open_items--;
    s->open_bytes -= e->bytes;
    s->has_lost = code < 0 && e->state == ENTRY_SENT && e->given == e->ends;
    s->lost = outcome->id;
    bool lent = (code == 0 && bytes != NULL) || s->has_lost;
    if (lent) s->lent = e->future;
    if (e->given < e->ends) return code == 0 ? 1 : code;
    if (code == 0) {
        finish(s, place, lent);
        return 1;
    }
    struct detail said = brood__detail; /* of this item, not of what is submitted now */
    finish(s, place, lent);
    brood__detail = said;
    return code;
}

/* Unordered: an entry that has an answer; or why there will be none. */
static int look(void *of, bool thorough)
{
    struct stream *s = of;
    bool some = !thorough;
    for (size_t i = 0; i < s->count && (thorough || i < ANSWERS_QUICK); i++) {
        struct entry *e = entry_at(s, i);
        int answered = e->state == ENTRY_SENT ? brood__task_answered(e->future) : e->state == ENTRY_REFUSED;
        if (answered < 0) return answered;
        if (answered > 0) {
            s->current = i + 1;
            return 1;
        }
        some |= e->state == ENTRY_SENT;
    }
    return some ? 0 : s->stuck ? s->stuck : BROOD_EAGAIN;
}

/* The place of the entry whose item comes next, which has an answer. */
static int choose(struct stream *s, int timeout, size_t *place)
{
    *place = 0;
    int error = 0;
    if (s->wishes.unordered) {
        if (!s->current) error = look(s, true); /* what is refused needs no pool */
        if (error == 0 && !s->current) error = brood__answers_wait(s->pool.id, look, s, timeout, &s->asked);
        if (error < 0) return error;
        *place = s->current - 1;
    }
    struct entry *e = entry_at(s, *place);
    if (e->state == ENTRY_UNSENT) return s->stuck ? s->stuck : BROOD_EAGAIN;
    if (e->state == ENTRY_REFUSED) return 0;
    if (e->settled) return brood__task_answered(e->future) > 0 ? 0 : BROOD_ESTALE; /* the pool may have been freed */
    if (!s->wishes.unordered) {
        brood_outcome outcome = {0};
        brood_bytes bytes;
        error = brood__task_get(e->future, &bytes, timeout, &outcome);
        if (error < 0 && outcome.code == 0) return error;
    }
    return settle(s, e);
}

int brood__flow_next(struct stream *s, void *result, size_t size, brood_bytes *bytes, int timeout,
                     brood_outcome *outcome)
{
    take_back(s);
    for (;;) {
        brood__flow_feed(s);
        if (s->count == 0) {
            int last = s->last;
            s->last = 0;
            return s->ended ? last : s->stuck ? s->stuck : BROOD_EAGAIN;
        }
        size_t place;
        int error = choose(s, timeout, &place);
        if (error == BROOD_ESTALE || error == BROOD_ECLOSED) {
            refuse_all(s, error);
            s->current = 0;
            continue;
        }
        if (error < 0) return error;
        if (entry_at(s, place)->state == ENTRY_SENT && entry_at(s, place)->ends == 0) {
            finish(s, place, false); /* none of its items has run */
            continue;
        }
        return give(s, place, result, size, bytes, outcome);
    }
}

void brood__flow_end(struct stream *s)
{
    take_back(s);
    for (size_t i = 0; i < s->count; i++) {
        struct entry *e = entry_at(s, i);
        if (e->state == ENTRY_SENT) brood__task_free(e->future);
        free(e->args);
        free(e->rest);
    }
    free(s->ring);
    free(s->spare);
}
