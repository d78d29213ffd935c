/* SPDX-License-Identifier: MIT */
/* calls.c - the two tables; see calls.h. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

/*
 * Left out of the errors: EFAULT, EBADF, EINVAL and the like where they can only mean a bug of the caller's; errors that
 * would be a lie about the state of the world (ESRCH of a process that is there, EBADF of a descriptor that is open,
 * EPIPE of a peer that lives, ECHILD of a child that waits to be reaped).
 */
const struct call_row calls_failing[] = {
    /* memory */
    {.name = "brk", .number = SYS_brk, .errors = {ENOMEM}, .when = CALL_SET, .argument = 0, .mask = UINT64_MAX},
    {.name = "mmap", .number = SYS_mmap, .errors = {ENOMEM, EAGAIN, EPERM}},
    {.name = "mprotect", .number = SYS_mprotect, .errors = {ENOMEM}},
    {.name = "sigaltstack", .number = SYS_sigaltstack, .errors = {ENOMEM}},
    {.name = "mremap", .number = SYS_mremap, .errors = {ENOMEM}},
    {.name = "madvise", .number = SYS_madvise, .errors = {EINVAL, ENOMEM, EAGAIN}},
    {.name = "memfd_create", .number = SYS_memfd_create, .errors = {EMFILE, ENFILE, ENOMEM, EINVAL, ENOSYS}},
    {.name = "ftruncate", .number = SYS_ftruncate, .errors = {EINTR, EFBIG, ENOSPC, EPERM}},
    {.name = "fallocate", .number = SYS_fallocate, .errors = {EINTR, ENOSPC, ENOMEM, EOPNOTSUPP}},
    /* files */
    {.name = "openat", .number = SYS_openat, .errors = {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EINTR}},
    {.name = "open", .number = SYS_open, .errors = {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EINTR}},
    {.name = "read", .number = SYS_read, .errors = {EINTR, EIO, ENOMEM}},
    {.name = "write", .number = SYS_write, .errors = {EINTR, ENOSPC, EIO}},
    {.name = "fstat", .number = SYS_fstat, .errors = {ENOMEM}},
    {.name = "stat", .number = SYS_newfstatat, .errors = {ENOMEM, EACCES}},
    {.name = "readlink", .number = SYS_readlink, .errors = {ENOENT, EACCES, ENOMEM}},
    {.name = "getcwd", .number = SYS_getcwd, .errors = {ENOENT, ENOMEM}},
    {.name = "chdir", .number = SYS_chdir, .errors = {ENOENT, EACCES, ENOMEM}},
    {.name = "getdents64", .number = SYS_getdents64, .errors = {ENOENT, ENOMEM}},
    {.name = "flock", .number = SYS_flock, .errors = {EINTR, ENOLCK}},
    {.name = "linkat", .number = SYS_linkat, .errors = {ENOSPC, ENOMEM, EACCES}},
    {.name = "unlink", .number = SYS_unlink, .errors = {ENOMEM, EACCES}},
    {.name = "pwrite64", .number = SYS_pwrite64, .errors = {EINTR, ENOSPC, EIO}},
    {.name = "fchmod", .number = SYS_fchmod, .errors = {EPERM}},
    /* descriptors */
    {.name = "fcntl(OFD_SETLK)",
     .number = SYS_fcntl,
     .errors = {EAGAIN, ENOLCK},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = F_OFD_SETLK},
    {.name = "fcntl(DUPFD)",
     .number = SYS_fcntl,
     .errors = {EMFILE},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = F_DUPFD_CLOEXEC},
    {.name = "fcntl(ADD_SEALS)",
     .number = SYS_fcntl,
     .errors = {EBUSY, EPERM},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = F_ADD_SEALS},
    {.name = "fcntl(SETOWN_EX)",
     .number = SYS_fcntl,
     .errors = {EPERM},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = F_SETOWN_EX},
    {.name = "fcntl(SETFL)",
     .number = SYS_fcntl,
     .errors = {EPERM, ENOMEM},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = F_SETFL},
    {.name = "flock", .number = SYS_flock, .errors = {EINTR, EWOULDBLOCK, ENOLCK}},
    {.name = "dup2", .number = SYS_dup2, .errors = {EMFILE, EBUSY, EINTR}},
    {.name = "dup3", .number = SYS_dup3, .errors = {EBUSY, EINTR}},
    {.name = "pipe2", .number = SYS_pipe2, .errors = {EMFILE, ENFILE}},
    {.name = "close_range", .number = SYS_close_range, .errors = {ENOSYS, ENOMEM}},
    {.name = "epoll_create1", .number = SYS_epoll_create1, .errors = {EMFILE, ENFILE, ENOMEM}},
    {.name = "epoll_ctl(ADD)",
     .number = SYS_epoll_ctl,
     .errors = {ENOMEM, ENOSPC},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = EPOLL_CTL_ADD},
    {.name = "epoll_wait", .number = SYS_epoll_wait, .errors = {EINTR}},
    {.name = "poll", .number = SYS_poll, .errors = {EINTR, ENOMEM}},
    {.name = "ioctl", .number = SYS_ioctl, .errors = {ENOTTY, EINVAL}},
    /* sockets */
    {.name = "socket", .number = SYS_socket, .errors = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAFNOSUPPORT}},
    {.name = "socketpair", .number = SYS_socketpair, .errors = {EMFILE, ENFILE, ENOMEM, ENOBUFS}},
    {.name = "bind", .number = SYS_bind, .errors = {ENOMEM, EADDRINUSE, ENOSPC}},
    {.name = "getsockname", .number = SYS_getsockname, .errors = {ENOBUFS}},
    {.name = "getpeername", .number = SYS_getpeername, .errors = {ENOBUFS}},
    {.name = "listen", .number = SYS_listen, .errors = {EADDRINUSE}},
    {.name = "setsockopt", .number = SYS_setsockopt, .errors = {ENOMEM}},
    {.name = "connect", .number = SYS_connect, .errors = {EINTR, EAGAIN, ENOMEM, EACCES, ECONNREFUSED}},
    {.name = "accept4",
     .number = SYS_accept4,
     .errors = {EINTR, EAGAIN, ECONNABORTED, EMFILE, ENFILE, ENOMEM, ENOBUFS, EPERM}},
    {.name = "sendmsg", .number = SYS_sendmsg, .errors = {EINTR, EAGAIN, ENOMEM, ENOBUFS, ETOOMANYREFS}},
    {.name = "sendto", .number = SYS_sendto, .errors = {EINTR, EAGAIN, ENOMEM, ENOBUFS}},
    {.name = "recvmsg", .number = SYS_recvmsg, .errors = {EINTR, EAGAIN, ENOMEM}},
    {.name = "recvfrom", .number = SYS_recvfrom, .errors = {EINTR, EAGAIN, ENOMEM}},
    /* processes */
    {.name = "clone", .number = SYS_clone, .errors = {EAGAIN, ENOMEM, EPERM}},
    {.name = "execveat", .number = SYS_execveat, .errors = {ENOMEM, EACCES, EAGAIN, E2BIG, ETXTBSY, ENOSYS, ENOENT}},
    {.name = "execve", .number = SYS_execve, .errors = {ENOMEM, EACCES, EAGAIN, E2BIG, ETXTBSY, ENOENT}},
    {.name = "wait4", .number = SYS_wait4, .errors = {EINTR}},
    {.name = "waitid", .number = SYS_waitid, .errors = {EINTR}},
    {.name = "pidfd_open", .number = SYS_pidfd_open, .errors = {EMFILE, ENFILE, ENOMEM, ENOSYS}},
    {.name = "pidfd_send_signal", .number = SYS_pidfd_send_signal, .errors = {EPERM, ENOSYS}},
    {.name = "kill(0)",
     .number = SYS_kill,
     .errors = {EPERM},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = UINT32_MAX,
     .value = 0},
    {.name = "sched_setaffinity", .number = SYS_sched_setaffinity, .errors = {EPERM, EINVAL}},
    {.name = "sched_getaffinity", .number = SYS_sched_getaffinity, .errors = {EINVAL, EPERM}},
    {.name = "prlimit64(set)",
     .number = SYS_prlimit64,
     .errors = {EPERM},
     .when = CALL_SET,
     .argument = 2,
     .mask = UINT64_MAX},
    {.name = "get_robust_list", .number = SYS_get_robust_list, .errors = {ENOSYS, EPERM}},
    /* time, chance, sleep */
    {.name = "getrandom", .number = SYS_getrandom, .errors = {EINTR, ENOSYS}},
    {.name = "futex(WAIT)",
     .number = SYS_futex,
     .errors = {EINTR, EAGAIN},
     .when = CALL_EQUALS,
     .argument = 1,
     .mask = FUTEX_CMD_MASK & 0xffff,
     .value = FUTEX_WAIT_BITSET},
#ifdef SYS_futex_waitv
    {.name = "futex_waitv", .number = SYS_futex_waitv, .errors = {EINTR, EAGAIN, ENOMEM, ENOSYS}},
#endif
    {.name = "clock_nanosleep", .number = SYS_clock_nanosleep, .errors = {EINTR}},
    {.name = "rt_sigtimedwait", .number = SYS_rt_sigtimedwait, .errors = {EINTR, EAGAIN}},
};
const unsigned calls_failing_count = sizeof calls_failing / sizeof *calls_failing;

const long calls_left_out[] = {
    /* can't fail, or only by EFAULT or another lie of the caller's */
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_sched_yield,
    SYS_clock_gettime, SYS_gettimeofday, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigpending, SYS_prctl, SYS_lseek,
    SYS_sysinfo, SYS_uname, SYS_shutdown, SYS_getrlimit, SYS_getsockopt, SYS_getrusage,
    /* gives back: what was given goes whatever they answer, and nobody could do anything about it */
    SYS_close, SYS_munmap, SYS_unlink,
    /* have no return */
    SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
    /* the beginning of a thread or program, which is the C library's */
    SYS_set_tid_address, SYS_set_robust_list, SYS_rseq, SYS_arch_prctl, SYS_access, SYS_pread64, SYS_clone3,
    /* a task that ends itself, as tests do */
    SYS_tgkill, -1};

static bool fits(const struct call_row *row, const uint64_t arguments[6])
{
    uint64_t value = arguments[row->argument] & row->mask;
    if (row->when == CALL_EQUALS) return value == row->value;
    return row->when == CALL_ANY || value != 0;
}

int calls_find(long number, const uint64_t arguments[6])
{
    int found = CALL_UNKNOWN;
    for (unsigned i = 0; i < calls_failing_count; i++) {
        if (calls_failing[i].number != number) continue;
        if (fits(&calls_failing[i], arguments)) return (int)i;
        found = CALL_NONE;
    }
    return found;
}
