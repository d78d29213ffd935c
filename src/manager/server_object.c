/* SPDX-License-Identifier: MIT */
/* server_object.c - memory that is counted, values, objects, and what each client has of each; rules in server.h. */
#include "manager/server.h"

#include "call/error.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------------------ memory */

struct piece {
    _Alignas(16) size_t size;
};

static bool is_room(struct server *s, size_t size)
{
    if (size <= s->setup.memory && s->bytes <= s->setup.memory - size) return true;
    brood__fail_with(BROOD_ENOMEM, "the manager keeps %zu bytes, and %zu more are too much", s->bytes, size);
    return false;
}

void *brood__keep(struct server *s, size_t size)
{
    struct piece *piece = is_room(s, size) ? malloc(sizeof *piece + size) : NULL;
    if (!piece) return NULL;
    piece->size = size;
    s->bytes += size;
    return piece + 1;
}

void *brood__keep_more(struct server *s, void *memory, size_t size)
{
    if (!memory) return brood__keep(s, size);
    struct piece *piece = (struct piece *)memory - 1;
    size_t before = piece->size;
    if (size > before && !is_room(s, size - before)) return NULL;
    piece = realloc(piece, sizeof *piece + size);
    if (!piece) return NULL;
    piece->size = size;
    s->bytes += size - before;
    return piece + 1;
}

void brood__drop(struct server *s, void *memory)
{
    if (!memory) return;
    struct piece *piece = (struct piece *)memory - 1;
    s->bytes -= piece->size;
    free(piece);
}

/* ------------------------------------------------------------------------------------------------------------ values */

struct referring {
    struct server *s;
    int change; /* +1, -1 */
    size_t count, most;
};

static int each_handle(void *context, uint64_t id)
{
    struct referring *r = context;
    if (!(id & OBJECT_BIT)) return 0;
    if (r->count++ == r->most) return 1;
    struct object *o = brood__object_find(r->s, id);
    if (!o) return BROOD_ESTALE;
    if (r->change > 0)
        brood__refer(o);
    else
        brood__refer_no_more(r->s, o);
    return 0;
}

static int change_references(struct server *s, const struct value *v, int change)
{
    struct referring r = {s, change, 0, SIZE_MAX};
    const unsigned char *at = v->bytes;
    int error = brood__value_walk(&at, v->bytes + v->size, each_handle, &r);
    if (error == 0 || change < 0) return error;
    struct referring back = {s, -1, 0, r.count - 1};
    at = v->bytes;
    brood__value_walk(&at, v->bytes + v->size, each_handle, &back);
    return error;
}

static int is_handle(void *context, uint64_t id)
{
    (void)context;
    return id & OBJECT_BIT ? 1 : 0;
}

int brood__value_keep(struct server *s, struct slice bytes, struct value **value)
{
    struct value *v = brood__keep(s, sizeof *v + bytes.size);
    if (!v) return BROOD_ENOMEM;
    const unsigned char *at = v->bytes;
    v->size = bytes.size;
    memcpy(v->bytes, bytes.at, bytes.size);
    v->handles = brood__value_walk(&at, v->bytes + v->size, is_handle, NULL) != 0;
    int error = v->handles ? change_references(s, v, 1) : 0;
    if (error < 0) {
        brood__drop(s, v);
        return brood__fail_with(BROOD_ESTALE, "a handle in it names no object of this manager");
    }
    *value = v;
    return 0;
}

void brood__value_drop(struct server *s, struct value *v)
{
    if (!v) return;
    if (v->handles) change_references(s, v, -1);
    brood__drop(s, v);
}

/* ----------------------------------------------------------------------------------------------------------- objects */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

bool brood__tables_new(struct server *s)
{
    s->table_size = s->shares_size = 1024;
    s->table = calloc(s->table_size, sizeof(struct object *));
    s->shares = calloc(s->shares_size, sizeof(struct share *));
    return s->table && s->shares;
}

static void grow_table(struct server *s)
{
    size_t size = s->table_size * 2;
    struct object **table = calloc(size, sizeof *table);
    if (!table) return; /* longer chains, then */
    for (size_t i = 0; i < s->table_size; i++) {
        for (struct object *o = s->table[i], *next; o; o = next) {
            struct object **place = &table[mix(o->id) & (size - 1)];
            next = o->next;
            o->next = *place;
            *place = o;
        }
    }
    free(s->table);
    s->table = table;
    s->table_size = size;
}

struct object *brood__object_find(struct server *s, uint64_t id)
{
    struct object *o = s->table[mix(id) & (s->table_size - 1)];
    while (o && o->id != id) o = o->next;
    return o;
}

int brood__object_new(struct request *r, const struct object_type *type, struct object **object)
{
    struct server *s = r->s;
    if (s->object_count > s->table_size) grow_table(s);
    struct object *o = brood__keep(s, type->size);
    if (!o) return BROOD_ENOMEM;
    memset(o, 0, type->size);
    o->type = type;
    int error = type->create(r, o);
    if (error < 0) {
        if (type->destroy) type->destroy(s, o);
        brood__drop(s, o);
        return error;
    }
    o->id = s->next_id++;
    o->references = 1;
    struct object **place = &s->table[mix(o->id) & (s->table_size - 1)];
    o->next = *place;
    *place = o;
    s->object_count++;
    *object = o;
    return 0;
}

void brood__refer(struct object *o)
{
    o->references++;
}

void brood__refer_no_more(struct server *s, struct object *o)
{
    if (--o->references) return;
    struct object **place = &s->table[mix(o->id) & (s->table_size - 1)];
    while (*place != o) place = &(*place)->next;
    *place = o->next;
    s->object_count--;
    o->next = s->dead;
    s->dead = o;
}

static void remove_share(struct server *s, struct share *share);

void brood__object_bury(struct server *s)
{
    while (s->dead) {
        struct object *o = s->dead;
        s->dead = o->next;
        for (struct object **place = &s->due; o->due && *place; place = &(*place)->next_due) {
            if (*place != o) continue;
            *place = o->next_due;
            break;
        }
        while (o->shares) remove_share(s, o->shares);
        for (unsigned line = 0; line < LINES; line++) {
            while (o->lines[line].first) {
                struct request *r = o->lines[line].first;
                struct client *c = r->c;
                uint64_t serial = r->serial;
                brood__request_drop(r);
                brood__say_nothing();
                brood__client_answer(c, serial, BROOD_ESTALE);
            }
        }
        if (o->type->destroy) o->type->destroy(s, o);
        brood__drop(s, o);
    }
}

/* ------------------------------------------------------------------------------------------------------------ shares */

static struct share **share_place(struct server *s, const struct client *c, const struct object *o)
{
    return &s->shares[mix(o->id + c->number * 0x51ed270b) & (s->shares_size - 1)];
}

struct share *brood__share_find(struct server *s, const struct client *c, const struct object *o)
{
    struct share *share = *share_place(s, c, o);
    while (share && (share->c != c || share->o != o)) share = share->next;
    return share;
}

static void grow_shares(struct server *s)
{
    size_t size = s->shares_size * 2;
    struct share **old = s->shares, **shares = calloc(size, sizeof *shares);
    if (!shares) return;
    size_t old_size = s->shares_size;
    s->shares = shares;
    s->shares_size = size;
    for (size_t i = 0; i < old_size; i++) {
        for (struct share *share = old[i], *next; share; share = next) {
            struct share **place = share_place(s, share->c, share->o);
            next = share->next;
            share->next = *place;
            *place = share;
        }
    }
    free(old);
}

struct share *brood__share(struct server *s, struct client *c, struct object *o)
{
    struct share *share = brood__share_find(s, c, o);
    if (share) return share;
    if (c->share_count >= s->setup.objects) {
        brood__fail_with(BROOD_ENOMEM, "this client has %zu objects, as many as it may", c->share_count);
        return NULL;
    }
    if (s->share_count > s->shares_size) grow_shares(s);
    share = brood__keep(s, sizeof *share);
    if (!share) return NULL;
    struct share **place = share_place(s, c, o);
    *share = (struct share){.c = c, .o = o, .next = *place};
    *place = share;
    share->next_of_client = c->shares;
    share->place_of_client = &c->shares;
    if (c->shares) c->shares->place_of_client = &share->next_of_client;
    c->shares = share;
    share->next_of_object = o->shares;
    share->place_of_object = &o->shares;
    if (o->shares) o->shares->place_of_object = &share->next_of_object;
    o->shares = share;
    c->share_count++;
    s->share_count++;
    return share;
}

static void remove_share(struct server *s, struct share *share)
{
    struct share **place = share_place(s, share->c, share->o);
    while (*place != share) place = &(*place)->next;
    *place = share->next;
    *share->place_of_client = share->next_of_client;
    if (share->next_of_client) share->next_of_client->place_of_client = share->place_of_client;
    *share->place_of_object = share->next_of_object;
    if (share->next_of_object) share->next_of_object->place_of_object = share->place_of_object;
    share->c->share_count--;
    s->share_count--;
    brood__drop(s, share);
}

void brood__share_settle(struct server *s, struct share *share)
{
    if (share && share->holds == 0 && share->units == 0) remove_share(s, share);
}

void brood__object_gone(struct client *c)
{
    struct server *s = c->s;
    for (struct share *share = c->shares, *next; share; share = next) {
        struct object *o = share->o;
        next = share->next_of_client;
        uint64_t units = share->units, holds = share->holds;
        remove_share(s, share);
        if (units && o->type->gone && o->references) o->type->gone(s, o, c, units);
        for (; holds; holds--) brood__refer_no_more(s, o);
    }
}
