/* SPDX-License-Identifier: MIT */
/* variant.c - dynamic values, and the vectors of RFC 8949, Appendix A. */
#include "brood_test.h"
#include "manager/value.h"

#include <brood/variant.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------- Appendix A */

/* What it is as bytes, and how it is written for people; a NULL text: it is no deterministic encoding of a variant. */
static const struct vector {
    const char *hex, *text;
} vectors[] = {
    {"00", "0"},
    {"01", "1"},
    {"0a", "10"},
    {"17", "23"},
    {"1818", "24"},
    {"1819", "25"},
    {"1864", "100"},
    {"1903e8", "1000"},
    {"1a000f4240", "1000000"},
    {"1b000000e8d4a51000", "1000000000000"},
    {"1bffffffffffffffff", "18446744073709551615"},
    {"c249010000000000000000", NULL}, /* 2^64: a tag of another kind */
    {"3bffffffffffffffff", NULL},     /* -2^64: beyond the range */
    {"c349010000000000000000", NULL},
    {"3b7fffffffffffffff", "-9223372036854775808"}, /* not of the RFC: the least there is */
    {"3b8000000000000000", NULL},
    {"20", "-1"},
    {"29", "-10"},
    {"3863", "-100"},
    {"3903e7", "-1000"},
    {"f90000", "0.0"},
    {"f98000", "-0.0"},
    {"f93c00", "1.0"},
    {"fb3ff199999999999a", "1.1"},
    {"f93e00", "1.5"},
    {"f97bff", "65504.0"},
    {"fa47c35000", "1e+05"},
    {"fa7f7fffff", "3.4028234663852886e+38"},
    {"fb7e37e43c8800759c", "1e+300"},
    {"f90001", "5.9604644775390625e-08"},
    {"f90400", "6.103515625e-05"},
    {"f9c400", "-4.0"},
    {"fbc010666666666666", "-4.1"},
    {"f97c00", "Infinity"},
    {"f97e00", "NaN"},
    {"f9fc00", "-Infinity"},
    {"fa7f800000", NULL},
    {"fa7fc00000", NULL},
    {"faff800000", NULL},
    {"fb7ff0000000000000", NULL},
    {"fb7ff8000000000000", NULL},
    {"fbfff0000000000000", NULL},
    {"f4", "false"},
    {"f5", "true"},
    {"f6", "null"},
    {"f7", NULL}, /* undefined */
    {"f0", NULL}, /* simple values */
    {"f8ff", NULL},
    {"c074323031332d30332d32315432303a30343a30305a", NULL}, /* dates and such */
    {"c11a514b67b0", NULL},
    {"c1fb41d452d9ec200000", NULL},
    {"d74401020304", NULL},
    {"d818456449455446", NULL},
    {"d82076687474703a2f2f7777772e6578616d706c652e636f6d", NULL},
    {"40", "h''"},
    {"4401020304", "h'01020304'"},
    {"60", "\"\""},
    {"6161", "\"a\""},
    {"6449455446", "\"IETF\""},
    {"62225c", "\"\\\"\\\\\""},
    {"62c3bc", "\"\xc3\xbc\""},
    {"63e6b0b4", "\"\xe6\xb0\xb4\""},
    {"64f0908591", "\"\xf0\x90\x85\x91\""},
    {"80", "[]"},
    {"83010203", "[1, 2, 3]"},
    {"8301820203820405", "[1, [2, 3], [4, 5]]"},
    {"98190102030405060708090a0b0c0d0e0f101112131415161718181819",
     "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]"},
    {"a0", "{}"},
    {"a201020304", "{1: 2, 3: 4}"},
    {"a26161016162820203", "{\"a\": 1, \"b\": [2, 3]}"},
    {"826161a161626163", "[\"a\", {\"b\": \"c\"}]"},
    {"a56161614161626142616361436164614461656145",
     "{\"a\": \"A\", \"b\": \"B\", \"c\": \"C\", \"d\": \"D\", \"e\": \"E\"}"},
    {"5f42010243030405ff", NULL}, /* of indefinite length */
    {"7f657374726561646d696e67ff", NULL},
    {"9fff", NULL},
    {"9f018202039f0405ffff", NULL},
    {"9f01820203820405ff", NULL},
    {"83018202039f0405ff", NULL},
    {"83019f0203ff820405", NULL},
    {"9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", NULL},
    {"bf61610161629f0203ffff", NULL},
    {"826161bf61626163ff", NULL},
    {"bf6346756ef563416d7421ff", NULL},
    /* not of the RFC: what is not the shortest, not sorted, not whole, not text, ours */
    {"1800", NULL},
    {"1817", NULL},
    {"1900ff", NULL},
    {"1a0000ffff", NULL},
    {"1b00000000ffffffff", NULL},
    {"3800", NULL},
    {"5800", NULL},
    {"7800", NULL},
    {"9800", NULL},
    {"b800", NULL},
    {"fa3f800000", NULL},
    {"fb3ff0000000000000", NULL},
    {"fb0000000000000000", NULL},
    {"f97e01", NULL},
    {"f9fe00", NULL},
    {"fa33800000", NULL}, /* 2^-24, which a half has */
    {"fa33c00000", "8.940696716308594e-08"},
    {"fa33000000", "2.9802322387695312e-08"},
    {"a203040102", NULL},
    {"a201020103", NULL},
    {"a2616200616100", NULL},
    {"a218190001f4", NULL},
    {"a301f4181900616100", "{1: false, 25: 0, \"a\": 0}"},
    {"", NULL},
    {"18", NULL},
    {"8201", NULL},
    {"a101", NULL},
    {"6261", NULL},
    {"61ff", NULL},
    {"62c080", NULL},
    {"63eda080", NULL},
    {"64f4908080", NULL},
    {"0000", NULL},
    {"ff", NULL},
    {"9bffffffffffffffff", NULL},
    {"bbffffffffffffffff", NULL},
    {"5bffffffffffffffff", NULL},
    {"7bffffffffffffffff", NULL},
    {"9a7fffffff00", NULL},
    {"da62726f640a", "1651666788(10)"},
    {"da62726f641bffffffffffffffff", "1651666788(18446744073709551615)"},
    {"da62726f6420", NULL},
    {"da62726f646161", NULL},
    {"da62726f64", NULL},
};

static size_t from_hex(const char *hex, unsigned char *bytes)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (unsigned char)byte;
    }
    return n;
}

START_TEST(rfc_8949_appendix_a)
{
    const struct vector *vector = &vectors[_i];
    unsigned char bytes[256];
    char text[256];
    brood_variant v;
    size_t size = from_hex(vector->hex, bytes), again_size;
    int error = brood_variant_decode(&v, bytes, size);
    const unsigned char *at = bytes; /* who looks through it without building it says the same */
    int walked = brood__value_walk(&at, bytes + size, NULL, NULL);
    ck_assert_int_eq(walked == 0 && at != bytes + size ? BROOD_ECORRUPT : walked, error);
    if (!vector->text) {
        ck_assert_int_eq(error, BROOD_ECORRUPT);
        ck_assert_str_ne(brood_error_detail(), "");
        ck_assert_int_eq(v.kind, BROOD_VARIANT_NIL);
        return;
    }
    brood_test_ok(error);
    ck_assert_uint_eq(brood_variant_format(&v, text, sizeof text), strlen(vector->text));
    ck_assert_str_eq(text, vector->text);
    void *again;
    brood_test_ok(brood_variant_encode(&v, &again, &again_size));
    ck_assert_uint_eq(again_size, size);
    ck_assert_mem_eq(again, bytes, size);
    free(again);
    /* Cut anywhere it is refused; and with a byte more. */
    for (size_t cut = 0; cut < size; cut++) {
        brood_variant part;
        ck_assert_int_eq(brood_variant_decode(&part, bytes, cut), BROOD_ECORRUPT);
    }
    bytes[size] = 0;
    brood_variant more;
    ck_assert_int_eq(brood_variant_decode(&more, bytes, size + 1), BROOD_ECORRUPT);
    brood_variant_free(&v);
}
END_TEST

/* Every half there is, against its meaning; and its neighbours among the singles, which need more room. */
START_TEST(halves)
{
    for (unsigned half = 0; half < 0x10000; half++) {
        unsigned exponent = half >> 10 & 31, mantissa = half & 1023;
        double value = exponent == 0    ? ldexp(mantissa, -24)
                       : exponent == 31 ? INFINITY
                                        : ldexp(mantissa + 1024, (int)exponent - 25);
        if (half & 0x8000) value = -value;
        unsigned char bytes[3] = {0xf9, (unsigned char)(half >> 8), (unsigned char)half};
        brood_variant v;
        int error = brood_variant_decode(&v, bytes, 3);
        if (exponent == 31 && mantissa) {
            ck_assert_int_eq(error, half == 0x7e00 ? 0 : BROOD_ECORRUPT);
            continue;
        }
        double got;
        brood_test_ok(error);
        brood_test_ok(brood_variant_get_float(&v, &got));
        ck_assert(got == value && !signbit(got) == !signbit(value));
        void *out;
        size_t size;
        v = brood_variant_float(value);
        brood_test_ok(brood_variant_encode(&v, &out, &size));
        ck_assert_uint_eq(size, 3);
        ck_assert_mem_eq(out, bytes, 3);
        free(out);
        if (exponent == 31) continue;
        v = brood_variant_float(nextafterf((float)value, INFINITY));
        brood_test_ok(brood_variant_encode(&v, &out, &size));
        ck_assert_uint_eq(size, 5);
        free(out);
        v = brood_variant_float(nextafter(value, INFINITY));
        brood_test_ok(brood_variant_encode(&v, &out, &size));
        ck_assert_uint_eq(size, 9);
        free(out);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------------------- as C has it */

START_TEST(reads_well)
{
    char text[200];
    brood_variant job = brood_variant_map("host", "localhost", "ports", brood_variant_list(80, 443u, 1.5), "deep",
                                          brood_variant_bool(true), "none", brood_variant_nil(), -3, (char)'a');
    brood_test_ok(brood_variant_error(&job));
    brood_variant_format(&job, text, sizeof text);
    ck_assert_str_eq(text,
                     "{-3: 97, \"deep\": true, \"host\": \"localhost\", \"none\": null, \"ports\": [80, 443, 1.5]}");
    const char *host;
    double real;
    int64_t port;
    brood_test_ok(brood_variant_get_text(brood_variant_lookup(&job, "host"), &host, NULL));
    ck_assert_str_eq(host, "localhost");
    const brood_variant *ports = brood_variant_lookup(&job, "ports");
    ck_assert_uint_eq(brood_variant_size(ports), 3);
    brood_test_ok(brood_variant_get_int(brood_variant_at(ports, 1), &port));
    ck_assert_int_eq(port, 443);
    brood_test_ok(brood_variant_get_float(brood_variant_at(ports, 2), &real));
    ck_assert(real == 1.5);
    brood_test_ok(brood_variant_get_float(brood_variant_at(ports, 0), &real));
    ck_assert(real == 80);
    ck_assert_int_eq(brood_variant_get_int(brood_variant_at(ports, 2), &port), BROOD_EINVAL);
    ck_assert_ptr_null(brood_variant_at(ports, 3));
    ck_assert_ptr_null(brood_variant_lookup(&job, "nobody"));
    brood_variant copy = brood_variant_copy(&job);
    ck_assert_int_eq(brood_variant_compare(&job, &copy), 0);
    brood_variant_free(&job);
    ck_assert_int_eq(job.kind, BROOD_VARIANT_NIL);
    brood_variant_free(&job);
    brood_variant_free(NULL);
    brood_variant_format(&copy, text, 10);
    ck_assert_str_eq(text, "{-3: 97, ");
    brood_variant_free(&copy);
}
END_TEST

START_TEST(numbers_have_ranges)
{
    int64_t i;
    uint64_t u;
    double d;
    brood_variant v = brood_v(UINT64_MAX);
    ck_assert_int_eq(brood_variant_get_int(&v, &i), BROOD_EINVAL);
    brood_test_ok(brood_variant_get_uint(&v, &u));
    ck_assert_uint_eq(u, UINT64_MAX);
    ck_assert_int_eq(brood_variant_get_float(&v, &d), BROOD_EINVAL);
    v = brood_v(INT64_MIN);
    brood_test_ok(brood_variant_get_int(&v, &i));
    ck_assert_int_eq(i, INT64_MIN);
    ck_assert_int_eq(brood_variant_get_uint(&v, &u), BROOD_EINVAL);
    brood_test_ok(brood_variant_get_float(&v, &d));
    ck_assert(d == -0x1p63);
    v = brood_v(((int64_t)1 << 53) + 1);
    ck_assert_int_eq(brood_variant_get_float(&v, &d), BROOD_EINVAL);
    v = brood_v(true); /* an int, in C */
    bool b;
    ck_assert_int_eq(brood_variant_get_bool(&v, &b), BROOD_EINVAL);
    v = brood_variant_bool(true);
    brood_test_ok(brood_variant_get_bool(&v, &b));
    ck_assert(b);
    ck_assert_int_eq(brood_variant_get_int(&v, &i), BROOD_EINVAL);
}
END_TEST

START_TEST(what_cannot_be_is_told_once)
{
    brood_variant bad = brood_variant_list(1, brood_variant_map("k", "\xff"), "text");
    ck_assert_int_eq(brood_variant_error(&bad), BROOD_EINVAL);
    ck_assert_int_eq(bad.kind, BROOD_VARIANT_INVALID);
    void *bytes;
    size_t size;
    ck_assert_int_eq(brood_variant_encode(&bad, &bytes, &size), BROOD_EINVAL);
    brood_variant list = brood_variant_list(1);
    ck_assert_int_eq(brood_variant_append(&list, bad), BROOD_EINVAL);
    ck_assert_int_eq(brood_variant_put(&list, brood_v("key"), brood_v("value")), BROOD_EINVAL);
    ck_assert_uint_eq(brood_variant_size(&list), 1);
    brood_variant_free(&list);
    brood_variant deep = brood_variant_list(1);
    for (int i = 1; i < BROOD_VARIANT_DEPTH; i++) deep = brood_variant_list(deep);
    brood_test_ok(brood_variant_error(&deep));
    brood_test_ok(brood_variant_encode(&deep, &bytes, &size));
    brood_variant again;
    brood_test_ok(brood_variant_decode(&again, bytes, size));
    ck_assert_int_eq(brood_variant_compare(&deep, &again), 0);
    brood_variant_free(&again);
    unsigned char *deeper = malloc(size + 1);
    deeper[0] = 0x81;
    memcpy(deeper + 1, bytes, size);
    ck_assert_int_eq(brood_variant_decode(&again, deeper, size + 1), BROOD_ECORRUPT);
    free(deeper);
    free(bytes);
    deep = brood_variant_list(deep);
    ck_assert_int_eq(brood_variant_error(&deep), BROOD_EINVAL);
}
END_TEST

START_TEST(grows_and_shrinks)
{
    brood_variant list = brood_variant_nil(), map = brood_variant_nil(), taken;
    int64_t got;
    for (int i = 0; i < 1000; i++) {
        brood_test_ok(brood_variant_append(&list, brood_v(i)));
        brood_test_ok(brood_variant_put(&map, brood_v(i * 7919 % 1000), brood_v(i)));
        brood_test_ok(brood_variant_put(&map, brood_v(i * 7919 % 1000), brood_v(i + 1)));
    }
    ck_assert_uint_eq(list.size, 1000);
    ck_assert_uint_eq(map.size, 1000);
    for (int i = 0; i < 1000; i++) {
        brood_variant key = brood_v(i * 7919 % 1000);
        brood_test_ok(brood_variant_get_int(brood_variant_find(&map, &key), &got));
        ck_assert_int_eq(got, i + 1);
        brood_test_ok(brood_variant_get_int(brood_variant_at(&map, (size_t)i), &got));
        ck_assert_int_eq(got, i);
    }
    for (int i = 0; i < 1000; i++) {
        brood_variant key = brood_v(i);
        brood_test_ok(brood_variant_remove(&list, 0, &taken));
        brood_test_ok(brood_variant_get_int(&taken, &got));
        ck_assert_int_eq(got, i);
        brood_test_ok(brood_variant_erase(&map, &key, NULL));
        ck_assert_int_eq(brood_variant_erase(&map, &key, NULL), BROOD_EINVAL);
    }
    ck_assert_int_eq(brood_variant_remove(&list, 0, &taken), BROOD_EINVAL);
    brood_variant_free(&list);
    brood_variant_free(&map);
}
END_TEST

/* As lists are sorted: one order of all, also of what is no number. */
START_TEST(an_order_of_all)
{
    brood_variant all[] = {brood_v(-INFINITY),
                           brood_v(-1e300),
                           brood_v(INT64_MIN),
                           brood_v(-7.5),
                           brood_v(-1),
                           brood_v(-0.1),
                           brood_v(0),
                           brood_v(0.0),
                           brood_v(1e-9),
                           brood_v(1),
                           brood_v(1.0),
                           brood_v(2.5),
                           brood_v(1000),
                           brood_v(1e4),
                           brood_v(UINT64_MAX),
                           brood_v(1e300),
                           brood_v(INFINITY),
                           brood_v(NAN),
                           brood_v("a"),
                           brood_v("b"),
                           brood_variant_bytes("a", 1),
                           brood_variant_list(1),
                           brood_variant_nil()};
    enum { ALL = sizeof all / sizeof *all };
    struct slice slices[ALL];
    void *encoded[ALL];
    for (int i = 0; i < ALL; i++) {
        size_t size;
        ck_assert_int_eq(brood_variant_encode(&all[i], &encoded[i], &size), 0);
        slices[i] = (struct slice){encoded[i], size};
    }
    for (int i = 0; i < ALL; i++)
        for (int k = 0; k < ALL; k++) {
            int order = brood__value_order(slices[i], slices[k]);
            ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k), "%d, %d: %d", i, k, order);
        }
    for (int i = 0; i < ALL; i++) {
        brood_variant_free(&all[i]);
        free(encoded[i]);
    }
}
END_TEST

static Suite *variant_suite(void)
{
    Suite *suite = suite_create("variant");
    TCase *bytes = brood_test_case(suite, "bytes");
    tcase_add_loop_test(bytes, rfc_8949_appendix_a, 0, (int)(sizeof vectors / sizeof vectors[0]));
    tcase_add_test(bytes, halves);
    TCase *values = brood_test_case(suite, "values");
    tcase_add_test(values, reads_well);
    tcase_add_test(values, numbers_have_ranges);
    tcase_add_test(values, what_cannot_be_is_told_once);
    tcase_add_test(values, grows_and_shrinks);
    tcase_add_test(values, an_order_of_all);
    return suite;
}

BROOD_TEST_MAIN(variant_suite)
