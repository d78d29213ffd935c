/* SPDX-License-Identifier: MIT */
/*
 * options.c - any command line of the port scanner, one argument in each line, is understood within its limits or refused
 * with a reason and the status for that.
 */
#include "options.h"
#include "fuzz.h"
#include "scan.h"

#include <argp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The way out of argp's errors, which end the program. */
static jmp_buf out;
static volatile int status;
__attribute__((format(printf, 2, 3))) static _Noreturn void refuse(const struct argp_state *state, const char *format,
                                                                   ...)
{
    static char text[2 * 65536];
    va_list args;
    (void)state;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) <= 0) abort();
    va_end(args);
    status = EXIT_USAGE;
    longjmp(out, 1);
}
#define argp_error refuse /* which prints and exits */
#include "portscan/options.c"

static void require(bool truth)
{
    if (!truth) abort();
}

static const char *const lists[] = {"-p", "-j", "-t", "-w", "--start-method"};

/* Argp's own: help and version print and exit. */
static bool is_known(const char *argument)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(argument, lists[i]) == 0) return true;
    return strcmp(argument, "-4") == 0 || strcmp(argument, "-6") == 0 || strcmp(argument, "-v") == 0 ||
           strcmp(argument, "--sequential") == 0;
}

static struct options options;

/* What a wrong option makes argp leave behind, since it does not return. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:argp_parse\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char text[65536 + 1];
    char *argv[64] = {(char *)"portscan"};
    int argc = 1;
    if (size >= sizeof text || memchr(bytes, 0, size)) return 0;
    memcpy(text, bytes, size);
    text[size] = 0;
    bool value = false;
    for (char *line = text, *next; line && argc < 63; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        /* Only as the first of a value or a host may a hyphen begin something unknown: argp prints what it thinks. */
        if (!value && line[0] == '-' && !is_known(line)) continue;
        value = !value && line[0] == '-' && strchr("pjtw-", line[1]) && strcmp(line, "--sequential") != 0;
        argv[argc++] = line;
    }
    if (value) return 0; /* argp asks for what is missing */
    status = 0;
    if (setjmp(out) == 0) {
        options_parse(&options, argc, argv);
        require(options.host && options.host[0]);
        require(options.timeout >= 1 && options.timeout <= 3600 * 1000);
        require(options.window >= 1 && options.window <= SCAN_CHUNK && options.workers <= 4096);
        require(options.ports.count >= 1 && options.ports.count <= 65535 && options.ports.port[0] >= 1);
        for (unsigned i = 1; i < options.ports.count; i++) require(options.ports.port[i - 1] < options.ports.port[i]);
        require(!options.sequential || (!options.workers && !options.method));
        require((unsigned)options.method <= BROOD_START_FORKSERVER);
    } else {
        require(status == EXIT_USAGE);
    }
    return 0;
}
