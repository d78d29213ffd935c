/* SPDX-License-Identifier: MIT */
/*
 * robust.c - the words that the kernel marks, and whose sleepers it wakes, when this thread dies.
 *
 * The kernel knows one list for each thread, which the C library has registered for its own robust mutexes.  We never
 * replace it: we borrow the field for the word in question (announce) and put our words on it beside the mutexes.
 * glibc's list is doubly linked, though the kernel knows `next` only, and glibc writes its neighbours' links:
 *
 *      word            +0   the futex word (the offset in the list's head, -32, leads from the node to it)
 *      prev            +24  the node before, or the head
 *      node: next      +32  the node behind, or the head; bit 0 set if the one it leads to is a PI mutex
 *
 * So our nodes have glibc's shape, and both ends of every link are right whenever a call of glibc's can look at them:
 * a robust pthread mutex may be locked and unlocked while our words are listed, in any order.
 *
 * Signals: link takes over the `prev` of the node that was first, and unlink gives it back, instead of presuming that
 * it is the head.  A handler that links and unlinks thus leaves everything as it found it, even if it interrupted
 * glibc (or us) halfway through the same.  Stores are volatile and in program order: the thread that dies and the
 * kernel that reads are on one processor, so the compiler is all there is to hold back.
 *
 * Fork: the child's thread has another id, and the C library empties the child's list; forget, then prepare again.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

#if defined(__GLIBC__) && defined(__LP64__)
#define HAVE_DOUBLE_LIST 1
_Static_assert(offsetof(pthread_mutex_t, __data.__list.__next) == OS_ROBUST_NODE, "where glibc has its node");
_Static_assert(offsetof(pthread_mutex_t, __data.__list.__prev) == OS_ROBUST_NODE - sizeof(void *), "prev, then next");
#else
#define HAVE_DOUBLE_LIST 0
#endif
_Static_assert(offsetof(struct robust_list_head, list) == 0, "the head is the node of an empty list");
_Static_assert(sizeof(struct os_robust_node) == sizeof(struct robust_list), "the kernel's node");

/* The kernel goes no further either. */
#define LIST_LIMIT 2048

typedef struct os_robust_node *volatile link_field;

_Thread_local struct os_robust brood__os_robust __attribute__((tls_model("initial-exec")));

int brood__os_robust_prepare(void)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;
    if (!HAVE_DOUBLE_LIST || syscall(SYS_get_robust_list, 0, &head, &size) < 0 || !head) return -ENOSYS;
    if (head->futex_offset != -OS_ROBUST_NODE || size != sizeof *head) return -ENOSYS;

    brood__os_robust.head = (struct os_robust_node *)(void *)&head->list;
    brood__os_robust.pending = (link_field *)(void *)&head->list_op_pending;
    brood__os_robust.tid = (uint32_t)syscall(SYS_gettid);
    return 0;
}

void brood__os_robust_forget(void)
{
    brood__os_robust.tid = 0;
    brood__os_robust.announced = NULL;
    if (brood__os_robust.pending) *brood__os_robust.pending = NULL; /* what the parent's thread had announced */
}

static struct os_robust_node *node_of(void *word)
{
    return (struct os_robust_node *)(void *)((char *)word + OS_ROBUST_NODE);
}

static link_field *next_of(struct os_robust_node *node)
{
    return &node->next;
}

static link_field *prev_of(struct os_robust_node *node)
{
    return (link_field *)(void *)((char *)node - sizeof(void *));
}

/* The node a link leads to, without the mark of a PI mutex. */
static struct os_robust_node *target(struct os_robust_node *link)
{
    return (struct os_robust_node *)((uintptr_t)link & ~(uintptr_t)1);
}

void brood__os_robust_link(void *word)
{
    struct os_robust_node *node = node_of(word), *head = brood__os_robust.head;
    struct os_robust_node *first = *next_of(head);

    *prev_of(node) = *prev_of(target(first));
    *prev_of(target(first)) = node;
    *next_of(node) = first;
    atomic_signal_fence(memory_order_seq_cst); /* complete before it is on the list */
    *next_of(head) = node;
    atomic_signal_fence(memory_order_seq_cst);
}

void brood__os_robust_unlink(void *word)
{
    struct os_robust_node *node = node_of(word), *head = brood__os_robust.head, *before = head;
    for (int i = 0; target(*next_of(before)) != node; i++) {
        before = target(*next_of(before));
        if (!before || before == head || i == LIST_LIMIT) return;
    }

    struct os_robust_node *after = *next_of(node);
    atomic_signal_fence(memory_order_seq_cst);
    *next_of(before) = after;
    *prev_of(target(after)) = *prev_of(node);
    atomic_signal_fence(memory_order_seq_cst); /* off the list before the word is released */
}

static bool is_listed(struct os_robust_node *node)
{
    struct os_robust_node *head = brood__os_robust.head, *at = target(*next_of(head));
    for (int i = 0; at && at != head && i < LIST_LIMIT; i++, at = target(*next_of(at)))
        if (at == node) return true;
    return false;
}

void *brood__os_robust_keep(void *word)
{
    struct os_robust_node *node = node_of(word);
    uint32_t value = atomic_load_explicit((os_word *)word, memory_order_relaxed);
    if ((value & OS_TID_MASK) != brood__os_robust.tid || is_listed(node)) return word;
    /* A signal handler that interrupted the linking of this very word can't make it twice, nor half. */
    if (*prev_of(target(*next_of(brood__os_robust.head))) == node) return word;
    brood__os_robust_link(word);
    return (void *)((uintptr_t)word | OS_LISTED);
}
