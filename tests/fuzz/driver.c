/* SPDX-License-Identifier: MIT */
/*
 * driver.c - the property test of a fuzz target: each file of its corpus, then that many changed ones, the same in
 * every run.
 *
 *     driver COUNT CORPUS-DIRECTORY
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS_MOST 256
#define SIZE_MOST 65536

static struct input {
    uint8_t *bytes;
    size_t size;
} inputs[INPUTS_MOST];
static size_t input_count;

static uint64_t state = 88172645463325252u;

static size_t random_below(size_t end)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return end ? (size_t)((state >> 11) % end) : 0;
}

static int only_files(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int read_corpus(const char *directory)
{
    struct dirent **names;
    int count = scandir(directory, &names, only_files, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]->d_name);
        free(names[i]);
        FILE *file = input_count < INPUTS_MOST ? fopen(path, "re") : NULL;
        if (!file) continue;
        struct input *input = &inputs[input_count++];
        input->bytes = malloc(SIZE_MOST);
        input->size = input->bytes ? fread(input->bytes, 1, SIZE_MOST, file) : 0;
        fclose(file);
    }
    if (count >= 0) free(names);
    return input_count > 0 ? 0 : -1;
}

/* One change of those that matter to a format of heads, lengths and texts. */
static size_t change(uint8_t *bytes, size_t size)
{
    size_t at = random_below(size), length = random_below(size - at) % 16 + 1;
    switch (size ? random_below(7) : 6) {
    case 0: bytes[at] = (uint8_t)random_below(256); break;
    case 1: bytes[at] ^= (uint8_t)(1u << random_below(8)); break;
    case 2: bytes[at] = (uint8_t)(bytes[at] + random_below(5) - 2); break;
    case 3: /* cut out */
        if (length > size - at) length = size - at;
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 4: return at; /* cut off */
    case 5: {          /* a piece of another */
        const struct input *other = &inputs[random_below(input_count)];
        size_t from = random_below(other->size);
        if (length > size - at) length = size - at;
        if (length > other->size - from) length = other->size - from;
        memcpy(bytes + at, other->bytes + from, length);
        break;
    }
    case 6: /* a byte more */
        if (size == SIZE_MOST) break;
        memmove(bytes + at + 1, bytes + at, size - at);
        bytes[at] = (uint8_t)random_below(256);
        return size + 1;
    }
    return size;
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    if (argc != 3 || read_corpus(argv[2]) < 0) {
        fprintf(stderr, "usage: driver COUNT CORPUS-DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < input_count; i++) LLVMFuzzerTestOneInput(inputs[i].bytes, inputs[i].size);
    long count = strtol(argv[1], NULL, 10);
    for (long n = 0; n < count; n++) {
        const struct input *input = &inputs[random_below(input_count)];
        static uint8_t bytes[SIZE_MOST];
        size_t size = input->size;
        memcpy(bytes, input->bytes, size);
        for (size_t changes = random_below(4) + 1; changes > 0; changes--) size = change(bytes, size);
        uint8_t *exact = malloc(size ? size : 1); /* of its very size: what reads beyond is seen */
        if (!exact) return 2;
        memcpy(exact, bytes, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%ld inputs\n", count);
    return 0;
}
