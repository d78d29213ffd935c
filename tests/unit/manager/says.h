/* SPDX-License-Identifier: MIT */
/* says.h - answers of calls that give a value, compared as text. */
#ifndef TEST_MANAGER_SAYS_H
#define TEST_MANAGER_SAYS_H

#include <brood/variant.h>

/* As brood_variant_format has it, until the call after the next; *v is freed. */
static inline const char *text_of(brood_variant *v)
{
    static char text[2][1 << 16];
    static int turn;
    turn = !turn;
    brood_variant_format(v, text[turn], sizeof text[turn]);
    brood_variant_free(v);
    return text[turn];
}

/* The call succeeds, and what it put into `out` is this. */
#define SAYS(expected, call)                       \
    do {                                           \
        brood_test_ok((call));                     \
        ck_assert_str_eq(text_of(&out), expected); \
    } while (0)

#endif
