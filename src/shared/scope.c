/* SPDX-License-Identifier: MIT */
/*
 * scope.c - scopes: a slot, and the objects that name it.  An end makes the slot something else first, so that who makes
 * an object through it at that moment sees that it is over, or is seen.  Thread-safe.
 */
#include "shared/names.h"
#include "shared/shared.h"

int brood_scope_begin(brood_scope *scope)
{
    int error = brood__enter();
    uint32_t index = 0;
    if (error == 0) error = brood__slot_claim(TABLE_SCOPE, brood__self->member, NULL, &index);
    if (error < 0) return error;
    scope->id = brood__slot_publish(TABLE_SCOPE, index);
    return 0;
}

int brood__scope_check(uint64_t id)
{
    return id == 0 || brood__slot_find(TABLE_SCOPE, id) ? 0 : brood__slot_gone(TABLE_SCOPE, id);
}

uint64_t brood__scope_garbage(uint64_t id, uint64_t word)
{
    bool died = brood__slot_gone(TABLE_SCOPE, id) == BROOD_ECLOSED;
    return SLOT_WORD(SLOT_GENERATION(word), SLOT_GARBAGE, died ? 0 : OWNER_FREED);
}

int brood_scope_end(brood_scope scope)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (!brood__slot_find(TABLE_SCOPE, scope.id)) return brood__slot_gone(TABLE_SCOPE, scope.id);
    if (!brood__slot_retire(TABLE_SCOPE, scope.id)) return BROOD_ESTALE;
    brood__shared_end_scope(scope.id); /* if we die in here, the supervisor finds a scope that is none */
    brood__names_end_scope(scope.id);
    brood__slot_release(TABLE_SCOPE, HANDLE_INDEX(scope.id));
    return 0;
}
