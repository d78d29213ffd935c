/* SPDX-License-Identifier: MIT */
/* bootstrap.c - hello and report; the conversation is in process/bootstrap.h.  Thread-safe. */
#include "process/bootstrap.h"

#include "arena/member.h"
#include "call/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

uint32_t brood__stdio_open(void)
{
    uint32_t open = 0;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) >= 0) open |= 1u << fd;
    return open;
}

int brood__hello_send(int channel, const struct hello *hello, const int *passed, size_t passed_count, const void *bytes,
                      int64_t deadline)
{
    int fds[OS_MAX_FDS];
    size_t n = 0;
    if (passed_count > OS_MAX_FDS - HELLO_FIXED_FDS) return BROOD_EINVAL;
    fds[n++] = brood__self->memory;
    fds[n++] = brood__self->listener;
    fds[n++] = brood__self->lifeline_watch;
    for (size_t i = 0; i < passed_count; i++) fds[n++] = passed[i];
    int error = brood__os_send(channel, hello, sizeof *hello, fds, n, deadline);
    if (error >= 0 && hello->size && !hello->place)
        error = brood__os_write_all(channel, bytes, (size_t)hello->size, deadline);
    return error < 0 ? error : 0;
}

int brood__report_send(int channel, int code, int step, int error, const char *detail)
{
    struct report report = {.magic = REPORT_MAGIC, .code = code, .step = step, .error = error};
    if (detail) strncpy(report.detail, detail, sizeof report.detail - 1);
    return brood__os_write_all(channel, &report, sizeof report, brood__os_deadline(1000));
}

int brood__go_send(int channel)
{
    int error = brood__os_write_all(channel, "g", 1, brood__os_deadline(1000));
    return error == -EPIPE ? 0 : error;
}

bool brood__go_await(int channel)
{
    char go;
    int error, refusals = 0;
    while ((error = brood__os_read_all(channel, &go, 1, brood__os_deadline(1000))) < 0) {
        if (error == -EPIPE) return false;
        /* A sibling that the starter forked at the same time may hold its end open. */
        struct member_shm *starter = brood__member_find(brood__me()->parent);
        if (!starter || atomic_load(&starter->gone)) return false;
        if (error == -ETIMEDOUT) continue;
        if (++refusals == 1000) return false;
        brood__os_nap(1000 * 1000); /* the system is out of something for a moment */
    }
    return true;
}

int brood__report_receive(int channel, int64_t deadline)
{
    struct report report;
    int error = brood__os_read_all(channel, &report, sizeof report, deadline);
    if (error == -ETIMEDOUT) return brood__fail_with(BROOD_ETIMEDOUT, "the process did not report in time");
    if (error == -EPIPE)
        return brood__fail_with(BROOD_ENOINIT,
                                "the started program ended, or closed its channel, without calling brood_init");
    if (error < 0) return brood__fail_with(error, "the process's report could not be read: %s", brood_strerror(error));
    report.detail[sizeof report.detail - 1] = 0;
    /* A code above 0 would pass for a success; errors are those of the system. */
    if (report.magic != REPORT_MAGIC || report.code > 0 || report.error < 0)
        return brood__fail_with(BROOD_ECORRUPT, "a report that no child of Brood sends");
    if (report.code == 0) return 0;
    if (report.detail[0]) return brood__fail_with(report.code, "%s", report.detail);
    if (report.step)
        return brood__fail_with(report.code, "%s failed: %s", brood__os_step_name(report.step),
                                brood_strerror(-report.error));
    return brood__fail_with(report.code, "%s", brood_strerror(report.code));
}
