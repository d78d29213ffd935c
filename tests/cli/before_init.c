/* SPDX-License-Identifier: MIT */
/* before_init.c - writes before brood_init, buffered and not, then has tasks write: before_init METHOD */
#include <brood.h>
#include <stdio.h>
#include <unistd.h>

BROOD_TASK(say, int, int, n)
{
    printf("task %d\n", n);
    return 0;
}

static int run(brood_start_method method)
{
    brood_process p;
    brood_pool pool;
    int in[2] = {3, 4}, out[2], error = 0;
    for (int i = 1; i <= 2 && error == 0; i++) {
        error = brood_process_start_with(&p, say, &i, .method = method);
        if (error == 0) error = brood_process_join(p, BROOD_FOREVER, NULL);
    }
    if (error == 0) error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = method});
    if (error == 0) error = brood_pool_map(pool, say, in, out, 2);
    if (error == 0) error = brood_pool_close(pool);
    if (error == 0) error = brood_pool_join(pool, BROOD_FOREVER);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    return error < 0;
}

int main(int argc, char **argv)
{
    printf("flushed\n");
    fflush(stdout);
    if (write(STDOUT_FILENO, "written\n", 8) != 8) return 2;
    printf("buffered\n"); /* and still in the buffer as a child is started */
    BROOD_INIT(&argc, &argv);
    brood_start_method method;
    if (argc != 2 || brood_start_method_parse(&method, argv[1]) < 0) return 2;
    int failed = run(method);
    printf("end\n");
    brood_fini();
    return failed;
}
