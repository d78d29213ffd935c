/* SPDX-License-Identifier: MIT */
/* shapes.h - what the library shapes shows. */
#ifndef BROOD_TEST_SHAPES_H
#define BROOD_TEST_SHAPES_H

#include <brood/task.h>

/* The record of area(w, h): two ints to one. */
const brood_task *shapes_area(void);

#endif
