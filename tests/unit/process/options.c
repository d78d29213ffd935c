/* SPDX-License-Identifier: MIT */
/* options.c - how a child stands when its task begins: directory, environment, descriptors, processors, limits. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static BROOD_TASK(answer, int, int, code)
{
    return code;
}

/* The child's words, in memory that its parent sees. */
struct words {
    char text[8][PATH_MAX];
};
static struct words *words_of(brood_buffer buffer)
{
    return brood_buffer_data(buffer, NULL);
}

static int run(const brood_process_options *options, const brood_task *task, const void *arg)
{
    brood_process process;
    OK(brood_process_start_task(&process, options, task, arg));
    return scene_end(process);
}

/* ------------------------------------------------------------------------------------ directory */

static BROOD_TASK(tell_directory, int, brood_buffer, place)
{
    MUST(getcwd(words_of(place)->text[0], PATH_MAX));
    return 0;
}

START_TEST(stands_where_it_is_told)
{
    struct words *words;
    char own[PATH_MAX];
    brood_buffer place = scene_shared(sizeof *words, &words);
    brood_process_options options = {.method = (brood_start_method)_i};
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_directory), &place), 0);
    ck_assert_ptr_nonnull(getcwd(own, sizeof own));
    ck_assert_str_eq(words->text[0], own);
    ck_assert_int_eq(chdir("/tmp"), 0); /* after brood_init, and after the first start */
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_directory), &place), 0);
    ck_assert_str_eq(words->text[0], "/tmp");
    options.directory = "/proc";
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_directory), &place), 0);
    ck_assert_str_eq(words->text[0], "/proc");
    ck_assert_ptr_nonnull(getcwd(own, sizeof own));
    ck_assert_str_eq(own, "/tmp");
}
END_TEST

START_TEST(stands_nowhere)
{
    brood_process process;
    brood_process_options options = {.method = (brood_start_method)_i, .directory = "/nowhere/at/all"};
    int before = scene_descriptors(getpid());
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_process_start(&process, &options, answer, &(int){0}), BROOD_ESTART);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "directory"));
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), strerror(ENOENT)));
        if (i == 0) before = scene_descriptors(getpid());
    }
    ck_assert_int_eq(scene_descriptors(getpid()), before);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
    options.directory = NULL;
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(answer), &(int){7}), 7);
}
END_TEST

/* ------------------------------------------------------------------------------------ environment */

static void tell(char *to, const char *name)
{
    const char *value = getenv(name);
    snprintf(to, PATH_MAX, "%s", value ? value : "(none)");
}
static BROOD_TASK(tell_environment, int, brood_buffer, place)
{
    struct words *words = words_of(place);
    tell(words->text[0], "SCENE_ONE");
    tell(words->text[1], "SCENE_TWO");
    tell(words->text[2], "HOME");
    snprintf(words->text[3], PATH_MAX, "%d", environ && environ[0] ? 1 : 0);
    return 0;
}

START_TEST(has_an_environment)
{
    struct words *words;
    brood_buffer place = scene_shared(sizeof *words, &words);
    brood_process_options options = {.method = (brood_start_method)_i};
    for (int i = 0; i < 2; i++) { /* the caller's is what it is now, not what it was at the first start */
        setenv("SCENE_ONE", i ? "changed since" : "1 = one", 1);
        ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_environment), &place), 0);
        ck_assert_str_eq(words->text[0], i ? "changed since" : "1 = one");
        ck_assert_str_eq(words->text[1], "(none)");
        ck_assert_str_eq(words->text[2], getenv("HOME") ? getenv("HOME") : "(none)");
    }
    char *environment[] = {"SCENE_TWO=another\nline", NULL};
    options.environment = environment;
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_environment), &place), 0);
    ck_assert_str_eq(words->text[0], "(none)");
    ck_assert_str_eq(words->text[1], "another\nline");
    ck_assert_str_eq(words->text[2], "(none)");
    environment[0] = NULL;
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_environment), &place), 0);
    ck_assert_str_eq(words->text[1], "(none)");
    ck_assert_str_eq(words->text[3], "0");
    ck_assert_str_eq(getenv("SCENE_ONE"), "changed since");
}
END_TEST

static bool has(const char *name, const char *wanted)
{
    const char *value = getenv(name);
    return value && wanted ? strcmp(value, wanted) == 0 : value == wanted;
}
static BROOD_TASK(change_environment, int)
{
    if (unsetenv("SCENE_ONE") < 0 || setenv("SCENE_TWO", "2", 1) < 0 || setenv("SCENE_THREE", "3", 1) < 0) return 1;
    if (!has("SCENE_ONE", NULL) || !has("SCENE_TWO", "2") || !has("SCENE_THREE", "3")) return 2;
    if (!has("SCENE_FOUR", "four") || clearenv() != 0 || !has("SCENE_FOUR", NULL)) return 3;
    return 0;
}

/* The list may be one that cannot be written. */
START_TEST(may_change_its_environment)
{
    static char *const environment[] = {"SCENE_ONE=one", "SCENE_TWO=two", "SCENE_FOUR=four", NULL};
    brood_process_options options = {.method = (brood_start_method)_i, .environment = environment};
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(change_environment), NULL), 0);
}
END_TEST

static BROOD_TASK(say_no_mark, int, int, deeper)
{
    for (char **e = environ; e && *e; e++) MUST(strncmp(*e, "BROOD_", 6) != 0);
    int status = system("! env | grep -q BROOD_BOOTSTRAP"); /* what a program run by this process gets */
    MUST(status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (deeper == 0) return 0;
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process process;
        int code;
        MUST(brood_process_start(&process, BY(method), say_no_mark, &(int){deeper - 1}) == 0);
        MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 0);
        MUST(brood_process_free(process) == 0);
    }
    return 0;
}

START_TEST(passes_no_mark_of_a_child_on)
{
    ck_assert_int_eq(run(BY(_i), BROOD_TASK_OF(say_no_mark), &(int){1}), 0);
    ck_assert_ptr_null(getenv("BROOD_BOOTSTRAP"));
}
END_TEST

/* ------------------------------------------------------------------------------------ descriptors */

static BROOD_TASK(look_at_descriptors, int, int, to, int, others)
{
    char byte = 0;
    MUST(read(to, &byte, 1) == 1 && byte == 'x');
    if (others) return 0;
    for (int fd = 3; fd < 1000; fd++) { /* the library's own are closed on exec */
        int flags = fcntl(fd, F_GETFD);
        MUST(fd == to ? flags == 0 : flags < 0 || flags == FD_CLOEXEC);
    }
    return 0;
}

START_TEST(gets_descriptors_by_number)
{
    const int numbers[] = {3, 7, 42, 99};
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        brood_descriptor pass = {ends[0], numbers[i]};
        brood_process_options options = {.method = (brood_start_method)_i, .descriptors = &pass, .descriptor_count = 1};
        look_at_descriptors_args args = {numbers[i], 0};
        if (_i == BROOD_START_FORK) args.to = ends[0], args.others = 1; /* which has them all as they are */
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        ck_assert_int_eq(run(&options, BROOD_TASK_OF(look_at_descriptors), &args), 0);
    }
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static BROOD_TASK(read_all_of_them, int, int, count)
{
    for (int i = 0; i < count; i++) {
        char byte;
        MUST(read(10 + i, &byte, 1) == 1);
        MUST(byte == (char)('a' + i));
    }
    return 0;
}

/* Sixty-four, among them numbers that are taken by others in the parent, crosswise; one over is refused. */
START_TEST(gets_many_descriptors)
{
    enum { MOST = 64 };
    brood_descriptor pass[MOST + 1];
    brood_process process;
    for (int i = 0; i < MOST; i++) {
        int ends[2];
        char byte = (char)('a' + i);
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_eq(write(ends[1], &byte, 1), 1);
        close(ends[1]);
        pass[i] = (brood_descriptor){ends[0], 10 + i};
    }
    pass[MOST] = (brood_descriptor){0, 90};
    brood_process_options options = {.method = (brood_start_method)_i, .descriptors = pass, .descriptor_count = MOST};
    if (_i != BROOD_START_FORK) ck_assert_int_eq(run(&options, BROOD_TASK_OF(read_all_of_them), &(int){MOST}), 0);
    options.descriptor_count = MOST + 1;
    ck_assert_int_eq(brood_process_start(&process, &options, answer, &(int){0}), BROOD_EINVAL);
    for (int i = 0; i < MOST; i++) close(pass[i].from);
}
END_TEST

START_TEST(leaves_no_end_of_a_pipe_open)
{
    int in[2], out[2];
    char text[16] = "";
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    brood_descriptor pass[] = {{in[0], 5}, {out[1], 6}};
    brood_process_options options = {.method = (brood_start_method)_i, .descriptors = pass, .descriptor_count = 2};
    look_at_descriptors_args args = {_i == BROOD_START_FORK ? in[0] : 5, 1};
    ck_assert_int_eq(write(in[1], "x", 1), 1);
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(look_at_descriptors), &args), 0);
    close(out[1]);
    ck_assert_int_eq(read(out[0], text, sizeof text), 0); /* nobody holds the end that was passed */
    close(in[0]);
    close(in[1]);
    close(out[0]);
    /* Nor one that any program the caller runs would get: the supervisor is such a one, and stays. */
    OK(brood_fini());
    OK(brood_init(NULL, NULL));
    ck_assert_int_eq(pipe(out), 0);
    ck_assert_int_eq(run(BY(_i), BROOD_TASK_OF(answer), &(int){0}), 0);
    close(out[1]);
    ck_assert_int_eq(read(out[0], text, sizeof text), 0);
    close(out[0]);
}
END_TEST

static BROOD_TASK(print, void, int, number)
{
    printf("line %d\n", number);
    fprintf(stderr, "error %d\n", number);
}

static void expect(int fd, const char *text)
{
    char got[256] = "";
    size_t size = 0;
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    for (ssize_t n; (n = read(fd, got + size, sizeof got - 1 - size)) > 0;) size += (size_t)n;
    ck_assert_str_eq(got, text);
}

/* Redirected after the family has begun, and its supervisor was started with other ones. */
START_TEST(prints_where_its_parent_prints_now)
{
    int keep[2] = {dup(1), dup(2)}, files[2];
    ck_assert_int_eq(run(BY(BROOD_START_FORKSERVER), BROOD_TASK_OF(answer), &(int){0}), 0);
    for (int i = 0; i < 2; i++) {
        files[i] = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        ck_assert_int_ge(files[i], 0);
        fflush(NULL);
        dup2(files[i], 1 + i);
    }
    int code = run(BY(_i), BROOD_TASK_OF(print), &(int){5});
    for (int i = 0; i < 2; i++) {
        dup2(keep[i], 1 + i);
        close(keep[i]);
    }
    ck_assert_int_eq(code, 0);
    expect(files[0], "line 5\n");
    expect(files[1], "error 5\n");
    for (int i = 0; i < 2; i++) close(files[i]);
}
END_TEST

/* The workers of a pool too: where its owner printed when it made the pool. */
START_TEST(workers_print_where_their_owner_prints)
{
    brood_pool pool;
    int keep = dup(1), error, numbers[] = {7};
    ck_assert_int_eq(run(BY(BROOD_START_FORKSERVER), BROOD_TASK_OF(answer), &(int){0}), 0);
    for (int i = 0; i < 5; i++) {
        int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        fflush(NULL);
        dup2(file, 1);
        error = brood_pool_new(&pool, &(brood_pool_options){.workers = 2, .method = (brood_start_method)_i});
        if (error == 0) error = brood_pool_map(pool, print, numbers, NULL, 1);
        dup2(keep, 1);
        OK(error);
        OK(brood_pool_close(pool));
        OK(brood_pool_join(pool, PATIENCE));
        OK(brood_pool_free(pool));
        expect(file, "line 7\n");
        close(file);
    }
    close(keep);
}
END_TEST

static BROOD_TASK(take_much, void, brood_bytes, bytes)
{
    if (bytes.size != 3000000 || ((const char *)bytes.data)[2999999] != 'e') brood_fail(1, "not what was given");
}

/* Workers are told of their pool what may be more than a socket holds. */
START_TEST(workers_take_a_large_argument)
{
    static char large[3000000];
    brood_bytes bytes = {large, sizeof large};
    int in[] = {1, 2, 3}, out[3];
    brood_pool pool;
    brood_pool_options options = {.workers = 2,
                                  .method = (brood_start_method)_i,
                                  .initializer = BROOD_TASK_OF(take_much),
                                  .initializer_arg = &bytes};
    large[sizeof large - 1] = 'e';
    OK(brood_pool_new(&pool, &options));
    OK(brood_pool_map(pool, answer, in, out, 3));
    ck_assert_int_eq(out[2], 3);
    OK(brood_pool_free(pool));
}
END_TEST

/* What stands unwritten in the parent's streams is written once. */
START_TEST(writes_nothing_twice)
{
    char name[] = "/tmp/brood-options-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(dup(fd), "w");
    unlink(name);
    fprintf(file, "once\n");
    ck_assert_int_eq(run(BY(_i), BROOD_TASK_OF(answer), &(int){3}), 3);
    fclose(file);
    expect(fd, "once\n");
    close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------ processors and limits */

static BROOD_TASK(tell_processor, int, int, expected)
{
    cpu_set_t set;
    MUST(sched_getaffinity(0, sizeof set, &set) == 0);
    MUST(CPU_COUNT(&set) == 1 && CPU_ISSET((size_t)expected, &set));
    MUST(brood_cpu_count() == 1);
    return 0;
}

START_TEST(runs_on_its_processors)
{
    cpu_set_t set, after;
    brood_process process;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set)) continue;
        brood_process_options options = {.method = (brood_start_method)_i, .cpus = &cpu, .cpu_count = 1};
        ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_processor), &cpu), 0);
    }
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&set, &after));
    int none[] = {1000};
    brood_process_options options = {.method = (brood_start_method)_i, .cpus = none, .cpu_count = 1};
    ck_assert_int_eq(brood_process_start(&process, &options, answer, &(int){0}), BROOD_ESTART);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "affinity"));
}
END_TEST

static BROOD_TASK(allocate, int, size_t, size)
{
    char *bytes = malloc(size);
    if (!bytes) return 1;
    memset(bytes, 1, size);
    bool kept = bytes[size / 2] == 1;
    free(bytes);
    return kept ? 0 : 2;
}

START_TEST(allocates_no_more_than_it_may)
{
    if (BROOD_TEST_SANITIZED) return;
    brood_process_options options = {.method = (brood_start_method)_i, .memory_limit = 256u << 20};
    struct rlimit before, after;
    getrlimit(RLIMIT_DATA, &before);
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(allocate), &(size_t){512u << 20}), 1);
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(allocate), &(size_t){1u << 20}), 0);
    getrlimit(RLIMIT_DATA, &after);
    ck_assert(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
}
END_TEST

static BROOD_TASK(spin, int, int, ignored)
{
    signal(SIGXCPU, SIG_DFL);
    for (volatile unsigned n = 0;; n++) {}
    return ignored;
}

START_TEST(runs_no_longer_than_it_may)
{
    brood_process_options options = {.method = (brood_start_method)_i, .cpu_seconds = 1};
    brood_process process;
    int code;
    OK(brood_process_start(&process, &options, spin, &(int){0}));
    OK(brood_process_join(process, 2 * PATIENCE, &code)); /* a second of its own, on a machine with much to do */
    ck_assert_int_eq(code, -SIGXCPU);
    OK(brood_process_free(process));
}
END_TEST

static BROOD_TASK(tell_core_limit, int, void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_CORE, &limit) == 0);
    return limit.rlim_cur == 0 ? 0 : limit.rlim_cur == 4096 ? 2 : 3;
}

START_TEST(leaves_no_core_unless_it_may)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    if (limit.rlim_max < 4096) return;
    limit.rlim_cur = 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_CORE, &limit), 0);
    brood_process_options options = {.method = (brood_start_method)_i};
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_core_limit), NULL), 0);
    options.core_dump = true;
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    return; /* its runtime takes the limit away from every program */
#endif
#endif
    ck_assert_int_eq(run(&options, BROOD_TASK_OF(tell_core_limit), NULL), 2);
}
END_TEST

static BROOD_TASK(has_descriptor_limit, int, int, count)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit.rlim_cur == (rlim_t)count ? 0 : 2;
}

/* That of its starter now: neither what the supervisor allows itself, nor what was when that came. */
START_TEST(keeps_the_limit_of_descriptors)
{
    for (int count = 200; count <= 300; count += 100) {
        struct rlimit limit;
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = (rlim_t)count;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(run(BY(_i), BROOD_TASK_OF(has_descriptor_limit), &count), 0);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ refused */

static void refused(brood_process_options options)
{
    for (int method = BROOD_START_FORK; method <= BROOD_START_FORKSERVER; method++) {
        brood_process process;
        if (!options.method || options.method <= BROOD_START_FORKSERVER) options.method = (brood_start_method)method;
        ck_assert_int_eq(brood_process_start(&process, &options, answer, &(int){0}), BROOD_EINVAL);
        ck_assert_str_ne(brood_error_detail(), "");
    }
}

START_TEST(refuses_what_is_out_of_range)
{
    int closed = dup(0);
    close(closed);
    brood_process process;
    int cpus[] = {0};
    brood_descriptor twice[] = {{0, 5}, {1, 5}};
    refused((brood_process_options){.name = "12345678901234567890123456789012"});
    refused((brood_process_options){.method = (brood_start_method)(BROOD_START_FORKSERVER + 1)});
    refused((brood_process_options){.descriptors = &(brood_descriptor){closed, 5}, .descriptor_count = 1});
    refused((brood_process_options){.descriptors = &(brood_descriptor){-1, 5}, .descriptor_count = 1});
    refused((brood_process_options){.descriptors = &(brood_descriptor){0, -1}, .descriptor_count = 1});
    refused((brood_process_options){.descriptors = &(brood_descriptor){0, 100}, .descriptor_count = 1});
    refused((brood_process_options){.descriptors = NULL, .descriptor_count = 1});
    refused((brood_process_options){.cpus = NULL, .cpu_count = 1});
    refused((brood_process_options){.cpus = cpus, .cpu_count = 1 << 20});
    refused((brood_process_options){.start_timeout = -1});
    refused((brood_process_options){.descriptors = twice, .descriptor_count = 2});
    ck_assert_str_eq(brood_error_detail(), "two descriptors get number 5");
    ck_assert_int_eq(brood_process_start_task(&process, NULL, BROOD_TASK_OF(answer), NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_process_active_children(NULL, 0), 0);
    ck_assert_int_eq(brood_configure(&(brood_family_options){.start_timeout = -5}), BROOD_EINVAL);
}
END_TEST

static Suite *options_suite(void)
{
    Suite *suite = suite_create("process/options");
    TCase *place = brood_test_case(suite, "directory and environment");
    scene_each_method(place, stands_where_it_is_told);
    scene_each_method(place, stands_nowhere);
    scene_each_method(place, has_an_environment);
    scene_each_method(place, may_change_its_environment);
    scene_each_method(place, passes_no_mark_of_a_child_on);
    TCase *descriptors = brood_test_case(suite, "descriptors");
    scene_each_method(descriptors, gets_descriptors_by_number);
    scene_each_method(descriptors, gets_many_descriptors);
    scene_each_method(descriptors, leaves_no_end_of_a_pipe_open);
    scene_each_method(descriptors, prints_where_its_parent_prints_now);
    scene_each_method(descriptors, workers_print_where_their_owner_prints);
    scene_each_method(descriptors, workers_take_a_large_argument);
    scene_each_method(descriptors, writes_nothing_twice);
    TCase *limits = brood_test_case(suite, "limits");
    scene_each_method(limits, runs_on_its_processors);
    scene_each_method(limits, allocates_no_more_than_it_may);
    scene_each_method(limits, runs_no_longer_than_it_may);
    scene_each_method(limits, leaves_no_core_unless_it_may);
    scene_each_method(limits, keeps_the_limit_of_descriptors);
    TCase *refusals = brood_test_case(suite, "refused");
    tcase_add_test(refusals, refuses_what_is_out_of_range);
    return suite;
}

BROOD_TEST_MAIN(options_suite)
