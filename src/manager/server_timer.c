/* SPDX-License-Identifier: MIT */
/* server_timer.c - when something is due: a heap, in which everybody knows its place. */
#include "manager/server.h"

#include <stdlib.h>

static void place_at(struct server *s, size_t i, struct timer timer)
{
    s->timers[i] = timer;
    if (timer.r)
        timer.r->timer = i;
    else
        timer.c->timer = i;
}

static void sink(struct server *s, size_t i, struct timer timer)
{
    for (size_t child; (child = 2 * i) <= s->timer_count; i = child) {
        if (child < s->timer_count && s->timers[child + 1].at < s->timers[child].at) child++;
        if (timer.at <= s->timers[child].at) break;
        place_at(s, i, s->timers[child]);
    }
    place_at(s, i, timer);
}

static void rise(struct server *s, size_t i, struct timer timer)
{
    for (; i > 1 && timer.at < s->timers[i / 2].at; i /= 2) place_at(s, i, s->timers[i / 2]);
    place_at(s, i, timer);
}

bool brood__timer_set(struct server *s, size_t *place, int64_t at, struct request *r, struct client *c)
{
    brood__timer_clear(s, place);
    if (at == OS_NEVER) return true;
    if (s->timer_count + 1 >= s->timer_room) {
        size_t room = s->timer_room ? 2 * s->timer_room : 64;
        struct timer *timers = realloc(s->timers, room * sizeof *timers);
        if (!timers) return false;
        s->timers = timers;
        s->timer_room = room;
    }
    rise(s, ++s->timer_count, (struct timer){at, r, c});
    return true;
}

void brood__timer_clear(struct server *s, size_t *place)
{
    size_t i = *place;
    if (i == 0) return;
    *place = 0;
    struct timer last = s->timers[s->timer_count--];
    if (i > s->timer_count) return;
    if (i > 1 && last.at < s->timers[i / 2].at)
        rise(s, i, last);
    else
        sink(s, i, last);
}

int64_t brood__timer_next(const struct server *s)
{
    return s->timer_count ? s->timers[1].at : OS_NEVER;
}

void brood__timer_run(struct server *s)
{
    while (s->timer_count && s->timers[1].at <= s->now) {
        struct timer timer = s->timers[1];
        if (timer.r) {
            brood__timer_clear(s, &timer.r->timer);
            brood__request_late(timer.r);
        } else {
            brood__timer_clear(s, &timer.c->timer);
            brood__client_late(timer.c);
        }
    }
}
