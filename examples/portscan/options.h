/* SPDX-License-Identifier: MIT */
/* What the command line asks for. */
#ifndef PORTSCAN_OPTIONS_H
#define PORTSCAN_OPTIONS_H

#include "ports.h"

#include <brood.h>
#include <stdbool.h>

/* How the program ends. */
enum { EXIT_SCANNED = 0, EXIT_USAGE = 1, EXIT_NO_HOST = 2, EXIT_INCOMPLETE = 3 };

struct options {
    const char *host;
    struct ports ports;
    unsigned workers; /* 0: one per processor */
    unsigned window;
    int timeout; /* ms */
    int family;  /* AF_INET, AF_INET6, AF_UNSPEC */
    bool sequential;
    bool verbose;
    brood_start_method method;
};

/* Parse the command line, or say what is wrong with it and exit with EXIT_USAGE. */
void options_parse(struct options *options, int argc, char **argv);

#endif
