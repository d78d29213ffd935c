/* SPDX-License-Identifier: MIT */
/*
 * crash_names.c - names of functions, files and lines for the frames of a crash record, by elfutils' libdw.
 *
 * The library is loaded when it is first asked for, as systemd's does: it brings five others along, and every process
 * of a family would pay for them at its start.  Without it frames have their modules and offsets.
 * Not async-signal-safe; thread-safe.
 */
#include "pool/crash.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FUNCTIONS(X)        \
    X(dwfl_begin)           \
    X(dwfl_end)             \
    X(dwfl_report_elf)      \
    X(dwfl_report_end)      \
    X(dwfl_module_getelf)   \
    X(dwfl_module_addrname) \
    X(dwfl_module_getsrc) X(dwfl_lineinfo) X(dwfl_build_id_find_elf) X(dwfl_standard_find_debuginfo)

static struct {
#define MEMBER(name) __typeof__(&name) name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    bool there;
} dw;

static void load(void)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    bool all = true;
#define FIND(name)                                      \
    *(void **)(void *)&dw.name = dlsym(library, #name); \
    all &= dw.name != NULL;
    FUNCTIONS(FIND)
#undef FIND
    dw.there = all;
}

static void name_frame(Dwfl_Module *module, uint64_t bias, bool call, uint64_t offset, brood_frame *frame)
{
    /* What a call returns to may be another line, or another function. */
    Dwarf_Addr address = offset + bias - (call ? 1 : 0);
    const char *function = dw.dwfl_module_addrname(module, address);
    if (function) snprintf(frame->function, sizeof frame->function, "%s", function);
    Dwfl_Line *line = dw.dwfl_module_getsrc(module, address);
    int number = 0;
    const char *file = line ? dw.dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
    if (!file) return;
    snprintf(frame->file, sizeof frame->file, "%s", file);
    frame->line = number;
}

void brood__crash_name(const struct crash_shm *record, brood_crash *crash)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!dw.there) return;
    static char *debuginfo_path; /* the library's default */
    const Dwfl_Callbacks callbacks = {.find_elf = dw.dwfl_build_id_find_elf,
                                      .find_debuginfo = dw.dwfl_standard_find_debuginfo,
                                      .debuginfo_path = &debuginfo_path};
    Dwfl *dwfl = dw.dwfl_begin(&callbacks);
    if (!dwfl) return;
    Dwfl_Module *modules[CRASH_MODULES] = {NULL};
    GElf_Addr biases[CRASH_MODULES] = {0};
    for (uint32_t i = 0; i < record->module_count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%.*s", CRASH_PATH - 1, record->modules[i].path);
        if (!path[0] && brood__os_program_path(path, sizeof path) < 0) continue;
        /* Each at a place of its own; how far from its own addresses that is, bias says. */
        modules[i] = dw.dwfl_report_elf(dwfl, path, path, -1, (GElf_Addr)(i + 1) << 40, false);
    }
    dw.dwfl_report_end(dwfl, NULL, NULL);
    for (uint32_t i = 0; i < record->module_count; i++)
        if (modules[i] && !dw.dwfl_module_getelf(modules[i], &biases[i])) modules[i] = NULL;
    for (uint32_t i = 0; i < crash->frame_count; i++) {
        uint32_t module = record->frames[i].module;
        if (module < CRASH_MODULES && modules[module])
            name_frame(modules[module], biases[module], i > 0, crash->frames[i].offset, &crash->frames[i]);
    }
    dw.dwfl_end(dwfl);
}
