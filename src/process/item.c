/* SPDX-License-Identifier: MIT */
/*
 * item.c - CBOR items over libcbor's encoder and streaming decoder.
 *
 * Its tree (cbor_load) is not used: it believes a count before it has seen the items, so a head of nine bytes may cost
 * gigabytes.  The streaming decoder holds nothing and allocates nothing.
 * Thread-safe; no state but the caller's.
 */
#include "process/item.h"

#include "call/error.h"

#include <cbor.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MOST 9

bool brood__item_is_text(const unsigned char *s, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = s[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 4;
        if (more == 4 || more >= size - i) return false;
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xc0) != 0x80) return false;
        }
        if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f)) return false; /* overlong; surrogates */
        if ((c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f)) return false; /* overlong; too large */
        i += more + 1;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ out */

/* Room for this many bytes more, or NULL. */
static unsigned char *room(struct item_writer *w, size_t size)
{
    if (w->error != 0) return NULL;
    if (size > w->most - w->size) {
        w->error =
            brood__fail_with(BROOD_EINVAL, "argument, environment and options take more than %zu bytes", w->most);
        return NULL;
    }
    if (size > w->capacity - w->size) {
        size_t capacity = w->capacity < 256 ? 256 : w->capacity * 2;
        if (capacity < w->size + size) capacity = w->size + size;
        unsigned char *bytes = realloc(w->borrowed ? NULL : w->bytes, capacity);
        if (!bytes) {
            w->error = BROOD_ENOMEM;
            return NULL;
        }
        if (w->borrowed) memcpy(bytes, w->bytes, w->size);
        w->borrowed = false;
        w->bytes = bytes;
        w->capacity = capacity;
    }
    return w->bytes + w->size;
}

void brood__item_done(struct item_writer *w)
{
    if (!w->borrowed) free(w->bytes);
}

void brood__item_put_raw(struct item_writer *w, const void *bytes, size_t size)
{
    unsigned char *to = room(w, size);
    if (!to) return;
    if (size) memcpy(to, bytes, size);
    w->size += size;
}

static void put_number(struct item_writer *w, uint64_t value, size_t (*encode)(uint64_t, unsigned char *, size_t))
{
    unsigned char head[HEAD_MOST];
    brood__item_put_raw(w, head, encode(value, head, sizeof head));
}

static void put_count(struct item_writer *w, size_t count, size_t (*encode)(size_t, unsigned char *, size_t))
{
    unsigned char head[HEAD_MOST];
    brood__item_put_raw(w, head, encode(count, head, sizeof head));
}

void brood__item_put_map(struct item_writer *w, size_t pairs)
{
    put_count(w, pairs, cbor_encode_map_start);
}

void brood__item_put_array(struct item_writer *w, size_t count)
{
    put_count(w, count, cbor_encode_array_start);
}

void brood__item_put_uint(struct item_writer *w, uint64_t value)
{
    put_number(w, value, cbor_encode_uint);
}

void brood__item_put_int(struct item_writer *w, int64_t value)
{
    if (value >= 0)
        put_number(w, (uint64_t)value, cbor_encode_uint);
    else
        put_number(w, ~(uint64_t)value, cbor_encode_negint);
}

void brood__item_put_bool(struct item_writer *w, bool value)
{
    unsigned char head[HEAD_MOST];
    brood__item_put_raw(w, head, cbor_encode_bool(value, head, sizeof head));
}

void brood__item_put_null(struct item_writer *w)
{
    unsigned char head[HEAD_MOST];
    brood__item_put_raw(w, head, cbor_encode_null(head, sizeof head));
}

void brood__item_put_bytes(struct item_writer *w, const void *bytes, size_t size)
{
    put_count(w, size, cbor_encode_bytestring_start);
    brood__item_put_raw(w, bytes, size);
}

void brood__item_put_string(struct item_writer *w, const char *string)
{
    size_t size = strlen(string);
    bool text = brood__item_is_text((const unsigned char *)string, size);
    put_count(w, size, text ? cbor_encode_string_start : cbor_encode_bytestring_start);
    brood__item_put_raw(w, string, size);
}

void brood__item_put_text(struct item_writer *w, const void *text, size_t size)
{
    put_count(w, size, cbor_encode_string_start);
    brood__item_put_raw(w, text, size);
}

void brood__item_put_tag(struct item_writer *w, uint64_t tag)
{
    put_number(w, tag, cbor_encode_tag);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static const unsigned char a_nan[3] = {0xf9, 0x7e, 0x00}; /* the one encoding that all of them have */

/*
 * The bits of the half that has exactly this value (no NaN), or -1.  Not libcbor's: of small numbers, below 2^-14, its
 * cbor_encode_half (0.8) drops bits.
 */
static long half_of(double value)
{
    uint64_t bits = bits_of(value), mantissa = bits & 0xfffffffffffff;
    long sign = (long)(bits >> 48 & 0x8000), exponent = (long)(bits >> 52 & 0x7ff) - 1023;
    if (exponent == -1023) return mantissa ? -1 : sign; /* zero; a double's subnormals are far too small */
    if (exponent == 1024) return sign | 0x7c00;
    if (exponent > 15 || exponent < -24) return -1;
    unsigned lost = exponent < -14 ? 42 + (unsigned)(-14 - exponent) : 42; /* bits that a half has no room for */
    mantissa |= (uint64_t)1 << 52;
    if (mantissa & (((uint64_t)1 << lost) - 1)) return -1;
    long kept = (long)(mantissa >> lost); /* with the leading one at bit 10, but for subnormals */
    return exponent < -14 ? sign | kept : sign | (exponent + 15) << 10 | (kept & 0x3ff);
}

void brood__item_put_float(struct item_writer *w, double value)
{
    unsigned char head[HEAD_MOST];
    if (value != value) {
        brood__item_put_raw(w, a_nan, sizeof a_nan);
        return;
    }
    long half = half_of(value);
    if (half >= 0) {
        head[0] = a_nan[0];
        head[1] = (unsigned char)(half >> 8);
        head[2] = (unsigned char)half;
        brood__item_put_raw(w, head, 3);
    } else if (value >= -FLT_MAX && value <= FLT_MAX && (double)(float)value == value) {
        brood__item_put_raw(w, head, cbor_encode_single((float)value, head, sizeof head));
    } else {
        brood__item_put_raw(w, head, cbor_encode_double(value, head, sizeof head));
    }
}

/* ------------------------------------------------------------------------------------ in */

static void got(void *context, enum item_kind kind, uint64_t value, const unsigned char *data)
{
    *(struct item *)context = (struct item){kind, value, data};
}

#define GOT_NUMBER(name, type, kind)            \
    static void name(void *context, type value) \
    {                                           \
        got(context, kind, value, NULL);        \
    }
GOT_NUMBER(got_uint8, uint8_t, ITEM_UINT)
GOT_NUMBER(got_uint16, uint16_t, ITEM_UINT)
GOT_NUMBER(got_uint32, uint32_t, ITEM_UINT)
GOT_NUMBER(got_uint64, uint64_t, ITEM_UINT)
GOT_NUMBER(got_negint8, uint8_t, ITEM_NEGINT)
GOT_NUMBER(got_negint16, uint16_t, ITEM_NEGINT)
GOT_NUMBER(got_negint32, uint32_t, ITEM_NEGINT)
GOT_NUMBER(got_negint64, uint64_t, ITEM_NEGINT)
GOT_NUMBER(got_array, size_t, ITEM_ARRAY)
GOT_NUMBER(got_map, size_t, ITEM_MAP)
GOT_NUMBER(got_bool, bool, ITEM_BOOL)
GOT_NUMBER(got_tag, uint64_t, ITEM_TAG)

static void got_single(void *context, float value)
{
    got(context, ITEM_FLOAT, bits_of((double)value), NULL);
}

static void got_double(void *context, double value)
{
    got(context, ITEM_FLOAT, bits_of(value), NULL);
}

static void got_bytes(void *context, cbor_data data, size_t size)
{
    got(context, ITEM_BYTES, size, data);
}

static void got_text(void *context, cbor_data data, size_t size)
{
    got(context, ITEM_TEXT, size, data);
}

static void got_null(void *context)
{
    got(context, ITEM_NULL, 0, NULL);
}

static size_t shortest_head(uint64_t value)
{
    return value < 24 ? 1 : value <= UINT8_MAX ? 2 : value <= UINT16_MAX ? 3 : value <= UINT32_MAX ? 5 : HEAD_MOST;
}

/* How many bytes a float takes in the shortest form; which NaN it is shows in the bytes only. */
static size_t shortest_float(uint64_t bits, const unsigned char *at, size_t size)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    if (value != value) return size == sizeof a_nan && memcmp(at, a_nan, size) == 0 ? size : 0;
    if (half_of(value) >= 0) return 3;
    return value >= -FLT_MAX && value <= FLT_MAX && (double)(float)value == value ? 5 : HEAD_MOST;
}

int brood__item_next(const unsigned char **at, const unsigned char *end, struct item *item)
{
    struct cbor_callbacks callbacks = cbor_empty_callbacks; /* what is not named below stays ITEM_OTHER */
    callbacks.uint8 = got_uint8;
    callbacks.uint16 = got_uint16;
    callbacks.uint32 = got_uint32;
    callbacks.uint64 = got_uint64;
    callbacks.negint8 = got_negint8;
    callbacks.negint16 = got_negint16;
    callbacks.negint32 = got_negint32;
    callbacks.negint64 = got_negint64;
    callbacks.byte_string = got_bytes;
    callbacks.string = got_text;
    callbacks.array_start = got_array;
    callbacks.map_start = got_map;
    callbacks.boolean = got_bool;
    callbacks.null = got_null;
    callbacks.tag = got_tag;
    callbacks.float2 = got_single;
    callbacks.float4 = got_single;
    callbacks.float8 = got_double;

    *item = (struct item){0};
    if (*at == end) return BROOD_ECORRUPT;
    struct cbor_decoder_result result = cbor_stream_decode(*at, (size_t)(end - *at), &callbacks, item);
    if (result.status != CBOR_DECODER_FINISHED || item->kind == ITEM_OTHER) return BROOD_ECORRUPT;
    bool string = item->kind == ITEM_BYTES || item->kind == ITEM_TEXT;
    bool simple = item->kind == ITEM_BOOL || item->kind == ITEM_NULL;
    size_t head = string ? result.read - (size_t)item->value : result.read;
    size_t shortest = simple                     ? 1
                      : item->kind == ITEM_FLOAT ? shortest_float(item->value, *at, result.read)
                                                 : shortest_head(item->value);
    if (head != shortest) return BROOD_ECORRUPT;
    if (item->kind == ITEM_TEXT && !brood__item_is_text(item->data, (size_t)item->value)) return BROOD_ECORRUPT;
    *at += result.read;
    return 0;
}
