/* SPDX-License-Identifier: MIT */
/*
 * pipes.c - handles.c for ends of pipes, tokens, and whatever moves: the answer to what nobody made is a code.
 *
 * The input is a list of calls: a byte for the function, one for the kind of handle, eight for its value.
 */
#include "arena/member.h"
#include "call/movable.h"
#include "fuzz.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(bool truth)
{
    if (!truth) abort();
}

enum { END, TOKEN, BUFFER, QUEUE, PROCESS, TYPES };
static const enum table tables[TYPES] = {TABLE_PIPE, TABLE_TOKEN, TABLE_BUFFER, TABLE_QUEUE, TABLE_MEMBER};
static uint64_t ids[TYPES];
static brood_pipe_end ends[2];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    require(brood_configure(&(brood_family_options){.arena_limit = 64 << 20}) == 0);
    brood__init_or_exit(argc, argv);
    return 0;
}

/* What was closed, redeemed or moved away is made again. */
static void have_all(void)
{
    if (!brood__movable_find(ends[0].id) || !brood__movable_find(ends[1].id)) {
        for (int i = 0; i < 2; i++) brood_pipe_close(ends[i]);
        require(brood_pipe_new(ends, &(brood_pipe_options){.capacity = 1024}) == 0);
        ids[END] = ends[0].id;
    }
    if (!brood__movable_find(ids[TOKEN])) require(brood_descriptor_deposit((brood_token *)&ids[TOKEN], 2) == 0);
    if (brood__movable_mine(ids[BUFFER]) < 0) require(brood_buffer_new((brood_buffer *)&ids[BUFFER], 100, NULL) == 0);
    if (!brood__slot_find(TABLE_QUEUE, ids[QUEUE]))
        require(brood_queue_new((brood_queue *)&ids[QUEUE], &(brood_queue_options){.capacity = 1024}) == 0);
    ids[PROCESS] = brood_process_current().id;
}

static uint64_t handle(uint8_t kind, uint64_t value)
{
    uint64_t live = ids[kind / 8 % TYPES];
    switch (kind % 8) {
    case 0: return value;
    case 1: return live;
    case 2: return live ^ (value & 0xff) << 8 * (value >> 8 & 7);
    case 3: return HANDLE(tables[value % TYPES], value >> 8 & 15, value >> 16 & 3);
    case 4: return HANDLE(tables[value % TYPES], 0xffffff - (value >> 8 & 0xff), value >> 16 & 3);
    case 5: return live - 1 - (value & 3);
    case 6: return (live & ~UINT64_C(0xffffffff)) | (uint32_t)value;
    default: return HANDLE(tables[value % TYPES], HANDLE_INDEX(live), HANDLE_GENERATION(live));
    }
}

enum { FUNCTIONS = 18 };

static int call(unsigned function, uint64_t id, uint8_t more)
{
    static char data[4096];
    size_t size = sizeof data;
    int timeout = more & 1, result;
    brood_pipe_end end = {id};
    brood_buffer buffer = {0};
    brood_view view = {0};
    switch (function) {
    case 0: return brood_pipe_send(end, data, more, timeout);
    case 1: return brood_pipe_send(end, data, sizeof data, timeout);
    case 2: return brood_pipe_recv(end, data, more * 16u, &size, timeout);
    case 3: return brood_pipe_recv_exactly(end, data, more, timeout);
    case 4: return brood_pipe_send_buffer(end, (brood_buffer){ids[BUFFER]}, timeout);
    case 5:
        result = brood_pipe_recv_buffer(end, &buffer, timeout);
        if (result == 0) require(brood_buffer_free(buffer) == 0);
        return result;
    case 6:
        result = brood_pipe_recv_view(end, &view, timeout);
        if (result == 0) require(brood_view_release(&view) == 0);
        return result;
    case 7: return brood_pipe_poll(end, timeout);
    case 8: return brood_pipe_fd(end);
    case 9: return brood_pipe_close(end);
    case 10: return brood_pipe_send_moving(end, data, more, &ids[more % TYPES], 1, timeout);
    case 11: return brood_pipe_send_moving(ends[more & 1], data, more, &id, 1, timeout);
    case 12: return brood_queue_put_moving((brood_queue){ids[QUEUE]}, data, more, &id, 1, timeout);
    case 13: return brood_give_id(id, (brood_process){ids[PROCESS]});
    case 14:
        result = brood_descriptor_redeem((brood_token){id});
        if (result >= 0) require(close(result) == 0);
        return result;
    case 15: return brood_descriptor_discard((brood_token){id});
    case 16: brood_queue_get((brood_queue){ids[QUEUE]}, data, sizeof data, &size, timeout); return -1;
    case 17:
        result = brood_give_id(ids[BUFFER], (brood_process){id});
        require(result < 0 || brood__member_find(id));
        return -1;
    default: abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (!brood_is_member()) LLVMFuzzerInitialize(NULL, NULL);
    for (size_t calls = 0; size >= 10 && calls < 64; calls++, bytes += 10, size -= 10) {
        uint64_t value;
        have_all();
        memcpy(&value, bytes + 2, sizeof value);
        uint64_t id = handle(bytes[1], value);
        bool lives = brood__movable_find(id) != NULL;
        int result = call(bytes[0] % FUNCTIONS, id, (uint8_t)(value >> 56));
        require(lives || result < 0); /* of such a handle there is nothing */
        if (result < 0) require(brood_error_name(result)[0] != 0);
    }
    return 0;
}
