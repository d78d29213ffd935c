/* SPDX-License-Identifier: MIT */
/* token.c - tokens for descriptors; the protocol is in pipe/token.h.  Thread-safe; not async-signal-safe. */
#include "pipe/token.h"

#include "call/error.h"

#include <brood/token.h>
#include <fcntl.h>
#include <stdlib.h>

static struct token_shm *at(uint32_t index)
{
    return (struct token_shm *)(void *)brood__slot_at(TABLE_TOKEN, index);
}

static bool swap(uint64_t id, unsigned from, uint32_t from_owner, unsigned to)
{
    uint64_t seen = SLOT_WORD(HANDLE_GENERATION(id), from, from_owner);
    return atomic_compare_exchange_strong(&at(HANDLE_INDEX(id))->slot.word, &seen,
                                          SLOT_WORD(HANDLE_GENERATION(id), to, brood__self->member));
}

/* -------------------------------------------------------------------------------------------------------- members */

int brood_descriptor_deposit(brood_token *token, int fd)
{
    uint32_t index = 0;
    int error = brood__enter();
    if (error == 0 && fcntl(fd, F_GETFD) < 0) error = brood__fail_with(-EBADF, "descriptor %d is not open", fd);
    if (error == 0) error = brood__slot_claim(TABLE_TOKEN, brood__self->member, NULL, &index);
    if (error < 0) return error;
    struct request request = {.kind = REQUEST_DEPOSIT};
    request.object = HANDLE(TABLE_TOKEN, index, SLOT_GENERATION(atomic_load(&at(index)->slot.word)));
    int connection, none;
    error = brood__supervisor_ask(&request, &fd, 1, &none, &connection);
    brood__os_close(&connection);
    if (error < 0) {
        brood__slot_release(TABLE_TOKEN, index);
        if (error == BROOD_EMFILE) brood__fail_with(error, "the supervisor has no room for more descriptors");
        return error;
    }
    token->id = brood__slot_publish(TABLE_TOKEN, index);
    return 0;
}

/* LIVE→FREEING by us, whoever holds it. */
static int seize(uint64_t id)
{
    struct movable_shm *m = HANDLE_TABLE(id) == TABLE_TOKEN ? brood__movable_find(id) : NULL;
    uint64_t word = m ? atomic_load(&m->slot.word) : 0;
    if (!m || SLOT_GENERATION(word) != HANDLE_GENERATION(id)) return brood__slot_gone(TABLE_TOKEN, id);
    if (SLOT_STATE(word) != SLOT_LIVE) return BROOD_EPERM;
    return swap(id, SLOT_LIVE, SLOT_OWNER(word), SLOT_FREEING) ? 0 : BROOD_ESTALE;
}

int brood_descriptor_redeem(brood_token token)
{
    int error = brood__enter();
    if (error == 0) error = seize(token.id);
    if (error < 0) return error;
    struct request request = {.kind = REQUEST_REDEEM, .object = token.id};
    int connection, fd;
    error = brood__supervisor_ask(&request, NULL, 0, &fd, &connection);
    if (error == 0 || error == BROOD_ELOST)
        brood__slot_release(TABLE_TOKEN, HANDLE_INDEX(token.id));
    else
        swap(token.id, SLOT_FREEING, brood__self->member, SLOT_LIVE);
    brood__os_close(&connection);
    if (error == BROOD_ELOST)
        return brood__fail_with(error, "the supervisor that had the descriptor of the token died");
    return error < 0 ? error : fd;
}

void brood__token_drop(uint32_t index)
{
    brood__slot_release(TABLE_TOKEN, index);
    brood__supervisor_tell(&(struct request){.kind = REQUEST_TOKENS});
    brood__say_nothing(); /* if it can't be told: it looks at the next occasion */
}

int brood_descriptor_discard(brood_token token)
{
    int error = brood__enter();
    if (error == 0 && HANDLE_TABLE(token.id) != TABLE_TOKEN) error = BROOD_ESTALE;
    if (error == 0) error = brood__movable_mine(token.id);
    if (error < 0) return error;
    if (!brood__slot_retire(TABLE_TOKEN, token.id)) return BROOD_ESTALE;
    brood__token_drop(HANDLE_INDEX(token.id));
    return 0;
}

/* ----------------------------------------------------------------------------------------------------- supervisor */

/* What it has, by the slot's index; grown as needed. */
struct kept {
    int fd;
    uint32_t generation;
};
static struct kept *kept;
static uint32_t kept_room, kept_count;

static void let_go(uint32_t index)
{
    if (kept[index].fd < 0) return;
    brood__os_close(&kept[index].fd);
    kept_count--;
}

static bool is_wanted(uint32_t index)
{
    uint64_t word = atomic_load(&at(index)->slot.word);
    return SLOT_GENERATION(word) == kept[index].generation && SLOT_STATE(word) != SLOT_FREE &&
           SLOT_STATE(word) != SLOT_GARBAGE;
}

void brood__token_look(void)
{
    for (uint32_t i = 1; i < kept_room && kept_count; i++)
        if (kept[i].fd >= 0 && !is_wanted(i)) let_go(i);
}

static bool has_room_for(uint32_t index)
{
    if (index < kept_room) return true;
    uint32_t count = index + 64;
    struct kept *more = realloc(kept, count * sizeof *more);
    if (!more) return false;
    for (uint32_t i = kept_room; i < count; i++) more[i] = (struct kept){.fd = -1};
    kept = more;
    kept_room = count;
    return true;
}

/* The index of a token's handle, or 0. */
static uint32_t index_of(uint64_t id, enum slot_state state)
{
    uint32_t index = HANDLE_INDEX(id);
    if (HANDLE_TABLE(id) != TABLE_TOKEN || index >= brood__table_used(TABLE_TOKEN) || index == 0) return 0;
    uint64_t word = atomic_load(&at(index)->slot.word);
    return SLOT_GENERATION(word) == HANDLE_GENERATION(id) && SLOT_STATE(word) == state ? index : 0;
}

static int take(const struct request *request, int *fd)
{
    uint32_t index = index_of(request->object, SLOT_INIT);
    if (index == 0 || *fd < 0) return BROOD_EINVAL;
    if (!has_room_for(index)) return BROOD_ENOMEM;
    let_go(index);
    if (kept_count >= brood__os_open_files() / 2) return BROOD_EMFILE;
    kept[index] = (struct kept){*fd, HANDLE_GENERATION(request->object)};
    kept_count++;
    *fd = -1;
    return 0;
}

static const int *find(const struct request *request)
{
    uint32_t index = index_of(request->object, SLOT_FREEING);
    if (index == 0 || index >= kept_room || kept[index].fd < 0) return NULL;
    return kept[index].generation == HANDLE_GENERATION(request->object) ? &kept[index].fd : NULL;
}

/* An answer fits, or its asker has gone: nobody is waited for. */
void brood__token_serve(const struct request *request, int *fds, size_t count, int connection)
{
    struct answer answer = {0};
    if (request->kind == REQUEST_TOKENS) {
        brood__token_look();
    } else if (request->kind == REQUEST_DEPOSIT) {
        int none = -1;
        answer.code = take(request, count == 1 ? fds : &none);
        brood__os_send(connection, &answer, sizeof answer, NULL, 0, 0);
    } else if (request->kind == REQUEST_REDEEM) {
        const int *fd = find(request);
        answer.code = fd ? 0 : BROOD_ELOST;
        brood__os_send(connection, &answer, sizeof answer, fd, fd ? 1 : 0, 0);
    }
}
