/* SPDX-License-Identifier: MIT */
/*
 * arena.c - making, joining and leaving the shared memory of a family.
 * Not thread-safe (brood_init, brood_fini and the start of a child call it), but for brood__enter and the look-ups.
 */
#include "arena/arena.h"

#include <string.h>

static struct self nobody;
struct self *brood__self = &nobody;

#define HEADER_BYTES (64u * 1024u)
#define ALIGN_UP(n, to) (((n) + (to)-1) / (to) * (to))
_Static_assert(sizeof(struct arena_shm) <= HEADER_BYTES, "the header has room");

bool brood__in_arena(const void *address, size_t size)
{
    const struct pages_shm *pages = &brood__arena()->pages;
    uint64_t offset = brood__offset(address), end = pages->heap + (uint64_t)pages->limit * PAGE_SIZE;
    return (const char *)address >= (const char *)brood__arena() && offset >= pages->heap && offset < end &&
           size <= end - offset;
}

int brood__enter_slow(void)
{
    if (!brood__is_member()) return BROOD_ENOTMEMBER;
    return brood__os_robust_prepare() < 0 ? BROOD_EUNSUPPORTED : 0;
}

int brood__refuse_timeout(int timeout)
{
    return brood__fail_numbers(BROOD_EINVAL, "a timeout of %lld ms: only BROOD_FOREVER is less than 0", timeout, 0);
}

/* This process's view, in a page that is zeroes in every forked child: made once, used for each family in turn. */
static int view(struct self **self)
{
    static void *page;
    if (!page) {
        int error = brood__os_wiped_page(&page);
        if (error < 0) return error;
    }
    *self = page;
    **self = (struct self){.memory = -1,
                           .listener = -1,
                           .lifeline_hold = -1,
                           .lifeline_watch = -1,
                           .lifeline_mine = -1,
                           .bell_sender = -1};
    return 0;
}

/* Where everything lies, for a heap of `limit` bytes and tables 2^shrink times smaller than full; returns the size. */
static uint64_t lay_out(struct arena_shm *arena, uint64_t limit, unsigned shrink)
{
    uint64_t at = HEADER_BYTES;
    for (int t = 1; t < TABLE_COUNT; t++) {
        uint32_t capacity = brood__table_shapes[t].capacity >> shrink;
        if (capacity < 1024) capacity = 1024;
        arena->tables[t].offset = at;
        arena->tables[t].slot_size = brood__table_shapes[t].slot_size;
        arena->tables[t].capacity = capacity;
        at += ALIGN_UP((uint64_t)capacity * brood__table_shapes[t].slot_size, HEADER_BYTES);
    }
    arena->pages.limit = (uint32_t)(limit / PAGE_SIZE);
    arena->pages.table = at;
    at += ALIGN_UP((uint64_t)arena->pages.limit * sizeof(struct page_shm), HEADER_BYTES);
    arena->pages.heap = at;
    arena->limit = (uint64_t)arena->pages.limit * PAGE_SIZE;
    arena->size = at + arena->limit;
    return arena->size;
}

int brood__arena_create(size_t limit)
{
    struct self *self;
    int error = view(&self);
    if (error < 0) return error;
    struct arena_shm plan;
    void *base = NULL;
    for (unsigned shrink = 0;; shrink++) { /* a limited address space gets a smaller arena */
        memset(&plan, 0, sizeof plan);
        uint64_t size = lay_out(&plan, (uint64_t)limit >> shrink, shrink);
        error = brood__os_memory_create(size, &self->memory);
        if (error == 0) error = brood__os_memory_map(self->memory, size, &base);
        if (error == 0) break;
        brood__os_close(&self->memory);
        if ((error != -ENOMEM && error != -EFBIG) || ((uint64_t)limit >> shrink) <= 1024 * 1024) return error;
    }
    error = brood__os_memory_commit(self->memory, 0, sizeof plan);
    plan.magic = ARENA_MAGIC;
    plan.version = ARENA_VERSION;
    if (error == 0) error = brood__os_random(&plan.key, sizeof plan.key);
    if (error == 0) error = brood__os_random(plan.authkey, sizeof plan.authkey);
    if (error < 0) {
        brood__os_memory_unmap(base, plan.size);
        brood__os_close(&self->memory);
        return error;
    }
    memcpy(base, &plan, sizeof plan);
    self->size = plan.size;
    self->arena = base;
    brood__self = self;
    return 0;
}

int brood__arena_attach(int memory)
{
    struct self *self;
    int error = view(&self);
    if (error < 0) {
        brood__os_close(&memory);
        return error;
    }
    void *base;
    error = brood__os_memory_map(memory, HEADER_BYTES, &base);
    if (error == 0) {
        struct arena_shm *arena = base;
        uint64_t size = arena->size;
        error = arena->magic == ARENA_MAGIC && arena->version == ARENA_VERSION ? 0 : BROOD_ECORRUPT;
        brood__os_memory_unmap(base, HEADER_BYTES);
        if (error == 0) error = brood__os_memory_map(memory, size, &base);
        if (error == 0) {
            self->size = size;
            self->memory = memory;
            self->arena = base;
            brood__self = self;
            return 0;
        }
    }
    brood__os_close(&memory);
    return error;
}

void brood__arena_forget(const struct self *parents, bool close_them)
{
    struct self theirs = *parents;
    if (theirs.arena) brood__os_memory_unmap(theirs.arena, theirs.size);
    if (close_them) {
        brood__os_close(&theirs.memory);
        brood__os_close(&theirs.listener);
        brood__os_close(&theirs.lifeline_hold);
        brood__os_close(&theirs.lifeline_watch);
        brood__os_close(&theirs.lifeline_mine);
        brood__os_close(&theirs.bell_sender);
    }
}

void brood__arena_detach(void)
{
    struct self was = *brood__self;
    memset(brood__self, 0, sizeof *brood__self);
    brood__arena_forget(&was, true);
}

int brood_arena_usage(size_t *used, size_t *limit)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (used) *used = (size_t)atomic_load_explicit(&brood__arena()->pages.used, memory_order_relaxed) * PAGE_SIZE;
    if (limit) *limit = brood__arena()->limit;
    return 0;
}
