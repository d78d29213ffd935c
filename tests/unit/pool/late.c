/* SPDX-License-Identifier: MIT */
/* What is heard of a worker comes late at times: another has its slot in the process table by then. */
#include "arena/member.h"
#include "common.h"
#include "pool/pool.h"
#include "pool/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

BROOD_TASK(pid, pid_t, int, unused)
{
    (void)unused;
    return getpid();
}
BROOD_TASK(nothing, void, void) {}

static bool is_starting(uint32_t member, uint32_t generation)
{
    uint64_t word = atomic_load(&brood__member_at(member)->slot.word);
    return SLOT_STATE(word) == SLOT_INIT && SLOT_GENERATION(word) == generation;
}

/* The index of the only member in this role. */
static uint32_t member_in(enum member_role role)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < brood__table_used(TABLE_MEMBER); i++) {
        const struct member_shm *m = brood__member_at(i);
        if (SLOT_STATE(atomic_load(&((struct member_shm *)(uintptr_t)m)->slot.word)) == SLOT_LIVE && m->role == role)
            found = i;
    }
    ck_assert_uint_ne(found, 0);
    return found;
}

/* A copy of the descriptor by which it talks with the supervisor: of its sockets of messages the one that has a peer. */
static int channel_of(pid_t template)
{
    int pidfd = (int)syscall(SYS_pidfd_open, template, 0), type, listens;
    ck_assert_int_ge(pidfd, 0);
    for (int n = 3; n < 256; n++) {
        int fd = (int)syscall(SYS_pidfd_getfd, pidfd, n, 0);
        if (fd < 0) continue;
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens) {
            close(pidfd);
            return fd;
        }
        close(fd);
    }
    ck_abort_msg("a template without a channel");
}

/* It waits for the next word: of the worker that it forked it has told by now, however early that worker answered. */
static void let_it_tell(pid_t template)
{
    char path[64], stat[512], *end = NULL;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)template);
    while (!end || strncmp(end, ") S", 3) != 0) {
        FILE *file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        stat[fread(stat, 1, sizeof stat - 1, file)] = 0;
        fclose(file);
        end = strrchr(stat, ')');
        poll(NULL, 0, 1);
    }
}

/* Each is started and seen to end by the supervisor, which looks at all that it was sent meanwhile. */
static void let_it_look(void)
{
    brood_process process;
    for (int i = 0; i < 3; i++) {
        brood_test_ok(brood_process_start_with(&process, nothing, NULL, .method = BROOD_START_SPAWN));
        brood_test_ok(brood_process_join(process, BROOD_FOREVER, NULL));
        brood_test_ok(brood_process_free(process));
    }
}

/* A process that is no more; its number is nobody's for a while. */
static pid_t gone(void)
{
    pid_t child = fork();
    if (child == 0) _exit(0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    return child;
}

/*
 * A worker is killed while its template stands still; when that has the word to fork the next one into the same slot, it
 * says something of the one before.
 */
static void tell_late(int value)
{
    brood_pool pool;
    pid_t before, after;
    brood_test_ok(brood_pool_new(&pool, &(brood_pool_options){.workers = 1, .method = BROOD_START_FORK}));
    brood_test_ok(brood_pool_apply(pool, pid, &(int){0}, &before));
    uint32_t worker = member_in(ROLE_WORKER), generation = brood__member_generation(worker);
    pid_t template = brood__member_at(member_in(ROLE_TEMPLATE))->pid;
    int channel = channel_of(template);
    let_it_tell(template);
    ck_assert_int_eq(kill(template, SIGSTOP), 0);
    ck_assert_int_eq(kill(before, SIGKILL), 0);
    while (!is_starting(worker, generation + 1)) poll(NULL, 0, 1);
    struct template_message late = {
        .kind = TEMPLATE_FORKED, .member = worker, .value = value, .generation = generation};
    ck_assert_int_eq(send(channel, &late, sizeof late, 0), sizeof late);
    close(channel);
    let_it_look();
    ck_assert(is_starting(worker, generation + 1));
    ck_assert_int_eq(kill(template, SIGCONT), 0);
    brood_test_ok(brood_pool_apply(pool, pid, &(int){0}, &after));
    ck_assert_int_eq(brood__member_at(worker)->pid, after);
    ck_assert_uint_eq(brood__member_generation(worker), generation + 1);
    brood_test_ok(brood_pool_free(pool));
}

START_TEST(a_late_word_of_the_one_before_is_no_death)
{
    tell_late(gone());
}
END_TEST

START_TEST(a_late_word_of_a_fork_that_failed_is_no_failed_start)
{
    tell_late(-EAGAIN);
}
END_TEST

/* The program, begun while the test has this descriptor, writes its number there and goes no further. */
enum { GATE = 200 };
__attribute__((constructor)) static void stop_at_the_gate(void)
{
    const char *path = getenv("BROOD_TEST_GATE");
    int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    dprintf(fd, "%d\n", (int)getpid());
    for (;;) pause();
}

/*
 * A worker that its pool gave up before it was a member ends, while nothing can be told of deaths, since a pool is being
 * freed: that end is no member's, and not the end of the worker that gets the slot.
 */
START_TEST(the_end_of_one_that_never_was_is_no_death)
{
    brood_pool first, second, freed;
    char line[32] = "", gate[64];
    pid_t before, after;
    brood_test_ok(brood_fini());
    snprintf(gate, sizeof gate, "/proc/%d/fd/%d", (int)getpid(), GATE);
    setenv("BROOD_TEST_GATE", gate, 1);
    brood_test_ok(brood_init(NULL, NULL));
    let_it_look(); /* the supervisor is there: all that it starts has its environment */
    int file = memfd_create("gate", MFD_CLOEXEC);
    ck_assert_int_eq(dup3(file, GATE, O_CLOEXEC), GATE);
    close(file);
    brood_test_ok(brood_pool_new(&freed, &(brood_pool_options){.workers = 1, .method = BROOD_START_THREAD}));
    brood_test_ok(brood_pool_new(&first, &(brood_pool_options){.workers = 1, .method = BROOD_START_SPAWN}));
    while (!strchr(line, '\n'))
        if (pread(GATE, line, sizeof line - 1, 0) <= 0) poll(NULL, 0, 1);
    close(GATE);
    int error, pidfd = (int)syscall(SYS_pidfd_open, atoi(line), 0);
    ck_assert_int_ge(pidfd, 0);
    struct pool_shm *pool = brood__pool_find(first.id, &error);
    uint32_t slot = atomic_load(&brood__pool_seat(pool, 0)->member);
    ck_assert(is_starting(slot, brood__member_generation(slot)));

    _Atomic uint64_t *word = &brood__pool_find(freed.id, &error)->slot.word;
    uint64_t live = atomic_load(word);
    atomic_store(word, SLOT_WORD(SLOT_GENERATION(live), SLOT_FREEING, SLOT_OWNER(live)));
    brood_test_ok(brood_pool_free(first));
    ck_assert_int_eq(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1), 1);
    close(pidfd);
    atomic_store(&brood__arena()->tables[TABLE_MEMBER].hint, slot);
    brood_test_ok(brood_pool_new(&second, &(brood_pool_options){.workers = 1, .method = BROOD_START_SPAWN}));
    brood_test_ok(brood_pool_apply(second, pid, &(int){0}, &before));
    ck_assert_uint_eq(member_in(ROLE_WORKER), slot);
    atomic_store(word, live);
    let_it_look();
    brood_test_ok(brood_pool_apply(second, pid, &(int){0}, &after));
    ck_assert_int_eq(before, after);
    ck_assert(!atomic_load(&brood__member_at(slot)->repaired));
    ck_assert_uint_eq(member_in(ROLE_WORKER), slot);
    brood_test_ok(brood_pool_free(second));
    brood_test_ok(brood_pool_free(freed));
}
END_TEST

static Suite *late_suite(void)
{
    Suite *suite = suite_create("pool/late");
    TCase *late = brood_test_case(suite, "late");
    tcase_add_test(late, a_late_word_of_the_one_before_is_no_death);
    tcase_add_test(late, a_late_word_of_a_fork_that_failed_is_no_failed_start);
    tcase_add_test(late, the_end_of_one_that_never_was_is_no_death);
    return suite;
}

BROOD_TEST_MAIN(late_suite)
