/* SPDX-License-Identifier: MIT */
/*
 * frame.c - any stream, cut in any way, gives the messages that it gives when it is read by the rule in one go, and no
 * more memory than bytes have come.  The input: the limit's bits, the size of a piece, the stream.
 */
#include "pipe/frame.h"
#include "fuzz.h"

#include <brood/error.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

/* The next message by the rule: 1 and where it lies; 0: not whole; or a code. */
static int by_rule(const uint8_t *at, const uint8_t *end, uint64_t limit, size_t *head, uint64_t *size)
{
    *head = 4;
    if (end - at < 4) return 0;
    *size = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
    if (*size == 0xffffffff) {
        *head = 12;
        if (end - at < 12) return 0;
        *size = 0;
        for (int i = 4; i < 12; i++) *size = *size << 8 | at[i];
    } else if (*size > 0x7fffffff) {
        return BROOD_ECORRUPT;
    }
    if (*size > limit) return BROOD_EMSGSIZE;
    return *size <= (uint64_t)(end - at) - *head;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2) return 0;
    uint64_t limit = bytes[0] >= 64 ? UINT64_MAX : (UINT64_C(1) << bytes[0]) - 1;
    size_t piece = bytes[1] + (size_t)1;
    const uint8_t *at = bytes + 2, *end = bytes + size, *message_at = at;
    struct frame_reader r;
    brood__frame_reader_init(&r, limit);
    while (at < end) {
        size_t used, head, got, now = (size_t)(end - at) < piece ? (size_t)(end - at) : piece;
        uint64_t expected;
        int result = brood__frame_reader_feed(&r, at, now, &used);
        at += used;
        require(used <= now && r.room <= 8192 + 2 * size);
        int wanted = by_rule(message_at, at, limit, &head, &expected);
        require(result == wanted);
        if (result < 0) break;
        if (result == 0) {
            require(used == now);
            continue;
        }
        const void *message = brood__frame_reader_message(&r, &got);
        require(got == expected && memcmp(message, message_at + head, got) == 0);
        uint8_t again[FRAME_HEAD_MOST];
        require(brood__frame_head(again, got) == (got > 0x7fffffff ? 12u : 4u));
        if (head == 4) require(memcmp(again, message_at, 4) == 0);
        if (got & 1) {
            void *taken = brood__frame_reader_take(&r, &got);
            require(taken && got == expected && memcmp(taken, message_at + head, got) == 0);
            free(taken);
        }
        brood__frame_reader_next(&r);
        message_at = at;
    }
    brood__frame_reader_free(&r);
    return 0;
}
