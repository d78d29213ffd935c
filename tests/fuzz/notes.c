/* SPDX-License-Identifier: MIT */
/*
 * notes.c - the notes of a module, in which its build-id is looked for, and addresses that are said to be a task's record:
 * the first byte says how the notes are aligned, the next eight are an address.
 */
#include "call/image.c"
#include "fuzz.h"

#include <stdlib.h>

static void require(bool truth)
{
    if (!truth) abort();
}

BROOD_TASK(some, int, int, x)
{
    return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct image_found self;
    uintptr_t record = (uintptr_t)BROOD_TASK_OF(some), address;
    if (!self.image.base && !self.image.all.high) require(brood__image_around(record, &self));
    if (size < 1 + sizeof address) return 0;
    struct image image = {0};
    char *notes = malloc(size); /* of its very size */
    require(notes != NULL);
    size_t length = size - 1 - sizeof address;
    memcpy(notes, bytes + size - length, length);
    char *exact = realloc(notes, length ? length : 1);
    require(exact != NULL);
    read_build_id(&image, exact, length, bytes[0]);
    require(image.build_id_size <= BUILD_ID_MOST);
    free(exact);
    /* Any address; one in the module; one near the record. */
    memcpy(&address, bytes + 1, sizeof address);
    const uintptr_t tried[] = {address, self.image.all.low + address % (self.image.all.high - self.image.all.low),
                               record + address % 256 - 128, record};
    for (int i = 0; i < 4; i++)
        if (brood__image_has_task(&self.image, tried[i])) require(((const brood_task *)tried[i])->call != NULL);
    require(brood__image_has_task(&self.image, record));
    return 0;
}
