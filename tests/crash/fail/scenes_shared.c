/* SPDX-License-Identifier: MIT */
/* scenes_shared.c - values, arrays and a scope, used by two processes; a named segment and a list in one. */
#include "play.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 40000 }; /* more than the arena has at first */

BROOD_TASK(add_up, int, brood_value, sum, brood_array, numbers)
{
    for (int i = 0; i < 10; i++) {
        if (brood_array_acquire(numbers, BROOD_FOREVER) < 0) return 1;
        if (brood_array_add(numbers, COUNT - 1, 1, NULL) < 0) return 2;
        if (brood_array_release(numbers) < 0) return 3;
        if (brood_value_add(sum, i, NULL) < 0) return 4;
    }
    return 0;
}

static void values(void)
{
    add_up_args args;
    brood_scope scope;
    brood_process p;
    int64_t last = 0;
    int sum = 0;
    if (!ok(KIND_MAKE, brood_scope_begin(&scope))) return;
    bool made = ok(KIND_MAKE, brood_value_new(&args.sum, int, 0, .scope = scope)) &&
                ok(KIND_MAKE, brood_array_new(&args.numbers, int64_t, COUNT, .scope = scope, .lock = true));
    if (made && ok(KIND_START, brood_process_start(&p, NULL, add_up, &args))) {
        end_process(p, 0);
        ok(KIND_NEVER, brood_value_get(args.sum, &sum));
        ok(KIND_NEVER, brood_array_get(args.numbers, COUNT - 1, &last));
        expect((sum == 45 && last == 10) || !run_is_strict());
    }
    ok(KIND_NEVER, brood_scope_end(scope));
}

struct place {
    char name[64];
};

/* In a process of its own: TOLD, if it was told why it can't. */
BROOD_TASK(write_there, int, brood_shm, shm, struct place, place)
{
    brood_shm other;
    char *data = brood_shm_data(shm, NULL);
    if (!data) return brood_error_detail()[0] ? TOLD : 1;
    memcpy(data, "there", sizeof "there");
    if (brood_shm_attach(&other, place.name, NULL) < 0) return TOLD;
    if (strcmp(brood_shm_data(other, NULL), "there") != 0) return 2;
    return brood_shm_close(other) < 0 ? 3 : 0;
}

/* Whoever can't unlink it leaves that to the end of the family. */
static void names(void)
{
    static int number;
    write_there_args args;
    brood_process p;
    char *data = NULL;
    snprintf(args.place.name, sizeof args.place.name, "brood-fail-%d-%d", (int)OWN(getpid()), number++);
    brood_shm_options options = {.name = args.place.name};
    if (!ok(KIND_POOL, brood_shm_create(&args.shm, 5000, &options, (void **)&data))) return;
    expect(data[0] == 0 && data[4999] == 0);
    if (ok(KIND_START, brood_process_start(&p, NULL, write_there, &args))) {
        end_process(p, 0);
        expect(strcmp(data, "there") == 0 || !run_is_strict());
    }
    ok(KIND_POOL, brood_shm_unlink(args.shm));
    ok(KIND_NEVER, brood_shm_close(args.shm));
}

static void list(void)
{
    brood_element first[2] = {brood_element_text("some text"), brood_element_integer(1)}, e = brood_element_real(0.5);
    brood_shareable_list l;
    brood_shareable_list_options options = {.named = true};
    if (!ok(KIND_POOL, brood_shareable_list_new(&l, first, 2, &options))) return;
    ok(KIND_NEVER, brood_shareable_list_set(l, 1, &e));
    ok(KIND_NEVER, brood_shareable_list_get(l, 1, &e, NULL, 0));
    expect(e.real == 0.5);
    if (!ok(KIND_POOL, brood_shareable_list_free(l))) brood_shm_close((brood_shm){l.id});
}

const struct scene shared_scenes[] = {
    {.name = "values", .body = values},
    {.name = "names", .body = names},
    {.name = "list", .body = list},
    {.name = NULL},
};
