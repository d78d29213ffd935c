/* SPDX-License-Identifier: MIT */
/*
 * variant.h - dynamic values: nil, bool, integer, float, bytes, text, list, map, handle.
 *
 *     brood_variant job = brood_variant_map("host", "localhost", "ports", brood_variant_list(80, 443));
 *     const brood_variant *ports = brood_variant_lookup(&job, "ports");
 *     ...
 *     brood_variant_free(&job);
 *
 * A variant is a plain struct; text, bytes, lists and maps have memory of the process behind it.  One that is all zeroes
 * is nil.  Who has it frees it, once.  Two rules for all calls, here and in manager.h:
 *   by value (brood_variant v)            the call takes it, also if it fails: it is not the caller's any more
 *   by pointer (const brood_variant *v)   the call looks at it
 *
 * What can't be made (no memory, text that is not UTF-8, nested deeper than BROOD_VARIANT_DEPTH) is a variant of the kind
 * BROOD_VARIANT_INVALID with the code as its number; a list or map with such a part is one itself, and every call that
 * takes one answers that code.  So expressions nest, and one look at the end is enough.
 *
 * The encoding is CBOR (RFC 8949), in its deterministic form (section 4.2) only, so equal values are equal bytes.  Text
 * is UTF-8; an integer is from -2^63 to 2^64-1; a map has each key once and is kept in the order of its encoded keys.
 * 1, 1.0 and "1" are three different keys.  A handle is tag 1651666788 around 64 bits.
 *
 * All calls: thread-safe on different variants; not async-signal-safe; need no family; nothing is shared, so a process
 * that dies inside leaves nothing.
 */
#ifndef BROOD_VARIANT_H
#define BROOD_VARIANT_H

#include <brood/base.h>
#include <brood/commas.h>
#include <brood/task.h>
#include <string.h>

typedef enum brood_variant_kind {
    BROOD_VARIANT_NIL,
    BROOD_VARIANT_BOOL,
    BROOD_VARIANT_INT,
    BROOD_VARIANT_FLOAT,
    BROOD_VARIANT_BYTES,
    BROOD_VARIANT_TEXT,
    BROOD_VARIANT_LIST,
    BROOD_VARIANT_MAP,
    BROOD_VARIANT_HANDLE,
    BROOD_VARIANT_INVALID,
} brood_variant_kind;

#define BROOD_VARIANT_DEPTH 64        /* lists and maps in each other at most */
#define BROOD_VARIANT_MOST (1u << 30) /* bytes of an encoded one at most */

/* An object in a manager, see manager.h: plain bytes, the same in every member of the family. */
typedef struct brood_proxy {
    uint64_t manager, object;
} brood_proxy;

/* Made and taken apart by the calls below; kind and size may be read. */
typedef struct brood_variant {
    unsigned char kind;     /* brood_variant_kind */
    unsigned char negative; /* of an integer: number is two's complement, and below zero */
    unsigned char depth;    /* of a list or map: how deep it goes at most, 1 without others in it */
    size_t size;            /* bytes of text or bytes, items of a list, pairs of a map; of a handle: its manager or 0 */
    union {
        bool boolean;
        uint64_t number;
        double real;
        char *bytes;                 /* with a zero byte behind it */
        struct brood_variant *items; /* of a map: key, value, key, value, ... */
    } as;
} brood_variant;

BROOD_BEGIN

/* ------------------------------------------------------------------------------------------------------ making */

/* Text that ends with a zero byte; text of any bytes; bytes.  Copied.  NULL is nil. */
BROOD_API brood_variant brood_variant_text(const char *text);
BROOD_API brood_variant brood_variant_text_of(const char *text, size_t size);
BROOD_API brood_variant brood_variant_bytes(const void *bytes, size_t size);
/* A list of n items; a map of n pairs, items being key, value, key, value, ...: of a key that comes twice the last. */
BROOD_API brood_variant brood_variant_list_of(const brood_variant *items, size_t n);
BROOD_API brood_variant brood_variant_map_of(const brood_variant *items, size_t n);
/* A copy of all of it; of one that is invalid the same. */
BROOD_API brood_variant brood_variant_copy(const brood_variant *v);
/* Free what is behind it; it is nil then.  NULL is allowed. */
BROOD_API void brood_variant_free(brood_variant *v);

static inline brood_variant brood__variant(brood_variant_kind kind, bool negative, uint64_t number)
{
    brood_variant v;
    memset(&v, 0, sizeof v);
    v.kind = (unsigned char)kind;
    v.negative = negative;
    v.as.number = number;
    return v;
}
static inline brood_variant brood_variant_nil(void)
{
    return brood__variant(BROOD_VARIANT_NIL, false, 0);
}
static inline brood_variant brood_variant_bool(bool value)
{
    return brood__variant(BROOD_VARIANT_BOOL, false, value);
}
static inline brood_variant brood_variant_int(int64_t value)
{
    return brood__variant(BROOD_VARIANT_INT, value < 0, (uint64_t)value);
}
static inline brood_variant brood_variant_uint(uint64_t value)
{
    return brood__variant(BROOD_VARIANT_INT, false, value);
}
static inline brood_variant brood_variant_float(double value)
{
    brood_variant v = brood__variant(BROOD_VARIANT_FLOAT, false, 0);
    v.as.real = value;
    return v;
}
/* A handle of the family's (queue.id, lock.id, ...); an object in a manager. */
static inline brood_variant brood_variant_handle(uint64_t id)
{
    return brood__variant(BROOD_VARIANT_HANDLE, false, id);
}
static inline brood_variant brood_variant_proxy(brood_proxy proxy)
{
    brood_variant v = brood_variant_handle(proxy.object);
    v.size = (size_t)proxy.manager;
    return v;
}

/*
 * brood_v(x): the variant of x by its type: any integer or floating type, char *, brood_bytes, brood_proxy, and
 * brood_variant, which is itself.  true and false are integers in C: brood_variant_bool.
 * brood_variant_list(a, b, ...), brood_variant_map(key, value, key, value, ...): from 1 to 32 such.
 */
#ifndef __cplusplus
#define brood_v(x) \
    _Generic((x),                           \
        bool: brood_variant_bool,           \
        char: brood_variant_int,            \
        signed char: brood_variant_int,     \
        short: brood_variant_int,           \
        int: brood_variant_int,             \
        long: brood_variant_int,            \
        long long: brood_variant_int,       \
        unsigned char: brood_variant_uint,  \
        unsigned short: brood_variant_uint, \
        unsigned: brood_variant_uint,       \
        unsigned long: brood_variant_uint,  \
        unsigned long long: brood_variant_uint, \
        float: brood_variant_float,         \
        double: brood_variant_float,        \
        char *: brood_variant_text,         \
        const char *: brood_variant_text,   \
        brood_bytes: brood__variant_of_bytes, \
        brood_proxy: brood_variant_proxy,   \
        brood_variant: brood__variant_same)(x)
#define brood_variant_list(...) \
    brood_variant_list_of((const brood_variant[]){BROOD__V(__VA_ARGS__)}, BROOD__NUMBER(__VA_ARGS__))
#define brood_variant_map(...)                                           \
    brood_variant_map_of((const brood_variant[]){BROOD__V(__VA_ARGS__)}, \
                         BROOD__NUMBER(__VA_ARGS__) / 2 +                \
                             0 * sizeof(char[BROOD__NUMBER(__VA_ARGS__) % 2 ? -1 : 1])) /* a key without value */
#endif
static inline brood_variant brood__variant_same(brood_variant v)
{
    return v;
}
static inline brood_variant brood__variant_of_bytes(brood_bytes b)
{
    return brood_variant_bytes(b.data, b.size);
}

/* ----------------------------------------------------------------------------------------------------- looking */

/*
 * What it is: 0, or BROOD_EINVAL for another kind or a number out of the range of the result; then nothing is written.
 * get_float takes integers too, as far as a double has them exactly.  Text and bytes belong to the variant; text has a
 * zero byte behind it.  size may be NULL where the text has no zero byte in it (else BROOD_EINVAL).
 */
BROOD_API int brood_variant_get_bool(const brood_variant *v, bool *value);
BROOD_API int brood_variant_get_int(const brood_variant *v, int64_t *value);
BROOD_API int brood_variant_get_uint(const brood_variant *v, uint64_t *value);
BROOD_API int brood_variant_get_float(const brood_variant *v, double *value);
BROOD_API int brood_variant_get_text(const brood_variant *v, const char **text, size_t *size);
BROOD_API int brood_variant_get_bytes(const brood_variant *v, const void **bytes, size_t *size);
BROOD_API int brood_variant_get_handle(const brood_variant *v, uint64_t *id);
BROOD_API int brood_variant_get_proxy(const brood_variant *v, brood_proxy *proxy);

/* 0, or the code of an invalid one; an invalid one may be freed or forgotten. */
static inline int brood_variant_error(const brood_variant *v)
{
    return v->kind == BROOD_VARIANT_INVALID ? (int)(int64_t)v->as.number : 0;
}

/* Items of a list, pairs of a map, bytes of text or bytes; else 0. */
BROOD_API size_t brood_variant_size(const brood_variant *v);
/* The i-th item of a list, the i-th key of a map, the value of the i-th; NULL beyond the end and for other kinds. */
BROOD_API const brood_variant *brood_variant_at(const brood_variant *v, size_t i);
BROOD_API const brood_variant *brood_variant_value_at(const brood_variant *v, size_t i);
/* The value of a key in a map, or NULL; lookup: of a key of text. */
BROOD_API const brood_variant *brood_variant_find(const brood_variant *v, const brood_variant *key);
BROOD_API const brood_variant *brood_variant_lookup(const brood_variant *v, const char *key);

/* < 0, 0 or > 0: the order of the encodings, which is a total one.  0: the same value. */
BROOD_API int brood_variant_compare(const brood_variant *a, const brood_variant *b);

/* ---------------------------------------------------------------------------------------------------- changing */

/*
 * Append to a list (nil becomes one); put into a map (nil becomes one), in the place of what the key had.
 * 0, BROOD_ENOMEM, BROOD_EINVAL (another kind, or too deep), or the code of an invalid part: then v is as it was.
 */
BROOD_API int brood_variant_append(brood_variant *v, brood_variant item);
BROOD_API int brood_variant_put(brood_variant *v, brood_variant key, brood_variant value);
/* Take the i-th item out of a list, a key out of a map: into *taken, or freed if that is NULL.  0, BROOD_EINVAL. */
BROOD_API int brood_variant_remove(brood_variant *v, size_t i, brood_variant *taken);
BROOD_API int brood_variant_erase(brood_variant *v, const brood_variant *key, brood_variant *taken);

/* --------------------------------------------------------------------------------------------------- as bytes */

/*
 * Encode: *bytes is malloc'ed, for the caller to free.  0, BROOD_ENOMEM, BROOD_EMSGSIZE (beyond BROOD_VARIANT_MOST), or
 * the code of an invalid one.
 */
BROOD_API int brood_variant_encode(const brood_variant *v, void **bytes, size_t *size);
/*
 * Decode exactly one value that fills the bytes.  0: *v is the caller's.  BROOD_ECORRUPT: malformed, not in the
 * deterministic form, of a kind that is none of ours, too deep, or with bytes behind it; brood_error_detail says where.
 * BROOD_ENOMEM.  On failure *v is nil.  Memory stays within 64 times the size of the bytes.
 */
BROOD_API int brood_variant_decode(brood_variant *v, const void *bytes, size_t size);
/*
 * As text for people, in the diagnostic notation of RFC 8949: {"host": "localhost", "ports": [80, 443]}; cut to
 * capacity, with a zero byte.  How long all of it is, as snprintf.
 */
BROOD_API size_t brood_variant_format(const brood_variant *v, char *text, size_t capacity);

BROOD_END

/* ---------------------------------------------------------------------- pieces of the macros, not for direct use */

#define BROOD__V(...) BROOD__CAT(BROOD__V_, BROOD__NUMBER(__VA_ARGS__))(__VA_ARGS__)
#define BROOD__V_1(a) brood_v(a)
#define BROOD__V_2(a, ...) brood_v(a), BROOD__V_1(__VA_ARGS__)
#define BROOD__V_3(a, ...) brood_v(a), BROOD__V_2(__VA_ARGS__)
#define BROOD__V_4(a, ...) brood_v(a), BROOD__V_3(__VA_ARGS__)
#define BROOD__V_5(a, ...) brood_v(a), BROOD__V_4(__VA_ARGS__)
#define BROOD__V_6(a, ...) brood_v(a), BROOD__V_5(__VA_ARGS__)
#define BROOD__V_7(a, ...) brood_v(a), BROOD__V_6(__VA_ARGS__)
#define BROOD__V_8(a, ...) brood_v(a), BROOD__V_7(__VA_ARGS__)
#define BROOD__V_9(a, ...) brood_v(a), BROOD__V_8(__VA_ARGS__)
#define BROOD__V_10(a, ...) brood_v(a), BROOD__V_9(__VA_ARGS__)
#define BROOD__V_11(a, ...) brood_v(a), BROOD__V_10(__VA_ARGS__)
#define BROOD__V_12(a, ...) brood_v(a), BROOD__V_11(__VA_ARGS__)
#define BROOD__V_13(a, ...) brood_v(a), BROOD__V_12(__VA_ARGS__)
#define BROOD__V_14(a, ...) brood_v(a), BROOD__V_13(__VA_ARGS__)
#define BROOD__V_15(a, ...) brood_v(a), BROOD__V_14(__VA_ARGS__)
#define BROOD__V_16(a, ...) brood_v(a), BROOD__V_15(__VA_ARGS__)
#define BROOD__V_17(a, ...) brood_v(a), BROOD__V_16(__VA_ARGS__)
#define BROOD__V_18(a, ...) brood_v(a), BROOD__V_17(__VA_ARGS__)
#define BROOD__V_19(a, ...) brood_v(a), BROOD__V_18(__VA_ARGS__)
#define BROOD__V_20(a, ...) brood_v(a), BROOD__V_19(__VA_ARGS__)
#define BROOD__V_21(a, ...) brood_v(a), BROOD__V_20(__VA_ARGS__)
#define BROOD__V_22(a, ...) brood_v(a), BROOD__V_21(__VA_ARGS__)
#define BROOD__V_23(a, ...) brood_v(a), BROOD__V_22(__VA_ARGS__)
#define BROOD__V_24(a, ...) brood_v(a), BROOD__V_23(__VA_ARGS__)
#define BROOD__V_25(a, ...) brood_v(a), BROOD__V_24(__VA_ARGS__)
#define BROOD__V_26(a, ...) brood_v(a), BROOD__V_25(__VA_ARGS__)
#define BROOD__V_27(a, ...) brood_v(a), BROOD__V_26(__VA_ARGS__)
#define BROOD__V_28(a, ...) brood_v(a), BROOD__V_27(__VA_ARGS__)
#define BROOD__V_29(a, ...) brood_v(a), BROOD__V_28(__VA_ARGS__)
#define BROOD__V_30(a, ...) brood_v(a), BROOD__V_29(__VA_ARGS__)
#define BROOD__V_31(a, ...) brood_v(a), BROOD__V_30(__VA_ARGS__)
#define BROOD__V_32(a, ...) brood_v(a), BROOD__V_31(__VA_ARGS__)

#ifdef __cplusplus
extern "C++" {
static inline brood_variant brood_v(bool x)
{
    return brood_variant_bool(x);
}
template <class T> struct brood__is_signed {
    enum { value = (T)-1 < (T)0 };
};
#define BROOD__V_INTEGER(type)                                                                                  \
    static inline brood_variant brood_v(type x)                                                                 \
    {                                                                                                           \
        return brood__is_signed<type>::value ? brood_variant_int((int64_t)x) : brood_variant_uint((uint64_t)x); \
    }
BROOD__V_INTEGER(char)
BROOD__V_INTEGER(signed char)
BROOD__V_INTEGER(short)
BROOD__V_INTEGER(int)
BROOD__V_INTEGER(long)
BROOD__V_INTEGER(long long)
BROOD__V_INTEGER(unsigned char)
BROOD__V_INTEGER(unsigned short)
BROOD__V_INTEGER(unsigned)
BROOD__V_INTEGER(unsigned long)
BROOD__V_INTEGER(unsigned long long)
#undef BROOD__V_INTEGER
static inline brood_variant brood_v(double x)
{
    return brood_variant_float(x);
}
static inline brood_variant brood_v(const char *x)
{
    return brood_variant_text(x);
}
static inline brood_variant brood_v(brood_bytes x)
{
    return brood__variant_of_bytes(x);
}
static inline brood_variant brood_v(brood_proxy x)
{
    return brood_variant_proxy(x);
}
static inline brood_variant brood_v(brood_variant x)
{
    return x;
}
template <size_t n> brood_variant brood__variant_list(const brood_variant (&items)[n])
{
    return brood_variant_list_of(items, n);
}
template <size_t n> brood_variant brood__variant_map(const brood_variant (&items)[n])
{
    static_assert(n % 2 == 0, "a map's key without its value");
    return brood_variant_map_of(items, n / 2);
}
}
#define brood_variant_list(...) brood__variant_list({BROOD__V(__VA_ARGS__)})
#define brood_variant_map(...) brood__variant_map({BROOD__V(__VA_ARGS__)})
#endif

#endif
