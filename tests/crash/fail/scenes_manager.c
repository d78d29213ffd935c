/* SPDX-License-Identifier: MIT */
/* scenes_manager.c - a manager, its objects used by this process and another. */
#include "os/os.h"
#include "play.h"

enum { PATIENCE_MS = 3000, WORK_MS = 10000 };

struct things {
    brood_proxy dict, queue, lock;
};

/* What a client does; the first that fails ends it. */
static int use(struct things t, int key)
{
    brood_variant v = brood_variant_nil();
    int64_t n = 0;
    int error = brood_proxy_acquire(t.lock, PATIENCE_MS);
    if (error == BROOD_EOWNERDEAD) error = 0; /* what came of the last time */
    if (error < 0) return error;
    error = brood_dict_set(t.dict, brood_v(key), brood_variant_list("a value", key));
    if (error == 0) error = brood_proxy_release(t.lock);
    if (error == 0) error = brood_proxy_put(t.queue, brood_v(key), PATIENCE_MS);
    if (error == 0) error = brood_proxy_get(t.queue, &v, PATIENCE_MS);
    if (error == 0) error = brood_variant_get_int(&v, &n);
    brood_variant_free(&v);
    if (error == 0 && n != 1 && n != 2) return 1;
    return error;
}

BROOD_TASK(use_too, int, struct things, t)
{
    int error = use(t, 2);
    return error < 0 ? TOLD : error;
}

static void use_all(brood_manager m)
{
    struct things t;
    brood_process p;
    if (!ok(KIND_MANAGER, brood_manager_dict(m, &t.dict)) || !ok(KIND_MANAGER, brood_manager_queue(m, &t.queue, 0)) ||
        !ok(KIND_MANAGER, brood_manager_lock(m, &t.lock)))
        return;
    if (ok(KIND_START, brood_process_start(&p, NULL, use_too, &t))) {
        int code = -1;
        ok(KIND_NEVER, brood_process_join(p, BROOD_FOREVER, &code));
        expect(code == 0 || !run_is_strict());
        ok(KIND_NEVER, brood_process_free(p));
    }
    if (!ok(KIND_MANAGER, use(t, 1))) return;
    int64_t size = brood_dict_size(t.dict);
    if (ok(KIND_MANAGER, (int)size)) expect(size == 2 || !run_is_strict());
    ok(KIND_MANAGER, brood_proxy_free(t.dict));
}

static BROOD_VARIANT_TASK(double_it, args, result)
{
    int64_t n = 0;
    int error = brood_variant_get_int(brood_variant_at(args, 0), &n);
    *result = brood_v(2 * n);
    return error;
}

static void manager_pool(void)
{
    brood_manager m;
    brood_proxy pool;
    brood_variant v = brood_variant_nil();
    int64_t n = 0;
    if (!ok(KIND_MANAGER, brood_manager_new(&m, NULL))) return;
    if (ok(KIND_MANAGER, brood_manager_pool(m, &pool, 1))) {
        if (ok(KIND_MANAGER, brood_proxy_apply(pool, double_it, brood_variant_list(21), &v, WORK_MS)))
            expect(brood_variant_get_int(&v, &n) == 0 && n == 42);
        brood_variant_free(&v);
        if (ok(KIND_MANAGER, brood_proxy_map(pool, double_it, brood_variant_list(1, 2, 3), &v, WORK_MS)))
            expect(brood_variant_size(&v) == 3);
        brood_variant_free(&v);
        ok(KIND_MANAGER, brood_proxy_free(pool));
    }
    ok(KIND_NEVER, brood_manager_free(m));
}

static void manager(void)
{
    brood_manager m;
    if (!ok(KIND_MANAGER, brood_manager_new(&m, NULL))) return;
    use_all(m);
    ok(KIND_NEVER, brood_manager_free(m));
}

const struct scene manager_scenes[] = {
    {.name = "manager", .body = manager},
    {.name = "manager_pool", .body = manager_pool},
    {.name = NULL},
};
