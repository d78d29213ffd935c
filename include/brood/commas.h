/* SPDX-License-Identifier: MIT */
/*
 * commas.h - for macros that take a compound literal as it is: &(struct point){1, 2}.
 *
 * To the preprocessor the commas between braces part arguments.  A macro that knows what stands behind the literal can
 * take the last arguments off and put the rest together again; so those here count, and take apart, up to 32 arguments.
 * A literal of more, or one with something after it whose length nobody knows, needs parentheses around it.
 */
#ifndef BROOD_COMMAS_H
#define BROOD_COMMAS_H

#define BROOD__CAT(a, b) BROOD__CAT_(a, b)
#define BROOD__CAT_(a, b) a##b

/* How many arguments there are, from 1 to 32. */
#define BROOD__NUMBER(...)                                                                                          \
    BROOD__NUMBER_(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, \
                   11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BROOD__NUMBER_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd, \
                       ee, ff, number, ...)                                                                          \
    number

/* Whether there is one, or there are more: ONE, MORE. */
#define BROOD__AMOUNT(...)                                                                                          \
    BROOD__NUMBER_(__VA_ARGS__, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, \
                   MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE, MORE,  \
                   MORE, ONE, 0)

/* The last one; all but the last one. */
#define BROOD__LAST(...) BROOD__CAT(BROOD__LAST_, BROOD__NUMBER(__VA_ARGS__))(__VA_ARGS__)
#define BROOD__BEFORE(...) BROOD__CAT(BROOD__BEFORE_, BROOD__NUMBER(__VA_ARGS__))(__VA_ARGS__)

#define BROOD__LAST_1(a) a
#define BROOD__LAST_2(a, ...) BROOD__LAST_1(__VA_ARGS__)
#define BROOD__LAST_3(a, ...) BROOD__LAST_2(__VA_ARGS__)
#define BROOD__LAST_4(a, ...) BROOD__LAST_3(__VA_ARGS__)
#define BROOD__LAST_5(a, ...) BROOD__LAST_4(__VA_ARGS__)
#define BROOD__LAST_6(a, ...) BROOD__LAST_5(__VA_ARGS__)
#define BROOD__LAST_7(a, ...) BROOD__LAST_6(__VA_ARGS__)
#define BROOD__LAST_8(a, ...) BROOD__LAST_7(__VA_ARGS__)
#define BROOD__LAST_9(a, ...) BROOD__LAST_8(__VA_ARGS__)
#define BROOD__LAST_10(a, ...) BROOD__LAST_9(__VA_ARGS__)
#define BROOD__LAST_11(a, ...) BROOD__LAST_10(__VA_ARGS__)
#define BROOD__LAST_12(a, ...) BROOD__LAST_11(__VA_ARGS__)
#define BROOD__LAST_13(a, ...) BROOD__LAST_12(__VA_ARGS__)
#define BROOD__LAST_14(a, ...) BROOD__LAST_13(__VA_ARGS__)
#define BROOD__LAST_15(a, ...) BROOD__LAST_14(__VA_ARGS__)
#define BROOD__LAST_16(a, ...) BROOD__LAST_15(__VA_ARGS__)
#define BROOD__LAST_17(a, ...) BROOD__LAST_16(__VA_ARGS__)
#define BROOD__LAST_18(a, ...) BROOD__LAST_17(__VA_ARGS__)
#define BROOD__LAST_19(a, ...) BROOD__LAST_18(__VA_ARGS__)
#define BROOD__LAST_20(a, ...) BROOD__LAST_19(__VA_ARGS__)
#define BROOD__LAST_21(a, ...) BROOD__LAST_20(__VA_ARGS__)
#define BROOD__LAST_22(a, ...) BROOD__LAST_21(__VA_ARGS__)
#define BROOD__LAST_23(a, ...) BROOD__LAST_22(__VA_ARGS__)
#define BROOD__LAST_24(a, ...) BROOD__LAST_23(__VA_ARGS__)
#define BROOD__LAST_25(a, ...) BROOD__LAST_24(__VA_ARGS__)
#define BROOD__LAST_26(a, ...) BROOD__LAST_25(__VA_ARGS__)
#define BROOD__LAST_27(a, ...) BROOD__LAST_26(__VA_ARGS__)
#define BROOD__LAST_28(a, ...) BROOD__LAST_27(__VA_ARGS__)
#define BROOD__LAST_29(a, ...) BROOD__LAST_28(__VA_ARGS__)
#define BROOD__LAST_30(a, ...) BROOD__LAST_29(__VA_ARGS__)
#define BROOD__LAST_31(a, ...) BROOD__LAST_30(__VA_ARGS__)
#define BROOD__LAST_32(a, ...) BROOD__LAST_31(__VA_ARGS__)

#define BROOD__BEFORE_1(a) brood__an_argument_is_missing
#define BROOD__BEFORE_2(a, b) a
#define BROOD__BEFORE_3(a, ...) a, BROOD__BEFORE_2(__VA_ARGS__)
#define BROOD__BEFORE_4(a, ...) a, BROOD__BEFORE_3(__VA_ARGS__)
#define BROOD__BEFORE_5(a, ...) a, BROOD__BEFORE_4(__VA_ARGS__)
#define BROOD__BEFORE_6(a, ...) a, BROOD__BEFORE_5(__VA_ARGS__)
#define BROOD__BEFORE_7(a, ...) a, BROOD__BEFORE_6(__VA_ARGS__)
#define BROOD__BEFORE_8(a, ...) a, BROOD__BEFORE_7(__VA_ARGS__)
#define BROOD__BEFORE_9(a, ...) a, BROOD__BEFORE_8(__VA_ARGS__)
#define BROOD__BEFORE_10(a, ...) a, BROOD__BEFORE_9(__VA_ARGS__)
#define BROOD__BEFORE_11(a, ...) a, BROOD__BEFORE_10(__VA_ARGS__)
#define BROOD__BEFORE_12(a, ...) a, BROOD__BEFORE_11(__VA_ARGS__)
#define BROOD__BEFORE_13(a, ...) a, BROOD__BEFORE_12(__VA_ARGS__)
#define BROOD__BEFORE_14(a, ...) a, BROOD__BEFORE_13(__VA_ARGS__)
#define BROOD__BEFORE_15(a, ...) a, BROOD__BEFORE_14(__VA_ARGS__)
#define BROOD__BEFORE_16(a, ...) a, BROOD__BEFORE_15(__VA_ARGS__)
#define BROOD__BEFORE_17(a, ...) a, BROOD__BEFORE_16(__VA_ARGS__)
#define BROOD__BEFORE_18(a, ...) a, BROOD__BEFORE_17(__VA_ARGS__)
#define BROOD__BEFORE_19(a, ...) a, BROOD__BEFORE_18(__VA_ARGS__)
#define BROOD__BEFORE_20(a, ...) a, BROOD__BEFORE_19(__VA_ARGS__)
#define BROOD__BEFORE_21(a, ...) a, BROOD__BEFORE_20(__VA_ARGS__)
#define BROOD__BEFORE_22(a, ...) a, BROOD__BEFORE_21(__VA_ARGS__)
#define BROOD__BEFORE_23(a, ...) a, BROOD__BEFORE_22(__VA_ARGS__)
#define BROOD__BEFORE_24(a, ...) a, BROOD__BEFORE_23(__VA_ARGS__)
#define BROOD__BEFORE_25(a, ...) a, BROOD__BEFORE_24(__VA_ARGS__)
#define BROOD__BEFORE_26(a, ...) a, BROOD__BEFORE_25(__VA_ARGS__)
#define BROOD__BEFORE_27(a, ...) a, BROOD__BEFORE_26(__VA_ARGS__)
#define BROOD__BEFORE_28(a, ...) a, BROOD__BEFORE_27(__VA_ARGS__)
#define BROOD__BEFORE_29(a, ...) a, BROOD__BEFORE_28(__VA_ARGS__)
#define BROOD__BEFORE_30(a, ...) a, BROOD__BEFORE_29(__VA_ARGS__)
#define BROOD__BEFORE_31(a, ...) a, BROOD__BEFORE_30(__VA_ARGS__)
#define BROOD__BEFORE_32(a, ...) a, BROOD__BEFORE_31(__VA_ARGS__)

#endif
