/* SPDX-License-Identifier: MIT */
/* family.c - members on command, their deaths, and what must be left of them; see family.h. */
#include "family.h"

#include "arena/member.h"
#include "call/module.h"
#include "process/repair.h"
#include "process/supervisor.h"
#include "scene.h"
#include "sync/wait.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARENA_BYTES = 64 << 20,
    POSTS = MATES + 4,
    LOST_MS = 500,    /* a sleeper that should be awake and is asleep after so long would sleep until the slow tick */
    STUCK_MS = 15000, /* for those who are awake, on a machine that may be busy */
};

static struct post *posts; /* of the mates, then of victims in turn */
static struct proc mates[MATES];
static struct self me; /* what children take over, for their own page is wiped */
static uint64_t pages_at_start;
static unsigned slots_at_start[TABLE_COUNT];

int64_t now_ms(void)
{
    return brood__os_now() / 1000000;
}

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* ------------------------------------------------------------------------------------------------ the processes */

static struct post *free_post(void)
{
    static unsigned turn;
    return &posts[MATES + turn++ % (POSTS - MATES)];
}

static int open_proc(const struct proc *p, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)p->pid, (int)p->tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) give_up(path);
    return fd;
}

bool proc_join(const struct proc *p)
{
    *brood__self = me;
    brood__os_robust_forget();
    return brood__os_robust_prepare() == 0 && brood__member_attach(p->member, brood__member_generation(p->member));
}

bool proc_fork(struct proc *p, bool join)
{
    *p = (struct proc){.post = p->post ? p->post : free_post()};
    if (brood__member_claim("crash", ROLE_PROCESS, BROOD_START_FORK, false, &p->member) < 0) give_up("claim");
    memset(p->post, 0, sizeof *p->post);
    pid_t parent = getpid();
    p->pid = p->tid = fork();
    if (p->pid < 0) give_up("fork");
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || (join && !proc_join(p))) _exit(EXIT_FAILURE);
        return true;
    }
    p->stat_fd = open_proc(p, "stat");
    p->syscall_fd = open_proc(p, "syscall");
    return false;
}

void proc_turns_to(struct proc *p, pid_t tid)
{
    close(p->stat_fd);
    close(p->syscall_fd);
    p->tid = tid;
    p->stat_fd = open_proc(p, "stat");
    p->syscall_fd = open_proc(p, "syscall");
}

void proc_kill(struct proc *p)
{
    int status;
    kill(p->pid, SIGKILL);
    while (p->tid != p->pid && waitpid(p->tid, &status, __WALL) >= 0 && !WIFSIGNALED(status)) continue;
    do {
        if (waitpid(p->pid, &status, 0) < 0) give_up("waitpid");
    } while (!WIFSIGNALED(status) && !WIFEXITED(status));
    close(p->stat_fd);
    close(p->syscall_fd);
    p->pid = 0;
}

static bool read_proc(int fd, char *text, size_t capacity)
{
    ssize_t size = pread(fd, text, capacity - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

/*
 * The state first: one that is being resumed from a stop still shows the system call it stopped at, but not "S".  The
 * call second: the kernel shows it of a process only that is off its processor, so it has queued itself by then.
 */
bool proc_asleep(const struct proc *p)
{
    char text[512];
    if (!read_proc(p->stat_fd, text, sizeof text)) return false;
    const char *end = strrchr(text, ')');
    if (!end || strncmp(end, ") S", 3) != 0) return false;
    if (!read_proc(p->syscall_fd, text, sizeof text)) return false;
    long number = -1;
    unsigned long address = 0;
    if (sscanf(text, "%ld %lx", &number, &address) != 2) return false;      /* "running" */
    if (number == SYS_epoll_wait || number == SYS_futex_waitv) return true; /* the latter only for words of the arena */
    return number == SYS_futex && address - (uintptr_t)brood__arena() < brood__self->size;
}

/* ------------------------------------------------------------------------------------------------- their deaths */

void bury_begin(uint32_t member)
{
    struct member_shm *m = brood__member_at(member);
    brood__member_ended(member, ENDED_SIGNAL, SIGKILL);
    atomic_store(&m->gone, 1);
    if (atomic_load(&m->bell.word)) brood__os_futex_clear_and_wake(&m->bell.word);
}

/* Be one; the answer is what this process was. */
static struct self as_supervisor(void)
{
    struct self was = *brood__self;
    brood__self->supervisor = true;
    brood__self->member = 0;
    brood__self->word_id = MEMBER_BIT | OWNER_SUPERVISOR;
    return was;
}

int supervise(struct order *order)
{
    struct self was = as_supervisor();
    while (!brood__repair_member((uint32_t)order->number)) sched_yield();
    *brood__self = was;
    return 0;
}

int manage(struct order *order)
{
    struct self was = as_supervisor();
    (void)order;
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->manage) (*area)->manage();
    *brood__self = was;
    return 0;
}

unsigned requests(uint32_t kind)
{
    int connection, fds[OS_MAX_FDS];
    pid_t peer;
    unsigned n = 0;
    while (brood__os_accept(brood__self->listener, &connection, &peer) >= 0) {
        struct request request = {0};
        size_t count = OS_MAX_FDS;
        ssize_t size = brood__os_receive(connection, &request, sizeof request, fds, &count, 0);
        for (size_t i = 0; size >= 0 && i < count; i++) close(fds[i]);
        n += size == (ssize_t)sizeof request && request.kind == kind;
        close(connection);
    }
    return n;
}

void bury_end(uint32_t member)
{
    struct self was = as_supervisor();
    struct member_shm *m = brood__member_at(member);
    for (const struct area *const *area = brood__areas; *area; area++)
        if ((*area)->ended) (*area)->ended(member);
    atomic_store(&brood__arena()->supervisor.looks_at, 0);
    atomic_store(&m->repaired, 1);
    atomic_store(&m->released, 1);
    brood__member_collect(member);
    *brood__self = was;
}

static void repair(uint32_t member)
{
    struct self was = as_supervisor();
    int64_t start = now_ms();
    while (!brood__repair_member(member)) {
        if (now_ms() - start > STUCK_MS) {
            fail("the repair finds a latch held for ever");
            break;
        }
        sched_yield();
    }
    *brood__self = was;
}

void bury(uint32_t member)
{
    bury_begin(member);
    repair(member);
    bury_end(member);
}

void bury_again(uint32_t member)
{
    bury_begin(member);
    repair(member);
    brood__repair_ring_all();
    bury_end(member);
}

/* ----------------------------------------------------------------------------------------------------- the mates */

static _Noreturn void be_mate(struct post *post)
{
    for (uint32_t done = 0;;) {
        while (atomic_load(&post->given) == done) brood__os_futex_wait(&post->given, done, OS_NEVER);
        post->result = post->deed(&post->order);
        atomic_store(&post->done, ++done);
    }
}

static void give_way(unsigned n)
{
    if (n < 200)
        sched_yield();
    else
        brood__os_nap(50 * 1000);
}

struct proc *mate(unsigned i)
{
    struct proc *m = &mates[i];
    if (m->pid == 0) {
        m->post = &posts[i];
        if (proc_fork(m, true)) be_mate(m->post);
        struct slot_shm *slot = brood__slot_at(TABLE_MEMBER, m->member);
        for (unsigned n = 0; SLOT_STATE(atomic_load(&slot->word)) != SLOT_LIVE; n++) give_way(n);
    }
    return m;
}

bool mate_busy(unsigned i)
{
    return mates[i].pid != 0 && atomic_load(&mates[i].post->given) != atomic_load(&mates[i].post->done);
}

void mate_do(unsigned i, deed_fn *deed, uint64_t id)
{
    struct post *post = mate(i)->post;
    if (mate_busy(i)) {
        fail("mate %u is still busy", i);
        return;
    }
    post->deed = deed;
    post->order.id = id;
    post->order.made = 0;
    atomic_fetch_add(&post->given, 1);
    brood__os_futex_wake(&post->given, 1);
}

void mate_sleeps(unsigned i)
{
    int64_t start = now_ms();
    for (unsigned n = 0; !(mate_busy(i) && proc_asleep(&mates[i])); n++) {
        if (now_ms() - start > STUCK_MS) {
            fail("mate %u does not go to sleep", i);
            return;
        }
        give_way(n);
    }
}

void mate_sends_to_sleep(unsigned i, deed_fn *deed, uint64_t id)
{
    mate_do(i, deed, id);
    mate_sleeps(i);
}

void mates_settle(unsigned n)
{
    int64_t start = now_ms();
    for (unsigned i = 0, turns = 0; i < n; turns++) {
        if (!mate_busy(i) || proc_asleep(&mates[i])) {
            i++;
        } else if (now_ms() - start > STUCK_MS) {
            fail("mate %u neither sleeps nor comes back", i);
            return;
        } else {
            give_way(turns);
        }
    }
}

int mate_first(unsigned first, unsigned n)
{
    int64_t start = now_ms();
    for (unsigned turns = 0;; turns++) {
        bool all_asleep = true;
        for (unsigned i = first; i < first + n; i++)
            if (!mate_busy(i)) return (int)i;
        int64_t waited = now_ms() - start;
        if (waited > LOST_MS) {
            for (unsigned i = first; i < first + n; i++) all_asleep &= proc_asleep(&mates[i]);
            if (all_asleep || waited > STUCK_MS) {
                fail(all_asleep ? "LOST WAKE-UP: mate %u sleeps on" : "mate %u is stuck", first);
                return -1;
            }
        }
        give_way(turns);
    }
}

int mate_result(unsigned i)
{
    return mate_first(i, 1) < 0 ? NO_RESULT : mates[i].post->result;
}

void mate_ends(unsigned i)
{
    if (mates[i].pid == 0) return;
    proc_kill(&mates[i]);
    bury(mates[i].member);
}

/* ---------------------------------------------------------------------------------------------------- the family */

unsigned slots_in_use(enum table table)
{
    unsigned n = 0;
    uint32_t used = atomic_load(&brood__arena()->tables[table].used);
    for (uint32_t i = 1; i < used; i++) {
        enum slot_state state = SLOT_STATE(atomic_load(&brood__slot_at(table, i)->word));
        n += state != SLOT_FREE && state != SLOT_GARBAGE;
    }
    return n;
}

void next_claim_takes_garbage(enum table table)
{
    struct table_shm *t = &brood__arena()->tables[table];
    uint32_t used = atomic_load(&t->used);
    for (uint32_t i = 1; i < used; i++) {
        if (SLOT_STATE(atomic_load(&brood__slot_at(table, i)->word)) != SLOT_GARBAGE) continue;
        atomic_store(&t->hint, i);
        return;
    }
}

static unsigned mates_alive(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < MATES; i++) n += mates[i].pid != 0;
    return n;
}

/* Pages of runs that no garbage slot holds. */
static uint64_t pages_in_use(void)
{
    uint64_t pages = brood__arena()->pages.used;
    const struct page_shm *words = brood__at(brood__arena()->pages.table);
    for (enum table t = TABLE_LOCK; t < TABLE_COUNT; t++) {
        uint32_t used = atomic_load(&brood__arena()->tables[t].used);
        for (uint32_t i = 1; i < used; i++) {
            const struct slot_shm *slot = brood__slot_at(t, i);
            enum slot_state state = SLOT_STATE(atomic_load(&slot->word));
            if (slot->body == 0) continue;
            if (state == SLOT_FREE && t != TABLE_POOL) fail("free slot %u of table %u has a body", i, t);
            if (state != SLOT_GARBAGE) continue;
            pages -= (uint32_t)(words[(slot->body - brood__arena()->pages.heap) / PAGE_SIZE].word >> 32 & 0x7fffffff);
        }
    }
    return pages;
}

void family_check(void)
{
    for (unsigned i = 0; i < MATES; i++)
        if (mate_busy(i)) fail("mate %u is left in its call", i);
    if (failing()) return; /* someone may be stuck inside: don't join them */
    expect_is(atomic_load(&brood__ticks), 0);
    expect_is(brood__pages_check(), 0);
    expect_is(pages_in_use(), pages_at_start);
    for (enum table t = TABLE_MEMBER; t < TABLE_MODULE; t++) {
        unsigned slots = slots_in_use(t) - (t == TABLE_MEMBER ? mates_alive() : 0);
        if (slots != slots_at_start[t]) fail("table %u has %u slots in use, not %u", t, slots, slots_at_start[t]);
    }
}

void family_is_well(void)
{
    pages_at_start = pages_in_use();
    for (enum table t = TABLE_MEMBER; t < TABLE_MODULE; t++) slots_at_start[t] = slots_in_use(t);
}

void family_begin(void)
{
    if (!posts) {
        posts = mmap(NULL, POSTS * sizeof *posts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (posts == MAP_FAILED) give_up("mmap");
    }
    if (brood__arena_create(ARENA_BYTES) < 0 || brood__os_robust_prepare() < 0 || brood__member_found() < 0)
        give_up("family");
    size_t size = 0;
    if (brood__os_bell_sender(&brood__self->bell_sender) < 0) give_up("bell");
    if (brood__os_listen(&brood__self->listener, brood__arena()->listen_name, &size) < 0) give_up("listen");
    if (brood__os_lifeline_create(&brood__self->lifeline_hold, &brood__self->lifeline_watch) < 0) give_up("lifeline");
    brood__arena()->listen_size = size;
    brood__arena()->start_timeout = STUCK_MS;
    atomic_store(&brood__arena()->supervisor.word, SUPERVISOR_WORD(1, SUPERVISOR_RUNNING, 0));
    brood__tick_ns = (int64_t)3600 * 1000 * 1000 * 1000;
    me = *brood__self;
    family_is_well();
}

void family_end(void)
{
    for (unsigned i = 0; i < MATES; i++)
        if (mates[i].pid != 0) proc_kill(&mates[i]);
    brood__module_forget();
    brood__arena_detach();
}
