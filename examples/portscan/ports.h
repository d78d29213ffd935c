/* SPDX-License-Identifier: MIT */
/* A list of ports: in ascending order, each once. */
#ifndef PORTSCAN_PORTS_H
#define PORTSCAN_PORTS_H

#include <stdint.h>

struct ports {
    unsigned count;
    uint16_t port[65535];
};

/* Read "22,80-100" into ports.  0, or -1 and *why says what is wrong with it: a static text. */
int ports_parse(struct ports *ports, const char *text, const char **why);

#endif
