/* SPDX-License-Identifier: MIT */
/*
 * auth.c - whatever the other end says, it is let in only if all it said was what the key's holder says.
 *
 * The input: a byte for our role and whether MD5 is allowed; then frames: a byte for the kind (what a holder of the key
 * would say; what one of another key would; these bytes), one for a length, bytes.
 */
#include "pipe/auth.h"
#include "fuzz.h"

#include <brood/error.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

enum { GENUINE, OTHER, RAW, KINDS };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1) return 0;
    const bool client = bytes[0] & 1, md5 = bytes[0] & 2;
    const struct auth_key key = {"right", 5, md5}, other = {"wrong", 5, md5};
    struct auth ours, theirs, strangers;
    struct auth_frame out, genuine, strange;
    bool proved = false;
    int result = 0;
    require(brood__auth_begin(&ours, client ? AUTH_CLIENT : AUTH_LISTENER, &out) == 0);
    require(brood__auth_begin(&theirs, client ? AUTH_LISTENER : AUTH_CLIENT, &genuine) == 0);
    require(brood__auth_begin(&strangers, client ? AUTH_LISTENER : AUTH_CLIENT, &strange) == 0);
    for (const uint8_t *at = bytes + 1, *end = bytes + size; result == 0 && end - at >= 2;) {
        uint8_t kind = at[0] % KINDS;
        size_t length = at[1] < end - at - 2 ? at[1] : (size_t)(end - at - 2);
        if (out.size > 0) {
            brood__auth_take(&theirs, &key, out.bytes, out.size, &genuine);
            brood__auth_take(&strangers, &other, out.bytes, out.size, &strange);
        }
        struct auth_frame *says = kind == GENUINE ? &genuine : &strange;
        if (kind == RAW) {
            says->size = length;
            memcpy(says->bytes, at + 2, length);
        }
        uint8_t *exact = malloc(says->size ? says->size : 1); /* of its very size: what reads beyond is seen */
        require(exact != NULL);
        memcpy(exact, says->bytes, says->size);
        enum auth_state before = ours.state;
        result = brood__auth_take(&ours, &key, exact, says->size, &out);
        free(exact);
        if (before == AUTH_WANTS_ANSWER && result >= 0) {
            require(kind == GENUINE);
            proved = true;
        }
        at += 2 + length;
        require(result == 0 || result == 1 || result == BROOD_EAUTH);
        require((result == 1) == (ours.state == AUTH_DONE));
        require((result < 0) == (ours.state == AUTH_REFUSED));
        require(out.size <= AUTH_MOST);
        if (result == 1) require(proved);
    }
    return 0;
}
