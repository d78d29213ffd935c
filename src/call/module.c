/* SPDX-License-Identifier: MIT */
/*
 * module.c - task functions by reference: the family's table, and what this process remembers of it.
 *
 * A module that was seen once is a struct module, published in a list for senders and, by the family's index, in an
 * array for receivers; both are read without a lock and only ever added to.  Two threads that learn the same at once
 * make two of them: harmless.  What is remembered is kept loaded (image.h), so no address in it ever dangles.
 *
 * Thread-safe, but for brood__module_forget.  Not async-signal-safe.  No lock is held anywhere, so a fork at any
 * instant leaves the child at worst a struct that nobody frees.
 */
#include "call/module.h"

#include "call/error.h"
#include "call/image.h"

#include <stdlib.h>
#include <string.h>

#define MODULES_MOST 4096
#define CHECKED 64 /* a power of 2 */
#define OFFSET_BITS 48
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)

/* Never changes once it is in the list, but for checked. */
struct module {
    struct module *next;
    uint32_t index; /* in the family's table */
    struct image image;
    _Atomic uintptr_t checked[CHECKED]; /* records that were found good: they lie in constant memory, so they stay so */
};

static struct module *_Atomic known;                  /* newest first */
static struct module *_Atomic by_index[MODULES_MOST]; /* each of them is in the list too */
static _Atomic uint32_t index_end;                    /* by_index is empty from here on */

/* ------------------------------------------------------------------------------------ what is remembered */

static int remember(uint32_t index, const struct image *image, struct module **made)
{
    struct module *module = malloc(sizeof *module);
    if (!module) return BROOD_ENOMEM;
    *module = (struct module){.index = index, .image = *image};
    /* release, here and below: whoever finds the module finds it whole. */
    module->next = atomic_load_explicit(&known, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&known, &module->next, module, memory_order_release,
                                                  memory_order_relaxed)) {}
    uint32_t end = atomic_load_explicit(&index_end, memory_order_relaxed);
    while (end <= index && !atomic_compare_exchange_weak_explicit(&index_end, &end, index + 1, memory_order_relaxed,
                                                                  memory_order_relaxed)) {}
    atomic_store_explicit(&by_index[index], module, memory_order_release);
    *made = module;
    return 0;
}

static struct module *recall_around(uintptr_t address)
{
    struct module *module = atomic_load_explicit(&known, memory_order_acquire);
    while (module && !brood__range_holds(&module->image.all, address, 1)) module = module->next;
    return module;
}

static bool has_task(struct module *module, uintptr_t address)
{
    _Atomic uintptr_t *checked = &module->checked[address / sizeof(brood_task) % CHECKED];
    if (address == 0) return false;
    if (atomic_load_explicit(checked, memory_order_relaxed) == address) return true;
    if (!brood__image_has_task(&module->image, address)) return false;
    atomic_store_explicit(checked, address, memory_order_relaxed);
    return true;
}

void brood__module_forget(void)
{
    uint32_t end = atomic_exchange(&index_end, 0);
    for (uint32_t i = 0; i < end; i++) atomic_store(&by_index[i], NULL);
    struct module *module = atomic_exchange(&known, NULL);
    while (module) {
        struct module *next = module->next;
        free(module);
        module = next;
    }
}

/* ------------------------------------------------------------------------------------ the family's table */

static struct module_shm *entry_at(uint32_t index)
{
    return (struct module_shm *)(void *)brood__slot_at(TABLE_MODULE, index);
}

static bool is_live(const struct module_shm *entry)
{
    /* acquire pairs with the release in enter: the rest of a live slot is whole, and never changes. */
    return SLOT_STATE(atomic_load_explicit(&entry->slot.word, memory_order_acquire)) == SLOT_LIVE;
}

static uint32_t table_end(void)
{
    uint32_t used = brood__table_used(TABLE_MODULE);
    return used < MODULES_MOST ? used : MODULES_MOST;
}

static uint32_t find_entry(const struct image *image)
{
    uint32_t end = table_end();
    for (uint32_t i = 1; i < end; i++) {
        const struct module_shm *entry = entry_at(i);
        if (is_live(entry) && entry->build_id_size == image->build_id_size &&
            memcmp(entry->build_id, image->build_id, image->build_id_size) == 0)
            return i;
    }
    return 0;
}

static int enter(const struct image_found *found, uint32_t *index)
{
    char path[MODULE_PATH_MOST] = "";
    int error = brood__image_path(found, path, sizeof path);
    if (error == 0) error = brood__slot_claim(TABLE_MODULE, brood__self->member, NULL, index);
    if (error < 0) return error;
    if (*index >= MODULES_MOST) {
        brood__slot_release(TABLE_MODULE, *index);
        return BROOD_EARENA;
    }
    struct module_shm *entry = entry_at(*index);
    entry->build_id_size = found->image.build_id_size;
    entry->reserved = 0;
    memcpy(entry->build_id, found->image.build_id, sizeof entry->build_id);
    memcpy(entry->path, path, sizeof entry->path);
    /* From now on it is the family's.  If we die before, it is garbage.  release pairs with the acquire in is_live. */
    uint64_t word = atomic_load_explicit(&entry->slot.word, memory_order_relaxed);
    atomic_store_explicit(&entry->slot.word, SLOT_WORD(SLOT_GENERATION(word), SLOT_LIVE, OWNER_FAMILY),
                          memory_order_release);
    return 0;
}

/* ------------------------------------------------------------------------------------ out */

static int learn_around(uintptr_t address, struct module **module)
{
    struct image_found *found = malloc(sizeof *found);
    if (!found) return BROOD_ENOMEM;
    uint32_t index = 0;
    int error = 0;
    if (!brood__image_around(address, found))
        error = brood__fail_with(BROOD_EMODULE, "the function lies in no program or library");
    else if (!brood__image_has_task(&found->image, address))
        error = brood__fail_with(BROOD_ETASK, "no task's record lies there");
    else if (found->image.build_id_size == 0)
        error = brood__fail_with(BROOD_EMODULE, "%.200s: has no build-id (link with -Wl,--build-id)",
                                 found->name[0] ? found->name : "the program");
    else if (!brood__image_keep(found))
        error = brood__fail_with(BROOD_EMODULE, "%.200s: cannot be kept loaded", found->name);
    if (error == 0) index = find_entry(&found->image);
    if (error == 0 && index == 0) error = enter(found, &index);
    if (error == 0) error = remember(index, &found->image, module);
    free(found);
    return error;
}

int brood__function_ref(const brood_task *task, function_ref *ref)
{
    uintptr_t address = (uintptr_t)task;
    struct module *module = recall_around(address);
    if (!module) {
        int error = learn_around(address, &module);
        if (!module) return error;
    }
    if (!has_task(module, address)) return brood__fail_with(BROOD_ETASK, "no task's record lies there");
    uint64_t offset = address - module->image.base;
    if (offset > OFFSET_MASK) return brood__fail_with(BROOD_EMODULE, "the function lies too far in its module");
    *ref = (uint64_t)module->index << OFFSET_BITS | offset;
    return 0;
}

/* ------------------------------------------------------------------------------------ in */

/* A copy: what was checked stays so, whatever another member does. */
static bool copy_entry(uint32_t index, struct module_shm *copy)
{
    if (index == 0 || index >= table_end() || !is_live(entry_at(index))) return false;
    memcpy(&copy->build_id_size, &entry_at(index)->build_id_size, sizeof copy->build_id_size);
    memcpy(copy->build_id, entry_at(index)->build_id, sizeof copy->build_id);
    memcpy(copy->path, entry_at(index)->path, sizeof copy->path);
    return copy->build_id_size > 0 && copy->build_id_size <= BUILD_ID_MOST && copy->path[0] == '/' &&
           memchr(copy->path, '\0', sizeof copy->path);
}

static bool is_loaded(const struct module_shm *entry, struct image_found *found)
{
    return brood__image_with(entry->build_id, entry->build_id_size, found) && brood__image_keep(found);
}

static int learn_index(uint32_t index, struct module **module)
{
    if (index == 0) return brood__fail_with(BROOD_ETASK, "no function was named");
    struct module_shm entry;
    if (!copy_entry(index, &entry)) return brood__fail_with(BROOD_EMODULE, "the family has no module %u", index);
    struct image_found *found = malloc(sizeof *found);
    if (!found) return BROOD_ENOMEM;
    int error =
        is_loaded(&entry, found) ? 0 : brood__image_load(entry.path, entry.build_id, entry.build_id_size, found);
    if (error == 0) error = remember(index, &found->image, module);
    free(found);
    return error;
}

void brood__module_recognize(void)
{
    static bool looked[MODULES_MOST]; /* at what the family had there: that never changes */
    struct module_shm entry;
    struct module *module;
    uint32_t end = table_end();
    for (uint32_t i = 1; i < end; i++) {
        if (looked[i] || !copy_entry(i, &entry)) continue;
        looked[i] = true;
        struct image_found *found = malloc(sizeof *found);
        if (found && !atomic_load_explicit(&by_index[i], memory_order_acquire) && is_loaded(&entry, found))
            remember(i, &found->image, &module);
        free(found);
    }
}

int brood__function_find(function_ref ref, const brood_task **task)
{
    uint32_t index = (uint32_t)(ref >> OFFSET_BITS);
    struct module *module = index < MODULES_MOST ? atomic_load_explicit(&by_index[index], memory_order_acquire) : NULL;
    if (!module) {
        int error = learn_index(index, &module);
        if (!module) return error;
    }
    uintptr_t address = module->image.base + (uintptr_t)(ref & OFFSET_MASK);
    if (!has_task(module, address)) return brood__fail_with(BROOD_ETASK, "the reference leads to no task");
    *task = (const brood_task *)address;
    return 0;
}
