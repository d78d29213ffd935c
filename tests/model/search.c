/* SPDX-License-Identifier: MIT */
/*
 * search.c - depth first through all that can happen, by saved states: the lines of memory that are written, the stacks,
 * and struct machine.  A state is known by a hash of 64 bits.
 */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { RUN, KILL, KERNEL, DEADLINE, SIGNAL, FLUSH };
struct choice {
    uint8_t kind, process, which;
};
#define MOST_CHOICES 40u

struct frame {
    size_t saved, size; /* in `bytes` */
    struct choice choice[MOST_CHOICES];
    uint32_t choices, next;
};

static struct frame *frames;
static size_t frame_count, frame_room;
static char *bytes;
static size_t bytes_room;

static uint64_t *known;
static uint64_t known_room, known_count;

/* ------------------------------------------------------------------------------------------------ states */

#define MOST_BYTES (256u * 1024u)

static size_t save(char *to)
{
    char *at = to;
    memcpy(at, &machine, sizeof machine);
    at += sizeof machine;
    at += memory_save(at);
    for (int p = 0; p < MODEL_MOST; p++) {
        enum status status = machine.process[p].status;
        if (status == UNUSED || status >= DONE) continue;
        char *low, *high;
        coroutine_bounds(p, &low, &high);
        memcpy(at, low, (size_t)(high - low));
        at += high - low;
    }
    return (size_t)(at - to);
}

static size_t lines_size;

static void restore(const char *from)
{
    memcpy(&machine, from, sizeof machine);
    from += sizeof machine;
    memory_restore(from);
    from += lines_size;
    for (int p = 0; p < MODEL_MOST; p++) {
        enum status status = machine.process[p].status;
        if (status == UNUSED || status >= DONE) continue;
        char *low, *high;
        coroutine_bounds(p, &low, &high);
        memcpy(low, from, (size_t)(high - low));
        from += high - low;
    }
}

static uint64_t hash_of(const char *from, size_t size)
{
    uint64_t lanes[4] = {0x243f6a8885a308d3u, 0x13198a2e03707344u, 0xa4093822299f31d0u, 0x082efa98ec4e6c89u}, b = size;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word, *a = &lanes[i / 8 % 4];
        memcpy(&word, from + i, 8);
        *a = (*a ^ word) * 0x9e3779b97f4a7c15u;
        *a ^= *a >> 29;
    }
    for (int i = 0; i < 4; i++) b = (b ^ lanes[i]) * 0x94d049bb133111ebu, b ^= b >> 30;
    b ^= b >> 31;
    b *= 0xbf58476d1ce4e5b9u;
    b ^= b >> 32;
    return b ? b : 1;
}

static bool add(uint64_t hash);

static void make_room(void)
{
    uint64_t *old = known, room = known_room;
    known_room = room ? room * 4 : 1 << 16;
    known = calloc(known_room, sizeof *known);
    if (!known) {
        fprintf(stderr, "model: out of memory\n");
        exit(2);
    }
    known_count = 0;
    for (uint64_t i = 0; i < room; i++)
        if (old[i]) add(old[i]);
    free(old);
}

/* Whether it is new. */
static bool add(uint64_t hash)
{
    if (known_count * 3 >= known_room * 2) make_room();
    uint64_t at = hash & (known_room - 1);
    for (; known[at]; at = (at + 1) & (known_room - 1))
        if (known[at] == hash) return false;
    known[at] = hash;
    known_count++;
    return true;
}

/* ------------------------------------------------------------------------------------------------ choices */

static bool enabled(int p)
{
    const struct process *it = &machine.process[p];
    switch (it->status) {
    case READY:
    case PLAIN: return true;
    case SPINNING: {
        uint32_t owner = *(volatile uint32_t *)it->word & OS_TID_MASK;
        return owner == 0 || owner == it->robust.tid;
    }
    case CHANGING: return it->poked;
    case IDLE:
        for (int q = 0; q < MODEL_MOST; q++)
            if (machine.process[q].status == DEAD && !machine.process[q].told) return true;
        return false;
    default: return false;
    }
}

static bool can_die(int p)
{
    enum status status = machine.process[p].status;
    if (scene->woken_die && !machine.process[p].woken) return false;
    return machine.deaths && (scene->mortal & 1u << p) && status >= READY && status <= IDLE;
}

static void choose(struct frame *f, enum kind kind, int p, uint32_t which)
{
    f->choice[f->choices++] = (struct choice){(uint8_t)kind, (uint8_t)p, (uint8_t)which};
}

/* All that can happen next; false: nothing that goes on by itself. */
static bool list_choices(struct frame *f)
{
    int last = machine.current;
    f->choices = f->next = 0;
    if (last >= 0 && machine.process[last].status == PLAIN) { /* nobody else sees what it is about to do */
        choose(f, RUN, last, 0);
        if (can_die(last)) choose(f, KILL, last, 0);
        return true;
    }
    bool last_could = last >= 0 && enabled(last), on = false;
    for (int p = 0; p < MODEL_MOST; p++) {
        const struct process *it = &machine.process[p];
        if (it->status == UNUSED) continue;
        bool runs = enabled(p) && (p == last || !last_could || machine.switches > 0);
        if (runs) choose(f, RUN, p, 0);
        if (it->status == DYING) choose(f, KERNEL, p, 0);
        on |= enabled(p) || it->status == DYING;
        if (it->status == SLEEPING && it->timed) choose(f, DEADLINE, p, 0), on = true;
        for (uint32_t i = 0; i < it->lates; i++)
            if (may_flush(p, i)) choose(f, FLUSH, p, i), on = true;
        if (it->status == SLEEPING && machine.signals) choose(f, SIGNAL, p, 0);
        if (can_die(p)) choose(f, KILL, p, 0);
    }
    return on;
}

static void apply(struct choice c)
{
    int p = c.process, last = machine.current;
    switch ((enum kind)c.kind) {
    case RUN:
        if (machine.switches != UNBOUNDED && last >= 0 && last != p && enabled(last)) machine.switches--;
        machine.current = p;
        machine.process[p].woken = 0;
        if (machine.process[p].status == CHANGING) machine.process[p].poked = 0;
        coroutine_resume(p);
        break;
    case KILL:
        machine.deaths--;
        if (machine.current == p) machine.current = -1;
        kernel_kill(p);
        break;
    case KERNEL: kernel_step(p); break;
    case DEADLINE: kernel_end_sleep(p, -ETIMEDOUT); break;
    case SIGNAL:
        machine.signals--;
        kernel_end_sleep(p, -EINTR);
        break;
    case FLUSH: flush(p, c.which); break;
    }
    if (machine.switches == UNBOUNDED && (machine.current < 0 || machine.process[machine.current].status != PLAIN))
        machine.current = -1;
    for (int q = 0; q < MODEL_MOST; q++)
        if (q != p && machine.process[q].watches) machine.process[q].poked = 1;
}

/* Nobody goes on by itself. */
static void check_end(void)
{
    for (int p = 0; p < MODEL_MOST && !failure; p++) {
        enum status status = machine.process[p].status;
        if (status == UNUSED || status == IDLE || status >= DONE) continue;
        if (status == SLEEPING && scene->may_stay && scene->may_stay(p)) continue;
        failure = status == SLEEPING   ? "a process sleeps, and nobody is left to wake it"
                  : status == SPINNING ? "a process waits for a latch that nobody releases"
                                       : "a process waits for a change, and nobody is left to make one";
    }
    if (!failure && scene->end) scene->end();
}

/* ------------------------------------------------------------------------------------------------ telling */

static void tell_step(int number, struct choice c, const struct process *before)
{
    static const char *const kinds[] = {"", "is killed", "(dead): the kernel", "deadline", "signal", "store is seen"};
    char program[256], command[400], line[200] = "";
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    extern char __executable_start;
    if (size > 0 && c.kind == RUN && before->at) {
        program[size] = 0;
        snprintf(command, sizeof command, "addr2line -fpse %s 0x%lx", program,
                 (unsigned long)((const char *)before->at - &__executable_start - 1));
        FILE *f = popen(command, "r");
        if (f && !fgets(line, sizeof line, f)) line[0] = 0;
        if (f) pclose(f);
        line[strcspn(line, "\n")] = 0;
    }
    printf("  %3d  %c %s%s\n", number, 'A' + c.process, kinds[c.kind], line);
}

static void tell(void)
{
    printf("%s: %s", scene->name, failure);
    if (failure_line) printf(" (line %d)", failure_line);
    printf("\n");
    static const char *const names[] = {"",        "ready",          "at a store", "asleep", "spinning",
                                        "waiting", "without deaths", "done",       "dying",  "dead"};
    char end[200] = "";
    for (int p = 0; p < MODEL_MOST; p++) {
        if (machine.process[p].status == UNUSED) continue;
        snprintf(end + strlen(end), sizeof end - strlen(end), " %c %s,", 'A' + p, names[machine.process[p].status]);
    }
    int number = 0;
    for (size_t i = 0; i < frame_count; i++) {
        const struct frame *f = &frames[i];
        if (f->next == 0) break;
        struct choice c = f->choice[f->next - 1];
        const struct machine *m = (const struct machine *)(const void *)(bytes + f->saved);
        tell_step(number++, c, &m->process[c.process]);
    }
    printf("  in the end:%s\n", end);
    fflush(stdout);
}

/* ------------------------------------------------------------------------------------------------ the search */

/* The state as it is now, with what can happen in it, if it is new. */
static void push(void)
{
    if (frame_count == frame_room) {
        frame_room = frame_room ? frame_room * 2 : 1024;
        frames = realloc(frames, frame_room * sizeof *frames);
    }
    size_t at = frame_count ? frames[frame_count - 1].saved + frames[frame_count - 1].size : 0;
    if (at + MOST_BYTES > bytes_room) {
        bytes_room = (at + MOST_BYTES) * 2;
        bytes = realloc(bytes, bytes_room);
    }
    struct frame *f = &frames[frame_count];
    f->saved = at;
    f->size = save(bytes + at);
    bool plain = machine.current >= 0 && machine.process[machine.current].status == PLAIN;
    if (!plain && !add(hash_of(bytes + at, f->size))) return;
    frame_count++;
    if (!list_choices(f)) check_end();
}

static void begin(void)
{
    memset(&machine, 0, sizeof machine);
    machine.current = -1;
    machine.deaths = scene->deaths;
    machine.signals = scene->signals;
    machine.switches = scene->switches;
    memory_restore(NULL);
    static struct os_robust_node heads[MODEL_MOST][8];
    for (int p = 0; p < MODEL_MOST; p++) {
        if (!scene->program[p]) continue;
        memset(heads[p], 0, sizeof heads[p]);
        struct os_robust_node *head = &heads[p][4];
        head->next = head;
        heads[p][3].next = head; /* its `prev` */
        static struct os_robust_node *pending[MODEL_MOST];
        pending[p] = NULL;
        memory_note(heads[p], sizeof heads[p], true, p);
        memory_note(&pending[p], sizeof pending[p], true, p);
        machine.process[p].robust = (struct os_robust){
            .head = head, .pending = (struct os_robust_node *volatile *)&pending[p], .tid = 1000u + (uint32_t)p};
        coroutine_begin(p, scene->program[p]);
        if (failure) return;
    }
    frame_count = 0;
    known_count = 0;
    free(known);
    known = NULL;
    known_room = 0;
    char *probe = malloc(MOST_BYTES);
    lines_size = memory_save(probe);
    free(probe);
}

uint64_t model_explore(const struct scene *which, uint64_t most, bool *failed)
{
    scene = which;
    failure = NULL;
    failure_line = 0;
    memory_begin();
    if (scene->set_up) scene->set_up();
    begin();
    memory_grew();
    begin();
    push();
    while (frame_count && !failure) {
        struct frame *f = &frames[frame_count - 1];
        if (f->next == f->choices) {
            frame_count--;
            continue;
        }
        restore(bytes + f->saved);
        apply(f->choice[f->next++]);
        if (!failure && memory_grew()) { /* anew, with what is known now */
            begin();
            push();
            continue;
        }
        if (!failure) push();
        if (known_count > most) failure = "too many states";
    }
    *failed = failure != NULL;
    if (failure) tell();
    uint64_t count = known_count;
    return count;
}
