/* SPDX-License-Identifier: MIT */
/* slot.c - tables of slots: states, generations, growth, garbage, and many claimants at once. */
#include "arena/slot.h"
#include "members.h"

#define ME (brood__self->member)

/* Events: a table with small slots and no memory behind them. */
static const enum table T = TABLE_EVENT;

static struct table_shm *table(void)
{
    return &brood__arena()->tables[T];
}
static uint64_t word_of(uint32_t index)
{
    return atomic_load(&brood__slot_at(T, index)->word);
}
static uint32_t claim(slot_scrub_fn *scrub)
{
    uint32_t index = 0;
    brood_test_ok(brood__slot_claim(T, ME, scrub, &index));
    ck_assert_uint_gt(index, 0);
    ck_assert_int_eq(SLOT_STATE(word_of(index)), SLOT_INIT);
    ck_assert_uint_eq(SLOT_OWNER(word_of(index)), ME);
    ck_assert_uint_lt(index, atomic_load(&table()->used));
    ck_assert_uint_le(atomic_load(&table()->used), atomic_load(&table()->high));
    return index;
}
static void set_word(uint32_t index, uint32_t generation, enum slot_state state, uint32_t owner)
{
    atomic_store(&brood__slot_at(T, index)->word, SLOT_WORD(generation, state, owner));
}

START_TEST(words_and_handles)
{
    uint64_t word = SLOT_WORD(0xfedcba98u, SLOT_GARBAGE, 0xffffu);
    ck_assert_uint_eq(SLOT_GENERATION(word), 0xfedcba98u);
    ck_assert_int_eq(SLOT_STATE(word), SLOT_GARBAGE);
    ck_assert_uint_eq(SLOT_OWNER(word), 0xffffu);
    uint64_t id = HANDLE(TABLE_MODULE, 0xffffffu, 0xffffffffu);
    ck_assert_uint_eq(HANDLE_TABLE(id), TABLE_MODULE);
    ck_assert_uint_eq(HANDLE_INDEX(id), 0xffffffu);
    ck_assert_uint_eq(HANDLE_GENERATION(id), 0xffffffffu);
    ck_assert_uint_eq(HANDLE_INDEX(HANDLE(TABLE_LOCK, 1, UINT32_MAX)), 1);
}
END_TEST

START_TEST(life_of_a_slot)
{
    uint32_t index = claim(NULL), generation = SLOT_GENERATION(word_of(index));
    uint64_t id = HANDLE(T, index, generation);
    ck_assert_ptr_null(brood__slot_find(T, id)); /* not before it is made */
    ck_assert(!brood__slot_retire(T, id));
    ck_assert_uint_eq(brood__slot_publish(T, index), id);
    ck_assert_ptr_eq(brood__slot_find(T, id), brood__slot_at(T, index));
    ck_assert(brood__slot_is(brood__slot_at(T, index), id));
    ck_assert_int_eq(SLOT_STATE(word_of(index)), SLOT_LIVE);

    ck_assert_ptr_null(brood__slot_find(TABLE_LOCK, id));
    ck_assert_ptr_null(brood__slot_find(T, HANDLE(T, index, generation + 1)));
    ck_assert_ptr_null(brood__slot_find(T, HANDLE(T, index, generation - 1)));
    ck_assert_ptr_null(brood__slot_find(T, HANDLE(T, 0, generation)));
    ck_assert_ptr_null(brood__slot_find(T, HANDLE(T, atomic_load(&table()->high), 0)));
    ck_assert_ptr_null(brood__slot_find(T, HANDLE(T, 0xffffff, 0)));
    ck_assert(!brood__slot_retire(T, HANDLE(T, index, generation + 1)));

    ck_assert(brood__slot_retire(T, id));
    ck_assert(!brood__slot_retire(T, id));
    ck_assert_ptr_null(brood__slot_find(T, id));
    ck_assert_int_eq(SLOT_STATE(word_of(index)), SLOT_FREEING);
    brood__slot_release(T, index);
    ck_assert_uint_eq(word_of(index), SLOT_WORD(generation + 1, SLOT_FREE, 0));
    ck_assert_int_eq(brood__slot_gone(T, id), BROOD_ESTALE);
    ck_assert_uint_eq(claim(NULL), index); /* at once used again, under another name */
    ck_assert_uint_ne(brood__slot_publish(T, index), id);
}
END_TEST

START_TEST(why_it_is_gone)
{
    uint32_t index = claim(NULL);
    uint64_t id = brood__slot_publish(T, index);
    uint32_t generation = HANDLE_GENERATION(id);
    set_word(index, generation, SLOT_GARBAGE, 0);
    ck_assert_ptr_null(brood__slot_find(T, id));
    ck_assert(!brood__slot_retire(T, id));
    ck_assert_int_eq(brood__slot_gone(T, id), BROOD_ECLOSED);
    ck_assert_int_eq(brood__slot_gone(T, HANDLE(T, index, generation - 1)), BROOD_ESTALE);
    ck_assert_int_eq(brood__slot_gone(T, HANDLE(TABLE_LOCK, index, generation)), BROOD_ESTALE);
    ck_assert_int_eq(brood__slot_gone(T, HANDLE(T, 0, 0)), BROOD_ESTALE);
    ck_assert_int_eq(brood__slot_gone(T, HANDLE(T, 0xffffff, 0)), BROOD_ESTALE);
    set_word(index, generation, SLOT_GARBAGE, OWNER_FREED); /* by a call, which could not take it apart */
    ck_assert_int_eq(brood__slot_gone(T, id), BROOD_ESTALE);
    set_word(index, generation + 1, SLOT_FREE, 0);
    ck_assert_int_eq(brood__slot_gone(T, id), BROOD_ESTALE);
}
END_TEST

static uint32_t scrubbed, refused;

static bool note(struct slot_shm *slot, uint32_t index)
{
    ck_assert_ptr_eq(slot, brood__slot_at(T, index));
    ck_assert_int_eq(SLOT_STATE(atomic_load(&slot->word)), SLOT_FREEING); /* nobody else does it meanwhile */
    scrubbed = index;
    return index != refused;
}

START_TEST(garbage_is_taken_apart_first)
{
    uint32_t index = claim(NULL), generation = SLOT_GENERATION(word_of(index));
    brood__slot_publish(T, index);
    brood_test_ok(brood__pages_allocate(T, index, 10000));
    size_t with, without;
    brood_test_ok(brood_arena_usage(&with, NULL));
    set_word(index, generation, SLOT_GARBAGE, 0);

    refused = index; /* somebody is inside: another place, and it stays garbage */
    atomic_store(&table()->hint, index);
    uint32_t other = claim(note);
    ck_assert_uint_eq(scrubbed, index);
    ck_assert_uint_ne(other, index);
    ck_assert_uint_eq(word_of(index), SLOT_WORD(generation, SLOT_GARBAGE, 0));
    ck_assert_uint_ne(brood__slot_at(T, index)->body, 0);

    refused = 0;
    atomic_store(&table()->hint, index);
    ck_assert_uint_eq(claim(note), index);
    ck_assert_uint_eq(SLOT_GENERATION(word_of(index)), generation + 1);
    ck_assert_uint_eq(brood__slot_at(T, index)->body, 0);
    brood_test_ok(brood_arena_usage(&without, NULL));
    ck_assert_uint_eq(without, with - 12288);
    ck_assert_int_eq(brood__pages_check(), 0);
}
END_TEST

/* The last generation is never used: a handle of long ago would be good again. */
START_TEST(generations_come_to_an_end)
{
    uint32_t index = claim(NULL);
    brood__slot_publish(T, index);
    set_word(index, UINT32_MAX - 1, SLOT_LIVE, ME);
    uint64_t id = HANDLE(T, index, UINT32_MAX - 1);
    ck_assert(brood__slot_retire(T, id));
    brood__slot_release(T, index);
    ck_assert_uint_eq(word_of(index), SLOT_WORD(UINT32_MAX, SLOT_FREE, 0));
    for (int i = 0; i < 3000; i++) ck_assert_uint_ne(claim(NULL), index);
    uint32_t garbage = claim(NULL);
    set_word(garbage, UINT32_MAX - 1, SLOT_GARBAGE, 0);
    atomic_store(&table()->hint, garbage);
    ck_assert_uint_ne(claim(NULL), garbage);
    ck_assert_uint_eq(word_of(garbage), SLOT_WORD(UINT32_MAX, SLOT_FREE, 0));
}
END_TEST

/* To the end of a table, and each slot once; then one at a time. */
START_TEST(grows_to_its_capacity)
{
    struct table_shm *t = table();
    t->capacity = 5000; /* not a multiple of what it grows by */
    static bool taken[5000];
    uint32_t index, n = 0;
    int error;
    while ((error = brood__slot_claim(T, ME, NULL, &index)) == 0) {
        ck_assert_uint_gt(index, 0);
        ck_assert_uint_lt(index, 5000);
        ck_assert(!taken[index]);
        taken[index] = true;
        n++;
    }
    ck_assert_int_eq(error, BROOD_EARENA);
    ck_assert_uint_eq(n, 4999);
    ck_assert_uint_eq(atomic_load(&t->high), 5000);
    ck_assert_uint_eq(atomic_load(&t->used), 5000);
    for (uint32_t i = 1; i < 5000; i += 777) {
        brood__slot_release(T, i);
        ck_assert_uint_eq(claim(NULL), i);
        ck_assert_int_eq(brood__slot_claim(T, ME, NULL, &index), BROOD_EARENA);
    }
}
END_TEST

/* Each place in a table of all types has room for what lies there, and none overlaps another. */
START_TEST(tables_lie_side_by_side)
{
    struct arena_shm *a = brood__arena();
    uint64_t end = sizeof *a;
    for (int t = 1; t < TABLE_COUNT; t++) {
        ck_assert_uint_ge(a->tables[t].offset, end);
        ck_assert_uint_eq(a->tables[t].offset % 64, 0);
        ck_assert_uint_eq(a->tables[t].slot_size % 64, 0);
        ck_assert_uint_ge(a->tables[t].slot_size, sizeof(struct slot_shm));
        ck_assert_uint_ge(a->tables[t].capacity, 1024);
        ck_assert_uint_le(a->tables[t].capacity, 1u << 24);
        end = a->tables[t].offset + (uint64_t)a->tables[t].capacity * a->tables[t].slot_size;
    }
    ck_assert_uint_ge(a->pages.table, end);
    end = a->pages.table + (uint64_t)a->pages.limit * sizeof(struct page_shm);
    ck_assert_uint_ge(a->pages.heap, end);
    ck_assert_uint_eq(a->pages.heap % PAGE_SIZE, 0);
    ck_assert_uint_le(a->pages.heap + (uint64_t)a->pages.limit * PAGE_SIZE, a->size);
    ck_assert_uint_eq((uint64_t)a->pages.limit * PAGE_SIZE, a->limit);
    char *heap = brood__at(a->pages.heap);
    ck_assert(brood__in_arena(heap, 1) && brood__in_arena(heap, a->limit));
    ck_assert(!brood__in_arena(heap, a->limit + 1) && !brood__in_arena(heap + 1, a->limit));
    ck_assert(!brood__in_arena(heap - 1, 1) && !brood__in_arena(a, 1) && !brood__in_arena(&end, 1));
    ck_assert(!brood__in_arena(heap + 1, SIZE_MAX) && !brood__in_arena(NULL, 1));
}
END_TEST

/* ------------------------------------------------------------------------------------------------ many at once */

#define ROUNDS 4000

/* Claims and releases; while it has a slot nobody else has. */
static int churn(_Atomic uint32_t *holders, uint32_t places, uint32_t mark)
{
    uint32_t mine[8] = {0};
    uint64_t state = mark * 7919;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t k = members_random(&state) % 8;
        if (mine[k]) {
            uint32_t was = mark;
            uint64_t id = HANDLE(T, mine[k], SLOT_GENERATION(word_of(mine[k])));
            MUST(atomic_compare_exchange_strong(&holders[mine[k]], &was, 0));
            MUST(brood__slot_retire(T, id));
            brood__slot_release(T, mine[k]);
            mine[k] = 0;
        } else {
            uint32_t index, was = 0;
            MUST(brood__slot_claim(T, ME, NULL, &index) == 0);
            MUST(index > 0 && index < places);
            MUST(atomic_compare_exchange_strong(&holders[index], &was, mark));
            uint64_t id = brood__slot_publish(T, index);
            MUST(brood__slot_find(T, id) == brood__slot_at(T, index));
            mine[k] = index;
        }
    }
    for (int k = 0; k < 8; k++) {
        if (!mine[k]) continue;
        atomic_store(&holders[mine[k]], 0);
        MUST(brood__slot_retire(T, HANDLE(T, mine[k], SLOT_GENERATION(word_of(mine[k])))));
        brood__slot_release(T, mine[k]);
    }
    return 0;
}

#define PLACES 8192

BROOD_TASK(churns, int, brood_buffer, shared, uint32_t, mark, brood_event, go)
{
    MUST(brood_event_wait(go, PATIENCE) == 0);
    return churn(brood_buffer_data(shared, NULL), PLACES, mark);
}

START_TEST(nobody_shares_a_slot)
{
    brood_buffer shared = members_shared(PLACES * sizeof(uint32_t));
    brood_process children[4];
    brood_event go;
    brood_test_ok(brood_event_new(&go));
    for (uint32_t i = 0; i < 4; i++)
        members_start(&children[i], members_methods[_i], churns, (&(churns_args){shared, i + 1, go}));
    brood_test_ok(brood_event_set(go));
    for (int i = 0; i < 4; i++) members_end(children[i], 0);
    ck_assert_uint_lt(atomic_load(&table()->used), PLACES); /* those that come free are used again */
}
END_TEST

static _Atomic uint32_t holders[PLACES];

static void *churn_in_thread(void *mark)
{
    return churn(holders, PLACES, (uint32_t)(uintptr_t)mark) == 0 ? holders : NULL;
}

START_TEST(nor_do_threads)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn_in_thread, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_eq(result, holders);
    }
}
END_TEST

BROOD_TASK(claims_and_stays, int, brood_buffer, shared, brood_event, ready)
{
    uint32_t *indexes = brood_buffer_data(shared, NULL);
    for (int i = 0; i < 5; i++) MUST(brood__slot_claim(T, ME, NULL, &indexes[i]) == 0);
    uint64_t live = brood__slot_publish(T, indexes[1]);
    MUST(brood__slot_publish(T, indexes[2]) &&
         brood__slot_retire(T, HANDLE(T, indexes[2], SLOT_GENERATION(word_of(indexes[2])))));
    MUST(live);
    brood__slot_release(T, indexes[3]);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* Whatever it was doing with them: what the dead had is garbage, and nothing else. */
START_TEST(the_deads_are_garbage)
{
    brood_buffer shared = members_shared(64);
    uint32_t *indexes = brood_buffer_data(shared, NULL), mine = claim(NULL);
    brood_process child;
    brood_event ready;
    brood_test_ok(brood_event_new(&ready));
    members_start(&child, members_methods[_i], claims_and_stays, (&(claims_and_stays_args){shared, ready}));
    brood_test_ok(brood_event_wait(ready, PATIENCE));
    static const enum slot_state before[] = {SLOT_INIT, SLOT_LIVE, SLOT_FREEING, SLOT_FREE, SLOT_INIT};
    for (int i = 0; i < 5; i++) ck_assert_int_eq(SLOT_STATE(word_of(indexes[i])), before[i]);
    members_kill(child);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(SLOT_STATE(word_of(indexes[i])), i == 3 ? SLOT_FREE : SLOT_GARBAGE);
    ck_assert_int_eq(SLOT_STATE(word_of(mine)), SLOT_INIT);
    ck_assert_int_eq(brood_event_is_set(ready), 1);
}
END_TEST

static Suite *slot_suite(void)
{
    Suite *suite = suite_create("slot");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, words_and_handles);
    tcase_add_test(alone, life_of_a_slot);
    tcase_add_test(alone, why_it_is_gone);
    tcase_add_test(alone, garbage_is_taken_apart_first);
    tcase_add_test(alone, generations_come_to_an_end);
    tcase_add_test(alone, grows_to_its_capacity);
    tcase_add_test(alone, tables_lie_side_by_side);
    TCase *many = brood_test_case(suite, "many");
    tcase_add_loop_test(many, nobody_shares_a_slot, 0, MEMBERS_METHODS);
    tcase_add_test(many, nor_do_threads);
    tcase_add_loop_test(many, the_deads_are_garbage, 0, MEMBERS_METHODS);
    return suite;
}

BROOD_TEST_MAIN(slot_suite)
