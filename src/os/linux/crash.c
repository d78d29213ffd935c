/* SPDX-License-Identifier: MIT */
/*
 * crash.c - the last words of a process: who ends by a fault tells what it was, and where.
 *
 * The handlers run on a stack of their own, for the process's may be what is used up.  They stand only where the
 * program has none: one that it installed, before or later, is in charge.  After its last words the process ends by the
 * signal as if nobody had listened, so that its parent, and a core dump, see the truth.
 *
 * The way up the stack is libgcc's, which finds a function's unwind information by _dl_find_object: async-signal-safe
 * since glibc 2.35, without a lock or an allocation.  A stack too broken to walk ends the process inside of the
 * handler, by the same signal; what was told before that is told.
 */
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
#define FATAL (sizeof fatal / sizeof *fatal)
#define STACK_BYTES (64u * 1024u)

static void (*listener)(const struct os_crash *crash);
static pid_t owner; /* a child that the program forked itself has nothing to tell */

static uint64_t pc_of(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

/*
 * A call of what is no code (a null pointer, most often) ends where there is nothing to unwind.  Its return address is
 * where such a call leaves it; the context is set back to there, and so the way up begins in the caller.  If the stack
 * can't be read either, the process ends here, by the same signal.  Where it returns to; 0: pc is code.
 */
static uint64_t step_back(ucontext_t *context)
{
    uint64_t bias, back = 0;
    const char *path;
    if (brood__os_module_of(pc_of(context), &bias, &path)) return 0;
#if defined(__x86_64__)
    greg_t *at = context->uc_mcontext.gregs;
    memcpy(&back, (const void *)(uintptr_t)at[REG_RSP], sizeof back);
    if (!brood__os_module_of(back, &bias, &path)) return 0;
    at[REG_RIP] = (greg_t)back;
    at[REG_RSP] += 8;
#elif defined(__aarch64__)
    back = context->uc_mcontext.regs[30];
    if (!brood__os_module_of(back, &bias, &path)) return 0;
    context->uc_mcontext.pc = back;
#endif
    return back;
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

void brood__os_usage(struct os_usage *usage)
{
    struct rusage used;
    memset(usage, 0, sizeof *usage);
    if (getrusage(RUSAGE_SELF, &used) < 0) return;
    usage->user_us = microseconds(used.ru_utime);
    usage->system_us = microseconds(used.ru_stime);
    usage->max_rss = (uint64_t)used.ru_maxrss * 1024u;
}

static void crashed(int signal, siginfo_t *info, void *context)
{
    struct os_crash crash = {.signal = signal, .code = info->si_code, .pc = pc_of(context), .context = context};
    int saved = errno;
    bool fault = info->si_code > 0; /* the kernel's; else somebody sent it */
    if (fault) crash.address = (uint64_t)(uintptr_t)info->si_addr;
    if (owner == getpid()) {
        brood__os_usage(&crash.usage);
        listener(&crash);
    }
    errno = saved;
    /* SA_RESETHAND: a fault comes again when we return, and ends us; what would not come has to be sent again. */
    if (!fault || signal == SIGTRAP || signal == SIGSYS) raise(signal);
}

int brood__os_on_crash(void (*tell)(const struct os_crash *crash))
{
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -errno;
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK_BYTES}, before;
    if (sigaltstack(NULL, &before) == 0 && !(before.ss_flags & SS_DISABLE))
        munmap(stack, STACK_BYTES); /* the program has one */
    else
        sigaltstack(&alternate, NULL);
    listener = tell;
    owner = getpid();
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    for (size_t i = 0; i < FATAL; i++) {
        struct sigaction its;
        if (sigaction(fatal[i], NULL, &its) < 0 || (its.sa_flags & SA_SIGINFO)) continue;
        if (its.sa_handler == SIG_DFL) sigaction(fatal[i], &action, NULL);
    }
    return 0;
}

struct walk {
    uint64_t from, *pcs;
    size_t count, most;
    bool begun;
};

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *of)
{
    struct walk *walk = of;
    uint64_t pc = (uint64_t)_Unwind_GetIP(context);
    if (pc == walk->from) walk->begun = true;
    if (walk->begun && walk->count < walk->most && pc) walk->pcs[walk->count++] = pc;
    return walk->count < walk->most ? _URC_NO_REASON : _URC_END_OF_STACK;
}

size_t brood__os_backtrace(const struct os_crash *crash, uint64_t *pcs, size_t most)
{
    ucontext_t *context = crash->context;
    mcontext_t before = context->uc_mcontext;
    uint64_t back = step_back(context);
    struct walk walk = {.from = back ? back : crash->pc, .pcs = pcs, .most = most};
    if (back && most) pcs[walk.count++] = crash->pc;
    _Unwind_Backtrace(step, &walk);
    context->uc_mcontext = before;
    return walk.count;
}

bool brood__os_module_of(uint64_t pc, uint64_t *bias, const char **path)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)pc, &found) != 0 || !found.dlfo_link_map) return false;
    *bias = (uint64_t)found.dlfo_link_map->l_addr;
    *path = found.dlfo_link_map->l_name ? found.dlfo_link_map->l_name : "";
    return true;
}
