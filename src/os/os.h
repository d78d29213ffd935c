/* SPDX-License-Identifier: MIT */
/*
 * os.h - everything that Brood asks of an operating system, as obligations.
 *
 * This is the only door: no other folder includes a system header for memory objects, futexes, processes or sockets.
 * Implementations are twin folders with the same file names: linux/ now; posix/ (shm_open, pthread robust mutexes) and
 * windows/ (CreateFileMapping, WaitOnAddress, CreateProcess, CreateSemaphore and handles) have their seam here: what
 * is an int descriptor here is a handle there, and what is not possible answers -ENOSYS.
 *
 * Results: 0 or a count, or a negated errno.  Unless said otherwise a function is thread-safe, and async-signal-safe,
 * and allocates nothing from the heap.  Every descriptor is close-on-exec.  EINTR is retried inside, but for the futex.
 */
#ifndef BROOD_OS_H
#define BROOD_OS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ------------------------------------------------------------------------------------------------------- clock.c */

#define OS_NEVER INT64_MAX

/* Nanoseconds of a clock that never goes back and is the same in all processes. */
int64_t brood__os_now(void);
/* The instant `ms` milliseconds from now; OS_NEVER for a negative one or one beyond the clock's range. */
int64_t brood__os_deadline(int ms);
/* Milliseconds until the instant, rounded up, at least 0; -1 for OS_NEVER: what poll(2) takes. */
int brood__os_remaining(int64_t deadline);
/* Random bytes nobody can guess. */
int brood__os_random(void *bytes, size_t size);
/* Give the processor away once; pause for a few cycles; sleep about so long. */
void brood__os_yield(void);
void brood__os_nap(int64_t ns);
static inline void brood__os_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}
/* Processors this process may really use: min(affinity, ceil(cgroup v1 or v2 quota)), at least 1.  May read files. */
unsigned brood__os_cpu_count(void);

/* ------------------------------------------------------------------------------------------------------ memory.c */

/*
 * A nameless object of `size` bytes of zeroes, sparse, sealed so that its size never changes again; *fd is the
 * caller's.  RLIMIT_FSIZE is -EFBIG, never a signal.
 */
int brood__os_memory_create(size_t size, int *fd);
/*
 * Map all of it, shared, readable and writable, not in core dumps; -ENOMEM also for a limited address space; -EINVAL if
 * it is not that large.
 */
int brood__os_memory_map(int fd, size_t size, void **base);
void brood__os_memory_unmap(void *base, size_t size);
/* Make [offset, offset+length) of it real, so that writing there can't fail later; -ENOMEM or -ENOSPC if it can't. */
int brood__os_memory_commit(int fd, size_t offset, size_t length);
/* Bytes that machine and cgroup (v1 or v2) allow this process in all.  May read files. */
size_t brood__os_memory_total(void);
size_t brood__os_page_size(void);
/* A private page of zeroes that is zeroes again in every forked child; -ENOSYS if there is no such thing. */
int brood__os_wiped_page(void **page);

/* ------------------------------------------------------------------------------------------------------- named.c */

/*
 * Shared memory behind names that every program of the machine can open: shm_open(3)'s.  A name has no '/'.
 * Which object it is: no two have the same at one time.  user: whose it is.
 */
struct os_named {
    uint64_t device, inode, size;
    uint64_t user;
};
/* A new object without a name, of zeroes that are there; -ENOSPC, -EFBIG (RLIMIT_FSIZE, never its signal). */
int brood__os_named_make(uint64_t size, unsigned mode, int *fd, struct os_named *is);
/* Give it its name: all at once; -EEXIST. */
int brood__os_named_link(int fd, const char *name);
/* Open what has the name; ledgers alone are made if `create`.  -ENOENT; -EINVAL: it is no file. */
int brood__os_named_open(const char *name, bool read_only, bool create, int *fd, struct os_named *is);
/*
 * Lock it, shared or for itself, without waiting: -EAGAIN.  The lock lasts until the descriptor and all mappings that
 * were made with it have gone, in this process and in those that it forked.
 */
int brood__os_named_lock(int fd, bool exclusive);
/* Whether it has a name still. */
bool brood__os_named_linked(int fd);
/* Map all of it, and not in core dumps. */
int brood__os_named_map(int fd, uint64_t size, bool read_only, void **base);
/* Whole, or an error; a read that ends before is -ENODATA.  No signal for RLIMIT_FSIZE. */
int brood__os_named_read(int fd, void *bytes, size_t size, uint64_t offset);
int brood__os_named_write(int fd, const void *bytes, size_t size, uint64_t offset);
/*
 * Remove the name if it leads to this object, and, if unused, if nobody has a lock on it: then 0; -ENOENT: it leads
 * elsewhere or nowhere; -EBUSY: it is in use; -EAGAIN: another removes it at this moment.
 */
int brood__os_named_remove(const char *name, const struct os_named *is, bool unused);
/* Call `each` for the names that begin so; what appears or goes meanwhile is there or not. */
int brood__os_named_each(const char *beginning, void (*each)(const char *name, void *of), void *of);
/* Whose objects are this process's. */
uint64_t brood__os_user(void);

/* ------------------------------------------------------------------------------------------------------- futex.c */

typedef _Atomic uint32_t os_word;

/*
 * Sleep while *word == expected, in any process, until the deadline.  0: woken, or it was another value; -ETIMEDOUT;
 * -EINTR: a signal handler ran.
 */
int brood__os_futex_wait(os_word *word, uint32_t expected, int64_t deadline);
/*
 * Likewise while both are as expected; wake-ups come on `word` alone, and what changes in `also` need not wake anybody: it is
 * compared at the moment of falling asleep, so that `word` may return to an old value.  A kernel older than Linux 5.16
 * compares it just before that moment instead.
 */
int brood__os_futex_wait_both(os_word *word, uint32_t expected, os_word *also, uint32_t its, int64_t deadline);
/* Wake at most n sleepers; returns how many were asleep (0 on any error). */
int brood__os_futex_wake(os_word *word, int n);
/* In one system call: store 0 and wake all sleepers.  Nothing can happen between the two. */
int brood__os_futex_clear_and_wake(os_word *word);

/* ------------------------------------------------------------------------------------------------------ robust.c */

/*
 * What the kernel does for a thread that dies, by any means: it looks at the word that is announced, and at each word
 * on the thread's list.
 *   - Its low 30 bits are the thread's id: OS_OWNER_DIED is set instead of them, and one sleeper is woken if
 *     OS_WAITERS was set.
 *   - Announced (not listed), and its low 30 bits are 0: one sleeper is woken.
 *   - Anything else: nothing.
 */
#define OS_WAITERS 0x80000000u
#define OS_OWNER_DIED 0x40000000u
#define OS_TID_MASK 0x3fffffffu

/* A thread's place in this; one static TLS block, so reading it needs no call. */
struct os_robust_node {
    struct os_robust_node *next;
};
struct os_robust {
    struct os_robust_node *head; /* the C library's list head: never replaced, only borrowed */
    struct os_robust_node *volatile *pending;
    void *announced; /* the word that we announced last; what is pending may also be a mutex of the C library's */
    uint32_t tid;    /* 0: not prepared in this thread (or in this forked child) */
};
extern _Thread_local struct os_robust brood__os_robust __attribute__((tls_model("initial-exec")));

/* Where a word's node has to lie: this many bytes behind the word. */
#define OS_ROBUST_NODE 32

/* Find this thread's list.  -ENOSYS: the C library has none, or of another shape.  Not async-signal-safe. */
int brood__os_robust_prepare(void);
/* Forget it (in a forked child, whose thread has another id). */
void brood__os_robust_forget(void);

/* In what brood__os_announce returns: the word was put on the list, for it is held and no longer announced. */
#define OS_LISTED ((uintptr_t)2)
void brood__os_robust_unlink(void *word);
/* `word` is announced and about to be no more: on the list with it, if this thread holds it and it is not there. */
void *brood__os_robust_keep(void *word);

/* Announce again what was announced before (see below), when this thread does not hold the word that is announced now. */
static inline void brood__os_announce_again(void *before)
{
    struct os_robust *r = &brood__os_robust;
    void *word = (void *)((uintptr_t)before & ~OS_LISTED);
    *(void *volatile *)&r->announced = word;
    *r->pending = word ? (struct os_robust_node *)(void *)((char *)word + OS_ROBUST_NODE) : NULL;
    atomic_signal_fence(memory_order_seq_cst); /* the kernel reads it at our death: program order is all it needs */
    if (__builtin_expect(word != before, 0)) brood__os_robust_unlink(word);
}

/*
 * Announce `word` (NULL: nothing); returns what was announced before, to be announced again afterwards.
 * They nest: a word that is held is listed while another is announced, so that death inside frees both.
 */
static inline void *brood__os_announce(void *word)
{
    struct os_robust *r = &brood__os_robust;
    struct os_robust_node *node = *r->pending;
    void *before = node ? (char *)node - OS_ROBUST_NODE : NULL, *next = (void *)((uintptr_t)word & ~OS_LISTED);
    if (__builtin_expect(before != NULL && before == r->announced && before != next, 0))
        before = brood__os_robust_keep(before);
    brood__os_announce_again(word);
    return before;
}
/*
 * Put the node behind `word` on the list, as its first; take it off again, wherever it stands.  The 16 bytes from
 * word + 24 on are the links: they are written while the word is ours, so unlink before it is released.
 */
void brood__os_robust_link(void *word);

/* ----------------------------------------------------------------------------------------------------- process.c */

/* A process, told apart from a later one of the same pid. */
struct os_process {
    pid_t pid;
    uint64_t started; /* as /proc/<pid>/stat has it (field 22); 0: not known */
};

/* This process. */
void brood__os_process_self(struct os_process *self);
/* Whether it is there and not a zombie. */
bool brood__os_process_alive(const struct os_process *process);
/* Whether it is there, not a zombie, and has one thread; false if that can't be known. */
bool brood__os_process_single(const struct os_process *process);
/* A descriptor that is readable once it has ended; -ESRCH when it has been reaped or the pid is another's now. */
int brood__os_process_open(const struct os_process *process, int *pidfd);
/* SIGKILL by its number, as near to that very process as there is without a descriptor (under valgrind 3.19). */
void brood__os_process_kill(const struct os_process *process);
/* A signal to that very process. */
int brood__os_process_signal(int pidfd, int signal);

/* What the system says of the end of the process behind a pidfd. */
enum os_exit {
    OS_EXIT_RUNNING = 0, /* it has not ended */
    OS_EXIT_STATUS,      /* *value is its exit code */
    OS_EXIT_SIGNAL,      /* *value is the signal */
    OS_EXIT_UNKNOWN,     /* ended; its status is gone, or its parent has not taken it yet */
};
/*
 * Ask without waiting, and reap it if it is a child of this process; when another has reaped it, ask the pidfd itself
 * (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15).
 */
struct os_usage {
    uint64_t user_us, system_us; /* time */
    uint64_t max_rss;            /* bytes */
};
/* usage may be NULL; zeroes when the system does not tell. */
enum os_exit brood__os_process_end(int pidfd, int *value, struct os_usage *usage);
static inline enum os_exit brood__os_process_exit(int pidfd, int *value)
{
    return brood__os_process_end(pidfd, value, NULL);
}
/* The same of a child of this process that has ended and that nobody has reaped, by its number: needs no descriptor. */
enum os_exit brood__os_child_end(pid_t child, int *value, struct os_usage *usage);
/* Reap a child that has ended, and wait for a debugger that has to see it first; of others' children nothing. */
void brood__os_process_reap(int pidfd);
/* SIGKILL a child of this process that nobody has reaped, and reap it.  Needs no descriptor. */
void brood__os_end_child(pid_t child);

/* What a process that ends by a fault says of it; by a signal handler on a stack of its own. */
struct os_crash {
    int signal, code;     /* as in siginfo_t */
    uint64_t address, pc; /* address 0: it was no fault, but sent */
    struct os_usage usage;
    void *context; /* of the signal */
};
/*
 * From now on `tell` is called once before this process (not one that it forks) ends by SIGSEGV, SIGBUS, SIGILL, SIGFPE,
 * SIGABRT, SIGTRAP or SIGSYS; then it ends by that signal.  Signals that the program handles, now or later, are the
 * program's.  tell must be async-signal-safe.  0 or -errno.
 */
int brood__os_on_crash(void (*tell)(const struct os_crash *crash));
/*
 * Addresses of the calls that led to the crash's pc, it first: how many.  In the listener; async-signal-safe, but a
 * stack that can't be read ends the process by the crash's signal.
 */
size_t brood__os_backtrace(const struct os_crash *crash, uint64_t *pcs, size_t most);
/* The file that the code at pc came from ("" is the program), and what is added to its addresses.  Async-signal-safe. */
bool brood__os_module_of(uint64_t pc, uint64_t *bias, const char **path);
/* Of this process; how many bytes of memory it has for itself (not shared) now, 0 if unknown. */
void brood__os_usage(struct os_usage *usage);
uint64_t brood__os_memory_used(void);
/* How many processes of this process's cgroup the kernel has killed for want of memory; -1: it does not say. */
int64_t brood__os_oom_kills(void);

/*
 * fork(2), with the C library's handlers.  All signals are blocked around it; both processes go on with the caller's
 * mask.  The pid, 0 in the child, or -errno.
 */
pid_t brood__os_fork(void);

/*
 * Run the program of this path, or with NULL this one again (the file this process was started from, even if its name
 * now means another), detached: not a child of this process, so that no wait of the caller's program sees it and no SIGCHLD comes.
 * variable: "NAME=" to which "<its pid>:<number of kept descriptor>" is appended, added to the environment.
 * keep: the descriptor that stays open in it (besides what the caller's program lets its children inherit).
 * name: what its argv[0] is.  It starts with default signals, all of them blocked, and in the caller's session and
 * process group.  Its standard output leads nowhere until it finds out what it is for: what it writes before that, its
 * first run wrote.
 * Returns its pid once exec has succeeded; else the -errno of the step that failed.  Not async-signal-safe.
 */
int brood__os_run_detached(const char *path, const char *name, const char *variable, int keep);

/* Steps of a start that can fail, for the report {step, errno} up the bootstrap channel. */
enum os_step {
    OS_STEP_NONE,
    OS_STEP_FORK,
    OS_STEP_DESCRIPTORS,
    OS_STEP_ENVIRONMENT,
    OS_STEP_DIRECTORY,
    OS_STEP_AFFINITY,
    OS_STEP_LIMITS,
    OS_STEP_EXEC
};
const char *brood__os_step_name(int step);

/* In a child: limits and affinity.  0 in a field means leave it.  -errno and *step. */
struct os_limits {
    uint64_t memory;      /* RLIMIT_DATA */
    uint64_t cpu_seconds; /* RLIMIT_CPU */
    uint64_t open_files;  /* RLIMIT_NOFILE, the soft one */
    bool core_dump;       /* false: RLIMIT_CORE 0 */
    uint64_t cpu_count;
    const int *cpus;
};
int brood__os_apply_limits(const struct os_limits *limits, int *step);

/*
 * In a child: replace this process by the program of this path, or with NULL by this one run anew, with these arguments
 * and environment, and standard output as above; returns -errno.
 */
int brood__os_exec(const char *path, char *const argv[], char *const environment[]);
/* The path that leads to a program without links: 0, or -errno: there is none, or it can't be executed. */
int brood__os_find_program(const char *name, char path[], size_t capacity);

/* The path of this program, resolved (not /proc/self/exe itself); into path, cut to capacity. */
int brood__os_program_path(char *path, size_t capacity);

/* Whether this process has more than one thread. */
bool brood__os_has_threads(void);
/* End with this code now: no handlers, no flushing. */
_Noreturn void brood__os_exit_now(int code);
/*
 * SIGKILL this process when the thread that started it ends, be it earlier than its process; -ESRCH if the process has
 * ended already (parent is its pid).
 */
int brood__os_die_with_parent(pid_t parent);
/* Names in ps and top: cut to 15 bytes. */
void brood__os_set_name(const char *name);
/*
 * The signals that this process ignores: of signal n the bit n - 1.  SIGCHLD is never among them, for who begins so
 * can't wait for children of its own.
 */
#define OS_SIGNAL_BIT(signal) ((uint64_t)1 << ((signal)-1))
uint64_t brood__os_ignored_signals(void);
/* Ignore these, and block none: how a started process goes on when it is ready. */
void brood__os_begin_signals(uint64_t ignored);
/* In a copy of another program's process: handlers are forgotten, but those for faults of its own and the C library's. */
void brood__os_drop_handlers(void);
/* Block all signals and store the mask before into *saved (opaque, 128 bytes); put it back. */
struct os_mask {
    uint64_t bits[16];
};
void brood__os_block_signals(struct os_mask *saved);
/* All but faults, and those by which the C library calls each thread: for a thread that begins meanwhile. */
void brood__os_block_for_thread(struct os_mask *saved);
void brood__os_restore_signals(const struct os_mask *saved);

/* -------------------------------------------------------------------------------------------------- descriptor.c */

void brood__os_close(int *fd); /* close it if >= 0 and make it -1; errno is kept */
int brood__os_set_inheritable(int fd, bool inheritable);
/* A copy, close-on-exec: its number, which is at least `least`. */
int brood__os_duplicate(int fd, int least);
/*
 * Move *fd out of 0, 1 and 2, where a program that was started without them would take it for its own.  Bells and
 * watches are never there.
 */
int brood__os_leave_standard(int *fd);
/* Give those of 0, 1 and 2 that are closed to /dev/null, so that nothing else gets their numbers. */
void brood__os_fill_standard(void);
/* As many descriptors as the hard limit allows, for this process and those that it forks. */
void brood__os_raise_descriptors(void);
/* How many this process may have open: os_limits.open_files for its children. */
uint64_t brood__os_open_files(void);
/*
 * Print a line on a terminal, file, pipe or socket by one write(2); errors are not heard, no SIGPIPE comes.  Unless
 * `wait`, nothing is printed when that would have to wait for a reader.  Not async-signal-safe.
 */
void brood__os_print(int fd, const char *line, size_t size, bool wait);
/* Close every descriptor but those in keep[0..n), which is sorted by this call. */
void brood__os_close_all_but(int *keep, size_t n);
/*
 * Give each from[i] the number to[i] (any order, overlaps allowed: a permutation works), inheritable; a `from` that is
 * not also a `to` is closed; 0 or -errno.  from is used up.  For children before their program or function runs.
 */
int brood__os_place_descriptors(int *from, const int *to, size_t n);

/*
 * From now on what this process writes to descriptor 2 goes, behind what is there, into a file in memory: *file, and
 * *before is what descriptor 2 was, -1 if nothing; neither is one of 0, 1 and 2.  On failure all is as it was.
 */
int brood__os_capture_stderr(int *file, int *before);
/* What is in the file from `passed` on, written to `to`, which may fail, and forgotten: where the next begins. */
uint64_t brood__os_pass_on(int file, int to, uint64_t passed);
/* The last bytes of the file, at most `capacity`, and none before `from`: how many. */
size_t brood__os_read_tail(int file, uint64_t from, char *text, size_t capacity);

/*
 * The lifeline: every process that holds a `watch` end made by brood__os_lifeline_watch is sent SIGKILL by the kernel
 * when the last holder of `hold` has ended, whatever it is doing.  hold is never passed on.
 * (A pipe: its last writer gone, the kernel sends the signal that F_SETSIG names to each F_SETOWN reader.)
 */
int brood__os_lifeline_create(int *hold, int *watch);
/*
 * Own watch of this process, from an inherited end; *mine is close-on-exec.  -ENOENT without /proc; -EPIPE if the last
 * holder has ended already.
 */
int brood__os_lifeline_watch(int watch, int *mine);

/* ------------------------------------------------------------------------------------------------------ socket.c */

/* Both ends of a stream of bytes; of messages (SOCK_SEQPACKET). */
int brood__os_stream_pair(int ends[2]);
int brood__os_channel_pair(int ends[2]);
/*
 * A listening socket for messages under an abstract name the system chooses; name gets it (at most 16 bytes, printable,
 * no zero byte at its end).
 */
int brood__os_listen(int *fd, char name[16], size_t *size);
/* Take a waiting connection, -EAGAIN if there is none; refuses (-EACCES) peers of another user, but for root's. */
int brood__os_accept(int listener, int *fd, pid_t *peer);
/* Waits if the listener is slow, at most about 10 s (-ETIMEDOUT); -ECONNREFUSED without one; -EACCES as above. */
int brood__os_connect(const char name[16], size_t size, int *fd, pid_t *peer);

#define OS_MAX_FDS 72
/*
 * Send one message with descriptors; wait if there is no room until the deadline, -ETIMEDOUT (0 tries: -EAGAIN).
 * -EPIPE, never a signal.  A message without bytes needs a descriptor, since it would read as the peer's end.
 */
int brood__os_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count, int64_t deadline);
/*
 * Receive one message: its length (0 with fd_count 0: the peer has gone), *fd_count in: room, out: how many came, all
 * close-on-exec; if any part does not fit, all descriptors are closed and -EMSGSIZE, or -EMFILE if it was this
 * process's table.  -ETIMEDOUT; deadline 0 tries: -EAGAIN.  fds and fd_count may be NULL for none.
 */
ssize_t brood__os_receive(int fd, void *data, size_t capacity, int *fds, size_t *fd_count, int64_t deadline);
/* The stream (a socket): all of it, or -EPIPE, -ETIMEDOUT. */
int brood__os_write_all(int fd, const void *data, size_t size, int64_t deadline);
int brood__os_read_all(int fd, void *data, size_t size, int64_t deadline);
/* Wait until fd is readable (or its peer has gone): 1; 0 at the deadline. */
int brood__os_wait_readable(int fd, int64_t deadline);
/* Likewise until it is writable. */
int brood__os_wait_writable(int fd, int64_t deadline);

/*
 * Bells: a datagram socket under an abstract name made of a key and a number; ringing needs no descriptor of the
 * other's, only the name, and one ring that waits is as good as two.
 */
int brood__os_bell_open(uint64_t key, uint32_t number, uint32_t generation, int *fd);
void brood__os_bell_ring(int sender, uint64_t key, uint32_t number, uint32_t generation);
void brood__os_bell_drain(int fd);
int brood__os_bell_sender(int *fd);

/* A set of descriptors to wait on (epoll): tag comes back with what became readable. */
int brood__os_poller_new(int *poller);
int brood__os_poller_add(int poller, int fd, uint64_t tag);
void brood__os_poller_remove(int poller, int fd);
/* Wait; returns how many tags were written, 0 at the deadline. */
int brood__os_poller_wait(int poller, uint64_t *tags, int capacity, int64_t deadline);
/* The same for who writes too: watch for these events, or for others than before; 0 events: for its end alone. */
enum { OS_READABLE = 1, OS_WRITABLE = 2 };
struct os_ready {
    uint64_t tag;
    unsigned events; /* an end or an error is both */
};
int brood__os_poller_watch(int poller, int fd, uint64_t tag, unsigned events);
int brood__os_poller_ready(int poller, struct os_ready *ready, int capacity, int64_t deadline);
/* No more is written at this end: the other reads the end of it behind what there is. */
void brood__os_stream_end(int fd);
/* End a stream both ways for all who have it: who waits on it wakes. */
void brood__os_stream_shutdown(int fd);

/* ----------------------------------------------------------------------------------------------------- address.c */

/* Where a stream's end is: a path, an abstract name, or a host and port. */
struct os_address {
    uint32_t size; /* 0: none */
    _Alignas(8) unsigned char bytes[128];
};
/* Of a socket in the file system; -ENAMETOOLONG beyond 107 bytes, -EINVAL for the empty path. */
int brood__os_address_of_path(struct os_address *address, const char *path);
/* Of an abstract one, without the leading zero byte: 1 to 107 bytes, else as above. */
int brood__os_address_of_name(struct os_address *address, const char *name, size_t size);
/*
 * Of a TCP port: at most `room` addresses, in the order to try; how many, at least 1.  host NULL: all of this machine's.
 * listening: to listen there, so the port may be "0".  -ENOENT: no such host or port; -EAGAIN: the resolver can't say
 * now.  Numbers are understood at once; for names it takes as long as the system's resolver does, which allocates.
 */
int brood__os_address_of_host(struct os_address *addresses, size_t room, const char *host, const char *port,
                              bool listening);
/* As text: "/path", "@name", "127.0.0.1:80", "[::1]:80", "" for none; cut to capacity. */
void brood__os_address_text(const struct os_address *address, char *text, size_t capacity);
/* Whether it is a path, and which: NULL if not. */
const char *brood__os_address_path(const struct os_address *address);

/*
 * A listening stream socket, non-blocking; *fd is the caller's.  -EADDRINUSE also for a path where anything is.
 * *bound, if not NULL, gets where it listens in truth.
 */
int brood__os_stream_listen(const struct os_address *address, int backlog, int *fd, struct os_address *bound);
/* Take a waiting caller; -EAGAIN. */
int brood__os_stream_accept(int listener, int *fd, struct os_address *peer);
/* Connect until the deadline (0 tries).  -ECONNREFUSED, -ENOENT, -ETIMEDOUT (0: -EAGAIN). */
int brood__os_stream_connect(const struct os_address *address, int *fd, int64_t deadline);
/* Whether it is a stream socket: 1: of this machine's (AF_UNIX), 0: another; -ENOTSOCK, -EPROTOTYPE. */
int brood__os_stream_is_local(int fd);
/* The other end's address; of a local one its pid, else 0. */
int brood__os_stream_peer(int fd, struct os_address *peer, pid_t *pid);

/*
 * One try: how many bytes went (of head, then of data), came (0: the end); -EAGAIN.  -EPIPE, never a signal.  Descriptors
 * that come with bytes are closed by the kernel.
 */
ssize_t brood__os_stream_send(int fd, const void *head, size_t head_size, const void *data, size_t size);
ssize_t brood__os_stream_receive(int fd, void *data, size_t size);
/* What a path names, told apart from what it names later; the socket file that is there, else false. */
struct os_file {
    uint64_t device, inode;
};
bool brood__os_socket_file(const char *path, struct os_file *file);
/* Remove the socket file if it is that one still; whether it was. */
bool brood__os_socket_file_remove(const char *path, const struct os_file *file);
/*
 * Keep others that ask for the same out of this path's directory for a moment, until the descriptor is closed.  Who
 * waits longer than 100 ms goes on without; -1: it can't be opened.
 */
int brood__os_directory_lock(const char *path);

#endif
