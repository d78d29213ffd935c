/* SPDX-License-Identifier: MIT */
/*
 * manager/link.h - a client's connection to a manager: one of this process for each manager, for all of its threads.
 *
 * Whoever waits for an answer reads, one at a time, and gives the others theirs.  A forked child closes its copies at
 * once (pthread_atfork), so that the death of the one whose connection it is is seen by the server.
 * Thread-safe; not async-signal-safe.
 */
#ifndef BROOD_MANAGER_LINK_H
#define BROOD_MANAGER_LINK_H

#include "manager/setup.h"
#include "manager/wire.h"
#include "os/os.h"

struct link;

/* Where a server is, and the key. */
struct whereabouts {
    struct os_address address;
    uint32_t key_size;
    unsigned char key[MANAGER_KEY_MOST];
};

/* Connect and prove to each other.  0; BROOD_EAUTH; or an errno, all with detail. */
int brood__link_open(struct link **link, const struct whereabouts *where, int64_t deadline);
void brood__link_close(struct link *link);

/*
 * A request and its answer.  *message is malloc'ed and the caller's to free(3), and *answer lies in it; both as far as
 * the answer came (0).  BROOD_ELOST: the connection has ended.  An answer that is handed over has been taken.
 */
int brood__link_call(struct link *link, uint64_t object, const char *method, int timeout, const brood_variant *args,
                     struct wire_answer *answer, void **message);

/* This process's link to a manager of the family, by its handle, connected if it is not; to be put back. */
int brood__link_get(uint64_t manager, struct link **link);
void brood__link_put(struct link *link);
/* End it: it is closed when the last caller has put it back. */
void brood__link_forget(uint64_t manager);

#endif
