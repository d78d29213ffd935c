/* SPDX-License-Identifier: MIT */
/*
 * pages.c - the allocator of runs of pages; the protocol is in pages.h.
 * Thread-safe.  In a signal handler that interrupted it: BROOD_EDEADLK.
 */
#include "arena/pages.h"

#include "arena/arena.h"

#define USED ((uint64_t)1 << 63)
#define RUN_PAGES(word) ((uint32_t)((word) >> 32 & 0x7fffffff))
#define RUN_OWNER(word) ((uint32_t)(word))
#define RUN(used, pages, owner) ((used) | (uint64_t)(pages) << 32 | (uint64_t)(owner))
#define OWNER(table, index) ((uint32_t)(table) << 24 | (index))

#define GROW_PAGES 64u /* 256 KiB at least at a time, an eighth of what there is later on */

static struct pages_shm *pages(void)
{
    return &brood__arena()->pages;
}
static struct page_shm *page(uint32_t number)
{
    return (struct page_shm *)brood__at(pages()->table) + number;
}
static void write_word(uint32_t number, uint64_t word)
{
    *(volatile uint64_t *)&page(number)->word = word; /* one store, in program order: an heir reads it */
    atomic_signal_fence(memory_order_seq_cst);
}

/* Four bins to a doubling: a run in a bin above a request's own is large enough. */
static uint32_t bin_of(uint32_t count)
{
    if (count < 4) return count;
    uint32_t log = 31 - (uint32_t)__builtin_clz(count);
    return log * 4 + (count >> (log - 2) & 3) - 4;
}

static void list_add(uint32_t number)
{
    uint32_t *head = &pages()->bins[bin_of(RUN_PAGES(page(number)->word))];
    page(number)->next = *head;
    page(number)->previous = 0;
    if (*head) page(*head - 1)->previous = number + 1;
    *head = number + 1;
}

static void list_remove(uint32_t number)
{
    struct page_shm *p = page(number);
    if (p->previous)
        page(p->previous - 1)->next = p->next;
    else
        pages()->bins[bin_of(RUN_PAGES(p->word))] = p->next;
    if (p->next) page(p->next - 1)->previous = p->previous;
}

static void tag_after(uint32_t number)
{
    uint32_t count = RUN_PAGES(page(number)->word), after = number + count;
    if (after < pages()->committed) page(after)->before = count;
}

/* Join a free run with its free neighbours and put it on its list.  The neighbours leave theirs first. */
static void make_free(uint32_t number)
{
    uint32_t count = RUN_PAGES(page(number)->word), after = number + count;
    write_word(number, RUN(0, count, 0));
    if (after < pages()->committed && !(page(after)->word & USED)) {
        list_remove(after);
        count += RUN_PAGES(page(after)->word);
        write_word(number, RUN(0, count, 0));
    }
    uint32_t before = page(number)->before;
    if (before && !(page(number - before)->word & USED)) {
        list_remove(number - before);
        number -= before;
        count += before;
        write_word(number, RUN(0, count, 0));
    }
    tag_after(number);
    list_add(number);
}

/* The heir of a dead holder: believe the words, build the rest anew.  May itself die and be repeated. */
static void repair(void)
{
    struct pages_shm *s = pages();
    for (uint32_t i = 0; i < PAGE_BINS; i++) s->bins[i] = 0;
    uint64_t used = 0;
    uint32_t before = 0;
    for (uint32_t number = 0; number < s->committed;) {
        uint64_t word = page(number)->word;
        uint32_t count = RUN_PAGES(word);
        if (word & USED) {
            struct slot_shm *owner = brood__slot_at((enum table)(RUN_OWNER(word) >> 24), RUN_OWNER(word) & 0xffffff);
            if (owner->body != s->heap + (uint64_t)number * PAGE_SIZE) {
                word = RUN(0, count, 0);
                write_word(number, word);
            }
        }
        if (!(word & USED)) {
            uint32_t after = number + count;
            while (after < s->committed) {
                uint64_t next = page(after)->word;
                if (next & USED) {
                    struct slot_shm *owner =
                        brood__slot_at((enum table)(RUN_OWNER(next) >> 24), RUN_OWNER(next) & 0xffffff);
                    if (owner->body == s->heap + (uint64_t)after * PAGE_SIZE) break;
                }
                count += RUN_PAGES(next);
                after = number + count;
            }
            write_word(number, RUN(0, count, 0));
            page(number)->before = before;
            list_add(number);
        } else {
            page(number)->before = before;
            used += count;
        }
        before = count;
        number += count;
    }
    atomic_store_explicit(&s->used, used, memory_order_relaxed);
}

/* 0, or BROOD_EDEADLK.  *announced is what to announce again in leave. */
static int enter(void **announced)
{
    struct latch_shm *latch = &pages()->latch;
    *announced = brood__os_announce(latch);
    uint32_t seen = brood__latch_acquire(&latch->word);
    if (seen == LATCH_MINE) {
        brood__os_announce(*announced);
        return BROOD_EDEADLK;
    }
    if (seen & OS_OWNER_DIED) repair();
    return 0;
}
static void leave(void *announced)
{
    brood__latch_release(&pages()->latch.word, 0);
    brood__os_announce_again(announced);
}

/* More pages at the end: real memory, then the word of the new run, then `committed`. */
static int grow(uint32_t want)
{
    struct pages_shm *s = pages();
    uint32_t room = s->limit - s->committed, step = s->committed / 8;
    if (step < GROW_PAGES) step = GROW_PAGES;
    if (step > 4096) step = 4096;
    if (want < step) want = step;
    if (want > room) want = room;
    if (want == 0) return BROOD_EARENA;
    uint32_t first = s->committed;
    /* the words of the new pages, then the pages */
    uint64_t words = s->table + (uint64_t)first * sizeof(struct page_shm);
    int error = brood__os_memory_commit(brood__self->memory, words, (uint64_t)want * sizeof(struct page_shm));
    if (error == 0)
        error = brood__os_memory_commit(brood__self->memory, s->heap + (uint64_t)first * PAGE_SIZE,
                                        (uint64_t)want * PAGE_SIZE);
    if (error < 0) return BROOD_EARENA;
    write_word(first, RUN(0, want, 0));
    /* The run before the new one: look for it from the tag that tag_after could not leave. */
    *(volatile uint32_t *)&s->committed = first + want;
    page(first)->before = s->latch.flags[0];
    atomic_signal_fence(memory_order_seq_cst);
    make_free(first);
    return 0;
}

/* flags[0] of the latch: pages of the last run, the tag of the place where `grow` will put the next. */
static void tag_last(void)
{
    struct pages_shm *s = pages();
    uint32_t last = 0;
    for (uint32_t i = 0; i < s->committed; i += RUN_PAGES(page(i)->word)) last = RUN_PAGES(page(i)->word);
    s->latch.flags[0] = last;
}

static uint32_t find(uint32_t count)
{
    uint32_t bin = bin_of(count);
    for (uint32_t n = pages()->bins[bin]; n; n = page(n - 1)->next)
        if (RUN_PAGES(page(n - 1)->word) >= count) return n;
    for (bin++; bin < PAGE_BINS; bin++)
        if (pages()->bins[bin]) return pages()->bins[bin];
    return 0;
}

static int allocate(enum table table, uint32_t index, uint32_t count)
{
    struct pages_shm *s = pages();
    void *announced;
    int error = enter(&announced);
    if (error < 0) return error;
    uint32_t found = find(count);
    if (!found) {
        tag_last();
        error = grow(count);
        if (error == 0) found = find(count);
    }
    if (!found) {
        leave(announced);
        return BROOD_EARENA;
    }
    uint32_t number = found - 1, whole = RUN_PAGES(page(number)->word);
    list_remove(number);
    if (whole > count) { /* the rest first, then the shorter run */
        write_word(number + count, RUN(0, whole - count, 0));
        page(number + count)->before = count;
    }
    write_word(number, RUN(USED, count, OWNER(table, index))); /* (1) used, and by whom */
    if (whole > count) {
        tag_after(number + count);
        list_add(number + count);
    }
    *(volatile uint64_t *)&brood__slot_at(table, index)->body =
        s->heap + (uint64_t)number * PAGE_SIZE; /* (2) known to it */
    atomic_fetch_add_explicit(&s->used, count, memory_order_relaxed);
    leave(announced);
    return 0;
}

int brood__pages_allocate(enum table table, uint32_t index, size_t size)
{
    uint64_t wanted = ((uint64_t)size + PAGE_SIZE - 1) / PAGE_SIZE;
    if (size > (uint64_t)pages()->limit * PAGE_SIZE) return BROOD_EARENA;
    uint32_t count = wanted ? (uint32_t)wanted : 1;
    int error = allocate(table, index, count);
    /* Before it is refused: what the dead had is there for the living. */
    if (error == BROOD_EARENA && brood__slot_collect()) error = allocate(table, index, count);
    return error;
}

int brood__pages_free(enum table table, uint32_t index)
{
    struct pages_shm *s = pages();
    struct slot_shm *slot = brood__slot_at(table, index);
    void *announced;
    int error = enter(&announced);
    if (error < 0) return error;
    if (slot->body) {
        uint32_t number = (uint32_t)((slot->body - s->heap) / PAGE_SIZE);
        *(volatile uint64_t *)&slot->body = 0;
        atomic_signal_fence(memory_order_seq_cst);
        atomic_fetch_sub_explicit(&s->used, RUN_PAGES(page(number)->word), memory_order_relaxed);
        make_free(number);
    }
    leave(announced);
    return 0;
}

int brood__pages_move(enum table from, uint32_t from_index, enum table to, uint32_t to_index)
{
    struct pages_shm *s = pages();
    struct slot_shm *source = brood__slot_at(from, from_index), *target = brood__slot_at(to, to_index);
    void *announced;
    int error = enter(&announced);
    if (error < 0) return error;
    uint64_t body = source->body, old = target->body;
    uint32_t number = (uint32_t)((body - s->heap) / PAGE_SIZE);
    *(volatile uint64_t *)&source->body = 0; /* (1) nobody's */
    atomic_signal_fence(memory_order_seq_cst);
    write_word(number, RUN(USED, RUN_PAGES(page(number)->word), OWNER(to, to_index))); /* (2) for whom */
    *(volatile uint64_t *)&target->body = body;                                        /* (3) the old one is nobody's */
    atomic_signal_fence(memory_order_seq_cst);
    if (old) {
        number = (uint32_t)((old - s->heap) / PAGE_SIZE);
        atomic_fetch_sub_explicit(&s->used, RUN_PAGES(page(number)->word), memory_order_relaxed);
        make_free(number);
    }
    leave(announced);
    return 0;
}

uint64_t brood__pages_size(const struct slot_shm *slot)
{
    const struct pages_shm *s = pages();
    uint64_t body = slot->body, number = (body - s->heap) / PAGE_SIZE;
    if (body < s->heap || body % PAGE_SIZE || number >= s->committed) return 0;
    uint64_t word = page((uint32_t)number)->word;
    return word & USED ? (uint64_t)RUN_PAGES(word) * PAGE_SIZE : 0;
}

int brood__pages_check(void)
{
    struct pages_shm *s = pages();
    void *announced;
    int error = enter(&announced);
    if (error < 0) return error;
    uint32_t before = 0, frees = 0, listed = 0;
    uint64_t used = 0;
    bool was_free = false;
    for (uint32_t i = 0; i < s->committed && error == 0;) {
        uint64_t word = page(i)->word;
        bool free = !(word & USED);
        uint32_t count = RUN_PAGES(word);
        if (count == 0 || i + count > s->committed || page(i)->before != before || (free && was_free)) error = -1;
        if (free) {
            frees++;
        } else {
            used += count;
            if (brood__slot_at((enum table)(RUN_OWNER(word) >> 24), RUN_OWNER(word) & 0xffffff)->body !=
                s->heap + (uint64_t)i * PAGE_SIZE)
                error = -2;
        }
        was_free = free;
        before = count;
        i += count;
    }
    for (uint32_t b = 0; b < PAGE_BINS && error == 0; b++)
        for (uint32_t n = s->bins[b]; n && listed <= frees; n = page(n - 1)->next, listed++)
            if ((page(n - 1)->word & USED) || bin_of(RUN_PAGES(page(n - 1)->word)) != b) error = -3;
    if (error == 0 && listed != frees) error = -4;
    if (error == 0 && used != atomic_load(&s->used)) error = -5;
    leave(announced);
    return error;
}
