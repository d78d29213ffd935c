/* SPDX-License-Identifier: MIT */
/*
 * prepare.c - any bytes are either refused with a reason, or are the encoding of what was read from them.
 *
 * The first use of each input is as it is, the second with the lengths of its frames made right, so that a change of
 * size inside does not end at the first check.
 */
#include "process/prepare.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

static void holds(const unsigned char *bytes, size_t size)
{
    struct preparation preparation;
    struct process_object object;
    void *memory, *again;
    size_t again_size;
    int error = brood__prepare_decode(bytes, size, &preparation, &object, &memory);
    if (error != 0) {
        require(error == BROOD_ECORRUPT && !memory && brood_error_detail()[0] != '\0');
        return;
    }
    require(memory && !preparation.public.argv[preparation.public.argc]);
    require(object.descriptor_count <= PREPARE_DESCRIPTORS && object.limits.cpu_count <= PREPARE_CPUS);
    require(brood__prepare_encode(&preparation, &object, &again, &again_size) == 0);
    require(again_size == size && memcmp(again, bytes, size) == 0);
    free(again);
    brood__prepare_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    holds(bytes, size);
    if (size < 8) return 0;
    uint32_t first, second;
    uint8_t *framed = malloc(size);
    if (!framed) return 0;
    memcpy(framed, bytes, size);
    memcpy(&first, bytes, sizeof first);
    if (first > size - 8) first = (uint32_t)size - 8;
    second = (uint32_t)size - 8 - first;
    memcpy(framed, &first, sizeof first);
    memcpy(framed + 4 + first, &second, sizeof second);
    holds(framed, size);
    free(framed);
    return 0;
}
