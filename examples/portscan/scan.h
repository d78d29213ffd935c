/* SPDX-License-Identifier: MIT */
/* The scan of one chunk of ports, in the process that calls it. */
#ifndef PORTSCAN_SCAN_H
#define PORTSCAN_SCAN_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

enum { SCAN_CHUNK = 1024, SCAN_WINDOW = 256 };

enum port_state {
    PORT_UNKNOWN,
    PORT_OPEN,     /* it took the connection */
    PORT_CLOSED,   /* it refused it */
    PORT_FILTERED, /* no answer in time, or a router's that it can't or mustn't be reached */
    PORT_STATES,
};

/* An address of either family. */
typedef union scan_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} scan_address;

typedef struct scan_chunk {
    scan_address to; /* its port doesn't count */
    int timeout;     /* ms for each port */
    unsigned window; /* connects in flight, at most */
    unsigned count;
    uint16_t port[SCAN_CHUNK];
} scan_chunk;

typedef struct scan_states {
    uint8_t state[SCAN_CHUNK]; /* enum port_state of each port of the chunk */
} scan_states;

/*
 * Find the state of each port of the chunk.  Where descriptors, local ports or memory are short it waits for them, and
 * never takes that for a port's state.  0, or a negative errno: the states not yet found are PORT_UNKNOWN.
 */
int scan_run(const scan_chunk *chunk, scan_states *states);

#endif
