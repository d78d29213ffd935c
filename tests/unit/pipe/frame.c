/* SPDX-License-Identifier: MIT */
/* frame.c - messages out of a stream: whole, in any pieces, hostile. */
#include "pipe/frame.h"
#include "brood_test.h"

#include <stdlib.h>
#include <string.h>

static struct frame_reader reader;

/* All of it at once; the answer at the end of it, and how much was taken. */
static int feed(const void *bytes, size_t size, size_t *used)
{
    return brood__frame_reader_feed(&reader, bytes, size, used);
}

static size_t put(uint8_t *stream, const void *message, size_t size)
{
    size_t head = brood__frame_head(stream, size);
    if (size > 0) memcpy(stream + head, message, size);
    return head + size;
}

START_TEST(heads_are_as_python_has_them)
{
    uint8_t head[FRAME_HEAD_MOST];
    ck_assert_uint_eq(brood__frame_head(head, 0), 4);
    ck_assert_mem_eq(head, "\0\0\0\0", 4);
    ck_assert_uint_eq(brood__frame_head(head, 0x01020304), 4);
    ck_assert_mem_eq(head, "\1\2\3\4", 4);
    ck_assert_uint_eq(brood__frame_head(head, 0x7fffffff), 4);
    ck_assert_mem_eq(head, "\x7f\xff\xff\xff", 4);
    ck_assert_uint_eq(brood__frame_head(head, 0x80000000u), 12);
    ck_assert_mem_eq(head, "\xff\xff\xff\xff\0\0\0\0\x80\0\0\0", 12);
    ck_assert_uint_eq(brood__frame_head(head, 0x0102030405060708), 12);
    ck_assert_mem_eq(head, "\xff\xff\xff\xff\1\2\3\4\5\6\7\x08", 12);
}
END_TEST

START_TEST(comes_in_any_pieces)
{
    static uint8_t stream[3 * 70000];
    static char large[70000];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i * 7);
    const struct {
        const void *bytes;
        size_t size;
    } sent[] = {{"hello", 5}, {"", 0}, {large, sizeof large}, {"", 0}, {"x", 1}, {large, 4096}, {large, 4097}};
    size_t total = 0, n = sizeof sent / sizeof *sent;
    for (size_t i = 0; i < n; i++) total += put(stream + total, sent[i].bytes, sent[i].size);

    for (size_t piece = 1; piece < 20000; piece = piece * 3 + 1) {
        size_t at = 0, got = 0;
        brood__frame_reader_init(&reader, sizeof large);
        while (at < total) {
            size_t used, size, end = at + piece < total ? at + piece : total;
            int result = feed(stream + at, end - at, &used);
            ck_assert_int_ge(result, 0);
            at += used;
            if (result == 0) {
                ck_assert_uint_eq(at, end);
                continue;
            }
            const void *message = brood__frame_reader_message(&reader, &size);
            ck_assert_uint_eq(size, sent[got].size);
            ck_assert(memcmp(message, sent[got++].bytes, size) == 0);
            brood__frame_reader_next(&reader);
            ck_assert(brood__frame_reader_between(&reader));
        }
        ck_assert_uint_eq(got, n);
        brood__frame_reader_free(&reader);
    }
}
END_TEST

START_TEST(whole_stays_whole)
{
    size_t used, size;
    brood__frame_reader_init(&reader, 10);
    ck_assert_int_eq(feed("\0\0\0\2abcd", 8, &used), 1);
    ck_assert_uint_eq(used, 6);
    ck_assert_int_eq(feed("cd", 2, &used), 1);
    ck_assert_uint_eq(used, 0);
    ck_assert_mem_eq(brood__frame_reader_message(&reader, &size), "ab", 2);
    ck_assert_uint_eq(size, 2);
    brood__frame_reader_free(&reader);
}
END_TEST

START_TEST(a_long_head_for_a_short_message)
{
    size_t used, size;
    brood__frame_reader_init(&reader, 10);
    ck_assert_int_eq(feed("\xff\xff\xff\xff\0\0\0\0\0\0\0\3abc", 15, &used), 1);
    ck_assert_mem_eq(brood__frame_reader_message(&reader, &size), "abc", 3);
    brood__frame_reader_free(&reader);
}
END_TEST

/* Once: it is refused at the last byte of the head, and stays refused. */
static void ck_refused(const char *head, size_t size, uint64_t limit, int code)
{
    size_t used;
    void *place;
    brood__frame_reader_init(&reader, limit);
    for (size_t i = 0; i + 1 < size; i++) ck_assert_int_eq(feed(head + i, 1, &used), 0);
    ck_assert_int_eq(feed(head + size - 1, 1, &used), code);
    ck_assert_int_eq(feed("abc", 3, &used), code);
    ck_assert_int_eq(brood__frame_reader_place(&reader, &place, &used), code);
    ck_assert(!brood__frame_reader_whole(&reader) && !brood__frame_reader_between(&reader));
    ck_assert_ptr_null(reader.body);
    brood__frame_reader_free(&reader);
}

START_TEST(refuses_what_no_one_may_send)
{
    ck_refused("\xff\xff\xff\xfe", 4, UINT64_MAX, BROOD_ECORRUPT); /* -2 */
    ck_refused("\x80\0\0\0", 4, UINT64_MAX, BROOD_ECORRUPT);
    ck_refused("\0\0\0\5", 4, 4, BROOD_EMSGSIZE);
    ck_refused("\x7f\xff\xff\xff", 4, 256 << 20, BROOD_EMSGSIZE);
    ck_refused("\xff\xff\xff\xff\0\0\0\1\0\0\0\0", 12, 0xffffffff, BROOD_EMSGSIZE); /* 4 GiB */
    ck_refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, 0xffffffff, BROOD_EMSGSIZE);
}
END_TEST

START_TEST(memory_follows_the_bytes)
{
    static char bytes[100000];
    size_t used;
    brood__frame_reader_init(&reader, UINT64_MAX);
    ck_assert_int_eq(feed("\xff\xff\xff\xff\0\0\1\0\0\0\0\0", 12, &used), 0); /* a TiB is promised */
    ck_assert_int_eq(feed(bytes, sizeof bytes, &used), 0);
    ck_assert_uint_le(reader.room, 4 * sizeof bytes);
    brood__frame_reader_free(&reader);
}
END_TEST

START_TEST(is_given_away)
{
    static char large[200000];
    uint8_t head[FRAME_HEAD_MOST];
    size_t used, size;
    brood__frame_reader_init(&reader, sizeof large);
    for (int round = 0; round < 3; round++) {
        size_t sizes[] = {sizeof large, 3, 0};
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(feed(head, brood__frame_head(head, sizes[i]), &used), sizes[i] == 0);
            if (sizes[i]) ck_assert_int_eq(feed(large, sizes[i], &used), 1);
            char *message = brood__frame_reader_take(&reader, &size);
            ck_assert_ptr_nonnull(message);
            ck_assert_uint_eq(size, sizes[i]);
            free(message);
            brood__frame_reader_next(&reader);
        }
    }
    brood__frame_reader_free(&reader);
}
END_TEST

static Suite *frame_suite(void)
{
    Suite *suite = suite_create("frame");
    TCase *frames = brood_test_case(suite, "frames");
    tcase_add_test(frames, heads_are_as_python_has_them);
    tcase_add_test(frames, comes_in_any_pieces);
    tcase_add_test(frames, whole_stays_whole);
    tcase_add_test(frames, a_long_head_for_a_short_message);
    tcase_add_test(frames, refuses_what_no_one_may_send);
    tcase_add_test(frames, memory_follows_the_bytes);
    tcase_add_test(frames, is_given_away);
    return suite;
}

BROOD_TEST_MAIN(frame_suite)
