/* SPDX-License-Identifier: MIT */
/* subject.c - the process that plays a scene, and looks for what is left of it; see run.h. */
#include "arena/arena.h"
#include "play.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GONE_MS = 10000, /* until the processes of a family that has ended are seen to be gone, on a machine that stands
                        still for seconds now and then */
    START_MS = 3000,
    STRICT_START_MS = 30000,
    ARENA_BYTES = 64 << 20,
};

static bool strict;
static int first_error; /* the first code that a call answered in this part */
static uint64_t key;    /* of the last family: its bells have it in their names */

bool run_is_strict(void)
{
    return strict;
}

/* ------------------------------------------------------------------------------------------------- what is answered */

static bool among(const int *codes, int code)
{
    for (; *codes; codes++)
        if (*codes == code) return true;
    return false;
}

/* As the headers have it; the error of the call that failed may be told as it is wherever they say "or an errno". */
static bool is_documented(enum kind kind, int code)
{
    static const int init[] = {BROOD_EUNSUPPORTED, BROOD_EARENA, 0};
    static const int start[] = {BROOD_EEXEC,     BROOD_ENOINIT,      BROOD_EMODULE,
                                BROOD_ETASK,     BROOD_ESTART,       BROOD_EARENA,
                                BROOD_ETIMEDOUT, BROOD_EUNSUPPORTED, 0};
    static const int make[] = {BROOD_EARENA, 0};
    static const int pool[] = {BROOD_EARENA, BROOD_ESTART, BROOD_EEXEC, BROOD_ENOINIT, BROOD_ETIMEDOUT, 0};
    static const int work[] = {BROOD_EARENA,  BROOD_ESTART,       BROOD_EEXEC,
                               BROOD_ENOINIT, BROOD_EINIT,        BROOD_ELOST,
                               BROOD_EMODULE, BROOD_EUNSUPPORTED, 0};
    static const int stream[] = {
        BROOD_EAUTH, BROOD_ECLOSED, BROOD_ENOMEM, BROOD_ETIMEDOUT, -ECONNRESET, -EADDRINUSE, 0};
    static const int token[] = {BROOD_EEXEC,     BROOD_ENOINIT, BROOD_ESTART, BROOD_EARENA,
                                BROOD_ETIMEDOUT, BROOD_EAGAIN,  BROOD_EMFILE, 0};
    static const int manager[] = {BROOD_EAUTH,  BROOD_ELOST,  BROOD_EARENA,  BROOD_ENOMEM,       BROOD_ESTALE,
                                  BROOD_ESTART, BROOD_EEXEC,  BROOD_ENOINIT, BROOD_ETIMEDOUT,    BROOD_EMODULE,
                                  BROOD_ETASK,  BROOD_EMFILE, -ECONNRESET,   BROOD_EUNSUPPORTED, 0};
    static const int *const codes[] = {
        [KIND_MANAGER] = manager, [KIND_STREAM] = stream, [KIND_INIT] = init, [KIND_START] = start, [KIND_MAKE] = make,
        [KIND_BELL] = make,       [KIND_POOL] = pool,     [KIND_WORK] = work, [KIND_TOKEN] = token};
    if (kind == KIND_NEVER) return false;
    if (kind != KIND_ERRNO && among(codes[kind], code)) return true;
    if (kind == KIND_MAKE || kind == KIND_WORK || (kind == KIND_INIT && code == -ENOSYS)) return false;
    /* connect(2) says EAGAIN after the patience that it was given. */
    return code == -sheet->shot.error || (code == -ETIMEDOUT && sheet->shot.error == EAGAIN);
}

bool play_ok(enum kind kind, int code, const char *call)
{
    if (code >= 0) return true;
    if (!first_error) first_error = code;
    const char *detail = brood_is_member() ? brood_error_detail() : "";
    if (strict || !is_documented(kind, code))
        run_blame(VERDICT_WRONG, "%s answers %s (%s)%s", call, brood_error_name(code), detail,
                  strict ? " though nothing fails" : "");
    else if (kind == KIND_START && !detail[0])
        run_blame(VERDICT_WRONG, "%s answers %s and has no detail", call, brood_error_name(code));
    return false;
}

void play_expect(bool condition, const char *text, int line)
{
    if (!condition)
        run_blame(VERDICT_WRONG, "line %d: not so: %s%s", line, text, strict ? ", though nothing fails" : "");
}

/* --------------------------------------------------------------------------------------------------- what is left */

static int descriptors[1024], descriptor_count;
static unsigned mapping_count;

static int list_descriptors(int *list, int most)
{
    int n = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory) || n == most) continue;
        list[n++] = fd;
    }
    if (directory) closedir(directory);
    return n;
}

static void check_descriptors(void)
{
    int now[1024], n = list_descriptors(now, 1024);
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (int k = 0; k < descriptor_count; k++) known |= descriptors[k] == now[i];
        if (known) continue;
        char link[64], target[128] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", now[i]);
        if (readlink(link, target, sizeof target - 1) < 0) target[0] = 0;
        run_blame(VERDICT_LEAK, "descriptor %d -> %s is left", now[i], target);
    }
    if (n < descriptor_count) run_blame(VERDICT_WRONG, "a descriptor that was the caller's is closed");
}

/* How many lines have this text; the last of them. */
static unsigned count_lines(const char *path, const char *text, char last[512])
{
    char line[512];
    unsigned n = 0;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strstr(line, text)) continue;
        snprintf(last, sizeof line, "%s", line);
        n++;
    }
    if (file) fclose(file);
    return n;
}

/* The library's are shared: the arena, and what a detached start needs. */
static unsigned count_mappings(char last[512])
{
    return count_lines("/proc/self/maps", "rw-s", last);
}

static void check_mappings(void)
{
    char last[512];
    if (count_mappings(last) > mapping_count) run_blame(VERDICT_LEAK, "mapping is left: %s", last);
}

static void check_names(void)
{
    DIR *directory = opendir("/dev/shm");
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;)
        if (strstr(entry->d_name, "brood")) run_blame(VERDICT_LEAK, "name /dev/shm/%s is left", entry->d_name);
    if (directory) closedir(directory);
    char name[64], last[512];
    snprintf(name, sizeof name, "@brood-%016llx", (unsigned long long)key);
    if (key && count_lines("/proc/net/unix", name, last)) run_blame(VERDICT_LEAK, "name is left: %s", last);
}

static void say_who_is_left(void)
{
    char text[1000] = "";
    unsigned left = atomic_load(&sheet->alive) - 1;
    for (unsigned i = 0; i <= left && i < MOST_TRACED; i++)
        if (sheet->pids[i] != getpid()) run_describe(sheet->pids[i], text, sizeof text);
    run_blame(VERDICT_LEAK, "%u processes are left:%s", left, text);
}

static void check_processes(void)
{
    for (int ms = 0; atomic_load(&sheet->alive) > 1; ms++) {
        if (ms == GONE_MS) {
            say_who_is_left();
            return;
        }
        brood__os_nap(1000 * 1000);
    }
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
        run_blame(VERDICT_LEAK, "process %d is left as a zombie", (int)info.si_pid);
}

static void check_left(void)
{
    check_processes();
    check_descriptors();
    check_mappings();
    check_names();
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) run_blame(VERDICT_WRONG, "descriptor %d is closed", fd);
}

/* ----------------------------------------------------------------------------------------------------------- playing */

static bool begin(void)
{
    brood_family_options options = {.arena_limit = ARENA_BYTES, .start_timeout = strict ? STRICT_START_MS : START_MS};
    brood_configure(&options);
    int code = brood_init(NULL, NULL);
    if (code == 0) key = brood__arena()->key;
    return play_ok(KIND_INIT, code, "brood_init");
}

static void end(void)
{
    int code = brood_fini();
    play_ok(KIND_NEVER, code, "brood_fini");
}

static void play_part(const struct scene *scene, enum part part)
{
    int64_t start = brood__os_now();
    first_error = 0;
    strict = sheet->shot.n == 0;
    atomic_store(&sheet->armed, (int)part);
    bool there = part == PART_END || begin();
    if (there && part == PART_BODY) scene->body();
    if (part == PART_END) end();
    atomic_store(&sheet->armed, PART_NONE);
    strict = true;
    sheet->answer = first_error;
    sheet->ms = (brood__os_now() - start) / 1000000;
    if (part == PART_BODY && there) {
        scene->body();
        end();
    }
    check_left();
}

_Noreturn void subject_play(const struct scene *scene)
{
    char last[512];
    descriptor_count = list_descriptors(descriptors, 1024);
    mapping_count = count_mappings(last);
    strict = true;
    if (sheet->shot.part != PART_END) play_part(scene, PART_BODY);
    if (sheet->shot.part != PART_BODY) {
        if (begin()) scene->body();
        play_part(scene, PART_END);
    }
    if (begin()) {
        scene->body();
        end();
    }
    check_left();
    _exit(0);
}
