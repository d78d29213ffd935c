/* SPDX-License-Identifier: MIT */
/* missing.c - stands for the peers whose libraries were not there when this was built; each says so once. */
#include "harness.h"
#include "stream.h"

#include <stdbool.h>

#define MISSING(peer)                                      \
    static double peer##_missing(void *stream, uint64_t n) \
    {                                                      \
        static bool said;                                  \
        (void)stream;                                      \
        (void)n;                                           \
        if (!said) bench_complain(#peer, "missing");       \
        said = true;                                       \
        return -1;                                         \
    }                                                      \
    const struct stream_peer peer##_peer = {peer##_missing, peer##_missing, peer##_missing}

#ifdef MISSING_POSIX_MQ
MISSING(posix_mq);
#endif
#ifdef MISSING_ZEROMQ
MISSING(zeromq);
#endif
#ifdef MISSING_NNG
MISSING(nng);
#endif
#ifdef MISSING_CK_RING
MISSING(ck_ring);
#endif
