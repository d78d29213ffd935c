/* SPDX-License-Identifier: MIT */
/* slots.c - a shareable list in some memory; the layout and its rules are in shared/list.h.  Thread-safe. */
#include "arena/detail.h"
#include "shared/list.h"

#include <brood/error.h>
#include <string.h>

#define HALF_WORD(type, size) ((uint64_t)(size) << 32 | (uint64_t)(type))
#define HALF_TYPE(word) ((uint32_t)(word))
#define HALF_SIZE(word) ((uint32_t)((word) >> 32))

#define UP(n) (((n) + 7) & ~(size_t)7)

/* What an element takes in a slot, in bytes of payload; BROOD_EINVAL, BROOD_EMSGSIZE. */
static int64_t payload(const brood_element *e)
{
    switch (e->type) {
    case BROOD_ELEMENT_NONE: return 0;
    case BROOD_ELEMENT_BOOLEAN:
    case BROOD_ELEMENT_INTEGER:
    case BROOD_ELEMENT_REAL: return 8;
    case BROOD_ELEMENT_TEXT:
    case BROOD_ELEMENT_BYTES: return e->size < LIST_MOST ? (int64_t)e->size : BROOD_EMSGSIZE;
    default: return brood__fail_numbers(BROOD_EINVAL, "there is no element type %lld", e->type, 0);
    }
}

/* As Python has it: a text of 8 bytes has room for 16. */
static size_t room_for(const brood_element *e, size_t least)
{
    bool long_one = e->type == BROOD_ELEMENT_TEXT || e->type == BROOD_ELEMENT_BYTES;
    size_t room = long_one ? 8 * (e->size / 8 + 1) : 8;
    return room < least ? least : room;
}

int brood__list_plan(struct list_plan *plan)
{
    if (plan->count > LIST_MOST / sizeof(struct list_slot) || plan->room >= LIST_MOST) return BROOD_EMSGSIZE;
    plan->room = UP(plan->room);
    uint64_t size = sizeof(struct list_shm) + plan->count * sizeof(struct list_slot);
    for (size_t i = 0; i < plan->count; i++) {
        int64_t bytes = payload(&plan->elements[i]);
        if (bytes < 0) return (int)bytes;
        size += 2 * (8 + (uint64_t)room_for(&plan->elements[i], plan->room));
    }
    if (size > SIZE_MAX) return BROOD_EMSGSIZE;
    plan->size = (size_t)size;
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- words */

/* Payloads are copied word by word, for others may read or write them meanwhile. */
static void copy_in(_Atomic uint64_t *words, const void *data, size_t size)
{
    uint64_t word;
    size_t whole = size / 8, rest = size % 8;
    for (size_t i = 0; i < whole; i++) {
        memcpy(&word, (const char *)data + 8 * i, 8);
        atomic_store_explicit(&words[i], word, memory_order_relaxed);
    }
    if (rest == 0) return;
    word = 0;
    memcpy(&word, (const char *)data + 8 * whole, rest);
    atomic_store_explicit(&words[whole], word, memory_order_relaxed);
}

static void copy_out(const _Atomic uint64_t *words, void *data, size_t size)
{
    uint64_t word;
    size_t whole = size / 8, rest = size % 8;
    for (size_t i = 0; i < whole; i++) {
        word = atomic_load_explicit(&words[i], memory_order_relaxed);
        memcpy((char *)data + 8 * i, &word, 8);
    }
    if (rest == 0) return;
    word = atomic_load_explicit(&words[whole], memory_order_relaxed);
    memcpy((char *)data + 8 * whole, &word, rest);
}

static void write_half(_Atomic uint64_t *half, const brood_element *e)
{
    int64_t integer = e->boolean;
    const void *data = &integer;
    size_t size = 8;
    switch (e->type) {
    case BROOD_ELEMENT_NONE: size = 0; break;
    case BROOD_ELEMENT_INTEGER: integer = e->integer; break;
    case BROOD_ELEMENT_REAL: memcpy(&integer, &e->real, 8); break;
    case BROOD_ELEMENT_TEXT:
    case BROOD_ELEMENT_BYTES: data = e->data, size = e->size; break;
    default: break;
    }
    atomic_store_explicit(half, HALF_WORD(e->type, size), memory_order_relaxed);
    copy_in(half + 1, data, size);
}

void brood__list_fill(void *bytes, const void *of)
{
    const struct list_plan *plan = of;
    struct list_shm *list = bytes;
    uint64_t place = sizeof *list + plan->count * sizeof(struct list_slot);
    for (size_t i = 0; i < plan->count; i++) {
        uint64_t room = room_for(&plan->elements[i], plan->room);
        atomic_store_explicit(&list->slots[i].place, place, memory_order_relaxed);
        atomic_store_explicit(&list->slots[i].room, room, memory_order_relaxed);
        write_half((_Atomic uint64_t *)(void *)((char *)bytes + place), &plan->elements[i]);
        place += 2 * (8 + room);
    }
    atomic_store_explicit(&list->count, plan->count, memory_order_relaxed);
    atomic_store_explicit(&list->size, plan->size, memory_order_relaxed);
    atomic_store_explicit(&list->version, LIST_VERSION, memory_order_relaxed);
    atomic_store_explicit(&list->magic, LIST_MAGIC, memory_order_release);
}

/* -------------------------------------------------------------------------------------------------------- checking */

int brood__list_check(const struct list_shm *list, size_t size)
{
    if (size < sizeof *list) return BROOD_ECORRUPT;
    bool good =
        atomic_load_explicit(&list->magic, memory_order_acquire) == LIST_MAGIC &&
        atomic_load_explicit(&list->version, memory_order_relaxed) == LIST_VERSION &&
        atomic_load_explicit(&list->size, memory_order_relaxed) <= size &&
        atomic_load_explicit(&list->count, memory_order_relaxed) <= (size - sizeof *list) / sizeof(struct list_slot);
    return good ? 0 : BROOD_ECORRUPT;
}

int64_t brood__list_length(const struct list_shm *list, size_t size)
{
    int error = brood__list_check(list, size);
    return error < 0 ? error : (int64_t)atomic_load_explicit(&list->count, memory_order_relaxed);
}

/* A slot, and its halves, which lie in the memory: 0, BROOD_EINVAL, BROOD_ECORRUPT. */
static int find(const struct list_shm *list, size_t size, size_t index, const struct list_slot **slot,
                const _Atomic uint64_t *half[2], size_t *room)
{
    int error = brood__list_check(list, size);
    if (error < 0) return error;
    uint64_t count = atomic_load_explicit(&list->count, memory_order_relaxed);
    if (index >= count ||
        index >= (size - sizeof *list) / sizeof(struct list_slot)) /* looked at twice: it may change */
        return brood__fail_numbers(BROOD_EINVAL, "index %lld of %lld elements", (long long)index, (long long)count);
    *slot = &list->slots[index];
    uint64_t place = atomic_load_explicit(&(*slot)->place, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&(*slot)->room, memory_order_relaxed);
    if (place % 8 || bytes % 8 || bytes < 8 || bytes > LIST_MOST || place > size || (size - place) / 2 < bytes + 8)
        return BROOD_ECORRUPT;
    *room = (size_t)bytes;
    half[0] = (const _Atomic uint64_t *)(const void *)((const char *)list + place);
    half[1] = half[0] + 1 + bytes / 8;
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ get and set */

/* What a half says, as far as it can be so; text and bytes are copied if there is room for them. */
static int read_half(const _Atomic uint64_t *half, size_t room, brood_element *e, void *buffer, size_t capacity)
{
    uint64_t word = atomic_load_explicit(half, memory_order_relaxed), integer;
    *e = (brood_element){.type = (brood_element_type)HALF_TYPE(word), .size = HALF_SIZE(word)};
    switch (e->type) {
    case BROOD_ELEMENT_NONE: e->size = 0; return 0;
    case BROOD_ELEMENT_BOOLEAN:
    case BROOD_ELEMENT_INTEGER:
    case BROOD_ELEMENT_REAL:
        e->size = 0;
        integer = atomic_load_explicit(half + 1, memory_order_relaxed);
        if (e->type == BROOD_ELEMENT_BOOLEAN) e->boolean = integer != 0;
        if (e->type == BROOD_ELEMENT_INTEGER) e->integer = (int64_t)integer;
        if (e->type == BROOD_ELEMENT_REAL) memcpy(&e->real, &integer, 8);
        return 0;
    case BROOD_ELEMENT_TEXT:
    case BROOD_ELEMENT_BYTES: break;
    default: return BROOD_ECORRUPT;
    }
    if (e->size > room) return BROOD_ECORRUPT;
    if (e->size + (e->type == BROOD_ELEMENT_TEXT) > capacity) return BROOD_EMSGSIZE;
    copy_out(half + 1, buffer, e->size);
    if (e->type == BROOD_ELEMENT_TEXT) ((char *)buffer)[e->size] = 0;
    e->data = buffer;
    return 0;
}

int brood__list_get(const struct list_shm *list, size_t size, size_t index, brood_element *element, void *buffer,
                    size_t capacity)
{
    const struct list_slot *slot;
    const _Atomic uint64_t *half[2];
    size_t room;
    int error = find(list, size, index, &slot, half, &room);
    if (error < 0) return error;
    for (unsigned n = 0; n < 100000; n++) {
        /* acquire pairs with the release that commits a set. */
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        error = read_half(half[turn & 1], room, element, buffer, capacity);
        atomic_thread_fence(memory_order_acquire); /* pairs with the release fence of a set: did one begin here? */
        if (atomic_load_explicit(&slot->turn, memory_order_relaxed) == turn) return error;
        brood__relax(n);
    }
    return BROOD_ECORRUPT; /* nobody sets so often: somebody writes over it */
}

int64_t brood__list_patience_ns = (int64_t)2 * 1000 * 1000 * 1000;

/* The latch, which is announced; not for ever, for a stranger may have written anything there. */
static int take(os_word *word)
{
    int64_t deadline = 0;
    uint32_t seen;
    for (unsigned n = 0; !brood__latch_try(word, &seen); n++) {
        if ((seen & OS_TID_MASK) == brood__os_robust.tid) return BROOD_EDEADLK;
        if (n < 104) {
            brood__relax(n);
            continue;
        }
        if (deadline == 0) deadline = brood__os_now() + brood__list_patience_ns;
        if (brood__os_now() > deadline) return BROOD_ETIMEDOUT;
        brood__os_nap(n < 140 ? 50 * 1000 : 1000 * 1000);
    }
    return 0;
}

int brood__list_set(struct list_shm *list, size_t size, size_t index, const brood_element *element)
{
    const struct list_slot *found;
    const _Atomic uint64_t *half[2];
    size_t room;
    int64_t bytes = payload(element);
    if (bytes < 0) return (int)bytes;
    int error = find(list, size, index, &found, half, &room);
    if (error < 0) return error;
    if ((uint64_t)bytes > room)
        return brood__fail_numbers(BROOD_EMSGSIZE, "%lld bytes, and room for %lld", bytes, (long long)room);
    struct list_slot *slot = &list->slots[index];
    void *announced = brood__os_announce(&list->latch);
    error = take(&list->latch.word);
    if (error == 0) {
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
        /* Who still reads that half, of an older turn, sees that it is over. */
        atomic_thread_fence(memory_order_release);
        write_half((_Atomic uint64_t *)(uintptr_t)half[!(turn & 1)], element);
        atomic_store_explicit(&slot->turn, turn + 1, memory_order_release); /* the commit */
        brood__latch_release(&list->latch.word, 0);
    }
    brood__os_announce_again(announced);
    return error;
}
