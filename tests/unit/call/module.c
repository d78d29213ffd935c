/* SPDX-License-Identifier: MIT */
/*
 * module.c - references to task functions: there and back in one process, forged, and between two processes of which
 * one has a library that the other has to load.
 *
 * SHAPES, SHAPES_OTHER and SHAPES_NAMELESS are the paths of one library in two editions and without a build-id.
 */
#include "call/module.h"
#include "brood_test.h"
#include "shapes.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

BROOD_TASK(twice, int, int, n)
{
    return 2 * n;
}
static BROOD_TASK(thrice, int, int, n)
{
    return 3 * n;
}

static int run(const brood_task *task, const void *arg)
{
    int result;
    task->call(arg, &result);
    return result;
}

/* ------------------------------------------------------------------------------------ one process */

START_TEST(goes_there_and_back)
{
    const brood_task *tasks[] = {BROOD_TASK_OF(twice), BROOD_TASK_OF(thrice)};
    function_ref refs[2], again;
    for (int i = 0; i < 2; i++) {
        const brood_task *found = NULL;
        brood_test_ok(brood__function_ref(tasks[i], &refs[i]));
        ck_assert_uint_ne(refs[i], 0);
        brood_test_ok(brood__function_find(refs[i], &found));
        ck_assert_ptr_eq(found, tasks[i]);
        brood_test_ok(brood__function_ref(tasks[i], &again));
        ck_assert_uint_eq(again, refs[i]);
    }
    ck_assert_uint_ne(refs[0], refs[1]);
    ck_assert_uint_eq(refs[0] >> 48, refs[1] >> 48);
}
END_TEST

START_TEST(means_the_same_after_forgetting)
{
    function_ref ref, again;
    const brood_task *found;
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(twice), &ref));
    brood__module_forget();
    brood_test_ok(brood__function_find(ref, &found));
    ck_assert_ptr_eq(found, BROOD_TASK_OF(twice));
    brood__module_forget();
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(twice), &again));
    ck_assert_uint_eq(again, ref);
}
END_TEST

START_TEST(knows_its_own_file)
{
    function_ref ref;
    char path[PATH_MAX] = "";
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(twice), &ref));
    const struct module_shm *entry = (const void *)brood__slot_at(TABLE_MODULE, (uint32_t)(ref >> 48));
    ck_assert_int_gt(readlink("/proc/self/exe", path, sizeof path - 1), 0);
    ck_assert_str_eq(entry->path, path);
    ck_assert_uint_ge(entry->build_id_size, 8);
    ck_assert_uint_eq(SLOT_OWNER(atomic_load(&entry->slot.word)), OWNER_FAMILY);
}
END_TEST

START_TEST(refuses_what_is_no_record)
{
    function_ref ref;
    brood_task copy = *BROOD_TASK_OF(twice); /* on the stack: in no module */
    static brood_task writable;              /* in the program, but where anybody may write */
    static const uint64_t zeroes[16];
    writable = copy;
    ck_assert_int_eq(brood__function_ref(NULL, &ref), BROOD_EMODULE);
    ck_assert_int_eq(brood__function_ref(&copy, &ref), BROOD_EMODULE);
    ck_assert_str_ne(brood_error_detail(), "");
    ck_assert_int_eq(brood__function_ref(&writable, &ref), BROOD_ETASK);
    ck_assert_int_eq(brood__function_ref((const void *)zeroes, &ref), BROOD_ETASK);
    ck_assert_int_eq(brood__function_ref((const void *)((const char *)BROOD_TASK_OF(twice) + 1), &ref), BROOD_ETASK);
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(twice), &ref));
    ck_assert_int_eq(brood__function_ref(&writable, &ref), BROOD_ETASK);
    ck_assert_int_eq(brood__function_ref((const void *)zeroes, &ref), BROOD_ETASK);
}
END_TEST

/* All but one thing is right: each would be called, or read, if that one were not looked at. */
START_TEST(refuses_nearly_a_record)
{
    static const brood_task nearly[] = {
        {BROOD_TASK_MAGIC ^ 1, "magic", sizeof(int), sizeof(int), 0, 0, twice__call},
        {BROOD_TASK_MAGIC, "reserved", sizeof(int), sizeof(int), 0, 1, twice__call},
        {BROOD_TASK_MAGIC, NULL, sizeof(int), sizeof(int), 0, 0, twice__call},
        {BROOD_TASK_MAGIC, "call", sizeof(int), sizeof(int), 0, 0, NULL},
        {BROOD_TASK_MAGIC, "right", sizeof(int), sizeof(int), 0, 0, twice__call},
    };
    function_ref good, ref;
    const brood_task *found;
    brood_test_ok(brood__function_ref(&nearly[4], &good));
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(brood__function_ref(&nearly[i], &ref), BROOD_ETASK);
        ck_assert_int_eq(brood__function_find(good - (4 - i) * sizeof(brood_task), &found), BROOD_ETASK);
    }
    brood_test_ok(brood__function_find(good, &found));
}
END_TEST

START_TEST(survives_forged_references)
{
    function_ref good;
    const brood_task *found = NULL;
    uint64_t random = 88172645463325252u;
    brood_test_ok(brood__function_ref(BROOD_TASK_OF(twice), &good));
    ck_assert_int_eq(brood__function_find(0, &found), BROOD_ETASK);
    for (int i = 0; i < 200000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        function_ref ref = random;
        if (i % 4 == 1) ref = good ^ UINT64_C(1) << random % 64;                           /* one bit */
        if (i % 4 == 2) ref = (good >> 48 << 48) | (random & 0xffffff);                    /* near its module */
        if (i % 4 == 3) ref = (good & ((UINT64_C(1) << 48) - 1)) | (random & 0xfff) << 48; /* another module */
        int error = brood__function_find(ref, &found);
        if (error == 0) {
            ck_assert_uint_eq(found->magic, BROOD_TASK_MAGIC);
        } else {
            ck_assert(error == BROOD_EMODULE || error == BROOD_ETASK);
            ck_assert_str_ne(brood_error_detail(), "");
        }
    }
}
END_TEST

static void *learn(void *arg)
{
    function_ref *ref = arg;
    const brood_task *found;
    for (int i = 0; i < 1000; i++) {
        if (brood__function_ref(BROOD_TASK_OF(twice), ref) < 0) return NULL;
        if (brood__function_find(*ref, &found) < 0 || found != BROOD_TASK_OF(twice)) return NULL;
    }
    return arg;
}

START_TEST(threads_learn_at_once)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    function_ref refs[THREADS];
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, learn, &refs[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_nonnull(result);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ two processes */

static char dir[] = "/tmp/brood-module-XXXXXX";
static char path[PATH_MAX];

static void copy_to_path(const char *from)
{
    char fresh[PATH_MAX + 8], bytes[65536];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ck_assert_int_ge(in, 0);
    ck_assert_int_ge(out, 0);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;) ck_assert_int_eq(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static void make_dir(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/libshapes.so", dir);
}

static void remove_dir(void)
{
    unlink(path);
    rmdir(dir);
}

/* What the other process, forked before the library was loaded, answers. */
struct answer {
    int error;
    int area;
    char detail[256];
};
struct other {
    pid_t pid;
    int ask, answer;
};

static struct other begin_other(void)
{
    int asks[2], answers[2];
    int memory = brood__self->memory;
    ck_assert_int_eq(pipe2(asks, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        function_ref ref;
        const brood_task *task;
        brood__module_forget();
        if (chdir("/") < 0 || brood__arena_attach(dup(memory)) < 0) _exit(1);
        close(asks[1]);
        while (read(asks[0], &ref, sizeof ref) == sizeof ref) {
            struct answer answer = {.error = brood__function_find(ref, &task)};
            if (answer.error == 0) answer.area = run(task, (int[]){6, 7});
            snprintf(answer.detail, sizeof answer.detail, "%s", brood_error_detail());
            if (write(answers[1], &answer, sizeof answer) != sizeof answer) break;
        }
        _exit(0);
    }
    close(asks[0]);
    close(answers[1]);
    return (struct other){pid, asks[1], answers[0]};
}

static struct answer ask_other(const struct other *other, function_ref ref)
{
    struct answer answer;
    ck_assert_int_eq(write(other->ask, &ref, sizeof ref), sizeof ref);
    ck_assert_int_eq(read(other->answer, &answer, sizeof answer), sizeof answer);
    return answer;
}

static void end_other(const struct other *other)
{
    int status;
    close(other->ask);
    close(other->answer);
    ck_assert_int_eq(waitpid(other->pid, &status, 0), other->pid);
    ck_assert_int_eq(status, 0);
}

static function_ref ref_in(const char *library, void **handle)
{
    const brood_task *(*area)(void);
    function_ref ref;
    *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!*handle) ck_abort_msg("%s", dlerror());
    *(void **)(&area) = dlsym(*handle, "shapes_area");
    ck_assert_ptr_nonnull(area);
    brood_test_ok(brood__function_ref(area(), &ref));
    return ref;
}

START_TEST(other_loads_the_library)
{
    void *handle;
    copy_to_path(SHAPES);
    struct other other = begin_other();
    function_ref ref = ref_in(path, &handle);
    for (int i = 0; i < 2; i++) {
        struct answer answer = ask_other(&other, ref);
        if (answer.error < 0) ck_abort_msg("%s: %s", brood_strerror(answer.error), answer.detail);
        ck_assert_int_eq(answer.area, 42);
    }
    dlclose(handle);
    end_other(&other);
}
END_TEST

START_TEST(other_finds_what_was_loaded_by_a_relative_name)
{
    void *handle;
    copy_to_path(SHAPES);
    struct other other = begin_other();
    ck_assert_int_eq(chdir(dir), 0);
    function_ref ref = ref_in("./libshapes.so", &handle);
    struct answer answer = ask_other(&other, ref);
    if (answer.error < 0) ck_abort_msg("%s: %s", brood_strerror(answer.error), answer.detail);
    ck_assert_int_eq(answer.area, 42);
    dlclose(handle);
    end_other(&other);
}
END_TEST

START_TEST(other_refuses_another_edition)
{
    void *handle;
    copy_to_path(SHAPES);
    struct other other = begin_other();
    function_ref ref = ref_in(path, &handle);
    copy_to_path(SHAPES_OTHER);
    struct answer answer = ask_other(&other, ref);
    ck_assert_int_eq(answer.error, BROOD_EMODULE);
    ck_assert_str_eq(answer.detail, "libshapes.so: build-id differs from the sender's");
    copy_to_path(SHAPES);
    answer = ask_other(&other, ref); /* the wrong one wasn't kept */
    ck_assert_int_eq(answer.error, 0);
    ck_assert_int_eq(answer.area, 42);
    dlclose(handle);
    end_other(&other);
}
END_TEST

START_TEST(other_says_what_is_missing)
{
    void *handle;
    copy_to_path(SHAPES);
    struct other other = begin_other();
    function_ref ref = ref_in(path, &handle);
    ck_assert_int_eq(unlink(path), 0);
    struct answer answer = ask_other(&other, ref);
    ck_assert_int_eq(answer.error, BROOD_EMODULE);
    ck_assert_ptr_nonnull(strstr(answer.detail, "libshapes.so: cannot be loaded: "));
    dlclose(handle);
    end_other(&other);
}
END_TEST

/* What was referred to stays loaded, so that its reference can't come to mean something else. */
START_TEST(library_is_kept)
{
    void *handle;
    const brood_task *task;
    copy_to_path(SHAPES);
    function_ref ref = ref_in(path, &handle);
    dlclose(handle);
    brood_test_ok(brood__function_find(ref, &task));
    ck_assert_int_eq(run(task, (int[]){6, 7}), 42);
}
END_TEST

START_TEST(two_editions_are_two_modules)
{
    void *handles[2];
    const brood_task *task;
    copy_to_path(SHAPES);
    function_ref first = ref_in(path, &handles[0]);
    function_ref second = ref_in(SHAPES_OTHER, &handles[1]);
    ck_assert_uint_ne(first >> 48, second >> 48);
    brood_test_ok(brood__function_find(first, &task));
    ck_assert_int_eq(run(task, (int[]){6, 7}), 42);
    brood_test_ok(brood__function_find(second, &task));
    ck_assert_int_eq(run(task, (int[]){6, 7}), 84);
    dlclose(handles[0]);
    dlclose(handles[1]);
}
END_TEST

START_TEST(module_without_build_id_is_refused_by_name)
{
    const brood_task *(*area)(void);
    function_ref ref;
    void *handle = dlopen(SHAPES_NAMELESS, RTLD_NOW | RTLD_LOCAL);
    ck_assert_ptr_nonnull(handle);
    *(void **)(&area) = dlsym(handle, "shapes_area");
    ck_assert_int_eq(brood__function_ref(area(), &ref), BROOD_EMODULE);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), strrchr(SHAPES_NAMELESS, '/')));
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "build-id"));
    dlclose(handle);
}
END_TEST

static Suite *module_suite(void)
{
    Suite *suite = suite_create("module");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, goes_there_and_back);
    tcase_add_test(alone, means_the_same_after_forgetting);
    tcase_add_test(alone, knows_its_own_file);
    tcase_add_test(alone, refuses_what_is_no_record);
    tcase_add_test(alone, refuses_nearly_a_record);
    tcase_add_test(alone, survives_forged_references);
    tcase_add_test(alone, threads_learn_at_once);
    TCase *library = brood_test_case(suite, "library");
    tcase_add_checked_fixture(library, make_dir, remove_dir);
    tcase_add_test(library, other_loads_the_library);
    tcase_add_test(library, other_finds_what_was_loaded_by_a_relative_name);
    tcase_add_test(library, other_refuses_another_edition);
    tcase_add_test(library, other_says_what_is_missing);
    tcase_add_test(library, library_is_kept);
    tcase_add_test(library, two_editions_are_two_modules);
    tcase_add_test(library, module_without_build_id_is_refused_by_name);
    return suite;
}

BROOD_TEST_MAIN(module_suite)
