/* SPDX-License-Identifier: MIT */
/* wire.c - requests and answers as bytes and back; what they are stands in wire.h. */
#include "manager/wire.h"

#include "call/error.h"
#include "process/item.h"

#include <limits.h>

static int corrupt(const char *what)
{
    return brood__fail_with(BROOD_ECORRUPT, "not a message of a manager: %s", what);
}

/* The next item, of this kind; false if it is not there. */
static bool next(const unsigned char **at, const unsigned char *end, enum item_kind kind, struct item *item)
{
    return brood__item_next(at, end, item) == 0 && item->kind == kind;
}

/* An integer of an int. */
static bool next_int(const unsigned char **at, const unsigned char *end, int *value)
{
    struct item item;
    if (brood__item_next(at, end, &item) < 0 || item.value > INT_MAX) return false;
    if (item.kind != ITEM_UINT && item.kind != ITEM_NEGINT) return false;
    *value = item.kind == ITEM_UINT ? (int)item.value : -1 - (int)item.value;
    return true;
}

static int count_handle(void *context, uint64_t id)
{
    (void)id;
    ++*(size_t *)context;
    return 0;
}

int brood__wire_request_read(struct wire_request *r, const void *bytes, size_t size)
{
    const unsigned char *at = bytes, *end = at + size;
    struct item item;
    *r = (struct wire_request){0};
    if (!next(&at, end, ITEM_ARRAY, &item) || (item.value != 6 && item.value != 1)) return corrupt("no request");
    r->taken = item.value == 1;
    if (!next(&at, end, ITEM_UINT, &item)) return corrupt("its serial");
    r->serial = item.value;
    if (r->taken) return at == end ? 0 : corrupt("bytes behind its end");
    if (!next(&at, end, ITEM_UINT, &item)) return corrupt("its object");
    r->object = item.value;
    if (!next(&at, end, ITEM_TEXT, &item) || item.value > WIRE_METHOD_MOST) return corrupt("its method");
    r->method = (struct slice){item.data, (size_t)item.value};
    if (!next(&at, end, ITEM_UINT, &item)) return corrupt("its thread");
    r->thread = item.value;
    if (!next_int(&at, end, &r->timeout) || r->timeout < BROOD_FOREVER) return corrupt("its timeout");
    if (!next(&at, end, ITEM_ARRAY, &item) || item.value > (uint64_t)(end - at)) return corrupt("its arguments");
    r->argc = item.value;
    r->args.at = at;
    for (uint64_t i = 0; i < r->argc; i++)
        if (brood__value_walk(&at, end, count_handle, &r->handles) < 0) return corrupt("an argument");
    r->args.size = (size_t)(at - r->args.at);
    return at == end ? 0 : corrupt("bytes behind its end");
}

int brood__wire_request_write(struct item_writer *w, uint64_t serial, uint64_t object, const char *method,
                              uint64_t thread, int timeout, const brood_variant *args)
{
    brood__item_put_array(w, 6);
    brood__item_put_uint(w, serial);
    brood__item_put_uint(w, object);
    brood__item_put_text(w, method, strlen(method));
    brood__item_put_uint(w, thread);
    brood__item_put_int(w, timeout);
    if (args->kind == BROOD_VARIANT_NIL) {
        brood__item_put_array(w, 0);
        return 0;
    }
    return brood__variant_write(w, args);
}

void brood__wire_taken_write(struct item_writer *w, uint64_t serial)
{
    brood__item_put_array(w, 1);
    brood__item_put_uint(w, serial);
}

int brood__wire_answer_read(struct wire_answer *a, const void *bytes, size_t size)
{
    const unsigned char *at = bytes, *end = at + size;
    struct item item;
    *a = (struct wire_answer){0};
    if (!next(&at, end, ITEM_ARRAY, &item) || item.value != 4) return corrupt("no answer");
    if (!next(&at, end, ITEM_UINT, &item)) return corrupt("its serial");
    a->serial = item.value;
    if (!next_int(&at, end, &a->code) || a->code > 0) return corrupt("its code");
    if (!next(&at, end, ITEM_BOOL, &item)) return corrupt("whether it is handed over");
    a->handed = item.value != 0;
    a->value.at = at;
    if (brood__value_walk(&at, end, NULL, NULL) < 0) return corrupt("its value");
    a->value.size = (size_t)(at - a->value.at);
    return at == end ? 0 : corrupt("bytes behind its end");
}

size_t brood__wire_answer_head(unsigned char head[WIRE_ANSWER_HEAD], uint64_t serial, int code, bool handed)
{
    struct item_writer w = {.bytes = head, .capacity = WIRE_ANSWER_HEAD, .most = WIRE_ANSWER_HEAD};
    brood__item_put_array(&w, 4);
    brood__item_put_uint(&w, serial);
    brood__item_put_int(&w, code);
    brood__item_put_bool(&w, handed);
    return w.size;
}
