/* SPDX-License-Identifier: MIT */
/* export.h - what every public header needs: visibility, and C names under C++. */
#ifndef BROOD_EXPORT_H
#define BROOD_EXPORT_H

#if defined(__GNUC__)
#define BROOD_API __attribute__((visibility("default")))
#define BROOD_PRINTF(string_index, first) __attribute__((format(printf, string_index, first)))
#else
#define BROOD_API
#define BROOD_PRINTF(string_index, first)
#endif

#ifdef __cplusplus
#define BROOD_BEGIN extern "C" {
#define BROOD_END }
#else
#define BROOD_BEGIN
#define BROOD_END
#endif

#endif
