/* SPDX-License-Identifier: MIT */
/*
 * memory.c - the memory that the processes of a scene write, found as they write it.
 *
 * The kind of step that an access is depends on who else uses the place, and what a state is depends on the lines that
 * are ever written, so when either grows the search begins anew with what it knows by then.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE 8u /* not more: beside what they write lies what the search needs */
#define MOST_LINES 4096u
#define PLACES 8192u

struct line {
    char *address;
    char initial[LINE];
};
static struct line lines[MOST_LINES];
static uint32_t line_count;

/* A place: 8 bytes; who uses and who writes it, a bit for each process. */
struct place {
    uint8_t users, writers;
};
static struct place *in_arena; /* by their place there: as sparse as the arena is */
static struct place elsewhere[PLACES];
static uintptr_t numbers[PLACES];
static bool grew;

static struct place *place_of(uintptr_t number)
{
    uintptr_t offset = number - (uintptr_t)brood__arena() / 8;
    if (offset < brood__arena()->size / 8) return &in_arena[offset];
    uint32_t at = (uint32_t)((number * 0x9e3779b97f4a7c15u) >> 40) % PLACES;
    while (numbers[at] && numbers[at] != number) at = (at + 1) % PLACES;
    numbers[at] = number;
    return &elsewhere[at];
}

static bool is_shared(const struct place *place)
{
    return place->writers && (place->users & (place->users - 1));
}

void memory_begin(void)
{
    memory_restore(NULL);
    memset(numbers, 0, sizeof numbers);
    memset(elsewhere, 0, sizeof elsewhere);
    size_t size = brood__arena()->size / 8 * sizeof *in_arena;
    if (in_arena) munmap(in_arena, size);
    in_arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (in_arena == MAP_FAILED) {
        fprintf(stderr, "model: no memory\n");
        exit(2);
    }
    line_count = 0;
}

static void keep(uintptr_t address)
{
    char *start = (char *)(address & ~(uintptr_t)(LINE - 1));
    for (uint32_t i = 0; i < line_count; i++)
        if (lines[i].address == start) return;
    if (line_count == MOST_LINES) {
        fprintf(stderr, "model: a scene writes too much memory\n");
        exit(2);
    }
    lines[line_count].address = start;
    memcpy(lines[line_count++].initial, start, LINE);
    grew = true;
}

void memory_note(const void *address, size_t size, bool write, int p)
{
    uintptr_t first = (uintptr_t)address / 8, last = ((uintptr_t)address + size - 1) / 8;
    for (uintptr_t number = first; size && number <= last; number++) {
        struct place *place = place_of(number);
        bool before = is_shared(place);
        if (write && !place->writers) keep(number * 8);
        place->users |= (uint8_t)(1u << p);
        if (write) place->writers |= (uint8_t)(1u << p);
        if (is_shared(place) != before) grew = true;
    }
}

bool memory_shared(const void *address)
{
    return is_shared(place_of((uintptr_t)address / 8));
}

bool memory_grew(void)
{
    bool did = grew;
    grew = false;
    return did;
}

size_t memory_save(char *to)
{
    for (uint32_t i = 0; i < line_count; i++) memcpy(to + (size_t)i * LINE, lines[i].address, LINE);
    return (size_t)line_count * LINE;
}

void memory_restore(const char *from)
{
    for (uint32_t i = 0; i < line_count; i++)
        memcpy(lines[i].address, from ? from + (size_t)i * LINE : lines[i].initial, LINE);
}
