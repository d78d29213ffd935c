/* SPDX-License-Identifier: MIT */
/*
 * prepare.c - the preparation data and the process object to CBOR; prepare_read.c is the way back.
 *
 * The keys of each map come in one order, that of the deterministic encoding: shorter first, then bytewise.  The writer
 * remembers its first error and does nothing after it.
 * Thread-safe; not async-signal-safe; no state.
 */
#include "process/prepare.h"

#include "call/error.h"
#include "process/item.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void put_refuse(struct item_writer *w, const char *key)
{
    if (w->error == 0) w->error = brood__fail_with(BROOD_EINVAL, "process: %s is out of its range", key);
}

static void put_strings(struct item_writer *w, char *const *strings, size_t count)
{
    brood__item_put_array(w, count);
    for (size_t i = 0; i < count; i++) brood__item_put_string(w, strings[i]);
}

static void put_text(struct item_writer *w, const char *key, const char *text)
{
    brood__item_put_string(w, key);
    brood__item_put_string(w, text ? text : "");
}

static void put_int(struct item_writer *w, const char *key, int value, int least, int most)
{
    if (value < least || value > most) put_refuse(w, key);
    brood__item_put_string(w, key);
    brood__item_put_int(w, value);
}

static void put_uint(struct item_writer *w, const char *key, uint64_t value)
{
    brood__item_put_string(w, key);
    brood__item_put_uint(w, value);
}

static void put_bool(struct item_writer *w, const char *key, bool value)
{
    brood__item_put_string(w, key);
    brood__item_put_bool(w, value);
}

static void put_bytes(struct item_writer *w, const char *key, const void *bytes, size_t size)
{
    brood__item_put_string(w, key);
    brood__item_put_bytes(w, bytes, size);
}

static void put_numbers(struct item_writer *w, const char *key, const int *numbers, size_t count, size_t most,
                        bool distinct)
{
    if (count > most) put_refuse(w, key);
    brood__item_put_string(w, key);
    brood__item_put_array(w, count);
    for (size_t i = 0; i < count && w->error == 0; i++) {
        if (numbers[i] < 0 || (distinct && brood__prepare_doubled(numbers, i))) put_refuse(w, key);
        brood__item_put_int(w, numbers[i]);
    }
}

static void put_preparation(struct item_writer *w, const brood_preparation *p)
{
    brood__item_put_map(w, PREPARATION_KEYS);
    brood__item_put_string(w, "argv");
    if (p->argc < 0) put_refuse(w, "argv");
    put_strings(w, p->argv, p->argc < 0 ? 0 : (size_t)p->argc);
    put_text(w, "name", p->name);
    put_int(w, "parent", p->parent, 0, INT_MAX);
    put_bytes(w, "authkey", p->authkey, p->authkey_size);
    put_text(w, "directory", p->directory);
    put_int(w, "log_level", p->log_level, INT_MIN, INT_MAX);
    put_int(w, "start_method", (int)p->method, BROOD_START_DEFAULT, BROOD_START_FORKSERVER);
    put_text(w, "original_directory", p->original_directory);
}

static void put_object(struct item_writer *w, const struct process_object *o)
{
    size_t variables = 0;
    while (o->environment && o->environment[variables]) variables++;

    brood__item_put_map(w, OBJECT_KEYS);
    put_bytes(w, "arg", o->arg, o->arg_size);
    put_numbers(w, "cpus", o->limits.cpus, o->limits.cpu_count, PREPARE_CPUS, false);
    put_uint(w, "memory", o->limits.memory);
    put_bool(w, "worker", o->worker);
    put_uint(w, "ignored", o->ignored_signals);
    put_uint(w, "function", o->function);
    put_bool(w, "core_dump", o->limits.core_dump);
    put_uint(w, "open_files", o->limits.open_files);
    put_uint(w, "cpu_seconds", o->limits.cpu_seconds);
    put_numbers(w, "descriptors", o->descriptors, o->descriptor_count, PREPARE_DESCRIPTORS, true);
    brood__item_put_string(w, "environment");
    if (o->environment)
        put_strings(w, o->environment, variables);
    else
        brood__item_put_null(w);
    put_text(w, "function_name", o->function_name);
}

/* A frame: room for the length, and the limit of what comes behind it; then the length itself. */
static size_t frame_begin(struct item_writer *w)
{
    uint32_t length = 0;
    w->most = w->size + sizeof length;
    brood__item_put_raw(w, &length, sizeof length);
    w->most += PREPARE_MOST;
    return w->size;
}

static void frame_end(struct item_writer *w, size_t start)
{
    uint32_t length = (uint32_t)(w->size - start);
    if (w->error == 0) memcpy(w->bytes + start - sizeof length, &length, sizeof length);
}

int brood__prepare_encode(const struct preparation *preparation, const struct process_object *object, void **bytes,
                          size_t *size)
{
    struct item_writer w = {0};
    size_t start = frame_begin(&w);
    put_preparation(&w, &preparation->public);
    frame_end(&w, start);
    start = frame_begin(&w);
    put_object(&w, object);
    frame_end(&w, start);
    if (w.error != 0) {
        free(w.bytes);
        return w.error;
    }
    *bytes = w.bytes;
    *size = w.size;
    return 0;
}
