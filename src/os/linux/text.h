/* SPDX-License-Identifier: MIT */
/*
 * text.h - the little text that this folder needs: the kernel's files read, names and numbers written.
 *
 * Private to this folder.  printf(3) and stdio allocate and lock; these work on the caller's stack only, so they are
 * thread-safe, async-signal-safe, and may run in a child that shares its parent's memory.
 */
#ifndef BROOD_OS_LINUX_TEXT_H
#define BROOD_OS_LINUX_TEXT_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A text that grows in a fixed buffer; what does not fit is cut off.  Always ends with a zero byte. */
struct text {
    char *start;
    size_t length;
    size_t capacity;
};

static inline struct text text_in(char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    return (struct text){.start = buffer, .capacity = capacity};
}

static inline void text_put_span(struct text *text, const char *from, const char *end)
{
    while (from < end && text->length + 1 < text->capacity) text->start[text->length++] = *from++;
    text->start[text->length] = '\0';
}

static inline void text_put(struct text *text, const char *more)
{
    text_put_span(text, more, more + strlen(more));
}

/* In base 10 or 16, with at least `width` digits. */
static inline void text_put_number(struct text *text, uint64_t number, unsigned base, unsigned width)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while ((number || sizeof digits - 1 - at < width) && at > 0);
    text_put(text, digits + at);
}

/* Read a number and move *at behind it; false if there is none. */
static inline bool text_take_number(const char **at, uint64_t *number)
{
    const char *digit = *at;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) value = value * 10 + (uint64_t)(*digit - '0');
    if (digit == *at) return false;
    *at = digit;
    *number = value;
    return true;
}

/* As much of a file as fits, with a zero byte behind it; its length, or -errno and the empty text. */
static inline ssize_t text_read_file(const char *path, char *buffer, size_t capacity)
{
    int fd;
    buffer[0] = '\0';
    do fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return -errno;

    ssize_t result = 0;
    size_t length = 0;
    while (length < capacity - 1) {
        result = read(fd, buffer + length, capacity - 1 - length);
        if (result < 0 && errno == EINTR) continue;
        if (result <= 0) break;
        length += (size_t)result;
    }
    if (result < 0) {
        result = -errno;
        length = 0;
    }
    close(fd);
    buffer[length] = '\0';
    return result < 0 ? result : (ssize_t)length;
}

#endif
