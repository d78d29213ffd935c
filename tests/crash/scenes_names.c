/* SPDX-License-Identifier: MIT */
/*
 * scenes_names.c - named segments and lists: no name is left of the dead that nobody uses, none goes that somebody uses,
 * and an element is the old one or the new one.
 */
#include "arena/member.h"
#include "process/supervisor.h"
#include "scene.h"
#include "shared/list.h"
#include "shared/names.h"
#include "shared/shared.h"

#include <brood/shareable_list.h>
#include <brood/shm.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char name[64], ledger[64];

static void set_names(void)
{
    snprintf(name, sizeof name, "brood-kill-%016llx", (unsigned long long)brood__arena()->key);
    snprintf(ledger, sizeof ledger, ".brood-%016llx", (unsigned long long)brood__arena()->key);
}

static bool exists(const char *what)
{
    char path[128];
    struct stat file;
    snprintf(path, sizeof path, "/dev/shm/%s", what);
    return stat(path, &file) == 0;
}

/* -------------------------------------------------------------------------------------------------------- deeds */

static int create(struct order *order)
{
    brood_shm shm = {0};
    int result = brood_shm_create(&shm, 100, &(brood_shm_options){.name = name, .scope = {order->id}}, NULL);
    order->made = shm.id;
    return result;
}
/* What is done once in a process is done. */
static int warm_up(struct order *order)
{
    brood_shm shm;
    int result = brood_shm_create(&shm, 1, NULL, NULL);
    if (result == 0) result = brood_shm_unlink(shm);
    if (result == 0) result = brood_shm_close(shm);
    order->made = 0;
    return result;
}
static int unlink_it(struct order *order)
{
    return brood_shm_unlink((brood_shm){order->made ? order->made : order->id});
}
static int map_it(struct order *order)
{
    return brood_shm_data((brood_shm){order->id}, NULL) ? 0 : -1;
}
static int attach(struct order *order)
{
    brood_shm shm;
    int result = brood_shm_attach(&shm, name, NULL);
    order->made = shm.id;
    return result;
}

static const char *const texts[] = {"the old text, of some length", "the new one, which is longer than it"};

static int set(struct order *order)
{
    brood_element e = brood_element_text(texts[1]);
    return brood_shareable_list_set((brood_shareable_list){order->id}, 0, &e);
}
static int get(struct order *order)
{
    char buffer[64];
    brood_element e;
    int result = brood_shareable_list_get((brood_shareable_list){order->id}, 0, &e, buffer, sizeof buffer);
    if (result < 0) return result;
    return strcmp(buffer, texts[0]) == 0 ? 0 : strcmp(buffer, texts[1]) == 0 ? 1 : -1;
}
static int make_list(struct order *order)
{
    brood_shareable_list list = {0};
    brood_element e[2] = {brood_element_text(texts[0]), brood_element_integer(5)};
    brood_shareable_list_options options = {.room = 64, .name = order->number ? name : NULL};
    int result = brood_shareable_list_new(&list, e, 2, &options);
    order->made = list.id;
    return result;
}

/* ---------------------------------------------------------------------------------------------- from this process */

/* The family ends: nothing is left. */
static void nothing_is_left(void)
{
    brood__ledger_leave();
    brood__ledger_end();
    expect(!exists(name));
    expect(!exists(ledger));
    if (exists(name)) { /* not in the way of the next point */
        char path[128];
        snprintf(path, sizeof path, "/dev/shm/%s", name);
        unlink(path);
    }
    requests(REQUEST_LOOK);
}

/* The segment, if it is the family's: its name goes. */
static void unlink_found(void)
{
    brood_shm shm;
    if (!exists(name)) return;
    expect_is(brood_shm_attach(&shm, name, NULL), 0);
    expect_is(brood_shm_unlink(shm), 0);
    expect_is(brood_shm_close(shm), 0);
}

/* --------------------------------------------------------------------------------------------------------- scenes */

/* order: 1: somebody has attached it before the dead is buried */
static void cut_create(const struct cut *cut, deed_fn *before)
{
    set_names();
    brood_shm other = {0};
    struct victim v;
    victim_start(&v, before, create, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    expect(!v.ended || exists(name));
    bool attached = (cut->order & 1) && exists(name);
    if (attached) expect_is(brood_shm_attach(&other, name, NULL), 0);
    bury(v.proc.member);
    if (attached || v.ended)
        expect(exists(name));
    else if (exists(name)) /* it was the family's already */
        expect_is(slots_in_use(TABLE_NAMED), 1);
    if (attached) expect_is(brood_shm_close(other), 0);
    unlink_found();
    expect_is(slots_in_use(TABLE_NAMED), 0);
    nothing_is_left();
}

static void create_first(const struct cut *cut)
{
    cut_create(cut, NULL);
}
static void create_again(const struct cut *cut)
{
    cut_create(cut, warm_up);
}

/* It dies, and then the family's end comes, without a repair before. */
static void create_and_end(const struct cut *cut)
{
    set_names();
    struct victim v;
    victim_start(&v, warm_up, create, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    nothing_is_left();
    bury(v.proc.member);
    if (slots_in_use(TABLE_NAMED)) {
        uint32_t used = brood__table_used(TABLE_NAMED); /* the handle of a name that is gone */
        for (uint32_t i = 1; i < used; i++) {
            uint64_t word = atomic_load(&brood__slot_at(TABLE_NAMED, i)->word);
            if (SLOT_STATE(word) == SLOT_LIVE)
                expect_is(brood_shm_unlink((brood_shm){HANDLE(TABLE_NAMED, i, SLOT_GENERATION(word))}), -ENOENT);
        }
    }
}

/* order: 1: a mate has it mapped; 2: the victim is not its maker */
static void unlink_one(const struct cut *cut)
{
    set_names();
    struct victim v;
    uint64_t id;
    if (cut->order & 2) {
        mate_do(1, create, 0);
        expect_is(mate_result(1), 0);
        id = mate(1)->post->order.made;
        victim_start(&v, NULL, unlink_it, id);
    } else {
        victim_start(&v, create, unlink_it, 0);
        id = v.proc.post->order.made;
    }
    if (cut->order & 1) {
        mate_do(0, map_it, id);
        expect_is(mate_result(0), 0);
    }
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) {
        expect_is(v.result, 0);
        expect(!exists(name));
    }
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_NAMED), exists(name)); /* what is there, the family has */
    unlink_found();
    expect_is(slots_in_use(TABLE_NAMED), 0);
    if (cut->order & 1) mate_ends(0);
    if (cut->order & 2) mate_ends(1);
    nothing_is_left();
}

static void attach_one(const struct cut *cut)
{
    set_names();
    mate_do(0, create, 0);
    expect_is(mate_result(0), 0);
    struct victim v;
    victim_start(&v, NULL, attach, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    if (v.ended) expect_is(v.proc.post->order.made, mate(0)->post->order.made);
    expect(exists(name));
    bury(v.proc.member);
    expect(exists(name));
    mate_ends(0);
    expect(exists(name));
    unlink_found();
    expect_is(slots_in_use(TABLE_NAMED), 0);
    nothing_is_left();
}

/* The family's end comes while somebody (no member any more, for this) maps it: it stays; then it goes. */
static void end_in_use(const struct cut *cut)
{
    (void)cut;
    set_names();
    mate_do(0, create, 0);
    expect_is(mate_result(0), 0);
    struct victim v;
    victim_start(&v, NULL, map_it, mate(0)->post->order.made);
    victim_step(&v, cut->k[0]);
    mate_ends(0);
    bool mapped = v.ended;
    brood__ledger_end();
    expect(!mapped || exists(name));
    expect(!exists(name) || exists(ledger));
    victim_kill(&v);
    bury(v.proc.member);
    nothing_is_left();
    uint32_t used = brood__table_used(TABLE_NAMED);
    for (uint32_t i = 1; i < used; i++) {
        uint64_t word = atomic_load(&brood__slot_at(TABLE_NAMED, i)->word);
        if (SLOT_STATE(word) == SLOT_LIVE) brood_shm_unlink((brood_shm){HANDLE(TABLE_NAMED, i, SLOT_GENERATION(word))});
    }
}

/* Another supervisor repairs after one that was cut off in the repair of a creation that was cut off. */
static void repair_created(const struct cut *cut)
{
    set_names();
    mate_do(0, create, 0);
    expect_is(mate_result(0), 0);
    uint64_t id = mate(0)->post->order.made;
    uint32_t dead = mate(0)->member;
    struct slot_shm *slot = brood__slot_find(TABLE_NAMED, id);
    if (slot) atomic_store(&slot->word, SLOT_WORD(HANDLE_GENERATION(id), cut->order ? SLOT_FREEING : SLOT_INIT, dead));
    proc_kill(mate(0));
    bury_begin(dead);
    struct victim v;
    victim_prepare(dead);
    victim_start(&v, NULL, supervise, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    bury_again(dead);
    bury_end(dead);
    expect(!exists(name));
    expect_is(slots_in_use(TABLE_NAMED), 0);
    nothing_is_left();
}

/* ---------------------------------------------------------------------------------------------------------- lists */

static brood_shareable_list list_of(bool named)
{
    struct order order = {.number = named};
    set_names();
    expect_is(make_list(&order), 0);
    return (brood_shareable_list){order.made};
}

static int what_is_there(brood_shareable_list list)
{
    struct order order = {.id = list.id};
    return get(&order);
}

static void list_goes(brood_shareable_list list, bool named)
{
    struct order order = {.id = list.id};
    brood_element old = brood_element_text(texts[0]);
    expect_is(brood_shareable_list_set(list, 0, &old), 0); /* the latch is free, whoever died */
    expect_is(what_is_there(list), 0);
    expect_is(set(&order), 0);
    expect_is(what_is_there(list), 1);
    expect_is(brood_shareable_list_free(list), 0);
    if (named) nothing_is_left();
}

/* order: 1: in a segment; 2: not for the first time */
static void list_set(const struct cut *cut)
{
    brood_shareable_list list = list_of(cut->order & 1);
    brood_element old = brood_element_text(texts[0]);
    if (cut->order & 2) expect_is(brood_shareable_list_set(list, 0, &old), 0);
    struct victim v;
    victim_start(&v, NULL, set, list.id);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    int there = what_is_there(list);
    expect(there == 1 || (there == 0 && !v.ended));
    list_goes(list, cut->order & 1);
    bury(v.proc.member);
}

static void list_two_set(const struct cut *cut)
{
    brood_shareable_list list = list_of(false);
    struct victim a, b;
    victim_start(&a, NULL, set, list.id);
    victim_start(&b, NULL, set, list.id);
    victim_step(&a, cut->k[0]);
    victim_kill(&a);
    victim_step(&b, cut->k[1]);
    victim_kill(&b);
    int there = what_is_there(list);
    expect(there == 0 || there == 1);
    expect(there == 1 || (!a.ended && !b.ended));
    list_goes(list, false);
    bury(a.proc.member);
    bury(b.proc.member);
}

/* The reader stands still while others set twice, or free the list and make another. */
static void list_get_stalled(const struct cut *cut)
{
    brood_shareable_list list = list_of(false), next = {0};
    struct order order = {.id = list.id};
    brood_element spoilt = brood_element_text("############################");
    struct victim v;
    victim_start(&v, NULL, get, list.id);
    victim_step(&v, cut->k[0]);
    if (cut->order & 1) {
        expect_is(brood_shareable_list_free(list), 0);
        next_claim_takes_garbage(TABLE_SHARED);
        next = list_of(false);
        for (int i = 0; i < 2; i++) expect_is(brood_shareable_list_set(next, 0, &spoilt), 0);
    } else {
        expect_is(brood_shareable_list_set(list, 0, &spoilt), 0);
        expect_is(brood_shareable_list_set(list, 0, &spoilt), 0);
        for (int i = 0; i < 2; i++) expect_is(set(&order), 0);
    }
    int result = victim_finish(&v);
    expect(result == 0 || result == 1 || (cut->order && (result == BROOD_ESTALE || result == BROOD_ECLOSED)));
    victim_kill(&v);
    bury(v.proc.member);
    list_goes(cut->order & 1 ? next : list, false);
}

static void list_new(const struct cut *cut)
{
    struct victim v;
    victim_prepare(0);
    victim_start(&v, NULL, make_list, 0);
    victim_step(&v, cut->k[0]);
    victim_kill(&v);
    bury(v.proc.member);
    expect_is(slots_in_use(TABLE_SHARED), 0);
}

const struct scene name_scenes[] = {
    {"shm/create", create_again, 0, 2},
    {"shm/create-first", create_first, 0, 0},
    {"shm/create-and-end", create_and_end, 0, 0},
    {"shm/unlink", unlink_one, 0, 4},
    {"shm/attach", attach_one, 0, 0},
    {"shm/end-in-use", end_in_use, 0, 0},
    {"shm/repair", repair_created, 0, 2},
    {"list/set", list_set, 0, 4},
    {"list/two-set", list_two_set, SCENE_PAIR, 0},
    {"list/get-stalled", list_get_stalled, 0, 2},
    {"list/new", list_new, 0, 0},
    {NULL, NULL, 0, 0},
};
