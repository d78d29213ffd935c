/* SPDX-License-Identifier: MIT */
/* A large buffer goes through a queue without being copied: the parent fills it where the child reads it.
 * Were the child to die, the buffer would be freed with it, for it holds the buffer from the moment it takes it. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(add_up, int, brood_queue, in, brood_queue, out)
{
    brood_view view;
    uint64_t sum = 0;
    int error = brood_queue_get_view(in, &view, BROOD_FOREVER);
    if (error < 0) return 1;
    const uint32_t *numbers = view.data;
    for (size_t i = 0; i < view.size / sizeof *numbers; i++) sum += numbers[i];
    brood_view_release(&view);
    return brood_queue_put_value(out, &sum, BROOD_FOREVER) < 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    const uint32_t n = 8 * 1024 * 1024;
    add_up_args queues;
    brood_process child;
    brood_buffer buffer;
    void *data;
    uint64_t sum = 0;
    int error = brood_queue_new(&queues.in, NULL);
    if (error == 0) error = brood_queue_new(&queues.out, NULL);
    if (error == 0) error = brood_process_start(&child, NULL, add_up, &queues);
    if (error == 0) error = brood_buffer_new(&buffer, n * sizeof(uint32_t), &data);
    if (error == 0) {
        for (uint32_t i = 0; i < n; i++) ((uint32_t *)data)[i] = i;
        error = brood_queue_put_buffer(queues.in, buffer, BROOD_FOREVER); /* from here on the queue's */
    }
    if (error == 0) error = brood_queue_get_value(queues.out, &sum, BROOD_FOREVER);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    printf("%u numbers, %zu MiB: the sum is %llu\n", n, n * sizeof(uint32_t) >> 20, (unsigned long long)sum);
    brood_fini();
    return 0;
}
