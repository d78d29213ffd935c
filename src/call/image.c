/* SPDX-License-Identifier: MIT */
/*
 * image.c - what the loader knows of a module: segments, build-id, path.
 *
 * dl_iterate_phdr tells; dlopen with RTLD_NOLOAD and RTLD_NODELETE keeps.  All of it is thread-safe, none of it is
 * async-signal-safe.  The loader's own lock is held inside its calls only, and the C library sees to it across a fork.
 */
#include "call/image.h"

#include "call/error.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

struct search {
    uintptr_t address; /* 0: search by build-id */
    const unsigned char *build_id;
    uint32_t build_id_size;
    struct image_found *found;
};

static size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) / align * align;
}

static void read_build_id(struct image *image, const char *notes, size_t size, size_t align)
{
    if (align != 8) align = 4;
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= size;) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t text = align_up(name + note.n_namesz, align);
        if (text > size || note.n_descsz > size - text) return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
            note.n_descsz > 0 && note.n_descsz <= BUILD_ID_MOST) {
            memcpy(image->build_id, notes + text, note.n_descsz);
            image->build_id_size = note.n_descsz;
            return;
        }
        at = align_up(text + note.n_descsz, align);
    }
}

static void add(struct ranges *ranges, uintptr_t low, uintptr_t high)
{
    if (low < high && ranges->count < IMAGE_RANGES) ranges->at[ranges->count++] = (struct range){low, high};
}

static void describe(struct image *image, const struct dl_phdr_info *info)
{
    const ElfW(Phdr) *headers = info->dlpi_phdr, *relro = NULL;
    *image = (struct image){.base = info->dlpi_addr, .all = {UINTPTR_MAX, 0}};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t low = image->base + headers[i].p_vaddr, high = low + headers[i].p_memsz;
        if (headers[i].p_type == PT_GNU_RELRO) relro = &headers[i];
        if (headers[i].p_type != PT_LOAD || low >= high) continue;
        if (low < image->all.low) image->all.low = low;
        if (high > image->all.high) image->all.high = high;
        if ((headers[i].p_flags & (PF_R | PF_W)) == PF_R) add(&image->constant, low, high);
        if (headers[i].p_flags & PF_X) add(&image->code, low, high);
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &headers[i];
        uintptr_t low = image->base + p->p_vaddr, high = low + p->p_memsz;
        if (p->p_type == PT_NOTE && image->build_id_size == 0 && brood__range_holds(&image->all, low, p->p_memsz))
            read_build_id(image, (const char *)low, p->p_memsz, p->p_align);
        if (p->p_type != PT_LOAD || (p->p_flags & (PF_R | PF_W)) != (PF_R | PF_W)) continue;
        if (relro) { /* linked with -z norelro: constants that are relocated lie among the data */
            uintptr_t from = image->base + relro->p_vaddr, to = from + relro->p_memsz;
            if (low < from) low = from;
            if (high > to) high = to;
        }
        add(&image->constant, low, high);
    }
}

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    const struct search *search = data;
    struct image *image = &search->found->image;
    describe(image, info);
    bool is_it = search->address ? brood__range_holds(&image->all, search->address, 1)
                                 : image->build_id_size == search->build_id_size &&
                                       memcmp(image->build_id, search->build_id, search->build_id_size) == 0;
    if (!is_it) return 0;
    snprintf(search->found->name, sizeof search->found->name, "%s", info->dlpi_name ? info->dlpi_name : "");
    return 1;
}

bool brood__image_around(uintptr_t address, struct image_found *found)
{
    struct search search = {.address = address, .found = found};
    return address != 0 && dl_iterate_phdr(look, &search) != 0;
}

bool brood__image_with(const unsigned char *build_id, uint32_t size, struct image_found *found)
{
    struct search search = {.build_id = build_id, .build_id_size = size, .found = found};
    return size != 0 && dl_iterate_phdr(look, &search) != 0;
}

bool brood__image_keep(const struct image_found *found)
{
    if (found->name[0] == '\0') return true;
    void *handle = dlopen(found->name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    if (!handle) return false;
    struct link_map *map = NULL;
    bool same = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map->l_addr == found->image.base;
    dlclose(handle);
    return same;
}

/* The directory from which a library was loaded by a relative name: only the loader remembers. */
static bool find_origin(const char *name, char origin[2 * PATH_MAX])
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    if (!handle) return false;
    bool ok = dlinfo(handle, RTLD_DI_ORIGIN, origin) == 0 && origin[0] == '/';
    dlclose(handle);
    return ok;
}

static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int brood__image_path(const struct image_found *found, char *path, size_t capacity)
{
    char full[PATH_MAX], origin[2 * PATH_MAX];
    int length = -1;
    if (found->name[0] == '\0') {
        if (brood__os_program_path(full, sizeof full) == 0) length = (int)strlen(full);
    } else if (found->name[0] == '/') {
        length = snprintf(full, sizeof full, "%s", found->name);
    } else if (find_origin(found->name, origin)) {
        length = snprintf(full, sizeof full, "%s/%s", origin, short_name(found->name));
    }
    const char *name = found->name[0] ? short_name(found->name) : "the program";
    if (length < 0) return brood__fail_with(BROOD_EMODULE, "%.100s: its path is not known", name);
    if ((size_t)length >= capacity || (size_t)length >= sizeof full)
        return brood__fail_with(BROOD_EMODULE, "%.100s: its path has %d bytes, more than %zu", name, length,
                                capacity - 1);
    memcpy(path, full, (size_t)length + 1);
    return 0;
}

int brood__image_load(const char *path, const unsigned char *build_id, uint32_t size, struct image_found *found)
{
    /*
     * NOW: what the library lacks is an error here, not the end of the process at the first call.  LOCAL: a library
     * that this process never asked for must not change what its other libraries find; its own needs are met by its own
     * list of libraries.
     */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        size_t length = strlen(path);
        if (why && strncmp(why, path, length) == 0 && strncmp(why + length, ": ", 2) == 0) why += length + 2;
        return brood__fail_with(BROOD_EMODULE, "%.100s: cannot be loaded: %s", short_name(path), why ? why : "");
    }
    int error = 0;
    if (!brood__image_with(build_id, size, found))
        error = brood__fail_with(BROOD_EMODULE, "%.100s: build-id differs from the sender's", short_name(path));
    else if (!brood__image_keep(found))
        error = brood__fail_with(BROOD_EMODULE, "%.100s: cannot be kept loaded", short_name(path));
    dlclose(handle);
    return error;
}
