/* SPDX-License-Identifier: MIT */
/* What a child knows of its parent before its function runs: the preparation data.
 * It is what multiprocessing.spawn.get_preparation_data returns in Python, and is printed in its order. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(example, int, void)
{
    brood_preparation p;
    int error = brood_preparation_data(&p);
    if (error < 0) return 1;
    printf("{'authkey': '");
    for (size_t i = 0; i < p.authkey_size; i++) printf("%02x", p.authkey[i]);
    printf("',\n 'dir': '%s',\n 'log_level': %d,\n 'name': '%s',\n 'orig_dir': '%s',\n 'start_method': '%s',\n",
           p.directory, p.log_level, p.name, p.original_directory, brood_start_method_name(p.method));
    printf(" 'sys_argv': [");
    for (int i = 0; i < p.argc; i++) printf("%s'%s'", i ? ", " : "", p.argv[i]);
    printf("]}\n");
    return 0;
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_process p;
    int code = 1, error = brood_process_start(&p, &(brood_process_options){.name = "example"}, example, NULL);
    if (error == 0) error = brood_process_join(p, BROOD_FOREVER, &code);
    if (error < 0) fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
    brood_fini();
    return code;
}
