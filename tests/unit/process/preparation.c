/* SPDX-License-Identifier: MIT */
/* preparation.c - the preparation data, as a child by each method sees it. */
#include "scene.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What brood_preparation_data said, flat. */
struct seen {
    char name[64], directory[PATH_MAX], original[PATH_MAX], argv[4][64];
    int method, argc, log_level;
    size_t authkey_size;
    unsigned char authkey[64];
    pid_t parent;
};

static int see(struct seen *seen)
{
    brood_preparation p;
    int error = brood_preparation_data(&p);
    if (error < 0) return error;
    *seen = (struct seen){.method = (int)p.method,
                          .argc = p.argc,
                          .log_level = p.log_level,
                          .authkey_size = p.authkey_size,
                          .parent = p.parent};
    snprintf(seen->name, sizeof seen->name, "%s", p.name);
    snprintf(seen->directory, sizeof seen->directory, "%s", p.directory);
    snprintf(seen->original, sizeof seen->original, "%s", p.original_directory);
    if (p.authkey_size <= sizeof seen->authkey) memcpy(seen->authkey, p.authkey, p.authkey_size);
    for (int i = 0; i < p.argc && i < 4; i++) snprintf(seen->argv[i], sizeof seen->argv[i], "%s", p.argv[i]);
    return p.argv[p.argc] == NULL ? 0 : BROOD_ECORRUPT;
}

static BROOD_TASK(look, int, brood_buffer, place, int, at)
{
    struct seen *all = brood_buffer_data(place, NULL);
    MUST(see(&all[at]) == 0);
    return 0;
}
/* And a child of its own, by another method and from another place. */
static BROOD_TASK(look_twice, int, brood_buffer, place, int, method)
{
    struct seen *all = brood_buffer_data(place, NULL);
    brood_process process;
    int code;
    MUST(see(&all[0]) == 0);
    MUST(chdir("/proc") == 0);
    MUST(brood_process_start(&process, BY(method), look, (&(look_args){place, 1})) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 0);
    MUST(brood_process_free(process) == 0);
    return 0;
}

static void alike(const struct seen *seen, const struct seen *first)
{
    ck_assert_uint_eq(seen->authkey_size, 32);
    ck_assert_int_eq(memcmp(seen->authkey, first->authkey, 32), 0);
    ck_assert_str_eq(seen->original, first->original);
    ck_assert_int_eq(seen->argc, first->argc);
    ck_assert_int_eq(seen->log_level, first->log_level);
    for (int i = 0; i < seen->argc; i++) ck_assert_str_eq(seen->argv[i], first->argv[i]);
}

START_TEST(is_told_to_children_and_theirs)
{
    static struct seen first;
    static const unsigned char zeroes[32];
    struct seen *seen;
    char stood[PATH_MAX];
    brood_buffer place = scene_shared(2 * sizeof *seen, &seen);
    OK(see(&first));
    ck_assert_ptr_nonnull(getcwd(stood, sizeof stood));
    ck_assert_str_eq(first.name, "first");
    ck_assert_str_eq(first.directory, stood);
    ck_assert_str_eq(first.original, stood);
    ck_assert_int_eq(memcmp(first.authkey, zeroes, 32) != 0, 1);
    ck_assert_int_eq(chdir("/tmp"), 0);
    for (int deeper = BROOD_START_FORK; deeper <= BROOD_START_FORKSERVER; deeper++) {
        brood_process process;
        brood_process_options options = {.name = "Näher", .method = (brood_start_method)_i};
        OK(brood_process_start(&process, &options, look_twice, (&(look_twice_args){place, deeper})));
        pid_t pid = brood_process_pid(process);
        ck_assert_int_eq(scene_end(process), 0);
        ck_assert_str_eq(seen[0].name, "Näher");
        ck_assert_str_eq(seen[0].directory, "/tmp");
        ck_assert_int_eq(seen[0].method, _i);
        ck_assert_int_eq(seen[0].parent, getpid());
        alike(&seen[0], &first);
        ck_assert_int_eq(strncmp(seen[1].name, "look-", 5), 0);
        ck_assert_str_eq(seen[1].directory, "/proc");
        ck_assert_int_eq(seen[1].method, deeper);
        ck_assert_int_eq(seen[1].parent, pid);
        alike(&seen[1], &first);
    }
}
END_TEST

/* Names and arguments are bytes: not all of them are text. */
static int odd_arguments(void *arg)
{
    static char *arguments[] = {"program", "", "\xff\xfe no text", NULL};
    int argc = 3;
    char **argv = arguments;
    struct seen *seen;
    MUST(brood_init(&argc, &argv) == 0);
    MUST(argc == 3 && argv == arguments);
    brood_buffer place = scene_shared(2 * sizeof *seen, &seen);
    brood_process process;
    brood_process_options options = {.name = "\xc3(", .method = (brood_start_method) * (int *)arg};
    int code;
    MUST(brood_process_start(&process, &options, look, (&(look_args){place, 0})) == 0);
    MUST(brood_process_join(process, PATIENCE, &code) == 0 && code == 0);
    MUST(!strcmp(seen->name, "\xc3(") && seen->argc == 3);
    for (int i = 0; i < 3; i++) MUST(!strcmp(seen->argv[i], arguments[i]));
    return brood_fini() < 0;
}

START_TEST(may_be_odd)
{
    ck_assert_int_eq(scene_run(odd_arguments, &_i), 0);
}
END_TEST

START_TEST(is_a_members)
{
    brood_preparation p;
    OK(brood_fini());
    ck_assert_int_eq(brood_preparation_data(&p), BROOD_ENOTMEMBER);
}
END_TEST

static Suite *preparation_suite(void)
{
    Suite *suite = suite_create("process/preparation");
    TCase *data = brood_test_case(suite, "data");
    scene_each_method(data, is_told_to_children_and_theirs);
    scene_each_method(data, may_be_odd);
    tcase_add_test(data, is_a_members);
    return suite;
}

BROOD_TEST_MAIN(preparation_suite)
