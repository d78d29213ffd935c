/* SPDX-License-Identifier: MIT */
/* prepare.c - the bootstrap data: there and back, and what is refused; tests/fuzz/prepare.c has the hostile bytes. */
#include "process/prepare.h"
#include "brood_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A sanitizer needs more memory than the test allows. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

static char *arguments[] = {"program", "", "-x", "\xff not UTF-8", "\xe2\x82\xac", NULL};
static char *environment[] = {"A=b", "HOME=/home", NULL};
static const int cpus[] = {0, 1, 63, 4095};
static const unsigned char authkey[] = {0, 1, 2, 255, 0};

static struct preparation full_preparation(void)
{
    return (struct preparation){{.name = "worker-1",
                                 .directory = "/tmp/\xc3\xa4",
                                 .original_directory = "/",
                                 .method = BROOD_START_SPAWN,
                                 .argc = 5,
                                 .argv = arguments,
                                 .authkey = authkey,
                                 .authkey_size = sizeof authkey,
                                 .parent = 4194304,
                                 .log_level = -70000}};
}

static struct process_object full_object(void)
{
    return (struct process_object){.function = UINT64_C(0xfedcba9876543210),
                                   .function_name = "to_celsius",
                                   .arg = "\0\1argument",
                                   .arg_size = 10,
                                   .environment = environment,
                                   .descriptor_count = 3,
                                   .descriptors = {5, 0, 99},
                                   .ignored_signals = UINT64_C(1) << 63 | 2,
                                   .limits = {UINT64_MAX, 300, 1024, true, 4, cpus},
                                   .worker = true};
}

struct frames {
    unsigned char *bytes;
    size_t size;
};

static struct frames encode(const struct preparation *p, const struct process_object *o)
{
    void *bytes;
    struct frames frames;
    brood_test_ok(brood__prepare_encode(p, o, &bytes, &frames.size));
    frames.bytes = bytes;
    return frames;
}

static struct frames full(void)
{
    struct preparation p = full_preparation();
    struct process_object o = full_object();
    return encode(&p, &o);
}

static int decode(const void *bytes, size_t size)
{
    struct preparation p;
    struct process_object o;
    void *memory;
    char *copy = malloc(size ? size : 1); /* of its very size, so that a sanitizer or valgrind sees a read beyond */
    memcpy(copy, bytes, size);
    int error = brood__prepare_decode(copy, size, &p, &o, &memory);
    free(copy);
    ck_assert((error == 0) == (memory != NULL));
    brood__prepare_free(memory);
    return error;
}

START_TEST(comes_back_as_it_was)
{
    struct frames frames = full();
    struct preparation p;
    struct process_object o, was = full_object();
    void *memory;
    brood_test_ok(brood__prepare_decode(frames.bytes, frames.size, &p, &o, &memory));
    memset(frames.bytes, 0, frames.size);
    free(frames.bytes);
    ck_assert_str_eq(p.public.name, "worker-1");
    ck_assert_str_eq(p.public.directory, "/tmp/\xc3\xa4");
    ck_assert_str_eq(p.public.original_directory, "/");
    ck_assert_int_eq(p.public.method, BROOD_START_SPAWN);
    ck_assert_int_eq(p.public.argc, 5);
    for (int i = 0; i < 5; i++) ck_assert_str_eq(p.public.argv[i], arguments[i]);
    ck_assert_ptr_null(p.public.argv[5]);
    ck_assert_uint_eq(p.public.authkey_size, sizeof authkey);
    ck_assert_mem_eq(p.public.authkey, authkey, sizeof authkey);
    ck_assert_int_eq(p.public.parent, 4194304);
    ck_assert_int_eq(p.public.log_level, -70000);

    ck_assert_uint_eq(o.function, was.function);
    ck_assert_str_eq(o.function_name, was.function_name);
    ck_assert_uint_eq(o.arg_size, was.arg_size);
    ck_assert_mem_eq(o.arg, was.arg, was.arg_size);
    ck_assert_uint_eq((uintptr_t)o.arg % _Alignof(max_align_t), 0);
    ck_assert_str_eq(o.environment[0], "A=b");
    ck_assert_str_eq(o.environment[1], "HOME=/home");
    ck_assert_ptr_null(o.environment[2]);
    ck_assert_uint_eq(o.descriptor_count, 3);
    ck_assert_mem_eq(o.descriptors, was.descriptors, 3 * sizeof(int));
    ck_assert_uint_eq(o.ignored_signals, UINT64_C(1) << 63 | 2);
    ck_assert_uint_eq(o.limits.memory, UINT64_MAX);
    ck_assert_uint_eq(o.limits.cpu_seconds, 300);
    ck_assert_uint_eq(o.limits.open_files, 1024);
    ck_assert(o.limits.core_dump && o.worker);
    ck_assert_uint_eq(o.limits.cpu_count, 4);
    ck_assert_mem_eq(o.limits.cpus, cpus, sizeof cpus);
    brood__prepare_free(memory);
}
END_TEST

START_TEST(nothing_comes_back_as_nothing)
{
    struct preparation p = {0};
    struct process_object o = {0};
    void *memory;
    struct frames frames = encode(&p, &o);
    brood_test_ok(brood__prepare_decode(frames.bytes, frames.size, &p, &o, &memory));
    free(frames.bytes);
    ck_assert_str_eq(p.public.name, "");
    ck_assert_str_eq(p.public.directory, "");
    ck_assert_int_eq(p.public.argc, 0);
    ck_assert_ptr_null(p.public.argv[0]);
    ck_assert_uint_eq(p.public.authkey_size, 0);
    ck_assert_ptr_null(o.arg);
    ck_assert_ptr_null(o.environment);
    ck_assert_ptr_null(o.limits.cpus);
    ck_assert_str_eq(o.function_name, "");
    brood__prepare_free(memory);
    brood__prepare_free(NULL);
}
END_TEST

START_TEST(empty_environment_is_not_the_callers)
{
    struct preparation p = full_preparation();
    struct process_object o = full_object();
    void *memory;
    o.environment = environment + 2;
    struct frames frames = encode(&p, &o);
    brood_test_ok(brood__prepare_decode(frames.bytes, frames.size, &p, &o, &memory));
    free(frames.bytes);
    ck_assert_ptr_nonnull(o.environment);
    ck_assert_ptr_null(o.environment[0]);
    brood__prepare_free(memory);
}
END_TEST

START_TEST(encodes_the_same_each_time)
{
    struct frames one = full(), two = full();
    ck_assert_uint_eq(one.size, two.size);
    ck_assert_mem_eq(one.bytes, two.bytes, one.size);
    free(one.bytes);
    free(two.bytes);
}
END_TEST

START_TEST(carries_a_large_argument)
{
    struct preparation p = full_preparation();
    struct process_object o = full_object();
    void *memory;
    size_t size = 10 * 1000 * 1000;
    unsigned char *arg = malloc(size);
    memset(arg, 0xa5, size);
    o.arg = arg;
    o.arg_size = size;
    struct frames frames = encode(&p, &o);
    brood_test_ok(brood__prepare_decode(frames.bytes, frames.size, &p, &o, &memory));
    ck_assert_uint_eq(o.arg_size, size);
    ck_assert_int_eq(memcmp(o.arg, arg, size), 0);
    brood__prepare_free(memory);
    free(frames.bytes);
    free(arg);
}
END_TEST

static void cannot_encode(const struct preparation *p, const struct process_object *o)
{
    void *bytes;
    size_t size;
    ck_assert_int_eq(brood__prepare_encode(p, o, &bytes, &size), BROOD_EINVAL);
    ck_assert_str_ne(brood_error_detail(), "");
}

START_TEST(refuses_to_send_what_would_be_refused)
{
    static int many[PREPARE_CPUS + 1];
    struct preparation p = full_preparation(), bad = p;
    struct process_object o = full_object(), wrong = o;
    bad.public.argc = -1;
    cannot_encode(&bad, &o);
    bad = p, bad.public.parent = -1;
    cannot_encode(&bad, &o);
    bad = p, bad.public.method = (brood_start_method)9;
    cannot_encode(&bad, &o);
    wrong.limits.cpus = many, wrong.limits.cpu_count = PREPARE_CPUS + 1;
    cannot_encode(&p, &wrong);
    wrong = o, wrong.descriptor_count = PREPARE_DESCRIPTORS + 1;
    cannot_encode(&p, &wrong);
    wrong = o, wrong.descriptors[1] = 99;
    cannot_encode(&p, &wrong);
    wrong = o, wrong.descriptors[1] = -1;
    cannot_encode(&p, &wrong);
    wrong = o, wrong.arg_size = PREPARE_MOST;
    cannot_encode(&p, &wrong);
}
END_TEST

START_TEST(takes_most_of_each)
{
    static int many[PREPARE_CPUS];
    struct preparation p = full_preparation();
    struct process_object o = full_object();
    o.limits.cpus = many, o.limits.cpu_count = PREPARE_CPUS;
    o.descriptor_count = PREPARE_DESCRIPTORS;
    for (int i = 0; i < PREPARE_DESCRIPTORS; i++) o.descriptors[i] = i;
    struct frames frames = encode(&p, &o);
    ck_assert_int_eq(decode(frames.bytes, frames.size), 0);
    free(frames.bytes);
}
END_TEST

/* ------------------------------------------------------------------------------------ refused */

START_TEST(refuses_every_truncation)
{
    struct frames frames = full();
    for (size_t size = 0; size < frames.size; size++) {
        ck_assert_int_eq(decode(frames.bytes, size), BROOD_ECORRUPT);
        ck_assert_str_ne(brood_error_detail(), "");
    }
    free(frames.bytes);
}
END_TEST

START_TEST(refuses_what_comes_behind)
{
    struct frames frames = full();
    unsigned char *longer = calloc(1, frames.size + 1);
    memcpy(longer, frames.bytes, frames.size);
    ck_assert_int_eq(decode(longer, frames.size + 1), BROOD_ECORRUPT);
    uint32_t length;
    memcpy(&length, longer, sizeof length);
    memmove(longer + 4 + length + 1, longer + 4 + length, frames.size - 4 - length); /* a byte behind the first map */
    longer[4 + length++] = 0xf6;
    memcpy(longer, &length, sizeof length);
    ck_assert_int_eq(decode(longer, frames.size + 1), BROOD_ECORRUPT);
    free(longer);
    free(frames.bytes);
}
END_TEST

/* Replace the first `from` by `to`, which is as long, and decode. */
static int with(const char *from, const char *to, size_t size)
{
    struct frames frames = full();
    unsigned char *at = memmem(frames.bytes, frames.size, from, size);
    ck_assert_ptr_nonnull(at);
    memcpy(at, to, size);
    int error = decode(frames.bytes, frames.size);
    free(frames.bytes);
    return error;
}

#define CHANGE(from, to)                                                                   \
    {                                                                                      \
        from, to, sizeof(from) - 1 + 0 * sizeof(char[sizeof(from) == sizeof(to) ? 1 : -1]) \
    }
struct change {
    const char *from, *to;
    size_t size;
};

START_TEST(refuses_other_maps)
{
    static const struct change changes[] = {
        CHANGE("\x64name", "\x64Name"), /* unknown */
        CHANGE("\x64name", "\x64"
                           "argv"),                       /* doubled */
        CHANGE("\x64name", "\x44name"),                   /* a key of bytes */
        CHANGE("\xa8\x64", "\xa7\x64"),                   /* a pair less than there are */
        CHANGE("\xa8\x64", "\xa9\x64"),                   /* a pair more */
        CHANGE("\xa8\x64", "\xbf\x64"),                   /* as many as come */
        CHANGE("\xa8\x64", "\x88\x64"),                   /* an array */
        CHANGE("gprogram", "g\0rogram"),                  /* a zero byte in text */
        CHANGE("gprogram", "g\xffrogram"),                /* text that is none */
        CHANGE("gprogram", "Gprogram"),                   /* bytes that are text */
        CHANGE("level\x3a\x00\x01", "level\x3a\x00\x00"), /* a longer head than it needs */
        CHANGE("level\x3a\x00", "level\x3a\xff"),         /* less than INT_MIN */
        CHANGE("start_method\x02", "start_method\x04"),
        CHANGE("start_method\x02", "start_method\x21"),
        CHANGE("worker\xf5", "worker\x01"),
        CHANGE("worker\xf5", "worker\xf6"),
        CHANGE("core_dump\xf5", "core_dump\xf7"),
        CHANGE("descriptors\x83", "descriptors\x84"),
        CHANGE("descriptors\x83\x05\x00", "descriptors\x83\x05\x05"), /* a number twice */
        CHANGE("descriptors\x83\x05\x00", "descriptors\x83\x05\x20"), /* negative */
        CHANGE("environment\x82", "environment\xf6"),
        CHANGE("environment\x82", "environment\xf7"),
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        int error = with(changes[i].from, changes[i].to, changes[i].size);
        ck_assert_msg(error == BROOD_ECORRUPT, "change %zu: %d", i, error);
    }
    ck_assert_int_eq(with("worker\xf5", "worker\xf4", 7), 0); /* the method is sound */
}
END_TEST

/* A head that promises more than there is costs nothing. */
START_TEST(believes_no_count)
{
    unsigned char bytes[] = "\0\0\0\0" /* the length comes here */
                            "\xa8\x64"
                            "argv\x9a\x7f\xff\xff\xf0";
    uint32_t lengths[] = {sizeof bytes - 1 - 4, UINT32_MAX};
    if (!SANITIZED) ck_assert_int_eq(setrlimit(RLIMIT_DATA, &(struct rlimit){1 << 29, 1 << 29}), 0);
    for (int i = 0; i < 2; i++) {
        memcpy(bytes, &lengths[i], sizeof lengths[i]);
        ck_assert_int_eq(decode(bytes, sizeof bytes - 1), BROOD_ECORRUPT);
    }
}
END_TEST

/* Make an array, whose key and head are `head`, one longer: its new head, and a first item before the others. */
static int with_one_more(const struct process_object *o, const char *head, const char *longer, size_t size,
                         const char *item, size_t item_size)
{
    struct preparation p = full_preparation();
    struct frames frames = encode(&p, o);
    unsigned char *bytes = malloc(frames.size + item_size);
    memcpy(bytes, frames.bytes, frames.size);
    unsigned char *at = memmem(bytes, frames.size, head, size);
    ck_assert_ptr_nonnull(at);
    memcpy(at, longer, size);
    memmove(at + size + item_size, at + size, frames.size - (size_t)(at + size - bytes));
    memcpy(at + size, item, item_size);
    uint32_t first, second;
    memcpy(&first, bytes, sizeof first);
    memcpy(&second, bytes + 4 + first, sizeof second);
    second += (uint32_t)item_size;
    memcpy(bytes + 4 + first, &second, sizeof second);
    int error = decode(bytes, frames.size + item_size);
    free(bytes);
    free(frames.bytes);
    return error;
}

START_TEST(refuses_one_more_than_most)
{
    static int many[PREPARE_CPUS];
    struct process_object o = full_object();
    o.descriptor_count = PREPARE_DESCRIPTORS;
    for (int i = 0; i < PREPARE_DESCRIPTORS; i++) o.descriptors[i] = i;
    o.limits.cpus = many;
    o.limits.cpu_count = PREPARE_CPUS;
    ck_assert_int_eq(with_one_more(&o, "cpus\x99\x10\x00", "cpus\x99\x10\x01", 7, "\x01", 1), BROOD_ECORRUPT);
    ck_assert_int_eq(with_one_more(&o, "ptors\x98\x40", "ptors\x98\x41", 7, "\x18\x64", 2), BROOD_ECORRUPT);
    o.limits.cpu_count--;
    o.descriptor_count--;
    ck_assert_int_eq(with_one_more(&o, "cpus\x99\x0f\xff", "cpus\x99\x10\x00", 7, "\x01", 1), 0);
    ck_assert_int_eq(with_one_more(&o, "ptors\x98\x3f", "ptors\x98\x40", 7, "\x18\x64", 2), 0);
}
END_TEST

START_TEST(says_where_it_is_wrong)
{
    with("\x64name", "\x64Name", 5);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), "name: this key was expected"));
}
END_TEST

START_TEST(survives_mutation)
{
    struct frames frames = full();
    unsigned char *bytes = malloc(frames.size);
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 10000; i++) {
        memcpy(bytes, frames.bytes, frames.size);
        for (int k = 0; k <= i % 4; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            bytes[random % frames.size] = (unsigned char)(random >> 40);
        }
        int error = decode(bytes, frames.size);
        ck_assert(error == 0 || error == BROOD_ECORRUPT);
    }
    free(bytes);
    free(frames.bytes);
}
END_TEST

static Suite *prepare_suite(void)
{
    Suite *suite = suite_create("prepare");
    TCase *whole = tcase_create("whole");
    tcase_add_test(whole, comes_back_as_it_was);
    tcase_add_test(whole, nothing_comes_back_as_nothing);
    tcase_add_test(whole, empty_environment_is_not_the_callers);
    tcase_add_test(whole, encodes_the_same_each_time);
    tcase_add_test(whole, carries_a_large_argument);
    tcase_add_test(whole, refuses_to_send_what_would_be_refused);
    tcase_add_test(whole, takes_most_of_each);
    suite_add_tcase(suite, whole);
    TCase *refused = tcase_create("refused");
    tcase_add_test(refused, refuses_every_truncation);
    tcase_add_test(refused, refuses_what_comes_behind);
    tcase_add_test(refused, refuses_other_maps);
    tcase_add_test(refused, believes_no_count);
    tcase_add_test(refused, refuses_one_more_than_most);
    tcase_add_test(refused, says_where_it_is_wrong);
    tcase_add_test(refused, survives_mutation);
    suite_add_tcase(suite, refused);
    return suite;
}

BROOD_TEST_MAIN(prepare_suite)
