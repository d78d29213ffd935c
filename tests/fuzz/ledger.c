/* SPDX-License-Identifier: MIT */
/*
 * ledger.c - a ledger of names that anybody has written: what is taken for a record has a name in this folder, and none
 * but of this user.  The first byte says whether records get their magic and the user, so that more of them are nearly right.
 */
#include "shared/ledger.c"

#include "fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool truth)
{
    if (!truth) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1) return 0;
    int fd = memfd_create("ledger", MFD_CLOEXEC);
    require(fd >= 0);
    for (size_t at = 1, n = 1; at < size; at += 300, n++) {
        struct ledger_record record = {0};
        size_t some = size - at < sizeof record ? size - at : sizeof record;
        memcpy(&record, bytes + at, some);
        if (bytes[0] & 1) record.magic = RECORD_MAGIC;
        if (bytes[0] & 2) record.is.user = brood__os_user();
        require(pwrite(fd, &record, bytes[0] & 4 ? some : sizeof record, (off_t)(n * RECORD)) > 0);
        if (bytes[0] & 8 && n == 1) require(pwrite(fd, &record, sizeof record, 0) > 0);
    }
    struct ledger_record record;
    int there;
    for (uint64_t i = 0; (there = record_of(fd, i, &record)) >= 0; i++) {
        require(i < size);
        if (!there) continue;
        require(memchr(record.name, 0, sizeof record.name) != NULL && record.name[0] != 0);
        require(!strchr(record.name, '/') && record.is.user == brood__os_user());
    }
    is_alive(fd);
    close(fd);
    return 0;
}
