/* SPDX-License-Identifier: MIT */
/* shapes.c - a library with tasks, for module.c; built more than once, with another EDITION each time. */
#include "shapes.h"

static BROOD_TASK(area, int, int, w, int, h)
{
    return w * h * EDITION;
}

__attribute__((visibility("default"))) const brood_task *shapes_area(void)
{
    return BROOD_TASK_OF(area);
}
