/* SPDX-License-Identifier: MIT */
/* declared.h - tasks that declared_there.c defines and declared.c names. */
#ifndef TEST_CALL_DECLARED_H
#define TEST_CALL_DECLARED_H

#include <brood.h>

typedef struct place {
    double x, y;
} place;

BROOD_TASK_DECLARE(half, double, double, x);
BROOD_TASK_DECLARE(move, place, place, from, double, by);
BROOD_TASK_DECLARE(seven, int, void);
BROOD_TASK_DECLARE(count, void, brood_event, event);
BROOD_TASK_DECLARE(turn, brood_bytes, brood_bytes, text);
BROOD_TASK_DECLARE(nowhere, int, int, x); /* declared, but neither defined nor used */

/* That file's own idea of a task. */
const brood_task *move_there(void);

#endif
