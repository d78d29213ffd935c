/* SPDX-License-Identifier: MIT */
/*
 * manager.c - making, finding and ending managers; the server's process begins here.
 *
 * The listening socket is made by who makes the manager, so its errors are that one's, and calls that come before the
 * server does wait in the backlog.  Not async-signal-safe.
 */
#include "arena/member.h"
#include "call/call.h"
#include "call/error.h"
#include "call/module.h"
#include "manager/place.h"
#include "manager/server.h"
#include "pipe/address.h"

#include <brood/process.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG 4096
#define LISTENER_THERE 3 /* the listening socket's number in a server that does not inherit it */
#define EXIT_INITIALIZER 3
#define FAREWELL_MS 2000

/* ---------------------------------------------------------------------------------------------------- in the server */

static int run_initializer(function_ref function)
{
    const brood_task *task;
    int error = function ? brood__function_find(function, &task) : 0;
    if (!function || error < 0) return error;
    struct call call;
    brood__call_begin(&call);
    void *result = calloc(1, task->result_size ? task->result_size : 1);
    if (result) task->call(NULL, result);
    if (call.fail) {
        fprintf(stderr, "%s: %s: %s (%d)\n", brood__me()->name, task->name, call.text, call.fail);
        error = BROOD_EINIT;
    }
    free(result);
    brood__call_end(&call);
    return error;
}

static BROOD_TASK(manager_serve, int, brood_bytes, bytes)
{
    static struct server server;
    const char *at = bytes.data;
    if (bytes.size < sizeof server.setup) return 1;
    memcpy(&server.setup, at, sizeof server.setup);
    server.key = (const unsigned char *)at + sizeof server.setup;
    server.listener = server.setup.listener;
    brood__os_random(&server.next_id, sizeof server.next_id);
    server.next_id = OBJECT_BIT | (server.next_id & 0x7fffffff00000000) | 1;
    signal(SIGINT, SIG_IGN); /* the keys are for the program, which needs its manager until its own end */
    brood__os_raise_descriptors();
    if (run_initializer(server.setup.initializer) < 0) return EXIT_INITIALIZER;
    return brood__manager_serve(&server) < 0;
}

/* --------------------------------------------------------------------------------------------------------- settling */

static uint64_t or_default(size_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

static int settle(const brood_manager_options *o, struct setup *setup)
{
    if (o->authkey_size > MANAGER_KEY_MOST || (o->authkey && !o->authkey_size))
        return brood__fail_with(BROOD_EINVAL, "a key has 1 to %d bytes", MANAGER_KEY_MOST);
    if (o->stall_timeout < 0) return brood__fail_with(BROOD_EINVAL, "stall_timeout is negative");
    if ((unsigned)o->method > BROOD_START_FORKSERVER) return brood__fail_with(BROOD_EINVAL, "no such start method");
    if (o->initializer && (o->initializer->magic != BROOD_TASK_MAGIC || o->initializer->arg_size))
        return brood__fail_with(BROOD_ETASK, "the initializer is no task without argument");
    *setup = (struct setup){
        .key_size = (uint32_t)(o->authkey ? o->authkey_size : sizeof brood__arena()->authkey),
        .clients = or_default(o->max_clients, 10000),
        .message = or_default(o->max_message, 16 << 20),
        .buffered = or_default(o->max_unread, 64 << 20),
        .waiting = or_default(o->max_waiting, 1024),
        .objects = or_default(o->max_objects, 65536),
        .memory = or_default(o->max_memory, brood__os_memory_total() / 2),
        .workers = or_default(o->max_workers, 1024),
        .stall_ms = o->stall_timeout ? o->stall_timeout : 30000,
        .greet_ms = 10000,
    };
    if (setup->message < 256 || setup->message > BROOD_VARIANT_MOST || setup->buffered > BROOD_VARIANT_MOST)
        return brood__fail_with(BROOD_EINVAL, "max_message and max_unread are from 256 to %u", BROOD_VARIANT_MOST);
    /* What was taken in can be given out again. */
    if (setup->buffered < setup->message + 64) setup->buffered = setup->message + 64;
    return o->initializer ? brood__function_ref(o->initializer, &setup->initializer) : 0;
}

static int listen_at(const char *text, struct os_address *bound, int *fd)
{
    char own[48];
    struct os_address address;
    if (!text) {
        uint64_t number;
        int error = brood__os_random(&number, sizeof number);
        if (error < 0) return error;
        snprintf(own, sizeof own, "@brood-manager-%016llx", (unsigned long long)number);
        text = own;
    }
    int error = brood__address_parse(&address, 1, text, true);
    if (error >= 0) error = brood__os_stream_listen(&address, BACKLOG, fd, bound);
    if (error < 0 && !brood_error_detail()[0])
        brood__fail_with(error, "the manager can't listen at %.100s: %s", text, brood_strerror(error));
    return error < 0 ? error : 0;
}

/* A slot with these, LIVE. */
static int publish(const struct whereabouts *where, uint64_t process, brood_manager *manager)
{
    uint32_t index = 0;
    int error = brood__slot_claim(TABLE_MANAGER, brood__self->member, NULL, &index);
    if (error < 0) return error;
    struct manager_shm *m = (struct manager_shm *)(void *)brood__slot_at(TABLE_MANAGER, index);
    m->process = process;
    m->address = where->address;
    m->key_size = where->key_size;
    memcpy(m->key, where->key, sizeof m->key);
    manager->id = brood__slot_publish(TABLE_MANAGER, index);
    return 0;
}

int brood__manager_where(uint64_t manager, struct whereabouts *where)
{
    struct manager_shm *m = brood__slot_find(TABLE_MANAGER, manager);
    if (!m) return brood__slot_gone(TABLE_MANAGER, manager);
    where->address = m->address;
    where->key_size = m->key_size;
    memcpy(where->key, m->key, sizeof where->key);
    if (!brood__slot_is(&m->slot, manager)) return BROOD_ESTALE;
    return where->key_size > MANAGER_KEY_MOST ? BROOD_ECORRUPT : 0;
}

bool brood__manager_is_own(uint64_t manager)
{
    const struct manager_shm *m = brood__slot_find(TABLE_MANAGER, manager);
    return m && m->process;
}

/* ------------------------------------------------------------------------------------------------------ starting it */

static int start_server(const brood_manager_options *o, struct setup *setup, const struct whereabouts *where,
                        int listener, brood_process *process)
{
    unsigned char bytes[sizeof *setup + MANAGER_KEY_MOST];
    brood_start_method method = o->method ? o->method : brood_get_start_method();
    setup->listener = method == BROOD_START_FORK ? listener : LISTENER_THERE;
    setup->method = (int32_t)method;
    memcpy(bytes, setup, sizeof *setup);
    memcpy(bytes + sizeof *setup, where->key, where->key_size);
    brood_bytes arg = {bytes, sizeof *setup + where->key_size};
    const brood_descriptor passed = {listener, LISTENER_THERE};
    const brood_process_options options = {
        .name = "manager", .method = o->method, .daemon = true, .descriptors = &passed, .descriptor_count = 1};
    return brood_process_start_task(process, &options, &manager_serve__task, &arg);
}

static void end_server(brood_process process, int patience)
{
    if (brood_process_join(process, patience, NULL) < 0) {
        brood_process_kill(process);
        brood_process_join(process, BROOD_FOREVER, NULL);
    }
    brood_process_free(process);
}

/* The server is there, and this process's link to it. */
static int first_call(brood_manager manager)
{
    brood_manager_stats stats;
    return brood_manager_get_stats(manager, &stats);
}

int brood_manager_new(brood_manager *manager, const brood_manager_options *options)
{
    const brood_manager_options none = {0}, *o = options ? options : &none;
    struct setup setup = {.key_size = 0};
    struct whereabouts where = {.key_size = 0};
    int listener = -1;
    int error = brood__enter();
    if (error == 0) error = settle(o, &setup);
    if (error == 0) error = listen_at(o->address, &where.address, &listener);
    if (error < 0) return error;
    where.key_size = setup.key_size;
    memcpy(where.key, o->authkey ? o->authkey : brood__arena()->authkey, where.key_size);
    brood_process process;
    error = start_server(o, &setup, &where, listener, &process);
    brood__os_close(&listener);
    if (error == 0) {
        error = publish(&where, process.id, manager);
        if (error == 0) error = first_call(*manager);
        if (error < 0) {
            char detail[DETAIL_SIZE];
            int code = 0;
            snprintf(detail, sizeof detail, "%s", brood_error_detail());
            brood_process_kill(process);
            brood_process_join(process, BROOD_FOREVER, &code);
            brood_process_free(process);
            if (brood__slot_retire(TABLE_MANAGER, manager->id))
                brood__slot_release(TABLE_MANAGER, HANDLE_INDEX(manager->id));
            error = code == EXIT_INITIALIZER ? brood__fail_with(BROOD_EINIT, "the initializer of the manager failed")
                                             : brood__fail_with(error, "%s", detail);
        }
    }
    const char *path = brood__os_address_path(&where.address);
    struct os_file file;
    if (error < 0 && path && brood__os_socket_file(path, &file)) brood__os_socket_file_remove(path, &file);
    return error;
}

int brood_manager_connect(brood_manager *manager, const char *address, const void *authkey, size_t authkey_size,
                          int timeout)
{
    enum { ADDRESSES = 8 };
    struct os_address addresses[ADDRESSES];
    struct whereabouts where = {.key_size = (uint32_t)authkey_size};
    int error = brood__enter_for(timeout);
    if (error < 0) return error;
    if (!address || !authkey || !authkey_size || authkey_size > MANAGER_KEY_MOST) return BROOD_EINVAL;
    memcpy(where.key, authkey, authkey_size);
    int count = brood__address_parse(addresses, ADDRESSES, address, false);
    if (count < 0) return count;
    int64_t deadline = brood__os_deadline(timeout);
    struct link *link = NULL;
    error = BROOD_EINVAL;
    for (int i = 0; i < count && !link; i++) {
        where.address = addresses[i];
        error = brood__link_open(&link, &where, timeout == 0 ? 0 : deadline);
    }
    if (error < 0) return error;
    brood__link_close(link); /* it was to see; the first call opens the one of this process */
    return publish(&where, 0, manager);
}

int brood_manager_free(brood_manager manager)
{
    int error = brood__enter();
    if (error < 0) return error;
    struct manager_shm *m = brood__slot_find(TABLE_MANAGER, manager.id);
    if (!m) return brood__slot_gone(TABLE_MANAGER, manager.id);
    if (SLOT_OWNER(atomic_load(&m->slot.word)) != brood__self->member) return BROOD_EPERM;
    uint64_t process = m->process;
    struct os_address address = m->address;
    if (process) brood_proxy_call((brood_proxy){manager.id, 0}, "shutdown", brood_variant_nil(), NULL, 0);
    brood__link_forget(manager.id);
    if (!brood__slot_retire(TABLE_MANAGER, manager.id)) return BROOD_ESTALE;
    brood__slot_release(TABLE_MANAGER, HANDLE_INDEX(manager.id));
    const char *path = process ? brood__os_address_path(&address) : NULL;
    struct os_file file;
    if (path && brood__os_socket_file(path, &file)) brood__os_socket_file_remove(path, &file);
    if (process) end_server((brood_process){process}, FAREWELL_MS);
    brood__say_nothing();
    return 0;
}

int brood_manager_address(brood_manager manager, char *text, size_t capacity)
{
    struct whereabouts where;
    int error = brood__enter();
    if (error == 0) error = brood__manager_where(manager.id, &where);
    if (error == 0) brood__os_address_text(&where.address, text, capacity);
    return error;
}

int brood_manager_disconnect(brood_manager manager)
{
    struct whereabouts where;
    int error = brood__enter();
    if (error < 0) return error;
    brood__link_forget(manager.id);
    return brood__manager_where(manager.id, &where);
}
