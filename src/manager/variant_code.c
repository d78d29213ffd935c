/* SPDX-License-Identifier: MIT */
/*
 * variant_code.c - variants as bytes and back, and as text for people.
 *
 * Reading believes no count before it has seen the items, so what a hostile head costs is bounded by the bytes that are
 * there; depth bounds the recursion.  Thread-safe; no state.
 */
#include "call/error.h"
#include "manager/collection.h"
#include "process/item.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --------------------------------------------------------------------------------------------------------- out */

int brood__variant_write(struct item_writer *w, const brood_variant *v)
{
    int error = 0;
    switch ((brood_variant_kind)v->kind) {
    case BROOD_VARIANT_NIL: brood__item_put_null(w); break;
    case BROOD_VARIANT_BOOL: brood__item_put_bool(w, v->as.boolean); break;
    case BROOD_VARIANT_INT:
        if (v->negative)
            brood__item_put_int(w, (int64_t)v->as.number);
        else
            brood__item_put_uint(w, v->as.number);
        break;
    case BROOD_VARIANT_FLOAT: brood__item_put_float(w, v->as.real); break;
    case BROOD_VARIANT_BYTES: brood__item_put_bytes(w, v->as.bytes, v->size); break;
    case BROOD_VARIANT_TEXT: brood__item_put_text(w, v->as.bytes, v->size); break;
    case BROOD_VARIANT_LIST:
        brood__item_put_array(w, v->size);
        for (size_t i = 0; i < v->size && error == 0; i++) error = brood__variant_write(w, &v->as.items[i]);
        break;
    case BROOD_VARIANT_MAP:
        brood__item_put_map(w, v->size);
        for (size_t i = 0; i < 2 * v->size && error == 0; i++) error = brood__variant_write(w, &v->as.items[i]);
        break;
    case BROOD_VARIANT_HANDLE:
        brood__item_put_tag(w, HANDLE_TAG);
        brood__item_put_uint(w, v->as.number);
        break;
    case BROOD_VARIANT_INVALID: return brood_variant_error(v);
    }
    return error;
}

int brood_variant_encode(const brood_variant *v, void **bytes, size_t *size)
{
    struct item_writer w = {.most = BROOD_VARIANT_MOST};
    brood__say_nothing();
    int error = brood__variant_write(&w, v);
    if (error == 0 && w.error == BROOD_EINVAL)
        error = brood__fail_with(BROOD_EMSGSIZE, "a variant of more than %u bytes", BROOD_VARIANT_MOST);
    if (error == 0) error = w.error;
    if (error < 0) {
        free(w.bytes);
        return error;
    }
    *bytes = w.bytes;
    *size = w.size;
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------- in */

struct reader {
    const unsigned char *at, *end;
};

static int read_one(struct reader *r, brood_variant *v, int depth);

static int read_list(struct reader *r, brood_variant *v, uint64_t count, int depth)
{
    int error = 0;
    *v = brood_variant_list_of(NULL, 0);
    for (uint64_t i = 0; i < count && error == 0; i++) {
        brood_variant item;
        error = read_one(r, &item, depth);
        if (error == 0) error = brood_variant_append(v, item);
    }
    return error;
}

static int read_map(struct reader *r, brood_variant *v, uint64_t pairs, int depth)
{
    int error = 0;
    struct slice before = {0};
    *v = brood_variant_map_of(NULL, 0);
    for (uint64_t i = 0; i < pairs && error == 0; i++) {
        brood_variant key, value;
        struct slice bytes = {.at = r->at};
        error = read_one(r, &key, depth);
        if (error < 0) break;
        bytes.size = (size_t)(r->at - bytes.at);
        if (i > 0 && brood__slice_compare(before, bytes) >= 0) error = BROOD_ECORRUPT;
        if (error == 0) error = read_one(r, &value, depth);
        if (error == 0)
            error = brood_variant_put(v, key, value);
        else
            brood_variant_free(&key);
        before = bytes;
    }
    return error;
}

static int read_handle(struct reader *r, brood_variant *v, uint64_t tag)
{
    struct item item;
    if (tag != HANDLE_TAG || brood__item_next(&r->at, r->end, &item) < 0 || item.kind != ITEM_UINT)
        return BROOD_ECORRUPT;
    *v = brood_variant_handle(item.value);
    return 0;
}

/* *v is nil if it fails. */
static int read_one(struct reader *r, brood_variant *v, int depth)
{
    struct item item;
    *v = brood_variant_nil();
    int error = brood__item_next(&r->at, r->end, &item);
    if (error < 0) return error;
    uint64_t left = (uint64_t)(r->end - r->at);
    switch (item.kind) {
    case ITEM_OTHER: return BROOD_ECORRUPT;
    case ITEM_NULL: break;
    case ITEM_BOOL: *v = brood_variant_bool(item.value != 0); break;
    case ITEM_UINT: *v = brood_variant_uint(item.value); break;
    case ITEM_NEGINT:
        if (item.value > INT64_MAX) return BROOD_ECORRUPT;
        *v = brood_variant_int(-1 - (int64_t)item.value);
        break;
    case ITEM_FLOAT: {
        double real;
        memcpy(&real, &item.value, sizeof real);
        *v = brood_variant_float(real);
        break;
    }
    case ITEM_BYTES: *v = brood_variant_bytes(item.data, (size_t)item.value); break;
    case ITEM_TEXT: *v = brood_variant_text_of((const char *)item.data, (size_t)item.value); break;
    case ITEM_TAG: return read_handle(r, v, item.value);
    case ITEM_ARRAY:
        if (depth == BROOD_VARIANT_DEPTH || item.value > left) return BROOD_ECORRUPT;
        error = read_list(r, v, item.value, depth + 1);
        break;
    case ITEM_MAP:
        if (depth == BROOD_VARIANT_DEPTH || item.value > left / 2) return BROOD_ECORRUPT;
        error = read_map(r, v, item.value, depth + 1);
        break;
    }
    if (error == 0) error = brood_variant_error(v);
    if (error < 0) brood_variant_free(v);
    return error;
}

int brood__variant_read(brood_variant *v, const unsigned char **at, const unsigned char *end)
{
    struct reader r = {*at, end};
    int error = read_one(&r, v, 0);
    if (error == 0) *at = r.at;
    return error;
}

int brood_variant_decode(brood_variant *v, const void *bytes, size_t size)
{
    struct reader r = {bytes, (const unsigned char *)bytes + size};
    brood__say_nothing();
    int error = read_one(&r, v, 0);
    const char *what = "not the deterministic CBOR of a variant";
    if (error == 0 && r.at != r.end) {
        brood_variant_free(v);
        error = BROOD_ECORRUPT;
        what = "bytes behind its end";
    }
    if (error == BROOD_ECORRUPT)
        brood__fail_with(error, "variant, byte %zu: %s", (size_t)(r.at - (const unsigned char *)bytes), what);
    return error;
}

bool brood__variant_belongs(const brood_variant *v, uint64_t manager)
{
    if (v->kind == BROOD_VARIANT_HANDLE) return v->size == 0 || v->size == FAMILY_MANAGER || v->size == manager;
    size_t n = v->kind == BROOD_VARIANT_LIST ? v->size : v->kind == BROOD_VARIANT_MAP ? 2 * v->size : 0;
    for (size_t i = 0; i < n; i++)
        if (!brood__variant_belongs(&v->as.items[i], manager)) return false;
    return true;
}

void brood__variant_adopt(brood_variant *v, uint64_t manager)
{
    if (v->kind == BROOD_VARIANT_HANDLE && v->as.number & OBJECT_BIT) v->size = (size_t)manager;
    size_t n = v->kind == BROOD_VARIANT_LIST ? v->size : v->kind == BROOD_VARIANT_MAP ? 2 * v->size : 0;
    for (size_t i = 0; i < n; i++) brood__variant_adopt(&v->as.items[i], manager);
}

/* -------------------------------------------------------------------------------------------------- for people */

struct text {
    char *to;
    size_t capacity, length;
};

static void say(struct text *t, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++, t->length++)
        if (t->length + 1 < t->capacity) t->to[t->length] = bytes[i];
}

static void say_string(struct text *t, const char *string)
{
    say(t, string, strlen(string));
}

static void say_text(struct text *t, const char *bytes, size_t size)
{
    say_string(t, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        char code[8];
        if (c == '"' || c == '\\')
            snprintf(code, sizeof code, "\\%c", c);
        else if (c < 0x20)
            snprintf(code, sizeof code, "\\u%04x", c);
        else
            snprintf(code, sizeof code, "%c", c);
        say_string(t, code);
    }
    say_string(t, "\"");
}

static void say_bytes(struct text *t, const char *bytes, size_t size)
{
    say_string(t, "h'");
    for (size_t i = 0; i < size; i++) {
        char code[4];
        snprintf(code, sizeof code, "%02x", (unsigned char)bytes[i]);
        say(t, code, 2);
    }
    say_string(t, "'");
}

/* The shortest digits that read back as the same number; always with a point or an exponent, so that it is no integer. */
static void say_float(struct text *t, double real)
{
    char digits[40];
    if (isnan(real) || isinf(real)) {
        say_string(t, isnan(real) ? "NaN" : real < 0 ? "-Infinity" : "Infinity");
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real) break;
    }
    say_string(t, digits);
    if (!strpbrk(digits, ".e")) say_string(t, ".0");
}

static void say_variant(struct text *t, const brood_variant *v)
{
    char digits[40];
    switch ((brood_variant_kind)v->kind) {
    case BROOD_VARIANT_NIL: say_string(t, "null"); break;
    case BROOD_VARIANT_BOOL: say_string(t, v->as.boolean ? "true" : "false"); break;
    case BROOD_VARIANT_INT:
        if (v->negative)
            snprintf(digits, sizeof digits, "%" PRId64, (int64_t)v->as.number);
        else
            snprintf(digits, sizeof digits, "%" PRIu64, v->as.number);
        say_string(t, digits);
        break;
    case BROOD_VARIANT_FLOAT: say_float(t, v->as.real); break;
    case BROOD_VARIANT_BYTES: say_bytes(t, v->as.bytes, v->size); break;
    case BROOD_VARIANT_TEXT: say_text(t, v->as.bytes, v->size); break;
    case BROOD_VARIANT_LIST:
        say_string(t, "[");
        for (size_t i = 0; i < v->size; i++) {
            if (i) say_string(t, ", ");
            say_variant(t, &v->as.items[i]);
        }
        say_string(t, "]");
        break;
    case BROOD_VARIANT_MAP:
        say_string(t, "{");
        for (size_t i = 0; i < 2 * v->size; i++) {
            if (i) say_string(t, i % 2 ? ": " : ", ");
            say_variant(t, &v->as.items[i]);
        }
        say_string(t, "}");
        break;
    case BROOD_VARIANT_HANDLE:
        snprintf(digits, sizeof digits, "%u(%" PRIu64 ")", HANDLE_TAG, v->as.number);
        say_string(t, digits);
        break;
    case BROOD_VARIANT_INVALID:
        say_string(t, "invalid: ");
        say_string(t, brood_error_name(brood_variant_error(v)));
        break;
    }
}

size_t brood_variant_format(const brood_variant *v, char *text, size_t capacity)
{
    struct text t = {text, capacity, 0};
    say_variant(&t, v);
    if (capacity) text[t.length < capacity ? t.length : capacity - 1] = '\0';
    return t.length;
}
