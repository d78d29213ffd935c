/* SPDX-License-Identifier: MIT */
/* ports.c - port lists as people write them. */
#include "ports.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

/* The number that *text starts with; *text moves behind it.  -1: there is none, -2: it is no port. */
static int number(const char **text)
{
    int value = 0;
    if (!isdigit((unsigned char)**text)) return -1;
    for (; isdigit((unsigned char)**text); ++*text) {
        value = value * 10 + (**text - '0');
        if (value > 65535) return -2;
    }
    return value == 0 ? -2 : value;
}

/* One "80" or "80-100"; *text moves behind it.  NULL, or what is wrong. */
static const char *range(const char **text, bool *wanted)
{
    int first = number(text), last = first;
    if (first > 0 && **text == '-') {
        ++*text;
        last = number(text);
    }
    if (first == -2 || last == -2) return "a port is a number from 1 to 65535";
    if (first == -1 || last == -1) return "a port is missing: write it as 22,80-100";
    if (last < first) return "a range ends before it begins";
    for (int port = first; port <= last; port++) wanted[port] = true;
    return NULL;
}

int ports_parse(struct ports *ports, const char *text, const char **why)
{
    bool wanted[65536] = {false};
    for (;; text++) {
        *why = range(&text, wanted);
        if (*why) return -1;
        if (*text == 0) break;
        if (*text != ',') {
            *why = "only digits, '-' and ',' make a port list";
            return -1;
        }
    }
    ports->count = 0;
    for (unsigned port = 1; port <= 65535; port++)
        if (wanted[port]) ports->port[ports->count++] = (uint16_t)port;
    return 0;
}
