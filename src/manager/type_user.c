/* SPDX-License-Identifier: MIT */
/* type_user.c - types of the program's own: their functions see variants, and stand in a call (call/call.h). */
#include "manager/server.h"

#include "call/call.h"
#include "call/error.h"

#include <brood/manager.h>
#include <string.h>

enum { TYPES_MOST = 64 };

static struct object_type types[TYPES_MOST]; /* of this process: registered by its initializer */
static size_t type_count;

const struct object_type *const brood__object_types[] = {
    &brood__type_list,
    &brood__type_dict,
    &brood__type_namespace,
    &brood__type_queue,
    &brood__type_joinable_queue,
    &brood__type_lock,
    &brood__type_rlock,
    &brood__type_semaphore,
    &brood__type_bounded_semaphore,
    &brood__type_condition,
    &brood__type_event,
    &brood__type_barrier,
    &brood__type_value,
    &brood__type_array,
    &brood__type_pool,
    NULL,
};

struct user_object {
    struct object object;
    void *state;
    bool made; /* destroy has something to do */
};

static const brood_manager_type *type_of(const struct object *o)
{
    return o->type->user;
}

static int read_args(struct request *r, brood_variant *args)
{
    const unsigned char *at = r->all.at, *end = at + r->all.size;
    *args = brood_variant_list_of(NULL, 0);
    int error = 0;
    for (uint64_t i = 0; i < r->all_count && error == 0; i++) {
        brood_variant item;
        error = brood__variant_read(&item, &at, end);
        if (error == 0) error = brood_variant_append(args, item);
    }
    if (error < 0) brood_variant_free(args);
    return error;
}

/* What a function of the program's answered, by code or by brood_fail; ends the call. */
static int settle(struct call *call, int code)
{
    brood__say_nothing();
    if (call->fail) code = brood__fail_with(BROOD_EFAILED, "%s (%d)", call->text, call->fail);
    brood__call_end(call);
    return code > 0 ? 0 : code;
}

static int user_create(struct request *r, struct object *o)
{
    struct user_object *u = (struct user_object *)o;
    struct call call;
    brood_variant args;
    int code = read_args(r, &args);
    if (code < 0) return code;
    brood__call_begin(&call);
    code = type_of(o)->create ? type_of(o)->create(&u->state, &args) : 0;
    code = settle(&call, code);
    brood_variant_free(&args);
    u->made = code == 0;
    return code;
}

static void user_destroy(struct server *s, struct object *o)
{
    struct user_object *u = (struct user_object *)o;
    (void)s;
    if (u->made && type_of(o)->destroy) type_of(o)->destroy(u->state);
}

static int user_call(struct request *r)
{
    const brood_manager_type *type = type_of(r->o);
    const brood_manager_method *method = NULL;
    for (size_t i = 0; i < type->method_count && !method; i++)
        if (strlen(type->methods[i].name) == r->method.size &&
            memcmp(type->methods[i].name, r->method.at, r->method.size) == 0)
            method = &type->methods[i];
    if (!method)
        return brood__fail_with(BROOD_EINVAL, "a %s has no method %.*s", type->name, (int)r->method.size,
                                (const char *)r->method.at);
    struct call call;
    brood_variant args, result = brood_variant_nil();
    int code = read_args(r, &args);
    if (code < 0) return code;
    brood__call_begin(&call);
    code = method->call(((struct user_object *)r->o)->state, &args, &result);
    code = settle(&call, code);
    if (code == 0) code = brood__variant_write(brood__result(r), &result);
    brood_variant_free(&args);
    brood_variant_free(&result);
    return code;
}

int brood_manager_register(const brood_manager_type *type)
{
    brood__say_nothing();
    if (!type || !type->name || (type->method_count && !type->methods)) return BROOD_EINVAL;
    struct slice name = {(const unsigned char *)type->name, strlen(type->name)};
    if (name.size == 0 || name.size > WIRE_METHOD_MOST || !brood__item_is_text(name.at, name.size)) return BROOD_EINVAL;
    for (size_t i = 0; i < type->method_count; i++)
        if (!type->methods[i].name || !type->methods[i].call) return BROOD_EINVAL;
    if (brood__user_type(name)) return brood__fail_with(BROOD_EINVAL, "there is a type %s already", type->name);
    if (type_count == TYPES_MOST) return BROOD_ENOMEM;
    types[type_count++] = (struct object_type){.name = type->name,
                                               .size = sizeof(struct user_object),
                                               .create = user_create,
                                               .destroy = user_destroy,
                                               .any = user_call,
                                               .user = type};
    return 0;
}

const struct object_type *brood__user_type(struct slice name)
{
    for (size_t i = 0; i < type_count; i++)
        if (strlen(types[i].name) == name.size && memcmp(types[i].name, name.at, name.size) == 0) return &types[i];
    return NULL;
}
