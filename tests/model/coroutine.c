/* SPDX-License-Identifier: MIT */
/* coroutine.c - a stack for each process, at a place that never changes, so that it can be saved as bytes. */
#include "machine.h"

#include <string.h>

#define STACK (64u * 1024u)
#define SWEPT 2048u /* bytes below a parked stack that are zeroed, so that what lies there does not tell states apart */

static char stacks[MODEL_MOST][STACK] __attribute__((aligned(64)));
static void *search_stack;
static void (*programs[MODEL_MOST])(void);
static struct self selves[MODEL_MOST];

/* Saves what a call must keep, changes stacks, and goes on there. */
void coroutine_switch(void **from, void *to);
__asm__(".text\n"
        ".type coroutine_switch, @function\n"
        "coroutine_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size coroutine_switch, . - coroutine_switch\n");

void coroutine_bounds(int p, char **low, char **high)
{
    *low = machine.process[p].stack;
    *high = stacks[p] + STACK;
}

void coroutine_park(enum status status, const void *at)
{
    struct process *p = &machine.process[running];
    p->status = status;
    p->at = at;
    p->robust = brood__os_robust;
    coroutine_switch(&p->stack, search_stack);
}

static void begin(void)
{
    int me = running;
    programs[me]();
    drain(me);
    coroutine_park(DONE, NULL);
    __builtin_unreachable();
}

void coroutine_resume(int p)
{
    static struct self *mine;
    char *low, *high;
    coroutine_bounds(p, &low, &high);
    memset(low - SWEPT, 0, SWEPT);
    mine = brood__self;
    brood__self = &selves[p];
    brood__os_robust = machine.process[p].robust;
    running = p;
    coroutine_switch(&search_stack, machine.process[p].stack);
    running = -1;
    brood__self = mine;
}

void coroutine_begin(int p, void (*program)(void))
{
    struct process *it = &machine.process[p];
    programs[p] = program;
    memset(stacks[p], 0, STACK);
    void **top = (void **)(void *)(stacks[p] + STACK) - 3; /* so that `begin` finds it aligned as after a call */
    *--top = (void *)(uintptr_t)begin;
    top -= 6;
    it->stack = top;
    it->status = READY;
    if (!selves[p].arena) {
        selves[p] = *brood__self;
        uint32_t index = model_member(p);
        selves[p].member = index;
        selves[p].word_id = MEMBER_BIT | index;
        selves[p].id = HANDLE(TABLE_MEMBER, index, brood__member_generation(index));
    }
    selves[p].supervisor = program == NULL;
}
