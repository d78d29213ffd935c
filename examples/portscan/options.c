/* SPDX-License-Identifier: MIT */
/* options.c - the command line, strictly: what isn't understood is an error, and says why. */
#include "options.h"

#include "scan.h"

#include <argp.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SEQUENTIAL = 256, KEY_METHOD };

static const struct argp_option known[] = {
    {"ports", 'p', "LIST", 0, "Ports to scan, as 22,80-100 (default 80-100)", 0},
    {"jobs", 'j', "N", 0, "Scan in N processes, 1 to 4096 (default: one per processor)", 0},
    {"timeout", 't', "TIME", 0, "Wait so long for each port: 1s, 0.5s, 200ms (default 1s)", 0},
    {"window", 'w', "N", 0, "Connects in flight in each process, 1 to 1024 (default 256)", 0},
    {"sequential", KEY_SEQUENTIAL, 0, 0, "Scan in this process alone", 0},
    {"start-method", KEY_METHOD, "METHOD", 0, "Start the workers by fork, spawn, forkserver or thread", 0},
    {"ipv4", '4', 0, 0, "Use an IPv4 address of the host", 0},
    {"ipv6", '6', 0, 0, "Use an IPv6 address of the host", 0},
    {"verbose", 'v', 0, 0, "Name closed and filtered ports too", 0},
    {0},
};

static const char documentation[] =
    "Find the open TCP ports of HOST, a name or an address.\v"
    "A port is open if it takes a connection, closed if it refuses it, and filtered if no answer comes in time or a "
    "router answers that the port can't or mustn't be reached.\n"
    "\n"
    "Exit status:\n"
    "  0  the ports were scanned\n"
    "  1  the command line is wrong\n"
    "  2  the host can't be resolved\n"
    "  3  the scan is incomplete";

static long whole_number(struct argp_state *state, const char *option, const char *text, long most)
{
    char *end;
    long value = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
    if (value < 1 || value > most || *end) argp_error(state, "-%s %s: not a number from 1 to %ld", option, text, most);
    return value;
}

/* "1s", "0.5s", "200ms", "2": milliseconds. */
static int duration(struct argp_state *state, const char *text)
{
    static const double longest = 3600.0 * 1000;
    size_t length = strspn(text, "0123456789.");
    const char *point = memchr(text, '.', length);
    const char *unit = text + length;
    double ms = -1;
    if (isdigit((unsigned char)*text) && (!point || !memchr(point + 1, '.', length - (size_t)(point + 1 - text)))) {
        ms = strtod(text, NULL);
        if (strcmp(unit, "s") == 0 || *unit == 0)
            ms *= 1000;
        else if (strcmp(unit, "ms") != 0)
            ms = -1;
    }
    if (ms < 1 || ms > longest) argp_error(state, "-t %s: not a time from 1ms to 3600s, as 1s, 0.5s or 200ms", text);
    return (int)ms;
}

static brood_start_method method_of(struct argp_state *state, const char *text)
{
    brood_start_method method;
    if (brood_start_method_parse(&method, text) == 0 && method != BROOD_START_DEFAULT) return method;
    argp_error(state, "--start-method %s: not fork, spawn, forkserver or thread", text);
    return BROOD_START_DEFAULT;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    const char *why;
    switch (key) {
    case 'p':
        if (ports_parse(&o->ports, text, &why) < 0) argp_error(state, "-p %s: %s", text, why);
        return 0;
    case 'j': o->workers = (unsigned)whole_number(state, "j", text, 4096); return 0;
    case 'w': o->window = (unsigned)whole_number(state, "w", text, SCAN_CHUNK); return 0;
    case 't': o->timeout = duration(state, text); return 0;
    case '4': o->family = AF_INET; return 0;
    case '6': o->family = AF_INET6; return 0;
    case 'v': o->verbose = true; return 0;
    case KEY_SEQUENTIAL: o->sequential = true; return 0;
    case KEY_METHOD: o->method = method_of(state, text); return 0;
    case ARGP_KEY_ARG:
        if (o->host) argp_error(state, "%s: one host at a time", text);
        if (*text == 0) argp_error(state, "the host's name is empty");
        o->host = text;
        return 0;
    case ARGP_KEY_END:
        if (!o->host) argp_error(state, "which host?");
        if (o->sequential && (o->workers || o->method)) argp_error(state, "--sequential starts no processes");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp argp = {known, parse, "HOST", documentation, NULL, NULL, NULL};
    const char *why;
    argp_err_exit_status = EXIT_USAGE;
    argp_program_version = "portscan (Brood) 0.1.0";
    *options = (struct options){.timeout = 1000, .window = SCAN_WINDOW, .family = AF_UNSPEC};
    ports_parse(&options->ports, "80-100", &why);
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
