/* SPDX-License-Identifier: MIT */
/* pool/supervise.h - pools as the supervisor sees them: seats filled, deaths told, templates asked. */
#ifndef BROOD_POOL_SUPERVISE_H
#define BROOD_POOL_SUPERVISE_H

#include "process/supervisor.h"

extern const struct area brood__pool_area;

/* What a template and the supervisor say to each other, one message each (SOCK_SEQPACKET). */
enum template_kind {
    TEMPLATE_FORK,   /* to it: fork a worker into this member's slot */
    TEMPLATE_FORKED, /* from it: value is the pid, or -errno */
    TEMPLATE_ENDED,  /* from it: that worker has ended: value is its status, or -signal */
};
struct template_message {
    uint32_t kind;
    uint32_t member;
    int32_t value;
    uint32_t generation; /* of that slot: see brood__member_attach; what is said of one before is not of this one */
};

/* Make the template of a pool, a copy of this process: its member handle, and the supervisor's end of its channel. */
int brood__template_new(uint64_t pool_id, const struct preparation *preparation, const struct process_object *object,
                        uint64_t *member, int *channel);
/* End the template of a pool that came to nothing, a child of this process. */
void brood__template_end(uint64_t member);

/* The life of a worker; returns its exit code, which is this if its initializer failed. */
#define EXIT_INITIALIZER 125
int brood__worker_run(const brood_task *initializer, const void *arg, size_t arg_size);

#endif
