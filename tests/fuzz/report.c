/* SPDX-License-Identifier: MIT */
/*
 * report.c - what a child's channel brings, where its report is expected: it is the report's code with a text, or refused.
 * The bytes come in two pieces; the first byte says where they part.
 */
#include "fuzz.h"
#include "process/bootstrap.h"

#include <brood.h>
#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int ends[2];
    if (size < 1 || size > 4096) return 0;
    size_t first = bytes[0] < size ? bytes[0] : size - 1;
    bytes++;
    size--;
    require(brood__os_stream_pair(ends) == 0);
    require(brood__os_write_all(ends[1], bytes, first, 0) == 0);
    require(brood__os_write_all(ends[1], bytes + first, size - first, 0) == 0);
    if (size % 2) brood__os_close(&ends[1]);
    int code = brood__report_receive(ends[0], brood__os_deadline(0));
    if (size < sizeof(struct report)) {
        require(code == (size % 2 ? BROOD_ENOINIT : BROOD_ETIMEDOUT));
    } else {
        struct report report;
        memcpy(&report, bytes, sizeof report);
        if (report.magic != REPORT_MAGIC) require(code == BROOD_ECORRUPT);
        require(code <= 0);
        if (code < 0) require(brood_error_detail()[0] != 0 && strlen(brood_error_detail()) < 256);
        require(brood_strerror(code) != NULL && brood_error_name(code) != NULL);
    }
    brood__os_close(&ends[0]);
    brood__os_close(&ends[1]);
    return 0;
}
