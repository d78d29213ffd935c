/* SPDX-License-Identifier: MIT */
/* The queues of 05_queues.c as a manager's: what they carry is any value, and who knows the key may use them too. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(to_celsius, int, brood_proxy, inputs, brood_proxy, outputs)
{
    brood_variant f;
    double fahrenheit = 0;
    int error = brood_proxy_get(inputs, &f, BROOD_FOREVER);
    if (error == 0) error = brood_variant_get_float(&f, &fahrenheit);
    return error < 0 ? error : brood_proxy_put(outputs, brood_v((fahrenheit - 32) * (5.0 / 9.0)), BROOD_FOREVER);
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_manager manager;
    brood_pool pool;
    to_celsius_args queues;
    int error = brood_manager_new(&manager, NULL);
    if (error == 0) error = brood_manager_queue(manager, &queues.inputs, 0);
    if (error == 0) error = brood_manager_queue(manager, &queues.outputs, 0);
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2});
    for (int f = 110; f < 150 && error == 0; f += 10) {
        error = brood_proxy_put(queues.inputs, brood_v(f), BROOD_FOREVER);
        if (error == 0) error = brood_pool_apply(pool, to_celsius, &queues, NULL);
    }
    for (int i = 0; i < 4 && error == 0; i++) {
        brood_variant c;
        double celsius;
        error = brood_proxy_get(queues.outputs, &c, 0); /* all are there: apply waits for its task */
        if (error == 0) error = brood_variant_get_float(&c, &celsius);
        if (error == 0) printf("%.15g\n", celsius);
    }
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return error < 0;
}
