/* SPDX-License-Identifier: MIT */
/*
 * list.c - a shareable list in memory that anybody has written: whatever stands there, getting and setting touch nothing
 * beyond it.  The first eight bytes say what is done; the rest is the memory, or (odd first byte) is written over a good
 * list, in words of eight bytes with their places.
 */
#include "shared/list.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

static void *good_list(size_t *size)
{
    brood_element e[4] = {brood_element_text("some text"), brood_element_integer(7), brood_element_bytes("", 0),
                          brood_element_real(0.5)};
    struct list_plan plan = {.elements = e, .count = 4, .room = 24};
    require(brood__list_plan(&plan) == 0);
    void *bytes = calloc(1, plan.size);
    require(bytes != NULL);
    brood__list_fill(bytes, &plan);
    *size = plan.size;
    return bytes;
}

static void use(struct list_shm *list, size_t size, const uint8_t *how)
{
    char buffer[40];
    brood_element e;
    int64_t length = brood__list_length(list, size);
    require(length <= (int64_t)(size / sizeof(struct list_slot)));
    for (size_t i = 0; i < 6; i++) {
        size_t capacity = how[1] % (sizeof buffer + 1);
        int error = brood__list_get(list, size, i, &e, buffer, capacity);
        if (error == 0 && (e.type == BROOD_ELEMENT_TEXT || e.type == BROOD_ELEMENT_BYTES))
            require(e.size <= capacity && (e.size == 0 || e.data == buffer));
        if (error == 0) require((int64_t)i < length);
    }
    char text[256];
    memset(text, 'x', sizeof text);
    e = how[2] & 1 ? brood_element_bytes(text, how[3]) : brood_element_integer(how[3]);
    if (how[2] & 2) e.type = (brood_element_type)how[4];
    if (e.type == BROOD_ELEMENT_TEXT || e.type == BROOD_ELEMENT_BYTES) e.data = text;
    if (brood__list_set(list, size, how[5] % 6, &e) == 0 && !(how[2] & 2)) {
        char back[256];
        brood_element there;
        require(brood__list_get(list, size, how[5] % 6, &there, back, sizeof back) != BROOD_EMSGSIZE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 8) return 0;
    brood__list_patience_ns = 0;
    if (brood__os_robust.tid == 0) require(brood__os_robust_prepare() == 0);
    const uint8_t *how = bytes;
    size_t room = size - 8;
    void *memory;
    if (how[0] & 1) {
        memory = good_list(&room);
        for (bytes += 8, size -= 8; size >= 10; bytes += 10, size -= 10) {
            uint16_t at;
            memcpy(&at, bytes, sizeof at);
            memcpy((char *)memory + at % (room / 8) * 8, bytes + 2, 8);
        }
    } else {
        memory = malloc(room ? room : 1); /* of its very size */
        require(memory != NULL);
        memcpy(memory, bytes + 8, room);
    }
    use(memory, room, how);
    free(memory);
    return 0;
}
