/* SPDX-License-Identifier: MIT */
/* address.h - the text of an address, as include/brood/connection.h has it, and what it means. */
#ifndef BROOD_PIPE_ADDRESS_H
#define BROOD_PIPE_ADDRESS_H

#include "os/os.h"

/*
 * At most `room` addresses in the order to try: how many, at least 1.  BROOD_EINVAL: it means nothing; or an errno; both
 * with detail.
 */
int brood__address_parse(struct os_address *addresses, size_t room, const char *text, bool listening);

#endif
