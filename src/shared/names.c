/* SPDX-License-Identifier: MIT */
/* names.c - the family's table of named segments, and the resource tracker; the protocol is in shared/names.h. */
#include "shared/names.h"

#include "process/supervisor.h"
#include "shared/shared.h"

#include <errno.h>
#include <string.h>

static struct named_shm *at(uint32_t index)
{
    return (struct named_shm *)(void *)brood__slot_at(TABLE_NAMED, index);
}

/* What happens again soon, and may go well then. */
static bool passes(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN || error == -EINTR;
}

/* ------------------------------------------------------------------------------------------------------- the table */

int brood__named_look(uint64_t id, struct named_shm *copy)
{
    struct named_shm *s = brood__slot_find(TABLE_NAMED, id);
    if (!s) return brood__slot_gone(TABLE_NAMED, id);
    memcpy((char *)copy + sizeof copy->slot, (char *)s + sizeof s->slot, sizeof *s - sizeof s->slot);
    atomic_thread_fence(memory_order_acquire); /* what was read was of this generation, if the slot still is */
    copy->name[sizeof copy->name - 1] = 0;
    return brood__slot_is(&s->slot, id) ? 0 : brood__slot_gone(TABLE_NAMED, id);
}

uint64_t brood__named_find(const struct os_named *is)
{
    uint32_t used = brood__table_used(TABLE_NAMED);
    for (uint32_t i = 1; i < used; i++) {
        struct named_shm *s = at(i);
        uint64_t word = atomic_load(&s->slot.word), id = HANDLE(TABLE_NAMED, i, SLOT_GENERATION(word));
        if (SLOT_STATE(word) != SLOT_LIVE || SLOT_OWNER(word) != OWNER_FAMILY) continue;
        if (s->is.device == is->device && s->is.inode == is->inode && brood__slot_is(&s->slot, id)) return id;
    }
    return 0;
}

static int claim(const char *name, const struct os_named *is, uint64_t scope, uint32_t *index)
{
    int error = brood__slot_claim(TABLE_NAMED, brood__self->member, brood__named_scrub, index);
    if (error < 0) return error;
    struct named_shm *s = at(*index);
    atomic_store(&s->tracked, 0u);
    atomic_store_explicit(&s->scope, scope, memory_order_relaxed);
    s->is = *is;
    strncpy(s->name, name, sizeof s->name - 1);
    s->name[sizeof s->name - 1] = 0;
    return 0;
}

int brood__named_give(int fd, const char *name, const struct os_named *is, bool tracked, uint64_t scope, uint64_t *id)
{
    uint32_t index;
    int error = claim(name, is, scope, &index);
    if (error < 0) return error;
    struct named_shm *s = at(index);
    if (tracked) { /* from here on the supervisor looks for the name, if we die */
        atomic_store(&s->tracked, SLOT_GENERATION(atomic_load(&s->slot.word)) + 1);
        error = brood__ledger_write(index, s);
    }
    if (error == 0) error = brood__os_named_link(fd, name); /* the commit, for the world */
    if (error < 0) {
        atomic_store(&s->tracked, 0u);
        brood__slot_release(TABLE_NAMED, index);
        return error;
    }
    uint64_t made = brood__slot_publish_as(TABLE_NAMED, index, OWNER_FAMILY); /* for the family */
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in brood__names_end_scope */
    error = brood__scope_check(scope);
    if (error < 0) /* it ended meanwhile; if we die here, the supervisor sees that too */
        brood__named_unlink(made);
    else
        *id = made;
    return error;
}

int brood__named_adopt(const char *name, const struct os_named *is, uint64_t *id)
{
    uint32_t index;
    int error = claim(name, is, 0, &index);
    if (error < 0) return error;
    *id = brood__slot_publish(TABLE_NAMED, index);
    return 0;
}

void brood__named_forget(uint64_t id)
{
    struct slot_shm *slot = brood__slot_find(TABLE_NAMED, id);
    if (!slot || SLOT_OWNER(atomic_load(&slot->word)) != brood__self->member) return;
    if (brood__slot_retire(TABLE_NAMED, id)) brood__slot_release(TABLE_NAMED, HANDLE_INDEX(id));
}

int brood__named_unlink(uint64_t id)
{
    struct named_shm copy;
    int error = brood__named_look(id, &copy);
    if (error < 0) return error;
    struct named_shm *s = at(HANDLE_INDEX(id));
    uint32_t owner = SLOT_OWNER(atomic_load(&s->slot.word));
    if (!brood__slot_retire(TABLE_NAMED, id)) return BROOD_ESTALE;
    error = brood__os_named_remove(copy.name, &copy.is, false);
    if (error < 0 && error != -ENOENT) { /* it is there still, and whose it was */
        brood__slot_publish_as(TABLE_NAMED, HANDLE_INDEX(id), owner);
        return error;
    }
    atomic_store(&s->tracked, 0u);
    brood__slot_release(TABLE_NAMED, HANDLE_INDEX(id));
    return error;
}

void brood__names_end_scope(uint64_t scope)
{
    atomic_thread_fence(
        memory_order_seq_cst); /* pairs with the one in brood__named_give: who comes later finds it over */
    uint32_t used = brood__table_used(TABLE_NAMED);
    for (uint32_t i = 1; i < used; i++) {
        struct named_shm *s = at(i);
        uint64_t word = atomic_load(&s->slot.word), id = HANDLE(TABLE_NAMED, i, SLOT_GENERATION(word));
        if (atomic_load(&s->scope) != scope) continue;
        if (SLOT_STATE(word) == SLOT_LIVE) brood__named_unlink(id);
        /* A sweep that saw the end of the scope made it garbage, and may not have come to its name yet. */
        brood__slot_collect_one(TABLE_NAMED, id);
    }
}

/* ------------------------------------------------------------------------------------------------------ after deaths */

/* Whether the slot's scope is over, so that its name goes though it is mapped. */
static bool is_over(const struct named_shm *s)
{
    uint64_t scope = atomic_load(&((struct named_shm *)(uintptr_t)s)->scope);
    return scope && !brood__slot_find(TABLE_SCOPE, scope);
}

/* The name of garbage goes, if it is there: 0 or the error of that; then nothing of it is left. */
static int settle(struct named_shm *s, bool unused)
{
    uint32_t tracked = atomic_load(&s->tracked);
    if (!tracked) return 0;
    char name[BROOD_SHM_NAME];
    memcpy(name, s->name, sizeof name);
    name[sizeof name - 1] = 0;
    int error = strchr(name, '/') ? 0 : brood__os_named_remove(name, &s->is, unused);
    if (error < 0 && error != -ENOENT) return error;
    atomic_compare_exchange_strong(&s->tracked, &tracked, 0u); /* that of the slot's next user is not ours to take */
    return 0;
}

bool brood__named_scrub(struct slot_shm *slot, uint32_t index)
{
    (void)index;
    struct named_shm *s = (struct named_shm *)(void *)slot;
    return settle(s, !is_over(s)) == 0;
}

bool brood__named_repair(uint32_t dead)
{
    (void)dead;
    bool all = true;
    uint32_t used = brood__table_used(TABLE_NAMED);
    for (uint32_t i = 1; i < used; i++) {
        struct named_shm *s = at(i);
        uint64_t word = atomic_load(&s->slot.word), scope = atomic_load(&s->scope);
        bool over = SLOT_STATE(word) == SLOT_LIVE && is_over(s);
        uint64_t garbage = over ? brood__scope_garbage(scope, word) : word;
        if (over && !atomic_compare_exchange_strong(&s->slot.word, &word, garbage)) continue;
        if (!over && SLOT_STATE(word) != SLOT_GARBAGE) continue;
        /* What a scope had goes though it is mapped; of a segment half made or unmade it is not known. */
        int error = settle(s, !is_over(s));
        if (error == 0) continue;
        if (passes(error)) {
            all = false;
            continue;
        }
        /* In use, or not ours to remove: the family has it, as if its maker had come to the end.  If we die before its
         * scope is forgotten, the next to look comes to the same. */
        uint64_t live = SLOT_WORD(SLOT_GENERATION(garbage), SLOT_LIVE, OWNER_FAMILY);
        if (atomic_compare_exchange_strong(&s->slot.word, &garbage, live) && is_over(s))
            atomic_compare_exchange_strong(&s->scope, &scope, 0);
    }
    return all;
}

/* ------------------------------------------------------------------------------------------------------ supervisor */

static bool holds;

/* The ledger is the family's as long as there is a supervisor. */
int64_t brood__names_manage(void)
{
    if (!holds && atomic_load(&brood__arena()->names) >= 2) holds = brood__ledger_use() == 0;
    return OS_NEVER;
}

void brood__names_begin(void)
{
    brood__ledger_sweep();
    brood__names_manage();
}

void brood__names_over(void)
{
    if (!atomic_load(&brood__arena()->names)) return;
    brood__ledger_leave();
    brood__ledger_end();
    brood__ledger_sweep();
}
