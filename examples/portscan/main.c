/* SPDX-License-Identifier: MIT */
/*
 * main.c - portscan: the ports in chunks, the chunks as tasks of a pool, their results printed as they come.
 *
 * A chunk's lines wait for those of the chunks before it, so the output is in the order of the ports.
 */
#include "options.h"
#include "scan.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTS_PER_WORKER = 4, MOST_PARTS = 1024, MOST_ATTEMPTS = 3 };

struct part {
    scan_chunk chunk;
    scan_states states;
    brood_future future;
    unsigned attempts;
    bool done;
};

struct job {
    struct part *parts;
    unsigned count, done, printed;
    bool verbose;
    size_t found[PORT_STATES];
};

BROOD_TASK(scan_part, scan_states, scan_chunk, chunk)
{
    scan_states states;
    int error = scan_run(&chunk, &states);
    if (error < 0) brood_fail(-error, "%s", strerror(-error));
    return states;
}

/* An address of the host; an IPv4 one if it has both kinds and none is asked for. */
static int resolve(const struct options *o, scan_address *to)
{
    struct addrinfo hints = {.ai_family = o->family, .ai_socktype = SOCK_STREAM}, *list, *chosen;
    int error = getaddrinfo(o->host, NULL, &hints, &list);
    if (error) {
        fprintf(stderr, "portscan: %s: %s\n", o->host, gai_strerror(error));
        return -1;
    }
    chosen = list;
    while (chosen->ai_family != AF_INET && chosen->ai_next) chosen = chosen->ai_next;
    if (chosen->ai_family != AF_INET) chosen = list;
    memset(to, 0, sizeof *to);
    memcpy(to, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(list);
    return 0;
}

/* Cut the ports into parts: some for each worker, so that none waits long for the last. */
static int divide(struct job *job, const struct options *o, const scan_address *to, unsigned workers)
{
    const struct ports *ports = &o->ports;
    unsigned want = workers * PARTS_PER_WORKER < MOST_PARTS ? workers * PARTS_PER_WORKER : MOST_PARTS;
    unsigned size = (ports->count + want - 1) / want;
    if (size > SCAN_CHUNK || o->sequential) size = SCAN_CHUNK;
    job->verbose = o->verbose;
    job->count = (ports->count + size - 1) / size;
    job->parts = calloc(job->count, sizeof *job->parts);
    if (!job->parts) return BROOD_ENOMEM;
    for (unsigned i = 0; i < job->count; i++) {
        scan_chunk *chunk = &job->parts[i].chunk;
        unsigned left = ports->count - i * size;
        *chunk = (scan_chunk){.to = *to, .timeout = o->timeout, .window = o->window};
        chunk->count = left < size ? left : size;
        memcpy(chunk->port, ports->port + i * size, chunk->count * sizeof *chunk->port);
    }
    return 0;
}

/* Print the parts whose turn it is. */
static void print_ready(struct job *job)
{
    static const char *const name[PORT_STATES] = {"unknown", "open", "closed", "filtered"};
    for (; job->printed < job->count && job->parts[job->printed].done; job->printed++) {
        const struct part *part = &job->parts[job->printed];
        for (unsigned i = 0; i < part->chunk.count; i++) {
            enum port_state state = part->states.state[i];
            job->found[state]++;
            if (state == PORT_OPEN || job->verbose) printf("Port %u is %s\n", part->chunk.port[i], name[state]);
        }
    }
    fflush(stdout);
}

static void part_done(struct job *job, struct part *part)
{
    part->done = true;
    job->done++;
}

static int scan_sequentially(struct job *job)
{
    int failed = 0;
    for (unsigned i = 0; i < job->count; i++) {
        int error = scan_run(&job->parts[i].chunk, &job->parts[i].states);
        if (error < 0) {
            fprintf(stderr, "portscan: %s\n", strerror(-error));
            failed = error;
        }
        part_done(job, &job->parts[i]);
        print_ready(job);
    }
    return failed;
}

/* Take the part's result, if it is there.  A worker's death costs the part another attempt. */
static int take(struct job *job, brood_pool pool, struct part *part)
{
    brood_outcome outcome;
    int error = brood_future_get(part->future, &part->states, 0, &outcome);
    if (error == BROOD_EAGAIN) return 0;
    brood_future_free(part->future);
    if (error == BROOD_ELOST && ++part->attempts < MOST_ATTEMPTS)
        return brood_pool_submit(pool, &part->future, scan_part, &part->chunk);
    if (error == BROOD_ELOST) fprintf(stderr, "portscan: %s\n", brood_strerror(error));
    if (error == BROOD_EFAILED) fprintf(stderr, "portscan: %s\n", outcome.text);
    if (error < 0 && error != BROOD_ELOST && error != BROOD_EFAILED) return error;
    part_done(job, part);
    return 0;
}

static int scan_in_pool(struct job *job, const struct options *o, unsigned workers)
{
    brood_pool pool;
    if (workers > job->count) workers = job->count;
    int error = brood_pool_new(&pool, &(brood_pool_options){.workers = workers, .method = o->method});
    if (error < 0) return error;
    for (unsigned i = 0; i < job->count && error == 0; i++)
        error = brood_pool_submit(pool, &job->parts[i].future, scan_part, &job->parts[i].chunk);
    struct pollfd ready = {.fd = brood_pool_fd(pool), .events = POLLIN};
    if (error == 0 && ready.fd < 0) error = ready.fd;
    while (error == 0 && job->done < job->count) {
        for (unsigned i = job->printed; i < job->count && error == 0; i++)
            if (!job->parts[i].done) error = take(job, pool, &job->parts[i]);
        print_ready(job);
        if (error == 0 && job->done < job->count && poll(&ready, 1, -1) < 0 && errno != EINTR) error = -errno;
    }
    brood_pool_free(pool);
    return error;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static struct options options;
    struct job job = {0};
    scan_address to;
    BROOD_INIT(&argc, &argv);
    options_parse(&options, argc, argv);
    if (resolve(&options, &to) < 0) return EXIT_NO_HOST;
    double start = seconds();
    unsigned workers = options.workers ? options.workers : brood_cpu_count();
    int error = divide(&job, &options, &to, workers);
    if (error == 0) error = options.sequential ? scan_sequentially(&job) : scan_in_pool(&job, &options, workers);
    if (error < 0 && !options.sequential)
        fprintf(stderr, "portscan: %s: %s\n", brood_strerror(error), brood_error_detail());
    size_t unknown = options.ports.count - job.found[PORT_OPEN] - job.found[PORT_CLOSED] - job.found[PORT_FILTERED];
    fprintf(stderr, "%u ports: %zu open, %zu closed, %zu filtered", options.ports.count, job.found[PORT_OPEN],
            job.found[PORT_CLOSED], job.found[PORT_FILTERED]);
    if (unknown) fprintf(stderr, ", %zu not scanned", unknown);
    fprintf(stderr, "\n");
    printf("Completed scan in %g seconds\n", seconds() - start);
    free(job.parts);
    brood_fini();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "portscan: the output can't be written\n");
        return EXIT_INCOMPLETE;
    }
    return unknown ? EXIT_INCOMPLETE : EXIT_SCANNED;
}
