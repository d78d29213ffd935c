/* SPDX-License-Identifier: MIT */
/* pages.c - runs of pages: they tile, join, never overlap, and an heir makes whole what the dead left. */
#include "arena/pages.h"
#include "members.h"

#define ME (brood__self->member)

static struct pages_shm *pages(void)
{
    return &brood__arena()->pages;
}
static struct page_shm *page(uint32_t number)
{
    return (struct page_shm *)brood__at(pages()->table) + number;
}
static size_t used(void)
{
    size_t bytes;
    brood_test_ok(brood_arena_usage(&bytes, NULL));
    return bytes;
}

/* A slot without a body, whose body the run shall be. */
static uint32_t slot(void)
{
    uint32_t index = 0;
    brood_test_ok(brood__slot_claim(TABLE_BUFFER, ME, NULL, &index));
    ck_assert_uint_eq(brood__slot_at(TABLE_BUFFER, index)->body, 0);
    return index;
}
static char *body(uint32_t index)
{
    uint64_t offset = brood__slot_at(TABLE_BUFFER, index)->body;
    return offset ? brood__at(offset) : NULL;
}
static uint32_t number_of(uint32_t index)
{
    return (uint32_t)((brood__slot_at(TABLE_BUFFER, index)->body - pages()->heap) / PAGE_SIZE);
}

START_TEST(whole_pages)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 1000000};
    size_t before = used(), pages_used = 0;
    uint32_t slots[6];
    for (int i = 0; i < 6; i++) {
        slots[i] = slot();
        brood_test_ok(brood__pages_allocate(TABLE_BUFFER, slots[i], sizes[i]));
        ck_assert(brood__in_arena(body(slots[i]), sizes[i] ? sizes[i] : 1));
        ck_assert_uint_eq(brood__slot_at(TABLE_BUFFER, slots[i])->body % PAGE_SIZE, 0);
        memset(body(slots[i]), i, sizes[i]);
        pages_used += sizes[i] ? (sizes[i] + 4095) / 4096 : 1;
        ck_assert_uint_eq(used(), before + pages_used * 4096);
        ck_assert_int_eq(brood__pages_check(), 0);
    }
    for (int i = 0; i < 6; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            if (body(slots[i])[k] != i) ck_abort_msg("byte %zu of %d is %d", k, i, body(slots[i])[k]);
        ck_assert_int_eq(brood__pages_free(TABLE_BUFFER, slots[i]), 0);
        ck_assert_ptr_null(body(slots[i]));
        ck_assert_int_eq(brood__pages_free(TABLE_BUFFER, slots[i]), 0); /* nothing to free is no error */
        ck_assert_int_eq(brood__pages_check(), 0);
    }
    ck_assert_uint_eq(used(), before);
}
END_TEST

START_TEST(neighbours_join)
{
    uint32_t slots[8], order[] = {3, 5, 4, 0, 7, 6, 1, 2}; /* with free ones on no, one, and both sides */
    for (int i = 0; i < 8; i++) {
        slots[i] = slot();
        brood_test_ok(brood__pages_allocate(TABLE_BUFFER, slots[i], 3 * PAGE_SIZE));
    }
    uint32_t committed = pages()->committed, big = slot();
    for (int i = 0; i < 8; i++) {
        brood_test_ok(brood__pages_free(TABLE_BUFFER, slots[order[i]]));
        ck_assert_int_eq(brood__pages_check(), 0); /* no two free ones side by side */
    }
    brood_test_ok(brood__pages_allocate(TABLE_BUFFER, big, 24 * PAGE_SIZE)); /* all of them in one */
    ck_assert_uint_eq(pages()->committed, committed);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

START_TEST(too_much_is_refused)
{
    size_t limit, before = used();
    uint32_t s = slot();
    brood_test_ok(brood_arena_usage(NULL, &limit));
    ck_assert_int_eq(brood__pages_allocate(TABLE_BUFFER, s, limit + 1), BROOD_EARENA);
    ck_assert_int_eq(brood__pages_allocate(TABLE_BUFFER, s, SIZE_MAX), BROOD_EARENA);
    ck_assert_ptr_null(body(s));
    ck_assert_uint_eq(used(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* What each run holds is what was written there, whatever happens around it. */
static int churn(uint32_t mark, int rounds)
{
    enum { RUNS = 24 };
    uint32_t slots[RUNS];
    size_t sizes[RUNS] = {0};
    bool has[RUNS] = {false};
    uint64_t state = mark * 104729 + 1;
    for (int i = 0; i < RUNS; i++) MUST(brood__slot_claim(TABLE_BUFFER, ME, NULL, &slots[i]) == 0);
    for (int round = 0; round < rounds; round++) {
        uint64_t r = members_random(&state);
        uint32_t i = (uint32_t)(r % RUNS);
        unsigned char sign = (unsigned char)(mark * 29 + i + 1);
        if (has[i]) {
            unsigned char *bytes = brood__at(brood__slot_at(TABLE_BUFFER, slots[i])->body);
            for (size_t k = 0; k < sizes[i]; k += 509) MUST(bytes[k] == sign);
            MUST(sizes[i] == 0 || bytes[sizes[i] - 1] == sign);
            MUST(brood__pages_free(TABLE_BUFFER, slots[i]) == 0);
        } else {
            sizes[i] = (r >> 8) % ((r >> 40) % 16 == 0 ? 300000 : 20000);
            MUST(brood__pages_allocate(TABLE_BUFFER, slots[i], sizes[i]) == 0);
            memset(brood__at(brood__slot_at(TABLE_BUFFER, slots[i])->body), sign, sizes[i]);
        }
        has[i] = !has[i];
        if (round % 256 == 0) MUST(brood__pages_check() == 0);
    }
    for (int i = 0; i < RUNS; i++) {
        MUST(brood__pages_free(TABLE_BUFFER, slots[i]) == 0);
        brood__slot_release(TABLE_BUFFER, slots[i]);
    }
    return 0;
}

START_TEST(at_random)
{
    size_t before = used();
    ck_assert_int_eq(churn(1, 6000), 0);
    ck_assert_uint_eq(used(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

BROOD_TASK(churns, int, uint32_t, mark, brood_event, go)
{
    MUST(brood_event_wait(go, PATIENCE) == 0);
    return churn(mark, 2500);
}

START_TEST(by_many)
{
    brood_process children[4];
    size_t before = used();
    brood_event go;
    brood_test_ok(brood_event_new(&go));
    for (uint32_t i = 0; i < 4; i++)
        members_start(&children[i], members_methods[_i], churns, (&(churns_args){i + 1, go}));
    brood_test_ok(brood_event_set(go));
    for (int i = 0; i < 4; i++) members_end(children[i], 0);
    ck_assert_uint_eq(used(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

BROOD_TASK(churns_for_ever, int, uint32_t, mark)
{
    return churn(mark, INT32_MAX);
}

/* Killed anywhere in the allocator, it leaves it whole; its runs are those of its slots, which are garbage. */
START_TEST(by_those_who_die)
{
    size_t before = used();
    for (uint32_t round = 0; round < 12; round++) {
        brood_process children[2];
        for (uint32_t i = 0; i < 2; i++) members_start(&children[i], BROOD_START_FORK, churns_for_ever, &(uint32_t){i});
        ck_assert_int_eq(churn(3, 20 * (int)round), 0); /* meanwhile */
        for (int i = 0; i < 2; i++) members_kill(children[i]);
        ck_assert_int_eq(churn(4, 50), 0);
        ck_assert_int_eq(brood__pages_check(), 0);
        uint32_t n = atomic_load(&brood__arena()->tables[TABLE_BUFFER].used), index;
        for (uint32_t i = 1; i < n; i++) {
            if (SLOT_STATE(atomic_load(&brood__slot_at(TABLE_BUFFER, i)->word)) != SLOT_GARBAGE) continue;
            atomic_store(&brood__arena()->tables[TABLE_BUFFER].hint, i);
            brood_test_ok(brood__slot_claim(TABLE_BUFFER, ME, NULL, &index));
            ck_assert_uint_eq(index, i);
            brood__slot_release(TABLE_BUFFER, index);
        }
        ck_assert_uint_eq(used(), before);
        ck_assert_int_eq(brood__pages_check(), 0);
    }
}
END_TEST

static _Atomic int well;

static void *churn_in_thread(void *mark)
{
    if (brood__enter() == 0 && churn((uint32_t)(uintptr_t)mark, 2500) == 0) atomic_fetch_add(&well, 1);
    return NULL;
}

START_TEST(by_threads)
{
    pthread_t threads[4];
    size_t before = used();
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn_in_thread, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&well), 4);
    ck_assert_uint_eq(used(), before);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------ heirs */

/* What the kernel writes when the holder of the latch dies. */
static void holder_dies(void)
{
    atomic_store(&pages()->latch.word, OS_OWNER_DIED);
}

/* The check itself enters as the heir, so it sees what the repair has made. */
START_TEST(heirs_build_anew_what_is_derived)
{
    uint32_t slots[9];
    for (int i = 0; i < 9; i++) {
        slots[i] = slot();
        brood_test_ok(brood__pages_allocate(TABLE_BUFFER, slots[i], (size_t)(i % 4 + 1) * PAGE_SIZE));
        memset(body(slots[i]), i, PAGE_SIZE);
    }
    for (int i = 0; i < 9; i += 2) brood_test_ok(brood__pages_free(TABLE_BUFFER, slots[i]));
    size_t before = used();
    for (uint32_t i = 0; i < PAGE_BINS; i++) pages()->bins[i] = 0xdead;
    for (uint32_t i = 0; i < pages()->committed; i++) {
        page(i)->before = 77;
        page(i)->next = page(i)->previous = 99;
    }
    atomic_store(&pages()->used, 12345);
    holder_dies();
    ck_assert_int_eq(brood__pages_check(), 0);
    ck_assert_uint_eq(used(), before);
    for (int i = 1; i < 9; i += 2) ck_assert_int_eq(body(slots[i])[PAGE_SIZE - 1], i);
    ck_assert_int_eq(churn(5, 500), 0);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

#define USED ((uint64_t)1 << 63)

/* _i: where in the allocation or the release it died, and between what neighbours (3 bits) */
START_TEST(heirs_undo_what_is_half_done)
{
    uint32_t slots[3], death = (uint32_t)_i / 4;
    for (int i = 0; i < 3; i++) {
        slots[i] = slot();
        brood_test_ok(brood__pages_allocate(TABLE_BUFFER, slots[i], 4 * PAGE_SIZE));
    }
    if (_i & 1) brood_test_ok(brood__pages_free(TABLE_BUFFER, slots[0]));
    if (_i & 2) brood_test_ok(brood__pages_free(TABLE_BUFFER, slots[2]));
    size_t before = used();
    struct slot_shm *s = brood__slot_at(TABLE_BUFFER, slots[1]);
    uint32_t first = number_of(slots[1]);
    uint64_t word = page(first)->word;
    ck_assert_uint_eq(word >> 63, 1);
    ck_assert_uint_eq((word & ~USED) >> 32, 4);
    switch (death) {
    case 0: /* the run is used, the slot does not know it; or the slot has let go, the run is not free */
        s->body = 0;
        break;
    case 1: /* the word is free, what follows is not done */
        s->body = 0;
        page(first)->word = (uint64_t)4 << 32;
        break;
    case 2: /* a split: the second word is written, the first is not yet the shorter one */
        page(first + 2)->word = (uint64_t)2 << 32;
        break;
    default: /* a split is done, but the rest is on no list */
        page(first + 1)->word = (uint64_t)3 << 32;
        page(first)->word = USED | (uint64_t)1 << 32 | (uint32_t)word;
    }
    holder_dies();
    ck_assert_int_eq(brood__pages_check(), 0);
    static const uint32_t pages_gone[] = {4, 4, 0, 3};
    ck_assert_uint_eq(used(), before - (size_t)pages_gone[death] * PAGE_SIZE);
    brood_test_ok(brood__pages_free(TABLE_BUFFER, slots[1]));
    ck_assert_int_eq(churn(6, 500), 0);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

static Suite *pages_suite(void)
{
    Suite *suite = suite_create("pages");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, whole_pages);
    tcase_add_test(alone, neighbours_join);
    tcase_add_test(alone, too_much_is_refused);
    tcase_add_test(alone, at_random);
    TCase *many = brood_test_case(suite, "many");
    tcase_add_loop_test(many, by_many, 0, MEMBERS_METHODS);
    tcase_add_test(many, by_threads);
    tcase_add_test(many, by_those_who_die);
    TCase *heirs = brood_test_case(suite, "heirs");
    tcase_add_test(heirs, heirs_build_anew_what_is_derived);
    tcase_add_loop_test(heirs, heirs_undo_what_is_half_done, 0, 16);
    return suite;
}

BROOD_TEST_MAIN(pages_suite)
