/* SPDX-License-Identifier: MIT */
/*
 * prepare_read.c - the preparation data and the process object from CBOR; prepare.c is the way out.
 *
 * The keys come in one order, so each is asked for in turn: an unknown, doubled or missing one shows as another than
 * expected.  The reader remembers its first error and does nothing after it.  No count is believed beyond the bytes
 * that are there, so memory stays within a small multiple of the input.
 * Thread-safe; not async-signal-safe; no state.
 */
#include "process/prepare.h"

#include "call/error.h"
#include "process/item.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* All that was read.  text has room for all strings, since each took at least one byte more than its length. */
struct memory {
    void *arg;
    char **argv;
    char **environment;
    int *cpus;
    char *text_next;
    char text[];
};

struct reader {
    const unsigned char *start, *at, *end;
    const char *what; /* the key that is read */
    struct memory *memory;
    int error;
};

static void refuse(struct reader *r, const char *wanted)
{
    if (r->error == 0)
        r->error = brood__fail_with(BROOD_ECORRUPT, "bootstrap data, byte %zu: %s: %s", (size_t)(r->at - r->start),
                                    r->what, wanted);
}

/* The next item, which has to be of this kind; its value is at most `most`. */
static struct item next(struct reader *r, enum item_kind kind, uint64_t most, const char *wanted)
{
    const unsigned char *at = r->at;
    struct item item = {0};
    if (r->error == 0 && (brood__item_next(&at, r->end, &item) < 0 || item.kind != kind || item.value > most))
        refuse(r, wanted);
    if (r->error != 0) return (struct item){0};
    r->at = at;
    return item;
}

/* The next item is the only one of a set of kinds that it can be: peek. */
static enum item_kind peek(const struct reader *r)
{
    const unsigned char *at = r->at;
    struct item item;
    return r->error != 0 || brood__item_next(&at, r->end, &item) < 0 ? ITEM_OTHER : item.kind;
}

static void want_key(struct reader *r, const char *key)
{
    if (r->error != 0) return;
    r->what = key;
    struct item item = next(r, ITEM_TEXT, UINT64_MAX, "this key was expected");
    if (r->error == 0 && (item.value != strlen(key) || memcmp(item.data, key, (size_t)item.value) != 0))
        refuse(r, "this key was expected");
}

static void *keep(struct reader *r, const void *bytes, size_t size)
{
    void *to = r->memory->text_next;
    memcpy(to, bytes, size);
    r->memory->text_next += size;
    return to;
}

/* Text, or the bytes of a string that is not UTF-8. */
static char *want_string(struct reader *r)
{
    bool text = peek(r) != ITEM_BYTES;
    struct item item = next(r, text ? ITEM_TEXT : ITEM_BYTES, UINT64_MAX, "not a string");
    if (r->error == 0 && memchr(item.data, '\0', (size_t)item.value)) refuse(r, "a zero byte in a string");
    if (r->error == 0 && !text && brood__item_is_text(item.data, (size_t)item.value)) refuse(r, "bytes that are text");
    if (r->error != 0) return NULL;
    char *string = keep(r, item.data, (size_t)item.value);
    *r->memory->text_next++ = '\0';
    return string;
}

static const char *want_text(struct reader *r, const char *key)
{
    want_key(r, key);
    return want_string(r);
}

static int64_t want_int(struct reader *r, int64_t least, int64_t most)
{
    bool negative = peek(r) == ITEM_NEGINT;
    struct item item = next(r, negative ? ITEM_NEGINT : ITEM_UINT, INT64_MAX, "not an integer in range");
    int64_t value = negative ? -1 - (int64_t)item.value : (int64_t)item.value;
    if (r->error == 0 && (value < least || value > most)) refuse(r, "not an integer in range");
    return r->error != 0 ? 0 : value;
}

static uint64_t want_uint(struct reader *r, const char *key)
{
    want_key(r, key);
    return next(r, ITEM_UINT, UINT64_MAX, "not a number").value;
}

static bool want_bool(struct reader *r, const char *key)
{
    want_key(r, key);
    return next(r, ITEM_BOOL, 1, "not true or false").value != 0;
}

/* How many items an array has: not more than bytes follow, nor than `most`. */
static size_t want_array(struct reader *r, size_t most)
{
    size_t count = (size_t)next(r, ITEM_ARRAY, most, "not an array within its limit").value;
    if (r->error == 0 && count > (size_t)(r->end - r->at)) refuse(r, "an array beyond the end");
    return r->error != 0 ? 0 : count;
}

static void *allocate(struct reader *r, size_t count, size_t size)
{
    if (r->error != 0) return NULL;
    void *memory = calloc(count, size);
    if (!memory) r->error = BROOD_ENOMEM;
    return memory;
}

static char **want_strings(struct reader *r, size_t *count)
{
    size_t n = want_array(r, INT_MAX - 1);
    char **strings = allocate(r, n + 1, sizeof *strings);
    for (size_t i = 0; i < n && r->error == 0; i++) strings[i] = want_string(r);
    *count = n;
    return strings;
}

static void want_numbers(struct reader *r, size_t count, int *numbers, bool distinct)
{
    for (size_t i = 0; i < count && r->error == 0; i++) {
        numbers[i] = (int)want_int(r, 0, INT_MAX);
        if (distinct && brood__prepare_doubled(numbers, i)) refuse(r, "a number twice");
    }
}

static void want_map(struct reader *r, const char *what, uint64_t pairs)
{
    r->what = what;
    struct item item = next(r, ITEM_MAP, pairs, "not a map of its size");
    if (r->error == 0 && item.value != pairs) refuse(r, "not a map of its size");
}

static void read_preparation(struct reader *r, brood_preparation *p)
{
    size_t argc;
    want_map(r, "preparation data", PREPARATION_KEYS);
    want_key(r, "argv");
    r->memory->argv = want_strings(r, &argc);
    p->argv = r->memory->argv;
    p->argc = (int)argc;
    p->name = want_text(r, "name");
    want_key(r, "parent");
    p->parent = (pid_t)want_int(r, 0, INT_MAX);
    want_key(r, "authkey");
    struct item authkey = next(r, ITEM_BYTES, UINT64_MAX, "not bytes");
    p->authkey_size = (size_t)authkey.value;
    if (r->error == 0) p->authkey = keep(r, authkey.data, p->authkey_size);
    p->directory = want_text(r, "directory");
    want_key(r, "log_level");
    p->log_level = (int)want_int(r, INT_MIN, INT_MAX);
    want_key(r, "start_method");
    p->method = (brood_start_method)want_int(r, BROOD_START_DEFAULT, BROOD_START_FORKSERVER);
    p->original_directory = want_text(r, "original_directory");
}

static void read_object(struct reader *r, struct process_object *o)
{
    size_t variables;
    want_map(r, "process object", OBJECT_KEYS);
    want_key(r, "arg");
    struct item arg = next(r, ITEM_BYTES, UINT64_MAX, "not bytes");
    o->arg_size = (size_t)arg.value;
    if (o->arg_size) {
        r->memory->arg = allocate(r, o->arg_size, 1);
        if (r->memory->arg) memcpy(r->memory->arg, arg.data, o->arg_size);
    }
    o->arg = r->memory->arg;
    want_key(r, "cpus");
    size_t cpus = want_array(r, PREPARE_CPUS);
    if (cpus) r->memory->cpus = allocate(r, cpus, sizeof(int));
    want_numbers(r, cpus, r->memory->cpus, false);
    o->limits.cpus = r->memory->cpus;
    o->limits.cpu_count = cpus;
    o->limits.memory = want_uint(r, "memory");
    o->worker = want_bool(r, "worker");
    o->ignored_signals = want_uint(r, "ignored");
    o->function = want_uint(r, "function");
    o->limits.core_dump = want_bool(r, "core_dump");
    o->limits.open_files = want_uint(r, "open_files");
    o->limits.cpu_seconds = want_uint(r, "cpu_seconds");
    want_key(r, "descriptors");
    o->descriptor_count = want_array(r, PREPARE_DESCRIPTORS);
    want_numbers(r, o->descriptor_count, o->descriptors, true);
    want_key(r, "environment");
    if (peek(r) == ITEM_NULL)
        next(r, ITEM_NULL, 0, "");
    else
        r->memory->environment = want_strings(r, &variables);
    o->environment = r->memory->environment;
    o->function_name = want_text(r, "function_name");
}

/* The frame at `at`: r->at and r->end are its own. */
static void open_frame(struct reader *r, const unsigned char *at, const unsigned char *end, const char *what)
{
    uint32_t length = 0;
    r->what = what;
    r->at = at;
    if ((size_t)(end - at) < sizeof length) {
        refuse(r, "no length");
        return;
    }
    memcpy(&length, at, sizeof length);
    if (length > PREPARE_MOST || length > (size_t)(end - at) - sizeof length) refuse(r, "a length beyond the end");
    if (r->error != 0) return;
    r->at = at + sizeof length;
    r->end = r->at + length;
}

static void close_frame(struct reader *r, const char *what)
{
    if (r->error != 0 || r->at == r->end) return;
    r->what = what;
    refuse(r, "bytes behind its end");
}

int brood__prepare_decode(const void *bytes, size_t size, struct preparation *preparation,
                          struct process_object *object, void **memory)
{
    struct reader r = {.start = bytes};
    const unsigned char *end = r.start + size;
    *memory = NULL;
    memset(preparation, 0, sizeof *preparation);
    memset(object, 0, sizeof *object);
    if (size > 2 * (sizeof(uint32_t) + (size_t)PREPARE_MOST))
        return brood__fail_with(BROOD_ECORRUPT, "bootstrap data: too long");
    r.memory = calloc(1, sizeof *r.memory + size);
    if (!r.memory) return BROOD_ENOMEM;
    r.memory->text_next = r.memory->text;

    open_frame(&r, r.start, end, "preparation data");
    read_preparation(&r, &preparation->public);
    close_frame(&r, "preparation data");
    if (r.error == 0) open_frame(&r, r.end, end, "process object");
    read_object(&r, object);
    close_frame(&r, "process object");
    if (r.error == 0 && r.end != end) refuse(&r, "bytes behind its end");
    if (r.error != 0) {
        brood__prepare_free(r.memory);
        memset(preparation, 0, sizeof *preparation);
        memset(object, 0, sizeof *object);
        return r.error;
    }
    *memory = r.memory;
    return 0;
}

void brood__prepare_free(void *memory)
{
    struct memory *m = memory;
    if (!m) return;
    free(m->arg);
    free(m->argv);
    free(m->environment);
    free(m->cpus);
    free(m);
}
