/* SPDX-License-Identifier: MIT */
/* scenes.c - what scenes have in common; compiled as they are, so that the search sees what it writes. */
#include "model.h"

void model_supervise(bool (*repair)(uint32_t dead))
{
    brood__self->supervisor = true;
    for (;;) {
        uint32_t dead = model_member(model_next_death());
        atomic_store(&brood__member_at(dead)->gone, 1);
        model_watch(true);
        while (!repair(dead)) model_wait_for_change();
        model_watch(false);
    }
}
