/* SPDX-License-Identifier: MIT */
/* host.c - a program that is not built on Brood, but loads a library that is: host PLUGIN METHOD EXECUTABLE */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 4) return 99; /* run once more, by somebody who thinks that this main calls brood_init */
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    int (*run)(const char *, const char *) = NULL;
    if (plugin) *(void **)&run = dlsym(plugin, "plugin_run");
    if (!run) {
        fprintf(stderr, "host: %s\n", dlerror());
        return 98;
    }
    return run(argv[2], argv[3]) == 0 ? 0 : 1;
}
