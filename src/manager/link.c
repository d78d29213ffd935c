/* SPDX-License-Identifier: MIT */
/* link.c - a client's connection to a manager; see link.h. */
#include "manager/link.h"

#include "arena/arena.h"
#include "call/error.h"
#include "manager/place.h"
#include "pipe/auth.h"
#include "pipe/frame.h"
#include "process/family.h"
#include "process/item.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* How long beyond its timeout an answer may take, before the server is given up. */
#define PATIENCE_MS 60000
#define GREET_MS 10000

/* One who waits for an answer; on its stack. */
struct pending {
    struct pending *next;
    uint64_t serial;
    bool done;
    struct wire_answer answer;
    void *message;
};

struct link {
    struct link *next;
    uint64_t manager;
    unsigned users; /* under links_lock */
    bool forgotten; /* likewise: nobody finds it any more */
    int fd;
    pthread_mutex_t sending;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    uint64_t serial;
    struct pending *pending;
    bool reading; /* somebody is */
    int broken;   /* the code that all get from now on */
    struct frame_reader reader;
};

static pthread_mutex_t links_lock = PTHREAD_MUTEX_INITIALIZER;
static struct link *links;

static int lost(void)
{
    return brood__fail_with(BROOD_ELOST, "the manager's server has ended, or has dropped this process");
}

/* ------------------------------------------------------------------------------------------------------ one message */

static int write_frame(int fd, const void *bytes, size_t size, int64_t deadline)
{
    uint8_t head[FRAME_HEAD_MOST];
    size_t head_size = brood__frame_head(head, size), sent = 0;
    while (sent < head_size + size) {
        size_t of_data = sent > head_size ? sent - head_size : 0;
        ssize_t n = brood__os_stream_send(fd, head + (sent < head_size ? sent : head_size),
                                          sent < head_size ? head_size - sent : 0, (const char *)bytes + of_data,
                                          size - of_data);
        if (n == BROOD_EAGAIN) {
            int ready = brood__os_wait_writable(fd, deadline);
            if (ready <= 0) return ready < 0 ? ready : BROOD_ETIMEDOUT;
        } else if (n < 0) {
            return (int)n;
        } else {
            sent += (size_t)n;
        }
    }
    return 0;
}

/* Read until a message is whole: 1; 0: the deadline. */
static int read_frame(int fd, struct frame_reader *reader, int64_t deadline)
{
    for (;;) {
        void *place;
        size_t most;
        int error = brood__frame_reader_place(reader, &place, &most);
        if (error < 0) return error;
        ssize_t n = brood__os_stream_receive(fd, place, most);
        if (n == 0) return -EPIPE;
        if (n == BROOD_EAGAIN) {
            int ready = brood__os_wait_readable(fd, deadline);
            if (ready <= 0) return ready;
            continue;
        }
        if (n < 0) return (int)n;
        int whole = brood__frame_reader_added(reader, (size_t)n);
        if (whole != 0) return whole;
    }
}

/* ------------------------------------------------------------------------------------------------ opening and closing */

static int greet(int fd, const struct whereabouts *where, int64_t deadline)
{
    struct auth auth;
    struct auth_frame out;
    struct auth_key key = {.bytes = where->key, .size = where->key_size};
    struct frame_reader reader;
    brood__frame_reader_init(&reader, AUTH_MOST);
    int code = brood__auth_begin(&auth, AUTH_CLIENT, &out);
    while (code == 0) {
        size_t size;
        int whole = read_frame(fd, &reader, deadline);
        if (whole <= 0) {
            code = whole < 0 ? whole : BROOD_ETIMEDOUT;
            break;
        }
        const void *message = brood__frame_reader_message(&reader, &size);
        code = brood__auth_take(&auth, &key, message, size, &out);
        brood__frame_reader_next(&reader);
        if (out.size) {
            int error = write_frame(fd, out.bytes, out.size, deadline);
            if (error < 0 && code >= 0) code = error;
        }
    }
    brood__frame_reader_free(&reader);
    if (code == -EPIPE || code == -ECONNRESET) return lost(); /* by whatever of the two steps it is learnt */
    return code < 0 ? code : 0;
}

int brood__link_open(struct link **link, const struct whereabouts *where, int64_t deadline)
{
    int fd;
    int64_t soon = brood__os_deadline(GREET_MS);
    int error = brood__os_stream_connect(&where->address, &fd, deadline);
    if (error < 0) {
        char text[160];
        brood__os_address_text(&where->address, text, sizeof text);
        return brood__fail_with(error, "no connection to the manager at %s: %s", text, brood_strerror(error));
    }
    error = greet(fd, where, deadline < soon ? deadline : soon);
    struct link *l = error < 0 ? NULL : calloc(1, sizeof *l);
    if (!l) {
        brood__os_close(&fd);
        return error < 0 ? error : BROOD_ENOMEM;
    }
    brood__os_leave_standard(&fd);
    l->fd = fd;
    pthread_mutex_init(&l->sending, NULL);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&l->change, &attributes);
    pthread_condattr_destroy(&attributes);
    brood__frame_reader_init(&l->reader, UINT32_MAX);
    *link = l;
    return 0;
}

void brood__link_close(struct link *l)
{
    brood__os_close(&l->fd);
    brood__frame_reader_free(&l->reader);
    pthread_mutex_destroy(&l->sending);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->change);
    free(l);
}

/* ----------------------------------------------------------------------------------------------------------- a call */

/* Under the lock: nobody gets anything from it any more. */
static void break_link(struct link *l, int code)
{
    if (!l->broken) l->broken = code;
    pthread_cond_broadcast(&l->change);
}

/* Without the lock, but as the only reader: one answer, given to whom it is for.  0: the deadline. */
static int read_answer(struct link *l, int64_t deadline)
{
    size_t size;
    int whole = read_frame(l->fd, &l->reader, deadline);
    if (whole <= 0) return whole;
    struct wire_answer answer;
    void *message = brood__frame_reader_take(&l->reader, &size);
    brood__frame_reader_next(&l->reader);
    if (!message) return BROOD_ENOMEM;
    int error = brood__wire_answer_read(&answer, message, size);
    pthread_mutex_lock(&l->lock);
    struct pending *p = l->pending;
    while (p && (p->serial != answer.serial || p->done)) p = p->next;
    if (error == 0 && p) {
        p->answer = answer;
        p->message = message;
        p->done = true;
    }
    pthread_mutex_unlock(&l->lock);
    if (error == 0 && p) return 1;
    free(message);
    return error < 0 ? error : BROOD_ECORRUPT;
}

static void sleep_until(struct link *l, int64_t deadline)
{
    if (deadline == OS_NEVER) {
        pthread_cond_wait(&l->change, &l->lock);
        return;
    }
    struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    pthread_cond_timedwait(&l->change, &l->lock, &until);
}

static int await_answer(struct link *l, struct pending *p, int64_t deadline)
{
    pthread_mutex_lock(&l->lock);
    while (!p->done && !l->broken) {
        if (l->reading) {
            sleep_until(l, deadline);
            continue;
        }
        l->reading = true;
        pthread_mutex_unlock(&l->lock);
        int code = read_answer(l, deadline);
        pthread_mutex_lock(&l->lock);
        l->reading = false;
        if (code <= 0) break_link(l, code == BROOD_ECORRUPT || code == BROOD_ENOMEM ? code : BROOD_ELOST);
        pthread_cond_broadcast(&l->change);
    }
    struct pending **place = &l->pending;
    while (*place != p) place = &(*place)->next;
    *place = p->next;
    int code = p->done ? 0 : l->broken;
    pthread_mutex_unlock(&l->lock);
    return code;
}

/* What stands in the writer, as a frame. */
static int send_writer(struct link *l, const struct item_writer *w, int64_t deadline)
{
    pthread_mutex_lock(&l->sending);
    int error = l->broken ? l->broken : write_frame(l->fd, w->bytes, w->size, deadline);
    if (error < 0) { /* half a message may be out */
        pthread_mutex_lock(&l->lock);
        break_link(l, BROOD_ELOST);
        pthread_mutex_unlock(&l->lock);
    }
    pthread_mutex_unlock(&l->sending);
    return error;
}

static int take_over(struct link *l, uint64_t serial)
{
    unsigned char bytes[16];
    struct item_writer w = {.bytes = bytes, .capacity = sizeof bytes, .most = sizeof bytes};
    brood__wire_taken_write(&w, serial);
    return send_writer(l, &w, brood__os_deadline(PATIENCE_MS)) < 0 ? lost() : 0;
}

int brood__link_call(struct link *l, uint64_t object, const char *method, int timeout, const brood_variant *args,
                     struct wire_answer *answer, void **message)
{
    struct item_writer w = {.most = UINT32_MAX};
    struct pending p = {.done = false};
    *message = NULL;
    pthread_mutex_lock(&l->lock);
    p.serial = ++l->serial;
    int error = l->broken;
    if (error == 0)
        error = brood__wire_request_write(&w, p.serial, object, method, brood__os_robust.tid, timeout, args);
    if (error == 0) error = w.error == BROOD_EINVAL ? BROOD_EMSGSIZE : w.error;
    if (error == 0) {
        p.next = l->pending;
        l->pending = &p;
    }
    pthread_mutex_unlock(&l->lock);
    if (error == 0) {
        int64_t deadline =
            timeout < 0 ? OS_NEVER
                        : brood__os_deadline(timeout > INT32_MAX - PATIENCE_MS ? INT32_MAX : timeout + PATIENCE_MS);
        send_writer(l, &w, brood__os_deadline(PATIENCE_MS)); /* an error breaks the link, which the wait finds */
        error = await_answer(l, &p, deadline);
    }
    free(w.bytes);
    if (error < 0) {
        free(p.message);
        return error == BROOD_ELOST ? lost() : error;
    }
    *answer = p.answer;
    *message = p.message;
    if (answer->handed) error = take_over(l, p.serial);
    if (error < 0) {
        free(p.message);
        *message = NULL;
    }
    return error;
}

/* ------------------------------------------------------------------------------------------- those of this process */

static void before_fork(void)
{
    pthread_mutex_lock(&links_lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&links_lock);
}

/* The parent's connections are not this process's: closed, and their memory left as it is, for threads were in it. */
static void in_child(void)
{
    for (struct link *l = links; l; l = l->next) brood__os_close(&l->fd);
    links = NULL;
    pthread_mutex_init(&links_lock, NULL);
}

/* The end of this process's membership. */
static void forget_all(void)
{
    pthread_mutex_lock(&links_lock);
    while (links) {
        struct link *l = links;
        links = l->next;
        l->forgotten = true;
        if (!l->users) brood__link_close(l);
    }
    pthread_mutex_unlock(&links_lock);
}

static void prepare_process(void)
{
    static bool prepared;
    if (!prepared) pthread_atfork(before_fork, after_fork, in_child);
    prepared = true;
    brood__on_fini = forget_all;
}

int brood__link_get(uint64_t manager, struct link **link)
{
    struct whereabouts where;
    pthread_mutex_lock(&links_lock);
    prepare_process();
    struct link *l = links;
    while (l && l->manager != manager) l = l->next;
    int error = brood__manager_where(manager, &where);
    if (error == 0 && !l) { /* others wait for the lock meanwhile: they want the same, most likely */
        struct link *fresh = NULL;
        error = brood__link_open(&fresh, &where, brood__os_deadline(GREET_MS));
        l = fresh;
        if (l) {
            l->manager = manager;
            l->next = links;
            links = l;
        }
    }
    if (error == 0 && l) l->users++;
    pthread_mutex_unlock(&links_lock);
    if (error == 0) *link = l;
    if (error == -ECONNREFUSED) error = lost();
    return error;
}

void brood__link_put(struct link *l)
{
    pthread_mutex_lock(&links_lock);
    bool close = --l->users == 0 && l->forgotten;
    pthread_mutex_unlock(&links_lock);
    if (close) brood__link_close(l);
}

void brood__link_forget(uint64_t manager)
{
    pthread_mutex_lock(&links_lock);
    struct link **place = &links;
    while (*place && (*place)->manager != manager) place = &(*place)->next;
    struct link *l = *place;
    if (l) {
        *place = l->next;
        l->forgotten = true;
        pthread_mutex_lock(&l->lock);
        break_link(l, BROOD_ELOST);
        pthread_mutex_unlock(&l->lock);
        brood__os_stream_shutdown(l->fd); /* who reads from it wakes */
        if (!l->users) brood__link_close(l);
    }
    pthread_mutex_unlock(&links_lock);
}
