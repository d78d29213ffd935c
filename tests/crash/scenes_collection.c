/* SPDX-License-Identifier: MIT */
/*
 * scenes_collection.c - dicts and lists in the arena: whoever dies over a change has made it or has not, what was there is
 * there, all goes on at once, and no page is lost.
 *
 * What a change makes is seen on a twin.  Nobody sleeps over these, so a mate that waits for the latch naps.
 */
#include "manager/collection.h"
#include "scene.h"

#include <string.h>

enum { ROWS = 32, TEXT = 8192 }; /* rows: as many as a new one has room for */

#define LONG "a text that is longer than a word"

static brood_proxy proxy_of(uint64_t object)
{
    return (brood_proxy){FAMILY_MANAGER, object};
}
#define IT proxy_of(order->id ? order->id : order->made)

/* -------------------------------------------------------------------------------------------------------- deeds */

static int set_new(struct order *order)
{
    return brood_dict_set(IT, brood_v("a new key, and not a short one"), brood_v(LONG));
}
static int set_new_short(struct order *order)
{
    return brood_dict_set(IT, brood_v("new"), brood_v(1));
}
static int set_other(struct order *order)
{
    return brood_dict_set(IT, brood_v("another new key, as long as that"), brood_v("another " LONG));
}
static int replace(struct order *order)
{
    return brood_dict_set(IT, brood_v(3), brood_v("another " LONG));
}
static int replace_short(struct order *order)
{
    return brood_dict_set(IT, brood_v(3), brood_v(4));
}
static int erase(struct order *order)
{
    return brood_dict_delete(IT, brood_v(3));
}
static int pop_key(struct order *order)
{
    brood_variant v;
    int result = brood_dict_pop(IT, brood_v(2), &v);
    brood_variant_free(&v);
    return result;
}
static int pop_last(struct order *order)
{
    return brood_proxy_call(IT, "popitem", brood_variant_nil(), NULL, 0);
}
static int clear(struct order *order)
{
    return brood_dict_clear(IT);
}
static int look(struct order *order)
{
    brood_variant v;
    int result = brood_dict_get(IT, brood_v(2), &v);
    brood_variant_free(&v);
    return result;
}
static int append(struct order *order)
{
    return brood_list_append(IT, brood_v(LONG));
}
static int extend(struct order *order)
{
    return brood_list_extend(IT, brood_variant_list(1, LONG, 2.5));
}
static int insert(struct order *order)
{
    return brood_list_insert(IT, 2, brood_v(LONG));
}
static int set_item(struct order *order)
{
    return brood_list_set(IT, 2, brood_v("another " LONG));
}
static int take_out(struct order *order)
{
    return brood_list_delete(IT, 1);
}
static int pop_item(struct order *order)
{
    brood_variant v;
    int result = brood_list_pop(IT, -1, &v);
    brood_variant_free(&v);
    return result;
}
static int sort(struct order *order)
{
    return brood_proxy_call(IT, "sort", brood_variant_nil(), NULL, 0);
}
static int size(struct order *order)
{
    return brood_proxy_call(IT, "size", brood_variant_nil(), NULL, 0);
}
static int make(struct order *order)
{
    brood_proxy p = {0};
    int result = brood_proxy_new(&p, brood_family(), "dict", brood_variant_list(brood_variant_map(1, LONG, 2, LONG)));
    order->made = p.object;
    return result;
}
static int hold(struct order *order)
{
    return brood_proxy_hold(IT);
}
static int end(struct order *order)
{
    return brood_proxy_free(IT);
}

/* ---------------------------------------------------------------------------------------------- from this process */

static brood_proxy fresh(bool dict, int rows)
{
    brood_proxy p = {0};
    next_claim_takes_garbage(TABLE_COLLECTION);
    expect_is(brood_proxy_new(&p, brood_family(), dict ? "dict" : "list", brood_variant_nil()), 0);
    for (int i = 0; i < rows && !failing(); i++) {
        brood_variant v = i % 2 ? brood_v(LONG) : brood_v(rows - i);
        expect_is(dict ? brood_dict_set(p, brood_v(i), v) : brood_list_append(p, v), 0);
    }
    return p;
}

static struct collection_shm *at(brood_proxy p)
{
    return (struct collection_shm *)(void *)brood__slot_at(TABLE_COLLECTION, HANDLE_INDEX(p.object));
}

/* What is derived is as it would be if it were derived now. */
static void derived_is_right(brood_proxy p)
{
    struct body *b = brood__body(at(p));
    if (!b) return;
    struct body was = *b;
    brood__collection_derive(at(p));
    expect_is(b->live, was.live);
    expect_is(b->tail - b->dead, was.tail - was.dead);
    expect(b->tail <= was.tail && b->last <= was.last + ROWS);
    *b = was;
}

/* All that is in it, in its order, each key found; TEXT bytes. */
static void describe(brood_proxy p, bool dict, char *text)
{
    brood_variant all;
    expect_is(brood_proxy_call(p, dict ? "items" : "slice", brood_variant_nil(), &all, 0), 0);
    expect(brood_variant_format(&all, text, TEXT) < TEXT);
    expect_is(dict ? brood_dict_size(p) : brood_list_size(p), brood_variant_size(&all));
    for (size_t i = 0; dict && i < brood_variant_size(&all) && !failing(); i++) {
        const brood_variant *pair = brood_variant_at(&all, i);
        expect_is(brood_dict_has(p, brood_variant_copy(brood_variant_at(pair, 0))), 1);
    }
    brood_variant_free(&all);
}

/* It takes what is new, and gives it back; the rest is as it was. */
static void goes_on(brood_proxy p, bool dict)
{
    static char before[TEXT], after[TEXT];
    brood_variant v = brood_variant_nil();
    describe(p, dict, before);
    for (int i = 0; i < 3; i++)
        expect_is(dict ? brood_dict_set(p, brood_v(1000 + i), brood_v("then " LONG))
                       : brood_list_append(p, brood_v("then " LONG)),
                  0);
    for (int i = 3; i-- > 0;) {
        expect_is(dict ? brood_dict_pop(p, brood_v(1000 + i), &v) : brood_list_pop(p, -1, &v), 0);
        const char *said = "";
        expect_is(brood_variant_get_text(&v, &said, NULL), 0);
        expect(strcmp(said, "then " LONG) == 0);
        brood_variant_free(&v);
    }
    describe(p, dict, after);
    expect(strcmp(before, after) == 0);
    derived_is_right(p);
}

static void nothing_is_lost(void)
{
    expect_is(brood__pages_check(), 0);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    expect_is(slots_in_use(TABLE_COLLECTION), 0);
    next_claim_takes_garbage(TABLE_BUFFER);
    next_claim_takes_garbage(TABLE_COLLECTION);
    brood_proxy p = fresh(true, ROWS + 1);
    expect_is(brood_proxy_free(p), 0);
    expect_is(brood__pages_check(), 0);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

/* order: 1: a mate waits for the latch */
static void change(const struct cut *cut, bool dict, int rows, deed_fn *deed)
{
    static char before[TEXT], after[TEXT], now[TEXT];
    brood_proxy p = fresh(dict, rows), twin = fresh(dict, rows);
    describe(p, dict, before);
    expect_is(deed(&(struct order){.id = twin.object}), 0);
    describe(twin, dict, after);
    struct victim v;
    victim_start(&v, NULL, deed, p.object);
    victim_step(&v, cut->k[0]);
    if (cut->order & 1) mate_do(0, size, p.object);
    victim_kill(&v);
    if (cut->order & 1) expect_is(mate_result(0), 0);
    describe(p, dict, now);
    expect(strcmp(now, after) == 0 || (!v.ended && strcmp(now, before) == 0));
    goes_on(p, dict);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_BUFFER), 0);
    expect_is(brood__pages_check(), 0);
    goes_on(p, dict);
    expect_is(brood_proxy_free(p), 0);
    expect_is(brood_proxy_free(twin), 0);
    nothing_is_lost();
}

#define CHANGE(name, dict, rows, deed)      \
    static void name(const struct cut *cut) \
    {                                       \
        change(cut, dict, rows, deed);      \
    }
CHANGE(dict_set_new, true, 4, set_new)
CHANGE(dict_set_new_short, true, 4, set_new_short)
CHANGE(dict_set_first, true, 0, set_new)
CHANGE(dict_grow, true, ROWS, set_new)
CHANGE(dict_replace, true, 5, replace)
CHANGE(dict_replace_short, true, 5, replace_short)
CHANGE(dict_delete, true, 5, erase)
CHANGE(dict_pop, true, 5, pop_key)
CHANGE(dict_popitem, true, 5, pop_last)
CHANGE(dict_clear, true, 5, clear)
CHANGE(dict_get, true, 5, look)
CHANGE(list_append, false, 4, append)
CHANGE(list_extend, false, 4, extend)
CHANGE(list_grow, false, ROWS, append)
CHANGE(list_insert, false, 5, insert)
CHANGE(list_set, false, 5, set_item)
CHANGE(list_delete, false, 5, take_out)
CHANGE(list_pop, false, 5, pop_item)
CHANGE(list_sort, false, 5, sort)

/* A large one gives its memory back by the way. */
static void dict_clear_large(const struct cut *cut)
{
    brood_proxy p = fresh(true, 400);
    struct victim v;
    victim_start(&v, NULL, clear, p.object);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    int64_t left = brood_dict_size(p);
    expect(left == 0 || (!v.ended && left == 400));
    bury(v.proc.member);
    expect_is(brood_dict_has(p, brood_v(17)), left == 400);
    expect_is(brood_dict_set(p, brood_v(17), brood_v(1)), 0);
    derived_is_right(p);
    expect_is(brood_proxy_free(p), 0);
    nothing_is_lost();
}

/* The heir of one that died over a change dies too, over its repair or over its own change. */
static void two(const struct cut *cut, int rows)
{
    static char before[TEXT], now[TEXT];
    brood_proxy p = fresh(true, rows);
    describe(p, true, before);
    struct victim a, b;
    victim_start(&a, NULL, set_new, p.object);
    victim_start(&b, NULL, set_other, p.object);
    victim_step(&a, cut->k[0]);
    victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    goes_on(p, true);
    int had[2] = {brood_dict_delete(p, brood_v("a new key, and not a short one")),
                  brood_dict_delete(p, brood_v("another new key, as long as that"))};
    expect(had[0] == 0 || (had[0] == BROOD_EMISSING && !a.ended));
    expect(had[1] == 0 || (had[1] == BROOD_EMISSING && !b.ended));
    describe(p, true, now);
    expect(strcmp(now, before) == 0);
    bury(a.proc.member);
    bury(b.proc.member);
    goes_on(p, true);
    expect_is(brood_proxy_free(p), 0);
    nothing_is_lost();
}
static void dict_two(const struct cut *cut)
{
    two(cut, 4);
}
static void dict_two_grow(const struct cut *cut)
{
    two(cut, ROWS);
}

static bool is_gone(int result)
{
    return result == BROOD_ECLOSED || result == BROOD_ESTALE;
}

/* order: 1: where garbage is; 2: it is held for the family by who made it */
static void new_one(const struct cut *cut)
{
    if (cut->order & 1) next_claim_takes_garbage(TABLE_COLLECTION);
    struct victim v;
    victim_start(&v, cut->order & 2 ? make : NULL, cut->order & 2 ? hold : make, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    brood_proxy p = proxy_of(v.proc.post->order.made);
    if (cut->order & 2) {
        int64_t left = brood_dict_size(p);
        expect(left == 2 || (!v.ended && is_gone((int)left)));
        if (left == 2) expect_is(brood_proxy_free(p), 0);
    }
    nothing_is_lost();
}

static void free_one(const struct cut *cut)
{
    brood_proxy p = fresh(true, 5);
    struct victim v;
    victim_start(&v, NULL, end, p.object);
    victim_step(&v, cut->k[0]);
    if (cut->order & 1) mate_do(0, size, p.object);
    victim_kill(&v);
    if (cut->order & 1) {
        int result = mate_result(0);
        expect(result == 0 || is_gone(result));
    }
    bury(v.proc.member);
    int result = brood_proxy_free(p);
    expect(is_gone(result) || (!v.ended && result == 0));
    nothing_is_lost();
}

/* Freed by us while somebody is inside, who is killed there, or (1) goes on; what is made then is not the same memory. */
static void free_under(const struct cut *cut)
{
    static char before[TEXT], after[TEXT];
    brood_proxy p = fresh(true, 5);
    struct victim v;
    victim_start(&v, NULL, cut->order & 2 ? set_new : look, p.object);
    victim_step(&v, cut->k[0]);
    expect_is(brood_proxy_free(p), 0);
    expect(is_gone((int)brood_dict_size(p)));
    brood_proxy next = fresh(true, 5);
    describe(next, true, before);
    if (cut->order & 1) {
        int result = victim_finish(&v);
        expect(result == 0 || is_gone(result));
    }
    victim_kill(&v);
    describe(next, true, after);
    expect(strcmp(before, after) == 0);
    bury(v.proc.member);
    expect_is(brood_proxy_free(next), 0);
    nothing_is_lost();
}

/* Held for the family while it is being freed: free is not refused for that, and it is gone then. */
static void free_held(const struct cut *cut)
{
    brood_proxy p = fresh(true, 5);
    struct victim v;
    victim_start(&v, NULL, end, p.object);
    victim_step(&v, cut->k[0]);
    int held = brood_proxy_hold(p);
    expect(held == 0 || is_gone(held));
    expect_is(victim_finish(&v), 0);
    expect(is_gone(brood_proxy_free(p)));
    victim_kill(&v);
    bury(v.proc.member);
    nothing_is_lost();
}

/* Its pages are given back by whoever is inside last, or is on the way in: nobody needs to claim anything for that. */
static void is_given_back(brood_proxy p)
{
    expect_is(SLOT_STATE(atomic_load(&at(p)->slot.word)), SLOT_FREE);
    expect_is(at(p)->slot.body, 0);
}

/* Freed by one while another uses it: both go on from wherever they are, the user first, or (order 1) who frees. */
static void free_used(const struct cut *cut)
{
    brood_proxy p = fresh(true, 5);
    struct victim user, ender;
    victim_start(&user, NULL, look, p.object);
    victim_start(&ender, NULL, end, p.object);
    victim_step(&user, cut->k[0]);
    victim_step(&ender, cut->k[1]);
    bool ender_first = cut->order & 1 || victim_has(&ender, &at(p)->latch);
    if (ender_first) expect_is(victim_finish(&ender), 0);
    int result = victim_finish(&user);
    expect(result == 0 || is_gone(result));
    if (!ender_first) expect_is(victim_finish(&ender), 0);
    is_given_back(p);
    victim_kill(&user);
    victim_kill(&ender);
    bury(user.proc.member);
    bury(ender.proc.member);
    nothing_is_lost();
}

static brood_proxy entered;
static bool is_entered(unsigned unused)
{
    (void)unused;
    return (atomic_load(&at(entered)->latch.word) & OS_TID_MASK) != 0;
}

/* After how many instructions of a look somebody is about to take the latch: found the object, and is not inside. */
static unsigned steps_to_the_door(void)
{
    static unsigned steps;
    if (steps) return steps;
    struct victim v;
    entered = fresh(true, 5);
    victim_start(&v, NULL, look, entered.object);
    victim_until(&v, is_entered, 0);
    steps = v.steps - 1;
    victim_finish(&v);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(brood_proxy_free(entered), 0);
    return steps;
}

/* One uses it, one is about to, who finds that all is gone; the first is killed, or (1) goes on. */
static void free_awaited(const struct cut *cut)
{
    brood_proxy p = fresh(true, 5);
    struct victim user, next;
    victim_start(&user, NULL, look, p.object);
    victim_start(&next, NULL, look, p.object);
    unsigned door = steps_to_the_door();
    victim_step(&next, cut->k[1] == WHOLE_CALL ? WHOLE_CALL : door); /* all of it, when the path is recorded */
    bool was_there = next.ended;
    victim_step(&user, cut->k[0]);
    expect_is(brood_proxy_free(p), 0);
    if (cut->order & 1) victim_finish(&user);
    victim_kill(&user);
    int result = victim_finish(&next);
    expect(was_there ? result == 0 : is_gone(result));
    is_given_back(p);
    victim_kill(&next);
    bury(user.proc.member);
    bury(next.proc.member);
    nothing_is_lost();
}

const struct scene collection_scenes[] = {
    {"collection/new", new_one, 0, 4},
    {"collection/free", free_one, 0, 2},
    {"collection/free-held", free_held, 0, 0},
    {"collection/free-under", free_under, 0, 4},
    {"collection/free-used", free_used, SCENE_PAIR, 2},
    {"collection/free-awaited", free_awaited, 0, 2},
    {"dict/set-new", dict_set_new, 0, 2},
    {"dict/set-new-short", dict_set_new_short, 0, 0},
    {"dict/set-first", dict_set_first, 0, 0},
    {"dict/set-replace", dict_replace, 0, 2},
    {"dict/set-replace-short", dict_replace_short, 0, 0},
    {"dict/grow", dict_grow, 0, 2},
    {"dict/delete", dict_delete, 0, 0},
    {"dict/pop", dict_pop, 0, 0},
    {"dict/popitem", dict_popitem, 0, 0},
    {"dict/clear", dict_clear, 0, 0},
    {"dict/clear-large", dict_clear_large, 0, 0},
    {"dict/get", dict_get, 0, 0},
    {"dict/set-two", dict_two, SCENE_PAIR, 0},
    {"dict/grow-two", dict_two_grow, SCENE_PAIR, 0},
    {"collection/append", list_append, 0, 0},
    {"collection/extend", list_extend, 0, 0},
    {"collection/grow", list_grow, 0, 0},
    {"collection/insert", list_insert, 0, 0},
    {"collection/set", list_set, 0, 0},
    {"collection/delete", list_delete, 0, 0},
    {"collection/pop", list_pop, 0, 0},
    {"collection/sort", list_sort, 0, 0},
    {NULL, NULL, 0, 0},
};
