/* SPDX-License-Identifier: MIT */
/* declared_there.c - the tasks that declared.h declares are ordinary functions. */
#include "declared.h"

double half(double x)
{
    return x / 2;
}

place move(place from, double by)
{
    return (place){from.x + by, from.y + by};
}

int seven(void)
{
    return 7;
}

void count(brood_event event)
{
    brood_event_set(event);
}

brood_bytes turn(brood_bytes text)
{
    char *turned = brood_alloc(text.size);
    for (size_t i = 0; turned && i < text.size; i++) turned[i] = ((const char *)text.data)[text.size - 1 - i];
    return (brood_bytes){turned, turned ? text.size : 0};
}

const brood_task *move_there(void)
{
    return BROOD_TASK_OF(move);
}
