/* SPDX-License-Identifier: MIT */
/*
 * shm.c - named shared memory as a process has it: its mappings, by handle.
 *
 * A list that only grows; an entry is taken and given back by its id.  A forked member has its parent's mappings and with
 * them this list.  No descriptor is kept: a mapping keeps the lock that says that the segment is in use (names.h).
 * Thread-safe, but for a close while another thread looks at the segment; not async-signal-safe.
 */
#include "arena/member.h"
#include "call/error.h"
#include "process/supervisor.h"
#include "shared/names.h"
#include "shared/shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mapping {
    struct mapping *next;
    _Atomic uint64_t id; /* 0: free; TAKEN: being filled or emptied */
    uint64_t key;        /* of the family */
    void *base;
    size_t size;
    char name[BROOD_SHM_NAME];
};
#define TAKEN 1u
static _Atomic(struct mapping *) mappings;

static struct mapping *find(uint64_t id)
{
    for (struct mapping *m = atomic_load(&mappings); m; m = m->next)
        if (atomic_load(&m->id) == id && m->key == brood__arena()->key) return m;
    return NULL;
}

/* An entry, TAKEN; NULL without memory. */
static struct mapping *new_mapping(void)
{
    for (struct mapping *m = atomic_load(&mappings); m; m = m->next) {
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&m->id, &none, TAKEN)) return m;
    }
    struct mapping *m = malloc(sizeof *m);
    if (!m) return NULL;
    atomic_init(&m->id, TAKEN);
    m->next = atomic_load(&mappings);
    while (!atomic_compare_exchange_weak(&mappings, &m->next, m)) {}
    return m;
}

/* Map what is open and locked, for an entry that is TAKEN and becomes the handle's later. */
static int map(struct mapping *m, int fd, uint64_t size, bool read_only, const char *name)
{
    int error = brood__os_named_map(fd, size, read_only, &m->base);
    if (error < 0) return error;
    m->key = brood__arena()->key;
    m->size = (size_t)size;
    memcpy(m->name, name, strlen(name) + 1);
    return 0;
}

static void unmap(struct mapping *m)
{
    brood__os_memory_unmap(m->base, m->size);
    atomic_store(&m->id, 0);
}

/* Open a name, as one of its users: nobody is removing it, and it leads there still. */
static int open_used(const char *name, bool read_only, int *fd, struct os_named *is)
{
    for (int tries = 0; tries < 500; tries++) {
        int error = brood__os_named_open(name, read_only, false, fd, is);
        if (error < 0) return error;
        error = brood__os_named_lock(*fd, false);
        if (error == 0 && brood__os_named_linked(*fd)) return 0;
        brood__os_close(fd);
        if (error < 0 && error != -EAGAIN) return error;
        if (error == -EAGAIN) brood__os_nap(1000 * 1000);
    }
    return BROOD_EAGAIN;
}

/* A name without its '/': 0, or BROOD_EINVAL. */
static int plain_name(const char *name, const char **plain)
{
    *plain = name ? name : "";
    if (**plain == '/') (*plain)++;
    if (!**plain || strchr(*plain, '/') || strcmp(*plain, ".") == 0 || strcmp(*plain, "..") == 0)
        return brood__fail_with(BROOD_EINVAL, "no good name of shared memory: %.60s", name ? name : "NULL");
    if (strlen(*plain) >= BROOD_SHM_NAME)
        return brood__fail_with(BROOD_EINVAL, "a name of %zu bytes, and at most %d", strlen(*plain),
                                BROOD_SHM_NAME - 1);
    if (brood__ledger_is(*plain)) return brood__fail_with(BROOD_EINVAL, "%s is a name of the library's own", *plain);
    return 0;
}

/* The family uses names (1), or makes them (2). */
static void note_use(uint32_t what)
{
    uint32_t seen = atomic_load(&brood__arena()->names);
    while (seen < what && !atomic_compare_exchange_weak(&brood__arena()->names, &seen, what)) {}
}

/* Whoever is the first to make one sees to it that it goes with the family. */
static int prepare_to_make(void)
{
    note_use(2);
    bool first = !brood__supervisor_alive();
    int error = brood__supervisor_ensure(NULL);
    if (error < 0) return error;
    error = brood__ledger_use();
    if (error < 0) return brood__fail_with(error, "the list of names: %s", brood_strerror(error));
    static _Atomic uint64_t told;
    if (first || atomic_exchange(&told, brood__arena()->key) != brood__arena()->key)
        error = brood__supervisor_request(&(struct request){.kind = REQUEST_LOOK}, NULL, 0);
    return error;
}

/* ---------------------------------------------------------------------------------------------------------- create */

static int create(struct mapping *m, size_t size, const brood_shm_options *options, const char *given, uint64_t *id,
                  void (*fill)(void *bytes, const void *of), const void *of)
{
    struct os_named is;
    char made[32];
    int fd;
    int error = brood__os_named_make(size, options->mode ? options->mode : 0600, &fd, &is);
    if (error < 0) return brood__fail_with(error, "%zu bytes: %s", size, brood_strerror(error));
    error = brood__os_named_lock(fd, false);
    for (int tries = 0; error == 0; tries++) {
        uint64_t number;
        if (!given) {
            error = brood__os_random(&number, sizeof number);
            snprintf(made, sizeof made, "brood_%016llx", (unsigned long long)number);
        }
        const char *name = given ? given : made;
        if (error == 0) error = map(m, fd, size, false, name);
        if (error < 0) break;
        if (fill) fill(m->base, of);
        error = brood__named_give(fd, name, &is, !options->persist, options->scope.id, id);
        if (error == 0) break;
        brood__os_memory_unmap(m->base, m->size);
        if (error == -EEXIST && given) brood__fail_with(error, "there is %s already", given);
        if (error != -EEXIST || given || tries == 100) break;
        error = 0;
    }
    brood__os_close(&fd);
    return error;
}

int brood__shm_create(brood_shm *shm, size_t size, const brood_shm_options *options, void **data,
                      void (*fill)(void *bytes, const void *of), const void *of)
{
    static const brood_shm_options none;
    const char *name = NULL;
    if (!options) options = &none;
    int error = brood__enter();
    if (error == 0 && options->name) error = plain_name(options->name, &name);
    if (error == 0 && size == 0) error = brood__fail_with(BROOD_EINVAL, "a segment of 0 bytes");
    if (error == 0 && (options->read_only || (options->persist && options->scope.id)))
        error = brood__fail_with(BROOD_EINVAL, "read_only, or persist in a scope");
    if (error == 0) error = brood__scope_check(options->scope.id);
    if (error == 0) note_use(1);
    if (error == 0 && !options->persist) error = prepare_to_make();
    if (error < 0) return error;
    struct mapping *m = new_mapping();
    if (!m) return BROOD_ENOMEM;
    uint64_t id = 0;
    error = create(m, size, options, name, &id, fill, of);
    if (error < 0) {
        atomic_store(&m->id, 0);
        return error;
    }
    if (data) *data = m->base;
    shm->id = id;
    atomic_store(&m->id, id);
    return 0;
}

int brood_shm_create(brood_shm *shm, size_t size, const brood_shm_options *options, void **data)
{
    return brood__shm_create(shm, size, options, data, NULL, NULL);
}

/* ---------------------------------------------------------------------------------------------------------- attach */

/* It is open: of the size that it was made with, if a family knows that. */
static int check_size(const char *name, const struct os_named *is, uint64_t made)
{
    if (is->size == 0) return brood__fail_with(BROOD_EINVAL, "%s is empty", name);
    if (is->size < made)
        return brood__fail_with(BROOD_ECORRUPT, "%s has %llu bytes, and was made with %llu", name,
                                (unsigned long long)is->size, (unsigned long long)made);
    return 0;
}

int brood_shm_attach(brood_shm *shm, const char *name, const brood_shm_options *options)
{
    static const brood_shm_options none;
    if (!options) options = &none;
    struct os_named is;
    int fd;
    int error = brood__enter();
    if (error == 0) error = plain_name(name, &name);
    if (error == 0 && (options->name || options->mode || options->persist || options->scope.id))
        error = brood__fail_with(BROOD_EINVAL, "attach takes read_only alone");
    if (error < 0) return error;
    note_use(1);
    error = open_used(name, options->read_only, &fd, &is);
    if (error < 0) return brood__fail_with(error, "%s: %s", name, brood_strerror(error));
    struct named_shm known;
    uint64_t id = brood__named_find(&is), size = is.size, made = 0;
    if (id && brood__named_look(id, &known) == 0)
        made = known.is.size;
    else if ((made = brood__ledger_size(&is)) != 0)
        error = brood__supervisor_ensure(NULL); /* its family may end first: then it goes with this one */
    if (made) size = made;
    if (error == 0) error = check_size(name, &is, size);
    struct mapping *m = error == 0 ? new_mapping() : NULL;
    if (error == 0 && !m) error = BROOD_ENOMEM;
    if (error == 0) error = map(m, fd, size, options->read_only, name);
    brood__os_close(&fd);
    bool mapped = error == 0;
    if (error == 0 && !id) error = brood__named_adopt(name, &is, &id);
    if (error < 0) {
        if (mapped) brood__os_memory_unmap(m->base, m->size);
        if (m) atomic_store(&m->id, 0);
        return error;
    }
    shm->id = id;
    atomic_store(&m->id, id);
    return 0;
}

/* ----------------------------------------------------------------------------------------------------------- later */

/* A handle that another member gave us: map what it stands for. */
static int map_by_handle(uint64_t id, struct mapping **mapped)
{
    struct named_shm known;
    struct os_named is;
    int fd;
    int error = brood__named_look(id, &known);
    if (error < 0) return error;
    error = open_used(known.name, false, &fd, &is);
    if (error == 0 && (is.device != known.is.device || is.inode != known.is.inode)) {
        brood__os_close(&fd);
        error = -ENOENT;
    }
    if (error < 0) return brood__fail_with(error, "%s: %s", known.name, brood_strerror(error));
    error = check_size(known.name, &is, known.is.size);
    struct mapping *m = error == 0 ? new_mapping() : NULL;
    bool good = error == 0;
    if (good && !m) error = BROOD_ENOMEM;
    if (error == 0) error = map(m, fd, known.is.size, false, known.name);
    brood__os_close(&fd);
    if (error < 0) {
        if (m) atomic_store(&m->id, 0);
        return good ? brood__fail_with(error, "%s: %s", known.name, brood_strerror(error)) : error;
    }
    atomic_store(&m->id, id);
    *mapped = m;
    return 0;
}

void *brood_shm_data(brood_shm shm, size_t *size)
{
    if (brood__enter() < 0 || HANDLE_TABLE(shm.id) != TABLE_NAMED) return NULL;
    struct mapping *m = find(shm.id);
    if (!m && (map_by_handle(shm.id, &m) < 0 || !m)) return NULL;
    if (size) *size = m->size;
    return m->base;
}

int brood_shm_name(brood_shm shm, char *name, size_t capacity)
{
    struct named_shm known;
    int error = brood__enter();
    if (error < 0) return error;
    if (HANDLE_TABLE(shm.id) != TABLE_NAMED) return BROOD_ESTALE;
    const struct mapping *m = find(shm.id);
    if (!m) error = brood__named_look(shm.id, &known);
    if (error < 0) return error;
    return snprintf(name, capacity, "%s", m ? m->name : known.name);
}

int brood_shm_close(brood_shm shm)
{
    int error = brood__enter();
    if (error < 0) return error;
    if (HANDLE_TABLE(shm.id) != TABLE_NAMED) return BROOD_ESTALE;
    bool some = false;
    for (struct mapping *m; (m = find(shm.id));) { /* threads may have mapped it twice */
        uint64_t id = shm.id;
        if (!atomic_compare_exchange_strong(&m->id, &id, TAKEN)) continue;
        unmap(m);
        some = true;
    }
    brood__named_forget(shm.id);
    return some ? 0 : BROOD_ESTALE;
}

int brood_shm_unlink(brood_shm shm)
{
    int error = brood__enter();
    if (error < 0) return error;
    error = brood__named_unlink(shm.id);
    return error == -EAGAIN ? BROOD_EAGAIN : error;
}

void brood__shm_leave(void)
{
    for (struct mapping *m = atomic_load(&mappings); m; m = m->next) {
        uint64_t id = atomic_load(&m->id);
        if (id > TAKEN && m->key == brood__arena()->key && atomic_compare_exchange_strong(&m->id, &id, TAKEN)) unmap(m);
    }
    brood__ledger_leave();
}
