/* SPDX-License-Identifier: MIT */
/* log.c - the log: levels, names, where records go, what the library says, in all members. */
#include "members.h"

#include <brood.h>
#include <errno.h>
#include <poll.h>

/* Standard error, from now on a pipe that this process reads; text after what was read is on the way. */
static int out, saved_error = -1;
static void capture(void)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    saved_error = dup(2);
    ck_assert_int_eq(dup2(ends[1], 2), 2);
    close(ends[1]);
    out = ends[0];
}
static void release(void)
{
    dup2(saved_error, 2);
    close(saved_error);
    close(out);
}

/* Read until a line ends with `end`: true; false if none comes.  Lines before it are passed over. */
static char line[4096], passed[1 << 16];
static size_t passed_bytes;
static bool says(const char *end)
{
    size_t at = 0;
    struct pollfd ready = {.fd = out, .events = POLLIN};
    while (poll(&ready, 1, PATIENCE) == 1 && at < sizeof line - 1 && read(out, line + at, 1) == 1) {
        if (line[at++] != '\n') continue;
        line[at - 1] = 0;
        if (at > strlen(end) && strcmp(line + at - 1 - strlen(end), end) == 0) return true;
        int n = snprintf(passed + passed_bytes, sizeof passed - passed_bytes, "%s\n", line);
        if (passed_bytes + (size_t)n < sizeof passed) passed_bytes += (size_t)n;
        at = 0;
    }
    return false;
}
/* Likewise, but the line may be one that was passed over: two processes speak in any order. */
static bool has_said(const char *end)
{
    char ending[256];
    snprintf(ending, sizeof ending, "%s\n", end);
    return strstr(passed, ending) || says(end);
}
static bool is_silent(void)
{
    struct pollfd ready = {.fd = out, .events = POLLIN};
    return poll(&ready, 1, A_WHILE) == 0;
}

START_TEST(levels)
{
    ck_assert_int_eq(brood_log_get_level(), BROOD_LOG_WARNING);
    capture();
    for (int level = BROOD_LOG_OFF; level <= BROOD_LOG_DEBUG; level++) {
        brood_test_ok(brood_log_set_level((brood_log_level)level));
        ck_assert_int_eq(brood_log_get_level(), level);
        for (int of = BROOD_LOG_ERROR; of <= BROOD_LOG_DEBUG; of++) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "[%s/first] %d at %d", brood_log_level_name((brood_log_level)of), of,
                     level);
            brood_log((brood_log_level)of, "%d at %d", of, level);
            if (of <= level) ck_assert(says(wanted) && strcmp(line, wanted) == 0);
        }
        ck_assert(is_silent());
    }
    brood_test_ok(brood_log_set_level(BROOD_LOG_DEFAULT));
    ck_assert_int_eq(brood_log_get_level(), BROOD_LOG_WARNING);
    ck_assert_int_eq(brood_log_set_level((brood_log_level)6), BROOD_EINVAL);
    ck_assert_int_eq(brood_log_set_level((brood_log_level)-1), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "no log level is -1");
    brood_log(BROOD_LOG_DEFAULT, "nothing");
    brood_log(BROOD_LOG_OFF, "nothing");
    brood_log((brood_log_level)77, "nothing");
    ck_assert(is_silent());
    release();
}
END_TEST

START_TEST(level_names)
{
    brood_log_level level;
    for (int i = BROOD_LOG_DEFAULT; i <= BROOD_LOG_DEBUG; i++) {
        brood_test_ok(brood_log_level_parse(&level, brood_log_level_name((brood_log_level)i)));
        ck_assert_int_eq(level, i);
    }
    brood_test_ok(brood_log_level_parse(&level, "debug"));
    ck_assert_int_eq(level, BROOD_LOG_DEBUG);
    ck_assert_int_eq(brood_log_level_parse(&level, "loud"), BROOD_EINVAL);
    ck_assert_str_eq(brood_error_detail(), "no log level is called loud");
    ck_assert_int_eq(brood_log_level_parse(&level, NULL), BROOD_EINVAL);
    ck_assert_str_eq(brood_log_level_name((brood_log_level)6), "unknown");
}
END_TEST

START_TEST(texts)
{
    static char longer[2 * BROOD_LOG_TEXT];
    capture();
    memset(longer, 'x', sizeof longer - 1);
    brood_log(BROOD_LOG_ERROR, "%s", longer);
    longer[BROOD_LOG_TEXT - 1] = 0;
    ck_assert(says(longer));
    ck_assert_uint_eq(strlen(line), strlen("[ERROR/first] ") + BROOD_LOG_TEXT - 1);
    brood_log(BROOD_LOG_ERROR, "a line\n");
    brood_log(BROOD_LOG_ERROR, "%s", "");
    ck_assert(says("[ERROR/first] a line"));
    ck_assert(says("[ERROR/first] "));
    /* errno and detail survive, and can be arguments */
    errno = EDOM;
    ck_assert_int_eq(brood_log_set_level((brood_log_level)9), BROOD_EINVAL);
    brood_log(BROOD_LOG_ERROR, "so: %s", brood_error_detail());
    ck_assert_int_eq(errno, EDOM);
    ck_assert_str_eq(brood_error_detail(), "no log level is 9");
    ck_assert(says("so: no log level is 9"));
    release();
}
END_TEST

/* -------------------------------------------------------------------------------------------------------- callbacks */

struct heard {
    int count;
    brood_log_level level;
    char process[64], text[256];
};
static void hear(const brood_log_record *record, void *context)
{
    struct heard *heard = context;
    heard->count++;
    heard->level = record->level;
    if (record->pid == getpid()) snprintf(heard->process, sizeof heard->process, "%s", record->process);
    snprintf(heard->text, sizeof heard->text, "%s", record->text);
}
static void hear_and_say(const brood_log_record *record, void *context)
{
    hear(record, context);
    brood_log(BROOD_LOG_ERROR, "from inside: %s", record->text);
    brood_log_to(hear, context);
    errno = ERANGE;
    brood_log_set_level((brood_log_level)77);
}

START_TEST(callback)
{
    struct heard heard = {0};
    capture();
    brood_test_ok(brood_log_to(hear, &heard));
    brood_log(BROOD_LOG_INFO, "too low");
    brood_log(BROOD_LOG_WARNING, "words %d", 1);
    ck_assert(heard.count == 1 && heard.level == BROOD_LOG_WARNING);
    ck_assert_str_eq(heard.process, "first");
    ck_assert_str_eq(heard.text, "words 1");
    ck_assert(is_silent());
    brood_test_ok(brood_log_to(hear_and_say, &heard));
    errno = 0;
    brood_log(BROOD_LOG_ERROR, "words 2");
    ck_assert_int_eq(errno, 0);
    ck_assert_str_eq(brood_error_detail(), "");
    ck_assert(says("[ERROR/first] from inside: words 2"));
    brood_log(BROOD_LOG_ERROR, "words 3");
    ck_assert(heard.count == 3 && is_silent());
    brood_test_ok(brood_log_to(NULL, NULL));
    brood_log(BROOD_LOG_ERROR, "words 4");
    ck_assert(says("[ERROR/first] words 4"));
    ck_assert_int_eq(heard.count, 3);
    release();
}
END_TEST

/* Callbacks come one at a time, and none comes after brood_log_to has returned. */
static _Atomic int entered, at_once, after_end;
static _Atomic bool over;
static void count(const brood_log_record *record, void *context)
{
    (void)record, (void)context;
    if (atomic_fetch_add(&entered, 1) != 0) at_once++;
    if (over) after_end++;
    sched_yield();
    atomic_fetch_sub(&entered, 1);
}
static void *chatter(void *arg)
{
    for (int i = 0; i < 2000; i++) brood_log(BROOD_LOG_ERROR, "%d", i);
    return arg;
}
static void nobody(const brood_log_record *record, void *context)
{
    (void)record, (void)context;
}

START_TEST(many_threads)
{
    pthread_t many[4];
    brood_test_ok(brood_log_to(count, NULL));
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&many[i], NULL, chatter, NULL), 0);
    usleep(2000);
    brood_test_ok(brood_log_to(nobody, NULL));
    over = true;
    for (int i = 0; i < 4; i++) pthread_join(many[i], NULL);
    brood_test_ok(brood_log_to(NULL, NULL));
    ck_assert_int_eq(at_once + after_end, 0);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- in the family */

BROOD_TASK(speak, int, int, code)
{
    brood_preparation data;
    MUST(brood_preparation_data(&data) == 0 && data.log_level == BROOD_LOG_INFO);
    MUST(brood_log_get_level() == BROOD_LOG_INFO);
    brood_log(BROOD_LOG_INFO, "my own words");
    brood_log(BROOD_LOG_DEBUG, "not these");
    if (code == 9) kill(getpid(), SIGKILL);
    return code;
}
BROOD_TASK(refuse, int, int, code)
{
    brood_fail(code, "will not do %d", code);
    return 0;
}

START_TEST(family)
{
    static const char *const names[] = {"", "fork", "spawn", "forkserver"};
    brood_start_method method = members_methods[_i];
    char wanted[128];
    capture();
    brood_test_ok(brood_log_set_level(BROOD_LOG_INFO));
    for (int code = 3; code <= 9; code += 6) {
        brood_process p;
        brood_process_options options = {.method = method, .name = "speaker"};
        brood_test_ok(brood_process_start(&p, &options, speak, &code));
        pid_t pid = brood_process_pid(p);
        if (code == 3) ck_assert(says("[INFO/supervisor] begins"));
        snprintf(wanted, sizeof wanted, "[INFO/first] speaker (pid %d) was started by %s to run speak", (int)pid,
                 names[method]);
        /* Its own words may come before or after ours; those of the second are looked for. */
        ck_assert(says(code == 3 ? wanted : "[INFO/speaker] my own words"));
        if (method == BROOD_START_FORK && code == 9)
            snprintf(wanted, sizeof wanted, "[INFO/supervisor] speaker (pid %d) has ended", (int)pid);
        else if (code == 9)
            snprintf(wanted, sizeof wanted, "[INFO/supervisor] speaker (pid %d) was ended by signal 9 (Killed)",
                     (int)pid);
        else
            snprintf(wanted, sizeof wanted, "[INFO/supervisor] speaker (pid %d) has ended with exit code 3", (int)pid);
        ck_assert(has_said(wanted)); /* perhaps before our own words above */
        members_end(p, code == 9 ? -SIGKILL : code);
    }
    brood_test_ok(brood_log_set_level(BROOD_LOG_DEFAULT));
    brood_process p;
    members_start(&p, method, refuse, &(int){7});
    members_end(p, 1);
    ck_assert(says("] refuse: will not do 7 (7)"));
    ck_assert(strncmp(line, "[ERROR/refuse-", 14) == 0);
    ck_assert(is_silent());
    release();
}
END_TEST

START_TEST(workers)
{
    capture();
    brood_test_ok(brood_log_set_level(BROOD_LOG_INFO));
    brood_pool pool;
    brood_pool_options options = {
        .workers = 1, .method = members_methods[_i], .max_tasks_per_child = 2, .name = "mill"};
    brood_test_ok(brood_pool_new(&pool, &options));
    int in[3] = {4, 5, 6}, results[3];
    ck_assert_int_eq(brood_pool_map(pool, refuse, in, results, 3), BROOD_EFAILED);
    ck_assert(says("[INFO/mill-1] leaves after 2 items, for another to take its place"));
    brood_test_ok(brood_pool_free(pool));
    release();
}
END_TEST

/* Nobody reads what the supervisor says: it goes on all the same. */
START_TEST(full_pipe)
{
    capture();
    brood_test_ok(brood_log_set_level(BROOD_LOG_INFO));
    fcntl(2, F_SETPIPE_SZ, 4096);
    fcntl(2, F_SETFL, O_NONBLOCK);
    char fill[512] = {0};
    while (write(2, fill, sizeof fill) > 0) continue;
    fcntl(2, F_SETFL, 0);
    brood_test_ok(brood_log_to(nobody, NULL));
    for (int i = 0; i < 3; i++) {
        brood_process p;
        members_start(&p, BROOD_START_FORKSERVER, refuse, &(int){0});
        kill(brood_process_pid(p), SIGKILL); /* it would wait to say why it fails */
        int code;
        brood_test_ok(brood_process_join(p, PATIENCE, &code));
        brood_test_ok(brood_process_free(p));
    }
    release();
}
END_TEST

/* Nor does a reader that has gone end who has something to say. */
START_TEST(no_reader)
{
    capture();
    close(out);
    out = -1;
    brood_log(BROOD_LOG_ERROR, "into the void");
    sigset_t pending;
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    release();
}
END_TEST

START_TEST(no_member)
{
    brood_test_ok(brood_fini());
    char wanted[64];
    capture();
    snprintf(wanted, sizeof wanted, "[WARNING/%d] alone", (int)getpid());
    ck_assert_int_eq(brood_log_set_level(BROOD_LOG_DEBUG), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_log_get_level(), BROOD_LOG_WARNING);
    brood_log(BROOD_LOG_INFO, "nothing");
    brood_log(BROOD_LOG_WARNING, "alone");
    ck_assert(says(wanted));
    release();
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *records = brood_test_case(suite, "records");
    tcase_add_test(records, levels);
    tcase_add_test(records, level_names);
    tcase_add_test(records, texts);
    tcase_add_test(records, callback);
    tcase_add_test(records, many_threads);
    tcase_add_test(records, no_reader);
    tcase_add_test(records, no_member);
    TCase *family_case = brood_test_case(suite, "family");
    tcase_add_loop_test(family_case, family, 0, MEMBERS_METHODS);
    tcase_add_loop_test(family_case, workers, 0, MEMBERS_METHODS);
    tcase_add_test(family_case, full_pipe);
    return suite;
}

BROOD_TEST_MAIN(log_suite)
